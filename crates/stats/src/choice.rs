//! Which of several was it: the conditional logit (McFadden 1974), fitted with a ridge towards weights that are known beforehand.
//!
//! Each case offers alternatives, each described by features; one was the one. The chance of an alternative is the softmax of its weighted
//! features among those of its case, so a feature that all alternatives share says nothing. The ridge is a normal prior: its centre
//! is what is believed before any case is seen, its strength how many cases' worth of surprise it takes to move away from it.

/// A sparse row of features: place and value.
pub type Row = Vec<(usize, f64)>;

/// One case: what could have been, and what was.
#[derive(Clone, Debug, Default)]
pub struct Choice {
    /// The features of each alternative.
    pub alternatives: Vec<Row>,
    /// Which of them was it.
    pub chosen: usize,
    /// How much the case counts; 1 for one of many equals.
    pub weight: f64,
}

/// What is believed of one weight before any case is seen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Belief {
    /// The weight.
    pub centre: f64,
    /// One over the variance of the weight.
    pub strength: f64,
}

/// Steps that the quasi-Newton approximation remembers (Liu, Nocedal 1989 find 3 to 7 enough).
const MEMORY: usize = 7;
/// Most steps; an optimum is found in about sixty.
const MOST_STEPS: usize = 200;
/// The search ends where no step gains more than this part of the loss: far below what moves a rank.
const LEAST_GAIN: f64 = 1e-7;

/// The score of an alternative.
pub fn score(weights: &[f64], row: &Row) -> f64 {
    row.iter().map(|(place, value)| weights.get(*place).copied().unwrap_or(0.0) * value).sum()
}

/// The weights that make what was chosen likeliest, given the beliefs; one belief per weight. Deterministic: no sampling, a fixed
/// order of sums. Features beyond the beliefs are ignored, and so are cases whose chosen alternative does not exist.
pub fn fit(cases: &[Choice], beliefs: &[Belief]) -> Vec<f64> {
    let mut weights: Vec<f64> = beliefs.iter().map(|b| b.centre).collect();
    let (mut loss, mut gradient) = loss(cases, beliefs, &weights);
    let mut past: Vec<(Vec<f64>, Vec<f64>, f64)> = Vec::new();
    for _ in 0..MOST_STEPS {
        let direction = descent(&gradient, &past, beliefs);
        let slope = dot(&direction, &gradient);
        if slope >= 0.0 {
            break;
        }
        let mut length = 1.0;
        let next = loop {
            let tried: Vec<f64> = weights.iter().zip(&direction).map(|(w, d)| w + length * d).collect();
            let (tried_loss, tried_gradient) = self::loss(cases, beliefs, &tried);
            // Armijo's condition: some of the gain that the slope promises.
            if tried_loss <= loss + 1e-4 * length * slope {
                break Some((tried, tried_loss, tried_gradient));
            }
            length *= 0.5;
            if length < 1e-10 {
                break None;
            }
        };
        let Some((tried, tried_loss, tried_gradient)) = next else { break };
        let step: Vec<f64> = tried.iter().zip(&weights).map(|(a, b)| a - b).collect();
        let bend: Vec<f64> = tried_gradient.iter().zip(&gradient).map(|(a, b)| a - b).collect();
        let curvature = dot(&step, &bend);
        if curvature > 1e-12 {
            if past.len() == MEMORY {
                past.remove(0);
            }
            past.push((step, bend, 1.0 / curvature));
        }
        let gain = loss - tried_loss;
        (weights, loss, gradient) = (tried, tried_loss, tried_gradient);
        if gain <= LEAST_GAIN * loss.abs() {
            break;
        }
    }
    weights
}

/// Negative log posterior and its gradient.
fn loss(cases: &[Choice], beliefs: &[Belief], weights: &[f64]) -> (f64, Vec<f64>) {
    let mut gradient: Vec<f64> =
        weights.iter().zip(beliefs).map(|(w, b)| b.strength * (w - b.centre)).collect();
    let mut loss: f64 =
        weights.iter().zip(beliefs).map(|(w, b)| 0.5 * b.strength * (w - b.centre).powi(2)).sum();
    for case in cases.iter().filter(|case| case.chosen < case.alternatives.len()) {
        let mut chances: Vec<f64> = case.alternatives.iter().map(|row| score(weights, row)).collect();
        let top = chances.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let chosen = chances.get(case.chosen).copied().unwrap_or(top);
        for chance in &mut chances {
            *chance = (*chance - top).exp();
        }
        let all: f64 = chances.iter().sum();
        loss += case.weight * (all.ln() + top - chosen);
        for (i, (row, chance)) in case.alternatives.iter().zip(&chances).enumerate() {
            let error = case.weight * (chance / all - if i == case.chosen { 1.0 } else { 0.0 });
            for (place, value) in row {
                if let Some(slot) = gradient.get_mut(*place) {
                    *slot += error * value;
                }
            }
        }
    }
    (loss, gradient)
}

/// The two-loop recursion of L-BFGS, started from the curvature that the beliefs alone give.
fn descent(gradient: &[f64], past: &[(Vec<f64>, Vec<f64>, f64)], beliefs: &[Belief]) -> Vec<f64> {
    let mut q = gradient.to_vec();
    let mut shares = Vec::with_capacity(past.len());
    for (step, bend, inverse) in past.iter().rev() {
        let share = inverse * dot(step, &q);
        q.iter_mut().zip(bend).for_each(|(q, b)| *q -= share * b);
        shares.push(share);
    }
    match past.last() {
        Some((step, bend, _)) => {
            let scale = dot(step, bend) / dot(bend, bend).max(f64::MIN_POSITIVE);
            q.iter_mut().for_each(|q| *q *= scale);
        }
        None => {
            let stiffest = beliefs.iter().map(|b| b.strength).fold(1.0, f64::max);
            let size = dot(gradient, gradient).sqrt().max(stiffest);
            q.iter_mut().for_each(|q| *q /= size);
        }
    }
    for ((step, bend, inverse), share) in past.iter().zip(shares.iter().rev()) {
        let back = inverse * dot(bend, &q);
        q.iter_mut().zip(step).for_each(|(q, s)| *q += (share - back) * s);
    }
    q.iter().map(|q| -q).collect()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Dice;

    /// Cases whose truth follows the softmax of two features with weights 2 and −1; the third is noise.
    fn cases(n: usize) -> Vec<Choice> {
        let mut dice = Dice::new(11);
        (0..n)
            .map(|_| {
                let alternatives: Vec<Row> =
                    (0..4).map(|_| (0..3).map(|place| (place, dice.normal())).collect()).collect();
                let powers: Vec<f64> =
                    alternatives.iter().map(|row| score(&[2.0, -1.0, 0.0], row).exp()).collect();
                let mut left = dice.unit() * powers.iter().sum::<f64>();
                let mut chosen = 0;
                for (i, power) in powers.iter().enumerate() {
                    chosen = i;
                    left -= power;
                    if left <= 0.0 {
                        break;
                    }
                }
                Choice { alternatives, chosen, weight: 1.0 }
            })
            .collect()
    }

    const NOTHING_KNOWN: Belief = Belief { centre: 0.0, strength: 1.0 };

    #[test]
    fn the_weights_that_made_the_choices_are_found() {
        let found = fit(&cases(3_000), &[NOTHING_KNOWN; 3]);
        assert!((found[0] - 2.0).abs() < 0.15 && (found[1] + 1.0).abs() < 0.15, "{found:?}");
        assert!(found[2].abs() < 0.1, "{found:?}");
    }

    #[test]
    fn without_cases_the_beliefs_stand_and_few_move_them_little() {
        let belief = Belief { centre: 0.7, strength: 50.0 };
        assert_eq!(fit(&[], &[belief; 2]), [0.7, 0.7]);
        let moved = fit(&cases(5), &[belief; 3]);
        assert!(moved.iter().all(|w| (w - 0.7).abs() < 0.2), "{moved:?}");
    }

    #[test]
    fn what_cannot_be_read_is_no_case() {
        let broken = Choice { alternatives: vec![vec![(9, 1.0)]], chosen: 3, weight: 1.0 };
        assert_eq!(fit(&[broken], &[NOTHING_KNOWN]), [0.0]);
    }
}
