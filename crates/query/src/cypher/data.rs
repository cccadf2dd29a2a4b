//! What a query runs over: a small trait with two implementors, the temporal graph under a scope and a property graph in
//! memory.

use super::value::{EdgeRef, Map, NodeRef, Value};

/// A label, as the data numbers them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Label(pub u32);

/// A relationship type, as the data numbers them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EdgeType(pub u32);

/// A property's name, as the data numbers them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PropertyKey(pub u32);

/// A name that a schema does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unknown {
    /// What kind of name: `label`.
    pub what: &'static str,
    /// The known names closest to it.
    pub nearest: Vec<String>,
}

/// Which way to follow edges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// From source to target.
    Out,
    /// From target to source.
    In,
    /// Either.
    Both,
}

impl Way {
    /// The same seen from the other end.
    pub(super) fn back(self) -> Way {
        match self {
            Way::Out => Way::In,
            Way::In => Way::Out,
            Way::Both => Way::Both,
        }
    }
}

/// An edge met on the way and the node at its other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hop {
    /// The edge.
    pub edge: EdgeRef,
    /// The node it leads to.
    pub node: NodeRef,
}

/// An edge at a node, before anybody looked at it closely. Sorted, these are in the order in which edges are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Met {
    /// What comes first in the order; its lowest bit is set where the edge leads here.
    pub kind: u32,
    /// What comes next: the same in every graph of the same facts.
    pub order: u64,
    /// The node at the other end.
    pub node: NodeRef,
    /// The edge.
    pub edge: EdgeRef,
}

impl Met {
    /// The edge and the node it leads to.
    pub fn hop(&self) -> Hop {
        Hop { edge: self.edge, node: self.node }
    }
}

/// When edges that are met are looked at closely.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// Right away: all of them are wanted.
    Now,
    /// When their turn comes, by [`Data::is_told`]: perhaps it never does.
    Later,
}

/// A graph that can be asked.
///
/// **Contract.** Nothing changes while a query runs. Everything is told in one order, the same every time. A name that a
/// schema does not have is an error; without a schema it resolves to `None`, which nothing has.
pub trait Data {
    /// A label by name.
    ///
    /// # Errors
    /// When the schema has no such label.
    fn label(&self, name: &str) -> Result<Option<Label>, Unknown>;

    /// The relationship types a name stands for (itself and special cases of it), sorted.
    ///
    /// # Errors
    /// When the schema has no such type.
    fn edge_types(&self, name: &str) -> Result<Vec<EdgeType>, Unknown>;

    /// A property by name.
    ///
    /// # Errors
    /// When the schema has no such property.
    fn property(&self, name: &str) -> Result<Option<PropertyKey>, Unknown>;

    /// How many nodes have a label (all when `None`), at least roughly.
    fn count(&self, label: Option<Label>) -> usize;

    /// How many edges of some types (all when empty) there are, at least roughly.
    fn edge_count(&self, types: &[EdgeType]) -> usize;

    /// Nodes with a label (all when `None`).
    fn nodes(&self, label: Option<Label>) -> Box<dyn Iterator<Item = NodeRef> + '_>;

    /// Whether nodes can be found by this property without looking at all of them.
    fn is_indexed(&self, label: Option<Label>, key: PropertyKey) -> bool;

    /// Nodes whose property may have this value: at least all that have it. Only asked where it is indexed.
    fn find(&self, label: Option<Label>, key: PropertyKey, value: &Value) -> Vec<NodeRef>;

    /// Whether a node has a label.
    fn has_label(&self, node: NodeRef, label: Label) -> bool;

    /// Names of a node's labels.
    fn labels(&self, node: NodeRef) -> Vec<&str>;

    /// How many edges of some types (all when empty) a node has on average, among nodes that may have them.
    fn edges_per_node(&self, types: &[EdgeType], way: Way) -> f64 {
        let both = if way == Way::Both { 2.0 } else { 1.0 };
        self.edge_count(types) as f64 / self.count(None).max(1) as f64 * both
    }

    /// How many edges there are at a node, at least roughly, counted no further than `most`.
    fn degree(&self, node: NodeRef, way: Way, types: &[EdgeType], most: usize) -> usize {
        let mut met = Vec::new();
        self.meet(node, way, types, Check::Later, &mut met);
        met.len().min(most)
    }

    /// The same nodes in whatever order is quickest.
    fn nodes_in_any_order(&self, label: Option<Label>) -> Box<dyn Iterator<Item = NodeRef> + '_> {
        self.nodes(label)
    }

    /// What nodes are told in the order of.
    fn node_order(&self, node: NodeRef) -> (u32, u64);

    /// Appends the edges at a node in no order; a loop is met once. All types when `types` is empty, otherwise sorted. Says whether
    /// one edge may be met several times: of those that differ in nothing but the edge the first that is told stands for all.
    fn meet(&self, node: NodeRef, way: Way, types: &[EdgeType], check: Check, into: &mut Vec<Met>) -> bool;

    /// Says that properties of these nodes will be asked next. Nothing comes of it but that they are near.
    fn fetch(&self, _nodes: &mut dyn Iterator<Item = NodeRef>, _keys: &[PropertyKey]) {}

    /// Whether an edge that was met is one to tell of.
    fn is_told(&self, _met: &Met) -> bool {
        true
    }

    /// An edge that was met at one node as it is met at its other end.
    fn turned(&self, met: Met, at: NodeRef) -> Met {
        Met { kind: met.kind ^ 1, node: at, ..met }
    }

    /// Appends the edges at a node as they are told.
    fn expand(&self, node: NodeRef, way: Way, types: &[EdgeType], into: &mut Vec<Hop>) {
        let mut met = Vec::new();
        let repeats = self.meet(node, way, types, Check::Now, &mut met);
        met.sort_unstable();
        if repeats {
            met.dedup_by_key(|m| (m.kind, m.order, m.node));
        }
        into.extend(met.iter().map(Met::hop));
    }

    /// Source and target of an edge.
    fn ends(&self, edge: EdgeRef) -> (NodeRef, NodeRef);

    /// The type of an edge.
    fn edge_type(&self, edge: EdgeRef) -> EdgeType;

    /// The name of a type.
    fn type_name(&self, of: EdgeType) -> &str;

    /// A property of a node.
    fn node_property(&self, node: NodeRef, key: PropertyKey) -> Value;

    /// A property of an edge.
    fn edge_property(&self, edge: EdgeRef, key: PropertyKey) -> Value;

    /// Every property of a node.
    fn node_properties(&self, node: NodeRef) -> Map;

    /// Every property of an edge.
    fn edge_properties(&self, edge: EdgeRef) -> Map;

    /// What `id()` and `elementId()` say of a node.
    fn node_id(&self, node: NodeRef) -> Value {
        Value::Int(i64::from(node.0))
    }

    /// What `id()` and `elementId()` say of an edge.
    fn edge_id(&self, edge: EdgeRef) -> Value {
        Value::Int(i64::from(edge.0))
    }

    /// The procedures that CALL knows.
    fn procedures(&self) -> &[Procedure] {
        &[]
    }

    /// Calls one, with as many arguments as it takes; rows have its columns.
    fn call(&self, _procedure: usize, _args: &[Value]) -> Vec<Vec<Value>> {
        Vec::new()
    }
}

/// What a procedure takes and gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Procedure {
    /// `db.labels`.
    pub name: String,
    /// Arguments: name and type (`INTEGER?`).
    pub takes: Vec<(String, String)>,
    /// Columns.
    pub gives: Vec<String>,
}
