//! Questions as text.

use super::{Between, By, NodeName, Page, Query, Show, Side, Way};
use ontology::Time;
use std::fmt;

impl fmt::Display for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.class, quoted(&self.name))
    }
}

pub(super) fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

impl fmt::Display for By {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.within {
            Some(w) => write!(f, "{} of {}", self.class, quoted(w)),
            None => f.write_str(&self.class),
        }
    }
}

impl fmt::Display for Between {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "between {} and {}", self.from, self.to)
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Side::Between(b) => b.fmt(f),
            Side::At(t) => write!(f, "at {t}"),
            Side::Snapshot(name) => write!(f, "snapshot {}", quoted(name)),
            Side::Known(t) => write!(f, "known {t}"),
        }
    }
}

impl fmt::Display for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.offset.map_or(Ok(()), |n| write!(f, " offset {n}"))?;
        self.limit.map_or(Ok(()), |n| write!(f, " limit {n}"))
    }
}

impl fmt::Display for Show {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Show::Count => f.write_str("count"),
            Show::Rate => f.write_str("rate"),
            Show::Bad => f.write_str("bad"),
            Show::Ratio => f.write_str("ratio"),
            Show::Mean => f.write_str("mean"),
            Show::Geomean => f.write_str("geomean"),
            Show::Growth => f.write_str("growth"),
            Show::Quantile(q) => write!(f, "p{}", (q * 1000.0).round() / 10.0),
        }
    }
}

impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = |f: &mut fmt::Formatter<'_>, at: &Option<Time>| at.map_or(Ok(()), |t| write!(f, " at {t}"));
        let limit =
            |f: &mut fmt::Formatter<'_>, l: &Option<usize>| l.map_or(Ok(()), |n| write!(f, " limit {n}"));
        match self {
            Query::Find { class, text, at: t, limit: l } => {
                write!(f, "find {class}")?;
                text.as_ref().map_or(Ok(()), |t| write!(f, " {}", quoted(t)))?;
                at(f, t)?;
                limit(f, l)
            }
            Query::Show { node, at: t } => {
                write!(f, "show {node}")?;
                at(f, t)
            }
            Query::Neighbours { node, hops, at: t, limit: l } => {
                write!(f, "neighbours {node}")?;
                hops.map_or(Ok(()), |h| write!(f, " hops {h}"))?;
                at(f, t)?;
                limit(f, l)
            }
            Query::Path { from, to, at: t } => {
                write!(f, "path {from} to {to}")?;
                at(f, t)
            }
            Query::Merges { class, limit: l } => {
                f.write_str("merges")?;
                class.as_ref().map_or(Ok(()), |c| write!(f, " of {c}"))?;
                limit(f, l)
            }
            Query::Follows { what, from, to, at: t, limit: l } => {
                write!(f, "follows {what}")?;
                from.as_ref().map_or(Ok(()), |n| write!(f, " from {n}"))?;
                to.as_ref().map_or(Ok(()), |n| write!(f, " to {n}"))?;
                at(f, t)?;
                limit(f, l)
            }
            Query::Why { from, to, at: t } => {
                write!(f, "why {from} to {to}")?;
                at(f, t)
            }
            Query::Trouble { way, nodes, aspect, at: t, limit: l } => {
                let word = match way {
                    Way::Origins => "origins",
                    Way::Common => "common",
                    Way::Impact => "impact",
                };
                let nodes: Vec<String> = nodes.iter().map(NodeName::to_string).collect();
                write!(f, "{word} {}", nodes.join(" and "))?;
                aspect.as_ref().map_or(Ok(()), |a| write!(f, " of {a}"))?;
                at(f, t)?;
                limit(f, l)
            }
            Query::Paths { from, to, aspect, hops, at: t, best } => {
                write!(f, "paths {from} to {to}")?;
                aspect.as_ref().map_or(Ok(()), |a| write!(f, " of {a}"))?;
                hops.map_or(Ok(()), |h| write!(f, " hops {h}"))?;
                at(f, t)?;
                best.map_or(Ok(()), |n| write!(f, " best {n}"))
            }
            Query::Series { measure, of, terms, by, between, every, show } => {
                write!(f, "series {measure}")?;
                of.as_ref().map_or(Ok(()), |n| write!(f, " of {n}"))?;
                f.write_str(&terms.clause())?;
                if !by.is_empty() {
                    let by: Vec<String> = by.iter().map(By::to_string).collect();
                    write!(f, " by {}", by.join(", "))?;
                }
                write!(f, " {between}")?;
                every.map_or(Ok(()), |e| write!(f, " every {e}m"))?;
                show.map_or(Ok(()), |s| write!(f, " show {s}"))
            }
            Query::Flow { relation, from, to, terms, between, every, show, asked } => {
                write!(f, "flow {relation} from {from} to {to}{} {between}", terms.clause())?;
                every.map_or(Ok(()), |e| write!(f, " every {e}m"))?;
                write!(f, " show {show}")?;
                if *asked { f.write_str(" asked") } else { Ok(()) }
            }
            Query::Diff { before, after, terms, versus, least, page } => {
                write!(f, "diff {before} against ")?;
                match after {
                    Side::Between(b) => write!(f, "{} and {}", b.from, b.to)?,
                    other => other.fmt(f)?,
                }
                f.write_str(&terms.clause())?;
                // Everyone else, where nobody in particular is said.
                versus.as_ref().map_or(Ok(()), |v| write!(f, " versus{}", v.clause()))?;
                least.map_or(Ok(()), |l| write!(f, " least {l}"))?;
                page.fmt(f)
            }
            Query::Cohort { terms, when, page } => {
                write!(f, "cohort{}", terms.clause())?;
                when.as_ref().map_or(Ok(()), |w| write!(f, " {w}"))?;
                page.fmt(f)
            }
            Query::Changes { between, touching } => {
                write!(f, "changes {between}")?;
                touching.as_ref().map_or(Ok(()), |n| write!(f, " touching {n}"))
            }
            Query::Question { name, line, at: t, limit: l } => {
                write!(f, "question {name}")?;
                line.map_or(Ok(()), |n| write!(f, " line {n}"))?;
                at(f, t)?;
                limit(f, l)
            }
        }
    }
}
