//! Shallow water over a bed, on a plane or on the sphere: well-balanced finite volumes that let land fall dry and
//! flood.
//!
//! `h_t + div(h u) = 0`, `(h u)_t + div(h u u) + g h grad(h + z) = turning - friction`, with depth `h`, velocity `u`
//! and bed `z`.
//!
//! Depth, surface and velocity are reconstructed to faces with limited slopes, which gives a bed at each side of a
//! face; both sides see the water above one bed between them, and an HLL flux in which each cell's own pressure is
//! left out. So water at rest feels differences of equal numbers only, and on the sphere the areas of faces multiply
//! nothing else. Stable, with depths never negative, for `2 dt (rate_y + rate_x) <= 1`, `rate = (|u| + sqrt(g h)) /
//! spacing`.
//!
//! Input: depth, momenta and bed around a point, and on the sphere what its latitude gives. Output: depth and momenta
//! after a step. Invariant: both cells at a face compute its flux from the same values in the same order, so what one
//! loses the other gains, but for rounding. No stage leaves a negative depth, or momentum where the depth is below
//! `dry_depth`. The slot numbers here are the order of the fields in `declare`.
//!
//! Source: G. Chen and S. Noelle, SIAM J. Numer. Anal. 55, 2017, 758-784 (bed between the sides); E. Audusse, F.
//! Bouchut, M.-O. Bristeau, R. Klein and B. Perthame, SIAM J. Sci. Comput. 25, 2004, 2050-2065 (second order, source
//! in cells); E. F. Toro, *Shock-Capturing Methods for Free-Surface Shallow Flows*, 2001, section 10.5 (flux, speeds
//! at dry sides).

use std::f64::consts::PI;

use crate::declare::{Declaration, Field, Parameter, ParameterKind, Role};
use crate::lane::Lane;
use crate::setup::{Given, KernelError, Setup};
use crate::stencil::{Build, Cell, Kernel, Near, Stencil};

const DEPTH: usize = 0;
const MOMENTUM_X: usize = 1;
const MOMENTUM_Y: usize = 2;
const BED: usize = 3;
const SECANT: usize = 4;
const LOW_EDGE: usize = 5;
const HIGH_EDGE: usize = 6;
const TANGENT: usize = 7;
const SINE: usize = 8;
const DEPTH_BETWEEN: usize = 9;
const MOMENTUM_X_BETWEEN: usize = 10;
const MOMENTUM_Y_BETWEEN: usize = 11;
const SURFACE: usize = 12;
const VELOCITY_X: usize = 13;
const VELOCITY_Y: usize = 14;
const SURFACE_AT_START: usize = 15;

const Y: usize = 0;
const X: usize = 1;
/// Depth and momenta at the start of a step, and between its two stages.
const STEP: [usize; 3] = [DEPTH, MOMENTUM_X, MOMENTUM_Y];
const BETWEEN: [usize; 3] = [DEPTH_BETWEEN, MOMENTUM_X_BETWEEN, MOMENTUM_Y_BETWEEN];
/// Divides where 0/0 means 0.
const TINY: f64 = f32::MIN_POSITIVE as f64;

/// The kernel `shallow-water`.
#[derive(Clone, Copy, Debug)]
pub struct ShallowWater;

/// The shallow-water stencil, in metres or on a `SPHERE`.
struct Water<const SPHERE: bool> {
    dt: f64,
    gravity: f64,
    dry: f64,
    /// `dt g n^2` with Manning's number `n`.
    friction: f64,
    /// Twice the angular speed of the ground.
    turning: f64,
    /// 1 / spacing along y and x, in 1/m; on the sphere that along x holds at the equator.
    per: [f64; 2],
    /// 1 / radius of the sphere.
    curvature: f64,
    /// Least speed that the time step must be good for.
    speed: f64,
}

/// Water in a cell, seen along an axis.
#[derive(Clone, Copy)]
struct Column<L> {
    depth: L,
    surface: L,
    along: L,
    across: L,
}

/// Water at one side of a face.
#[derive(Clone, Copy)]
struct Edge<L> {
    depth: L,
    surface: L,
    bed: L,
    along: L,
    across: L,
}

/// What crosses a face, per metre of it. Momentum along the axis is less each side's own pressure.
#[derive(Clone, Copy)]
struct Flux<L> {
    mass: L,
    /// As the cells on the low and the high side feel it.
    along: [L; 2],
    across: L,
}

/// Rates of change along one axis, times the spacing.
#[derive(Clone, Copy)]
struct Change<L> {
    mass: L,
    along: L,
    across: L,
}

/// Half the step from `low` to `high` across a cell with the value `here`, and none at extremes (monotonized central).
#[inline(always)]
fn half_step<L: Lane>(low: L, here: L, high: L) -> L {
    let (below, above) = (here - low, high - here);
    let mean = (below + above) * L::of(0.25);
    let up = below.smaller(above).smaller(mean);
    let down = below.larger(above).larger(mean);
    up.larger(L::of(0.0)) + down.smaller(L::of(0.0))
}

/// The sides of the cell `here` towards `low` and `high`, and half the step of the surface across it.
#[inline(always)]
fn edges<L: Lane>(low: &Column<L>, here: &Column<L>, high: &Column<L>, dry: L) -> ([Edge<L>; 2], L) {
    let depth = half_step(low.depth, here.depth, high.depth);
    let surface = half_step(beside(here, low, dry), here.surface, beside(here, high, dry));
    let along = half_step(low.along, here.along, high.along);
    let across = half_step(low.across, here.across, high.across);
    ([edge(here, -depth, -surface, -along, -across), edge(here, depth, surface, along, across)], surface)
}

/// The surface beside `here`: where this is water and the neighbour lies dry (shallower than `dry`) above it, that of the water
/// itself. Else the height of land would tilt the water at its foot, and on a turning sphere tilt and flow would feed each
/// other.
#[inline(always)]
fn beside<L: Lane>(here: &Column<L>, there: &Column<L>, dry: L) -> L {
    let shore = L::select(there.depth.lt(dry), there.surface, here.surface);
    let water = L::select(here.surface.lt(shore), here.surface, there.surface);
    L::select(here.depth.lt(dry), there.surface, water)
}

/// The side of a cell whose values differ by these steps.
#[inline(always)]
fn edge<L: Lane>(here: &Column<L>, depth: L, surface: L, along: L, across: L) -> Edge<L> {
    let (depth, surface) = (here.depth + depth, here.surface + surface);
    Edge { depth, surface, bed: surface - depth, along: here.along + along, across: here.across + across }
}

impl<const SPHERE: bool> Water<SPHERE> {
    /// The water `cells` cells away along `axis`, with depth and momenta in slots `from`.
    #[inline(always)]
    fn column<L: Lane>(&self, cell: &impl Near<L, 2>, from: [usize; 3], axis: usize, cells: isize) -> Column<L> {
        let depth = cell.along(from[0], axis, cells);
        let dry = depth.lt(L::of(self.dry));
        let per_depth = L::select(dry, L::of(0.0), L::of(1.0) / depth);
        let x = cell.along(from[1], axis, cells) * per_depth;
        let y = cell.along(from[2], axis, cells) * per_depth;
        let (along, across) = if axis == X { (x, y) } else { (y, x) };
        Column { depth, surface: depth + cell.along(BED, axis, cells), along, across }
    }

    /// What crosses the face between `low` and `high`. Both orders of products are kept apart, so that mirror images cancel.
    #[inline(always)]
    fn flux<L: Lane>(&self, low: &Edge<L>, high: &Edge<L>) -> Flux<L> {
        let (zero, gravity) = (L::of(0.0), L::of(self.gravity));
        let bed = low.bed.larger(high.bed).smaller(low.surface.smaller(high.surface));
        // At a shore rounding may put the bed above the surface.
        let deep_low = (low.surface - low.bed.larger(bed)).larger(zero);
        let deep_high = (high.surface - high.bed.larger(bed)).larger(zero);
        // Water above a cliff feels the step down to the other side.
        let cliff_low = gravity * low.depth * (low.bed - bed).larger(zero);
        let cliff_high = gravity * high.depth * (high.bed - bed).larger(zero);

        let (wave_low, wave_high) = ((gravity * deep_low).sqrt(), (gravity * deep_high).sqrt());
        let dry_low = deep_low.lt(L::of(self.dry));
        let dry_high = deep_high.lt(L::of(self.dry));
        let front_down = L::select(dry_low, high.along - (wave_high + wave_high), zero);
        let front_up = L::select(dry_high, low.along + (wave_low + wave_low), zero);
        let down = (low.along - wave_low).smaller(high.along - wave_high).smaller(front_down).smaller(zero);
        let up = (low.along + wave_low).larger(high.along + wave_high).larger(front_up).larger(zero);
        let per_width = L::of(1.0) / (up - down).larger(L::of(TINY));

        let (from_low, from_high) = (deep_low * low.along, deep_high * high.along);
        let both = up * down;
        let mass = ((up * from_low - down * from_high) + both * (deep_high - deep_low)) * per_width;
        let carried = (up * (from_low * low.along) - down * (from_high * high.along)) + both * (from_high - from_low);
        let step = L::of(0.5) * gravity * ((deep_high - deep_low) * (deep_high + deep_low));
        let along_low = (carried - down * step) * per_width - cliff_low;
        let along_high = (carried - up * step) * per_width - cliff_high;
        let across = mass * L::select(mass.lt(zero), high.across, low.across);
        Flux { mass, along: [along_low, along_high], across }
    }

    /// Rates of change along `axis`. On the sphere along y, fluxes through faces count by their lengths.
    #[inline(always)]
    fn change<L: Lane>(&self, cell: &impl Near<L, 2>, from: [usize; 3], axis: usize) -> Change<L> {
        let columns = [
            self.column(cell, from, axis, -2),
            self.column(cell, from, axis, -1),
            self.column(cell, from, axis, 0),
            self.column(cell, from, axis, 1),
            self.column(cell, from, axis, 2),
        ];
        let dry = L::of(self.dry);
        let ([_, before], _) = edges(&columns[0], &columns[1], &columns[2], dry);
        let ([first, last], rise) = edges(&columns[1], &columns[2], &columns[3], dry);
        let ([after, _], _) = edges(&columns[2], &columns[3], &columns[4], dry);
        let (low, high) = (self.flux(&before, &first), self.flux(&last, &after));
        // Bed and pressure within the cell together: the slope of the surface.
        let slope = L::of(self.gravity) * columns[2].depth * (rise + rise);
        if SPHERE && axis == Y {
            let (at_low, at_high) = (cell.here(LOW_EDGE), cell.here(HIGH_EDGE));
            return Change {
                mass: at_high * high.mass - at_low * low.mass,
                along: (at_high * high.along[0] - at_low * low.along[1]) + slope,
                across: at_high * high.across - at_low * low.across,
            };
        }
        Change {
            mass: high.mass - low.mass,
            along: (high.along[0] - low.along[1]) + slope,
            across: high.across - low.across,
        }
    }

    /// Depth and momenta `dt` after those in slots `from`, as far as fluxes and turning go.
    #[inline(always)]
    fn euler<L: Lane>(&self, cell: &impl Near<L, 2>, from: [usize; 3]) -> [L; 3] {
        let (y, x) = (self.change(cell, from, Y), self.change(cell, from, X));
        let dt = L::of(self.dt);
        let per_y = L::of(self.per[Y]);
        let mut per_x = L::of(self.per[X]);
        let mut turning = L::of(self.turning);
        if SPHERE {
            let here = self.column(cell, from, X, 0);
            per_x = per_x * cell.here(SECANT);
            turning = turning * cell.here(SINE) + here.along * (L::of(self.curvature) * cell.here(TANGENT));
        }
        let [depth, momentum_x, momentum_y] = self.here(cell, from);
        let depth = (depth - dt * (per_y * y.mass + per_x * x.mass)).larger(L::of(0.0));
        let force_x = turning * momentum_y - (per_y * y.across + per_x * x.along);
        let force_y = -(turning * momentum_x) - (per_y * y.along + per_x * x.across);
        self.settle([depth, momentum_x + dt * force_x, momentum_y + dt * force_y])
    }

    /// Depth and momenta of the point itself. A job may start with momentum where it is dry.
    #[inline(always)]
    fn here<L: Lane>(&self, cell: &impl Near<L, 2>, from: [usize; 3]) -> [L; 3] {
        self.settle([cell.here(from[0]), cell.here(from[1]), cell.here(from[2])])
    }

    /// The same water, at rest where it is too shallow to move.
    #[inline(always)]
    fn settle<L: Lane>(&self, [depth, x, y]: [L; 3]) -> [L; 3] {
        let dry = depth.lt(L::of(self.dry));
        [depth, L::select(dry, L::of(0.0), x), L::select(dry, L::of(0.0), y)]
    }

    /// The same water after the bed has dragged at it for `dt`: exact for `du/dt = -g n^2 |u| u / h^(4/3)`.
    #[inline(always)]
    fn drag<L: Lane>(&self, [depth, x, y]: [L; 3]) -> [L; 3] {
        let wet = depth.larger(L::of(self.dry));
        let momentum = (x * x + y * y).sqrt();
        let slower = L::of(1.0) + L::of(self.friction) * momentum / (wet * wet * cube_root(wet));
        [depth, x / slower, y / slower]
    }
}

/// Cube root of a positive number to within a few roundings, for 1e-12 to 1e12.
#[inline(always)]
fn cube_root<L: Lane>(value: L) -> L {
    // The power 5/16 is near; each step of Halley's triples the digits.
    let mut root = (value * value.sqrt().sqrt()).sqrt().sqrt();
    for _ in 0..4 {
        let cube = root * root * root;
        root = root * ((cube + (value + value)) / ((cube + cube) + value));
    }
    root
}

impl<const SPHERE: bool> Stencil<2> for Water<SPHERE> {
    const STAGES: usize = 2;

    #[inline(always)]
    fn point<L: Lane>(&self, stage: usize, cell: &mut impl Cell<L, 2>) {
        if stage == 0 {
            let next = self.euler(cell, STEP);
            for (slot, value) in BETWEEN.into_iter().zip(next) {
                cell.set(slot, value);
            }
        } else {
            let next = self.euler(cell, BETWEEN);
            let half = L::of(0.5);
            let before = self.here(cell, STEP);
            let (depth, x) = (half * (before[0] + next[0]), half * (before[1] + next[1]));
            let mut settled = self.settle([depth, x, half * (before[2] + next[2])]);
            if self.friction > 0.0 {
                settled = self.drag(settled);
            }
            for (slot, value) in STEP.into_iter().zip(settled) {
                cell.set(slot, value);
            }
        }
    }

    #[inline(always)]
    fn rate<L: Lane>(&self, cell: &impl Near<L, 2>) -> L {
        let here = self.column(cell, STEP, X, 0);
        let wave = (L::of(self.gravity) * here.depth).sqrt();
        let fast = L::of(self.speed);
        let mut rate_x = (here.along.abs().larger(fast) + wave) * L::of(self.per[X]);
        let mut rate_y = (here.across.abs().larger(fast) + wave) * L::of(self.per[Y]);
        if SPHERE {
            rate_x = rate_x * cell.here(SECANT);
            rate_y = rate_y * cell.here(LOW_EDGE).larger(cell.here(HIGH_EDGE));
        }
        L::of(2.0) * (rate_y + rate_x)
    }

    #[inline(always)]
    fn start<L: Lane>(&self, cell: &mut impl Cell<L, 2>) {
        let depth = cell.here(SURFACE_AT_START) - cell.here(BED);
        cell.set(DEPTH, depth.larger(L::of(0.0)));
    }

    fn clock(&self, stage: usize) -> f64 {
        // The second stage reads what Euler's step made of the first.
        if stage == 0 { 0.0 } else { 1.0 }
    }

    #[inline(always)]
    fn inflow<L: Lane>(&self, _slot: usize, value: L, cell: &mut impl Cell<L, 2>) {
        // The momentum is that of the water inside.
        let depth = value - cell.here(BED);
        cell.set(DEPTH, depth.larger(L::of(0.0)));
    }

    #[inline(always)]
    fn derive<L: Lane>(&self, slot: usize, cell: &impl Near<L, 2>) -> L {
        let here = self.column(cell, STEP, X, 0);
        match slot {
            SURFACE => here.surface,
            VELOCITY_X => here.along,
            VELOCITY_Y => here.across,
            _ => L::of(f64::NAN),
        }
    }
}

fn radians(degrees: f64) -> f64 {
    degrees * (PI / 180.0)
}

fn cosine(latitude: f64) -> f64 {
    libm::cos(radians(latitude))
}

impl Kernel for ShallowWater {
    fn declare(&self, _axes: usize) -> Declaration {
        let number = |name, about, unit, default, least, most| Parameter {
            name,
            about,
            unit,
            kind: ParameterKind::Number { default: Some(default), least, most },
        };
        let scratch = |name, stands_for| Field {
            stands_for: Some(stands_for),
            ..Field::new(name, Role::Scratch, "1", "between the two stages")
        };
        let named = |standard_name, field| Field { standard_name: Some(standard_name), ..field };
        let component = |name, unit, about| Field::new(name, Role::Component, unit, about);
        let derived = |name, unit, about| Field::new(name, Role::Derived, unit, about);
        let latitude = |name, value| Field::new(name, Role::Coefficient, "1", "of the latitude").of_latitude(value);
        Declaration {
            name: "shallow-water",
            title: "water over a bed: waves, tsunamis, floods, tides of a rotating sphere; land falls dry and floods",
            equation: "h_t + div(h u) = 0, (h u)_t + div(h u u) + g h grad(h + z) = f h u turned - g n^2 |u| u / h^(1/3)",
            scheme: "finite volumes of second order (monotonized central slopes), HLL flux, two stages (SSP Runge-Kutta), \
                     radius 4; keeps water at rest at rest, over dry land too; friction point-implicit",
            bound: "2 dt (rate_y + rate_x) <= 1 with rate = (|u| + sqrt(g h)) / spacing in metres, largest over the grid",
            source: "G. Chen and S. Noelle, SIAM J. Numer. Anal. 55, 2017, 758-784; E. Audusse, F. Bouchut, M.-O. Bristeau, \
                     R. Klein and B. Perthame, SIAM J. Sci. Comput. 25, 2004, 2050-2065; E. F. Toro, Shock-Capturing \
                     Methods for Free-Surface Shallow Flows, 2001, section 10.5",
            axes: (2, 2),
            parameters: vec![
                number("gravity", "acceleration of gravity", "m s-2", 9.81, 0.0, f64::INFINITY),
                number("manning", "Manning's number of the bed", "s m-1/3", 0.0, 0.0, f64::INFINITY),
                number("dry_depth", "water below this depth does not move", "m", 1e-6, 1e-9, f64::INFINITY),
                number(
                    "coriolis",
                    "angular speed of the ground, 7.2921e-5 on the earth; f = 2 coriolis, times sin(lat) in degrees",
                    "rad s-1",
                    0.0,
                    f64::NEG_INFINITY,
                    f64::INFINITY,
                ),
                number("radius", "radius of the sphere that degrees are on", "m", 6.371e6, 1.0, f64::INFINITY),
            ],
            fields: vec![
                named("sea_floor_depth_below_sea_surface", component("depth", "m", "depth of the water")).at_least(0.0),
                component("momentum_x", "m2 s-1", "depth times velocity along x or to the east").or(0.0).odd_across(X),
                component("momentum_y", "m2 s-1", "depth times velocity along y or to the north").or(0.0).odd_across(Y),
                Field::new("bed", Role::Coefficient, "m", "height of the bed, up positive"),
                latitude("secant", |at, _| 1.0 / cosine(at)),
                latitude("low_edge", |at, spacing| edge_length(at - 0.5 * spacing, at)),
                latitude("high_edge", |at, spacing| edge_length(at + 0.5 * spacing, at)),
                latitude("tangent", |at, _| libm::tan(radians(at))),
                latitude("sine", |at, _| libm::sin(radians(at))),
                scratch("depth_between", DEPTH),
                scratch("momentum_x_between", MOMENTUM_X).odd_across(X),
                scratch("momentum_y_between", MOMENTUM_Y).odd_across(Y),
                named(
                    "water_surface_height_above_reference_datum",
                    derived("surface", "m", "height of the water's surface, or of the bed where it is dry"),
                )
                .inflow(),
                named("sea_water_x_velocity", derived("velocity_x", "m s-1", "velocity along x or to the east")),
                named("sea_water_y_velocity", derived("velocity_y", "m s-1", "velocity along y or to the north")),
                Field::new("surface", Role::Start, "m", "height of the surface at the start, instead of depth")
                    .optional(),
            ],
            rate_of_state: true,
            degrees: true,
            default_dt: None,
        }
    }

    fn build<B: Build>(&self, setup: &Setup, build: B) -> Result<B::Output, KernelError> {
        if setup.given[DEPTH] != Given::Absent && setup.given[SURFACE_AT_START] != Given::Absent {
            let problem = "both depth and surface are given; remove one of them";
            return Err(KernelError { key: "surface".into(), problem: problem.into() });
        }
        Ok(if setup.degrees { build.stencil(water::<true>(setup)) } else { build.stencil(water::<false>(setup)) })
    }
}

/// Length of the edge of a cell at latitude `edge`, in lengths of its middle at latitude `middle`.
fn edge_length(edge: f64, middle: f64) -> f64 {
    cosine(edge) / cosine(middle)
}

fn water<const SPHERE: bool>(setup: &Setup) -> Water<SPHERE> {
    let (gravity, manning, radius) = (setup.number("gravity"), setup.number("manning"), setup.number("radius"));
    let metres = |spacing: f64| if SPHERE { radius * radians(spacing) } else { spacing };
    Water {
        dt: setup.dt,
        gravity,
        dry: setup.number("dry_depth"),
        friction: setup.dt * gravity * manning * manning,
        turning: 2.0 * setup.number("coriolis"),
        per: [1.0 / metres(setup.spacing[Y]), 1.0 / metres(setup.spacing[X])],
        curvature: 1.0 / radius,
        speed: setup.speed,
    }
}
