//! From words to a typed question: longest match against the lexicon and the names in the graph, forgiving a slip of the pen.

use crate::answer::{Meaning, Unknown};
use crate::finding::{Condition, People};
use crate::question::{Intent, Question};
use crate::vocabulary::Vocabulary;
use graph::NodeId;
use ontology::lexicon::{Direction, Meaning as Said, Pick, Take, Walk, plain};
use ontology::model::Grain;
use ontology::{AttrId, ClassId, MeasureId, Value};
use query::View;
use std::collections::BTreeMap;

/// Words that carry a sentence and mean nothing by themselves.
const SMALL: &[&str] = &[
    "a",
    "an",
    "the",
    "is",
    "are",
    "was",
    "were",
    "be",
    "been",
    "do",
    "does",
    "did",
    "has",
    "have",
    "had",
    "in",
    "on",
    "of",
    "for",
    "to",
    "at",
    "by",
    "with",
    "from",
    "and",
    "or",
    "it",
    "its",
    "this",
    "that",
    "these",
    "those",
    "there",
    "so",
    "now",
    "today",
    "since",
    "our",
    "we",
    "us",
    "i",
    "me",
    "my",
    "you",
    "please",
    "tell",
    "show",
    "happening",
    "going",
    "what",
    "how",
    "when",
    "where",
    "which",
    "whose",
    "users",
    "people",
    "getting",
    "being",
    "than",
    "usual",
    "wrong",
    "anything",
    "something",
    "currently",
    "suddenly",
    "much",
    "very",
    "up",
    "down",
    "about",
    "if",
    "got",
    "get",
    "before",
    "after",
    "during",
    "while",
    "hit",
    "affected",
    "blame",
    "to",
    "because",
    "still",
    "more",
    "most",
    "happened",
    "went",
    "gone",
    "can",
    "could",
    "should",
    "would",
    "suffer",
    "suffering",
];
/// Nodes of one class whose names are tried as words: beyond, a name must be quoted by its class.
const MOST_NAMES: usize = 20_000;
/// A word this short is not corrected: everything is near it.
const SHORTEST_SLIP: usize = 5;

/// What a run of words was found to be.
enum Found {
    Said(Said),
    Nodes(ClassId, Vec<NodeId>),
}

/// Reads a question.
pub fn ground(view: &View<'_>, vocabulary: &Vocabulary, text: &str) -> Question {
    let names = names(view, vocabulary);
    let words: Vec<String> = text
        .split_whitespace()
        .map(|w| w.trim_matches(|c: char| "?!,;:\"'()[]".contains(c)).trim_end_matches('.').to_owned())
        .filter(|w| !w.is_empty())
        .collect();
    let mut q = Question { text: text.to_owned(), ..Question::default() };
    let mut heard = Heard::default();
    let longest = view.ontology().lexicon.longest().max(4);
    let mut at = 0;
    while at < words.len() {
        let most = longest.min(words.len() - at);
        if let Some((len, phrase, found)) = told_apart(view, &names, &words[at..at + most]) {
            take(view, vocabulary, &mut q, &mut heard, &phrase, found);
            at += len;
            continue;
        }
        let hit = (1..=most).rev().find_map(|len| {
            let phrase = words[at..at + len].join(" ");
            if len == 1 && is_small(&phrase) {
                return None;
            }
            lookup(view, &names, &phrase).map(|f| (len, phrase, f))
        });
        let Some((len, phrase, found)) = hit else {
            if let Some(word) = words.get(at) {
                let small = is_small(word);
                match slip(view, &names, word).filter(|_| !small) {
                    Some((known, found)) => take(
                        view,
                        vocabulary,
                        &mut q,
                        &mut heard,
                        &format!("{word} (taken for {known})"),
                        found,
                    ),
                    None if !small => {
                        q.unknown.push(Unknown { word: word.clone(), nearest: nearest(view, &names, word) })
                    }
                    None => {}
                }
            }
            at += 1;
            continue;
        };
        take(view, vocabulary, &mut q, &mut heard, &phrase, found);
        at += len;
    }
    // Of nothing but small words, "what is wrong?" is a question, and an open one.
    if q.words.is_empty() && q.unknown.is_empty() && !words.is_empty() {
        q.regressing = true;
    }
    heard.choose_intent(&mut q);
    let suspects = heard.take_suspects(view, vocabulary, q.intent);
    settle(view, vocabulary, &mut q, &heard.nodes, &heard.picks, &heard.on_class);
    q.suspects = suspects.named(view, vocabulary, &q);
    if q.intent == Intent::Verdict && q.suspects.is_empty() {
        q.intent = Intent::Causes;
    }
    if q.intent == Intent::Comparison {
        compare(&mut q);
    }
    // What is asked of a trouble is asked of one, though nobody says that there is any.
    q.regressing |= !matches!(q.intent, Intent::Causes | Intent::Comparison);
    q
}

/// What the words named, in their order.
#[derive(Default)]
struct Heard {
    picks: Vec<Pick>,
    on_class: Vec<Vec<(ClassId, MeasureId)>>,
    nodes: Vec<(ClassId, Vec<NodeId>, String)>,
    /// Classes named as such: "the network".
    classes: Vec<(ClassId, String)>,
    intents: Vec<Intent>,
    /// How many picks, nodes and classes stood before the words that ask for a verdict.
    verdict: Option<[usize; 3]>,
}

/// What may be the cause, when that is asked.
#[derive(Default)]
struct Suspects {
    picks: Vec<Pick>,
    nodes: Vec<(ClassId, Vec<NodeId>, String)>,
    classes: Vec<(ClassId, String)>,
}

impl Heard {
    /// "Why" is said on purpose; "is it" may be part of any question. Of the rest the first word leads.
    fn choose_intent(&self, q: &mut Question) {
        let said = |intent| self.intents.contains(&intent);
        q.intent = if said(Intent::Causes) {
            Intent::Causes
        } else {
            self.intents
                .iter()
                .copied()
                .find(|i| *i != Intent::Verdict)
                .unwrap_or_else(|| if said(Intent::Verdict) { Intent::Verdict } else { Intent::Causes })
        };
    }

    /// Takes out what a verdict is asked of: what is named after the words that ask for it, or before when nothing is. What people look
    /// at is what is slow, not why.
    fn take_suspects(&mut self, view: &View<'_>, vocabulary: &Vocabulary, intent: Intent) -> Suspects {
        let Some([picks, nodes, classes]) = self.verdict.filter(|_| intent == Intent::Verdict) else {
            return Suspects::default();
        };
        let o = view.ontology();
        let looked_at = |class: ClassId| o.is_a(class, vocabulary.view) || o.is_a(class, vocabulary.app);
        let mut after = Suspects {
            picks: self.picks.split_off(picks),
            nodes: self.nodes.split_off(nodes),
            classes: self.classes.split_off(classes),
        };
        let stays = after.nodes.iter().filter(|n| looked_at(n.0)).cloned().collect::<Vec<_>>();
        after.nodes.retain(|n| !looked_at(n.0));
        after.classes.retain(|c| !looked_at(c.0));
        if after.picks.is_empty() && after.nodes.is_empty() && after.classes.is_empty() {
            let keep = |n: &(ClassId, Vec<NodeId>, String)| looked_at(n.0);
            let (kept, named) = std::mem::take(&mut self.nodes).into_iter().partition(keep);
            self.nodes = kept;
            after.nodes = named;
            after.picks = std::mem::take(&mut self.picks);
            after.classes = std::mem::take(&mut self.classes);
            after.classes.retain(|c| !looked_at(c.0));
        }
        self.nodes.extend(stays);
        after
    }
}

impl Suspects {
    fn named(self, view: &View<'_>, vocabulary: &Vocabulary, q: &Question) -> Vec<Condition> {
        let Suspects { picks, nodes, classes } = self;
        let picked = picks.iter().filter_map(|p| picked(view, vocabulary, q, &nodes, p)).collect::<Vec<_>>();
        let named = nodes.iter().map(|(class, nodes, label)| Condition {
            label: label.clone(),
            class: *class,
            nodes: nodes.clone(),
        });
        let whole = classes.into_iter().map(|(class, label)| Condition { label, class, nodes: Vec::new() });
        picked.into_iter().chain(named).chain(whole).collect()
    }
}

/// Takes those who are compared from the conditions: several of one class, else the last alone.
fn compare(q: &mut Question) {
    let all = std::mem::take(&mut q.people.0);
    let several =
        all.iter().map(|c| c.class).find(|class| all.iter().filter(|c| c.class == *class).count() > 1);
    let class = several.or_else(|| all.last().map(|c| c.class));
    (q.compared, q.people.0) = all.into_iter().partition(|c| Some(c.class) == class);
    if q.compared.is_empty() {
        q.intent = Intent::Causes;
    }
}

/// A name beside the word for its class ("cell A", "the ratings service"): the one way to name what is called a letter, or
/// like something else.
fn told_apart(view: &View<'_>, names: &Names, words: &[String]) -> Option<(usize, String, Found)> {
    let o = view.ontology();
    let class_of = |word: &str| {
        let direct = o.lexicon.meanings(word).iter().find_map(|p| match &p.meaning {
            Said::Thing { class, only, by } if only.is_empty() && by.is_empty() => Some(*class),
            _ => None,
        });
        direct.filter(|_| !is_small(word))
    };
    let named = |name: &str, class: ClassId| {
        let (of, nodes) = names.get(&plain(name))?.iter().find(|(c, _)| o.is_a(**c, class))?;
        Some(Found::Nodes(*of, nodes.clone()))
    };
    (2..=words.len()).rev().find_map(|len| {
        let phrase = words.get(..len)?;
        let (first, last) = (phrase.first()?, phrase.last()?);
        let class_last = || named(&phrase[..len - 1].join(" "), class_of(last)?);
        let class_first = || {
            let name = phrase[1..].join(" ");
            // "A" after "cell" is a name, "a" is not.
            let plain_word = is_small(&name) && name.to_uppercase() != name;
            named(&name, class_of(first)?).filter(|_| !plain_word)
        };
        let found = class_last().filter(|_| !is_small(first)).or_else(class_first)?;
        Some((len, phrase.join(" "), found))
    })
}

fn is_small(word: &str) -> bool {
    SMALL.contains(&word.to_lowercase().as_str())
}

type Names = BTreeMap<String, BTreeMap<ClassId, Vec<NodeId>>>;

/// Every name by which a person may mean a node: its whole name and its last part.
fn names(view: &View<'_>, vocabulary: &Vocabulary) -> Names {
    let o = view.ontology();
    let mut names: Names = BTreeMap::new();
    for (i, class) in view.ontology().classes.iter().enumerate() {
        let Ok(id) = u16::try_from(i).map(ClassId) else { continue };
        if class.is_abstract || class.grain == Grain::Sampled {
            continue;
        }
        let nodes: Vec<NodeId> = view
            .graph
            .of_class(id)
            .into_iter()
            .filter(|n| view.graph.node(*n).is_some_and(|x| x.class == id))
            .collect();
        if nodes.len() > MOST_NAMES {
            continue;
        }
        for n in nodes {
            let name = view.graph.name(n);
            let mut forms = vec![plain(&name)];
            if let Some((_, last)) = name.rsplit_once('/') {
                forms.push(plain(last));
            }
            if let Some(Value::Text(own)) = view.graph.attr_named(n, "name") {
                forms.push(plain(own));
            }
            // People say 8.42 and mean 8.42.0.
            if o.is_a(id, vocabulary.version)
                && let Some(version) = name.rsplit('/').next()
            {
                let dots = version.match_indices('.').skip(1).map(|(i, _)| i);
                forms.extend(dots.filter_map(|i| version.get(..i)).map(plain));
            }
            forms.sort();
            forms.dedup();
            for form in forms {
                names.entry(form).or_default().entry(id).or_default().push(n);
            }
        }
    }
    names
}

fn lookup(view: &View<'_>, names: &Names, phrase: &str) -> Option<Found> {
    let o = view.ontology();
    let said = o.lexicon.meanings(phrase);
    let written = said.iter().find(|p| p.written).map(|p| p.meaning.clone());
    let direct = |m: &Said| matches!(m, Said::Thing { class, only, by } if only.is_empty() && by.is_empty() && o.classes.get(class.index()).is_some());
    if let Some(m) = written.filter(|m| !direct(m)) {
        return Some(Found::Said(m));
    }
    // A name means the most general thing of that name that people ask about: what carries measures, before its parts.
    if let Some(classes) = names.get(&plain(phrase)).filter(|_| phrase.chars().count() > 1) {
        let rank = |c: &ClassId| !o.measures.iter().any(|m| m.of == *c);
        let best = classes.iter().min_by_key(|(c, n)| (rank(c), n.len() > 1, **c));
        if let Some((class, nodes)) = best {
            return Some(Found::Nodes(*class, nodes.clone()));
        }
    }
    said.first().map(|p| Found::Said(p.meaning.clone()))
}

/// A word that is one slip away from exactly one known word.
fn slip(view: &View<'_>, names: &Names, word: &str) -> Option<(String, Found)> {
    if word.chars().count() < SHORTEST_SLIP {
        return None;
    }
    let mut near: Vec<(usize, String)> =
        view.ontology().lexicon.nearest(word).into_iter().map(|s| (s.edits, s.phrase)).collect();
    for name in query::run::nearest(word, names.keys().cloned(), 3) {
        let edits = edits(&plain(word), &name);
        near.push((edits, name));
    }
    near.sort();
    let allowed = if word.chars().count() >= 8 { 2 } else { 1 };
    let (edits, best) = near.first().filter(|n| n.0 <= allowed)?.clone();
    let unique = near.iter().filter(|n| n.0 == edits && n.1 != best).count() == 0;
    if !unique {
        return None;
    }
    lookup(view, names, &best).map(|f| (best, f))
}

fn edits(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let d = (last[j] + usize::from(x != y)).min(last[j + 1] + 1).min(row[j] + 1);
            row.push(d);
        }
        last = row;
    }
    last.last().copied().unwrap_or(0)
}

fn nearest(view: &View<'_>, names: &Names, word: &str) -> Vec<String> {
    // A letter or two are near everything.
    if word.chars().count() < 3 {
        return Vec::new();
    }
    let mut near: Vec<String> = view.ontology().lexicon.nearest(word).into_iter().map(|s| s.phrase).collect();
    near.extend(query::run::nearest(word, names.keys().cloned(), 3));
    let most = (word.chars().count() / 2).max(1);
    let mut seen = std::collections::BTreeSet::new();
    near.retain(|n| edits(&plain(word), &plain(n)) <= most && seen.insert(n.clone()));
    near.truncate(5);
    near
}

fn has(view: &View<'_>, node: NodeId, wanted: &[(AttrId, String)]) -> bool {
    wanted.iter().all(|(a, v)| view.graph.attr(node, *a).is_some_and(|x| x.to_string() == *v))
}

fn take(
    view: &View<'_>,
    vocabulary: &Vocabulary,
    q: &mut Question,
    heard: &mut Heard,
    phrase: &str,
    found: Found,
) {
    let o = view.ontology();
    let Heard { picks, on_class, nodes, classes, intents, verdict } = heard;
    let meaning = match found {
        Found::Nodes(class, found) => {
            let text = found.iter().take(3).map(|n| view.label(*n)).collect::<Vec<_>>().join(", ");
            nodes.push((class, found, phrase.to_owned()));
            text
        }
        Found::Said(Said::Thing { class, only, by }) => {
            let wanted: Vec<(AttrId, String)> = only.into_iter().chain(by).collect();
            let name = o.class_name(class).to_owned();
            if wanted.is_empty() {
                classes.push((class, phrase.to_owned()));
                name
            } else {
                let found: Vec<NodeId> =
                    view.graph.of_class(class).into_iter().filter(|n| has(view, *n, &wanted)).collect();
                if found.is_empty() {
                    // Understood, and not here: what is asked about does not exist.
                    let mut there: Vec<String> =
                        view.graph.of_class(class).iter().map(|n| view.graph.name(*n)).collect();
                    there.sort();
                    there.truncate(5);
                    q.unknown.push(Unknown { word: phrase.to_owned(), nearest: there });
                    return;
                }
                let text = found.iter().take(3).map(|n| view.label(*n)).collect::<Vec<_>>().join(", ");
                nodes.push((class, found, phrase.to_owned()));
                text
            }
        }
        Found::Said(Said::Measure(m)) => {
            q.measure = q.measure.or(Some(m));
            format!("measure {}", o.measures.get(m.index()).map_or("?", |m| m.name.as_str()))
        }
        Found::Said(Said::MeasureOn(pairs)) => {
            on_class.push(pairs);
            "a measure, by what it is asked of".to_owned()
        }
        Found::Said(Said::Move(m)) => {
            q.regressing = m.direction != Some(Direction::Better);
            if let Some(aspect) = m.aspect {
                let pairs: Vec<(ClassId, MeasureId)> = o
                    .measures
                    .iter()
                    .enumerate()
                    .filter(|(_, x)| x.aspect == aspect)
                    .filter_map(|(i, x)| Some((x.of, MeasureId(u16::try_from(i).ok()?))))
                    .collect();
                on_class.push(pairs);
            }
            "something got worse".to_owned()
        }
        Found::Said(Said::Pick(p)) => {
            picks.push(p);
            "a choice among many".to_owned()
        }
        Found::Said(Said::Intent { answer, walk }) => {
            let intent = match walk {
                Walk::Causes => Intent::Causes,
                Walk::Effects => Intent::Effects,
                Walk::AnswersTo => Intent::Owner,
                Walk::Exposure if o.is_a(answer, vocabulary.change) => Intent::Changes,
                Walk::Exposure => Intent::Affected,
                Walk::Actions => Intent::Actions,
                Walk::History => Intent::Recurrence,
                Walk::Verdict => Intent::Verdict,
                Walk::Comparison => Intent::Comparison,
                Walk::Safety => Intent::Safety,
            };
            if intent == Intent::Verdict {
                verdict.get_or_insert([picks.len(), nodes.len(), classes.len()]);
            }
            intents.push(intent);
            format!("asks {}", intent.name().replace('_', " "))
        }
    };
    q.words.push(Meaning { text: phrase.to_owned(), meaning });
}

/// Turns what was named into subjects that can carry the measure, and conditions on people for the rest.
fn settle(
    view: &View<'_>,
    vocabulary: &Vocabulary,
    q: &mut Question,
    nodes: &[(ClassId, Vec<NodeId>, String)],
    picks: &[Pick],
    on_class: &[Vec<(ClassId, MeasureId)>],
) {
    let o = view.ontology();
    q.vague = q.measure.is_none() && nodes.is_empty();
    if q.measure.is_none() {
        let classes: Vec<ClassId> = nodes.iter().map(|n| n.0).chain([vocabulary.view]).collect();
        let carries = |c: ClassId, of: ClassId| o.is_a(c, of);
        // What has parts is slow when they are: a service when its operations are.
        let parts_carry = |c: ClassId, of: ClassId| vocabulary.belongs(o, of, c).is_some();
        let named = |c: &ClassId| nodes.iter().any(|n| n.0 == *c);
        q.measure = on_class.iter().find_map(|pairs| {
            let with = |fits: &dyn Fn(ClassId, ClassId) -> bool, c: &ClassId| {
                pairs.iter().find(|p| fits(*c, p.0)).map(|p| p.1)
            };
            let own = classes.iter().filter(|c| named(c)).find_map(|c| with(&carries, c));
            let part = || classes.iter().filter(|c| named(c)).find_map(|c| with(&parts_carry, c));
            own.or_else(part).or_else(|| classes.iter().find_map(|c| with(&carries, c)))
        });
    }
    let carrier = q.measure.and_then(|m| view.measure(m)).map_or(vocabulary.view, |m| m.of);
    let mut subjects: Option<Vec<NodeId>> = None;
    let mut conditions: Vec<Condition> = Vec::new();
    for (class, found, phrase) in nodes {
        if *class == carrier {
            subjects = Some(found.clone());
        } else if !found.is_empty() {
            conditions.push(Condition { label: phrase.clone(), class: *class, nodes: found.clone() });
        }
    }
    // What a subject belongs to (the app of a view) narrows the subjects rather than the people.
    conditions.retain(|c| {
        let Some(relation) = vocabulary.belongs(o, carrier, c.class) else { return true };
        let all = subjects.clone().unwrap_or_else(|| view.graph.of_class(carrier));
        let within: Vec<NodeId> = all
            .into_iter()
            .filter(|s| view.graph.target(*s, relation).is_some_and(|t| c.nodes.contains(&t)))
            .collect();
        if within.is_empty() {
            return true;
        }
        subjects = Some(within);
        false
    });
    q.subjects = subjects.unwrap_or_default();
    for pick in picks {
        if let Some(c) = picked(view, vocabulary, q, nodes, pick) {
            if let Some(word) = q.words.iter_mut().find(|w| w.meaning == "a choice among many") {
                word.meaning.clone_from(&c.label);
            }
            conditions.push(c);
        }
    }
    conditions.sort();
    conditions.dedup();
    q.people = People(conditions);
}

/// The nodes that a phrase such as "latest version" chooses: one per thing they are versions of.
fn picked(
    view: &View<'_>,
    vocabulary: &Vocabulary,
    q: &Question,
    nodes: &[(ClassId, Vec<NodeId>, String)],
    pick: &Pick,
) -> Option<Condition> {
    let o = view.ontology();
    let class = pick.class?;
    // A version is one of what is asked about: of the apps named, or of those the views belong to.
    let belongs = vocabulary.belongs(o, vocabulary.view, vocabulary.app);
    let mut parents: Vec<NodeId> = nodes.iter().flat_map(|n| n.1.iter().copied()).collect();
    parents.extend(q.subjects.iter().filter_map(|s| view.graph.target(*s, belongs?)));
    let order = |n: NodeId| {
        let said = pick.order.as_ref().and_then(|a| match view.graph.attr_named(n, a) {
            Some(Value::Time(t)) => Some(*t),
            _ => None,
        });
        let seen = view.graph.node(n).and_then(|x| x.seen.first()).map(ontology::Minute::start);
        (said, version_parts(&view.graph.name(n)), seen)
    };
    let mut by_parent: BTreeMap<NodeId, Vec<NodeId>> = BTreeMap::new();
    for n in view.graph.of_class(class) {
        if !has(view, n, &pick.only) {
            continue;
        }
        let Some(parent) = query::cohort::parent(view.graph, n) else { continue };
        let of_backend =
            vocabulary.tier(o, view.graph.node(n)?.class) == Some(crate::vocabulary::Tier::Backend);
        if (parents.is_empty() && !of_backend) || parents.contains(&parent) {
            by_parent.entry(parent).or_default().push(n);
        }
    }
    let mut chosen: Vec<NodeId> = Vec::new();
    for mut group in by_parent.into_values() {
        group.sort_by_key(|n| order(*n));
        match pick.take {
            Some(Take::First) => chosen.extend(group.first()),
            Some(Take::Last) => chosen.extend(group.last()),
            Some(Take::OneBeforeLast) => chosen.extend(group.iter().rev().nth(1)),
            None => chosen.extend(group),
        }
    }
    let first = chosen.first().copied()?;
    let class = view.graph.node(first)?.class;
    chosen.retain(|n| view.graph.node(*n).is_some_and(|x| x.class == class));
    let label = chosen.iter().map(|n| view.label(*n)).collect::<Vec<_>>().join(" or ");
    Some(Condition { label, class, nodes: chosen })
}

/// Numbers of a version, so that 8.9 comes before 8.10.
fn version_parts(name: &str) -> Vec<u64> {
    name.split(|c: char| !c.is_ascii_digit()).filter_map(|p| p.parse().ok()).collect()
}
