//! Where the loss sits: the combination of facets whose departure from expectation is likeliest to be one thing.
//!
//! A normal scan statistic for sizes, Kulldorff's for ratios, over every combination of up to three levels and every onset, with a
//! price for the number of combinations looked at (notes on methods §4.2). A version × cell interaction falls out as an
//! element of order two. Found elements are taken out and the rest is scanned again.

use crate::expect::{Excess, Expectation};
use crate::table::{Role, Table};
use ontology::Minute;

/// One combination of levels, and how far it departs.
#[derive(Clone, Debug, PartialEq)]
pub struct Element {
    /// Facet and levels (several when neighbours in one facet were joined); empty for everyone.
    pub terms: Vec<(usize, Vec<u16>)>,
    /// First minute from which it departs.
    pub onset: Minute,
    /// Observations since.
    pub n: f64,
    /// Mean departure: of the logarithm, or of the share relative to the expected share.
    pub effect: f64,
    /// Sum of departures since.
    pub lost: f64,
    /// Log-likelihood ratio against no departure worth caring about.
    pub llr: f64,
    /// The same less the price of having looked at so many combinations and moments.
    pub score: f64,
    /// Logarithm of the e-value: evidence that stays valid however often and whenever one looks.
    pub log_e: f64,
}

/// How a scan is done.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manner<'a> {
    /// Facets that may name an element.
    pub facets: &'a [usize],
    /// First minute an onset may fall in.
    pub from: Minute,
    /// End of the scanned span.
    pub to: Minute,
    /// Departures up to this are not worth a word.
    pub margin: f64,
    /// Most terms of an element.
    pub order: usize,
    /// Most elements.
    pub most: usize,
}

/// Least score of an element worth naming: one in 150 scans of nothing gets that far.
pub(crate) const NAMED: f64 = 5.0;
/// Fewest observations of an element: below, a mean of logarithms is not yet normal.
const FEWEST: f64 = 25.0;
/// Onsets looked at per scan: finer than a thirtieth of the span changes no choice of element; the onset is refined afterwards.
const ONSETS: i64 = 30;
/// Price of one more term in an element, as a part of its likelihood (notes on methods §4.2: 0.15 for ratios). It keeps a
/// subset that only happens to be a little worse than the whole from being named instead of it.
const TERM_PRICE: f64 = 0.04;

struct Steps {
    first: i64,
    width: i64,
    count: usize,
}

impl Steps {
    fn new(from: Minute, to: Minute) -> Steps {
        let span = (to.0 - from.0).max(1);
        let width = ((span + ONSETS - 1) / ONSETS).max(1);
        Steps { first: from.0, width, count: usize::try_from((span + width - 1) / width).unwrap_or(1) }
    }

    fn of(&self, minute: Minute) -> usize {
        usize::try_from((minute.0 - self.first).div_euclid(self.width)).unwrap_or(0).min(self.count - 1)
    }

    fn start(&self, step: usize) -> Minute {
        Minute(self.first + i64::try_from(step).unwrap_or(0) * self.width)
    }
}

/// Log-likelihood ratio of "departs by its mean" against "departs by the margin", for departures beyond the margin.
pub(crate) fn likelihood(ratio: bool, variance: f64, weight: f64, excess: f64, margin: f64) -> f64 {
    if weight <= 0.0 || excess <= margin * weight {
        return 0.0;
    }
    if ratio {
        let (seen, null) = (weight + excess, weight * (1.0 + margin));
        (seen * (seen / null).ln() - (seen - null)) / variance
    } else {
        let beyond = excess / weight - margin;
        weight * beyond * beyond / (2.0 * variance)
    }
}

/// Spread of effects that the mixture expects: a tenth, the size of regressions worth waking someone for.
const MIXED_EFFECT: f64 = 0.1;

/// Logarithm of the normal-mixture e-value of a mean departure beyond the margin (one-sided).
fn log_e_value(ratio: bool, variance: f64, weight: f64, excess: f64, margin: f64) -> f64 {
    // A share's relative departure has the variance of a Poisson count.
    let variance = if ratio { variance * (1.0 + margin) } else { variance };
    let beyond = excess - margin * weight;
    if weight <= 0.0 || beyond <= 0.0 {
        return 0.0;
    }
    // ρ² of notes on methods §4.1 in units of one observation's variance.
    let rho = MIXED_EFFECT * MIXED_EFFECT / variance;
    let s = beyond / variance.sqrt();
    rho * s * s / (2.0 * (1.0 + weight * rho)) - 0.5 * (weight * rho).ln_1p()
}

struct Cells {
    weight: Vec<f64>,
    excess: Vec<f64>,
    n: Vec<f64>,
}

/// Finds the elements that account for what departs, best first.
pub(crate) fn scan(
    table: &Table,
    expectation: &Expectation,
    rows: &[Excess],
    manner: Manner<'_>,
) -> Vec<Element> {
    let steps = Steps::new(manner.from, manner.to);
    let mut left: Vec<Excess> =
        rows.iter().copied().filter(|x| x.minute >= manner.from && x.minute < manner.to).collect();
    let mut found: Vec<Element> = Vec::new();
    while found.len() < manner.most {
        let Some(best) = best(table, expectation, &left, &manner, &steps) else { break };
        if best.score < NAMED {
            break;
        }
        left.retain(|x| !table.matches(x.leaf, &best.terms));
        found.push(best);
    }
    join_neighbours(found)
}

fn combinations(facets: &[usize], order: usize) -> Vec<Vec<usize>> {
    let mut all = vec![Vec::new()];
    if order >= 1 {
        all.extend(facets.iter().map(|f| vec![*f]));
    }
    if order >= 2 {
        for (i, a) in facets.iter().enumerate() {
            all.extend(facets[i + 1..].iter().map(|b| vec![*a, *b]));
        }
    }
    all
}

fn best(
    table: &Table,
    expectation: &Expectation,
    rows: &[Excess],
    manner: &Manner<'_>,
    steps: &Steps,
) -> Option<Element> {
    let mut best: Option<Element> = None;
    for combination in combinations(manner.facets, manner.order) {
        consider(table, expectation, rows, manner, steps, &combination, None, &mut best);
    }
    // A third term is looked for only inside the best pair: Apriori, every part of a guilty triple departs too.
    if manner.order >= 3
        && let Some(pair) = best.clone().filter(|b| b.terms.len() == 2)
    {
        let inside: Vec<Excess> =
            rows.iter().copied().filter(|x| table.matches(x.leaf, &pair.terms)).collect();
        let taken: Vec<usize> = pair.terms.iter().map(|t| t.0).collect();
        for f in manner.facets.iter().filter(|f| !taken.contains(f)) {
            consider(table, expectation, &inside, manner, steps, &[*f], Some(&pair.terms), &mut best);
        }
    }
    best
}

#[expect(
    clippy::too_many_arguments,
    reason = "the one inner loop; a struct for it would be named after nothing"
)]
fn consider(
    table: &Table,
    expectation: &Expectation,
    rows: &[Excess],
    manner: &Manner<'_>,
    steps: &Steps,
    combination: &[usize],
    within: Option<&[(usize, Vec<u16>)]>,
    best: &mut Option<Element>,
) {
    let sizes: Vec<usize> = combination.iter().map(|f| table.facets[*f].levels.len()).collect();
    let cells: usize = sizes.iter().product();
    let of_leaf: Vec<usize> = table
        .leaves
        .iter()
        .map(|leaf| combination.iter().zip(&sizes).fold(0, |at, (f, size)| at * size + leaf[*f] as usize))
        .collect();
    let mut sums = Cells {
        weight: vec![0.0; cells * steps.count],
        excess: vec![0.0; cells * steps.count],
        n: vec![0.0; cells * steps.count],
    };
    for x in rows {
        let at = of_leaf[x.leaf as usize] * steps.count + steps.of(x.minute);
        sums.weight[at] += x.weight;
        sums.excess[at] += x.excess;
        sums.n[at] += x.n;
    }
    let order = combination.len() + within.map_or(0, <[_]>::len);
    let named = sizes.iter().map(|s| s.saturating_sub(1).max(1)).product::<usize>();
    let looks = (named as f64).ln() + (steps.count as f64).ln() + order as f64;
    for cell in 0..cells {
        let levels = unpack(cell, &sizes);
        if levels.contains(&0) {
            continue;
        }
        let mut names: Vec<(usize, u16)> = combination.iter().zip(&levels).map(|(f, l)| (*f, *l)).collect();
        names.extend(within.into_iter().flatten().filter_map(|(f, l)| Some((*f, *l.first()?))));
        let (mut weight, mut excess, mut n) = (0.0, 0.0, 0.0);
        let mut top: Option<(f64, usize, f64, f64, f64)> = None;
        for step in (0..steps.count).rev() {
            let at = cell * steps.count + step;
            weight += sums.weight[at];
            excess += sums.excess[at];
            n += sums.n[at];
            if sums.n[at] <= 0.0 || n < FEWEST {
                continue;
            }
            let sure = expectation.certainty(table, &names, weight);
            let llr =
                likelihood(table.ratio, expectation.variance, weight * sure, excess * sure, manner.margin);
            if llr > 0.0 && top.is_none_or(|t| llr > t.0) {
                top = Some((llr, step, weight, excess, n));
            }
        }
        let Some((llr, step, weight, excess, n)) = top else { continue };
        let mixture = || mixture(table, expectation, &sums, cell, &names, steps, manner.margin);
        let score = llr * (1.0 - TERM_PRICE * order as f64) - looks;
        if best.as_ref().is_some_and(|b| b.score >= score) {
            continue;
        }
        let mut terms: Vec<(usize, Vec<u16>)> = within.map_or_else(Vec::new, <[_]>::to_vec);
        terms.extend(combination.iter().zip(&levels).map(|(f, l)| (*f, vec![*l])));
        terms.sort();
        *best = Some(Element {
            terms,
            onset: steps.start(step),
            n,
            effect: excess / weight,
            lost: excess,
            llr,
            score,
            log_e: mixture() - (steps.count as f64).ln(),
        });
    }
}

/// Logarithm of the sum of a cell's e-values over every onset.
fn mixture(
    table: &Table,
    expectation: &Expectation,
    sums: &Cells,
    cell: usize,
    names: &[(usize, u16)],
    steps: &Steps,
    margin: f64,
) -> f64 {
    let (mut weight, mut excess, mut sum) = (0.0, 0.0, 0.0);
    for step in (0..steps.count).rev() {
        let at = cell * steps.count + step;
        weight += sums.weight[at];
        excess += sums.excess[at];
        let sure = expectation.certainty(table, names, weight);
        let e = log_e_value(table.ratio, expectation.variance, weight * sure, excess * sure, margin);
        sum = log_add(sum, e);
    }
    sum
}

fn unpack(mut cell: usize, sizes: &[usize]) -> Vec<u16> {
    let mut levels = vec![0u16; sizes.len()];
    for (level, size) in levels.iter_mut().zip(sizes).rev() {
        *level = u16::try_from(cell % size).unwrap_or(0);
        cell /= size;
    }
    levels
}

fn log_add(a: f64, b: f64) -> f64 {
    let (high, low) = if a > b { (a, b) } else { (b, a) };
    high + (low - high).exp().ln_1p()
}

/// A combination chosen elsewhere, measured as the scan measures its own. `span` is what was scanned, and the onset.
pub(crate) fn measured(
    table: &Table,
    expectation: &Expectation,
    rows: &[Excess],
    terms: &[(usize, Vec<u16>)],
    span: (Minute, Minute, Minute),
    margin: f64,
) -> Option<Element> {
    let (from, to, onset) = span;
    let steps = Steps::new(from, to);
    let mut sums =
        Cells { weight: vec![0.0; steps.count], excess: vec![0.0; steps.count], n: vec![0.0; steps.count] };
    for x in rows.iter().filter(|x| table.matches(x.leaf, terms)) {
        let at = steps.of(x.minute);
        sums.weight[at] += x.weight;
        sums.excess[at] += x.excess;
        sums.n[at] += x.n;
    }
    let total = |of: &[f64]| of.iter().sum::<f64>();
    let (weight, excess, n) = (total(&sums.weight), total(&sums.excess), total(&sums.n));
    if n < FEWEST || weight <= 0.0 {
        return None;
    }
    let names: Vec<(usize, u16)> = terms.iter().filter_map(|(f, l)| Some((*f, *l.first()?))).collect();
    let sure = expectation.certainty(table, &names, weight);
    let llr = likelihood(table.ratio, expectation.variance, weight * sure, excess * sure, margin);
    let places: usize =
        terms.iter().map(|(f, _)| table.facets.get(*f).map_or(1, |x| x.levels.len().max(2) - 1)).product();
    let order = terms.len() as f64;
    let looks = (places as f64).ln() + (steps.count as f64).ln() + order;
    Some(Element {
        terms: terms.to_vec(),
        onset,
        n,
        effect: excess / weight,
        lost: excess,
        llr,
        score: llr * (1.0 - TERM_PRICE * order) - looks,
        log_e: mixture(table, expectation, &sums, 0, &names, &steps, margin) - (steps.count as f64).ln(),
    })
}

/// Joins elements that differ only in the level of one facet: the countries of a region, the models of a maker.
pub(crate) fn join_neighbours(found: Vec<Element>) -> Vec<Element> {
    let mut joined: Vec<Element> = Vec::new();
    for element in found {
        let twin = joined.iter_mut().find(|e| {
            let same_facets = e.terms.len() == element.terms.len()
                && e.terms.iter().zip(&element.terms).all(|(a, b)| a.0 == b.0);
            let differ = e.terms.iter().zip(&element.terms).filter(|(a, b)| a.1 != b.1).count();
            let alike = e.effect / element.effect;
            same_facets && differ == 1 && (0.4..2.5).contains(&alike)
        });
        match twin {
            Some(e) => {
                for (mine, other) in e.terms.iter_mut().zip(&element.terms) {
                    mine.1.extend(other.1.iter().copied());
                    mine.1.sort_unstable();
                    mine.1.dedup();
                }
                let weight = e.lost / e.effect + element.lost / element.effect;
                e.lost += element.lost;
                e.effect = e.lost / weight;
                e.n += element.n;
                e.llr += element.llr;
                e.score += element.score;
                e.log_e = e.log_e.max(element.log_e);
                e.onset = if e.llr >= 2.0 * element.llr { e.onset } else { e.onset.min(element.onset) };
            }
            None => joined.push(element),
        }
    }
    joined
}

/// Facets whose role is one of some.
pub(crate) fn facets_of(table: &Table, roles: &[Role]) -> Vec<usize> {
    table.facets.iter().enumerate().filter(|(_, f)| roles.contains(&f.role)).map(|(i, _)| i).collect()
}
