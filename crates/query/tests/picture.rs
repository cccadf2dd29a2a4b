//! How much of the picture is there, on worlds of a few things.

#[expect(dead_code, reason = "worlds are written in more ways than this file needs")]
#[path = "../../graph/tests/written/mod.rs"]
mod written;

use graph::{Fold, Limits};
use ontology::{Ontology, Reads, SourceFile};
use query::picture::{Inlet, Picture, QuestionSeen, State, picture};
use std::sync::Arc;
use written::{fact, lines, minute};

/// Questions and sources of their own beside the built-in ones.
const QUESTIONS: &str = r#"
t1: {ask: "Where does it run?", path: ["i:Instance -runs_on-> h:Host"]}
t2: {ask: "Who owns what views rest on?", path: ["v:View -rests_on-> s:Service -owned_by-> t:Team"]}
t3: {ask: "What is wrong?", path: ["r:Regression -about-> c:Component"]}
t4: {ask: "Which views have an objective?", path: ["o:Slo -objective_for-> v:View"]}
t5: {ask: "What was bought?", path: ["h:Host <-acquired- c:Purchase"]}
"#;
const CLASSES: &str = r#"
classes:
  change:
    Purchase: {is: Change, key: [number], attrs: {number: string}}
"#;
const RELATIONS: &str = r#"
acquired: {arrow: "Purchase -> Host | Service", card: n..m, time: while}
bought:   {is: acquired, arrow: "Purchase -> Host", card: n..m, time: while, auto: table}
"#;
const MAPPING: &str = r#"
sources:
  shop.order:
    reads: shop
    Purchase: {number: number}
    Host:     {host_id: host}
"#;

fn ontology() -> Arc<Ontology> {
    let file = |name: &str, text: &str| SourceFile { name: name.to_owned(), text: text.to_owned() };
    let files = [
        file("site.classes.yaml", CLASSES),
        file("site.relations.yaml", RELATIONS),
        file("site.mapping.yaml", MAPPING),
        file("site.questions.yaml", QUESTIONS),
    ];
    Arc::new(ontology::load(&files).unwrap_or_else(|p| panic!("{p}")))
}

fn of(world: &str) -> Picture {
    let o = ontology();
    let mut fold = Fold::new(Arc::clone(&o), o.mapping.trust.clone(), Limits::default());
    for line in lines(world) {
        let (source, rest) = line.trim().split_once(' ').unwrap();
        let mut batch = fact(&o, rest);
        batch.source = source.to_owned();
        fold.fold(&batch, minute(100));
    }
    let inlet =
        |name: &str, reads: Vec<Reads>, page: &str| Inlet { name: name.into(), reads, page: page.into() };
    let telemetry = vec![Reads::Resource, Reads::Span, Reads::SpanEvent, Reads::Log, Reads::Metric];
    let mut inlets = vec![inlet("otlp", telemetry, "otel.md")];
    let feeds = o.mapping.feed_names();
    inlets.extend(feeds.into_iter().map(|f| inlet(f, vec![Reads::Feed(f.to_owned())], "feeds.md")));
    picture(&fold.graph(), &inlets, &["Regression", "Cohort"])
}

fn question(picture: &Picture, name: &str) -> QuestionSeen {
    picture.questions.iter().find(|q| q.name == name).unwrap().clone()
}

fn coverage(picture: &Picture, start: &str) -> Vec<String> {
    picture.coverage.iter().map(|c| c.text.clone()).filter(|t| t.contains(start)).collect()
}

#[test]
fn coverage_is_told_in_sentences_with_numbers_and_of_nothing_nothing_is_told() {
    let picture = of("
        otlp 1: Instance i1 -runs_on-> Host h1
        otlp 1: Instance i2 -runs_on-> Host h1
        otlp 1: Instance i3
        ");
    let texts = coverage(&picture, "of instances have a host");
    assert_eq!(texts, ["67 % of instances have a host (-runs_on->): 2 of 3"]);
    assert!(coverage(&picture, "of hosts have an instance").iter().any(|t| t.starts_with("100 %")));
    assert!(coverage(&picture, "of views").is_empty(), "there are no views");
}

#[test]
fn what_is_written_here_or_concluded_only_when_asked_is_no_gap_of_a_source_and_gaps_come_first() {
    let picture = of("
        otlp 1: View v1 -view_of-> App a1
        otlp 1: View v2
        otlp 1: Operation o1 -calls-> Operation o2
        catalog 1: Service s1
        concluded 1: Regression r1 -about-> View v1
        ");
    assert!(coverage(&picture, "rests_on").is_empty() && coverage(&picture, "regressions").is_empty());
    assert!(
        coverage(&picture, "of operations have something (-calls->)").iter().any(|t| t.starts_with("50 %"))
    );
    let order: Vec<bool> = picture.coverage.iter().map(|c| c.part > 0 && c.part < c.whole).collect();
    assert!(order.first() == Some(&true) && order.is_sorted_by(|a, b| a >= b), "{:?}", picture.coverage);
}

#[test]
fn a_question_whose_path_was_seen_can_be_answered() {
    let q = question(&of("otlp 1: Instance i1 -runs_on-> Host h1"), "t1");
    assert_eq!((q.state, q.missing), (State::Answerable, Vec::new()));
}

#[test]
fn a_class_that_was_never_seen_is_missing_with_the_sources_that_would_give_it() {
    let q = question(&of("otlp 1: Host h1"), "t5");
    assert_eq!(q.state, State::Lacks);
    let [missing] = q.missing.as_slice() else { panic!("{:?}", q.missing) };
    assert_eq!(missing.name, "Purchase", "its relation says nothing more");
    assert_eq!(missing.text, "no Purchase was seen yet; shop.order gives it (feeds.md)");
    let giver = &missing.given_by[0];
    assert_eq!(
        (giver.name.as_str(), giver.inlets.as_slice()),
        ("shop.order", ["shop".to_owned()].as_slice())
    );
}

#[test]
fn a_relation_between_other_classes_does_not_stand_in_for_the_one_that_is_missing() {
    // Hosts there are, and something was acquired: but nothing says which host.
    let world = "
        otlp 1: Host h1
        shop 1: Purchase p1 -acquired-> Service s1
        ";
    let q = question(&of(world), "t5");
    let names: Vec<&str> = q.missing.iter().map(|m| m.name.as_str()).collect();
    assert_eq!(names, ["Purchase -acquired-> Host"]);
    assert!(q.missing[0].text.contains("shop.order"), "its special case gives it: {}", q.missing[0].text);
    let told = question(&of(&format!("{world}\nshop 2: Purchase p1 -bought-> Host h1")), "t5");
    assert_eq!(told.state, State::Answerable);
}

#[test]
fn what_is_concluded_when_asked_needs_what_it_follows_from() {
    let bare = "
        otlp 1: View v1
        catalog 1: Service s1 -owned_by-> Team t1
        ";
    let q = question(&of(bare), "t2");
    let [missing] = q.missing.as_slice() else { panic!("{:?}", q.missing) };
    assert_eq!(missing.name, "View -rests_on-> Service");
    for relation in ["of_view", "called", "operation_of"] {
        assert!(missing.text.contains(relation), "{relation} is wanting too: {}", missing.text);
    }
    assert!(missing.given_by.iter().any(|g| g.inlets.iter().any(|i| i == "otlp")), "{:?}", missing.given_by);
    let whole = of(&format!(
        "{bare}
        otlp 1: Interaction i1 -of_view-> View v1
        otlp 1: Interaction i1 -called-> Operation o1
        otlp 1: Operation o1 -operation_of-> Service s1
        "
    ));
    assert_eq!(question(&whole, "t2").state, State::Answerable);
}

#[test]
fn what_is_written_here_is_waited_for_and_what_nothing_gives_is_said() {
    let picture = of("otlp 1: View v1");
    let waits = question(&picture, "t3");
    assert_eq!((waits.state, waits.missing.len()), (State::Waits, 1));
    let lacks = question(&picture, "t4");
    assert_eq!(lacks.state, State::Lacks);
    assert_eq!(
        lacks.missing[0].text,
        "no Slo was seen yet; alertmanager, grafana and openslo.slo give it (feeds.md)"
    );
}

#[test]
fn a_source_is_seen_when_what_hardly_another_gives_was_seen_through_its_way_in() {
    let seen = |world: &str| {
        let picture = of(world);
        picture.sources.into_iter().find(|s| s.name == "shop.order").unwrap()
    };
    let silent = seen("otlp 1: Host h1");
    assert!(!silent.seen, "hosts come from elsewhere: {silent:?}");
    assert_eq!(silent.pages, ["feeds.md"]);
    let sent = seen("shop 1: Purchase p1 -bought-> Host h1");
    assert!(sent.seen);
    let counts: Vec<(&str, u64)> = sent.classes.iter().map(|c| (c.name.as_str(), c.count)).collect();
    assert!(counts.contains(&("Purchase", 1)) && counts.contains(&("Host", 1)), "{counts:?}");
    assert!(sent.relations.iter().any(|r| r == "bought"));
}
