//! A step allocates nothing, on local ranks and under mpirun.
//!
//! All allocations of the process are counted while ranks take steps. Between two checkpoints or reports there may be none, with one
//! exception: each 63 times that a rank hands work to its threads, rayon's queue takes a new block.
#![allow(clippy::unwrap_used, clippy::missing_panics_doc, reason = "tests")]
#![allow(clippy::print_stdout, reason = "a test without harness")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::path::Path;
#[cfg(feature = "mpi")]
use std::process::Command;
use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ringfort::advance::library::{Precise, SHIPPED};
use ringfort::job::Job;
use ringfort::run::folder::How;
use ringfort::run::shape::Shape;
use ringfort::run::signal::Signals;
use ringfort::torus::control::{Control, Wishes};
use ringfort::torus::peers::Peers;
use ringfort::torus::run::{Request, run};
use ringfort::torus::session::Session;
use ringfort::torus::threads::Threads;

/// Counts what is allocated.
struct Counting;

static COUNT: AtomicU64 = AtomicU64::new(0);

#[expect(unsafe_code, reason = "an allocator")]
// SAFETY: the system's allocator, as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.fetch_add(1, Ordering::Relaxed);
        // SAFETY: passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        COUNT.fetch_add(1, Ordering::Relaxed);
        // SAFETY: passed on.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, old: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        COUNT.fetch_add(1, Ordering::Relaxed);
        // SAFETY: passed on.
        unsafe { System.realloc(old, layout, bytes) }
    }

    unsafe fn dealloc(&self, old: *mut u8, layout: Layout) {
        // SAFETY: passed on.
        unsafe { System.dealloc(old, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Rounds until everything is there that is made once: also what a rank makes after it has weighed its waiting.
const FIRST: u64 = 16;
/// Rounds that are counted, and then as many again and again.
const ROUNDS: u64 = 40;

/// A job and how it is laid out.
struct Case {
    name: String,
    text: String,
    parts: Vec<usize>,
    steps: usize,
    threads: usize,
}

fn field(base: f64, size: f64) -> String {
    format!("{{ formula = \"{base} + {size}*sin(0.9*x + 0.4*y)\" }}")
}

/// Every kernel with and without fixed boundaries, with halos of one step and of several, on one rank and more, and blocks that
/// are larger than a core's cache.
fn cases() -> Vec<Case> {
    let wave = "wave\", order = 4, absorb = { width = 3, strength = 0.1 } }";
    let works = [
        ("heat\" }", format!("temperature = {}, diffusivity = 0.5", field(20.0, 3.0))),
        ("heat\" }", format!("temperature = {}, diffusivity = {}", field(20.0, 3.0), field(0.5, 0.2))),
        (wave, format!("pressure = {}, speed = 0.7", field(0.0, 1.0))),
        ("gray-scott\", du = 0.16, dv = 0.08, feed = 0.04, kill = 0.06 }", format!("u = {}, v = 0.2", field(0.6, 0.3))),
        ("shallow-water\" }", format!("bed = {}, depth = 1.0", field(0.0, 0.1))),
    ];
    let mut cases = Vec::new();
    for (kernel, fields) in works {
        let add = |boundary: &str, points: [usize; 2], parts: [usize; 2], steps: usize, threads: usize| Case {
            name: format!("{} {boundary} {points:?} {parts:?} T={steps} threads={threads}", &kernel[..5]),
            text: format!(
                "grid = {{ points = {points:?}, boundary = [\"{boundary}\", \"periodic\"] }}\nkernel = {{ name = \"{kernel}\n\
                 fields = {{ {fields} }}\ntime = {{ steps = 100000, dt = 0.01 }}\n{}",
                if kernel.starts_with("heat") {
                    "source = [{ at = [9.0, 7.0], field = \"temperature\", wavelet = \"ricker\", frequency = 2.0, amplitude = 0.7 }]\n"
                } else {
                    ""
                }
            ),
            parts: parts.to_vec(),
            steps,
            threads,
        };
        // Shallow water holds nothing at its sides.
        let boundary = if kernel.starts_with("shallow") { "open" } else { "fixed" };
        for steps in [1, 4] {
            for parts in [[1, 1], [2, 1], [1, 2], [2, 2]] {
                cases.push(add("periodic", [50, 70], parts, steps, 1));
                cases.push(add(boundary, [50, 70], parts, steps, 1));
            }
        }
        cases.push(add(boundary, [420, 400], [1, 1], 4, 1));
        cases.push(add(boundary, [420, 700], [2, 1], 4, 1));
        cases.push(add("periodic", [90, 170], [2, 1], 1, 2));
        cases.push(add("periodic", [420, 700], [2, 1], 4, 2));
    }
    // Threads end some time after their ranks, and may allocate then.
    cases.sort_by_key(|case| case.threads);
    cases
}

/// Allocations in [`ROUNDS`] rounds of one rank, and in as many again; `together` brings all ranks of this process to one place.
fn rounds<P: Peers>(case: &Case, peers: &mut P, together: &dyn Fn()) -> [u64; 2] {
    let job =
        Job::parse(&case.text, Path::new("job.toml"), &[], &SHIPPED).map_err(|error| format!("{error:?}")).unwrap();
    let kernel = SHIPPED.find(job.declaration.name).unwrap();
    let program = f64::program(kernel, &job.setup).unwrap();
    let shape = Shape::new(&job.grid, program.footprint(), peers.ranks(), Some(&case.parts), case.steps).unwrap();
    assert_eq!(shape.steps_per_exchange, case.steps, "{}", case.name);
    let session = Session::<f64>::new(&job, kernel, (&shape, case.threads, 1), None, peers);
    let mut session = session.map_err(|failure| failure.report).unwrap();
    let (mut control, mut step) = (Control::default(), 0);
    let counts = [FIRST, ROUNDS, ROUNDS].map(|rounds| {
        together();
        let before = COUNT.load(Ordering::Relaxed);
        together();
        for _ in 0..rounds {
            session.start_exchange(peers);
            control.exchange(peers, Wishes::default()).unwrap();
            session.advance(peers, step..step + case.steps as u64).unwrap();
            step += case.steps as u64;
        }
        together();
        let count = COUNT.load(Ordering::Relaxed) - before;
        together();
        count
    });
    control.complete(peers).unwrap();
    [counts[1], counts[2]]
}

/// Blocks that rayon's queues may take for [`ROUNDS`] rounds of all ranks: a stage, or a goes of tiles, is handed over at a time.
fn due(case: &Case) -> u64 {
    let handed = 40 * case.steps as u64 * case.parts.iter().product::<usize>() as u64;
    if case.threads == 1 { 0 } else { ROUNDS * handed / 63 }
}

fn on_local_ranks(case: &Case) -> [u64; 2] {
    let ranks = case.parts.iter().product();
    let barrier = Barrier::new(ranks);
    let together = || {
        barrier.wait();
    };
    let (together, mut group) = (&together, Threads::group(ranks, Duration::from_secs(60)).into_iter());
    let mut first = group.next().unwrap();
    std::thread::scope(|scope| {
        let all: Vec<_> = group.map(|mut peers| scope.spawn(move || rounds(case, &mut peers, together))).collect();
        let counts = rounds(case, &mut first, together);
        for rank in all {
            // All ranks count the same: what the process allocates.
            rank.join().expect("a rank failed");
        }
        counts
    })
}

fn check(case: &Case, counts: [u64; 2], place: &str) {
    let due = due(case);
    assert!(counts.iter().all(|&count| count <= due), "{place}, {}: {counts:?} allocations, {due} due", case.name);
}

/// Allocations of a whole run of `steps` steps on two local ranks.
fn whole(folder: &Path, text: &str, steps: u64) -> u64 {
    let (job, dir) = (folder.join("job.toml"), folder.join(format!("run-{steps}")));
    std::fs::write(&job, text).unwrap();
    let before = COUNT.load(Ordering::Relaxed);
    let request = Request {
        job: Some(job),
        overrides: vec![format!("time.steps={steps}")],
        dir: Some(dir),
        branch: None,
        how: How::Fresh,
        ranks: Some(vec![2, 1]),
        threads: 1,
        steps_per_exchange: None,
        max_time: None,
        mpi: None,
        ranks_here: 2,
        library: SHIPPED,
        signals: Signals::default(),
    };
    std::thread::scope(|scope| {
        for mut peers in Threads::group(2, Duration::from_secs(60)) {
            let request = &request;
            scope.spawn(move || {
                let ended = run(request, &mut peers, &|_| {});
                ended.map_err(|failure| failure.report).unwrap();
            });
        }
    });
    COUNT.load(Ordering::Relaxed) - before
}

/// The loop around the steps allocates nothing either: a run of more steps takes no more, but for the few that depend on how
/// long a number is in a record.
fn whole_runs() {
    let folder = tempfile::tempdir().unwrap();
    for case in cases().iter().filter(|case| case.parts == [2, 1] && case.steps == 1 && case.threads == 1) {
        let [short, long] = [300, 900].map(|steps| whole(folder.path(), &case.text, steps));
        let more = long.saturating_sub(short);
        assert!(more < 30, "{}: {short} allocations in 300 steps, {long} in 900", case.name);
    }
}

/// This test under mpirun, on two ranks; each is a process and counts for itself.
#[cfg(feature = "mpi")]
fn under_mpirun() {
    let launcher = std::env::var("RINGFORT_MPIRUN").unwrap_or_else(|_| "mpirun".into());
    let mut mpirun = Command::new(&launcher);
    for name in ["OMPI_ALLOW_RUN_AS_ROOT", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "OMPI_MCA_rmaps_base_oversubscribe"] {
        mpirun.env(name, "1");
    }
    mpirun.env("OMPI_MCA_hwloc_base_binding_policy", "none").env("OMPI_MCA_btl_vader_single_copy_mechanism", "none");
    mpirun.env("OMPI_MCA_mpi_yield_when_idle", "1").env("PRTE_MCA_rmaps_default_mapping_policy", ":oversubscribe");
    let started = mpirun.args(["-n", "2"]).arg(std::env::current_exe().unwrap()).status();
    match started {
        Err(error) => {
            println!("SKIPPED  allocations under mpirun: {launcher}: {error}; install an MPI with scripts/setup.sh")
        }
        Ok(status) => assert!(status.success(), "{status}"),
    }
}

#[cfg(feature = "mpi")]
fn rank() {
    let mut peers = ringfort::torus::mpi::Mpi::start(Duration::from_secs(60)).unwrap();
    assert_eq!(peers.ranks(), 2, "mpirun is of another MPI than this test was built with");
    for case in cases().iter().filter(|case| case.parts.iter().product::<usize>() == 2) {
        check(case, rounds(case, &mut peers, &|| ()), "under mpirun");
    }
}

fn main() {
    #[cfg(feature = "mpi")]
    if ringfort::torus::launched() {
        return rank();
    }
    let cases = cases();
    for case in &cases {
        check(case, on_local_ranks(case), "on local ranks");
    }
    whole_runs();
    #[cfg(feature = "mpi")]
    under_mpirun();
    println!("no allocations in {ROUNDS} rounds of {} cases, nor in as many again", cases.len());
}
