use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Instant;

use duckdb::Connection;
use duckdb::arrow::array::{
    ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use duckdb::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use duckdb::arrow::error::ArrowError;
use kernel::domain::{Job, PropertyType, PropertyTypes, Type, Value};
use kernel::expression::quote_identifier;
use kernel::features::EventRun;

use super::check::{Checked, Checker};
use super::facts::RawValues;
use super::joins::Joins;
use super::read::{Columns, Rows, Stop};
use super::source::Source;
use super::typed::{Misfit, type_in};
use super::{ImportReport, Proposal, REPORTED_REJECTS, Reject, RowKind};
use crate::incoming::Outlet;
use crate::misfits::{self, Original};
use crate::relation::data_type;
use crate::schema::LIVE_SEQ;
use crate::timelines::Growing;
use crate::{Error, Result, Warehouse, incoming, message_id, own_ids, retype, schema};

/// How much of an import is done when all rows are read.
const ALL_READ: f32 = 0.9;

/// Where rows go, and how.
#[derive(Clone)]
struct Target {
    kind: RowKind,
    /// The table that rows are appended to: the warehouse's own where it has none, else one beside it.
    table: &'static str,
    /// Properties as they are named, and as the table has them: the column and its type.
    properties: Vec<(String, String, PropertyType)>,
    /// The number of the last row from a file.
    last: i64,
    /// Whether rows may have an id of their own.
    has_ids: bool,
    /// Whether rows say when they arrived.
    has_arrivals: bool,
    /// Whether rows say who they were of before that was known.
    has_anonymous: bool,
    /// Properties whose type a person said.
    forced: Vec<String>,
    /// Whether a property has another type because a person said so.
    is_retyped: bool,
}

/// What became of rows so far.
#[derive(Default)]
struct Counts {
    read: u64,
    appended: u64,
    rejects: Vec<Reject>,
    misfits: Vec<Original>,
    remarks: Vec<String>,
    missing: BTreeMap<String, u64>,
    joins: Joins,
    /// Calls that set no trait.
    bare: u64,
}

impl Warehouse {
    /// Reads, checks and takes all rows: all of them, or nothing.
    pub(super) fn load(
        &self,
        source: &Source,
        columns: &Columns,
        proposal: &Proposal,
        started: Instant,
        job: &Job,
    ) -> std::result::Result<ImportReport, Stop> {
        let mut unchanged = None;
        let loaded = self.transaction_with_types(job, |connection, types| {
            let before = types.clone();
            let (mut all, mut accepted, mut targets) = (Counts::default(), 0, Vec::new());
            let (mut growing, mut misfits) = (None, 0);
            for part in proposal.parts() {
                // Types that this import finds are not settled while it reads: a later value may show another.
                let known = types.clone();
                let mut target = Target::find(connection, types, &part, job)?;
                let begun = match target.is_first() && part.mapping.anonymous.is_none() {
                    true => Growing::begin(self, connection, target.property_columns())?,
                    false => None,
                };
                let checker = Checker::new(&part, &known, target.last)?;
                let to = (connection, &mut *types, &mut target);
                let (counts, grown) = self.append(source, columns, checker, to, begun, job)?;
                job.report("Adding what is new", ALL_READ);
                accepted += target.take_new(connection, &counts)?;
                misfits += misfits::keep(connection, &counts.misfits, &target.is_accepted())?;
                growing = grown.filter(|_| part.mapping.call.is_none());
                targets.push(target);
                all.extend(counts);
            }
            let joined = all.joins.insert(connection)?;
            join_known(connection)?;
            accepted += all.bare.min(joined);
            all.remarks.extend(all.joins.remark());
            let rejected = u64::try_from(all.rejects.len()).unwrap_or(u64::MAX);
            let mut report = ImportReport {
                read: all.read,
                accepted,
                duplicate: all.read - rejected - accepted,
                rejected,
                misfits,
                seconds: started.elapsed().as_secs_f64(),
                rejects: all.rejects.iter().take(REPORTED_REJECTS).cloned().collect(),
                remarks: [proposal.remarks(), all.remarks].concat(),
                missing: all.missing,
                mapping: proposal.mapping.clone(),
                columns: proposal.mapped_columns(),
            };
            let is_retyped = targets.iter().any(|target| target.is_retyped);
            if accepted == 0 && joined == 0 && !is_retyped {
                unchanged = Some((report, all.rejects));
                return Err(Stop::Enough);
            }
            report.remarks.extend(targets.iter().flat_map(|target| target.retyped(&before)));
            record(connection, &source.files, &report, &all.rejects)?;
            Ok::<_, Stop>((report, growing))
        });
        // Where nothing is new, what is there stays as it is, its columns included.
        let (report, growing) = match unchanged {
            Some((report, rejects)) => {
                self.transaction(job, |connection| {
                    record(connection, &source.files, &report, &rejects)
                })?;
                (report, None)
            }
            None => loaded?,
        };
        if let Some(growing) = growing {
            growing.keep(self, job);
        }
        job.report("Done", 1.0);
        Ok(report)
    }

    /// Reads and checks rows on one thread, and inserts what is good on this one. Where properties have
    /// their first values, the insert ends, the table gets columns for them, and the next insert begins.
    fn append(
        &self,
        source: &Source,
        columns: &Columns,
        checker: Checker<'_>,
        (connection, types, target): (&Connection, &mut PropertyTypes, &mut Target),
        growing: Option<Growing>,
        job: &Job,
    ) -> std::result::Result<(Counts, Option<Growing>), Stop> {
        let (sender, outlet) = incoming::begin(target.schema());
        let (openings, asked) = sync_channel(1);
        let mut flow = Flow {
            checker,
            target: target.clone(),
            sender: Some(sender),
            openings,
            growing,
            counts: Counts::default(),
        };
        let title = format!("Reading {}", source.title());
        std::thread::scope(|scope| {
            let reader = std::thread::Builder::new().name("reading".to_owned());
            let reading = reader.spawn_scoped(scope, move || {
                let read = self.read_rows(source, columns, job, &mut |rows| {
                    job.report(title.as_str(), rows.share * ALL_READ);
                    flow.next(rows)
                });
                flow.counts.remarks.extend(flow.checker.remarks());
                flow.counts.missing = flow.checker.missing().collect();
                read.map(|()| (flow.counts, flow.growing))
            });
            let reading = reading.map_err(Error::io("start a thread for", &source.files[0]))?;
            let inserted = target.take(connection, types, outlet, asked, job);
            let read = reading.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
            inserted?;
            Ok(read)
        })
    }
}

/// Rows on their way from a file to the warehouse.
struct Flow<'a> {
    checker: Checker<'a>,
    target: Target,
    /// Where they go; none while columns are opened.
    sender: Option<SyncSender<RecordBatch>>,
    openings: SyncSender<Opening>,
    growing: Option<Growing>,
    counts: Counts,
}

/// Properties whose first values came, and where to say how rows go on with them.
struct Opening {
    wanted: Vec<(String, PropertyType)>,
    opened: SyncSender<(Target, SyncSender<RecordBatch>)>,
}

impl Flow<'_> {
    /// Checks rows, counts them, and sends those that are good as the table takes them.
    fn next(&mut self, rows: Rows) -> std::result::Result<(), Stop> {
        let mut checked = self.checker.check(rows)?;
        self.counts.remarks.append(&mut checked.remarks);
        self.counts.joins.add(std::mem::take(&mut checked.joins));
        self.counts.bare += checked.n_bare;
        if !checked.opened.is_empty() {
            self.open(std::mem::take(&mut checked.opened))?;
        }
        if let Some(timelines) = &mut self.growing {
            let (customers, events) = (checked.customers(), checked.events());
            let run = EventRun {
                n_rows: checked.seqs.len(),
                customer: &|row| customers.value(row),
                event: &|row| events.value(row),
                times: &checked.times,
                received: checked.received.as_ref().unwrap_or(&checked.times),
                seqs: &checked.seqs,
            };
            timelines.add(&run, &checked.properties);
        }
        self.growing.take_if(|growing| !growing.fits());
        self.counts.read += checked.n_read;
        self.counts.appended += checked.seqs.len() as u64;
        let arrays = match self.target.kind {
            RowKind::Events => self.target.events(&checked),
            RowKind::Traits => Ok(self.target.traits(&checked)),
        };
        let misfits = checked.misfits.iter().map(|misfit| self.target.original(&checked, misfit));
        self.counts.misfits.extend(misfits);
        self.counts.rejects.extend(checked.rejects);
        let batch = arrays.and_then(|arrays| RecordBatch::try_new(self.target.schema(), arrays));
        let batch = batch.map_err(|error| Error::Table(error.to_string()))?;
        let sent = self.sender.as_ref().and_then(|sender| sender.send(batch).ok());
        sent.ok_or(Stop::Enough)
    }

    /// Ends the insert, and waits for another one that takes these properties too.
    fn open(&mut self, wanted: Vec<(String, PropertyType)>) -> std::result::Result<(), Stop> {
        self.sender = None;
        let (opened, answer) = sync_channel(1);
        self.openings.send(Opening { wanted, opened }).map_err(|_nobody_reads| Stop::Enough)?;
        let (target, sender) = answer.recv().map_err(|_nobody_reads| Stop::Enough)?;
        if let Some(timelines) = &mut self.growing {
            timelines.open(target.property_columns());
        }
        (self.target, self.sender) = (target, Some(sender));
        Ok(())
    }
}

impl Counts {
    /// Adds the counts of more rows.
    fn extend(&mut self, other: Self) {
        self.read += other.read;
        self.appended += other.appended;
        self.rejects.extend(other.rejects);
        self.remarks.extend(other.remarks);
        for (property, n) in other.missing {
            *self.missing.entry(property).or_default() += n;
        }
        self.joins.extend(other.joins);
        self.bare += other.bare;
    }
}

impl Target {
    fn find(
        connection: &Connection,
        types: &mut PropertyTypes,
        proposal: &Proposal,
        job: &Job,
    ) -> Result<Self> {
        let kind = proposal.mapping.kind;
        let wanted = proposal.columns.iter().filter(|column| column.has_type());
        let wanted = wanted.filter_map(|column| {
            let property = column.property.clone()?;
            let (type_, _) = type_in(types, kind, column, &property);
            Some((property, type_))
        });
        let wanted: Vec<(String, PropertyType)> = wanted.collect();
        let failed = || Error::duckdb("look for events");
        let has_events: bool = connection
            .query_row("SELECT count(*) > 0 FROM (SELECT 1 FROM events LIMIT 1)", [], |r| r.get(0))
            .map_err(failed())?;
        let last = connection
            .query_row(&format!("SELECT {}", schema::last_file_seq()), [], |row| row.get(0))
            .map_err(failed())?;
        let table = match (kind, has_events) {
            (RowKind::Events, false) => "stored_events",
            (RowKind::Events, true) => "new_events",
            (RowKind::Traits, _) => "new_traits",
        };
        let has_ids = proposal.mapping.message_id.is_some();
        let has_arrivals = proposal.mapping.received_at.is_some();
        let has_anonymous = proposal.mapping.anonymous.is_some();
        let said = proposal.columns.iter().filter(|column| column.forced);
        let mut target = Self {
            kind,
            table,
            properties: Vec::new(),
            last,
            has_ids,
            has_arrivals,
            has_anonymous,
            forced: said.filter_map(|column| column.property.clone()).collect(),
            is_retyped: false,
        };
        let beside = match kind {
            RowKind::Events => format!("SELECT {} FROM stored_events", target.list("")),
            RowKind::Traits => "SELECT * FROM traits".to_owned(),
        };
        if !target.is_first() {
            connection
                .execute_batch(&format!("CREATE OR REPLACE TEMP TABLE {table} AS {beside} LIMIT 0"))
                .map_err(failed())?;
        }
        target.open(connection, types, wanted, job)?;
        Ok(target)
    }

    /// Makes columns for properties where there are none, and gives those that a person chose a type of that
    /// type.
    fn open(
        &mut self,
        connection: &Connection,
        types: &mut PropertyTypes,
        wanted: Vec<(String, PropertyType)>,
        job: &Job,
    ) -> Result<()> {
        if self.kind == RowKind::Traits {
            for (name, type_) in wanted {
                let known = *types.traits.entry(name.clone()).or_insert(type_);
                if known != type_ && self.forced.contains(&name) {
                    retype::retype_trait(connection, types, &name, type_)?;
                    self.is_retyped = true;
                }
                let type_ = types.trait_type(&name).unwrap_or(type_);
                self.properties.push((name.clone(), name, type_));
            }
            return Ok(());
        }
        for (property, type_) in wanted.iter().filter(|(name, _)| self.forced.contains(name)) {
            let known = types.property(property).map(|(name, known)| (name.to_owned(), known));
            let Some((name, _)) = known.filter(|(_, known)| known != type_) else { continue };
            retype::retype_property(connection, types, &name, *type_, job)?;
            self.is_retyped = true;
        }
        let columns = schema::ensure_columns(connection, types, &wanted)?;
        for ((property, expected), column) in wanted.into_iter().zip(columns) {
            let (column, type_) = column.ok_or_else(|| too_many(&property))?;
            if type_.type_of() != expected.type_of() {
                return Err(Error::Mapping(format!(
                    "the type of '{column}' was changed to {type_} meanwhile; import the files again"
                )));
            }
            if !self.is_first() {
                let name = quote_identifier(&column);
                let sql_type = type_.type_of().sql();
                let sql = format!("ALTER TABLE {} ADD COLUMN {name} {sql_type}", self.table);
                connection.execute_batch(&sql).map_err(Error::duckdb("add a column"))?;
            }
            self.properties.push((property, column, type_));
        }
        Ok(())
    }

    /// Says which properties had another type before.
    fn retyped(&self, before: &PropertyTypes) -> Vec<String> {
        let retyped = self.properties.iter().filter_map(|(_, name, type_)| {
            let was = match self.kind {
                RowKind::Events => before.property(name).map(|(_, was)| was),
                RowKind::Traits => before.trait_type(name),
            };
            let was = was?.type_of();
            let is = type_.type_of();
            (was != is).then(|| format!("'{name}' was a {was} and is {is} now, as you chose"))
        });
        retyped.collect()
    }

    /// A value that does not fit, as it came.
    fn original(&self, checked: &Checked, misfit: &Misfit) -> Original {
        Original {
            message: checked.ids[misfit.row].clone(),
            seq: checked.seqs[misfit.row],
            property: self.properties[misfit.property].1.clone(),
            is_trait: self.kind == RowKind::Traits,
            text: misfit.text.clone(),
            reason: Some(misfit.reason),
        }
    }

    /// Whether the row of a misfit `n` was accepted: no other row has its number.
    fn is_accepted(&self) -> String {
        let table = match self.kind {
            RowKind::Events => "stored_events",
            RowKind::Traits => "traits",
        };
        format!(
            "n.seq IN (SELECT seq FROM {table} WHERE seq > {} AND seq < {})",
            self.last, LIVE_SEQ
        )
    }

    /// Inserts the rows of an outlet, and of the outlets for more columns that are asked for.
    fn take(
        &mut self,
        connection: &Connection,
        types: &mut PropertyTypes,
        mut outlet: Outlet,
        asked: Receiver<Opening>,
        job: &Job,
    ) -> Result<()> {
        loop {
            let inserted = connection.execute(&self.insert(&outlet.table()), []);
            inserted.map_err(Error::duckdb("add rows"))?;
            let Ok(opening) = asked.recv() else { return Ok(()) };
            self.open(connection, types, opening.wanted, job)?;
            let sender;
            (sender, outlet) = incoming::begin(self.schema());
            // Who asked may have been canceled meanwhile; then there are no rows.
            drop(opening.opened.send((self.clone(), sender)));
        }
    }

    /// Whether these are the first events of the warehouse.
    fn is_first(&self) -> bool {
        self.table == "stored_events"
    }

    /// The columns that are written.
    fn columns(&self) -> Vec<&str> {
        match self.kind {
            RowKind::Events => {
                let heads = ["message_uuid", "customer_id", "event", "event_time", "seq"];
                let id = self.has_ids.then_some("message_id");
                let arrival = self.has_arrivals.then_some("received_at");
                let anonymous = self.has_anonymous.then_some("anonymous_id");
                let own = id.into_iter().chain(heads).chain(arrival).chain(anonymous);
                own.chain(self.properties.iter().map(|(_, column, _)| column.as_str())).collect()
            }
            RowKind::Traits => schema::TRAIT_COLUMNS.to_vec(),
        }
    }

    fn property_columns(&self) -> impl Iterator<Item = (&str, Type)> {
        self.properties.iter().map(|(_, column, type_)| (column.as_str(), type_.type_of()))
    }

    fn list(&self, of: &str) -> String {
        let columns = self.columns();
        let quoted = columns.iter().map(|column| format!("{of}{}", quote_identifier(column)));
        quoted.collect::<Vec<_>>().join(", ")
    }

    /// The columns that rows come with.
    fn schema(&self) -> SchemaRef {
        let text = |name: &str| Field::new(name, DataType::Utf8, true);
        let time = |name: &str| Field::new(name, data_type(Type::Time), true);
        let seq = Field::new("seq", DataType::Int64, true);
        let mut fields = match self.kind {
            RowKind::Events => {
                let id = self.has_ids.then(|| text("message_id"));
                let heads = [text("customer_id"), text("event"), time("event_time"), seq];
                let heads = [message_id::uuid_field()].into_iter().chain(heads);
                let arrival = self.has_arrivals.then(|| time("received_at"));
                let anonymous = self.has_anonymous.then(|| text("anonymous_id"));
                id.into_iter().chain(heads).chain(arrival).chain(anonymous).collect::<Vec<_>>()
            }
            RowKind::Traits => vec![
                text("message_id"),
                text("customer_id"),
                time("event_time"),
                time("received_at"),
                seq,
                text("trait"),
                text("value"),
            ],
        };
        if self.kind == RowKind::Events {
            let property = |(name, _, type_): &(String, String, PropertyType)| {
                Field::new(name, data_type(type_.type_of()), true)
            };
            fields.extend(self.properties.iter().map(property));
        }
        Arc::new(Schema::new(fields))
    }

    /// SQL that takes rows into the table.
    fn insert(&self, rows: &str) -> String {
        // DuckDB keeps the order of rows, on one thread and while another one polls for its end, unless
        // there is a join, if only with no rows; rows have seq, so the order in which they lie is of no use.
        let join = match self.is_first() {
            true => " ANTI JOIN (FROM stored_events WHERE seq < 0) n ON r.seq = n.seq",
            false => "",
        };
        format!("INSERT INTO {} ({}) SELECT r.* FROM {rows} r{join}", self.table, self.list(""))
    }

    fn events(&self, checked: &Checked) -> std::result::Result<Vec<ArrayRef>, ArrowError> {
        let id = self.has_ids.then(|| message_id::texts(&checked.ids));
        let heads = [
            message_id::uuids(&checked.ids)?,
            checked.customers.clone(),
            checked.events.clone(),
            Arc::new(TimestampMicrosecondArray::from(checked.times.clone())),
            Arc::new(Int64Array::from(checked.seqs.clone())),
        ];
        let arrival = checked
            .received
            .clone()
            .map(|received| -> ArrayRef { Arc::new(TimestampMicrosecondArray::from(received)) });
        let anonymous = checked.anonymous.clone();
        let heads = id.into_iter().chain(heads).chain(arrival).chain(anonymous);
        Ok(heads.chain(checked.properties.iter().cloned()).collect())
    }

    /// A row for each trait that has a value.
    fn traits(&self, checked: &Checked) -> Vec<ArrayRef> {
        let customers = RawValues::of(&checked.customers);
        let mut rows = Vec::new();
        let (mut names, mut values) = (Vec::new(), Vec::new());
        for (place, array) in checked.properties.iter().enumerate() {
            let cells = RawValues::of(array);
            for row in 0..checked.seqs.len() {
                let value = Value::from(cells.cell(row));
                if !value.is_null() {
                    rows.push(row);
                    names.push(self.properties[place].0.as_str());
                    values.push(value.to_json().to_string());
                }
            }
        }
        // A trait keeps each value as it came; it is read as its type.
        for misfit in &checked.misfits {
            rows.push(misfit.row);
            names.push(self.properties[misfit.property].0.as_str());
            values.push(serde_json::Value::from(misfit.text.as_str()).to_string());
        }
        let of_row = |text: &dyn Fn(usize) -> String| -> ArrayRef {
            Arc::new(StringArray::from_iter_values(rows.iter().map(|row| text(*row))))
        };
        let times_of = |times: &[i64]| -> ArrayRef {
            let times = rows.iter().map(|row| times[*row]);
            Arc::new(TimestampMicrosecondArray::from_iter_values(times))
        };
        let seqs = rows.iter().map(|row| checked.seqs[*row]);
        vec![
            of_row(&|row| checked.ids[row].text()),
            of_row(&|row| customers.text(row).unwrap_or_default().into()),
            times_of(&checked.times),
            times_of(checked.received.as_ref().unwrap_or(&checked.times)),
            Arc::new(Int64Array::from_iter_values(seqs)),
            Arc::new(StringArray::from_iter_values(names)),
            Arc::new(StringArray::from_iter_values(values)),
        ]
    }

    /// Adds what is new of the rows beside the warehouse; the number of all that are new.
    fn take_new(&self, connection: &Connection, counts: &Counts) -> Result<u64> {
        let execute = |sql: &str| -> Result<u64> {
            let n = connection.execute(sql, []).map_err(Error::duckdb("add rows"))?;
            Ok(u64::try_from(n).unwrap_or(u64::MAX))
        };
        let accepted = match self.kind {
            RowKind::Events if self.is_first() => return Ok(counts.appended),
            RowKind::Events => {
                let known =
                    ["message_uuid", "message_id"].iter().filter(|id| self.columns().contains(id));
                // A live event with the same id is of another source: whoever has a public key may have guessed it.
                let new: String = known
                    .map(|id| {
                        format!(
                            " ANTI JOIN stored_events {id}s ON s.{id} = {id}s.{id}
                                AND {id}s.seq < {LIVE_SEQ}"
                        )
                    })
                    .collect();
                execute(&format!(
                    "INSERT INTO stored_events ({}) SELECT {} FROM new_events s{new} ORDER BY s.seq",
                    self.list(""),
                    self.list("s.")
                ))?
            }
            RowKind::Traits => {
                let new = format!(
                    "FROM new_traits s ANTI JOIN traits t
                        ON s.message_id = t.message_id AND t.seq < {LIVE_SEQ}"
                );
                let count = format!("SELECT count(DISTINCT s.message_id) {new}");
                let accepted = connection
                    .query_row(&count, [], |row| row.get(0))
                    .map_err(Error::duckdb("count traits"))?;
                execute(&format!("INSERT INTO traits SELECT s.* {new}"))?;
                accepted
            }
        };
        execute(&format!("DROP TABLE {}", self.table))?;
        Ok(accepted)
    }
}

/// Who is known under another id by now is so in files too.
fn join_known(connection: &Connection) -> Result<()> {
    own_ids::keep_moved(connection)?;
    for table in ["stored_events", "traits"] {
        let join = format!(
            "UPDATE {table} SET customer_id = a.customer_id FROM aliases a
             WHERE {table}.customer_id = a.anonymous_id AND {}",
            own_ids::is_moved(table)
        );
        connection.execute(&join, []).map_err(Error::duckdb("join timelines"))?;
    }
    Ok(())
}

fn too_many(property: &str) -> Error {
    let most = schema::MOST_PROPERTIES;
    Error::Mapping(format!("there are {most} properties already; leave out '{property}'"))
}

fn record(
    connection: &Connection,
    files: &[std::path::PathBuf],
    report: &ImportReport,
    rejects: &[Reject],
) -> Result<()> {
    let failed = || Error::duckdb("record the import");
    recorded(connection, files, report, rejects).map_err(failed())
}

fn recorded(
    connection: &Connection,
    files: &[std::path::PathBuf],
    report: &ImportReport,
    rejects: &[Reject],
) -> duckdb::Result<()> {
    let import: i64 =
        connection.query_row("SELECT count(*) + 1 FROM imports", [], |row| row.get(0))?;
    let source: Vec<String> = files.iter().map(|file| absolute(file)).collect();
    connection.execute(
        "INSERT INTO imports VALUES (?, ?, make_timestamp(epoch_us(now())), ?, ?, ?, ?, ?)",
        duckdb::params![
            import,
            source.join(", "),
            report.read,
            report.accepted,
            report.duplicate,
            report.rejected,
            report.seconds
        ],
    )?;
    let mut appender = connection.appender("rejected_rows")?;
    for reject in rejects {
        appender.append_row(duckdb::params![
            import,
            reject.source,
            reject.line,
            reject.column,
            reject.reason,
            reject.content
        ])?;
    }
    appender.flush()
}

fn absolute(file: &Path) -> String {
    file.canonicalize().unwrap_or_else(|_| file.to_owned()).display().to_string()
}
