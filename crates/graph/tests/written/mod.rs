//! Worlds as tests write them, a fact a line.

use graph::{Fold, Graph, Limits};
use ontology::fact::{Batch, Draft, Fact, Key, Ref};
use ontology::model::{KeyPart, Type};
use ontology::{Ontology, Time, Value};
use std::sync::Arc;

/// A key `a` is primary, `~a` is a weaker one alone, and `a~b` is both.
fn draft(o: &Ontology, class: &str, key: &str) -> Draft {
    let of = o.class(class).unwrap_or_else(|| panic!("no class {class}"));
    let hash = |slot: u8, text: &str| {
        let bytes = format!("{class} {slot} {text}");
        let hash = bytes.bytes().fold(0xcbf2_9ce4_8422_2325_u128, |h, b| {
            (h ^ u128::from(b)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b)
        });
        Key { slot, hash: (hash << 64) | hash }
    };
    let (primary, weaker) = key.split_once('~').unwrap_or((key, ""));
    let mut keys = Vec::new();
    keys.extend((!primary.is_empty()).then(|| hash(0, primary)));
    keys.extend((!weaker.is_empty()).then(|| hash(1, weaker)));
    let name = if primary.is_empty() { weaker } else { primary };
    // What people read is the name, or else what the key is made of.
    let first = o.classes[of.index()].keys[0].iter().find_map(|p| match p {
        KeyPart::Attr(a) => Some(*a),
        KeyPart::Relation(_) => None,
    });
    let attrs = o.attr(of, "name").or(first).map(|a| (a, Value::text(name))).into_iter().collect();
    Draft { class: of, keys, attrs }
}

pub(crate) fn minute(m: i64) -> Time {
    Time::from_secs(1_800_000_000 + m * 60)
}

/// `3: Class key`, `3: Class key ended`, `3: Class key attribute=value`, `3: Class key -relation-> Class key`, and
/// `3..9: …` for a relation that is said to end. A moment is written in minutes, as a value too.
pub(crate) fn fact(o: &Ontology, line: &str) -> Batch {
    let (m, rest) = line.trim().split_once(": ").unwrap_or_else(|| panic!("{line}"));
    let words: Vec<&str> = rest.split(' ').collect();
    let (m, until) = m.split_once("..").map_or((m, None), |(a, b)| (a, Some(b)));
    let time = |m: &str| minute(m.trim().parse().unwrap());
    let seen = Fact::Seen { entity: Ref(0), at: time(m) };
    let (drafts, fact) = match words.as_slice() {
        [class, key, arrow, other, target] => {
            let relation = arrow.trim_start_matches('-').trim_end_matches("->");
            let relation = o.relation(relation).unwrap_or_else(|| panic!("{line}"));
            let related =
                Fact::Related { relation, from: Ref(0), to: Ref(1), at: time(m), until: until.map(time) };
            (vec![draft(o, class, key), draft(o, other, target)], related)
        }
        [class, key] => (vec![draft(o, class, key)], seen),
        [class, key, "ended"] => (vec![draft(o, class, key)], Fact::Ended { entity: Ref(0), at: time(m) }),
        [class, key, said] => {
            let (name, text) = said.split_once('=').unwrap_or_else(|| panic!("{line}"));
            let mut draft = draft(o, class, key);
            let attr = o.attr(draft.class, name).unwrap_or_else(|| panic!("{line}"));
            let value = match o.attrs[attr.index()].ty {
                Type::Time => Value::Time(time(text)),
                Type::Bool => Value::Bool(text == "true"),
                Type::Float | Type::Ratio => Value::Float(text.parse().unwrap()),
                _ => Value::text(text),
            };
            draft.attrs.push((attr, value));
            (vec![draft], seen)
        }
        _ => panic!("{line}"),
    };
    Batch { source: "otlp".to_owned(), drafts, facts: vec![fact], ..Batch::default() }
}

/// The lines of a world.
pub(crate) fn lines(world: &str) -> Vec<&str> {
    world.lines().filter(|l| !l.trim().is_empty()).collect()
}

pub(crate) fn folded(o: &Arc<Ontology>, lines: &[&str], limits: Limits) -> Graph {
    let mut fold = Fold::new(Arc::clone(o), Vec::new(), limits);
    for line in lines {
        fold.fold(&fact(o, line), minute(10_000));
    }
    fold.graph()
}

/// Some batches as one.
pub(crate) fn together(batches: &[Batch]) -> Batch {
    let mut all = Batch { source: "otlp".to_owned(), ..Batch::default() };
    for batch in batches {
        let shift = u32::try_from(all.drafts.len()).unwrap();
        let moved = |r: Ref| Ref(r.0 + shift);
        all.drafts.extend(batch.drafts.iter().cloned());
        all.facts.extend(batch.facts.iter().map(|f| match f {
            Fact::Related { relation, from, to, at, until } => Fact::Related {
                relation: *relation,
                from: moved(*from),
                to: moved(*to),
                at: *at,
                until: *until,
            },
            Fact::Seen { entity, at } => Fact::Seen { entity: moved(*entity), at: *at },
            other => panic!("{other:?}"),
        }));
    }
    all
}
