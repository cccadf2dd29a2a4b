//! Metrics: where the lost time went, part by part, and so on whose side it was lost.

use super::Expert;
use crate::case::Case;
use crate::finding::{Ask, Channel, Findings, Missing, Side, evidence};
use crate::loss::{Loss, roles_of};
use crate::table::Table;
use crate::vocabulary::Tier;
use ontology::{MeasureId, Stretch, Time};
use query::text::Show;
use query::{Filter, Query};

/// Splits the loss into its parts.
pub(super) struct Metrics;

/// A side that took none of the lost time keeps this share: parts are measured, not complete.
const LEAST_SHARE: f64 = 0.04;
/// Nats per e-fold of share over an even split.
const SHARE_WEIGHT: f64 = 2.5;
/// The most that parts may say against a side.
const MOST_AGAINST: f64 = 6.0;
/// Nats for a side that accounts for who suffers as well as anything does.
const REACH_WEIGHT: f64 = 8.0;
/// Departure of a part below which it is taken for unchanged.
const STILL: f64 = 0.02;

struct Part {
    tier: Tier,
    lost: f64,
    claim: String,
    query: Query,
    baseline: Option<f64>,
    charts: Vec<crate::finding::ChartQuery>,
}

impl Expert for Metrics {
    fn name(&self) -> &'static str {
        "metrics"
    }

    fn duty(&self) -> &'static str {
        "split the loss into the parts of the measure and say which side took the time"
    }

    fn look(&self, case: &Case<'_>) -> Findings {
        let mut out = Findings::default();
        let parts = parts(case, &mut out);
        let lost = |tier| parts.iter().filter(|p| p.tier == tier).map(|p| p.lost).sum::<f64>();
        let by_side = Tier::ALL.map(lost);
        let total: f64 = by_side.iter().sum();
        out.looked_at += parts.len();
        if total > 0.0 {
            let shares = by_side.map(|l| l / total);
            let llr = shares.map(|s| {
                (SHARE_WEIGHT * ((s + LEAST_SHARE) / (1.0 + 3.0 * LEAST_SHARE) * 3.0).ln()).max(-MOST_AGAINST)
            });
            let told = parts
                .iter()
                .map(|p| {
                    let side = Tier::ALL.iter().position(|t| *t == p.tier).unwrap_or(0);
                    let weight = llr.get(side).copied().unwrap_or(0.0);
                    let e = evidence(
                        case.view,
                        self.name(),
                        p.claim.clone(),
                        &p.query,
                        p.baseline,
                        weight,
                        p.charts.clone(),
                    );
                    (p.tier, e)
                })
                .collect();
            out.sides.push(Side { channel: Channel::Parts, llr, shares: Some(shares), evidence: told });
        } else if !parts.is_empty() {
            out.missing.push(Missing {
                what: "where the time went".to_owned(),
                why: "no measured part of it departs; it was lost in something that is not measured"
                    .to_owned(),
            });
        }
        let reached = Tier::ALL.map(|t| case.loss.reached_by(&roles_of(t)));
        let llr = reached.map(|r| REACH_WEIGHT * (2.0 * r - 1.0));
        out.sides.push(Side { channel: Channel::Cohort, llr, shares: None, evidence: Vec::new() });
        out
    }
}

fn parts(case: &Case<'_>, out: &mut Findings) -> Vec<Part> {
    let view = case.view;
    let Some(measure) = view.measure(case.measure()) else { return Vec::new() };
    let backend_measure = crate::backend::operation_measure(view, case.vocabulary, case.measure());
    let mut ids = measure.parts.clone();
    ids.extend(backend_measure.filter(|m| !ids.contains(m)));
    let mut parts = Vec::new();
    for id in ids {
        let Some(part) = view.measure(id) else { continue };
        let Some(tier) = case.vocabulary.tier(view.ontology(), part.of) else {
            // What is felt on the view itself says nothing of a side.
            continue;
        };
        let found = if part.of == case.vocabulary.operation {
            served(case, id, tier)
        } else {
            client(case, id, tier)
        };
        match found {
            Some(p) => parts.push(p),
            None => out.missing.push(Missing {
                what: part.name.clone(),
                why: "too few observations before and since the onset to compare".to_owned(),
            }),
        }
    }
    parts
}

/// A part that clients measure: of the same people.
fn client(case: &Case<'_>, id: MeasureId, tier: Tier) -> Option<Part> {
    let view = case.view;
    let all = Stretch { from: Time::EPOCH, to: view.as_of };
    let subjects = view.graph.subjects(id);
    let mut filter = Filter::all();
    if case.subjects.len() == 1 {
        filter = filter.with_any(case.subjects.to_vec());
    }
    let table = Table::read(view, case.vocabulary, id, &subjects, &filter, all)?;
    let loss = Loss::since(view, table, case.loss.onset)?;
    let terms = loss.terms_of(case.people).unwrap_or_default();
    let (weight, excess) = loss.sum(&terms);
    if weight < 10.0 {
        return None;
    }
    let effect = excess / weight;
    let mut people = case.people.clone();
    if let [subject] = case.subjects {
        let class = view.graph.node(*subject)?.class;
        people.0.push(crate::finding::Condition {
            label: view.label(*subject),
            class,
            nodes: vec![*subject],
        });
    }
    let ask = |during| Ask {
        measure: id,
        subject: None,
        people: &people,
        except: None,
        during,
        show: Some(Show::Mean),
    };
    let observed = ask(case.windows.degraded).value(view)?;
    let lost = if effect.abs() < STILL { 0.0 } else { (observed * (1.0 - (-effect).exp())).max(0.0) };
    let name = case.measure_name(id);
    let moved = loss.change(effect) * 100.0;
    Some(Part {
        tier,
        lost,
        claim: format!(
            "{name} of these people moved {moved:+.0} % beyond what was to be expected ({})",
            tier.name()
        ),
        query: ask(case.windows.degraded).query(view),
        baseline: Some(observed * (-effect).exp()),
        charts: vec![case.chart(name, &ask(case.windows.degraded))],
    })
}

/// The part that the backend takes: of the operations users enter by, where it is worst.
fn served(case: &Case<'_>, id: MeasureId, tier: Tier) -> Option<Part> {
    let view = case.view;
    let backend = case.backend?;
    let entry = backend.entries.first().copied()?;
    backend.loss.as_ref()?;
    let show = if case.loss.table.ratio { Show::Ratio } else { Show::Mean };
    let ask = |during| Ask {
        measure: id,
        subject: Some(entry),
        people: &backend.part,
        except: None,
        during,
        show: Some(show),
    };
    let observed = ask(case.windows.degraded).value(view)?;
    let lost = if case.loss.table.ratio {
        observed * backend.effect / (1.0 + backend.effect.max(0.0))
    } else {
        observed * (1.0 - (-backend.effect).exp())
    };
    let name = view.graph.name(entry);
    let place = backend.part.text();
    let claim = if backend.effect > 0.0 {
        format!("{name}, where these views enter the backend, is worse for {place}")
    } else {
        format!("{name}, where these views enter the backend, is as it was")
    };
    Some(Part {
        tier,
        lost: lost.max(0.0),
        claim,
        query: ask(case.windows.degraded).query(view),
        baseline: ask(case.windows.healthy).value(view),
        charts: vec![case.chart(&name, &ask(case.windows.degraded))],
    })
}
