//! Small jobs of a few seconds, each with the undisturbed run that all others must agree with.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::mpi_common::{Bench, Launch, heat, step};

/// A job, and what comes of it undisturbed.
pub(crate) struct Job {
    pub(crate) bench: Bench,
    pub(crate) undisturbed: PathBuf,
    pub(crate) steps: u64,
    pub(crate) every: u64,
    pub(crate) blocks: usize,
}

impl Job {
    pub(crate) fn new(text: &str, (steps, every, blocks): (u64, u64, usize)) -> Self {
        let bench = Bench::new(text);
        let undisturbed = bench.dir("undisturbed");
        let run = Launch::alone().run(&bench.job, &undisturbed);
        run.words("--local-ranks 1 --threads 1 --set checkpoint.keep=100000").ends(0);
        Self { bench, undisturbed, steps, every, blocks }
    }

    /// Asserts that the last checkpoint in `dir` has the bits of the undisturbed run.
    pub(crate) fn same(&self, dir: &Path) {
        super::mpi_common::assert_same_bits(&step(&self.undisturbed, self.steps), &step(dir, self.steps));
    }
}

fn datacenter(blocks: &str, round: usize) -> String {
    format!("[datacenter]\nblocks = [{blocks}]\nsteps_per_round = {round}\nlease = \"1 s\"\n")
}

fn image(every: u64, plane: &str) -> String {
    format!("[[image]]\nfield = \"temperature\"\nevery = \"{every} steps\"\n{plane}range = [240, 360]\n")
}

fn sums(every: u64) -> String {
    let sum =
        format!("[[reduce]]\nname = \"heat\"\nmap = \"temperature\"\nwith = \"sum\"\nevery = \"{every} steps\"\n");
    sum.clone() + &sum.replace("\"heat\"", "\"most\"").replace("\"sum\"", "\"max\"")
}

/// The jobs of the disturbed runs.
pub(crate) fn all() -> &'static [Job] {
    static ALL: OnceLock<Vec<Job>> = OnceLock::new();
    ALL.get_or_init(|| {
        let flat = heat("141, 153", "\"wall\", \"periodic\"", true, 2400, "100 steps");
        let deep = heat("29, 31, 37", "\"periodic\", \"wall\", \"periodic\"", true, 1300, "50 steps");
        let seen = heat("97, 101", "\"periodic\", \"fixed\"", true, 2000, "200 steps");
        let thin = heat("61, 67", "\"wall\", \"wall\"", false, 2310, "70 steps");
        let jobs = [
            (flat + &datacenter("3, 2", 4), (2400, 100, 6)),
            (deep + &datacenter("2, 1, 2", 3) + &image(130, "plane = \"z=0.1\"\n"), (1300, 50, 4)),
            (seen + &datacenter("3, 3", 5) + &image(150, "") + &sums(50), (2000, 200, 9)),
            (thin + &datacenter("1, 3", 2) + &sums(35), (2310, 70, 3)),
        ];
        jobs.into_iter().map(|(text, numbers)| Job::new(&text, numbers)).collect()
    })
}

/// Names and bytes of the files below `dir`, which need not be there.
pub(crate) fn files(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut all = Vec::new();
    let mut open = vec![dir.to_path_buf()];
    while let Some(at) = open.pop() {
        for entry in fs::read_dir(&at).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                open.push(path);
            } else {
                let bytes = fs::read(&path).unwrap_or_default();
                all.push((path.strip_prefix(dir).unwrap().to_path_buf(), bytes));
            }
        }
    }
    all.sort();
    all
}
