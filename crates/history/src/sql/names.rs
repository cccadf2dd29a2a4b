//! The nearest name to one that is not there.

/// How many letters have to be changed, left out or put in to make one word of another (Levenshtein, 1965).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in (1..).zip(a.chars()) {
        let mut corner = i - 1;
        if let Some(first) = row.first_mut() {
            *first = i;
        }
        for (j, y) in (1..).zip(&b) {
            let left = row.get(j - 1).copied().unwrap_or(usize::MAX);
            let Some(here) = row.get_mut(j) else { break };
            let best = (corner + usize::from(x != *y)).min(left.saturating_add(1)).min(*here + 1);
            corner = std::mem::replace(here, best);
        }
    }
    row.last().copied().unwrap_or(0)
}

/// Says that there is no such thing, and what there is.
pub(super) fn unknown(what: &str, name: &str, known: &[&str]) -> String {
    let short: String = name.chars().take(80).collect();
    let lower = short.to_lowercase();
    let mut by_distance: Vec<(usize, &str)> = known.iter().map(|k| (distance(&lower, k), *k)).collect();
    by_distance.sort_unstable();
    by_distance.dedup();
    let near = by_distance.first().filter(|(d, _)| *d <= 2 + short.chars().count() / 3);
    match near {
        Some((_, near)) => format!("there is no {what} `{short}`; the nearest is `{near}`"),
        None => {
            let mut all: Vec<&str> = known.to_vec();
            all.sort_unstable();
            all.dedup();
            format!("there is no {what} `{short}`; there are: {}", all.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_told() {
        assert_eq!(distance("measure", "measures"), 1);
        assert_eq!(distance("", "abc"), 3);
        assert!(unknown("table", "measure", &["flows", "measures"]).contains("`measures`"));
        assert!(unknown("table", "xyzzyplugh", &["flows", "events"]).contains("events, flows"));
    }
}
