//! The order in which several steps are computed in one pass over a tile.
//!
//! Input: a kernel's footprint and a number of steps. Output: for every stage how far it lags behind the first, what it
//! reads (a field as it was, or a version that an earlier stage wrote) and where it writes. Pure.
//!
//! A front moves along the grid's first axis, plane by plane. Stage *j* computes the plane that lies as many planes
//! behind the front as the stages before it read ahead. Invariant: every plane that a stage reads is there by then,
//! and of each version only a few planes live at a time, in a ring.

use super::footprint::Footprint;
use super::rows::MOST_TOGETHER;
use crate::grid::AXES;

/// Where a stage finds a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// What is in the slot's field, as it was before the first step.
    Field(usize),
    /// As an earlier stage wrote it.
    Version(usize),
}

/// One field that a stage reads.
#[derive(Clone, Debug)]
pub(super) struct Read {
    pub(super) slot: usize,
    pub(super) source: Source,
    pub(super) reach: [usize; AXES],
    /// The last plane that is read, counted from the stage's own.
    pub(super) front: isize,
}

/// One field that a stage writes.
#[derive(Clone, Debug)]
pub(super) struct Write {
    pub(super) slot: usize,
    /// The version in a ring; `None`: straight to the field.
    pub(super) version: Option<usize>,
    /// The slot whose value after the last step it is.
    pub(super) outcome: Option<usize>,
}

/// One stage of one step.
#[derive(Clone, Debug)]
pub(super) struct Stage {
    /// Number of the step.
    pub(super) step: usize,
    /// Number of the stage within its step.
    pub(super) stage: usize,
    /// Planes that it lags behind the first stage.
    pub(super) lag: isize,
    /// Cells beyond a tile that it computes, since later stages read them.
    pub(super) margin: [usize; AXES],
    pub(super) reads: Vec<Read>,
    pub(super) writes: Vec<Write>,
}

/// Planes of a field that live between the stage that writes it and those that read it.
#[derive(Clone, Debug)]
pub(super) struct Version {
    /// Planes in the ring.
    pub(super) depth: usize,
    /// How far it is read along each axis.
    pub(super) reach: [usize; AXES],
    lag: isize,
}

/// Several steps in one pass.
#[derive(Clone, Debug)]
pub(super) struct Pipeline {
    pub(super) stages: Vec<Stage>,
    pub(super) versions: Vec<Version>,
    /// Cells beyond a tile that the first stage reads.
    pub(super) margin: [usize; AXES],
}

impl Pipeline {
    /// The order of `steps` steps, 2 or more, along axis `first`. `keeps` says which slots outlive a step.
    pub(super) fn new(footprint: &Footprint, steps: usize, first: usize, keeps: &dyn Fn(usize) -> bool) -> Self {
        let mut margin = footprint.step_radius().map(|cells| cells * steps);
        let mut pipeline = Self { stages: Vec::new(), versions: Vec::new(), margin };
        // Where the present value of each slot is that was written.
        let mut latest: Vec<(usize, Source)> = Vec::new();
        let mut lag = 0;
        for number in 0..steps * footprint.stages.len() {
            let stage = number % footprint.stages.len();
            let pass = &footprint.stages[stage];
            let radius = pass.radius();
            if number > 0 {
                lag += radius[first].cast_signed();
            }
            for axis in 0..AXES {
                margin[axis] -= radius[axis];
            }
            let reads = pass.reads.iter().zip(&pass.planes).map(|(&(slot, reach), &[_, front])| {
                let source = present(&latest, slot);
                if let Source::Version(version) = source {
                    pipeline.versions[version].is_read(lag, reach, first);
                }
                Read { slot, source, reach, front }
            });
            let reads = reads.collect();
            let mut writes = Vec::new();
            for &slot in &pass.writes {
                let version = pipeline.versions.len();
                if let Some(older) = footprint.older_level(slot) {
                    let before = present(&latest, slot);
                    latest.retain(|entry| entry.0 != older);
                    latest.push((older, before));
                }
                latest.retain(|entry| entry.0 != slot);
                latest.push((slot, Source::Version(version)));
                writes.push(Write { slot, version: Some(version), outcome: None });
                pipeline.versions.push(Version { depth: 0, reach: [0; AXES], lag });
            }
            let step = number / footprint.stages.len();
            pipeline.stages.push(Stage { step, stage, lag, margin, reads, writes });
        }
        latest.retain(|entry| keeps(entry.0));
        pipeline.settle(&latest);
        pipeline
    }

    /// Marks what outlives the steps, and sends that which nobody reads straight to the field.
    fn settle(&mut self, latest: &[(usize, Source)]) {
        for stage in &mut self.stages {
            for write in &mut stage.writes {
                let Some(version) = write.version else { continue };
                write.outcome = latest.iter().find(|entry| entry.1 == Source::Version(version)).map(|entry| entry.0);
                // What lies beyond the tile must not be written to the field: the tiles beside write it.
                if write.outcome.is_some() && self.versions[version].depth == 0 && stage.margin == [0; AXES] {
                    write.version = None;
                } else {
                    self.versions[version].depth = self.versions[version].depth.max(MOST_TOGETHER);
                }
            }
        }
    }

    /// How far any version is read along each axis.
    pub(super) fn reach(&self) -> [usize; AXES] {
        std::array::from_fn(|axis| self.versions.iter().map(|version| version.reach[axis]).max().unwrap_or(0))
    }

    /// Slots that the steps give a new value, in the field's second level.
    pub(super) fn written(&self) -> impl Iterator<Item = usize> {
        self.stages.iter().flat_map(|stage| &stage.writes).filter_map(|write| write.outcome)
    }

    /// Planes that the last stage lags behind the first.
    pub(super) fn lag(&self) -> isize {
        self.stages.last().map_or(0, |stage| stage.lag)
    }

    /// Planes in all rings together, those beyond boundaries included.
    pub(super) fn planes(&self, first: usize) -> usize {
        self.versions.iter().map(|version| version.planes(first)).sum()
    }
}

/// Where the present value of `slot` is.
fn present(latest: &[(usize, Source)], slot: usize) -> Source {
    latest.iter().find(|entry| entry.0 == slot).map_or(Source::Field(slot), |entry| entry.1)
}

impl Version {
    fn is_read(&mut self, lag: isize, reach: [usize; AXES], first: usize) {
        let oldest = lag + reach[first].cast_signed() - self.lag;
        self.depth = self.depth.max(oldest.cast_unsigned() + MOST_TOGETHER);
        for axis in 0..AXES {
            self.reach[axis] = self.reach[axis].max(reach[axis]);
        }
    }

    /// Planes of the ring and beyond both boundaries.
    pub(super) fn planes(&self, first: usize) -> usize {
        if self.depth == 0 { 0 } else { self.depth + 2 * self.reach[first] }
    }
}
