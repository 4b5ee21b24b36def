//! Faults on purpose, for tests: `RINGFORT_FAULT="panic|abort|stall|nan@step=7,part=3,phase=write"`.
//!
//! Without `part`, every part fails; without `phase`, it happens after the round that reaches the step. A stall of so
//! many `seconds=` and a NaN happen at that step alone, all else at that step or the first later one; another stall
//! lasts for ever.
//!
//! Input: the variable, read once at the start; then where a part is. Output: the fault, or the word to spoil a
//! value. Invariant: without the variable nothing happens; one that names no fault refuses the run. Values are spoilt
//! in phase `compute` alone, the only phase that data-center mode has.

use std::str::FromStr;
use std::time::Duration;

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The rank panics.
    Panic,
    /// The process ends at once.
    Abort,
    /// The rank, or the thread that writes its checkpoints, does nothing for ever, or for a while.
    Stall,
    /// A value of the rank's block becomes NaN.
    Nan,
}

/// Where a rank is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Between the start of an exchange and the interior.
    Exchange,
    /// At the end of a round.
    Compute,
    /// Before a part's values are copied for a checkpoint.
    Copy,
    /// Between two chunks of a checkpoint.
    Write,
    /// Before the manifest is written.
    Manifest,
}

/// A fault to come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    kind: Kind,
    step: u64,
    part: Option<usize>,
    phase: Phase,
    /// How long a stall lasts; `None`: for ever.
    lasts: Option<Duration>,
}

/// A fault that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("RINGFORT_FAULT: `{0}` is no fault; write, say, abort@step=7,part=3,phase=write")]
pub struct FaultError(String);

impl Fault {
    /// The fault that the environment asks for.
    ///
    /// # Errors
    ///
    /// [`FaultError`] if it cannot be read.
    pub fn from_environment() -> Result<Option<Self>, FaultError> {
        std::env::var("RINGFORT_FAULT").ok().map(|text| text.parse()).transpose()
    }

    /// Lets the fault happen if this is its place; true if the caller is to spoil a value.
    ///
    /// # Panics
    ///
    /// If it is a panic that was asked for.
    #[must_use]
    pub fn happens(&self, phase: Phase, step: u64, part: usize) -> bool {
        let here = self.phase == phase && step >= self.step && self.part.is_none_or(|own| own == part);
        if !here {
            return false;
        }
        match self.kind {
            Kind::Panic => panic!("fault on purpose at step {step}, part {part}"),
            Kind::Abort => std::process::abort(),
            Kind::Stall => match self.lasts {
                Some(lasts) if step == self.step => std::thread::sleep(lasts),
                Some(_) => {}
                None => loop {
                    std::thread::sleep(Duration::from_secs(1));
                },
            },
            Kind::Nan => return step == self.step,
        }
        false
    }
}

impl FromStr for Fault {
    type Err = FaultError;

    fn from_str(text: &str) -> Result<Self, FaultError> {
        let wrong = || FaultError(text.to_owned());
        let (kind, place) = text.split_once('@').ok_or_else(wrong)?;
        let kind = match kind {
            "panic" => Kind::Panic,
            "abort" => Kind::Abort,
            "stall" => Kind::Stall,
            "nan" => Kind::Nan,
            _ => return Err(wrong()),
        };
        let mut fault = Self { kind, step: 0, part: None, phase: Phase::Compute, lasts: None };
        for entry in place.split(',') {
            match entry.split_once('=').ok_or_else(wrong)? {
                ("step", step) => fault.step = step.parse().map_err(|_| wrong())?,
                ("part", part) => fault.part = Some(part.parse().map_err(|_| wrong())?),
                ("seconds", seconds) if kind == Kind::Stall => {
                    let seconds = seconds.parse().map_err(|_| wrong())?;
                    fault.lasts = Some(Duration::try_from_secs_f64(seconds).map_err(|_| wrong())?);
                }
                ("phase", "exchange") => fault.phase = Phase::Exchange,
                ("phase", "compute") => fault.phase = Phase::Compute,
                ("phase", "copy") => fault.phase = Phase::Copy,
                ("phase", "write") => fault.phase = Phase::Write,
                ("phase", "manifest") => fault.phase = Phase::Manifest,
                _ => return Err(wrong()),
            }
        }
        Ok(fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_tests_write() {
        let fault: Fault = "nan@step=7,part=3".parse().unwrap();
        let expected = Fault { kind: Kind::Nan, step: 7, part: Some(3), phase: Phase::Compute, lasts: None };
        assert_eq!(fault, expected);
        let stall: Fault = "stall@step=7,seconds=0.01,phase=write".parse().unwrap();
        assert!(!stall.happens(Phase::Write, 7, 0) && !stall.happens(Phase::Write, 8, 0));
        assert!(fault.happens(Phase::Compute, 7, 3));
        assert!(!fault.happens(Phase::Compute, 6, 3) && !fault.happens(Phase::Compute, 7, 2));
        for wrong in [
            "",
            "abort",
            "abort@",
            "abort@step",
            "abort@step=x",
            "die@step=1",
            "abort@step=1,phase=lunch",
            "nan@seconds=1",
        ] {
            assert!(wrong.parse::<Fault>().is_err(), "{wrong}");
        }
    }
}
