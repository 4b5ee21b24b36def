//! Errors that all ranks learn of: what one rank cannot do, none does.
//!
//! Input: each rank's result. Output: the same verdict on every rank; rank 0 has the words to print. Invariant: all
//! ranks go on, or all fail with the exit code of the lowest rank that failed, unless a rank is late or lost. All
//! ranks must call these functions in the same order, also one that has failed: messages do not name their call.

use super::peers::{PeerError, Peers, broadcast, gather};
use crate::exit::{Exit, Failure};

impl From<PeerError> for Failure {
    fn from(error: PeerError) -> Self {
        Failure::new(Exit::PeerLost, error)
    }
}

/// The value, if every rank has one; else the failure of the lowest rank that failed.
///
/// # Errors
///
/// The failure of the lowest rank that failed, or [`Exit::PeerLost`] if a rank is late or lost.
pub fn agree<P: Peers + ?Sized, V>(peers: &mut P, result: Result<V, Failure>) -> Result<V, Failure> {
    let own = match &result {
        Ok(_) => Vec::new(),
        Err(failure) => {
            let mut bytes = vec![failure.exit as u8];
            bytes.extend(failure.rendered().bytes());
            bytes
        }
    };
    let verdict = match gather(peers, own)? {
        None => broadcast(peers, Vec::new())?,
        Some(all) => {
            let first = all.into_iter().find(|bytes| !bytes.is_empty()).unwrap_or_default();
            broadcast(peers, first)?
        }
    };
    match (verdict.split_first(), result) {
        (None, result) => result,
        (Some(_), Err(own)) if peers.rank() == 0 => Err(own),
        (Some((&code, words)), _) => {
            Err(Failure { exit: Exit::of(code), report: Failure::usage(String::from_utf8_lossy(words)).report })
        }
    }
}

/// What rank 0 found or decided, on every rank.
///
/// # Errors
///
/// Rank 0's failure, or [`Exit::PeerLost`] if it is late or lost.
pub fn decide<P: Peers + ?Sized>(
    peers: &mut P,
    decision: impl FnOnce() -> Result<Vec<u8>, Failure>,
) -> Result<Vec<u8>, Failure> {
    if peers.rank() == 0 {
        let result = decision();
        let mut bytes = Vec::new();
        match &result {
            Ok(value) => {
                bytes.push(0);
                bytes.extend(value);
            }
            Err(failure) => {
                bytes.push(failure.exit as u8);
                bytes.extend(failure.rendered().bytes());
            }
        }
        broadcast(peers, bytes)?;
        return result;
    }
    let bytes = broadcast(peers, Vec::new())?;
    match bytes.split_first() {
        Some((0, value)) => Ok(value.to_vec()),
        Some((&code, words)) => {
            Err(Failure { exit: Exit::of(code), report: Failure::usage(String::from_utf8_lossy(words)).report })
        }
        None => Err(Failure::usage("rank 0 sent an empty decision")),
    }
}
