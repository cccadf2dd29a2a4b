//! Where the truth stands in a ranking with ties, and how sure a share of few cases is.

/// The place of the truth in a ranking: how many are strictly better, and how many share its score (itself included).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Entries with a strictly higher score.
    pub better: usize,
    /// Entries with the same score, the truth included; at least 1.
    pub tied: usize,
}

impl Standing {
    /// The standing of the best entry that `is_truth` accepts; nothing when no entry is the truth.
    pub fn of<T>(ranked: &[(T, f64)], is_truth: impl Fn(&T) -> bool) -> Option<Self> {
        let score = ranked
            .iter()
            .filter(|(entry, _)| is_truth(entry))
            .map(|(_, score)| *score)
            .max_by(f64::total_cmp)?;
        Some(Self {
            better: ranked.iter().filter(|(_, other)| *other > score).count(),
            tied: ranked.iter().filter(|(_, other)| *other == score).count().max(1),
        })
    }

    /// The probability that the truth is among the first `k` when ties are broken at random.
    pub fn hit_at(self, k: usize) -> f64 {
        (k.saturating_sub(self.better) as f64 / self.tied as f64).min(1.0)
    }

    /// The expected 1/rank under random tie order.
    pub fn reciprocal_rank(self) -> f64 {
        let ranks = self.better + 1..=self.better + self.tied;
        ranks.map(|rank| 1.0 / rank as f64).sum::<f64>() / self.tied as f64
    }

    /// The expected 1/rank under random tie order, where ranks after `k` are worth nothing.
    pub fn reciprocal_rank_at(self, k: usize) -> f64 {
        let ranks = self.better + 1..=(self.better + self.tied).min(k);
        ranks.map(|rank| 1.0 / rank as f64).sum::<f64>() / self.tied as f64
    }

    /// The expected rank under random tie order, counted from 1.
    pub fn rank(self) -> f64 {
        self.better as f64 + (self.tied as f64 + 1.0) / 2.0
    }
}

/// 95 % Wilson interval of a share; `hits` may be fractional, as expected values over ties are.
pub fn share_interval(hits: f64, of: usize) -> [f64; 2] {
    stats::calibrate::wilson(hits, of as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tie_is_worth_its_expected_value() {
        let ranked = [("a", 3.0), ("b", 1.0), ("truth", 1.0), ("c", 0.0)];
        let standing = Standing::of(&ranked, |name| *name == "truth").unwrap();
        assert_eq!(standing, Standing { better: 1, tied: 2 });
        assert_eq!(standing.hit_at(1), 0.0);
        assert_eq!(standing.hit_at(2), 0.5);
        assert_eq!(standing.hit_at(3), 1.0);
        assert!((standing.reciprocal_rank() - (0.5 + 1.0 / 3.0) / 2.0).abs() < 1e-12);
        assert_eq!(standing.rank(), 2.5);
        assert_eq!(standing.reciprocal_rank_at(2), 0.25);
        assert_eq!(standing.reciprocal_rank_at(1), 0.0);
    }

    #[test]
    fn a_truth_that_is_not_ranked_has_no_standing() {
        assert_eq!(Standing::of(&[("a", 1.0)], |name| *name == "truth"), None);
    }

    #[test]
    fn a_share_of_nothing_may_be_anything() {
        assert_eq!(share_interval(0.0, 0), [0.0, 1.0]);
        let [low, high] = share_interval(10.0, 10);
        assert!(low > 0.7 && high == 1.0);
    }
}
