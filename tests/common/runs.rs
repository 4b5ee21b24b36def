//! Runs of a job's file in a folder, on local ranks, as the program makes them.

use std::path::Path;
use std::sync::Mutex;

use ringfort::exit::{Exit, Failure};
use ringfort::run::folder::How;
use ringfort::run::signal::Signals;
use ringfort::torus::run::{Request, run};

use super::jobs::LIBRARY;
use super::layouts::on_ranks;

/// How a run is laid out, and where it stops.
#[derive(Clone, Debug)]
pub struct Way {
    /// Along each axis; the best cuts if none.
    pub parts: Option<Vec<usize>>,
    pub ranks: usize,
    pub threads: usize,
    pub steps_per_exchange: usize,
    pub steps: u64,
    /// Overrides beside that of the last step.
    pub set: Vec<String>,
}

impl Way {
    /// On parts, one thread each, one step per exchange, to step `steps`.
    pub fn on(parts: &[usize], steps: u64) -> Self {
        Self { parts: Some(parts.to_vec()), ..Self::ranks(parts.iter().product(), steps) }
    }

    /// The same on ranks with the best cuts.
    pub fn ranks(ranks: usize, steps: u64) -> Self {
        Self { parts: None, ranks, threads: 1, steps_per_exchange: 1, steps, set: Vec::new() }
    }
}

/// Runs the job at `path` in `dir` (goes on with what is there if `path` is none); gives what was said.
pub fn start(path: Option<&Path>, dir: &Path, way: &Way) -> Vec<String> {
    let (ends, said) = launch(path, dir, way);
    for ended in ends {
        assert_eq!(ended.map_err(|failure| failure.report).unwrap(), Exit::Done);
    }
    said
}

/// Asserts that going on with what is in `dir` is refused as damaged; gives why.
pub fn refused(dir: &Path, way: &Way) -> String {
    let failures: Vec<_> = launch(None, dir, way).0.into_iter().map(Result::unwrap_err).collect();
    assert!(failures.iter().all(|failure| failure.exit == Exit::Damaged), "{failures:?}");
    failures[0].report.to_string()
}

fn launch(path: Option<&Path>, dir: &Path, way: &Way) -> (Vec<Result<Exit, Failure>>, Vec<String>) {
    let request = Request {
        branch: None,
        job: path.map(Into::into),
        overrides: [vec![format!("time.steps={}", way.steps)], way.set.clone()].concat(),
        dir: Some(dir.into()),
        how: if path.is_some() { How::New } else { How::Restart },
        ranks: way.parts.clone(),
        threads: way.threads,
        steps_per_exchange: Some(way.steps_per_exchange),
        max_time: None,
        mpi: None,
        ranks_here: way.ranks,
        library: LIBRARY,
        signals: Signals::default(),
    };
    let said = Mutex::new(Vec::new());
    let ends = on_ranks(way.ranks, |peers| run(&request, peers, &|line| said.lock().unwrap().push(line.to_owned())));
    (ends, said.into_inner().unwrap())
}
