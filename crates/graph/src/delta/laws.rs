//! Laws of differences, against pictures of whole graphs: whatever came late, was joined, let go or forgotten in between.

use super::{Delta, Pair, delta, delta_by_keys};
use crate::flows::Side;
use crate::series::CohortId;
use crate::topology::{EdgeId, Graph, NodeId};
use crate::{Fold, Kind, Limits, Stat};
use ontology::fact::{Batch, Draft, Fact, ItemId, Key, Observation, Ref};
use ontology::{Minute, Ontology, Time, Value};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};

/// Everything a graph says, by keys.
#[derive(Clone, Debug, Default, PartialEq)]
struct Picture {
    nodes: BTreeMap<u64, String>,
    edges: BTreeMap<(u64, u16, u64), String>,
    series: BTreeMap<(u16, u64, Vec<u64>), String>,
}

fn keys(graph: &Graph, cohort: CohortId) -> Vec<u64> {
    let mut keys: Vec<u64> = graph.cohort(cohort).iter().map(|n| graph.order(*n)).collect();
    keys.sort_unstable();
    keys
}

fn node(graph: &Graph, id: NodeId) -> String {
    let n = graph.raw(id).unwrap();
    let attrs: BTreeMap<u32, String> =
        n.attrs.iter().map(|(a, s)| (a.0.into(), s.value.to_string())).collect();
    let owners: BTreeSet<u64> = n.owners.iter().map(|o| graph.order(*o)).collect();
    format!("{:?} {attrs:?} {:?} {:?} {:?} {owners:?}", n.class, n.seen, n.ended, graph.told_by(id))
}

type Went = BTreeMap<(u32, bool, Vec<u64>, i64), Stat>;

/// By edge, all that went along it, cell by cell.
fn traffic(graph: &Graph) -> Went {
    let all = graph.flows.all(Minute(i64::MIN / 2), Minute(i64::MAX / 2));
    all.into_iter().map(|(e, s, c, m, stat)| ((e.0, s == Side::Asked, keys(graph, c), m.0), stat)).collect()
}

fn edge(graph: &Graph, id: EdgeId, went: &Went) -> String {
    let e = graph.edge(id).unwrap();
    let flow: Vec<String> = went
        .iter()
        .filter(|(k, _)| k.0 == id.0)
        .map(|(k, s)| format!("{} {:?} {}: {s:?}", k.1, k.2, k.3))
        .collect();
    format!("{:?} {:?} {:?} {flow:?}", e.seen, graph.edge_ended(e), graph.edge_sources(id))
}

fn edge_key(graph: &Graph, id: EdgeId) -> (u64, u16, u64) {
    let e = graph.edge(id).unwrap();
    (graph.order(e.from), e.relation.0, graph.order(e.to))
}

fn series_key(graph: &Graph, id: crate::SeriesId) -> (u16, u64, Vec<u64>) {
    let s = graph.series_at(id).unwrap();
    (s.measure.0, graph.order(s.subject), keys(graph, s.cohort))
}

fn series(graph: &Graph, id: crate::SeriesId) -> String {
    let s = graph.series_at(id).unwrap();
    let (from, to) = (Minute(i64::MIN), Minute(i64::MAX));
    format!("{:?} {:?}", s.between(from, to), s.growth(from, to).collect::<Vec<_>>())
}

impl Picture {
    fn of(graph: &Graph) -> Picture {
        let went = traffic(graph);
        let nodes = (0..).map(NodeId).take(graph.nodes.len()).filter(|n| graph.raw(*n).is_some());
        let all = (0..).map(crate::SeriesId).zip(&graph.series).filter(|(_, s)| s.extent().is_some());
        Picture {
            nodes: nodes.map(|n| (graph.order(n), node(graph, n))).collect(),
            edges: graph.edges().map(|(id, _)| (edge_key(graph, id), edge(graph, id, &went))).collect(),
            series: all.map(|(id, _)| (series_key(graph, id), series(graph, id))).collect(),
        }
    }

    /// What a difference makes of it.
    fn apply(mut self, of: &Delta, before: &Graph, after: &Graph) -> Picture {
        fn put<K: Ord, T: Copy>(
            all: &mut BTreeMap<K, String>,
            pairs: &[Pair<T>],
            was: impl Fn(T) -> K,
            is: impl Fn(T) -> (K, String),
        ) {
            for p in pairs {
                p.before.iter().for_each(|x| assert!(all.remove(&was(*x)).is_some(), "it was there"));
            }
            for (key, told) in pairs.iter().filter_map(|p| p.after.map(&is)) {
                assert!(all.insert(key, told).is_none(), "each thing is told of once");
            }
        }
        let went = traffic(after);
        put(&mut self.nodes, &of.nodes, |n| before.order(n), |n| (after.order(n), node(after, n)));
        put(
            &mut self.edges,
            &of.edges,
            |e| edge_key(before, e),
            |e| (edge_key(after, e), edge(after, e, &went)),
        );
        put(
            &mut self.series,
            &of.series,
            |s| series_key(before, s),
            |s| (series_key(after, s), series(after, s)),
        );
        self
    }

    /// What differs, looked up one by one.
    fn differs(&self, other: &Picture) -> Said {
        fn each<K: Ord + Clone>(a: &BTreeMap<K, String>, b: &BTreeMap<K, String>) -> BTreeMap<K, Kind> {
            let all: BTreeSet<&K> = a.keys().chain(b.keys()).collect();
            let kind = |k: &K| match (a.get(k), b.get(k)) {
                (None, _) => Some(Kind::Added),
                (_, None) => Some(Kind::Removed),
                (x, y) => (x != y).then_some(Kind::Changed),
            };
            all.into_iter().filter_map(|k| Some((k.clone(), kind(k)?))).collect()
        }
        (each(&self.nodes, &other.nodes), each(&self.edges, &other.edges), each(&self.series, &other.series))
    }
}

type Said = (BTreeMap<u64, Kind>, BTreeMap<(u64, u16, u64), Kind>, BTreeMap<(u16, u64, Vec<u64>), Kind>);

fn said(of: &Delta, before: &Graph, after: &Graph) -> Said {
    fn each<K: Ord, T: Copy>(
        pairs: &[Pair<T>],
        was: impl Fn(T) -> K,
        is: impl Fn(T) -> K,
    ) -> BTreeMap<K, Kind> {
        pairs.iter().filter_map(|p| Some((p.before.map(&was).or(p.after.map(&is))?, p.kind()))).collect()
    }
    (
        each(&of.nodes, |n| before.order(n), |n| after.order(n)),
        each(&of.edges, |e| edge_key(before, e), |e| edge_key(after, e)),
        each(&of.series, |s| series_key(before, s), |s| series_key(after, s)),
    )
}

fn minute(m: i64) -> Time {
    Time::from_secs(1_800_000_000 + m * 60)
}

/// One statement: what, about whom, when.
type Told = (u8, u8, u8, i64, u8);

fn told() -> impl Strategy<Value = Vec<Told>> {
    proptest::collection::vec((0u8..8, 0u8..6, 0u8..6, 0i64..400, 0u8..200), 0..50)
}

fn batch(o: &Ontology, (what, a, b, m, x): Told) -> Batch {
    let draft = |class: &str, primary: Option<u8>, weaker: Option<u8>, name: u8| {
        let of = o.class(class).unwrap();
        let key = |slot: u8, k: u8| Key {
            slot,
            hash: (u128::from(of.0) << 32 | u128::from(slot) << 16 | (u128::from(k) + 1)) << 64
                | u128::from(k),
        };
        let keys = primary.map(|k| key(0, k)).into_iter().chain(weaker.map(|k| key(1, k))).collect();
        let attr = o.attr(of, "name").map(|at| (at, Value::text(format!("{class}{name}"))));
        Draft { class: of, keys, attrs: attr.into_iter().collect() }
    };
    let service = |k: u8| draft("Service", (k % 3 != 2).then_some(k), Some(k % 2), x % 2);
    let relation = |name: &str| o.relation(name).unwrap();
    let (at, id) = (minute(m), ItemId(u64::from_le_bytes([what, a, b, x, m as u8, (m >> 8) as u8, 0, 0])));
    let (drafts, fact) = match what {
        0 => (vec![service(a)], Fact::Seen { entity: Ref(0), at }),
        1 => {
            let drafts =
                vec![draft("Interaction", Some(a * 6 + b), None, 0), draft("View", Some(x % 3), None, 0)];
            (
                drafts,
                Fact::Related { relation: relation("of_view"), from: Ref(0), to: Ref(1), at, until: None },
            )
        }
        2 => {
            let drafts = vec![draft("Instance", Some(a), None, 0), draft("Host", Some(b % 2), None, x % 3)];
            let until = (x % 4 == 0).then(|| minute(m + i64::from(x)));
            (drafts, Fact::Related { relation: relation("runs_on"), from: Ref(0), to: Ref(1), at, until })
        }
        3 => (vec![draft("Host", Some(b % 2), None, x % 3)], Fact::Ended { entity: Ref(0), at }),
        4 => {
            let (subject, cohort) = (draft("Host", Some(a % 2), None, 0), service(b));
            let value = Observation::One(f64::from(x));
            let measure = o.measure("host.pressure").unwrap();
            (
                vec![subject, cohort],
                Fact::Sample { id, measure, subject: Ref(0), cohort: [Ref(1)].into(), at, value },
            )
        }
        _ => {
            let drafts = vec![service(a), service(b), draft("Host", Some(x % 2), None, 0)];
            let fact = Fact::Call {
                id,
                relation: relation("depends_on"),
                from: Ref(0),
                to: Ref(1),
                cohort: [Ref(2)].into(),
                at,
                lasted_ns: i64::from(x) * 1_000_000,
                failed: x % 5 == 0,
            };
            (drafts, fact)
        }
    };
    let source = ["otlp", "alertmanager", "catalog"][usize::from(x) % 3].to_owned();
    Batch { source, drafts, facts: vec![fact], ..Batch::default() }
}

/// Two epochs of a writer that forgets soon, holds few sampled nodes, and was read in between.
fn lineage(first: &[Told], then: &[Told]) -> (Graph, Graph) {
    static BUILTIN: OnceLock<Arc<Ontology>> = OnceLock::new();
    let o = BUILTIN.get_or_init(|| Arc::new(Ontology::builtin()));
    let limits = Limits { sampled_nodes: 5, hours: 2, ..Limits::default() };
    let mut fold = Fold::new(Arc::clone(o), Vec::new(), limits);
    let mut tell = |told: &[Told]| {
        for (i, t) in told.iter().enumerate() {
            fold.fold(&batch(o, *t), minute(t.3 + 1));
            if i % 7 == 3 {
                fold.graph();
            }
        }
        fold.graph()
    };
    (tell(first), tell(then))
}

proptest! {
    #[test]
    fn what_pages_and_runs_say_is_what_pictures_of_the_whole_say(first in told(), then in told()) {
        let (a, b) = lineage(&first, &then);
        let (was, is) = (Picture::of(&a), Picture::of(&b));
        for (x, y, p, q) in [(&a, &b, &was, &is), (&b, &a, &is, &was)] {
            let found = delta(x, y);
            prop_assert_eq!(said(&found, x, y), p.differs(q));
            prop_assert_eq!(found.nodes.len() + found.edges.len() + found.series.len(), {
                let (n, e, s) = p.differs(q);
                n.len() + e.len() + s.len()
            });
            prop_assert_eq!(&p.clone().apply(&found, x, y), q);
            let by_keys = delta_by_keys(x, y);
            prop_assert_eq!(said(&by_keys, x, y), p.differs(q));
            prop_assert_eq!(&p.clone().apply(&by_keys, x, y), q);
        }
    }

    #[test]
    fn nothing_differs_from_itself_and_graphs_of_two_writers_are_compared_by_keys(first in told(), then in told()) {
        let (a, b) = lineage(&first, &then);
        prop_assert!(delta(&a, &a).is_empty());
        prop_assert!(delta_by_keys(&a, &a).is_empty());
        let (other_a, other_b) = lineage(&first, &then);
        prop_assert!(!a.is_epoch_of(&other_a) && a.is_epoch_of(&b));
        prop_assert!(delta(&a, &other_a).is_empty() && delta(&other_b, &b).is_empty());
        prop_assert_eq!(said(&delta(&a, &other_b), &a, &other_b), said(&delta(&a, &b), &a, &b));
    }
}
