//! Values beyond a side of the grid, as functions of time.
//!
//! Input: a side, a field's slot, times and values. Output: the value at any time. Invariant: it is a function of the
//! series and the time alone, so all blocks at a side get the same bits; times rise and there is at least one, so
//! there is a value before the first and after the last.

use crate::grid::Side;

/// A field's value beyond a side of the grid.
#[derive(Clone, Debug, PartialEq)]
pub struct Inflow {
    /// Axis (0 to 3) of the side.
    pub axis: usize,
    /// The side.
    pub side: Side,
    /// Slot of the field.
    pub slot: usize,
    /// Times in seconds, rising, and values; at least one.
    series: Vec<(f64, f64)>,
}

impl Inflow {
    /// Field `slot` beyond `side` of `axis`, with the values of `series` at its times in seconds.
    ///
    /// # Panics
    ///
    /// If `series` is empty or its times do not rise.
    #[must_use]
    pub fn new((axis, side): (usize, Side), slot: usize, series: Vec<(f64, f64)>) -> Self {
        assert!(!series.is_empty() && series.is_sorted_by(|a, b| a.0 < b.0), "times of an inflow rise");
        Self { axis, side, slot, series }
    }

    /// The value at `time`: linear between the times of the series, its first and last value before and after them.
    #[must_use]
    pub fn at(&self, time: f64) -> f64 {
        let after = self.series.partition_point(|&(known, _)| known <= time);
        if after == 0 {
            return self.series[0].1;
        }
        let (begin, first) = self.series[after - 1];
        match self.series.get(after) {
            None => first,
            Some(&(end, last)) => first + (last - first) * ((time - begin) / (end - begin)),
        }
    }

    /// Times and values.
    #[must_use]
    pub fn series(&self) -> &[(f64, f64)] {
        &self.series
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_linear_in_time() {
        let series = vec![(1.0, 10.0), (2.0, 20.0), (4.0, 0.0)];
        let inflow = Inflow::new((3, Side::Low), 0, series);
        for (time, value) in [(0.0, 10.0), (1.0, 10.0), (1.5, 15.0), (2.0, 20.0), (3.0, 10.0), (4.0, 0.0), (9.0, 0.0)] {
            assert_eq!(inflow.at(time), value, "{time}");
        }
    }
}
