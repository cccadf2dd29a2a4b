//! What one client said, and what it is answered.

use super::catalog::DATABASE;
use super::frame::refusal;
use super::prepared::Reader;
use super::run::run;
use super::settings::{VERSION, setting};
use super::statement::{Asked, Setting, read, timeout};
use super::trouble::{Trouble, plain};
use super::types::{self, Rows};
use super::{Key, Shared};
use async_trait::async_trait;
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::ParamValues;
use datafusion::sql::sqlparser::ast::Statement;
use futures::{Sink, SinkExt as _, StreamExt as _, stream};
use pgwire::api::auth::{
    DefaultServerParameterProvider, StartupHandler, finish_authentication, protocol_negotiation,
    save_startup_parameters_to_metadata,
};
use pgwire::api::portal::Format;
use pgwire::api::query::{
    SimpleQueryHandler, send_execution_response, send_query_response, send_ready_for_query,
};
use pgwire::api::results::{DataRowEncoder, QueryResponse, Response, Tag};
use pgwire::api::store::PortalStore;
use pgwire::api::{ClientInfo, ClientPortalStore, PgWireConnectionState};
use pgwire::error::{PgWireError, PgWireResult};
use pgwire::messages::response::{EmptyQueryResponse, TransactionStatus};
use pgwire::messages::simplequery::Query;
use pgwire::messages::startup::Authentication;
use pgwire::messages::{PgWireBackendMessage, PgWireFrontendMessage};
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, OwnedSemaphorePermit};

/// Bytes of prepared statements and bound parameters of one connection.
pub(super) const HELD_BYTES: usize = 4 << 20;
/// What each of them counts beside its text.
const HELD_EACH: usize = 1 << 10;

/// One connection.
pub(super) struct Session {
    shared: Arc<Shared>,
    reader: Arc<Reader>,
    /// Told when its client wants the statement that runs to end.
    pub(super) cancel: Arc<Notify>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    timeout: Option<Duration>,
    /// Bytes by name of statement and portal.
    held: BTreeMap<(Held, String), usize>,
    /// By which it can be canceled.
    key: Option<Key>,
    place: Option<OwnedSemaphorePermit>,
}

/// What is kept for a client, by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Held {
    Statement,
    Portal,
}

impl Session {
    pub(super) fn new(shared: Arc<Shared>) -> Session {
        let reader = Arc::new(Reader(Arc::clone(&shared)));
        Session { shared, reader, cancel: Arc::default(), state: Mutex::default() }
    }

    /// What it has in common with the others.
    pub(super) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// What prepares statements.
    pub(super) fn reader(&self) -> Arc<Reader> {
        Arc::clone(&self.reader)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps something for a client, if there is room.
    pub(super) fn hold(&self, what: Held, name: &str, bytes: usize) -> Result<(), Trouble> {
        let mut state = self.state();
        state.held.remove(&(what, name.to_owned()));
        let bytes = bytes.saturating_add(HELD_EACH);
        let all = state.held.values().fold(bytes, |sum, b| sum.saturating_add(*b));
        if all > HELD_BYTES {
            let why = format!(
                "prepared statements and parameters of one connection may take {HELD_BYTES} bytes (postgres_held_bytes); close some"
            );
            return Err(Trouble::new("53400", why));
        }
        state.held.insert((what, name.to_owned()), bytes);
        Ok(())
    }

    pub(super) fn release(&self, what: Held, name: &str) {
        self.state().held.remove(&(what, name.to_owned()));
    }

    /// Lets go of all portals.
    pub(super) fn release_portals(&self) {
        self.state().held.retain(|(what, _), _| *what != Held::Portal);
    }

    /// How long a statement may take.
    fn time(&self) -> Duration {
        self.state().timeout.map_or(self.shared.bounds.time, |t| t.min(self.shared.bounds.time))
    }

    /// Answers what is no question.
    pub(super) fn answer<C>(&self, client: &mut C, asked: &Asked) -> Result<Response, Trouble>
    where
        C: ClientInfo + ClientPortalStore,
        C::PortalStore: PortalStore,
    {
        Ok(match asked {
            Asked::Begin => Response::TransactionStart(Tag::new("BEGIN")),
            Asked::Commit if client.transaction_status() == TransactionStatus::Error => {
                Response::TransactionEnd(Tag::new("ROLLBACK"))
            }
            Asked::Commit => Response::TransactionEnd(Tag::new("COMMIT")),
            Asked::Rollback => Response::TransactionEnd(Tag::new("ROLLBACK")),
            Asked::Savepoint(_) | Asked::RollbackTo
                if client.transaction_status() == TransactionStatus::Idle =>
            {
                return Err(Trouble::new("25P01", "a savepoint is a place in a transaction; BEGIN one"));
            }
            Asked::Savepoint(tag) => Response::Execution(Tag::new(tag)),
            Asked::RollbackTo => {
                client.set_transaction_status(TransactionStatus::Transaction);
                Response::Execution(Tag::new("ROLLBACK"))
            }
            Asked::Set(setting) => {
                if let Setting::Timeout(timeout) = setting {
                    self.state().timeout = *timeout;
                }
                Response::Execution(Tag::new("SET"))
            }
            Asked::Show(name) => Response::Query(self.show(client, name)?),
            Asked::Deallocate(Some(name)) => {
                client.portal_store().rm_statement(name);
                self.release(Held::Statement, name);
                Response::Execution(Tag::new("DEALLOCATE"))
            }
            Asked::Deallocate(None) => {
                self.forget(client.portal_store());
                Response::Execution(Tag::new("DEALLOCATE ALL"))
            }
            Asked::Nothing(tag) => {
                if *tag == "DISCARD ALL" {
                    self.forget(client.portal_store());
                    self.state().timeout = None;
                }
                Response::Execution(Tag::new(tag))
            }
            Asked::Question => return Err(Trouble::new("XX000", "a question is run, not answered")),
        })
    }

    fn forget<S: PortalStore>(&self, store: &S) {
        let mut state = self.state();
        for (what, name) in state.held.keys() {
            if *what == Held::Statement {
                store.rm_statement(name);
            }
        }
        state.held.retain(|(what, _), _| *what != Held::Statement);
    }

    fn show<C: ClientInfo>(&self, client: &C, name: &str) -> Result<QueryResponse, Trouble> {
        let value = match name {
            "statement_timeout" => self.state().timeout.map_or(0, |t| t.as_millis()).to_string(),
            "application_name" => client.metadata().get(name).cloned().unwrap_or_default(),
            "all" => return Err(Trouble::unsupported("SHOW ALL is not answered; SHOW one setting")),
            name => setting(name)
                .ok_or_else(|| Trouble::new("42704", format!("there is no setting `{name}`")))?
                .to_owned(),
        };
        let fields = Arc::new(types::described(&shown(name), &Format::UnifiedText)?);
        let mut row = DataRowEncoder::new(Arc::clone(&fields));
        row.encode_field(&Some(value)).map_err(plain)?;
        let row = row.take_row();
        Ok(QueryResponse::new(fields, stream::once(async move { Ok(row) })))
    }

    /// Runs a question.
    pub(super) async fn ask(
        &self,
        statement: &Statement,
        values: Option<ParamValues>,
        promised: Option<&SchemaRef>,
        format: &Format,
    ) -> Result<QueryResponse, Trouble> {
        let running = run(&self.shared, statement, values, self.time()).await?;
        let promised = Arc::clone(promised.unwrap_or(&running.schema));
        let fields = Arc::new(types::described(&promised, format)?);
        let rows = Rows::new(promised, format);
        let batches = stream::unfold(running, |mut running| async move {
            running.next().await.map(|batch| (batch, running))
        });
        let rows = batches.flat_map(move |batch| {
            let rows: Box<dyn Iterator<Item = _> + Send> = match batch.and_then(|batch| rows.of(&batch)) {
                Ok(rows) => Box::new(rows),
                Err(trouble) => Box::new(std::iter::once(Err(trouble.into()))),
            };
            stream::iter(rows)
        });
        Ok(QueryResponse::new(fields, rows))
    }

    /// Counts a statement, and refuses it in a transaction that has failed.
    pub(super) fn admit(&self, status: TransactionStatus, asked: &Asked) -> Result<(), Trouble> {
        self.shared.figures.statements.fetch_add(1, Ordering::Relaxed);
        if status == TransactionStatus::Error
            && !matches!(asked, Asked::Commit | Asked::Rollback | Asked::RollbackTo)
        {
            return Err(Trouble::new("25P02", "this transaction has failed; end it with ROLLBACK"));
        }
        Ok(())
    }

    /// Gives a client that may come in its place.
    async fn enter<C>(&self, client: &mut C) -> PgWireResult<()>
    where
        C: ClientInfo + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let Some(place) = self.shared.place() else {
            let why = format!(
                "{} connections are open already (postgres_connections); close one, or try again later",
                super::CONNECTIONS
            );
            return Err(refusal("53300", &why));
        };
        let key = self.shared.register(client, &self.cancel);
        {
            let mut state = self.state();
            state.place = Some(place);
            state.key = Some(key);
            state.timeout = first_timeout(client.metadata())?;
        }
        let mut told = DefaultServerParameterProvider::default();
        told.server_version = format!("{VERSION} ({DATABASE} {})", env!("CARGO_PKG_VERSION"));
        told.is_superuser = false;
        told.default_transaction_read_only = true;
        told.time_zone = "UTC".to_owned();
        finish_authentication(client, &told).await
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some(key) = self.state().key.take() {
            self.shared.unregister(&key);
        }
    }
}

/// `statement_timeout` as a client may say it before anything else: by itself, or as `options=-c statement_timeout=5s`.
#[expect(clippy::disallowed_types, reason = "pgwire keeps it so; its order is not looked at")]
fn first_timeout(said: &std::collections::HashMap<String, String>) -> Result<Option<Duration>, PgWireError> {
    const NAME: &str = "statement_timeout";
    let options = said.get("options").map(String::as_str).unwrap_or_default().split_whitespace();
    let among =
        options.filter_map(|o| o.trim_start_matches("-c").trim_start_matches("--").strip_prefix(NAME));
    let value = among.filter_map(|o| o.strip_prefix('=')).next_back().or(said.get(NAME).map(String::as_str));
    value.map_or(Ok(None), timeout).map_err(|t| refusal(t.state, &t.why))
}

/// The one column of what `SHOW` tells.
pub(super) fn shown(name: &str) -> Schema {
    Schema::new(vec![Field::new(name.replace(' ', "_"), DataType::Utf8, true)])
}

#[async_trait]
impl StartupHandler for Session {
    async fn on_startup<C>(&self, client: &mut C, message: PgWireFrontendMessage) -> PgWireResult<()>
    where
        C: ClientInfo + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        match message {
            PgWireFrontendMessage::Startup(startup) => {
                protocol_negotiation(client, &startup).await?;
                save_startup_parameters_to_metadata(client, &startup);
                if self.shared.password.is_none() {
                    return self.enter(client).await;
                }
                client.set_state(PgWireConnectionState::AuthenticationInProgress);
                client.send(PgWireBackendMessage::Authentication(Authentication::CleartextPassword)).await?;
                Ok(())
            }
            PgWireFrontendMessage::PasswordMessageFamily(said) => {
                let said = said.into_password()?;
                match &self.shared.password {
                    Some(right) if !right.is(&said.password) => {
                        Err(refusal("28P01", "the password is wrong"))
                    }
                    _ => self.enter(client).await,
                }
            }
            _ => Err(refusal("08P01", "a client begins with a startup message")),
        }
    }
}

#[async_trait]
impl SimpleQueryHandler for Session {
    /// One statement after the other, each sent before the next is begun.
    async fn on_query<C>(&self, client: &mut C, query: Query) -> PgWireResult<()>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        client.set_state(PgWireConnectionState::QueryInProgress);
        let statements = self.reader.parse(&query.query)?;
        if statements.is_empty() {
            client.feed(PgWireBackendMessage::EmptyQueryResponse(EmptyQueryResponse::new())).await?;
        }
        for statement in &statements {
            let asked = read(statement)?;
            self.admit(client.transaction_status(), &asked)?;
            let response = match &asked {
                Asked::Question => {
                    Response::Query(self.ask(statement, None, None, &Format::UnifiedText).await?)
                }
                asked => self.answer(client, asked)?,
            };
            match response {
                Response::Query(rows) => send_query_response(client, rows, true).await?,
                told => tell(client, told).await?,
            }
        }
        client.set_state(PgWireConnectionState::ReadyForQuery);
        send_ready_for_query(client, client.transaction_status()).await
    }

    async fn do_query<C>(&self, _: &mut C, _: &str) -> PgWireResult<Vec<Response>>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        Err(Trouble::new("XX000", "statements are answered one by one").into())
    }
}

/// Sends what has no rows, and keeps in mind where the transaction stands.
pub(super) async fn tell<C>(client: &mut C, response: Response) -> PgWireResult<()>
where
    C: ClientInfo + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
    C::Error: Debug,
    PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
{
    let status = client.transaction_status();
    match response {
        Response::TransactionStart(tag) => {
            client.set_transaction_status(status.to_in_transaction_state());
            send_execution_response(client, tag).await
        }
        Response::TransactionEnd(tag) => {
            client.set_transaction_status(status.to_idle_state());
            send_execution_response(client, tag).await
        }
        Response::Execution(tag) => send_execution_response(client, tag).await,
        _ => Ok(()),
    }
}
