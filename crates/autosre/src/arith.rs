//! Medians and spreads of short samples with gaps, as the rankers need them.

use stats::tail::Robust;

/// The values that are numbers.
pub(crate) fn known(values: &[f64]) -> impl Iterator<Item = f64> + '_ {
    values.iter().copied().filter(|v| v.is_finite())
}

/// The median of the values that are numbers.
pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let known: Vec<f64> = values.into_iter().filter(|v| v.is_finite()).collect();
    stats::tail::median(&known)
}

/// The standard deviation a normal sample of this median absolute deviation would have.
pub(crate) fn robust_deviation(values: &[f64]) -> Option<f64> {
    let known: Vec<f64> = known(values).collect();
    Robust::of(&known).map(|robust| robust.scale)
}
