//! `/api/v1`: the same questions that the pages ask, for anyone. Each handler turns words into a call of the engine and the
//! answer into JSON; moments are RFC 3339 in both directions.

mod answers;
mod compare;
mod cypher;
mod events;
mod export;
mod map;
mod ontology;
mod operate;
mod seen;
mod snapshots;
mod sql;
mod things;

#[cfg(test)]
mod tests;

use crate::history::{Earlier, History, SqlTrouble};
use ::ontology::{Stretch, Time};
use ::query::run::QueryError;
use axum::Router;
use axum::extract::{DefaultBodyLimit, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::middleware::{from_fn, map_response};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use engine::Engine;
use graph::Graph;
use serde::de::DeserializeOwned;
use serde_json::{Value as Json, json};
use std::sync::Arc;
use tokio::sync::Semaphore;

pub(crate) use answers::PATHS_SECONDS;
pub(crate) use export::AT_ONCE as EXPORTS_AT_ONCE;
pub(crate) use sql::AT_ONCE as SQL_AT_ONCE;
pub use sql::{MOST_ROWS as SQL_ROWS, MOST_SECONDS as SQL_SECONDS};

pub use cypher::ask_cypher;
pub(crate) use events::BEHIND;
pub use operate::Operator;

/// A question or a query longer than this is not one.
const MAX_TEXT: usize = 8 * 1024;
/// `POST /ask` holds a question and a moment.
const MAX_BODY: usize = 64 * 1024;

/// What every handler has.
#[derive(Clone)]
pub(crate) struct Api {
    engine: Arc<Engine>,
    events: events::Events,
    operator: Operator,
    /// Exports that may still begin.
    exports: Arc<Semaphore>,
    pictures: seen::Pictures,
    /// Surveys that may still begin.
    surveys: Arc<Semaphore>,
    /// Queries that may still begin.
    queries: Arc<Semaphore>,
    history: Option<Arc<dyn History>>,
    /// Queries in SQL that may still begin.
    sqls: Arc<Semaphore>,
    /// Questions that may still wait for history.
    earlier: Arc<Semaphore>,
}

/// The API's routes.
pub(crate) fn routes(engine: Arc<Engine>, operator: Operator, history: Option<Arc<dyn History>>) -> Router {
    let events = events::Events::of(&engine);
    let v1 = Router::new()
        .route("/regressions", get(answers::regressions))
        .route("/investigations/{id}", get(answers::investigation))
        .route("/ask", post(answers::ask))
        .route("/query", get(answers::query))
        .route("/cypher", post(cypher::cypher))
        .route("/diff", get(compare::diff))
        .route("/cohort", get(compare::cohort))
        .route("/snapshots", get(snapshots::all).post(snapshots::take))
        .route("/snapshots/delete", post(snapshots::delete))
        .route("/sql", post(sql::sql))
        .route("/graph/map", get(map::map))
        .route("/graph/find", get(things::find))
        .route("/graph/show", get(things::show))
        .route("/graph/export", get(export::export))
        .route("/changes", get(things::changes))
        .route("/classes", get(things::classes))
        .route("/ontology", get(ontology::ontology))
        .route("/ontology/propose", get(operate::propose))
        .route("/sources", get(seen::sources))
        .route("/sources/refused", get(seen::refused))
        .route("/events", get(events::events))
        .route("/ontology/reload", post(operate::reload))
        .route("/hash-key/rotate", post(operate::rotate))
        .route("/identity/apart", get(operate::apart))
        .route("/identity/split", post(operate::split))
        .route("/identity/rejoin", post(operate::rejoin))
        .fallback(nowhere)
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(from_fn(crate::assets::same_origin))
        .layer(map_response(crate::assets::strict))
        .with_state(Api {
            engine,
            events,
            operator,
            exports: Arc::new(Semaphore::new(export::AT_ONCE)),
            pictures: seen::Pictures::default(),
            surveys: Arc::new(Semaphore::new(1)),
            queries: Arc::new(Semaphore::new(cypher::AT_ONCE)),
            history,
            sqls: Arc::new(Semaphore::new(sql::AT_ONCE)),
            earlier: Arc::new(Semaphore::new(EARLIER_AT_ONCE)),
        });
    Router::new().nest("/api/v1", v1)
}

async fn nowhere() -> Trouble {
    Trouble::Missing("there is no such address under /api/v1; docs/api.md lists them".to_owned())
}

async fn wrong_method() -> Response {
    let body = json!({"error": "this address is asked another way: /ask, /cypher, /sql, /snapshots, /snapshots/delete, /ontology/reload, /hash-key/rotate, /identity/split and /identity/rejoin take a POST, all others a GET"});
    (StatusCode::METHOD_NOT_ALLOWED, axum::Json(body)).into_response()
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// The question cannot be read.
    Unclear(String),
    /// The thing asked for is not there.
    Missing(String),
    /// More was said than is read.
    TooLarge(String),
    /// It was said in another form than the one that is read.
    Media(String),
    /// What was to be read instead of what is in use has problems.
    Unsound(String),
    /// Too much of this is going on.
    Busy(String),
    /// A query is wrong; where, stands beside.
    Query(Box<::query::cypher::Error>),
    /// It is our fault.
    Ours(String),
}

impl Trouble {
    /// What it says, and whether it is about what is not there.
    fn told(self) -> (String, bool) {
        match self {
            Trouble::Missing(e) => (e, true),
            Trouble::Query(e) => (e.to_string(), e.kind == ::query::cypher::Kind::UnknownName),
            Trouble::Unclear(e)
            | Trouble::TooLarge(e)
            | Trouble::Media(e)
            | Trouble::Unsound(e)
            | Trouble::Busy(e)
            | Trouble::Ours(e) => (e, false),
        }
    }
}

impl IntoResponse for Trouble {
    fn into_response(self) -> Response {
        let (status, error) = match self {
            Trouble::Unclear(e) => (StatusCode::BAD_REQUEST, e),
            Trouble::Missing(e) => (StatusCode::NOT_FOUND, e),
            Trouble::TooLarge(e) => (StatusCode::PAYLOAD_TOO_LARGE, e),
            Trouble::Media(e) => (StatusCode::UNSUPPORTED_MEDIA_TYPE, e),
            Trouble::Unsound(e) => (StatusCode::UNPROCESSABLE_ENTITY, e),
            Trouble::Busy(e) => {
                let later = [(header::RETRY_AFTER, "5")];
                return (StatusCode::SERVICE_UNAVAILABLE, later, axum::Json(json!({ "error": e })))
                    .into_response();
            }
            Trouble::Query(e) => {
                // Well asked, about what is not there.
                let missing = e.kind == ::query::cypher::Kind::UnknownName;
                let status = if missing { StatusCode::NOT_FOUND } else { StatusCode::BAD_REQUEST };
                return (status, axum::Json(json!({ "error": e.to_string(), "problem": e }))).into_response();
            }
            Trouble::Ours(e) => (StatusCode::INTERNAL_SERVER_ERROR, e),
        };
        (status, axum::Json(json!({ "error": error }))).into_response()
    }
}

/// JSON that no cache keeps: the next moment has another answer.
pub(crate) struct Now(pub(crate) Json);

impl IntoResponse for Now {
    fn into_response(self) -> Response {
        ([(header::CACHE_CONTROL, "no-store")], axum::Json(self.0)).into_response()
    }
}

/// An answer, or why there is none.
pub(crate) type Answered = Result<Now, Trouble>;

/// What an address says after `?`; what cannot be read is told as every other trouble is.
pub(crate) struct Said<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Said<T> {
    type Rejection = Trouble;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Trouble> {
        let read = axum::extract::Query::<T>::from_request_parts(parts, state).await;
        read.map(|q| Said(q.0)).map_err(|e| Trouble::Unclear(e.body_text()))
    }
}

/// Runs what may take long beside the threads that answer others.
pub(crate) async fn aside(api: Api, work: impl FnOnce(&Engine) -> Answered + Send + 'static) -> Answered {
    let ended = tokio::task::spawn_blocking(move || work(&api.engine)).await;
    ended.unwrap_or_else(|e| Err(Trouble::Ours(format!("answering this ended in a panic: {e}"))))
}

impl From<QueryError> for Trouble {
    fn from(error: QueryError) -> Trouble {
        // Well asked, about what is not there: the same as a wrong address, so that programs can tell the two apart.
        let told = error.to_string();
        if error.is_about_what_is_missing() { Trouble::Missing(told) } else { Trouble::Unclear(told) }
    }
}

impl From<::query::cypher::Error> for Trouble {
    fn from(error: ::query::cypher::Error) -> Trouble {
        Trouble::Query(Box::new(error))
    }
}

/// A moment in words, when one was said.
pub(crate) fn moment(name: &str, text: Option<&str>) -> Result<Option<Time>, Trouble> {
    let Some(text) = text.map(str::trim).filter(|t| !t.is_empty()) else { return Ok(None) };
    Time::parse(text).map(Some).map_err(|e| Trouble::Unclear(format!("{name}: {e}")))
}

/// A graph that a question is asked of, and what is to be said of it in the answer.
pub(crate) struct Looked {
    pub(crate) graph: Graph,
    pub(crate) note: Option<String>,
}

/// Questions that wait at once for a graph to be made of history: it is made for one after the other.
pub(crate) const EARLIER_AT_ONCE: usize = 8;
/// What is asked of a moment is summed over up to so long before it.
const LOOKS_BACK_SECS: i64 = 15 * 60;

impl Api {
    /// What history tells of some moments and stretches, where the graph no longer holds them whole.
    pub(crate) async fn earlier(
        &self,
        known: Option<Time>,
        of: Vec<Stretch>,
    ) -> Result<Option<Earlier>, Trouble> {
        let Some(history) = &self.history else { return Ok(None) };
        let Some(first) = of.iter().map(|s| s.from).min() else { return Ok(None) };
        let whole = history.whole_from().filter(|w| first.plus_secs(-LOOKS_BACK_SECS) < *w);
        match (whole, known) {
            (None, _) => Ok(None),
            (Some(whole), Some(_)) => Err(Trouble::Unclear(format!(
                "as_known: {first} is told by history, which does not say when things became known; leave `as_known` out, or ask of a \
                 moment after {whole}"
            ))),
            (Some(_), None) => {
                let Ok(_permit) = self.earlier.try_acquire() else {
                    return Err(Trouble::Busy(format!(
                        "{EARLIER_AT_ONCE} questions wait for history already; try again when one has ended"
                    )));
                };
                history.earlier(of).await.map(Some).map_err(Trouble::from)
            }
        }
    }
}

/// What history tells where it was asked, else the graph as it is now or as it was known at a moment.
pub(crate) fn looked(
    engine: &Engine,
    known: Option<Time>,
    earlier: Option<Earlier>,
) -> Result<Looked, Trouble> {
    match earlier {
        Some(Earlier { graph, note }) => Ok(Looked { graph, note: Some(note) }),
        None => Ok(Looked { graph: epoch(engine, known)?, note: None }),
    }
}

/// Puts a note into an answer, where there is one.
pub(crate) fn noted(mut answer: Json, note: Option<String>) -> Json {
    if let (Some(fields), Some(note)) = (answer.as_object_mut(), note) {
        fields.insert("note".to_owned(), json!(note));
    }
    answer
}

/// A moment as a stretch, where one was said.
pub(crate) fn times(moments: impl IntoIterator<Item = Option<Time>>) -> Vec<Stretch> {
    moments.into_iter().flatten().map(|t| Stretch { from: t, to: t }).collect()
}

impl From<SqlTrouble> for Trouble {
    fn from(trouble: SqlTrouble) -> Trouble {
        match trouble {
            SqlTrouble::Wrong(why) => Trouble::Unclear(why),
            SqlTrouble::Unknown(why) => Trouble::Missing(why),
            SqlTrouble::Unavailable(why) => Trouble::Busy(why),
            SqlTrouble::Ours(why) => Trouble::Ours(why),
        }
    }
}

/// The graph as it is now, or as it was known at a moment.
fn epoch(engine: &Engine, known: Option<Time>) -> Result<Graph, Trouble> {
    let Some(at) = known else { return Ok(engine.graph()) };
    engine.graph_known(at).map_err(|since| {
        Trouble::Unclear(format!("as_known: what was known at {at} cannot be said, only from {since} on"))
    })
}

/// A text that was said, not longer than a text may be.
pub(crate) fn said<'t>(name: &str, text: Option<&'t str>) -> Result<&'t str, Trouble> {
    match text.map(str::trim) {
        None | Some("") => Err(Trouble::Unclear(format!("{name} is missing"))),
        Some(t) if t.len() > MAX_TEXT => {
            Err(Trouble::TooLarge(format!("{name} is longer than {MAX_TEXT} bytes")))
        }
        Some(t) => Ok(t),
    }
}

/// Anything of ours as JSON.
pub(crate) fn told(what: &impl serde::Serialize) -> Result<Json, Trouble> {
    serde_json::to_value(what).map_err(|e| Trouble::Ours(format!("writing the answer: {e}")))
}
