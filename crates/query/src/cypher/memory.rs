//! A property graph in memory without a schema: for the compatibility kit, for tests, and to ask what is no temporal graph.

use super::data::{Check, Data, EdgeType, Label, Met, Procedure, PropertyKey, Unknown, Way};
use super::value::{EdgeRef, Map, NodeRef, Value, equal};
use std::collections::BTreeMap;
use std::sync::Arc;

#[derive(Clone, Debug, Default)]
struct Names {
    names: Vec<Arc<str>>,
    numbers: BTreeMap<Arc<str>, u32>,
}

impl Names {
    fn number(&mut self, name: &str) -> u32 {
        if let Some(n) = self.numbers.get(name) {
            return *n;
        }
        let (number, name) = (small(self.names.len()), Arc::<str>::from(name));
        self.names.push(Arc::clone(&name));
        self.numbers.insert(name, number);
        number
    }

    fn find(&self, name: &str) -> Option<u32> {
        self.numbers.get(name).copied()
    }

    fn name(&self, number: u32) -> &str {
        self.names.get(number as usize).map_or("", |n| n)
    }

    fn map(&self, properties: &[(PropertyKey, Value)]) -> Map {
        let name = |k: &PropertyKey| self.names.get(k.0 as usize).cloned();
        properties.iter().filter_map(|(k, v)| Some((name(k)?, v.clone()))).collect()
    }
}

#[derive(Clone, Debug, Default)]
struct MemoryNode {
    labels: Vec<Label>,
    properties: Vec<(PropertyKey, Value)>,
    out: Vec<EdgeRef>,
    into: Vec<EdgeRef>,
}

#[derive(Clone, Debug)]
struct MemoryEdge {
    of: EdgeType,
    from: NodeRef,
    to: NodeRef,
    properties: Vec<(PropertyKey, Value)>,
}

/// The graph.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    labels: Names,
    types: Names,
    keys: Names,
    nodes: Vec<MemoryNode>,
    edges: Vec<MemoryEdge>,
    by_label: Vec<Vec<NodeRef>>,
    procedures: Vec<Procedure>,
    answers: Vec<Vec<Vec<Value>>>,
}

fn small(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

impl Memory {
    /// Adds a node. A property that is null is none.
    pub fn add_node(&mut self, labels: &[&str], properties: &Map) -> NodeRef {
        let node = NodeRef(small(self.nodes.len()));
        let mut found: Vec<Label> = Vec::new();
        for l in labels {
            let label = Label(self.labels.number(l));
            self.by_label.resize(self.labels.names.len(), Vec::new());
            if found.contains(&label) {
                continue;
            }
            found.push(label);
            if let Some(nodes) = self.by_label.get_mut(label.0 as usize) {
                nodes.push(node);
            }
        }
        let properties = self.properties(properties);
        self.nodes.push(MemoryNode { labels: found, properties, ..MemoryNode::default() });
        node
    }

    /// Adds an edge between nodes that are there.
    pub fn add_edge(&mut self, from: NodeRef, of: &str, to: NodeRef, properties: &Map) -> EdgeRef {
        let edge = EdgeRef(small(self.edges.len()));
        let of = EdgeType(self.types.number(of));
        let properties = self.properties(properties);
        self.edges.push(MemoryEdge { of, from, to, properties });
        if let Some(n) = self.nodes.get_mut(from.0 as usize) {
            n.out.push(edge);
        }
        if let Some(n) = self.nodes.get_mut(to.0 as usize) {
            n.into.push(edge);
        }
        edge
    }

    /// Takes an edge away.
    pub fn remove_edge(&mut self, edge: EdgeRef) {
        for n in &mut self.nodes {
            n.out.retain(|e| *e != edge);
            n.into.retain(|e| *e != edge);
        }
    }

    /// Adds a procedure: rows hold its arguments, then its columns; a call gives the columns of the rows whose arguments are
    /// equal.
    pub fn add_procedure(&mut self, procedure: Procedure, rows: Vec<Vec<Value>>) {
        self.procedures.push(procedure);
        self.answers.push(rows);
    }

    fn properties(&mut self, map: &Map) -> Vec<(PropertyKey, Value)> {
        let kept = map.iter().filter(|(_, v)| !v.is_null());
        kept.map(|(k, v)| (PropertyKey(self.keys.number(k)), v.clone())).collect()
    }

    fn node(&self, node: NodeRef) -> Option<&MemoryNode> {
        self.nodes.get(node.0 as usize)
    }

    fn edge(&self, edge: EdgeRef) -> Option<&MemoryEdge> {
        self.edges.get(edge.0 as usize)
    }
}

fn property(all: Option<&Vec<(PropertyKey, Value)>>, key: PropertyKey) -> Value {
    all.and_then(|p| p.iter().find(|(k, _)| *k == key)).map_or(Value::Null, |(_, v)| v.clone())
}

impl Data for Memory {
    fn label(&self, name: &str) -> Result<Option<Label>, Unknown> {
        Ok(self.labels.find(name).map(Label))
    }

    fn edge_types(&self, name: &str) -> Result<Vec<EdgeType>, Unknown> {
        Ok(self.types.find(name).map(EdgeType).into_iter().collect())
    }

    fn property(&self, name: &str) -> Result<Option<PropertyKey>, Unknown> {
        Ok(self.keys.find(name).map(PropertyKey))
    }

    fn count(&self, label: Option<Label>) -> usize {
        label.map_or(self.nodes.len(), |l| self.by_label.get(l.0 as usize).map_or(0, Vec::len))
    }

    fn edge_count(&self, types: &[EdgeType]) -> usize {
        let share = types.len().max(1);
        let all = self.types.names.len().max(1);
        if types.is_empty() { self.edges.len() } else { self.edges.len() * share / all }
    }

    fn nodes(&self, label: Option<Label>) -> Box<dyn Iterator<Item = NodeRef> + '_> {
        match label {
            None => Box::new((0..small(self.nodes.len())).map(NodeRef)),
            Some(l) => Box::new(self.by_label.get(l.0 as usize).into_iter().flatten().copied()),
        }
    }

    fn is_indexed(&self, _: Option<Label>, _: PropertyKey) -> bool {
        false
    }

    fn find(&self, label: Option<Label>, _: PropertyKey, _: &Value) -> Vec<NodeRef> {
        self.nodes(label).collect()
    }

    fn has_label(&self, node: NodeRef, label: Label) -> bool {
        self.node(node).is_some_and(|n| n.labels.contains(&label))
    }

    fn labels(&self, node: NodeRef) -> Vec<&str> {
        self.node(node).into_iter().flat_map(|n| &n.labels).map(|l| self.labels.name(l.0)).collect()
    }

    fn node_order(&self, node: NodeRef) -> (u32, u64) {
        (0, u64::from(node.0))
    }

    fn meet(&self, node: NodeRef, way: Way, types: &[EdgeType], _: Check, into: &mut Vec<Met>) -> bool {
        let Some(n) = self.node(node) else { return false };
        let fits = |e: &MemoryEdge| types.is_empty() || types.contains(&e.of);
        let met = |kind, id: &EdgeRef, node| Met { kind, order: u64::from(id.0), node, edge: EdgeRef(id.0) };
        if way != Way::In {
            for id in &n.out {
                if let Some(e) = self.edge(*id).filter(|e| fits(e)) {
                    into.push(met(0, id, e.to));
                }
            }
        }
        if way != Way::Out {
            for id in &n.into {
                // A loop was met on the way out.
                let loop_met = |e: &&MemoryEdge| way == Way::Both && e.from == e.to;
                if let Some(e) = self.edge(*id).filter(|e| fits(e) && !loop_met(e)) {
                    into.push(met(1, id, e.from));
                }
            }
        }
        false
    }

    fn ends(&self, edge: EdgeRef) -> (NodeRef, NodeRef) {
        self.edge(edge).map_or((NodeRef(0), NodeRef(0)), |e| (e.from, e.to))
    }

    fn edge_type(&self, edge: EdgeRef) -> EdgeType {
        self.edge(edge).map_or(EdgeType(u32::MAX), |e| e.of)
    }

    fn type_name(&self, of: EdgeType) -> &str {
        self.types.name(of.0)
    }

    fn node_property(&self, node: NodeRef, key: PropertyKey) -> Value {
        property(self.node(node).map(|n| &n.properties), key)
    }

    fn edge_property(&self, edge: EdgeRef, key: PropertyKey) -> Value {
        property(self.edge(edge).map(|e| &e.properties), key)
    }

    fn node_properties(&self, node: NodeRef) -> Map {
        self.node(node).map(|n| self.keys.map(&n.properties)).unwrap_or_default()
    }

    fn edge_properties(&self, edge: EdgeRef) -> Map {
        self.edge(edge).map(|e| self.keys.map(&e.properties)).unwrap_or_default()
    }

    fn procedures(&self) -> &[Procedure] {
        &self.procedures
    }

    fn call(&self, procedure: usize, args: &[Value]) -> Vec<Vec<Value>> {
        let Some(p) = self.procedures.get(procedure) else { return Vec::new() };
        if p.gives.is_empty() {
            return vec![Vec::new()];
        }
        let fits = |row: &&Vec<Value>| {
            row.iter().zip(args).all(|(a, b)| equal(a, b).unwrap_or(a.is_null() && b.is_null()))
        };
        let rows = self.answers.get(procedure).into_iter().flatten().filter(fits);
        rows.map(|r| r.get(p.takes.len()..).unwrap_or_default().to_vec()).collect()
    }
}
