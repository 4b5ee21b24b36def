//! `[grid]` and `[[image]]`: axes, their bounds, and planes that cut them.
//!
//! Input: the job's text and what it gives. Output: the grid and the images, or an error that points into the text.
//! Invariant: a grid that comes out has 1 to 4 axes with at least 1 point each, fewer than 2^48 points in all, spacings
//! above 0, finite coordinates, and is periodic at both sides of an axis or at neither. Axes that the job lacks come
//! first: one point, spacing 1, origin 0, periodic. What is looked at goes through `Seen`, which refuses fields without
//! values.

use ringfort_kernels::{Declaration, Role};

use super::document::Document;
use super::error::{JobError, Mistake};
use super::formula::Map;
use super::{Every, Image, Source, schedule, schema};
use crate::grid::{AXES, Boundary, Extents, Grid, Units};

/// Most points along an axis.
const MOST_POINTS: u64 = 1 << 40;
/// Fewest points that a grid may not have.
const TOO_MANY_POINTS: u64 = 1 << 48;
/// Names of colour maps.
pub const COLORS: [&str; 7] = ["viridis", "magma", "inferno", "plasma", "cividis", "rdbu_r", "turbo"];

/// The grid.
pub(super) fn grid(document: &Document, given: &schema::Grid) -> Result<Grid, JobError> {
    let axes = given.points.len();
    if !(1..=AXES).contains(&axes) {
        let problem = format!("{axes} axes; give 1 to {AXES} numbers of points, slowest axis first");
        return Err(document.wrong(&["grid", "points"], problem));
    }
    let first = AXES - axes;
    let units = match given.units {
        schema::Units::Metres => Units::Metres,
        schema::Units::Degrees => Units::Degrees,
    };
    if units == Units::Degrees && axes < 2 {
        return Err(document.wrong(&["grid", "units"], "degrees need two axes, lat and lon; the grid has one"));
    }
    let spacing = per_axis(document, "spacing", given.spacing.as_deref(), axes, 1.0)?;
    if let Some(at) = spacing.iter().position(|&h| h <= 0.0) {
        let problem = format!("{} is not above 0; give the distance between points", spacing[at]);
        return Err(document.wrong(&["grid", "spacing", &(at - first).to_string()], problem));
    }
    let grid = Grid {
        axes,
        points: points(document, &given.points)?,
        spacing,
        origin: per_axis(document, "origin", given.origin.as_deref(), axes, 0.0)?,
        units,
        boundary: boundary(document, given.boundary.as_deref(), axes)?,
    };
    for axis in first..AXES {
        if !grid.coordinate(axis, grid.points[axis]).is_finite() {
            let problem = format!("coordinates along {} overflow; use smaller spacing", grid.name(axis));
            return Err(document.wrong(&["grid", "spacing"], problem));
        }
    }
    check_latitudes(document, &grid)?;
    Ok(grid)
}

/// Cells in degrees lie between the poles.
fn check_latitudes(document: &Document, grid: &Grid) -> Result<(), JobError> {
    let axis = AXES - 2;
    let half = 0.5 * grid.spacing[axis];
    let (south, north) = (grid.origin[axis] - half, grid.coordinate(axis, grid.points[axis] - 1) + half);
    // Spacings such as 1/3 do not add up exactly.
    if grid.units == Units::Degrees && (south < -90.0 - 1e-6 || north > 90.0 + 1e-6) {
        let problem = format!("cells reach from latitude {south} to {north}; they must lie within -90 to 90");
        return Err(document.wrong(&["grid", "origin"], problem));
    }
    Ok(())
}

fn points(document: &Document, given: &[u64]) -> Result<Extents, JobError> {
    let mut points = [1; AXES];
    let mut product: u64 = 1;
    for (at, &count) in given.iter().enumerate() {
        let place = ["grid", "points", &at.to_string()];
        if !(1..=MOST_POINTS).contains(&count) {
            let problem = format!("{count} points along an axis; give 1 to 2^40");
            return Err(document.wrong(&place, problem));
        }
        product = product.checked_mul(count).filter(|&cells| cells < TOO_MANY_POINTS).ok_or_else(|| {
            document.wrong(&["grid", "points"], "the grid has 2^48 points or more; no machine holds it, give fewer")
        })?;
        points[AXES - given.len() + at] =
            usize::try_from(count).map_err(|_| document.wrong(&place, "too many points for this machine"))?;
    }
    Ok(points)
}

/// One finite number per axis.
fn per_axis(
    document: &Document,
    key: &str,
    given: Option<&[f64]>,
    axes: usize,
    default: f64,
) -> Result<[f64; AXES], JobError> {
    let mut values = [default; AXES];
    let Some(given) = given else { return Ok(values) };
    check_length(document, &["grid", key], given.len(), axes)?;
    for (at, &value) in given.iter().enumerate() {
        if !value.is_finite() {
            return Err(document.wrong(&["grid", key, &at.to_string()], format!("{value} is not a finite number")));
        }
        values[AXES - axes + at] = value;
    }
    // The axes that the job does not have keep neutral values.
    Ok(values)
}

/// Checks that the list at `path` has one entry per axis.
pub(super) fn check_length(document: &Document, path: &[&str], length: usize, axes: usize) -> Result<(), JobError> {
    if length == axes {
        return Ok(());
    }
    let problem = format!("{length} entries for {axes} axes of the grid; give one per axis, slowest first");
    Err(document.wrong(path, problem))
}

fn boundary(
    document: &Document,
    given: Option<&[schema::Boundary]>,
    axes: usize,
) -> Result<[[Boundary; 2]; AXES], JobError> {
    let mut all = [[Boundary::Periodic; 2]; AXES];
    let Some(given) = given else { return Ok(all) };
    check_length(document, &["grid", "boundary"], given.len(), axes)?;
    for (at, entry) in given.iter().enumerate() {
        let pair = match entry {
            schema::Boundary::Both(both) => [beyond(*both); 2],
            schema::Boundary::Pair([low, high]) => [beyond(*low), beyond(*high)],
            schema::Boundary::Other(_) => {
                let problem = "give \"periodic\", \"wall\", \"fixed\" or \"open\", or a pair [low, high] of them";
                return Err(document.wrong(&["grid", "boundary", &at.to_string()], problem));
            }
        };
        if pair[0] != pair[1] && pair.contains(&Boundary::Periodic) {
            let problem = "periodic on one side only; an axis is periodic on both sides or on none";
            return Err(document.wrong(&["grid", "boundary", &at.to_string()], problem));
        }
        all[AXES - axes + at] = pair;
    }
    Ok(all)
}

fn beyond(word: schema::Beyond) -> Boundary {
    match word {
        schema::Beyond::Periodic => Boundary::Periodic,
        schema::Beyond::Wall => Boundary::Wall,
        schema::Beyond::Fixed => Boundary::Fixed,
        schema::Beyond::Open => Boundary::Open,
    }
}

/// All images.
pub(super) fn images(seen: &Seen<'_>, given: &[schema::Image]) -> Result<Vec<Image>, JobError> {
    given.iter().enumerate().map(|(at, image)| self::image(seen, at, image)).collect()
}

fn image(seen: &Seen<'_>, at: usize, given: &schema::Image) -> Result<Image, JobError> {
    let Seen { document, grid, .. } = seen;
    let at = at.to_string();
    let path = |key| ["image", at.as_str(), key];
    let slot = seen.slot(&path("field"), &given.field)?;
    let every = seen.steps(&path("every"), &given.every, "images")?;
    let colors = given.colors.as_deref().unwrap_or(COLORS[0]);
    if !COLORS.contains(&colors) {
        return Err(document.unknown_word(&path("colors"), "colour map", colors, &COLORS));
    }
    let range = match given.range.as_deref() {
        None => None,
        Some(&[low, high]) if low.is_finite() && high.is_finite() && low < high => Some((low, high)),
        Some(other) => {
            let problem = format!("{other:?} is no range; give two finite numbers, the lower one first");
            return Err(document.wrong(&path("range"), problem));
        }
    };
    let plane = planes(given.plane.as_deref(), grid).map_err(|problem| match given.plane {
        Some(_) => document.wrong(&path("plane"), problem),
        None => document.missing(&path("plane"), problem),
    })?;
    let shown = given.shown.as_ref().map(|text| seen.map(&path("where"), text)).transpose()?;
    Ok(Image { field: given.field.clone(), slot, every, plane, colors: colors.to_owned(), range, shown })
}

/// What says which fields have values to look at.
pub(super) struct Seen<'a> {
    pub(super) document: &'a Document,
    pub(super) grid: &'a Grid,
    pub(super) declaration: &'a Declaration,
    pub(super) sources: &'a [Option<Source>],
}

impl Seen<'_> {
    /// Slot of the field `name` given at `path`, which must have values to look at.
    pub(super) fn slot(&self, path: &[&str], name: &str) -> Result<usize, JobError> {
        let known: Vec<&str> = shown(self.declaration).collect();
        if !known.contains(&name) {
            return Err(self.document.unknown_word(path, "field", name, &known));
        }
        let slot = self.declaration.slot(name).unwrap_or_default();
        check_given(self.document, path, slot, self.declaration, self.sources)?;
        Ok(slot)
    }

    /// The formula `text` of fields and coordinates given at `path`.
    pub(super) fn map(&self, path: &[&str], text: &str) -> Result<Map, JobError> {
        let slot = |field| self.declaration.slot(field).map(|slot| (field, slot));
        let fields: Vec<(&str, usize)> = shown(self.declaration).filter_map(slot).collect();
        let map =
            Map::parse(text, &fields, self.grid).map_err(|error| self.document.wrong_formula(path, text, error))?;
        for slot in map.slots() {
            check_given(self.document, path, slot, self.declaration, self.sources)?;
        }
        Ok(map)
    }

    /// Steps of the interval `text` at `path`, at whose multiples `what` are due.
    pub(super) fn steps(&self, path: &[&str], text: &str, what: &str) -> Result<u64, JobError> {
        match schedule::every(self.document, path, text)? {
            Every::Steps(steps) => Ok(steps),
            Every::Seconds(_) | Every::Auto { .. } => {
                Err(self.document.wrong(path, format!("{what} follow steps; write \"N steps\"")))
            }
        }
    }
}

/// Names of the fields that have values to look at.
pub(super) fn shown(declaration: &Declaration) -> impl Iterator<Item = &'static str> {
    let seen = |role| matches!(role, Role::Component | Role::Coefficient | Role::Derived);
    let own = |field: &&ringfort_kernels::Field| !field.of_place();
    declaration.fields.iter().filter(own).filter(move |field| seen(field.role)).map(|field| field.name)
}

/// Checks that field `slot` has values in this job.
pub(super) fn check_given(
    document: &Document,
    path: &[&str],
    slot: usize,
    declaration: &Declaration,
    sources: &[Option<Source>],
) -> Result<(), JobError> {
    let field = &declaration.fields[slot];
    if field.role == Role::Coefficient && sources[slot].is_none() {
        return Err(document.wrong(path, format!("the job gives no `{}`, so it has no values", field.name)));
    }
    Ok(())
}

/// Cuts that leave a plane of `grid` (or all of it, where it has one or two axes), slowest axis first: axis (0 to 3) and
/// point index of each. `given` is text such as `z=0.5`; without it a grid of three axes is cut in the middle of the
/// slowest.
///
/// # Errors
///
/// What is wrong with the text, and what would be right.
pub fn planes(given: Option<&str>, grid: &Grid) -> Result<Vec<(usize, usize)>, String> {
    let needed = grid.axes.saturating_sub(2);
    let Some(text) = given else {
        return match needed {
            0 => Ok(Vec::new()),
            1 => Ok(vec![(grid.first(), grid.points[grid.first()] / 2)]),
            _ => Err(TWO_CUTS.to_owned()),
        };
    };
    let mut planes = Vec::new();
    for cut in text.split(',') {
        let plane = plane(cut, grid)?;
        if planes.iter().any(|&(axis, _)| axis == plane.0) {
            return Err(format!("`{text}` cuts the axis {} twice", grid.name(plane.0)));
        }
        planes.push(plane);
    }
    if planes.len() != needed {
        return Err(format!(
            "`{text}` has {} cuts; a grid of {} axes needs {needed}, so that a plane is left",
            planes.len(),
            grid.axes,
        ));
    }
    planes.sort_unstable();
    Ok(planes)
}

const TWO_CUTS: &str = "a grid of 4 axes needs two cuts, such as plane = \"w=0, z=0.5\"";

/// Axis and nearest point of a cut such as `z=0.5`.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the position is within the axis")]
#[allow(clippy::cast_precision_loss, reason = "an axis has far fewer than 2^53 points")]
fn plane(cut: &str, grid: &Grid) -> Result<(usize, usize), String> {
    let names: Vec<&str> = (grid.first()..AXES).map(|axis| grid.name(axis)).collect();
    let shape =
        || format!("`{}` is no plane; write an axis ({}) and a coordinate, such as z=0.5", cut, names.join(", "));
    let (name, text) = cut.split_once('=').ok_or_else(shape)?;
    let axis = grid.first() + names.iter().position(|known| *known == name.trim()).ok_or_else(shape)?;
    let at: f64 = text.trim().parse().map_err(|_| shape())?;
    let index = (at - grid.origin[axis]) / grid.spacing[axis];
    let last = grid.points[axis] - 1;
    if !(-0.5..=last as f64 + 0.5).contains(&index) {
        return Err(format!(
            "{} = {at} lies outside the grid, which spans {} to {}",
            grid.name(axis),
            grid.coordinate(axis, 0),
            grid.coordinate(axis, last),
        ));
    }
    // Half a cell before the first point rounds to -1, which is 0 as an index.
    Ok((axis, (libm::round(index) as usize).min(last)))
}

/// The grid's units are degrees and the kernel does not allow it.
pub(super) fn check_units(document: &Document, grid: &Grid, declaration: &Declaration) -> Result<(), JobError> {
    if grid.units == Units::Degrees && !declaration.degrees {
        let problem = format!("the kernel {} knows no degrees; use \"m\"", declaration.name);
        let place = document.value(&["grid", "units"]);
        return Err(document.located(place, Mistake::Value { key: "grid.units".to_owned(), problem }));
    }
    Ok(())
}
