//! The machine that a run started on, as Linux tells it.
//!
//! Input: files in `/proc`. Output: the names of the machine and of its processor. Invariant: what cannot be read is
//! empty and never an error, and of a file at most 64 KiB are read. Names of fields stand in `run.json`, so they may
//! not change.

use std::fs::File;
use std::io::Read;

use serde::{Deserialize, Serialize};

/// A processor.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cpu {
    /// Its name; empty where unknown.
    pub model: String,
    /// Instruction set that the kernels run with.
    pub simd: String,
}

impl Cpu {
    /// The processor of this machine.
    #[must_use]
    pub fn here(simd: &str) -> Self {
        Self { model: model(&start_of("/proc/cpuinfo")).to_owned(), simd: simd.to_owned() }
    }
}

/// Name of this machine; empty where unknown.
#[must_use]
pub fn host_name() -> String {
    start_of("/proc/sys/kernel/hostname").trim().to_owned()
}

/// First 64 KiB of a file, or nothing.
fn start_of(path: &str) -> String {
    let mut bytes = Vec::new();
    // Unreadable is the same as unknown.
    let _ = File::open(path).and_then(|file| file.take(1 << 16).read_to_end(&mut bytes));
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The model's name in the text of `/proc/cpuinfo`, on x86 or Arm.
fn model(text: &str) -> &str {
    let value = |name: &str| {
        let line = text.lines().find(|line| line.split(':').next().is_some_and(|key| key.trim() == name));
        line.and_then(|line| line.split_once(':')).map(|(_, value)| value.trim())
    };
    value("model name").or_else(|| value("CPU part")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_model_is_found_where_there_is_one() {
        assert_eq!(model("processor\t: 0\nmodel name\t: Some CPU @ 2 GHz\nmodel name : other\n"), "Some CPU @ 2 GHz");
        assert_eq!(model("processor: 0\nCPU part\t: 0xd40\n"), "0xd40");
        assert_eq!(model("nonsense"), "");
    }
}
