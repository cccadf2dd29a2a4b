//! History wired to the engine: a thread that writes it, and SQL for the server and the command line.

use crate::args::{HistoryAt, Offline, Sql as Asked};
use crate::exit::NotThere;
use crate::{out, rim};
use ::history::{
    Bounds, Earlier, Epoch, Keep, PastBounds, Pasts, Place, PostgresFigures, Sql, SqlError, Threads, Writer,
};
use anyhow::Context as _;
use engine::{Engine, LostHashKey, Options};
use futures_util::future::BoxFuture;
use ontology::{Ontology, Stretch, Time};
use serde_json::Value as Json;
use server::{Figure, SqlQuery, SqlTrouble};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::watch;

/// How often it is looked whether an hour is over or changed.
const EVERY: Duration = Duration::from_secs(30);
/// Longest wait after failures.
const MOST_WAIT: Duration = Duration::from_secs(15 * 60);
/// How often tables are made small.
const TIDY_EVERY: Duration = Duration::from_secs(6 * 3600);
/// Share of the sampled nodes that may be held beyond which hours that are not over are written as well, in percent: the oldest nodes
/// are let go soon.
const PRESSING: usize = 50;
/// The place that means none.
const OFF: &str = "off";

/// Now, as tables date files and the engine dates arrivals.
pub fn now() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).ok().and_then(Time::from_nanos).unwrap_or(Time::END)
}

/// Where history is to be kept; none when that is off.
pub fn place(data: &Path, at: &HistoryAt) -> anyhow::Result<Option<Place>> {
    match at.history.as_deref() {
        Some(OFF) => Ok(None),
        Some(place) => Ok(Some(Place::parse(place)?)),
        None => Ok(Some(Place::folder(&data.join("history"))?)),
    }
}

/// How long tables are kept.
pub fn keep(at: &HistoryAt) -> Keep {
    at.keep.iter().fold(Keep::default(), |keep, (table, days)| keep.with(*table, *days))
}

fn epoch(engine: &Engine) -> Epoch {
    let engine::Epoch { graph, touched, whole_from, sampled: (held, most) } = engine.epoch();
    Epoch {
        graph,
        touched,
        whole_from,
        unfinished: held.saturating_mul(100) >= most.saturating_mul(PRESSING),
    }
}

/// The graph of a data folder that no server has open.
pub async fn epoch_of(data: PathBuf, ontology: Ontology, all: bool) -> anyhow::Result<Epoch> {
    if !data.is_dir() {
        return Err(NotThere(format!("there is no data folder {}", data.display())).into());
    }
    let options = Options {
        data,
        limits: graph::Limits::default(),
        keep_log: engine::KeepLog::default(),
        new_hash_key: rim::random_key()?,
        lost_hash_key: LostHashKey::Refuse,
    };
    let opened = tokio::task::spawn_blocking(move || -> anyhow::Result<Epoch> {
        let (engine, _) = Engine::open(&options, Arc::new(ontology), |_| {})?;
        let epoch = epoch(&engine);
        Ok(Epoch { unfinished: epoch.unfinished || all, ..epoch })
    });
    opened.await?
}

/// Answers `e2egraph sql` without a server.
pub async fn ask(asked: &Asked) -> anyhow::Result<Json> {
    let (place, epoch, _) = opened(&asked.offline).await?;
    let bounds = Bounds {
        rows: asked.limit,
        time: Duration::try_from_secs_f64(asked.timeout).context("--timeout")?,
        ..Bounds::default()
    };
    match Sql::new(Some(place)).ask(&asked.query, epoch.as_ref(), &bounds).await {
        Ok(answer) => Ok(serde_json::to_value(answer)?),
        Err(SqlError::Unknown(why)) => Err(NotThere(why).into()),
        Err(e) => Err(e.into()),
    }
}

/// What is asked without a server: the place of the tables, the graph of the data folder if one was named, and the ontology.
async fn opened(asked: &Offline) -> anyhow::Result<(Place, Option<Epoch>, Arc<Ontology>)> {
    let ontology = rim::ontology(&asked.ontology)?;
    match (&asked.data, &asked.history) {
        (Some(data), _) => {
            let epoch = epoch_of(data.clone(), ontology.clone(), false).await?;
            Ok((Place::folder(&data.join("history"))?, Some(epoch), Arc::new(ontology)))
        }
        (None, Some(place)) => Ok((Place::parse(place)?, None, Arc::new(ontology))),
        (None, None) => anyhow::bail!("neither a data folder nor a history was named"),
    }
}

/// A graph that is asked without a server.
pub struct Looked {
    /// The graph.
    pub graph: graph::Graph,
    /// What `datetime()` says.
    pub now: Time,
    /// Where it comes from, when that is history.
    pub note: Option<String>,
}

/// The graph that tells of some moments, without a server; of the last moment there is where none is said.
pub async fn look(asked: &Offline, mut of: Vec<Stretch>) -> anyhow::Result<Looked> {
    let (place, epoch, ontology) = opened(asked).await?;
    let latest = |graph: &graph::Graph| query::View::latest(graph).as_of;
    if let Some(epoch) = &epoch {
        let first = of.iter().map(|s| s.from.minute()).min();
        let held = first.is_none_or(|first| epoch.whole_from.is_none_or(|w| w <= first));
        if held {
            return Ok(Looked { now: latest(&epoch.graph), graph: epoch.graph.clone(), note: None });
        }
    }
    let (label, pasts) = (place.label().to_owned(), Pasts::new(Some(place)));
    let last = match &epoch {
        Some(epoch) => Some(latest(&epoch.graph)),
        None => pasts.last().await?,
    };
    let Some(now) = last else {
        return Err(NotThere(format!("there is no history at {label}")).into());
    };
    if of.is_empty() {
        let at = now.plus_nanos(-1);
        of.push(Stretch { from: at, to: at });
    }
    match pasts.of(&of, &ontology, epoch.as_ref(), &PastBounds::default()).await {
        Ok(earlier) => Ok(Looked { graph: earlier.graph.clone(), now, note: Some(earlier.note()) }),
        Err(SqlError::Unknown(why)) => Err(NotThere(why).into()),
        Err(e) => Err(e.into()),
    }
}

fn trouble(e: &SqlError) -> SqlTrouble {
    let why = e.to_string();
    match e {
        SqlError::Wrong(_) | SqlError::Time(_) | SqlError::Memory(..) => SqlTrouble::Wrong(why),
        SqlError::Unknown(_) => SqlTrouble::Unknown(why),
        SqlError::History(_) | SqlError::Late(_) => SqlTrouble::Unavailable(why),
        SqlError::Failed(_) => SqlTrouble::Ours(why),
    }
}

/// How writing goes.
#[derive(Default)]
struct Figures {
    rows: AtomicU64,
    hours: AtomicU64,
    bytes: AtomicU64,
    failures: AtomicU64,
    /// Seconds since the epoch at which the last hour that was written ended; 0 for none.
    last: AtomicI64,
}

/// History of a server: written beside it, asked through it.
pub struct Kept {
    engine: Arc<Engine>,
    sql: Arc<Sql>,
    threads: Arc<Threads>,
    /// Of SQL by PostgreSQL's protocol, when that is on.
    postgres: OnceLock<Arc<PostgresFigures>>,
    /// None where there is no place: the graph is all there is.
    pasts: Option<Arc<Pasts>>,
    figures: Arc<Figures>,
    stop: watch::Sender<bool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Kept {
    /// Begins to write, where there is a place to write to. SQL is answered from the graph alone where there is none.
    pub fn start(engine: Arc<Engine>, place: Option<Place>, keep: Keep) -> anyhow::Result<Kept> {
        let (stop, stopped) = watch::channel(false);
        let figures = Arc::new(Figures::default());
        let thread = place.clone().map(|place| {
            let (engine, figures) = (Arc::clone(&engine), Arc::clone(&figures));
            // A thread of its own: making rows of an hour keeps a processor busy, and nobody else is to wait for it.
            std::thread::Builder::new().name("history".to_owned()).spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                match runtime {
                    Ok(runtime) => runtime.block_on(write(&engine, place, &keep, &figures, stopped)),
                    Err(e) => out::note(&format!("history is not written: {e}")),
                }
            })
        });
        let thread = thread.transpose().context("starting the thread that writes history")?;
        let pasts = place.clone().map(|place| Arc::new(Pasts::new(Some(place))));
        let threads = Threads::new(Bounds::default().threads).context("starting the threads of SQL")?;
        let (sql, threads) = (Arc::new(Sql::new(place)), Arc::new(threads));
        Ok(Kept { engine, sql, threads, postgres: OnceLock::new(), pasts, figures, stop, thread })
    }

    /// What is asked in SQL.
    pub fn sql(&self) -> Arc<Sql> {
        Arc::clone(&self.sql)
    }

    /// What runs it.
    pub fn threads(&self) -> Arc<Threads> {
        Arc::clone(&self.threads)
    }

    /// The graph as it is when it is called.
    pub fn now(&self) -> Arc<dyn Fn() -> Epoch + Send + Sync> {
        let engine = Arc::clone(&self.engine);
        Arc::new(move || epoch(&engine))
    }

    /// Figures of SQL by PostgreSQL's protocol, told from now on.
    pub fn postgres(&self) -> Arc<PostgresFigures> {
        Arc::clone(self.postgres.get_or_init(Arc::default))
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        let _ = self.stop.send(true);
        // What it was doing is dropped at its next step; a commit either happened or did not.
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn write(
    engine: &Engine,
    place: Place,
    keep: &Keep,
    figures: &Figures,
    mut stopped: watch::Receiver<bool>,
) {
    let label = place.label().to_owned();
    let mut writer = Writer::new(place);
    let mut wait = EVERY;
    let mut tidied: Option<tokio::time::Instant> = None;
    let mut failing = false;
    loop {
        tokio::select! {
            _ = stopped.wait_for(|s| *s) => return,
            () = tokio::time::sleep(wait) => {}
        }
        let done = tokio::select! {
            _ = stopped.wait_for(|s| *s) => return,
            done = once(engine, &mut writer, keep, &mut tidied, figures) => done,
        };
        match done {
            Ok(()) => {
                if std::mem::take(&mut failing) {
                    out::note(&format!("history is written to {label} again"));
                }
                wait = EVERY;
            }
            Err(e) => {
                figures.failures.fetch_add(1, Ordering::Relaxed);
                failing = true;
                wait = wait.saturating_mul(2).min(MOST_WAIT);
                out::note(&format!("history is not written, again in {} s: {e}", wait.as_secs()));
            }
        }
    }
}

async fn once(
    engine: &Engine,
    writer: &mut Writer,
    keep: &Keep,
    tidied: &mut Option<tokio::time::Instant>,
    figures: &Figures,
) -> Result<(), ::history::HistoryError> {
    let epoch = epoch(engine);
    let written = writer.write(&epoch, now()).await?;
    figures.rows.fetch_add(written.rows, Ordering::Relaxed);
    figures.hours.fetch_add(written.hours, Ordering::Relaxed);
    figures.bytes.fetch_add(written.bytes, Ordering::Relaxed);
    let last = writer.progress().last;
    if let Some(last) = last {
        figures.last.store(last.end().start().secs(), Ordering::Relaxed);
    }
    // What is not written yet is not forgotten.
    engine.hold(Some(last.map_or(Time::EPOCH, |hour| hour.end().start())));
    let latest = epoch.graph.latest();
    if let Some(latest) = latest.filter(|_| tidied.is_none_or(|t| t.elapsed() >= TIDY_EVERY)) {
        keep.tidy(writer.place(), epoch.graph.ontology(), latest, now()).await?;
        *tidied = Some(tokio::time::Instant::now());
    }
    Ok(())
}

impl server::History for Kept {
    fn sql(&self, query: SqlQuery) -> BoxFuture<'_, Result<Json, SqlTrouble>> {
        Box::pin(async move {
            let engine = Arc::clone(&self.engine);
            let epoch = tokio::task::spawn_blocking(move || epoch(&engine)).await;
            let epoch = epoch.map_err(|e| SqlTrouble::Ours(format!("taking the graph: {e}")))?;
            let time = Duration::try_from_secs_f64(query.seconds).unwrap_or_default();
            let bounds = Bounds { rows: query.rows, time, ..Bounds::default() };
            let sql = Arc::clone(&self.sql);
            let work = self.threads.run(async move { sql.ask(&query.text, Some(&epoch), &bounds).await });
            // Its own clock stands still while it keeps its thread.
            let answer = match tokio::time::timeout(time, work).await {
                Ok(Some(answer)) => answer,
                Ok(None) => Err(SqlError::Failed("the thread that ran it failed".to_owned())),
                Err(_) => Err(SqlError::Time(query.seconds)),
            };
            let answer = answer.map_err(|e| trouble(&e))?;
            serde_json::to_value(answer).map_err(|e| SqlTrouble::Ours(format!("writing the answer: {e}")))
        })
    }

    fn whole_from(&self) -> Option<Time> {
        self.pasts.as_ref()?;
        self.engine.whole_from().map(ontology::Minute::start)
    }

    fn earlier(&self, of: Vec<Stretch>) -> BoxFuture<'_, Result<server::Earlier, SqlTrouble>> {
        Box::pin(async move {
            let Some(pasts) = self.pasts.clone() else {
                return Err(SqlTrouble::Unavailable("no history is kept (--history off)".to_owned()));
            };
            let (engine, runtime) = (Arc::clone(&self.engine), tokio::runtime::Handle::current());
            // Putting rows into a graph keeps a processor busy: beside the threads that answer others.
            let made = tokio::task::spawn_blocking(move || {
                let epoch = epoch(&engine);
                let ontology = Arc::clone(epoch.graph.ontology());
                runtime.block_on(pasts.of(&of, &ontology, Some(&epoch), &PastBounds::default()))
            });
            let earlier: Arc<Earlier> = made
                .await
                .map_err(|e| SqlTrouble::Ours(format!("reading history: {e}")))?
                .map_err(|e| trouble(&e))?;
            Ok(server::Earlier { graph: earlier.graph.clone(), note: earlier.note() })
        })
    }

    fn figures(&self) -> Vec<Figure> {
        let f = &self.figures;
        let figure = |name, kind, help, value: Option<f64>| Figure { name, kind, help, value };
        let count = |n: &AtomicU64| Some(n.load(Ordering::Relaxed) as f64);
        let last = f.last.load(Ordering::Relaxed);
        let mut all = vec![
            figure(
                "history_rows_total",
                "counter",
                "Rows written to history, those that replaced others included.",
                count(&f.rows),
            ),
            figure("history_hours_total", "counter", "Hours of tables written to history.", count(&f.hours)),
            figure("history_bytes_total", "counter", "Bytes of files written to history.", count(&f.bytes)),
            figure(
                "history_failures_total",
                "counter",
                "Times that writing history failed.",
                count(&f.failures),
            ),
            figure(
                "history_last_hour_timestamp_seconds",
                "gauge",
                "When the last hour ended that is in history.",
                (last > 0).then_some(last as f64),
            ),
        ];
        if let Some(p) = self.postgres.get() {
            all.extend([
                figure(
                    "postgres_connections",
                    "gauge",
                    "Open connections of PostgreSQL's protocol.",
                    count(&p.open),
                ),
                figure(
                    "postgres_refused_total",
                    "counter",
                    "Connections of PostgreSQL's protocol that were refused: too many, or a wrong password.",
                    count(&p.refused),
                ),
                figure(
                    "postgres_statements_total",
                    "counter",
                    "Statements by PostgreSQL's protocol.",
                    count(&p.statements),
                ),
                figure(
                    "postgres_failures_total",
                    "counter",
                    "Statements by PostgreSQL's protocol that failed or were refused.",
                    count(&p.failures),
                ),
            ]);
        }
        all
    }

    fn limits(&self) -> Vec<(&'static str, u64)> {
        ::history::LIMITS.to_vec()
    }
}
