//! OTLP over HTTP: `/v1/traces`, `/v1/metrics` and `/v1/logs` in protobuf and JSON, from programs and from browsers.

use crate::answer::{self, Signal};
use crate::feeds;
use crate::intake::{Receipt, Wire};
use crate::receive::{CODINGS, Coding, Receiver, Trouble};
use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::routing::post;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};

/// Which web pages may send telemetry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Origins {
    /// Pages from this machine.
    #[default]
    Loopback,
    /// Pages from these origins (`https://tv.example`), and from this machine.
    Listed(Vec<String>),
    /// Any page. Client telemetry that anyone can send proves nothing by itself.
    Any,
}

impl Origins {
    fn allow(&self, origin: &str) -> bool {
        match self {
            Origins::Any => true,
            Origins::Listed(listed) if listed.iter().any(|o| o.eq_ignore_ascii_case(origin)) => true,
            _ => is_loopback(origin),
        }
    }
}

fn is_loopback(origin: &str) -> bool {
    let Some(host) = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://")) else {
        return false;
    };
    let host = match host.rsplit_once(':') {
        Some((host, port)) if !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) => host,
        _ => host,
    };
    host.eq_ignore_ascii_case("localhost") || host == "127.0.0.1" || host == "[::1]"
}

#[derive(Clone)]
struct Port {
    receiver: Receiver,
    origins: Origins,
}

/// The three paths, with the preflight of browsers.
pub fn routes(receiver: Receiver, origins: Origins) -> Router {
    let mut router = Router::new();
    for signal in Signal::ALL {
        let path = match signal {
            Signal::Traces => "/v1/traces",
            Signal::Metrics => "/v1/metrics",
            Signal::Logs => "/v1/logs",
        };
        let export = move |State(port): State<Port>, request: Request| export(port, signal, request);
        router = router.route(path, post(export).options(preflight));
    }
    router = router.route("/v1/feeds/{name}", post(page_feed).options(preflight));
    router.fallback(unknown).with_state(Port { receiver, origins })
}

async fn unknown() -> (StatusCode, &'static str) {
    (
        StatusCode::NOT_FOUND,
        "this port takes OTLP at /v1/traces, /v1/metrics and /v1/logs, and what pages send at /v1/feeds/\n",
    )
}

/// The two forms of OTLP over HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Proto,
    Json,
}

impl Form {
    fn of(headers: &HeaderMap) -> Option<Form> {
        let value = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
        let kind = value.split(';').next().unwrap_or_default().trim();
        if kind.eq_ignore_ascii_case("application/x-protobuf")
            || kind.eq_ignore_ascii_case("application/protobuf")
        {
            Some(Form::Proto)
        } else {
            kind.eq_ignore_ascii_case("application/json").then_some(Form::Json)
        }
    }

    fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Form::Proto => "application/x-protobuf",
            Form::Json => "application/json",
        })
    }

    fn wire(self, signal: Signal) -> Wire {
        match (signal, self) {
            (Signal::Traces, Form::Proto) => Wire::TracesProto,
            (Signal::Traces, Form::Json) => Wire::TracesJson,
            (Signal::Metrics, Form::Proto) => Wire::MetricsProto,
            (Signal::Metrics, Form::Json) => Wire::MetricsJson,
            (Signal::Logs, Form::Proto) => Wire::LogsProto,
            (Signal::Logs, Form::Json) => Wire::LogsJson,
        }
    }
}

fn counted_as(signal: Signal) -> &'static str {
    match signal {
        Signal::Traces => "http_traces",
        Signal::Metrics => "http_metrics",
        Signal::Logs => "http_logs",
    }
}

async fn export(port: Port, signal: Signal, request: Request) -> Response<Body> {
    let (head, mut body) = request.into_parts();
    let origin = head.headers.get(header::ORIGIN).cloned();
    if let Some(refused) = refuse_origin(&port.origins, origin.as_ref()) {
        port.receiver.drain(body, None).await;
        return refused;
    }
    let form = Form::of(&head.headers);
    let outcome = match form {
        Some(form) => take(&port.receiver, form.wire(signal), &head.headers, &mut body).await,
        None => Err(unknown_type(&head.headers)),
    };
    port.receiver.count(counted_as(signal), &outcome);
    let form = form.unwrap_or(Form::Json);
    let mut answer = match &outcome {
        Ok(receipt) => Response::new(Body::from(match form {
            Form::Proto => answer::receipt_proto(receipt),
            Form::Json => answer::receipt_json(signal, receipt),
        })),
        Err(trouble) => {
            port.receiver.drain(body, Some(trouble)).await;
            failure(form, trouble)
        }
    };
    answer.headers_mut().insert(header::CONTENT_TYPE, form.content_type());
    to_page(answer, origin)
}

fn to_page(mut answer: Response<Body>, origin: Option<HeaderValue>) -> Response<Body> {
    if let Some(origin) = origin {
        answer.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        answer.headers_mut().insert(header::VARY, HeaderValue::from_static("Origin"));
    }
    answer
}

async fn page_feed(State(port): State<Port>, Path(name): Path<String>, request: Request) -> Response<Body> {
    let (head, body) = request.into_parts();
    let origin = head.headers.get(header::ORIGIN).cloned();
    if let Some(refused) = refuse_origin(&port.origins, origin.as_ref()) {
        port.receiver.drain(body, None).await;
        return refused;
    }
    to_page(feeds::of_page(&port.receiver, &name, &head, body).await, origin)
}

fn unknown_type(headers: &HeaderMap) -> Trouble {
    let got = match headers.get(header::CONTENT_TYPE) {
        Some(value) => {
            format!("the content type `{}` is not known", String::from_utf8_lossy(value.as_bytes()))
        }
        None => "the request has no content type".to_owned(),
    };
    Trouble::Media(format!("{got}; send application/x-protobuf or application/json"))
}

async fn take(
    receiver: &Receiver,
    wire: Wire,
    headers: &HeaderMap,
    body: &mut Body,
) -> Result<Receipt, Trouble> {
    let coding = Coding::parse(headers.get(header::CONTENT_ENCODING).map(HeaderValue::as_bytes))?;
    let held = receiver.read(body, 0).await?;
    // Nothing in it, nothing to decompress: some senders set the header all the same.
    let coding = if held.bytes.is_empty() { Coding::None } else { coding };
    let held = receiver.unpack(held, coding).await?;
    if held.bytes.is_empty() {
        return Ok(Receipt::default());
    }
    receiver.accept(wire, held).await
}

fn failure(form: Form, trouble: &Trouble) -> Response<Body> {
    let mut answer = Response::new(Body::from(match form {
        Form::Proto => answer::status_proto(trouble),
        Form::Json => answer::status_json(trouble),
    }));
    *answer.status_mut() = answer::http_status(trouble);
    if let Some(seconds) = trouble.retry_after() {
        answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    if matches!(trouble, Trouble::Media(_)) {
        answer.headers_mut().insert(header::ACCEPT_ENCODING, HeaderValue::from_static(CODINGS));
    }
    answer
}

fn refuse_origin(origins: &Origins, origin: Option<&HeaderValue>) -> Option<Response<Body>> {
    let origin = origin?;
    if origin.to_str().is_ok_and(|o| origins.allow(o)) {
        return None;
    }
    let mut answer = Response::new(Body::from(
        "pages from this origin may not send telemetry here; name it in --allow-origin\n",
    ));
    *answer.status_mut() = StatusCode::FORBIDDEN;
    Some(answer)
}

async fn preflight(State(port): State<Port>, headers: HeaderMap) -> Response<Body> {
    let origin = headers.get(header::ORIGIN);
    if let Some(refused) = refuse_origin(&port.origins, origin) {
        return refused;
    }
    let mut answer = Response::new(Body::empty());
    *answer.status_mut() = StatusCode::NO_CONTENT;
    let Some(origin) = origin else { return answer };
    let out = answer.headers_mut();
    out.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    out.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("POST"));
    // Exporters add headers of their own (tokens, tenants): what is asked for is allowed, it is not a credential here.
    let asked = headers.get(header::ACCESS_CONTROL_REQUEST_HEADERS).cloned();
    let asked = asked.unwrap_or(HeaderValue::from_static("content-type, content-encoding"));
    out.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, asked);
    // The longest that Chromium keeps.
    out.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("7200"));
    out.insert(header::VARY, HeaderValue::from_static("Origin, Access-Control-Request-Headers"));
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_this_machine_are_loopback_and_lookalikes_are_not() {
        for origin in [
            "http://localhost",
            "http://localhost:3000",
            "https://127.0.0.1:8443",
            "http://[::1]:80",
            "http://[::1]",
        ] {
            assert!(is_loopback(origin), "{origin}");
        }
        for origin in [
            "http://localhost.evil.example",
            "http://127.0.0.1.evil.example:80",
            "null",
            "file://",
            "http://evil.example",
        ] {
            assert!(!is_loopback(origin), "{origin}");
        }
        assert!(Origins::Listed(vec!["https://tv.example".to_owned()]).allow("https://TV.example"));
    }
}
