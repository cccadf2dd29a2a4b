//! Progress bars on long work: on standard error, and only when that is a terminal.

use indicatif::{ProgressBar, ProgressFinish, ProgressStyle};
use std::io::IsTerminal as _;

/// A bar, or nothing where nobody would see one. Clones are the same bar.
#[derive(Clone)]
pub struct Progress(Option<ProgressBar>);

impl Progress {
    /// A bar of so many steps; of unknown length when 0.
    pub fn new(steps: usize, what: &str) -> Progress {
        if !std::io::stderr().is_terminal() {
            return Progress(None);
        }
        let bar = if steps == 0 { ProgressBar::new_spinner() } else { ProgressBar::new(steps as u64) };
        let form = if steps == 0 {
            "{spinner} {pos} {prefix} {msg}"
        } else {
            "{bar:30} {pos}/{len} {prefix} {eta} {msg}"
        };
        if let Ok(style) = ProgressStyle::with_template(form) {
            bar.set_style(style);
        }
        bar.set_prefix(what.to_owned());
        // Work that ends early must not leave half a bar before the shell's prompt.
        Progress(Some(bar.with_finish(ProgressFinish::AndClear)))
    }

    /// One step done.
    pub fn step(&self, what: &str) {
        if let Some(bar) = &self.0 {
            bar.set_message(what.to_owned());
            bar.inc(1);
        }
    }

    /// So many steps done.
    pub fn at(&self, steps: u64, what: &str) {
        if let Some(bar) = &self.0 {
            bar.set_message(what.to_owned());
            bar.set_position(steps);
        }
    }

    /// Everything done.
    pub fn end(&self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}
