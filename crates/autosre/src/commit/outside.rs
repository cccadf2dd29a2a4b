//! Causes that are no commit, as they show in alarms, logs and notices.

use super::symptoms::{Symptoms, disturbed, growth};
use super::{CommitScene, piece, words};
use crate::rank::Evidence;

/// Kinds of causes outside of the code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outside {
    /// A certificate or credential ran out.
    Certificate,
    /// Names are not resolved, or the network does not carry.
    Network,
    /// Somebody else's service is down, or says so.
    Provider,
    /// A record that cannot be processed comes again and again.
    Data,
    /// The machine or its neighbours.
    Machine,
    /// A quota of the account is used up.
    Quota,
    /// More is asked than ever.
    Surge,
}

/// What a sign that is a cause by itself says for "none of them", in nats: odds of twenty to one.
const CAUSE: f64 = 3.0;
/// What a sign says that is as often the effect of a change: a disk that is full, traffic that grew, a host that may be one's own.
const EFFECT: f64 = 1.0;
/// What each further kind of sign adds.
const FURTHER: f64 = 1.0;
/// Growth of the traffic of the alarming component that is no daily wave.
const SURGE_GROWTH: f64 = 1.5;

/// Signs, in the words of the libraries and platforms that write them.
const SIGNS: &[(Outside, f64, &str)] = &[
    (
        Outside::Certificate,
        CAUSE,
        "certificate has expired|certificate expired|cert expired|certificate is not yet valid|notafter|\
     license expired|api key expired|credentials have expired",
    ),
    (
        Outside::Network,
        CAUSE,
        "no such host|enotfound|servfail|name resolution|server misbehaving|nxdomain|eai_again|no route to host|\
     network is unreachable|network partition|packet loss|bgp",
    ),
    (
        Outside::Provider,
        CAUSE,
        "provider outage|provider degraded|provider incident|status page|third-party|third party|\
     external provider|partial outage|major outage|region outage|regional outage|zone outage",
    ),
    (
        Outside::Data,
        CAUSE,
        "same offset|same record|poison|malformed record|malformed message|corrupt record|bad record|bad data",
    ),
    (
        Outside::Machine,
        CAUSE,
        "node cpu|cpu contention|noisy neighbor|noisy neighbour|node not ready|nodenotready|cpu steal|preempted|\
     spot interruption|instance terminated|node drain|cordon|kernel panic|hardware error|i/o error|\
     disk failure|ecc error",
    ),
    (Outside::Machine, EFFECT, "no space left|disk pressure|diskpressure|read-only file system|evicted"),
    (
        Outside::Quota,
        CAUSE,
        "quota exceeded|quotaexceeded|insufficient_quota|account limit|billing account|subscription expired|\
     quota exhausted",
    ),
    (
        Outside::Surge,
        CAUSE,
        "traffic surge|traffic spike|load spike|load surge|flash sale|marketing campaign|ddos|botnet",
    ),
];

/// Ends of names of hosts that are somebody else's.
const FOREIGN: &str = ".com|.io|.net|.org|.ai|.dev|.cloud";
/// How a host that is itself in trouble answers; a wrong request is answered otherwise.
const DOWN: &str = "500|502|503|504|529|unavailable|overloaded|degraded|outage|timeout|timed out";

/// A foreign host that a text complains of.
fn failing_host(text: &str) -> Option<&str> {
    let mut hosts = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '.' || c == '-'));
    let host = hosts
        .find(|h| FOREIGN.split('|').any(|end| h.strip_suffix(end).is_some_and(|rest| rest.len() > 1)))?;
    DOWN.split('|').any(|word| words::has(text, word)).then_some(host)
}

/// Traffic that grew: a cause if it grew for several components and stayed as it was for none (a change that asks more than before
/// is not felt above it), else as likely an effect.
fn surge(scene: &CommitScene) -> Option<(Outside, f64, String)> {
    let asked = scene.metrics.iter().filter(|m| {
        let name = m.name.to_lowercase();
        ["request", "rps", "qps", "traffic"].iter().any(|w| words::has(&name, w))
            && !["error", "duration", "latency", "fail", "per_request"].iter().any(|w| name.contains(w))
    });
    let (grown, others): (Vec<_>, Vec<_>) =
        asked.partition(|m| disturbed(m).is_some() && growth(m).is_some_and(|g| g > SURGE_GROWTH));
    let mine = grown.iter().any(|m| m.component == scene.alarm.component);
    let everywhere = grown.len() > 1 && others.iter().all(|m| disturbed(m).is_some());
    let named: Vec<&str> = grown.iter().map(|m| m.component.as_str()).collect();
    (mine || everywhere).then(|| {
        let llr = if everywhere { CAUSE } else { EFFECT };
        (Outside::Surge, llr, format!("traffic grew at {}", named.join(", ")))
    })
}

/// The kinds that show, strongest first.
pub(super) fn found(scene: &CommitScene, symptoms: &Symptoms) -> Vec<(Outside, Evidence)> {
    let notices: Vec<String> = scene.notices.iter().map(|n| n.to_lowercase()).collect();
    let texts = || symptoms.texts.iter().chain(&notices);
    let mut found: Vec<(Outside, f64, String)> = Vec::new();
    for (kind, llr, signs) in SIGNS {
        let seen: Vec<&str> =
            signs.split('|').filter(|sign| texts().any(|text| words::has(text, sign))).collect();
        if !seen.is_empty() {
            found.push((*kind, *llr, seen.join(", ")));
        }
    }
    if !notices.is_empty() {
        found.push((
            Outside::Provider,
            CAUSE,
            String::from("the platform or a provider reports trouble of its own"),
        ));
    }
    if let Some(host) = texts().find_map(|text| failing_host(text)) {
        found.push((Outside::Provider, EFFECT, format!("{host} does not serve")));
    }
    found.extend(surge(scene));
    found.sort_by(|a, b| b.1.total_cmp(&a.1));
    found
        .into_iter()
        .enumerate()
        .map(|(at, (kind, llr, note))| {
            let llr = if at == 0 { llr } else { llr.min(FURTHER) };
            (kind, piece("outside of the code", llr, note))
        })
        .collect()
}
