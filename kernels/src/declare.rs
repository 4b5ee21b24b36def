//! What a kernel says about itself: equation, parameters, fields, boundaries.
//!
//! Output: plain data that the job reader, the documentation and the checkpoint format share. Invariant: a slot is a
//! place in `fields`, by which the kernel's code knows it, so their order changes only together with that code. What a
//! component says of itself (name, unit, text, half cells, kind of allowed values) stands in checkpoints, and a branch
//! is refused where it differs from the kernel's.

use std::fmt;

use crate::setup::Given;

/// A kernel's description for a grid of a given number of axes.
#[derive(Clone, Debug)]
pub struct Declaration {
    /// Name in the job file.
    pub name: &'static str,
    /// One line: what it computes.
    pub title: &'static str,
    /// The equation, in plain text.
    pub equation: &'static str,
    /// The scheme: order, levels in time, stencil.
    pub scheme: &'static str,
    /// The bound on the time step, in plain text.
    pub bound: &'static str,
    /// Author, title, year and chapter of the formula.
    pub source: &'static str,
    /// Fewest and most axes that it runs on.
    pub axes: (usize, usize),
    /// Parameters, by their names in `[kernel]`.
    pub parameters: Vec<Parameter>,
    /// Fields in slot order, by their names in `[fields]`.
    pub fields: Vec<Field>,
    /// True if the rate that bounds the time step reads components.
    pub rate_of_state: bool,
    /// True if coordinates may be in degrees.
    pub degrees: bool,
    /// Default time step where a job gives none.
    pub default_dt: Option<f64>,
}

impl Declaration {
    /// A kernel that says its name, on how many axes it runs (fewest and most) and its fields; what else there is to say is
    /// added with `..Declaration::new(...)`.
    #[must_use]
    pub fn new(name: &'static str, axes: (usize, usize), fields: Vec<Field>) -> Self {
        Self {
            name,
            title: "",
            equation: "",
            scheme: "",
            bound: "",
            source: "",
            axes,
            parameters: Vec::new(),
            fields,
            rate_of_state: false,
            degrees: false,
            default_dt: None,
        }
    }

    /// Slot of the field called `name`; of two, the first one (a start field may share its name with a derived one, which
    /// stands before it).
    #[must_use]
    pub fn slot(&self, name: &str) -> Option<usize> {
        self.fields.iter().position(|field| field.name == name)
    }

    /// Slots and fields of role `role`, in order.
    pub fn of_role(&self, role: Role) -> impl Iterator<Item = (usize, &Field)> {
        self.fields.iter().enumerate().filter(move |(_, field)| field.role == role)
    }

    /// True if [`crate::Stencil::start`] makes components, fields being given as `given` says: from start fields, or those that
    /// are left out.
    #[must_use]
    pub fn starts(&self, given: &[Given]) -> bool {
        let start = self.of_role(Role::Start).any(|(slot, _)| given[slot] != Given::Absent);
        start || self.of_role(Role::Component).any(|(slot, _)| given[slot] == Given::Absent)
    }
}

/// A number, word or list in `[kernel]`.
#[derive(Clone, Debug)]
pub struct Parameter {
    /// Key in `[kernel]`.
    pub name: &'static str,
    /// One line: what it is.
    pub about: &'static str,
    /// Unit, `"1"` where it has none.
    pub unit: &'static str,
    /// Type, range and default.
    pub kind: ParameterKind,
}

impl Parameter {
    /// A number of at least `least` that must be given.
    #[must_use]
    pub fn at_least(name: &'static str, unit: &'static str, about: &'static str, least: f64) -> Self {
        Self { name, about, unit, kind: ParameterKind::Number { default: None, least, most: f64::INFINITY } }
    }
}

/// Type of a parameter with what is allowed and its default.
#[derive(Clone, Debug)]
pub enum ParameterKind {
    /// A finite number between two bounds, both included; without a default it must be given.
    Number {
        /// Value where the job gives none.
        default: Option<f64>,
        /// Least value.
        least: f64,
        /// Largest value.
        most: f64,
    },
    /// One of some numbers.
    Choice {
        /// Value where the job gives none.
        default: f64,
        /// Allowed numbers.
        choices: &'static [f64],
    },
    /// A table of numbers, which may be left out.
    Group {
        /// Its keys, all of [`ParameterKind::Number`].
        entries: Vec<Parameter>,
    },
    /// One of some words.
    Word {
        /// Value where the job gives none.
        default: &'static str,
        /// Allowed words.
        choices: &'static [&'static str],
    },
    /// A list of finite numbers.
    List {
        /// Value where the job gives none.
        default: Vec<f64>,
        /// How many there must be.
        len: usize,
    },
    /// A word of some form.
    Text {
        /// Value where the job gives none.
        default: &'static str,
        /// The form, in words.
        form: &'static str,
        /// The word as it is kept, the same for all that mean the same.
        ///
        /// # Errors
        ///
        /// What is wrong with it.
        check: fn(&str) -> Result<String, String>,
    },
}

/// One field of a kernel: a slot.
#[derive(Clone, Debug)]
pub struct Field {
    /// Name in `[fields]`, outputs and checkpoints.
    pub name: &'static str,
    /// One line: what it is.
    pub about: &'static str,
    /// Unit in outputs, `"1"` where it has none.
    pub unit: &'static str,
    /// CF standard name, where there is one.
    pub standard_name: Option<&'static str>,
    /// What the engine does with it.
    pub role: Role,
    /// Value where a job gives none; `None`: required, unless the role makes it optional.
    pub default: Option<f64>,
    /// True if the job may leave it out without a default: the kernel then leaves out the term, or computes the component at
    /// the start.
    pub optional: bool,
    /// Values that make sense; others are an error in the job's input.
    pub allowed: Allowed,
    /// How a wall mirrors it, for walls across each axis (slowest first, fastest last; as many as the grid has).
    pub mirror: [Mirror; 4],
    /// For scratch fields: the component whose value it takes at points that a fixed boundary holds.
    pub stands_for: Option<usize>,
    /// Axes along which its points lie half a cell beyond the cell centres. Of such a component the last point along a walled
    /// axis lies on the wall or beyond it: see [`Field::rests`].
    pub half: [bool; 4],
    /// For coefficients that no job gives: on grids in degrees the value is this function of latitude and spacing along it,
    /// both in degrees; on grids in metres the field is absent.
    pub of_latitude: Option<fn(f64, f64) -> f64>,
    /// For coefficients that no job gives: where the job gives the group of parameters of this name, the value is the distance
    /// in cells from the nearest side that is not periodic (0 in the outermost cell, [`FAR`] where there is no such side); else
    /// the field is absent.
    pub of_sides: Option<&'static str>,
    /// For coefficients that no job gives: the value is the sum of `2^(2 a + s)` over the walls that the point lies at, across
    /// axis `a` (0 is the slowest) on side `s` (0 low, 1 high); on grids without walls it is the number 0.
    pub of_walls: bool,
    /// True if a job may give its value beyond open sides as a function of time, of which [`crate::Stencil::inflow`] makes
    /// components.
    pub inflow: bool,
    /// For components that a point source of the job may add to: the order of its equation in time. A step then adds
    /// `dt^order` times the source's value.
    pub source: Option<u8>,
}

impl Field {
    /// A field at cell centres that walls mirror evenly, required in the job.
    #[must_use]
    pub fn new(name: &'static str, role: Role, unit: &'static str, about: &'static str) -> Self {
        Self {
            name,
            about,
            unit,
            standard_name: None,
            role,
            default: None,
            optional: false,
            allowed: Allowed::ALL,
            mirror: [Mirror::Even; 4],
            stands_for: None,
            half: [false; 4],
            of_latitude: None,
            of_sides: None,
            of_walls: false,
            inflow: false,
            source: None,
        }
    }

    /// The same with a default value.
    #[must_use]
    pub fn or(self, default: f64) -> Self {
        Self { default: Some(default), ..self }
    }

    /// The same, optional: a job may leave the term out.
    #[must_use]
    pub fn optional(self) -> Self {
        Self { optional: true, ..self }
    }

    /// The same, refused below `least`.
    #[must_use]
    pub fn at_least(self, least: f64) -> Self {
        Self { allowed: Allowed::AtLeast(least), ..self }
    }

    /// The same, refused where it is none of `values`.
    #[must_use]
    pub fn one_of(self, values: &'static [f64]) -> Self {
        Self { allowed: Allowed::OneOf(values), ..self }
    }

    /// The same, computed from latitude (and the spacing along it) instead of given in the job.
    #[must_use]
    pub fn of_latitude(self, value: fn(f64, f64) -> f64) -> Self {
        Self { of_latitude: Some(value), ..self }
    }

    /// The same, the distance in cells from the nearest side that is not periodic where the job gives `group`.
    #[must_use]
    pub fn of_sides(self, group: &'static str) -> Self {
        Self { of_sides: Some(group), ..self }
    }

    /// The same, which says at which walls a point lies.
    #[must_use]
    pub fn of_walls(self) -> Self {
        Self { of_walls: true, ..self }
    }

    /// True if its place alone decides its value: no job gives it, nobody looks at it.
    #[must_use]
    pub fn of_place(&self) -> bool {
        self.of_latitude.is_some() || self.of_sides.is_some() || self.of_walls
    }

    /// The same, which may flow in through open sides.
    #[must_use]
    pub fn inflow(self) -> Self {
        Self { inflow: true, ..self }
    }

    /// The same, which point sources may add to: its equation is of order `order` in time.
    #[must_use]
    pub fn source(self, order: u8) -> Self {
        Self { source: Some(order), ..self }
    }

    /// The same, mirrored with opposite sign by walls across `axis`.
    #[must_use]
    pub fn odd_across(self, axis: usize) -> Self {
        self.mirrored(axis, Mirror::Odd)
    }

    /// The same, mirrored as `mirror` says by walls across `axis`.
    #[must_use]
    pub fn mirrored(mut self, axis: usize, mirror: Mirror) -> Self {
        self.mirror[axis] = mirror;
        self
    }

    /// The same, with points half a cell beyond the centres along `axis`.
    #[must_use]
    pub fn half_along(mut self, axis: usize) -> Self {
        self.half[axis] = true;
        self
    }

    /// Ends of the grid, low and high, at which a wall across `axis` holds the component at 0: both where it is odd about the
    /// last point. Of points half a cell beyond the centres the last one lies on a wall half a cell outside, where it is odd,
    /// or beyond a wall at the last centre, where it stands for nothing.
    #[must_use]
    pub fn rests(&self, axis: usize) -> [bool; 2] {
        if self.role != Role::Component {
            return [false; 2];
        }
        [
            !self.half[axis] && self.mirror[axis] == Mirror::OddAtPoint,
            self.half[axis] || self.mirror[axis] == Mirror::OddAtPoint,
        ]
    }
}

/// Values of a field that make sense.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Allowed {
    /// This and all above.
    AtLeast(f64),
    /// These alone.
    OneOf(&'static [f64]),
}

impl Allowed {
    /// All values.
    pub const ALL: Self = Self::AtLeast(f64::NEG_INFINITY);

    /// True if `value`, which is a number, makes sense.
    #[must_use]
    pub fn holds(self, value: f64) -> bool {
        match self {
            Self::AtLeast(least) => value >= least,
            Self::OneOf(values) => values.contains(&value),
        }
    }
}

impl fmt::Display for Allowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtLeast(least) => write!(f, "the least value that makes sense is {least}"),
            Self::OneOf(values) => {
                let values: Vec<String> = values.iter().map(f64::to_string).collect();
                write!(f, "the values that make sense are {}", values.join(" and "))
            }
        }
    }
}

/// Distance in cells where there is no side to be distant from; a whole number in either precision.
pub const FAR: f64 = 4_294_967_296.0;

/// What the engine does with a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Evolves; stored in checkpoints; given in the job at the start.
    Component,
    /// Read only; given in the job as a number, formula or file.
    Coefficient,
    /// Read only; computed once by [`crate::Stencil::prepare`].
    Prepared,
    /// Passes values between the stages of a step.
    Scratch,
    /// Given at the start instead of components; read once by [`crate::Stencil::start`].
    Start,
    /// Computed for outputs by [`crate::Stencil::derive`].
    Derived,
}

/// What lies beyond one side of the grid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beyond {
    /// The other end of the axis.
    Periodic,
    /// A mirror.
    Wall,
    /// Nothing: the last point keeps its initial value.
    Fixed,
    /// The same value as at the last point.
    Open,
}

impl Beyond {
    /// Its word in the job file.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Periodic => "periodic",
            Self::Wall => "wall",
            Self::Fixed => "fixed",
            Self::Open => "open",
        }
    }
}

/// How a wall mirrors a field: half a cell outside the last cell centre, or at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mirror {
    /// Same value beyond the wall.
    Even,
    /// Same value with opposite sign beyond the wall.
    Odd,
    /// Even, about a wall at the last cell centre.
    EvenAtPoint,
    /// Odd, about a wall at the last cell centre, where the field is zero.
    OddAtPoint,
}

/// The kernels that a job may name.
pub trait Catalog {
    /// Names, in order.
    fn names(&self) -> Vec<&'static str>;

    /// What the kernel called `name` says about itself on a grid of `axes` axes (1 to 4, also beyond those it runs on).
    fn declare(&self, name: &str, axes: usize) -> Option<Declaration>;
}
