//! The temporal graph at ten million edges: how fast facts go in and what they weigh, snapshots, reading as of a moment.

use super::{Figure, peak_rss};
use anyhow::Context as _;
use graph::{Fold, Graph, Limits, NodeId};
use ontology::fact::{Draft, Fact, ItemId, Key, Ref};
use ontology::{AttrId, Batch, ClassId, Ontology, RelationId, Time, Value};
use rustc_hash::{FxHashMap, FxHashSet};
use std::hint::black_box;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

/// Things that call each other.
pub(super) const ENTITIES: u64 = 100_000;
/// Calls of the whole benchmark, over an hour.
pub(super) const CALLS: u64 = 10_000_000;
/// Calls of one request.
pub(super) const REQUEST: u64 = 4_000;
/// Requests made before they are folded, so that making them is not measured.
const TOGETHER: u64 = 50;
pub(super) const START_NS: u64 = 1_790_000_000_000_000_000;

/// Processor time of this thread so far, in seconds.
pub(super) fn thread_seconds() -> anyhow::Result<f64> {
    let said = std::fs::read_to_string("/proc/thread-self/schedstat")
        .context("reading /proc/thread-self/schedstat")?;
    let ns = said.split_whitespace().next().and_then(|n| n.parse::<f64>().ok());
    Ok(ns.context("/proc/thread-self/schedstat has no number")? / 1e9)
}

/// The same in microseconds, for what takes few of them.
fn thread_micros() -> f64 {
    let at = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    at.tv_sec as f64 * 1e6 + at.tv_nsec as f64 / 1e3
}

pub(super) fn rss() -> u64 {
    let said = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = said.lines().find(|l| l.starts_with("VmRSS"));
    line.and_then(|l| l.split_whitespace().nth(1)).and_then(|k| k.parse::<u64>().ok()).unwrap_or(0) * 1024
}

/// Made calls: who calls whom follows Zipf's law with exponent one at both ends, durations are log-normal, one in a hundred fails.
pub(super) struct Made {
    class: ClassId,
    relation: RelationId,
    name: AttrId,
    state: u64,
    calls: u64,
}

impl Made {
    pub(super) fn new(ontology: &Ontology, calls: u64) -> anyhow::Result<Made> {
        let class = ontology.class("Service").context("no class Service")?;
        Ok(Made {
            class,
            relation: ontology.relation("depends_on").context("no relation depends_on")?,
            name: ontology.attr(class, "name").context("a Service has no name")?,
            state: 1,
            calls,
        })
    }

    /// SplitMix64 (Steele, Lea, Flood, 2014).
    pub(super) fn random(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mixed(self.state)
    }

    /// In 0..1.
    fn share(&mut self) -> f64 {
        (self.random() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// A thing, the first of them most often.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between zero and the number of things"
    )]
    fn thing(&mut self) -> u64 {
        (ENTITIES as f64).powf(self.share()) as u64 - 1
    }

    pub(super) fn draft(&self, thing: u64) -> Draft {
        let key = Key { slot: 0, hash: u128::from(mixed(thing)) << 64 | u128::from(thing) };
        Draft {
            class: self.class,
            keys: vec![key],
            attrs: vec![(self.name, Value::Text(format!("service-{thing}").into()))],
        }
    }

    /// The calls of a request, which begins with the call of this number.
    pub(super) fn request(&mut self, first: u64) -> (Batch, Time) {
        let mut batch = Batch { source: "bench".to_owned(), ..Batch::default() };
        let mut refs: FxHashMap<u64, Ref> = FxHashMap::default();
        let nobody: Arc<[Ref]> = Arc::new([]);
        let mut last = Time::EPOCH;
        for n in first..(first + REQUEST).min(self.calls) {
            let ends = [self.thing(), self.thing()].map(|thing| {
                let next = Ref(u32::try_from(batch.drafts.len()).unwrap_or(u32::MAX));
                *refs.entry(thing).or_insert_with(|| {
                    batch.drafts.push(self.draft(thing));
                    next
                })
            });
            let ns = u64::try_from(3_600_000_000_000 * u128::from(n) / u128::from(self.calls)).unwrap_or(0);
            last = Time::from_nanos(START_NS + ns).unwrap_or(last);
            let normal: f64 = (0..12).map(|_| self.share()).sum::<f64>() - 6.0;
            #[expect(clippy::cast_possible_truncation, reason = "a few seconds at most")]
            let lasted_ns = (20e6 * (normal * 0.8).exp()) as i64;
            batch.facts.push(Fact::Call {
                id: ItemId(mixed(n ^ 0x5555)),
                relation: self.relation,
                from: ends[0],
                to: ends[1],
                cohort: Arc::clone(&nobody),
                at: last,
                lasted_ns,
                failed: self.random().is_multiple_of(100),
            });
        }
        (batch, last)
    }
}

pub(super) fn mixed(mut z: u64) -> u64 {
    z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ z >> 31
}

/// When a request arrives: a million calls a second, of an hour that is over. What was known is kept by minute of arrival, whatever
/// came in it; [`known`] measures what that costs.
fn arrival(first: u64) -> Time {
    Time::from_nanos(START_NS + 3_600_000_000_000 + first * 1_000).unwrap_or(Time::EPOCH)
}

/// A graph of made calls, and the processor time that folding them took.
pub(super) fn folded(calls: u64) -> anyhow::Result<(Fold, f64)> {
    folded_within(calls, Limits::default())
}

fn folded_within(calls: u64, limits: Limits) -> anyhow::Result<(Fold, f64)> {
    let ontology = Arc::new(Ontology::builtin());
    let mut made = Made::new(&ontology, calls)?;
    let mut fold = Fold::new(ontology, Vec::new(), limits);
    let mut seconds = 0.0;
    let mut next = 0;
    while next < calls {
        let requests: Vec<(Batch, Time)> = (0..TOGETHER).map(|i| made.request(next + i * REQUEST)).collect();
        let arrival = arrival(next);
        next += TOGETHER * REQUEST;
        let begin = thread_seconds()?;
        for (batch, _) in &requests {
            fold.fold(batch, arrival);
        }
        seconds += thread_seconds()? - begin;
    }
    Ok((fold, seconds))
}

/// Facts per second and bytes per edge and minute; beside it, the least that anybody needs for it: a hash map of sums.
pub(super) fn append(_: Option<&Path>) -> anyhow::Result<Vec<Figure>> {
    // First: what is let go of before stays with the allocator, and would seem to weigh nothing.
    let before = rss();
    let (mut fold, seconds) = folded(CALLS)?;
    let bytes = rss().saturating_sub(before);
    black_box(fold.graph());
    drop(fold);
    let ontology = Ontology::builtin();
    let mut made = Made::new(&ontology, CALLS)?;
    let mut sums: FxHashMap<(u128, u128, i64), (u64, u64, i64)> = FxHashMap::default();
    let mut floor = 0.0;
    let mut next = 0;
    while next < CALLS {
        let requests: Vec<(Batch, Time)> = (0..TOGETHER).map(|i| made.request(next + i * REQUEST)).collect();
        next += TOGETHER * REQUEST;
        let begin = thread_seconds()?;
        for (batch, _) in &requests {
            let key =
                |r: Ref| batch.drafts.get(r.0 as usize).and_then(|d| d.keys.first()).map_or(0, |k| k.hash);
            for fact in &batch.facts {
                if let Fact::Call { from, to, at, lasted_ns, failed, .. } = fact {
                    let sum = sums.entry((key(*from), key(*to), at.minute().0)).or_default();
                    *sum = (sum.0 + 1, sum.1 + u64::from(*failed), sum.2 + lasted_ns);
                }
            }
        }
        floor += thread_seconds()? - begin;
    }
    let cells = sums.len() as u64;
    drop(sums);
    let figure = |name: &str, value: f64, unit, peer, peer_value: f64, n| Figure {
        name: name.to_owned(),
        value,
        unit,
        cpu_seconds: seconds,
        peer,
        peer_value,
        ratio: value / peer_value,
        peak_rss_bytes: peak_rss(),
        n,
    };
    let rate = CALLS as f64 / seconds;
    Ok(vec![
        figure("graph-append", rate, "edges/CPU-s", "a hash map of sums", CALLS as f64 / floor, CALLS),
        figure("graph-append-bytes", bytes as f64 / cells as f64, "B/edge-bucket", "aim", 64.0, cells),
    ])
}

/// Keeping the graph as it is, while it goes on growing.
pub(super) fn snapshot(_: Option<&Path>) -> anyhow::Result<Vec<Figure>> {
    let (mut fold, _) = folded(CALLS)?;
    let mut made = Made::new(fold.graph().ontology(), CALLS)?;
    let (mut kept, mut times): (Vec<Graph>, Vec<f64>) = (Vec::new(), Vec::new());
    for n in 0..101 {
        let (batch, at) = made.request(n * REQUEST);
        fold.fold(&batch, at);
        let begin = std::time::Instant::now();
        kept.push(fold.graph());
        times.push(begin.elapsed().as_secs_f64() * 1e3);
    }
    times.sort_by(f64::total_cmp);
    let median = times.get(times.len() / 2).copied().unwrap_or(0.0);
    Ok(vec![Figure {
        name: "graph-snapshot".to_owned(),
        value: median,
        unit: "ms",
        cpu_seconds: times.iter().sum::<f64>() / 1e3,
        peer: "aim",
        peer_value: 1.0,
        ratio: median,
        peak_rss_bytes: peak_rss(),
        n: kept.len() as u64,
    }])
}

/// What it costs to keep what was known at each minute: twenty minutes of so many calls each, with and without.
pub(super) fn known(_: Option<&Path>) -> anyhow::Result<Vec<Figure>> {
    const MINUTES: u64 = 20;
    const A_MINUTE: u64 = 100_000;
    let run = |known_minutes: usize| -> anyhow::Result<(f64, u64)> {
        let (mut fold, _) =
            folded_within(CALLS, Limits { known_minutes, known_rows: usize::MAX, ..Limits::default() })?;
        let mut made = Made::new(fold.ontology(), CALLS + MINUTES * A_MINUTE)?;
        let (begun_with, mut seconds) = (rss(), 0.0);
        for minute in 0..MINUTES {
            let at = arrival(CALLS).plus_secs(60 * i64::try_from(minute + 1)?);
            for first in (0..A_MINUTE).step_by(usize::try_from(REQUEST)?) {
                let (batch, _) = made.request(CALLS + minute * A_MINUTE + first);
                let begin = thread_seconds()?;
                fold.fold(&batch, at);
                seconds += thread_seconds()? - begin;
            }
        }
        Ok((seconds / MINUTES as f64, rss().saturating_sub(begun_with) / MINUTES))
    };
    let ((without, less), (with, more)) = (run(0)?, run(usize::try_from(MINUTES)?)?);
    let figure = |name: &str, value: f64, unit, peer, peer_value: f64| Figure {
        name: name.to_owned(),
        value,
        unit,
        cpu_seconds: with * MINUTES as f64,
        peer,
        peer_value,
        ratio: value / peer_value,
        peak_rss_bytes: peak_rss(),
        n: MINUTES,
    };
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    Ok(vec![
        figure("graph-known", with * 1e3, "CPU-ms/min", "without", without * 1e3),
        figure("graph-known-bytes", mib(more), "MiB/min", "without", mib(less)),
    ])
}

/// Nodes that a walk of three steps stops at: what a page or an expert can use.
const WALKED: usize = 1_000;

/// What is around a thing at a moment, one step and up to three, things drawn evenly.
pub(super) fn as_of(_: Option<&Path>) -> anyhow::Result<Vec<Figure>> {
    let (mut fold, _) = folded(CALLS)?;
    let graph = fold.graph();
    let nodes: Vec<NodeId> = graph.nodes().collect();
    let at = Time::from_nanos(START_NS + 1_800_000_000_000).context("half an hour later")?;
    let mut figures = Vec::new();
    for (name, hops, aim) in [("graph-asof-1", 1, 10.0), ("graph-asof-3", 3, 200.0)] {
        let (mut times, mut found, mut state, mut room) = (Vec::new(), 0, 7u64, Room::default());
        let begin = thread_seconds()?;
        for _ in 0..20_000 {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let pick = usize::try_from(mixed(state)).unwrap_or(0) % nodes.len().max(1);
            let Some(start) = nodes.get(pick) else { continue };
            // Of this thread: that others are given the processor meanwhile is not measured.
            let clock = thread_micros();
            found += around(&graph, *start, at, hops, &mut room);
            times.push(thread_micros() - clock);
        }
        let used = thread_seconds()? - begin;
        times.sort_by(f64::total_cmp);
        let p99 = times.get(times.len() * 99 / 100).copied().unwrap_or(0.0);
        figures.push(Figure {
            name: name.to_owned(),
            value: p99,
            unit: "µs p99",
            cpu_seconds: used,
            peer: "aim",
            peer_value: aim,
            ratio: p99 / aim,
            peak_rss_bytes: peak_rss(),
            n: found as u64,
        });
    }
    Ok(figures)
}

/// What a walk writes in, kept from one to the next.
#[derive(Default)]
struct Room {
    seen: FxHashSet<NodeId>,
    edge: Vec<NodeId>,
    next: Vec<NodeId>,
}

/// How many nodes are within some steps, nearest first, at most [`WALKED`] of them.
fn around(graph: &Graph, start: NodeId, at: Time, hops: usize, room: &mut Room) -> usize {
    let most = if hops > 1 { WALKED } else { usize::MAX };
    let Room { seen, edge, next } = room;
    seen.clear();
    edge.clear();
    edge.push(start);
    for _ in 0..hops {
        next.clear();
        for node in edge.iter() {
            graph.each_hop_at(*node, at, |hop| {
                if seen.insert(hop.node) {
                    next.push(hop.node);
                }
                if seen.len() >= most { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            });
            if seen.len() >= most {
                return seen.len();
            }
        }
        std::mem::swap(edge, next);
    }
    seen.len()
}
