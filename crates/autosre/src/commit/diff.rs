//! What a diff does, read as a reviewer reads it, in any language: what is gone, what is new, which numbers moved and which way, which
//! conditions and steps are missing now.
//!
//! A diff is text of people and tools: hunks may be cut, headers odd, contexts short. Nothing here fails; what is not understood is not
//! counted.

use std::collections::{BTreeMap, BTreeSet};

use super::quantity::measured;
use super::words::{any, bag, words};

/// What a file is for, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Role {
    /// What people read: documents, licences, owners.
    Prose,
    /// Tests and what they compare with.
    Test,
    /// How the project is built and checked.
    Pipeline,
    /// What another environment runs.
    Elsewhere,
    /// How it looks.
    Look,
    /// Which libraries are used.
    Libraries,
    /// Everything that runs or says how.
    Running,
}

impl Role {
    fn of(path: &str) -> Self {
        let low = path.to_lowercase();
        let file = low.rsplit('/').next().unwrap_or_default();
        let extension = file.rsplit_once('.').map_or("", |(_, e)| e);
        let parts: Vec<&str> = low.split(['/', '_', '-', '.']).collect();
        let part = |names: &[&str]| parts.iter().any(|p| names.contains(p));
        if part(&["test", "tests", "testdata", "spec", "specs", "fixtures", "golden", "mocks", "e2e", "fuzz"])
        {
            Self::Test
        } else if ["md", "rst", "adoc"].contains(&extension)
            || ["codeowners", "license", "notice", "authors", ".gitignore", ".editorconfig"].contains(&file)
            || low.starts_with("docs/")
        {
            Self::Prose
        } else if low.starts_with(".github/")
            || low.starts_with(".circleci/")
            || low.starts_with(".gitlab")
            || part(&["golangci", "eslintrc", "prettierrc", "jenkinsfile", "makefile", "lint"])
        {
            Self::Pipeline
        } else if part(&["staging", "dev", "sandbox", "preprod", "local"]) {
            Self::Elsewhere
        } else if ["css", "scss", "less", "svg", "png", "woff", "woff2", "ico"].contains(&extension) {
            Self::Look
        } else if [
            "go.mod",
            "go.sum",
            "package.json",
            "package-lock.json",
            "yarn.lock",
            "pnpm-lock.yaml",
            "cargo.toml",
            "cargo.lock",
            "pom.xml",
            "build.gradle",
            "requirements.txt",
            "poetry.lock",
            "pyproject.toml",
            "gemfile",
            "gemfile.lock",
            "composer.json",
            "go.work",
            "pipfile",
            "pipfile.lock",
            "mix.exs",
        ]
        .contains(&file)
        {
            Self::Libraries
        } else {
            Self::Running
        }
    }
}

/// A number that was one thing and is another.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Moved {
    /// The words of its line and of what the line stands under.
    pub(super) about: Vec<String>,
    /// Before.
    pub(super) from: f64,
    /// After.
    pub(super) to: f64,
}

impl Moved {
    /// The logarithm of how many times as large it is now; a number that was or is nought moved by more than an order.
    pub(super) fn times(&self) -> f64 {
        if self.from > 0.0 && self.to > 0.0 {
            (self.to / self.from).ln()
        } else {
            (self.to - self.from).signum() * std::f64::consts::LN_10
        }
    }
}

/// A line that was replaced by one like it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Reworded {
    /// Words that only the old one has.
    pub(super) old: Vec<String>,
    /// Words that only the new one has.
    pub(super) new: Vec<String>,
    /// Words of both.
    pub(super) both: Vec<String>,
    /// Whether the words are the same and the operators are not.
    pub(super) operator: bool,
}

/// A step of a library.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    /// The last number.
    Patch,
    /// The number before it.
    Minor,
    /// The first number.
    Major,
}

/// What a change does.
#[derive(Clone, Debug, Default)]
pub(super) struct Reading {
    /// What the files are for.
    pub(super) roles: BTreeSet<Role>,
    /// Whether there was a diff to read.
    pub(super) shown: bool,
    /// Whether any line of code is left once comments and spaces are out.
    pub(super) touched: bool,
    /// Whether lines were taken away.
    pub(super) takes: bool,
    /// Words that are gone from the changed lines.
    pub(super) lost: BTreeSet<String>,
    /// Words that are new in the changed lines.
    pub(super) gained: BTreeSet<String>,
    /// Words of conditions of which there are fewer now.
    pub(super) unchecked: BTreeSet<String>,
    /// Words of conditions of which there are more now.
    pub(super) checked: BTreeSet<String>,
    /// Names whose calls stood alone on a line and are made no more.
    pub(super) steps: BTreeSet<String>,
    /// Numbers that moved.
    pub(super) moved: Vec<Moved>,
    /// Lines replaced by lines like them.
    pub(super) reworded: Vec<Reworded>,
    /// Whether a call that leaves the process is made once per item now.
    pub(super) per_item: bool,
    /// Whether lines that stayed stand in another order.
    pub(super) reordered: bool,
    /// Whether only what is said changed: log lines, counters, texts.
    pub(super) only_says: bool,
    /// The largest step of a library.
    pub(super) library: Option<Step>,
    /// All words of the changed lines.
    pub(super) changed: BTreeSet<String>,
    /// Words of the lines around, of headers and of paths.
    pub(super) around: BTreeSet<String>,
    /// File names as a stack trace tells them.
    pub(super) files: BTreeSet<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sign {
    Gone,
    New,
    Same,
    Header,
}

#[derive(Clone, Debug)]
struct Line {
    sign: Sign,
    hunk: usize,
    indent: usize,
    /// Without comment and outer spaces.
    code: String,
    words: Vec<String>,
}

/// Words that open a condition.
const CONDITIONS: &[&str] = &["if", "elif", "elsif", "unless", "guard", "require", "assert", "when", "check"];
/// Words that open a loop.
const LOOPS: &[&str] = &["for", "foreach", "while", "each", "loop", "map", "range"];
/// Words of calls that leave the process.
const LEAVES: &[&str] = &[
    "query",
    "fetch*",
    "load*",
    "find*",
    "select",
    "exec*",
    "rpc",
    "http",
    "client",
    "send*",
    "publish",
    "redis",
    "db",
    "repo",
    "repository",
    "store",
    "dao",
    "lookup",
    "post",
    "invoke",
    "get*",
    "list*",
    "read*",
    "resolve*",
    "await",
    "describe*",
];
/// Words of statements that only tell.
const TELLS: &[&str] = &[
    "log",
    "logger",
    "logging",
    "logf",
    "printf",
    "println",
    "print",
    "slog",
    "zap",
    "console",
    "metric*",
    "prometheus",
    "counter*",
    "histogram*",
    "gauge",
    "span",
    "otel",
    "tracer",
    "attribute*",
    "buckets",
    "inc",
    "observe",
];
/// Words of queries in a text: a text with one of them is code.
const QUERIES: &[&str] = &["select", "insert", "update", "delete", "where", "join", "limit", "from"];
/// Share of words that two lines have in common to be one line reworded (Drain's similarity, as for log lines).
const LIKE: f64 = 0.5;
/// Lines below a loop's head that are looked at for what it does.
const BODY_LINES: usize = 12;

impl Reading {
    /// Reads a change: its files and its diff, when that is known.
    pub(super) fn of(files: &[String], diff: Option<&str>) -> Self {
        let mut reading = Self { roles: files.iter().map(|f| Role::of(f)).collect(), ..Self::default() };
        for file in files {
            reading.around.extend(words(file));
            reading.files.extend(file.rsplit('/').next().filter(|n| n.contains('.')).map(str::to_lowercase));
        }
        let Some(diff) = diff else { return reading };
        reading.shown = true;
        let lines = lines(diff);
        let (gone, new) = effective(&lines);
        reading.reordered = reordered(&lines);
        reading.touched = !gone.is_empty() || !new.is_empty() || reading.reordered;
        reading.takes = !gone.is_empty();
        for line in &lines {
            let around = matches!(line.sign, Sign::Same | Sign::Header);
            if around { &mut reading.around } else { &mut reading.changed }
                .extend(line.words.iter().cloned());
        }
        let all = |side: &[&Line]| -> BTreeSet<String> {
            side.iter().flat_map(|l| l.words.iter().cloned()).collect()
        };
        let (old, fresh) = (all(&gone), all(&new));
        reading.lost = old.difference(&fresh).cloned().collect();
        reading.gained = fresh.difference(&old).cloned().collect();
        let libraries = !reading.roles.is_empty() && reading.roles.iter().all(|r| *r == Role::Libraries);
        if libraries {
            reading.library = library(&gone, &new);
        } else {
            reading.moved = moved(&lines, &gone, &new);
        }
        reading.reworded = reworded(&gone, &new);
        reading.conditions(&gone, &new);
        reading.steps = steps(&gone, &new);
        reading.per_item = per_item(&lines, &gone);
        reading.only_says = (!gone.is_empty() || !new.is_empty())
            && !reading.reordered
            && gone
                .iter()
                .chain(&new)
                .all(|l| l.words.is_empty() || l.words.iter().any(|w| any(w, TELLS)) || is_text(&l.code));
        reading
    }

    /// Whether nothing that the change took away is missing: words, conditions, steps and numbers are all there still.
    pub(super) fn is_preserving(&self) -> bool {
        let structural = |w: &String| {
            ["else", "var", "let", "const", "return", "end", "then", "nil", "null"].contains(&w.as_str())
                || w.len() < 2
        };
        self.takes
            && self.lost.iter().all(structural)
            && self.unchecked.is_empty()
            && self.steps.is_empty()
            && self.moved.is_empty()
            && !self.per_item
            && !self.reordered
            && !self.reworded.iter().any(|r| r.operator)
    }

    fn conditions(&mut self, gone: &[&Line], new: &[&Line]) {
        let conditions = |side: &[&Line]| {
            let lines = side
                .iter()
                .filter(|l| l.words.first().is_some_and(|w| CONDITIONS.contains(&w.as_str()) || w == "}"));
            let lines = lines.chain(side.iter().filter(|l| l.words.iter().take(3).any(|w| w == "if")));
            let mut seen = BTreeSet::new();
            let kept: Vec<&str> =
                lines.filter(|l| seen.insert(std::ptr::from_ref(**l))).map(|l| l.code.as_str()).collect();
            (kept.len(), bag(kept.iter().copied()))
        };
        let ((fewer, before), (more, after)) = (conditions(gone), conditions(new));
        if forwards(gone, new) {
            return;
        }
        let excess = |of: &BTreeMap<String, usize>, than: &BTreeMap<String, usize>| -> BTreeSet<String> {
            of.iter().filter(|(w, n)| than.get(*w).is_none_or(|m| m < n)).map(|(w, _)| w.clone()).collect()
        };
        if fewer > more {
            self.unchecked = excess(&before, &after);
        } else if more > fewer {
            self.checked = excess(&after, &before);
        }
    }
}

/// Cuts a diff into lines; what a comment says is no code.
fn lines(diff: &str) -> Vec<Line> {
    let (mut all, mut hunk) = (Vec::new(), 0);
    for text in diff.lines() {
        let path = |mark: &str| text.strip_prefix(mark).is_some_and(|rest| rest.contains('/'));
        if path("--- ") || path("+++ ") || text.starts_with("diff ") || text.starts_with("index ") {
            continue;
        }
        let (sign, rest) = match text.as_bytes().first() {
            Some(b'@') => (Sign::Header, text.trim_start_matches('@')),
            Some(b'-') => (Sign::Gone, text.get(1..).unwrap_or_default()),
            Some(b'+') => (Sign::New, text.get(1..).unwrap_or_default()),
            _ => (Sign::Same, text.strip_prefix(' ').unwrap_or(text)),
        };
        if sign == Sign::Header {
            hunk += 1;
        }
        let bare = if sign == Sign::Header { rest } else { without_comment(rest) };
        let code = bare.trim().to_owned();
        let indent =
            rest.chars().take_while(|c| c.is_whitespace()).map(|c| if c == '\t' { 4 } else { 1 }).sum();
        all.push(Line { sign, hunk, indent, words: words(&code), code });
    }
    all
}

/// The line up to its comment. A mark inside a text is no comment, nor is the `//` of an address or the `#` of a colour.
fn without_comment(line: &str) -> &str {
    let start = line.trim_start();
    if ["//", "/*", "* ", "*/", "<!--", "-- ", "\"\"\""].iter().any(|m| start.starts_with(m))
        || start == "*"
        || start == "#"
    {
        return "";
    }
    if start.starts_with("# ") {
        return "";
    }
    let mut quote: Option<char> = None;
    let mut before = ' ';
    for (at, c) in line.char_indices() {
        match quote {
            Some(q) if c == q && before != '\\' => quote = None,
            Some(_) => {}
            None if c == '"' || c == '`' || (c == '\'' && !before.is_alphanumeric()) => quote = Some(c),
            None => {
                let rest = line.get(at..).unwrap_or_default();
                let slashes = rest.starts_with("//") && before != ':';
                let hash = rest.starts_with("# ") && before.is_whitespace();
                if slashes || hash || rest.starts_with("/*") {
                    return line.get(..at).unwrap_or_default();
                }
            }
        }
        before = c;
    }
    line
}

/// The lines taken away and the lines put in, without those that were only moved or indented anew.
fn effective(lines: &[Line]) -> (Vec<&Line>, Vec<&Line>) {
    let key = |l: &Line| l.code.chars().filter(|c| !c.is_whitespace()).collect::<String>();
    let side = |sign: Sign| {
        lines.iter().filter(move |l| l.sign == sign && l.code.chars().any(char::is_alphanumeric))
    };
    let mut stock: BTreeMap<String, usize> = BTreeMap::new();
    for line in side(Sign::New) {
        *stock.entry(key(line)).or_default() += 1;
    }
    let mut kept: BTreeMap<String, usize> = BTreeMap::new();
    let mut gone = Vec::new();
    for line in side(Sign::Gone) {
        match stock.get_mut(&key(line)).filter(|n| **n > 0) {
            Some(n) => {
                *n -= 1;
                *kept.entry(key(line)).or_default() += 1;
            }
            None => gone.push(line),
        }
    }
    let mut new = Vec::new();
    for line in side(Sign::New) {
        match kept.get_mut(&key(line)).filter(|n| **n > 0) {
            Some(n) => *n -= 1,
            None => new.push(line),
        }
    }
    (gone, new)
}

/// Whether lines that were taken away in one place and put back in another stand in another order now.
fn reordered(lines: &[Line]) -> bool {
    let key = |l: &Line| l.code.chars().filter(|c| !c.is_whitespace()).collect::<String>();
    let code = |l: &&Line| l.sign != Sign::Header && l.code.chars().any(char::is_alphanumeric);
    let old: Vec<String> = lines.iter().filter(code).filter(|l| l.sign != Sign::New).map(key).collect();
    let new: Vec<String> = lines.iter().filter(code).filter(|l| l.sign != Sign::Gone).map(key).collect();
    let kept = |side: &[String], other: &[String]| {
        side.iter().filter(|k| other.contains(k)).cloned().collect::<Vec<_>>()
    };
    let (was, is) = (kept(&old, &new), kept(&new, &old));
    was.len() == is.len() && was != is
}

/// `x, err := f(); if err != nil { return err }; return x` and `return f()` are the same: the condition only handed on what the call says.
fn forwards(gone: &[&Line], new: &[&Line]) -> bool {
    let calls = |l: &Line| l.code.contains('(');
    let assigned =
        gone.iter().filter(|l| calls(l) && (l.code.contains('=') && !l.words.iter().any(|w| w == "if")));
    assigned.into_iter().any(|old| {
        let call = old.code.rsplit_once('=').map_or("", |(_, call)| call.trim());
        !call.is_empty() && new.iter().any(|n| n.code.starts_with("return") && n.code.contains(call))
    })
}

/// Lines replaced by lines like them, each with the likest of its hunk.
fn reworded(gone: &[&Line], new: &[&Line]) -> Vec<Reworded> {
    let mut taken = BTreeSet::new();
    let mut pairs = Vec::new();
    for old in gone {
        let best = new
            .iter()
            .enumerate()
            .filter(|(at, n)| n.hunk == old.hunk && !taken.contains(at))
            .map(|(at, n)| (alike(&old.words, &n.words), at))
            .max_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(&a.1)));
        let Some((_, at)) = best.filter(|(likeness, _)| *likeness >= LIKE) else { continue };
        let Some(fresh) = new.get(at) else { continue };
        taken.insert(at);
        let less = |of: &[String], than: &[String]| {
            of.iter().filter(|w| !than.contains(w)).cloned().collect::<Vec<_>>()
        };
        let both = old.words.iter().filter(|w| fresh.words.contains(w)).cloned().collect();
        let (was, is) = (less(&old.words, &fresh.words), less(&fresh.words, &old.words));
        let truth = |of: &[String]| matches!(of, [one] if ["true", "false", "and", "or", "not", "asc", "desc", "min", "max"].contains(&one.as_str()));
        let operator = (was.is_empty() && is.is_empty() && operators(&old.code) != operators(&fresh.code))
            || (truth(&was) && truth(&is))
            || (was.is_empty() && is == ["not"])
            || (is.is_empty() && was == ["not"]);
        pairs.push(Reworded { old: was, new: is, both, operator });
    }
    pairs
}

/// Dice's coefficient of two lists of words.
fn alike(a: &[String], b: &[String]) -> f64 {
    let mut rest: Vec<&String> = b.iter().collect();
    let mut same = 0.0;
    for word in a {
        if let Some(at) = rest.iter().position(|w| *w == word) {
            rest.swap_remove(at);
            same += 1.0;
        }
    }
    2.0 * same / (a.len() + b.len()).max(1) as f64
}

/// What a line does with its words: comparisons, signs and negations.
fn operators(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut run = String::new();
    for c in code.chars().chain([' ']) {
        if "<>=!&|+-*/%~^".contains(c) {
            run.push(c);
        } else if !run.is_empty() {
            let known = [
                "<", "<=", ">", ">=", "==", "!=", "===", "!==", "&&", "||", "+", "-", "*", "/", "%", "!",
                "+=", "-=",
            ];
            if known.contains(&run.as_str()) {
                found.push(run.clone());
            }
            run.clear();
        }
    }
    found
}

/// Numbers that moved while the rest of their line stayed.
fn moved(lines: &[Line], gone: &[&Line], new: &[&Line]) -> Vec<Moved> {
    let mut found = Vec::new();
    let mut taken = BTreeSet::new();
    for old in gone {
        let was = measured(&old.code);
        if was.values.is_empty() {
            continue;
        }
        let twin = new.iter().enumerate().find_map(|(at, n)| {
            let is = measured(&n.code);
            (n.hunk == old.hunk
                && !taken.contains(&at)
                && is.frame == was.frame
                && is.values.len() == was.values.len())
            .then_some((at, is))
        });
        let Some((at, is)) = twin else { continue };
        taken.insert(at);
        let about: Vec<String> = old.words.iter().cloned().chain(head(lines, old)).collect();
        for (from, to) in was.values.iter().zip(&is.values).filter(|(a, b)| a != b) {
            found.push(Moved { about: about.clone(), from: *from, to: *to });
        }
    }
    found
}

/// The words of the line that a line stands under: the nearest above it with less indent.
fn head(lines: &[Line], of: &Line) -> Vec<String> {
    let at = lines.iter().position(|l| std::ptr::eq(l, of)).unwrap_or(0);
    let above = lines.get(..at).unwrap_or_default().iter().rev();
    let head = above
        .filter(|l| l.hunk == of.hunk && l.sign != Sign::New && !l.words.is_empty())
        .find(|l| l.indent < of.indent);
    head.map(|l| l.words.clone()).unwrap_or_default()
}

/// Calls that stood alone on their line and are made nowhere now; one that only told somebody is no step.
fn steps(gone: &[&Line], new: &[&Line]) -> BTreeSet<String> {
    let still: BTreeSet<String> = new.iter().flat_map(|l| names(&l.code)).collect();
    gone.iter()
        .filter(|l| {
            !l.words.iter().any(|w| {
                any(w, TELLS)
                    || ["import", "use", "require", "include", "func", "function", "def", "fn"]
                        .contains(&w.as_str())
            })
        })
        .filter(|l| {
            l.words.first().is_none_or(|w| !["if", "for", "while", "switch", "return"].contains(&w.as_str()))
        })
        .filter_map(|l| {
            let (before, _) = l.code.split_once('(')?;
            let callee = before.trim_start_matches(|c: char| !c.is_alphabetic());
            let callee = ["await ", "go ", "defer ", "yield "]
                .iter()
                .fold(callee, |rest, word| rest.strip_prefix(word).unwrap_or(rest));
            let alone =
                callee.chars().all(|c| c.is_alphanumeric() || "_.:->$".contains(c)) && !callee.contains(": ");
            let name = names(callee).pop()?;
            (alone && !still.contains(&name)).then_some(name)
        })
        .collect()
}

/// Whole identifiers of a line.
fn names(code: &str) -> Vec<String> {
    code.split(|c: char| !c.is_alphanumeric() && c != '_')
        .filter(|w| !w.is_empty())
        .map(str::to_owned)
        .collect()
}

/// Whether an added line asks something outside of the process from within a loop, where the old lines did not.
fn per_item(lines: &[Line], gone: &[&Line]) -> bool {
    let leaves = |l: &Line| l.code.contains('(') && l.words.iter().any(|w| any(w, LEAVES));
    let looped = |l: &Line| {
        l.words.first().is_some_and(|w| LOOPS.contains(&w.as_str()))
            || ["foreach(", ".map(", ".each", "stream()", "for ("]
                .iter()
                .any(|m| l.code.to_lowercase().contains(m))
    };
    if gone.iter().any(|l| looped(l) && leaves(l)) {
        return false;
    }
    lines.iter().enumerate().any(|(at, l)| {
        if l.sign != Sign::New || !leaves(l) {
            return false;
        }
        let above = lines.get(at.saturating_sub(BODY_LINES)..at).unwrap_or_default();
        let head = above
            .iter()
            .rev()
            .find(|h| h.hunk == l.hunk && looped(h) && h.indent < l.indent && h.sign != Sign::Gone);
        // a call that was in the loop before is no news
        let before = |h: &Line| {
            h.sign == Sign::Same && gone.iter().any(|g| g.hunk == l.hunk && g.indent == l.indent && leaves(g))
        };
        (looped(l) && l.words.iter().any(|w| w == "await" || w == "map")) || head.is_some_and(|h| !before(h))
    })
}

/// Whether a line is nothing but a text in quotes, and no query.
fn is_text(code: &str) -> bool {
    let bare = code.trim_end_matches([',', ';', ')']).trim();
    let quoted = bare.len() >= 2 && bare.starts_with(['"', '\'', '`']) && bare.ends_with(['"', '\'', '`']);
    quoted && !words(bare).iter().any(|w| QUERIES.contains(&w.as_str()))
}

/// The largest step among the libraries whose version moved; one that only came or went counts as a step of the first number.
fn library(gone: &[&Line], new: &[&Line]) -> Option<Step> {
    let version = |l: &Line| -> Option<(String, Vec<u64>)> {
        let tokens = l
            .code
            .split(|c: char| c.is_whitespace() || "\"'=,:@<>^~()[]".contains(c))
            .filter(|t| !t.is_empty());
        let mut name = String::new();
        let mut numbers = None;
        for token in tokens {
            let parts: Option<Vec<u64>> =
                token.trim_start_matches('v').split('.').map(|n| n.parse().ok()).collect();
            match parts.filter(|p| p.len() >= 2) {
                Some(parts) => numbers = Some(parts),
                None => name.push_str(token),
            }
        }
        numbers.map(|numbers| (name, numbers))
    };
    let old: Vec<_> = gone.iter().filter_map(|l| version(l)).collect();
    let fresh: Vec<_> = new.iter().filter_map(|l| version(l)).collect();
    let step = |(name, was): &(String, Vec<u64>)| {
        let (_, is) = fresh.iter().find(|(n, _)| n == name)?;
        match was.iter().zip(is).position(|(a, b)| a != b) {
            Some(0) => Some(Step::Major),
            // before 1.0 the second number is the one that breaks (semantic versioning, item 4)
            Some(1) if was.first() == Some(&0) => Some(Step::Major),
            Some(1) => Some(Step::Minor),
            _ => Some(Step::Patch),
        }
    };
    old.iter().map(|one| step(one).unwrap_or(Step::Major)).max()
}
