//! Questions read from text.

use super::{Between, By, MAX_TEXT, NodeName, Page, ParseError, Query, Show, Side, Way};
use ontology::Time;
use std::str::FromStr;

pub(super) struct Word {
    pub(super) text: String,
    pub(super) quoted: bool,
    pub(super) column: usize,
}

pub(super) struct Parser {
    pub(super) words: Vec<Word>,
    pub(super) at: usize,
    pub(super) end: usize,
}

const STARTS: &str = "find, show, neighbours, path, paths, why, origins, impact, common, merges, follows, series, flow, diff, cohort, changes or question";

impl FromStr for Query {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Query, ParseError> {
        let mut p = Parser::new(text)?;
        let start = p.word("a question", STARTS)?;
        let query = match start.as_str() {
            "find" => Query::Find {
                class: p.class()?,
                text: p.string_if(),
                at: p.at()?,
                limit: p.number_after("limit")?,
            },
            "show" => Query::Show { node: p.node()?, at: p.at()? },
            "neighbours" | "neighbors" => Query::Neighbours {
                node: p.node()?,
                hops: p.number_after("hops")?,
                at: p.at()?,
                limit: p.number_after("limit")?,
            },
            "path" => {
                let from = p.node()?;
                p.expect("to")?;
                Query::Path { from, to: p.node()?, at: p.at()? }
            }
            "paths" => {
                let from = p.node()?;
                p.expect("to")?;
                let to = p.node()?;
                let (aspect, hops) = (p.aspect()?, p.number_after("hops")?);
                Query::Paths { from, to, aspect, hops, at: p.at()?, best: p.number_after("best")? }
            }
            "merges" => Query::Merges {
                class: if p.eat("of") { Some(p.class()?) } else { None },
                limit: p.number_after("limit")?,
            },
            "follows" => Query::Follows {
                what: p.word("a derived relation or a predicate", "a name such as rests_on")?,
                from: if p.eat("from") { Some(p.node()?) } else { None },
                to: if p.eat("to") { Some(p.node()?) } else { None },
                at: p.at()?,
                limit: p.number_after("limit")?,
            },
            "why" => {
                let from = p.node()?;
                p.expect("to")?;
                Query::Why { from, to: p.node()?, at: p.at()? }
            }
            "origins" => p.trouble(Way::Origins)?,
            "impact" => p.trouble(Way::Impact)?,
            "common" => p.trouble(Way::Common)?,
            "series" => {
                let measure = p.word("a measure", "a name such as view.ttr")?;
                let of = if p.eat("of") { Some(p.node()?) } else { None };
                let terms = p.terms()?;
                let mut by = Vec::new();
                if p.eat("by") {
                    loop {
                        let class = p.class()?;
                        let within = if p.eat("of") { Some(p.string()?) } else { None };
                        by.push(By { class, within });
                        if !p.eat(",") {
                            break;
                        }
                    }
                }
                let between = p.between("between")?;
                let every = p.every()?;
                let show = if p.eat("show") { Some(p.show()?) } else { None };
                Query::Series { measure, of, terms, by, between, every, show }
            }
            "flow" => {
                let relation = p.word("a relation", "a name such as calls")?;
                p.expect("from")?;
                let from = p.node()?;
                p.expect("to")?;
                let to = p.node()?;
                let terms = p.terms()?;
                let between = p.between("between")?;
                let every = p.every()?;
                p.expect("show")?;
                let show = p.show()?;
                Query::Flow { relation, from, to, terms, between, every, show, asked: p.eat("asked") }
            }
            "diff" => {
                let before = p.side("`between`, `at`, `snapshot` or `known`")?;
                p.expect("against")?;
                let after = match p.side_if()? {
                    Some(side) => side,
                    None => Side::Between(p.stretch()?),
                };
                let terms = p.terms()?;
                let versus = if p.eat("versus") { Some(p.terms()?) } else { None };
                let least = if p.eat("least") { Some(p.float()?) } else { None };
                Query::Diff { before, after, terms, versus, least, page: p.page()? }
            }
            "cohort" => {
                let terms = p.terms()?;
                Query::Cohort { terms, when: p.side_if()?, page: p.page()? }
            }
            "changes" => {
                let between = p.between("between")?;
                let touching = if p.eat("touching") { Some(p.node()?) } else { None };
                Query::Changes { between, touching }
            }
            "question" => Query::Question {
                name: p.word("a question of the ontology", "a name such as q04")?,
                line: p.number_after("line")?,
                at: p.at()?,
                limit: p.number_after("limit")?,
            },
            other => return Err(p.error_back(format!("`{other}` does not begin a question; write {STARTS}"))),
        };
        p.finish()?;
        Ok(query)
    }
}

impl Parser {
    pub(super) fn trouble(&mut self, way: Way) -> Result<Query, ParseError> {
        let mut nodes = vec![self.node()?];
        while way == Way::Common && self.eat("and") {
            nodes.push(self.node()?);
        }
        let aspect = self.aspect()?;
        Ok(Query::Trouble { way, nodes, aspect, at: self.at()?, limit: self.number_after("limit")? })
    }

    pub(super) fn aspect(&mut self) -> Result<Option<String>, ParseError> {
        let said = self.eat("of");
        said.then(|| self.word("a kind of trouble", "a name such as latency")).transpose()
    }

    pub(super) fn new(text: &str) -> Result<Parser, ParseError> {
        if text.len() > MAX_TEXT {
            return Err(ParseError {
                column: MAX_TEXT,
                message: format!("a query may have at most {MAX_TEXT} bytes"),
            });
        }
        let chars: Vec<char> = text.chars().collect();
        let mut words = Vec::new();
        let mut i = 0;
        while let Some(&c) = chars.get(i) {
            let column = i + 1;
            if c.is_whitespace() {
                i += 1;
            } else if c == '"' {
                let mut s = String::new();
                i += 1;
                loop {
                    match chars.get(i) {
                        None => {
                            return Err(ParseError {
                                column,
                                message: "this text has no closing \"".to_owned(),
                            });
                        }
                        Some('"') => break,
                        Some('\\') => {
                            i += 1;
                            s.extend(chars.get(i));
                        }
                        Some(c) => s.push(*c),
                    }
                    i += 1;
                }
                i += 1;
                words.push(Word { text: s, quoted: true, column });
            } else if "!<>".contains(c) && chars.get(i + 1) == Some(&'=') {
                words.push(Word { text: format!("{c}="), quoted: false, column });
                i += 2;
            } else if ",()=<>".contains(c) {
                words.push(Word { text: c.to_string(), quoted: false, column });
                i += 1;
            } else {
                let mut s = String::new();
                while let Some(c) = chars.get(i).filter(|c| !c.is_whitespace() && !",()=!<>\"".contains(**c))
                {
                    s.push(*c);
                    i += 1;
                }
                if s.is_empty() {
                    return Err(ParseError { column, message: format!("`{c}` does not belong here") });
                }
                words.push(Word { text: s, quoted: false, column });
            }
        }
        Ok(Parser { words, at: 0, end: chars.len() + 1 })
    }

    pub(super) fn error(&self, message: String) -> ParseError {
        ParseError { column: self.words.get(self.at).map_or(self.end, |w| w.column), message }
    }

    pub(super) fn error_back(&self, message: String) -> ParseError {
        ParseError {
            column: self.words.get(self.at.saturating_sub(1)).map_or(self.end, |w| w.column),
            message,
        }
    }

    pub(super) fn eat(&mut self, text: &str) -> bool {
        let there = self.words.get(self.at).is_some_and(|w| !w.quoted && w.text == text);
        self.at += usize::from(there);
        there
    }

    pub(super) fn expect(&mut self, text: &str) -> Result<(), ParseError> {
        if self.eat(text) {
            Ok(())
        } else {
            Err(self.error(format!("expected `{text}` here{}", self.found())))
        }
    }

    pub(super) fn found(&self) -> String {
        self.words
            .get(self.at)
            .map_or_else(|| ", the text ends".to_owned(), |w| format!(", not `{}`", w.text))
    }

    pub(super) fn word(&mut self, what: &str, such: &str) -> Result<String, ParseError> {
        match self.words.get(self.at).filter(|w| !w.quoted) {
            Some(w) => {
                self.at += 1;
                Ok(w.text.clone())
            }
            None => Err(self.error(format!("expected {what} here ({such}){}", self.found()))),
        }
    }

    pub(super) fn class(&mut self) -> Result<String, ParseError> {
        self.word("a class", "a name such as Service")
    }

    pub(super) fn string_if(&mut self) -> Option<String> {
        let text = self.words.get(self.at).filter(|w| w.quoted)?.text.clone();
        self.at += 1;
        Some(text)
    }

    pub(super) fn string(&mut self) -> Result<String, ParseError> {
        self.string_if()
            .ok_or_else(|| self.error(format!("expected a name in \"quotes\" here{}", self.found())))
    }

    pub(super) fn node(&mut self) -> Result<NodeName, ParseError> {
        Ok(NodeName { class: self.class()?, name: self.string()? })
    }

    pub(super) fn time(&mut self) -> Result<Time, ParseError> {
        let text = self.word("a time", "written like 2026-11-24T12:05:00Z")?;
        Time::parse(&text).map_err(|e| self.error_back(e.to_string()))
    }

    pub(super) fn at(&mut self) -> Result<Option<Time>, ParseError> {
        if self.eat("at") { self.time().map(Some) } else { Ok(None) }
    }

    pub(super) fn number_after(&mut self, word: &str) -> Result<Option<usize>, ParseError> {
        if !self.eat(word) {
            return Ok(None);
        }
        let text = self.word("a number", "such as 3")?;
        text.parse().map(Some).map_err(|_| self.error_back(format!("`{text}` is not a whole number")))
    }

    pub(super) fn float(&mut self) -> Result<f64, ParseError> {
        let text = self.word("a number", "such as 3")?;
        text.parse().map_err(|_| self.error_back(format!("`{text}` is not a number")))
    }

    pub(super) fn every(&mut self) -> Result<Option<i64>, ParseError> {
        if !self.eat("every") {
            return Ok(None);
        }
        let text = self.word("a number of minutes", "such as 5m")?;
        let number =
            text.strip_suffix('m').and_then(|n| n.parse::<i64>().ok()).filter(|n| (1..=10_080).contains(n));
        number
            .map(Some)
            .ok_or_else(|| self.error_back(format!("`{text}` is not a number of minutes; write it like 5m")))
    }

    pub(super) fn between(&mut self, word: &str) -> Result<Between, ParseError> {
        self.expect(word)?;
        self.stretch()
    }

    pub(super) fn side_if(&mut self) -> Result<Option<Side>, ParseError> {
        Ok(Some(if self.eat("between") {
            Side::Between(self.stretch()?)
        } else if self.eat("at") {
            Side::At(self.time()?)
        } else if self.eat("snapshot") {
            Side::Snapshot(self.string()?)
        } else if self.eat("known") {
            Side::Known(self.time()?)
        } else {
            return Ok(None);
        }))
    }

    pub(super) fn side(&mut self, what: &str) -> Result<Side, ParseError> {
        self.side_if()?.ok_or_else(|| self.error(format!("expected {what} here{}", self.found())))
    }

    pub(super) fn page(&mut self) -> Result<Page, ParseError> {
        Ok(Page { offset: self.number_after("offset")?, limit: self.number_after("limit")? })
    }

    pub(super) fn stretch(&mut self) -> Result<Between, ParseError> {
        let from = self.time()?;
        self.expect("and")?;
        let to = self.time()?;
        if from > to {
            return Err(self.error_back("this stretch ends before it starts".to_owned()));
        }
        Ok(Between { from, to })
    }

    pub(super) fn show(&mut self) -> Result<Show, ParseError> {
        let text = self.word(
            "a statistic",
            "count, rate, bad, ratio, mean, geomean, growth, max or a quantile such as p95",
        )?;
        let quantile = |t: &str| {
            t.strip_prefix('p')?.parse::<f64>().ok().filter(|q| (0.0..=100.0).contains(q)).map(|q| q / 100.0)
        };
        Ok(match text.as_str() {
            "count" => Show::Count,
            "rate" => Show::Rate,
            "bad" => Show::Bad,
            "ratio" => Show::Ratio,
            "mean" => Show::Mean,
            "geomean" => Show::Geomean,
            "growth" => Show::Growth,
            "max" => Show::Quantile(1.0),
            other => Show::Quantile(quantile(other).ok_or_else(|| {
                self.error_back(format!(
                    "`{other}` is no statistic; write count, rate, bad, ratio, mean, geomean, growth, max or a quantile such as p95"
                ))
            })?),
        })
    }

    pub(super) fn finish(&self) -> Result<(), ParseError> {
        if self.at < self.words.len() {
            return Err(self.error(format!("did not expect anything here{}", self.found())));
        }
        Ok(())
    }
}
