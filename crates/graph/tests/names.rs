//! Looking a name up finds what naming every node finds: after every batch, in the newest epoch and in older ones.

use graph::{Fold, Graph, Limits, NodeId};
use ontology::fact::{Batch, Draft, Fact, Key, Ref};
use ontology::{ClassId, Ontology, RelationId, Time, Value};
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::sync::Arc;

struct World {
    ontology: Arc<Ontology>,
}

/// A class, the place of a node among its own, and which of its keys are said.
struct Who<'a> {
    class: &'a str,
    full: bool,
    primary: u8,
    weaker: Option<u8>,
}

impl World {
    fn class(&self, name: &str) -> ClassId {
        self.ontology.class(name).unwrap()
    }

    fn relation(&self, name: &str) -> RelationId {
        self.ontology.relation(name).unwrap()
    }

    fn draft(&self, who: &Who<'_>, attrs: &[(&str, String)]) -> Draft {
        let class = self.class(who.class);
        let hash = |slot: u8, n: u8| {
            (u128::from(class.0) << 16 | u128::from(slot) << 8 | u128::from(n)) << 64 | u128::from(n)
        };
        let mut keys = Vec::new();
        if who.full || who.weaker.is_none() {
            keys.push(Key { slot: 0, hash: hash(0, who.primary) });
        }
        keys.extend(who.weaker.map(|w| Key { slot: 1, hash: hash(1, w) }));
        let attrs = attrs
            .iter()
            .filter_map(|(name, value)| Some((self.ontology.attr(class, name)?, Value::text(value))));
        Draft { class, keys, attrs: attrs.collect() }
    }

    fn batch(&self, (kind, a, b, c, minute): (u8, u8, u8, u8, i64)) -> Batch {
        let source = ["otlp", "catalog", "kubernetes"][usize::from(c) % 3].to_owned();
        let at = Time::from_secs(1_800_000_000 + minute * 60);
        let who = |class, n: u8| Who {
            class,
            full: !b.is_multiple_of(3),
            primary: n % 4,
            weaker: (!c.is_multiple_of(4)).then_some(n % 3),
        };
        let service = || self.draft(&who("Service", b), &[("name", format!("s{}", c % 3))]);
        let cluster = || self.draft(&who("Cluster", b), &[("name", format!("c{}", a % 3))]);
        let related = |relation| Fact::Related {
            relation: self.relation(relation),
            from: Ref(0),
            to: Ref(1),
            at,
            until: None,
        };
        let (drafts, facts) = match kind % 6 {
            0 => (vec![service()], vec![Fact::Seen { entity: Ref(0), at }]),
            1 => {
                let operation = self.draft(&who("Operation", a), &[("name", format!("o{}", a % 4))]);
                (vec![operation, service()], vec![related("operation_of")])
            }
            2 => (vec![cluster()], vec![Fact::Seen { entity: Ref(0), at }]),
            3 => {
                let workload = self.draft(&who("Workload", a), &[("name", format!("w{}", c % 2))]);
                (vec![workload, cluster()], vec![related("in_cluster")])
            }
            4 => {
                let session = Who { class: "Session", full: true, primary: a, weaker: None };
                let session = self.draft(&session, &[("session_id", format!("session-{a}"))]);
                (vec![session], vec![Fact::Seen { entity: Ref(0), at }])
            }
            _ => {
                let host = self.draft(&who("Host", a), &[("name", format!("h{}", b % 3))]);
                (vec![host, cluster()], vec![related("in_cluster")])
            }
        };
        Batch { source, drafts, facts, ..Batch::default() }
    }

    /// Every name of every class, looked up and found by naming all.
    fn check(&self, graph: &Graph) -> Result<(), TestCaseError> {
        for class in ["Service", "Operation", "Cluster", "Workload", "Host", "Session", "Component"] {
            let class = self.class(class);
            let all: Vec<NodeId> = graph.of_class(class);
            let mut names: BTreeSet<String> = all.iter().map(|n| graph.name(*n)).collect();
            names.extend(["s0", "s1", "s2", "c0", "h1", "c0/w0", "s1/o1"].map(str::to_owned));
            for name in names {
                let mut scanned: Vec<NodeId> =
                    all.iter().copied().filter(|n| graph.name(*n) == name).collect();
                let mut found = graph.all_named(class, &name);
                scanned.sort_unstable();
                found.sort_unstable();
                prop_assert_eq!(found, scanned, "{}", name);
            }
        }
        Ok(())
    }
}

proptest! {
    #[test]
    fn a_name_leads_to_every_node_that_has_it(
        said in proptest::collection::vec((0u8..6, 0u8..24, 0u8..24, 0u8..24, 0i64..90, any::<bool>()), 1..60),
        old in any::<prop::sample::Index>(),
    ) {
        let world = World { ontology: Arc::new(Ontology::builtin()) };
        let limits = Limits { sampled_nodes: 5, ..Limits::default() };
        let mut fold = Fold::new(Arc::clone(&world.ontology), vec!["catalog".to_owned()], limits);
        let mut epochs: Vec<Graph> = Vec::new();
        for (kind, a, b, c, minute, ask) in said {
            fold.fold(&world.batch((kind, a, b, c, minute)), Time::from_secs(1_800_100_000));
            epochs.push(fold.graph());
            if ask {
                world.check(&epochs[epochs.len() - 1])?;
            }
        }
        world.check(&epochs[old.index(epochs.len())])?;
        world.check(&epochs[epochs.len() - 1])?;
    }

    #[test]
    fn what_is_told_in_order_is_all_that_stands(
        said in proptest::collection::vec((0u8..6, 0u8..24, 0u8..24, 0u8..24, 0i64..90), 1..60),
    ) {
        let world = World { ontology: Arc::new(Ontology::builtin()) };
        let limits = Limits { sampled_nodes: 5, ..Limits::default() };
        let mut fold = Fold::new(Arc::clone(&world.ontology), Vec::new(), limits);
        for s in said {
            fold.fold(&world.batch(s), Time::from_secs(1_800_100_000));
            let graph = fold.graph();
            for class in (0..).map(ClassId).take(world.ontology.classes.len()) {
                let mut scanned: Vec<NodeId> = graph.of_exactly(class).collect();
                scanned.sort_unstable_by_key(|n| graph.id(*n));
                let told: Vec<NodeId> = graph.in_order(class).collect();
                prop_assert_eq!(told, scanned);
            }
            for relation in (0..).map(RelationId).take(world.ontology.relations.len()) {
                let count = graph.edges().filter(|(_, e)| e.relation == relation).count();
                prop_assert_eq!(graph.edge_count(relation), count);
            }
        }
    }
}
