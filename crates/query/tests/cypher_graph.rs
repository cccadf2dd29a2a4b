//! The temporal graph in openCypher: small worlds in text, rows in text; and the same data in memory gives the same answers.

#[path = "../../graph/tests/written/mod.rs"]
#[allow(dead_code, reason = "shared with tests that use other parts")]
mod written;

use graph::{Fold, Graph, Limits};
use ontology::fact::{Fact, ItemId};
use ontology::{Ontology, Stretch};
use query::cypher::memory::Memory;
use query::cypher::{Call, Data, Kind, NodeRef, Scope, Scoped, Way, ask, shown};
use std::collections::BTreeMap;
use std::sync::Arc;
use written::{fact, folded, lines, minute};

fn world(text: &str) -> Graph {
    folded(&Arc::new(Ontology::builtin()), &lines(text), Limits::default())
}

const SHOP: &str = "
    0: Service gateway
    0: Service ratings
    0: Service cart
    0: Operation home -operation_of-> Service gateway
    0: Operation get -operation_of-> Service ratings
    0: Operation put -operation_of-> Service cart
    0: Operation home -calls-> Operation get
    3: Operation home -calls-> Operation put
    0: Instance i -instance_of-> Service ratings
    0: Instance i -runs_on-> Host a
    5: Instance i -runs_on-> Host b
    9: Service late
";

fn rows(data: &dyn Data, query: &str) -> Vec<String> {
    let answer = ask(data, query, &Call::default()).unwrap_or_else(|e| panic!("{query}: {e}"));
    let row = |r: &Vec<_>| r.iter().map(|v| shown(data, v)).collect::<Vec<_>>().join(" ");
    answer.rows.iter().map(row).collect()
}

fn at(graph: &Graph, m: i64, query: &str) -> Vec<String> {
    rows(&Scoped::new(graph, Scope::At(minute(m))), query)
}

fn between(graph: &Graph, from: i64, to: i64, query: &str) -> Vec<String> {
    rows(&Scoped::new(graph, Scope::Between(Stretch { from: minute(from), to: minute(to) })), query)
}

#[test]
fn a_moment_has_what_held_then() {
    let graph = world(SHOP);
    let host = "MATCH (:Instance)-[:runs_on]->(h:Host) RETURN h.name";
    assert_eq!(at(&graph, 2, host), ["'a'"]);
    assert_eq!(at(&graph, 6, host), ["'b'"]);
    assert_eq!(between(&graph, 0, 8, &format!("{host} ORDER BY h.name")), ["'a'", "'b'"]);
    let services = "MATCH (s:Service) RETURN count(*)";
    assert_eq!(
        (at(&graph, 2, services), at(&graph, 9, services)),
        (vec!["3".to_owned()], vec!["4".to_owned()])
    );
    let calls = "MATCH (:Operation)-[c:calls]->(o) RETURN o.name ORDER BY o.name";
    assert_eq!(at(&graph, 1, calls), ["'ratings/get'"]);
    assert_eq!(at(&graph, 4, calls), ["'cart/put'", "'ratings/get'"]);
}

#[test]
fn labels_are_the_class_and_what_is_more_general() {
    let graph = world(SHOP);
    let found = at(&graph, 1, "MATCH (h:Host) RETURN labels(h)[0] = 'Host' AND h:Component AS x LIMIT 1");
    assert_eq!(found, ["true"]);
    assert!(
        at(&graph, 1, "MATCH (c:Component) RETURN DISTINCT labels(c)[0] AS l")
            .contains(&"'Service'".to_owned())
    );
}

#[test]
fn types_may_be_written_in_capitals_and_mean_their_special_cases() {
    let graph = world("0: Rollout r -rolls_out-> AppVersion v");
    for of in ["rolls_out", "ROLLS_OUT", "changed", "CHANGED"] {
        let found =
            at(&graph, 1, &format!("MATCH (:Change)-[r:{of}]->(v:AppVersion) RETURN type(r), v.name"));
        assert_eq!(found, ["'rolls_out' 'v'"]);
    }
}

#[test]
fn conclusions_are_edges_and_say_so() {
    let graph = world(SHOP);
    let found = at(&graph, 1, "MATCH (a:Service)-[d:depends_on]->(b) RETURN a.name, b.name, d.sources");
    assert_eq!(found, ["'gateway' 'ratings' ['concluded']"]);
}

#[test]
fn edges_from_sampled_nodes_are_met_from_both_ends() {
    let graph = world("0: Interaction x\n0: View lolomo\n0: Interaction x -of_view-> View lolomo");
    for query in [
        "MATCH (i:Interaction)-[:of_view]->(v:View) RETURN v.name",
        "MATCH (v:View {name: 'lolomo'})<-[:of_view]-(i:Interaction) RETURN v.name",
        "MATCH (v:View {name: 'lolomo'})--(i) RETURN v.name",
    ] {
        assert_eq!(at(&graph, 5, query), ["'lolomo'"], "{query}");
        assert!(at(&graph, 30, query).is_empty(), "{query}");
    }
}

#[test]
fn names_and_ids_are_looked_up() {
    let graph = world(SHOP);
    let plan = at(
        &graph,
        1,
        "EXPLAIN MATCH (h:Host)<-[:runs_on]-(i)-[:instance_of]->(s:Service {name: 'ratings'}) RETURN h",
    );
    assert!(plan[0].starts_with("'NodeIndexSeek' 's:Service'"), "{plan:#?}");
    let id = at(&graph, 1, "MATCH (s:Service {name: 'ratings'}) RETURN s.id").remove(0);
    assert_eq!(at(&graph, 1, &format!("MATCH (s) WHERE s.id = {id} RETURN s.name")), ["'ratings'"]);
    let profile = at(&graph, 1, &format!("PROFILE MATCH (s) WHERE s.id = {id} RETURN s.name"));
    assert!(profile[0].starts_with("'NodeIndexSeek'") && profile[0].ends_with("1 1"), "{profile:#?}");
}

#[test]
fn unknown_words_are_errors_with_the_nearest_known() {
    let graph = world(SHOP);
    let data = Scoped::new(&graph, Scope::At(minute(1)));
    for (query, text) in [
        (
            "MATCH (s:Servce) RETURN s",
            "1:10: `Servce`: there is no label of this name; did you mean `Service`",
        ),
        (
            "MATCH ()-[c:cals]->() RETURN c",
            "1:13: `cals`: there is no relationship type of this name; did you mean `calls`",
        ),
        (
            "MATCH (s:Service) RETURN s.nme",
            "1:28: `nme`: there is no property of this name; did you mean `environment` or `name`",
        ),
    ] {
        let error = ask(&data, query, &Call::default()).unwrap_err();
        assert_eq!(error.kind, Kind::UnknownName);
        assert!(error.to_string().starts_with(text), "{error}");
    }
}

/// The same nodes and edges without time and schema.
fn copied(data: &dyn Data) -> Memory {
    let mut memory = Memory::default();
    let mut places: BTreeMap<NodeRef, NodeRef> = BTreeMap::new();
    for node in data.nodes(None) {
        places.insert(node, memory.add_node(&data.labels(node), &data.node_properties(node)));
    }
    for node in data.nodes(None) {
        let mut hops = Vec::new();
        data.expand(node, Way::Out, &[], &mut hops);
        for hop in hops {
            let of = data.type_name(data.edge_type(hop.edge));
            memory.add_edge(places[&node], of, places[&hop.node], &data.edge_properties(hop.edge));
        }
    }
    memory
}

#[test]
fn the_same_data_in_memory_gives_the_same_answers() {
    let graph = world(SHOP);
    for scope in [Scope::At(minute(4)), Scope::Between(Stretch { from: minute(0), to: minute(9) })] {
        let data = Scoped::new(&graph, scope);
        let memory = copied(&data);
        for query in [
            "MATCH (n) RETURN labels(n), n.name, n.first_seen, n.last_seen",
            "MATCH (n) RETURN properties(n)",
            "MATCH (a)-[r]->(b) RETURN a.name, type(r), properties(r), b.name",
            "MATCH (a)-[r]-(b) RETURN a.name, type(r), b.name",
            "MATCH (s:Service {name: 'ratings'})<-[:operation_of]-(o)<-[:calls]-(p) RETURN p.name",
            "MATCH p = (a:Service)-[*1..4]-(h:Host) RETURN [n IN nodes(p) | n.name]",
            "MATCH (a:Service {name: 'gateway'}), (h:Host) MATCH p = shortestPath((a)-[*]-(h)) RETURN length(p), h.name",
            "MATCH (s:Service) OPTIONAL MATCH (s)<-[:instance_of]-(i)-[:runs_on]->(h) RETURN s.name, collect(h.name)",
            "MATCH (s:Service) WHERE NOT (s)<-[:instance_of]-() RETURN s.name ORDER BY s.name DESC LIMIT 2",
            "MATCH (a:Operation)-[c:calls]->(b) RETURN count(c), sum(c.count), min(c.first_seen)",
        ] {
            let mut found = [rows(&data, query), rows(&memory, query)];
            found.iter_mut().for_each(|rows| rows.sort());
            assert!(!found[0].is_empty(), "{query}");
            assert_eq!(found[0], found[1], "{query}");
        }
    }
}

/// A relation that is no traffic by itself has some where one record tells of a call along it.
#[test]
fn calls_that_a_mesh_tells_of_are_traffic_of_their_edge() {
    let o = Arc::new(Ontology::builtin());
    let mut fold = Fold::new(Arc::clone(&o), Vec::new(), Limits::default());
    let mut told = fact(&o, "0: Service web -depends_on-> Service cart");
    for fact in &mut told.facts {
        if let Fact::Related { relation, from, to, at, .. } = *fact {
            let (cohort, id): (Arc<[_]>, _) = (Arc::new([]), ItemId(1));
            *fact = Fact::Call { id, relation, from, to, cohort, at, lasted_ns: 5_000_000, failed: true };
        }
    }
    fold.fold(&told, minute(10_000));
    fold.fold(&fact(&o, "1: Service web -depends_on-> Service user"), minute(10_000));
    let query = "MATCH ()-[d:depends_on]->(s) RETURN s.name, d.count, d.errors, d.mean_ms ORDER BY s.name";
    assert_eq!(between(&fold.graph(), 0, 9, query), ["'cart' 1 1 5.0", "'user' null null null"]);
}
