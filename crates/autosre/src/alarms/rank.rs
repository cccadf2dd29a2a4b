//! Ranks the components of an alarm graph with weights learned on past failures: of other systems to begin with, of the same one as soon
//! as it has had some.

use std::collections::{BTreeMap, BTreeSet};

use stats::choice::{Belief, Choice, Row, fit};

use super::AlarmGraph;
use super::signs::{Sign, signs};
use super::usual::{Counted, Usual};

/// A failure whose cause was found out.
#[derive(Clone, Copy, Debug)]
pub struct PastFailure<'a> {
    /// What alarmed.
    pub graph: &'a AlarmGraph,
    /// The place of the component that was the cause.
    pub cause: usize,
}

/// Weights of the signs that mean the same in any system, in nats per size of the sign.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Weights(BTreeMap<Sign, f64>);

/// How strongly signs that travel are held to zero while they are learned over several systems: a weight of one nat costs as much as
/// half a nat of one failure's likelihood.
const HELD_TO_NOTHING: f64 = 1.0;
/// How strongly they are held to what other systems taught.
const HELD_TO_START: f64 = 1.0;
/// How strongly signs of one system are held to zero.
const HELD_HERE: f64 = 1.0;
/// Signs of one system that were told in fewer failures are not learned: once is no pattern.
const FEWEST_TOLD: usize = 2;
/// So many reasons are given for a suspect.
const REASONS: usize = 6;

impl Weights {
    /// Learns from failures of several systems, each system counting the same, however many failures it has had.
    pub fn learn(systems: &[Vec<PastFailure<'_>>]) -> Self {
        let had: Vec<&Vec<PastFailure<'_>>> = systems.iter().filter(|past| !past.is_empty()).collect();
        let all: usize = had.iter().map(|past| past.len()).sum();
        let mut book = Book::default();
        let mut choices = Vec::new();
        for past in &had {
            let usual = Usual::of(past.iter().map(|p| p.graph));
            let weight = all as f64 / (had.len() * past.len()) as f64;
            choices.extend(past.iter().map(|p| book.choice(p, &usual, weight, Sign::travels)));
        }
        let beliefs = vec![Belief { centre: 0.0, strength: HELD_TO_NOTHING }; book.places.len()];
        Self(book.named(fit(&choices, &beliefs)))
    }
}

/// The signs that are learned, each with a place among the weights.
#[derive(Default)]
struct Book {
    places: BTreeMap<Sign, usize>,
}

impl Book {
    fn choice(
        &mut self,
        past: &PastFailure<'_>,
        usual: &Usual,
        weight: f64,
        wanted: impl Fn(&Sign) -> bool,
    ) -> Choice {
        let alternatives = signs(past.graph, usual, Counted::Itself).into_iter().map(|signs| {
            let wanted = signs.into_iter().filter(|(sign, _)| wanted(sign));
            wanted.map(|(sign, size)| (self.place(sign), size)).collect::<Row>()
        });
        Choice { alternatives: alternatives.collect(), chosen: past.cause, weight }
    }

    fn place(&mut self, sign: Sign) -> usize {
        let next = self.places.len();
        *self.places.entry(sign).or_insert(next)
    }

    fn named(self, weights: Vec<f64>) -> BTreeMap<Sign, f64> {
        let weight = |place: usize| weights.get(place).copied().unwrap_or(0.0);
        self.places.into_iter().map(|(sign, place)| (sign, weight(place))).collect()
    }
}

/// What is known of a system: what its components use to tell, and what signs weigh.
#[derive(Clone, Debug, Default)]
pub struct AlarmRanker {
    weights: BTreeMap<Sign, f64>,
    usual: Usual,
}

/// Why a component is suspected, or not.
#[derive(Clone, Debug, PartialEq)]
pub struct Reason {
    /// The sign.
    pub sign: Sign,
    /// Nats beyond what the same sign says of the mean component of the failure; negative speaks against.
    pub llr: f64,
}

/// A component that may be the cause.
#[derive(Clone, Debug, PartialEq)]
pub struct Suspect {
    /// Its place in the graph.
    pub component: usize,
    /// Log-odds up to a constant of the failure.
    pub score: f64,
    /// Chance that it is the cause, given that one of the components is.
    pub probability: f64,
    /// What weighs most, strongest first.
    pub reasons: Vec<Reason>,
}

impl AlarmRanker {
    /// A ranker for a system of which no cause is known yet: `seen` are earlier failures, for what is usual.
    pub fn unlabelled<'a>(start: &Weights, seen: impl IntoIterator<Item = &'a AlarmGraph>) -> Self {
        Self { weights: start.0.clone(), usual: Usual::of(seen) }
    }

    /// Learns a system from its own past failures, starting from what other systems taught.
    pub fn learn(start: &Weights, past: &[PastFailure<'_>]) -> Self {
        let usual = Usual::of(past.iter().map(|p| p.graph));
        let mut told: BTreeMap<Sign, usize> = BTreeMap::new();
        for p in past {
            let all = signs(p.graph, &usual, Counted::Itself).into_iter().flatten();
            let here: BTreeSet<Sign> = all.map(|(sign, _)| sign).filter(|sign| !sign.travels()).collect();
            for sign in here {
                *told.entry(sign).or_default() += 1;
            }
        }
        let often = |sign: &Sign| sign.travels() || told.get(sign).is_some_and(|n| *n >= FEWEST_TOLD);
        let mut book = Book::default();
        let choices: Vec<Choice> = past.iter().map(|p| book.choice(p, &usual, 1.0, often)).collect();
        let mut beliefs = vec![Belief { centre: 0.0, strength: HELD_HERE }; book.places.len()];
        for (sign, place) in book.places.iter().filter(|(sign, _)| sign.travels()) {
            let centre = start.0.get(sign).copied().unwrap_or(0.0);
            if let Some(belief) = beliefs.get_mut(*place) {
                *belief = Belief { centre, strength: HELD_TO_START };
            }
        }
        let mut weights = start.0.clone();
        weights.extend(book.named(fit(&choices, &beliefs)));
        Self { weights, usual }
    }

    /// Ranks the components of a failure that was not learned from, likeliest first; components that nothing tells apart share a
    /// score.
    pub fn rank(&self, graph: &AlarmGraph) -> Vec<Suspect> {
        let signs = signs(graph, &self.usual, Counted::Others);
        let weigh = |sign: &Sign| self.weights.get(sign).copied().unwrap_or(0.0);
        let mut means: BTreeMap<&Sign, f64> = BTreeMap::new();
        for (sign, size) in signs.iter().flatten() {
            *means.entry(sign).or_default() += size / signs.len().max(1) as f64;
        }
        let scores: Vec<f64> =
            signs.iter().map(|own| own.iter().map(|(sign, size)| weigh(sign) * size).sum()).collect();
        let (chances, _) = stats::calibrate::softmax(&scores, f64::NEG_INFINITY);
        let mut suspects: Vec<Suspect> = Vec::with_capacity(scores.len());
        for (component, ((own, score), probability)) in signs.iter().zip(&scores).zip(chances).enumerate() {
            let sizes: BTreeMap<&Sign, f64> = own.iter().map(|(sign, size)| (sign, *size)).collect();
            let beyond = |sign: &Sign, mean: f64| sizes.get(sign).copied().unwrap_or(0.0) - mean;
            let mut reasons: Vec<Reason> = means
                .iter()
                .map(|(sign, mean)| Reason { sign: (*sign).clone(), llr: weigh(sign) * beyond(sign, *mean) })
                .filter(|reason| reason.llr != 0.0)
                .collect();
            reasons.sort_by(|a, b| b.llr.abs().total_cmp(&a.llr.abs()).then_with(|| a.sign.cmp(&b.sign)));
            reasons.truncate(REASONS);
            suspects.push(Suspect { component, score: *score, probability, reasons });
        }
        suspects.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.component.cmp(&b.component)));
        suspects
    }
}
