//! Playing a world into a running server over its real ports: traces by OTLP/gRPC, metrics and logs by OTLP/HTTP, the rest by
//! the JSON feeds; in simulated time, faster than it happened.

use crate::args::Ports;
use crate::client::NoServer;
use crate::progress::Progress;
use anyhow::bail;
use bytes::{BufMut as _, Bytes, BytesMut};
use http_body_util::{BodyExt as _, Full};
use hyper::{Method, Request};
use hyper_util::rt::{TokioExecutor, TokioIo};
use sim::{Payload, Plan, Scale, Wire, World};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;

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
    let now = crate::rim::now().nanos();
    // Whole minutes, so that the world's minutes are the clock's.
    (now / 60_000_000_000 - i64::from(scale.minutes)) * 60_000_000_000
}

/// Sends a whole world; `speed` simulated seconds per second, without pause when 0.
pub async fn play(plan: Plan, to: &Ports, speed: f64) -> anyhow::Result<Sent> {
    let bar = Progress::new(usize::try_from(plan.scale.minutes).unwrap_or(0), "simulated minutes");
    let (send, receive) = mpsc::channel::<Payload>(SENDERS * 4);
    let receive = Arc::new(Mutex::new(receive));
    let (requests, bytes) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let mut workers = JoinSet::new();
    for _ in 0..SENDERS {
        let (receive, to) = (Arc::clone(&receive), to.clone());
        let (requests, bytes) = (Arc::clone(&requests), Arc::clone(&bytes));
        workers.spawn(async move {
            let mut sender = Sender { to, grpc: None };
            loop {
                let Some(payload) = receive.lock().await.recv().await else { return anyhow::Ok(()) };
                requests.fetch_add(1, Ordering::Relaxed);
                bytes.fetch_add(payload.body.len() as u64, Ordering::Relaxed);
                sender.send(payload).await?;
            }
        });
    }
    // Making a world is work for a thread of its own.
    let shown = bar.clone();
    let maker = std::thread::spawn(move || {
        let begin = Instant::now();
        for payload in World::new(plan) {
            if speed > 0.0 {
                let due =
                    Duration::from_secs_f64(((payload.at_ns - plan.start_ns) as f64 / 1e9 / speed).max(0.0));
                std::thread::sleep(due.saturating_sub(begin.elapsed()));
            }
            let minute = (payload.at_ns - plan.start_ns).max(0) / 60_000_000_000;
            if send.blocking_send(payload).is_err() {
                return;
            }
            shown.at(u64::try_from(minute).unwrap_or(0), "");
        }
    });
    // Aborted when this is given up: nobody goes on sending to a server that is being stopped.
    while let Some(worker) = workers.join_next().await {
        worker??;
    }
    if tokio::task::spawn_blocking(move || maker.join()).await?.is_err() {
        bail!("making the world ended in a panic");
    }
    bar.end();
    Ok(Sent { requests: requests.load(Ordering::Relaxed), bytes: bytes.load(Ordering::Relaxed) })
}

struct Sender {
    to: Ports,
    grpc: Option<hyper::client::conn::http2::SendRequest<Full<Bytes>>>,
}

enum Outcome {
    Taken,
    /// Not now, and what the server said.
    Later(String),
}

impl Sender {
    async fn send(&mut self, payload: Payload) -> anyhow::Result<()> {
        let body = Bytes::from(payload.body);
        let mut said = String::new();
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
                Outcome::Later(why) => {
                    said = why;
                    tokio::time::sleep(Duration::from_millis(50 << attempt.min(6))).await;
                }
            }
        }
        bail!("the server did not take a request in {TRIES} tries; it says: {said}")
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
        let said = words(&answer);
        match status {
            200..=299 => Ok(Outcome::Taken),
            429 | 503 => Ok(Outcome::Later(said)),
            _ => bail!("{path}: {status} {said}"),
        }
    }

    /// One unary gRPC call: a frame of one flag byte, four length bytes and the message; the status comes in the trailers.
    async fn traces(&mut self, message: Bytes) -> anyhow::Result<Outcome> {
        let sender = match self.grpc.as_mut().filter(|s| !s.is_closed()) {
            Some(sender) => sender,
            None => {
                let stream = TcpStream::connect(self.to.otlp_grpc).await.map_err(|e| NoServer {
                    at: format!("{} (OTLP/gRPC)", self.to.otlp_grpc),
                    why: e.to_string(),
                })?;
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
        let words = answer.headers().get("grpc-message").cloned();
        let collected = answer.into_body().collect().await?;
        let status = first.or_else(|| collected.trailers().and_then(|t| t.get("grpc-status").cloned()));
        match status.as_ref().and_then(|s| s.to_str().ok()) {
            Some("0") => Ok(Outcome::Taken),
            Some("14") => {
                let words =
                    words.or_else(|| collected.trailers().and_then(|t| t.get("grpc-message").cloned()));
                let words = words.as_ref().and_then(|w| w.to_str().ok()).unwrap_or("UNAVAILABLE");
                Ok(Outcome::Later(words.replace("%20", " ")))
            }
            other => bail!("OTLP/gRPC answered with status {}", other.unwrap_or("none")),
        }
    }
}

/// What a refusal says: text, JSON, or the second field of a `google.rpc.Status`.
fn words(answer: &[u8]) -> String {
    let text = match answer {
        [0x08, _, 0x12, rest @ ..] => {
            // The length of the text is a varint, whose last byte is the first without the high bit.
            let begin = rest.iter().position(|b| b & 0x80 == 0).map_or(0, |i| i + 1);
            rest.get(begin..).unwrap_or_default()
        }
        other => other,
    };
    String::from_utf8_lossy(text).chars().take(300).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_a_refusal_are_found_in_every_form() {
        assert_eq!(words(b"{\"error\":\"full\"}"), "{\"error\":\"full\"}");
        assert_eq!(words(b"\x08\x0e\x12\x04full"), "full");
        let long = "x".repeat(200);
        assert_eq!(words(&[&[0x08, 14, 0x12, 0xc8, 1], long.as_bytes()].concat()), long);
        assert_eq!(words(b"\x08\x0e\x12"), "");
    }
}
