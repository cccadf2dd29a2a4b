//! The answer as people, pages and scripts read it.

use crate::finding::{Evidence, Kind, Missing};
use graph::NodeId;
use ontology::{Stretch, Time};
use query::View;
use serde::{Deserialize, Serialize};

/// What came of a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// A cause is named.
    Explained,
    /// Something is wrong, and no cause stands out.
    NotProven,
    /// Nothing regressed.
    NothingWrong,
    /// Nothing in the question could be grounded.
    NotUnderstood,
}

/// A thing, as answers name it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Entity {
    /// Stable id.
    pub id: String,
    /// Class.
    pub class: String,
    /// Name.
    pub name: String,
}

impl Entity {
    /// The entity of a node.
    pub fn of(view: &View<'_>, node: NodeId) -> Entity {
        Entity {
            id: view.graph.id(node),
            class: view.class_name(node).to_owned(),
            name: view.graph.name(node),
        }
    }
}

/// A stretch in words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// First moment.
    pub from: String,
    /// First moment after.
    pub to: String,
}

impl From<Stretch> for Window {
    fn from(s: Stretch) -> Window {
        Window { from: s.from.to_string(), to: s.to.to_string() }
    }
}

/// A word and what it was taken to mean.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meaning {
    /// The words.
    pub text: String,
    /// What they mean.
    pub meaning: String,
}

/// A word that means nothing here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unknown {
    /// The word.
    pub word: String,
    /// Known ones that look like it.
    pub nearest: Vec<String>,
}

/// What the question was taken to ask.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Understood {
    /// Measure.
    pub measure: Option<String>,
    /// Entity.
    pub entity: Option<String>,
    /// Cohort.
    pub cohort: Option<String>,
    /// Intent.
    pub intent: String,
    /// What may be the cause, when the question is whether it is.
    pub suspects: Vec<String>,
    /// Who is set beside whom; one is set beside all others.
    pub compared: Vec<String>,
    /// Word by word.
    pub words: Vec<Meaning>,
}

/// Whether a regression goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It goes on.
    Open,
    /// It went away.
    Closed,
}

/// A measure that is worse than was to be expected.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Regression {
    /// Made of what regressed, where and since when.
    pub id: String,
    /// Measure.
    pub measure: String,
    /// What the measure is.
    pub measure_doc: String,
    /// Unit.
    pub unit: String,
    /// On what.
    pub subject: Entity,
    /// By whom, in words.
    pub cohort: String,
    /// Components the cohort is made of.
    pub cohort_entities: Vec<Entity>,
    /// Since when.
    pub onset: String,
    /// When it was noticed.
    pub opened_at: String,
    /// When it went away.
    pub closed_at: Option<String>,
    /// Healthy figure of that cohort.
    pub baseline: Option<f64>,
    /// Figure since the onset.
    pub observed: Option<f64>,
    /// Relative change, adjusted for who was there.
    pub change: f64,
    /// Observations since the onset.
    pub sessions: u64,
    /// Chance of this under healthy operation, however often one looks.
    pub p_value: f64,
    /// Whether it goes on.
    pub state: State,
    /// Id of the investigation, once there is one.
    pub investigation: Option<String>,
    /// Title of its likeliest cause, once there is one.
    pub top_cause: Option<String>,
}

/// The two stretches that were compared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Windows {
    /// Healthy.
    pub healthy: Window,
    /// Degraded.
    pub degraded: Window,
}

/// Which side is at fault.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TierVerdict {
    /// `client`, `network`, `backend`, `none` or `unknown`.
    pub verdict: String,
    /// Where the lost time went.
    pub shares: Shares,
    /// Why.
    pub why: String,
}

/// Shares of the lost time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Shares {
    /// In the user's hands.
    pub client: f64,
    /// On the way.
    pub network: f64,
    /// In what answers.
    pub backend: f64,
}

/// One step of the way from the fault to the user.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Nearer to the fault.
    pub from: Entity,
    /// Relation between the two, as the ontology names it.
    pub relation: String,
    /// Nearer to the user.
    pub to: Entity,
    /// In words.
    pub text: String,
    /// The query that shows it.
    pub query: String,
}

/// One possible cause.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cause {
    /// From 1.
    pub rank: usize,
    /// One line.
    pub title: String,
    /// What sort.
    pub kind: Kind,
    /// What it names.
    pub entities: Vec<Entity>,
    /// Chance that it is the cause.
    pub probability: f64,
    /// Why, in a few sentences.
    pub summary: String,
    /// From the fault to the user.
    pub path: Vec<Step>,
    /// Figures.
    pub evidence: Vec<Evidence>,
    /// What would be without it.
    pub counterfactual: String,
}

/// One cause that is not.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RuledOut {
    /// One line.
    pub title: String,
    /// What sort.
    pub kind: Kind,
    /// What it names.
    pub entities: Vec<Entity>,
    /// Chance that it is the cause all the same.
    pub probability: f64,
    /// Why not.
    pub why: String,
    /// Figures.
    pub evidence: Vec<Evidence>,
}

/// One cohort in the split.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SplitRow {
    /// Values in the order of the dimensions.
    pub values: Vec<String>,
    /// Observations since the onset.
    pub sessions: u64,
    /// Figure to be expected.
    pub healthy: Option<f64>,
    /// Figure since the onset.
    pub degraded: Option<f64>,
    /// Relative change, adjusted for who was there.
    pub change: f64,
    /// 95 % confidence sequence of the change, low; none where too few were seen for one.
    pub low: Option<f64>,
    /// High.
    pub high: Option<f64>,
}

/// How cohorts fared.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Split {
    /// Dimensions.
    pub dimensions: Vec<String>,
    /// Cohorts.
    pub rows: Vec<SplitRow>,
}

/// Who is hit.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Impact {
    /// Observations in the affected cohort since the onset.
    pub sessions: u64,
    /// Share of all on that subject.
    pub share: f64,
    /// In words.
    pub text: String,
}

/// What may be done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mitigation {
    /// Name of the action in the ontology.
    pub action: String,
    /// One line.
    pub title: String,
    /// Acted upon.
    pub target: Entity,
    /// Why it would help.
    pub why: String,
    /// How many it reaches.
    pub reach_sessions: u64,
    /// How it is taken back.
    pub undo: String,
    /// Who decides: propose, approve, automatic.
    pub trust: String,
}

/// One task of the plan, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanRow {
    /// For whom.
    pub expert: String,
    /// What to do.
    pub task: String,
    /// How many things were compared.
    pub looked_at: usize,
    /// How many findings came of it.
    pub findings: usize,
    /// What was missing.
    pub missing: Vec<String>,
}

/// Names of the two moments kept for comparison.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshots {
    /// Healthy.
    pub healthy: String,
    /// Degraded.
    pub degraded: String,
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// Made of the question, the moment and what was found.
    pub id: String,
    /// The question as asked.
    pub question: String,
    /// The moment it was asked about.
    pub as_of: String,
    /// What came of it.
    pub status: Status,
    /// One sentence.
    pub headline: String,
    /// What the question was taken to ask.
    pub understood: Understood,
    /// Words that mean nothing here.
    pub not_understood: Vec<Unknown>,
    /// Figures of the headline, where another question than "why" was asked.
    pub reply: Vec<Evidence>,
    /// What regressed.
    pub regression: Option<Regression>,
    /// What was compared.
    pub windows: Option<Windows>,
    /// Which side.
    pub tier: TierVerdict,
    /// Likeliest first.
    pub causes: Vec<Cause>,
    /// What it is not.
    pub ruled_out: Vec<RuledOut>,
    /// What could not be looked at.
    pub missing: Vec<Missing>,
    /// How cohorts fared.
    pub cohort_split: Split,
    /// Who is hit.
    pub impact: Impact,
    /// What may be done.
    pub mitigations: Vec<Mitigation>,
    /// Who looked at what.
    pub plan: Vec<PlanRow>,
    /// Names of the moments compared.
    pub snapshots: Option<Snapshots>,
    /// Version of the ontology.
    pub ontology_version: String,
}

/// A short stable id made of texts (FNV-1a, 64 bits: ids of one site's answers do not collide by chance).
pub(crate) fn digest<'a>(prefix: &str, parts: impl IntoIterator<Item = &'a str>) -> String {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for part in parts {
        for byte in part.bytes().chain([0]) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
    format!("{prefix}-{hash:016x}")
}

/// A moment as answers print it.
pub(crate) fn moment(t: Time) -> String {
    t.to_string()
}
