//! Lays a job out on a machine: cuts and map, what they cost, and how fast a run would be.
//!
//! Input: job, machine, number of ranks or none. Output: a [`Placement`]. Pure: the search of maps counts its work
//! and asks no clock, so that the same input gives the same placement. Rank r is part r, cell r of the process grid.
//! Invariant: a placement is one that the machine has room for, with at most 2^22 ranks; this is checked before maps
//! are searched, since [`map::best`] panics without room.

use ringfort_kernels::Role;

use super::machine::Machine;
use super::map::ranks::Ranks;
use super::map::{self, Map, Nodes};
use super::model::{Prediction, Traffic, Work, predict};
use crate::advance::footprint::Footprint;
use crate::advance::library::{AnyKernel, Library, Precise};
use crate::checkpoint::RunId;
use crate::decomp::search::{Candidate, each};
use crate::decomp::{CutError, Cuts};
use crate::exit::Failure;
use crate::grid::Extents;
use crate::job::{Job, Precision};
use crate::run::shape::{Shape, ShapeError};
use crate::run::state::describe;

pub mod write;

/// A job laid out on a machine.
#[derive(Clone, Debug)]
pub struct Placement {
    /// Layout in force.
    pub shape: Shape,
    /// The grid of ranks.
    pub ranks: Ranks,
    /// The map.
    pub map: Map,
    /// What the busiest rank does.
    pub work: Work,
    /// How fast a run would be.
    pub prediction: Prediction,
    /// Why fewer ranks than there is room for, if so.
    pub note: Option<String>,
}

/// Most ranks that are laid out.
const MOST_RANKS: usize = 1 << 22;
/// Cuts whose maps are compared, for few and for many ranks.
const COMPARED: (usize, usize) = (6, 2);
const MANY: usize = 50_000;

/// What a plan starts from.
#[derive(Clone, Copy)]
pub struct Ask<'a> {
    /// The job.
    pub job: &'a Job,
    /// Kernels to choose from.
    pub library: &'a Library,
    /// Number of ranks; else those of the job along the axes, else as many as the machine has room for.
    pub ranks: Option<usize>,
    /// Steps between two exchanges; else the job's.
    pub steps: Option<usize>,
}

impl Ask<'_> {
    fn footprint(&self) -> Result<(Footprint, usize), Failure> {
        let kernel = self.library.find(self.job.declaration.name);
        let kernel = kernel.ok_or_else(|| Failure::usage("the kernel is not in this program"))?;
        match self.job.precision {
            Precision::F64 => self.footprint_of::<f64>(kernel),
            Precision::F32 => self.footprint_of::<f32>(kernel),
        }
    }

    fn footprint_of<T: Precise>(&self, kernel: &dyn AnyKernel) -> Result<(Footprint, usize), Failure> {
        let program =
            T::program(kernel, &self.job.setup).map_err(|error| Failure::report(self.job.refuse_kernel(&error)))?;
        Ok((program.footprint().clone(), T::BYTES))
    }

    fn steps(&self) -> usize {
        self.steps.unwrap_or(self.job.torus.steps_per_exchange)
    }

    /// Cuts alone: least largest block, then least halo surface.
    ///
    /// # Errors
    ///
    /// A usage error if the grid cannot be cut into so many ranks; it names the nearest numbers that can.
    pub fn cuts(&self) -> Result<Shape, Failure> {
        let (footprint, _) = self.footprint()?;
        let asked = self.job.torus.ranks.as_deref();
        let product = asked.map(|asked| asked.iter().product());
        let Some(ranks) = self.ranks.or(product) else {
            return Err(Failure::usage("without a machine give --ranks N"));
        };
        Shape::new(&self.job.grid, &footprint, ranks, asked, self.steps()).map_err(Failure::usage)
    }

    /// The job laid out on `machine`.
    ///
    /// # Errors
    ///
    /// A usage error if the grid cannot be cut into so many ranks, or the machine has no room for them.
    pub fn place(&self, machine: &Machine) -> Result<Placement, Failure> {
        let (footprint, bytes) = self.footprint()?;
        let asked = self.job.torus.ranks.as_deref();
        let product = asked.map(|asked| asked.iter().product());
        let capacity = machine.capacity();
        let (count, note) = match self.ranks.or(product) {
            Some(count) if count > capacity => {
                return Err(Failure::usage(format!(
                    "{count} ranks do not fit the machine, which has room for {capacity}; use fewer ranks, or raise \
                     nodes or ranks_per_node in the machine file"
                )));
            }
            Some(count) => (count, None),
            None => fill(&|count| Shape::new(&self.job.grid, &footprint, count, None, 1).err(), capacity)?,
        };
        if count > MOST_RANKS {
            return Err(Failure::usage(format!("{count} ranks; plan lays out at most {MOST_RANKS}: give --ranks N")));
        }
        let shape = |parts: Option<&[usize]>| {
            Shape::new(&self.job.grid, &footprint, count, parts, self.steps()).map_err(Failure::usage)
        };
        let laid = |shape: Shape| self.laid(machine, shape, (&footprint, bytes));
        let mut placement = match (asked, self.ranks) {
            (Some(asked), _) => laid(shape(Some(asked))?),
            (None, Some(_)) => laid(shape(None)?),
            (None, None) => {
                let mut best: Option<Placement> = None;
                for parts in self.likely(&footprint, count) {
                    let next = laid(shape(Some(self.job.grid.own(&parts)))?);
                    if best.as_ref().is_none_or(|best| next.prediction.step_s < best.prediction.step_s) {
                        best = Some(next);
                    }
                }
                best.map_or_else(|| shape(None).map(laid), Ok)?
            }
        };
        placement.note = note;
        Ok(placement)
    }

    /// Cuts that may be the fastest: those with the least to compute and to send.
    fn likely(&self, footprint: &Footprint, count: usize) -> Vec<Extents> {
        let radius = footprint.step_radius();
        let narrow = footprint.pass_radius();
        let least = std::array::from_fn(|axis| radius[axis].max(narrow[axis]));
        let mut all: Vec<((usize, Extents), Extents)> = Vec::new();
        each(&self.job.grid, count, least, &mut |candidate: Candidate| {
            // A value sent costs about as much as ten computed.
            let cost = candidate.cells().saturating_add(10 * 2 * candidate.surface(radius));
            let mut from_last = candidate.parts;
            from_last.reverse();
            all.push(((cost, from_last), candidate.parts));
        });
        all.sort_unstable();
        all.truncate(if count > MANY { COMPARED.1 } else { COMPARED.0 });
        all.into_iter().map(|(_, parts)| parts).collect()
    }

    fn laid(&self, machine: &Machine, shape: Shape, (footprint, bytes): (&Footprint, usize)) -> Placement {
        let ranks = ranks(self.job, &shape.cuts);
        let usable = machine.usable();
        let nodes = Nodes { network: &machine.network, usable: &usable, per_node: machine.ranks_per_node };
        let map = map::best(&ranks, nodes);
        let work = work(self.job, &shape, footprint, bytes);
        let prediction = predict(&work, &Traffic::from(&map.metrics), machine, ranks.count());
        Placement { shape, ranks, map, work, prediction, note: None }
    }
}

/// The largest number of ranks up to `capacity` that the grid can be cut into, with a note if it is less.
fn fill(refused: &dyn Fn(usize) -> Option<ShapeError>, capacity: usize) -> Result<(usize, Option<String>), Failure> {
    match refused(capacity) {
        None => Ok((capacity, None)),
        Some(ShapeError::Cut(CutError::NoCut { below: Some(below), .. })) => {
            let note = format!(
                "{below} of the {capacity} ranks that the machine has room for: the grid cannot be cut into more"
            );
            Ok((below, Some(note)))
        }
        Some(error) => Err(Failure::usage(error)),
    }
}

/// The grid of ranks of `cuts`.
fn ranks(job: &Job, cuts: &Cuts) -> Ranks {
    Ranks {
        parts: cuts.parts(),
        periodic: std::array::from_fn(|axis| axis >= job.grid.first() && job.grid.periodic(axis)),
    }
}

fn work(job: &Job, shape: &Shape, footprint: &Footprint, bytes: usize) -> Work {
    let cuts = &shape.cuts;
    let reach = footprint.step_radius();
    let components = job.declaration.of_role(Role::Component).count();
    let radius = std::array::from_fn(|axis| if cuts.parts()[axis] > 1 { reach[axis] } else { 0 });
    let (_, all) = describe(job, (*cuts, 1.0), RunId([0; 16]).into(), 0).size();
    #[allow(clippy::cast_precision_loss, reason = "predictions are approximate")]
    let checkpoint_bytes = all as f64 / cuts.count() as f64;
    Work {
        block: cuts.largest(),
        radius,
        steps: shape.steps_per_exchange,
        cell_bytes: components * bytes,
        update_bytes: footprint.values_per_update() * bytes,
        checkpoint_bytes,
    }
}

impl Placement {
    /// What would come of as many ranks, each with the same block, links loaded as in this map.
    #[must_use]
    pub fn scaled(&self, machine: &Machine, ranks: usize) -> Prediction {
        predict(&self.work, &Traffic::from(&self.map.metrics), machine, ranks)
    }

    /// Place of `rank` among the ranks of its node, for every rank.
    #[must_use]
    pub fn slots(&self) -> Vec<usize> {
        let mut next = std::collections::HashMap::new();
        let slot = |node: &u32| {
            let next = next.entry(*node).or_insert(0);
            *next += 1;
            *next - 1
        };
        self.map.node.iter().map(slot).collect()
    }
}
