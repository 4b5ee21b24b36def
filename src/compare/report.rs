//! The report as data: JSON and CSV, and the numbers that the page shows.
//!
//! Input: the outcome, and what was asked for. Output: JSON, CSV, sentences, and medians by kind of trial. Invariant:
//! data, sentences and page take medians and what is carried to other machines from the functions here, so they
//! agree; what is not finite is `null` in the JSON; `same_bits` is always true, as there is no outcome otherwise.

use std::borrow::Cow;
use std::fmt::Write;

use serde_json::{Value, json};

use super::model::Model;
use super::trial::Trial;
use super::{Mode, Outcome, Request, larger, smaller};

/// Seconds of a day.
const DAY_S: f64 = 86_400.0;

/// Medians of the trials of one kind.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Kind {
    /// How the job was run.
    pub mode: Mode,
    /// Mean time between kills.
    pub mtbf_s: Option<f64>,
    /// Number of trials.
    pub count: usize,
    /// Seconds.
    pub seconds: f64,
    /// Least and most of them.
    pub range_s: (f64, f64),
    /// Kills that hit.
    pub kills: f64,
    /// Steps computed again.
    pub lost_steps: f64,
    /// Block steps that those who lived computed again; none in torus mode, where nobody lives on.
    pub by_survivors: Option<f64>,
    /// Seconds from a kill until the dead are replaced.
    pub recovered_s: Option<f64>,
    /// Bytes of memory.
    pub peak_bytes: f64,
}

fn median(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let mut all: Vec<f64> = values.into_iter().collect();
    all.sort_by(f64::total_cmp);
    let middle = all.get(all.len().saturating_sub(1) / 2)?;
    Some((middle + all[all.len() / 2]) / 2.0)
}

/// Medians of each kind of trial, in the order in which they first ran.
#[must_use]
pub fn kinds(trials: &[Trial]) -> Vec<Kind> {
    let mut all: Vec<(Mode, Option<f64>)> = Vec::new();
    for trial in trials {
        if !all.contains(&(trial.mode, trial.mtbf_s)) {
            all.push((trial.mode, trial.mtbf_s));
        }
    }
    let kind = |&(mode, mtbf_s): &(Mode, Option<f64>)| {
        let of: Vec<&Trial> = trials.iter().filter(|trial| (trial.mode, trial.mtbf_s) == (mode, mtbf_s)).collect();
        let over = |value: &dyn Fn(&Trial) -> f64| median(of.iter().map(|trial| value(trial))).unwrap_or(0.0);
        let seconds = || of.iter().map(|trial| trial.seconds);
        Kind {
            mode,
            mtbf_s,
            count: of.len(),
            seconds: over(&|trial| trial.seconds),
            range_s: (seconds().fold(f64::INFINITY, smaller), seconds().fold(0.0, larger)),
            kills: over(&|trial| trial.kills.iter().filter(|kill| kill.hit).count() as f64),
            lost_steps: over(&|trial| trial.lost_steps),
            by_survivors: median(of.iter().filter_map(|trial| trial.record["recomputed_by_survivors"].as_f64())),
            recovered_s: median(of.iter().flat_map(|trial| &trial.kills).filter_map(|kill| kill.recovered_s)),
            peak_bytes: over(&|trial| trial.peak_bytes as f64),
        }
    };
    all.iter().map(kind).collect()
}

/// Where the time of an undisturbed kind of run went, and what it moved: medians.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shares {
    /// How the job was run.
    pub mode: Mode,
    /// Part of the cores' time in which cells were computed.
    pub compute: f64,
    /// Part of the time in which ranks waited for halos; not told in data-center mode, where threads turn to another block.
    pub halo_wait: Option<f64>,
    /// Part of the time for which checkpoints held the steps up; none in data-center mode, where they are stored beside them.
    pub blocking: Option<f64>,
    /// Bytes of halos that processes had from each other.
    pub halo_bytes: f64,
    /// Bytes of checkpoints.
    pub checkpoint_bytes: f64,
}

/// Shares of the kinds of run that nobody killed; of others `run.json` tells of the last start only.
#[must_use]
pub fn shares(trials: &[Trial]) -> Vec<Shares> {
    let of = |mode| {
        let of: Vec<&Trial> = trials.iter().filter(|trial| trial.mode == mode).collect();
        let over = |value: &dyn Fn(&Trial) -> f64| median(of.iter().map(|trial| value(trial)));
        let number = |trial: &Trial, key: &str| trial.record[key].as_f64().unwrap_or(0.0);
        let share = |key: &str| over(&|trial| number(trial, key) / trial.seconds);
        Some(Shares {
            mode,
            // In data-center mode each thread counts its own seconds, in torus mode all threads of a rank compute together.
            compute: over(&|trial| {
                let threads = if mode.datacenter() { larger(number(trial, "threads"), 1.0) } else { 1.0 };
                number(trial, "compute_seconds") / threads / trial.seconds
            })?,
            halo_wait: share("halo_wait_seconds").filter(|_| !mode.datacenter()),
            blocking: share("checkpoint_blocking_seconds").filter(|_| !mode.datacenter()),
            halo_bytes: over(&|trial| number(trial, "halo_bytes"))?,
            checkpoint_bytes: over(&|trial| checkpoint_bytes(trial))?,
        })
    };
    [Mode::Floor, Mode::Torus, Mode::Datacenter].into_iter().filter_map(of).collect()
}

/// Bytes of the checkpoints that a trial wrote.
fn checkpoint_bytes(trial: &Trial) -> f64 {
    if let Some(bytes) = trial.record["snapshot_bytes"].as_f64() {
        return bytes;
    }
    trial.attempts.iter().flat_map(|attempt| &attempt.saved).map(|saved| saved.bytes as f64).sum()
}

/// What both modes take on a machine of another size, as multiples of the time of the steps alone in torus mode.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Carried {
    /// Nodes.
    pub nodes: f64,
    /// Mean time between failures of the machine.
    pub mtbf_s: f64,
    /// Torus mode, checkpoints at Daly's best interval.
    pub torus: f64,
    /// Data-center mode.
    pub datacenter: f64,
}

/// The cost of data-center mode: its time without failures over torus mode's, and the seconds that a failure adds; NaN if no run
/// was hit by one.
#[must_use]
pub fn datacenter_cost(kinds: &[Kind]) -> (f64, f64) {
    let of = |mode| kinds.iter().find(|kind| kind.mode == mode).map_or(f64::NAN, |kind| kind.seconds);
    let (torus, datacenter) = (of(Mode::Torus), of(Mode::Datacenter));
    let failing = kinds.iter().filter(|kind| kind.mode == Mode::DatacenterFailing && kind.kills > 0.0);
    let added = failing.map(|kind| (kind.seconds - datacenter) / kind.kills);
    (datacenter / torus, median(added).map_or(f64::NAN, |added_s| larger(added_s, 0.0)))
}

/// The model on machines of other sizes.
#[must_use]
pub fn carry(model: &Model, kinds: &[Kind], request: &Request) -> Vec<Carried> {
    let (factor, added_s) = datacenter_cost(kinds);
    let one = |&nodes: &f64| {
        let mtbf_s = request.node_mtbf_s / nodes;
        // A failure stops the blocks of one node; as long as it lasts, the others come to wait for them.
        let datacenter = if added_s >= mtbf_s { f64::INFINITY } else { factor / (1.0 - added_s / mtbf_s) };
        Carried { nodes, mtbf_s, torus: model.slowdown_at_best(mtbf_s), datacenter }
    };
    request.nodes.iter().map(one).collect()
}

/// What is assumed where the model is carried to other machines.
#[must_use]
pub fn assumptions(request: &Request) -> Vec<String> {
    vec![
        format!("a node fails every {:.0} days on average, independently of the others", request.node_mtbf_s / DAY_S),
        "the job grows with the machine: a step and a checkpoint take what they take here".into(),
        format!(
            "a failed torus run waits {} s for its repair, and loses what came after its last checkpoint",
            request.repair_s
        ),
        "torus mode checkpoints at Daly's best interval, at least as long as a checkpoint takes to count".into(),
        "in data-center mode a failure costs the seconds that it cost here, whatever the size".into(),
        "no failure hits the ledger, the blobs or the network: they are others' care".into(),
    ]
}

fn finite(value: f64) -> Value {
    if value.is_finite() { json!(value) } else { Value::Null }
}

/// The report as JSON: `runs` (`mode`, `mtbf_s`, `repeat`, `seconds`, `kills`, `lost_steps`, `predicted_s`, ...), `same_bits`,
/// `model`, `curve`, `machines`, `assumptions`, `environment`.
#[must_use]
pub fn json(outcome: &Outcome, request: &Request) -> Value {
    let kinds = kinds(&outcome.trials);
    let machines: Vec<Value> = carry(&outcome.model, &kinds, request)
        .iter()
        .map(|one| json!({ "nodes": one.nodes, "mtbf_s": one.mtbf_s, "torus": finite(one.torus), "datacenter": finite(one.datacenter) }))
        .collect();
    let (factor, added_s) = datacenter_cost(&kinds);
    let model = &outcome.model;
    let curve: Vec<Value> = request.mtbf_s.iter().map(|&mtbf_s| {
        let (low, high) = model.band_s(mtbf_s, request.seed);
        json!({ "mtbf_s": mtbf_s, "daly_s": finite(model.daly_s(mtbf_s)), "low_s": finite(low), "high_s": finite(high) })
    }).collect();
    json!({
        "job": request.job.to_string_lossy(),
        "same_bits": true,
        "seed": request.seed,
        "runs": outcome.trials.iter().map(run).collect::<Vec<_>>(),
        "model": {
            "steps": model.steps, "steps_per_checkpoint": model.every, "step_s": model.step_s, "start_s": model.start_s,
            "restart_s": model.restart_s, "end_s": model.end_s, "blocking_s": model.blocking_s, "flush_s": model.flush_s,
            "notice_s": model.notice_s, "repair_s": model.repair_s,
            "datacenter_factor": finite(factor), "datacenter_failure_s": finite(added_s),
        },
        "curve": curve,
        "machines": machines,
        "assumptions": assumptions(request),
        "environment": environment(outcome, request),
    })
}

fn run(trial: &Trial) -> Value {
    let hits = trial.kills.iter().filter(|kill| kill.hit).count();
    let record = |key: &str| trial.record[key].clone();
    json!({
        "mode": trial.mode.name(),
        "mtbf_s": trial.mtbf_s,
        "repeat": trial.repeat,
        "seconds": trial.seconds,
        "kills": hits,
        "lost_steps": trial.lost_steps,
        "predicted_s": trial.predicted_s,
        "kills_at_s": trial.kills.iter().map(|kill| json!({
            "at_s": kill.at_s, "hit": kill.hit, "noticed_s": kill.noticed_s, "recovered_s": kill.recovered_s,
        })).collect::<Vec<_>>(),
        "attempts": trial.attempts.iter().map(|attempt| json!({
            "from_s": attempt.from_s, "to_s": attempt.to_s, "step": attempt.step,
            "checkpoints": attempt.saved.iter().map(|saved| json!({ "step": saved.step, "at_s": saved.at_s })).collect::<Vec<_>>(),
        })).collect::<Vec<_>>(),
        "peak_bytes": trial.peak_bytes,
        "checkpoint_bytes": checkpoint_bytes(trial),
        "halo_bytes": record("halo_bytes"),
        "checkpoint_blocking_seconds": record("checkpoint_blocking_seconds"),
        "halo_wait_seconds": record("halo_wait_seconds"),
        "compute_seconds": record("compute_seconds"),
        "recomputed_steps": record("recomputed_steps"),
        "recomputed_by_survivors": record("recomputed_by_survivors"),
        "lost": record("lost"),
        "stolen": record("stolen"),
        "retried": record("retried"),
        "command": trial.command,
    })
}

/// Where and how it was measured.
#[must_use]
pub fn environment(outcome: &Outcome, request: &Request) -> Value {
    let first = outcome.trials.first().map_or(Value::Null, |trial| trial.record.clone());
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "host": first["host"], "cpu": first["cpu"],
        "cores": std::thread::available_parallelism().map_or(1, usize::from),
        "launcher": outcome.launcher,
        "ranks": request.ranks, "workers": request.workers,
        "repeat_with": again(request),
    })
}

/// The command that repeats the comparison.
#[must_use]
pub fn again(request: &Request) -> String {
    let list =
        |values: &[f64], unit: &str| values.iter().map(|value| format!("{value}{unit}")).collect::<Vec<_>>().join(",");
    let mut command = format!(
        "ringfort compare {} --out DIR --mtbf \"{}\" --repeats {} --seed {} --ranks {} --workers {} --repair \"{}s\" --nodes {} --node-mtbf \"{}s\"",
        quoted(&request.job.to_string_lossy()),
        list(&request.mtbf_s, "s"),
        request.repeats,
        request.seed,
        request.ranks,
        request.workers,
        request.repair_s,
        list(&request.nodes, ""),
        request.node_mtbf_s,
    );
    for set in &request.overrides {
        let _infallible = write!(command, " --set {}", quoted(set));
    }
    command
}

/// `word` as a shell takes it for one; as it is where no shell can be given it.
fn quoted(word: &str) -> Cow<'_, str> {
    shlex::try_quote(word).unwrap_or(Cow::Borrowed(word))
}

/// The runs as CSV, one a line.
#[must_use]
pub fn csv(outcome: &Outcome) -> String {
    let mut text = "mode,mtbf_s,repeat,seconds,kills,lost_steps,predicted_s,peak_bytes\n".to_owned();
    for trial in &outcome.trials {
        let some = |value: Option<f64>| value.map_or_else(String::new, |value| value.to_string());
        let hits = trial.kills.iter().filter(|kill| kill.hit).count();
        let _infallible = writeln!(
            text,
            "{},{},{},{},{hits},{},{},{}",
            trial.mode.name(),
            some(trial.mtbf_s),
            trial.repeat,
            trial.seconds,
            trial.lost_steps,
            some(trial.predicted_s),
            trial.peak_bytes,
        );
    }
    text
}

/// What the numbers say, in words.
#[must_use]
pub fn words(outcome: &Outcome, request: &Request) -> Vec<String> {
    let kinds = kinds(&outcome.trials);
    let (factor, added_s) = datacenter_cost(&kinds);
    let model = &outcome.model;
    let added = if added_s.is_nan() {
        "no kill hit it, so that what one costs was not measured".into()
    } else {
        format!("each failure added {added_s:.1} s to it")
    };
    let mut all = vec![format!(
        "Without failures data-center mode took {factor:.2} times as long as torus mode; {added}. In torus mode a failure costs \
         {:.1} s of notice, repair and restart, and {:.1} s of steps on average, half of what lies between two checkpoints.",
        model.notice_s + model.repair_s + model.restart_s,
        model.every as f64 * model.step_s / 2.0 + model.flush_s,
    )];
    for &mtbf_s in &request.mtbf_s {
        let of = |mode| kinds.iter().find(|kind| kind.mode == mode && kind.mtbf_s == Some(mtbf_s));
        if let (Some(torus), Some(datacenter)) = (of(Mode::TorusFailing), of(Mode::DatacenterFailing)) {
            let (first, second) = (torus.seconds, datacenter.seconds);
            let faster = if second < first { "data-center mode" } else { "torus mode" };
            all.push(format!(
                "With a failure every {mtbf_s} s on average torus mode took {first:.1} s (kills that hit it: {}) and data-center mode \
                 {second:.1} s (kills: {}): {faster} was faster.",
                torus.kills, datacenter.kills
            ));
        }
    }
    if added_s.is_nan() {
        return all;
    }
    let crossed = carry(model, &kinds, request).into_iter().find(|one| one.datacenter < one.torus);
    all.push(match crossed {
        Some(one) => format!(
            "Carried to larger machines, data-center mode is the faster one from {} nodes on, where a failure comes every \
             {:.0} s: {:.2} times the time of the steps alone, against {:.2}.",
            one.nodes, one.mtbf_s, one.datacenter, one.torus
        ),
        None => "Carried to larger machines, torus mode stays the faster one at all sizes asked for.".into(),
    });
    all
}
