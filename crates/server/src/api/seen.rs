//! What the sources sent, what of it was set aside and why, how complete the picture is, and what it does not allow to answer.
#![expect(
    clippy::disallowed_methods,
    reason = "a rim crate: an old picture is told from a fresh one by the clock"
)]

use super::{Answered, Api, Now, Said, Trouble, aside, told};
use ::query::View;
use ::query::picture::Picture;
use axum::extract::State;
use engine::Engine;
use serde::Deserialize;
use serde_json::{Value as Json, json};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A picture is drawn anew when it is older than this…
const FRESH: Duration = Duration::from_secs(3);
/// …and than so many times what drawing it took: of a large graph, one costs as long as a walk over it.
const REST: u32 = 20;
/// Examples of what was set aside that are listed, unless more are asked for.
const EXAMPLES: usize = 100;
/// Examples that are listed at most.
const MAX_EXAMPLES: usize = 1000;

struct Drawn {
    at: Instant,
    took: Duration,
    picture: Arc<Picture>,
}

/// The latest picture, shared by all who ask.
#[derive(Clone, Default)]
pub(crate) struct Pictures(Arc<Mutex<Option<Drawn>>>);

impl Pictures {
    /// The picture: the last one while it is fresh. Who asks meanwhile waits for the one that is being drawn.
    pub(crate) fn of(&self, engine: &Engine) -> Arc<Picture> {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(drawn) = last.as_ref().filter(|d| d.at.elapsed() < FRESH.max(d.took * REST)) {
            return Arc::clone(&drawn.picture);
        }
        let begin = Instant::now();
        let picture = Arc::new(engine.picture());
        *last = Some(Drawn { at: Instant::now(), took: begin.elapsed(), picture: Arc::clone(&picture) });
        picture
    }
}

/// What each source sent, how fresh it is, what was set aside and why; who has sent nothing yet and would give what; limits,
/// coverage, and the questions with what they lack.
pub(crate) async fn sources(State(api): State<Api>) -> Answered {
    let pictures = api.pictures.clone();
    aside(api, move |engine| {
        let graph = engine.graph();
        let as_of = View::latest(&graph).as_of;
        let picture = pictures.of(engine);
        let inlets = engine.inlets();
        let mut rows = Vec::new();
        for s in engine.sources() {
            let mut row = told(&s)?;
            if let Some(fields) = row.as_object_mut() {
                fields.insert("last_seen".to_owned(), json!(s.last_seen.map(|t| t.to_string())));
            }
            rows.push(row);
        }
        for inlet in &inlets {
            let sent = rows.iter().any(|r| r.get("name").and_then(Json::as_str) == Some(&inlet.name));
            if !sent {
                rows.push(json!({
                    "name": inlet.name, "requests": 0, "malformed": 0, "items": 0, "facts": 0, "repeated": 0,
                    "refused": 0, "last_seen": null, "lag_seconds": null, "reasons": [],
                }));
            }
        }
        for row in &mut rows {
            let Some(fields) = row.as_object_mut() else { continue };
            let name = fields.get("name").and_then(Json::as_str).unwrap_or_default().to_owned();
            let of: Vec<_> = picture.sources.iter().filter(|s| s.inlets.contains(&name)).collect();
            fields.insert("mapping".to_owned(), told(&of)?);
            let page = inlets.iter().find(|i| i.name == name).map(|i| i.page.as_str());
            fields.insert("page".to_owned(), json!(page));
        }
        let mut coverage = Vec::new();
        for cover in engine.placed() {
            coverage.push(told(&cover)?);
        }
        for cover in &picture.coverage {
            coverage.push(told(cover)?);
        }
        Ok(Now(json!({
            "as_of": as_of.to_string(), "sources": rows, "limits": told(&engine.limits())?,
            "coverage": coverage, "questions": told(&picture.questions)?, "picture_of": picture.as_of,
        })))
    })
    .await
}

/// Of what examples are wanted.
#[derive(Deserialize)]
pub(crate) struct Aside {
    source: Option<String>,
    reason: Option<String>,
    limit: Option<usize>,
}

/// Examples of what was set aside, the latest first.
pub(crate) async fn refused(State(api): State<Api>, Said(wanted): Said<Aside>) -> Answered {
    aside(api, move |engine| {
        let some = |text: Option<String>| text.map(|t| t.trim().to_owned()).filter(|t| !t.is_empty());
        let (source, reason) = (some(wanted.source), some(wanted.reason));
        let mut names: Vec<String> = engine.sources().into_iter().map(|s| s.name).collect();
        names.extend(engine.inlets().into_iter().map(|i| i.name));
        names.sort();
        names.dedup();
        if let Some(source) = source.as_ref().filter(|s| !names.contains(s)) {
            let known = names.join(", ");
            return Err(Trouble::Missing(format!("there is no source `{source}`; there are: {known}")));
        }
        let all = engine.refused(source.as_deref(), reason.as_deref());
        let limit = wanted.limit.unwrap_or(EXAMPLES).min(MAX_EXAMPLES);
        let hidden = all.len().saturating_sub(limit);
        let shown: Vec<_> = all.into_iter().take(limit).collect();
        Ok(Now(json!({ "refused": told(&shown)?, "hidden": hidden })))
    })
    .await
}
