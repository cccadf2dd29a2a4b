//! Changes: what was deployed, rolled out, switched or configured around the onset, and whom it reached.

use super::Expert;
use super::clients::{FOLLOWED, weight};
use crate::backend::operation_measure;
use crate::case::Case;
use crate::finding::{
    Ask, Channel, Condition, Evidence, Findings, Kind, People, between, evidence, node_name,
};
use crate::loss::Loss;
use crate::table::Table;
use crate::vocabulary::Tier;
use graph::NodeId;
use ontology::{Stretch, Time};
use query::text::Show;
use query::{Filter, Query};
use std::collections::BTreeMap;

/// Looks at changes.
pub(super) struct Changes;

/// Hours before the onset in which a change is looked for.
const REACH_HOURS: i64 = 6;
/// A change usually shows within this many minutes (the exponential lag of notes on methods §4.6).
const LAG_MINUTES: f64 = 12.0;
/// Minutes over which an innocent change could as well have fallen.
const WINDOW_MINUTES: f64 = 120.0;
/// An onset is known to this many minutes: a change may seem that much later than its effect.
const SLACK_MINUTES: f64 = 3.0;
/// A change after the onset did not cause it.
const TOO_LATE: f64 = -8.0;
/// Standard errors from which the new version stands out among its own instances, nats for each more, and the most of it.
const NOTICED: f64 = 3.0;
/// The most that old against new may say.
const MOST: f64 = 4.0;
/// Nats against a change whose new version is no worse.
const NO_WORSE: f64 = -5.0;
/// Nats against a switch when who suffers is not told apart by anything it could reach.
const BESIDE: f64 = -5.0;

impl Expert for Changes {
    fn name(&self) -> &'static str {
        "changes"
    }

    fn duty(&self) -> &'static str {
        "list what was changed before the onset and compare old with new"
    }

    fn look(&self, case: &Case<'_>) -> Findings {
        let mut out = Findings::default();
        let (view, v) = (case.view, case.vocabulary);
        let o = view.ontology();
        let onset = case.loss.onset.start();
        let window = Stretch { from: onset.plus_secs(-REACH_HOURS * 3600), to: case.windows.degraded.to };
        let events = view.events(v.change, window);
        out.looked_at = events.len();
        if events.is_empty() {
            return Findings::lacking(
                "changes",
                "no deployment, rollout, flag or configuration change was reported",
            );
        }
        // Of the steps of one rollout, or the flips of one flag, the one that fits best speaks for all.
        let mut steps: BTreeMap<(ontology::ClassId, NodeId), (f64, NodeId)> = BTreeMap::new();
        for (at, change) in events {
            let Some(sort) = view.graph.node(change).map(|n| n.class) else { continue };
            let lag = onset.since(at) as f64 / 60e9;
            for target in view.targets(change, v.changed) {
                let known = steps.entry((sort, target)).or_insert((lag, change));
                if timing(lag) > timing(known.0) {
                    *known = (lag, change);
                }
            }
        }
        for ((_, target), (lag, change)) in steps {
            let timing = timing(lag);
            let Some(class) = view.graph.node(target).map(|n| n.class) else { continue };
            let seen = self.seen(case, change, target, lag, timing);
            if o.is_a(class, v.switch) {
                self.switched(case, &mut out, change, target, timing, seen);
            } else if o.is_a(class, v.version) && v.tier(o, class) == Some(Tier::Client) {
                for element in case.loss.elements.iter().take(FOLLOWED) {
                    let people = case.loss.people(element);
                    if people.nodes().contains(&target) {
                        let (kind, entities) = named(case, &people);
                        out.say(kind, entities, Channel::Timing, timing, vec![seen.clone()]);
                    }
                }
                out.say(Kind::Change, vec![target], Channel::Timing, timing, vec![seen]);
            } else {
                self.served(case, &mut out, change, target, timing, seen);
            }
        }
        out
    }
}

/// Nats for a change so many minutes before the onset.
fn timing(lag: f64) -> f64 {
    if lag < -SLACK_MINUTES {
        return TOO_LATE;
    }
    (WINDOW_MINUTES / LAG_MINUTES).ln() - lag.max(0.0) / LAG_MINUTES
}

/// What an element of the loss names, as a hypothesis.
fn named(case: &Case<'_>, people: &People) -> (Kind, Vec<NodeId>) {
    let (o, v) = (case.view.ontology(), case.vocabulary);
    let of = |general| -> Vec<NodeId> {
        people.0.iter().filter(|c| o.is_a(c.class, general)).flat_map(|c| c.nodes.clone()).collect()
    };
    let (versions, treatments) = (of(v.version), of(v.treatment));
    if treatments.is_empty() {
        let client = people.0.iter().filter(|c| v.tier(o, c.class) == Some(Tier::Client));
        return (Kind::Change, client.flat_map(|c| c.nodes.clone()).collect());
    }
    let kind = if versions.is_empty() && treatments.len() == 1 { Kind::Flag } else { Kind::Interaction };
    let others = people.0.iter().filter(|c| !o.is_a(c.class, v.treatment) && !o.is_a(c.class, v.version));
    let entities =
        versions.iter().chain(&treatments).copied().chain(others.flat_map(|c| c.nodes.clone())).collect();
    (kind, entities)
}

impl Changes {
    fn seen(&self, case: &Case<'_>, change: NodeId, target: NodeId, lag: f64, timing: f64) -> Evidence {
        let view = case.view;
        let when = if lag >= 0.0 { format!("{lag:.0} min before") } else { format!("{:.0} min after", -lag) };
        let claim = format!("{} of {} began {when} the onset", view.label(change), view.label(target));
        let at = view.started(change).unwrap_or(Time::EPOCH);
        let query = Query::Changes {
            between: between(Stretch { from: at, to: at.plus_secs(1) }),
            touching: Some(node_name(view, target)),
        };
        evidence(view, self.name(), claim, &query, None, timing, Vec::new())
    }

    /// A flag or experiment was switched. When people are told apart by its treatments, who suffers has already said whether
    /// they are at fault; when they are not, a loss confined to one sort of client may still be the switch's doing.
    fn switched(
        &self,
        case: &Case<'_>,
        out: &mut Findings,
        change: NodeId,
        switch: NodeId,
        timing: f64,
        seen: Evidence,
    ) {
        let (view, v) = (case.view, case.vocabulary);
        let o = view.ontology();
        let belongs = |n: &NodeId| query::cohort::parent(view.graph, *n) == Some(view.graph.resolve(switch));
        let told_apart = case
            .loss
            .table
            .facets
            .iter()
            .any(|f| o.is_a(f.class, v.treatment) && f.levels.iter().flat_map(|l| &l.nodes).any(belongs));
        if told_apart {
            for element in case.loss.elements.iter().take(FOLLOWED) {
                let people = case.loss.people(element);
                if people.nodes().iter().any(belongs) {
                    let (kind, entities) = named(case, &people);
                    out.say(kind, entities, Channel::Timing, timing, vec![seen.clone()]);
                }
            }
            return;
        }
        let client = |c: &Condition| v.tier(o, c.class) == Some(Tier::Client);
        let version = |c: &Condition| o.is_a(c.class, v.version) || o.is_a(c.class, v.treatment);
        let sort = case.people.0.iter().all(|c| client(c) && !version(c));
        let mut entities = vec![switch, change];
        let devices = case.people.0.iter().filter(|c| client(c) && !version(c));
        entities.extend(devices.flat_map(|c| c.nodes.clone()));
        let llr = if sort { weight(case, case.element) } else { BESIDE };
        let ask = case.ask(case.people, case.windows.degraded);
        let change_now = case.loss.change(case.element.effect);
        let claim = if sort {
            format!(
                "{} lose {:+.0} %, at once and whatever version, cell or network they have, as a switch read by their app would do it",
                case.people.text(),
                change_now * 100.0
            )
        } else {
            format!(
                "the loss follows {}, which {} does not tell apart",
                case.people.text(),
                view.label(switch)
            )
        };
        let baseline = ask.value(view).map(|x| x / (1.0 + change_now));
        let who = evidence(view, self.name(), claim, &ask.query(view), baseline, llr, Vec::new());
        out.say(Kind::Flag, entities.clone(), Channel::Cohort, llr, vec![who]);
        out.say(Kind::Flag, entities, Channel::Timing, timing, vec![seen]);
    }

    /// Something that answers was changed.
    fn served(
        &self,
        case: &Case<'_>,
        out: &mut Findings,
        change: NodeId,
        target: NodeId,
        timing: f64,
        seen: Evidence,
    ) {
        let (view, v) = (case.view, case.vocabulary);
        let o = view.ontology();
        let Some(class) = view.graph.node(target).map(|n| n.class) else { return };
        let service = if class == v.service { Some(target) } else { owner(case, target) };
        let Some(service) = service else { return };
        let version = o.is_a(class, v.version);
        let entities = if version { vec![change, target, service] } else { vec![change, service] };
        out.say(Kind::Change, entities.clone(), Channel::Timing, timing, vec![seen]);
        if version && let Some((llr, told)) = self.old_and_new(case, service, target) {
            out.looked_at += 1;
            out.say(Kind::Change, entities, Channel::Contrast, llr, vec![told]);
        }
    }

    /// A service's operations: those that the new version answers, since the onset, against what was to be expected.
    fn old_and_new(&self, case: &Case<'_>, service: NodeId, version: NodeId) -> Option<(f64, Evidence)> {
        let (view, v) = (case.view, case.vocabulary);
        let o = view.ontology();
        let measure = operation_measure(view, v, case.measure())?;
        let owned = v.belongs(o, v.operation, v.service)?;
        let operations: Vec<NodeId> = view
            .sources(service, owned)
            .into_iter()
            .filter(|n| view.graph.node(*n).is_some_and(|x| x.class == v.operation))
            .collect();
        if operations.is_empty() {
            return None;
        }
        let all = Stretch { from: Time::EPOCH, to: view.as_of };
        let class = view.graph.node(version)?.class;
        let table = Table::read_by(view, v, measure, &operations, &Filter::all(), all, |c| c == class)?;
        let loss = Loss::since(view, table, case.loss.onset)?;
        let condition = Condition { label: view.label(version), class, nodes: vec![version] };
        let people = People(vec![condition.clone()]);
        let terms = loss.terms_of(&people)?;
        let (new_weight, new_excess) = loss.sum(&terms);
        let (all_weight, all_excess) = loss.sum(&[]);
        if new_weight < 20.0 {
            return None;
        }
        let new = new_excess / new_weight;
        let old_weight = all_weight - new_weight;
        let old = if old_weight >= 20.0 { (all_excess - new_excess) / old_weight } else { 0.0 };
        // Beside its own past, the new version must also be worse than what still runs the old one.
        let apart = (new - old).min(new);
        let error =
            (loss.expectation.variance * (1.0 / new_weight + 1.0 / old_weight.max(new_weight))).sqrt();
        let llr = if apart < loss.margin {
            NO_WORSE
        } else {
            (0.5 * ((apart - loss.margin) / error - NOTICED)).clamp(NO_WORSE, MOST)
        };
        let change = loss.change(new) * 100.0;
        let name = case.measure_name(measure).to_owned();
        let claim =
            format!("{} answered by {} moved {change:+.0} % since the onset", name, view.label(version));
        let show = if loss.table.ratio { Show::Ratio } else { Show::Geomean };
        let ask = |people| Ask {
            measure,
            subject: if let [one] = operations.as_slice() { Some(*one) } else { None },
            people,
            except: None,
            during: case.windows.degraded,
            show: Some(show),
        };
        let everyone = People::default();
        let rest = Ask { except: Some(&condition), ..ask(&everyone) };
        let with = ask(&people);
        let charts = vec![case.chart("new version", &with), case.chart("the others", &rest)];
        let before = Ask { during: case.windows.healthy, ..ask(&everyone) };
        let baseline = rest.value(view).or_else(|| before.value(view));
        Some((llr, evidence(view, self.name(), claim, &with.query(view), baseline, llr, charts)))
    }
}

/// The service that a thing of the backend belongs to.
fn owner(case: &Case<'_>, node: NodeId) -> Option<NodeId> {
    let v = case.vocabulary;
    case.view
        .graph
        .hops(node)
        .into_iter()
        .filter(|h| h.direction == graph::Direction::Out)
        .map(|h| h.node)
        .find(|n| case.view.graph.node(*n).is_some_and(|x| x.class == v.service))
}

/// The service that answers for an operation.
pub(super) fn services_of(case: &Case<'_>, operation: NodeId) -> Option<NodeId> {
    owner(case, operation)
}
