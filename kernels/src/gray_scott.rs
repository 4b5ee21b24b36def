//! Gray and Scott's reaction of two substances that diffuse: explicit Euler in time, second-order central differences
//! in space.
//!
//! `u_t = du lap u - u v^2 + feed (1 - u)`, `v_t = dv lap v + u v^2 - (feed + kill) v`.
//!
//! With `r = d dt / h^2` along each axis the factors of the centre are folded into one each:
//! `u_next = (1 - 2 sum r - dt feed - dt v^2) u + dt feed + sum r (u_low + u_high)`, and
//! `v_next = (1 - 2 sum r - dt (feed + kill) + dt u v) v + sum r (v_low + v_high)`.
//!
//! Part of the scheme, in both precisions: a `v` below 1e-30 becomes 0, and at least 1e-30 of `u` is fed in each
//! step. So what dies out never becomes subnormal, which would be slow, and `v` is never negative. (Products of two
//! small numbers enter fused sums only, which round once.)
//!
//! Stable for `dt (2 du sum 1/h^2 + (feed + v^2)/2) <= 1` and `dt (2 dv sum 1/h^2 + (feed + kill)/2) <= 1`: the mode
//! that changes sign from cell to cell, on which diffusion acts with `-4 d sum 1/h^2`, is multiplied by at least -1.
//! The reaction enters with `v = 1/2`, more than patterns reach.
//!
//! Input: `u` and `v` at a point and its neighbours. Output: both a step later. Invariant: no `v` that a step sets
//! lies below 1e-30, unless it is 0. The bound on the time step follows from parameters and spacing alone, so it is
//! the same in every step. The slot numbers here are the order of the fields in `declare`.
//!
//! Source: J. E. Pearson, *Complex Patterns in a Simple System*, Science 261, 1993, 189-192; stability: R. J.
//! LeVeque, *Finite Difference Methods for Ordinary and Partial Differential Equations*, SIAM 2007, chapter 9.

use crate::declare::{Declaration, Field, Parameter, Role};
use crate::lane::Lane;
use crate::setup::{KernelError, Setup};
use crate::stencil::{Build, Cell, Kernel, Near, Stencil};

const U: usize = 0;
const V: usize = 1;
/// Below this `v` is 0; normal in both precisions, with room for a factor `dt`.
const TINY: f64 = 1e-30;
/// The `v` for which the bound holds.
const MOST_V: f64 = 0.5;

/// The kernel `gray-scott`.
#[derive(Clone, Copy, Debug)]
pub struct GrayScott;

/// The Gray-Scott stencil.
struct GrayScottStencil<const AXES: usize> {
    /// `du dt / h^2` along each axis.
    ratio_u: [f64; AXES],
    /// `dv dt / h^2` along each axis.
    ratio_v: [f64; AXES],
    /// `1 - 2 sum ratio_u - dt feed`.
    rest_u: f64,
    /// `1 - 2 sum ratio_v - dt (feed + kill)`.
    rest_v: f64,
    /// `dt feed`, at least [`TINY`].
    fed: f64,
    rate: f64,
    dt: f64,
}

impl<const AXES: usize> Stencil<AXES> for GrayScottStencil<AXES> {
    #[inline(always)]
    fn point<L: Lane>(&self, _stage: usize, cell: &mut impl Cell<L, AXES>) {
        let (u, v) = (cell.here(U), cell.here(V));
        let met = L::of(self.dt) * v;
        let mut next_u = (-met).mul_add(v, L::of(self.rest_u)).mul_add(u, L::of(self.fed));
        let mut next_v = met.mul_add(u, L::of(self.rest_v)) * v;
        for axis in 0..AXES {
            let around = cell.along(U, axis, -1) + cell.along(U, axis, 1);
            next_u = L::of(self.ratio_u[axis]).mul_add(around, next_u);
            let around = cell.along(V, axis, -1) + cell.along(V, axis, 1);
            next_v = L::of(self.ratio_v[axis]).mul_add(around, next_v);
        }
        cell.set(U, next_u);
        cell.set(V, L::select(next_v.lt(L::of(TINY)), L::of(0.0), next_v));
    }

    #[inline(always)]
    fn rate<L: Lane>(&self, _cell: &impl Near<L, AXES>) -> L {
        L::of(self.rate)
    }
}

impl Kernel for GrayScott {
    fn declare(&self, _axes: usize) -> Declaration {
        let number = |name, about, unit| Parameter::at_least(name, unit, about, 0.0);
        Declaration {
            name: "gray-scott",
            title: "two substances that react and diffuse: spots that divide, stripes, spirals",
            equation: "u_t = du lap u - u v^2 + feed (1 - u), v_t = dv lap v + u v^2 - (feed + kill) v",
            scheme: "explicit Euler in time (order 1), central differences in space (order 2), radius 1; v below 1e-30 is 0",
            bound: "dt (2 du sum 1/h^2 + (feed + 1/4)/2) <= 1 and dt (2 dv sum 1/h^2 + (feed + kill)/2) <= 1, for v up to 1/2",
            source: "J. E. Pearson, Complex Patterns in a Simple System, Science 261, 1993, 189-192; R. J. LeVeque, Finite \
                     Difference Methods for Ordinary and Partial Differential Equations, SIAM 2007, chapter 9",
            axes: (2, 3),
            parameters: vec![
                number("du", "diffusivity of u", "m2 s-1"),
                number("dv", "diffusivity of v", "m2 s-1"),
                number("feed", "rate at which u is fed and both are washed out", "s-1"),
                number("kill", "rate at which v decays", "s-1"),
            ],
            fields: vec![
                Field::new("u", Role::Component, "1", "share of the substance that is fed")
                    .or(1.0)
                    .at_least(0.0)
                    .source(1),
                Field::new("v", Role::Component, "1", "share of the substance that feeds on u").at_least(0.0).source(1),
            ],
            rate_of_state: false,
            degrees: false,
            default_dt: None,
        }
    }

    fn build<B: Build>(&self, setup: &Setup, build: B) -> Result<B::Output, KernelError> {
        match setup.axes {
            2 => Ok(build.stencil(gray_scott::<2>(setup))),
            3 => Ok(build.stencil(gray_scott::<3>(setup))),
            other => Err(KernelError {
                key: "points".into(),
                problem: format!("gray-scott runs on 2 to 3 axes, not {other}"),
            }),
        }
    }
}

fn gray_scott<const AXES: usize>(setup: &Setup) -> GrayScottStencil<AXES> {
    let [du, dv, feed, kill] = ["du", "dv", "feed", "kill"].map(|name| setup.number(name));
    let dt = setup.dt;
    let (mut ratio_u, mut ratio_v) = ([0.0; AXES], [0.0; AXES]);
    let (mut rest_u, mut rest_v) = (1.0 - dt * feed, 1.0 - dt * (feed + kill));
    let (mut rate_u, mut rate_v) = (0.5 * (feed + MOST_V * MOST_V), 0.5 * (feed + kill));
    for (axis, h) in setup.spacing.iter().enumerate() {
        (ratio_u[axis], ratio_v[axis]) = (du * dt / (h * h), dv * dt / (h * h));
        rest_u -= 2.0 * ratio_u[axis];
        rest_v -= 2.0 * ratio_v[axis];
        rate_u += 2.0 * du / (h * h);
        rate_v += 2.0 * dv / (h * h);
    }
    GrayScottStencil {
        ratio_u,
        ratio_v,
        rest_u,
        rest_v,
        fed: (dt * feed).larger(TINY),
        rate: rate_u.larger(rate_v),
        dt,
    }
}
