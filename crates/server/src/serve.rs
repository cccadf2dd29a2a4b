//! The whole server on its three ports: receivers, feeds, API, pages, figures, and the clock that makes it look.

use crate::api::Operator;
use crate::history::History;
use crate::hosts::{Door, Hosts, known_host};
use crate::intake::{Intake, Receipt, Refusal, Wire};
use crate::kubernetes::Kubernetes;
use crate::limits::Limits;
use crate::listen::{ListenError, Port};
use crate::otlp_http::Origins;
use crate::scrape::{self, Target};
use crate::signature::Secrets;
use crate::statsd::Lines;
use crate::syslog::Syslog;
use crate::{
    Receiver, api, assets, atlas, checkpoint, elastic, feeds, loki, metrics, otlp_grpc, otlp_http,
    remote_write, zipkin,
};
use axum::body::Body;
use axum::extract::State;
use axum::middleware::{from_fn_with_state, map_response_with_state};
use axum::response::Response;
use bytes::Bytes;
use engine::Engine;
use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use http::{Method, StatusCode, Uri, header};
use ontology::{Ontology, Time};
use serde_json::json;
use std::io::Write as _;
use std::net::SocketAddr;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;

/// How often the engine looks at what came. A look costs nothing when no minute has passed in the telemetry.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Where to listen; port 0 asks for a free one.
#[derive(Clone, Copy, Debug)]
pub struct Addresses {
    /// Web UI, API, feeds.
    pub http: SocketAddr,
    /// OTLP over gRPC.
    pub otlp_grpc: SocketAddr,
    /// OTLP over HTTP.
    pub otlp_http: SocketAddr,
    /// Syslog over UDP and TCP, when it is wanted.
    pub syslog: Option<SocketAddr>,
}

/// A server that runs.
pub struct Running {
    engine: Arc<Engine>,
    receiver: Receiver,
    addresses: Addresses,
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

impl Running {
    /// The engine behind it.
    pub fn engine(&self) -> Arc<Engine> {
        Arc::clone(&self.engine)
    }

    /// Where it listens.
    pub fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// Takes StatsD at a UDP address; the address, with the port that was given when port 0 was asked for.
    ///
    /// # Errors
    /// When the port cannot be had.
    pub async fn take_statsd(&mut self, wanted: SocketAddr) -> Result<SocketAddr, ListenError> {
        let lines = Lines::open(wanted).await?;
        let addr = lines.addr().unwrap_or(wanted);
        self.tasks.extend(lines.serve(self.receiver.clone(), self.stop.subscribe()));
        Ok(addr)
    }

    /// Reads `/metrics` of others every so often.
    pub fn scrape(&mut self, targets: &[Target], every: Duration) {
        let start =
            |t: &Target| scrape::start(t.clone(), every, self.receiver.clone(), self.stop.subscribe());
        self.tasks.extend(targets.iter().take(scrape::TARGETS).map(start));
    }

    /// Takes no more requests, finishes those in flight, ends.
    pub async fn stop(self) {
        // Everyone may be gone already.
        let _ = self.stop.send(true);
        for task in self.tasks {
            let _ = task.await;
        }
        checkpoint::last(&self.engine).await;
    }
}

/// What a server is started with.
pub struct Settings {
    /// Where it listens.
    pub addresses: Addresses,
    /// Which web pages may send telemetry.
    pub origins: Origins,
    /// The names that the main port answers to.
    pub hosts: Hosts,
    /// What signed feeds are checked with.
    pub secrets: Secrets,
    /// Where a new ontology and new keys come from.
    pub operator: Operator,
    /// A cluster to watch.
    pub kubernetes: Option<Kubernetes>,
    /// What keeps history and answers SQL.
    pub history: Option<Arc<dyn History>>,
}

/// Opens the ports and serves.
///
/// # Errors
/// When a port cannot be had.
pub async fn start(engine: Arc<Engine>, settings: Settings) -> Result<Running, ListenError> {
    let Settings { addresses: wanted, origins, hosts, secrets, operator, kubernetes, history } = settings;
    let http = Port::open(wanted.http, "the web UI and API", "--http").await?;
    let grpc = Port::open(wanted.otlp_grpc, "OTLP/gRPC", "--otlp-grpc").await?;
    let otlp = Port::open(wanted.otlp_http, "OTLP/HTTP", "--otlp-http").await?;
    let syslog = match wanted.syslog {
        Some(addr) => Some(Syslog::open(addr).await?),
        None => None,
    };
    let addr = |port: &Port, wanted: SocketAddr| port.addr().unwrap_or(wanted);
    let addresses = Addresses {
        http: addr(&http, wanted.http),
        otlp_grpc: addr(&grpc, wanted.otlp_grpc),
        otlp_http: addr(&otlp, wanted.otlp_http),
        syslog: syslog.as_ref().and_then(|s| s.addr().ok()).or(wanted.syslog),
    };
    let connections = [("http", &http), ("otlp_grpc", &grpc), ("otlp_http", &otlp)]
        .map(|(name, port)| (name, port.connections()));
    let limits = Limits::default();
    let receiver = Receiver::new(Arc::new(IntoEngine::new(Arc::clone(&engine))), limits.clone());
    let (stop, stopped) = watch::channel(false);
    let door = Door { hosts, bound: addresses.http.ip(), receiver: receiver.clone() };
    let main = feeds::routes(receiver.clone(), secrets)
        .merge(remote_write::routes(receiver.clone()))
        .merge(atlas::routes(receiver.clone()))
        .merge(zipkin::routes(receiver.clone()))
        .merge(loki::routes(receiver.clone()))
        .merge(elastic::routes(receiver.clone()))
        .merge(metrics::routes(Arc::clone(&engine), receiver.clone(), connections, history.clone()))
        .merge(api::routes(Arc::clone(&engine), operator, history))
        .merge(assets::routes())
        .fallback(nowhere)
        .method_not_allowed_fallback(wrong_method)
        .layer(map_response_with_state(stopped.clone(), until_stopped))
        .layer(from_fn_with_state(door, known_host));
    let syslog = syslog.map(|s| tokio::spawn(s.serve(receiver.clone(), stopped.clone())));
    let mut tasks = vec![
        tokio::spawn(http.serve(main, limits.clone(), stopped.clone())),
        tokio::spawn(grpc.serve(otlp_grpc::routes(receiver.clone()), limits.clone(), stopped.clone())),
        tokio::spawn(otlp.serve(otlp_http::routes(receiver.clone(), origins), limits, stopped.clone())),
    ];
    tasks.extend(syslog);
    tasks.extend(kubernetes.map(|k| tokio::spawn(k.watch(receiver.clone(), stopped.clone()))));
    tasks.push(tokio::spawn(look(Arc::clone(&engine), stopped.clone())));
    tasks.push(tokio::spawn(checkpoint::keep(Arc::clone(&engine), stopped)));
    Ok(Running { engine, receiver, addresses, stop, tasks })
}

async fn look(engine: Arc<Engine>, mut stopped: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            _ = stopped.wait_for(|s| *s) => return,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
        let engine = Arc::clone(&engine);
        match tokio::task::spawn_blocking(move || engine.tick(false)).await {
            Ok(Ok(_)) => {}
            Ok(Err(e)) => note(&format!("looking for regressions: {e}")),
            Err(e) => note(&format!("looking for regressions ended in a panic: {e}")),
        }
    }
}

/// Tells the operator something. A standard error that nobody reads any more must not end the looking, as `eprintln!` would.
pub(crate) fn note(text: &str) {
    let _ = writeln!(std::io::stderr(), "e2egraph: {text}");
}

/// Ends streams of events when the server stops. They have no end of their own, so an open page would hold the server up until
/// `shutdown_seconds` are over.
async fn until_stopped(State(mut stopped): State<watch::Receiver<bool>>, response: Response) -> Response {
    let streams = response.headers().get(header::CONTENT_TYPE).is_some_and(|t| t == "text/event-stream");
    if !streams {
        return response;
    }
    response.map(|body| {
        let end = async move {
            // A sender that is gone stops us too.
            let _ = stopped.wait_for(|stop| *stop).await;
        };
        Body::from_stream(body.into_data_stream().take_until(Box::pin(end)))
    })
}

async fn nowhere(uri: Uri) -> (StatusCode, axum::Json<serde_json::Value>) {
    let error = format!("there is nothing at {}; the web UI is at /, the API under /api/v1", uri.path());
    (StatusCode::NOT_FOUND, axum::Json(json!({ "error": error })))
}

async fn wrong_method(method: Method, uri: Uri) -> (StatusCode, axum::Json<serde_json::Value>) {
    let error = format!("{} does not answer to {method}; feeds take POST, everything else GET", uri.path());
    (StatusCode::METHOD_NOT_ALLOWED, axum::Json(json!({ "error": error })))
}

/// A body of at most so many bytes is read and folded where it came in: some milliseconds, less than others may wait for the
/// thread. Larger ones are read and folded beside the threads that answer others.
const INLINE: usize = 256 << 10;
/// Large bodies read at once. Beyond: they wait. Few, because each keeps a processor busy, and `request_memory_bytes` bounds those
/// that wait.
pub(crate) const LARGE_READERS: usize = 4;

struct IntoEngine {
    engine: Arc<Engine>,
    readers: Semaphore,
    /// One at a time: more would only keep threads waiting for the graph.
    folder: Semaphore,
}

impl IntoEngine {
    fn new(engine: Arc<Engine>) -> IntoEngine {
        IntoEngine { engine, readers: Semaphore::new(LARGE_READERS), folder: Semaphore::new(1) }
    }

    async fn take(&self, wire: Wire, body: Bytes, recorded: Time) -> Result<Receipt, Refusal> {
        let large = body.len() > INLINE;
        let understood = if large {
            self.beside(&self.readers, move |engine| engine.read(wire, body, recorded)).await??
        } else {
            self.engine.read(wire, body, recorded)?
        };
        self.engine.keep(&understood).await?;
        // Small as it is, it would wait for a large one that is being folded.
        let folded = if large { None } else { self.engine.try_fold(&understood) };
        match folded {
            Some(receipt) => Ok(receipt),
            None => self.beside(&self.folder, move |engine| engine.fold(&understood)).await,
        }
    }

    /// Runs what may take long beside the threads that answer others.
    async fn beside<T: Send + 'static>(
        &self,
        turns: &Semaphore,
        work: impl FnOnce(&Engine) -> T + Send + 'static,
    ) -> Result<T, Refusal> {
        // They are never closed.
        let _turn = turns.acquire().await;
        let engine = Arc::clone(&self.engine);
        let ended = tokio::task::spawn_blocking(move || work(&engine)).await;
        ended.map_err(|e| match e.try_into_panic() {
            Ok(panic) => resume_unwind(panic),
            Err(_) => Refusal::Busy("the server is stopping".to_owned()),
        })
    }
}

impl Intake for IntoEngine {
    fn accept(&self, wire: Wire, body: Bytes, recorded: Time) -> BoxFuture<'_, Result<Receipt, Refusal>> {
        Box::pin(self.take(wire, body, recorded))
    }

    fn ontology(&self) -> Arc<Ontology> {
        self.engine.ontology()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::{LostHashKey, Options};
    use futures_util::FutureExt as _;

    fn engine() -> (Arc<Engine>, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let options = Options {
            data: folder.path().to_owned(),
            limits: graph::Limits::default(),
            keep_log: engine::KeepLog::default(),
            new_hash_key: [7; 32],
            lost_hash_key: LostHashKey::Refuse,
        };
        let (engine, _) = Engine::open(&options, Arc::new(Ontology::builtin()), |_| {}).unwrap();
        (Arc::new(engine), folder)
    }

    fn settings(addresses: Addresses, hosts: Hosts) -> Settings {
        Settings {
            addresses,
            origins: Origins::Loopback,
            hosts,
            secrets: Secrets::default(),
            kubernetes: None,
            history: None,
            operator: Operator {
                ontology: Arc::new(|| Ok(Ontology::builtin())),
                hash_key: Arc::new(|| Ok([8; 32])),
            },
        }
    }

    /// Requests to start services, as many as asked for.
    fn spans(count: usize) -> Bytes {
        let span = |i: usize| {
            json!({"traceId": format!("{:032x}", i + 1), "spanId": format!("{:016x}", i + 1), "name": "work", "kind": 2,
                "startTimeUnixNano": "1795500000000000000", "endTimeUnixNano": "1795500000001000000",
                "attributes": [{"key": "http.route", "value": {"stringValue": "/work"}}]})
        };
        let spans: Vec<_> = (0..count).map(span).collect();
        let service = json!([{"key": "service.name", "value": {"stringValue": "s"}}]);
        json!({"resourceSpans": [{"resource": {"attributes": service}, "scopeSpans": [{"spans": spans}]}]})
            .to_string()
            .into()
    }

    #[tokio::test]
    async fn a_large_body_is_not_read_on_the_thread_that_answers_others() {
        let (engine, _folder) = engine();
        let intake = IntoEngine::new(engine);
        let now = Time::EPOCH.plus_secs(1_795_500_001);
        let broken = |bytes: usize| Bytes::from(vec![b'x'; bytes]);
        // Nobody reads beside that thread as long as all who would are busy.
        let busy = intake.readers.acquire_many(u32::try_from(LARGE_READERS).unwrap()).await.unwrap();
        let mut large = intake.accept(Wire::TracesJson, broken(INLINE + 1), now);
        assert!((&mut large).now_or_never().is_none());
        let small = intake.accept(Wire::TracesJson, broken(INLINE), now).now_or_never();
        assert!(matches!(small, Some(Err(Refusal::Malformed(_)))), "{small:?}");
        assert!((&mut large).now_or_never().is_none());
        drop(busy);
        assert!(matches!(large.await, Err(Refusal::Malformed(_))));
    }

    #[tokio::test]
    async fn a_large_body_is_kept_and_folded_like_a_small_one() {
        let (engine, folder) = engine();
        let intake = IntoEngine::new(Arc::clone(&engine));
        let now = Time::EPOCH.plus_secs(1_795_500_001);
        let body = spans(2_000);
        assert!(body.len() > INLINE);
        let receipt = intake.accept(Wire::TracesJson, body, now).await.unwrap();
        assert_eq!((receipt.items, receipt.rejected), (2_000, 0));
        let folded = engine.totals();
        assert_eq!(folded.steps, 2_000);
        drop((intake, engine));
        let options = Options {
            data: folder.path().to_owned(),
            limits: graph::Limits::default(),
            keep_log: engine::KeepLog::default(),
            new_hash_key: [7; 32],
            lost_hash_key: LostHashKey::Refuse,
        };
        let (engine, started) = Engine::open(&options, Arc::new(Ontology::builtin()), |_| {}).unwrap();
        assert_eq!((started.replayed, engine.totals().steps), (1, 2_000));
    }

    #[tokio::test]
    async fn every_page_of_the_main_port_answers_to_known_names_only() {
        let (engine, _folder) = engine();
        let any = "127.0.0.1:0".parse().unwrap();
        let wanted = Addresses { http: any, otlp_grpc: any, otlp_http: any, syslog: None };
        let hosts = Hosts::Listed(vec!["graph.example".to_owned()]);
        let settings = settings(wanted, hosts);
        let running = start(engine, settings).await.unwrap();
        let address = running.addresses().http;
        for (path, host, wanted) in [
            ("/healthz", "evil.example:4320", "403"),
            ("/metrics", "evil.example", "403"),
            ("/", "evil.example", "403"),
            ("/api/v1/regressions", "evil.example", "403"),
            ("/nowhere", "evil.example", "403"),
            ("/healthz", "localhost:1", "200"),
            ("/metrics", "127.0.0.1", "200"),
            ("/", "[::1]:4320", "200"),
            ("/api/v1/regressions", "Graph.example:443", "200"),
            ("/nowhere", "localhost", "404"),
        ] {
            let (status, body) = ask(address, &format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n")).await;
            assert_eq!(status, wanted, "{path} {host}: {body}");
            assert!(status != "403" || body.contains("--allow-host"), "{body}");
        }
        assert_eq!(ask(address, "GET /healthz HTTP/1.1\r\n").await.0, "403");
        let both = "GET http://evil.example/healthz HTTP/1.1\r\nHost: localhost\r\n";
        assert_eq!(ask(address, both).await.0, "403");
        running.stop().await;
    }

    /// Waits until a source has told of so many items, and gives what it was refused for.
    async fn told(engine: &Engine, source: &str, items: u64) -> Vec<String> {
        let report = async {
            loop {
                let sources = engine.sources();
                if let Some(s) = sources.iter().find(|s| s.name == source && s.items >= items) {
                    return s.reasons.iter().map(|r| format!("{} × {}", r.items, r.reason)).collect();
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), report).await.unwrap()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn lines_by_udp_and_pages_of_others_come_in_and_what_is_gone_is_told_as_down() {
        let (engine, _folder) = engine();
        let any = "127.0.0.1:0".parse().unwrap();
        let wanted = Addresses { http: any, otlp_grpc: any, otlp_http: any, syslog: None };
        let mut running = start(Arc::clone(&engine), settings(wanted, Hosts::Own)).await.unwrap();
        let statsd = running.take_statsd(any).await.unwrap();
        assert!(matches!(
            running.take_statsd(statsd).await,
            Err(ListenError::InUse { flag: "--statsd", .. })
        ));
        let sender = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
        for line in [
            "a.requests:1|c|#service:cart",
            "a.requests:1|c|#service:cart\na.requests:2|c|#service:cart",
            "bad",
        ] {
            sender.send_to(line.as_bytes(), statsd).await.unwrap();
        }
        let refused = told(&engine, "statsd", 4).await;
        assert_eq!(refused, ["1 × item that cannot be read"]);

        // The server reads its own figures; nobody listens where the other target is, and the third is a page of another kind.
        let own = running.addresses().http;
        let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let targets = [
            format!("own=http://{own}/metrics"),
            format!("gone=http://{gone}"),
            format!("page=http://{own}/healthz"),
        ];
        let targets: Vec<Target> = targets.iter().map(|t| t.parse().unwrap()).collect();
        running.scrape(&targets, Duration::from_millis(50));
        told(&engine, "prometheus", 50).await;
        let look = async |q: &str| {
            let get = format!("GET /api/v1/query?q={q} HTTP/1.1\r\nHost: localhost\r\n");
            ask(own, &get).await.1
        };
        let down = async |of: String| {
            let text = format!(
                "series%20instance.unreachable%20of%20Instance%20%22{of}%22%20between%202020-01-01T00:00:00Z%20and%202100-01-01T00:00:00Z"
            );
            look(&text).await
        };
        let instances = look("find%20Instance").await;
        assert!(instances.contains(&own.to_string()) && instances.contains(&gone.to_string()), "{instances}");
        assert!(down(gone.to_string()).await.contains("\"value\":1.0"), "{}", down(gone.to_string()).await);
        let forms = running.receiver.figures();
        assert!(forms.iter().any(|f| (f.0.as_str(), f.1) == ("scrape", "accepted")), "{forms:?}");
        // Ends in time, with its tasks.
        tokio::time::timeout(Duration::from_secs(20), running.stop()).await.unwrap();
    }

    async fn ask(address: SocketAddr, head: &str) -> (String, String) {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        stream.write_all(format!("{head}Connection: close\r\n\r\n").as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        (answer.split(' ').nth(1).unwrap().to_owned(), answer)
    }
}
