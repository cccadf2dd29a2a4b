//! RobustSpot (IEEE TSC 2023): stalls of real live video, to the combination of attributes that carries them.
//!
//! Minutes before the detection are healthy, the minute of the detection is what is to be explained; later ones are not read.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use stats::localise::{Element, Figures, LeafTable, localise};

use crate::{Error, Lines, Progress, Report, Set, sit};

/// The set.
pub struct RobustSpot;

/// So many candidate sets are ranked: the set's last mark looks at five, its mean reciprocal rank at all.
const RANKED: usize = 20;

#[derive(Debug, Deserialize)]
struct Case {
    dims: Vec<String>,
    file: String,
    t_detect: i64,
}

#[derive(Debug, Deserialize)]
struct Label {
    root_cause: Vec<BTreeMap<String, String>>,
}

/// Candidate sets of elements, best first.
struct Ranked(Vec<Vec<Element>>);

impl Lines for Ranked {
    fn lines(&self) -> Vec<String> {
        let term = |(name, value): (&String, &String)| format!("{name}={value}");
        let element = |e: &Element| e.iter().map(term).collect::<Vec<_>>().join(" × ");
        self.0.iter().take(5).map(|set| set.iter().map(element).collect::<Vec<_>>().join(" + ")).collect()
    }
}

impl Set for RobustSpot {
    fn name(&self) -> &'static str {
        "robustspot"
    }

    fn about(&self) -> &'static str {
        "which combination of CDN, bitrate, device, ISP … carries a loss of video quality"
    }

    fn run(&self, dir: &Path, progress: Progress<'_>) -> Result<Report, Error> {
        sit(
            self.name(),
            &["top1", "top2", "top3", "top5", "mrr", "f1"],
            dir,
            progress,
            |inputs, case: &Case| {
                let table = leaves(&inputs.join(&case.file), &case.dims, case.t_detect)?;
                Ok(Ranked(localise(&table, RANKED).into_iter().map(|c| c.elements).collect()))
            },
            |label: &Label, Ranked(answer)| {
                let mut truth: Vec<Element> = label.root_cause.iter().map(canonical).collect();
                truth.sort();
                let same = |set: &Vec<Element>| {
                    let mut set: Vec<Element> = set.iter().map(canonical).collect();
                    set.sort();
                    set == truth
                };
                let rank = answer.iter().position(same).map(|index| index + 1);
                let hit = |k: usize| f64::from(u8::from(rank.is_some_and(|r| r <= k)));
                let named: Vec<Element> = answer.first().into_iter().flatten().map(canonical).collect();
                let right = named.iter().filter(|e| truth.contains(e)).count() as f64;
                vec![
                    ("top1", hit(1)),
                    ("top2", hit(2)),
                    ("top3", hit(3)),
                    ("top5", hit(5)),
                    ("mrr", rank.map_or(0.0, |r| 1.0 / r as f64)),
                    // Per case 2·hits ÷ (named + true): the mean of cases, not the pooled figure of the publication.
                    ("f1", 2.0 * right / (named.len() + truth.len()).max(1) as f64),
                ]
            },
        )
    }
}

/// Values that are numbers are compared as numbers: `500` is `500.0`.
fn canonical(element: &Element) -> Element {
    let value = |v: &String| v.trim().parse::<f64>().map_or_else(|_| v.trim().to_owned(), |x| x.to_string());
    element.iter().map(|(name, v)| (name.clone(), value(v))).collect()
}

/// The leaves of a case up to its detection.
fn leaves(file: &Path, dims: &[String], t_detect: i64) -> Result<LeafTable, Error> {
    let mut reader = csv::Reader::from_path(file).map_err(|e| Error::csv(file, e))?;
    let header = reader.headers().map_err(|e| Error::csv(file, e))?.clone();
    let column = |name: &str| {
        header
            .iter()
            .position(|h| h == name)
            .ok_or_else(|| Error::layout(file, 1, format!("no column is called {name:?}")))
    };
    let (minute, bad, all) = (column("min")?, column("value")?, column("cnt")?);
    let places = dims.iter().map(|d| column(d)).collect::<Result<Vec<_>, _>>()?;
    // Bad and all, healthy and at the detection.
    let mut leaves: BTreeMap<Vec<String>, [f64; 4]> = BTreeMap::new();
    for record in reader.records() {
        let record = record.map_err(|e| Error::csv(file, e))?;
        let line = record.position().map_or(0, csv::Position::line);
        let number = |at: usize| {
            let text = record.get(at).unwrap_or_default();
            text.parse::<f64>().map_err(|_| Error::layout(file, line, format!("{text:?} is not a number")))
        };
        let at = number(minute)? as i64;
        if at > t_detect {
            continue;
        }
        let key = places.iter().map(|p| record.get(*p).unwrap_or_default().to_owned()).collect();
        let sums = leaves.entry(key).or_default();
        let half = if at == t_detect { 2 } else { 0 };
        sums[half] += number(bad)?;
        sums[half + 1] += number(all)?;
    }
    let mut table = LeafTable::new(dims.iter().cloned());
    for (values, [healthy_bad, healthy_all, bad, all]) in leaves {
        table.push(&values, Figures::Ratio { healthy_bad, healthy_all, bad, all });
    }
    Ok(table)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stalls_of_one_bitrate_on_one_cdn_are_found_and_later_rows_are_not_read() {
        let dir = std::env::temp_dir().join(format!("exam-robustspot-{}", std::process::id()));
        std::fs::create_dir_all(dir.join("inputs")).unwrap();
        let mut rows = "min,bitrate,cdn,value,cnt\n".to_owned();
        for minute in 0..8 {
            for bitrate in ["500", "2000"] {
                for cdn in ["1", "2", "3"] {
                    let guilty = if minute < 6 { bitrate == "2000" && cdn == "3" } else { cdn == "1" };
                    let stalled = if minute >= 5 && guilty { 300 } else { 40 };
                    rows += &format!("{},{bitrate},{cdn},{stalled},1000\n", 1_566_397_800 + 60 * minute);
                }
            }
        }
        std::fs::write(dir.join("inputs/one.csv"), rows).unwrap();
        let line =
            r#"{"case": "one", "dims": ["cdn", "bitrate"], "file": "one.csv", "t_detect": 1566398100}"#;
        std::fs::write(dir.join("inputs/cases.jsonl"), line).unwrap();
        let label = r#"{"case": "one", "root_cause": [{"cdn": "3", "bitrate": "2000.0"}]}"#;
        std::fs::write(dir.join("labels.jsonl"), label).unwrap();
        let report = RobustSpot.run(&dir, &mut |_, _, _| {});
        std::fs::remove_dir_all(&dir).unwrap();
        let report = report.unwrap();
        assert_eq!((report.metric("top1"), report.metric("f1")), (Some(1.0), Some(1.0)), "{report:?}");
    }
}
