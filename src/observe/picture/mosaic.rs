//! A picture of which cells of a grid belong together: one colour for each owner, lines between owners where cells
//! have room for them.
//!
//! Input: the owner of each cell, plane by plane. Output: the bytes of a PNG file. Invariant: a colour is a function
//! of the owner's number alone, so that pictures can be compared. Cells take at most 1,500 by 1,000 pixels, whole
//! pixels each; what does not fit is cut off, never merged.

use super::axes::{self, MARGIN, NUMBERS, at};
use super::canvas::{Canvas, FRAME, Frame, INK, PALE_INK, Rgb};
use super::text::{Anchor, Type};
use super::{AxisLabel, Colors, Picture, PictureError};

/// Planes of a grid whose cells have owners.
#[derive(Clone, Debug, PartialEq)]
pub struct Mosaic {
    /// Owner of each cell, `owner[(plane * rows + row) * cols + col]`.
    pub owner: Vec<u32>,
    /// Planes, drawn side by side.
    pub planes: usize,
    /// Rows of a plane, drawn downwards.
    pub rows: usize,
    /// Columns of a plane.
    pub cols: usize,
    /// Name of each plane; empty names are not written.
    pub names: Vec<String>,
    /// Title; lines after the first are set smaller.
    pub title: String,
}

/// Room for all planes in pixels, and the largest cell.
const ROOM: (usize, usize) = (1500, 1000);
const LARGEST: usize = 26;
/// Least cell that has lines around it, and that has a number in it.
const LINED: usize = 4;
const NUMBERED: usize = 22;
/// Most planes that are drawn, and room around them.
const MOST_PLANES: usize = 16;
const APART: usize = 22;

/// The mosaic as the bytes of a PNG file. Beyond 1,500 cells across or 1,000 down and 16 planes it is cut off.
///
/// # Errors
///
/// [`PictureError`] if the sizes do not agree.
pub fn mosaic(mosaic: &Mosaic) -> Result<Vec<u8>, PictureError> {
    let Mosaic { planes, rows, cols, .. } = *mosaic;
    if planes * rows * cols == 0 || mosaic.owner.len() != planes * rows * cols {
        return Err(PictureError::Size { rows: planes * rows, cols, values: mosaic.owner.len() });
    }
    let letters = Type::new();
    let shown = planes.min(MOST_PLANES);
    let across = (1..=shown).find(|across| across * across * cols * ROOM.1 >= shown * rows * ROOM.0).unwrap_or(shown);
    let down = shown.div_ceil(across);
    let cell = LARGEST.min(ROOM.0 / (across * cols).max(1)).min(ROOM.1 / (down * rows).max(1)).max(1);
    let (rows_shown, cols_shown) = (rows.min(ROOM.1 / down / cell), cols.min(ROOM.0 / across / cell));
    let (width, height) = (cols_shown.max(1) * cell, rows_shown.max(1) * cell);
    let heading = heading(&mosaic.title);
    let full = across * (width + APART) - APART + 2 * MARGIN;
    let full = full.max(axes::title_width(&letters, &heading) + 2 * MARGIN);
    let top = axes::top(&heading) + 10;
    let mut canvas = Canvas::new(full, top + down * (height + APART) + MARGIN);
    axes::title(&mut canvas, &letters, &heading, (MARGIN, full - 2 * MARGIN));
    for plane in 0..shown {
        let frame = Frame {
            x: MARGIN + plane % across * (width + APART),
            y: top + plane / across * (height + APART),
            width,
            height,
        };
        draw_plane(&mut canvas, &letters, mosaic, (plane, frame, cell));
        if let Some(name) = mosaic.names.get(plane) {
            let below = (at(frame.x), at(frame.y + height + 15));
            letters.write(&mut canvas, name, below, Anchor::Start, (NUMBERS, PALE_INK));
        }
    }
    let title = mosaic.title.lines().next().unwrap_or_default();
    canvas.png(title).map_err(|source| PictureError::Encode { title: title.to_owned(), source })
}

fn draw_plane(canvas: &mut Canvas, letters: &Type, mosaic: &Mosaic, (plane, frame, cell): (usize, Frame, usize)) {
    let (rows, cols) = (frame.height / cell, frame.width / cell);
    let owner = |row: usize, col: usize| mosaic.owner[(plane * mosaic.rows + row) * mosaic.cols + col];
    let mut named = std::collections::BTreeSet::new();
    for row in 0..rows {
        for col in 0..cols {
            let own = owner(row, col);
            let tile = Frame { x: frame.x + col * cell, y: frame.y + row * cell, width: cell, height: cell };
            canvas.fill(tile, color(own));
            if cell >= LINED && col > 0 && owner(row, col - 1) != own {
                canvas.fill(Frame { width: 1, ..tile }, INK);
            }
            if cell >= LINED && row > 0 && owner(row - 1, col) != own {
                canvas.fill(Frame { height: 1, ..tile }, INK);
            }
            if cell >= NUMBERED && named.insert(own) {
                let text = own.to_string();
                if letters.width(&text, NUMBERS) + 4 <= cell {
                    let middle = (at(tile.x + cell / 2), at(tile.y + cell / 2) + NUMBERS.capitals() / 2);
                    letters.write(canvas, &text, middle, Anchor::Middle, (NUMBERS, INK));
                }
            }
        }
    }
    canvas.outline(frame, FRAME);
}

/// A picture that has only a title.
fn heading(title: &str) -> Picture {
    let axis = AxisLabel { name: String::new(), unit: "1".into(), origin: 0.0, spacing: 1.0 };
    Picture {
        values: vec![0.0],
        rows: 1,
        cols: 1,
        row_axis: axis.clone(),
        col_axis: axis,
        title: title.to_owned(),
        label: String::new(),
        unit: "1".into(),
        range: None,
        colors: Colors::default(),
    }
}

/// A light colour for owner `owner`, far from those of the numbers next to it.
fn color(owner: u32) -> Rgb {
    // Multiples of the golden ratio lie far apart around the circle of hues.
    let turn = owner.wrapping_mul(2_654_435_769);
    let hue = (u64::from(turn) * 1536) >> 32;
    let light = 150 + 40 * (owner.wrapping_mul(0x9E37) >> 3 & 1);
    let (sector, rise) = (hue / 256, hue % 256);
    let ramp = |value: u64| light + u32::try_from(value).unwrap_or(0) * (250 - light) / 255;
    let (up, down) = (ramp(rise), ramp(255 - rise));
    let (full, none) = (ramp(255), ramp(0));
    let rgb = match sector {
        0 => [full, up, none],
        1 => [down, full, none],
        2 => [none, full, up],
        3 => [none, down, full],
        4 => [up, none, full],
        _ => [full, none, down],
    };
    rgb.map(|value| u8::try_from(value).unwrap_or(u8::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_checked_and_large_grids_cut_off() {
        let grid = |planes: usize, rows: usize, cols: usize| Mosaic {
            owner: (0..planes * rows * cols).map(|cell| u32::try_from(cell / 7).unwrap()).collect(),
            planes,
            rows,
            cols,
            names: (0..planes).map(|plane| format!("z {plane}")).collect(),
            title: "A map\nof ranks".into(),
        };
        for (planes, rows, cols) in [(1, 1, 1), (1, 5, 40), (30, 4, 6), (1, 3, 3000), (1, 3000, 2)] {
            let bytes = mosaic(&grid(planes, rows, cols)).unwrap();
            let reader = png::Decoder::new(std::io::Cursor::new(bytes)).read_info().unwrap();
            let (width, height) = (reader.info().width, reader.info().height);
            assert!(width < 2200 && height < 1700, "{width} x {height}");
        }
        let wrong = Mosaic { rows: 3, ..grid(1, 2, 2) };
        assert!(matches!(mosaic(&wrong), Err(PictureError::Size { .. })));
    }
}
