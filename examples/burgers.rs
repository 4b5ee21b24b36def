//! A kernel of one's own: Burgers' equation `u_t + (u^2/2)_x + (u^2/2)_y = nu lap u` with the flux of Engquist and Osher.
use ringfort::advance::library::SHIPPED;
use ringfort::kernels::*;

struct Burgers;
struct BurgersStencil(f64, [f64; 2], f64); // dt, spacing, viscosity

#[inline(always)]
fn flux<L: Lane>(low: L, high: L, spreading: f64) -> L {
    let (up, down) = (low.larger(L::of(0.0)), high.smaller(L::of(0.0)));
    L::of(0.5) * (up * up + down * down) - L::of(spreading) * (high - low)
}

impl Stencil<2> for BurgersStencil {
    #[inline(always)]
    fn point<L: Lane>(&self, _stage: usize, cell: &mut impl Cell<L, 2>) {
        let (BurgersStencil(dt, h, nu), here) = (self, cell.here(0));
        let mut next = here;
        for axis in 0..2 {
            let (low, high) = (cell.along(0, axis, -1), cell.along(0, axis, 1));
            next = next + L::of(dt / h[axis]) * (flux(low, here, nu / h[axis]) - flux(here, high, nu / h[axis]));
        }
        cell.set(0, next);
    }
    #[inline(always)]
    fn rate<L: Lane>(&self, cell: &impl Near<L, 2>) -> L {
        let BurgersStencil(_, [y, x], nu) = self;
        L::of(1.0 / y + 1.0 / x) * cell.here(0).abs() + L::of(2.0 * nu * (1.0 / (y * y) + 1.0 / (x * x)))
    }
}

impl Kernel for Burgers {
    fn declare(&self, _axes: usize) -> Declaration {
        let nu = Parameter::at_least("viscosity", "m2 s-1", "kinematic viscosity", 0.0);
        let u = Field::new("u", Role::Component, "m s-1", "velocity");
        Declaration { parameters: vec![nu], rate_of_state: true, ..Declaration::new("burgers", (2, 2), vec![u]) }
    }
    fn build<B: Build>(&self, of: &Setup, build: B) -> Result<B::Output, KernelError> {
        Ok(build.stencil(BurgersStencil(of.dt, [of.spacing[0], of.spacing[1]], of.number("viscosity"))))
    }
}

fn main() -> std::process::ExitCode {
    ringfort::cli::main(SHIPPED.with(&[&Burgers]))
}
