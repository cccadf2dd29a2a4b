//! The competency questions as SPARQL over an exported snapshot, one query for each line of a question.
//!
//! What rules conclude only when asked is not in a snapshot, so a query says the rule instead. Each step stands in a group of
//! its own: engines that reorder do so all the same, and those that do not, walk the path as it is written.

use super::{ExportError, RDFS, Terms, XSD};
use crate::model::{ClassId, Ontology, RelationId};
use crate::paths::{Narrow, Path, Repeat};
use crate::premise::{Premise, Term};
use crate::rules::{Conclusion, Keep, Rule};
use std::io::Write;

/// Writes every line of every question as a query of its own, each after a comment `# NAME line N: QUESTION`.
///
/// # Errors
/// When the base IRI is none, a question cannot be said in SPARQL, or the writer fails.
pub fn sparql(o: &Ontology, mut to: impl Write) -> Result<(), ExportError> {
    let terms = Terms::new(o)?;
    for question in &o.questions {
        for (line, path) in (1..).zip(&question.paths) {
            let unsaid = |why| ExportError::Unsaid { question: question.name.clone(), line, why };
            let body = Query::of(o, path).map_err(unsaid)?;
            let ask = question.ask.replace(['\n', '\r'], " ");
            writeln!(
                to,
                "# {} line {line}: {ask}\n# {}",
                question.name,
                path.text.replace(['\n', '\r'], " ")
            )?;
            writeln!(
                to,
                "PREFIX e2e: <{}>\nPREFIX rdfs: <{RDFS}>\nPREFIX xsd: <{XSD}>\n{body}",
                terms.base()
            )?;
        }
    }
    Ok(to.flush()?)
}

/// Name of the variable of a node of a path, and so of its column.
fn variable(path: &Path, index: usize) -> String {
    path.nodes.get(index).and_then(|n| n.name.clone()).unwrap_or_else(|| format!("n{}", index + 1))
}

struct Query<'a> {
    o: &'a Ontology,
    groups: Vec<String>,
    filters: Vec<String>,
    fresh: u32,
}

impl<'a> Query<'a> {
    fn of(o: &'a Ontology, path: &Path) -> Result<String, String> {
        let mut q = Query { o, groups: Vec::new(), filters: Vec::new(), fresh: 0 };
        let mut columns: Vec<String> = Vec::new();
        for (i, node) in path.nodes.iter().enumerate() {
            let x = variable(path, i);
            if let (Some(before), Some(hop)) =
                (i.checked_sub(1), i.checked_sub(1).and_then(|b| path.hops.get(b)))
            {
                let before = variable(path, before);
                let (from, to) = if hop.back { (&x, &before) } else { (&before, &x) };
                let step = q.edge(hop.relation, hop.repeat, from, to)?;
                q.groups.push(format!("{{ {step} }}"));
            }
            let class = q.is(node.class, &x);
            q.groups.push(format!("{{ {class} }}"));
            match node.narrow() {
                Some(Narrow::Is(attr, value)) => {
                    let (attr, value) = (q.attr(&attr), oxrdf::Literal::from(value));
                    q.groups.push(format!("{{ ?{x} {attr} ?{x}_is FILTER(STR(?{x}_is) = {value}) }}"));
                }
                Some(Narrow::Latest) => {
                    let later = q.no_later(node.class, &x);
                    q.filters.push(later);
                }
                Some(Narrow::Before(secs, other))
                    if (0..path.nodes.len()).any(|i| variable(path, i) == other) =>
                {
                    let test = q.before(&x, &other, secs);
                    q.filters.push(test);
                }
                Some(Narrow::Before(..) | Narrow::Open) | None => {}
            }
            if !columns.contains(&x) {
                columns.push(x);
            }
        }
        for x in &columns {
            q.groups.push(format!("{{ ?{x} rdfs:label ?{x}_name }}"));
        }
        let selected: Vec<String> = columns.iter().map(|x| format!("?{x} ?{x}_name")).collect();
        let body: Vec<String> = q.groups.iter().chain(&q.filters).map(|l| format!("  {l}\n")).collect();
        Ok(format!("SELECT DISTINCT {}\nWHERE {{\n{}}}\n", selected.join(" "), body.concat()))
    }

    fn fresh(&mut self, name: &str) -> String {
        self.fresh += 1;
        format!("h{}_{name}", self.fresh)
    }

    fn attr(&self, name: &str) -> String {
        Terms { o: self.o }.attr_named(name).to_string()
    }

    fn is(&self, class: ClassId, x: &str) -> String {
        let kinds: Vec<String> =
            self.o.kinds_of(class).map(|c| format!("e2e:{}", self.o.class_name(c))).collect();
        match kinds.as_slice() {
            [one] => format!("?{x} a {one}"),
            many => format!("?{x} a ?{x}_class FILTER(?{x}_class IN ({}))", many.join(", ")),
        }
    }

    /// A relation and its special cases as a property path.
    fn relation(&self, relation: RelationId) -> String {
        let cases: Vec<String> = (0..)
            .map(RelationId)
            .zip(&self.o.relations)
            .filter(|(id, _)| self.o.is_case_of(*id, relation))
            .map(|(_, r)| format!("e2e:{}", r.name))
            .collect();
        if cases.len() == 1 { cases.concat() } else { format!("({})", cases.join("|")) }
    }

    fn asked(&self, relation: RelationId) -> Vec<&'a Rule> {
        let rules = self.o.rules.rules.iter();
        let about = |r: &Rule| r.concludes().is_some_and(|c| self.o.is_case_of(c, relation));
        rules.filter(|r| r.keep == Keep::Asked && about(r)).collect()
    }

    /// One hop, with what rules conclude about it when asked.
    fn edge(&mut self, relation: RelationId, repeat: Repeat, from: &str, to: &str) -> Result<String, String> {
        let mark = mark(repeat);
        let direct = format!("?{from} {}{mark} ?{to}", self.relation(relation));
        let rules = self.asked(relation);
        if rules.is_empty() {
            return Ok(direct);
        }
        if repeat != Repeat::Once {
            let name = self.o.relation_name(relation);
            return Err(format!(
                "`{name}` follows from rules only when asked, and cannot be asked again and again"
            ));
        }
        let mut ways = vec![format!("{{ {direct} }}")];
        for rule in rules {
            ways.push(format!("{{ {} }}", self.rule(rule, from, to)?));
        }
        Ok(ways.join(" UNION "))
    }

    /// The premises of a rule with its conclusion's ends named.
    fn rule(&mut self, rule: &Rule, from: &str, to: &str) -> Result<String, String> {
        let Conclusion::Relation(_, head_from, head_to) = rule.head else { return Ok(String::new()) };
        let mut names: Vec<String> = Vec::new();
        for (v, name) in (0..).zip(&rule.variables) {
            names.push(match Term::Var(v) {
                t if t == head_from => from.to_owned(),
                t if t == head_to => to.to_owned(),
                _ => self.fresh(name),
            });
        }
        let (mut groups, mut filters) = (Vec::new(), Vec::new());
        for premise in &rule.body {
            let name = |q: &mut Self, term: Term| match term {
                Term::Var(v) => names.get(usize::from(v)).cloned().unwrap_or_default(),
                Term::Any => q.fresh("any"),
            };
            match premise {
                Premise::Edge { steps, repeat, from, to } => {
                    let (from, to) = (name(self, *from), name(self, *to));
                    let step = match steps.as_slice() {
                        [(relation, false)] => self.edge(*relation, *repeat, &from, &to)?,
                        [(relation, true)] => self.edge(*relation, *repeat, &to, &from)?,
                        many => self.any_of(many, *repeat, &from, &to)?,
                    };
                    groups.push(format!("{{ {step} }}"));
                }
                Premise::Is(class, t) => {
                    let x = name(self, *t);
                    groups.push(format!("{{ {} }}", self.is(*class, &x)));
                }
                Premise::Differ(a, b) => {
                    filters.push(format!("FILTER(?{} != ?{})", name(self, *a), name(self, *b)))
                }
                Premise::StartsBefore(a, b, secs) => {
                    let (a, b) = (name(self, *a), name(self, *b));
                    filters.push(self.before(&a, &b, *secs));
                }
                Premise::Not(_) | Premise::During(..) | Premise::Attr { .. } => {
                    return Err(format!("the rule {} does more than join", rule.name));
                }
            }
        }
        groups.extend(filters);
        Ok(groups.join(" "))
    }

    fn any_of(
        &self,
        steps: &[(RelationId, bool)],
        repeat: Repeat,
        from: &str,
        to: &str,
    ) -> Result<String, String> {
        let mut ways = Vec::new();
        for (relation, back) in steps {
            if !self.asked(*relation).is_empty() {
                let name = self.o.relation_name(*relation);
                return Err(format!(
                    "`{name}` follows from rules only when asked, and cannot be one of several"
                ));
            }
            ways.push(format!("{}{}", if *back { "^" } else { "" }, self.relation(*relation)));
        }
        Ok(format!("?{from} ({}){} ?{to}", ways.join("|"), mark(repeat)))
    }

    /// That one thing began before another, by at most so many seconds.
    fn before(&mut self, a: &str, b: &str, secs: i64) -> String {
        let (at_a, at_b) = (self.fresh("began"), self.fresh("began"));
        format!(
            "{{ ?{a} e2e:began ?{at_a} }} {{ ?{b} e2e:began ?{at_b} }} \
             FILTER(?{at_a} <= ?{at_b} && ?{at_b} <= ?{at_a} + \"PT{secs}S\"^^xsd:dayTimeDuration)"
        )
    }

    /// That none of a thing's siblings was first seen later than it.
    fn no_later(&self, class: ClassId, x: &str) -> String {
        let shared = self.o.key_relations(class);
        let shared: Vec<String> =
            shared.into_iter().map(|r| format!("e2e:{}", self.o.relation_name(r))).collect();
        let siblings = if shared.is_empty() {
            String::new()
        } else {
            let path = shared.join("|");
            format!("?{x} ({path}) ?{x}_parent . ?{x}_other ({path}) ?{x}_parent . ")
        };
        format!(
            "FILTER NOT EXISTS {{ {siblings}?{x} a ?{x}_kind . ?{x}_other a ?{x}_kind . \
             ?{x} e2e:first_seen ?{x}_first . ?{x}_other e2e:first_seen ?{x}_later FILTER(?{x}_later > ?{x}_first) }}"
        )
    }
}

fn mark(repeat: Repeat) -> &'static str {
    match repeat {
        Repeat::Once => "",
        Repeat::OneOrMore => "+",
        Repeat::AnyNumber => "*",
    }
}
