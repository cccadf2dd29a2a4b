//! Compiles the mapping files: expressions, tables in key order, edges, and everything a receiver would otherwise work out
//! per record.

use crate::expr::{Expr, Fields, Hashed, Lookup};
use crate::functions::Func;
use crate::load::{Gathered, scalar};
use crate::mapping::{
    Aside, AutoEdge, Closing, EdgeRule, Feed, KeyPlan, Mapping, MeasureRule, PartPlan, Pick, Proof, Reads,
    RoleId, Signed, SignedPart, Source, Start, Table,
};
use crate::model::{AttrId, Auto, ClassId, KeyPart, Measure, MeasureKind, Ontology, RelationId, Type};
use crate::problems::{At, Report, meant, nearest};
use crate::resolve;
use crate::scalar::Scalar;
use crate::syntax;
use crate::unit::factor;
use crate::yaml::{Node, OneOrMany, Spot, Word, read};
use std::collections::BTreeMap;

/// Compiles what was gathered into `o.mapping`.
pub(crate) fn resolve(all: &Gathered, o: &mut Ontology, report: &mut Report) {
    let mut m = Mapping { trust: all.trust.iter().map(|w| w.value.clone()).collect(), ..Mapping::default() };
    for (old, new) in &all.renamed {
        m.fields.rename(&old.value, &new.value);
    }
    for (name, entries) in &all.lookups {
        let entries = entries.0.iter().map(|(k, v)| (k.value.clone(), v.value.clone())).collect();
        m.lookups.push(Lookup { name: name.value.clone(), entries });
    }
    let mut wants = Vec::new();
    for raw in &all.sources {
        let mut c = Compiler { o, m: &mut m, report, wants: Vec::new() };
        let source = c.source(raw);
        let index = c.m.sources.len();
        wants.extend(c.wants.into_iter().map(|w| Want { source: index, ..w }));
        m.sources.push(source);
    }
    for t in &all.trust {
        let fits = |s: &str| s == t.value || s.strip_prefix(&t.value).is_some_and(|r| r.starts_with('.'));
        if m.sources.iter().any(|s| fits(&s.name)) {
            continue;
        }
        match m.sources.iter().find(|s| s.was.iter().any(|w| fits(w))) {
            Some(s) => report.old_name(t.at, "source", &t.value, &s.name),
            None => {
                let hint = meant(&t.value, m.sources.iter().map(|s| s.name.as_str()));
                report.unknown(t.at, &t.value, "no source has this name", hint);
            }
        }
    }
    m.feeds = feeds(all, &m, report);
    m.hashed = hashed(&m);
    m.personal = all.personal.iter().map(|w| w.value.clone()).collect();
    for want in wants {
        recognised(&want, o, &m, report);
    }
    record_auto(o, &mut m);
    o.mapping = m;
}

/// Names of attributes that some expression hashes.
fn hashed(m: &Mapping) -> Vec<String> {
    let mut hashed = Hashed::default();
    for source in &m.sources {
        let attrs = source.tables.iter().flat_map(|t| &t.attrs).map(|(_, e)| e);
        for e in attrs.chain(source.measures.iter().map(|r| &r.value)) {
            // What hashes something else was reported where it is written.
            let _ = e.hashed(&mut hashed);
        }
    }
    let mut names: Vec<String> =
        hashed.fields.iter().flat_map(|f| m.fields.all_names(*f)).map(str::to_owned).collect();
    names.extend(hashed.members.iter().map(|key| key.to_string()));
    names.sort_unstable();
    names.dedup();
    names
}

/// What a sender signs: the body, or a text that names it and headers in braces.
fn signed_parts(over: Option<&Word>, report: &mut Report) -> Vec<SignedPart> {
    let Some(word) = over else { return vec![SignedPart::Body] };
    let mut parts = Vec::new();
    let mut rest = word.value.as_str();
    while !rest.is_empty() {
        let (text, after) = rest.split_at(rest.find('{').unwrap_or(rest.len()));
        if !text.is_empty() {
            parts.push(SignedPart::Text(text.to_owned()));
        }
        let Some((name, after)) = after.strip_prefix('{').and_then(|a| a.split_once('}')) else {
            rest = after;
            break;
        };
        parts.push(match name {
            "body" => SignedPart::Body,
            header => SignedPart::Header(header.to_ascii_lowercase()),
        });
        rest = after;
    }
    let named = |p: &SignedPart| !matches!(p, SignedPart::Header(name) if name.is_empty());
    let bodies = parts.iter().filter(|p| **p == SignedPart::Body).count();
    if !rest.is_empty() || bodies != 1 || !parts.iter().all(named) {
        let hint = "write the body once and headers by name: `v0:{x-request-timestamp}:{body}`";
        report.add(word.at, &word.value, "this does not say what is signed", hint);
    }
    parts
}

/// What is said of feeds beside their sources.
fn feeds(all: &Gathered, m: &Mapping, report: &mut Report) -> BTreeMap<String, Feed> {
    const PROOFS: [(&str, Proof); 2] = [("hmac_sha256", Proof::HmacSha256), ("token", Proof::Token)];
    let mut feeds = BTreeMap::new();
    for (name, raw) in &all.feeds {
        let read = m.feed_names();
        if !read.contains(&name.value.as_str()) {
            report.add(name.at, &name.value, "no source reads this feed", meant(&name.value, read));
        }
        let signed = raw.signed.as_ref().and_then(|s| {
            let proof = PROOFS.iter().find(|(n, _)| *n == s.by.value).map(|(_, p)| *p);
            if proof.is_none() {
                let hint = meant(&s.by.value, PROOFS.map(|(n, _)| n));
                report.add(s.by.at, &s.by.value, "nothing proves a sender like this", hint);
            }
            let prefix = s.prefix.as_ref().map(|w| w.value.clone()).unwrap_or_default();
            let header = s.header.value.to_ascii_lowercase();
            let over = signed_parts(s.over.as_ref(), report);
            Some(Signed { header, by: proof?, prefix, over, optional: s.optional })
        });
        let feed = Feed {
            doc: raw.doc.clone(),
            headers: raw.headers.0.iter().map(|h| h.value.to_ascii_lowercase()).collect(),
            pages: raw.pages,
            personal: raw.personal.iter().map(|w| w.value.clone()).collect(),
            signed,
            unwrap: raw.unwrap.0.iter().map(|(k, v)| (k.value.clone(), v.value.clone())).collect(),
            digest: raw.digest.0.iter().map(|d| d.value.clone()).collect(),
            paths: paths(raw, &feeds, report),
            beneath: raw.beneath,
            maps: raw.maps.0.iter().map(|m| m.value.clone()).collect(),
            present: raw.present,
            updates: raw.updates,
            lines: raw.lines,
        };
        feeds.insert(name.value.clone(), feed);
    }
    feeds
}

/// Addresses of a feed beside its own: none that is another feed's or could hide one of this program's.
fn paths(raw: &crate::raw::Feed, known: &BTreeMap<String, Feed>, report: &mut Report) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for path in &raw.paths.0 {
        let text = path.value.as_str();
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_./".contains(&b);
        let ours = text.starts_with("/api/v1/") || text.trim_matches('/').is_empty();
        if !text.starts_with('/') || ours || text.contains("//") || !text.bytes().all(plain) {
            let hint = "write it like /api/v2/alerts; what begins with /api/v1/ is this program's";
            report.add(path.at, text, "a feed cannot be taken at this address", hint);
        } else if all.contains(&path.value) || known.values().any(|f| f.paths.contains(&path.value)) {
            report.add(path.at, text, "this address is already a feed's", "leave it out");
        } else {
            all.push(path.value.clone());
        }
    }
    all
}

struct Compiler<'a> {
    o: &'a Ontology,
    m: &'a mut Mapping,
    report: &'a mut Report,
    wants: Vec<Want>,
}

/// A node that an edge, a measure or `closes` needs: some table must recognise it.
struct Want {
    source: usize,
    pick: Pick,
    /// At an earlier step of the trace, so in any source.
    anywhere: bool,
    at: At,
    text: String,
}

/// A table before its tables are put in order.
struct Draft {
    table: Table,
    /// Relation, and the helper draft made for it.
    helpers: Vec<(RelationId, usize)>,
    at: At,
    /// Something in it is not understood, so what it lacks cannot be told.
    broken: bool,
}

impl Compiler<'_> {
    fn expr(&mut self, node: &Node) -> Option<Expr> {
        let (text, at) = scalar(node, self.report)?;
        self.compile(text, at)
    }

    fn compile(&mut self, text: &str, at: At) -> Option<Expr> {
        let tables: Vec<&str> = self.m.lookups.iter().map(|l| l.name.as_str()).collect();
        match syntax::compile(text, &mut self.m.fields, &tables) {
            Ok(e) => {
                if e.hashed(&mut Hashed::default()).is_err() {
                    let hint = "write `field | hash` or `field // other | hash`: kept requests hold the hash in the place of the field";
                    self.report.add(at, text, "only fields as they came can be hashed", hint);
                }
                Some(e)
            }
            Err(m) => {
                let offset = text.get(..m.offset).map_or(m.offset, |before| before.chars().count());
                self.report.add(at.plus(offset), &m.text, m.message, m.hint);
                None
            }
        }
    }

    fn source(&mut self, raw: &crate::load::Source) -> Source {
        let (name, node) = (&raw.name, &raw.node);
        let was: Vec<String> = raw.was.iter().map(|w| w.value.clone()).collect();
        let ranks = was.iter().chain([&name.value]).map(|n| self.m.rank(n));
        let mut source = Source {
            name: name.value.clone(),
            rank: ranks.min().unwrap_or(u16::MAX),
            was,
            reads: Vec::new(),
            each: None,
            when: None,
            when_text: None,
            at: None,
            tables: Vec::new(),
            auto: Vec::new(),
            edges: Vec::new(),
            measures: Vec::new(),
            closes: Vec::new(),
            asides: Vec::new(),
        };
        let mut drafts: Vec<Draft> = Vec::new();
        let entries = node.entries(self.report).to_vec();
        for (key, value) in &entries {
            match key.text() {
                "reads" => source.reads = self.reads(value),
                "each" => source.each = scalar(value, self.report).map(|(s, _)| s.to_owned()),
                "when" => {
                    source.when = self.expr(value);
                    source.when_text = Some(value.text().to_owned());
                }
                "at" => source.at = self.expr(value),
                "doc" | "was" | "edges" | "measures" | "closes" | "aside" => {}
                other if other.starts_with(|c: char| c.is_ascii_uppercase()) => {
                    self.table(key, value, &mut drafts)
                }
                other => {
                    let known =
                        ["reads", "each", "when", "at", "edges", "measures", "closes", "aside", "doc", "was"];
                    let hint = match nearest(other, known) {
                        Some(k) => format!("did you mean `{k}`?"),
                        None => format!("write a class, or one of: {}", known.join(", ")),
                    };
                    self.report.add(key.at, other, "nothing of this name can stand in a source", hint);
                }
            }
        }
        if source.reads.is_empty() {
            let hint = "add `reads: resource`, span, span_event, log, metric, or the name of a feed";
            self.report.add(name.at, &name.value, "`reads` is missing", hint);
        }
        if let Some((each, _)) = entries.iter().find(|(k, _)| k.text() == "each")
            && !source.reads.is_empty()
            && source.reads.iter().all(|r| !matches!(r, Reads::Feed(_)))
        {
            let message = "only the records of feeds have lists of elements";
            self.report.add(each.at, "each", message, "leave `each` out, or read a feed");
        }
        source.tables = self.in_key_order(drafts);
        for (key, value) in &entries {
            match key.text() {
                "edges" => source.edges = self.edges(value, &source.tables),
                "measures" => source.measures = self.measures(value),
                "closes" => source.closes = self.closes(value, &source.tables),
                "aside" => source.asides = self.asides(value),
                _ => {}
            }
        }
        source.auto = self.auto(&source.tables);
        source
    }

    fn reads(&mut self, node: &Node) -> Vec<Reads> {
        const FIXED: &[(&str, Reads)] = &[
            ("resource", Reads::Resource),
            ("span", Reads::Span),
            ("span_event", Reads::SpanEvent),
            ("log", Reads::Log),
            ("metric", Reads::Metric),
        ];
        let words = read::<OneOrMany<Word>>(node, self.report).unwrap_or_default().0;
        let mut all = Vec::new();
        for w in words {
            match FIXED.iter().find(|(n, _)| *n == w.value) {
                Some((_, r)) => all.push(r.clone()),
                None => {
                    // A feed may have any name but one that looks like a slip of the pen.
                    if let Some(near) =
                        nearest(&w.value, FIXED.iter().map(|(n, _)| *n)).filter(|n| n.len() > 3)
                    {
                        let hint = format!("did you mean `{near}`?");
                        self.report.add(
                            w.at,
                            &w.value,
                            "this is no kind of record, and too like one to be a feed",
                            hint,
                        );
                    }
                    all.push(Reads::Feed(w.value));
                }
            }
        }
        all
    }

    /// `Class` or `Class#role`.
    fn named(&mut self, text: &str, at: At, define: bool) -> Option<Pick> {
        let (name, role) = text.split_once('#').map_or((text, None), |(n, r)| (n, Some(r)));
        let class = resolve::class(self.o, &Spot { value: name.to_owned(), at }, self.report)?;
        let Some(role) = role else { return Some(Pick { class, role: None }) };
        let known = self.m.roles.iter().position(|r| r == role);
        if known.is_none() && !define {
            let hint = meant(role, self.m.roles.iter().map(String::as_str));
            self.report.add(at, text, "no table has this role", hint);
            return None;
        }
        let index = known.unwrap_or(self.m.roles.len());
        if known.is_none() {
            self.m.roles.push(role.to_owned());
        }
        Some(Pick { class, role: Some(RoleId(u8::try_from(index).unwrap_or(u8::MAX))) })
    }

    fn table(&mut self, key: &Node, value: &Node, drafts: &mut Vec<Draft>) {
        let Some(pick) = self.named(key.text(), key.at, true) else { return };
        let o = self.o;
        if o.classes.get(pick.class.index()).is_some_and(|c| c.is_abstract) {
            let kinds: Vec<&str> = o.kinds_of(pick.class).map(|c| o.class_name(c)).collect();
            let hint = format!("write one of: {}", kinds.join(", "));
            self.report.add(key.at, key.text(), "this class has no key, so it has no nodes", hint);
            return;
        }
        let (mut attrs, mut helpers, mut broken) = (Vec::new(), Vec::new(), false);
        let mut written = Vec::new();
        for (name, expr) in value.entries(self.report).to_vec() {
            written.push((name.text().to_owned(), expr.text().to_owned()));
            let Some(compiled) = self.expr(&expr) else {
                broken = true;
                continue;
            };
            if let Some(attr) = o.attr(pick.class, name.text()) {
                if let Some(now) = o.attrs.get(attr.index()).filter(|a| a.name != name.text()) {
                    self.report.old_name(name.text_at(), "attribute", name.text(), &now.name);
                }
                self.check_value(attr, &compiled, &expr);
                attrs.push((attr, compiled));
            } else if let Some((relation, class, attr)) = self.key_relation(pick.class, &name) {
                self.check_value(attr, &compiled, &expr);
                helpers.push((relation, drafts.len()));
                drafts.push(Draft {
                    table: bare(class, pick.role, vec![(attr, compiled)]),
                    helpers: Vec::new(),
                    at: name.at,
                    broken: false,
                });
            } else {
                broken = true;
            }
        }
        attrs.sort_by_key(|(a, _)| *a);
        let table = Table { written, ..bare(pick.class, pick.role, attrs) };
        drafts.push(Draft { table, helpers, at: key.at, broken });
    }

    /// `relation: expression`: a relation of the key whose target has one class with a key of one attribute.
    fn key_relation(&mut self, class: ClassId, name: &Node) -> Option<(RelationId, ClassId, AttrId)> {
        let o = self.o;
        let of = o.classes.get(class.index())?;
        let in_key = |r: RelationId| of.keys.iter().flatten().any(|p| *p == KeyPart::Relation(r));
        let Some(relation) = o.relation(name.text()).filter(|r| in_key(*r)) else {
            let attrs = of.attrs.iter().filter_map(|a| o.attrs.get(a.index())).map(|a| a.name.as_str());
            let keys = of.keys.iter().flatten().filter_map(|p| match p {
                KeyPart::Relation(r) => Some(o.relation_name(*r)),
                KeyPart::Attr(_) => None,
            });
            let message = format!("{} has no attribute or key relation of this name", of.name);
            self.report.unknown(name.at, name.text(), message, meant(name.text(), attrs.chain(keys)));
            return None;
        };
        let targets: Vec<ClassId> = targets(o, class, relation);
        if let [target] = targets.as_slice()
            && let Some([KeyPart::Attr(attr)]) =
                o.classes.get(target.index()).and_then(|c| c.keys.first()).map(Vec::as_slice)
        {
            return Some((relation, *target, *attr));
        }
        let hint = format!("recognise the target in a table of its own; {} finds it there", of.name);
        self.report.add(name.at, name.text(), "the target of this relation is not known by one value", hint);
        None
    }

    fn check_value(&mut self, attr: AttrId, expr: &Expr, node: &Node) {
        let Some(attr) = self.o.attrs.get(attr.index()) else { return };
        if attr.ty == Type::Hash && !expr.hashes() {
            let message = format!("`{}` is personal and would be stored in clear", attr.name);
            self.report.add(node.text_at(), node.text(), message, format!("write `{} | hash`", node.text()));
        }
        let mut said = Vec::new();
        outcomes(expr, self.m, &mut said);
        for text in said {
            if attr.ty.value(&Scalar::text(&text)).is_err() {
                let message = format!("`{}` cannot be `{text}`", attr.name);
                let hint = match &attr.ty {
                    Type::OneOf(words) => meant(&text, words.iter().map(String::as_str)),
                    other => format!("it is {other}"),
                };
                self.report.add(node.text_at(), node.text(), message, hint);
            }
        }
        let mut all = Vec::new();
        yields(expr, &self.m.fields, &mut all);
        let wrong = all.iter().find(|y| match y {
            Yields::Flag => !matches!(attr.ty, Type::Bool | Type::Text | Type::OneOf(_)),
            Yields::Time => {
                matches!(attr.ty, Type::Bool | Type::Int | Type::Ratio | Type::Bytes | Type::Duration)
            }
            Yields::Text => matches!(attr.ty, Type::Bool | Type::Ratio | Type::Bytes),
            Yields::Amount(_) => matches!(attr.ty, Type::Bool | Type::OneOf(_)),
            Yields::Point => true,
            Yields::Anything => false,
        });
        if let Some(wrong) = wrong {
            let message = format!("this gives {}, and `{}` is {}", wrong.shown(), attr.name, attr.ty);
            self.report.add(node.text_at(), node.text(), message, "give it a value of its type");
        }
    }

    /// Whether what an expression gives can be a measure, in its unit.
    fn check_measured(&mut self, measure: &Measure, expr: &Expr, node: &Node) {
        let mut all = Vec::new();
        yields(expr, &self.m.fields, &mut all);
        // An unknown unit is told at the measure.
        for y in all.into_iter().filter(|_| !measure.unit.is_empty()) {
            let (message, hint) = match y {
                Yields::Amount(unit) => match factor(unit, &measure.unit) {
                    Some(1.0) => continue,
                    Some(_) if unit == "ns" && measure.unit == "ms" => {
                        let hint = format!("write `{} | millis`", node.text());
                        (format!("this is in ns, and {} is in ms", measure.name), hint)
                    }
                    Some(_) => {
                        let hint = format!("give {} the unit {unit}, or convert the value", measure.name);
                        (format!("this is in {unit}, and {} is in {}", measure.name, measure.unit), hint)
                    }
                    None => {
                        let message =
                            format!("this is in {unit}, and {} is in `{}`", measure.name, measure.unit);
                        (message, format!("give a value that can be told in `{}`", measure.unit))
                    }
                },
                Yields::Flag if matches!(measure.kind, MeasureKind::Ratio | MeasureKind::Rate) => continue,
                Yields::Flag | Yields::Text | Yields::Time => {
                    let message = format!("this gives {}, and {} is a number", y.shown(), measure.name);
                    (message, "give the field that holds the number".to_owned())
                }
                Yields::Point | Yields::Anything => continue,
            };
            self.report.add(node.text_at(), node.text(), message, hint);
            return;
        }
    }

    fn in_key_order(&mut self, drafts: Vec<Draft>) -> Vec<Table> {
        let o = self.o;
        let needs = |d: &Draft| -> Vec<usize> {
            let keys = o.classes.get(d.table.class.index()).map(|c| c.keys.as_slice()).unwrap_or_default();
            let mut all: Vec<usize> = d.helpers.iter().map(|(_, h)| *h).collect();
            for part in keys.iter().flatten() {
                let KeyPart::Relation(r) = part else { continue };
                let classes = targets(o, d.table.class, *r);
                all.extend(
                    (0..drafts.len())
                        .filter(|i| drafts.get(*i).is_some_and(|x| classes.contains(&x.table.class))),
                );
            }
            all
        };
        let needs: Vec<Vec<usize>> = drafts.iter().map(needs).collect();
        let mut order: Vec<usize> = Vec::new();
        while order.len() < drafts.len() {
            let ready = (0..drafts.len()).filter(|i| !order.contains(i));
            let free = |i: &usize| needs.get(*i).is_none_or(|n| n.iter().all(|d| order.contains(d)));
            let next = ready.clone().find(free).or_else(|| {
                let stuck = ready.clone().next();
                if let Some(d) = stuck.and_then(|i| drafts.get(i)) {
                    let name = o.class_name(d.table.class).to_owned();
                    self.report.add(
                        d.at,
                        &name,
                        "its key needs itself, by way of other keys",
                        "break the circle in classes",
                    );
                }
                stuck
            });
            order.extend(next);
        }
        let new_place = |old: usize| order.iter().position(|x| *x == old);
        let mut slots: Vec<Option<Draft>> = drafts.into_iter().map(Some).collect();
        let mut tables = Vec::new();
        let mut helper_of: Vec<(usize, usize)> = Vec::new();
        for old in &order {
            let Some(mut d) = slots.get_mut(*old).and_then(Option::take) else { continue };
            let helpers: Vec<(RelationId, usize)> =
                d.helpers.iter().filter_map(|(r, h)| new_place(*h).map(|n| (*r, n))).collect();
            helper_of.extend(helpers.iter().map(|(_, h)| (*h, tables.len())));
            d.table.keys = self.key_plans(&d.table, &helpers);
            if d.table.keys.is_empty() && !d.broken {
                self.unkeyed(&d);
            }
            for (_, e) in &d.table.attrs {
                e.fields(&mut d.table.fields);
            }
            d.table.fields.sort();
            d.table.fields.dedup();
            tables.push(d.table);
        }
        for (helper, owner) in helper_of {
            if let Some(t) = tables.get_mut(helper) {
                t.helper_of = Some(owner);
            }
        }
        tables
    }

    fn unkeyed(&mut self, d: &Draft) {
        let o = self.o;
        let Some(class) = o.classes.get(d.table.class.index()) else { return };
        let part = |p: &KeyPart| match p {
            KeyPart::Attr(a) => o.attrs.get(a.index()).map_or(String::new(), |a| a.name.clone()),
            KeyPart::Relation(r) => o.relation_name(*r).to_owned(),
        };
        let keys: Vec<String> = class
            .keys
            .iter()
            .map(|k| format!("[{}]", k.iter().map(part).collect::<Vec<_>>().join(", ")))
            .collect();
        let hint = format!("give every part of one of its keys: {}", keys.join(" or "));
        self.report.add(d.at, &class.name, "no key of this class can ever be complete here", hint);
    }

    fn key_plans(&self, table: &Table, helpers: &[(RelationId, usize)]) -> Vec<KeyPlan> {
        let keys = self.o.classes.get(table.class.index()).map(|c| c.keys.as_slice()).unwrap_or_default();
        let mut plans = Vec::new();
        for (slot, key) in (0u8..).zip(keys) {
            let parts: Option<Vec<PartPlan>> = key
                .iter()
                .map(|part| match part {
                    KeyPart::Attr(a) => table.attrs.iter().position(|(x, _)| x == a).map(PartPlan::Attr),
                    KeyPart::Relation(r) => Some(PartPlan::Related {
                        relation: *r,
                        classes: targets(self.o, table.class, *r),
                        helper: helpers.iter().find(|(x, _)| x == r).map(|(_, h)| *h),
                    }),
                })
                .collect();
            plans.extend(parts.map(|parts| KeyPlan { slot, parts }));
        }
        plans
    }

    fn edges(&mut self, node: &Node, tables: &[Table]) -> Vec<EdgeRule> {
        let words = read::<OneOrMany<Word>>(node, self.report).unwrap_or_default().0;
        words.iter().filter_map(|w| self.edge(w, tables)).collect()
    }

    fn edge(&mut self, w: &Word, tables: &[Table]) -> Option<EdgeRule> {
        const FORM: &str = "write it like `Alert -about-> Service when field = word`";
        let parsed = w
            .value
            .split_once(" -")
            .and_then(|(from, rest)| rest.split_once("->").map(|(r, to)| (from, r, to)));
        let Some((from, relation, rest)) = parsed else {
            self.report.add(w.at, &w.value, "this is not an edge", FORM);
            return None;
        };
        let offset = |part: &str| resolve::part_of(part, &w.value);
        let (to, condition) = rest.split_once(" when ").map_or((rest, None), |(t, c)| (t, Some(c)));
        let relation = Word { value: relation.trim().to_owned(), at: w.at.plus(offset(relation.trim())) };
        let relation_at = relation.at;
        let relation_id = resolve::relation(self.o, &relation, self.report);
        let start = match from.trim().split_once('@') {
            Some((class, "parent")) => {
                let word = Word { value: class.to_owned(), at: w.at };
                let class = resolve::class(self.o, &word, self.report);
                self.wants.extend(class.map(|class| Want {
                    source: 0,
                    pick: Pick { class, role: None },
                    anywhere: true,
                    at: w.at,
                    text: word.value.clone(),
                }));
                class.map(Start::Parent)
            }
            Some((_, other)) => {
                self.report.add(
                    w.at.plus(offset(other)),
                    other,
                    "an edge starts here or at the parent step",
                    meant(other, ["parent"]),
                );
                None
            }
            None => self.ends(from, w.at.plus(offset(from)), tables).map(Start::Here),
        };
        let to = self.ends(to.trim(), w.at.plus(offset(to.trim())), tables);
        let when = match condition {
            Some(c) => Some(self.compile(c, w.at.plus(offset(c)))?),
            None => None,
        };
        let (from, relation, to) = (start?, relation_id?, to?);
        let starts: Vec<ClassId> = match &from {
            Start::Here(all) => all.iter().map(|p| p.class).collect(),
            Start::Parent(c) => vec![*c],
        };
        for (f, t) in starts.iter().flat_map(|f| to.iter().map(move |t| (*f, t.class))) {
            if !self.o.allows(relation, f, t) {
                let arrows =
                    self.o.relations.get(relation.index()).map(|r| r.arrows.as_slice()).unwrap_or_default();
                let arrows: Vec<String> = arrows
                    .iter()
                    .take(6)
                    .map(|(d, r)| format!("{} -> {}", self.o.class_name(*d), self.o.class_name(*r)))
                    .collect();
                let pair = format!("{} -> {}", self.o.class_name(f), self.o.class_name(t));
                let message = format!("{} does not lead {pair}", self.o.relation_name(relation));
                self.report.add(relation_at, &w.value, message, format!("it leads {}", arrows.join(", ")));
                return None;
            }
        }
        Some(EdgeRule { from, relation, to, when, text: w.value.clone() })
    }

    fn ends(&mut self, text: &str, at: At, tables: &[Table]) -> Option<Vec<Pick>> {
        let list = text
            .trim()
            .strip_prefix("most specific of")
            .map(|l| l.trim().trim_start_matches('[').trim_end_matches(']'));
        let names: Vec<&str> =
            list.map_or_else(|| vec![text.trim()], |l| l.split(',').map(str::trim).collect());
        let mut all = Vec::new();
        for name in names {
            let at = at.plus(resolve::part_of(name, text));
            let pick = self.named(name, at, false)?;
            if pick.role.is_none() {
                let text = name.to_owned();
                self.wants.push(Want { source: 0, pick, anywhere: false, at, text });
            } else if !tables.iter().any(|t| t.role == pick.role && self.o.is_a(t.class, pick.class)) {
                self.report.add(
                    at,
                    name,
                    "this source has no such table",
                    format!("add a table `{name}: {{…}}`"),
                );
            }
            all.push(pick);
        }
        Some(all)
    }

    fn measures(&mut self, node: &Node) -> Vec<MeasureRule> {
        let mut all = Vec::new();
        for (name, value) in node.entries(self.report).to_vec() {
            let word = Word { value: name.text().to_owned(), at: name.at };
            let measure = resolve::measure(self.o, &word, self.report);
            let Some((id, expr)) = measure.zip(self.expr(&value)) else { continue };
            let Some(measure) = self.o.measures.get(id.index()) else { continue };
            self.check_measured(measure, &expr, &value);
            let pick = Pick { class: measure.of, role: None };
            let text = name.text().to_owned();
            self.wants.push(Want { source: 0, pick, anywhere: false, at: name.at, text });
            all.push(MeasureRule { measure: id, of: measure.of, value: expr });
        }
        all
    }

    fn closes(&mut self, node: &Node, tables: &[Table]) -> Vec<Closing> {
        let mut all = Vec::new();
        for (name, value) in node.entries(self.report).to_vec() {
            let Some(picks) = self.ends(name.text(), name.at, tables) else { continue };
            let Some(when) = self.expr(&value) else { continue };
            all.extend(picks.into_iter().map(|node| Closing { node, when: when.clone() }));
        }
        all
    }

    fn asides(&mut self, node: &Node) -> Vec<Aside> {
        let mut all = Vec::new();
        for (reason, value) in node.entries(self.report).to_vec() {
            let Some(when) = self.expr(&value) else { continue };
            let mut fields = Vec::new();
            when.fields(&mut fields);
            fields.sort_unstable();
            fields.dedup();
            all.push(Aside { reason: reason.text().to_owned(), when, fields });
        }
        all
    }

    fn auto(&mut self, tables: &[Table]) -> Vec<AutoEdge> {
        let mut all = Vec::new();
        let o = self.o;
        for (relation, r) in (0..).map(RelationId).zip(&o.relations) {
            if r.auto != Auto::Table {
                continue;
            }
            for (from, a) in tables.iter().enumerate() {
                for (to, b) in tables.iter().enumerate() {
                    if from != to
                        && a.role.is_none()
                        && b.role.is_none()
                        && o.allows(relation, a.class, b.class)
                    {
                        all.push(AutoEdge { relation, from, to });
                    }
                }
            }
        }
        all
    }
}

fn bare(class: ClassId, role: Option<RoleId>, attrs: Vec<(AttrId, Expr)>) -> Table {
    Table { class, role, attrs, keys: Vec::new(), fields: Vec::new(), helper_of: None, written: Vec::new() }
}

/// The classes with nodes that a relation can lead to from a class.
fn targets(o: &Ontology, from: ClassId, relation: RelationId) -> Vec<ClassId> {
    let arrows = o.relations.get(relation.index()).map(|r| r.arrows.as_slice()).unwrap_or_default();
    let mut all: Vec<ClassId> = Vec::new();
    for (_, range) in arrows.iter().filter(|(d, _)| o.is_a(from, *d)) {
        all.extend(o.kinds_of(*range));
    }
    all.sort();
    all.dedup();
    all
}

/// The literal texts an expression can yield.
fn outcomes(e: &Expr, m: &Mapping, to: &mut Vec<String>) {
    match e {
        Expr::Text(s) => to.push(s.to_string()),
        Expr::First(all) => all.iter().for_each(|e| outcomes(e, m, to)),
        Expr::If(both) => outcomes(&both.1, m, to),
        Expr::Table(which, _) => {
            let entries = m.lookups.get(usize::from(*which)).map(|l| l.entries.values());
            let mut values: Vec<String> = entries.into_iter().flatten().cloned().collect();
            values.sort();
            values.dedup();
            to.extend(values);
        }
        _ => {}
    }
}

/// What an edge, a measure or `closes` needs must be named: in its own source, or in a source that reads the same records or
/// their resources.
fn recognised(want: &Want, o: &Ontology, m: &Mapping, report: &mut Report) {
    let telemetry = |r: &Reads| !matches!(r, Reads::Feed(_));
    let Some(own) = m.sources.get(want.source).filter(|s| want.anywhere || !s.reads.is_empty()) else {
        return;
    };
    let nearby = |s: &&Source| {
        let same = s.reads.iter().any(|r| own.reads.contains(r));
        same || (s.reads.contains(&Reads::Resource) && own.reads.iter().any(telemetry))
    };
    let mut tables = m.sources.iter().filter(|s| want.anywhere || nearby(s)).flat_map(|s| &s.tables);
    // A kind of the class is one, and an abstract class may turn out to be of the kind wanted.
    if !tables.any(|t| t.role.is_none() && o.is_a(t.class, want.pick.class)) {
        let class = o.class_name(want.pick.class);
        let message = match (want.anywhere, class == want.text) {
            (true, _) => format!("no source names a {class}, so no step of a trace does"),
            (false, true) => format!("no record of this source names a {class}"),
            (false, false) => format!("no record of this source names the {class} it is measured on"),
        };
        report.unknown(want.at, &want.text, message, format!("add a table `{class}: {{…}}`"));
    }
}

/// What an expression gives, as far as it can be told.
#[derive(Clone, Copy)]
enum Yields {
    /// An amount in a unit.
    Amount(&'static str),
    /// True or false.
    Flag,
    /// A text that is no number.
    Text,
    /// A moment.
    Time,
    /// The metric point of the record.
    Point,
    /// Whatever the record holds.
    Anything,
}

impl Yields {
    fn shown(self) -> &'static str {
        match self {
            Yields::Amount(_) => "a number",
            Yields::Flag => "true or false",
            Yields::Text => "text",
            Yields::Time => "a time",
            Yields::Point => "a metric point",
            Yields::Anything => "anything",
        }
    }
}

fn yields(e: &Expr, fields: &Fields, to: &mut Vec<Yields>) {
    to.push(match e {
        Expr::Field(f) => match fields.name(*f) {
            "span.duration" => Yields::Amount("ns"),
            "metric.value" => Yields::Point,
            "time" => Yields::Time,
            _ => Yields::Anything,
        },
        Expr::Call(Func::Millis | Func::SecondsMillis, _) => Yields::Amount("ms"),
        Expr::Call(Func::MillisSeconds, _) => Yields::Amount("s"),
        Expr::Call(Func::RealTime | Func::WholeMillis, _) => Yields::Time,
        Expr::Tries(_) => Yields::Point,
        Expr::Call(Func::Rest | Func::Percent, _)
        | Expr::Member(..)
        | Expr::Stem(_)
        | Expr::Int(_)
        | Expr::Float(_)
        | Expr::Table(..)
        | Expr::Split(..) => Yields::Anything,
        Expr::Call(..) | Expr::Join(..) => Yields::Text,
        Expr::Text(t) if t.parse::<f64>().is_ok() => Yields::Anything,
        Expr::Text(t) if matches!(t.as_ref(), "true" | "false") => Yields::Anything,
        Expr::Text(_) => Yields::Text,
        Expr::Bool(_)
        | Expr::Is(..)
        | Expr::And(_)
        | Expr::Or(_)
        | Expr::Not(_)
        | Expr::Same(_)
        | Expr::Before(_) => Yields::Flag,
        Expr::First(all) => return all.iter().for_each(|e| yields(e, fields, to)),
        Expr::If(both) => return yields(&both.1, fields, to),
    });
}

fn record_auto(o: &Ontology, m: &mut Mapping) {
    for (relation, r) in (0..).map(RelationId).zip(&o.relations) {
        if r.auto != Auto::Record {
            continue;
        }
        for (domain, range) in &r.arrows {
            for from in o.kinds_of(*domain) {
                for to in o.kinds_of(*range).filter(|to| *to != from) {
                    let all = m.record_auto.entry((from, to)).or_default();
                    if !all.contains(&relation) {
                        all.push(relation);
                    }
                }
            }
        }
    }
}
