//! From files to an ontology: the built-in files first, then a site's, merged by kind and resolved.

use crate::model::Ontology;
use crate::problems::{At, Problems, Report, SourceFile, meant};
use crate::raw;
use crate::yaml::{Entries, Node, Spot, Tree, Word, parse, read, read_entries};
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
    pub(crate) head: raw::Head,
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
    pub(crate) sources: Vec<(Word, Node)>,
    pub(crate) questions: Vec<(Word, raw::Question)>,
    /// Vocabulary, our word, their words.
    pub(crate) alignments: Vec<(Word, Word, Vec<Word>)>,
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
    load_only(builtin.chain(site))
}

/// These files and nothing else.
pub(crate) fn load_only<'a>(
    files: impl IntoIterator<Item = (String, &'a str)>,
) -> Result<Ontology, Problems> {
    let mut report = Report::default();
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
    if report.found.is_empty() { Ok(ontology) } else { Err(report.finish()) }
}

fn gather(kind: Kind, node: &Node, all: &mut Gathered, report: &mut Report) {
    match kind {
        Kind::Classes => sections(node, report, &["ontology", "classes"], |name, value, report| match name {
            "ontology" => {
                if all.head.name.is_empty() {
                    all.head = read(value, report).unwrap_or_default();
                }
            }
            _ => {
                for (ns, classes) in value.entries(report) {
                    for (name, class) in read_entries(classes, report) {
                        add_class(ns.text(), name, class, all, report);
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
                _ => add_all(value, &mut all.measures, "measure", report),
            })
        }
        Kind::Rules => {
            sections(node, report, &["reach", "predicates", "rules"], |name, value, report| match name {
                "reach" => all.reach = all.reach.take().or_else(|| read(value, report)),
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
                    for (k, v) in value.entries(report) {
                        add(word(k), v.clone(), &mut all.sources, "source", report);
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

fn add<T>(name: Word, value: T, to: &mut Vec<(Word, T)>, what: &str, report: &mut Report) {
    if let Some((first, _)) = to.iter().find(|(n, _)| n.value == name.value) {
        let place = format!(
            "{}:{}",
            report.files.get(usize::from(first.at.file)).cloned().unwrap_or_default(),
            first.at.line
        );
        report.add(
            name.at,
            &name.value,
            format!("this {what} is already there ({place})"),
            "give it another name: a file may add, not change",
        );
    } else {
        to.push((name, value));
    }
}

fn add_class(namespace: &str, name: Word, more: raw::Class, all: &mut Gathered, report: &mut Report) {
    let Some((_, _, class)) = all.classes.iter_mut().find(|(_, n, _)| n.value == name.value) else {
        all.classes.push((namespace.to_owned(), name, more));
        return;
    };
    let same = |a: &[Word], b: &[Word]| a.iter().map(Word::as_str).eq(b.iter().map(Word::as_str));
    let changed = [
        (
            "is",
            more.is.as_ref().map(|w| w.at),
            more.is.as_ref().map(|w| &w.value) == class.is.as_ref().map(|w| &w.value),
        ),
        ("key", more.key.first().map(|w| w.at), same(&more.key, &class.key)),
        ("grain", more.grain.as_ref().map(|w| w.at), false),
        ("life", more.life.as_ref().map(|w| w.at), false),
        ("near", more.near.as_ref().map(|n| n.within.at), false),
    ];
    for (what, at, equal) in changed {
        if let (Some(at), false) = (at, equal) {
            let message = format!("`{what}` of {} is already decided", name.value);
            report.add(at, &name.value, message, format!("leave `{what}` out: a file may add, not change"));
        }
    }
    class.also.extend(more.also);
    class.attrs.0.extend(more.attrs.0);
    class.names.extend(more.names);
    class.was.0.extend(more.was.0);
}

fn add_relation(name: Word, more: raw::Relation, all: &mut Gathered, report: &mut Report) {
    let Some((_, relation)) = all.relations.iter_mut().find(|(n, _)| n.value == name.value) else {
        all.relations.push((name, more));
        return;
    };
    let at = [&more.is, &more.card, &more.time, &more.auto].into_iter().flatten().map(|w| w.at).next();
    if let Some(at) = at.or_else(|| more.fault.0.first().map(|w| w.at)) {
        let message = format!("{} is already decided", name.value);
        report.add(at, &name.value, message, "only `arrow` may be added to a relation that is already there");
    }
    relation.arrow.0.extend(more.arrow.0);
    relation.was.0.extend(more.was.0);
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
