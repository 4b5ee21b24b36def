//! The line plot of a grid with one axis.
//!
//! Input: a picture of one row. Output: its sheet; the plot on it has one size, however many points there are.
//! Invariant: the line stays inside the plot and breaks where a value is missing. Of many points that share a pixel
//! column the first, lowest, highest and last stay, and the first that is missing, so that no extreme is lost.

use super::axes::{self, MARGIN, Scale};
use super::canvas::{Canvas, FRAME, Frame, NO_VALUE, Rgb};
use super::text::Type;
use super::{Picture, range};

/// Width and height of the plot.
const SIZE: (usize, usize) = (900, 480);
/// Half the width of the line, in pixels.
const HALF: f64 = 1.1;
/// Radius of a point that no line reaches.
const DOT: f64 = 4.0;
/// Share of the height left free above and below the line.
const FREE: f64 = 0.05;

/// Draws `picture`.
pub(super) fn draw(picture: &Picture) -> Canvas {
    let letters = Type::new();
    let (width, height) = SIZE;
    let (low, high) = range(picture);
    let free = if picture.range.is_some() { 0.0 } else { FREE * (high - low) };
    let value_scale = Scale::new(low - free, high + free, false, (height, 56));
    let place_scale = Scale::level(&letters, &picture.col_axis, picture.cols, width);

    let left = axes::left(&letters, &value_scale);
    let frame = Frame { x: left, y: axes::top(picture), width, height };
    let full = left + width + MARGIN + 14;
    let mut canvas = Canvas::new(full, frame.y + height + axes::bottom());
    axes::rules(&mut canvas, frame, &place_scale, &value_scale);
    shade_gaps(&mut canvas, frame, &picture.values);
    line(&mut canvas, frame, &points(picture, &value_scale), picture.colors.table().at(0.3));
    canvas.outline(frame, FRAME);

    axes::title(&mut canvas, &letters, picture, (left, full - left - MARGIN));
    let axis = &picture.col_axis;
    axes::level(&mut canvas, &letters, frame, &place_scale, &place_scale.ticks.caption(&axis.name, &axis.unit));
    let caption = value_scale.ticks.caption(&picture.label, &picture.unit);
    axes::upright(&mut canvas, &letters, frame, &value_scale, &caption);
    canvas
}

/// Corners of the line in pixels from the lower left of the plot; `None` where it breaks. Of many points that share
/// a pixel column, only the first, lowest, highest and last remain.
#[allow(clippy::cast_precision_loss, reason = "an axis has far fewer than 2^53 points")]
fn points(picture: &Picture, scale: &Scale) -> Vec<Option<(f64, f64)>> {
    let (width, height) = SIZE;
    let point = |(count, &value): (usize, &f64)| {
        let share = scale.share(value).clamp(0.0, 1.0);
        value.is_finite().then(|| ((count as f64 + 0.5) / picture.cols as f64 * width as f64, share * height as f64))
    };
    let all = picture.values.iter().enumerate().map(point);
    if picture.cols <= 4 * width {
        return all.collect();
    }
    let all: Vec<_> = all.collect();
    let mut kept = Vec::new();
    for column in all.chunks(picture.cols.div_ceil(width)) {
        let height_of = |at: &usize| column[*at].map(|point| point.1);
        let found: Vec<usize> = (0..column.len()).filter(|&at| column[at].is_some()).collect();
        let order = |a: &usize, b: &usize| height_of(a).partial_cmp(&height_of(b)).unwrap_or(std::cmp::Ordering::Equal);
        let lowest = found.iter().copied().min_by(order);
        let highest = found.iter().copied().max_by(order);
        let gap = (0..column.len()).find(|&at| column[at].is_none());
        let mut ends: Vec<usize> =
            [Some(0), lowest, highest, gap, Some(column.len() - 1)].into_iter().flatten().collect();
        ends.sort_unstable();
        ends.dedup();
        kept.extend(ends.into_iter().map(|at| column[at]));
    }
    kept
}

/// Greys the columns of points that have no value.
fn shade_gaps(canvas: &mut Canvas, frame: Frame, values: &[f64]) {
    for x in 0..frame.width {
        let at = x * values.len() / frame.width;
        if !values[at].is_finite() {
            canvas.fill(Frame { x: frame.x + x, width: 1, ..frame }, NO_VALUE);
        }
    }
}

/// Draws the line through `points`, smoothed; a point without neighbours is a dot.
#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a few hundred pixels"
)]
fn line(canvas: &mut Canvas, frame: Frame, points: &[Option<(f64, f64)>], color: Rgb) {
    let mut cover = vec![0.0_f32; frame.width * frame.height];
    for (at, &to) in points.iter().enumerate() {
        let Some(to) = to else { continue };
        let from = at.checked_sub(1).and_then(|before| points[before]).unwrap_or(to);
        let alone = from == to && points.get(at + 1).is_none_or(Option::is_none);
        let half = if alone { DOT } else { HALF };
        let (near, far) = if from.0 < to.0 { (from.0, to.0) } else { (to.0, from.0) };
        let (low, high) = if from.1 < to.1 { (from.1, to.1) } else { (to.1, from.1) };
        let reach = |from: f64, to: f64, most: usize| {
            (from - half - 1.0).floor().clamp(0.0, most as f64) as usize
                ..(to + half + 2.0).ceil().clamp(0.0, most as f64) as usize
        };
        for y in reach(low, high, frame.height) {
            for x in reach(near, far, frame.width) {
                let apart = distance((x as f64 + 0.5, y as f64 + 0.5), from, to);
                let here = (half + 0.5 - apart).clamp(0.0, 1.0) as f32;
                let pixel = &mut cover[y * frame.width + x];
                if here > *pixel {
                    *pixel = here;
                }
            }
        }
    }
    for (at, &share) in cover.iter().enumerate().filter(|(_, share)| **share > 0.0) {
        let (x, y) = (at % frame.width, at / frame.width);
        canvas.blend(axes::at(frame.x + x), axes::at(frame.y + frame.height - 1 - y), color, share);
    }
}

/// Distance of `point` from the stretch between `from` and `to`.
fn distance(point: (f64, f64), from: (f64, f64), to: (f64, f64)) -> f64 {
    let along = (to.0 - from.0, to.1 - from.1);
    let toward = (point.0 - from.0, point.1 - from.1);
    let square = along.0 * along.0 + along.1 * along.1;
    let share = if square > 0.0 { ((toward.0 * along.0 + toward.1 * along.1) / square).clamp(0.0, 1.0) } else { 0.0 };
    libm::hypot(toward.0 - share * along.0, toward.1 - share * along.1)
}
