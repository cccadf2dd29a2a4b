//! Noticing: which measures that people feel are worse than was to be expected, for whom, since when, and whether it went away.
//!
//! Every felt measure is scanned over all cohorts and onsets at once; what a scan finds is an e-value, so looking every minute
//! raises no more false alarms than looking once, and e-BH (Wang and Ramdas 2022) keeps the share of false ones among many
//! measures at its level whatever they have in common.

use crate::answer::{Entity, Regression, State, digest, moment};
use crate::finding::{Ask, People};
use crate::loss::Loss;
use crate::scan::Element;
use crate::vocabulary::{Lacking, Vocabulary};
use crate::windows;
use graph::NodeId;
use ontology::{MeasureId, Minute, Time};
use query::View;

/// Share of false alarms among alarms that is put up with.
pub(crate) const LEVEL: f64 = 0.01;
/// Minutes without the loss after which it went away.
const QUIET: i64 = 10;
/// Observations in these minutes below which nothing is said about it.
const QUIET_FEWEST: f64 = 20.0;

/// Regressions known so far; give back what [`detect`] returned last.
pub type Known = Vec<Regression>;

/// Looks at every measure that people feel.
///
/// Regressions already known keep their id, their opening and their onset while the same measure on the same subject is worse;
/// they close when it no longer is.
///
/// # Errors
/// When the ontology lacks a core name.
pub fn detect(view: &View<'_>, known: &[Regression]) -> Result<Known, Lacking> {
    let vocabulary = Vocabulary::new(view.ontology())?;
    let mut found: Vec<(f64, Regression)> = Vec::new();
    let felt = vocabulary.felt(view.ontology());
    for measure in &felt {
        let name = view.measure(*measure).map_or("", |m| m.name.as_str());
        let since = known
            .iter()
            .filter(|r| r.state == State::Open && r.measure == name)
            .filter_map(|r| Time::parse(&r.onset).ok())
            .map(Time::minute)
            .min();
        let subjects = view.graph.subjects(*measure);
        let Some(loss) = Loss::of(view, &vocabulary, *measure, &subjects, since) else { continue };
        if let Some(element) = loss.elements.first() {
            found.push((loss.log_e, regression(view, &loss, element)));
        }
    }
    let mut regressions = rejected(found, felt.len().max(1));
    for old in known {
        let twin = regressions.iter_mut().find(|r| r.measure == old.measure && r.subject == old.subject);
        match twin {
            Some(new) if old.state == State::Open => {
                new.id.clone_from(&old.id);
                new.opened_at.clone_from(&old.opened_at);
                new.onset.clone_from(&old.onset);
                new.investigation.clone_from(&old.investigation);
                new.top_cause.clone_from(&old.top_cause);
            }
            Some(new) if new.onset <= old.onset => {}
            _ => {
                let mut gone = old.clone();
                if gone.state == State::Open {
                    gone.state = State::Closed;
                    gone.closed_at = Some(moment(view.as_of));
                }
                regressions.push(gone);
            }
        }
    }
    regressions.sort_by(|a, b| {
        (a.state == State::Closed)
            .cmp(&(b.state == State::Closed))
            .then_with(|| a.p_value.total_cmp(&b.p_value))
            .then_with(|| a.id.cmp(&b.id))
    });
    Ok(regressions)
}

/// e-BH: of `looked` e-values, those large enough for their rank.
fn rejected(mut found: Vec<(f64, Regression)>, looked: usize) -> Vec<Regression> {
    found.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.id.cmp(&b.1.id)));
    let enough = |k: usize, log_e: f64| log_e >= (looked as f64 / (k as f64 * LEVEL)).ln();
    let last = found.iter().enumerate().rev().find(|(i, f)| enough(i + 1, f.0)).map_or(0, |(i, _)| i + 1);
    found.into_iter().take(last).map(|f| f.1).collect()
}

/// The subject that loses most in an element.
pub(crate) fn main_subject(loss: &Loss, element: &Element) -> Option<NodeId> {
    let facet = loss.table.facets.first()?;
    let mut lost = vec![0.0; facet.levels.len()];
    for x in &loss.rows {
        if x.minute >= loss.onset && loss.table.matches(x.leaf, &element.terms) {
            let level = loss.table.leaves.get(x.leaf as usize).and_then(|l| l.first()).copied().unwrap_or(0);
            if let Some(at) = lost.get_mut(level as usize) {
                *at += x.excess;
            }
        }
    }
    let best = (1..lost.len()).max_by(|a, b| lost[*a].total_cmp(&lost[*b]).then(b.cmp(a)))?;
    facet.levels.get(best)?.nodes.first().copied()
}

/// The regression that an element of a loss amounts to.
pub(crate) fn regression(view: &View<'_>, loss: &Loss, element: &Element) -> Regression {
    let measure = loss.table.measure;
    let about = view.measure(measure);
    let people = loss.people(element);
    let subject = main_subject(loss, element);
    let pair = windows::matched(loss);
    let figure = |during, people: &People| {
        Ask { measure, subject, people, except: None, during, show: None }.value(view)
    };
    let observed = figure(pair.degraded, &people);
    let change = loss.change(element.effect);
    let counted = Ask {
        measure,
        subject,
        people: &people,
        except: None,
        during: pair.healthy,
        show: Some(query::Show::Count),
    };
    let known_before = counted.value(view).unwrap_or(0.0) >= QUIET_FEWEST;
    let baseline = if known_before {
        figure(pair.healthy, &people)
    } else {
        // Nobody had this version before: what it would have been without the change.
        observed.map(|o| o / (1.0 + change))
    };
    let entity = subject.map_or_else(
        || Entity { id: String::new(), class: String::new(), name: "everything".to_owned() },
        |s| Entity::of(view, s),
    );
    let name = about.map_or_else(String::new, |m| m.name.clone());
    let onset = moment(loss.onset.start());
    let closed = went_away(loss, element);
    Regression {
        id: digest("r", [name.as_str(), entity.id.as_str(), people.text().as_str(), onset.as_str()]),
        measure: name,
        measure_doc: about.map_or_else(String::new, |m| m.doc.clone()),
        unit: about.map_or_else(String::new, |m| m.unit.clone()),
        subject: entity,
        cohort: people.text(),
        cohort_entities: people.nodes().into_iter().map(|n| Entity::of(view, n)).collect(),
        onset,
        opened_at: moment(view.as_of),
        closed_at: closed.map(|m| moment(m.start())),
        baseline,
        observed,
        change,
        sessions: rounded(element.n),
        p_value: loss.p_value(),
        state: if closed.is_some() { State::Closed } else { State::Open },
        investigation: None,
        top_cause: None,
    }
}

/// Since when the element no longer departs, if so.
fn went_away(loss: &Loss, element: &Element) -> Option<Minute> {
    let from = loss.end.plus(-QUIET);
    if from <= loss.onset {
        return None;
    }
    let (mut weight, mut excess, mut n) = (0.0, 0.0, 0.0);
    for x in loss.rows.iter().filter(|x| x.minute >= from && loss.table.matches(x.leaf, &element.terms)) {
        weight += x.weight;
        excess += x.excess;
        n += x.n;
    }
    // Away is less than half of what it was, with the mean's own uncertainty granted to the regression.
    let uncertain = 2.0 * (loss.expectation.variance / f64::max(weight, 1.0)).sqrt();
    (n >= QUIET_FEWEST && excess / f64::max(weight, 1e-9) + uncertain < element.effect / 2.0).then_some(from)
}

/// A count as a whole number.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts are small and not negative"
)]
pub(crate) fn rounded(n: f64) -> u64 {
    n.max(0.0).round() as u64
}

/// The loss of one measure, when chance does not explain it at the detector's level.
pub(crate) fn is_news(loss: &Loss) -> bool {
    !loss.elements.is_empty() && loss.p_value() <= LEVEL
}

/// The felt measures in order of how surely they are worse; those that are not are left out.
pub(crate) fn losses(view: &View<'_>, vocabulary: &Vocabulary, measures: &[MeasureId]) -> Vec<Loss> {
    let mut losses: Vec<Loss> = measures
        .iter()
        .filter_map(|m| Loss::of(view, vocabulary, *m, &view.graph.subjects(*m), None))
        .filter(is_news)
        .collect();
    losses.sort_by(|a, b| b.log_e.total_cmp(&a.log_e).then(a.table.measure.cmp(&b.table.measure)));
    losses
}
