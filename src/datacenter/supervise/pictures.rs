//! Puts together what workers saw of their blocks: images as soon as all parts are there.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::report::Report;
use crate::datacenter::blobs::Blobs;
use crate::datacenter::observed::Observed;
use crate::datacenter::part::Whole;
use crate::datacenter::spec::Run;
use crate::observe::image::{self, About, Partial};
use crate::run::Say;
use crate::run::state::time;

/// Most bytes of what was seen of one block at one step.
const MOST: u64 = 1 << 30;

pub(super) struct Pictures {
    whole: Whole,
    blobs: Blobs,
    dir: PathBuf,
    due: bool,
}

impl Pictures {
    pub(super) fn new(run: &Run, blobs: Blobs, dir: &Path) -> Self {
        let due = !run.plan.images.is_empty();
        Self { whole: run.whole.clone(), blobs, dir: dir.to_path_buf(), due }
    }

    /// Draws the images of all steps of which every block was seen, and removes what they were made of.
    pub(super) async fn draw_all(&self, report: &mut Report, say: Say<'_>) {
        if !self.due {
            return;
        }
        let Ok(listed) = self.blobs.list("observed").await else { return };
        let mut steps: BTreeMap<u64, Vec<String>> = BTreeMap::new();
        for found in listed {
            let step = found.name.strip_prefix("observed/step-").and_then(|rest| rest.split_once('/')?.0.parse().ok());
            if let Some(step) = step {
                steps.entry(step).or_default().push(found.name);
            }
        }
        for (step, names) in steps.into_iter().filter(|(_, names)| names.len() == self.whole.cuts.count()) {
            let mut all = Vec::new();
            for name in &names {
                let read = self.blobs.get(name, MOST).await;
                let Some(observed) = read.ok().flatten().and_then(|bytes| Observed::from_bytes(&bytes)) else { break };
                all.push(observed);
            }
            if all.len() == names.len() {
                self.draw(step, &all, report, say);
                for name in &names {
                    // What stays is drawn once more, with the same bytes.
                    let _not_vital = self.blobs.delete(name).await;
                }
            }
        }
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
            match drawn
                .map_err(|error| error.to_string())
                .and_then(|png| image::store(&path, &png).map_err(|error| error.to_string()))
            {
                Ok(_) => report.images += 1,
                Err(error) => say(&format!("warning: no image of step {step}: {error}")),
            }
        }
    }

    /// Removes what is left of what was seen.
    pub(super) fn clear(&self) {
        let _may_be_gone = std::fs::remove_dir_all(self.dir.join("observed"));
    }
}
