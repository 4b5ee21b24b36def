//! What the tests of checkpoints share: a state with known values, and a disk that fails on demand.

#![allow(dead_code, reason = "each test uses some of it")]

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use ringfort::checkpoint::{
    Checkpoint, CheckpointError, Disk, FieldMeta, Fill, Manifest, Meta, Metadata, Parent, Precision, RunId, Sink,
    Source, Store, abandon, begin, commit, write_part,
};
use ringfort::decomp::Cuts;
use ringfort::grid::{AXES, Boundary, Extents, Grid, Region, Units};
use ringfort_kernels::Real;

pub(crate) const RUN: RunId = RunId([7; 16]);
pub(crate) const OTHER: RunId = RunId([9; 16]);
pub(crate) const JOB: &str = "name = \"test\" # \u{e4}\n[grid]\npoints = [4, 5]\n";

/// State of `axes` axes with two components, the second staggered along the last axis and filled with zeros.
pub(crate) fn meta(axes: usize, points: Extents, parts: Extents, step: u64) -> Meta {
    let field = |name: &str, half: bool, fill| FieldMeta {
        name: name.into(),
        unit: "m s-1".into(),
        about: format!("{name} of the test"),
        standard_name: half.then(|| "sea_water_x_velocity".to_owned()),
        half: [false, false, false, half],
        fill,
    };
    Meta {
        run: RUN,
        parent: Some(Parent { run: OTHER, step: 3 }),
        step,
        time: step as f64 * 0.1,
        dt: 0.1,
        precision: Precision::Float64,
        grid: Grid {
            axes,
            points,
            spacing: [1.0, 0.5, 0.25, 0.1],
            origin: [0.0, -1.0, 2.0, 0.3],
            units: Units::Metres,
            boundary: [[Boundary::Wall, Boundary::Open]; AXES],
        },
        cuts: Cuts::new(points, parts).unwrap(),
        components: vec![field("height", false, Fill::Nan), field("speed", true, Fill::Zero)],
        fingerprint: [5; 32],
        job: JOB.into(),
    }
}

/// Value of a component at a cell, exact in both precisions, other at each step, component and cell.
pub(crate) fn value(meta: &Meta, component: usize, cell: Extents) -> f64 {
    let index = meta.grid.region().offset(cell) as f64;
    index * 0.25 + component as f64 * 1024.0 + meta.step as f64 * 8192.0 - 3.0
}

/// Values of `region` in memory order.
pub(crate) fn values<T: Real>(meta: &Meta, component: usize, region: &Region) -> Vec<T> {
    let mut all = Vec::new();
    for [w, z, y] in region.rows() {
        for x in region.start[3]..region.end(3) {
            all.push(T::of(value(meta, component, [w, z, y, x])));
        }
    }
    all
}

/// Writes the checkpoint of `meta` with known values, parts last to first; abandons it on an error.
pub(crate) fn write<T: Real>(store: &dyn Store, dir: &Path, meta: &Meta) -> Result<Manifest, CheckpointError> {
    let pending = begin(store, dir, meta)?;
    let all = || {
        let mut records = Vec::new();
        for part in (0..meta.cuts.count()).rev() {
            for component in 0..meta.components.len() {
                let values: Vec<T> = values(meta, component, &meta.cuts.block(part));
                records.push(write_part(store, &pending.folder, meta, part, component, &values)?);
            }
        }
        commit(store, &pending, meta, records)
    };
    all().inspect_err(|_| {
        let _best_effort = abandon(store, &pending.folder, meta.run);
    })
}

/// Asserts that `checkpoint` holds exactly the known values of `meta`.
pub(crate) fn assert_whole<T: Real>(checkpoint: &Checkpoint, meta: &Meta) {
    assert_eq!(checkpoint.verify().len(), 0);
    assert_eq!(checkpoint.meta(), meta);
    let region = meta.grid.region();
    for component in 0..meta.components.len() {
        let mut out = vec![T::of(-1.0); region.cells()];
        checkpoint.read_region(component, &region, &mut out).unwrap();
        assert!(out == values::<T>(meta, component, &region));
    }
}

/// All files under `folder`, relative.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    let mut open = vec![folder.to_path_buf()];
    while let Some(at) = open.pop() {
        for entry in std::fs::read_dir(at).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { open.push(path) } else { all.push(path.strip_prefix(folder).unwrap().to_path_buf()) }
        }
    }
    all.sort();
    all
}

/// What happens at the chosen operation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Fault {
    /// It fails, later ones work.
    Once,
    /// A write leaves half of its bytes, then fails; other operations just fail.
    Short,
    /// It and all later ones fail, as if the process had died.
    Crash,
}

#[derive(Default)]
struct Log {
    done: usize,
    unsynced: BTreeSet<PathBuf>,
    synced_before_commit: Option<bool>,
}

/// The disk, counting operations that change it, with a fault at one of them. Waits for no sync, but notes what would be lost in a power
/// cut when the manifest gets its name.
#[derive(Clone)]
pub(crate) struct Faulty {
    log: Arc<Mutex<Log>>,
    at: usize,
    fault: Fault,
    /// Bytes that it says are free.
    free: Option<u64>,
}

impl Faulty {
    /// Fault at operation number `at`, counted from 0.
    pub(crate) fn new(at: usize, fault: Fault) -> Self {
        Self { log: Arc::default(), at, fault, free: None }
    }

    /// No fault, and a disk that says it has room for `bytes` bytes.
    pub(crate) fn with_room(bytes: u64) -> Self {
        Self { free: Some(bytes), ..Self::new(usize::MAX, Fault::Once) }
    }

    /// Operations so far.
    pub(crate) fn count(&self) -> usize {
        self.log.lock().unwrap().done
    }

    /// True if all was synced when the manifest got its name, the manifest's own folder aside.
    pub(crate) fn synced_before_commit(&self) -> bool {
        self.log.lock().unwrap().synced_before_commit == Some(true)
    }

    /// What a power cut could still take.
    pub(crate) fn unsynced(&self) -> Vec<PathBuf> {
        self.log.lock().unwrap().unsynced.iter().cloned().collect()
    }

    fn operate(&self) -> io::Result<()> {
        let mut log = self.log.lock().unwrap();
        let number = log.done;
        log.done += 1;
        let fails = if self.fault == Fault::Crash { number >= self.at } else { number == self.at };
        if fails { Err(io::Error::new(io::ErrorKind::StorageFull, "injected")) } else { Ok(()) }
    }

    fn note(&self, path: &Path, synced: bool) {
        let mut log = self.log.lock().unwrap();
        if synced {
            log.unsynced.remove(path);
        } else {
            log.unsynced.insert(path.to_path_buf());
        }
    }
}

struct FaultySink {
    disk: Faulty,
    path: PathBuf,
    file: Box<dyn Sink>,
}

impl Sink for FaultySink {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.disk.note(&self.path, false);
        self.disk.operate().inspect_err(|_| {
            if self.disk.fault == Fault::Short {
                self.file.write_all(&bytes[..bytes.len() / 2]).unwrap();
            }
        })?;
        self.file.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.disk.operate()?;
        self.disk.note(&self.path, true);
        Ok(())
    }
}

impl Store for Faulty {
    fn free(&self, _path: &Path) -> io::Result<Option<u64>> {
        Ok(self.free)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn Sink>> {
        self.operate()?;
        let file = Disk.create(path)?;
        self.note(path, false);
        self.note(path.parent().unwrap(), false);
        Ok(Box::new(FaultySink { disk: self.clone(), path: path.into(), file }))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn Source>> {
        Disk.open(path)
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        self.operate()?;
        self.note(path, true);
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.operate()?;
        if to.ends_with("MANIFEST") {
            let mut log = self.log.lock().unwrap();
            let own = to.parent().unwrap();
            let all = log.unsynced.iter().all(|path| path == own);
            log.synced_before_commit = Some(all);
        }
        Disk.rename(from, to)?;
        self.note(to.parent().unwrap(), false);
        Ok(())
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        Disk.list(path)
    }

    fn create_folder(&self, path: &Path) -> io::Result<()> {
        self.operate()?;
        Disk.create_folder(path)?;
        self.note(path.parent().unwrap(), false);
        Ok(())
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.operate()?;
        Disk.remove_file(path)
    }

    fn remove_folder(&self, path: &Path) -> io::Result<()> {
        self.operate()?;
        Disk.remove_folder(path)
    }

    fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        Disk.metadata(path)
    }
}

/// The disk without waiting for it: for tests that are about bytes alone.
pub(crate) struct Quick;

struct QuickSink(Box<dyn Sink>);

impl Sink for QuickSink {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The operations on names of a [`Store`] whose names are on the disk.
macro_rules! names_on_the_disk {
    () => {
        fn sync_folder(&self, _path: &Path) -> io::Result<()> {
            Ok(())
        }

        fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
            Disk.rename(from, to)
        }

        fn list(&self, path: &Path) -> io::Result<Vec<String>> {
            Disk.list(path)
        }

        fn create_folder(&self, path: &Path) -> io::Result<()> {
            Disk.create_folder(path)
        }

        fn remove_file(&self, path: &Path) -> io::Result<()> {
            Disk.remove_file(path)
        }

        fn remove_folder(&self, path: &Path) -> io::Result<()> {
            Disk.remove_folder(path)
        }

        fn metadata(&self, path: &Path) -> io::Result<Metadata> {
            Disk.metadata(path)
        }
    };
}

#[allow(unused_imports, reason = "each test uses some of it")]
pub(crate) use names_on_the_disk;

impl Store for Quick {
    fn create(&self, path: &Path) -> io::Result<Box<dyn Sink>> {
        Ok(Box::new(QuickSink(Disk.create(path)?)))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn Source>> {
        Disk.open(path)
    }

    names_on_the_disk!();
}
