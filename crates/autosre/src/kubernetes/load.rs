//! Workloads that became slow: by themselves, by a processor limit, by their network, or by what they call.

use std::collections::BTreeMap;

use super::cluster::{Cluster, Measure, Reading};
use super::finding::{CONTRADICTION, Fault, Finding, Object, SUSPECTED};
use crate::arith::{known, median, robust_deviation};

/// How often the usual latency must be reached to count as slow: load alone moves a median by less.
const SLOWER: f64 = 2.0;
/// Robust deviations of normal operation that a change must exceed.
const DEVIATIONS: f64 = 3.0;
/// Milliseconds below which a change is nothing that people feel.
const LEAST_MS: f64 = 5.0;
/// Part of the requests that are at least as much later as the median is.
const MEDIAN_PART: f64 = 0.5;
/// The same of a tail: a tenth, for 90 % quantiles.
const TAIL_PART: f64 = 0.1;
/// Part of a caller's loss from which on a callee explains it: a caller may ask the same callee several times, one after the
/// other, so a callee's own loss is a fraction of what it costs its caller.
const PART: f64 = 0.1;
/// Seconds per second of being held back that count as throttled.
const THROTTLED: f64 = 0.1;

/// Before, since, and what is between them.
#[derive(Clone, Copy, Debug)]
struct Shift {
    before: f64,
    since: f64,
    usual: f64,
}

/// What became slow.
pub(super) fn check(cluster: &Cluster) -> Vec<Finding> {
    let mut shifts: BTreeMap<(&str, Measure), Shift> = BTreeMap::new();
    for reading in &cluster.readings {
        if let Some(shift) = shift(reading) {
            shifts.insert((&reading.of, reading.measure), shift);
        }
    }
    let at = |name: &str, measure| shifts.get(&(name, measure)).copied();
    let names: Vec<&str> = cluster.workloads.iter().map(|w| w.name.as_str()).collect();
    let starved: BTreeMap<&str, (Shift, Shift)> = names
        .iter()
        .filter_map(|&n| {
            let (cpu, held) = (at(n, Measure::Cpu)?, at(n, Measure::Throttled)?);
            let more = cpu.since > SLOWER * cpu.before && cpu.since - cpu.before > DEVIATIONS * cpu.usual;
            (more && held.since > held.before.max(0.0) + THROTTLED).then_some((n, (cpu, held)))
        })
        .collect();
    let slow: BTreeMap<&str, (Shift, f64)> = names
        .iter()
        .filter_map(|&n| {
            let of = |measure, part: f64| {
                let shift = at(n, measure).filter(|s| is_slow(*s))?;
                Some((shift, part * (shift.since - shift.before)))
            };
            of(Measure::MedianLatency, MEDIAN_PART)
                .or_else(|| of(Measure::TailLatency, TAIL_PART))
                .map(|s| (n, s))
        })
        .collect();
    let most = slow.values().map(|(_, loss)| *loss).fold(0.0, f64::max);
    let mut found = Vec::new();
    for (name, (cpu, held)) in &starved {
        let why = format!(
            "{name} uses {:.2} cores instead of {:.2} and is held back {:.2} s/s instead of {:.2}",
            cpu.since, cpu.before, held.since, held.before
        );
        found.push(Finding::workload(name, Fault::CpuOverload, CONTRADICTION, why));
    }
    for (name, (shift, loss)) in slow.iter().filter(|(name, _)| !starved.contains_key(*name)) {
        let below = cluster.calls.iter().filter(|(a, b)| a == name && b != name).map(|(_, b)| b.as_str());
        let below = below.filter(|b| {
            starved.contains_key(*b) || slow.get(*b).is_some_and(|(_, theirs)| *theirs >= PART * loss)
        });
        let why = format!("{name} takes {:.0} ms instead of {:.0}", shift.since, shift.before);
        let weight = (CONTRADICTION + (loss / most).ln()).max(SUSPECTED);
        let causes = below.map(|b| Object::Workload(b.to_owned()));
        found.push(Finding::workload(name, Fault::NetworkDelay, weight, why).unless(causes));
    }
    if found.is_empty() {
        found.extend(fewer(&names, |n| at(n, Measure::Requests)));
    }
    found
}

/// Requests that come to no end show in no latency: they wait where most of them are missing.
fn fewer(names: &[&str], requests: impl Fn(&str) -> Option<Shift>) -> Option<Finding> {
    let lost = |s: &Shift| s.before - s.since;
    let (name, shift) = names
        .iter()
        .filter_map(|&n| requests(n).map(|s| (n, s)))
        .filter(|(_, s)| lost(s) > DEVIATIONS * s.usual && SLOWER * s.since < s.before)
        .max_by(|a, b| lost(&a.1).total_cmp(&lost(&b.1)))?;
    let why = format!("{name} serves {:.1} requests a second instead of {:.1}", shift.since, shift.before);
    Some(Finding::workload(name, Fault::NetworkDelay, SUSPECTED, why))
}

fn is_slow(shift: Shift) -> bool {
    let loss = shift.since - shift.before;
    shift.since > SLOWER * shift.before && loss > LEAST_MS && loss > DEVIATIONS * shift.usual
}

fn shift(reading: &Reading) -> Option<Shift> {
    Some(Shift {
        before: median(known(&reading.before))?,
        since: median(known(&reading.since))?,
        // a single level, as an alarm tells it, has no spread
        usual: robust_deviation(&reading.before).unwrap_or(0.0),
    })
}
