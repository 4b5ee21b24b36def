//! What `ringfort bench` prints, and what it refuses. No time is judged.
#![allow(clippy::unwrap_used, clippy::missing_panics_doc, reason = "tests")]

use std::process::Command;

use ringfort::advance::library::SHIPPED;
use ringfort::job::Catalog;
use serde_json::Value;

/// Exit code, standard output and standard error of `ringfort bench ARGS`.
fn bench(args: &[&str]) -> (i32, String, String) {
    let run = Command::new(env!("CARGO_BIN_EXE_ringfort")).arg("bench").args(args).output().unwrap();
    let [out, err] = [run.stdout, run.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    (run.status.code().unwrap(), out, err)
}

fn measured(args: &[&str]) -> Value {
    let (code, out, err) = bench(&[args, &["--json"]].concat());
    assert_eq!((code, err.as_str()), (0, ""), "{args:?}");
    serde_json::from_str(&out).unwrap()
}

const KEYS: [&str; 22] = [
    "kernel",
    "precision",
    "points",
    "threads",
    "simd",
    "steps",
    "steps_per_pass",
    "halo",
    "seconds",
    "updates_per_second",
    "bytes_per_update",
    "operations_per_update",
    "field_bytes",
    "copy_bandwidth",
    "multiply_adds_per_second",
    "divisions_per_second",
    "roots_per_second",
    "roofline",
    "bound_by",
    "share",
    "plain_roofline",
    "plain_share",
];

#[test]
fn one_kernel_in_numbers() {
    let shape = ["--points", "96,100,104", "--precision", "f64", "--steps", "6", "--threads", "2", "--repeats", "3"];
    let found = measured(&[&["heat", "--steps-per-pass", "2"], &shape[..]].concat());
    let keys: Vec<&str> = found.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys, KEYS);
    let number = |key: &str| found[key].as_f64().unwrap();
    let list =
        |key: &str| found[key].as_array().unwrap().iter().map(|value| value.as_f64().unwrap()).collect::<Vec<_>>();
    assert_eq!((list("points"), number("steps"), number("threads")), (vec![96.0, 100.0, 104.0], 6.0, 2.0));
    assert_eq!((number("steps_per_pass"), list("halo")), (2.0, vec![2.0, 2.0, 1.0]));
    let mut seconds = list("seconds");
    assert!(seconds.len() == 3 && seconds.iter().all(|&seconds| seconds > 0.0), "{seconds:?}");
    seconds.sort_by(f64::total_cmp);
    assert_eq!(number("updates_per_second"), 96.0 * 100.0 * 104.0 * 6.0 / seconds[1]);
    assert_eq!((number("bytes_per_update"), &found["operations_per_update"]["simple"]), (16.0, &7.into()));
    assert!(number("field_bytes") >= 2.0 * 8.0 * 96.0 * 100.0 * 104.0);
    assert_eq!([&found["divisions_per_second"], &found["roots_per_second"]], [&Value::Null, &Value::Null]);
    for (key, plausible) in [("copy_bandwidth", 1e8..1e13), ("multiply_adds_per_second", 1e6..1e14)] {
        assert!(plausible.contains(&number(key)), "{key}: {}", found[key]);
    }
    assert_eq!(number("share"), number("updates_per_second") / number("roofline"));
    assert_eq!(number("plain_share"), number("updates_per_second") / number("plain_roofline"));
    // Fields of 16 MB stay in a cache, or may: then arithmetic alone is the bound.
    assert_eq!(found["bound_by"], "arithmetic");
    assert_eq!(number("roofline"), 1.0 / (7.0 / number("multiply_adds_per_second")));
}

#[test]
fn every_kernel_is_measured_as_it_is_set() {
    for kernel in SHIPPED.names() {
        let points = if ["heat", "wave"].contains(&kernel) { "18,20,22" } else { "40,50" };
        for precision in ["f32", "f64"] {
            let args = [kernel, "--points", points, "--precision", precision, "--repeats", "1", "--steps", "3"];
            let found = measured(&args);
            assert_eq!((&found["kernel"], &found["precision"]), (&kernel.into(), &precision.into()));
            let counted = &found["operations_per_update"];
            assert!(counted["simple"].as_u64().unwrap() > 5, "{kernel}: {counted}");
            for what in ["divisions", "roots"] {
                let rate = &found[format!("{what}_per_second")];
                assert_eq!(counted[what] == 0, rate.is_null(), "{kernel}: {counted}, {rate}");
            }
        }
    }
    let args = ["wave", "--points", "300,300", "--steps", "1", "--repeats", "1", "--steps-per-pass", "1"];
    let constant = measured(&[&args[..], &["--set", "kernel.order=2"]].concat());
    let varying = measured(&[&args[..], &["--set", "fields.speed={ formula = \"0.3 + 0*x\" }"]].concat());
    assert_eq!((&constant["halo"][0], &varying["halo"][0]), (&1.into(), &4.into()));
    assert_eq!((&constant["bytes_per_update"], &varying["bytes_per_update"]), (&24.into(), &32.into()));
}

#[test]
fn a_table_for_people() {
    let (code, out, err) = bench(&["heat", "--points", "30,40", "--threads", "1", "--repeats", "2"]);
    assert_eq!((code, err.as_str()), (0, ""));
    let lines: Vec<&str> = out.lines().collect();
    assert!(lines.len() == 2 && lines[0].starts_with("kernel ") && lines[1].starts_with("heat "), "{out}");
    assert!(lines[1].contains(" 30x40 ") && lines[1].contains("% arithmetic "), "{out}");
}

#[test]
fn wrong_arguments_are_refused_by_name() {
    let small = ["--points", "9,9", "--repeats", "1", "--steps", "1"];
    for (args, words) in [
        (&["haet"][..], "no kernel is called `haet`; did you mean heat?"),
        (&["--points", "9,9"], "required arguments were not provided"),
        (&["--set", "kernel.order=2"], "required arguments were not provided"),
        (&["heat", "--points", "9,x"], "invalid value 'x'"),
        (&["heat", "--points", "0,9"], "grid.points"),
        (&["heat", "--points", "9,9,9,9,9"], "grid.points"),
        (&["shallow-water", "--points", "9,9,9"], "shallow-water runs on 2"),
        (&["heat", "--points", "30000,30000,30000"], "of memory on this machine"),
        (&["heat", "--precision", "f16"], "invalid value 'f16'"),
        (&["heat", "--steps", "0"], "invalid value '0'"),
        (&["heat", "--threads", "0"], "invalid value '0'"),
        (&["heat", "--repeats", "0"], "invalid value '0'"),
        (&["heat", "--steps-per-pass", "0"], "invalid value '0'"),
        (&["heat", "--size", "9"], "unexpected argument '--size'"),
        (&["heat", "wave"], "unexpected argument 'wave'"),
        (&["heat", "--set", "kernel.ordre=2"], "unknown key `ordre`"),
        (&["heat", "--set", "time.dt=10"], "times the bound of kernel heat"),
    ] {
        let given = args.contains(&"--points");
        let (code, out, err) = bench(&[args, if given { &small[2..] } else { &small }].concat());
        let err: Vec<&str> = err.split_whitespace().filter(|word| *word != "│" && *word != "×").collect();
        let found = err.join(" ").contains(words);
        assert!(code == 2 && out.is_empty() && found, "{args:?}: exit {code}, {out}, {}", err.join(" "));
    }
}
