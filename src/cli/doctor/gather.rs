//! Looks at this machine. What cannot be found out is left open; nothing is changed but for files that come and go.
//!
//! Input: a folder, there or not. Output: a `Machine`. Invariant: no look that fails ends the others, and a program
//! that is asked has `SHORT` to answer before it is killed; the folder itself is not made: the nearest one above that
//! is there is tried instead.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::rules::Machine;
use crate::advance::Simd;
use crate::clock;
use crate::compare::processes::{SHORT, said};
use crate::run::{folder, memory};

/// Environment variables that the rules look at.
const VARIABLES: [&str; 8] = [
    "RINGFORT_SIMD",
    "RAYON_NUM_THREADS",
    "OMP_NUM_THREADS",
    "OMPI_ALLOW_RUN_AS_ROOT",
    "OMPI_MCA_hwloc_base_binding_policy",
    "SLURM_JOB_ID",
    "PBS_JOBID",
    "PJM_JOBID",
];

/// This machine, for a run in `dir`.
pub(super) fn machine(dir: &Path) -> Machine {
    let there = existing(dir);
    let limit = |resource| rustix::process::getrlimit(resource).current;
    Machine {
        version: env!("CARGO_PKG_VERSION").into(),
        simd: Simd::detect().to_string(),
        mpi: library(),
        launcher: launcher(),
        cores: std::thread::available_parallelism().map_or(1, usize::from),
        online: fs::read_to_string("/sys/devices/system/cpu/online").ok().and_then(|text| count(&text)),
        nodes: fs::read_to_string("/sys/devices/system/node/online").ok().and_then(|text| count(&text)),
        memory: memory::available(),
        huge_pages: fs::read_to_string("/sys/kernel/mm/transparent_hugepage/enabled")
            .ok()
            .and_then(|text| chosen(&text)),
        file_system: magic(&there),
        free: rustix::fs::statvfs(&there).ok().filter(|found| found.f_blocks > 0).map(|found| {
            // File systems that make inodes as they need them say 0.
            let files = if found.f_files == 0 { u64::MAX } else { found.f_favail };
            (found.f_bavail.saturating_mul(found.f_frsize), files)
        }),
        unwritable: writable(&there).err(),
        holder: folder::holder(dir).ok().flatten(),
        shared: rustix::fs::statvfs("/dev/shm").ok().map(|found| found.f_bavail.saturating_mul(found.f_frsize)),
        wall: clock::wall(),
        clock_synchronized: synchronized(),
        open_files: limit(rustix::process::Resource::Nofile),
        file_bytes: limit(rustix::process::Resource::Fsize),
        variables: VARIABLES.iter().filter_map(|&name| Some((name.into(), std::env::var(name).ok()?))).collect(),
        root: rustix::process::geteuid().is_root(),
    }
}

/// `dir`, or the folder above it that is there.
fn existing(dir: &Path) -> PathBuf {
    let found = dir.ancestors().find(|above| !above.as_os_str().is_empty() && above.is_dir());
    found.map_or_else(|| PathBuf::from("."), Path::to_path_buf)
}

fn writable(dir: &Path) -> Result<(), String> {
    let path = dir.join(format!(".ringfort-doctor-{}", std::process::id()));
    let made = fs::File::create_new(&path).and_then(|mut file| {
        let written = file.write_all(b"ringfort");
        fs::remove_file(&path).and(written)
    });
    made.map_err(|error| format!("{}: {error}", dir.display()))
}

#[cfg(target_os = "linux")]
fn magic(dir: &Path) -> Option<u64> {
    let found = rustix::fs::statfs(dir).ok()?;
    // 32 bits that some systems hold in a signed word.
    u64::try_from(found.f_type & 0xffff_ffff).ok()
}

#[cfg(not(target_os = "linux"))]
fn magic(_dir: &Path) -> Option<u64> {
    None
}

/// Whether the system's time service says that the clock is right; none without one that says so.
fn synchronized() -> Option<bool> {
    let (_, words) =
        said(Command::new("timedatectl").args(["show", "-p", "NTPSynchronized", "--value"]), SHORT).ok()?;
    match words.trim() {
        "yes" => Some(true),
        "no" => Some(false),
        _ => None,
    }
}

#[cfg(feature = "mpi")]
fn library() -> Option<String> {
    Some(crate::torus::mpi::Mpi::library())
}

#[cfg(not(feature = "mpi"))]
fn library() -> Option<String> {
    None
}

fn launcher() -> Option<String> {
    let name = std::env::var_os("RINGFORT_MPIRUN").unwrap_or_else(|| "mpirun".into());
    let (_, words) = said(Command::new(name).arg("--version"), SHORT).ok()?;
    Some(words.trim().to_owned())
}

/// Numbers in a list like `0-3,8`.
fn count(list: &str) -> Option<usize> {
    let range = |text: &str| {
        let (low, high) = text.split_once('-').unwrap_or((text, text));
        let (low, high): (usize, usize) = (low.parse().ok()?, high.parse().ok()?);
        (high + 1).checked_sub(low)
    };
    list.trim().split(',').map(range).sum()
}

/// The word in brackets.
fn chosen(text: &str) -> Option<String> {
    Some(text.split_once('[')?.1.split_once(']')?.0.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_and_choices_are_read() {
        assert_eq!((count("0-3,8\n"), count("0"), count("x"), count("")), (Some(5), Some(1), None, None));
        assert_eq!(chosen("always [madvise] never\n").as_deref(), Some("madvise"));
        assert_eq!(chosen("always"), None);
    }

    #[test]
    fn this_machine_can_be_looked_at() {
        let dir = tempfile::tempdir().expect("a folder");
        let found = machine(&dir.path().join("not/there"));
        assert!(found.cores > 0 && found.unwritable.is_none() && found.holder.is_none());
        assert_eq!(fs::read_dir(dir.path()).expect("list").count(), 0);
    }
}
