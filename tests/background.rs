//! Checkpoints written while the run goes on: any operation of the disk may fail, and the copy is that of its step.
#![allow(clippy::unwrap_used, clippy::missing_panics_doc, reason = "tests")]

mod checkpoint_common;
mod common;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use checkpoint_common::{Fault, Faulty, RUN};
use common::jobs::{LIBRARY, Variant, text};
use common::layouts::{Bits, Case, on_ranks};
use common::runs::Way;
use ringfort::advance::library::Precise;
use ringfort::checkpoint::{self, Checkpoint, Disk, State, Store};
use ringfort::clock;
use ringfort::job::Job;
use ringfort::run::shape::Shape;
use ringfort::torus::background::Background;
use ringfort::torus::control::{Control, Marks, Wishes};
use ringfort::torus::peers::Peers;
use ringfort::torus::save::{self, Ended, Saved, Saver};
use ringfort::torus::session::Session;
use ringfort::torus::threads::Threads;
use ringfort_kernels::Role;

const RANKS: usize = 3;
/// Steps at which checkpoints are launched.
const LAUNCHED: [u64; 3] = [2, 5, 8];

/// What a rank saw: marks that all knew, and on rank 0 the ends of all checkpoints.
#[derive(Default)]
struct Seen {
    failed: u64,
    ended: Vec<Ended>,
}

/// One rank of a run of `job` whose checkpoints go to `store`: waits for each, taking steps meanwhile.
fn rank(job: &Job, dir: &Path, store: &Arc<dyn Store>, peers: &mut Threads) -> Seen {
    let kernel = LIBRARY.find(job.declaration.name).unwrap();
    let program = f64::program(kernel, &job.setup).unwrap();
    let shape = Shape::new(&job.grid, program.footprint(), RANKS, None, 1).unwrap();
    let made = Session::<f64>::new(job, kernel, (&shape, 1, RANKS), None, peers);
    let mut session = made.map_err(|failure| failure.report).unwrap();
    let saver =
        Saver { store: Arc::clone(store), run_dir: dir.into(), keep: 9.into(), fault: None, known: BTreeSet::new() };
    let mut background = Background::start(job, &session, saver).unwrap();
    let (mut control, mut seen, mut step) = (Control::default(), Seen::default(), 0);
    let mut round = |background: &mut Background<f64>, session: &mut Session<f64>, peers: &mut Threads| {
        let own = Wishes { flight: background.look(peers).unwrap(), ..Wishes::default() };
        let known: Marks = control.exchange(peers, own).unwrap().flight;
        seen.failed = known.failed;
        seen.ended.extend(background.heed(&known));
        // The state moves on whatever the writer does.
        session.start_exchange(peers);
        session.advance(peers, step..step + 1).unwrap();
        step += 1;
        step
    };
    for launched in LAUNCHED {
        // Rounds are taken at the pace of the ranks; the copy is that of a known step all the same.
        let mut at = 0;
        while at < launched {
            at = round(&mut background, &mut session, peers);
        }
        let (copied, sound) = background.copy(&session, at);
        assert!(sound);
        let series = (peers.rank() == 0).then(Default::default);
        background.launch(save::meta(job, &session, RUN.into(), at), (copied, series), RANKS, 0.0);
        let began = clock::now();
        while background.busy() {
            round(&mut background, &mut session, peers);
            assert!(clock::now().duration_since(began) < Duration::from_secs(50), "a flight that does not end");
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    control.complete(peers).unwrap();
    seen
}

/// Runs `job` with `store`; what rank 0 saw, and whether all ranks saw the same.
fn run(job: &Job, dir: &Path, store: Arc<dyn Store>) -> Seen {
    let mut all = on_ranks(RANKS, |peers| rank(job, dir, &store, peers));
    assert!(all.iter().all(|seen| seen.failed == all[0].failed), "all ranks know the same");
    assert!(all[1..].iter().all(|seen| seen.ended.is_empty()), "only rank 0 knows what became of it");
    all.swap_remove(0)
}

/// Asserts that the checkpoint in `folder` is the reference's state of its step.
fn is_its_own(case: &Case<f64>, folder: &Path) {
    let checkpoint = Checkpoint::open(&Disk, folder).unwrap();
    assert!(checkpoint.verify().is_empty());
    let step = usize::try_from(checkpoint.meta().step).unwrap();
    let region = case.job.grid.region();
    let mut values = vec![0.0_f64; region.cells()];
    for (slot, field) in case.job.declaration.of_role(Role::Component) {
        checkpoint.read_region(checkpoint.component(field.name).unwrap(), &region, &mut values).unwrap();
        let same = values.iter().zip(&case.states[step][slot]).all(|(one, other)| one.bits() == other.bits());
        assert!(same, "{} of step {step}", field.name);
    }
}

fn case(steps: u64) -> Case<f64> {
    // Parts that do not divide the grid: a full one, and border ones with padding.
    Case::new(&text(&[16, 7], &["\"periodic\"", "\"wall\""], Variant::GrayScott, "f64", steps))
}

#[test]
fn a_fault_at_any_operation_voids_one_checkpoint_and_the_run_goes_on() {
    let case = case(3000);
    let probe = Faulty::new(usize::MAX, Fault::Once);
    let dir = tempfile::tempdir().unwrap();
    let seen = run(&case.job, dir.path(), Arc::new(probe.clone()));
    assert_eq!(seen.ended.len(), LAUNCHED.len());
    assert!(probe.synced_before_commit());
    let count = probe.count();
    let (mut voided, mut told) = (0, 0);
    for fault in [Fault::Once, Fault::Short, Fault::Crash] {
        // Every operation of a flight; those of the later two alike, here and there.
        for at in (0..count).filter(|at| at % 7 == 0 || fault == Fault::Once && at * 3 < count + 9) {
            let dir = tempfile::tempdir().unwrap();
            let seen = run(&case.job, dir.path(), Arc::new(Faulty::new(at, fault)));
            let void = |ended: &Ended| matches!(ended.saved, Saved::Void { .. });
            let voids: Vec<u64> = seen.ended.iter().filter(|ended| void(ended)).map(|ended| ended.step).collect();
            assert_eq!(seen.ended.len(), LAUNCHED.len(), "each has an end");
            if fault != Fault::Crash {
                assert!(voids.len() <= 1, "{fault:?} at {at}: {voids:?}");
            }
            voided += voids.len();
            told += usize::from(seen.failed > 0);
            let mut whole = 0;
            for entry in checkpoint::scan(&Disk, dir.path()).unwrap() {
                if matches!(entry.state, State::Committed(_)) {
                    is_its_own(&case, &entry.folder);
                    whole += 1;
                } else {
                    assert_eq!(fault, Fault::Crash, "{fault:?} at {at}: what was made is removed");
                }
            }
            assert!(whole + voids.len() >= LAUNCHED.len(), "{fault:?} at {at}: {whole} whole, {voids:?} void");
        }
    }
    println!(
        "{count} operations of {} flights, 3 kinds of fault: {voided} checkpoints void, {told} since a rank could not write its part",
        LAUNCHED.len()
    );
    assert!(voided > count / 4 && told > 5);
}

#[test]
fn runs_with_and_without_a_copy_write_the_same() {
    let job = text(&[33, 12], &["\"wall\"", "\"periodic\""], Variant::GrayScott, "f32", 40)
        + "[checkpoint]\nevery = \"8 steps\"\nkeep = 9\n[[reduce]]\nname = \"u\"\nmap = \"u*v\"\nwith = \"sum\"\nevery = \"3 steps\"\n\
           [[probe]]\nname = \"p\"\nat = [3.0, 3.0]\nfield = \"u\"\nevery = \"2 steps\"\n";
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("job.toml");
    std::fs::write(&path, &job).unwrap();
    let straight = folder.path().join("straight");
    let waits = |way: Way| Way { set: vec!["checkpoint.async=false".into()], ..way };
    common::runs::start(Some(&path), &straight, &waits(Way::ranks(1, 40)));
    let read = |dir: &Path, name: &str| std::fs::read(dir.join(name)).unwrap();
    for ranks in 1..=4 {
        let dir = folder.path().join(format!("{ranks}"));
        common::runs::start(Some(&path), &dir, &Way { steps_per_exchange: 1 + ranks % 2, ..Way::ranks(ranks, 40) });
        let mut compared = 0;
        for entry in checkpoint::scan(&Disk, &dir).unwrap() {
            let open = |folder: &Path| Checkpoint::open(&Disk, folder).unwrap();
            let [ours, theirs] = [open(&entry.folder), open(&checkpoint::folder(&straight, entry.step))];
            assert!(checkpoint::compare(&ours, &theirs).unwrap().same(), "step {} on {ranks}", entry.step);
            compared += 1;
        }
        assert!(compared >= 2, "the first and the last are there");
        for name in ["sums.csv", "probes/p.csv"] {
            assert_eq!(read(&dir, name), read(&straight, name), "{name} on {ranks}");
        }
    }
}
