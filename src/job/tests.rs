//! Whole jobs: defaults, places of mistakes, overrides, the fingerprint, planes and notes.
//!
//! Input: job texts, and a catalog of one kernel that has most kinds of fields and parameters. Invariant: nothing is
//! read from the disk. What changes the fingerprint and what does not are lists here: a new key goes into one of
//! them.

use ringfort_kernels::{Field, Given, Parameter, ParameterKind, Role};

use super::*;

/// A catalog of one kernel with all kinds of parameters and fields.
struct One;

impl Catalog for One {
    fn names(&self) -> Vec<&'static str> {
        vec!["one"]
    }

    fn declare(&self, name: &str, axes: usize) -> Option<Declaration> {
        let mut declaration = crate::advance::library::SHIPPED.declare("heat", axes)?;
        let number = |default| ParameterKind::Number { default, least: 0.0, most: 10.0 };
        let parameter = |name, kind| Parameter { name, about: "what it is", unit: "m", kind };
        declaration.name = "one";
        declaration.parameters = vec![
            parameter("gravity", number(Some(9.81))),
            parameter("needed", number(None)),
            parameter("flux", ParameterKind::Word { default: "hll", choices: &["hll", "roe"] }),
            parameter("force", ParameterKind::List { default: vec![0.0; axes], len: axes }),
        ];
        declaration.fields = vec![
            Field::new("depth", Role::Component, "m", "depth"),
            Field::new("speed", Role::Component, "m s-1", "speed").or(0.0),
            Field::new("bed", Role::Coefficient, "m", "bed").optional(),
            Field::new("face", Role::Prepared, "m", "face"),
            Field::new("surface", Role::Start, "m", "surface"),
            Field::new("energy", Role::Derived, "J", "energy"),
        ];
        declaration.axes = (1, 4);
        declaration.degrees = true;
        declaration.default_dt = Some(1.0);
        (name == "one").then_some(declaration)
    }
}

fn job(text: &str, overrides: &[&str]) -> Result<Job, String> {
    let overrides: Vec<String> = overrides.iter().map(|&set| set.to_owned()).collect();
    Job::parse(text, Path::new("folder/pond.toml"), &overrides, &One).map_err(|error| error.to_string())
}

const POND: &str =
    "[grid]\npoints = [4, 6]\n[kernel]\nname = \"one\"\nneeded = 1\n[fields]\ndepth = 2\n[time]\nsteps = 3\n";

#[test]
fn defaults_are_filled_in() {
    let job = job(POND, &[]).unwrap();
    assert_eq!(job.name, "pond");
    assert_eq!((job.grid.axes, job.grid.points), (2, [1, 1, 4, 6]));
    assert_eq!(job.setup.spacing, [1.0, 1.0]);
    assert_eq!(job.time, Time { steps: 3, step: TimeStep::Seconds(1.0), speed_max: 0.0 });
    assert_eq!(job.checkpoint, Checkpoint { every: None, keep: 3, keep_every: None, background: true });
    assert_eq!(job.torus, Torus { ranks: None, steps_per_exchange: 1, deadline_s: 600.0 });
    assert_eq!(job.setup.number("gravity"), 9.81);
    assert_eq!(job.setup.parameters["flux"], Value::Word("hll".to_owned()));
    assert_eq!(job.setup.parameters["force"], Value::List(vec![0.0, 0.0]));
    let absent = Given::Absent;
    assert_eq!(job.setup.given, [Given::Number(2.0), Given::Number(0.0), absent, absent, absent, absent]);
}

#[test]
fn what_starts_a_run_stands_for_components() {
    let started = POND.replace("depth = 2", "surface = { formula = \"x + y\" }");
    let given = job(&started, &[]).unwrap().setup.given;
    assert_eq!((given[0], given[1], given[4]), (Given::Absent, Given::Absent, Given::Varying));
    for (line, words) in [
        ("", "fields.depth is missing; the kernel one needs it: depth [m]"),
        ("face = 1", "the kernel one computes it"),
        ("energy = 1", "the kernel one computes it"),
        ("dept = 1", "did you mean `depth`?"),
    ] {
        let error = job(&POND.replace("depth = 2", line), &[]).unwrap_err();
        assert!(error.contains(words), "{line}: {error}");
    }
}

#[test]
fn parameters_are_checked_with_their_place() {
    for (line, words) in [
        ("", "kernel.needed is missing; the kernel one needs it: what it is [m]"),
        ("needed = 11", "kernel.needed: 11 is out of range; give a finite number from 0 to 10"),
        ("needed = \"much\"", "kernel.needed: give a number from 0 to 10"),
        ("needed = 1\nflux = \"hllc\"", "kernel.flux: give one of \"hll\", \"roe\""),
        ("needed = 1\nforce = [1]", "kernel.force: give a list of 2 finite numbers"),
        ("needed = 1\nforce = { x = 1 }", "kernel.force: give a list of 2 finite numbers"),
        ("needed = 1\ngravty = 3", "unknown key `gravty` in [kernel] of one; did you mean `gravity`?"),
    ] {
        let error = job(&POND.replace("needed = 1", line), &[]).unwrap_err();
        assert!(error.contains(words), "{line}: {error}");
    }
    let job = job(POND, &["kernel.gravity=1.62"]).unwrap();
    let late = KernelError { key: "gravity".to_owned(), problem: "does not fit".to_owned() };
    let JobError::Located(error) = job.refuse_kernel(&late) else { panic!("no place") };
    assert_eq!(&error.source.inner()[error.span.offset()..][..error.span.len()], "1.62");
    assert_eq!(error.to_string(), "kernel.gravity: does not fit");
}

#[test]
fn overrides_enter_text_and_physics() {
    let set = ["kernel.gravity=1.62", "time.steps=9", "kernel.flux=roe", "torus.ranks=[2, 1]", "time.dt=0.5"];
    let with = job(POND, &set).unwrap();
    assert_eq!(with.setup.number("gravity"), 1.62);
    assert_eq!(with.time, Time { steps: 9, step: TimeStep::Seconds(0.5), speed_max: 0.0 });
    assert_eq!(with.torus.ranks, Some(vec![2, 1]));
    assert_eq!(with.overrides, ["kernel.gravity=1.62", "kernel.flux=roe", "time.dt=0.5"]);
    // However its names are written.
    assert_eq!(job(POND, &["\"kernel\" . gravity=1.62"]).unwrap().overrides.len(), 1);
    assert_eq!(with.text, POND);
}

#[test]
fn the_fingerprint_is_that_of_the_physics() {
    let print = |set: &[&str]| job(POND, set).unwrap().fingerprint;
    let plain = print(&[]);
    for same in [
        "time.steps=9",
        "name=\"lake\"",
        "checkpoint.keep=9",
        "torus.deadline=\"1 s\"",
        "kernel.gravity=9.81",
        "time.dt=1",
    ] {
        assert_eq!(print(&[same]), plain, "{same}");
    }
    for other in [
        "grid.points=[6, 4]",
        "grid.spacing=[1, 2]",
        "grid.origin=[0, 1]",
        "grid.units=degrees",
        "grid.boundary=[\"wall\", \"periodic\"]",
        "kernel.gravity=1.62",
        "kernel.flux=roe",
        "kernel.force=[0, 1]",
        "kernel.precision=f32",
        "fields.depth=3",
        "fields.depth={ formula = \"2\" }",
        "fields.bed=0",
        "time.dt=2",
    ] {
        assert_ne!(print(&[other]), plain, "{other}");
    }
    let courant = POND.replace("steps = 3", "steps = 3\ncourant = 1");
    assert_ne!(job(&courant, &[]).unwrap().fingerprint, plain);
}

#[test]
fn planes_are_the_nearest_points() {
    let image = |points: &str, more: &str| {
        let text =
            POND.replace("[4, 6]", points) + &format!("[[image]]\nfield = \"depth\"\nevery = \"1 step\"\n{more}");
        job(&text, &["grid.spacing=[0.5, 0.5, 0.5]"][..usize::from(points.matches(',').count() == 2)])
            .map(|job| job.images[0].plane.clone())
    };
    assert_eq!(image("[4, 6]", ""), Ok(vec![]));
    assert_eq!(image("[4]", ""), Ok(vec![]));
    assert_eq!(image("[5, 4, 4]", ""), Ok(vec![(1, 2)]));
    assert_eq!(image("[5, 4, 4]", "plane = \"z=0.7\""), Ok(vec![(1, 1)]));
    assert_eq!(image("[5, 4, 4]", "plane = \"z = -0.2\""), Ok(vec![(1, 0)]));
    assert_eq!(image("[5, 4, 4]", "plane = \"z = -0.25\""), Ok(vec![(1, 0)]));
    assert_eq!(image("[5, 4, 4]", "plane = \"x=1.74\""), Ok(vec![(3, 3)]));
    assert_eq!(image("[2, 3, 4, 5]", "plane = \"z=2, w=1\""), Ok(vec![(0, 1), (1, 2)]));
    assert!(image("[2, 3, 4, 5]", "").unwrap_err().contains("needs two cuts"));
}

#[test]
fn one_kept_checkpoint_becomes_two() {
    let job = job(POND, &["checkpoint.keep=1", "checkpoint.every=10 min"]).unwrap();
    assert_eq!(
        job.checkpoint,
        Checkpoint { every: Some(Every::Seconds(600.0)), keep: 2, keep_every: None, background: true }
    );
    assert_eq!(job.notes.len(), 1);
}

#[test]
fn what_pictures_read_is_seen() {
    let images = "[[image]]\nfield = \"depth\"\nevery = \"1 steps\"\nwhere = \"bed + speed - x\"\n";
    let job = job(&format!("{}{images}", POND.replace("depth = 2", "depth = 2\nbed = 1")), &[]).unwrap();
    assert_eq!(job.seen().into_iter().collect::<Vec<_>>(), [0, 1, 2]);
}
