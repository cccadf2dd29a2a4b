//! Values as the kit writes them, and whether a value is what was expected.

use query::cypher::{Data, Map, Value};
use std::collections::BTreeMap;

#[derive(Clone, Debug, PartialEq)]
pub enum Expect {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    List(Vec<Expect>),
    Map(BTreeMap<String, Expect>),
    Node(Vec<String>, BTreeMap<String, Expect>),
    Edge(String, BTreeMap<String, Expect>),
    /// Nodes and edges in turn; an edge says whether it leads on.
    Path(Vec<Expect>, Vec<bool>),
}

struct Reader<'a> {
    chars: std::iter::Peekable<std::str::Chars<'a>>,
}

/// Reads a value.
pub fn read(text: &str) -> Expect {
    Reader { chars: text.chars().peekable() }.value()
}

impl Reader<'_> {
    fn blank(&mut self) {
        while self.chars.next_if(|c| c.is_whitespace()).is_some() {}
    }

    fn peek(&mut self) -> char {
        self.blank();
        self.chars.peek().copied().unwrap_or('\0')
    }

    fn take(&mut self, c: char) -> bool {
        self.blank();
        self.chars.next_if_eq(&c).is_some()
    }

    fn word(&mut self) -> String {
        self.blank();
        if self.take('`') {
            let mut word = String::new();
            while let Some(c) = self.chars.next_if(|c| *c != '`') {
                word.push(c);
            }
            self.chars.next();
            return word;
        }
        let mut word = String::new();
        while let Some(c) = self.chars.next_if(|c| c.is_alphanumeric() || matches!(c, '_' | '+' | '-' | '.'))
        {
            word.push(c);
        }
        word
    }

    fn value(&mut self) -> Expect {
        match self.peek() {
            '\'' => {
                self.chars.next();
                let mut text = String::new();
                while let Some(c) = self.chars.next() {
                    match c {
                        '\'' => break,
                        '\\' => text.extend(self.chars.next()),
                        c => text.push(c),
                    }
                }
                Expect::Text(text)
            }
            '[' => {
                self.chars.next();
                if self.take(':') {
                    let of = self.word();
                    let properties = self.properties();
                    self.take(']');
                    return Expect::Edge(of, properties);
                }
                let mut items = Vec::new();
                while !self.take(']') {
                    assert!(self.peek() != '\0', "a list without end");
                    items.push(self.value());
                    self.take(',');
                }
                Expect::List(items)
            }
            '{' => Expect::Map(self.properties()),
            '(' => self.node(),
            '<' => self.path(),
            _ => self.simple(),
        }
    }

    fn simple(&mut self) -> Expect {
        let word = self.word();
        match word.as_str() {
            "null" => Expect::Null,
            "true" => Expect::Bool(true),
            "false" => Expect::Bool(false),
            "NaN" => Expect::Float(f64::NAN),
            "Inf" | "Infinity" => Expect::Float(f64::INFINITY),
            "-Inf" | "-Infinity" => Expect::Float(f64::NEG_INFINITY),
            _ => match word.parse::<i64>() {
                Ok(i) => Expect::Int(i),
                Err(_) => Expect::Float(word.parse().unwrap_or_else(|_| panic!("`{word}` is no value"))),
            },
        }
    }

    fn properties(&mut self) -> BTreeMap<String, Expect> {
        let mut map = BTreeMap::new();
        if !self.take('{') {
            return map;
        }
        while !self.take('}') {
            let key = self.word();
            assert!(self.take(':'), "a colon is due after {key}");
            let value = self.value();
            map.insert(key, value);
            self.take(',');
        }
        map
    }

    fn node(&mut self) -> Expect {
        self.take('(');
        let mut labels = Vec::new();
        while self.take(':') {
            labels.push(self.word());
        }
        labels.sort();
        let properties = self.properties();
        self.take(')');
        Expect::Node(labels, properties)
    }

    fn path(&mut self) -> Expect {
        self.take('<');
        let (mut parts, mut forward) = (vec![self.node()], Vec::new());
        while self.peek() != '>' {
            let back = self.take('<');
            self.take('-');
            parts.push(self.value());
            self.take('-');
            self.take('>');
            forward.push(!back);
            parts.push(self.node());
        }
        self.take('>');
        Expect::Path(parts, forward)
    }
}

/// Whether the order of items of lists counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lists {
    Ordered,
    Unordered,
}

pub fn is(data: &dyn Data, value: &Value, expect: &Expect, lists: Lists) -> bool {
    let map = |m: &Map, e: &BTreeMap<String, Expect>| {
        m.len() == e.len() && m.iter().all(|(k, v)| e.get(&**k).is_some_and(|e| is(data, v, e, lists)))
    };
    match (value, expect) {
        (Value::Null, Expect::Null) => true,
        (Value::Bool(a), Expect::Bool(b)) => a == b,
        (Value::Int(a), Expect::Int(b)) => a == b,
        (Value::Float(a), Expect::Float(b)) => a == b || (a.is_nan() && b.is_nan()),
        (Value::Text(a), Expect::Text(b)) => **a == **b,
        (Value::List(a), Expect::List(b)) if a.len() == b.len() => match lists {
            Lists::Ordered => a.iter().zip(b).all(|(a, b)| is(data, a, b, lists)),
            Lists::Unordered => {
                let mut left: Vec<&Expect> = b.iter().collect();
                a.iter().all(|v| match left.iter().position(|e| is(data, v, e, lists)) {
                    Some(i) => {
                        left.remove(i);
                        true
                    }
                    None => false,
                })
            }
        },
        (Value::Map(a), Expect::Map(b)) => map(a, b),
        (Value::Node(n), Expect::Node(labels, properties)) => {
            let mut has: Vec<String> = data.labels(*n).into_iter().map(str::to_owned).collect();
            has.sort();
            has == *labels && map(&data.node_properties(*n), properties)
        }
        (Value::Edge(e), Expect::Edge(of, properties)) => {
            data.type_name(data.edge_type(*e)) == of && map(&data.edge_properties(*e), properties)
        }
        (Value::Path(p), Expect::Path(parts, forward)) => {
            if p.edges.len() != forward.len() {
                return false;
            }
            let nodes = p.nodes.iter().map(|n| Value::Node(*n));
            let nodes_are = nodes.zip(parts.iter().step_by(2)).all(|(v, e)| is(data, &v, e, lists));
            let edges = p.edges.iter().zip(&p.nodes).zip(parts.iter().skip(1).step_by(2)).zip(forward);
            nodes_are
                && edges.into_iter().all(|(((edge, node), e), forward)| {
                    (data.ends(*edge).0 == *node) == *forward && is(data, &Value::Edge(*edge), e, lists)
                })
        }
        (
            Value::Date(_)
            | Value::LocalTime(_)
            | Value::Time(_)
            | Value::LocalDateTime(_)
            | Value::DateTime(_)
            | Value::Duration(_),
            Expect::Text(t),
        ) => query::cypher::shown(data, value) == format!("'{t}'"),
        _ => false,
    }
}

/// As a parameter.
pub fn value(expect: &Expect) -> Value {
    match expect {
        Expect::Bool(b) => Value::Bool(*b),
        Expect::Int(i) => Value::Int(*i),
        Expect::Float(x) => Value::Float(*x),
        Expect::Text(t) => Value::text(t),
        Expect::List(l) => Value::list(l.iter().map(value).collect()),
        Expect::Map(m) => Value::map(m.iter().map(|(k, v)| (k.as_str().into(), value(v))).collect()),
        _ => Value::Null,
    }
}
