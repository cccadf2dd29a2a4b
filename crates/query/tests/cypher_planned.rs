//! Patterns matched in the planner's order against patterns matched by trying everything.

use proptest::prelude::*;
use query::cypher::memory::Memory;
use query::cypher::{Call, Map, NodeRef, Value, ask};

#[derive(Clone, Debug)]
struct World {
    /// Label and number of each node.
    nodes: Vec<(bool, i64)>,
    /// From, type, to.
    edges: Vec<(usize, bool, usize)>,
}

/// What a pattern asks of a node.
#[derive(Clone, Debug)]
struct Node {
    label: Option<bool>,
    number: Option<i64>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Arrow {
    On,
    Back,
    Either,
}

#[derive(Clone, Debug)]
struct Pattern {
    nodes: Vec<Node>,
    /// Between which nodes, of which type, which way.
    edges: Vec<(usize, usize, Option<bool>, Arrow)>,
    /// Nodes whose numbers must rise.
    rising: Option<(usize, usize)>,
}

fn label(a: bool) -> &'static str {
    if a { "A" } else { "B" }
}

fn of(t: bool) -> &'static str {
    if t { "T" } else { "U" }
}

fn memory(world: &World) -> Memory {
    let mut graph = Memory::default();
    for (l, n) in &world.nodes {
        graph.add_node(&[label(*l)], &Map::from([("n".into(), Value::Int(*n))]));
    }
    for (from, t, to) in &world.edges {
        let node = |i: usize| NodeRef(u32::try_from(i).unwrap());
        graph.add_edge(node(*from), of(*t), node(*to), &Map::new());
    }
    graph
}

fn query(p: &Pattern) -> String {
    let node = |i: usize| {
        let n = &p.nodes[i];
        let l = n.label.map_or(String::new(), |l| format!(":{}", label(l)));
        let number = n.number.map_or(String::new(), |n| format!(" {{n: {n}}}"));
        format!("(n{i}{l}{number})")
    };
    let mut parts: Vec<String> = Vec::new();
    for (i, (a, b, t, arrow)) in p.edges.iter().enumerate() {
        let t = t.map_or(String::new(), |t| format!(":{}", of(t)));
        let (left, right) = match arrow {
            Arrow::On => ("-", "->"),
            Arrow::Back => ("<-", "-"),
            Arrow::Either => ("-", "-"),
        };
        parts.push(format!("{}{left}[e{i}{t}]{right}{}", node(*a), node(*b)));
    }
    parts.extend((0..p.nodes.len()).map(node));
    let rising = p.rising.map_or(String::new(), |(a, b)| format!(" WHERE n{a}.n < n{b}.n"));
    let nodes = (0..p.nodes.len()).map(|i| format!("id(n{i})"));
    let columns: Vec<String> = nodes.chain((0..p.edges.len()).map(|i| format!("id(e{i})"))).collect();
    format!("MATCH {}{rising} RETURN {}", parts.join(", "), columns.join(", "))
}

/// Every way to choose nodes and edges, tried.
fn naive(world: &World, p: &Pattern) -> Vec<Vec<i64>> {
    let fits = |i: usize, at: usize| {
        let (want, has) = (&p.nodes[i], world.nodes[at]);
        want.label.is_none_or(|l| l == has.0) && want.number.is_none_or(|n| n == has.1)
    };
    let mut rows: Vec<Vec<usize>> = vec![Vec::new()];
    for i in 0..p.nodes.len() {
        let longer = |r: &Vec<usize>| {
            let r = r.clone();
            (0..world.nodes.len())
                .filter(move |at| fits(i, *at))
                .map(move |at| [r.clone(), vec![at]].concat())
        };
        rows = rows.iter().flat_map(longer).collect();
    }
    rows.retain(|r| p.rising.is_none_or(|(a, b)| world.nodes[r[a]].1 < world.nodes[r[b]].1));
    let count = p.nodes.len();
    for (a, b, t, arrow) in &p.edges {
        let mut longer = Vec::new();
        for r in &rows {
            for (id, (from, has, to)) in world.edges.iter().enumerate() {
                let on = (*from, *to) == (r[*a], r[*b]);
                let back = (*from, *to) == (r[*b], r[*a]);
                let meets = match arrow {
                    Arrow::On => on,
                    Arrow::Back => back,
                    Arrow::Either => on || back,
                };
                if meets && t.is_none_or(|t| t == *has) && !r[count..].contains(&id) {
                    longer.push([r.clone(), vec![id]].concat());
                }
            }
        }
        rows = longer;
    }
    rows.into_iter().map(|r| r.into_iter().map(|x| i64::try_from(x).unwrap()).collect()).collect()
}

fn world() -> impl Strategy<Value = World> {
    (1usize..6).prop_flat_map(|n| {
        let nodes = proptest::collection::vec((any::<bool>(), 0i64..3), n);
        let edges = proptest::collection::vec((0..n, any::<bool>(), 0..n), 0..9);
        (nodes, edges).prop_map(|(nodes, edges)| World { nodes, edges })
    })
}

fn pattern() -> impl Strategy<Value = Pattern> {
    let node = (proptest::option::weighted(0.4, any::<bool>()), proptest::option::weighted(0.3, 0i64..3));
    (1usize..4).prop_flat_map(move |n| {
        let nodes =
            proptest::collection::vec(node.clone().prop_map(|(label, number)| Node { label, number }), n);
        let arrow = prop_oneof![Just(Arrow::On), Just(Arrow::Back), Just(Arrow::Either)];
        let edge = (0..n, 0..n, proptest::option::of(any::<bool>()), arrow);
        let rising = proptest::option::of((0..n, 0..n));
        (nodes, proptest::collection::vec(edge, 0..4), rising).prop_map(|(nodes, edges, rising)| Pattern {
            nodes,
            edges,
            rising,
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn the_order_of_matching_changes_no_answer(world in world(), pattern in pattern()) {
        let query = query(&pattern);
        let answer = ask(&memory(&world), &query, &Call::default()).unwrap();
        prop_assert_eq!(answer.truncated, None);
        let number = |v: &Value| if let Value::Int(i) = v { *i } else { -1 };
        let mut found: Vec<Vec<i64>> = answer.rows.iter().map(|r| r.iter().map(number).collect()).collect();
        let mut due = naive(&world, &pattern);
        found.sort();
        due.sort();
        prop_assert_eq!(found, due, "{}", query);
    }

    #[test]
    fn walks_are_the_same_from_either_end(world in world(), least in 0u32..3, more in 0u32..3) {
        let graph = memory(&world);
        let ask = |q: String| {
            let answer = ask(&graph, &q, &Call::default()).unwrap();
            let mut rows: Vec<String> = answer.rows.iter().map(|r| format!("{r:?}")).collect();
            rows.sort();
            rows
        };
        let most = least + more;
        let columns = "RETURN id(a), id(b), [e IN r | id(e)]";
        let on = ask(format!("MATCH (a)-[r*{least}..{most}]->(b:A) {columns}"));
        let from_b = ask(format!("MATCH (b:A) MATCH (a)-[r*{least}..{most}]->(b) {columns}"));
        let from_a = ask(format!("MATCH (a) MATCH (a)-[r*{least}..{most}]->(b) WHERE b:A {columns}"));
        let known = ask(format!("MATCH (a), (b:A) WITH b, a MATCH (a)-[r*{least}..{most}]->(b) {columns}"));
        prop_assert_eq!(&on, &from_b);
        prop_assert_eq!(&on, &from_a);
        prop_assert_eq!(&on, &known);
        let again = ask(format!("MATCH (a)-[r*{least}..{most}]->(b:A) WITH a, r MATCH (a)-[r*]->(b) WHERE b:A {columns}"));
        let without_empty: Vec<String> = on.iter().filter(|_| least > 0).cloned().collect();
        if least > 0 {
            prop_assert_eq!(without_empty, again);
        }
    }
}
