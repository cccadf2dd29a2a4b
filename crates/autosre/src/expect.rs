//! What was to be expected of every cohort: a model of who is usually slow or failing, fitted on healthy times, and how far it
//! can be trusted.
//!
//! Sizes: an additive model of the logarithm with one effect per level of every facet, then one per pair of levels, fitted by
//! backfitting. Effects are drawn towards nothing by as many observations as it takes to outweigh how little the levels of
//! their facet differ (empirical Bayes: Morris 1983): devices differ much and keep their own means, cells of an experiment
//! hardly differ and share one. Ratios: the same, multiplicatively. A version never seen while healthy is thus expected to be
//! like its app; newcomers with slow devices far away are expected to be slow, so that a change of audience is no regression
//! (the rate part of Kitagawa's split).

use crate::table::{Row, Table};
use ontology::Minute;

/// Bounds of the observations that an effect of one level must outweigh: levels always differ a little, and never so much that
/// one observation settles it.
const SHRINK: (f64, f64) = (3.0, 1_000.0);
/// Rounds of backfitting: effects of correlated facets (place, network) settle within a few.
const ROUNDS: usize = 12;

/// How observations differ from what was to be expected.
#[derive(Clone, Debug)]
pub struct Expectation {
    /// Per leaf: expected mean logarithm, or expected share of bad ones.
    pub of_leaf: Vec<f64>,
    /// Variance of one observation around its expectation (of the logarithm), as healthy minutes show it; 1 for ratios.
    pub variance: f64,
    /// Last minute the model was fitted on, exclusive.
    pub until: Minute,
    /// Per facet and level: how uncertain its effect is, in variances of one observation.
    level_error: Vec<Vec<f64>>,
    /// The same per pair of facets and levels.
    pair_error: std::collections::BTreeMap<(usize, usize), Vec<f64>>,
    /// The same for what is common to all.
    mean_error: f64,
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
        let mut e = Expectation {
            of_leaf: Vec::new(),
            variance: 1.0,
            until,
            level_error: Vec::new(),
            pair_error: std::collections::BTreeMap::new(),
            mean_error: 0.0,
        };
        if table.ratio {
            e.multiplicative(table, &seen, &leaf_n, &leaf_sum);
        } else {
            let squares: f64 = healthy.iter().map(|r| r.square).sum();
            e.additive(table, &seen, &leaf_n, &leaf_sum, squares);
            e.variance = spread(&healthy, &e.of_leaf, total);
        }
        e.variance *= e.clustering(table);
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

    /// How much more the observations of one visit resemble one another than strangers' do, at least 1 (the design effect of
    /// cluster sampling, Kish 1965): somebody on a slow device waits long for every view, and four views of one session say
    /// less than four of four. Visits are told apart by everything known of the people and by when they came.
    fn clustering(&self, table: &Table) -> f64 {
        let mut visits: std::collections::BTreeMap<(&[u16], i64), (f64, f64)> =
            std::collections::BTreeMap::new();
        for x in self.excess(table, Minute(i64::MIN), self.until) {
            let Some(people) = table.leaves.get(x.leaf as usize).and_then(|l| l.get(1..)) else { continue };
            let visit = visits.entry((people, x.minute.0.div_euclid(STEP))).or_default();
            visit.0 += x.weight;
            visit.1 += x.excess;
        }
        if visits.len() < FEWEST_VISITS {
            return 1.0;
        }
        let (spread, chance) = visits.values().fold((0.0, 0.0), |sum, (weight, excess)| {
            (sum.0 + excess * excess, sum.1 + weight * self.variance)
        });
        if chance > 0.0 { (spread / chance).clamp(1.0, MOST_RESTLESS) } else { 1.0 }
    }

    /// By how much the weight of some observations must be cut for the uncertainty of what was expected of them. Effects of
    /// levels that were seen a little in healthy times are the least certain; of those never seen nothing was learnt, and what
    /// they differ by is news.
    pub fn certainty(&self, table: &Table, terms: &[(usize, u16)], weight: f64) -> f64 {
        let mut error = self.mean_error;
        for (i, (f, level)) in terms.iter().enumerate() {
            error += self.level_error.get(*f).and_then(|e| e.get(*level as usize)).copied().unwrap_or(0.0);
            for (g, other) in &terms[i + 1..] {
                let ((a, la), (b, lb)) =
                    if f < g { ((*f, *level), (*g, *other)) } else { ((*g, *other), (*f, *level)) };
                let width = table.facets.get(b).map_or(0, |x| x.levels.len());
                let at = la as usize * width + lb as usize;
                error += self.pair_error.get(&(a, b)).and_then(|e| e.get(at)).copied().unwrap_or(0.0);
            }
        }
        1.0 / (1.0 + weight * error)
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

/// Visits below which nothing is said of how observations cluster.
const FEWEST_VISITS: usize = 30;
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

/// The facets in the order in which they explain: what versions of one app have in common is the app's, so that a version
/// never seen before inherits it.
fn coarse_first(table: &Table) -> Vec<usize> {
    let mut order: Vec<usize> = (0..table.facets.len()).collect();
    order.sort_by_key(|f| !table.facets[*f].coarse);
    order
}

/// How strongly effects are drawn towards nothing: the variance of one observation over the variance of true effects, by the
/// method of moments from raw effects and the weights they were seen with.
fn shrinkage(raw: &[(f64, f64)], variance: f64) -> f64 {
    let total: f64 = raw.iter().map(|r| r.1).sum();
    let levels = raw.iter().filter(|r| r.1 > 0.0).count() as f64;
    let between: f64 = raw.iter().map(|(effect, weight)| weight * effect * effect).sum();
    let apart = (between - levels * variance).max(0.0) / total.max(1.0);
    if apart > 0.0 { (variance / apart).clamp(SHRINK.0, SHRINK.1) } else { SHRINK.1 }
}

/// The variance that drawing an effect towards nothing leaves of its own noise.
fn error(weight: f64, shrink: f64) -> f64 {
    weight / (weight + shrink).powi(2)
}

impl Expectation {
    fn additive(&mut self, table: &Table, seen: &[usize], n: &[f64], sum: &[f64], squares: f64) {
        let total: f64 = seen.iter().map(|l| n[*l]).sum();
        let mean = seen.iter().map(|l| sum[*l]).sum::<f64>() / total;
        self.mean_error = 1.0 / total;
        let mut residual: Vec<f64> = n.iter().zip(sum).map(|(n, s)| s - n * mean).collect();
        let mut of_leaf = vec![mean; table.leaves.len()];
        let mut effects: Vec<Vec<f64>> = table.facets.iter().map(|f| vec![0.0; f.levels.len()]).collect();
        let mut shrinks = vec![SHRINK.1; table.facets.len()];
        self.level_error = vec![Vec::new(); table.facets.len()];
        let within = |residual: &[f64]| {
            // What is left of the squares when each leaf has its own expectation, per observation.
            let explained: f64 = seen
                .iter()
                .map(|l| {
                    let expected = (sum[*l] - residual[*l]) / n[*l];
                    2.0 * expected * sum[*l] - n[*l] * expected * expected
                })
                .sum();
            ((squares - explained) / total).max(1e-6)
        };
        let mut variance = within(&residual);
        for _ in 0..ROUNDS {
            for &f in &coarse_first(table) {
                let effect = &mut effects[f];
                let mut sums = vec![(0.0, 0.0); effect.len()];
                for l in seen {
                    let level = table.leaves[*l][f] as usize;
                    sums[level].0 += residual[*l] + n[*l] * effect[level];
                    sums[level].1 += n[*l];
                }
                let raw: Vec<(f64, f64)> =
                    sums.iter().map(|(top, w)| (if *w > 0.0 { top / w } else { 0.0 }, *w)).collect();
                shrinks[f] = shrinkage(&raw, variance);
                let new: Vec<f64> = sums.iter().map(|(top, w)| top / (w + shrinks[f])).collect();
                for l in seen {
                    let level = table.leaves[*l][f] as usize;
                    residual[*l] -= n[*l] * (new[level] - effect[level]);
                }
                *effect = new;
                self.level_error[f] = sums.iter().map(|(_, w)| error(*w, shrinks[f])).collect();
            }
            variance = within(&residual);
        }
        for (leaf, at) in table.leaves.iter().zip(of_leaf.iter_mut()) {
            *at += leaf.iter().zip(&effects).map(|(l, e)| e[*l as usize]).sum::<f64>();
        }
        for (a, b) in pairs(table.facets.len()) {
            let (la, lb) = (table.facets[a].levels.len(), table.facets[b].levels.len());
            let mut sums = vec![(0.0, 0.0); la * lb];
            let cell = |leaf: &[u16]| leaf[a] as usize * lb + leaf[b] as usize;
            for l in seen {
                let at = &mut sums[cell(&table.leaves[*l])];
                *at = (at.0 + residual[*l], at.1 + n[*l]);
            }
            let raw: Vec<(f64, f64)> =
                sums.iter().map(|(top, w)| (if *w > 0.0 { top / w } else { 0.0 }, *w)).collect();
            let shrink = shrinkage(&raw, variance);
            let effect = |c: usize| sums[c].0 / (sums[c].1 + shrink);
            for l in seen {
                residual[*l] -= n[*l] * effect(cell(&table.leaves[*l]));
            }
            for (leaf, at) in table.leaves.iter().zip(of_leaf.iter_mut()) {
                *at += effect(cell(leaf));
            }
            self.pair_error.insert((a, b), sums.iter().map(|(_, w)| error(*w, shrink)).collect());
        }
        self.of_leaf = of_leaf;
    }

    fn multiplicative(&mut self, table: &Table, seen: &[usize], n: &[f64], bad: &[f64]) {
        let total: f64 = seen.iter().map(|l| n[*l]).sum();
        // With nothing bad seen, half a bad one is as good a guess as any.
        let all: f64 = seen.iter().map(|l| bad[*l]).sum();
        let rate = (all + 0.5) / (total + 1.0);
        self.mean_error = 1.0 / (all + 0.5);
        let mut of_leaf = vec![rate; table.leaves.len()];
        self.level_error = vec![Vec::new(); table.facets.len()];
        // How much levels differ shows at first sight; later rounds only see what is left.
        let mut shrinks: Vec<Option<f64>> = vec![None; table.facets.len()];
        for _ in 0..ROUNDS / 3 {
            for &f in &coarse_first(table) {
                let mut sums = vec![(0.0, 0.0); table.facets[f].levels.len()];
                for l in seen {
                    let at = &mut sums[table.leaves[*l][f] as usize];
                    *at = (at.0 + bad[*l], at.1 + n[*l] * of_leaf[*l]);
                }
                // Relative departures of counts have the variance of one over what was expected.
                let raw: Vec<(f64, f64)> =
                    sums.iter().map(|(top, w)| (if *w > 0.0 { top / w - 1.0 } else { 0.0 }, *w)).collect();
                let shrink = *shrinks[f].get_or_insert_with(|| shrinkage(&raw, 1.0));
                for (leaf, at) in table.leaves.iter().zip(of_leaf.iter_mut()) {
                    let (top, w) = sums[leaf[f] as usize];
                    *at = (*at * (top + shrink) / (w + shrink)).min(0.95);
                }
                self.level_error[f] = sums.iter().map(|(_, w)| error(*w, shrink)).collect();
            }
        }
        self.of_leaf = of_leaf;
    }
}
