//! What is said first to a question that is not "why": who is hit, what changed, is it this, which of the two, may it stay.
//!
//! **Not here:** another investigation. Every reply is read from the one that "why" gets, so two questions about one trouble do not
//! contradict each other; figures that it adds come with their queries.

use crate::answer::{Answer, Status};
use crate::case::Case;
use crate::detect::losses;
use crate::finding::{Ask, Condition, Evidence, People, between, evidence, node_name};
use crate::investigate::{Options, percent, title, why_not};
use crate::loss::Loss;
use crate::question::{Intent, Question};
use crate::synthesis::{Weighed, Weighing};
use crate::vocabulary::Vocabulary;
use crate::windows::Pair;
use graph::NodeId;
use ontology::Stretch;
use query::text::Show;
use query::{Query, View};
use stats::sequential::{Contrast, Sample};

/// Rows of a reply at most.
const MOST: usize = 8;
/// Who says them, beside the experts.
const COORDINATOR: &str = "coordinator";
/// Hours before the onset in which a change is worth telling.
const REACH_HOURS: i64 = 6;
/// Chance below which a suspect is acquitted rather than left open.
const ACQUITTED: f64 = 0.1;
/// Error probability of the interval of a comparison.
const ALPHA: f64 = 0.05;

/// What the reply to every question may look at.
#[derive(Clone, Copy)]
pub(crate) struct Ground<'a> {
    pub(crate) view: &'a View<'a>,
    pub(crate) vocabulary: &'a Vocabulary,
    pub(crate) question: &'a Question,
    pub(crate) loss: &'a Loss,
    pub(crate) windows: Pair,
}

/// Words and figures.
struct Reply {
    text: String,
    rows: Vec<Evidence>,
}

impl Reply {
    fn of(text: impl Into<String>) -> Reply {
        Reply { text: text.into(), rows: Vec::new() }
    }
}

/// Puts the reply at the head of an answer that found something wrong.
pub(crate) fn explained(case: &Case<'_>, weighing: &Weighing, options: &Options, answer: &mut Answer) {
    let ground = Ground::of(case);
    let reply = match case.question.intent {
        Intent::Causes => return,
        Intent::Verdict => verdict(case, weighing, options),
        Intent::Changes => ground.changes(),
        Intent::Affected => affected(case, answer),
        Intent::Effects => ground.effects(),
        Intent::Owner => owner(case, weighing, options),
        Intent::Actions => actions(answer),
        Intent::Comparison => ground.comparison(),
        Intent::Safety => safety(case, answer),
        Intent::Recurrence => recurrence(answer),
    };
    put(reply, answer);
}

/// The same where nothing is wrong: what can be asked of healthy times, too.
pub(crate) fn calm(ground: Ground<'_>, answer: &mut Answer) {
    let reply = match ground.question.intent {
        Intent::Changes => ground.changes(),
        Intent::Comparison => ground.comparison(),
        Intent::Effects if answer.regression.is_some() => ground.effects(),
        Intent::Safety => Reply::of("Nothing speaks against it so far."),
        _ => return,
    };
    put(reply, answer);
}

fn put(reply: Reply, answer: &mut Answer) {
    answer.headline = if answer.status == Status::NothingWrong {
        format!("{} {}", reply.text, answer.headline)
    } else {
        reply.text
    };
    answer.reply = reply.rows;
}

/// "Is it the network?": the chance of what names the suspect, and who is likelier.
fn verdict(case: &Case<'_>, weighing: &Weighing, options: &Options) -> Reply {
    let suspects = &case.question.suspects;
    let name = suspects.iter().map(|s| s.label.as_str()).collect::<Vec<_>>().join(" with ");
    let (mut named, mut others): (Vec<&Weighed>, Vec<&Weighed>) = (Vec::new(), Vec::new());
    for w in &weighing.all {
        if suspects.iter().all(|s| names(case, w, s)) { named.push(w) } else { others.push(w) }
    }
    let chance: f64 = named.iter().map(|w| w.probability).sum();
    let leading = named.first();
    let likelier = others.first().filter(|o| o.probability > chance && o.probability >= options.proven);
    let but = likelier.map_or_else(
        || "no cause stands out enough to name".to_owned(),
        |o| format!("{} is the likeliest cause ({:.0} %)", title(case, o), o.probability * 100.0),
    );
    let percent = chance * 100.0;
    let text = match leading {
        None => format!("Nothing found speaks of {name}; {but}."),
        Some(w) if chance >= options.proven => {
            format!("Yes, probably: {} is the likeliest cause ({percent:.0} %).", title(case, w))
        }
        Some(w) if chance < ACQUITTED => {
            format!("Probably not {name} ({percent:.0} %): {}; {but}.", why_not(w))
        }
        Some(_) => format!("It may be {name} ({percent:.0} %), which is not proven; {but}."),
    };
    Reply { text, rows: leading.map_or_else(Vec::new, |w| w.evidence.iter().take(MOST).cloned().collect()) }
}

/// Whether a hypothesis names the suspect: one of its nodes, what one of them belongs to, or one of its class.
fn names(case: &Case<'_>, w: &Weighed, suspect: &Condition) -> bool {
    let (o, graph) = (case.view.ontology(), case.view.graph);
    w.hypothesis.entities.iter().any(|entity| {
        let class = graph.node(*entity).map(|n| n.class);
        if suspect.nodes.is_empty() {
            return class.is_some_and(|class| o.is_a(class, suspect.class));
        }
        let whole = || query::cohort::parent(graph, *entity).is_some_and(|p| suspect.nodes.contains(&p));
        suspect.nodes.contains(entity) || whole()
    })
}

impl<'a> Ground<'a> {
    fn of(case: &Case<'a>) -> Ground<'a> {
        let Case { view, vocabulary, question, loss, windows, .. } = *case;
        Ground { view, vocabulary, question, loss, windows }
    }
}

impl Ground<'_> {
    fn subject(&self) -> Option<NodeId> {
        match self.question.subjects.as_slice() {
            [one] => Some(*one),
            _ => None,
        }
    }

    fn ask<'p>(&self, people: &'p People, during: Stretch) -> Ask<'p> {
        let show = if self.loss.table.ratio { Show::Ratio } else { Show::Geomean };
        let measure = self.loss.table.measure;
        Ask { measure, subject: self.subject(), people, except: None, during, show: Some(show) }
    }

    /// A figure since the onset with the one before.
    fn figure(&self, people: &People, claim: String) -> Evidence {
        let since = self.ask(people, self.windows.degraded);
        let before = self.ask(people, self.windows.healthy).value(self.view);
        evidence(self.view, COORDINATOR, claim, &since.query(self.view), before, 0.0, Vec::new())
    }

    /// "What changed?": changes by how near before the onset they began.
    fn changes(&self) -> Reply {
        let onset = self.windows.degraded.from;
        let window = Stretch { from: onset.plus_secs(-REACH_HOURS * 3600), to: self.windows.degraded.to };
        let mut found: Vec<(f64, NodeId, NodeId)> = Vec::new();
        for (at, change) in self.view.events(self.vocabulary.change, window) {
            let minutes = onset.since(at) as f64 / 60e9;
            found.extend(
                self.view
                    .targets(change, self.vocabulary.changed)
                    .into_iter()
                    .map(|target| (minutes, change, target)),
            );
        }
        // A change explains what follows it: those before come first, the nearest first.
        found.sort_by(|a, b| {
            (a.0 < 0.0).cmp(&(b.0 < 0.0)).then(a.0.abs().total_cmp(&b.0.abs())).then(a.1.cmp(&b.1))
        });
        let (v, changes) = (self.view, found.len());
        let when = |minutes: f64| {
            let side = if minutes >= 0.0 { "before" } else { "after" };
            format!("{:.0} min {side}", minutes.abs())
        };
        let Some((minutes, change, target)) = found.first().copied() else {
            return Reply::of(format!(
                "Nothing was changed between {} and {}, as far as was reported.",
                window.from, window.to
            ));
        };
        let text = format!(
            "{changes} things were changed between {} and {}; nearest to {onset} is {} of {}, {} it.",
            window.from,
            window.to,
            v.label(change),
            v.label(target),
            when(minutes)
        );
        let rows = found.iter().take(MOST).map(|(minutes, change, target)| {
            let at = v.started(*change).unwrap_or(onset);
            let query = Query::Changes {
                between: between(Stretch { from: at, to: at.plus_secs(1) }),
                touching: Some(node_name(v, *target)),
            };
            let claim = format!("{} of {}, {} the onset", v.label(*change), v.label(*target), when(*minutes));
            evidence(v, COORDINATOR, claim, &query, None, 0.0, Vec::new())
        });
        Reply { text, rows: rows.collect() }
    }

    /// "What breaks?": every measure that people feel and that is worse.
    fn effects(&self) -> Reply {
        let v = self.view;
        let felt = losses(v, self.vocabulary, &self.vocabulary.felt(v.ontology()));
        let mut told = Vec::new();
        let mut rows = Vec::new();
        for loss in felt.iter().take(MOST) {
            let Some(element) = loss.elements.first() else { continue };
            let name = v.measure(loss.table.measure).map_or("?", |m| m.name.as_str());
            let people = loss.people(element);
            let change = percent(loss.change(element.effect));
            told.push(format!("{name} ({change} for {})", people.text()));
            let pair = crate::windows::matched(loss);
            let ground = Ground { loss, windows: pair, ..*self };
            rows.push(
                ground.figure(&people, format!("{name} for {} since {}", people.text(), pair.degraded.from)),
            );
        }
        if told.is_empty() {
            return Reply::of("No measure that people feel is worse than was to be expected.");
        }
        Reply { text: format!("Worse than was to be expected: {}.", told.join(", ")), rows }
    }

    /// "Compare A with B": departures from what was to be expected of who was there, side by side, so that who uses what does not count.
    fn comparison(&self) -> Reply {
        let v = self.view;
        let compared = &self.question.compared;
        let name = v.measure(self.loss.table.measure).map_or("the measure", |m| m.name.as_str());
        let mut arms: Vec<(String, People, Sample)> = Vec::new();
        for condition in compared {
            let mut people = self.question.people.clone();
            people.0.push(condition.clone());
            let Some(terms) = self.loss.terms_of(&people) else {
                return Reply::of(format!("{name} is not told apart by {}.", condition.label));
            };
            arms.push((condition.label.clone(), people, self.sample(&terms)));
        }
        if let [(label, people, own)] = arms.as_slice() {
            let all = self.loss.terms_of(&self.question.people).map(|terms| self.sample(&terms));
            let rest = all.map(|all| rest(all, *own));
            let label = format!("all but {label}");
            let (except, of) = (compared.first(), self.question.people.clone());
            let own = (arms[0].0.clone(), people.clone(), *own);
            let rest = rest.unwrap_or(Sample { n: 0.0, mean: 0.0, variance: 1.0 });
            return self.beside(name, &own, &(label, of, rest), except);
        }
        match arms.as_slice() {
            [first, second, ..] => self.beside(name, first, second, None),
            _ => Reply::of("Nothing was named that could be compared."),
        }
    }

    fn sample(&self, terms: &[(usize, Vec<u16>)]) -> Sample {
        let Loss { table, expectation, .. } = self.loss;
        let during = self.windows.degraded;
        let (weight, excess) = expectation
            .excess(table, during.from.minute(), during.to.minute())
            .iter()
            .filter(|x| table.matches(x.leaf, terms))
            .fold((0.0, 0.0), |sum, x| (sum.0 + x.weight, sum.1 + x.excess));
        let mean = if weight > 0.0 { excess / weight } else { 0.0 };
        Sample { n: weight, mean, variance: self.loss.expectation.variance }
    }

    fn beside(
        &self,
        name: &str,
        a: &(String, People, Sample),
        b: &(String, People, Sample),
        except: Option<&Condition>,
    ) -> Reply {
        let since = self.windows.degraded.from;
        let contrast = Contrast::weighted(&[(1.0, a.2), (-1.0, b.2)]);
        let (difference, radius) = (a.2.mean - b.2.mean, contrast.radius(ALPHA));
        let change = |x: f64| percent(self.loss.change(x));
        let text = if a.2.n <= 0.0 || b.2.n <= 0.0 || !radius.is_finite() {
            format!("Too few were seen of {} or {} since {since} to compare {name}.", a.0, b.0)
        } else {
            let (low, high) = (self.loss.change(difference - radius), self.loss.change(difference + radius));
            let (low, high) = if low <= high { (low, high) } else { (high, low) };
            let verdict = if low > 0.0 || high < 0.0 { "differ" } else { "do not differ provably" };
            format!(
                "{} and {} {verdict} in {name} since {since}: {} is {} beside {} ({} to {}, 95 %), who was there taken into account.",
                a.0,
                b.0,
                a.0,
                change(difference),
                b.0,
                percent(low),
                percent(high)
            )
        };
        let mut rows = vec![self.figure(&a.1, format!("{name} for {} since {since}", a.0))];
        let other = Ask { except, ..self.ask(&b.1, self.windows.degraded) };
        let before = Ask { except, ..self.ask(&b.1, self.windows.healthy) }.value(self.view);
        let claim = format!("{name} for {} since {since}", b.0);
        rows.push(evidence(self.view, COORDINATOR, claim, &other.query(self.view), before, 0.0, Vec::new()));
        Reply { text, rows }
    }
}

/// All without some of them.
fn rest(all: Sample, own: Sample) -> Sample {
    let n = (all.n - own.n).max(0.0);
    let mean = if n > 0.0 { (all.n * all.mean - own.n * own.mean) / n } else { 0.0 };
    Sample { n, mean, variance: all.variance }
}

/// "Who is hit?"
fn affected(case: &Case<'_>, answer: &Answer) -> Reply {
    let ground = Ground::of(case);
    let name = case.measure_name(case.measure());
    let row = ground.figure(case.people, format!("{name} for {} since the onset", case.people.text()));
    Reply { text: answer.impact.text.clone(), rows: vec![row] }
}

/// "Who owns it?": whoever answers for the likeliest cause, else for what is slow.
fn owner(case: &Case<'_>, weighing: &Weighing, options: &Options) -> Reply {
    let v = case.view;
    let proven = weighing.all.first().filter(|w| w.probability >= options.proven);
    let about: Vec<NodeId> = proven.map_or_else(|| case.subjects.to_vec(), |w| w.hypothesis.entities.clone());
    let role = if proven.is_some() { "the likeliest cause" } else { "what is slow; no cause stands out" };
    for node in about {
        // What is part of a whole is answered for by the whole's owner.
        let line = std::iter::successors(Some(node), |n| query::cohort::parent(v.graph, *n));
        for at in line.take(8) {
            let Some(team) = case.vocabulary.owner.and_then(|owned| v.targets(at, owned).first().copied())
            else {
                continue;
            };
            let query = Query::Show { node: node_name(v, at), at: None };
            let claim = format!("{} is owned by {}", v.label(at), v.label(team));
            return Reply {
                text: format!("{} answers for {} ({role}).", v.label(team), v.label(node)),
                rows: vec![evidence(v, COORDINATOR, claim, &query, None, 0.0, Vec::new())],
            };
        }
    }
    Reply::of("No owner is known of what is at fault.")
}

/// "What should we do?"
fn actions(answer: &Answer) -> Reply {
    let told: Vec<String> = answer.mitigations.iter().map(|m| m.title.clone()).collect();
    match (told.first(), answer.causes.first()) {
        (Some(_), Some(cause)) => {
            Reply::of(format!("Against {}, reaching fewest first: {}.", cause.title, told.join("; ")))
        }
        _ => Reply::of(format!("Nothing is proposed while no cause is proven. {}", answer.headline)),
    }
}

/// "Is the rollout safe?": whether those asked about suffer.
fn safety(case: &Case<'_>, answer: &Answer) -> Reply {
    let ours: Vec<NodeId> = case.question.people.nodes();
    let blamed = answer
        .causes
        .first()
        .filter(|_| answer.status == Status::Explained)
        .is_some_and(|c| c.entities.iter().any(|e| ours.iter().any(|n| case.view.graph.id(*n) == e.id)));
    let verdict = match (answer.status, blamed || ours.is_empty()) {
        (Status::Explained, true) => "No:",
        (Status::Explained, false) => "Something is wrong, and it is not this:",
        _ => "Not proven safe:",
    };
    let mut reply = affected(case, answer);
    reply.text = format!("{verdict} {}", answer.headline);
    reply
}

/// "Will it recur?": whether what caused it still stands.
fn recurrence(answer: &Answer) -> Reply {
    let gone = answer.regression.as_ref().is_some_and(|r| r.closed_at.is_some());
    let stands = match (answer.causes.first().filter(|_| answer.status == Status::Explained), gone) {
        (Some(c), false) => format!("It goes on, and will until {} is taken back or mended.", c.title),
        (Some(c), true) => format!("It went away; it comes again when {} does.", c.title),
        (None, false) => "It goes on; without a proven cause nothing says when it ends.".to_owned(),
        (None, true) => "It went away; without a proven cause nothing says that it stays away.".to_owned(),
    };
    Reply::of(format!("{stands} {}", answer.headline))
}
