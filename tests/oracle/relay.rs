//! A second kernel, to prove the width of the trait: two stages, two components, a coefficient, and one field of each role.
//!
//! It means nothing; it reads near and far, in place and not, with mirrors of all kinds, in both precisions.

use ringfort_kernels::{
    Build, Cell, Declaration, Field, Given, Kernel, KernelError, Lane, Mirror, Near, Parameter, ParameterKind, Role,
    Setup, Stencil,
};

pub const PRESSURE: usize = 0;
pub const FLUX: usize = 1;
const STIFFNESS: usize = 2;
const MEAN: usize = 3;
const SQUARE: usize = 4;
const AMPLITUDE: usize = 5;
pub const ENERGY: usize = 6;

/// The kernel `relay`, or `steady-relay`, whose bound on the time step does not depend on the state.
#[derive(Debug)]
pub struct Relay {
    pub steady: bool,
}

struct RelayStencil<const AXES: usize> {
    dt: f64,
    damping: f64,
    steady: bool,
}

impl<const AXES: usize> Stencil<AXES> for RelayStencil<AXES> {
    const STAGES: usize = 2;

    #[inline(always)]
    fn point<L: Lane>(&self, stage: usize, cell: &mut impl Cell<L, AXES>) {
        let last = AXES - 1;
        if stage == 0 {
            // Flux in place from pressure two cells away; a scratch field for the next stage.
            let pressure = cell.here(PRESSURE);
            let slope = cell.along(PRESSURE, last, 2) - pressure;
            let flux = L::of(self.dt).mul_add(slope * cell.here(MEAN), cell.here(FLUX));
            cell.set(FLUX, flux);
            cell.set(SQUARE, pressure * pressure.abs().sqrt());
        } else {
            // Pressure from its own neighbours along the first axis: needs a second level.
            let mut sum = cell.along(FLUX, last, -1) - cell.here(FLUX);
            for axis in 0..AXES {
                let along = cell.along(PRESSURE, axis, 1).larger(cell.along(PRESSURE, axis, -1));
                sum = L::of(self.damping).mul_add(along - cell.here(PRESSURE), sum);
            }
            let corner = cell.at(SQUARE, [1; AXES]) - cell.at(SQUARE, [-1; AXES]);
            let steep = corner.abs().lt(L::of(0.25));
            sum = sum + L::select(steep, corner, L::of(0.125)) / L::of(16.0);
            let next = L::of(self.dt).mul_add(sum, cell.here(PRESSURE));
            cell.set(PRESSURE, next);
        }
    }

    #[inline(always)]
    fn rate<L: Lane>(&self, cell: &impl Near<L, AXES>) -> L {
        let stiffness = cell.here(STIFFNESS).abs();
        if self.steady { stiffness } else { stiffness + cell.here(PRESSURE).abs() }
    }

    #[inline(always)]
    fn prepare<L: Lane>(&self, cell: &mut impl Cell<L, AXES>) {
        let mut sum = cell.here(STIFFNESS);
        for axis in 0..AXES {
            sum = sum + cell.along(STIFFNESS, axis, 1);
        }
        cell.set(MEAN, sum / L::of((AXES + 1) as f64 + self.dt));
    }

    #[inline(always)]
    fn start<L: Lane>(&self, cell: &mut impl Cell<L, AXES>) {
        let amplitude = cell.here(AMPLITUDE);
        cell.set(PRESSURE, amplitude * L::of(2.0));
        cell.set(FLUX, -amplitude);
    }

    #[inline(always)]
    fn derive<L: Lane>(&self, slot: usize, cell: &impl Near<L, AXES>) -> L {
        assert_eq!(slot, ENERGY);
        cell.here(PRESSURE).mul_add(cell.here(PRESSURE), cell.here(FLUX) * cell.here(FLUX))
    }
}

impl Kernel for Relay {
    fn declare(&self, axes: usize) -> Declaration {
        let mut scratch =
            Field { stands_for: Some(PRESSURE), ..Field::new("square", Role::Scratch, "1", "between stages") };
        // Read across corners: odd about the wall along one axis, about the last point along others.
        scratch.mirror = [Mirror::OddAtPoint, Mirror::EvenAtPoint, Mirror::Even, Mirror::Even];
        scratch.mirror[axes - 1] = Mirror::Odd;
        Declaration {
            name: if self.steady { "steady-relay" } else { "relay" },
            title: "nothing in particular",
            equation: "none",
            scheme: "two stages",
            bound: "dt (|stiffness| + |pressure|) <= 1",
            source: "none",
            axes: (1, 4),
            parameters: vec![Parameter {
                name: "damping",
                about: "share of the larger neighbour",
                unit: "1",
                kind: ParameterKind::Number { default: Some(0.25), least: 0.0, most: 1.0 },
            }],
            fields: vec![
                Field::new("pressure", Role::Component, "Pa", "pressure").source(1),
                Field::new("flux", Role::Component, "m s-1", "flux along the last axis").odd_across(axes - 1).source(1),
                Field::new("stiffness", Role::Coefficient, "1", "stiffness").at_least(0.0).odd_across(0),
                Field::new("mean", Role::Prepared, "1", "mean stiffness, a little less"),
                scratch,
                Field::new("amplitude", Role::Start, "Pa", "gives pressure and flux").optional(),
                Field::new("energy", Role::Derived, "J", "energy"),
            ],
            rate_of_state: !self.steady,
            degrees: false,
            default_dt: None,
        }
    }

    fn build<B: Build>(&self, setup: &Setup, build: B) -> Result<B::Output, KernelError> {
        assert_ne!(setup.given[STIFFNESS], Given::Absent);
        let (dt, damping, steady) = (setup.dt, setup.number("damping"), self.steady);
        Ok(match setup.axes {
            1 => build.stencil(RelayStencil::<1> { dt, damping, steady }),
            2 => build.stencil(RelayStencil::<2> { dt, damping, steady }),
            3 => build.stencil(RelayStencil::<3> { dt, damping, steady }),
            _ => build.stencil(RelayStencil::<4> { dt, damping, steady }),
        })
    }
}
