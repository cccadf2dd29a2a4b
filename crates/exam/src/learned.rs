//! Sitting a set whose method learns from solved cases: labels of other folds are handed to the learner, never a case's own.

use std::collections::BTreeMap;
use std::path::Path;

use serde::de::DeserializeOwned;

use crate::{CaseResult, Error, Lines, Progress, Report, read_lines, timed};

/// The cases of one system and their labels, as files under the set's folder.
pub(crate) struct Lists {
    pub(crate) cases: String,
    pub(crate) labels: String,
}

/// A case with its label, for learning.
pub(crate) struct Solved<'a, Shape, Label> {
    pub(crate) case: &'a Shape,
    pub(crate) label: &'a Label,
}

/// What may be learned from before the cases of one fold are answered: the solved cases of the system's other folds.
pub(crate) struct Lesson<'a, Shape, Label> {
    pub(crate) solved: Vec<Solved<'a, Shape, Label>>,
}

/// So many folds per system: nine tenths of a system's history stand for what was solved before a failure.
const FOLDS: u64 = 10;

/// Answers every case of every list by a method that learned on the others, then scores it.
///
/// A system's list is cut into folds by a hash of the cases' names. `begin` gets the solved cases of the other systems, once per
/// system; `learn` gets its result and the solved cases of the other folds, once per fold; `answer` gets the result and a case of the fold, no
/// label. The seconds of a case are its own; those of learning are shared by the cases that it was for.
#[expect(clippy::too_many_arguments, reason = "one closure for each step, so that each sees what it may see")]
pub(crate) fn sit_learned<Case, Shape, Label, Start, Taught, Answer>(
    set: &'static str,
    metrics: &[&'static str],
    dir: &Path,
    lists: &[Lists],
    progress: Progress<'_>,
    shape: impl Fn(&Case) -> Shape,
    begin: impl Fn(&[Vec<Solved<'_, Shape, Label>>]) -> Start,
    learn: impl Fn(&Start, &Lesson<'_, Shape, Label>) -> Taught,
    answer: impl Fn(&Taught, &Shape) -> Answer,
    mark: impl Fn(usize, &Label, &Answer) -> Vec<(&'static str, f64)>,
) -> Result<Report, Error>
where
    Case: DeserializeOwned,
    Label: DeserializeOwned,
    Answer: Lines,
{
    let mut systems: Vec<Vec<(String, Shape, Label)>> = Vec::new();
    for list in lists {
        let file = dir.join(&list.labels);
        let mut labels: BTreeMap<String, Label> = read_lines(&file)?.into_iter().collect();
        let mut system = Vec::new();
        for (name, case) in read_lines::<Case>(&dir.join(&list.cases))? {
            let label = labels
                .remove(&name)
                .ok_or_else(|| Error::NoLabel { file: file.clone(), case: name.clone() })?;
            system.push((name, shape(&case), label));
        }
        systems.push(system);
    }
    let all: usize = systems.iter().map(Vec::len).sum();
    let mut per_case: Vec<CaseResult> = Vec::with_capacity(all);
    for (list, system) in systems.iter().enumerate() {
        let elsewhere: Vec<Vec<Solved<'_, Shape, Label>>> = systems
            .iter()
            .enumerate()
            .filter(|(other, _)| *other != list)
            .map(|(_, other)| solved(other, None))
            .collect();
        let start = begin(&elsewhere);
        let mut results: Vec<Option<CaseResult>> = system.iter().map(|_| None).collect();
        for skipped in 0..FOLDS {
            let own = system.iter().filter(|(name, ..)| fold(name) == skipped).count();
            if own == 0 {
                continue;
            }
            let lesson = Lesson { solved: solved(system, Some(skipped)) };
            let (taught, learning) = timed(|| learn(&start, &lesson));
            for ((name, case, label), slot) in system.iter().zip(&mut results) {
                if fold(name) != skipped {
                    continue;
                }
                let (answer, seconds) = timed(|| answer(&taught, case));
                let lines = answer.lines();
                *slot = Some(CaseResult {
                    case: name.clone(),
                    metrics: mark(list, label, &answer).into_iter().collect(),
                    seconds: seconds + learning / own as f64,
                    abstained: lines.is_empty(),
                    answer: lines,
                });
            }
        }
        for (result, (name, ..)) in results.into_iter().flatten().zip(system) {
            per_case.push(result);
            progress(per_case.len(), all, name);
        }
    }
    Ok(Report::of(set, metrics, per_case))
}

/// The solved cases of a system, but those of one fold.
fn solved<Shape, Label>(
    system: &[(String, Shape, Label)],
    skipped: Option<u64>,
) -> Vec<Solved<'_, Shape, Label>> {
    let kept = system.iter().filter(|(name, ..)| Some(fold(name)) != skipped);
    kept.map(|(_, case, label)| Solved { case, label }).collect()
}

/// The fold of a case: FNV-1a of its name, its halves mixed, because the remainder alone sees the last characters best.
fn fold(name: &str) -> u64 {
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    (hash ^ (hash >> 32)) % FOLDS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folds_are_of_like_size() {
        let mut sizes = [0; FOLDS as usize];
        for i in 0..1_000 {
            sizes[fold(&format!("case-{i}")) as usize] += 1;
        }
        assert!(sizes.iter().all(|n| (70..=130).contains(n)), "{sizes:?}");
    }
}
