//! Rows of an answer as JSON: numbers, texts, moments in RFC 3339, lists, maps; bytes in hexadecimal.

use datafusion::arrow::array::{Array, AsArray as _, RecordBatch};
use datafusion::arrow::datatypes::{
    DataType, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, TimeUnit,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType,
    UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use ontology::Time;
use serde_json::{Map, Value as Json};
use std::fmt::Write as _;

/// Puts the rows of a batch behind others.
pub(crate) fn rows(batch: &RecordBatch, to: &mut Vec<Vec<Json>>) -> Result<(), ArrowError> {
    for row in 0..batch.num_rows() {
        to.push(batch.columns().iter().map(|c| value(c.as_ref(), row)).collect::<Result<_, _>>()?);
    }
    Ok(())
}

fn hex(bytes: &[u8]) -> Json {
    let text = bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, b| {
        let _ = write!(text, "{b:02x}");
        text
    });
    text.into()
}

fn moment(nanos: i64) -> Json {
    Time::EPOCH.plus_nanos(nanos).to_string().into()
}

fn list(items: &dyn Array) -> Result<Json, ArrowError> {
    (0..items.len()).map(|i| value(items, i)).collect::<Result<Vec<_>, _>>().map(Json::Array)
}

/// One value.
pub(crate) fn value(array: &dyn Array, row: usize) -> Result<Json, ArrowError> {
    if array.is_null(row) {
        return Ok(Json::Null);
    }
    Ok(match array.data_type() {
        DataType::Null => Json::Null,
        DataType::Boolean => array.as_boolean().value(row).into(),
        DataType::Int8 => array.as_primitive::<Int8Type>().value(row).into(),
        DataType::Int16 => array.as_primitive::<Int16Type>().value(row).into(),
        DataType::Int32 => array.as_primitive::<Int32Type>().value(row).into(),
        DataType::Int64 => array.as_primitive::<Int64Type>().value(row).into(),
        DataType::UInt8 => array.as_primitive::<UInt8Type>().value(row).into(),
        DataType::UInt16 => array.as_primitive::<UInt16Type>().value(row).into(),
        DataType::UInt32 => array.as_primitive::<UInt32Type>().value(row).into(),
        DataType::UInt64 => array.as_primitive::<UInt64Type>().value(row).into(),
        DataType::Float32 => f64::from(array.as_primitive::<Float32Type>().value(row)).into(),
        // What is no number is null: JSON has none of the others.
        DataType::Float64 => array.as_primitive::<Float64Type>().value(row).into(),
        DataType::Utf8 => array.as_string::<i32>().value(row).into(),
        DataType::LargeUtf8 => array.as_string::<i64>().value(row).into(),
        DataType::Utf8View => array.as_string_view().value(row).into(),
        DataType::Binary => hex(array.as_binary::<i32>().value(row)),
        DataType::LargeBinary => hex(array.as_binary::<i64>().value(row)),
        DataType::BinaryView => hex(array.as_binary_view().value(row)),
        DataType::Timestamp(TimeUnit::Second, _) => {
            moment(array.as_primitive::<TimestampSecondType>().value(row).saturating_mul(1_000_000_000))
        }
        DataType::Timestamp(TimeUnit::Millisecond, _) => {
            moment(array.as_primitive::<TimestampMillisecondType>().value(row).saturating_mul(1_000_000))
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            moment(array.as_primitive::<TimestampMicrosecondType>().value(row).saturating_mul(1_000))
        }
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            moment(array.as_primitive::<TimestampNanosecondType>().value(row))
        }
        DataType::List(_) => list(array.as_list::<i32>().value(row).as_ref())?,
        DataType::LargeList(_) => list(array.as_list::<i64>().value(row).as_ref())?,
        DataType::Map(_, _) => {
            let pairs = array.as_map().value(row);
            let (keys, values) = (pairs.column(0), pairs.column(1));
            let mut map = Map::new();
            for i in 0..pairs.len() {
                let key = value(keys.as_ref(), i)?;
                map.insert(
                    key.as_str().map_or_else(|| key.to_string(), str::to_owned),
                    value(values.as_ref(), i)?,
                );
            }
            Json::Object(map)
        }
        DataType::Struct(fields) => {
            let mut map = Map::new();
            for (field, column) in fields.iter().zip(array.as_struct().columns()) {
                map.insert(field.name().clone(), value(column.as_ref(), row)?);
            }
            Json::Object(map)
        }
        // Days, decimals, lengths of time, dictionaries: as SQL prints them.
        _ => ArrayFormatter::try_new(array, &FormatOptions::default())?.value(row).to_string().into(),
    })
}
