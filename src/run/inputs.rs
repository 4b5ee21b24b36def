//! What a job gives, put into the fields of a block.
//!
//! Input: a job, and a block in cells of the whole grid. Output: fields with values, and which of them serve the
//! start alone. Invariant: what a cell is given is a function of the job, its files and the cell's place in the grid,
//! never of the block, so halos are given the bits that their owners have. Own cells are filled box by box, save from
//! a checkpoint, whose chunks are checked as a whole. What serves the start alone is the same on every rank.

use ringfort_kernels::Role;

use super::around::around;
use super::boxes::Boxes;
use crate::advance::Engine;
use crate::advance::footprint::Footprint;
use crate::advance::library::Precise;
use crate::advance::program::Pass;
use crate::exit::Failure;
use crate::field::{Fields, Span};
use crate::grid::Region;
use crate::job::{Job, Source};

/// Fills the fields of `roles` that the job gives.
///
/// # Errors
///
/// A usage error if a value is refused.
pub fn load<T: Precise>(job: &Job, block: &Region, fields: &mut Fields<T>, roles: &[Role]) -> Result<(), Failure> {
    for (slot, field) in job.declaration.fields.iter().enumerate() {
        let Some(source) = job.sources[slot].as_ref().filter(|_| roles.contains(&field.role)) else { continue };
        if !fields.is_full(slot) {
            continue;
        }
        // Chunks of a checkpoint are checked as a whole, so these are read at once; all else box by box.
        let boxes = Boxes::of(block);
        let whole = matches!(source, Source::Checkpoint(_));
        for number in 0..if whole { 1 } else { boxes.count() } {
            let some = if whole { *block } else { boxes.get(number) };
            let mut values = vec![T::default(); some.cells()];
            let filled = source.fill(&job.grid, &some, &mut values);
            filled.map_err(|error| Failure::report(job.refuse_input(slot, error)))?;
            let low = std::array::from_fn(|axis| (some.start[axis] - block.start[axis]).cast_signed());
            let high = std::array::from_fn(|axis| (some.end(axis) - block.start[axis]).cast_signed());
            fields.write(slot, &Span { low, high }, &values);
        }
    }
    Ok(())
}

/// True if field `slot` serves the start alone, and is freed before the first step.
#[must_use]
pub fn only_at_start(job: &Job, footprint: &Footprint, slot: usize) -> bool {
    let shown = job.seen();
    let derived = shown.iter().any(|&slot| job.declaration.fields[slot].role == Role::Derived);
    let rate = job.declaration.rate_of_state && footprint.rate.reads(slot);
    let needed = footprint.steps_use(slot) || shown.contains(&slot) || derived || rate;
    let role = job.declaration.fields[slot].role;
    role == Role::Start || (role == Role::Coefficient && !needed)
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
    engine.rest(fields);
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
