//! Laws of folding: order, repetition and batching of facts change nothing; a thing compared with itself does not differ.

use graph::{Fold, Graph, Half, Limits, NodeId, Restore, diff};
use ontology::fact::{Batch, Draft, Fact, ItemId, Key, Observation, Ref, Side, Step, StreamId, Upward};
use ontology::{ClassId, Ontology, Stretch, Time, Value};
use proptest::prelude::*;
use std::sync::Arc;

fn ontology() -> Arc<Ontology> {
    Arc::new(Ontology::builtin())
}

fn class(o: &Ontology, name: &str) -> ClassId {
    o.class(name).unwrap()
}

/// A draft whose keys are numbers: slot 0 and, when given, slot 1.
fn draft(o: &Ontology, of: &str, primary: Option<u128>, weaker: Option<u128>, name: &str) -> Draft {
    let of = class(o, of);
    let base = u128::from(of.0) << 100;
    let mut keys = Vec::new();
    keys.extend(primary.map(|k| Key { slot: 0, hash: base | (k << 64) | k }));
    keys.extend(weaker.map(|k| Key { slot: 1, hash: base | (1 << 99) | (k << 64) | k }));
    Draft { class: of, keys, attrs: vec![(o.attr(of, "name").unwrap(), Value::text(name))] }
}

fn minute(m: i64) -> Time {
    Time::from_secs(1_800_000_000 + m * 60)
}

/// One small random statement as a batch of its own.
fn statement(o: &Ontology, kind: u8, a: u8, b: u8, m: i64, value: f64) -> Batch {
    let mut batch = Batch {
        source: ["otlp", "alertmanager", "catalog"][usize::from(a) % 3].to_owned(),
        ..Batch::default()
    };
    let service = |k: u8, full: bool| {
        draft(
            o,
            "Service",
            full.then_some(u128::from(k % 3)),
            Some(u128::from(k % 2)),
            &format!("s{}", k % 2),
        )
    };
    let host = |k: u8| draft(o, "Host", Some(u128::from(k % 3)), None, &format!("h{}", k % 3));
    let at = minute(m);
    let id = ItemId(
        u64::from(kind) << 48
            | u64::from(a) << 40
            | u64::from(b) << 32
            | (m as u64) << 8
            | (value as u64 & 0xff),
    );
    match kind % 6 {
        0 => {
            batch.drafts = vec![service(a, b.is_multiple_of(2))];
            batch.facts = vec![Fact::Seen { entity: Ref(0), at }];
        }
        1 => {
            let instance = Draft { attrs: Vec::new(), ..draft(o, "Host", Some(9), None, "") };
            let instance = Draft {
                class: class(o, "Instance"),
                keys: vec![Key { slot: 0, hash: u128::from(a % 4) | 7 << 120 }],
                ..instance
            };
            batch.drafts = vec![instance, host(b)];
            batch.facts = vec![Fact::Related {
                relation: o.relation("runs_on").unwrap(),
                from: Ref(0),
                to: Ref(1),
                at,
                until: None,
            }];
        }
        2 | 3 => {
            batch.drafts = vec![host(a), service(b, true)];
            let cohort: Arc<[Ref]> = Arc::new([Ref(1)]);
            let value = if kind.is_multiple_of(2) {
                Observation::One(value)
            } else {
                // Some say since when they count, some do not.
                let start = if b.is_multiple_of(2) { minute(0) } else { Time::EPOCH };
                Observation::Cumulative { stream: StreamId(u64::from(b % 3)), start, value: value.floor() }
            };
            batch.facts = vec![Fact::Sample {
                id,
                measure: o.measure("host.pressure").unwrap(),
                subject: Ref(0),
                cohort,
                at,
                value,
            }];
        }
        4 => {
            batch.drafts = vec![service(a, true), service(b, true), host(a)];
            batch.facts = vec![Fact::Call {
                id,
                relation: o.relation("depends_on").unwrap(),
                from: Ref(0),
                to: Ref(1),
                cohort: Arc::new([Ref(2)]),
                at,
                lasted_ns: (value as i64 & 0xff) * 1_000_000 + 1,
                failed: a.is_multiple_of(2),
            }];
        }
        _ => {
            // A step of one of two traces; parents may come later, or never. The same span always says the same: an id
            // stands for one item.
            let a = a % 6;
            let operation = |k: u8| Draft {
                class: class(o, "Operation"),
                keys: vec![Key { slot: 0, hash: u128::from(k % 4) | 5 << 120 }],
                attrs: vec![(
                    o.attr(class(o, "Operation"), "name").unwrap(),
                    Value::text(format!("op{}", k % 4)),
                )],
            };
            batch.drafts = vec![operation(a)];
            let span = u64::from(a) + 1;
            let parent = (a > 0).then(|| u64::from(a));
            let upward =
                Upward { from: class(o, "Operation"), relation: o.relation("calls").unwrap(), to: Ref(0) };
            batch.facts = vec![Fact::Step(Step {
                id: ItemId(u64::from(b % 2) << 32 | span),
                trace: u128::from(b % 2) + 1,
                span,
                parent,
                from: minute(i64::from(a)),
                to: minute(i64::from(a)).plus_nanos(5_000_000),
                failed: a == 3,
                side: if a.is_multiple_of(2) { Side::Answering } else { Side::Asking },
                here: Arc::new([Ref(0)]),
                upward: [upward].into(),
            })];
        }
    }
    batch
}

fn fold(o: &Arc<Ontology>, batches: &[Batch]) -> Graph {
    let mut fold = Fold::new(Arc::clone(o), vec!["otlp".to_owned(), "catalog".to_owned()], Limits::default());
    for batch in batches {
        fold.fold(batch, minute(1_000));
    }
    fold.graph()
}

/// Two batches as one.
fn together(a: &Batch, b: &Batch) -> Option<Batch> {
    if a.source != b.source {
        return None;
    }
    let shift = u32::try_from(a.drafts.len()).unwrap();
    let moved = |r: Ref| Ref(r.0 + shift);
    let many = |rs: &Arc<[Ref]>| rs.iter().map(|r| moved(*r)).collect::<Vec<_>>().into();
    let mut all = a.clone();
    all.drafts.extend(b.drafts.iter().cloned());
    all.facts.extend(b.facts.iter().cloned().map(|f| match f {
        Fact::Seen { entity, at } => Fact::Seen { entity: moved(entity), at },
        Fact::Ended { entity, at } => Fact::Ended { entity: moved(entity), at },
        Fact::Related { relation, from, to, at, until } => {
            Fact::Related { relation, from: moved(from), to: moved(to), at, until }
        }
        Fact::Sample { id, measure, subject, cohort, at, value } => {
            Fact::Sample { id, measure, subject: moved(subject), cohort: many(&cohort), at, value }
        }
        Fact::Call { id, relation, from, to, cohort, at, lasted_ns, failed } => {
            let cohort = many(&cohort);
            Fact::Call { id, relation, from: moved(from), to: moved(to), cohort, at, lasted_ns, failed }
        }
        Fact::Step(mut s) => {
            s.here = many(&s.here);
            s.upward = s.upward.iter().map(|u| Upward { to: moved(u.to), ..*u }).collect();
            Fact::Step(s)
        }
    }));
    Some(all)
}

fn trust() -> Vec<String> {
    vec!["catalog".to_owned(), "otlp".to_owned()]
}

fn parts(fold: &mut Fold) -> Vec<Vec<u8>> {
    fold.checkpoint().parts().collect::<Result<_, _>>().unwrap()
}

fn restored(o: &Arc<Ontology>, limits: Limits, parts: &[Vec<u8>]) -> Result<Fold, graph::NotReadable> {
    let mut restore = Restore::new(Arc::clone(o), trust(), limits);
    parts.iter().try_for_each(|part| restore.take(graph::Part::read(part)?))?;
    restore.finish()
}

/// If this fails, what is written has another form than before: raise `Checkpoint::FORM`, then put the new numbers here. (After a change
/// of the core ontology, whose ids are in it, the new numbers alone.)
#[test]
fn the_form_of_a_checkpoint_is_this_one() {
    let o = ontology();
    let mut fold = Fold::new(Arc::clone(&o), trust(), Limits::default());
    for kind in 0..6 {
        fold.fold(&statement(&o, kind, 1, 2, 3, 4.5), minute(5));
    }
    let bytes = parts(&mut fold).concat();
    let sum = bytes.iter().fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    assert_eq!((graph::Checkpoint::FORM, bytes.len(), sum), (2, 620, 3_289_485_820_681_306_933));
}

#[test]
fn parts_of_a_checkpoint_that_are_missing_changed_or_foreign_are_refused() {
    let o = ontology();
    let mut fold = Fold::new(Arc::clone(&o), trust(), Limits::default());
    fold.fold(&statement(&o, 1, 1, 2, 3, 4.5), minute(5));
    let parts = parts(&mut fold);
    assert!(restored(&o, Limits::default(), &parts).is_ok());
    for i in 0..parts.len() {
        let mut fewer = parts.clone();
        let gone = fewer.remove(i);
        // The head says nothing that is counted.
        assert!(i == 0 || restored(&o, Limits::default(), &fewer).is_err(), "without part {i}");
        fewer.insert(i, gone[..gone.len() / 2].to_vec());
        assert!(restored(&o, Limits::default(), &fewer).is_err(), "with half of part {i}");
    }
    assert!(restored(&o, Limits::default(), &[b"something else".to_vec()]).is_err());
    assert!(restored(&o, Limits::default(), &[]).unwrap_err().to_string().contains("end is missing"));
}

proptest! {
    #[test]
    fn order_repetition_and_batching_change_nothing(
        picks in proptest::collection::vec((0u8..6, 0u8..24, 0u8..12, 0i64..90, 0.1f64..250.0), 1..40),
        seed in any::<u64>(),
    ) {
        let o = ontology();
        let batches: Vec<Batch> = picks.iter().map(|(k, a, b, m, v)| statement(&o, *k, *a, *b, *m, *v)).collect();
        let straight = fold(&o, &batches).canonical();
        let mut shuffled = batches.clone();
        let mut state = seed | 1;
        for i in (1..shuffled.len()).rev() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            shuffled.swap(i, (state >> 33) as usize % (i + 1));
        }
        shuffled.extend(batches.iter().take(7).cloned());
        prop_assert_eq!(&straight, &fold(&o, &shuffled).canonical());
        let mut merged: Vec<Batch> = Vec::new();
        for b in batches {
            match merged.last().and_then(|last| together(last, &b)) {
                Some(both) => *merged.last_mut().unwrap() = both,
                None => merged.push(b),
            }
        }
        prop_assert_eq!(straight, fold(&o, &merged).canonical());
    }

    #[test]
    fn a_writer_made_from_a_checkpoint_goes_on_as_the_one_it_was_made_of(
        picks in proptest::collection::vec((0u8..6, 0u8..24, 0u8..12, 0i64..90, 0.1f64..250.0), 2..60),
        at in 0.0f64..1.0, few in any::<bool>(),
    ) {
        let o = ontology();
        let limits = if few {
            Limits { sampled_nodes: 2, open_traces: 2, remembered_items: 5, ..Limits::default() }
        } else {
            Limits::default()
        };
        let batches: Vec<Batch> = picks.iter().map(|(k, a, b, m, v)| statement(&o, *k, *a, *b, *m, *v)).collect();
        let (before, after) = batches.split_at((batches.len() as f64 * at) as usize);
        let mut fold = Fold::new(Arc::clone(&o), trust(), limits);
        before.iter().for_each(|b| { fold.fold(b, minute(200)); });
        let mut again = restored(&o, limits, &parts(&mut fold)).unwrap();
        prop_assert_eq!(fold.graph().canonical(), again.graph().canonical());
        // What came before comes again with what is new: it is known.
        for b in after.iter().chain(before) {
            prop_assert_eq!(fold.fold(b, minute(201)), again.fold(b, minute(201)));
        }
        prop_assert_eq!(fold.totals(), again.totals());
        prop_assert_eq!(fold.usage().map(|u| u.1)[..7].to_vec(), again.usage().map(|u| u.1)[..7].to_vec());
        prop_assert_eq!(fold.graph().canonical(), again.graph().canonical());
        // How much room the same flows take depends on when they were put together.
        let held = |graph: Graph| graph.size().into_iter().filter(|s| s.0 != "flow_bytes").collect::<Vec<_>>();
        prop_assert_eq!(held(fold.graph()), held(again.graph()));
    }

    #[test]
    fn nothing_differs_from_itself(picks in proptest::collection::vec((0u8..6, 0u8..24, 0u8..12, 0i64..90, 0.1f64..250.0), 1..30)) {
        let o = ontology();
        let batches: Vec<Batch> = picks.iter().map(|(k, a, b, m, v)| statement(&o, *k, *a, *b, *m, *v)).collect();
        let graph = fold(&o, &batches);
        let twin = fold(&o, &batches);
        let during = Stretch { from: minute(0), to: minute(100) };
        let half = |graph| Half::during(graph, during);
        prop_assert_eq!(diff(half(&graph), half(&graph), 0.0), graph::Difference::default());
        let against_twin = diff(half(&graph), half(&twin), 1e-9);
        prop_assert!(against_twin.nodes.is_empty() && against_twin.edges.is_empty() && against_twin.measures.is_empty(), "{:?}", against_twin);
    }
}

fn only(graph: &Graph, o: &Ontology, of: &str) -> Vec<NodeId> {
    graph.of_class(class(o, of))
}

fn seen(o: &Ontology, d: Draft, source: &str) -> Batch {
    let _ = o;
    Batch {
        source: source.to_owned(),
        drafts: vec![d],
        facts: vec![Fact::Seen { entity: Ref(0), at: minute(1) }],
        ..Batch::default()
    }
}

#[test]
fn a_weaker_key_finds_the_one_thing_it_was_seen_with() {
    let o = ontology();
    let alert = seen(&o, draft(&o, "Service", None, Some(1), "ratings"), "alertmanager");
    let trace = seen(&o, draft(&o, "Service", Some(1), Some(1), "ratings"), "otlp");
    let graph = fold(&o, &[alert, trace]);
    assert_eq!(only(&graph, &o, "Service").len(), 1);
    assert_eq!(graph.node_sources(only(&graph, &o, "Service")[0]), ["alertmanager", "otlp"]);
}

#[test]
fn a_weaker_key_that_fits_two_things_identifies_neither() {
    let o = ontology();
    let alert = seen(&o, draft(&o, "Service", None, Some(1), "ratings"), "alertmanager");
    let one = seen(&o, draft(&o, "Service", Some(1), Some(1), "ratings"), "otlp");
    let two = seen(&o, draft(&o, "Service", Some(2), Some(1), "ratings"), "otlp");
    assert_eq!(only(&fold(&o, &[alert, one, two]), &o, "Service").len(), 3);
}

#[test]
fn an_edge_with_one_target_at_a_time_holds_until_another_target_is_seen() {
    let o = ontology();
    let runs_on = |h: u8, m: i64| {
        let mut b = statement(&o, 1, 0, h, m, 0.0);
        "otlp".clone_into(&mut b.source);
        b
    };
    let graph = fold(&o, &[runs_on(0, 0), runs_on(0, 5), runs_on(1, 8), runs_on(1, 9)]);
    let at = |m: i64| {
        let instance = only(&graph, &o, "Instance")[0];
        graph.hops_at(instance, minute(m)).iter().map(|h| graph.name(h.node)).collect::<Vec<_>>()
    };
    assert_eq!(at(4), ["h0"]);
    assert_eq!(at(7), ["h0"]);
    assert_eq!(at(8), ["h1"]);
    assert_eq!(at(500), Vec::<String>::new());
}

#[test]
fn of_two_targets_told_side_by_side_one_holds_at_every_moment_whichever_came_first() {
    let o = ontology();
    let told = |relation: &str, to: Draft, m: i64| {
        let instance = Draft { attrs: Vec::new(), ..draft(&o, "Host", Some(9), None, "") };
        let key = Key { slot: 0, hash: 1 | 7 << 120 };
        let instance = Draft { class: class(&o, "Instance"), keys: vec![key], ..instance };
        let fact = Fact::Related {
            relation: o.relation(relation).unwrap(),
            from: Ref(0),
            to: Ref(1),
            at: minute(m),
            until: None,
        };
        Batch { source: "otlp".to_owned(), drafts: vec![instance, to], facts: vec![fact], ..Batch::default() }
    };
    let host = |k: u8| draft(&o, "Host", Some(u128::from(k)), None, &format!("h{k}"));
    let service = |k: u8| draft(&o, "Service", Some(u128::from(k)), None, &format!("s{k}"));
    let batches = [
        told("runs_on", host(0), 0),
        told("runs_on", host(1), 2),
        told("runs_on", host(0), 4),
        told("runs_on", host(1), 5),
        told("runs_on", host(0), 5),
        told("instance_of", service(0), 0),
        told("instance_of", service(1), 3),
        told("instance_of", service(0), 6),
    ];
    let mut back: Vec<Batch> = batches.to_vec();
    back.reverse();
    let (straight, back) = (fold(&o, &batches), fold(&o, &back));
    let at = |graph: &Graph, m: i64| {
        let instance = only(graph, &o, "Instance")[0];
        let mut names: Vec<String> =
            graph.hops_at(instance, minute(m)).iter().map(|h| graph.name(h.node)).collect();
        names.sort();
        names
    };
    for m in 0..8 {
        assert_eq!(at(&straight, m), at(&back, m), "{m}");
        assert_eq!(at(&straight, m).len(), 2, "{m}: {:?}", at(&straight, m));
    }
    assert_eq!(at(&straight, 0), ["h0", "s0"]);
    assert_eq!(at(&straight, 7)[1], "s0", "the target that was told last");
}

#[test]
fn what_was_known_at_a_moment_is_what_had_arrived_by_then_whatever_it_tells_of() {
    let o = ontology();
    let limits = Limits { known_minutes: 3, ..Limits::default() };
    let mut writer = Fold::new(Arc::clone(&o), Vec::new(), limits);
    let hosts = |graph: &Graph| graph.of_class(class(&o, "Host")).len();
    // One host a minute arrives, each seen in the same minute long ago.
    for n in 0..6u8 {
        let mut b = Batch { source: "otlp".to_owned(), ..Batch::default() };
        b.drafts = vec![draft(&o, "Host", Some(u128::from(n)), None, &format!("h{n}"))];
        b.facts = vec![Fact::Seen { entity: Ref(0), at: minute(1) }];
        writer.fold(&b, minute(100 + 2 * i64::from(n)));
        // Before the first arrival nothing was known, however much is held.
        if n < 2 {
            assert_eq!(writer.known_at(minute(99)).map(|graph| hosts(&graph)), Err(minute(100)));
        }
    }
    let mut known = |m: i64| writer.known_at(minute(m)).map(|graph| hosts(&graph));
    assert_eq!([known(110), known(109), known(108), known(105)], [Ok(6), Ok(5), Ok(5), Ok(3)]);
    assert_eq!(known(500), Ok(6));
    // Of what was known before, nothing is held any more, and that is said.
    assert_eq!((known(104), known(103)), (Ok(3), Err(minute(104))));
}

#[test]
fn a_snapshot_does_not_see_what_comes_later() {
    let o = ontology();
    let mut writer = Fold::new(Arc::clone(&o), Vec::new(), Limits::default());
    writer.fold(&seen(&o, draft(&o, "Host", Some(1), None, "h1"), "otlp"), minute(2));
    let snapshot = writer.graph();
    let before = snapshot.canonical();
    writer.fold(&seen(&o, draft(&o, "Host", Some(2), None, "h2"), "otlp"), minute(2));
    assert_eq!(snapshot.canonical(), before);
    assert_ne!(writer.graph().canonical(), before);
}

#[test]
fn beyond_the_limit_the_oldest_sampled_nodes_go_and_their_counts_stay() {
    let o = ontology();
    let session = class(&o, "Session");
    let limits = Limits { sampled_nodes: 2, ..Limits::default() };
    let mut writer = Fold::new(Arc::clone(&o), Vec::new(), limits);
    for k in 0..5u64 {
        let d =
            Draft { class: session, keys: vec![Key { slot: 0, hash: u128::from(k) + 1 }], attrs: Vec::new() };
        let app = draft(&o, "App", Some(1), None, "tvui");
        let facts = vec![
            Fact::Seen { entity: Ref(0), at: minute(1) },
            Fact::Sample {
                id: ItemId(k),
                measure: o.measure("view.ttr").unwrap(),
                subject: Ref(1),
                cohort: Arc::new([Ref(0)]),
                at: minute(1),
                value: Observation::One(100.0),
            },
        ];
        writer.fold(
            &Batch { source: "otlp".to_owned(), drafts: vec![d, app], facts, ..Batch::default() },
            minute(2),
        );
    }
    let graph = writer.graph();
    assert_eq!(only(&graph, &o, "Session").len(), 2);
    assert_eq!(writer.totals().sampled_let_go, 3);
    let app = only(&graph, &o, "App")[0];
    let during = Stretch { from: minute(0), to: minute(5) };
    assert_eq!(graph.sum(graph.series(o.measure("view.ttr").unwrap(), app), during, |_| true).count, 5);
}

#[test]
fn a_source_that_says_how_often_it_tells_decides_how_long_a_thing_is_there() {
    let o = ontology();
    let host = |interval: Option<f64>| {
        let mut d = draft(&o, "Host", Some(1), None, "h1");
        let said = o.attr(d.class, "report_interval").unwrap();
        d.attrs.extend(interval.map(|secs| (said, Value::Float(secs))));
        fold(&o, &[seen(&o, d, "otlp")])
    };
    let there = |graph: &Graph, from: i64| {
        let before = Half::during(graph, Stretch { from: minute(1), to: minute(2) });
        let after = Half::during(graph, Stretch { from: minute(from), to: minute(from + 1) });
        diff(before, after, 0.0).nodes.is_empty()
    };
    // A host without a word on it is gone after ten minutes; one told of each half minute after two, one told of hourly is not.
    for (interval, from, expected) in [
        (None, 9, true),
        (None, 13, false),
        (Some(30.0), 2, true),
        (Some(30.0), 5, false),
        (Some(3600.0), 90, true),
        (Some(3600.0), 130, false),
    ] {
        assert_eq!(there(&host(interval), from), expected, "{interval:?} {from}");
    }
}

#[test]
fn what_follows_two_sides_of_a_call_under_one_id_hangs_below_the_answering_one() {
    let o = ontology();
    let operation = |k: u128, name: &str| draft(&o, "Operation", Some(k), None, name);
    let calls = o.relation("calls").unwrap();
    let step = |id: u64, span: u64, parent: Option<u64>, side: Side, of: Option<(u128, &str)>| {
        let drafts: Vec<Draft> = of.into_iter().map(|(k, name)| operation(k, name)).collect();
        let here: Vec<Ref> = drafts.iter().map(|_| Ref(0)).collect();
        let upward =
            here.iter().map(|to| Upward { from: class(&o, "Operation"), relation: calls, to: *to }).collect();
        let (from, to) = (minute(1), minute(1).plus_nanos(5));
        let fact = Fact::Step(Step {
            id: ItemId(id),
            trace: 1,
            span,
            parent,
            from,
            to,
            failed: false,
            side,
            here: here.into(),
            upward,
        });
        Batch { source: "otlp".to_owned(), drafts, facts: vec![fact], ..Batch::default() }
    };
    let caller = step(1, 10, None, Side::Answering, Some((1, "caller")));
    let asking = step(2, 20, Some(10), Side::Asking, None);
    let answering = step(3, 20, Some(10), Side::Answering, Some((2, "callee")));
    let behind = step(4, 30, Some(20), Side::Answering, Some((3, "behind")));
    for order in [
        [&caller, &asking, &answering, &behind],
        [&behind, &answering, &caller, &asking],
        [&answering, &asking, &caller, &behind],
    ] {
        let batches: Vec<Batch> = order.into_iter().cloned().collect();
        let graph = fold(&o, &batches);
        let mut calls: Vec<String> = only(&graph, &o, "Operation")
            .into_iter()
            .flat_map(|n| graph.hops(n).into_iter().map(move |h| (n, h)))
            .filter(|(_, h)| h.direction == graph::Direction::Out)
            .map(|(n, h)| format!("{} calls {}", graph.name(n), graph.name(h.node)))
            .collect();
        calls.sort();
        assert_eq!(calls, ["callee calls behind", "caller calls callee"]);
    }
}

#[test]
fn kinds_of_errors_have_a_bound_of_their_own_and_leave_room_for_the_rest() {
    let o = ontology();
    let kind = class(&o, "ErrorKind");
    let mut writer = Fold::new(Arc::clone(&o), Vec::new(), Limits { open_nodes: 3, ..Limits::default() });
    for k in 0..10_u128 {
        let d = Draft { class: kind, keys: vec![Key { slot: 0, hash: k + 1 }], attrs: Vec::new() };
        writer.fold(&seen(&o, d, "otlp"), minute(2));
        writer.fold(&seen(&o, draft(&o, "Host", Some(k), None, "h"), "otlp"), minute(2));
    }
    let graph = writer.graph();
    assert_eq!((only(&graph, &o, "ErrorKind").len(), only(&graph, &o, "Host").len()), (3, 10));
    assert_eq!((writer.totals().open_left_out, writer.totals().left_out), (7, 0));
    assert!(writer.usage().contains(&("open_nodes", 3, 3)));
}
