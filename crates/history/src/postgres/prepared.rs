//! Statements that are prepared first and run later, once or often (PostgreSQL's extended protocol).

use super::Shared;
use super::run::Plan;
use super::session::{Held, Session, shown, tell};
use super::statement::{Asked, read};
use super::trouble::{Trouble, plain};
use super::types;
use arrow_pg::datatypes::df::deserialize_parameters_with_server_types;
use async_trait::async_trait;
use datafusion::arrow::datatypes::{DataType, Schema, SchemaRef};
use datafusion::common::ParamValues;
use datafusion::sql::sqlparser::ast::Statement;
use futures::{Sink, SinkExt as _};
use pgwire::api::portal::{Format, Portal, PortalExecutionState};
use pgwire::api::query::{
    ExtendedQueryHandler, send_execution_response, send_partial_query_response, send_ready_for_query,
};
use pgwire::api::results::{FieldInfo, Response, Tag};
use pgwire::api::stmt::{QueryParser, StoredStatement};
use pgwire::api::store::{Entry, PortalStore};
use pgwire::api::{ClientInfo, ClientPortalStore, DEFAULT_NAME, PgWireConnectionState, Type};
use pgwire::error::{PgWireError, PgWireResult};
use pgwire::messages::PgWireBackendMessage;
use pgwire::messages::extendedquery::{
    Bind, BindComplete, Close, CloseComplete, Execute, Parse, ParseComplete, Sync as Synced,
    TARGET_TYPE_BYTE_STATEMENT,
};
use pgwire::messages::response::{EmptyQueryResponse, TransactionStatus};
use std::fmt::Debug;
use std::sync::Arc;

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

/// Prepares statements.
pub(super) struct Reader(pub(super) Arc<Shared>);

impl Reader {
    /// Reads statements.
    pub(super) fn parse(&self, text: &str) -> Result<Vec<Statement>, Trouble> {
        self.0.catalog.parse(text)
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
impl ExtendedQueryHandler for Session {
    type Statement = Prepared;
    type QueryParser = Reader;

    fn query_parser(&self) -> Arc<Reader> {
        self.reader()
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
            Ok(Some(mut statement)) => {
                // A type that is said to be unknown is not said.
                for kind in &mut statement.parameter_types {
                    kind.take_if(|k| *k == Type::UNKNOWN);
                }
                client.portal_store().put_statement(Arc::new(statement));
            }
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
                client.feed(PgWireBackendMessage::EmptyQueryResponse(EmptyQueryResponse::new())).await?;
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
        client.feed(PgWireBackendMessage::CloseComplete(CloseComplete::new())).await?;
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
    // A null of a type that nobody knows is a null text. Without a type, arrow-pg leaves it out, and gives its place to the next.
    let wire =
        |(kind, value): (&Option<DataType>, &Option<bytes::Bytes>)| match types::parameter(kind.as_ref()) {
            Type::UNKNOWN if value.is_none() => Type::TEXT,
            kind => kind,
        };
    let wire: Vec<Type> = kinds.iter().zip(&portal.parameters).map(wire).collect();
    let kinds: Vec<Option<&DataType>> = kinds.iter().map(Option::as_ref).collect();
    let wire: Vec<Option<&Type>> = wire.iter().map(Some).collect();
    let values = deserialize_parameters_with_server_types(portal, &kinds, &wire).map_err(plain)?;
    match &values {
        ParamValues::List(list) if list.len() == portal.parameters.len() => Ok(Some(values)),
        _ => Err(Trouble::new("22023", "a parameter of a type that is not taken; cast it to text").into()),
    }
}
