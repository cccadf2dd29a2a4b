//! A query as written, every part with its place in the text.

use super::error::Span;

/// A name and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Name {
    pub text: String,
    pub at: Span,
}

/// Names are equal wherever they stand.
impl PartialEq for Name {
    fn eq(&self, other: &Name) -> bool {
        self.text == other.text
    }
}

/// Parts joined by UNION; `all[i]` says whether duplicates between part `i` and the next stay.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Query {
    pub parts: Vec<Vec<Clause>>,
    pub all: Vec<bool>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Clause {
    Match { optional: bool, patterns: Vec<PathPattern>, filter: Option<Expr>, at: Span },
    Unwind { list: Expr, var: Name },
    With { body: Projection, filter: Option<Expr> },
    Return(Projection),
    Call(Call),
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Call {
    pub name: Name,
    /// `None`: taken from the parameters.
    pub args: Option<Vec<Expr>>,
    pub yields: Yields,
    pub filter: Option<Expr>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Yields {
    NotSaid,
    All(Span),
    Some(Vec<(Name, Option<Name>)>),
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Projection {
    pub distinct: bool,
    pub star: bool,
    pub items: Vec<Item>,
    pub order: Vec<(Expr, Order)>,
    pub skip: Option<Expr>,
    pub limit: Option<Expr>,
    pub at: Span,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    Up,
    Down,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Item {
    pub expr: Expr,
    pub alias: Option<Name>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shortest {
    No,
    One,
    All,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct PathPattern {
    pub var: Option<Name>,
    pub shortest: Shortest,
    pub start: NodePattern,
    pub steps: Vec<(EdgePattern, NodePattern)>,
    pub at: Span,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct NodePattern {
    pub var: Option<Name>,
    pub labels: Vec<Name>,
    pub props: Option<Expr>,
    pub at: Span,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrow {
    Right,
    Left,
    Both,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct EdgePattern {
    pub var: Option<Name>,
    pub types: Vec<Name>,
    /// `*`, with its bounds.
    pub range: Option<(u32, Option<u32>)>,
    pub props: Option<Expr>,
    pub arrow: Arrow,
    pub at: Span,
}

#[derive(Clone, Debug)]
pub(crate) struct Expr {
    pub node: Node,
    pub at: Span,
}

/// Expressions are equal wherever they stand: a grouping key is found again by it.
impl PartialEq for Expr {
    fn eq(&self, other: &Expr) -> bool {
        self.node == other.node
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Binary {
    Add,
    Sub,
    Mul,
    Div,
    Mod,
    Pow,
    Xor,
    In,
    StartsWith,
    EndsWith,
    Contains,
    Matches,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Compare {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Quantifier {
    All,
    Any,
    None,
    Single,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Node {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    Param(String),
    Var(String),
    List(Vec<Expr>),
    Map(Vec<(Name, Expr)>),
    Property(Box<Expr>, Name),
    Index(Box<Expr>, Box<Expr>),
    Slice(Box<Expr>, Option<Box<Expr>>, Option<Box<Expr>>),
    HasLabels(Box<Expr>, Vec<Name>),
    Neg(Box<Expr>),
    Pos(Box<Expr>),
    Not(Box<Expr>),
    And(Vec<Expr>),
    Or(Vec<Expr>),
    Binary(Binary, Box<Expr>, Box<Expr>),
    /// `a < b <= c`.
    Compare(Box<Expr>, Vec<(Compare, Expr)>),
    IsNull(Box<Expr>),
    IsNotNull(Box<Expr>),
    Call {
        name: String,
        distinct: bool,
        args: Vec<Expr>,
    },
    CountStar,
    Case {
        of: Option<Box<Expr>>,
        arms: Vec<(Expr, Expr)>,
        otherwise: Option<Box<Expr>>,
    },
    ListComp {
        var: Name,
        list: Box<Expr>,
        filter: Option<Box<Expr>>,
        map: Option<Box<Expr>>,
    },
    PatternComp {
        pattern: Box<PathPattern>,
        filter: Option<Box<Expr>>,
        map: Box<Expr>,
    },
    Quantifier {
        kind: Quantifier,
        var: Name,
        list: Box<Expr>,
        filter: Option<Box<Expr>>,
    },
    Reduce {
        sum: Name,
        start: Box<Expr>,
        var: Name,
        list: Box<Expr>,
        body: Box<Expr>,
    },
    Pattern(Box<PathPattern>),
    /// EXISTS { … } and COUNT { … }.
    Subquery {
        count: bool,
        query: Box<Query>,
    },
}
