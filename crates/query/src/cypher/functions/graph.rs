//! Functions of nodes, relationships, paths and maps.

use super::{Accepts, Env, Fault, Function, Gives, Outcome, first, of, plain};
use crate::cypher::value::Value;

pub(super) static FUNCTIONS: &[Function] = &[
    of("labels", 1, 1, Accepts::Node, Gives::Texts, labels),
    of("type", 1, 1, Accepts::Edge, Gives::Text, edge_type),
    of("properties", 1, 1, Accepts::Entity, Gives::Map, properties),
    of("keys", 1, 1, Accepts::Entity, Gives::Texts, keys),
    plain("id", 1, Gives::Any, id),
    plain("elementId", 1, Gives::Any, id),
    of("startNode", 1, 1, Accepts::Edge, Gives::Node, |env, args| end(env, args, "startNode")),
    of("endNode", 1, 1, Accepts::Edge, Gives::Node, |env, args| end(env, args, "endNode")),
    of("nodes", 1, 1, Accepts::Path, Gives::Nodes, nodes),
    of("relationships", 1, 1, Accepts::Path, Gives::Edges, edges),
    of("rels", 1, 1, Accepts::Path, Gives::Edges, edges),
    of("length", 1, 1, Accepts::Path, Gives::Int, length),
];

fn labels(env: &Env<'_>, args: &[Value]) -> Outcome {
    match first(args) {
        Value::Node(n) => Ok(Value::list(env.data.labels(*n).into_iter().map(Value::text).collect())),
        other => Err(Fault::of("labels", other)),
    }
}

fn edge_type(env: &Env<'_>, args: &[Value]) -> Outcome {
    match first(args) {
        Value::Edge(e) => Ok(Value::text(env.data.type_name(env.data.edge_type(*e)))),
        other => Err(Fault::of("type", other)),
    }
}

fn properties(env: &Env<'_>, args: &[Value]) -> Outcome {
    match first(args) {
        Value::Node(n) => Ok(Value::map(env.data.node_properties(*n))),
        Value::Edge(e) => Ok(Value::map(env.data.edge_properties(*e))),
        Value::Map(m) => Ok(Value::Map(m.clone())),
        other => Err(Fault::of("properties", other)),
    }
}

fn keys(env: &Env<'_>, args: &[Value]) -> Outcome {
    let names =
        |m: &crate::cypher::value::Map| Value::list(m.keys().map(|k| Value::Text(k.clone())).collect());
    match first(args) {
        Value::Node(n) => Ok(names(&env.data.node_properties(*n))),
        Value::Edge(e) => Ok(names(&env.data.edge_properties(*e))),
        Value::Map(m) => Ok(names(m)),
        other => Err(Fault::of("keys", other)),
    }
}

fn id(env: &Env<'_>, args: &[Value]) -> Outcome {
    match first(args) {
        Value::Node(n) => Ok(env.data.node_id(*n)),
        Value::Edge(e) => Ok(env.data.edge_id(*e)),
        other => Err(Fault::of("id", other)),
    }
}

fn end(env: &Env<'_>, args: &[Value], name: &str) -> Outcome {
    match first(args) {
        Value::Edge(e) => {
            let (from, to) = env.data.ends(*e);
            Ok(Value::Node(if name == "startNode" { from } else { to }))
        }
        other => Err(Fault::of(name, other)),
    }
}

fn nodes(_: &Env<'_>, args: &[Value]) -> Outcome {
    match first(args) {
        Value::Path(p) => Ok(Value::list(p.nodes.iter().map(|n| Value::Node(*n)).collect())),
        other => Err(Fault::of("nodes", other)),
    }
}

fn edges(_: &Env<'_>, args: &[Value]) -> Outcome {
    match first(args) {
        Value::Path(p) => Ok(Value::list(p.edges.iter().map(|e| Value::Edge(*e)).collect())),
        other => Err(Fault::of("relationships", other)),
    }
}

fn length(_: &Env<'_>, args: &[Value]) -> Outcome {
    match first(args) {
        Value::Path(p) => Ok(Value::Int(i64::try_from(p.edges.len()).unwrap_or(i64::MAX))),
        other => Err(Fault::of("length", other)),
    }
}
