//! Premises of rules and conditions of actions: the rule language, parsed and typed.

use crate::model::{ClassId, Ontology, RelationId, Type};
use crate::paths::{Reachable, Repeat};
use crate::problems::{At, Report, meant};
use crate::resolve::{self, seconds};
use crate::rules::{Conclusion, Keep};
use crate::yaml::Word;
use std::collections::BTreeSet;

/// A variable, or anything at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Term {
    /// A variable, by its number.
    Var(u8),
    /// `_`
    Any,
}

/// How an attribute is compared.
#[derive(Clone, Debug, PartialEq)]
pub enum Compare {
    /// `=` one of these words.
    In(Vec<String>),
    /// `!=` this word.
    Differs(String),
    /// `<`, `<=`, `>`, `>=` this number.
    Than(&'static str, f64),
}

/// One premise.
#[derive(Clone, Debug, PartialEq)]
pub enum Premise {
    /// Some relation of these (backwards where `true`) leads from one to the other.
    Edge {
        /// Alternatives.
        steps: Vec<(RelationId, bool)>,
        /// How often.
        repeat: Repeat,
        /// From.
        from: Term,
        /// To.
        to: Term,
    },
    /// It is of this class.
    Is(ClassId, Term),
    /// They are two.
    Differ(Term, Term),
    /// There is nothing like this.
    Not(Vec<Premise>),
    /// The first lies within the second.
    During(Term, Term),
    /// The first starts before the second, by at most so many seconds.
    StartsBefore(Term, Term, i64),
    /// An attribute has a value.
    Attr {
        /// Whose.
        of: Term,
        /// Its name.
        attr: String,
        /// What it must be.
        test: Compare,
    },
}

/// Variables of a rule and the classes each can have.
pub(crate) struct Scope<'a> {
    o: &'a Ontology,
    /// Names, by [`Term::Var`].
    pub(crate) names: Vec<String>,
    /// Classes each can have, by [`Term::Var`].
    pub(crate) classes: Vec<BTreeSet<ClassId>>,
}

struct Reader<'a> {
    text: &'a str,
    rest: &'a str,
    at: At,
}

impl<'a> Reader<'a> {
    fn new(text: &'a str, at: At) -> Reader<'a> {
        Reader { text, rest: text, at }
    }

    fn here(&self) -> At {
        let done = self.text.len() - self.rest.trim_start().len();
        self.at.plus(self.text.get(..done).map_or(done, |t| t.chars().count()))
    }

    fn take(&mut self, token: &str) -> bool {
        match self.rest.trim_start().strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn name(&mut self) -> Option<Word> {
        let at = self.here();
        let rest = self.rest.trim_start();
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        let (name, rest) = rest.split_at_checked(end)?;
        if name.is_empty() {
            return None;
        }
        self.rest = rest;
        Some(Word { value: name.to_owned(), at })
    }

    /// A value: a word, a number or a quoted text.
    fn value(&mut self) -> Option<String> {
        let rest = self.rest.trim_start();
        if let Some(quoted) = rest.strip_prefix('\'') {
            let (text, rest) = quoted.split_once('\'')?;
            self.rest = rest;
            return Some(text.to_owned());
        }
        let end = rest.find(|c: char| !c.is_alphanumeric() && !"_.-".contains(c)).unwrap_or(rest.len());
        let (text, rest) = rest.split_at_checked(end)?;
        self.rest = rest;
        (!text.is_empty()).then(|| text.to_owned())
    }

    fn done(&self) -> bool {
        self.rest.trim().is_empty()
    }

    fn wrong<T>(&self, report: &mut Report, message: &str, hint: &str) -> Option<T> {
        let text = if self.done() { "end of the rule" } else { self.rest.trim_start() };
        report.add(self.here(), text, message, hint);
        None
    }
}

/// Every relation a body mentions.
pub(crate) fn relations(body: &[Premise]) -> Vec<RelationId> {
    let mut all = Vec::new();
    for p in body {
        match p {
            Premise::Edge { steps, .. } => all.extend(steps.iter().map(|(r, _)| *r)),
            Premise::Not(inner) => all.extend(relations(inner)),
            _ => {}
        }
    }
    all
}

/// Reads the conclusion of a rule.
pub(crate) fn head(
    text: &str,
    at: At,
    scope: &mut Scope<'_>,
    predicates: &[(String, Vec<ClassId>)],
    keep: Option<Keep>,
    report: &mut Report,
) -> Option<Conclusion> {
    let mut r = Reader::new(text, at);
    let Some(name) = r.name() else {
        return r.wrong(report, "a conclusion is wanted here", "write `relation(A, B)`");
    };
    let terms = scope.terms(&mut r, report)?;
    if !r.done() {
        return r.wrong(report, "a rule has one conclusion", "write the second as a rule of its own");
    }
    let o = scope.o;
    if o.relation(&name.value).is_some()
        && let Some(relation) = resolve::relation(o, &name, report)
    {
        let [from, to] = terms.as_slice() else {
            report.add(name.at, &name.value, "a relation has two ends", "write `relation(A, B)`");
            return None;
        };
        if !o.relations.get(relation.index()).is_some_and(|r| r.derived) {
            let hint = "add `derived: true` to the relation, or conclude another";
            report.add(name.at, &name.value, "rules may not draw this relation", hint);
        }
        return Some(Conclusion::Relation(relation, *from, *to));
    }
    let place = predicates.iter().position(|(n, _)| *n == name.value);
    match place {
        Some(p) if keep == Some(Keep::Always) => {
            report.add(name.at, &name.value, "only relations can be kept", "write `keep: asked`");
            Some(Conclusion::Predicate(p, terms))
        }
        Some(p) => {
            let wanted = predicates.get(p).map_or(0, |(_, c)| c.len());
            if wanted != terms.len() {
                let message = format!("this has {wanted} arguments");
                report.add(name.at, &name.value, message, "give as many as `predicates` says");
            }
            Some(Conclusion::Predicate(p, terms))
        }
        None => {
            let derived = o.relations.iter().filter(|r| r.derived).map(|r| r.name.as_str());
            let known = derived.chain(predicates.iter().map(|(n, _)| n.as_str()));
            let near = meant(&name.value, known);
            let join = if near.ends_with('?') { " " } else { "; " };
            let hint = format!("{near}{join}or declare it under `predicates`");
            report.unknown(name.at, &name.value, "no derived relation or predicate has this name", hint);
            None
        }
    }
}

/// Premises, and each as it is written.
pub(crate) type Body = (Vec<Premise>, Vec<Word>);

/// Reads premises with commas between them.
pub(crate) fn body(text: &str, at: At, scope: &mut Scope<'_>, report: &mut Report) -> Option<Body> {
    let mut r = Reader::new(text, at);
    let all = scope.premises(&mut r, report)?;
    if r.done() {
        Some(all)
    } else {
        r.wrong(report, "nothing more is expected here", "put `,` between premises")
    }
}

/// The variables of one premise, those of what must not be left out.
fn variables(premise: &Premise) -> Vec<Term> {
    match premise {
        Premise::Edge { from, to, .. } => vec![*from, *to],
        Premise::Is(_, t) | Premise::Attr { of: t, .. } => vec![*t],
        Premise::Differ(a, b) | Premise::During(a, b) | Premise::StartsBefore(a, b, _) => vec![*a, *b],
        Premise::Not(_) => Vec::new(),
    }
}

/// Whether a premise finds nodes; the others only test those that are found.
fn finds(premise: &Premise) -> bool {
    matches!(premise, Premise::Edge { .. } | Premise::Is(..))
}

/// What is wrong with a body whatever the classes: variables nothing finds or that stand alone, and premises that contradict
/// each other. The first `given` variables are found from outside.
pub(crate) fn sound(
    (premises, texts): (&[Premise], &[Word]),
    head: Option<(&Conclusion, &Word)>,
    scope: &Scope<'_>,
    given: usize,
    report: &mut Report,
) {
    let mut found: BTreeSet<Term> = (0..given).filter_map(|v| u8::try_from(v).ok()).map(Term::Var).collect();
    found.extend(premises.iter().filter(|p| finds(p)).flat_map(variables));
    let concluded = match head {
        Some((Conclusion::Relation(_, a, b), _)) => vec![*a, *b],
        Some((Conclusion::Predicate(_, all), _)) => all.clone(),
        None => Vec::new(),
    };
    let free = |t: &Term| matches!(t, Term::Var(_)) && !found.contains(t);
    const BIND: &str = "name it in a relation or `Class(X)` of the body";
    if let Some((_, word)) = head {
        for t in &concluded {
            if *t == Term::Any {
                report.add(
                    word.at,
                    &word.value,
                    "a conclusion says of whom",
                    "write a variable of the body for `_`",
                );
            } else if free(t) {
                let message = format!("nothing in the body finds {}", scope.shown(*t));
                report.add(word.at, &word.value, message, BIND);
            }
        }
    }
    for (premise, word) in premises.iter().zip(texts) {
        if let Some(t) = variables(premise).iter().find(|t| !finds(premise) && free(t)) {
            let message = format!("nothing else in the body finds {}", scope.shown(*t));
            report.add(word.at, &word.value, message, BIND);
        }
    }
    if head.is_some() && !concluded.iter().any(free) {
        alone(premises, texts, &concluded, &found, scope, report);
    }
    for (i, (premise, word)) in premises.iter().zip(texts).enumerate() {
        let before = premises.iter().zip(texts).take(i);
        let clash = match premise {
            Premise::Differ(a, b) if a == b => Some("nothing differs from itself".to_owned()),
            Premise::StartsBefore(a, b, _) if a == b => Some("nothing starts before itself".to_owned()),
            _ => before
                .clone()
                .find(|(p, _)| contradict(p, premise))
                .map(|(_, w)| format!("this and `{}` can never both hold", w.value)),
        };
        if let Some(message) = clash {
            report.add(word.at, &word.value, message, "leave one of them out, or name another variable");
        } else if before.clone().any(|(p, _)| p == premise) {
            report.add(word.at, &word.value, "this is said twice", "leave one of them out");
        }
    }
}

/// A variable that stands only once tells nothing; it is a slip of the pen more often than not.
fn alone(
    premises: &[Premise],
    texts: &[Word],
    concluded: &[Term],
    found: &BTreeSet<Term>,
    scope: &Scope<'_>,
    report: &mut Report,
) {
    fn all(premise: &Premise, to: &mut Vec<Term>) {
        match premise {
            Premise::Not(inner) => inner.iter().for_each(|p| all(p, to)),
            other => to.extend(variables(other)),
        }
    }
    let mut said = concluded.to_vec();
    premises.iter().for_each(|p| all(p, &mut said));
    for (premise, word) in premises.iter().zip(texts) {
        let mut own = Vec::new();
        all(premise, &mut own);
        let lonely = own.iter().find(|t| {
            (found.contains(t) || matches!(premise, Premise::Not(_)))
                && **t != Term::Any
                && said.iter().filter(|s| s == t).count() == 1
        });
        if let Some(t) = lonely {
            let name = scope.shown(*t);
            let known = scope.names.iter().map(String::as_str).filter(|n| *n != name);
            let hint = format!("write `_` for it, or one of: {}", known.collect::<Vec<_>>().join(", "));
            report.add(word.at, &word.value, format!("{name} stands here and nowhere else"), hint);
        }
    }
}

/// Whether two premises can never both hold.
fn contradict(a: &Premise, b: &Premise) -> bool {
    match (a, b) {
        (Premise::Not(inner), other) | (other, Premise::Not(inner)) => inner.as_slice() == [other.clone()],
        (Premise::Attr { of, attr, test }, Premise::Attr { of: of2, attr: attr2, test: test2 }) => {
            let apart = match (test, test2) {
                (Compare::In(x), Compare::In(y)) => !x.iter().any(|w| y.contains(w)),
                (Compare::In(x), Compare::Differs(y)) | (Compare::Differs(y), Compare::In(x)) => {
                    x.as_slice() == std::slice::from_ref(y)
                }
                (Compare::Than(o, x), Compare::Than(p, y)) => match (o.chars().next(), p.chars().next()) {
                    (Some('<'), Some('>')) => x < y || (x == y && !(*o == "<=" && *p == ">=")),
                    (Some('>'), Some('<')) => x > y || (x == y && !(*o == ">=" && *p == "<=")),
                    _ => false,
                },
                _ => false,
            };
            of == of2 && attr == attr2 && apart
        }
        (Premise::StartsBefore(a, b, _), Premise::StartsBefore(c, d, _)) => a == d && b == c,
        _ => false,
    }
}

impl<'a> Scope<'a> {
    /// No variables yet but those that are given, each of a class or below.
    pub(crate) fn new(o: &'a Ontology, given: Vec<(&str, ClassId)>) -> Scope<'a> {
        let classes = given.iter().map(|(_, c)| o.kinds_of(*c).collect()).collect();
        Scope { o, names: given.iter().map(|(n, _)| (*n).to_owned()).collect(), classes }
    }

    fn term(&mut self, r: &mut Reader<'_>, report: &mut Report) -> Option<Term> {
        let Some(name) = r.name() else {
            return r.wrong(report, "a variable is wanted here", "write a capital letter, or `_`");
        };
        if name.value == "_" {
            return Some(Term::Any);
        }
        if !name.value.starts_with(|c: char| c.is_ascii_uppercase()) {
            report.add(
                name.at,
                &name.value,
                "a variable starts with a capital letter",
                "write for example `S`",
            );
            return None;
        }
        if self.o.class(&name.value).is_some() {
            let hint = format!("write `{}(X)` to test a class", name.value);
            report.add(name.at, &name.value, "this is a class, not a variable", hint);
        }
        let known = self.names.iter().position(|n| *n == name.value);
        let index = known.unwrap_or_else(|| {
            self.names.push(name.value.clone());
            self.classes.push(
                (0..)
                    .map(ClassId)
                    .zip(&self.o.classes)
                    .filter(|(_, c)| !c.is_abstract)
                    .map(|(i, _)| i)
                    .collect(),
            );
            self.names.len() - 1
        });
        Some(Term::Var(u8::try_from(index).unwrap_or(u8::MAX)))
    }

    fn terms(&mut self, r: &mut Reader<'_>, report: &mut Report) -> Option<Vec<Term>> {
        if !r.take("(") {
            return r.wrong(report, "`(` is missing before this", "write `name(A, B)`");
        }
        let mut all = vec![self.term(r, report)?];
        while r.take(",") {
            all.push(self.term(r, report)?);
        }
        if r.take(")") {
            Some(all)
        } else {
            r.wrong(report, "`)` is missing before this", "close the arguments with `)`")
        }
    }

    fn premises(&mut self, r: &mut Reader<'_>, report: &mut Report) -> Option<Body> {
        let (mut all, mut texts) = (Vec::new(), Vec::new());
        loop {
            let (at, before) = (r.here(), r.rest.trim_start());
            all.push(self.premise(r, report)?);
            let text = before.strip_suffix(r.rest).unwrap_or(before).trim_end();
            texts.push(Word { value: text.to_owned(), at });
            if !r.take(",") {
                return Some((all, texts));
            }
        }
    }

    fn premise(&mut self, r: &mut Reader<'_>, report: &mut Report) -> Option<Premise> {
        if r.rest.trim_start().starts_with("not ") || r.rest.trim_start().starts_with("not(") {
            r.take("not");
            if r.take("(") {
                let (inner, _) = self.premises(r, report)?;
                return if r.take(")") {
                    Some(Premise::Not(inner))
                } else {
                    r.wrong(report, "`)` is missing before this", "close `not (…` with `)`")
                };
            }
            return Some(Premise::Not(vec![self.premise(r, report)?]));
        }
        if r.take("(") {
            let mut steps = vec![self.step(r, report)?];
            while r.take("|") {
                steps.push(self.step(r, report)?);
            }
            if !r.take(")") {
                return r.wrong(report, "`)` is missing before this", "write `(a | b)(X, Y)`");
            }
            return self.edge(r, steps, report);
        }
        let before = r.rest;
        let Some(name) = r.name() else {
            return r.wrong(
                report,
                "a premise is wanted here",
                "write `relation(A, B)`, `Class(A)` or `A.attribute = word`",
            );
        };
        if r.rest.starts_with('.') {
            return self.attribute(name, r, report);
        }
        if r.take("!=") {
            r.rest = before;
            let a = self.term(r, report)?;
            r.take("!=");
            return Some(Premise::Differ(a, self.term(r, report)?));
        }
        match name.value.as_str() {
            "during" => match self.terms(r, report)?.as_slice() {
                [a, b] => Some(Premise::During(*a, *b)),
                _ => r.wrong(report, "`during` compares two events", "write `during(A, B)`"),
            },
            "starts_before" => self.starts_before(r, report),
            _ if name.value.starts_with(|c: char| c.is_ascii_uppercase()) => {
                let class = resolve::class(self.o, &name, report)?;
                match self.terms(r, report)?.as_slice() {
                    [t] => Some(Premise::Is(class, *t)),
                    _ => r.wrong(report, "a class tests one variable", "write `Class(X)`"),
                }
            }
            _ => {
                let relation = resolve::relation(self.o, &name, report)?;
                let back = r.take("^");
                self.edge(r, vec![(relation, back)], report)
            }
        }
    }

    fn starts_before(&mut self, r: &mut Reader<'_>, report: &mut Report) -> Option<Premise> {
        const FORM: &str = "write `starts_before(A, B, 6h)`";
        if !r.take("(") {
            return r.wrong(report, "`(` is missing before this", FORM);
        }
        let a = self.term(r, report)?;
        if !r.take(",") {
            return r.wrong(report, "`,` is missing before this", FORM);
        }
        let b = self.term(r, report)?;
        let length = if r.take(",") { r.value() } else { None };
        let Some(secs) = length.as_deref().and_then(seconds) else {
            return r.wrong(report, "a length of time is missing before this", FORM);
        };
        if r.take(")") {
            Some(Premise::StartsBefore(a, b, secs))
        } else {
            r.wrong(report, "`)` is missing before this", FORM)
        }
    }

    fn step(&mut self, r: &mut Reader<'_>, report: &mut Report) -> Option<(RelationId, bool)> {
        let Some(name) = r.name() else {
            return r.wrong(report, "a relation is wanted here", "write `(a | b)(X, Y)`");
        };
        let relation = resolve::relation(self.o, &name, report)?;
        Some((relation, r.take("^")))
    }

    fn edge(
        &mut self,
        r: &mut Reader<'_>,
        steps: Vec<(RelationId, bool)>,
        report: &mut Report,
    ) -> Option<Premise> {
        let repeat = if r.take("+") {
            Repeat::OneOrMore
        } else if r.take("*") {
            Repeat::AnyNumber
        } else {
            Repeat::Once
        };
        match self.terms(r, report)?.as_slice() {
            [from, to] => Some(Premise::Edge { steps, repeat, from: *from, to: *to }),
            _ => r.wrong(report, "a relation has two ends", "write `relation(A, B)`"),
        }
    }

    fn attribute(&mut self, variable: Word, r: &mut Reader<'_>, report: &mut Report) -> Option<Premise> {
        let mut own = Reader::new(&variable.value, variable.at);
        let of = self.term(&mut own, report)?;
        r.take(".");
        let Some(attr) = r.name() else {
            return r.wrong(report, "an attribute is wanted here", "write `X.status = done`");
        };
        let (called, known) = (&attr.value, &self.o.attrs);
        if !known.iter().any(|a| a.name == *called) {
            match known.iter().find(|a| a.was.contains(called)) {
                Some(a) => report.old_name(attr.at, "attribute", called, &a.name),
                None => {
                    let hint = meant(called, known.iter().map(|a| a.name.as_str()));
                    report.unknown(attr.at, called, "no class has an attribute of this name", hint);
                }
            }
        }
        const FORM: &str = "write `X.status = done`, `X.percent < 1.0` or `X.status in [running, paused]`";
        let test = if r.take("in") {
            if !r.take("[") {
                return r.wrong(report, "`[` is missing before this", FORM);
            }
            let mut words: Vec<String> = r.value().into_iter().collect();
            while r.take(",") {
                words.extend(r.value());
            }
            if !r.take("]") {
                return r.wrong(report, "`]` is missing before this", FORM);
            }
            Compare::In(words)
        } else {
            let operator = ["!=", "<=", ">=", "<", ">", "="].into_iter().find(|s| r.take(s));
            let value = r.value();
            match (operator, value) {
                (Some("="), Some(v)) => Compare::In(vec![v]),
                (Some("!="), Some(v)) => Compare::Differs(v),
                (Some(op), Some(v)) => match v.parse() {
                    Ok(n) => Compare::Than(op, n),
                    Err(_) => return r.wrong(report, "this comparison needs a number", FORM),
                },
                _ => return r.wrong(report, "a comparison is wanted here", FORM),
            }
        };
        Some(Premise::Attr { of, attr: attr.value, test })
    }

    /// Narrows the classes of every variable until nothing changes; says where nothing is left.
    pub(crate) fn check(
        &mut self,
        body: &[Premise],
        head: Option<&Conclusion>,
        predicates: &[(String, Vec<ClassId>)],
        texts: &[Word],
        text: &Word,
        report: &mut Report,
    ) {
        let mut reachable = Reachable::new(self.o);
        let mut before = Vec::new();
        while before != self.classes {
            before.clone_from(&self.classes);
            if let Some(Conclusion::Predicate(p, terms)) = head {
                let classes = predicates.get(*p).map(|(_, c)| c.as_slice()).unwrap_or_default();
                for (term, class) in terms.iter().zip(classes) {
                    let kinds: BTreeSet<ClassId> = self.o.kinds_of(*class).collect();
                    self.narrow(*term, |c| kinds.contains(&c));
                }
            }
            if let Some(Conclusion::Relation(r, from, to)) = head
                && !self.edge_fits(&[(*r, false)], Repeat::Once, (*from, *to), &mut reachable)
            {
                let message = format!("the body gives {} ends it cannot have", self.o.relation_name(*r));
                report.add(text.at, &text.value, message, self.ends(*r));
                return;
            }
            for (premise, text) in body.iter().zip(texts) {
                if !self.check_all(std::slice::from_ref(premise), &mut reachable, text, report) {
                    return;
                }
            }
        }
    }

    fn check_all(
        &mut self,
        body: &[Premise],
        reachable: &mut Reachable<'_>,
        text: &Word,
        report: &mut Report,
    ) -> bool {
        for p in body {
            match p {
                Premise::Edge { steps, repeat, from, to } => {
                    if !self.edge_fits(steps, *repeat, (*from, *to), reachable) {
                        let names: Vec<&str> = steps.iter().map(|(r, _)| self.o.relation_name(*r)).collect();
                        let names = names.join(" | ");
                        let message = format!(
                            "{names}({}, {}) can never hold here",
                            self.shown(*from),
                            self.shown(*to)
                        );
                        let hint = steps.first().map(|(r, _)| self.ends(*r)).unwrap_or_default();
                        report.add(text.at, &text.value, message, hint);
                        return false;
                    }
                }
                Premise::Is(class, t) => {
                    let kinds: BTreeSet<ClassId> = self.o.kinds_of(*class).collect();
                    if !self.narrow(*t, |c| kinds.contains(&c)) {
                        let message =
                            format!("{} can never be a {}", self.shown(*t), self.o.class_name(*class));
                        report.add(
                            text.at,
                            &text.value,
                            message,
                            "check the ends of the relations that lead to it",
                        );
                        return false;
                    }
                }
                Premise::Attr { of, attr, test } => {
                    let o = self.o;
                    // What no class has is told where it stands.
                    if !o.attrs.iter().any(|a| a.name == *attr || a.was.contains(attr)) {
                        continue;
                    }
                    if !self.narrow(*of, |c| o.attr(c, attr).is_some()) {
                        let message = format!("{} has no attribute `{attr}`", self.shown(*of));
                        report.add(
                            text.at,
                            &text.value,
                            message,
                            "check its class, or the name of the attribute",
                        );
                        return false;
                    }
                    self.check_words(*of, attr, test, text, report);
                }
                // What must not be there is typed like the rest; its own variables narrow as well.
                Premise::Not(inner) => {
                    if !self.check_all(inner, reachable, text, report) {
                        return false;
                    }
                }
                Premise::Differ(..) | Premise::During(..) | Premise::StartsBefore(..) => {}
            }
        }
        true
    }

    fn check_words(&self, of: Term, attr: &str, test: &Compare, text: &Word, report: &mut Report) {
        let Term::Var(v) = of else { return };
        let said: Vec<&String> = match test {
            Compare::In(words) => words.iter().collect(),
            Compare::Differs(word) => vec![word],
            Compare::Than(..) => return,
        };
        let mut allowed: Vec<&str> = Vec::new();
        for class in self.classes.get(usize::from(v)).into_iter().flatten() {
            match self.o.attr(*class, attr).and_then(|a| self.o.attrs.get(a.index())).map(|a| &a.ty) {
                Some(Type::OneOf(words)) => allowed.extend(words.iter().map(String::as_str)),
                Some(Type::Bool) => allowed.extend(["true", "false"]),
                _ => return,
            }
        }
        for word in said {
            if !allowed.is_empty() && !allowed.contains(&word.as_str()) {
                allowed.sort_unstable();
                allowed.dedup();
                report.add(
                    text.at,
                    word,
                    format!("`{attr}` is never this"),
                    meant(word, allowed.iter().copied()),
                );
            }
        }
    }

    fn edge_fits(
        &mut self,
        steps: &[(RelationId, bool)],
        repeat: Repeat,
        ends: (Term, Term),
        reachable: &mut Reachable<'_>,
    ) -> bool {
        let pairs = reachable.pairs(steps, repeat);
        let (from, to) = (self.set(ends.0), self.set(ends.1));
        let fits = |s: &Option<BTreeSet<ClassId>>, c: ClassId| s.as_ref().is_none_or(|s| s.contains(&c));
        let left: Vec<(ClassId, ClassId)> =
            pairs.iter().copied().filter(|(a, b)| fits(&from, *a) && fits(&to, *b)).collect();
        let kept = self.narrow(ends.0, |c| left.iter().any(|(a, _)| *a == c));
        self.narrow(ends.1, |c| left.iter().any(|(_, b)| *b == c)) && kept && !left.is_empty()
    }

    fn set(&self, t: Term) -> Option<BTreeSet<ClassId>> {
        match t {
            Term::Any => None,
            Term::Var(v) => self.classes.get(usize::from(v)).cloned(),
        }
    }

    fn narrow(&mut self, t: Term, keep: impl Fn(ClassId) -> bool) -> bool {
        let Term::Var(v) = t else { return true };
        let Some(set) = self.classes.get_mut(usize::from(v)) else { return true };
        set.retain(|c| keep(*c));
        !set.is_empty()
    }

    fn shown(&self, t: Term) -> &str {
        match t {
            Term::Any => "_",
            Term::Var(v) => self.names.get(usize::from(v)).map_or("?", String::as_str),
        }
    }

    fn ends(&self, relation: RelationId) -> String {
        let arrows = self.o.relations.get(relation.index()).map(|r| r.arrows.as_slice()).unwrap_or_default();
        let shown = arrows
            .iter()
            .take(4)
            .map(|(d, r)| format!("{} -> {}", self.o.class_name(*d), self.o.class_name(*r)));
        format!("{} leads {}", self.o.relation_name(relation), shown.collect::<Vec<_>>().join(", "))
    }
}
