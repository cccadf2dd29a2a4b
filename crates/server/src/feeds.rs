//! The feeds: `POST /api/v1/feeds/{name}` for programs, `POST /v1/feeds/{name}` on the OTLP/HTTP port for web pages. Which feeds
//! there are, and how each is sent, stands in the mapping files.

use crate::answer;
use crate::intake::{Delivery, Form, Receipt, Wire};
use crate::receive::{Coding, Held, Receiver, Trouble};
use crate::signature::{self, Secrets};
use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::routing::post;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use ontology::mapping::Feed;
use serde::de::IgnoredAny;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Parameters of a request's address that its records may see. Beyond: the request is refused.
const PARAMETERS: usize = 32;

#[derive(Clone)]
struct Door {
    receiver: Receiver,
    secrets: Secrets,
}

/// The feeds of programs, all under one path.
pub fn routes(receiver: Receiver, secrets: Secrets) -> Router {
    let mut router = Router::new()
        .route("/api/v1/feeds/{name}", post(feed))
        .route("/api/v1/feeds/{name}/{*path}", post(under));
    // Some senders choose the path: Prometheus posts to /api/v2/alerts of whatever host it is given.
    for (name, feed) in &receiver.ontology().mapping.feeds {
        for path in &feed.paths {
            let name = name.clone();
            let other = move |State(door): State<Door>, request: Request| deliver(door, name, request);
            router = router.route(path, post(other));
        }
    }
    router.with_state(Door { receiver, secrets })
}

async fn feed(State(door): State<Door>, Path(name): Path<String>, request: Request) -> Response<Body> {
    deliver(door, name, request).await
}

async fn deliver(door: Door, name: String, request: Request) -> Response<Body> {
    let (head, mut body) = request.into_parts();
    let feed = door.receiver.ontology().mapping.feed(&name);
    let Some(feed) = feed else {
        return unknown(&door.receiver, &name, body, |_| true).await;
    };
    let outcome = take(&door, &name, &feed, None, &head, &mut body).await;
    answered(&door.receiver, &name, body, outcome).await
}

/// A feed whose senders have one address set and add a path of their own to it.
async fn under(
    State(door): State<Door>,
    Path((name, path)): Path<(String, String)>,
    request: Request,
) -> Response<Body> {
    let (head, mut body) = request.into_parts();
    let feed = door.receiver.ontology().mapping.feed(&name).filter(|f| f.beneath);
    let Some(feed) = feed else {
        return unknown(&door.receiver, &format!("{name}/{path}"), body, |_| true).await;
    };
    let outcome = take(&door, &name, &feed, Some(path), &head, &mut body).await;
    let mut out = answered(&door.receiver, &name, body, outcome).await;
    // What such senders take for success, whatever they do with 200.
    if out.status() == StatusCode::OK {
        *out.status_mut() = StatusCode::ACCEPTED;
    }
    out
}

/// Takes a feed that a web page sent; `None` when there is none of this name that pages may send.
pub(crate) async fn of_page(receiver: &Receiver, name: &str, head: &Parts, mut body: Body) -> Response<Body> {
    let feed = receiver.ontology().mapping.feed(name).filter(|f| f.pages);
    let Some(feed) = feed else {
        return unknown(receiver, name, body, |f| f.pages).await;
    };
    let form = page_form(&head.headers);
    let outcome = async {
        let form = form?;
        receive(receiver, name, form, around(&feed, None, head)?, head, &mut body, |_| Ok(())).await
    };
    let outcome = outcome.await;
    answered(receiver, name, body, outcome).await
}

async fn unknown(
    receiver: &Receiver,
    name: &str,
    body: Body,
    shown: impl Fn(&Feed) -> bool,
) -> Response<Body> {
    receiver.drain(body, None).await;
    let ontology = receiver.ontology();
    let mapping = &ontology.mapping;
    let known = mapping.feed_names().into_iter().filter(|n| mapping.feed(n).is_some_and(|f| shown(&f)));
    let known = known.collect::<Vec<_>>().join(", ");
    answer(
        StatusCode::NOT_FOUND,
        &json!({"error": format!("there is no feed `{name}` here; there are {known}")}),
    )
}

async fn answered(
    receiver: &Receiver,
    name: &str,
    body: Body,
    outcome: Result<Receipt, Trouble>,
) -> Response<Body> {
    receiver.count(name, &outcome);
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
    door: &Door,
    name: &str,
    feed: &Feed,
    path: Option<String>,
    head: &Parts,
    body: &mut Body,
) -> Result<Receipt, Trouble> {
    let form = form(&head.headers)?;
    let signed = |sent: &[u8]| match &feed.signed {
        Some(signed) => signature::check(name, signed, &door.secrets, &head.headers, sent),
        None => Ok(()),
    };
    receive(&door.receiver, name, form, around(feed, path, head)?, head, body, signed).await
}

/// Reads a request whose form is known; `signed` sees the body as it was sent.
async fn receive(
    receiver: &Receiver,
    name: &str,
    form: Form,
    around: BTreeMap<String, String>,
    head: &Parts,
    body: &mut Body,
    signed: impl FnOnce(&[u8]) -> Result<(), Trouble>,
) -> Result<Receipt, Trouble> {
    let coding = Coding::parse(head.headers.get(header::CONTENT_ENCODING).map(HeaderValue::as_bytes))?;
    let held = receiver.read(body, 0).await?;
    signed(&held.bytes)?;
    let mut held = receiver.unpack(held, coding).await?;
    if head.headers.contains_key("ce-specversion") {
        structure(&head.headers, &mut held)?;
    }
    if held.bytes.trim_ascii().is_empty() {
        return Err(Trouble::Malformed("the body is empty".to_owned()));
    }
    let delivery = Delivery { feed: name.to_owned(), form, around };
    receiver.accept(Wire::Feed(Arc::new(delivery)), held).await
}

/// What records see of a request beside its body.
fn around(feed: &Feed, path: Option<String>, head: &Parts) -> Result<BTreeMap<String, String>, Trouble> {
    let mut around = BTreeMap::new();
    around.extend(path.map(|p| ("request.path".to_owned(), p)));
    for name in &feed.headers {
        if let Some(value) = head.headers.get(name) {
            let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
            around.insert(format!("header.{name}"), value);
        }
    }
    for (number, (name, value)) in query_pairs(head.uri.query().unwrap_or_default()).enumerate() {
        if number >= PARAMETERS {
            return Err(Trouble::Malformed(format!("the address has more than {PARAMETERS} parameters")));
        }
        around.insert(format!("query.{name}"), value);
    }
    Ok(around)
}

fn query_pairs(query: &str) -> impl Iterator<Item = (String, String)> {
    query.split('&').filter(|p| !p.is_empty()).map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let plain = |s: &str| percent_decoded(&s.replace('+', " "));
        (plain(name), plain(value))
    })
}

const FORMS: &str = "application/json, application/x-ndjson, application/yaml or text/csv";

/// The form of a program's request. Of the content types a page may send without a preflight, which this port does not
/// answer, none is taken: no page can use a visitor's browser to write here. (`text/plain` is one of them, so lines of text are
/// sent as `application/octet-stream`, as clients do that know no better.)
fn form(headers: &HeaderMap) -> Result<Form, Trouble> {
    let value = content_type(headers);
    if value.trim().eq_ignore_ascii_case("application/octet-stream") {
        return Ok(Form::Text);
    }
    match Form::of_content_type(&value).filter(|_| !is_plain_text(&value)) {
        Some(form) => Ok(form),
        None => Err(Trouble::Media(format!(
            "the content type `{value}` is not known here; send {FORMS}, or lines of text as application/octet-stream"
        ))),
    }
}

/// The form of a page's request: beacons are JSON, whatever their content type says, because a page that is closing can only
/// send the simple ones.
fn page_form(headers: &HeaderMap) -> Result<Form, Trouble> {
    let value = content_type(headers);
    match Form::of_content_type(&value) {
        Some(form) if !is_plain_text(&value) => Ok(form),
        _ => Ok(Form::Json),
    }
}

fn is_plain_text(content_type: &str) -> bool {
    content_type.split(';').next().is_some_and(|k| k.trim().eq_ignore_ascii_case("text/plain"))
}

fn content_type(headers: &HeaderMap) -> String {
    let value = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    String::from_utf8_lossy(value).into_owned()
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
