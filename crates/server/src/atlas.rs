//! Netflix Atlas: `POST /api/v1/publish`, as Spectator sends to it, in JSON or Smile.

use crate::answer;
use crate::intake::{Receipt, Wire};
use crate::receive::{Coding, Receiver, Trouble};
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::routing::post;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use serde_json::{Value, json};

/// The receiver, under the path that Atlas itself has it.
pub fn routes(receiver: Receiver) -> Router {
    Router::new().route("/api/v1/publish", post(publish)).with_state(receiver)
}

async fn publish(State(receiver): State<Receiver>, request: Request) -> Response<Body> {
    let (head, mut body) = request.into_parts();
    let outcome = take(&receiver, &head.headers, &mut body).await;
    receiver.count("atlas", &outcome);
    match outcome {
        Ok(receipt) if receipt.rejected == 0 => {
            let mut done = Response::new(Body::empty());
            done.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
            done
        }
        Ok(receipt) => {
            let whole = receipt.rejected >= receipt.items;
            let wrong = receipt.reasons.iter().filter(|r| r.rejected);
            let told: Vec<Value> =
                wrong.map(|r| json!(format!("{} × {} ({})", r.items, r.reason, r.detail))).collect();
            let (status, kind) =
                if whole { (StatusCode::BAD_REQUEST, "error") } else { (StatusCode::ACCEPTED, "partial") };
            answer(status, &json!({"type": kind, "errorCount": receipt.rejected, "message": told}))
        }
        Err(trouble) => {
            receiver.drain(body, Some(&trouble)).await;
            let told = json!({"type": "error", "errorCount": 0, "message": [trouble.to_string()]});
            let mut out = answer(answer::http_status(&trouble), &told);
            if let Some(seconds) = trouble.retry_after() {
                out.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
            }
            out
        }
    }
}

fn answer(status: StatusCode, body: &Value) -> Response<Body> {
    let mut out = Response::new(Body::from(body.to_string()));
    *out.status_mut() = status;
    out.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    out
}

async fn take(receiver: &Receiver, headers: &HeaderMap, body: &mut Body) -> Result<Receipt, Trouble> {
    let value = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    let value = String::from_utf8_lossy(value);
    let wire = match value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase().as_str() {
        "application/json" => Wire::AtlasJson,
        "application/x-jackson-smile" => Wire::AtlasSmile,
        _ => {
            return Err(Trouble::Media(format!(
                "the content type `{value}` is not known here; send application/json or application/x-jackson-smile"
            )));
        }
    };
    let coding = Coding::parse(headers.get(header::CONTENT_ENCODING).map(HeaderValue::as_bytes))?;
    let held = receiver.read(body, 0).await?;
    let held = receiver.unpack(held, coding).await?;
    if held.bytes.is_empty() {
        return Err(Trouble::Malformed("the body is empty".to_owned()));
    }
    receiver.accept(wire, held).await
}
