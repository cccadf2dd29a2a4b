//! Clients: versions, devices and runtimes, where the loss sits in what people run.

use super::Expert;
use crate::case::Case;
use crate::finding::{Ask, Channel, Condition, Findings, Kind, People, Task, evidence};
use crate::scan::Element;
use crate::vocabulary::Tier;
use graph::NodeId;

/// Looks at what people run.
pub(super) struct Clients;

/// Nats for an account of who suffers that is as good as the best, and against one that accounts for none of it.
pub(super) const REACH_WEIGHT: f64 = 8.0;
/// Elements of a loss that are followed: later ones are echoes of the first more often than losses of their own.
pub(super) const FOLLOWED: usize = 3;

impl Expert for Clients {
    fn name(&self) -> &'static str {
        "clients"
    }

    fn duty(&self) -> &'static str {
        "compare versions, devices and runtimes: who suffers, who does not"
    }

    fn look(&self, case: &Case<'_>) -> Findings {
        let mut out = Findings::default();
        let o = case.view.ontology();
        for (i, element) in case.loss.elements.iter().take(FOLLOWED).enumerate() {
            let people = case.loss.people(element);
            out.looked_at += 1;
            let treated = people.0.iter().any(|c| o.is_a(c.class, case.vocabulary.treatment));
            let own: Vec<&Condition> =
                people.0.iter().filter(|c| case.vocabulary.tier(o, c.class) == Some(Tier::Client)).collect();
            if own.is_empty() || treated {
                continue;
            }
            let version = own.iter().any(|c| o.is_a(c.class, case.vocabulary.version));
            let entities: Vec<NodeId> = own.iter().flat_map(|c| c.nodes.iter().copied()).collect();
            let kind = if version { Kind::Change } else { Kind::Component };
            let llr = weight(case, element);
            let told = vec![compared(case, self.name(), element, &people, llr)];
            out.say(kind, entities.clone(), Channel::Cohort, llr, told);
            if i == 0 {
                out.tasks.push(Task {
                    expert: "changes",
                    text: format!("what was changed for {}", people.text()),
                    about: entities,
                });
            }
        }
        // The newest version is the first suspect of any owner: say how it stands even when it is innocent.
        for condition in alone(case, |class| {
            o.is_a(class, case.vocabulary.version) && case.vocabulary.tier(o, class) == Some(Tier::Client)
        }) {
            let people = People(vec![condition.clone()]);
            let Some(terms) = case.loss.terms_of(&people) else { continue };
            let llr = REACH_WEIGHT * (2.0 * case.loss.reached_by_people(&terms) - 1.0);
            let told = vec![spared(case, self.name(), &people, &terms, llr)];
            out.looked_at += 1;
            out.say(Kind::Change, condition.nodes.clone(), Channel::Cohort, llr, told);
        }
        out
    }
}

/// Nats of an element as an account of who suffers, by how much of the best account it reaches.
pub(super) fn weight(case: &Case<'_>, element: &Element) -> f64 {
    let whole: f64 = case.loss.elements.iter().map(|e| e.score.max(0.0)).sum();
    REACH_WEIGHT * (2.0 * (element.score / whole.max(1e-9)).clamp(0.0, 1.0) - 1.0)
}

/// Single conditions of the explained people, or the newest thing of its sort, that pass a test of their class.
pub(super) fn alone(case: &Case<'_>, test: impl Fn(ontology::ClassId) -> bool) -> Vec<Condition> {
    let parts = case.people.0.iter().filter(|c| case.people.0.len() > 1 && test(c.class)).cloned();
    let asked = case.question.people.0.iter().filter(|c| test(c.class)).cloned();
    let mut found: Vec<Condition> = parts.chain(asked).collect();
    found.retain(|c| !(case.people.0.len() == 1 && case.people.0.iter().any(|p| p.nodes == c.nodes)));
    found.sort();
    found.dedup_by(|a, b| a.nodes == b.nodes);
    found
}

/// How some people fared since the onset, against what they were used to or, when they are new, against the others.
pub(super) fn compared(
    case: &Case<'_>,
    expert: &str,
    element: &Element,
    people: &People,
    llr: f64,
) -> crate::finding::Evidence {
    let view = case.view;
    let ask = case.ask(people, case.windows.degraded);
    let change = case.loss.change(element.effect);
    let expected = ask.value(view).map(|v| v / (1.0 + change));
    let claim = format!(
        "{} for {} is {:+.0} % against what was to be expected of the same people, in {:.0} observations",
        case.measure_name(case.measure()),
        people.text(),
        change * 100.0,
        element.n
    );
    let mut charts = vec![case.chart(&people.text(), &ask)];
    if let [one] = people.0.as_slice() {
        let others = People::default();
        let rest = Ask { except: Some(one), people: &others, ..case.ask(&others, case.windows.degraded) };
        charts.push(case.chart("everyone else", &rest));
    } else {
        let others = People::default();
        charts.push(case.chart("everyone", &case.ask(&others, case.windows.degraded)));
    }
    evidence(view, expert, claim, &ask.query(view), expected, llr, charts)
}

/// How people with one condition fared when the explained ones are left out.
pub(super) fn spared(
    case: &Case<'_>,
    expert: &str,
    people: &People,
    terms: &[(usize, Vec<u16>)],
    llr: f64,
) -> crate::finding::Evidence {
    let view = case.view;
    let rest = case.people.0.iter().find(|c| !people.0.iter().any(|p| p.nodes == c.nodes));
    let guilty = &case.element.terms;
    let (mut weight, mut excess, mut n) = (0.0, 0.0, 0.0);
    for x in &case.loss.rows {
        if x.minute >= case.loss.onset
            && case.loss.table.matches(x.leaf, terms)
            && !case.loss.table.matches(x.leaf, guilty)
        {
            weight += x.weight;
            excess += x.excess;
            n += x.n;
        }
    }
    let effect = if weight > 0.0 { excess / weight } else { 0.0 };
    let change = case.loss.change(effect);
    let ask = Ask { except: rest, ..case.ask(people, case.windows.degraded) };
    let expected = ask.value(view).map(|v| v / (1.0 + change));
    let claim = format!(
        "{} outside of {} is {:+.1} % against what was to be expected, in {n:.0} observations",
        people.text(),
        case.people.text(),
        change * 100.0,
    );
    let chart = case.chart(&format!("{}, the others", people.text()), &ask);
    evidence(view, expert, claim, &ask.query(view), expected, llr, vec![chart])
}
