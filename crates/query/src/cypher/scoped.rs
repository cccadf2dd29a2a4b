//! The temporal graph as a property graph, seen at a moment or over a stretch of time.
//!
//! Labels are classes: a node has that of its class and of every more general one. Relationship types are relations: a
//! pattern that names one means its special cases as well. What several keys said of one thing is one node, and edges that
//! say the same between two nodes are one relationship.

use super::data::{Check, Data, EdgeType, Label, Met, Procedure, PropertyKey, Unknown, Way};
use super::scoped_properties::Properties;
use super::value::{EdgeRef, Map, NodeRef, Value};
use crate::moment::SAMPLED_MINUTES;
use graph::{Direction, Edge, EdgeId, Graph, NodeId, Runs, Stat};
use ontology::model::Grain;
use ontology::{ClassId, Minute, RelationId, Stretch, Time};
use rustc_hash::FxHashMap;
use std::cell::{OnceCell, RefCell};
use std::ops::ControlFlow;

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

/// Edges of sampled nodes by the node they lead to: the graph does not index them.
type FromSampled = FxHashMap<NodeId, Vec<(RelationId, NodeId, EdgeId)>>;

/// Nodes or edges that are fetched from memory together.
const AT_ONCE: usize = 64;

/// Nodes of a page of answers to whether they were there: a query that looks at few nodes of many writes few pages.
const THERE_PAGE: usize = 1024;

/// Whether nodes were there, as far as it was asked.
#[derive(Default)]
struct There(Vec<Option<Box<[Option<bool>; THERE_PAGE]>>>);

impl There {
    fn get(&self, node: NodeId) -> Option<bool> {
        let at = node.0 as usize;
        *self.0.get(at / THERE_PAGE)?.as_ref()?.get(at % THERE_PAGE)?
    }

    fn set(&mut self, node: NodeId, there: bool) {
        let at = node.0 as usize;
        if self.0.len() <= at / THERE_PAGE {
            self.0.resize_with(at / THERE_PAGE + 1, || None);
        }
        let page =
            self.0.get_mut(at / THERE_PAGE).map(|p| p.get_or_insert_with(|| Box::new([None; THERE_PAGE])));
        if let Some(known) = page.and_then(|p| p.get_mut(at % THERE_PAGE)) {
            *known = Some(there);
        }
    }
}

/// A graph under a scope.
pub struct Scoped<'a> {
    pub(super) graph: &'a Graph,
    pub(super) scope: Scope,
    properties: Properties,
    procedures: Vec<Procedure>,
    there: RefCell<There>,
    from_sampled: OnceCell<FromSampled>,
    /// By relation how many edges a node has that may have some, on the way out and on the way in.
    per_node: Vec<OnceCell<[f64; 2]>>,
    /// What went along the edge that was last asked about: most queries ask several figures of it.
    pub(super) last_traffic: RefCell<Option<(EdgeRef, Stat)>>,
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
            from_sampled: OnceCell::new(),
            per_node: vec![OnceCell::new(); graph.ontology().relations.len()],
            last_traffic: RefCell::default(),
        }
    }

    fn is_sampled(&self, class: ClassId) -> bool {
        self.graph.ontology().classes.get(class.index()).is_some_and(|c| c.grain == Grain::Sampled)
    }

    fn class(&self, node: NodeId) -> Option<ClassId> {
        self.graph.class_of(node)
    }

    /// Whether an edge held.
    pub(super) fn held(&self, edge: EdgeId) -> bool {
        self.graph.edge(edge).is_some_and(|e| self.edge_held(edge, e))
    }

    fn edge_held(&self, id: EdgeId, edge: &Edge) -> bool {
        match self.scope {
            Scope::At(at) => self.graph.edge_holds(id, edge, at),
            Scope::Between(during) => self.graph.edge_held_during(id, edge, during),
        }
    }

    /// Whether a node was there.
    fn is_there(&self, node: NodeId) -> bool {
        if let Some(there) = self.at_a_glance(node) {
            return there;
        }
        self.known_there(node).unwrap_or_else(|| self.note_there(node, self.was_there(node, false)))
    }

    /// The same where it takes no look at the node: one that was seen itself, by its only key, and is no sample.
    fn at_a_glance(&self, node: NodeId) -> Option<bool> {
        if self.graph.is_sampled(node) || self.graph.may_have_members(node) {
            return None;
        }
        Some(self.began(self.graph.first_seen(node)?))
    }

    /// Whether something that was first seen then and never ends was there.
    fn began(&self, first: Minute) -> bool {
        match self.scope {
            Scope::At(at) => first <= at.minute(),
            Scope::Between(during) => first.start() < during.to,
        }
    }

    fn known_there(&self, node: NodeId) -> Option<bool> {
        self.there.borrow().get(node)
    }

    fn note_there(&self, node: NodeId, there: bool) -> bool {
        self.there.borrow_mut().set(node, there);
        there
    }

    /// The same of the far end of an edge that held.
    fn is_there_along(&self, far: NodeId, edge: &Edge) -> bool {
        if let Some(there) = self.at_a_glance(far) {
            return there;
        }
        self.known_there(far).unwrap_or_else(|| {
            let only_from_there = self.graph.is_sampled(edge.from) && !self.graph.is_sampled(edge.to);
            let related = !edge.seen.is_empty() && !only_from_there;
            self.note_there(far, self.was_there(far, related))
        })
    }

    /// Sampled nodes are there as long as they were seen lately, others since they were first seen. What nobody saw itself was
    /// there while something was said to relate to it.
    fn was_there(&self, node: NodeId, related: bool) -> bool {
        if self.graph.may_have_members(node) {
            let members = self.graph.members(node);
            let seen = || members.iter().filter_map(|m| self.graph.member(*m)).map(|n| &n.seen);
            if seen().all(Runs::is_empty) {
                return related || self.is_related(node);
            }
            return seen().any(|s| self.was_seen(node, s));
        }
        let Some(found) = self.graph.member(node) else { return false };
        if found.seen.is_empty() {
            related || self.is_related(node)
        } else {
            self.was_seen(node, &found.seen)
        }
    }

    fn was_seen(&self, node: NodeId, seen: &Runs) -> bool {
        let sampled = self.class(node).is_some_and(|c| self.is_sampled(c));
        match self.scope {
            Scope::At(at) if sampled => seen.at(at.minute(), SAMPLED_MINUTES).is_some(),
            Scope::Between(during) if sampled => {
                seen.touches(during.from.minute(), during.to.minute().plus(1), SAMPLED_MINUTES)
            }
            _ => seen.first().is_some_and(|f| self.began(f)),
        }
    }

    /// Whether a source told of an edge at a node that held.
    fn is_related(&self, node: NodeId) -> bool {
        [Direction::Out, Direction::In].into_iter().any(|way| {
            let found = self.graph.each_hop(node, way, &[], |hop, edge| {
                let related = !edge.seen.is_empty() && self.edge_held(hop.edge, edge);
                if related { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            });
            found.is_break()
        })
    }

    fn classes(&self, label: Option<Label>) -> Vec<ClassId> {
        let o = self.graph.ontology();
        let fits = |c: &ClassId| label.is_none_or(|l| o.is_a(*c, class_of(l)));
        (0..).map(ClassId).take(o.classes.len()).filter(fits).collect()
    }

    fn sampled_edges(&self) -> &FromSampled {
        self.from_sampled.get_or_init(|| {
            let mut found = FromSampled::default();
            for (id, edge) in self.graph.from_sampled() {
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

    /// Whether there may be edges at a node that the graph does not index there.
    fn may_come_from_sampled(&self, node: NodeId, types: &[EdgeType]) -> bool {
        self.may_be_sampled(types) && self.class(node).is_some_and(|c| !self.is_sampled(c))
    }

    /// Edges between two nodes that say the same as this one and held: the first stands for all.
    pub(super) fn alike(&self, edge: EdgeRef) -> Vec<EdgeId> {
        let id = EdgeId(edge.0);
        let Some(found) = self.graph.edge(id) else { return Vec::new() };
        // Between two nodes that are known by one key each there is one edge of a relation.
        if !self.graph.may_have_members(found.from) && !self.graph.may_have_members(found.to) {
            return if self.held(id) { vec![id] } else { Vec::new() };
        }
        let to = self.graph.resolve(found.to);
        let mut alike = Vec::new();
        let _ = self.graph.each_hop(found.from, Direction::Out, &[found.relation], |hop, edge| {
            if hop.node == to && self.edge_held(hop.edge, edge) {
                alike.push(hop.edge);
            }
            ControlFlow::Continue(())
        });
        alike.sort_unstable();
        alike
    }

    /// Gives every edge at a node in no order: at whatever time, or those that are told.
    fn each_edge(
        &self,
        node: NodeId,
        way: Way,
        types: &[EdgeType],
        check: Check,
        mut found: impl FnMut(Met) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let room;
        let relations: &[RelationId] = if let [only] = types {
            &[relation_of(*only)]
        } else {
            room = types.iter().map(|t| relation_of(*t)).collect::<Vec<_>>();
            &room
        };
        let directions = directions_of(way);
        let mut give = |relation: RelationId, direction, far: NodeId, id: EdgeId| {
            // A loop is told once, on the way out.
            if way == Way::Both && direction == Direction::In && far == node {
                return ControlFlow::Continue(());
            }
            let kind = u32::from(relation.0) << 1 | u32::from(direction == Direction::In);
            let order = self.graph.order(far);
            found(Met { kind, order, node: NodeRef(far.0), edge: EdgeRef(id.0) })
        };
        for direction in directions {
            self.graph.each_hop(node, *direction, relations, |hop, edge| {
                let told = check == Check::Later
                    || (self.edge_held(hop.edge, edge) && self.is_there_along(hop.node, edge));
                if !told {
                    return ControlFlow::Continue(());
                }
                give(hop.relation, hop.direction, hop.node, hop.edge)
            })?;
        }
        if way != Way::Out && self.may_come_from_sampled(node, types) {
            for (relation, from, id) in self.sampled_edges().get(&node).into_iter().flatten() {
                let of_these = relations.is_empty() || relations.contains(relation);
                let told = || {
                    self.graph
                        .edge(*id)
                        .is_some_and(|e| self.edge_held(*id, e) && self.is_there_along(*from, e))
                };
                if of_these && (check == Check::Later || told()) {
                    give(*relation, Direction::In, *from, *id)?;
                }
            }
        }
        ControlFlow::Continue(())
    }

    /// Nodes of a kind that may have edges of a relation at one end.
    fn nodes_with(&self, relation: RelationId, direction: Direction) -> usize {
        let o = self.graph.ontology();
        let arrows = o.relations.get(relation.index()).map_or(&[][..], |r| &r.arrows);
        let end = |(from, to): &(ClassId, ClassId)| if direction == Direction::Out { *from } else { *to };
        let mut classes: Vec<ClassId> = arrows.iter().flat_map(|a| o.kinds_of(end(a))).collect();
        classes.sort_unstable();
        classes.dedup();
        classes.into_iter().map(|c| self.graph.class_size(c)).sum()
    }
}

impl Drop for Scoped<'_> {
    fn drop(&mut self) {
        self.properties.keep(self.graph);
    }
}

/// Label of a class.
pub(super) fn label_of(class: ClassId) -> Label {
    Label(u32::from(class.0))
}

fn class_of(label: Label) -> ClassId {
    ClassId(u16::try_from(label.0).unwrap_or(u16::MAX))
}

fn directions_of(way: Way) -> &'static [Direction] {
    match way {
        Way::Out => &[Direction::Out],
        Way::In => &[Direction::In],
        Way::Both => &[Direction::Out, Direction::In],
    }
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
        if types.is_empty() {
            let all = (0..).map(RelationId).take(self.graph.ontology().relations.len());
            return all.map(|r| self.graph.edge_count(r)).sum();
        }
        types.iter().map(|t| self.graph.edge_count(relation_of(*t))).sum()
    }

    fn nodes(&self, label: Option<Label>) -> Box<dyn Iterator<Item = NodeRef> + '_> {
        let nodes = self.classes(label).into_iter().flat_map(|c| self.graph.in_order(c));
        Box::new(nodes.filter(|n| self.is_there(*n)).map(|n| NodeRef(n.0)))
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
        let found = label.map_or_else(Vec::new, |l| self.graph.all_named(class_of(l), text));
        found.into_iter().filter(|n| self.is_there(*n)).map(|n| NodeRef(n.0)).collect()
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

    fn edges_per_node(&self, types: &[EdgeType], way: Way) -> f64 {
        let per_node = |(relation, known): (RelationId, &OnceCell<[f64; 2]>)| {
            *known.get_or_init(|| {
                let edges = self.graph.edge_count(relation) as f64;
                [Direction::Out, Direction::In].map(|d| edges / self.nodes_with(relation, d).max(1) as f64)
            })
        };
        let all = || (0..).map(RelationId).zip(&self.per_node);
        let of_way = |[out, into]: [f64; 2]| match way {
            Way::Out => out,
            Way::In => into,
            Way::Both => out + into,
        };
        if types.is_empty() {
            return all().map(per_node).map(of_way).sum();
        }
        let these = types.iter().filter_map(|t| Some((relation_of(*t), self.per_node.get(t.0 as usize)?)));
        these.map(per_node).map(of_way).sum()
    }

    fn degree(&self, node: NodeRef, way: Way, types: &[EdgeType], most: usize) -> usize {
        let relations: Vec<RelationId> = types.iter().map(|t| relation_of(*t)).collect();
        let id = NodeId(node.0);
        let mut degree = 0;
        for direction in directions_of(way) {
            degree += self.graph.hop_count(id, *direction, &relations, most - degree);
        }
        if way != Way::Out && degree < most && self.may_come_from_sampled(id, types) {
            let fits = |r: &RelationId| relations.is_empty() || relations.contains(r);
            let sampled = self.sampled_edges().get(&id).into_iter().flatten();
            degree += sampled.filter(|e| fits(&e.0)).take(most - degree).count();
        }
        degree
    }

    fn nodes_in_any_order(&self, label: Option<Label>) -> Box<dyn Iterator<Item = NodeRef> + '_> {
        let mut nodes = self.classes(label).into_iter().flat_map(|c| self.graph.of_exactly(c));
        let (mut few, mut at) = (Vec::with_capacity(AT_ONCE), 0);
        let next = move || {
            if at == few.len() {
                few.clear();
                few.extend(nodes.by_ref().take(AT_ONCE));
                at = 0;
            }
            at += 1;
            few.get(at - 1).copied()
        };
        Box::new(std::iter::from_fn(next).filter(|n| self.is_there(*n)).map(|n| NodeRef(n.0)))
    }

    fn node_order(&self, node: NodeRef) -> (u32, u64) {
        let class = self.class(NodeId(node.0)).map_or(0, |c| c.0);
        (u32::from(class), self.graph.order(NodeId(node.0)))
    }

    fn meet(&self, node: NodeRef, way: Way, types: &[EdgeType], check: Check, into: &mut Vec<Met>) -> bool {
        let start = into.len();
        let _ = self.each_edge(NodeId(node.0), way, types, check, |met| {
            into.push(met);
            ControlFlow::Continue(())
        });
        // Between two nodes that are known by one key each there is one edge of a relation.
        let mut ends = [node].into_iter().chain(into.iter().skip(start).map(|m| m.node));
        ends.any(|n| self.graph.may_have_members(NodeId(n.0)))
    }

    fn fetch(&self, nodes: &mut dyn Iterator<Item = NodeRef>, keys: &[PropertyKey]) {
        self.properties.fetch(self, nodes, keys);
    }

    fn turned(&self, met: Met, at: NodeRef) -> Met {
        Met { kind: met.kind ^ 1, order: self.graph.order(NodeId(at.0)), node: at, edge: met.edge }
    }

    fn is_told(&self, met: &Met) -> bool {
        let (id, far) = (EdgeId(met.edge.0), NodeId(met.node.0));
        self.graph.edge(id).is_some_and(|edge| self.edge_held(id, edge) && self.is_there_along(far, edge))
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
