//! Kontrast (ISSRE 2022): 368 software changes with the one measure each was watched by, to whether the change broke it.

use std::path::Path;

use serde::Deserialize;
use stats::placebo::{Course, Effect, effect};

use crate::{Error, Lines, Progress, Report, Set, sit};

/// The set.
pub struct Kontrast;

#[derive(Debug, Deserialize)]
struct Case {
    file: String,
    change_start: f64,
}

#[derive(Debug, Deserialize)]
struct Label {
    erroneous: u8,
}

/// What the change did; nothing when the series is too short to say.
struct Verdict(Option<Effect>);

impl Verdict {
    fn is_broken(&self) -> bool {
        self.0.is_some_and(|effect| effect.is_broken())
    }
}

impl Lines for Verdict {
    fn lines(&self) -> Vec<String> {
        let line = |effect: Effect| {
            let verdict = if effect.is_broken() { "broken" } else { "fine" };
            let Effect { shift, at, steps, ratio, placebos } = effect;
            format!(
                "{verdict}: {shift:+.3} for {steps} min from minute {at} on, {ratio:.1} times what is usual after {placebos} moments without the change"
            )
        };
        self.0.map(line).into_iter().collect()
    }
}

impl Set for Kontrast {
    fn name(&self) -> &'static str {
        "kontrast"
    }

    fn about(&self) -> &'static str {
        "whether a software change broke the measure it was watched by"
    }

    fn run(&self, dir: &Path, progress: Progress<'_>) -> Result<Report, Error> {
        let mut report = sit(
            self.name(),
            &["precision", "recall", "accuracy"],
            dir,
            progress,
            |inputs, case: &Case| {
                let (times, values) = series(&inputs.join(&case.file))?;
                let change = times.partition_point(|time| *time < case.change_start);
                Ok(Verdict(effect(&values, change, Course::MINUTES)))
            },
            |label: &Label, verdict| {
                let (truth, said) = (label.erroneous != 0, verdict.is_broken());
                let right = f64::from(truth == said);
                // Precision is the share of the blamed that were to blame, recall that of those to blame that were blamed.
                let share = |name, counts: bool| counts.then_some((name, right));
                let marks = [share("precision", said), share("recall", truth), share("accuracy", true)];
                marks.into_iter().flatten().collect()
            },
        )?;
        let (precision, recall) = (report.metric("precision"), report.metric("recall"));
        if let (Some(precision), Some(recall)) = (precision, recall) {
            let both = precision + recall;
            report.metrics.push(("f1", if both > 0.0 { 2.0 * precision * recall / both } else { 0.0 }));
        }
        Ok(report)
    }
}

/// Times and values; an empty cell is not a number.
fn series(path: &Path) -> Result<(Vec<f64>, Vec<f64>), Error> {
    let failed = |error| Error::csv(path, error);
    let mut reader = csv::Reader::from_path(path).map_err(failed)?;
    let (mut times, mut values) = (Vec::new(), Vec::new());
    for record in reader.deserialize() {
        let (time, value): (f64, Option<f64>) = record.map_err(failed)?;
        times.push(time);
        values.push(value.unwrap_or(f64::NAN));
    }
    Ok((times, values))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_change_after_which_the_measure_leaps_is_the_broken_one() {
        let root = std::env::temp_dir().join(format!("exam-kontrast-{}", std::process::id()));
        std::fs::create_dir_all(root.join("inputs")).unwrap();
        let begin = 1_500_000_000_i64;
        let change = begin + 3 * 86_400 + 7;
        let table = |leap: i64| {
            let mut text = String::from("timestamp,value\n");
            for minute in 0..3 * 1440 + 120 {
                let time = begin + 60 * minute;
                let course = (minute % 1440 - 720).abs() + minute * minute % 17;
                text += &format!("{time},{}\n", course + if time > change + 120 { leap } else { 0 });
            }
            text
        };
        std::fs::write(root.join("inputs/a.csv"), table(0)).unwrap();
        std::fs::write(root.join("inputs/b.csv"), table(400)).unwrap();
        std::fs::write(root.join("inputs/short.csv"), "timestamp,value\n1,2\n").unwrap();
        let case = |name: &str| {
            format!(
                "{{\"case\":\"{name}\",\"change_start\":{change},\"change_end\":{change},\"file\":\"{name}.csv\"}}\n"
            )
        };
        std::fs::write(root.join("inputs/cases.jsonl"), case("a") + &case("b") + &case("short")).unwrap();
        let label =
            |name: &str, erroneous: u8| format!("{{\"case\":\"{name}\",\"erroneous\":{erroneous}}}\n");
        std::fs::write(root.join("labels.jsonl"), label("a", 0) + &label("b", 1) + &label("short", 1))
            .unwrap();
        let report = Kontrast.run(&root, &mut |_, _, _| {});
        std::fs::remove_dir_all(&root).unwrap();
        let report = report.unwrap();
        assert_eq!(report.metric("precision"), Some(1.0), "{report:?}");
        assert_eq!(report.metric("recall"), Some(0.5));
        assert!((report.metric("f1").unwrap() - 2.0 / 3.0).abs() < 1e-9);
        assert_eq!(report.abstained, 1);
        assert!(report.per_case[1].answer[0].starts_with("broken: +"), "{report:?}");
    }
}
