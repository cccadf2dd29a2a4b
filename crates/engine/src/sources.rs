//! What each source sent, what of it was set aside and why, and how fresh it is.

use ingest::Wire;
use ontology::{Batch, Fact, Time};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Distinct reasons remembered per source. Beyond: further reasons are counted under `other reasons`.
pub(crate) const REASONS: usize = 200;
/// Sources remembered. Beyond: counted under `other sources`. Sources are named by mapping files, so this is never reached.
pub(crate) const SOURCES: usize = 200;
/// Different examples remembered per reason. Beyond: the one that was not met for longest makes room.
pub(crate) const EXAMPLES: usize = 5;

const UNREADABLE: &str = "request that cannot be read";

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Tally {
    requests: u64,
    malformed: u64,
    items: u64,
    facts: u64,
    repeated: u64,
    refused: u64,
    last_recorded: Option<Time>,
    last_event: Option<Time>,
    reasons: BTreeMap<String, Refusals>,
}

/// What was set aside for one reason.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Refusals {
    items: u64,
    last: Time,
    /// In the order in which they were first met.
    examples: Vec<Met>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Met {
    detail: String,
    items: u64,
    last: Time,
}

impl Refusals {
    fn add(&mut self, detail: &str, items: u64, at: Time) {
        self.items += items;
        self.last = self.last.max(at);
        if let Some(known) = self.examples.iter_mut().find(|m| m.detail == detail) {
            known.items += items;
            known.last = known.last.max(at);
            return;
        }
        if self.examples.len() >= EXAMPLES {
            let oldest = (0..self.examples.len()).min_by_key(|i| self.examples.get(*i).map(|m| m.last));
            oldest.map(|i| self.examples.remove(i));
        }
        self.examples.push(Met { detail: detail.to_owned(), items, last: at });
    }
}

impl Tally {
    fn refuse(&mut self, reason: &str, detail: &str, items: u64, at: Time) {
        let known = self.reasons.contains_key(reason) || self.reasons.len() < REASONS;
        let reason = if known { reason } else { "other reasons" };
        self.reasons.entry(reason.to_owned()).or_default().add(detail, items, at);
    }
}

/// Tallies by source.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
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

/// One example of what was set aside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Example {
    /// Who sent it.
    pub source: String,
    /// Short and stable.
    pub reason: String,
    /// Which field, which value.
    pub detail: String,
    /// How often exactly this was met since it is remembered.
    pub items: u64,
    /// When it was met last.
    pub last: String,
    /// How many items were set aside for the reason altogether.
    pub of_reason: u64,
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
            tally.refuse(&r.reason, &r.detail, r.items, recorded);
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
        tally.refuse(UNREADABLE, why, 1, recorded);
    }

    /// The bounds of what is remembered here, with what is used of them.
    pub(crate) fn usage(&self) -> [Used; 3] {
        let number = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        let used = |name: &str, value, used, doc: &str| Used {
            name: name.to_owned(),
            value: number(value),
            used: number(used),
            measured: true,
            doc: doc.to_owned(),
        };
        let most = self.0.values().map(|t| t.reasons.len()).max().unwrap_or(0);
        let examples = self.0.values().flat_map(|t| t.reasons.values()).map(|r| r.examples.len()).max();
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
            used(
                "source_examples",
                EXAMPLES,
                examples.unwrap_or(0),
                "of one reason; beyond: the example that was not met for longest makes room",
            ),
        ]
    }

    /// Examples of what was set aside, the latest first: of a source, and where the reason contains a text.
    pub(crate) fn examples(&self, source: Option<&str>, reason: Option<&str>) -> Vec<Example> {
        let reason = reason.map(str::to_lowercase);
        let mut all: Vec<(Time, Example)> = Vec::new();
        for (name, tally) in self.0.iter().filter(|(name, _)| source.is_none_or(|s| s == *name)) {
            let fits = |text: &str| reason.as_ref().is_none_or(|r| text.to_lowercase().contains(r));
            for (why, refusals) in tally.reasons.iter().filter(|(why, _)| fits(why)) {
                all.extend(refusals.examples.iter().map(|met| {
                    let example = Example {
                        source: name.clone(),
                        reason: why.clone(),
                        detail: met.detail.clone(),
                        items: met.items,
                        last: met.last.to_string(),
                        of_reason: refusals.items,
                    };
                    (met.last, example)
                }));
            }
        }
        all.sort_by(|a, b| {
            (b.0, &a.1.source, &a.1.reason, &a.1.detail).cmp(&(a.0, &b.1.source, &b.1.reason, &b.1.detail))
        });
        all.into_iter().map(|(_, e)| e).collect()
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
                    .map(|(reason, r)| Reason {
                        reason: reason.clone(),
                        items: r.items,
                        detail: r.examples.last().map(|e| e.detail.clone()).unwrap_or_default(),
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
        | Fact::Sample { at, .. }
        | Fact::Call { at, .. } => *at,
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
    fn refused(source: &str, reason: &str, detail: &str, items: u64) -> Batch {
        let refused = vec![ontology::Refused { reason: reason.to_owned(), detail: detail.to_owned(), items }];
        Batch { source: source.to_owned(), refused, items, ..Batch::default() }
    }

    #[test]
    fn examples_are_counted_each_and_the_one_not_met_for_longest_makes_room() {
        let at = |s: i64| Time::EPOCH.plus_secs(s);
        let mut sources = Sources::default();
        sources.took(
            &refused("otlp", "no key", "kept because it comes again", 2),
            graph::Folded::default(),
            at(1),
        );
        for i in 2..100 {
            sources.took(
                &refused("otlp", "no key", &format!("value {i}"), 1),
                graph::Folded::default(),
                at(i),
            );
            sources.took(
                &refused("otlp", "no key", "kept because it comes again", 2),
                graph::Folded::default(),
                at(i),
            );
        }
        sources.took(&refused("flags", "too odd", "x", 7), graph::Folded::default(), at(50));
        let all = sources.examples(None, None);
        assert_eq!(all.len(), EXAMPLES + 1);
        let kept = all.iter().find(|e| e.detail.starts_with("kept")).unwrap();
        assert_eq!((kept.items, kept.of_reason, kept.last.as_str()), (198, 296, "1970-01-01T00:01:39Z"));
        assert!(all.iter().any(|e| e.detail == "value 99") && !all.iter().any(|e| e.detail == "value 2"));
        assert_eq!(all.last().map(|e| e.source.as_str()), Some("flags"), "the latest comes first");
        assert_eq!(sources.examples(Some("flags"), None).len(), 1);
        assert_eq!(sources.examples(None, Some("NO K")).len(), EXAMPLES);
        assert!(sources.examples(Some("otlp"), Some("odd")).is_empty());
        let report = sources.report();
        assert_eq!(report.iter().map(|s| s.refused).collect::<Vec<_>>(), [7, 296]);
        assert!(sources.usage().iter().any(|u| u.name == "source_examples" && u.used == 5 && u.value == 5));
    }
}
