//! Public sets of labelled failures, each answered by the product's own methods and scored by its published metric.
//!
//! **Not here:** methods. A set's file turns its rows into the shapes that `stats` and `autosre` know and turns their answer
//! into lines; if a line of method would help one set only, it does not belong. Labels reach the scoring function and nothing else:
//! [`sit`] reads `labels.jsonl` and opens each label after the case has been answered; where a method learns from solved cases,
//! `learned` hands it those of other folds and other systems, and a case's own label to the scoring function.
//!
//! **Next door:** below are `autosre` and `stats`; above is `cli` (`e2egraph eval`). This is a rim room: it reads files and the
//! clock, because seconds per case are part of the result.

use std::collections::BTreeMap;
use std::io::BufRead;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize, Serializer};

pub mod asos;
pub mod changerca;
pub mod cloudopsbench;
pub mod kontrast;
mod kubectl;
mod learned;
pub mod nezha;
pub mod petshop;
pub mod robustspot;
pub mod rootcausebench;
pub mod sockshop;
mod standing;
pub mod tvdiag;

pub use standing::{Standing, share_interval};

/// Every set that can be sat, in the order in which help lists them.
pub static SETS: &[&dyn Set] = &[
    &robustspot::RobustSpot,
    &petshop::PetShop,
    &changerca::ChangeRca,
    &nezha::NezhaTrainTicket,
    &tvdiag::TvDiag,
    &cloudopsbench::CloudOpsBench,
    &nezha::NezhaOnlineBoutique,
    &sockshop::SockShop,
    &rootcausebench::RootCauseBench,
    &kontrast::Kontrast,
    &asos::AsosExperiments,
];

/// One labelled set.
///
/// **Contract:** `run` reads `dir/inputs` and `dir/labels.jsonl`, answers every listed case through [`sit`], and returns the set's
/// published metrics as shares of 0..1. It may add figures that need no label (such as silence on healthy windows) afterwards. A set
/// without any labels marks its cases itself and hands them to [`Report::of`].
pub trait Set: Sync {
    /// The word after `e2egraph eval`.
    fn name(&self) -> &'static str;
    /// One line for help: what is asked, of what.
    fn about(&self) -> &'static str;
    /// Answers and scores every case.
    fn run(&self, dir: &Path, progress: Progress<'_>) -> Result<Report, Error>;
}

/// Called after each case with (cases done, cases in all, the case's name).
pub type Progress<'a> = &'a mut dyn FnMut(usize, usize, &str);

/// Which methods, constants and readers answer, as a hash of their sources: equal in all reports of one program.
pub const CONFIG_HASH: &str = env!("E2EGRAPH_METHODS");

/// Sits the named set on the files in `dir`.
pub fn run(set: &str, dir: &Path, progress: Progress<'_>) -> Result<Report, Error> {
    match SETS.iter().find(|known| known.name() == set) {
        Some(known) => {
            forget_peak_rss();
            known.run(dir, progress)
        }
        None => Err(Error::UnknownSet { name: set.to_owned(), known: known() }),
    }
}

/// What sitting every set came to.
#[derive(Clone, Debug, Serialize)]
pub struct AllReports {
    /// Which methods, constants and readers answered.
    pub config_hash: &'static str,
    /// The sets that were there, in the order of [`SETS`].
    pub sets: Vec<Report>,
    /// Those that were not.
    pub absent: Vec<&'static str>,
}

/// Sits every set that has a folder of its name in `dir`. It is an error when none has.
pub fn run_all(dir: &Path, progress: Progress<'_>) -> Result<AllReports, Error> {
    let mut all = AllReports { config_hash: CONFIG_HASH, sets: Vec::new(), absent: Vec::new() };
    for set in SETS {
        let name = set.name();
        let folder = dir.join(name);
        if folder.is_dir() {
            all.sets.push(run(name, &folder, &mut |done, of, case| {
                progress(done, of, &format!("{name} {case}"));
            })?);
        } else {
            all.absent.push(name);
        }
    }
    if all.sets.is_empty() {
        return Err(Error::NoSets { dir: dir.to_owned(), known: known() });
    }
    Ok(all)
}

fn known() -> String {
    SETS.iter().map(|known| known.name()).collect::<Vec<_>>().join(", ")
}

/// Why an exam could not be sat.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The word is no set.
    #[error("no set is called {name:?}; known are {known}")]
    UnknownSet {
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
    },
    /// A folder of sets holds none.
    #[error("{} holds no folder of a set; known are {known}", dir.display())]
    NoSets {
        /// The folder.
        dir: PathBuf,
        /// What it could have held.
        known: String,
    },
    /// A file could not be opened or read.
    #[error("reading {}: {source}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A line does not have the layout that the set's description gives it.
    #[error("{}, line {line}: {why}", file.display())]
    Layout {
        /// The file.
        file: PathBuf,
        /// Counted from 1; 0 when the whole file is meant.
        line: u64,
        /// What was expected and what was found.
        why: String,
    },
    /// The case is listed and has no label.
    #[error("{}: case {case:?} has no label", file.display())]
    NoLabel {
        /// The file of labels.
        file: PathBuf,
        /// The case.
        case: String,
    },
}

impl Error {
    /// A layout error at a line of a file.
    pub fn layout(file: &Path, line: u64, why: impl Into<String>) -> Self {
        Self::Layout { file: file.to_owned(), line, why: why.into() }
    }

    /// What the csv reader says, with file and line.
    pub fn csv(file: &Path, error: csv::Error) -> Self {
        let line = error.position().map_or(0, csv::Position::line);
        let why = match error.kind() {
            csv::ErrorKind::Deserialize { err, .. } => err.to_string(),
            _ => error.to_string(),
        };
        match error.into_kind() {
            csv::ErrorKind::Io(source) => Self::Read { file: file.to_owned(), source },
            _ => Self::layout(file, line, why),
        }
    }
}

/// What a set's run came to.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The set.
    pub set: &'static str,
    /// How many cases were answered or abstained from.
    pub cases: usize,
    /// The published metrics by name, shares of 0..1.
    #[serde(flatten, serialize_with = "as_map")]
    pub metrics: Vec<(&'static str, f64)>,
    /// 95 % Wilson interval of each metric that is a mean over the cases.
    #[serde(serialize_with = "as_map")]
    pub intervals: Vec<(&'static str, [f64; 2])>,
    /// Wall seconds of the median case, reading its files included.
    pub seconds_median: f64,
    /// Wall seconds that 95 % of the cases stayed under.
    pub seconds_p95: f64,
    /// The most memory the process held since the set was begun; nothing where the system does not tell.
    pub peak_rss_bytes: Option<u64>,
    /// Cases with an empty answer.
    pub abstained: usize,
    /// Which methods, constants and readers answered: [`CONFIG_HASH`].
    pub config_hash: &'static str,
    /// The cases in the order of `cases.jsonl`.
    pub per_case: Vec<CaseResult>,
}

/// One case's answer and marks.
#[derive(Clone, Debug, Serialize)]
pub struct CaseResult {
    /// Its name.
    pub case: String,
    /// The marks, by metric.
    pub metrics: BTreeMap<&'static str, f64>,
    /// Wall seconds, reading its files included.
    pub seconds: f64,
    /// Whether the answer was empty.
    pub abstained: bool,
    /// The answer in words, best first.
    pub answer: Vec<String>,
}

fn as_map<V: Serialize, S: Serializer>(
    pairs: &[(&'static str, V)],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_map(pairs.iter().map(|(name, value)| (name, value)))
}

/// An answer that can be printed.
pub trait Lines {
    /// The ranked answer, best first; empty when the method abstains.
    fn lines(&self) -> Vec<String>;
}

impl Lines for Vec<(String, f64)> {
    fn lines(&self) -> Vec<String> {
        self.iter().map(|(name, _)| name.clone()).collect()
    }
}

/// Answers every case of `dir/inputs/cases.jsonl`, then scores each answer against its line in `dir/labels.jsonl`.
///
/// `answer` gets the folder of inputs and the case's line; `mark` gets the label and the answer and returns every metric of
/// `metrics`. A metric that a case does not have (say, a fault of another kind) is left out of that metric's mean.
pub fn sit<Case, Label, Answer>(
    set: &'static str,
    metrics: &[&'static str],
    dir: &Path,
    progress: Progress<'_>,
    mut answer: impl FnMut(&Path, &Case) -> Result<Answer, Error>,
    mark: impl Fn(&Label, &Answer) -> Vec<(&'static str, f64)>,
) -> Result<Report, Error>
where
    Case: DeserializeOwned,
    Label: DeserializeOwned,
    Answer: Lines,
{
    let inputs = dir.join("inputs");
    let cases: Vec<(String, Case)> = read_lines(&inputs.join("cases.jsonl"))?;
    let mut answers = Vec::with_capacity(cases.len());
    for (done, (name, case)) in cases.iter().enumerate() {
        let (result, seconds) = timed(|| answer(&inputs, case));
        answers.push((name, result?, seconds));
        progress(done + 1, cases.len(), name);
    }
    let file = dir.join("labels.jsonl");
    let labels: BTreeMap<String, Label> = read_lines(&file)?.into_iter().collect();
    let mut per_case = Vec::with_capacity(answers.len());
    for (name, answer, seconds) in answers {
        let label =
            labels.get(name).ok_or_else(|| Error::NoLabel { file: file.clone(), case: name.clone() })?;
        let lines = answer.lines();
        per_case.push(CaseResult {
            case: name.clone(),
            metrics: mark(label, &answer).into_iter().collect(),
            seconds,
            abstained: lines.is_empty(),
            answer: lines,
        });
    }
    Ok(Report::of(set, metrics, per_case))
}

impl Report {
    /// Means of the marks, with intervals, and the times' quantiles.
    pub fn of(set: &'static str, metrics: &[&'static str], per_case: Vec<CaseResult>) -> Self {
        let mut means = Vec::new();
        let mut intervals = Vec::new();
        for &metric in metrics {
            let marks: Vec<f64> =
                per_case.iter().filter_map(|case| case.metrics.get(metric).copied()).collect();
            let total: f64 = marks.iter().sum();
            means.push((metric, if marks.is_empty() { 0.0 } else { total / marks.len() as f64 }));
            intervals.push((metric, share_interval(total, marks.len())));
        }
        let mut seconds: Vec<f64> = per_case.iter().map(|case| case.seconds).collect();
        seconds.sort_by(f64::total_cmp);
        let at = |q: f64| {
            let last = seconds.len().saturating_sub(1);
            seconds.get((q * last as f64).ceil() as usize).copied().unwrap_or(0.0)
        };
        Self {
            set,
            cases: per_case.len(),
            metrics: means,
            intervals,
            seconds_median: at(0.5),
            seconds_p95: at(0.95),
            peak_rss_bytes: peak_rss_bytes(),
            abstained: per_case.iter().filter(|case| case.abstained).count(),
            config_hash: CONFIG_HASH,
            per_case,
        }
    }

    /// The mean of a metric, when the set has it.
    pub fn metric(&self, name: &str) -> Option<f64> {
        self.metrics.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
    }
}

/// Reads a file of one JSON object per line, each with its `case`.
pub fn read_lines<T: DeserializeOwned>(file: &Path) -> Result<Vec<(String, T)>, Error> {
    #[derive(Deserialize)]
    struct Named {
        case: String,
    }
    let read = |source| Error::Read { file: file.to_owned(), source };
    let mut all = Vec::new();
    let reader = std::io::BufReader::new(std::fs::File::open(file).map_err(read)?);
    for (index, line) in reader.lines().enumerate() {
        let line = line.map_err(read)?;
        if line.trim().is_empty() {
            continue;
        }
        let bad = |error: serde_json::Error| Error::layout(file, index as u64 + 1, error.to_string());
        let named: Named = serde_json::from_str(&line).map_err(bad)?;
        all.push((named.case, serde_json::from_str(&line).map_err(bad)?));
    }
    Ok(all)
}

#[expect(
    clippy::disallowed_methods,
    reason = "seconds per case are part of an exam's result; no answer depends on them"
)]
pub(crate) fn timed<T>(work: impl FnOnce() -> T) -> (T, f64) {
    let start = std::time::Instant::now();
    let done = work();
    (done, start.elapsed().as_secs_f64())
}

/// Sets the high-water mark back to what is held now (Linux, proc(5): 5 to `clear_refs`). Where that is refused it stays that
/// of the whole process.
fn forget_peak_rss() {
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

/// The high-water mark that Linux keeps for a process.
fn peak_rss_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_set_is_answered_with_the_known_ones() {
        let error = run("nonsense", Path::new("."), &mut |_, _, _| {}).unwrap_err();
        assert!(error.to_string().contains("robustspot"), "{error}");
    }

    #[test]
    fn a_folder_without_sets_is_told_and_what_is_absent_is_named() {
        let dir = std::env::temp_dir().join(format!("exam-all-{}", std::process::id()));
        let inputs = dir.join("sockshop1/inputs");
        std::fs::create_dir_all(&inputs).unwrap();
        let none = run_all(&inputs, &mut |_, _, _| {}).unwrap_err().to_string();
        std::fs::write(inputs.join("cases.jsonl"), "").unwrap();
        std::fs::write(dir.join("sockshop1/labels.jsonl"), "").unwrap();
        let all = run_all(&dir, &mut |_, _, _| {});
        std::fs::remove_dir_all(&dir).unwrap();
        let all = all.unwrap();
        assert!(none.contains("holds no folder of a set"), "{none}");
        assert_eq!(all.sets.len() + all.absent.len(), SETS.len());
        assert_eq!((all.sets[0].set, all.sets[0].cases), ("sockshop1", 0));
        assert_eq!(all.sets[0].config_hash, all.config_hash);
        assert!(all.absent.contains(&"kontrast") && all.config_hash.len() == 16);
    }

    #[test]
    fn a_broken_line_is_named_by_file_and_number() {
        let dir = std::env::temp_dir().join(format!("exam-lines-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let file = dir.join("cases.jsonl");
        std::fs::write(&file, "{\"case\":\"a\"}\n{\"case\":7}\n").unwrap();
        let error = read_lines::<serde_json::Value>(&file).unwrap_err().to_string();
        std::fs::remove_dir_all(&dir).unwrap();
        assert!(error.contains("cases.jsonl, line 2"), "{error}");
    }

    #[test]
    fn metrics_are_keys_of_the_report_itself() {
        let case = |name: &str, mark: f64| CaseResult {
            case: name.to_owned(),
            metrics: BTreeMap::from([("top1", mark)]),
            seconds: 0.25,
            abstained: false,
            answer: vec!["x".to_owned()],
        };
        let report = Report::of("toy", &["top1"], vec![case("a", 1.0), case("b", 0.0)]);
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(json["top1"], 0.5);
        assert_eq!(json["cases"], 2);
        assert_eq!(json["seconds_median"], 0.25);
        assert_eq!(json["per_case"][0]["metrics"]["top1"], 1.0);
        let low = json["intervals"]["top1"][0].as_f64().unwrap();
        assert!((0.09..0.10).contains(&low), "{low}");
    }
}
