//! Playing a world into a running server over its real ports: traces by OTLP/gRPC, metrics and logs by OTLP/HTTP, the rest by
//! the JSON feeds; in simulated time, faster than it happened.

use crate::args::Listen;
use anyhow::{Context as _, bail};
use bytes::{BufMut as _, Bytes, BytesMut};
use http_body_util::{BodyExt as _, Full};
use hyper::{Method, Request};
use hyper_util::rt::{TokioExecutor, TokioIo};
use sim::{Payload, Plan, Scale, Wire, World};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::net::TcpStream;
use tokio::sync::{Mutex, mpsc};

/// Requests in flight at once.
const SENDERS: usize = 8;
/// Tries of a request that the server asks to repeat.
const TRIES: u32 = 20;

/// What was sent.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sent {
    /// Requests.
    pub requests: u64,
    /// Bytes of bodies.
    pub bytes: u64,
}

/// The beginning of a world that ends now.
pub fn ending_now(scale: Scale) -> i64 {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |d| i64::try_from(d.as_nanos()).unwrap_or(i64::MAX));
    // Whole minutes, so that the world's minutes are the clock's.
    (now / 60_000_000_000 - i64::from(scale.minutes)) * 60_000_000_000
}

/// Sends a whole world; `speed` simulated seconds per second, without pause when 0.
pub async fn play(plan: Plan, to: &Listen, speed: f64) -> anyhow::Result<Sent> {
    let (send, receive) = mpsc::channel::<Payload>(SENDERS * 4);
    let receive = Arc::new(Mutex::new(receive));
    let (requests, bytes) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let mut workers = Vec::new();
    for _ in 0..SENDERS {
        let (receive, to) = (Arc::clone(&receive), to.clone());
        let (requests, bytes) = (Arc::clone(&requests), Arc::clone(&bytes));
        workers.push(tokio::spawn(async move {
            let mut sender = Sender { to, grpc: None };
            loop {
                let Some(payload) = receive.lock().await.recv().await else { return anyhow::Ok(()) };
                requests.fetch_add(1, Ordering::Relaxed);
                bytes.fetch_add(payload.body.len() as u64, Ordering::Relaxed);
                sender.send(payload).await?;
            }
        }));
    }
    // Making a world is work for a thread of its own.
    let maker = std::thread::spawn(move || {
        let begin = Instant::now();
        for payload in World::new(plan) {
            if speed > 0.0 {
                let due =
                    Duration::from_secs_f64(((payload.at_ns - plan.start_ns) as f64 / 1e9 / speed).max(0.0));
                std::thread::sleep(due.saturating_sub(begin.elapsed()));
            }
            if send.blocking_send(payload).is_err() {
                return;
            }
        }
    });
    for worker in workers {
        worker.await??;
    }
    if tokio::task::spawn_blocking(move || maker.join()).await?.is_err() {
        bail!("making the world ended in a panic");
    }
    Ok(Sent { requests: requests.load(Ordering::Relaxed), bytes: bytes.load(Ordering::Relaxed) })
}

struct Sender {
    to: Listen,
    grpc: Option<hyper::client::conn::http2::SendRequest<Full<Bytes>>>,
}

enum Outcome {
    Taken,
    Later,
}

impl Sender {
    async fn send(&mut self, payload: Payload) -> anyhow::Result<()> {
        let body = Bytes::from(payload.body);
        for attempt in 0..TRIES {
            let outcome = match payload.wire {
                Wire::Traces => self.traces(body.clone()).await?,
                Wire::Metrics => {
                    self.http(self.to.otlp_http, "/v1/metrics", "application/x-protobuf", body.clone())
                        .await?
                }
                Wire::Logs => {
                    self.http(self.to.otlp_http, "/v1/logs", "application/x-protobuf", body.clone()).await?
                }
                Wire::Feed(name) => {
                    let path = format!("/api/v1/feeds/{name}");
                    self.http(self.to.http, &path, "application/json", body.clone()).await?
                }
            };
            match outcome {
                Outcome::Taken => return Ok(()),
                Outcome::Later => tokio::time::sleep(Duration::from_millis(50 << attempt.min(6))).await,
            }
        }
        bail!("the server stayed busy for {TRIES} tries")
    }

    async fn http(
        &self,
        to: std::net::SocketAddr,
        path: &str,
        content_type: &str,
        body: Bytes,
    ) -> anyhow::Result<Outcome> {
        let client = crate::client::Client::new(&format!("http://{to}"))?;
        let (status, answer) = client.send(Method::POST, path, content_type, body).await?;
        match status {
            200..=299 => Ok(Outcome::Taken),
            429 | 503 => Ok(Outcome::Later),
            _ => bail!(
                "{path}: {status} {}",
                String::from_utf8_lossy(&answer).chars().take(300).collect::<String>()
            ),
        }
    }

    /// One unary gRPC call: a frame of one flag byte, four length bytes and the message; the status comes in the trailers.
    async fn traces(&mut self, message: Bytes) -> anyhow::Result<Outcome> {
        let sender = match self.grpc.as_mut().filter(|s| !s.is_closed()) {
            Some(sender) => sender,
            None => {
                let stream = TcpStream::connect(self.to.otlp_grpc)
                    .await
                    .context("connecting to the OTLP/gRPC port")?;
                let (sender, connection) =
                    hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
                tokio::spawn(connection);
                self.grpc.insert(sender)
            }
        };
        let mut frame = BytesMut::with_capacity(message.len() + 5);
        frame.put_u8(0);
        frame.put_u32(u32::try_from(message.len())?);
        frame.extend_from_slice(&message);
        let request = Request::builder()
            .method(Method::POST)
            .uri(format!(
                "http://{}/opentelemetry.proto.collector.trace.v1.TraceService/Export",
                self.to.otlp_grpc
            ))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(Full::new(frame.freeze()))?;
        let answer = sender.send_request(request).await?;
        let first = answer.headers().get("grpc-status").cloned();
        let collected = answer.into_body().collect().await?;
        let status = first.or_else(|| collected.trailers().and_then(|t| t.get("grpc-status").cloned()));
        match status.as_ref().and_then(|s| s.to_str().ok()) {
            Some("0") => Ok(Outcome::Taken),
            Some("14") => Ok(Outcome::Later),
            other => bail!("OTLP/gRPC answered with status {}", other.unwrap_or("none")),
        }
    }
}
