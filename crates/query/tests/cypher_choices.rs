//! What is chosen by cost against the query as it is written: the same rows, in the same order where nothing was begun elsewhere. And
//! the shortest walks, found from both ends, against all walks.

#![expect(
    clippy::panic,
    reason = "clippy takes the helpers of an integration test for code outside of tests"
)]

#[path = "../../graph/tests/written/mod.rs"]
#[allow(dead_code, clippy::panic, clippy::unwrap_used, reason = "shared with tests that use other parts")]
mod written;

use graph::{Graph, Limits};
use ontology::{Ontology, Stretch};
use proptest::prelude::*;
use query::cypher::memory::Memory;
use query::cypher::{Answer, Call, Data, Map, NodeRef, Plans, Scope, Scoped, Value, ask, shown};
use std::sync::{Arc, LazyLock};

static ONTOLOGY: LazyLock<Arc<Ontology>> = LazyLock::new(|| Arc::new(Ontology::builtin()));

fn world(lines: &[String]) -> Graph {
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    written::folded(&ONTOLOGY, &lines, Limits::default())
}

fn asked(data: &dyn Data, query: &str, plans: Plans) -> Answer {
    ask(data, query, &Call { plans, ..Call::default() }).unwrap_or_else(|e| panic!("{query}: {e}"))
}

fn rows(data: &dyn Data, query: &str, plans: Plans) -> Vec<String> {
    let row = |r: &Vec<Value>| r.iter().map(|v| shown(data, v)).collect::<Vec<_>>().join(" ");
    asked(data, query, plans).rows.iter().map(row).collect()
}

/// Begun where they are written to begin: the order of rows is the same too.
const IN_ORDER: &[&str] = &[
    "MATCH (s:Service) RETURN s.tier, count(*)",
    "MATCH (s:Service) WHERE s.tier <> 'low' RETURN s.tier, count(s), min(s.name), max(s.name)",
    "MATCH (s:Service)-[:depends_on]->(t) RETURN t.tier, count(*), count(DISTINCT s)",
    "MATCH (s:Service)-[:depends_on]->(t) RETURN s.name, count(DISTINCT t), max(t.tier)",
    "MATCH (s:Service)-[:depends_on]->(t)-[:depends_on]->(u) RETURN u.tier, count(*)",
    "MATCH (s:Service)-[:depends_on]->(t) WITH t.tier AS tier, count(*) AS n WHERE n > 1 RETURN tier, n",
    "MATCH (s:Service)-[:depends_on]->(t) WITH DISTINCT t RETURN t.tier, count(*)",
    "MATCH (s:Service)-[:depends_on]->(t) WITH t LIMIT 3 RETURN t.tier, count(*)",
    "MATCH (s:Service)-[:depends_on]->(t) RETURN s.tier, collect(t.name)",
    "MATCH (s:Service) OPTIONAL MATCH (s)-[:depends_on]->(t {tier: 'low'}) RETURN s.name, count(t)",
    "MATCH (s:Service)-[:depends_on]->(t) RETURN t.name, s.name, s.tier ORDER BY s.tier LIMIT 3",
    "MATCH (s:Service)-[:depends_on]->(t) WITH s, t.name AS far, t ORDER BY far SKIP 1 LIMIT 4 RETURN s.name, far, t.tier",
    "MATCH (s:Service) RETURN s.name, COUNT { (s)-[:depends_on]->() }, EXISTS { (s)<-[:depends_on]-({tier: 'low'}) }",
    "MATCH (s:Service) WHERE COUNT { (s)--() } > 1 RETURN s.tier, count(*)",
    "MATCH (s:Service {name: 's0'})-[:depends_on]->(t) RETURN t.name, t.tier",
    "MATCH (s:Service {name: 's0'})-[:depends_on*1..3]->(t) RETURN t.name",
    "MATCH (s:Service {name: 's0'})--(t) RETURN t.name, count(*)",
    "UNWIND ['s0', 's1', 's1'] AS n MATCH (s:Service {name: n}) OPTIONAL MATCH (s)<-[:depends_on]-(t) RETURN n, count(t)",
    "UNWIND ['s0', 's1', 's2'] AS n MATCH (s:Service {name: n}) WHERE EXISTS { (s)-[:depends_on]->(:Service {name: 's1'}) } RETURN n",
];

/// Perhaps begun elsewhere: the same rows.
const IN_ANY_ORDER: &[&str] = &[
    "MATCH (s:Service)-[:depends_on]->(t)-[:depends_on]->(u) WHERE u.tier = 'low' RETURN t, count(u)",
    "MATCH (:Service {name: 's0'})-[:depends_on]->(t)<-[:depends_on]-(:Service {name: 's1'}) RETURN t.name",
    "MATCH (:Service {name: 's0'})-[d]->(t)-[e]->(:Service {name: 's1'}) RETURN t.name, d.id, e.id",
    "MATCH (a:Service {name: 's0'})-[d]-(b:Service {name: 's1'}) RETURN type(d), d.id",
    "MATCH (a)-[:depends_on]->(b)-[:depends_on]->(c)-[:depends_on]->(a) RETURN a.name, b.name, c.name",
    "MATCH (a:Service)-[:depends_on]->(b:Service {name: 's1'}), (a)-[:depends_on]->(c) WHERE c.name < b.name RETURN a.name, c.name",
    "MATCH (a:Service {name: 's0'})-[:depends_on*1..3]->(b:Service {name: 's1'}) RETURN a.name, b.name",
    "MATCH (t)<-[:owned_by]-(a:Service)-[:depends_on]->(b:Service {name: 's2'}) RETURN t.name, a.name",
    "UNWIND ['s0', 's1'] AS n MATCH (a:Service {name: 's2'})-[:depends_on]->(m)-[:depends_on]->(b:Service {name: n}) RETURN n, m.name",
    "MATCH (a:Service {name: 's0'}), (b:Service {name: 's1'}) MATCH p = allShortestPaths((a)-[:depends_on*..4]->(b)) RETURN [n IN nodes(p) | n.name]",
    "MATCH (a:Service {name: 's0'}), (b:Service {name: 's1'}) MATCH p = shortestPath((a)-[*..4]-(b)) RETURN length(p)",
];

fn lines() -> impl Strategy<Value = Vec<String>> {
    let tiers = ["low", "high", "critical"];
    // Services known by several keys, of which some telling has only the weaker one.
    let service = |n: usize, key: usize| match key {
        0 => format!("Service s{n}~k{}", n % 3),
        1 if n > 3 => format!("Service ~k{}", n % 3),
        _ => format!("Service s{n}"),
    };
    let node = (0usize..6, 0usize..3, 0usize..6).prop_map(move |(n, tier, key)| {
        let name = if key == 0 { service(n, 0) } else { service(n, 2) };
        format!("0: {name} tier={}", tiers[tier])
    });
    let edge = (0usize..6, 0usize..6, 0i64..8, 0usize..6, 0usize..6)
        .prop_map(move |(a, b, m, k, l)| format!("{m}: {} -depends_on-> {}", service(a, k), service(b, l)));
    let owner = (0usize..6).prop_map(|a| format!("1: Service s{a} -owned_by-> Team t{}", a % 2));
    let (nodes, edges, owners) = (
        proptest::collection::vec(node, 1..6),
        proptest::collection::vec(edge, 0..24),
        proptest::collection::vec(owner, 0..3),
    );
    (nodes, edges, owners).prop_map(|(a, b, c)| [a, b, c].concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn what_is_chosen_gives_what_is_written(lines in lines(), m in 0i64..9) {
        let graph = world(&lines);
        let stretch = Stretch { from: written::minute(m), to: written::minute(m + 2) };
        for scope in [Scope::At(written::minute(m)), Scope::Between(stretch)] {
            let data = Scoped::new(&graph, scope);
            for query in IN_ORDER {
                let [chosen, due] = [Plans::Chosen, Plans::Written].map(|p| rows(&data, query, p));
                prop_assert_eq!(chosen, due, "{}", query);
            }
            for query in IN_ANY_ORDER {
                let [mut chosen, mut due] = [Plans::Chosen, Plans::Written].map(|p| rows(&data, query, p));
                chosen.sort();
                due.sort();
                prop_assert_eq!(chosen, due, "{}", query);
            }
        }
    }

    #[test]
    fn the_order_of_facts_changes_no_answer(lines in lines()) {
        let mut back = lines.clone();
        back.reverse();
        let (graph, other) = (world(&lines), world(&back));
        let at = Scope::At(written::minute(9));
        for query in IN_ORDER.iter().chain(IN_ANY_ORDER) {
            let [one, two] = [&graph, &other].map(|g| rows(&Scoped::new(g, at), query, Plans::Chosen));
            prop_assert_eq!(one, two, "{}", query);
        }
    }

    #[test]
    fn shortest_walks_are_the_shortest_of_all(
        edges in proptest::collection::vec((0usize..6, any::<bool>(), 0usize..6), 0..14),
        most in 1u32..5,
    ) {
        let mut graph = Memory::default();
        let nodes: Vec<NodeRef> = (0..6).map(|_| graph.add_node(&["N"], &Map::new())).collect();
        for (from, t, to) in edges {
            graph.add_edge(nodes[from], if t { "T" } else { "U" }, nodes[to], &Map::new());
        }
        for (left, of, right) in [("-", ":T", "->"), ("<-", "", "-"), ("-", "", "-")] {
            let columns = "RETURN id(a), id(b), [e IN r | id(e)]";
            let walk = format!("(a){left}[r{of}*1..{most}]{right}(b)");
            let shortest = format!("(a){left}[r{of}*..{most}]{right}(b)");
            let naive = format!(
                "MATCH p = {walk} WHERE id(a) <> id(b) WITH a, b, min(length(p)) AS least MATCH {walk} WHERE size(r) = least {columns}"
            );
            let ends = "MATCH (a), (b) WHERE id(a) <> id(b)";
            let mut due = rows(&graph, &naive, Plans::Written);
            let mut all = rows(&graph, &format!("{ends} MATCH p = allShortestPaths({shortest}) {columns}"), Plans::Chosen);
            let one = rows(&graph, &format!("{ends} MATCH p = shortestPath({shortest}) {columns}"), Plans::Chosen);
            let first: Vec<String> = {
                let pair = |row: &String| row.split(" [").next().unwrap_or_default().to_owned();
                let mut seen = std::collections::BTreeSet::new();
                all.iter().filter(|r| seen.insert(pair(r))).cloned().collect()
            };
            prop_assert_eq!(one, first, "the shortest is the first of all shortest");
            due.sort();
            all.sort();
            prop_assert_eq!(all, due, "{}", walk);
        }
    }
}

#[test]
fn a_busy_node_is_put_in_order_as_far_as_it_is_asked_for() {
    let mut lines: Vec<String> =
        (0..700).map(|i| format!("{}: Service hub -depends_on-> Service s{i}", i % 7)).collect();
    lines.push("0: Service s3 -depends_on-> Service s600".to_owned());
    let graph = world(&lines);
    let data = Scoped::new(&graph, Scope::At(written::minute(8)));
    let hub = "MATCH (:Service {name: 'hub'})-[:depends_on]->(t) RETURN t.name";
    let all = rows(&data, hub, Plans::Chosen);
    assert_eq!(all.len(), 700);
    for most in [0, 1, 63, 64, 65, 511, 512, 513, 699, 700, 701] {
        assert_eq!(
            rows(&data, &format!("{hub} LIMIT {most}"), Plans::Chosen),
            all[..most.min(700)],
            "{most}"
        );
    }
    let common = "MATCH (:Service {name: 'hub'})-[:depends_on]->(t)<-[:depends_on]-(:Service {name: 's3'}) RETURN t.name";
    let answer = asked(&data, common, Plans::Chosen);
    assert_eq!(rows(&data, common, Plans::Chosen), ["'s600'"]);
    assert!(answer.hits < 200, "{} looked at where one end has one edge", answer.hits);
    let shortest = "MATCH (a:Service {name: 'hub'}), (b:Service {name: 's600'}) MATCH p = shortestPath((a)-[:depends_on*]->(b)) RETURN length(p)";
    let answer = asked(&data, shortest, Plans::Chosen);
    assert!(answer.hits < 200, "{} looked at where one end has two edges", answer.hits);
}
