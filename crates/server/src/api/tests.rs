//! Each address asked well and badly, over an engine that holds nothing yet.

use super::{Operator, routes};
use axum::Router;
use axum::body::{Body, to_bytes};
use engine::{Engine, LostHashKey, Options};
use http::{Request, StatusCode, header};
use ontology::Ontology;
use serde_json::{Value as Json, json};
use std::sync::Arc;
use tower::Service;

fn api() -> (Router, tempfile::TempDir) {
    api_with(|| Ok(Ontology::builtin()))
}

fn api_with(
    ontology: impl Fn() -> Result<Ontology, String> + Send + Sync + 'static,
) -> (Router, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let options = Options {
        data: folder.path().to_owned(),
        limits: graph::Limits::default(),
        keep_log: engine::KeepLog::default(),
        new_hash_key: [7; 32],
        lost_hash_key: LostHashKey::Refuse,
    };
    let (engine, _) = Engine::open(&options, Arc::new(Ontology::builtin()), |_| {}).unwrap();
    let operator = Operator { ontology: Arc::new(ontology), hash_key: Arc::new(|| Ok([8; 32])) };
    (routes(Arc::new(engine), operator, None), folder)
}

async fn send(router: &mut Router, request: Request<Body>) -> (StatusCode, Json) {
    let response = router.call(request).await.unwrap();
    assert!(response.headers().contains_key(header::CONTENT_SECURITY_POLICY));
    let status = response.status();
    let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
    (status, serde_json::from_slice(&body).unwrap())
}

async fn get(router: &mut Router, path: &str) -> (StatusCode, Json) {
    send(router, Request::get(format!("/api/v1{path}")).body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn an_engine_without_facts_answers_every_address() {
    let (mut api, _folder) = api();
    for (path, key) in [
        ("/regressions", "regressions"),
        ("/changes", "changes"),
        ("/sources", "sources"),
        ("/sources", "questions"),
        ("/sources/refused", "refused"),
        ("/ontology", "classes"),
        ("/classes", "classes"),
        ("/graph/find?q=a", "nodes"),
        ("/query?q=find%20Service%20limit%203", "rows"),
    ] {
        let (status, body) = get(&mut api, path).await;
        assert_eq!(status, StatusCode::OK, "{path}: {body}");
        assert!(body.get(key).is_some_and(Json::is_array), "{path}: {body}");
    }
}

#[tokio::test]
async fn what_cannot_be_read_or_is_not_there_is_told_as_json() {
    let (mut api, _folder) = api();
    for (path, wanted) in [
        ("/investigations/none", StatusCode::NOT_FOUND),
        ("/nowhere", StatusCode::NOT_FOUND),
        ("/query", StatusCode::BAD_REQUEST),
        ("/query?q=what%20is%20wrong", StatusCode::BAD_REQUEST),
        ("/query?q=find%20Servise", StatusCode::NOT_FOUND),
        ("/query?q=show%20Service%20%22ratings%22", StatusCode::NOT_FOUND),
        (
            "/query?q=series%20view.trr%20between%202026-11-24T10:00:00Z%20and%202026-11-24T11:00:00Z",
            StatusCode::NOT_FOUND,
        ),
        ("/query?q=find%20Service&at=yesterday", StatusCode::BAD_REQUEST),
        ("/graph/find?q=a&class=Servise", StatusCode::NOT_FOUND),
        ("/graph/show?id=none", StatusCode::NOT_FOUND),
        ("/graph/export?format=csv", StatusCode::BAD_REQUEST),
        ("/graph/export?at=yesterday", StatusCode::BAD_REQUEST),
        ("/query?q=question%20q99", StatusCode::NOT_FOUND),
        ("/query?q=question%20q01%20line%209", StatusCode::NOT_FOUND),
        ("/graph/map?around=none", StatusCode::NOT_FOUND),
        ("/graph/map?around=none&hops=many", StatusCode::BAD_REQUEST),
        ("/changes?from=1", StatusCode::BAD_REQUEST),
        ("/sources/refused?source=nobody", StatusCode::NOT_FOUND),
        ("/sources/refused?limit=many", StatusCode::BAD_REQUEST),
        ("/ask", StatusCode::METHOD_NOT_ALLOWED),
    ] {
        let (status, body) = get(&mut api, path).await;
        assert_eq!(status, wanted, "{path}: {body}");
        assert!(body.get("error").and_then(Json::as_str).is_some_and(|e| e.len() > 10), "{path}: {body}");
    }
}

#[tokio::test]
async fn a_query_in_opencypher_gives_rows_or_says_what_is_wrong_and_where() {
    let (mut api, _folder) = api();
    let mut ask = async |body: Json| {
        let request = Request::post("/api/v1/cypher").header(header::CONTENT_TYPE, "application/json");
        send(&mut api, request.body(Body::from(body.to_string())).unwrap()).await
    };
    let (status, body) = ask(json!({
        "query": "UNWIND range(1, 9) AS x WITH x WHERE x < $most RETURN x, date('2026-11-24') AS d",
        "parameters": {"most": 4}, "limits": {"rows": 2},
        "between": {"from": "2026-11-24T10:00:00Z", "to": "2026-11-24T11:00:00Z"},
    }))
    .await;
    assert_eq!(status, StatusCode::OK, "{body}");
    assert_eq!(body["rows"], json!([[1, "2026-11-24"], [2, "2026-11-24"]]));
    assert_eq!((&body["columns"], &body["truncated"]), (&json!(["x", "d"]), &json!("rows")));
    for (asked, wanted) in [
        (json!({"query": "MATCH (s:Servise) RETURN s"}), StatusCode::NOT_FOUND),
        (json!({"query": "RETURN 1 +"}), StatusCode::BAD_REQUEST),
        (json!({"query": "RETURN 1", "at": "noon"}), StatusCode::BAD_REQUEST),
        (json!({"query": "RETURN 1", "limit": {"rows": 2}}), StatusCode::BAD_REQUEST),
        (json!({}), StatusCode::BAD_REQUEST),
        (json!({"query": "x".repeat(9000)}), StatusCode::PAYLOAD_TOO_LARGE),
    ] {
        let (status, body) = ask(asked.clone()).await;
        assert_eq!(status, wanted, "{asked}: {body}");
        assert!(body["error"].is_string(), "{body}");
    }
    let (_, body) = ask(json!({"query": "MATCH (s:Servise)\nRETURN s"})).await;
    assert_eq!((&body["problem"]["column"], &body["problem"]["text"]), (&json!(10), &json!("Servise")));
}

#[tokio::test]
async fn an_export_is_streamed_in_its_own_media_type() {
    let (mut api, _folder) = api();
    for (query, wanted) in [("", "application/n-quads"), ("?format=trig", "application/trig")] {
        let request = Request::get(format!("/api/v1/graph/export{query}")).body(Body::empty()).unwrap();
        let response = api.call(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()[header::CONTENT_TYPE], wanted);
        let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
        assert!(String::from_utf8(body.to_vec()).unwrap().contains("snapshot_of"));
    }
}

#[tokio::test]
async fn a_page_of_another_origin_may_not_ask() {
    let (mut api, _folder) = api();
    let ask = |origin: &str, body: &'static str| {
        Request::post("/api/v1/ask")
            .header(header::HOST, "127.0.0.1:4320")
            .header(header::ORIGIN, origin.to_owned())
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::from(body))
            .unwrap()
    };
    let question = "{\"question\": \"Why is it slow?\"}";
    assert_eq!(send(&mut api, ask("http://elsewhere.example", question)).await.0, StatusCode::FORBIDDEN);
    assert_eq!(send(&mut api, ask("http://127.0.0.1:4320", question)).await.0, StatusCode::OK);
    for broken in ["{", "{}", "[]", "{\"question\": 7}", "{\"question\": \"\"}"] {
        let (status, body) = send(&mut api, ask("http://127.0.0.1:4320", broken)).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{broken}: {body}");
    }
}

#[tokio::test]
async fn an_unknown_name_keeps_its_nearest_and_is_told_from_a_malformed_query() {
    let (mut api, _folder) = api();
    let (status, body) = get(&mut api, "/query?q=find%20Servise").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert!(body["error"].as_str().unwrap().contains("nearest: Service"), "{body}");
    let (status, body) = get(&mut api, "/query?q=fnd%20Service").await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{body}");
}

#[tokio::test]
async fn a_question_that_is_too_large_or_of_another_type_is_told_so() {
    let (mut api, _folder) = api();
    let ask = |kind: Option<&str>, body: String| {
        let mut request = Request::post("/api/v1/ask");
        if let Some(kind) = kind {
            request = request.header(header::CONTENT_TYPE, kind);
        }
        request.body(Body::from(body)).unwrap()
    };
    let question = |bytes: usize| format!("{{\"question\": \"{}\"}}", "why ".repeat(bytes / 4));
    let json = Some("application/json");
    for (kind, body, wanted) in [
        (json, question(100_000), StatusCode::PAYLOAD_TOO_LARGE),
        (json, question(10_000), StatusCode::PAYLOAD_TOO_LARGE),
        (Some("text/plain"), question(8), StatusCode::UNSUPPORTED_MEDIA_TYPE),
        (None, question(8), StatusCode::UNSUPPORTED_MEDIA_TYPE),
        (json, question(8), StatusCode::OK),
    ] {
        let (status, told) = send(&mut api, ask(kind, body)).await;
        assert_eq!(status, wanted, "{kind:?}: {told}");
        assert!(status.is_success() || told["error"].as_str().is_some_and(|e| e.len() > 10), "{told}");
    }
}

async fn post(router: &mut Router, path: &str) -> (StatusCode, Json) {
    send(router, Request::post(format!("/api/v1{path}")).body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn an_ontology_with_problems_changes_nothing_and_is_told() {
    let (mut api, _folder) = api_with(|| Err("site/classes.yaml:3:9: `Componet`".to_owned()));
    let (status, body) = post(&mut api, "/ontology/reload").await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(body["error"].as_str().unwrap().contains("Componet"), "{body}");
    let (mut api, _folder) = self::api();
    let (status, body) = post(&mut api, "/ontology/reload").await;
    assert_eq!((status, &body["requests"], &body["before"]), (StatusCode::OK, &Json::from(0), &body["now"]));
    assert_eq!(post(&mut api, "/hash-key/rotate").await.0, StatusCode::OK);
    assert_eq!(get(&mut api, "/ontology/reload").await.0, StatusCode::METHOD_NOT_ALLOWED);
    let foreign = Request::post("/api/v1/hash-key/rotate").header("origin", "https://evil.example");
    assert_eq!(send(&mut api, foreign.body(Body::empty()).unwrap()).await.0, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn sources_that_have_sent_nothing_say_what_they_would_give_and_where_to_connect_them() {
    let (mut api, _folder) = api();
    let (_, body) = get(&mut api, "/sources").await;
    let rows = body["sources"].as_array().unwrap();
    assert!(rows.len() > 3 && rows.iter().all(|r| r["last_seen"].is_null()), "{rows:?}");
    let docs = std::fs::read_to_string("../../docs/sources.md").unwrap();
    for row in rows {
        let gives = row["mapping"].as_array().unwrap();
        assert!(!gives.is_empty() && gives.iter().all(|m| m["seen"] == false), "{row}");
        let (page, name) = (row["page"].as_str().unwrap(), row["name"].as_str().unwrap());
        assert!(page.starts_with("docs/"), "{row}");
        assert!(name == "otlp" || docs.to_lowercase().contains(name), "{name} is not in docs/sources.md");
    }
    let questions = body["questions"].as_array().unwrap();
    assert!(!questions.is_empty() && questions.iter().all(|q| q["state"] == "lacks"), "{questions:?}");
}

#[tokio::test]
async fn the_ontology_is_told_whole_with_what_gives_each_part() {
    let (mut api, _folder) = api();
    let (_, body) = get(&mut api, "/ontology").await;
    let o = Ontology::builtin();
    for (key, all) in
        [("classes", o.classes.len()), ("relations", o.relations.len()), ("measures", o.measures.len())]
    {
        assert_eq!(body[key].as_array().map(Vec::len), Some(all), "{key}");
    }
    let named = |key: &str, name: &str| {
        body[key].as_array().unwrap().iter().find(|x| x["name"] == name).unwrap().clone()
    };
    let host = named("classes", "Host");
    assert!(host["given_by"].as_array().unwrap().iter().any(|s| s == "otlp.resource"), "{host}");
    assert_eq!((&host["namespace"], &host["count"]), (&"infra".into(), &0.into()));
    let runs_on = named("relations", "runs_on");
    assert_eq!(runs_on["faults"][0]["travel"], "to_source");
    assert!(named("relations", "depends_on")["rules"].as_array().is_some_and(|r| !r.is_empty()));
}

fn encoded(path: &str, said: &[(&str, &str)]) -> String {
    let pairs: Vec<String> = said
        .iter()
        .map(|(k, v)| {
            let v: String = v.bytes().map(|b| format!("%{b:02X}")).collect();
            format!("{k}={v}")
        })
        .collect();
    format!("{path}?{}", pairs.join("&"))
}

async fn posted(router: &mut Router, path: &str, body: Json) -> (StatusCode, Json) {
    let request = Request::post(format!("/api/v1{path}")).header(header::CONTENT_TYPE, "application/json");
    send(router, request.body(Body::from(body.to_string())).unwrap()).await
}

#[tokio::test]
async fn differences_and_cohorts_of_nothing_are_empty_and_wrong_ones_are_told() {
    let (mut api, _folder) = api();
    let (at, early) = ("2026-11-24T10:00:00Z", "2026-11-24T09:00:00Z");
    for said in [
        &[("before", at)][..],
        &[("before", early), ("after", at)],
        &[("before", "2026-11-24T09:00:00Z..2026-11-24T10:00:00Z"), ("least", "0"), ("limit", "0")],
        &[("limit", "99999999"), ("offset", "7")],
    ] {
        let (status, body) = get(&mut api, &encoded("/diff", said)).await;
        assert_eq!(status, StatusCode::OK, "{said:?}: {body}");
        assert_eq!(
            (&body["totals"]["rows"], &body["next"], &body["rows"]),
            (&json!(0), &Json::Null, &json!([]))
        );
    }
    for (path, said, wanted, text) in [
        ("/diff", &[("before", "yesterday")][..], 400, "`yesterday` is no side; write 2026"),
        (
            "/diff",
            &[("before", "2026-11-24T10:00:00Z..2026-11-24T09:00:00Z")],
            400,
            "it must begin before it ends",
        ),
        ("/diff", &[("before", "snapshot:gone")], 404, "there is no snapshot `gone`"),
        ("/diff", &[("before", "snapshot:")], 400, "a snapshot without a name"),
        (
            "/diff",
            &[("before", "known:2026-11-24T10:00:00Z"), ("after", at)],
            400,
            "`known` is compared with `known`",
        ),
        ("/diff", &[("least", "NaN")], 400, "least: `NaN` is no number"),
        ("/diff", &[("format", "xml")], 400, "there is no form `xml`"),
        ("/diff", &[("wher", "cell = A")], 400, "unknown field"),
        (
            "/diff",
            &[("where", "cell = A"), ("before", at)],
            404,
            "column 8: the graph holds no cell called `A`",
        ),
        ("/cohort", &[], 400, "where is missing"),
        ("/cohort", &[("where", "cell ~ A")], 400, "where: column 9: expected `=`"),
        ("/cohort", &[("where", "sell = A")], 404, "column 1: there is no dimension `sell`; nearest: "),
        ("/cohort", &[("where", "cell = A"), ("least", "3")], 400, "are of /diff"),
        ("/cohort", &[("where", &"(".repeat(8_000))], 400, "at most 64 deep"),
        ("/cohort", &[("where", &"(".repeat(9_000))], 413, "longer than"),
    ] {
        let (status, body) = get(&mut api, &encoded(path, said)).await;
        let told = body["error"].as_str().unwrap_or_default();
        assert_eq!(status.as_u16(), wanted, "{said:?}: {body}");
        assert!(told.contains(text), "{said:?}: {told}");
    }
    let (status, totals) = get(&mut api, &encoded("/diff", &[("before", at), ("format", "ndjson")])).await;
    assert_eq!(
        (status, &totals["totals"]["rows"]),
        (StatusCode::OK, &json!(0)),
        "the only line is the totals"
    );
}

#[tokio::test]
async fn snapshots_are_kept_by_name_until_they_are_deleted() {
    let (mut api, _folder) = api();
    let at = "2026-11-24T10:00:00Z";
    let (status, pin) = posted(&mut api, "/snapshots", json!({ "name": "friday", "at": at })).await;
    assert_eq!((status, &pin["name"], &pin["label"]), (StatusCode::OK, &json!("friday"), &json!("manual")));
    let (_, all) = get(&mut api, "/snapshots").await;
    assert_eq!(all["snapshots"].as_array().map(Vec::len), Some(1));
    let side = encoded("/diff", &[("before", "snapshot:friday"), ("after", at)]);
    assert_eq!(get(&mut api, &side).await.0, StatusCode::OK);
    let (status, near) = posted(&mut api, "/snapshots/delete", json!({ "name": "frida" })).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert!(near["error"].as_str().unwrap().ends_with("nearest: friday"), "{near}");
    assert_eq!(posted(&mut api, "/snapshots/delete", json!({ "name": "friday" })).await.0, StatusCode::OK);
    let (status, gone) = get(&mut api, &side).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert!(gone["error"].as_str().unwrap().contains("there is no snapshot `friday`"), "{gone}");
    assert_eq!(posted(&mut api, "/snapshots", json!({ "name": "" })).await.0, StatusCode::BAD_REQUEST);
    assert_eq!(posted(&mut api, "/snapshots", json!({ "name": "x".repeat(300) })).await.0.as_u16(), 413);
    assert_eq!(posted(&mut api, "/snapshots", json!({ "name": "x", "when": at })).await.0.as_u16(), 400);
}
