//! What a checkpoint says about its values: run, step, time, grid, cuts and components. Plain data.
//!
//! From a [`Meta`] alone follow the names and lengths of all files of the checkpoint. Invariant: it is the same on
//! every rank and free of host, clock and writer, so all writers make the same files. The order in `files` is that of
//! the manifests on disk: a reader refuses any other. What is written and what is read both pass `check`, whose bounds
//! are those of the format.

use std::fmt;
use std::str::FromStr;

use ringfort_kernels::{Allowed, Real};

use crate::decomp::Cuts;
use crate::grid::{AXES, Grid};

/// Most chunk files of one checkpoint; beyond, one file per part and component strains every file system.
pub const MAX_CHUNKS: usize = 65_536;
const MAX_COMPONENTS: usize = 256;
const MAX_CELLS: u64 = 1 << 50;
const MAX_NAME: usize = 64;
const MAX_TEXT: usize = 1024;
/// Most bytes of the job's text.
const MAX_JOB: usize = 4 << 20;

/// Random name of a run: 16 bytes, written as 32 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RunId(pub [u8; 16]);

impl RunId {
    /// A new one.
    ///
    /// # Errors
    ///
    /// The system's error if it has no random numbers.
    pub fn random() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes)?;
        Ok(Self(bytes))
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for RunId {
    type Err = MetaError;

    fn from_str(text: &str) -> Result<Self, MetaError> {
        let bad = || MetaError::RunId { text: text.chars().take(64).collect() };
        if text.len() != 32 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(bad());
        }
        let mut bytes = [0; 16];
        for (byte, at) in bytes.iter_mut().zip((0..32).step_by(2)) {
            *byte = u8::from_str_radix(&text[at..at + 2], 16).map_err(|_| bad())?;
        }
        Ok(Self(bytes))
    }
}

/// The checkpoint that a run started from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parent {
    /// Its run.
    pub run: RunId,
    /// Its step.
    pub step: u64,
}

impl fmt::Display for Parent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} step {}", self.run, self.step)
    }
}

impl FromStr for Parent {
    type Err = MetaError;

    fn from_str(text: &str) -> Result<Self, MetaError> {
        let bad = || MetaError::RunId { text: text.chars().take(64).collect() };
        let (run, step) = text.split_once(" step ").ok_or_else(bad)?;
        Ok(Self { run: run.parse()?, step: step.parse().map_err(|_| bad())? })
    }
}

/// A run, and where it began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Its id.
    pub run: RunId,
    /// The checkpoint of another run that it started from, if any.
    pub parent: Option<Parent>,
}

impl From<RunId> for Origin {
    fn from(run: RunId) -> Self {
        Self { run, parent: None }
    }
}

/// Type of all values of a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    /// IEEE 754 single precision.
    Float32,
    /// IEEE 754 double precision.
    Float64,
}

impl Precision {
    /// That of `T`.
    #[must_use]
    pub fn of<T: Real>() -> Self {
        if T::BYTES == 4 { Self::Float32 } else { Self::Float64 }
    }

    /// NumPy's and Zarr's name, `float32` or `float64`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Float32 => "float32",
            Self::Float64 => "float64",
        }
    }

    /// Bytes of one value.
    #[must_use]
    pub fn bytes(self) -> usize {
        match self {
            Self::Float32 => 4,
            Self::Float64 => 8,
        }
    }
}

/// Value of the cells that pad a border chunk beyond the grid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fill {
    /// Not a number: what is missing shows.
    Nan,
    /// Zero, for fields of which NaN makes no sense.
    Zero,
}

/// One component of the state.
#[derive(Clone, Debug, PartialEq)]
pub struct FieldMeta {
    /// Name of its array: a letter, then letters, digits and `_`.
    pub name: String,
    /// Unit, `"1"` where it has none.
    pub unit: String,
    /// One line: what it is.
    pub about: String,
    /// CF standard name, where there is one.
    pub standard_name: Option<String>,
    /// Axes along which its points lie half a cell beyond the cell centres.
    pub half: [bool; AXES],
    /// Padding of border chunks.
    pub fill: Fill,
}

impl FieldMeta {
    /// What `field` of a kernel says about itself on a grid of `axes` axes.
    #[must_use]
    pub fn of(field: &ringfort_kernels::Field, axes: usize) -> Self {
        // A kernel counts a job's own axes, the grid counts four.
        let mut half = [false; AXES];
        half[AXES - axes..].copy_from_slice(&field.half[..axes]);
        Self {
            name: field.name.into(),
            unit: field.unit.into(),
            about: field.about.into(),
            standard_name: field.standard_name.map(Into::into),
            half,
            fill: if matches!(field.allowed, Allowed::OneOf(_)) { Fill::Zero } else { Fill::Nan },
        }
    }
}

/// All that a checkpoint says about its values. The same on every rank, and free of host, clock and writer.
#[derive(Clone, Debug, PartialEq)]
pub struct Meta {
    /// The run that writes it.
    pub run: RunId,
    /// The checkpoint that the run started from, if any.
    pub parent: Option<Parent>,
    /// Steps done.
    pub step: u64,
    /// Model time after them, in seconds.
    pub time: f64,
    /// Time step in seconds.
    pub dt: f64,
    /// Type of all values.
    pub precision: Precision,
    /// The global grid.
    pub grid: Grid,
    /// How it is cut into parts; each part is one chunk of every component.
    pub cuts: Cuts,
    /// The components, in the kernel's order.
    pub components: Vec<FieldMeta>,
    /// Hash of all that enters the physics.
    pub fingerprint: [u8; 32],
    /// Text of the job file, with overrides applied.
    pub job: String,
}

impl Meta {
    /// Checks that the state can be stored: within the format's bounds, every name usable, every number finite.
    ///
    /// # Errors
    ///
    /// The first bound that is broken.
    pub fn check(&self) -> Result<(), MetaError> {
        let grid = &self.grid;
        check_points(grid)?;
        let numbers = [self.time, self.dt].into_iter().chain(grid.spacing).chain(grid.origin);
        if let Some(value) = numbers.into_iter().find(|value| !value.is_finite()) {
            return Err(MetaError::Number { value });
        }
        if self.cuts != checked_cuts(grid, self.cuts.parts())? {
            return Err(MetaError::Cuts);
        }
        check_components(self)?;
        match self.cuts.count().checked_mul(self.components.len()) {
            Some(count) if count <= MAX_CHUNKS => {}
            _ => return Err(MetaError::Chunks { parts: self.cuts.count(), components: self.components.len() }),
        }
        if self.job.len() > MAX_JOB {
            return Err(MetaError::Text { what: "the job file", most: MAX_JOB });
        }
        Ok(())
    }

    /// Coordinate arrays as (name, axis, half a cell beyond the centres), in the order of the manifest.
    pub(super) fn coordinates(&self) -> Vec<(String, usize, bool)> {
        let axes = self.grid.first()..AXES;
        let centres = axes.clone().map(|axis| (self.dimension(axis, false), axis, false));
        let used = |axis: usize| self.components.iter().any(|field| field.half[axis]);
        let halves = axes.filter(|&axis| used(axis)).map(|axis| (self.dimension(axis, true), axis, true));
        centres.chain(halves).collect()
    }

    /// Name of the dimension along `axis`: `x`, or `x_half` for points half a cell beyond.
    pub(super) fn dimension(&self, axis: usize, half: bool) -> String {
        super::zarr::dimension(&self.grid, axis, half)
    }

    /// Bytes of one chunk file: values padded to the largest block, then the checksum.
    #[must_use]
    pub fn chunk_bytes(&self) -> u64 {
        let cells: u64 = self.cuts.largest().iter().map(|&extent| extent as u64).product();
        cells * self.precision.bytes() as u64 + 4
    }

    /// Bytes of a coordinate's chunk file.
    pub(super) fn coordinate_bytes(&self, axis: usize) -> u64 {
        self.grid.points[axis] as u64 * 8 + 4
    }

    /// Name of the chunk file of `part` of `component`.
    #[must_use]
    pub fn chunk_name(&self, component: usize, part: usize) -> String {
        let place = self.cuts.place(part);
        let mut name = format!("{}/c", self.components[component].name);
        for at in self.grid.own(&place) {
            name.push('/');
            name.push_str(&at.to_string());
        }
        name
    }

    /// All files but the manifest, in its order, each with its length where that is known beforehand: metadata and
    /// coordinates, then the chunks of the components, parts in their order.
    pub(super) fn files(&self) -> impl Iterator<Item = (String, Option<u64>)> + '_ {
        let coordinates = self.coordinates().into_iter().flat_map(|(name, axis, _)| {
            let bytes = self.coordinate_bytes(axis);
            [(format!("{name}/zarr.json"), None), (format!("{name}/c/0"), Some(bytes))]
        });
        let arrays = self.components.iter().map(|field| (format!("{}/zarr.json", field.name), None));
        let bytes = self.chunk_bytes();
        let chunks = (0..self.components.len()).flat_map(move |component| {
            (0..self.cuts.count()).map(move |part| (self.chunk_name(component, part), Some(bytes)))
        });
        std::iter::once(("zarr.json".to_owned(), None)).chain(coordinates).chain(arrays).chain(chunks)
    }

    /// Files of the checkpoint, the manifest and the owner's record included, and bytes of all that the manifest lists.
    #[must_use]
    pub fn size(&self) -> (u64, u64) {
        let documents = super::zarr::documents(self);
        let metadata: u64 = documents.iter().map(|(_, bytes)| bytes.len() as u64).sum();
        let coordinates: u64 = self.coordinates().iter().map(|&(_, axis, _)| self.coordinate_bytes(axis)).sum();
        let chunks = self.cuts.count() as u64 * self.components.len() as u64;
        let files = self.files_before_chunks() as u64 + chunks + 2;
        (files, metadata + coordinates + chunks * self.chunk_bytes())
    }

    /// Number of files before the components' chunks.
    pub(super) fn files_before_chunks(&self) -> usize {
        1 + 2 * self.coordinates().len() + self.components.len()
    }
}

fn check_points(grid: &Grid) -> Result<(), MetaError> {
    if !(1..=AXES).contains(&grid.axes) {
        return Err(MetaError::Axes { axes: grid.axes });
    }
    let cells = grid.points.iter().try_fold(1_u64, |cells, &extent| cells.checked_mul(extent as u64));
    let led = grid.points[..grid.first()].iter().all(|&extent| extent == 1);
    match cells {
        Some(cells) if led && (1..=MAX_CELLS).contains(&cells) => Ok(()),
        _ => Err(MetaError::Points),
    }
}

/// Cuts of `grid` into `parts`; unlike [`Cuts::new`] quick to refuse whatever the numbers.
pub(super) fn checked_cuts(grid: &Grid, parts: [usize; AXES]) -> Result<Cuts, MetaError> {
    for (&extent, &count) in grid.points.iter().zip(&parts) {
        let whole = (1..=extent).contains(&count)
            && extent.div_ceil(count).checked_mul(count - 1).is_some_and(|start| start < extent);
        if !whole {
            return Err(MetaError::Cuts);
        }
    }
    let count = parts.iter().try_fold(1_usize, |all, &count| all.checked_mul(count));
    if count.is_none_or(|count| count > MAX_CHUNKS) {
        return Err(MetaError::Chunks { parts: count.unwrap_or(usize::MAX), components: 1 });
    }
    Cuts::new(grid.points, parts).map_err(|_| MetaError::Cuts)
}

fn check_components(meta: &Meta) -> Result<(), MetaError> {
    let count = meta.components.len();
    if !(1..=MAX_COMPONENTS).contains(&count) {
        return Err(MetaError::Components { count });
    }
    let mut taken: Vec<String> =
        (0..AXES).flat_map(|axis| [false, true].map(|half| meta.dimension(axis, half))).collect();
    for field in &meta.components {
        let letters = field.name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        let first = field.name.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic());
        let special = field.name == super::MANIFEST || field.name == super::owner::NAME;
        if !letters || !first || field.name.len() > MAX_NAME || special || taken.contains(&field.name) {
            return Err(MetaError::Name { name: field.name.chars().take(MAX_NAME).collect() });
        }
        taken.push(field.name.clone());
        let texts = [Some(&field.unit), Some(&field.about), field.standard_name.as_ref()];
        if texts.into_iter().flatten().any(|text| text.len() > MAX_TEXT) {
            return Err(MetaError::Text { what: "a component's description", most: MAX_TEXT });
        }
        if meta.grid.first() > 0 && field.half[..meta.grid.first()].contains(&true) {
            return Err(MetaError::Half { name: field.name.clone() });
        }
    }
    Ok(())
}

/// A state that the format cannot hold.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum MetaError {
    /// Number of axes.
    #[error("a grid has 1 to 4 axes, not {axes}")]
    Axes {
        /// Axes given.
        axes: usize,
    },
    /// Number of points.
    #[error("a grid has at least one point along each axis and at most 2^50 in all")]
    Points,
    /// Cuts that are not those of the grid, or leave a part empty.
    #[error("the cuts do not belong to the grid")]
    Cuts,
    /// Too many chunk files.
    #[error(
        "{parts} parts of {components} components make more than {MAX_CHUNKS} files, which strains every file system; \
         use fewer ranks"
    )]
    Chunks {
        /// Parts of the grid.
        parts: usize,
        /// Components of the state.
        components: usize,
    },
    /// No component, or too many.
    #[error("a state has 1 to {MAX_COMPONENTS} components, not {count}")]
    Components {
        /// Components given.
        count: usize,
    },
    /// A name that cannot be that of an array, or is taken.
    #[error("{name:?} cannot be the name of a component, or is taken")]
    Name {
        /// The name.
        name: String,
    },
    /// A component staggered along an axis that the grid does not have.
    #[error("component {name} is staggered along an axis that the grid does not have")]
    Half {
        /// The component.
        name: String,
    },
    /// A text that is too long.
    #[error("{what} has more than {most} bytes")]
    Text {
        /// Which text.
        what: &'static str,
        /// Most bytes.
        most: usize,
    },
    /// Infinity or NaN where a number belongs.
    #[error("time, time step, spacing and origin are finite numbers, not {value}")]
    Number {
        /// The value.
        value: f64,
    },
    /// Not a run id.
    #[error("{text:?} is no run id: 32 hexadecimal digits")]
    RunId {
        /// What was given.
        text: String,
    },
    /// A number that stands for no choice of the format.
    #[error("{what} has no choice number {number}")]
    Choice {
        /// What is chosen.
        what: &'static str,
        /// The number.
        number: u64,
    },
}
