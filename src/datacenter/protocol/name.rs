//! Names and values: what workers, ledger and blobs speak about.
//!
//! Invariant: one content per name, whoever made it.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// Number of a block: a part of the job's cuts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Block(pub usize);

/// One start of one worker: a worker that starts again is another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct WorkerId(pub u64);

/// Counts the owners of a block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
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

/// A value that may have no bytes as yet: what lies behind it can be asked for them.
pub trait Held: Any + Send + Sync {
    /// The bytes, if they can still be had.
    fn bytes(&self) -> Option<Bytes>;
}

/// Bytes with the digest that they had when they were made, taken when first asked for. Clones share both.
#[derive(Clone)]
pub struct Value(Arc<Inner>);

struct Inner {
    bytes: Bytes,
    /// The digest that came with the bytes.
    claimed: Option<u64>,
    digest: OnceLock<u64>,
    held: Option<Arc<dyn Held>>,
}

impl Value {
    /// `bytes`, with their digest.
    #[must_use]
    pub fn new(bytes: impl Into<Bytes>) -> Self {
        Self::from_parts(bytes.into(), None, None)
    }

    /// What came from outside: bytes, and the digest that came with them. [`Self::intact`] tells if they belong together.
    #[must_use]
    pub fn received(bytes: impl Into<Bytes>, digest: u64) -> Self {
        Self::from_parts(bytes.into(), Some(digest), None)
    }

    /// What is held by the one who made it: with its bytes, or without for as long as nobody needs them.
    #[must_use]
    pub fn held(held: Arc<dyn Held>, bytes: Option<Bytes>) -> Self {
        Self::from_parts(bytes.unwrap_or_default(), None, Some(held))
    }

    fn from_parts(bytes: Bytes, claimed: Option<u64>, held: Option<Arc<dyn Held>>) -> Self {
        Self(Arc::new(Inner { bytes, claimed, digest: OnceLock::new(), held }))
    }

    /// True if the bytes have the digest.
    #[must_use]
    pub fn intact(&self) -> bool {
        self.0.claimed.is_none_or(|claimed| claimed == self.computed())
    }

    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        &self.0.bytes
    }

    /// The digest.
    #[must_use]
    pub fn digest(&self) -> u64 {
        self.0.claimed.unwrap_or_else(|| self.computed())
    }

    /// What is held behind the value, if it is a `T`.
    #[must_use]
    pub fn behind<T: Held>(&self) -> Option<Arc<T>> {
        let any: Arc<dyn Any + Send + Sync> = self.0.held.clone()?;
        any.downcast().ok()
    }

    /// The value as others can have it: with bytes, and nothing behind. None if what was held is gone.
    #[must_use]
    pub fn settled(&self) -> Option<Self> {
        match &self.0.held {
            Some(held) if self.0.bytes.is_empty() => held.bytes().map(Self::new),
            _ => Some(self.clone()),
        }
    }

    fn computed(&self) -> u64 {
        *self.0.digest.get_or_init(|| digest(&self.0.bytes))
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || (self.0.bytes == other.0.bytes && self.digest() == other.digest())
    }
}

impl Eq for Value {}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.bytes.len())
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
