//! Properties of the temporal graph's nodes and edges: attributes, identity, when and by whom they were seen, and the traffic
//! that went along an edge.

use super::data::PropertyKey;
use super::scoped::{Scope, Scoped};
use super::temporal::DateTime;
use super::value::{EdgeRef, Map, NodeRef, Value};
use graph::{Column, EdgeId, Graph, NodeId, Runs, Side, Stat};
use ontology::model::Holds;
use ontology::{AttrId, Minute, Ontology};
use rustc_hash::FxHashMap;
use std::cell::{OnceCell, RefCell};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What nodes and edges have beside attributes, in the order of their keys.
const OF_ALL: [&str; 5] = ["id", "name", "first_seen", "last_seen", "sources"];
const ID: u32 = 0;
const NAME: u32 = 1;
const FIRST_SEEN: u32 = 2;
const LAST_SEEN: u32 = 3;
const SOURCES: u32 = 4;
/// What edges with traffic have; their keys come next.
const OF_FLOW: [&str; 6] = ["count", "errors", "mean_ms", "p50_ms", "p95_ms", "p99_ms"];
const FIRST_OF_FLOW: u32 = 5;
const FIRST_ATTR: u32 = 11;

/// The names of properties and the attributes they stand for.
pub(super) struct Properties {
    names: Vec<String>,
    keys: FxHashMap<String, u32>,
    /// For each name the attribute of each class, looked up when first asked for.
    attrs: Vec<OnceCell<Vec<Option<AttrId>>>>,
    /// Attributes of which many nodes are asked, by key.
    columns: RefCell<BTreeMap<u32, Column>>,
}

impl Properties {
    pub(super) fn new(o: &Ontology) -> Properties {
        let mut names: Vec<String> = OF_ALL.iter().chain(&OF_FLOW).map(|n| (*n).to_owned()).collect();
        let mut attrs: Vec<&String> = o.attrs.iter().map(|a| &a.name).collect();
        attrs.sort_unstable();
        attrs.dedup();
        names.extend(
            attrs
                .into_iter()
                .filter(|a| !OF_ALL.contains(&a.as_str()) && !OF_FLOW.contains(&a.as_str()))
                .cloned(),
        );
        let mut keys = FxHashMap::default();
        for (i, name) in names.iter().enumerate() {
            keys.insert(name.clone(), u32::try_from(i).unwrap_or(u32::MAX));
        }
        let attrs = names.iter().map(|_| OnceCell::new()).collect();
        Properties { names, keys, attrs, columns: RefCell::default() }
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &String> {
        self.names.iter()
    }

    pub(super) fn key(&self, name: &str) -> Option<PropertyKey> {
        self.keys.get(name).copied().map(PropertyKey)
    }

    pub(super) fn is_id(&self, key: PropertyKey) -> bool {
        key.0 == ID
    }

    pub(super) fn is_name(&self, key: PropertyKey) -> bool {
        key.0 == NAME
    }

    fn name(&self, key: PropertyKey) -> &str {
        self.names.get(key.0 as usize).map_or("", String::as_str)
    }

    fn attr(&self, o: &Ontology, class: usize, key: PropertyKey) -> Option<AttrId> {
        let name = self.name(key);
        let of_classes = self.attrs.get(key.0 as usize)?.get_or_init(|| {
            let classes = (0..).map(ontology::ClassId).take(o.classes.len());
            classes.map(|c| o.attr(c, name)).collect()
        });
        of_classes.get(class).copied().flatten()
    }

    pub(super) fn of_node(&self, s: &Scoped<'_>, node: NodeId, key: PropertyKey) -> Value {
        if key.0 >= FIRST_ATTR
            && let Some(column) = self.columns.borrow().get(&key.0)
            && let Some(known) = column.value(s.graph, node)
        {
            return known.map_or(Value::Null, value);
        }
        match key.0 {
            ID => Value::text(s.graph.id(node)),
            NAME => Value::text(s.graph.name(node)),
            FIRST_SEEN | LAST_SEEN => {
                let members = s.graph.members(node);
                let runs: Vec<&Runs> =
                    members.iter().filter_map(|m| s.graph.member(*m)).map(|n| &n.seen).collect();
                seen(s.scope, &runs, key.0)
            }
            SOURCES => texts(s.graph.node_sources(node)),
            _ => {
                let class = s.graph.class_of(node).map(ontology::ClassId::index);
                let attr = class.and_then(|c| self.attr(s.graph.ontology(), c, key));
                attr.and_then(|a| s.graph.attr(node, a)).map_or(Value::Null, value)
            }
        }
    }

    /// Says that properties of these nodes will be asked. What is put together from several things is not written down for it.
    pub(super) fn fetch(
        &self,
        s: &Scoped<'_>,
        nodes: &mut dyn Iterator<Item = NodeRef>,
        keys: &[PropertyKey],
    ) {
        if keys.iter().all(|k| k.0 < FIRST_ATTR) {
            return;
        }
        let mut columns = self.columns.borrow_mut();
        for node in nodes {
            for key in keys.iter().filter(|k| k.0 >= FIRST_ATTR) {
                let column = columns.entry(key.0).or_insert_with(|| s.graph.column(self.name(*key)));
                column.ask(s.graph, NodeId(node.0));
            }
        }
    }

    /// Leaves what was written down to those who ask next.
    pub(super) fn keep(&self, graph: &Graph) {
        self.columns.take().into_values().for_each(|c| graph.keep_column(c));
    }

    pub(super) fn of_edge(&self, s: &Scoped<'_>, edge: EdgeRef, key: PropertyKey) -> Value {
        let alike = || {
            let found = s.alike(edge);
            // Edges of sampled nodes are not met from their ends.
            if found.is_empty() { vec![EdgeId(edge.0)] } else { found }
        };
        match key.0 {
            ID => super::data::Data::edge_id(s, edge),
            NAME => Value::Null,
            FIRST_SEEN | LAST_SEEN => {
                let ids = alike();
                let runs: Vec<&Runs> = ids.iter().filter_map(|e| s.graph.edge(*e)).map(|e| &e.seen).collect();
                seen(s.scope, &runs, key.0)
            }
            SOURCES => {
                let mut found: Vec<&str> =
                    alike().into_iter().flat_map(|e| s.graph.edge_sources(e)).collect();
                found.sort_unstable();
                found.dedup();
                texts(found)
            }
            FIRST_OF_FLOW..FIRST_ATTR => {
                let mut last = s.last_traffic.borrow_mut();
                let stat = match last.take() {
                    Some((of, stat)) if of == edge => stat,
                    _ => traffic(s, &alike()),
                };
                // Of an edge that is no traffic by itself there may be some all the same, where a mesh tells of calls along it.
                let has = stat.count > 0 || is_flow(s, edge);
                let value = if has { of_flow(&stat, self.name(key)) } else { Value::Null };
                *last = Some((edge, stat));
                value
            }
            _ => Value::Null,
        }
    }

    pub(super) fn all_of_node(&self, s: &Scoped<'_>, node: NodeId) -> Map {
        let mut map = Map::new();
        let o = s.graph.ontology();
        for (attr, v) in s.graph.attrs(node) {
            if let Some(a) = o.attrs.get(attr.index()) {
                map.insert(Arc::from(a.name.as_str()), value(&v));
            }
        }
        self.put(&mut map, &OF_ALL, |key| self.of_node(s, node, key));
        map
    }

    pub(super) fn all_of_edge(&self, s: &Scoped<'_>, edge: EdgeRef) -> Map {
        let mut map = Map::new();
        self.put(&mut map, &OF_ALL, |key| self.of_edge(s, edge, key));
        self.put(&mut map, &OF_FLOW, |key| self.of_edge(s, edge, key));
        map
    }

    fn put(&self, map: &mut Map, names: &[&str], of: impl Fn(PropertyKey) -> Value) {
        for name in names {
            let value = self.key(name).map_or(Value::Null, &of);
            if !matches!(value, Value::Null) {
                map.insert(Arc::from(*name), value);
            }
        }
    }
}

fn texts(all: Vec<&str>) -> Value {
    Value::list(all.into_iter().map(Value::text).collect())
}

fn moment(minute: Minute) -> Value {
    Value::moment(DateTime::utc(minute.start().nanos()))
}

/// First or last minute of some runs, up to the end of the scope.
fn seen(scope: Scope, runs: &[&Runs], key: u32) -> Value {
    let end = scope.stretch().to.minute();
    let before = runs.iter().flat_map(|r| r.iter()).filter(|r| r.0 <= end);
    let found =
        if key == FIRST_SEEN { before.map(|r| r.0).min() } else { before.map(|r| r.1.min(end)).max() };
    found.map_or(Value::Null, moment)
}

fn value(v: &ontology::Value) -> Value {
    match v {
        ontology::Value::Text(t) => Value::Text(Arc::clone(t)),
        ontology::Value::Int(i) => Value::Int(*i),
        ontology::Value::Float(x) => Value::Float(*x),
        ontology::Value::Bool(b) => Value::Bool(*b),
        ontology::Value::Time(t) => Value::moment(DateTime::utc(t.nanos())),
    }
}

fn is_flow(s: &Scoped<'_>, edge: EdgeRef) -> bool {
    let relation = s.graph.edge(EdgeId(edge.0)).map(|e| e.relation);
    let found = relation.and_then(|r| s.graph.ontology().relations.get(r.index()));
    found.is_some_and(|r| r.holds == Holds::Flow)
}

/// What went along some edges, as the answering side saw it; where it did not say, as the asking side did.
fn traffic(s: &Scoped<'_>, edges: &[EdgeId]) -> Stat {
    let during = s.scope.stretch();
    let sum = |side: Side| {
        let mut sum = Stat::default();
        edges.iter().for_each(|e| sum.merge(&s.graph.flow(*e, side, during, |_| true)));
        sum
    };
    let answered = sum(Side::Answered);
    if answered.count > 0 { answered } else { sum(Side::Asked) }
}

fn of_flow(stat: &Stat, name: &str) -> Value {
    let whole = |n: u64| Value::Int(i64::try_from(n).unwrap_or(i64::MAX));
    let real = |x: Option<f64>| x.map_or(Value::Null, Value::Float);
    match name {
        "count" => whole(stat.count),
        "errors" => whole(stat.bad),
        _ if stat.count == 0 => Value::Null,
        "mean_ms" => real(stat.mean()),
        "p50_ms" => real(stat.quantile(0.5)),
        "p95_ms" => real(stat.quantile(0.95)),
        "p99_ms" => real(stat.quantile(0.99)),
        _ => Value::Null,
    }
}
