//! The temporal graph as a property graph, seen at a moment or over a stretch of time.
//!
//! Labels are classes: a node has that of its class and of every more general one. Relationship types are relations: a
//! pattern that names one means its special cases as well. What several keys said of one thing is one node, and edges that
//! say the same between two nodes are one relationship.

use super::data::{Data, EdgeType, Hop, Label, Procedure, PropertyKey, Unknown, Way};
use super::scoped_properties::Properties;
use super::value::{EdgeRef, Map, NodeRef, Value};
use crate::moment::SAMPLED_MINUTES;
use graph::{Direction, EdgeId, Graph, NodeId, Runs};
use ontology::model::Grain;
use ontology::{ClassId, RelationId, Stretch, Time};
use rustc_hash::FxHashMap;
use std::cell::{OnceCell, RefCell};
use std::rc::Rc;

/// Which time is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// What held at a moment.
    At(Time),
    /// What held at any time of a stretch.
    Between(Stretch),
}

/// Traffic is summed over so long before a moment: as long as it is taken to go on after it was last seen.
const FLOW_SECONDS: i64 = 600;

impl Scope {
    /// The stretch over which traffic is summed.
    pub fn stretch(self) -> Stretch {
        match self {
            Scope::At(at) => {
                let to = at.minute().plus(1).start();
                Stretch { from: to.plus_secs(-FLOW_SECONDS), to }
            }
            Scope::Between(during) => during,
        }
    }
}

type ByName = FxHashMap<String, Vec<NodeRef>>;
/// Edges of sampled nodes by the node they lead to: the graph does not index them.
type FromSampled = FxHashMap<NodeId, Vec<(RelationId, NodeId, EdgeId)>>;

/// A graph under a scope.
pub struct Scoped<'a> {
    pub(super) graph: &'a Graph,
    pub(super) scope: Scope,
    properties: Properties,
    procedures: Vec<Procedure>,
    /// Whether nodes were there, as far as it was asked.
    there: RefCell<Vec<Option<bool>>>,
    by_label: RefCell<FxHashMap<Option<Label>, Rc<Vec<NodeRef>>>>,
    by_name: RefCell<FxHashMap<Label, Rc<ByName>>>,
    from_sampled: OnceCell<FromSampled>,
    edge_shares: OnceCell<FxHashMap<RelationId, usize>>,
}

impl<'a> Scoped<'a> {
    /// A graph as it was at a moment or over a stretch.
    pub fn new(graph: &'a Graph, scope: Scope) -> Scoped<'a> {
        let procedure = |name: &str, column: &str| Procedure {
            name: name.to_owned(),
            takes: Vec::new(),
            gives: vec![column.to_owned()],
        };
        Scoped {
            graph,
            scope,
            properties: Properties::new(graph.ontology()),
            procedures: vec![
                procedure("db.labels", "label"),
                procedure("db.relationshipTypes", "relationshipType"),
                procedure("db.propertyKeys", "propertyKey"),
            ],
            there: RefCell::default(),
            by_label: RefCell::default(),
            by_name: RefCell::default(),
            from_sampled: OnceCell::new(),
            edge_shares: OnceCell::new(),
        }
    }

    fn is_sampled(&self, class: ClassId) -> bool {
        self.graph.ontology().classes.get(class.index()).is_some_and(|c| c.grain == Grain::Sampled)
    }

    fn class(&self, node: NodeId) -> Option<ClassId> {
        self.graph.node(node).map(|n| n.class)
    }

    /// Whether an edge held.
    pub(super) fn held(&self, edge: EdgeId) -> bool {
        match self.scope {
            Scope::At(at) => self.graph.holds(edge, at),
            Scope::Between(during) => self.graph.held_during(edge, during),
        }
    }

    /// Whether a node was there.
    fn is_there(&self, node: NodeId) -> bool {
        let known = self.there.borrow().get(node.0 as usize).copied().flatten();
        known.unwrap_or_else(|| {
            let there = self.was_there(node);
            let mut all = self.there.borrow_mut();
            if all.len() <= node.0 as usize {
                all.resize(node.0 as usize + 1, None);
            }
            if let Some(known) = all.get_mut(node.0 as usize) {
                *known = Some(there);
            }
            there
        })
    }

    /// Sampled nodes are there as long as they were seen lately, others since they were first seen.
    fn was_there(&self, node: NodeId) -> bool {
        let sampled = self.class(node).is_some_and(|c| self.is_sampled(c));
        let members = self.graph.members(node);
        let seen = || members.iter().filter_map(|m| self.graph.member(*m)).map(|n| &n.seen);
        if seen().all(Runs::is_empty) {
            // Nobody saw the thing itself: it was there while something was said to relate to it.
            return self.graph.hops(node).iter().any(|h| self.held(h.edge));
        }
        seen().any(|s| match self.scope {
            Scope::At(at) if sampled => s.at(at.minute(), SAMPLED_MINUTES).is_some(),
            Scope::At(at) => s.first().is_some_and(|f| f <= at.minute()),
            Scope::Between(during) if sampled => {
                s.touches(during.from.minute(), during.to.minute().plus(1), SAMPLED_MINUTES)
            }
            Scope::Between(during) => s.first().is_some_and(|f| f.start() < during.to),
        })
    }

    /// Nodes with a label, by class and stable id: the same order however facts came.
    fn listed(&self, label: Option<Label>) -> Rc<Vec<NodeRef>> {
        if let Some(found) = self.by_label.borrow().get(&label) {
            return Rc::clone(found);
        }
        let mut found: Vec<(ClassId, u128, NodeId)> = Vec::new();
        for class in self.classes(label) {
            for node in self.graph.of_exactly(class).filter(|n| self.is_there(*n)) {
                found.push((class, self.graph.node(node).map_or(0, |n| n.key.hash), node));
            }
        }
        found.sort_unstable();
        let found = Rc::new(found.into_iter().map(|f| NodeRef(f.2.0)).collect::<Vec<_>>());
        self.by_label.borrow_mut().insert(label, Rc::clone(&found));
        found
    }

    fn classes(&self, label: Option<Label>) -> Vec<ClassId> {
        let o = self.graph.ontology();
        let fits = |c: &ClassId| label.is_none_or(|l| o.is_a(*c, class_of(l)));
        (0..).map(ClassId).take(o.classes.len()).filter(fits).collect()
    }

    fn names(&self, label: Label) -> Rc<ByName> {
        if let Some(found) = self.by_name.borrow().get(&label) {
            return Rc::clone(found);
        }
        let mut names = ByName::default();
        for node in self.listed(Some(label)).iter() {
            names.entry(self.graph.name(NodeId(node.0))).or_default().push(*node);
        }
        let names = Rc::new(names);
        self.by_name.borrow_mut().insert(label, Rc::clone(&names));
        names
    }

    fn sampled_edges(&self) -> &FromSampled {
        self.from_sampled.get_or_init(|| {
            let mut found = FromSampled::default();
            for (id, edge) in self.graph.edges() {
                let sampled = |n: NodeId| self.graph.member(n).is_some_and(|n| self.is_sampled(n.class));
                if sampled(edge.from) && !sampled(edge.to) {
                    let (from, to) = (self.graph.resolve(edge.from), self.graph.resolve(edge.to));
                    found.entry(to).or_default().push((edge.relation, from, id));
                }
            }
            let key = |n: NodeId| self.graph.node(n).map_or(0, |n| n.key.hash);
            for edges in found.values_mut() {
                edges.sort_by_cached_key(|e| (e.0, key(e.1), e.2));
            }
            found
        })
    }

    /// Relations whose edges may come from sampled nodes.
    fn may_be_sampled(&self, types: &[EdgeType]) -> bool {
        let o = self.graph.ontology();
        let from_sampled = |r: &EdgeType| {
            let arrows = o.relations.get(relation_of(*r).index()).map_or(&[][..], |r| &r.arrows);
            arrows.iter().any(|(from, _)| o.kinds_of(*from).any(|c| self.is_sampled(c)))
        };
        types.is_empty() || types.iter().any(from_sampled)
    }

    /// Edges between two nodes that say the same as this one and held: the first stands for all.
    pub(super) fn alike(&self, edge: EdgeRef) -> Vec<EdgeId> {
        let id = EdgeId(edge.0);
        let Some(found) = self.graph.edge(id) else { return Vec::new() };
        let to = self.graph.resolve(found.to);
        let same =
            |h: &graph::Hop| h.relation == found.relation && h.direction == Direction::Out && h.node == to;
        self.graph
            .all_hops(found.from)
            .into_iter()
            .filter(same)
            .map(|h| h.edge)
            .filter(|e| self.held(*e))
            .collect()
    }
}

/// Label of a class.
pub(super) fn label_of(class: ClassId) -> Label {
    Label(u32::from(class.0))
}

fn class_of(label: Label) -> ClassId {
    ClassId(u16::try_from(label.0).unwrap_or(u16::MAX))
}

fn relation_of(of: EdgeType) -> RelationId {
    RelationId(u16::try_from(of.0).unwrap_or(u16::MAX))
}

fn unknown<'n>(what: &'static str, name: &str, known: impl Iterator<Item = &'n String>) -> Unknown {
    Unknown { what, nearest: crate::run::nearest(name, known.cloned(), 3) }
}

impl Data for Scoped<'_> {
    fn label(&self, name: &str) -> Result<Option<Label>, Unknown> {
        let o = self.graph.ontology();
        match o.class(name) {
            Some(class) => Ok(Some(label_of(class))),
            None => Err(unknown("label", name, o.classes.iter().map(|c| &c.name))),
        }
    }

    fn edge_types(&self, name: &str) -> Result<Vec<EdgeType>, Unknown> {
        let o = self.graph.ontology();
        // Cypher's custom is to write types in capitals.
        let general = o.relation(name).or_else(|| {
            let capitals = !name.chars().any(char::is_lowercase);
            capitals.then(|| o.relation(&name.to_lowercase())).flatten()
        });
        let Some(general) = general else {
            return Err(unknown("relationship type", name, o.relations.iter().map(|r| &r.name)));
        };
        let all = (0..).map(RelationId).take(o.relations.len());
        Ok(all.filter(|r| o.is_case_of(*r, general)).map(|r| EdgeType(u32::from(r.0))).collect())
    }

    fn property(&self, name: &str) -> Result<Option<PropertyKey>, Unknown> {
        match self.properties.key(name) {
            Some(key) => Ok(Some(key)),
            None => Err(unknown("property", name, self.properties.names())),
        }
    }

    fn count(&self, label: Option<Label>) -> usize {
        self.classes(label).into_iter().map(|c| self.graph.class_size(c)).sum()
    }

    fn edge_count(&self, types: &[EdgeType]) -> usize {
        // So many edges tell the shares of relations well enough to choose by.
        const LOOKED_AT: usize = 100_000;
        let shares = self.edge_shares.get_or_init(|| {
            let mut shares = FxHashMap::default();
            for (_, edge) in self.graph.edges().take(LOOKED_AT) {
                *shares.entry(edge.relation).or_insert(0) += 1;
            }
            shares
        });
        let looked: usize = shares.values().sum();
        let all = self.graph.edge_slots();
        let found: usize = if types.is_empty() {
            looked
        } else {
            types.iter().filter_map(|t| shares.get(&relation_of(*t))).sum()
        };
        found.saturating_mul(all).checked_div(looked).unwrap_or(0)
    }

    fn nodes(&self, label: Option<Label>) -> Box<dyn Iterator<Item = NodeRef> + '_> {
        let listed = self.listed(label);
        Box::new((0..listed.len()).filter_map(move |i| listed.get(i).copied()))
    }

    fn is_indexed(&self, label: Option<Label>, key: PropertyKey) -> bool {
        self.properties.is_id(key) || (label.is_some() && self.properties.is_name(key))
    }

    fn find(&self, label: Option<Label>, key: PropertyKey, value: &Value) -> Vec<NodeRef> {
        let Value::Text(text) = value else { return Vec::new() };
        if self.properties.is_id(key) {
            let node = self.graph.node_with_id(text).filter(|n| self.is_there(*n));
            return node.map(|n| NodeRef(n.0)).into_iter().collect();
        }
        label.and_then(|l| self.names(l).get(&**text).cloned()).unwrap_or_default()
    }

    fn has_label(&self, node: NodeRef, label: Label) -> bool {
        let class = self.class(NodeId(node.0));
        class.is_some_and(|c| self.graph.ontology().is_a(c, class_of(label)))
    }

    fn labels(&self, node: NodeRef) -> Vec<&str> {
        let o = self.graph.ontology();
        let mut found = Vec::new();
        let mut at = self.class(NodeId(node.0));
        while let Some(class) = at {
            found.push(o.class_name(class));
            at = o.classes.get(class.index()).and_then(|c| c.is);
        }
        found
    }

    fn expand(&self, node: NodeRef, way: Way, types: &[EdgeType], into: &mut Vec<Hop>) {
        let node = NodeId(node.0);
        let mut hops: Vec<(RelationId, Direction, NodeId, EdgeId)> = Vec::new();
        let fits = |r: RelationId| types.is_empty() || types.binary_search(&EdgeType(u32::from(r.0))).is_ok();
        for h in self.graph.all_hops(node) {
            if fits(h.relation) {
                hops.push((h.relation, h.direction, h.node, h.edge));
            }
        }
        let unsampled = self.class(node).is_some_and(|c| !self.is_sampled(c));
        if way != Way::Out && unsampled && self.may_be_sampled(types) {
            let from = self.sampled_edges().get(&node).into_iter().flatten();
            hops.extend(from.filter(|e| fits(e.0)).map(|(r, from, e)| (*r, Direction::In, *from, *e)));
        }
        let mut last = None;
        for (relation, direction, far, edge) in hops {
            let wanted = match way {
                Way::Out => direction == Direction::Out,
                Way::In => direction == Direction::In,
                // A loop is told once, on the way out.
                Way::Both => direction == Direction::Out || far != node,
            };
            let again = last == Some((relation, direction, far));
            if wanted && !again && self.held(edge) && self.is_there(far) {
                last = Some((relation, direction, far));
                into.push(Hop { edge: EdgeRef(edge.0), node: NodeRef(far.0) });
            }
        }
    }

    fn ends(&self, edge: EdgeRef) -> (NodeRef, NodeRef) {
        let ends =
            self.graph.edge(EdgeId(edge.0)).map(|e| (self.graph.resolve(e.from), self.graph.resolve(e.to)));
        ends.map_or((NodeRef(u32::MAX), NodeRef(u32::MAX)), |(a, b)| (NodeRef(a.0), NodeRef(b.0)))
    }

    fn edge_type(&self, edge: EdgeRef) -> EdgeType {
        self.graph.edge(EdgeId(edge.0)).map_or(EdgeType(u32::MAX), |e| EdgeType(u32::from(e.relation.0)))
    }

    fn type_name(&self, of: EdgeType) -> &str {
        self.graph.ontology().relation_name(relation_of(of))
    }

    fn node_property(&self, node: NodeRef, key: PropertyKey) -> Value {
        self.properties.of_node(self, NodeId(node.0), key)
    }

    fn edge_property(&self, edge: EdgeRef, key: PropertyKey) -> Value {
        self.properties.of_edge(self, edge, key)
    }

    fn node_properties(&self, node: NodeRef) -> Map {
        self.properties.all_of_node(self, NodeId(node.0))
    }

    fn edge_properties(&self, edge: EdgeRef) -> Map {
        self.properties.all_of_edge(self, edge)
    }

    fn node_id(&self, node: NodeRef) -> Value {
        Value::text(self.graph.id(NodeId(node.0)))
    }

    fn edge_id(&self, edge: EdgeRef) -> Value {
        let (from, to) = self.ends(edge);
        let id = |n: NodeRef| self.graph.id(NodeId(n.0));
        Value::text(format!("{}-{}-{}", id(from), self.type_name(self.edge_type(edge)), id(to)))
    }

    fn procedures(&self) -> &[Procedure] {
        &self.procedures
    }

    fn call(&self, procedure: usize, _: &[Value]) -> Vec<Vec<Value>> {
        let o = self.graph.ontology();
        let rows = |names: Vec<&String>| names.into_iter().map(|n| vec![Value::text(n)]).collect();
        match procedure {
            0 => rows(o.classes.iter().map(|c| &c.name).collect()),
            1 => rows(o.relations.iter().map(|r| &r.name).collect()),
            _ => rows(self.properties.names().collect()),
        }
    }
}
