//! Sample-ratio mismatch: whether the cells of an experiment have the traffic that was allocated to them. Where they have not, no other
//! figure of the experiment can be believed.

use crate::special::{chi_square_tail, ln_gamma};

/// The p-value of the chi-square test of counts against allocation weights (any positive scale). One when there is nothing to test.
pub fn p_value(counts: &[f64], weights: &[f64]) -> f64 {
    let total: f64 = counts.iter().sum();
    let all: f64 = weights.iter().sum();
    if !(total > 0.0 && all > 0.0) || counts.len() != weights.len() || counts.len() < 2 {
        return 1.0;
    }
    let distance: f64 = counts
        .iter()
        .zip(weights)
        .map(|(count, weight)| {
            let expected = total * weight / all;
            (count - expected) * (count - expected) / expected
        })
        .sum();
    chi_square_tail(distance, counts.len() as f64 - 1.0)
}

/// The p-value of "arrivals keep one ratio", for an allocation that nobody wrote down: chi-square of homogeneity over stretches of time, each
/// with the arrivals of two cells in it. Stretches with fewer than five expected in a cell are left out (Cochran's rule). One when there
/// is nothing to test.
pub fn p_value_of_drift(stretches: &[[f64; 2]]) -> f64 {
    let kept = |share: f64| {
        let enough = move |s: &&[f64; 2]| (s[0] + s[1]) * share.min(1.0 - share) >= 5.0;
        stretches.iter().filter(enough)
    };
    let share_of =
        |[first, second]: [f64; 2]| if first + second > 0.0 { first / (first + second) } else { 0.5 };
    let sum = |share: f64| kept(share).fold([0.0, 0.0], |sum, s| [sum[0] + s[0], sum[1] + s[1]]);
    let whole = share_of(stretches.iter().fold([0.0, 0.0], |sum, s| [sum[0] + s[0], sum[1] + s[1]]));
    let share = share_of(sum(whole));
    let number = kept(whole).count();
    if number < 2 || !(share > 0.0 && share < 1.0) {
        return 1.0;
    }
    let distance: f64 = kept(whole)
        .map(|s| {
            let n = s[0] + s[1];
            (s[0] - n * share) * (s[0] - n * share) / (n * share * (1.0 - share))
        })
        .sum();
    chi_square_tail(distance, number as f64 - 1.0)
}

/// Weight of the prior in units: a mismatch of a few per cent among 10⁴ units is what it is tightest at (prior spread of a share of one half:
/// 1.6 points). Smaller leaks need more units and matter less.
const PRIOR_WEIGHT: f64 = 1_000.0;

/// Logarithm of the e-value against the allocation, which may be looked at after every unit (Lindon, Malek 2020: a Dirichlet mixture of
/// multinomials centred on the allocation). Zero when there is nothing to test.
pub fn ln_e(counts: &[f64], weights: &[f64]) -> f64 {
    let all: f64 = weights.iter().sum();
    if counts.len() != weights.len() || weights.iter().any(|weight| *weight <= 0.0 || !weight.is_finite()) {
        return 0.0;
    }
    let total: f64 = counts.iter().sum();
    let cells: f64 = counts
        .iter()
        .zip(weights)
        .map(|(count, weight)| {
            let prior = PRIOR_WEIGHT * weight / all;
            ln_gamma(prior + count) - ln_gamma(prior) - count * (weight / all).ln()
        })
        .sum();
    cells + ln_gamma(PRIOR_WEIGHT) - ln_gamma(PRIOR_WEIGHT + total)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Dice;

    #[test]
    fn even_traffic_passes_and_a_leak_does_not() {
        assert!(p_value(&[10_050.0, 9_950.0], &[1.0, 1.0]) > 0.1);
        assert!(p_value(&[10_500.0, 9_500.0], &[1.0, 1.0]) < 1e-6);
        assert!(ln_e(&[10_050.0, 9_950.0], &[50.0, 50.0]) < 0.0);
        assert!(ln_e(&[10_500.0, 9_500.0], &[50.0, 50.0]) > 1_000f64.ln());
        assert_eq!(p_value(&[], &[]), 1.0);
    }

    #[test]
    fn a_ratio_may_be_anything_as_long_as_it_stays() {
        let steady = [[300.0, 10_000.0], [31.0, 1_000.0], [90.0, 2_970.0]];
        assert!(p_value_of_drift(&steady) > 0.5);
        let drifting = [[300.0, 10_000.0], [31.0, 1_000.0], [190.0, 2_970.0]];
        assert!(p_value_of_drift(&drifting) < 1e-6);
        assert_eq!(p_value_of_drift(&[]), 1.0);
        assert_eq!(p_value_of_drift(&[[5.0, 0.0], [7.0, 0.0]]), 1.0);
    }

    #[test]
    fn looking_after_every_unit_keeps_the_rate_of_false_alarms() {
        let mut dice = Dice::new(1);
        let mut alarms = 0;
        for _ in 0..200 {
            let mut counts = [0.0, 0.0, 0.0];
            let alarm = (0..3_000).any(|_| {
                let cell = match dice.unit() {
                    u if u < 0.5 => 0,
                    u if u < 0.75 => 1,
                    _ => 2,
                };
                counts[cell] += 1.0;
                ln_e(&counts, &[2.0, 1.0, 1.0]) > 20f64.ln()
            });
            alarms += usize::from(alarm);
        }
        assert!(alarms <= 10, "{alarms} of 200");
    }
}
