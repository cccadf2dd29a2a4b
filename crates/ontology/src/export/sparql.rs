//! The competency questions as SPARQL over an exported snapshot, one query for each line of a question.
//!
//! What rules conclude only when asked is not in a snapshot, so a query says the rule instead: as a property path where the
//! rule only leads from one thing to the next, as a `UNION` where it tests more.
//!
//! A query walks as its path is written: the first node's class, then edge by edge. Classes that the relations allow anyway
//! are not tested again, others stand in `FILTER EXISTS`: engines that order patterns by how much of them is known would else
//! begin with every class at once.

use super::{ExportError, RDFS, Terms, XSD};
use crate::model::{ClassId, Ontology, RelationId};
use crate::paths::{Narrow, Path, Reachable, Repeat};
use crate::premise::{Premise, Term};
use crate::rules::{Conclusion, Keep, Rule};
use std::collections::BTreeSet;
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

/// One step of a path: relations with their direction, whether it is turned round, how often it is gone.
type Step<'s> = (&'s Vec<(RelationId, bool)>, bool, Repeat);

struct Query<'a> {
    o: &'a Ontology,
    lines: Vec<String>,
    filters: Vec<String>,
    fresh: u32,
}

impl<'a> Query<'a> {
    fn of(o: &'a Ontology, path: &Path) -> Result<String, String> {
        let mut q = Query { o, lines: Vec::new(), filters: Vec::new(), fresh: 0 };
        let mut columns: Vec<String> = Vec::new();
        let mut reachable = Reachable::new(o);
        let mut possible: BTreeSet<ClassId> = BTreeSet::new();
        for (i, node) in path.nodes.iter().enumerate() {
            let x = variable(path, i);
            let wanted: BTreeSet<ClassId> = o.kinds_of(node.class).collect();
            let hop = i.checked_sub(1).and_then(|b| Some((variable(path, b), path.hops.get(b)?)));
            if let Some((before, hop)) = hop {
                let (from, to) = if hop.back { (&x, &before) } else { (&before, &x) };
                let step = q.edge(hop.relation, hop.repeat, from, to)?;
                q.lines.push(step);
                let pairs = reachable.pairs(&[(hop.relation, hop.back)], hop.repeat);
                let ends = pairs.iter().filter(|(a, _)| possible.contains(a)).map(|(_, b)| *b);
                possible = ends.collect();
                if !possible.is_subset(&wanted) {
                    let class = q.is(node.class, &x);
                    q.filters.push(format!("FILTER EXISTS {{ {class} }}"));
                }
                possible.retain(|c| wanted.contains(c));
            } else {
                let class = q.is(node.class, &x);
                q.lines.push(class);
                possible = wanted;
            }
            q.narrow(node.narrow(), node.class, &x, path);
            if !columns.contains(&x) {
                q.lines.push(format!("?{x} rdfs:label ?{x}_name ."));
                columns.push(x);
            }
        }
        let selected: Vec<String> = columns.iter().map(|x| format!("?{x} ?{x}_name")).collect();
        let body: Vec<String> = q.lines.iter().chain(&q.filters).map(|l| format!("  {l}\n")).collect();
        Ok(format!("SELECT DISTINCT {}\nWHERE {{\n{}}}\n", selected.join(" "), body.concat()))
    }

    fn narrow(&mut self, narrow: Option<Narrow>, class: ClassId, x: &str, path: &Path) {
        let filter = match narrow {
            Some(Narrow::Is(attr, value)) => {
                let (attr, value) = (self.attr(&attr), oxrdf::Literal::from(value));
                format!("FILTER EXISTS {{ ?{x} {attr} ?{x}_is FILTER(STR(?{x}_is) = {value}) }}")
            }
            Some(Narrow::Latest) => self.no_later(class, x),
            Some(Narrow::Before(secs, other))
                if (0..path.nodes.len()).any(|i| variable(path, i) == other) =>
            {
                self.before(x, &other, secs)
            }
            Some(Narrow::Before(..) | Narrow::Open) | None => return,
        };
        self.filters.push(filter);
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
            [one] => format!("?{x} a {one} ."),
            many => format!("?{x} a ?{x}_class . FILTER(?{x}_class IN ({}))", many.join(", ")),
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
        one_of(&cases)
    }

    fn asked(&self, relation: RelationId) -> Vec<&'a Rule> {
        let rules = self.o.rules.rules.iter();
        let about = |r: &Rule| r.concludes().is_some_and(|c| self.o.is_case_of(c, relation));
        rules.filter(|r| r.keep == Keep::Asked && about(r)).collect()
    }

    /// One hop, with what rules conclude about it when asked.
    fn edge(&mut self, relation: RelationId, repeat: Repeat, from: &str, to: &str) -> Result<String, String> {
        let (ways, others) = self.ways(relation);
        let direct = format!("?{from} {}{} ?{to} .", one_of(&ways), mark(repeat));
        if others.is_empty() {
            return Ok(direct);
        }
        if repeat != Repeat::Once {
            let name = self.o.relation_name(relation);
            return Err(format!(
                "`{name}` follows from rules that test more than a path can say, so it cannot be repeated"
            ));
        }
        let mut all = vec![format!("{{ {direct} }}")];
        for rule in others {
            all.push(format!("{{ {} }}", self.rule(rule, from, to)?));
        }
        Ok(all.join(" UNION "))
    }

    /// A relation and what asked rules conclude about it, as paths; and those of the rules that are none.
    fn ways(&self, relation: RelationId) -> (Vec<String>, Vec<&'a Rule>) {
        let mut ways = vec![self.relation(relation)];
        let mut others = Vec::new();
        for rule in self.asked(relation) {
            match self.chain(rule).filter(|c| c.plain) {
                Some(chain) => ways.push(chain.path),
                None => others.push(rule),
            }
        }
        (ways, others)
    }

    /// A rule as a path, when its edges lead in a row from one end of its conclusion to the other.
    fn chain(&self, rule: &'a Rule) -> Option<Chain<'a>> {
        let Conclusion::Relation(_, from, to) = rule.head else { return None };
        let is_end = |t: &Term| *t == from || *t == to;
        let (edges, tests): (Vec<_>, Vec<_>) =
            rule.body.iter().partition(|p| matches!(p, Premise::Edge { .. }));
        let at_ends = tests.iter().all(|p| match p {
            Premise::Is(_, t) => is_end(t),
            Premise::Differ(a, b) | Premise::StartsBefore(a, b, _) => is_end(a) && is_end(b),
            _ => false,
        });
        let mut left = edges;
        let (mut at, mut path, mut met) = (from, Vec::new(), BTreeSet::from([from]));
        let mut ends = Vec::new();
        while !left.is_empty() {
            let next = left
                .iter()
                .position(|p| matches!(p, Premise::Edge { from, to, .. } if *from == at || *to == at))?;
            let Premise::Edge { steps, repeat, from: a, to: b } = left.remove(next) else { return None };
            let turned = *a != at;
            at = if turned { *a } else { *b };
            if at == Term::Any || !met.insert(at) {
                return None;
            }
            let mut some = Vec::new();
            for (relation, back) in steps {
                let (ways, others) = self.ways(*relation);
                if !others.is_empty() {
                    return None;
                }
                some.push(format!("{}{}", if *back == turned { "" } else { "^" }, one_of(&ways)));
            }
            path.push(format!("{}{}", one_of(&some), mark(*repeat)));
            ends.push((steps, turned, *repeat));
        }
        if at != to || !at_ends {
            return None;
        }
        // What the first and the last relation allow may be more than what the conclusion is about.
        let allowed = |(steps, turned, _): &(&Vec<(RelationId, bool)>, bool, Repeat),
                       first: bool|
         -> BTreeSet<ClassId> {
            let arrows = steps.iter().flat_map(|(r, back)| {
                let arrows = self.o.relations.get(r.index()).map_or(&[][..], |r| r.arrows.as_slice());
                arrows.iter().map(move |(d, r)| if first == (back == turned) { *d } else { *r })
            });
            arrows.flat_map(|c| self.o.kinds_of(c)).collect()
        };
        let free = |end: Term, step: Option<&Step<'_>>, first: bool| {
            let Term::Var(v) = end else { return false };
            // Over none of its edges a repeated relation stays where it is.
            let fits = |s: &(&Vec<(RelationId, bool)>, bool, Repeat)| {
                let wanted = rule.classes.get(usize::from(v));
                wanted.is_some_and(|w| allowed(s, first).is_subset(w))
                    && (path.len() > 1 || s.2 != Repeat::AnyNumber)
            };
            step.is_some_and(fits)
        };
        let unbound: Vec<Term> = [(from, free(from, ends.first(), true)), (to, free(to, ends.last(), false))]
            .into_iter()
            .filter(|(_, free)| !free)
            .map(|(t, _)| t)
            .collect();
        let plain = tests.is_empty() && unbound.is_empty();
        Some(Chain { path: path.join("/"), tests, unbound, plain })
    }

    /// The premises of a rule with its conclusion's ends named.
    fn rule(&mut self, rule: &'a Rule, from: &str, to: &str) -> Result<String, String> {
        let Conclusion::Relation(_, head_from, head_to) = rule.head else { return Ok(String::new()) };
        let mut names: Vec<String> = Vec::new();
        for (v, name) in (0..).zip(&rule.variables) {
            names.push(match Term::Var(v) {
                t if t == head_from => from.to_owned(),
                t if t == head_to => to.to_owned(),
                _ => self.fresh(name),
            });
        }
        let (mut lines, mut filters) = (Vec::new(), Vec::new());
        let chain = self.chain(rule);
        let (premises, of_class): (Vec<&Premise>, Vec<Term>) = match chain {
            Some(chain) => {
                lines.push(format!("?{from} {} ?{to} .", one_of(&[chain.path])));
                (chain.tests, chain.unbound)
            }
            None => (rule.body.iter().collect(), vec![head_from, head_to]),
        };
        for premise in premises {
            let name = |q: &mut Self, term: Term| match term {
                Term::Var(v) => names.get(usize::from(v)).cloned().unwrap_or_default(),
                Term::Any => q.fresh("any"),
            };
            match premise {
                Premise::Edge { steps, repeat, from, to } => {
                    let (from, to) = (name(self, *from), name(self, *to));
                    lines.push(match steps.as_slice() {
                        [(relation, false)] => self.edge(*relation, *repeat, &from, &to)?,
                        [(relation, true)] => self.edge(*relation, *repeat, &to, &from)?,
                        many => self.any_of(many, *repeat, &from, &to)?,
                    });
                }
                Premise::Is(class, t) => {
                    let x = name(self, *t);
                    filters.push(format!("FILTER EXISTS {{ {} }}", self.is(*class, &x)));
                }
                Premise::Differ(a, b) => {
                    filters.push(format!("FILTER(?{} != ?{})", name(self, *a), name(self, *b)));
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
        for term in of_class {
            let Term::Var(v) = term else { continue };
            let (Some(x), Some(classes)) = (names.get(usize::from(v)), rule.classes.get(usize::from(v)))
            else {
                continue;
            };
            let classes: Vec<String> =
                classes.iter().map(|c| format!("e2e:{}", self.o.class_name(*c))).collect();
            filters.push(format!(
                "FILTER EXISTS {{ ?{x} a ?{x}_kind . FILTER(?{x}_kind IN ({})) }}",
                classes.join(", ")
            ));
        }
        lines.extend(filters);
        Ok(lines.join(" "))
    }

    fn any_of(
        &self,
        steps: &[(RelationId, bool)],
        repeat: Repeat,
        from: &str,
        to: &str,
    ) -> Result<String, String> {
        let mut all = Vec::new();
        for (relation, back) in steps {
            let (ways, others) = self.ways(*relation);
            if !others.is_empty() {
                let name = self.o.relation_name(*relation);
                return Err(format!(
                    "`{name}` follows from rules that test more than a path can say, so it cannot be one of several"
                ));
            }
            all.push(format!("{}{}", if *back { "^" } else { "" }, one_of(&ways)));
        }
        Ok(format!("?{from} {}{} ?{to} .", one_of(&all), mark(repeat)))
    }

    /// That one thing began before another, by at most so many seconds.
    fn before(&mut self, a: &str, b: &str, secs: i64) -> String {
        let (at_a, at_b) = (self.fresh("began"), self.fresh("began"));
        format!(
            "FILTER EXISTS {{ ?{a} e2e:began ?{at_a} . ?{b} e2e:began ?{at_b} . \
             FILTER(?{at_a} <= ?{at_b} && ?{at_b} <= ?{at_a} + \"PT{secs}S\"^^xsd:dayTimeDuration) }}"
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
            let path = one_of(&shared);
            format!("?{x} {path} ?{x}_parent . ?{x}_other {path} ?{x}_parent . ")
        };
        format!(
            "FILTER NOT EXISTS {{ {siblings}?{x} a ?{x}_kind . ?{x}_other a ?{x}_kind . \
             ?{x} e2e:first_seen ?{x}_first . ?{x}_other e2e:first_seen ?{x}_later . FILTER(?{x}_later > ?{x}_first) }}"
        )
    }
}

/// An asked rule as a path.
struct Chain<'a> {
    path: String,
    /// What it tests of its ends.
    tests: Vec<&'a Premise>,
    /// Ends whose class the path does not settle.
    unbound: Vec<Term>,
    /// Whether the path says it all.
    plain: bool,
}

/// Alternatives of a path.
fn one_of(ways: &[String]) -> String {
    match ways {
        // A sequence binds weaker than what is put around it.
        [one] if !one.contains('/') => one.clone(),
        many => format!("({})", many.join("|")),
    }
}

fn mark(repeat: Repeat) -> &'static str {
    match repeat {
        Repeat::Once => "",
        Repeat::OneOrMore => "+",
        Repeat::AnyNumber => "*",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{SourceFile, load};

    /// The query of a path over the built-in ontology and a few words more, without its head.
    fn written(path: &str) -> String {
        let file = |name: &str, text: &str| SourceFile { name: name.to_owned(), text: text.to_owned() };
        let relations = "
near: {arrow: \"Service -> Service\", card: n..m, time: while, derived: true}
apart: {arrow: \"Service -> Service\", card: n..m, time: while, derived: true}
";
        let rules = "
rules:
  near: {keep: asked, rule: \"near(A, B) <- operation_of^(A, P), calls(P, Q), operation_of(Q, B)\", doc: \"In a row.\"}
  apart: {keep: asked, rule: \"apart(A, B) <- near(A, C), depends_on(A, _), near(C, B), A != B\", doc: \"Not in a row.\"}
";
        let questions = format!("qx: {{ask: \"Which?\", path: [\"{path}\"]}}");
        let o = load(&[
            file("relations.yaml", relations),
            file("rules.yaml", rules),
            file("questions.yaml", &questions),
        ])
        .unwrap_or_else(|p| panic!("{p}"));
        let mut bytes = Vec::new();
        sparql(&o, &mut bytes).unwrap();
        let text = String::from_utf8(bytes).unwrap();
        let body = text.split_once("# qx line 1").unwrap().1.split_once("WHERE {\n").unwrap().1;
        body.trim_end().trim_end_matches('}').to_owned()
    }

    #[track_caller]
    fn check(path: &str, wanted: &str) {
        let found = written(path);
        let lines = |text: &str| {
            text.lines().map(|l| l.trim().to_owned()).filter(|l| !l.is_empty()).collect::<Vec<_>>()
        };
        assert_eq!(lines(&found), lines(wanted), "\n{found}");
    }

    #[test]
    fn a_rule_that_leads_in_a_row_is_a_path() {
        check(
            "a:Service -near-> b:Service",
            "?a a e2e:Service .
             ?a rdfs:label ?a_name .
             ?a (e2e:near|^e2e:operation_of/e2e:calls/e2e:operation_of) ?b .
             ?b rdfs:label ?b_name .",
        );
    }

    #[test]
    fn a_rule_that_does_not_is_said_premise_by_premise() {
        let found = written("a:Service -apart-> b:Service");
        let union = found.lines().find(|l| l.contains("UNION")).unwrap();
        assert!(
            union.contains("?a e2e:depends_on ?h2_any .") && union.contains("FILTER(?a != ?b)"),
            "{union}"
        );
    }

    #[test]
    fn a_class_is_tested_where_the_relation_leaves_it_open() {
        check(
            "s:Service[tier = critical] -depends_on*-> d:Datastore",
            "?s a e2e:Service .
             ?s rdfs:label ?s_name .
             ?s e2e:depends_on* ?d .
             ?d rdfs:label ?d_name .
             FILTER EXISTS { ?s <https://w3id.org/e2egraph/core#tier> ?s_is FILTER(STR(?s_is) = \"critical\") }
             FILTER EXISTS { ?d a e2e:Datastore . }",
        );
    }

    #[test]
    fn a_special_case_of_a_relation_counts_as_it() {
        check(
            "x:Service <-changed- c:ConfigChange",
            "?x a e2e:Service .
             ?x rdfs:label ?x_name .
             ?c (e2e:changed|e2e:deploys|e2e:rolls_out|e2e:switches|e2e:shifts_to) ?x .
             ?c rdfs:label ?c_name .
             FILTER EXISTS { ?c a e2e:ConfigChange . }",
        );
    }

    #[test]
    fn every_built_in_question_can_be_said_and_always_in_the_same_bytes() {
        let all = || {
            let mut bytes = Vec::new();
            sparql(&Ontology::builtin(), &mut bytes).unwrap();
            String::from_utf8(bytes).unwrap()
        };
        let lines: usize = Ontology::builtin().questions.iter().map(|q| q.paths.len()).sum();
        assert_eq!(all().matches("SELECT DISTINCT").count(), lines);
        assert_eq!(all(), all());
    }
}
