//! Signals that ask a run to stop: the first sets a flag, the second ends the process.
//!
//! Input: SIGTERM, SIGUSR1. Output: [`Signals::asked`], for the ranks to agree on. Invariant: a handler sets a flag,
//! which is never cleared, or ends the process, and does nothing else. For each signal the end is registered before
//! the flag: they run in this order, and the other way round the first signal would end the process.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use signal_hook::consts::{SIGTERM, SIGUSR1};
use signal_hook::flag;

use crate::exit::Exit;

/// How long after SIGTERM the ranks may take to agree to stop.
const AGREE_WITHIN: Duration = Duration::from_secs(5);

/// Flags that signals and the run share.
#[derive(Clone, Debug, Default)]
pub struct Signals {
    asked: Arc<AtomicBool>,
    terminated: Arc<AtomicBool>,
    agreed: Arc<AtomicBool>,
}

impl Signals {
    /// Listens for SIGTERM and SIGUSR1. If the ranks have not agreed to stop within 5 s of a SIGTERM, the process ends.
    ///
    /// # Errors
    ///
    /// If the system refuses.
    pub fn listen() -> io::Result<Self> {
        let signals = Self::default();
        for signal in [SIGTERM, SIGUSR1] {
            flag::register_conditional_shutdown(signal, Exit::PeerLost as i32, Arc::clone(&signals.asked))?;
            flag::register(signal, Arc::clone(&signals.asked))?;
        }
        flag::register(SIGTERM, Arc::clone(&signals.terminated))?;
        let watched = signals.clone();
        std::thread::Builder::new().name("signals".into()).spawn(move || watched.watch())?;
        Ok(signals)
    }

    /// True once a signal has asked to stop.
    #[must_use]
    pub fn asked(&self) -> bool {
        self.asked.load(Ordering::Relaxed)
    }

    /// The ranks have agreed to stop.
    pub fn agreed(&self) {
        self.agreed.store(true, Ordering::Relaxed);
    }

    fn watch(&self) {
        while !self.terminated.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(200));
        }
        std::thread::sleep(AGREE_WITHIN);
        if !self.agreed.load(Ordering::Relaxed) {
            std::process::exit(Exit::PeerLost as i32);
        }
    }
}
