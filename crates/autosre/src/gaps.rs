//! Time that single requests spend in a component itself, and between a caller and a callee.

use std::collections::BTreeMap;

use stats::tail::quantile;

use crate::arith::{known, median, robust_deviation};
use crate::scene::{Channel, Scene, Series, Sign, Spot, Vote};
use crate::trace_evidence::{Recording, Words};

/// Spreads of the median from which a gap or an own time is shifted (notes on methods §4.3, R6).
const SHIFTED_SPREADS: f64 = 5.0;
/// Smallest shift that counts, in milliseconds: below it lies the clocks' grain.
const SHIFTED_MS: f64 = 5.0;
/// The most one edge may say, in spreads.
const EDGE_CAP: f64 = 30.0;
/// What an edge that did not shift takes away, in spreads: the network of a component is one thing.
const CALM_EDGE: f64 = 10.0;
/// Nats per spread of a network's score.
const NET_WEIGHT: f64 = 0.15;
/// The most the spreads around one component may say, in nats; how much of the time it is comes on top.
const NET_CAP: f64 = 6.0;
/// Fewest requests on each side from which a median is compared.
const FEWEST: usize = 3;
/// A tenth of a normal sample lies beyond so many spreads.
const NORMAL_UPPER_TENTH: f64 = 1.2816;
/// The smallest part of all added time that is worth naming.
const NAMED_PART: f64 = 0.05;
/// Added time below this part of all request time is not worth sharing out: the ontology's usual `care`.
const CARE: f64 = 0.05;

/// A median before and after, and the shift in spreads of a median.
struct Shift {
    before: f64,
    after: f64,
    z: f64,
    /// Milliseconds added over all requests.
    added: f64,
}

fn shift(healthy: &[f64], degraded: &[f64]) -> Option<Shift> {
    if healthy.len() < FEWEST || degraded.len() < FEWEST {
        return None;
    }
    let (before, after) = (median(healthy.iter().copied())?, median(degraded.iter().copied())?);
    // a median scatters 1.25 times as wide as a mean; a tenth of the level is the least that is believed of a short sample
    let spread = robust_deviation(healthy)?.max(0.1 * before.abs()).max(0.1);
    let scatter = 1.25 * spread * (1.0 / healthy.len() as f64 + 1.0 / degraded.len() as f64).sqrt();
    let added = degraded.len() as f64 * (after - before);
    Some(Shift { before, after, z: (after - before) / scatter, added })
}

/// Times of single requests, in milliseconds.
#[derive(Debug)]
pub(crate) struct Times {
    gaps: BTreeMap<(Spot, Spot), Vec<f64>>,
    own: BTreeMap<(Spot, u32), Vec<f64>>,
}

impl Times {
    pub(crate) fn of(recording: &Recording) -> Self {
        Self { gaps: gaps(recording), own: own(recording) }
    }
}

/// Puts network gaps and slow own parts on the scene.
pub(crate) fn testify(scene: &mut Scene, healthy: &Times, degraded: &Recording, words: &Words<'_>) {
    let worthwhile = CARE * request_ms(degraded);
    let now = Times::of(degraded);
    let pairs = healthy.gaps.iter().filter_map(|(edge, before)| Some((*edge, before, now.gaps.get(edge)?)));
    let shifts = pairs.filter_map(|(edge, before, after)| Some((edge, shift(before, after)?))).collect();
    for (spot, vote) in networks(scene, &shifts, worthwhile) {
        scene.vote(spot, vote);
    }
    own_times(scene, &healthy.own, &now.own, worthwhile, words);
}

/// Network gaps told from samples per bucket of both sides of the calls.
pub(crate) fn of_edges(scene: &Scene) -> Vec<(Spot, Vote)> {
    let series = |spot: Spot, channel| scene.component(spot).series.get(&channel);
    let total =
        |spot: Spot, channel| series(spot, channel).map_or(0.0, |s: &Series| known(&s.degraded).sum::<f64>());
    let mut shifts = BTreeMap::new();
    for edge in &scene.edges {
        let Some(gap) = &edge.gap else { continue };
        let asked = total(edge.to, Channel::Requests) * edge.share.unwrap_or(1.0);
        if let Some(shift) = shift_of_series(gap, asked) {
            shifts.insert((edge.from, edge.to), shift);
        }
    }
    let target = scene.target.component;
    let felt = series(target, Channel::Latency).and_then(|s| median(known(&s.degraded))).unwrap_or(0.0);
    networks(scene, &shifts, CARE * felt * total(target, Channel::Requests))
}

/// The worst of the degraded buckets, as the onset may lie in the first, against single healthy ones. A median over few calls
/// jumps: the healthy spread is no smaller than the upper tenth says.
fn shift_of_series(gap: &Series, asked: f64) -> Option<Shift> {
    let healthy: Vec<f64> = known(&gap.healthy).chain(known(&gap.lead)).collect();
    let before = median(healthy.iter().copied())?;
    let after = known(&gap.degraded).max_by(f64::total_cmp)?;
    let upper = quantile(&healthy, 0.9)? - before;
    let spread = robust_deviation(&healthy)?.max(upper / NORMAL_UPPER_TENTH).max(0.1 * before.abs()).max(0.1);
    Some(Shift { before, after, z: (after - before) / spread, added: asked * (after - before) })
}

/// Time of all requests together, as the ones who sent them felt it, in milliseconds.
fn request_ms(recording: &Recording) -> f64 {
    recording
        .spans
        .iter()
        .zip(&recording.parent)
        .filter(|(_, p)| p.is_none())
        .map(|(s, _)| s.nanos() / 1e6)
        .sum()
}

/// Client time minus server time of every answered call, in milliseconds, by caller and callee.
fn gaps(recording: &Recording) -> BTreeMap<(Spot, Spot), Vec<f64>> {
    let mut gaps: BTreeMap<(Spot, Spot), Vec<f64>> = BTreeMap::new();
    for (i, span) in recording.spans.iter().enumerate() {
        if let Some(server) = recording.served_by(i) {
            let served = &recording.spans[server];
            gaps.entry((span.component, served.component))
                .or_default()
                .push((span.nanos() - served.nanos()) / 1e6);
        }
    }
    gaps
}

fn networks(scene: &Scene, shifts: &BTreeMap<(Spot, Spot), Shift>, worthwhile: f64) -> Vec<(Spot, Vote)> {
    let mut votes = Vec::new();
    let shifted = |s: &Shift| s.z > SHIFTED_SPREADS && s.after - s.before > SHIFTED_MS;
    let worth = |s: &Shift| if shifted(s) { s.z.min(EDGE_CAP) } else { -CALM_EDGE };
    let all: f64 = shifts.values().filter(|s| shifted(s)).map(|s| s.added).sum();
    for spot in scene.spots() {
        let incoming: f64 = shifts.iter().filter(|((_, to), _)| *to == spot).map(|(_, s)| worth(s)).sum();
        let outgoing: f64 = shifts.iter().filter(|((from, _), _)| *from == spot).map(|(_, s)| worth(s)).sum();
        let score = incoming.max(incoming + outgoing);
        if score <= 0.0 {
            continue;
        }
        let around = || shifts.iter().filter(|((from, to), s)| (*to == spot || *from == spot) && shifted(s));
        let added: f64 = around().map(|(_, s)| s.added).sum();
        let worst = around().max_by(|a, b| a.1.added.total_cmp(&b.1.added));
        if let Some(((from, to), shift)) = worst {
            let note = format!(
                "median ms that {} waits for {} beyond the work of the latter",
                scene.component(*from).name,
                scene.component(*to).name
            );
            let part = added / all.max(worthwhile);
            let llr = ((NET_WEIGHT * score).min(NET_CAP) + (part / NAMED_PART).ln()).max(0.0);
            votes.push((
                spot,
                Vote { sign: Sign::NetGap, llr, healthy: shift.before, degraded: shift.after, note },
            ));
        }
    }
    votes
}

/// Own time of every span in milliseconds, by operation: its length without what its children cover, nor what siblings cover
/// that wait for another component (event loops leave their client spans beside the handler's, not below).
fn own(recording: &Recording) -> BTreeMap<(Spot, u32), Vec<f64>> {
    let mut own: BTreeMap<(Spot, u32), Vec<f64>> = BTreeMap::new();
    let waits = |span: usize| recording.served_by(span).is_some();
    for (i, span) in recording.spans.iter().enumerate() {
        // what a client span waits for is the network's or the callee's
        if waits(i) {
            continue;
        }
        let mut covers: Vec<(u64, u64)> = recording.children[i]
            .iter()
            .chain(recording.parent[i].iter().flat_map(|&p| &recording.children[p]).filter(|&&c| waits(c)))
            .map(|&c| (recording.spans[c].start, recording.spans[c].end))
            .collect();
        covers.sort_unstable();
        let mut covered = 0;
        let mut upto = span.start;
        for (start, end) in covers {
            let (from, to) = (start.clamp(upto, span.end.max(upto)), end.clamp(upto, span.end.max(upto)));
            covered += to - from;
            upto = upto.max(to);
        }
        let nanos = span.end.saturating_sub(span.start).saturating_sub(covered);
        own.entry((span.component, span.operation)).or_default().push(nanos as f64 / 1e6);
    }
    own
}

fn own_times(
    scene: &mut Scene,
    healthy: &BTreeMap<(Spot, u32), Vec<f64>>,
    degraded: &BTreeMap<(Spot, u32), Vec<f64>>,
    worthwhile: f64,
    words: &Words<'_>,
) {
    // added milliseconds by component, and its operation that adds most
    let mut added: BTreeMap<Spot, (f64, f64, u32, Shift)> = BTreeMap::new();
    for (key, before) in healthy {
        let Some(after) = degraded.get(key) else { continue };
        let Some(shift) = shift(before, after) else { continue };
        if shift.z <= SHIFTED_SPREADS {
            continue;
        }
        let more = shift.added;
        let total = added.get(&key.0).map_or(0.0, |a| a.0) + more;
        match added.get_mut(&key.0) {
            Some(known) if known.1 >= more => known.0 = total,
            _ => {
                added.insert(key.0, (total, more, key.1, shift));
            }
        }
    }
    let all = added.values().map(|a| a.0).sum::<f64>().max(worthwhile);
    for (spot, (total, _, operation, shift)) in added {
        let llr = (total / all / NAMED_PART).ln();
        if llr > 0.0 {
            let note = format!(
                "median ms of its own in {}; {:.0} % of all added own time is here",
                words.operation(operation),
                100.0 * total / all
            );
            scene.vote(
                spot,
                Vote { sign: Sign::SlowSpans, llr, healthy: shift.before, degraded: shift.after, note },
            );
        }
    }
}
