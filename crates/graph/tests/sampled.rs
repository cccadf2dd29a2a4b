//! Sampled nodes of a condition, beside looking at each and at all that it names.

#[expect(dead_code, reason = "worlds are written in more ways than this file needs")]
mod written;

use graph::{Condition, Direction, Graph, Led, Limits, NodeId};
use ontology::{ClassId, Ontology, Stretch};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::Arc;
use written::{folded, minute};

fn line((kind, a, b, m): (u8, u8, u8, i64)) -> String {
    let (a, b) = (a % 5, b % 3);
    let what = match kind % 12 {
        0 | 1 => format!("Session s{a} -ran-> AppVersion v{b}"),
        2 => format!("Session s{a} -received-> Cell c{b}"),
        3 => format!("Session s{a} -on_device-> Device d{b}"),
        4 => format!("Device d{a} -of_model-> DeviceModel m{b}"),
        5 | 6 => format!("Interaction i{a} -in_session-> Session s{b}"),
        7 => format!("Interaction i{a} -of_view-> View w{b}"),
        8 => format!("Playback p{a} -in_session-> Session s{b}"),
        9 => format!("Session s{a}"),
        10 => format!("Interaction i{a}"),
        _ => format!("Interaction i{a} -called-> Operation o{b}"),
    };
    format!("{m}: {what}")
}

fn each_out(graph: &Graph, node: NodeId, mut found: impl FnMut(ontology::RelationId, NodeId)) {
    let _: ControlFlow<()> = graph.each_hop(node, Direction::Out, &[], |hop, _| {
        found(hop.relation, hop.node);
        ControlFlow::Continue(())
    });
}

/// All that a sampled node leads to, itself and through others.
fn names(graph: &Graph, node: NodeId) -> BTreeSet<NodeId> {
    let (mut all, mut through, mut rest) = (BTreeSet::new(), BTreeSet::new(), vec![node]);
    while let Some(at) = rest.pop() {
        each_out(graph, at, |_, to| {
            if !graph.is_sampled(to) {
                all.insert(to);
            } else if through.insert(to) {
                rest.push(to);
            }
        });
    }
    all
}

type Found = (BTreeMap<ClassId, usize>, Vec<Led>);

fn naive(graph: &Graph, during: Stretch, holds: &dyn Fn(&[NodeId]) -> bool) -> Found {
    let (from, to) = (during.from.minute(), during.to.minute());
    let (mut sampled, mut led) = (BTreeMap::new(), BTreeMap::new());
    for node in graph.nodes().filter(|n| graph.is_sampled(*n)) {
        let touches = |runs: &graph::Runs| runs.iter().any(|r| r.0 < to && r.1 >= from);
        let seen = &graph.node(node).unwrap().seen;
        let mut there = touches(seen);
        if seen.is_empty() {
            there = graph.hops(node).iter().any(|h| touches(&graph.edge(h.edge).unwrap().seen));
        }
        let names: Vec<NodeId> = names(graph, node).into_iter().collect();
        if there && holds(&names) {
            let class = graph.node(node).unwrap().class;
            *sampled.entry(class).or_insert(0) += 1;
            each_out(graph, node, |relation, to| {
                if !graph.is_sampled(to) {
                    *led.entry((class, relation, graph.order(to), to)).or_insert(0) += 1;
                }
            });
        }
    }
    (sampled, led.into_iter().map(|((c, r, _, to), n)| (c, r, to, n)).collect())
}

proptest! {
    #[test]
    fn what_counts_is_what_looking_at_each_finds(
        picks in proptest::collection::vec((0u8..12, 0u8..5, 0u8..3, 0i64..10), 1..40),
        from in 0i64..10, long in 1i64..10,
        terms in proptest::collection::vec((any::<u8>(), any::<u8>(), any::<bool>()), 0..4), all in any::<bool>(),
    ) {
        let o = Arc::new(Ontology::builtin());
        let written: Vec<String> = picks.into_iter().map(line).collect();
        let lines: Vec<&str> = written.iter().map(String::as_str).collect();
        let graph = folded(&o, &lines, Limits::default());
        let during = Stretch { from: minute(from), to: minute(from + long) };
        // Each term: one of two nodes is named, or none of them is.
        let nodes: Vec<NodeId> = graph.nodes().filter(|n| !graph.is_sampled(*n)).collect();
        let pick = |n: u8| nodes.get(usize::from(n) % nodes.len().max(1)).copied();
        let terms: Vec<(Vec<NodeId>, bool)> = terms
            .into_iter()
            .map(|(a, b, is)| (pick(a).into_iter().chain(pick(b)).collect(), is))
            .collect();
        let one = |(of, is): &(Vec<NodeId>, bool), named: &[NodeId]| named.iter().any(|n| of.contains(n)) == *is;
        let holds = |named: &[NodeId]| match all {
            true => terms.iter().all(|t| one(t, named)),
            false => terms.iter().any(|t| one(t, named)),
        };
        let mut about: Vec<NodeId> = terms.iter().flat_map(|t| t.0.clone()).collect();
        about.sort_unstable();
        about.dedup();
        let found = graph.subgraph(during, &Condition { holds: &holds, about: &about });
        prop_assert_eq!((found.sampled, found.led), naive(&graph, during, &holds));
    }
}
