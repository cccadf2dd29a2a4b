//! Prometheus remote write, 1.0 and 2.0: `POST /api/v1/write`.

use crate::answer;
use crate::intake::{Receipt, Wire};
use crate::receive::{Coding, Receiver, Trouble};
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::routing::post;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use ingest::Written;

/// The receiver, under the path that Prometheus itself has it.
pub fn routes(receiver: Receiver) -> Router {
    Router::new().route("/api/v1/write", post(write)).with_state(receiver)
}

const SAMPLES: HeaderName = HeaderName::from_static("x-prometheus-remote-write-samples-written");
const HISTOGRAMS: HeaderName = HeaderName::from_static("x-prometheus-remote-write-histograms-written");
const EXEMPLARS: HeaderName = HeaderName::from_static("x-prometheus-remote-write-exemplars-written");

async fn write(State(receiver): State<Receiver>, request: Request) -> Response<Body> {
    let (head, mut body) = request.into_parts();
    let wire = wire(&head.headers);
    let outcome = match &wire {
        Ok(wire) => take(&receiver, wire.clone(), &head.headers, &mut body).await,
        Err(trouble) => Err(trouble.clone()),
    };
    let form = if matches!(wire, Ok(Wire::PrometheusWrite2)) { "remote_write_2" } else { "remote_write_1" };
    let counted = match &outcome {
        Ok((receipt, _)) => Ok(receipt.clone()),
        Err(trouble) => Err(trouble.clone()),
    };
    receiver.count(form, &counted);
    let mut answer = match &outcome {
        Ok((receipt, _)) if receipt.rejected > 0 => text(StatusCode::BAD_REQUEST, &answer::message(receipt)),
        Ok(_) => {
            let mut done = Response::new(Body::empty());
            *done.status_mut() = StatusCode::NO_CONTENT;
            done
        }
        Err(trouble) => {
            receiver.drain(body, Some(trouble)).await;
            refusal(trouble)
        }
    };
    if form == "remote_write_2" {
        // Without these a sender of 2.0 takes it that nothing was written.
        let (rejected, written) = match outcome {
            Ok((receipt, written)) => (receipt.rejected, written),
            Err(_) => (0, Written::default()),
        };
        let samples = written.samples.saturating_sub(rejected);
        let histograms = written.histograms.saturating_sub(rejected.saturating_sub(written.samples));
        for (name, count) in [(SAMPLES, samples), (HISTOGRAMS, histograms), (EXEMPLARS, 0)] {
            answer.headers_mut().insert(name, HeaderValue::from(count));
        }
    }
    answer
}

/// Which of the two protocols a content type announces.
fn wire(headers: &HeaderMap) -> Result<Wire, Trouble> {
    let value = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    let value = String::from_utf8_lossy(value);
    let mut parts = value.split(';').map(str::trim);
    let kind = parts.next().unwrap_or_default().to_ascii_lowercase();
    let message = parts.find_map(|p| p.strip_prefix("proto=")).unwrap_or("prometheus.WriteRequest");
    match (kind.as_str(), message) {
        ("application/x-protobuf", "prometheus.WriteRequest") => Ok(Wire::PrometheusWrite1),
        ("application/x-protobuf", "io.prometheus.write.v2.Request") => Ok(Wire::PrometheusWrite2),
        _ => Err(Trouble::Media(format!(
            "the content type `{value}` is not known here; send application/x-protobuf for remote write 1.0, or \
             application/x-protobuf;proto=io.prometheus.write.v2.Request for 2.0"
        ))),
    }
}

async fn take(
    receiver: &Receiver,
    wire: Wire,
    headers: &HeaderMap,
    body: &mut Body,
) -> Result<(Receipt, Written), Trouble> {
    let coding = headers.get(header::CONTENT_ENCODING).map(HeaderValue::as_bytes).unwrap_or_default();
    if !coding.trim_ascii().eq_ignore_ascii_case(b"snappy") {
        let coding = String::from_utf8_lossy(coding);
        return Err(Trouble::Media(format!(
            "the content encoding is `{coding}`, and remote write is always compressed with snappy"
        )));
    }
    let held = receiver.read(body, 0).await?;
    if held.bytes.is_empty() {
        return Err(Trouble::Malformed("the body is empty".to_owned()));
    }
    let held = receiver.unpack(held, Coding::Snappy).await?;
    if held.bytes.is_empty() {
        return Ok((Receipt::default(), Written::default()));
    }
    let written = match wire {
        Wire::PrometheusWrite2 => {
            ingest::written(&held.bytes).map_err(|e| Trouble::Malformed(e.to_string()))?
        }
        _ => Written::default(),
    };
    Ok((receiver.accept(wire, held).await?, written))
}

/// Senders repeat what is answered with 5xx; Prometheus drops a request that is answered with 429 unless it was told otherwise.
fn refusal(trouble: &Trouble) -> Response<Body> {
    let status = match trouble {
        Trouble::Busy(_) | Trouble::Unwritten(_) | Trouble::Slow(_) => StatusCode::SERVICE_UNAVAILABLE,
        other => answer::http_status(other),
    };
    let mut out = text(status, &trouble.to_string());
    if let Some(seconds) = trouble.retry_after() {
        out.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    out
}

fn text(status: StatusCode, message: &str) -> Response<Body> {
    let mut out = Response::new(Body::from(format!("{message}\n")));
    *out.status_mut() = status;
    out.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_content_type_says_which_of_the_two_it_is() {
        let of = |value: &'static str| {
            wire(&HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static(value))]))
        };
        assert_eq!(of("application/x-protobuf").ok(), Some(Wire::PrometheusWrite1));
        assert_eq!(
            of("application/x-protobuf;proto=prometheus.WriteRequest").ok(),
            Some(Wire::PrometheusWrite1)
        );
        let two = "application/x-protobuf; proto=io.prometheus.write.v2.Request";
        assert_eq!(of(two).ok(), Some(Wire::PrometheusWrite2));
        assert!(of("application/json").unwrap_err().to_string().contains("`application/json` is not known"));
        assert!(of("application/x-protobuf;proto=other.Message").is_err());
        // A page could send this without being asked: it must not be taken.
        assert!(of("text/plain").is_err() && wire(&HeaderMap::new()).is_err());
    }
}
