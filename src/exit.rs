//! How a command ends: exit codes with their meaning, and errors with theirs.
//!
//! Input: an error, or a code that another process sent. Output: the exit code, and the words that a person sees.
//! Invariant: scripts and schedulers act on the codes and ranks send them to each other, so none changes its number
//! or its meaning. `Exit::of` gives back every exit for its code: a new one goes into its list too.

use std::error::Error;
use std::fmt;

/// What the exit code says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// All done.
    Done = 0,
    /// `checkpoint diff` found a difference, or the runs of `compare` did not end with the same bits.
    Different = 1,
    /// Job or usage error; also: folder in use, nothing to restart from.
    Usage = 2,
    /// NaN, overflow or a time step beyond the bound; no checkpoint was written from it.
    Diverged = 3,
    /// Damaged data.
    Damaged = 4,
    /// The last checkpoint could not be written.
    Unsaved = 74,
    /// A peer was lost: restart me.
    PeerLost = 75,
    /// Stopped early on purpose, after a checkpoint.
    Stopped = 85,
}

/// An error with the exit code that it ends in.
#[derive(Debug)]
pub struct Failure {
    /// Exit code.
    pub exit: Exit,
    /// What happened, to what, what to do.
    pub report: miette::Report,
}

impl Failure {
    /// `error` as the end of the command with code `exit`; keeps its sources.
    pub fn new(exit: Exit, error: impl Error + Send + Sync + 'static) -> Self {
        Self { exit, report: miette::IntoDiagnostic::into_diagnostic(Err::<(), _>(error)).expect_err("an error") }
    }

    /// A usage error that points into the job file.
    pub fn report(error: impl miette::Diagnostic + Send + Sync + 'static) -> Self {
        Self { exit: Exit::Usage, report: miette::Report::new(error) }
    }

    /// A usage error in plain words.
    #[must_use]
    pub fn usage(words: impl fmt::Display) -> Self {
        Self { exit: Exit::Usage, report: miette::miette!("{words}") }
    }

    /// The error as a person sees it. What another rank sent comes rendered and stays as it is.
    #[must_use]
    pub fn rendered(&self) -> String {
        let words = self.report.to_string();
        if words.trim_start().starts_with('\u{d7}') { words } else { format!("{:?}", self.report) }
    }
}

impl Exit {
    /// The exit whose code is `code`; a usage error where there is none.
    #[must_use]
    pub fn of(code: u8) -> Self {
        let all = [
            Self::Done,
            Self::Different,
            Self::Usage,
            Self::Diverged,
            Self::Damaged,
            Self::Unsaved,
            Self::PeerLost,
            Self::Stopped,
        ];
        all.into_iter().find(|exit| *exit as u8 == code).unwrap_or(Self::Usage)
    }
}
