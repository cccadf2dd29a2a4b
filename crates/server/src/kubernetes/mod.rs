//! Watches a Kubernetes cluster: lists its nodes, workloads, pods, services and events, then follows their changes, and hands each to
//! the intake as a document `{type, object}` of the feed `kubernetes`.
//!
//! The list and watch protocol is spoken here on hyper and rustls. The `kube` crate does it too, but a program of
//! nothing else takes 203 CPU seconds to build (kube 5.0.0, client and runtime, rustls with ring; 2 cores), most of it not shared with
//! this one, for what is one request and a stream of lines.

mod access;

use crate::Receiver;
use crate::intake::{Delivery, Form, Wire};
use crate::receive::Trouble;
use crate::serve::note;
use access::{Access, Token};
use bytes::Bytes;
use http::{HeaderValue, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1::handshake;
use hyper_util::rt::TokioIo;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout, timeout_at};

pub use access::AccessError;

/// A cluster that can be watched.
pub struct Kubernetes(Arc<Access>);

/// What is watched: path of the API group, plural, kind.
const KINDS: [(&str, &str, &str); 12] = [
    ("api/v1", "nodes", "Node"),
    ("api/v1", "namespaces", "Namespace"),
    ("apis/apps/v1", "deployments", "Deployment"),
    ("apis/apps/v1", "statefulsets", "StatefulSet"),
    ("apis/apps/v1", "daemonsets", "DaemonSet"),
    ("apis/apps/v1", "replicasets", "ReplicaSet"),
    ("apis/batch/v1", "jobs", "Job"),
    ("apis/autoscaling/v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler"),
    ("apis/argoproj.io/v1alpha1", "rollouts", "Rollout"),
    ("api/v1", "services", "Service"),
    ("api/v1", "pods", "Pod"),
    ("api/v1", "events", "Event"),
];

/// Objects asked for at once; what kubectl asks for.
const PAGE: u32 = 500;
/// How long the API server keeps one watch; less than the five to ten minutes after which it ends it by itself.
const WATCH_SECONDS: u64 = 240;
/// How long an answer's head, or a page of a list, may take.
const ANSWER: Duration = Duration::from_secs(60);
/// A watch that is silent for longer than it was asked to last is dead.
const SILENT: Duration = Duration::from_secs(WATCH_SECONDS + 30);
/// Changes are handed over together when this many bytes of them came, or when none came for a while.
const BATCH: usize = 256 << 10;
const LULL: Duration = Duration::from_millis(200);
/// Between attempts: doubled from the first to the last.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(60));
/// When a kind that the API does not have is asked for again: somebody may install it.
const ABSENT: Duration = Duration::from_secs(600);

/// Members that are left out at any depth: they are large, or may hold secrets, and say nothing that is read.
const LEFT_OUT: [&str; 4] =
    ["managedFields", "env", "envFrom", "kubectl.kubernetes.io/last-applied-configuration"];

/// Why watching a kind stopped for now.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error("the API has no {0}")]
    Absent(&'static str),
    #[error("{0}")]
    Refused(String),
    #[error("what was to be followed is no longer known there (410 Gone)")]
    Gone,
    #[error("{0}")]
    Broken(String),
}

impl Kubernetes {
    /// The cluster of a kubeconfig file; without one that of the pod this runs in, of `KUBECONFIG`, or of `~/.kube/config`.
    ///
    /// # Errors
    /// When no file says where it is and how to be let in.
    pub fn find(file: Option<&Path>) -> Result<Kubernetes, AccessError> {
        Access::find(file).map(|a| Kubernetes(Arc::new(a)))
    }

    /// Watches until the server stops.
    pub(crate) async fn watch(self, receiver: Receiver, mut stopped: watch::Receiver<bool>) {
        let mut kinds = JoinSet::new();
        for (group, plural, kind) in KINDS {
            let follower = Follower {
                access: Arc::clone(&self.0),
                receiver: receiver.clone(),
                group,
                plural,
                kind,
                known: BTreeMap::new(),
                version: String::new(),
            };
            kinds.spawn(follower.run());
        }
        // Dropping the set ends them.
        let _ = stopped.wait_for(|s| *s).await;
    }
}

/// Follows one kind.
struct Follower {
    access: Arc<Access>,
    receiver: Receiver,
    group: &'static str,
    plural: &'static str,
    kind: &'static str,
    /// What was there, by uid: what a new list lacks was deleted meanwhile.
    known: BTreeMap<String, Value>,
    /// Where to go on; empty when a list is needed.
    version: String,
}

impl Follower {
    async fn run(mut self) {
        let mut pause = BACKOFF.0;
        let mut said = String::new();
        loop {
            let begin = Instant::now();
            let ended = self.once().await;
            // A watch that held for a while was no failure.
            if begin.elapsed() > BACKOFF.1 || matches!(ended, Ok(())) {
                pause = BACKOFF.0;
            }
            let text = match &ended {
                Ok(()) => {
                    said.clear();
                    // A server that ends every watch at once is not asked without a pause.
                    sleep(BACKOFF.0.saturating_sub(begin.elapsed())).await;
                    continue;
                }
                Err(Ended::Absent(_)) => {
                    self.version.clear();
                    sleep(ABSENT).await;
                    continue;
                }
                Err(Ended::Gone) => {
                    self.version.clear();
                    sleep(BACKOFF.0).await;
                    continue;
                }
                Err(e) => e.to_string(),
            };
            // Said once, not every minute.
            if text != said {
                note(&format!("watching {} of {}: {text}; trying again", self.plural, self.access.base));
                said = text;
            }
            sleep(pause).await;
            pause = (pause * 2).min(BACKOFF.1);
        }
    }

    /// Lists if that is needed, then follows one watch to its end.
    async fn once(&mut self) -> Result<(), Ended> {
        if self.version.is_empty() {
            self.list().await?;
        }
        let query = format!(
            "watch=1&allowWatchBookmarks=true&timeoutSeconds={WATCH_SECONDS}&resourceVersion={}",
            self.version
        );
        let mut body = self.ask(&query).await?;
        let (mut line, mut batch) = (Vec::new(), Vec::new());
        loop {
            let lull = if batch.is_empty() { SILENT } else { LULL };
            let frame = match timeout_at(Instant::now() + lull, body.frame()).await {
                Err(_) if batch.is_empty() => {
                    return Err(Ended::Broken(format!("nothing came for {} seconds", SILENT.as_secs())));
                }
                Err(_) => {
                    self.hand_over(&mut batch).await;
                    continue;
                }
                Ok(frame) => frame,
            };
            let data = match frame {
                None => {
                    self.hand_over(&mut batch).await;
                    return Ok(());
                }
                Some(Err(e)) => {
                    self.hand_over(&mut batch).await;
                    return Err(Ended::Broken(format!("the watch broke off: {e}")));
                }
                Some(Ok(frame)) => frame.into_data().unwrap_or_default(),
            };
            for piece in data.split_inclusive(|b| *b == b'\n') {
                line.extend_from_slice(piece);
                let most = self.receiver.limits().kubernetes_object_bytes;
                if line.len() as u64 > most {
                    return Err(Ended::Broken(format!("one change has more than {most} bytes")));
                }
                if !piece.ends_with(b"\n") {
                    continue;
                }
                let change = self.change(&line);
                line.clear();
                match change {
                    Ok(Some(change)) => add(&mut batch, &change),
                    Ok(None) => {}
                    Err(e) => {
                        self.hand_over(&mut batch).await;
                        return Err(e);
                    }
                }
                if batch.len() >= BATCH {
                    self.hand_over(&mut batch).await;
                }
            }
        }
    }

    /// The change that a line of a watch tells, if it is one to hand over.
    fn change(&mut self, line: &[u8]) -> Result<Option<Value>, Ended> {
        if line.trim_ascii().is_empty() {
            return Ok(None);
        }
        let mut event: Map<String, Value> = serde_json::from_slice(line)
            .map_err(|e| Ended::Broken(format!("a line of the watch is not JSON: {e}")))?;
        let object = event.remove("object").unwrap_or_default();
        let kind = event.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
        if kind == "ERROR" {
            let message = object.get("message").and_then(Value::as_str).unwrap_or("no reason was given");
            return Err(match object.get("code").and_then(Value::as_u64) {
                Some(410) => Ended::Gone,
                _ => Ended::Broken(format!("the watch ended with an error: {message}")),
            });
        }
        if let Some(version) = object.pointer("/metadata/resourceVersion").and_then(Value::as_str) {
            version.clone_into(&mut self.version);
        }
        Ok((kind != "BOOKMARK").then(|| self.document(&kind, object)))
    }

    /// A document of the feed; what is known changes with it.
    fn document(&mut self, change: &str, mut object: Value) -> Value {
        without(&mut object);
        if let Value::Object(o) = &mut object {
            // The items of a list do not say what they are.
            let version = self.group.trim_start_matches("apis/").trim_start_matches("api/");
            o.entry("apiVersion").or_insert_with(|| version.into());
            o.entry("kind").or_insert_with(|| self.kind.into());
        }
        let most = self.receiver.limits().kubernetes_known_objects;
        if let Some(uid) = object.pointer("/metadata/uid").and_then(Value::as_str) {
            if change == "DELETED" {
                self.known.remove(uid);
            } else if (self.known.len() as u64) < most {
                let of = |name: &str| object.pointer(name).cloned().unwrap_or_default();
                let name =
                    json!({"uid": uid, "name": of("/metadata/name"), "namespace": of("/metadata/namespace")});
                self.known.insert(uid.to_owned(), name);
            }
        }
        json!({"type": change, "object": object})
    }

    /// Tells of everything that is there, and of what is no more.
    async fn list(&mut self) -> Result<(), Ended> {
        let mut gone = std::mem::take(&mut self.known);
        let (mut next, mut batch) = (String::new(), Vec::new());
        loop {
            let query = match next.as_str() {
                "" => format!("limit={PAGE}"),
                next => format!("limit={PAGE}&continue={}", encoded(next)),
            };
            let mut page = self.page(&query).await.inspect_err(|_| {
                // What was known still is, until a whole list says otherwise.
                self.known.append(&mut gone);
            })?;
            let items = match page.get_mut("items").map(Value::take) {
                Some(Value::Array(items)) => items,
                _ => Vec::new(),
            };
            for item in items {
                let document = self.document("ADDED", item);
                add(&mut batch, &document);
                if batch.len() >= BATCH {
                    self.hand_over(&mut batch).await;
                }
            }
            let text = |at: &str| page.pointer(at).and_then(Value::as_str).unwrap_or_default().to_owned();
            next = text("/metadata/continue");
            if next.is_empty() {
                self.version = text("/metadata/resourceVersion");
                break;
            }
        }
        for (uid, metadata) in gone {
            if !self.known.contains_key(&uid) {
                let document = self.document("DELETED", json!({"metadata": metadata}));
                add(&mut batch, &document);
            }
        }
        self.hand_over(&mut batch).await;
        if self.version.is_empty() {
            return Err(Ended::Broken("the list has no resourceVersion to go on from".to_owned()));
        }
        Ok(())
    }

    async fn page(&self, query: &str) -> Result<Value, Ended> {
        let body = self.ask(query).await?;
        let most = usize::try_from(self.receiver.limits().request_body_bytes).unwrap_or(usize::MAX);
        let body = http_body_util::Limited::new(body, most).collect();
        let whole = timeout(ANSWER, body).await;
        let whole = whole
            .map_err(|_| Ended::Broken(format!("a list took more than {} seconds", ANSWER.as_secs())))?;
        let whole = whole.map_err(|e| Ended::Broken(format!("a list broke off: {e}")))?.to_bytes();
        serde_json::from_slice(&whole).map_err(|e| Ended::Broken(format!("a list is not JSON: {e}")))
    }

    async fn ask(&self, query: &str) -> Result<Incoming, Ended> {
        let answer = timeout(ANSWER, self.request(query)).await;
        let answer =
            answer.map_err(|_| Ended::Broken(format!("no answer within {} seconds", ANSWER.as_secs())))??;
        let status = answer.status();
        if status.is_success() {
            return Ok(answer.into_body());
        }
        let body = http_body_util::Limited::new(answer.into_body(), 64 << 10).collect();
        let body =
            timeout(ANSWER, body).await.ok().and_then(Result::ok).map(|b| b.to_bytes()).unwrap_or_default();
        let message = serde_json::from_slice::<Value>(&body).ok();
        let message = message.as_ref().and_then(|m| m.get("message")?.as_str()).unwrap_or_default();
        Err(match status {
            StatusCode::NOT_FOUND => Ended::Absent(self.plural),
            StatusCode::GONE => Ended::Gone,
            StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED => Ended::Refused(format!(
                "not let in ({}): {message}; it needs the verbs list and watch, see docs/sources/kubernetes.md",
                status.as_u16()
            )),
            _ => Ended::Broken(format!("the API answered {}: {message}", status.as_u16())),
        })
    }

    async fn request(&self, query: &str) -> Result<http::Response<Incoming>, Ended> {
        let base = &self.access.base;
        let host = base.host().unwrap_or_default();
        let port = base.port_u16().unwrap_or(if self.access.tls.is_some() { 443 } else { 80 });
        let address = host.trim_matches(['[', ']']);
        let stream = TcpStream::connect((address, port)).await;
        let stream = stream.map_err(|e| Ended::Broken(format!("no connection to {host}:{port}: {e}")))?;
        let path = format!("{}/{}/{}?{query}", base.path().trim_end_matches('/'), self.group, self.plural);
        let mut request = Request::get(path)
            .header(header::HOST, format!("{host}:{port}"))
            .header(header::ACCEPT, "application/json")
            .header(header::USER_AGENT, concat!("e2egraph/", env!("CARGO_PKG_VERSION")))
            .body(Empty::<Bytes>::new())
            .map_err(|e| Ended::Broken(e.to_string()))?;
        let token = match &self.access.token {
            Token::None => None,
            Token::Is(token) => Some(token.clone()),
            Token::In(file) => Some(
                tokio::fs::read_to_string(file)
                    .await
                    .map_err(|e| Ended::Refused(format!("reading the token in {}: {e}", file.display())))?,
            ),
        };
        if let Some(token) = token {
            let mut value = HeaderValue::try_from(format!("Bearer {}", token.trim()))
                .map_err(|_| Ended::Refused("the token is no header value".to_owned()))?;
            value.set_sensitive(true);
            request.headers_mut().insert(header::AUTHORIZATION, value);
        }
        match &self.access.tls {
            None => send(stream, request).await,
            Some((config, name)) => {
                let connector = tokio_rustls::TlsConnector::from(Arc::clone(config));
                let stream = connector.connect(name.clone(), stream).await;
                send(stream.map_err(|e| Ended::Broken(format!("TLS with {host}:{port}: {e}")))?, request)
                    .await
            }
        }
    }

    /// Hands documents over, and again while the server is busy: what follows waits meanwhile, unread.
    async fn hand_over(&self, batch: &mut Vec<u8>) {
        if batch.is_empty() {
            return;
        }
        let body = Bytes::from(std::mem::take(batch));
        let mut pause = BACKOFF.0;
        loop {
            let outcome = match self.receiver.held(body.clone()) {
                Ok(held) => {
                    let delivery = Delivery {
                        feed: "kubernetes".to_owned(),
                        form: Form::Lines,
                        around: BTreeMap::new(),
                    };
                    self.receiver.accept(Wire::Feed(Arc::new(delivery)), held).await
                }
                Err(trouble) => Err(trouble),
            };
            self.receiver.count("kubernetes", &outcome);
            match outcome {
                Err(Trouble::Busy(_) | Trouble::Unwritten(_)) => {
                    sleep(pause).await;
                    pause = (pause * 2).min(BACKOFF.1);
                }
                Err(trouble) => return note(&format!("changes of {} were left out: {trouble}", self.plural)),
                Ok(_) => return,
            }
        }
    }
}

async fn send(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: Request<Empty<Bytes>>,
) -> Result<http::Response<Incoming>, Ended> {
    let broken = |e: hyper::Error| Ended::Broken(format!("the connection broke off: {e}"));
    let (mut sender, connection) = handshake(TokioIo::new(stream)).await.map_err(broken)?;
    // It ends when the answer's body is dropped; how, the body says.
    tokio::spawn(async move { drop(connection.await) });
    sender.send_request(request).await.map_err(broken)
}

fn add(batch: &mut Vec<u8>, document: &Value) {
    batch.extend_from_slice(document.to_string().as_bytes());
    batch.push(b'\n');
}

/// Takes out what is not to be kept.
fn without(value: &mut Value) {
    match value {
        Value::Object(o) => {
            o.retain(|name, _| !LEFT_OUT.contains(&name.as_str()));
            o.values_mut().for_each(without);
        }
        Value::Array(all) => all.iter_mut().for_each(without),
        _ => {}
    }
}

/// A value of a query, percent-encoded.
fn encoded(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    text.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_hold_secrets_is_left_out() {
        let mut pod = json!({
            "metadata": {"name": "a", "managedFields": [1], "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "x", "b": "c"}},
            "spec": {"containers": [{"name": "c", "image": "i", "env": [{"name": "PASSWORD", "value": "hunter2"}]}]}
        });
        without(&mut pod);
        let wanted = json!({
            "metadata": {"name": "a", "annotations": {"b": "c"}},
            "spec": {"containers": [{"name": "c", "image": "i"}]}
        });
        assert_eq!(pod, wanted);
    }

    #[test]
    fn a_token_to_go_on_with_is_encoded() {
        assert_eq!(encoded("eyJ2+/=="), "eyJ2%2B%2F%3D%3D");
    }
}
