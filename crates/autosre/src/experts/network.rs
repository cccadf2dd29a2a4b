//! Network: providers, CDN sites and places, where the loss sits on the way.

use super::Expert;
use super::clients::{FOLLOWED, compared, weight};
use crate::case::Case;
use crate::finding::{Ask, Channel, Condition, Findings, Kind, People, evidence};
use crate::loss::Loss;
use crate::table::Table;
use crate::vocabulary::Tier;
use graph::NodeId;
use ontology::model::Better;
use ontology::{MeasureId, Stretch, Time};
use query::Filter;
use query::text::Show;

/// Looks at the way between the client and us.
pub(super) struct Network;

/// Nats per standard error by which a measure of the way departs, beyond the first two, and the most it may say.
const SLOPE: f64 = 0.5;
/// The most one measure of the way may say.
const MOST: f64 = 5.0;

impl Expert for Network {
    fn name(&self) -> &'static str {
        "network"
    }

    fn duty(&self) -> &'static str {
        "compare networks, CDN sites and places, and what connecting takes"
    }

    fn look(&self, case: &Case<'_>) -> Findings {
        let mut out = Findings::default();
        let o = case.view.ontology();
        for element in case.loss.elements.iter().take(FOLLOWED) {
            let people = case.loss.people(element);
            out.looked_at += 1;
            let on_the_way = |c: &&Condition| {
                case.vocabulary.tier(o, c.class) == Some(Tier::Network)
                    && !o.is_a(c.class, case.vocabulary.place)
            };
            let own: Vec<&Condition> = people.0.iter().filter(on_the_way).collect();
            if own.is_empty() {
                continue;
            }
            let mut entities: Vec<NodeId> = own.iter().flat_map(|c| c.nodes.iter().copied()).collect();
            let places = people.0.iter().filter(|c| o.is_a(c.class, case.vocabulary.place));
            entities.extend(places.flat_map(|c| c.nodes.iter().copied()));
            let llr = weight(case, element);
            let told = vec![compared(case, self.name(), element, &people, llr)];
            out.say(Kind::Network, entities.clone(), Channel::Cohort, llr, told);
            let measures =
                (0..o.measures.len()).filter_map(|i| u16::try_from(i).ok().map(MeasureId)).filter(|id| {
                    case.view.measure(*id).is_some_and(|m| own.iter().any(|c| o.is_a(c.class, m.of)))
                });
            for id in measures {
                if let Some((llr, told)) = measured(case, self.name(), id, &people) {
                    out.looked_at += 1;
                    out.say(Kind::Network, entities.clone(), Channel::Component, llr, vec![told]);
                }
            }
        }
        let seen = (0..o.measures.len()).filter_map(|i| u16::try_from(i).ok().map(MeasureId)).any(|id| {
            let on_the_way =
                case.view.measure(id).is_some_and(|m| case.vocabulary.tier(o, m.of) == Some(Tier::Network));
            on_the_way && !case.view.graph.subjects(id).is_empty()
        });
        if !seen {
            out.missing.push(crate::finding::Missing {
                what: "measures of the network".to_owned(),
                why: "no client reports what connecting takes; the network can only be told by who suffers"
                    .to_owned(),
            });
        }
        out
    }
}

/// How a measure of the way itself departs for these people.
fn measured(
    case: &Case<'_>,
    expert: &str,
    id: MeasureId,
    people: &People,
) -> Option<(f64, crate::finding::Evidence)> {
    let view = case.view;
    let about = view.measure(id)?;
    if about.better == Better::Steady {
        return None;
    }
    let all = Stretch { from: Time::EPOCH, to: view.as_of };
    let table = Table::read(view, case.vocabulary, id, &view.graph.subjects(id), &Filter::all(), all)?;
    let loss = Loss::since(view, table, case.loss.onset)?;
    let terms = loss.terms_of(people)?;
    let (weight, excess) = loss.sum(&terms);
    if weight < 10.0 {
        return None;
    }
    let effect = excess / weight;
    let errors = (effect - loss.margin) / (loss.expectation.variance / weight).sqrt();
    let llr = (SLOPE * (errors - 2.0)).clamp(-MOST, MOST);
    let show = if loss.table.ratio { Show::Ratio } else { Show::Geomean };
    let ask = Ask {
        measure: id,
        subject: None,
        people,
        except: None,
        during: case.windows.degraded,
        show: Some(show),
    };
    let change = loss.change(effect);
    let claim = format!("{} of {} moved {:+.0} %", about.name, people.text(), change * 100.0);
    let expected = ask.value(view).map(|v| v / (1.0 + change));
    let chart = case.chart(&about.name, &ask);
    Some((llr, evidence(view, expert, claim, &ask.query(view), expected, llr, vec![chart])))
}
