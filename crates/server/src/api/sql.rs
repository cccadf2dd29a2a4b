//! `POST /sql`: a query in SQL over history and the graph, under limits that a question cannot lift.
#![expect(clippy::disallowed_methods, reason = "a rim crate: how long a query took is told by the clock")]

use super::answers::unread;
use super::{Answered, Api, Now, Trouble, said};
use crate::history::SqlQuery;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use serde::Deserialize;
use serde_json::json;
use std::time::Instant;

/// Queries at once; each may use all processors and memory of its own.
pub(crate) const AT_ONCE: usize = 2;
/// Most rows that can be asked for.
pub const MOST_ROWS: usize = 100_000;
/// Rows when nothing is said.
const ROWS: usize = 1_000;
/// Longest that can be asked for, in seconds.
pub const MOST_SECONDS: u64 = 60;
/// Seconds when nothing is said.
const SECONDS: f64 = 30.0;

/// A query.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Asked {
    query: Option<String>,
    #[serde(default)]
    limits: Bounds,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Bounds {
    rows: Option<usize>,
    seconds: Option<f64>,
}

/// Answers a query.
pub(crate) async fn sql(State(api): State<Api>, body: Result<axum::Json<Asked>, JsonRejection>) -> Answered {
    let axum::Json(asked) = body.map_err(|e| unread(&e, r#"{"query": …, "limits": {…}}"#))?;
    let text = said("query", asked.query.as_deref())?.to_owned();
    let Some(history) = &api.history else {
        return Err(Trouble::Missing("this program was built without history and SQL".to_owned()));
    };
    let Ok(_permit) = api.sqls.clone().try_acquire_owned() else {
        return Err(Trouble::Busy(format!(
            "{AT_ONCE} queries in SQL are under way already; try again when one has ended"
        )));
    };
    let seconds = asked.limits.seconds.filter(|s| s.is_finite()).unwrap_or(SECONDS);
    let query = SqlQuery {
        text,
        rows: asked.limits.rows.unwrap_or(ROWS).min(MOST_ROWS),
        seconds: seconds.clamp(0.0, MOST_SECONDS as f64),
    };
    let begin = Instant::now();
    let mut answer = history.sql(query).await.map_err(Trouble::from)?;
    if let Some(fields) = answer.as_object_mut() {
        let rows = fields.get("rows").and_then(|r| r.as_array()).map_or(0, Vec::len);
        let took_ms = (begin.elapsed().as_secs_f64() * 1e3 * 10.0).round() / 10.0;
        fields.insert("stats".to_owned(), json!({ "rows": rows, "took_ms": took_ms }));
    }
    Ok(Now(answer))
}
