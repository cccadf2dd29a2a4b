//! Seeded randomness: xoshiro256** started by splitmix64 (Blackman and Vigna), and the few distributions a world needs.
//!
//! Own code rather than a crate: the same seed must give the same bytes for as long as the scoreboard is compared over time.

/// One splitmix64 step: a good mixer for making ids from counters.
pub(crate) fn mix(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A stable 64-bit identity for the `n`th thing called `label` in the world of `seed`.
pub(crate) fn identity(seed: u64, label: &str, n: u64) -> u64 {
    let mut hash = mix(seed ^ 0xe2e0_6a9f);
    for byte in label.bytes() {
        hash = mix(hash ^ u64::from(byte));
    }
    mix(hash ^ n)
}

/// A stream of random numbers.
#[derive(Clone, Debug)]
pub(crate) struct Rng {
    state: [u64; 4],
}

impl Rng {
    /// The stream called `label` of the world `seed`; streams of different labels do not disturb each other.
    pub(crate) fn new(seed: u64, label: &str) -> Self {
        Rng::from_identity(identity(seed, label, 0))
    }

    /// A stream that belongs to one thing.
    pub(crate) fn from_identity(id: u64) -> Self {
        let (a, b) = (mix(id), mix(id ^ 0x5851_f42d));
        Rng { state: [a, b, mix(a ^ b.rotate_left(17)), mix(b ^ a.rotate_left(31)) | 1] }
    }

    pub(crate) fn next(&mut self) -> u64 {
        let [a, b, c, d] = self.state;
        let result = b.wrapping_mul(5).rotate_left(7).wrapping_mul(9);
        let (c, d) = (c ^ a, d ^ b);
        self.state = [a ^ d, b ^ c, c ^ (b << 17), d.rotate_left(45)];
        result
    }

    /// Uniform in `[0, 1)`.
    pub(crate) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Uniform in `[low, high)`.
    pub(crate) fn range(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// Uniform in `0..count`; 0 when there is nothing to choose from.
    pub(crate) fn below(&mut self, count: usize) -> usize {
        ((self.unit() * count as f64) as usize).min(count.saturating_sub(1))
    }

    pub(crate) fn chance(&mut self, share: f64) -> bool {
        self.unit() < share
    }

    /// Standard normal (Box and Muller).
    pub(crate) fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.unit()).cos()
    }

    /// Log-normal with that median; `spread` is the standard deviation of the logarithm.
    pub(crate) fn around(&mut self, median: f64, spread: f64) -> f64 {
        median * (spread * self.normal()).exp()
    }

    /// Exponential with that mean.
    pub(crate) fn waiting(&mut self, mean: f64) -> f64 {
        -mean * (1.0 - self.unit()).ln()
    }

    /// How often something happens that happens `mean` times on average (Knuth; means here are below 100).
    pub(crate) fn count(&mut self, mean: f64) -> usize {
        let limit = (-mean).exp();
        let (mut product, mut count) = (self.unit(), 0);
        while product > limit {
            product *= self.unit();
            count += 1;
        }
        count
    }

    /// An index, with chances in proportion to `weights`.
    pub(crate) fn weighted(&mut self, weights: impl Iterator<Item = f64> + Clone) -> usize {
        let mut left = self.unit() * weights.clone().sum::<f64>();
        let mut last = 0;
        for (index, weight) in weights.enumerate() {
            if weight > 0.0 {
                last = index;
                if left < weight {
                    return index;
                }
                left -= weight;
            }
        }
        last
    }

    /// One of `items`.
    pub(crate) fn pick<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        items.get(self.below(items.len()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_repeat_and_differ_by_label() {
        let draw =
            |label| (0..4).map(|_| 0).scan(Rng::new(7, label), |r, _| Some(r.next())).collect::<Vec<u64>>();
        assert_eq!(draw("a"), draw("a"));
        assert_ne!(draw("a"), draw("b"));
    }

    #[test]
    fn the_distributions_have_the_moments_they_promise() {
        let mut rng = Rng::new(1, "moments");
        let n = 20_000;
        let mean = |f: &mut dyn FnMut() -> f64| (0..n).map(|_| f()).sum::<f64>() / f64::from(n);
        assert!((mean(&mut || rng.unit()) - 0.5).abs() < 0.01);
        assert!(mean(&mut || rng.normal()).abs() < 0.03);
        assert!((mean(&mut || rng.count(3.0) as f64) - 3.0).abs() < 0.06);
        assert!((mean(&mut || rng.waiting(5.0)) - 5.0).abs() < 0.15);
        assert!((mean(&mut || rng.weighted([1.0, 0.0, 3.0].into_iter()) as f64) - 1.5).abs() < 0.03);
    }
}
