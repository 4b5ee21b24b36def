//! The report as a page: one file, drawings within it, no address outside it, legible without colour.
//!
//! Input: the outcome, and what was asked for. Output: HTML. Invariant: the page needs neither network nor script,
//! and each text that comes from outside (job, command, host, processor, launcher) goes through `plain`.

use std::fmt::Write;

use super::model::Model;
use super::report::{Carried, Kind, Shares, again, assumptions, carry, kinds, shares, words};
use super::trial::Trial;
use super::{Mode, Outcome, Request, larger, smaller};

/// Points of a curve.
const POINTS: usize = 40;
/// Width of a drawing in its own units, and of its left and right margins.
const WIDTH: f64 = 480.0;
const LEFT: f64 = 54.0;
const RIGHT: f64 = 12.0;

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;color:#1a1a1a;background:#fff;max-width:800px;margin:0 auto;padding:12px}
h1{font-size:1.5em;line-height:1.2;overflow-wrap:anywhere}h2{font-size:1.15em;margin-top:1.8em}svg{width:100%;height:auto;max-width:720px;display:block}
table{border-collapse:collapse;font-size:.875em}th,td{padding:3px 8px;text-align:right;border-bottom:1px solid #ccc}td{white-space:nowrap}
th:first-child,td:first-child{text-align:left}
@media(max-width:640px){table,tbody,tr,td{display:block}thead{display:none}tr{border-bottom:1px solid #777;padding:6px 0}
td,td:first-child{display:flex;justify-content:space-between;border:0;padding:1px 0;text-align:right}td::before{content:attr(data-name);padding-right:1em}td:first-child{font-weight:bold}}
code{font-size:.8em;overflow-wrap:anywhere}text{font:12px system-ui,sans-serif;fill:#1a1a1a}@media(max-width:640px){text{font-size:15px}}";

/// `text` with what means something in HTML spelt out.
fn plain(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// The page.
#[must_use]
pub fn page(outcome: &Outcome, request: &Request) -> String {
    let kinds = kinds(&outcome.trials);
    let job = plain(&request.job.file_name().unwrap_or_default().to_string_lossy());
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>Ringfort: {job} under failures</title><style>{STYLE}</style></head><body>\n\
         <h1>Supercomputer or data center: {job} under failures</h1>\n"
    );
    for sentence in words(outcome, request) {
        push(&mut page, format!("<p>{}</p>", plain(&sentence)));
    }
    push(&mut page, "<p>All runs, disturbed or not, in either mode, ended with the same bits.</p>".into());
    push(&mut page, "<h2>Time to the end against failures</h2>".into());
    push(&mut page, plot(outcome, request));
    push(&mut page, "<p>Circles: torus mode, restarted after each kill. Squares: data-center mode. Each is one run; filled ones were \
        not disturbed. Line: Daly's expected time in torus mode; grey: where nine of ten runs end by the fitted model. Dashes: torus \
        mode without checkpoints.</p>".into());
    push(&mut page, format!("<h2>Medians, runs of each kind: {}</h2>", request.repeats));
    push(&mut page, medians(&kinds));
    push(&mut page, "<p>In brackets: the fastest and the slowest. Steps lost were computed again; by survivors: block steps that a \
        worker computed again of a block that it had never lost.</p>".into());
    push(&mut page, "<h2>Where undisturbed runs spend their time</h2>".into());
    push(&mut page, spent(&shares(&outcome.trials)));
    push(&mut page, "<h2>Each run in time</h2>".into());
    push(&mut page, strips(&outcome.trials));
    push(&mut page, "<p>Grey: processes run. Hatched: steps that were lost and done again. Gaps: nothing runs, the repair. Lines with a \
        cross: kills.</p>".into());
    push(&mut page, "<h2>The model against the runs</h2>".into());
    push(&mut page, predictions(outcome));
    push(&mut page, "<h2>On other machines</h2>".into());
    push(&mut page, machines(&carry(&outcome.model, &kinds, request)));
    let list = assumptions(request).iter().fold(String::new(), |list, one| list + &format!("<li>{}</li>", plain(one)));
    push(&mut page, format!("<p>Assumed:</p><ul>{list}</ul>"));
    push(&mut page, "<h2>To repeat it</h2>".into());
    push(&mut page, format!("<p><code>{}</code></p>", plain(&again(request))));
    let first = outcome.trials.first().map(|trial| &trial.record);
    let word = |key: &str| first.and_then(|record| record[key].as_str()).unwrap_or("unknown").to_owned();
    let cpu = first.and_then(|record| record["cpu"]["model"].as_str()).unwrap_or("unknown processor");
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    push(
        &mut page,
        format!(
            "<p>Ringfort {} on {}, {} cores of {}; {}; seed {}.</p>",
            env!("CARGO_PKG_VERSION"),
            plain(&word("host")),
            cores,
            plain(cpu),
            plain(&outcome.launcher),
            request.seed,
        ),
    );
    push(&mut page, "</body></html>".into());
    page
}

fn push(page: &mut String, part: String) {
    page.push_str(&part);
    page.push('\n');
}

fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let names = head.iter().fold(String::new(), |line, name| line + &format!("<th>{}</th>", plain(name)));
    // Each cell knows its column: on a narrow screen a row becomes a list of names and values.
    let cells = |row: &[String]| {
        let named = row.iter().zip(head);
        named.fold(String::new(), |line, (cell, name)| {
            line + &format!("<td data-name=\"{}\">{}</td>", plain(name), plain(cell))
        })
    };
    let rows = rows.iter().fold(String::new(), |all, row| all + &format!("<tr>{}</tr>\n", cells(row)));
    format!("<table><thead><tr>{names}</tr></thead><tbody>\n{rows}</tbody></table>")
}

fn every(mtbf_s: Option<f64>) -> String {
    mtbf_s.map_or_else(|| "never".into(), |mtbf_s| format!("{mtbf_s} s"))
}

fn medians(kinds: &[Kind]) -> String {
    let row = |kind: &Kind| {
        vec![
            kind.mode.name().to_owned(),
            every(kind.mtbf_s),
            format!("{:.2} ({:.2} to {:.2})", kind.seconds, kind.range_s.0, kind.range_s.1),
            format!("{:.1}", kind.kills),
            format!("{:.0}", kind.lost_steps),
            kind.by_survivors.map_or_else(|| "-".into(), |steps| format!("{steps:.0}")),
            kind.recovered_s.map_or_else(|| "-".into(), |seconds| format!("{seconds:.2}")),
            format!("{:.0}", kind.peak_bytes / 1e6),
        ]
    };
    let head = ["mode", "killed every", "seconds", "kills", "steps lost", "by survivors", "recovery, s", "memory, MB"];
    table(&head, &kinds.iter().map(row).collect::<Vec<_>>())
}

fn spent(shares: &[Shares]) -> String {
    let percent = |part: f64| format!("{:.1} %", part * 100.0);
    let row = |one: &Shares| {
        vec![
            one.mode.name().to_owned(),
            percent(one.compute),
            one.halo_wait.map_or_else(|| "-".into(), percent),
            one.blocking.map_or_else(|| "-".into(), percent),
            format!("{:.3}", one.halo_bytes / 1e9),
            format!("{:.3}", one.checkpoint_bytes / 1e9),
        ]
    };
    let head = ["mode", "computing", "waiting for halos", "held up by checkpoints", "halos, GB", "checkpoints, GB"];
    format!(
        "{}<p>The rest is starts, ends, and in data-center mode the handling of shells. There a thread that lacks a shell turns to \
         another block, and snapshots are stored beside the steps, so that nothing is waited for that could be told apart.</p>",
        table(&head, &shares.iter().map(row).collect::<Vec<_>>())
    )
}

fn predictions(outcome: &Outcome) -> String {
    let Model { step_s, start_s, restart_s, blocking_s, flush_s, notice_s, repair_s, .. } = outcome.model;
    let rows: Vec<Vec<String>> = outcome
        .trials
        .iter()
        .filter_map(|trial| {
            let predicted = trial.predicted_s?;
            Some(vec![
                trial.name(),
                format!("{:.2}", trial.seconds),
                format!("{predicted:.2}"),
                format!("{:+.1} %", (trial.seconds / predicted - 1.0) * 100.0),
            ])
        })
        .collect();
    format!(
        "<p>Fitted: a step {:.3} ms, a start {start_s:.2} s, a restart {restart_s:.2} s, a checkpoint holds the steps up for {:.1} ms and \
         counts after {flush_s:.2} s, a kill is noticed after {notice_s:.2} s, the repair takes {repair_s} s. Each run's own kills \
         replayed through that, its steps at the pace at which it stepped itself:</p>{}",
        step_s * 1e3,
        blocking_s * 1e3,
        table(&["run", "measured, s", "model, s", "off by"], &rows),
    )
}

fn machines(carried: &[Carried]) -> String {
    let times = |value: f64| match value {
        _ if value.is_nan() => "not measured".into(),
        _ if value < 1e4 => format!("{value:.3}"),
        _ => "never ends".into(),
    };
    let row = |one: &Carried| {
        vec![format!("{}", one.nodes), format!("{:.0}", one.mtbf_s), times(one.torus), times(one.datacenter)]
    };
    let head = ["nodes", "a failure every, s", "torus mode", "data-center mode"];
    let rows: Vec<Vec<String>> = carried.iter().map(row).collect();
    format!(
        "<p>Time to the end, as a multiple of the time that the steps alone take in torus mode:</p>{}",
        table(&head, &rows)
    )
}

/// Maps of values to places in a drawing.
struct Axes {
    x: f64,
    y: (f64, f64),
    height: f64,
}

impl Axes {
    fn x(&self, value: f64) -> f64 {
        LEFT + value / self.x * (WIDTH - LEFT - RIGHT)
    }

    fn y(&self, value: f64) -> f64 {
        let (low, high) = self.y;
        let part = larger((smaller(value, high) - low) / (high - low), 0.0);
        10.0 + (1.0 - part) * (self.height - 48.0)
    }
}

/// A round step that gives four to eight marks up to `most`.
fn round_step(most: f64) -> f64 {
    let mut step = 1e-3;
    loop {
        for times in [1.0, 2.0, 5.0] {
            if most / (step * times) <= 8.0 {
                return step * times;
            }
        }
        step *= 10.0;
    }
}

fn plot(outcome: &Outcome, request: &Request) -> String {
    let model = &outcome.model;
    let whole = model.undisturbed_s();
    let most = request.mtbf_s.iter().map(|mtbf_s| whole / mtbf_s).fold(0.1, larger) * 1.15;
    let rates: Vec<f64> = (1..=POINTS).map(|at| most * at as f64 / POINTS as f64).collect();
    let bands: Vec<(f64, f64)> = rates.iter().map(|rate| model.band_s(whole / rate, request.seed)).collect();
    let slowest = outcome.trials.iter().map(|trial| trial.seconds / whole).fold(1.0, larger);
    let high = bands.iter().map(|band| band.1 / whole).filter(|value| value.is_finite()).fold(slowest, larger);
    let fastest = outcome.trials.iter().map(|trial| trial.seconds / whole).fold(1.0, smaller);
    let height = 320.0;
    let axes = Axes { x: most, y: (larger(fastest - 0.05, 0.0), smaller(high * 1.05, slowest * 2.0)), height };
    let mut svg = frame(&axes, "failures on average in the time of an undisturbed run", "time / undisturbed torus run");
    let upper = rates.iter().zip(&bands).map(|(rate, band)| (axes.x(*rate), axes.y(band.1 / whole)));
    let lower = rates.iter().zip(&bands).rev().map(|(rate, band)| (axes.x(*rate), axes.y(band.0 / whole)));
    let start = [(axes.x(0.0), axes.y(1.0))];
    let _ =
        write!(svg, "<polygon points=\"{}\" fill=\"#d9d9d9\"/>", points(start.into_iter().chain(upper).chain(lower)));
    let daly = rates.iter().map(|rate| (axes.x(*rate), axes.y(model.daly_s(whole / rate) / whole)));
    let _ = write!(
        svg,
        "<polyline points=\"{}\" fill=\"none\" stroke=\"#1f4e9c\" stroke-width=\"2\"/>",
        points(start.into_iter().chain(daly))
    );
    for trial in &outcome.trials {
        let (x, y) = (axes.x(trial.mtbf_s.map_or(0.0, |mtbf_s| whole / mtbf_s)), axes.y(trial.seconds / whole));
        let fill = if trial.mode.failing() { "#fff" } else { "#1a1a1a" };
        let _ = match trial.mode {
            Mode::Floor => write!(
                svg,
                "<line x1=\"{LEFT}\" y1=\"{y:.1}\" x2=\"{:.1}\" y2=\"{y:.1}\" stroke=\"#777\" stroke-dasharray=\"2 4\"/>",
                WIDTH - RIGHT
            ),
            Mode::Torus | Mode::TorusFailing => write!(
                svg,
                "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4.5\" fill=\"{fill}\" stroke=\"#1f4e9c\" stroke-width=\"2\"/>"
            ),
            Mode::Datacenter | Mode::DatacenterFailing => write!(
                svg,
                "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"9\" height=\"9\" fill=\"{fill}\" stroke=\"#b3540a\" stroke-width=\"2\"/>",
                x - 4.5,
                y - 4.5
            ),
        };
    }
    svg + "</svg>"
}

fn points(all: impl Iterator<Item = (f64, f64)>) -> String {
    all.map(|(x, y)| format!("{x:.1},{y:.1}")).collect::<Vec<_>>().join(" ")
}

/// The beginning of a drawing: marks along both axes and what they mean.
fn frame(axes: &Axes, below: &str, beside: &str) -> String {
    let (height, bottom) = (axes.height, axes.height - 38.0);
    let mut svg =
        format!("<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"{beside} against {below}\">");
    let step = round_step(axes.x);
    for at in (0..=8).map(|count| f64::from(count) * step).take_while(|at| *at <= axes.x * 1.0001) {
        let x = axes.x(at);
        let _ = write!(
            svg,
            "<line x1=\"{x:.1}\" y1=\"{bottom}\" x2=\"{x:.1}\" y2=\"{}\" stroke=\"#1a1a1a\"/><text x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
            bottom + 4.0,
            bottom + 17.0,
            short(at)
        );
    }
    let step = round_step(axes.y.1 - axes.y.0);
    let first = (axes.y.0 / step).ceil();
    for at in (0..=9).map(|count| (first + f64::from(count)) * step).take_while(|at| *at <= axes.y.1) {
        let y = axes.y(at);
        let _ = write!(
            svg,
            "<line x1=\"{LEFT}\" y1=\"{y:.1}\" x2=\"{}\" y2=\"{y:.1}\" stroke=\"#e3e3e3\"/><text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            WIDTH - RIGHT,
            LEFT - 5.0,
            y + 4.0,
            short(at)
        );
    }
    let _ = write!(
        svg,
        "<line x1=\"{LEFT}\" y1=\"{bottom}\" x2=\"{}\" y2=\"{bottom}\" stroke=\"#1a1a1a\"/><text x=\"{}\" y=\"{}\" text-anchor=\"middle\">{below}</text><text transform=\"translate(14 {}) rotate(-90)\" text-anchor=\"middle\">{beside}</text>",
        WIDTH - RIGHT,
        (LEFT + WIDTH - RIGHT) / 2.0,
        height - 5.0,
        bottom / 2.0
    );
    svg
}

/// A mark's number without the noise of its last places.
fn short(value: f64) -> String {
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A strip for each run, along one axis of time.
fn strips(trials: &[Trial]) -> String {
    let longest = trials.iter().map(|trial| trial.seconds).fold(1e-3, larger);
    let (row, top) = (30.0, 4.0);
    let height = top + row * trials.len() as f64 + 22.0;
    let left = 4.0;
    let x = |at: f64| left + at / longest * (WIDTH - left - RIGHT);
    let mut svg = format!(
        "<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"strips of time\"><defs><pattern id=\"lost\" width=\"5\" height=\"5\" \
         patternUnits=\"userSpaceOnUse\" patternTransform=\"rotate(45)\"><rect width=\"5\" height=\"5\" fill=\"#fff\"/><rect width=\"2\" \
         height=\"5\" fill=\"#b3540a\"/></pattern></defs>"
    );
    for (number, trial) in trials.iter().enumerate() {
        let y = top + row * number as f64;
        let _ = write!(
            svg,
            "<text x=\"{left}\" y=\"{:.1}\">{}: {:.1} s</text>",
            y + 11.0,
            plain(&trial.name()),
            trial.seconds
        );
        let bar = |from: f64, to: f64, fill: &str| {
            format!(
                "<rect x=\"{:.2}\" y=\"{:.1}\" width=\"{:.2}\" height=\"9\" fill=\"{fill}\"/>",
                x(from),
                y + 15.0,
                larger(x(to) - x(from), 0.3)
            )
        };
        let last = trial.attempts.len().saturating_sub(1);
        for (at, attempt) in trial.attempts.iter().enumerate() {
            svg += &bar(attempt.from_s, attempt.to_s, "#9a9a9a");
            if at < last {
                let kept = attempt.saved.last().map_or(attempt.from_s, |saved| saved.at_s - saved.write_s);
                svg += &bar(kept, attempt.to_s, "url(#lost)");
            }
        }
        for kill in trial.kills.iter().filter(|kill| kill.hit) {
            let at = x(kill.at_s);
            let _ = write!(
                svg,
                "<path d=\"M{at:.2} {:.1}v10m-4 -9l8 8m0 -8l-8 8\" stroke=\"#000\" stroke-width=\"1.5\" fill=\"none\"/>",
                y + 14.5
            );
        }
    }
    let step = round_step(longest);
    let bottom = height - 18.0;
    for at in (0..=8).map(|count| f64::from(count) * step).take_while(|at| *at <= longest) {
        let anchor = if at == 0.0 { "start" } else { "middle" };
        let _ = write!(
            svg,
            "<line x1=\"{0:.1}\" y1=\"{bottom}\" x2=\"{0:.1}\" y2=\"{1}\" stroke=\"#1a1a1a\"/><text x=\"{0:.1}\" y=\"{2}\" text-anchor=\"{anchor}\">{3} s</text>",
            x(at),
            bottom + 4.0,
            bottom + 16.0,
            short(at)
        );
    }
    svg + "</svg>"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_round_and_few() {
        for (most, step) in [(8.0, 1.0), (9.0, 2.0), (0.31, 0.05), (130.0, 20.0)] {
            assert!((round_step(most) - step).abs() < 1e-12, "{most}");
        }
        assert_eq!((short(1.0), short(0.25), short(0.1 + 0.2)), ("1".into(), "0.25".into(), "0.3".into()));
    }

    #[test]
    fn text_is_text() {
        assert_eq!(plain("<a href=\"x\">&"), "&lt;a href=&quot;x&quot;&gt;&amp;");
    }
}
