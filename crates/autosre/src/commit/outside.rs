//! Causes that no commit of ours is: what each of them looks like, so that "none of the changes" is a hypothesis with evidence of its own.
//!
//! Sentences are the clearest: systems say `certificate has expired` or `no such host` and mean it. Beside them stand measures that only
//! such a cause moves: more users at the door, a node that is full, a countdown that ran out.

use super::symptoms::{Departure, Said, Symptoms};
use super::words::{any, words};
use super::{CommitScene, Remedy};
use crate::rank::Evidence;

/// A kind of outside cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outside {
    /// More is asked than ever, from the door on.
    Surge,
    /// A party that is not ours fails.
    Provider,
    /// A certificate ran out.
    Certificate,
    /// Names are not resolved.
    Names,
    /// A machine or its neighbours lack something.
    Node,
    /// A disk is full or broken.
    Disk,
    /// The network loses or delays.
    Network,
    /// What came in is not what was agreed.
    Data,
    /// Clocks disagree.
    Clock,
    /// A secret, a licence or a quota ran out.
    Lapsed,
    /// Somebody or something at work: a job, a failover, maintenance.
    Operation,
}

struct Row {
    kind: Outside,
    /// In words.
    name: &'static str,
    /// Each is a set of patterns that have to meet in one sentence.
    says: &'static [&'static [&'static str]],
    /// Each is a set of patterns that have to meet in the name of a measure that departed.
    moves: &'static [&'static [&'static str]],
    /// Nats of a sentence; the measure counts the same.
    weight: f64,
    remedy: Remedy,
}

/// Nats of a sentence that can hardly mean anything else (odds of thirty to one).
const PLAIN: f64 = 3.4;
/// Nats of a sentence that code writes too, now and then (odds of seven to one).
const LIKELY: f64 = 2.0;
/// Nats of a sentence that code writes as often (odds of three to one).
const HINT: f64 = 1.1;
/// The most a second witness adds: a measure beside a sentence, or a third component's word.
const WITNESS: f64 = 1.0;
/// Growth at the door from which it is a surge: half as much again is beyond the reserve that services are run with (SRE book, ch. 22:
/// overload begins well before twice the load).
const SURGE: f64 = 1.5;
/// Growth that is beyond doubt.
const SURGE_PLAIN: f64 = 3.0;

static ROWS: &[Row] = &[
    Row {
        kind: Outside::Certificate,
        name: "a certificate ran out",
        says: &[
            &["cert*", "expir*"],
            &["x509", "expir*"],
            &["cert*", "notafter"],
            &["cert*", "not", "yet", "valid"],
            &["ssl", "expir*"],
            &["tls", "expir*"],
        ],
        moves: &[],
        weight: PLAIN,
        remedy: Remedy::RotateCertificate,
    },
    Row {
        kind: Outside::Names,
        name: "names are not resolved",
        says: &[
            &["nxdomain"],
            &["servfail"],
            &["no", "such", "host"],
            &["name", "resolution"],
            &["could", "not", "resolve"],
            &["enotfound"],
            &["eai", "again"],
            &["dns", "fail*"],
            &["dns", "timeout*"],
            &["dns", "lookup*"],
            &["coredns"],
            &["resolver", "timeout*"],
            &["unknownhost*"],
        ],
        moves: &[&["dns"], &["coredns"]],
        weight: PLAIN,
        remedy: Remedy::Repair,
    },
    Row {
        kind: Outside::Disk,
        name: "a disk is full or broken",
        says: &[
            &["no", "space", "left"],
            &["disk", "full"],
            &["disk", "pressure"],
            &["diskpressure"],
            &["read", "only", "file", "system"],
            &["enospc"],
            &["input", "output", "error"],
            &["volume", "full"],
        ],
        moves: &[&["disk*", "us*"], &["filesystem*"], &["volume", "us*"], &["inode*"]],
        weight: LIKELY,
        remedy: Remedy::Repair,
    },
    Row {
        kind: Outside::Node,
        name: "a machine or a neighbour on it",
        says: &[
            &["node", "pressure"],
            &["nodeunderpressure"],
            &["node", "under", "load"],
            &["node", "contended"],
            &["node", "notready"],
            &["node", "not", "ready"],
            &["nodenotready"],
            &["node", "drain*"],
            &["node", "cordon*"],
            &["node", "preempt*"],
            &["spot", "interrupt*"],
            &["node", "reboot*"],
            &["kernel", "panic"],
            &["noisy", "neighbo*"],
            &["co", "tenant"],
            &["cpu", "steal"],
            &["hypervisor"],
            &["host", "maintenance"],
            &["instance", "retire*"],
            &["node", "fail*"],
            &["node", "memorypressure"],
        ],
        moves: &[
            &["node", "cpu"],
            &["node", "memory"],
            &["node", "load*"],
            &["steal"],
            &["node", "pressure"],
            &["iowait"],
            &["node", "not*"],
        ],
        weight: LIKELY,
        remedy: Remedy::Reschedule,
    },
    Row {
        kind: Outside::Provider,
        name: "a party that is not ours fails",
        says: &[
            &["provider", "fail*"],
            &["provider", "unavailab*"],
            &["provider", "outage"],
            &["provider", "timeout*"],
            &["provider", "degraded"],
            &["provider", "503"],
            &["provider", "500"],
            &["provider", "502"],
            &["provider", "error*"],
            &["provider", "return*"],
            &["third", "party"],
            &["vendor"],
            &["external", "api"],
            &["external", "fail*"],
            &["external", "timeout*"],
            &["external", "503"],
            &["status", "page"],
            &["statuspage"],
            &["acquirer"],
            &["issuer", "unavailab*"],
            &["carrier", "unavailab*"],
            &["cloud", "outage"],
            &["region", "outage"],
            &["zone", "outage"],
            &["availability", "zone"],
        ],
        moves: &[&["provider"], &["external"], &["third", "party"], &["vendor"], &["partner"]],
        weight: LIKELY,
        remedy: Remedy::Failover,
    },
    Row {
        kind: Outside::Network,
        name: "the network loses or delays",
        says: &[
            &["packet", "loss"],
            &["no", "route", "to", "host"],
            &["network", "unreachable"],
            &["network", "partition*"],
            &["link", "flap*"],
            &["bgp"],
            &["cross", "zone", "latency"],
            &["interface", "down"],
            &["split", "brain"],
        ],
        moves: &[&["packet*", "loss"], &["packet*", "drop*"], &["retransmi*"], &["rtt"]],
        weight: LIKELY,
        remedy: Remedy::Repair,
    },
    Row {
        kind: Outside::Clock,
        name: "clocks disagree",
        says: &[
            &["clock", "skew"],
            &["clock", "drift*"],
            &["clock", "offset"],
            &["clock", "jump*"],
            &["clock", "step*"],
            &["ntp"],
            &["ntpd"],
            &["chrony*"],
            &["time", "sync*"],
            &["leap", "second"],
            &["timestamp", "future"],
        ],
        moves: &[&["clock"], &["ntp"], &["time", "offset"]],
        weight: PLAIN,
        remedy: Remedy::Repair,
    },
    Row {
        kind: Outside::Surge,
        name: "more is asked than ever",
        says: &[
            &["traffic", "spike*"],
            &["traffic", "surge*"],
            &["flash", "sale"],
            &["flash", "crowd"],
            &["bot", "traffic"],
            &["crawler*"],
            &["ddos"],
            &["scrap*", "traffic"],
            &["credential", "stuffing"],
            &["campaign"],
            &["promo*"],
            &["unusual", "traffic"],
            &["autoscal*", "max*"],
            &["autoscal*", "limit*"],
            &["hpa", "max*"],
        ],
        moves: &[],
        weight: LIKELY,
        remedy: Remedy::Scale,
    },
    Row {
        kind: Outside::Lapsed,
        name: "a secret, a licence or a quota ran out",
        says: &[
            &["api", "key", "expir*"],
            &["api", "key", "revoked"],
            &["credential*", "expir*"],
            &["secret", "expir*"],
            &["password", "expir*"],
            &["licen*", "expir*"],
            &["quota", "exceed*"],
            &["quota", "exhaust*"],
            &["billing"],
            &["subscription", "expir*"],
            &["account", "suspend*"],
            &["key", "rotat*"],
            &["domain", "expir*"],
        ],
        moves: &[&["quota"]],
        weight: LIKELY,
        remedy: Remedy::Repair,
    },
    Row {
        kind: Outside::Data,
        name: "what came in is not what was agreed",
        says: &[
            &["feed", "malformed"],
            &["feed", "invalid"],
            &["supplier"],
            &["partner", "malformed"],
            &["partner", "invalid"],
            &["partner", "payload"],
            &["partner", "feed"],
            &["poison"],
            &["corrupt*", "record*"],
            &["corrupt*", "file*"],
            &["corrupt*", "row*"],
            &["bad", "record*"],
            &["bad", "data"],
            &["import", "malformed"],
            &["import", "invalid"],
            &["upload*", "malformed"],
            &["malformed", "record*"],
            &["malformed", "row*"],
            &["dataset"],
            &["data", "quality"],
            &["backfill"],
            &["oversized", "tenant"],
        ],
        moves: &[&["malformed"], &["poison"], &["corrupt*"], &["feed"]],
        weight: LIKELY,
        remedy: Remedy::Repair,
    },
    Row {
        kind: Outside::Operation,
        name: "somebody or something at work",
        says: &[
            &["failover"],
            &["failed", "over"],
            &["leader", "election"],
            &["new", "primary"],
            &["promot*", "primary"],
            &["maintenance"],
            &["autovacuum"],
            &["backup", "start*"],
            &["snapshot", "start*"],
            &["cron", "job"],
            &["batch", "job"],
            &["scheduled", "job"],
            &["manual*"],
            &["operator"],
            &["replica*", "lag"],
        ],
        moves: &[&["replica*", "lag"], &["failover*"]],
        weight: HINT,
        remedy: Remedy::Repair,
    },
];

/// What speaks for one kind.
#[derive(Clone, Debug)]
pub(super) struct Sighted {
    /// Which.
    pub(super) kind: Outside,
    /// In words.
    pub(super) name: &'static str,
    /// What to do about it.
    pub(super) remedy: Remedy,
    /// The evidence, strongest first.
    pub(super) evidence: Vec<Evidence>,
}

impl Sighted {
    /// Nats in all.
    pub(super) fn weight(&self) -> f64 {
        self.evidence.iter().map(|e| e.llr).sum()
    }
}

/// Every kind that anything speaks for, the plainest first.
pub(super) fn sighted(scene: &CommitScene, symptoms: &Symptoms) -> Vec<Sighted> {
    let mut all: Vec<Sighted> = ROWS
        .iter()
        .map(|row| {
            let mut evidence: Vec<Evidence> = sentences(row, symptoms).into_iter().collect();
            evidence.extend(measures(row, symptoms));
            match row.kind {
                Outside::Surge => evidence.extend(surge(scene, symptoms)),
                Outside::Certificate => evidence.extend(ran_out(scene, symptoms)),
                Outside::Provider => evidence.extend(foreign(symptoms)),
                _ => {}
            }
            evidence.sort_by(|a, b| b.llr.total_cmp(&a.llr));
            // the strongest counts in full; others see the same thing
            for (at, one) in evidence.iter_mut().enumerate().skip(1) {
                one.llr = (one.llr * 0.5).min(WITNESS / at as f64);
            }
            evidence.truncate(3);
            Sighted { kind: row.kind, name: row.name, remedy: row.remedy, evidence }
        })
        .filter(|s| !s.evidence.is_empty())
        .collect();
    all.sort_by(|a, b| b.weight().total_cmp(&a.weight()));
    all
}

fn meet(sentence: &[String], patterns: &[&str]) -> bool {
    patterns.iter().all(|p| sentence.iter().any(|w| any(w, &[p])))
}

fn sentences(row: &Row, symptoms: &Symptoms) -> Option<Evidence> {
    let fits = |s: &&Said| row.says.iter().any(|patterns| meet(&s.words, patterns));
    let heard: Vec<&Said> = symptoms.said.iter().filter(fits).collect();
    let best = heard.iter().max_by(|a, b| a.weight.total_cmp(&b.weight))?;
    // a neutral sentence is an event: it happened, but nobody says that it hurts
    let llr = if heard.iter().any(|s| s.bad) { row.weight } else { 0.5 * row.weight };
    Some(Evidence {
        channel: "sentence",
        llr,
        healthy: 0.0,
        degraded: heard.len() as f64,
        note: format!("{}: {}", best.component, best.text),
    })
}

fn measures(row: &Row, symptoms: &Symptoms) -> Option<Evidence> {
    let fits = |d: &&Departure| {
        let name = words(&d.metric);
        row.moves.iter().any(|patterns| meet(&name, patterns))
    };
    let moved = symptoms.departures.iter().find(fits)?;
    // a resource that follows the trouble is a symptom like any other
    let first = symptoms.onset.is_none_or(|onset| moved.onset <= onset + 2.0 * symptoms.slack);
    Some(Evidence {
        channel: "measure",
        llr: if first { row.weight } else { 0.5 * row.weight },
        healthy: moved.before,
        degraded: moved.now,
        note: format!("{} of {} left its range", moved.metric, moved.component),
    })
}

/// More at the door: requests of components that nobody asks, or of all alike, before or as the trouble began.
fn surge(scene: &CommitScene, symptoms: &Symptoms) -> Option<Evidence> {
    let asked = [
        "rps",
        "request*",
        "qps",
        "traffic",
        "throughput",
        "visit*",
        "session*",
        "hits",
        "messages",
        "connections",
        "logins",
        "checkouts",
        "orders",
    ];
    let bad = [
        "error*", "fail*", "latency", "duration", "ratio", "queue*", "wait*", "active", "pool", "inflight",
        "retry*", "retries", "pending", "p99", "timeout*",
    ];
    let counts = |name: &str| {
        let name = words(name);
        name.iter().any(|w| any(w, &asked)) && !name.iter().any(|w| any(w, &bad))
    };
    let doors = |component: &str| {
        let inward = symptoms.asks.iter().any(|(caller, callee)| {
            callee == component && caller != component && !caller.starts_with("kube")
        });
        let named = words(component).iter().any(|w| {
            any(
                w,
                &["front*", "gateway*", "edge*", "ingress", "lb", "web", "proxy", "cdn", "storefront", "bff"],
            )
        });
        named || !inward
    };
    let rates: Vec<_> = scene.metrics.iter().filter(|m| counts(&m.name)).collect();
    let risen: Vec<&Departure> = symptoms
        .departures
        .iter()
        .filter(|d| counts(&d.metric) && d.before > 0.0 && d.now >= SURGE * d.before)
        .collect();
    let best = risen
        .iter()
        .filter(|d| doors(&d.component))
        .max_by(|a, b| (a.now / a.before).total_cmp(&(b.now / b.before)))?;
    // a caller whose requests stay as they were did not bring more of them
    let steady = rates.iter().any(|m| {
        let calls = symptoms.asks.contains(&(m.component.clone(), best.component.clone()));
        calls && !risen.iter().any(|d| d.component == m.component)
    });
    let early = symptoms.alarmed.or(symptoms.onset).is_none_or(|t| best.onset <= t + 2.0 * symptoms.slack);
    if steady || !early {
        return None;
    }
    let size = ((best.now / best.before).ln() / SURGE_PLAIN.ln()).min(1.0);
    Some(Evidence {
        channel: "surge",
        llr: PLAIN * size,
        healthy: best.before,
        degraded: best.now,
        note: format!("{} of {} rose, and nobody inside asks for it", best.metric, best.component),
    })
}

/// A countdown that reached its end about when the trouble began.
fn ran_out(scene: &CommitScene, symptoms: &Symptoms) -> Option<Evidence> {
    let onset = symptoms.alarmed.or(symptoms.onset)?;
    scene.metrics.iter().find_map(|m| {
        let name = words(&m.name);
        if !name.iter().any(|w| any(w, &["expir*", "remaining", "valid*", "notafter"])) {
            return None;
        }
        let crossed = m.samples.windows(2).find(|w| w[0].1 > 0.0 && w[1].1 <= 0.0)?;
        let near = (crossed[1].0 - onset).abs() <= 3.0 * symptoms.slack;
        near.then(|| Evidence {
            channel: "countdown",
            llr: PLAIN,
            healthy: crossed[0].1,
            degraded: crossed[1].1,
            note: format!("{} of {} ran out as the trouble began", m.name, m.component),
        })
    })
}

/// A bad sentence that names a host of the public internet: somebody else's door.
fn foreign(symptoms: &Symptoms) -> Option<Evidence> {
    let public = |token: &str| {
        let host = token.rsplit("//").next().unwrap_or_default();
        let host = host
            .split(['/', ':', '?'])
            .next()
            .unwrap_or_default()
            .trim_matches(|c: char| !c.is_ascii_alphanumeric());
        let parts: Vec<&str> = host.split('.').collect();
        let top = parts.last().copied().unwrap_or_default();
        parts.len() >= 2
            && ["com", "io", "net", "org", "co", "eu", "cloud"].contains(&top)
            && !parts
                .iter()
                .any(|p| ["internal", "svc", "cluster", "local", "corp", "github", "golang"].contains(p))
            && parts.iter().all(|p| !p.is_empty() && p.chars().all(|c| c.is_ascii_alphanumeric() || c == '-'))
    };
    let said = symptoms
        .said
        .iter()
        .find(|s| s.bad && s.text.split([' ', '"', '\'', '(', ')', ',', '=']).any(public))?;
    Some(Evidence {
        channel: "foreign host",
        llr: LIKELY,
        healthy: 0.0,
        degraded: 1.0,
        note: format!("{}: {}", said.component, said.text),
    })
}
