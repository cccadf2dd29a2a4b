//! Classes, relations and measures: names become ids, and what does not fit is reported.

use crate::load::Gathered;
use crate::model::{
    Aspect, AspectId, Attr, AttrId, Auto, Better, Class, ClassId, Fault, Grain, Holds, KeyPart, Measure,
    MeasureId, MeasureKind, Ontology, Relation, RelationId, Show, Travel, Type,
};
use crate::problems::{Report, meant};
use crate::raw;
use crate::unit;
use crate::yaml::{TextOr, Word};

/// An entity not seen for a day is gone, unless its class says otherwise.
const LIFE_SECS: i64 = 86_400;
/// Name of the attribute in which a source says how often it tells of an entity.
const INTERVAL: &str = "report_interval";
/// Ids are 16 bits wide.
const MOST: usize = u16::MAX as usize;

/// Resolves classes, relations, aspects and measures, in this order.
pub(crate) fn words(all: &Gathered, o: &mut Ontology, report: &mut Report) {
    heads(all, o, report);
    class_names(all, o, report);
    class_bodies(all, o, report);
    aspects(all, o, report);
    relation_names(all, o, report);
    relation_bodies(all, o, report);
    keys(all, o, report);
    measures(all, o, report);
}

/// The first head is the program's; what extends it says its own name and version.
fn heads(all: &Gathered, o: &mut Ontology, report: &mut Report) {
    let text = |w: &Option<Word>| w.as_ref().map(|w| w.value.clone()).unwrap_or_default();
    for (index, head) in all.heads.iter().enumerate() {
        if let Some(w) = &head.version {
            let release = w.value.split(['-', '+']).next().unwrap_or("");
            let numbers: Vec<&str> = release.split('.').collect();
            let counts = |n: &&str| !n.is_empty() && n.len() < 10 && n.bytes().all(|b| b.is_ascii_digit());
            if numbers.len() != 3 || !numbers.iter().all(counts) {
                report.add(w.at, &w.value, "this is not a version", "write it like 1.2.0");
            }
        }
        if let Some(w) =
            head.iri.as_ref().filter(|w| !w.value.contains("://") || !w.value.ends_with(['#', '/']))
        {
            let hint = "write it like \"https://example.com/ontology#\"";
            report.add(w.at, &w.value, "names of terms cannot be added to this", hint);
        }
        if index == 0 {
            (o.name, o.version, o.iri) = (text(&head.name), text(&head.version), text(&head.iri));
        } else if head.name.is_some() || head.version.is_some() {
            o.sites.push((text(&head.name), text(&head.version)));
        }
    }
}

/// Where the name of an entry is written, and the names it had before.
fn written(name: &Word, was: &[Word]) -> (Word, Vec<String>) {
    let at = was.last().filter(|w| w.at.file != name.at.file).map_or(name.at, |w| w.at);
    (Word { value: name.value.clone(), at }, was.iter().map(|w| w.value.clone()).collect())
}

fn number(index: usize) -> u16 {
    u16::try_from(index.min(MOST)).unwrap_or(u16::MAX)
}

fn well_formed(name: &Word, upper: bool, what: &str, report: &mut Report) {
    let first = name.value.chars().next().unwrap_or(' ');
    let first_fits = if upper { first.is_ascii_uppercase() } else { first.is_ascii_lowercase() };
    let rest_fits = name.value.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || (!upper && c == '.'));
    if !first_fits || !rest_fits {
        let hint = if upper { "write it like `ServiceVersion`" } else { "write it like `runs_on`" };
        report.add(
            name.at,
            &name.value,
            format!("this cannot be a name; {what} names have letters, digits and `_`"),
            hint,
        );
    }
}

fn class_names(all: &Gathered, o: &mut Ontology, report: &mut Report) {
    for (index, (namespace, name, raw)) in all.classes.iter().enumerate() {
        let (name, was) = written(name, &raw.was.0);
        well_formed(&name, true, "class", report);
        let id = ClassId(number(index));
        o.class_by_name.insert(name.value.clone(), id);
        o.classes.push(Class {
            name: name.value.clone(),
            namespace: namespace.clone(),
            is: None,
            is_abstract: raw.key.is_empty() && raw.also.is_empty(),
            keys: Vec::new(),
            near_same: Vec::new(),
            near_secs: 0,
            attrs: Vec::new(),
            grain: Grain::Each,
            open: raw.open,
            life_secs: LIFE_SECS,
            interval: None,
            names: raw.names.iter().map(|w| w.value.clone()).collect(),
            doc: doc(&raw.doc),
            was,
        });
    }
    for (id, class) in (0..).map(ClassId).zip(&o.classes) {
        for was in &class.was {
            o.class_by_name.entry(was.clone()).or_insert(id);
        }
    }
}

fn doc(word: &Option<Word>) -> String {
    word.as_ref().map(|w| w.value.clone()).unwrap_or_default()
}

/// The class a word names.
pub(crate) fn class(o: &Ontology, word: &Word, report: &mut Report) -> Option<ClassId> {
    let id = o.class(&word.value);
    match id.and_then(|i| o.classes.get(i.index())) {
        Some(c) if c.name != word.value => report.old_name(word.at, "class", &word.value, &c.name),
        Some(_) => {}
        None => {
            let hint = meant(&word.value, o.classes.iter().map(|c| c.name.as_str()));
            report.unknown(word.at, &word.value, "no class has this name", hint);
        }
    }
    id
}

/// The relation a word names.
pub(crate) fn relation(o: &Ontology, word: &Word, report: &mut Report) -> Option<RelationId> {
    let id = o.relation(&word.value);
    match id.and_then(|i| o.relations.get(i.index())) {
        Some(r) if r.name != word.value => report.old_name(word.at, "relation", &word.value, &r.name),
        Some(_) => {}
        None => {
            let hint = meant(&word.value, o.relations.iter().map(|r| r.name.as_str()));
            report.unknown(word.at, &word.value, "no relation has this name", hint);
        }
    }
    id
}

/// The measure a word names.
pub(crate) fn measure(o: &Ontology, word: &Word, report: &mut Report) -> Option<MeasureId> {
    let id = o.measure(&word.value);
    match id.and_then(|i| o.measures.get(i.index())) {
        Some(m) if m.name != word.value => report.old_name(word.at, "measure", &word.value, &m.name),
        Some(_) => {}
        None => {
            let hint = meant(&word.value, o.measures.iter().map(|m| m.name.as_str()));
            report.unknown(word.at, &word.value, "no measure has this name", hint);
        }
    }
    id
}

/// The aspect a word names.
pub(crate) fn aspect(o: &Ontology, word: &Word, report: &mut Report) -> Option<AspectId> {
    let id = o.aspect(&word.value);
    if id.is_none() {
        let hint = meant(&word.value, o.aspects.iter().map(|a| a.name.as_str()));
        report.unknown(word.at, &word.value, "no aspect has this name", hint);
    }
    id
}

/// The attribute of a class that a word names; `below` also looks at the kinds of the class.
pub(crate) fn attr(
    o: &Ontology,
    of: ClassId,
    word: &Word,
    below: bool,
    report: &mut Report,
) -> Option<AttrId> {
    let here = o.attr(of, &word.value);
    let found = here.or_else(|| o.kinds_of(of).filter(|_| below).find_map(|c| o.attr(c, &word.value)));
    match found.and_then(|a| o.attrs.get(a.index())) {
        Some(a) if a.name != word.value => report.old_name(word.at, "attribute", &word.value, &a.name),
        Some(_) => {}
        None => {
            let kinds = o.kinds_of(of).filter(|_| below).filter_map(|c| o.classes.get(c.index()));
            let names = o.classes.get(of.index()).into_iter().chain(kinds).flat_map(|c| &c.attrs);
            let names: Vec<&str> =
                names.filter_map(|a| o.attrs.get(a.index())).map(|a| a.name.as_str()).collect();
            let message = format!("{} has no attribute of this name", o.class_name(of));
            report.unknown(word.at, &word.value, message, meant(&word.value, names));
        }
    }
    found
}

/// One of a few fixed words.
pub(crate) fn choice<T: Copy>(word: &Word, all: &[(&str, T)], report: &mut Report) -> Option<T> {
    let found = all.iter().find(|(n, _)| *n == word.value).map(|(_, v)| *v);
    if found.is_none() {
        report.add(
            word.at,
            &word.value,
            "this word cannot stand here",
            meant(&word.value, all.iter().map(|(n, _)| *n)),
        );
    }
    found
}

/// A length of time like `30s`, `10m`, `24h`, `1d`, in seconds.
pub(crate) fn seconds(text: &str) -> Option<i64> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let count: i64 = text.get(..digits)?.parse().ok()?;
    let scale = match text.get(digits..)? {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return None,
    };
    count.checked_mul(scale)
}

/// A length of time; notes a problem when it is none.
pub(crate) fn length(word: &Word, report: &mut Report) -> Option<i64> {
    let secs = seconds(&word.value);
    if secs.is_none() {
        report.add(word.at, &word.value, "this is not a length of time", "write it like 30s, 10m, 24h or 1d");
    }
    secs
}

const TYPES: &[(&str, Type)] = &[
    ("string", Type::Text),
    ("int", Type::Int),
    ("float", Type::Float),
    ("bool", Type::Bool),
    ("time", Type::Time),
    ("duration", Type::Duration),
    ("bytes", Type::Bytes),
    ("ratio", Type::Ratio),
    ("version", Type::Version),
    ("url", Type::Url),
    ("hash", Type::Hash),
];

fn attr_type(word: &Word, report: &mut Report) -> Type {
    if word.value.contains('|') {
        let words: Vec<String> = word.value.split('|').map(|s| s.trim().to_owned()).collect();
        if let Some(twice) = words.iter().enumerate().find(|(i, w)| words.iter().take(*i).any(|x| x == *w)) {
            let hint = "write each word once, with `|` between them";
            report.add(word.at, &word.value, format!("`{}` stands here twice", twice.1), hint);
        }
        return Type::OneOf(words);
    }
    let found = TYPES.iter().find(|(n, _)| *n == word.value).map(|(_, t)| t.clone());
    found.unwrap_or_else(|| {
        let hint = meant(&word.value, TYPES.iter().map(|(n, _)| *n));
        report.add(
            word.at,
            &word.value,
            "there is no such type",
            format!(
                "{hint}{}or write words with `|` between them",
                if hint.ends_with('?') { " " } else { "; " }
            ),
        );
        Type::Text
    })
}

fn class_bodies(all: &Gathered, o: &mut Ontology, report: &mut Report) {
    for (index, (_, _, raw)) in all.classes.iter().enumerate() {
        let is = raw.is.as_ref().and_then(|w| class(o, w, report));
        if let Some(c) = o.classes.get_mut(index) {
            c.is = is;
        }
    }
    for (index, (_, name, raw)) in all.classes.iter().enumerate() {
        let mut seen = vec![ClassId(number(index))];
        while let Some(up) = seen.last().and_then(|c| o.classes.get(c.index())).and_then(|c| c.is) {
            if seen.contains(&up) {
                let at = raw.is.as_ref().map_or(name.at, |w| w.at);
                report.add(
                    at,
                    &name.value,
                    format!("{} would be a kind of itself", name.value),
                    "break the circle of `is`",
                );
                if let Some(c) = o.classes.get_mut(index) {
                    c.is = None;
                }
                break;
            }
            seen.push(up);
        }
    }
    let mut own: Vec<Vec<AttrId>> = Vec::new();
    for (index, (_, _, raw)) in all.classes.iter().enumerate() {
        let mut ids = Vec::new();
        for (name, said) in &raw.attrs.0 {
            let (ty, was, doc_word) = match said {
                TextOr::Text(ty) => (Some(ty), [].as_slice(), None),
                TextOr::More(m) => (m.ty.as_ref(), m.was.0.as_slice(), m.doc.as_ref()),
            };
            let (name, old_names) = written(name, was);
            well_formed(&name, false, "attribute", report);
            let same = |a: &&AttrId, name: &str| o.attrs.get(a.index()).is_some_and(|a| a.name == name);
            if ids.iter().any(|a: &AttrId| same(&a, &name.value)) {
                report.add(
                    name.at,
                    &name.value,
                    "this attribute is already there",
                    "leave it out: a file may add, not change",
                );
                continue;
            }
            let claimed = |old: &str| {
                let of = |a: &&AttrId| o.attrs.get(a.index()).is_some_and(|a| a.was.iter().any(|w| w == old));
                ids.iter().find(of).and_then(|a| o.attrs.get(a.index())).map(|a| a.name.clone())
            };
            if let Some(old) = was.iter().find(|w| raw.attrs.0.iter().any(|(n, _)| n.value == w.value)) {
                let hint = format!("remove `{}`, or leave `was` out", old.value);
                let message = "this attribute is still there, so it is no old name";
                report.add(old.at, &old.value, message, hint);
            } else if let Some((old, other)) = was.iter().find_map(|w| Some((w, claimed(&w.value)?))) {
                let message = format!("this attribute is already renamed to `{other}`");
                report.add(
                    old.at,
                    &old.value,
                    message,
                    "one name becomes one other; leave one of the two out",
                );
            }
            if ty.is_none() {
                let known = raw.attrs.0.iter().map(|(n, _)| n.value.as_str());
                match was.first() {
                    Some(old) => {
                        let message =
                            "the class itself has no attribute of this name, and a new one needs a `type`";
                        report.add(old.at, &old.value, message, meant(&old.value, known));
                    }
                    None => report.add(name.at, &name.value, "`type` is missing", "add `type: string`"),
                }
            }
            ids.push(AttrId(number(o.attrs.len())));
            let ty = ty.map_or(Type::Text, |ty| attr_type(ty, report));
            let (name, class) = (name.value, ClassId(number(index)));
            let doc = doc_word.map(|w| w.value.clone()).unwrap_or_default();
            o.attrs.push(Attr { name, class, ty, was: old_names, doc });
        }
        own.push(ids);
    }
    for (index, (_, _, raw)) in all.classes.iter().enumerate() {
        let mut attrs = Vec::new();
        let (mut at, mut life, mut grain) = (Some(index), None, None);
        while let Some(i) = at {
            attrs.extend(own.get(i).into_iter().flatten().copied());
            let up = all.classes.get(i).map(|(_, _, r)| r);
            life = life.or_else(|| up.and_then(|r| r.life.as_ref()).and_then(|w| seconds(&w.value)));
            grain = grain.or_else(|| up.and_then(|r| r.grain.as_ref()));
            at = o.classes.get(i).and_then(|c| c.is).map(ClassId::index);
        }
        for (name, said) in &raw.attrs.0 {
            let old_names = if let TextOr::More(m) = said { m.was.0.as_slice() } else { &[] };
            for old in old_names.iter().filter(|_| matches!(said, TextOr::More(m) if m.ty.is_some())) {
                let above = attrs.iter().filter_map(|a| o.attrs.get(a.index()));
                if let Some(a) = above.filter(|a| a.class.index() != index).find(|a| a.name == old.value) {
                    let from = o.class_name(a.class);
                    let message =
                        format!("this attribute is still there, inherited from {from}, so it is no old name");
                    report.add(
                        old.at,
                        &old.value,
                        message,
                        format!("leave `was` out, or rename it in {from}"),
                    );
                }
            }
            let inherited = attrs.iter().filter_map(|a| o.attrs.get(a.index()));
            if let Some(a) = inherited.filter(|a| a.class.index() != index).find(|a| a.name == name.value) {
                let from = o.class_name(a.class);
                let message = format!("this attribute is already inherited from {from}");
                report.add(name.at, &name.value, message, "leave it out, or give it another name");
            }
        }
        let grains = [("each", Grain::Each), ("sampled", Grain::Sampled)];
        let own_grain = raw.grain.as_ref().and_then(|w| choice(w, &grains, report));
        raw.life.as_ref().map(|w| length(w, report));
        let inherited = grain.and_then(|w| grains.iter().find(|(n, _)| *n == w.value)).map(|(_, g)| *g);
        let is_interval = |a: &AttrId| o.attrs.get(a.index()).is_some_and(|a| a.name == INTERVAL);
        let interval = attrs.iter().copied().find(is_interval);
        if let Some(c) = o.classes.get_mut(index) {
            c.attrs = attrs;
            c.interval = interval;
            c.life_secs = life.unwrap_or(LIFE_SECS);
            c.grain = own_grain.or(inherited).unwrap_or(Grain::Each);
        }
    }
}

fn key_part(o: &Ontology, of: ClassId, word: &Word, report: &mut Report) -> Option<KeyPart> {
    if let Some(a) = o.attr(of, &word.value) {
        return Some(KeyPart::Attr(a));
    }
    let Some(r) = o.relation(&word.value) else {
        let attrs = o
            .classes
            .get(of.index())
            .into_iter()
            .flat_map(|c| &c.attrs)
            .filter_map(|a| o.attrs.get(a.index()));
        let from = |r: &&Relation| r.single && r.arrows.iter().any(|(d, _)| o.is_a(of, *d));
        let relations = o.relations.iter().filter(from).map(|r| r.name.as_str());
        let hint = meant(&word.value, attrs.map(|a| a.name.as_str()).chain(relations));
        let message =
            format!("{} has neither an attribute nor an n..1 relation of this name", o.class_name(of));
        report.unknown(word.at, &word.value, message, hint);
        return None;
    };
    let relation = o.relations.get(r.index())?;
    if !relation.single {
        report.add(
            word.at,
            &word.value,
            "a key needs one target, but this relation is n..m",
            "use an n..1 relation or an attribute",
        );
        return None;
    }
    if !relation.arrows.iter().any(|(d, _)| o.is_a(of, *d)) {
        let message = format!("this relation does not start at {}", o.class_name(of));
        report.add(
            word.at,
            &word.value,
            message,
            format!("use one that does, or add `{} -> …` to its arrow", o.class_name(of)),
        );
        return None;
    }
    Some(KeyPart::Relation(r))
}

fn keys(all: &Gathered, o: &mut Ontology, report: &mut Report) {
    for (index, (_, name, raw)) in all.classes.iter().enumerate() {
        let id = ClassId(number(index));
        let parts = |words: &[Word], report: &mut Report| -> Vec<KeyPart> {
            words.iter().filter_map(|w| key_part(o, id, w, report)).collect()
        };
        let mut keys = Vec::new();
        if !raw.key.is_empty() {
            keys.push(parts(&raw.key, report));
        } else if let Some(w) = raw.also.first().and_then(|k| k.first()) {
            report.add(
                w.at,
                &w.value,
                format!("{} has `also` but no `key`", name.value),
                "name its first key `key`",
            );
        }
        for also in &raw.also {
            keys.push(parts(also, report));
        }
        let near = raw.near.as_ref().map(|n| (parts(&n.same, report), length(&n.within, report)));
        if let Some(c) = o.classes.get_mut(index) {
            c.keys = keys;
            if let Some((same, within)) = near {
                c.near_same = same;
                c.near_secs = within.unwrap_or(0);
            }
        }
    }
}

fn aspects(all: &Gathered, o: &mut Ontology, report: &mut Report) {
    for (name, _) in &all.aspects {
        well_formed(name, false, "aspect", report);
        o.aspects.push(Aspect { name: name.value.clone(), becomes: Vec::new() });
    }
    for (index, (_, raw)) in all.aspects.iter().enumerate() {
        let mut becomes = Vec::new();
        for (to, weight) in &raw.becomes.0 {
            if !(0.0..=1.0).contains(&weight.value) {
                report.add(
                    weight.at,
                    &weight.value.to_string(),
                    "a weight is a chance",
                    "write a number from 0 to 1",
                );
            }
            becomes.extend(aspect(o, to, report).map(|a| (a, weight.value)));
        }
        if let Some(a) = o.aspects.get_mut(index) {
            a.becomes = becomes;
        }
    }
}

fn relation_names(all: &Gathered, o: &mut Ontology, report: &mut Report) {
    for (index, (name, raw)) in all.relations.iter().enumerate() {
        let (name, was) = written(name, &raw.was.0);
        well_formed(&name, false, "relation", report);
        let id = RelationId(number(index));
        o.relation_by_name.insert(name.value, id);
        for was in was {
            o.relation_by_name.entry(was).or_insert(id);
        }
    }
}

fn relation_bodies(all: &Gathered, o: &mut Ontology, report: &mut Report) {
    for (name, raw) in &all.relations {
        let mut arrows = Vec::new();
        if raw.arrow.0.is_empty() {
            report.add(name.at, &name.value, "`arrow` is missing", "add `arrow: \"Domain -> Range\"`");
        }
        for word in &raw.arrow.0 {
            arrows.extend(arrow(o, word, report));
        }
        let single = raw.card.as_ref().and_then(|w| choice(w, &[("n..1", true), ("n..m", false)], report));
        let times = [("fixed", Holds::Fixed), ("while", Holds::While), ("flow", Holds::Flow)];
        let holds = raw.time.as_ref().and_then(|w| choice(w, &times, report));
        let autos = [("table", Auto::Table), ("record", Auto::Record)];
        let auto = raw.auto.as_ref().and_then(|w| choice(w, &autos, report));
        for (what, missing) in [("card", raw.card.is_none()), ("time", raw.time.is_none())] {
            if missing {
                report.add(name.at, &name.value, format!("`{what}` is missing"), format!("add `{what}: …`"));
            }
        }
        let is = raw.is.as_ref().and_then(|w| relation_word(o, w, report));
        let faults = raw.fault.0.iter().filter_map(|w| fault(o, w, report)).collect();
        o.relations.push(Relation {
            name: name.value.clone(),
            arrows,
            // What is misspelt or missing here is told once, not again wherever the relation is used.
            single: single.unwrap_or(true),
            holds: holds.unwrap_or(Holds::While),
            auto: auto.unwrap_or(Auto::No),
            is,
            derived: raw.derived.as_ref().is_some_and(|d| d.value),
            faults,
            was: raw.was.0.iter().map(|w| w.value.clone()).collect(),
            doc: doc(&raw.doc),
        });
    }
    for (name, raw) in &all.relations {
        let own = o.relation(&name.value).and_then(|r| o.relations.get(r.index()));
        let (Some(own), Some(word)) = (own, &raw.is) else { continue };
        let Some(general) = own.is.and_then(|r| o.relations.get(r.index())) else { continue };
        if std::ptr::eq(own, general) {
            report.add(
                word.at,
                &word.value,
                "a relation cannot be a case of itself",
                "name the more general relation",
            );
            continue;
        }
        let fits = |d, r| general.arrows.iter().any(|(gd, gr)| o.is_a(d, *gd) && o.is_a(r, *gr));
        if let Some((d, r)) = own.arrows.iter().find(|(d, r)| !fits(*d, *r)) {
            let pair = format!("{} -> {}", o.class_name(*d), o.class_name(*r));
            let message = format!("{} does not allow {pair}, which {} does", general.name, own.name);
            report.add(
                word.at,
                &word.value,
                message,
                format!("add `{pair}` to the arrow of {}", general.name),
            );
        }
    }
}

fn relation_word(o: &Ontology, word: &Word, report: &mut Report) -> Option<RelationId> {
    let id = o.relation(&word.value);
    if id.is_none() {
        let hint = meant(&word.value, o.relation_by_name.keys().map(String::as_str));
        report.unknown(word.at, &word.value, "no relation has this name", hint);
    }
    id
}

fn arrow(o: &Ontology, word: &Word, report: &mut Report) -> Vec<(ClassId, ClassId)> {
    // In place of an end that is not known anything may stand, so that this is told once.
    let anything = o.classes.iter().position(|c| c.is.is_none()).map(|i| ClassId(number(i)));
    let Some((left, right)) = word.value.split_once("->") else {
        report.add(word.at, &word.value, "an arrow needs `->`", "write `Domain -> Range`");
        return anything.map(|c| (c, c)).into_iter().collect();
    };
    let place = |part: &str| word.at.plus(part_of(part, &word.value));
    let mut side = |text: &str| -> Vec<ClassId> {
        let names = text.split('|').map(|p| Word { value: p.trim().to_owned(), at: place(p.trim()) });
        names.filter_map(|w| class(o, &w, report).or(anything)).collect()
    };
    let (from, to) = (side(left), side(right));
    from.iter().flat_map(|d| to.iter().map(move |r| (*d, *r))).collect()
}

fn fault(o: &Ontology, word: &Word, report: &mut Report) -> Option<Fault> {
    const FORM: &str = "write it like \"<- 0.3 0s..5m latency,errors\": direction, chance, delay, aspects";
    let parts: Vec<&str> = word.value.split_whitespace().collect();
    let [travel, prior, delay, names] = parts.as_slice() else {
        report.add(word.at, &word.value, "a fault has four parts", FORM);
        return None;
    };
    let place = |part: &str| word.at.plus(part_of(part, &word.value));
    let way = match *travel {
        "<-" => Some(Travel::ToSource),
        "->" => Some(Travel::ToTarget),
        other => {
            report.add(place(other), other, "a fault travels `<-` or `->`", FORM);
            None
        }
    };
    let chance = prior.parse::<f64>().ok().filter(|p| (0.0..=1.0).contains(p));
    if chance.is_none() {
        report.add(place(prior), prior, "this is not a chance", "write a number from 0 to 1");
    }
    let (shortest, longest) = delay.split_once("..").unwrap_or((delay, delay));
    let span = seconds(shortest).zip(seconds(longest));
    match span {
        None => report.add(place(delay), delay, "this is not a delay", "write it like 0s, 0s..5m or 10m..3d"),
        Some((min, max)) if min > max => {
            let hint = format!("write {longest}..{shortest}");
            report.add(place(delay), delay, "the shortest delay is longer than the longest", hint);
        }
        Some(_) => {}
    }
    let names = names.split(',').map(|n| Word { value: n.to_owned(), at: place(n) });
    let aspects = names.filter_map(|w| aspect(o, &w, report)).collect();
    let (delay_min_secs, delay_max_secs) = span?;
    Some(Fault { travel: way?, prior: chance?, delay_min_secs, delay_max_secs, aspects })
}

/// How far (in characters) a part of a text is from its beginning.
pub(crate) fn part_of(part: &str, text: &str) -> usize {
    let bytes = (part.as_ptr() as usize).saturating_sub(text.as_ptr() as usize);
    text.get(..bytes).map_or(bytes, |before| before.chars().count())
}

fn show(word: &Word, report: &mut Report) -> Option<Show> {
    match word.value.as_str() {
        "mean" => return Some(Show::Mean),
        "max" => return Some(Show::Max),
        _ => {}
    }
    let quantile =
        word.value.strip_prefix('p').and_then(|n| n.parse::<u32>().ok()).filter(|n| (1..=99).contains(n));
    if quantile.is_none() {
        report.add(
            word.at,
            &word.value,
            "there is no such statistic",
            "write mean, max or a percentile like p75",
        );
    }
    quantile.map(|n| Show::Quantile(f64::from(n) / 100.0))
}

fn measures(all: &Gathered, o: &mut Ontology, report: &mut Report) {
    for (index, (name, raw)) in all.measures.iter().enumerate() {
        let (name, was) = written(name, &raw.was.0);
        well_formed(&name, false, "measure", report);
        let id = MeasureId(number(index));
        o.measure_by_name.insert(name.value, id);
        for was in was {
            o.measure_by_name.entry(was).or_insert(id);
        }
    }
    for (name, raw) in &all.measures {
        let built = one_measure(o, name, raw, report);
        o.measures.push(built);
    }
    for (index, (_, raw)) in all.measures.iter().enumerate() {
        let found: Vec<(&Word, MeasureId)> =
            raw.parts.iter().filter_map(|w| Some((w, measure(o, w, report)?))).collect();
        let parts: Vec<MeasureId> = found.iter().map(|(_, m)| *m).collect();
        let unit = o.measures.get(index).map(|m| m.unit.clone()).unwrap_or_default();
        for (word, part) in &found {
            if part.index() == index {
                report.add(word.at, &word.value, "a measure is no part of itself", "name what adds up to it");
            }
            let other = o.measures.get(part.index()).map(|m| m.unit.as_str()).unwrap_or_default();
            if !unit.is_empty() && unit::factor(other, &unit).is_none() {
                let message = format!("its unit `{other}` cannot be added up to `{unit}`");
                report.add(word.at, &word.value, message, "parts must have a unit of the same kind");
            }
        }
        if let Some(m) = o.measures.get_mut(index) {
            m.parts = parts;
        }
    }
}

fn one_measure(o: &Ontology, name: &Word, raw: &raw::Measure, report: &mut Report) -> Measure {
    let betters = [("lower", Better::Lower), ("higher", Better::Higher), ("steady", Better::Steady)];
    let kinds = [
        ("duration", MeasureKind::Duration),
        ("ratio", MeasureKind::Ratio),
        ("rate", MeasureKind::Rate),
        ("gauge", MeasureKind::Gauge),
    ];
    let kind = choice(&raw.kind, &kinds, report).unwrap_or(MeasureKind::Gauge);
    let dimension = unit::dimension(&raw.unit.value);
    match dimension {
        None => report.add(
            raw.unit.at,
            &raw.unit.value,
            "this unit is not known",
            meant(&raw.unit.value, unit::known()),
        ),
        Some(d) if !d.fits(kind) => {
            let message = format!("a {} cannot have this unit", raw.kind.value);
            report.add(raw.unit.at, &raw.unit.value, message, d.wanted(kind));
        }
        Some(_) => {}
    }
    let (change, samples) = (&raw.care.change, &raw.care.samples);
    if !change.value.is_finite() || change.value <= 0.0 {
        let hint = "write a share of the baseline, like 0.05";
        report.add(change.at, &change.value.to_string(), "every change would be news", hint);
    }
    if samples.value == 0 {
        report.add(samples.at, "0", "nothing can be said from no samples", "write at least 1");
    }
    let default = if kind == MeasureKind::Duration { Show::Quantile(0.75) } else { Show::Mean };
    Measure {
        name: name.value.clone(),
        of: class(o, &raw.of, report).unwrap_or(ClassId(0)),
        aspect: aspect(o, &raw.aspect, report).unwrap_or(AspectId(u16::MAX)),
        better: choice(&raw.better, &betters, report).unwrap_or(Better::Steady),
        kind,
        unit: if dimension.is_some_and(|d| d.fits(kind)) { raw.unit.value.clone() } else { String::new() },
        show: raw.show.as_ref().and_then(|w| show(w, report)).unwrap_or(default),
        care_change: raw.care.change.value,
        care_samples: raw.care.samples.value,
        parts: Vec::new(),
        doc: raw.doc.clone(),
        was: raw.was.0.iter().map(|w| w.value.clone()).collect(),
    }
}
