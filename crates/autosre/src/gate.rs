//! Whether there is anything to explain at all: how rarely healthy times look as bad as this.
//!
//! The statistic of the stretch in question is set against the same statistic of healthy stretches. Inside their range
//! the chance is counted; beyond it the tail is continued as an exponential with the mean excess of the largest tenth
//! (peaks over threshold with shape 0: Pickands 1975, as in SPOT, KDD'17), because "never seen in 100 windows" alone
//! cannot say .001.

/// What the test says.
#[derive(Clone, Debug, PartialEq)]
pub enum Gate {
    /// Something is wrong: healthy times look like this with chance `p`.
    Open {
        /// Chance under healthy operation.
        p: f64,
    },
    /// Healthy times look like this often enough that nothing should be blamed.
    Shut {
        /// Chance under healthy operation.
        p: f64,
    },
    /// There were too few healthy windows to tell; the question is taken at its word.
    Untested {
        /// How many healthy windows there were.
        windows: usize,
    },
}

/// Largest chance under healthy operation at which something is blamed (notes on methods §4.1).
const LEVEL: f64 = 0.01;
/// Fewest healthy windows from which a tail is read: with fewer, a tenth is a single window.
const FEWEST_WINDOWS: usize = 20;
/// The part of the windows the tail is fitted on.
const TAIL_PART: f64 = 0.1;

impl Gate {
    /// Tests a statistic (large is bad) against those of healthy windows.
    pub fn test(statistic: f64, healthy: &[f64]) -> Self {
        if healthy.len() < FEWEST_WINDOWS {
            return Gate::Untested { windows: healthy.len() };
        }
        let p = tail(statistic, healthy);
        if p <= LEVEL { Gate::Open { p } } else { Gate::Shut { p } }
    }

    /// Whether an answer may blame something.
    pub fn lets_through(&self) -> bool {
        !matches!(self, Gate::Shut { .. })
    }
}

/// Chance of a value at least this large, from a sample, its largest tenth continued exponentially from the threshold on.
///
/// Not `stats::tail::Tail`, which counts up to the largest value and continues from there: old faults hide among buckets
/// that are taken for healthy, and on PetShop one of them shut the gate for a fifth of the real ones.
fn tail(value: f64, sample: &[f64]) -> f64 {
    let mut sorted = sample.to_vec();
    sorted.sort_by(f64::total_cmp);
    let n = sorted.len();
    let excesses = ((n as f64 * TAIL_PART) as usize).max(2);
    let threshold = sorted[n - excesses - 1];
    if value <= threshold {
        let above = sorted.iter().filter(|s| **s >= value).count();
        return (above as f64 + 1.0) / (n as f64 + 1.0);
    }
    let mean_excess = sorted[n - excesses..].iter().map(|s| s - threshold).sum::<f64>() / excesses as f64;
    let part = excesses as f64 / n as f64;
    if mean_excess <= 0.0 {
        1.0 / (n as f64 + 1.0)
    } else {
        part * (-(value - threshold) / mean_excess).exp()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_healthy_windows_often_show_is_not_news() {
        let healthy: Vec<f64> = (0..100).map(|i| f64::from(i) / 10.0).collect();
        assert!(matches!(Gate::test(5.0, &healthy), Gate::Shut { p } if p > 0.4));
        assert!(matches!(Gate::test(9.5, &healthy), Gate::Shut { .. }));
    }

    #[test]
    fn far_beyond_every_healthy_window_the_tail_goes_on_falling() {
        let healthy: Vec<f64> = (0..100).map(|i| f64::from(i) / 10.0).collect();
        let Gate::Open { p: near } = Gate::test(12.0, &healthy) else { panic!("shut") };
        let Gate::Open { p: far } = Gate::test(20.0, &healthy) else { panic!("shut") };
        assert!(far < near && near < 0.01);
    }

    #[test]
    fn a_handful_of_windows_proves_nothing() {
        assert_eq!(Gate::test(100.0, &[0.0; 5]), Gate::Untested { windows: 5 });
    }
}
