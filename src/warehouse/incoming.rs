//! Rows that Rust makes, as a table that SQL reads: `SELECT * FROM incoming_rows(7)`.
//!
//! In: record batches through a bounded channel. Out: a table function of DuckDB, so that one `INSERT`
//! takes all of them, without copies in between and without waiting for the last one. A number that
//! cannot be guessed names the rows, so that SQL of a person never meets them.

use std::collections::HashMap;
use std::error::Error as StdError;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use duckdb::Connection;
use duckdb::arrow::array::RecordBatch;
use duckdb::arrow::datatypes::SchemaRef;
use duckdb::core::{DataChunkHandle, LogicalTypeHandle, LogicalTypeId};
use duckdb::vtab::{
    BindInfo, InitInfo, TableFunctionInfo, VTab, record_batch_to_duckdb_data_chunk,
    to_duckdb_logical_type_for_field,
};

use crate::{Error, Result};

/// Batches that wait while others are read.
const WAITING: usize = 4;
/// Threads that may take rows: one waits for rows while another one compresses what it has.
const THREADS: u64 = 2;
/// Rows that DuckDB takes at once.
const VECTOR: usize = 2048;

/// All rows that are on their way, by number. DuckDB calls the function without telling for whom.
static INCOMING: LazyLock<Mutex<HashMap<i64, Arc<Rows>>>> = LazyLock::new(Mutex::default);

fn incoming() -> MutexGuard<'static, HashMap<i64, Arc<Rows>>> {
    INCOMING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Rows of one kind on their way.
#[derive(Debug)]
struct Rows {
    schema: SchemaRef,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// None once nobody reads any more.
    receiver: Option<Receiver<RecordBatch>>,
    /// The batch that is being handed on, and how much of it was.
    batch: Option<(RecordBatch, usize)>,
}

/// The place where rows come out; they stop when it is dropped.
pub(crate) struct Outlet {
    number: i64,
    rows: Arc<Rows>,
}

/// Makes the function known to an instance.
pub(crate) fn register(connection: &Connection) -> Result<()> {
    connection
        .register_table_function::<Function>("incoming_rows")
        .map_err(Error::duckdb("prepare for incoming rows"))
}

/// A way for rows with these columns: what is sent into it comes out in SQL.
pub(crate) fn begin(schema: SchemaRef) -> (SyncSender<RecordBatch>, Outlet) {
    let (sender, receiver) = sync_channel(WAITING);
    // Seeded by the system, anew for each.
    let number = (RandomState::new().build_hasher().finish() >> 1).cast_signed();
    let state = Mutex::new(State { receiver: Some(receiver), batch: None });
    let rows = Arc::new(Rows { schema, state });
    incoming().insert(number, rows.clone());
    (sender, Outlet { number, rows })
}

impl Outlet {
    /// SQL of the rows as a table.
    pub(crate) fn table(&self) -> String {
        format!("incoming_rows({})", self.number)
    }
}

impl Drop for Outlet {
    fn drop(&mut self) {
        incoming().remove(&self.number);
        self.rows.state.lock().unwrap_or_else(PoisonError::into_inner).receiver = None;
    }
}

/// The table function.
struct Function;

impl VTab for Function {
    type InitData = ();
    type BindData = Arc<Rows>;

    fn parameters() -> Option<Vec<LogicalTypeHandle>> {
        Some(vec![LogicalTypeHandle::from(LogicalTypeId::Bigint)])
    }

    fn bind(bind: &BindInfo) -> std::result::Result<Arc<Rows>, Box<dyn StdError>> {
        let number = bind.get_parameter(0).to_int64();
        let rows = incoming().get(&number).cloned().ok_or("no such rows are coming")?;
        for field in rows.schema.fields() {
            bind.add_result_column(field.name(), to_duckdb_logical_type_for_field(field)?);
        }
        // Nobody knows how many; a join must not keep them to look up the others.
        bind.set_cardinality(1 << 30, false);
        Ok(rows)
    }

    fn init(init: &InitInfo) -> std::result::Result<(), Box<dyn StdError>> {
        init.set_max_threads(THREADS);
        Ok(())
    }

    fn func(
        function: &TableFunctionInfo<Self>,
        output: &mut DataChunkHandle,
    ) -> std::result::Result<(), Box<dyn StdError>> {
        let rows = function.get_bind_data();
        let mut state = rows.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some((batch, taken)) = &mut state.batch
                && *taken < batch.num_rows()
            {
                let n = VECTOR.min(batch.num_rows() - *taken);
                let part = batch.slice(*taken, n);
                *taken += n;
                return record_batch_to_duckdb_data_chunk(&part, output);
            }
            let next = state.receiver.as_ref().and_then(|receiver| receiver.recv().ok());
            match next {
                Some(batch) => state.batch = Some((batch, 0)),
                None => {
                    state.batch = None;
                    output.set_len(0);
                    return Ok(());
                }
            }
        }
    }
}
