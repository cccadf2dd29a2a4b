//! The best ways of trouble between two things, beside trying every way.

#[path = "../../graph/tests/written/mod.rs"]
#[expect(dead_code, reason = "worlds are written in more ways than this file needs")]
mod written;

use graph::{Direction, Graph, Limits, NodeId};
use ontology::model::{AspectId, Travel};
use ontology::{Ontology, RelationId, Time};
use proptest::prelude::*;
use query::View;
use query::paths::{CausalPath, CausalPaths, Stopped, Wanted};
use query::run::{ask, ask_of};
use query::walk::Bounds;
use std::collections::BTreeMap;
use std::sync::Arc;
use written::{folded, lines, minute};

fn line((relation, a, b, m): (u8, u8, u8, i64)) -> String {
    let (a, b) = (a % 4, b % 4);
    let what = match relation % 14 {
        0 | 1 => format!("Operation o{a} -calls-> Operation o{b}"),
        2 => format!("Operation o{a} -operation_of-> Service s{b}"),
        3 => format!("Operation o{a} -publishes-> Topic t{b}"),
        4 => format!("Operation o{a} -consumes-> Topic t{b}"),
        5 => format!("Operation o{a} -uses-> Datastore t{b}"),
        6 => format!("Instance i{a} -instance_of-> Service s{b}"),
        7 => format!("Instance i{a} -runs_on-> Host h{b}"),
        8 => format!("Service s{a} -consults-> Flag f{b}"),
        9 => format!("Service s{a} -depends_on-> Service s{b}"),
        10 => format!("View v{a} -backed_by-> Operation o{b}"),
        11 => format!("Instance i{a} -runs_version-> ServiceVersion n{b}"),
        12 => format!("ServiceVersion n{a} -version_of-> Service s{b}"),
        _ => format!("Host h{a} -in_zone-> Zone z{b}"),
    };
    format!("{m}: {what}")
}

/// A step as it is told apart from others.
type Step = (RelationId, Direction, NodeId);

/// Every loopless way, by following every edge that lets trouble through, with its weight: the most of what its kinds of trouble can be.
struct Naive<'a> {
    view: View<'a>,
    at: Time,
    bounds: Bounds,
    begins: NodeId,
    found: BTreeMap<Vec<Step>, f64>,
}

impl Naive<'_> {
    fn go(&mut self, felt: NodeId, node: NodeId, chances: &[f64], way: &mut Vec<Step>) {
        let best = chances.iter().copied().fold(0.0, f64::max);
        if best < self.bounds.weight || best == 0.0 {
            return;
        }
        if node == self.begins {
            self.found.insert(way.clone(), best);
            return;
        }
        if way.len() == self.bounds.hops {
            return;
        }
        let o = self.view.ontology();
        for hop in self.view.graph.hops_at(node, self.at) {
            if hop.node == felt || way.iter().any(|s| s.2 == hop.node) {
                continue;
            }
            let mut next = vec![0.0f64; chances.len()];
            for fault in &o.relations[hop.relation.index()].faults {
                if (fault.travel == Travel::ToSource) != (hop.direction == Direction::Out) {
                    continue;
                }
                for AspectId(a) in &fault.aspects {
                    let a = usize::from(*a);
                    let becomes = o.aspects[a].becomes.iter().map(|(b, w)| (usize::from(b.0), *w));
                    for (b, w) in becomes.chain([(a, 1.0)]) {
                        let chance = chances[b] * fault.prior * w;
                        // A way is given up as soon as it is too weak, whatever else it could have been.
                        if chance >= self.bounds.weight {
                            next[a] = next[a].max(chance);
                        }
                    }
                }
            }
            way.push((hop.relation, hop.direction, hop.node));
            self.go(felt, hop.node, &next, way);
            way.pop();
        }
    }
}

fn steps(path: &CausalPath) -> Vec<Step> {
    path.path.iter().map(|s| (s.hop.relation, s.hop.direction, s.hop.node)).collect()
}

fn ways(view: &View<'_>, ends: (NodeId, NodeId), best: usize, bounds: Bounds) -> CausalPaths {
    let aspects = (0..).map(AspectId).take(view.ontology().aspects.len()).collect();
    let wanted = Wanted { from: ends.0, to: ends.1, aspects, at: view.as_of, best, bounds };
    view.causal_paths(&wanted, &|| false)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn the_best_ways_are_those_that_trying_all_finds(
        picks in proptest::collection::vec((0u8..14, 0u8..4, 0u8..4, 0i64..20), 1..40),
        m in 10i64..24, hops in 1usize..7, best in 1usize..12, cut in 0usize..3,
        only in proptest::option::of(0u16..8),
    ) {
        let o = Arc::new(Ontology::builtin());
        let written: Vec<String> = picks.into_iter().map(line).collect();
        let all: Vec<&str> = written.iter().map(String::as_str).collect();
        let graph = folded(&o, &all, Limits::default());
        let view = View { graph: &graph, as_of: minute(m) };
        // No product of the built-in chances is just at one of these.
        let bounds = Bounds { hops, nodes: 1_000_000, weight: [1e-9, 0.020_3, 0.111_1][cut] };
        let nodes: Vec<NodeId> = graph.nodes().collect();
        let aspects: Vec<AspectId> =
            (0..).map(AspectId).take(o.aspects.len()).filter(|a| only.is_none_or(|o| o == a.0)).collect();
        for felt in &nodes {
            for begins in nodes.iter().filter(|n| *n != felt) {
                let mut naive = Naive { view, at: minute(m), bounds, begins: *begins, found: BTreeMap::new() };
                let mut chances = vec![0.0; o.aspects.len()];
                aspects.iter().for_each(|a| chances[usize::from(a.0)] = 1.0);
                naive.go(*felt, *felt, &chances, &mut Vec::new());
                let mut expected: Vec<f64> = naive.found.values().copied().collect();
                expected.sort_by(|a, b| b.total_cmp(a));
                expected.truncate(best);
                let wanted =
                    Wanted { from: *begins, to: *felt, aspects: aspects.clone(), at: minute(m), best, bounds };
                let found = view.causal_paths(&wanted, &|| false);
                prop_assert_eq!(found.stopped, None);
                let weights: Vec<f64> = found.found.iter().map(|p| p.weight).collect();
                prop_assert_eq!(weights.len(), expected.len(), "{:?} {:?}", weights, expected);
                for (ours, theirs) in weights.iter().zip(&expected) {
                    prop_assert!((ours - theirs).abs() < 1e-9 * theirs, "{:?} {:?}", weights, expected);
                }
                let mut told: Vec<Vec<Step>> = found.found.iter().map(steps).collect();
                for (way, path) in told.iter().zip(&found.found) {
                    // Each is one of those that there are, so loopless and by fault directions, and weighs what it should.
                    let weight = naive.found.get(way);
                    prop_assert!(weight.is_some_and(|w| (w - path.weight).abs() < 1e-9 * w), "{:?}", way);
                    prop_assert_eq!(path.kinds.len(), path.path.len() + 1);
                    prop_assert!(aspects.contains(path.kinds.last().unwrap()));
                }
                told.sort();
                told.dedup();
                prop_assert_eq!(told.len(), weights.len(), "no way twice");
                // What origins tells is the best way, or one that meets a thing twice and so is at least as likely.
                let origins = aspects.iter().flat_map(|a| view.origins(*felt, *a, minute(m), bounds));
                let origin = origins.filter(|o| o.node == *begins).max_by(|a, b| a.weight.total_cmp(&b.weight));
                prop_assert!(origin.is_some() || weights.is_empty());
                if let Some(origin) = origin {
                    let mut met: Vec<NodeId> = origin.path.iter().map(|s| s.hop.node).chain([*felt]).collect();
                    met.sort_unstable();
                    met.dedup();
                    if met.len() == origin.path.len() + 1 {
                        prop_assert!((weights[0] - origin.weight).abs() < 1e-9 * origin.weight);
                    } else if let Some(first) = weights.first() {
                        prop_assert!(*first < origin.weight * (1.0 + 1e-9));
                    }
                }
            }
        }
    }

}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn facts_in_any_order_give_the_same_ways_and_few_are_the_first_of_many(
        picks in proptest::collection::vec((0u8..14, 0u8..4, 0u8..4, 0i64..20), 1..40),
        swap in 0usize..40, best in 1usize..6,
    ) {
        let o = Arc::new(Ontology::builtin());
        let written: Vec<String> = picks.into_iter().map(line).collect();
        let all: Vec<&str> = written.iter().map(String::as_str).collect();
        let mut turned: Vec<&str> = all.iter().rev().copied().collect();
        let middle = swap % turned.len();
        turned.rotate_left(middle);
        let told = |lines: &[&str], best: usize| {
            let graph = folded(&o, lines, Limits::default());
            let view = View { graph: &graph, as_of: minute(20) };
            let named = |n: NodeId| view.label(n);
            let mut told = BTreeMap::new();
            for a in graph.nodes() {
                for b in graph.nodes() {
                    let ways = ways(&view, (a, b), best, Bounds { weight: 0.01, ..Bounds::default() }).found;
                    let text = |p: &CausalPath| {
                        let steps = p.path.iter().map(|s| format!("{:?} {:?} {}", s.hop.relation, s.hop.direction, named(s.hop.node)));
                        (p.weight.to_bits(), p.kinds.clone(), steps.collect::<Vec<_>>())
                    };
                    told.insert((named(a), named(b)), ways.iter().map(text).collect::<Vec<_>>());
                }
            }
            told
        };
        let many = told(&all, 2 * best);
        prop_assert_eq!(&many, &told(&turned, 2 * best));
        let few = told(&all, best);
        for (ends, mut ways) in many {
            ways.truncate(best);
            prop_assert_eq!(&ways, &few[&ends]);
        }
    }
}

const STACK: &str = "
    0: Operation home -operation_of-> Service gateway
    0: Operation get -operation_of-> Service ratings
    0: Operation read -operation_of-> Service ratings
    0: Operation home -calls-> Operation get
    0: Operation home -calls-> Operation read
    0: Instance i -instance_of-> Service ratings
    0: Instance j -instance_of-> Service ratings
    0: Instance i -runs_on-> Host h
    0: Instance j -runs_on-> Host h
    8: Instance j -runs_on-> Host g
";

fn world() -> Graph {
    folded(&Arc::new(Ontology::builtin()), &lines(STACK), Limits::default())
}

#[test]
fn the_ways_from_a_host_to_a_caller_are_told_best_first_with_what_trouble_becomes() {
    let graph = world();
    let view = View { graph: &graph, as_of: minute(5) };
    let question = r#"paths Host "h" to Operation "gateway/home" of latency"#;
    let out = ask(&view, question).unwrap();
    assert_eq!(out.columns, ["weight", "as", "edges", "way"]);
    let told = |n: usize| out.rows[n][3].as_str().unwrap().to_owned();
    assert_eq!(out.rows.len(), 4, "{:?}", out.rows);
    assert!(told(0).starts_with("Host h <-runs_on- Instance "), "{}", told(0));
    assert!(
        told(0).ends_with(
            "-> Service ratings <-operation_of- Operation ratings/get <-calls- Operation gateway/home"
        ),
        "{}",
        told(0)
    );
    assert_eq!(out.rows[0][1], "saturation → latency");
    assert!(
        out.note.starts_with("not followed: weights below 0.02, more than 8 edges in a row"),
        "{}",
        out.note
    );
    let two = ask(&view, &format!("{question} best 2")).unwrap();
    assert_eq!(two.rows, out.rows[..2]);
    assert!(two.note.ends_with("these are the best 2, there may be more"), "{}", two.note);
    let short = ask(&view, &format!("{question} hops 3")).unwrap();
    assert!(short.rows.is_empty() && short.note.contains("more than 3 edges"), "{short:?}");
    // Since one of the instances moved.
    let later = View { graph: &graph, as_of: minute(9) };
    assert_eq!(ask(&later, question).unwrap().rows.len(), 2);
    assert_eq!(ask(&later, &format!("{question} at {}", minute(5))).unwrap().rows, out.rows);
}

#[test]
fn ends_in_the_other_order_are_told_of() {
    let graph = world();
    let view = View { graph: &graph, as_of: minute(5) };
    let out = ask(&view, r#"paths Operation "gateway/home" to Host "h""#).unwrap();
    assert!(out.rows.is_empty() && out.note.contains("the other way round"), "{out:?}");
    let same = ask(&view, r#"paths Host "h" to Host "h""#).unwrap();
    assert!(same.rows.is_empty() && !same.note.contains("round"), "{same:?}");
    let error = ask(&view, r#"paths Host "h" to Operation "gateway/home" of latncy"#).unwrap_err();
    assert_eq!(error.to_string(), "there is no aspect `latncy`; nearest: latency");
}

/// Services in layers, each calling all of the next: as many ways as there are choices.
fn layers(wide: usize, deep: usize) -> Graph {
    let mut calls = Vec::new();
    for layer in 0..deep {
        for a in 0..wide {
            calls.extend(
                (0..wide)
                    .map(|b| format!("0: Service s{layer}x{a} -depends_on-> Service s{}x{b}", layer + 1)),
            );
        }
    }
    let calls: Vec<&str> = calls.iter().map(String::as_str).collect();
    folded(&Arc::new(Ontology::builtin()), &calls, Limits::default())
}

#[test]
fn a_bound_that_is_hit_is_told_and_what_was_found_by_then_is_the_best() {
    let graph = layers(6, 6);
    let view = View { graph: &graph, as_of: minute(1) };
    let node = |name: &str| graph.named(view.ontology().class("Service").unwrap(), name).unwrap();
    let ends = (node("s6x0"), node("s0x0"));
    let all = ways(&view, ends, 400, Bounds { nodes: 10_000_000, ..Bounds::default() });
    assert_eq!((all.found.len(), all.stopped), (400, None));
    let mut before = 0;
    for nodes in [1, 200, 1_000, 5_000, 20_000] {
        let some = ways(&view, ends, 400, Bounds { nodes, ..Bounds::default() });
        assert_eq!(some.stopped, Some(Stopped::Work), "{nodes}");
        let told = |p: &CausalPaths| p.found.iter().map(steps).collect::<Vec<_>>();
        assert_eq!(told(&some), told(&all)[..some.found.len()], "{nodes}");
        assert!(some.found.len() >= before && some.found.len() < 400, "{nodes}");
        before = some.found.len();
    }
    assert!(before > 10, "{before}");
    let question = r#"paths Service "s6x0" to Service "s0x0" best 1000"#;
    let asked = std::cell::Cell::new(0);
    let impatient = || {
        asked.set(asked.get() + 1);
        asked.get() > 20
    };
    let out = ask_of(&view, &query::NoEpochs, &impatient, question).unwrap();
    assert!(out.note.contains("stopped because it took too long"), "{}", out.note);
    assert!(!out.rows.is_empty() && out.rows.len() < 1_000, "{}", out.rows.len());
}
