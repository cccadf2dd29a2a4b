//! Nodes by the name that people read. Names are put together from attributes, keys and what keys lead to, so none is written
//! down: readers keep an index of hashes, the writer notes whose name may have changed since.
//!
//! Every node that the index leads to is named again before it is believed, so an index that knows too much does no harm.
//! What it must not do is miss a node: whoever gets a name, or another one, is noted ([`Names::note`]), and where more names
//! change than can be told one by one the index is begun anew ([`Names::begin_anew`]).

use crate::fold::Fold;
use crate::links::End;
use crate::topology::{Graph, Map, Marks, NodeId};
use ontology::model::{Grain, KeyPart};
use ontology::{AttrId, ClassId, Ontology, RelationId};
use rustc_hash::{FxHashMap, FxHasher};
use std::hash::{Hash as _, Hasher as _};
use std::sync::{Arc, Mutex, PoisonError};

/// Notes beyond four for each node of a class by so many are more than beginning anew costs.
const NOTES: usize = 4096;

/// What names are made of.
#[derive(Debug)]
struct Parts {
    /// By class.
    attrs: Vec<Vec<AttrId>>,
    relations: Vec<RelationId>,
    /// By class: whether sampled nodes may be named after its nodes. These are not known from there.
    of_sampled: Vec<bool>,
}

impl Parts {
    fn new(o: &Ontology) -> Parts {
        let mut parts =
            Parts { attrs: Vec::new(), relations: Vec::new(), of_sampled: vec![false; o.classes.len()] };
        for (id, class) in (0..).map(ClassId).zip(&o.classes) {
            let mut attrs: Vec<AttrId> = o.attr(id, "name").into_iter().collect();
            for part in class.keys.iter().flatten() {
                match part {
                    KeyPart::Attr(a) => attrs.push(*a),
                    KeyPart::Relation(r) => {
                        parts.relations.push(*r);
                        if class.grain == Grain::Sampled {
                            parts.lead_from_sampled(o, *r);
                        }
                    }
                }
            }
            parts.attrs.push(attrs);
        }
        parts.relations.sort_unstable();
        parts.relations.dedup();
        parts
    }

    fn lead_from_sampled(&mut self, o: &Ontology, relation: RelationId) {
        let arrows = o.relations.get(relation.index()).map_or(&[][..], |r| &r.arrows);
        for class in arrows.iter().flat_map(|(_, to)| o.kinds_of(*to)) {
            if let Some(of_sampled) = self.of_sampled.get_mut(class.index()) {
                *of_sampled = true;
            }
        }
    }
}

/// Nodes of a class by the hash of their name, as of some notes.
#[derive(Clone, Debug)]
struct Index {
    age: u64,
    notes: usize,
    nodes: Map<u64, Vec<NodeId>>,
}

/// Nodes of a class by stable id.
#[derive(Clone, Debug)]
struct Listed {
    last: Option<NodeId>,
    len: usize,
    nodes: Arc<[NodeId]>,
}

/// What readers of all epochs share.
#[derive(Debug, Default)]
struct Shared {
    by_name: Mutex<FxHashMap<ClassId, Index>>,
    by_id: Mutex<FxHashMap<ClassId, Listed>>,
}

/// What a graph knows of who is called what.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    parts: Arc<Parts>,
    /// How often it was begun anew.
    age: u64,
    /// Nodes whose name may be new, since then.
    notes: Map<ClassId, imbl::Vector<NodeId>>,
    shared: Arc<Shared>,
}

fn hashed(name: &str) -> u64 {
    let mut hasher = FxHasher::default();
    name.hash(&mut hasher);
    hasher.finish()
}

impl Names {
    pub(crate) fn new(o: &Ontology) -> Names {
        Names { parts: Arc::new(Parts::new(o)), age: 0, notes: Map::default(), shared: Arc::default() }
    }

    /// Whether two graphs are epochs of one writer: what readers share begins with it and goes with every clone.
    pub(crate) fn same_writer(&self, other: &Names) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }

    pub(crate) fn begin_anew(&mut self) {
        self.age += 1;
        self.notes = Map::default();
    }

    fn note(&mut self, class: ClassId, node: NodeId, of_class: usize) {
        let notes = self.notes.entry(class).or_default();
        if notes.len() > 4 * of_class + NOTES {
            self.begin_anew();
            return;
        }
        // Even when it was noted last: readers may have named it in between.
        notes.push_back(node);
    }

    /// Whether an attribute is part of the names of a class.
    pub(crate) fn is_named_by(&self, class: ClassId, attr: AttrId) -> bool {
        self.parts.attrs.get(class.index()).is_some_and(|a| a.contains(&attr))
    }

    /// Whether names are made of what a relation leads to.
    pub(crate) fn leads(&self, relation: RelationId) -> bool {
        self.parts.relations.binary_search(&relation).is_ok()
    }
}

impl Graph {
    /// The nodes of a class or of a kind of it that have this name, as [`Graph::name`] prints it, by class and stable id.
    /// Nothing is named but what may be it, except when this is first asked of a class.
    pub fn all_named(&self, class: ClassId, name: &str) -> Vec<NodeId> {
        let mut found: Vec<(ClassId, u128, NodeId)> = Vec::new();
        for exactly in self.by_class.keys().filter(|c| self.ontology.is_a(**c, class)) {
            let index = self.index_of(*exactly);
            let mut nodes = index.nodes.get(&hashed(name)).cloned().unwrap_or_default();
            nodes.sort_unstable();
            nodes.dedup();
            for node in nodes {
                if self.stands(node) && self.name(node) == name {
                    found.push((*exactly, self.raw(node).map_or(0, |n| n.key.hash), node));
                }
            }
        }
        found.sort_unstable();
        found.into_iter().map(|f| f.2).collect()
    }

    /// The index of a class as of this epoch: the one that readers share, with what was noted since.
    fn index_of(&self, class: ClassId) -> Index {
        let names = &self.names;
        let notes = names.notes.get(&class);
        let len = notes.map_or(0, imbl::Vector::len);
        let known = {
            let shared = names.shared.by_name.lock().unwrap_or_else(PoisonError::into_inner);
            shared.get(&class).cloned()
        };
        let usable = known.as_ref().filter(|k| k.age == names.age && k.notes <= len);
        let (mut index, fresh): (Index, Vec<NodeId>) = match usable {
            Some(known) if known.notes == len => return known.clone(),
            Some(known) => {
                let fresh = notes.into_iter().flat_map(|n| n.iter().skip(known.notes)).copied().collect();
                (known.clone(), fresh)
            }
            None => {
                let nodes = self.by_class.get(&class).into_iter().flatten().copied().collect();
                (Index { age: names.age, notes: len, nodes: Map::default() }, nodes)
            }
        };
        for node in fresh {
            // A note of a stand-in is one of what it counts as.
            let node = self.resolve(node);
            index.nodes.entry(hashed(&self.name(node))).or_default().push(node);
        }
        index.notes = len;
        let newest = known.is_none_or(|k| (k.age, k.notes) <= (index.age, index.notes));
        if newest {
            let mut shared = names.shared.by_name.lock().unwrap_or_else(PoisonError::into_inner);
            shared.insert(class, index.clone());
        }
        index
    }

    /// Every node of exactly this class by stable id, stand-ins and all.
    fn listed(&self, class: ClassId) -> Arc<[NodeId]> {
        let Some(all) = self.by_class.get(&class) else { return Arc::default() };
        // Nodes come with rising places and go by themselves: the last and how many there are tell the rest.
        let (last, len) = (all.last().copied(), all.len());
        let known = {
            let shared = self.names.shared.by_id.lock().unwrap_or_else(PoisonError::into_inner);
            shared.get(&class).filter(|l| l.last == last && l.len == len).map(|l| Arc::clone(&l.nodes))
        };
        if let Some(known) = known {
            return known;
        }
        let mut nodes: Vec<(u128, NodeId)> =
            all.iter().map(|n| (self.raw(*n).map_or(0, |x| x.key.hash), *n)).collect();
        nodes.sort_unstable();
        let nodes: Arc<[NodeId]> = nodes.into_iter().map(|n| n.1).collect();
        let mut shared = self.names.shared.by_id.lock().unwrap_or_else(PoisonError::into_inner);
        if shared.get(&class).is_none_or(|l| l.last <= last) {
            shared.insert(class, Listed { last, len, nodes: Arc::clone(&nodes) });
        }
        nodes
    }

    /// Nodes of exactly this class by stable id, stand-ins that count as another left out.
    pub fn in_order(&self, class: ClassId) -> impl Iterator<Item = NodeId> + '_ {
        let listed = self.listed(class);
        (0..listed.len()).filter_map(move |i| listed.get(i).copied()).filter(|n| self.stands(*n))
    }
}

impl Fold {
    /// Notes that a node is called something from now on, or something else.
    pub(crate) fn named_anew(&mut self, node: NodeId) {
        let graph = &mut self.graph;
        let Some(class) = graph.raw(node).map(|n| n.class) else { return };
        let parts = Arc::clone(&graph.names.parts);
        let names_others = |n: NodeId| {
            parts.of_sampled.get(class.index()) == Some(&true)
                || graph.links.of_relations(n, End::Into, &parts.relations).next().is_some()
        };
        if graph.members(node).into_iter().any(names_others) {
            graph.names.begin_anew();
            return;
        }
        self.note_name(node);
    }

    /// The same of a node that nothing can be named after yet.
    pub(crate) fn note_name(&mut self, node: NodeId) {
        let graph = &mut self.graph;
        let node = graph.resolve(node);
        let Some(class) = graph.raw(node).map(|n| n.class) else { return };
        let of_class = graph.class_size(class);
        graph.names.note(class, node, of_class);
    }

    /// Notes names that changed with who is who; `moved` when edges are among what did.
    pub(crate) fn joined_anew(&mut self, near: &[NodeId], moved: bool) {
        /// More are not looked at one by one.
        const FEW: usize = 16;
        if moved || near.len() > FEW {
            self.graph.names.begin_anew();
        } else {
            near.iter().for_each(|n| self.note_name(*n));
        }
    }

    /// Notes that an edge was seen again, which may decide between several that a name could be made of.
    pub(crate) fn led_again(&mut self, from: NodeId, relation: RelationId) {
        if !self.graph.names.leads(relation) {
            return;
        }
        let graph = &self.graph;
        let (members, relation) = (graph.members(from), [relation]);
        let edges = members.into_iter().flat_map(|m| graph.links.of_relations(m, End::Out, &relation));
        let mut targets = edges.filter_map(|e| graph.edge(e)).map(|e| graph.resolve(e.to));
        let first = targets.next();
        let in_doubt = targets.any(|t| Some(t) != first);
        drop(targets);
        if in_doubt {
            self.named_anew(from);
        }
    }

    /// Whether what is said of a node may name it otherwise than before: a part of its name is another, or those that count
    /// as it do not agree on one, so that who spoke last decides.
    pub(crate) fn is_named_otherwise(&self, node: NodeId, said: &[(AttrId, ontology::Value)]) -> bool {
        let graph = &self.graph;
        let Some(raw) = graph.raw(node) else { return false };
        let parts = said.iter().filter(|(a, _)| graph.names.is_named_by(raw.class, *a));
        let differs = |n: NodeId, attr: AttrId, value: &ontology::Value| {
            let known = graph.raw(n).and_then(|n| n.attrs.iter().find(|(a, _)| *a == attr));
            known.map(|(_, s)| s.value != *value)
        };
        let shared = graph.has_mark(node, Marks::SHARED);
        parts.into_iter().any(|(attr, value)| {
            differs(node, *attr, value) != Some(false)
                || (shared && graph.members(node).into_iter().any(|m| differs(m, *attr, value) == Some(true)))
        })
    }
}
