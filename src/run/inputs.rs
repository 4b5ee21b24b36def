//! What a job gives, put into the fields of a block.

use ringfort_kernels::Role;

use super::around::around;
use crate::advance::Engine;
use crate::advance::library::Precise;
use crate::advance::program::Pass;
use crate::exit::Failure;
use crate::field::Fields;
use crate::grid::Region;
use crate::job::Job;

/// Fills the fields of `roles` that the job gives.
///
/// # Errors
///
/// A usage error if a value is refused.
pub fn load<T: Precise>(job: &Job, block: &Region, fields: &mut Fields<T>, roles: &[Role]) -> Result<(), Failure> {
    let own = fields.layout().own();
    for (slot, field) in job.declaration.fields.iter().enumerate() {
        let Some(source) = job.sources[slot].as_ref().filter(|_| roles.contains(&field.role)) else { continue };
        if fields.is_full(slot) {
            let mut values = vec![T::default(); block.cells()];
            let filled = source.fill(&job.grid, block, &mut values);
            filled.map_err(|error| Failure::report(job.refuse_input(slot, error)))?;
            fields.write(slot, &own, &values);
        }
    }
    Ok(())
}

/// Fills components with the state that the job starts from; what the start pass reads of them around `block` too.
///
/// # Errors
///
/// A usage error if a value is refused.
pub fn load_start<T: Precise>(
    job: &Job,
    block: &Region,
    engine: &Engine<T>,
    fields: &mut Fields<T>,
) -> Result<(), Failure> {
    load(job, block, fields, &[Role::Component, Role::Start])?;
    if job.declaration.starts(&job.setup.given) {
        let slots = engine.program().footprint().start.spreading();
        for &slot in &slots {
            load_around(job, block, fields, slot)?;
        }
        engine.fill_boundary(fields, &slots);
        engine.once(fields, Pass::Start);
    }
    Ok(())
}

/// Fills the halo of field `slot` with the values of the cells that lie there.
///
/// # Errors
///
/// A usage error if a value is refused.
pub fn load_around<T: Precise>(job: &Job, block: &Region, fields: &mut Fields<T>, slot: usize) -> Result<(), Failure> {
    let Some(source) = &job.sources[slot] else { return Ok(()) };
    for beyond in around(&job.grid, block, fields.layout().halo) {
        let mut values = vec![T::default(); beyond.cells.cells()];
        let filled = source.fill(&job.grid, &beyond.cells, &mut values);
        filled.map_err(|error| Failure::report(job.refuse_input(slot, error)))?;
        fields.write(slot, &beyond.halo, &values);
    }
    Ok(())
}
