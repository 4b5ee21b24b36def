//! Heat conduction with blood perfusion: explicit Euler in time, second-order central differences in space.
//!
//! `dT/dt = div(a grad T) + w (T_a - T)` with diffusivity `a`, perfusion `w` and arterial temperature `T_a`.
//!
//! Constant `a`: `T_next = (1 - 2 sum r_d) T + sum r_d (T_low + T_high)` with `r_d = a dt / h_d^2`. Varying `a`: fluxes
//! through cell faces with the harmonic mean of the two cells' diffusivities, so that heat is conserved.
//! Stable for `dt (2 a sum 1/h_d^2 + w/2) <= 1`.
//!
//! Input: temperature at a point and its neighbours, coefficients. Output: the temperature a step later. Invariant:
//! with varying `a` each face has one diffusivity, prepared once and read by the cells on both sides, so what one gives
//! the other takes. It is never above the larger of the two cells' (but for rounding), so the largest rate over the
//! grid bounds the step. The slot numbers here are the order of the fields in `declare`.
//!
//! Source: R. J. LeVeque, *Finite Difference Methods for Ordinary and Partial Differential Equations*, SIAM 2007,
//! chapter 9; faces: S. V. Patankar, *Numerical Heat Transfer and Fluid Flow*, 1980, section 4.2-3; perfusion:
//! H. H. Pennes, J. Appl. Physiol. 1, 1948, 93-122.

use crate::declare::{Declaration, Field, Parameter, Role};
use crate::lane::Lane;
use crate::setup::{Given, KernelError, Setup};
use crate::stencil::{Build, Cell, Kernel, Near, Stencil};

const TEMPERATURE: usize = 0;
const DIFFUSIVITY: usize = 1;
const PERFUSION: usize = 2;
const ARTERIAL: usize = 3;
/// Diffusivity at the low face of each cell along the first axis; the other axes follow.
const FACE: usize = 4;

/// The kernel `heat`.
#[derive(Clone, Copy, Debug)]
pub struct Heat;

/// The heat stencil: `VARYING` diffusivity or one number, with `BLOOD` or without.
struct HeatStencil<const AXES: usize, const VARYING: bool, const BLOOD: bool> {
    /// `a dt / h^2` along each axis, or `dt / h^2` where the diffusivity varies.
    ratio: [f64; AXES],
    /// `1 - 2 sum ratio`.
    rest: f64,
    /// `2 / h^2` summed, times the diffusivity where that is one number: the rate of conduction.
    rate: f64,
    dt: f64,
}

impl<const AXES: usize, const VARYING: bool, const BLOOD: bool> Stencil<AXES> for HeatStencil<AXES, VARYING, BLOOD> {
    #[inline(always)]
    fn point<L: Lane>(&self, _stage: usize, cell: &mut impl Cell<L, AXES>) {
        let here = cell.here(TEMPERATURE);
        let mut next = if VARYING { here } else { L::of(self.rest) * here };
        for axis in 0..AXES {
            let low = cell.along(TEMPERATURE, axis, -1);
            let high = cell.along(TEMPERATURE, axis, 1);
            let gained = if VARYING {
                let from_low = cell.here(FACE + axis) * (here - low);
                cell.along(FACE + axis, axis, 1).mul_add(high - here, -from_low)
            } else {
                low + high
            };
            next = L::of(self.ratio[axis]).mul_add(gained, next);
        }
        if BLOOD {
            let warming = cell.here(PERFUSION) * (cell.here(ARTERIAL) - here);
            next = L::of(self.dt).mul_add(warming, next);
        }
        cell.set(TEMPERATURE, next);
    }

    #[inline(always)]
    fn rate<L: Lane>(&self, cell: &impl Near<L, AXES>) -> L {
        let mut rate = L::of(self.rate);
        if VARYING {
            rate = rate * cell.here(DIFFUSIVITY);
        }
        if BLOOD {
            rate = cell.here(PERFUSION).mul_add(L::of(0.5), rate);
        }
        rate
    }

    #[inline(always)]
    fn prepare<L: Lane>(&self, cell: &mut impl Cell<L, AXES>) {
        if VARYING {
            let here = cell.here(DIFFUSIVITY);
            for axis in 0..AXES {
                let low = cell.along(DIFFUSIVITY, axis, -1);
                // Two cells that do not conduct have a face that does not conduct, where the mean is 0/0.
                let sum = (low + here).larger(L::of(f64::from(f32::MIN_POSITIVE)));
                cell.set(FACE + axis, L::of(2.0) * (low / sum) * here);
            }
        }
    }
}

impl Kernel for Heat {
    fn declare(&self, axes: usize) -> Declaration {
        let faces = ["face_1", "face_2", "face_3", "face_4"];
        let mut fields = vec![
            Field {
                standard_name: Some("temperature"),
                ..Field::new("temperature", Role::Component, "degC", "temperature").source(1)
            },
            Field::new(
                "diffusivity",
                Role::Coefficient,
                "m2 s-1",
                "thermal diffusivity; one number selects the constant-coefficient scheme",
            )
            .at_least(0.0),
            Field::new("perfusion", Role::Coefficient, "s-1", "rate at which blood replaces tissue heat")
                .optional()
                .at_least(0.0),
            Field::new("arterial", Role::Coefficient, "degC", "temperature of arterial blood").or(37.0),
        ];
        fields.extend(
            faces[..axes].iter().map(|name| Field::new(name, Role::Prepared, "m2 s-1", "diffusivity at low faces")),
        );
        Declaration {
            name: "heat",
            title: "heat conduction, with blood perfusion where it is given",
            equation: "dT/dt = div(a grad T) + w (T_a - T)",
            scheme: "explicit Euler in time (order 1), central differences in space (order 2), radius 1; \
                     varying diffusivity: harmonic mean at faces, conservative",
            bound: "dt (2 a sum 1/h^2 + w/2) <= 1, largest over the grid",
            source: "R. J. LeVeque, Finite Difference Methods for Ordinary and Partial Differential Equations, SIAM 2007, \
                     chapter 9; S. V. Patankar, Numerical Heat Transfer and Fluid Flow, 1980, section 4.2-3; \
                     H. H. Pennes, J. Appl. Physiol. 1, 1948, 93-122",
            axes: (1, 4),
            parameters: Vec::<Parameter>::new(),
            fields,
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
            4 => with_axes::<4, B>(setup, build),
            other => {
                Err(KernelError { key: "points".into(), problem: format!("heat runs on 1 to 4 axes, not {other}") })
            }
        }
    }
}

fn with_axes<const AXES: usize, B: Build>(setup: &Setup, build: B) -> Result<B::Output, KernelError> {
    let varying = setup.given[DIFFUSIVITY] == Given::Varying;
    Ok(match (varying, setup.given[PERFUSION] != Given::Absent) {
        (false, false) => build.stencil(heat::<AXES, false, false>(setup)),
        (false, true) => build.stencil(heat::<AXES, false, true>(setup)),
        (true, false) => build.stencil(heat::<AXES, true, false>(setup)),
        (true, true) => build.stencil(heat::<AXES, true, true>(setup)),
    })
}

fn heat<const AXES: usize, const VARYING: bool, const BLOOD: bool>(setup: &Setup) -> HeatStencil<AXES, VARYING, BLOOD> {
    let diffusivity = match setup.given[DIFFUSIVITY] {
        Given::Number(value) => value,
        Given::Absent | Given::Varying => 1.0,
    };
    let mut ratio = [0.0; AXES];
    let mut rest = 1.0;
    let mut rate = 0.0;
    for (axis, h) in setup.spacing.iter().enumerate() {
        ratio[axis] = diffusivity * setup.dt / (h * h);
        rest -= 2.0 * ratio[axis];
        rate += 2.0 * diffusivity / (h * h);
    }
    HeatStencil { ratio, rest, rate, dt: setup.dt }
}
