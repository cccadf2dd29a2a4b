//! YAML as a tree that knows where everything stands, and serde on top of it, so that typed structs keep their places.
//!
//! serde stops at the first error; here unknown names are noted and skipped, and each entry of a file is read by itself, so
//! that one run shows all that is wrong.

use crate::problems::{At, Report, meant};
use serde::de::{self, DeserializeOwned, DeserializeSeed, IntoDeserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::granit_parser::{Event, Parser, ScalarStyle};
use std::cell::RefCell;
use std::fmt;

/// One value of a YAML file.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) at: At,
    pub(crate) tree: Tree,
}

/// What a node is.
#[derive(Clone, Debug)]
pub(crate) enum Tree {
    /// A scalar, and whether it was written without quotes.
    Scalar(String, bool),
    List(Vec<Node>),
    Map(Vec<(Node, Node)>),
}

impl Node {
    /// The text of a scalar; nothing for others.
    pub(crate) fn text(&self) -> &str {
        match &self.tree {
            Tree::Scalar(s, _) => s,
            Tree::List(_) | Tree::Map(_) => "",
        }
    }

    /// Whether nothing stands here: `name:`, `name: ~`, `name: null`.
    pub(crate) fn is_nothing(&self) -> bool {
        matches!(&self.tree, Tree::Scalar(s, true) if s.is_empty() || s == "null" || s == "~")
    }

    /// Where the text of a scalar begins: inside its quotes.
    pub(crate) fn text_at(&self) -> At {
        match &self.tree {
            Tree::Scalar(_, false) => self.at.plus(1),
            _ => self.at,
        }
    }

    /// The entries of a map; notes a problem for anything else.
    pub(crate) fn entries(&self, report: &mut Report) -> &[(Node, Node)] {
        match &self.tree {
            Tree::Map(m) => m,
            _ if self.is_nothing() => &[],
            Tree::Scalar(s, _) => {
                report.add(self.at, s, "this must be a map", "write `{name: value, …}`");
                &[]
            }
            Tree::List(_) => {
                report.add(self.at, "[…]", "this must be a map, not a list", "write `{name: value, …}`");
                &[]
            }
        }
    }
}

/// Deeper files than this are refused: no ontology file needs it, and reading must stay bounded.
const DEPTH: usize = 64;

/// After this many broken entries the rest of a file is left unread.
const BROKEN: usize = 20;
/// What tools that follow YAML 1.1 read as a boolean.
const BOOLEANS: &[&str] = &["y", "n", "yes", "no", "on", "off"];

/// Why a text is no YAML.
struct Broken {
    line: usize,
    column: usize,
    why: String,
}

/// Reads one file. Syntax errors and repeated keys go to the report. An entry that is no YAML is left out and the rest is read,
/// so that one slip does not hide the others.
pub(crate) fn parse(text: &str, file: u16, report: &mut Report) -> Option<Node> {
    let mut lines: Vec<&str> = text.lines().collect();
    let mut tabs = Vec::new();
    for _ in 0..BROKEN {
        let broken = match tree(&lines.join("\n"), file, report) {
            Ok(node) => return node,
            Err(broken) => broken,
        };
        if tabs.is_empty() {
            let tabbed =
                |l: &&str| l.get(..indent(l)).is_some_and(|m| m.contains('\t')) && !l.trim().is_empty();
            tabs = (0..lines.len()).filter(|i| lines.get(*i).is_some_and(tabbed)).collect();
            for number in &tabs {
                let Some(line) = lines.get_mut(*number) else { continue };
                let message = "a tab stands before this; YAML indents with spaces only";
                report.add(place(file, number + 1, 0), line.trim(), message, "write two spaces for the tab");
                report.leave_unread(line);
                *line = "";
            }
            if !tabs.is_empty() {
                continue;
            }
        }
        let (from, to) = culprit(&lines, broken.line);
        let entry = lines.get(from..to).unwrap_or_default();
        let filled = entry.iter().rposition(|l| !l.trim().is_empty()).unwrap_or(0);
        // The parser notices an open bracket only where the next entry begins; the entry by itself tells where it is open.
        let alone = tree(&entry.join("\n"), file, &mut Report::default()).err();
        let (line, column, why) = match alone {
            Some(b) if b.line > 0 && b.line <= filled + 1 => (from + b.line, b.column, b.why),
            Some(b) => (from + 1, indent(entry.first().unwrap_or(&"")), b.why),
            None => (broken.line, broken.column, broken.why),
        };
        let shown = lines.get(line.saturating_sub(1)).copied().unwrap_or("");
        let hint = "mend the line, or quote the text with \"…\"";
        report.add(place(file, line, column), shown.trim(), format!("not YAML: {why}"), hint);
        report.leave_unread(&entry.join("\n"));
        for line in lines.get_mut(from..to).unwrap_or_default() {
            *line = "";
        }
    }
    report.leave_unread(&lines.join("\n"));
    None
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// The lines (from, to) of the innermost entry that is to blame for a mistake noticed at a line (counted from 1).
fn culprit(lines: &[&str], noticed: usize) -> (usize, usize) {
    let starts = entries(lines);
    let end = |place: usize| {
        let own = starts.get(place).map_or(0, |(_, i)| *i);
        let rest = starts.get(place + 1..).unwrap_or_default();
        rest.iter().find(|(_, i)| *i <= own).map_or(lines.len(), |(l, _)| *l)
    };
    let fails = |from: usize, to: usize| {
        let text = lines.get(from..to).unwrap_or_default().join("\n");
        tree(&text, 0, &mut Report::default()).is_err()
    };
    let before = || (0..starts.len()).rev().filter(|p| starts.get(*p).is_some_and(|(l, _)| *l < noticed));
    let spans = || before().filter_map(|p| Some((starts.get(p)?.0, end(p))));
    let failing = spans().find(|(from, to)| fails(*from, *to));
    failing.or_else(|| spans().find(|(_, to)| *to >= noticed)).unwrap_or((0, lines.len()))
}

/// Lines at which an entry of a block begins, with their indent. What stands deeper than an entry that has its value on its own
/// line belongs to that value.
fn entries(lines: &[&str]) -> Vec<(usize, usize)> {
    let mut all = Vec::new();
    let mut leaf: Option<usize> = None;
    for (number, line) in lines.iter().enumerate() {
        let (own, text) = (indent(line), line.trim());
        if text.is_empty() || text.starts_with('#') || leaf.is_some_and(|l| own > l) {
            continue;
        }
        let named = text.starts_with(|c: char| c.is_alphanumeric() || c == '_' || c == '"' || c == '\'');
        let colon = text.find(": ").or_else(|| text.strip_suffix(':').map(str::len));
        match colon.filter(|_| named) {
            Some(at) => {
                all.push((number, own));
                let value = text.get(at + 1..).unwrap_or("").trim();
                leaf = (!value.is_empty() && !value.starts_with('#')).then_some(own);
            }
            None => leaf = Some(own),
        }
    }
    all
}

/// Reads one text, or says where it stops being YAML.
fn tree(text: &str, file: u16, report: &mut Report) -> Result<Option<Node>, Broken> {
    let mut open: Vec<(At, Option<Node>, Tree)> = Vec::new();
    let mut root = None;
    for next in Parser::new_from_str(text) {
        let (event, span) = next.map_err(|e| Broken {
            line: e.marker().line(),
            column: e.marker().col(),
            why: e.info().to_owned(),
        })?;
        let at = place(file, span.start.line(), span.start.col());
        let done = match event {
            Event::Scalar(s, style, _, _) => {
                Some(Node { at, tree: Tree::Scalar(s.into_owned(), style == ScalarStyle::Plain) })
            }
            Event::SequenceStart(..) | Event::MappingStart(..) => {
                if open.len() >= DEPTH {
                    let why = format!("nested deeper than {DEPTH} levels");
                    return Err(Broken { line: span.start.line(), column: span.start.col(), why });
                }
                let tree = if matches!(event, Event::SequenceStart(..)) {
                    Tree::List(vec![])
                } else {
                    Tree::Map(vec![])
                };
                open.push((at, None, tree));
                None
            }
            Event::SequenceEnd | Event::MappingEnd => open.pop().map(|(at, _, tree)| Node { at, tree }),
            Event::Alias(_) => {
                report.add(at, "*", "anchors and aliases are not used in these files", "write the value out");
                Some(Node { at, tree: Tree::Scalar(String::new(), true) })
            }
            _ => None,
        };
        let Some(node) = done else { continue };
        match open.last_mut() {
            None => root = root.or(Some(node)),
            Some((_, _, Tree::List(l))) => l.push(node),
            Some((_, key, Tree::Map(m))) => match key.take() {
                None => {
                    if let Tree::Scalar(s, true) = &node.tree
                        && BOOLEANS.contains(&s.to_lowercase().as_str())
                    {
                        let message = "tools that follow YAML 1.1 read this name as a boolean";
                        report.add(node.at, s, message, "choose another name");
                    }
                    *key = Some(node);
                }
                Some(k) => {
                    if let Some((first, _)) = m.iter().find(|(other, _)| other.text() == k.text()) {
                        let hint = format!("remove it, or merge it with line {}", first.at.line);
                        report.add(k.at, k.text(), "said twice in the same place", hint);
                    } else {
                        m.push((k, node));
                    }
                }
            },
            Some((_, _, Tree::Scalar(..))) => {}
        }
    }
    Ok(root)
}

fn place(file: u16, line: usize, col: usize) -> At {
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    At { file, line: number(line), column: number(col.saturating_add(1)) }
}

/// A value with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Spot<T> {
    pub(crate) value: T,
    pub(crate) at: At,
}

/// A text with its place.
pub(crate) type Word = Spot<String>;

/// One value, or a list of them.
#[derive(Clone, Debug)]
pub(crate) struct OneOrMany<T>(pub(crate) Vec<T>);

impl<T> Default for OneOrMany<T> {
    fn default() -> Self {
        OneOrMany(Vec::new())
    }
}

/// A map in file order.
#[derive(Clone, Debug)]
pub(crate) struct Entries<T>(pub(crate) Vec<(Word, T)>);

impl<T> Default for Entries<T> {
    fn default() -> Self {
        Entries(Vec::new())
    }
}

/// A plain text, or something more elaborate.
#[derive(Clone, Debug)]
pub(crate) enum TextOr<T> {
    Text(Word),
    More(T),
}

/// Reads one node as a typed value; problems go to the report.
pub(crate) fn read<T: DeserializeOwned>(node: &Node, report: &mut Report) -> Option<T> {
    let sink = RefCell::new(Vec::new());
    let mut missing: Vec<&'static str> = Vec::new();
    let mut result = T::deserialize(De { node, sink: &sink, blank: &[] });
    // serde stops at the first thing that is missing; with a blank in its place it tells the next.
    while let Err(f) = &result
        && let Some(field) = f.missing
        && !missing.contains(&field)
    {
        missing.push(field);
        let next = T::deserialize(De { node, sink: &sink, blank: &missing });
        if let Err(f) = std::mem::replace(&mut result, next) {
            report.add(f.at, &f.text, f.message, f.hint);
        }
    }
    for f in sink.into_inner() {
        report.add(f.at, &f.text, f.message, f.hint);
    }
    match result {
        Ok(v) => missing.is_empty().then_some(v),
        Err(f) if missing.is_empty() || f.missing.is_some() => {
            report.add(f.at, &f.text, f.message, f.hint);
            None
        }
        Err(_) => None,
    }
}

/// Reads every entry of a map by itself. What cannot be read is kept in mind, so that its name is not missed elsewhere.
pub(crate) fn read_entries<T: DeserializeOwned>(node: &Node, report: &mut Report) -> Vec<(Word, T)> {
    let mut all = Vec::new();
    for (k, v) in node.entries(report) {
        match read_entry(k, v, report) {
            Some(value) => all.push((Spot { value: k.text().to_owned(), at: k.text_at() }, value)),
            None => report.leave_unread(k.text()),
        }
    }
    all
}

/// Reads one entry of a map.
pub(crate) fn read_entry<T: DeserializeOwned>(key: &Node, value: &Node, report: &mut Report) -> Option<T> {
    if value.is_nothing() {
        let hint = "a file may add, not remove: say something of it, or leave the entry out";
        report.add(key.text_at(), key.text(), "nothing is said of this", hint);
        return None;
    }
    read(value, report)
}

#[derive(Debug)]
struct Fault {
    at: At,
    text: String,
    message: String,
    hint: String,
    /// The field that is not there, when that is what is wrong.
    missing: Option<&'static str>,
}

impl Fault {
    fn placed(mut self, node: &Node) -> Fault {
        if self.at.line == 0 {
            self.at = node.at;
            self.text = match &node.tree {
                Tree::Scalar(s, _) => s.clone(),
                Tree::List(_) => "[…]".to_owned(),
                Tree::Map(_) => "{…}".to_owned(),
            };
        }
        self
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Fault {}

impl de::Error for Fault {
    fn custom<T: fmt::Display>(msg: T) -> Self {
        let (text, hint) = (String::new(), String::new());
        Fault { at: At::default(), text, message: msg.to_string(), hint, missing: None }
    }

    fn missing_field(field: &'static str) -> Self {
        let mut f = <Fault as de::Error>::custom(format!("`{field}` is missing"));
        f.hint = format!("add `{field}: …`");
        f.missing = Some(field);
        f
    }

    fn invalid_type(unexp: de::Unexpected<'_>, exp: &dyn de::Expected) -> Self {
        let is = match unexp {
            de::Unexpected::Seq => "a list".to_owned(),
            de::Unexpected::Map => "a map".to_owned(),
            de::Unexpected::Unit => "nothing".to_owned(),
            other => other.to_string(),
        };
        <Fault as de::Error>::custom(format!("this is {is}, but {exp} is wanted here"))
    }
}

#[derive(Clone, Copy)]
struct De<'a> {
    node: &'a Node,
    sink: &'a RefCell<Vec<Fault>>,
    /// Fields to take as blank where they are missing.
    blank: &'a [&'static str],
}

impl<'a> De<'a> {
    fn wrong<T>(self, wanted: &str) -> Result<T, Fault> {
        let is = match &self.node.tree {
            Tree::Scalar(..) => "this",
            Tree::List(_) => "a list",
            Tree::Map(_) => "a map",
        };
        let mut e = <Fault as de::Error>::custom(format!("{is} is not {wanted}"));
        e.hint = match wanted {
            "a number" | "a whole number" => "write it in digits, like 5 or 0.05".to_owned(),
            "a text" => "write one text, quoted with \"…\"".to_owned(),
            other => format!("write {other}"),
        };
        Err(e.placed(self.node))
    }
}

macro_rules! numbers {
    ($($method:ident $visit:ident $ty:ty, $what:literal;)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
            match self.node.text().parse::<$ty>() {
                Ok(n) => visitor.$visit(n).map_err(|e: Fault| e.placed(self.node)),
                Err(_) => self.wrong($what),
            }
        }
    )*};
}

impl<'de> de::Deserializer<'de> for De<'_> {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.node.tree {
            Tree::Scalar(s, true) if s.is_empty() || s == "null" || s == "~" => visitor.visit_unit(),
            Tree::Scalar(s, true) if s == "true" || s == "false" => visitor.visit_bool(s == "true"),
            Tree::Scalar(s, _) => visitor.visit_str(s),
            Tree::List(_) => self.deserialize_seq(visitor),
            Tree::Map(_) => self.deserialize_map(visitor),
        }
        .map_err(|e: Fault| e.placed(self.node))
    }

    numbers! {
        deserialize_bool visit_bool bool, "`true` or `false`";
        deserialize_i64 visit_i64 i64, "a whole number";
        deserialize_u64 visit_u64 u64, "a whole number";
        deserialize_u32 visit_u32 u32, "a whole number";
        deserialize_u16 visit_u16 u16, "a whole number";
        deserialize_f64 visit_f64 f64, "a number";
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.node.tree {
            Tree::Scalar(s, _) => visitor.visit_str(s).map_err(|e: Fault| e.placed(self.node)),
            _ => self.wrong("a text"),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.node.tree {
            Tree::Scalar(s, true) if s.is_empty() || s == "null" || s == "~" => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.node.tree {
            Tree::List(l) => visitor.visit_seq(Items { rest: l.iter(), de: self }),
            _ => self.wrong("a list: `[…]`"),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        match (&self.node.tree, name) {
            (Tree::List(l), ONE_OR_MANY) => visitor.visit_seq(Items { rest: l.iter(), de: self }),
            (_, ONE_OR_MANY) => {
                visitor.visit_seq(Items { rest: std::slice::from_ref(self.node).iter(), de: self })
            }
            _ => visitor.visit_newtype_struct(self),
        }
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        _len: usize,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        if name == SPOT {
            return visitor.visit_seq(SpotParts { de: self, next: 0 });
        }
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _len: usize, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.node.tree {
            Tree::Map(m) => {
                visitor.visit_map(Pairs { rest: m.iter(), value: None, known: None, de: self, blanks: &[] })
            }
            _ => self.wrong("a map: `{name: value, …}`"),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        match &self.node.tree {
            Tree::Map(m) => visitor
                .visit_map(Pairs {
                    rest: m.iter(),
                    value: None,
                    known: Some(fields),
                    de: self,
                    blanks: self.blank,
                })
                .map_err(|e| e.placed(self.node)),
            _ => self.wrong("a map: `{name: value, …}`"),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        if name == TEXT_OR {
            return visitor.visit_enum(Shape(self));
        }
        visitor.visit_enum(self.node.text().into_deserializer()).map_err(|e: Fault| e.placed(self.node))
    }

    serde::forward_to_deserialize_any! {
        i8 i16 i32 i128 u8 u128 f32 char bytes byte_buf unit unit_struct identifier ignored_any
    }
}

struct Items<'a> {
    rest: std::slice::Iter<'a, Node>,
    de: De<'a>,
}

impl<'de> SeqAccess<'de> for Items<'_> {
    type Error = Fault;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Fault> {
        self.rest.next().map(|node| seed.deserialize(De { node, ..self.de })).transpose()
    }
}

struct SpotParts<'a> {
    de: De<'a>,
    next: u8,
}

impl<'de> SeqAccess<'de> for SpotParts<'_> {
    type Error = Fault;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Fault> {
        let at = self.de.node.text_at();
        self.next += 1;
        match self.next {
            1 => seed.deserialize(at.file.into_deserializer()).map(Some),
            2 => seed.deserialize(at.line.into_deserializer()).map(Some),
            3 => seed.deserialize(at.column.into_deserializer()).map(Some),
            4 => seed.deserialize(self.de).map(Some),
            _ => Ok(None),
        }
    }
}

struct Pairs<'a> {
    rest: std::slice::Iter<'a, (Node, Node)>,
    value: Option<&'a Node>,
    known: Option<&'static [&'static str]>,
    de: De<'a>,
    blanks: &'a [&'static str],
}

/// Stands for a field that is missing.
static BLANK: Node =
    Node { at: At { file: 0, line: 0, column: 0 }, tree: Tree::Scalar(String::new(), false) };

impl<'de> MapAccess<'de> for Pairs<'_> {
    type Error = Fault;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Fault> {
        for (k, v) in self.rest.by_ref() {
            if let Some(known) = self.known.filter(|f| !f.contains(&k.text())) {
                let mut f = <Fault as de::Error>::custom("nothing of this name can stand here").placed(k);
                f.hint = meant(k.text(), known.iter().copied());
                self.de.sink.borrow_mut().push(f);
                continue;
            }
            self.value = Some(v);
            return match self.known {
                Some(_) => seed.deserialize(k.text().into_deserializer()).map(Some),
                None => seed.deserialize(De { node: k, ..self.de }).map(Some),
            };
        }
        while let Some((field, rest)) = self.blanks.split_first() {
            self.blanks = rest;
            let given =
                matches!(&self.de.node.tree, Tree::Map(m) if m.iter().any(|(k, _)| k.text() == *field));
            if !given && self.known.is_some_and(|f| f.contains(field)) {
                self.value = Some(&BLANK);
                return seed.deserialize(field.into_deserializer()).map(Some);
            }
        }
        Ok(None)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Fault> {
        match self.value.take() {
            Some(node) => seed.deserialize(De { node, ..self.de }),
            None => Err(<Fault as de::Error>::custom("a value is missing")),
        }
    }
}

/// Chooses the variant of [`TextOr`] by the shape of the node.
struct Shape<'a>(De<'a>);

impl<'a, 'de> de::EnumAccess<'de> for Shape<'a> {
    type Error = Fault;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Fault> {
        let index: u32 = match self.0.node.tree {
            Tree::Scalar(..) => 0,
            Tree::List(_) | Tree::Map(_) => 1,
        };
        let chosen = seed.deserialize(de::value::U32Deserializer::<Fault>::new(index))?;
        Ok((chosen, self))
    }
}

impl<'de> de::VariantAccess<'de> for Shape<'_> {
    type Error = Fault;

    fn unit_variant(self) -> Result<(), Fault> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Fault> {
        seed.deserialize(self.0)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _len: usize, _visitor: V) -> Result<V::Value, Fault> {
        self.0.wrong("a text or a map")
    }

    fn struct_variant<V: Visitor<'de>>(self, _f: &'static [&'static str], _v: V) -> Result<V::Value, Fault> {
        self.0.wrong("a text or a map")
    }
}

const SPOT: &str = "$Spot";
const ONE_OR_MANY: &str = "$OneOrMany";
const TEXT_OR: &str = "$TextOr";

mod impls {
    use super::{Entries, ONE_OR_MANY, OneOrMany, SPOT, Spot, TEXT_OR, TextOr, Word};
    use crate::problems::At;
    use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
    use serde::de::{
        Deserialize, Deserializer, EnumAccess, Error, MapAccess, SeqAccess, VariantAccess, Visitor,
    };
    use std::borrow::Cow;
    use std::collections::BTreeMap;
    use std::fmt;
    use std::marker::PhantomData;

    struct Reads<T>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>> Visitor<'de> for Reads<Spot<T>> {
        type Value = Spot<T>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a value")
        }
        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Spot<T>, A::Error> {
            let file = seq.next_element()?.unwrap_or_default();
            let line = seq.next_element()?.unwrap_or_default();
            let column = seq.next_element()?.unwrap_or_default();
            let value = seq.next_element()?.ok_or_else(|| A::Error::custom("a value is missing"))?;
            Ok(Spot { value, at: At { file, line, column } })
        }
    }

    impl<'de, T: Deserialize<'de>> Deserialize<'de> for Spot<T> {
        fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
            d.deserialize_tuple_struct(SPOT, 4, Reads(PhantomData::<Spot<T>>))
        }
    }

    impl<'de, T: Deserialize<'de>> Visitor<'de> for Reads<OneOrMany<T>> {
        type Value = OneOrMany<T>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a value or a list of values")
        }
        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<OneOrMany<T>, A::Error> {
            let mut all = Vec::new();
            while let Some(v) = seq.next_element()? {
                all.push(v);
            }
            Ok(OneOrMany(all))
        }
    }

    impl<'de, T: Deserialize<'de>> Deserialize<'de> for OneOrMany<T> {
        fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
            d.deserialize_newtype_struct(ONE_OR_MANY, Reads(PhantomData::<OneOrMany<T>>))
        }
    }

    impl<'de, T: Deserialize<'de>> Visitor<'de> for Reads<Entries<T>> {
        type Value = Entries<T>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a map")
        }
        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries<T>, A::Error> {
            let mut all = Vec::new();
            while let Some(key) = map.next_key::<Word>()? {
                all.push((key, map.next_value()?));
            }
            Ok(Entries(all))
        }
    }

    impl<'de, T: Deserialize<'de>> Deserialize<'de> for Entries<T> {
        fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
            d.deserialize_map(Reads(PhantomData::<Entries<T>>))
        }
    }

    impl<'de, T: Deserialize<'de>> Visitor<'de> for Reads<TextOr<T>> {
        type Value = TextOr<T>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a text or a map")
        }
        fn visit_enum<A: EnumAccess<'de>>(self, data: A) -> Result<TextOr<T>, A::Error> {
            match data.variant::<u32>()? {
                (0, v) => v.newtype_variant().map(TextOr::Text),
                (_, v) => v.newtype_variant().map(TextOr::More),
            }
        }
    }

    impl<'de, T: Deserialize<'de>> Deserialize<'de> for TextOr<T> {
        fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
            d.deserialize_enum(TEXT_OR, &["text", "more"], Reads(PhantomData::<TextOr<T>>))
        }
    }

    impl<T: JsonSchema> JsonSchema for Spot<T> {
        fn inline_schema() -> bool {
            true
        }
        fn schema_name() -> Cow<'static, str> {
            T::schema_name()
        }
        fn json_schema(g: &mut SchemaGenerator) -> Schema {
            g.subschema_for::<T>()
        }
    }

    impl<T: JsonSchema> JsonSchema for OneOrMany<T> {
        fn inline_schema() -> bool {
            true
        }
        fn schema_name() -> Cow<'static, str> {
            format!("OneOrMany{}", T::schema_name()).into()
        }
        fn json_schema(g: &mut SchemaGenerator) -> Schema {
            let (one, many) = (g.subschema_for::<T>(), g.subschema_for::<Vec<T>>());
            json_schema!({"anyOf": [one, many]})
        }
    }

    impl<T: JsonSchema> JsonSchema for Entries<T> {
        fn inline_schema() -> bool {
            true
        }
        fn schema_name() -> Cow<'static, str> {
            format!("MapOf{}", T::schema_name()).into()
        }
        fn json_schema(g: &mut SchemaGenerator) -> Schema {
            g.subschema_for::<BTreeMap<String, T>>()
        }
    }

    impl<T: JsonSchema> JsonSchema for TextOr<T> {
        fn inline_schema() -> bool {
            true
        }
        fn schema_name() -> Cow<'static, str> {
            format!("TextOr{}", T::schema_name()).into()
        }
        fn json_schema(g: &mut SchemaGenerator) -> Schema {
            let (text, more) = (g.subschema_for::<String>(), g.subschema_for::<T>());
            json_schema!({"anyOf": [text, more]})
        }
    }
}
