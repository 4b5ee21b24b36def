//! What holds for any bytes in the place of a manifest or of a group's metadata: an error or a value, never a panic, never more
//! memory than the limits. The fuzzer looks for exceptions; the suite runs its corpus.

#![allow(dead_code, clippy::unwrap_used, reason = "each uses some of it; panics are what is looked for")]

use std::io;
use std::path::Path;

use ringfort::advance::library::SHIPPED;
use ringfort::checkpoint::{Checkpoint, FileRecord, MANIFEST, Manifest, Metadata, Sink, Source, Store};
use ringfort::job::Job;

/// A manifest that is whole.
const WHOLE: &[u8] = include_bytes!("../golden/checkpoint.manifest");

/// Bytes of a manifest's head: magic, version, length, checksum.
const HEAD: usize = 24;

/// Decodes `bytes` as they are, and as the body of a manifest whose head is right. What can be decoded is written as it was read.
pub(crate) fn manifest(bytes: &[u8]) {
    let _an_error_or_not = Manifest::decode(bytes);
    let framed = framed(bytes);
    if let Ok(manifest) = Manifest::decode(&framed) {
        assert_eq!(manifest.encode().unwrap(), framed);
        let _lengths = manifest.bytes();
    }
}

/// Opens a checkpoint whose metadata are `bytes`, which its manifest vouches for, and reads the job that they hold.
pub(crate) fn metadata(bytes: &[u8]) {
    let mut manifest = Manifest::decode(WHOLE).unwrap();
    manifest.files[0] = FileRecord::of(manifest.files[0].name.clone(), bytes);
    let memory = Memory { manifest: manifest.encode().unwrap(), metadata: bytes.to_vec() };
    let folder = Path::new("run/checkpoints/step-0000000000");
    if let Ok(checkpoint) = Checkpoint::open(&memory, folder) {
        let _an_error_or_not = Job::parse(&checkpoint.meta().job, Path::new("job.toml"), &[], &SHIPPED);
    }
}

/// `body` with a head that fits it.
pub(crate) fn framed(body: &[u8]) -> Vec<u8> {
    let mut bytes = WHOLE[..HEAD - 12].to_vec();
    bytes.extend((body.len() as u64).to_le_bytes());
    bytes.extend(crc32c::crc32c_append(crc32c::crc32c(&bytes), body).to_le_bytes());
    bytes.extend(body);
    bytes
}

/// A disk that holds the manifest and the metadata of one checkpoint.
struct Memory {
    manifest: Vec<u8>,
    metadata: Vec<u8>,
}

fn read_only<T>() -> io::Result<T> {
    Err(io::ErrorKind::ReadOnlyFilesystem.into())
}

struct Bytes(Vec<u8>);

impl Source for Bytes {
    fn bytes(&self) -> io::Result<u64> {
        Ok(self.0.len() as u64)
    }

    fn read_at(&self, to: &mut [u8], offset: u64) -> io::Result<()> {
        let from = usize::try_from(offset).unwrap_or(usize::MAX);
        let bytes = from.checked_add(to.len()).and_then(|end| self.0.get(from..end));
        to.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}

impl Store for Memory {
    fn open(&self, path: &Path) -> io::Result<Box<dyn Source>> {
        let manifest = path.ends_with(MANIFEST);
        Ok(Box::new(Bytes(if manifest { self.manifest.clone() } else { self.metadata.clone() })))
    }

    fn create(&self, _path: &Path) -> io::Result<Box<dyn Sink>> {
        read_only()
    }

    fn sync_folder(&self, _path: &Path) -> io::Result<()> {
        read_only()
    }

    fn rename(&self, _from: &Path, _to: &Path) -> io::Result<()> {
        read_only()
    }

    fn list(&self, _path: &Path) -> io::Result<Vec<String>> {
        Ok(Vec::new())
    }

    fn create_folder(&self, _path: &Path) -> io::Result<()> {
        read_only()
    }

    fn remove_file(&self, _path: &Path) -> io::Result<()> {
        read_only()
    }

    fn remove_folder(&self, _path: &Path) -> io::Result<()> {
        read_only()
    }

    fn metadata(&self, _path: &Path) -> io::Result<Metadata> {
        Err(io::ErrorKind::NotFound.into())
    }
}
