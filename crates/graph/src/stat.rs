//! What one minute of one series amounted to: counts, sums and a sketch, all whole numbers, so that adding them in any order
//! gives the same bytes.

use stats::sketch::Sketch;

/// Sums of values are kept in millionths, sums of logarithms in 2⁻²⁴ths: both finer than any source measures.
const MICRO: f64 = 1e6;
const LOG_ONE: f64 = 16_777_216.0;
/// Logarithms are taken of at least this: nothing that is measured in milliseconds, bytes or shares is usefully smaller.
const LOG_FLOOR: f64 = 1e-6;

/// A mergeable summary of observations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stat {
    /// How many.
    pub count: u64,
    /// How many of them were bad (errors, crashes, what a ratio counts).
    pub bad: u64,
    sum_micro: i128,
    log_sum: i128,
    log_square: i128,
    /// The values themselves, to 1 % relative accuracy.
    pub sketch: Sketch,
}

impl Stat {
    /// Adds `count` observations of one value.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "saturating by definition of `as`, and values are finite"
    )]
    pub fn add(&mut self, value: f64, count: u64, bad: u64) {
        if !value.is_finite() || count == 0 {
            return;
        }
        let n = i128::from(count);
        let ln = value.max(LOG_FLOOR).ln();
        self.count += count;
        self.bad += bad;
        self.sum_micro += (value * MICRO) as i128 * n;
        self.log_sum += (ln * LOG_ONE) as i128 * n;
        self.log_square += (ln * ln * LOG_ONE) as i128 * n;
        self.sketch.add(value, count);
    }

    /// Adds tries of a ratio or plain happenings, which have no value of their own.
    pub fn add_count(&mut self, count: u64, bad: u64) {
        self.count += count;
        self.bad += bad;
    }

    /// Corrects the sum when a source knows it exactly and the values only by bucket.
    #[expect(clippy::cast_possible_truncation, reason = "saturating by definition of `as`")]
    pub fn correct_sum(&mut self, by: f64) {
        if by.is_finite() {
            self.sum_micro += (by * MICRO) as i128;
        }
    }

    /// Adds another summary.
    pub fn merge(&mut self, other: &Stat) {
        self.count += other.count;
        self.bad += other.bad;
        self.sum_micro += other.sum_micro;
        self.log_sum += other.log_sum;
        self.log_square += other.log_square;
        self.sketch.merge(&other.sketch);
    }

    /// Takes away what was added before: whole numbers, so exactly.
    pub fn take(&mut self, other: &Stat) {
        self.count = self.count.saturating_sub(other.count);
        self.bad = self.bad.saturating_sub(other.bad);
        self.sum_micro -= other.sum_micro;
        self.log_sum -= other.log_sum;
        self.log_square -= other.log_square;
        self.sketch.take(&other.sketch);
    }

    /// Sum of the values.
    pub fn sum(&self) -> f64 {
        self.sum_micro as f64 / MICRO
    }

    /// Arithmetic mean of the values.
    pub fn mean(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum() / self.count as f64)
    }

    /// Share of bad ones.
    pub fn ratio(&self) -> Option<f64> {
        (self.count > 0).then(|| self.bad as f64 / self.count as f64)
    }

    /// Mean of the natural logarithms of the values.
    pub fn log_mean(&self) -> Option<f64> {
        (self.count > 0).then(|| self.log_sum as f64 / LOG_ONE / self.count as f64)
    }

    /// Sample variance of the natural logarithms.
    pub fn log_variance(&self) -> Option<f64> {
        let n = self.count as f64;
        let mean = self.log_mean()?;
        (self.count > 1).then(|| ((self.log_square as f64 / LOG_ONE - n * mean * mean) / (n - 1.0)).max(0.0))
    }

    /// A quantile of the values.
    pub fn quantile(&self, q: f64) -> Option<f64> {
        self.sketch.quantile(q)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_mean_of_logarithms_is_the_logarithm_of_the_geometric_mean() {
        let mut s = Stat::default();
        s.add(100.0, 1, 0);
        s.add(400.0, 1, 1);
        assert!((s.log_mean().unwrap().exp() - 200.0).abs() < 0.01);
        assert_eq!((s.mean(), s.ratio()), (Some(250.0), Some(0.5)));
    }

    #[test]
    fn what_is_not_a_number_is_not_counted() {
        let mut s = Stat::default();
        s.add(f64::NAN, 1, 0);
        s.add(f64::INFINITY, 1, 0);
        assert_eq!(s, Stat::default());
    }

    proptest! {
        #[test]
        fn merging_in_any_order_gives_the_same_summary(values in proptest::collection::vec(0.001f64..1e7, 0..40), cut in 0usize..40) {
            let all = |vs: &[f64]| { let mut s = Stat::default(); for v in vs { s.add(*v, 1, 0); } s };
            let (a, b) = values.split_at(cut.min(values.len()));
            let (mut ab, mut ba) = (all(a), all(b));
            ab.merge(&all(b));
            ba.merge(&all(a));
            prop_assert_eq!(&ab, &ba);
            prop_assert_eq!(ab, all(&values));
        }
    }
}
