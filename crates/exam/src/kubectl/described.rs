//! The indented text of `kubectl describe` as a tree.

/// A line with the lines that stand deeper below it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Described {
    /// What stands before the colon; empty where there is none.
    pub key: String,
    /// What stands behind it.
    pub value: String,
    /// The whole line without its indentation.
    pub line: String,
    /// The lines below.
    pub below: Vec<Described>,
}

impl Described {
    /// Reads a text; the root has no key.
    pub(crate) fn parse(text: &str) -> Self {
        let lines: Vec<(usize, &str)> = text
            .lines()
            .filter(|l| !l.trim().is_empty())
            .map(|l| (l.len() - l.trim_start().len(), l.trim()))
            .collect();
        let mut at = 0;
        Self { below: block(&lines, &mut at, 0), ..Self::default() }
    }

    /// The first line below with that key.
    pub(crate) fn get(&self, key: &str) -> Option<&Described> {
        self.below.iter().find(|d| d.key == key)
    }

    /// The value of the first line below with that key; empty when there is none.
    pub(crate) fn text(&self, key: &str) -> String {
        self.get(key).map(|d| d.value.clone()).unwrap_or_default()
    }
}

/// Lines that stand at least as deep as `depth`.
fn block(lines: &[(usize, &str)], at: &mut usize, depth: usize) -> Vec<Described> {
    let mut out: Vec<Described> = Vec::new();
    while let Some(&(indent, line)) = lines.get(*at) {
        if indent < depth {
            break;
        }
        *at += 1;
        let (key, value) = split(line);
        let deeper = lines.get(*at).map_or(0, |(next, _)| *next);
        let below = if deeper > indent { block(lines, at, indent + 1) } else { Vec::new() };
        out.push(Described { key: key.to_owned(), value: value.to_owned(), line: line.to_owned(), below });
    }
    out
}

/// A key ends at the first colon that a space or the end follows; keys have no double spaces, as rows of tables do.
fn split(line: &str) -> (&str, &str) {
    let end = line
        .match_indices(':')
        .map(|(i, _)| i)
        .find(|i| line[i + 1..].is_empty() || line[i + 1..].starts_with(' '));
    match end {
        Some(end) if !line[..end].contains("  ") => (&line[..end], line[end + 1..].trim()),
        _ => ("", line),
    }
}
