//! What receivers of other protocols than OTLP share over HTTP: content types, bodies, and refusals as JSON.

use crate::answer;
use crate::intake::{Receipt, Wire};
use crate::receive::{CODINGS, Coding, Receiver, Trouble};
use axum::body::Body;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use serde_json::{Value, json};

/// The content type without its parameters, in lower case.
pub(crate) fn media(headers: &HeaderMap) -> String {
    let value = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    let value = String::from_utf8_lossy(value);
    value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// A content type that is not read here. Those that are make browsers ask first, which this port does not answer, so no page
/// can use a visitor's browser to write here.
pub(crate) fn unknown_media(media: &str, known: &str) -> Trouble {
    let got = if media.is_empty() {
        "the request has no content type".to_owned()
    } else {
        format!("the content type `{media}` is not known here")
    };
    Trouble::Media(format!("{got}; send {known}"))
}

/// The coding that the headers name.
pub(crate) fn coding(headers: &HeaderMap) -> Result<Coding, Trouble> {
    Coding::parse(headers.get(header::CONTENT_ENCODING).map(HeaderValue::as_bytes))
}

/// Reads, decompresses and hands over a body. One without anything in it says nothing.
pub(crate) async fn take(
    receiver: &Receiver,
    wire: Wire,
    coding: Coding,
    body: &mut Body,
) -> Result<Receipt, Trouble> {
    let held = receiver.read(body, 0).await?;
    if held.bytes.is_empty() {
        return Ok(Receipt::default());
    }
    let held = receiver.unpack(held, coding).await?;
    if held.bytes.is_empty() {
        return Ok(Receipt::default());
    }
    receiver.accept(wire, held).await
}

/// Counts an outcome and answers it: `accepted` without a body when it was taken.
pub(crate) async fn answered(
    receiver: &Receiver,
    form: &'static str,
    outcome: Result<Receipt, Trouble>,
    accepted: StatusCode,
    rest: Body,
) -> Response<Body> {
    receiver.count(form, &outcome);
    let Err(trouble) = outcome else {
        let mut out = Response::new(Body::empty());
        *out.status_mut() = accepted;
        return out;
    };
    receiver.drain(rest, Some(&trouble)).await;
    refusal(&trouble, &json!({"error": trouble.to_string()}))
}

/// An answer that says what was wrong.
pub(crate) fn refusal(trouble: &Trouble, body: &Value) -> Response<Body> {
    let mut out = json_answer(answer::http_status(trouble), body);
    if let Some(seconds) = trouble.retry_after() {
        out.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    if matches!(trouble, Trouble::Media(_)) {
        out.headers_mut().insert(header::ACCEPT_ENCODING, HeaderValue::from_static(CODINGS));
    }
    out
}

/// JSON with a status.
pub(crate) fn json_answer(status: StatusCode, body: &Value) -> Response<Body> {
    let mut out = Response::new(Body::from(body.to_string()));
    *out.status_mut() = status;
    out.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    out
}
