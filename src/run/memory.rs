//! How much memory this machine has left, and whether fields fit there.
//!
//! Input: sizes, and what Linux tells. Output: bytes, or a refusal in words. Invariant: where the machine does not
//! tell, nothing is refused; of free memory and the room left in the control group the smaller one counts. It is a
//! look at one moment: nothing is reserved.

use std::fs;

use ringfort_kernels::{Real, Role};

use crate::copied::Copied;
use crate::exit::Failure;
use crate::job::Job;

/// Bytes of the copy of a block of `cells` cells that checkpoints are written from while the run goes on; 0 where none is.
#[must_use]
pub fn copy_bytes<T: Real>(job: &Job, cells: usize) -> usize {
    let components = job.declaration.of_role(Role::Component).count();
    if job.checkpoint.overlaps(job.time.steps) { Copied::<T>::bytes_of(cells, components) } else { 0 }
}

/// Bytes that may still be allocated on this machine, as far as it says: free memory, and the limit of the control group.
#[must_use]
pub fn available() -> Option<u64> {
    let free = fs::read_to_string("/proc/meminfo").ok().and_then(|text| field(&text, "MemAvailable:"));
    let number = |path: &str| fs::read_to_string(path).ok()?.trim().parse::<u64>().ok();
    let limit = number("/sys/fs/cgroup/memory.max")
        .map(|most| most.saturating_sub(number("/sys/fs/cgroup/memory.current").unwrap_or(0)));
    match (free, limit) {
        (Some(free), Some(limit)) => Some(free.min(limit)),
        (free, limit) => free.or(limit),
    }
}

/// Value in bytes of the line of `text` that begins with `name`.
fn field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// `bytes` for people.
#[must_use]
#[allow(clippy::cast_precision_loss, reason = "three digits are shown")]
pub fn in_words(bytes: u64) -> String {
    let mut value = bytes as f64;
    for unit in ["B", "KiB", "MiB", "GiB", "TiB"] {
        if value < 1024.0 {
            return if unit == "B" { format!("{bytes} B") } else { format!("{value:.1} {unit}") };
        }
        value /= 1024.0;
    }
    format!("{value:.1} PiB")
}

/// Refuses fields of `bytes` bytes on each of `ranks` ranks if this machine has not as much memory left.
///
/// # Errors
///
/// A usage error in these words.
pub fn fits(bytes: usize, ranks: usize) -> Result<(), Failure> {
    let needed = (bytes as u64).saturating_mul(ranks as u64);
    match available() {
        Some(free) if needed > free => Err(Failure::usage(format!(
            "the fields need {} of memory on this machine ({ranks} ranks of {}), which has {} left; use fewer points, more \
             machines or precision = \"f32\"",
            in_words(needed),
            in_words(bytes as u64),
            in_words(free),
        ))),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_kernels_table() {
        let text = "MemTotal:       24 kB\nMemAvailable:   3 kB\n";
        assert_eq!(field(text, "MemAvailable:"), Some(3072));
        assert_eq!(field(text, "Swap:"), None);
        assert_eq!((in_words(512), in_words(3 << 29)), ("512 B".into(), "1.5 GiB".into()));
    }
}
