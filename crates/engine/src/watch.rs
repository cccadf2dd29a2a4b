//! Regressions over time: noticed, pinned, noted in the graph, investigated, kept.

use crate::intake::{Engine, EngineError, Unread, lock};
use crate::sources::Used;
use autosre::Question;
use autosre::answer::{Answer, Entity, Regression, State};
use graph::{Fold, Graph, NodeId};
use ontology::{Minute, Time, Value};
use query::View;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use store::Store;

/// An open regression is investigated again after so many minutes of telemetry: more data may change the answer.
const AGAIN_MINUTES: i64 = 5;
/// Investigations kept. Beyond: the oldest are dropped.
const INVESTIGATIONS: usize = 1_000;
/// Snapshots kept by name: the two of every investigation that is kept. Beyond: the earliest are let go, those that a person
/// named last of all.
const SNAPSHOTS: usize = 2 * INVESTIGATIONS;
/// Snapshots that hold their epoch of the graph, which keeps alive all that the writer has changed since: in the worst case
/// another whole graph. Beyond: the one pinned longest ago lets go of it and is read from the current graph at its moment.
const EPOCHS: usize = 8;
/// Events that a listener may be behind. Beyond: it misses some, and reads the state again at the next.
const BEHIND: usize = 64;
const REGRESSIONS: &str = "regressions";
const PINS: &str = "snapshots";
const INVESTIGATION: &str = "investigation-";
/// The label of snapshots that a person named.
const MANUAL: &str = "manual";

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
    /// Names of the pins that hold an epoch, longest ago first.
    holding: VecDeque<String>,
}

impl Kept {
    fn put_pin(&mut self, pin: Pin, epoch: Option<Graph>) {
        let name = pin.name.clone();
        self.drop_pin(&name);
        while self.pins.len() >= SNAPSHOTS {
            let order = |p: &Pin| (p.label == MANUAL, p.at, p.name.clone());
            let earliest = self.pins.values().map(|p| &p.0).min_by_key(|p| order(p));
            let Some(earliest) = earliest.map(|p| p.name.clone()) else { break };
            self.drop_pin(&earliest);
        }
        if epoch.is_some() {
            self.holding.push_back(name.clone());
        }
        self.pins.insert(name, (pin, epoch));
        while self.holding.len() > EPOCHS {
            let longest = self.holding.pop_front();
            if let Some(pin) = longest.and_then(|name| self.pins.get_mut(&name)) {
                pin.1 = None;
            }
        }
    }

    fn drop_pin(&mut self, name: &str) {
        self.pins.remove(name);
        self.holding.retain(|n| n != name);
    }
}

/// Regressions, investigations, snapshots and who listens.
#[derive(Default)]
pub(crate) struct Watch {
    kept: Mutex<Kept>,
    listeners: Mutex<Vec<SyncSender<Event>>>,
    /// One tick at a time.
    pub(crate) ticking: Mutex<()>,
}

fn unreadable(what: &str, why: impl ToString) -> EngineError {
    EngineError::Document { what: what.to_owned(), why: why.to_string() }
}

impl Watch {
    /// Reads what was kept. One investigation that cannot be read, because it is damaged or of a later version, is no reason not
    /// to start: it is left as it is and told.
    pub(crate) fn open(store: &Store) -> Result<(Watch, Vec<Unread>), EngineError> {
        let mut kept = Kept::default();
        let document = |name: &str| store.document(name).map_err(|e| unreadable(name, e));
        if let Some(text) = document(REGRESSIONS)? {
            kept.known = serde_json::from_slice(&text).map_err(|e| unreadable(REGRESSIONS, e))?;
        }
        if let Some(text) = document(PINS)? {
            let pins: Vec<Pin> = serde_json::from_slice(&text).map_err(|e| unreadable(PINS, e))?;
            for pin in pins {
                kept.put_pin(pin, None);
            }
        }
        let mut unread = Vec::new();
        for name in store.documents() {
            let Some(id) = name.strip_prefix(INVESTIGATION) else { continue };
            let read = store.document(&name).map_err(|e| e.to_string()).and_then(|text| {
                text.map(|t| serde_json::from_slice::<Answer>(&t).map_err(|e| e.to_string())).transpose()
            });
            match read {
                Ok(Some(answer)) => {
                    let minute = Time::parse(&answer.as_of).map_or(Minute(0), Time::minute);
                    kept.answers.insert(id.to_owned(), (minute, answer));
                }
                Ok(None) => {}
                Err(why) => unread.push(Unread { document: name, why }),
            }
        }
        Ok((Watch { kept: Mutex::new(kept), ..Watch::default() }, unread))
    }

    /// Snapshots are read from the current graph at their moments from now on, as after a restart.
    pub(crate) fn let_go_of_epochs(&self) {
        let mut kept = lock(&self.kept);
        kept.holding.clear();
        kept.pins.values_mut().for_each(|pin| pin.1 = None);
        kept.last = None;
    }

    /// The bounds, with what is used of them.
    pub(crate) fn usage(&self) -> [Used; 4] {
        let number = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        let kept = lock(&self.kept);
        let used = |name: &str, value, used: Option<usize>, doc: &str| Used {
            name: name.to_owned(),
            value: number(value),
            used: number(used.unwrap_or(0)),
            measured: used.is_some(),
            doc: doc.to_owned(),
        };
        [
            used(
                "investigations",
                INVESTIGATIONS,
                Some(kept.answers.len()),
                "beyond: the oldest answers are dropped",
            ),
            used(
                "snapshots",
                SNAPSHOTS,
                Some(kept.pins.len()),
                "beyond: the earliest are let go, those that a person named last",
            ),
            used(
                "snapshot_epochs",
                EPOCHS,
                Some(kept.holding.len()),
                "beyond: the snapshot pinned longest ago is read from the current graph at its moment",
            ),
            used(
                "listener_events",
                BEHIND,
                None,
                "of one listener; beyond: it misses events and reads the state again",
            ),
        ]
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
            if let Some((_, answer)) = lock(&self.watch.kept).answers.get(&r.id) {
                agree(r, answer);
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
        let name = format!("{INVESTIGATION}{id}");
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
            let _ = self.store().remove_document(&format!("{INVESTIGATION}{oldest}"));
        }
        Ok(())
    }

    fn pin_both(&self, r: &Regression, graph: &Graph, as_of: Time) {
        let onset = Time::parse(&r.onset).unwrap_or(as_of);
        let mut kept = lock(&self.watch.kept);
        for (label, at) in [("healthy", onset), ("degraded", as_of)] {
            let pin = Pin { name: format!("{label}-{}", r.id), label: label.to_owned(), at };
            kept.put_pin(pin, Some(graph.clone()));
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
        let pin = Pin { name: name.to_owned(), label: MANUAL.to_owned(), at };
        lock(&self.watch.kept).put_pin(pin.clone(), Some(graph));
        self.keep_pins()?;
        Ok(pin)
    }

    /// Lets a snapshot go. False when there is none of this name.
    ///
    /// # Errors
    /// When that cannot be kept.
    pub fn unpin(&self, name: &str) -> Result<bool, EngineError> {
        {
            let mut kept = lock(&self.watch.kept);
            if !kept.pins.contains_key(name) {
                return Ok(false);
            }
            kept.drop_pin(name);
        }
        self.keep_pins()?;
        Ok(true)
    }

    /// Every snapshot, by name.
    pub fn pins(&self) -> Vec<Pin> {
        lock(&self.watch.kept).pins.values().map(|p| p.0.clone()).collect()
    }

    /// The graph of a snapshot and its moment. After a restart, and when many later ones were pinned, it is the graph as it is now,
    /// to be read at that moment.
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

impl query::Epochs for Engine {
    fn snapshot(&self, name: &str) -> Option<(Graph, Time)> {
        self.pinned(name)
    }

    fn snapshots(&self) -> Vec<String> {
        lock(&self.watch.kept).pins.keys().cloned().collect()
    }

    fn known(&self, at: Time) -> Result<Graph, Time> {
        self.graph_known(at)
    }
}

/// Makes a regression say what its investigation says. The detector looks at the loss from the onset it has noticed, again every
/// minute, the investigation finds the onset anew, now and then: two figures for one thing would make people doubt both.
fn agree(r: &mut Regression, answer: &Answer) {
    let same = |found: &&Regression| found.measure == r.measure && found.subject == r.subject;
    let Some(found) = answer.regression.as_ref().filter(same) else { return };
    r.cohort.clone_from(&found.cohort);
    r.cohort_entities.clone_from(&found.cohort_entities);
    r.baseline = found.baseline;
    r.observed = found.observed;
    r.change = found.change;
    r.sessions = found.sessions;
    r.p_value = found.p_value;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::open;
    use ingest::Wire;
    use sim::{Plan, Scale, Scenario, World};

    /// Folds the requests of a world up to a share of them, looking now and then, as a server does.
    fn play(engine: &Engine, scenario: Scenario, looks: usize) -> Vec<Tick> {
        let plan = Plan { scenario, seed: 3, start_ns: 1_795_500_000_000_000_000, scale: Scale::SCORE };
        let payloads: Vec<_> = World::new(plan).collect();
        let mut ticks = Vec::new();
        for part in payloads.chunks(payloads.len() / looks + 1) {
            for payload in part {
                let wire = match payload.wire {
                    sim::Wire::Traces => Wire::TracesProto,
                    sim::Wire::Metrics => Wire::MetricsProto,
                    sim::Wire::Logs => Wire::LogsProto,
                    sim::Wire::Feed(name) => Wire::feed(name),
                };
                let at = Time::EPOCH.plus_nanos(payload.at_ns);
                engine.fold(&engine.read(wire, payload.body.clone().into(), at).unwrap());
            }
            ticks.push(engine.tick(false).unwrap());
        }
        ticks
    }

    #[test]
    fn a_regression_says_what_its_investigation_says() {
        let folder = tempfile::tempdir().unwrap();
        let (engine, _) = open(folder.path()).unwrap();
        let ticks = play(&engine, Scenario::VersionCell, 16);
        assert!(ticks.iter().any(|t| !t.opened.is_empty()));
        assert!(ticks.iter().filter(|t| !t.investigated.is_empty()).count() > 1, "it is investigated again");
        let mut compared = 0;
        for r in engine.regressions() {
            let answer = engine.investigation(&r.id).unwrap();
            let Some(found) = answer.regression.filter(|f| f.measure == r.measure && f.subject == r.subject)
            else {
                continue;
            };
            let figures = |r: &Regression| (r.baseline, r.observed, r.change, r.sessions, r.p_value);
            assert_eq!(figures(&r), figures(&found));
            assert_eq!((&r.cohort, &r.cohort_entities), (&found.cohort, &found.cohort_entities));
            compared += 1;
        }
        assert!(compared > 0);
    }

    #[test]
    fn a_damaged_or_newer_investigation_is_told_and_the_rest_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let (engine, _) = open(folder.path()).unwrap();
        let asked = ["Why is it slow?", "Why does it fail?", "Why is it missing?", "Why is it late?"];
        let ids = asked.map(|question| engine.ask(question, None).unwrap().id);
        engine.store().put_document(&format!("{INVESTIGATION}{}", ids[2]), b"{\"later\": 1}").unwrap();
        drop(engine);
        let file = |id: &str| folder.path().join(format!("doc-{INVESTIGATION}{id}"));
        let change = |id: &str, at: usize, to: u8| {
            let mut bytes = std::fs::read(file(id)).unwrap();
            bytes[at] = to;
            std::fs::write(file(id), bytes).unwrap();
        };
        change(&ids[0], 20, 0);
        change(&ids[1], 3, b'2');
        let (engine, started) = open(folder.path()).unwrap();
        let unread: BTreeMap<&str, &str> =
            started.unread.iter().map(|u| (u.document.as_str(), u.why.as_str())).collect();
        assert_eq!(unread.len(), 3, "{unread:?}");
        assert!(unread[format!("{INVESTIGATION}{}", ids[0]).as_str()].contains("damaged"), "{unread:?}");
        assert!(unread[format!("{INVESTIGATION}{}", ids[1]).as_str()].contains("newer"), "{unread:?}");
        assert!(engine.investigation(&ids[0]).is_none());
        assert!(engine.investigation(&ids[3]).is_some());
        assert!(ids.iter().all(|id| file(id).exists()), "nothing is thrown away");
    }

    fn pin(name: &str, label: &str, at: i64) -> Pin {
        Pin { name: name.to_owned(), label: label.to_owned(), at: Time::EPOCH.plus_secs(at) }
    }

    #[test]
    fn snapshots_are_bounded_and_those_that_a_person_named_go_last() {
        let mut kept = Kept::default();
        kept.put_pin(pin("mine", MANUAL, 0), None);
        for i in 0..i64::try_from(SNAPSHOTS).unwrap() + 5 {
            kept.put_pin(pin(&format!("healthy-{i}"), "healthy", 1 + i), None);
        }
        assert_eq!(kept.pins.len(), SNAPSHOTS);
        assert!(kept.pins.contains_key("mine") && !kept.pins.contains_key("healthy-5"));
        // One of an early moment is not let go as it comes.
        kept.put_pin(pin("early", "healthy", 0), None);
        assert!(kept.pins.contains_key("early") && kept.pins.len() == SNAPSHOTS);
    }

    #[test]
    fn only_the_latest_snapshots_hold_their_epoch() {
        let folder = tempfile::tempdir().unwrap();
        let (engine, _) = open(folder.path()).unwrap();
        for i in 0..EPOCHS + 3 {
            engine.pin(&format!("p{i:02}"), None).unwrap();
        }
        // The same name again is the same place, and the latest.
        engine.pin("p03", None).unwrap();
        let kept = lock(&engine.watch.kept);
        let holding = |name: &str| kept.pins[name].1.is_some();
        assert_eq!(kept.pins.values().filter(|p| p.1.is_some()).count(), EPOCHS);
        assert!(!holding("p00") && !holding("p02") && holding("p03") && holding("p10"));
        drop(kept);
        assert!(engine.pinned("p00").is_some(), "it is read from the current graph");
        let used = engine.limits().into_iter().find(|l| l.name == "snapshot_epochs").unwrap();
        assert_eq!((used.used, used.value), (EPOCHS as u64, EPOCHS as u64));
    }
}
