//! Running one scenario.

use super::expect::{self, Expect, Lists};
use super::gherkin::{Scenario, Step};
use super::write::write;
use query::cypher::memory::Memory;
use query::cypher::temporal::DateTime;
use query::cypher::{Answer, Call, Error, Map, Phase, Procedure, ask};

/// How a scenario went.
pub enum Outcome {
    /// `error`: one was due, and whether it had the very detail.
    Passed {
        error: Option<bool>,
    },
    Failed(String),
}

/// The trees that the kit names.
const TREE: &str = "
CREATE (a:A {name: 'a'}), (b1:X {name: 'b1'}), (b2:X {name: 'b2'}), (b3:X {name: 'b3'}), (b4:X {name: 'b4'}),
  (c11:X {name: 'c11'}), (c12:SECOND {name: 'c12'}), (c21:X {name: 'c21'}), (c22:SECOND {name: 'c22'}),
  (c31:X {name: 'c31'}), (c32:SECOND {name: 'c32'}), (c41:X {name: 'c41'}), (c42:SECOND {name: 'c42'})
CREATE (a)-[:KNOWS]->(b1), (a)-[:KNOWS]->(b2), (a)-[:FOLLOWS]->(b3), (a)-[:FOLLOWS]->(b4)
CREATE (b1)-[:FRIEND]->(c11), (b1)-[:FRIEND]->(c12), (b2)-[:FRIEND]->(c21), (b2)-[:FRIEND]->(c22),
  (b3)-[:FRIEND]->(c31), (b3)-[:FRIEND]->(c32), (b4)-[:FRIEND]->(c41), (b4)-[:FRIEND]->(c42)
CREATE (b1)-[:FRIEND]->(b2), (b2)-[:FRIEND]->(b3), (b3)-[:FRIEND]->(b4), (b4)-[:FRIEND]->(b1)
";

/// 2026-11-24T12:00:00Z.
const NOW: i64 = 1_795_521_600_000_000_000;

pub fn run(scenario: &Scenario) -> Outcome {
    let mut graph = Memory::default();
    let mut parameters = Map::new();
    let mut last: Option<(String, Result<Answer, Error>)> = None;
    let mut error = None;
    for step in &scenario.steps {
        let text = step.text.as_str();
        let doc = step.doc.as_deref().unwrap_or("");
        let done = if matches!(text, "an empty graph" | "any graph" | "no side effects") {
            Ok(())
        } else if text == "the binary-tree-1 graph" {
            write(&mut graph, &TREE.replace("SECOND", "X"))
        } else if text == "the binary-tree-2 graph" {
            write(&mut graph, &TREE.replace("SECOND", "Y"))
        } else if text.starts_with("having executed") {
            write(&mut graph, doc)
        } else if text.starts_with("parameters are") {
            parameters.extend(
                step.table.iter().map(|r| (r[0].as_str().into(), expect::value(&expect::read(&r[1])))),
            );
            Ok(())
        } else if let Some(signature) = text.strip_prefix("there exists a procedure ") {
            procedure(&mut graph, signature, step);
            Ok(())
        } else if text.starts_with("executing") {
            let call = Call { parameters: parameters.clone(), now: DateTime::utc(NOW), ..Call::default() };
            last = Some((doc.to_owned(), ask(&graph, doc, &call)));
            Ok(())
        } else if text.starts_with("the result should be") {
            result(&graph, last.as_ref(), step)
        } else if text.contains("should be raised") {
            raised(last.as_ref(), text).map(|exact| error = Some(exact))
        } else {
            Err(format!("the runner knows no step `{text}`"))
        };
        if let Err(why) = done {
            let query = last.map_or(String::new(), |l| l.0);
            return Outcome::Failed(format!("{why}\n  query: {}", query.replace('\n', " ")));
        }
    }
    Outcome::Passed { error }
}

/// `name(a :: INTEGER?, …) :: (b :: STRING?, …):` and its rows.
fn procedure(graph: &mut Memory, signature: &str, step: &Step) {
    let (name, rest) = signature.split_once('(').unwrap();
    let (takes, gives) = rest.split_once(") ::").unwrap();
    let pairs = |text: &str| -> Vec<(String, String)> {
        let text = text.trim().trim_end_matches(':').trim().trim_start_matches('(').trim_end_matches(')');
        let parts = text.split(',').filter(|p| !p.trim().is_empty());
        parts
            .map(|p| p.split_once("::").unwrap())
            .map(|(a, b)| (a.trim().to_owned(), b.trim().to_owned()))
            .collect()
    };
    let procedure = Procedure {
        name: name.trim().to_owned(),
        takes: pairs(takes),
        gives: pairs(gives).into_iter().map(|p| p.0).collect(),
    };
    let rows = step.table.iter().skip(1).filter(|r| !r.iter().all(String::is_empty));
    let rows = rows.map(|r| r.iter().map(|c| expect::value(&expect::read(c))).collect()).collect();
    graph.add_procedure(procedure, rows);
}

fn result(graph: &Memory, last: Option<&(String, Result<Answer, Error>)>, step: &Step) -> Result<(), String> {
    let answer = match last.map(|l| &l.1) {
        Some(Ok(a)) => a,
        Some(Err(e)) => return Err(format!("{:?} {}: {e}", e.kind, e.detail)),
        None => return Err("nothing was asked".to_owned()),
    };
    if let Some(t) = answer.truncated {
        return Err(format!("truncated: {t:?}"));
    }
    let shown = || {
        let row = |r: &Vec<query::cypher::Value>| {
            r.iter().map(|v| query::cypher::shown(graph, v)).collect::<Vec<_>>().join(" | ")
        };
        let rows: Vec<String> = answer.rows.iter().take(12).map(row).collect();
        format!("got {} || {}", answer.columns.join(" | "), rows.join(" || "))
    };
    if step.text.ends_with("empty") {
        return if answer.rows.is_empty() { Ok(()) } else { Err(format!("no rows are due: {}", shown())) };
    }
    let Some((head, rows)) = step.table.split_first() else { return Err("no table".to_owned()) };
    let places: Option<Vec<usize>> =
        head.iter().map(|h| answer.columns.iter().position(|c| c == h)).collect();
    let places = places.filter(|p| p.len() == answer.columns.len());
    let Some(places) = places else { return Err(format!("columns {head:?} are due: {}", shown())) };
    let lists = if step.text.contains("ignoring element order") { Lists::Unordered } else { Lists::Ordered };
    let expected: Vec<Vec<Expect>> =
        rows.iter().map(|r| r.iter().map(|c| expect::read(c)).collect()).collect();
    if expected.len() != answer.rows.len() {
        return Err(format!("{} rows are due, not {}: {}", expected.len(), answer.rows.len(), shown()));
    }
    let same = |row: &Vec<query::cypher::Value>, due: &Vec<Expect>| {
        places.iter().zip(due).all(|(i, e)| expect::is(graph, &row[*i], e, lists))
    };
    let right = if step.text.contains("in order") {
        answer.rows.iter().zip(&expected).all(|(r, e)| same(r, e))
    } else {
        let mut left: Vec<&Vec<Expect>> = expected.iter().collect();
        answer.rows.iter().all(|r| match left.iter().position(|e| same(r, e)) {
            Some(i) => {
                left.remove(i);
                true
            }
            None => false,
        })
    };
    if right { Ok(()) } else { Err(format!("{rows:?} are due: {}", shown())) }
}

/// Type and time must be right; whether the detail is as well is told.
fn raised(last: Option<&(String, Result<Answer, Error>)>, text: &str) -> Result<bool, String> {
    let due = text.trim_start_matches("an ").trim_start_matches("a ");
    let kind = due.split(' ').next().unwrap_or("");
    let detail = due.rsplit(": ").next().unwrap_or("");
    match last.map(|l| &l.1) {
        Some(Err(e)) => {
            let found = format!("{:?}", e.kind);
            let phase =
                due.contains("at any time") || due.contains("at compile time") == (e.phase == Phase::Compile);
            if found == kind && phase {
                Ok(e.detail == detail || detail == "*")
            } else {
                Err(format!("{text}: not {found} {:?} {}: {e}", e.phase, e.detail))
            }
        }
        Some(Ok(a)) => Err(format!("{text}, but there are {} rows", a.rows.len())),
        None => Err("nothing was asked".to_owned()),
    }
}
