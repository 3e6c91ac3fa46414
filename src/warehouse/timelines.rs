use std::cell::RefCell;
use std::iter::Peekable;
use std::rc::Rc;
use std::sync::Arc;

use duckdb::arrow::array::{
    Array, ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use duckdb::arrow::datatypes::Schema;
use kernel::domain::{Job, Time, Value};
use kernel::expression::{quote_identifier, quote_text};
use kernel::features::{Catalog, Cell, Timelines, TimelinesBuilder};

use crate::{Error, Result, Warehouse, schema};

impl Warehouse {
    /// The timelines of all customers, with the properties and traits of a catalog.
    ///
    /// # Errors
    /// The warehouse cannot be read, or the job was canceled.
    pub fn timelines(&self, catalog: &Catalog, job: &Job) -> Result<Timelines> {
        self.timelines_where(catalog, "true", job)
    }

    /// The timeline of one customer; without events if there is no such customer.
    ///
    /// # Errors
    /// The warehouse cannot be read.
    pub fn timeline_of(&self, customer_id: &str, catalog: &Catalog) -> Result<Timelines> {
        let condition = format!("customer_id = {}", quote_text(customer_id));
        self.timelines_where(catalog, &condition, &Job::unwatched())
    }

    fn timelines_where(&self, catalog: &Catalog, condition: &str, job: &Job) -> Result<Timelines> {
        let connection = self.connect()?;
        let present = schema::properties(&connection)?;
        let interrupt = connection.interrupt_handle();
        let mut builder = TimelinesBuilder::new(catalog);
        let columns: Vec<String> = builder
            .properties()
            .map(|name| match present.iter().any(|(known, _)| known.eq_ignore_ascii_case(name)) {
                true => quote_identifier(name),
                false => "NULL::DOUBLE".to_owned(),
            })
            .collect();
        let columns: String = columns.iter().map(|column| format!(", {column}")).collect();
        let names: Vec<String> = builder.properties().map(str::to_owned).collect();
        let events = format!(
            "SELECT customer_id, event, epoch_us(event_time), epoch_us(received_at){columns}
             FROM events WHERE {condition} ORDER BY customer_id, event_time, seq"
        );
        let wanted: Vec<String> = catalog.traits.keys().map(|name| quote_text(name)).collect();
        let wanted = if wanted.is_empty() { "NULL".to_owned() } else { wanted.join(", ") };
        let traits = format!(
            "SELECT customer_id, trait, epoch_us(event_time), epoch_us(received_at),
                CAST(value AS VARCHAR)
             FROM traits WHERE {condition} AND trait IN ({wanted})
             ORDER BY customer_id, event_time, seq"
        );
        job.report("Reading timelines", 0.0);
        let built = job.interruptible(
            move || interrupt.interrupt(),
            || -> duckdb::Result<()> {
                // A result that streams holds its connection, so each has one of its own.
                let second = connection.try_clone()?;
                let mut events = connection.prepare(&events)?;
                let mut traits = second.prepare(&traits)?;
                let events = events.stream_arrow([])?;
                let traits = traits.stream_arrow([])?;
                let failed = RefCell::new(None);
                merge(
                    &mut builder,
                    &names,
                    Rows::new(events, &failed).peekable(),
                    Rows::new(traits, &failed).peekable(),
                );
                failed.into_inner().map_or(Ok(()), Err)
            },
        );
        built.map_err(Error::duckdb("read its timelines"))?;
        if job.is_canceled() { Err(Error::Canceled) } else { Ok(builder.finish()) }
    }
}

/// One row of a batch.
struct Row {
    batch: Rc<RecordBatch>,
    row: usize,
}

/// The rows of batches. They end at an error, which is kept in `failed`.
struct Rows<'f, I> {
    batches: I,
    batch: Rc<RecordBatch>,
    row: usize,
    failed: &'f RefCell<Option<duckdb::Error>>,
}

impl<'f, I> Rows<'f, I> {
    fn new(batches: I, failed: &'f RefCell<Option<duckdb::Error>>) -> Self {
        let empty = RecordBatch::new_empty(Arc::new(Schema::empty()));
        Self { batches, batch: Rc::new(empty), row: 0, failed }
    }
}

impl<I: Iterator<Item = duckdb::Result<RecordBatch>>> Iterator for Rows<'_, I> {
    type Item = Row;

    fn next(&mut self) -> Option<Row> {
        while self.row >= self.batch.num_rows() {
            match self.batches.next()? {
                Ok(batch) => self.batch = Rc::new(batch),
                Err(error) => {
                    self.failed.replace(Some(error));
                    return None;
                }
            }
            self.row = 0;
        }
        self.row += 1;
        Some(Row { batch: self.batch.clone(), row: self.row - 1 })
    }
}

impl Row {
    fn text(&self, column: usize) -> &str {
        match cell(self.batch.column(column), self.row) {
            Cell::Text(text) => text,
            _ => "",
        }
    }

    fn time(&self, column: usize) -> Time {
        match self.batch.column(column).as_any().downcast_ref::<Int64Array>() {
            Some(micros) => Time(micros.value(self.row)),
            None => Time(0),
        }
    }

    fn cell(&self, column: usize) -> Cell<'_> {
        cell(self.batch.column(column), self.row)
    }
}

/// The value of an Arrow array as the kernel takes it.
fn cell(array: &ArrayRef, row: usize) -> Cell<'_> {
    if array.is_null(row) {
        return Cell::Null;
    }
    let array = array.as_any();
    if let Some(numbers) = array.downcast_ref::<Float64Array>() {
        Cell::Number(numbers.value(row))
    } else if let Some(texts) = array.downcast_ref::<StringArray>() {
        Cell::Text(texts.value(row))
    } else if let Some(booleans) = array.downcast_ref::<BooleanArray>() {
        Cell::Boolean(booleans.value(row))
    } else if let Some(times) = array.downcast_ref::<TimestampMicrosecondArray>() {
        Cell::Time(Time(times.value(row)))
    } else {
        Cell::Null
    }
}

/// Feeds a builder from events and trait changes, both in customer order. DuckDB orders text by its
/// bytes, as Rust does.
fn merge(
    builder: &mut TimelinesBuilder,
    names: &[String],
    mut events: Peekable<impl Iterator<Item = Row>>,
    mut traits: Peekable<impl Iterator<Item = Row>>,
) {
    loop {
        let customer = match (events.peek(), traits.peek()) {
            (Some(event), Some(change)) => event.text(0).min(change.text(0)).to_owned(),
            (Some(row), None) | (None, Some(row)) => row.text(0).to_owned(),
            (None, None) => return,
        };
        builder.begin_customer(&customer);
        while let Some(event) = events.next_if(|row| row.text(0) == customer) {
            let mut index = 4;
            builder.event(event.text(1), event.time(2), event.time(3), |name| {
                // Asked in the order of the names, so the place is known without a search.
                debug_assert_eq!(names.get(index - 4).map(String::as_str), Some(name));
                index += 1;
                event.cell(index - 1)
            });
        }
        while let Some(change) = traits.next_if(|row| row.text(0) == customer) {
            let value = serde_json::from_str::<Value>(change.text(4)).unwrap_or_default();
            builder.trait_change(
                change.text(1),
                change.time(2),
                change.time(3),
                Cell::from(&value),
            );
        }
    }
}
