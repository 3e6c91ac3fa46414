//! Changing the type of a property on purpose: its values and misfits are read again.

use std::sync::Arc;

use duckdb::Connection;
use duckdb::arrow::array::{
    Array, ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use duckdb::arrow::datatypes::{DataType, Field, Schema};
use kernel::domain::{Cell, Job, PropertyType, PropertyTypes, Type, Value, did_you_mean};
use kernel::expression::quote_identifier;
use serde::Serialize;

use crate::arrow::{Texts, Values};
use crate::message_id::MessageId;
use crate::misfits::{self, Original};
use crate::relation::data_type;
use crate::{Error, Result, Warehouse, schema};

/// What a change of a type did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Retyped {
    /// The property or trait.
    pub property: String,
    /// Its type before.
    pub was: Type,
    /// Its type now.
    pub is: Type,
    /// Values that fit now.
    pub values: u64,
    /// Values that do not fit now; they are in `misfits`.
    pub misfits: u64,
}

/// Rows that are read at once.
const PAGE: i64 = 200_000;

impl Warehouse {
    /// Gives a property, or a trait, another type, and reads its values and misfits again.
    ///
    /// # Errors
    /// There is no such property, the warehouse cannot be written, or the job was canceled; then nothing
    /// changed.
    pub fn retype(
        &self,
        property: &str,
        type_: Type,
        is_trait: bool,
        job: &Job,
    ) -> Result<Retyped> {
        self.transaction_with_types(job, |connection, types| {
            let known = match is_trait {
                true => types.trait_type(property).map(|was| (property.to_owned(), was)),
                false => types.property(property).map(|(name, was)| (name.to_owned(), was)),
            };
            let Some((name, was)) = known else { return Err(unknown(property, is_trait, types)) };
            let to = PropertyType::chosen(type_);
            let (values, misfits) = match is_trait {
                true => retype_trait(connection, types, &name, to)?,
                false => retype_property(connection, types, &name, to, job)?,
            };
            Ok(Retyped { property: name, was: was.type_of(), is: type_, values, misfits })
        })
    }

    /// The number of misfits.
    ///
    /// # Errors
    /// The warehouse cannot be read.
    pub fn n_misfits(&self) -> Result<u64> {
        let count = "SELECT count(*) FROM misfits";
        let connection = self.connect()?;
        connection.query_row(count, [], |row| row.get(0)).map_err(Error::duckdb("count misfits"))
    }
}

fn unknown(name: &str, is_trait: bool, types: &PropertyTypes) -> Error {
    let (what, known) = match is_trait {
        true => ("trait", &types.traits),
        false => ("property", &types.properties),
    };
    let suggestion = did_you_mean(name, known.keys().map(String::as_str));
    let kept = if types.traits.contains_key(name) && !is_trait {
        "; it is a trait: add --trait"
    } else {
        ""
    };
    Error::Mapping(format!("there is no {what} '{name}' that has a type{suggestion}{kept}"))
}

/// Changes the type of a property; gives how many values fit and how many do not.
pub(crate) fn retype_property(
    connection: &Connection,
    types: &mut PropertyTypes,
    property: &str,
    to: PropertyType,
    job: &Job,
) -> Result<(u64, u64)> {
    types.properties.insert(property.to_owned(), to);
    let present = schema::properties(connection)?;
    if !present.iter().any(|(name, _)| name == property) {
        return Ok((0, 0));
    }
    let (values, originals) = read_again(connection, property, to, job)?;
    replace_column(connection, property, to.type_of()).map_err(Error::duckdb("change a type"))?;
    schema::create_views(connection)?;
    let misfits = replace_originals(connection, property, false, &originals)?;
    Ok((values, misfits))
}

fn replace_originals(
    connection: &Connection,
    property: &str,
    is_trait: bool,
    originals: &[Original],
) -> Result<u64> {
    connection
        .execute(
            "DELETE FROM stored_originals WHERE property = ? AND is_trait = ?",
            duckdb::params![property, is_trait],
        )
        .map_err(Error::duckdb("read misfits again"))?;
    let misfits = misfits::keep(connection, originals, "true")?;
    // What is kept of it elsewhere, in memory and in a file, is of another warehouse then.
    connection
        .execute_batch("UPDATE warehouse SET id = CAST(uuid() AS VARCHAR)")
        .map_err(Error::duckdb("change a type"))?;
    Ok(misfits)
}

/// Reads all values of a property as a type, into the table `retyped`.
fn read_again(
    connection: &Connection,
    property: &str,
    to: PropertyType,
    job: &Job,
) -> Result<(u64, Vec<Original>)> {
    let failed = || Error::duckdb("read a property again");
    let column = quote_identifier(property);
    connection
        .execute_batch(&format!(
            "CREATE OR REPLACE TEMP TABLE retyped (place BIGINT, value {});
             CREATE OR REPLACE TEMP TABLE known_originals (place BIGINT, original VARCHAR);",
            to.type_of().sql()
        ))
        .map_err(failed())?;
    for id in ["message_uuid", "message_id"] {
        connection
            .execute(
                &format!(
                    "INSERT INTO known_originals SELECT e.rowid, o.original
                     FROM stored_originals o JOIN stored_events e ON o.{id} = e.{id}
                     WHERE o.property = ? AND NOT o.is_trait"
                ),
                [property],
            )
            .map_err(failed())?;
    }
    let end: i64 = connection
        .query_row("SELECT coalesce(max(rowid), -1) + 1 FROM stored_events", [], |row| row.get(0))
        .map_err(failed())?;
    let (mut values, mut originals) = (0, Vec::new());
    let mut from = 0;
    while from < end {
        if job.is_canceled() {
            return Err(Error::Canceled);
        }
        let sql = format!(
            "SELECT e.rowid, coalesce(e.message_id, CAST(e.message_uuid AS VARCHAR)), e.{column}, o.original
             FROM stored_events e LEFT JOIN known_originals o ON o.place = e.rowid
             WHERE e.rowid >= {from} AND e.rowid < {from} + {PAGE}
                AND (e.{column} IS NOT NULL OR o.original IS NOT NULL)"
        );
        let read = || {
            let mut statement = connection.prepare(&sql)?;
            Ok::<Vec<RecordBatch>, duckdb::Error>(statement.query_arrow([])?.collect())
        };
        let batches = read().map_err(failed())?;
        let mut appender = connection.appender("retyped").map_err(failed())?;
        for batch in &batches {
            let (places, typed) = read_batch(batch, property, to, &mut originals);
            values += (typed.len() - typed.null_count()) as u64;
            appender.append_record_batch(retyped_batch(places, typed, to)?).map_err(failed())?;
        }
        appender.flush().map_err(failed())?;
        from += PAGE;
        #[allow(clippy::cast_precision_loss, reason = "progress for people")]
        job.report(format!("Reading '{property}' again"), (from as f32 / end as f32).min(1.0));
    }
    Ok((values, originals))
}

/// Reads a batch of places, ids, values and originals.
fn read_batch(
    batch: &RecordBatch,
    property: &str,
    to: PropertyType,
    originals: &mut Vec<Original>,
) -> (ArrayRef, ArrayRef) {
    let ids = Texts::of(batch.column(1));
    let (column, spelled) = (Values::of(batch.column(2)), Values::of(batch.column(3)));
    let values = (0..batch.num_rows()).map(|row| {
        let value = match spelled.cell(row) {
            Cell::Null => Value::from(column.cell(row)),
            original => Value::from(original),
        };
        let (value, lost) = misfits::read(&value, to);
        if let Some((text, reason)) = lost {
            originals.push(Original {
                message: MessageId::of(ids.text(row)),
                seq: 0,
                property: property.to_owned(),
                is_trait: false,
                text,
                reason,
            });
        }
        value
    });
    let values: Vec<Value> = values.collect();
    (batch.column(0).clone(), array_of(&values, to.type_of()))
}

fn retyped_batch(places: ArrayRef, values: ArrayRef, to: PropertyType) -> Result<RecordBatch> {
    let fields = [
        Field::new("place", DataType::Int64, false),
        Field::new("value", data_type(to.type_of()), true),
    ];
    let schema = Arc::new(Schema::new(fields.to_vec()));
    let batch = RecordBatch::try_new(schema, vec![places, values]);
    batch.map_err(|error| Error::Table(error.to_string()))
}

/// Values that have a type, or are null, as an array.
fn array_of(values: &[Value], type_: Type) -> ArrayRef {
    let values = values.iter();
    match type_ {
        Type::Number => Arc::new(values.map(Value::as_number).collect::<Float64Array>()),
        Type::Boolean => {
            let boolean = |value: &Value| match value {
                Value::Boolean(boolean) => Some(*boolean),
                _ => None,
            };
            Arc::new(values.map(boolean).collect::<BooleanArray>())
        }
        Type::Time => {
            let micros = |value: &Value| match value {
                Value::Time(time) => Some(time.0),
                _ => None,
            };
            Arc::new(values.map(micros).collect::<TimestampMicrosecondArray>())
        }
        Type::Text | Type::List(_) | Type::Counts(_) => {
            let text = |value: &Value| match value {
                Value::Text(text) => Some(text.to_string()),
                _ => None,
            };
            Arc::new(values.map(text).collect::<StringArray>())
        }
    }
}

/// Replaces a column of the events by the table `retyped`.
fn replace_column(connection: &Connection, property: &str, to: Type) -> duckdb::Result<()> {
    let column = quote_identifier(property);
    // Each statement is bound when the one before it was run.
    for sql in [
        "DROP VIEW IF EXISTS customers".to_owned(),
        "DROP VIEW IF EXISTS events".to_owned(),
        format!("ALTER TABLE stored_events DROP COLUMN {column}"),
        format!("ALTER TABLE stored_events ADD COLUMN {column} {}", to.sql()),
        format!(
            "UPDATE stored_events SET {column} = r.value FROM retyped r
             WHERE stored_events.rowid = r.place AND r.value IS NOT NULL"
        ),
        "DROP TABLE retyped".to_owned(),
        "DROP TABLE known_originals".to_owned(),
    ] {
        connection.execute_batch(&sql)?;
    }
    Ok(())
}

/// Changes the type of a trait, whose values are kept as they came.
pub(crate) fn retype_trait(
    connection: &Connection,
    types: &mut PropertyTypes,
    name: &str,
    to: PropertyType,
) -> Result<(u64, u64)> {
    types.traits.insert(name.to_owned(), to);
    let read = || {
        let mut statement = connection.prepare(
            "SELECT message_id, seq, CAST(value AS VARCHAR) FROM traits WHERE trait = ?",
        )?;
        Ok::<Vec<RecordBatch>, duckdb::Error>(statement.query_arrow([name])?.collect())
    };
    let batches = read().map_err(Error::duckdb("read a trait again"))?;
    let (mut values, mut originals) = (0, Vec::new());
    for batch in &batches {
        let (ids, json) = (Texts::of(batch.column(0)), Texts::of(batch.column(2)));
        let seqs = batch.column(1).as_any().downcast_ref::<Int64Array>();
        for row in 0..batch.num_rows() {
            let value = serde_json::from_str::<Value>(json.text(row)).unwrap_or_default();
            let (value, lost) = misfits::read(&value, to);
            values += u64::from(!value.is_null());
            // A trait keeps its spelling.
            if let Some((text, reason @ Some(_))) = lost {
                originals.push(Original {
                    message: MessageId::of(ids.text(row)),
                    seq: seqs.map_or(0, |seqs| seqs.value(row)),
                    property: name.to_owned(),
                    is_trait: true,
                    text,
                    reason,
                });
            }
        }
    }
    let misfits = replace_originals(connection, name, true, &originals)?;
    Ok((values, misfits))
}
