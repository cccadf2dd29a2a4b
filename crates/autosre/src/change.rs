//! Which of several rollouts in flight is to blame for the trouble, or none of them.
//!
//! A rollout under way is an experiment that nobody meant: old and new copies serve side by side. What the new ones do
//! worse than the old ones at the same time is the strongest evidence; that the old ones do it too is a veto. The rest is
//! where calls fail, when that began, how much of the traffic it hits, and whether the new copies are heard of at all.
//! (Gandalf, NSDI'20, votes by place and time over all ongoing rollouts; ChangeRCA, FSE'24, adds the contrast of versions.)

use std::collections::{BTreeMap, BTreeSet};

use crate::arith::{median, robust_deviation};
use crate::rank::Evidence;

/// One bucket of one series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// End of the bucket in seconds, on the scene's clock.
    pub time: f64,
    /// What was measured; NaN when there was nothing to measure.
    pub value: f64,
    /// How many requests it stands for, where counted.
    pub requests: Option<f64>,
}

/// What a comparison of old and new copies measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// Share of the requests to the component that succeeded, 0..1.
    Served,
    /// Share of the component's own calls that succeeded, 0..1.
    Asked,
    /// Time per request; any unit.
    Latency,
}

/// New and old copies of a component, side by side.
#[derive(Clone, Debug)]
pub struct Contrast {
    /// What is compared.
    pub measure: Measure,
    /// What exactly, in words: the edge, the endpoint.
    pub about: String,
    /// The new copies.
    pub new: Vec<Sample>,
    /// The old copies, before the rollout and since.
    pub old: Vec<Sample>,
}

/// A change that is being rolled out.
#[derive(Clone, Debug)]
pub struct Rollout {
    /// What a person calls it.
    pub name: String,
    /// The component it changes.
    pub component: String,
    /// When it began, in seconds.
    pub started: f64,
    /// From when on which share of the traffic was on the new version, in order of time.
    pub exposure: Vec<(f64, f64)>,
    /// New copies that should be reporting, and how many do.
    pub copies: Option<(u32, u32)>,
    /// New against old.
    pub contrasts: Vec<Contrast>,
}

/// Calls from one component to another.
#[derive(Clone, Debug)]
pub struct Link {
    /// The caller.
    pub from: String,
    /// The callee.
    pub to: String,
    /// Share of them that succeeded, 0..1, by bucket.
    pub success: Vec<Sample>,
}

/// Everything the judge looks at.
#[derive(Clone, Debug)]
pub struct ChangeScene {
    /// The rollouts in question.
    pub rollouts: Vec<Rollout>,
    /// Who calls whom, and how it went.
    pub links: Vec<Link>,
    /// When the trouble was noticed, in seconds.
    pub noticed: f64,
    /// Up to when anything is known.
    pub now: f64,
    /// Seconds from bucket to bucket.
    pub bucket_seconds: f64,
}

/// One hypothesis and its weight.
#[derive(Clone, Debug)]
pub struct Judged {
    /// Which rollout, by its place in the scene; nothing for "none of them".
    pub rollout: Option<usize>,
    /// Chance of it.
    pub probability: f64,
    /// Sum of the evidence, in nats.
    pub score: f64,
    /// What speaks for it, strongest first.
    pub evidence: Vec<Evidence>,
    /// What speaks against it, strongest first.
    pub against: Vec<Evidence>,
}

/// Requests a bucket is taken to stand for where they were not counted: a minute of the slowest endpoint worth watching.
const UNCOUNTED_REQUESTS: f64 = 10.0;
/// Failures that are credited to the side without any: "never failed" of ten requests is not "cannot fail".
const HALF: f64 = 0.5;
/// The most one comparison may say, in nats.
const CONTRAST_CAP: f64 = 8.0;
/// The most a comparison of the component's own calls may say: what it calls may have its own trouble.
const ASKED_CAP: f64 = 4.0;
/// The most a comparison of latency may say: copies differ by machine and are slow while they warm up.
const LATENCY_CAP: f64 = 2.0;
/// Spread of log latency between like copies on unlike machines, at least.
const LATENCY_SPREAD: f64 = 0.35;
/// Seconds in which a new copy may be slow or silent: image pull, class loading, first connections, first scrape.
const WARM_UP_SECONDS: f64 = 60.0;
/// Chance that an innocent new copy is not heard of two warm-ups after it was ready, against a broken one's.
const SILENT: (f64, f64) = (0.02, 0.5);
/// Weight of a fault at the component's own door against one step further away, by steps: `1/(1+d)²`.
const DISTANCE_POWER: i32 = 2;
/// Weight left for trouble that no path leads to: the graph may miss an edge.
const UNREACHED: f64 = 0.02;
/// Loss of a link below which it does not suffer.
const LOSS_FLOOR: f64 = 0.02;
/// Seconds over which a rollout's suspicion falls by one nat (notes on methods §4.6: `exp(−age/τ)`).
const AGE_SECONDS: f64 = 300.0;
/// Seconds over which trouble that has nothing to do with a rollout may begin at any moment while it is in flight.
const IN_FLIGHT_SECONDS: f64 = 3600.0;
/// What a rollout that began after the trouble has against it.
const TOO_LATE: f64 = -8.0;
/// Failures of old copies, above what they had before the rollout, from which the veto is cast.
const VETO_LOSS: f64 = 0.05;
/// Log-likelihood ratio of new copies that do as well as the old: the change shows nothing at its own door, but may still
/// hurt others by what it says.
const CLEAN: f64 = -1.0;
/// Log-likelihood ratio of the veto: old copies show the same fault.
const VETO: f64 = -4.0;
/// Spread of the loss around what the exposure predicts.
const DOSE_SPREAD: f64 = 0.15;
/// The most an excess over the exposure speaks against a rollout: a bad answer may fail requests of good copies, too.
const DOSE_FLOOR: f64 = -2.0;
/// What an average rollout is credited with: it stands one step away from all that fails.
const AVERAGE_PLACE: f64 = 0.25;
/// Score of "none of them".
const NONE_SCORE: f64 = 0.5;

/// Judges rollouts.
///
/// **Contract**: a pure function of the scene. Every rollout is judged, and so is "none of them"; probabilities add up to
/// one; what was not measured speaks for nobody.
#[derive(Clone, Copy, Debug, Default)]
pub struct ChangeJudge;

impl ChangeJudge {
    /// All hypotheses, likeliest first.
    pub fn judge(&self, scene: &ChangeScene) -> Vec<Judged> {
        let losses = losses(scene);
        let onset = onset(scene, &losses);
        let mut judged: Vec<Judged> = scene
            .rollouts
            .iter()
            .enumerate()
            .map(|(i, rollout)| {
                let mut pieces = vec![
                    silence(scene, rollout),
                    place(scene, rollout, &losses),
                    timing(rollout, onset.unwrap_or(scene.noticed)),
                    dose(rollout, &losses),
                ];
                pieces.extend(rollout.contrasts.iter().map(|c| contrast(rollout, c)));
                weigh(Some(i), pieces.into_iter().flatten().collect())
            })
            .collect();
        judged.push(Judged {
            rollout: None,
            probability: 0.0,
            score: NONE_SCORE,
            evidence: Vec::new(),
            against: Vec::new(),
        });
        let top = judged.iter().map(|j| j.score).fold(f64::NEG_INFINITY, f64::max);
        let total: f64 = judged.iter().map(|j| (j.score - top).exp()).sum();
        for one in &mut judged {
            one.probability = (one.score - top).exp() / total;
        }
        judged.sort_by(|a, b| b.score.total_cmp(&a.score));
        judged
    }
}

fn weigh(rollout: Option<usize>, pieces: Vec<Evidence>) -> Judged {
    // several contrasts of one measure see the same requests from several sides: the strongest speaks for all
    let mut strongest: BTreeMap<&str, Evidence> = BTreeMap::new();
    for piece in pieces {
        match strongest.get(piece.channel) {
            Some(known) if known.llr.abs() >= piece.llr.abs() => {}
            _ => {
                strongest.insert(piece.channel, piece);
            }
        }
    }
    let score = strongest.values().map(|e| e.llr).sum();
    let (mut evidence, mut against): (Vec<_>, Vec<_>) = strongest.into_values().partition(|e| e.llr >= 0.0);
    evidence.sort_by(|a, b| b.llr.total_cmp(&a.llr));
    against.sort_by(|a, b| a.llr.total_cmp(&b.llr));
    Judged { rollout, probability: 0.0, score, evidence, against }
}

/// Where a link stood before and stands now.
struct Loss {
    from: String,
    to: String,
    before: f64,
    now: f64,
}

impl Loss {
    fn amount(&self) -> f64 {
        (self.before - self.now).max(0.0)
    }
}

fn first_start(scene: &ChangeScene) -> f64 {
    scene.rollouts.iter().map(|r| r.started).fold(scene.noticed, f64::min)
}

/// Links that lose more than their usual scatter. "Now" is from the bucket before the notice on: the notice itself is the
/// one moment at which there surely was trouble.
fn losses(scene: &ChangeScene) -> Vec<Loss> {
    let start = first_start(scene);
    scene
        .links
        .iter()
        .filter_map(|link| {
            let values = |from: f64, to: f64| -> Vec<f64> {
                link.success.iter().filter(|s| s.time >= from && s.time < to).map(|s| s.value).collect()
            };
            let (old, new) = (
                values(f64::NEG_INFINITY, start),
                values(scene.noticed - scene.bucket_seconds, f64::INFINITY),
            );
            let before = median(old.iter().copied())?;
            let known: Vec<f64> = new.into_iter().filter(|v| v.is_finite()).collect();
            if known.is_empty() {
                return None;
            }
            let now = known.iter().sum::<f64>() / known.len() as f64;
            let usual = robust_deviation(&old).unwrap_or(0.0);
            (before - now > LOSS_FLOOR + 3.0 * usual).then(|| Loss {
                from: link.from.clone(),
                to: link.to.clone(),
                before,
                now,
            })
        })
        .collect()
}

/// The first bucket in which a link that loses now lost already.
fn onset(scene: &ChangeScene, losses: &[Loss]) -> Option<f64> {
    let start = first_start(scene);
    let mut first: Option<f64> = None;
    for link in &scene.links {
        let Some(loss) = losses.iter().find(|l| l.from == link.from && l.to == link.to) else { continue };
        let half = loss.before - 0.5 * loss.amount();
        let began = link
            .success
            .iter()
            .filter(|s| s.time >= start && s.value < half)
            .map(|s| s.time)
            .fold(f64::INFINITY, f64::min);
        if began.is_finite() {
            first = Some(first.map_or(began, |f| f.min(began)));
        }
    }
    first
}

/// When the new version first had traffic; the start where no step was finished.
fn ready(rollout: &Rollout) -> f64 {
    rollout.exposure.first().map_or(rollout.started, |(time, _)| *time)
}

fn silence(scene: &ChangeScene, rollout: &Rollout) -> Option<Evidence> {
    let (expected, heard) = rollout.copies?;
    let waited = scene.now - rollout.exposure.first()?.0;
    if expected == 0 || waited < WARM_UP_SECONDS {
        return None;
    }
    // one that was ready two warm-ups ago and is not heard of counts in full
    let certain = ((waited - WARM_UP_SECONDS) / WARM_UP_SECONDS).clamp(0.0, 1.0);
    let (innocent, broken) = SILENT;
    let llr = if heard == 0 {
        certain * (broken / innocent).ln()
    } else if heard < expected {
        0.5 * certain * (broken / innocent).ln()
    } else {
        ((1.0 - broken) / (1.0 - innocent)).ln()
    };
    Some(Evidence {
        channel: "silent canary",
        llr,
        healthy: f64::from(expected),
        degraded: f64::from(heard),
        note: format!("new copies expected and heard of, {waited:.0} s after they were ready"),
    })
}

/// How much of the loss lies at the component's door or on the way to it.
fn place(scene: &ChangeScene, rollout: &Rollout, losses: &[Loss]) -> Option<Evidence> {
    let all: f64 = losses.iter().map(Loss::amount).sum();
    if all <= 0.0 {
        return None;
    }
    let mut near = 0.0;
    for loss in losses {
        let steps = distance(scene, &loss.to, &rollout.component);
        let weight = steps.map_or(UNREACHED, |d| 1.0 / f64::from(1 + d).powi(DISTANCE_POWER));
        near += weight.max(UNREACHED) * loss.amount();
    }
    Some(Evidence {
        channel: "place of the loss",
        llr: (near / all / AVERAGE_PLACE).ln(),
        healthy: 0.0,
        degraded: near / all,
        note: "share of what fails that lies at or above the component, less the further away".to_owned(),
    })
}

/// Calls from one component down to another; 0 when they are the same.
fn distance(scene: &ChangeScene, from: &str, to: &str) -> Option<u8> {
    let mut seen: BTreeSet<&str> = BTreeSet::from([from]);
    let mut front: Vec<&str> = vec![from];
    for steps in 0..8_u8 {
        if front.contains(&to) {
            return Some(steps);
        }
        let mut next = Vec::new();
        for link in &scene.links {
            if front.contains(&link.from.as_str()) && seen.insert(link.to.as_str()) {
                next.push(link.to.as_str());
            }
        }
        front = next;
    }
    None
}

/// Trouble follows its cause, and soon.
fn timing(rollout: &Rollout, onset: f64) -> Option<Evidence> {
    let lag = onset - ready(rollout);
    let (llr, note) = if onset < rollout.started {
        (TOO_LATE, "seconds from the trouble to the start: it began later")
    } else {
        // exponential after a cause, uniform without one
        let chance = (IN_FLIGHT_SECONDS / AGE_SECONDS).ln();
        (chance - lag.max(0.0) / AGE_SECONDS, "seconds from readiness to the trouble")
    };
    Some(Evidence { channel: "timing", llr, healthy: 0.0, degraded: lag, note: note.to_owned() })
}

/// A broken version fails at most the share of requests it gets: the loss at its own door, set against its exposure.
fn dose(rollout: &Rollout, losses: &[Loss]) -> Option<Evidence> {
    let (_, share) = *rollout.exposure.last()?;
    let door = losses.iter().filter(|l| l.to == rollout.component).map(Loss::amount).fold(0.0, f64::max);
    if door <= 0.0 {
        return None;
    }
    let excess = (door - share).max(0.0) / DOSE_SPREAD;
    Some(Evidence {
        channel: "dose",
        llr: (1.0 - 0.5 * excess * excess).max(DOSE_FLOOR),
        healthy: share,
        degraded: door,
        note: "share of traffic on the new version, and share of requests to the component that fail"
            .to_owned(),
    })
}

fn contrast(rollout: &Rollout, contrast: &Contrast) -> Option<Evidence> {
    let since = ready(rollout);
    let (concurrent, before): (Vec<Sample>, Vec<Sample>) = contrast.old.iter().partition(|s| s.time >= since);
    match contrast.measure {
        Measure::Served => successes(contrast, &before, &concurrent, "new against old", CONTRAST_CAP),
        Measure::Asked => successes(contrast, &before, &concurrent, "calls of new against old", ASKED_CAP),
        Measure::Latency => latencies(contrast, &concurrent, since),
    }
}

/// Failures and requests of some buckets.
fn failures(samples: &[Sample]) -> (f64, f64) {
    samples.iter().filter(|s| s.value.is_finite()).fold((0.0, 0.0), |(failed, all), s| {
        let requests = s.requests.unwrap_or(UNCOUNTED_REQUESTS);
        (failed + (1.0 - s.value).clamp(0.0, 1.0) * requests, all + requests)
    })
}

/// Log-likelihood ratio of "the new ones fail at their own rate" against "at the rate of the old ones".
fn successes(
    contrast: &Contrast,
    before: &[Sample],
    old: &[Sample],
    channel: &'static str,
    cap: f64,
) -> Option<Evidence> {
    let (failed, asked) = failures(&contrast.new);
    let (old_failed, old_asked) = failures(old);
    if asked <= 0.0 || old_asked <= 0.0 {
        return None;
    }
    let rate = (failed + HALF) / (asked + 2.0 * HALF);
    let usual = (old_failed + HALF) / (old_asked + 2.0 * HALF);
    let fit = |p: f64| failed * p.ln() + (asked - failed) * (1.0 - p).ln();
    let (before_failed, before_asked) = failures(before);
    let before = (before_failed + HALF) / (before_asked + 2.0 * HALF);
    let llr = if rate > usual {
        (fit(rate) - fit(usual)).clamp(0.0, cap)
    } else if before_asked > 0.0 && usual > before + VETO_LOSS {
        // the fault is where the change is not
        VETO
    } else {
        CLEAN
    };
    Some(Evidence {
        channel,
        llr,
        healthy: 1.0 - old_failed / old_asked,
        degraded: 1.0 - failed / asked,
        note: format!("success of {}: old copies, new copies, over the same minutes", contrast.about),
    })
}

fn latencies(contrast: &Contrast, old: &[Sample], since: f64) -> Option<Evidence> {
    let logs = |samples: &[Sample], from: f64| -> Vec<f64> {
        samples.iter().filter(|s| s.time >= from && s.value > 0.0).map(|s| s.value.ln()).collect()
    };
    let (new, old) = (logs(&contrast.new, since + 2.0 * WARM_UP_SECONDS), logs(old, since));
    let (now, usual) = (median(new.iter().copied())?, median(old.iter().copied())?);
    let spread = robust_deviation(&old).unwrap_or(0.0).max(LATENCY_SPREAD);
    let z = (now - usual) / spread;
    (z > 1.0).then(|| Evidence {
        channel: "latency of new against old",
        llr: (0.5 * (z * z - 1.0)).min(LATENCY_CAP),
        healthy: usual.exp(),
        degraded: now.exp(),
        note: format!("median of {}: old copies, new copies, over the same minutes", contrast.about),
    })
}
