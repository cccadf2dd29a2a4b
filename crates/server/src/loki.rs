//! Loki: `POST /loki/api/v1/push`, JSON and protobuf.

use crate::intake::{Receipt, Wire};
use crate::posted::{answered, coding, media, take, unknown_media};
use crate::receive::{Coding, Receiver, Trouble};
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::routing::post;
use http::{HeaderMap, Response, StatusCode, header};

/// The path that clients push to.
pub fn routes(receiver: Receiver) -> Router {
    Router::new().route("/loki/api/v1/push", post(push)).with_state(receiver)
}

async fn push(State(receiver): State<Receiver>, request: Request) -> Response<Body> {
    let (head, mut body) = request.into_parts();
    let outcome = accept(&receiver, &head.headers, &mut body).await;
    answered(&receiver, "loki", outcome, StatusCode::NO_CONTENT, body).await
}

async fn accept(receiver: &Receiver, headers: &HeaderMap, body: &mut Body) -> Result<Receipt, Trouble> {
    match media(headers).as_str() {
        "application/json" => take(receiver, Wire::LokiJson, coding(headers)?, body).await,
        // Always in snappy's block format; some clients say so, most do not.
        "application/x-protobuf" => {
            let said = headers.get(header::CONTENT_ENCODING).map(|v| v.as_bytes().to_ascii_lowercase());
            if !matches!(said.as_deref(), None | Some(b"" | b"snappy" | b"identity")) {
                let said = String::from_utf8_lossy(said.as_deref().unwrap_or_default()).into_owned();
                return Err(Trouble::Media(format!(
                    "protobuf for Loki is compressed with snappy, not with `{said}`"
                )));
            }
            take(receiver, Wire::LokiProto, Coding::Snappy, body).await
        }
        other => Err(unknown_media(other, "application/json or application/x-protobuf")),
    }
}
