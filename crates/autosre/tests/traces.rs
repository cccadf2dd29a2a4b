//! Small traces in text, and the component they must point at.

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot read its own scene has to stop; the lint only knows functions marked #[test]"
)]

use autosre::rank::{GraphRanker, Ranker};
use autosre::scene::{Kind, Scene, Sign};
use autosre::trace_evidence::{LogRecord, Side, SpanRecord, TraceEvidence};

/// One request in text, a line per span or log line, indented under its parent:
/// `shop /buy 5..40` is a span of `shop` from 5 to 40 ms, `- INFO Shop.java:12 at 7` a line written in the span above it.
fn record(scene: &mut Scene, evidence: &mut TraceEvidence, side: Side, trace: u128, request: &str) {
    let mut open: Vec<(usize, u64)> = Vec::new();
    let mut next = 0;
    let time =
        |text: &str| text.parse::<u64>().expect("milliseconds") * 1_000_000 + trace as u64 * 1_000_000_000;
    for line in request.lines().filter(|l| !l.trim().is_empty()) {
        let depth = line.len() - line.trim_start().len();
        while open.last().is_some_and(|(above, _)| *above >= depth) {
            open.pop();
        }
        let parent = open.last().map(|(_, id)| *id);
        if let Some(text) = line.trim().strip_prefix("- ") {
            let (text, at) = text.split_once(" at ").expect("a time");
            let span = parent.expect("a span around a line");
            evidence.line(side, LogRecord { trace, span, time: time(at), text });
            continue;
        }
        let words: Vec<&str> = line.split_whitespace().collect();
        let [component, operation, stretch] = words[..] else { panic!("not a span: {line}") };
        let (start, end) = stretch.split_once("..").expect("from..to");
        next += 1;
        let component = scene.add(component, Kind::Service);
        let (start, end) = (time(start), time(end));
        evidence.span(side, SpanRecord { trace, id: next, parent, component, operation, start, end });
        open.push((depth, next));
    }
}

const HEALTHY: &str = "
web /* 0..60
 web GET 2..58
  shop /buy 4..56
   - INFO shop.Buy:10 asked at 5
   shop GET 8..30
    stock /take 10..28
     - INFO stock.Take:31 looking at 11
     - INFO stock.Take:34 found at 20
   - INFO shop.Buy:20 done at 50
";

/// Forty healthy requests against forty of which three in four are `broken`; the best candidate and the signs it shows.
fn check(broken: &str, expected: &str, sign: Sign) {
    let mut scene = Scene::new("web", Kind::Service, None, 60.0);
    let mut evidence = TraceEvidence::default();
    for i in 0..40 {
        record(&mut scene, &mut evidence, Side::Healthy, i, HEALTHY);
        let request = if i % 4 == 0 { HEALTHY } else { broken };
        record(&mut scene, &mut evidence, Side::Degraded, 100 + i, request);
    }
    evidence.testify(&mut scene);
    let ranking = GraphRanker.rank(&scene);
    let first = ranking.candidates.first().map_or("nobody", |c| scene.component(c.component).name.as_str());
    assert_eq!(first, expected, "{ranking:#?}");
    let channels: Vec<&str> = ranking.candidates[0].evidence.iter().map(|e| e.channel).collect();
    assert!(channels.contains(&sign.name()), "{channels:?}");
}

#[test]
fn an_early_return_is_found_where_it_happens_and_not_where_it_is_felt() {
    check(
        "
web /* 0..40
 web GET 2..38
  shop /buy 4..36
   - INFO shop.Buy:10 asked at 5
   shop GET 8..14
    stock /take 10..12
     - INFO stock.Take:31 looking at 11
   - WARN shop.Buy:99 gave up at 30
",
        "stock",
        Sign::FirstDivergence,
    );
}

#[test]
fn a_callee_that_no_longer_answers_is_blamed_and_not_its_caller() {
    check(
        "
web /* 0..60
 web GET 2..58
  shop /buy 4..56
   - INFO shop.Buy:10 asked at 5
   shop GET 8..50
",
        "stock",
        Sign::SilentCallee,
    );
}

#[test]
fn time_between_client_and_server_is_the_networks() {
    check(
        "
web /* 0..1060
 web GET 2..1058
  shop /buy 4..1056
   - INFO shop.Buy:10 asked at 5
   shop GET 8..1030
    stock /take 510..528
     - INFO stock.Take:31 looking at 511
     - INFO stock.Take:34 found at 520
   - INFO shop.Buy:20 done at 1050
",
        "stock",
        Sign::NetGap,
    );
}

#[test]
fn time_of_its_own_is_the_components() {
    check(
        "
web /* 0..160
 web GET 2..158
  shop /buy 4..156
   - INFO shop.Buy:10 asked at 5
   shop GET 8..130
    stock /take 10..128
     - INFO stock.Take:31 looking at 11
     - INFO stock.Take:34 found at 120
   - INFO shop.Buy:20 done at 150
",
        "stock",
        Sign::SlowSpans,
    );
}

#[test]
fn lines_that_arrive_out_of_order_are_no_deviation() {
    let mut scene = Scene::new("web", Kind::Service, None, 60.0);
    let mut evidence = TraceEvidence::default();
    let swapped = HEALTHY.replace("asked at 5", "asked at 9").replace("found at 20", "found at 10");
    for i in 0..40 {
        record(&mut scene, &mut evidence, Side::Healthy, i, HEALTHY);
        record(&mut scene, &mut evidence, Side::Degraded, 100 + i, &swapped);
    }
    evidence.testify(&mut scene);
    assert!(scene.components.iter().all(|c| c.votes.is_empty()), "{scene:#?}");
}

#[test]
fn calls_are_drawn_with_the_share_of_the_callees_requests() {
    let mut scene = Scene::new("web", Kind::Service, None, 60.0);
    let mut evidence = TraceEvidence::default();
    record(&mut scene, &mut evidence, Side::Healthy, 1, HEALTHY);
    record(&mut scene, &mut evidence, Side::Degraded, 2, "\nbatch run 0..9\n stock /take 1..8\n");
    evidence.testify(&mut scene);
    let name = |spot| scene.component(spot).name.as_str();
    let edges: Vec<_> = scene.edges.iter().map(|e| (name(e.from), name(e.to), e.share)).collect();
    assert_eq!(
        edges,
        [("web", "shop", Some(1.0)), ("shop", "stock", Some(0.5)), ("batch", "stock", Some(0.5))]
    );
}
