//! What the mapping needs looked up once instead of per record: which fields touch which table, what recognising reads, which
//! classes make a cohort.

use crate::names::Names;
use crate::record::FieldSet;
use ontology::expr::{Expr, FieldId, Test};
use ontology::mapping::{KeyPlan, PartPlan, Reads, Source};
use ontology::model::{Grain, Type};
use ontology::{AttrId, ClassId, Ontology, RelationId};
use rustc_hash::FxHashMap;

/// The names under which a record's own parts, as OTLP defines them, are told to the mapping.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Parts {
    /// The name of the source whose form it came in.
    pub via: Option<FieldId>,
    pub time: Option<FieldId>,
    pub observed_at: Option<FieldId>,
    pub span_id: Option<FieldId>,
    pub span_parent_id: Option<FieldId>,
    pub span_name: Option<FieldId>,
    pub span_kind: Option<FieldId>,
    pub span_duration: Option<FieldId>,
    pub span_status: Option<FieldId>,
    pub trace_id: Option<FieldId>,
    pub event_name: Option<FieldId>,
    pub severity: Option<FieldId>,
    pub severity_number: Option<FieldId>,
    pub metric_name: Option<FieldId>,
    pub metric_unit: Option<FieldId>,
    pub metric_value: Option<FieldId>,
    pub metric_number: Option<FieldId>,
    pub metric_count: Option<FieldId>,
    pub metric_sum: Option<FieldId>,
}

impl Parts {
    fn of(o: &Ontology) -> Parts {
        let f = |name: &str| o.mapping.fields.id(name);
        Parts {
            via: f("via"),
            time: f("time"),
            observed_at: f("observed_at"),
            span_id: f("span.id"),
            span_parent_id: f("span.parent.id"),
            span_name: f("span.name"),
            span_kind: f("span.kind"),
            span_duration: f("span.duration"),
            span_status: f("span.status"),
            trace_id: f("trace.id"),
            event_name: f("event.name"),
            severity: f("severity"),
            severity_number: f("severity_number"),
            metric_name: f("metric.name"),
            metric_unit: f("metric.unit"),
            metric_value: f("metric.value"),
            metric_number: f("metric.number"),
            metric_count: f("metric.count"),
            metric_sum: f("metric.sum"),
        }
    }

    /// Whether a field is different in nearly every record, so that no two records look alike in it.
    pub(crate) fn is_fleeting(&self, field: FieldId) -> bool {
        let ids = [self.span_id, self.span_parent_id, self.trace_id];
        let values = [self.time, self.span_duration, self.metric_number];
        ids.into_iter().chain(values).flatten().any(|f| f == field)
    }

    fn all(&self) -> impl Iterator<Item = FieldId> {
        [
            self.via,
            self.time,
            self.observed_at,
            self.span_id,
            self.span_parent_id,
            self.span_name,
            self.span_kind,
            self.span_duration,
            self.span_status,
            self.trace_id,
            self.event_name,
            self.severity,
            self.severity_number,
            self.metric_name,
            self.metric_unit,
            self.metric_value,
            self.metric_number,
            self.metric_count,
            self.metric_sum,
        ]
        .into_iter()
        .flatten()
    }
}

/// A table and the fields that matter to it.
#[derive(Debug)]
pub(crate) struct TablePlan {
    /// Fields whose presence in a record means that what its resource told is not the last word.
    pub fields: FieldSet,
    /// Fields of its keys that only a record about such a thing has: no field that another table of the source is known by.
    pub key_fields: FieldSet,
    /// Whether values can come in lists.
    pub repeats: Vec<FieldId>,
}

/// A source and the fields that matter to it.
#[derive(Debug)]
pub(crate) struct SourcePlan {
    pub also_resource: bool,
    pub tables: Vec<TablePlan>,
    /// Everything that its tables and the conditions of its edges and ends read. What it measures is not among it.
    pub reads: Vec<FieldId>,
}

/// The sources of one kind of record, and what decides which of them apply.
#[derive(Debug)]
pub(crate) struct Reading {
    /// By place in the mapping.
    pub sources: Vec<usize>,
    /// Everything that conditions and recognition read.
    pub reads: FieldSet,
    /// Fields of which a condition asks only whether they are there and hold.
    pub asked: Vec<FieldId>,
    /// Fields whose values a condition compares.
    pub compared: Vec<FieldId>,
}

/// Sources by the records they read, and what the ontology says of classes.
#[derive(Debug)]
pub(crate) struct Plan {
    pub parts: Parts,
    pub fields: usize,
    pub names: Names,
    /// By place in the mapping.
    pub sources: Vec<SourcePlan>,
    pub resource: Vec<usize>,
    pub span: Reading,
    pub span_event: Reading,
    pub log: Reading,
    pub point: Reading,
    /// Those that may apply to a metric of this name; most say by name which they read.
    by_metric: FxHashMap<Box<str>, Vec<usize>>,
    /// Those that may apply to a metric of any other name.
    metric: Vec<usize>,
    /// By [`ClassId`]: whether a node of it is a dimension of cohorts.
    pub dimension: Vec<bool>,
    /// By [`ClassId`]: the times that say when a node of it happened.
    pub happened: Vec<Vec<AttrId>>,
    /// By from × to: relations implied by one record naming both.
    auto: Vec<Vec<RelationId>>,
    classes: usize,
}

impl Plan {
    pub(crate) fn new(o: &Ontology) -> Plan {
        let fields = o.mapping.fields.len();
        let parts = Parts::of(o);
        let sources: Vec<SourcePlan> = o.mapping.sources.iter().map(|s| source(s, fields, &parts)).collect();
        let places = |what: &Reads| -> Vec<usize> {
            let all = o.mapping.sources.iter().enumerate();
            all.filter(|(_, s)| s.reads.contains(what)).map(|(i, _)| i).collect()
        };
        let reading = |what: &Reads| reading(o, &sources, places(what), fields);
        let (by_metric, metric) = by_name(o, &parts, &places(&Reads::Metric));
        let ids: Vec<ClassId> = (0..).map(ClassId).take(o.classes.len()).collect();
        let auto = ids
            .iter()
            .flat_map(|from| ids.iter().map(|to| o.mapping.auto_between(*from, *to).to_vec()))
            .collect();
        Plan {
            parts,
            fields,
            names: Names::new(&o.mapping.fields),
            resource: places(&Reads::Resource),
            span: reading(&Reads::Span),
            span_event: reading(&Reads::SpanEvent),
            log: reading(&Reads::Log),
            point: reading(&Reads::Metric),
            by_metric,
            metric,
            sources,
            dimension: ids.iter().map(|c| dimension(o, *c)).collect(),
            happened: ids.iter().map(|c| happened(o, *c)).collect(),
            auto,
            classes: ids.len(),
        }
    }

    /// The sources that may apply to a metric of this name, in their order.
    pub(crate) fn metric(&self, name: &str) -> &[usize] {
        self.by_metric.get(name).unwrap_or(&self.metric)
    }

    /// Relations implied by one record naming a node of both classes.
    pub(crate) fn auto_between(&self, from: ClassId, to: ClassId) -> &[RelationId] {
        self.auto.get(from.index() * self.classes + to.index()).map(Vec::as_slice).unwrap_or_default()
    }
}

fn read(e: &Expr) -> Vec<FieldId> {
    let mut all = Vec::new();
    e.fields(&mut all);
    all
}

fn reading(o: &Ontology, plans: &[SourcePlan], sources: Vec<usize>, fields: usize) -> Reading {
    let (mut asked, mut compared) = (Vec::new(), Vec::new());
    let mut reads = FieldSet::new(fields);
    for number in &sources {
        let when = o.mapping.sources.get(*number).and_then(|s| s.when.as_ref());
        if let Some(when) = when {
            questions(when, &mut asked, &mut compared);
            read(when).into_iter().for_each(|f| reads.insert(f));
        }
        plans.get(*number).into_iter().flat_map(|p| &p.reads).for_each(|f| reads.insert(*f));
    }
    for all in [&mut asked, &mut compared] {
        all.sort_unstable();
        all.dedup();
    }
    asked.retain(|f| !compared.contains(f));
    Reading { sources, reads, asked, compared }
}

/// Sorts the fields of a condition into those of which it asks only whether they hold and those whose values it compares.
/// Ids of sessions are asked for, kinds of spans compared.
fn questions(e: &Expr, asked: &mut Vec<FieldId>, compared: &mut Vec<FieldId>) {
    match e {
        Expr::Field(f) => asked.push(*f),
        Expr::First(all) | Expr::And(all) | Expr::Or(all) => {
            all.iter().for_each(|e| questions(e, asked, compared));
        }
        Expr::Not(e) => questions(e, asked, compared),
        Expr::If(both) => {
            questions(&both.0, asked, compared);
            questions(&both.1, asked, compared);
        }
        other => other.fields(compared),
    }
}

/// Most metrics that others send are read by no source; they need not be tried on all of them.
fn by_name(o: &Ontology, parts: &Parts, sources: &[usize]) -> (FxHashMap<Box<str>, Vec<usize>>, Vec<usize>) {
    let names: Vec<(usize, Option<Vec<&str>>)> = sources
        .iter()
        .map(|i| (*i, o.mapping.sources.get(*i).and_then(|s| names(s.when.as_ref()?, parts.metric_name?))))
        .collect();
    let any = names.iter().filter(|n| n.1.is_none()).map(|n| n.0).collect();
    let mut by_name: FxHashMap<Box<str>, Vec<usize>> = FxHashMap::default();
    for name in names.iter().filter_map(|n| n.1.as_ref()).flatten() {
        let reads = |n: &&(usize, Option<Vec<&str>>)| n.1.as_ref().is_none_or(|all| all.contains(name));
        by_name.entry((*name).into()).or_insert_with(|| names.iter().filter(reads).map(|n| n.0).collect());
    }
    (by_name, any)
}

/// The only values of a field with which a condition can hold; `None` when others may do.
fn names(when: &Expr, field: FieldId) -> Option<Vec<&str>> {
    match when {
        Expr::And(all) => all.iter().find_map(|e| names(e, field)),
        Expr::Is(of, test) if **of == Expr::Field(field) => match test {
            Test::Equal(word) => Some(vec![&*word.text]),
            Test::In(words) => Some(words.iter().map(|w| &*w.text).collect()),
            _ => None,
        },
        _ => None,
    }
}

fn source(s: &Source, fields: usize, parts: &Parts) -> SourcePlan {
    let mut tables: Vec<TablePlan> = Vec::new();
    for t in &s.tables {
        let mut all = FieldSet::of(fields, t.fields.iter().copied());
        let mut key_fields = FieldSet::new(fields);
        let needs = |k: &KeyPlan| k.parts.clone();
        for part in t.keys.iter().flat_map(needs) {
            match part {
                PartPlan::Attr(i) => {
                    if let Some((_, e)) = t.attrs.get(i) {
                        read(e).into_iter().for_each(|f| key_fields.insert(f));
                    }
                }
                PartPlan::Related { classes, helper, .. } => {
                    // The node a key leads to may change with the fields that it is recognised by.
                    let near = s.tables.iter().enumerate().take(tables.len());
                    for (_, other) in near.filter(|(i, o)| helper == Some(*i) || classes.contains(&o.class)) {
                        other.fields.iter().for_each(|f| all.insert(*f));
                    }
                }
            }
        }
        parts.all().for_each(|f| key_fields.remove(f));
        // A field that another table is recognised by says nothing of this one: every service has a name, few say a version.
        let others = s.tables.iter().filter(|o| o.class != t.class);
        let shared = others.flat_map(|o| o.keys.iter().map(move |k| (o, k)));
        for (other, key) in shared.filter(|(_, k)| k.slot == 0) {
            let attrs = key.parts.iter().filter_map(|p| match p {
                PartPlan::Attr(i) => other.attrs.get(*i),
                PartPlan::Related { .. } => None,
            });
            attrs.flat_map(|(_, e)| read(e)).for_each(|f| key_fields.remove(f));
        }
        tables.push(TablePlan { fields: all, key_fields, repeats: t.fields.clone() });
    }
    let conditions = s.edges.iter().filter_map(|e| e.when.as_ref()).chain(s.closes.iter().map(|c| &c.when));
    let mut reads: Vec<FieldId> = s.tables.iter().flat_map(|t| &t.attrs).flat_map(|(_, e)| read(e)).collect();
    reads.extend(s.tables.iter().flat_map(|t| &t.fields));
    reads.extend(conditions.flat_map(read));
    reads.sort_unstable();
    reads.dedup();
    SourcePlan { also_resource: s.reads.contains(&Reads::Resource), tables, reads }
}

/// What a population can be split by: components, and what a thing of which only samples are kept has exactly one of
/// (a session's country). Not an error a record happened to end in: split by it, everything in the part has failed.
fn dimension(o: &Ontology, class: ClassId) -> bool {
    let Some(c) = o.classes.get(class.index()) else { return false };
    if c.grain == Grain::Sampled {
        return false;
    }
    let component = o.class("Component").is_none_or(|general| o.is_a(class, general));
    let event = o.class("Event").is_some_and(|general| o.is_a(class, general));
    let of_sampled = o.relations.iter().filter(|r| r.single).flat_map(|r| &r.arrows).any(|(from, to)| {
        let sampled = o.classes.get(from.index()).is_some_and(|f| f.grain == Grain::Sampled);
        sampled && o.is_a(class, *to)
    });
    (component || of_sampled) && !event
}

fn happened(o: &Ontology, class: ClassId) -> Vec<AttrId> {
    let Some(event) = o.class("Event").filter(|e| o.is_a(class, *e)) else { return Vec::new() };
    let attrs = o.classes.get(class.index()).map(|c| c.attrs.as_slice()).unwrap_or_default();
    let of_event =
        |a: &&AttrId| o.attrs.get(a.index()).is_some_and(|a| a.class == event && a.ty == Type::Time);
    attrs.iter().filter(of_event).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_is_tried_on_the_sources_that_may_read_it_and_on_no_other() {
        let o = Ontology::builtin();
        let plan = Plan::new(&o);
        let tried = |name: &str| -> Vec<&str> {
            plan.metric(name).iter().map(|i| o.mapping.sources[*i].name.as_str()).collect()
        };
        let (up, other) = (tried("up"), tried("some_other_metric"));
        assert!(up.contains(&"prometheus.up") && !up.contains(&"prometheus.host"), "{up:?}");
        // A source that asks for the end of a name may read any.
        assert!(other.contains(&"statsd.request") && !other.contains(&"prometheus.up"), "{other:?}");
        let all: Vec<&str> = o.mapping.reading(&Reads::Metric).map(|s| s.name.as_str()).collect();
        assert!(up.len() < all.len() && up.is_sorted_by_key(|n| all.iter().position(|a| a == n)), "{up:?}");
    }
}
