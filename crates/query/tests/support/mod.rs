//! Runs scenarios in the layout of the openCypher compatibility kit over the graph in memory. What writes is left out, for the
//! language here only reads; graphs of scenarios are built by a small writer of the runner's own.

#![allow(dead_code, reason = "shared by a test and an example, which use different parts")]
#![allow(unreachable_pub, reason = "shared by a test and an example")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "test support")]

pub mod expect;
pub mod gherkin;
pub mod run;
pub mod write;

use run::Outcome;
use std::collections::BTreeMap;
use std::path::Path;

/// How a kit went.
#[derive(Debug, Default)]
pub struct Score {
    /// Feature to (passed, failed).
    pub per_feature: BTreeMap<String, (usize, usize)>,
    /// What failed: feature, scenario, why.
    pub failures: Vec<(String, String, String)>,
    /// Scenarios left out because they write.
    pub left_out: usize,
    /// Errors that were due, and how many of them had the very detail that was due.
    pub errors: (usize, usize),
}

impl Score {
    pub fn passed(&self) -> usize {
        self.per_feature.values().map(|f| f.0).sum()
    }

    pub fn failed(&self) -> usize {
        self.per_feature.values().map(|f| f.1).sum()
    }
}

/// Runs every feature file below a folder.
pub fn run_folder(dir: &Path) -> std::io::Result<Score> {
    let mut files = Vec::new();
    collect(dir, &mut files)?;
    files.sort();
    let mut score = Score::default();
    for file in files {
        let text = std::fs::read_to_string(&file)?;
        let name = file.strip_prefix(dir).unwrap_or(&file).with_extension("");
        run_text(&name.to_string_lossy(), &text, &mut score);
    }
    Ok(score)
}

fn collect(dir: &Path, files: &mut Vec<std::path::PathBuf>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|e| e == "feature") {
            files.push(path);
        }
    }
    Ok(())
}

/// Runs the scenarios of one feature.
pub fn run_text(feature: &str, text: &str, score: &mut Score) {
    for scenario in gherkin::scenarios(text) {
        if scenario.writes() {
            score.left_out += 1;
            continue;
        }
        let counts = score.per_feature.entry(feature.to_owned()).or_default();
        match run::run(&scenario) {
            Outcome::Passed { error } => {
                counts.0 += 1;
                if let Some(exact) = error {
                    score.errors.0 += 1;
                    score.errors.1 += usize::from(exact);
                }
            }
            Outcome::Failed(why) => {
                counts.1 += 1;
                score.failures.push((feature.to_owned(), scenario.name.clone(), why));
            }
        }
    }
}
