//! Same bits on any number of MPI ranks, local ranks and threads, with halos of any depth, and after restarts on others.

#![cfg(feature = "mpi")]
#![allow(clippy::unwrap_used, reason = "tests")]

mod mpi_common;

use std::path::Path;

use mpi_common::{Bench, LONG, Launch, assert_same_bits, events, heat, is_mpich, mpirun, run_json, step, tell};

const RANKS: [usize; 6] = [1, 2, 3, 4, 6, 8];

/// Points, boundary, varying diffusivity, and ranks along each axis for some numbers of ranks.
type Case = (&'static str, &'static str, bool, &'static [(usize, &'static str)]);

const CASES: [Case; 9] = [
    ("37", "\"periodic\"", false, &[(8, "8")]),
    ("43", "[\"fixed\", \"open\"]", true, &[(6, "6")]),
    ("29", "[\"wall\", \"fixed\"]", true, &[]),
    ("23, 19", "\"periodic\", \"periodic\"", true, &[(2, "1x2"), (4, "1x4"), (6, "2x3"), (8, "8x1")]),
    ("19, 23", "\"wall\", \"open\"", false, &[(3, "3x1"), (6, "1x6"), (8, "2x4")]),
    ("17, 31", "[\"open\", \"wall\"], \"fixed\"", true, &[(3, "1x3"), (4, "4x1")]),
    ("13, 11, 9", "\"periodic\", \"periodic\", \"periodic\"", true, &[(3, "1x1x3"), (6, "1x2x3"), (8, "4x2x1")]),
    ("7, 10, 13", "\"wall\", \"fixed\", \"periodic\"", false, &[(2, "1x1x2"), (4, "1x4x1"), (8, "2x2x2")]),
    ("9, 5, 11", "\"open\", [\"wall\", \"open\"], \"wall\"", true, &[(6, "3x1x2"), (8, "1x2x4")]),
];

/// Adds the run in `dir` to `in_force`, which counts runs by steps between two exchanges.
fn count(dir: &Path, asked: usize, in_force: &mut [usize; 5]) {
    let steps = usize::try_from(run_json(dir)["steps_per_exchange"].as_u64().unwrap()).unwrap();
    assert!((1..=asked).contains(&steps), "{steps} of {asked} in {}", dir.display());
    in_force[steps - 1] += 1;
}

#[test]
fn any_ranks_threads_and_halos_give_the_same_bits() {
    let Some(mpirun) = mpirun("same bits under mpirun") else { return };
    let (mut launched, mut local) = ([0; 5], [0; 5]);
    for (number, (points, boundary, varying, cuts)) in CASES.into_iter().enumerate() {
        let bench = Bench::new(&heat(points, boundary, varying, 23, "10 steps"));
        let undisturbed = bench.undisturbed("");
        let different = Launch::alone().words("checkpoint diff").path(&undisturbed).path(&step(&undisturbed, 10));
        different.ends(1);
        for (at, ranks) in RANKS.into_iter().enumerate() {
            let threads = 1 + (2 * number + at) % 4;
            let halo = 1 + (number + at) % 5;
            let given = cuts.iter().find(|(count, _)| *count == ranks);
            let given = given.map_or(String::new(), |(_, cut)| format!("--ranks {cut}"));
            let dir = bench.dir(&format!("mpi-{ranks}"));
            Launch::ranks(mpirun, ranks)
                .run(&bench.job, &dir)
                .words(&format!("{given} --threads {threads} --steps-per-exchange {halo}"))
                .ends(0);
            assert_same_bits(&undisturbed, &dir);
            assert_same_bits(&step(&undisturbed, 20), &step(&dir, 20));
            count(&dir, halo, &mut launched);
            // They know nothing of MPI: once is enough.
            for halo in [halo % 5 + 1, (halo + 2) % 5 + 1].into_iter().filter(|_| !is_mpich(mpirun)) {
                let dir = bench.dir(&format!("local-{ranks}-{halo}"));
                let local_ranks = if ranks == 1 { String::new() } else { format!("--local-ranks {ranks}") };
                Launch::alone()
                    .run(&bench.job, &dir)
                    .words(&format!("{given} {local_ranks} --threads {} --steps-per-exchange {halo}", 5 - threads))
                    .ends(0);
                assert_same_bits(&undisturbed, &dir);
                count(&dir, halo, &mut local);
            }
        }
    }
    assert!(launched.iter().all(|&runs| runs > 1), "{launched:?}");
    assert!(is_mpich(mpirun) || local.iter().all(|&runs| runs > 1), "{local:?}");
    tell(&format!(
        "same bits: {} runs under mpirun and {} without, of {} jobs; T = 1 to 5 in force in {launched:?} and {local:?}",
        launched.iter().sum::<usize>(),
        local.iter().sum::<usize>(),
        CASES.len()
    ));
}

#[test]
fn restarts_on_other_ranks_give_the_same_bits() {
    let Some(mpirun) = mpirun("restarts on other ranks") else { return };
    let mut restarts = 0;
    let chains: [(&str, &str, bool, &[usize]); 3] = [
        ("23, 19", "\"periodic\", \"wall\"", true, &[1, 2, 3, 4, 6, 8, 1, 3, 6, 2, 8, 4, 1]),
        ("9, 11, 13", "\"fixed\", \"periodic\", \"open\"", false, &[8, 3, 2, 6, 1, 8, 6, 4, 3, 1, 4, 2]),
        ("37", "\"wall\"", true, &[6, 3, 8, 2, 4, 8]),
    ];
    for (points, boundary, varying, ranks) in chains {
        let bench = Bench::new(&heat(points, boundary, varying, 100, "1 step"));
        let undisturbed = bench.undisturbed("");
        let dir = bench.dir("run");
        let mut at = 3;
        Launch::ranks(mpirun, ranks[0]).run(&bench.job, &dir).words("--threads 1 --steps 3").ends(0);
        for (number, pair) in ranks.windows(2).enumerate() {
            let from = at;
            at += [1, 2, 5, 7][number % 4];
            let more = format!("--threads 1 --steps {at} --steps-per-exchange {}", 1 + number % 3);
            let ended = if number % 2 == 0 {
                Launch::restart_sh(mpirun, &dir).words(&format!("-n {} {more}", pair[1])).ends(0)
            } else {
                Launch::ranks(mpirun, pair[1]).words("restart").path(&dir).words(&more).ends(0)
            };
            ended.says(&format!("step {from}, written"));
            assert_same_bits(&step(&undisturbed, at), &dir);
            restarts += 1;
        }
        // What is left, on as many ranks as the run had last.
        Launch::restart_sh(mpirun, &dir).words("--threads 1").ends(0);
        let last = ranks[ranks.len() - 1] as u64;
        let starts = events(&dir).into_iter().rfind(|event| event["event"] == "start").unwrap();
        assert_eq!(starts["ranks"].as_u64(), Some(last));
        assert_same_bits(&undisturbed, &dir);
        restarts += 1;
    }
    tell(&format!("restarts on other ranks: {restarts}"));
}

#[test]
fn sums_are_the_same_bytes_after_a_rank_dies_and_a_restart_on_others() {
    let Some(mpirun) = mpirun("sums under mpirun") else { return };
    let reduces = "[[reduce]]\nname = \"total\"\nmap = \"temperature * diffusivity\"\nwith = \"sum\"\nevery = \"2 steps\"\n\
                   [[reduce]]\nname = \"spread\"\nmap = \"temperature\"\nwith = \"histogram\"\nbins = 5\nlow = 250\nhigh = 350\n\
                   every = \"3 steps\"\n";
    let bench = Bench::new(&(heat("13, 11, 9", "\"fixed\", \"open\", \"wall\"", true, 23, "10 steps") + reduces));
    let sums = |dir: &Path| std::fs::read_to_string(dir.join("sums.csv")).unwrap();
    let expected = sums(&bench.undisturbed(""));
    let steps = |every: usize| 23 / every + 1;
    assert_eq!(expected.lines().count(), 1 + steps(2) + 7 * steps(3));
    let dir = bench.dir("mpi");
    let going = Launch::ranks(mpirun, 3).fault("abort@step=17,part=1").run(&bench.job, &dir).start();
    assert_ne!(going.end(LONG).code, 0, "a rank died");
    assert_ne!(sums(&dir), expected);
    Launch::restart_sh(mpirun, &dir).words("-n 4 --steps-per-exchange 3").ends(0);
    assert_eq!(sums(&dir), expected);
    tell("sums: the same bytes after the death of a rank and a restart on others");
}

/// A lake with dry shores, a wave that comes in, and a round axis.
const LAKE: &str = r#"
name = "lake"
[grid]
points = [61, 97]
boundary = ["wall", "periodic"]
[kernel]
name = "shallow-water"
gravity = 0.5
manning = 0.1
coriolis = 0.3
[fields]
surface = { formula = "0.3*exp(-((x-40)^2 + (y-25)^2) / 9)" }
bed = { formula = "-1 + 1.4*step(12.5 - y) + 0.2*sin(0.7*x)" }
[time]
steps = 40
dt = 0.1
[checkpoint]
every = "10 steps"
async = false
[[output]]
fields = ["surface"]
every = "4 steps"
"#;

#[test]
fn water_has_the_same_bits_on_any_ranks_and_after_a_death() {
    let Some(mpirun) = mpirun("water under mpirun") else { return };
    let bench = Bench::new(LAKE);
    let undisturbed = bench.undisturbed("");
    let mut in_force = [0; 5];
    for (at, ranks) in RANKS.into_iter().enumerate() {
        for steps in [1 + (at + 4) % 5, 1 + (at + 1) % 5] {
            let dir = bench.dir(&format!("mpi-{ranks}-{steps}"));
            let more = format!("--threads {} --steps-per-exchange {steps}", 1 + (at + steps) % 4);
            Launch::ranks(mpirun, ranks).run(&bench.job, &dir).words(&more).ends(0);
            assert_same_bits(&undisturbed, &dir);
            count(&dir, steps, &mut in_force);
        }
    }
    assert!(in_force.iter().all(|&runs| runs > 0), "{in_force:?}");
    let chunks = |dir: &Path| -> Vec<Vec<u8>> {
        (0..=10).map(|time| std::fs::read(dir.join(format!("fields.zarr/surface/c/{time}/0/0"))).unwrap()).collect()
    };
    let dir = bench.dir("killed");
    let going = Launch::ranks(mpirun, 4).fault("abort@step=27,part=2").run(&bench.job, &dir).start();
    assert_ne!(going.end(LONG).code, 0, "a rank died");
    Launch::restart_sh(mpirun, &dir).words("-n 6 --threads 1").ends(0);
    assert_same_bits(&undisturbed, &dir);
    assert_eq!(chunks(&dir), chunks(&undisturbed));
    let metadata = |dir: &Path| std::fs::read(dir.join("fields.zarr/zarr.json")).unwrap();
    assert_eq!(metadata(&dir), metadata(&undisturbed), "eleven times, none twice");
    let runs: usize = in_force.iter().sum();
    tell(&format!(
        "water: {runs} runs under mpirun, T = 1 to 5 in force in {in_force:?}, and one restarted after a death"
    ));
}
