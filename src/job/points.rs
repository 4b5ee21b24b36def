//! `[[probe]]`: a field's value at one point, every so many steps.
//!
//! Input: the tables of the job file. Output: a [`Probe`] each. Invariant: no two have one name, which is that of a
//! file; each lies at a point of the grid; a coordinate beyond the grid is refused, or wraps around a periodic axis
//! and leaves a note.

use super::axes::{self, Seen};
use super::error::JobError;
use super::{schedule, schema};
use crate::grid::{AXES, Extents, Grid};

/// `[[probe]]`: where to look at a field.
#[derive(Clone, Debug, PartialEq)]
pub struct Probe {
    /// Its name: that of its file.
    pub name: String,
    /// Name of the field: a component, coefficient or derived field.
    pub field: String,
    /// Slot of the field.
    pub slot: usize,
    /// The point, in global indices.
    pub cell: Extents,
    /// At multiples of so many steps.
    pub every: u64,
}

/// All probes; one that wraps around leaves a note in `notes`.
pub(super) fn probes(
    seen: &Seen<'_>,
    given: &[schema::Probe],
    notes: &mut Vec<String>,
) -> Result<Vec<Probe>, JobError> {
    let mut all: Vec<Probe> = Vec::new();
    for (at, given) in given.iter().enumerate() {
        let at = at.to_string();
        let path = |key| ["probe", at.as_str(), key];
        let name = schedule::word(seen.document, &path("name"), &given.name)?;
        if all.iter().any(|other| other.name == name) {
            let problem = format!("`{name}` names two probes; each needs a name of its own in the folder probes");
            return Err(seen.document.wrong(&path("name"), problem));
        }
        let slot = seen.slot(&path("field"), &given.field)?;
        axes::check_length(seen.document, &path("at"), given.at.len(), seen.grid.axes)?;
        let mut cell = [0; AXES];
        for (number, &coordinate) in given.at.iter().enumerate() {
            let axis = seen.grid.first() + number;
            let half = seen.declaration.fields[slot].half[number];
            let (index, wrapped) = nearest(seen.grid, axis, half, coordinate)
                .map_err(|problem| seen.document.wrong(&["probe", at.as_str(), "at", &number.to_string()], problem))?;
            if wrapped {
                notes.push(format!(
                    "probe {name}: {axis} = {coordinate} lies beyond the periodic axis and wraps around to {axis} = {}",
                    seen.grid.coordinate_of(axis, half, index),
                    axis = seen.grid.name(axis),
                ));
            }
            cell[axis] = index;
        }
        let every = seen.steps(&path("every"), &given.every, "probes")?;
        all.push(Probe { name, field: given.field.clone(), slot, cell, every });
    }
    Ok(all)
}

/// Index of the point nearest to coordinate `at` along `axis`, of a field whose points lie half a cell beyond the centres or
/// not, and true if the coordinate wraps around to it.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the position is within the axis")]
#[allow(clippy::cast_precision_loss, reason = "an axis has far fewer than 2^53 points")]
pub(super) fn nearest(grid: &Grid, axis: usize, half: bool, at: f64) -> Result<(usize, bool), String> {
    let last = grid.points[axis] - 1;
    // In cells from the centre of the first.
    let place = (at - grid.origin[axis]) / grid.spacing[axis];
    let inside = (-0.5..=last as f64 + 0.5).contains(&place);
    let point = libm::round(place - if half { 0.5 } else { 0.0 });
    if grid.periodic(axis) && place.is_finite() {
        return Ok((point.rem_euclid(last as f64 + 1.0) as usize, !inside));
    }
    if !inside {
        return Err(format!(
            "{} = {at} lies outside the grid, which spans {} to {}",
            grid.name(axis),
            grid.coordinate(axis, 0),
            grid.coordinate(axis, last),
        ));
    }
    Ok((point.clamp(0.0, last as f64) as usize, false))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::{Boundary, Units};

    #[test]
    fn nearest_points() {
        let grid = |beyond| Grid {
            axes: 1,
            points: [1, 1, 1, 4],
            spacing: [0.5; AXES],
            origin: [10.0; AXES],
            units: Units::Metres,
            boundary: [[beyond; 2]; AXES],
        };
        let (wall, periodic) = (grid(Boundary::Wall), grid(Boundary::Periodic));
        for (at, expected) in [(9.75, Some(0)), (10.2, Some(0)), (10.25, Some(1)), (11.75, Some(3)), (11.8, None)] {
            assert_eq!(nearest(&wall, 3, false, at).ok().map(|found| found.0), expected, "{at}");
        }
        for (at, expected) in [(9.75, 0), (10.2, 0), (10.49, 0), (10.74, 1), (11.75, 3)] {
            assert_eq!(nearest(&wall, 3, true, at), Ok((expected, false)), "{at}");
        }
        for (at, expected) in [
            (11.7, (3, false)),
            (11.75, (0, false)),
            (11.8, (0, true)),
            (9.7, (3, true)),
            (-10.0, (0, true)),
            (112.5, (1, true)),
        ] {
            assert_eq!(nearest(&periodic, 3, false, at), Ok(expected), "{at}");
        }
        for at in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert!(nearest(&wall, 3, false, at).is_err() && nearest(&periodic, 3, false, at).is_err());
        }
    }
}
