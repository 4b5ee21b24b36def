//! Messages as bytes and back.
//!
//! A request's body is the length of a head (4 bytes, little-endian), the head, then the bytes of the values one after
//! another. The head is the message with, in place of each value, its length, or its place in shared memory. Invariant: what
//! comes in is refused before anything is set aside for it, unless all lengths fit one another and the bound. The values'
//! digests are not sent: the request's digest covers the bytes, and a file that the sender's user alone can write needs none.

use std::io;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::super::protocol::{Block, Body, Epoch, Handover, Message, Shell, Value};
use super::shared::Place;
use crate::checkpoint::codec::{CodecError, decode, encode};

/// Most files that one message names.
const MOST_FILES: usize = 4096;
const LENGTH: usize = 4;

#[derive(Serialize, Deserialize)]
struct Head {
    lamport: u64,
    says: Says,
}

/// Block and step.
type Name = (u64, u64);
/// Values after steps.
type Parts = Vec<(u64, Part)>;

#[derive(Serialize, Deserialize)]
enum Says {
    Ask(Name, u64),
    Give(Name, Part),
    Wait(Name),
    Later(Name, u64),
    Elsewhere(Name),
    Passed(Name, u64),
    AskBlock(u64, u64, u64),
    GiveBlock { block: u64, step: u64, state: Part, shells: Parts, snapshots: Parts },
    LaterBlock(u64, u64),
    NoBlock(u64),
}

/// Where a value's bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Part {
    /// The next so many bytes of the body.
    Body(u64),
    /// A file of the sender in shared memory.
    File(Place),
}

impl Part {
    fn length(self) -> u64 {
        match self {
            Self::Body(length) => length,
            Self::File(place) => place.length,
        }
    }
}

/// A message ready to go.
pub(super) struct Packed {
    /// The body, in order.
    pub(super) chunks: Vec<Bytes>,
    /// Its length.
    pub(super) length: u64,
}

/// `message` as the body of a request. `file` puts a value into shared memory, if it has a place and a reason to.
pub(super) fn pack(
    message: &Message,
    mut file: impl FnMut(Option<Shell>, &Bytes) -> Option<Part>,
) -> Result<Packed, CodecError> {
    let mut chunks = vec![Bytes::new()];
    let mut place = |shell: Option<Shell>, value: &Value| {
        let bytes = value.bytes();
        file(shell, bytes).unwrap_or_else(|| {
            chunks.push(bytes.clone());
            Part::Body(bytes.len() as u64)
        })
    };
    let mut places =
        |values: &[(u64, Value)]| -> Parts { values.iter().map(|(step, value)| (*step, place(None, value))).collect() };
    let says = match &message.body {
        Body::Ask(shell, knows) => Says::Ask(name(*shell), *knows),
        Body::Give(shell, value) => Says::Give(name(*shell), place(Some(*shell), value)),
        Body::Wait(shell) => Says::Wait(name(*shell)),
        Body::Later(shell, wait_ms) => Says::Later(name(*shell), *wait_ms),
        Body::Elsewhere(shell) => Says::Elsewhere(name(*shell)),
        Body::Passed(shell, newest) => Says::Passed(name(*shell), *newest),
        Body::AskBlock(block, epoch, newest) => Says::AskBlock(block.0 as u64, epoch.0, *newest),
        Body::GiveBlock(block, Handover { step, state, shells, snapshots }) => {
            let (shells, snapshots) = (places(shells), places(snapshots));
            Says::GiveBlock { block: block.0 as u64, step: *step, state: place(None, state), shells, snapshots }
        }
        Body::LaterBlock(block, wait_ms) => Says::LaterBlock(block.0 as u64, *wait_ms),
        Body::NoBlock(block) => Says::NoBlock(block.0 as u64),
    };
    let head = encode(&Head { lamport: message.lamport, says })?;
    let length = u32::try_from(head.len()).map_err(|_| CodecError::Large { bytes: head.len() })?;
    chunks[0] = [&length.to_le_bytes()[..], &head].concat().into();
    let length = chunks.iter().map(|chunk| chunk.len() as u64).sum();
    Ok(Packed { chunks, length })
}

fn name(shell: Shell) -> Name {
    (shell.block.0 as u64, shell.step)
}

/// The message in `body`. `open` gives the bytes that the sender has at a place in shared memory; it is told if they are of a
/// shell. All values together have at most `most` bytes.
pub(super) fn unpack(
    body: &Bytes,
    most: u64,
    mut open: impl FnMut(bool, Place) -> io::Result<Bytes>,
) -> Result<Message, UnpackError> {
    let (length, rest) = body.split_first_chunk::<LENGTH>().ok_or(UnpackError::Lengths)?;
    let length = usize::try_from(u32::from_le_bytes(*length)).map_err(|_| UnpackError::Lengths)?;
    let head = rest.get(..length).ok_or(UnpackError::Lengths)?;
    let Head { lamport, says } = decode(head)?;
    let mut at = LENGTH + length;
    check(&says, (body.len() - at) as u64, most)?;
    // All lengths fit now.
    let mut value = |shell: bool, part: Part| -> Result<Value, UnpackError> {
        let length = usize::try_from(part.length()).map_err(|_| UnpackError::Lengths)?;
        if let Part::File(place) = part {
            return Ok(Value::new(open(shell, place)?));
        }
        at += length;
        Ok(Value::new(body.slice(at - length..at)))
    };
    let mut values = |parts: Parts| -> Result<Vec<(u64, Value)>, UnpackError> {
        parts.into_iter().map(|(step, part)| Ok((step, value(false, part)?))).collect()
    };
    let body = match says {
        Says::Ask(name, knows) => Body::Ask(shell(name)?, knows),
        Says::Give(name, part) => Body::Give(shell(name)?, value(true, part)?),
        Says::Wait(name) => Body::Wait(shell(name)?),
        Says::Later(name, wait_ms) => Body::Later(shell(name)?, wait_ms),
        Says::Elsewhere(name) => Body::Elsewhere(shell(name)?),
        Says::Passed(name, newest) => Body::Passed(shell(name)?, newest),
        Says::AskBlock(number, epoch, newest) => Body::AskBlock(block(number)?, Epoch(epoch), newest),
        Says::GiveBlock { block: number, step, state, shells, snapshots } => {
            let (shells, snapshots) = (values(shells)?, values(snapshots)?);
            Body::GiveBlock(block(number)?, Handover { step, state: value(false, state)?, shells, snapshots })
        }
        Says::LaterBlock(number, wait_ms) => Body::LaterBlock(block(number)?, wait_ms),
        Says::NoBlock(number) => Body::NoBlock(block(number)?),
    };
    Ok(Message { lamport, body })
}

/// Checks that the parts in the body are all of the `rest`, and that there are not too many bytes or files.
fn check(says: &Says, rest: u64, most: u64) -> Result<(), UnpackError> {
    let none = Parts::new();
    let (first, shells, snapshots) = match says {
        Says::Give(_, part) => (Some(*part), &none, &none),
        Says::GiveBlock { state, shells, snapshots, .. } => (Some(*state), shells, snapshots),
        Says::Ask(..)
        | Says::Wait(_)
        | Says::Later(..)
        | Says::Elsewhere(_)
        | Says::Passed(..)
        | Says::AskBlock(..)
        | Says::LaterBlock(..)
        | Says::NoBlock(_) => (None, &none, &none),
    };
    let (mut inside, mut all, mut files) = (0_u64, 0_u64, 0);
    for part in first.into_iter().chain(shells.iter().chain(snapshots).map(|&(_, part)| part)) {
        all = all.checked_add(part.length()).ok_or(UnpackError::Lengths)?;
        match part {
            Part::Body(length) => inside += length,
            Part::File(_) => files += 1,
        }
    }
    if inside == rest && all <= most && files <= MOST_FILES { Ok(()) } else { Err(UnpackError::Lengths) }
}

fn block(number: u64) -> Result<Block, UnpackError> {
    usize::try_from(number).map(Block).map_err(|_| UnpackError::Lengths)
}

fn shell((number, step): Name) -> Result<Shell, UnpackError> {
    Ok(Shell { block: block(number)?, step })
}

/// Why bytes are no message.
#[derive(Debug, thiserror::Error)]
pub(super) enum UnpackError {
    /// Lengths that do not fit one another, or the bound.
    #[error("the lengths in a message do not fit")]
    Lengths,
    /// The head cannot be read.
    #[error("the head of a message cannot be read: {0}")]
    Head(#[from] CodecError),
    /// A file is not there, or not as described.
    #[error("a value in shared memory cannot be read: {0}")]
    File(#[from] io::Error),
}

#[cfg(test)]
mod tests;
