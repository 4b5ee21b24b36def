//! Values of a grid as values of pixels: cells as boxes where they are larger, their mean where they are smaller.
//!
//! Input: values of points. Output: values of pixels, both row by row in the same order. Invariant: the shares of a
//! pixel add up to 1 and never reach beyond the points. What is not finite counts for nothing; a pixel that it makes
//! up for the larger part is NaN. Sums go in the order of points, so the same values give the same bits.

/// Points and what of each a pixel covers; the shares add up to 1.
struct Cover {
    first: usize,
    shares: Vec<f64>,
}

/// What each of `pixels` pixels covers of `points` points.
#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "places along an axis are far below 2^53 and not negative"
)]
fn covers(points: usize, pixels: usize) -> Vec<Cover> {
    let per_pixel = points as f64 / pixels as f64;
    let cover = |pixel: usize| {
        if pixels >= points {
            let first = ((pixel as f64 + 0.5) * per_pixel) as usize;
            return Cover { first: first.min(points - 1), shares: vec![1.0] };
        }
        let (from, to) = (pixel as f64 * per_pixel, (pixel + 1) as f64 * per_pixel);
        let first = from as usize;
        let last = (to.ceil() as usize).clamp(first + 1, points);
        let share = |point: usize| {
            let from = if (point as f64) < from { from } else { point as f64 };
            let to = if to < (point + 1) as f64 { to } else { (point + 1) as f64 };
            (to - from) / per_pixel
        };
        Cover { first, shares: (first..last).map(share).collect() }
    };
    (0..pixels).map(cover).collect()
}

/// Values of `height` x `width` pixels from those of `rows` x `cols` points, both row by row. A pixel whose points are
/// not finite for the larger part is NaN.
pub(super) fn resample(values: &[f64], (rows, cols): (usize, usize), (height, width): (usize, usize)) -> Vec<f64> {
    let across = covers(cols, width);
    let mut pixels = Vec::with_capacity(width * height);
    let mut sums = vec![(0.0, 0.0); width];
    for down in covers(rows, height) {
        sums.fill((0.0, 0.0));
        for (row, row_share) in (down.first..).zip(&down.shares) {
            let row = &values[row * cols..(row + 1) * cols];
            for ((sum, weight), cover) in sums.iter_mut().zip(&across) {
                for (value, share) in row[cover.first..].iter().zip(&cover.shares) {
                    let share = if value.is_finite() { share * row_share } else { 0.0 };
                    *weight += share;
                    *sum += if share > 0.0 { value * share } else { 0.0 };
                }
            }
        }
        pixels.extend(sums.iter().map(|(sum, weight)| if *weight > 0.499 { sum / weight } else { f64::NAN }));
    }
    pixels
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn enlarging_repeats_and_reducing_averages() {
        let values = [1.0, 2.0, 3.0, 4.0];
        let large = resample(&values, (2, 2), (4, 4));
        assert_eq!(large, [1., 1., 2., 2., 1., 1., 2., 2., 3., 3., 4., 4., 3., 3., 4., 4.]);
        assert_eq!(resample(&values, (2, 2), (1, 1)), [2.5]);
        let thirds = resample(&[3.0, 6.0, 9.0], (1, 3), (1, 2));
        assert!((thirds[0] - 4.0).abs() < 1e-12 && (thirds[1] - 8.0).abs() < 1e-12, "{thirds:?}");
    }

    #[test]
    fn shares_of_a_pixel_add_up() {
        for points in 1..60 {
            for pixels in 1..60 {
                for cover in covers(points, pixels) {
                    assert!((cover.shares.iter().sum::<f64>() - 1.0).abs() < 1e-9, "{points} {pixels}");
                    assert!(cover.first + cover.shares.len() <= points, "{points} {pixels}");
                }
            }
        }
    }

    #[test]
    fn what_is_not_finite_is_left_out() {
        let (nan, far) = (f64::NAN, f64::INFINITY);
        assert_eq!(resample(&[1.0, nan, 3.0, far], (1, 4), (1, 2)), [1.0, 3.0]);
        assert!(resample(&[1.0, nan, nan, far], (2, 2), (1, 1))[0].is_nan());
        assert_eq!(resample(&[f64::MAX; 4], (2, 2), (1, 1)), [f64::MAX]);
    }
}
