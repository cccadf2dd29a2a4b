//! What each source sent, what of it was set aside and why, and how fresh it is.

use ingest::Wire;
use ontology::{Batch, Fact, Time};
use serde::Serialize;
use std::collections::BTreeMap;

/// Distinct reasons remembered per source. Beyond: further reasons are counted under `other reasons`.
pub(crate) const REASONS: usize = 200;
/// Sources remembered. Beyond: counted under `other sources`. Sources are named by mapping files, so this is never reached.
pub(crate) const SOURCES: usize = 200;

const UNREADABLE: &str = "request that cannot be read";

#[derive(Clone, Debug, Default)]
struct Tally {
    requests: u64,
    malformed: u64,
    items: u64,
    facts: u64,
    repeated: u64,
    refused: u64,
    last_recorded: Option<Time>,
    last_event: Option<Time>,
    reasons: BTreeMap<String, (u64, String)>,
}

/// Tallies by source.
#[derive(Debug, Default)]
pub(crate) struct Sources(BTreeMap<String, Tally>);

/// One reason for setting things aside.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Reason {
    /// Short and stable.
    pub reason: String,
    /// How many items.
    pub items: u64,
    /// An example: which field, which value.
    pub detail: String,
}

/// What a source sent.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SourceReport {
    /// Its name in the mapping files.
    pub name: String,
    /// Requests taken.
    pub requests: u64,
    /// Requests that could not be read at all.
    pub malformed: u64,
    /// Items (spans, records, points) in them.
    pub items: u64,
    /// Facts made of them.
    pub facts: u64,
    /// Counted facts that repeated earlier ones.
    pub repeated: u64,
    /// Items set aside.
    pub refused: u64,
    /// When the last request came.
    pub last_seen: Option<Time>,
    /// Seconds from the latest moment it told of to when it was told.
    pub lag_seconds: Option<f64>,
    /// Why items were set aside, most frequent first.
    pub reasons: Vec<Reason>,
}

/// One sentence on how much of the picture is there.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Coverage {
    /// `Steps of traces that found the step before them`.
    pub text: String,
    /// 0..1.
    pub share: f64,
}

/// How much of a limit is used.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Used {
    /// Name of the limit.
    pub name: String,
    /// The limit.
    pub value: u64,
    /// How much of it is used.
    pub used: u64,
    /// Whether `used` says something: of the largest request, say, nothing is in use.
    #[serde(skip)]
    pub measured: bool,
    /// What happens beyond it.
    pub doc: String,
}

impl Sources {
    pub(crate) fn took(&mut self, batch: &Batch, folded: graph::Folded, recorded: Time) {
        let tally = self.tally(&batch.source);
        tally.requests += 1;
        tally.items += batch.items;
        tally.facts += folded.facts;
        tally.repeated += folded.repeated;
        tally.last_recorded = tally.last_recorded.max(Some(recorded));
        tally.last_event = tally.last_event.max(batch.facts.iter().map(told_of).max());
        for r in &batch.refused {
            tally.refused += r.items;
            let known = tally.reasons.contains_key(&r.reason) || tally.reasons.len() < REASONS;
            let reason = if known { r.reason.clone() } else { "other reasons".to_owned() };
            let entry = tally.reasons.entry(reason).or_insert_with(|| (0, r.detail.clone()));
            entry.0 += r.items;
        }
    }

    /// Takes over what is not in the log: requests that could not be read.
    pub(crate) fn keep_unreadable(&mut self, before: &Sources) {
        for (name, old) in before.0.iter().filter(|(_, t)| t.malformed > 0) {
            let tally = self.tally(name);
            tally.requests += old.malformed;
            tally.malformed += old.malformed;
            tally.last_recorded = tally.last_recorded.max(old.last_recorded);
            if let Some(told) = old.reasons.get(UNREADABLE) {
                tally.reasons.insert(UNREADABLE.to_owned(), told.clone());
            }
        }
    }

    pub(crate) fn malformed(&mut self, wire: &Wire, why: &str, recorded: Time) {
        let tally = self.tally(wire.source());
        tally.requests += 1;
        tally.malformed += 1;
        tally.last_recorded = tally.last_recorded.max(Some(recorded));
        let entry = tally.reasons.entry(UNREADABLE.to_owned()).or_insert_with(|| (0, why.to_owned()));
        entry.0 += 1;
    }

    /// The bounds of what is remembered here, with what is used of them.
    pub(crate) fn usage(&self) -> [Used; 2] {
        let number = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        let used = |name: &str, value, used, doc: &str| Used {
            name: name.to_owned(),
            value: number(value),
            used: number(used),
            measured: true,
            doc: doc.to_owned(),
        };
        let most = self.0.values().map(|t| t.reasons.len()).max().unwrap_or(0);
        [
            used(
                "sources",
                SOURCES,
                self.0.len(),
                "beyond: what further sources send is counted as `other sources`",
            ),
            used(
                "source_reasons",
                REASONS,
                most,
                "beyond: further reasons of a source are counted as `other reasons`",
            ),
        ]
    }

    fn tally(&mut self, name: &str) -> &mut Tally {
        let name = if self.0.contains_key(name) || self.0.len() < SOURCES { name } else { "other sources" };
        self.0.entry(name.to_owned()).or_default()
    }

    pub(crate) fn report(&self) -> Vec<SourceReport> {
        self.0
            .iter()
            .map(|(name, t)| {
                let mut reasons: Vec<Reason> = t
                    .reasons
                    .iter()
                    .map(|(reason, (items, detail))| Reason {
                        reason: reason.clone(),
                        items: *items,
                        detail: detail.clone(),
                    })
                    .collect();
                reasons.sort_by(|a, b| b.items.cmp(&a.items).then_with(|| a.reason.cmp(&b.reason)));
                SourceReport {
                    name: name.clone(),
                    requests: t.requests,
                    malformed: t.malformed,
                    items: t.items,
                    facts: t.facts,
                    repeated: t.repeated,
                    refused: t.refused,
                    last_seen: t.last_recorded,
                    lag_seconds: t
                        .last_recorded
                        .zip(t.last_event)
                        .map(|(r, e)| (r.since(e) as f64 / 1e9).max(0.0)),
                    reasons,
                }
            })
            .collect()
    }
}

/// The moment that a fact tells of.
fn told_of(fact: &Fact) -> Time {
    match fact {
        Fact::Seen { at, .. }
        | Fact::Ended { at, .. }
        | Fact::Related { at, .. }
        | Fact::Sample { at, .. } => *at,
        Fact::Step(step) => step.to,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_source_is_late_however_fresh_the_others_are() {
        let now = Time::EPOCH.plus_secs(10_000);
        let mut sources = Sources::default();
        for (source, age) in [("late", 3_600), ("fresh", 1)] {
            let at = now.plus_secs(-age);
            let facts = vec![Fact::Seen { entity: ontology::Ref(0), at }];
            let batch = Batch { source: source.to_owned(), facts, items: 1, ..Batch::default() };
            sources.took(&batch, graph::Folded::default(), now);
        }
        let lags: Vec<_> = sources.report().into_iter().map(|s| (s.name, s.lag_seconds)).collect();
        assert_eq!(lags, [("fresh".to_owned(), Some(1.0)), ("late".to_owned(), Some(3_600.0))]);
    }
}
