//! What each source of the mapping gives when its records come: classes, relations between which classes, measures.

use crate::mapping::{PartPlan, Pick, Reads, Source, Start, Table};
use crate::model::{ClassId, MeasureId, Ontology, RelationId};
use std::collections::BTreeSet;

/// What one source gives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gives {
    /// Classes of the nodes it recognises.
    pub classes: BTreeSet<ClassId>,
    /// Relations that it draws, with the classes they join.
    pub relations: BTreeSet<(RelationId, ClassId, ClassId)>,
    /// Measures that it reads.
    pub measures: BTreeSet<MeasureId>,
}

impl Ontology {
    /// What each source gives, by its place in [`crate::Mapping::sources`].
    pub fn gives(&self) -> Vec<Gives> {
        self.mapping.sources.iter().map(|s| self.given_by(s)).collect()
    }

    fn given_by(&self, source: &Source) -> Gives {
        // What else one record of it can name: read from the same records, or from the resource they stand under.
        let beside: BTreeSet<ClassId> = self
            .mapping
            .sources
            .iter()
            .filter(|other| together(source, other))
            .flat_map(|other| &other.tables)
            .filter(|t| t.role.is_none())
            .map(|t| t.class)
            .collect();
        let mut gives = Gives {
            classes: source.tables.iter().map(|t| t.class).collect(),
            measures: source.measures.iter().map(|m| m.measure).collect(),
            ..Gives::default()
        };
        let class_at = |place: usize| source.tables.get(place).map(|t| t.class);
        for auto in &source.auto {
            gives.relations.extend(
                class_at(auto.from).zip(class_at(auto.to)).map(|(from, to)| (auto.relation, from, to)),
            );
        }
        for table in &source.tables {
            gives.relations.extend(self.by_key(source, table, &beside));
        }
        for edge in &source.edges {
            let named = |c: &ClassId| beside.contains(c) || gives.classes.contains(c);
            let kinds = |class: ClassId| -> Vec<ClassId> { self.kinds_of(class).filter(named).collect() };
            let picked =
                |picks: &[Pick]| -> Vec<ClassId> { picks.iter().flat_map(|p| kinds(p.class)).collect() };
            let from = match &edge.from {
                Start::Here(picks) => picked(picks),
                Start::Parent(class) => kinds(*class),
            };
            let to = picked(&edge.to);
            gives.relations.extend(from.iter().flat_map(|a| to.iter().map(|b| (edge.relation, *a, *b))));
        }
        for own in source.tables.iter().filter(|t| t.role.is_none()).map(|t| t.class) {
            for other in &beside {
                for (from, to) in [(own, *other), (*other, own)] {
                    let implied = self.mapping.auto_between(from, to);
                    gives.relations.extend(implied.iter().map(|r| (*r, from, to)));
                }
            }
        }
        gives
    }

    /// Relations that a table's key needs, and so draws.
    fn by_key(
        &self,
        source: &Source,
        table: &Table,
        beside: &BTreeSet<ClassId>,
    ) -> Vec<(RelationId, ClassId, ClassId)> {
        let mut all = Vec::new();
        for part in table.keys.iter().flat_map(|k| &k.parts) {
            let PartPlan::Related { relation, classes, helper } = part else { continue };
            match helper.and_then(|h| source.tables.get(h)) {
                Some(helper) => all.push((*relation, table.class, helper.class)),
                None => all.extend(
                    classes.iter().filter(|c| beside.contains(c)).map(|to| (*relation, table.class, *to)),
                ),
            }
        }
        all
    }
}

/// Whether two sources can read one record, its resource included.
fn together(a: &Source, b: &Source) -> bool {
    let telemetry = |s: &Source| s.reads.iter().any(|r| !matches!(r, Reads::Feed(_)));
    let resource = |s: &Source| s.reads.contains(&Reads::Resource);
    a.reads.iter().any(|r| b.reads.contains(r))
        || (resource(a) && telemetry(b))
        || (resource(b) && telemetry(a))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SourceFile;

    /// Beside the built-in sources, so that a change of those does not matter here.
    const SITE: &str = r##"
sources:
  tiny.deploy:
    reads: tiny
    Service:        {namespace: "''", name: service}
    ServiceVersion: {version: version, service: service}
    Deployment:     {deployment_id: id}
    Team:           {name: team}
    edges: ["Service -owned_by-> Team"]
  tiny.calls:
    reads: tiny_calls
    Service#from:   {namespace: "''", name: from}
    Service:        {namespace: "''", name: to}
    edges: ["Service#from -depends_on-> Service"]
  tiny.alert:
    reads: tiny_alerts
    Alert:   {fingerprint: id, started_at: at}
    Service: {namespace: "''", name: service}
    Host:    {host_id: host}
    edges: ["Alert -about-> most specific of [Host, Service]"]
"##;

    fn given(source: &str) -> Vec<String> {
        let site = SourceFile { name: "site.mapping.yaml".to_owned(), text: SITE.to_owned() };
        let o = crate::load(&[site]).unwrap_or_else(|p| panic!("{p}"));
        let place = o.mapping.sources.iter().position(|s| s.name == source).unwrap();
        let gives = o.gives().swap_remove(place);
        let mut all: Vec<String> = gives.classes.iter().map(|c| o.class_name(*c).to_owned()).collect();
        all.extend(gives.relations.iter().map(|(r, a, b)| {
            format!("{} -{}-> {}", o.class_name(*a), o.relation_name(*r), o.class_name(*b))
        }));
        all.extend(gives.measures.iter().map(|m| o.measures[m.index()].name.clone()));
        all.sort();
        all
    }

    #[test]
    fn a_feed_gives_its_tables_their_edges_and_what_their_keys_need() {
        let wanted = [
            "Deployment",
            "Deployment -deploys-> ServiceVersion",
            "Service",
            "Service -owned_by-> Team",
            "ServiceVersion",
            "ServiceVersion -version_of-> Service",
            "Team",
        ];
        assert_eq!(given("tiny.deploy"), wanted);
        assert_eq!(given("tiny.calls"), ["Service", "Service -depends_on-> Service"]);
        assert_eq!(
            given("tiny.alert"),
            ["Alert", "Alert -about-> Host", "Alert -about-> Service", "Host", "Service"]
        );
    }

    #[test]
    fn telemetry_gives_edges_between_a_record_and_its_resource_and_from_the_step_before() {
        let all = given("otlp.span.server");
        for wanted in [
            "Operation -operation_of-> Service",
            "Operation -calls-> Operation",
            "Interaction -called-> Operation",
            "operation.latency",
        ] {
            assert!(all.iter().any(|a| a == wanted), "{wanted} is missing in {all:?}");
        }
        assert!(!all.iter().any(|a| a.contains("Deployment")), "{all:?}");
        assert!(given("otlp.resource").iter().any(|a| a == "Instance -runs_on-> Host"));
    }
}
