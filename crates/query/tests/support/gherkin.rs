//! Feature files: scenarios, outlines with their examples, steps with a text or a table.

/// Rows of cells.
pub type Table = Vec<Vec<String>>;

/// One step: `Given`, `When` and the like are left off.
#[derive(Clone, Debug, Default)]
pub struct Step {
    pub text: String,
    pub doc: Option<String>,
    pub table: Table,
}

/// One scenario, outlines filled in.
#[derive(Clone, Debug, Default)]
pub struct Scenario {
    pub name: String,
    pub steps: Vec<Step>,
}

const WRITES: [&str; 5] = ["CREATE", "MERGE", "SET", "DELETE", "REMOVE"];

impl Scenario {
    /// Whether a query under test writes.
    pub fn writes(&self) -> bool {
        let queries = self.steps.iter().filter(|s| s.text.starts_with("executing"));
        queries.filter_map(|s| s.doc.as_deref()).any(|q| {
            let bare = without_texts(q);
            let words = bare.split(|c: char| !c.is_alphanumeric() && c != '_');
            words.into_iter().any(|w| WRITES.iter().any(|k| w.eq_ignore_ascii_case(k)))
        })
    }
}

/// A query without what stands in quotes.
fn without_texts(query: &str) -> String {
    let mut bare = String::new();
    let mut quote = None;
    let mut escaped = false;
    for c in query.chars() {
        match quote {
            Some(_) if escaped => escaped = false,
            Some(_) if c == '\\' => escaped = true,
            Some(q) if c == q => quote = None,
            Some(_) => {}
            None if matches!(c, '\'' | '"' | '`') => quote = Some(c),
            None => bare.push(c),
        }
    }
    bare
}

/// Every scenario of a file.
pub fn scenarios(text: &str) -> Vec<Scenario> {
    let mut found = Vec::new();
    let mut background: Vec<Step> = Vec::new();
    let mut open: Option<Scenario> = None;
    let mut examples: Vec<Table> = Vec::new();
    let (mut in_background, mut in_examples) = (false, false);
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') || line.starts_with('@') || line.starts_with("Feature:") {
            continue;
        }
        if line.starts_with("Background:") {
            in_background = true;
        } else if let Some(name) = line.strip_prefix("Scenario Outline:").or(line.strip_prefix("Scenario:")) {
            close(open.take(), &mut examples, &mut found);
            (in_background, in_examples) = (false, false);
            open = Some(Scenario { name: name.trim().to_owned(), steps: background.clone() });
        } else if line.starts_with("Examples:") {
            examples.push(Table::new());
            in_examples = true;
        } else if line.starts_with('|') {
            let row = cells(line);
            let steps =
                if in_background { Some(&mut background) } else { open.as_mut().map(|s| &mut s.steps) };
            if in_examples {
                examples.last_mut().unwrap().push(row);
            } else if let Some(step) = steps.and_then(|s| s.last_mut()) {
                step.table.push(row);
            }
        } else if line.starts_with("\"\"\"") {
            let mut doc: Vec<&str> = Vec::new();
            for l in lines.by_ref() {
                if l.trim().starts_with("\"\"\"") {
                    break;
                }
                doc.push(l);
            }
            let steps =
                if in_background { Some(&mut background) } else { open.as_mut().map(|s| &mut s.steps) };
            if let Some(step) = steps.and_then(|s| s.last_mut()) {
                step.doc = Some(dedented(&doc));
            }
        } else {
            in_examples = false;
            let words = ["Given ", "When ", "Then ", "And ", "But "];
            let text = words.iter().find_map(|w| line.strip_prefix(w)).unwrap_or(line).trim();
            let step = Step { text: text.to_owned(), ..Step::default() };
            if in_background {
                background.push(step);
            } else if let Some(s) = open.as_mut() {
                s.steps.push(step);
            }
        }
    }
    close(open, &mut examples, &mut found);
    found
}

fn dedented(lines: &[&str]) -> String {
    let indent = lines.iter().filter(|l| !l.trim().is_empty()).map(|l| l.len() - l.trim_start().len()).min();
    let cut = |l: &&str| l.get(indent.unwrap_or(0)..).unwrap_or("").to_owned();
    lines.iter().map(cut).collect::<Vec<_>>().join("\n")
}

fn cells(line: &str) -> Vec<String> {
    let mut cells = vec![String::new()];
    let mut chars = line.trim().chars().skip(1);
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some('|') => cells.last_mut().unwrap().push('|'),
                Some('n') => cells.last_mut().unwrap().push('\n'),
                Some('\\') => cells.last_mut().unwrap().push('\\'),
                Some(other) => cells.last_mut().unwrap().extend(['\\', other]),
                None => {}
            },
            '|' => cells.push(String::new()),
            c => cells.last_mut().unwrap().push(c),
        }
    }
    cells.pop();
    cells.into_iter().map(|c| c.trim().to_owned()).collect()
}

/// Puts a scenario in, once for each row of its examples.
fn close(open: Option<Scenario>, examples: &mut Vec<Table>, found: &mut Vec<Scenario>) {
    let Some(scenario) = open else { return };
    if examples.is_empty() {
        found.push(scenario);
        return;
    }
    let mut number = 0;
    for table in examples.drain(..) {
        let Some((head, rows)) = table.split_first() else { continue };
        for row in rows {
            number += 1;
            let fill = |text: &str| {
                head.iter()
                    .zip(row)
                    .fold(text.to_owned(), |t, (name, value)| t.replace(&format!("<{name}>"), value))
            };
            let steps = scenario.steps.iter().map(|s| Step {
                text: fill(&s.text),
                doc: s.doc.as_deref().map(fill),
                table: s.table.iter().map(|r| r.iter().map(|c| fill(c)).collect()).collect(),
            });
            found.push(Scenario { name: format!("{} #{number}", scenario.name), steps: steps.collect() });
        }
    }
}
