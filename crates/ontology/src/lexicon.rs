//! The words people use, resolved: what a question's phrases mean.

use crate::load::Gathered;
use crate::model::{AspectId, AttrId, ClassId, MeasureId, Ontology, Type};
use crate::problems::{At, Report, distance, meant};
use crate::resolve::{self, choice};
use crate::yaml::{Entries, TextOr, Word};
use std::collections::BTreeMap;

/// Values that nodes must have.
pub type Wanted = Vec<(AttrId, String)>;

/// What a phrase names.
#[derive(Clone, Debug, PartialEq)]
pub enum Meaning {
    /// A class, narrowed to nodes with these values, or sent to the one node with the values in `by`.
    Thing {
        /// The class.
        class: ClassId,
        /// Only nodes with these values.
        only: Wanted,
        /// The one node with these values.
        by: Wanted,
    },
    /// A measure.
    Measure(MeasureId),
    /// A different measure on each class.
    MeasureOn(Vec<(ClassId, MeasureId)>),
    /// What to look for.
    Move(Move),
    /// A choice among many.
    Pick(Pick),
    /// The shape of the answer.
    Intent {
        /// Class of the answer.
        answer: ClassId,
        /// How to get there.
        walk: Walk,
    },
}

/// Which way something moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Against the measure's better side.
    Worse,
    /// To the measure's better side.
    Better,
    /// Larger.
    Up,
    /// Smaller.
    Down,
}

/// What a verb or adjective asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Move {
    /// The kind of signal.
    pub find: ClassId,
    /// The kind of trouble.
    pub aspect: Option<AspectId>,
    /// Which way.
    pub direction: Option<Direction>,
}

/// Which of many, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Take {
    /// The first.
    First,
    /// The last.
    Last,
    /// The one before the last.
    OneBeforeLast,
}

/// A choice among many nodes.
#[derive(Clone, Debug, PartialEq)]
pub struct Pick {
    /// Among nodes of this class (or below).
    pub class: Option<ClassId>,
    /// With these values.
    pub only: Wanted,
    /// Sorted by the attribute of this name.
    pub order: Option<String>,
    /// Which one.
    pub take: Option<Take>,
    /// Only what came after this.
    pub after: Option<Box<Pick>>,
}

/// How an answer is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Walk {
    /// Against the direction in which faults travel.
    Causes,
    /// With it.
    Effects,
    /// To whoever owns it.
    AnswersTo,
    /// To what changes touched.
    Exposure,
    /// To what may be done.
    Actions,
    /// To what was seen before.
    History,
    /// To whether what is named is the cause.
    Verdict,
    /// From one to another of those named.
    Comparison,
    /// To whether what is named may stay as it is.
    Safety,
}

/// One phrase.
#[derive(Clone, Debug, PartialEq)]
pub struct Phrase {
    /// Lower case, single spaces: `tv ui`.
    pub text: String,
    /// What it means.
    pub meaning: Meaning,
    /// Whether it stands in the lexicon (else it is a name of a class, relation or measure).
    pub written: bool,
}

/// A close word: what it is and how far it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suggestion {
    /// The known phrase.
    pub phrase: String,
    /// Edits away.
    pub edits: usize,
}

/// All phrases.
#[derive(Clone, Debug, Default)]
pub struct Lexicon {
    /// Sorted by text; a phrase can have several meanings, and those written in the lexicon come first.
    pub phrases: Vec<Phrase>,
    longest: usize,
}

impl Lexicon {
    /// The meanings of a phrase (any case and spacing; a plural `s` is forgiven), those written in the lexicon first.
    pub fn meanings(&self, phrase: &str) -> &[Phrase] {
        let text = plain(phrase);
        let found = self.range(&text);
        match text.strip_suffix('s') {
            Some(one) if found.is_empty() => self.range(one),
            _ => found,
        }
    }

    fn range(&self, text: &str) -> &[Phrase] {
        let from = self.phrases.partition_point(|p| p.text.as_str() < text);
        let to = self.phrases.partition_point(|p| p.text.as_str() <= text);
        self.phrases.get(from..to).unwrap_or_default()
    }

    /// The most words any phrase has: no longer match need be tried.
    pub fn longest(&self) -> usize {
        self.longest
    }

    /// Known phrases close to a word that was not understood, closest first, at most five.
    pub fn nearest(&self, word: &str) -> Vec<Suggestion> {
        let wanted = plain(word);
        let allowed = (wanted.chars().count() / 3).max(1);
        let mut all: Vec<Suggestion> = Vec::new();
        for p in &self.phrases {
            let edits = distance(&wanted, &p.text);
            if edits <= allowed && !all.iter().any(|s| s.phrase == p.text) {
                all.push(Suggestion { phrase: p.text.clone(), edits });
            }
        }
        all.sort_by(|a, b| (a.edits, &a.phrase).cmp(&(b.edits, &b.phrase)));
        all.truncate(5);
        all
    }
}

/// Lower case, words parted by single spaces.
pub fn plain(text: &str) -> String {
    let lower = text.to_lowercase();
    lower
        .split(|c: char| c.is_whitespace() || c == '_' || c == '-')
        .filter(|w| !w.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

/// Resolves the lexicon, and adds the names of classes and measures.
pub(crate) fn resolve(all: &Gathered, o: &mut Ontology, report: &mut Report) {
    let mut l = Lexicon::default();
    let mut written: BTreeMap<String, At> = BTreeMap::new();
    let mut add = |key: &Word, meaning: Meaning, report: &mut Report| {
        for text in key.value.split('|') {
            let phrase = plain(text);
            let at = key.at.plus(resolve::part_of(text.trim(), &key.value));
            if phrase.is_empty() {
                report.add(
                    at,
                    &key.value,
                    "a phrase without a word",
                    "write what people say, `|` between phrases",
                );
            } else if let Some(first) = written.get(&phrase) {
                let message = format!("this phrase already has a meaning ({})", report.place(*first));
                report.add(
                    at,
                    text.trim(),
                    message,
                    "a phrase means one thing; use another, or leave it out",
                );
            } else {
                written.insert(phrase.clone(), at);
            }
            l.phrases.push(Phrase { text: phrase, meaning: meaning.clone(), written: true });
        }
    };
    for (key, raw) in &all.things {
        let Some(class) = resolve::class(o, &raw.class, report) else { continue };
        let (only, by) = (wanted(o, class, &raw.only, report), wanted(o, class, &raw.by, report));
        add(key, Meaning::Thing { class, only, by }, report);
    }
    for (key, raw) in &all.measure_words {
        match raw {
            TextOr::Text(w) => {
                if let Some(m) = resolve::measure(o, w, report) {
                    add(key, Meaning::Measure(m), report);
                }
            }
            TextOr::More(on) => {
                let mut pairs = Vec::new();
                for (class, measure) in &on.on_class.0 {
                    let (class, measure) =
                        (resolve::class(o, class, report), resolve::measure(o, measure, report));
                    pairs.extend(class.zip(measure));
                }
                add(key, Meaning::MeasureOn(pairs), report);
            }
        }
    }
    let directions = [
        ("worse", Direction::Worse),
        ("better", Direction::Better),
        ("up", Direction::Up),
        ("down", Direction::Down),
    ];
    for (key, raw) in &all.moves {
        let Some(find) = resolve::class(o, &raw.find, report) else { continue };
        let aspect = raw.aspect.as_ref().and_then(|w| resolve::aspect(o, w, report));
        let direction = raw.direction.as_ref().and_then(|w| choice(w, &directions, report));
        add(key, Meaning::Move(Move { find, aspect, direction }), report);
    }
    for (key, raw) in &all.picks {
        let meaning = Meaning::Pick(pick(o, raw, report));
        add(key, meaning, report);
    }
    let walks = [
        ("causes", Walk::Causes),
        ("effects", Walk::Effects),
        ("answers_to", Walk::AnswersTo),
        ("exposure", Walk::Exposure),
        ("actions", Walk::Actions),
        ("history", Walk::History),
        ("verdict", Walk::Verdict),
        ("comparison", Walk::Comparison),
        ("safety", Walk::Safety),
    ];
    for (key, raw) in &all.intents {
        let answer = resolve::class(o, &raw.answer, report);
        let walk = choice(&raw.walk, &walks, report);
        if let Some((answer, walk)) = answer.zip(walk) {
            add(key, Meaning::Intent { answer, walk }, report);
        }
    }
    for (id, class) in (0..).map(ClassId).zip(&o.classes) {
        let spoken = spaced(&class.name);
        let before: Vec<String> = class.was.iter().map(|w| spaced(w)).collect();
        for text in std::iter::once(&spoken).chain(&class.names).chain(&before) {
            let meaning = Meaning::Thing { class: id, only: Vec::new(), by: Vec::new() };
            l.phrases.push(Phrase { text: plain(text), meaning, written: false });
        }
    }
    for (id, measure) in (0..).map(MeasureId).zip(&o.measures) {
        for text in std::iter::once(&measure.name).chain(&measure.was) {
            l.phrases.push(Phrase { text: plain(text), meaning: Meaning::Measure(id), written: false });
        }
    }
    l.phrases.sort_by(|a, b| (&a.text, !a.written).cmp(&(&b.text, !b.written)));
    l.phrases.dedup();
    l.longest = l.phrases.iter().map(|p| p.text.split(' ').count()).max().unwrap_or(0);
    o.lexicon = l;
}

/// `ServiceVersion` is spoken `service version`.
fn spaced(name: &str) -> String {
    let mut out = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() && !out.is_empty() {
            out.push(' ');
        }
        out.push(c);
    }
    out
}

fn wanted(o: &Ontology, class: ClassId, raw: &Entries<Word>, report: &mut Report) -> Wanted {
    let mut all = Vec::new();
    for (name, value) in &raw.0 {
        let Some(attr) = resolve::attr(o, class, name, true, report) else { continue };
        if let Some(Type::OneOf(words)) = o.attrs.get(attr.index()).map(|a| &a.ty)
            && !words.contains(&value.value)
        {
            let message = format!("`{}` is never this", name.value);
            report.add(
                value.at,
                &value.value,
                message,
                meant(&value.value, words.iter().map(String::as_str)),
            );
        }
        all.push((attr, value.value.clone()));
    }
    all
}

fn pick(o: &Ontology, raw: &crate::raw::Pick, report: &mut Report) -> Pick {
    let class = raw.class.as_ref().and_then(|w| resolve::class(o, w, report));
    let takes = [("first", Take::First), ("last", Take::Last), ("one_before_last", Take::OneBeforeLast)];
    if let (Some(class), Some(order)) = (class, &raw.order) {
        resolve::attr(o, class, order, true, report);
    }
    Pick {
        class,
        only: class.map(|c| wanted(o, c, &raw.only, report)).unwrap_or_default(),
        order: raw.order.as_ref().map(|w| w.value.clone()),
        take: raw.take.as_ref().and_then(|w| choice(w, &takes, report)),
        after: raw.after.as_ref().map(|p| Box::new(pick(o, p, report))),
    }
}
