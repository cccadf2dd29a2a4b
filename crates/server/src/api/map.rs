//! The map around something, with the stretch that can be walked and what happened in it.

use super::things::{change_row, node_with_id};
use super::{Answered, Api, Looked, Now, Said, aside, looked, moment, noted, said, times, told};
use ::query::View;
use axum::extract::State;
use engine::Engine;
use ontology::{Stretch, Time};
use serde::Deserialize;
use serde_json::{Value as Json, json};
use std::collections::BTreeSet;

/// Steps around the centre at most: beyond, a map shows everything and so nothing.
const MAX_HOPS: usize = 4;
/// The slider reaches back so far at most, and no further than the centre has been seen.
const SPAN_SECS: i64 = 6 * 3600;
/// Marks on the slider: more would cover each other.
const MAX_MARKS: usize = 40;

/// What to draw.
#[derive(Deserialize)]
pub(crate) struct Wanted {
    around: Option<String>,
    hops: Option<usize>,
    at: Option<String>,
    as_known: Option<String>,
    compare: Option<String>,
}

/// The map around one node or several (ids with commas between), at a moment, beside another moment.
pub(crate) async fn map(State(api): State<Api>, Said(wanted): Said<Wanted>) -> Answered {
    let around: Vec<String> =
        said("around", wanted.around.as_deref())?.split(',').map(str::to_owned).collect();
    let (at, compare) = (moment("at", wanted.at.as_deref())?, moment("compare", wanted.compare.as_deref())?);
    let hops = wanted.hops.unwrap_or(2).clamp(1, MAX_HOPS);
    let known = moment("as_known", wanted.as_known.as_deref())?;
    let earlier = api.earlier(known, times([at, compare])).await?;
    aside(api, move |engine| {
        let Looked { graph, note } = looked(engine, known, earlier)?;
        let view = View::latest(&graph);
        let centres = around.iter().map(|id| node_with_id(&view, id)).collect::<Result<Vec<_>, _>>()?;
        let at = at.map_or(view.as_of, |t| t.min(view.as_of));
        let found = ::query::map::map(&view, &centres, hops, at, compare);
        let first = centres.iter().filter_map(|n| graph.node(*n)?.seen.first()).min();
        let reach = view.as_of.plus_secs(-SPAN_SECS);
        let from = first.map_or(reach, |m| m.start().max(reach)).min(at).min(compare.unwrap_or(at));
        let span = Stretch { from, to: view.as_of };
        let shown: BTreeSet<&str> = found.nodes.iter().map(|n| n.id.as_str()).collect();
        let marks = marks(engine, &view, span, &shown);
        let answer = json!({
            "at": found.at.to_string(),
            "compare": found.compare.map(|t| t.to_string()),
            "nodes": told(&found.nodes)?,
            "edges": told(&found.edges)?,
            "hidden": found.hidden,
            "span": { "from": span.from.to_string(), "to": span.to.to_string() },
            "marks": marks,
        });
        Ok(Now(noted(answer, note)))
    })
    .await
}

/// Changes to what is on the map, and onsets of regressions of it; the latest, when there are too many.
fn marks(engine: &Engine, view: &View<'_>, span: Stretch, shown: &BTreeSet<&str>) -> Vec<Json> {
    let mut marks: Vec<(Time, Json)> = Vec::new();
    for r in engine.regressions() {
        let onset = Time::parse(&r.onset).ok().filter(|t| span.contains(*t));
        if let Some(onset) = onset.filter(|_| shown.contains(r.subject.id.as_str())) {
            let label = format!("onset of {} on {}", r.measure, r.subject.name);
            marks.push((onset, json!({ "at": r.onset, "label": label, "kind": "Regression" })));
        }
    }
    let changes = view.ontology().class("Change").map_or_else(Vec::new, |c| view.events(c, span));
    for (at, node) in changes {
        let row = change_row(view, at, node);
        let touches =
            shown.contains(row.id.as_str()) || row.targets.iter().any(|t| shown.contains(t.id.as_str()));
        if touches {
            marks.push((at, json!({ "at": row.at, "label": row.text, "kind": row.class })));
        }
    }
    marks.sort_by(|a, b| a.0.cmp(&b.0).then_with(|| a.1.to_string().cmp(&b.1.to_string())));
    marks.dedup_by(|a, b| a.1 == b.1);
    let surplus = marks.len().saturating_sub(MAX_MARKS);
    marks.into_iter().skip(surplus).map(|m| m.1).collect()
}
