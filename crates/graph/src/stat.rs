//! What one minute of one series amounted to: counts, sums and a sketch, all whole numbers, so that adding them in any order
//! gives the same bytes.

use serde::de::{Deserialize, Deserializer, Visitor};
use serde::ser::{Serialize, Serializer};
use stats::sketch::Sketch;

/// Sums of values are kept in millionths, sums of logarithms in 2⁻²⁴ths: both finer than any source measures.
const MICRO: f64 = 1e6;
const LOG_ONE: f64 = 16_777_216.0;
/// Logarithms are taken of at least this: nothing that is measured in milliseconds, bytes or shares is usefully smaller.
const LOG_FLOOR: f64 = 1e-6;

/// As much as one observation may add to a sum, in millionths: nothing that is measured comes near, and a hundred million of these fit.
pub(crate) const FARTHEST: f64 = 1e30;

/// A value in millionths, as often as it was observed.
#[expect(clippy::cast_possible_truncation, reason = "clamped first")]
fn millionths(value: f64, count: u64) -> i128 {
    let bound = FARTHEST as i128;
    ((value * MICRO).clamp(-FARTHEST, FARTHEST) as i128)
        .saturating_mul(i128::from(count))
        .clamp(-bound, bound)
}

/// A sum in millionths.
#[expect(clippy::cast_possible_truncation, reason = "clamped first")]
pub(crate) fn micro(sum: f64) -> i128 {
    if sum.is_finite() { (sum * MICRO).clamp(-FARTHEST, FARTHEST).round() as i128 } else { 0 }
}

/// What is left of tries beyond whole ones, in millionths, each less than a whole one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Parts {
    count: u32,
    bad: u32,
}

const WHOLE: u32 = 1_000_000;

/// Tries in millionths.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped first")]
pub(crate) fn tries_micro(tries: f64) -> u64 {
    if tries.is_finite() { (tries.clamp(0.0, 9.0e12) * MICRO).round() as u64 } else { 0 }
}

/// Adds to a number of whole ones and millionths.
fn more(whole: &mut u64, part: &mut u32, by: (u64, u32)) {
    let sum = *part + by.1;
    *whole += by.0 + u64::from(sum / WHOLE);
    *part = sum % WHOLE;
}

/// Takes from a number of whole ones and millionths what was added before.
fn less(whole: &mut u64, part: &mut u32, by: (u64, u32)) {
    let borrowed = u32::from(*part < by.1);
    *part = *part + borrowed * WHOLE - by.1;
    *whole = whole.saturating_sub(by.0 + u64::from(borrowed));
}

/// A mergeable summary of observations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stat {
    /// How many; whole ones, where a ratio shares out time.
    pub count: u64,
    /// How many of them were bad (errors, crashes, what a ratio counts).
    pub bad: u64,
    /// Millionths beyond the whole ones, of both.
    parts: Parts,
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
        self.sum_micro = self.sum_micro.wrapping_add(millionths(value, count));
        self.log_sum += (ln * LOG_ONE) as i128 * n;
        self.log_square += (ln * ln * LOG_ONE) as i128 * n;
        self.sketch.add(value, count);
    }

    /// Adds tries of a ratio or plain happenings, which have no value of their own.
    pub fn add_count(&mut self, count: u64, bad: u64) {
        self.count += count;
        self.bad += bad;
    }

    /// Adds tries of a ratio in millionths.
    pub(crate) fn add_tries_micro(&mut self, count: u64, bad: u64) {
        let split = |n: u64| (n / u64::from(WHOLE), u32::try_from(n % u64::from(WHOLE)).unwrap_or_default());
        more(&mut self.count, &mut self.parts.count, split(count));
        more(&mut self.bad, &mut self.parts.bad, split(bad));
    }

    /// How many, with parts of a whole one.
    pub fn tries(&self) -> f64 {
        self.count as f64 + f64::from(self.parts.count) / MICRO
    }

    /// How many of them were bad, with parts of a whole one.
    pub fn bad_tries(&self) -> f64 {
        self.bad as f64 + f64::from(self.parts.bad) / MICRO
    }

    /// Corrects the sum when a source knows it exactly and the values only by bucket.
    pub fn correct_sum(&mut self, by: f64) {
        if by.is_finite() {
            self.sum_micro = self.sum_micro.wrapping_add(millionths(by, 1));
        }
    }

    /// Adds another summary.
    pub fn merge(&mut self, other: &Stat) {
        more(&mut self.count, &mut self.parts.count, (other.count, other.parts.count));
        more(&mut self.bad, &mut self.parts.bad, (other.bad, other.parts.bad));
        // Wrapping, so that the order of what is added does not matter even beyond all bounds.
        self.sum_micro = self.sum_micro.wrapping_add(other.sum_micro);
        self.log_sum += other.log_sum;
        self.log_square += other.log_square;
        self.sketch.merge(&other.sketch);
    }

    /// Takes away what was added before: whole numbers, so exactly.
    pub fn take(&mut self, other: &Stat) {
        less(&mut self.count, &mut self.parts.count, (other.count, other.parts.count));
        less(&mut self.bad, &mut self.parts.bad, (other.bad, other.parts.bad));
        self.sum_micro = self.sum_micro.wrapping_sub(other.sum_micro);
        self.log_sum -= other.log_sum;
        self.log_square -= other.log_square;
        self.sketch.take(&other.sketch);
    }

    /// A summary of its figures, as those of another tell them: [`Stat::tries`], [`Stat::bad_tries`], [`Stat::sum`], [`Stat::log_sum`],
    /// [`Stat::log_squares`] and the sketch. It is that other one as long as sums are exact in 53 bits.
    pub fn of_figures(
        (tries, bad): (f64, f64),
        sum: f64,
        (log_sum, log_squares): (f64, f64),
        sketch: Sketch,
    ) -> Stat {
        #[expect(clippy::cast_possible_truncation, reason = "clamped first")]
        let log = |x: f64| {
            let most = i64::MAX as f64;
            (if x.is_finite() { x * LOG_ONE } else { 0.0 }).clamp(-most, most).round() as i128
        };
        let mut stat = Stat {
            sum_micro: micro(sum),
            log_sum: log(log_sum),
            log_square: log(log_squares),
            sketch,
            ..Stat::default()
        };
        stat.add_tries_micro(tries_micro(tries), tries_micro(bad));
        stat
    }

    /// What it is made of, in a few bytes: [`Stat::read`] gives it back.
    pub(crate) fn write(&self, to: &mut Vec<u8>) {
        for whole in [self.count, self.bad, u64::from(self.parts.count), u64::from(self.parts.bad)] {
            write_number(to, u128::from(whole));
        }
        for sum in [self.sum_micro, self.log_sum, self.log_square] {
            write_number(to, (sum << 1 ^ sum >> 127).cast_unsigned());
        }
        write_number(to, self.sketch.parts().len() as u128);
        let mut before = 0;
        for (bucket, count) in self.sketch.parts() {
            let step = i128::from(bucket - before);
            before = bucket;
            write_number(to, (step << 1 ^ step >> 127).cast_unsigned());
            write_number(to, u128::from(count));
        }
    }

    /// The summary that was written at the beginning of these bytes, which are moved past it.
    pub(crate) fn read(from: &mut &[u8]) -> Stat {
        let signed = |n: u128| (n >> 1).cast_signed() ^ -(n & 1).cast_signed();
        let [count, bad, of_count, of_bad] = std::array::from_fn(|_| read_number(from) as u64);
        let part = |n: u64| u32::try_from(n).unwrap_or_default();
        let parts = Parts { count: part(of_count), bad: part(of_bad) };
        let (sum_micro, log_sum, log_square) =
            (signed(read_number(from)), signed(read_number(from)), signed(read_number(from)));
        let buckets = read_number(from);
        let mut before = 0;
        let held = (0..buckets).map(|_| {
            before += signed(read_number(from)) as i32;
            (before, read_number(from) as u64)
        });
        let sketch = Sketch::of_parts(held);
        Stat { count, bad, parts, sum_micro, log_sum, log_square, sketch }
    }

    /// The sums of what was written at the beginning of these bytes, without the values themselves.
    pub(crate) fn read_sums(mut from: &[u8]) -> Sums {
        let signed = |n: u128| (n >> 1).cast_signed() ^ -(n & 1).cast_signed();
        let [count, bad, of_count, of_bad] = std::array::from_fn(|_| read_number(&mut from) as u64);
        let part = |n: u64| u32::try_from(n).unwrap_or_default();
        let parts = Parts { count: part(of_count), bad: part(of_bad) };
        let [sum_micro, log_sum] = std::array::from_fn(|_| signed(read_number(&mut from)));
        let _log_square = read_number(&mut from);
        Sums { count, bad, parts, sum_micro, log_sum, valued: read_number(&mut from) > 0 }
    }

    /// Its sums, without the values themselves.
    pub(crate) fn sums(&self) -> Sums {
        let Stat { count, bad, parts, sum_micro, log_sum, ref sketch, .. } = *self;
        Sums { count, bad, parts, sum_micro, log_sum, valued: sketch.count() > 0 }
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
        let tries = self.tries();
        (tries > 0.0).then(|| self.bad_tries() / tries)
    }

    /// Sum of the natural logarithms of the values.
    pub fn log_sum(&self) -> f64 {
        self.log_sum as f64 / LOG_ONE
    }

    /// Sum of the squares of the natural logarithms of the values.
    pub fn log_squares(&self) -> f64 {
        self.log_square as f64 / LOG_ONE
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

impl Serialize for Stat {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut bytes = Vec::with_capacity(64);
        self.write(&mut bytes);
        to.serialize_bytes(&bytes)
    }
}

impl<'de> Deserialize<'de> for Stat {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Stat, D::Error> {
        struct Bytes;
        impl Visitor<'_> for Bytes {
            type Value = Stat;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("the bytes of a summary")
            }

            fn visit_bytes<E>(self, mut bytes: &[u8]) -> Result<Stat, E> {
                Ok(Stat::read(&mut bytes))
            }
        }
        from.deserialize_bytes(Bytes)
    }
}

/// What a summary amounts to without its sketch: for those who ask of very many and want no quantile.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// How many; whole ones.
    pub count: u64,
    /// How many of them were bad.
    pub bad: u64,
    parts: Parts,
    sum_micro: i128,
    log_sum: i128,
    /// Whether there are values, not only tries.
    pub(crate) valued: bool,
}

impl Sums {
    /// Adds one observation, as [`Stat::add`] does.
    #[expect(clippy::cast_possible_truncation, reason = "saturating by definition of `as`")]
    pub(crate) fn add(&mut self, value: f64, bad: u64) {
        self.count += 1;
        self.bad += bad;
        self.sum_micro += (value * MICRO) as i128;
        self.log_sum += (value.max(LOG_FLOOR).ln() * LOG_ONE) as i128;
        self.valued = true;
    }

    /// Adds others.
    pub fn merge(&mut self, other: &Sums) {
        more(&mut self.count, &mut self.parts.count, (other.count, other.parts.count));
        more(&mut self.bad, &mut self.parts.bad, (other.bad, other.parts.bad));
        self.sum_micro += other.sum_micro;
        self.log_sum += other.log_sum;
        self.valued |= other.valued;
    }

    /// How many, with parts of a whole one.
    pub fn tries(&self) -> f64 {
        self.count as f64 + f64::from(self.parts.count) / MICRO
    }

    /// Share of bad ones.
    pub fn ratio(&self) -> Option<f64> {
        let bad = self.bad as f64 + f64::from(self.parts.bad) / MICRO;
        (self.tries() > 0.0).then(|| bad / self.tries())
    }

    /// Arithmetic mean of the values.
    pub fn mean(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum_micro as f64 / MICRO / self.count as f64)
    }

    /// Mean of the natural logarithms of the values.
    pub fn log_mean(&self) -> Option<f64> {
        (self.count > 0).then(|| self.log_sum as f64 / LOG_ONE / self.count as f64)
    }
}

/// Seven bits a byte, least first (LEB128).
#[expect(clippy::cast_possible_truncation, reason = "seven bits")]
pub(crate) fn write_number(to: &mut Vec<u8>, mut number: u128) {
    while number >= 0x80 {
        to.push(number as u8 | 0x80);
        number >>= 7;
    }
    to.push(number as u8);
}

/// The same back; zero where there is nothing left to read.
pub(crate) fn read_number(from: &mut &[u8]) -> u128 {
    let mut number = 0;
    for shift in (0..128).step_by(7) {
        let Some((byte, rest)) = from.split_first() else { break };
        *from = rest;
        number |= u128::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            break;
        }
    }
    number
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
        fn what_was_added_in_parts_is_taken_away_exactly(all in proptest::collection::vec((0u64..5_000_000, any::<bool>()), 1..30), cut in 0usize..30) {
            let sum = |all: &[(u64, bool)]| {
                let mut s = Stat::default();
                all.iter().for_each(|(n, bad)| s.add_tries_micro(*n, if *bad { *n } else { 0 }));
                s
            };
            let (first, rest) = all.split_at(cut.min(all.len()));
            let mut whole = sum(&all);
            let micro: u64 = all.iter().map(|a| a.0).sum();
            prop_assert_eq!((whole.count, u64::from(whole.parts.count)), (micro / 1_000_000, micro % 1_000_000));
            whole.take(&sum(first));
            prop_assert_eq!(&whole, &sum(rest));
            whole.merge(&sum(first));
            prop_assert_eq!(whole, sum(&all));
        }

        #[test]
        fn what_was_written_reads_the_same(values in proptest::collection::vec((-1e9f64..1e9, 1u64..1_000_000, 0u64..3), 0..40)) {
            let mut s = Stat::default();
            values.iter().for_each(|(v, n, bad)| s.add(*v, *n, *bad));
            values.iter().for_each(|(_, n, bad)| s.add_tries_micro(*n, *bad));
            let mut bytes = Vec::new();
            s.write(&mut bytes);
            bytes.push(7);
            let mut rest = bytes.as_slice();
            prop_assert_eq!(Stat::read_sums(rest), s.sums());
            prop_assert_eq!(Stat::read(&mut rest), s);
            prop_assert_eq!(rest, [7]);
        }

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
