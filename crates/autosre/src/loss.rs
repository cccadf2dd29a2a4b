//! Who lost what since when: the localised loss that every expert starts from.

use crate::expect::{Excess, Expectation};
use crate::finding::{Condition, People};
use crate::scan::{Element, Manner, NAMED, facets_of, join_neighbours, likelihood, measured, scan};
use crate::table::{Facet, Role, Table};
use crate::vocabulary::{Tier, Vocabulary};
use graph::NodeId;
use ontology::{MeasureId, Minute, Stretch};
use query::{Filter, View};
use stats::localise::{Figures, LeafTable, NONE, localise};
use stats::sequential::Sample;

/// The loss of one measure on some subjects.
#[derive(Clone, Debug)]
pub struct Loss {
    /// Who felt what, when.
    pub table: Table,
    /// What was to be expected.
    pub expectation: Expectation,
    /// Departures since the model's end.
    pub rows: Vec<Excess>,
    /// What accounts for them, best first; empty when nothing does.
    pub elements: Vec<Element>,
    /// Departures up to this (relative) are not worth a word.
    pub margin: f64,
    /// Since when, to the minute.
    pub onset: Minute,
    /// End of what was looked at.
    pub end: Minute,
    /// Logarithm of the e-value of the whole search: the mean over everything that was looked at, from a model that had seen
    /// none of it.
    pub log_e: f64,
}

/// The span in which an onset is looked for is at most this long: what began earlier has been a regression for long, and is
/// held by the state of the detector.
const LONGEST_SEARCH: i64 = 360;
/// Healthy minutes below which nothing can be expected.
const SHORTEST_HISTORY: i64 = 15;
/// Most elements that share a loss.
const MOST_ELEMENTS: usize = 4;

/// The stretch a measure is looked at in.
pub(crate) fn span(view: &View<'_>, table: &Table) -> Option<(Minute, Minute, Minute)> {
    let (first, last) = table.extent()?;
    let end = last.plus(1).min(view.as_of.minute());
    let length = end.0 - first.0;
    let search = (length / 2).min(LONGEST_SEARCH);
    let until = end.plus(-search);
    (until.0 - first.0 >= SHORTEST_HISTORY).then_some((first, until, end))
}

impl Loss {
    /// Localises the loss of a measure on some subjects. `None` when there is too little to expect anything.
    pub fn of(
        view: &View<'_>,
        vocabulary: &Vocabulary,
        measure: MeasureId,
        subjects: &[NodeId],
        since: Option<Minute>,
    ) -> Option<Loss> {
        let all = Stretch { from: ontology::Time::EPOCH, to: view.as_of };
        let table = Table::read(view, vocabulary, measure, subjects, &Filter::all(), all)?;
        Loss::in_table(view, table, since)
    }

    /// The same in a table already read.
    pub fn in_table(view: &View<'_>, table: Table, since: Option<Minute>) -> Option<Loss> {
        let measure = table.measure;
        let (_, searched, end) = span(view, &table)?;
        let margin = view.measure(measure)?.care_change;
        // A loss already known to have begun earlier must not teach the model that it is usual.
        let until = since.map_or(searched, |s| s.min(searched));
        let expectation = Expectation::fit(&table, until)?;
        let mut loss = Loss {
            table,
            expectation,
            rows: Vec::new(),
            elements: Vec::new(),
            margin,
            onset: end,
            end,
            log_e: 0.0,
        };
        loss.look(until);
        loss.log_e = loss.elements.first().map_or(0.0, |e| e.log_e - loss.places().ln());
        if let Some(first) = loss.elements.first().cloned() {
            // Once the onset is known, everything before it is healthy: learn from all of it and look again.
            let onset = loss.refined_onset(&first);
            loss.expectation = Expectation::fit(&loss.table, onset)?;
            let from = onset.plus(-2);
            loss.look(from);
            loss.elements = loss.placed(loss.elements.first(), from);
            loss.onset = loss.elements.first().map_or(onset, |e| loss.refined_onset(e));
            if loss.elements.is_empty() {
                // What everything before it explains was no loss.
                loss.log_e = 0.0;
            }
        }
        Some(loss)
    }

    /// What departs in a table since a given onset, whatever it is; nothing is searched for.
    pub fn since(view: &View<'_>, table: Table, onset: Minute) -> Option<Loss> {
        let (_, last) = table.extent()?;
        let end = last.plus(1).min(view.as_of.minute());
        let margin = view.measure(table.measure)?.care_change;
        let expectation = Expectation::fit(&table, onset)?;
        let rows = expectation.excess(&table, onset, end);
        Some(Loss { table, expectation, rows, elements: Vec::new(), margin, onset, end, log_e: 0.0 })
    }

    fn look(&mut self, from: Minute) {
        self.rows = self.expectation.excess(&self.table, from, self.end);
        let facets: Vec<usize> = (0..self.table.facets.len()).collect();
        self.elements = self.scan(&facets, from);
    }

    /// The place of the loss, once its time is known: the localiser's combinations, one after the other, each measured as
    /// the scan measures its own. Everyone is a place too.
    fn placed(&self, first: Option<&Element>, from: Minute) -> Vec<Element> {
        let Some(first) = first else { return Vec::new() };
        let onset = self.refined_onset(first);
        let since: Vec<Excess> = self.rows.iter().copied().filter(|x| x.minute >= onset).collect();
        let measure = |terms: &[(usize, Vec<u16>)], left: &[Excess]| {
            measured(&self.table, &self.expectation, left, terms, (from, self.end, onset), self.margin)
        };
        let mut left = since;
        let mut found: Vec<Element> = Vec::new();
        while found.len() < MOST_ELEMENTS {
            let everyone = measure(&[], &left);
            let set: Vec<Element> =
                self.localised(&left).iter().filter_map(|terms| measure(terms, &left)).collect();
            let score = |set: &[Element]| set.iter().map(|e| e.score).sum::<f64>();
            let set = match everyone {
                Some(e) if e.score > score(&set) => vec![e],
                _ => set,
            };
            if set.is_empty() || score(&set) < NAMED {
                break;
            }
            left.retain(|x| !set.iter().any(|e| self.table.matches(x.leaf, &e.terms)));
            found.extend(set);
        }
        join_neighbours(found)
    }

    /// The best combination of levels by the localiser, or two that belong together.
    fn localised(&self, rows: &[Excess]) -> Vec<Vec<(usize, Vec<u16>)>> {
        let mut sums: std::collections::BTreeMap<u32, (f64, f64)> = std::collections::BTreeMap::new();
        for x in rows {
            let leaf = sums.entry(x.leaf).or_default();
            *leaf = (leaf.0 + x.weight, leaf.1 + x.excess);
        }
        let mut leaves = LeafTable::new((0..self.table.facets.len()).map(|f| f.to_string()));
        for (leaf, (weight, excess)) in sums {
            let Some(levels) = self.table.leaves.get(leaf as usize) else { continue };
            let name = |l: &u16| if *l == 0 { NONE.to_owned() } else { l.to_string() };
            let names: Vec<String> = levels.iter().map(name).collect();
            let variance = self.expectation.variance;
            leaves.push(
                &names,
                if self.table.ratio {
                    Figures::Additive { expected: weight, observed: weight + excess }
                } else {
                    let expected = Sample { n: f64::INFINITY, mean: 0.0, variance };
                    let seen = Sample { n: weight, mean: excess / weight.max(1e-9), variance };
                    Figures::Mean { healthy: expected, degraded: seen }
                },
            );
        }
        let terms = |e: &stats::localise::Element| {
            e.iter().filter_map(|(f, l)| Some((f.parse().ok()?, vec![l.parse().ok()?]))).collect()
        };
        localise(&leaves, 1).first().map_or_else(Vec::new, |c| c.elements.iter().map(terms).collect())
    }

    fn scan(&self, facets: &[usize], from: Minute) -> Vec<Element> {
        let manner =
            Manner { facets, from, to: self.end, margin: self.margin, order: 3, most: MOST_ELEMENTS };
        scan(&self.table, &self.expectation, &self.rows, manner)
    }

    /// How many combinations a scan looks at.
    fn places(&self) -> f64 {
        let sizes: Vec<f64> =
            self.table.facets.iter().map(|f| (f.levels.len() as f64 - 1.0).max(1.0)).collect();
        let all: f64 = sizes.iter().sum();
        let squares: f64 = sizes.iter().map(|s| s * s).sum();
        1.0 + all + (all * all - squares) / 2.0
    }

    /// Chance of a loss like this under healthy operation, however often and whenever one looks (Ville's inequality).
    pub fn p_value(&self) -> f64 {
        (-self.log_e).exp().min(1.0)
    }

    /// The minute from which an element's departures are likeliest to have begun.
    fn refined_onset(&self, element: &Element) -> Minute {
        let mut minutes: std::collections::BTreeMap<Minute, (f64, f64)> = std::collections::BTreeMap::new();
        let from = element.onset.plus(-15);
        for x in self.expectation.excess(&self.table, from, self.end) {
            if self.table.matches(x.leaf, &element.terms) {
                let at = minutes.entry(x.minute).or_default();
                at.0 += x.weight;
                at.1 += x.excess;
            }
        }
        // Least squares of a step of the element's own height: every minute after it should show it, none before.
        let height = element.effect;
        let mut gain = 0.0;
        let mut best = (f64::NEG_INFINITY, element.onset);
        for (minute, (weight, excess)) in minutes.iter().rev() {
            gain += excess - weight * height / 2.0;
            if gain > best.0 {
                best = (gain, *minute);
            }
        }
        best.1
    }

    /// The people of an element; the subject's own facet is left out.
    pub fn people(&self, element: &Element) -> People {
        let mut conditions = Vec::new();
        for (f, levels) in &element.terms {
            let Some(facet) = self.table.facets.get(*f) else { continue };
            if *f == 0 {
                continue;
            }
            let of = |l: &u16| facet.levels.get(*l as usize);
            let labels: Vec<String> = levels.iter().filter_map(of).map(|l| l.label.clone()).collect();
            let mut nodes: Vec<NodeId> =
                levels.iter().filter_map(of).flat_map(|l| l.nodes.iter().copied()).collect();
            nodes.sort_unstable();
            nodes.dedup();
            conditions.push(Condition {
                label: format!("{} {}", facet.name, labels.join(" or ")),
                class: facet.class,
                nodes,
            });
        }
        People(conditions)
    }

    /// Subjects that an element names, by themselves or by what several of them have in common; else all.
    pub fn subjects(&self, element: &Element) -> Vec<NodeId> {
        let Some(own) = self.table.facets.first() else { return Vec::new() };
        let nodes = |facet: &Facet, levels: &[u16]| -> Vec<NodeId> {
            levels
                .iter()
                .filter_map(|l| facet.levels.get(*l as usize))
                .flat_map(|l| l.nodes.iter().copied())
                .collect()
        };
        let mut subjects = nodes(own, &(1..u16::try_from(own.levels.len()).unwrap_or(0)).collect::<Vec<_>>());
        for (f, levels) in &element.terms {
            if let Some(facet) = self.table.facets.get(*f).filter(|facet| facet.class == own.class) {
                let named = nodes(facet, levels);
                subjects.retain(|s| named.contains(s));
            }
        }
        subjects
    }

    /// How much of the likelihood of the best account an account with only some roles reaches, 0..1.
    pub fn reached_by(&self, roles: &[Role]) -> f64 {
        let whole: f64 = self.elements.iter().map(|e| e.score.max(0.0)).sum();
        if whole <= 0.0 {
            return 0.0;
        }
        let facets = facets_of(&self.table, roles);
        let part: f64 = self.scan(&facets, self.onset.plus(-2)).iter().map(|e| e.score.max(0.0)).sum();
        (part / whole).clamp(0.0, 1.0)
    }

    /// The likelihood that people with these conditions alone reach, as a share of the best account.
    pub fn reached_by_people(&self, terms: &[(usize, Vec<u16>)]) -> f64 {
        let whole: f64 = self.elements.iter().map(|e| e.score.max(0.0)).sum();
        let (weight, excess) = self.sum(terms);
        let llr = likelihood(self.table.ratio, self.expectation.variance, weight, excess, self.margin);
        if whole <= 0.0 { 0.0 } else { ((llr - NAMED) / whole).clamp(0.0, 1.0) }
    }

    /// Weight and departure of people with these conditions since the onset.
    pub fn sum(&self, terms: &[(usize, Vec<u16>)]) -> (f64, f64) {
        self.rows
            .iter()
            .filter(|x| x.minute >= self.onset && self.table.matches(x.leaf, terms))
            .fold((0.0, 0.0), |acc, x| (acc.0 + x.weight, acc.1 + x.excess))
    }

    /// Observations of people with these conditions since the onset.
    pub fn count(&self, terms: &[(usize, Vec<u16>)]) -> f64 {
        self.rows
            .iter()
            .filter(|x| x.minute >= self.onset && self.table.matches(x.leaf, terms))
            .map(|x| x.n)
            .sum()
    }

    /// Conditions on facets that say the same as some people; `None` when a condition is of no facet.
    pub fn terms_of(&self, people: &People) -> Option<Vec<(usize, Vec<u16>)>> {
        people
            .0
            .iter()
            .map(|c| {
                self.table.facets.iter().enumerate().filter(|(_, f)| !f.coarse).find_map(|(i, f)| {
                    let levels: Vec<u16> = (1..f.levels.len())
                        .filter(|l| f.levels[*l].nodes.iter().any(|n| c.nodes.contains(n)))
                        .filter_map(|l| u16::try_from(l).ok())
                        .collect();
                    (!levels.is_empty()).then_some((i, levels))
                })
            })
            .collect()
    }

    /// A departure as a relative change.
    pub fn change(&self, effect: f64) -> f64 {
        if self.table.ratio { effect * self.table.sign } else { (effect * self.table.sign).exp() - 1.0 }
    }
}

/// The roles that a fault on each side can be told by: a client's by what people run, a network's by how they are connected,
/// a backend's by where they are and what they ask.
pub(crate) fn roles_of(tier: Tier) -> Vec<Role> {
    match tier {
        Tier::Client => vec![Role::Asked, Role::Side(Tier::Client)],
        Tier::Network => vec![Role::Asked, Role::Where, Role::Side(Tier::Network)],
        Tier::Backend => vec![Role::Asked, Role::Where, Role::Side(Tier::Backend)],
    }
}
