//! `GET /diff` and `GET /cohort`: rows in pages, or all of them as lines of JSON while they are read.

use super::export::{Written, streamed};
use super::{Answered, Api, Looked, MAX_TEXT, Now, Said, Trouble, cypher, looked, moment, times, told};
use ::query::text::{Page, ParseError, Predicate, Query, Side};
use ::query::{Compared, Touched, View};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use engine::Engine;
use ontology::{Stretch, Time};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json, json};
use std::io::{self, Write as _};
use tokio::sync::OwnedSemaphorePermit;

/// Rows of a page when nothing is said.
const ROWS: usize = 100;
/// Most rows of a page.
const MOST_ROWS: usize = 10_000;
/// Lines of JSON.
const LINES: &str = "application/x-ndjson";

/// What to compare, or whom.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wanted {
    before: Option<String>,
    after: Option<String>,
    when: Option<String>,
    r#where: Option<String>,
    versus: Option<String>,
    least: Option<f64>,
    offset: Option<usize>,
    limit: Option<usize>,
    at: Option<String>,
    as_known: Option<String>,
    format: Option<String>,
}

fn side(name: &str, text: Option<&str>) -> Result<Option<Side>, Trouble> {
    let Some(text) = text.map(str::trim).filter(|t| !t.is_empty()) else { return Ok(None) };
    Side::from_word(text).map(Some).map_err(|e| Trouble::Unclear(format!("{name}: {e}")))
}

fn people(name: &str, text: Option<&str>) -> Result<Option<Predicate>, Trouble> {
    let Some(text) = text.map(str::trim).filter(|t| !t.is_empty()) else { return Ok(None) };
    if text.len() > MAX_TEXT {
        return Err(Trouble::TooLarge(format!("{name} is longer than {MAX_TEXT} bytes")));
    }
    text.parse().map(Some).map_err(|e: ParseError| Trouble::Unclear(format!("{name}: {e}")))
}

/// How the rows are wanted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Page,
    Lines,
}

impl Wanted {
    fn form(&self) -> Result<Form, Trouble> {
        match self.format.as_deref().unwrap_or("json") {
            "json" | "" => Ok(Form::Page),
            "ndjson" => Ok(Form::Lines),
            other => {
                Err(Trouble::Unclear(format!("format: there is no form `{other}`; there are: json, ndjson")))
            }
        }
    }

    /// A page has at most [`MOST_ROWS`]; lines are all there are, unless fewer are asked for.
    fn page(&self, form: Form) -> Page {
        let limit = match form {
            Form::Page => Some(self.limit.unwrap_or(ROWS).min(MOST_ROWS)),
            Form::Lines => self.limit,
        };
        Page { offset: self.offset, limit }
    }

    /// The moments that it names in `at` and `as_known`.
    fn moments(&self) -> Result<(Option<Time>, Option<Time>), Trouble> {
        Ok((moment("at", self.at.as_deref())?, moment("as_known", self.as_known.as_deref())?))
    }
}

/// What is the same of both answers.
trait Rows: Send + 'static {
    type Row: Serialize;
    fn head(&self) -> Result<Map<String, Json>, Trouble>;
    fn page(&self, most: usize) -> std::ops::Range<usize>;
    fn rows(&self, which: std::ops::Range<usize>) -> Box<dyn Iterator<Item = Self::Row> + '_>;
    fn all(&self) -> usize;
}

/// The times of some sides; those of `at` where they say none.
fn asked(sides: [Option<&Side>; 2], at: Option<Time>) -> Vec<Stretch> {
    let of: Vec<Stretch> = sides.into_iter().flatten().filter_map(Side::time).collect();
    if of.is_empty() { times([at]) } else { of }
}

fn head(query: &str, totals: Json, notes: String) -> Map<String, Json> {
    let mut head = Map::new();
    head.insert("query".to_owned(), json!(query));
    head.insert("totals".to_owned(), totals);
    if !notes.is_empty() {
        head.insert("note".to_owned(), json!(notes));
    }
    head
}

impl Rows for Compared {
    type Row = ::query::compared::Row;

    fn head(&self) -> Result<Map<String, Json>, Trouble> {
        Ok(head(self.query(), told(&self.totals())?, self.notes()))
    }

    fn page(&self, most: usize) -> std::ops::Range<usize> {
        Compared::page(self, most)
    }

    fn rows(&self, which: std::ops::Range<usize>) -> Box<dyn Iterator<Item = Self::Row> + '_> {
        Box::new(Compared::rows(self, which))
    }

    fn all(&self) -> usize {
        self.totals().rows
    }
}

impl Rows for Touched {
    type Row = ::query::touched::Row;

    fn head(&self) -> Result<Map<String, Json>, Trouble> {
        let mut head = head(self.query(), told(&self.totals())?, self.notes());
        head.insert("from".to_owned(), json!(self.during().from.to_string()));
        head.insert("to".to_owned(), json!(self.during().to.to_string()));
        Ok(head)
    }

    fn page(&self, most: usize) -> std::ops::Range<usize> {
        Touched::page(self, most)
    }

    fn rows(&self, which: std::ops::Range<usize>) -> Box<dyn Iterator<Item = Self::Row> + '_> {
        Box::new(Touched::rows(self, which))
    }

    fn all(&self) -> usize {
        self.totals().rows
    }
}

/// Puts a note before those of an answer.
fn with_note(mut head: Map<String, Json>, note: Option<&str>) -> Map<String, Json> {
    if let Some(note) = note {
        let more = head.get("note").and_then(Json::as_str).unwrap_or_default();
        let both = format!("{note} {more}");
        head.insert("note".to_owned(), json!(both.trim_end()));
    }
    head
}

/// One page: rows, where the next page begins, and how many rows come after this one.
fn paged<R: Rows>(found: &R, note: Option<&str>) -> Answered {
    let page = found.page(MOST_ROWS);
    let mut answer = with_note(found.head()?, note);
    let all = found.all();
    answer.insert("offset".to_owned(), json!(page.start));
    answer.insert("next".to_owned(), if page.end < all { json!(page.end) } else { Json::Null });
    answer.insert("hidden".to_owned(), json!(all - page.end));
    let rows: Result<Vec<Json>, Trouble> = found.rows(page).map(|r| told(&r)).collect();
    answer.insert("rows".to_owned(), Json::Array(rows?));
    Ok(Now(Json::Object(answer)))
}

/// A line of totals, then a line for each row.
fn lines<R: Rows>(found: &R, note: Option<&str>, mut to: Written) -> io::Result<()> {
    let head = found
        .head()
        .map(|h| with_note(h, note))
        .map_err(|_| io::Error::other("the totals cannot be written"))?;
    writeln!(to, "{}", Json::Object(head))?;
    for row in found.rows(found.page(usize::MAX)) {
        serde_json::to_writer(&mut to, &row)?;
        to.write_all(b"\n")?;
    }
    to.flush()
}

async fn answered<R: Rows>(
    api: Api,
    form: Form,
    find: impl FnOnce(&Engine) -> Result<(R, Option<String>), Trouble> + Send + 'static,
) -> Result<Response, Trouble> {
    let streams: Option<OwnedSemaphorePermit> = match form {
        Form::Page => None,
        Form::Lines => Some(api.export_permit()?),
    };
    let Ok(permit) = api.queries.clone().try_acquire_owned() else {
        return Err(Trouble::Busy(format!(
            "{} queries are under way already; try again when one has ended",
            cypher::AT_ONCE
        )));
    };
    let done = tokio::task::spawn_blocking(move || {
        let found = find(&api.engine);
        drop(permit);
        let (found, note) = found?;
        match streams {
            None => Ok((None, Some(paged(&found, note.as_deref())?))),
            Some(streams) => Ok((Some((found, note, streams)), None)),
        }
    });
    let done: Result<_, Trouble> =
        done.await.unwrap_or_else(|e| Err(Trouble::Ours(format!("answering this ended in a panic: {e}"))));
    match done? {
        (Some((found, note, streams)), _) => {
            streamed(streams, LINES, move |to| lines(&found, note.as_deref(), to))
        }
        (None, Some(page)) => Ok(page.into_response()),
        (None, None) => Err(Trouble::Ours("there is neither a page nor a stream".to_owned())),
    }
}

/// What differs between two sides; without a side it is now, and the second is the first when only cohorts differ.
pub(crate) async fn diff(State(api): State<Api>, Said(wanted): Said<Wanted>) -> Result<Response, Trouble> {
    let (before, after) =
        (side("before", wanted.before.as_deref())?, side("after", wanted.after.as_deref())?);
    let (terms, versus) =
        (people("where", wanted.r#where.as_deref())?, people("versus", wanted.versus.as_deref())?);
    if wanted.when.is_some() {
        return Err(Trouble::Unclear("`when` is of /cohort; say `before` and `after`".to_owned()));
    }
    if let Some(least) = wanted.least.filter(|l| !l.is_finite()) {
        return Err(Trouble::Unclear(format!("least: `{least}` is no number to stop at")));
    }
    let form = wanted.form()?;
    let (at, known) = wanted.moments()?;
    let earlier = api.earlier(known, asked([before.as_ref(), after.as_ref()], at)).await?;
    answered(api, form, move |engine| {
        let Looked { graph, note } = looked(engine, known, earlier)?;
        let mut view = View::latest(&graph);
        view.as_of = at.map_or(view.as_of, |t| t.min(view.as_of));
        let before = before.or_else(|| after.clone()).unwrap_or(Side::At(view.as_of));
        let after = after.unwrap_or_else(|| match (&before, &versus) {
            (_, Some(_)) => before.clone(),
            (Side::Known(_), None) => Side::Known(view.as_of),
            _ => Side::At(view.as_of),
        });
        let query = Query::Diff {
            before,
            after,
            terms: terms.unwrap_or_default(),
            versus,
            least: wanted.least,
            page: wanted.page(form),
        };
        Ok((Compared::of(&view, engine, &query)?, note))
    })
    .await
}

/// What some people touched.
pub(crate) async fn cohort(State(api): State<Api>, Said(wanted): Said<Wanted>) -> Result<Response, Trouble> {
    let terms = people("where", wanted.r#where.as_deref())?;
    let when = side("when", wanted.when.as_deref())?;
    if wanted.before.is_some() || wanted.after.is_some() || wanted.versus.is_some() || wanted.least.is_some()
    {
        return Err(Trouble::Unclear(
            "`before`, `after`, `versus` and `least` are of /diff; say `where` and `when`".to_owned(),
        ));
    }
    let Some(terms) = terms else {
        return Err(Trouble::Unclear("where is missing: which people, such as `version = 8.42`".to_owned()));
    };
    let form = wanted.form()?;
    let (at, known) = wanted.moments()?;
    let earlier = api.earlier(known, asked([when.as_ref(), None], at)).await?;
    answered(api, form, move |engine| {
        let Looked { graph, note } = looked(engine, known, earlier)?;
        let mut view = View::latest(&graph);
        view.as_of = at.map_or(view.as_of, |t| t.min(view.as_of));
        let query = Query::Cohort { terms, when, page: wanted.page(form) };
        Ok((Touched::of(&view, engine, &query)?, note))
    })
    .await
}
