//! One set of hypotheses, what speaks for and against each, and how likely that makes them.

use crate::case::Case;
use crate::coordinator::Collected;
use crate::finding::{Channel, Evidence, Hypothesis, Kind, tier_of};
use crate::vocabulary::Tier;
use graph::NodeId;
use std::collections::BTreeMap;

/// A hypothesis with everything said of it.
#[derive(Clone, Debug)]
pub(crate) struct Weighed {
    /// Which.
    pub hypothesis: Hypothesis,
    /// Its side.
    pub tier: Option<Tier>,
    /// Nats by channel.
    pub channels: BTreeMap<Channel, f64>,
    /// Figures, strongest first.
    pub evidence: Vec<Evidence>,
    /// Sum.
    pub score: f64,
    /// Chance.
    pub probability: f64,
    /// Why it falls behind, when another explains it.
    pub explained_by: Option<String>,
}

/// All hypotheses, likeliest first, and what is left for the unknown.
pub(crate) struct Weighing {
    /// Hypotheses.
    pub all: Vec<Weighed>,
    /// Chance that it is something nobody named.
    pub unknown: f64,
    /// Shares of the lost time by side.
    pub shares: Option<[f64; 3]>,
    /// Chance of each side.
    pub sides: [f64; 3],
}

/// Score of a cause that nobody named: as good as a hypothesis with half of the usual signs.
const UNKNOWN: f64 = 6.0;
/// Nats per e-fold of probability. Channels are not independent and their nats are rough: on simulated worlds sums of nats
/// taken at their word were overconfident by about this factor.
const TEMPERATURE: f64 = 2.0;
/// Nats against a component of the backend that the ranker did not name.
const UNNAMED: f64 = -5.0;
/// Nats against what another hypothesis explains.
const EXPLAINED: f64 = -8.0;
/// Nats against a component that is said to have gone bad by itself: most trouble is caused by changes (DESIGN §6.6).
const BY_ITSELF: f64 = -2.0;

/// Weighs what was found.
pub(crate) fn weigh(case: &Case<'_>, collected: &Collected) -> Weighing {
    let mut all: BTreeMap<Hypothesis, Weighed> = BTreeMap::new();
    for f in &collected.findings {
        let at = all.entry(f.hypothesis.clone()).or_insert_with(|| Weighed {
            hypothesis: f.hypothesis.clone(),
            tier: tier_of(case.view, case.vocabulary, &f.hypothesis),
            channels: BTreeMap::new(),
            evidence: Vec::new(),
            score: 0.0,
            probability: 0.0,
            explained_by: None,
        });
        let known = at.channels.entry(f.channel).or_insert(f.llr);
        // Timing of several steps: the best. Otherwise the strongest, whichever way it points.
        *known = if f.channel == Channel::Timing { known.max(f.llr) } else { stronger(*known, f.llr) };
        at.evidence.extend(f.evidence.iter().cloned());
    }
    let mut all: Vec<Weighed> = all.into_values().collect();
    inherit(case, &mut all);
    for side in &collected.sides {
        for w in &mut all {
            let Some(i) = w.tier.and_then(|t| Tier::ALL.iter().position(|x| *x == t)) else { continue };
            let own = w.channels.contains_key(&side.channel);
            // Whoever was told apart by the sufferers themselves needs no judgement of their whole side.
            if side.channel == Channel::Cohort && (own || w.tier != Some(Tier::Backend)) {
                continue;
            }
            let llr = side.llr.get(i).copied().unwrap_or(0.0);
            let at = w.channels.entry(side.channel).or_insert(llr);
            *at = at.min(llr).max(if own { *at } else { llr });
            if side.channel == Channel::Component {
                *at = at.min(llr);
            }
            let told = side.evidence.iter().filter(|e| Some(e.0) == w.tier).map(|e| e.1.clone());
            w.evidence.extend(told);
        }
    }
    for w in &mut all {
        w.score = w.channels.iter().map(|(c, llr)| c.weight() * llr).sum();
        if w.hypothesis.kind == Kind::Component {
            w.score += BY_ITSELF;
        }
        let served = w.tier == Some(Tier::Backend) && w.hypothesis.kind != Kind::Infrastructure;
        if served && !w.channels.contains_key(&Channel::Component) {
            w.score += UNNAMED;
        }
    }
    explain_away(case, &mut all);
    let top = all.iter().map(|w| w.score).fold(UNKNOWN, f64::max);
    let share = |score: f64| ((score - top) / TEMPERATURE).exp();
    let total: f64 = share(UNKNOWN) + all.iter().map(|w| share(w.score)).sum::<f64>();
    for w in &mut all {
        w.probability = share(w.score) / total;
        w.evidence.sort_by(|a, b| b.strength.total_cmp(&a.strength).then_with(|| a.query.cmp(&b.query)));
        w.evidence.dedup_by(|a, b| a.query == b.query && a.claim == b.claim);
    }
    all.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.hypothesis.cmp(&b.hypothesis)));
    let sides = Tier::ALL.map(|t| all.iter().filter(|w| w.tier == Some(t)).map(|w| w.probability).sum());
    let shares = collected.sides.iter().find_map(|s| s.shares);
    Weighing { all, unknown: share(UNKNOWN) / total, shares, sides }
}

fn stronger(a: f64, b: f64) -> f64 {
    if b.abs() > a.abs() { b } else { a }
}

/// A deployment inherits what its service's own part says: both are the same place seen at two moments.
fn inherit(case: &Case<'_>, all: &mut [Weighed]) {
    let service = |n: &NodeId| case.view.graph.node(*n).is_some_and(|x| x.class == case.vocabulary.service);
    let components: Vec<(NodeId, f64, Vec<Evidence>)> = all
        .iter()
        .filter(|w| w.hypothesis.kind == Kind::Component)
        .filter_map(|w| {
            let s = w.hypothesis.entities.iter().copied().find(service)?;
            Some((s, *w.channels.get(&Channel::Component)?, w.evidence.clone()))
        })
        .collect();
    let alerts: Vec<(NodeId, f64)> = all
        .iter()
        .filter(|w| w.hypothesis.kind == Kind::Component)
        .filter_map(|w| Some((w.hypothesis.entities.first().copied()?, *w.channels.get(&Channel::Alerts)?)))
        .collect();
    for w in all.iter_mut() {
        for (_, llr) in alerts.iter().filter(|a| w.hypothesis.entities.contains(&a.0)) {
            w.channels.entry(Channel::Alerts).or_insert(*llr);
        }
        if w.hypothesis.kind != Kind::Change {
            continue;
        }
        let Some(own) = w.hypothesis.entities.iter().copied().find(service) else { continue };
        let best = components.iter().filter(|c| c.0 == own).max_by(|a, b| a.1.total_cmp(&b.1));
        if let Some((_, llr, evidence)) = best {
            w.channels.insert(Channel::Component, *llr);
            w.evidence.extend(evidence.iter().cloned());
        }
    }
}

/// What a better hypothesis already explains is taken down: a part by the combination it is part of, a service by its
/// deployment or by the machine under it.
fn explain_away(case: &Case<'_>, all: &mut [Weighed]) {
    let view = case.view;
    let snapshot: Vec<(Hypothesis, f64)> = all.iter().map(|w| (w.hypothesis.clone(), w.score)).collect();
    let owner =
        |n: NodeId| -> Vec<NodeId> { view.graph.hops(n).into_iter().map(|h| h.node).chain([n]).collect() };
    for w in all.iter_mut() {
        let better = snapshot
            .iter()
            .filter(|(h, score)| *h != w.hypothesis && *score > w.score)
            .max_by(|a, b| a.1.total_cmp(&b.1));
        let Some((h, _)) = better else { continue };
        let own = &w.hypothesis.entities;
        let part = h.kind == Kind::Interaction && own.iter().all(|e| h.entities.contains(e));
        let deployed = h.kind == Kind::Change
            && w.hypothesis.kind == Kind::Component
            && own.iter().any(|e| h.entities.contains(e));
        let hosted = h.kind == Kind::Infrastructure
            && matches!(w.hypothesis.kind, Kind::Component | Kind::Change)
            && w.tier == Some(Tier::Backend)
            && h.entities.iter().any(|host| {
                let on_it: Vec<NodeId> = owner(*host).into_iter().flat_map(owner).collect();
                own.iter().any(|e| on_it.contains(e))
            });
        if part || deployed || hosted {
            let names: Vec<String> = h.entities.iter().take(2).map(|n| view.label(*n)).collect();
            w.explained_by = Some(names.join(" with "));
            // What is the same fault in other words says nothing against its explanation.
            w.score += EXPLAINED;
        }
    }
}
