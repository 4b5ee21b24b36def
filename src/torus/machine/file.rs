//! The machine file: its keys, and what each must be.
//!
//! Input: text. Output: a [`Machine`], or an error that names the key. Invariant: no unknown key and no number out of
//! its range is passed over, and what is left out has its default here and nowhere else. A network has 1 to 2^24
//! nodes, at least one of them to use: ways in a torus are counted in 32 bits.

use std::collections::BTreeSet;
use std::path::Path;

use schemars::JsonSchema;
use serde::Deserialize;

use super::network::{Kind, Network};
use super::{Machine, Pace};
use crate::job::JobError;
use crate::job::document::Document;

/// Most nodes of a machine, and most ranks or cores of a node.
const MOST_NODES: u64 = 1 << 24;
const MOST_PER_NODE: u64 = 1 << 16;
/// Most axes of a network.
const MOST_AXES: usize = 8;

/// Most links between the routers of a dragonfly, all of which are counted: as many as the largest torus has.
const MOST_LINKS: u64 = 2 * MOST_AXES as u64 * MOST_NODES;

/// The file.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct File {
    /// Number of nodes; default: as many as the network's shape has places that are not missing.
    nodes: Option<u64>,
    /// Ranks of each node; default 1.
    ranks_per_node: Option<u64>,
    /// Cores of each node; default: one for each rank.
    cores_per_node: Option<u64>,
    /// Names of the nodes, by number; default node0, node1, ...
    hosts: Option<Vec<String>>,
    /// How nodes are joined.
    #[serde(default)]
    network: Joined,
    /// What predictions assume.
    #[serde(default)]
    model: Model,
}

/// How nodes are joined.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Joined {
    /// "none" (default), "torus", "fat-tree" or "dragonfly".
    kind: Option<String>,
    /// Nodes along each axis of a torus, slowest first; branches of a fat tree from the top; groups, routers, nodes.
    shape: Option<Vec<u64>>,
    /// Whether axes of a torus are rings: one word, or one for each axis; default true.
    wrap: Option<Wrap>,
    /// Bytes in a second over one link, one way.
    bandwidth: Option<f64>,
    /// Seconds from node to node over one link.
    latency: Option<f64>,
    /// Times as many nodes below a switch as links above it (fat tree), or nodes of a group as links to others (dragonfly).
    oversubscription: Option<f64>,
    /// Numbers of nodes that cannot be used.
    missing: Option<Vec<u64>>,
}

/// Whether axes are rings.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
enum Wrap {
    /// All or none.
    All(bool),
    /// Each axis.
    Each(Vec<bool>),
}

/// What predictions assume.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Model {
    /// Seconds that a rank spends on each message.
    message_seconds: Option<f64>,
    /// Bytes in a second between a node's memory and its cores.
    memory_bandwidth: Option<f64>,
    /// Bytes in a second that each node adds to what the storage takes.
    storage_bandwidth: Option<f64>,
    /// Files that the storage makes in a second.
    files_per_second: Option<f64>,
    /// Seconds that a disturbance takes from a core.
    noise_seconds: Option<f64>,
    /// Seconds between disturbances of one core.
    noise_every_seconds: Option<f64>,
    /// Mean hours between failures of one node.
    mtbf_hours: Option<f64>,
    /// Seconds from a failure until the job runs again.
    restart_seconds: Option<f64>,
}

const KINDS: [&str; 4] = ["none", "torus", "fat-tree", "dragonfly"];

/// The machine that `text` describes.
pub(super) fn machine(text: &str, path: &Path) -> Result<Machine, JobError> {
    let document = Document::of("machine", text, path)?;
    let settings =
        schemars::generate::SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    document.check_keys(&settings.into_generator().into_root_schema_for::<File>().to_value())?;
    let file: File = document.deserialize()?;
    let count = |key: &str, given: Option<u64>, most: u64| match given {
        Some(count) if !(1..=most).contains(&count) => {
            Err(document.wrong(&[key], format!("{count}: give 1 to {most}")))
        }
        Some(count) => Ok(usize::try_from(count).ok()),
        None => Ok(None),
    };
    let nodes = count("nodes", file.nodes, MOST_NODES)?;
    let ranks_per_node = count("ranks_per_node", file.ranks_per_node, MOST_PER_NODE)?.unwrap_or(1);
    let cores_per_node = count("cores_per_node", file.cores_per_node, MOST_PER_NODE)?.unwrap_or(ranks_per_node);
    let network = network(&document, &file.network, nodes)?;
    let missing = missing(&document, file.network.missing.as_deref().unwrap_or(&[]), &network)?;
    let left = network.nodes() - missing.len();
    if let Some(nodes) = nodes.filter(|nodes| *nodes != left && *nodes != network.nodes()) {
        let problem = format!(
            "{nodes} nodes, but the network's shape has {} places, {} of them missing; name those without a node in \
             network.missing, or leave out nodes",
            network.nodes(),
            missing.len(),
        );
        return Err(document.wrong(&["nodes"], problem));
    }
    let pace = pace(&document, &file, cores_per_node)?;
    let hosts = hosts(&document, file.hosts, &network, &missing)?;
    Ok(Machine { ranks_per_node, cores_per_node, network, hosts, missing, pace })
}

fn network(document: &Document, given: &Joined, nodes: Option<usize>) -> Result<Network, JobError> {
    let word = given.kind.as_deref().unwrap_or("none");
    let kind = match word {
        "none" => Kind::None,
        "torus" => Kind::Torus,
        "fat-tree" => Kind::FatTree,
        "dragonfly" => Kind::Dragonfly,
        _ => return Err(document.unknown_word(&["network", "kind"], "kind of network", word, &KINDS)),
    };
    let shape = shape(document, given, kind, nodes)?;
    let wrap = match &given.wrap {
        Some(_) if kind != Kind::Torus => {
            return Err(document.wrong(&["network", "wrap"], "only a torus has axes that are rings; remove it"));
        }
        Some(Wrap::Each(wrap)) if wrap.len() != shape.len() => {
            let problem = format!("{} words for {} axes; give one for each, or one for all", wrap.len(), shape.len());
            return Err(document.wrong(&["network", "wrap"], problem));
        }
        Some(Wrap::Each(wrap)) => wrap.clone(),
        Some(Wrap::All(wrap)) => vec![*wrap; shape.len()],
        None => vec![true; shape.len()],
    };
    let path = ["network", "oversubscription"];
    let oversubscription = match given.oversubscription {
        Some(_) if matches!(kind, Kind::None | Kind::Torus) => {
            return Err(document.wrong(&path, "only switches have it: fat-tree and dragonfly; remove it"));
        }
        Some(times) if !(times.is_finite() && (0.01..=1000.0).contains(&times)) => {
            return Err(document.wrong(&path, format!("{times}: give a number from 0.01 to 1000; 1 is none")));
        }
        times => times.unwrap_or(1.0),
    };
    Ok(Network { kind, shape, wrap, oversubscription })
}

fn shape(document: &Document, given: &Joined, kind: Kind, nodes: Option<usize>) -> Result<Vec<usize>, JobError> {
    let path = ["network", "shape"];
    let Some(given) = &given.shape else {
        return match (kind, nodes) {
            (Kind::None, Some(nodes)) => Ok(vec![nodes]),
            (Kind::None, None) => Err(document.wrong(&["nodes"], "missing; say how many nodes there are")),
            _ => Err(document.wrong(&path, "missing; say how many nodes there are along each axis")),
        };
    };
    let axes = if kind == Kind::Dragonfly { 3..=3 } else { 1..=MOST_AXES };
    if !axes.contains(&given.len()) {
        let problem = format!("{} numbers; give {} to {}", given.len(), axes.start(), axes.end());
        return Err(document.wrong(&path, problem));
    }
    let all = given.iter().try_fold(1_u64, |all, &length| all.checked_mul(length));
    if !all.is_some_and(|all| (1..=MOST_NODES).contains(&all)) {
        return Err(document.wrong(&path, format!("give lengths above 0 with at most {MOST_NODES} nodes in all")));
    }
    if kind == Kind::Dragonfly {
        let links =
            |groups: u64, routers: u64| groups.checked_mul(routers)?.checked_mul(routers)?.checked_add(groups * groups);
        if links(given[0], given[1]).is_none_or(|links| links > MOST_LINKS) {
            let problem = format!("give fewer groups or routers: at most {MOST_LINKS} links between routers in all");
            return Err(document.wrong(&path, problem));
        }
    }
    Ok(given.iter().filter_map(|&length| usize::try_from(length).ok()).collect())
}

fn missing(document: &Document, given: &[u64], network: &Network) -> Result<BTreeSet<usize>, JobError> {
    let mut all = BTreeSet::new();
    for (at, &node) in given.iter().enumerate() {
        let node = usize::try_from(node).unwrap_or(usize::MAX);
        let path = ["network", "missing", &at.to_string()];
        if node >= network.nodes() {
            return Err(document.wrong(&path, format!("no node {node}: they are 0 to {}", network.nodes() - 1)));
        }
        if !all.insert(node) {
            return Err(document.wrong(&path, format!("node {node} is named twice")));
        }
    }
    if all.len() == network.nodes() {
        return Err(document.wrong(&["network", "missing"], "no node is left"));
    }
    Ok(all)
}

/// Names of all places; a list may leave out those that are missing.
fn hosts(
    document: &Document,
    given: Option<Vec<String>>,
    network: &Network,
    missing: &BTreeSet<usize>,
) -> Result<Vec<String>, JobError> {
    let nodes = network.nodes();
    let Some(given) = given else { return Ok((0..nodes).map(|node| format!("node{node}")).collect()) };
    if given.len() != nodes && given.len() != nodes - missing.len() {
        let problem = format!("{} names for {} nodes; give one for each", given.len(), nodes - missing.len());
        return Err(document.wrong(&["hosts"], problem));
    }
    let fits = |name: &str| {
        !name.is_empty() && name.len() <= 255 && name.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
    };
    let mut seen = BTreeSet::new();
    for (at, name) in given.iter().enumerate() {
        let path = ["hosts", &at.to_string()];
        if !fits(name) {
            return Err(document.wrong(&path, format!("`{name}` is no name of a host")));
        }
        if !seen.insert(name) {
            return Err(document.wrong(&path, format!("`{name}` is named twice")));
        }
    }
    if given.len() == nodes {
        return Ok(given);
    }
    let mut names = given.into_iter();
    let name = |node: usize| {
        let own = if missing.contains(&node) { None } else { names.next() };
        own.unwrap_or_else(|| format!("missing{node}"))
    };
    Ok((0..nodes).map(name).collect())
}

fn pace(document: &Document, file: &File, cores: usize) -> Result<Pace, JobError> {
    let number = |table: &str, key: &str, given: Option<f64>, usual: f64| match given {
        Some(value) if !(value.is_finite() && value > 0.0) => {
            Err(document.wrong(&[table, key], format!("{value}: give a finite number above 0")))
        }
        value => Ok(value.unwrap_or(usual)),
    };
    let (joined, model) = (&file.network, &file.model);
    #[allow(clippy::cast_precision_loss, reason = "a node has a few cores")]
    let memory = 4e9 * cores as f64;
    Ok(Pace {
        bandwidth: number("network", "bandwidth", joined.bandwidth, 1e10)?,
        latency_s: number("network", "latency", joined.latency, 1e-6)?,
        message_s: number("model", "message_seconds", model.message_seconds, 5e-7)?,
        memory_bandwidth: number("model", "memory_bandwidth", model.memory_bandwidth, memory)?,
        storage_bandwidth: number("model", "storage_bandwidth", model.storage_bandwidth, 1e8)?,
        files_per_second: number("model", "files_per_second", model.files_per_second, 5e4)?,
        noise_s: number("model", "noise_seconds", model.noise_seconds, 2.5e-5)?,
        noise_every_s: number("model", "noise_every_seconds", model.noise_every_seconds, 1.0)?,
        mtbf_h: number("model", "mtbf_hours", model.mtbf_hours, 5e5)?,
        restart_s: number("model", "restart_seconds", model.restart_seconds, 300.0)?,
    })
}
