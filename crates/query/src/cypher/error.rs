//! What can be wrong with a query: what kind, where, the offending text, and what to write instead.

use serde::Serialize;
use std::fmt;

/// A piece of the query's text, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

impl Span {
    /// From one piece to the end of another.
    #[must_use]
    pub fn to(self, end: Span) -> Span {
        Span { start: self.start, end: end.end.max(self.end) }
    }
}

/// Kinds of errors, named as openCypher names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Kind {
    /// The text is no query, or its parts do not fit together.
    SyntaxError,
    /// A value is of the wrong type.
    TypeError,
    /// A value is out of range.
    ArgumentError,
    /// `$name` was not given.
    ParameterMissing,
    /// There is no such procedure.
    ProcedureError,
    /// The ontology has no such word.
    UnknownName,
    /// The query is larger than what is taken.
    TooLarge,
}

/// When an error was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Before anything was read.
    Compile,
    /// While reading.
    Run,
}

/// One error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Error {
    /// What kind.
    pub kind: Kind,
    /// When it was found.
    pub phase: Phase,
    /// openCypher's name for it: `UndefinedVariable`.
    pub detail: &'static str,
    /// What is wrong, in words.
    pub message: String,
    /// What to write instead; may be empty.
    pub hint: String,
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
    /// The offending text.
    pub text: String,
    #[serde(skip)]
    pub(crate) at: Span,
}

impl Error {
    pub(crate) fn new(
        kind: Kind,
        phase: Phase,
        detail: &'static str,
        at: Span,
        message: impl Into<String>,
    ) -> Error {
        Error {
            kind,
            phase,
            detail,
            message: message.into(),
            hint: String::new(),
            line: 0,
            column: 0,
            text: String::new(),
            at,
        }
    }

    pub(crate) fn syntax(detail: &'static str, at: Span, message: impl Into<String>) -> Error {
        Error::new(Kind::SyntaxError, Phase::Compile, detail, at, message)
    }

    pub(crate) fn run(kind: Kind, detail: &'static str, at: Span, message: impl Into<String>) -> Error {
        Error::new(kind, Phase::Run, detail, at, message)
    }

    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> Error {
        self.hint = hint.into();
        self
    }

    /// Fills in line, column and text from the query.
    pub(crate) fn placed(mut self, query: &str) -> Error {
        const SHOWN: usize = 60;
        let cut = |at: u32| {
            let mut at = (at as usize).min(query.len());
            while !query.is_char_boundary(at) {
                at -= 1;
            }
            at
        };
        let (start, end) = (cut(self.at.start), cut(self.at.end));
        let before = query.get(..start).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |i| i + 1);
        let small = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        self.line = small(before.matches('\n').count() + 1);
        self.column = small(before.get(line_start..).unwrap_or_default().chars().count() + 1);
        let text = query.get(start..end).unwrap_or_default();
        self.text = text.chars().take(SHOWN).collect();
        if text.chars().count() > SHOWN {
            self.text.push('…');
        }
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: ", self.line, self.column)?;
        if !self.text.is_empty() {
            write!(f, "`{}`: ", self.text)?;
        }
        f.write_str(&self.message)?;
        if self.hint.is_empty() { Ok(()) } else { write!(f, "; {}", self.hint) }
    }
}

impl std::error::Error for Error {}
