//! The state of a run as of any step, computed once more beside it.
//!
//! Input: a run's folder, a step, a box of cells. Output: the blocks that hold the box, as they are after that step. Invariant:
//! nothing of the run is touched and nobody waits for it: the newest generation up to that step is read, and taken on by the
//! run's own operations, so that the bits are the run's. Where to start from is looked up anew if a generation is gone before
//! it was read, since a run deletes old ones.
//!
//! Only blocks that the box depends on are read: those that hold it, and one more layer of neighbours for each round between.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::Path;

use bytes::Bytes;

use super::part::Part;
use super::spec::Run;
use crate::advance::library::Precise;
use crate::checkpoint::{self, Checkpoint, Disk, State};
use crate::exit::{Exit, Failure};
use crate::grid::Region;
use crate::run::memory;

/// Where the way to a step begins: at a generation, or at the state that the job gives.
#[derive(Debug)]
pub struct Base(Option<Checkpoint<'static>>);

/// What a run keeps.
#[derive(Debug)]
pub struct Kept {
    /// Its complete generations, newest first.
    generations: Vec<Checkpoint<'static>>,
    /// Last step that can be computed from the job's start: none if the run began elsewhere.
    from_start: Option<u64>,
    /// Steps between generations: so many at least are computed beyond the newest.
    between: u64,
}

/// Why a step cannot be computed now.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreached {
    /// No run that is kept leads there.
    #[error("step {at} is no longer kept: ask for a step {}from {oldest} on", start(*from_start))]
    TooOld {
        /// The step.
        at: u64,
        /// Oldest generation.
        oldest: u64,
        /// Last step that can be computed from the start.
        from_start: Option<u64>,
    },
    /// A run that began elsewhere, with no generation yet.
    #[error("the run has no complete generation yet")]
    None,
    /// The run is not yet near it.
    #[error(
        "step {at} lies ahead: the newest generation is that of step {newest}, and up to step {most} can be computed from it"
    )]
    Ahead {
        /// The step.
        at: u64,
        /// Newest generation, or 0.
        newest: u64,
        /// Last step that can be computed.
        most: u64,
    },
}

fn start(from_start: Option<u64>) -> String {
    from_start.map(|step| format!("up to {step}, or ")).unwrap_or_default()
}

impl Base {
    /// Its step.
    #[must_use]
    pub fn step(&self) -> u64 {
        self.0.as_ref().map_or(0, |checkpoint| checkpoint.meta().step)
    }
}

impl Kept {
    /// What `run` keeps below `folder`, where its blobs lie.
    ///
    /// # Errors
    ///
    /// [`Exit::Damaged`] if the folder cannot be listed.
    pub fn find(run: &Run, folder: &Path) -> Result<Self, Failure> {
        let entries = checkpoint::scan(&Disk, folder).map_err(|error| Failure::new(Exit::Damaged, error))?;
        let ours = entries.into_iter().filter(|entry| match &entry.state {
            State::Committed(manifest) => {
                let meta = &manifest.meta;
                !entry.aside && meta.run == run.id && meta.fingerprint == run.whole.job.fingerprint
            }
            State::Damaged(_) | State::Partial => false,
        });
        // One that is damaged, or gone by now, is none.
        let generations: Vec<_> = ours.filter_map(|entry| Checkpoint::open(&Disk, &entry.folder).ok()).collect();
        let between = run.spec.generation;
        Ok(Self { generations, from_start: run.origin.parent.is_none().then_some(between), between })
    }

    /// Step of the newest generation, or 0.
    #[must_use]
    pub fn newest(&self) -> u64 {
        self.generations.first().map_or(0, |checkpoint| checkpoint.meta().step)
    }

    /// From where to compute the state after step `at`, best first; `ahead` of the newest generation by that many steps at most,
    /// or those to the next one.
    ///
    /// # Errors
    ///
    /// [`Unreached`] if there is nothing to start from, or it is too far back.
    pub fn bases(self, at: u64, ahead: u64) -> Result<Vec<Base>, Unreached> {
        let step = |checkpoint: &Checkpoint<'_>| checkpoint.meta().step;
        let newest = self.newest();
        let most = newest.saturating_add(ahead.max(self.between));
        if at > most {
            return Err(Unreached::Ahead { at, newest, most });
        }
        let oldest = self.generations.last().map_or(0, step);
        let older = self
            .generations
            .into_iter()
            .filter(|checkpoint| step(checkpoint) <= at)
            .map(|checkpoint| Base(Some(checkpoint)));
        let from_start = self.from_start;
        let start = from_start.filter(|&last| at <= last || newest == 0).map(|_| Base(None));
        let bases: Vec<Base> = older.chain(start).collect();
        match (bases.is_empty(), newest) {
            (false, _) => Ok(bases),
            (true, 0) => Err(Unreached::None),
            (true, _) => Err(Unreached::TooOld { at, oldest, from_start }),
        }
    }
}

/// The blocks that hold cells of `wanted`, after step `at`, computed from `base` by `threads` threads.
///
/// # Errors
///
/// [`Exit::Damaged`] if the generation is not as written, or gone; a usage error if an input is refused or the blocks do not fit
/// into memory.
pub fn compute<T: Precise>(
    run: &Run,
    base: &Base,
    (at, wanted): (u64, &Region),
    threads: usize,
) -> Result<BTreeMap<usize, Part<T>>, Failure> {
    let rounds = rounds(base.step()..at, run.whole.steps as u64);
    let cuts = &run.whole.cuts;
    let hold = (0..cuts.count()).filter(|&number| cuts.block(number).intersection(wanted).is_some());
    // By the number of rounds that are left, until there are no more neighbours.
    let mut layers = vec![hold.collect::<BTreeSet<usize>>()];
    let Some(&one) = layers[0].first() else { return Ok(BTreeMap::new()) };
    let first = Part::<T>::new(&run.whole, one)?;
    for _ in &rounds {
        let last = &layers[layers.len() - 1];
        let wider = last.iter().flat_map(|&number| first.around(number)).chain(last.iter().copied()).collect();
        if *last == wider {
            break;
        }
        layers.push(wider);
    }
    let needed = |left: usize| &layers[left.min(layers.len() - 1)];
    let all = needed(rounds.len());
    let bytes = first.bytes_of_fields() as u64 * all.len() as u64;
    if let Some(free) = memory::available().filter(|&free| bytes > free) {
        return Err(Failure::usage(format!(
            "{} blocks are needed for that, {} of memory, and this machine has {} left; ask for a smaller --box, or on another \
             machine",
            all.len(),
            memory::in_words(bytes),
            memory::in_words(free),
        )));
    }
    let mut parts = BTreeMap::from([(one, first)]);
    for &number in all.iter().filter(|&&number| number != one) {
        parts.insert(number, Part::new(&run.whole, number)?);
    }
    each(&mut parts, all, threads, |_, part| begin(base, part))?;
    for (steps, left) in rounds.iter().zip((0..rounds.len()).rev()) {
        let before = needed(left + 1);
        let shells: BTreeMap<usize, Bytes> = before.iter().map(|&number| (number, parts[&number].shell())).collect();
        each(&mut parts, needed(left), threads, |number, part| {
            let around: Vec<(usize, &[u8])> =
                part.around(number).into_iter().map(|number| (number, &shells[&number][..])).collect();
            part.advance(&around, steps.clone()).map_err(|error| Failure::new(Exit::Damaged, error))
        })?;
    }
    parts.retain(|number, _| needed(0).contains(number));
    Ok(parts)
}

/// `steps` in rounds of at most `most`.
fn rounds(steps: Range<u64>, most: u64) -> Vec<Range<u64>> {
    let ends = |from: u64| from..steps.end.min(from + most);
    (steps.start..steps.end).step_by(usize::try_from(most).unwrap_or(usize::MAX)).map(ends).collect()
}

/// Gives `part` its state at `base`.
fn begin<T: Precise>(base: &Base, part: &mut Part<T>) -> Result<(), Failure> {
    let Some(checkpoint) = &base.0 else { return part.begin() };
    let damaged = |error| Failure::new(Exit::Damaged, error);
    let region = part.block();
    let mut values = vec![T::default(); region.cells()];
    let mut state = Vec::with_capacity(values.len() * T::BYTES * checkpoint.meta().components.len());
    for component in 0..checkpoint.meta().components.len() {
        checkpoint.read_region(component, &region, &mut values).map_err(damaged)?;
        let from = state.len();
        state.resize(from + values.len() * T::BYTES, 0);
        for (to, value) in state[from..].chunks_exact_mut(T::BYTES).zip(&values) {
            value.write_le(to);
        }
    }
    part.load(&state).map_err(|error| Failure::new(Exit::Damaged, error))
}

/// Does `act` to those of `parts` that are `wanted`, some at a time.
fn each<T: Precise>(
    parts: &mut BTreeMap<usize, Part<T>>,
    wanted: &BTreeSet<usize>,
    threads: usize,
    act: impl Fn(usize, &mut Part<T>) -> Result<(), Failure> + Sync,
) -> Result<(), Failure> {
    let mut some: Vec<_> = parts.iter_mut().filter(|(number, _)| wanted.contains(number)).collect();
    let share = some.len().div_ceil(threads.max(1)).max(1);
    std::thread::scope(|scope| {
        let act = &act;
        let running: Vec<_> = some
            .chunks_mut(share)
            .map(|share| scope.spawn(move || share.iter_mut().try_for_each(|(number, part)| act(**number, part))))
            .collect();
        running.into_iter().try_for_each(|thread| match thread.join() {
            Ok(done) => done,
            Err(panic) => std::panic::resume_unwind(panic),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_end_at_the_step() {
        assert_eq!(rounds(5..5, 4), []);
        assert_eq!(rounds(5..14, 4), [5..9, 9..13, 13..14]);
    }

    #[test]
    fn what_is_not_kept_is_told_with_the_limits() {
        let kept = |from_start| Kept { generations: Vec::new(), from_start, between: 10 };
        assert!(matches!(kept(Some(10)).bases(10, 0).as_deref(), Ok([Base(None)])));
        let ahead = kept(Some(10)).bases(11, 0).expect_err("too far");
        assert_eq!(ahead, Unreached::Ahead { at: 11, newest: 0, most: 10 });
        assert!(matches!(kept(Some(10)).bases(11, 20).as_deref(), Ok([Base(None)])));
        assert_eq!(kept(None).bases(3, 20).expect_err("no start"), Unreached::None);
        let words = Unreached::TooOld { at: 70, oldest: 100, from_start: Some(50) }.to_string();
        assert_eq!(words, "step 70 is no longer kept: ask for a step up to 50, or from 100 on");
    }
}
