//! Who is who: keys to nodes, weaker keys to the node they belong to, and the names people read.
//!
//! A node is made for a primary key. A record that has only a weaker key gets a stand-in, which counts as the node that this
//! key was seen with, as long as that is one node; a key that was seen with several identifies none, and its stand-in stays
//! by itself. All of this is looked up when read, so the order in which records came does not matter.

use crate::topology::{Graph, Marks, Node, NodeId};
use ontology::model::KeyPart;
use ontology::{ClassId, Key, Value};

/// Weaker keys may lead to stand-ins of still weaker ones; no ontology needs more steps than this.
const STEPS: usize = 6;

/// The part of a key's hash that ids show: enough to tell apart all that a graph holds.
pub(crate) fn key_id(hash: u128) -> u64 {
    (hash >> 64) as u64
}

impl Graph {
    /// The node that a node stands for: itself, unless it was made for a weaker key that belongs to exactly one other node.
    pub fn resolve(&self, node: NodeId) -> NodeId {
        if self.has_mark(node, Marks::SHARED) { self.resolve_within(node, STEPS) } else { node }
    }

    fn resolve_within(&self, node: NodeId, steps: usize) -> NodeId {
        let Some(found) = self.raw(node) else { return node };
        if steps == 0 {
            return node;
        }
        if found.owners.is_empty() {
            return if found.key.slot == 0 { node } else { self.adopted(node, found).unwrap_or(node) };
        }
        let mut roots = found.owners.iter().map(|o| self.resolve_within(*o, steps - 1));
        match roots.next() {
            Some(first) if roots.all(|r| r == first) => first,
            _ => node,
        }
    }

    /// The node that something with a weaker key only counts as, although no record named both: they share a still weaker key
    /// with nobody else, and nothing tells them apart, for the node is not known by another key of that kind. (Telemetry that
    /// does not know the name of its cluster, and the cluster's own objects, which know it.)
    fn adopted(&self, node: NodeId, found: &Node) -> Option<NodeId> {
        let mut into = None;
        for shared in &found.followers {
            let owners = self.raw(*shared).map_or(&[][..], |s| s.owners.as_slice());
            let other = match owners {
                [a, b] if *a == node => *b,
                [a, b] if *b == node => *a,
                [only] if *only == node => continue,
                _ => return None,
            };
            let whole = self.raw(other).filter(|o| o.key.slot == 0)?;
            let told_apart = |f: &NodeId| self.raw(*f).is_some_and(|f| f.key.slot == found.key.slot);
            if whole.followers.iter().any(told_apart) || into.is_some_and(|i| i != other) {
                return None;
            }
            into = Some(other);
        }
        into
    }

    /// The node and every stand-in that counts as it.
    pub fn members(&self, node: NodeId) -> Vec<NodeId> {
        if !self.has_mark(node, Marks::SHARED) {
            return vec![node];
        }
        let root = self.resolve(node);
        let mut members = vec![root];
        let mut next = 0;
        while let Some(&at) = members.get(next) {
            next += 1;
            let Some(found) = self.raw(at) else { continue };
            // What a stand-in was seen with may have been adopted through it.
            let around = found.followers.iter().chain(&found.owners);
            for f in around {
                if !members.contains(f) && self.resolve(*f) == root {
                    members.push(*f);
                }
            }
        }
        members
    }

    /// The node's stable id: the same in every graph that has the same facts.
    pub fn id(&self, node: NodeId) -> String {
        self.raw(self.resolve(node)).map_or_else(String::new, |n| format!("{:016x}", key_id(n.key.hash)))
    }

    /// The id of the node itself, whatever it stands for.
    pub fn own_id(&self, node: NodeId) -> String {
        self.raw(node).map_or_else(String::new, |n| format!("{:016x}", key_id(n.key.hash)))
    }

    /// Every stand-in of a class (of all when not said) that somebody told of, with the nodes that its key was seen with: one for those
    /// that count as it, several where the key identifies none.
    pub fn stand_ins(&self, class: Option<ClassId>) -> Vec<(NodeId, Vec<NodeId>)> {
        let of_class =
            |n: &NodeId| class.is_none_or(|c| self.raw(*n).is_some_and(|f| self.ontology.is_a(f.class, c)));
        let owned = |n: NodeId| {
            let found = self.raw(n).filter(|f| !f.sources.is_empty() && !f.owners.is_empty())?;
            Some((n, found.owners.clone()))
        };
        (0..).map(NodeId).take(self.nodes.len()).filter(of_class).filter_map(owned).collect()
    }

    /// What the key of a node says: `namespace=shop name=ratings`.
    pub fn key_text(&self, node: NodeId) -> String {
        let Some(found) = self.raw(node) else { return String::new() };
        let class = self.ontology.classes.get(found.class.index());
        let key = class.and_then(|c| c.keys.get(usize::from(found.key.slot)));
        let part = |p: &KeyPart| match p {
            KeyPart::Attr(a) => {
                let said = found.attrs.iter().find(|(b, _)| a == b).map(|(_, s)| self.shown(*a, &s.value))?;
                let name = self.ontology.attrs.get(a.index()).map_or("", |a| a.name.as_str());
                Some(format!("{name}={said}"))
            }
            KeyPart::Relation(r) => {
                let name = self.ontology.relation_name(*r);
                self.target(node, *r).map(|t| format!("{name}={}", self.name(t)))
            }
        };
        key.into_iter().flatten().filter_map(part).collect::<Vec<_>>().join(" ")
    }

    /// The node with this stable id.
    pub fn node_with_id(&self, id: &str) -> Option<NodeId> {
        let high = u64::from_str_radix(id, 16).ok()?;
        self.by_key.get(&high).map(|n| self.resolve(*n))
    }

    /// The node that a key leads to, if a record had it.
    pub fn node_of_key(&self, key: &Key) -> Option<NodeId> {
        let found = self.by_key.get(&key_id(key.hash)).copied();
        found.filter(|n| self.raw(*n).is_some_and(|n| n.key.hash == key.hash)).map(|n| self.resolve(n))
    }

    /// What people call it: the parts of its key, outermost first, joined by `/`
    /// (one is enough where a part begins with it); its `name` where the key is opaque.
    pub fn name(&self, node: NodeId) -> String {
        self.name_within(self.resolve(node), STEPS)
    }

    fn name_within(&self, node: NodeId, steps: usize) -> String {
        let Some(found) = self.raw(node) else { return String::new() };
        let o = &self.ontology;
        let Some(class) = o.classes.get(found.class.index()) else { return String::new() };
        let name = o.attr(found.class, "name");
        for key in &class.keys {
            let part = |p: &KeyPart| match p {
                KeyPart::Attr(a) => self.attr(node, *a).map(|v| self.shown(*a, v)).unwrap_or_default(),
                KeyPart::Relation(r) if steps > 0 => {
                    self.target(node, *r).map_or_else(String::new, |t| self.name_within(t, steps - 1))
                }
                KeyPart::Relation(_) => String::new(),
            };
            let parts: Vec<String> = key.iter().map(part).filter(|p| !p.is_empty()).collect();
            let named_by_key = name.is_none_or(|n| key.contains(&KeyPart::Attr(n)));
            if let (false, Some(Value::Text(t))) = (named_by_key, name.and_then(|n| self.attr(node, n)))
                && !t.is_empty()
            {
                return t.to_string();
            }
            if !parts.is_empty() {
                // A route already begins with the separator.
                return parts
                    .into_iter()
                    .reduce(|a, b| if b.starts_with('/') { a + &b } else { format!("{a}/{b}") })
                    .unwrap_or_default();
            }
        }
        self.id(node)
    }

    fn shown(&self, attr: ontology::AttrId, value: &Value) -> String {
        let personal =
            self.ontology.attrs.get(attr.index()).is_some_and(|a| a.ty == ontology::model::Type::Hash);
        let text = value.to_string();
        if personal { text.chars().take(12).collect() } else { text }
    }
}
