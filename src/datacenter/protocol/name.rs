//! Names and values: what workers, ledger and blobs speak about.
//!
//! Invariant: one content per name, whoever made it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// Number of a block: a part of the job's cuts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Block(pub usize);

/// One start of one worker: a worker that starts again is another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkerId(pub u64);

/// Counts the owners of a block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub u64);

/// Counts writes to the ledger; 0 stands for a record that is not there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision(pub u64);

/// Name of what a block shows its neighbours after a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Shell {
    /// Whose cells.
    pub block: Block,
    /// After which step.
    pub step: u64,
}

/// Name of an object in the blobs. The run id that comes before it is the caller's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Blob {
    /// A generation is complete: written last, deleted first.
    Manifest {
        /// The generation.
        step: u64,
    },
    /// An empty object whose name says that a chunk was read back.
    Receipt {
        /// The generation.
        step: u64,
        /// Whose chunk.
        block: Block,
        /// Digest of the chunk.
        digest: u64,
    },
    /// A block after a step.
    Chunk {
        /// The generation.
        step: u64,
        /// Whose cells.
        block: Block,
    },
}

impl Blob {
    /// The generation it belongs to.
    #[must_use]
    pub fn step(&self) -> u64 {
        match *self {
            Self::Manifest { step } | Self::Receipt { step, .. } | Self::Chunk { step, .. } => step,
        }
    }
}

/// Bytes with the digest that they had when they were made. Clones share the bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct Value {
    bytes: Arc<[u8]>,
    digest: u64,
}

impl Value {
    /// `bytes`, with their digest.
    #[must_use]
    pub fn new(bytes: impl Into<Arc<[u8]>>) -> Self {
        let bytes = bytes.into();
        let digest = digest(&bytes);
        Self { bytes, digest }
    }

    /// What came from outside: bytes, and the digest that came with them. [`Self::intact`] tells if they belong together.
    #[must_use]
    pub fn received(bytes: impl Into<Arc<[u8]>>, digest: u64) -> Self {
        Self { bytes: bytes.into(), digest }
    }

    /// True if the bytes have the digest.
    #[must_use]
    pub fn intact(&self) -> bool {
        digest(&self.bytes) == self.digest
    }

    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The digest.
    #[must_use]
    pub fn digest(&self) -> u64 {
        self.digest
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes {:016x}", self.bytes.len(), self.digest)
    }
}

fn digest(bytes: &[u8]) -> u64 {
    let hash = blake3::hash(bytes);
    hash.as_bytes().iter().take(8).fold(0, |word, &byte| word << 8 | u64::from(byte))
}

/// The manifest of generation `step`: a function of the digests of its chunks, so that all writers write the same bytes.
#[must_use]
pub fn manifest(step: u64, digests: &BTreeMap<Block, u64>) -> Value {
    let words = [step].into_iter().chain(digests.iter().flat_map(|(block, &digest)| [block.0 as u64, digest]));
    Value::new(words.flat_map(u64::to_le_bytes).collect::<Vec<u8>>())
}
