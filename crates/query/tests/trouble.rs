//! Why edges are there, where trouble can have come from and where it can go, as query text.

#[path = "../../graph/tests/written/mod.rs"]
mod written;

use graph::{Graph, Limits, NodeId};
use ontology::Ontology;
use query::View;
use query::run::{Output, ask};
use std::collections::BTreeMap;
use std::sync::Arc;
use written::{folded, lines, minute};

const STACK: &str = "
    0: Interaction x -of_view-> View lolomo
    0: Interaction x -called-> Operation home
    0: Operation home -operation_of-> Service gateway
    0: Operation get -operation_of-> Service ratings
    0: Operation read -operation_of-> Service profiles
    0: Operation home -calls-> Operation get
    4: Operation home -calls-> Operation get
    0: Operation get -calls-> Operation read
    0: Operation read -uses-> Datastore users
    0: Instance i -instance_of-> Service ratings
    0: Instance j -instance_of-> Service profiles
    0: Instance i -runs_on-> Host h
    0: Instance j -runs_on-> Host h
";

fn world() -> Graph {
    folded(&Arc::new(Ontology::builtin()), &lines(STACK), Limits::default())
}

fn asked(graph: &Graph, question: &str) -> Output {
    ask(&View { graph, as_of: minute(5) }, question).unwrap_or_else(|e| panic!("{e}"))
}

/// Weights by place.
fn weights(out: &Output) -> BTreeMap<String, f64> {
    let text = |v: &serde_json::Value| v.as_str().unwrap_or_default().to_owned();
    out.rows.iter().map(|r| (text(&r[0]), r[2].as_f64().unwrap())).collect()
}

#[test]
fn what_trouble_reaches_it_can_have_come_from() {
    let graph = world();
    let view = View { graph: &graph, as_of: minute(5) };
    let nodes: Vec<NodeId> = graph.nodes().filter(|n| !graph.is_sampled(*n)).collect();
    let name = |n: NodeId| format!("{} \"{}\"", view.class_name(n), graph.name(n));
    let mut pairs = 0;
    for a in &nodes {
        let impact = weights(&asked(&graph, &format!("impact {}", name(*a))));
        for b in &nodes {
            let origins = weights(&asked(&graph, &format!("origins {}", name(*b))));
            let (there, back) = (impact.get(&view.label(*b)), origins.get(&view.label(*a)));
            assert_eq!(there, back, "{} and {}", view.label(*a), view.label(*b));
            pairs += usize::from(there.is_some());
        }
    }
    assert!(pairs > 10, "{pairs}");
}

#[test]
fn a_way_is_told_from_where_the_trouble_begins() {
    let graph = world();
    let out = asked(&graph, r#"origins Service "ratings" limit 20"#);
    let host = out.rows.iter().find(|r| r[0] == "Host h").unwrap_or_else(|| panic!("{:?}", out.rows));
    let way = host[3].as_str().unwrap();
    assert!(way.starts_with("Host h <-runs_on- Instance "), "{way}");
    assert!(way.ends_with("-instance_of-> Service ratings"), "{way}");
    let out = asked(&graph, r#"impact Host "h""#);
    assert!(
        !out.rows.is_empty()
            && out.rows.iter().all(|r| r[3].as_str().unwrap().starts_with("Host h <-runs_on- ")),
        "{out:?}"
    );
}

#[test]
fn several_sufferers_have_in_common_what_explains_each() {
    let graph = world();
    let both = weights(&asked(&graph, r#"common Service "ratings" and Service "profiles""#));
    let each = ["ratings", "profiles"].map(|s| weights(&asked(&graph, &format!("origins Service \"{s}\""))));
    assert!(both.contains_key("Host h") && !both.contains_key("Service profiles"), "{both:?}");
    for (place, weight) in &both {
        let least = each.iter().map(|e| e[place]).fold(f64::INFINITY, f64::min);
        assert!((weight - least).abs() < 1e-9, "{place}");
    }
}

#[test]
fn an_edge_says_who_told_of_it_when_and_by_which_rule_it_follows() {
    let graph = world();
    let rows = asked(&graph, r#"why Operation "gateway/home" to Operation "ratings/get""#).rows;
    assert_eq!(rows.len(), 1);
    assert_eq!((&rows[0][0], rows[0][1].as_bool()), (&"calls".into(), Some(true)));
    assert_eq!(rows[0][3].as_str().map(str::to_owned), Some(minute(0).to_string()));
    assert_eq!(rows[0][4].as_str().map(str::to_owned), Some(minute(4).to_string()));
    assert_eq!(rows[0][5].as_i64(), Some(1), "minutes ago");
    let early = asked(
        &graph,
        &format!(r#"why Operation "gateway/home" to Operation "ratings/get" at {}"#, minute(2)),
    );
    assert_eq!(early.rows[0][4].as_str().map(str::to_owned), Some(minute(2).to_string()));
    let concluded = asked(&graph, r#"why Service "gateway" to Service "ratings""#).rows;
    assert_eq!((&concluded[0][0], &concluded[0][11]), (&"depends_on".into(), &"observed_dependency".into()));
    assert!(asked(&graph, r#"why Service "ratings" to Service "gateway""#).rows.is_empty());
}

#[test]
fn a_wrong_kind_of_trouble_says_what_is_near() {
    let graph = world();
    let view = View { graph: &graph, as_of: minute(5) };
    let error = ask(&view, r#"origins Service "gateway" of latncy"#).unwrap_err().to_string();
    assert_eq!(error, "there is no aspect `latncy`; nearest: latency");
    let error = ask(&view, r#"origins Service "gateway" and Service "ratings""#).unwrap_err().to_string();
    assert!(error.contains("`and`"), "{error}");
}
