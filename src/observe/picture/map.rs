//! The map of a plane: its values as colours, with a colour bar.
//!
//! Input: a picture of any rows but one. Output: its sheet; the map on it has at most 1,200 by 900 pixels, however
//! large the plane. Invariant: row 0 lies at the bottom; map and bar take their colours from one table by one scale,
//! so that a colour means the same in both. What is not finite is grey, whatever the table.

use super::axes::{self, GAP, MARGIN, NAMES, NUMBERS, Scale, TICK, at};
use super::canvas::{Canvas, FRAME, Frame, INK, NO_VALUE, PALE_INK};
use super::colors::Table;
use super::resample::resample;
use super::text::{Anchor, Type};
use super::{Picture, extremes, range};

/// Widest and highest map.
const MOST: (usize, usize) = (1200, 900);
/// Longer side of maps of small grids.
const USUAL: usize = 800;
/// Shortest side where axes need not have one measure.
const LEAST: usize = 180;
/// Width of the colour bar, and its distance from the map.
const BAR: usize = 24;
const APART: usize = 26;
/// Height of the tips that say that values lie beyond the bar.
const TIP: usize = 13;

/// Draws `picture`.
pub(super) fn draw(picture: &Picture) -> Canvas {
    let letters = Type::new();
    let (width, height) = size(picture);
    let col_scale = Scale::level(&letters, &picture.col_axis, picture.cols, width);
    let row_scale = Scale::of(&picture.row_axis, picture.rows, (height, 76));
    let (low, high) = range(picture);
    let bar_scale = Scale::new(low, high, false, (height, 62));

    let left = axes::left(&letters, &row_scale);
    let right = APART + BAR + TICK + GAP / 2 + bar_scale.widest(&letters) + 2 * GAP + 16 + MARGIN;
    let title_room = axes::title_width(&letters, picture).min(MOST.0);
    let full = (left + width + right).max(left + title_room + MARGIN);
    let frame = Frame { x: left, y: axes::top(picture), width, height };
    let mut canvas = Canvas::new(full, frame.y + height + axes::bottom());

    let table = picture.colors.table();
    let pixels = resample(&picture.values, (picture.rows, picture.cols), (height, width));
    for (y, row) in pixels.chunks(width).rev().enumerate() {
        for (x, &value) in row.iter().enumerate() {
            let color = if value.is_finite() { table.at(bar_scale.share(value)) } else { NO_VALUE };
            canvas.set(frame.x + x, frame.y + y, color);
        }
    }
    canvas.outline(frame, FRAME);
    axes::title(&mut canvas, &letters, picture, (left, full - left - MARGIN));
    let caption = |scale: &Scale, axis: &super::AxisLabel| scale.ticks.caption(&axis.name, &axis.unit);
    axes::level(&mut canvas, &letters, frame, &col_scale, &caption(&col_scale, &picture.col_axis));
    axes::upright(&mut canvas, &letters, frame, &row_scale, &caption(&row_scale, &picture.row_axis));
    let bar = Frame { x: frame.x + width + APART, width: BAR, ..frame };
    draw_bar(&mut canvas, &letters, picture, (bar, &bar_scale, &table));
    canvas
}

/// Width and height of the map in pixels.
fn size(picture: &Picture) -> (usize, usize) {
    let (rows, cols) = (picture.rows, picture.cols);
    let (down, across) = (&picture.row_axis, &picture.col_axis);
    let one_measure = down.unit == across.unit || [down, across].iter().all(|axis| axis.unit.starts_with("degree"));
    #[allow(clippy::cast_precision_loss, reason = "an axis has far fewer than 2^53 points")]
    let (wide, high) = (cols as f64 * across.spacing.abs(), rows as f64 * down.spacing.abs());
    let ratio = wide / high;
    if !one_measure || !(0.2..=6.0).contains(&ratio) {
        return (enlarged(cols, 900, MOST.0), enlarged(rows, 560, MOST.1));
    }
    if let Some(size) = whole_pixels((rows, cols), down.spacing.abs() / across.spacing.abs()) {
        return size;
    }
    let most = if rows.max(cols) < USUAL { (900, 760) } else { MOST };
    fitted(ratio, most)
}

/// The largest size in which each cell has whole pixels both ways, and very nearly the shape that `tall`, its height
/// over its width, asks for.
#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few pixels")]
fn whole_pixels((rows, cols): (usize, usize), tall: f64) -> Option<(usize, usize)> {
    let size = |wide: usize| {
        let high = (wide as f64 * tall).round();
        let even = (high / (wide as f64 * tall) - 1.0).abs() < 0.01;
        even.then(|| (cols.saturating_mul(wide), rows.saturating_mul(high as usize)))
    };
    let within = |most: (usize, usize)| move |size: &(usize, usize)| size.0 <= most.0 && size.1 <= most.1;
    let sizes = || (1..=USUAL).rev().filter_map(size);
    sizes().find(within((USUAL, USUAL))).or_else(|| size(1).filter(within(MOST)))
}

/// The largest width and height of this `ratio` within `most`.
#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a few thousand pixels"
)]
fn fitted(ratio: f64, most: (usize, usize)) -> (usize, usize) {
    let (wide, high) = (most.0 as f64, most.1 as f64);
    let (wide, high) = if wide / high < ratio { (wide, wide / ratio) } else { (high * ratio, high) };
    ((wide.round() as usize).max(1), (high.round() as usize).max(1))
}

/// Pixels for `points` points: a multiple up to `usual`, else up to `most`.
fn enlarged(points: usize, usual: usize, most: usize) -> usize {
    let pixels = if points <= usual { points * (usual / points) } else { points.min(most) };
    pixels.max(LEAST)
}

/// Draws the colour bar in `bar`, with its ticks, its name, and tips where values lie beyond its ends.
fn draw_bar(canvas: &mut Canvas, letters: &Type, picture: &Picture, (bar, scale, table): (Frame, &Scale, &Table)) {
    #[allow(clippy::cast_precision_loss, reason = "a few hundred pixels")]
    for y in 0..bar.height {
        let share = 1.0 - (y as f64 + 0.5) / bar.height as f64;
        canvas.fill(Frame { y: bar.y + y, height: 1, ..bar }, table.at(share));
    }
    canvas.outline(bar, FRAME);
    let right = bar.x + bar.width + 1;
    for (place, number) in scale.places(bar.height) {
        let y = bar.y + bar.height - 1 - place;
        canvas.fill(Frame { x: right, y, width: TICK, height: 1 }, FRAME);
        let start = (at(right + TICK + GAP / 2), at(y) + NUMBERS.capitals() / 2);
        letters.write(canvas, number, start, Anchor::Start, (NUMBERS, INK));
    }
    let baseline = right + TICK + GAP / 2 + scale.widest(letters) + GAP;
    let caption = letters.fitted(&scale.ticks.caption(&picture.label, &picture.unit), NAMES, bar.height + 60);
    let middle = (at(baseline) + NAMES.capitals() + 2, at(bar.y + bar.height / 2));
    letters.write_up(canvas, &caption, middle, Anchor::Middle, (NAMES, INK));

    let beyond = picture.range.zip(extremes(&picture.values));
    if beyond.is_some_and(|(range, found)| found.1 > range.1) {
        tip(canvas, bar, table, true);
    }
    if beyond.is_some_and(|(range, found)| found.0 < range.0) {
        tip(canvas, bar, table, false);
    }
    if picture.values.iter().any(|value| !value.is_finite()) {
        let swatch = Frame { y: bar.y + bar.height + 26, height: 12, ..bar };
        canvas.fill(swatch, NO_VALUE);
        canvas.outline(swatch, FRAME);
        let start = (at(right + TICK + GAP / 2), at(swatch.y) + 11);
        letters.write(canvas, "no value", start, Anchor::Start, (NUMBERS, PALE_INK));
    }
}

/// Turns one end of the bar into a tip.
fn tip(canvas: &mut Canvas, bar: Frame, table: &Table, upper: bool) {
    let color = table.at(if upper { 1.0 } else { 0.0 });
    let middle = bar.x + bar.width / 2;
    for line in 0..TIP {
        let half = ((bar.width / 2 + 1) * (TIP - line) / TIP).max(1);
        let y = if upper { bar.y - 1 - line } else { bar.y + bar.height + line };
        canvas.fill(Frame { x: middle - half, y, width: 2 * half, height: 1 }, FRAME);
        canvas.fill(Frame { x: middle - half + 1, y, width: 2 * half - 2, height: 1 }, color);
    }
}
