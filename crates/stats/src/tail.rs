//! How unusual a value is among healthy ones, beyond the largest that was seen too.

/// The median; nothing for no values. What is not a number is left out.
pub fn median(values: &[f64]) -> Option<f64> {
    quantile(values, 0.5)
}

/// The quantile by linear interpolation; nothing for no values. What is not a number is left out.
pub fn quantile(values: &[f64], q: f64) -> Option<f64> {
    let mut sorted: Vec<f64> = values.iter().copied().filter(|value| !value.is_nan()).collect();
    sorted.sort_by(f64::total_cmp);
    let at = q.clamp(0.0, 1.0) * sorted.len().checked_sub(1)? as f64;
    let low = sorted.get(at.floor() as usize)?;
    let high = sorted.get(at.ceil() as usize)?;
    Some(if low == high { *low } else { low + (high - low) * at.fract() })
}

/// Centre and scale that a few wild values cannot move.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Robust {
    /// The median.
    pub centre: f64,
    /// The standard deviation of a normal sample with this median absolute deviation.
    pub scale: f64,
}

impl Robust {
    /// Of the values; nothing for no values.
    pub fn of(values: &[f64]) -> Option<Self> {
        let centre = median(values)?;
        let apart: Vec<f64> = values.iter().map(|value| (value - centre).abs()).collect();
        // 1.4826 = 1 / Φ⁻¹(3/4).
        Some(Self { centre, scale: 1.4826 * median(&apart)? })
    }

    /// How many scales a value is away from the centre. `floor` is the smallest scale that is believed, so that a series that
    /// never moved does not make the first tremor infinite.
    pub fn z(self, value: f64, floor: f64) -> f64 {
        (value - self.centre) / self.scale.max(floor).max(f64::MIN_POSITIVE)
    }
}

/// The upper tail of a healthy sample: empirical within, exponential beyond.
#[derive(Clone, Debug, PartialEq)]
pub struct Tail {
    sorted: Vec<f64>,
    threshold: f64,
    excess: f64,
}

/// The exponential is fitted to this share of the largest values (the customary compromise of peaks over threshold).
const TAIL_SHARE: f64 = 0.1;

impl Tail {
    /// Of a healthy sample; nothing for no values.
    pub fn of(healthy: &[f64]) -> Option<Self> {
        let mut sorted: Vec<f64> = healthy.iter().copied().filter(|value| value.is_finite()).collect();
        sorted.sort_by(f64::total_cmp);
        let threshold = quantile(&sorted, 1.0 - TAIL_SHARE)?;
        let beyond: Vec<f64> =
            sorted.iter().filter(|value| **value > threshold).map(|value| value - threshold).collect();
        let excess = if beyond.is_empty() { 0.0 } else { beyond.iter().sum::<f64>() / beyond.len() as f64 };
        Some(Self { sorted, threshold, excess })
    }

    /// The probability that a healthy value is at least this large.
    pub fn p_value(&self, value: f64) -> f64 {
        let n = self.sorted.len() as f64;
        let at_least = |value: f64| {
            let below = self.sorted.partition_point(|seen| *seen < value) as f64;
            (n - below + 1.0) / (n + 1.0)
        };
        match self.sorted.last() {
            Some(largest) if value > *largest => {
                let steps = if self.excess > 0.0 { (value - largest) / self.excess } else { 0.0 };
                (-steps).exp() / (n + 1.0)
            }
            _ => at_least(value),
        }
    }

    /// Where the exponential part was fitted from.
    pub fn threshold(&self) -> f64 {
        self.threshold
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Dice;

    #[test]
    fn half_the_values_may_be_wild() {
        let robust = Robust::of(&[1.0, 2.0, 3.0, 1e9, f64::NAN]).unwrap();
        assert!(robust.centre == 2.5 && robust.scale < 2.0);
        assert_eq!(Robust::of(&[]), None);
        assert_eq!(Robust::of(&[5.0, 5.0]).unwrap().z(6.0, 0.5), 2.0);
    }

    #[test]
    fn a_p_value_falls_all_the_way() {
        let mut dice = Dice::new(2);
        let healthy: Vec<f64> = (0..500).map(|_| -(1.0 - dice.unit()).ln()).collect();
        let tail = Tail::of(&healthy).unwrap();
        let p: Vec<f64> = [0.0, 1.0, 3.0, 10.0, 20.0].map(|value| tail.p_value(value)).to_vec();
        assert!(p.windows(2).all(|pair| pair[0] > pair[1]), "{p:?}");
        assert!((p[1] - (-1f64).exp()).abs() < 0.06);
        assert!(p[4] < 1e-5 && p[4] > 1e-12, "{p:?}");
    }
}
