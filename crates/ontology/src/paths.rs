//! Paths through the ontology, as questions and actions write them: `v:View[name = lolomo] -view_of-> a:App`.

use crate::model::{ClassId, Ontology, RelationId, Type};
use crate::problems::{At, Report, meant};
use crate::resolve;
use crate::yaml::Word;
use std::collections::{BTreeMap, BTreeSet};

/// How often a relation is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Repeat {
    /// Once.
    Once,
    /// `+`
    OneOrMore,
    /// `*`
    AnyNumber,
}

/// One node of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathNode {
    /// Its name, when it has one.
    pub name: Option<String>,
    /// Its class.
    pub class: ClassId,
    /// What narrows it, as written between `[` and `]`.
    pub only: Option<String>,
}

/// One step of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hop {
    /// Along this relation.
    pub relation: RelationId,
    /// Against its arrow.
    pub back: bool,
    /// How often.
    pub repeat: Repeat,
}

/// A path: one more node than hops.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Path {
    /// Its nodes.
    pub nodes: Vec<PathNode>,
    /// The hops between them.
    pub hops: Vec<Hop>,
    /// As written.
    pub text: String,
}

/// What narrows a node of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Narrow {
    /// `[name = lolomo]`: an attribute has this value, as it is printed.
    Is(String, String),
    /// `[latest]`: none of its siblings (nodes with the same relations in their key) was first seen later.
    Latest,
    /// `[started within 2h before a]`: it began at most so many seconds before another node of the path did.
    Before(i64, String),
    /// `[version = X]`, `[during D]`: something that whoever asks fills in; narrows nothing by itself.
    Open,
}

impl PathNode {
    /// What narrows it.
    pub fn narrow(&self) -> Option<Narrow> {
        let words: Vec<&str> = self.only.as_deref()?.split_whitespace().collect();
        let open = |word: &str| word.len() == 1 && word.chars().all(|c| c.is_ascii_uppercase());
        Some(match words.as_slice() {
            ["latest"] => Narrow::Latest,
            ["started", "within", within, "before", other] => {
                Narrow::Before(resolve::seconds(within).unwrap_or(0), (*other).to_owned())
            }
            [attr, "=", value] if *attr != "id" && !open(value) => {
                Narrow::Is((*attr).to_owned(), (*value).to_owned())
            }
            _ => Narrow::Open,
        })
    }
}

type Pairs = BTreeSet<(ClassId, ClassId)>;
type Key = (Vec<(RelationId, bool)>, Repeat);

/// Which classes relations can join, worked out once per combination.
pub(crate) struct Reachable<'a> {
    o: &'a Ontology,
    known: BTreeMap<Key, Pairs>,
}

impl<'a> Reachable<'a> {
    pub(crate) fn new(o: &'a Ontology) -> Reachable<'a> {
        Reachable { o, known: BTreeMap::new() }
    }

    /// Pairs of classes with nodes that any of these steps can join.
    pub(crate) fn pairs(&mut self, steps: &[(RelationId, bool)], repeat: Repeat) -> &Pairs {
        let o = self.o;
        self.known.entry((steps.to_vec(), repeat)).or_insert_with(|| {
            let mut pairs = Pairs::new();
            for (relation, back) in steps {
                let arrows =
                    o.relations.get(relation.index()).map(|r| r.arrows.as_slice()).unwrap_or_default();
                for (d, r) in arrows {
                    for a in o.kinds_of(*d) {
                        pairs.extend(o.kinds_of(*r).map(|b| if *back { (b, a) } else { (a, b) }));
                    }
                }
            }
            if repeat != Repeat::Once {
                loop {
                    let more: Vec<(ClassId, ClassId)> = pairs
                        .iter()
                        .flat_map(|(a, b)| {
                            pairs.range((*b, ClassId(0))..=(*b, ClassId(u16::MAX))).map(|(_, c)| (*a, *c))
                        })
                        .filter(|p| !pairs.contains(p))
                        .collect();
                    if more.is_empty() {
                        break;
                    }
                    pairs.extend(more);
                }
            }
            if repeat == Repeat::AnyNumber {
                pairs.extend(
                    (0..).map(ClassId).zip(&o.classes).filter(|(_, c)| !c.is_abstract).map(|(i, _)| (i, i)),
                );
            }
            pairs
        })
    }
}

/// Reads and checks one path. `names` carries the classes of named nodes from line to line.
pub(crate) fn parse(
    word: &Word,
    o: &Ontology,
    names: &mut Vec<(String, ClassId)>,
    report: &mut Report,
) -> Option<Path> {
    let text = word.value.as_str();
    let mut rest = text;
    let mut path = Path { text: text.to_owned(), ..Path::default() };
    let mut possible: BTreeSet<ClassId> = BTreeSet::new();
    let mut reachable = Reachable::new(o);
    let place = |rest: &str| word.at.plus(resolve::part_of(rest.trim_start(), text));
    let mut hop_at = word.at;
    let mut hop_text = "";
    loop {
        let at = place(rest);
        let node = node(&mut rest, at, o, names, report)?;
        let kinds: BTreeSet<ClassId> = o.kinds_of(node.class).collect();
        match (path.nodes.last(), path.hops.last()) {
            (Some(before), Some(hop)) => {
                let pairs = reachable.pairs(&[(hop.relation, hop.back)], hop.repeat);
                let next = pairs
                    .iter()
                    .filter(|(a, b)| possible.contains(a) && kinds.contains(b))
                    .map(|(_, b)| *b)
                    .collect();
                possible = next;
                if possible.is_empty() {
                    let (a, b) = (o.class_name(before.class), o.class_name(node.class));
                    let (from, to) = if hop.back { (b, a) } else { (a, b) };
                    let name = o.relation_name(hop.relation);
                    let arrows = o
                        .relations
                        .get(hop.relation.index())
                        .map(|r| r.arrows.as_slice())
                        .unwrap_or_default();
                    let shown: Vec<String> = arrows
                        .iter()
                        .take(4)
                        .map(|(d, r)| format!("{} -> {}", o.class_name(*d), o.class_name(*r)))
                        .collect();
                    let message =
                        format!("hop {}: {name} does not lead {from} -> {to} here", path.hops.len());
                    report.add(hop_at, hop_text, message, format!("it leads {}", shown.join(", ")));
                    return None;
                }
            }
            _ => possible = kinds,
        }
        path.nodes.push(node);
        if rest.trim().is_empty() {
            return Some(path);
        }
        hop_at = place(rest);
        let before = rest.trim_start();
        path.hops.push(hop(&mut rest, hop_at, o, report)?);
        hop_text = before.strip_suffix(rest).unwrap_or(before);
    }
}

fn node(
    rest: &mut &str,
    at: At,
    o: &Ontology,
    names: &mut Vec<(String, ClassId)>,
    report: &mut Report,
) -> Option<PathNode> {
    let text = rest.trim_start();
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_' && c != ':').unwrap_or(text.len());
    let (word, mut after) = text.split_at_checked(end)?;
    let (name, class) = word.split_once(':').map_or((None, word), |(n, c)| (Some(n), c));
    let offset = word.len() - class.len();
    let class_word = Word { value: class.to_owned(), at: at.plus(offset) };
    let id = resolve::class(o, &class_word, report)?;
    let mut only = None;
    if let Some(inner) = after.strip_prefix('[') {
        let Some((narrowed, tail)) = inner.split_once(']') else {
            report.add(at, word, "this `[` is never closed", "close it with `]`");
            return None;
        };
        check_only(narrowed, id, at.plus(end + 1), o, report);
        only = Some(narrowed.to_owned());
        after = tail;
    }
    if let Some(n) = name {
        match names.iter().find(|(k, _)| k == n) {
            Some((_, other)) if *other != id && !o.is_a(id, *other) && !o.is_a(*other, id) => {
                let message = format!("`{n}` is already a {}", o.class_name(*other));
                report.add(at, word, message, "give this node another name");
            }
            Some(_) => {}
            None => names.push((n.to_owned(), id)),
        }
    }
    *rest = after;
    Some(PathNode { name: name.map(str::to_owned), class: id, only })
}

/// Words that narrow by more than an attribute.
const NARROWING: &[&str] = &["latest", "during", "started", "id"];

fn check_only(text: &str, class: ClassId, at: At, o: &Ontology, report: &mut Report) {
    let mut words = text.split_whitespace();
    let first = words.next().unwrap_or("");
    if NARROWING.contains(&first) {
        return;
    }
    let word = Word { value: first.to_owned(), at };
    let Some(attr) = resolve::attr(o, class, &word, true, report) else { return };
    let value = words.nth(1).unwrap_or("");
    if let Some(Type::OneOf(allowed)) = o.attrs.get(attr.index()).map(|a| &a.ty)
        && !allowed.iter().any(|a| a == value)
    {
        report.add(
            at,
            text,
            format!("`{first}` is never this"),
            meant(value, allowed.iter().map(String::as_str)),
        );
    }
}

fn hop(rest: &mut &str, at: At, o: &Ontology, report: &mut Report) -> Option<Hop> {
    let text = rest.trim_start();
    let (back, inner) = match (text.strip_prefix("<-"), text.strip_prefix('-')) {
        (Some(inner), _) => (true, inner),
        (None, Some(inner)) => (false, inner),
        (None, None) => {
            report.add(at, text, "a hop is wanted here", "write `-relation->` or `<-relation-`");
            return None;
        }
    };
    let close = if back { "-" } else { "->" };
    let Some((name, after)) = inner.split_once(close) else {
        report.add(at, text, "this hop does not end", format!("close it with `{close}`"));
        return None;
    };
    if name.contains(char::is_whitespace) {
        report.add(at, text, "this hop does not end", format!("close it with `{close}`"));
        return None;
    }
    let repeat = match name.chars().last() {
        Some('+') => Repeat::OneOrMore,
        Some('*') => Repeat::AnyNumber,
        _ => Repeat::Once,
    };
    let plain = name.trim_end_matches(['+', '*']);
    let word = Word { value: plain.to_owned(), at: at.plus(1 + usize::from(back)) };
    let relation = resolve::relation(o, &word, report)?;
    *rest = after;
    Some(Hop { relation, back, repeat })
}
