//! Columns as PostgreSQL's clients read them: what has a type there keeps it, what is nested comes as JSON.

use super::trouble::{Trouble, plain};
use crate::sql::json;
use arrow_pg::datatypes::{encode_recordbatch, field_into_pg_type, into_pg_type};
use datafusion::arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, StringArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use datafusion::arrow::error::ArrowError;
use pgwire::api::Type;
use pgwire::api::portal::Format;
use pgwire::api::results::{FieldFormat, FieldInfo};
use pgwire::error::PgWireResult;
use pgwire::messages::data::DataRow;
use std::sync::Arc;

/// How a column comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// As what it is.
    Own,
    /// As JSON.
    Json,
    /// As text, written as SQL writes it.
    Text,
}

fn form(kind: &DataType) -> Form {
    match kind {
        DataType::Map(..) | DataType::Struct(_) => Form::Json,
        DataType::List(of) | DataType::LargeList(of) | DataType::FixedSizeList(of, _) => {
            let flat = !of.data_type().is_nested() && form(of.data_type()) == Form::Own;
            if flat { Form::Own } else { Form::Json }
        }
        // The encoder makes nothing of a null among them.
        DataType::Interval(_) => Form::Text,
        kind if into_pg_type(kind).is_err() || kind.is_nested() => Form::Text,
        _ => Form::Own,
    }
}

fn pg_type(field: &FieldRef) -> Type {
    match form(field.data_type()) {
        Form::Own => field_into_pg_type(field).unwrap_or(Type::TEXT),
        Form::Json => Type::JSON,
        Form::Text => Type::TEXT,
    }
}

/// The columns of a table as the catalog shows them.
pub(super) fn shape(schema: &SchemaRef) -> SchemaRef {
    let one = |field: &FieldRef| match form(field.data_type()) {
        Form::Own => Arc::clone(field),
        _ => Arc::new(Field::new(field.name(), DataType::Utf8, field.is_nullable())),
    };
    Arc::new(Schema::new(schema.fields().iter().map(one).collect::<Vec<_>>()))
}

/// Whether a client asked for as many formats as there are columns.
pub(super) fn formats_fit(format: &Format, columns: usize) -> bool {
    !matches!(format, Format::Individual(each) if each.len() != columns)
}

/// Columns as a client is told of them.
///
/// # Errors
/// When it asked for another number of formats.
pub(super) fn described(schema: &Schema, format: &Format) -> Result<Vec<FieldInfo>, Trouble> {
    if !formats_fit(format, schema.fields().len()) {
        return Err(Trouble::new(
            "08P01",
            "as many result formats as there are columns are needed, or one, or none",
        ));
    }
    let one = |(at, field): (usize, &FieldRef)| {
        FieldInfo::new(field.name().clone(), None, None, pg_type(field), format.format_for(at))
    };
    Ok(schema.fields().iter().enumerate().map(one).collect())
}

/// The type of a parameter, by what it is compared with.
pub(super) fn parameter(kind: Option<&DataType>) -> Type {
    kind.and_then(|k| into_pg_type(k).ok()).unwrap_or(Type::UNKNOWN)
}

/// Writes rows. Columns become what was promised when the statement was prepared, where it was.
pub(super) struct Rows {
    promised: SchemaRef,
    /// As the encoder is told: JSON is text to it.
    fields: Arc<Vec<FieldInfo>>,
}

impl Rows {
    /// For rows of a schema, in the formats that were asked for.
    pub(super) fn new(promised: SchemaRef, format: &Format) -> Rows {
        let one = |(at, field): (usize, &FieldRef)| {
            let kind = match form(field.data_type()) {
                Form::Own => pg_type(field),
                Form::Json | Form::Text => Type::TEXT,
            };
            let format = if formats_fit(format, promised.fields().len()) {
                format.format_for(at)
            } else {
                FieldFormat::Text
            };
            FieldInfo::new(field.name().clone(), None, None, kind, format)
        };
        let fields = promised.fields().iter().enumerate().map(one).collect();
        Rows { promised, fields: Arc::new(fields) }
    }

    /// The rows of a batch.
    ///
    /// # Errors
    /// When a column is no longer what was promised.
    pub(super) fn of(
        &self,
        batch: &RecordBatch,
    ) -> Result<impl Iterator<Item = PgWireResult<DataRow>> + use<>, Trouble> {
        if batch.num_columns() != self.promised.fields().len() {
            return Err(changed());
        }
        let mut columns = Vec::with_capacity(batch.num_columns());
        let mut fields = Vec::with_capacity(batch.num_columns());
        for (column, promised) in batch.columns().iter().zip(self.promised.fields()) {
            let column = self.column(column, promised.data_type()).map_err(|_| changed())?;
            let field = Field::new(promised.name(), column.data_type().clone(), true);
            fields.push(field.with_metadata(promised.metadata().clone()));
            columns.push(column);
        }
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        let batch = RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &options);
        let batch = batch.map_err(|e| Trouble::new("XX000", e.to_string()))?;
        let rows = encode_recordbatch(Arc::clone(&self.fields), batch);
        Ok(rows.map(|row| row.map_err(|e| plain(e).into())))
    }

    fn column(&self, column: &ArrayRef, promised: &DataType) -> Result<ArrayRef, ArrowError> {
        let own = match promised {
            // A parameter whose type nobody knew: a text, which is what clients take it for.
            DataType::Null if *column.data_type() != DataType::Null => &DataType::Utf8,
            promised => promised,
        };
        match form(own) {
            Form::Own if column.data_type() == own => Ok(Arc::clone(column)),
            Form::Own => cast(column, own),
            Form::Json | Form::Text => {
                let text = |row| match json::value(column.as_ref(), row)? {
                    serde_json::Value::Null => Ok(None),
                    serde_json::Value::String(text) if form(own) == Form::Text => Ok(Some(text)),
                    value => Ok(Some(value.to_string())),
                };
                let texts = (0..column.len()).map(text).collect::<Result<StringArray, ArrowError>>()?;
                Ok(Arc::new(texts))
            }
        }
    }
}

fn changed() -> Trouble {
    Trouble::unsupported("the columns of this statement have changed since it was prepared; prepare it again")
}
