//! The plan: where rounds end, and what is due there. A pure function of the job, the same in both modes.
//!
//! Input: a job. Output: rounds. Invariant: rounds end at multiples of T from step 0 and wherever something is due, so a
//! restart walks the same plan from the middle.

use crate::job::{Every, Job};

/// Steps after which the state is looked at even if nothing else is due.
pub const SCAN_EVERY: u64 = 1000;

/// Where rounds end and what is due.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Last step.
    pub steps: u64,
    /// Most steps in a round.
    pub round: u64,
    /// Steps between checkpoints, where the job counts them in steps.
    pub checkpoint: Option<u64>,
    /// Steps between each image.
    pub images: Vec<u64>,
    /// Steps between each reduce.
    pub reduces: Vec<u64>,
    /// Steps between two looks of each probe.
    pub probes: Vec<u64>,
    /// Steps between each output.
    pub outputs: Vec<u64>,
}

/// What is due at the end of a round.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Due {
    /// Write a checkpoint.
    pub checkpoint: bool,
    /// Look for values that are not numbers.
    pub scan: bool,
    /// Images to draw, by their number in the job.
    pub images: Vec<usize>,
    /// Reduces to compute, by their number in the job.
    pub reduces: Vec<usize>,
    /// Probes to read, by their number in the job.
    pub probes: Vec<usize>,
    /// Outputs to write, by their number in the job.
    pub outputs: Vec<usize>,
}

impl Due {
    /// True if something is appended to a file.
    #[must_use]
    pub fn appends(&self) -> bool {
        !(self.reduces.is_empty() && self.probes.is_empty() && self.outputs.is_empty())
    }
}

/// Steps between two looks at anything but the halo.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Round {
    /// Step that it starts from.
    pub start: u64,
    /// Step that it ends at.
    pub end: u64,
    /// What is due at its end.
    pub due: Due,
}

impl Round {
    /// Steps in the round.
    ///
    /// # Panics
    ///
    /// Never: a round is no longer than T, a `usize`.
    #[must_use]
    pub fn steps(&self) -> usize {
        usize::try_from(self.end - self.start).expect("a round is no longer than T")
    }
}

impl Plan {
    /// Plan of `job` with at most `round` steps in a round.
    #[must_use]
    pub fn new(job: &Job, round: usize) -> Self {
        Self {
            steps: job.time.steps,
            round: round as u64,
            checkpoint: match job.checkpoint.every {
                Some(Every::Steps(steps)) => Some(steps),
                Some(Every::Seconds(_) | Every::Auto { .. }) | None => None,
            },
            images: job.images.iter().map(|image| image.every).collect(),
            reduces: job.reduces.iter().map(|reduce| reduce.every).collect(),
            probes: job.probes.iter().map(|probe| probe.every).collect(),
            outputs: job.outputs.iter().map(|output| output.every).collect(),
        }
    }

    /// Round that starts at step `from`; none at the last step.
    #[must_use]
    pub fn round(&self, from: u64) -> Option<Round> {
        if from >= self.steps {
            return None;
        }
        let next = |every: u64| (from / every + 1).saturating_mul(every);
        let end = self
            .images
            .iter()
            .chain(self.appended())
            .chain(&self.checkpoint)
            .chain([&self.round, &SCAN_EVERY])
            .map(|&every| next(every))
            .chain([self.steps])
            .min()
            .unwrap_or(self.steps);
        Some(Round { start: from, end, due: self.due(end) })
    }

    /// What is due at `step`.
    #[must_use]
    pub fn due(&self, step: u64) -> Due {
        let last = step == self.steps;
        let at = |every: u64| step.is_multiple_of(every);
        let checkpoint = step > 0 && (last || self.checkpoint.is_some_and(at));
        let among = |all: &[u64]| -> Vec<usize> { (0..all.len()).filter(|&one| at(all[one])).collect() };
        let due = Due {
            checkpoint,
            scan: false,
            images: among(&self.images),
            reduces: among(&self.reduces),
            probes: among(&self.probes),
            outputs: among(&self.outputs),
        };
        let scan = checkpoint || !due.images.is_empty() || due.appends() || at(SCAN_EVERY);
        Due { scan, ..due }
    }

    /// Steps between what is appended to files: rows of reduces and probes, times of outputs.
    fn appended(&self) -> impl Iterator<Item = &u64> {
        self.reduces.iter().chain(&self.probes).chain(&self.outputs)
    }

    /// First step from `step` on at which something is appended to a file; none in this job.
    #[must_use]
    pub fn appends_from(&self, step: u64) -> Option<u64> {
        let next = self.appended().map(|&every| step.div_ceil(every).saturating_mul(every)).min();
        next.filter(|&step| step <= self.steps)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_from_anywhere_are_the_rounds_from_the_start() {
        for round in 1..=7 {
            for checkpoint in [None, Some(1), Some(4), Some(10)] {
                for (images, reduces) in [(vec![], vec![]), (vec![3], vec![]), (vec![5, 6], vec![9]), (vec![], vec![5])]
                {
                    let (probes, outputs) = (vec![8], vec![11, 7]);
                    let plan = Plan { steps: 23, round, checkpoint, images, reduces, probes, outputs };
                    let mut ends = vec![0];
                    while let Some(next) = plan.round(*ends.last().unwrap()) {
                        assert!(next.end > next.start && next.end - next.start <= round);
                        assert_eq!(next.due, plan.due(next.end));
                        ends.push(next.end);
                    }
                    assert_eq!(ends.last(), Some(&23));
                    for from in 0..23 {
                        let end = plan.round(from).unwrap().end;
                        assert_eq!(Some(&end), ends.iter().find(|&&end| end > from), "{plan:?} from {from}");
                    }
                    assert!(plan.due(23).checkpoint && !plan.due(0).checkpoint);
                    let of: [fn(Due) -> Vec<usize>; 3] = [|due| due.reduces, |due| due.probes, |due| due.outputs];
                    for (all, of) in [&plan.reduces, &plan.probes, &plan.outputs].into_iter().zip(of) {
                        for (number, every) in all.iter().enumerate() {
                            let due = (0..=23).filter(|&step| of(plan.due(step)).contains(&number));
                            let due: Vec<u64> = due.collect();
                            assert!(due.iter().copied().eq((0..=23).step_by(usize::try_from(*every).unwrap())));
                            assert!(due.iter().all(|step| ends.contains(step) && plan.due(*step).scan));
                            assert!(due.iter().all(|&step| plan.appends_from(step) == Some(step)));
                        }
                    }
                }
            }
        }
    }
}
