//! Disks whose power can be cut: a model in memory, and an ext4 in a file.

#![allow(dead_code, missing_docs, clippy::unwrap_used, reason = "a test")]

mod real;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use ringfort::checkpoint::{Kind, Metadata, Sink, Source, Store};
use ringfort::random::Rng;

pub(crate) use real::ext4;

/// Random numbers.
pub(crate) struct Random(Rng);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Rng::new(seed))
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.0.below(limit as u64)).unwrap()
    }
}

/// A file or folder, by its number.
type Number = usize;

/// A change of the names in a folder.
#[derive(Clone, Debug)]
enum Change {
    Add(String, Number),
    Remove(String),
    /// One step: both or none.
    Rename(String, String),
}

#[derive(Clone, Debug)]
enum Node {
    File { now: Vec<u8>, safe: Vec<u8> },
    Folder { now: BTreeMap<String, Number>, safe: BTreeMap<String, Number>, unsynced: Vec<Change> },
}

fn apply(names: &mut BTreeMap<String, Number>, change: &Change) {
    match change {
        Change::Add(name, number) => drop(names.insert(name.clone(), *number)),
        Change::Remove(name) => drop(names.remove(name)),
        Change::Rename(from, to) => {
            if let Some(number) = names.remove(from) {
                names.insert(to.clone(), number);
            }
        }
    }
}

#[derive(Debug)]
struct Nodes {
    root: PathBuf,
    all: Vec<Node>,
    /// Operations left before every one fails.
    left: usize,
}

/// A file system that remembers what was forced to the disk. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Model(Arc<Mutex<Nodes>>);

fn folder() -> Node {
    Node::Folder { now: BTreeMap::new(), safe: BTreeMap::new(), unsynced: Vec::new() }
}

impl Nodes {
    fn operate(&mut self) -> io::Result<()> {
        self.left = self.left.checked_sub(1).ok_or_else(|| io::Error::other("the power is off"))?;
        Ok(())
    }

    fn find(&self, path: &Path) -> io::Result<Number> {
        let below = path.strip_prefix(&self.root).map_err(|_| io::Error::from(io::ErrorKind::NotFound))?;
        below.iter().try_fold(0, |at, name| {
            match &self.all[at] {
                Node::Folder { now, .. } => now.get(name.to_str().unwrap()).copied(),
                Node::File { .. } => None,
            }
            .ok_or_else(|| io::ErrorKind::NotFound.into())
        })
    }

    /// Number of the folder that holds `path`, and the last name.
    fn parent(&self, path: &Path) -> io::Result<(Number, String)> {
        Ok((self.find(path.parent().unwrap())?, path.file_name().unwrap().to_str().unwrap().into()))
    }

    fn change(&mut self, at: Number, change: Change) {
        let Node::Folder { now, unsynced, .. } = &mut self.all[at] else { panic!("a folder") };
        apply(now, &change);
        unsynced.push(change);
    }

    fn add(&mut self, path: &Path, node: Node) -> io::Result<Number> {
        self.operate()?;
        if self.find(path).is_ok() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let (at, name) = self.parent(path)?;
        self.all.push(node);
        let number = self.all.len() - 1;
        self.change(at, Change::Add(name, number));
        Ok(number)
    }
}

impl Model {
    pub(crate) fn new(root: &Path) -> Self {
        Self(Arc::new(Mutex::new(Nodes { root: root.into(), all: vec![folder()], left: usize::MAX })))
    }

    /// After so many operations that change something, all fail.
    pub(crate) fn fail_after(&self, operations: usize) {
        self.0.lock().unwrap().left = operations;
    }

    /// Cuts the power and starts again: of what was not forced to the disk, some is kept and some is lost. Says how many changes
    /// were lost.
    pub(crate) fn cut(&mut self, random: &mut Random) -> u64 {
        let mut nodes = self.0.lock().unwrap();
        let mut lost = 0;
        // Half of the times nothing at all is kept: some disks are lazy.
        let nothing = random.below(2) == 0;
        for node in &mut nodes.all {
            match node {
                Node::File { now, safe } if now != safe => {
                    lost += 1;
                    *safe = remains(now, safe, if nothing { 0 } else { random.below(5) }, random);
                    now.clone_from(safe);
                }
                Node::File { .. } => {}
                Node::Folder { now, safe, unsynced } => {
                    for change in unsynced.drain(..) {
                        if !nothing && random.below(2) == 0 {
                            apply(safe, &change);
                        } else {
                            lost += 1;
                        }
                    }
                    now.clone_from(safe);
                }
            }
        }
        nodes.left = usize::MAX;
        lost
    }
}

/// What may be found in a file that holds `now` and of which `safe` was forced to the disk.
fn remains(now: &[u8], safe: &[u8], kind: usize, random: &mut Random) -> Vec<u8> {
    match kind {
        0 => safe.to_vec(),
        1 => now.to_vec(),
        2 => now[..random.below(now.len() + 1)].to_vec(),
        // Length first, data never.
        3 => vec![0; now.len()],
        _ => now.iter().map(|byte| if random.below(8) == 0 { !byte } else { *byte }).collect(),
    }
}

struct Open {
    model: Model,
    number: Number,
}

impl Sink for Open {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut nodes = self.model.0.lock().unwrap();
        nodes.operate()?;
        let Node::File { now, .. } = &mut nodes.all[self.number] else { panic!("a file") };
        now.extend_from_slice(bytes);
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut nodes = self.model.0.lock().unwrap();
        nodes.operate()?;
        let Node::File { now, safe } = &mut nodes.all[self.number] else { panic!("a file") };
        safe.clone_from(now);
        Ok(())
    }
}

struct Bytes(Vec<u8>);

impl Source for Bytes {
    fn bytes(&self) -> io::Result<u64> {
        Ok(self.0.len() as u64)
    }

    fn read_at(&self, to: &mut [u8], offset: u64) -> io::Result<()> {
        let from = usize::try_from(offset).unwrap();
        let some = self.0.get(from..from + to.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        to.copy_from_slice(some);
        Ok(())
    }
}

impl Store for Model {
    fn create(&self, path: &Path) -> io::Result<Box<dyn Sink>> {
        let number = self.0.lock().unwrap().add(path, Node::File { now: Vec::new(), safe: Vec::new() })?;
        Ok(Box::new(Open { model: self.clone(), number }))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn Source>> {
        let nodes = self.0.lock().unwrap();
        match &nodes.all[nodes.find(path)?] {
            Node::File { now, .. } => Ok(Box::new(Bytes(now.clone()))),
            Node::Folder { .. } => Err(io::ErrorKind::InvalidInput.into()),
        }
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        let mut nodes = self.0.lock().unwrap();
        nodes.operate()?;
        let at = nodes.find(path)?;
        let Node::Folder { now, safe, unsynced } = &mut nodes.all[at] else {
            return Err(io::ErrorKind::NotADirectory.into());
        };
        unsynced.clear();
        safe.clone_from(now);
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut nodes = self.0.lock().unwrap();
        nodes.operate()?;
        nodes.find(from)?;
        let ((at, from), (there, to)) = (nodes.parent(from)?, nodes.parent(to)?);
        assert_eq!(at, there, "nothing is moved between folders");
        nodes.change(at, Change::Rename(from, to));
        Ok(())
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        let nodes = self.0.lock().unwrap();
        match &nodes.all[nodes.find(path)?] {
            Node::Folder { now, .. } => Ok(now.keys().cloned().collect()),
            Node::File { .. } => Err(io::ErrorKind::NotADirectory.into()),
        }
    }

    fn create_folder(&self, path: &Path) -> io::Result<()> {
        self.0.lock().unwrap().add(path, folder()).map(drop)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        let mut nodes = self.0.lock().unwrap();
        nodes.operate()?;
        nodes.find(path)?;
        let (at, name) = nodes.parent(path)?;
        nodes.change(at, Change::Remove(name));
        Ok(())
    }

    fn remove_folder(&self, path: &Path) -> io::Result<()> {
        if !self.list(path)?.is_empty() {
            return Err(io::ErrorKind::DirectoryNotEmpty.into());
        }
        self.remove_file(path)
    }

    fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        let nodes = self.0.lock().unwrap();
        let (kind, bytes) = match &nodes.all[nodes.find(path)?] {
            Node::File { now, .. } => (Kind::File, now.len() as u64),
            Node::Folder { .. } => (Kind::Folder, 0),
        };
        Ok(Metadata { kind, bytes, modified_s: 0.0 })
    }
}

/// A store that says that it has forced things to the disk and has not.
pub(crate) struct Lazy<'a>(pub(crate) &'a Model);

struct LazySink(Box<dyn Sink>);

impl Sink for LazySink {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Store for Lazy<'_> {
    fn create(&self, path: &Path) -> io::Result<Box<dyn Sink>> {
        Ok(Box::new(LazySink(self.0.create(path)?)))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn Source>> {
        self.0.open(path)
    }

    fn sync_folder(&self, _path: &Path) -> io::Result<()> {
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.0.rename(from, to)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        self.0.list(path)
    }

    fn create_folder(&self, path: &Path) -> io::Result<()> {
        self.0.create_folder(path)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.0.remove_file(path)
    }

    fn remove_folder(&self, path: &Path) -> io::Result<()> {
        self.0.remove_folder(path)
    }

    fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        self.0.metadata(path)
    }
}
