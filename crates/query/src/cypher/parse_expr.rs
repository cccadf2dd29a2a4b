//! Reading expressions: operator precedence by binding power.

use super::ast::{Binary, Compare, Expr, Name, Node, Quantifier};
use super::error::{Error, Span};
use super::parse::{MAX_DEPTH, Parser, too_deep};
use super::token::Token;

type Read<T> = Result<T, Error>;

/// How strongly operators bind, weakest first.
const OR: u8 = 1;
const XOR: u8 = 2;
const AND: u8 = 3;
const NOT: u8 = 4;
const COMPARE: u8 = 5;
const PREDICATE: u8 = 6;
const ADD: u8 = 7;
const MUL: u8 = 8;
const POW: u8 = 9;
const SIGN: u8 = 10;

fn expr(node: Node, at: Span) -> Expr {
    Expr { node, at }
}

fn boxed(node: impl FnOnce(Box<Expr>, Box<Expr>) -> Node, a: Expr, b: Expr) -> Expr {
    let at = a.at.to(b.at);
    expr(node(Box::new(a), Box::new(b)), at)
}

impl Parser {
    pub(crate) fn expr(&mut self) -> Read<Expr> {
        self.binding(0)
    }

    /// An expression of operators that bind stronger than `least`.
    fn binding(&mut self, least: u8) -> Read<Expr> {
        self.deeper(|p| {
            let mut left = p.prefix()?;
            // A chain of operators is as deep as it is long.
            let mut chain = 0;
            while let Some((power, operator)) = p.operator().filter(|o| o.0 > least) {
                chain += 1;
                if chain > MAX_DEPTH {
                    return Err(too_deep(p.here()));
                }
                left = p.apply(left, power, operator)?;
            }
            Ok(left)
        })
    }

    fn operator(&self) -> Option<(u8, Operator)> {
        use Operator as O;
        let found = match self.peek() {
            Token::Sign(s) => match *s {
                "+" => (ADD, O::Binary(Binary::Add)),
                "-" => (ADD, O::Binary(Binary::Sub)),
                "*" => (MUL, O::Binary(Binary::Mul)),
                "/" => (MUL, O::Binary(Binary::Div)),
                "%" => (MUL, O::Binary(Binary::Mod)),
                "^" => (POW, O::Binary(Binary::Pow)),
                "=~" => (PREDICATE, O::Binary(Binary::Matches)),
                "=" | "<>" | "<" | "<=" | ">" | ">=" => (COMPARE, O::Compare),
                _ => return None,
            },
            Token::Word(w, false) => match w.to_ascii_uppercase().as_str() {
                "OR" => (OR, O::Or),
                "XOR" => (XOR, O::Binary(Binary::Xor)),
                "AND" => (AND, O::And),
                "IN" => (PREDICATE, O::Binary(Binary::In)),
                "STARTS" if self.is_word(1, "WITH") => (PREDICATE, O::Binary(Binary::StartsWith)),
                "ENDS" if self.is_word(1, "WITH") => (PREDICATE, O::Binary(Binary::EndsWith)),
                "CONTAINS" => (PREDICATE, O::Binary(Binary::Contains)),
                "IS" => (PREDICATE, O::Is),
                _ => return None,
            },
            _ => return None,
        };
        Some(found)
    }

    fn apply(&mut self, left: Expr, power: u8, operator: Operator) -> Read<Expr> {
        match operator {
            Operator::Binary(op) => {
                self.at += if matches!(op, Binary::StartsWith | Binary::EndsWith) { 2 } else { 1 };
                let right = self.binding(power)?;
                Ok(boxed(|a, b| Node::Binary(op, a, b), left, right))
            }
            Operator::And | Operator::Or => {
                let word = if matches!(operator, Operator::And) { "AND" } else { "OR" };
                let mut all = vec![left];
                while self.word(word) {
                    all.push(self.binding(power)?);
                }
                let at = all.first().zip(all.last()).map_or(self.here(), |(a, b)| a.at.to(b.at));
                Ok(expr(if word == "AND" { Node::And(all) } else { Node::Or(all) }, at))
            }
            Operator::Compare => {
                let mut rest = Vec::new();
                while let Some(op) = self.comparison() {
                    self.at += 1;
                    rest.push((op, self.binding(COMPARE)?));
                }
                let at = rest.last().map_or(left.at, |l| left.at.to(l.1.at));
                Ok(expr(Node::Compare(Box::new(left), rest), at))
            }
            Operator::Is => {
                self.at += 1;
                let not = self.word("NOT");
                if !self.word("NULL") {
                    return Err(self.unexpected("NULL"));
                }
                let at = left.at.to(self.last());
                let left = Box::new(left);
                Ok(expr(if not { Node::IsNotNull(left) } else { Node::IsNull(left) }, at))
            }
        }
    }

    fn comparison(&self) -> Option<Compare> {
        match self.peek() {
            Token::Sign("=") => Some(Compare::Eq),
            Token::Sign("<>") => Some(Compare::Ne),
            Token::Sign("<") => Some(Compare::Lt),
            Token::Sign("<=") => Some(Compare::Le),
            Token::Sign(">") => Some(Compare::Gt),
            Token::Sign(">=") => Some(Compare::Ge),
            _ => None,
        }
    }

    fn prefix(&mut self) -> Read<Expr> {
        let at = self.here();
        if self.word("NOT") {
            let inner = self.binding(NOT - 1)?;
            let at = at.to(inner.at);
            return Ok(expr(Node::Not(Box::new(inner)), at));
        }
        if self.sign("-") {
            const LEAST: u64 = 1 << 63;
            if *self.peek() == Token::Int(LEAST) {
                self.at += 1;
                return Ok(expr(Node::Int(i64::MIN), at.to(self.last())));
            }
            let inner = self.binding(SIGN - 1)?;
            let at = at.to(inner.at);
            return Ok(expr(Node::Neg(Box::new(inner)), at));
        }
        if self.sign("+") {
            let inner = self.binding(SIGN - 1)?;
            let at = at.to(inner.at);
            return Ok(expr(Node::Pos(Box::new(inner)), at));
        }
        let atom = self.atom()?;
        self.postfix(atom)
    }

    fn postfix(&mut self, mut of: Expr) -> Read<Expr> {
        let mut chain = 0;
        loop {
            chain += 1;
            if chain > MAX_DEPTH {
                return Err(too_deep(self.here()));
            }
            let start = of.at;
            if self.sign(".") {
                let key = self.name()?;
                of = expr(Node::Property(Box::new(of), key), start.to(self.last()));
            } else if self.sign("[") {
                of = self.subscript(of)?;
            } else if self.is_sign(0, ":") && matches!(self.peek_at(1), Token::Word(..)) {
                let mut labels = Vec::new();
                while self.sign(":") {
                    labels.push(self.name()?);
                }
                of = expr(Node::HasLabels(Box::new(of), labels), start.to(self.last()));
            } else {
                return Ok(of);
            }
        }
    }

    fn subscript(&mut self, of: Expr) -> Read<Expr> {
        let start = of.at;
        let of = Box::new(of);
        let from = if self.is_sign(0, "..") { None } else { Some(Box::new(self.expr()?)) };
        if self.sign("..") {
            let to = if self.is_sign(0, "]") { None } else { Some(Box::new(self.expr()?)) };
            self.need_sign("]")?;
            return Ok(expr(Node::Slice(of, from, to), start.to(self.last())));
        }
        self.need_sign("]")?;
        let Some(index) = from else { return Err(self.unexpected("an index")) };
        Ok(expr(Node::Index(of, index), start.to(self.last())))
    }

    fn atom(&mut self) -> Read<Expr> {
        let at = self.here();
        let node = match self.peek().clone() {
            Token::Int(n) => Node::Int(i64::try_from(n).map_err(|_| overflow(at))?),
            Token::Huge => return Err(overflow(at)),
            Token::Float(x) => Node::Float(x),
            Token::Text(t) => Node::Text(t),
            Token::Param(p) => Node::Param(p),
            Token::Sign("(") => return self.bracket(),
            Token::Sign("[") => return self.list(),
            Token::Sign("{") => return self.map(),
            Token::Word(w, quoted) => return self.worded(&w, quoted),
            _ => return Err(self.unexpected("an expression")),
        };
        self.at += 1;
        Ok(expr(node, at))
    }

    fn bracket(&mut self) -> Read<Expr> {
        let at = self.here();
        if self.is_chain(0) {
            let chain = self.chain()?;
            return Ok(expr(Node::Pattern(Box::new(chain)), at.to(self.last())));
        }
        self.at += 1;
        let mut inner = self.expr()?;
        self.need_sign(")")?;
        inner.at = at.to(self.last());
        Ok(inner)
    }

    fn list(&mut self) -> Read<Expr> {
        let at = self.here();
        self.at += 1;
        if matches!(self.peek(), Token::Word(..)) && self.is_word(1, "IN") {
            let var = self.name()?;
            self.at += 1;
            let list = Box::new(self.expr()?);
            let filter = self.filter()?.map(Box::new);
            let map = if self.sign("|") { Some(Box::new(self.expr()?)) } else { None };
            self.need_sign("]")?;
            return Ok(expr(Node::ListComp { var, list, filter, map }, at.to(self.last())));
        }
        let named = matches!(self.peek(), Token::Word(..)) && self.is_sign(1, "=") && self.is_chain(2);
        if named || self.is_chain(0) {
            let start = self.at;
            let pattern = Box::new(self.path()?);
            let filter = self.filter()?.map(Box::new);
            if self.sign("|") {
                let map = Box::new(self.expr()?);
                self.need_sign("]")?;
                return Ok(expr(Node::PatternComp { pattern, filter, map }, at.to(self.last())));
            }
            if filter.is_some() {
                return Err(self.unexpected("`|`"));
            }
            self.at = start;
        }
        let items = self.arguments("]")?;
        Ok(expr(Node::List(items), at.to(self.last())))
    }

    pub(super) fn map(&mut self) -> Read<Expr> {
        let at = self.here();
        self.need_sign("{")?;
        let mut entries: Vec<(Name, Expr)> = Vec::new();
        if !self.sign("}") {
            loop {
                let key = self.name()?;
                self.need_sign(":")?;
                entries.push((key, self.expr()?));
                if self.sign("}") {
                    break;
                }
                self.need_sign(",")?;
            }
        }
        Ok(expr(Node::Map(entries), at.to(self.last())))
    }

    fn worded(&mut self, word: &str, quoted: bool) -> Read<Expr> {
        let at = self.here();
        let upper = word.to_ascii_uppercase();
        let called = self.is_sign(1, "(");
        if !quoted {
            match upper.as_str() {
                "NULL" | "TRUE" | "FALSE" => {
                    self.at += 1;
                    let node = if upper == "NULL" { Node::Null } else { Node::Bool(upper == "TRUE") };
                    return Ok(expr(node, at));
                }
                "CASE" if !called || !self.is_sign(2, ")") => return self.case(),
                "EXISTS" | "COUNT" if self.is_sign(1, "{") => return self.subquery(upper == "COUNT"),
                "COUNT" if called && self.is_sign(2, "*") && self.is_sign(3, ")") => {
                    self.at += 4;
                    return Ok(expr(Node::CountStar, at.to(self.last())));
                }
                "REDUCE" if called => return self.reduce(),
                "ALL" | "ANY" | "NONE" | "SINGLE" if called && self.is_word(3, "IN") => {
                    return self.quantifier(&upper);
                }
                _ => {}
            }
        }
        // A function's name may have dots: `duration.between(`.
        let mut ahead = 1;
        while self.is_sign(ahead, ".") && matches!(self.peek_at(ahead + 1), Token::Word(..)) {
            ahead += 2;
        }
        if self.is_sign(ahead, "(") {
            return self.function();
        }
        self.at += 1;
        Ok(expr(Node::Var(word.to_owned()), at))
    }

    fn function(&mut self) -> Read<Expr> {
        let at = self.here();
        let mut name = self.name()?.text;
        while self.sign(".") {
            name = format!("{name}.{}", self.name()?.text);
        }
        self.need_sign("(")?;
        let distinct = self.word("DISTINCT");
        let args = self.arguments(")")?;
        Ok(expr(Node::Call { name, distinct, args }, at.to(self.last())))
    }

    fn case(&mut self) -> Read<Expr> {
        let at = self.here();
        self.at += 1;
        let of = if self.is_word(0, "WHEN") { None } else { Some(Box::new(self.expr()?)) };
        let mut arms = Vec::new();
        while self.word("WHEN") {
            let when = self.expr()?;
            if !self.word("THEN") {
                return Err(self.unexpected("THEN"));
            }
            arms.push((when, self.expr()?));
        }
        if arms.is_empty() {
            return Err(self.unexpected("WHEN"));
        }
        let otherwise = if self.word("ELSE") { Some(Box::new(self.expr()?)) } else { None };
        if !self.word("END") {
            return Err(self.unexpected("END"));
        }
        Ok(expr(Node::Case { of, arms, otherwise }, at.to(self.last())))
    }

    fn quantifier(&mut self, word: &str) -> Read<Expr> {
        let at = self.here();
        let kind = match word {
            "ALL" => Quantifier::All,
            "ANY" => Quantifier::Any,
            "NONE" => Quantifier::None,
            _ => Quantifier::Single,
        };
        self.at += 2;
        let var = self.name()?;
        self.at += 1;
        let list = Box::new(self.expr()?);
        let filter = self.filter()?.map(Box::new);
        self.need_sign(")")?;
        Ok(expr(Node::Quantifier { kind, var, list, filter }, at.to(self.last())))
    }

    fn reduce(&mut self) -> Read<Expr> {
        let at = self.here();
        self.at += 2;
        let sum = self.name()?;
        self.need_sign("=")?;
        let start = Box::new(self.expr()?);
        self.need_sign(",")?;
        let var = self.name()?;
        if !self.word("IN") {
            return Err(self.unexpected("IN"));
        }
        let list = Box::new(self.expr()?);
        self.need_sign("|")?;
        let body = Box::new(self.expr()?);
        self.need_sign(")")?;
        Ok(expr(Node::Reduce { sum, start, var, list, body }, at.to(self.last())))
    }

    /// `EXISTS { (a)-->(b) WHERE … }` or with a whole query in the braces.
    fn subquery(&mut self, count: bool) -> Read<Expr> {
        let at = self.here();
        self.at += 2;
        self.deeper(|p| {
            let query = if p.is_sign(0, "(") || (matches!(p.peek(), Token::Word(..)) && p.is_sign(1, "=")) {
                p.bare_match()?
            } else {
                p.query()?
            };
            p.need_sign("}")?;
            Ok(expr(Node::Subquery { count, query: Box::new(query) }, at.to(p.last())))
        })
    }
}

enum Operator {
    Binary(Binary),
    And,
    Or,
    Compare,
    Is,
}

fn overflow(at: Span) -> Error {
    Error::syntax("IntegerOverflow", at, "this number is too large")
}
