//! What one client said, and what it is answered.

use super::catalog::DATABASE;
use super::frame::refusal;
use super::run::{Plan, run};
use super::settings::{VERSION, setting};
use super::statement::{Asked, Setting, read, unread};
use super::trouble::{Trouble, plain};
use super::types::{self, Rows};
use super::{Key, Shared};
use arrow_pg::datatypes::df::deserialize_parameters_with_server_types;
use async_trait::async_trait;
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::ParamValues;
use datafusion::sql::sqlparser::ast::Statement;
use futures::{Sink, SinkExt as _, StreamExt as _, stream};
use pgwire::api::auth::{
    DefaultServerParameterProvider, StartupHandler, finish_authentication, protocol_negotiation,
    save_startup_parameters_to_metadata,
};
use pgwire::api::portal::{Format, Portal, PortalExecutionState};
use pgwire::api::query::{
    ExtendedQueryHandler, SimpleQueryHandler, send_execution_response, send_partial_query_response,
    send_query_response, send_ready_for_query,
};
use pgwire::api::results::{DataRowEncoder, FieldInfo, QueryResponse, Response, Tag};
use pgwire::api::stmt::{QueryParser, StoredStatement};
use pgwire::api::store::{Entry, PortalStore};
use pgwire::api::{ClientInfo, ClientPortalStore, DEFAULT_NAME, PgWireConnectionState, Type};
use pgwire::error::{PgWireError, PgWireResult};
use pgwire::messages::extendedquery::{
    Bind, BindComplete, Close, CloseComplete, Execute, Parse, ParseComplete, Sync as Synced,
    TARGET_TYPE_BYTE_STATEMENT,
};
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

/// A statement that a client prepared. The plan is made anew when it is run: the graph goes on.
#[derive(Clone)]
pub(super) struct Prepared(Arc<Ready>);

struct Ready {
    asked: Asked,
    statement: Statement,
    /// Of its rows, as the client was told.
    schema: SchemaRef,
    parameters: Vec<Option<DataType>>,
}

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

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Held {
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

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps something for a client, if there is room.
    fn hold(&self, what: Held, name: &str, bytes: usize) -> Result<(), Trouble> {
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

    fn release(&self, what: Held, name: &str) {
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
    fn answer<C>(&self, client: &mut C, asked: &Asked) -> Result<Response, Trouble>
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
    async fn ask(
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
        let batches = stream::unfold(running.batches, |mut batches| async move {
            batches.recv().await.map(|batch| (batch, batches))
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
    fn admit(&self, status: TransactionStatus, asked: &Asked) -> Result<(), Trouble> {
        self.shared.figures.statements.fetch_add(1, Ordering::Relaxed);
        if status == TransactionStatus::Error && !matches!(asked, Asked::Commit | Asked::Rollback) {
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

/// The one column of what `SHOW` tells.
fn shown(name: &str) -> Schema {
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

/// Prepares statements.
pub(super) struct Reader(Arc<Shared>);

impl Reader {
    fn parse(&self, text: &str) -> Result<Vec<Statement>, Trouble> {
        self.0.catalog.parse(text).map_err(|e| unread(text, &e.to_string()))
    }
}

#[async_trait]
impl QueryParser for Reader {
    type Statement = Prepared;

    async fn parse_sql<C>(&self, _: &C, text: &str, _: &[Option<Type>]) -> PgWireResult<Option<Prepared>>
    where
        C: ClientInfo + Unpin + Send + Sync,
    {
        let mut statements = self.parse(text)?.into_iter();
        let Some(statement) = statements.next() else { return Ok(None) };
        if statements.next().is_some() {
            return Err(Trouble::new("42601", "several statements cannot be prepared as one").into());
        }
        let asked = read(&statement)?;
        let (schema, parameters) = match &asked {
            Asked::Question => {
                let planned = tokio::time::timeout(self.0.bounds.time, Plan::of(&self.0, &statement)).await;
                let planned = planned.map_err(|_| {
                    Trouble::from(crate::error::SqlError::Time(self.0.bounds.time.as_secs_f64()))
                })??;
                (planned.schema(), planned.parameters(&self.0)?)
            }
            Asked::Show(name) => (Arc::new(shown(name)), Vec::new()),
            _ => (Arc::new(Schema::empty()), Vec::new()),
        };
        Ok(Some(Prepared(Arc::new(Ready { asked, statement, schema, parameters }))))
    }

    fn get_parameter_types(&self, prepared: &Prepared) -> PgWireResult<Vec<Type>> {
        Ok(prepared.0.parameters.iter().map(|p| types::parameter(p.as_ref())).collect())
    }

    fn get_result_schema(
        &self,
        prepared: &Prepared,
        format: Option<&Format>,
    ) -> PgWireResult<Vec<FieldInfo>> {
        Ok(types::described(&prepared.0.schema, format.unwrap_or(&Format::UnifiedText))?)
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
            client.feed(PgWireBackendMessage::EmptyQueryResponse(EmptyQueryResponse)).await?;
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
async fn tell<C>(client: &mut C, response: Response) -> PgWireResult<()>
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

#[async_trait]
impl ExtendedQueryHandler for Session {
    type Statement = Prepared;
    type QueryParser = Reader;

    fn query_parser(&self) -> Arc<Reader> {
        Arc::clone(&self.reader)
    }

    async fn on_parse<C>(&self, client: &mut C, message: Parse) -> PgWireResult<()>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore<Statement = Prepared>,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let name = message.name.clone().unwrap_or_else(|| DEFAULT_NAME.to_owned());
        client.portal_store().rm_statement(&name);
        self.hold(Held::Statement, &name, message.query.len())?;
        match StoredStatement::parse(client, &message, self.query_parser()).await {
            Ok(Some(statement)) => client.portal_store().put_statement(Arc::new(statement)),
            Ok(None) => client.portal_store().put_empty_statement(&name),
            Err(e) => {
                self.release(Held::Statement, &name);
                return Err(e);
            }
        }
        client.feed(PgWireBackendMessage::ParseComplete(ParseComplete::new())).await?;
        Ok(())
    }

    async fn on_bind<C>(&self, client: &mut C, message: Bind) -> PgWireResult<()>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore<Statement = Prepared>,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let name = message.statement_name.as_deref().unwrap_or(DEFAULT_NAME);
        let to = message.portal_name.as_deref().unwrap_or(DEFAULT_NAME);
        let Some(entry) = client.portal_store().get_statement(name) else {
            return Err(Trouble::new("26000", format!("there is no prepared statement `{name}`")).into());
        };
        let statement = entry.value();
        let wanted = statement.map_or(0, |s| s.statement.0.parameters.len().max(s.parameter_types.len()));
        if message.parameters.len() != wanted {
            let why = format!("{} values for a statement with {wanted} parameters", message.parameters.len());
            return Err(Trouble::new("08P01", why).into());
        }
        let formats = &message.parameter_format_codes;
        if formats.len() > 1 && formats.len() != wanted {
            let why = "as many parameter formats as there are parameters are needed, or one, or none";
            return Err(Trouble::new("08P01", why).into());
        }
        let bytes = message.parameters.iter().flatten().map(bytes::Bytes::len).sum();
        self.hold(Held::Portal, to, bytes)?;
        match statement {
            Some(statement) => {
                let portal = Portal::try_new(&message, Arc::clone(statement))?;
                types::described(&portal.statement.statement.0.schema, &portal.result_column_format)?;
                client.portal_store().put_portal(Arc::new(portal));
            }
            None => client.portal_store().put_empty_portal(to),
        }
        client.feed(PgWireBackendMessage::BindComplete(BindComplete::new())).await?;
        Ok(())
    }

    /// Rows go to the client as they come: a portal that is fetched whole is not held in memory.
    async fn on_execute<C>(&self, client: &mut C, message: Execute) -> PgWireResult<()>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore<Statement = Prepared>,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        client.set_state(PgWireConnectionState::QueryInProgress);
        let name = message.name.as_deref().unwrap_or(DEFAULT_NAME);
        // None, and what is less than none, means all.
        let most = usize::try_from(message.max_rows).unwrap_or(0);
        match client.portal_store().get_portal(name) {
            None => return Err(Trouble::new("34000", format!("there is no portal `{name}`")).into()),
            Some(Entry::Empty) => {
                client.feed(PgWireBackendMessage::EmptyQueryResponse(EmptyQueryResponse)).await?;
            }
            Some(Entry::Value(portal)) => self.execute(client, &portal, most).await?,
        }
        client.set_state(PgWireConnectionState::ReadyForQuery);
        Ok(())
    }

    async fn on_sync<C>(&self, client: &mut C, _: Synced) -> PgWireResult<()>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore<Statement = Prepared>,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        if client.transaction_status() == TransactionStatus::Idle {
            // As in PostgreSQL, portals last as long as the transaction.
            client.portal_store().clear_portals();
            self.release_portals();
        } else {
            client.portal_store().rm_portal(DEFAULT_NAME);
            self.release(Held::Portal, DEFAULT_NAME);
        }
        client.set_state(PgWireConnectionState::ReadyForQuery);
        send_ready_for_query(client, client.transaction_status()).await
    }

    async fn on_close<C>(&self, client: &mut C, message: Close) -> PgWireResult<()>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore<Statement = Prepared>,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let name = message.name.as_deref().unwrap_or(DEFAULT_NAME);
        if message.target_type == TARGET_TYPE_BYTE_STATEMENT {
            client.portal_store().rm_statement(name);
            self.release(Held::Statement, name);
        } else {
            client.portal_store().rm_portal(name);
            self.release(Held::Portal, name);
        }
        client.feed(PgWireBackendMessage::CloseComplete(CloseComplete)).await?;
        Ok(())
    }

    async fn do_query<C>(&self, _: &mut C, _: &Portal<Prepared>, _: usize) -> PgWireResult<Response>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore<Statement = Prepared>,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        Err(Trouble::new("XX000", "portals are executed one by one").into())
    }
}

impl Session {
    async fn execute<C>(&self, client: &mut C, portal: &Portal<Prepared>, most: usize) -> PgWireResult<()>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore<Statement = Prepared>,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let ready = &portal.statement.statement.0;
        let state = portal.state();
        let mut state = state.lock().await;
        if matches!(*state, PortalExecutionState::Initial) {
            self.admit(client.transaction_status(), &ready.asked)?;
            let response = match &ready.asked {
                Asked::Question => {
                    let values = values(portal)?;
                    let format = &portal.result_column_format;
                    Response::Query(self.ask(&ready.statement, values, Some(&ready.schema), format).await?)
                }
                asked => self.answer(client, asked)?,
            };
            match response {
                Response::Query(rows) => *state = PortalExecutionState::Suspended(rows),
                told => {
                    *state = PortalExecutionState::Finished;
                    return tell(client, told).await;
                }
            }
        }
        match &mut *state {
            PortalExecutionState::Suspended(rows) => {
                let more = send_partial_query_response(client, rows, most).await?;
                if !more {
                    *state = PortalExecutionState::Finished;
                }
                Ok(())
            }
            _ => send_execution_response(client, Tag::new("SELECT").with_rows(0)).await,
        }
    }
}

/// The values that parameters were bound to.
fn values(portal: &Portal<Prepared>) -> PgWireResult<Option<ParamValues>> {
    let kinds = &portal.statement.statement.0.parameters;
    if portal.parameters.is_empty() {
        return Ok(None);
    }
    let wire: Vec<Type> = kinds.iter().map(|k| types::parameter(k.as_ref())).collect();
    let kinds: Vec<Option<&DataType>> = kinds.iter().map(Option::as_ref).collect();
    let wire: Vec<Option<&Type>> = wire.iter().map(Some).collect();
    let values = deserialize_parameters_with_server_types(portal, &kinds, &wire);
    Ok(Some(values.map_err(plain)?))
}
