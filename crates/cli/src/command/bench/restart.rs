//! Starting again on an hour of log that made ten million edges: from a checkpoint and what came since, and from the log alone.

use super::graph::{START_NS, mixed, thread_seconds};
use super::{Figure, peak_rss};
use crate::progress::Progress;
use crate::rim::Temporary;
use anyhow::{Context as _, ensure};
use engine::{Engine, KeepLog, LostHashKey, Options};
use ingest::Wire;
use ontology::{Ontology, Time};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

/// Calls, nearly all of them between others. Each makes two edges: between services, and between their operations.
const CALLS: u64 = 5_000_000;
const SERVICES: u64 = 100_000;
/// Calls of one trace, which begins in one service, and of one request.
const TRACE: u64 = 100;
const REQUEST: u64 = 4_000;
/// Requests that are logged together, as by so many senders.
const TOGETHER: u64 = 64;
/// What a running server lets come before it writes a checkpoint, at most, unless it comes faster than one a minute can be written.
const TAIL: u64 = 16 << 20;

/// A protobuf message as it is written.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    #[expect(clippy::cast_possible_truncation, reason = "seven bits")]
    fn number(&mut self, mut n: u64) {
        while n >= 0x80 {
            self.0.push(n as u8 | 0x80);
            n >>= 7;
        }
        self.0.push(n as u8);
    }

    fn bytes(mut self, field: u64, bytes: &[u8]) -> Message {
        self.number(field << 3 | 2);
        self.number(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
        self
    }

    fn fixed(mut self, field: u64, n: u64) -> Message {
        self.number(field << 3 | 1);
        self.0.extend_from_slice(&n.to_le_bytes());
        self
    }

    fn whole(mut self, field: u64, n: u64) -> Message {
        self.number(field << 3);
        self.number(n);
        self
    }

    fn with(self, field: u64, inner: &Message) -> Message {
        self.bytes(field, &inner.0)
    }
}

/// The spans of one service in a request: field numbers are those of `opentelemetry/proto/trace/v1/trace.proto`.
fn told(service: u64, span: &Message) -> Message {
    let name = Message::default().bytes(1, format!("service-{service}").as_bytes());
    let attribute = Message::default().bytes(1, b"service.name").with(2, &name);
    let resource = Message::default().with(1, &attribute);
    Message::default().with(1, &resource).with(2, &Message::default().with(2, span))
}

fn span(trace: u64, id: u64, parent: Option<u64>, at: u64) -> Message {
    let trace = [mixed(trace).to_be_bytes(), mixed(trace ^ 0x77).to_be_bytes()].concat();
    let mut span = Message::default().bytes(1, &trace).bytes(2, &mixed(id).to_be_bytes());
    if let Some(parent) = parent {
        span = span.bytes(4, &mixed(parent).to_be_bytes());
    }
    // Kind: server.
    span.bytes(5, b"GET /").whole(6, 2).fixed(7, at).fixed(8, at + 5_000_000 + mixed(id) % 50_000_000)
}

/// The request that begins with the call of this number, and when it arrives.
fn request(first: u64) -> (bytes::Bytes, Time) {
    let mut body = Message::default();
    let at =
        |n: u64| START_NS + u64::try_from(3_600_000_000_000 * u128::from(n) / u128::from(CALLS)).unwrap_or(0);
    for trace in (first..first + REQUEST).step_by(usize::try_from(TRACE).unwrap_or(1)) {
        let root = trace << 1;
        body = body.with(1, &told(mixed(trace) % SERVICES, &span(trace, root, None, at(trace))));
        for call in trace..trace + TRACE {
            let id = call << 1 | 1;
            body = body.with(1, &told(mixed(id) % SERVICES, &span(trace, id, Some(root), at(call))));
        }
    }
    (body.0.into(), Time::from_nanos(at(first + REQUEST)).unwrap_or(Time::EPOCH))
}

fn fill(engine: &Engine) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let bar = Progress::new(usize::try_from(CALLS)?, "calls logged");
    let (mut next, mut kept) = (0, false);
    let mut last = Time::EPOCH;
    while next < CALLS {
        let mut understood = Vec::new();
        for first in (next..CALLS.min(next + TOGETHER * REQUEST)).step_by(usize::try_from(REQUEST)?) {
            let (body, at) = request(first);
            last = at;
            understood.push(engine.read(Wire::TracesProto, body, at)?);
        }
        next += TOGETHER * REQUEST;
        runtime.block_on(futures_util::future::try_join_all(understood.iter().map(|u| engine.keep(u))))?;
        understood.iter().for_each(|u| {
            engine.fold(u);
        });
        // The last checkpoint of the hour, with what a server lets come before the next one behind it.
        let left = engine.tail_bytes() * (CALLS.saturating_sub(next)) / next.max(1);
        if !kept && left <= TAIL {
            engine.checkpoint(last)?.context("there is something to write")?;
            kept = true;
        }
        bar.at(next, "");
    }
    bar.end();
    Ok(())
}

/// Opens the folder: seconds, processor seconds, edges.
fn opened(options: &Options, ontology: &Arc<Ontology>) -> anyhow::Result<(f64, f64, usize, u64)> {
    let (clock, begin) = (Instant::now(), thread_seconds()?);
    let (engine, started) = Engine::open(options, Arc::clone(ontology), |_| {})?;
    let (seconds, cpu) = (clock.elapsed().as_secs_f64(), thread_seconds()? - begin);
    let edges = engine.graph().size().iter().find(|s| s.0 == "edges").map_or(0, |s| s.1);
    Ok((seconds, cpu, edges, started.replayed))
}

/// Seconds from the start to a graph that can be asked.
pub(super) fn restart(_: Option<&Path>) -> anyhow::Result<Vec<Figure>> {
    let folder = Temporary::new()?;
    let ontology = Arc::new(Ontology::builtin());
    let options = Options {
        data: folder.0.clone(),
        limits: graph::Limits::default(),
        keep_log: KeepLog::default(),
        new_hash_key: [7; 32],
        lost_hash_key: LostHashKey::Refuse,
    };
    let edges = {
        let (engine, _) = Engine::open(&options, Arc::clone(&ontology), |_| {})?;
        fill(&engine)?;
        engine.graph().size().iter().find(|s| s.0 == "edges").map_or(0, |s| s.1)
    };
    let bytes = |begin: &str| -> anyhow::Result<u64> {
        let entries = std::fs::read_dir(&folder.0)?.collect::<Result<Vec<_>, _>>()?;
        let ours = entries.iter().filter(|e| e.file_name().to_string_lossy().starts_with(begin));
        ours.map(|e| Ok(e.metadata()?.len())).sum()
    };
    let (checkpoint, log) = (bytes("checkpoint-")?, bytes("log-")?);
    let (seconds, cpu, found, replayed) = opened(&options, &ontology)?;
    ensure!(found == edges, "{edges} edges before, {found} after");
    for entry in std::fs::read_dir(&folder.0)?.collect::<Result<Vec<_>, _>>()? {
        if entry.file_name().to_string_lossy().starts_with("checkpoint-") {
            std::fs::remove_file(entry.path())?;
        }
    }
    let (_, alone, found, all) = opened(&options, &ontology)?;
    ensure!(found == edges, "{edges} edges before, {found} from the log alone");
    ensure!(replayed < all, "the checkpoint was not used");
    let figure = |name: &str, value: f64, unit, peer, peer_value: f64| Figure {
        name: name.to_owned(),
        value,
        unit,
        cpu_seconds: cpu,
        peer,
        peer_value,
        ratio: value / peer_value,
        peak_rss_bytes: peak_rss(),
        n: edges as u64,
    };
    Ok(vec![
        figure("restart", cpu, "CPU-s", "the log alone", alone),
        figure("restart-wall", seconds, "s", "aim", 10.0),
        figure(
            "checkpoint-bytes",
            checkpoint as f64 / edges as f64,
            "B/edge",
            "the log",
            log as f64 / edges as f64,
        ),
    ])
}
