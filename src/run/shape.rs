//! How a job is laid out on ranks: cuts, steps per exchange, memory.
//!
//! Input: job, kernel's footprint, number of ranks, wishes. Output: a [`Shape`]. Pure: every rank computes the same.
//! Invariant: across cuts and around periodic axes the narrowest part is at least as wide as the halo of all steps
//! between two exchanges, so that a halo comes from the next part alone. Steps are only ever lowered for this, which
//! is told; ranks along axes are taken as asked or refused.

use crate::advance::Blocking;
use crate::advance::footprint::Footprint;
use crate::decomp::{CutError, Cuts};
use crate::grid::{AXES, Grid};

/// A job's layout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
    /// One block per rank.
    pub cuts: Cuts,
    /// Steps between two exchanges.
    pub steps_per_exchange: usize,
    /// What was changed from what was asked for, to be told.
    pub note: Option<String>,
    /// Whether several steps are computed in one pass.
    pub blocking: Blocking,
}

/// How many ranks `asked` are in all; the largest number if that is more.
fn product(asked: &[usize]) -> usize {
    asked.iter().fold(1, |all, &along| all.saturating_mul(along))
}

/// A layout that cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ShapeError {
    /// Ranks along axes do not make up the ranks there are.
    #[error(
        "ranks {asked:?} are {} in all, but {ranks} run; start mpirun -n {} or leave out the ranks",
        product(asked),
        product(asked)
    )]
    Product {
        /// Ranks along each axis, as asked for.
        asked: Vec<usize>,
        /// Ranks there are.
        ranks: usize,
    },
    /// Ranks given for another number of axes.
    #[error("ranks {asked:?} name {} axes, but the grid has {axes}", asked.len())]
    Axes {
        /// Ranks along each axis, as asked for.
        asked: Vec<usize>,
        /// Axes of the grid.
        axes: usize,
    },
    /// The grid cannot be cut so.
    #[error(transparent)]
    Cut(#[from] CutError),
    /// A part is narrower than the halo of one step.
    #[error(
        "parts of {width} cells along {axis} are narrower than the {radius} cells that one step reads; \
         use fewer ranks along {axis}"
    )]
    Narrow {
        /// Name of the axis.
        axis: &'static str,
        /// Cells of the smallest part.
        width: usize,
        /// Cells that one step reads.
        radius: usize,
    },
}

impl Shape {
    /// Layout of `grid` on `ranks` ranks: along each axis as `asked`, or the best there is; with `steps` steps per
    /// exchange, or as many as the narrowest part allows.
    ///
    /// # Errors
    ///
    /// [`ShapeError`] if the grid cannot be laid out so.
    pub fn new(
        grid: &Grid,
        footprint: &Footprint,
        ranks: usize,
        asked: Option<&[usize]>,
        steps: usize,
    ) -> Result<Self, ShapeError> {
        let step = footprint.step_radius();
        let pass = footprint.pass_radius();
        let radius = std::array::from_fn(|axis| step[axis].max(pass[axis]));
        let cuts = match asked {
            None => Cuts::best(grid, ranks, radius)?,
            Some(asked) => given(grid, asked, ranks)?,
        };
        let smallest = cuts.smallest();
        let mut most = steps;
        for axis in grid.first()..AXES {
            let reaches = cuts.parts()[axis] > 1 || grid.periodic(axis);
            if !reaches || radius[axis] == 0 {
                continue;
            }
            if smallest[axis] < radius[axis] {
                return Err(ShapeError::Narrow { axis: grid.name(axis), width: smallest[axis], radius: radius[axis] });
            }
            most = most.min(smallest[axis].checked_div(step[axis]).unwrap_or(most));
        }
        let note = (most < steps).then(|| {
            format!("steps per exchange lowered from {steps} to {most}: a deeper halo does not fit the narrowest part")
        });
        Ok(Self { cuts, steps_per_exchange: most, note, blocking: Blocking::Auto })
    }
}

fn given(grid: &Grid, asked: &[usize], ranks: usize) -> Result<Cuts, ShapeError> {
    if asked.len() != grid.axes {
        return Err(ShapeError::Axes { asked: asked.to_vec(), axes: grid.axes });
    }
    if asked.iter().try_fold(1_usize, |product, &count| product.checked_mul(count)) != Some(ranks) {
        return Err(ShapeError::Product { asked: asked.to_vec(), ranks });
    }
    let mut parts = [1; AXES];
    parts[grid.first()..].copy_from_slice(asked);
    Ok(Cuts::new(grid.points, parts)?)
}
