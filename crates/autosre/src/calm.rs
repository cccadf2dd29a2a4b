//! Which buckets before an onset can stand for healthy times when they hold other troubles.
//!
//! Where faults follow each other closely, the hour before an onset is anything but healthy. What the one who suffers felt in
//! it says which buckets were: those close to the level that the largest cluster of buckets has. Trouble that never reached
//! the target stays in; medians of the rest bear it.

/// Spreads above the usual level up to which a bucket is calm: as many as make an alarm.
const CALM_SPREADS: f64 = 5.0;
/// The smallest spread that is believed, relative to the level: the ontology's usual `care` of 5 %, over the spreads above.
const RELATIVE_FLOOR: f64 = 0.01;
/// The smallest spread that is believed of a quantity whose level is nothing, such as a share of failures.
const ABSOLUTE_FLOOR: f64 = 0.001;
/// A half of a normal sample lies within so many spreads of the middle.
const HALF_WITHIN: f64 = 0.6745;

/// For each bucket whether the target was well, by quantities of it of which more is worse. A bucket without data counts as
/// well: nobody complained. All are calm where nothing was measured.
pub fn calm(quantities: &[&[f64]]) -> Vec<bool> {
    let buckets = quantities.iter().map(|q| q.len()).max().unwrap_or(0);
    let mut calm = vec![true; buckets];
    for quantity in quantities {
        let Some((level, spread)) = shorth(quantity) else { continue };
        let most = level + CALM_SPREADS * spread.max(RELATIVE_FLOOR * level.abs()).max(ABSOLUTE_FLOOR);
        for (well, value) in calm.iter_mut().zip(*quantity) {
            *well &= !value.is_finite() || *value <= most;
        }
    }
    calm
}

/// Middle and spread of the shortest interval that holds half of the values (the shorth: Andrews et al. 1972), which nearly
/// half of the values cannot move, wherever they lie.
fn shorth(values: &[f64]) -> Option<(f64, f64)> {
    let mut sorted: Vec<f64> = values.iter().copied().filter(|v| v.is_finite()).collect();
    sorted.sort_by(f64::total_cmp);
    let half = sorted.len() / 2;
    let width = |pair: &(&f64, &f64)| pair.1 - pair.0;
    let (low, high) =
        sorted.iter().zip(sorted.iter().skip(half)).min_by(|a, b| width(a).total_cmp(&width(b)))?;
    Some(((low + high) / 2.0, (high - low) / 2.0 / HALF_WITHIN))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_of_other_faults_are_not_calm() {
        let slow: Vec<f64> =
            (0..20).map(|i| if i % 5 > 2 { 400.0 } else { 100.0 + f64::from(i % 3) }).collect();
        let well = calm(&[&slow]);
        assert!(well.iter().zip(&slow).all(|(well, slow)| *well == (*slow < 200.0)), "{well:?}");
    }

    #[test]
    fn a_share_of_failures_is_calm_at_nothing_only() {
        let mut failing = vec![0.0; 9];
        failing[4] = 0.05;
        assert_eq!(calm(&[&failing]).iter().filter(|well| !**well).count(), 1);
    }

    #[test]
    fn without_data_all_are_calm() {
        assert_eq!(calm(&[&[f64::NAN, f64::NAN]]), [true, true]);
        assert!(calm(&[]).is_empty());
    }
}
