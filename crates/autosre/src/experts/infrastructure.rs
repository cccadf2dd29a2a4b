//! Infrastructure: whether instances on one machine are worse than their twins elsewhere, and whether the machine is short of
//! something.

use super::Expert;
use crate::backend::{operation_measure, reach};
use crate::case::Case;
use crate::finding::{Ask, Channel, Condition, Findings, Kind, Missing, People, evidence};
use crate::loss::Loss;
use crate::table::Table;
use graph::NodeId;
use ontology::{MeasureId, Stretch, Time};
use query::Filter;
use query::text::Show;
use std::collections::{BTreeMap, BTreeSet};

/// Looks at machines.
pub(super) struct Infrastructure;

/// Standard errors by which instances on a machine must be worse than their twins elsewhere.
const NOTICED: f64 = 4.0;
/// The most that twins may say.
const MOST: f64 = 9.0;
/// The most that a resource may say.
const MOST_RESOURCE: f64 = 5.0;
/// Spreads beyond which a resource is news.
const RESOURCE_SPREADS: f64 = 4.0;
/// Services on a machine that must be worse for the machine to be the suspect: one alone is that service's own trouble.
const SERVICES: usize = 2;

impl Expert for Infrastructure {
    fn name(&self) -> &'static str {
        "infrastructure"
    }

    fn duty(&self) -> &'static str {
        "compare instances on each machine with their twins elsewhere, and look for machines short of something"
    }

    fn look(&self, case: &Case<'_>) -> Findings {
        let (view, v) = (case.view, case.vocabulary);
        let o = view.ontology();
        let mut out = Findings::default();
        let Some(measure) = operation_measure(view, v, case.measure()) else { return out };
        let Some(backend) = case.backend else { return out };
        let operations: Vec<NodeId> = reach(view, &backend.entries)
            .into_iter()
            .filter(|n| view.graph.node(*n).is_some_and(|x| x.class == v.operation))
            .collect();
        let all = Stretch { from: Time::EPOCH, to: view.as_of };

        // Twins: the same operation at the same time on other machines, within the place of the backend that is worse. Any
        // narrower place (the zone of a machine) would leave many a service without a twin.
        let places: Vec<ontology::ClassId> = backend.part.0.iter().map(|c| c.class).collect();
        let loss = Table::read_by(view, v, measure, &operations, &Filter::all(), all, |class| {
            class == v.host || places.contains(&class)
        })
        .map(|t| t.with_facets(|f| !f.coarse))
        .and_then(|t| Loss::since(view, t, case.loss.onset));
        let Some(loss) = loss else {
            out.missing.push(Missing {
                what: "machines".to_owned(),
                why: "too little is known of what instances did before the onset".to_owned(),
            });
            return out;
        };
        let Some(facet) = loss.table.facet(v.host) else {
            out.missing.push(Missing {
                what: "machines".to_owned(),
                why: "telemetry does not say on which machine it was made".to_owned(),
            });
            return out;
        };
        let mut worse: BTreeMap<u16, Twins> = twins(&loss, facet);
        out.looked_at += worse.len();
        worse.retain(|_, t| t.z > NOTICED);
        for (level, twins) in worse {
            let Some(host) =
                loss.table.facets[facet].levels.get(level as usize).and_then(|l| l.nodes.first().copied())
            else {
                continue;
            };
            let services: BTreeSet<NodeId> = twins
                .operations
                .iter()
                .filter_map(|l| loss.table.facets[0].levels.get(*l as usize)?.nodes.first().copied())
                .filter_map(|n| super::changes::services_of(case, n))
                .collect();
            if services.len() < SERVICES {
                continue;
            }
            let llr = (twins.z - NOTICED).min(MOST);
            let condition = Condition { label: view.label(host), class: v.host, nodes: vec![host] };
            let people = People(vec![condition.clone()]);
            let everyone = People::default();
            let ask = Ask {
                measure,
                subject: None,
                people: &people,
                except: None,
                during: case.windows.degraded,
                show: Some(if loss.table.ratio { Show::Ratio } else { Show::Geomean }),
            };
            let before = Ask { during: case.windows.healthy, ..ask.clone() };
            let elsewhere = Ask { people: &everyone, except: Some(&condition), ..ask.clone() };
            let claim = format!(
                "{} services are {:+.0} % slower or worse on {} than their twins elsewhere",
                services.len(),
                loss.change(twins.apart) * 100.0,
                view.label(host)
            );
            let charts = vec![case.chart("on it", &ask), case.chart("elsewhere", &elsewhere)];
            let told = evidence(view, self.name(), claim, &ask.query(view), before.value(view), llr, charts);
            out.say(Kind::Infrastructure, vec![host], Channel::Contrast, llr, vec![told]);
        }
        for id in (0..o.measures.len()).filter_map(|i| u16::try_from(i).ok().map(MeasureId)) {
            if view.measure(id).is_some_and(|m| o.is_a(m.of, v.host)) {
                self.resource(case, id, &mut out);
            }
        }
        out
    }
}

struct Twins {
    apart: f64,
    z: f64,
    /// Operations (levels of the first facet) that are worse there.
    operations: Vec<u16>,
}

/// For each machine, how much worse operations are on it than elsewhere, other facets being equal.
fn twins(loss: &Loss, facet: usize) -> BTreeMap<u16, Twins> {
    // By everything but the machine, and by machine within it.
    let mut groups: BTreeMap<Vec<u16>, BTreeMap<u16, (f64, f64)>> = BTreeMap::new();
    for x in &loss.rows {
        let Some(leaf) = loss.table.leaves.get(x.leaf as usize) else { continue };
        let host = leaf[facet];
        if host == 0 {
            continue;
        }
        let mut rest = leaf.clone();
        rest[facet] = 0;
        let at = groups.entry(rest).or_default().entry(host).or_default();
        at.0 += x.weight;
        at.1 += x.excess;
    }
    /// Weight, weighted distance, its variance, and weight and distance by operation.
    type Sums = (f64, f64, f64, BTreeMap<u16, (f64, f64)>);
    let mut sums: BTreeMap<u16, Sums> = BTreeMap::new();
    for (rest, hosts) in &groups {
        let (weight, excess) = hosts.values().fold((0.0, 0.0), |a, h| (a.0 + h.0, a.1 + h.1));
        for (host, (w, x)) in hosts {
            let others = weight - w;
            if *w < 5.0 || others < 5.0 {
                continue;
            }
            let apart = x / w - (excess - x) / others;
            let at = sums.entry(*host).or_default();
            at.0 += w;
            at.1 += w * apart;
            at.2 += w * w * loss.expectation.variance * (1.0 / w + 1.0 / others);
            let op = at.3.entry(rest[0]).or_default();
            op.0 += w;
            op.1 += w * apart;
        }
    }
    sums.into_iter()
        .filter(|(_, s)| s.0 > 0.0 && s.2 > 0.0)
        .map(|(host, (weight, apart, variance, operations))| {
            let z = (apart - loss.margin * weight) / variance.sqrt();
            let worse = operations
                .into_iter()
                .filter(|(_, (w, a))| {
                    a / w > loss.margin
                        && (a / w - loss.margin) / (loss.expectation.variance / w).sqrt() > 2.0
                })
                .map(|(op, _)| op)
                .collect();
            (host, Twins { apart: apart / weight, z, operations: worse })
        })
        .collect()
}

impl Infrastructure {
    /// Machines on which a measure of the machine itself left its range.
    fn resource(&self, case: &Case<'_>, id: MeasureId, out: &mut Findings) {
        let view = case.view;
        let everyone = People::default();
        for host in view.graph.subjects(id) {
            out.looked_at += 1;
            let level = |during| -> Vec<f64> {
                view.timeline(id, Some(host), &Filter::all(), during, 1)
                    .iter()
                    .filter_map(|(_, a)| a.mean())
                    .collect()
            };
            let (before, since) = (level(case.windows.healthy), level(case.windows.degraded));
            let Some(usual) = stats::tail::Robust::of(&before) else { continue };
            let Some(now) = stats::tail::median(&since) else { continue };
            // A hundredth of a share, a hundredth of the level: less is the reading's own noise.
            let z = usual.z(now, 0.01);
            if z < RESOURCE_SPREADS {
                continue;
            }
            let llr = (z - RESOURCE_SPREADS).min(MOST_RESOURCE);
            let ask = Ask {
                measure: id,
                subject: Some(host),
                people: &everyone,
                except: None,
                during: case.windows.degraded,
                show: Some(Show::Mean),
            };
            let healthy = Ask { during: case.windows.healthy, ..ask.clone() };
            let name = case.measure_name(id);
            let claim = format!("{name} of {} is {z:.0} spreads above its usual level", view.label(host));
            let charts = vec![case.chart(name, &ask)];
            let told = evidence(view, self.name(), claim, &ask.query(view), healthy.value(view), llr, charts);
            out.say(Kind::Infrastructure, vec![host], Channel::Resource, llr, vec![told]);
        }
    }
}
