//! Processes of this machine: those below one, what memory they hold, and their end.

use std::process::Command;

use rustix::process::{Pid, Signal, kill_process};

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
    let listed = Command::new("ps").args(["-A", "-o", "pid=,ppid=,rss=,comm="]).output();
    let all = listed.map(|listed| parse(&String::from_utf8_lossy(&listed.stdout))).unwrap_or_default();
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
    fn own_children_are_found_and_end() {
        let mut child = Command::new("sleep").arg("60").spawn().expect("sleep starts");
        let all = below(std::process::id());
        assert_eq!(all[0].pid, std::process::id());
        assert!(all.iter().any(|process| process.pid == child.id() && process.name == "sleep"), "{all:?}");
        kill(child.id());
        assert!(!child.wait().expect("it ends").success());
    }
}
