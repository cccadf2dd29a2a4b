//! The whole server on its three ports: receivers, feeds, API, pages, figures, and the clock that makes it look.

use crate::intake::{Intake, Receipt, Refusal, Wire};
use crate::limits::Limits;
use crate::listen::{ListenError, Port};
use crate::otlp_http::Origins;
use crate::{Receiver, api, assets, feeds, metrics, otlp_grpc, otlp_http};
use axum::body::Body;
use axum::extract::State;
use axum::middleware::map_response_with_state;
use axum::response::Response;
use bytes::Bytes;
use engine::Engine;
use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use http::{Method, StatusCode, Uri, header};
use ontology::Time;
use serde_json::json;
use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
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
}

/// A server that runs.
pub struct Running {
    engine: Arc<Engine>,
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

    /// Takes no more requests, finishes those in flight, ends.
    pub async fn stop(self) {
        // Everyone may be gone already.
        let _ = self.stop.send(true);
        for task in self.tasks {
            let _ = task.await;
        }
    }
}

/// Opens the ports and serves; `origins` are the web pages that may send OTLP.
///
/// # Errors
/// When a port cannot be had.
pub async fn start(engine: Arc<Engine>, wanted: Addresses, origins: Origins) -> Result<Running, ListenError> {
    let http = Port::open(wanted.http, "the web UI and API", "--http").await?;
    let grpc = Port::open(wanted.otlp_grpc, "OTLP/gRPC", "--otlp-grpc").await?;
    let otlp = Port::open(wanted.otlp_http, "OTLP/HTTP", "--otlp-http").await?;
    let addr = |port: &Port, wanted: SocketAddr| port.addr().unwrap_or(wanted);
    let addresses = Addresses {
        http: addr(&http, wanted.http),
        otlp_grpc: addr(&grpc, wanted.otlp_grpc),
        otlp_http: addr(&otlp, wanted.otlp_http),
    };
    let connections = [("http", &http), ("otlp_grpc", &grpc), ("otlp_http", &otlp)]
        .map(|(name, port)| (name, port.connections()));
    let limits = Limits::default();
    let receiver = Receiver::new(Arc::new(IntoEngine(Arc::clone(&engine))), limits.clone());
    let (stop, stopped) = watch::channel(false);
    let main = feeds::routes(receiver.clone())
        .merge(metrics::routes(Arc::clone(&engine), receiver.clone(), connections))
        .merge(api::routes(Arc::clone(&engine)))
        .merge(assets::routes())
        .fallback(nowhere)
        .method_not_allowed_fallback(wrong_method)
        .layer(map_response_with_state(stopped.clone(), until_stopped));
    let mut tasks = vec![
        tokio::spawn(http.serve(main, limits.clone(), stopped.clone())),
        tokio::spawn(grpc.serve(otlp_grpc::routes(receiver.clone()), limits.clone(), stopped.clone())),
        tokio::spawn(otlp.serve(otlp_http::routes(receiver, origins), limits, stopped.clone())),
    ];
    tasks.push(tokio::spawn(look(Arc::clone(&engine), stopped)));
    Ok(Running { engine, addresses, stop, tasks })
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
fn note(text: &str) {
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

struct IntoEngine(Arc<Engine>);

impl Intake for IntoEngine {
    fn accept(&self, wire: Wire, body: Bytes, recorded: Time) -> BoxFuture<'_, Result<Receipt, Refusal>> {
        Box::pin(self.0.accept(wire, body, recorded))
    }
}
