//! What components of a system tell in failures that were not theirs to cause: how rare an alarm is, learned without labels.

use std::collections::{BTreeMap, BTreeSet};

use super::{AlarmGraph, Token};

/// How often each component told each token in past failures.
#[derive(Clone, Debug, Default)]
pub(super) struct Usual {
    failures: usize,
    told: BTreeMap<String, BTreeMap<Token, usize>>,
    servers: BTreeMap<String, BTreeMap<String, usize>>,
}

/// Whether the graph that is looked at is one of those that were counted; then it does not count for itself, so that a rare alarm
/// looks as rare in learning as it will when it is new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Counted {
    /// It is.
    Itself,
    /// It is not.
    Others,
}

/// The part of an operation's alarmed calls from which a component counts as one of its servers.
const SERVER_PART: f64 = 0.05;

impl Usual {
    pub(super) fn of<'a>(past: impl IntoIterator<Item = &'a AlarmGraph>) -> Self {
        let mut usual = Self::default();
        for graph in past {
            usual.failures += 1;
            for component in graph.components() {
                let told = usual.told.entry(component.name.clone()).or_default();
                for token in &component.told {
                    *told.entry(token.clone()).or_default() += 1;
                }
            }
            for call in graph.calls().filter(|call| call.caller != call.callee) {
                if let Some(callee) = call.callee.and_then(|i| graph.components().get(i)) {
                    let servers = usual.servers.entry(call.operation.clone()).or_default();
                    *servers.entry(callee.name.clone()).or_default() += 1;
                }
            }
        }
        usual
    }

    /// Information of a component's telling a token, in nats: −ln of the share of past failures in which it did (Krichevsky and
    /// Trofimov's half added, so that what was never seen is rare, not impossible).
    pub(super) fn surprise(&self, component: &str, token: &Token, counted: Counted) -> f64 {
        let own = usize::from(counted == Counted::Itself);
        let seen = self.told.get(component).and_then(|told| told.get(token)).copied().unwrap_or(0);
        let (seen, failures) = (seen.saturating_sub(own), self.failures.saturating_sub(own));
        -((seen as f64 + 0.5) / (failures as f64 + 1.0)).ln()
    }

    /// What a component uses to tell, and in what share of past failures. `told` is what it tells now, which matters when the
    /// graph counts itself.
    pub(super) fn habits<'a>(
        &'a self,
        component: &str,
        told: &'a BTreeSet<Token>,
        counted: Counted,
    ) -> impl Iterator<Item = (&'a Token, f64)> {
        let own = usize::from(counted == Counted::Itself);
        let failures = self.failures.saturating_sub(own) as f64;
        self.told.get(component).into_iter().flatten().map(move |(token, seen)| {
            let seen = seen - usize::from(own == 1 && told.contains(token)).min(*seen);
            (token, seen as f64 / failures.max(1.0))
        })
    }

    /// Who was seen to answer an operation.
    pub(super) fn servers(&self, operation: &str) -> BTreeSet<&str> {
        let Some(servers) = self.servers.get(operation) else { return BTreeSet::new() };
        let all: usize = servers.values().sum();
        let often = |seen: usize| seen as f64 >= SERVER_PART * all as f64;
        servers.iter().filter(|(_, seen)| often(**seen)).map(|(name, _)| name.as_str()).collect()
    }
}
