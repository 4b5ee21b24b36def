//! Names, `[time]`, `[checkpoint]`, `[torus]` and `[datacenter]`: when things happen.
//!
//! Input: the tables of the job file. Output: their values, defaults filled in. Invariant: steps are at most 2^53, so
//! that each is exact as `f64`; intervals and durations are above 0, and a duration is at most a century; at least
//! two checkpoints are kept; the job asks for no more parts along an axis than it has points. Of all this only the
//! time step and `speed_max` enter the fingerprint.

use std::path::Path;

use ringfort_kernels::Declaration;

use super::document::Document;
use super::error::JobError;
use super::{Checkpoint, Datacenter, Every, Time, TimeStep, Torus, axes, schema};
use crate::grid::Grid;

/// Longest name of a reduce, probe or output in bytes.
const LONGEST_NAME: usize = 64;
/// Last step that a job may have: up to here `step as f64` is exact.
const MOST_STEPS: u64 = 1 << 53;
/// Checkpoints kept where the job does not say.
pub const KEEP: usize = 3;
/// Mean time between failures where the job does not say, in seconds.
const MTBF_S: f64 = 86400.0;
/// Fewest checkpoints kept.
const FEWEST_KEPT: usize = 2;
/// How long a halo may take where the job does not say, in seconds.
const DEADLINE_S: f64 = 600.0;
/// Most steps between two exchanges.
const MOST_STEPS_PER_EXCHANGE: u64 = 1 << 20;
/// Time without a sign of life after which a worker counts as gone where the job does not say, in seconds.
const LEASE_S: f64 = 10.0;
/// Shortest such time, in seconds.
const SHORTEST_LEASE_S: f64 = 0.5;
/// Longest time that a job may name, in seconds: a century.
const LONGEST_S: f64 = 3.2e9;

/// The job's name: as given, else the file's stem.
pub(super) fn name(document: &Document, given: Option<&str>, path: &Path) -> Result<String, JobError> {
    let Some(name) = given else {
        return Ok(path.file_stem().map_or("job".to_owned(), |stem| stem.to_string_lossy().into_owned()));
    };
    if name.is_empty() || name.len() > 200 || name.chars().any(char::is_control) {
        return Err(document.wrong(&["name"], "give 1 to 200 printable characters on one line"));
    }
    Ok(name.to_owned())
}

/// The name `given` at `path`, which stands in files or names one.
pub(super) fn word(document: &Document, path: &[&str], given: &str) -> Result<String, JobError> {
    let fits = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
    if given.is_empty() || given.len() > LONGEST_NAME || !given.chars().all(fits) {
        let problem = format!("`{given}` is no name; give 1 to {LONGEST_NAME} letters, digits, `_`, `-` and `.`");
        return Err(document.wrong(path, problem));
    }
    Ok(given.to_owned())
}

/// The time axis.
pub(super) fn time(document: &Document, given: &schema::Time, declaration: &Declaration) -> Result<Time, JobError> {
    if given.steps > MOST_STEPS {
        let problem = format!("{} steps; the most is 2^53", given.steps);
        return Err(document.wrong(&["time", "steps"], problem));
    }
    let positive = |key: &str, value: f64| {
        if value.is_finite() && value > 0.0 {
            return Ok(value);
        }
        Err(document.wrong(&["time", key], format!("{value} makes no time step; give a finite number above 0")))
    };
    let step = match (given.dt, given.courant) {
        (Some(_), Some(_)) => {
            return Err(document.wrong(&["time", "courant"], "both dt and courant are given; remove one of them"));
        }
        (Some(dt), None) => TimeStep::Seconds(positive("dt", dt)?),
        (None, Some(courant)) => TimeStep::Courant(positive("courant", courant)?),
        (None, None) => match declaration.default_dt {
            Some(dt) => TimeStep::Seconds(dt),
            None => {
                let remedy = "give the time step in seconds, or courant = 0.9 for that share of the kernel's bound";
                return Err(document.missing(&["time", "dt"], remedy));
            }
        },
    };
    let speed_max = speed_max(document, given, declaration)?;
    let time = Time { steps: given.steps, step, speed_max };
    #[allow(clippy::cast_precision_loss, reason = "at most 2^53 steps")]
    if let TimeStep::Seconds(dt) = step
        && !(given.steps as f64 * dt).is_finite()
    {
        return Err(document.wrong(&["time", "dt"], "the time of the last step overflows; use a smaller dt"));
    }
    Ok(time)
}

/// The largest speed to expect; 0 where none is needed.
fn speed_max(document: &Document, given: &schema::Time, declaration: &Declaration) -> Result<f64, JobError> {
    let path = ["time", "speed_max"];
    match (given.speed_max, given.courant.is_some() && declaration.rate_of_state) {
        (None, false) => Ok(0.0),
        (None, true) => {
            let remedy = format!(
                "the bound of the kernel {} depends on the state, so a Courant number needs the largest speed to expect, in m/s",
                declaration.name,
            );
            Err(document.missing(&path, remedy))
        }
        (Some(_), false) => {
            let problem = "it goes with courant and a kernel whose bound depends on the state only; remove it";
            Err(document.wrong(&path, problem))
        }
        (Some(speed), true) if speed.is_finite() && speed >= 0.0 => Ok(speed),
        (Some(speed), true) => Err(document.wrong(&path, format!("{speed} is no speed; give a number, at least 0"))),
    }
}

/// Checkpoints; a count that is raised leaves a note in `notes`.
pub(super) fn checkpoint(
    document: &Document,
    given: &schema::Checkpoint,
    notes: &mut Vec<String>,
) -> Result<Checkpoint, JobError> {
    let mtbf_s = mtbf(document, given.mtbf.as_deref())?;
    let every = match given.every.as_deref().map(str::trim) {
        None => None,
        Some("auto") => Some(Every::Auto { mtbf_s: mtbf_s.unwrap_or(MTBF_S) }),
        Some(text) => Some(every(document, &["checkpoint", "every"], text)?),
    };
    if mtbf_s.is_some() && !matches!(every, Some(Every::Auto { .. })) {
        notes.push("checkpoint.mtbf changes nothing: it is for every = \"auto\"".into());
    }
    let keep = match given.keep {
        None => KEEP,
        Some(0) => {
            let problem = "0 would keep no checkpoint to restart from; keep at least 2";
            return Err(document.wrong(&["checkpoint", "keep"], problem));
        }
        Some(1) => {
            notes.push(
                "checkpoint.keep = 1 is raised to 2: the newest is only safe to rely on while another one stands"
                    .into(),
            );
            FEWEST_KEPT
        }
        Some(keep) => {
            usize::try_from(keep).map_err(|_| document.wrong(&["checkpoint", "keep"], "too many for this machine"))?
        }
    };
    let path = ["checkpoint", "keep_every"];
    let keep_every = match given.keep_every.as_deref() {
        None => None,
        Some(text) => match self::every(document, &path, text)? {
            Every::Steps(steps) => Some(steps),
            Every::Seconds(_) | Every::Auto { .. } => {
                return Err(
                    document.wrong(&path, format!("`{text}`: what is kept is counted in steps; write \"N steps\""))
                );
            }
        },
    };
    Ok(Checkpoint { every, keep, keep_every, background: given.background.unwrap_or(true) })
}

/// Mean time between failures in seconds.
fn mtbf(document: &Document, given: Option<&str>) -> Result<Option<f64>, JobError> {
    let Some(text) = given else { return Ok(None) };
    let wrong = || document.wrong(&["checkpoint", "mtbf"], format!("`{text}` is no duration; {DURATIONS}"));
    duration(text).map(Some).ok_or_else(wrong)
}

/// Settings of torus mode.
pub(super) fn torus(document: &Document, given: &schema::Torus, grid: &Grid) -> Result<Torus, JobError> {
    let ranks = parts(document, ["torus", "ranks"], given.ranks.as_deref(), grid)?;
    let steps_per_exchange = steps(document, ["torus", "steps_per_exchange"], given.steps_per_exchange)?.unwrap_or(1);
    let deadline_s = match given.deadline.as_deref() {
        None => DEADLINE_S,
        Some(text) => duration(text)
            .ok_or_else(|| document.wrong(&["torus", "deadline"], format!("`{text}` is no duration; {DURATIONS}")))?,
    };
    Ok(Torus { ranks, steps_per_exchange, deadline_s })
}

/// Settings of data-center mode.
pub(super) fn datacenter(
    document: &Document,
    given: &schema::Datacenter,
    grid: &Grid,
    checkpoint: &Checkpoint,
) -> Result<Datacenter, JobError> {
    let blocks = parts(document, ["datacenter", "blocks"], given.blocks.as_deref(), grid)?;
    let steps_per_round = steps(document, ["datacenter", "steps_per_round"], given.steps_per_round)?;
    let path = ["datacenter", "snapshot_every"];
    let snapshot_every = match given.snapshot_every.as_deref() {
        None => None,
        Some(text) => match (every(document, &path, text)?, checkpoint.every) {
            (Every::Seconds(_) | Every::Auto { .. }, _) => {
                return Err(
                    document.wrong(&path, format!("`{text}`: snapshots are counted in steps; write \"N steps\""))
                );
            }
            (Every::Steps(steps), Some(Every::Steps(kept))) if !kept.is_multiple_of(steps) => {
                let problem = format!("{steps} steps do not divide the {kept} steps between checkpoints");
                return Err(document.wrong(&path, problem));
            }
            (Every::Steps(steps), _) => Some(steps),
        },
    };
    let path = ["datacenter", "lease"];
    let lease_s = match given.lease.as_deref() {
        None => LEASE_S,
        Some(text) => duration(text)
            .filter(|lease| (SHORTEST_LEASE_S..=86400.0).contains(lease))
            .ok_or_else(|| document.wrong(&path, format!("`{text}`: give a time from \"0.5 s\" to \"24 h\"")))?,
    };
    Ok(Datacenter { blocks, steps_per_round, snapshot_every, lease_s })
}

/// A number of steps that one halo serves.
fn steps(document: &Document, path: [&str; 2], given: Option<u64>) -> Result<Option<usize>, JobError> {
    let Some(steps) = given else { return Ok(None) };
    if !(1..=MOST_STEPS_PER_EXCHANGE).contains(&steps) {
        let problem = format!("{steps} steps; give 1 to {MOST_STEPS_PER_EXCHANGE} steps between two exchanges");
        return Err(document.wrong(&path, problem));
    }
    usize::try_from(steps).map(Some).map_err(|_| document.wrong(&path, "too many"))
}

/// Parts along each axis of the grid.
fn parts(
    document: &Document,
    [table, key]: [&str; 2],
    given: Option<&[u64]>,
    grid: &Grid,
) -> Result<Option<Vec<usize>>, JobError> {
    let Some(given) = given else { return Ok(None) };
    axes::check_length(document, &[table, key], given.len(), grid.axes)?;
    let mut product: u64 = 1;
    let mut parts = Vec::new();
    for (at, (&count, &points)) in given.iter().zip(grid.own(&grid.points)).enumerate() {
        let fitting = usize::try_from(count).ok().filter(|count| (1..=points).contains(count));
        parts.push(fitting.ok_or_else(|| {
            let problem = format!("{count} {key} along an axis of {points} points; give 1 to {points}");
            document.wrong(&[table, key, &at.to_string()], problem)
        })?);
        product = product
            .checked_mul(count)
            .filter(|&parts| parts <= 1 << 31)
            .ok_or_else(|| document.wrong(&[table, key], format!("more than 2^31 {key}; give fewer")))?;
    }
    Ok(Some(parts))
}

const DURATIONS: &str = "write \"N s\", \"N min\" or \"N h\", such as \"10 min\"";

/// When something is due: `"N steps"`, or a duration.
pub(super) fn every(document: &Document, path: &[&str], text: &str) -> Result<Every, JobError> {
    let (number, unit) = split_unit(text);
    if unit == "steps" || unit == "step" {
        let steps = number.parse::<u64>().ok().filter(|steps| (1..=MOST_STEPS).contains(steps));
        let problem = || format!("`{text}`: give a whole number of steps, at least 1");
        return steps.map(Every::Steps).ok_or_else(|| document.wrong(path, problem()));
    }
    let problem = || format!("`{text}` is no interval; write \"N steps\", \"N s\", \"N min\" or \"N h\"");
    duration(text).map(Every::Seconds).ok_or_else(|| document.wrong(path, problem()))
}

/// Seconds of a duration such as `10 min`, above 0.
fn duration(text: &str) -> Option<f64> {
    let (number, unit) = split_unit(text);
    let scale = match unit {
        "s" => 1.0,
        "min" => 60.0,
        "h" => 3600.0,
        _ => return None,
    };
    let seconds = number.parse::<f64>().ok()? * scale;
    (seconds > 0.0 && seconds <= LONGEST_S).then_some(seconds)
}

fn split_unit(text: &str) -> (&str, &str) {
    let text = text.trim();
    let end = text.trim_end_matches(|c: char| c.is_ascii_alphabetic()).len();
    (text[..end].trim_end(), &text[end..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_intervals() {
        assert_eq!(duration("10 min"), Some(600.0));
        assert_eq!(duration(" 1.5h "), Some(5400.0));
        assert_eq!(duration("2s"), Some(2.0));
        for text in ["", "10", "min", "-1 s", "0 s", "nan s", "inf h", "1 d", "1 min 2 s", "1e300 h"] {
            assert_eq!(duration(text), None, "{text}");
        }
        let document = Document::new("", Path::new("job.toml"), &[]).unwrap();
        let every = |text| every(&document, &["every"], text).ok();
        assert_eq!(every("200 steps"), Some(Every::Steps(200)));
        assert_eq!(every("1 step"), Some(Every::Steps(1)));
        assert_eq!(every("90 s"), Some(Every::Seconds(90.0)));
        for text in ["0 steps", "-1 steps", "1.5 steps", "steps", "often", "99999999999999999999 steps"] {
            assert_eq!(every(text), None, "{text}");
        }
    }
}
