//! What is read of history is what the graph said.

use super::{Cut, PastBounds, Pasts};
use crate::tests::{block, builtin, draft, epoch, memory, minute, write};
use crate::{Epoch, Place, SqlError, Writer};
use graph::{Direction, Fold, Graph, Limits};
use ontology::fact::{Batch, Fact, ItemId, Observation, Ref, StreamId};
use ontology::{Minute, Ontology, Stretch, Time};
use proptest::prelude::*;
use query::{Moment, View};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

type Told = (u8, u8, u8, i64);

/// What a slow machine does not reach.
fn bounds() -> PastBounds {
    PastBounds { time: Duration::from_secs(600), ..PastBounds::default() }
}

/// One small random statement of any kind that history keeps.
fn statement(o: &Ontology, (kind, a, b, m): Told) -> Batch {
    let at = minute(m);
    let id = ItemId(u64::from(kind) << 48 | u64::from(a) << 40 | u64::from(b) << 32 | m.cast_unsigned());
    let related = |relation: &str, until| {
        vec![Fact::Related { relation: o.relation(relation).unwrap(), from: Ref(0), to: Ref(1), at, until }]
    };
    let seen = |n: u32| (0..n).map(move |e| Fact::Seen { entity: Ref(e), at });
    let sample = |measure: &str, value| {
        let cohort: Arc<[Ref]> = Arc::new([Ref(1), Ref(2)]);
        vec![Fact::Sample { id, measure: o.measure(measure).unwrap(), subject: Ref(0), cohort, at, value }]
    };
    let call = |relation: &str| {
        vec![Fact::Call {
            id,
            relation: o.relation(relation).unwrap(),
            from: Ref(0),
            to: Ref(1),
            cohort: Arc::new([Ref(2)]),
            at,
            lasted_ns: (i64::from(a) * 7 + i64::from(b) + 1) * 1_234_567,
            failed: b == 0,
        }]
    };
    let d = |class: &str, key: u8| draft(o, class, key);
    let (drafts, facts) = match kind % 13 {
        0 => (vec![d("Service", a)], seen(1).collect()),
        1 => (vec![d("Instance", a), d("Host", b)], seen(2).chain(related("runs_on", None)).collect()),
        // Told by its relations alone.
        2 => (vec![d("Service", a), d("Team", b)], seen(1).chain(related("owned_by", None)).collect()),
        3 => (
            vec![d("View", a), d("AppVersion", b), d("Place", b)],
            sample("view.ttr", Observation::One(f64::from(a) * 100.7 + f64::from(b))),
        ),
        4 => {
            let value = Observation::Cumulative {
                stream: StreamId(u64::from(b)),
                start: Time::EPOCH,
                value: m as f64 / 3.0,
            };
            (vec![d("Host", a), d("AppVersion", b), d("Place", b)], sample("host.pressure", value))
        }
        5 => (
            vec![d("Operation", a), d("Operation", b + 4), d("Host", b)],
            seen(2).chain(call("calls")).collect(),
        ),
        // What a thing is part of never changes.
        6 => {
            (vec![d("Operation", a), d("Service", a)], seen(2).chain(related("operation_of", None)).collect())
        }
        7 => (
            vec![d("Operation", a + 4), d("Service", a + 1)],
            seen(2).chain(related("operation_of", None)).collect(),
        ),
        8 => (
            vec![d("Deployment", a), d("ServiceVersion", a)],
            seen(1).chain(related("deploys", (b == 0).then(|| minute(m + 30)))).collect(),
        ),
        9 => (
            vec![d("Session", a * 4 + b), d("Place", a)],
            seen(1).chain(related("from_place", None)).collect(),
        ),
        10 => (
            vec![d("Interaction", a * 4 + b), d("View", a)],
            seen(1).chain(related("of_view", None)).collect(),
        ),
        11 => (
            vec![d("Interaction", a * 4 + b), d("Operation", b)],
            seen(1).chain(related("called", None)).collect(),
        ),
        _ => (
            vec![d("Workload", a)],
            seen(1).chain((b == 0).then_some(Fact::Ended { entity: Ref(0), at })).collect(),
        ),
    };
    Batch { source: "otlp".to_owned(), drafts, facts, ..Batch::default() }
}

fn told(fold: &mut Fold, o: &Ontology, all: &[Told]) {
    for s in all {
        fold.fold(&statement(o, *s), minute(100_000));
    }
}

fn name(o: &Ontology, graph: &Graph, node: graph::NodeId) -> String {
    let class = graph.node(node).map_or("?", |n| o.class_name(n.class));
    // What a name is put together of may have been told later than what history was asked for.
    format!("{class} {}", graph.id(node))
}

/// Who was there at a moment, with what was known of them, and what held.
fn at(graph: &Graph, at: Time) -> BTreeSet<String> {
    let o = graph.ontology();
    let moment = Moment::of(&View { graph, as_of: at.minute().plus(1).start() });
    let mut said = BTreeSet::new();
    for node in moment.nodes() {
        let seen = moment.seen(*node);
        // Sessions are looked for in the hours around; when they were seen before does not matter to who is there.
        let (last, ended) = (seen.map(|s| s.1), graph.node(*node).and_then(|n| n.ended).filter(|e| *e <= at));
        let first = seen.map(|s| s.0).filter(|_| !graph.is_sampled(*node));
        let attrs = graph.attrs(*node);
        said.insert(format!(
            "{} {first:?} {last:?} {ended:?} {attrs:?} {:?}",
            name(o, graph, *node),
            graph.node_sources(*node)
        ));
        for held in moment.held(*node) {
            let first = held.seen.map(|s| s.0);
            let sources: BTreeSet<&str> = held.edges.iter().flat_map(|e| graph.edge_sources(*e)).collect();
            said.insert(format!(
                "{} {} {} {first:?} {sources:?}",
                name(o, graph, *node),
                o.relation_name(held.relation),
                name(o, graph, held.to)
            ));
        }
    }
    said
}

/// Class and id: what nobody saw or related, but only measured, has no name of its own in history.
fn id(o: &Ontology, graph: &Graph, node: graph::NodeId) -> String {
    format!("{} {}", graph.node(node).map_or("?", |n| o.class_name(n.class)), graph.id(node))
}

/// What went along edges and what was measured in a stretch.
fn figures(graph: &Graph, during: Stretch) -> BTreeMap<String, graph::Stat> {
    let o = graph.ontology();
    let cohort = |c| graph.cohort_members(c).into_iter().map(|n| id(o, graph, n)).collect::<BTreeSet<_>>();
    let mut all = BTreeMap::new();
    for f in graph.flows_during(during) {
        let e = graph.edge(f.edge).unwrap();
        let ends = (id(o, graph, e.from), id(o, graph, e.to));
        all.insert(
            format!("{:?} {ends:?} {:?} {:?} {:?}", e.relation, f.side, cohort(f.cohort), f.minute),
            f.stat,
        );
    }
    for s in graph.every_series() {
        let of = format!("{:?} {} {:?}", s.measure, id(o, graph, s.subject), cohort(s.cohort));
        let (from, to) = (during.from.minute(), during.to.minute());
        all.extend(s.between(from, to).iter().map(|(m, stat)| (format!("{of} {m:?}"), stat.clone())));
        for (m, grown) in s.growth(from, to) {
            all.insert(format!("{of} {m:?} grew by {grown}"), graph::Stat::default());
        }
    }
    all
}

fn moment(m: i64) -> Stretch {
    Stretch { from: minute(m), to: minute(m) }
}

async fn of(pasts: &Pasts, o: &Arc<Ontology>, m: i64, epoch: Option<&Epoch>) -> Arc<super::Earlier> {
    pasts.of(&[moment(m)], o, epoch, &bounds()).await.unwrap()
}

async fn written(o: &Arc<Ontology>, all: &[Told]) -> (Fold, Place) {
    let place = memory();
    let mut fold = Fold::new(Arc::clone(o), Vec::new(), Limits::default());
    told(&mut fold, o, all);
    told(&mut fold, o, &[(0, 0, 0, 2_000)]);
    write(&mut Writer::new(place.clone()), &epoch(&mut fold)).await;
    (fold, place)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    /// The graph at a moment, and the graph that history makes of that moment, say the same.
    #[test]
    fn a_moment_of_the_graph_is_that_moment_of_history(
        all in proptest::collection::vec((0u8..13, 0u8..4, 0u8..4, 0i64..900), 1..160),
        moments in proptest::collection::vec(0i64..960, 3),
    ) {
        block(async {
            let o = builtin();
            let (mut fold, place) = written(&o, &all).await;
            let (hot, pasts) = (fold.graph(), Pasts::new(Some(place)));
            let first = all.iter().map(|s| s.3).min().unwrap();
            for m in moments.into_iter().map(|m| m.max(first)) {
                let found = pasts.of(&[moment(m)], &o, None, &bounds()).await;
                let Ok(earlier) = found else {
                    // The first reading of a counter says nothing yet.
                    let until = Stretch { from: minute(0), to: minute(m + 1) };
                    assert!(at(&hot, minute(m)).is_empty() && figures(&hot, until).is_empty(), "at minute {m}: {found:?}");
                    continue;
                };
                assert_eq!(at(&hot, minute(m)), at(&earlier.graph, minute(m)), "at minute {m}");
                assert_eq!(figures(&hot, earlier.of[0]), figures(&earlier.graph, earlier.of[0]), "before minute {m}");
            }
        });
    }
}

/// Something of every kind in fifteen hours.
fn world() -> Vec<Told> {
    (0..900).map(|n: i64| ((n % 13) as u8, (n / 3 % 4) as u8, (n / 7 % 4) as u8, n)).collect()
}

#[test]
fn what_the_graph_forgot_is_read_from_history() {
    block(async {
        let o = builtin();
        let (mut whole, place) = written(&o, &world()).await;
        let mut fold =
            Fold::new(Arc::clone(&o), Vec::new(), Limits { hours: 6, sampled_nodes: 3, ..Limits::default() });
        told(&mut fold, &o, &world());
        told(&mut fold, &o, &[(0, 0, 0, 2_000)]);
        let (now, hot, pasts) = (epoch(&mut fold), whole.graph(), Pasts::new(Some(place)));
        let m = 400;
        assert!(now.whole_from.is_some_and(|w| w > minute(m).minute()));
        assert_ne!(figures(&hot, moment_hours(m)), figures(&now.graph, moment_hours(m)));
        let earlier = of(&pasts, &o, m, Some(&now)).await;
        assert_eq!(figures(&hot, earlier.of[0]), figures(&earlier.graph, earlier.of[0]));
        assert_eq!(at(&hot, minute(m)), at(&earlier.graph, minute(m)));
        // What follows was drawn: views are backed by what sessions called.
        let backed = o.relation("backed_by").unwrap();
        let view = earlier.graph.of_class(o.class("View").unwrap())[0];
        assert!(!earlier.graph.follow(view, backed, Direction::Out).is_empty());
        // The same again is the same graph, until history is another.
        assert!(Arc::ptr_eq(&earlier, &of(&pasts, &o, m + 1, Some(&now)).await));
    });
}

fn moment_hours(m: i64) -> Stretch {
    Stretch { from: minute(m - 60), to: minute(m) }
}

#[test]
fn late_facts_show_once_their_hour_is_written_again() {
    block(async {
        let o = builtin();
        let (mut fold, place) = written(&o, &world()).await;
        let pasts = Pasts::new(Some(place.clone()));
        let before = of(&pasts, &o, 400, None).await;
        told(&mut fold, &o, &[(3, 3, 0, 401), (3, 3, 1, 401), (1, 3, 3, 401)]);
        write(&mut Writer::new(place), &epoch(&mut fold)).await;
        let after = of(&pasts, &o, 400, None).await;
        assert!(!Arc::ptr_eq(&before, &after));
        assert_eq!(figures(&fold.graph(), after.of[0]), figures(&after.graph, after.of[0]));
    });
}

#[test]
fn of_a_wide_stretch_what_is_kept_is_read_and_before_it_is_told() {
    block(async {
        let o = builtin();
        let (mut fold, place) = written(&o, &world()).await;
        // Nothing was forgotten yet, however early what nobody told of is.
        assert_eq!(fold.whole_from(), None);
        let pasts = Pasts::new(Some(place));
        let wide = Stretch { from: Time::EPOCH, to: minute(1_000_000) };
        let hours = PastBounds { hours: 40, ..bounds() };
        let earlier = pasts.of(&[wide], &o, None, &hours).await.unwrap();
        assert_eq!(figures(&fold.graph(), earlier.of[0]), figures(&earlier.graph, earlier.of[0]));
        let before = Stretch { from: Time::EPOCH, to: Time::EPOCH };
        assert!(matches!(pasts.of(&[before], &o, None, &hours).await, Err(SqlError::Unknown(_))));
    });
}

#[test]
fn bounds_are_told_when_they_are_reached() {
    block(async {
        let o = builtin();
        let (_, place) = written(&o, &world()).await;
        let pasts = Pasts::new(Some(place));
        let few = PastBounds { rows: 50, ..bounds() };
        let earlier = pasts.of(&[moment(400)], &o, None, &few).await.unwrap();
        assert_eq!(earlier.cut, Some(Cut::Rows));
        assert!(earlier.note().contains("history_graph_rows"), "{}", earlier.note());
        let few = PastBounds { bytes: 1, ..bounds() };
        // What was kept of the same hours was made under other bounds; this is another moment.
        let earlier = pasts.of(&[moment(700)], &o, None, &few).await.unwrap();
        assert_eq!(earlier.cut, Some(Cut::Bytes));
        let long = Stretch { from: minute(0), to: minute(60 * 100) };
        let few = PastBounds { hours: 10, ..bounds() };
        let refused = pasts.of(&[long], &o, None, &few).await.unwrap_err();
        assert!(matches!(&refused, SqlError::Wrong(why) if why.contains("history_graph_hours")), "{refused}");
        let early = pasts.of(&[moment(-100_000)], &o, None, &bounds()).await.unwrap_err();
        assert!(matches!(&early, SqlError::Unknown(why) if why.contains("begin at")), "{early}");
        let nothing = Pasts::new(Some(memory()));
        let none = nothing.of(&[moment(0)], &o, None, &bounds()).await.unwrap_err();
        assert!(matches!(none, SqlError::Unknown(_)));
        assert_eq!(nothing.last().await.unwrap(), None);
        assert!(pasts.last().await.unwrap().is_some_and(|l| l.minute() > Minute(0)));
    });
}
