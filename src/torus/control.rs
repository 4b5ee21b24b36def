//! The control word: how ranks decide together without a rank trusting its own clock, signal or disk.
//!
//! Input: each rank's wishes at an exchange. Output: the same decision on every rank, one exchange later. Invariant: a
//! decision is a pure function of a completed word and takes effect at the end of the round in which it completed.

use super::peers::{PeerError, Peers, Word, wait};

/// What one rank wishes, or all together do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wishes {
    /// A signal asks to stop after a checkpoint.
    pub signal: bool,
    /// Rank 0's clock: the time limit is near.
    pub time_up: bool,
    /// Rank 0's clock: a checkpoint is due.
    pub checkpoint: bool,
    /// How far the checkpoint in flight is.
    pub flight: Marks,
}

/// How far the checkpoints written in the background are: the number of the last one of which each is true.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// Rank 0: its folder is there, so that parts may be written.
    pub opened: u64,
    /// A rank could not write its part.
    pub failed: u64,
    /// Rank 0: it exists, or never will.
    pub settled: u64,
    /// Rank 0's clock: nobody waits for it any longer.
    pub given_up: u64,
}

impl Wishes {
    fn word(self) -> Word {
        let mut word = [0; 8];
        word[0] = u64::from(self.signal);
        word[1] = u64::from(self.time_up);
        word[2] = u64::from(self.checkpoint);
        word[3..7].copy_from_slice(&[
            self.flight.opened,
            self.flight.failed,
            self.flight.settled,
            self.flight.given_up,
        ]);
        word
    }

    fn of(word: Word) -> Self {
        let flight = Marks { opened: word[3], failed: word[4], settled: word[5], given_up: word[6] };
        Self { signal: word[0] > 0, time_up: word[1] > 0, checkpoint: word[2] > 0, flight }
    }

    /// True if the run is to stop early.
    #[must_use]
    pub fn stop(&self) -> bool {
        self.signal || self.time_up
    }
}

/// The control words of a run.
#[derive(Debug, Default)]
pub struct Control {
    posted: bool,
}

impl Control {
    /// Completes the word posted at the exchange before, and posts `own` for the next.
    ///
    /// # Errors
    ///
    /// [`PeerError`] if a rank is late or lost.
    pub fn exchange<P: Peers + ?Sized>(&mut self, peers: &mut P, own: Wishes) -> Result<Wishes, PeerError> {
        let decided = self.complete(peers)?;
        peers.post(own.word());
        self.posted = true;
        Ok(decided)
    }

    /// Completes the word under way, if any.
    ///
    /// # Errors
    ///
    /// [`PeerError`] if a rank is late or lost.
    pub fn complete<P: Peers + ?Sized>(&mut self, peers: &mut P) -> Result<Wishes, PeerError> {
        if !std::mem::take(&mut self.posted) {
            return Ok(Wishes::default());
        }
        wait(peers, "a control word", |peers| peers.reduced()).map(Wishes::of)
    }
}

/// Largest of all ranks' non-negative numbers; NaN if one is.
///
/// # Errors
///
/// [`PeerError`] if a rank is late or lost.
pub fn largest<P: Peers + ?Sized>(peers: &mut P, own: f64) -> Result<f64, PeerError> {
    // Bits of non-negative numbers are in their order, and those of a positive NaN come after infinity's.
    let mut word = [0; 8];
    word[0] = if own.is_nan() { f64::NAN.to_bits() & (u64::MAX >> 1) } else { own.abs().to_bits() };
    peers.post(word);
    wait(peers, "the bound of the time step", |peers| peers.reduced()).map(|word| f64::from_bits(word[0]))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::torus::threads::Threads;

    #[test]
    fn one_wish_reaches_all_ranks_one_exchange_later() {
        let group = Threads::group(5, Duration::from_secs(20));
        std::thread::scope(|scope| {
            for mut peers in group {
                scope.spawn(move || {
                    let mut control = Control::default();
                    let own = Wishes { signal: peers.rank() == 3, ..Wishes::default() };
                    assert_eq!(control.exchange(&mut peers, own).unwrap(), Wishes::default());
                    let decided = control.exchange(&mut peers, Wishes::default()).unwrap();
                    assert!(decided.signal && decided.stop() && !decided.checkpoint);
                    assert_eq!(control.complete(&mut peers).unwrap(), Wishes::default());
                    let rank = peers.rank();
                    assert_eq!(largest(&mut peers, rank as f64 * 1.5).unwrap(), 6.0);
                    assert!(largest(&mut peers, if rank == 1 { f64::NAN } else { 1.0 }).unwrap().is_nan());
                });
            }
        });
    }

    #[test]
    fn a_silent_rank_is_late() {
        let mut group = Threads::group(2, Duration::from_millis(20));
        let mut control = Control::default();
        control.exchange(&mut group[0], Wishes::default()).unwrap();
        let late = control.exchange(&mut group[0], Wishes::default());
        assert!(matches!(late, Err(PeerError::Late { what: "a control word", .. })));
    }
}
