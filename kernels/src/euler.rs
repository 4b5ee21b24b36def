//! Compressible gas without friction: finite volumes of second order with shocks.
//!
//! `r_t + div(m) = 0`, `m_t + div(m m / r) + grad p = 0`, `e_t + div((e + p) m / r) = 0`, with density `r`, momentum
//! `m`, total energy per volume `e` and pressure `p = (gamma - 1) (e - m^2 / 2 r)`.
//!
//! Density, velocity and pressure are reconstructed to faces with limited slopes (minmod of steepness 1.5), which keeps
//! them between their neighbours', hence positive. Fluxes are HLLC: with the outer speeds `S` of Davis and the middle
//! speed `v`, the side that the middle moves away from gives `mass = a v / (S - v)`, `a = r (S - u)`; momentum
//! `mass v + p*`; energy `mass (e / r + (v - u) (v + p / a)) + p* v`. Where that side's own speed points away too, `v`
//! is its velocity and `p*` its pressure. Two stages (SSP Runge-Kutta). All sums of two sides or two faces are
//! differences that change sign exactly in a mirror, so a mirrored start gives the mirror image bit for bit along each
//! axis.
//!
//! Guard: gas thinner than its floor is raised to it and rests, a pressure below its floor is raised to it. Only there
//! mass, momentum or energy is not kept.
//!
//! Stable for `dt sum (|u| + c) / h <= 1`, `c = sqrt(gamma p / r)`; half of that makes no new extremes.
//!
//! Input: the gas up to two cells away along each axis. Output: the gas at the point a step later. Invariant: the two
//! cells of a face compute its flux from the same four cells in the same order, so both have the same bits and what one
//! gives the other takes. What a stage leaves obeys both floors (the pressure but for rounding). The slots counted in
//! `Gas` and the list in `fields` have one order, and neither changes without the other.
//!
//! Source: E. F. Toro, *Riemann Solvers and Numerical Methods for Fluid Dynamics*, 3rd edition, Springer 2009, sections
//! 10.4 to 10.6 and 14.4; slopes: A. Kurganov and E. Tadmor, J. Comput. Phys. 160, 2000, 241-282; stages: S. Gottlieb,
//! C.-W. Shu and E. Tadmor, SIAM Review 43, 2001, 89-112.

use crate::declare::{Declaration, Field, Parameter, ParameterKind, Role};
use crate::lane::Lane;
use crate::setup::{Given, KernelError, Setup};
use crate::stencil::{Build, Cell, Kernel, Near, Stencil};
use crate::unroll::unroll;

const DENSITY: usize = 0;
/// Momenta along x, y, z follow, then the energy; the same again between stages.
const MOMENTUM: usize = 1;

/// Half of 1.5, the steepness of slopes: 1 smears, 2 makes stairs of waves at long time steps.
const STEEP: f64 = 0.75;

/// The kernel `euler`.
#[derive(Clone, Copy, Debug)]
pub struct Euler;

/// The stencil of the gas.
struct Gas<const AXES: usize> {
    /// `dt / h` and `1 / h` along each axis.
    ratio: [f64; AXES],
    per: [f64; AXES],
    gamma: f64,
    least_density: f64,
    least_pressure: f64,
    /// What a job gives at the start instead of momenta and energy.
    velocity: [bool; AXES],
    pressure: bool,
    /// Least speed that the time step must be good for.
    speed: f64,
}

/// Gas in a cell or at one side of a face.
#[derive(Clone, Copy)]
struct State<L, const AXES: usize> {
    density: L,
    /// Along each axis, slowest first.
    velocity: [L; AXES],
    pressure: L,
}

/// What evolves: of a cell, or through a face.
#[derive(Clone, Copy)]
struct Conserved<L, const AXES: usize> {
    density: L,
    momentum: [L; AXES],
    energy: L,
}

/// One side of a face, with the speed of its outermost wave.
#[derive(Clone, Copy)]
struct Side<L, const AXES: usize> {
    state: State<L, AXES>,
    /// Velocity across the face.
    across: L,
    /// Pressure per density.
    specific: L,
    outer: L,
    /// `density (outer - across)`.
    swept: L,
}

/// Half the step from `low` to `high` across a cell with the value `here`, at most [`STEEP`] of that to either, and none at
/// extremes.
#[inline(always)]
fn half_step<L: Lane>(low: L, here: L, high: L) -> L {
    let (below, above) = (here - low, high - here);
    let mean = (below + above) * L::of(0.25);
    let (below, above) = (below * L::of(STEEP), above * L::of(STEEP));
    let up = below.smaller(above).smaller(mean);
    let down = below.larger(above).larger(mean);
    up.larger(L::of(0.0)) + down.smaller(L::of(0.0))
}

/// The sides of the cell `here` towards `low` and `high`.
#[inline(always)]
fn edges<L: Lane, const AXES: usize>(
    low: &State<L, AXES>,
    here: &State<L, AXES>,
    high: &State<L, AXES>,
) -> [State<L, AXES>; 2] {
    let (mut first, mut last) = (*here, *here);
    let step = half_step(low.density, here.density, high.density);
    (first.density, last.density) = (here.density - step, here.density + step);
    let step = half_step(low.pressure, here.pressure, high.pressure);
    (first.pressure, last.pressure) = (here.pressure - step, here.pressure + step);
    for axis in 0..AXES {
        let step = half_step(low.velocity[axis], here.velocity[axis], high.velocity[axis]);
        first.velocity[axis] = here.velocity[axis] - step;
        last.velocity[axis] = here.velocity[axis] + step;
    }
    [first, last]
}

impl<L: Lane, const AXES: usize> Side<L, AXES> {
    /// The side `state` of a face across `axis`, whose outer wave is as fast as `outer`.
    #[inline(always)]
    fn new(state: &State<L, AXES>, axis: usize, specific: L, outer: L) -> Self {
        let across = state.velocity[axis];
        Self { state: *state, across, specific, outer, swept: state.density * (outer - across) }
    }

    /// `low` where `mask` holds, else `high`.
    #[inline(always)]
    fn select(mask: L::Mask, low: &Self, high: &Self) -> Self {
        let mut one = *high;
        one.state.density = L::select(mask, low.state.density, high.state.density);
        one.state.pressure = L::select(mask, low.state.pressure, high.state.pressure);
        for axis in 0..AXES {
            one.state.velocity[axis] = L::select(mask, low.state.velocity[axis], high.state.velocity[axis]);
        }
        one.across = L::select(mask, low.across, high.across);
        one.specific = L::select(mask, low.specific, high.specific);
        one.outer = L::select(mask, low.outer, high.outer);
        one.swept = L::select(mask, low.swept, high.swept);
        one
    }
}

/// Sum of squares.
#[inline(always)]
fn square<L: Lane, const AXES: usize>(vector: &[L; AXES]) -> L {
    let mut sum = vector[0] * vector[0];
    for axis in 1..AXES {
        sum = sum + vector[axis] * vector[axis];
    }
    sum
}

/// Slot of the momentum along `axis`, counted from that of the density.
const fn momentum(axes: usize, axis: usize) -> usize {
    MOMENTUM + axes - 1 - axis
}

impl<const AXES: usize> Gas<AXES> {
    const ENERGY: usize = MOMENTUM + AXES;
    /// The density between the stages.
    const BETWEEN: usize = Self::ENERGY + 1;
    const VELOCITY: usize = 2 * Self::BETWEEN;
    const PRESSURE: usize = Self::VELOCITY + AXES;
    const VELOCITY_AT_START: usize = Self::PRESSURE + 1;
    const PRESSURE_AT_START: usize = Self::VELOCITY_AT_START + AXES;

    /// The gas `cells` cells away along `axis`, its slots beginning with `from`.
    #[inline(always)]
    fn state<L: Lane>(&self, cell: &impl Near<L, AXES>, from: usize, axis: usize, cells: isize) -> State<L, AXES> {
        let density = cell.along(from + DENSITY, axis, cells).larger(L::of(self.least_density));
        let per_density = L::of(1.0) / density;
        let mut velocity = [per_density; AXES];
        for other in 0..AXES {
            velocity[other] = cell.along(from + momentum(AXES, other), axis, cells) * per_density;
        }
        let moving = L::of(0.5) * density * square(&velocity);
        let pressure = L::of(self.gamma - 1.0) * (cell.along(from + Self::ENERGY, axis, cells) - moving);
        State { density, velocity, pressure: pressure.larger(L::of(self.least_pressure)) }
    }

    /// What crosses the face across `axis` between `low` and `high`, per area and time.
    #[inline(always)]
    fn flux<L: Lane>(&self, low: &State<L, AXES>, high: &State<L, AXES>, axis: usize) -> Conserved<L, AXES> {
        let zero = L::of(0.0);
        let (specific_low, specific_high) = (low.pressure / low.density, high.pressure / high.density);
        let sound_low = (L::of(self.gamma) * specific_low).sqrt();
        let sound_high = (L::of(self.gamma) * specific_high).sqrt();
        let (u_low, u_high) = (low.velocity[axis], high.velocity[axis]);
        let down = (u_low - sound_low).smaller(u_high - sound_high);
        let up = (u_low + sound_low).larger(u_high + sound_high);
        let below = Side::new(low, axis, specific_low, down);
        let above = Side::new(high, axis, specific_high, up);
        let pushed = (high.pressure - low.pressure) + (below.swept * u_low - above.swept * u_high);
        let middle = pushed / (below.swept - above.swept);
        let pressed_low = low.pressure + below.swept * (middle - u_low);
        let pressed_high = high.pressure + above.swept * (middle - u_high);
        let from_low = zero.le(middle);
        let side = Side::select(from_low, &below, &above);
        // Beyond the outermost wave the side is as it was.
        let beyond = (from_low & zero.le(down)) | (!from_low & up.le(zero));
        let speed = L::select(beyond, side.across, middle);
        let pressure = L::select(beyond, side.state.pressure, L::of(0.5) * (pressed_low + pressed_high));
        let density = L::select(beyond, side.state.density, side.swept / (side.outer - middle));
        let mass = density * speed;
        let mut momentum = side.state.velocity;
        for other in 0..AXES {
            momentum[other] = mass * if other == axis { speed } else { side.state.velocity[other] };
        }
        momentum[axis] = momentum[axis] + pressure;
        let inner = side.specific * L::of(1.0 / (self.gamma - 1.0));
        let total = inner + L::of(0.5) * square(&side.state.velocity);
        let gained = (speed - side.across) * (speed + side.state.pressure / side.swept);
        Conserved { density: mass, momentum, energy: mass * (total + gained) + pressure * speed }
    }

    /// What flows out along `axis` less what flows in, per area and time.
    #[inline(always)]
    fn change<L: Lane>(&self, cell: &impl Near<L, AXES>, from: usize, axis: usize) -> Conserved<L, AXES> {
        let cells = [
            self.state(cell, from, axis, -2),
            self.state(cell, from, axis, -1),
            self.state(cell, from, axis, 0),
            self.state(cell, from, axis, 1),
            self.state(cell, from, axis, 2),
        ];
        let [_, before] = edges(&cells[0], &cells[1], &cells[2]);
        let [first, last] = edges(&cells[1], &cells[2], &cells[3]);
        let [after, _] = edges(&cells[2], &cells[3], &cells[4]);
        let (low, high) = (self.flux(&before, &first, axis), self.flux(&last, &after, axis));
        let mut change = high;
        change.density = high.density - low.density;
        change.energy = high.energy - low.energy;
        for other in 0..AXES {
            change.momentum[other] = high.momentum[other] - low.momentum[other];
        }
        change
    }

    /// The gas of the point itself, its slots beginning with `from`.
    #[inline(always)]
    fn here<L: Lane>(cell: &impl Near<L, AXES>, from: usize) -> Conserved<L, AXES> {
        let density = cell.here(from + DENSITY);
        let mut momenta = [density; AXES];
        for axis in 0..AXES {
            momenta[axis] = cell.here(from + momentum(AXES, axis));
        }
        Conserved { density, momentum: momenta, energy: cell.here(from + Self::ENERGY) }
    }

    /// The gas `dt` after that in the slots from `from` on.
    #[inline(always)]
    fn after<L: Lane>(&self, cell: &impl Near<L, AXES>, from: usize) -> Conserved<L, AXES> {
        let mut next = Self::here(cell, from);
        unroll!(AXIS < AXES, {
            let change = self.change(cell, from, AXIS);
            let ratio = L::of(self.ratio[AXIS]);
            next.density = next.density - ratio * change.density;
            next.energy = next.energy - ratio * change.energy;
            for other in 0..AXES {
                next.momentum[other] = next.momentum[other] - ratio * change.momentum[other];
            }
        });
        next
    }

    /// Gives the slots from `to` on the gas `next`, raised to its floors.
    #[inline(always)]
    fn set<L: Lane>(&self, cell: &mut impl Cell<L, AXES>, to: usize, next: &Conserved<L, AXES>) {
        let floor = L::of(self.least_density);
        let thin = next.density.lt(floor);
        let density = L::select(thin, floor, next.density);
        let mut momenta = next.momentum;
        for axis in 0..AXES {
            momenta[axis] = L::select(thin, L::of(0.0), next.momentum[axis]);
        }
        let least = L::of(0.5) * square(&momenta) / density + L::of(self.least_pressure / (self.gamma - 1.0));
        cell.set(to + DENSITY, density);
        for axis in 0..AXES {
            cell.set(to + momentum(AXES, axis), momenta[axis]);
        }
        cell.set(to + Self::ENERGY, next.energy.larger(least));
    }
}

impl<const AXES: usize> Stencil<AXES> for Gas<AXES> {
    const STAGES: usize = 2;

    #[inline(always)]
    fn point<L: Lane>(&self, stage: usize, cell: &mut impl Cell<L, AXES>) {
        if stage == 0 {
            let next = self.after(cell, DENSITY);
            self.set(cell, Self::BETWEEN, &next);
        } else {
            let (before, mut next) = (Self::here(cell, DENSITY), self.after(cell, Self::BETWEEN));
            let half = L::of(0.5);
            next.density = half * (before.density + next.density);
            next.energy = half * (before.energy + next.energy);
            for axis in 0..AXES {
                next.momentum[axis] = half * (before.momentum[axis] + next.momentum[axis]);
            }
            self.set(cell, DENSITY, &next);
        }
    }

    #[inline(always)]
    fn rate<L: Lane>(&self, cell: &impl Near<L, AXES>) -> L {
        let here = self.state(cell, DENSITY, 0, 0);
        let sound = (L::of(self.gamma) * (here.pressure / here.density)).sqrt();
        let mut rate = L::of(0.0);
        for axis in 0..AXES {
            let fast = here.velocity[axis].abs().larger(L::of(self.speed)) + sound;
            rate = rate + fast * L::of(self.per[axis]);
        }
        rate
    }

    #[inline(always)]
    fn start<L: Lane>(&self, cell: &mut impl Cell<L, AXES>) {
        let density = cell.here(DENSITY);
        let mut momenta = [density; AXES];
        for axis in 0..AXES {
            let slot = momentum(AXES, axis);
            if self.velocity[axis] {
                momenta[axis] = density * cell.here(Self::VELOCITY_AT_START + slot - MOMENTUM);
            } else {
                momenta[axis] = cell.here(slot);
            }
        }
        if self.pressure {
            let moving = L::of(0.5) * square(&momenta) / density.larger(L::of(self.least_density));
            let inner = cell.here(Self::PRESSURE_AT_START) * L::of(1.0 / (self.gamma - 1.0));
            cell.set(Self::ENERGY, inner + moving);
        }
        for axis in 0..AXES {
            if self.velocity[axis] {
                cell.set(momentum(AXES, axis), momenta[axis]);
            }
        }
    }

    fn clock(&self, stage: usize) -> f64 {
        // The second stage reads what Euler's step made of the first.
        if stage == 0 { 0.0 } else { 1.0 }
    }

    #[inline(always)]
    fn derive<L: Lane>(&self, slot: usize, cell: &impl Near<L, AXES>) -> L {
        let here = self.state(cell, DENSITY, 0, 0);
        if slot == Self::PRESSURE { here.pressure } else { here.velocity[AXES - 1 - (slot - Self::VELOCITY)] }
    }
}

const MOMENTA: [&str; 3] = ["momentum_x", "momentum_y", "momentum_z"];
const BETWEEN: [&str; 3] = ["momentum_x_between", "momentum_y_between", "momentum_z_between"];
const VELOCITIES: [&str; 3] = ["velocity_x", "velocity_y", "velocity_z"];

/// Fields on a grid of `axes` axes, in slot order.
fn fields(axes: usize) -> Vec<Field> {
    let component = |name, unit, about| Field::new(name, Role::Component, unit, about);
    let scratch = |name, stands_for| Field {
        stands_for: Some(stands_for),
        ..Field::new(name, Role::Scratch, "1", "between the two stages")
    };
    let energy = MOMENTUM + axes;
    let mut fields = vec![component("density", "kg m-3", "density").at_least(0.0)];
    for (at, name) in MOMENTA[..axes].iter().enumerate() {
        let momentum = component(name, "kg m-2 s-1", "momentum per volume: density times velocity").or(0.0);
        fields.push(momentum.odd_across(axes - 1 - at));
    }
    fields.push(component("energy", "J m-3", "total energy per volume; or give the pressure").at_least(0.0));
    fields.push(scratch("density_between", DENSITY));
    for (at, name) in BETWEEN[..axes].iter().enumerate() {
        fields.push(scratch(name, MOMENTUM + at).odd_across(axes - 1 - at));
    }
    fields.push(scratch("energy_between", energy));
    let velocities = &VELOCITIES[..axes];
    fields.extend(velocities.iter().map(|name| Field::new(name, Role::Derived, "m s-1", "velocity")));
    fields.push(Field::new("pressure", Role::Derived, "Pa", "pressure"));
    let start = |name, unit, about| Field::new(name, Role::Start, unit, about).optional();
    fields.extend(velocities.iter().map(|name| start(name, "m s-1", "velocity at the start, instead of the momentum")));
    fields.push(start("pressure", "Pa", "pressure at the start, instead of the energy").at_least(0.0));
    fields
}

impl Kernel for Euler {
    fn declare(&self, axes: usize) -> Declaration {
        let number = |name, about, unit, default, least| Parameter {
            name,
            about,
            unit,
            kind: ParameterKind::Number { default: Some(default), least, most: f64::INFINITY },
        };
        Declaration {
            name: "euler",
            title: "compressible gas without friction: sound, shocks, blasts",
            equation: "r_t + div(m) = 0, m_t + div(m m / r) + grad p = 0, e_t + div((e + p) m / r) = 0, \
                       p = (gamma - 1) (e - m^2 / 2 r)",
            scheme: "finite volumes of second order (minmod slopes of steepness 1.5 of density, velocity, pressure), HLLC flux, two \
                     stages (SSP Runge-Kutta), radius 4; density and pressure kept above floors",
            bound: "dt sum (|u| + c) / h <= 1 with c = sqrt(gamma p / r), largest over the grid",
            source: "E. F. Toro, Riemann Solvers and Numerical Methods for Fluid Dynamics, 3rd edition, Springer 2009, sections \
                     10.4 to 10.6 and 14.4; A. Kurganov and E. Tadmor, J. Comput. Phys. 160, 2000, 241-282; S. Gottlieb, C.-W. Shu and \
                     E. Tadmor, SIAM Review 43, 2001, 89-112",
            axes: (1, 3),
            parameters: vec![
                number("gamma", "ratio of specific heats, above 1", "1", 1.4, 1.0),
                number("density_floor", "gas thinner than this is raised to it", "kg m-3", 1e-12, 1e-30),
                number("pressure_floor", "a pressure below this is raised to it", "Pa", 1e-12, 1e-30),
            ],
            fields: fields(axes.clamp(1, 3)),
            rate_of_state: true,
            degrees: false,
            default_dt: None,
        }
    }

    fn build<B: Build>(&self, setup: &Setup, build: B) -> Result<B::Output, KernelError> {
        match setup.axes {
            1 => Ok(build.stencil(gas::<1>(setup)?)),
            2 => Ok(build.stencil(gas::<2>(setup)?)),
            3 => Ok(build.stencil(gas::<3>(setup)?)),
            other => wrong("points", format!("euler runs on 1 to 3 axes, not {other}")),
        }
    }
}

fn wrong<T>(key: &str, problem: String) -> Result<T, KernelError> {
    Err(KernelError { key: key.into(), problem })
}

fn gas<const AXES: usize>(setup: &Setup) -> Result<Gas<AXES>, KernelError> {
    let given = |slot: usize| setup.given[slot] != Given::Absent;
    let gamma = setup.number("gamma");
    if gamma <= 1.0 {
        return wrong("gamma", "1 leaves no pressure; give more".into());
    }
    let velocity: [bool; AXES] =
        std::array::from_fn(|axis| given(Gas::<AXES>::VELOCITY_AT_START + momentum(AXES, axis) - MOMENTUM));
    let pressure = given(Gas::<AXES>::PRESSURE_AT_START);
    for axis in 0..AXES {
        let at = AXES - 1 - axis;
        if velocity[axis] && given(momentum(AXES, axis)) {
            return wrong(VELOCITIES[at], format!("both {} and {} are given; remove one", VELOCITIES[at], MOMENTA[at]));
        }
    }
    let energy = given(Gas::<AXES>::ENERGY);
    if pressure && energy {
        return wrong("pressure", "both pressure and energy are given; remove one".into());
    }
    if !given(DENSITY) {
        return wrong("density", "it is missing; give a number, a formula or a file in [fields]".into());
    }
    if !pressure && !energy {
        return wrong("pressure", "neither pressure nor energy is given; give one of them in [fields]".into());
    }
    Ok(Gas {
        ratio: std::array::from_fn(|axis| setup.dt / setup.spacing[axis]),
        per: std::array::from_fn(|axis| 1.0 / setup.spacing[axis]),
        gamma,
        least_density: setup.number("density_floor"),
        least_pressure: setup.number("pressure_floor"),
        velocity,
        pressure,
        speed: setup.speed,
    })
}
