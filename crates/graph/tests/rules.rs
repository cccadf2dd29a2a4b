//! Kept rules: what is drawn edge by edge is what follows from all facts at once, whatever order they came in.

mod written;

use graph::{Evidence, Fold, Graph, Limits, NodeId};
use ontology::fact::Batch;
use ontology::paths::Repeat;
use ontology::premise::{Premise, Term};
use ontology::rules::{Conclusion, Keep, Rule};
use ontology::{Ontology, RelationId, SourceFile, Time};
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::sync::Arc;
use written::{fact, folded, lines, minute, together};

/// The built-in ontology and rules that use everything kept rules may say: `+`, alternatives, backwards steps, `!=`, one kept
/// conclusion resting on another, and sampled nodes in a row with kept ones on both sides.
fn ontology() -> Arc<Ontology> {
    let file = |name: &str, text: &str| SourceFile { name: name.to_owned(), text: text.to_owned() };
    let relations = file(
        "site.relations.yaml",
        r#"
needs:     {arrow: "Service -> Service", card: n..m, time: while, derived: true}
feeds:     {arrow: "Service -> Service", card: n..m, time: while, derived: true}
beside:    {arrow: "Service -> Service", card: n..m, time: while, derived: true}
seen_with: {arrow: "AppVersion -> Service", card: n..m, time: while, derived: true}
"#,
    );
    let rules = file(
        "site.rules.yaml",
        r#"
rules:
  reach:    {keep: always, rule: "needs(A, B) <- depends_on+(A, B), Service(B)", doc: "All the way down."}
  fed:      {keep: always, rule: "feeds(A, B) <- depends_on^(A, B), instance_of(_, A)", doc: "The other way round."}
  together: {keep: always, rule: "beside(A, B) <- instance_of(I, A), (runs_on | in_workload)(I, H), (runs_on | in_workload)(J, H), instance_of(J, B), A != B", doc: "On one host or in one workload."}
  built_on: {keep: always, rule: "seen_with(N, S) <- ran(S0, N), in_session(I, S0), called(I, O), operation_of(O, S)", doc: "Which build leads to which service."}
"#,
    );
    Arc::new(ontology::load(&[relations, rules]).unwrap_or_else(|p| panic!("{p}")))
}

/// Conclusions that hold at a minute.
fn concluded(graph: &Graph, relation: &str, m: i64) -> String {
    let relation = graph.ontology().relation(relation).unwrap();
    let held = graph.edges_of(relation).filter(|(id, ..)| graph.holds(*id, minute(m)));
    let mut lines: Vec<String> =
        held.map(|(_, from, to)| format!("{} {}", graph.name(from), graph.name(to))).collect();
    lines.sort();
    lines.dedup();
    lines.join(", ")
}

fn check(world: &str, relation: &str, m: i64, expected: &str) {
    let o = ontology();
    let mut lines = lines(world);
    assert_eq!(concluded(&folded(&o, &lines, Limits::default()), relation, m), expected);
    lines.reverse();
    let backwards = folded(&o, &lines, Limits::default());
    assert_eq!(concluded(&backwards, relation, m), expected, "with the facts in reverse");
}

const CALLS: &str = "
    0: Operation home -operation_of-> Service gateway
    0: Operation get -operation_of-> Service ratings
    5: Operation home -calls-> Operation get
    9: Operation get -uses-> Datastore votes
";

#[test]
fn a_service_depends_on_what_its_operations_call_while_they_call_it() {
    check(CALLS, "depends_on", 4, "");
    check(CALLS, "depends_on", 5, "gateway ratings");
    check(CALLS, "depends_on", 12, "gateway ratings, ratings votes");
    // Traffic not seen for ten minutes has stopped.
    check(CALLS, "depends_on", 17, "ratings votes");
}

#[test]
fn a_conclusion_falls_when_one_of_its_premises_is_said_to_end() {
    let world = "
        0: Cohort k -slice_of-> AppVersion v
        3..20: Rollout r -rolls_out-> AppVersion v
    ";
    check(world, "exposed_to", 2, "");
    check(world, "exposed_to", 19, "k r");
    check(world, "exposed_to", 20, "");
}

#[test]
fn a_special_case_of_a_relation_counts_as_it() {
    let world = "
        0: Cohort k -slice_of-> Cell b
        0: Cell b -option_of-> Experiment rows
        4: FlagChange f -switches-> Experiment rows
    ";
    check(world, "exposed_to", 5, "k f");
}

#[test]
fn whoever_owns_the_whole_answers_for_the_parts() {
    let world = "
        0: Instance i -instance_of-> Service ratings
        1: Service ratings -owned_by-> Team stars
    ";
    check(world, "answers_to", 2, "i stars, ratings stars");
}

#[test]
fn what_sampled_nodes_showed_stays_when_they_are_let_go() {
    let o = ontology();
    let mut world = vec![
        "3: Interaction i0 -of_view-> View lolomo".to_owned(),
        "3: Interaction i0 -called-> Operation home".to_owned(),
    ];
    world.extend((1..20).map(|i| format!("4: Interaction i{i}")));
    let lines: Vec<&str> = world.iter().map(String::as_str).collect();
    let limits = Limits { sampled_nodes: 3, ..Limits::default() };
    let graph = folded(&o, &lines, limits);
    assert_eq!(graph.of_class(o.class("Interaction").unwrap()).len(), 3);
    assert_eq!(concluded(&graph, "backed_by", 5), "lolomo home");
    assert_eq!(concluded(&graph, "backed_by", 14), "");
    let (edge, ..) = graph.edges_of(o.relation("backed_by").unwrap()).next().unwrap();
    let why = graph.why(edge, None);
    assert_eq!(why[0].rule.name, "backing");
    assert!(matches!(&why[0].premises[..], [Evidence::Sampled { nodes, .. }] if nodes.len() == 2));
}

#[test]
fn two_names_of_one_thing_are_joined_and_parted_again() {
    let joined = "
        0: Operation home -operation_of-> Service ~gateway
        0: Instance i -instance_of-> Service gw
        0: Instance i -runs_on-> Host h
        0: Instance j -runs_on-> Host h
        0: Instance j -instance_of-> Service other
        0: Operation get -operation_of-> Service ratings
        5: Operation home -calls-> Operation get
        6: Service gw~gateway
    ";
    check(joined, "depends_on", 5, "gw ratings");
    check(joined, "feeds", 5, "");
    let fed = format!("{joined}\n        0: Instance k -instance_of-> Service ratings");
    check(&fed, "feeds", 5, "ratings gw");
    // The name fits two services: it identifies neither, and what it called is its own again.
    let parted = format!("{fed}\n        7: Service gw2~gateway");
    check(&parted, "depends_on", 5, "gateway ratings");
    check(&parted, "feeds", 5, "ratings gateway");
}

#[test]
fn a_service_does_not_depend_on_itself_under_another_name() {
    let world = "
        0: Operation home -operation_of-> Service ~gateway
        0: Operation get -operation_of-> Service gw
        5: Operation home -calls-> Operation get
    ";
    check(world, "depends_on", 5, "gateway gw");
    check(&format!("{world}\n        6: Service gw~gateway"), "depends_on", 5, "");
}

#[test]
fn why_an_edge_is_there_is_told_by_rule_and_premises() {
    let o = ontology();
    let lines = lines(CALLS);
    let graph = folded(&o, &lines, Limits::default());
    let (edge, ..) = graph
        .edges_of(o.relation("depends_on").unwrap())
        .find(|(_, _, to)| graph.name(*to) == "ratings")
        .unwrap();
    assert_eq!(graph.edge_sources(edge), ["concluded"]);
    assert_eq!(graph.held_since(edge).map(|m| m.start()), Some(minute(5).minute().start()));
    let told: Vec<String> = graph
        .why(edge, Some(minute(6)))
        .into_iter()
        .map(|b| {
            let premise = |e: &Evidence| match e {
                Evidence::Edge(id) => {
                    let e = graph.edge(*id).unwrap();
                    format!("{} {} {}", graph.name(e.from), o.relation_name(e.relation), graph.name(e.to))
                }
                other => format!("{other:?}"),
            };
            format!("{}: {}", b.rule.name, b.premises.iter().map(premise).collect::<Vec<_>>().join(", "))
        })
        .collect();
    assert_eq!(
        told,
        [
            "observed_dependency: gateway/home operation_of gateway, gateway/home calls ratings/get, ratings/get operation_of ratings"
        ]
    );
    assert!(graph.why(edge, Some(minute(30))).is_empty());
}

#[test]
fn beyond_the_limit_nothing_more_is_concluded_and_that_is_counted() {
    let o = ontology();
    let limits = Limits { conclusions: 1, ..Limits::default() };
    let mut fold = Fold::new(Arc::clone(&o), Vec::new(), limits);
    for line in lines(CALLS) {
        fold.fold(&fact(&o, line), minute(100));
    }
    assert!(fold.totals().conclusions_left_out > 0);
    assert!(fold.usage().contains(&("conclusions", 1, 1)));
}

// --- from scratch

type Pairs = BTreeSet<(NodeId, NodeId)>;

/// Everything that kept rules conclude of what holds at a moment, by trying every combination.
fn from_scratch(graph: &Graph, at: Time) -> BTreeSet<(RelationId, NodeId, NodeId)> {
    let o = graph.ontology();
    let told: Vec<(RelationId, NodeId, NodeId)> = graph
        .edges()
        .filter(|(id, e)| !e.seen.is_empty() && graph.holds(*id, at))
        .map(|(_, e)| (e.relation, graph.resolve(e.from), graph.resolve(e.to)))
        .collect();
    let mut all: BTreeSet<(RelationId, NodeId, NodeId)> = BTreeSet::new();
    loop {
        let before = all.len();
        for rule in o.rules.rules.iter().filter(|r| r.keep == Keep::Always) {
            let Conclusion::Relation(head, Term::Var(from), Term::Var(to)) = rule.head else { continue };
            let mut bound = vec![None; rule.variables.len()];
            let mut found = Pairs::new();
            let pairs: Vec<Option<Pairs>> = rule.body.iter().map(|p| edges(graph, &told, &all, p)).collect();
            every_way(graph, rule, &pairs, 0, &mut bound, &mut |bound| {
                if let (Some(f), Some(t)) = (bound[usize::from(from)], bound[usize::from(to)]) {
                    found.insert((f, t));
                }
            });
            all.extend(found.into_iter().map(|(f, t)| (head, f, t)));
        }
        if all.len() == before {
            return all;
        }
    }
}

fn edges(
    graph: &Graph,
    told: &[(RelationId, NodeId, NodeId)],
    concluded: &BTreeSet<(RelationId, NodeId, NodeId)>,
    premise: &Premise,
) -> Option<Pairs> {
    let Premise::Edge { steps, repeat, .. } = premise else { return None };
    let mut once = Pairs::new();
    for (general, back) in steps {
        for (relation, from, to) in told.iter().chain(concluded) {
            if graph.ontology().is_case_of(*relation, *general) {
                once.insert(if *back { (*to, *from) } else { (*from, *to) });
            }
        }
    }
    let mut pairs = once.clone();
    if *repeat != Repeat::Once {
        loop {
            let more: Vec<_> = pairs
                .iter()
                .flat_map(|(a, b)| once.iter().filter(move |(c, _)| c == b).map(move |(_, d)| (*a, *d)))
                .filter(|p| !pairs.contains(p))
                .collect();
            if more.is_empty() {
                break;
            }
            pairs.extend(more);
        }
    }
    if *repeat == Repeat::AnyNumber {
        pairs.extend(graph.nodes().map(|n| (n, n)));
    }
    Some(pairs)
}

fn every_way(
    graph: &Graph,
    rule: &Rule,
    pairs: &[Option<Pairs>],
    next: usize,
    bound: &mut Vec<Option<NodeId>>,
    found: &mut dyn FnMut(&[Option<NodeId>]),
) {
    let Some(premise) = rule.body.get(next) else {
        let fits = bound
            .iter()
            .zip(&rule.classes)
            .all(|(n, classes)| n.and_then(|n| graph.node(n)).is_none_or(|n| classes.contains(&n.class)));
        let differ = rule.body.iter().all(|p| match p {
            Premise::Differ(Term::Var(a), Term::Var(b)) => bound[usize::from(*a)] != bound[usize::from(*b)],
            _ => true,
        });
        if fits && differ {
            found(bound);
        }
        return;
    };
    let (Premise::Edge { from, to, .. }, Some(all)) = (premise, &pairs[next]) else {
        every_way(graph, rule, pairs, next + 1, bound, found);
        return;
    };
    for (f, t) in all {
        let saved = bound.clone();
        let mut fits = true;
        for (term, node) in [(from, f), (to, t)] {
            if let Term::Var(v) = term {
                fits &= *bound[usize::from(*v)].get_or_insert(*node) == *node;
            }
        }
        if fits {
            every_way(graph, rule, pairs, next + 1, bound, found);
        }
        *bound = saved;
    }
}

/// Everything drawn that holds at a moment.
fn drawn(graph: &Graph, at: Time) -> BTreeSet<(RelationId, NodeId, NodeId)> {
    graph
        .edges()
        .filter(|(id, _)| graph.is_concluded(*id) && graph.holds(*id, at))
        .map(|(_, e)| (e.relation, graph.resolve(e.from), graph.resolve(e.to)))
        .collect()
}

/// One small random fact as a line.
fn line((kind, a, b, m): (u8, u8, u8, i64)) -> String {
    // Services and service versions are known by two keys; a weaker one is shared by two of them.
    let service = |k: u8| match k % 9 {
        0..=2 => format!("Service s{}", k % 3),
        3..=5 => format!("Service s{}~w{}", k % 3, k % 2),
        6 | 7 => format!("Service ~w{}", k % 2),
        _ => format!("Service s{}~w{}", k % 3, (k + 1) % 2),
    };
    let operation = |k: u8| format!("Operation o{}", k % 5);
    let instance = |k: u8| match k % 4 {
        0 => "Instance ~p".to_owned(),
        1 => "Instance i1~p".to_owned(),
        k => format!("Instance i{k}"),
    };
    match kind % 15 {
        0 | 1 => format!("{m}: {} -operation_of-> {}", operation(a), service(b)),
        2 | 3 => format!("{m}: {} -calls-> {}", operation(a), operation(b)),
        4 => format!("{m}: {} -uses-> Datastore d{}", operation(a), b % 2),
        5 => format!("{m}: {} -instance_of-> {}", instance(a), service(b)),
        6 => format!("{m}: {} -runs_on-> Host h{}", instance(a), b % 2),
        7 => format!("{m}: {} -in_workload-> Workload w{}", instance(a), b % 2),
        8 => format!("{m}: {} -owned_by-> Team t{}", service(a), b % 2),
        9 => format!("{m}: Interaction x{} -of_view-> View v{}", a % 4, b % 2),
        10 | 11 => format!("{m}: Interaction x{} -called-> {}", a % 4, operation(b)),
        12 => format!("{m}: Interaction x{} -in_session-> Session y{}", a % 4, b % 2),
        13 => format!("{m}: Session y{} -ran-> AppVersion n{}", a % 2, b % 2),
        _ => format!("{m}..{}: Rollout r{} -rolls_out-> AppVersion n{}", m + 7, a % 2, b % 2),
    }
}

fn shuffle<T>(items: &mut [T], seed: u64) {
    let mut state = seed | 1;
    for i in (1..items.len()).rev() {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        items.swap(i, (state >> 33) as usize % (i + 1));
    }
}

fn facts() -> impl Strategy<Value = Vec<String>> {
    proptest::collection::vec((0u8..15, 0u8..24, 0u8..24, 0i64..60).prop_map(line), 1..45)
}

proptest! {
    #[test]
    fn edge_by_edge_concludes_what_all_at_once_does(lines in facts()) {
        let o = ontology();
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let graph = folded(&o, &lines, Limits::default());
        for m in [0, 3, 10, 20, 33, 59, 75, 2_000] {
            prop_assert_eq!(drawn(&graph, minute(m)), from_scratch(&graph, minute(m)), "at {}: {:#?}", m, lines);
        }
    }

    #[test]
    fn order_repetition_and_batching_of_facts_change_no_conclusion(lines in facts(), seed in any::<u64>(), size in 1usize..9) {
        let o = ontology();
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let straight = folded(&o, &lines, Limits::default()).canonical();
        let mut shuffled = lines.clone();
        shuffle(&mut shuffled, seed);
        shuffled.extend(lines.iter().take(9));
        prop_assert_eq!(&straight, &folded(&o, &shuffled, Limits::default()).canonical());
        let mut fold = Fold::new(Arc::clone(&o), Vec::new(), Limits::default());
        let batches: Vec<Batch> = shuffled.iter().map(|l| fact(&o, l)).collect();
        for some in batches.chunks(size) {
            fold.fold(&together(some), minute(10_000));
        }
        prop_assert_eq!(straight, fold.graph().canonical());
    }

    #[test]
    fn sampled_nodes_that_are_let_go_take_no_conclusion_with_them(lines in facts(), keep in 1usize..5) {
        let o = ontology();
        // Each interaction's facts together, so that none comes after it was let go.
        let mut lines: Vec<&str> = lines.iter().map(String::as_str).filter(|l| !l.contains("Session")).collect();
        lines.sort_by_key(|l| l.split(' ').nth(2).filter(|_| l.contains("Interaction")).map(str::to_owned));
        let all = folded(&o, &lines, Limits::default());
        let few = folded(&o, &lines, Limits { sampled_nodes: keep, ..Limits::default() });
        let backed = o.relation("backed_by").unwrap();
        for m in [0, 10, 33, 59] {
            let of = |g: &Graph| {
                let held = g.edges_of(backed).filter(|(id, ..)| g.holds(*id, minute(m)));
                held.map(|(_, f, t)| (g.id(f), g.id(t))).collect::<BTreeSet<_>>()
            };
            prop_assert_eq!(of(&all), of(&few));
        }
    }
}
