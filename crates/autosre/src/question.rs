//! A question after its words were grounded: what is asked, of what, by whom.

use crate::answer::{Meaning, Understood, Unknown};
use crate::finding::People;
use graph::NodeId;
use ontology::MeasureId;

/// The shape of the answer that is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Intent {
    /// Why is it so.
    #[default]
    Causes,
    /// Anything else the lexicon knows; answered with the same investigation.
    Other,
}

/// A typed question.
#[derive(Clone, Debug, Default)]
pub struct Question {
    /// As asked.
    pub text: String,
    /// What is wanted.
    pub intent: Intent,
    /// The measure, when one was named.
    pub measure: Option<MeasureId>,
    /// The things asked about that can carry it; all when empty.
    pub subjects: Vec<NodeId>,
    /// By whom.
    pub people: People,
    /// Whether it speaks of something having got worse.
    pub regressing: bool,
    /// Whether no thing and no measure was named, only that something got worse.
    pub vague: bool,
    /// Word by word.
    pub words: Vec<Meaning>,
    /// What was not understood.
    pub unknown: Vec<Unknown>,
}

impl Question {
    /// The open question: what is wrong?
    pub fn open() -> Question {
        Question { text: "What is wrong?".to_owned(), regressing: true, vague: true, ..Question::default() }
    }

    /// Whether there is anything to go by. A vague question with a word that nobody knows is about that word, and an answer
    /// about something else would mislead.
    pub fn is_grounded(&self) -> bool {
        if self.vague && !self.unknown.is_empty() {
            return false;
        }
        self.measure.is_some() || !self.subjects.is_empty() || !self.people.0.is_empty() || self.regressing
    }

    /// As answers print it.
    pub fn understood(&self, view: &query::View<'_>) -> Understood {
        let names: Vec<String> = self.subjects.iter().map(|s| view.label(*s)).collect();
        Understood {
            measure: self.measure.and_then(|m| view.measure(m)).map(|m| m.name.clone()),
            entity: (!names.is_empty()).then(|| names.join(", ")),
            cohort: (!self.people.0.is_empty()).then(|| self.people.text()),
            intent: match self.intent {
                Intent::Causes => "why".to_owned(),
                Intent::Other => "what".to_owned(),
            },
            words: self.words.clone(),
        }
    }
}
