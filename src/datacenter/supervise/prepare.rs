//! What is decided and checked before a run begins: layout, time step, memory.
//!
//! Input: what a person asks for, the job, and how it begins. Output: the run as its workers will know it. Invariant:
//! `prepare` writes nothing, so what it refuses leaves the folder as it was; a run that goes on keeps the time step
//! of its checkpoint; `clear` touches no checkpoint, and is called for a fresh run alone.

use std::path::Path;

use ringfort_kernels::Role;

use super::Request;
use crate::advance::library::{AnyKernel, Precise};
use crate::checkpoint::CheckpointError;
use crate::datacenter::part::shell_cells;
use crate::datacenter::spec::{Run, Spec, Wishes};
use crate::decomp::Cuts;
use crate::exit::{Exit, Failure};
use crate::job::Job;
use crate::run::begin::Begin;
use crate::run::folder::FolderError;
use crate::run::state::describe;
use crate::run::{Say, bound, memory};

/// Lays the job out in blocks and finds its time step.
pub(super) fn prepare<T: Precise>(
    request: &Request,
    (job, kernel): (&Job, &'static dyn AnyKernel),
    begin: &Begin,
    say: Say<'_>,
) -> Result<Run, Failure> {
    begin.check(job)?;
    let program = T::program(kernel, &job.setup).map_err(|error| Failure::report(job.refuse_kernel(&error)))?;
    let rate = bound::largest_rate::<T>(job, kernel)?;
    let known = begin.from.as_ref().map(|from| from.dt);
    let (dt, _) = match known {
        Some(dt) => (dt, 0.0),
        None => bound::time_step(job, None, rate)?,
    };
    let wishes = Wishes { workers: request.workers, ledger: request.ledger.clone(), blobs: request.blobs.clone() };
    let origin = begin.origin()?;
    let (mut spec, notes) = Spec::new(job, program.footprint(), (origin, dt, &begin.dir), &wishes)?;
    notes.iter().for_each(|note| say(note));
    spec.job_path.clone_from(&begin.path);
    spec.overrides.clone_from(&begin.overrides);
    let cuts = Cuts::new(job.grid.points, spec.blocks).map_err(Failure::usage)?;
    let meta = describe(job, (cuts, dt), origin, 0);
    meta.check().map_err(|error| Failure::new(Exit::Usage, CheckpointError::from(error)))?;
    if request.workers > 0 {
        fits::<T>(job, kernel, (&cuts, &spec))?;
    }
    let job = Job::parse(&begin.text, &begin.path, &begin.overrides, &request.library).map_err(Failure::report)?;
    spec.with(job, &request.library)
}

/// Bytes of memory traffic that one cell update takes.
pub(super) fn updates<T: Precise>(run: &Run) -> Result<usize, Failure> {
    let job = &run.whole.job;
    let program =
        T::program(run.whole.kernel, &job.setup).map_err(|error| Failure::report(job.refuse_kernel(&error)))?;
    Ok(program.footprint().values_per_update() * T::BYTES)
}

/// Refuses a run whose blocks and shells do not fit this machine's memory.
fn fits<T: Precise>(job: &Job, kernel: &dyn AnyKernel, (cuts, spec): (&Cuts, &Spec)) -> Result<(), Failure> {
    let block = cuts.block(0);
    let engine = bound::engine::<T>(job, kernel, (&block, spec.dt, 1))?;
    let fields = engine.bytes(block.extent, spec.steps_per_round);
    let cells = block.cells() * T::BYTES;
    let components = job.declaration.of_role(Role::Component).count();
    let rounds = usize::try_from(spec.lead / spec.steps_per_round as u64).unwrap_or(usize::MAX).saturating_add(1);
    let shells = shell_cells(cuts, &job.grid, engine.halo(spec.steps_per_round));
    let shell = shells.div_ceil(cuts.count()) * T::BYTES * components;
    let block = fields.saturating_add(shell.saturating_mul(rounds)).saturating_add(2 * cells * components);
    memory::fits(block, cuts.count())
}

/// Removes what an earlier run in `dir` left behind beside its checkpoints.
pub(super) fn clear(dir: &Path) -> Result<(), Failure> {
    for name in ["observed", "receipts", "sums.csv"] {
        let path = dir.join(name);
        match if path.is_dir() { std::fs::remove_dir_all(&path) } else { std::fs::remove_file(&path) } {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                return Err(FolderError::Io { action: "remove", path, source }.into());
            }
            _ => {}
        }
    }
    Ok(())
}
