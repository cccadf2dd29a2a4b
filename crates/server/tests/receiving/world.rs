//! The receivers on real ports, and the clients that speak to them.

use axum::Router;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use ontology::{Ontology, Time};
use server::limits::Limits;
use server::listen::Port;
use server::otlp_http::Origins;
use server::{
    Intake, Receipt, Receiver, Refusal, Secrets, SetAside, Wire, atlas, elastic, feeds, loki, otlp_grpc,
    otlp_http, remote_write, zipkin,
};
use std::io::Write;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;

/// Keeps what it gets, and answers as the first byte asks.
#[derive(Default)]
pub(crate) struct Memory(pub(crate) Mutex<Vec<(Wire, Bytes)>>);

impl Intake for Memory {
    fn ontology(&self) -> Arc<Ontology> {
        Arc::new(Ontology::builtin())
    }

    fn accept(&self, wire: Wire, body: Bytes, recorded: Time) -> BoxFuture<'_, Result<Receipt, Refusal>> {
        assert!(recorded > Time::EPOCH);
        Box::pin(async move {
            match body[0] {
                b'!' => return Err(Refusal::Malformed("it makes no sense".to_owned())),
                b'b' => return Err(Refusal::Busy("queue".to_owned())),
                b'd' => return Err(Refusal::Unwritten("the disk is full".to_owned())),
                b'P' => panic!("a planned failure"),
                b's' => tokio::time::sleep(Duration::from_millis(300)).await,
                _ => {}
            }
            let mut receipt = Receipt { items: 10, ..Receipt::default() };
            if body[0] == b'3' {
                receipt.rejected = 3;
                let (reason, detail) = ("too odd".to_owned(), "field x".to_owned());
                receipt.reasons.push(SetAside { reason, items: 3, detail, rejected: true });
                let (reason, detail) = ("in part: odd".to_owned(), "field y".to_owned());
                receipt.reasons.push(SetAside { reason, items: 2, detail, rejected: false });
            }
            self.0.lock().unwrap().push((wire, body));
            Ok(receipt)
        })
    }
}

pub(crate) struct World {
    pub(crate) memory: Arc<Memory>,
    pub(crate) receiver: Receiver,
    pub(crate) grpc: SocketAddr,
    pub(crate) otlp: SocketAddr,
    pub(crate) main: SocketAddr,
    pub(crate) stop: watch::Sender<bool>,
    pub(crate) servers: Vec<tokio::task::JoinHandle<()>>,
}

pub(crate) async fn world(limits: Limits) -> World {
    let memory = Arc::new(Memory::default());
    let receiver = Receiver::new(memory.clone(), limits.clone());
    let (stop, stopped) = watch::channel(false);
    let mut servers = Vec::new();
    let mut serve = async |router: Router| {
        let port = Port::open("127.0.0.1:0".parse().unwrap(), "a test", "--port").await.unwrap();
        let addr = port.addr().unwrap();
        servers.push(tokio::spawn(port.serve(router, limits.clone(), stopped.clone())));
        addr
    };
    let grpc = serve(otlp_grpc::routes(receiver.clone())).await;
    let otlp = serve(otlp_http::routes(receiver.clone(), Origins::Loopback)).await;
    let main = feeds::routes(receiver.clone(), Secrets::default())
        .merge(remote_write::routes(receiver.clone()))
        .merge(atlas::routes(receiver.clone()))
        .merge(zipkin::routes(receiver.clone()))
        .merge(loki::routes(receiver.clone()))
        .merge(elastic::routes(receiver.clone()));
    let main = serve(main).await;
    World { memory, receiver, grpc, otlp, main, stop, servers }
}

impl World {
    pub(crate) fn got(&self) -> Vec<(Wire, Bytes)> {
        std::mem::take(&mut self.memory.0.lock().unwrap())
    }

    /// Waits until a request is in memory.
    pub(crate) async fn busy_with(&self, bytes: u64) {
        while self.receiver.memory_in_use() < bytes {
            tokio::task::yield_now().await;
        }
    }
}

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// Status and `Retry-After`.
    pub(crate) fn retry(&self) -> (u16, Option<&str>) {
        (self.status.as_u16(), self.headers.get("retry-after").map(|v| v.to_str().unwrap()))
    }
}

pub(crate) async fn send<B>(request: Request<B>) -> Answer
where
    B: hyper::body::Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: std::error::Error + Send + Sync,
{
    let client = Client::builder(TokioExecutor::new()).build_http();
    let (head, body) = client.request(request).await.unwrap().into_parts();
    Answer { status: head.status, headers: head.headers, body: body.collect().await.unwrap().to_bytes() }
}

pub(crate) async fn post(
    addr: SocketAddr,
    path: &str,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> Answer {
    let mut request = Request::post(format!("http://{addr}{path}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    send(request.body(Full::new(body.into())).unwrap()).await
}

pub(crate) const JSON: (&str, &str) = ("content-type", "application/json");
pub(crate) const PROTO: (&str, &str) = ("content-type", "application/x-protobuf");
pub(crate) const GZIP: (&str, &str) = ("content-encoding", "gzip");
pub(crate) const ZSTD: (&str, &str) = ("content-encoding", "zstd");

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}
