//! Where traces first leave the course that healthy ones take, and callees that no longer answer.
//!
//! An operation is known by what happens inside its spans: the children and the log lines that always come, and those that
//! hardly ever do. A missing or a strange event is a deviation. Order inside a span is not looked at: log lines and spans
//! carry different clocks, and on Nezha's Train-Ticket half of what a chain of successive events found was jitter of order.
//! Each trace votes once, with its earliest deviation: what goes wrong below happens before what goes wrong above. (Nezha,
//! FSE'23, compares the support of event pairs over all traces, without regard to which comes first in a trace.)

use std::collections::{BTreeMap, BTreeSet};

use rustc_hash::{FxHashMap, FxHashSet};

use crate::scene::{Scene, Sign, Spot, Vote};
use crate::trace_evidence::{Recording, Words};

/// Events in fewer healthy spans of an operation than this are strange, in more than the rest of one usual. Whether a
/// deviation is more than chance is decided by its count; a span or line lost at the rim of a recording must not make a
/// habit of one time in thirty unusable, so this is wider than the notes' .02 (§4.3, R5).
const RARE: f64 = 0.1;
/// Nats from which a deviation may be the first of a trace: lesser ones are rare paths and lines lost at the rim.
const SIGNIFICANT: f64 = 3.0;
/// Half a trace is added to what was seen and to what was not (Jeffreys), so that "never" of six is one in fourteen.
const HALF: f64 = 0.5;
/// Fewest healthy spans of an operation from which others are judged.
const FEWEST_VISITS: f64 = 3.0;
/// Healthy chance of having a served child from which its absence is news (R3).
const ANSWERED: f64 = 0.9;
/// The most all deviations together may say: a trace votes once, but traces of one fault are not independent witnesses.
const CAP: f64 = 10.0;
/// Worth of a line of high severity that was never written before, against any other deviation: programs say so when they
/// fail, and one fault in a few traces is all there may be at the detection.
const SEVERE: f64 = 2.0;
/// Weight of a nat: identical deviations of many traces are one fault seen often, so they count a quarter.
const WEIGHT: f64 = 0.25;

/// What may happen inside a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Event {
    Begin,
    Child(u32),
    Line(u32),
}

/// How often a call was made, and who answered how often.
#[derive(Debug, Default)]
struct Served {
    made: f64,
    by: BTreeMap<Spot, f64>,
}

/// An operation done for one caller: what a component does for another caller may be another path. Without a caller, for the
/// user or for anyone.
type Task = (u32, Option<Spot>);

fn task(recording: &Recording, span: usize) -> Task {
    (recording.spans[span].operation, recording.asker[span])
}

/// What happens inside the spans of one task.
#[derive(Debug, Default)]
struct Habit {
    visits: f64,
    /// In how many of the spans each event was seen.
    seen: FxHashMap<Event, f64>,
    /// Events that were seen in one span only.
    singles: f64,
    /// (a, b): where a happens, b hardly ever stays away.
    follows: Vec<(Event, Event)>,
}

impl Habit {
    fn is_strange(&self, event: Event) -> bool {
        self.visits >= FEWEST_VISITS && self.seen.get(&event).copied().unwrap_or(0.0) < RARE * self.visits
    }
}

/// How healthy traces go.
#[derive(Debug, Default)]
struct Course {
    habits: FxHashMap<Task, Habit>,
    /// Calls by (parent operation, event before, own operation).
    served: BTreeMap<(u32, Event, u32), Served>,
    /// Spans and log lines of an operation, whoever asked.
    spans: FxHashMap<u32, f64>,
    lines: FxHashSet<(u32, u32)>,
}

/// A child by what it asked for: client spans of one library all bear one name ("HTTP GET").
fn told_apart(recording: &Recording, child: usize) -> u32 {
    recording.spans[recording.served_by(child).unwrap_or(child)].operation
}

/// The events inside a span with the time of each.
fn events(recording: &Recording, span: usize) -> impl Iterator<Item = (u64, Event)> + '_ {
    recording.children[span]
        .iter()
        .map(|&c| (recording.spans[c].start, Event::Child(told_apart(recording, c))))
        .chain(recording.written[span].iter().map(|&(time, template)| (time, Event::Line(template))))
}

/// What came before a span inside its parent, so that the third "GET" of an operation is known from the first.
fn place(recording: &Recording, span: usize) -> Option<(u32, Event, u32)> {
    let parent = recording.parent[span]?;
    let before = recording.children[parent]
        .iter()
        .take_while(|&&c| c != span)
        .last()
        .map_or(Event::Begin, |&c| Event::Child(told_apart(recording, c)));
    Some((recording.spans[parent].operation, before, recording.spans[span].operation))
}

impl Course {
    fn learn(recording: &Recording) -> Self {
        let mut course = Self::default();
        let mut pairs: FxHashMap<(Task, Event, Event), f64> = FxHashMap::default();
        let mut inside = BTreeSet::new();
        for span in 0..recording.spans.len() {
            inside.clear();
            inside.insert(Event::Begin);
            inside.extend(events(recording, span).map(|(_, event)| event));
            let task = task(recording, span);
            let habit = course.habits.entry(task).or_default();
            habit.visits += 1.0;
            *course.spans.entry(task.0).or_default() += 1.0;
            course.lines.extend(recording.written[span].iter().map(|(_, template)| (task.0, *template)));
            for a in &inside {
                *habit.seen.entry(*a).or_default() += 1.0;
                for b in inside.iter().filter(|b| *b != a && **b != Event::Begin) {
                    *pairs.entry((task, *a, *b)).or_default() += 1.0;
                }
            }
            if let Some(place) = place(recording, span) {
                let seen = course.served.entry(place).or_default();
                seen.made += 1.0;
                if let Some(callee) = recording.served_by(span) {
                    *seen.by.entry(recording.spans[callee].component).or_default() += 1.0;
                }
            }
        }
        for habit in course.habits.values_mut() {
            habit.singles = habit.seen.values().filter(|count| **count == 1.0).count() as f64;
        }
        for ((task, a, b), both) in pairs {
            let Some(habit) = course.habits.get_mut(&task) else { continue };
            let with = habit.seen.get(&a).copied().unwrap_or(0.0);
            if with >= FEWEST_VISITS && both >= (1.0 - RARE) * with {
                habit.follows.push((a, b));
            }
        }
        for habit in course.habits.values_mut() {
            habit.follows.sort_unstable();
        }
        course
    }

    /// The callee that should have answered inside a span that has no child of another component.
    fn silent_callee(&self, recording: &Recording, span: usize) -> Option<Spot> {
        if recording.served_by(span).is_some() {
            return None;
        }
        let Served { made, by } = self.served.get(&place(recording, span)?)?;
        let answered: f64 = by.values().sum();
        if *made < FEWEST_VISITS || answered < ANSWERED * made {
            return None;
        }
        by.iter().max_by(|a, b| a.1.total_cmp(b.1).then(b.0.cmp(a.0))).map(|(callee, _)| *callee)
    }
}

/// One way of leaving the course.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Deviation {
    /// An event that hardly ever happens in this task did; a line that was never written in the operation at all counts for
    /// the task of anyone.
    Strange(Spot, Task, Event),
    /// The second event always happens in this task where the first does, and did not.
    Missing(Spot, Task, Event, Event),
    /// A call had no answer.
    Silence(Spot, Task),
}

impl Deviation {
    fn component(self) -> Spot {
        match self {
            Deviation::Strange(component, ..)
            | Deviation::Missing(component, ..)
            | Deviation::Silence(component, _) => component,
        }
    }
}

/// What one deviation amounts to: traces that show it, and how many would if healthy.
#[derive(Clone, Copy, Debug)]
struct Count {
    traces: f64,
    expected: f64,
    /// How much more than any other deviation it says.
    worth: f64,
}

impl Count {
    /// Log-likelihood ratio of a Poisson count against its expectation.
    fn weight(self) -> f64 {
        if self.traces <= self.expected {
            return 0.0;
        }
        self.worth * (self.traces * (self.traces / self.expected).ln() - (self.traces - self.expected))
    }
}

/// All deviations of every trace, in order of trace and then of time.
fn deviations(course: &Course, recording: &Recording) -> Vec<Vec<(u64, Deviation)>> {
    let mut traces: Vec<Vec<(u64, Deviation)>> = Vec::new();
    let mut last = None;
    let unmapped = unmapped(course, recording);
    for (i, span) in recording.spans.iter().enumerate() {
        if last.replace(span.trace) != Some(span.trace) {
            traces.push(Vec::new());
        }
        if let Some(trace) = traces.last_mut().filter(|_| !unmapped[i]) {
            of_span(course, recording, i, trace);
        }
    }
    // an unanswered call is also a strange step of its parent, at the same time: the silence says more
    let step = |deviation: &Deviation| !matches!(deviation, Deviation::Silence(..));
    traces.iter_mut().for_each(|t| t.sort_by_key(|(time, deviation)| (*time, step(deviation))));
    traces
}

/// Spans about which healthy traces tell nothing: those that ask another component they hardly ever asked, and all above
/// them. That is a request of another kind, or one that got further than healthy ones did; what is there cannot be judged.
fn unmapped(course: &Course, recording: &Recording) -> Vec<bool> {
    let mut unmapped = vec![false; recording.spans.len()];
    for (i, span) in recording.spans.iter().enumerate() {
        let Some(habit) = course.habits.get(&task(recording, i)) else { continue };
        let asks =
            |c: usize| recording.served_by(c).is_some() || recording.spans[c].component != span.component;
        let mut asked = recording.children[i].iter().copied().filter(|&c| asks(c));
        if asked.any(|c| habit.is_strange(Event::Child(told_apart(recording, c)))) {
            let mut at = Some(i);
            while let Some(above) = at.filter(|&above| !unmapped[above]) {
                unmapped[above] = true;
                at = recording.parent[above];
            }
        }
    }
    unmapped
}

fn of_span(course: &Course, recording: &Recording, at: usize, found: &mut Vec<(u64, Deviation)>) {
    let span = &recording.spans[at];
    if let Some(callee) = course.silent_callee(recording, at) {
        found.push((span.start, Deviation::Silence(callee, task(recording, at))));
        return;
    }
    if recording.served_by(at).is_some() {
        // whom a client span asks is a step of its parent
        return;
    }
    let task = task(recording, at);
    if course.spans.get(&task.0).is_some_and(|n| *n >= FEWEST_VISITS) {
        for &(time, template) in
            recording.written[at].iter().filter(|(_, t)| !course.lines.contains(&(task.0, *t)))
        {
            found.push((time, Deviation::Strange(span.component, (task.0, None), Event::Line(template))));
        }
    }
    let Some(habit) = course.habits.get(&task) else { return };
    let mut inside = vec![Event::Begin];
    for (time, event) in events(recording, at) {
        let judged = match event {
            Event::Line(template) => course.lines.contains(&(task.0, template)),
            _ => true,
        };
        if judged && habit.is_strange(event) {
            found.push((time, Deviation::Strange(span.component, task, event)));
        }
        inside.push(event);
    }
    for (a, b) in &habit.follows {
        if inside.contains(a) && !inside.contains(b) {
            found.push((span.end, Deviation::Missing(span.component, task, *a, *b)));
        }
    }
}

/// In how many traces there is a span of an operation with an event in it.
fn opportunities(recording: &Recording) -> FxHashMap<(Task, Event), f64> {
    let mut counts = FxHashMap::default();
    let mut of_trace = FxHashSet::default();
    for (i, span) in recording.spans.iter().enumerate() {
        let task = task(recording, i);
        of_trace.insert((task, Event::Begin));
        of_trace.insert(((task.0, None), Event::Begin));
        of_trace.extend(events(recording, i).map(|(_, event)| (task, event)));
        if recording.spans.get(i + 1).is_none_or(|next| next.trace != span.trace) {
            for opportunity in of_trace.drain() {
                *counts.entry(opportunity).or_default() += 1.0;
            }
        }
    }
    counts
}

/// In how many traces each deviation occurs.
fn occurrences(traces: &[Vec<(u64, Deviation)>]) -> BTreeMap<Deviation, f64> {
    let mut counts = BTreeMap::new();
    for trace in traces {
        for deviation in trace.iter().map(|(_, d)| *d).collect::<BTreeSet<_>>() {
            *counts.entry(deviation).or_default() += 1.0;
        }
    }
    counts
}

/// How healthy traces go, and how often they leave their course nevertheless.
#[derive(Debug)]
pub(crate) struct Known {
    course: Course,
    traces: f64,
    usual: BTreeMap<Deviation, f64>,
    then: FxHashMap<(Task, Event), f64>,
}

impl Known {
    pub(crate) fn of(healthy: &Recording) -> Self {
        let course = Course::learn(healthy);
        let usual = occurrences(&deviations(&course, healthy));
        Self { course, traces: healthy.traces().max(1) as f64, usual, then: opportunities(healthy) }
    }
}

/// Votes for the components whose deviations come first far more often than in healthy traces.
pub(crate) fn testify(scene: &mut Scene, healthy: &Known, degraded: &Recording, words: &Words<'_>) {
    let Known { course, traces: before, usual, then } = healthy;
    let traces = degraded.traces().max(1) as f64;
    let now = deviations(course, degraded);
    let today = opportunities(degraded);
    let expected = |deviation: &Deviation| {
        let (condition, unseen) = match *deviation {
            // what was never seen is as likely as all that was seen once (Good, Biometrika 1953)
            Deviation::Strange(_, task, _) => {
                ((task, Event::Begin), course.habits.get(&task).map_or(0.0, |h| h.singles))
            }
            Deviation::Missing(_, task, after, _) => ((task, after), 0.0),
            Deviation::Silence(_, task) => ((task, Event::Begin), 0.0),
        };
        let of = |counts: &FxHashMap<(Task, Event), f64>| counts.get(&condition).copied().unwrap_or(0.0);
        let seen = usual.get(deviation).copied().unwrap_or(unseen);
        of(&today) * (seen + HALF) / (of(then) + 2.0 * HALF)
    };
    let worth = |deviation: &Deviation| match deviation {
        Deviation::Strange(_, _, Event::Line(template)) if words.is_severe(*template) => SEVERE,
        _ => 1.0,
    };
    let significant: BTreeSet<Deviation> = occurrences(&now)
        .into_iter()
        .filter(|(d, n)| Count { traces: *n, expected: expected(d), worth: worth(d) }.weight() >= SIGNIFICANT)
        .map(|(d, _)| d)
        .collect();
    let mut first: BTreeMap<Deviation, Count> = BTreeMap::new();
    for trace in &now {
        if let Some((_, deviation)) = trace.iter().find(|(_, d)| significant.contains(d)) {
            first
                .entry(*deviation)
                .or_insert(Count { traces: 0.0, expected: expected(deviation), worth: worth(deviation) })
                .traces += 1.0;
        }
    }
    let mut best: BTreeMap<(Spot, bool), (Deviation, Count)> = BTreeMap::new();
    for (deviation, count) in first {
        let key = (deviation.component(), matches!(deviation, Deviation::Silence(..)));
        let entry = best.entry(key).or_insert((deviation, count));
        if count.weight() > entry.1.weight() {
            *entry = (deviation, count);
        }
    }
    for ((component, silence), (deviation, count)) in best {
        if count.weight() <= 0.0 {
            continue;
        }
        let note = match deviation {
            Deviation::Silence(_, (operation, _)) => {
                format!(
                    "share of traces in which a call ({}) first goes unanswered",
                    words.operation(operation)
                )
            }
            Deviation::Strange(_, (operation, _), event) => format!(
                "share of traces that first leave their course here: in {} comes {}",
                words.operation(operation),
                told(event, words)
            ),
            Deviation::Missing(_, (operation, _), after, event) => format!(
                "share of traces that first leave their course here: in {} there is {} and no {}",
                words.operation(operation),
                told(after, words),
                told(event, words)
            ),
        };
        scene.vote(
            component,
            Vote {
                sign: if silence { Sign::SilentCallee } else { Sign::FirstDivergence },
                llr: (WEIGHT * count.weight()).min(CAP),
                healthy: usual.get(&deviation).copied().unwrap_or(0.0) / *before,
                degraded: count.traces / traces,
                note,
            },
        );
    }
}

fn told<'w>(event: Event, words: &'w Words<'_>) -> &'w str {
    match event {
        Event::Begin => "the start",
        Event::Child(operation) => words.operation(operation),
        Event::Line(template) => words.template(template),
    }
}
