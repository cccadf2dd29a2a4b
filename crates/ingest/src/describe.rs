//! A batch as text, for people and tests: one line per fact, names instead of numbers, in an order that does not depend on
//! how the batch was put together.

use ontology::model::KeyPart;
use ontology::{Batch, Fact, Observation, Ontology, Ref};
use std::fmt::Write as _;

/// Every draft that facts speak of, fact and refusal of a batch, sorted.
pub fn describe(batch: &Batch, o: &Ontology) -> String {
    let mut lines: Vec<String> = batch.facts.iter().map(|f| fact(batch, o, f)).collect();
    lines.extend((0..).zip(&batch.drafts).map(|(i, d)| {
        let keys: Vec<String> =
            d.keys.iter().map(|k| format!("{}:{:016x}", k.slot, (k.hash >> 64) as u64)).collect();
        format!("draft {} {} key {}", name(batch, o, Ref(i)), attrs(batch, o, Ref(i)), keys.join(" "))
    }));
    lines.sort();
    lines.dedup();
    let refused = batch.refused.iter().map(|r| format!("refused {} × {}: {}", r.items, r.reason, r.detail));
    lines.extend(refused);
    let mut text = format!("{} items from {}\n", batch.items, batch.source);
    for line in lines {
        text.push_str(&line);
        text.push('\n');
    }
    text
}

/// `Class(what its strongest key consists of)`.
fn name(batch: &Batch, o: &Ontology, r: Ref) -> String {
    let Some(draft) = batch.drafts.get(r.0 as usize) else { return "?".to_owned() };
    let class = o.class_name(draft.class);
    let slot = draft.keys.first().map_or(0, |k| usize::from(k.slot));
    let key = o.classes.get(draft.class.index()).and_then(|c| c.keys.get(slot));
    let own: Vec<String> = key
        .into_iter()
        .flatten()
        .filter_map(|part| match part {
            KeyPart::Attr(a) => draft.attrs.iter().find(|(b, _)| a == b).map(|(_, v)| v.to_string()),
            KeyPart::Relation(_) => None,
        })
        .filter(|s| !s.is_empty())
        .collect();
    format!("{class}({})", own.join(" "))
}

fn attrs(batch: &Batch, o: &Ontology, r: Ref) -> String {
    let mut text = String::from("{");
    for (a, v) in batch.drafts.get(r.0 as usize).map(|d| d.attrs.as_slice()).unwrap_or_default() {
        let attr = o.attrs.get(a.index()).map_or("?", |a| a.name.as_str());
        let _ = write!(text, "{}{attr}: {v}", if text.len() > 1 { ", " } else { "" });
    }
    text.push('}');
    text
}

fn names(batch: &Batch, o: &Ontology, refs: &[Ref]) -> String {
    let mut all: Vec<String> = refs.iter().map(|r| name(batch, o, *r)).collect();
    all.sort();
    all.join(" ")
}

fn fact(batch: &Batch, o: &Ontology, fact: &Fact) -> String {
    let name = |r: &Ref| name(batch, o, *r);
    match fact {
        Fact::Seen { entity, at } => format!("seen {} at {at}", name(entity)),
        Fact::Ended { entity, at } => format!("ended {} at {at}", name(entity)),
        Fact::Related { relation, from, to, at, .. } => {
            format!("{} -{}-> {} at {at}", name(from), o.relation_name(*relation), name(to))
        }
        Fact::Sample { id, measure, subject, cohort, at, value } => {
            let measure = o.measures.get(measure.index()).map_or("?", |m| m.name.as_str());
            let value = match value {
                Observation::One(v) => format!("{v}"),
                Observation::Flag(b) => format!("{b}"),
                Observation::Count(n) => format!("{n}×"),
                Observation::Tries { count, bad } => format!("{bad} of {count}"),
                Observation::Cumulative { start, value, .. } => format!("{value} since {start}"),
                Observation::GrowingTries { start, count, bad, .. } => {
                    format!("{count}×{} since {start}", if *bad { " bad" } else { "" })
                }
                Observation::Many { values, sum } => format!("{values:?} sum {sum:?}"),
                Observation::Growing { start, values, sum, .. } => {
                    format!("{values:?} sum {sum:?} since {start}")
                }
            };
            let by = names(batch, o, cohort);
            format!("{measure} = {value} on {} by [{by}] at {at} #{:016x}", name(subject), id.0)
        }
        Fact::Call { id, relation, from, to, cohort, at, lasted_ns, failed } => {
            let (by, relation) = (names(batch, o, cohort), o.relation_name(*relation));
            let how = if *failed { "failed after" } else { "took" };
            let took = *lasted_ns as f64 / 1e6;
            format!(
                "{} -{relation}-> {} {how} {took} ms by [{by}] at {at} #{:016x}",
                name(from),
                name(to),
                id.0
            )
        }
        Fact::Step(s) => {
            let mut up: Vec<String> = s
                .upward
                .iter()
                .map(|u| {
                    format!("{} -{}-> {}", o.class_name(u.from), o.relation_name(u.relation), name(&u.to))
                })
                .collect();
            up.sort();
            let parent = s.parent.map_or("root".to_owned(), |p| format!("{p:016x}"));
            format!(
                "step {:032x} {:016x} < {parent} {} .. {} {:?}{} in [{}] up [{}]",
                s.trace,
                s.span,
                s.from,
                s.to,
                s.side,
                if s.failed { " failed" } else { "" },
                names(batch, o, &s.here),
                up.join(", ")
            )
        }
    }
}
