//! The whole server on its three ports: receivers, feeds, API, pages, figures, and the clock that makes it look.

use crate::intake::{Intake, Receipt, Refusal, Wire};
use crate::limits::Limits;
use crate::listen::{ListenError, Port};
use crate::otlp_http::Origins;
use crate::{Receiver, api, assets, feeds, metrics, otlp_grpc, otlp_http};
use bytes::Bytes;
use engine::Engine;
use futures_util::future::BoxFuture;
use ontology::Time;
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

/// Opens the ports and serves.
///
/// # Errors
/// When a port cannot be had.
pub async fn start(engine: Arc<Engine>, wanted: Addresses) -> Result<Running, ListenError> {
    let http = Port::open(wanted.http, "the web UI and API", "--http").await?;
    let grpc = Port::open(wanted.otlp_grpc, "OTLP/gRPC", "--otlp-grpc").await?;
    let otlp = Port::open(wanted.otlp_http, "OTLP/HTTP", "--otlp-http").await?;
    let addr = |port: &Port, wanted: SocketAddr| port.addr().unwrap_or(wanted);
    let addresses = Addresses {
        http: addr(&http, wanted.http),
        otlp_grpc: addr(&grpc, wanted.otlp_grpc),
        otlp_http: addr(&otlp, wanted.otlp_http),
    };
    let limits = Limits::default();
    let receiver = Receiver::new(Arc::new(IntoEngine(Arc::clone(&engine))), limits.clone());
    let main = feeds::routes(receiver.clone())
        .merge(metrics::routes(Arc::clone(&engine), receiver.clone()))
        .merge(api::routes(Arc::clone(&engine)))
        .merge(assets::routes());
    let (stop, stopped) = watch::channel(false);
    let mut tasks = vec![
        tokio::spawn(http.serve(main, limits.clone(), stopped.clone())),
        tokio::spawn(grpc.serve(otlp_grpc::routes(receiver.clone()), limits.clone(), stopped.clone())),
        tokio::spawn(otlp.serve(otlp_http::routes(receiver, Origins::default()), limits, stopped.clone())),
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
            Ok(Err(e)) => eprintln!("e2egraph: looking for regressions: {e}"),
            Err(e) => eprintln!("e2egraph: looking for regressions ended in a panic: {e}"),
        }
    }
}

struct IntoEngine(Arc<Engine>);

impl Intake for IntoEngine {
    fn accept(&self, wire: Wire, body: Bytes, recorded: Time) -> BoxFuture<'_, Result<Receipt, Refusal>> {
        Box::pin(self.0.accept(wire, body, recorded))
    }
}
