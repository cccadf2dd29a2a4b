//! Texts that are nearly openCypher: an answer or an error with a place in the text, never a panic, in bounded time and memory; and
//! the same answer whichever way its steps are taken.

#[path = "../../../tests/fuzz/mod.rs"]
mod fuzz;
#[path = "../../graph/tests/written/mod.rs"]
#[allow(dead_code, clippy::panic, clippy::unwrap_used, reason = "shared with tests that use other parts")]
mod written;

use graph::Limits as Bounds;
use ontology::Ontology;
use query::cypher::memory::Memory;
use query::cypher::{Answer, Call, Data, Error, Limits, Map, Plans, Scope, Scoped, Value, ask};
use std::cell::Cell;
use std::path::Path;
use std::sync::Arc;

const WORDS: &[&str] = &[
    "MATCH",
    "OPTIONAL ",
    "WHERE",
    "RETURN",
    "WITH",
    "UNWIND",
    "UNION",
    "ORDER BY",
    "SKIP",
    "LIMIT",
    "DISTINCT",
    "AS",
    "IN",
    "AND",
    "OR",
    "XOR",
    "NOT",
    "NULL",
    "true",
    "CASE",
    "END",
    "EXISTS",
    "COUNT",
    "count",
    "collect",
    "shortestPath",
    "allShortestPaths",
    "all",
    "none",
    "rand()",
    "percentileCont",
    "stDev",
    "date",
    "duration",
    "$list",
    "$map",
    "$none",
    "*",
    "..",
    "|",
    ":",
    "::",
    "-",
    "--",
    "->",
    "<-",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    "'",
    "\"",
    "`",
    "=",
    "<>",
    "=~",
    "+",
    "/",
    "%",
    "^",
    ",",
    ";",
    ".",
    "0",
    "-1",
    "1",
    "2",
    "1e9",
    "9223372036854775807",
    "9223372036854775808",
    "0x",
    "1e400",
    "a",
    "b",
    "n",
    "i",
    "A",
    "B",
    "T",
    "U",
    "\u{0}",
    "ä",
    "//",
    "/*",
    "EXPLAIN ",
];

fn small() -> Memory {
    let mut graph = Memory::default();
    let nodes: Vec<_> = (0..6)
        .map(|i| {
            let labels: &[&str] = if i % 2 == 0 { &["A"] } else { &["B", "C"] };
            graph.add_node(labels, &Map::from([("i".into(), Value::Int(i))]))
        })
        .collect();
    for (from, of, to) in [
        (0, "T", 1),
        (0, "T", 1),
        (1, "T", 2),
        (2, "U", 0),
        (2, "T", 3),
        (3, "U", 3),
        (4, "T", 3),
        (5, "U", 4),
    ] {
        graph.add_edge(nodes[from], of, nodes[to], &Map::from([("w".into(), Value::Float(0.5))]));
    }
    graph
}

fn asked(data: &dyn Data, text: &str, plans: Plans) -> Result<Answer, Error> {
    let ticks = Cell::new(0);
    let stop = || {
        ticks.set(ticks.get() + 1);
        ticks.get() > 20
    };
    let list = Value::list(vec![Value::Int(1), Value::Int(3)]);
    let parameters = Map::from([
        ("name".into(), Value::text("web")),
        ("key".into(), Value::text("i")),
        ("map".into(), Value::map(Map::from([("a".into(), list.clone())]))),
        ("list".into(), list),
    ]);
    let limits = Limits { rows: 1000, bytes: 1 << 20 };
    ask(data, text, &Call { parameters, limits, stop: &stop, plans, ..Call::default() })
}

/// Whether what a query gives depends on the order of rows that nothing asks for.
fn depends_on_order(text: &str) -> bool {
    let lower = text.to_lowercase();
    [
        "limit",
        "skip",
        "collect",
        "rand",
        "profile",
        "explain",
        "shortest",
        "sum",
        "avg",
        "stdev",
        "percentile",
    ]
    .iter()
    .any(|w| lower.contains(w))
}

fn holds(data: &dyn Data, text: &str) {
    let chosen = asked(data, text, Plans::Chosen);
    match &chosen {
        Ok(answer) => {
            assert!(answer.rows.len() <= 1000, "{text}");
            assert!(answer.rows.iter().all(|r| r.len() == answer.columns.len()), "{text}");
        }
        Err(e) => {
            let lines = text.split('\n').count();
            assert!(e.line as usize <= lines.max(1) && !e.to_string().is_empty(), "{e} of {text}");
        }
    }
    let written = asked(data, text, Plans::Written);
    // An error may be met on rows that another order never makes.
    if let (Ok(a), Ok(b)) = (chosen, written)
        && a.truncated.is_none()
        && b.truncated.is_none()
        && !depends_on_order(text)
    {
        let sorted = |answer: Answer| {
            let mut rows: Vec<String> = answer.rows.iter().map(|r| format!("{r:?}")).collect();
            rows.sort();
            rows
        };
        assert_eq!(sorted(a), sorted(b), "{text}");
    }
}

#[test]
fn nearly_queries_are_answered_or_refused() {
    let corpus = fuzz::corpus(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus"));
    let texts: Vec<String> = corpus.into_iter().map(|c| String::from_utf8(c.1).unwrap()).collect();
    let memory = small();
    let world = "0: Service web\n0: Service cart\n0: Service web -depends_on-> Service cart\n3: Service cart -depends_on-> Service web";
    let graph = written::folded(&Arc::new(Ontology::builtin()), &written::lines(world), Bounds::default());
    for text in &texts {
        let answered = [
            asked(&memory, text, Plans::Chosen).is_ok(),
            asked(&Scoped::new(&graph, Scope::At(written::minute(5))), text, Plans::Chosen).is_ok(),
        ];
        assert!(answered.contains(&true) || text.contains("{.i}"), "{text}");
    }
    fuzz::cases(20_000, |draw| {
        let (text, other) = (draw.one_of(&texts).clone(), draw.one_of(&texts).clone());
        let text = if draw.below(5) == 0 {
            let mut bytes = text.into_bytes();
            fuzz::mutate(draw, &mut bytes, other.as_bytes());
            String::from_utf8_lossy(&bytes).into_owned()
        } else {
            fuzz::mutate_words(draw, &text, &other, WORDS)
        };
        holds(&memory, &text);
        holds(&Scoped::new(&graph, Scope::At(written::minute(5))), &text);
    });
}
