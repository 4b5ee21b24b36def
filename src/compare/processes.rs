//! Processes of this machine: those below one, what memory they hold, and their end.
//!
//! Input: a process, or a command. Output: what `ps` lists, or how the command ended and what it said. Invariant: a
//! command is killed at the end of its time and not waited for beyond it; a kill goes to one process, never to a
//! group; what a command says lies in no file with a name.

use std::fs::{self, File};
use std::io::{self, Read, Seek};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::clock;

/// How long a command that only lists things may take.
pub const SHORT: Duration = Duration::from_secs(10);
/// How often a command is looked at.
const LOOK: Duration = Duration::from_millis(2);

/// A process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its number.
    pub pid: u32,
    /// Bytes of memory that it holds.
    pub bytes: u64,
    /// Its program's name, as the system shortens it.
    pub name: String,
}

/// All processes below `pid`, nearest first, and itself in front.
#[must_use]
pub fn below(pid: u32) -> Vec<Process> {
    let listed = said(Command::new("ps").args(["-A", "-o", "pid=,ppid=,rss=,comm="]), SHORT);
    let all = listed.map(|(_, text)| parse(&text)).unwrap_or_default();
    let mut found: Vec<Process> =
        all.iter().filter(|(_, process)| process.pid == pid).map(|(_, own)| own.clone()).collect();
    let mut next = 0;
    while let Some(parent) = found.get(next).map(|process| process.pid) {
        found.extend(all.iter().filter(|(of, _)| *of == parent).map(|(_, process)| process.clone()));
        next += 1;
    }
    found
}

/// Parents and processes in lines of `ps`.
fn parse(text: &str) -> Vec<(u32, Process)> {
    let line = |line: &str| {
        let mut words = line.split_whitespace();
        let (pid, parent) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        let kib: u64 = words.next()?.parse().ok()?;
        let path = words.collect::<Vec<_>>().join(" ");
        let name = path.rsplit('/').next()?.to_owned();
        Some((parent, Process { pid, bytes: kib << 10, name }))
    };
    text.lines().filter_map(line).collect()
}

/// Runs a command to its end: how it ended, and all that it said.
///
/// # Errors
///
/// [`io::ErrorKind::TimedOut`] if it takes longer than `most`, and is killed; any other of the system.
pub fn said(command: &mut Command, most: Duration) -> io::Result<(ExitStatus, String)> {
    let mut file = unnamed_file()?;
    command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file.try_clone()?);
    let mut child = command.spawn()?;
    let began = clock::now();
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if clock::now().duration_since(began) > most {
            child.kill()?;
            child.wait()?;
            return Err(io::ErrorKind::TimedOut.into());
        }
        std::thread::sleep(LOOK);
    };
    Ok((status, text(&mut file)?))
}

/// A file that is gone with its last handle.
///
/// # Errors
///
/// The system's, if it cannot be made.
pub(super) fn unnamed_file() -> io::Result<File> {
    let name = std::env::temp_dir().join(format!("ringfort-{:016x}", getrandom::u64().map_err(io::Error::other)?));
    let file = File::options().read(true).write(true).create_new(true).open(&name)?;
    fs::remove_file(&name)?;
    Ok(file)
}

/// All that was written to `file`.
pub(super) fn text(file: &mut File) -> io::Result<String> {
    let mut bytes = Vec::new();
    file.rewind()?;
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Kills a process; it is fine if it is gone.
pub fn kill(pid: u32) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        let _gone_already = kill_process(pid, Signal::KILL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_ps() {
        let found = parse("  1 0 100 /sbin/init\n 20 1 8 my program\nnonsense\n");
        let process = |pid, bytes, name: &str| Process { pid, bytes, name: name.into() };
        assert_eq!(found, [(0, process(1, 102_400, "init")), (1, process(20, 8192, "my program"))]);
    }

    #[test]
    fn a_command_has_its_say_and_its_time() {
        let mut both = Command::new("sh");
        let (status, words) = said(both.args(["-c", "echo one; echo two >&2; exit 3"]), SHORT).expect("it runs");
        assert_eq!((status.code(), words.as_str()), (Some(3), "one\ntwo\n"));
        let endless = said(Command::new("sleep").arg("600"), Duration::from_millis(50));
        assert_eq!(endless.expect_err("too long").kind(), io::ErrorKind::TimedOut);
        assert!(said(&mut Command::new("no-such-program"), SHORT).is_err());
    }

    #[test]
    fn own_children_are_found_and_end() {
        let mut child = Command::new("sleep").arg("60").spawn().expect("sleep starts");
        let all = below(std::process::id());
        assert_eq!(all[0].pid, std::process::id());
        assert!(all.iter().any(|process| process.pid == child.id() && process.name == "sleep"), "{all:?}");
        kill(child.id());
        assert!(!child.wait().expect("it ends").success());
    }
}
