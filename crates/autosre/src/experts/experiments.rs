//! Experiments: whether a cell or a flag's variant is at fault, alone or only together with a version.

use super::Expert;
use super::clients::{FOLLOWED, REACH_WEIGHT, alone, compared, spared, weight};
use crate::case::Case;
use crate::finding::{Channel, Condition, Evidence, Findings, Kind, People, Task, evidence};
use graph::NodeId;
use stats::did::{Square, required_n};
use stats::sequential::{Contrast, Sample};

/// Looks at treatments.
pub(super) struct Experiments;

/// What a treatment turned out to be.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Verdict {
    /// It does no harm that anyone would care about.
    Exonerated,
    /// It does harm by itself.
    MainEffect,
    /// It does harm only together with something else.
    Interaction,
    /// Too few people to tell; so many per arm are needed.
    UnderPowered(f64),
}

/// Level of the confidence sequences.
const LEVEL: f64 = 0.05;
/// The power asked for when more people are asked for.
const POWER: f64 = 0.8;
/// Most an interaction's own contrast may add: it is seen in the same loss that the element was found in.
const MOST: f64 = 4.0;
/// A mismatch of allocation this unlikely says that no other figure of the experiment can be believed.
const MISMATCH: f64 = 7.0;

impl Expert for Experiments {
    fn name(&self) -> &'static str {
        "experiments"
    }

    fn duty(&self) -> &'static str {
        "check every experiment: allocation, each cell against the others, version by cell"
    }

    fn look(&self, case: &Case<'_>) -> Findings {
        let mut out = Findings::default();
        let o = case.view.ontology();
        let v = case.vocabulary;
        for element in case.loss.elements.iter().take(FOLLOWED) {
            let people = case.loss.people(element);
            out.looked_at += 1;
            let of = |general| -> Vec<&Condition> {
                people.0.iter().filter(|c| o.is_a(c.class, general)).collect()
            };
            let (treatments, versions) = (of(v.treatment), of(v.version));
            if treatments.is_empty() {
                continue;
            }
            let kind =
                if versions.is_empty() && treatments.len() == 1 { Kind::Flag } else { Kind::Interaction };
            let mut entities: Vec<NodeId> =
                versions.iter().chain(&treatments).flat_map(|c| c.nodes.clone()).collect();
            let others =
                people.0.iter().filter(|c| !o.is_a(c.class, v.treatment) && !o.is_a(c.class, v.version));
            entities.extend(others.flat_map(|c| c.nodes.clone()));
            let llr = weight(case, element);
            let mut told = vec![compared(case, self.name(), element, &people, llr)];
            told.extend(mismatch(case, self.name(), &treatments));
            out.say(kind, entities.clone(), Channel::Cohort, llr, told);
            if let ([version], [cell]) = (versions.as_slice(), treatments.as_slice())
                && let Some((contrast, told)) = interaction(case, self.name(), version, cell)
            {
                out.say(kind, entities.clone(), Channel::Contrast, contrast, told);
            }
            out.tasks.push(Task {
                expert: "changes",
                text: format!("what was changed for {}", people.text()),
                about: entities,
            });
        }
        for condition in alone(case, |class| o.is_a(class, v.treatment)) {
            let people = People(vec![condition.clone()]);
            let Some(terms) = case.loss.terms_of(&people) else { continue };
            let llr = REACH_WEIGHT * (2.0 * case.loss.reached_by_people(&terms) - 1.0);
            out.looked_at += 1;
            let told = vec![spared(case, self.name(), &people, &terms, llr)];
            out.say(Kind::Flag, condition.nodes.clone(), Channel::Cohort, llr, told);
        }
        self.others(case, &mut out);
        out
    }
}

impl Experiments {
    /// Treatments that the loss does not name: what each did outside of it.
    fn others(&self, case: &Case<'_>, out: &mut Findings) {
        let o = case.view.ontology();
        let named = case.people.nodes();
        for (f, facet) in case.loss.table.facets.iter().enumerate() {
            if !o.is_a(facet.class, case.vocabulary.treatment) || facet.coarse {
                continue;
            }
            for (l, level) in facet.levels.iter().enumerate().skip(1) {
                let Ok(l) = u16::try_from(l) else { continue };
                let siblings = case.element.terms.iter().any(|t| t.0 == f);
                if siblings
                    || level.nodes.iter().any(|n| named.contains(n))
                    || is_control(case, level.nodes.first())
                {
                    continue;
                }
                out.looked_at += 1;
                let guilty = &case.element.terms;
                let with = sample(case, |leaf| {
                    !case.loss.table.matches(leaf, guilty) && case.loss.table.matches(leaf, &[(f, vec![l])])
                });
                let rest: Vec<u16> =
                    (1..u16::try_from(facet.levels.len()).unwrap_or(0)).filter(|x| *x != l).collect();
                let without = sample(case, |leaf| {
                    !case.loss.table.matches(leaf, guilty)
                        && case.loss.table.matches(leaf, &[(f, rest.clone())])
                });
                let contrast = Contrast::between(with, without);
                let verdict = verdict(case, contrast, &[with.variance, without.variance]);
                let (claim, llr) = match verdict {
                    Verdict::Exonerated => {
                        (format!("{} is exonerated: {}", level.label, range(case, contrast)), -6.0)
                    }
                    Verdict::MainEffect | Verdict::Interaction => (
                        format!("{} differs from the other cells: {}", level.label, range(case, contrast)),
                        -2.0,
                    ),
                    Verdict::UnderPowered(n) => (
                        format!(
                            "{} shows nothing yet; {n:.0} observations per cell would settle it",
                            level.label
                        ),
                        -4.0,
                    ),
                };
                let condition = Condition {
                    label: format!("{} {}", facet.name, level.label),
                    class: facet.class,
                    nodes: level.nodes.clone(),
                };
                let people = People(vec![condition]);
                let ask = case.ask(&people, case.windows.degraded);
                let baseline = case.ask(&people, case.windows.healthy).value(case.view);
                let told =
                    evidence(case.view, self.name(), claim, &ask.query(case.view), baseline, llr, Vec::new());
                out.say(Kind::Flag, level.nodes.clone(), Channel::Cohort, llr, vec![told]);
            }
        }
    }
}

fn is_control(case: &Case<'_>, node: Option<&NodeId>) -> bool {
    node.and_then(|n| case.view.graph.attr_named(*n, "control")).is_some_and(|v| v.as_f64() == Some(1.0))
}

fn sample(case: &Case<'_>, keep: impl Fn(u32) -> bool) -> Sample {
    let (mut n, mut sum) = (0.0, 0.0);
    for x in case.loss.rows.iter().filter(|x| x.minute >= case.loss.onset && keep(x.leaf)) {
        n += x.weight;
        sum += x.excess;
    }
    Sample { n, mean: if n > 0.0 { sum / n } else { 0.0 }, variance: case.loss.expectation.variance }
}

fn verdict(case: &Case<'_>, contrast: Contrast, variances: &[f64]) -> Verdict {
    let margin = case.loss.margin;
    if contrast.lower(LEVEL) > margin {
        Verdict::MainEffect
    } else if contrast.upper(LEVEL) < 2.0 * margin {
        Verdict::Exonerated
    } else {
        Verdict::UnderPowered(required_n(2.0 * margin, variances, LEVEL, POWER))
    }
}

fn range(case: &Case<'_>, contrast: Contrast) -> String {
    let percent = |x: f64| case.loss.change(x) * 100.0;
    format!(
        "{:+.1} % against the other cells (95 % sequence {:+.1} to {:+.1} %)",
        percent(contrast.estimate),
        percent(contrast.lower(LEVEL)),
        percent(contrast.upper(LEVEL))
    )
}

/// Version × cell: the cell's effect in the version less its effect elsewhere.
fn interaction(
    case: &Case<'_>,
    expert: &str,
    version: &Condition,
    cell: &Condition,
) -> Option<(f64, Vec<Evidence>)> {
    let view = case.view;
    let here = case.loss.terms_of(&People(vec![version.clone()]))?;
    let treated = case.loss.terms_of(&People(vec![cell.clone()]))?;
    let t = &case.loss.table;
    let facet = treated.first()?.0;
    let known = |leaf: u32| t.leaves.get(leaf as usize).and_then(|l| l.get(facet)).is_some_and(|l| *l != 0);
    let square = Square {
        treated_here: sample(case, |l| t.matches(l, &here) && t.matches(l, &treated)),
        control_here: sample(case, |l| t.matches(l, &here) && known(l) && !t.matches(l, &treated)),
        treated_elsewhere: sample(case, |l| !t.matches(l, &here) && t.matches(l, &treated)),
        control_elsewhere: sample(case, |l| !t.matches(l, &here) && known(l) && !t.matches(l, &treated)),
    };
    let (both, alone) = (square.interaction(), square.effect_elsewhere());
    let (low, ln_e) = (both.lower(LEVEL), both.ln_e_risen(case.loss.margin));
    let verdict = if low > case.loss.margin {
        Verdict::Interaction
    } else if alone.lower(LEVEL) > case.loss.margin {
        Verdict::MainEffect
    } else {
        Verdict::UnderPowered(required_n(
            case.element.effect,
            &[case.loss.expectation.variance; 4],
            LEVEL,
            POWER,
        ))
    };
    let llr = match verdict {
        Verdict::Interaction => ln_e.clamp(0.0, MOST),
        Verdict::MainEffect => -MOST,
        _ => 0.0,
    };
    let said = match verdict {
        Verdict::Interaction => "an interaction: neither does harm alone".to_owned(),
        Verdict::MainEffect => "a main effect of the cell".to_owned(),
        Verdict::UnderPowered(n) => format!("not settled; {n:.0} observations per arm would settle it"),
        Verdict::Exonerated => "exonerated".to_owned(),
    };
    let percent = |x: f64| case.loss.change(x) * 100.0;
    let claim = format!(
        "{} changes it by {:+.0} % in {} and by {:+.1} % elsewhere: {said}",
        cell.label,
        percent(square.effect_here().estimate),
        version.label,
        percent(alone.estimate)
    );
    let control = People(vec![version.clone()]);
    let ask = crate::finding::Ask { except: Some(cell), ..case.ask(&control, case.windows.degraded) };
    let treated_people = People(vec![version.clone(), cell.clone()]);
    let with = case.ask(&treated_people, case.windows.degraded);
    let charts = vec![case.chart("with", &with), case.chart("without", &ask)];
    Some((llr, vec![evidence(view, expert, claim, &with.query(view), ask.value(view), llr, charts)]))
}

/// Whether the cells of these treatments have the traffic they were given.
fn mismatch(case: &Case<'_>, expert: &str, treatments: &[&Condition]) -> Vec<Evidence> {
    let mut found = Vec::new();
    for c in treatments {
        let facets = &case.loss.table.facets;
        let Some((f, facet)) = facets
            .iter()
            .enumerate()
            .find(|(_, f)| f.class == c.class && f.levels.iter().any(|l| l.nodes == c.nodes))
        else {
            continue;
        };
        let share = |n: &NodeId| case.view.graph.attr_named(*n, "share").and_then(ontology::Value::as_f64);
        let shares: Vec<f64> =
            facet.levels.iter().skip(1).filter_map(|l| l.nodes.first().and_then(share)).collect();
        if shares.len() + 1 != facet.levels.len() || shares.len() < 2 {
            continue;
        }
        let counts: Vec<f64> = (1..=shares.len())
            .filter_map(|l| u16::try_from(l).ok())
            .map(|l| case.loss.count(&[(f, vec![l])]))
            .collect();
        let ln_e = stats::srm::ln_e(&counts, &shares);
        let good = ln_e < MISMATCH;
        let claim = if good {
            format!("{} has the traffic it was allocated", facet.name)
        } else {
            format!(
                "{} does not have the traffic it was allocated: its other figures are in doubt",
                facet.name
            )
        };
        let people = People(vec![(*c).clone()]);
        let ask = crate::finding::Ask {
            show: Some(query::Show::Count),
            ..case.ask(&people, case.windows.degraded)
        };
        let total: f64 = counts.iter().sum();
        let own =
            facet.levels.iter().skip(1).position(|l| l.nodes == c.nodes).and_then(|i| shares.get(i)).copied();
        let baseline = own.map(|s| (total * s / shares.iter().sum::<f64>()).round());
        let llr = if good { 0.1 } else { -1.0 };
        found.push(evidence(case.view, expert, claim, &ask.query(case.view), baseline, llr, Vec::new()));
    }
    found
}
