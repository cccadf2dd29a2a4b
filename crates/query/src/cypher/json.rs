//! Values as JSON: answers out, parameters in.

use super::data::Data;
use super::show::plain_text;
use super::value::{EdgeRef, Map, NodeRef, Value};
use serde_json::{Value as Json, json};
use std::sync::Arc;

/// A value as JSON. Nodes and relationships are objects with their id; dates and times are texts.
pub fn to_json(data: &dyn Data, value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Bool(b) => json!(b),
        Value::Int(i) => json!(i),
        // JSON has no words for what is not a number.
        Value::Float(x) if x.is_finite() => json!(x),
        Value::Text(t) => json!(&**t),
        Value::List(l) => l.iter().map(|v| to_json(data, v)).collect(),
        Value::Map(m) => map(data, m),
        Value::Node(n) => node(data, *n),
        Value::Edge(e) => edge(data, *e),
        Value::Path(p) => json!({
            "nodes": p.nodes.iter().map(|n| node(data, *n)).collect::<Vec<_>>(),
            "relationships": p.edges.iter().map(|e| edge(data, *e)).collect::<Vec<_>>(),
        }),
        other => plain_text(other).map_or(Json::Null, Json::String),
    }
}

fn map(data: &dyn Data, m: &Map) -> Json {
    Json::Object(m.iter().map(|(k, v)| (k.to_string(), to_json(data, v))).collect())
}

fn node(data: &dyn Data, n: NodeRef) -> Json {
    json!({
        "id": to_json(data, &data.node_id(n)),
        "labels": data.labels(n),
        "properties": map(data, &data.node_properties(n)),
    })
}

fn edge(data: &dyn Data, e: EdgeRef) -> Json {
    let (from, to) = data.ends(e);
    json!({
        "id": to_json(data, &data.edge_id(e)),
        "type": data.type_name(data.edge_type(e)),
        "from": to_json(data, &data.node_id(from)),
        "to": to_json(data, &data.node_id(to)),
        "properties": map(data, &data.edge_properties(e)),
    })
}

/// A parameter from JSON.
pub fn from_json(json: &Json) -> Value {
    match json {
        Json::Null => Value::Null,
        Json::Bool(b) => Value::Bool(*b),
        Json::Number(n) => {
            n.as_i64().map_or_else(|| n.as_f64().map_or(Value::Null, Value::Float), Value::Int)
        }
        Json::String(s) => Value::text(s),
        Json::Array(all) => Value::list(all.iter().map(from_json).collect()),
        Json::Object(map) => {
            Value::map(map.iter().map(|(k, v)| (Arc::from(k.as_str()), from_json(v))).collect())
        }
    }
}
