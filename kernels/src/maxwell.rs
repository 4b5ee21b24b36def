//! Maxwell's equations in matter that conducts: Yee's staggered leapfrog, between perfect conductors or periodic.
//!
//! `eps E_t = c curl H - sigma E`, `mu H_t = -c curl E`: `c` the speed of light in vacuum, `eps` and `mu` relative
//! permittivity and permeability, `sigma` the conductivity over the permittivity of vacuum (1/s), `H` times the
//! impedance of vacuum (so that both fields have one unit). E is at step n, H at n - 1/2; E lies on the edges of cells
//! whose corners are the grid's points, H on their faces: `e_x` half a cell beyond the points along x, `h_x` along all
//! other axes.
//!
//! `H' = H - (c dt/mu) curl E`, then `E' = kept E + gain curl H'` with `s = sigma dt / (2 eps)`,
//! `kept = (1 - s)/(1 + s)`, `gain = (c dt/eps)/(1 + s)`: the loss is implicit by half, so it shortens no time step. A
//! curl is a sum of differences of neighbours over the spacing. Coefficients are given at the grid's points. Where a
//! field lies between points, permeability and conductivity are arithmetic means of the points around, permittivity is
//! the harmonic mean (D is the same on both sides).
//!
//! A wall is a perfect conductor in the plane of the first or last points: E along it and H across it are 0. So the
//! walls are `(N - 1) h` apart, and what lies half a cell beyond the last points of a walled axis is 0 and means
//! nothing.
//!
//! Stable for `c dt sqrt(sum 1/h^2) <= sqrt(eps mu)`; where both vary, `<= min(eps, mu)`, since then neither means nor
//! products at points bound each other.
//!
//! Input: E, H and coefficients around a point. Output: the new H, then the new E. Invariant: the first stage sets H
//! alone, from E at the point and ahead; the second sets E alone, from the new H at the point and behind. So a step
//! leaves the divergence of `mu H` as it was, but for rounding. The functions that count slots and the list in `fields`
//! have one order, and neither changes without the other.
//!
//! Source: K. S. Yee, IEEE Trans. Antennas Propag. 14, 1966, 302-307; A. Taflove and S. C. Hagness, *Computational
//! Electrodynamics: The Finite-Difference Time-Domain Method*, 3rd edition 2005, sections 3.6 (scheme, loss) and 4.7
//! (bound).

use crate::declare::{Beyond, Declaration, Field, Mirror, Parameter, ParameterKind, Role};
use crate::lane::Lane;
use crate::setup::{Given, KernelError, Setup};
use crate::stencil::{Build, Cell, Kernel, Near, Stencil};

/// Components along x, y and z; on two axes all vary along x and y only, on one along x.
const D: [usize; 3] = [0, 1, 2];
const E: [&str; 3] = ["e_x", "e_y", "e_z"];
const H: [&str; 3] = ["h_x", "h_y", "h_z"];

/// Least permittivity and permeability.
const LEAST: f64 = 1e-9;

/// The kernel `maxwell`.
#[derive(Clone, Copy, Debug)]
pub struct Maxwell;

/// Yee's stencil: with coefficients that are all one number each, or `VARYING` ones.
struct Yee<const AXES: usize, const VARYING: bool> {
    /// 1 / spacing along x, y, z, in 1/m; times `c dt / mu` and `gain` where these are one number.
    turn: [f64; 3],
    gain: [f64; 3],
    /// `c dt / mu` and `gain` where they are one number, but not both.
    turn_all: f64,
    gain_all: f64,
    /// The share of E that a step leaves, where that is one number.
    kept: f64,
    /// Something conducts.
    lossy: bool,
    /// Permittivity or conductivity varies; permeability does.
    electric: bool,
    magnetic: bool,
    /// Permittivity and permeability vary both.
    both: bool,
    /// `c sqrt(sum 1/h^2)`, over `sqrt(eps mu)` where these are numbers.
    rate: f64,
    /// `c dt` in m, and half the time step.
    reach: f64,
    half_step: f64,
}

/// True if the component of E, or of H, along `d` is there on so many axes.
const fn has_e(axes: usize, d: usize) -> bool {
    axes == 3 || d == 2
}
const fn has_h(axes: usize, d: usize) -> bool {
    axes == 3 || d == 1 || (axes == 2 && d == 0)
}

/// Slots on so many axes: components of E, then of H; coefficients; prepared fields for each component of E and of H.
const fn e(axes: usize, d: usize) -> usize {
    if axes == 3 { d } else { 0 }
}
const fn h(axes: usize, d: usize) -> usize {
    match axes {
        3 => 3 + d,
        2 => 1 + d,
        _ => 1,
    }
}
const fn coefficients(axes: usize) -> usize {
    match axes {
        3 => 6,
        2 => 3,
        _ => 2,
    }
}
const fn permittivity(axes: usize) -> usize {
    coefficients(axes)
}
const fn permeability(axes: usize) -> usize {
    coefficients(axes) + 1
}
const fn conductivity(axes: usize) -> usize {
    coefficients(axes) + 2
}
const fn gain(axes: usize, d: usize) -> usize {
    coefficients(axes) + 3 + e(axes, d)
}
const fn kept(axes: usize, d: usize) -> usize {
    gain(axes, 0) + h(axes, 0) + e(axes, d)
}
const fn turn(axes: usize, d: usize) -> usize {
    kept(axes, 0) + h(axes, d)
}

/// Axis of the grid, slowest first, along x, y or z.
const fn axis(axes: usize, d: usize) -> usize {
    axes - 1 - d
}

impl<const AXES: usize, const VARYING: bool> Yee<AXES, VARYING> {
    /// Component `d` of the curl of the field in slots `of`, its differences times `per`: between the point and the ones after it
    /// if `ahead`, else the ones before it. None along an axis that the grid has not.
    #[inline(always)]
    fn curl<L: Lane>(cell: &impl Near<L, AXES>, of: [usize; 3], d: usize, per: &[f64; 3], ahead: bool) -> L {
        let (first, second) = ((d + 1) % 3, (d + 2) % 3);
        if first >= AXES {
            return -(L::of(per[second]) * Self::step(cell, of[first], second, ahead));
        }
        let up = Self::step(cell, of[second], first, ahead);
        if second >= AXES {
            return L::of(per[first]) * up;
        }
        let down = L::of(per[second]) * Self::step(cell, of[first], second, ahead);
        L::of(per[first]).mul_add(up, -down)
    }

    /// The difference along `d` across the place half a cell after the point if `ahead`, else before it.
    #[inline(always)]
    fn step<L: Lane>(cell: &impl Near<L, AXES>, slot: usize, d: usize, ahead: bool) -> L {
        let axis = axis(AXES, d);
        if ahead { cell.along(slot, axis, 1) - cell.here(slot) } else { cell.here(slot) - cell.along(slot, axis, -1) }
    }

    /// What the curl of E does to component `d` of H.
    #[inline(always)]
    fn magnetic<L: Lane>(&self, cell: &mut impl Cell<L, AXES>, d: usize) {
        let slots = [e(AXES, 0), e(AXES, 1), e(AXES, 2)];
        let curl = Self::curl(cell, slots, d, &self.turn, true);
        let before = cell.here(h(AXES, d));
        let next = if VARYING {
            let turn = if self.magnetic { cell.here(turn(AXES, d)) } else { L::of(self.turn_all) };
            (-turn).mul_add(curl, before)
        } else {
            before - curl
        };
        cell.set(h(AXES, d), next);
    }

    /// What the curl of H and the loss do to component `d` of E.
    #[inline(always)]
    fn electric<L: Lane>(&self, cell: &mut impl Cell<L, AXES>, d: usize) {
        let slots = [h(AXES, 0), h(AXES, 1), h(AXES, 2)];
        let curl = Self::curl(cell, slots, d, &self.gain, false);
        let mut before = cell.here(e(AXES, d));
        if self.lossy {
            let varying = VARYING && self.electric;
            before = before * if varying { cell.here(kept(AXES, d)) } else { L::of(self.kept) };
        }
        let next = if VARYING {
            let gain = if self.electric { cell.here(gain(AXES, d)) } else { L::of(self.gain_all) };
            gain.mul_add(curl, before)
        } else {
            before + curl
        };
        cell.set(e(AXES, d), next);
    }

    /// `c dt / mu` of component `d` of H: the mean over the points around its place.
    #[inline(always)]
    fn prepare_magnetic<L: Lane>(&self, cell: &mut impl Cell<L, AXES>, d: usize) {
        let (first, second) = ((d + 1) % 3, (d + 2) % 3);
        let slot = permeability(AXES);
        let mean = if first < AXES && second < AXES {
            let mut far = [0; AXES];
            far[axis(AXES, first)] = 1;
            far[axis(AXES, second)] = 1;
            let beside = cell.along(slot, axis(AXES, first), 1) + cell.along(slot, axis(AXES, second), 1);
            L::of(0.25) * ((cell.here(slot) + cell.at(slot, far)) + beside)
        } else {
            let along = if first < AXES { first } else { second };
            L::of(0.5) * (cell.here(slot) + cell.along(slot, axis(AXES, along), 1))
        };
        cell.set(turn(AXES, d), L::of(self.reach) / mean);
    }

    /// `gain` and `kept` of component `d` of E, which lies half a cell beyond the point along `d`, if the grid has that axis.
    #[inline(always)]
    fn prepare_electric<L: Lane>(&self, cell: &mut impl Cell<L, AXES>, d: usize) {
        let (one, two) = (L::of(1.0), L::of(2.0));
        let mut eps = cell.here(permittivity(AXES));
        let mut sigma = cell.here(conductivity(AXES));
        if d < AXES {
            let (low, high) = (eps, cell.along(permittivity(AXES), axis(AXES, d), 1));
            eps = two / (one / low + one / high);
            sigma = L::of(0.5) * (sigma + cell.along(conductivity(AXES), axis(AXES, d), 1));
        }
        let share = L::of(self.half_step) * sigma / eps;
        cell.set(gain(AXES, d), L::of(self.reach) / eps / (one + share));
        if self.lossy {
            cell.set(kept(AXES, d), (one - share) / (one + share));
        }
    }
}

impl<const AXES: usize, const VARYING: bool> Stencil<AXES> for Yee<AXES, VARYING> {
    const STAGES: usize = 2;

    #[inline(always)]
    fn point<L: Lane>(&self, stage: usize, cell: &mut impl Cell<L, AXES>) {
        for d in 0..3 {
            if stage == 0 && has_h(AXES, d) {
                self.magnetic(cell, d);
            }
            if stage == 1 && has_e(AXES, d) {
                self.electric(cell, d);
            }
        }
    }

    #[inline(always)]
    fn rate<L: Lane>(&self, cell: &impl Near<L, AXES>) -> L {
        let rate = L::of(self.rate);
        if !VARYING {
            return rate;
        }
        let (eps, mu) = (cell.here(permittivity(AXES)), cell.here(permeability(AXES)));
        rate / if self.both { eps.smaller(mu) } else { (eps * mu).sqrt() }
    }

    #[inline(always)]
    fn prepare<L: Lane>(&self, cell: &mut impl Cell<L, AXES>) {
        for d in 0..3 {
            if VARYING && self.magnetic && has_h(AXES, d) {
                self.prepare_magnetic(cell, d);
            }
            if VARYING && self.electric && has_e(AXES, d) {
                self.prepare_electric(cell, d);
            }
        }
    }
}

impl Kernel for Maxwell {
    fn declare(&self, axes: usize) -> Declaration {
        Declaration {
            name: "maxwell",
            title: "electromagnetic waves in matter that conducts, between perfect conductors or periodic",
            equation: "eps E_t = c curl H - sigma E, mu H_t = -c curl E",
            scheme: "Yee's staggered leapfrog (order 2 in time and space), E at step n and H at n - 1/2, loss implicit by half; \
                     walls: perfect conductors in the plane of the first and last points",
            bound: "c dt sqrt(sum 1/h^2) <= sqrt(eps mu), or min(eps, mu) where both vary, least over the grid",
            source: "K. S. Yee, IEEE Trans. Antennas Propag. 14, 1966, 302-307; A. Taflove and S. C. Hagness, Computational \
                     Electrodynamics: The Finite-Difference Time-Domain Method, 3rd edition 2005, sections 3.6 and 4.7",
            axes: (1, 3),
            parameters: vec![Parameter {
                name: "light_speed",
                about: "speed of light in vacuum",
                unit: "m s-1",
                kind: ParameterKind::Number { default: Some(1.0), least: f64::MIN_POSITIVE, most: f64::MAX },
            }],
            fields: fields(axes),
            rate_of_state: false,
            degrees: false,
            default_dt: None,
        }
    }

    fn build<B: Build>(&self, setup: &Setup, build: B) -> Result<B::Output, KernelError> {
        setup.sides(
            &[Beyond::Periodic, Beyond::Wall],
            "for sides that absorb, let conductivity rise towards a wall (a formula in [fields])",
        )?;
        match setup.axes {
            1 => Ok(with_axes::<1, B>(setup, build)),
            2 => Ok(with_axes::<2, B>(setup, build)),
            3 => Ok(with_axes::<3, B>(setup, build)),
            other => {
                Err(KernelError { key: "points".into(), problem: format!("maxwell runs on 1 to 3 axes, not {other}") })
            }
        }
    }
}

/// All fields on so many axes, in slot order.
fn fields(axes: usize) -> Vec<Field> {
    // On more axes than it has the kernel is only asked for its name.
    let axes = axes.min(3);
    let mut fields = Vec::new();
    for d in D.into_iter().filter(|&d| has_e(axes, d)) {
        let mut field = Field::new(E[d], Role::Component, "V m-1", "electric field at step n").or(0.0).source(1);
        for other in 0..axes {
            // Odd along a conductor, even across it.
            let odd = if other == d { Mirror::EvenAtPoint } else { Mirror::OddAtPoint };
            field = field.mirrored(axis(axes, other), odd);
        }
        fields.push(if d < axes { field.half_along(axis(axes, d)) } else { field });
    }
    for d in D.into_iter().filter(|&d| has_h(axes, d)) {
        let about = "magnetic field times the impedance of vacuum, at step n - 1/2";
        let mut field = Field::new(H[d], Role::Component, "V m-1", about).or(0.0);
        for other in 0..axes {
            field = match other == d {
                true => field.mirrored(axis(axes, other), Mirror::OddAtPoint),
                false => field.mirrored(axis(axes, other), Mirror::EvenAtPoint).half_along(axis(axes, other)),
            };
        }
        fields.push(field);
    }
    let coefficient = |name, unit, about, default, least| {
        Field::new(name, Role::Coefficient, unit, about).or(default).at_least(least)
    };
    fields.extend([
        coefficient("permittivity", "1", "permittivity relative to vacuum", 1.0, LEAST),
        coefficient("permeability", "1", "permeability relative to vacuum", 1.0, LEAST),
        coefficient("conductivity", "s-1", "conductivity over the permittivity of vacuum", 0.0, 0.0),
    ]);
    let prepared = |name, unit, about| Field::new(name, Role::Prepared, unit, about);
    let electric = || D.into_iter().filter(move |&d| has_e(axes, d));
    fields.extend(electric().map(|d| prepared(["gain_x", "gain_y", "gain_z"][d], "m", "what curl H adds to E")));
    fields
        .extend(electric().map(|d| prepared(["kept_x", "kept_y", "kept_z"][d], "1", "share of E that a step leaves")));
    let magnetic = D.into_iter().filter(|&d| has_h(axes, d));
    fields.extend(magnetic.map(|d| prepared(["turn_x", "turn_y", "turn_z"][d], "m", "what curl E takes from H")));
    fields
}

fn with_axes<const AXES: usize, B: Build>(setup: &Setup, build: B) -> B::Output {
    let coefficients = [permittivity(AXES), permeability(AXES), conductivity(AXES)];
    match coefficients.into_iter().any(|slot| setup.given[slot] == Given::Varying) {
        true => build.stencil(yee::<AXES, true>(setup)),
        false => build.stencil(yee::<AXES, false>(setup)),
    }
}

fn yee<const AXES: usize, const VARYING: bool>(setup: &Setup) -> Yee<AXES, VARYING> {
    let number = |slot: usize| match setup.given[slot] {
        Given::Number(value) => value,
        Given::Absent | Given::Varying => 1.0,
    };
    let varies = |slot: usize| setup.given[slot] == Given::Varying;
    let slots = [permittivity(AXES), permeability(AXES), conductivity(AXES)];
    let [eps, mu, sigma] = slots.map(number);
    let [eps_varies, mu_varies, sigma_varies] = slots.map(varies);
    let (light, dt) = (setup.number("light_speed"), setup.dt);
    let (reach, half_step) = (light * dt, 0.5 * dt);
    let share = half_step * sigma / eps;
    let (turn_all, gain_all) = (reach / mu, reach / eps / (1.0 + share));
    let mut per = [0.0; 3];
    for d in 0..AXES {
        per[d] = 1.0 / setup.spacing[axis(AXES, d)];
    }
    let steepest = per.iter().map(|per| per * per).sum::<f64>().sqrt();
    let folded = |factor: f64| if VARYING { per } else { per.map(|per| factor * per) };
    Yee {
        turn: folded(turn_all),
        gain: folded(gain_all),
        turn_all,
        gain_all,
        kept: (1.0 - share) / (1.0 + share),
        lossy: sigma_varies || sigma > 0.0,
        electric: eps_varies || sigma_varies,
        magnetic: mu_varies,
        both: eps_varies && mu_varies,
        rate: light * steepest / if VARYING { 1.0 } else { (eps * mu).sqrt() },
        reach,
        half_step,
    }
}
