//! Ways in which checkpoints were lost elsewhere, each brought about on purpose. Those that need processes, disks or power cuts have
//! their tests where these are; `docs/failures.md` lists all.

#![allow(clippy::unwrap_used, clippy::missing_panics_doc, reason = "tests")]

mod checkpoint_common;

use std::collections::BTreeMap;
use std::fs::FileTimes;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use checkpoint_common::{OTHER, Quick, RUN, assert_whole, files, meta, names_on_the_disk, write};
use ringfort::checkpoint::{
    Checkpoint, Disk, FileRecord, Meta, Metadata, Sink, Source, Store, begin, commit, folder, newest,
};
use ringfort::grid::Region;
use rustix::io::Errno;

fn state(step: u64) -> Meta {
    meta(2, [1, 1, 5, 3], [1, 1, 3, 1], step)
}

/// What a [`Watched`] disk does.
#[derive(Default)]
struct Plan {
    /// Syncs of each file.
    syncs: BTreeMap<PathBuf, usize>,
    /// The first sync of this file fails, later ones do not.
    bad_sync: Option<PathBuf>,
    /// Opens of each file.
    opens: BTreeMap<PathBuf, usize>,
    /// Opens of files whose names end so fail so often, with this error.
    late: Option<(&'static str, usize, i32)>,
}

/// A disk that counts, and fails as its plan says.
#[derive(Clone, Default)]
struct Watched(Arc<Mutex<Plan>>);

struct WatchedSink(Watched, PathBuf, Box<dyn Sink>);

impl Sink for WatchedSink {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.2.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut plan = self.0.0.lock().unwrap();
        let count = plan.syncs.entry(self.1.clone()).or_default();
        *count += 1;
        let first = *count == 1;
        if first && plan.bad_sync.as_ref() == Some(&self.1) {
            return Err(io::Error::from_raw_os_error(5));
        }
        Ok(())
    }
}

impl Store for Watched {
    fn create(&self, path: &Path) -> io::Result<Box<dyn Sink>> {
        Ok(Box::new(WatchedSink(self.clone(), path.into(), Quick.create(path)?)))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn Source>> {
        let mut plan = self.0.lock().unwrap();
        let count = plan.opens.entry(path.into()).or_default();
        *count += 1;
        let count = *count;
        match plan.late {
            Some((end, times, code)) if path.ends_with(end) && count <= times => {
                Err(io::Error::from_raw_os_error(code))
            }
            _ => Disk.open(path),
        }
    }

    names_on_the_disk!();
}

/// After a failed sync some systems take the lost bytes for written ones, and the next sync of the same file succeeds.
#[test]
fn a_sync_that_failed_is_never_tried_again() {
    let probe = tempfile::tempdir().unwrap();
    write::<f64>(&Quick, probe.path(), &state(20)).unwrap();
    let all = files(&folder(probe.path(), 20));
    for name in &all {
        let dir = tempfile::tempdir().unwrap();
        write::<f64>(&Quick, dir.path(), &state(10)).unwrap();
        let path =
            folder(dir.path(), 20).join(if name.ends_with("MANIFEST") { "MANIFEST.part".into() } else { name.clone() });
        let watched = Watched::default();
        watched.0.lock().unwrap().bad_sync = Some(path.clone());
        let error = write::<f64>(&watched, dir.path(), &state(20)).unwrap_err().to_string();
        assert!(error.contains("os error 5"), "{}: {error}", path.display());
        assert_eq!(watched.0.lock().unwrap().syncs[&path], 1, "{}", path.display());
        let found = newest(&Disk, dir.path(), Some(RUN), true).unwrap();
        assert_whole::<f64>(&found.checkpoint.unwrap(), &state(10));
        // The next one is written to new files.
        write::<f64>(&watched, dir.path(), &state(20)).unwrap();
        let found = newest(&Disk, dir.path(), Some(RUN), true).unwrap();
        assert_whole::<f64>(&found.checkpoint.unwrap(), &state(20));
    }
}

/// Elsewhere a short new file was written into a long old one of the same name, whose end stayed.
#[test]
fn a_longer_file_under_the_same_name_leaves_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let at = folder(dir.path(), 20);
    write::<f64>(&Quick, dir.path(), &state(20)).unwrap();
    std::fs::remove_file(at.join("MANIFEST")).unwrap();
    for name in files(&at) {
        if name.to_str() != Some("OWNER") {
            let long = [std::fs::read(at.join(&name)).unwrap(), vec![7; 10_000]].concat();
            std::fs::write(at.join(&name), long).unwrap();
        }
    }
    write::<f64>(&Quick, dir.path(), &state(20)).unwrap();
    assert_whole::<f64>(&Checkpoint::open(&Disk, &at).unwrap(), &state(20));
}

/// Clocks step back, archives are unpacked, and other runs left higher steps behind.
#[test]
fn file_times_and_steps_of_other_runs_choose_nothing() {
    let dir = tempfile::tempdir().unwrap();
    for (step, age_s) in [(10, 0), (20, 500_000_000), (30, 1000)] {
        write::<f64>(&Quick, dir.path(), &state(step)).unwrap();
        let home = folder(dir.path(), step);
        let then = FileTimes::new().set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(1_900_000_000 - age_s));
        for name in files(&home) {
            let file = std::fs::File::options().append(true).open(home.join(name)).unwrap();
            file.set_times(then).unwrap();
        }
        std::fs::File::open(&home).unwrap().set_times(then).unwrap();
    }
    write::<f64>(&Quick, dir.path(), &Meta { run: OTHER, ..state(99) }).unwrap();
    let found = newest(&Disk, dir.path(), Some(RUN), true).unwrap();
    assert_eq!(found.checkpoint.unwrap().meta().step, 30);
    let refused: Vec<(u64, String)> = found.refused.iter().map(|one| (one.step, one.reason.to_string())).collect();
    assert_eq!(refused.len(), 1, "{refused:?}");
    assert!(refused[0].0 == 99 && refused[0].1.contains("belongs to run"), "{refused:?}");
}

/// Zarr gives the fill value for a chunk that is not there.
#[test]
fn a_missing_chunk_is_an_error_and_no_fill_value() {
    let dir = tempfile::tempdir().unwrap();
    let state = state(20);
    let manifest = write::<f64>(&Quick, dir.path(), &state).unwrap();
    let home = folder(dir.path(), 20);
    for component in 0..2 {
        for part in 0..3 {
            let name = &manifest.chunk(component, part).name;
            std::fs::rename(home.join(name), home.join("aside")).unwrap();
            let checkpoint = Checkpoint::open(&Disk, &home).unwrap();
            let region = state.cuts.block(part);
            let mut out = vec![0.0; region.cells()];
            let error = checkpoint.read_region::<f64>(component, &region, &mut out).unwrap_err().to_string();
            assert!(error.contains(name) && error.contains("missing"), "{error}");
            let found = newest(&Disk, dir.path(), Some(RUN), true).unwrap();
            assert!(found.checkpoint.is_none(), "{name}");
            std::fs::rename(home.join("aside"), home.join(name)).unwrap();
        }
    }
    // Who reads it with a library that fills sees that nothing is there.
    let about: serde_json::Value =
        serde_json::from_slice(&std::fs::read(home.join("height/zarr.json")).unwrap()).unwrap();
    assert_eq!(about["fill_value"], "NaN");
}

/// A network file system shows new names late, and forgets handles of folders that changed.
#[test]
fn names_that_a_network_file_system_shows_late_are_waited_for() {
    let [late, refused, stale] = [Errno::NOENT, Errno::ACCESS, Errno::STALE].map(Errno::raw_os_error);
    let dir = tempfile::tempdir().unwrap();
    write::<f64>(&Quick, dir.path(), &state(20)).unwrap();
    let home = folder(dir.path(), 20);
    let opens = |end: &'static str, times: usize, code: i32| {
        let watched = Watched::default();
        watched.0.lock().unwrap().late = Some((end, times, code));
        let found = match Checkpoint::open(&watched, &home) {
            Ok(checkpoint) => checkpoint.verify().iter().map(ToString::to_string).collect(),
            Err(error) => vec![error.to_string()],
        };
        let count = watched.0.lock().unwrap().opens[&home.join(end)];
        (found, count)
    };
    for end in ["height/zarr.json", "speed/c/1/0"] {
        for code in [late, stale] {
            let (found, count) = opens(end, 2, code);
            assert!(found.is_empty() && count == 3, "{end}: {count} opens, {found:?}");
            let (found, count) = opens(end, usize::MAX, code);
            assert!(found.len() == 1 && found[0].contains(end) && count < 10, "{end}: {count} opens, {found:?}");
        }
        let (found, count) = opens(end, 1, refused);
        assert!(found.len() == 1 && count == 1, "{end}: what no wait mends is told at once: {count} opens, {found:?}");
    }
    // The group's own metadata is read twice.
    let (found, count) = opens("zarr.json", 2, late);
    assert!(found.is_empty() && count == 4, "{count} opens, {found:?}");
    let (found, count) = opens("MANIFEST", 2, stale);
    assert!(found.is_empty() && count == 3, "{count} opens, {found:?}");
    let (found, count) = opens("MANIFEST", 1, late);
    assert!(found[0].contains("has no MANIFEST") && count == 1, "without one it is none: {count} opens, {found:?}");
}

/// Points of a grid whose only chunk has more than four gibibytes.
const VAST: [usize; 2] = [23_200, 23_300];

/// A disk on which that chunk lies: zeros, but for its last bytes. All else is on the disk below.
struct Vast {
    chunk: PathBuf,
    end: Vec<u8>,
}

struct VastSource {
    bytes: u64,
    end: Vec<u8>,
}

impl Source for VastSource {
    fn bytes(&self) -> io::Result<u64> {
        Ok(self.bytes)
    }

    fn read_at(&self, to: &mut [u8], offset: u64) -> io::Result<()> {
        to.fill(0);
        let first = self.bytes - self.end.len() as u64;
        for (at, byte) in (first..).zip(&self.end) {
            let place = at.checked_sub(offset).and_then(|place| to.get_mut(usize::try_from(place).unwrap()));
            place.into_iter().for_each(|place| *place = *byte);
        }
        Ok(())
    }
}

impl Store for Vast {
    fn create(&self, path: &Path) -> io::Result<Box<dyn Sink>> {
        Quick.create(path)
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn Source>> {
        if path == self.chunk {
            return Ok(Box::new(VastSource { bytes: (VAST[0] * VAST[1] * 8 + 4) as u64, end: self.end.clone() }));
        }
        Disk.open(path)
    }

    names_on_the_disk!();
}

/// Counts of bytes and offsets that do not fit 32 bits, with or without a sign.
#[test]
fn more_than_four_gibibytes_in_one_file_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let mut state = meta(2, [1, 1, VAST[0], VAST[1]], [1; 4], 20);
    state.components.truncate(1);
    let last: Vec<f64> = (0..16).map(|at| f64::from(at) + 0.5).collect();
    let mut end: Vec<u8> = last.iter().flat_map(|value| value.to_le_bytes()).collect();
    let (zeros, piece) = ((VAST[0] * VAST[1] - last.len()) * 8, vec![0; 1 << 20]);
    let mut crc = (0..zeros / piece.len()).fold(0, |crc, _| crc32c::crc32c_append(crc, &piece));
    crc = crc32c::crc32c_append(crc, &piece[..zeros % piece.len()]);
    crc = crc32c::crc32c_append(crc, &end);
    end.extend(crc.to_le_bytes());

    let name = "height/c/0/0";
    let vast = Vast { chunk: folder(dir.path(), 20).join(name), end };
    let pending = begin(&vast, dir.path(), &state).unwrap();
    let record = FileRecord { name: name.into(), bytes: state.chunk_bytes(), crc };
    assert!(record.bytes > 1 << 32);
    commit(&vast, &pending, &state, vec![record]).unwrap();
    let checkpoint = newest(&vast, dir.path(), Some(RUN), false).unwrap().checkpoint.unwrap();
    let region = Region { start: [0, 0, VAST[0] - 1, VAST[1] - 17], extent: [1, 1, 1, 17] };
    let mut out = [1.0; 17];
    checkpoint.read_region::<f64>(0, &region, &mut out).unwrap();
    assert_eq!((out[0], &out[1..]), (0.0, &last[..]));
}
