//! The census of small worlds: everything counted once, whoever told of it and under whatever key.

#[expect(dead_code, reason = "worlds are written in more ways than this file needs")]
mod written;

use graph::{Census, ENDS_PER_CLASS, End, Fold, Limits};
use ontology::Ontology;
use std::sync::Arc;
use written::{fact, lines, minute};

fn end(o: &Ontology, relation: &str, back: bool, class: &str, other: &str) -> End {
    let named = |name: &str| o.class(name).unwrap();
    End { relation: o.relation(relation).unwrap(), back, class: named(class), other: named(other) }
}

/// A world whose lines name their source: `otlp 3: Host h1`.
fn count(world: &str, ends: impl Fn(&Ontology) -> Vec<End>) -> (Arc<Ontology>, Census) {
    let o = Arc::new(Ontology::builtin());
    let mut fold = Fold::new(Arc::clone(&o), o.mapping.trust.clone(), Limits::default());
    for line in lines(world) {
        let (source, rest) = line.trim().split_once(' ').unwrap();
        let mut batch = fact(&o, rest);
        batch.source = source.to_owned();
        fold.fold(&batch, minute(100));
    }
    let census = fold.graph().census(&ends(&o));
    (o, census)
}

/// How many there are of a class, when one was last seen, and by whom.
fn of(o: &Ontology, census: &Census, class: &str) -> (u64, Option<i64>, Vec<(String, u64)>) {
    let c = &census.classes[o.class(class).unwrap().index()];
    let last = c.last.map(|m| m.0 - minute(0).minute().0);
    (c.all, last, c.sources.iter().map(|(s, n)| (s.clone(), *n)).collect())
}

#[test]
fn a_thing_that_two_sources_tell_of_is_one_thing_that_counts_for_both() {
    // `~a` is a stand-in under a weaker key; `x~a` says that it is x.
    let (o, census) = count(
        "
        otlp 1: Service x~a
        catalog 7: Service ~a
        catalog 3: Service ~b
        otlp 2: Host h
        ",
        |_| Vec::new(),
    );
    let told = vec![("catalog".to_owned(), 2), ("otlp".to_owned(), 1)];
    assert_eq!(of(&o, &census, "Service"), (2, Some(7), told));
    assert_eq!(of(&o, &census, "Host"), (1, Some(2), vec![("otlp".to_owned(), 1)]));
    assert_eq!(census.of_class(&o, o.class("Component").unwrap()), 3, "kinds of a class count for it");
}

#[test]
fn things_with_an_edge_are_counted_once_however_many_edges_they_have() {
    let (o, census) = count(
        "
        otlp 1: Instance i1 -runs_on-> Host h1
        otlp 2: Instance i1 -runs_on-> Host h2
        otlp 1: Instance i2
        changes 4: Deployment d -deploys-> ServiceVersion v
        catalog 1: Service s -owned_by-> Team t
        ",
        |o| {
            vec![
                end(o, "runs_on", false, "Instance", "Host"),
                end(o, "runs_on", true, "Host", "Instance"),
                // deploys is a special case of changed.
                end(o, "changed", true, "Component", "Change"),
                end(o, "owned_by", false, "Component", "Team"),
                end(o, "owned_by", false, "Host", "Team"),
            ]
        },
    );
    assert_eq!(census.joined, [Some(1), Some(2), Some(1), Some(1), Some(0)]);
    assert_eq!(census.of_relation(&o, o.relation("changed").unwrap()), 1);
    let id = |c: &str| o.class(c).unwrap();
    let pair = (o.relation("runs_on").unwrap(), id("Instance"), id("Host"));
    assert_eq!(census.pairs.get(&pair), Some(&2));
}

#[test]
fn what_was_only_concluded_is_counted_and_was_seen_by_no_source() {
    let (o, census) = count(
        "
        otlp 1: Operation p -operation_of-> Service a
        otlp 1: Operation p -uses-> Datastore d
        ",
        |_| Vec::new(),
    );
    let c = &census.relations[o.relation("depends_on").unwrap().index()];
    assert_eq!((c.all, c.last), (1, None));
}

#[test]
fn ends_beyond_the_bits_of_a_class_are_not_looked_at_and_said_so() {
    let (_, census) = count("otlp 1: Instance i -runs_on-> Host h", |o| {
        vec![end(o, "runs_on", false, "Instance", "Host"); ENDS_PER_CLASS + 2]
    });
    assert_eq!(census.joined.iter().filter(|j| **j == Some(1)).count(), ENDS_PER_CLASS);
    assert_eq!(census.joined.iter().filter(|j| j.is_none()).count(), 2);
}
