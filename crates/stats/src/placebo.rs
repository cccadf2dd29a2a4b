//! Did a change break what is measured: what follows it, against what follows moments at which nothing was changed.
//!
//! A placebo test in time (Abadie, Diamond, Hainmueller 2010, §II.C, do it over places): the same statistic is computed at the change and at
//! many earlier moments of the same series, so the series' own noise, spikes and unruly hours say what is usual; no
//! distribution is assumed. What is compared is what is left when the level just before and the course of the same hours on earlier
//! days are taken out. Only what sets in soon after the change counts: a change is not to blame for what begins much later.

use crate::tail::{median, quantile};

/// How a series runs, in its own steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Course {
    /// Steps of a day, or whatever the values repeat with.
    pub season: usize,
    /// Steps before a moment that say what the level was: an hour.
    pub before: usize,
    /// Steps within which an effect must set in: a quarter of an hour, in which caches run out, pools fill and rollouts take their last step.
    pub onset: usize,
    /// Steps that are watched afterwards.
    pub after: usize,
}

impl Course {
    /// Of a series of one value a minute with a daily course.
    pub const MINUTES: Self = Self { season: 1440, before: 60, onset: 15, after: 120 };
}

/// The most that a series deviates after a change.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Effect {
    /// The mean deviation over the steps of the strongest stretch, in the series' unit; negative when values fell.
    pub shift: f64,
    /// Where that stretch begins, in steps after the change.
    pub at: usize,
    /// How long it is, in steps.
    pub steps: usize,
    /// How many times what is usual the deviation is; infinite where nothing ever deviated.
    pub ratio: f64,
    /// How many moments without a change say what is usual.
    pub placebos: usize,
}

/// So many times what follows half of all moments is no accident: of 20,000 simulated moments without a change (no daily course; 60
/// values before, 120 after) 0.07 % reach it in normal noise, 0.2 % in exponential, 0.4 % in normal that remembers nine tenths of the
/// value before, and 2 % in Student's with three degrees of freedom. A round number on the plateau that docs/accuracy.md tells of.
pub const BROKEN: f64 = 4.0;
/// What one moment in twenty shows is usual, too: the deviation must be beyond this quantile of the placebos.
const RARE: f64 = 0.95;
/// Least noise of an hour that is believed, in parts of the usual one: an hour of equal values is luck.
const QUIETEST: f64 = 0.1;
/// Stretches whose mean is looked at, in parts of the time watched: a spike of one step, up to half of the time.
const STRETCHES: [usize; 9] = [120, 60, 40, 24, 15, 10, 6, 4, 2];
/// Earlier days that say what the hour usually does.
const DAYS: usize = 7;
/// As many placebos as make the quantiles steady.
const PLACEBOS: usize = 1_000;
/// Placebos overlap when they are closer than this, in parts of the time watched, and teach nothing new.
const APART: usize = 12;
/// With fewer placebos nothing is said.
const FEWEST: usize = 20;

impl Effect {
    /// Whether the change broke what is measured.
    pub fn is_broken(&self) -> bool {
        self.ratio >= BROKEN
    }
}

/// What sets in after `change` (an index into `series`); nothing when the series holds less than a season and a few hours before it, or nothing
/// after it. A value that is not a number deviates from nothing. Values after `change + course.after` are not looked at.
pub fn effect(series: &[f64], change: usize, course: Course) -> Option<Effect> {
    let stretches = stretches(course.after);
    let real = Deviation::at(series, change, course, &stretches)?;
    // Placebos end before the change: what it did must not count as usual.
    let last = change.checked_sub(course.after)?;
    let first = course.season + course.before;
    let apart = (course.after / APART).max(last.saturating_sub(first) / PLACEBOS).max(1);
    let placebos: Vec<Deviation> = (first..=last)
        .rev()
        .step_by(apart)
        .filter_map(|moment| Deviation::at(series, moment, course, &stretches))
        .collect();
    if placebos.len() < FEWEST {
        return None;
    }
    // An unruly hour is measured by its own noise as much as by the series': the geometric mean of the two.
    let noises: Vec<f64> = placebos.iter().map(|p| p.noise).collect();
    let usual_noise = median(&noises)?;
    let scale = |deviation: &Deviation| match usual_noise > 0.0 {
        true => (deviation.noise.max(QUIETEST * usual_noise) * usual_noise).sqrt(),
        // Half of all hours are perfectly still: there is no noise to measure by.
        false => 1.0,
    };
    let mut strongest: Option<Effect> = None;
    for (place, steps) in stretches.iter().enumerate() {
        let Some(peak) = real.peaks.get(place) else { continue };
        let seen: Vec<f64> =
            placebos.iter().filter_map(|p| Some(p.peaks.get(place)?.mean.abs() / scale(p))).collect();
        let usual = median(&seen)?.max(quantile(&seen, RARE)? / BROKEN);
        let deviates = peak.mean.abs() / scale(&real);
        let ratio = match (deviates > 0.0, usual > 0.0) {
            (false, _) => 0.0,
            (true, true) => deviates / usual,
            (true, false) => f64::INFINITY,
        };
        if strongest.is_none_or(|known| ratio > known.ratio) {
            let placebos = placebos.len();
            strongest = Some(Effect { shift: peak.mean, at: peak.at, steps: *steps, ratio, placebos });
        }
    }
    strongest
}

/// Lengths of stretches in steps, each once.
fn stretches(after: usize) -> Vec<usize> {
    let mut all: Vec<usize> = STRETCHES.iter().map(|part| (after / part).max(1)).collect();
    all.dedup();
    all
}

/// The strongest stretch of one length.
struct Peak {
    mean: f64,
    at: usize,
}

/// What follows one moment.
struct Deviation {
    /// By length, as long as the series goes.
    peaks: Vec<Peak>,
    /// Median absolute deviation just before.
    noise: f64,
}

impl Deviation {
    fn at(series: &[f64], moment: usize, course: Course, stretches: &[usize]) -> Option<Self> {
        let left = left_over(series, moment, course)?;
        let (before, after) = left.split_at(course.before);
        let sums: Vec<f64> = std::iter::once(0.0)
            .chain(after.iter().scan(0.0, |sum, value| {
                *sum += value;
                Some(*sum)
            }))
            .collect();
        let peaks = stretches
            .iter()
            .map_while(|&steps| {
                let means =
                    sums.windows(steps + 1).take(course.onset).enumerate().filter_map(|(at, part)| {
                        Some(Peak { mean: (part.last()? - part.first()?) / steps as f64, at })
                    });
                means.max_by(|a, b| a.mean.abs().total_cmp(&b.mean.abs()).then(b.at.cmp(&a.at)))
            })
            .collect();
        let centre = median(before)?;
        let apart: Vec<f64> = before.iter().map(|value| (value - centre).abs()).collect();
        Some(Self { peaks, noise: median(&apart)? })
    }
}

/// The values around a moment, less the level before it and the median course of the same hours on earlier days about theirs.
fn left_over(series: &[f64], moment: usize, course: Course) -> Option<Vec<f64>> {
    let around = |moment: usize| {
        let window = series.get(moment.checked_sub(course.before)?..)?;
        let window = window.get(..course.before + course.after).unwrap_or(window);
        let level = median(window.get(..course.before)?)?;
        Some((window, level))
    };
    let (window, level) = around(moment)?;
    if window.len() == course.before {
        return None;
    }
    let earlier: Vec<(&[f64], f64)> =
        (1..=DAYS).map_while(|day| moment.checked_sub(day * course.season)).filter_map(around).collect();
    if earlier.is_empty() {
        return None;
    }
    let mut others = Vec::with_capacity(earlier.len());
    let left = window.iter().enumerate().map(|(i, value)| {
        others.clear();
        others.extend(
            earlier.iter().filter_map(|(day, level)| Some(day.get(i)? - level)).filter(|v| !v.is_nan()),
        );
        let left = value - level - median(&others).unwrap_or(0.0);
        if left.is_nan() { 0.0 } else { left }
    });
    Some(left.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Dice;

    /// Four days of minutes with a daily course and an hour of every day that is five times as unruly.
    fn days(seed: u64) -> Vec<f64> {
        let mut dice = Dice::new(seed);
        (0..4 * 1440 + 120)
            .map(|minute| {
                let hour = (minute % 1440) as f64 / 60.0;
                let noise = if (3.0..4.0).contains(&hour) { 5.0 } else { 1.0 };
                100.0 + 30.0 * (hour / 24.0 * std::f64::consts::TAU).sin() + noise * dice.normal()
            })
            .collect()
    }

    const CHANGE: usize = 4 * 1440;

    #[test]
    fn where_nothing_happened_nothing_is_broken() {
        let broken =
            (0..50).filter(|seed| effect(&days(*seed), CHANGE, Course::MINUTES).unwrap().is_broken()).count();
        assert_eq!(broken, 0);
    }

    #[test]
    fn a_step_a_spike_and_a_fall_are_seen_with_place_and_size() {
        for (from, to, by) in [(5_usize, 120, 6.0), (3, 5, 40.0), (0, 120, -6.0)] {
            let mut series = days(7);
            series[CHANGE + from..CHANGE + to].iter_mut().for_each(|value| *value += by);
            let effect = effect(&series, CHANGE, Course::MINUTES).unwrap();
            assert!(effect.is_broken(), "{effect:?}");
            // Any stretch within a step is as strong as another; that of a spike is the spike.
            let within = effect.at + 2 >= from && effect.at + effect.steps <= to + 2;
            assert!(effect.shift * by > 0.0 && within, "{effect:?}");
            assert!(effect.placebos > 100);
        }
    }

    #[test]
    fn what_sets_in_an_hour_later_is_not_held_against_the_change() {
        let mut series = days(7);
        series[CHANGE + 80..].iter_mut().for_each(|value| *value += 50.0);
        let effect = effect(&series, CHANGE, Course::MINUTES).unwrap();
        assert!(!effect.is_broken(), "{effect:?}");
    }

    #[test]
    fn a_spike_that_the_series_shows_every_other_hour_is_usual() {
        let mut series = days(7);
        for moment in (0..series.len()).step_by(97) {
            series[moment] += 60.0;
        }
        series[CHANGE + 4] += 60.0;
        let effect = effect(&series, CHANGE, Course::MINUTES).unwrap();
        assert!(!effect.is_broken(), "{effect:?}");
    }

    #[test]
    fn a_series_that_never_moved_breaks_with_the_first_step_and_not_before() {
        let mut series = vec![1.0; CHANGE + 120];
        assert_eq!(effect(&series, CHANGE, Course::MINUTES).unwrap().ratio, 0.0);
        series[CHANGE + 1] = 2.0;
        assert_eq!(effect(&series, CHANGE, Course::MINUTES).unwrap().ratio, f64::INFINITY);
    }

    #[test]
    fn too_little_history_says_nothing_and_gaps_do_no_harm() {
        assert_eq!(effect(&days(1)[..1500], 1450, Course::MINUTES), None);
        assert_eq!(effect(&days(1), CHANGE + 500, Course::MINUTES), None);
        assert_eq!(effect(&[], 0, Course::MINUTES), None);
        let mut series = days(1);
        for moment in (0..series.len()).step_by(3) {
            series[moment] = f64::NAN;
        }
        let effect = effect(&series, CHANGE, Course::MINUTES).unwrap();
        assert!(!effect.is_broken() && effect.ratio > 0.0, "{effect:?}");
    }
}
