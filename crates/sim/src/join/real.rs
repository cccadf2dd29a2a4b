//! What really is, under which names each source tells it, and whether a graph shows every real thing once.
//!
//! A thing is placed by what records said of it, never by the ids of the graph: a record fits the things of its class that bear
//! every name it tells. A node is wrong when no one thing fits all that was said of it, and a thing is shown twice when two nodes
//! fit it and nothing else.

use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// A thing of the world: its place in [`Reality`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Thing(usize);

#[derive(Clone, Debug)]
struct Real {
    class: &'static str,
    name: String,
    /// Attribute, value: by which sources.
    told: BTreeMap<(&'static str, String), BTreeSet<&'static str>>,
    /// Relation to the thing that its name counts within.
    of: BTreeMap<&'static str, Thing>,
}

/// The sealed truth of identity. Only the scorer reads it.
#[derive(Clone, Debug, Default)]
pub struct Reality {
    things: Vec<Real>,
    index: BTreeMap<(&'static str, String), Thing>,
    /// Attributes by which a class is told apart.
    naming: BTreeSet<(&'static str, &'static str)>,
    bearers: BTreeMap<(&'static str, &'static str, String), BTreeSet<Thing>>,
}

impl Reality {
    /// The thing of a class called so; `name` is unique within the class and never shown to any source.
    pub(crate) fn thing(&mut self, class: &'static str, name: impl Into<String>) -> Thing {
        let name = name.into();
        let next = Thing(self.things.len());
        let thing = *self.index.entry((class, name.clone())).or_insert(next);
        if thing == next {
            self.things.push(Real { class, name, told: BTreeMap::new(), of: BTreeMap::new() });
        }
        thing
    }

    /// `source` names the thing by this value.
    pub(crate) fn told(&mut self, thing: Thing, source: &'static str, attr: &'static str, value: &str) {
        let Some(real) = self.things.get_mut(thing.0) else { return };
        real.told.entry((attr, value.to_owned())).or_default().insert(source);
        let class = real.class;
        self.naming.insert((class, attr));
        self.bearers.entry((class, attr, value.to_owned())).or_default().insert(thing);
    }

    /// Its names count within `other`.
    pub(crate) fn within(&mut self, thing: Thing, relation: &'static str, other: Thing) {
        if let Some(real) = self.things.get_mut(thing.0) {
            real.of.insert(relation, other);
        }
    }

    /// Replaces values that are never kept in clear by what is kept in their place.
    pub fn conceal(&mut self, attr: &str, hash: impl Fn(&str) -> String) {
        let old = std::mem::take(&mut self.bearers);
        for ((class, a, value), bearers) in old {
            let value = if a == attr { hash(&value) } else { value };
            self.bearers.insert((class, a, value), bearers);
        }
    }

    /// How many things there are.
    pub fn len(&self) -> usize {
        self.things.len()
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.things.is_empty()
    }

    fn label(&self, thing: Thing) -> String {
        let Some(real) = self.things.get(thing.0) else { return String::new() };
        let told: Vec<String> = real
            .told
            .iter()
            .map(|((attr, value), by)| {
                format!("{attr}={value} by {}", by.iter().copied().collect::<Vec<_>>().join("+"))
            })
            .collect();
        format!("{} {} ({})", real.class, real.name, told.join(", "))
    }

    /// The things that a record can mean, none when it contradicts itself. `None` when it means nothing real: no value by which
    /// the class is told apart is known, or one is not and the others fit several things.
    fn meant(&self, telling: &Telling) -> Option<BTreeSet<Thing>> {
        let mut fits: Option<BTreeSet<Thing>> = None;
        let mut strange = false;
        for (attr, value) in &telling.attrs {
            let naming = self.naming.iter().find(|(c, a)| *c == telling.class && *a == attr.as_str());
            let Some((class, attr)) = naming.copied() else { continue };
            let Some(bearers) = self.bearers.get(&(class, attr, value.clone())) else {
                strange = true;
                continue;
            };
            fits = Some(match fits {
                None => bearers.clone(),
                Some(fits) => fits.intersection(bearers).copied().collect(),
            });
        }
        let mut fits = fits?;
        for (relation, other) in &telling.of {
            let Some(others) = self.meant(other) else { continue };
            fits.retain(|thing| {
                let within = self.things.get(thing.0).and_then(|t| t.of.get(relation.as_str()));
                within.is_none_or(|w| others.contains(w))
            });
        }
        (!strange || fits.len() == 1).then_some(fits)
    }
}

/// What one record said of something.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Telling {
    /// Its class.
    pub class: String,
    /// Attributes with their values.
    pub attrs: Vec<(String, String)>,
    /// What its name counts within, by relation, as the same request told it.
    pub of: Vec<(String, Telling)>,
}

/// A node of a graph, stand-ins counted as what they stand for, as plain data.
#[derive(Clone, Debug, Default)]
pub struct Shown {
    /// Class.
    pub class: String,
    /// Id.
    pub id: String,
    /// Name.
    pub name: String,
    /// Sources that told of it.
    pub sources: Vec<String>,
    /// All that was said of it.
    pub tellings: BTreeSet<Telling>,
}

/// Figures of one class.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PerClass {
    /// Real things.
    pub things: usize,
    /// Of them, those that the graph shows.
    pub shown: usize,
    /// Nodes.
    pub nodes: usize,
    /// Nodes that are two things at once.
    pub wrong_merges: usize,
    /// Further nodes of things that have one already, and nodes that are no real thing.
    pub missed_merges: usize,
    /// Nodes of which was said too little to tell which of several things they are.
    pub unplaced: usize,
}

/// What the comparison gives.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Scored {
    /// Nodes looked at.
    pub nodes: usize,
    /// Nodes that are two things at once.
    pub wrong_merges: usize,
    /// Nodes too many.
    pub missed_merges: usize,
    /// Nodes that could be any of several things; no source said which.
    pub unplaced: usize,
    /// By class.
    pub per_class: BTreeMap<String, PerClass>,
    /// Each mistake, for people.
    pub wrong: Vec<String>,
    /// The same of missed merges.
    pub missed: Vec<String>,
    /// The same of what could not be placed.
    pub open: Vec<String>,
}

impl Scored {
    /// Adds the figures of another world; its mistakes stay with it.
    pub fn add(&mut self, other: &Scored) {
        self.nodes += other.nodes;
        self.wrong_merges += other.wrong_merges;
        self.missed_merges += other.missed_merges;
        self.unplaced += other.unplaced;
        for (name, theirs) in &other.per_class {
            let ours = self.per_class.entry(name.clone()).or_default();
            ours.things += theirs.things;
            ours.shown += theirs.shown;
            ours.nodes += theirs.nodes;
            ours.wrong_merges += theirs.wrong_merges;
            ours.missed_merges += theirs.missed_merges;
            ours.unplaced += theirs.unplaced;
        }
    }
}

/// Compares the nodes of a graph with what is. Nodes of classes that the truth says nothing of are left out.
pub fn score(reality: &Reality, nodes: &[Shown]) -> Scored {
    let mut scored = Scored::default();
    for real in &reality.things {
        scored.per_class.entry(real.class.to_owned()).or_default().things += 1;
    }
    let mut shown: BTreeMap<Thing, Vec<&Shown>> = BTreeMap::new();
    for node in nodes {
        let Some(class) = scored.per_class.get_mut(&node.class) else { continue };
        scored.nodes += 1;
        class.nodes += 1;
        let said: Vec<BTreeSet<Thing>> = node.tellings.iter().filter_map(|t| reality.meant(t)).collect();
        let mut known = said.iter();
        let Some(first) = known.next() else {
            class.missed_merges += 1;
            scored.missed.push(format!("{} is no real thing: {}", label(node), tellings(node)));
            continue;
        };
        let all = known.fold(first.clone(), |fits, s| fits.intersection(s).copied().collect());
        let mut fits = all.iter();
        match (fits.next(), fits.next()) {
            (None, _) => {
                class.wrong_merges += 1;
                scored.wrong.push(format!("{} is several things: {}", label(node), tellings(node)));
            }
            (Some(one), None) => shown.entry(*one).or_default().push(node),
            (Some(_), Some(_)) => {
                class.unplaced += 1;
                scored.open.push(format!("{} is one of {}: {}", label(node), all.len(), tellings(node)));
            }
        }
    }
    for (thing, nodes) in shown {
        let class = reality.things.get(thing.0).map_or("", |t| t.class);
        let Some(class) = scored.per_class.get_mut(class) else { continue };
        class.shown += 1;
        class.missed_merges += nodes.len() - 1;
        if nodes.len() > 1 {
            let each: Vec<String> = nodes.iter().map(|n| format!("{} {}", label(n), tellings(n))).collect();
            scored.missed.push(format!("{} is shown as {}", reality.label(thing), each.join("; ")));
        }
    }
    for class in scored.per_class.values() {
        scored.wrong_merges += class.wrong_merges;
        scored.missed_merges += class.missed_merges;
        scored.unplaced += class.unplaced;
    }
    scored
}

fn label(node: &Shown) -> String {
    format!("{} {} [{}] {}", node.class, node.name, node.sources.join(" "), node.id)
}

/// A few of the ways in which a node was told.
fn tellings(node: &Shown) -> String {
    let each: Vec<String> = node.tellings.iter().take(4).map(telling).collect();
    each.join(" ")
}

fn telling(t: &Telling) -> String {
    let mut parts: Vec<String> = t.attrs.iter().map(|(a, v)| format!("{a}={v}")).collect();
    parts.extend(t.of.iter().map(|(r, o)| format!("{r} {}", telling(o))));
    format!("{{{}}}", parts.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(class: &str, attrs: &[(&str, &str)]) -> Telling {
        let attrs = attrs.iter().map(|(a, v)| ((*a).to_owned(), (*v).to_owned())).collect();
        Telling { class: class.to_owned(), attrs, of: Vec::new() }
    }

    fn node(id: &str, tellings: impl IntoIterator<Item = Telling>) -> Shown {
        let tellings: BTreeSet<Telling> = tellings.into_iter().collect();
        let class = tellings.first().map_or_else(String::new, |t| t.class.clone());
        Shown { class, id: id.to_owned(), tellings, ..Shown::default() }
    }

    /// Two pods, each known by two names.
    fn reality() -> Reality {
        let mut reality = Reality::default();
        for (uid, id) in [("u1", "i1"), ("u2", "i2")] {
            let pod = reality.thing("Instance", uid);
            reality.told(pod, "kubernetes", "pod_uid", uid);
            reality.told(pod, "kubernetes", "pod", "ledger-0");
            reality.told(pod, "otlp", "instance_id", id);
        }
        reality
    }

    fn both(uid: &str, id: &str) -> Telling {
        said("Instance", &[("pod_uid", uid), ("instance_id", id)])
    }

    #[test]
    fn one_node_for_each_thing_is_right() {
        let nodes = [
            node("a", [both("u1", "i1"), said("Instance", &[("pod_uid", "u1")])]),
            node("b", [both("u2", "i2")]),
        ];
        let scored = score(&reality(), &nodes);
        assert_eq!((scored.wrong_merges, scored.missed_merges, scored.unplaced), (0, 0, 0), "{scored:?}");
        assert_eq!(scored.per_class["Instance"].shown, 2);
    }

    #[test]
    fn a_planted_duplicate_is_a_missed_merge() {
        let nodes = [
            node("a", [said("Instance", &[("instance_id", "i1")])]),
            node("b", [said("Instance", &[("pod_uid", "u1")])]),
        ];
        let scored = score(&reality(), &nodes);
        assert_eq!((scored.wrong_merges, scored.missed_merges), (0, 1), "{scored:?}");
    }

    #[test]
    fn a_planted_wrong_merge_is_one() {
        let nodes = [node("a", [both("u1", "i1"), both("u2", "i2")])];
        let scored = score(&reality(), &nodes);
        assert_eq!((scored.wrong_merges, scored.missed_merges), (1, 0), "{scored:?}");
        let crossed =
            [node("a", [said("Instance", &[("pod_uid", "u1")]), said("Instance", &[("instance_id", "i2")])])];
        assert_eq!(score(&reality(), &crossed).wrong_merges, 1);
    }

    #[test]
    fn what_is_no_real_thing_is_a_node_too_many() {
        let scored = score(&reality(), &[node("a", [said("Instance", &[("instance_id", "10.0.0.1:8080")])])]);
        assert_eq!((scored.wrong_merges, scored.missed_merges), (0, 1), "{scored:?}");
    }

    #[test]
    fn a_name_that_several_bear_places_nothing() {
        let scored = score(&reality(), &[node("a", [said("Instance", &[("pod", "ledger-0")])])]);
        assert_eq!((scored.wrong_merges, scored.missed_merges, scored.unplaced), (0, 0, 1), "{scored:?}");
    }

    #[test]
    fn what_a_name_counts_within_tells_namesakes_apart() {
        let mut reality = Reality::default();
        for region in ["us", "eu"] {
            let cluster = reality.thing("Cluster", region);
            reality.told(cluster, "kubernetes", "name", region);
            let workload = reality.thing("Workload", region);
            reality.told(workload, "kubernetes", "name", "api");
            reality.within(workload, "in_cluster", cluster);
        }
        let within = |cluster: &str| {
            let of = vec![("in_cluster".to_owned(), said("Cluster", &[("name", cluster)]))];
            Telling { of, ..said("Workload", &[("name", "api")]) }
        };
        let apart = [node("a", [within("us")]), node("b", [within("eu")])];
        assert_eq!(score(&reality, &apart).missed_merges + score(&reality, &apart).unplaced, 0);
        assert_eq!(score(&reality, &[node("a", [within("us"), within("eu")])]).wrong_merges, 1);
        assert_eq!(score(&reality, &[node("a", [within("us")]), node("b", [within("us")])]).missed_merges, 1);
    }

    #[test]
    fn a_concealed_name_is_compared_in_its_kept_form() {
        let mut reality = Reality::default();
        let session = reality.thing("Session", "s");
        reality.told(session, "otlp", "session_id", "s");
        reality.conceal("session_id", |s| format!("hash of {s}"));
        let kept = node("a", [said("Session", &[("session_id", "hash of s")])]);
        assert_eq!(score(&reality, &[kept]).missed_merges, 0);
        assert_eq!(score(&reality, &[node("b", [said("Session", &[("session_id", "s")])])]).missed_merges, 1);
    }
}
