//! Things in the graph by name and by id, changes and classes.

use super::{Answered, Api, Looked, Now, Said, Trouble, aside, looked, moment, noted, said, times, told};
use ::query::View;
use axum::extract::State;
use graph::{Direction, NodeId};
use ontology::model::Holds;
use ontology::{Stretch, Time};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json, json};

/// Names offered for a text.
const MAX_FOUND: usize = 50;
/// Relations of one node that are listed; the rest is counted.
const MAX_RELATIONS: usize = 300;
/// Changes that are listed: the latest.
const MAX_CHANGES: usize = 500;
/// Without a stretch, changes of so long a time are listed.
const RECENT_SECS: i64 = 24 * 3600;

/// A thing as pages name it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Thing {
    pub(crate) id: String,
    pub(crate) class: String,
    pub(crate) name: String,
}

impl Thing {
    pub(crate) fn of(view: &View<'_>, node: NodeId) -> Thing {
        Thing {
            id: view.graph.id(node),
            class: view.class_name(node).to_owned(),
            name: view.graph.name(node),
        }
    }
}

/// The node with an id.
pub(crate) fn node_with_id(view: &View<'_>, id: &str) -> Result<NodeId, Trouble> {
    view.graph.node_with_id(id).ok_or_else(|| {
        Trouble::Missing(format!(
            "the graph holds nothing with the id `{id}`; /api/v1/graph/find finds ids by name"
        ))
    })
}

/// What to find.
#[derive(Deserialize)]
pub(crate) struct Sought {
    q: Option<String>,
    class: Option<String>,
}

/// Things whose name contains a text, best first: the whole name, its beginning, anywhere; short names before long ones.
/// Sessions and interactions are too many to offer and are found only when their class is said.
pub(crate) async fn find(State(api): State<Api>, Said(sought): Said<Sought>) -> Answered {
    let class = sought.class.filter(|c| !c.is_empty());
    let text = match (&class, sought.q.as_deref()) {
        (Some(_), None | Some("")) => String::new(),
        (_, q) => said("q", q)?.to_lowercase(),
    };
    aside(api, move |engine| {
        let graph = engine.graph();
        let view = View::latest(&graph);
        let nodes: Vec<NodeId> = match &class {
            Some(name) => {
                let class = view.ontology().class(name).ok_or_else(|| {
                    let near = ::query::run::nearest(
                        name,
                        view.ontology().classes.iter().map(|c| c.name.clone()),
                        3,
                    );
                    Trouble::Missing(format!("there is no class `{name}`; nearest: {}", near.join(", ")))
                })?;
                graph.of_class(class)
            }
            None => graph.nodes().filter(|n| !view.is_sampled(*n)).collect(),
        };
        let mut found: Vec<(u8, usize, Thing)> = nodes
            .into_iter()
            .filter_map(|n| {
                let name = graph.name(n).to_lowercase();
                let place = name.find(&text)?;
                let rank = if name == text || graph.id(n) == text {
                    0
                } else if place == 0 {
                    1
                } else {
                    2
                };
                Some((rank, name.len(), Thing::of(&view, n)))
            })
            .collect();
        found.sort_by(|a, b| {
            (a.0, a.1, &a.2.name, &a.2.class, &a.2.id).cmp(&(b.0, b.1, &b.2.name, &b.2.class, &b.2.id))
        });
        let hidden = found.len().saturating_sub(MAX_FOUND);
        let nodes: Vec<Thing> = found.into_iter().take(MAX_FOUND).map(|f| f.2).collect();
        Ok(Now(json!({ "nodes": nodes, "hidden": hidden })))
    })
    .await
}

/// Which thing, and when.
#[derive(Deserialize)]
pub(crate) struct Which {
    id: Option<String>,
    at: Option<String>,
    as_known: Option<String>,
}

/// Everything known of one thing.
pub(crate) async fn show(State(api): State<Api>, Said(which): Said<Which>) -> Answered {
    let id = said("id", which.id.as_deref())?.to_owned();
    let at = moment("at", which.at.as_deref())?;
    let known = moment("as_known", which.as_known.as_deref())?;
    let earlier = api.earlier(known, times([at])).await?;
    aside(api, move |engine| {
        let Looked { graph, note } = looked(engine, known, earlier)?;
        let view = View::latest(&graph);
        let node = node_with_id(&view, &id)?;
        let o = view.ontology();
        let mut attrs = Map::new();
        for (attr, value) in graph.attrs(node) {
            let name = o.attrs.get(attr.index()).map_or("?", |a| a.name.as_str());
            attrs.insert(name.to_owned(), told(&value)?);
        }
        let class = graph.node(node).and_then(|n| o.classes.get(n.class.index()));
        let seen = |last: bool| {
            graph
                .node(node)
                .and_then(|n| if last { n.seen.last() } else { n.seen.first() })
                .map(|m| m.start().to_string())
        };
        let mut hops = graph.all_hops(node);
        // What sources told is listed whenever it was so; what follows, while it does.
        let moment = at.unwrap_or(view.as_of);
        let told = |h: &graph::Hop| graph.edge(h.edge).is_some_and(|e| !e.seen.is_empty());
        hops.retain(|h| (at.is_none() && told(h)) || graph.holds(h.edge, moment));
        let hidden = hops.len().saturating_sub(MAX_RELATIONS);
        let relations: Vec<Json> = hops
            .iter()
            .take(MAX_RELATIONS)
            .map(|hop| {
                let relation = o.relations.get(hop.relation.index());
                let edge = graph.edge(hop.edge);
                let minute = |m: Option<ontology::Minute>| m.map(|m| m.start().to_string());
                // A fixed relation holds for good; the others until they were last seen.
                let ends = relation.is_some_and(|r| r.holds != Holds::Fixed);
                json!({
                    "relation": relation.map_or("?", |r| r.name.as_str()),
                    "direction": if hop.direction == Direction::Out { "out" } else { "in" },
                    "node": Thing::of(&view, hop.node),
                    "from": minute(graph.held_since(hop.edge)),
                    "to": if ends { minute(edge.and_then(|e| e.seen.last())) } else { None },
                    "sources": graph.edge_sources(hop.edge),
                    "concluded_by": view.concluded_by(hop.edge, moment),
                })
            })
            .collect();
        let thing = Thing::of(&view, node);
        let answer = json!({
            "id": thing.id, "class": thing.class, "name": thing.name,
            "kind": class.map(|c| c.namespace.as_str()), "doc": class.map(|c| c.doc.as_str()),
            "attrs": attrs, "first_seen": seen(false), "last_seen": seen(true),
            "relations": relations, "hidden": hidden, "sources": graph.node_sources(node),
        });
        Ok(Now(noted(answer, note)))
    })
    .await
}

/// One change, as lists show it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct ChangeRow {
    pub(crate) id: String,
    pub(crate) class: String,
    pub(crate) name: String,
    pub(crate) at: String,
    pub(crate) text: String,
    pub(crate) targets: Vec<Thing>,
}

/// A change in one line: what sort, of what, and from what to what where it says so.
pub(crate) fn change_row(view: &View<'_>, at: Time, node: NodeId) -> ChangeRow {
    let thing = Thing::of(view, node);
    let targets: Vec<Thing> = view
        .ontology()
        .relation("changed")
        .map_or_else(Vec::new, |r| view.targets(node, r))
        .into_iter()
        .map(|t| Thing::of(view, t))
        .collect();
    let attr = |name| view.graph.attr_named(node, name).map(ToString::to_string).filter(|t| !t.is_empty());
    let names: Vec<&str> = targets.iter().take(3).map(|t| t.name.as_str()).collect();
    let mut text = format!("{} of {}", words(&thing.class), if names.is_empty() { &thing.name } else { "" });
    text.push_str(&names.join(", "));
    if targets.len() > 3 {
        text.push_str(&format!(" and {} more", targets.len() - 3));
    }
    match (attr("old"), attr("new")) {
        (Some(old), Some(new)) => text.push_str(&format!(": {old} → {new}")),
        (None, Some(new)) => text.push_str(&format!(": {new}")),
        _ => {}
    }
    ChangeRow { id: thing.id, class: thing.class, name: thing.name, at: at.to_string(), text, targets }
}

/// A class name as words: `FlagChange` is `Flag change`.
fn words(class: &str) -> String {
    let mut out = String::new();
    for (i, letter) in class.chars().enumerate() {
        if i > 0 && letter.is_uppercase() {
            out.push(' ');
            out.extend(letter.to_lowercase());
        } else {
            out.push(letter);
        }
    }
    out
}

/// A stretch.
#[derive(Deserialize)]
pub(crate) struct Within {
    from: Option<String>,
    to: Option<String>,
}

/// The changes in a stretch, oldest first; of the last day when no stretch is said.
pub(crate) async fn changes(State(api): State<Api>, Said(within): Said<Within>) -> Answered {
    let (from, to) = (moment("from", within.from.as_deref())?, moment("to", within.to.as_deref())?);
    aside(api, move |engine| {
        let graph = engine.graph();
        let view = View::latest(&graph);
        let to = to.unwrap_or(view.as_of).min(view.as_of);
        let during = Stretch { from: from.unwrap_or_else(|| to.plus_secs(-RECENT_SECS)), to };
        let found = view.ontology().class("Change").map_or_else(Vec::new, |c| view.events(c, during));
        let hidden = found.len().saturating_sub(MAX_CHANGES);
        let rows: Vec<ChangeRow> =
            found.into_iter().skip(hidden).map(|(at, node)| change_row(&view, at, node)).collect();
        Ok(Now(json!({ "changes": rows, "hidden": hidden })))
    })
    .await
}

/// The ontology's classes: name, namespace (what marks are drawn by) and definition.
pub(crate) async fn classes(State(api): State<Api>) -> Answered {
    let classes: Vec<Json> = api
        .engine
        .ontology()
        .classes
        .iter()
        .map(|c| json!({ "name": c.name, "kind": c.namespace, "doc": c.doc }))
        .collect();
    Ok(Now(json!({ "classes": classes })))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn class_names_are_read_as_words() {
        assert_eq!(words("FlagChange"), "Flag change");
        assert_eq!(words("Deployment"), "Deployment");
    }
}
