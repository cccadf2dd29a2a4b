//! From what was seen to what a site could write: additions to its files, each with the evidence for it. Nothing is applied here.
//!
//! A site's file may add and not change, so every proposal is an addition: a further name of a field (`renamed`), an attribute of a
//! class with a source that reads it, a source for documents that nothing reads.

use crate::expr::{FieldId, Fields, Hasher};
use crate::mapping::{KeyPlan, PartPlan, Reads, Source, Table};
use crate::model::{ClassId, KeyPart, Ontology, Type};
use crate::problems::distance;
use crate::survey::{At, Group, Name, Shape, Survey, words};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use xxhash_rust::xxh3::xxh3_64;

/// How well a class fits: completed keys, the class, its attributes with their members.
type Fit = (usize, ClassId, Vec<(String, String)>);

/// Where records came from: the source's name and what it reads.
type Origin = (String, Option<Reads>);

/// Proposals at most. Beyond: those with the smallest share are left out and counted.
pub const PROPOSALS: usize = 50;
/// Members of a document that nothing reads that are listed.
const LISTED: usize = 40;
/// An attribute belongs to a class that was recognised in so many of a hundred records with it.
const ALWAYS: u64 = 95;
/// A name that stands beside a known field in more than so many of a hundred records is no other name of it.
const BESIDE: u64 = 10;
/// Records before few distinct words are taken for all there are.
const WORDS_AFTER: u64 = 20;
/// Records before equal values are no coincidence.
const SAME_AFTER: u64 = 5;

/// What a proposal adds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Adds {
    /// A further name of a field, which completes a key.
    Key,
    /// A further name of a field.
    Name,
    /// An attribute of a class.
    Attribute,
    /// A source for documents that nothing reads.
    Source,
}

/// One proposal, with its evidence.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Proposal {
    /// What it adds.
    pub adds: Adds,
    /// The name that is not read now.
    pub attribute: String,
    /// The source that sends it.
    pub source: String,
    /// The kind of record that carries it.
    pub record: String,
    /// Records that carry it.
    pub records: u64,
    /// Of all such records, the share that carries it.
    pub share: f64,
    /// Distinct values seen.
    pub distinct: usize,
    /// Whether there are more than were counted.
    pub more_distinct: bool,
    /// Whether it looks like something of somebody's; its samples are keyed hashes then.
    pub personal: bool,
    /// A few values.
    pub samples: Vec<String>,
    /// The class it would belong to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    /// Name and type of the attribute that would be added.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attr: Option<(String, String)>,
    /// What the mapping would say.
    pub mapping: String,
    /// Why.
    pub why: String,
    /// The source that recognises the class, and its table.
    #[serde(skip)]
    table: Option<At>,
    #[serde(skip)]
    group: (String, Option<Reads>),
}

/// Items that are set aside, for one reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SetAside {
    /// The source.
    pub source: String,
    /// The reason.
    pub reason: String,
    /// Items.
    pub items: u64,
}

/// A file to be put in a site's folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct File {
    /// Its name, which no file of another content has.
    pub name: String,
    /// What stands in it.
    pub text: String,
}

/// What is proposed.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Proposals {
    /// Requests looked at.
    pub requests: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Members that were not looked at, beyond the bounds of a survey.
    pub left_out: u64,
    /// The proposals, the largest share first.
    pub proposals: Vec<Proposal>,
    /// Proposals that are not listed, being too rare or too many.
    pub hidden: usize,
    /// What was set aside in these requests.
    pub set_aside: Vec<SetAside>,
    /// The same as files of a site.
    pub files: Vec<File>,
}

/// What a survey suggests; names that fewer than a share of records carry are left out.
pub fn propose(o: &Ontology, survey: &Survey, least: f64, hasher: &dyn Hasher) -> Proposals {
    let mut all: Vec<Proposal> = Vec::new();
    for ((source, reads), group) in &survey.groups {
        of_group(o, (source, reads), group, hasher, &mut all);
    }
    let order = |p: &Proposal| (p.adds == Adds::Attribute, p.attribute.clone(), p.source.clone());
    all.sort_by(|a, b| b.share.total_cmp(&a.share).then_with(|| order(a).cmp(&order(b))));
    // A further name counts everywhere, so it is proposed once.
    let mut named: BTreeSet<String> = BTreeSet::new();
    let mut attrs: BTreeSet<(String, String)> = BTreeSet::new();
    all.retain(|p| match p.adds {
        Adds::Key | Adds::Name => named.insert(p.attribute.clone()),
        Adds::Attribute | Adds::Source => true,
    });
    all.retain(|p| match (&p.adds, &p.class, &p.attr) {
        (Adds::Attribute, Some(class), Some((attr, _))) => {
            !named.contains(&p.attribute) && attrs.insert((class.clone(), attr.clone()))
        }
        _ => true,
    });
    let found = all.len();
    all.retain(|p| p.share >= least);
    all.truncate(PROPOSALS);
    let set_aside = survey.refused.iter().map(|((source, reason), items)| SetAside {
        source: source.clone(),
        reason: reason.clone(),
        items: *items,
    });
    Proposals {
        requests: survey.requests,
        bytes: survey.bytes,
        left_out: survey.left_out,
        hidden: found - all.len(),
        files: files(o, &all),
        proposals: all,
        set_aside: set_aside.collect(),
    }
}

/// How records are called.
fn record(reads: &Reads) -> &'static str {
    match reads {
        Reads::Resource => "resource",
        Reads::Span => "span",
        Reads::SpanEvent => "span_event",
        Reads::Log => "log",
        Reads::Metric => "metric",
        Reads::Feed(_) => "document",
    }
}

fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

fn nearly_all(part: u64, whole: u64) -> bool {
    whole > 0 && part.saturating_mul(100) >= whole.saturating_mul(ALWAYS)
}

/// A proposal with the evidence filled in.
fn evidence(
    adds: Adds,
    (source, reads): (&str, &Reads),
    group: &Group,
    (name, seen): (&str, &Name),
    hasher: &dyn Hasher,
) -> Proposal {
    Proposal {
        adds,
        attribute: name.to_owned(),
        source: source.to_owned(),
        record: record(reads).to_owned(),
        records: seen.records,
        share: ratio(seen.records, group.records),
        distinct: seen.distinct(),
        more_distinct: seen.more_values,
        personal: seen.personal,
        samples: seen.samples(hasher),
        class: None,
        attr: None,
        mapping: String::new(),
        why: String::new(),
        table: None,
        group: (source.to_owned(), Some(reads.clone())),
    }
}

fn of_group(
    o: &Ontology,
    place: (&str, &Reads),
    group: &Group,
    hasher: &dyn Hasher,
    all: &mut Vec<Proposal>,
) {
    let candidates = read_by(o, place.1);
    let mut taken: BTreeSet<&str> = BTreeSet::new();
    for (at, incomplete) in &group.incomplete {
        let Some((source, table)) = table_at(o, *at) else { continue };
        for (name, field, why) in completing(o, source, table, incomplete) {
            let Some((name, seen)) = group.names.get_key_value(name) else { continue };
            if !taken.insert(name) {
                continue;
            }
            let mut p = evidence(Adds::Key, place, group, (name, seen), hasher);
            rename(o, &mut p, field, hasher, seen);
            p.class = Some(o.class_name(table.class).to_owned());
            p.why = why;
            all.push(p);
        }
    }
    for (name, seen) in &group.names {
        if taken.contains(name.as_str()) {
            continue;
        }
        if let Some((field, why)) = other_name(o, name, seen, &candidates) {
            let mut p = evidence(Adds::Name, place, group, (name, seen), hasher);
            rename(o, &mut p, field, hasher, seen);
            p.why = why;
            all.push(p);
        } else if let Some(p) = attribute(o, place, group, (name, seen), hasher) {
            all.push(p);
        }
    }
    if group.unread > 0 && group.incomplete.is_empty() && matches!(place.1, Reads::Feed(_)) {
        all.push(skeleton(o, place, group, hasher));
    }
}

fn rename(o: &Ontology, p: &mut Proposal, field: FieldId, hasher: &dyn Hasher, seen: &Name) {
    let known = o.mapping.fields.name(field);
    p.mapping = format!("renamed: {{{}: {}}}", quoted(&p.attribute), quoted(known));
    // What the mapping hashes is somebody's, however it looks.
    if !p.personal && o.mapping.hashed.iter().any(|h| h == known) {
        p.personal = true;
        p.samples = seen.hashed_samples(hasher);
    }
}

fn table_at(o: &Ontology, (source, table): At) -> Option<(&Source, &Table)> {
    let source = o.mapping.sources.get(source)?;
    Some((source, source.tables.get(table)?))
}

/// The fields that tables read of such records, with the class and attribute that each is read for first.
fn read_by(o: &Ontology, reads: &Reads) -> BTreeMap<FieldId, Option<(ClassId, String)>> {
    let mut all: BTreeMap<FieldId, Option<(ClassId, String)>> = BTreeMap::new();
    for source in o.mapping.reading(reads) {
        let mut more = Vec::new();
        source.when.iter().chain(&source.at).for_each(|e| e.fields(&mut more));
        source.measures.iter().for_each(|m| m.value.fields(&mut more));
        more.into_iter().for_each(|f| {
            all.entry(f).or_insert(None);
        });
        for table in &source.tables {
            for (attr, e) in &table.attrs {
                let mut own = Vec::new();
                e.fields(&mut own);
                let name = o.attrs.get(attr.index()).map_or_else(String::new, |a| a.name.clone());
                for f in own {
                    all.entry(f).or_insert(None).get_or_insert((table.class, name.clone()));
                }
            }
        }
    }
    all
}

/// Names that would complete a key of a table: name, the field they stand for, and why.
fn completing<'i>(
    o: &Ontology,
    source: &Source,
    table: &Table,
    incomplete: &'i crate::survey::Incomplete,
) -> Vec<(&'i str, FieldId, String)> {
    let class = o.class_name(table.class);
    let has = |f: &FieldId| incomplete.known.get(f).copied().unwrap_or(0);
    let mut best: Option<(usize, &'i str, FieldId, String)> = None;
    for KeyPlan { parts, .. } in &table.keys {
        let mut missing = Vec::new();
        for part in parts {
            let PartPlan::Attr(place) = part else { continue };
            let Some((attr, e)) = table.attrs.get(*place) else { continue };
            let mut fields = Vec::new();
            e.fields(&mut fields);
            // A part with a literal as its last resort is never missing.
            if !fields.is_empty() && fields.iter().all(|f| has(f) == 0) {
                missing.push((*attr, fields));
            }
        }
        let [(attr, fields)] = missing.as_slice() else { continue };
        let Some(attr) = o.attrs.get(attr.index()) else { continue };
        for (name, count) in &incomplete.unknown {
            if !nearly_all(*count, incomplete.records) {
                continue;
            }
            for field in fields {
                let known = o.mapping.fields.name(*field);
                let Some(score) = likeness(name, known, class, &attr.name) else { continue };
                let why = format!(
                    "no key of {class} is complete in {} records of `{}`, and each of them has this where `{known}` is \
                     missing ({class}.{})",
                    incomplete.records, source.name, attr.name
                );
                if best.as_ref().is_none_or(|(s, ..)| score > *s) {
                    best = Some((score, name.as_str(), *field, why));
                }
            }
        }
    }
    best.map(|(_, name, field, why)| (name, field, why)).into_iter().collect()
}

/// How like a name is to a field that gives an attribute of a class: the words they share; `None` when nothing speaks for it.
fn likeness(name: &str, known: &str, class: &str, attr: &str) -> Option<usize> {
    let of_name = words(name);
    let (of_known, of_class, of_attr) = (words(known), words(class), words(attr));
    let last = |w: &[String]| w.last().cloned();
    let shared = of_name
        .iter()
        .filter(|w| of_known.contains(w) || of_class.contains(w) || of_attr.contains(w))
        .count();
    let ends = last(&of_name) == last(&of_known) || last(&of_name) == last(&of_attr);
    let close = of_name.concat().len() >= 4 && distance(&of_name.concat(), &of_known.concat()) <= 2;
    // `deployment` for the name or id of a Deployment.
    let whole = of_name == of_class && matches!(attr, "name" | "id");
    (ends || close || whole).then_some(shared * 2 + usize::from(ends) * 2 + usize::from(close))
}

/// The field that a name is another name of, and why.
fn other_name(
    o: &Ontology,
    name: &str,
    seen: &Name,
    candidates: &BTreeMap<FieldId, Option<(ClassId, String)>>,
) -> Option<(FieldId, String)> {
    let beside = |f: &FieldId| seen.beside.get(f).copied().unwrap_or(0);
    // The same values as a field beside it: the attribute of a class is worth telling.
    for (field, of) in candidates {
        let Some((class, attr)) = of else { continue };
        let same = seen.same.get(field).copied().unwrap_or(0);
        if seen.records >= SAME_AFTER && nearly_all(same, seen.records) && seen.distinct() >= 2 {
            let why = format!(
                "same values as {}.{attr} (`{}`) in the same records",
                o.class_name(*class),
                o.mapping.fields.name(*field)
            );
            return Some((*field, why));
        }
    }
    // Where a field of the same words is told beside it, the name says something else.
    if seen.beside.keys().any(|f| {
        beside(f).saturating_mul(100) > seen.records.saturating_mul(BESIDE)
            && spelt_like(name, o.mapping.fields.name(*f)).is_some_and(|(rank, _)| rank < 2)
    }) {
        return None;
    }
    let mut best: Option<(u8, &str, FieldId, String)> = None;
    for field in candidates.keys() {
        if beside(field).saturating_mul(100) > seen.records.saturating_mul(BESIDE) {
            continue;
        }
        let known = o.mapping.fields.name(*field);
        let Some((rank, why)) = spelt_like(name, known) else { continue };
        if best.as_ref().is_none_or(|(r, k, ..)| (rank, known) < (*r, *k)) {
            best = Some((rank, known, *field, why));
        }
    }
    best.map(|(.., field, why)| (field, why))
}

/// Whether a name is that of a known field but for its spelling: how sure (0 is surest), and why.
fn spelt_like(name: &str, known: &str) -> Option<(u8, String)> {
    let (a, b) = (words(name), words(known));
    let (joined, wanted) = (a.concat(), b.concat());
    if joined.len() < 4 || a.is_empty() {
        return None;
    }
    if joined == wanted {
        return Some((0, format!("spelt like `{known}`, but for separators and case")));
    }
    let sorted = |w: &[String]| {
        let mut w = w.to_vec();
        w.sort();
        w
    };
    if a.len() > 1 && sorted(&a) == sorted(&b) {
        return Some((1, format!("the words of `{known}` in another order")));
    }
    let digits = |t: &str| t.chars().filter(char::is_ascii_digit).collect::<String>();
    let allowed = if joined.len() >= 10 { 2 } else { 1 };
    // A last word of its own is a thing of its own: `host.ip` is not `host.id`.
    let long = |w: &[String]| w.iter().zip(&b).all(|(x, y)| x == y || x.len().min(y.len()) >= 4);
    if joined.len() >= 5
        && a.len() == b.len()
        && long(&a)
        && digits(&joined) == digits(&wanted)
        && distance(&joined, &wanted) <= allowed
    {
        return Some((2, format!("spelt like `{known}`")));
    }
    // `http.status_code` of `http.response.status_code`: all its words in order, from the first to the last.
    let mut rest = b.iter();
    let within = a.iter().all(|w| rest.any(|k| k == w));
    if a.len() >= 3 && a.len() < b.len() && within && a.first() == b.first() && a.last() == b.last() {
        return Some((3, format!("an older name of `{known}`, by the words they share")));
    }
    None
}

/// The type that values suggest, and whether words were counted out.
fn guess(seen: &Name) -> String {
    let only = |allowed: &[Shape]| seen.shapes.iter().all(|s| allowed.contains(s));
    if seen.personal {
        return "hash".to_owned();
    }
    if let Some(values) = seen.all_values().filter(|v| seen.records >= WORDS_AFTER && v.len() >= 2) {
        let word = |v: &String| {
            v.starts_with(|c: char| c.is_ascii_lowercase())
                && v.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        };
        if only(&[Shape::Text]) && values.iter().all(word) {
            let mut sorted = values.to_vec();
            sorted.sort();
            return sorted.join("|");
        }
    }
    let kinds: [(&[Shape], &str); 7] = [
        (&[Shape::Bool], "bool"),
        (&[Shape::Int], "int"),
        (&[Shape::Int, Shape::Float], "float"),
        (&[Shape::Time], "time"),
        (&[Shape::Url], "url"),
        (&[Shape::Version], "version"),
        (&[Shape::Version, Shape::Float, Shape::Int], "version"),
    ];
    kinds.iter().find(|(shapes, _)| only(shapes)).map_or("string", |(_, name)| name).to_owned()
}

/// Whether a name can stand in an expression as it is.
fn expressible(name: &str) -> bool {
    let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-/".contains(&b));
    let begins = name.starts_with(|c: char| c.is_ascii_alphabetic());
    plain
        && begins
        && matches!(crate::syntax::compile(name, &mut Fields::default(), &[]), Ok(crate::Expr::Field(_)))
}

/// The class whose things always come with an attribute, as an attribute of it.
fn attribute(
    o: &Ontology,
    place: (&str, &Reads),
    group: &Group,
    (name, seen): (&str, &Name),
    hasher: &dyn Hasher,
) -> Option<Proposal> {
    if !expressible(name) {
        return None;
    }
    let own = words(name);
    let mut best: Option<(usize, At, Option<FieldId>)> = None;
    for (at, count) in &seen.tables {
        let Some((source, table)) = table_at(o, *at) else { continue };
        let here = source.reads.contains(place.1) && table.role.is_none() && table.helper_of.is_none();
        if !here || !nearly_all(*count, seen.records) || table.written.is_empty() {
            continue;
        }
        // The field of the class that it shares the most words with from the start.
        let shared = |f: &FieldId| {
            let known = words(o.mapping.fields.name(*f));
            own.iter().zip(&known).take_while(|(a, b)| a == b).count()
        };
        let beside = |f: &&FieldId| nearly_all(seen.beside.get(*f).copied().unwrap_or(0), seen.records);
        let near = table.fields.iter().filter(beside).max_by_key(|f| (shared(f), std::cmp::Reverse(**f)));
        let score = near.map_or(0, shared);
        if best.as_ref().is_none_or(|(s, ..)| score > *s) {
            best = Some((score, *at, near.copied()));
        }
    }
    let (score, at, near) = best?;
    let (_, table) = table_at(o, at)?;
    let class = o.class_name(table.class);
    let attr = attr_name(o, table.class, &own, score)?;
    let ty = guess(seen);
    let mut p = evidence(Adds::Attribute, place, group, (name, seen), hasher);
    let value = if seen.personal { format!("{name} | hash") } else { name.to_owned() };
    p.mapping = format!("{class}: {{{attr}: {value}}}");
    p.why = match near {
        Some(f) if score > 0 => format!("sits beside `{}`, which {class} has", o.mapping.fields.name(f)),
        _ => format!(
            "comes with {class} in {} of {} records",
            seen.tables.get(&at).unwrap_or(&0),
            seen.records
        ),
    };
    p.class = Some(class.to_owned());
    p.attr = Some((attr, ty));
    p.table = Some(at);
    Some(p)
}

/// A name for an attribute that the class does not have yet: without the words its fields begin with, else with all.
fn attr_name(o: &Ontology, class: ClassId, own: &[String], shared: usize) -> Option<String> {
    let short = own.get(shared.min(own.len().saturating_sub(1))..).unwrap_or_default().join("_");
    let free = |n: &String| {
        let plain = n.starts_with(|c: char| c.is_ascii_lowercase())
            && n.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        // A kind of the class that has an attribute of this name of its own would have two.
        let taken = o.kinds_of(class).any(|k| o.attr(k, n).is_some());
        plain && !taken && o.relation(n).is_none()
    };
    [short, own.join("_")].into_iter().find(free)
}

/// A source for documents that nothing reads: the class whose key their members complete, as far as that can be told.
fn skeleton(o: &Ontology, (source, reads): (&str, &Reads), group: &Group, hasher: &dyn Hasher) -> Proposal {
    let mut best: Option<Fit> = None;
    let about = words(source);
    let singular = |w: &str| w.strip_suffix('s').unwrap_or(w).to_owned();
    for (id, class) in (0..).map(ClassId).zip(&o.classes).filter(|(_, c)| !c.is_abstract) {
        let of_class = words(&class.name);
        let named = about.iter().map(|w| singular(w)).any(|w| of_class.contains(&w));
        let mut attrs: Vec<(String, String)> = Vec::new();
        let mut told = named;
        let mut gives = Vec::new();
        for attr in &class.attrs {
            let Some(known) = o.attrs.get(attr.index()) else { continue };
            let of_attr = words(&known.name);
            let both: Vec<String> = of_class.iter().chain(&of_attr).cloned().collect();
            let fits = |name: &&String| {
                let own = words(name);
                let whole = own == of_class && matches!(known.name.as_str(), "name" | "id");
                expressible(name) && (own == of_attr || own == both || whole)
            };
            let Some(name) = group.lost.keys().find(fits) else { continue };
            let own = words(name);
            told |= own == both || own == of_class || (of_attr.len() > 1 && own.first() == of_class.first());
            let value = if known.ty == Type::Hash { format!("{name} | hash") } else { name.clone() };
            attrs.push((known.name.clone(), value));
            gives.push(*attr);
        }
        let complete = class.keys.iter().any(|key| {
            !key.is_empty()
                && key.iter().all(|part| match part {
                    KeyPart::Attr(a) => gives.contains(a),
                    KeyPart::Relation(_) => false,
                })
        });
        let score = attrs.len() + 4 * usize::from(named);
        if complete && told && best.as_ref().is_none_or(|(s, ..)| score > *s) {
            best = Some((score, id, attrs));
        }
    }
    // Everything in the documents, for whoever writes the rest.
    let listed: Vec<&str> = group.lost.keys().take(LISTED).map(String::as_str).collect();
    let most = group.lost.iter().max_by_key(|(n, s)| (s.records, std::cmp::Reverse(*n)));
    let empty = Name::default();
    let (name, seen) = most.map_or(("", &empty), |(n, s)| (n.as_str(), s));
    let mut p = evidence(Adds::Source, (source, reads), group, (name, seen), hasher);
    p.attribute = listed.join(", ");
    p.records = group.unread;
    p.share = ratio(group.unread, group.records);
    p.samples = Vec::new();
    match best {
        Some((_, id, attrs)) => {
            let pairs: Vec<String> = attrs.iter().map(|(a, v)| format!("{a}: {}", quoted(v))).collect();
            let class = o.class_name(id);
            p.class = Some(class.to_owned());
            p.mapping = format!("{class}: {{{}}}", pairs.join(", "));
            p.why = format!("no source reads these documents; their members name what a {class} is known by");
        }
        None => {
            p.why = "no source reads these documents, and no class has a key that their members complete: \
                     write which class they tell of"
                .to_owned();
        }
    }
    p
}

/// A text as YAML reads it back.
fn quoted(text: &str) -> String {
    let plain = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-/".contains(&b))
        && !["true", "false", "null", "yes", "no", "on", "off", "y", "n"]
            .contains(&text.to_lowercase().as_str());
    if plain { text.to_owned() } else { serde_json::Value::from(text).to_string() }
}

/// A comment of one line, whatever is in the text.
fn comment(indent: &str, text: &str) -> String {
    let clean: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    format!("{indent}# {clean}\n")
}

fn told(indent: &str, p: &Proposal) -> String {
    let many = if p.more_distinct { "more than " } else { "" };
    let percent = (p.share * 1000.0).round() / 10.0;
    let mut text = comment(
        indent,
        &format!(
            "{}: in {percent} % of the {} records of {} ({})",
            p.attribute, p.record, p.source, p.records
        ),
    );
    if !p.samples.is_empty() {
        let shown: Vec<String> = p.samples.iter().map(|s| format!("{s:?}")).collect();
        let hashed = if p.personal { "; it looks personal, so these are hashes" } else { "" };
        let line = format!("{many}{} values: {}{hashed}", p.distinct, shown.join(", "));
        text.push_str(&comment(indent, &line));
    }
    text.push_str(&comment(indent, &format!("why: {}", p.why)));
    text
}

/// The proposals as files of a site.
fn files(o: &Ontology, all: &[Proposal]) -> Vec<File> {
    if all.is_empty() {
        return Vec::new();
    }
    let whole: Vec<String> =
        all.iter().map(|p| format!("{}\n{:?}\n{}", p.mapping, p.attr, p.source)).collect();
    let mark = format!("{:08x}", xxh3_64(whole.join("\n").as_bytes()) >> 32);
    let of = |adds: &[Adds]| all.iter().filter(|p| adds.contains(&p.adds)).collect::<Vec<_>>();
    let mut files = Vec::new();
    let attrs = of(&[Adds::Attribute]);
    if !attrs.is_empty() {
        let mut text = comment(
            "",
            "Proposed from what was received. Read it, change it, then `e2egraph ontology reload`.",
        );
        text.push_str("classes:\n");
        let mut by_class: BTreeMap<(&str, &str), Vec<&Proposal>> = BTreeMap::new();
        for p in &attrs {
            let class = p.class.as_deref().unwrap_or_default();
            let of = o.class(class).and_then(|c| o.classes.get(c.index()));
            by_class.entry((of.map_or("site", |c| c.namespace.as_str()), class)).or_default().push(p);
        }
        let mut before = "";
        for ((namespace, class), mine) in &by_class {
            if *namespace != before {
                text.push_str(&format!("  {namespace}:\n"));
                before = namespace;
            }
            text.push_str(&format!("    {class}:\n      attrs:\n"));
            for p in mine {
                let Some((attr, ty)) = &p.attr else { continue };
                text.push_str(&told("        ", p));
                text.push_str(&format!(
                    "        {attr}: {}\n",
                    if ty.contains('|') { ty.clone() } else { quoted(ty) }
                ));
            }
        }
        files.push(File { name: format!("proposed-{mark}.classes.yaml"), text });
    }
    let mut text =
        comment("", "Proposed from what was received. Read it, change it, then `e2egraph ontology reload`.");
    let renamed = of(&[Adds::Key, Adds::Name]);
    if !renamed.is_empty() {
        text.push_str("\nrenamed: # the name on the left counts wherever a mapping reads the one on the right and a record lacks it\n");
        for p in renamed {
            text.push_str(&told("  ", p));
            let pair =
                p.mapping.strip_prefix("renamed: {").and_then(|m| m.strip_suffix('}')).unwrap_or_default();
            text.push_str(&format!("  {pair}\n"));
        }
    }
    let mut sources = String::new();
    let mut by_table: BTreeMap<(&Origin, At), Vec<&Proposal>> = BTreeMap::new();
    for p in &attrs {
        if let Some(at) = p.table {
            by_table.entry((&p.group, at)).or_default().push(p);
        }
    }
    for ((group, at), mine) in by_table {
        if let Some(source) = beside_source(o, group, at, &mine, &mark) {
            sources.push_str(&source);
        }
    }
    for p in of(&[Adds::Source]) {
        let table = &p.mapping;
        sources.push('\n');
        sources.push_str(&told("  ", p));
        let name = quoted(&format!("proposed.{mark}.{}", p.source));
        let reads = quoted(&p.source);
        if table.is_empty() {
            let lines =
                [format!("{name}:"), format!("  reads: {reads}"), "  CLASS: {attribute: member}".to_owned()];
            lines.iter().for_each(|l| sources.push_str(&comment("  ", l)));
        } else {
            sources.push_str(&format!("  {name}:\n    reads: {reads}\n    {table}\n"));
        }
    }
    if sources.lines().any(|l| !l.trim_start().starts_with('#') && !l.is_empty()) {
        text.push_str("\nsources:\n");
    }
    text.push_str(&sources);
    files.push(File { name: format!("proposed-{mark}.mapping.yaml"), text });
    files
}

/// A source that reads new attributes of a class, which it recognises as another source does.
fn beside_source(
    o: &Ontology,
    (_, reads): &(String, Option<Reads>),
    at: At,
    mine: &[&Proposal],
    mark: &str,
) -> Option<String> {
    let (source, table) = table_at(o, at)?;
    let class = o.classes.get(table.class.index())?;
    let in_key = |name: &str| {
        class.keys.iter().flatten().any(|part| match part {
            KeyPart::Attr(a) => o.attrs.get(a.index()).is_some_and(|a| a.name == name),
            KeyPart::Relation(r) => o.relation_name(*r) == name,
        })
    };
    let reads = match reads.as_ref()? {
        Reads::Feed(feed) => quoted(feed),
        other => record(other).to_owned(),
    };
    let record = mine.first().map_or("", |p| p.record.as_str());
    let name = quoted(&format!("proposed.{mark}.{}.{}.{record}", source.name, class.name));
    let mut text =
        format!("\n  {name}: # {} as {} recognises it\n    reads: {reads}\n", class.name, source.name);
    if let Some(each) = &source.each {
        text.push_str(&format!("    each: {}\n", quoted(each)));
    }
    let any: Vec<&str> = mine.iter().map(|p| p.attribute.as_str()).collect();
    // `false` is there and does not hold, so a source for it cannot ask whether it holds.
    let truth = mine.iter().any(|p| p.attr.as_ref().is_some_and(|(_, ty)| ty == "bool"));
    let when = match (&source.when_text, truth) {
        (Some(when), true) => Some(when.clone()),
        (Some(when), false) => Some(format!("({when}) and ({})", any.join(" // "))),
        (None, true) => None,
        (None, false) => Some(any.join(" // ")),
    };
    if let Some(when) = when {
        text.push_str(&format!("    when: {}\n", serde_json::Value::from(when)));
    }
    text.push_str(&format!("    {}:\n", class.name));
    for (attr, expression) in table.written.iter().filter(|(n, _)| in_key(n)) {
        text.push_str(&format!("      {attr}: {}\n", serde_json::Value::from(expression.as_str())));
    }
    for p in mine {
        let Some((attr, _)) = &p.attr else { continue };
        text.push_str(&told("      ", p));
        let value = if p.personal { format!("{} | hash", p.attribute) } else { p.attribute.clone() };
        text.push_str(&format!("      {attr}: {}\n", quoted(&value)));
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problems::SourceFile;
    use crate::survey::{Member, Told};

    struct Plain;
    impl Hasher for Plain {
        fn hash(&self, text: &str) -> String {
            format!("{:032x}", xxh3_64(text.as_bytes()))
        }
    }

    /// Resources that carry these attributes, `#` being a number, in which the tables of `otlp.resource` are found.
    fn resources(o: &Ontology, pairs: &[(&str, &str)]) -> Survey {
        let mut survey = Survey::default();
        let source = o.mapping.sources.iter().position(|s| s.name == "otlp.resource").unwrap();
        let tables = o.mapping.sources[source].tables.len();
        let found: Vec<At> = (0..tables).map(|t| (source, t)).collect();
        for i in 0..30 {
            let member =
                |(n, t): &(&str, &str)| Member { name: n.to_string(), text: t.replace('#', &i.to_string()) };
            let members: Vec<Member> = pairs.iter().map(member).collect();
            let told = Told { members: &members, found: &found, incomplete: &[], whole: false };
            survey.record(&o.mapping.fields, "otlp", &Reads::Resource, &told);
        }
        survey
    }

    fn check(pairs: &[(&str, &str)]) -> Vec<(String, String, String)> {
        let o = Ontology::builtin();
        let told = propose(&o, &resources(&o, pairs), 0.0, &Plain);
        let file = |f: &File| SourceFile { name: f.name.clone(), text: f.text.clone() };
        let files: Vec<SourceFile> = told.files.iter().map(file).collect();
        if let Err(problems) = crate::load(&files) {
            let text: String = told.files.iter().map(|f| f.text.as_str()).collect();
            panic!("{problems}\n{text}");
        }
        told.proposals.into_iter().map(|p| (p.attribute, p.mapping, p.why)).collect()
    }

    #[test]
    fn a_name_spelt_otherwise_is_a_further_name_of_the_field() {
        for (name, known) in [
            ("service-namespace", "service.namespace"),
            ("serviceNamespace", "service.namespace"),
            ("namespace.service", "service.namespace"),
            ("service.namespase", "service.namespace"),
        ] {
            let told = check(&[("service.name", "s#"), (name, "shop#")]);
            let wanted = format!("renamed: {{{name}: {known}}}");
            assert!(told.iter().any(|(n, m, _)| n == name && *m == wanted), "{told:?}");
        }
        // Where both are told, one is not the other.
        let told = check(&[("service.name", "s#"), ("service.namespace", "a"), ("service-namespace", "b")]);
        assert!(told.iter().all(|(_, m, _)| !m.starts_with("renamed")), "{told:?}");
    }

    #[test]
    fn the_same_values_are_told_as_such() {
        let told = check(&[("service.name", "s#"), ("app.label", "s#")]);
        assert_eq!(told[0].2, "same values as Service.name (`service.name`) in the same records");
    }

    #[test]
    fn an_attribute_goes_to_the_class_it_sits_beside() {
        let told = check(&[("service.name", "s"), ("k8s.pod.uid", "u#"), ("k8s.pod.priority", "7")]);
        let (_, mapping, why) = &told[0];
        assert_eq!(mapping, "Instance: {priority: k8s.pod.priority}");
        assert_eq!(why, "sits beside `k8s.pod.uid`, which Instance has");
    }

    #[test]
    fn what_is_somebodys_is_hashed() {
        let o = Ontology::builtin();
        let survey = resources(
            &o,
            &[("service.name", "s"), ("contact", "jane#@example.org"), ("owner.ip", "192.0.2.#")],
        );
        let told = propose(&o, &survey, 0.0, &Plain);
        let text = serde_json::to_string(&told).unwrap();
        assert!(!text.contains("jane") && !text.contains("192.0.2"), "{text}");
        assert!(text.contains("contact | hash"), "{text}");
    }

    #[test]
    fn whatever_names_and_values_there_are_the_files_load() {
        check(&[
            ("service.name", "s"),
            ("a\nb", "x\ny"),
            ("x: y", "#"),
            ("{", "}"),
            ("'", "\""),
            ("true", "true"),
            ("and", "or"),
            ("name", "no"),
            ("started_at", "yes"),
            ("rate.of-x/y", "1.5"),
            ("flag.on", "false"),
            ("\u{feff}é", "é"),
            ("-1", "-1"),
            ("service.name.", "q"),
        ]);
    }

    #[test]
    fn rare_names_are_left_out_and_many_are_bounded() {
        let o = Ontology::builtin();
        let names: Vec<String> = (0..80)
            .map(|i| format!("corp.{}{}thing", (b'a' + i / 26) as char, (b'a' + i % 26) as char))
            .collect();
        let mut pairs: Vec<(&str, &str)> = names.iter().map(|n| (n.as_str(), "v#")).collect();
        pairs.push(("service.name", "s"));
        let survey = resources(&o, &pairs);
        let told = propose(&o, &survey, 0.0, &Plain);
        assert_eq!((told.proposals.len(), told.hidden), (PROPOSALS, 30));
        assert!(propose(&o, &survey, 1.1, &Plain).files.is_empty());
    }
}
