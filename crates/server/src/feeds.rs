//! The JSON feeds for what has no OTLP form: `POST /api/v1/feeds/{name}`.

use crate::answer;
use crate::intake::{Feed, Receipt, Wire};
use crate::receive::{Coding, Held, Receiver, Trouble};
use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::routing::post;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use serde::de::IgnoredAny;
use serde_json::{Map, Value, json};

/// The feeds, all under one path.
pub fn routes(receiver: Receiver) -> Router {
    Router::new().route("/api/v1/feeds/{name}", post(feed)).with_state(receiver)
}

async fn feed(
    State(receiver): State<Receiver>,
    Path(name): Path<String>,
    request: Request,
) -> Response<Body> {
    let (head, mut body) = request.into_parts();
    let Some(feed) = Feed::named(&name) else {
        receiver.drain(body, None).await;
        let known = Feed::ALL.map(Feed::name).join(", ");
        return answer(
            StatusCode::NOT_FOUND,
            &json!({"error": format!("there is no feed `{name}`; there are {known}")}),
        );
    };
    let outcome = take(&receiver, feed, &head.headers, &mut body).await;
    receiver.count(feed.name(), &outcome);
    match outcome {
        Ok(receipt) => accepted(&receipt),
        Err(trouble) => {
            receiver.drain(body, Some(&trouble)).await;
            let mut out = answer(answer::http_status(&trouble), &json!({"error": trouble.to_string()}));
            if let Some(seconds) = trouble.retry_after() {
                out.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
            }
            out
        }
    }
}

fn accepted(receipt: &Receipt) -> Response<Body> {
    let refused: Vec<Value> = receipt
        .reasons
        .iter()
        .map(|r| json!({"reason": r.reason, "detail": r.detail, "items": r.items}))
        .collect();
    // Understood in part is taken; what no mapping has a place for is not.
    let whole = receipt.reasons.iter().filter(|r| !r.reason.starts_with(ingest::IN_PART));
    let accepted = receipt.items.saturating_sub(whole.map(|r| r.items).sum());
    answer(StatusCode::OK, &json!({"accepted": accepted, "refused": refused}))
}

fn answer(status: StatusCode, body: &Value) -> Response<Body> {
    let mut out = Response::new(Body::from(body.to_string()));
    *out.status_mut() = status;
    out.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    out
}

async fn take(
    receiver: &Receiver,
    feed: Feed,
    headers: &HeaderMap,
    body: &mut Body,
) -> Result<Receipt, Trouble> {
    check_type(feed, headers)?;
    let coding = Coding::parse(headers.get(header::CONTENT_ENCODING).map(HeaderValue::as_bytes))?;
    let held = receiver.read(body, 0).await?;
    let mut held = receiver.unpack(held, coding).await?;
    if feed == Feed::CdEvents && headers.contains_key("ce-specversion") {
        structure(headers, &mut held)?;
    }
    if held.bytes.trim_ascii().is_empty() {
        return Err(Trouble::Malformed("the body is empty".to_owned()));
    }
    receiver.accept(Wire::Feed(feed), held).await
}

fn check_type(feed: Feed, headers: &HeaderMap) -> Result<(), Trouble> {
    let value = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    let value = String::from_utf8_lossy(value);
    let kind = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    // A content type that pages may only send after a preflight, which this port does not answer: no page can use a
    // visitor's browser to write here.
    let known = match kind.as_str() {
        "application/json" => true,
        "application/cloudevents+json" | "application/cloudevents-batch+json" => feed == Feed::CdEvents,
        _ => false,
    };
    if known {
        return Ok(());
    }
    let more = if feed == Feed::CdEvents { " or application/cloudevents+json" } else { "" };
    Err(Trouble::Media(format!("the content type `{value}` is not known here; send application/json{more}")))
}

/// A CloudEvent in HTTP's binary mode has its attributes in `ce-` headers and its data as the body (CloudEvents 1.0, HTTP
/// binding, 3.1); this makes the structured form of it.
fn structure(headers: &HeaderMap, held: &mut Held) -> Result<(), Trouble> {
    let mut event = Map::new();
    for (name, value) in headers {
        let Some(attribute) = name.as_str().strip_prefix("ce-") else { continue };
        let value =
            value.to_str().map_err(|_| Trouble::Malformed(format!("the header {name} is not ASCII")))?;
        event.insert(attribute.to_owned(), Value::String(percent_decoded(value)));
    }
    event.remove("data");
    let mut whole = Value::Object(event).to_string().into_bytes();
    let data = held.bytes.trim_ascii();
    if !data.is_empty() {
        // Only one whole JSON value may be set into the event, or a body could add attributes of its own.
        let checked: Result<IgnoredAny, _> = serde_json::from_slice(data);
        checked.map_err(|e| Trouble::Malformed(format!("the body is not JSON: {e}")))?;
        whole.pop();
        whole.extend_from_slice(if whole.len() > 1 { b",\"data\":" } else { b"\"data\":" });
        whole.extend_from_slice(data);
        whole.push(b'}');
    }
    held.bytes = whole.into();
    Ok(())
}

/// Header values carry what is not plain ASCII percent-encoded; what is no valid sequence stays as it is.
fn percent_decoded(value: &str) -> String {
    let mut out = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let [first, tail @ ..] = rest {
        let decoded = (*first == b'%')
            .then(|| {
                tail.get(..2)
                    .and_then(|h| std::str::from_utf8(h).ok())
                    .and_then(|h| u8::from_str_radix(h, 16).ok())
            })
            .flatten();
        rest = if decoded.is_some() { &tail[2..] } else { tail };
        out.push(decoded.unwrap_or(*first));
    }
    String::from_utf8(out).unwrap_or_else(|_| value.to_owned())
}
