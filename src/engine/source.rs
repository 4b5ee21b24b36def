//! Point sources: what is added to a field at one point in each step.
//!
//! `field_next += dt^order s(t_n)` with `s(t) = amplitude (1 - 2 a) exp(-a)`, `a = (pi f (t - 1/f))^2`: a Ricker
//! wavelet of frequency `f` that peaks at `1/f`. The order is that of the equation in time, so that `s` is a term of
//! its right side. Invariant: what a step adds is a function of the source, the time step and the step's number alone,
//! counted from the job's start: all blocks that compute the point, in their halo too, add the same bits, and so does
//! a restart.
//!
//! Source: N. Ricker, *The form and laws of propagation of seismic wavelets*, Geophysics 18, 1953, 10-40.

use std::f64::consts::PI;

use crate::grid::Extents;

/// A point source of a job.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PointSource {
    /// Slot of the component that it adds to.
    pub slot: usize,
    /// The point, in global indices.
    pub cell: Extents,
    /// Frequency of the wavelet in Hz.
    pub frequency: f64,
    /// Value at the wavelet's peak.
    pub amplitude: f64,
    /// Order of the component's equation in time.
    pub order: u8,
}

impl PointSource {
    /// Value of the wavelet at `time` in seconds.
    #[must_use]
    pub fn at(&self, time: f64) -> f64 {
        let turn = PI * self.frequency * (time - 1.0 / self.frequency);
        let square = turn * turn;
        self.amplitude * (1.0 - 2.0 * square) * libm::exp(-square)
    }

    /// What it adds in steps of `dt` seconds.
    #[must_use]
    pub fn in_steps(self, dt: f64) -> Drive {
        Drive { slot: self.slot, cell: self.cell, source: self, dt }
    }
}

/// A point source whose time step is known.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Drive {
    /// Slot of the component that it adds to.
    pub slot: usize,
    /// The point, in global indices.
    pub cell: Extents,
    source: PointSource,
    dt: f64,
}

impl Drive {
    /// What step `step`, counted from the job's start, adds to the value that it computes.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "a job has at most 2^53 steps")]
    pub fn value(&self, step: u64) -> f64 {
        let mut factor = self.dt;
        for _ in 1..self.source.order {
            factor *= self.dt;
        }
        factor * self.source.at(step as f64 * self.dt)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: PointSource = PointSource { slot: 2, cell: [0, 1, 2, 3], frequency: 25.0, amplitude: -3.0, order: 2 };

    #[test]
    fn a_ricker_wavelet_peaks_after_one_period() {
        assert_eq!(SOURCE.at(0.04), -3.0);
        // Zero where a = 1/2, on both sides, and least where a = 3/2: -2 exp(-3/2) of the peak.
        for side in [-1.0, 1.0] {
            let zero = 0.04 + side * 0.5_f64.sqrt() / (PI * 25.0);
            assert!(SOURCE.at(zero).abs() < 1e-14, "{}", SOURCE.at(zero));
            let trough = 0.04 + side * 1.5_f64.sqrt() / (PI * 25.0);
            assert!((SOURCE.at(trough) - 6.0 * (-1.5_f64).exp()).abs() < 1e-14, "{}", SOURCE.at(trough));
        }
        assert!(SOURCE.at(0.0).abs() < 3e-3 && SOURCE.at(0.0) != 0.0, "it begins softly: {}", SOURCE.at(0.0));
    }

    #[test]
    fn a_wavelet_has_no_mean() {
        let sum: f64 = (0..4000).map(|at| SOURCE.at(f64::from(at) * 4e-5 - 0.04)).sum();
        assert!(sum.abs() < 1e-9, "{sum}");
    }

    #[test]
    fn steps_add_the_wavelet_times_a_power_of_the_step() {
        let dt = 1e-3;
        for (order, factor) in [(1, dt), (2, dt * dt)] {
            let drive = PointSource { order, ..SOURCE }.in_steps(dt);
            assert_eq!((drive.slot, drive.cell), (2, [0, 1, 2, 3]));
            for step in [0, 1, 33, 40, 41, 1000] {
                let time = f64::from(u32::try_from(step).unwrap()) * dt;
                assert_eq!(drive.value(step).to_bits(), (factor * SOURCE.at(time)).to_bits(), "{step}");
            }
        }
    }
}
