//! A quantile sketch with a bounded relative error: counts in logarithmic buckets (DDSketch: Masson, Rim, Lee, VLDB 2019).
//!
//! Only whole numbers are kept, so merging in any order gives equal sketches.

/// Relative accuracy of every quantile.
pub const ACCURACY: f64 = 0.01;
/// Values closer to zero than this count as zero: below a nanosecond, a byte, a millionth of a percent.
const NEAR_ZERO: f64 = 1e-9;

/// Counts of values by logarithmic bucket.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sketch {
    /// Ascending by value. Positive values have buckets from `MIDDLE` up, negative ones below, zero at 0.
    buckets: Vec<Bucket>,
}

/// A bucket and its count in eight bytes, because a graph holds one sketch per edge and minute and most have a handful of buckets: the
/// bucket (biased, so that order is the order of values) in the upper 16 bits, the count in the lower 48, where it stops at 2.8 · 10¹⁴.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Bucket(u64);

const COUNT_BITS: u32 = 48;
const MOST: u64 = (1 << COUNT_BITS) - 1;
const BIAS: i32 = 1 << 15;

impl Bucket {
    #[expect(clippy::cast_sign_loss, reason = "clamped to 1..65,535")]
    fn new(bucket: i32, count: u64) -> Self {
        let biased = (bucket.clamp(1 - BIAS, BIAS - 1) + BIAS) as u64;
        Self(biased << COUNT_BITS | count.min(MOST))
    }

    fn bucket(self) -> i32 {
        (self.0 >> COUNT_BITS) as i32 - BIAS
    }

    fn count(self) -> u64 {
        self.0 & MOST
    }

    fn grown(self, by: u64) -> Self {
        Self(self.0 & !MOST | self.count().saturating_add(by).min(MOST))
    }
}

impl std::fmt::Debug for Bucket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.4e}×{}", representative(self.bucket()), self.count())
    }
}

/// Distance of the bucket of 1.0 from the bucket of zero; leaves room for `NEAR_ZERO` (bucket −1036).
const MIDDLE: i32 = 2_000;

fn gamma_ln() -> f64 {
    ((1.0 + ACCURACY) / (1.0 - ACCURACY)).ln()
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the logarithm of a finite double over gamma is within ±36,000"
)]
fn bucket(value: f64) -> i32 {
    let size = value.abs();
    if size < NEAR_ZERO {
        return 0;
    }
    let index = MIDDLE + (size.ln() / gamma_ln()).ceil() as i32;
    if value < 0.0 { -index } else { index }
}

fn representative(bucket: i32) -> f64 {
    if bucket == 0 {
        return 0.0;
    }
    let upper = (f64::from(bucket.abs() - MIDDLE) * gamma_ln()).exp();
    // The point of the bucket that is within the accuracy of both ends.
    let middle = upper * (1.0 - ACCURACY);
    if bucket < 0 { -middle } else { middle }
}

impl Sketch {
    /// An empty sketch.
    pub fn new() -> Sketch {
        Sketch::default()
    }

    /// Counts a value so many times. What is not finite is not counted.
    pub fn add(&mut self, value: f64, count: u64) {
        if value.is_finite() && count > 0 {
            self.put(bucket(value), count);
        }
    }

    fn put(&mut self, bucket: i32, count: u64) {
        match self.buckets.binary_search_by_key(&bucket, |held| held.bucket()) {
            Ok(at) => self.buckets[at] = self.buckets[at].grown(count),
            Err(at) => self.buckets.insert(at, Bucket::new(bucket, count)),
        }
    }

    /// Adds the counts of another sketch.
    pub fn merge(&mut self, other: &Sketch) {
        // A handful of buckets goes in one by one; more are merged into a new list.
        if other.buckets.len() <= 4 {
            for held in &other.buckets {
                self.put(held.bucket(), held.count());
            }
            return;
        }
        let mut merged = Vec::with_capacity(self.buckets.len() + other.buckets.len());
        let (mut ours, mut theirs) =
            (self.buckets.iter().copied().peekable(), other.buckets.iter().copied().peekable());
        while let (Some(a), Some(b)) = (ours.peek().copied(), theirs.peek().copied()) {
            let order = a.bucket().cmp(&b.bucket());
            merged.push(match order {
                std::cmp::Ordering::Less => a,
                std::cmp::Ordering::Equal => a.grown(b.count()),
                std::cmp::Ordering::Greater => b,
            });
            if order.is_le() {
                ours.next();
            }
            if order.is_ge() {
                theirs.next();
            }
        }
        merged.extend(ours);
        merged.extend(theirs);
        self.buckets = merged;
    }

    /// Takes away the counts of a sketch that was added before.
    pub fn take(&mut self, other: &Sketch) {
        for theirs in &other.buckets {
            if let Ok(at) = self.buckets.binary_search_by_key(&theirs.bucket(), |held| held.bucket()) {
                let left = self.buckets[at].count().saturating_sub(theirs.count());
                self.buckets[at] = Bucket::new(theirs.bucket(), left);
            }
        }
        self.buckets.retain(|held| held.count() > 0);
    }

    /// How many values were counted.
    pub fn count(&self) -> u64 {
        self.buckets.iter().map(|held| held.count()).sum()
    }

    /// The value below which a share `q` of the values lies, within [`ACCURACY`]; `None` when there are none.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a rank between zero and the count"
    )]
    pub fn quantile(&self, q: f64) -> Option<f64> {
        let count = self.count();
        let rank = (q.clamp(0.0, 1.0) * count.saturating_sub(1) as f64).floor() as u64;
        let mut below = 0u64;
        self.buckets.iter().find_map(|held| {
            below += held.count();
            (below > rank).then(|| representative(held.bucket()))
        })
    }

    /// Buckets by number and their counts, ascending: what a sketch is made of, for keeping it elsewhere.
    pub fn parts(&self) -> impl ExactSizeIterator<Item = (i32, u64)> + '_ {
        self.buckets.iter().map(|held| (held.bucket(), held.count()))
    }

    /// A sketch of such parts, in any order.
    pub fn of_parts(parts: impl IntoIterator<Item = (i32, u64)>) -> Sketch {
        let mut sketch = Sketch::new();
        for (bucket, count) in parts {
            match sketch.buckets.last() {
                Some(last) if last.bucket() >= bucket => sketch.put(bucket, count),
                _ => sketch.buckets.push(Bucket::new(bucket, count)),
            }
        }
        sketch
    }

    /// Representative values and their counts, ascending.
    pub fn iter(&self) -> impl Iterator<Item = (f64, u64)> + '_ {
        self.buckets.iter().map(|held| (representative(held.bucket()), held.count()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_empty_sketch_has_no_quantile() {
        assert_eq!(Sketch::new().quantile(0.5), None);
    }

    #[test]
    fn negative_values_come_before_zero_and_zero_before_positive_ones() {
        let mut s = Sketch::new();
        for v in [5.0, -5.0, 0.0, f64::NAN] {
            s.add(v, 1);
        }
        let values: Vec<f64> = s.iter().map(|(v, _)| v).collect();
        assert!(values[0] < -4.9 && values[1] == 0.0 && values[2] > 4.9 && values.len() == 3, "{values:?}");
    }

    #[test]
    fn a_sketch_is_made_of_its_parts_in_any_order() {
        let mut s = Sketch::new();
        [1.0, 5.0, 5.0, -3.0, 0.0, 1e9].iter().for_each(|v| s.add(*v, 2));
        assert_eq!(Sketch::of_parts(s.parts()), s);
        let mut parts: Vec<_> = s.parts().collect();
        parts.reverse();
        assert_eq!(Sketch::of_parts(parts), s);
    }

    #[test]
    fn the_largest_numbers_have_a_place() {
        let mut s = Sketch::new();
        s.add(f64::MAX, u64::MAX);
        s.add(f64::MIN, 1);
        s.add(1e-300, 1);
        assert!(s.quantile(1.0).unwrap() > 1e200 && s.quantile(0.0).unwrap() < -1e200 && s.count() > 1 << 47);
    }

    proptest! {
        #[test]
        fn a_quantile_is_within_the_accuracy(mut values in proptest::collection::vec(1e-6f64..1e9, 1..200), q in 0.0f64..1.0) {
            let mut s = Sketch::new();
            for v in &values {
                s.add(*v, 1);
            }
            values.sort_by(f64::total_cmp);
            let exact = values[(q * (values.len() - 1) as f64).floor() as usize];
            prop_assert!((s.quantile(q).unwrap() - exact).abs() <= exact * (ACCURACY + 1e-9));
        }

        #[test]
        fn the_order_of_merging_does_not_matter(parts in proptest::collection::vec(proptest::collection::vec((-1e9f64..1e9, 1u64..1_000), 0..9), 0..6)) {
            let of = |vs: &[(f64, u64)]| { let mut s = Sketch::new(); for (v, n) in vs { s.add(*v, *n); } s };
            let sum = |sketches: &mut dyn Iterator<Item = Sketch>| sketches.fold(Sketch::new(), |mut sum, s| { sum.merge(&s); sum });
            let forth = sum(&mut parts.iter().map(|part| of(part)));
            let back = sum(&mut parts.iter().rev().map(|part| of(part)));
            prop_assert_eq!(forth.count(), parts.iter().flatten().map(|(_, n)| n).sum::<u64>());
            prop_assert_eq!(forth, back);
        }

        #[test]
        fn merging_is_counting_together(a in proptest::collection::vec(-1e6f64..1e6, 0..50), b in proptest::collection::vec(-1e6f64..1e6, 0..50)) {
            let of = |vs: &[f64]| { let mut s = Sketch::new(); for v in vs { s.add(*v, 1); } s };
            let (mut ab, mut ba) = (of(&a), of(&b));
            ab.merge(&of(&b));
            ba.merge(&of(&a));
            prop_assert_eq!(&ab, &ba);
            let all: Vec<f64> = a.iter().chain(&b).copied().collect();
            prop_assert_eq!(ab, of(&all));
        }
    }
}
