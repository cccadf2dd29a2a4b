//! Which combination of version, cell, device, country … carries a loss: every combination is scanned, sets of them compete.
//!
//! A scan statistic (Kulldorff 1997) says how much likelier the figures are when one part of the leaves moved and the rest did not. The parts are
//! the elements of all cuboids (`version`, `version × cell`, …), so an interaction is simply an element with two attributes. An element must
//! win more than the simpler ones it refines, by a share of the best evidence: on real data leaves differ by more than chance, and
//! a penalty in plain log-likelihood (BIC) is drowned by that.
//!
//! Sums cannot tell a cause from its neighbours in the lattice: one attribute less takes in leaves that are well, one more leaves
//! out some that are not. Where leaves can be weighed one by one (ratios), sets that are as good as each other by the scan are
//! therefore ordered by how well they part sick leaves from healthy ones.

use std::collections::BTreeMap;

use crate::special::ln_beta;

/// One leaf's figures: which way of counting depends on the indicator.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Figures {
    /// A count or sum that should have been `expected` (errors, plays); rises and falls are both looked for, as the total moved.
    Additive {
        /// From healthy times or the control group.
        expected: f64,
        /// Seen.
        observed: f64,
    },
    /// Bad ones among all, healthy and degraded; more is worse.
    Ratio {
        /// Bad ones in healthy times.
        healthy_bad: f64,
        /// All in healthy times.
        healthy_all: f64,
        /// Bad ones now.
        bad: f64,
        /// All now.
        all: f64,
    },
    /// Mean of (the logarithm of) a measure, healthy and degraded; higher is worse.
    Mean {
        /// Healthy values.
        healthy: crate::sequential::Sample,
        /// Values now.
        degraded: crate::sequential::Sample,
    },
}

/// Leaves with their coordinates and figures.
#[derive(Clone, Debug, Default)]
pub struct LeafTable {
    dimensions: Vec<Dimension>,
    codes: Vec<u32>,
    figures: Vec<Figures>,
}

#[derive(Clone, Debug, Default)]
struct Dimension {
    name: String,
    values: Vec<String>,
    codes: BTreeMap<String, u32>,
}

/// A leaf that has no value in a dimension (a session in no cell) has this one. It counts as the rest, and is never named.
pub const NONE: &str = "";

/// dimension → value; what is not mentioned may be anything.
pub type Element = BTreeMap<String, String>;

/// A set of elements that together may carry the loss.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// Its elements.
    pub elements: Vec<Element>,
    /// Evidence minus complexity; candidates are ranked by it.
    pub score: f64,
    /// Log-likelihood ratio of "these moved, the rest did not" against "all moved alike".
    pub evidence: f64,
    /// The share of the whole change that lies in these leaves.
    pub coverage: f64,
    /// Score minus the next candidate's, as a share of the best evidence; negative where the leaves one by one speak for this one.
    pub margin: f64,
}

/// How much of the best evidence an additional attribute or element must bring. On the even half of real stalls .05 to .15 gave top-1 of .66
/// to .71 and .3 gave .56; the middle of the plateau's upper half keeps answers simple.
const PRICE: f64 = 0.15;
/// Pseudo-counts of the overall rate in each leaf's healthy rate: leaves of a few viewers would otherwise have rate zero or one.
const SHRINK: f64 = 5.0;
/// A healthy ratio below this is counted as this: ten errors where one was expected are noise next to a loss that users see.
const LEAST_RATIO: f64 = 0.03;
/// How close healthy leaves keep to their expected rate: pseudo-counts of a beta distribution around it. Healthy minutes of the even
/// half of real stalls are likeliest under 50; in a prototype 50 to 400 gave the same top-1 there within one case.
const HEALTHY_CONCENTRATION: f64 = 100.0;
/// The same for leaves inside the cause: they all rise and hardly alike, so little is asked of them; 2 to 8 are within one case
/// of each other there.
const SICK_CONCENTRATION: f64 = 4.0;
/// Elements of more attributes than this are not looked for: nobody could act on them, and there are too many to believe one.
const MOST_ATTRIBUTES: usize = 4;
/// So many of the best elements are tried in pairs.
const PAIRED: usize = 16;
/// Below this evidence nothing is named: odds of e⁵ to one.
const LEAST_EVIDENCE: f64 = 5.0;

impl LeafTable {
    /// An empty table of these dimensions.
    pub fn new<S: Into<String>>(dimensions: impl IntoIterator<Item = S>) -> Self {
        let dimension = |name: S| Dimension { name: name.into(), ..Dimension::default() };
        Self { dimensions: dimensions.into_iter().map(dimension).collect(), ..Self::default() }
    }

    /// Adds a leaf; false, and nothing added, when it does not have one value per dimension.
    pub fn push<S: AsRef<str>>(&mut self, values: &[S], figures: Figures) -> bool {
        if values.len() != self.dimensions.len() {
            return false;
        }
        for (dimension, value) in self.dimensions.iter_mut().zip(values) {
            let value = value.as_ref();
            let next = dimension.values.len() as u32;
            let code = *dimension.codes.entry(value.to_owned()).or_insert_with(|| {
                dimension.values.push(value.to_owned());
                next
            });
            self.codes.push(code);
        }
        self.figures.push(figures);
        true
    }

    /// How many leaves there are.
    pub fn len(&self) -> usize {
        self.figures.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.figures.is_empty()
    }

    fn code(&self, leaf: usize, dimension: usize) -> u32 {
        self.codes[leaf * self.dimensions.len() + dimension]
    }

    /// The ratio that the leaves of a table would have by healthy times, over all.
    fn overall(&self) -> f64 {
        let (mut bad, mut all) = (0.0, 0.0);
        for figures in &self.figures {
            if let Figures::Ratio { healthy_bad, healthy_all, .. } = figures {
                bad += healthy_bad;
                all += healthy_all;
            }
        }
        if all > 0.0 { bad / all } else { 0.0 }
    }

    /// Each leaf's figures as (seen, expected) for counts or (weighted shift, weight) for means, and how to weigh their sums.
    fn sums(&self) -> (Vec<Sums>, Scan) {
        let overall = self.overall();
        let leaf = |figures: &Figures| match *figures {
            Figures::Additive { expected, observed } => {
                Sums { seen: observed.max(0.0), base: expected.max(0.0) }
            }
            Figures::Ratio { healthy_bad, healthy_all, bad, all } => {
                Sums { seen: bad, base: all * usual(healthy_bad, healthy_all, overall) }
            }
            Figures::Mean { healthy, degraded } => {
                let variance = healthy.error_square() + degraded.error_square();
                let weight = if variance > 0.0 { 1.0 / variance } else { 0.0 };
                Sums { seen: weight * (degraded.mean - healthy.mean), base: weight }
            }
        };
        let leaves: Vec<Sums> = self.figures.iter().map(leaf).collect();
        let total = leaves.iter().fold(Sums::default(), |sum, leaf| sum.plus(*leaf));
        let scan = match self.figures.first() {
            Some(Figures::Mean { .. }) => Scan::Means,
            Some(Figures::Additive { .. }) if total.seen < total.base => Scan::Fall,
            _ => Scan::Rise,
        };
        (leaves, scan)
    }
}

/// A leaf's healthy ratio, drawn towards that of all.
fn usual(healthy_bad: f64, healthy_all: f64, overall: f64) -> f64 {
    ((healthy_bad + SHRINK * overall) / (healthy_all + SHRINK)).max(LEAST_RATIO)
}

/// Log-likelihood of so many bad ones among all when a leaf's rate is around `mean`, without the part that no comparison needs.
fn beta_binomial(bad: f64, all: f64, mean: f64, concentration: f64) -> f64 {
    // a rate of nothing or everything would leave no room for a single exception
    let mean = mean.clamp(0.01, 0.95);
    let (a, b) = (mean * concentration, (1.0 - mean) * concentration);
    ln_beta(bad + a, all - bad + b) - ln_beta(a, b)
}

#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    seen: f64,
    base: f64,
}

impl Sums {
    fn plus(self, other: Self) -> Self {
        Self { seen: self.seen + other.seen, base: self.base + other.base }
    }

    fn minus(self, other: Self) -> Self {
        Self { seen: self.seen - other.seen, base: self.base - other.base }
    }

    fn ratio(self) -> f64 {
        if self.base > 0.0 { self.seen / self.base } else { 0.0 }
    }
}

/// What is looked for.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Scan {
    /// More counted than expected.
    Rise,
    /// Less counted than expected.
    Fall,
    /// Higher means.
    Means,
}

impl Scan {
    /// Log-likelihood ratio of two levels, inside and outside, against one; zero when the inside is not the worse.
    fn evidence(self, inside: Sums, total: Sums) -> f64 {
        let outside = total.minus(inside);
        let worse = if self == Self::Fall {
            inside.ratio() < outside.ratio()
        } else {
            inside.ratio() > outside.ratio()
        };
        if inside.base <= 0.0 || outside.base <= 0.0 || !worse {
            return 0.0;
        }
        match self {
            Self::Means => {
                let apart = inside.ratio() - outside.ratio();
                0.5 * inside.base * outside.base / total.base * apart * apart
            }
            Self::Rise | Self::Fall => {
                let part = |sums: Sums| if sums.seen > 0.0 { sums.seen * sums.ratio().ln() } else { 0.0 };
                (part(inside) + part(outside) - part(total)).max(0.0)
            }
        }
    }

    /// What moved inside, as a share of what moved in all.
    fn coverage(self, inside: Sums, total: Sums) -> f64 {
        let moved = |sums: Sums| if self == Self::Means { sums.seen } else { sums.seen - sums.base };
        let all = moved(total);
        if all == 0.0 { 0.0 } else { (moved(inside) / all).clamp(0.0, 1.0) }
    }
}

/// An element as (dimension, code) pairs with its sums.
#[derive(Clone, Debug)]
struct Found {
    attributes: Vec<(usize, u32)>,
    sums: Sums,
    evidence: f64,
}

impl Found {
    fn price(&self) -> f64 {
        PRICE * (self.attributes.len() as f64 - 1.0)
    }

    /// Whether no leaf can be in both.
    fn excludes(&self, other: &Self) -> bool {
        let differs = |&(dimension, code): &(usize, u32)| {
            other.attributes.iter().any(|&(theirs, value)| theirs == dimension && value != code)
        };
        self.attributes.iter().any(differs)
    }
}

/// The best sets of elements, best first, at most `most`; empty when nothing stands out.
pub fn localise(table: &LeafTable, most: usize) -> Vec<Candidate> {
    let (leaves, scan) = table.sums();
    let total = leaves.iter().fold(Sums::default(), |sum, leaf| sum.plus(*leaf));
    let mut found = elements(table, &leaves, scan, total);
    let best_single = found.iter().map(|element| element.evidence).fold(0.0, f64::max);
    if best_single < LEAST_EVIDENCE {
        return Vec::new();
    }
    let order = |a: &Found, b: &Found| {
        let score = |found: &Found| found.evidence - found.price() * best_single;
        score(b).total_cmp(&score(a)).then_with(|| a.attributes.cmp(&b.attributes))
    };
    found.sort_by(order);
    let top = &found[..found.len().min(PAIRED)];
    let mut pairs = Vec::new();
    for (index, first) in top.iter().enumerate() {
        for second in top.iter().skip(index + 1).filter(|second| first.excludes(second)) {
            let sums = first.sums.plus(second.sums);
            pairs.push((first, second, sums, scan.evidence(sums, total)));
        }
    }
    let best = pairs.iter().map(|pair| pair.3).fold(best_single, f64::max);
    let named = |element: &Found| -> Element {
        let name = |&(dimension, code): &(usize, u32)| {
            let dimension = &table.dimensions[dimension];
            (dimension.name.clone(), dimension.values[code as usize].clone())
        };
        element.attributes.iter().map(name).collect()
    };
    let mut sets: Vec<Competing<'_>> = found
        .iter()
        .take(most.max(PAIRED))
        .map(|one| Competing::new(vec![one], one.evidence, one.price() * best, one.sums))
        .collect();
    sets.extend(pairs.iter().map(|(first, second, sums, evidence)| {
        // The second element is one attribute more at least, and its attributes are paid like the first one's.
        let price = first.price() + second.price() + PRICE;
        Competing::new(vec![first, second], *evidence, price * best, *sums)
    }));
    sets.sort_by(|a, b| {
        let attributes = |set: &Competing<'_>| -> Vec<Vec<(usize, u32)>> {
            set.parts.iter().map(|part| part.attributes.clone()).collect()
        };
        b.score.total_cmp(&a.score).then_with(|| attributes(a).cmp(&attributes(b)))
    });
    order_near_equals(table, &mut sets, PRICE * best);
    sets.truncate(most.max(1) + 1);
    let margin = |index: usize, set: &Competing<'_>| {
        (set.score - sets.get(index + 1).map_or(0.0, |next| next.score)) / best
    };
    let candidate = |(index, set): (usize, &Competing<'_>)| Candidate {
        elements: set.parts.iter().map(|part| named(part)).collect(),
        score: set.score,
        evidence: set.evidence,
        coverage: scan.coverage(set.sums, total),
        margin: margin(index, set),
    };
    sets.iter().enumerate().take(most).map(candidate).collect()
}

/// A set of elements among others.
struct Competing<'f> {
    parts: Vec<&'f Found>,
    evidence: f64,
    score: f64,
    sums: Sums,
}

impl<'f> Competing<'f> {
    fn new(parts: Vec<&'f Found>, evidence: f64, price: f64, sums: Sums) -> Self {
        Self { parts, evidence, score: evidence - price, sums }
    }

    /// How much likelier the figures of its leaves are, one by one, if they are sick than if they are healthy. What it leaves out
    /// counts as healthy, so a sick leaf outside is evidence forgone and a healthy one inside is evidence against.
    fn parting(&self, table: &LeafTable, overall: f64) -> f64 {
        let inside = |part: &Found| {
            let holds =
                move |leaf: &usize| part.attributes.iter().all(|&(d, code)| table.code(*leaf, d) == code);
            // bad, all and the healthy rate
            let figures = |leaf: usize| match table.figures[leaf] {
                Figures::Ratio { healthy_bad, healthy_all, bad, all } => {
                    Some((bad.max(0.0), all.max(bad), usual(healthy_bad, healthy_all, overall)))
                }
                _ => None,
            };
            (0..table.len()).filter(holds).filter_map(figures).collect::<Vec<_>>()
        };
        let of_part = |part: &Found| {
            let leaves = inside(part);
            let (bad, all) = leaves.iter().fold((0.0, 0.0), |sum, leaf| (sum.0 + leaf.0, sum.1 + leaf.1));
            let risen = if all > 0.0 { bad / all } else { 0.0 };
            let sick = |bad, all| beta_binomial(bad, all, risen, SICK_CONCENTRATION);
            let healthy = |bad, all, rate| beta_binomial(bad, all, rate, HEALTHY_CONCENTRATION);
            leaves.iter().map(|&(bad, all, rate)| sick(bad, all) - healthy(bad, all, rate)).sum::<f64>()
        };
        self.parts.iter().map(|part| of_part(part)).sum()
    }
}

/// Orders the sets at the top whose scores differ by less than an attribute's price by how they part the leaves of a ratio.
fn order_near_equals(table: &LeafTable, sets: &mut [Competing<'_>], price: f64) {
    if !table.figures.iter().any(|figures| matches!(figures, Figures::Ratio { .. })) {
        return;
    }
    let Some(best) = sets.first().map(|set| set.score) else { return };
    let near = sets.partition_point(|set| set.score >= best - price);
    let overall = table.overall();
    if let Some(near) = sets.get_mut(..near) {
        // each is weighed once; sets that hold the same leaves keep their order
        near.sort_by_cached_key(|set| Descending(set.parting(table, overall)));
    }
}

/// Large numbers first.
#[derive(PartialEq)]
struct Descending(f64);

impl Eq for Descending {}

impl PartialOrd for Descending {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Descending {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        other.0.total_cmp(&self.0)
    }
}

/// Every element of every cuboid, with its sums. An element whose parent has a negligible part of the traffic and of the loss is not refined.
fn elements(table: &LeafTable, leaves: &[Sums], scan: Scan, total: Sums) -> Vec<Found> {
    let dimensions = table.dimensions.len();
    let mut all = Vec::new();
    let mut group = vec![0u32; leaves.len()];
    // A cuboid is a set of dimensions; counting up visits the smaller ones of equal size in a fixed order.
    let most = dimensions.min(16);
    for cuboid in 1u32..1 << most {
        let chosen: Vec<usize> = (0..most).filter(|dimension| cuboid >> dimension & 1 == 1).collect();
        if chosen.len() > MOST_ATTRIBUTES {
            continue;
        }
        let size: u64 =
            chosen.iter().map(|&dimension| table.dimensions[dimension].values.len() as u64).product();
        let mut keys: Vec<u64> = Vec::with_capacity(leaves.len());
        for leaf in 0..leaves.len() {
            let key = chosen.iter().fold(0u64, |key, &dimension| {
                key * table.dimensions[dimension].values.len() as u64 + u64::from(table.code(leaf, dimension))
            });
            keys.push(key);
        }
        // Dense bins where they fit, sorted distinct keys where the cuboid is mostly empty.
        let distinct: Vec<u64> = if size <= 4 * leaves.len() as u64 + 1_024 {
            (0..size).collect()
        } else {
            let mut sorted = keys.clone();
            sorted.sort_unstable();
            sorted.dedup();
            sorted
        };
        let dense = distinct.len() as u64 == size;
        for (slot, key) in group.iter_mut().zip(&keys) {
            *slot = if dense { *key as u32 } else { distinct.partition_point(|known| known < key) as u32 };
        }
        let mut sums = vec![Sums::default(); distinct.len()];
        for (slot, leaf) in group.iter().zip(leaves) {
            sums[*slot as usize] = sums[*slot as usize].plus(*leaf);
        }
        for (key, sums) in distinct.iter().zip(sums) {
            let evidence = scan.evidence(sums, total);
            if evidence <= 0.0 {
                continue;
            }
            let mut rest = *key;
            let mut attributes = Vec::with_capacity(chosen.len());
            for &dimension in chosen.iter().rev() {
                let values = table.dimensions[dimension].values.len() as u64;
                attributes.push((dimension, (rest % values) as u32));
                rest /= values;
            }
            attributes.reverse();
            let value =
                |&(dimension, code): &(usize, u32)| &table.dimensions[dimension].values[code as usize];
            if attributes.iter().any(|attribute| value(attribute) == NONE) {
                continue;
            }
            all.push(Found { attributes, sums, evidence });
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sequential::Sample;

    fn element(pairs: &[(&str, &str)]) -> Element {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    /// Versions × cells × countries; `level` is how much worse each leaf got.
    fn world(figures: impl Fn(f64) -> Figures, level: impl Fn(&str, &str, &str) -> f64) -> LeafTable {
        let mut table = LeafTable::new(["version", "cell", "country"]);
        for version in ["8.40", "8.41", "8.42"] {
            for cell in ["A", "B"] {
                for country in ["DE", "FR", "US"] {
                    assert!(table.push(&[version, cell, country], figures(level(version, cell, country))));
                }
            }
        }
        table
    }

    fn ratio(level: f64) -> Figures {
        Figures::Ratio { healthy_bad: 40.0, healthy_all: 2_000.0, bad: 20.0 + 1_000.0 * level, all: 1_000.0 }
    }

    #[test]
    fn an_interaction_comes_out_as_one_element() {
        let table = world(ratio, |version, cell, _| if version == "8.42" && cell == "B" { 0.2 } else { 0.0 });
        let best = localise(&table, 3);
        assert_eq!(best[0].elements, vec![element(&[("version", "8.42"), ("cell", "B")])]);
        assert!(best[0].margin > 0.0 && best.len() == 3);
    }

    #[test]
    fn a_parent_is_named_when_all_its_children_suffer() {
        let table = world(ratio, |version, _, _| if version == "8.42" { 0.2 } else { 0.0 });
        assert_eq!(localise(&table, 1)[0].elements, vec![element(&[("version", "8.42")])]);
    }

    #[test]
    fn two_causes_at_once_are_one_set() {
        let table = world(ratio, |_, _, country| if country == "US" { 0.0 } else { 0.3 });
        assert_eq!(
            localise(&table, 1)[0].elements,
            vec![element(&[("country", "DE")]), element(&[("country", "FR")])]
        );
    }

    #[test]
    fn where_nothing_stands_out_nothing_is_named() {
        assert!(localise(&world(ratio, |_, _, _| 0.0), 5).is_empty());
        assert!(localise(&LeafTable::new(["version"]), 5).is_empty());
    }

    #[test]
    fn an_attribute_that_parts_the_sick_from_the_healthy_is_named_though_few_are_healthy() {
        // nearly all of the version's users are in the cell, so the scan does not mind the others
        let table = {
            let mut table = LeafTable::new(["version", "cell", "country"]);
            for version in ["8.40", "8.41", "8.42"] {
                for (cell, all) in [("A", 100.0), ("B", 1_000.0)] {
                    for country in ["DE", "FR", "US"] {
                        let sick = version == "8.42" && cell == "B";
                        let bad = if sick { 0.3 } else { 0.02 } * all;
                        let figures =
                            Figures::Ratio { healthy_bad: 0.08 * all, healthy_all: 4.0 * all, bad, all };
                        assert!(table.push(&[version, cell, country], figures));
                    }
                }
            }
            table
        };
        let best = localise(&table, 3);
        assert_eq!(best[0].elements, vec![element(&[("version", "8.42"), ("cell", "B")])]);
        assert_eq!(best[1].elements, vec![element(&[("version", "8.42")])]);
    }

    #[test]
    fn slower_times_are_localised_too() {
        let sample = |mean| Sample { n: 500.0, mean, variance: 0.64 };
        let slower = |level| Figures::Mean { healthy: sample(7.0), degraded: sample(7.0 + level) };
        let table =
            world(slower, |version, cell, _| if version == "8.42" && cell == "B" { 0.3 } else { 0.0 });
        assert_eq!(localise(&table, 1)[0].elements, vec![element(&[("version", "8.42"), ("cell", "B")])]);
    }

    #[test]
    fn lost_plays_are_localised_by_their_fall() {
        let plays = |level: f64| Figures::Additive { expected: 1_000.0, observed: 1_000.0 * (1.0 - level) };
        let table = world(plays, |_, _, country| if country == "FR" { 0.5 } else { 0.0 });
        let best = &localise(&table, 1)[0];
        assert_eq!(best.elements, vec![element(&[("country", "FR")])]);
        assert!(best.coverage > 0.99);
    }

    #[test]
    fn a_leaf_of_the_wrong_width_is_refused() {
        assert!(!LeafTable::new(["version"]).push(&["8.42", "B"], ratio(0.0)));
    }
}
