//! Elastic waves: velocity and stress on staggered places, differences of order 2 or 4 in space, with a sponge at the
//! sides.
//!
//! `rho v_t = div sigma`, `sigma_t = lambda tr(e) I + 2 mu e`, `e = (grad v + (grad v)^T) / 2`: `rho` the density,
//! `lambda = rho (vp^2 - 2 vs^2)`, `mu = rho vs^2`. On two axes nothing varies along the third and nothing moves
//! there (plane strain).
//!
//! Stress is at step n, velocity at n - 1/2: `v' = v + dt/rho D sigma`, then `sigma' = sigma + dt (lambda + 2 mu,
//! lambda, mu) D v'`, `D f = sum_k c_k (f(k - 1/2) - f(1/2 - k)) / h` with `c = (1)` for order 2, `(9/8, -1/24)` for
//! order 4. The normal stresses and all coefficients lie at the grid's points, a velocity half a cell further on
//! along its own axis, a shear stress along both of its axes. There the density is the arithmetic mean of two points,
//! `mu` the harmonic mean of four: 0 if one of them is a fluid. Differences are added axis by axis: a mirrored start
//! gives the mirrored waves bit for bit.
//!
//! A wall lies half a cell outside the last points and lets nothing through, without friction: the velocity across it
//! and the shear stress along it are 0. A free surface is the border to cells with `speed_p = speed_s = 0` and a
//! small density.
//!
//! Sponge: both levels of all components times `g = 1 - strength ((width - depth) / width)^2` after each step,
//! `depth` being the distance in cells from the nearest side that is not periodic; half a cell on the mean. With a
//! sponge any value below 1e-30 becomes 0: what is left would become subnormal, which is slow.
//!
//! Stable for `dt vp sqrt(sum 1/h^2) C <= 1`, `C = sum |c_k|` (1 or 7/6): the eigenvalues of the symbol are at most
//! `2 C vp sqrt(sum 1/h^2)`. Where matter varies this is the usual rule with the largest `vp`; on even spacing the
//! rows of the scheme's matrix bound it, as long as `mu` does not jump by more than the harmonic mean makes up for.
//!
//! Input: velocities, stresses and coefficients around a point. Output: the new velocities, then the new stresses.
//! Invariant: the first stage sets velocities alone, from stresses; the second stresses alone, from the new
//! velocities. No sum or mean here prefers a side, else mirrored waves would differ. The functions that count slots
//! and the list in `fields` have one order, and neither changes without the other.
//!
//! Source: J. Virieux, Geophysics 51, 1986, 889-901 (order 2, bound); A. R. Levander, Geophysics 53, 1988, 1425-1436
//! (order 4); P. Moczo et al., Bull. Seism. Soc. Am. 92, 2002, 3042-3066 (means); C. Cerjan et al., Geophysics 50,
//! 1985, 705-708 (sponge).

use crate::declare::{Beyond, Declaration, Field, Mirror, Parameter, ParameterKind, Role};
use crate::lane::Lane;
use crate::setup::{Given, KernelError, Setup};
use crate::stencil::{Build, Cell, Kernel, Near, Stencil};
use crate::unroll::unroll;

const VELOCITY: [&str; 3] = ["velocity_x", "velocity_y", "velocity_z"];
const NORMAL: [&str; 3] = ["stress_xx", "stress_yy", "stress_zz"];
const SHEAR: [&str; 3] = ["stress_xy", "stress_xz", "stress_yz"];
/// The two axes of each shear stress.
const PAIRS: [(usize, usize); 3] = [(0, 1), (0, 2), (1, 2)];

const ORDER_2: [f64; 1] = [1.0];
const ORDER_4: [f64; 2] = [9.0 / 8.0, -1.0 / 24.0];

/// Least density.
const LEAST: f64 = 1e-9;
/// Where there is a sponge, what is below this is 0, in all cells; normal in both precisions.
const TINY: f64 = 1e-30;

/// The kernel `elastic`.
#[derive(Clone, Copy, Debug)]
pub struct Elastic;

/// The staggered stencil with `R` weights to each side; in matter that varies, or is `VARYING` nowhere.
struct Solid<const AXES: usize, const R: usize, const VARYING: bool> {
    /// `dt c_k / h` along x, y, z.
    per: [[f64; R]; 3],
    /// 1 / density, if that is one number.
    light: f64,
    /// The density varies.
    dense: bool,
    /// `lambda + 2 mu`, `lambda` and `mu`, if these are numbers.
    stiff: f64,
    lame: f64,
    rigid: f64,
    /// `C sqrt(sum 1/h^2)`, times the largest speed where that is one number.
    rate: f64,
    /// The sponge, if there is one: width in cells, and share that it takes at the outermost cell.
    sponge: bool,
    width: f64,
    strength: f64,
}

/// Number of shear stresses on so many axes; `SHEAR` has them in order.
const fn shears(axes: usize) -> usize {
    if axes == 3 { 3 } else { 1 }
}

/// Slots on so many axes: velocities, normal and shear stresses, coefficients, prepared fields, derived ones.
const fn normal(axes: usize, d: usize) -> usize {
    axes + d
}
const fn shear(axes: usize, pair: usize) -> usize {
    2 * axes + pair
}
const fn density(axes: usize) -> usize {
    2 * axes + shears(axes)
}
const fn speed_p(axes: usize) -> usize {
    density(axes) + 1
}
const fn speed_s(axes: usize) -> usize {
    density(axes) + 2
}
const fn depth(axes: usize) -> usize {
    density(axes) + 3
}
const fn light(axes: usize, d: usize) -> usize {
    density(axes) + 4 + d
}
const fn stiff(axes: usize) -> usize {
    light(axes, axes)
}
const fn lame(axes: usize) -> usize {
    light(axes, axes) + 1
}
const fn rigid(axes: usize, pair: usize) -> usize {
    light(axes, axes) + 2 + pair
}
const fn kept(axes: usize) -> usize {
    rigid(axes, shears(axes))
}

/// Axis of the grid, slowest first, along x, y or z.
const fn axis(axes: usize, d: usize) -> usize {
    axes - 1 - d
}

/// The shear stress between two axes.
const fn pair(a: usize, b: usize) -> usize {
    a + b - 1
}

impl<const AXES: usize, const R: usize, const VARYING: bool> Solid<AXES, R, VARYING> {
    /// `sum` and the difference along `d` of the field in `slot`, times the time step: about the place half a cell after the point if
    /// `ahead`, else before it.
    #[inline(always)]
    #[allow(clippy::cast_possible_wrap, reason = "at most 2 cells")]
    fn and_slope<L: Lane>(&self, cell: &impl Near<L, AXES>, slot: usize, d: usize, ahead: bool, sum: L) -> L {
        let mut sum = sum;
        unroll!(K < R, {
            let (far, near) = (K as isize + 1, -(K as isize));
            let (high, low) = if ahead { (far, near) } else { (-near, -far) };
            let step = cell.along(slot, axis(AXES, d), high) - cell.along(slot, axis(AXES, d), low);
            sum = L::of(self.per[d][K]).mul_add(step, sum);
        });
        sum
    }

    /// `next` times the factor of the sponge half a cell further on along `first` and `second`, if these are axes.
    #[inline(always)]
    fn absorbed<L: Lane>(&self, cell: &impl Near<L, AXES>, first: usize, second: usize, next: L) -> L {
        if !self.sponge {
            return next;
        }
        let mut factor = cell.here(kept(AXES));
        if first < AXES {
            factor = factor + cell.along(kept(AXES), axis(AXES, first), 1);
        }
        if second < AXES {
            let mut far = [0; AXES];
            far[axis(AXES, first)] = 1;
            far[axis(AXES, second)] = 1;
            let beside = cell.along(kept(AXES), axis(AXES, second), 1) + cell.at(kept(AXES), far);
            factor = L::of(0.25) * (factor + beside);
        } else if first < AXES {
            factor = L::of(0.5) * factor;
        }
        let next = factor * next;
        L::select(next.abs().lt(L::of(TINY)), L::of(0.0), next)
    }

    /// What stress does to velocity `d`.
    #[inline(always)]
    fn accelerate<L: Lane>(&self, cell: &mut impl Cell<L, AXES>, d: usize) {
        let mut force = L::of(0.0);
        unroll!(OTHER < AXES, {
            let slot = if OTHER == d { normal(AXES, d) } else { shear(AXES, pair(d, OTHER)) };
            force = self.and_slope(cell, slot, OTHER, OTHER == d, force);
        });
        let light = if VARYING && self.dense { cell.here(light(AXES, d)) } else { L::of(self.light) };
        let next = light.mul_add(force, cell.here(d));
        let next = self.absorbed(cell, d, AXES, next);
        cell.set(d, next);
    }

    /// What stretching does to the normal stresses.
    #[inline(always)]
    fn stretch<L: Lane>(&self, cell: &mut impl Cell<L, AXES>) {
        let mut rates = [L::of(0.0); AXES];
        unroll!(D < AXES, {
            rates[D] = self.and_slope(cell, D, D, false, L::of(0.0));
        });
        let (stiff, lame) = match VARYING {
            true => (cell.here(stiff(AXES)), cell.here(lame(AXES))),
            false => (L::of(self.stiff), L::of(self.lame)),
        };
        unroll!(D < AXES, {
            let mut others = rates[if D == 0 { 1 } else { 0 }];
            if AXES == 3 {
                others = others + rates[if D == 2 { 1 } else { 2 }];
            }
            let next = stiff.mul_add(rates[D], lame.mul_add(others, cell.here(normal(AXES, D))));
            let next = self.absorbed(cell, AXES, AXES, next);
            cell.set(normal(AXES, D), next);
        });
    }

    /// What shearing does to a shear stress.
    #[inline(always)]
    fn shear<L: Lane>(&self, cell: &mut impl Cell<L, AXES>, number: usize) {
        let (a, b) = PAIRS[number];
        let rate = self.and_slope(cell, a, b, true, L::of(0.0)) + self.and_slope(cell, b, a, true, L::of(0.0));
        let rigid = if VARYING { cell.here(rigid(AXES, number)) } else { L::of(self.rigid) };
        let next = rigid.mul_add(rate, cell.here(shear(AXES, number)));
        let next = self.absorbed(cell, a, b, next);
        cell.set(shear(AXES, number), next);
    }

    /// `mu` at `offset`.
    #[inline(always)]
    fn rigidity<L: Lane>(cell: &impl Near<L, AXES>, offset: [isize; AXES]) -> L {
        let speed = cell.at(speed_s(AXES), offset);
        cell.at(density(AXES), offset) * (speed * speed)
    }
}

impl<const AXES: usize, const R: usize, const VARYING: bool> Stencil<AXES> for Solid<AXES, R, VARYING> {
    const STAGES: usize = 2;

    #[inline(always)]
    fn point<L: Lane>(&self, stage: usize, cell: &mut impl Cell<L, AXES>) {
        if stage == 0 {
            unroll!(D < AXES, { self.accelerate(cell, D) });
        } else {
            self.stretch(cell);
            unroll!(NUMBER < shears(AXES), { self.shear(cell, NUMBER) });
        }
    }

    #[inline(always)]
    fn rate<L: Lane>(&self, cell: &impl Near<L, AXES>) -> L {
        let rate = L::of(self.rate);
        if VARYING { rate * cell.here(speed_p(AXES)).larger(cell.here(speed_s(AXES))) } else { rate }
    }

    #[inline(always)]
    fn prepare<L: Lane>(&self, cell: &mut impl Cell<L, AXES>) {
        let (one, two) = (L::of(1.0), L::of(2.0));
        if VARYING {
            for d in 0..AXES {
                if self.dense {
                    let both = cell.here(density(AXES)) + cell.along(density(AXES), axis(AXES, d), 1);
                    cell.set(light(AXES, d), two / both);
                }
            }
            let speed = cell.here(speed_p(AXES));
            let bulk = cell.here(density(AXES)) * (speed * speed);
            cell.set(stiff(AXES), bulk);
            cell.set(lame(AXES), bulk - two * Self::rigidity(cell, [0; AXES]));
            for number in 0..shears(AXES) {
                let (a, b) = PAIRS[number];
                let (mut first, mut second) = ([0; AXES], [0; AXES]);
                first[axis(AXES, a)] = 1;
                second[axis(AXES, b)] = 1;
                let mut both = first;
                both[axis(AXES, b)] = 1;
                let ends = one / Self::rigidity(cell, [0; AXES]) + one / Self::rigidity(cell, both);
                let beside = one / Self::rigidity(cell, first) + one / Self::rigidity(cell, second);
                cell.set(rigid(AXES, number), L::of(4.0) / (ends + beside));
            }
        }
        if self.sponge {
            let deep = (L::of(self.width) - cell.here(depth(AXES))).larger(L::of(0.0)) / L::of(self.width);
            cell.set(kept(AXES), L::of(-self.strength).mul_add(deep * deep, one));
        }
    }

    #[inline(always)]
    fn derive<L: Lane>(&self, _slot: usize, cell: &impl Near<L, AXES>) -> L {
        let mut sum = cell.here(normal(AXES, 0));
        for d in 1..AXES {
            sum = sum + cell.here(normal(AXES, d));
        }
        #[allow(clippy::cast_precision_loss, reason = "2 or 3")]
        let share = -1.0 / AXES as f64;
        L::of(share) * sum
    }
}

impl Kernel for Elastic {
    fn declare(&self, axes: usize) -> Declaration {
        let number = |name, about, default, least, most| Parameter {
            name,
            about,
            unit: "1",
            kind: ParameterKind::Number { default: Some(default), least, most },
        };
        let absorb = vec![
            number("width", "width in cells", 20.0, 1.0, 1e6),
            number("strength", "share removed per step at the outermost cell", 0.05, 0.0, 1.0),
        ];
        Declaration {
            title: "elastic waves: pressure and shear waves in rock, water and metal, with sides that absorb",
            equation: "rho v_t = div sigma, sigma_t = lambda tr(e) I + 2 mu e, e = (grad v + (grad v)^T)/2",
            scheme: "staggered velocity and stress (order 2 in time, 2 or 4 in space), stress at step n and velocity at n - 1/2; \
                     walls without friction; sponge: all components times 1 - strength ((width - depth) / width)^2",
            bound: "dt vp sqrt(sum 1/h^2) C <= 1, largest over the grid; C = 1 or 7/6 for order 2 or 4",
            source: "J. Virieux, Geophysics 51, 1986, 889-901; A. R. Levander, Geophysics 53, 1988, 1425-1436; P. Moczo et al., \
                     Bull. Seism. Soc. Am. 92, 2002, 3042-3066; C. Cerjan et al., Geophysics 50, 1985, 705-708",
            parameters: vec![
                Parameter {
                    name: "order",
                    about: "order of the differences in space",
                    unit: "1",
                    kind: ParameterKind::Choice { default: 4.0, choices: &[2.0, 4.0] },
                },
                Parameter {
                    name: "absorb",
                    about: "sponge at the sides that are not periodic",
                    unit: "1",
                    kind: ParameterKind::Group { entries: absorb },
                },
            ],
            ..Declaration::new("elastic", (2, 3), fields(axes))
        }
    }

    fn build<B: Build>(&self, setup: &Setup, build: B) -> Result<B::Output, KernelError> {
        setup.sides(
            &[Beyond::Periodic, Beyond::Wall],
            "for sides that absorb, give absorb = { width = 20, strength = 0.05 } in [kernel]",
        )?;
        let order = setup.number("order");
        match (setup.axes, order) {
            (2, 2.0) => Ok(with_weights::<2, 1, B>(setup, ORDER_2, build)),
            (2, 4.0) => Ok(with_weights::<2, 2, B>(setup, ORDER_4, build)),
            (3, 2.0) => Ok(with_weights::<3, 1, B>(setup, ORDER_2, build)),
            (3, 4.0) => Ok(with_weights::<3, 2, B>(setup, ORDER_4, build)),
            (2 | 3, order) => {
                Err(KernelError { key: "order".into(), problem: format!("{order} is not among the orders 2 and 4") })
            }
            (axes, _) => {
                Err(KernelError { key: "points".into(), problem: format!("elastic runs on 2 or 3 axes, not {axes}") })
            }
        }
    }
}

/// All fields on so many axes, in slot order.
fn fields(axes: usize) -> Vec<Field> {
    // On other axes than it has the kernel is only asked for its name.
    let axes = axes.clamp(2, 3);
    // Half a cell further on along `d`, where a wall half a cell outside holds it at 0.
    let half = |field: Field, d: usize| field.mirrored(axis(axes, d), Mirror::Odd).half_along(axis(axes, d));
    let mut fields = Vec::new();
    for (d, name) in VELOCITY.into_iter().take(axes).enumerate() {
        let field = Field::new(name, Role::Component, "m s-1", "velocity at step n - 1/2").or(0.0).source(1);
        fields.push(half(field, d));
    }
    for name in NORMAL.into_iter().take(axes) {
        fields.push(Field::new(name, Role::Component, "Pa", "normal stress at step n").or(0.0).source(1));
    }
    for (name, (a, b)) in SHEAR.into_iter().zip(PAIRS).take(shears(axes)) {
        let field = Field::new(name, Role::Component, "Pa", "shear stress at step n").or(0.0).source(1);
        fields.push(half(half(field, a), b));
    }
    let coefficient = |name, unit, about, least| Field::new(name, Role::Coefficient, unit, about).at_least(least);
    fields.extend([
        coefficient("density", "kg m-3", "density", LEAST),
        coefficient("speed_p", "m s-1", "speed of pressure waves", 0.0),
        coefficient("speed_s", "m s-1", "speed of shear waves, below speed_p / sqrt(4/3); 0 in fluids", 0.0),
        Field::new("depth", Role::Coefficient, "1", "cells from the nearest side that is not periodic")
            .of_sides("absorb"),
    ]);
    let prepared = |name, unit, about| Field::new(name, Role::Prepared, unit, about);
    let light = ["light_x", "light_y", "light_z"].into_iter().take(axes);
    fields.extend(light.map(|name| prepared(name, "m3 kg-1", "1 / density at a velocity")));
    fields.push(prepared("stiff", "Pa", "lambda + 2 mu"));
    fields.push(prepared("lame", "Pa", "lambda"));
    let rigid = ["rigid_xy", "rigid_xz", "rigid_yz"].into_iter().take(shears(axes));
    fields.extend(rigid.map(|name| prepared(name, "Pa", "mu at a shear stress")));
    fields.push(prepared("kept", "1", "factor of the sponge"));
    fields.push(Field::new("pressure", Role::Derived, "Pa", "minus the mean of the normal stresses"));
    fields
}

fn with_weights<const AXES: usize, const R: usize, B: Build>(setup: &Setup, weights: [f64; R], build: B) -> B::Output {
    let coefficients = [density(AXES), speed_p(AXES), speed_s(AXES)];
    match coefficients.into_iter().any(|slot| setup.given[slot] == Given::Varying) {
        true => build.stencil(solid::<AXES, R, true>(setup, weights)),
        false => build.stencil(solid::<AXES, R, false>(setup, weights)),
    }
}

fn solid<const AXES: usize, const R: usize, const VARYING: bool>(
    setup: &Setup,
    weights: [f64; R],
) -> Solid<AXES, R, VARYING> {
    let number = |slot: usize| match setup.given[slot] {
        Given::Number(value) => value,
        Given::Absent | Given::Varying => 1.0,
    };
    let [rho, vp, vs] = [density(AXES), speed_p(AXES), speed_s(AXES)].map(number);
    let mut per = [[0.0; R]; 3];
    let mut steepest = 0.0;
    for d in 0..AXES {
        let h = setup.spacing[axis(AXES, d)];
        per[d] = weights.map(|weight| setup.dt * weight / h);
        steepest += 1.0 / (h * h);
    }
    let all: f64 = weights.iter().map(|weight| weight.abs()).sum();
    let fastest = if vp < vs { vs } else { vp };
    let absorb = setup.group("absorb");
    let [width, strength] = ["width", "strength"].map(|name| absorb.map_or(1.0, |absorb| absorb[name]));
    Solid {
        per,
        light: 1.0 / rho,
        dense: setup.given[density(AXES)] == Given::Varying,
        stiff: rho * (vp * vp),
        lame: rho * (vp * vp) - 2.0 * (rho * (vs * vs)),
        rigid: rho * (vs * vs),
        rate: all * steepest.sqrt() * if VARYING { 1.0 } else { fastest },
        sponge: absorb.is_some(),
        width,
        strength,
    }
}
