//! Pictures that hide cells, and films of whole runs.
#![allow(clippy::unwrap_used, clippy::missing_panics_doc, reason = "tests")]

use std::fs;
use std::io::BufReader;
use std::path::Path;
use std::process::Command;

const JOB: &str = r#"
name = "lake"
[grid]
points = [24, 31]
boundary = ["wall", "wall"]
[kernel]
name = "shallow-water"
[fields]
surface = { formula = "0.2*exp(-((x-20)^2 + (y-10)^2) / 4)" }
bed = { formula = "-1 + 1.5*step(5.5 - x)" }
[time]
steps = 40
dt = 0.05
[checkpoint]
every = "10 steps"
async = false
keep = 3
[[image]]
field = "surface"
every = "20 steps"
where = "depth - 0.001"
[[output]]
fields = ["surface", "depth"]
every = "5 steps"
stride = [1, 2]
[datacenter]
blocks = [2, 3]
"#;
/// Colour of cells without a value.
const GREY: [u8; 3] = [206, 206, 208];

/// Exit code, standard output and standard error of `ringfort ARGS` in `dir`.
fn ringfort(dir: &Path, args: &str) -> (i32, String, String) {
    let run = Command::new(env!("CARGO_BIN_EXE_ringfort")).args(args.split(' ')).current_dir(dir).output().unwrap();
    let [out, err] = [run.stdout, run.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    (run.status.code().unwrap(), out, err)
}

fn fine(dir: &Path, args: &str) -> (String, String) {
    let (code, out, err) = ringfort(dir, args);
    assert_eq!(code, 0, "{args}: {err}");
    (out, err)
}

/// Pixels of all frames of the PNG file at `path`, and its size.
fn frames(path: &Path) -> ((u32, u32), Vec<Vec<u8>>) {
    let decoder = png::Decoder::new(BufReader::new(fs::File::open(path).unwrap()));
    let mut reader = decoder.read_info().unwrap();
    let count = reader.info().animation_control().map_or(1, |control| control.num_frames);
    let mut frames = Vec::new();
    for _ in 0..count {
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        reader.next_frame(&mut pixels).unwrap();
        frames.push(pixels);
    }
    ((reader.info().width, reader.info().height), frames)
}

fn greys(pixels: &[u8]) -> usize {
    pixels.chunks_exact(3).filter(|pixel| *pixel == GREY).count()
}

fn begun() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("lake.toml"), JOB).unwrap();
    fine(dir.path(), "run lake.toml --out a --local-ranks 4");
    dir
}

#[test]
fn land_is_grey_in_the_same_bytes_in_both_modes() {
    let dir = begun();
    let dir = dir.path();
    fine(dir, "datacenter run lake.toml --out b --workers 2");
    for step in [0, 20, 40] {
        let name = format!("images/surface-step-{step:010}.png");
        let [a, b] = ["a", "b"].map(|run| fs::read(dir.join(run).join(&name)).unwrap());
        assert_eq!(a, b, "{name}");
        // Six of 31 columns lie dry.
        let ((width, height), frames) = frames(&dir.join("a").join(&name));
        let share = greys(&frames[0]) as f64 / f64::from(width * height);
        assert!((0.08..0.25).contains(&share), "{share}");
    }
    fs::write(dir.join("all.toml"), JOB.replace("where = \"depth - 0.001\"\n", "")).unwrap();
    fine(dir, "run all.toml --out c");
    let (_, all) = frames(&dir.join("c/images/surface-step-0000000040.png"));
    assert!(greys(&all[0]) < 20, "but for the edges of letters");
    for (wrong, words) in [("deep - 1", "deep"), ("depth -", "where"), ("depth_between", "depth_between")] {
        fs::write(dir.join("bad.toml"), JOB.replace("depth - 0.001", wrong)).unwrap();
        let (code, _, err) = ringfort(dir, "check bad.toml");
        assert!(code == 2 && err.contains(words) && err.contains("bad.toml:21:"), "{code} {err}");
    }
}

#[test]
fn a_film_has_every_time_of_an_output_on_one_scale() {
    let dir = begun();
    let dir = dir.path();
    let (out, _) = fine(dir, "render a --film --fps 5");
    assert_eq!(out, "a/images/surface-film.png\n");
    let (_, film) = frames(&dir.join("a/images/surface-film.png"));
    assert_eq!(film.len(), 9);
    assert!(film.windows(2).all(|pair| pair[0] != pair[1]), "every time differs");
    assert!(film.iter().all(|pixels| greys(pixels) > 1000), "land is hidden: the output holds the depth");
    // The range given is the one drawn: with a wide one, all water has nearly one colour.
    fine(dir, "render a --film --range -100,100 --out wide.png");
    let (_, wide) = frames(&dir.join("wide.png"));
    let colors = |pixels: &[u8]| pixels.chunks_exact(3).collect::<std::collections::BTreeSet<_>>().len();
    assert_eq!(wide.len(), 9);
    assert_ne!(wide[0], film[0]);
    assert!(colors(&wide[0]) > 100, "the bar has all colours");
    // Again, the same bytes.
    let first = fs::read(dir.join("a/images/surface-film.png")).unwrap();
    fine(dir, "render a --film --fps 5");
    assert_eq!(fs::read(dir.join("a/images/surface-film.png")).unwrap(), first);
}

#[test]
fn a_film_of_checkpoints_and_what_is_refused() {
    let dir = begun();
    let dir = dir.path();
    // No output holds the momentum; three checkpoints are kept.
    let (out, _) = fine(dir, "render a --film --field momentum_x");
    assert_eq!(frames(&dir.join(out.trim())).1.len(), 3);
    let refused = |args: &str, code: i32, words: &str| {
        let (found, _, err) = ringfort(dir, args);
        assert!(found == code && err.contains(words), "{args}: {found} {err}");
    };
    refused("render a --film --field velocity_x", 2, "neither the run's outputs nor its checkpoints hold `velocity_x`");
    refused("render a --film --field height", 2, "height");
    refused("render a/checkpoints/step-0000000040 --film", 2, "give the folder of the run");
    refused("render a --fps 3", 2, "--film");
    refused("render a --film --out /dev/full/f.png", 2, "cannot write");
    let chunk = dir.join("a/fields.zarr/surface/c/3/0/0");
    let mut bytes = fs::read(&chunk).unwrap();
    bytes[9] ^= 1;
    fs::write(&chunk, bytes).unwrap();
    fs::remove_file(dir.join("a/images/surface-film.png")).unwrap_or_default();
    refused("render a --film", 4, "surface is damaged");
    assert!(!dir.join("a/images/surface-film.png").exists() && !dir.join("a/images/surface-film.png.part").exists());
    // Still pictures of a checkpoint: the mask needs the depth, which it holds.
    let (out, err) = fine(dir, "render a --field depth");
    assert!(err.is_empty() && frames(&dir.join(out.trim())).1.len() == 1, "{err}");
}

#[test]
fn pictures_show_the_run_that_the_folder_records() {
    let dir = begun();
    let dir = dir.path();
    // The run before got further; what it left is no part of this one.
    fine(dir, "run lake.toml --out a --fresh --steps 20");
    let (out, _) = fine(dir, "checkpoint list a");
    assert!(out.contains("step-0000000040") && out.contains("step-0000000020"), "{out}");
    let (out, _) = fine(dir, "render a --field depth");
    assert!(out.contains("0000000020"), "{out}");
    let (out, _) = fine(dir, "render a --film --field momentum_x");
    assert_eq!(frames(&dir.join(out.trim())).1.len(), 2, "steps 10 and 20");
}
