//! `ringfort checkpoint now`.
//!
//! Input: the folder of a run and how long to wait. Output: what came of the request, and its exit code. Invariant:
//! the wait ends with an answer, with the job, with an error or after that time, and no request is left behind. The
//! log's end is found before the request is written, and the job is looked at before the log is read: so no answer is
//! missed.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Seek, SeekFrom};
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use super::print;
use super::text::size;
use crate::checkpoint::{RunId, folder, shown};
use crate::clock;
use crate::exit::{Exit, Failure};
use crate::observe::record::RunRecord;
use crate::run::{folder as run_folder, request};

/// Time between two looks at what the job tells.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Asks the job that runs in `dir` for a checkpoint and tells what came of it, within `most`.
pub(super) fn now(dir: &Path, most: Duration) -> Result<Exit, Failure> {
    let record = RunRecord::read(&dir.join("run.json")).map_err(|error| Failure::new(Exit::Usage, error))?;
    if record.start.mode == "datacenter" {
        return Err(Failure::usage(
            "a run in data-center mode takes its checkpoints at the steps that its job says; none can be asked for",
        ));
    }
    if run_folder::holder(dir)?.is_none() {
        return Err(Failure::usage(format!("no job runs in {}", dir.display())));
    }
    let path = dir.join("events.jsonl");
    let failed = |error: std::io::Error| Failure::usage(format!("cannot read {}: {error}", path.display()));
    let mut events = File::open(&path).map_err(failed)?;
    events.seek(SeekFrom::End(0)).map_err(failed)?;
    let mut events = BufReader::new(events);
    let id = RunId::random().map_err(|error| Failure::usage(format!("no random bytes for a request: {error}")))?;
    let id = id.to_string();
    request::ask(dir, &id).map_err(|error| Failure::usage(format!("cannot write to {}: {error}", dir.display())))?;
    let ended = wait(dir, &id, &mut events, most);
    // One that was answered is gone already.
    request::withdraw(dir, &id);
    ended.unwrap_or_else(|error| Err(failed(error)))
}

/// Waits for the answer to request `id` in the log, whose lines are given from there on, within `most`.
fn wait(dir: &Path, id: &str, events: &mut impl BufRead, most: Duration) -> io::Result<Result<Exit, Failure>> {
    let began = clock::now();
    let mut line = Vec::new();
    loop {
        let over = clock::now().duration_since(began) > most;
        // Looked at first: a job that ends now may have told before.
        let runs = match run_folder::holder(dir) {
            Ok(holder) => holder.is_some(),
            Err(failure) => return Ok(Err(failure.into())),
        };
        while events.read_until(b'\n', &mut line)? > 0 && line.ends_with(b"\n") {
            if let Some(ended) = answer(dir, &line, id) {
                return Ok(ended);
            }
            line.clear();
        }
        if over || !runs {
            let why = if runs { format!("did not answer within {} s", most.as_secs()) } else { "ended".into() };
            let words = format!("the job in {} {why}; it may still write the checkpoint", dir.display());
            return Ok(Err(Failure::usage(words)));
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

/// What a line of the log says of request `id`.
fn answer(dir: &Path, line: &[u8], id: &str) -> Option<Result<Exit, Failure>> {
    let event: Value = serde_json::from_slice(line).ok()?;
    if event["request"] != id {
        return None;
    }
    let step = event["step"].as_u64()?;
    let name = shown(&folder(dir, step), "");
    match event["event"].as_str()? {
        "checkpoint" => {
            let (bytes, seconds) = (event["bytes"].as_u64()?, event["write_seconds"].as_f64()?);
            print(&format!("{name}: {} written in {seconds:.3} s\n", size(bytes)));
            Some(Ok(Exit::Done))
        }
        "checkpoint-present" => {
            print(&format!("{name} is there already\n"));
            Some(Ok(Exit::Done))
        }
        "checkpoint-failed" => {
            let reason = event["reason"].as_str().unwrap_or("for no reason that it gave");
            let words = format!("{name} could not be written: {reason}; the run goes on");
            Some(Err(Failure { exit: Exit::Unsaved, ..Failure::usage(words) }))
        }
        _ => None,
    }
}
