//! What README and docs show can be done: their commands run in order, their pieces of job and machine files are accepted.

#![allow(clippy::unwrap_used, clippy::missing_panics_doc, reason = "tests")]
#![cfg(feature = "datacenter")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;

use toml::{Table, Value};

/// Lines that begin so are not run here, and why.
const NOT_RUN: [(&str, &str); 17] = [
    ("scripts/demo.sh", "builds and takes minutes; run by hand"),
    ("scripts/test.sh", "this test is a part of it"),
    ("scripts/compare.sh", "takes minutes"),
    ("cargo ", "builds; what a new kernel begins with is built and run by tests/new.rs"),
    ("cd ", "not a command of Ringfort"),
    ("sbatch ", "needs Slurm; scripts/slurm.sh starts one"),
    ("benches/", "speed"),
    ("ringfort bench", "speed; tests/bench.rs"),
    ("burgers bench", "speed"),
    ("ringfort compare", "tests/compare.rs"),
    ("ringfort checkpoint diff A B", "A and B stand for checkpoints; other lines compare some"),
    ("ringfort datacenter worker", "needs a run that lasts; tests/datacenter_chaos.rs"),
    ("ringfort datacenter drain", "needs a run that lasts; tests/datacenter_chaos.rs"),
    ("ringfort new kernel", "tests/new.rs"),
    ("mpirun -n 96", "96 ranks; tests/plan.rs places ranks by a rankfile"),
    ("mpirun -n 4 target/release/burgers", "its own line; see the next ones"),
    ("RINGFORT=", "scripts/restart.sh; tests/mpi_kill.rs"),
];

/// A page of the documentation: its code, by language, in order.
struct Page {
    name: &'static str,
    blocks: Vec<(String, String)>,
}

fn pages() -> Vec<Page> {
    let names = [
        "README.md",
        "docs/first-job.md",
        "docs/outputs.md",
        "docs/restart.md",
        "docs/data-center.md",
        "docs/batch.md",
        "docs/ensemble.md",
        "docs/failures.md",
        "docs/limits.md",
        "docs/same-bits.md",
        "docs/first-kernel.md",
        "docs/format.md",
        "docs/placement.md",
        "docs/two-worlds.md",
        "docs/kernels/elastic.md",
        "docs/kernels/euler.md",
        "docs/kernels/lattice-boltzmann.md",
        "docs/kernels/life.md",
        "docs/kernels/maxwell.md",
    ];
    let page = |name: &'static str| {
        let text = fs::read_to_string(root().join(name)).unwrap();
        let mut blocks = Vec::new();
        for block in text.split("\n```").skip(1).step_by(2) {
            let (language, code) = block.split_once('\n').unwrap();
            blocks.push((language.to_owned(), code.to_owned() + "\n"));
        }
        Page { name, blocks }
    };
    names.map(page).into()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Runs `line` in `folder` with our programs at hand; it must end well.
fn run(folder: &Path, line: &str) {
    let home = Path::new(env!("CARGO_BIN_EXE_ringfort")).parent().unwrap();
    let others = std::env::var("PATH").unwrap_or_default();
    let path = format!("{}:{}:{others}", home.display(), home.join("examples").display());
    let bash = &mut Command::new("bash");
    let output = bash.args(["-euo", "pipefail", "-c", line]).env("PATH", path).current_dir(folder).output().unwrap();
    let [out, err] = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    assert!(output.status.success(), "`{line}`: {}\n{out}{err}", output.status);
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

/// A folder with what the pages take for granted: the examples, a job of their reader's, a machine.
fn desk() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(root().join("examples"), folder.path().join("examples")).unwrap();
    fs::copy(root().join("examples/plate.toml"), folder.path().join("job.toml")).unwrap();
    folder
}

#[test]
fn pieces_of_files_are_accepted() {
    let folder = desk();
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
    let unused = Mutex::new(BTreeSet::from(NOT_RUN.map(|(line, _)| line)));
    let pages = Mutex::new(pages().into_iter());
    let next = || pages.lock().unwrap().next();
    std::thread::scope(|threads| {
        for _ in 0..2 {
            threads.spawn(|| {
                while let Some(page) = next() {
                    commands(&page, &unused);
                }
            });
        }
    });
    let unused = unused.into_inner().unwrap();
    assert!(unused.is_empty(), "no page says {unused:?}");
}

/// Runs the commands of a page; the lines that are not run leave `unused`.
fn commands(Page { name, blocks }: &Page, unused: &Mutex<BTreeSet<&str>>) {
    let folder = desk();
    let folder = folder.path();
    fs::write(folder.join("m.toml"), "nodes = 2\nranks_per_node = 3\n").unwrap();
    if *name == "README.md" || *name == "docs/placement.md" {
        // Large enough for the ranks of the page, and never run.
        let large = "grid.points = [64, 64, 64]\nkernel.name = \"heat\"\ntime = { steps = 100, dt = 0.1 }\n\
                     fields = { temperature = 20.0, diffusivity = 1.0 }\n";
        fs::write(folder.join("job.toml"), large).unwrap();
    }
    // What the page adds to the plate is there when its commands run.
    let mut plate = read("examples/plate.toml");
    let pieces = blocks.iter().filter(|(language, code)| language == "toml" && code.starts_with("[["));
    for (_, code) in pieces.filter(|(_, code)| code.contains("temperature")) {
        plate = with(plate, code.parse().unwrap());
    }
    fs::write(folder.join("plate.toml"), plate.to_string()).unwrap();
    if *name == "docs/first-kernel.md" {
        let piece = blocks.iter().find(|(language, _)| language == "toml").unwrap().1.parse().unwrap();
        let mut job = with(read("src/cli/new/job.toml"), piece);
        job["kernel"].as_table_mut().unwrap().remove("a");
        fs::write(folder.join("job.toml"), job.to_string()).unwrap();
    }
    let commands = blocks.iter().filter(|(language, _)| language == "sh").flat_map(|(_, code)| code.lines());
    for line in commands {
        let line = line.split("  #").next().unwrap().split(" # ").next().unwrap().trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some((begin, _)) = NOT_RUN.iter().find(|(begin, _)| line.starts_with(begin)) {
            unused.lock().unwrap().remove(begin);
            continue;
        }
        let line = line.replace("examples/plate.toml", "plate.toml");
        println!("{name}: {line}");
        let words: Vec<&str> = line.split_whitespace().collect();
        let line = match words[..] {
            // Ranks are threads here, and the power fails half-way.
            ["mpirun", "-n", ranks, "ringfort", ..] => {
                format!("{} --local-ranks {ranks} --steps 120", words[3..].join(" "))
            }
            ["scripts/restart.sh", dir, "-n", ranks] => format!("ringfort restart {dir} --local-ranks {ranks}"),
            ["ringfort" | "burgers" | "for", ..] => line,
            _ => panic!("{name}: the test does not know how to run `{line}`"),
        };
        run(folder, &line);
    }
    let Some(python) = std::env::var_os("RINGFORT_PYTHON") else { return };
    for (_, code) in blocks.iter().filter(|(language, _)| language == "python") {
        let output = Command::new(&python).args(["-c", code]).current_dir(folder).output().unwrap();
        assert!(output.status.success(), "{name}: {code}\n{}", String::from_utf8_lossy(&output.stderr));
    }
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
