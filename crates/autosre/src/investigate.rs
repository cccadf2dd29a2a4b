//! From a question to its answer.

use crate::answer::{
    Answer, Cause, Entity, Impact, RuledOut, Shares, Snapshots, Split, SplitRow, State, Status, TierVerdict,
    Windows, digest, moment,
};
use crate::case::Case;
use crate::coordinator;
use crate::detect::{is_news, losses, main_subject, regression, rounded};
use crate::finding::{Channel, Kind, Task};
use crate::ground::ground;
use crate::loss::Loss;
use crate::mitigate::mitigations;
use crate::question::Question;
use crate::reply;
use crate::route::route;
use crate::scan::Element;
use crate::synthesis::{Weighed, Weighing, weigh};
use crate::vocabulary::{Lacking, Tier, Vocabulary};
use crate::windows;
use graph::NodeId;
use ontology::MeasureId;
use query::View;
use stats::sequential::Contrast;
use stats::sequential::Sample;

/// What an answer must reach before it names a cause.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Least probability of a cause that is called proven.
    pub proven: f64,
    /// Most causes shown.
    pub causes: usize,
    /// Most hypotheses shown as ruled out.
    pub ruled_out: usize,
}

impl Default for Options {
    fn default() -> Options {
        // Blaming an innocent costs more than abstaining (DESIGN §6.6), so better than even.
        Options { proven: 0.55, causes: 5, ruled_out: 12 }
    }
}

/// Answers a question in words. A pure function: the same facts give the same bytes.
///
/// # Errors
/// When the ontology lacks a core name.
pub fn ask(view: &View<'_>, text: &str, options: &Options) -> Result<Answer, Lacking> {
    let vocabulary = Vocabulary::new(view.ontology())?;
    let question = ground(view, &vocabulary, text);
    investigate(view, &question, options)
}

/// Answers a typed question.
///
/// # Errors
/// When the ontology lacks a core name.
pub fn investigate(view: &View<'_>, question: &Question, options: &Options) -> Result<Answer, Lacking> {
    let vocabulary = Vocabulary::new(view.ontology())?;
    let mut answer = blank(view, question);
    if !question.is_grounded() {
        answer.status = Status::NotUnderstood;
        answer.headline = match unknown(question) {
            Some(words) => format!("Nothing is known here by the name {words}."),
            None => {
                "No word of the question names a measure, a thing or a trouble that is known here.".to_owned()
            }
        };
        return Ok(finished(answer));
    }
    let loss = match question.measure {
        Some(measure) => {
            let subjects = if question.subjects.is_empty() {
                view.graph.subjects(measure)
            } else {
                question.subjects.clone()
            };
            Loss::of(view, &vocabulary, measure, &subjects, None)
        }
        None if question.subjects.is_empty() => {
            let felt = vocabulary.felt(view.ontology());
            // Healthy times have changes and cohorts, too: they are told by the first measure that there is.
            let calm = || {
                let of = |m: &MeasureId| Loss::of(view, &vocabulary, *m, &view.graph.subjects(*m), None);
                felt.iter().find_map(of).filter(|_| question.intent.is_for_calm_times())
            };
            losses(view, &vocabulary, &felt).into_iter().next().or_else(calm)
        }
        None => {
            let mut found: Vec<Loss> = vocabulary
                .felt(view.ontology())
                .into_iter()
                .filter_map(|m| Loss::of(view, &vocabulary, m, &question.subjects, None))
                .collect();
            found.sort_by(|a, b| b.log_e.total_cmp(&a.log_e));
            found.into_iter().next()
        }
    };
    let Some(loss) = loss else {
        answer.status = if question.measure.is_some() { Status::NotProven } else { Status::NothingWrong };
        answer.headline = if question.measure.is_some() {
            answer.missing.push(crate::finding::Missing {
                what: "history".to_owned(),
                why: "too few observations to say what was to be expected".to_owned(),
            });
            "There is too little history to tell whether anything got worse.".to_owned()
        } else {
            "No measure that people feel is worse than was to be expected.".to_owned()
        };
        return Ok(finished(answer));
    };
    let asked = loss.terms_of(&question.people).unwrap_or_default();
    let touched = loss.elements.iter().find(|e| touches(&loss, e, &asked)).cloned();
    let Some(element) = touched.filter(|_| is_news(&loss)) else {
        nothing_wrong(view, question, &loss, &asked, &mut answer);
        let windows = windows::halves(&loss);
        let ground = reply::Ground { view, vocabulary: &vocabulary, question, loss: &loss, windows };
        reply::calm(ground, &mut answer);
        return Ok(finished(answer));
    };
    let people = loss.people(&element);
    let mut subjects = loss.subjects(&element);
    if let Some(main) = main_subject(&loss, &element) {
        subjects.retain(|s| *s != main);
        subjects.insert(0, main);
    }
    let pair = windows::matched(&loss);
    let case = Case {
        view,
        vocabulary: &vocabulary,
        question,
        loss: &loss,
        element: &element,
        people: &people,
        subjects: &subjects,
        windows: pair,
        backend: None,
        task: Task { expert: "", text: String::new(), about: Vec::new() },
    };
    let backend = crate::backend::Backend::of(&case);
    let case = Case { backend: backend.as_ref(), ..case };
    let collected = coordinator::run(&case);
    let weighing = weigh(&case, &collected);
    answer.regression = Some(regression(view, &loss, &element));
    answer.windows = Some(Windows { healthy: pair.healthy.into(), degraded: pair.degraded.into() });
    answer.snapshots = Some(Snapshots {
        healthy: format!("healthy@{}", pair.healthy.to),
        degraded: format!("degraded@{}", pair.degraded.from),
    });
    answer.missing = collected.missing.clone();
    answer.plan = collected.plan;
    answer.impact = impact(&loss, &element);
    answer.cohort_split = split(&loss, &element);
    compose(&case, &weighing, options, &mut answer);
    reply::explained(&case, &weighing, options, &mut answer);
    Ok(finished(answer))
}

fn blank(view: &View<'_>, question: &Question) -> Answer {
    Answer {
        id: String::new(),
        question: question.text.clone(),
        as_of: moment(view.as_of),
        status: Status::NothingWrong,
        headline: String::new(),
        understood: question.understood(view),
        not_understood: question.unknown.clone(),
        reply: Vec::new(),
        regression: None,
        windows: None,
        tier: TierVerdict { verdict: "none".to_owned(), shares: Shares::default(), why: String::new() },
        causes: Vec::new(),
        ruled_out: Vec::new(),
        missing: Vec::new(),
        cohort_split: Split::default(),
        impact: Impact::default(),
        mitigations: Vec::new(),
        plan: Vec::new(),
        snapshots: None,
        ontology_version: view.ontology().stamp(),
    }
}

/// The words that were not understood.
fn unknown(question: &Question) -> Option<String> {
    let words = question.unknown.iter().map(|u| format!("“{}”", u.word));
    words.reduce(|all, next| format!("{all}, {next}"))
}

/// Gives the evidence its ids and the answer its own.
fn finished(mut answer: Answer) -> Answer {
    let mut next = 0;
    for e in answer
        .reply
        .iter_mut()
        .chain(answer.causes.iter_mut().flat_map(|c| c.evidence.iter_mut()))
        .chain(answer.ruled_out.iter_mut().flat_map(|c| c.evidence.iter_mut()))
    {
        next += 1;
        e.id = format!("e{next}");
    }
    let titles: Vec<&str> = answer.causes.iter().map(|c| c.title.as_str()).collect();
    let parts = [answer.question.as_str(), answer.as_of.as_str(), answer.headline.as_str()];
    answer.id = digest("a", parts.into_iter().chain(titles));
    answer
}

/// Whether the people asked about have a part in an element's loss that is more than chance.
fn touches(loss: &Loss, element: &Element, asked: &[(usize, Vec<u16>)]) -> bool {
    if asked.is_empty() {
        return true;
    }
    let mut terms = element.terms.clone();
    terms.extend(asked.iter().cloned());
    let (weight, excess) = loss.sum(&terms);
    let e = crate::scan::likelihood(loss.table.ratio, loss.expectation.variance, weight, excess, loss.margin);
    e >= TOUCHED && loss.count(&terms) >= FEWEST
}

/// Nats from which the people asked about are taken to be among the sufferers: one in a hundred by chance.
const TOUCHED: f64 = 4.6;
/// Fewest observations of them.
const FEWEST: f64 = 20.0;

pub(crate) fn percent(x: f64) -> String {
    format!("{:+.1} %", x * 100.0)
}

/// Says how the measure stands, and what of its movement was the audience's.
fn nothing_wrong(
    view: &View<'_>,
    question: &Question,
    loss: &Loss,
    asked: &[(usize, Vec<u16>)],
    answer: &mut Answer,
) {
    answer.status = Status::NothingWrong;
    let pair = windows::halves(loss);
    let measure = view.measure(loss.table.measure).map_or("the measure", |m| m.name.as_str());
    let inside = |m: ontology::Minute, s: ontology::Stretch| s.contains(m.start());
    let mut raw = [(0.0, 0.0, 0.0); 2];
    for r in loss.table.rows.iter().filter(|r| loss.table.matches(r.leaf, asked)) {
        let half = usize::from(inside(r.minute, pair.degraded));
        raw[half].0 += r.n;
        raw[half].1 += r.sum;
        raw[half].2 += loss.expectation.of_leaf.get(r.leaf as usize).copied().unwrap_or(0.0) * r.n;
    }
    let mean = |h: usize, s: f64| if raw[h].0 > 0.0 { s / raw[h].0 } else { 0.0 };
    let moved = mean(1, raw[1].1) - mean(0, raw[0].1);
    let audience = mean(1, raw[1].2) - mean(0, raw[0].2);
    let (moved, audience) =
        if loss.table.ratio { (moved, audience) } else { (moved.exp() - 1.0, audience.exp() - 1.0) };
    // Of everyone: a version that is being rolled out grows without anyone more being there.
    let many = |half: usize| -> f64 {
        loss.table
            .rows
            .iter()
            .filter(|r| usize::from(inside(r.minute, pair.degraded)) == half)
            .map(|r| r.n)
            .sum()
    };
    let volume = if many(0) > 0.0 { many(1) / many(0) - 1.0 } else { 0.0 };
    let whom =
        if question.people.0.is_empty() { String::new() } else { format!(" for {}", question.people.text()) };
    let mut headline = format!(
        "Nothing regressed: {measure}{whom} is what was to be expected of who was there (p {:.2}).",
        loss.p_value()
    );
    if asked.is_empty() && audience.abs() > loss.margin {
        headline.push_str(&format!(
            " It moved by {}, of which {} is another audience{}.",
            percent(moved),
            percent(audience),
            if volume > 0.2 { format!(" in a surge of {} more", percent(volume)) } else { String::new() }
        ));
    } else if volume > 0.2 {
        headline.push_str(&format!(" Traffic grew by {}, and nobody is slower for it.", percent(volume)));
    }
    if is_news(loss)
        && let Some(e) = loss.elements.first()
    {
        let there = loss.people(e).text();
        headline = format!("{measure}{whom} did not regress. It did for {there}: ask about that.");
        answer.regression = Some(regression(view, loss, e));
    }
    answer.windows = Some(Windows { healthy: pair.healthy.into(), degraded: pair.degraded.into() });
    answer.tier.why = "nothing is worse than was to be expected".to_owned();
    answer.headline = headline;
}

fn impact(loss: &Loss, element: &Element) -> Impact {
    let (own, all) = (loss.count(&element.terms), loss.count(&[]));
    let share = if all > 0.0 { own / all } else { 0.0 };
    let people = loss.people(element).text();
    Impact {
        sessions: rounded(own),
        share,
        text: format!(
            "{} of {} observations since {} ({:.0} %) are of {people}; each is {} worse than was to be expected.",
            rounded(own),
            rounded(all),
            loss.onset.start(),
            share * 100.0,
            percent(loss.change(element.effect))
        ),
    }
}

/// The affected combination beside its neighbours: every value of its facets.
fn split(loss: &Loss, element: &Element) -> Split {
    let facets: Vec<usize> = if element.terms.is_empty() {
        (0..loss.table.facets.len()).take(1).collect()
    } else {
        element.terms.iter().map(|t| t.0).collect()
    };
    let mut cells: std::collections::BTreeMap<Vec<u16>, (f64, f64, f64, f64, f64)> =
        std::collections::BTreeMap::new();
    for x in loss.rows.iter().filter(|x| x.minute >= loss.onset) {
        let Some(leaf) = loss.table.leaves.get(x.leaf as usize) else { continue };
        let key: Vec<u16> = facets.iter().map(|f| leaf[*f]).collect();
        let at = cells.entry(key).or_default();
        at.0 += x.weight;
        at.1 += x.excess;
        at.2 += x.n;
        at.3 += loss.expectation.of_leaf.get(x.leaf as usize).copied().unwrap_or(0.0) * x.n;
    }
    let mut rows: Vec<SplitRow> = cells
        .into_iter()
        .filter(|(key, c)| c.2 >= FEWEST && !key.contains(&0))
        .map(|(key, (weight, excess, n, expected, _))| {
            let effect = excess / weight.max(1e-9);
            let own = Sample { n: weight, mean: effect, variance: loss.expectation.variance };
            let radius = Some(Contrast::weighted(&[(1.0, own)]).radius(0.05)).filter(|r| r.is_finite());
            let healthy = if loss.table.ratio { expected / n } else { (expected / n).exp() };
            let change = loss.change(effect);
            SplitRow {
                values: key
                    .iter()
                    .zip(&facets)
                    .map(|(l, f)| {
                        loss.table.facets[*f]
                            .levels
                            .get(*l as usize)
                            .map_or("none".to_owned(), |x| x.label.clone())
                    })
                    .collect(),
                sessions: rounded(n),
                healthy: Some(healthy),
                degraded: Some(healthy * (1.0 + change)),
                change,
                low: radius.map(|r| loss.change(effect - r)),
                high: radius.map(|r| loss.change(effect + r)),
            }
        })
        .collect();
    rows.sort_by(|a, b| b.change.total_cmp(&a.change).then_with(|| a.values.cmp(&b.values)));
    rows.truncate(24);
    Split { dimensions: facets.iter().map(|f| loss.table.facets[*f].name.clone()).collect(), rows }
}

pub(crate) fn title(case: &Case<'_>, w: &Weighed) -> String {
    let view = case.view;
    let labels: Vec<String> = w.hypothesis.entities.iter().map(|n| view.label(*n)).collect();
    let first = labels.first().cloned().unwrap_or_default();
    let rest = || labels.iter().skip(1).cloned().collect::<Vec<_>>().join(", ");
    match w.hypothesis.kind {
        Kind::Interaction => labels.join(" together with "),
        Kind::Network if labels.len() > 1 => format!("{first} in {}", rest()),
        Kind::Flag => {
            let (o, v) = (view.ontology(), case.vocabulary);
            let on: Vec<String> = w
                .hypothesis
                .entities
                .iter()
                .skip(1)
                .filter(|n| view.graph.node(**n).is_some_and(|x| !o.is_a(x.class, v.change)))
                .map(|n| view.label(*n))
                .collect();
            if on.is_empty() { first } else { format!("{first} on {}", on.join(", ")) }
        }
        Kind::Change if labels.len() > 1 => format!("{first} ({})", rest()),
        _ => first,
    }
}

fn cause(case: &Case<'_>, w: &Weighed, rank: usize) -> Cause {
    let view = case.view;
    let title = title(case, w);
    let strong: Vec<String> =
        w.evidence.iter().filter(|e| e.supports).take(3).map(|e| e.claim.clone()).collect();
    let summary = if strong.is_empty() {
        "Nothing speaks for it in particular.".to_owned()
    } else {
        format!("{}.", strong.join("; "))
    };
    let change = case.loss.change(case.element.effect);
    let name = case.measure_name(case.measure()).to_owned();
    Cause {
        rank,
        counterfactual: format!(
            "Without it, {name} for {} would be about {} lower.",
            case.people.text(),
            percent(change / (1.0 + change)).trim_start_matches('+')
        ),
        title,
        kind: w.hypothesis.kind,
        entities: w.hypothesis.entities.iter().map(|n| Entity::of(view, *n)).collect(),
        probability: (w.probability * 1e4).round() / 1e4,
        summary,
        path: route(case, &w.hypothesis, w.tier),
        evidence: w.evidence.iter().take(8).cloned().collect(),
    }
}

pub(crate) fn why_not(w: &Weighed) -> String {
    if let Some(other) = &w.explained_by {
        return format!("explained by {other}");
    }
    let worst = w.channels.iter().min_by(|a, b| a.1.total_cmp(b.1)).filter(|c| *c.1 < 0.0);
    let words = |c: Channel| match c {
        Channel::Cohort => "those who suffer are not those it reaches",
        Channel::Parts => "the time was not lost on its side",
        Channel::Component => "it adds nothing of its own",
        Channel::Contrast => "where it is, things are no worse than where it is not",
        Channel::Timing => "it began at another time",
        Channel::Resource => "it was short of nothing",
        Channel::Alerts => "alerts do not bear it out",
    };
    worst.map_or_else(
        || "nothing connects it with who suffers, or where the time went".to_owned(),
        |c| words(*c.0).to_owned(),
    )
}

fn compose(case: &Case<'_>, weighing: &Weighing, options: &Options, answer: &mut Answer) {
    let view = case.view;
    let first = weighing.all.first().filter(|w| w.probability >= options.proven);
    answer.status = if first.is_some() { Status::Explained } else { Status::NotProven };
    let shown: Vec<&Weighed> = weighing
        .all
        .iter()
        .filter(|w| w.probability >= 0.02 && w.explained_by.is_none())
        .take(options.causes)
        .collect();
    answer.causes = shown.iter().enumerate().map(|(i, w)| cause(case, w, i + 1)).collect();
    answer.ruled_out = weighing
        .all
        .iter()
        .filter(|w| !shown.iter().any(|s| s.hypothesis == w.hypothesis))
        .take(options.ruled_out)
        .map(|w| RuledOut {
            title: title(case, w),
            kind: w.hypothesis.kind,
            entities: w.hypothesis.entities.iter().map(|n| Entity::of(view, *n)).collect(),
            probability: (w.probability * 1e4).round() / 1e4,
            why: why_not(w),
            evidence: w.evidence.iter().take(3).cloned().collect(),
        })
        .collect();
    let [client, network, backend] = weighing.shares.unwrap_or_default();
    let side = Tier::ALL
        .iter()
        .zip(weighing.sides)
        .max_by(|a, b| a.1.total_cmp(&b.1))
        .filter(|s| s.1 >= 0.5)
        .map(|s| s.0);
    let verdict = first.and_then(|w| w.tier).or(side.copied());
    answer.tier = TierVerdict {
        verdict: verdict.map_or("unknown", Tier::name).to_owned(),
        shares: Shares { client, network, backend },
        why: verdict.map_or_else(
            || "no side stands out".to_owned(),
            |t| {
                if weighing.shares.is_some() {
                    format!(
                        "of the lost time that was measured, {:.0} % went on the client, {:.0} % on the network, {:.0} % in the backend; the likeliest cause stands on the {} side",
                        client * 100.0,
                        network * 100.0,
                        backend * 100.0,
                        t.name()
                    )
                } else {
                    format!("the likeliest cause stands on the {} side", t.name())
                }
            },
        ),
    };
    let change = percent(case.loss.change(case.element.effect));
    let name = case.measure_name(case.measure());
    let whom = case.people.text();
    let since = case.loss.onset.start();
    answer.headline = match answer.causes.first().filter(|_| first.is_some()) {
        Some(c) => format!(
            "{} is the likeliest cause ({:.0} %): {name} is {change} for {whom} since {since}.",
            c.title,
            c.probability * 100.0
        ),
        None => format!(
            "{name} is {change} for {whom} since {since}; no cause stands out enough to name (something nobody named: {:.0} %).",
            weighing.unknown * 100.0
        ),
    };
    if let Some(r) = &mut answer.regression {
        r.top_cause = answer.causes.first().filter(|_| first.is_some()).map(|c| c.title.clone());
        if r.state == State::Closed {
            answer.headline.push_str(" It has gone away since.");
        }
    }
    if let (Some(w), Some(c)) = (first, answer.causes.first()) {
        let nodes: Vec<NodeId> = w.hypothesis.entities.clone();
        answer.mitigations = mitigations(case, c, &nodes);
    }
}
