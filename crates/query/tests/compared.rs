//! Conditions on people, what these touched, and differences of two sides: small worlds in text, rows in text.

#[path = "../../graph/tests/written/mod.rs"]
#[allow(dead_code, reason = "shared with tests that use other parts")]
mod written;

use graph::{Fold, Graph, Limits};
use ontology::fact::{Batch, Fact, ItemId, Observation, Ref};
use ontology::{Ontology, Time};
use proptest::prelude::*;
use query::run::{Output, QueryError, ask, ask_of};
use query::text::{Query, Side};
use query::{Compared, Epochs, Touched, View};
use std::sync::{Arc, OnceLock};
use written::{fact, minute};

fn ontology() -> &'static Arc<Ontology> {
    static BUILTIN: OnceLock<Arc<Ontology>> = OnceLock::new();
    BUILTIN.get_or_init(|| Arc::new(Ontology::builtin()))
}

/// `3: A calls B for V1 C2 P3, 20 ms[, failed]` and `3: A takes 20 for V1 C2`, beside the lines of other worlds.
fn told(line: &str, number: u64) -> Batch {
    let o = ontology();
    let Some((head, people)) = line.split_once(" for ") else { return fact(o, line) };
    let (m, rest) = head.trim().split_once(": ").unwrap();
    let at = minute(m.parse().unwrap());
    let (people, lasted) = people.split_once(", ").unwrap_or((people, "10 ms"));
    let component = |k: &str| {
        let (class, rest) = k.split_at(1);
        let class = match class {
            "V" => "AppVersion",
            "C" => "Cell",
            _ => "Place",
        };
        fact(o, &format!("0: {class} {rest}")).drafts.remove(0)
    };
    let operation = |name: &str| fact(o, &format!("0: Operation {name}")).drafts.remove(0);
    let mut batch = Batch { source: "otlp".to_owned(), ..Batch::default() };
    let mut names = rest.split(' ');
    let (from, word, to) = (names.next().unwrap(), names.next().unwrap(), names.next().unwrap());
    batch.drafts.push(operation(from));
    batch.drafts.push(operation(if word == "calls" { to } else { from }));
    let first = batch.drafts.len();
    batch.drafts.extend(people.split(' ').map(component));
    let cohort: Arc<[Ref]> = (first..batch.drafts.len()).map(|i| Ref(u32::try_from(i).unwrap())).collect();
    let id = ItemId(number);
    batch.facts.push(if word == "calls" {
        let ms: i64 = lasted.split(' ').next().unwrap().parse().unwrap();
        Fact::Call {
            id,
            relation: o.relation("calls").unwrap(),
            from: Ref(0),
            to: Ref(1),
            cohort,
            at,
            lasted_ns: ms * 1_000_000,
            failed: lasted.ends_with("failed"),
        }
    } else {
        let measure = o.measure("operation.latency").unwrap();
        Fact::Sample {
            id,
            measure,
            subject: Ref(0),
            cohort,
            at,
            value: Observation::One(to.parse().unwrap()),
        }
    });
    batch
}

fn writer(world: &str) -> Fold {
    let mut fold = Fold::new(Arc::clone(ontology()), Vec::new(), Limits::default());
    tell(&mut fold, world, 0);
    fold
}

fn tell(fold: &mut Fold, world: &str, first: u64) {
    for (i, line) in (first..).zip(written::lines(world)) {
        fold.fold(&told(line, i), minute(10_000));
    }
}

fn world(text: &str) -> Graph {
    writer(text).graph()
}

fn said(answer: &Output) -> Vec<String> {
    let cell = |v: &serde_json::Value| v.as_str().map_or_else(|| v.to_string(), str::to_owned);
    answer.rows.iter().map(|r| r.iter().map(cell).collect::<Vec<_>>().join(" | ")).collect()
}

fn asked(graph: &Graph, text: &str) -> Output {
    ask(&View::latest(graph), text).unwrap_or_else(|e| panic!("{text}: {e}"))
}

fn error(graph: &Graph, text: &str) -> String {
    ask(&View::latest(graph), text).unwrap_err().to_string()
}

const PEOPLE: &str = "
    0: AppVersion 8.42.0
    0: AppVersion 8.42.1
    0: AppVersion 8.9.3
    0: Cell A
    0: Cell B
    0: Place BR code=BR
    0: Place AR code=AR
    1: home calls get for V8.42.0 CA PBR, 10 ms
    1: home calls get for V8.42.1 CB PBR, 30 ms
    2: home calls get for V8.9.3 CB PAR, 40 ms, failed
    2: home calls put for V8.9.3 CA PAR, 5 ms
    3: get takes 7 for V8.42.1 CB PBR
";

fn between() -> String {
    format!("between {} and {}", minute(0), minute(10))
}

/// Calls and errors of the people of a condition.
fn calls(graph: &Graph, who: &str) -> (u64, u64) {
    let text = format!("cohort where {who} {}", between());
    let query: Query = text.parse().unwrap();
    let found = Touched::of(&View::latest(graph), &query::NoEpochs, &query);
    let totals = found.unwrap_or_else(|e| panic!("{who}: {e}")).totals();
    (totals.calls, totals.errors)
}

#[test]
fn people_are_said_in_the_words_of_the_ontology_and_the_graph() {
    let graph = world(PEOPLE);
    for (who, expected) in [
        ("version = 8.42", (2, 0)),
        ("AppVersion = 8.42.0", (1, 0)),
        ("build = \"8.42.1\"", (1, 0)),
        ("version < 8.42", (1 + 1, 1)),
        ("version >= 8.42.1", (1, 0)),
        ("version <= 8.42 and version > 8.9", (2, 0)),
        ("cell = B", (2, 1)),
        ("cell = b", (2, 1)),
        ("country = brazil", (2, 0)),
        ("Place in (BR, AR)", (4, 1)),
        ("not country in (BR, AR)", (0, 0)),
        ("country != BR and cell != A", (1, 1)),
        ("version = 8.42 and (cell = A or not country = BR)", (1, 0)),
        ("version = 8.42 or country = AR", (4, 1)),
    ] {
        assert_eq!(calls(&graph, who), expected, "{who}");
    }
}

#[test]
fn an_unknown_word_is_told_with_its_column_and_what_is_near() {
    let graph = world(PEOPLE);
    for (text, wanted) in [
        ("cohort where vresion = 8.42", "column 14: there is no dimension `vresion`; nearest: Version"),
        (
            "cohort where version = 8.43",
            "column 24: the graph holds no version called `8.43`; nearest: 8.9.3",
        ),
        (
            "cohort where cell = A and country in (BR, XX)",
            "column 43: the graph holds no country called `XX`",
        ),
        (
            "cohort where cell < B",
            "column 21: names of cell have no order: `<`, `<=`, `>` and `>=` compare versions and numbers",
        ),
        ("cohort where cell = A or", "column 25: expected a dimension here"),
        (
            "series operation.latency where cell = Q between 2026-11-24T10:00:00Z and 2026-11-24T11:00:00Z",
            "column 39: the graph holds no cell called `Q`",
        ),
    ] {
        let told = error(&graph, text);
        assert!(told.starts_with(wanted), "{text}: {told}");
    }
    assert!(matches!(
        ask(&View::latest(&graph), "cohort where cell = Q"),
        Err(e) if e.is_about_what_is_missing()
    ));
}

#[test]
fn a_cohort_touches_its_edges_what_it_names_and_what_it_measures() {
    let graph = world(PEOPLE);
    let rows = said(&asked(&graph, &format!("cohort where cell = B and country = BR {}", between())));
    assert!(
        rows[0].starts_with("edge | Operation home -calls-> Operation get | 1 | 0 | 30.0 | "),
        "{rows:#?}"
    );
    let mut nodes: Vec<&str> = rows[1..].iter().map(|r| r.split(" | ").nth(1).unwrap()).collect();
    nodes.sort_unstable();
    assert_eq!(nodes, ["AppVersion 8.42.1", "Cell B", "Operation get", "Operation home", "Place BR"]);
    let empty = asked(&graph, "cohort where cell = B between 2020-01-01T00:00:00Z and 2020-01-02T00:00:00Z");
    assert!(empty.rows.is_empty() && empty.note.contains("0 cohorts"), "{empty:?}");
}

#[test]
fn sessions_and_interactions_count_for_what_they_lead_to() {
    let graph = world(
        "
        1: Session s -ran-> AppVersion 8.42.0
        1: Session s -received-> Cell B
        1: Session t -ran-> AppVersion 8.42.0
        1: Session t -received-> Cell A
        1: Interaction i -in_session-> Session s
        1: Interaction i -of_view-> View lolomo
        1: Interaction j -in_session-> Session s
        2: Interaction j -called-> Operation get
        2: Interaction k -in_session-> Session t
        2: Interaction k -of_view-> View lolomo
    ",
    );
    let found = asked(&graph, &format!("cohort where version = 8.42 and cell = B {}", between()));
    let mut rows: Vec<String> =
        said(&found).into_iter().map(|r| r.split(" | null").next().unwrap().to_owned()).collect();
    rows.sort_unstable();
    assert_eq!(
        rows,
        [
            "node | AppVersion 8.42.0",
            "node | Cell B",
            "node | Operation get",
            "node | View lolomo",
            "sampled | Interaction -called-> Operation get | 1",
            "sampled | Interaction -of_view-> View lolomo | 1",
            "sampled | Session -ran-> AppVersion 8.42.0 | 1",
            "sampled | Session -received-> Cell B | 1",
        ]
    );
    assert!(found.note.contains("sampled: 2 Interaction, 1 Session"), "{}", found.note);
}

struct Kept(Graph, Time);

impl Epochs for Kept {
    fn snapshot(&self, name: &str) -> Option<(Graph, Time)> {
        (name == "friday").then(|| (self.0.clone(), self.1))
    }

    fn snapshots(&self) -> Vec<String> {
        vec!["friday".to_owned()]
    }

    fn known(&self, at: Time) -> Result<Graph, Time> {
        if at < self.1 { Err(self.1) } else { Ok(self.0.clone()) }
    }
}

#[test]
fn two_moments_differ_in_what_came_went_and_changed() {
    let mut lines =
        String::from("0: Instance i -runs_on-> Host a\n5: Instance i -runs_on-> Host b\n6: Host c\n");
    for m in 0..60 {
        let ms = if m < 30 { 20 + m % 3 } else { 200 + m % 3 };
        lines.push_str(&format!("{m}: home calls get for V1 CA PBR, {ms} ms\n"));
    }
    let graph = world(&lines);
    let rows = said(&asked(&graph, &format!("diff at {} against at {} least 0.1", minute(4), minute(8))));
    let has = |rows: &[String], text: &str| rows.iter().any(|r| r.starts_with(text));
    assert!(has(&rows, "added | edge | Instance i -runs_on-> Host b"), "{rows:#?}");
    assert!(has(&rows, "removed | edge | Instance i -runs_on-> Host a"), "{rows:#?}");
    assert!(has(&rows, "added | node | Host c"), "{rows:#?}");
    let rows = said(&asked(
        &graph,
        &format!("diff between {} and {} against {} and {}", minute(0), minute(30), minute(30), minute(60)),
    ));
    assert!(has(&rows, "changed | edge | Operation home -calls-> Operation get | 20."), "{rows:#?}");
    // Before there was anything.
    let early = asked(&graph, &format!("diff at {} against at {} least 0", minute(-500), minute(8)));
    assert!(early.note.contains("Nothing was there on the first side."), "{early:?}");
    assert!(said(&early).iter().all(|r| r.starts_with("added")));
    // The same twice.
    let same = asked(&graph, &format!("diff at {0} against at {0} least 0", minute(8)));
    assert!(same.rows.is_empty() && same.note.contains("Both sides are the same"));
    assert!(
        error(
            &graph,
            &format!("diff between {} and {} against {} and {}", minute(5), minute(4), minute(5), minute(6))
        )
        .contains("ends before it starts")
    );
}

#[test]
fn snapshots_are_compared_as_they_were_kept_and_one_that_is_gone_is_told() {
    let mut fold = writer("0: Service s tier=high\n0: Host a\n1: home calls get for V1 CA PBR, 20 ms");
    let kept = Kept(fold.graph(), minute(2));
    tell(&mut fold, "1: Service s tier=low\n1: Host b\n1: home calls get for V1 CA PBR, 20 ms", 100);
    let graph = fold.graph();
    let view = View::latest(&graph);
    let text = format!("diff snapshot \"friday\" against at {} least 0", minute(1));
    let rows = said(&ask_of(&view, &kept, &|| false, &text).unwrap());
    assert!(rows.iter().any(|r| r.starts_with("changed | node | Service s (tier high → low)")), "{rows:#?}");
    assert!(rows.iter().any(|r| r.starts_with("added | node | Host b")), "{rows:#?}");
    let gone =
        ask_of(&view, &kept, &|| false, "diff snapshot \"frida\" against snapshot \"friday\"").unwrap_err();
    assert_eq!(
        gone.to_string(),
        "there is no snapshot `frida`; it was never taken, or was deleted since; nearest: friday"
    );
    assert!(gone.is_about_what_is_missing());
    let early =
        ask_of(&view, &kept, &|| false, &format!("diff known {} against known {}", minute(1), minute(3)));
    assert!(matches!(early, Err(QueryError::NotKnown { .. })), "{early:?}");
    let mixed =
        ask_of(&view, &kept, &|| false, &format!("diff known {} against at {}", minute(3), minute(3)));
    assert!(matches!(mixed, Err(QueryError::Sides)));
}

#[test]
fn what_was_learned_is_told_whatever_time_it_is_about() {
    struct Two(Graph, Graph);
    impl Epochs for Two {
        fn snapshot(&self, _: &str) -> Option<(Graph, Time)> {
            None
        }
        fn snapshots(&self) -> Vec<String> {
            Vec::new()
        }
        fn known(&self, at: Time) -> Result<Graph, Time> {
            Ok(if at < minute(50) { self.0.clone() } else { self.1.clone() })
        }
    }
    let mut fold = writer("5: Service s\n5: home calls get for V1 CA PBR, 20 ms");
    let first = fold.graph();
    tell(
        &mut fold,
        "2: Service s tier=low\n1: home calls get for V1 CA PBR, 20 ms\n0: Interaction i -of_view-> View v",
        100,
    );
    let two = Two(first, fold.graph());
    let view = View::latest(&two.1);
    let text = format!("diff known {} against known {}", minute(10), minute(60));
    let found = ask_of(&view, &two, &|| false, &text).unwrap();
    let rows = said(&found);
    assert!(
        rows.iter().any(|r| r.starts_with("changed | node | Service s (tier nothing → low, seen)")),
        "{rows:#?}"
    );
    assert!(
        rows.iter()
            .any(|r| r.starts_with("changed | edge | Operation home -calls-> Operation get (seen, traffic)")),
        "{rows:#?}"
    );
    assert!(rows.iter().any(|r| r.starts_with("added | node | View v")), "{rows:#?}");
    assert!(found.note.contains("2 sampled nodes"), "{}", found.note);
}

#[test]
fn two_cohorts_differ_in_what_they_touched_and_how_it_went() {
    let mut lines = String::new();
    for m in 0..20 {
        lines.push_str(&format!("{m}: home calls get for V1 CA, {} ms\n", 20 + m % 2));
        lines.push_str(&format!("{m}: home calls get for V1 CB, {} ms\n", 80 + m % 2));
        lines.push_str(&format!("{m}: home calls put for V1 CB, 5 ms\n"));
    }
    let graph = world(&lines);
    let stretch = format!("between {} and {}", minute(0), minute(20));
    let text = format!(
        "diff {stretch} against {} and {} where cell = A versus where cell = B least 0.1",
        minute(0),
        minute(20)
    );
    let rows = said(&asked(&graph, &text));
    assert!(
        rows.iter().any(|r| r.starts_with("changed | edge | Operation home -calls-> Operation get | 20.")),
        "{rows:#?}"
    );
    assert!(
        rows.iter().any(|r| r.starts_with("added | edge | Operation home -calls-> Operation put")),
        "{rows:#?}"
    );
    assert!(rows.iter().any(|r| r.starts_with("removed | node | Cell A")), "{rows:#?}");
}

type Said = (u8, u8, u8, i64, u8);

fn lines(of: &[Said]) -> String {
    let line = |(a, b, c, m, x): &Said| {
        let failed = if x % 4 == 0 { ", failed" } else { "" };
        if x % 5 == 4 {
            format!("{m}: o{a} takes {x} for V8.{b}.0 C{c}")
        } else {
            format!("{m}: o{a} calls o{} for V8.{b}.0 C{c}, {} ms{failed}", b % 3, 1 + x)
        }
    };
    of.iter().map(|s| line(s) + "\n").collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// However rows are paged: the pages are the whole, in its order.
    #[test]
    fn pages_are_the_whole(
        all in proptest::collection::vec((0u8..3, 0u8..4, 0u8..3, 0i64..40, 0u8..60), 1..60),
        limit in 1usize..7, cut in 5i64..35,
    ) {
        let graph = world(&lines(&all));
        let view = View::latest(&graph);
        let query = |page: String| -> Query {
            format!("diff between {} and {} against {} and {} least 0{page}", minute(0), minute(cut), minute(cut), minute(41))
                .parse().unwrap()
        };
        let whole = Compared::of(&view, &query::NoEpochs, &query(String::new())).unwrap();
        let rows: Vec<_> = whole.rows(0..whole.totals().rows).collect();
        let ranked = rows.windows(2).all(|w| w[0].surprise >= w[1].surprise - 0.01);
        prop_assert!(ranked && rows.iter().zip(1..).all(|(r, i)| r.rank == i));
        let mut paged = Vec::new();
        loop {
            let query = query(format!(" offset {} limit {limit}", paged.len()));
            let page = Compared::of(&view, &query::NoEpochs, &query).unwrap();
            prop_assert_eq!(page.totals(), whole.totals());
            let more: Vec<_> = page.rows(page.page(usize::MAX)).collect();
            if more.is_empty() {
                break;
            }
            paged.extend(more);
        }
        prop_assert_eq!(paged, rows);
    }

    /// What the parts of a partition did adds up to what all did, edge by edge; and a condition and its opposite are a partition.
    #[test]
    fn parts_add_up_to_the_whole(all in proptest::collection::vec((0u8..3, 0u8..4, 0u8..3, 0i64..40, 0u8..60), 1..80)) {
        let mut text = String::from("0: AppVersion 8.0.0\n0: AppVersion 8.1.0\n0: AppVersion 8.2.0\n0: AppVersion 8.3.0\n0: Cell 0\n0: Cell 1\n0: Cell 2\n");
        text.push_str(&lines(&all));
        let graph = world(&text);
        let view = View::latest(&graph);
        let during = Side::Between(query::text::Between { from: minute(0), to: minute(41) });
        let of = |who: &str| {
            let query = Query::Cohort { terms: if who.is_empty() { Default::default() } else { who.parse().unwrap() }, when: Some(during.clone()), page: Default::default() };
            let found = Touched::of(&view, &query::NoEpochs, &query).unwrap();
            let rows: Vec<_> = found.rows(0..found.totals().rows).collect();
            let edges = rows.into_iter().filter(|r| r.kind == "edge").map(|r| {
                let t = r.answered.unwrap();
                ((r.of.unwrap().id, r.to.unwrap().id), (t.count, t.errors))
            });
            edges.collect::<std::collections::BTreeMap<_, _>>()
        };
        let sum = |parts: &[&str]| {
            let mut all = std::collections::BTreeMap::new();
            for (edge, (n, bad)) in parts.iter().flat_map(|p| of(p)) {
                let sum: &mut (u64, u64) = all.entry(edge).or_default();
                *sum = (sum.0 + n, sum.1 + bad);
            }
            all
        };
        let whole = of("");
        prop_assert_eq!(sum(&["cell = 0", "cell = 1", "cell = 2"]), whole.clone());
        prop_assert_eq!(sum(&["version < 8.2", "version >= 8.2"]), whole.clone());
        let who = "version = 8.1 and cell in (0, 1) or version = 8.3";
        prop_assert_eq!(sum(&[who, &format!("not ({who})")]), whole);
    }
}
