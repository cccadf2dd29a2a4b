//! Ranked causes for a scene, each with its evidence, what speaks against it, and the path to the one who suffers.

use crate::arith::{known, median, robust_deviation};
use crate::flow::{Flow, Ground, View};
use crate::gate::Gate;
use crate::pool::{Dependents, shared_fate};
use crate::scene::{Aspect, Channel, Scene, Sign, Spot, Vote};
use crate::spread::{Alarms, likelihood, path};
use crate::{edges, gaps};

/// Ranks what may have caused the trouble in a scene.
///
/// **Contract**: a pure function of the scene. Channels that are absent are not held against anyone; what would have
/// helped is named in [`Ranking::missing`]. When healthy times look like this too, totals blame nobody; signs, each of which
/// was set against its own healthy times, still do.
/// Probabilities of the candidates and of [`Ranking::unknown`] add up to one.
pub trait Ranker: Send + Sync {
    /// Ranks the components of a scene.
    fn rank(&self, scene: &Scene) -> Ranking;
}

/// What a fault looks like, told from the channel that speaks loudest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// It is slow by itself.
    Slow,
    /// It fails by itself.
    Failing,
    /// It lacks a resource.
    Saturated,
    /// The network around it is slow.
    Network,
    /// It no longer answers.
    Silent,
    /// It does something else than it used to.
    Behaviour,
    /// More is asked of it than ever.
    Overload,
}

/// One piece of evidence.
#[derive(Clone, Debug, PartialEq)]
pub struct Evidence {
    /// Which channel or sign it comes from.
    pub channel: &'static str,
    /// Weight in nats; negative speaks against.
    pub llr: f64,
    /// The figure while healthy.
    pub healthy: f64,
    /// The figure while degraded.
    pub degraded: f64,
    /// What the figure is, in words.
    pub note: String,
}

/// One step of a path, from the side of the user down.
#[derive(Clone, Debug, PartialEq)]
pub struct Hop {
    /// The dependent end.
    pub from: Spot,
    /// The depended-on end.
    pub to: Spot,
    /// Healthy and degraded level at the lower end, in the aspect of the target, where measured.
    pub level: Option<(f64, f64)>,
    /// Whether trouble was seen to pass here.
    pub seen: bool,
}

/// A possible cause.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// The component.
    pub component: Spot,
    /// Chance that it is the cause, among all candidates and the unknown.
    pub probability: f64,
    /// Sum of the weighted evidence in nats.
    pub score: f64,
    /// What the fault looks like.
    pub fault: Fault,
    /// The part of the target's loss that it adds by itself, 0..1, where totals were measured.
    pub part: Option<f64>,
    /// From the target to the component; empty when it is the target or no path is known.
    pub path: Vec<Hop>,
    /// What speaks for it, strongest first.
    pub evidence: Vec<Evidence>,
    /// What speaks against it, strongest first.
    pub against: Vec<Evidence>,
}

/// The answer for a scene.
#[derive(Clone, Debug)]
pub struct Ranking {
    /// Whether there is anything to explain.
    pub gate: Gate,
    /// Possible causes, likeliest first.
    pub candidates: Vec<Candidate>,
    /// Chance that the cause is none of them.
    pub unknown: f64,
    /// What could not be looked at.
    pub missing: Vec<String>,
}

/// The ranker that follows totals down the call graph and adds every other channel's weight.
#[derive(Clone, Debug, Default)]
pub struct GraphRanker;

/// The smallest part of the loss that is worth naming: its logarithm is the zero of the flow's weight.
const NAMED_PART: f64 = 0.02;
/// Own change, in healthy spreads, from which it counts (notes on methods §4.4: `softgate(z − 3)`).
const NOTICED_SPREADS: f64 = 3.0;
/// Deviations of a component's total from which it counts as troubled in the forward check.
const ALARM_SPREADS: f64 = 5.0;
/// Weight of the forward check: its terms are far from independent, so it decides between near equals only.
const CHECK_WEIGHT: f64 = 0.25;
/// Spread below which a change of a resource, in percentage points, is never news (notes on methods §4.3, R1).
const RESOURCE_FLOOR: f64 = 2.0;
/// Nats per spread of a resource beyond the noticed ones, and the most one resource may say.
const RESOURCE_SLOPE: f64 = 0.5;
/// The most one resource may say, in nats: a saturated bystander must not outweigh an explained loss.
const RESOURCE_CAP: f64 = 4.0;
/// Spread below which a change of a resource without a known limit is never news, as a part of its healthy level: two days of the
/// same load differ by a few per cent (other requests, other collections of garbage) even where a quiet hour shows less.
const USED_FLOOR: f64 = 0.05;
/// Score of "something that is not in the scene".
const UNKNOWN_SCORE: f64 = 1.0;
/// Healthy stretches looked at for the gate: enough for a tail of a hundredth, few enough for an answer at once.
const GATE_STRETCHES: usize = 160;
/// The most one deviation adds to the statistic of the gate, so that a division by a tiny spread proves nothing.
const GATE_CAP: f64 = 30.0;

impl Ranker for GraphRanker {
    fn rank(&self, scene: &Scene) -> Ranking {
        let mut missing = scene.missing.clone();
        let mut looks = looks(scene, &mut missing);
        let gate = gate(&looks);
        if !gate.lets_through() {
            looks.clear();
        }
        let measured = measured_alarms(scene, &looks);
        let alarms = with_signs(scene, &measured);
        let carries: Vec<bool> =
            (0..scene.edges.len()).map(|e| looks.iter().any(|l| l.flow.carries[e])).collect();
        let shows: Vec<bool> = (0..scene.edges.len())
            .map(|e| looks.is_empty() || looks.iter().any(|l| l.flow.shows[e]))
            .collect();
        let votes = votes(scene);
        let mut candidates: Vec<Candidate> =
            scene.spots().filter_map(|spot| candidate(scene, spot, &looks, &votes)).collect();
        let checks: Vec<f64> =
            candidates.iter().map(|c| likelihood(scene, &measured, &shows, c.component)).collect();
        let best_check = checks.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        for (candidate, check) in candidates.iter_mut().zip(checks) {
            let llr = CHECK_WEIGHT * (check - best_check);
            candidate.score += llr;
            if llr < -0.5 {
                candidate.against.push(Evidence {
                    channel: "forward check",
                    llr,
                    healthy: best_check,
                    degraded: check,
                    note: "log-likelihood of who is troubled and who is not, if this were the cause"
                        .to_owned(),
                });
            }
            candidate.path = hops(scene, &looks, &alarms, &carries, candidate.component);
        }
        let unknown = softmax(&mut candidates);
        candidates.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.component.cmp(&b.component)));
        for candidate in &mut candidates {
            candidate.evidence.sort_by(|a, b| b.llr.total_cmp(&a.llr));
            candidate.against.sort_by(|a, b| a.llr.total_cmp(&b.llr));
        }
        Ranking { gate, candidates, unknown, missing }
    }
}

/// The scene seen in one aspect.
struct Look<'s> {
    aspect: Aspect,
    ground: Ground<'s>,
    flow: Flow,
}

fn looks<'s>(scene: &'s Scene, missing: &mut Vec<String>) -> Vec<Look<'s>> {
    let aspects = match scene.target.aspect {
        Some(aspect) => vec![aspect],
        None => vec![Aspect::Latency, Aspect::Errors],
    };
    let mut looks = Vec::new();
    for aspect in aspects {
        match Ground::new(scene, aspect) {
            Some(ground) => {
                let flow = ground.explain(View::Degraded);
                // an aspect nobody complained of is followed only where the target shows it
                if scene.target.aspect.is_some() || flow.target_z >= NOTICED_SPREADS {
                    looks.push(Look { aspect, ground, flow });
                }
            }
            None => missing.push(format!(
                "{} of {}",
                match aspect {
                    Aspect::Latency => "latency",
                    Aspect::Errors => "error ratio",
                },
                scene.component(scene.target.component).name
            )),
        }
    }
    looks
}

/// How bad a stretch looks: the target's deviation and that of the best explanation of it.
fn badness(flow: &Flow, target: usize) -> f64 {
    let own = flow
        .part
        .iter()
        .zip(&flow.z)
        .enumerate()
        .filter(|(v, _)| *v != target)
        .map(|(_, (part, z))| part * z.clamp(0.0, GATE_CAP))
        .fold(0.0, f64::max);
    flow.target_z.clamp(0.0, GATE_CAP).hypot(own)
}

fn gate(looks: &[Look<'_>]) -> Gate {
    // with several aspects the first that opens decides; each alone keeps its level
    let mut shut = None;
    for look in looks {
        let target = look.ground.target();
        let healthy: Vec<f64> = look
            .ground
            .stretches(GATE_STRETCHES)
            .into_iter()
            .map(|start| badness(&look.ground.explain(View::Healthy(start)), target))
            .collect();
        match Gate::test(badness(&look.flow, target), &healthy) {
            closed @ Gate::Shut { .. } => shut = Some(closed),
            open => return open,
        }
    }
    shut.unwrap_or(Gate::Untested { windows: 0 })
}

fn softgate(x: f64) -> f64 {
    -(-x).exp().ln_1p()
}

/// Signs of every component: those that were put on the scene and those that its edges show. One sign seen by two means (a
/// network gap in single spans and in samples per minute) is one witness, the louder one.
fn votes(scene: &Scene) -> Vec<Vec<Vote>> {
    let mut votes: Vec<Vec<Vote>> = scene.components.iter().map(|c| c.votes.clone()).collect();
    for (spot, vote) in gaps::of_edges(scene).into_iter().chain(edges::lost_calls(scene)) {
        let known = &mut votes[spot.index()];
        match known.iter_mut().find(|v| v.sign == vote.sign) {
            Some(same) if same.llr >= vote.llr => {}
            Some(same) => *same = vote,
            None => known.push(vote),
        }
    }
    votes
}

fn candidate(scene: &Scene, spot: Spot, looks: &[Look<'_>], votes: &[Vec<Vote>]) -> Option<Candidate> {
    let v = spot.index();
    let mut evidence = Vec::new();
    let mut part = None;
    for look in looks {
        let flow = &look.flow;
        if flow.part[v] <= 0.0 {
            continue;
        }
        part = Some(part.map_or(flow.part[v], |p: f64| p.max(flow.part[v])));
        let llr = (flow.part[v] / NAMED_PART).ln() + softgate(flow.z[v] - NOTICED_SPREADS);
        let (healthy, degraded) = look.ground.levels(v);
        evidence.push(Evidence {
            channel: match look.aspect {
                Aspect::Latency => Channel::Latency.name(),
                Aspect::Errors => Channel::ErrorRatio.name(),
            },
            llr,
            healthy,
            degraded,
            note: format!(
                "adds {:.0} % of the loss by itself; {:.1} spreads beyond what callees explain",
                100.0 * flow.part[v],
                flow.z[v]
            ),
        });
    }
    for look in looks {
        let measured: Vec<bool> = (0..scene.components.len()).map(|v| look.ground.measured(v)).collect();
        let dependents = Dependents { part: &look.flow.part, z: &look.flow.z, measured: &measured };
        evidence.extend(shared_fate(scene, spot, &dependents));
    }
    evidence.extend(Channel::RESOURCES.iter().filter_map(|&channel| resource(scene, spot, channel)));
    evidence.extend(Channel::USED.iter().filter_map(|&channel| used(scene, spot, channel)));
    evidence.extend(votes[v].iter().map(|vote| Evidence {
        channel: vote.sign.name(),
        llr: vote.llr,
        healthy: vote.healthy,
        degraded: vote.degraded,
        note: vote.note.clone(),
    }));
    let strongest = evidence.iter().max_by(|a, b| a.llr.total_cmp(&b.llr)).filter(|e| e.llr > 0.0)?;
    let fault = fault(strongest.channel);
    let score = evidence.iter().map(|e| e.llr).sum();
    let (evidence, against) = evidence.into_iter().partition(|e| e.llr >= 0.0);
    Some(Candidate {
        component: spot,
        probability: 0.0,
        score,
        fault,
        part,
        path: Vec::new(),
        evidence,
        against,
    })
}

fn resource(scene: &Scene, spot: Spot, channel: Channel) -> Option<Evidence> {
    let series = scene.component(spot).series.get(&channel)?;
    let level = median(known(&series.lead)).or_else(|| median(known(&series.healthy)))?;
    let spread = robust_deviation(&series.healthy).unwrap_or(0.0).max(RESOURCE_FLOOR);
    let degraded = known(&series.degraded).fold(f64::NEG_INFINITY, f64::max);
    let z = (degraded - level) / spread;
    (z > NOTICED_SPREADS).then(|| Evidence {
        channel: channel.name(),
        llr: (RESOURCE_SLOPE * (z - NOTICED_SPREADS)).min(RESOURCE_CAP),
        healthy: level,
        degraded,
        note: format!("{z:.1} spreads above the usual"),
    })
}

/// A resource in units whose limit is not known: how far it is above its own healthy level tells nothing of how near it is to the
/// end, but much of where something grew. What it says approaches the cap and never reaches it, so that of two resources that
/// grew the one that grew more goes first.
fn used(scene: &Scene, spot: Spot, channel: Channel) -> Option<Evidence> {
    let series = scene.component(spot).series.get(&channel)?;
    let level = median(known(&series.lead)).or_else(|| median(known(&series.healthy)))?;
    let spread = robust_deviation(&series.healthy).unwrap_or(0.0).max(USED_FLOOR * level.abs());
    let degraded = known(&series.degraded).fold(f64::NEG_INFINITY, f64::max);
    let z = (degraded - level) / spread;
    (z.is_finite() && z > NOTICED_SPREADS).then(|| {
        let nats = RESOURCE_SLOPE * (z - NOTICED_SPREADS);
        Evidence {
            channel: channel.name(),
            llr: RESOURCE_CAP * nats / (RESOURCE_CAP + nats),
            healthy: level,
            degraded,
            note: format!("{z:.1} spreads above its own usual; no limit is known"),
        }
    })
}

fn fault(channel: &str) -> Fault {
    let signs = [
        (Sign::SilentCallee, Fault::Silent),
        (Sign::Restart, Fault::Silent),
        (Sign::NetGap, Fault::Network),
        (Sign::Surge, Fault::Overload),
        (Sign::SlowSpans, Fault::Slow),
    ];
    if let Some((_, fault)) = signs.iter().find(|(sign, _)| sign.name() == channel) {
        return *fault;
    }
    if channel == Channel::Latency.name() {
        Fault::Slow
    } else if channel == Channel::ErrorRatio.name() {
        Fault::Failing
    } else if channel == "shared fate"
        || Channel::RESOURCES.iter().chain(&Channel::USED).any(|c| c.name() == channel)
    {
        Fault::Saturated
    } else {
        Fault::Behaviour
    }
}

/// Who shows trouble in totals, who was measured and shows none, and who was not measured.
fn measured_alarms(scene: &Scene, looks: &[Look<'_>]) -> Alarms {
    (0..scene.components.len())
        .map(|v| {
            looks
                .iter()
                .filter(|l| l.ground.measured(v))
                .map(|l| l.flow.change[v] > ALARM_SPREADS * l.ground.spread[v])
                .reduce(|a, b| a || b)
        })
        .collect()
}

/// The same with those who show signs: good enough to draw a path, too weak to speak against other causes.
fn with_signs(scene: &Scene, measured: &Alarms) -> Alarms {
    let signed = |v: usize| scene.components[v].votes.iter().any(|vote| vote.llr > 1.0);
    measured.iter().enumerate().map(|(v, alarm)| if signed(v) { Some(true) } else { *alarm }).collect()
}

fn hops(scene: &Scene, looks: &[Look<'_>], alarms: &Alarms, carries: &[bool], cause: Spot) -> Vec<Hop> {
    let Some((edges, _)) = path(scene, alarms, carries, cause) else { return Vec::new() };
    edges
        .into_iter()
        .map(|e| {
            let edge = &scene.edges[e];
            let level = looks
                .iter()
                .find(|l| l.ground.measured(edge.to.index()))
                .map(|l| l.ground.levels(edge.to.index()));
            Hop {
                from: edge.from,
                to: edge.to,
                level,
                seen: carries[e] || alarms[edge.to.index()] == Some(true),
            }
        })
        .collect()
}

/// Turns scores into probabilities and returns what is left for the unknown.
fn softmax(candidates: &mut [Candidate]) -> f64 {
    let top = candidates.iter().map(|c| c.score).fold(UNKNOWN_SCORE, f64::max);
    let unknown = (UNKNOWN_SCORE - top).exp();
    let total: f64 = unknown + candidates.iter().map(|c| (c.score - top).exp()).sum::<f64>();
    for candidate in candidates {
        candidate.probability = (candidate.score - top).exp() / total;
    }
    unknown / total
}
