//! OTLP over gRPC: the three `Export` calls; and Jaeger's `PostSpans`, which is like them.
//!
//! A unary call is a header of five bytes and a message. It is read here and not by tonic's server, because that would
//! buffer up to the limit before we could count the memory, and answers oversize and broken compression with codes other
//! than those of the OTLP specification. Status and error details are tonic's.

use crate::answer::{self, Signal};
use crate::intake::{Receipt, Wire};
use crate::receive::{Coding, Held, Receiver, Trouble};
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::routing::post;
use bytes::{Bytes, BytesMut};
use futures_util::stream;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use http_body_util::StreamBody;
use hyper::body::Frame;
use std::convert::Infallible;
use std::time::Duration;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

/// Compressed or not, and the length of the message.
const ENVELOPE: usize = 5;

/// The three services; every other call is answered as unimplemented.
pub fn routes(receiver: Receiver) -> Router {
    let mut router = Router::new();
    for signal in Signal::ALL {
        let (name, wire) = match signal {
            Signal::Traces => ("trace.v1.TraceService", Wire::TracesProto),
            Signal::Metrics => ("metrics.v1.MetricsService", Wire::MetricsProto),
            Signal::Logs => ("logs.v1.LogsService", Wire::LogsProto),
        };
        let export =
            move |State(receiver): State<Receiver>, request: Request| export(receiver, wire, request);
        router = router.route(&format!("/opentelemetry.proto.collector.{name}/Export"), post(export));
    }
    let jaeger = |State(receiver): State<Receiver>, request: Request| export(receiver, Wire::Jaeger, request);
    router = router.route("/jaeger.api_v2.CollectorService/PostSpans", post(jaeger));
    router.fallback(unknown).with_state(receiver)
}

async fn unknown(request: Request) -> Response<Body> {
    Status::unimplemented(format!("no such call: {}", request.uri().path())).into_http()
}

fn form(wire: &Wire) -> &'static str {
    match wire {
        Wire::TracesProto => "grpc_traces",
        Wire::MetricsProto => "grpc_metrics",
        Wire::Jaeger => "grpc_jaeger",
        _ => "grpc_logs",
    }
}

async fn export(receiver: Receiver, wire: Wire, request: Request) -> Response<Body> {
    let (head, mut body) = request.into_parts();
    let kind = head.headers.get(header::CONTENT_TYPE).map(|v| v.as_bytes().to_ascii_lowercase());
    if !kind.is_some_and(|k| k == b"application/grpc" || k.starts_with(b"application/grpc+proto")) {
        receiver.drain(body, None).await;
        let mut answer =
            Response::new(Body::from("this port speaks gRPC with protobuf messages (application/grpc)\n"));
        *answer.status_mut() = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        return answer;
    }
    let outcome = take(&receiver, wire.clone(), &head.headers, &mut body).await;
    receiver.count(form(&wire), &outcome);
    match outcome {
        // Jaeger's answer has no fields: what was set aside stands in /api/v1/sources.
        Ok(_) if wire == Wire::Jaeger => success(&[]),
        Ok(receipt) => success(&answer::receipt_proto(&receipt)),
        Err(trouble) => {
            receiver.drain(body, Some(&trouble)).await;
            failure(&trouble)
        }
    }
}

async fn take(
    receiver: &Receiver,
    wire: Wire,
    headers: &HeaderMap,
    body: &mut Body,
) -> Result<Receipt, Trouble> {
    let coding = Coding::parse(headers.get("grpc-encoding").map(HeaderValue::as_bytes))?;
    let mut held = receiver.read(body, ENVELOPE as u64).await?;
    let coding = open(&mut held, coding)?;
    let held = receiver.unpack(held, coding).await?;
    if held.bytes.is_empty() {
        return Ok(Receipt::default());
    }
    receiver.accept(wire, held).await
}

/// Takes the envelope off; says how the message is compressed.
fn open(held: &mut Held, coding: Coding) -> Result<Coding, Trouble> {
    let malformed = |why: &str| Err(Trouble::Malformed(why.to_owned()));
    let Some((&[flag, a, b, c, d], message)) = held.bytes.split_first_chunk::<ENVELOPE>() else {
        return malformed("the call carries no message");
    };
    let len = u64::from(u32::from_be_bytes([a, b, c, d]));
    match (message.len() as u64).cmp(&len) {
        std::cmp::Ordering::Less => return malformed("the message ends early"),
        std::cmp::Ordering::Greater => return malformed("the call carries more than one message"),
        std::cmp::Ordering::Equal => {}
    }
    held.bytes = held.bytes.slice(ENVELOPE..);
    match (flag, coding) {
        (0, _) => Ok(Coding::None),
        (1, Coding::None) => {
            malformed("the message says that it is compressed, the call does not say how (grpc-encoding)")
        }
        (1, coding) => Ok(coding),
        _ => malformed("the first byte of the message must be 0 or 1"),
    }
}

fn success(message: &[u8]) -> Response<Body> {
    let mut framed = BytesMut::with_capacity(ENVELOPE + message.len());
    framed.extend_from_slice(&[0]);
    framed.extend_from_slice(&u32::try_from(message.len()).unwrap_or(u32::MAX).to_be_bytes());
    framed.extend_from_slice(message);
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    let frames: [Result<Frame<Bytes>, Infallible>; 2] =
        [Ok(Frame::data(framed.freeze())), Ok(Frame::trailers(trailers))];
    let mut answer = Response::new(Body::new(StreamBody::new(stream::iter(frames))));
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    answer
}

fn failure(trouble: &Trouble) -> Response<Body> {
    let (code, message) = (answer::code(trouble), trouble.to_string());
    let status = match trouble.retry_after() {
        Some(seconds) => Status::with_error_details(
            code,
            message,
            ErrorDetails::with_retry_info(Some(Duration::from_secs(seconds))),
        ),
        None => Status::new(code, message),
    };
    let mut answer = status.into_http();
    if code == Code::Unimplemented {
        answer.headers_mut().insert("grpc-accept-encoding", HeaderValue::from_static("gzip,zstd,identity"));
    }
    answer
}
