//! One data file: written batch by batch, read back batch by batch.

use crate::delta::world;
use crate::error::{HistoryError, first_line};
use crate::format::{BATCH_ROWS, GROUP_ROWS};
use crate::place::Place;
use crate::stats_json::FileStats;
use crate::table::Table;
use arrow::array::{Array as _, ArrayRef, RecordBatch, RecordBatchOptions, new_null_array};
use arrow::compute::cast;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use futures::{FutureExt as _, StreamExt as _, TryStreamExt as _};
use object_store::buffered::BufWriter;
use object_store::{ObjectStore, ObjectStoreExt as _, path::Path};
use parquet::arrow::arrow_reader::ArrowReaderOptions;
use parquet::arrow::async_reader::AsyncFileReader;
use parquet::arrow::{AsyncArrowWriter, ParquetRecordBatchStreamBuilder};
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use std::ops::Range;
use std::sync::Arc;

/// Bytes of a row group in memory, beyond which it is ended although it has fewer rows.
const GROUP_BYTES: usize = 96 << 20;
/// Level 3 is zstd's own default: on these tables level 9 was 6 % smaller and took three times as long.
const ZSTD_LEVEL: i32 = 3;

/// How files are written.
pub(crate) fn properties() -> Result<WriterProperties, ParquetError> {
    Ok(WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(ZSTD_LEVEL)?))
        .set_max_row_group_row_count(Some(GROUP_ROWS))
        .set_statistics_enabled(EnabledStatistics::Page)
        .build())
}

/// A file that is being written.
pub(crate) struct Output {
    table: Table,
    place: Place,
    path: String,
    schema: SchemaRef,
    writer: AsyncArrowWriter<BufWriter>,
    stats: FileStats,
}

impl Output {
    pub(crate) fn begin(
        place: &Place,
        table: Table,
        path: String,
        schema: &SchemaRef,
    ) -> Result<Output, HistoryError> {
        let failed = |e: &ParquetError| world("writing a file", place, table, e);
        let to = BufWriter::new(place.store(table), Path::from(path.as_str()));
        let properties = properties().map_err(|e| failed(&e))?;
        let writer =
            AsyncArrowWriter::try_new(to, Arc::clone(schema), Some(properties)).map_err(|e| failed(&e))?;
        Ok(Output {
            table,
            place: place.clone(),
            path,
            schema: Arc::clone(schema),
            writer,
            stats: FileStats::default(),
        })
    }

    pub(crate) async fn add(&mut self, batch: &RecordBatch) -> Result<(), HistoryError> {
        let batch =
            conform(batch, &self.schema).map_err(|e| HistoryError::rows(self.table, first_line(e)))?;
        self.stats.add(&batch);
        self.writer.write(&batch).await.map_err(|e| self.failed(&e))?;
        if self.writer.in_progress_size() > GROUP_BYTES {
            self.end_group().await?;
        }
        Ok(())
    }

    /// What comes next stands in a row group of its own.
    pub(crate) async fn end_group(&mut self) -> Result<(), HistoryError> {
        self.writer.flush().await.map_err(|e| self.failed(&e))
    }

    /// Ends the file: its size and what its commit tells of it.
    pub(crate) async fn end(mut self) -> Result<(u64, FileStats), HistoryError> {
        self.writer.finish().await.map_err(|e| self.failed(&e))?;
        let size = self.writer.bytes_written() as u64;
        if let Some(path) = self.place.local(self.table, &self.path) {
            // Before the commit that names it.
            let synced = std::fs::File::open(&path).and_then(|f| f.sync_all());
            synced.map_err(|e| world("flushing a file", &self.place, self.table, &e))?;
        }
        Ok((size, self.stats))
    }

    fn failed(&self, e: &ParquetError) -> HistoryError {
        world("writing a file", &self.place, self.table, e)
    }
}

/// A batch with the columns of a schema: those it lacks are null, those it has beyond are left out.
pub(crate) fn conform(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    if batch.schema_ref().fields() == schema.fields() {
        return Ok(batch.clone());
    }
    let column = |field: &arrow::datatypes::FieldRef| -> Result<ArrayRef, ArrowError> {
        match batch.column_by_name(field.name()) {
            Some(array) if array.data_type() == field.data_type() => Ok(Arc::clone(array)),
            Some(array) => cast(array, field.data_type()),
            None => Ok(new_null_array(field.data_type(), batch.num_rows())),
        }
    };
    let arrays = schema.fields().iter().map(column).collect::<Result<Vec<_>, _>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::clone(schema), arrays, &options)
}

/// Reads a file of a store.
struct Source {
    store: Arc<dyn ObjectStore>,
    path: Path,
    size: u64,
}

impl AsyncFileReader for Source {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, Result<Bytes, ParquetError>> {
        let read = async { self.store.get_range(&self.path, range).await };
        read.map(|r| r.map_err(|e| ParquetError::External(Box::new(e)))).boxed()
    }

    fn get_metadata<'a>(
        &'a mut self,
        _: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, Result<Arc<ParquetMetaData>, ParquetError>> {
        let size = self.size;
        async move { ParquetMetaDataReader::new().load_and_finish(self, size).await.map(Arc::new) }.boxed()
    }
}

/// The rows of a file, with the columns of a schema.
pub(crate) async fn read(
    place: &Place,
    table: Table,
    (path, size): (&str, u64),
    schema: &SchemaRef,
) -> Result<BoxStream<'static, Result<RecordBatch, HistoryError>>, HistoryError> {
    let (_, rows) = read_as_written(place, table, (path, size)).await?;
    let schema = Arc::clone(schema);
    let conformed = move |batch: RecordBatch| {
        let conformed = conform(&batch, &schema).map_err(|e| HistoryError::rows(table, first_line(e)));
        futures::future::ready(conformed)
    };
    Ok(rows.and_then(conformed).boxed())
}

/// Rows of a file with the columns that it has.
pub(crate) async fn read_as_written(
    place: &Place,
    table: Table,
    (path, size): (&str, u64),
) -> Result<(SchemaRef, BoxStream<'static, Result<RecordBatch, HistoryError>>), HistoryError> {
    let (store, place) = (place.store(table), place.clone());
    let named = path.to_owned();
    let failed =
        move |e: ParquetError| world("reading a file", &place, table, &format!("{named}: {}", first_line(e)));
    // As the log names it: encoded characters are part of the name.
    let path = Path::parse(path).unwrap_or_else(|_| Path::from(path));
    let source = Source { store, path, size };
    let builder = ParquetRecordBatchStreamBuilder::new(source).await.map_err(&failed)?;
    let schema = Arc::clone(builder.schema());
    let rows = builder.with_batch_size(BATCH_ROWS).build().map_err(&failed)?;
    Ok((schema, rows.map_err(failed).boxed()))
}
