//! Pictures one after another on one sheet: an animated PNG.
//!
//! Input: the number of pictures and two that the sheet must hold, then each picture in turn. Output: the file,
//! written as pictures come. Invariant: the sheet's size and the number of pictures stand at the head of the file, so
//! neither changes later: what is larger is cut off, and a film that lacks pictures is an error. No picture is kept.
//!
//! Specification: Portable Network Graphics, third edition, section 11.3.6 (acTL, fcTL and fdAT chunks).

use std::io::Write;

use png::{BitDepth, ColorType, Compression, Encoder, EncodingError, Writer};

use super::canvas::Canvas;
use super::{Picture, PictureError, check, sheet};

/// An animated PNG in the making.
pub struct Film<W: Write> {
    writer: Writer<W>,
    title: String,
    size: (usize, usize),
}

impl<W: Write> Film<W> {
    /// A film of `frames` pictures, `per_second` of them in a second, that goes on for ever. The sheet is large enough for both
    /// pictures of `ends`; what others have beyond it is cut off.
    ///
    /// # Errors
    ///
    /// [`PictureError`] if these cannot be drawn or written.
    pub fn new(out: W, ends: [&Picture; 2], frames: u32, per_second: u16) -> Result<Self, PictureError> {
        let title = ends[0].title.lines().next().unwrap_or_default().to_owned();
        let mut size = (0, 0);
        for picture in ends {
            check(picture)?;
            let (width, height) = sheet(picture).size();
            size = (size.0.max(width), size.1.max(height));
        }
        let writer = header(out, &title, size, (frames, per_second));
        let writer = writer.map_err(|source| PictureError::Encode { title: title.clone(), source })?;
        Ok(Self { writer, title, size })
    }

    /// Adds the next picture.
    ///
    /// # Errors
    ///
    /// [`PictureError`] if it cannot be drawn or written.
    pub fn add(&mut self, picture: &Picture) -> Result<(), PictureError> {
        check(picture)?;
        let mut canvas = Canvas::new(self.size.0, self.size.1);
        canvas.lay(&sheet(picture));
        self.writer.write_image_data(canvas.pixels()).map_err(|source| self.failed(source))
    }

    /// Ends the film.
    ///
    /// # Errors
    ///
    /// [`PictureError::Encode`] if pictures are missing or the last bytes cannot be written.
    pub fn finish(self) -> Result<(), PictureError> {
        let Self { writer, title, .. } = self;
        writer.finish().map_err(|source| PictureError::Encode { title, source })
    }

    fn failed(&self, source: EncodingError) -> PictureError {
        PictureError::Encode { title: self.title.clone(), source }
    }
}

#[allow(clippy::cast_possible_truncation, reason = "sheets are a few thousand pixels wide at most")]
fn header<W: Write>(
    out: W,
    title: &str,
    (width, height): (usize, usize),
    (frames, per_second): (u32, u16),
) -> Result<Writer<W>, EncodingError> {
    let mut encoder = Encoder::new(out, width as u32, height as u32);
    encoder.set_color(ColorType::Rgb);
    encoder.set_depth(BitDepth::Eight);
    encoder.set_compression(Compression::Balanced);
    encoder.set_animated(frames, 0)?;
    encoder.set_frame_delay(1, per_second)?;
    encoder.add_itxt_chunk("Title".to_owned(), title.to_owned())?;
    encoder.add_text_chunk("Software".to_owned(), "ringfort".to_owned())?;
    encoder.write_header()
}
