//! Reading patterns: `p = (a:Service {name: 'x'})-[r:calls*1..3]->(b)`.

use super::ast::{Arrow, EdgePattern, Expr, Name, Node, NodePattern, PathPattern, Shortest};
use super::error::{Error, Span};
use super::parse::Parser;
use super::token::Token;

type Read<T> = Result<T, Error>;

impl Parser {
    /// One path of MATCH, maybe named, maybe the shortest.
    pub(crate) fn path(&mut self) -> Read<PathPattern> {
        let at = self.here();
        let named = matches!(self.peek(), Token::Word(..)) && self.is_sign(1, "=");
        let var = if named {
            let name = self.name()?;
            self.at += 1;
            Some(name)
        } else {
            None
        };
        let shortest = if self.is_sign(1, "(") && self.word("shortestPath") {
            Shortest::One
        } else if self.is_sign(1, "(") && self.word("allShortestPaths") {
            Shortest::All
        } else {
            Shortest::No
        };
        let mut path = if shortest == Shortest::No {
            self.chain()?
        } else {
            self.need_sign("(")?;
            let chain = self.chain()?;
            self.need_sign(")")?;
            if chain.steps.len() != 1 {
                let message = "the shortest path is asked between two nodes: (a)-[*]-(b)";
                return Err(Error::syntax("InvalidRelationshipPattern", chain.at, message));
            }
            chain
        };
        path.var = var;
        path.shortest = shortest;
        path.at = at.to(self.last());
        Ok(path)
    }

    /// `(a)-[r]->(b)<--(c)`.
    pub(super) fn chain(&mut self) -> Read<PathPattern> {
        let at = self.here();
        let start = self.node_pattern()?;
        let mut steps = Vec::new();
        while self.is_sign(0, "-") || (self.is_sign(0, "<") && self.is_sign(1, "-")) {
            self.step()?;
            let edge = self.edge_pattern()?;
            steps.push((edge, self.node_pattern()?));
        }
        Ok(PathPattern { var: None, shortest: Shortest::No, start, steps, at: at.to(self.last()) })
    }

    fn node_pattern(&mut self) -> Read<NodePattern> {
        let at = self.here();
        self.need_sign("(")?;
        let var = self.pattern_var()?;
        let mut labels = Vec::new();
        while self.sign(":") {
            labels.push(self.name()?);
            while self.sign("&") {
                labels.push(self.name()?);
            }
        }
        let props = self.pattern_props()?;
        self.need_sign(")")?;
        Ok(NodePattern { var, labels, props, at: at.to(self.last()) })
    }

    fn pattern_var(&mut self) -> Read<Option<Name>> {
        match self.peek() {
            Token::Word(..) => self.name().map(Some),
            _ => Ok(None),
        }
    }

    fn pattern_props(&mut self) -> Read<Option<Expr>> {
        if let Token::Param(_) = self.peek() {
            let message = "a parameter cannot stand for the properties of a pattern";
            return Err(Error::syntax("InvalidParameterUse", self.here(), message)
                .with_hint("compare each property: {name: $name}"));
        }
        if !self.is_sign(0, "{") {
            return Ok(None);
        }
        let map = self.map()?;
        debug_assert!(matches!(map.node, Node::Map(_)));
        Ok(Some(map))
    }

    fn edge_pattern(&mut self) -> Read<EdgePattern> {
        let at = self.here();
        let left = self.sign("<");
        self.need_sign("-")?;
        let mut edge =
            EdgePattern { var: None, types: Vec::new(), range: None, props: None, arrow: Arrow::Both, at };
        if self.sign("[") {
            edge.var = self.pattern_var()?;
            if self.sign(":") {
                edge.types.push(self.name()?);
                while self.sign("|") {
                    self.sign(":");
                    edge.types.push(self.name()?);
                }
            }
            if self.sign("*") {
                edge.range = Some(self.range()?);
            }
            if self.is_sign(0, "..") {
                let message = "bounds of a length stand after `*`";
                return Err(Error::syntax("InvalidRelationshipPattern", self.here(), message));
            }
            edge.props = self.pattern_props()?;
            self.need_sign("]")?;
        }
        self.need_sign("-")?;
        let right = self.sign(">");
        edge.arrow = match (left, right) {
            (true, false) => Arrow::Left,
            (false, true) => Arrow::Right,
            _ => Arrow::Both,
        };
        edge.at = at.to(self.last());
        Ok(edge)
    }

    fn range(&mut self) -> Read<(u32, Option<u32>)> {
        if self.is_sign(0, "-") {
            let message = "a length cannot be negative";
            return Err(Error::syntax("InvalidRelationshipPattern", self.here(), message));
        }
        let least = self.length()?;
        if self.sign("..") {
            return Ok((least.unwrap_or(1), self.length()?));
        }
        Ok(least.map_or((1, None), |n| (n, Some(n))))
    }

    fn length(&mut self) -> Read<Option<u32>> {
        let at = self.here();
        match self.peek() {
            Token::Int(n) => {
                let n = u32::try_from(*n).map_err(|_| too_long(at))?;
                self.at += 1;
                Ok(Some(n))
            }
            Token::Huge => Err(too_long(at)),
            _ => Ok(None),
        }
    }

    /// Whether a path with at least one edge begins at the bracket `ahead`: decided without reading it, so that nested
    /// brackets are never read twice.
    pub(super) fn is_chain(&self, ahead: usize) -> bool {
        if !self.is_sign(ahead, "(") {
            return false;
        }
        let named = matches!(self.peek_at(ahead + 1), Token::Word(..));
        let next = ahead + 1 + usize::from(named);
        let starts = [")", ":", "{"].iter().any(|s| self.is_sign(next, s));
        let end = self.closing.get(self.at + ahead).copied().flatten().filter(|_| starts);
        let Some(end) = end.and_then(|e| e.checked_sub(self.at)) else { return false };
        let arrow = |i: usize| self.is_sign(i, "-") && (self.is_sign(i + 1, "[") || self.is_sign(i + 1, "-"));
        arrow(end + 1) || (self.is_sign(end + 1, "<") && arrow(end + 2))
    }
}

fn too_long(at: Span) -> Error {
    Error::syntax("IntegerOverflow", at, "this length is too large")
}
