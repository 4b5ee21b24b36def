//! The machine that ranks are laid out on: nodes, how they are joined, and what predictions assume of them.
//!
//! Input: a machine file (TOML). Output: a [`Machine`]. Invariant: a `Machine` that exists is valid: its nodes have places in
//! its network and names, and all numbers are positive.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

mod file;
pub mod network;

use crate::job::JobError;
use network::Network;

/// A valid machine.
#[derive(Clone, Debug, PartialEq)]
pub struct Machine {
    /// Ranks of each node.
    pub ranks_per_node: usize,
    /// Cores of each node.
    pub cores_per_node: usize,
    /// How nodes are joined; also says how many places for nodes there are.
    pub network: Network,
    /// Name of each node, by number.
    pub hosts: Vec<String>,
    /// Places without a node to use.
    pub missing: BTreeSet<usize>,
    /// What predictions assume.
    pub pace: Pace,
}

/// What predictions assume of a machine.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pace {
    /// Bytes in a second over one link, one way.
    pub bandwidth: f64,
    /// Seconds from node to node over one link.
    pub latency_s: f64,
    /// Seconds that a rank spends on each message.
    pub message_s: f64,
    /// Bytes in a second between a node's memory and its cores.
    pub memory_bandwidth: f64,
    /// Bytes in a second that each node adds to what the storage takes.
    pub storage_bandwidth: f64,
    /// Files that the storage makes in a second.
    pub files_per_second: f64,
    /// Seconds that a disturbance takes from a core.
    pub noise_s: f64,
    /// Seconds between disturbances of one core.
    pub noise_every_s: f64,
    /// Mean hours between failures of one node.
    pub mtbf_h: f64,
    /// Seconds from a failure until the job runs again.
    pub restart_s: f64,
}

/// Why a machine file cannot be read.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[non_exhaustive]
pub enum MachineError {
    /// The file cannot be opened, or is none.
    #[error("cannot read the machine file {}; give the path of a TOML file", path.display())]
    Read {
        /// The machine file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The file is wrong.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Wrong(#[from] JobError),
}

impl Machine {
    /// The machine in the file at `path`.
    ///
    /// # Errors
    ///
    /// [`MachineError`] if the file cannot be read or does not describe a machine; it points into the file.
    pub fn read(path: &Path) -> Result<Self, MachineError> {
        let fail = |source| MachineError::Read { path: path.to_owned(), source };
        if !fs::metadata(path).map_err(fail)?.is_file() {
            return Err(fail(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file")));
        }
        let text = fs::read_to_string(path).map_err(fail)?;
        Ok(Self::parse(&text, path)?)
    }

    /// The machine that `text` describes; `path` names it in errors.
    ///
    /// # Errors
    ///
    /// [`JobError`] if the text does not describe a machine; it points into the text.
    pub fn parse(text: &str, path: &Path) -> Result<Self, JobError> {
        file::machine(text, path)
    }

    /// Numbers of the nodes that may be used.
    #[must_use]
    pub fn usable(&self) -> Vec<u32> {
        let nodes = (0..self.network.nodes()).filter(|node| !self.missing.contains(node));
        nodes.filter_map(|node| u32::try_from(node).ok()).collect()
    }

    /// Number of ranks that there is room for.
    #[must_use]
    pub fn capacity(&self) -> usize {
        (self.network.nodes() - self.missing.len()).saturating_mul(self.ranks_per_node)
    }
}

#[cfg(test)]
mod tests;
