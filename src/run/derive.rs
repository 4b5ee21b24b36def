//! Fields that a checkpoint does not hold, from those that it holds: derived ones and coefficients.
//!
//! Invariant: values are those that a run computes at the checkpoint's step.

use ringfort_kernels::Role;

use super::bound;
use super::inputs::{load, load_around};
use crate::advance::library::{AnyKernel, Precise};
use crate::advance::program::Pass;
use crate::exit::Failure;
use crate::grid::Region;
use crate::job::Job;

/// Reads the values of a component's slot in a box.
pub type ReadComponent<'a, T> = &'a mut dyn FnMut(usize, &Region, &mut [T]) -> Result<(), Failure>;

/// Writes the values of field `slot` of `job` in the box `region` to `out`, in memory order; `read` gives the components
/// and `dt` is the time step in seconds.
///
/// # Errors
///
/// A usage error if an input is refused, or what `read` fails with.
///
/// # Panics
///
/// If `out` does not have as many values as `region` has cells.
pub fn derive<T: Precise>(
    (job, kernel, dt): (&Job, &dyn AnyKernel, f64),
    slot: usize,
    region: &Region,
    read: ReadComponent<'_, T>,
    out: &mut [T],
) -> Result<(), Failure> {
    let engine = bound::engine::<T>(job, kernel, (region, dt, 1))?;
    let mut fields = engine.allocate(region.extent, 0);
    load(job, region, &mut fields, &[Role::Coefficient])?;
    if !engine.full_slots(&fields, Role::Prepared).is_empty() {
        let coefficients = engine.full_slots(&fields, Role::Coefficient);
        for &slot in &coefficients {
            load_around(job, region, &mut fields, slot)?;
        }
        engine.fill_boundary(&mut fields, &coefficients);
        engine.once(&mut fields, Pass::Prepare);
    }
    let own = fields.layout().own();
    let mut values = vec![T::default(); region.cells()];
    for component in engine.full_slots(&fields, Role::Component) {
        read(component, region, &mut values)?;
        fields.write(component, &own, &values);
    }
    match job.declaration.fields[slot].role {
        Role::Derived => engine.program().derive(slot, &fields, &own, out),
        _ => fields.read(slot, &own, out),
    }
    Ok(())
}
