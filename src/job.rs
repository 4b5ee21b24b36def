//! Job file to [`Job`]: every value checked once, here and nowhere else.
//!
//! Input: TOML text and the files it names. Output: a [`Job`]. Invariant: a `Job` that exists is valid.

use std::path::PathBuf;

use ringfort_kernels::{Declaration, Setup};

use crate::grid::Grid;

/// A valid job.
#[derive(Clone, Debug)]
pub struct Job {
    /// Name: `name` in the file, else the file's stem.
    pub name: String,
    /// Text as given, without overrides.
    pub text: String,
    /// The job file.
    pub path: PathBuf,
    /// The grid.
    pub grid: Grid,
    /// What the kernel says about itself on this grid.
    pub declaration: Declaration,
    /// Kernel's parameters and how each field is given; `dt` is the one in force (1 until a Courant number is resolved).
    pub setup: Setup,
    /// Precision of the fields.
    pub precision: Precision,
    /// Where each slot's values come from; `None` for slots that the job does not give.
    pub sources: Vec<Option<Source>>,
    /// Time axis.
    pub time: Time,
    /// When to checkpoint and how many to keep.
    pub checkpoint: Checkpoint,
    /// Images to draw.
    pub images: Vec<Image>,
    /// Torus mode's settings.
    pub torus: Torus,
    /// Hash of everything that the values of the fields depend on, `steps` excluded.
    pub fingerprint: [u8; 32],
}

/// Precision of the fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    /// 4 bytes.
    F32,
    /// 8 bytes.
    F64,
}

/// Where a field's values come from.
#[derive(Clone, Debug)]
pub enum Source {
    /// One number for all points.
    Number(f64),
    /// A formula of the coordinates.
    Formula(formula::Formula),
    /// An array in a file.
    File(input::Input),
}

/// The time axis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Time {
    /// Last step.
    pub steps: u64,
    /// How the time step is given.
    pub step: TimeStep,
}

/// How a job gives its time step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum TimeStep {
    /// Seconds.
    Seconds(f64),
    /// Share of the kernel's bound.
    Courant(f64),
}

/// When something is due.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Every {
    /// At multiples of so many steps.
    Steps(u64),
    /// When so many seconds have gone by.
    Seconds(f64),
}

/// `[checkpoint]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Checkpoint {
    /// When; `None`: only after the last step.
    pub every: Option<Every>,
    /// Newest kept.
    pub keep: usize,
}

/// `[[image]]`: a picture of a plane of a field.
#[derive(Clone, Debug, PartialEq)]
pub struct Image {
    /// Name of the field: a component, coefficient or derived field.
    pub field: String,
    /// Slot of the field.
    pub slot: usize,
    /// At multiples of so many steps.
    pub every: u64,
    /// Cut plane: axis (0 to 3) and point index on it; `None` for grids of one or two axes.
    pub plane: Vec<(usize, usize)>,
    /// Name of the colour map.
    pub colors: String,
    /// Lowest and highest value of the colour bar; `None`: those of the picture.
    pub range: Option<(f64, f64)>,
}

/// `[torus]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Torus {
    /// Ranks along each axis of the job.
    pub ranks: Option<Vec<usize>>,
    /// Steps per exchange, at least 1.
    pub steps_per_exchange: usize,
}

pub mod formula;
pub mod input;

/// The kernels that a job may name.
pub trait Catalog {
    /// Names, in order.
    fn names(&self) -> Vec<&'static str>;

    /// What the kernel called `name` says about itself on a grid of `axes` axes.
    fn declare(&self, name: &str, axes: usize) -> Option<Declaration>;
}
