//! The YAML files as they are written: one serde struct per kind of entry, names still text.

use crate::yaml::{Entries, OneOrMany, Spot, TextOr, Word};
use schemars::JsonSchema;
use serde::Deserialize;

/// The head of `classes.yaml`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(extend("additionalProperties" = false))]
pub(crate) struct Head {
    /// Name of the ontology.
    pub(crate) name: Option<Word>,
    /// Its version: `1.2.0`.
    pub(crate) version: Option<Word>,
    /// Base IRI of its terms.
    pub(crate) iri: Option<Word>,
}

/// A class.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(extend("additionalProperties" = false))]
pub(crate) struct Class {
    /// What it is a kind of.
    pub(crate) is: Option<Word>,
    /// What makes it the same thing again: attributes and n..1 relations.
    pub(crate) key: Vec<Word>,
    /// Other keys, strongest first.
    pub(crate) also: Vec<Vec<Word>>,
    /// Events told by several sources.
    pub(crate) near: Option<Near>,
    /// Name to type.
    pub(crate) attrs: Entries<Attr>,
    /// `each` or `sampled`.
    pub(crate) grain: Option<Word>,
    /// Its nodes are made of what programs write, so there is no end to them.
    pub(crate) open: bool,
    /// An entity not seen for this long is gone.
    pub(crate) life: Option<Word>,
    /// What people call it.
    pub(crate) names: Vec<Word>,
    /// What it is.
    pub(crate) doc: Option<Word>,
    /// Names it had before, oldest first.
    pub(crate) was: OneOrMany<Word>,
}

/// An attribute: its type, or more.
pub(crate) type Attr = TextOr<AttrMore>;

/// An attribute of which more than its type is said.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(extend("additionalProperties" = false))]
pub(crate) struct AttrMore {
    /// Its type; left out where it only gets another name.
    #[serde(rename = "type")]
    pub(crate) ty: Option<Word>,
    /// Names it had before, oldest first.
    pub(crate) was: OneOrMany<Word>,
    /// What it is.
    pub(crate) doc: Option<Word>,
}

/// Another name for what is already there.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[schemars(extend("additionalProperties" = false))]
pub(crate) struct Renamed {
    /// Names it had before, oldest first.
    pub(crate) was: OneOrMany<Word>,
}

/// A measure, or another name for one.
#[derive(JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "the schema of an entry; the loader reads the one or the other")]
pub(crate) enum MeasureOrName {
    /// A new measure.
    New(Box<Measure>),
    /// Another name.
    Name(Renamed),
}

/// When two events are one.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[schemars(extend("additionalProperties" = false))]
pub(crate) struct Near {
    /// Same values here.
    pub(crate) same: Vec<Word>,
    /// Starts this close together.
    pub(crate) within: Word,
}

/// A relation.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(extend("additionalProperties" = false))]
pub(crate) struct Relation {
    /// The more general relation it is a case of.
    pub(crate) is: Option<Word>,
    /// `Domain -> Range`, `|` is or.
    pub(crate) arrow: OneOrMany<Word>,
    /// `n..1` or `n..m`.
    pub(crate) card: Option<Word>,
    /// `fixed`, `while` or `flow`.
    pub(crate) time: Option<Word>,
    /// `table` or `record`.
    pub(crate) auto: Option<Word>,
    /// Drawn by rules.
    pub(crate) derived: Option<Spot<bool>>,
    /// `<- 0.7 0s..5m latency,errors`.
    pub(crate) fault: OneOrMany<Word>,
    /// What it says.
    pub(crate) doc: Option<Word>,
    /// Names it had before, oldest first.
    pub(crate) was: OneOrMany<Word>,
}

/// A kind of trouble.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(extend("additionalProperties" = false))]
pub(crate) struct Aspect {
    /// What it turns into on the same component, with weight.
    pub(crate) becomes: Entries<Spot<f64>>,
    /// What it is.
    pub(crate) doc: String,
}

/// A measure.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[schemars(extend("additionalProperties" = false))]
pub(crate) struct Measure {
    /// The class that carries it.
    pub(crate) of: Word,
    /// Which kind of trouble a bad value is.
    pub(crate) aspect: Word,
    /// `lower`, `higher` or `steady`.
    pub(crate) better: Word,
    /// `duration`, `ratio`, `rate` or `gauge`.
    pub(crate) kind: Word,
    /// UCUM unit.
    pub(crate) unit: Word,
    /// `mean`, `max` or `pNN`.
    #[serde(default)]
    pub(crate) show: Option<Word>,
    /// Smallest change and fewest samples worth a regression.
    pub(crate) care: Care,
    /// Measures that add up to this one.
    #[serde(default)]
    pub(crate) parts: Vec<Word>,
    /// What it is.
    #[serde(default)]
    pub(crate) doc: String,
    /// Names it had before, oldest first.
    #[serde(default)]
    pub(crate) was: OneOrMany<Word>,
}

/// What is worth noticing.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[schemars(extend("additionalProperties" = false))]
pub(crate) struct Care {
    /// Smallest relative change.
    pub(crate) change: Spot<f64>,
    /// Fewest samples.
    pub(crate) samples: Spot<u64>,
}

/// How far asked rules reach.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[schemars(extend("additionalProperties" = false))]
pub(crate) struct Reach {
    /// Weights below this are dropped.
    pub(crate) weight: Spot<f64>,
    /// Longest chain.
    pub(crate) hops: Spot<u32>,
    /// Most facts looked at.
    pub(crate) facts: Spot<u32>,
}

/// A rule.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[schemars(extend("additionalProperties" = false))]
pub(crate) struct Rule {
    /// `always` or `asked`.
    pub(crate) keep: Word,
    /// `head(A, B) <- body`.
    pub(crate) rule: Word,
    /// What it says.
    #[serde(default)]
    pub(crate) doc: String,
}

/// An action.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[schemars(extend("additionalProperties" = false))]
pub(crate) struct Action {
    /// The class acted upon.
    pub(crate) acts_on: Word,
    /// The kind of change it takes back.
    #[serde(default)]
    pub(crate) undoes: Option<Word>,
    /// What the executor needs: name to class or type.
    #[serde(default)]
    pub(crate) params: Entries<Word>,
    /// `propose`, `approve` or `automatic`.
    pub(crate) trust: Word,
    /// `narrow` or `wide`.
    pub(crate) reach: Word,
    /// Every line must hold.
    #[serde(default)]
    pub(crate) when: Vec<Word>,
    /// The path to what feels it.
    pub(crate) blast: Word,
    /// Aspects it can improve.
    pub(crate) helps: Vec<Word>,
    /// Aspects it may worsen.
    #[serde(default)]
    pub(crate) cost: Vec<Word>,
    /// How success is judged.
    pub(crate) verify: Verify,
    /// What it does.
    #[serde(default)]
    pub(crate) doc: String,
}

/// How success of an action is judged.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[schemars(extend("additionalProperties" = false))]
pub(crate) struct Verify {
    /// The measure to watch.
    pub(crate) measure: Word,
    /// It must be back at its baseline within this time.
    #[serde(default)]
    pub(crate) back_to_baseline_within: Option<Word>,
    /// It must stop growing within this time.
    #[serde(default)]
    pub(crate) stops_growing_within: Option<Word>,
    /// `undo` or `hand_to_owner`.
    pub(crate) otherwise: Word,
}

/// How requests of a feed come in.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct Feed {
    /// What sends it.
    pub(crate) doc: String,
    /// HTTP headers that records see as `header.name`.
    pub(crate) headers: OneOrMany<Word>,
    /// Objects whose member names are data (`bucket.toggles`): each is read as a list of its members, with the name as `key`.
    pub(crate) maps: OneOrMany<Word>,
    /// `yes` when web pages may send it.
    pub(crate) pages: bool,
    /// Fields that are never kept in clear, beside those that are hashed.
    pub(crate) personal: Vec<Word>,
    /// `yes` when its senders add a path of their own to the address; records see it as `request.path`.
    pub(crate) beneath: bool,
    /// How a sender proves who it is.
    pub(crate) signed: Option<Signed>,
    /// Fields that hold the document proper, and the name under which its records see what stands around it.
    pub(crate) unwrap: Entries<Word>,
    /// Fields with named values whose fingerprint records see as `digest.name`.
    pub(crate) digest: OneOrMany<Word>,
    /// Other addresses at which it is taken.
    pub(crate) paths: OneOrMany<Word>,
    /// Whether its documents say what is there as they are sent.
    pub(crate) present: bool,
    /// Whether its documents tell of events again while they go on.
    pub(crate) updates: bool,
    /// `yes` when it is a log: each line of a body is a document by itself.
    pub(crate) lines: bool,
}

/// How a sender proves who it is.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub(crate) struct Signed {
    /// The HTTP header that holds the proof.
    pub(crate) header: Word,
    /// `hmac_sha256` (of what is signed, in hexadecimal) or `token` (the secret itself).
    pub(crate) by: Word,
    /// What stands before the proof.
    #[serde(default)]
    pub(crate) prefix: Option<Word>,
    /// What is signed, when it is not the body alone: a text with `{body}` in it once, and names of headers in braces
    /// (`v0:{x-request-timestamp}:{body}`).
    #[serde(default)]
    pub(crate) over: Option<Word>,
    /// Whether it is also taken without a proof as long as no secret is set.
    #[serde(default)]
    pub(crate) optional: bool,
}

/// A phrase that names a class or a node.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[schemars(extend("additionalProperties" = false))]
pub(crate) struct Thing {
    /// The class meant.
    pub(crate) class: Word,
    /// Narrowed to nodes with these values.
    #[serde(default, rename = "where")]
    pub(crate) only: Entries<Word>,
    /// Sent to the node with these values.
    #[serde(default)]
    pub(crate) by: Entries<Word>,
    /// What it means.
    #[serde(default)]
    #[expect(dead_code, reason = "written for people; the schema offers it to editors")]
    pub(crate) doc: String,
}

/// A phrase that means a different measure on each class.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[schemars(extend("additionalProperties" = false))]
pub(crate) struct OnClass {
    /// Class to measure.
    pub(crate) on_class: Entries<Word>,
}

/// A phrase's measure.
pub(crate) type MeasureWord = TextOr<OnClass>;

/// A verb or adjective.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[schemars(extend("additionalProperties" = false))]
pub(crate) struct Move {
    /// The kind of signal to look for.
    pub(crate) find: Word,
    /// Which kind of trouble.
    #[serde(default)]
    pub(crate) aspect: Option<Word>,
    /// `worse`, `better`, `up` or `down`.
    #[serde(default)]
    pub(crate) direction: Option<Word>,
}

/// A phrase that chooses among many.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(extend("additionalProperties" = false))]
pub(crate) struct Pick {
    /// Among nodes of this class.
    pub(crate) class: Option<Word>,
    /// With these values.
    #[serde(rename = "where")]
    pub(crate) only: Entries<Word>,
    /// Sorted by this attribute.
    pub(crate) order: Option<Word>,
    /// `last`, `one_before_last` or `first`.
    pub(crate) take: Option<Word>,
    /// Only what came after this.
    pub(crate) after: Option<Box<Pick>>,
}

/// The shape of an answer.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[schemars(extend("additionalProperties" = false))]
pub(crate) struct Intent {
    /// The class of the answer.
    pub(crate) answer: Word,
    /// How to get there.
    pub(crate) walk: Word,
}

/// A competency question.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[schemars(extend("additionalProperties" = false))]
pub(crate) struct Question {
    /// The question.
    pub(crate) ask: Word,
    /// Its paths.
    pub(crate) path: OneOrMany<Word>,
}
