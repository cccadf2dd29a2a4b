//! Asked rules: what a search from one node finds is what trying everything finds, and reads as people would expect.

#[path = "../../graph/tests/written/mod.rs"]
mod written;

use graph::{Graph, Limits, NodeId};
use ontology::paths::Repeat;
use ontology::premise::{Compare, Premise, Term};
use ontology::rules::{Conclusion, Keep, Rule};
use ontology::{Ontology, RelationId, SourceFile, Time, Value};
use proptest::prelude::*;
use query::{Reach, View, What};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;
use written::{folded, lines, minute, together};

/// The built-in ontology and asked rules that use everything they may say.
fn ontology() -> Arc<Ontology> {
    let file = |name: &str, text: &str| SourceFile { name: name.to_owned(), text: text.to_owned() };
    let relations = file(
        "site.relations.yaml",
        r#"
hangs_on: {arrow: "Service -> Service", card: n..m, time: while, derived: true, fault: "<- 0.5 0s latency"}
far:      {arrow: "Service -> Service", card: n..m, time: while, derived: true}
near:     {arrow: "Service -> Service", card: n..m, time: while, derived: true}
"#,
    );
    let rules = file(
        "site.rules.yaml",
        r#"
predicates:
  lonely: Service
  both: Service, Service
rules:
  hanging: {keep: asked, rule: "hangs_on(A, B) <- depends_on+(A, B), B.tier = critical", doc: "Critical ones it needs."}
  further: {keep: asked, rule: "far(A, B) <- hangs_on+(A, B), A != B", doc: "Repeats what is itself asked."}
  nearby:  {keep: asked, rule: "near(A, B) <- instance_of^(A, I), (runs_on | in_workload)(I, H), (runs_on^ | in_workload^)(H, J), instance_of(J, B), A != B", doc: "Alternatives, backwards."}
  alone:   {keep: asked, rule: "lonely(S) <- Service(S), not (instance_of(I, S), runs_on(I, _))", doc: "Nothing runs it."}
  pair:    {keep: asked, rule: "both(A, B) <- far(A, B), not near(A, B), A.tier != low", doc: "Far, not near."}
"#,
    );
    Arc::new(ontology::load(&[relations, rules]).unwrap_or_else(|p| panic!("{p}")))
}

fn world(text: &str) -> Graph {
    folded(&ontology(), &lines(text), Limits::default())
}

/// What a question in text gives, a row a line: weight, ends, rule.
fn check(world_text: &str, question: &str, m: i64, expected: &str) {
    let graph = world(world_text);
    let view = View { graph: &graph, as_of: minute(m) };
    let out = query::run::ask(&view, question).unwrap_or_else(|e| panic!("{e}"));
    let text = |v: &serde_json::Value| v.as_str().map_or_else(|| v.to_string(), str::to_owned);
    let row = |r: &Vec<serde_json::Value>| {
        [3, 0, 2, 4]
            .map(|i| text(&r[i]))
            .into_iter()
            .filter(|t| !t.is_empty())
            .collect::<Vec<_>>()
            .join(" | ")
    };
    let mut found: Vec<String> = out.rows.iter().map(row).collect();
    found.extend((!out.note.is_empty()).then(|| out.note.clone()));
    let expected: Vec<&str> = expected.lines().map(str::trim).filter(|l| !l.is_empty()).collect();
    assert_eq!(found, expected);
}

const STACK: &str = "
    0: Interaction x -of_view-> View lolomo
    0: Interaction x -called-> Operation home
    0: Operation home -operation_of-> Service gateway
    0: Operation get -operation_of-> Service ratings
    0: Operation read -operation_of-> Service profiles
    0: Operation home -calls-> Operation get
    0: Operation get -calls-> Operation read
    0: Operation read -uses-> Datastore users
";

#[test]
fn a_view_rests_on_everything_below_it_strongest_first() {
    check(
        STACK,
        r#"follows rests_on from View "lolomo""#,
        5,
        "
        0.49 | View lolomo | Service gateway | footing
        0.294 | View lolomo | Service ratings | footing
        0.176 | View lolomo | Service profiles | footing
        0.106 | View lolomo | Datastore users | footing
        ",
    );
}

#[test]
fn what_rests_on_a_service_is_found_from_the_other_end() {
    let expected = "0.176 | View lolomo | Service profiles | footing";
    check(STACK, r#"follows rests_on to Service "profiles""#, 5, expected);
    check(STACK, r#"follows rests_on from View "lolomo" to Service "profiles""#, 5, expected);
}

#[test]
fn nothing_rests_on_traffic_that_has_stopped() {
    check(STACK, r#"follows rests_on from View "lolomo""#, 30, "");
}

#[test]
fn a_kept_conclusion_is_given_with_every_way_in_which_it_follows() {
    let twice = format!(
        "{STACK}
        0: Operation put -operation_of-> Service ratings
        0: Operation home -calls-> Operation put"
    );
    check(
        &twice,
        r#"follows depends_on from Service "gateway" to Service "ratings""#,
        5,
        "
        0.6 | Service gateway | Service ratings | observed_dependency
        0.6 | Service gateway | Service ratings | observed_dependency
        ",
    );
}

#[test]
fn what_is_cut_off_is_said() {
    let mut deep = "
        0: Interaction x -of_view-> View lolomo
        0: Interaction x -called-> Operation o0
        0: Operation o0 -operation_of-> Service s0
    "
    .to_owned();
    for i in 1..8 {
        deep.push_str(&format!("\n 0: Operation o{i} -operation_of-> Service s{i}"));
        deep.push_str(&format!("\n 0: Operation o{} -calls-> Operation o{i}", i - 1));
    }
    // 0.7 x 0.7 x 0.6^6 is the last that is more than 0.02.
    check(
        &deep,
        r#"follows rests_on from View "lolomo" limit 2"#,
        5,
        "
        0.49 | View lolomo | Service s0 | footing
        0.294 | View lolomo | Service s1 | footing
        not followed: weights below 0.02
        ",
    );
}

#[test]
fn a_change_that_began_shortly_before_in_what_the_sufferers_use_is_suspect() {
    let regression = format!(
        "{STACK}
        0: Cohort k -slice_of-> View lolomo
        0: ServiceVersion v2 -version_of-> Service ratings
        0: Deployment d -deploys-> ServiceVersion v2
        3: Deployment d started_at=1
        4: Regression r -about-> Cohort k
        4: Regression r started_at=3"
    );
    // A regression is called by what is wrong and since when.
    let question = r#"follows suspects from Regression "r/2027-01-15T08:03:00Z""#;
    let expected = "0.064 | Regression r/2027-01-15T08:03:00Z | Deployment d | suspicion";
    check(&regression, question, 5, expected);
    let late = regression.replace("Deployment d started_at=1", "Deployment d started_at=4");
    check(&late, question, 5, "");
}

#[test]
fn a_session_met_a_deployment_that_was_going_on_while_it_called() {
    let going_on = format!(
        "{STACK}
        0: Interaction x -in_session-> Session y
        2: Interaction x started_at=2
        2: Interaction x ended_at=3
        0: ServiceVersion v2 -version_of-> Service ratings
        0: Deployment d -deploys-> ServiceVersion v2
        3: Deployment d started_at=1"
    );
    let from = |text: &str, m: i64| {
        let graph = world(text);
        let view = View { graph: &graph, as_of: minute(m) };
        let session = graph.of_class(graph.ontology().class("Session").unwrap())[0];
        let met = view.follows(view.derived("met").unwrap(), &[Some(session), None], minute(m), view.reach());
        met.found.iter().map(|f| graph.name(f.ends[1])).collect::<Vec<_>>()
    };
    assert_eq!(from(&going_on, 5), ["d"]);
    let over = format!("{going_on}\n        3: Deployment d ended_at=2");
    assert_eq!(from(&over, 5), Vec::<String>::new());
}

#[test]
fn what_nobody_promised_or_owns_is_found() {
    let some = "
        0: View lolomo
        0: View search
        0: Slo fast -objective_for-> View search
        0: Service ratings
        0: Service gateway -owned_by-> Team edge
    ";
    check(some, "follows unwatched", 5, "1.0 | View lolomo | unwatched");
    check(some, "follows orphan", 5, "1.0 | Service ratings | orphan");
    check(some, r#"follows orphan from Service "gateway""#, 5, "");
}

#[test]
fn an_edge_that_follows_is_an_edge_like_any_other_and_says_so() {
    let graph = world(STACK);
    let view = View { graph: &graph, as_of: minute(5) };
    let rows = |q: &str| {
        let out = query::run::ask(&view, q).unwrap_or_else(|e| panic!("{e}"));
        let cells = |r: &Vec<serde_json::Value>| {
            let text: Vec<&str> = r.iter().filter_map(serde_json::Value::as_str).collect();
            text.join(" | ")
        };
        out.rows.iter().map(cells).collect::<Vec<_>>()
    };
    assert_eq!(
        rows(r#"path View "lolomo" to Service "gateway""#),
        [
            "View lolomo | -backed_by-> | Operation gateway/home | backing",
            "Operation gateway/home | -operation_of-> | Service gateway | ",
        ]
    );
    let around = rows(r#"neighbours Service "gateway""#);
    assert!(around.iter().any(|r| r.starts_with("Service gateway | depends_on | Service ratings")
        && r.ends_with("observed_dependency")));
    let shown = rows(r#"show View "lolomo""#);
    assert!(shown.contains(&"-backed_by-> | Operation gateway/home (concluded by backing)".to_owned()));
    let because = rows(r#"follows depends_on from Service "gateway""#);
    assert!(
        because[0].contains("Operation gateway/home -calls-> Operation ratings/get since 2027-01-15"),
        "{because:?}"
    );
}

#[test]
fn causes_are_walked_along_what_was_told_not_along_what_follows_from_it() {
    let graph = world(STACK);
    let view = View { graph: &graph, as_of: minute(5) };
    let o = view.ontology();
    let gateway = graph.named(o.class("Service").unwrap(), "gateway").unwrap();
    let latency = o.aspect("latency").unwrap();
    let origins = view.origins(gateway, latency, minute(5), query::walk::Bounds::default());
    assert!(origins.iter().flat_map(|o| &o.path).all(|s| !graph.is_concluded(s.hop.edge)));
    assert!(graph.hops(gateway).iter().all(|h| !graph.is_concluded(h.edge)));
    assert!(graph.all_hops(gateway).iter().any(|h| graph.is_concluded(h.edge)));
}

#[test]
fn a_wrong_name_says_what_is_near() {
    let graph = world(STACK);
    let view = View { graph: &graph, as_of: minute(5) };
    let error = query::run::ask(&view, r#"follows rest_on from View "lolomo""#).unwrap_err().to_string();
    assert_eq!(error, "there is no derived relation or predicate `rest_on`; nearest: rests_on");
}

// --- trying everything

type Weighed = BTreeMap<(NodeId, NodeId), f64>;

/// Rules followed bottom-up, by trying every combination of everything that holds at a moment.
struct Naive<'a> {
    view: View<'a>,
    at: Time,
    known: RefCell<BTreeMap<RelationId, Rc<Weighed>>>,
}

fn better(all: &mut Weighed, ends: (NodeId, NodeId), weight: f64) -> bool {
    let old = all.get(&ends).copied().unwrap_or(-1.0);
    if weight > old {
        all.insert(ends, weight);
    }
    weight > old
}

impl Naive<'_> {
    fn pairs(&self, relation: RelationId) -> Rc<Weighed> {
        if let Some(known) = self.known.borrow().get(&relation) {
            return Rc::clone(known);
        }
        let o = self.view.ontology();
        let graph = self.view.graph;
        let mut all = Weighed::new();
        for (id, e) in graph.edges() {
            if o.is_case_of(e.relation, relation) && graph.holds(id, self.at) {
                let ends = (graph.resolve(e.from), graph.resolve(e.to));
                better(&mut all, ends, self.view.weight(e.relation));
            }
        }
        for rule in o.rules.rules.iter().filter(|r| r.keep == Keep::Asked) {
            if let Conclusion::Relation(head, from, to) = rule.head
                && o.is_case_of(head, relation)
            {
                for (ends, weight) in self.conclusions(rule, &[from, to]) {
                    better(&mut all, (ends[0], ends[1]), weight);
                }
            }
        }
        let all = Rc::new(all);
        self.known.borrow_mut().insert(relation, Rc::clone(&all));
        all
    }

    fn edges(&self, steps: &[(RelationId, bool)], repeat: Repeat) -> Weighed {
        let mut once = Weighed::new();
        for (relation, back) in steps {
            for ((from, to), weight) in self.pairs(*relation).iter() {
                better(&mut once, if *back { (*to, *from) } else { (*from, *to) }, *weight);
            }
        }
        let mut all = once.clone();
        if repeat != Repeat::Once {
            loop {
                let mut longer = Weighed::new();
                for ((a, b), w) in &all {
                    for ((_, d), v) in once.iter().filter(|((c, _), _)| c == b) {
                        better(&mut longer, (*a, *d), w * v);
                    }
                }
                // Going round and round shrinks weights; sums of rounding must not keep this going.
                let grown = longer
                    .into_iter()
                    .filter(|(ends, w)| all.get(ends).is_none_or(|old| *w > old * (1.0 + 1e-12)))
                    .collect::<Vec<_>>();
                if grown.is_empty() {
                    break;
                }
                all.extend(grown);
            }
        }
        if repeat == Repeat::AnyNumber {
            for n in self.view.graph.nodes() {
                better(&mut all, (n, n), 1.0);
            }
        }
        all
    }

    fn conclusions(&self, rule: &Rule, terms: &[Term]) -> BTreeMap<Vec<NodeId>, f64> {
        let mut found: BTreeMap<Vec<NodeId>, f64> = BTreeMap::new();
        let positive: Vec<&Premise> = rule.body.iter().filter(|p| !matches!(p, Premise::Not(_))).collect();
        self.ways(rule, &positive, vec![None; rule.variables.len()], 1.0, &mut |bound, weight| {
            let nots = rule.body.iter().filter_map(|p| match p {
                Premise::Not(inner) => Some(inner),
                _ => None,
            });
            let mut there = false;
            for inner in nots {
                let inner: Vec<&Premise> = inner.iter().collect();
                self.ways(rule, &inner, bound.to_vec(), 1.0, &mut |_, _| there = true);
            }
            let ends: Option<Vec<NodeId>> = terms.iter().map(|t| value(*t, bound)).collect();
            if let (Some(ends), false) = (ends, there) {
                let best = found.entry(ends).or_insert(0.0);
                *best = best.max(weight);
            }
        });
        found
    }

    fn ways(
        &self,
        rule: &Rule,
        body: &[&Premise],
        bound: Vec<Option<NodeId>>,
        weight: f64,
        found: &mut dyn FnMut(&[Option<NodeId>], f64),
    ) {
        // Edges first, then classes, then tests of what they bound.
        let rank = |p: &Premise| match p {
            Premise::Edge { .. } => 0,
            Premise::Is(..) => 1,
            _ => 2,
        };
        let Some(i) = (0..body.len()).min_by_key(|i| rank(body[*i])) else {
            let fits = bound.iter().zip(&rule.classes).all(|(n, classes)| {
                n.and_then(|n| self.view.graph.node(n)).is_none_or(|n| classes.contains(&n.class))
            });
            if fits {
                found(&bound, weight);
            }
            return;
        };
        let mut rest = body.to_vec();
        let premise = rest.remove(i);
        let v = |t: &Term| value(*t, &bound);
        let test = match premise {
            Premise::Edge { steps, repeat, from, to } => {
                for ((f, t), w) in self.edges(steps, *repeat) {
                    let mut next = bound.clone();
                    if bind(*from, f, &mut next) && bind(*to, t, &mut next) {
                        self.ways(rule, &rest, next, weight * w, found);
                    }
                }
                return;
            }
            Premise::Is(class, t) => {
                for n in self.view.graph.of_class(*class) {
                    let mut next = bound.clone();
                    if bind(*t, n, &mut next) {
                        self.ways(rule, &rest, next, weight, found);
                    }
                }
                return;
            }
            Premise::Differ(a, b) => v(a) != v(b),
            Premise::StartsBefore(a, b, secs) => {
                let start = |t: &Term| v(t).and_then(|n| self.view.started(n));
                start(a).zip(start(b)).is_some_and(|(a, b)| a <= b && b <= a.plus_secs(*secs))
            }
            Premise::During(a, b) => {
                let start = |t: &Term| v(t).and_then(|n| self.view.started(n));
                let end = |t: &Term| match v(t).and_then(|n| self.view.graph.attr_named(n, "ended_at")) {
                    Some(Value::Time(t)) => Some(*t),
                    _ => None,
                };
                start(a)
                    .zip(start(b))
                    .is_some_and(|(x, y)| y <= x && end(b).is_none_or(|e| end(a).unwrap_or(x) <= e))
            }
            Premise::Attr { of, attr, test } => {
                let said = v(of).and_then(|n| self.view.graph.attr_named(n, attr)).map(ToString::to_string);
                match test {
                    Compare::In(words) => said.is_some_and(|s| words.contains(&s)),
                    Compare::Differs(word) => said.as_ref() != Some(word),
                    Compare::Than(..) => false,
                }
            }
            Premise::Not(_) => false,
        };
        if test {
            self.ways(rule, &rest, bound, weight, found);
        }
    }

    fn follows(&self, what: What) -> BTreeMap<Vec<NodeId>, f64> {
        let o = self.view.ontology();
        match what {
            What::Relation(r) => self.pairs(r).iter().map(|((a, b), w)| (vec![*a, *b], *w)).collect(),
            What::Predicate(p) => {
                let mut all = BTreeMap::new();
                for rule in &o.rules.rules {
                    if let Conclusion::Predicate(of, terms) = &rule.head
                        && *of == p
                    {
                        all.extend(self.conclusions(rule, terms));
                    }
                }
                all
            }
        }
    }
}

fn value(term: Term, bound: &[Option<NodeId>]) -> Option<NodeId> {
    match term {
        Term::Var(v) => bound[usize::from(v)],
        Term::Any => None,
    }
}

fn bind(term: Term, node: NodeId, bound: &mut [Option<NodeId>]) -> bool {
    match term {
        Term::Var(v) => *bound[usize::from(v)].get_or_insert(node) == node,
        Term::Any => true,
    }
}

/// One small random fact as a line.
fn line((kind, a, b, m): (u8, u8, u8, i64)) -> String {
    let service = |k: u8| match k % 7 {
        0..=3 => format!("Service s{}", k % 4),
        4 | 5 => format!("Service s{}~w{}", k % 4, k % 2),
        _ => format!("Service ~w{}", k % 2),
    };
    let operation = |k: u8| format!("Operation o{}", k % 5);
    match kind % 24 {
        0 | 1 => format!("{m}: {} -operation_of-> {}", operation(a), service(b)),
        2..=4 => format!("{m}: {} -calls-> {}", operation(a), operation(b)),
        5 => format!("{m}: {} -uses-> Datastore d{}", operation(a), b % 2),
        6 | 7 => format!("{m}: Instance i{} -instance_of-> {}", a % 4, service(b)),
        8 => format!("{m}: Instance i{} -runs_on-> Host h{}", a % 4, b % 2),
        9 => format!("{m}: Instance i{} -in_workload-> Workload w{}", a % 4, b % 2),
        10 => format!("{m}: {} -owned_by-> Team t{}", service(a), b % 2),
        11 => format!("{m}: Interaction x{} -of_view-> View v{}", a % 3, b % 2),
        12 | 13 => format!("{m}: Interaction x{} -called-> {}", a % 3, operation(b)),
        14 => format!("{m}: Interaction x{} -in_session-> Session y{}", a % 3, b % 2),
        15 => format!("{m}: {} tier={}", service(a), ["critical", "low", "critical"][usize::from(b % 3)]),
        16 => format!("{m}: Cohort k{} -slice_of-> View v{}", a % 2, b % 2),
        17 => format!("{m}: ServiceVersion n{} -version_of-> {}", a % 3, service(b)),
        18 => format!("{m}: Deployment c{} -deploys-> ServiceVersion n{}", a % 3, b % 3),
        19 => format!("{m}: Deployment c{} {}_at={}", a % 3, ["started", "ended"][usize::from(b % 2)], b),
        20 => format!("{m}: Regression r{} -about-> Cohort k{}", a % 2, b % 2),
        21 => format!("{m}: Regression r{} -about-> {}", a % 2, service(b)),
        22 => format!("{m}: Slo l -objective_for-> View v{}", b % 2),
        _ => format!("{m}: Cohort k{} -slice_of-> AppVersion a{}", a % 2, b % 2),
    }
}

proptest! {
    #[test]
    fn a_search_from_one_node_finds_what_trying_everything_finds(
        picks in proptest::collection::vec((0u8..24, 0u8..28, 0u8..28, 0i64..20), 1..50),
        m in 0i64..40,
    ) {
        let o = ontology();
        let written: Vec<String> = picks.into_iter().map(line).collect();
        let all: Vec<&str> = written.iter().map(String::as_str).collect();
        let graph = folded(&o, &all, Limits::default());
        let view = View { graph: &graph, as_of: minute(m) };
        let naive = Naive { view, at: minute(m), known: RefCell::default() };
        let reach = Reach { weight: 0.0, hops: 1_000, facts: u32::MAX };
        let relations = o.relations.iter().filter(|r| r.derived).map(|r| r.name.as_str());
        for name in relations.chain(o.rules.predicates.iter().map(|p| p.0.as_str())) {
            let what = view.derived(name).unwrap();
            let expected = naive.follows(what);
            let arity = match what {
                What::Relation(_) => 2,
                What::Predicate(p) => o.rules.predicates[p].1.len(),
            };
            let check = |ends: Vec<Option<NodeId>>| {
                let found = view.follows(what, &ends, minute(m), reach);
                prop_assert!(!found.cut_off.any());
                let fits = |e: &Vec<NodeId>| ends.iter().zip(e).all(|(end, n)| end.is_none_or(|x| x == *n));
                let wanted: BTreeMap<_, _> = expected.iter().filter(|(e, _)| fits(e)).collect();
                let got: BTreeSet<&Vec<NodeId>> = found.found.iter().map(|f| &f.ends).collect();
                prop_assert_eq!(
                    wanted.keys().copied().collect::<BTreeSet<_>>(), got, "{} {:?} at {}: {:#?}", name, ends, m, written
                );
                for f in &found.found {
                    prop_assert!((wanted[&f.ends] - f.weight).abs() < 1e-9, "{} weighs {} not {}", name, f.weight, wanted[&f.ends]);
                }
                prop_assert!(found.found.is_sorted_by(|a, b| a.weight >= b.weight));
                Ok(())
            };
            check(vec![None; arity])?;
            for node in graph.nodes() {
                for place in 0..arity {
                    let mut ends = vec![None; arity];
                    ends[place] = Some(node);
                    check(ends)?;
                }
            }
            if let Some(ends) = expected.keys().next() {
                check(ends.iter().copied().map(Some).collect())?;
            }
        }
    }

    #[test]
    fn a_bounded_search_finds_nothing_that_does_not_follow_and_says_that_it_is_bounded(
        picks in proptest::collection::vec((0u8..24, 0u8..28, 0u8..28, 0i64..20), 1..50),
        weight in 0.0f64..0.5, hops in 1u32..4, facts in 1u32..40,
    ) {
        let o = ontology();
        let written: Vec<String> = picks.into_iter().map(line).collect();
        let batches: Vec<_> = written.iter().map(|l| written::fact(&o, l)).collect();
        let mut fold = graph::Fold::new(Arc::clone(&o), Vec::new(), Limits::default());
        fold.fold(&together(&batches), minute(1_000));
        let graph = fold.graph();
        let view = View { graph: &graph, as_of: minute(25) };
        let all = Reach { weight: 0.0, hops: 1_000, facts: u32::MAX };
        for name in ["rests_on", "exposed_to", "far", "near", "lonely", "suspects"] {
            let what = view.derived(name).unwrap();
            let ends = if name == "lonely" { vec![None] } else { vec![None, None] };
            let full = view.follows(what, &ends, minute(15), all);
            let some = view.follows(what, &ends, minute(15), Reach { weight, hops, facts });
            let full: BTreeMap<_, _> = full.found.iter().map(|f| (&f.ends, f.weight)).collect();
            for f in &some.found {
                prop_assert!(full.get(&f.ends).is_some_and(|w| *w >= f.weight - 1e-9));
            }
            prop_assert!(some.cut_off.any() || some.found.len() == full.len());
        }
    }
}
