//! What each pass of a kernel reads and writes, and how far: found by running it once on a recorder.
//!
//! Input: a stencil. Output: its [`Footprint`]. Invariant: what is derived from it (halo widths, second levels, what a
//! job must give) cannot disagree with what the kernel does, since a kernel cannot branch on values.

use std::cell::RefCell;

use ringfort_kernels::{Cell, Near, Stencil};

use super::rows::{MAX_REACH, MOST_WRITES};
use crate::grid::AXES;

/// Most slots that a kernel may declare.
pub const MAX_SLOTS: usize = 40;
/// Most stages that a step may have.
pub const MAX_STAGES: usize = 8;

/// What one pass reads and writes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PassFootprint {
    /// Slots read and how many cells away along each of the four axes; zeros: the own point only.
    pub reads: Vec<(usize, [usize; AXES])>,
    /// Of each of these slots the first and the last plane that is read, counted from the own one along the kernel's first axis.
    pub planes: Vec<[isize; 2]>,
    /// Slots written.
    pub writes: Vec<usize>,
}

impl PassFootprint {
    /// Cells read on each side along each axis, over all slots.
    #[must_use]
    pub fn radius(&self) -> [usize; AXES] {
        let mut radius = [0; AXES];
        for (_, reach) in &self.reads {
            for axis in 0..AXES {
                radius[axis] = radius[axis].max(reach[axis]);
            }
        }
        radius
    }

    /// True if `slot` is read at other points than the own one.
    #[must_use]
    pub fn spreads(&self, slot: usize) -> bool {
        self.reads.iter().any(|(read, reach)| *read == slot && reach.iter().any(|&cells| cells > 0))
    }

    /// True if `slot` is read where it is written: at the own point only.
    #[must_use]
    pub fn reads_here(&self, slot: usize) -> bool {
        self.reads(slot) && !self.spreads(slot)
    }

    /// Slots that are read at other points than the own one.
    #[must_use]
    pub fn spreading(&self) -> Vec<usize> {
        self.reads.iter().map(|(slot, _)| *slot).filter(|&slot| self.spreads(slot)).collect()
    }

    /// True if two planes computed together share what they read.
    #[must_use]
    pub fn shares_planes(&self) -> bool {
        self.planes.iter().any(|[low, high]| low < high)
    }

    /// True if `slot` is read.
    #[must_use]
    pub fn reads(&self, slot: usize) -> bool {
        self.reads.iter().any(|(read, _)| *read == slot)
    }
}

/// What all passes of a kernel read and write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Footprint {
    /// Stages of a step.
    pub stages: Vec<PassFootprint>,
    /// The pass that fills prepared fields.
    pub prepare: PassFootprint,
    /// The pass that fills components from start fields.
    pub start: PassFootprint,
    /// The rate that bounds the time step.
    pub rate: PassFootprint,
    /// Pairs of components, the second of which holds what the first was one step before.
    pub older_levels: Vec<(usize, usize)>,
}

impl Footprint {
    /// Runs each pass of `stencil` once on a recorder.
    ///
    /// # Panics
    ///
    /// If the kernel breaks a rule of its trait: more than [`MAX_STAGES`] stages, a slot beyond [`MAX_SLOTS`], too many slots set, a slot read
    /// after it was set, a rate that reads beyond its own point, or a start pass that writes what it reads beyond its own point.
    #[must_use]
    pub fn of<const D: usize, S: Stencil<D>>(stencil: &S) -> Self {
        let stages = S::STAGES;
        assert!((1..=MAX_STAGES).contains(&stages), "a kernel has 1 to {MAX_STAGES} stages, not {stages}");
        let record = |run: &dyn Fn(&mut Recorder<D>)| {
            let mut recorder = Recorder::<D>::default();
            run(&mut recorder);
            recorder.finish()
        };
        let all = Self {
            stages: (0..stages).map(|stage| record(&|cell| stencil.point::<f64>(stage, cell))).collect(),
            prepare: record(&|cell| stencil.prepare::<f64>(cell)),
            start: record(&|cell| stencil.start::<f64>(cell)),
            rate: record(&|cell| {
                let _ = stencil.rate::<f64>(cell);
            }),
            older_levels: S::OLDER_LEVELS.to_vec(),
        };
        let most = all.pass_radius()[AXES - D];
        assert!(most <= MAX_REACH, "a kernel reads at most {MAX_REACH} cells away along the first axis, not {most}");
        let writes = all.stages.iter().chain([&all.prepare, &all.start]).map(|pass| pass.writes.len()).max();
        assert!(writes <= Some(MOST_WRITES), "a kernel's pass sets at most {MOST_WRITES} slots, not {writes:?}");
        assert_eq!(all.rate.radius(), [0; AXES], "a kernel's rate reads its own point only");
        let clash = all.start.writes.iter().find(|&&slot| all.start.spreads(slot));
        assert_eq!(clash, None, "a kernel's start pass writes no slot whose neighbours it reads");
        for &(newer, older) in &all.older_levels {
            let step = &all.stages[0];
            let apart = step.writes.contains(&newer) && step.reads_here(older) && !step.writes.contains(&older);
            assert!(
                apart && stages == 1,
                "a kernel's only stage sets slot {newer} and reads its older level {older} here"
            );
        }
        all
    }

    /// Cells that one step needs on each side along each axis.
    #[must_use]
    pub fn step_radius(&self) -> [usize; AXES] {
        let mut sum = [0; AXES];
        for stage in &self.stages {
            let radius = stage.radius();
            for axis in 0..AXES {
                sum[axis] += radius[axis];
            }
        }
        sum
    }

    /// Cells that any one pass needs on each side along each axis.
    #[must_use]
    pub fn pass_radius(&self) -> [usize; AXES] {
        let mut most = self.prepare.radius();
        for pass in self.stages.iter().chain([&self.start]) {
            let radius = pass.radius();
            for axis in 0..AXES {
                most[axis] = most[axis].max(radius[axis]);
            }
        }
        most
    }

    /// True if some stage writes `slot` while it reads it at other points, and there is no older level to write over: a second
    /// level is needed.
    #[must_use]
    pub fn needs_second_level(&self, slot: usize) -> bool {
        self.older_level(slot).is_none()
            && self.stages.iter().any(|stage| stage.writes.contains(&slot) && stage.spreads(slot))
    }

    /// The slot that holds what `slot` was one step before.
    #[must_use]
    pub fn older_level(&self, slot: usize) -> Option<usize> {
        self.older_levels.iter().find(|pair| pair.0 == slot).map(|pair| pair.1)
    }

    /// The slot whose value one step before `slot` holds.
    #[must_use]
    pub fn newer_level(&self, slot: usize) -> Option<usize> {
        self.older_levels.iter().find(|pair| pair.1 == slot).map(|pair| pair.0)
    }

    /// True if a step gives `slot` a new value.
    #[must_use]
    pub fn changes(&self, slot: usize) -> bool {
        self.newer_level(slot).is_some() || self.stages.iter().any(|stage| stage.writes.contains(&slot))
    }

    /// True if a stage reads or writes `slot`.
    #[must_use]
    pub fn steps_use(&self, slot: usize) -> bool {
        self.stages.iter().any(|stage| stage.writes.contains(&slot) || stage.reads(slot))
    }

    /// True if any pass reads or writes `slot`.
    #[must_use]
    pub fn uses(&self, slot: usize) -> bool {
        let once = [&self.prepare, &self.start, &self.rate];
        self.steps_use(slot) || once.iter().any(|pass| pass.writes.contains(&slot) || pass.reads(slot))
    }

    /// Values moved to and from memory per cell and step, if every stage reads and writes each of its slots once and a
    /// write first fetches the line it writes to.
    #[must_use]
    pub fn values_per_update(&self) -> usize {
        self.stages
            .iter()
            .map(|stage| {
                let fetches = |slot| self.older_level(slot).is_none() && (stage.spreads(slot) || !stage.reads(slot));
                let fetched = stage.writes.iter().filter(|&&slot| fetches(slot)).count();
                stage.reads.len() + stage.writes.len() + fetched
            })
            .sum()
    }
}

/// A slot that is read, how far, and its first and last plane.
type Noted = (usize, [usize; AXES], [isize; 2]);

/// A cell that notes what is read and written.
#[derive(Default)]
struct Recorder<const D: usize> {
    reads: RefCell<Vec<Noted>>,
    writes: Vec<usize>,
}

impl<const D: usize> Recorder<D> {
    fn finish(self) -> PassFootprint {
        let mut reads = self.reads.into_inner();
        reads.sort_unstable();
        let mut writes = self.writes;
        writes.sort_unstable();
        let planes = reads.iter().map(|&(_, _, planes)| planes).collect();
        PassFootprint { reads: reads.into_iter().map(|(slot, reach, _)| (slot, reach)).collect(), planes, writes }
    }
}

impl<const D: usize> Near<f64, D> for Recorder<D> {
    fn at(&self, slot: usize, offset: [isize; D]) -> f64 {
        assert!(slot < MAX_SLOTS, "slot {slot}, but a kernel has at most {MAX_SLOTS}");
        assert!(!self.writes.contains(&slot), "a stage reads slot {slot} after it set it");
        let mut reads = self.reads.borrow_mut();
        let place = reads.iter().position(|(read, ..)| *read == slot).unwrap_or_else(|| {
            reads.push((slot, [0; AXES], [offset[0]; 2]));
            reads.len() - 1
        });
        let planes = &mut reads[place].2;
        *planes = [planes[0].min(offset[0]), planes[1].max(offset[0])];
        for (axis, cells) in offset.iter().enumerate() {
            let reach = &mut reads[place].1[AXES - D + axis];
            *reach = (*reach).max(cells.unsigned_abs());
        }
        1.0
    }
}

impl<const D: usize> Cell<f64, D> for Recorder<D> {
    fn set(&mut self, slot: usize, _value: f64) {
        assert!(slot < MAX_SLOTS, "slot {slot}, but a kernel has at most {MAX_SLOTS}");
        assert!(!self.writes.contains(&slot), "a stage sets slot {slot} twice");
        self.writes.push(slot);
    }
}
