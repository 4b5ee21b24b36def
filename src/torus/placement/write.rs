//! A map in the languages of launchers.
//!
//! Input: a placement. Output: text. Invariant: each format says the same map; what a format cannot say is refused.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::Placement;
use crate::torus::machine::Machine;
use crate::torus::machine::network::Kind;

/// A launcher's language.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Open MPI: `rank R=HOST slot=CORES`.
    Rankfile,
    /// Cray MPICH, `MPICH_RANK_REORDER_METHOD=3`: ranks in the order in which nodes are filled.
    MpichRankOrder,
    /// Slurm, `SLURM_HOSTFILE` with `--distribution=arbitrary`: a host for each rank.
    SlurmHostfile,
    /// Fujitsu, `rank-map-hostfile`: coordinates of a node for each rank.
    Fujitsu,
    /// SimGrid's `-hostfile`: a host for each rank.
    Simgrid,
    /// A table: rank, node, host and the rank's place in the process grid.
    Csv,
}

impl Format {
    /// All formats by name.
    pub const ALL: [(&'static str, Format); 6] = [
        ("rankfile", Format::Rankfile),
        ("mpich-rank-order", Format::MpichRankOrder),
        ("slurm-hostfile", Format::SlurmHostfile),
        ("fujitsu", Format::Fujitsu),
        ("simgrid", Format::Simgrid),
        ("csv", Format::Csv),
    ];
}

/// What a format cannot say.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// Coordinates of something that has none.
    #[error(
        "the format fujitsu gives coordinates in a torus of 1 to 3 axes, which this machine is not; write slurm-hostfile or csv"
    )]
    NoTorus,
    /// Nodes are filled one after another, but one that is not the last is not full.
    #[error(
        "the format mpich-rank-order fills nodes one after another, but {host} holds {held} of {full} ranks and is not \
         the last; use a number of ranks that fills all nodes, or write slurm-hostfile"
    )]
    NotFull {
        /// Name of the node.
        host: String,
        /// Its ranks.
        held: usize,
        /// Ranks that it has room for.
        full: usize,
    },
}

/// The map of `placement` on `machine` as `format`; `axes` names the axes of the process grid.
///
/// # Errors
///
/// [`WriteError`] if the format cannot say this map.
pub fn write(format: Format, placement: &Placement, machine: &Machine, axes: &[&str]) -> Result<String, WriteError> {
    let node = &placement.map.node;
    let host = |rank: usize| machine.hosts[node[rank] as usize].as_str();
    let mut text = String::new();
    match format {
        Format::Rankfile => {
            for (rank, slot) in placement.slots().into_iter().enumerate() {
                let _ = writeln!(text, "rank {rank}={} slot={}", host(rank), cores(machine, slot));
            }
        }
        Format::MpichRankOrder => return rank_order(placement, machine),
        Format::SlurmHostfile | Format::Simgrid => {
            (0..node.len()).for_each(|rank| text.extend([host(rank), "\n"]));
        }
        Format::Fujitsu => {
            if machine.network.kind != Kind::Torus || machine.network.shape.len() > 3 {
                return Err(WriteError::NoTorus);
            }
            for &node in node {
                let place: Vec<String> = machine.network.place(node as usize).iter().map(usize::to_string).collect();
                let _ = writeln!(text, "({})", place.join(","));
            }
        }
        Format::Csv => {
            let _ = writeln!(text, "rank,node,host,{}", axes.join(","));
            let first = crate::grid::AXES - axes.len();
            for (rank, &node) in node.iter().enumerate() {
                let place: Vec<String> = placement.ranks.place(rank)[first..].iter().map(usize::to_string).collect();
                let _ = writeln!(text, "{rank},{node},{},{}", host(rank), place.join(","));
            }
        }
    }
    Ok(text)
}

/// Cores of the rank in `slot` of its node: an equal share, in a row.
fn cores(machine: &Machine, slot: usize) -> String {
    let each = machine.cores_per_node / machine.ranks_per_node;
    if each <= 1 {
        return (slot % machine.cores_per_node).to_string();
    }
    format!("{}-{}", slot * each, (slot + 1) * each - 1)
}

/// A line of ranks for each node that holds some, in the order of nodes; the launcher must be given these nodes alone.
fn rank_order(placement: &Placement, machine: &Machine) -> Result<String, WriteError> {
    let mut held: BTreeMap<u32, Vec<String>> = BTreeMap::new();
    for (rank, &node) in placement.map.node.iter().enumerate() {
        held.entry(node).or_default().push(rank.to_string());
    }
    let last = held.keys().next_back().copied();
    let mut text = String::new();
    for (node, ranks) in held {
        let host = &machine.hosts[node as usize];
        if ranks.len() < machine.ranks_per_node && Some(node) != last {
            return Err(WriteError::NotFull { host: host.clone(), held: ranks.len(), full: machine.ranks_per_node });
        }
        let _ = writeln!(text, "# {host}\n{}", ranks.join(","));
    }
    Ok(text)
}
