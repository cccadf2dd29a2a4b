//! Queries that are too deep, too long or too costly: a clear word, bounded time and memory, no overflow of the stack.

use query::cypher::memory::Memory;
use query::cypher::{Answer, Budget, Call, Error, Kind, Limits, Map, Value, ask};
use std::cell::Cell;

/// A ring of `n` nodes, each with edges to the next two.
fn ring(n: u32) -> Memory {
    let mut graph = Memory::default();
    let node = |graph: &mut Memory, i: u32| {
        graph.add_node(&["N"], &Map::from([("i".into(), Value::Int(i64::from(i)))]))
    };
    let nodes: Vec<_> = (0..n).map(|i| node(&mut graph, i)).collect();
    for i in 0..nodes.len() {
        for ahead in [1, 2] {
            graph.add_edge(nodes[i], "T", nodes[(i + ahead) % nodes.len()], &Map::new());
        }
    }
    graph
}

/// Asks with so many bits of time.
fn within(graph: &Memory, query: &str, limits: Limits, patience: u32) -> Result<Answer, Error> {
    let asked = Cell::new(0);
    let stop = || {
        asked.set(asked.get() + 1);
        asked.get() > patience
    };
    ask(graph, query, &Call { limits, stop: &stop, ..Call::default() })
}

fn refused(query: &str) -> Error {
    ask(&ring(3), query, &Call::default()).unwrap_err()
}

#[test]
fn nesting_is_bounded() {
    let n = 10_000;
    for query in [
        format!("RETURN {}1{}", "(".repeat(n), ")".repeat(n)),
        format!("RETURN {}1{}", "[".repeat(n), "]".repeat(n)),
        format!("RETURN {}1{}", "{a: ".repeat(n), "}".repeat(n)),
        format!("RETURN {} true", "NOT ".repeat(n)),
        format!("RETURN {}1", "-".repeat(n)),
        format!("RETURN 1{}", " + 1".repeat(n)),
        format!("RETURN x{}", ".a".repeat(n)),
        format!("MATCH (a) WHERE {} RETURN a", "EXISTS { MATCH (b) WHERE ".repeat(n)),
        format!("RETURN {}1{}", "size([(a {b: ".repeat(n), "})-->() | 1])".repeat(n)),
        format!("MATCH (a){} RETURN a", "-->()".repeat(n)),
        "UNWIND [1] AS x ".repeat(n) + "RETURN 1",
    ] {
        let error = refused(&query);
        assert_eq!(error.kind, Kind::TooLarge, "{error}");
        assert!(error.line == 1 && error.column > 1, "{error}");
    }
}

#[test]
fn what_is_just_allowed_runs() {
    let (n, steps, values) = (190, 390, 100);
    for query in [
        format!("RETURN {}1{} AS x", "(".repeat(n), ")".repeat(n)),
        format!("RETURN {}1{} AS x", "[".repeat(values), "]".repeat(values)),
        format!("RETURN {}1{} AS x", "{a: ".repeat(values), "}".repeat(values)),
        format!("RETURN {} true AS x", "NOT ".repeat(n)),
        format!("RETURN 1{} AS x", " + 1".repeat(n)),
        format!("RETURN {}1{} AS x", "abs(".repeat(n), ")".repeat(n)),
        format!("RETURN {}1{} AS x", "[x IN [1] | ".repeat(values), "]".repeat(values)),
        format!("RETURN {}1{} AS x", "reduce(s = 0, x IN [1] | ".repeat(n), ")".repeat(n)),
        format!("RETURN {}1{} AS x", "CASE WHEN true THEN ".repeat(n), " END".repeat(n)),
        format!("RETURN {}true{} AS x", "EXISTS { MATCH (a) WHERE ".repeat(90), " }".repeat(90)),
        format!("RETURN {} AS x", vec!["true"; 20_000].join(" AND ")),
        format!("MATCH (a {{i: 0}}){} RETURN a LIMIT 1", "-->()".repeat(steps)),
        format!("UNWIND [1] AS x{} RETURN x", " WITH x WHERE x = 1".repeat(steps)),
        format!("MATCH (a {{i: 0}}){} RETURN a LIMIT 1", " OPTIONAL MATCH (a)-->()".repeat(steps / 2)),
    ] {
        assert_eq!(ask(&ring(400), &query, &Call::default()).unwrap().rows.len(), 1, "{query:.60}");
    }
}

#[test]
fn a_megabyte_is_read_and_more_is_not() {
    let list = format!("RETURN size([{}1]) AS n", "1,".repeat(500_000));
    let answer = ask(&ring(3), &list, &Call::default()).unwrap();
    assert!(matches!(answer.rows[0][0], Value::Int(500_001)));
    let error = refused(&format!("RETURN '{}'", "x".repeat(1 << 20)));
    assert_eq!(error.kind, Kind::TooLarge);
    assert_eq!(refused(&"(".repeat(1_000_000)).kind, Kind::SyntaxError);
}

#[test]
fn a_query_that_never_ends_is_ended() {
    let graph = ring(400);
    for query in [
        "MATCH (a), (b), (c), (d) RETURN count(*)",
        "MATCH (a)-[*]->(b) RETURN count(*)",
        "MATCH p = (a)-[*]-(b) WHERE length(p) > 1000000 RETURN p",
        "UNWIND range(1, 1000000) AS a UNWIND range(1, 1000000) AS b RETURN max(a + b)",
        "RETURN reduce(s = 0, x IN range(1, 1000000) | s + size([y IN range(1, 1000) WHERE y > x])) AS r",
        "RETURN all(x IN range(1, 10000000) WHERE x > 0) AS r",
    ] {
        let answer = within(&graph, query, Limits::default(), 200).unwrap();
        assert_eq!(answer.truncated, Some(Budget::Time), "{query}");
    }
}

#[test]
fn memory_is_bounded() {
    let graph = ring(400);
    let limits = Limits { rows: usize::MAX, bytes: 4 << 20 };
    for query in [
        "MATCH (a), (b), (c) RETURN a, b, c",
        "MATCH (a), (b), (c) RETURN collect([a, b, c]) AS all",
        "MATCH (a), (b), (c) RETURN DISTINCT a.i * 160000 + b.i * 400 + c.i AS x",
        "MATCH (a), (b), (c) RETURN a, b, c ORDER BY a.i",
        "MATCH (a), (b), (c) RETURN a.i, b.i, c.i, count(*)",
        "RETURN range(1, 1000000000000) AS r",
        "RETURN reduce(s = 'x', i IN range(1, 60) | s + s) AS s",
        "RETURN reduce(s = [1], i IN range(1, 60) | s + s) AS s",
        "RETURN [i IN range(1, 1000) | range(1, 1000)] AS s",
        "RETURN reduce(s = 'x', i IN range(1, 60) | replace(s, 'x', 'xx')) AS s",
    ] {
        let answer = within(&graph, query, limits, 100_000).unwrap();
        assert_eq!(answer.truncated, Some(Budget::Memory), "{query}");
    }
}

#[test]
fn values_are_not_nested_without_end() {
    for query in [
        "RETURN reduce(s = [], x IN range(1, 1000000) | [s]) AS s",
        "RETURN reduce(s = {}, x IN range(1, 1000000) | {a: s}) AS s",
        "RETURN reduce(s = [], x IN range(1, 1000000) | [y IN [s] | y]) AS s",
        "RETURN reduce(s = 1, x IN range(1, 1000000) | [0] + [[s]]) AS s",
    ] {
        let error = within(&ring(3), query, Limits::default(), 100_000).unwrap_err();
        assert_eq!(error.kind, Kind::TooLarge, "{query}");
    }
    let nested = format!("{}x{}", "[".repeat(50), "]".repeat(50));
    let query = format!("UNWIND [1] AS x{} RETURN x", format!(" WITH {nested} AS x").repeat(300));
    assert_eq!(refused(&query).kind, Kind::TooLarge);
}

#[test]
fn the_rows_found_until_the_limit_are_told() {
    let limits = Limits { rows: 7, ..Limits::default() };
    let answer = within(&ring(400), "MATCH (a) RETURN a.i AS i", limits, 1_000).unwrap();
    assert_eq!((answer.rows.len(), answer.truncated), (7, Some(Budget::Rows)));
    let answer = within(&ring(400), "MATCH (a) RETURN a.i AS i LIMIT 7", limits, 1_000).unwrap();
    assert_eq!((answer.rows.len(), answer.truncated), (7, None));
}

#[test]
fn a_limit_ends_what_it_does_not_need() {
    let graph = ring(400);
    let hits = |query: &str| within(&graph, query, Limits::default(), 1_000_000).unwrap().hits;
    assert!(hits("MATCH (a)-[*1..8]->(b) RETURN b LIMIT 3") < 40);
    assert!(hits("MATCH (a), (b), (c) RETURN a LIMIT 3") < 20);
    assert!(hits("MATCH (a) WHERE EXISTS { (a)-[*]->() } RETURN count(*)") < 4_000);
}

#[test]
fn only_the_wanted_rows_are_kept_while_sorting() {
    let limits = Limits { rows: 10, bytes: 1 << 20 };
    let query = "UNWIND range(1, 200000) AS x RETURN x ORDER BY x DESC LIMIT 2";
    let answer = within(&ring(3), query, limits, 100_000).unwrap();
    assert_eq!(answer.truncated, Some(Budget::Memory), "the list itself is larger than that");
    let query = "MATCH (a), (b), (c) RETURN a.i * 400 + b.i AS x ORDER BY x DESC LIMIT 2";
    let answer = within(&ring(60), query, limits, 100_000).unwrap();
    assert_eq!((answer.truncated, answer.rows.len()), (None, 2));
}

#[test]
fn an_error_says_where_and_what_would_be_right() {
    let error = refused("MATCH (n:N)\nRETURN n.i, siez(n)");
    assert_eq!((error.line, error.column, error.text.as_str()), (2, 13, "siez(n)"));
    assert_eq!(error.to_string(), "2:13: `siez(n)`: there is no function of this name; did you mean `size`?");
    let error = refused("MATCH (n) CREATE (m) RETURN n");
    assert_eq!((error.column, error.text.as_str()), (11, "CREATE"));
}
