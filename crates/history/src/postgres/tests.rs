//! What a client gets, byte for byte: a small one of our own, for what real ones do not do. `tests/peers/postgres.py` has those.

use super::{Figures, HANDSHAKES, Password, Postgres};
use crate::tests::{add, block, builtin, epoch, folded, world};
use crate::{Bounds, Sql, Threads};
use graph::Limits;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// A server over a graph that can be added to.
struct Served {
    addr: SocketAddr,
    fold: Arc<Mutex<graph::Fold>>,
    figures: Arc<Figures>,
    stop: watch::Sender<bool>,
    task: tokio::task::JoinHandle<()>,
}

async fn serve(bounds: Bounds, password: Option<&str>) -> Served {
    let fold = Arc::new(Mutex::new(folded(&builtin(), &world(), Limits::default())));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (addr, graph) = (listener.local_addr().unwrap(), Arc::clone(&fold));
    let (stop, stopped) = watch::channel(false);
    let figures = Arc::new(Figures::default());
    let postgres = Postgres {
        sql: Arc::new(Sql::new(None)),
        threads: Arc::new(Threads::new(bounds.threads).unwrap()),
        now: Arc::new(move || epoch(&mut graph.lock().unwrap())),
        bounds,
        password: password.map(Password::new),
    };
    let task = tokio::spawn(postgres.serve(listener, Arc::clone(&figures), stopped).unwrap());
    Served { addr, fold, figures, stop, task }
}

struct Client(TcpStream);

/// Kinds of messages with their bodies.
type Said = Vec<(u8, Vec<u8>)>;

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap();
    [&[kind][..], &length.to_be_bytes(), body].concat()
}

impl Client {
    async fn open(addr: SocketAddr) -> Client {
        let mut tcp = TcpStream::connect(addr).await.unwrap();
        let body = [&196_608_u32.to_be_bytes()[..], b"user\0x\0\0"].concat();
        tcp.write_all(&message(0, &body)[1..]).await.unwrap();
        Client(tcp)
    }

    async fn enter(addr: SocketAddr) -> Client {
        let mut client = Client::open(addr).await;
        client.until(b'Z').await;
        client
    }

    /// Reads messages up to one of a kind, or to the end.
    async fn until(&mut self, last: u8) -> Said {
        let mut said = Said::new();
        while let Ok(kind) = self.0.read_u8().await {
            let length = self.0.read_u32().await.unwrap();
            let mut body = vec![0; usize::try_from(length - 4).unwrap()];
            self.0.read_exact(&mut body).await.unwrap();
            said.push((kind, body));
            if kind == last {
                break;
            }
        }
        said
    }

    async fn query(&mut self, text: &str) -> Said {
        self.0.write_all(&message(b'Q', &[text.as_bytes(), b"\0"].concat())).await.unwrap();
        self.until(b'Z').await
    }
}

/// The code and text of what went wrong; empty when nothing did.
fn wrong(said: &Said) -> String {
    let error = said.iter().find(|(kind, _)| *kind == b'E');
    error.map(|(_, body)| String::from_utf8_lossy(body).replace('\0', " ")).unwrap_or_default()
}

/// The only value of the only row.
fn value(said: &Said) -> String {
    let rows: Vec<_> = said.iter().filter(|(kind, _)| *kind == b'D').collect();
    assert_eq!(rows.len(), 1, "{}", wrong(said));
    String::from_utf8_lossy(&rows[0].1[6..]).into_owned()
}

#[test]
fn each_statement_sees_what_came_before_it() {
    block(async {
        let served = serve(Bounds::default(), None).await;
        let mut client = Client::enter(served.addr).await;
        let parse = [message(b'P', b"c\0select count(*) from events\0\0\0"), message(b'S', b"")].concat();
        client.0.write_all(&parse).await.unwrap();
        assert_eq!(wrong(&client.until(b'Z').await), "");
        let run =
            [message(b'B', b"\0c\0\0\0\0\0\0\0"), message(b'E', b"\0\0\0\0\0"), message(b'S', b"")].concat();
        let mut counts = Vec::new();
        for key in [0, 7, 9] {
            add(&mut served.fold.lock().unwrap(), &builtin(), &[(5, key, 0, i64::from(key))]);
            let simple = value(&client.query("select count(*) from events").await);
            client.0.write_all(&run).await.unwrap();
            let prepared = value(&client.until(b'Z').await);
            assert_eq!(simple, prepared);
            let sql = Sql::new(None);
            let now = epoch(&mut served.fold.lock().unwrap());
            let wanted =
                sql.ask("select count(*) from events", Some(&now), &Bounds::default()).await.unwrap();
            assert_eq!(simple, wanted.rows[0][0].to_string());
            counts.push(simple.parse::<u64>().unwrap());
        }
        assert!(counts.is_sorted() && counts[0] > 0, "{counts:?}");
    });
}

#[test]
fn what_a_statement_or_a_connection_may_use_is_bounded() {
    block(async {
        let bounds =
            Bounds { rows: 50, time: Duration::from_secs(5), memory_bytes: 48 << 20, ..Bounds::default() };
        let served = serve(bounds, None).await;
        let mut client = Client::enter(served.addr).await;
        let rows = client.query("select * from generate_series(1, 50)").await;
        assert_eq!(rows.iter().filter(|(kind, _)| *kind == b'D').count(), 50);
        let more = client.query("select * from generate_series(1, 51)").await;
        assert!(wrong(&more).contains("54000") && wrong(&more).contains("sql_rows"), "{}", wrong(&more));
        let endless = "select count(*) from generate_series(1, 100000) a, generate_series(1, 100000) b where a.value % 7 = b.value % 5";
        client.query("set statement_timeout = 300").await;
        let late = client.query(endless).await;
        assert!(wrong(&late).contains("57014") && wrong(&late).contains("0.3 s"), "{}", wrong(&late));
        client.query("set statement_timeout = 0").await;
        let large = client
            .query("select array_agg(repeat('x', 1000) || value) from generate_series(1, 100000)")
            .await;
        assert!(wrong(&large).contains("53200"), "{}", wrong(&large));
        // Prepared statements that are never closed.
        let text = format!("select '{}'\0\0\0", "x".repeat(400_000));
        let mut refused = 0;
        for n in 0..12 {
            let parse = message(b'P', &[format!("s{n}\0").as_bytes(), text.as_bytes()].concat());
            client.0.write_all(&[parse, message(b'S', b"")].concat()).await.unwrap();
            refused += usize::from(wrong(&client.until(b'Z').await).contains("53400"));
        }
        assert_eq!(refused, 2);
        client.query("deallocate all").await;
        let parse = message(b'P', &[b"again\0", text.as_bytes()].concat());
        client.0.write_all(&[parse, message(b'S', b"")].concat()).await.unwrap();
        assert_eq!(wrong(&client.until(b'Z').await), "");
        assert_eq!(value(&client.query("select 1").await), "1");
    });
}

#[test]
fn only_who_says_the_password_comes_in() {
    block(async {
        let served = serve(Bounds::default(), Some("secret")).await;
        for (said, comes_in) in [("secret", true), ("secre", false), ("secrets", false), ("", false)] {
            let mut client = Client::open(served.addr).await;
            assert_eq!(client.until(b'R').await.last().unwrap().1, 3_u32.to_be_bytes());
            client.0.write_all(&message(b'p', &[said.as_bytes(), b"\0"].concat())).await.unwrap();
            let told = client.until(b'Z').await;
            assert_eq!(wrong(&told).is_empty(), comes_in, "{said}: {}", wrong(&told));
            assert!(comes_in || wrong(&told).contains("28P01"), "{}", wrong(&told));
        }
        // A question in the place of a password.
        let mut client = Client::open(served.addr).await;
        client.until(b'R').await;
        let told = client.query("select 1").await;
        assert!(told.iter().all(|(kind, _)| *kind == b'E'), "{told:?}");
        assert_eq!(served.figures.refused.load(Ordering::Relaxed), 4);
    });
}

#[test]
fn a_server_that_stops_tells_its_clients_and_ends() {
    block(async {
        let served = serve(Bounds::default(), None).await;
        let mut idle = Client::enter(served.addr).await;
        // Some that have not said who they are.
        let mut silent = Vec::new();
        for _ in 1..HANDSHAKES {
            silent.push(TcpStream::connect(served.addr).await.unwrap());
        }
        assert_eq!(value(&Client::enter(served.addr).await.query("select 1").await), "1");
        served.stop.send(true).unwrap();
        tokio::time::timeout(Duration::from_secs(20), served.task).await.unwrap().unwrap();
        assert!(wrong(&idle.until(b'E').await).contains("57P01"));
    });
}
