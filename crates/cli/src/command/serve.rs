//! `e2egraph serve`: opens the data folder, then the ports, and runs until it is told to stop.

use crate::args::{Listen, OntologyFrom, Serve};
use crate::exit::Exit;
use crate::progress::Progress;
use crate::rim;
use anyhow::Context as _;
use engine::{Engine, Options};
use server::{Addresses, Running};
use std::path::Path;
use std::sync::Arc;

/// Runs a server until Ctrl-C or SIGTERM.
pub async fn run(args: Serve) -> anyhow::Result<Exit> {
    let running = start(&args.data, &args.listen, &args.ontology).await?;
    let a = running.addresses();
    eprintln!("e2egraph: web UI and API at http://{}", a.http);
    eprintln!("e2egraph: OTLP/gRPC at {}, OTLP/HTTP at http://{}", a.otlp_grpc, a.otlp_http);
    rim::stopped().await;
    eprintln!("e2egraph: stopping");
    running.stop().await;
    Ok(Exit::Done)
}

/// Opens a data folder and the ports.
pub async fn start(data: &Path, listen: &Listen, ontology: &OntologyFrom) -> anyhow::Result<Running> {
    let ontology = Arc::new(rim::ontology(ontology)?);
    let data = data.to_owned();
    let engine = tokio::task::spawn_blocking(move || -> anyhow::Result<Engine> {
        let options = Options { data: data.clone(), limits: graph::Limits::default(), new_hash_key: rim::random_key()? };
        let bar = Progress::new(0, "requests replayed");
        let opened = Engine::open(&options, ontology, |n| bar.at(n, ""));
        bar.end();
        let (engine, started) = opened?;
        if started.replayed > 0 {
            eprintln!("e2egraph: {} requests replayed from {}", started.replayed, data.display());
        }
        if let Some(torn) = &started.recovery.torn {
            eprintln!(
                "e2egraph: cut {} bytes at offset {} of {}: a write that a crash had interrupted; nothing acknowledged was in it",
                torn.bytes, torn.offset, torn.file
            );
        }
        for damage in &started.damage {
            eprintln!(
                "e2egraph: {} bytes at offset {} of {} cannot be read ({}); everything around them was",
                damage.bytes, damage.offset, damage.file, damage.reason
            );
        }
        if let Some((count, why)) = &started.unreadable {
            eprintln!("e2egraph: {count} requests in the log cannot be read by this version: {why}");
        }
        Ok(engine)
    })
    .await??;
    let addresses = Addresses { http: listen.http, otlp_grpc: listen.otlp_grpc, otlp_http: listen.otlp_http };
    server::start(Arc::new(engine), addresses).await.context("opening the ports")
}
