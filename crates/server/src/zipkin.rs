//! Zipkin v2: `POST /api/v2/spans`, JSON and protobuf.

use crate::intake::{Receipt, Wire};
use crate::posted::{answered, coding, media, take, unknown_media};
use crate::receive::{Receiver, Trouble};
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::routing::post;
use http::{HeaderMap, Response, StatusCode};

/// The one path of Zipkin's collector.
pub fn routes(receiver: Receiver) -> Router {
    Router::new().route("/api/v2/spans", post(spans)).with_state(receiver)
}

async fn spans(State(receiver): State<Receiver>, request: Request) -> Response<Body> {
    let (head, mut body) = request.into_parts();
    let outcome = accept(&receiver, &head.headers, &mut body).await;
    answered(&receiver, "zipkin", outcome, StatusCode::ACCEPTED, body).await
}

async fn accept(receiver: &Receiver, headers: &HeaderMap, body: &mut Body) -> Result<Receipt, Trouble> {
    let wire = match media(headers).as_str() {
        "application/json" => Wire::ZipkinJson,
        "application/x-protobuf" => Wire::ZipkinProto,
        other => return Err(unknown_media(other, "application/json or application/x-protobuf")),
    };
    take(receiver, wire, coding(headers)?, body).await
}
