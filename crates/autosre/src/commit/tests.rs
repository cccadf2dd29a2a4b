//! Diffs as they are read, and what speaks for and against the commits they belong to.

use super::*;

/// A service whose error ratio jumps at minute 60, ten minutes after a deployment, and what it logs then.
fn world(diff: &str, file: &str, metric: &str, told: &str) -> CommitScene {
    let commit = |id: &str, file: &str, diff: &str| Commit {
        id: id.to_owned(),
        made: 2400.0,
        files: vec![file.to_owned()],
        diff: Some(diff.to_owned()),
    };
    CommitScene {
        commits: vec![
            commit(
                "other",
                "pkg/paper/print.go",
                "@@ x @@\n-\treturn width(sheet)\n+\treturn height(sheet)\n",
            ),
            commit("suspect", file, diff),
        ],
        deployments: vec![Deployment { time: 3000.0, component: "tills".into(), commit: "suspect".into() }],
        alarm: Alarm {
            component: "tills".into(),
            metric: metric.to_owned(),
            text: "above its threshold".into(),
        },
        metrics: vec![Metric {
            component: "tills".into(),
            name: metric.to_owned(),
            samples: (0..65).map(|m| (f64::from(m) * 60.0, if m < 60 { 0.01 } else { 0.6 })).collect(),
        }],
        patterns: vec![Pattern { component: "tills".into(), text: told.to_owned() }],
        now: 3900.0,
        ..CommitScene::default()
    }
}

fn blamed(scene: &CommitScene) -> Option<&str> {
    let judged = CommitJudge.judge(scene);
    let total: f64 = judged.verdicts.iter().map(|v| v.probability).sum();
    assert!((total - 1.0).abs() < 1e-9, "{judged:?}");
    let at = judged.verdicts.first().and_then(|v| v.commit)?;
    scene.commits.get(at).map(|c| c.id.as_str())
}

#[track_caller]
fn check(diff: &str, told: &str, expected: Option<&str>) {
    let scene = world(diff, "tills/main.go", "error_ratio", told);
    assert_eq!(blamed(&scene), expected, "{:#?}", CommitJudge.judge(&scene));
}

const GUARD: &str = "@@ x @@\n-\tif card.Owner == nil {\n-\t\treturn \"\"\n-\t}\n \treturn card.Owner.Name\n";

#[test]
fn a_check_that_was_taken_away_is_blamed_for_what_it_held_off() {
    check(GUARD, "panic: nil pointer dereference", Some("suspect"));
}

#[test]
fn what_a_change_would_break_must_be_broken() {
    check(GUARD, "queue is behind", None);
}

#[test]
fn a_lower_number_is_blamed_for_what_then_runs_short_and_a_higher_one_is_not() {
    let told = "connection pool exhausted: could not acquire a connection";
    check("@@ x @@\n-\tPoolSize: 50,\n+\tPoolSize: 5,\n", told, Some("suspect"));
    check("@@ x @@\n-\tPoolSize: 50,\n+\tPoolSize: 500,\n", told, None);
}

#[test]
fn another_unit_is_another_number() {
    let told = "cache miss, hit ratio is low";
    check("@@ x @@\n-\tTTL: 5 * time.Minute,\n+\tTTL: 5 * time.Second,\n", told, Some("suspect"));
    check("@@ x @@\n-\tTTL: 5 * time.Minute,\n+\tTTL: 300 * time.Second,\n", told, None);
}

#[test]
fn a_call_that_is_made_no_more_is_missed() {
    let told = "printer lookup failed: not found";
    check("@@ x @@\n start()\n-registerPrinters(desk)\n serve()\n", told, Some("suspect"));
}

#[test]
fn a_helper_that_was_pulled_out_changes_nothing() {
    let diff = "@@ x @@\n-\tif sum < 0 || sum > 90 {\n-\t\treturn errOutOfRange(sum)\n-\t}\n+\treturn checkRange(sum, 0, 90)\n";
    check(diff, "sum out of range", None);
}

#[test]
fn comments_logs_and_texts_of_errors_change_nothing() {
    check("@@ x @@\n-\t// closes the pool\n+\t// keeps the pool\n", "connection pool exhausted", None);
    check(
        "@@ x @@\n-\tlog.Debug(\"pool\", 5)\n+\tlog.Info(\"pool\", 1)\n",
        "connection pool exhausted",
        None,
    );
    check(
        "@@ x @@\n-\thttp.Error(w, \"nil card\", 400)\n+\thttp.Error(w, \"no card\", 500)\n",
        "panic: nil card",
        None,
    );
}

#[test]
fn a_query_in_a_loop_is_blamed_for_many_queries() {
    let diff = "@@ x @@\n for _, line := range lines {\n+\tprice := db.QueryPrice(line)\n \tadd(line)\n }\n";
    check(diff, "slow query: SELECT price FROM prices, calls up", Some("suspect"));
}

#[test]
fn a_name_that_was_replaced_is_blamed_where_it_is_missed() {
    let diff = "@@ x @@\n-\tmatch(\"title\", words)\n+\tmatch(\"heading\", words)\n";
    check(diff, "no mapping for field [heading]", Some("suspect"));
    check(diff, "field [colour] is unknown", None);
}

#[test]
fn what_teams_have_learned_holds_in_any_language() {
    let lessons = [
        (
            "-  maximum-pool-size: 50\n+  maximum-pool-size: 5\n",
            "HikariPool: connection is not available, pool exhausted",
        ),
        (
            "-    if user is None:\n-        return\n     send(user.mail)\n",
            "AttributeError: NoneType object, user has no mail",
        ),
        (
            "-const mail = user?.profile?.mail\n+const mail = user.profile.mail\n",
            "TypeError: cannot read properties of undefined (mail)",
        ),
        (" rows := db.Query(q)\n-\tdefer rows.Close()\n", "too many connections, pool exhausted"),
        (
            "-\tctx = context.WithTimeout(ctx, 2*time.Second)\n+\tctx = context.WithTimeout(ctx, 200*time.Millisecond)\n",
            "context deadline exceeded, timed out",
        ),
        (
            "-url = os.environ[\"DB_URL\"]\n+url = os.environ[\"DATABASE_URL\"]\n",
            "KeyError: missing DATABASE_URL",
        ),
        (
            "-\tmu.Lock()\n-\tdefer mu.Unlock()\n \ttotals[key]++\n",
            "fatal error: concurrent map writes, race on totals",
        ),
        ("-  retries: 3\n+  retries: 30\n", "429 from stock, retry storm"),
        ("-    memory: 2Gi\n+    memory: 256Mi\n", "OOMKilled, memory"),
        (
            "-\tID string `json:\"user_id\"`\n+\tID string `json:\"userId\"`\n",
            "bad request: missing field user_id",
        ),
        ("+ALTER TABLE users DROP COLUMN nickname;\n", "column nickname does not exist"),
        (
            "-pool = newFixedThreadPool(64);\n+pool = newFixedThreadPool(4);\n",
            "RejectedExecutionException: queue of the pool",
        ),
        ("-  topic: orders\n+  topic: orders-v2\n", "unknown topic orders-v2"),
        ("-\trouter.Use(rateLimiter(100))\n", "overload, saturated, too many requests 429"),
        ("-\t\tcase <-ctx.Done():\n-\t\t\treturn\n", "goroutine leak: 90000 goroutines, memory"),
        (
            "-\tre := compile(\"a+\")\n+\tre := compile(\"(a+)+\")\n",
            "event loop stalled, cpu is busy in compile",
        ),
    ];
    for (diff, told) in lessons {
        let scene = world(&format!("@@ x @@\n{diff}"), "tills/main.yaml", "error_ratio", told);
        assert_eq!(blamed(&scene), Some("suspect"), "{diff}{:#?}", CommitJudge.judge(&scene));
    }
}

#[test]
fn locks_in_another_order_are_blamed_for_deadlocks() {
    let diff = "@@ x @@\n-\tlockStock()\n-\tlockOrder()\n+\tlockOrder()\n+\tlockStock()\n";
    check(diff, "deadlock detected, lock wait timeout", Some("suspect"));
}

#[test]
fn what_is_kept_without_end_is_blamed_for_memory() {
    check("@@ x @@\n+\tsessionCache[token] = answer\n", "out of memory, heap grew", Some("suspect"));
}

#[test]
fn a_cause_outside_of_the_code_outweighs_a_change_that_might_fit() {
    let diff = "@@ x @@\n-\tTimeout: 9 * time.Second,\n+\tTimeout: 3 * time.Second,\n";
    check(diff, "call timeout, deadline exceeded", Some("suspect"));
    check(diff, "lookup bank on 10.0.0.1: no such host, timeout", None);
    check(diff, "api.bank.com: 503 unavailable, timeout", None);
}

#[test]
fn what_went_out_after_the_trouble_or_nowhere_is_innocent() {
    let mut scene = world(GUARD, "tills/main.go", "error_ratio", "panic: nil pointer dereference");
    scene.deployments[0].time = 3720.0;
    assert_eq!(blamed(&scene), None);
    scene.deployments[0] = Deployment { time: 3000.0, component: "tills".into(), commit: "head".into() };
    assert_eq!(blamed(&scene), Some("suspect"), "a later deployment carried it");
    scene.commits[1].files = vec!["gates/main.go".into()];
    assert_eq!(blamed(&scene), None);
}

#[test]
fn tests_documents_and_lists_of_versions_are_not_read() {
    for file in ["tills/main_test.go", "docs/tills/main.md", "go.mod"] {
        assert_eq!(
            blamed(&world(GUARD, file, "error_ratio", "panic: nil pointer dereference")),
            None,
            "{file}"
        );
    }
}

#[test]
fn traffic_that_grew_everywhere_is_a_cause_and_the_first_error_names_who_failed_first() {
    let mut scene = world("", "tills/main.go", "request_rate", "queue is full");
    let mut door = scene.metrics[0].clone();
    door.component = "door".into();
    scene.metrics.push(door);
    let error = |time, component: &str| Line {
        time,
        component: component.into(),
        tone: Tone::Error,
        text: "queue is full".into(),
    };
    scene.lines = vec![error(3500.0, "door"), error(3650.0, "tills")];
    let judged = CommitJudge.judge(&scene);
    assert_eq!(judged.verdicts[0].remedy, Remedy::Outside(Some(Outside::Surge)), "{judged:#?}");
    assert_eq!((judged.first.as_str(), judged.suffering.len()), ("door", 1));
}
