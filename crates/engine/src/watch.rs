//! Regressions over time: noticed, pinned, noted in the graph, investigated, kept.

use crate::intake::{Engine, EngineError, lock};
use autosre::Question;
use autosre::answer::{Answer, Entity, Regression, State};
use graph::{Fold, Graph, NodeId};
use ontology::{Minute, Time, Value};
use query::View;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use store::Store;

/// An open regression is investigated again after so many minutes of telemetry: more data may change the answer.
const AGAIN_MINUTES: i64 = 5;
/// Investigations kept. Beyond: the oldest are dropped.
const INVESTIGATIONS: usize = 1_000;
/// Events that a listener may be behind. Beyond: it misses some, and reads the state again at the next.
const BEHIND: usize = 64;
const REGRESSIONS: &str = "regressions";
const PINS: &str = "snapshots";

/// A moment of the graph kept by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pin {
    /// Its name.
    pub name: String,
    /// `healthy`, `degraded` or `manual`.
    pub label: String,
    /// The moment.
    pub at: Time,
}

/// Something that pages may want to show at once.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "event")]
pub enum Event {
    /// A regression opened or closed.
    Regression {
        /// Its id.
        id: String,
        /// Whether it goes on.
        open: bool,
    },
    /// An investigation has an answer.
    Investigation {
        /// Its id, which is the regression's.
        id: String,
        /// The answer in one sentence.
        headline: String,
    },
    /// Time went on.
    Tick {
        /// To here.
        as_of: Time,
    },
}

/// What a tick did.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tick {
    /// Regressions that opened.
    pub opened: Vec<String>,
    /// Regressions that closed.
    pub closed: Vec<String>,
    /// Investigations that were answered.
    pub investigated: Vec<String>,
}

#[derive(Default)]
struct Kept {
    known: Vec<Regression>,
    last: Option<Minute>,
    answers: BTreeMap<String, (Minute, Answer)>,
    pins: BTreeMap<String, (Pin, Option<Graph>)>,
}

/// Regressions, investigations, snapshots and who listens.
#[derive(Default)]
pub(crate) struct Watch {
    kept: Mutex<Kept>,
    listeners: Mutex<Vec<SyncSender<Event>>>,
    /// One tick at a time.
    ticking: Mutex<()>,
}

fn unreadable(what: &str, why: impl ToString) -> EngineError {
    EngineError::Document { what: what.to_owned(), why: why.to_string() }
}

impl Watch {
    pub(crate) fn open(store: &Store) -> Result<Watch, EngineError> {
        let mut kept = Kept::default();
        let document = |name: &str| store.document(name).map_err(|e| unreadable(name, e));
        if let Some(text) = document(REGRESSIONS)? {
            kept.known = serde_json::from_slice(&text).map_err(|e| unreadable(REGRESSIONS, e))?;
        }
        if let Some(text) = document(PINS)? {
            let pins: Vec<Pin> = serde_json::from_slice(&text).map_err(|e| unreadable(PINS, e))?;
            kept.pins = pins.into_iter().map(|p| (p.name.clone(), (p, None))).collect();
        }
        for name in store.documents().iter().filter(|n| n.starts_with("investigation-")) {
            if let Some(text) = document(name)? {
                let answer: Answer = serde_json::from_slice(&text).map_err(|e| unreadable(name, e))?;
                let minute = Time::parse(&answer.as_of).map_or(Minute(0), Time::minute);
                kept.answers.insert(name.trim_start_matches("investigation-").to_owned(), (minute, answer));
            }
        }
        Ok(Watch { kept: Mutex::new(kept), ..Watch::default() })
    }

    fn tell(&self, event: &Event) {
        // A listener that is gone or far behind is let go; it reads the state again when it comes back.
        lock(&self.listeners).retain(|l| l.try_send(event.clone()).is_ok());
    }
}

impl Engine {
    /// Looks at what came since the last look: opens and closes regressions, pins snapshots, investigates. Does nothing when
    /// no minute has passed in the telemetry. `finished` says that no more will come, so that the last answer has everything.
    ///
    /// # Errors
    /// When something that must be kept cannot be written; it is tried again at the next tick.
    pub fn tick(&self, finished: bool) -> Result<Tick, EngineError> {
        let _one = lock(&self.watch.ticking);
        let graph = self.graph();
        let view = View::latest(&graph);
        let minute = view.as_of.minute();
        let known = {
            let mut kept = lock(&self.watch.kept);
            if graph.latest().is_none() || (kept.last == Some(minute) && !finished) {
                return Ok(Tick::default());
            }
            kept.last = Some(minute);
            kept.known.clone()
        };
        let mut tick = Tick::default();
        let mut regressions = match autosre::detect(&view, &known) {
            Ok(found) => found,
            Err(lacking) => return Err(unreadable("the ontology", lacking)),
        };
        for r in &mut regressions {
            let before = known.iter().find(|k| k.id == r.id);
            if before.is_none() {
                tick.opened.push(r.id.clone());
                self.pin_both(r, &graph, view.as_of);
            } else if r.state == State::Closed && before.is_some_and(|b| b.state == State::Open) {
                tick.closed.push(r.id.clone());
            }
            let last = lock(&self.watch.kept).answers.get(&r.id).map(|a| a.0);
            let due = last.is_none_or(|l| minute.0 - l.0 >= AGAIN_MINUTES) || finished;
            if r.state == State::Open && due || before.is_none() {
                let answer = why(&view, r).map_err(|lacking| unreadable("the ontology", lacking))?;
                r.investigation = Some(r.id.clone());
                r.top_cause = answer.causes.first().map(|c| c.title.clone());
                self.keep_answer(&r.id, minute, answer)?;
                tick.investigated.push(r.id.clone());
            }
        }
        self.note(&regressions, &graph);
        let text = serde_json::to_vec(&regressions).map_err(|e| unreadable(REGRESSIONS, e))?;
        lock(&self.watch.kept).known.clone_from(&regressions);
        if regressions != known {
            self.store().put_document(REGRESSIONS, &text).map_err(|e| unreadable(REGRESSIONS, e))?;
            self.keep_pins()?;
        }
        for r in regressions.iter().filter(|r| tick.opened.contains(&r.id) || tick.closed.contains(&r.id)) {
            self.watch.tell(&Event::Regression { id: r.id.clone(), open: r.state == State::Open });
        }
        for id in &tick.investigated {
            if let Some(answer) = self.investigation(id) {
                self.watch.tell(&Event::Investigation { id: id.clone(), headline: answer.headline });
            }
        }
        self.watch.tell(&Event::Tick { as_of: view.as_of });
        Ok(tick)
    }

    fn keep_answer(&self, id: &str, minute: Minute, answer: Answer) -> Result<(), EngineError> {
        let name = format!("investigation-{id}");
        let text = serde_json::to_vec(&answer).map_err(|e| unreadable(&name, e))?;
        self.store().put_document(&name, &text).map_err(|e| unreadable(&name, e))?;
        let mut kept = lock(&self.watch.kept);
        kept.answers.insert(id.to_owned(), (minute, answer));
        while kept.answers.len() > INVESTIGATIONS {
            let oldest =
                kept.answers.iter().min_by_key(|(id, (m, _))| (*m, (*id).clone())).map(|(id, _)| id.clone());
            let Some(oldest) = oldest else { break };
            kept.answers.remove(&oldest);
            // What cannot be removed now is dropped from the list at the next start.
            let _ = self.store().remove_document(&format!("investigation-{oldest}"));
        }
        Ok(())
    }

    fn pin_both(&self, r: &Regression, graph: &Graph, as_of: Time) {
        let onset = Time::parse(&r.onset).unwrap_or(as_of);
        let mut kept = lock(&self.watch.kept);
        for (label, at) in [("healthy", onset), ("degraded", as_of)] {
            let pin = Pin { name: format!("{label}-{}", r.id), label: label.to_owned(), at };
            kept.pins.insert(pin.name.clone(), (pin, Some(graph.clone())));
        }
    }

    fn keep_pins(&self) -> Result<(), EngineError> {
        let pins: Vec<Pin> = lock(&self.watch.kept).pins.values().map(|p| p.0.clone()).collect();
        let text = serde_json::to_vec(&pins).map_err(|e| unreadable(PINS, e))?;
        self.store().put_document(PINS, &text).map_err(|e| unreadable(PINS, e))
    }

    /// Puts regressions, the cohorts they are about and the snapshots they compare into the graph. The classes and relations
    /// are those of the core ontology; where a site's lacks one, that part is left out.
    fn note(&self, regressions: &[Regression], graph: &Graph) {
        let o = self.ontology();
        let pins = self.pins();
        let make = |fold: &mut Fold,
                    class: &str,
                    identity: &str,
                    attrs: Vec<(&str, Value)>,
                    edges: Vec<(&str, NodeId)>,
                    at: Time| {
            let class = o.class(class)?;
            let attrs = attrs.into_iter().filter_map(|(name, v)| Some((o.attr(class, name)?, v))).collect();
            let edges: Vec<_> =
                edges.into_iter().filter_map(|(name, to)| Some((o.relation(name)?, to))).collect();
            fold.note(class, identity, attrs, &edges, at)
        };
        self.with_fold(|fold| {
            for r in regressions {
                let Ok(onset) = Time::parse(&r.onset) else { continue };
                let node = |e: &Entity| graph.node_with_id(&e.id);
                let subject = node(&r.subject);
                let slices = r
                    .cohort_entities
                    .iter()
                    .filter_map(node)
                    .chain(subject)
                    .map(|n| ("slice_of", n))
                    .collect();
                let cohort = make(
                    fold,
                    "Cohort",
                    &r.cohort,
                    vec![("cohort_id", Value::text(&r.cohort))],
                    slices,
                    onset,
                );
                let mut edges: Vec<(&str, NodeId)> =
                    subject.into_iter().chain(cohort).map(|n| ("about", n)).collect();
                for pin in pins.iter().filter(|p| p.name.ends_with(&r.id)) {
                    let attrs = vec![("taken_at", Value::Time(pin.at)), ("label", Value::text(&pin.label))];
                    let snapshot = make(fold, "Snapshot", &pin.name, attrs, Vec::new(), pin.at);
                    edges.extend(snapshot.map(|s| ("compares", s)));
                }
                let mut attrs = vec![
                    ("subject", Value::text(format!("{} {}", r.subject.class, r.subject.name))),
                    ("measure", Value::text(&r.measure)),
                    ("started_at", Value::Time(onset)),
                    ("delta", Value::Float(r.change)),
                    ("p_value", Value::Float(r.p_value)),
                    ("sessions", Value::Int(i64::try_from(r.sessions).unwrap_or(i64::MAX))),
                ];
                attrs.extend(r.baseline.map(|b| ("baseline", Value::Float(b))));
                attrs.extend(r.observed.map(|b| ("observed", Value::Float(b))));
                make(fold, "Regression", &r.id, attrs, edges, onset);
            }
        });
    }

    /// Regressions, open ones first.
    pub fn regressions(&self) -> Vec<Regression> {
        lock(&self.watch.kept).known.clone()
    }

    /// The investigation of a regression.
    pub fn investigation(&self, id: &str) -> Option<Answer> {
        lock(&self.watch.kept).answers.get(id).map(|a| a.1.clone())
    }

    /// Answers a question in plain words, from what was so at a moment (now when not said), and keeps the answer.
    ///
    /// # Errors
    /// When the answer cannot be kept.
    pub fn ask(&self, question: &str, at: Option<Time>) -> Result<Answer, EngineError> {
        let graph = self.graph();
        let mut view = View::latest(&graph);
        if let Some(at) = at {
            view.as_of = view.as_of.min(at);
        }
        let answer = autosre::ask(&view, question, &autosre::Options::default())
            .map_err(|lacking| unreadable("the ontology", lacking))?;
        self.keep_answer(&answer.id, view.as_of.minute(), answer.clone())?;
        Ok(answer)
    }

    /// Keeps this moment by name.
    ///
    /// # Errors
    /// When the name cannot be kept.
    pub fn pin(&self, name: &str, at: Option<Time>) -> Result<Pin, EngineError> {
        let graph = self.graph();
        let at = at.unwrap_or_else(|| View::latest(&graph).as_of);
        let pin = Pin { name: name.to_owned(), label: "manual".to_owned(), at };
        lock(&self.watch.kept).pins.insert(name.to_owned(), (pin.clone(), Some(graph)));
        self.keep_pins()?;
        Ok(pin)
    }

    /// Every snapshot, by name.
    pub fn pins(&self) -> Vec<Pin> {
        lock(&self.watch.kept).pins.values().map(|p| p.0.clone()).collect()
    }

    /// The graph of a snapshot and its moment. After a restart it is the graph made again from the log, read at that moment.
    pub fn pinned(&self, name: &str) -> Option<(Graph, Time)> {
        let (pin, graph) = lock(&self.watch.kept).pins.get(name).cloned()?;
        Some((graph.unwrap_or_else(|| self.graph()), pin.at))
    }

    /// Events from now on.
    pub fn listen(&self) -> Receiver<Event> {
        let (send, receive) = sync_channel(BEHIND);
        lock(&self.watch.listeners).push(send);
        receive
    }
}

/// The investigation of a regression nobody has asked about yet.
fn why(view: &View<'_>, r: &Regression) -> Result<Answer, autosre::Lacking> {
    let question = Question {
        text: format!("Why is {} of {} {} regressing?", r.measure, r.subject.class, r.subject.name),
        measure: view.ontology().measure(&r.measure),
        subjects: view.graph.node_with_id(&r.subject.id).into_iter().collect(),
        regressing: true,
        ..Question::default()
    };
    autosre::investigate(view, &question, &autosre::Options::default())
}
