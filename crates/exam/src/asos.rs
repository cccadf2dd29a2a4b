//! ASOS Digital Experiments (NeurIPS 2021 Datasets and Benchmarks): real A/B tests by half-day checkpoints, without labels.
//!
//! What is measured is whether a test that is looked at after every checkpoint can be believed: how often it flags an arm at all,
//! how often the end of the experiment does not bear it out, and how often it flags when nothing is there. Beside it stands the ordinary
//! test looked at just as often. A case is one metric of one arm: what the numbers of the metrics mean is not disclosed, so each is
//! a stream of its own, and flags count either way up.
//!
//! "Nothing is there" is made from the data themselves. The sum of the treated less the sum of the controls moves by some amount
//! from checkpoint to checkpoint; without an effect each amount could as well have had the other sign. So the final effect is taken out of
//! the amounts and their signs are drawn anew, a whole day at a time, because the two halves of a day bring different people. What is left
//! of the data is when people came, how much they varied and how wild single days are. What it takes away is that the same person
//! is counted on several days, which ties the days together; so the same is done a week at a time. The third null is the control against itself: two
//! arms with the control's own numbers and variances, moving as the central limit theorem says they do.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use stats::sequential::{Contrast, Move, Sample};
use stats::special::normal_quantile;
use stats::srm;

use crate::{CaseResult, Error, Progress, Report, Set, share_interval, timed};

/// The set.
pub struct AsosExperiments;

/// Level of all tests.
const ALPHA: f64 = 0.05;
/// Draws of each null for each stream: enough that chance between draws is small beside chance between streams.
const DRAWS: usize = 200;
/// Checkpoints in a day.
const DAY: usize = 2;
/// Checkpoints in a week.
const WEEK: usize = 7 * DAY;
/// Largest p-value at which an allocation is called broken: the customary level of sample-ratio checks (Fabijan et al., KDD'19).
const MISMATCH: f64 = 1e-3;
/// An allocation that is not written down is taken for half and half unless the arms differ by this factor: no leak is so large
/// that nobody would notice.
const PLAINLY_UNEVEN: f64 = 1.5;

/// The figures of each stream.
const FIGURES: [&str; 11] = [
    "flagged_any",
    "flagged_end",
    "false_regressed",
    "contradicted",
    "peeking_any",
    "peeking_false",
    "null_regressed",
    "null_regressed_by_week",
    "null_regressed_split",
    "null_peeking",
    "null_peeking_by_week",
];

#[derive(Clone, Debug, Deserialize)]
struct Row {
    experiment_id: String,
    variant_id: u32,
    metric_id: u32,
    count_c: f64,
    count_t: f64,
    mean_c: Option<f64>,
    mean_t: Option<f64>,
    variance_c: Option<f64>,
    variance_t: Option<f64>,
}

/// What there was at a checkpoint.
#[derive(Clone, Copy, Debug)]
struct Look {
    treated: Sample,
    control: Sample,
}

type Arm = (String, u32);

impl Set for AsosExperiments {
    fn name(&self) -> &'static str {
        "asos_experiments"
    }

    fn about(&self) -> &'static str {
        "whether tests that are looked at all the time can be believed, on real experiments"
    }

    fn run(&self, dir: &Path, progress: Progress<'_>) -> Result<Report, Error> {
        let streams = read(&dir.join("inputs/experiments.csv"))?;
        let mut arms: BTreeMap<Arm, Option<f64>> = BTreeMap::new();
        let mut per_case = Vec::with_capacity(streams.len());
        for (done, ((arm, metric), looks)) in streams.iter().enumerate() {
            let name = format!("{}/{} metric {metric}", arm.0, arm.1);
            let ((metrics, mut answer), seconds) = timed(|| judged(looks));
            // every metric of an arm counts the same people
            if !arms.contains_key(arm) {
                let broken = mismatch(looks);
                answer.extend(broken.map(|p| format!("not the traffic it was allocated: p = {p:.1e}")));
                arms.insert(arm.clone(), broken);
            }
            progress(done + 1, streams.len(), &name);
            per_case.push(CaseResult { case: name, abstained: metrics.is_empty(), metrics, seconds, answer });
        }
        let mut report = Report::of(self.name(), &FIGURES, per_case);
        let broken = arms.values().flatten().count();
        report.metrics.push(("arms", arms.len() as f64));
        report.metrics.push(("sample_ratio_failures", broken as f64));
        report.metrics.push(("sample_ratio_failed", broken as f64 / arms.len().max(1) as f64));
        report.intervals.push(("sample_ratio_failed", share_interval(broken as f64, arms.len())));
        Ok(report)
    }
}

fn read(path: &Path) -> Result<BTreeMap<(Arm, u32), Vec<Look>>, Error> {
    let failed = |error| Error::csv(path, error);
    let mut reader = csv::Reader::from_path(path).map_err(failed)?;
    let mut streams: BTreeMap<(Arm, u32), Vec<Look>> = BTreeMap::new();
    for row in reader.deserialize() {
        let row: Row = row.map_err(failed)?;
        let sample = |n, mean: Option<f64>, variance: Option<f64>| Sample {
            n,
            mean: mean.unwrap_or(f64::NAN),
            variance: variance.unwrap_or(f64::NAN),
        };
        let look = Look {
            treated: sample(row.count_t, row.mean_t, row.variance_t),
            control: sample(row.count_c, row.mean_c, row.variance_c),
        };
        streams.entry(((row.experiment_id, row.variant_id), row.metric_id)).or_default().push(look);
    }
    Ok(streams)
}

/// All marks of a stream, and what it would be told; nothing where a variance was not recorded.
fn judged(looks: &[Look]) -> (BTreeMap<&'static str, f64>, Vec<String>) {
    let contrasts: Vec<Contrast> = looks
        .iter()
        .map(|look| Contrast::between(look.treated, look.control))
        .filter(|c| c.estimate.is_finite() && c.variance.is_finite())
        .collect();
    let Some(end) = contrasts.last() else { return (BTreeMap::new(), Vec::new()) };
    let at_end = end.moved_at_fixed_look(ALPHA);
    let [low, high] = end.fixed_interval(ALPHA);
    // an arm is told of its first flag and would be stopped there
    let any_time = first(&contrasts, |c| c.moved(ALPHA));
    let peeking = first(&contrasts, |c| c.moved_at_fixed_look(ALPHA));
    let unborne = |flag: Option<(usize, Move)>| flag.is_some_and(|(_, way)| at_end != Some(way));
    let refuted = any_time.is_some_and(|(_, way)| match way {
        Move::Risen => high <= 0.0,
        Move::Fallen => low >= 0.0,
    });
    let share = |draws: &dyn Fn(usize, &mut Dice) -> Vec<Contrast>, flag: fn(&Contrast) -> Option<Move>| {
        let mut dice = Dice(SEED);
        let flagged = (0..DRAWS).filter(|i| first(&draws(*i, &mut dice), flag).is_some()).count();
        flagged as f64 / DRAWS as f64
    };
    let by_day = |_, dice: &mut Dice| without_effect(&contrasts, DAY, dice);
    let by_week = |_, dice: &mut Dice| without_effect(&contrasts, WEEK, dice);
    let split = |_, dice: &mut Dice| control_against_itself(looks, dice);
    let sequence: fn(&Contrast) -> Option<Move> = |c| c.moved(ALPHA);
    let ordinary: fn(&Contrast) -> Option<Move> = |c| c.moved_at_fixed_look(ALPHA);
    let one = |yes: bool| f64::from(u8::from(yes));
    let marks = [
        one(any_time.is_some()),
        one(at_end.is_some()),
        one(unborne(any_time)),
        one(refuted),
        one(peeking.is_some()),
        one(unborne(peeking)),
        share(&by_day, sequence),
        share(&by_week, sequence),
        share(&split, sequence),
        share(&by_day, ordinary),
        share(&by_week, ordinary),
    ];
    let told = match any_time {
        Some((look, way)) => format!("{way:?} at checkpoint {} of {}", look + 1, contrasts.len()),
        None => format!("no move in {} checkpoints", contrasts.len()),
    };
    (FIGURES.into_iter().zip(marks).collect(), vec![told])
}

fn first(contrasts: &[Contrast], flag: impl Fn(&Contrast) -> Option<Move>) -> Option<(usize, Move)> {
    contrasts.iter().enumerate().find_map(|(look, contrast)| Some((look, flag(contrast)?)))
}

/// The stream as it could as well have gone without an effect: the final effect taken out, the signs of what came between checkpoints
/// drawn anew, `block` checkpoints at a time.
fn without_effect(contrasts: &[Contrast], block: usize, dice: &mut Dice) -> Vec<Contrast> {
    let effect = contrasts.last().map_or(0.0, |c| c.estimate);
    let (mut before, mut sum, mut sign) = (0.0, 0.0, 1.0);
    let redrawn = |(look, contrast): (usize, &Contrast)| {
        if look % block == 0 {
            sign = dice.sign();
        }
        // the harmonic number times the difference of means: the sums' difference, each arm scaled to the same number
        let score = contrast.n * (contrast.estimate - effect);
        sum += sign * (score - before);
        before = score;
        Contrast { estimate: sum / contrast.n, ..*contrast }
    };
    contrasts.iter().enumerate().map(redrawn).collect()
}

/// Two arms with the control's own numbers and variances.
fn control_against_itself(looks: &[Look], dice: &mut Dice) -> Vec<Contrast> {
    let (mut before, mut sum) = (0.0, 0.0);
    let drawn = |look: &Look| {
        let even = Contrast::between(look.control, look.control);
        let square = even.n * even.n * even.variance;
        sum += f64::max(square - before, 0.0).sqrt() * dice.normal();
        before = square.max(before);
        Contrast { estimate: sum / even.n, ..even }
    };
    looks.iter().filter(|look| look.control.n > 0.0 && look.control.variance.is_finite()).map(drawn).collect()
}

/// The p-value of the arm's allocation where it is broken. Nobody wrote the allocations down: arms of like size are taken for half and
/// half and tested at every checkpoint, where 1/e is a p-value that may be looked at at any time; of the others only whether the ratio
/// stays.
fn mismatch(looks: &[Look]) -> Option<f64> {
    let counts: Vec<[f64; 2]> = looks.iter().map(|look| [look.treated.n, look.control.n]).collect();
    let [treated, control] = *counts.last()?;
    let p = if treated.max(control) < PLAINLY_UNEVEN * treated.min(control) {
        let most = counts.iter().map(|pair| srm::ln_e(pair, &[1.0, 1.0])).fold(0.0, f64::max);
        (-most).exp()
    } else {
        let mut before = [0.0, 0.0];
        let arrivals: Vec<[f64; 2]> = counts
            .iter()
            .map(|now| {
                let came = [(now[0] - before[0]).max(0.0), (now[1] - before[1]).max(0.0)];
                before = *now;
                came
            })
            .collect();
        srm::p_value_of_drift(&arrivals)
    };
    (p < MISMATCH).then_some(p)
}

/// Where every stream's draws begin: any number would do.
const SEED: u64 = 1;

/// SplitMix64 (Steele, Lea, Flood 2014): the same draws on every machine.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn sign(&mut self) -> f64 {
        if self.next() >> 63 == 0 { 1.0 } else { -1.0 }
    }

    fn normal(&mut self) -> f64 {
        // the middle of one of 2⁵² equal parts of (0, 1)
        normal_quantile(((self.next() >> 12) as f64 + 0.5) / (1_u64 << 52) as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Write;

    /// Two arms over ten days: one that loses people and changes nothing, one that is even and better.
    fn sat(name: &str) -> Report {
        let root = std::env::temp_dir().join(format!("exam-asos-{name}-{}", std::process::id()));
        std::fs::create_dir_all(root.join("inputs")).unwrap();
        let mut text = String::from(
            "experiment_id,variant_id,metric_id,time_since_start,count_c,count_t,mean_c,mean_t,variance_c,variance_t\n",
        );
        for half in 1..=20 {
            let (n, days) = (500 * half, f64::from(half) / 2.0);
            let tremor = 0.001 * f64::from(half % 3 - 1);
            writeln!(text, "aaaaaa,1,1,{days},{n}.0,{}.0,0.3,{},0.21,0.21", n * 9 / 10, 0.3 + tremor)
                .unwrap();
            writeln!(text, "aaaaaa,1,2,{days},{n}.0,{}.0,0.3,0.3,,", n * 9 / 10).unwrap();
            writeln!(text, "bbbbbb,1,1,{days},{n}.0,{}.0,0.3,{},0.21,0.21", n + 3, 0.35 + tremor).unwrap();
        }
        std::fs::write(root.join("inputs/experiments.csv"), text).unwrap();
        let report = AsosExperiments.run(&root, &mut |_, _, _| {});
        std::fs::remove_dir_all(&root).unwrap();
        report.unwrap()
    }

    #[test]
    fn an_arm_that_moves_is_flagged_and_one_that_leaks_is_named() {
        let report = sat("flags");
        assert_eq!((report.cases, report.abstained), (3, 1), "{report:?}");
        assert_eq!(report.metric("arms"), Some(2.0));
        assert_eq!(report.metric("flagged_any"), Some(0.5));
        assert_eq!(report.metric("flagged_end"), Some(0.5));
        assert_eq!(report.metric("false_regressed"), Some(0.0));
        assert_eq!(report.metric("sample_ratio_failures"), Some(1.0));
        assert!(report.per_case[0].answer[1].contains("not the traffic"), "{:?}", report.per_case[0]);
        assert!(report.per_case[2].answer[0].starts_with("Risen at checkpoint"), "{:?}", report.per_case[2]);
    }

    #[test]
    fn a_null_without_effect_keeps_the_level_and_peeking_does_not() {
        let report = sat("null");
        let split = report.metric("null_regressed_split").unwrap();
        assert!(split <= 0.05, "{split}");
        let control = Sample { n: 0.0, mean: 0.0, variance: 1.0 };
        let looks: Vec<Look> = (1..=50)
            .map(|look| Sample { n: 1_000.0 * f64::from(look), ..control })
            .map(|control| Look { treated: control, control })
            .collect();
        let mut dice = Dice(3);
        let peeked = (0..200)
            .filter(|_| {
                first(&control_against_itself(&looks, &mut dice), |c| c.moved_at_fixed_look(ALPHA)).is_some()
            })
            .count();
        assert!(peeked > 40, "{peeked} of 200");
    }
}
