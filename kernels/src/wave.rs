//! Scalar waves (sound): leapfrog in time, central differences of order 2, 4 or 8 in space, with a sponge at the
//! sides.
//!
//! `p_tt = c^2 lap p` with `c` the speed. `pressure` is at step n, `pressure_before` at step n - 1.
//!
//! `p_next = 2 p - p_before + c^2 dt^2 sum_d (w_0 p + sum_k w_k (p_low + p_high)) / h_d^2`, the neighbours at distance
//! k along axis d being low and high. One speed: `c^2 dt^2 / h^2` is folded into the weights. Neighbours are added
//! pairwise, low and high, then axis by axis, then nearest first: a mirrored start gives the mirrored waves bit for
//! bit along each axis.
//!
//! At rest at the start: `p_before = p + c^2 dt^2 lap p / 2`, which is the level half way round a turning point, to
//! order 2.
//!
//! Sponge: `p_next = g (2 p + ... - g p_before)`, `g = 1 - strength ((width - depth) / width)^2` for the first `width`
//! cells at sides that are not periodic, `depth` being the distance in cells from the nearest such side (so the
//! largest share over the axes counts). These are Cerjan's two factors, one for each level. In a job with a sponge a
//! value below 1e-30 becomes 0 in all cells: what is left would become subnormal, which is slow.
//!
//! Stable for `dt c sqrt(sum_d W / h_d^2) / 2 <= 1`, `W = |w_0| + 2 sum_k |w_k|`: by the dispersion relation
//! `sin^2(omega dt/2) = -(c dt / 2)^2 sum_d (w_0 + 2 sum_k w_k cos(k theta_d)) / h_d^2`, whose right side must not
//! exceed 1; it is largest at `theta_d = pi`, where all terms have one sign.
//!
//! Input: the pressure around a point, the level before at the point. Output: the pressure a step later. Invariant: a
//! step reads `pressure_before` at its own point alone and never sets it, since the engine writes the new level over
//! it; only `start` makes it, where the job does not give it. The slot numbers here are the order of the fields in
//! `declare`.
//!
//! Source: R. J. LeVeque, *Finite Difference Methods for Ordinary and Partial Differential Equations*, SIAM 2007,
//! chapters 1 and 10; weights: B. Fornberg, Math. Comp. 51, 1988, 699-706; sponge: C. Cerjan, D. Kosloff, R. Kosloff
//! and M. Reshef, Geophysics 50, 1985, 705-708.

use crate::declare::{Declaration, Field, Parameter, ParameterKind, Role};
use crate::lane::Lane;
use crate::setup::{Given, KernelError, Setup};
use crate::stencil::{Build, Cell, Kernel, Near, Stencil};

const PRESSURE: usize = 0;
const PRESSURE_BEFORE: usize = 1;
const SPEED: usize = 2;
const DEPTH: usize = 3;
/// `dt^2 c^2`, where the speed varies.
const REACH: usize = 4;
/// The factor of the sponge.
const KEPT: usize = 5;

/// Where there is a sponge, what is below this is 0, in all cells; normal in both precisions.
const TINY: f64 = 1e-30;

/// Weights `w_0`, `w_1`, ... of a second derivative.
const ORDER_2: [f64; 2] = [-2.0, 1.0];
const ORDER_4: [f64; 3] = [-5.0 / 2.0, 4.0 / 3.0, -1.0 / 12.0];
const ORDER_8: [f64; 5] = [-205.0 / 72.0, 8.0 / 5.0, -1.0 / 5.0, 8.0 / 315.0, -1.0 / 560.0];

/// The kernel `wave`.
#[derive(Clone, Copy, Debug)]
pub struct Wave;

/// The wave stencil of radius `R`: `VARYING` speed or one number, with a `SPONGE` or without, and spacing that is `EVEN`, the
/// same along all axes, or not.
struct WaveStencil<const AXES: usize, const R: usize, const VARYING: bool, const SPONGE: bool, const EVEN: bool> {
    /// Weights by axis and distance, times `c^2 dt^2 / h^2`, or `1 / h^2` where the speed varies.
    weight: [[f64; R]; AXES],
    /// The same of the point itself, over all axes.
    bend: f64,
    /// `2 + bend`.
    centre: f64,
    /// `sqrt(sum W / h^2) / 2`, times the speed where that is one number.
    rate: f64,
    dt: f64,
    /// Cells of the sponge.
    width: f64,
    /// Share that the sponge takes at the outermost cell.
    strength: f64,
}

impl<const AXES: usize, const R: usize, const VARYING: bool, const SPONGE: bool, const EVEN: bool>
    WaveStencil<AXES, R, VARYING, SPONGE, EVEN>
{
    /// `sum` and all neighbours' pressures times their weights.
    #[inline(always)]
    fn and_around<L: Lane>(&self, cell: &impl Near<L, AXES>, mut sum: L) -> L {
        for k in 0..R {
            if EVEN {
                let mut pairs = pair(cell, 0, k);
                for axis in 1..AXES {
                    pairs = pairs + pair(cell, axis, k);
                }
                sum = L::of(self.weight[0][k]).mul_add(pairs, sum);
            } else {
                for axis in 0..AXES {
                    sum = L::of(self.weight[axis][k]).mul_add(pair(cell, axis, k), sum);
                }
            }
        }
        sum
    }
}

/// The pressures `k + 1` cells away on both sides along `axis`.
#[inline(always)]
#[allow(clippy::cast_possible_wrap, reason = "at most 4 cells")]
fn pair<L: Lane, const AXES: usize>(cell: &impl Near<L, AXES>, axis: usize, k: usize) -> L {
    let cells = k as isize + 1;
    cell.along(PRESSURE, axis, -cells) + cell.along(PRESSURE, axis, cells)
}

impl<const AXES: usize, const R: usize, const VARYING: bool, const SPONGE: bool, const EVEN: bool> Stencil<AXES>
    for WaveStencil<AXES, R, VARYING, SPONGE, EVEN>
{
    const OLDER_LEVELS: &'static [(usize, usize)] = &[(PRESSURE, PRESSURE_BEFORE)];

    #[inline(always)]
    fn point<L: Lane>(&self, _stage: usize, cell: &mut impl Cell<L, AXES>) {
        let here = cell.here(PRESSURE);
        let mut before = cell.here(PRESSURE_BEFORE);
        if SPONGE {
            before = cell.here(KEPT) * before;
        }
        let mut next = if VARYING {
            let bent = self.and_around(cell, L::of(self.bend) * here);
            cell.here(REACH).mul_add(bent, (here + here) - before)
        } else {
            self.and_around(cell, L::of(self.centre).mul_add(here, -before))
        };
        if SPONGE {
            next = cell.here(KEPT) * next;
            next = L::select(next.abs().lt(L::of(TINY)), L::of(0.0), next);
        }
        cell.set(PRESSURE, next);
    }

    #[inline(always)]
    fn rate<L: Lane>(&self, cell: &impl Near<L, AXES>) -> L {
        let rate = L::of(self.rate);
        if VARYING { rate * cell.here(SPEED) } else { rate }
    }

    #[inline(always)]
    fn prepare<L: Lane>(&self, cell: &mut impl Cell<L, AXES>) {
        if VARYING {
            let reach = L::of(self.dt) * cell.here(SPEED);
            cell.set(REACH, reach * reach);
        }
        if SPONGE {
            let deep = (L::of(self.width) - cell.here(DEPTH)).larger(L::of(0.0)) / L::of(self.width);
            cell.set(KEPT, L::of(-self.strength).mul_add(deep * deep, L::of(1.0)));
        }
    }

    #[inline(always)]
    fn start<L: Lane>(&self, cell: &mut impl Cell<L, AXES>) {
        let here = cell.here(PRESSURE);
        let mut bent = self.and_around(cell, L::of(self.bend) * here);
        if VARYING {
            bent = cell.here(REACH) * bent;
        }
        cell.set(PRESSURE_BEFORE, L::of(0.5).mul_add(bent, here));
    }
}

impl Kernel for Wave {
    fn declare(&self, _axes: usize) -> Declaration {
        let number = |name, about, unit, default, least, most| Parameter {
            name,
            about,
            unit,
            kind: ParameterKind::Number { default: Some(default), least, most },
        };
        Declaration {
            name: "wave",
            title: "scalar waves: sound, with one speed or many, and sides that absorb",
            equation: "p_tt = c^2 lap p",
            scheme: "leapfrog in time (order 2), central differences in space (order 2, 4 or 8), radius 1, 2 or 4; sponge: both \
                     levels times 1 - strength ((width - depth) / width)^2",
            bound: "dt c sqrt(sum W/h^2) / 2 <= 1, largest over the grid; W = 4, 16/3 or 6.502 for order 2, 4 or 8",
            source: "R. J. LeVeque, Finite Difference Methods for Ordinary and Partial Differential Equations, SIAM 2007, \
                     chapters 1 and 10; B. Fornberg, Math. Comp. 51, 1988, 699-706; C. Cerjan, D. Kosloff, R. Kosloff and \
                     M. Reshef, Geophysics 50, 1985, 705-708",
            axes: (1, 3),
            parameters: vec![
                Parameter {
                    name: "order",
                    about: "order of the differences in space",
                    unit: "1",
                    kind: ParameterKind::Choice { default: 2.0, choices: &[2.0, 4.0, 8.0] },
                },
                Parameter {
                    name: "absorb",
                    about: "sponge at the sides that are not periodic",
                    unit: "1",
                    kind: ParameterKind::Group {
                        entries: vec![
                            number("width", "width in cells", "1", 20.0, 1.0, 1e6),
                            number("strength", "share removed per step at the outermost cell", "1", 0.05, 0.0, 1.0),
                        ],
                    },
                },
            ],
            fields: vec![
                Field::new("pressure", Role::Component, "Pa", "pressure").source(2),
                Field::new(
                    "pressure_before",
                    Role::Component,
                    "Pa",
                    "pressure one step earlier; left out: at rest at the start",
                )
                .optional(),
                Field::new(
                    "speed",
                    Role::Coefficient,
                    "m s-1",
                    "speed of waves; one number selects the constant-coefficient scheme",
                )
                .at_least(0.0),
                Field::new("depth", Role::Coefficient, "1", "cells from the nearest side that is not periodic")
                    .of_sides("absorb"),
                Field::new("reach", Role::Prepared, "m2", "square of the way in one step"),
                Field::new("kept", Role::Prepared, "1", "factor of the sponge"),
            ],
            rate_of_state: false,
            degrees: false,
            default_dt: None,
        }
    }

    fn build<B: Build>(&self, setup: &Setup, build: B) -> Result<B::Output, KernelError> {
        match setup.axes {
            1 => with_axes::<1, B>(setup, build),
            2 => with_axes::<2, B>(setup, build),
            3 => with_axes::<3, B>(setup, build),
            other => {
                Err(KernelError { key: "points".into(), problem: format!("wave runs on 1 to 3 axes, not {other}") })
            }
        }
    }
}

fn with_axes<const AXES: usize, B: Build>(setup: &Setup, build: B) -> Result<B::Output, KernelError> {
    match setup.number("order") {
        2.0 => Ok(with_weights::<AXES, 1, B>(setup, ORDER_2[0], [ORDER_2[1]], build)),
        4.0 => Ok(with_weights::<AXES, 2, B>(setup, ORDER_4[0], [ORDER_4[1], ORDER_4[2]], build)),
        8.0 => {
            let [here, near @ ..] = ORDER_8;
            Ok(with_weights::<AXES, 4, B>(setup, here, near, build))
        }
        other => {
            Err(KernelError { key: "order".into(), problem: format!("{other} is not among the orders 2, 4 and 8") })
        }
    }
}

fn with_weights<const AXES: usize, const R: usize, B: Build>(
    setup: &Setup,
    here: f64,
    near: [f64; R],
    build: B,
) -> B::Output {
    let varying = setup.given[SPEED] == Given::Varying;
    let even = setup.spacing.iter().all(|&h| h == setup.spacing[0]);
    macro_rules! stencil {
        ($($varying:literal $sponge:literal $even:literal,)*) => {
            match (varying, setup.group("absorb").is_some(), even) {
                // On one axis there is one spacing.
                $(($varying, $sponge, $even) if $even || AXES > 1 => {
                    build.stencil(wave::<AXES, R, $varying, $sponge, $even>(setup, here, near))
                })*
                _ => unreachable!("one axis has one spacing"),
            }
        };
    }
    stencil!(
        false false true, false false false, false true true, false true false,
        true false true, true false false, true true true, true true false,
    )
}

fn wave<const AXES: usize, const R: usize, const VARYING: bool, const SPONGE: bool, const EVEN: bool>(
    setup: &Setup,
    here: f64,
    near: [f64; R],
) -> WaveStencil<AXES, R, VARYING, SPONGE, EVEN> {
    let speed = match setup.given[SPEED] {
        Given::Number(value) => value,
        Given::Absent | Given::Varying => 1.0,
    };
    let dt = setup.dt;
    let all = near.iter().fold(here.abs(), |sum, weight| sum + 2.0 * weight.abs());
    let mut weight = [[0.0; R]; AXES];
    let (mut bend, mut steepest) = (0.0, 0.0);
    for (axis, h) in setup.spacing.iter().enumerate() {
        let square = if VARYING { 1.0 / (h * h) } else { (speed * dt / h) * (speed * dt / h) };
        for k in 0..R {
            weight[axis][k] = near[k] * square;
        }
        bend += here * square;
        steepest += all / (h * h);
    }
    let [width, strength] = ["width", "strength"].map(|name| setup.group("absorb").map_or(1.0, |absorb| absorb[name]));
    WaveStencil { weight, bend, centre: 2.0 + bend, rate: 0.5 * speed * steepest.sqrt(), dt, width, strength }
}
