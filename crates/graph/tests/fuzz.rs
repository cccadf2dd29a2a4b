//! Facts that nobody would send: times at the ends of time, refs and ids that lead nowhere, keys that are everybody's. A graph takes them
//! without a panic; those that keep to what facts promise count once, in any order.

#![expect(
    clippy::unwrap_used,
    reason = "clippy takes the helpers of an integration test for code outside of tests"
)]

#[path = "../../../tests/fuzz/mod.rs"]
mod fuzz;
#[allow(dead_code, clippy::panic, clippy::unwrap_used, reason = "shared with tests that use other parts")]
mod written;

use fuzz::Draw;
use graph::{Fold, Limits};
use ontology::fact::{Batch, Draft, Fact, ItemId, Key, Observation, Ref, Side, Step, StreamId, Upward};
use ontology::{AttrId, ClassId, MeasureId, Ontology, RelationId, Time, Value};
use std::path::Path;
use std::sync::Arc;

/// Mostly a moment of the corpus, now and then one at which time ends.
fn time(draw: &mut Draw) -> Time {
    let odd = [0, 1, -1, i64::MAX, i64::MIN, 4_102_444_800_000_000_000];
    match draw.below(4) {
        0 => {
            let ns = *draw.one_of(&odd);
            u64::try_from(ns).ok().and_then(Time::from_nanos).unwrap_or(Time::EPOCH)
        }
        _ => written::minute(i64::try_from(draw.below(30)).unwrap() - 5),
    }
}

/// Numbers at the ends of what there is.
fn number(draw: &mut Draw) -> f64 {
    let none = [f64::INFINITY, f64::NEG_INFINITY, f64::NAN];
    let some = [0.0, -0.0, 1.0, -1.0, 5e-324, 0.25, 1e18, -1e18, 1e308, f64::MAX, f64::MIN];
    if draw.below(4) == 0 { *draw.one_of(&none) } else { *draw.one_of(&some) }
}

fn count(draw: &mut Draw) -> u64 {
    draw.next() >> (24 + draw.below(40))
}

fn small(draw: &mut Draw, below: usize) -> u16 {
    if draw.below(16) == 0 { u16::MAX } else { u16::try_from(draw.below(below + 2)).unwrap() }
}

fn entity(draw: &mut Draw, batch: &Batch) -> Ref {
    if draw.below(16) == 0 {
        Ref(u32::MAX)
    } else {
        Ref(u32::try_from(draw.below(batch.drafts.len() + 1)).unwrap())
    }
}

fn some(draw: &mut Draw, batch: &Batch) -> Arc<[Ref]> {
    (0..draw.below(4)).map(|_| entity(draw, batch)).collect()
}

fn observation(draw: &mut Draw) -> Observation {
    let stream = StreamId(draw.next() % 3);
    let values = |draw: &mut Draw| (0..draw.below(4)).map(|_| (number(draw), count(draw))).collect();
    match draw.below(8) {
        0 => Observation::One(number(draw)),
        1 => Observation::Flag(draw.below(2) == 0),
        2 => Observation::Count(count(draw)),
        3 => Observation::Tries { count: number(draw), bad: number(draw) },
        4 => Observation::Cumulative { stream, start: time(draw), value: number(draw) },
        5 => Observation::GrowingTries {
            stream,
            start: time(draw),
            count: number(draw),
            bad: draw.below(2) == 0,
        },
        6 => Observation::Many { values: values(draw), sum: (draw.below(2) == 0).then(|| number(draw)) },
        _ => Observation::Growing {
            stream,
            start: time(draw),
            values: values(draw),
            sum: (draw.below(2) == 0).then(|| number(draw)),
        },
    }
}

fn odd_fact(draw: &mut Draw, o: &Ontology, batch: &Batch) -> Fact {
    let id = ItemId(draw.next() % 64);
    let relation = RelationId(small(draw, o.relations.len()));
    let (from, to, at) = (entity(draw, batch), entity(draw, batch), time(draw));
    match draw.below(6) {
        0 => Fact::Seen { entity: from, at },
        1 => Fact::Ended { entity: from, at },
        2 => Fact::Related { relation, from, to, at, until: (draw.below(2) == 0).then(|| time(draw)) },
        3 => {
            let measure = MeasureId(small(draw, o.measures.len()));
            Fact::Sample {
                id,
                measure,
                subject: from,
                cohort: some(draw, batch),
                at,
                value: observation(draw),
            }
        }
        4 => {
            let lasted_ns = *draw.one_of(&[0, 1, -1, i64::MAX, i64::MIN, 5_000_000]);
            Fact::Call {
                id,
                relation,
                from,
                to,
                cohort: some(draw, batch),
                at,
                lasted_ns,
                failed: draw.below(2) == 0,
            }
        }
        _ => {
            let (span, parent) = (draw.next() % 4, draw.next() % 5);
            let upward = Upward { from: ClassId(small(draw, o.classes.len())), relation, to };
            let upward: Arc<[Upward]> = (0..draw.below(3)).map(|_| upward).collect();
            let side = *draw.one_of(&[Side::Asking, Side::Answering, Side::Inside]);
            let parent = (parent < 4).then_some(parent);
            let (trace, failed) = (u128::from(draw.next() % 2), draw.below(2) == 0);
            let here = some(draw, batch);
            Fact::Step(Step { id, trace, span, parent, from: at, to: time(draw), failed, side, here, upward })
        }
    }
}

/// Whether a fact keeps to what facts promise: an id names one item, words are the ontology's. What several facts tell of together
/// (steps of one trace, readings of one counter) is left to the laws, where they belong together.
fn is_lawful(o: &Ontology, fact: &Fact) -> bool {
    let (Fact::Seen { at, .. }
    | Fact::Ended { at, .. }
    | Fact::Related { at, .. }
    | Fact::Call { at, .. }
    | Fact::Sample { at, .. }) = fact
    else {
        return false;
    };
    // What is older than a graph remembers is there until something newer comes.
    if *at < written::minute(-60) || *at > written::minute(60) {
        return false;
    }
    match fact {
        Fact::Seen { .. } | Fact::Ended { .. } => true,
        Fact::Related { relation, .. } | Fact::Call { relation, .. } => relation.index() < o.relations.len(),
        Fact::Sample { measure, value, .. } => {
            let alone = matches!(value, Observation::One(_) | Observation::Flag(_) | Observation::Count(_));
            measure.index() < o.measures.len() && alone
        }
        Fact::Step(_) => false,
    }
}

/// The same fact of an item of its own.
fn of_its_own(draw: &mut Draw, mut fact: Fact) -> Fact {
    if let Fact::Sample { id, .. } | Fact::Call { id, .. } = &mut fact {
        *id = ItemId(draw.next());
    }
    fact
}

/// What a change keeps to.
#[derive(Clone, Copy, PartialEq)]
enum Keeps {
    Promises,
    Nothing,
}

fn change(draw: &mut Draw, o: &Ontology, batch: &mut Batch, keeps: Keeps) {
    for _ in 0..=draw.below(3) {
        if keeps == Keeps::Promises {
            let fact = odd_fact(draw, o, batch);
            if is_lawful(o, &fact) {
                let fact = of_its_own(draw, fact);
                batch.facts.push(fact);
            }
            continue;
        }
        let at = draw.below(batch.drafts.len());
        match draw.below(6) {
            // Its keys go on saying another class.
            0 if !batch.drafts.is_empty() => batch.drafts[at].class = ClassId(small(draw, o.classes.len())),
            1 if !batch.drafts.is_empty() => {
                let slot = u8::try_from(draw.below(5)).unwrap();
                batch.drafts[at].keys.push(Key { slot, hash: u128::from(draw.next() % 4) << 64 });
            }
            2 if !batch.drafts.is_empty() => {
                let value = match draw.below(4) {
                    0 => Value::Float(number(draw)),
                    1 => Value::Int(i64::MIN),
                    2 => Value::Time(time(draw)),
                    _ => Value::text("\u{0}ä"),
                };
                batch.drafts[at].attrs.push((AttrId(small(draw, o.attrs.len())), value));
            }
            3 => {
                let class = ClassId(small(draw, o.classes.len()));
                batch.drafts.push(Draft { class, keys: Vec::new(), attrs: Vec::new() });
            }
            _ => {
                let fact = odd_fact(draw, o, batch);
                batch.facts.push(fact);
            }
        }
    }
}

#[test]
fn odd_facts_are_folded_once_and_in_any_order() {
    let o = Arc::new(Ontology::builtin());
    let worlds: Vec<Vec<Batch>> = fuzz::corpus(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus"))
        .into_iter()
        .map(|(_, text)| {
            let text = String::from_utf8(text).unwrap();
            written::lines(&text).into_iter().map(|l| written::fact(&o, l)).collect()
        })
        .collect();
    let folded = |batches: &[Batch], times: usize| {
        let mut fold = Fold::new(Arc::clone(&o), Vec::new(), Limits::default());
        for _ in 0..times {
            for batch in batches {
                fold.fold(batch, written::minute(10_000));
            }
        }
        fold.graph().canonical()
    };
    fuzz::cases(1_500, |draw| {
        let keeps = if draw.below(2) == 0 { Keeps::Promises } else { Keeps::Nothing };
        let mut batches = draw.one_of(&worlds).clone();
        let other = draw.one_of(&worlds).clone();
        batches.extend(other.into_iter().take(draw.below(6)));
        for _ in 0..=draw.below(4) {
            let at = draw.below(batches.len());
            change(draw, &o, &mut batches[at], keeps);
        }
        let (once, twice) = (folded(&batches, 1), folded(&batches, 2));
        if keeps == Keeps::Nothing {
            return;
        }
        assert_eq!(twice, once, "facts told twice count twice");
        for i in (1..batches.len()).rev() {
            batches.swap(i, draw.below(i + 1));
        }
        assert_eq!(folded(&batches, 1), once, "another order gives another graph");
    });
}
