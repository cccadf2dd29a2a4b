//! One graph from many sources: every real thing is one node, and paths lead through all of them.

#[path = "../src/join.rs"]
#[expect(unreachable_pub, reason = "part of a binary, which has no outside")]
mod joining;

use joining::{Joined, join};
use ontology::{Ontology, SourceFile};
use sim::{Plan, Scale, Scenario};
use std::sync::Arc;

fn world(ontology: Ontology) -> anyhow::Result<Joined> {
    let scale = Scale { sessions_per_minute: 8.0, minutes: 14, onset_minute: 8, trace_share: 0.6 };
    let plan =
        Plan { scenario: Scenario::BackendDependency, seed: 2, start_ns: 1_795_500_000_000_000_000, scale };
    join(plan, &Arc::new(ontology))
}

#[test]
fn what_many_sources_tell_is_one_node_for_each_real_thing() {
    let joined = world(Ontology::builtin()).unwrap();
    assert_eq!(joined.unread, Vec::<String>::new());
    assert!(joined.sources.len() >= 12, "{:?}", joined.sources);
    let scored = &joined.scored;
    assert_eq!(scored.wrong, Vec::<String>::new());
    assert_eq!(scored.missed, Vec::<String>::new());
    assert_eq!((scored.wrong_merges, scored.missed_merges), (0, 0));
    for (class, figures) in &scored.per_class {
        assert!(figures.shown > 0, "no {class} is shown");
    }
    // what cannot be placed is what was told too little: names that two services have, pods whose names came again
    assert!((1..=20).contains(&scored.unplaced), "{} unplaced: {:#?}", scored.unplaced, scored.open);
    assert_eq!(joined.paths.len(), 4, "{:?}", joined.paths);
    for (app, leads) in &joined.paths {
        assert!(leads.to_host > 0 && leads.to_deployment > 0, "{app}: {leads:?}");
    }
}

#[test]
fn a_mapping_that_names_pods_in_another_way_misses_merges() {
    let text = "sources:\n  site.pod:\n    reads: kubernetes\n    each: items\n    when: kind = Pod\n    Instance: {instance_id: metadata.name}\n";
    let file = SourceFile { name: "site.mapping.yaml".to_owned(), text: text.to_owned() };
    let joined = world(ontology::load(&[file]).unwrap()).unwrap();
    assert!(joined.scored.missed_merges > 100, "{}", joined.scored.missed_merges);
}
