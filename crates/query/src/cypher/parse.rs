//! Reading a query's clauses: recursive descent, with a bound on depth so that no text can exhaust the stack.

use super::ast::{Call, Clause, Expr, Item, Name, Order, Projection, Query, Yields};
use super::error::{Error, Kind, Phase, Span};
use super::token::{Token, Tokens, tokens};

/// Longest query taken, in bytes.
pub(crate) const MAX_BYTES: usize = 1 << 20;
/// Deepest nesting of expressions and subqueries. Each level costs under 3 KB of stack when read and evaluated in an
/// unoptimised build, a thread has 2 MB.
pub(crate) const MAX_DEPTH: u32 = 200;
/// Most clauses and pattern steps of a query: each is a level of the call stack while the query runs.
pub(crate) const MAX_STEPS: usize = 400;

/// Reads a query; says also whether it asked for its plan only or with figures.
pub(crate) fn parse(text: &str) -> Result<(Mode, Query), Error> {
    if text.len() > MAX_BYTES {
        let message = format!("the query has {} bytes, at most {MAX_BYTES} are taken", text.len());
        return Err(Error::new(Kind::TooLarge, Phase::Compile, "TooLarge", Span::default(), message));
    }
    let tokens = tokens(text)?;
    let mut parser = Parser { closing: closing(&tokens), tokens, at: 0, depth: 0, steps: 0 };
    let mode = if parser.word("EXPLAIN") {
        Mode::Explain
    } else if parser.word("PROFILE") {
        Mode::Profile
    } else {
        Mode::Run
    };
    let query = parser.query()?;
    parser.sign(";");
    match parser.peek() {
        Token::End => Ok((mode, query)),
        _ => Err(parser.unexpected("a clause or the end of the query")),
    }
}

/// What is asked about a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Its rows.
    Run,
    /// Its plan (`EXPLAIN`).
    Explain,
    /// Its plan with rows and work (`PROFILE`).
    Profile,
}

pub(crate) struct Parser {
    pub(super) tokens: Tokens,
    /// For each opening bracket the place of the one that closes it.
    pub(super) closing: Vec<Option<usize>>,
    pub(super) at: usize,
    pub(super) depth: u32,
    pub(super) steps: usize,
}

type Read<T> = Result<T, Error>;

const WRITES: [&str; 8] = ["CREATE", "MERGE", "SET", "DELETE", "DETACH", "REMOVE", "FOREACH", "LOAD"];

impl Parser {
    pub(super) fn peek(&self) -> &Token {
        self.peek_at(0)
    }

    pub(super) fn peek_at(&self, ahead: usize) -> &Token {
        self.tokens.get(self.at + ahead).map_or(&Token::End, |t| &t.0)
    }

    /// Where the next token stands.
    pub(super) fn here(&self) -> Span {
        self.tokens.get(self.at).or(self.tokens.last()).map_or(Span::default(), |t| t.1)
    }

    /// Where the last token stood.
    pub(super) fn last(&self) -> Span {
        self.at.checked_sub(1).and_then(|i| self.tokens.get(i)).map_or(Span::default(), |t| t.1)
    }

    pub(super) fn is_word(&self, ahead: usize, word: &str) -> bool {
        matches!(self.peek_at(ahead), Token::Word(w, false) if w.eq_ignore_ascii_case(word))
    }

    pub(super) fn is_sign(&self, ahead: usize, sign: &str) -> bool {
        matches!(self.peek_at(ahead), Token::Sign(s) if *s == sign)
    }

    /// Takes a keyword if it is next.
    pub(super) fn word(&mut self, word: &str) -> bool {
        let there = self.is_word(0, word);
        self.at += usize::from(there);
        there
    }

    /// Takes two keywords if they are next.
    pub(super) fn words(&mut self, first: &str, second: &str) -> bool {
        let there = self.is_word(0, first) && self.is_word(1, second);
        self.at += if there { 2 } else { 0 };
        there
    }

    pub(super) fn sign(&mut self, sign: &str) -> bool {
        let there = self.is_sign(0, sign);
        self.at += usize::from(there);
        there
    }

    pub(super) fn need_sign(&mut self, sign: &'static str) -> Read<()> {
        if self.sign(sign) { Ok(()) } else { Err(self.unexpected(&format!("`{sign}`"))) }
    }

    fn need_word(&mut self, word: &str) -> Read<()> {
        if self.word(word) { Ok(()) } else { Err(self.unexpected(word)) }
    }

    pub(super) fn unexpected(&self, due: &str) -> Error {
        let what =
            if *self.peek() == Token::End { "the query ends here" } else { "this is not expected here" };
        Error::syntax("UnexpectedSyntax", self.here(), format!("{what}, {due} is due"))
    }

    pub(super) fn name(&mut self) -> Read<Name> {
        let at = self.here();
        match self.peek() {
            Token::Word(w, _) => {
                let text = w.clone();
                self.at += 1;
                Ok(Name { text, at })
            }
            _ => Err(self.unexpected("a name")),
        }
    }

    /// Runs `read` one level deeper.
    pub(super) fn deeper<T>(&mut self, read: impl FnOnce(&mut Parser) -> Read<T>) -> Read<T> {
        if self.depth >= MAX_DEPTH {
            return Err(too_deep(self.here()));
        }
        self.depth += 1;
        let found = read(self);
        self.depth -= 1;
        found
    }

    pub(super) fn step(&mut self) -> Read<()> {
        self.steps += 1;
        if self.steps > MAX_STEPS {
            let message = format!("a query may have at most {MAX_STEPS} clauses and steps of patterns");
            return Err(Error::new(Kind::TooLarge, Phase::Compile, "TooLarge", self.here(), message));
        }
        Ok(())
    }

    pub(super) fn query(&mut self) -> Read<Query> {
        let mut query = Query { parts: vec![self.part()?], all: Vec::new() };
        while self.is_word(0, "UNION") {
            let at = self.here();
            self.at += 1;
            let all = self.word("ALL");
            if query.all.last().is_some_and(|before| *before != all) {
                let message = "UNION and UNION ALL cannot be mixed in one query";
                return Err(Error::syntax("InvalidClauseComposition", at, message));
            }
            query.all.push(all);
            query.parts.push(self.part()?);
        }
        Ok(query)
    }

    fn part(&mut self) -> Read<Vec<Clause>> {
        let mut clauses = Vec::new();
        loop {
            match self.clause()? {
                Some(c) => {
                    self.step()?;
                    let last = matches!(c, Clause::Return(_));
                    clauses.push(c);
                    if last {
                        return Ok(clauses);
                    }
                }
                None if clauses.is_empty() => {
                    return Err(self.unexpected("MATCH, UNWIND, WITH, CALL or RETURN"));
                }
                None => return Ok(clauses),
            }
        }
    }

    fn clause(&mut self) -> Read<Option<Clause>> {
        let at = self.here();
        if self.word("MATCH") {
            return self.matched(false, at).map(Some);
        }
        if self.is_word(0, "OPTIONAL") && self.is_word(1, "MATCH") {
            self.at += 2;
            return self.matched(true, at).map(Some);
        }
        if self.word("UNWIND") {
            let list = self.expr()?;
            self.need_word("AS")?;
            return Ok(Some(Clause::Unwind { list, var: self.name()? }));
        }
        if self.word("WITH") {
            let body = self.projection(at)?;
            return Ok(Some(Clause::With { body, filter: self.filter()? }));
        }
        if self.word("RETURN") {
            return Ok(Some(Clause::Return(self.projection(at)?)));
        }
        if self.word("CALL") {
            return self.call().map(Some);
        }
        if WRITES.iter().any(|w| self.is_word(0, w)) {
            let message = "queries only read: nothing can be created, set or deleted";
            return Err(Error::syntax("InvalidClauseComposition", at, message));
        }
        Ok(None)
    }

    fn matched(&mut self, optional: bool, at: Span) -> Read<Clause> {
        let mut patterns = vec![self.path()?];
        while self.sign(",") {
            patterns.push(self.path()?);
        }
        let at = at.to(self.last());
        Ok(Clause::Match { optional, patterns, filter: self.filter()?, at })
    }

    /// The inside of `EXISTS { (a)-->(b) WHERE … }`.
    pub(super) fn bare_match(&mut self) -> Read<Query> {
        let at = self.here();
        let clause = self.matched(false, at)?;
        Ok(Query { parts: vec![vec![clause]], all: Vec::new() })
    }

    pub(super) fn filter(&mut self) -> Read<Option<Expr>> {
        if self.word("WHERE") { self.expr().map(Some) } else { Ok(None) }
    }

    fn projection(&mut self, at: Span) -> Read<Projection> {
        let distinct = self.word("DISTINCT");
        let star = self.sign("*");
        let mut items = Vec::new();
        if !star || self.sign(",") {
            items.push(self.item()?);
            while self.sign(",") {
                items.push(self.item()?);
            }
        }
        let at = at.to(self.last());
        let mut order = Vec::new();
        if self.words("ORDER", "BY") {
            order.push(self.order()?);
            while self.sign(",") {
                order.push(self.order()?);
            }
        }
        let skip = if self.word("SKIP") || self.word("OFFSET") { Some(self.expr()?) } else { None };
        let limit = if self.word("LIMIT") { Some(self.expr()?) } else { None };
        Ok(Projection { distinct, star, items, order, skip, limit, at })
    }

    fn item(&mut self) -> Read<Item> {
        let expr = self.expr()?;
        let alias = if self.word("AS") { Some(self.name()?) } else { None };
        Ok(Item { expr, alias })
    }

    fn order(&mut self) -> Read<(Expr, Order)> {
        let expr = self.expr()?;
        let down = self.word("DESC") || self.word("DESCENDING");
        if !down {
            let _ = self.word("ASC") || self.word("ASCENDING");
        }
        Ok((expr, if down { Order::Down } else { Order::Up }))
    }

    fn call(&mut self) -> Read<Clause> {
        let mut name = self.name()?;
        while self.sign(".") {
            let more = self.name()?;
            name.text = format!("{}.{}", name.text, more.text);
            name.at = name.at.to(more.at);
        }
        let args = if self.sign("(") { Some(self.arguments(")")?) } else { None };
        let mut yields = Yields::NotSaid;
        if self.word("YIELD") {
            let at = self.here();
            if self.sign("*") {
                yields = Yields::All(at);
            } else {
                let mut columns = Vec::new();
                loop {
                    let column = self.name()?;
                    let alias = if self.word("AS") { Some(self.name()?) } else { None };
                    columns.push((column, alias));
                    if !self.sign(",") {
                        break;
                    }
                }
                yields = Yields::Some(columns);
            }
        }
        let filter = if yields == Yields::NotSaid { None } else { self.filter()? };
        Ok(Clause::Call(Call { name, args, yields, filter }))
    }

    /// Expressions up to a closing sign, which is taken.
    pub(super) fn arguments(&mut self, end: &'static str) -> Read<Vec<Expr>> {
        let mut args = Vec::new();
        if self.sign(end) {
            return Ok(args);
        }
        loop {
            args.push(self.expr()?);
            if self.sign(end) {
                return Ok(args);
            }
            self.need_sign(",")?;
        }
    }
}

fn closing(tokens: &Tokens) -> Vec<Option<usize>> {
    let mut closing = vec![None; tokens.len()];
    let mut open = Vec::new();
    for (i, (token, _)) in tokens.iter().enumerate() {
        match token {
            Token::Sign("(" | "[" | "{") => open.push(i),
            Token::Sign(")" | "]" | "}") => {
                if let Some(place) = open.pop().and_then(|o: usize| closing.get_mut(o)) {
                    *place = Some(i);
                }
            }
            _ => {}
        }
    }
    closing
}

pub(super) fn too_deep(at: Span) -> Error {
    let message = format!("this is nested deeper than {MAX_DEPTH} levels");
    Error::new(Kind::TooLarge, Phase::Compile, "TooDeep", at, message)
}
