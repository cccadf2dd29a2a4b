//! Answering `why`, `origins`, `impact` and `common`: why an edge is there, where trouble can have come from and where it can go.

use super::{MAX_ROWS, Output, QueryError, Runner, table};
use crate::text::{NodeName, Way};
use crate::walk::{Bounds, Origin, PathStep, Towards};
use graph::{Direction, EdgeId, NodeId, Side};
use ontology::model::AspectId;
use ontology::{Minute, Stretch, Time};
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;

impl Runner<'_> {
    /// Every edge from one node to another, at whatever time it held: who told of it, when, how often, and by which rule it follows.
    pub(super) fn why(&self, from: &NodeName, to: &NodeName, at: Option<Time>) -> Result<Output, QueryError> {
        let (from, to) = (self.node(from)?, self.node(to)?);
        let at = at.unwrap_or(self.view.as_of);
        let between = self.graph().all_hops(from).into_iter();
        let between = between.filter(|h| h.direction == Direction::Out && h.node == to);
        let rows = between.map(|h| self.reasons(h.edge, at)).collect();
        let columns = [
            "relation",
            "holds",
            "told by",
            "first seen",
            "last seen",
            "minutes ago",
            "times",
            "share of minutes",
            "calls",
            "failed",
            "said to end",
            "follows by",
        ];
        Ok(table(&columns, rows))
    }

    fn reasons(&self, id: EdgeId, at: Time) -> Vec<Json> {
        let g = self.graph();
        let Some(edge) = g.edge(id) else { return Vec::new() };
        let relation = g.ontology().relations.get(edge.relation.index()).map_or("?", |r| r.name.as_str());
        let until = at.minute().plus(1);
        // What was seen by then.
        let seen = || edge.seen.iter().filter(|r| r.0 < until).map(|r| (r.0, r.1.min(at.minute())));
        let (first, last) = (seen().next().map(|r| r.0), seen().next_back().map(|r| r.1));
        let minutes: i64 = seen().map(|r| r.1.0 - r.0.0 + 1).sum();
        let span = first.map_or(0, |f| until.0 - f.0);
        let during = Stretch { from: Minute(i64::MIN / 2).start(), to: until.start() };
        let calls = g.flow(id, Side::Answered, during, |_| true);
        let moment = |m: Option<Minute>| m.map_or(Json::Null, |m| json!(m.start().to_string()));
        vec![
            json!(relation),
            json!(g.holds(id, at)),
            json!(g.edge_sources(id).join(", ")),
            moment(first),
            moment(last),
            last.map_or(Json::Null, |l| json!(at.minute().0 - l.0)),
            json!(seen().count()),
            if span > 0 {
                json!((minutes as f64 / span as f64 * 1_000.0).round() / 1_000.0)
            } else {
                Json::Null
            },
            json!(calls.count),
            json!(calls.bad),
            g.edge_ended(edge).map_or(Json::Null, |t| json!(t.to_string())),
            json!(self.view.concluded_by(id, at).join(", ")),
        ]
    }

    /// Places that trouble at some nodes can have come from, or that it can reach, strongest first.
    pub(super) fn trouble(
        &self,
        way: Way,
        nodes: &[NodeName],
        aspect: Option<&str>,
        at: Option<Time>,
        limit: Option<usize>,
    ) -> Result<Output, QueryError> {
        let o = self.view.ontology();
        let aspects = self.aspects(aspect)?;
        let nodes = nodes.iter().map(|n| self.node(n)).collect::<Result<Vec<_>, _>>()?;
        let at = at.unwrap_or(self.view.as_of);
        let bounds = Bounds::default();
        let towards = if way == Way::Impact { Towards::Sufferers } else { Towards::Origins };
        let found: Vec<BTreeMap<NodeId, Origin>> =
            nodes.iter().map(|n| self.strongest(*n, &aspects, at, bounds, towards)).collect();
        let mut rows: Vec<(f64, String, Vec<Json>)> = Vec::new();
        for (place, first) in found.first().into_iter().flatten() {
            // What explains all of them explains each: as well as the one that it explains worst.
            let all: Option<Vec<&Origin>> = found.iter().map(|one| one.get(place)).collect();
            let Some(all) = all.filter(|_| !nodes.contains(place)) else { continue };
            let weight = all.iter().map(|o| o.weight).fold(f64::INFINITY, f64::min);
            let paths: Vec<String> = all.iter().map(|o| self.path_text(&o.path, towards)).collect();
            let kind = o.aspects.get(usize::from(first.aspect.0)).map_or("?", |a| a.name.as_str());
            let label = self.view.label(*place);
            let row = vec![
                json!(label),
                json!(kind),
                json!((weight * 1_000.0).round() / 1_000.0),
                json!(paths.join("; ")),
            ];
            rows.push((weight, label, row));
        }
        rows.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
        let limit = limit.unwrap_or(MAX_ROWS);
        let hidden = rows.len().saturating_sub(limit);
        let rows = rows.into_iter().take(limit).map(|r| r.2).collect();
        let note = format!(
            "not followed: weights below {}, more than {} edges in a row",
            bounds.weight, bounds.hops
        );
        Ok(Output { hidden, note, ..table(&["place", "as", "weight", "way"], rows) })
    }

    /// The kind of trouble of this name; every kind when none is said.
    pub(super) fn aspects(&self, name: Option<&str>) -> Result<Vec<AspectId>, QueryError> {
        let o = self.view.ontology();
        let Some(name) = name else { return Ok((0..).map(AspectId).take(o.aspects.len()).collect()) };
        let unknown = || Self::unknown("aspect", name, o.aspects.iter().map(|a| &a.name));
        Ok(vec![o.aspect(name).ok_or_else(unknown)?])
    }

    /// Of each place the strongest way, whatever kind of trouble it is.
    fn strongest(
        &self,
        node: NodeId,
        aspects: &[AspectId],
        at: Time,
        bounds: Bounds,
        towards: Towards,
    ) -> BTreeMap<NodeId, Origin> {
        let mut best: BTreeMap<NodeId, Origin> = BTreeMap::new();
        for aspect in aspects {
            for found in self.view.spread(node, *aspect, at, bounds, towards) {
                if best.get(&found.node).is_none_or(|b| b.weight < found.weight) {
                    best.insert(found.node, found);
                }
            }
        }
        best
    }

    /// The way as trouble goes it.
    pub(super) fn path_text(&self, path: &[PathStep], towards: Towards) -> String {
        let relation = |r: ontology::RelationId| {
            self.view.ontology().relations.get(r.index()).map_or("?", |r| r.name.as_str()).to_owned()
        };
        let mut nodes: Vec<String> = path.first().map(|s| self.view.label(s.from)).into_iter().collect();
        let mut arrows = Vec::new();
        for step in path {
            nodes.push(self.view.label(step.hop.node));
            let name = relation(step.hop.relation);
            // Read from where the trouble begins.
            let out = (step.hop.direction == Direction::Out) == (towards == Towards::Sufferers);
            arrows.push(if out { format!(" -{name}-> ") } else { format!(" <-{name}- ") });
        }
        if towards == Towards::Origins {
            nodes.reverse();
            arrows.reverse();
        }
        let mut text = String::new();
        for (i, node) in nodes.iter().enumerate() {
            text.push_str(node);
            text.push_str(arrows.get(i).map_or("", String::as_str));
        }
        text
    }
}
