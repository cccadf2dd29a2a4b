//! Regressions, investigations, questions in plain words, and queries.

#![expect(
    clippy::disallowed_methods,
    reason = "a rim crate: how long a question may take is told by the clock"
)]

use super::{Answered, Api, Looked, MAX_BODY, Now, Said, Trouble, aside, looked, moment, said, times, told};
use ::query::View;
use ::query::text::{NodeName, Query};
use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use engine::Engine;
use ontology::Time;
use serde::Deserialize;
use serde_json::{Value as Json, json};
use std::time::{Duration, Instant};

/// How long the best ways between two things are looked for.
pub(crate) const PATHS_SECONDS: u64 = 10;

/// A chart of an investigation has about so many points: more cannot be told apart on a page.
const CHART_POINTS: i64 = 120;

/// Every regression, open ones first.
pub(crate) async fn regressions(State(api): State<Api>) -> Answered {
    aside(api, |engine| {
        let graph = engine.graph();
        let mut rows = Vec::new();
        for r in engine.regressions() {
            rows.push(with_cause(engine, told(&r)?));
        }
        Ok(Now(json!({ "as_of": View::latest(&graph).as_of.to_string(), "regressions": rows })))
    })
    .await
}

/// The title of the likeliest cause, with the probability that the investigation gave it.
fn with_cause(engine: &Engine, mut regression: Json) -> Json {
    let id = regression.get("investigation").and_then(Json::as_str).map(str::to_owned);
    let cause = id.and_then(|id| engine.investigation(&id)).and_then(|a| a.causes.into_iter().next());
    if let Some(fields) = regression.as_object_mut() {
        let top = cause.map_or(Json::Null, |c| json!({ "title": c.title, "probability": c.probability }));
        fields.insert("top_cause".to_owned(), top);
    }
    regression
}

/// One investigation.
pub(crate) async fn investigation(State(api): State<Api>, Path(id): Path<String>) -> Answered {
    aside(api, move |engine| {
        let answer = engine.investigation(&id).ok_or_else(|| {
            Trouble::Missing(format!(
                "there is no investigation `{id}`; /api/v1/regressions names those there are"
            ))
        })?;
        let mut answer = with_charts(told(&answer)?);
        // The answer goes by the id it was asked for, so that links made of it lead back here.
        if let Some(fields) = answer.as_object_mut() {
            fields.insert("id".to_owned(), json!(id));
        }
        Ok(Now(answer))
    })
    .await
}

/// A question in plain words.
#[derive(Deserialize)]
pub(crate) struct Asked {
    question: Option<String>,
    at: Option<String>,
}

/// Answers a question in plain words.
pub(crate) async fn ask(State(api): State<Api>, body: Result<axum::Json<Asked>, JsonRejection>) -> Answered {
    let axum::Json(asked) = body.map_err(|e| unread(&e, r#"{"question": …, "at": …}"#))?;
    let question = said("question", asked.question.as_deref())?.to_owned();
    let at = moment("at", asked.at.as_deref())?;
    aside(api, move |engine| {
        let answer = engine.ask(&question, at).map_err(|e| Trouble::Ours(e.to_string()))?;
        Ok(Now(with_charts(told(&answer)?)))
    })
    .await
}

/// Why a body of this form cannot be read.
pub(crate) fn unread(why: &JsonRejection, form: &str) -> Trouble {
    let form = format!("the body is {form}");
    match why.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Trouble::TooLarge(format!("{form}, of at most {MAX_BODY} bytes")),
        StatusCode::UNSUPPORTED_MEDIA_TYPE => {
            Trouble::Media(format!("{form}, sent as `Content-Type: application/json`"))
        }
        _ => Trouble::Unclear(format!("{form}: {}", why.body_text())),
    }
}

/// A query in text form.
#[derive(Deserialize)]
pub(crate) struct Written {
    q: Option<String>,
    at: Option<String>,
    as_known: Option<String>,
    limit: Option<usize>,
}

/// Answers a query in text form.
pub(crate) async fn query(State(api): State<Api>, Said(written): Said<Written>) -> Answered {
    let text = said("q", written.q.as_deref())?.to_owned();
    let at = moment("at", written.at.as_deref())?;
    let known = moment("as_known", written.as_known.as_deref())?;
    // What cannot be read asks about nothing; that is told below.
    let mut of = text.parse::<Query>().map_or_else(|_| Vec::new(), |q| q.times());
    if of.is_empty() {
        of = times([at]);
    }
    let earlier = api.earlier(known, of).await?;
    aside(api, move |engine| {
        let Looked { graph, note } = looked(engine, known, earlier)?;
        let mut view = View::latest(&graph);
        view.as_of = at.map_or(view.as_of, |t| t.min(view.as_of));
        let begin = Instant::now();
        let stop = || begin.elapsed() >= Duration::from_secs(PATHS_SECONDS);
        let mut output = ::query::run::ask_of(&view, engine, &stop, &text)?;
        if let Some(note) = note {
            output.note = [note, output.note].join(" ").trim_end().to_owned();
        }
        let most = written.limit.unwrap_or(usize::MAX);
        output.hidden += output.rows.len().saturating_sub(most);
        output.rows.truncate(most);
        Ok(Now(told(&output)?))
    })
    .await
}

/// Adds to an answer the queries that draw its measure: the sufferers, those who share one of their traits, everybody else.
fn with_charts(mut answer: Json) -> Json {
    let charts = charts(&answer).unwrap_or_default();
    if let Some(fields) = answer.as_object_mut() {
        fields.insert("chart_queries".to_owned(), Json::Array(charts));
    }
    answer
}

fn charts(answer: &Json) -> Option<Vec<Json>> {
    let text = |path: &str| answer.pointer(path).and_then(Json::as_str);
    let measure = text("/regression/measure")?;
    let subject = NodeName {
        class: text("/regression/subject/class")?.to_owned(),
        name: text("/regression/subject/name")?.to_owned(),
    };
    let from = Time::parse(text("/windows/healthy/from")?).ok()?;
    let to = Time::parse(text("/windows/degraded/to")?).ok()?;
    let every = ((to.minute().0 - from.minute().0) / CHART_POINTS).max(1);
    let members: Vec<(&str, &str)> = answer
        .pointer("/regression/cohort_entities")?
        .as_array()?
        .iter()
        .filter_map(|e| Some((e.get("class")?.as_str()?, e.get("name")?.as_str()?)))
        .collect();
    let term = |(class, name): (&str, &str), sign: &str| format!("{class} {sign} {}", quoted(name));
    let line = |name: String, terms: Vec<String>| {
        let terms = if terms.is_empty() { String::new() } else { format!(" where {}", terms.join(" and ")) };
        let query = format!(
            "series {measure} of {} {}{terms} between {from} and {to} every {every}m",
            subject.class,
            quoted(&subject.name)
        );
        json!({ "name": name, "query": query })
    };
    let short = |name: &str| name.rsplit('/').next().unwrap_or(name).to_owned();
    let all = |sign: &str| members.iter().map(|m| term(*m, sign)).collect::<Vec<_>>();
    Some(match members.as_slice() {
        [] => vec![line("everybody".to_owned(), Vec::new())],
        [one] => vec![line(short(one.1), all("=")), line(format!("without {}", short(one.1)), all("!="))],
        [a, b] => vec![
            line(format!("{} with {}", short(a.1), short(b.1)), all("=")),
            line(format!("{} without {}", short(a.1), short(b.1)), vec![term(*a, "="), term(*b, "!=")]),
            line(format!("{} without {}", short(b.1), short(a.1)), vec![term(*a, "!="), term(*b, "=")]),
        ],
        [first, ..] => vec![
            line("those who suffer".to_owned(), all("=")),
            line(format!("without {}", short(first.1)), vec![term(*first, "!=")]),
        ],
    })
}

/// A name as queries write it.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interaction_is_drawn_beside_each_of_its_halves_alone() {
        let answer = json!({
            "regression": {"measure": "view.ttr", "subject": {"id": "v", "class": "View", "name": "tvui/lolomo"},
                "cohort_entities": [{"id": "a", "class": "AppVersion", "name": "tvui/8.42.0"}, {"id": "b", "class": "Cell", "name": "rows/B"}]},
            "windows": {"healthy": {"from": "2026-11-24T10:00:00Z", "to": "2026-11-24T11:00:00Z"}, "degraded": {"from": "2026-11-24T11:00:00Z", "to": "2026-11-24T12:00:00Z"}},
        });
        let drawn = charts(&answer).unwrap();
        let names: Vec<&str> = drawn.iter().map(|c| c["name"].as_str().unwrap()).collect();
        assert_eq!(names, ["8.42.0 with B", "8.42.0 without B", "B without 8.42.0"]);
        for chart in &drawn {
            let text = chart["query"].as_str().unwrap();
            let read: ::query::Query = text.parse().unwrap();
            assert_eq!(read.to_string().parse::<::query::Query>().unwrap(), read);
        }
    }

    #[test]
    fn a_quote_in_a_name_stays_in_the_name() {
        let read: ::query::Query = format!("show Service {}", quoted("a\"b\\c")).parse().unwrap();
        assert_eq!(read.to_string(), format!("show Service {}", quoted("a\"b\\c")));
    }
}
