//! What README and docs show can be done: their commands run in order, their pieces of job and machine files are accepted.

#![allow(clippy::unwrap_used, clippy::missing_panics_doc, reason = "tests")]
#![cfg(all(feature = "datacenter", target_os = "linux"))]

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use toml::{Table, Value};

mod mpi_common;

use mpi_common::{LONG, Launch, mpirun, signal, tell};

const COMPARE: &str = "out/compare --mtbf 3s --repair 1s --repeats 1 --set time.steps=60 \
                       --set 'checkpoint.every=\"15 steps\"' --set 'datacenter.lease=\"1 s\"'";

/// What would take minutes is made shorter: lines that begin so get these words more, unless `RINGFORT_DOCS=all`.
const SHORTER: [(&str, &str); 6] = [
    ("scripts/demo.sh", "240 60"),
    ("scripts/compare.sh", COMPARE),
    ("ringfort compare", "--set time.steps=50"),
    ("ringfort bench heat", "--steps 2 --steps-per-pass 1 --repeats 1"),
    ("ringfort bench", "--precision f32 --threads 2 --steps 1 --steps-per-pass 1 --repeats 1"),
    ("burgers bench", "--steps 2 --steps-per-pass 1 --repeats 1"),
];

/// Slurm for one line, in this folder: the script runs at once, on so many tasks.
const SBATCH: &str = r#"#!/usr/bin/env bash
set -euo pipefail
export SLURM_JOB_ID=1 SLURM_SUBMIT_DIR=$PWD SLURM_NTASKS=${1#--ntasks=}
exec bash "${@:3}"
"#;

/// A page of the documentation: its code, by language, in order.
struct Page {
    name: String,
    blocks: Vec<(String, String)>,
}

/// README and all of docs.
fn pages() -> Vec<Page> {
    let mut names = vec!["README.md".to_owned()];
    for folder in ["docs", "docs/kernels"] {
        let entries = fs::read_dir(root().join(folder)).unwrap();
        let files = entries.map(|entry| format!("{folder}/{}", entry.unwrap().file_name().to_str().unwrap()));
        names.extend(files.filter(|name| name.ends_with(".md")));
    }
    let page = |name: String| {
        let text = fs::read_to_string(root().join(&name)).unwrap();
        let mut blocks = Vec::new();
        for block in text.split("\n```").skip(1).step_by(2) {
            let (language, code) = block.split_once('\n').unwrap();
            assert!(["sh", "toml", "rust", "python", "text"].contains(&language), "{name}: nobody runs {language}");
            blocks.push((language.to_owned(), code.to_owned() + "\n"));
        }
        Page { name, blocks }
    };
    names.into_iter().map(page).collect()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// True when nothing is left out or made shorter: then programs are built from nothing, and it takes half an hour.
fn all() -> bool {
    std::env::var("RINGFORT_DOCS").is_ok_and(|said| said == "all")
}

/// `line` in `folder`, with our programs at hand.
fn launch(folder: &Path, line: &str) -> Launch {
    let home = Path::new(env!("CARGO_BIN_EXE_ringfort")).parent().unwrap();
    let others = std::env::var("PATH").unwrap_or_default();
    let path = format!("bin:target/release:{}:{}:{others}", home.display(), home.join("examples").display());
    // In a checkout the scripts build the program that they run.
    let line = if folder.join("Cargo.toml").exists() { format!("unset RINGFORT; {line}") } else { line.to_owned() };
    let launch =
        Launch::program(Path::new("bash")).words("-euo pipefail -c").word(&line).within(folder).env("PATH", path);
    match mpirun("docs") {
        Some(launcher) => launch.env("RINGFORT_MPIRUN", launcher),
        None => launch,
    }
}

/// Runs `line` in `folder`; it must end well.
fn run(folder: &Path, line: &str) {
    let long = if all() { 30 * LONG } else { 2 * LONG };
    let ended = launch(folder, line).start().end(long).expect(0);
    println!("{:.1} s: {line}", ended.seconds);
}

/// `base` with the keys of `piece`: tables take the place of tables, lists follow lists.
fn with(mut base: Table, piece: Table) -> Table {
    for (key, value) in piece {
        match (base.get_mut(&key), value) {
            (Some(Value::Array(all)), Value::Array(more)) => all.extend(more),
            (Some(Value::Table(all)), Value::Table(more)) => all.extend(more),
            (_, value) => drop(base.insert(key, value)),
        }
    }
    base
}

fn read(path: &str) -> Table {
    fs::read_to_string(root().join(path)).unwrap().parse().unwrap()
}

/// A folder with what the pages take for granted: examples, scripts, a job of their reader's, programs as if they had been built.
fn desk(page: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let desk = folder.path();
    if all() && page == "README.md" {
        run(desk, &format!("git clone -q {} .", root().display()));
    } else {
        for name in ["examples", "scripts"] {
            symlink(root().join(name), desk.join(name)).unwrap();
        }
        built(desk, &["ringfort"]);
    }
    fs::create_dir(desk.join("bin")).unwrap();
    fs::write(desk.join("bin/sbatch"), SBATCH).unwrap();
    fs::set_permissions(desk.join("bin/sbatch"), Permissions::from_mode(0o755)).unwrap();
    fs::copy(root().join("examples/plate.toml"), desk.join("job.toml")).unwrap();
    folder
}

/// Programs of the tests where `cargo build --release` in `folder` would put them.
fn built(folder: &Path, names: &[&str]) {
    let home = Path::new(env!("CARGO_BIN_EXE_ringfort")).parent().unwrap();
    let (from, to) = (
        |name| if name == "ringfort" { home.join(name) } else { home.join("examples").join(name) },
        folder.join("target/release"),
    );
    fs::create_dir_all(&to).unwrap();
    names.iter().for_each(|&name| symlink(from(name), to.join(name)).unwrap());
}

#[test]
fn pieces_of_files_are_accepted() {
    let folder = desk("");
    let mut count = 0;
    for Page { name, blocks } in pages() {
        for (number, (_, code)) in blocks.iter().enumerate().filter(|(_, (language, _))| language == "toml") {
            let piece: Table = code.parse().unwrap_or_else(|error| panic!("{name}: {error}\n{code}"));
            let path = folder.path().join(format!("{}-{number}.toml", name.replace('/', "-")));
            let said = path.to_str().unwrap();
            let is = |of: &str, key: &str, value: &str| {
                let table = piece.get(of).and_then(|some| some.as_array().map_or(Some(some), |list| list.first()));
                table.and_then(|table| table.get(key)).and_then(Value::as_str) == Some(value)
            };
            if piece.contains_key("nodes") {
                fs::write(&path, code).unwrap();
                run(folder.path(), &format!("ringfort plan job.toml --machine {said} --ranks 24"));
            } else {
                let (program, base) = match () {
                    () if piece.contains_key("grid") && piece.contains_key("kernel") => ("ringfort", Table::new()),
                    () if is("kernel", "name", "burgers") => ("burgers", read("src/cli/new/job.toml")),
                    () if is("source", "field", "pressure") => ("ringfort", read("examples/sound.toml")),
                    () => ("ringfort", read("examples/plate.toml")),
                };
                let mut job = with(base, piece);
                if program == "burgers" {
                    // Of the kernel that the job was for.
                    job["kernel"].as_table_mut().unwrap().remove("a");
                }
                fs::write(&path, job.to_string()).unwrap();
                run(folder.path(), &format!("{program} check {said}"));
            }
            count += 1;
        }
    }
    assert!(count >= 8, "{count} pieces");
}

#[test]
fn commands_run_in_order() {
    let pages = Mutex::new(pages().into_iter());
    let next = || pages.lock().unwrap().next();
    std::thread::scope(|threads| {
        for _ in 0..if all() { 1 } else { 2 } {
            threads.spawn(|| {
                while let Some(page) = next() {
                    blocks(&page);
                }
            });
        }
    });
}

/// Does what the blocks of a page say, in order.
fn blocks(Page { name, blocks }: &Page) {
    let desk = desk(name);
    let mut folder = desk.path().to_owned();
    fs::write(folder.join("m.toml"), "nodes = 2\nranks_per_node = 3\n").unwrap();
    if *name == "README.md" || *name == "docs/placement.md" {
        // Large enough for the ranks of the page.
        let large = "grid.points = [64, 64, 64]\nkernel.name = \"heat\"\ntime = { steps = 100, dt = 0.1 }\n\
                     fields = { temperature = 20.0, diffusivity = 1.0 }\ncheckpoint.every = \"10 steps\"\n";
        fs::write(folder.join("job.toml"), large).unwrap();
    }
    // What the page adds to the plate is there when its commands run.
    let mut plate = read("examples/plate.toml");
    let pieces = blocks.iter().filter(|(language, code)| language == "toml" && code.starts_with("[["));
    for (_, code) in pieces.filter(|(_, code)| code.contains("temperature")) {
        plate = with(plate, code.parse().unwrap());
    }
    fs::write(folder.join("plate.toml"), plate.to_string()).unwrap();
    for (language, code) in blocks {
        match language.as_str() {
            "sh" => commands(name, &mut folder, code),
            // What a page writes for a crate that its commands began.
            "rust" => fs::write(folder.join("src/main.rs"), code).unwrap(),
            "toml" if folder.join("src").is_dir() && folder != desk.path() => {
                let job = fs::read_to_string(folder.join("job.toml")).unwrap();
                let mut job = with(job.parse().unwrap(), code.parse().unwrap());
                job["kernel"].as_table_mut().unwrap().remove("a");
                fs::write(folder.join("job.toml"), job.to_string()).unwrap();
            }
            "python" => {
                let Some(python) = std::env::var_os("RINGFORT_PYTHON") else { continue };
                Launch::program(Path::new(&python)).words("-c").word(code).within(&folder).ends(0);
            }
            _ => {}
        }
    }
}

/// Runs the lines of a block, which may lead to another folder.
fn commands(page: &str, folder: &mut PathBuf, code: &str) {
    let lines = code.lines().map(|line| line.split("  #").next().unwrap().split(" # ").next().unwrap().trim());
    let lines: Vec<&str> = lines.filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    if let Some((first, [status, worker, drain])) = lines.split_first().filter(|_| code.contains("datacenter worker")) {
        workers(folder, [first, status, worker, drain]);
        return;
    }
    for line in lines {
        let mut line = line.replace("examples/plate.toml", "plate.toml");
        if let Some((_, more)) = SHORTER.iter().find(|(begin, _)| !all() && line.starts_with(begin)) {
            line = format!("{} {more}", line.replace("--repeats 3", "--repeats 1"));
        }
        println!("{page}: {line}");
        let words: Vec<&str> = line.split_whitespace().collect();
        let parallel = mpirun("docs").filter(|_| cfg!(feature = "mpi"));
        let line = match words[..] {
            ["cd", into] => {
                *folder = folder.join(into);
                if !all() {
                    built(folder, &[into]);
                }
                symlink(root().join("scripts"), folder.join("scripts")).unwrap();
                continue;
            }
            // This test is a part of it.
            ["scripts/test.sh"] => continue,
            ["cargo", ..] if !all() => {
                tell(&format!("SKIPPED  {page}: {line}; RINGFORT_DOCS=all builds"));
                continue;
            }
            ["scripts/demo.sh" | "scripts/compare.sh", ..] if parallel.is_none() => continue,
            // Its hosts are elsewhere.
            ["mpirun", "-n", ranks, "--rankfile", _, ..] => {
                format!("{} --steps 2 --threads 1 --local-ranks {ranks}", words[5..].join(" "))
            }
            // The power fails half-way.
            ["mpirun", "-n", ranks, ..] => match parallel {
                Some(launcher) => format!("{} {} --steps 120", launcher.display(), words[1..].join(" ")),
                None => format!("{} --local-ranks {ranks} --steps 120", words[3..].join(" ")),
            },
            ["RINGFORT=target/release/burgers", "scripts/restart.sh", dir, "-n", ranks] if parallel.is_none() => {
                format!("burgers restart {dir} --local-ranks {ranks}")
            }
            ["scripts/restart.sh", dir, "-n", ranks] if parallel.is_none() => {
                format!("ringfort restart {dir} --local-ranks {ranks}")
            }
            ["sbatch", ..] if parallel.is_none() => continue,
            ["sbatch", _, limit, script, job, _] => format!("sbatch --ntasks=2 {limit} {script} {job} run"),
            _ => line,
        };
        run(folder, &line);
    }
}

/// A block about workers: its first line once with so many steps that the others find it at work, and once as it is.
fn workers(folder: &Path, [first, status, worker, drain]: [&str; 4]) {
    // Should nobody be left to end it, it ends itself. A signal goes to the supervisor alone, once: a second would have it
    // leave before its workers are gone.
    let mut lasting =
        launch(folder, &format!("exec timeout --foreground 120 {first} --set time.steps=100000000")).start();
    let is_at_work = |pid: u32| {
        let status = launch(folder, status).ends_anyhow();
        status.out.contains(&pid.to_string()).then_some(())
    };
    lasting.wait_until(|_| is_at_work(0)).unwrap();
    run(folder, status);
    let mut worker = launch(folder, &format!("exec {worker}")).start();
    let pid = worker.pid();
    worker.wait_until(|_| is_at_work(pid)).unwrap();
    run(folder, &drain.replace("4711", &pid.to_string()));
    worker.ends(0);
    signal("TERM", lasting.pid());
    lasting.end(LONG);
    fs::remove_dir_all(folder.join("out/live")).unwrap();
    run(folder, first);
    run(folder, status);
}

/// All files of Rust below `folder`.
fn sources(folder: &Path, all: &mut String) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, all);
        } else if path.extension().is_some_and(|end| end == "rs") {
            all.push_str(&fs::read_to_string(path).unwrap());
        }
    }
}

#[test]
fn tests_that_the_page_on_failures_names_exist() {
    let page = fs::read_to_string(root().join("docs/failures.md")).unwrap();
    let mut all = String::new();
    ["src", "tests"].iter().for_each(|folder| sources(&root().join(folder), &mut all));
    let rows: Vec<&str> = page.lines().filter(|line| line.starts_with("| ")).skip(1).collect();
    assert_eq!(rows.len(), 25);
    for row in rows {
        let names: Vec<&str> = row.rsplit(" | ").next().unwrap().split('`').skip(1).step_by(2).collect();
        assert!(!names.is_empty(), "{row}");
        for name in names {
            assert!(all.contains(&format!("fn {name}(")), "{name}");
        }
    }
}
