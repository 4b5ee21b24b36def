//! Puts together what workers saw of their blocks: images as soon as all parts are there, rows of `sums.csv` in the order of
//! steps.
//!
//! Invariant: what a row was made of stays until the next row is on the disk, so a torn last row can be made again.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::report::Report;
use crate::datacenter::blobs::Blobs;
use crate::datacenter::observed::Observed;
use crate::datacenter::part::Whole;
use crate::datacenter::spec::Run;
use crate::observe::image::{self, About, Partial};
use crate::observe::reduce::{self, Block, Sums};
use crate::plan::Plan;
use crate::run::Say;
use crate::run::state::time;

/// Most bytes of what was seen of one block at one step.
const MOST: u64 = 1 << 30;

/// Names of what was seen at each step.
type Seen = BTreeMap<u64, Vec<String>>;

pub(super) struct Views {
    whole: Whole,
    plan: Plan,
    blobs: Blobs,
    dir: PathBuf,
    sums: Option<Sums>,
    /// Step of the next row.
    next: Option<u64>,
    /// Step of the last row: what it was made of stays.
    last: Option<u64>,
    /// Steps whose images are drawn.
    drawn: BTreeSet<u64>,
}

impl Views {
    /// What to put together in a run that goes on from step `from`.
    pub(super) async fn new(run: &Run, blobs: Blobs, (dir, from): (&Path, u64), say: Say<'_>) -> Self {
        let plan = run.plan.clone();
        let (whole, dir) = (run.whole.clone(), dir.to_path_buf());
        let mut views = Self { whole, plan, blobs, dir, sums: None, next: None, last: None, drawn: BTreeSet::new() };
        if views.plan.reduces.is_empty() {
            return views;
        }
        let path = views.dir.join(reduce::FILE);
        let last = if from == 0 && views.seen().await.is_empty() { None } else { Sums::last(&path) };
        let cut = match last {
            None => 0,
            Some(last) if views.complete(last).await => last,
            Some(last) if last < from => last + 1,
            Some(_) => from,
        };
        match Sums::open(&path, cut) {
            Ok(sums) => views.sums = Some(sums),
            Err(error) => say(&format!("warning: no sums: {error}")),
        }
        views.next = views.due_from(cut);
        views
    }

    /// First step from `step` on that has rows.
    fn due_from(&self, step: u64) -> Option<u64> {
        let next = self.plan.reduces.iter().map(|&every| step.div_ceil(every).saturating_mul(every)).min();
        next.filter(|&step| step <= self.plan.steps)
    }

    /// What the blobs hold.
    async fn seen(&self) -> Seen {
        let mut seen = Seen::new();
        for found in self.blobs.list("observed").await.unwrap_or_default() {
            let step = found.name.strip_prefix("observed/step-").and_then(|rest| rest.split_once('/')?.0.parse().ok());
            if let Some(step) = step {
                seen.entry(step).or_default().push(found.name);
            }
        }
        seen
    }

    async fn complete(&self, step: u64) -> bool {
        self.seen().await.get(&step).is_some_and(|names| names.len() == self.whole.cuts.count())
    }

    /// Makes what can be made, and removes what it was made of.
    pub(super) async fn put_together(&mut self, report: &mut Report, say: Say<'_>) {
        if self.plan.images.is_empty() && self.plan.reduces.is_empty() {
            return;
        }
        let mut seen = self.seen().await;
        seen.retain(|_, names| names.len() == self.whole.cuts.count());
        for (&step, names) in &seen {
            let due = self.plan.due(step);
            let draws = !due.images.is_empty() && !self.drawn.contains(&step);
            let sums = self.next == Some(step);
            if draws || sums {
                let Some(all) = self.read(names).await else { continue };
                if draws {
                    self.draw(step, &all, report, say);
                    self.drawn.insert(step);
                }
                if sums {
                    self.add(step, &due.reduces, &all, say);
                }
            }
            let used = self.next.is_none_or(|next| step < next) && self.last != Some(step);
            if due.reduces.is_empty() || used {
                for name in names {
                    // What stays is used once more, and gives the same bytes.
                    let _not_vital = self.blobs.delete(name).await;
                }
            }
        }
    }

    async fn read(&self, names: &[String]) -> Option<Vec<Observed>> {
        let mut all = Vec::new();
        for name in names {
            all.push(Observed::from_bytes(&self.blobs.get(name, MOST).await.ok()??)?);
        }
        Some(all)
    }

    /// Adds the rows of `step`.
    fn add(&mut self, step: u64, due: &[usize], all: &[Observed], say: Say<'_>) {
        let job = &self.whole.job;
        let blocks: Result<Vec<Block>, _> = all.iter().map(|observed| Block::from_bytes(&observed.sums)).collect();
        let rows = blocks.and_then(|blocks| reduce::finish(&job.grid, &job.reduces, (step, due), &blocks));
        match rows {
            Ok(rows) => {
                if let Some(sums) = &mut self.sums
                    && let Err(error) = sums.add(step, &rows).and_then(|()| sums.sync())
                {
                    return say(&format!("warning: the sums of step {step} wait: {error}"));
                }
            }
            Err(error) => say(&format!("warning: no sums of step {step}: {error}")),
        }
        self.last = Some(step);
        self.next = self.due_from(step + 1);
    }

    fn draw(&self, step: u64, all: &[Observed], report: &mut Report, say: Say<'_>) {
        let job = &self.whole.job;
        let mut parts: BTreeMap<usize, Vec<Partial>> = BTreeMap::new();
        for (number, bytes) in all.iter().flat_map(|observed| &observed.images) {
            let of = parts.entry(*number).or_default();
            of.extend(Partial::from_bytes(bytes).ok().filter(|_| !bytes.is_empty()));
        }
        for (number, partials) in parts {
            let Some(wanted) = job.images.get(number) else { continue };
            let field = &job.declaration.fields[wanted.slot];
            let about = About { job: &job.name, field: field.about, unit: field.unit, time_unit: "s" };
            let path = self.dir.join(image::file_name(wanted, &job.grid, step));
            let drawn = image::finish(wanted, &job.grid, (step, time(step, self.whole.dt)), &partials, &about);
            let stored = drawn
                .map_err(|error| error.to_string())
                .and_then(|png| image::store(&path, &png).map_err(|error| error.to_string()));
            match stored {
                Ok(()) => report.images += 1,
                Err(error) => say(&format!("warning: no image of step {step}: {error}")),
            }
        }
    }

    /// Makes what is left at the end of a run that is done, tells what is missing, and removes what all was made of.
    pub(super) async fn finish(&mut self, report: &mut Report, say: Say<'_>) {
        loop {
            self.put_together(report, say).await;
            let Some(missing) = self.next else { break };
            if self.complete(missing).await {
                // It could be read, but not used: said above.
                break;
            }
            say(&format!("warning: sums.csv lacks step {missing}: what was seen of it is lost"));
            self.next = self.due_from(missing + 1);
        }
        let _may_be_gone = std::fs::remove_dir_all(self.dir.join("observed"));
    }
}
