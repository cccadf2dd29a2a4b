//! Rules on a played world: what is drawn there is what its telemetry says, and what rests on what reaches all the way down.

use graph::{Fold, Graph, Limits, NodeId};
use ingest::{Normaliser, Wire};
use ontology::{Ontology, Time};
use query::View;
use sim::{Plan, Scale, Scenario, World};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Twenty minutes of the demo world.
fn play() -> Graph {
    let scale = Scale { minutes: 20, onset_minute: 15, ..Scale::SCORE };
    let plan = Plan { scenario: Scenario::VersionCell, seed: 1, start_ns: 1_795_500_000_000_000_000, scale };
    let ontology = Arc::new(Ontology::builtin());
    let options = ingest::Options { hash_key: [7; 32], limits: ingest::Limits::default() };
    let mut normaliser = Normaliser::new(Arc::clone(&ontology), options);
    let mut fold = Fold::new(ontology, Vec::new(), Limits::default());
    for payload in World::new(plan) {
        let wire = match payload.wire {
            sim::Wire::Traces => Wire::TracesProto,
            sim::Wire::Metrics => Wire::MetricsProto,
            sim::Wire::Logs => Wire::LogsProto,
            sim::Wire::Feed(name) => Wire::feed(name),
        };
        let at = Time::EPOCH.plus_nanos(payload.at_ns);
        fold.fold(&normaliser.normalise(&wire, &payload.body, at).unwrap(), at);
    }
    fold.graph()
}

type Pairs = BTreeSet<(NodeId, NodeId)>;

fn held(graph: &Graph, relation: &str, at: Time) -> Pairs {
    let relation = graph.ontology().relation(relation).unwrap();
    graph.edges_of(relation).filter(|(id, ..)| graph.holds(*id, at)).map(|(_, f, t)| (f, t)).collect()
}

#[test]
fn a_played_world_is_concluded_as_it_was_played() {
    let graph = play();
    let view = View::latest(&graph);
    let at = view.as_of.plus_secs(-60);

    // Services depend on exactly what their operations call, use and consume.
    let of: Vec<(NodeId, NodeId)> = held(&graph, "operation_of", at).into_iter().collect();
    let service = |o: NodeId| of.iter().filter(move |(x, _)| *x == o).map(|(_, s)| *s);
    let mut expected = Pairs::new();
    for (a, b) in held(&graph, "calls", at) {
        expected.extend(service(a).flat_map(|s| service(b).map(move |t| (s, t))).filter(|(s, t)| s != t));
    }
    for (a, b) in held(&graph, "uses", at).into_iter().chain(held(&graph, "consumes", at)) {
        expected.extend(service(a).map(|s| (s, b)));
    }
    assert!(expected.len() > 20, "{}", expected.len());
    assert_eq!(held(&graph, "depends_on", at), expected);

    // The view is backed by what its interactions called.
    let o = graph.ontology();
    let lolomo = graph.named(o.class("View").unwrap(), "tvui/lolomo").unwrap();
    let (of_view, called) = (o.relation("of_view").unwrap(), o.relation("called").unwrap());
    let mut called_there = BTreeSet::new();
    for i in graph.sampled_into(lolomo, of_view, usize::MAX).0 {
        let calls = graph.hops_at(i, at).into_iter().filter(|h| h.relation == called);
        called_there.extend(calls.map(|h| h.node));
    }
    let backed: BTreeSet<NodeId> =
        held(&graph, "backed_by", at).into_iter().filter(|(v, _)| *v == lolomo).map(|(_, o)| o).collect();
    assert!(!backed.is_empty());
    assert_eq!(backed, called_there);

    // It rests on services that no interaction calls itself, strongest first.
    let entry: BTreeSet<NodeId> = backed.iter().flat_map(|o| service(*o)).collect();
    let rests = view.follows(view.derived("rests_on").unwrap(), &[Some(lolomo), None], at, view.reach());
    assert!(rests.found.is_sorted_by(|a, b| a.weight >= b.weight));
    assert!(entry.contains(&rests.found[0].ends[1]));
    let deepest = rests.found.last().unwrap();
    assert!(deepest.premises.len() >= 5 && !entry.contains(&deepest.ends[1]), "{deepest:?}");
    assert!(rests.found.len() > 3 * entry.len());
}
