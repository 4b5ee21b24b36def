//! A PNG of a plane of values: a map with a colour bar, or a line where there is one row.
//!
//! Input: values with their axes. Output: the bytes of a PNG file.
//! Invariant: the same picture gives the same bytes; no values, however extreme, make it fail.

mod axes;
mod canvas;
mod colors;
mod curve;
mod film;
mod map;
mod mosaic;
mod resample;
mod text;
mod ticks;

use canvas::Canvas;
pub use colors::Colors;
pub use film::Film;
pub use mosaic::{Mosaic, mosaic};

/// What to draw.
#[derive(Clone, Debug, PartialEq)]
pub struct Picture {
    /// Values, `values[row * cols + col]`; those that are not finite are drawn grey.
    pub values: Vec<f64>,
    /// Points along the slow axis, drawn upwards; 1: the picture is a line plot.
    pub rows: usize,
    /// Points along the fast axis, drawn to the right.
    pub cols: usize,
    /// The slow axis.
    pub row_axis: AxisLabel,
    /// The fast axis.
    pub col_axis: AxisLabel,
    /// Title; lines after the first are set smaller.
    pub title: String,
    /// What the values are.
    pub label: String,
    /// Unit of the values, as CF writes it; `"1"` where there is none.
    pub unit: String,
    /// Lowest and highest value of the colour bar, beyond which values are clamped; `None`: those of the values.
    pub range: Option<(f64, f64)>,
    /// Colour map.
    pub colors: Colors,
}

/// Name and coordinates of an axis.
#[derive(Clone, Debug, PartialEq)]
pub struct AxisLabel {
    /// Name.
    pub name: String,
    /// Unit of the coordinates, as CF writes it.
    pub unit: String,
    /// Coordinate of point 0.
    pub origin: f64,
    /// Distance between points; negative where coordinates fall.
    pub spacing: f64,
}

/// Why a picture cannot be drawn.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PictureError {
    /// Sizes that do not agree.
    #[error("a picture of {rows} x {cols} points needs as many values, it has {values}; give one value per point")]
    Size {
        /// Points along the slow axis.
        rows: usize,
        /// Points along the fast axis.
        cols: usize,
        /// Number of values.
        values: usize,
    },
    /// An axis without sensible coordinates.
    #[error("axis {name} has origin {origin} and spacing {spacing}; both must be finite and the spacing not zero")]
    Axis {
        /// Name of the axis.
        name: String,
        /// Its origin.
        origin: f64,
        /// Its spacing.
        spacing: f64,
    },
    /// A range that is none.
    #[error("the range of {label} is {low} to {high}; give two finite numbers, the lower first")]
    Range {
        /// What the values are.
        label: String,
        /// Lower end.
        low: f64,
        /// Upper end.
        high: f64,
    },
    /// A colour map that does not exist.
    #[error("no colour map is called {name:?}; choose one of {}", Colors::NAMES.join(", "))]
    Colors {
        /// The name.
        name: String,
    },
    /// The encoder failed.
    #[error("the picture {title:?} could not be encoded as PNG")]
    Encode {
        /// First line of the title.
        title: String,
        /// What the encoder says.
        source: png::EncodingError,
    },
}

/// The picture as the bytes of a PNG file.
///
/// # Errors
///
/// [`PictureError`] if the sizes do not agree, or axes or range are not finite.
pub fn draw(picture: &Picture) -> Result<Vec<u8>, PictureError> {
    check(picture)?;
    let canvas = sheet(picture);
    let title = picture.title.lines().next().unwrap_or_default();
    canvas.png(title).map_err(|source| PictureError::Encode { title: title.to_owned(), source })
}

/// The picture, drawn.
fn sheet(picture: &Picture) -> Canvas {
    if picture.rows == 1 { curve::draw(picture) } else { map::draw(picture) }
}

/// Refuses what cannot be drawn.
fn check(picture: &Picture) -> Result<(), PictureError> {
    let Picture { rows, cols, .. } = *picture;
    if rows == 0 || cols == 0 || rows.checked_mul(cols) != Some(picture.values.len()) {
        return Err(PictureError::Size { rows, cols, values: picture.values.len() });
    }
    for AxisLabel { name, origin, spacing, .. } in [&picture.row_axis, &picture.col_axis] {
        if !origin.is_finite() || !spacing.is_finite() || *spacing == 0.0 {
            return Err(PictureError::Axis { name: name.clone(), origin: *origin, spacing: *spacing });
        }
    }
    match picture.range {
        Some((low, high)) if !(low.is_finite() && high.is_finite() && low < high) => {
            Err(PictureError::Range { label: picture.label.clone(), low, high })
        }
        _ => Ok(()),
    }
}

/// Largest magnitude on an axis of the picture: further out, differences would overflow.
const FAR: f64 = 1e300;

/// Lowest and highest finite value; `None` if there is none.
#[must_use]
pub fn extremes(values: &[f64]) -> Option<(f64, f64)> {
    let mut ends = None;
    for &value in values.iter().filter(|value| value.is_finite()) {
        let (mut low, mut high) = ends.unwrap_or((value, value));
        if value < low {
            low = value;
        }
        if value > high {
            high = value;
        }
        ends = Some((low, high));
    }
    ends
}

/// Range of the colour bar or of the vertical axis: the one given, else that of the values, widened if they are all
/// alike but for rounding.
fn range(picture: &Picture) -> (f64, f64) {
    let (low, high) = picture.range.or_else(|| extremes(&picture.values)).unwrap_or((0.0, 1.0));
    let (low, high) = (low.clamp(-FAR, FAR), high.clamp(-FAR, FAR));
    let far = if low.abs() < high.abs() { high.abs() } else { low.abs() };
    if high - low > 1e-13 * far && high - low > 1e-290 {
        return (low, high);
    }
    let middle = low / 2.0 + high / 2.0;
    let half = if far > 1e-280 { 0.1 * far } else { 1.0 };
    (middle - half, middle + half)
}

#[cfg(test)]
mod tests;
