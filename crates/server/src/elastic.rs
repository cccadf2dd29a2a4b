//! What senders of logs for Elasticsearch need of it, under `/elasticsearch`: who it is, and `_bulk`.
//!
//! Nothing is searched here: everything else that clients ask for is answered with 404 in Elasticsearch's form.

use crate::answer;
use crate::intake::{Receipt, Wire};
use crate::posted::{coding, json_answer, media, refusal, unknown_media};
use crate::receive::{Receiver, Trouble, now};
use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::middleware::map_response;
use axum::routing::{any, get};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode};
use ingest::BulkItem;
use serde_json::{Map, Value, json};

/// The version that clients are told: they refuse servers older than themselves.
const VERSION: &str = "8.19.0";

/// Clients of version 7.14 and later talk to servers only that send this.
const PRODUCT: (HeaderName, HeaderValue) =
    (HeaderName::from_static("x-elastic-product"), HeaderValue::from_static("Elasticsearch"));

/// Everything under the base path.
pub fn routes(receiver: Receiver) -> Router {
    Router::new()
        .route("/elasticsearch", get(root))
        .route("/elasticsearch/", get(root))
        .route("/elasticsearch/{*rest}", any(rest))
        .layer(map_response(with_product))
        .with_state(receiver)
}

async fn with_product(mut response: Response<Body>) -> Response<Body> {
    response.headers_mut().insert(PRODUCT.0, PRODUCT.1);
    response
}

async fn root() -> Response<Body> {
    let version = json!({"number": VERSION, "build_flavor": "default", "build_type": "tar", "build_snapshot": false,
        "minimum_wire_compatibility_version": "7.17.0", "minimum_index_compatibility_version": "7.0.0"});
    json_answer(
        StatusCode::OK,
        &json!({"name": "e2egraph", "cluster_name": "e2egraph", "cluster_uuid": "e2egraph", "version": version,
            "tagline": "You Know, for Search"}),
    )
}

async fn nothing(receiver: &Receiver, request: Request) -> Response<Body> {
    let uri = request.uri().clone();
    receiver.drain(request.into_body(), None).await;
    let reason = format!("{} is not here: this takes documents at _bulk and does not search", uri.path());
    json_answer(
        StatusCode::NOT_FOUND,
        &failed(StatusCode::NOT_FOUND, "resource_not_found_exception", &reason),
    )
}

fn failed(status: StatusCode, kind: &str, reason: &str) -> Value {
    let cause = json!({"type": kind, "reason": reason});
    json!({"error": {"root_cause": [cause], "type": kind, "reason": reason}, "status": status.as_u16()})
}

/// `_bulk` and `{index}/_bulk`, which take POST and PUT; everything else is not here.
async fn rest(
    State(receiver): State<Receiver>,
    Path(path): Path<String>,
    request: Request,
) -> Response<Body> {
    let index = match path.split_once('/') {
        None if path == "_bulk" => Some(None),
        Some((index, "_bulk")) => Some(Some(index.to_owned())),
        _ => None,
    };
    match (index, request.method()) {
        (Some(index), &Method::POST | &Method::PUT) => bulk(receiver, index, request).await,
        _ => nothing(&receiver, request).await,
    }
}

async fn bulk(receiver: Receiver, index: Option<String>, request: Request) -> Response<Body> {
    let (head, mut body) = request.into_parts();
    let begun = now();
    let outcome = accept(&receiver, &head.headers, &mut body).await;
    let (outcome, bytes) = match outcome {
        Ok((receipt, bytes)) => (Ok(receipt), bytes),
        Err(trouble) => (Err(trouble), Bytes::new()),
    };
    receiver.count("elasticsearch", &outcome);
    match outcome {
        Ok(_) => {
            let items = tokio::task::spawn_blocking(move || items(&bytes, index.as_deref()));
            let (items, errors) = items.await.unwrap_or_default();
            let took = now().since(begun) / 1_000_000;
            json_answer(StatusCode::OK, &json!({"took": took, "errors": errors, "items": items}))
        }
        Err(trouble) => {
            receiver.drain(body, Some(&trouble)).await;
            let status = answer::http_status(&trouble);
            let kind = match &trouble {
                Trouble::Malformed(_) => "illegal_argument_exception",
                Trouble::Busy(_) => "es_rejected_execution_exception",
                _ => "status_exception",
            };
            refusal(&trouble, &failed(status, kind, &trouble.to_string()))
        }
    }
}

async fn accept(
    receiver: &Receiver,
    headers: &HeaderMap,
    body: &mut Body,
) -> Result<(Receipt, Bytes), Trouble> {
    let media = media(headers);
    let known = matches!(
        media.as_str(),
        "application/x-ndjson"
            | "application/json"
            | "application/vnd.elasticsearch+x-ndjson"
            | "application/vnd.elasticsearch+json"
    );
    if !known {
        return Err(unknown_media(&media, "application/x-ndjson"));
    }
    let held = receiver.read(body, 0).await?;
    let held = receiver.unpack(held, coding(headers)?).await?;
    let bytes = held.bytes.clone();
    let receipt = receiver.accept(Wire::ElasticBulk, held).await?;
    Ok((receipt, bytes))
}

/// The answer to each action, and whether any of them failed.
fn items(body: &[u8], index: Option<&str>) -> (Vec<Value>, bool) {
    let mut errors = false;
    let items = ingest::bulk_items(body).unwrap_or_default();
    let mut one = |(number, item): (usize, &BulkItem<'_>)| {
        let mut answer = Map::new();
        answer.insert("_index".to_owned(), json!(item.index.as_deref().or(index)));
        // Elasticsearch makes an id where none was given; nobody can ask for it here, so it only numbers the answer.
        answer.insert("_id".to_owned(), json!(item.id.clone().unwrap_or_else(|| number.to_string())));
        let status = match item.problem() {
            None => {
                answer.insert("result".to_owned(), json!("created"));
                StatusCode::CREATED
            }
            Some(reason) => {
                errors = true;
                let kind =
                    if item.adds() { "document_parsing_exception" } else { "illegal_argument_exception" };
                answer.insert("error".to_owned(), json!({"type": kind, "reason": reason}));
                StatusCode::BAD_REQUEST
            }
        };
        answer.insert("status".to_owned(), json!(status.as_u16()));
        json!({item.action: answer})
    };
    let items = items.iter().enumerate().map(&mut one).collect();
    (items, errors)
}
