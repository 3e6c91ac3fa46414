use duckdb::Connection;
use duckdb::arrow::array::RecordBatch;
use kernel::domain::{Job, Time, Value};
use kernel::expression::{quote_identifier, quote_text};
use kernel::features::{Catalog, Cell, EventRun, TimelinesBuilder};

use crate::arrow::{Texts, Values, micros};
use crate::{Error, Result, schema};

/// Adds the events and trait changes that pass a condition to a builder, in the order of the warehouse.
pub(crate) fn read_into(
    builder: &mut TimelinesBuilder,
    connection: &Connection,
    catalog: &Catalog,
    condition: &str,
    job: &Job,
) -> Result<()> {
    let failed = || Error::duckdb("read its timelines");
    let present = schema::properties(connection)?;
    let columns: Vec<String> = builder
        .properties()
        .map(|name| match present.iter().any(|(known, _)| known.eq_ignore_ascii_case(name)) {
            true => format!(", {}", quote_identifier(name)),
            false => ", NULL::DOUBLE".to_owned(),
        })
        .collect();
    let total: usize = connection
        .query_row(&format!("SELECT count(*) FROM events WHERE {condition}"), [], |row| row.get(0))
        .map_err(failed())?;
    let events = format!(
        "SELECT customer_id, event, event_time, received_at, seq{} FROM events WHERE {condition}",
        columns.concat()
    );
    let interrupt = connection.interrupt_handle();
    let start = builder.n_events();
    let read = job.interruptible(
        move || interrupt.interrupt(),
        || -> duckdb::Result<()> {
            let mut statement = connection.prepare(&events)?;
            for batch in statement.stream_arrow([])? {
                add_events(builder, &batch?);
                #[allow(clippy::cast_precision_loss, reason = "progress for people")]
                let share = (builder.n_events() - start) as f32 / total.max(1) as f32;
                job.report("Reading timelines", share);
            }
            Ok(())
        },
    );
    if job.is_canceled() {
        return Err(Error::Canceled);
    }
    read.map_err(failed())?;
    read_changes(builder, connection, catalog, condition, job)
}

/// Adds the trait changes that pass a condition to a builder.
pub(super) fn read_changes(
    builder: &mut TimelinesBuilder,
    connection: &Connection,
    catalog: &Catalog,
    condition: &str,
    job: &Job,
) -> Result<()> {
    if catalog.traits.is_empty() {
        return Ok(());
    }
    let wanted: Vec<String> = catalog.traits.keys().map(|name| quote_text(name)).collect();
    let sql = format!(
        "SELECT customer_id, trait, event_time, received_at, seq, CAST(value AS VARCHAR)
         FROM traits WHERE {condition} AND trait IN ({})",
        wanted.join(", ")
    );
    let interrupt = connection.interrupt_handle();
    let read = job.interruptible(
        move || interrupt.interrupt(),
        || -> duckdb::Result<()> {
            let mut statement = connection.prepare(&sql)?;
            for batch in statement.stream_arrow([])? {
                add_changes(builder, &batch?);
            }
            Ok(())
        },
    );
    read.map_err(Error::duckdb("read its traits"))
}

fn add_events(builder: &mut TimelinesBuilder, batch: &RecordBatch) {
    let customers = Texts::of(batch.column(0));
    let events = Texts::of(batch.column(1));
    let run = EventRun {
        n_rows: batch.num_rows(),
        customer: &|row| customers.text(row),
        event: &|row| events.text(row),
        times: micros(batch.column(2)),
        received: micros(batch.column(3)),
        seqs: micros(batch.column(4)),
    };
    let properties: Vec<Option<Values<'_>>> =
        batch.columns().iter().skip(5).map(Values::unless_null).collect();
    builder.events(&run, |place| {
        let values = properties[place].as_ref()?;
        Some(|row| values.cell(row))
    });
}

fn add_changes(builder: &mut TimelinesBuilder, batch: &RecordBatch) {
    let (customers, traits) = (Texts::of(batch.column(0)), Texts::of(batch.column(1)));
    let (times, received) = (micros(batch.column(2)), micros(batch.column(3)));
    let seqs = micros(batch.column(4));
    let values = Texts::of(batch.column(5));
    for row in 0..batch.num_rows() {
        let value = serde_json::from_str::<Value>(values.text(row)).unwrap_or_default();
        let when = (Time(times[row]), Time(received[row]), seqs[row].cast_unsigned());
        builder.trait_change(customers.text(row), traits.text(row), when, Cell::from(&value));
    }
}
