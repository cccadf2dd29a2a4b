//! How raw records become facts: the mapping files, compiled. The header of `default/mapping.yaml` documents the language.
//!
//! A receiver flattens each record to the fields in [`Fields`] and applies every [`Source`] that reads its kind of record:
//! recognise the classes of its tables, complete their keys, draw auto edges and written edges, read measures.

use crate::expr::{Expr, FieldId, Fields, Lookup};
use crate::model::{AttrId, ClassId, MeasureId, Ontology, RelationId};
use std::collections::BTreeMap;

pub(crate) use crate::compile::resolve;

/// A role of a second node of a class in one record: `Service#to`. An index into [`Mapping::roles`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RoleId(pub u8);

/// Which records a source reads.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reads {
    /// OTLP resources, once per distinct resource; what is recognised here is part of every record under it.
    Resource,
    /// Spans.
    Span,
    /// Events of spans.
    SpanEvent,
    /// Log records, events included.
    Log,
    /// Metric points.
    Metric,
    /// Elements of the JSON feed of this name.
    Feed(String),
}

/// One node that a record may name.
#[derive(Clone, Debug)]
pub struct Table {
    /// Its class; never abstract.
    pub class: ClassId,
    /// Its role, when the record names several of the class. Nodes in a role get no auto edges.
    pub role: Option<RoleId>,
    /// Attributes and where their values come from, in attribute order.
    pub attrs: Vec<(AttrId, Expr)>,
    /// The keys that can become complete here, strongest first. At least one must be, else the node is not recognised.
    pub keys: Vec<KeyPlan>,
    /// Every field that `attrs` reads. Where some of them hold lists in a record, the table gives one node per index (fields
    /// that hold one value repeat it; the shortest list decides). All tables of a source that repeat are read side by side:
    /// edges between two of them join equal indexes.
    pub fields: Vec<FieldId>,
    /// Made from `relation: expression` in another table (its place in [`Source::tables`]): read with that table's index, so
    /// the two stay side by side.
    pub helper_of: Option<usize>,
    /// Its attributes and relations with their expressions, as written.
    pub written: Vec<(String, String)>,
}

/// How one key of a table's class is completed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyPlan {
    /// Which key: see [`crate::fact::Key::slot`].
    pub slot: u8,
    /// Its parts, in the order of the class's key.
    pub parts: Vec<PartPlan>,
}

/// Where one part of a key comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PartPlan {
    /// The value of `attrs[index]`.
    Attr(usize),
    /// The node the relation leads to: the helper table when there is one, else the node without a role of one of these
    /// classes in the same source, else in the record. The relation is drawn to it.
    Related {
        /// The relation.
        relation: RelationId,
        /// Classes with nodes that it can lead to.
        classes: Vec<ClassId>,
        /// The table (place in [`Source::tables`]) made for it by `relation: expression`.
        helper: Option<usize>,
    },
}

/// An edge implied by two tables of one source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AutoEdge {
    /// What to draw.
    pub relation: RelationId,
    /// From: place in [`Source::tables`].
    pub from: usize,
    /// To: place in [`Source::tables`].
    pub to: usize,
}

/// A node of the record, by class and role; a kind of the class fits too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pick {
    /// Its class.
    pub class: ClassId,
    /// Its role.
    pub role: Option<RoleId>,
}

/// Where a written edge starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// At a node of the record; the first that is recognised.
    Here(Vec<Pick>),
    /// `Class@parent`: at the nearest ancestor step, as [`crate::fact::Upward`] says.
    Parent(ClassId),
}

/// An edge that the mapping writes out.
#[derive(Clone, Debug)]
pub struct EdgeRule {
    /// Where it starts.
    pub from: Start,
    /// What it is.
    pub relation: RelationId,
    /// Where it leads: `most specific of [..]` gives several, the first that is recognised counts.
    pub to: Vec<Pick>,
    /// Only if this holds.
    pub when: Option<Expr>,
    /// As written, for messages.
    pub text: String,
}

/// A measure read from a record.
#[derive(Clone, Debug)]
pub struct MeasureRule {
    /// Which.
    pub measure: MeasureId,
    /// The class of the node it is put on.
    pub of: ClassId,
    /// Its value; [`crate::scalar::Scalar::Point`] stands for the record's metric point whatever its shape.
    pub value: Expr,
}

/// When a record ends a node.
#[derive(Clone, Debug)]
pub struct Closing {
    /// Which node.
    pub node: Pick,
    /// If this holds.
    pub when: Expr,
}

/// One mapping: what one kind of record says.
#[derive(Clone, Debug)]
pub struct Source {
    /// Its name: `otlp.resource`, `alertmanager`.
    pub name: String,
    /// Names it had before, oldest first.
    pub was: Vec<String>,
    /// Which records it reads.
    pub reads: Vec<Reads>,
    /// For feeds: the record is one element of this list; fields outside the list belong to each element.
    pub each: Option<String>,
    /// Only records for which this holds.
    pub when: Option<Expr>,
    /// The same as written.
    pub when_text: Option<String>,
    /// For feeds: when the record happened, where no event that it names says so.
    pub at: Option<Expr>,
    /// The nodes, in an order in which every key finds its relations already recognised.
    pub tables: Vec<Table>,
    /// Edges implied by two of its tables ([`crate::model::Auto::Table`]).
    pub auto: Vec<AutoEdge>,
    /// Edges written out.
    pub edges: Vec<EdgeRule>,
    /// Measures.
    pub measures: Vec<MeasureRule>,
    /// What it ends.
    pub closes: Vec<Closing>,
    /// What it sets aside.
    pub asides: Vec<Aside>,
    /// Position in the `trust` list; smaller wins.
    pub rank: u16,
}

/// How requests of a feed come in. A feed that some source reads and no file says more of is plain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Feed {
    /// What sends it.
    pub doc: String,
    /// HTTP headers, in lower case, that its records see as `header.NAME`.
    pub headers: Vec<String>,
    /// Dotted names of objects whose member names are data: each is read as a list of its members, with the name as `key`, and
    /// with `value` when the member is no object.
    pub maps: Vec<String>,
    /// Whether web pages may send it.
    pub pages: bool,
    /// Further names of attributes that are never kept in clear.
    pub personal: Vec<String>,
    /// Whether its senders add a path of their own to the address, which its records see as `request.path`.
    pub beneath: bool,
    /// How a sender proves who it is.
    pub signed: Option<Signed>,
    /// Fields that hold the document proper, and the name under which its records see what stands around it.
    pub unwrap: Vec<(String, String)>,
    /// Fields with named values whose fingerprint its records see as `digest.NAME`.
    pub digest: Vec<String>,
    /// Other addresses at which it is taken, for senders that choose their own.
    pub paths: Vec<String>,
    /// Whether its documents say what is there as they are sent: things in them are seen then, whatever times the events
    /// beside them have.
    pub present: bool,
    /// Whether its documents tell of events again while they go on: what they say of them is of the moment they are sent.
    pub updates: bool,
    /// Whether it is a log: each line of a body is a document by itself. One that is no JSON is set aside alone, and lines that
    /// are equal are as many records.
    pub lines: bool,
}

/// How the sender of a feed proves who it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// The HTTP header that holds the proof, in lower case.
    pub header: String,
    /// What the proof is.
    pub by: Proof,
    /// What stands before it.
    pub prefix: String,
    /// What is signed, one part after the other.
    pub over: Vec<SignedPart>,
    /// Whether requests are also taken without a proof as long as no secret is set.
    pub optional: bool,
}

/// A part of what a sender signs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SignedPart {
    /// This text.
    Text(String),
    /// The value of an HTTP header, its name in lower case.
    Header(String),
    /// The body as sent.
    Body,
}

/// What proves who sent a request. Either needs a secret that both sides know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// HMAC-SHA256 of what is signed, in hexadecimal.
    HmacSha256,
    /// The secret itself.
    Token,
}

/// What a record says that has no place here.
#[derive(Clone, Debug)]
pub struct Aside {
    /// Why it is set aside, for people.
    pub reason: String,
    /// If this holds; looked at for each element of the fields that hold lists.
    pub when: Expr,
    /// The fields it reads.
    pub fields: Vec<FieldId>,
}

/// All mapping files, compiled.
#[derive(Clone, Debug, Default)]
pub struct Mapping {
    /// Sources (or their first parts: `otlp`), most trusted first.
    pub trust: Vec<String>,
    /// Lookup tables.
    pub lookups: Vec<Lookup>,
    /// Every field that is read.
    pub fields: Fields,
    /// What is said of feeds beside their sources, by name.
    pub feeds: BTreeMap<String, Feed>,
    /// Names of attributes that some expression hashes, old names too; sorted.
    pub hashed: Vec<String>,
    /// Further names of attributes of telemetry that are never kept in clear.
    pub personal: Vec<String>,
    /// The sources, in file order: the order in which they are applied to a record.
    pub sources: Vec<Source>,
    /// Names of roles, by [`RoleId`].
    pub roles: Vec<String>,
    /// Relations implied by two classes in one record ([`crate::model::Auto::Record`]).
    pub(crate) record_auto: BTreeMap<(ClassId, ClassId), Vec<RelationId>>,
}

impl Mapping {
    /// Relations drawn between a node of one class and a node of another when one record (resource included) names both.
    pub fn auto_between(&self, from: ClassId, to: ClassId) -> &[RelationId] {
        self.record_auto.get(&(from, to)).map(Vec::as_slice).unwrap_or_default()
    }

    /// The sources that read this kind of record, in order.
    pub fn reading<'a>(&'a self, what: &'a Reads) -> impl Iterator<Item = &'a Source> {
        self.sources.iter().filter(move |s| s.reads.contains(what))
    }

    /// How requests of a feed come in; `None` when no source reads it.
    pub fn feed(&self, name: &str) -> Option<Feed> {
        let read =
            self.sources.iter().flat_map(|s| &s.reads).any(|r| matches!(r, Reads::Feed(n) if n == name));
        read.then(|| self.feeds.get(name).cloned().unwrap_or_default())
    }

    /// The names of all feeds that some source reads, in order, each once.
    pub fn feed_names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for read in self.sources.iter().flat_map(|s| &s.reads) {
            if let Reads::Feed(name) = read
                && !names.contains(&name.as_str())
            {
                names.push(name);
            }
        }
        names
    }

    /// How much a source is trusted: its position in the `trust` list, smaller wins.
    pub fn rank(&self, source: &str) -> u16 {
        let fits =
            |t: &String| source == t || source.strip_prefix(t.as_str()).is_some_and(|r| r.starts_with('.'));
        let place = self.trust.iter().position(fits).unwrap_or(self.trust.len());
        u16::try_from(place).unwrap_or(u16::MAX)
    }
}

impl Ontology {
    /// Whether a written end fits a recognised node.
    pub fn fits(&self, pick: Pick, class: ClassId, role: Option<RoleId>) -> bool {
        pick.role == role && self.is_a(class, pick.class)
    }
}
