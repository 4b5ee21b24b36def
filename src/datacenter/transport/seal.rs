//! Seals: what shows that a request comes from a worker of the run, is as it was sent, and was not heard before.
//!
//! Input: a request's header, method, path and length. Output: what it claims, or nothing. A seal is a header of
//! sender, counter, the receiver's boot nonce, the digest of the body, and a MAC over these, the method, the path and
//! the body's length. The MAC is checked before a byte of the body is read, the digest after. No clock in it.
//! Invariant: a claim with a wrong MAC is given to nobody; of one sender each counter is heard once, in rising order;
//! the senders that are remembered are bounded, and one more is refused rather than an old one forgotten.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use axum::http::Method;
use blake3::Hash;

use super::super::protocol::WorkerId;
use super::secret::Secret;

/// Name of the header.
pub(super) const HEADER: &str = "x-ringfort-seal";
const CONTEXT: &str = "ringfort 1: requests between the workers of a run";
/// Most senders whose counters are kept: one start of a worker each.
const MOST_SENDERS: usize = 1 << 16;

/// The key of all seals of a run.
#[derive(Clone)]
pub(super) struct Key([u8; 32]);

/// What a request says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Claim {
    /// Who sent it.
    pub(super) from: WorkerId,
    /// Rises from request to request of a sender.
    pub(super) counter: u64,
    /// Which start of the receiver it is for.
    pub(super) nonce: Hash,
    /// Digest of the body.
    pub(super) digest: Hash,
}

impl Key {
    pub(super) fn new(secret: &Secret) -> Self {
        Self(secret.key(CONTEXT))
    }

    fn mac(&self, claim: &Claim, method: &Method, path: &str, length: u64) -> Hash {
        let method = method.as_str().as_bytes();
        let mut hasher = blake3::Hasher::new_keyed(&self.0);
        for number in [claim.from.0, claim.counter, length, method.len() as u64] {
            hasher.update(&number.to_le_bytes());
        }
        hasher.update(claim.nonce.as_bytes()).update(claim.digest.as_bytes()).update(method).update(path.as_bytes());
        hasher.finalize()
    }

    /// The header's value for a request.
    pub(super) fn seal(&self, claim: &Claim, method: &Method, path: &str, length: u64) -> String {
        let Claim { from, counter, nonce, digest } = claim;
        format!("{:016x}.{counter:016x}.{nonce}.{digest}.{}", from.0, self.mac(claim, method, path, length))
    }

    /// What the header claims, if its MAC is right.
    pub(super) fn open(&self, header: &str, method: &Method, path: &str, length: u64) -> Option<Claim> {
        let mut words = header.split('.');
        let claim = Claim {
            from: WorkerId(number(words.next()?)?),
            counter: number(words.next()?)?,
            nonce: hash(words.next()?)?,
            digest: hash(words.next()?)?,
        };
        let mac = hash(words.next()?)?;
        // `Hash` compares in constant time.
        (words.next().is_none() && mac == self.mac(&claim, method, path, length)).then_some(claim)
    }
}

fn lower(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// The number that 16 hexadecimal digits in lower case stand for.
pub(super) fn number(text: &str) -> Option<u64> {
    (text.len() == 16 && lower(text)).then(|| u64::from_str_radix(text, 16).ok()).flatten()
}

/// The hash that 64 hexadecimal digits in lower case stand for.
pub(super) fn hash(text: &str) -> Option<Hash> {
    lower(text).then(|| Hash::from_hex(text).ok()).flatten()
}

/// The last counter heard from each sender.
#[derive(Debug, Default)]
pub(super) struct Counters(Mutex<BTreeMap<WorkerId, u64>>);

/// What a counter tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// Later than all before.
    New,
    /// Not later: a request that was recorded and sent again, or overtaken.
    Before,
    /// There are too many senders to keep track.
    Full,
}

impl Counters {
    /// What the claim's counter tells; `keep`: from now on it was heard.
    pub(super) fn heard(&self, claim: &Claim, keep: bool) -> Heard {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match last.get(&claim.from) {
            Some(&before) if claim.counter <= before => return Heard::Before,
            None if last.len() >= MOST_SENDERS => return Heard::Full,
            _ => {}
        }
        if keep {
            last.insert(claim.from, claim.counter);
        }
        Heard::New
    }
}

#[cfg(test)]
mod tests;
