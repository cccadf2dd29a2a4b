//! Laws of history: what was written says what the graph said; writing again, late, in a race or after a crash changes nothing else.

use crate::{Bounds, Epoch, HistoryError, Keep, Place, Sql, SqlError, Table, Writer, Written};
use futures::stream::BoxStream;
use graph::{Fold, Limits};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    ObjectStoreExt as _, PutMultipartOptions, PutOptions, PutPayload, PutResult,
};
use ontology::fact::{Batch, Draft, Fact, ItemId, Key, Observation, Ref, StreamId};
use ontology::model::STARTED;
use ontology::{Ontology, Time, Value};
use proptest::prelude::*;
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

pub(crate) fn minute(m: i64) -> Time {
    Time::from_secs(1_800_000_000 + m * 60)
}

pub(crate) fn draft(o: &Ontology, class: &str, key: u8) -> Draft {
    let of = o.class(class).unwrap();
    let hash = u128::from(of.0) << 100 | (u128::from(key) + 1) << 64 | u128::from(key);
    let attrs = o.attr(of, "name").map(|a| (a, Value::text(format!("{class}{key}"))));
    Draft { class: of, keys: vec![Key { slot: 0, hash }], attrs: attrs.into_iter().collect() }
}

/// Kinds of statements.
const KINDS: u8 = 14;

/// One small random statement as a batch of its own.
pub(crate) fn statement(o: &Ontology, (kind, a, b, m): (u8, u8, u8, i64)) -> Batch {
    let at = minute(m);
    let id = ItemId(u64::from(kind) << 48 | u64::from(a) << 40 | u64::from(b) << 32 | m.cast_unsigned());
    let (a, b) = (a % 4, b % 4);
    let sample = |measure: &str, subject: &str, value| {
        let drafts = vec![draft(o, subject, a), draft(o, "AppVersion", b), draft(o, "Place", b)];
        let measure = o.measure(measure).unwrap();
        let cohort: Arc<[Ref]> = Arc::new([Ref(1), Ref(2)]);
        (drafts, Fact::Sample { id, measure, subject: Ref(0), cohort, at, value })
    };
    let related = |from: Draft, relation: &str, to: Draft| {
        let relation = o.relation(relation).unwrap();
        (vec![from, to], Fact::Related { relation, from: Ref(0), to: Ref(1), at, until: None })
    };
    let (drafts, fact) = match kind % KINDS {
        0 => (vec![draft(o, "Service", a)], Fact::Seen { entity: Ref(0), at }),
        1 => related(draft(o, "Instance", a), "runs_on", draft(o, "Host", b)),
        2 => sample("view.ttr", "View", Observation::One(f64::from(a) * 100.0 + f64::from(b))),
        3 => {
            let value = Observation::Cumulative {
                stream: StreamId(u64::from(b)),
                start: Time::EPOCH,
                value: m as f64,
            };
            sample("host.pressure", "Host", value)
        }
        4 => {
            let call = Fact::Call {
                id,
                relation: o.relation("depends_on").unwrap(),
                from: Ref(0),
                to: Ref(1),
                cohort: Arc::new([Ref(2)]),
                at,
                lasted_ns: (i64::from(a) * 7 + i64::from(b) + 1) * 1_000_000,
                failed: b == 0,
            };
            (vec![draft(o, "Service", a), draft(o, "Service", b + 4), draft(o, "Host", b)], call)
        }
        5 => (vec![draft(o, "Deployment", a)], Fact::Seen { entity: Ref(0), at }),
        6 => related(draft(o, "Session", a * 4 + b), "from_place", draft(o, "Place", a)),
        7 => (vec![draft(o, "Session", a * 4 + b)], Fact::Seen { entity: Ref(0), at }),
        8 => related(draft(o, "Interaction", a * 4 + b), "in_session", draft(o, "Session", a)),
        9 => (vec![draft(o, "Interaction", a * 4 + b)], Fact::Seen { entity: Ref(0), at }),
        10 => related(draft(o, "Interaction", a * 4 + b), "of_view", draft(o, "View", b)),
        11 => related(draft(o, "Deployment", a), "deploys", draft(o, "ServiceVersion", b)),
        12 => (vec![draft(o, "Deployment", a)], Fact::Ended { entity: Ref(0), at }),
        _ => {
            // An event that says itself when it began; the latest to say so is right.
            let mut event = draft(o, "Deployment", a);
            let started = o.attr(event.class, STARTED).unwrap();
            event.attrs.push((started, Value::Time(minute((m * 7 + i64::from(b)) % 300))));
            (vec![event], Fact::Seen { entity: Ref(0), at })
        }
    };
    Batch { source: "otlp".to_owned(), drafts, facts: vec![fact], ..Batch::default() }
}

pub(crate) type Statement = (u8, u8, u8, i64);

pub(crate) fn folded(o: &Arc<Ontology>, statements: &[Statement], limits: Limits) -> Fold {
    let mut fold = Fold::new(Arc::clone(o), Vec::new(), limits);
    add(&mut fold, o, statements);
    fold
}

pub(crate) fn add(fold: &mut Fold, o: &Ontology, statements: &[Statement]) {
    for s in statements {
        fold.fold(&statement(o, *s), minute(100_000));
    }
}

pub(crate) fn epoch(fold: &mut Fold) -> Epoch {
    Epoch {
        touched: fold.touched().collect(),
        whole_from: fold.whole_from(),
        graph: fold.graph(),
        unfinished: false,
    }
}

pub(crate) fn builtin() -> Arc<Ontology> {
    Arc::new(Ontology::builtin())
}

/// Something of every table in five hours, and a fact that says that these are over.
pub(crate) fn world() -> Vec<Statement> {
    let mut all: Vec<Statement> = (0..400)
        .map(|n: i64| ((n % i64::from(KINDS)) as u8, (n / 3 % 5) as u8, (n / 7 % 5) as u8, n * 7 % 300))
        .collect();
    all.push((0, 0, 0, 500));
    all
}

/// What a slow machine does not reach.
fn bounds() -> Bounds {
    Bounds { rows: 1_000_000, threads: 2, time: Duration::from_secs(600), ..Bounds::default() }
}

/// Rows of a table before a minute, in an order of their own, as text.
async fn rows(sql: &Sql, table: Table, epoch: Option<&Epoch>) -> Vec<String> {
    let text = format!("select * from {} where time < timestamp '{}'", table.name(), minute(300));
    let answer = sql.ask(&text, epoch, &bounds()).await.unwrap();
    let named = |row: &Vec<Json>| {
        let cells = answer.columns.iter().zip(row).filter(|(_, v)| !v.is_null());
        cells.map(|(c, v)| (c.clone(), v.clone())).collect::<BTreeMap<_, _>>()
    };
    let mut rows: Vec<String> = answer.rows.iter().map(|r| format!("{:?}", named(r))).collect();
    rows.sort_unstable();
    rows
}

async fn count(sql: &Sql, table: Table, epoch: Option<&Epoch>) -> i64 {
    let answer = sql.ask(&format!("select count(*) from {}", table.name()), epoch, &bounds()).await.unwrap();
    answer.rows[0][0].as_i64().unwrap()
}

pub(crate) async fn write(writer: &mut Writer, epoch: &Epoch) -> Written {
    writer.write(epoch, minute(100_000)).await.unwrap()
}

pub(crate) fn block<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(work)
}

pub(crate) fn memory() -> Place {
    Place::on(Arc::new(InMemory::new()))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// The same question over hours that are hot and after they were written gives the same rows, and each once where both are there.
    #[test]
    fn what_was_hot_is_what_was_written(
        statements in proptest::collection::vec((0..KINDS, 0u8..5, 0u8..5, 0i64..300), 1..120),
        late in proptest::collection::vec((0..KINDS, 0u8..5, 0u8..5, 0i64..300), 0..30),
    ) {
        block(async {
            let (o, place) = (builtin(), memory());
            let mut fold = folded(&o, &statements, Limits::default());
            add(&mut fold, &o, &[(0, 0, 0, 500)]);
            let mut writer = Writer::new(place.clone());
            write(&mut writer, &epoch(&mut fold)).await;
            // Some come late, and what they touch is written again.
            add(&mut fold, &o, &late);
            let now = epoch(&mut fold);
            write(&mut writer, &now).await;
            let (hot, cold) = (Sql::new(None), Sql::new(Some(place)));
            for table in Table::ALL {
                let as_hot = rows(&hot, table, Some(&now)).await;
                assert_eq!(&as_hot, &rows(&cold, table, None).await, "{table:?}, history alone");
                assert_eq!(&as_hot, &rows(&cold, table, Some(&now)).await, "{table:?}, both");
            }
        });
    }
}

#[test]
fn a_world_has_rows_in_every_table_and_sums_are_those_of_the_graph() {
    block(async {
        let (o, place) = (builtin(), memory());
        let mut fold = folded(&o, &world(), Limits::default());
        let now = epoch(&mut fold);
        let written = write(&mut Writer::new(place.clone()), &now).await;
        assert!(written.rows > 100 && written.bytes > 0, "{written:?}");
        let sql = Sql::new(Some(place));
        for table in Table::ALL {
            assert!(count(&sql, table, None).await > 0, "{table:?}");
        }
        let all = ontology::Stretch { from: minute(-1_000), to: minute(1_000) };
        let flows = now.graph.flows_during(all);
        let counted: u64 = flows.iter().map(|f| f.stat.count).sum();
        let mut sketch = stats::sketch::Sketch::new();
        flows.iter().for_each(|f| sketch.merge(&f.stat.sketch));
        let text =
            "select sum(count), p95(merge_sketch(sketch)), quantile(merge_sketch(sketch), 0.5) from flows";
        let answer = sql.ask(text, Some(&now), &bounds()).await.unwrap();
        assert_eq!(answer.rows[0][0].as_f64(), Some(counted as f64));
        assert_eq!(answer.rows[0][1].as_f64(), sketch.quantile(0.95));
        assert_eq!(answer.rows[0][2].as_f64(), sketch.quantile(0.5));
        // What describes a cohort is a column.
        let text =
            "select app_version, sum(count) from measures where measure = 'view.ttr' group by 1 order by 1";
        let answer = sql.ask(text, Some(&now), &bounds()).await.unwrap();
        assert!(answer.rows.len() > 1 && answer.rows.iter().all(|r| r[0].is_string()), "{answer:?}");
    });
}

#[test]
fn writing_again_changes_nothing_also_after_a_restart() {
    block(async {
        let (o, place) = (builtin(), memory());
        let mut fold = folded(&o, &world(), Limits::default());
        let mut writer = Writer::new(place.clone());
        write(&mut writer, &epoch(&mut fold)).await;
        assert_eq!(write(&mut writer, &epoch(&mut fold)).await.hours, 0);
        // Another process, the same facts in another order.
        let mut other = world();
        other.reverse();
        let mut again = folded(&o, &other, Limits::default());
        let written = write(&mut Writer::new(place), &epoch(&mut again)).await;
        assert_eq!(written.hours, 0, "{written:?}");
    });
}

#[test]
fn writers_that_race_leave_each_row_once() {
    block(async {
        let (o, place) = (builtin(), memory());
        let now = epoch(&mut folded(&o, &world(), Limits::default()));
        let (mut a, mut b) = (Writer::new(place.clone()), Writer::new(place.clone()));
        let (x, y) = tokio::join!(a.write(&now, minute(100_000)), b.write(&now, minute(100_001)));
        x.unwrap();
        y.unwrap();
        let (hot, cold) = (Sql::new(None), Sql::new(Some(place)));
        for table in Table::ALL {
            assert_eq!(rows(&hot, table, Some(&now)).await, rows(&cold, table, None).await, "{table:?}");
        }
    });
}

#[test]
fn sessions_that_were_let_go_stay_in_history() {
    block(async {
        let (o, place) = (builtin(), memory());
        let few = Limits { sampled_nodes: 4, ..Limits::default() };
        let session = |n: u8, m| (7, n / 4, n % 4, m);
        let mut fold = folded(&o, &[], few);
        let mut writer = Writer::new(place.clone());
        for n in 0..12 {
            add(&mut fold, &o, &[session(n, i64::from(n) * 2)]);
            let now = Epoch { unfinished: true, ..epoch(&mut fold) };
            write(&mut writer, &now).await;
        }
        // The hour is not over: the graph has the last four, the table the others.
        let now = epoch(&mut fold);
        assert_eq!(now.graph.sampled().count(), 4);
        let sql = Sql::new(Some(place));
        assert_eq!(count(&sql, Table::Interactions, Some(&now)).await, 12);
        // And when it is.
        add(&mut fold, &o, &[(0, 0, 0, 500)]);
        let now = epoch(&mut fold);
        write(&mut writer, &now).await;
        assert_eq!(count(&sql, Table::Interactions, Some(&now)).await, 12);
        assert_eq!(count(&sql, Table::Interactions, None).await, 12);
    });
}

#[test]
fn what_the_graph_forgot_is_not_taken_from_history() {
    block(async {
        let (o, place) = (builtin(), memory());
        let short = Limits { hours: 24, ..Limits::default() };
        let mut fold = folded(&o, &world(), short);
        let mut writer = Writer::new(place.clone());
        write(&mut writer, &epoch(&mut fold)).await;
        let sql = Sql::new(Some(place.clone()));
        let before = (count(&sql, Table::Flows, None).await, count(&sql, Table::Measures, None).await);
        // Two days later something comes late for the first hours, of which the graph has nothing else any more.
        add(&mut fold, &o, &[(0, 0, 0, 3_000), (4, 1, 1, 30), (2, 1, 1, 30)]);
        write(&mut Writer::new(place), &epoch(&mut fold)).await;
        let after = (count(&sql, Table::Flows, None).await, count(&sql, Table::Measures, None).await);
        assert!(after.0 >= before.0 && after.1 >= before.1, "{before:?} {after:?}");
    });
}

#[test]
fn a_class_that_is_new_is_a_column_that_is_new() {
    block(async {
        let (o, place) = (builtin(), memory());
        let mut fold = folded(&o, &world(), Limits::default());
        write(&mut Writer::new(place.clone()), &epoch(&mut fold)).await;
        let mut named = Ontology::builtin();
        let class = named.class("AppVersion").unwrap();
        named.classes[class.index()].name = "Build".to_owned();
        named.fingerprint += 1;
        let named = Arc::new(named);
        let mut later = world();
        later.iter_mut().for_each(|s| s.3 += 600);
        let mut fold = Fold::new(Arc::clone(&named), Vec::new(), Limits::default());
        for s in later {
            fold.fold(&statement(&o, s), minute(100_000));
        }
        let now = epoch(&mut fold);
        write(&mut Writer::new(place.clone()), &now).await;
        let text =
            "select count(app_version), count(build), count(*) from measures where measure = 'view.ttr'";
        for epoch in [None, Some(&now)] {
            let answer = Sql::new(Some(place.clone())).ask(text, epoch, &bounds()).await.unwrap();
            let numbers: Vec<i64> = answer.rows[0].iter().map(|v| v.as_i64().unwrap()).collect();
            assert!(numbers[0] > 0 && numbers[1] > 0 && numbers[0] + numbers[1] == numbers[2], "{numbers:?}");
        }
    });
}

#[test]
fn what_is_not_as_it_was_committed_is_found() {
    block(async {
        let o = builtin();
        let dir = tempfile::tempdir().unwrap();
        let place = Place::folder(dir.path()).unwrap();
        let mut fold = folded(&o, &world(), Limits::default());
        let now = epoch(&mut fold);
        write(&mut Writer::new(place.clone()), &now).await;
        let mut read = BTreeMap::new();
        let sound = crate::check(&place, |table, done, of| {
            read.insert(table, (done, of));
        });
        let sound = sound.await.unwrap();
        assert!(sound.len() == Table::ALL.len() && sound.iter().all(|t| t.damage.is_empty()), "{sound:?}");
        assert!(read.values().all(|(done, of)| done == of), "{read:?}");
        let sql = Sql::new(Some(place.clone()));
        for (table, checked) in Table::ALL.into_iter().zip(&sound) {
            assert_eq!(i64::try_from(checked.rows).unwrap(), count(&sql, table, None).await);
        }
        // One file of each table is another one, shorter, gone, or that of another hour.
        let files = |table: Table| {
            let days = std::fs::read_dir(dir.path().join(table.name())).unwrap().map(|e| e.unwrap().path());
            let days = days.filter(|p| p.file_name().unwrap().to_string_lossy().starts_with("day="));
            let mut all: Vec<_> =
                days.flat_map(|d| std::fs::read_dir(d).unwrap().map(|e| e.unwrap().path())).collect();
            all.sort();
            all
        };
        let flows = &files(Table::Flows)[0];
        let mut bytes = std::fs::read(flows).unwrap();
        bytes[40] ^= 0x55;
        std::fs::write(flows, bytes).unwrap();
        let measures = &files(Table::Measures)[0];
        let bytes = std::fs::read(measures).unwrap();
        std::fs::write(measures, &bytes[..bytes.len() / 2]).unwrap();
        std::fs::remove_file(&files(Table::Entities)[0]).unwrap();
        let sessions = files(Table::Interactions);
        std::fs::copy(&sessions[0], &sessions[1]).unwrap();
        std::fs::write(dir.path().join("relations/_delta_log/00000000000000000000.json"), b"{").unwrap();
        let found = crate::check(&place, |_, _, _| {}).await.unwrap();
        let damaged = |table: Table| {
            let of = found.iter().find(|t| t.table == table.name()).unwrap();
            of.damage.iter().map(|d| d.file.clone()).collect::<Vec<_>>()
        };
        let ends = |path: &std::path::Path, file: &[String]| {
            file.len() == 1 && path.to_string_lossy().ends_with(&file[0])
        };
        assert!(ends(flows, &damaged(Table::Flows)), "{found:?}");
        assert!(ends(measures, &damaged(Table::Measures)), "{found:?}");
        assert_eq!(damaged(Table::Entities).len(), 1, "{found:?}");
        assert!(ends(&sessions[1], &damaged(Table::Interactions)), "{found:?}");
        assert_eq!(damaged(Table::Relations), ["_delta_log"], "{found:?}");
        assert!(damaged(Table::Events).is_empty(), "{found:?}");
    });
}

#[test]
fn days_become_one_file_and_old_ones_go() {
    block(async {
        let (o, place) = (builtin(), memory());
        let mut fold = folded(&o, &world(), Limits::default());
        let mut writer = Writer::new(place.clone());
        write(&mut writer, &epoch(&mut fold)).await;
        let sql = Sql::new(Some(place.clone()));
        let before = rows(&sql, Table::Measures, None).await;
        let tidy = async |days: i64, keep: Keep| {
            let latest = minute(days * 1_440);
            keep.tidy(&place, &o, latest, minute(100_000)).await.unwrap()
        };
        let tidied = tidy(5, Keep::default()).await;
        assert!(tidied.merged >= 5 && tidied.dropped == 0, "{tidied:?}");
        assert_eq!(rows(&sql, Table::Measures, None).await, before);
        assert_eq!(tidy(5, Keep::default()).await.merged, 0);
        // What comes late finds its hour within the day.
        assert_eq!(write(&mut Writer::new(place.clone()), &epoch(&mut fold)).await.hours, 0);
        add(&mut fold, &o, &[(2, 3, 3, 61), (2, 2, 3, 121)]);
        let now = epoch(&mut fold);
        write(&mut writer, &now).await;
        let hot = rows(&Sql::new(None), Table::Measures, Some(&now)).await;
        assert_eq!(rows(&sql, Table::Measures, None).await, hot);
        assert_ne!(hot, before);
        let tidied = tidy(50, Keep::default().with(Table::Measures, 7)).await;
        assert!(tidied.dropped > 0, "{tidied:?}");
        assert_eq!(count(&sql, Table::Measures, None).await, 0);
        assert!(count(&sql, Table::Flows, None).await > 0);
    });
}

/// A store that fails to take commits while it is told to.
#[derive(Debug)]
struct Failing {
    inner: InMemory,
    commits_left: AtomicUsize,
}

impl std::fmt::Display for Failing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("failing")
    }
}

#[async_trait::async_trait]
impl ObjectStore for Failing {
    async fn put_opts(
        &self,
        at: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> object_store::Result<PutResult> {
        if at.as_ref().contains("_delta_log") {
            let left = self.commits_left.load(Ordering::SeqCst);
            if left == 0 {
                return Err(object_store::Error::Generic {
                    store: "failing",
                    source: "the disk is gone".into(),
                });
            }
            self.commits_left.store(left - 1, Ordering::SeqCst);
        }
        self.inner.put_opts(at, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        at: &Path,
        options: PutMultipartOptions,
    ) -> object_store::Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(at, options).await
    }

    async fn get_opts(&self, at: &Path, options: GetOptions) -> object_store::Result<GetResult> {
        self.inner.get_opts(at, options).await
    }

    fn delete_stream(
        &self,
        all: BoxStream<'static, object_store::Result<Path>>,
    ) -> BoxStream<'static, object_store::Result<Path>> {
        self.inner.delete_stream(all)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, object_store::Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> object_store::Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> object_store::Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

#[test]
fn a_crash_between_files_and_commit_loses_and_doubles_nothing() {
    for commits in 0..14 {
        block(async {
            let o = builtin();
            let store = Arc::new(Failing { inner: InMemory::new(), commits_left: AtomicUsize::new(commits) });
            let place = Place::on(Arc::clone(&store) as Arc<dyn ObjectStore>);
            let now = epoch(&mut folded(&o, &world(), Limits::default()));
            let first = Writer::new(place.clone()).write(&now, minute(100_000)).await;
            assert!(first.is_err() || commits >= 12, "six tables are made and written");
            if let Err(e) = first {
                assert!(e.to_string().contains("the disk is gone"), "{e}");
            }
            store.commits_left.store(1_000, Ordering::SeqCst);
            write(&mut Writer::new(place.clone()), &now).await;
            let (hot, cold) = (Sql::new(None), Sql::new(Some(place)));
            for table in Table::ALL {
                assert_eq!(
                    rows(&hot, table, Some(&now)).await,
                    rows(&cold, table, None).await,
                    "{commits} {table:?}"
                );
            }
        });
    }
}

/// Changes the first commit of a table.
async fn tamper(store: &InMemory, table: Table, change: impl Fn(&str) -> String) {
    let path = Path::from(format!("history/{}/_delta_log/00000000000000000000.json", table.name()));
    let text = store.get(&path).await.unwrap().bytes().await.unwrap();
    let changed = change(std::str::from_utf8(&text).unwrap());
    store.put(&path, changed.into_bytes().into()).await.unwrap();
}

#[test]
fn what_a_later_version_wrote_and_what_is_damaged_is_refused_by_name() {
    block(async {
        let o = builtin();
        let store = Arc::new(InMemory::new());
        let place = Place::on(Arc::clone(&store) as Arc<dyn ObjectStore>);
        let now = epoch(&mut folded(&o, &world(), Limits::default()));
        write(&mut Writer::new(place.clone()), &now).await;
        tamper(&store, Table::Flows, |t| t.replace(r#""e2egraph.format":"1""#, r#""e2egraph.format":"2""#))
            .await;
        tamper(&store, Table::Measures, |t| format!("{{\"metaData\": {}", &t[..t.len() / 3])).await;
        let refused = async |table: Table| {
            let sql = Sql::new(Some(place.clone()));
            let text = format!("select count(*) from {}", table.name());
            sql.ask(&text, Some(&now), &bounds()).await.unwrap_err()
        };
        let newer = refused(Table::Flows).await;
        assert!(
            matches!(&newer, SqlError::History(HistoryError::Newer { found, .. }) if found == "2"),
            "{newer:?}"
        );
        assert!(newer.to_string().contains("later version"), "{newer}");
        let damaged = refused(Table::Measures).await;
        assert!(
            matches!(damaged, SqlError::History(HistoryError::Log { table: "measures", .. })),
            "{damaged:?}"
        );
        let written = Writer::new(place.clone()).write(&now, minute(100_000)).await;
        assert!(matches!(written, Err(HistoryError::Newer { .. })), "{written:?}");
        // The others are read on.
        assert!(count(&Sql::new(Some(place.clone())), Table::Entities, None).await > 0);
    });
}

#[test]
fn a_query_changes_nothing_reads_no_files_and_keeps_within_its_bounds() {
    block(async {
        let o = builtin();
        let now = epoch(&mut folded(&o, &world(), Limits::default()));
        let sql = Sql::new(None);
        let ask = async |text: &str, bounds: Bounds| sql.ask(text, Some(&now), &bounds).await;
        let refused = async |text: &str| ask(text, bounds()).await.unwrap_err().to_string();
        for text in [
            "create table x as select 1",
            "create external table x stored as parquet location '/etc'",
            "drop table flows",
            "insert into flows select * from flows",
            "delete from flows",
            "update flows set count = 1",
            "copy flows to '/tmp/flows.parquet'",
            "set datafusion.execution.batch_size = 1",
            "select 1; select 2",
            "select * from '/etc/passwd'",
            "select * from read_parquet('/etc/passwd')",
            "",
        ] {
            let why = refused(text).await;
            assert!(!why.is_empty() && why.len() < 2_000, "{text}: {why}");
        }
        assert!(!std::path::Path::new("/tmp/flows.parquet").exists());
        assert!(refused("select * from flow").await.contains("the nearest is `flows`"));
        assert!(refused("select colour from flows").await.contains("there is no column `colour`"));
        assert!(refused("select cuont from flows").await.contains("the nearest is `count`"));
        let deep = format!("select {}1{} from flows", "(".repeat(10_000), ")".repeat(10_000));
        assert!(!refused(&deep).await.is_empty());

        let cut = ask("select * from flows", Bounds { rows: 3, ..bounds() }).await.unwrap();
        assert_eq!((cut.rows.len(), cut.truncated), (3, Some(crate::Hit::Rows)));
        let whole = ask("select 1", Bounds { rows: 1, ..bounds() }).await.unwrap();
        assert_eq!((whole.rows.len(), whole.truncated), (1, None));
        let long = "select count(*) from generate_series(1, 100000) a, generate_series(1, 100000) b where a.value % 7 = b.value % 5";
        let late = ask(long, Bounds { time: Duration::from_millis(50), ..bounds() }).await.unwrap_err();
        assert!(matches!(late, SqlError::Time(_)), "{late}");
        let large = "select array_agg(a.value) from generate_series(1, 1000000) a, generate_series(1, 10) b";
        let full = ask(large, Bounds { memory_bytes: 1 << 20, ..bounds() }).await.unwrap_err();
        assert!(matches!(full, SqlError::Memory(..)), "{full}");
        let tables =
            ask("select table_name from information_schema.tables where table_schema = 'public'", bounds())
                .await;
        assert_eq!(tables.unwrap().rows.len(), Table::ALL.len());
    });
}

#[test]
fn a_chain_of_as_many_operators_as_may_be_leaves_stack() {
    // A quarter of what the program gives its threads.
    let thread = std::thread::Builder::new().stack_size(8 << 20).spawn(|| {
        block(async {
            let now = epoch(&mut folded(&builtin(), &world(), Limits::default()));
            let sql = Sql::new(None);
            let chain = |of: &str, times: usize| format!("select 1{}", of.repeat(times));
            let long = sql.ask(&chain(" + 1", 500_000), Some(&now), &bounds()).await;
            assert!(long.unwrap_err().to_string().contains("sql_words"));
            let sum = sql.ask(&chain(" + 1", crate::sql::length::WORDS - 1), Some(&now), &bounds()).await;
            assert_eq!(sum.unwrap().rows[0][0], crate::sql::length::WORDS);
            for (of, words) in
                [(" || 'a'", 1), ("::bigint", 2), (" = 1 and 1", 2), (" union all select 1", 3)]
            {
                // Whether it is meant well or not.
                let _ =
                    sql.ask(&chain(of, (crate::sql::length::WORDS - 1) / words), Some(&now), &bounds()).await;
            }
        });
    });
    thread.unwrap().join().unwrap();
}
