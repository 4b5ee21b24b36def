//! Pictures of a plane of a field, in two halves: what lies in a block, and the picture of all blocks together.
//!
//! Input: the part of the plane in each block. Output: a PNG file.
//! Invariant: partials in any order, repeated or not, cut anywhere, give the same bytes.

mod partial;

use std::path::Path;
use std::{fs, io};

use crate::grid::{AXES, Grid, Region};
use crate::job::Image;
use crate::job::formula::Map;

use super::picture::{AxisLabel, Colors, Picture, PictureError, draw};
use super::rows::{self, Reader};
pub use partial::Partial;

/// What a picture says besides its values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct About<'a> {
    /// Name of the job.
    pub job: &'a str,
    /// One line: what the field is.
    pub field: &'a str,
    /// Unit of the field.
    pub unit: &'a str,
    /// Unit of time: `"s"`, or `"1"` where a step has no duration.
    pub time_unit: &'a str,
}

/// Why there is no picture.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImageError {
    /// Bytes that are no partial.
    #[error("a part of an image is damaged: {problem}; compute it again")]
    Damaged {
        /// What is wrong.
        problem: &'static str,
    },
    /// A partial of another plane.
    #[error("a part of the image of {field} covers {region:?}, which is not in its plane; compute it again")]
    Foreign {
        /// Name of the field.
        field: String,
        /// The partial's cells.
        region: Region,
    },
    /// Two partials that disagree.
    #[error("two parts of the image of {field} give different values for one cell; compute both again")]
    Conflict {
        /// Name of the field.
        field: String,
    },
    /// Cells that no partial covers.
    #[error("{cells} cells of the image of {field} are missing; wait for the parts of all blocks")]
    Missing {
        /// Name of the field.
        field: String,
        /// How many cells.
        cells: usize,
    },
    /// The picture could not be drawn.
    #[error("the image of {field} could not be drawn")]
    Picture {
        /// Name of the field.
        field: String,
        /// Why.
        source: PictureError,
    },
}

/// Cells of the plane that `image` shows.
#[must_use]
pub fn plane(image: &Image, grid: &Grid) -> Region {
    let mut plane = grid.region();
    for &(axis, index) in &image.plane {
        plane.start[axis] = index;
        plane.extent[axis] = 1;
    }
    plane
}

/// The part of the plane that lies in `block`, if any; `read` gives the fields of the block.
pub fn partial(image: &Image, grid: &Grid, block: &Region, read: Reader<'_>) -> Option<Partial> {
    let region = plane(image, grid).intersection(block)?;
    let mut values = vec![0.0; region.cells()];
    read(image.slot, &region, &mut values);
    if let Some(shown) = &image.shown {
        hide(shown, grid, &region, read, &mut values);
    }
    Some(Partial { region, values })
}

/// Makes those `values` of the cells of `region` NaN where `shown` is not above 0; `read` gives the fields of the region.
pub fn hide(shown: &Map, grid: &Grid, region: &Region, read: Reader<'_>, values: &mut [f64]) {
    let mut rest = values;
    rows::run(shown, grid, region, read, |marks| {
        let (cells, after) = std::mem::take(&mut rest).split_at_mut(marks.len());
        for (cell, mark) in cells.iter_mut().zip(marks) {
            if mark.partial_cmp(&0.0) != Some(std::cmp::Ordering::Greater) {
                *cell = f64::NAN;
            }
        }
        rest = after;
    });
}

/// The picture of all `partials`, as the bytes of a PNG file; `time` is that of the step.
///
/// # Errors
///
/// [`ImageError`] if partials are missing, disagree or belong elsewhere, or the picture cannot be drawn.
pub fn finish(
    image: &Image,
    grid: &Grid,
    (step, time): (u64, f64),
    partials: &[Partial],
    about: &About<'_>,
) -> Result<Vec<u8>, ImageError> {
    let values = gather(image, grid, partials)?;
    draw(&picture(image, grid, (step, time), values, about)?).map_err(|source| failed(image, source))
}

fn failed(image: &Image, source: PictureError) -> ImageError {
    ImageError::Picture { field: image.field.clone(), source }
}

/// The picture of `values`, which are those of the plane in memory order; `time` is that of the step.
///
/// # Errors
///
/// [`ImageError::Picture`] for a colour map that does not exist.
pub fn picture(
    image: &Image,
    grid: &Grid,
    (step, time): (u64, f64),
    values: Vec<f64>,
    about: &About<'_>,
) -> Result<Picture, ImageError> {
    let (slow, fast) = free_axes(image, grid);
    let label = |axis: usize| AxisLabel {
        name: grid.name(axis).to_owned(),
        unit: grid.unit(axis).to_owned(),
        origin: grid.origin[axis],
        spacing: grid.spacing[axis],
    };
    let unknown = || failed(image, PictureError::Colors { name: image.colors.clone() });
    Ok(Picture {
        values,
        rows: slow.map_or(1, |axis| grid.points[axis]),
        cols: grid.points[fast],
        row_axis: label(slow.unwrap_or(fast)),
        col_axis: label(fast),
        title: title(image, grid, (step, time), about),
        label: image.field.replace('_', " "),
        unit: about.unit.to_owned(),
        range: image.range,
        colors: Colors::named(&image.colors).ok_or_else(unknown)?,
    })
}

/// Values of the plane, each from the partial that covers it.
fn gather(image: &Image, grid: &Grid, partials: &[Partial]) -> Result<Vec<f64>, ImageError> {
    let plane = plane(image, grid);
    let field = || image.field.clone();
    let mut values: Vec<Option<f64>> = vec![None; plane.cells()];
    for Partial { region, values: own } in partials {
        if plane.intersection(region) != Some(*region) || own.len() != region.cells() {
            return Err(ImageError::Foreign { field: field(), region: *region });
        }
        let row = region.extent[AXES - 1];
        for ([w, z, y], own) in region.rows().zip(own.chunks(row)) {
            let start = plane.offset([w, z, y, region.start[AXES - 1]]);
            for (value, &own) in values[start..start + row].iter_mut().zip(own) {
                if value.replace(own).is_some_and(|before| before.to_bits() != own.to_bits()) {
                    return Err(ImageError::Conflict { field: field() });
                }
            }
        }
    }
    let missing = values.iter().filter(|value| value.is_none()).count();
    if missing > 0 {
        return Err(ImageError::Missing { field: field(), cells: missing });
    }
    Ok(values.into_iter().flatten().collect())
}

/// The axes of the picture: the slow one, if the grid has it, and the fast one.
fn free_axes(image: &Image, grid: &Grid) -> (Option<usize>, usize) {
    let free = |axis: &usize| image.plane.iter().all(|cut| cut.0 != *axis);
    let mut axes = (grid.first()..AXES).rev().filter(free);
    let fast = axes.next().unwrap_or(AXES - 1);
    (axes.next(), fast)
}

/// Two lines: what is shown, and of when and where.
fn title(image: &Image, grid: &Grid, (step, time): (u64, f64), about: &About<'_>) -> String {
    let what = if about.field.is_empty() { &image.field } else { about.field };
    let unit = |unit: &str| match unit {
        "1" | "" => String::new(),
        "degrees_north" | "degrees_east" => "\u{b0}".to_owned(),
        other => format!(" {other}"),
    };
    let mut title = format!("{}: {what}\nstep {step}", about.job);
    if !matches!(about.time_unit, "1" | "") {
        title += &format!(" \u{b7} t = {}{}", digits(time), unit(about.time_unit));
    }
    for &(axis, index) in &image.plane {
        let place = digits(grid.coordinate(axis, index));
        title += &format!(" \u{b7} {} = {place}{}", grid.name(axis), unit(grid.unit(axis)));
    }
    title
}

/// `value` with at most six digits.
fn digits(value: f64) -> String {
    let rounded: f64 = format!("{value:.5e}").parse().unwrap_or(value);
    let size = rounded.abs();
    let text = if size == 0.0 || (1e-4..1e7).contains(&size) { format!("{rounded}") } else { format!("{rounded:e}") };
    text.replace('-', "\u{2212}")
}

/// Name of the picture's file within the run's folder: `images/pressure-z12-step-0000000200.png`.
#[must_use]
pub fn file_name(image: &Image, grid: &Grid, step: u64) -> String {
    let plane: String = image.plane.iter().map(|&(axis, index)| format!("-{}{index}", grid.name(axis))).collect();
    format!("images/{}{plane}-step-{step:010}.png", image.field)
}

/// Writes a file so that it is there whole or not at all; makes its folder if need be.
///
/// # Errors
///
/// If the system refuses.
pub fn store(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let part = path.with_extension("png.part");
    fs::write(&part, bytes).and_then(|()| fs::rename(&part, path)).inspect_err(|_| {
        let _none_left = fs::remove_file(&part);
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decomp::Cuts;
    use crate::grid::{Boundary, Units};

    fn grid(axes: usize) -> Grid {
        let mut points = [1; AXES];
        points[AXES - axes..].copy_from_slice(&[5, 6, 7, 9][AXES - axes..]);
        Grid {
            axes,
            points,
            spacing: [0.5; AXES],
            origin: [0.0; AXES],
            units: Units::Metres,
            boundary: [[Boundary::Periodic; 2]; AXES],
        }
    }

    fn image(plane: &[(usize, usize)]) -> Image {
        let (field, colors) = ("velocity_x".to_owned(), "viridis".to_owned());
        Image { field, slot: 0, every: 10, plane: plane.to_vec(), colors, range: None, shown: None }
    }

    const ABOUT: About<'_> = About { job: "test", field: "velocity along x", unit: "m s-1", time_unit: "s" };

    /// Partials of all blocks of `cuts`; a cell's value is its place in the grid.
    #[allow(clippy::cast_precision_loss, reason = "small numbers")]
    fn partials(image: &Image, grid: &Grid, parts: [usize; AXES]) -> Vec<Partial> {
        let cuts = Cuts::new(grid.points, parts).expect("cuts");
        let mut read = |_: usize, region: &Region, values: &mut [f64]| {
            let rows = region.rows().zip(values.chunks_mut(region.extent[3]));
            for ([w, z, y], row) in rows {
                for (x, value) in (region.start[3]..).zip(row) {
                    *value = grid.region().offset([w, z, y, x]) as f64;
                }
            }
        };
        (0..cuts.count()).filter_map(|part| partial(image, grid, &cuts.block(part), &mut read)).collect()
    }

    #[test]
    fn cuts_and_order_change_no_byte() {
        for (axes, plane) in [(1, vec![]), (2, vec![]), (3, vec![(1, 4)]), (3, vec![(3, 2)]), (4, vec![(0, 1), (2, 6)])]
        {
            let (grid, image) = (grid(axes), image(&plane));
            let whole = finish(&image, &grid, (20, 0.25), &partials(&image, &grid, [1; AXES]), &ABOUT).expect("png");
            let parts = std::array::from_fn(|axis| if grid.points[axis] > 1 { 2 } else { 1 });
            let mut cut = partials(&image, &grid, parts);
            assert!(cut.len() < parts.iter().product::<usize>() || plane.is_empty());
            cut.reverse();
            cut.push(cut[0].clone());
            assert_eq!(finish(&image, &grid, (20, 0.25), &cut, &ABOUT).expect("png"), whole, "{plane:?}");
        }
    }

    #[test]
    fn gaps_strangers_and_conflicts_are_refused() {
        let (grid, image) = (grid(3), image(&[(1, 4)]));
        let all = partials(&image, &grid, [1, 2, 2, 3]);
        assert_eq!(all.len(), 6);
        let end = |partials: &[Partial]| finish(&image, &grid, (0, 0.0), partials, &ABOUT);
        assert!(matches!(end(&all[1..]), Err(ImageError::Missing { cells: 12, .. })));
        let mut other = all.clone();
        other[0].values[0] += 1.0;
        other.push(all[0].clone());
        assert!(matches!(end(&other), Err(ImageError::Conflict { .. })));
        other[0].region.start[1] = 3;
        assert!(matches!(end(&other), Err(ImageError::Foreign { .. })));
        let odd = Image { colors: "jet".to_owned(), ..image.clone() };
        assert!(matches!(finish(&odd, &grid, (0, 0.0), &all, &ABOUT), Err(ImageError::Picture { .. })));
    }

    #[test]
    fn names_and_titles() {
        let (grid, image) = (grid(3), image(&[(1, 4)]));
        assert_eq!(file_name(&image, &grid, 200), "images/velocity_x-z4-step-0000000200.png");
        let expected = "test: velocity along x\nstep 200 \u{b7} t = 1.33333 s \u{b7} z = 2 m";
        assert_eq!(title(&image, &grid, (200, 4.0 / 3.0), &ABOUT), expected);
        assert_eq!(digits(-1.5e-9), "\u{2212}1.5e\u{2212}9");
        assert_eq!(digits(0.1 + 0.2), "0.3");
    }
}
