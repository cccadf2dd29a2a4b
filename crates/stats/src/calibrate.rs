//! From scores to probabilities that mean what they say, and the figures that show whether they do.

/// Probabilities of competing hypotheses from their log-odds, with `unknown` (the log-odds of none of them) as one more. Returns the
/// hypotheses' probabilities and the unknown's; they add up to one.
pub fn softmax(scores: &[f64], unknown: f64) -> (Vec<f64>, f64) {
    let top = scores.iter().copied().fold(unknown, f64::max);
    let powers: Vec<f64> = scores.iter().map(|score| (score - top).exp()).collect();
    let rest = (unknown - top).exp();
    let all = rest + powers.iter().sum::<f64>();
    (powers.iter().map(|power| power / all).collect(), rest / all)
}

/// The probability of an effect when each cause alone may bring it about, and chance (`leak`) too.
pub fn noisy_or(leak: f64, causes: &[f64]) -> f64 {
    1.0 - causes.iter().fold(1.0 - leak, |not, cause| not * (1.0 - cause))
}

/// 1 / (1 + e⁻ˣ).
pub fn logistic(x: f64) -> f64 {
    if x >= 0.0 { 1.0 / (1.0 + (-x).exp()) } else { x.exp() / (1.0 + x.exp()) }
}

/// Platt's scaling (1999), with the smoothed targets of Lin, Lin, Weng (2007): p = 1 / (1 + e^−(slope·score + offset)).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Platt {
    /// Log-odds per unit of score.
    pub slope: f64,
    /// Log-odds at score zero.
    pub offset: f64,
}

impl Platt {
    /// Fits to scores and whether each was right. With no spread of scores the slope is zero and the base rate remains.
    pub fn fit(outcomes: &[(f64, bool)]) -> Self {
        let right = outcomes.iter().filter(|(_, right)| *right).count() as f64;
        let wrong = outcomes.len() as f64 - right;
        let (high, low) = ((right + 1.0) / (right + 2.0), 1.0 / (wrong + 2.0));
        let mut fit = Self { slope: 0.0, offset: ((right + 1.0) / (wrong + 1.0)).ln() };
        for _ in 0..100 {
            // Newton's step on the two parameters; the ridge keeps a separable set finite.
            let (mut g, mut h) = ([0.0, 0.0], [1e-9, 0.0, 1e-9]);
            for (score, right) in outcomes {
                let p = fit.probability(*score);
                let (error, weight) = (p - if *right { high } else { low }, p * (1.0 - p));
                g = [g[0] + error * score, g[1] + error];
                h = [h[0] + weight * score * score, h[1] + weight * score, h[2] + weight];
            }
            let determinant = h[0] * h[2] - h[1] * h[1];
            if determinant <= 1e-12 * h[0] * h[2] {
                break;
            }
            let step = [(h[2] * g[0] - h[1] * g[1]) / determinant, (h[0] * g[1] - h[1] * g[0]) / determinant];
            fit = Self { slope: fit.slope - step[0], offset: fit.offset - step[1] };
            if step[0].abs() + step[1].abs() < 1e-10 {
                break;
            }
        }
        fit
    }

    /// The probability that an answer with this score is right.
    pub fn probability(&self, score: f64) -> f64 {
        logistic(self.slope * score + self.offset)
    }
}

/// Isotonic regression: the rising step function nearest to the outcomes (pool adjacent violators).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Isotonic {
    /// From this score on, this probability; ascending.
    steps: Vec<(f64, f64)>,
}

impl Isotonic {
    /// Fits to scores and whether each was right.
    pub fn fit(outcomes: &[(f64, bool)]) -> Self {
        let mut sorted = outcomes.to_vec();
        sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut pools: Vec<(f64, f64, f64)> = Vec::new();
        for (score, right) in sorted {
            let mut pool = (score, f64::from(u8::from(right)), 1.0);
            while let Some(last) = pools.last() {
                if last.0 != pool.0 && last.1 / last.2 < pool.1 / pool.2 {
                    break;
                }
                pool = (last.0, last.1 + pool.1, last.2 + pool.2);
                pools.pop();
            }
            pools.push(pool);
        }
        Self { steps: pools.into_iter().map(|(score, right, n)| (score, right / n)).collect() }
    }

    /// The probability that an answer with this score is right; nothing before any outcome was seen.
    pub fn probability(&self, score: f64) -> Option<f64> {
        let above = self.steps.partition_point(|(from, _)| *from <= score);
        self.steps.get(above.saturating_sub(1)).map(|(_, probability)| *probability)
    }
}

/// Expected calibration error: how far stated probabilities are from the share that was right, over `bins` equal bins.
pub fn expected_calibration_error(outcomes: &[(f64, bool)], bins: usize) -> f64 {
    let bins = bins.max(1);
    let mut sums = vec![(0.0, 0.0); bins];
    for (p, right) in outcomes {
        let bin = ((p.clamp(0.0, 1.0) * bins as f64) as usize).min(bins - 1);
        sums[bin].0 += p;
        sums[bin].1 += f64::from(u8::from(*right));
    }
    sums.iter().map(|(stated, right)| (stated - right).abs()).sum::<f64>() / outcomes.len().max(1) as f64
}

/// Mean squared distance of stated probabilities from what happened.
pub fn brier(outcomes: &[(f64, bool)]) -> f64 {
    let squares = outcomes.iter().map(|(p, right)| (p - f64::from(u8::from(*right))).powi(2));
    squares.sum::<f64>() / outcomes.len().max(1) as f64
}

/// 95 % Wilson interval of a share; `hits` may be fractional, as expected values over ties are.
pub fn wilson(hits: f64, of: f64) -> [f64; 2] {
    if of <= 0.0 {
        return [0.0, 1.0];
    }
    let z = 1.959_963_985;
    let share = hits / of;
    let centre = share + z * z / (2.0 * of);
    let half = z * (share * (1.0 - share) / of + z * z / (4.0 * of * of)).max(0.0).sqrt();
    let scale = 1.0 + z * z / of;
    [((centre - half) / scale).max(0.0), ((centre + half) / scale).min(1.0)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Dice;

    #[test]
    fn the_unknown_competes() {
        let (p, unknown) = softmax(&[2f64.ln(), 0.0], 0.0);
        assert!((p[0] - 0.5).abs() < 1e-12 && (p[1] - 0.25).abs() < 1e-12 && (unknown - 0.25).abs() < 1e-12);
        assert_eq!(softmax(&[], 0.0), (vec![], 1.0));
        assert_eq!(softmax(&[1_000.0], -1_000.0), (vec![1.0], 0.0));
    }

    #[test]
    fn either_cause_is_enough() {
        assert!((noisy_or(0.0, &[0.5, 0.5]) - 0.75).abs() < 1e-12);
        assert!((noisy_or(0.1, &[]) - 0.1).abs() < 1e-12);
    }

    fn outcomes() -> Vec<(f64, bool)> {
        let mut dice = Dice::new(21);
        (0..4_000)
            .map(|_| {
                let score = 3.0 * dice.normal();
                (score, dice.unit() < logistic(0.8 * score - 1.0))
            })
            .collect()
    }

    #[test]
    fn platt_finds_the_curve_that_made_the_outcomes() {
        let fit = Platt::fit(&outcomes());
        assert!((fit.slope - 0.8).abs() < 0.1 && (fit.offset + 1.0).abs() < 0.15, "{fit:?}");
        let stated: Vec<(f64, bool)> = outcomes().iter().map(|(s, r)| (fit.probability(*s), *r)).collect();
        assert!(expected_calibration_error(&stated, 10) < 0.03);
        assert!(brier(&stated) < 0.2);
    }

    #[test]
    fn platt_stays_finite_where_scores_separate_or_do_not_differ() {
        let separable = Platt::fit(&[(0.0, false), (1.0, true)]);
        assert!(separable.slope.is_finite() && separable.probability(1.0) < 1.0);
        let flat = Platt::fit(&[(1.0, true), (1.0, false), (1.0, true)]);
        assert!((flat.probability(1.0) - 0.6).abs() < 0.05, "{flat:?}");
        assert!(Platt::fit(&[]).probability(3.0) == 0.5);
    }

    #[test]
    fn isotonic_rises() {
        let fit = Isotonic::fit(&outcomes());
        let p: Vec<f64> = (-6..=6).filter_map(|s| fit.probability(f64::from(s))).collect();
        assert!(p.len() == 13 && p.windows(2).all(|pair| pair[0] <= pair[1]), "{p:?}");
        assert_eq!(Isotonic::fit(&[]).probability(0.0), None);
        assert_eq!(Isotonic::fit(&[(1.0, true), (1.0, false)]).probability(9.0), Some(0.5));
    }

    #[test]
    fn certainty_of_few_is_none() {
        let [low, high] = wilson(9.0, 9.0);
        assert!(low > 0.69 && low < 0.71 && high == 1.0);
    }
}
