//! `[[source]]`: a wavelet that is added to a field at one point.
//!
//! Input: place, field, wavelet, frequency, amplitude. Output: a [`PointSource`] at the nearest point. Invariant: no
//! source lies at a point that a boundary holds, where it would be lost; frequency, its inverse and amplitude are
//! finite; what enters here enters the fingerprint as the point, not as the coordinates given.

use ringfort_engine::source::PointSource;
use ringfort_kernels::{Declaration, Field};

use super::document::Document;
use super::error::JobError;
use super::{axes, points, schema};
use crate::grid::{AXES, Boundary, Extents, Grid};

/// Wavelets by name.
const WAVELETS: [&str; 1] = ["ricker"];

/// All point sources of a job; one that wraps around leaves a note in `notes`.
pub(super) fn sources(
    document: &Document,
    given: &[schema::Source],
    grid: &Grid,
    declaration: &Declaration,
    notes: &mut Vec<String>,
) -> Result<Vec<PointSource>, JobError> {
    let mut all = Vec::new();
    for (number, given) in given.iter().enumerate() {
        let number = number.to_string();
        let path = |key| ["source", number.as_str(), key];
        let (slot, order) = field(document, &path("field"), &given.field, declaration)?;
        axes::check_length(document, &path("at"), given.at.len(), grid.axes)?;
        let mut cell = [0; AXES];
        for (entry, &coordinate) in given.at.iter().enumerate() {
            let axis = grid.first() + entry;
            let half = declaration.fields[slot].half[entry];
            let (index, wrapped) = points::nearest(grid, axis, half, coordinate)
                .map_err(|problem| document.wrong(&["source", &number, "at", &entry.to_string()], problem))?;
            if wrapped {
                let axis_name = grid.name(axis);
                notes.push(format!(
                    "source {number}: {axis_name} = {coordinate} lies beyond the periodic axis and wraps around to \
                     {axis_name} = {}",
                    grid.coordinate_of(axis, half, index),
                ));
            }
            cell[axis] = index;
        }
        if held(grid, cell, &declaration.fields[slot]) {
            let problem = "the nearest point is held by the boundary (fixed, or a wall that holds it at 0); move the source \
                           inwards";
            return Err(document.wrong(&path("at"), problem));
        }
        if !WAVELETS.contains(&given.wavelet.as_str()) {
            return Err(document.unknown_word(&path("wavelet"), "wavelet", &given.wavelet, &WAVELETS));
        }
        let (frequency, amplitude) = (given.frequency, given.amplitude);
        if !(frequency.is_finite() && frequency > 0.0 && (1.0 / frequency).is_finite()) {
            let problem = format!("{frequency} is no frequency; give a finite number above 0, in Hz");
            return Err(document.wrong(&path("frequency"), problem));
        }
        if !amplitude.is_finite() {
            return Err(document.wrong(&path("amplitude"), format!("{amplitude} is not a finite number")));
        }
        all.push(PointSource { slot, cell, frequency, amplitude, order });
    }
    Ok(all)
}

/// Slot of the component called `name`, and the order of its equation in time.
fn field(document: &Document, path: &[&str], name: &str, declaration: &Declaration) -> Result<(usize, u8), JobError> {
    let takes = |(slot, field): (usize, &Field)| Some((slot, field.name, field.source?));
    let takes: Vec<_> = declaration.fields.iter().enumerate().filter_map(takes).collect();
    if takes.is_empty() {
        let problem = format!("the kernel {} takes no point source; remove [[source]]", declaration.name);
        return Err(document.wrong(path, problem));
    }
    let found = takes.iter().find(|(_, known, _)| *known == name);
    found.map(|&(slot, _, order)| (slot, order)).ok_or_else(|| {
        let known: Vec<&str> = takes.iter().map(|(_, known, _)| *known).collect();
        document.unknown_word(path, "field", name, &known)
    })
}

/// True if a boundary of `grid` holds `field` at `cell`.
fn held(grid: &Grid, cell: Extents, field: &Field) -> bool {
    (grid.first()..AXES).any(|axis| {
        let rests = field.rests(axis - grid.first());
        let holds = |side: usize| match grid.boundary[axis][side] {
            Boundary::Fixed => true,
            Boundary::Wall => rests[side],
            Boundary::Periodic | Boundary::Open => false,
        };
        (holds(0) && cell[axis] == 0) || (holds(1) && cell[axis] + 1 == grid.points[axis])
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::advance::library::SHIPPED;
    use crate::job::{Job, JobError};

    const JOB: &str = r#"[grid]
points = [5, 8]
spacing = [0.5, 2.0]
boundary = ["fixed", "periodic"]
[kernel]
name = "wave"
[fields]
pressure = 0.0
speed = 1.0
[time]
steps = 1
dt = 0.1
[[source]]
at = [1.1, 5.0]
field = "pressure"
wavelet = "ricker"
frequency = 2.0
amplitude = 3.0
"#;

    fn read(text: &str, overrides: &[&str]) -> Result<Job, JobError> {
        let overrides: Vec<String> = overrides.iter().map(|text| (*text).to_owned()).collect();
        Job::parse(text, Path::new("test.toml"), &overrides, &SHIPPED)
    }

    #[test]
    fn sources_lie_at_the_nearest_point() {
        let job = read(JOB, &[]).unwrap();
        let [source] = job.point_sources[..] else { panic!("{:?}", job.point_sources) };
        assert_eq!((source.slot, source.cell, source.order), (0, [0, 0, 2, 3], 2));
        assert_eq!((source.frequency, source.amplitude), (2.0, 3.0));
        assert!(job.notes.is_empty());
        let job = read(&JOB.replace("5.0]", "17.0]"), &[]).unwrap();
        assert_eq!(job.point_sources[0].cell, [0, 0, 2, 1]);
        assert!(job.notes[0].contains("wraps around to x = 2"), "{:?}", job.notes);
        // A source of heat is a term of an equation of first order.
        let heat = JOB.replace("wave", "heat").replace("pressure", "temperature").replace("speed", "diffusivity");
        let heat = heat.replace("heatlet", "wavelet");
        assert_eq!(read(&heat, &[]).unwrap().point_sources[0].order, 1);
    }

    #[test]
    fn sources_enter_the_physics() {
        let base = read(JOB, &[]).unwrap();
        let mut seen = vec![base.fingerprint];
        for change in ["at.1=1.0", "frequency=2.5", "amplitude=-3.0"] {
            let change = format!("source.0.{change}");
            let job = read(JOB, &[&change]).unwrap();
            assert!(!seen.contains(&job.fingerprint), "{change}");
            assert_eq!(job.overrides, [change]);
            seen.push(job.fingerprint);
        }
        let twice = format!("{JOB}{}", &JOB[JOB.find("[[source]]").unwrap()..]);
        assert_eq!(read(&twice, &[]).unwrap().point_sources.len(), 2);
        seen.push(read(&twice, &[]).unwrap().fingerprint);
        let none = &JOB[..JOB.find("[[source]]").unwrap()];
        assert!(!seen.contains(&read(none, &[]).unwrap().fingerprint));
        assert!(!seen[..4].contains(&seen[4]));
    }

    #[test]
    fn wrong_sources_are_named() {
        for (from, to, words) in [
            (
                "field = \"pressure\"",
                "field = \"presure\"",
                "source.0.field: unknown field `presure`; did you mean `pressure`",
            ),
            ("field = \"pressure\"", "field = \"pressure_before\"", "source.0.field: unknown field `pressure_before`"),
            ("\"ricker\"", "\"rikcer\"", "source.0.wavelet: unknown wavelet `rikcer`; did you mean `ricker`"),
            ("frequency = 2.0", "frequency = 0", "source.0.frequency: 0 is no frequency"),
            ("frequency = 2.0", "frequency = inf", "source.0.frequency: inf is no frequency"),
            ("amplitude = 3.0", "amplitude = nan", "source.0.amplitude: NaN is not a finite number"),
            ("amplitude = 3.0\n", "", "amplitude is missing"),
            ("amplitude = 3.0", "amplitude = 3.0\ndelay = 1.0", "unknown key `delay` in [source]"),
            ("at = [1.1, 5.0]", "at = [1.1]", "source.0.at"),
            ("at = [1.1, 5.0]", "at = [2.6, 5.0]", "source.0.at.0: y = 2.6 lies outside the grid"),
            ("at = [1.1, 5.0]", "at = [0.1, 5.0]", "source.0.at: the nearest point is held by the boundary"),
        ] {
            assert!(JOB.contains(from), "{from}");
            let error = read(&JOB.replace(from, to), &[]).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
        let water = JOB.replace("name = \"wave\"", "name = \"shallow-water\"").replace("pressure = 0.0", "depth = 1.0");
        let error = read(&water.replace("speed = 1.0", "bed = 0.0"), &[]).unwrap_err().to_string();
        assert!(error.contains("the kernel shallow-water takes no point source; remove [[source]]"), "{error}");
    }
}
