//! Numbers in a line with their units: fifteen minutes is `15m`, `15 * time.Minute`, `Duration.ofMinutes(15)` and `900s`.

/// Units by name and what one of them is worth: seconds for times, bytes for sizes, plain factors otherwise.
const UNITS: &[(&str, f64)] = &[
    ("nanosecond", 1e-9),
    ("microsecond", 1e-6),
    ("millisecond", 1e-3),
    ("second", 1.0),
    ("minute", 60.0),
    ("hour", 3600.0),
    ("day", 86_400.0),
    ("nanos", 1e-9),
    ("micros", 1e-6),
    ("millis", 1e-3),
    ("secs", 1.0),
    ("mins", 60.0),
    ("ns", 1e-9),
    ("us", 1e-6),
    ("ms", 1e-3),
    ("sec", 1.0),
    ("min", 60.0),
    ("ki", 1024.0),
    ("mi", 1_048_576.0),
    ("gi", 1_073_741_824.0),
    ("kib", 1024.0),
    ("mib", 1_048_576.0),
    ("gib", 1_073_741_824.0),
    ("kb", 1e3),
    ("mb", 1e6),
    ("gb", 1e9),
    ("s", 1.0),
    ("m", 60.0),
    ("h", 3600.0),
    ("d", 86_400.0),
    ("k", 1e3),
    ("g", 1e9),
    ("%", 0.01),
];

/// A line whose numbers are taken out: what is left, and the numbers in order.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Measured {
    /// The line with `#` for each number and its unit, and without spaces.
    pub(super) frame: String,
    /// The numbers, each in the base of its unit.
    pub(super) values: Vec<f64>,
}

fn unit(word: &str) -> Option<f64> {
    let low = word.to_lowercase();
    let low = low.as_str();
    let single = low.strip_suffix('s').filter(|short| short.len() >= 3);
    UNITS.iter().find(|(name, _)| *name == low || Some(*name) == single).map(|(_, worth)| *worth)
}

/// The unit that ends a name right before a number: `time.Second * 30`, `ofMinutes(15`.
fn unit_before(frame: &str) -> Option<(usize, f64)> {
    let bare = frame.trim_end_matches(['*', '(', ' ']);
    if bare.len() == frame.len() {
        return None;
    }
    let start = bare.rfind(|c: char| !c.is_ascii_alphabetic()).map_or(0, |at| at + 1);
    let name = bare.get(start..)?;
    let tail = name.rfind(|c: char| c.is_ascii_uppercase()).unwrap_or(0);
    let word = name.get(tail..)?;
    // a single letter before a bracket is a function or a variable, not a unit
    (word.len() >= 3).then(|| unit(word)).flatten().map(|worth| (start + tail, worth))
}

/// Takes the numbers out of a line. Parts of names (`sha256`), versions (`1.19.0`) and places of arguments (`$1`) are no numbers.
pub(super) fn measured(line: &str) -> Measured {
    let chars: Vec<char> = line.chars().collect();
    let (mut frame, mut values) = (String::new(), Vec::new());
    // past the end stands something that no part of a number is
    let at = |i: usize| chars.get(i).copied().unwrap_or('\n');
    let mut i = 0;
    while i < chars.len() {
        let here = at(i);
        let before = if i == 0 { ' ' } else { at(i - 1) };
        if !here.is_ascii_digit() || before.is_alphanumeric() || "_.$".contains(before) {
            frame.push(here);
            i += 1;
            continue;
        }
        let mut end = i;
        while at(end).is_ascii_digit() || (at(end) == '_' && at(end + 1).is_ascii_digit()) {
            end += 1;
        }
        if at(end) == '.' && at(end + 1).is_ascii_digit() {
            end += 1;
            while at(end).is_ascii_digit() {
                end += 1;
            }
        }
        let digits: String = chars.get(i..end).unwrap_or_default().iter().filter(|c| **c != '_').collect();
        // a second dot makes it a version or an address
        let version = at(end) == '.' && at(end + 1).is_ascii_digit();
        let mut after = end;
        let mut worth = None;
        let mut close = end;
        while at(close).is_alphanumeric() || at(close) == '%' {
            close += 1;
        }
        if close > end {
            let word: String = chars.get(end..close).unwrap_or_default().iter().collect();
            worth = unit(&word);
            after = close;
        }
        let named = close > end && worth.is_none();
        let Some(number) = digits.parse::<f64>().ok().filter(|_| !version && !named) else {
            let mut stop = end.max(close);
            while at(stop).is_alphanumeric() || "._-".contains(at(stop)) {
                stop += 1;
            }
            frame.extend(chars.get(i..stop).unwrap_or_default());
            i = stop.max(i + 1);
            continue;
        };
        if worth.is_none() {
            // `30 * time.Second`
            let mut stop = end;
            while at(stop) == ' ' || at(stop) == '*' {
                stop += 1;
            }
            let mut finish = stop;
            while at(finish).is_alphanumeric() || at(finish) == '.' {
                finish += 1;
            }
            let word: String = chars.get(stop..finish).unwrap_or_default().iter().collect();
            let last = word.rsplit('.').next().unwrap_or_default();
            if last.len() >= 2
                && stop > end
                && let Some(found) = unit(last)
            {
                worth = Some(found);
                after = finish;
            }
        }
        if worth.is_none()
            && let Some((cut, found)) = unit_before(&frame)
        {
            worth = Some(found);
            frame.truncate(cut);
        }
        frame.push('#');
        values.push(number * worth.unwrap_or(1.0));
        i = after;
    }
    frame.retain(|c| !c.is_whitespace());
    Measured { frame, values }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_read_wherever_they_stand() {
        for (line, seconds) in [
            ("ttl: 15m", 900.0),
            ("DefaultTTL: 15 * time.Minute,", 900.0),
            ("Duration.ofMinutes(15)", 900.0),
            ("time.Second * 30", 30.0),
            ("timeout = 1_500ms", 1.5),
            ("window: 20%", 0.2),
            ("max_conns = 20", 20.0),
        ] {
            assert_eq!(measured(line).values, [seconds], "{line}");
        }
    }

    #[test]
    fn a_changed_unit_leaves_the_same_frame() {
        assert_eq!(measured("TTL: 15 * time.Minute,").frame, measured("TTL: 15 * time.Second,").frame);
        assert_eq!(measured("ttl: 15m").frame, measured("ttl: 15s").frame);
    }

    #[test]
    fn names_versions_and_arguments_are_no_numbers() {
        for line in ["sha256(x)", "client v1.19.0", "WHERE id = $1", "utf8", "10.0.0.7"] {
            assert_eq!(measured(line).values, [0.0; 0], "{line}");
        }
    }
}
