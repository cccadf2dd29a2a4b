//! The joined proof: a world told by many sources becomes one graph, which is compared with the truth of who is who and walked
//! from sessions to hosts and deployments.

use graph::{Fold, Limits, NodeId};
use ingest::{Delivery, Form, Normaliser, Wire};
use ontology::model::KeyPart;
use ontology::paths::{Hop, Path, PathNode, Repeat};
use ontology::{Batch, Draft, Fact, Key, Ontology, Time};
use query::View;
use query::question::Walk;
use serde::Serialize;
use sim::Plan;
use sim::join::{Scored, Shown, Telling, score};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Key that worlds are hashed with: nothing in them is personal, and figures must not depend on chance.
const WORLD_KEY: [u8; 32] = [7; 32];
/// How deep a thing may stand within others: a variant in its flag, a version in its service.
const DEPTH: usize = 2;

/// From a session to the machine that answered it.
const TO_HOST: &str = "App <-version_of- AppVersion <-ran- Session <-in_session- Interaction -called-> Operation \
                       -operation_of-> Service <-instance_of- Instance -runs_on-> Host";
/// From a session to what was deployed where it was answered.
const TO_DEPLOYMENT: &str = "App <-version_of- AppVersion <-ran- Session <-in_session- Interaction -called-> Operation \
                             -operation_of-> Service <-instance_of- Instance -runs_version-> ServiceVersion <-deploys- Deployment";

/// What one world gave.
#[derive(Clone, Debug, Serialize)]
pub struct Joined {
    /// Sources that spoke, with their requests.
    pub sources: BTreeMap<String, usize>,
    /// Requests that could not be read, and why.
    pub unread: Vec<String>,
    /// The comparison with the truth.
    #[serde(flatten)]
    pub scored: Scored,
    /// By app: how many sessions lead all the way.
    pub paths: BTreeMap<String, Leads>,
}

/// Sessions of one app with a whole path.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Leads {
    /// … to the host that answered.
    pub to_host: usize,
    /// … to the deployment of what answered.
    pub to_deployment: usize,
    /// One of them.
    pub example: String,
}

/// Plays a world and compares.
pub fn join(plan: Plan, ontology: &Arc<Ontology>) -> anyhow::Result<Joined> {
    let (letters, mut reality) = sim::join::play(plan);
    reality.conceal("session_id", |id| ingest::concealed(WORLD_KEY, id));
    let options = ingest::Options { hash_key: WORLD_KEY, limits: ingest::Limits::default() };
    let mut normaliser = Normaliser::new(Arc::clone(ontology), options);
    let mut fold = Fold::new(Arc::clone(ontology), ontology.mapping.trust.clone(), Limits::default());
    let mut said = Said::default();
    let mut sources: BTreeMap<String, usize> = BTreeMap::new();
    let mut unread = Vec::new();
    for letter in letters {
        *sources.entry(letter.source().to_owned()).or_default() += 1;
        let recorded = Time::EPOCH.plus_nanos(letter.at_ns);
        match normaliser.normalise(&wire(letter.form), &letter.body, recorded) {
            Ok(batch) => {
                said.note(&batch, ontology);
                fold.fold(&batch, recorded);
            }
            Err(malformed) => unread.push(malformed.to_string()),
        }
    }
    let graph = fold.graph();
    let scored = score(&reality, &said.shown(&graph));
    let view = View::latest(&graph);
    let mut walk = Walk::of(View::latest(&graph));
    let mut paths: BTreeMap<String, Leads> = BTreeMap::new();
    for app in ontology.class("App").into_iter().flat_map(|class| graph.of_class(class)) {
        paths.entry(graph.name(app)).or_default();
    }
    for (text, to_host) in [(TO_HOST, true), (TO_DEPLOYMENT, false)] {
        let mut found: BTreeMap<String, BTreeSet<NodeId>> = BTreeMap::new();
        for way in walk.line(&path(ontology, text)?)? {
            let (Some(app), Some(session)) = (way.first(), way.get(2)) else { continue };
            let app = graph.name(*app);
            let leads = paths.entry(app.clone()).or_default();
            if to_host && leads.example.is_empty() {
                let each: Vec<String> = way.iter().map(|n| view.label(*n)).collect();
                leads.example = each.join(" · ");
            }
            found.entry(app).or_default().insert(*session);
        }
        for (app, sessions) in found {
            let leads = paths.entry(app).or_default();
            *(if to_host { &mut leads.to_host } else { &mut leads.to_deployment }) = sessions.len();
        }
    }
    Ok(Joined { sources, unread, scored, paths })
}

/// The form in which a letter travels.
fn wire(form: sim::join::Form) -> Wire {
    let feed = |name: &str, form: Form, around: Vec<(&str, String)>| {
        let around = around.into_iter().map(|(k, v)| (k.to_owned(), v)).collect();
        Wire::Feed(Arc::new(Delivery { feed: name.to_owned(), form, around }))
    };
    match form {
        sim::join::Form::Traces => Wire::TracesProto,
        sim::join::Form::Metrics => Wire::MetricsProto,
        sim::join::Form::Logs => Wire::LogsProto,
        sim::join::Form::RemoteWrite => Wire::PrometheusWrite1,
        sim::join::Form::Zipkin => Wire::ZipkinJson,
        sim::join::Form::Loki => Wire::LokiJson,
        sim::join::Form::Feed(name, around) => feed(name, Form::Json, around),
        sim::join::Form::Yaml(name) => feed(name, Form::Yaml, Vec::new()),
    }
}

/// A path of plain classes and relations.
fn path(ontology: &Ontology, text: &str) -> anyhow::Result<Path> {
    let mut path = Path { text: text.to_owned(), ..Path::default() };
    for word in text.split_whitespace() {
        let forth = word.strip_prefix('-').and_then(|w| w.strip_suffix("->"));
        let back = word.strip_prefix("<-").and_then(|w| w.strip_suffix('-'));
        if let Some(name) = forth.or(back) {
            let relation = ontology.relation(name);
            let relation =
                relation.ok_or_else(|| anyhow::anyhow!("the ontology has no relation `{name}`"))?;
            path.hops.push(Hop { relation, back: back.is_some(), repeat: Repeat::Once });
        } else {
            let class = ontology.class(word);
            let class = class.ok_or_else(|| anyhow::anyhow!("the ontology has no class `{word}`"))?;
            path.nodes.push(PathNode { name: None, class, only: None });
        }
    }
    Ok(path)
}

/// All that records said, by the key under which they said it.
#[derive(Default)]
struct Said {
    by_key: BTreeMap<u128, (Key, BTreeSet<Telling>)>,
}

impl Said {
    fn note(&mut self, batch: &Batch, ontology: &Ontology) {
        let mut within: BTreeMap<u32, BTreeSet<(usize, u32)>> = BTreeMap::new();
        for fact in &batch.facts {
            if let Fact::Related { relation, from, to, .. } = fact {
                within.entry(from.0).or_default().insert((relation.index(), to.0));
            }
        }
        for (index, draft) in (0u32..).zip(&batch.drafts) {
            let strongest = draft.keys.iter().find(|k| k.slot == 0).or_else(|| draft.keys.first());
            let Some(key) = strongest else { continue };
            let telling = telling(batch, ontology, &within, index, draft, DEPTH);
            self.by_key.entry(key.hash).or_insert_with(|| (*key, BTreeSet::new())).1.insert(telling);
        }
    }

    /// The nodes of a graph with all that was said of each.
    fn shown(self, graph: &graph::Graph) -> Vec<Shown> {
        let mut nodes: BTreeMap<NodeId, Shown> = BTreeMap::new();
        for (key, tellings) in self.by_key.into_values() {
            let Some(node) = graph.node_of_key(&key) else { continue };
            let shown = nodes.entry(node).or_insert_with(|| Shown {
                class: tellings.first().map_or_else(String::new, |t| t.class.clone()),
                id: graph.id(node),
                name: graph.name(node),
                sources: graph.node_sources(node).into_iter().map(str::to_owned).collect(),
                tellings: BTreeSet::new(),
            });
            shown.tellings.extend(tellings);
        }
        nodes.into_values().collect()
    }
}

/// What a draft says, and of what its keys count within what the same request says.
fn telling(
    batch: &Batch,
    ontology: &Ontology,
    within: &BTreeMap<u32, BTreeSet<(usize, u32)>>,
    index: u32,
    draft: &Draft,
    depth: usize,
) -> Telling {
    let attrs = draft.attrs.iter().filter_map(|(attr, value)| {
        let name = &ontology.attrs.get(attr.index())?.name;
        Some((name.clone(), value.to_string()))
    });
    let mut telling = Telling {
        class: ontology.class_name(draft.class).to_owned(),
        attrs: attrs.collect(),
        of: Vec::new(),
    };
    let keys = ontology.classes.get(draft.class.index()).map(|c| c.keys.concat()).unwrap_or_default();
    for (relation, to) in within.get(&index).into_iter().flatten().filter(|_| depth > 0) {
        let named = keys.iter().any(|p| matches!(p, KeyPart::Relation(r) if r.index() == *relation));
        let other = batch.drafts.get(*to as usize).filter(|_| named);
        if let (Some(other), Some(relation)) = (other, ontology.relations.get(*relation)) {
            let other = self::telling(batch, ontology, within, *to, other, depth - 1);
            telling.of.push((relation.name.clone(), other));
        }
    }
    telling
}
