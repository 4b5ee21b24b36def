//! Predicts the time of a step, of a checkpoint, and how well a job scales, on a machine that need not be at hand.
//!
//! Input: what a rank does in a round, what the map costs, the machine's pace. Output: seconds. Pure arithmetic: the
//! same input gives the same numbers. A model, not a measurement: [`Prediction::assumptions`] says what it takes for
//! granted. Invariant: a plan chooses cuts by these numbers, so functions beyond arithmetic are those of `libm`, not
//! the machine's, and nothing is looked up: a plan is the same wherever it is made.
//!
//! Messages: A. Alexandrov, M. F. Ionescu, K. E. Schauser, C. Scheiman, "LogGP: incorporating long messages into the
//! LogP model", SPAA 1995 (latency, overhead of a message, bandwidth), with the busiest link shared by all who use
//! it. Checkpoint interval: J. T. Daly, "A higher order estimate of the optimum checkpoint interval for restart
//! dumps", Future Generation Computer Systems 22 (2006), first order.

use super::machine::Machine;
use super::map::loads::Metrics;
use crate::grid::{AXES, Extents};

/// What the busiest rank does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Work {
    /// Extents of its block.
    pub block: Extents,
    /// Cells that one step reads on each side along each axis with peers; 0 along the others.
    pub radius: Extents,
    /// Steps between two exchanges.
    pub steps: usize,
    /// Bytes that all components of a cell have.
    pub cell_bytes: usize,
    /// Bytes moved to and from memory per cell and step.
    pub update_bytes: usize,
    /// Bytes of a checkpoint, for each rank.
    pub checkpoint_bytes: f64,
}

/// What a machine does with a map.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Traffic {
    /// Messages over the busiest link, per direction.
    pub link_load: f64,
    /// Messages that leave the busiest node.
    pub worst_node: f64,
    /// Links on the longest way.
    pub dilation: f64,
}

impl From<&Metrics> for Traffic {
    fn from(metrics: &Metrics) -> Self {
        let worst = number(metrics.cost.worst);
        Self { link_load: metrics.link_load, worst_node: worst, dilation: number(metrics.dilation as u64) }
    }
}

/// What is predicted.
#[derive(Clone, Debug, PartialEq)]
pub struct Prediction {
    /// Seconds of a step, checkpoints and failures aside.
    pub step_s: f64,
    /// Seconds of a step of the same block on a rank without peers.
    pub alone_s: f64,
    /// Seconds of an exchange, if nothing is computed meanwhile.
    pub exchange_s: f64,
    /// Seconds of a checkpoint.
    pub checkpoint_s: f64,
    /// Seconds between checkpoints that lose least time.
    pub interval_s: f64,
    /// Time of a step alone over that of a step here, checkpoints, failures and lost work included.
    pub efficiency: f64,
}

/// Predicts `work` on `ranks` ranks of `machine`.
#[must_use]
pub fn predict(work: &Work, traffic: &Traffic, machine: &Machine, ranks: usize) -> Prediction {
    let pace = &machine.pace;
    let (per_node, count) = (real(machine.ranks_per_node), real(ranks));
    let nodes = libm::ceil(count / per_node);
    let memory = pace.memory_bandwidth / per_node;
    let steps = real(work.steps);
    let cell_s = real(work.update_bytes) / memory;
    let cells = real(work.block.iter().product());
    let alone_s = cells * cell_s;
    // With a halo of several steps the block is computed with a rim that shrinks step by step.
    let all: f64 = (0..work.steps).map(|left| grown(work, left)).sum::<f64>() * cell_s;
    let inner = (0..AXES).map(|axis| work.block[axis].saturating_sub(2 * work.steps * work.radius[axis]));
    let interior = steps * real(inner.product()) * cell_s;
    let faces = (0..AXES).map(|axis| {
        let deep = (work.steps * work.radius[axis]).min(work.block[axis]);
        cells / real(work.block[axis]) * real(deep) * real(work.cell_bytes)
    });
    let faces: Vec<f64> = faces.collect();
    let largest = faces.iter().fold(0.0, |most: f64, &face| if face > most { face } else { most });
    let messages = real(2 * faces.iter().filter(|&&face| face > 0.0).count());
    // Values are read and written on both ways between field and message.
    let packing = 4.0 * 2.0 * faces.iter().sum::<f64>() / memory;
    let links = real(machine.network.links_of_node());
    let by_link = traffic.link_load * largest / pace.bandwidth;
    let by_node = traffic.worst_node / links * largest / pace.bandwidth;
    let busy = if by_link > by_node { by_link } else { by_node };
    let exchange_s = messages * pace.message_s + messages / 2.0 * traffic.dilation * pace.latency_s + busy;
    let hidden = if interior > exchange_s { interior } else { exchange_s };
    let still = if all > interior { all - interior } else { 0.0 };
    let quiet = hidden + still + packing;
    // Ranks in lock-step: a disturbance of any of them holds up all.
    let hit = 1.0 - libm::exp(-count * quiet / pace.noise_every_s);
    let step_s = (quiet + hit * pace.noise_s) / steps;

    let mtbf = pace.mtbf_h * 3600.0 / nodes;
    let checkpoint_s = work.checkpoint_bytes * count / (pace.storage_bandwidth * nodes) + nodes / pace.files_per_second;
    let interval_s = libm::sqrt(2.0 * checkpoint_s * mtbf);
    let saving = checkpoint_s / interval_s;
    let losing = (interval_s / 2.0 + pace.restart_s) / mtbf;
    let useful = alone_s / step_s / (1.0 + saving) * if losing < 1.0 { 1.0 - losing } else { 0.0 };
    Prediction { step_s, alone_s, exchange_s, checkpoint_s, interval_s, efficiency: useful }
}

/// Cells of the block with the rim that `left` further steps need.
fn grown(work: &Work, left: usize) -> f64 {
    real((0..AXES).map(|axis| work.block[axis] + 2 * left * work.radius[axis]).product())
}

fn real(count: usize) -> f64 {
    number(count as u64)
}

#[allow(clippy::cast_precision_loss, reason = "predictions are approximate")]
fn number(count: u64) -> f64 {
    count as f64
}

impl Prediction {
    /// What the prediction takes for granted, in words.
    #[must_use]
    pub fn assumptions(&self, machine: &Machine) -> Vec<String> {
        let pace = &machine.pace;
        vec![
            "a model, not a measurement; nothing of it was checked on a machine of this size".into(),
            format!("{:e} B/s of memory for each node, shared by {} ranks; stepping is bound by it", pace.memory_bandwidth, machine.ranks_per_node),
            format!("{:e} B/s and {:e} s over a link, {:e} s of a rank for each message", pace.bandwidth, pace.latency_s, pace.message_s),
            "all messages of an exchange are as long as the longest and travel at once; the busiest link decides; the interior is computed meanwhile".into(),
            format!("each core is held up for {:e} s every {} s, and all ranks wait for it", pace.noise_s, pace.noise_every_s),
            format!("storage takes {:e} B/s from each node and {} files a second, one for each node; all ranks wait", pace.storage_bandwidth, pace.files_per_second),
            format!("a node fails every {} h, the job runs again after {} s; checkpoints every {:.0} s (Daly)", pace.mtbf_h, pace.restart_s, self.interval_s),
            "weak scaling: the same block for each rank, against one rank without peers, checkpoints and failures; links loaded as in this map".into(),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine() -> Machine {
        let text = "ranks_per_node = 1\n[network]\nkind = \"torus\"\nshape = [100, 100, 100]\nbandwidth = 1e10\n\
                    latency = 1e-6\n[model]\nmemory_bandwidth = 1e11\n";
        Machine::parse(text, "machine.toml".as_ref()).unwrap()
    }

    fn work(side: usize) -> Work {
        Work {
            block: [1, side, side, side],
            radius: [0, 1, 1, 1],
            steps: 1,
            cell_bytes: 8,
            update_bytes: 24,
            checkpoint_bytes: 8.0 * (side * side * side) as f64,
        }
    }

    const NEAR: Traffic = Traffic { link_load: 1.0, worst_node: 6.0, dilation: 1.0 };

    #[test]
    fn one_rank_alone_moves_its_bytes() {
        let alone = Work { radius: [0; AXES], ..work(128) };
        let still = Traffic { link_load: 0.0, worst_node: 0.0, dilation: 0.0 };
        let prediction = predict(&alone, &still, &machine(), 1);
        assert!((prediction.alone_s / (128.0 * 128.0 * 128.0 * 24.0 / 1e11) - 1.0).abs() < 1e-12);
        assert!(prediction.step_s >= prediction.alone_s && prediction.step_s < 1.1 * prediction.alone_s);
        assert_eq!(prediction.exchange_s, 0.0);
    }

    #[test]
    fn more_of_what_costs_costs_more() {
        let machine = machine();
        let seconds = |work: &Work, traffic: &Traffic, ranks: usize| predict(work, traffic, &machine, ranks).step_s;
        let base = seconds(&work(64), &NEAR, 1000);
        assert!(seconds(&work(64), &Traffic { link_load: 300.0, ..NEAR }, 1000) > base);
        assert!(seconds(&work(64), &NEAR, 1_000_000) > base);
        assert!(seconds(&Work { cell_bytes: 80, ..work(64) }, &NEAR, 1000) > base);
        let small = predict(&work(128), &NEAR, &machine, 1000).efficiency;
        let large = predict(&work(128), &NEAR, &machine, 1_000_000).efficiency;
        assert!(0.0 < large && large < small && small < 1.0, "{large} {small}");
    }

    #[test]
    fn deep_halos_win_where_latency_rules() {
        let slow = {
            let mut machine = machine();
            machine.pace.latency_s = 1e-3;
            machine
        };
        let step = |steps: usize, machine: &Machine| predict(&Work { steps, ..work(24) }, &NEAR, machine, 1000).step_s;
        assert!(step(4, &slow) < 0.5 * step(1, &slow));
        assert!(step(8, &machine()) > step(1, &machine()));
    }
}
