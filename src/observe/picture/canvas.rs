//! Pixels: filling, blending and the PNG file.
//!
//! Input: boxes, colours, and how much of a pixel is covered. Output: rows of pixels, and the PNG file of them.
//! Invariant: what lies outside the sheet is not drawn and is no error, so who draws need not clip; only an outline
//! needs a pixel left of its box and one above. The file holds no time: the same pixels and title give the same
//! bytes.

use png::{BitDepth, ColorType, Compression, Encoder, EncodingError};

/// Red, green, blue.
pub(super) type Rgb = [u8; 3];

pub(super) const PAPER: Rgb = [255, 255, 255];
pub(super) const INK: Rgb = [34, 34, 38];
pub(super) const PALE_INK: Rgb = [104, 104, 112];
pub(super) const FRAME: Rgb = [88, 88, 94];
pub(super) const RULES: Rgb = [230, 230, 234];
pub(super) const NO_VALUE: Rgb = [206, 206, 208];

/// A box of pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) x: usize,
    pub(super) y: usize,
    pub(super) width: usize,
    pub(super) height: usize,
}

/// A picture in the making; row 0 is at the top. What lies outside is not drawn.
pub(super) struct Canvas {
    width: usize,
    height: usize,
    pixels: Vec<u8>,
}

impl Canvas {
    /// An empty sheet.
    pub(super) fn new(width: usize, height: usize) -> Self {
        Self { width, height, pixels: PAPER.repeat(width * height) }
    }

    /// Width and height in pixels.
    pub(super) fn size(&self) -> (usize, usize) {
        (self.width, self.height)
    }

    /// Red, green and blue of each pixel, row by row.
    pub(super) fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    /// Lays `other` over it, upper left corners together.
    pub(super) fn lay(&mut self, other: &Self) {
        let width = 3 * self.width.min(other.width);
        let rows = self.pixels.chunks_exact_mut(3 * self.width).zip(other.pixels.chunks_exact(3 * other.width));
        for (to, from) in rows {
            to[..width].copy_from_slice(&from[..width]);
        }
    }

    /// Gives one pixel a colour.
    pub(super) fn set(&mut self, x: usize, y: usize, color: Rgb) {
        if x < self.width && y < self.height {
            let at = 3 * (y * self.width + x);
            self.pixels[at..at + 3].copy_from_slice(&color);
        }
    }

    /// Fills a box.
    pub(super) fn fill(&mut self, frame: Frame, color: Rgb) {
        for y in frame.y..frame.y + frame.height {
            for x in frame.x..frame.x + frame.width {
                self.set(x, y, color);
            }
        }
    }

    /// Draws the line of one pixel that runs around the outside of `frame`.
    pub(super) fn outline(&mut self, frame: Frame, color: Rgb) {
        let Frame { x, y, width, height } = frame;
        for (x, y, width, height) in [
            (x - 1, y - 1, width + 2, 1),
            (x - 1, y + height, width + 2, 1),
            (x - 1, y, 1, height),
            (x + width, y, 1, height),
        ] {
            self.fill(Frame { x, y, width, height }, color);
        }
    }

    /// Lays `color` over one pixel; `coverage` 0 leaves it as it is, 1 hides it.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a mean of two bytes is a byte")]
    pub(super) fn blend(&mut self, x: i64, y: i64, color: Rgb, coverage: f32) {
        let (Ok(x), Ok(y)) = (usize::try_from(x), usize::try_from(y)) else { return };
        if x >= self.width || y >= self.height {
            return;
        }
        let at = 3 * (y * self.width + x);
        let share = coverage.clamp(0.0, 1.0);
        for (below, above) in self.pixels[at..at + 3].iter_mut().zip(color) {
            *below = (f32::from(*below) + (f32::from(above) - f32::from(*below)) * share).round() as u8;
        }
    }

    /// The sheet as a PNG file.
    #[allow(clippy::cast_possible_truncation, reason = "sheets are a few thousand pixels wide at most")]
    pub(super) fn png(&self, title: &str) -> Result<Vec<u8>, EncodingError> {
        let mut bytes = Vec::new();
        let mut encoder = Encoder::new(&mut bytes, self.width as u32, self.height as u32);
        encoder.set_color(ColorType::Rgb);
        encoder.set_depth(BitDepth::Eight);
        encoder.set_compression(Compression::Balanced);
        encoder.add_itxt_chunk("Title".to_owned(), title.to_owned())?;
        encoder.add_text_chunk("Software".to_owned(), "ringfort".to_owned())?;
        let mut writer = encoder.write_header()?;
        writer.write_image_data(&self.pixels)?;
        writer.finish()?;
        Ok(bytes)
    }
}
