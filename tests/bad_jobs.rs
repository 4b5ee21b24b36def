//! Bad jobs end in an error that names file, line and column, what is wrong and what would be right.
#![allow(clippy::unwrap_used, reason = "a test that cannot prepare its files fails")]

use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use ringfort::job::{Job, JobError};

#[path = "bad_jobs/cases.rs"]
mod cases;
#[path = "bad_jobs/files.rs"]
mod files;
#[path = "bad_jobs/process.rs"]
mod process;

use cases::{Case, GOOD};
use files::prepare;

/// Reads the job and all values of its fields.
fn read(path: &Path, overrides: &[String]) -> Result<Job, JobError> {
    let job = Job::read(path, overrides, &ringfort::advance::library::SHIPPED)?;
    let region = job.grid.region();
    for (slot, source) in job.sources.iter().enumerate() {
        let mut values = vec![0.0; region.cells()];
        let filled = source.as_ref().map_or(Ok(()), |source| source.fill(&job.grid, &region, &mut values));
        filled.map_err(|error| job.refuse_input(slot, error))?;
    }
    Ok(job)
}

fn rendered(error: JobError) -> String {
    format!("{:?}", miette::Report::new(error))
}

/// The error as a user sees it; `None` if there is none.
fn refusal(path: &Path, overrides: &[&str]) -> Option<String> {
    let (done, wait) = mpsc::channel();
    let path = path.to_owned();
    let overrides: Vec<String> = overrides.iter().map(|&set| set.to_owned()).collect();
    thread::spawn(move || done.send(read(&path, &overrides).err().map(rendered)));
    wait.recv_timeout(Duration::from_secs(20)).expect("an answer within 20 s")
}

/// The message on one line, without the frame that miette draws.
fn flat(message: &str) -> String {
    let words: Vec<&str> = message.split_whitespace().filter(|word| *word != "│" && *word != "×").collect();
    words.join(" ")
}

/// What is wrong with the error `message`, if anything: `words` must be in it, and it must be short.
fn flaw(name: &str, message: Option<String>, words: &[&str]) -> Option<String> {
    let Some(message) = message else { return Some(format!("{name}: accepted")) };
    let missing = words.iter().find(|word| !flat(&message).contains(**word));
    let long = message.lines().count() >= 30 || message.len() > 20_000;
    (missing.is_some() || long || words.is_empty()).then(|| format!("{name}: no {missing:?} in\n{message}"))
}

fn check(name: &str, message: Option<String>, words: &[&str]) {
    assert_eq!(flaw(name, message, words).unwrap_or_default(), "");
}

/// True if `message` names a line and a column of the job file.
fn placed(message: &str) -> bool {
    let place = message.split("job.toml:").nth(1).unwrap_or("");
    let numbers: Vec<&str> = place.split([':', ']']).take(2).collect();
    numbers.len() == 2 && numbers.iter().all(|number| number.parse::<u32>().is_ok())
}

#[test]
fn bad_jobs_are_refused_with_their_place() {
    let folder = tempfile::tempdir().unwrap();
    prepare(folder.path());
    let path = folder.path().join("job.toml");
    let mut flaws = Vec::new();
    for Case { name, text, words } in cases::all() {
        std::fs::write(&path, &text).unwrap();
        let message = refusal(&path, &[]);
        if message.as_deref().is_some_and(|message| !placed(message)) {
            flaws.push(format!("{name}: no line:column in {message:?}"));
        }
        flaws.extend(flaw(name, message, words));
    }
    assert!(flaws.is_empty(), "{}", flaws.join("\n"));
}

#[test]
fn the_good_job_is_good() {
    let folder = tempfile::tempdir().unwrap();
    prepare(folder.path());
    let path = folder.path().join("job.toml");
    std::fs::write(&path, GOOD).unwrap();
    assert_eq!(refusal(&path, &[]), None);
    assert_eq!(refusal(&path, &["kernel.precision=f32", "time.steps=20", "image.0.every=\"4 steps\""]), None);
}

#[test]
fn bad_overrides_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    prepare(folder.path());
    let path = folder.path().join("job.toml");
    std::fs::write(&path, GOOD).unwrap();
    let cases: &[(&str, &[&str])] = &[
        (
            "kernel.presision=f32",
            &["unknown key `presision`", "`precision`", "job.toml with --set kernel.presision=f32:"],
        ),
        ("time.steps=many", &["expected a whole number", "with --set time.steps=many:14:9"]),
        ("fields.diffusivity.formula=1 +", &["ends too early", ":12:"]),
        ("grid.points=[3, 0]", &["0 points along an axis"]),
        ("torus.ranks.7=1", &["--set torus.ranks.7=1", "no position"]),
        ("image.9.every=1", &["no table of the job"]),
        ("name.of=1", &["is no table"]),
        ("steps", &["write it as key=value"]),
        ("=3", &["is no key"]),
        ("a b=3", &["is no key"]),
    ];
    for (set, words) in cases {
        check(set, refusal(&path, &[set]), words);
    }
}

#[test]
fn what_is_no_text_is_no_job() {
    let folder = tempfile::tempdir().unwrap();
    prepare(folder.path());
    let large = folder.path().join("large.toml");
    std::fs::write(&large, " ".repeat((1 << 20) + 1)).unwrap();
    for (path, words) in [
        (folder.path().join("none.toml"), &["cannot read the job file", "No such file"]),
        (folder.path().join("folder"), &["is a folder", "TOML file"]),
        (folder.path().join("pipe"), &["not a regular file", "TOML file"]),
        ("/dev/zero".into(), &["not a regular file", "TOML file"]),
        (folder.path().join("nan.npy"), &["cannot read the job file", "UTF-8"]),
        (large, &["larger than 1 MiB", "TOML file"]),
    ] {
        check(&path.display().to_string(), refusal(&path, &[]), words);
    }
}

/// Cut anywhere or with a character replaced anywhere, the job is read or refused, and never panics.
#[test]
fn damaged_text_never_panics() {
    let folder = tempfile::tempdir().unwrap();
    prepare(folder.path());
    let path = folder.path().join("job.toml");
    for at in 0..GOOD.len() {
        let (before, after) = (&GOOD[..at], &GOOD[at + 1..]);
        for damaged in [before.to_owned(), format!("{before}\"{after}"), format!("{before}9{after}")] {
            let _ = Job::parse(&damaged, &path, &[], &ringfort::advance::library::SHIPPED).map_err(rendered);
        }
    }
}
