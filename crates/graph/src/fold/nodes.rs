//! Things that facts name: found by their keys, or made; what is said of them.

use super::{Context, Fold, RUN_GAP_MINUTES};
use crate::glance::Glance;
use crate::identity::key_id;
use crate::sources::Sources;
use crate::topology::{Marks, Node, NodeId};
use ontology::fact::Draft;
use ontology::model::Grain;
use ontology::{AttrId, ClassId, Key, RelationId, Time, Value};
use rustc_hash::FxHashMap;
use std::sync::Arc;

impl Fold {
    /// The node of a draft: found by its primary key, else by its strongest weaker one, else made.
    pub(super) fn node(&mut self, draft: &Draft, at: Time, c: &Context) -> Option<NodeId> {
        let (strongest, primary) = Self::strongest(draft)?;
        let node = match self.with_key(strongest, primary) {
            Some(n) => {
                self.touch_begun(n);
                n
            }
            None => self.make(draft.class, strongest, primary)?,
        };
        if self.told_again(node, draft, at, c) {
            return Some(node);
        }
        for key in draft.keys.iter().filter(|k| k.slot != 0 && k.hash != strongest.hash) {
            let stand_in = match self.weaker.get(&key.hash).copied() {
                Some(s) => s,
                None => self.make(draft.class, *key, false)?,
            };
            let apart = self.apart.contains(&(key_id(key.hash), key_id(strongest.hash)));
            if !apart && self.graph.raw(stand_in).is_some_and(|s| !s.owners.contains(&node)) {
                self.belongs(stand_in, node);
            }
        }
        let (rank, source) = (c.rank, c.source);
        let known = self.graph.raw(node).is_some_and(|n| {
            n.sources.has(source)
                && draft.attrs.iter().all(|(a, v)| {
                    n.attrs.iter().any(|(b, s)| a == b && s.value == *v && s.rank == rank && s.at >= at)
                })
        });
        if !known {
            let new = self.graph.raw(node).is_some_and(|n| n.sources == Sources::default());
            let in_doubt = !new && self.is_named_otherwise(node, &draft.attrs);
            let name = in_doubt.then(|| self.graph.name(node));
            self.with_node(node, |n| {
                n.sources = n.sources.with(source);
                draft.attrs.iter().for_each(|(attr, value)| n.say(*attr, value, rank, at));
            });
            if new && !self.graph.has_mark(node, Marks::SHARED) {
                self.note_name(node);
            } else if new || name.is_some_and(|n| n != self.graph.name(node)) {
                self.named_anew(node);
            }
        }
        Some(node)
    }

    /// Notes that the same was told of a node by the same source, as mostly happens: only when it was said last is new. False, and nothing is
    /// noted, when there may be more in it.
    pub(super) fn told_again(&mut self, node: NodeId, draft: &Draft, at: Time, c: &Context) -> bool {
        if draft.keys.len() > 1 || self.graph.has_mark(node, Marks::SHARED) {
            return false;
        }
        let known = self.graph.raw(node).filter(|n| n.sources.has(c.source));
        match known.and_then(|n| n.said(&draft.attrs, c.rank, at)) {
            Some(true) => true,
            Some(false) => {
                if let Some(Some(known)) = self.graph.nodes.get_mut(node.0 as usize) {
                    Arc::make_mut(known).said_by(&draft.attrs, at);
                }
                true
            }
            None => false,
        }
    }

    pub(crate) fn make(&mut self, class: ClassId, key: ontology::Key, primary: bool) -> Option<NodeId> {
        let (sampled, open) =
            self.graph.ontology.classes.get(class.index()).map(|c| (c.grain == Grain::Sampled, c.open))?;
        let of_class = || self.graph.by_class.get(&class).map_or(0, imbl::Vector::len);
        if open && of_class() >= self.limits.open_nodes {
            self.totals.open_left_out += 1;
            return None;
        }
        if !sampled && self.kept_nodes >= self.limits.nodes {
            self.totals.left_out += 1;
            return None;
        }
        let id = NodeId(u32::try_from(self.graph.nodes.len()).ok()?);
        let node = Node {
            class,
            key,
            attrs: Vec::new(),
            seen: crate::Runs::default(),
            ended: None,
            sources: Sources::default(),
            owners: Vec::new(),
            followers: Vec::new(),
        };
        self.graph.glances.push(Glance::of(&self.graph.ontology, &node));
        self.graph.nodes.push(Some(Arc::new(node)));
        let mut marks = Marks::default();
        if sampled {
            marks.set(Marks::SAMPLED);
        }
        if sampled || self.graph.ontology.is_event(class) {
            marks.set(Marks::DATED);
        }
        if !primary {
            marks.set(Marks::SHARED);
        }
        self.graph.marks.push(marks);
        self.graph.order.push(key_id(key.hash));
        self.graph.by_key.insert(key_id(key.hash), id);
        if primary {
            self.keys.insert(key.hash, id);
        }
        if !primary {
            self.weaker.insert(key.hash, id);
        }
        self.graph.by_class.entry(class).or_default().push_back(id);
        self.note_name(id);
        if sampled {
            self.sampled.push_back(id);
        } else {
            self.kept_nodes += 1;
        }
        Some(id)
    }

    pub(super) fn seen(&mut self, node: NodeId, at: Time, c: &Context) {
        let minute = at.minute();
        let known = self.graph.raw(node).is_some_and(|n| n.seen.at(minute, 0).is_some());
        if !known {
            self.touch_begun(node);
            self.with_node(node, |n| n.seen.add(minute, RUN_GAP_MINUTES));
        }
        self.moved(at, c);
    }

    pub(crate) fn with_node(&mut self, node: NodeId, change: impl FnOnce(&mut Node)) {
        let (at, graph) = (node.0 as usize, &mut self.graph);
        let Some(Some(n)) = graph.nodes.get_mut(at) else { return };
        let n = Arc::make_mut(n);
        change(n);
        let glance = Glance::of(&graph.ontology, n);
        if graph.glances.get(at) != Some(&glance)
            && let Some(old) = graph.glances.get_mut(at)
        {
            *old = glance;
        }
    }

    /// The key that something is found by, and whether it is the one that identifies by itself.
    pub(crate) fn strongest(draft: &Draft) -> Option<(Key, bool)> {
        let primary = draft.keys.iter().find(|k| k.slot == 0);
        primary.or_else(|| draft.keys.first()).map(|key| (*key, primary.is_some()))
    }

    pub(crate) fn with_key(&self, key: Key, primary: bool) -> Option<NodeId> {
        if primary { self.keys.get(&key.hash).copied() } else { self.weaker.get(&key.hash).copied() }
    }

    /// What is said of an event or of a sampled node shows where it began. To be called before and after anything is said in a batch: it
    /// may have begun earlier than was known.
    pub(crate) fn touch_begun(&mut self, node: NodeId) {
        if !self.graph.has_mark(node, Marks::DATED) {
            return;
        }
        let began = match self.is_sampled(node) {
            true => self.graph.node(node).and_then(|n| n.seen.first()),
            false => self.graph.started(node).map(Time::minute),
        };
        if let Some(began) = began {
            self.touched.mark(began);
        }
    }

    pub(super) fn is_sampled(&self, node: NodeId) -> bool {
        self.graph.has_mark(node, Marks::SAMPLED)
    }

    /// Notes something that was concluded here rather than told by a source: a node of a class under an identity of its
    /// own, with attributes and edges to nodes that are there. The same note again changes nothing.
    pub fn note(
        &mut self,
        class: ClassId,
        identity: &str,
        attrs: Vec<(AttrId, Value)>,
        edges: &[(RelationId, NodeId)],
        at: Time,
    ) -> Option<NodeId> {
        let context = Context {
            source: self.concluded(),
            rank: 0,
            recorded: at,
            nodes: Vec::new(),
            cohorts: FxHashMap::default(),
        };
        let name = self.graph.ontology.classes.get(class.index())?.original().to_owned();
        let draft =
            Draft { class, keys: vec![ontology::Key { slot: 0, hash: fnv128(&[&name, identity]) }], attrs };
        let node = self.node(&draft, at, &context)?;
        self.seen(node, at, &context);
        for (relation, to) in edges {
            self.edge(*relation, node, *to, at, context.source);
            self.touch_begun(*to);
        }
        self.touch_begun(node);
        Some(node)
    }
}

/// FNV-1a over 128 bits (Fowler, Noll, Vo), with a separator after each part.
fn fnv128(parts: &[&str]) -> u128 {
    let mut hash: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    for part in parts {
        for byte in part.bytes().chain([0xff]) {
            hash = (hash ^ u128::from(byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b);
        }
    }
    hash
}
