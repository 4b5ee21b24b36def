//! Puts together what workers saw of their blocks: images as soon as all parts are there, files that grow step by step in the
//! order of steps.
//!
//! Invariant: what a step was made of stays until the next step is on the disk, so a torn last step can be made again.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::report::Report;
use crate::datacenter::blobs::Blobs;
use crate::datacenter::observed::Observed;
use crate::datacenter::part::Whole;
use crate::datacenter::spec::Run;
use crate::observe::image::{self, About, Partial};
use crate::observe::series::{Series, Trouble};
use crate::plan::{Due, Plan};
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
    series: Series,
    /// Next step to be added to the series.
    next: Option<u64>,
    /// Last step added: what it was made of stays.
    last: Option<u64>,
    /// Trouble told last, so that it is told once.
    told: Vec<Trouble>,
    /// Steps whose images are drawn.
    drawn: BTreeSet<u64>,
    /// Steps whose images could not be stored as yet.
    waiting: BTreeSet<u64>,
}

impl Views {
    /// What to put together in a run that goes on from step `from`.
    pub(super) async fn new(run: &Run, blobs: Blobs, (dir, from): (&Path, u64), say: Say<'_>) -> Self {
        let plan = run.plan.clone();
        let (whole, dir) = (run.whole.clone(), dir.to_path_buf());
        let mut views = Self {
            whole,
            plan,
            blobs,
            dir,
            series: Series::default(),
            next: None,
            last: None,
            told: Vec::new(),
            drawn: BTreeSet::new(),
            waiting: BTreeSet::new(),
        };
        if views.plan.appends_from(0).is_none() {
            return views;
        }
        let (job, dt) = (&views.whole.job, views.whole.dt);
        let seen = views.seen().await;
        let last = if from == 0 && seen.is_empty() { None } else { Series::last(job, dt, &views.dir) };
        let cut = match last {
            None => from.min(seen.keys().next().copied().unwrap_or(from)),
            Some(last) if views.complete(last).await => last,
            Some(last) if last < from => last + 1,
            Some(_) => from,
        };
        views.series = Series::open(job, dt, &views.dir, cut);
        for trouble in views.series.troubles() {
            say(&format!("warning: {trouble}"));
        }
        views.next = views.plan.appends_from(cut);
        views
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
        if self.plan.images.is_empty() && self.plan.appends_from(0).is_none() {
            return;
        }
        let mut seen = self.seen().await;
        seen.retain(|_, names| names.len() == self.whole.cuts.count());
        for (&step, names) in &seen {
            let due = self.plan.due(step);
            let draws = !due.images.is_empty() && !self.drawn.contains(&step);
            let adds = self.next == Some(step);
            if draws || adds {
                let Some(all) = self.read(names).await else { continue };
                if draws && self.draw(step, &all, report, say) {
                    self.drawn.insert(step);
                }
                if adds {
                    self.add((step, &due), &all, say);
                }
            }
            if !due.images.is_empty() && !self.drawn.contains(&step) {
                // The disk may have room the next time.
                continue;
            }
            let used = self.next.is_none_or(|next| step < next) && self.last != Some(step);
            if !due.appends() || used {
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

    /// Adds what is due at `step` to the series; where the disk refuses, it is tried again at the next look.
    fn add(&mut self, (step, due): (u64, &Due), all: &[Observed], say: Say<'_>) {
        let Whole { job, dt, .. } = &self.whole;
        let of = |part: fn(&Observed) -> &[u8]| all.iter().map(part).collect::<Vec<_>>();
        if !due.reduces.is_empty() {
            self.series.add_sums(job, (step, &due.reduces), &of(|seen| &seen.sums));
        }
        if !due.probes.is_empty() {
            self.series.add_probes(job, (step, time(step, *dt)), &due.probes, &of(|seen| &seen.probes));
        }
        let mut place = 0;
        for &number in &due.outputs {
            let mut whole = true;
            for field in 0..job.outputs[number].fields.len() {
                let parts: Vec<&[u8]> =
                    all.iter().filter_map(|seen| seen.fields.get(place)).map(Vec::as_slice).collect();
                whole = whole && self.series.add_field(job, (number, field), step, &parts);
                place += 1;
            }
            if whole {
                self.series.publish(job, number, step);
            }
        }
        self.series.sync(job, step);
        let troubles = self.series.troubles();
        if troubles != self.told {
            let then = |again| if again { "; it is tried again" } else { "" };
            troubles.iter().for_each(|trouble| say(&format!("warning: {trouble}{}", then(trouble.again))));
        }
        let done = troubles.iter().all(|trouble| !trouble.again);
        self.told = troubles;
        if done {
            self.pass(step);
        }
    }

    /// Goes on behind `step`.
    fn pass(&mut self, step: u64) {
        self.last = Some(step);
        self.next = self.plan.appends_from(step + 1);
    }

    /// Draws the images of `step`; false if the disk did not take one.
    fn draw(&mut self, step: u64, all: &[Observed], report: &mut Report, say: Say<'_>) -> bool {
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
            match drawn.map(|png| image::store(&path, &png)) {
                Ok(Ok(())) => report.images += 1,
                Ok(Err(error)) => {
                    if self.waiting.insert(step) {
                        say(&format!("warning: the images of step {step} wait: {error}"));
                    }
                    return false;
                }
                Err(error) => say(&format!("warning: no image of step {step}: {error}")),
            }
        }
        true
    }

    /// Makes what is left at the end of a run that is done, tells what is missing, and removes what all was made of.
    pub(super) async fn finish(&mut self, report: &mut Report, say: Say<'_>) {
        loop {
            self.put_together(report, say).await;
            let Some(missing) = self.next else { break };
            let why = if self.complete(missing).await { "see above" } else { "what was seen of it is lost" };
            say(&format!("warning: sums, probes and outputs lack what is due at step {missing}: {why}"));
            self.pass(missing);
        }
        let _may_be_gone = std::fs::remove_dir_all(self.dir.join("observed"));
    }
}
