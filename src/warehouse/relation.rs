use std::sync::Arc;

use duckdb::Connection;
use duckdb::arrow::array::{
    ArrayRef, BooleanArray, Float64Array, Int64Array, ListArray, MapArray, RecordBatch,
    StringArray, StructArray, TimestampMicrosecondArray,
};
use duckdb::arrow::buffer::{NullBuffer, OffsetBuffer};
use duckdb::arrow::datatypes::{DataType, Field, Fields, Schema, TimeUnit};
use duckdb::arrow::error::ArrowError;
use kernel::domain::{Job, Name, Time, Type};
use kernel::expression::quote_identifier;
use kernel::features::Column;

use crate::{Error, Result, Warehouse};

/// Columns of equal length, named: what is written to a file, or kept as a table.
#[derive(Clone, Debug, Default)]
pub struct Relation {
    /// Names and values.
    pub columns: Vec<(String, Column)>,
}

/// Rows that go to DuckDB at once.
const BATCH: usize = 64 * 1024;

impl Relation {
    /// The number of rows.
    #[must_use]
    pub fn n_rows(&self) -> usize {
        self.columns.first().map_or(0, |(_, column)| column.len())
    }

    /// The first columns of every view and training set: who and when.
    #[must_use]
    pub fn of_rows<'a>(
        customers: impl Iterator<Item = &'a str>,
        times: impl Iterator<Item = Time>,
    ) -> Self {
        Self::default().with_texts("customer_id", customers).with_times("as_of", times)
    }

    /// Adds a column of texts.
    #[must_use]
    pub fn with_texts<'a>(self, name: &str, texts: impl Iterator<Item = &'a str>) -> Self {
        let mut column = Column::new(Type::Text);
        for text in texts {
            column.push(kernel::features::Cell::Text(text));
        }
        self.with_column(name, column)
    }

    /// Adds a column of times.
    #[must_use]
    pub fn with_times(self, name: &str, times: impl Iterator<Item = Time>) -> Self {
        self.with_column(name, Column::Time(times.map(|time| time.0).collect()))
    }

    /// Adds a column.
    #[must_use]
    pub fn with_column(mut self, name: &str, column: Column) -> Self {
        self.columns.push((name.to_owned(), column));
        self
    }

    /// The columns as SQL declares them.
    pub(crate) fn declaration(&self) -> String {
        let columns = self
            .columns
            .iter()
            .map(|(name, column)| format!("{} {}", quote_identifier(name), column.type_of().sql()));
        columns.collect::<Vec<_>>().join(", ")
    }

    /// Appends the rows to a table with these columns.
    pub(crate) fn append_to(
        &self,
        connection: &Connection,
        (schema, table): (&str, &str),
        job: &Job,
    ) -> Result<()> {
        let failed = || Error::duckdb("write a table");
        let mut appender = connection.appender_to_db(table, schema).map_err(failed())?;
        let fields = self
            .columns
            .iter()
            .map(|(name, column)| Field::new(name, data_type(column.type_of()), true));
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let n = self.n_rows();
        for start in (0..n).step_by(BATCH) {
            if job.is_canceled() {
                return Err(Error::Canceled);
            }
            let places: Vec<u32> =
                (start..n.min(start + BATCH)).filter_map(|row| u32::try_from(row).ok()).collect();
            let arrays: std::result::Result<Vec<ArrayRef>, ArrowError> =
                self.columns.iter().map(|(_, column)| array(column, &places)).collect();
            let batch = arrays.and_then(|arrays| RecordBatch::try_new(schema.clone(), arrays));
            let batch = batch.map_err(|error| Error::Table(error.to_string()))?;
            appender.append_record_batch(batch).map_err(failed())?;
        }
        appender.flush().map_err(failed())
    }
}

impl Warehouse {
    /// Keeps a relation as the table `schema.name`, in place of what was there.
    ///
    /// # Errors
    /// The warehouse cannot be written, or the job was canceled.
    pub fn keep(&self, relation: &Relation, schema: &str, name: &Name, job: &Job) -> Result<()> {
        self.transaction(job, |connection| {
            let table = format!("{}.{}", quote_identifier(schema), quote_identifier(name.as_str()));
            let sql = format!(
                "CREATE SCHEMA IF NOT EXISTS {}; CREATE OR REPLACE TABLE {table} ({})",
                quote_identifier(schema),
                relation.declaration()
            );
            connection.execute_batch(&sql).map_err(Error::duckdb("make a table"))?;
            relation.append_to(connection, (schema, name.as_str()), job)
        })
    }
}

/// The type of an Arrow array with values of a type.
pub(crate) fn data_type(type_: Type) -> DataType {
    match type_ {
        Type::Boolean => DataType::Boolean,
        Type::Number => DataType::Float64,
        Type::Text => DataType::Utf8,
        Type::Time => DataType::Timestamp(TimeUnit::Microsecond, None),
        Type::List(element) => DataType::List(item(element.into())),
        Type::Counts(element) => DataType::Map(entry(element.into()), false),
    }
}

fn item(type_: Type) -> Arc<Field> {
    Arc::new(Field::new("item", data_type(type_), true))
}

fn entry_fields(type_: Type) -> Fields {
    Fields::from(vec![
        Field::new("key", data_type(type_), false),
        Field::new("value", DataType::Int64, false),
    ])
}

fn entry(type_: Type) -> Arc<Field> {
    Arc::new(Field::new("entries", DataType::Struct(entry_fields(type_)), false))
}

/// The values at places as an Arrow array.
fn array(column: &Column, places: &[u32]) -> std::result::Result<ArrayRef, ArrowError> {
    let rows = || places.iter().map(|place| *place as usize);
    Ok(match column {
        Column::Boolean(values) => Arc::new(BooleanArray::from_iter(
            rows().map(|row| (values[row] != 2).then_some(values[row] == 1)),
        )),
        Column::Number(values) => Arc::new(Float64Array::from_iter(
            rows().map(|row| (!values[row].is_nan()).then_some(values[row])),
        )),
        Column::Text(texts) => {
            Arc::new(StringArray::from_iter(rows().map(|row| texts.get(row).map(AsRef::as_ref))))
        }
        Column::Time(values) => Arc::new(TimestampMicrosecondArray::from_iter(
            rows().map(|row| (values[row] != Column::NO_TIME).then_some(values[row])),
        )),
        Column::List(ends, values) => {
            let (inner, offsets, nulls) = nested(ends, places);
            let values_array = array(values, &inner)?;
            Arc::new(ListArray::try_new(item(values.type_of()), offsets, values_array, nulls)?)
        }
        Column::Counts(ends, values, counts) => {
            let (inner, offsets, nulls) = nested(ends, places);
            let count = |place: &u32| i64::try_from(counts[*place as usize]).unwrap_or(i64::MAX);
            let counts = Int64Array::from_iter_values(inner.iter().map(count));
            let type_ = values.type_of();
            let arrays = vec![array(values, &inner)?, Arc::new(counts) as ArrayRef];
            let entries = StructArray::try_new(entry_fields(type_), arrays, None)?;
            Arc::new(MapArray::try_new(entry(type_), offsets, entries, nulls, false)?)
        }
    })
}

/// The inner places of rows that have several values each, where they begin, and which rows are null.
fn nested(ends: &[usize], places: &[u32]) -> (Vec<u32>, OffsetBuffer<i32>, Option<NullBuffer>) {
    let mut inner = Vec::new();
    let mut lengths = Vec::with_capacity(places.len());
    for place in places {
        let row = *place as usize;
        let start = row.checked_sub(1).map_or(0, |before| ends[before]);
        inner.extend((start..ends[row]).filter_map(|at| u32::try_from(at).ok()));
        lengths.push(ends[row] - start);
    }
    let nulls = NullBuffer::from(lengths.iter().map(|length| *length > 0).collect::<Vec<_>>());
    (inner, OffsetBuffer::from_lengths(lengths), Some(nulls))
}
