//! What surrounds the values: title, ticks and the names of the axes; and the pale rules behind a line.
//!
//! Input: a picture, scales, and the frame of the values. Output: pixels around the frame, and the room that they
//! take. Invariant: a point lies in the middle of its share of an axis, and shares rise to the right and upwards.
//! `left`, `top` and `bottom` give the room of what is drawn here, so they change with it. Titles and names are cut
//! to their room.

use super::canvas::{Canvas, FRAME, Frame, INK, PALE_INK, PAPER, RULES};
use super::text::{Anchor, Size, Type};
use super::ticks::{Ticks, ticks};
use super::{AxisLabel, Picture};

pub(super) const MARGIN: usize = 26;
pub(super) const TICK: usize = 6;
pub(super) const NUMBERS: Size = Size(14.0);
pub(super) const NAMES: Size = Size(16.0);
const TITLE: Size = Size(21.0);
const SUBTITLE: Size = Size(15.0);
/// Pixels between two texts that belong together.
pub(super) const GAP: usize = 9;
/// Height of a line of numbers and of a line of names.
const LINE: usize = 18;

/// An axis on the sheet: ticks, and the coordinates at the outer edges of the first and last pixel.
pub(super) struct Scale {
    pub(super) ticks: Ticks,
    from: f64,
    to: f64,
}

impl Scale {
    /// An axis from `from` to `to` on `pixels` pixels, with a tick about every `apart` pixels.
    pub(super) fn new(from: f64, to: f64, degrees: bool, (pixels, apart): (usize, usize)) -> Self {
        let (low, high) = if from < to { (from, to) } else { (to, from) };
        Self { ticks: ticks(low, high, (pixels / apart).max(2), degrees), from, to }
    }

    /// Axis of `points` points; each is in the middle of its share of the axis.
    #[allow(clippy::cast_precision_loss, reason = "an axis has far fewer than 2^53 points")]
    pub(super) fn of(axis: &AxisLabel, points: usize, room: (usize, usize)) -> Self {
        let from = axis.origin - 0.5 * axis.spacing;
        Self::new(from, from + axis.spacing * points as f64, axis.unit.starts_with("degree"), room)
    }

    /// Axis of `points` points along the lower edge, with a tick about every `apart` pixels and at least so many
    /// that numbers do not touch.
    pub(super) fn level(letters: &Type, axis: &AxisLabel, points: usize, pixels: usize) -> Self {
        let mut apart = 80;
        loop {
            let scale = Self::of(axis, points, (pixels, apart));
            if scale.widest(letters) + 16 <= apart || apart > pixels {
                return scale;
            }
            apart += 20;
        }
    }

    /// Share of the axis at `value`: 0 at its start, 1 at its end.
    pub(super) fn share(&self, value: f64) -> f64 {
        let span = self.to / 2.0 - self.from / 2.0;
        (value / 2.0 - self.from / 2.0) / span
    }

    /// Pixel at `share` of `pixels`, and the tick's number.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "a pixel")]
    pub(super) fn places(&self, pixels: usize) -> impl Iterator<Item = (usize, &str)> {
        self.ticks.marks.iter().map(move |(value, number)| {
            let place = (self.share(*value) * pixels as f64 - 0.5).round();
            ((place.clamp(0.0, pixels as f64 - 1.0)) as usize, number.as_str())
        })
    }

    /// Width of the widest number.
    pub(super) fn widest(&self, letters: &Type) -> usize {
        self.ticks.marks.iter().map(|mark| letters.width(&mark.1, NUMBERS)).max().unwrap_or(0)
    }
}

/// Room for what stands left of the frame: name, numbers and ticks of the upright axis.
pub(super) fn left(letters: &Type, upright: &Scale) -> usize {
    MARGIN + LINE + GAP + upright.widest(letters) + GAP / 2 + TICK
}

/// Room for the title.
pub(super) fn top(picture: &Picture) -> usize {
    let lines = picture.title.lines().count().min(3);
    MARGIN + if lines == 0 { 0 } else { 36 + 21 * (lines - 1) }
}

/// Room for what stands below the frame.
pub(super) fn bottom() -> usize {
    TICK + LINE + GAP + LINE + MARGIN - 8
}

/// Signed place of a pixel.
pub(super) fn at(pixel: usize) -> i64 {
    i64::try_from(pixel).unwrap_or(i64::MAX)
}

/// Writes the title from `x` on, at most `room` pixels wide.
pub(super) fn title(canvas: &mut Canvas, letters: &Type, picture: &Picture, (x, room): (usize, usize)) {
    let mut baseline = MARGIN + 15;
    for (count, line) in picture.title.lines().take(3).enumerate() {
        let (size, color) = if count == 0 { (TITLE, INK) } else { (SUBTITLE, PALE_INK) };
        let line = letters.fitted(line, size, room);
        letters.write(canvas, &line, (at(x), at(baseline)), Anchor::Start, (size, color));
        baseline += if count == 0 { 25 } else { 21 };
    }
}

/// Width of the title's widest line.
pub(super) fn title_width(letters: &Type, picture: &Picture) -> usize {
    let size = |count| if count == 0 { TITLE } else { SUBTITLE };
    picture.title.lines().take(3).enumerate().map(|(count, line)| letters.width(line, size(count))).max().unwrap_or(0)
}

/// Draws the axis below `frame`.
pub(super) fn level(canvas: &mut Canvas, letters: &Type, frame: Frame, scale: &Scale, caption: &str) {
    let below = frame.y + frame.height + 1;
    let baseline = at(below + TICK + GAP / 2) + NUMBERS.capitals();
    for (place, number) in scale.places(frame.width) {
        let x = frame.x + place;
        canvas.fill(Frame { x, y: below, width: 1, height: TICK }, FRAME);
        letters.write(canvas, number, (at(x), baseline), Anchor::Middle, (NUMBERS, INK));
    }
    let caption = letters.fitted(caption, NAMES, frame.width + 60);
    let middle = (at(frame.x + frame.width / 2), baseline + at(GAP) + NAMES.capitals() + 4);
    letters.write(canvas, &caption, middle, Anchor::Middle, (NAMES, INK));
}

/// Draws the axis left of `frame`.
pub(super) fn upright(canvas: &mut Canvas, letters: &Type, frame: Frame, scale: &Scale, caption: &str) {
    let right = frame.x - 1 - TICK;
    for (place, number) in scale.places(frame.height) {
        let y = frame.y + frame.height - 1 - place;
        canvas.fill(Frame { x: right, y, width: TICK, height: 1 }, FRAME);
        let end = (at(right - GAP / 2), at(y) + NUMBERS.capitals() / 2);
        letters.write(canvas, number, end, Anchor::End, (NUMBERS, INK));
    }
    let baseline = at(right - GAP / 2 - scale.widest(letters)) - at(GAP) - 2;
    let caption = letters.fitted(caption, NAMES, frame.height + 60);
    letters.write_up(canvas, &caption, (baseline, at(frame.y + frame.height / 2)), Anchor::Middle, (NAMES, INK));
}

/// Draws pale rules at the ticks of both axes, on clean paper.
pub(super) fn rules(canvas: &mut Canvas, frame: Frame, level: &Scale, upright: &Scale) {
    canvas.fill(frame, PAPER);
    for (place, _) in level.places(frame.width) {
        canvas.fill(Frame { x: frame.x + place, width: 1, ..frame }, RULES);
    }
    for (place, _) in upright.places(frame.height) {
        canvas.fill(Frame { y: frame.y + frame.height - 1 - place, height: 1, ..frame }, RULES);
    }
}
