//! Where a series shifted: the season taken out, the onset, all the shifts of a long series, and whether a shift has gone away.

use crate::tail::{Robust, median};

/// Takes a repeating profile out of a series: each value minus the median of its slot (say, its hour of the week) in the reference.
///
/// A slot that the reference never saw falls back to the median of the whole reference. Nothing for an empty reference.
pub fn deseasoned(series: &[(usize, f64)], reference: &[(usize, f64)]) -> Option<Vec<f64>> {
    let all: Vec<f64> = reference.iter().map(|(_, value)| *value).collect();
    let whole = median(&all)?;
    let slots = series.iter().chain(reference).map(|(slot, _)| slot + 1).max().unwrap_or(0);
    let mut by_slot: Vec<Vec<f64>> = vec![Vec::new(); slots];
    for (slot, value) in reference {
        by_slot[*slot].push(*value);
    }
    let profile: Vec<f64> = by_slot.iter().map(|values| median(values).unwrap_or(whole)).collect();
    Some(series.iter().map(|(slot, value)| value - profile[*slot]).collect())
}

/// One shift of level.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shift {
    /// The first index of the new level.
    pub at: usize,
    /// Mean before.
    pub before: f64,
    /// Mean from there on.
    pub after: f64,
    /// Log-likelihood ratio of "one shift here" against "no shift", with a common unknown variance.
    pub llr: f64,
}

/// The likeliest single shift, with at least `shortest` values on each side; nothing in a series too short for that, or without any
/// variation. Whether it is a shift at all is for the caller to say, by [`Shift::is_proven`].
pub fn onset(series: &[f64], shortest: usize) -> Option<Shift> {
    let shortest = shortest.max(1);
    let prefix = Prefix::of(series);
    let n = series.len();
    let whole = prefix.cost(0, n);
    if n < 2 * shortest || whole <= 0.0 {
        return None;
    }
    let at = (shortest..=n - shortest).min_by(|&a, &b| {
        let cost = |at: usize| prefix.cost(0, at) + prefix.cost(at, n);
        cost(a).total_cmp(&cost(b)).then(a.cmp(&b))
    })?;
    // A perfect step would be infinitely likely; a thousandth of the variance is left to chance.
    let rest = (prefix.cost(0, at) + prefix.cost(at, n)).max(whole * 1e-3);
    Some(Shift {
        at,
        before: prefix.mean(0, at),
        after: prefix.mean(at, n),
        llr: 0.5 * n as f64 * (whole / rest).ln(),
    })
}

impl Shift {
    /// Whether the shift is more than the best of all places would show by chance: BIC for two more parameters (place and level) at
    /// odds of e³ to one.
    pub fn is_proven(&self, n: usize) -> bool {
        self.llr > (n.max(2) as f64).ln() + 3.0
    }
}

/// The starts of all segments but the first, by optimal partitioning with pruning (PELT: Killick, Fearnhead, Eckley 2012) on the sum of
/// squares, with a BIC penalty on a robust variance of the differences. Segments are at least `shortest` long.
pub fn shifts(series: &[f64], shortest: usize) -> Vec<usize> {
    let (n, shortest) = (series.len(), shortest.max(1));
    let steps: Vec<f64> = series.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let noise = Robust::of(&steps).map_or(0.0, |steps| steps.scale * steps.scale / 2.0);
    let prefix = Prefix::of(series);
    // A noiseless series: any true step is above a millionth of the whole variance.
    let penalty = 3.0 * (n.max(2) as f64).ln() * noise.max(1e-6 * prefix.cost(0, n) / n.max(1) as f64);
    let mut best: Vec<f64> = vec![-penalty; n + 1];
    let mut last: Vec<usize> = vec![0; n + 1];
    let mut candidates: Vec<usize> = vec![0];
    for end in shortest..=n {
        let cost = |start: &usize| best[*start] + prefix.cost(*start, end);
        let ready = |start: &&usize| end - **start >= shortest;
        let Some(start) = candidates.iter().filter(ready).min_by(|a, b| cost(a).total_cmp(&cost(b))).copied()
        else {
            continue;
        };
        let reached = cost(&start) + penalty;
        candidates
            .retain(|start| end - start < shortest || best[*start] + prefix.cost(*start, end) <= reached);
        best[end] = reached;
        last[end] = start;
        candidates.push(end);
    }
    let mut starts = Vec::new();
    let mut at = n;
    while let Some(&start) = last.get(at).filter(|start| **start > 0) {
        starts.push(start);
        at = start;
    }
    starts.reverse();
    starts
}

/// Whether later values are back where the healthy ones were: their median is within `z` robust deviations (of a median of as many
/// values) of the healthy one, or past it. `floor` is the smallest deviation that is believed.
pub fn went_away(healthy: &[f64], degraded: &[f64], later: &[f64], z: f64, floor: f64) -> bool {
    let (Some(was), Some(bad), Some(is)) = (Robust::of(healthy), median(degraded), median(later)) else {
        return false;
    };
    let direction = if bad >= was.centre { 1.0 } else { -1.0 };
    // The standard error of a median is 1.25 times that of a mean.
    let error = 1.25 * was.scale.max(floor) / (later.len() as f64).sqrt();
    direction * (is - was.centre) <= z * error
}

/// Running sums that give the mean and the squares of any stretch at once. Centred first: the squares of a high level would drown the
/// differences.
struct Prefix {
    centre: f64,
    sums: Vec<(f64, f64)>,
}

impl Prefix {
    fn of(series: &[f64]) -> Self {
        let centre = median(series).unwrap_or(0.0);
        let mut sums = vec![(0.0, 0.0)];
        let mut running = (0.0, 0.0);
        for value in series {
            let value = value - centre;
            running = (running.0 + value, running.1 + value * value);
            sums.push(running);
        }
        Self { centre, sums }
    }

    fn cost(&self, from: usize, to: usize) -> f64 {
        let (sum, squares) = (self.sums[to].0 - self.sums[from].0, self.sums[to].1 - self.sums[from].1);
        (squares - sum * sum / (to - from).max(1) as f64).max(0.0)
    }

    fn mean(&self, from: usize, to: usize) -> f64 {
        self.centre + (self.sums[to].0 - self.sums[from].0) / (to - from).max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Dice;

    fn steps(dice: &mut Dice, levels: &[(usize, f64)]) -> Vec<f64> {
        levels.iter().flat_map(|(n, level)| vec![*level; *n]).map(|level| level + dice.normal()).collect()
    }

    #[test]
    fn a_daily_profile_is_taken_out() {
        let profile = [1.0, 5.0, 9.0];
        let week: Vec<(usize, f64)> = (0..30).map(|i| (i % 3, profile[i % 3])).collect();
        let today = [(0, 1.0), (1, 7.0), (2, 9.0)];
        assert_eq!(deseasoned(&today, &week).unwrap(), vec![0.0, 2.0, 0.0]);
        assert_eq!(deseasoned(&today, &[]), None);
    }

    #[test]
    fn the_onset_of_a_step_is_found() {
        let series = steps(&mut Dice::new(4), &[(60, 10.0), (20, 13.0)]);
        let shift = onset(&series, 3).unwrap();
        assert!((58..=62).contains(&shift.at) && shift.is_proven(series.len()), "{shift:?}");
        assert!((shift.after - shift.before - 3.0).abs() < 0.7);
    }

    #[test]
    fn noise_has_no_proven_onset() {
        let mut dice = Dice::new(9);
        let proven = (0..200)
            .filter(|_| onset(&steps(&mut dice, &[(60, 0.0)]), 3).is_some_and(|shift| shift.is_proven(60)))
            .count();
        assert!(proven <= 4, "{proven} of 200");
        assert_eq!(onset(&[1.0; 10], 2), None);
        assert_eq!(onset(&[1.0, 2.0], 3), None);
    }

    #[test]
    fn a_perfect_step_is_found_too() {
        let mut series = vec![1e9; 10];
        series.extend([1e9 + 1.0; 5]);
        let shift = onset(&series, 2).unwrap();
        assert_eq!((shift.at, shift.after), (10, 1e9 + 1.0));
        assert_eq!(shifts(&series, 2), vec![10]);
    }

    #[test]
    fn every_shift_of_a_long_series_is_found() {
        let series = steps(&mut Dice::new(6), &[(100, 0.0), (80, 5.0), (120, 2.0)]);
        let found = shifts(&series, 5);
        assert!(found.len() == 2 && found[0].abs_diff(100) <= 2 && found[1].abs_diff(180) <= 3, "{found:?}");
        assert!(shifts(&steps(&mut Dice::new(8), &[(300, 0.0)]), 5).is_empty());
        assert!(shifts(&[], 5).is_empty());
    }

    #[test]
    fn what_is_back_to_normal_went_away() {
        let mut dice = Dice::new(12);
        let healthy = steps(&mut dice, &[(60, 10.0)]);
        let degraded = steps(&mut dice, &[(10, 15.0)]);
        assert!(went_away(&healthy, &degraded, &steps(&mut dice, &[(20, 10.0)]), 3.0, 0.1));
        assert!(!went_away(&healthy, &degraded, &steps(&mut dice, &[(20, 13.0)]), 3.0, 0.1));
        assert!(!went_away(&healthy, &degraded, &[], 3.0, 0.1));
    }
}
