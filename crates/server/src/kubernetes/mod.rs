//! Watches a Kubernetes cluster: lists its nodes, workloads, pods, services and events, then follows their changes, and hands each to
//! the intake as a document `{type, object}` of the feed `kubernetes`.
//!
//! The list and watch protocol is spoken here on hyper and rustls. The `kube` crate does it too, but a program of
//! nothing else takes 203 CPU seconds to build (kube 5.0.0, client and runtime, rustls with ring; 2 cores), most of it not shared with
//! this one, for what is one request and a stream of lines.

mod access;
mod api;

use crate::Receiver;
use crate::intake::{Delivery, Form, Wire};
use crate::receive::Trouble;
use crate::serve::note;
use access::Access;
use api::{Collection, Ended, encoded};
use bytes::Bytes;
use http_body_util::BodyExt as _;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout_at};

pub use access::AccessError;

/// A cluster that can be watched.
pub struct Kubernetes {
    access: Arc<Access>,
    /// What its documents call it.
    name: Option<String>,
}

const NAMESPACES: Collection = of("api/v1", "namespaces", "Namespace");

/// What is watched. Autoscalers are asked for as version 1, which every version of Kubernetes has and which says all that is read.
const KINDS: [Collection; 12] = [
    of("api/v1", "nodes", "Node"),
    NAMESPACES,
    of("apis/apps/v1", "deployments", "Deployment"),
    of("apis/apps/v1", "statefulsets", "StatefulSet"),
    of("apis/apps/v1", "daemonsets", "DaemonSet"),
    of("apis/apps/v1", "replicasets", "ReplicaSet"),
    of("apis/batch/v1", "jobs", "Job"),
    of("apis/autoscaling/v1", "horizontalpodautoscalers", "HorizontalPodAutoscaler"),
    of("apis/argoproj.io/v1alpha1", "rollouts", "Rollout"),
    of("api/v1", "services", "Service"),
    of("api/v1", "pods", "Pod"),
    of("api/v1", "events", "Event"),
];

const fn of(group: &'static str, plural: &'static str, kind: &'static str) -> Collection {
    Collection { group, plural, kind }
}

/// Objects asked for at once; what kubectl asks for.
const PAGE: u32 = 500;
/// How long the API server keeps one watch; less than the five to ten minutes after which it ends it by itself.
const WATCH_SECONDS: u64 = 240;
/// A watch that is silent for longer than it was asked to last is dead.
const SILENT: Duration = Duration::from_secs(WATCH_SECONDS + 30);
/// Changes are handed over together when this many bytes of them came, or when none came for a while.
const BATCH: usize = 256 << 10;
const LULL: Duration = Duration::from_millis(200);
/// Between attempts: doubled from the first to the last.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(60));
/// How often the namespace `kube-system` is asked for when it may not be seen or is not there: an API server that has just started says
/// 403 of everything for a moment (seen with kube-apiserver 1.20.2), and a new cluster has no namespaces yet.
const NAMELESS: u32 = 4;
/// When a kind that the API does not have is asked for again: somebody may install it.
const ABSENT: Duration = Duration::from_secs(600);

/// Members that are left out at any depth: they are large, or may hold secrets, and say nothing that is read.
const LEFT_OUT: [&str; 4] =
    ["managedFields", "env", "envFrom", "kubectl.kubernetes.io/last-applied-configuration"];

impl Kubernetes {
    /// The cluster of a kubeconfig file; without one that of the pod this runs in, of `KUBECONFIG`, or of `~/.kube/config`. Its
    /// documents call it `name`.
    ///
    /// # Errors
    /// When no file says where it is and how to be let in.
    pub fn find(file: Option<&Path>, name: Option<String>) -> Result<Kubernetes, AccessError> {
        Ok(Kubernetes { access: Arc::new(Access::find(file)?), name })
    }

    /// Watches until the server stops.
    pub(crate) async fn watch(self, receiver: Receiver, mut stopped: watch::Receiver<bool>) {
        tokio::select! {
            _ = stopped.wait_for(|s| *s) => {}
            () = self.follow(receiver) => {}
        }
    }

    /// Follows all kinds; dropping this ends them.
    async fn follow(self, receiver: Receiver) {
        let around = Arc::new(self.around(&receiver).await);
        let mut kinds = JoinSet::new();
        for collection in KINDS {
            let follower = Follower {
                access: Arc::clone(&self.access),
                receiver: receiver.clone(),
                around: Arc::clone(&around),
                collection,
                known: BTreeMap::new(),
                version: String::new(),
            };
            kinds.spawn(follower.run());
        }
        while kinds.join_next().await.is_some() {}
    }

    /// Which cluster it is, as the parameters `cluster` and `cluster_uid` of a feed's address say it.
    async fn around(&self, receiver: &Receiver) -> BTreeMap<String, String> {
        let name = self.name.clone().map(|name| ("query.cluster".to_owned(), name));
        let uid = self.uid(receiver).await.map(|uid| ("query.cluster_uid".to_owned(), uid));
        name.into_iter().chain(uid).collect()
    }

    /// The cluster's uid; `None` when it may not be seen. What is told before it is known would be of another cluster, so everything
    /// else waits for it.
    async fn uid(&self, receiver: &Receiver) -> Option<String> {
        let (mut pause, mut said, mut missing) = (BACKOFF.0, String::new(), 0);
        loop {
            let why = match self.kube_system(receiver).await {
                Ok(uid) => return Some(uid),
                Err(why) => why,
            };
            let text = why.to_string();
            match why {
                Ended::Absent(_) | Ended::Forbidden(_) if missing < NAMELESS => missing += 1,
                Ended::Absent(_) | Ended::Forbidden(_) => {
                    note(&format!("watching {} without the cluster's uid: {text}", self.access.base));
                    return None;
                }
                _ if text == said => {}
                _ => {
                    note(&format!("watching {}: {text}; trying again", self.access.base));
                    said = text;
                }
            }
            sleep(pause).await;
            pause = (pause * 2).min(BACKOFF.1);
        }
    }

    /// The uid of the namespace `kube-system`. It is listed, not read, which needs no further right.
    async fn kube_system(&self, receiver: &Receiver) -> Result<String, Ended> {
        let most = receiver.limits().request_body_bytes;
        let query = "fieldSelector=metadata.name%3Dkube-system&limit=1";
        let list = self.access.page(&NAMESPACES, query, most).await?;
        let uid = list.pointer("/items/0/metadata/uid").and_then(Value::as_str);
        uid.map(str::to_owned).ok_or(Ended::Absent("namespace kube-system"))
    }
}

/// Follows one kind.
struct Follower {
    access: Arc<Access>,
    receiver: Receiver,
    /// Which cluster, for its documents.
    around: Arc<BTreeMap<String, String>>,
    collection: Collection,
    /// What was there, by uid: what a new list lacks was deleted meanwhile, each container of a pod with it.
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
                note(&format!(
                    "watching {} of {}: {text}; trying again",
                    self.collection.plural, self.access.base
                ));
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
        let mut body = self.access.ask(&self.collection, &query).await?;
        let (mut line, mut batch) = (Vec::new(), Batch::default());
        loop {
            let lull = if batch.lines.is_empty() { SILENT } else { LULL };
            let frame = match timeout_at(Instant::now() + lull, body.frame()).await {
                Err(_) if batch.lines.is_empty() => {
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
                    Ok(Some(change)) => {
                        if batch.has(&change) {
                            self.hand_over(&mut batch).await;
                        }
                        batch.add(&change);
                    }
                    Ok(None) => {}
                    Err(e) => {
                        self.hand_over(&mut batch).await;
                        return Err(e);
                    }
                }
                if batch.lines.len() >= BATCH {
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
            let version = self.collection.group.trim_start_matches("apis/").trim_start_matches("api/");
            o.entry("apiVersion").or_insert_with(|| version.into());
            o.entry("kind").or_insert_with(|| self.collection.kind.into());
        }
        let most = self.receiver.limits().kubernetes_known_objects;
        if let Some(uid) = object.pointer("/metadata/uid").and_then(Value::as_str) {
            if change == "DELETED" {
                self.known.remove(uid);
            } else if (self.known.len() as u64) < most {
                self.known.insert(uid.to_owned(), gist(&object));
            }
        }
        json!({"type": change, "object": object})
    }

    /// Tells of everything that is there, and of what is no more.
    async fn list(&mut self) -> Result<(), Ended> {
        let mut gone = std::mem::take(&mut self.known);
        let (mut next, mut batch) = (String::new(), Batch::default());
        let most = self.receiver.limits().request_body_bytes;
        loop {
            let query = match next.as_str() {
                "" => format!("limit={PAGE}"),
                next => format!("limit={PAGE}&continue={}", encoded(next)),
            };
            let mut page = self.access.page(&self.collection, &query, most).await.inspect_err(|_| {
                // What was known still is, until a whole list says otherwise.
                self.known.append(&mut gone);
            })?;
            let items = match page.get_mut("items").map(Value::take) {
                Some(Value::Array(items)) => items,
                _ => Vec::new(),
            };
            for item in items {
                let document = self.document("ADDED", item);
                batch.add(&document);
                if batch.lines.len() >= BATCH {
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
        for (uid, gist) in gone {
            if !self.known.contains_key(&uid) {
                let document = self.document("DELETED", gist);
                batch.add(&document);
            }
        }
        self.hand_over(&mut batch).await;
        if self.version.is_empty() {
            return Err(Ended::Broken("the list has no resourceVersion to go on from".to_owned()));
        }
        Ok(())
    }

    /// Hands documents over, and again while the server is busy: what follows waits meanwhile, unread.
    async fn hand_over(&self, batch: &mut Batch) {
        if batch.lines.is_empty() {
            return;
        }
        let body = Bytes::from(std::mem::take(batch).lines);
        let mut pause = BACKOFF.0;
        loop {
            let outcome = match self.receiver.held(body.clone()) {
                Ok(held) => {
                    let delivery = Delivery {
                        feed: "kubernetes".to_owned(),
                        form: Form::Lines,
                        around: self.around.as_ref().clone(),
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
                Err(trouble) => {
                    return note(&format!("changes of {} were left out: {trouble}", self.collection.plural));
                }
                Ok(_) => return,
            }
        }
    }
}

/// Changes to be handed over together, so told at one time: which of two states of an object is the later could not be seen then, and no
/// object stands in it twice.
#[derive(Default)]
struct Batch {
    lines: Vec<u8>,
    uids: BTreeSet<String>,
}

impl Batch {
    fn has(&self, document: &Value) -> bool {
        uid(document).is_some_and(|uid| self.uids.contains(uid))
    }

    fn add(&mut self, document: &Value) {
        self.lines.extend_from_slice(document.to_string().as_bytes());
        self.lines.push(b'\n');
        self.uids.extend(uid(document).map(str::to_owned));
    }
}

fn uid(document: &Value) -> Option<&str> {
    document.pointer("/object/metadata/uid")?.as_str()
}

/// What a later deletion needs of an object that cannot be asked for any more: by what it is known in the graph.
fn gist(object: &Value) -> Value {
    let of = |name: &str| object.pointer(name).cloned().unwrap_or_default();
    let mut gist = json!({"metadata": {
        "uid": of("/metadata/uid"), "name": of("/metadata/name"), "namespace": of("/metadata/namespace"),
    }});
    if let Some(provider) = object.pointer("/spec/providerID") {
        gist["spec"] = json!({"providerID": provider});
    }
    if let Some(Value::Array(containers)) = object.pointer("/spec/containers") {
        let names: Vec<Value> = containers.iter().map(|c| json!({"name": c.get("name")})).collect();
        gist["spec"] = json!({"containers": names});
    }
    gist
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
    fn a_deletion_that_was_missed_still_names_the_containers_of_the_pod() {
        let pod = json!({"metadata": {"name": "a", "namespace": "n", "uid": "u", "labels": {"x": "y"}},
            "spec": {"nodeName": "w", "containers": [{"name": "c", "image": "i"}, {"name": "d"}]}});
        let metadata = json!({"name": "a", "namespace": "n", "uid": "u"});
        assert_eq!(
            gist(&pod),
            json!({"metadata": metadata, "spec": {"containers": [{"name": "c"}, {"name": "d"}]}})
        );
        let node = json!({"metadata": metadata, "spec": {"providerID": "aws:///z/i-1", "podCIDR": "x"}});
        assert_eq!(gist(&node), json!({"metadata": metadata, "spec": {"providerID": "aws:///z/i-1"}}));
    }
}
