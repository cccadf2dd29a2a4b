//! Splits the change of a mean or a ratio into "the audience changed" and "what they experience changed" (Kitagawa 1955).

/// One segment's share of the traffic and what it summed to, before and after. For a ratio the sums count the bad ones; for a mean
/// they add the values.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Segment {
    /// How many before.
    pub count_before: f64,
    /// Sum before.
    pub sum_before: f64,
    /// How many after.
    pub count_after: f64,
    /// Sum after.
    pub sum_after: f64,
}

/// What a segment, or all of them, contributed to the change.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Split {
    /// By growing or shrinking, being better or worse than the rest.
    pub mix: f64,
    /// By getting better or worse.
    pub rate: f64,
}

impl Split {
    /// The whole change.
    pub fn total(self) -> f64 {
        self.mix + self.rate
    }
}

/// Σ and per segment: Δ = Σ Δw·(r̄ − R̄) + Σ w̄·Δr, with weights and rates averaged over both sides so that nothing is left over.
///
/// A segment without traffic on one side has no rate there; the other side's stands in, so that newcomers and leavers are all mix. Nothing when a
/// whole side is empty.
pub fn split(segments: &[Segment]) -> Option<(Split, Vec<Split>)> {
    let before: f64 = segments.iter().map(|s| s.count_before).sum();
    let after: f64 = segments.iter().map(|s| s.count_after).sum();
    if !(before > 0.0 && after > 0.0) {
        return None;
    }
    let rates = |s: &Segment| {
        let was = (s.count_before > 0.0).then(|| s.sum_before / s.count_before);
        let is = (s.count_after > 0.0).then(|| s.sum_after / s.count_after);
        (was.or(is).unwrap_or(0.0), is.or(was).unwrap_or(0.0))
    };
    let whole = segments.iter().map(|s| s.sum_before / before + s.sum_after / after).sum::<f64>() / 2.0;
    let parts: Vec<Split> = segments
        .iter()
        .map(|s| {
            let (was, is) = rates(s);
            let (w0, w1) = (s.count_before / before, s.count_after / after);
            Split { mix: (w1 - w0) * ((was + is) / 2.0 - whole), rate: (w0 + w1) / 2.0 * (is - was) }
        })
        .collect();
    let sum = parts
        .iter()
        .fold(Split::default(), |sum, part| Split { mix: sum.mix + part.mix, rate: sum.rate + part.rate });
    Some((sum, parts))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_new_audience_is_no_regression() {
        // Phones were always slower; now there are more of them.
        let tv = Segment { count_before: 900.0, sum_before: 900.0, count_after: 500.0, sum_after: 500.0 };
        let phone =
            Segment { count_before: 100.0, sum_before: 200.0, count_after: 500.0, sum_after: 1_000.0 };
        let (sum, parts) = split(&[tv, phone]).unwrap();
        assert!((sum.mix - 0.4).abs() < 1e-12 && sum.rate.abs() < 1e-12);
        assert!(parts.iter().all(|part| part.mix > 0.0));
    }

    #[test]
    fn a_slower_segment_is_a_regression() {
        let tv = Segment { count_before: 500.0, sum_before: 500.0, count_after: 500.0, sum_after: 1_000.0 };
        let phone = Segment { count_before: 500.0, sum_before: 500.0, count_after: 500.0, sum_after: 500.0 };
        let (sum, parts) = split(&[tv, phone]).unwrap();
        assert_eq!((sum.mix, sum.rate), (0.0, 0.5));
        assert_eq!(parts[1], Split::default());
    }

    #[test]
    fn an_empty_side_has_no_change() {
        assert_eq!(split(&[Segment { count_before: 1.0, sum_before: 1.0, ..Segment::default() }]), None);
    }

    proptest! {
        #[test]
        fn the_parts_are_the_whole(counts in proptest::collection::vec((0u32..50, 0u32..50, 0.0f64..9.0, 0.0f64..9.0), 1..12)) {
            let segments: Vec<Segment> = counts.iter().map(|(n0, n1, r0, r1)| {
                let (n0, n1) = (f64::from(*n0), f64::from(*n1));
                Segment { count_before: n0, sum_before: n0 * r0, count_after: n1, sum_after: n1 * r1 }
            }).collect();
            if let Some((sum, _)) = split(&segments) {
                let rate = |n: fn(&Segment) -> f64, s: fn(&Segment) -> f64| segments.iter().map(s).sum::<f64>() / segments.iter().map(n).sum::<f64>();
                let change = rate(|s| s.count_after, |s| s.sum_after) - rate(|s| s.count_before, |s| s.sum_before);
                prop_assert!((sum.total() - change).abs() < 1e-9);
            }
        }
    }
}
