//! `POST /cypher`: a query in openCypher, under limits that a question cannot lift.
#![expect(clippy::disallowed_methods, reason = "a rim crate: how long a query may take is told by the clock")]

use super::answers::unread;
use super::{Answered, Api, Looked, Now, Trouble, aside, looked, moment, noted, said, times, told};
use ::query::View;
use ::query::cypher::{Answer, Call, Limits, Scope, Scoped, ask, from_json, temporal::DateTime, to_json};
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use graph::Graph;
use ontology::{Stretch, Time};
use serde::Deserialize;
use serde_json::{Map, Value as Json, json};
use std::time::{Duration, Instant};

/// Queries at once; each has a thread and memory of its own.
pub(crate) const AT_ONCE: usize = 4;
/// Most rows that can be asked for.
const MOST_ROWS: usize = 100_000;
/// Longest that can be asked for, in seconds.
const MOST_SECONDS: f64 = 60.0;
/// Seconds when nothing is said.
const SECONDS: f64 = 10.0;

/// A query.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Asked {
    query: Option<String>,
    #[serde(default)]
    parameters: Map<String, Json>,
    at: Option<String>,
    as_known: Option<String>,
    between: Option<Between>,
    #[serde(default)]
    limits: Bounds,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Between {
    from: String,
    to: String,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Bounds {
    rows: Option<usize>,
    seconds: Option<f64>,
    bytes: Option<usize>,
}

/// Answers a query.
pub(crate) async fn cypher(
    State(api): State<Api>,
    body: Result<axum::Json<Asked>, JsonRejection>,
) -> Answered {
    let axum::Json(asked) = body.map_err(|e| unread(&e, r#"{"query": …, "parameters": {…}, "at": …}"#))?;
    let text = said("query", asked.query.as_deref())?.to_owned();
    let at = moment("at", asked.at.as_deref())?;
    let between = asked.between.as_ref().map(stretch).transpose()?;
    if at.is_some() && between.is_some() {
        return Err(Trouble::Unclear("`at` and `between` cannot both be said".to_owned()));
    }
    let known = moment("as_known", asked.as_known.as_deref())?;
    let of = between.map_or_else(|| times([at]), |during| vec![during]);
    let earlier = api.earlier(known, of).await?;
    let Ok(permit) = api.queries.clone().try_acquire_owned() else {
        return Err(Trouble::Busy(format!(
            "{AT_ONCE} queries are under way already; try again when one has ended"
        )));
    };
    aside(api, move |engine| {
        let told_by_history = earlier.is_some();
        let Looked { graph, note } = looked(engine, known, earlier)?;
        // `datetime()` is the last moment that telemetry tells of, whatever moment is asked of.
        let now =
            if told_by_history { View::latest(&engine.graph()).as_of } else { View::latest(&graph).as_of };
        let answer = roomy(|| answer((&graph, now, note), &text, &asked, at, between));
        drop(permit);
        answer
    })
    .await
}

/// Runs on a thread with a stack that the deepest query taken fits into several times over.
fn roomy(work: impl FnOnce() -> Answered + Send) -> Answered {
    const STACK: usize = 16 << 20;
    let panicked = || Err(Trouble::Ours("answering this ended in a panic".to_owned()));
    std::thread::scope(|scope| {
        match std::thread::Builder::new()
            .name("cypher".to_owned())
            .stack_size(STACK)
            .spawn_scoped(scope, work)
        {
            Ok(thread) => thread.join().unwrap_or_else(|_| panicked()),
            Err(e) => Err(Trouble::Busy(format!("no thread for this query: {e}"))),
        }
    })
}

fn stretch(between: &Between) -> Result<Stretch, Trouble> {
    let end = |name, text: &str| {
        moment(name, Some(text))?.ok_or_else(|| Trouble::Unclear(format!("{name} is missing")))
    };
    let (from, to) = (end("between.from", &between.from)?, end("between.to", &between.to)?);
    Stretch::new(from, to).ok_or_else(|| Trouble::Unclear("`between` ends before it begins".to_owned()))
}

/// Answers a query of a graph that whoever asks has at hand: the body is that of `POST /cypher`. `now` is what `datetime()` says.
///
/// # Errors
/// What is wrong with it, and whether it is that something is not there.
pub fn ask_cypher(
    graph: &Graph,
    now: Time,
    note: Option<String>,
    body: Json,
) -> Result<Json, (String, bool)> {
    let answer = || {
        let asked: Asked = serde_json::from_value(body).map_err(|e| Trouble::Unclear(e.to_string()))?;
        let text = said("query", asked.query.as_deref())?.to_owned();
        let at = moment("at", asked.at.as_deref())?;
        let between = asked.between.as_ref().map(stretch).transpose()?;
        roomy(|| answer((graph, now, note), &text, &asked, at, between))
    };
    answer().map(|Now(answer)| answer).map_err(|trouble: Trouble| trouble.told())
}

fn answer(
    (graph, now, note): (&Graph, Time, Option<String>),
    text: &str,
    asked: &Asked,
    at: Option<Time>,
    between: Option<Stretch>,
) -> Answered {
    let latest = View::latest(graph).as_of;
    let scope = match between {
        Some(during) => Scope::Between(during),
        // Up to the end of the last minute, not into the one after.
        None => Scope::At(at.map_or(latest.plus_nanos(-1), |t| t.min(latest.plus_nanos(-1)))),
    };
    let data = Scoped::new(graph, scope);
    let begin = Instant::now();
    let seconds = asked.limits.seconds.filter(|s| s.is_finite()).unwrap_or(SECONDS).clamp(0.0, MOST_SECONDS);
    let time = Duration::from_secs_f64(seconds);
    let default = Limits::default();
    let limits = Limits {
        rows: asked.limits.rows.unwrap_or(default.rows).min(MOST_ROWS),
        bytes: asked.limits.bytes.unwrap_or(default.bytes).min(default.bytes),
    };
    let call = Call {
        parameters: asked.parameters.iter().map(|(k, v)| (k.as_str().into(), from_json(v))).collect(),
        limits,
        stop: &|| begin.elapsed() >= time,
        now: DateTime::utc(now.nanos()),
        ..Call::default()
    };
    let Answer { columns, rows, truncated, hits } = ask(&data, text, &call)?;
    let rows: Vec<Vec<Json>> = rows.iter().map(|r| r.iter().map(|v| to_json(&data, v)).collect()).collect();
    let took_ms = (begin.elapsed().as_secs_f64() * 1e3 * 10.0).round() / 10.0;
    let scope = match scope {
        Scope::At(t) => json!({ "at": t.to_string() }),
        Scope::Between(s) => json!({ "from": s.from.to_string(), "to": s.to.to_string() }),
    };
    let answer = json!({
        "columns": columns,
        "stats": { "rows": rows.len(), "hits": hits, "took_ms": took_ms, "scope": scope },
        "rows": rows,
        "truncated": told(&truncated)?,
    });
    Ok(Now(noted(answer, note)))
}
