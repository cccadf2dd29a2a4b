//! From files to an ontology: the built-in files first, then a site's, merged by kind and resolved.

use crate::model::Ontology;
use crate::problems::{At, Problems, Report, SourceFile, meant};
use crate::raw;
use crate::yaml::{
    Entries, Node, OneOrMany, Spot, TextOr, Tree, Word, parse, read, read_entries, read_entry,
};
use crate::{actions, alignments, lexicon, mapping, resolve, rules};
use xxhash_rust::xxh3::xxh3_64;

/// The ontology that comes with the program.
const BUILTIN: &[(&str, &str)] = &[
    ("core/classes.yaml", include_str!("../default/classes.yaml")),
    ("core/relations.yaml", include_str!("../default/relations.yaml")),
    ("core/measures.yaml", include_str!("../default/measures.yaml")),
    ("core/rules.yaml", include_str!("../default/rules.yaml")),
    ("core/actions.yaml", include_str!("../default/actions.yaml")),
    ("core/lexicon.yaml", include_str!("../default/lexicon.yaml")),
    // Before the mapping of spans, whose operations need the service that it names.
    ("core/zipkin.mapping.yaml", include_str!("../default/zipkin.mapping.yaml")),
    ("core/mapping.yaml", include_str!("../default/mapping.yaml")),
    ("core/feeds.mapping.yaml", include_str!("../default/feeds.mapping.yaml")),
    ("core/alertmanager.mapping.yaml", include_str!("../default/alertmanager.mapping.yaml")),
    ("core/argocd.mapping.yaml", include_str!("../default/argocd.mapping.yaml")),
    ("core/catalog.mapping.yaml", include_str!("../default/catalog.mapping.yaml")),
    ("core/cdevents.mapping.yaml", include_str!("../default/cdevents.mapping.yaml")),
    ("core/codeowners.mapping.yaml", include_str!("../default/codeowners.mapping.yaml")),
    ("core/github.mapping.yaml", include_str!("../default/github.mapping.yaml")),
    ("core/gitlab.mapping.yaml", include_str!("../default/gitlab.mapping.yaml")),
    ("core/grafana.mapping.yaml", include_str!("../default/grafana.mapping.yaml")),
    ("core/jenkins.mapping.yaml", include_str!("../default/jenkins.mapping.yaml")),
    ("core/kubernetes.mapping.yaml", include_str!("../default/kubernetes.mapping.yaml")),
    ("core/openslo.mapping.yaml", include_str!("../default/openslo.mapping.yaml")),
    ("core/opsgenie.mapping.yaml", include_str!("../default/opsgenie.mapping.yaml")),
    ("core/pagerduty.mapping.yaml", include_str!("../default/pagerduty.mapping.yaml")),
    ("core/spinnaker.mapping.yaml", include_str!("../default/spinnaker.mapping.yaml")),
    ("core/atlas.mapping.yaml", include_str!("../default/atlas.mapping.yaml")),
    ("core/statsd.mapping.yaml", include_str!("../default/statsd.mapping.yaml")),
    ("core/prometheus.mapping.yaml", include_str!("../default/prometheus.mapping.yaml")),
    ("core/loki.mapping.yaml", include_str!("../default/loki.mapping.yaml")),
    ("core/elasticsearch.mapping.yaml", include_str!("../default/elasticsearch.mapping.yaml")),
    ("core/syslog.mapping.yaml", include_str!("../default/syslog.mapping.yaml")),
    ("core/access-log.mapping.yaml", include_str!("../default/access-log.mapping.yaml")),
    ("core/logs.mapping.yaml", include_str!("../default/logs.mapping.yaml")),
    ("core/entities.mapping.yaml", include_str!("../default/entities.mapping.yaml")),
    ("core/web-vitals.mapping.yaml", include_str!("../default/web-vitals.mapping.yaml")),
    ("core/reports.mapping.yaml", include_str!("../default/reports.mapping.yaml")),
    ("core/cmcd.mapping.yaml", include_str!("../default/cmcd.mapping.yaml")),
    ("core/unleash.mapping.yaml", include_str!("../default/unleash.mapping.yaml")),
    ("core/launchdarkly.mapping.yaml", include_str!("../default/launchdarkly.mapping.yaml")),
    ("core/statsig.mapping.yaml", include_str!("../default/statsig.mapping.yaml")),
    ("core/growthbook.mapping.yaml", include_str!("../default/growthbook.mapping.yaml")),
    ("core/flagd.mapping.yaml", include_str!("../default/flagd.mapping.yaml")),
    ("core/exposures.mapping.yaml", include_str!("../default/exposures.mapping.yaml")),
    ("core/questions.yaml", include_str!("../default/questions.yaml")),
    ("core/alignments.yaml", include_str!("../default/alignments.yaml")),
];

/// What a file is about; the name of the file says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// `classes.yaml`
    Classes,
    /// `relations.yaml`
    Relations,
    /// `measures.yaml`
    Measures,
    /// `rules.yaml`
    Rules,
    /// `actions.yaml`
    Actions,
    /// `lexicon.yaml`
    Lexicon,
    /// `mapping.yaml`
    Mapping,
    /// `questions.yaml`
    Questions,
    /// `alignments.yaml`
    Alignments,
}

impl Kind {
    /// Every kind, in the order in which files are read.
    pub const ALL: [(Kind, &'static str); 9] = [
        (Kind::Classes, "classes"),
        (Kind::Relations, "relations"),
        (Kind::Measures, "measures"),
        (Kind::Rules, "rules"),
        (Kind::Actions, "actions"),
        (Kind::Lexicon, "lexicon"),
        (Kind::Mapping, "mapping"),
        (Kind::Questions, "questions"),
        (Kind::Alignments, "alignments"),
    ];

    /// The kind that a file's name says: the last of its pieces (split at `/`, `.`, `-`, `_`) that is the name of a kind.
    pub fn of_file(name: &str) -> Option<Kind> {
        let pieces = name.rsplit(['/', '\\', '.', '-', '_']);
        pieces.filter_map(|p| Kind::ALL.iter().find(|(_, n)| *n == p)).map(|(k, _)| *k).next()
    }
}

/// Everything the files say, before names are resolved.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    /// Of the program, then of each file of a site that has one.
    pub(crate) heads: Vec<raw::Head>,
    /// Namespace, name, class.
    pub(crate) classes: Vec<(String, Word, raw::Class)>,
    pub(crate) relations: Vec<(Word, raw::Relation)>,
    pub(crate) aspects: Vec<(Word, raw::Aspect)>,
    pub(crate) measures: Vec<(Word, raw::Measure)>,
    pub(crate) reach: Option<raw::Reach>,
    pub(crate) predicates: Vec<(Word, Word)>,
    pub(crate) rules: Vec<(Word, raw::Rule)>,
    pub(crate) actions: Vec<(Word, raw::Action)>,
    pub(crate) things: Vec<(Word, raw::Thing)>,
    pub(crate) measure_words: Vec<(Word, raw::MeasureWord)>,
    pub(crate) moves: Vec<(Word, raw::Move)>,
    pub(crate) picks: Vec<(Word, raw::Pick)>,
    pub(crate) intents: Vec<(Word, raw::Intent)>,
    pub(crate) trust: Vec<Word>,
    pub(crate) feeds: Vec<(Word, raw::Feed)>,
    pub(crate) personal: Vec<Word>,
    pub(crate) renamed: Vec<(Word, Word)>,
    pub(crate) lookups: Vec<(Word, Entries<Word>)>,
    pub(crate) sources: Vec<Source>,
    pub(crate) questions: Vec<(Word, raw::Question)>,
    /// Vocabulary, our word, their words.
    pub(crate) alignments: Vec<(Word, Word, Vec<Word>)>,
}

/// A source of a mapping file.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) name: Word,
    pub(crate) was: Vec<Word>,
    pub(crate) node: Node,
}

/// What can get another name.
trait Named {
    fn names(&self) -> (&Word, &[Word]);
    fn rename(&mut self, new: &str, old: Word);
}

impl Named for (String, Word, raw::Class) {
    fn names(&self) -> (&Word, &[Word]) {
        (&self.1, &self.2.was.0)
    }
    fn rename(&mut self, new: &str, old: Word) {
        new.clone_into(&mut self.1.value);
        self.2.was.0.push(old);
    }
}

impl Named for (Word, raw::Relation) {
    fn names(&self) -> (&Word, &[Word]) {
        (&self.0, &self.1.was.0)
    }
    fn rename(&mut self, new: &str, old: Word) {
        new.clone_into(&mut self.0.value);
        self.1.was.0.push(old);
    }
}

impl Named for (Word, raw::Measure) {
    fn names(&self) -> (&Word, &[Word]) {
        (&self.0, &self.1.was.0)
    }
    fn rename(&mut self, new: &str, old: Word) {
        new.clone_into(&mut self.0.value);
        self.1.was.0.push(old);
    }
}

impl Named for Source {
    fn names(&self) -> (&Word, &[Word]) {
        (&self.name, &self.was)
    }
    fn rename(&mut self, new: &str, old: Word) {
        new.clone_into(&mut self.name.value);
        self.was.push(old);
    }
}

/// Where an entry of a file belongs.
enum Place {
    /// It is new.
    New,
    /// It adds to this one.
    At(usize),
    /// It gave this one its new name, and may add to it.
    Renamed(usize),
    /// Nowhere; what is wrong is in the report.
    Nowhere,
}

/// Finds where an entry belongs. A site's file may give another name to what comes with the program: everything that goes by
/// the old name then means the new one.
fn settle<T: Named>(all: &mut [T], name: &Word, was: &[Word], what: &str, report: &mut Report) -> Place {
    let of_name = |all: &[T], name: &str| all.iter().position(|e| e.names().0.value == name);
    let of_old = |all: &[T], old: &str| all.iter().position(|e| e.names().1.iter().any(|w| w.value == old));
    let there = of_name(all, &name.value);
    for old in was {
        if let Some((i, e)) = of_name(all, &old.value).and_then(|i| Some((i, all.get_mut(i)?))) {
            let first = e.names().0.at;
            if there.is_none() && report.in_core(first) && !report.in_core(name.at) {
                e.rename(&name.value, old.clone());
                return Place::Renamed(i);
            }
            let message =
                format!("this {what} is still there ({}), so it is no old name", report.place(first));
            let hint = match there {
                Some(_) => format!("`{}` is there as well; choose a new name", name.value),
                None => format!("remove `{}`, or leave `was` out", old.value),
            };
            report.add(old.at, &old.value, message, hint);
            return Place::Nowhere;
        }
        if let Some(e) =
            of_old(all, &old.value).and_then(|i| all.get(i)).filter(|e| e.names().0.value != name.value)
        {
            let other = e.names().0.value.clone();
            let at = e.names().1.iter().find(|w| w.value == old.value).map_or(name.at, |w| w.at);
            let message = format!("this {what} is already renamed to `{other}` ({})", report.place(at));
            report.add(old.at, &old.value, message, "one name becomes one other; leave one of the two out");
            return Place::Nowhere;
        }
    }
    if let Some(i) = there {
        return Place::At(i);
    }
    let Some((i, e)) = of_old(all, &name.value).and_then(|i| Some((i, all.get(i)?))) else {
        return Place::New;
    };
    let (now, old) = (e.names().0, e.names().1.iter().find(|w| w.value == name.value));
    if report.in_core(now.at) && !report.in_core(name.at) {
        report.old_name(name.at, what, &name.value, &now.value.clone());
        return Place::At(i);
    }
    let at = old.map_or(name.at, |w| w.at);
    let message = format!("this {what} is still there ({}), so it is no old name", report.place(name.at));
    report.add(at, &name.value, message, format!("remove `{}`, or leave `was` out", name.value));
    Place::Nowhere
}

impl Ontology {
    /// Name, version and fingerprint in one word: what an answer was made under.
    pub fn stamp(&self) -> String {
        format!("{} {}+{:08x}", self.name, self.version, self.fingerprint >> 32)
    }

    /// The ontology that comes with the program. (A test holds that it loads.)
    pub fn builtin() -> Ontology {
        load(&[]).unwrap_or_default()
    }
}

/// The built-in ontology extended by a site's files. The order of the files does not matter.
///
/// # Errors
/// Every problem found in any file, with its place and what to write instead.
pub fn load(files: &[SourceFile]) -> Result<Ontology, Problems> {
    let builtin = BUILTIN.iter().map(|(n, t)| (n.to_string(), *t));
    let mut site: Vec<(String, &str)> = files.iter().map(|f| (f.name.clone(), f.text.as_str())).collect();
    site.sort();
    load_only(builtin.chain(site), u16::try_from(BUILTIN.len()).unwrap_or(u16::MAX))
}

/// These files and nothing else; the first `core` of them come with the program.
fn load_only<'a>(
    files: impl IntoIterator<Item = (String, &'a str)>,
    core: u16,
) -> Result<Ontology, Problems> {
    let mut report = Report::new(core);
    let mut all = Gathered::default();
    let mut nodes = Vec::new();
    let mut fingerprint = 0_u64;
    for (index, (name, text)) in (0u16..).zip(files) {
        // Added up, for the order of the files does not matter.
        fingerprint = xxh3_64(text.as_bytes()).wrapping_add(fingerprint);
        let at = At { file: index, line: 1, column: 1 };
        report.files.push(name.clone());
        let Some(kind) = Kind::of_file(&name) else {
            let kinds = Kind::ALL.map(|(_, n)| n).join(", ");
            let hint = format!("name it like `site.classes.yaml`; the kinds are {kinds}");
            report.add(at, &name, "the name of this file does not say what it is about", hint);
            report.leave_unread(text);
            continue;
        };
        if let Some(node) = parse(text, index, &mut report) {
            nodes.push((kind, node));
        }
    }
    // Files of the first kinds are resolved first, so that their names exist when the others use them.
    nodes.sort_by_key(|(kind, node)| (*kind, node.at.file));
    for (kind, node) in &nodes {
        gather(*kind, node, &mut all, &mut report);
    }
    let mut ontology = Ontology { fingerprint, ..Ontology::default() };
    resolve::words(&all, &mut ontology, &mut report);
    rules::resolve(&all, &mut ontology, &mut report);
    actions::resolve(&all, &mut ontology, &mut report);
    lexicon::resolve(&all, &mut ontology, &mut report);
    mapping::resolve(&all, &mut ontology, &mut report);
    alignments::resolve(&all, &mut ontology, &mut report);
    if !report.found.is_empty() {
        return Err(report.finish());
    }
    ontology.notes = report.notes;
    Ok(ontology)
}

fn gather(kind: Kind, node: &Node, all: &mut Gathered, report: &mut Report) {
    match kind {
        Kind::Classes => sections(node, report, &["ontology", "classes"], |name, value, report| match name {
            "ontology" => all.heads.extend(read::<raw::Head>(value, report)),
            _ => {
                for (ns, classes) in value.entries(report) {
                    for (name, class) in read_entries(classes, report) {
                        add_class(&word(ns), name, class, all, report);
                    }
                }
            }
        }),
        Kind::Relations => {
            for (name, relation) in read_entries(node, report) {
                add_relation(name, relation, all, report);
            }
        }
        Kind::Measures => {
            sections(node, report, &["aspects", "measures"], |name, value, report| match name {
                "aspects" => add_all(value, &mut all.aspects, "aspect", report),
                _ => {
                    for (key, value) in value.entries(report) {
                        add_measure(key, value, all, report);
                    }
                }
            })
        }
        Kind::Rules => {
            sections(node, report, &["reach", "predicates", "rules"], |name, value, report| match name {
                "reach" => match all.reach {
                    None => all.reach = read(value, report),
                    Some(_) => report.add(
                        value.at,
                        name,
                        "`reach` is already decided",
                        "leave it out: a file may add, not change",
                    ),
                },
                "predicates" => add_all(value, &mut all.predicates, "predicate", report),
                _ => add_all(value, &mut all.rules, "rule", report),
            })
        }
        Kind::Actions => add_all(node, &mut all.actions, "action", report),
        Kind::Lexicon => {
            let names = &["things", "measures", "moves", "picks", "intents"];
            sections(node, report, names, |name, value, report| match name {
                "things" => add_all(value, &mut all.things, "phrase", report),
                "measures" => add_all(value, &mut all.measure_words, "phrase", report),
                "moves" => add_all(value, &mut all.moves, "phrase", report),
                "picks" => add_all(value, &mut all.picks, "phrase", report),
                _ => add_all(value, &mut all.intents, "phrase", report),
            });
        }
        Kind::Mapping => {
            let names = &["trust", "renamed", "tables", "personal", "feeds", "sources"];
            sections(node, report, names, |name, value, report| match name {
                "trust" => all.trust.extend(read::<Vec<Word>>(value, report).unwrap_or_default()),
                "personal" => all.personal.extend(read::<Vec<Word>>(value, report).unwrap_or_default()),
                "feeds" => add_all(value, &mut all.feeds, "feed", report),
                "renamed" => add_all(value, &mut all.renamed, "old name", report),
                "tables" => {
                    for (name, more) in read_entries::<Entries<Word>>(value, report) {
                        add_lookup(name, more, all, report);
                    }
                }
                _ => {
                    for (key, value) in value.entries(report) {
                        add_source(key, value, all, report);
                    }
                }
            });
        }
        Kind::Questions => add_all(node, &mut all.questions, "question", report),
        Kind::Alignments => {
            for (vocabulary, pairs) in node.entries(report) {
                for (ours, theirs) in pairs.entries(report) {
                    let theirs = read::<crate::yaml::OneOrMany<Word>>(theirs, report).unwrap_or_default();
                    all.alignments.push((word(vocabulary), word(ours), theirs.0));
                }
            }
        }
    }
}

fn word(node: &Node) -> Word {
    Spot { value: node.text().to_owned(), at: node.text_at() }
}

/// Keeps in mind everything that a part names.
fn leave_unread(node: &Node, report: &mut Report) {
    match &node.tree {
        Tree::Scalar(s, _) => report.leave_unread(s),
        Tree::List(all) => all.iter().for_each(|n| leave_unread(n, report)),
        Tree::Map(all) => all.iter().flat_map(|(k, v)| [k, v]).for_each(|n| leave_unread(n, report)),
    }
}

fn sections(
    node: &Node,
    report: &mut Report,
    known: &[&str],
    mut each: impl FnMut(&str, &Node, &mut Report),
) {
    for (name, value) in node.entries(report) {
        if known.contains(&name.text()) {
            each(name.text(), value, report);
        } else {
            let hint = meant(name.text(), known.iter().copied());
            report.add(name.at, name.text(), "no section of this kind of file has this name", hint);
            leave_unread(value, report);
        }
    }
}

fn add_all<T: serde::de::DeserializeOwned>(
    node: &Node,
    to: &mut Vec<(Word, T)>,
    what: &str,
    report: &mut Report,
) {
    for (name, value) in read_entries(node, report) {
        add(name, value, to, what, report);
    }
}

const ADD_ONLY: &str = "give it another name: a file may add, not change";

fn already(what: &str, first: At, report: &Report) -> String {
    format!("this {what} is already there ({})", report.place(first))
}

fn add<T>(name: Word, value: T, to: &mut Vec<(Word, T)>, what: &str, report: &mut Report) {
    if let Some((first, _)) = to.iter().find(|(n, _)| n.value == name.value) {
        let message = already(what, first.at, report);
        report.add(name.at, &name.value, message, ADD_ONLY);
    } else {
        to.push((name, value));
    }
}

/// Notes that an entry decides what is decided.
fn decided(name: &Word, parts: &[(&str, Option<At>)], open: &str, report: &mut Report) {
    for (what, at) in parts {
        if let Some(at) = at {
            let message = format!("`{what}` of {} is already decided", name.value);
            let hint = format!("leave it out: a file may add {open}, not change; or choose another name");
            report.add(*at, what, message, hint);
        }
    }
}

fn add_class(namespace: &Word, name: Word, more: raw::Class, all: &mut Gathered, report: &mut Report) {
    let place = settle(&mut all.classes, &name, &more.was.0, "class", report);
    let (i, renamed) = match place {
        Place::New => return all.classes.push((namespace.value.clone(), name, more)),
        Place::Nowhere => return,
        Place::At(i) => (i, false),
        Place::Renamed(i) => (i, true),
    };
    let Some((stands, own, class)) = all.classes.get_mut(i) else { return };
    if *stands != namespace.value {
        let message = format!("{} stands under `{stands}`", own.value);
        report.add(name.at, &name.value, message, format!("write it under `{stands}:`"));
    }
    let of = |w: &Option<Word>| w.as_ref().map(|w| w.at);
    let parts = [
        ("is", of(&more.is)),
        ("key", more.key.first().map(|w| w.at)),
        ("grain", of(&more.grain)),
        ("life", of(&more.life)),
        ("near", more.near.as_ref().map(|n| n.within.at)),
        ("doc", of(&more.doc).filter(|_| !renamed)),
    ];
    decided(&name, &parts, "`attrs`, `also`, `names`", report);
    if renamed && more.doc.is_some() {
        class.doc = more.doc;
    }
    class.also.extend(more.also);
    class.names.extend(more.names);
    if !renamed {
        class.was.0.extend(more.was.0.into_iter().filter(|w| w.value != own.value));
    }
    for (attr, more) in more.attrs.0 {
        add_attr(attr, more, &mut class.attrs.0, report);
    }
}

/// Adds an attribute to a class that is there already, or gives one of its attributes another name.
fn add_attr(name: Word, more: raw::Attr, to: &mut Vec<(Word, raw::Attr)>, report: &mut Report) {
    let old_names: &[Word] = match &more {
        TextOr::More(m) => &m.was.0,
        TextOr::Text(_) => &[],
    };
    let taken = to.iter().any(|(n, _)| n.value == name.value);
    let found = old_names.iter().find_map(|w| Some((w, to.iter().position(|(n, _)| n.value == w.value)?)));
    let Some((old, (own, said))) = found
        .and_then(|(w, i)| Some((w.clone(), to.get_mut(i)?)))
        .filter(|(_, e)| !taken && report.in_core(e.0.at))
    else {
        to.push((name, more));
        return;
    };
    let was = match said {
        TextOr::Text(ty) => raw::AttrMore { ty: Some(ty.clone()), ..raw::AttrMore::default() },
        TextOr::More(m) => m.clone(),
    };
    let TextOr::More(more) = more else { return };
    if let Some(ty) = &more.ty
        && was.ty.as_ref().is_none_or(|t| t.value != ty.value)
    {
        let is = was.ty.as_ref().map_or("", |t| t.value.as_str());
        let hint = format!("leave `type` out, or write `{is}`: a file may add, not change");
        report.add(ty.at, &ty.value, format!("`{}` is of type {is}", old.value), hint);
    }
    let mut names = was.was.0;
    names.push(old);
    own.value = name.value;
    *said = TextOr::More(raw::AttrMore { was: OneOrMany(names), doc: more.doc.or(was.doc), ..was });
}

fn add_relation(name: Word, more: raw::Relation, all: &mut Gathered, report: &mut Report) {
    let place = settle(&mut all.relations, &name, &more.was.0, "relation", report);
    let (i, renamed) = match place {
        Place::New => return all.relations.push((name, more)),
        Place::Nowhere => return,
        Place::At(i) => (i, false),
        Place::Renamed(i) => (i, true),
    };
    let Some((own, relation)) = all.relations.get_mut(i) else { return };
    let of = |w: &Option<Word>| w.as_ref().map(|w| w.at);
    let parts = [
        ("is", of(&more.is)),
        ("card", of(&more.card)),
        ("time", of(&more.time)),
        ("auto", of(&more.auto)),
        ("derived", more.derived.as_ref().map(|d| d.at)),
        ("fault", more.fault.0.first().map(|w| w.at)),
        ("doc", of(&more.doc).filter(|_| !renamed)),
    ];
    decided(&name, &parts, "`arrow`", report);
    if renamed && more.doc.is_some() {
        relation.doc = more.doc;
    }
    relation.arrow.0.extend(more.arrow.0);
    if !renamed {
        relation.was.0.extend(more.was.0.into_iter().filter(|w| w.value != own.value));
    }
}

/// Whether an entry gives another name and says nothing else.
fn only_renames(node: &Node) -> bool {
    matches!(&node.tree, Tree::Map(m) if m.len() == 1 && m.iter().all(|(k, _)| k.text() == "was"))
}

fn add_measure(key: &Node, value: &Node, all: &mut Gathered, report: &mut Report) {
    let name = word(key);
    if only_renames(value) {
        let Some(renamed) = read_entry::<raw::Renamed>(key, value, report) else { return };
        match settle(&mut all.measures, &name, &renamed.was.0, "measure", report) {
            Place::Renamed(_) | Place::Nowhere => {}
            Place::At(_) => report.add(name.at, &name.value, "this measure is already there", ADD_ONLY),
            Place::New => {
                let old = renamed.was.0.first().cloned().unwrap_or(name);
                let known = all.measures.iter().map(|(n, _)| n.value.as_str());
                report.unknown(old.at, &old.value, "no measure has this name", meant(&old.value, known));
            }
        }
        return;
    }
    let Some(measure) = read_entry::<raw::Measure>(key, value, report) else {
        report.leave_unread(key.text());
        return;
    };
    match settle(&mut all.measures, &name, &measure.was.0, "measure", report) {
        Place::New => all.measures.push((name, measure)),
        Place::Nowhere => {}
        Place::At(i) | Place::Renamed(i) => {
            let first = all.measures.get(i).map_or(name.at, |(n, _)| n.at);
            let hint = "leave everything but `was` out, or choose another name: a file may add, not change";
            let message = already("measure", first, report);
            report.add(name.at, &name.value, message, hint);
        }
    }
}

fn add_source(key: &Node, value: &Node, all: &mut Gathered, report: &mut Report) {
    if value.is_nothing() {
        read_entry::<raw::Renamed>(key, value, report);
        return;
    }
    let name = word(key);
    let entry = value.entries(report).iter().find(|(k, _)| k.text() == "was").map(|(_, v)| v);
    let was = entry.and_then(|v| read::<OneOrMany<Word>>(v, report)).unwrap_or_default().0;
    match settle(&mut all.sources, &name, &was, "source", report) {
        Place::New => all.sources.push(Source { name, was, node: value.clone() }),
        Place::Nowhere => {}
        Place::Renamed(_) if only_renames(value) => {}
        Place::At(i) | Place::Renamed(i) => {
            let first = all.sources.get(i).map_or(name.at, |s| s.name.at);
            let message = already("source", first, report);
            report.add(name.at, &name.value, message, ADD_ONLY);
        }
    }
}

fn add_lookup(name: Word, more: Entries<Word>, all: &mut Gathered, report: &mut Report) {
    let Some((_, entries)) = all.lookups.iter_mut().find(|(n, _)| n.value == name.value) else {
        all.lookups.push((name, more));
        return;
    };
    for (key, value) in more.0 {
        match entries.0.iter().find(|(k, _)| k.value == key.value) {
            Some((_, v)) if v.value == value.value => {}
            Some((_, v)) => {
                let message = format!("table {} already sends this to `{}`", name.value, v.value);
                report.add(key.at, &key.value, message, "leave it out: a file may add, not change");
            }
            None => entries.0.push((key, value)),
        }
    }
}

/// Whether a node is a scalar; used where a map or list would be an error of its own.
pub(crate) fn scalar<'a>(node: &'a Node, report: &mut Report) -> Option<(&'a str, At)> {
    match &node.tree {
        Tree::Scalar(s, _) => Some((s.as_str(), node.text_at())),
        Tree::List(_) | Tree::Map(_) => {
            report.add(
                node.at,
                "{…}",
                "an expression is wanted here",
                "write it on one line, quoted with \"…\"",
            );
            None
        }
    }
}
