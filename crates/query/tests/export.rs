//! A moment as RDF, and the ontology's questions asked of it: small worlds in text, quads and rows in text.

#[path = "../../graph/tests/written/mod.rs"]
mod written;

use graph::{Graph, Limits};
use ontology::export::ExportError;
use ontology::{Ontology, SourceFile};
use oxrdf::{GraphName, Quad, Term};
use query::rdf::{self, Format};
use query::{Moment, View};
use std::collections::BTreeSet;
use std::io::{self, Write};
use std::sync::Arc;
use written::{folded, lines, minute};

const CORE: &str = "https://w3id.org/e2egraph/core";

fn world(text: &str) -> Graph {
    folded(&Arc::new(Ontology::builtin()), &lines(text), Limits::default())
}

fn bytes(graph: &Graph, m: i64, format: Format) -> Vec<u8> {
    let mut to = Vec::new();
    rdf::write(&View { graph, as_of: minute(m) }, format, &mut to).unwrap();
    to
}

fn nquads(bytes: &[u8]) -> BTreeSet<String> {
    oxttl::NQuadsParser::new().for_slice(bytes).map(|q| q.unwrap().to_string()).collect()
}

fn trig(bytes: &[u8]) -> BTreeSet<String> {
    oxttl::TriGParser::new().for_slice(bytes).map(|q| q.unwrap().to_string()).collect()
}

/// Facts but no provenance, with names for nodes.
fn facts(graph: &Graph, m: i64) -> Vec<String> {
    let view = View { graph, as_of: minute(m) };
    let short = |term: &str| {
        let found = term.strip_prefix(CORE).and_then(|t| t.strip_prefix("/node/"));
        match found.and_then(|id| graph.node_with_id(id)) {
            Some(node) => view.label(node),
            None => term.rsplit_once('#').map_or(term, |(_, name)| name).to_owned(),
        }
    };
    let told = |q: &Quad| match &q.graph_name {
        GraphName::DefaultGraph => Some(""),
        GraphName::NamedNode(g) if g.as_str().ends_with("/derived") => Some(" (derived)"),
        _ => None,
    };
    let bytes = bytes(graph, m, Format::NQuads);
    let quads = oxttl::NQuadsParser::new().for_slice(&bytes).map(Result::unwrap);
    let mut all: Vec<String> = quads
        .filter_map(|q| {
            let graph = told(&q)?;
            let object = match &q.object {
                Term::NamedNode(n) => short(n.as_str()),
                other => other.to_string(),
            };
            let subject = q.subject.to_string();
            Some(format!(
                "{} {} {object}{graph}",
                short(subject.trim_matches(['<', '>'])),
                short(q.predicate.as_str())
            ))
        })
        .filter(|line| !line.contains(" label "))
        .collect();
    all.sort();
    all
}

#[track_caller]
fn check(text: &str, m: i64, wanted: &str) {
    let found = facts(&world(text), m);
    let wanted: Vec<&str> = wanted.lines().map(str::trim).filter(|l| !l.is_empty()).collect();
    assert_eq!(found, wanted, "\n{}", found.join("\n"));
}

#[test]
fn what_was_told_and_what_follows_from_it_are_told_apart() {
    check(
        "
        0: Operation home -operation_of-> Service gateway
        0: Operation get -operation_of-> Service ratings
        0: Operation home -calls-> Operation get
        ",
        1,
        r#"
        Operation gateway/home calls Operation ratings/get
        Operation gateway/home name "home"
        Operation gateway/home operation_of Service gateway
        Operation gateway/home type Operation
        Operation ratings/get name "get"
        Operation ratings/get operation_of Service ratings
        Operation ratings/get type Operation
        Service gateway depends_on Service ratings (derived)
        Service gateway name "gateway"
        Service gateway type Service
        Service ratings name "ratings"
        Service ratings type Service
        "#,
    );
}

#[test]
fn a_moment_has_one_target_where_there_is_one_at_a_time_and_nothing_of_later() {
    let text = "
        0: Instance i -runs_on-> Host a
        5: Instance i -runs_on-> Host b
        9: Service late
    ";
    let graph = world(text);
    let runs_on = |m: i64| facts(&graph, m).into_iter().filter(|l| l.contains("runs_on")).collect::<Vec<_>>();
    assert_eq!(runs_on(2), ["Instance i runs_on Host a"]);
    assert_eq!(runs_on(7), ["Instance i runs_on Host b"]);
    assert!(!facts(&graph, 9).iter().any(|l| l.contains("late")));
    assert!(facts(&graph, 10).iter().any(|l| l.contains("late")));
}

#[test]
fn what_is_sampled_is_there_while_it_goes_on() {
    let graph = world("0: Interaction x\n0: View lolomo\n0: Interaction x -of_view-> View lolomo");
    let classes = |m: i64| facts(&graph, m).into_iter().filter(|l| l.ends_with(" type Interaction")).count();
    assert_eq!((classes(5), classes(30)), (1, 0));
    let moment = Moment::of(&View { graph: &graph, as_of: minute(30) });
    assert_eq!(moment.nodes().len(), 1, "the view stays");
}

#[test]
fn both_forms_say_the_same_and_the_same_facts_give_the_same_bytes() {
    let text = r"
        0: Operation home -operation_of-> Service gateway
        1: Interaction x -called-> Operation home
        2: Service gateway tier=critical
        3: Instance i -runs_on-> Host a
        3: Deployment d started_at=2
    ";
    let forwards = world(text);
    let backwards = world(&text.lines().rev().collect::<Vec<_>>().join("\n"));
    for format in [Format::NQuads, Format::TriG] {
        assert_eq!(bytes(&forwards, 5, format), bytes(&backwards, 5, format), "{format:?}");
    }
    let quads = nquads(&bytes(&forwards, 5, Format::NQuads));
    assert_eq!(quads, trig(&bytes(&forwards, 5, Format::TriG)));
    let began = r#"began> "2027-01-15T08:02:00Z"^^<http://www.w3.org/2001/XMLSchema#dateTime>"#;
    assert!(quads.iter().any(|q| q.contains(began)), "{quads:#?}");
}

#[test]
fn no_text_can_break_out_of_its_literal() {
    let wild = "a\"b\\c\u{1}\u{7f}é☃\u{10ffff}<x>{}|^`";
    let graph = world(&format!("0: Service {wild}"));
    for (format, read) in [
        (Format::NQuads, nquads as fn(&[u8]) -> BTreeSet<String>),
        (Format::TriG, trig as fn(&[u8]) -> BTreeSet<String>),
    ] {
        let written = bytes(&graph, 1, format);
        assert_eq!(written.contains(&1), false, "control characters are escaped");
        let name = read(&written).into_iter().find(|q| q.contains("#name>")).unwrap();
        let quad = oxttl::NQuadsParser::new().for_slice(&format!("{name} .")).next().unwrap().unwrap();
        let Term::Literal(literal) = quad.object else { panic!("{name}") };
        assert_eq!(literal.value(), wild, "{format:?}");
    }
}

/// Counts what is handed on and gives out after so many bytes.
struct Full(usize);

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self.0.checked_sub(bytes.len()).ok_or(io::ErrorKind::BrokenPipe)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn it_is_written_as_it_is_found_and_stops_when_its_reader_goes() {
    let text: Vec<String> = (0..50).map(|i| format!("0: Service s{i}")).collect();
    let graph = world(&text.join("\n"));
    let mut writes = Vec::new();
    struct Sizes<'a>(&'a mut Vec<usize>);
    impl Write for Sizes<'_> {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.push(bytes.len());
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let view = View { graph: &graph, as_of: minute(1) };
    rdf::write(&view, Format::TriG, Sizes(&mut writes)).unwrap();
    let (all, most) = (writes.iter().sum::<usize>(), writes.iter().max().copied().unwrap());
    assert!(most * 20 < all, "{most} of {all} bytes at once");
    let told = rdf::write(&view, Format::NQuads, Full(1000)).unwrap_err();
    assert!(matches!(told, ExportError::Write(e) if e.kind() == io::ErrorKind::BrokenPipe));
}

const WORLD: &str = "
    0: View lolomo
    0: Interaction x -of_view-> View lolomo
    0: Interaction x -called-> Operation home
    0: Operation home -operation_of-> Service gateway
    0: Operation get -operation_of-> Service ratings
    0: Operation home -calls-> Operation get
    0: Service ratings tier=critical
    1: ConfigChange c -changed-> Service ratings
    1: ConfigChange c started_at=1
    5: Alert a -about-> Service gateway
    5: Alert a started_at=5
    200: Operation home -calls-> Operation get
    200: Alert b -about-> Service gateway
    200: Alert b started_at=200
";

/// The rows of a question, cells joined by `, `.
fn asked(text: &str, m: i64, question: &str) -> Vec<String> {
    let graph = world(text);
    let view = View { graph: &graph, as_of: minute(m) };
    let out = query::run::ask(&view, question).unwrap_or_else(|e| panic!("{e}"));
    let cell = |v: &serde_json::Value| v.as_str().map_or_else(|| v.to_string(), str::to_owned);
    let row = |r: &Vec<serde_json::Value>| r.iter().map(cell).collect::<Vec<_>>().join(", ");
    out.rows.iter().map(row).collect()
}

#[test]
fn a_question_walks_asked_rules_attributes_and_the_order_in_time() {
    assert_eq!(asked(WORLD, 6, "question q15 line 1"), ["lolomo, ratings"]);
    let alerts = asked(WORLD, 201, "question q04");
    assert_eq!(alerts.len(), 1, "the second alert came more than two hours later: {alerts:?}");
    assert!(alerts[0].starts_with("1, a") && alerts[0].ends_with(", gateway, ratings, c"), "{alerts:?}");
}

#[test]
fn a_question_is_of_its_moment() {
    assert!(asked(WORLD, 1, "question q15 line 1").len() == 1);
    assert!(asked(WORLD, 40, "question q15 line 1").is_empty(), "nobody has looked at the view for long");
    assert_eq!(asked(WORLD, 201, "question q15 line 1 at 2027-01-15T08:01:00Z"), ["lolomo, ratings"]);
}

#[test]
fn a_question_or_a_line_that_is_not_there_says_what_is() {
    let graph = world(WORLD);
    let view = View { graph: &graph, as_of: minute(6) };
    let told = |text: &str| query::run::ask(&view, text).unwrap_err().to_string();
    assert!(told("question q99").contains("there is no question `q99`"), "{}", told("question q99"));
    assert_eq!(told("question q15 line 4"), "question q15 has 3 lines; there is no line 4");
}

#[test]
fn what_is_drawn_only_when_asked_is_not_followed_again_and_again() {
    let file = |name: &str, text: &str| SourceFile { name: name.to_owned(), text: text.to_owned() };
    let o = ontology::load(&[
        file("relations.yaml", "near: {arrow: \"Service -> Service\", card: n..m, time: while, derived: true}"),
        file("rules.yaml", "rules:\n  near: {keep: asked, rule: \"near(A, B) <- depends_on(A, B), depends_on(B, A)\", doc: \"Both ways.\"}"),
        file("questions.yaml", "qn: {ask: \"Who is near?\", path: [\"a:Service -near+-> b:Service\"]}"),
    ])
    .unwrap_or_else(|p| panic!("{p}"));
    let graph = folded(&Arc::new(o), &lines("0: Service a -depends_on-> Service b"), Limits::default());
    let view = View { graph: &graph, as_of: minute(1) };
    let told = query::run::ask(&view, "question qn").unwrap_err().to_string();
    assert!(told.contains("cannot follow it again and again; write it without `+` or `*`"), "{told}");
}
