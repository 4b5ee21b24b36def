//! What this machine can do at most: copy memory, multiply and add, divide, take roots.
//!
//! Input: the operations of a kernel, its precision and threads. Output: medians of rates. Invariant: arithmetic is
//! stepped by the engine itself, in the kernel's precision and on its threads; divisions and roots that the kernel
//! does not have are not measured and have no rate. The order of the operations is the same where they are wanted and
//! where their medians are taken.

use super::case::{Case, job};
use crate::advance::library::Precise;
use crate::ceiling::{CEILINGS, DIVISION, FUSED_PRODUCT, PER_POINT, ROOT};
use crate::exit::Failure;
use crate::observe::progress::copy_bandwidth;
use crate::operations::Operations;

/// Least seconds of one measurement.
const BUDGET_S: f64 = 0.02;

/// Medians of what was measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Ceilings {
    /// Bytes per second, read and written.
    pub(super) copy_bandwidth: f64,
    /// Fused products per second.
    pub(super) multiply_adds: f64,
    /// Divisions per second, if the kernel has any.
    pub(super) divisions: Option<f64>,
    /// Square roots per second, if the kernel has any.
    pub(super) roots: Option<f64>,
}

/// What is measured between the repeats.
pub(super) struct Gauge<T: Precise> {
    threads: usize,
    copies: Vec<f64>,
    arithmetic: Vec<Option<Arithmetic<T>>>,
}

/// One operation's rate.
struct Arithmetic<T: Precise> {
    case: Case<T>,
    rates: Vec<f64>,
}

impl<T: Precise> Gauge<T> {
    /// For what a kernel of so many `operations` needs, on `threads` threads.
    pub(super) fn new(operations: Operations, threads: usize) -> Result<Self, Failure> {
        let wanted = [(FUSED_PRODUCT, true), (DIVISION, operations.divisions > 0), (ROOT, operations.roots > 0)];
        let make = |(operation, wanted): (usize, bool)| -> Result<Option<Arithmetic<T>>, Failure> {
            if !wanted {
                return Ok(None);
            }
            let precision = if T::BYTES == 4 { "f32" } else { "f64" };
            let text = format!(
                "grid.points = [128, 512]\nkernel = {{ name = \"arithmetic\", precision = \"{precision}\", \
                 operation = {operation} }}\nfields.x = 1.0\ntime.steps = 1\n"
            );
            let mut case = Case::new(&job(&text, &[], &CEILINGS)?, &CEILINGS, threads, 1)?;
            case.run(1, 1)?;
            Ok(Some(Arithmetic { case, rates: Vec::new() }))
        };
        let arithmetic = wanted.into_iter().map(make).collect::<Result<_, _>>()?;
        Ok(Self { threads, copies: Vec::new(), arithmetic })
    }

    /// Measures everything once.
    pub(super) fn measure(&mut self) -> Result<(), Failure> {
        self.copies.push(copy_bandwidth(self.threads, BUDGET_S));
        self.arithmetic.iter_mut().flatten().try_for_each(Arithmetic::measure)
    }

    /// Medians.
    pub(super) fn medians(mut self) -> Ceilings {
        let copy_bandwidth = median(&mut self.copies);
        let mut rates = self.arithmetic.into_iter().map(|all| all.map(|mut all| median(&mut all.rates)));
        let mut next = || rates.next().flatten();
        Ceilings { copy_bandwidth, multiply_adds: next().unwrap_or(0.0), divisions: next(), roots: next() }
    }
}

impl<T: Precise> Arithmetic<T> {
    #[allow(clippy::cast_precision_loss, reason = "rates are approximate")]
    fn measure(&mut self) -> Result<(), Failure> {
        let (mut steps, mut seconds) = (0_u32, 0.0);
        while seconds < BUDGET_S {
            seconds += self.case.run(4, 1)?;
            steps += 4;
        }
        self.rates.push(f64::from(PER_POINT) * f64::from(steps) * self.case.cells() as f64 / seconds);
        Ok(())
    }
}

/// The value in the middle, the lower one of two.
pub(super) fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len().saturating_sub(1) / 2).copied().unwrap_or(0.0)
}
