//! Damage of any byte is found and named; garbage of any kind is an error, never a panic or a large allocation.

#![allow(clippy::unwrap_used, clippy::missing_panics_doc, reason = "tests")]

mod checkpoint_common;
#[path = "fuzz/properties.rs"]
mod properties;

use std::path::Path;

use checkpoint_common::{Quick, files, meta, write};
use properties::framed;
use ringfort::checkpoint::{Checkpoint, Disk, FileRecord, Manifest, codec, folder, newest};
use ringfort::random::Rng;

/// Names of the damaged files of the checkpoint in `home`, as messages.
fn found(home: &Path) -> Vec<String> {
    match Checkpoint::open(&Disk, home) {
        Ok(checkpoint) => checkpoint.verify().iter().map(ToString::to_string).collect(),
        Err(error) => vec![error.to_string()],
    }
}

#[test]
fn a_flip_or_cut_at_every_byte_is_found_and_named() {
    let dir = tempfile::tempdir().unwrap();
    write::<f64>(&Quick, dir.path(), &meta(2, [1, 1, 3, 3], [1, 1, 2, 1], 5)).unwrap();
    let home = folder(dir.path(), 5);
    assert!(found(&home).is_empty());
    let mut count = 0;
    for name in files(&home) {
        let path = home.join(&name);
        let whole = std::fs::read(&path).unwrap();
        let shown = format!("checkpoints/step-0000000005/{}", name.display());
        let check = |bytes: &[u8], what: &str| {
            std::fs::write(&path, bytes).unwrap();
            let found = found(&home);
            assert!(found.len() == 1 && found[0].contains(&shown), "{shown} {what}: {found:?}");
        };
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 1 << (at % 8);
            check(&bytes, &format!("flipped at {at}"));
            check(&whole[..at], &format!("cut at {at}"));
            count += 2;
        }
        check(&[whole.as_slice(), &[0]].concat(), "longer");
        std::fs::remove_file(&path).unwrap();
        let found = found(&home);
        match name.to_str().unwrap() {
            "OWNER" => assert!(found.is_empty(), "a copy without owner record is whole: {found:?}"),
            "MANIFEST" => assert!(found[0].contains("has no MANIFEST"), "{found:?}"),
            _ => assert!(found[0].contains(&shown) && found[0].contains("missing"), "{found:?}"),
        }
        std::fs::create_dir(&path).unwrap();
        assert!(!self::found(&home).is_empty(), "{shown} as a folder");
        std::fs::remove_dir(&path).unwrap();
        std::fs::write(&path, whole).unwrap();
    }
    println!("{count} kinds of damage found");
    assert!(found(&home).is_empty());
}

#[test]
fn chunks_that_trade_places_are_found() {
    let dir = tempfile::tempdir().unwrap();
    write::<f64>(&Quick, dir.path(), &meta(1, [1, 1, 1, 6], [1, 1, 1, 2], 5)).unwrap();
    let home = folder(dir.path(), 5);
    let [a, b, aside] = ["height/c/0", "height/c/1", "aside"].map(|name| home.join(name));
    std::fs::rename(&a, &aside).unwrap();
    std::fs::rename(&b, &a).unwrap();
    std::fs::rename(&aside, &b).unwrap();
    let found = found(&home);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].contains("height/c/0 is damaged: its checksum is"), "{found:?}");
}

#[test]
fn a_damaged_newest_falls_back_and_says_why() {
    let dir = tempfile::tempdir().unwrap();
    for step in [10, 20, 30, 40] {
        write::<f64>(&Quick, dir.path(), &meta(1, [1, 1, 1, 6], [1, 1, 1, 2], step)).unwrap();
    }
    let at = |step, name: &str| folder(dir.path(), step).join(name);
    std::fs::remove_file(at(40, "MANIFEST")).unwrap();
    std::fs::write(at(30, "MANIFEST"), b"RINGFORT and then nonsense that is long enough").unwrap();
    let mut chunk = std::fs::read(at(20, "speed/c/1")).unwrap();
    chunk[3] ^= 1;
    std::fs::write(at(20, "speed/c/1"), chunk).unwrap();
    let found = newest(&Disk, dir.path(), None, true).unwrap();
    assert_eq!(found.checkpoint.unwrap().meta().step, 10);
    let reasons: Vec<_> = found.refused.iter().map(|one| (one.step, one.reason.to_string())).collect();
    assert_eq!(reasons.iter().map(|(step, _)| *step).collect::<Vec<_>>(), [40, 30, 20]);
    assert!(reasons[0].1.contains("has no MANIFEST"), "{reasons:?}");
    assert!(reasons[1].1.contains("step-0000000030/MANIFEST is damaged"), "{reasons:?}");
    assert!(reasons[2].1.contains("step-0000000020/speed/c/1 is damaged: its checksum"), "{reasons:?}");
    let lazy = newest(&Disk, dir.path(), None, false).unwrap();
    assert_eq!(lazy.checkpoint.unwrap().meta().step, 20);
}

#[test]
fn garbage_with_right_checksums_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let manifest = write::<f64>(&Quick, dir.path(), &meta(2, [1, 1, 3, 3], [1, 1, 2, 1], 5)).unwrap();
    let whole = manifest.encode().unwrap();
    let body = &whole[24..];
    assert_eq!(framed(body), whole);
    let mut rng = Rng::new(1);
    let mut below = |limit: usize| usize::try_from(rng.below(limit as u64)).unwrap();
    let mut refused = 0;
    for round in 0..40_000 {
        let mut bytes = body.to_vec();
        if round % 4 == 0 {
            bytes = (0..below(700)).map(|_| below(256).to_le_bytes()[0]).collect();
        }
        for _ in 0..=below(3) {
            let at = below(bytes.len().max(1));
            match (below(4), bytes.get_mut(at)) {
                (0, Some(byte)) => *byte = 0xff,
                (1, Some(byte)) => *byte = below(256).to_le_bytes()[0],
                (2, Some(_)) => bytes[at..].iter_mut().take(8).for_each(|byte| *byte = 0xff),
                _ => bytes.truncate(at),
            }
        }
        refused += usize::from(Manifest::decode(&framed(&bytes)).is_err());
        let _no_panic = Manifest::decode(&bytes);
    }
    println!("{refused} of 40000 refused, the rest changed a free number or text");
    assert!(refused > 20_000);
}

/// What the fuzzer (scripts/fuzz.sh) found worth keeping, by what it stands for.
#[test]
fn what_the_fuzzer_tried_is_an_error_or_a_value() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus");
    let all = |what: &str, holds: fn(&[u8])| {
        let files = std::fs::read_dir(corpus.join(what)).unwrap();
        files.map(|file| holds(&std::fs::read(file.unwrap().path()).unwrap())).count()
    };
    let counts = [all("manifest", properties::manifest), all("metadata", properties::metadata)];
    println!("{counts:?} manifests and metadata");
    assert!(counts.iter().all(|&count| count > 20), "{counts:?}");
}

#[test]
fn lying_manifests_are_errors() {
    let dir = tempfile::tempdir().unwrap();
    let good = write::<f64>(&Quick, dir.path(), &meta(1, [1, 1, 1, 6], [1, 1, 1, 2], 5)).unwrap();
    let refused = |change: &dyn Fn(&mut Manifest)| {
        let mut manifest = good.clone();
        change(&mut manifest);
        Manifest::decode(&manifest.encode().unwrap()).unwrap_err().to_string()
    };
    let last = good.files.len() - 1;
    for name in ["../../etc/passwd", "/etc/passwd", "", "speed/c/0", "speed/../speed/c/1"] {
        let words = refused(&|manifest| manifest.files[last].name = name.into());
        assert!(words.contains("it lists") || words.contains("bytes"), "{name}: {words}");
    }
    refused(&|manifest| manifest.files[last].bytes = u64::MAX);
    refused(&|manifest| manifest.files.push(FileRecord { name: "more".into(), bytes: 1, crc: 1 }));
    refused(&|manifest| drop(manifest.files.pop()));
    refused(&|manifest| manifest.meta.grid.points[3] = usize::MAX);
    refused(&|manifest| manifest.meta.grid.points[3] = 0);
    refused(&|manifest| manifest.meta.grid.points = [1 << 20; 4]);
    refused(&|manifest| manifest.meta.grid.points = [1, 1, 1 << 20, 6]);
    refused(&|manifest| manifest.meta.grid.axes = 0);
    refused(&|manifest| manifest.meta.grid.axes = 200);
    refused(&|manifest| manifest.meta.time = f64::NAN);
    refused(&|manifest| manifest.meta.grid.spacing[0] = f64::INFINITY);
    refused(&|manifest| manifest.meta.components.clear());
    for name in ["", "x", "a/b", "..", "MANIFEST", "OWNER", "1a", "speed\0"] {
        refused(&|manifest| manifest.meta.components[0].name = name.into());
    }
}

#[test]
fn metadata_that_outgrows_memory_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let state = meta(1, [1, 1, 1, 6], [1, 1, 1, 2], 5);
    let mut manifest = write::<f64>(&Quick, dir.path(), &state).unwrap();
    let home = folder(dir.path(), 5);
    manifest.files[0].bytes = 1 << 50;
    std::fs::write(home.join("MANIFEST"), manifest.encode().unwrap()).unwrap();
    std::fs::File::options().write(true).open(home.join("zarr.json")).unwrap().set_len(1 << 40).unwrap();
    assert!(found(&home)[0].contains("zarr.json is damaged: it has more than"), "{:?}", found(&home));
    std::fs::File::create(home.join("MANIFEST")).unwrap().set_len(1 << 40).unwrap();
    assert!(found(&home)[0].contains("MANIFEST is damaged: it has more than"), "{:?}", found(&home));
    let mut counts = vec![0_u8; 300];
    counts.extend([0xff; 8]);
    assert!(codec::decode::<Vec<String>>(&[0xff; 8]).is_err());
    assert!(Manifest::decode(&framed(&counts)).is_err());
}
