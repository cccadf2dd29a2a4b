//! What differs between two versions of a site, and whom it breaks.

#![expect(
    clippy::panic,
    reason = "clippy takes the helpers of an integration test for code outside of tests"
)]

use ontology::diff::Change;
use ontology::{Ontology, SourceFile, diff};

const FILES: &[(&str, &str)] = &[
    ("acme.classes.yaml", include_str!("site/acme.classes.yaml")),
    ("acme.relations.yaml", include_str!("site/acme.relations.yaml")),
    ("acme.measures.yaml", include_str!("site/acme.measures.yaml")),
    ("acme.mapping.yaml", include_str!("site/acme.mapping.yaml")),
    ("acme.rules.yaml", include_str!("site/acme.rules.yaml")),
    ("acme.actions.yaml", include_str!("site/acme.actions.yaml")),
    ("acme.questions.yaml", include_str!("site/acme.questions.yaml")),
    ("acme.lexicon.yaml", include_str!("site/acme.lexicon.yaml")),
];

fn site(edits: &[(&str, &str)]) -> Ontology {
    let mut files: Vec<SourceFile> =
        FILES.iter().map(|(n, t)| SourceFile { name: (*n).to_owned(), text: (*t).to_owned() }).collect();
    for (from, to) in edits {
        let mut hit = false;
        for f in &mut files {
            hit |= f.text.contains(from);
            f.text = f.text.replace(from, to);
        }
        assert!(hit, "no file holds {from:?}");
    }
    ontology::load(&files).unwrap_or_else(|p| panic!("{p}"))
}

/// Edits, and the differences they make: kind, name, change, what, and whom it breaks.
fn check(edits: &[(&str, &str)], expected: &[&str]) {
    let found: Vec<String> = diff(&site(&[]), &site(edits))
        .iter()
        .map(|d| {
            let breaks = d.breaks.as_deref().map_or(String::new(), |b| format!(" BREAKS {b}"));
            format!("{} {} {:?}: {}{breaks}", d.kind, d.name, d.change, d.what)
        })
        .collect();
    assert_eq!(found, expected, "{edits:?}");
}

#[test]
fn the_same_files_differ_in_nothing() {
    check(&[], &[]);
}

#[test]
fn a_site_only_adds_to_the_built_in_ontology() {
    let found = diff(&Ontology::builtin(), &site(&[]));
    assert!(found.iter().any(|d| d.name == "LoadBalancer" && d.change == Change::Added));
    assert!(found.iter().any(|d| d.name == "Service.cost_center" && d.change == Change::Added));
    let broken: Vec<_> = found.iter().filter(|d| d.breaks.is_some()).collect();
    assert!(broken.is_empty(), "{broken:?}");
    let back = diff(&site(&[]), &Ontology::builtin());
    assert!(
        back.iter().any(|d| d.name == "LoadBalancer" && d.change == Change::Removed && d.breaks.is_some())
    );
}

#[test]
fn a_key_or_a_unit_breaks_and_a_fault_does_not() {
    check(
        &[("key: [listener_of, port]", "key: [port]")],
        &[
            "class Listener Changed: key: [listener_of, port] → [port] BREAKS stored facts: things get other ids, so what was kept by their old ids leads nowhere",
        ],
    );
    check(
        &[("also: [[address]]", "also: [[address], [owner_id]]")],
        &["class LoadBalancer Changed: key: [name], [address] → [name], [address], [owner_id]"],
    );
    check(
        &[("unit: \"1\"", "unit: \"%\"")],
        &[
            "measure balancer.refused Changed: unit: 1 → % BREAKS dashboards and thresholds read other numbers",
        ],
    );
    check(
        &[("<- 0.6 0s..1m", "<- 0.5 0s..2m")],
        &["relation listener_of Changed: fault: <- 0.6 0s..1m latency,errors → <- 0.5 0s..2m latency,errors"],
    );
}

#[test]
fn a_narrower_type_breaks_and_a_wider_one_does_not() {
    check(
        &[("l4|l7", "l3|l4|l7")],
        &["attribute LoadBalancer.layer Changed: type: one of l4, l7 → one of l3, l4, l7"],
    );
    check(
        &[("port: int, open", "port: float, open")],
        &["attribute Listener.port Changed: type: a whole number → a number"],
    );
    check(
        &[("cost_center: string", "cost_center: int")],
        &[
            "attribute Service.cost_center Changed: type: text → a whole number BREAKS stored facts: values that are nothing of this type are set aside",
        ],
    );
}

#[test]
fn another_name_breaks_nobody_where_was_tells_it() {
    check(
        &[("Reload: ", "Restart: "), ("key: [reload_id], near", "was: Reload, key: [reload_id], near")],
        &["class Reload Renamed: is now Restart"],
    );
    check(
        &[("balancer.refused: {of", "balancer.turned_away: {was: balancer.refused, of")],
        &["measure balancer.refused Renamed: is now balancer.turned_away"],
    );
}

#[test]
fn ends_and_times_of_a_relation_are_relied_on() {
    check(
        &[(
            "card: n..m, time: while, auto: table, fault: \"-> 0.5",
            "card: n..1, time: fixed, auto: table, fault: \"-> 0.5",
        )],
        &[
            "relation balances Changed: card: n..m → n..1 BREAKS queries: of several targets only the last holds",
            "relation balances Changed: time: while → fixed BREAKS queries: what held at a moment is answered otherwise",
        ],
    );
    check(
        &[("\"LoadBalancer -> Service\"", "\"LoadBalancer -> Service | Topic\"")],
        &[
            "relation balances Changed: arrow: LoadBalancer -> Service → LoadBalancer -> Service, LoadBalancer -> Topic",
        ],
    );
}

#[test]
fn a_phrase_that_means_something_else_breaks_who_asks() {
    check(
        &[("\"refused\": balancer.refused", "\"refused\": balancer.wait")],
        &[
            "phrase refused Changed: meaning: measure balancer.refused → measure balancer.wait BREAKS questions that say it mean something else",
        ],
    );
}
