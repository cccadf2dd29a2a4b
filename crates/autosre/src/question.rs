//! A question after its words were grounded: what is asked, of what, by whom.

use crate::answer::{Meaning, Understood, Unknown};
use crate::finding::{Condition, People};
use graph::NodeId;
use ontology::MeasureId;

/// The shape of the answer that is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Intent {
    /// Why is it so.
    #[default]
    Causes,
    /// Is what is named the cause.
    Verdict,
    /// What was altered around the onset.
    Changes,
    /// Who is hit, and how many.
    Affected,
    /// What else is worse.
    Effects,
    /// Who answers for what is at fault.
    Owner,
    /// What may be done.
    Actions,
    /// How those named fare beside each other.
    Comparison,
    /// Whether what is named may stay.
    Safety,
    /// Whether it was seen before, and whether it will come again.
    Recurrence,
}

impl Intent {
    /// Whether it can be answered where nothing is wrong.
    pub fn is_for_calm_times(self) -> bool {
        matches!(self, Intent::Changes | Intent::Comparison | Intent::Safety)
    }

    /// As answers print it.
    pub fn name(self) -> &'static str {
        match self {
            Intent::Causes => "why",
            Intent::Verdict => "is_it",
            Intent::Changes => "what_changed",
            Intent::Affected => "who_is_hit",
            Intent::Effects => "what_else",
            Intent::Owner => "who_owns",
            Intent::Actions => "what_to_do",
            Intent::Comparison => "compare",
            Intent::Safety => "is_it_safe",
            Intent::Recurrence => "will_it_recur",
        }
    }
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
    /// What may be the cause, when the question is whether it is. One that names only a class has no nodes.
    pub suspects: Vec<Condition>,
    /// Who is to be set beside whom; one is set beside all others.
    pub compared: Vec<Condition>,
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
        self.measure.is_some()
            || !self.subjects.is_empty()
            || !self.people.0.is_empty()
            || !self.suspects.is_empty()
            || !self.compared.is_empty()
            || self.regressing
    }

    /// As answers print it.
    pub fn understood(&self, view: &query::View<'_>) -> Understood {
        let names: Vec<String> = self.subjects.iter().map(|s| view.label(*s)).collect();
        Understood {
            measure: self.measure.and_then(|m| view.measure(m)).map(|m| m.name.clone()),
            entity: (!names.is_empty()).then(|| names.join(", ")),
            cohort: (!self.people.0.is_empty()).then(|| self.people.text()),
            intent: self.intent.name().to_owned(),
            suspects: self.suspects.iter().map(|c| c.label.clone()).collect(),
            compared: self.compared.iter().map(|c| c.label.clone()).collect(),
            words: self.words.clone(),
        }
    }
}
