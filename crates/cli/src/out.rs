//! Standard output and standard error, where readers may go away: `e2egraph … | head` ends quietly, and a server whose log
//! nobody reads any more goes on.

use std::io::{self, Write as _};

/// Writes text to standard output.
///
/// # Errors
/// When it cannot be written; [`is_closed`] tells whether that is because its reader has gone.
pub fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// The same, as a line.
///
/// # Errors
/// As [`print()`].
pub fn line(text: &str) -> io::Result<()> {
    print(&format!("{text}\n"))
}

/// A value as JSON for people and programs, as a line.
///
/// # Errors
/// As [`print()`].
pub fn json(value: &impl serde::Serialize) -> anyhow::Result<()> {
    Ok(line(&serde_json::to_string_pretty(value)?)?)
}

/// Tells the operator something on standard error. Nothing depends on anybody reading it.
pub fn note(text: &str) {
    let _ = writeln!(io::stderr(), "e2egraph: {text}");
}

/// Whether an error says that the reader of standard output has gone.
pub fn is_closed(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::BrokenPipe)
}

/// An error with what led to it. A cause that the message before it already told is not told twice.
pub fn told(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if !text.contains(&cause) {
            text = if text.is_empty() { cause } else { format!("{text}: {cause}") };
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context as _;

    #[test]
    fn a_cause_is_told_once() {
        let gone = || io::Error::new(io::ErrorKind::NotFound, "gone");
        let twice = Err::<(), _>(anyhow::anyhow!(gone()).context("reading x: gone"));
        assert_eq!(told(&twice.unwrap_err()), "reading x: gone");
        let once = Err::<(), _>(gone()).context("reading x");
        assert_eq!(told(&once.unwrap_err()), "reading x: gone");
    }

    #[test]
    fn only_a_reader_that_went_away_is_closed() {
        assert!(is_closed(&io::Error::from(io::ErrorKind::BrokenPipe).into()));
        assert!(!is_closed(&io::Error::from(io::ErrorKind::StorageFull).into()));
    }
}
