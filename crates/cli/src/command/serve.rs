//! `e2egraph serve`: opens the data folder, then the ports, and runs until it is told to stop.

use crate::args::{Listen, OntologyFrom, Serve};
use crate::exit::Exit;
use crate::{opening, out, rim};
use anyhow::{Context as _, bail};
use engine::{Engine, KeepLog, LostHashKey, Options};
use graph::Limits;
use ontology::Ontology;
use server::otlp_http::Origins;
use server::{Addresses, Hosts, Kubernetes, Operator, Running, Secret, Secrets, Settings, scrape};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Runs a server until Ctrl-C or SIGTERM.
pub async fn run(args: Serve) -> anyhow::Result<Exit> {
    let lost_hash_key = if args.new_hash_key { LostHashKey::Replace } else { LostHashKey::Refuse };
    rim::guard_statsd(args.statsd, &args.listen)?;
    #[cfg(feature = "history")]
    rim::guard_postgres(args.postgres.postgres, &args.listen)?;
    if args.scrapes.len() > scrape::TARGETS {
        bail!("{} targets to scrape; at most {} can be", args.scrapes.len(), scrape::TARGETS);
    }
    let kubernetes = args.kubernetes.as_ref();
    let kubernetes =
        kubernetes.map(|file| Kubernetes::find(file.as_deref(), args.kubernetes_cluster.clone()));
    let kubernetes = kubernetes.transpose().context("--kubernetes")?;
    let limits = Limits { hours: args.graph_hours, ..Limits::default() };
    let ready = prepare(
        &args.data,
        &args.listen,
        &args.ontology,
        (lost_hash_key, args.keep_log.into(), limits),
        kubernetes,
    )
    .await?;
    #[cfg(feature = "history")]
    let ready = Ready {
        history: crate::history::place(&args.data, &args.history)?,
        keep: crate::history::keep(&args.history),
        postgres: crate::postgres::wanted(&args.postgres)?,
        ..ready
    };
    // Before anybody can reach it. While the log is replayed, a signal ends the process at once, which the log survives.
    let stop = rim::Stop::listen()?;
    #[cfg(feature = "history")]
    let (mut running, postgres) = ready.open().await?;
    #[cfg(not(feature = "history"))]
    let mut running = ready.open().await?;
    rim::on_hangup(running.engine(), args.ontology.clone())?;
    let a = running.addresses();
    out::note(&format!("web UI and API at http://{}", a.http));
    out::note(&format!("OTLP/gRPC at {}, OTLP/HTTP at http://{}", a.otlp_grpc, a.otlp_http));
    if let Some(wanted) = args.statsd {
        let statsd = running.take_statsd(wanted).await.context("opening the ports")?;
        out::note(&format!("StatsD at {statsd}, UDP"));
    }
    running.scrape(&args.scrapes, Duration::from_secs(args.scrape_interval));
    if let Some(syslog) = a.syslog {
        out::note(&format!("syslog at {syslog}, UDP and TCP"));
    }
    #[cfg(feature = "history")]
    if let Some(postgres) = &postgres {
        out::note(&format!("SQL by PostgreSQL's protocol at {}", postgres.addr));
    }
    stop.came().await;
    out::note("stopping");
    #[cfg(feature = "history")]
    if let Some(postgres) = postgres {
        postgres.stop().await;
    }
    running.stop().await;
    Ok(Exit::Done)
}

/// Opens a data folder and the ports.
pub async fn start(data: &Path, listen: &Listen, ontology: &OntologyFrom) -> anyhow::Result<Running> {
    let ready =
        prepare(data, listen, ontology, (LostHashKey::Refuse, KeepLog::default(), Limits::default()), None)
            .await?;
    #[cfg(feature = "history")]
    let (running, _) = ready.open().await?;
    #[cfg(not(feature = "history"))]
    let running = ready.open().await?;
    Ok(running)
}

/// A data folder that was read, and what its server is to be started with.
struct Ready {
    engine: Engine,
    settings: Settings,
    #[cfg(feature = "history")]
    history: Option<::history::Place>,
    #[cfg(feature = "history")]
    keep: ::history::Keep,
    #[cfg(feature = "history")]
    postgres: Option<crate::postgres::Wanted>,
}

impl Ready {
    /// Opens the ports.
    #[cfg(feature = "history")]
    async fn open(self) -> anyhow::Result<(Running, Option<crate::postgres::Listening>)> {
        let engine = Arc::new(self.engine);
        let kept = Arc::new(crate::history::Kept::start(Arc::clone(&engine), self.history, self.keep)?);
        let postgres = match self.postgres {
            Some(wanted) => Some(wanted.open(&kept).await.context("opening the ports")?),
            None => None,
        };
        let settings = Settings { history: Some(kept), ..self.settings };
        Ok((server::start(engine, settings).await.context("opening the ports")?, postgres))
    }

    /// Opens the ports.
    #[cfg(not(feature = "history"))]
    async fn open(self) -> anyhow::Result<Running> {
        server::start(Arc::new(self.engine), self.settings).await.context("opening the ports")
    }
}

/// Opens a data folder.
async fn prepare(
    data: &Path,
    listen: &Listen,
    ontology: &OntologyFrom,
    (lost_hash_key, keep_log, limits): (LostHashKey, KeepLog, Limits),
    kubernetes: Option<Kubernetes>,
) -> anyhow::Result<Ready> {
    rim::guard(listen)?;
    let operator = operator(ontology);
    let ontology = Arc::new(rim::ontology(ontology)?);
    let secrets = secrets(listen, &ontology)?;
    let data = data.to_owned();
    #[cfg(feature = "history")]
    let folder = data.clone();
    let engine = tokio::task::spawn_blocking(move || -> anyhow::Result<Engine> {
        let options = Options { data, limits, keep_log, new_hash_key: rim::random_key()?, lost_hash_key };
        opening::open(&options, ontology)
    })
    .await??;
    let ports = &listen.ports;
    let addresses = Addresses {
        http: ports.http,
        otlp_grpc: ports.otlp_grpc,
        otlp_http: ports.otlp_http,
        syslog: listen.syslog,
    };
    let (origins, hosts) = (origins(listen), hosts(listen));
    let settings = Settings { addresses, origins, hosts, secrets, operator, kubernetes, history: None };
    Ok(Ready {
        engine,
        settings,
        #[cfg(feature = "history")]
        history: crate::history::place(&folder, &crate::args::HistoryAt::default())?,
        #[cfg(feature = "history")]
        keep: ::history::Keep::default(),
        #[cfg(feature = "history")]
        postgres: None,
    })
}

/// Which web pages may send telemetry.
fn origins(listen: &Listen) -> Origins {
    match listen.allow_origins.as_slice() {
        [] => Origins::Loopback,
        all if all.iter().any(|o| o == "*") => Origins::Any,
        // People copy addresses with a slash at the end; browsers send origins without one.
        some => Origins::Listed(some.iter().map(|o| o.trim_end_matches('/').to_owned()).collect()),
    }
}

/// Where a running server gets a new ontology and new keys.
fn operator(from: &OntologyFrom) -> Operator {
    let from = from.clone();
    Operator {
        ontology: Arc::new(move || rim::ontology(&from).map_err(|e| format!("{e:#}"))),
        hash_key: Arc::new(|| rim::random_key().map_err(|e| format!("{e:#}"))),
    }
}

/// What signed feeds are checked with.
fn secrets(listen: &Listen, ontology: &Ontology) -> anyhow::Result<Secrets> {
    let mut all = Vec::new();
    for (feed, file) in &listen.feed_secrets {
        let line = rim::secret(&format!("the secret of {feed}"), file)?;
        all.push((feed.clone(), Secret::Known(line)));
    }
    all.extend(listen.unsigned_feeds.iter().map(|feed| (feed.clone(), Secret::Unsigned)));
    for (feed, _) in &all {
        let signed = ontology.mapping.feed(feed).is_some_and(|f| f.signed.is_some());
        let names = || ontology.mapping.feed_names().into_iter();
        let known = || names().filter(|n| ontology.mapping.feed(n).is_some_and(|f| f.signed.is_some()));
        anyhow::ensure!(
            signed,
            "there is no signed feed `{feed}`; signed are: {}",
            known().collect::<Vec<_>>().join(", ")
        );
    }
    Ok(Secrets::new(all))
}

/// By which names the main port may be called.
fn hosts(listen: &Listen) -> Hosts {
    match listen.allow_hosts.as_slice() {
        [] => Hosts::Own,
        all if all.iter().any(|h| h == "*") => Hosts::Any,
        some => Hosts::Listed(some.to_vec()),
    }
}
