//! Words on a sheet: one embedded font, smoothed edges, level or upright, and units as they are printed.
//!
//! Input: a text, its place, size and colour. Output: pixels, and widths. Invariant: no font of the system is used,
//! so what is drawn does not depend on which ones it has. What `fitted` gives is no wider than its room, if an
//! ellipsis fits there. Units are changed for print alone: files hold them as CF writes them.

use ab_glyph::{Font, FontRef, Glyph, PxScale, ScaleFont, point};

use super::canvas::{Canvas, Rgb};

/// Where a text lies relative to its point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Anchor {
    /// It begins there.
    Start,
    /// Its middle is there.
    Middle,
    /// It ends there.
    End,
}

/// A text size in pixels per em.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Size(pub(super) f32);

impl Size {
    /// Pixels from the baseline to the top of a capital letter.
    #[allow(clippy::cast_possible_truncation, reason = "text is a few pixels high")]
    pub(super) fn capitals(self) -> i64 {
        (0.729 * self.0).round() as i64
    }
}

/// The embedded font.
pub(super) struct Type {
    font: FontRef<'static>,
}

impl Type {
    pub(super) fn new() -> Self {
        let font = FontRef::try_from_slice(include_bytes!("../font/DejaVuSans-subset.ttf"));
        Self { font: font.expect("the embedded font is whole") }
    }

    /// Width of `text` in pixels, rounded up.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "texts are a few thousand pixels wide")]
    pub(super) fn width(&self, text: &str, size: Size) -> usize {
        self.set(text, size).1.ceil() as usize
    }

    /// `text`, cut short with an ellipsis where it is wider than `most` pixels.
    pub(super) fn fitted(&self, text: &str, size: Size, most: usize) -> String {
        let mut fitted: String = text.chars().take(400).collect();
        if fitted.len() == text.len() && self.width(text, size) <= most {
            return fitted;
        }
        while !fitted.is_empty() && self.width(&format!("{fitted}\u{2026}"), size) > most {
            fitted.pop();
        }
        fitted.truncate(fitted.trim_end().len());
        fitted + "\u{2026}"
    }

    /// Writes `text` with its baseline at `y`.
    pub(super) fn write(&self, canvas: &mut Canvas, text: &str, at: (i64, i64), anchor: Anchor, look: (Size, Rgb)) {
        self.cover(text, look.0, anchor, |dx, dy, coverage| canvas.blend(at.0 + dx, at.1 + dy, look.1, coverage));
    }

    /// Writes `text` upwards with its baseline at `x`.
    pub(super) fn write_up(&self, canvas: &mut Canvas, text: &str, at: (i64, i64), anchor: Anchor, look: (Size, Rgb)) {
        self.cover(text, look.0, anchor, |dx, dy, coverage| canvas.blend(at.0 + dy, at.1 - dx, look.1, coverage));
    }

    /// Calls `pixel` with the place relative to the anchor, and the coverage, of every pixel that `text` touches.
    #[allow(clippy::cast_possible_truncation, reason = "texts are a few thousand pixels wide")]
    fn cover(&self, text: &str, size: Size, anchor: Anchor, mut pixel: impl FnMut(i64, i64, f32)) {
        let (glyphs, width) = self.set(text, size);
        let shift = match anchor {
            Anchor::Start => 0,
            Anchor::Middle => (width / 2.0).round() as i64,
            Anchor::End => width.round() as i64,
        };
        for outline in glyphs.into_iter().filter_map(|glyph| self.font.outline_glyph(glyph)) {
            let corner = outline.px_bounds().min;
            let (left, top) = (corner.x as i64 - shift, corner.y as i64);
            outline.draw(|x, y, coverage| pixel(left + i64::from(x), top + i64::from(y), coverage));
        }
    }

    /// Glyphs of `text` from 0 on, baseline at 0, and the width.
    fn set(&self, text: &str, size: Size) -> (Vec<Glyph>, f32) {
        let em = self.font.units_per_em().unwrap_or(2048.0);
        let scale = PxScale::from(size.0 * self.font.height_unscaled() / em);
        let scaled = self.font.as_scaled(scale);
        let (mut glyphs, mut x, mut before) = (Vec::new(), 0.0, None);
        for id in text.chars().map(|letter| scaled.glyph_id(letter)) {
            x += before.map_or(0.0, |before| scaled.kern(before, id));
            glyphs.push(id.with_scale_and_position(scale, point(x, 0.0)));
            x += scaled.h_advance(id);
            before = Some(id);
        }
        (glyphs, x)
    }
}

/// `number` in raised digits.
pub(super) fn raised(number: &str) -> String {
    let raise = |digit| match digit {
        '-' => '\u{207b}',
        '0' => '\u{2070}',
        '1' => '\u{b9}',
        '2' => '\u{b2}',
        '3' => '\u{b3}',
        '4'..='9' => char::from_u32(0x2070 + digit.to_digit(10).unwrap_or_default()).unwrap_or(digit),
        other => other,
    };
    number.chars().map(raise).collect()
}

/// A unit of CF as it is printed: `kg m-3` as kg m⁻³, `degrees_east` as °E; nothing for `1`.
pub(super) fn unit(cf: &str) -> String {
    if cf == "1" {
        return String::new();
    }
    let word = |word: &str| match word {
        "degrees_north" => "\u{b0}N".to_owned(),
        "degrees_east" => "\u{b0}E".to_owned(),
        "degree" | "degrees" => "\u{b0}".to_owned(),
        "degC" => "\u{b0}C".to_owned(),
        _ => powers(word),
    };
    let word = |words: &str| words.split('/').map(word).collect::<Vec<_>>().join("/");
    cf.split_whitespace().map(word).collect::<Vec<_>>().join(" ")
}

/// `word` with the digits at its end raised, if a letter goes before them: `m-3`, `m2` or `s^2`.
fn powers(word: &str) -> String {
    let base = word.trim_end_matches(|letter: char| letter.is_ascii_digit());
    let base = if base.len() < word.len() { base.strip_suffix('-').unwrap_or(base) } else { base };
    let power = &word[base.len()..];
    let base = base.strip_suffix('^').unwrap_or(base);
    if power.is_empty() || !base.ends_with(|letter: char| letter.is_alphabetic()) {
        return word.to_owned();
    }
    base.to_owned() + &raised(power)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_printed_as_in_books() {
        for (cf, printed) in [
            ("1", ""),
            ("m", "m"),
            ("kg m-3", "kg m\u{207b}\u{b3}"),
            ("m s-1", "m s\u{207b}\u{b9}"),
            ("m^2/s^2", "m\u{b2}/s\u{b2}"),
            ("1/s", "1/s"),
            ("W m-10", "W m\u{207b}\u{b9}\u{2070}"),
            ("degrees_east", "\u{b0}E"),
            ("42", "42"),
            ("", ""),
            ("-", "-"),
        ] {
            assert_eq!(unit(cf), printed, "{cf}");
        }
    }

    #[test]
    fn long_texts_are_cut_to_their_room() {
        let letters = Type::new();
        let size = Size(15.0);
        assert_eq!(letters.fitted("short", size, 100), "short");
        for text in [
            "a rather long title that goes on",
            "\u{4e2d}\u{6587}\u{4e2d}\u{6587}\u{4e2d}\u{6587}\u{4e2d}\u{6587}\u{4e2d}\u{6587}\u{4e2d}\u{6587}\u{4e2d}\u{6587}\u{4e2d}\u{6587}",
        ] {
            let cut = letters.fitted(text, size, 100);
            assert!(cut.ends_with('\u{2026}') && letters.width(&cut, size) <= 100, "{cut}");
        }
    }
}
