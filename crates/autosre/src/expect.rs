//! What was to be expected of every cohort: a model of who is usually slow or failing, fitted on healthy times.
//!
//! Sizes: an additive model of the logarithm with one effect per level of every facet, then one per pair of levels, each drawn
//! towards nothing in proportion to how little was seen (ridge by pseudo-counts, fitted by backfitting). Ratios: the same,
//! multiplicatively. A version never seen while healthy is thus expected to be like its app; newcomers with slow devices far
//! away are expected to be slow, so that a change of audience is no regression (the rate part of Kitagawa's split).

use crate::table::{Row, Table};
use ontology::Minute;

/// Observations that an effect of one level must outweigh (notes on methods §4.2 shrink rates by k = 5).
const SHRINK_LEVEL: f64 = 5.0;
/// The same for a pair of levels: many pairs, each seldom right.
const SHRINK_PAIR: f64 = 25.0;
/// Rounds of backfitting: effects of correlated facets (place, network) settle within a few.
const ROUNDS: usize = 12;
/// Healthy minutes of one share of bad ones below this many expected are drawn towards the whole.
const SHRINK_BAD: f64 = 5.0;

/// How observations differ from what was to be expected.
#[derive(Clone, Debug)]
pub struct Expectation {
    /// Per leaf: expected mean logarithm, or expected share of bad ones.
    pub of_leaf: Vec<f64>,
    /// Variance of one observation around its expectation (of the logarithm), as healthy minutes show it; 1 for ratios.
    pub variance: f64,
    /// Last minute the model was fitted on, exclusive.
    pub until: Minute,
    /// Observations it was fitted on.
    pub fitted: f64,
}

/// One row's departure from expectation: weight and excess.
#[derive(Clone, Copy, Debug)]
pub struct Excess {
    /// Index of its leaf.
    pub leaf: u32,
    /// When.
    pub minute: Minute,
    /// Observations; for ratios, expected bad ones.
    pub weight: f64,
    /// Sum of departures in the bad direction; for ratios, bad ones beyond expectation.
    pub excess: f64,
    /// Observations.
    pub n: f64,
}

impl Expectation {
    /// Fits a table's minutes before `until`.
    pub fn fit(table: &Table, until: Minute) -> Option<Expectation> {
        let healthy: Vec<&Row> = table.rows.iter().filter(|r| r.minute < until).collect();
        let mut leaf_n = vec![0.0; table.leaves.len()];
        let mut leaf_sum = vec![0.0; table.leaves.len()];
        for r in &healthy {
            leaf_n[r.leaf as usize] += r.n;
            leaf_sum[r.leaf as usize] += r.sum;
        }
        let total: f64 = leaf_n.iter().sum();
        if total < 1.0 {
            return None;
        }
        let seen: Vec<usize> = (0..leaf_n.len()).filter(|l| leaf_n[*l] > 0.0).collect();
        let of_leaf = if table.ratio {
            multiplicative(table, &seen, &leaf_n, &leaf_sum)
        } else {
            additive(table, &seen, &leaf_n, &leaf_sum)
        };
        let variance = if table.ratio { 1.0 } else { spread(&healthy, &of_leaf, total) };
        let mut e = Expectation { of_leaf, variance, until, fitted: total };
        e.variance *= e.restlessness(table);
        Some(e)
    }

    /// Departures of a table's rows in a span of minutes.
    pub fn excess(&self, table: &Table, from: Minute, to: Minute) -> Vec<Excess> {
        table.rows.iter().filter(|r| r.minute >= from && r.minute < to).map(|r| self.of(table, r)).collect()
    }

    fn of(&self, table: &Table, r: &Row) -> Excess {
        let expected = self.of_leaf.get(r.leaf as usize).copied().unwrap_or(0.0) * r.n;
        let weight = if table.ratio { expected } else { r.n };
        Excess { leaf: r.leaf, minute: r.minute, weight, excess: table.sign * (r.sum - expected), n: r.n }
    }

    /// How much more minutes differ from one another than chance would have it, at least 1: what is common to everyone in
    /// a minute (a deployment, the weather) is not averaged away by many observations.
    fn restlessness(&self, table: &Table) -> f64 {
        let mut by_step: std::collections::BTreeMap<i64, (f64, f64)> = std::collections::BTreeMap::new();
        for x in self.excess(table, Minute(i64::MIN), self.until) {
            let step = by_step.entry(x.minute.0.div_euclid(STEP)).or_default();
            step.0 += x.weight;
            step.1 += x.excess;
        }
        let steps: Vec<f64> = by_step
            .values()
            .filter(|s| s.0 > 0.0)
            .map(|(w, x)| x * x / (w * self.variance.max(1e-9)))
            .collect();
        if steps.len() < 4 {
            return 1.0;
        }
        (steps.iter().sum::<f64>() / steps.len() as f64).clamp(1.0, MOST_RESTLESS)
    }
}

/// Minutes over which restlessness is judged: as long as the onset is uncertain.
const STEP: i64 = 5;
/// Beyond this, healthy times were not healthy, and widening further would only hide it.
const MOST_RESTLESS: f64 = 6.0;

fn spread(rows: &[&Row], of_leaf: &[f64], total: f64) -> f64 {
    let sum: f64 = rows
        .iter()
        .map(|r| {
            let p = of_leaf.get(r.leaf as usize).copied().unwrap_or(0.0);
            r.square - 2.0 * p * r.sum + r.n * p * p
        })
        .sum();
    (sum / total).max(1e-6)
}

fn pairs(facets: usize) -> Vec<(usize, usize)> {
    (0..facets).flat_map(|a| (a + 1..facets).map(move |b| (a, b))).collect()
}

fn additive(table: &Table, seen: &[usize], n: &[f64], sum: &[f64]) -> Vec<f64> {
    let total: f64 = seen.iter().map(|l| n[*l]).sum();
    let mean = seen.iter().map(|l| sum[*l]).sum::<f64>() / total;
    let mut residual: Vec<f64> = n.iter().zip(sum).map(|(n, s)| s - n * mean).collect();
    let mut of_leaf = vec![mean; table.leaves.len()];
    let mut effects: Vec<Vec<f64>> = table.facets.iter().map(|f| vec![0.0; f.levels.len()]).collect();
    for _ in 0..ROUNDS {
        for (f, effect) in effects.iter_mut().enumerate() {
            let mut top = vec![0.0; effect.len()];
            let mut weight = vec![SHRINK_LEVEL; effect.len()];
            for l in seen {
                let level = table.leaves[*l][f] as usize;
                top[level] += residual[*l] + n[*l] * effect[level];
                weight[level] += n[*l];
            }
            let new: Vec<f64> = top.iter().zip(&weight).map(|(t, w)| t / w).collect();
            for l in seen {
                let level = table.leaves[*l][f] as usize;
                residual[*l] -= n[*l] * (new[level] - effect[level]);
            }
            *effect = new;
        }
    }
    for (leaf, at) in table.leaves.iter().zip(of_leaf.iter_mut()) {
        *at += leaf.iter().zip(&effects).map(|(l, e)| e[*l as usize]).sum::<f64>();
    }
    for (a, b) in pairs(table.facets.len()) {
        let (la, lb) = (table.facets[a].levels.len(), table.facets[b].levels.len());
        let mut top = vec![0.0; la * lb];
        let mut weight = vec![SHRINK_PAIR; la * lb];
        let cell = |leaf: &[u16]| leaf[a] as usize * lb + leaf[b] as usize;
        for l in seen {
            top[cell(&table.leaves[*l])] += residual[*l];
            weight[cell(&table.leaves[*l])] += n[*l];
        }
        for l in seen {
            let c = cell(&table.leaves[*l]);
            residual[*l] -= n[*l] * top[c] / weight[c];
        }
        for (leaf, at) in table.leaves.iter().zip(of_leaf.iter_mut()) {
            let c = cell(leaf);
            *at += top[c] / weight[c];
        }
    }
    of_leaf
}

fn multiplicative(table: &Table, seen: &[usize], n: &[f64], bad: &[f64]) -> Vec<f64> {
    let total: f64 = seen.iter().map(|l| n[*l]).sum();
    // With nothing bad seen, half a bad one is as good a guess as any.
    let rate = (seen.iter().map(|l| bad[*l]).sum::<f64>() + 0.5) / (total + 1.0);
    let mut of_leaf = vec![rate; table.leaves.len()];
    for _ in 0..ROUNDS / 3 {
        for (f, facet) in table.facets.iter().enumerate() {
            let mut top = vec![SHRINK_BAD; facet.levels.len()];
            let mut weight = vec![SHRINK_BAD; facet.levels.len()];
            for l in seen {
                let level = table.leaves[*l][f] as usize;
                top[level] += bad[*l];
                weight[level] += n[*l] * of_leaf[*l];
            }
            for (leaf, at) in table.leaves.iter().zip(of_leaf.iter_mut()) {
                let level = leaf[f] as usize;
                *at = (*at * top[level] / weight[level]).min(0.95);
            }
        }
    }
    of_leaf
}
