//! The session that a statement is planned in: the tables as they are now, our functions, and the catalog that PostgreSQL's clients read.
//!
//! Tables are made anew for each statement. What clients remember from one statement to the next, the numbers (OIDs) of tables, is kept in
//! one catalog for all.

use super::settings;
use super::statement::unread;
use super::trouble::Trouble;
use super::types;
use crate::sql::{Bounds, Sql, config, functions, known, length, runtime};
use crate::table::Table;
use crate::write::Epoch;
use async_trait::async_trait;
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::catalog::{
    CatalogProvider as _, MemoryCatalogProvider, MemoryCatalogProviderList, MemorySchemaProvider,
    SchemaProvider, TableProvider,
};
use datafusion::common::TableReference;
use datafusion::datasource::empty::EmptyTable;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::prelude::{SessionConfig, SessionContext};
use datafusion::sql::parser::Statement as Planned;
use datafusion::sql::resolve::resolve_table_references;
use datafusion::sql::sqlparser::ast::Statement;
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion_pg_catalog::pg_catalog::context::EmptyContextProvider;
use datafusion_pg_catalog::pg_catalog::{PG_CATALOG_TABLES, setup_pg_catalog};
use datafusion_pg_catalog::sql::PostgresCompatibilityParser;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError, RwLock};

/// The one database there is.
pub(super) const DATABASE: &str = "e2egraph";
const PUBLIC: &str = "public";
const PG_CATALOG: &str = "pg_catalog";
const INFORMATION: &str = "information_schema";

/// What statements are read and planned with.
pub(super) struct Catalog {
    parser: PostgresCompatibilityParser,
    /// Has all functions, and the catalog.
    template: SessionContext,
    pg_catalog: Arc<dyn SchemaProvider>,
    shapes: Arc<Shapes>,
}

impl Catalog {
    /// Makes it; some milliseconds.
    ///
    /// # Errors
    /// When the catalog that comes with it cannot be read.
    pub(super) fn new() -> Result<Catalog> {
        let config = SessionConfig::new().with_default_catalog_and_schema(DATABASE, PUBLIC);
        let template = SessionContext::new_with_config(config);
        functions::register(&template);
        setup_pg_catalog(&template, DATABASE, EmptyContextProvider).map_err(|e| *e)?;
        settings::register(&template);
        let shapes = Arc::new(Shapes::default());
        let database = template.catalog(DATABASE).ok_or_else(missing)?;
        database.register_schema(PUBLIC, Arc::clone(&shapes) as Arc<dyn SchemaProvider>)?;
        let pg_catalog = database.schema(PG_CATALOG).ok_or_else(missing)?;
        Ok(Catalog { parser: PostgresCompatibilityParser::new(), template, pg_catalog, shapes })
    }

    /// Reads statements.
    ///
    /// # Errors
    /// When they are none.
    pub(super) fn parse(&self, text: &str) -> std::result::Result<Vec<Statement>, Trouble> {
        length::bounded(text, &PostgreSqlDialect {}).map_err(|e| Trouble::new("54001", e.to_string()))?;
        self.parser.parse(text).map_err(|e| unread(text, &e.to_string()))
    }

    /// A session for one statement.
    ///
    /// # Errors
    /// When it names what is not there, or a table cannot be read.
    pub(super) async fn session(
        &self,
        sql: &Sql,
        statement: &Statement,
        epoch: &Epoch,
        bounds: &Bounds,
    ) -> std::result::Result<SessionContext, Trouble> {
        let failed = |e: DataFusionError| Trouble::of(&e, bounds);
        let lists = Planned::Statement(Box::new(statement.clone()));
        let (named, _) = resolve_table_references(&lists, true).map_err(failed)?;
        let mut shown = matches!(
            statement,
            Statement::ShowTables { .. } | Statement::ShowColumns { .. } | Statement::ExplainTable { .. }
        );
        let mut wanted = BTreeSet::new();
        for name in &named {
            match place(name)? {
                // In the place of a table, but none.
                Place::Ours if name.table() == "unnest" => {}
                Place::Ours => {
                    known(name.table(), &self.template)?;
                    wanted.extend(Table::named(name.table()));
                }
                Place::Catalog => shown = true,
            }
        }
        if shown {
            wanted.extend(Table::ALL);
        }
        let public = MemorySchemaProvider::new();
        let database = MemoryCatalogProvider::new();
        let catalogs = MemoryCatalogProviderList::new();
        let config = config(bounds)
            .with_default_catalog_and_schema(DATABASE, PUBLIC)
            .with_create_default_catalog_and_schema(false);
        let tables = sql.tables(&wanted, Some(epoch), bounds).await?;
        let shapes: BTreeMap<Table, SchemaRef> =
            tables.iter().map(|(table, provider)| (*table, types::shape(&provider.schema()))).collect();
        let state = SessionStateBuilder::new_from_existing(self.template.state())
            .with_config(config)
            .with_runtime_env(Arc::new(runtime(bounds).map_err(failed)?))
            .with_catalog_list(Arc::new(catalogs))
            .build();
        let context = SessionContext::new_with_state(state);
        for (table, provider) in tables {
            provider.register_store(&context);
            public.register_table(table.name().to_owned(), Arc::new(provider)).map_err(failed)?;
        }
        if shown {
            self.shapes.set(shapes);
        }
        database.register_schema(PUBLIC, Arc::new(public)).map_err(failed)?;
        database.register_schema(PG_CATALOG, Arc::clone(&self.pg_catalog)).map_err(failed)?;
        context.register_catalog(DATABASE, Arc::new(database));
        Ok(context)
    }
}

fn missing() -> DataFusionError {
    DataFusionError::Internal("the catalog has no place".to_owned())
}

enum Place {
    Ours,
    Catalog,
}

/// Where a name leads, of what is there.
fn place(name: &TableReference) -> std::result::Result<Place, Trouble> {
    match name.schema() {
        None | Some(PUBLIC) => Ok(Place::Ours),
        Some(INFORMATION) => Ok(Place::Catalog),
        Some(PG_CATALOG) if PG_CATALOG_TABLES.contains(&name.table()) => Ok(Place::Catalog),
        Some(PG_CATALOG) => {
            Err(Trouble::new("42P01", format!("there is no table `{PG_CATALOG}.{}` here", name.table())))
        }
        Some(other) => {
            Err(Trouble::new("3F000", format!("there is no schema `{other}`; tables are in `{PUBLIC}`")))
        }
    }
}

/// The columns of the tables, for the catalog: all tables at all times, so that each keeps its number.
#[derive(Debug)]
struct Shapes(RwLock<BTreeMap<&'static str, SchemaRef>>);

impl Default for Shapes {
    fn default() -> Shapes {
        let none: SchemaRef = Arc::new(Schema::empty());
        Shapes(RwLock::new(Table::ALL.iter().map(|t| (t.name(), Arc::clone(&none))).collect()))
    }
}

impl Shapes {
    fn set(&self, shapes: BTreeMap<Table, SchemaRef>) {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        known.extend(shapes.into_iter().map(|(table, shape)| (table.name(), shape)));
    }

    fn get(&self, name: &str) -> Option<SchemaRef> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }
}

#[async_trait]
impl SchemaProvider for Shapes {
    fn table_names(&self) -> Vec<String> {
        Table::ALL.iter().map(|t| t.name().to_owned()).collect()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        Ok(self.get(name).map(|shape| Arc::new(EmptyTable::new(shape)) as Arc<dyn TableProvider>))
    }

    fn table_exist(&self, name: &str) -> bool {
        self.get(name).is_some()
    }
}
