use std::borrow::Cow;
use std::sync::Arc;

use duckdb::arrow::array::{Array, ArrayRef, BooleanArray, StringArray};
use duckdb::arrow::compute::filter;
use kernel::domain::{
    Cell, MisfitReason, PropertyType, PropertyTypes, Time, Type, is_missing, is_missing_id, limits,
};

use super::calls::{self, Part};
use super::event_names::{self, EventNames};
use super::facts::{Facts, RawValues};
use super::ids::{Ids, MessageId};
use super::infer::{free_name, property_name};
use super::normal;
use super::numbers::Decimal;
use super::read::{Rows, Stop, kept};
use super::time_format::TimeFormat;
use super::typed::{Misfit, known_type, type_in, typed};
use super::who::{self, Who};
use super::{Mapping, Proposal, ProposedColumn, Reject, RowKind};
use crate::Error;

/// Checks rows against a proposal: good ones become columns of the types that it says, with an id each;
/// bad ones are rejected with column and reason.
pub(super) struct Checker<'a> {
    files: Vec<String>,
    proposal: &'a Proposal,
    mapping: &'a Mapping,
    places: Places,
    /// The formats that times are looked at for.
    formats: Vec<TimeFormat>,
    time_format: TimeFormat,
    received_format: TimeFormat,
    /// Those of which a value was seen, and so a type.
    properties: Vec<Property>,
    /// Those of which no value was seen yet.
    open: Vec<Property>,
    types: &'a PropertyTypes,
    /// Columns that are known, those that were not promised included, and their properties in lower case.
    n_columns: usize,
    taken: Vec<String>,
    ids: Ids,
    /// The number of the last readable row.
    last_seq: i64,
    names: EventNames,
}

/// Where the mapped columns are.
struct Places {
    customer: usize,
    anonymous: Option<usize>,
    call: Option<usize>,
    /// The id before an alias.
    previous: Option<usize>,
    time: Option<usize>,
    event: Option<usize>,
    message_id: Option<usize>,
    received_at: Option<usize>,
}

/// A column that becomes a property.
struct Property {
    place: usize,
    name: String,
    type_: PropertyType,
    /// Whether a person chose the type.
    forced: bool,
    /// Whether values that do not fit are misfits; else another type is found for all.
    settled: bool,
    decimal: Option<Decimal>,
    drops_missing: bool,
    /// Values that are a spelling of a missing value.
    missing: u64,
    /// Numbers that are none (NaN), which are kept as null.
    unkept: u64,
}

/// Rows that are good.
pub(super) struct Checked {
    /// Their numbers over all files that were imported; they order equal times.
    pub(super) seqs: Vec<i64>,
    pub(super) ids: Vec<MessageId>,
    pub(super) customers: ArrayRef,
    /// Who they were before that was known; none where no column says it.
    pub(super) anonymous: Option<ArrayRef>,
    /// Anonymous ids and who they turned out to be, in the order of the rows.
    pub(super) joins: Vec<(String, String)>,
    /// Calls that set no trait.
    pub(super) n_bare: u64,
    /// What a person may not expect of how rows were read.
    pub(super) remarks: Vec<String>,
    pub(super) events: ArrayRef,
    pub(super) times: Vec<i64>,
    /// When they arrived, which is never before they happened; none where no column says it.
    pub(super) received: Option<Vec<i64>>,
    /// A column a property: those that the proposal has a type of, then the others as they were opened.
    pub(super) properties: Vec<ArrayRef>,
    /// The properties whose first values are here, with their types.
    pub(super) opened: Vec<(String, PropertyType)>,
    /// Values that do not fit.
    pub(super) misfits: Vec<Misfit>,
    pub(super) rejects: Vec<Reject>,
    /// Rows that were looked at, readable or not.
    pub(super) n_read: u64,
}

impl Checked {
    /// Who.
    pub(super) fn customers(&self) -> &StringArray {
        texts(&self.customers)
    }

    /// What.
    pub(super) fn events(&self) -> &StringArray {
        texts(&self.events)
    }
}

/// What is wrong with a row: the column, and why.
type Fault<'a> = (&'a str, String);

impl<'a> Checker<'a> {
    /// A checker that numbers rows from after `last_seq` on.
    pub(super) fn new(
        proposal: &'a Proposal,
        types: &'a PropertyTypes,
        last_seq: i64,
    ) -> Result<Self, Error> {
        let mapping = &proposal.mapping;
        let place = |name: &String| {
            let found = proposal.columns.iter().position(|column| column.name == *name);
            found.ok_or_else(|| Error::Mapping(format!("there is no column '{name}'")))
        };
        let perhaps = |name: &Option<String>| name.as_ref().map(place).transpose();
        let places = Places {
            customer: place(&mapping.customer)?,
            anonymous: perhaps(&mapping.anonymous)?,
            call: perhaps(&mapping.call)?,
            previous: proposal.columns.iter().position(|column| column.name == "previousId"),
            time: perhaps(&mapping.time)?,
            event: perhaps(&mapping.event)?,
            message_id: perhaps(&mapping.message_id)?,
            received_at: perhaps(&mapping.received_at)?,
        };
        let property = |(place, column): (usize, &'a ProposedColumn)| {
            let name = column.property.clone()?;
            let (type_, settled) = type_in(types, mapping.kind, column, &name);
            Some(Property {
                place,
                name,
                type_,
                forced: column.forced,
                settled,
                decimal: column.decimal,
                drops_missing: column.drops_missing,
                missing: 0,
                unkept: 0,
            })
        };
        let properties = proposal.columns.iter().enumerate().filter_map(property);
        let (properties, open) =
            properties.partition(|property| proposal.columns[property.place].has_type());
        let names = proposal.columns.iter().filter_map(|column| column.property.as_deref());
        let named = proposal.columns.iter().enumerate();
        // What is left out tells rows apart too, so that a row has the same id whatever is left out.
        let is_mapped = |column: &ProposedColumn| mapping.roles().any(|(it, _)| *it == column.name);
        let named = named.filter(|(_, column)| !is_mapped(column));
        let named = named.map(|(place, column)| {
            let name = column.property.clone().unwrap_or_else(|| property_name(&column.name));
            (name, place)
        });
        // Some roles tell rows apart as a property would, so that a row has the same id with and without them.
        let others = [places.received_at, places.anonymous, places.call].into_iter().flatten();
        let others = others.map(|place| (property_name(&proposal.columns[place].name), place));
        let named = named.chain(others);
        Ok(Self {
            files: proposal.files.iter().map(|file| file.display().to_string()).collect(),
            proposal,
            mapping,
            places,
            formats: TimeFormat::known(),
            time_format: TimeFormat::named(&mapping.time_format),
            received_format: TimeFormat::named(&mapping.received_format),
            ids: Ids::new(named),
            properties,
            open,
            types,
            n_columns: proposal.columns.len(),
            taken: names.map(str::to_lowercase).collect(),
            last_seq,
            names: EventNames::new(proposal.has_own_events),
        })
    }

    /// Checks the next rows.
    pub(super) fn check(&mut self, rows: Rows) -> Result<Checked, Stop> {
        let rows = calls::rows_of(rows, self.places.call, self.proposal.part)?;
        let n = rows.n();
        let mut faults: Vec<Option<Fault<'a>>> = vec![None; n];
        let who = self.who(&rows)?;
        let events = self.events(&rows);
        let named = self.names.named(&events);
        let times = match self.places.time {
            Some(place) => micros(&rows.columns[place], &self.time_format),
            // Traits without a time hold always.
            None => vec![Some(Time::ALWAYS.0); rows.n()],
        };
        let received = self.places.received_at;
        let received = received.map(|place| micros(&rows.columns[place], &self.received_format));
        let heads = Heads {
            customers: texts(&who.customers),
            events: texts(&events),
            written_times: self.places.time.map(|place| RawValues::of(&rows.columns[place])),
            message_ids: self.places.message_id.map(|place| RawValues::of(&rows.columns[place])),
        };
        for (row, fault) in faults.iter_mut().enumerate() {
            *fault = self.fault(&heads, times[row], row);
        }
        self.check_reading(&heads, &times)?;
        if let Some(received) = &received {
            self.check_arrivals(&rows, received, &mut faults);
        }
        self.take_later(&rows);
        let opened = self.open(&rows);
        let mut properties = Vec::with_capacity(self.properties.len());
        let mut misfits: Vec<Misfit> = Vec::new();
        for (place, property) in self.properties.iter_mut().enumerate() {
            let raw = &rows.columns[property.place];
            let Property { type_, settled, forced, .. } = *property;
            let (raw, missing) =
                normal::values(raw, type_.type_of(), property.decimal, property.drops_missing);
            property.missing += missing;
            let (array, unfit) = typed(&raw, type_, settled, forced, &self.time_format);
            if !settled && unfit.iter().any(|unfit| unfit.reason != MisfitReason::Infinite) {
                return Err(Stop::Misfit);
            }
            let nulls = array.null_count() - raw.null_count();
            if type_.type_of() == Type::Number {
                property.unkept += nulls.saturating_sub(unfit.len()) as u64;
            }
            misfits.extend(unfit.into_iter().map(|unfit| Misfit { property: place, ..unfit }));
            properties.push(array);
        }
        // An identify may have no traits, and join ids all the same.
        let mut n_bare = 0;
        if self.mapping.kind == RowKind::Traits {
            let is_call = self.places.call.is_some();
            let mut says_something = vec![false; n];
            misfits.iter().for_each(|misfit| says_something[misfit.row] = true);
            for (row, fault) in faults.iter_mut().enumerate() {
                let is_bare = !says_something[row]
                    && properties.iter().all(|values: &ArrayRef| values.is_null(row));
                if is_bare && is_call {
                    n_bare += u64::from(fault.is_none());
                } else if is_bare {
                    fault.get_or_insert_with(|| ("", "no trait has a value".to_owned()));
                }
            }
        }
        let times: Vec<i64> = times.into_iter().map(Option::unwrap_or_default).collect();
        let mut keep: Vec<bool> = faults.iter().map(Option::is_none).collect();
        self.ids.begin_file(rows.file);
        let ids = self.ids.of_rows(&rows.columns, &heads, &times, &mut keep);
        if self.ids.repeats > 0 && self.proposal.message_id_may_be_none() {
            return Err(Stop::Repeated);
        }
        let joins = who.joins(&keep);
        let rejects = self.rejects(&rows, faults);
        let places: Vec<usize> = keep
            .iter()
            .scan(0, |kept, keep| Some(std::mem::replace(kept, *kept + usize::from(*keep))))
            .collect();
        misfits.retain(|misfit| keep[misfit.row]);
        misfits.iter_mut().for_each(|misfit| misfit.row = places[misfit.row]);
        let received = received.map(|received| {
            let arrival = |(received, time): (&Option<i64>, i64)| {
                received.map_or(time, |received| received.max(time))
            };
            let kept = received.iter().zip(times.iter().copied()).zip(&keep);
            kept.filter(|(_, keep)| **keep).map(|(row, _)| arrival(row)).collect()
        });
        let numbers = (self.last_seq + 1..).zip(&keep).filter(|(_, keep)| **keep);
        let checked = Checked {
            seqs: numbers.map(|(number, _)| number).collect(),
            ids,
            times: times.iter().zip(&keep).filter(|(_, keep)| **keep).map(|(t, _)| *t).collect(),
            received,
            n_read: (n + rows.rejects.len()) as u64,
            customers: only(&who.customers, &keep)?,
            anonymous: who.anonymous.as_ref().map(|ids| only(ids, &keep)).transpose()?,
            joins,
            n_bare,
            remarks: rows.remarks.clone(),
            events: only(&named, &keep)?,
            properties: properties.iter().map(|p| only(p, &keep)).collect::<Result<_, _>>()?,
            opened,
            misfits,
            rejects,
        };
        self.last_seq += i64::try_from(n).unwrap_or(i64::MAX);
        Ok(checked)
    }

    /// Values that are a spelling of a missing value, by property.
    pub(super) fn missing(&self) -> impl Iterator<Item = (String, u64)> {
        let missing = self.properties.iter().filter(|property| property.missing > 0);
        missing.map(|property| (property.name.clone(), property.missing))
    }

    /// What was not kept as it was written.
    pub(super) fn remarks(&self) -> impl Iterator<Item = String> {
        let unkept = self.properties.iter().filter(|property| property.unkept > 0);
        let unkept = unkept.map(|property| {
            let (name, n) = (&property.name, property.unkept);
            format!("'{name}': {n} values that are not a number (NaN) are kept as null")
        });
        let repeats = (self.ids.repeats > 0).then(|| {
            format!(
                "{} rows have an id in '{}' that a row with another customer, event or time has; they count as \
                 duplicates",
                self.ids.repeats,
                self.mapping.message_id.as_deref().unwrap_or_default()
            )
        });
        unkept.chain(self.names.remarks()).chain(repeats)
    }

    /// Who the rows are of.
    fn who(&self, rows: &Rows) -> Result<Who, Stop> {
        let column = |place: usize| normal::ids(&rows.columns[place], self.mapping.has_whole_ids);
        let customers = column(self.places.customer);
        if !self.proposal.is_of_all_rows {
            let columns = [Some(self.places.customer), self.places.anonymous].into_iter().flatten();
            let mut ids = columns.map(|place| &rows.columns[place]);
            // What the first rows say of fractions decides whether 1001.0 is 1001.
            let is_other = |text: &str| match normal::has_fraction(text) {
                Some(is_zero) => {
                    (self.mapping.has_whole_ids && !is_zero)
                        || (self.proposal.has_no_fractions && is_zero)
                }
                None => false,
            };
            if ids.any(|ids| texts(ids).iter().flatten().any(&is_other)) {
                return Err(Stop::Misfit);
            }
        }
        let anonymous = self.places.anonymous.map(column);
        let others = match self.places.call {
            Some(place) if self.proposal.part == Part::Identities => {
                calls::others(&rows.columns[place], anonymous, self.places.previous.map(column))
            }
            _ => anonymous,
        };
        Ok(who::of(customers, others))
    }

    /// Looks at all rows where a time that the chosen format does not read is one of another format: days and
    /// months are told apart by the whole column.
    fn check_reading(&self, heads: &Heads<'_>, times: &[Option<i64>]) -> Result<(), Stop> {
        let (false, Some(written)) = (self.proposal.is_of_all_rows, &heads.written_times) else {
            return Ok(());
        };
        if !self.formats.contains(&self.time_format) {
            return Ok(());
        }
        let unread = times.iter().enumerate().filter(|(_, time)| time.is_none());
        let is_other = |(row, _): (usize, &Option<i64>)| {
            let Some(text) = written.text(row).filter(|text| !is_missing(text)) else {
                return false;
            };
            self.formats.iter().any(|format| format.micros(&text).is_some())
        };
        if unread.take(MOST_UNREAD).any(is_other) { Err(Stop::Misfit) } else { Ok(()) }
    }

    /// Makes properties of columns that were not promised.
    fn take_later(&mut self, rows: &Rows) {
        let first = rows.columns.len() - rows.later.len();
        for (place, column) in (first..).zip(&rows.later).skip(self.n_columns - first) {
            let name = free_name(property_name(column), &mut self.taken);
            self.ids.add(&name, place);
            let known = known_type(self.types, self.mapping.kind, &name);
            self.open.push(Property {
                place,
                name,
                type_: known.unwrap_or(PropertyType::Text),
                forced: false,
                settled: known.is_some(),
                decimal: None,
                drops_missing: false,
                missing: 0,
                unkept: 0,
            });
            self.n_columns = place + 1;
        }
    }

    /// Gives the open properties that have their first values here the types of these.
    fn open(&mut self, rows: &Rows) -> Vec<(String, PropertyType)> {
        let has_value = |property: &mut Property| {
            let values = &rows.columns[property.place];
            values.null_count() < values.len()
        };
        let opened = self.open.extract_if(.., has_value).map(|mut property| {
            if !property.settled {
                let found = Facts::of(&rows.columns[property.place]).type_of();
                property.type_ = PropertyType::found(found);
            }
            property
        });
        let known = self.properties.len();
        self.properties.extend(opened);
        let opened = &self.properties[known..];
        opened.iter().map(|property| (property.name.clone(), property.type_)).collect()
    }

    /// What each row is, as it is written: the trimmed text of a column, or the same for all.
    fn events(&self, rows: &Rows) -> ArrayRef {
        let written = self.places.event.map(|place| &rows.columns[place]);
        let events = match (self.places.call, written) {
            (Some(place), written) => calls::events(&rows.columns[place], written),
            (None, Some(written)) => as_texts(written),
            (None, None) => {
                let name = self.mapping.event_name.as_deref().unwrap_or_default();
                let names = std::iter::repeat_n(name, rows.n());
                return Arc::new(StringArray::from_iter_values(names));
            }
        };
        event_names::trimmed(events)
    }

    /// Blames arrivals that are written but are no time.
    fn check_arrivals(
        &self,
        rows: &Rows,
        received: &[Option<i64>],
        faults: &mut [Option<Fault<'a>>],
    ) {
        let Some(place) = self.places.received_at else { return };
        let written = RawValues::of(&rows.columns[place]);
        let column = self.mapping.received_at.as_deref().unwrap_or_default();
        for (row, received) in received.iter().enumerate() {
            let reason = match received {
                Some(time) if !Time(*time).is_plausible() => implausible(Time(*time)),
                Some(_) => continue,
                None => match written.text(row).filter(|text| !is_missing(text)) {
                    Some(text) => no_time(&self.received_format, &text),
                    None => continue,
                },
            };
            faults[row].get_or_insert((column, reason));
        }
    }

    /// What is wrong with who, when, what and which of a row.
    fn fault(&self, heads: &Heads<'_>, time: Option<i64>, row: usize) -> Option<Fault<'a>> {
        const NO_COLUMN: &str = "";
        let too_long = |limit: usize| format!("longer than {limit} bytes");
        let nul = || "has a NUL character".to_owned();
        let mapping = self.mapping;
        let customer = match heads.customers.is_null(row) {
            false if !heads.customers.value(row).trim().is_empty() => heads.customers.value(row),
            _ => return Some((&mapping.customer, "no customer".to_owned())),
        };
        if customer.len() > limits::LONGEST_ID {
            return Some((&mapping.customer, too_long(limits::LONGEST_ID)));
        }
        let column = mapping.time.as_deref().unwrap_or(NO_COLUMN);
        let Some(time) = time else {
            let written = heads.written_times.as_ref().and_then(|times| times.text(row));
            let written = written.filter(|text| !is_missing(text));
            let reason = written
                .map_or_else(|| "no time".to_owned(), |text| no_time(&self.time_format, &text));
            return Some((column, reason));
        };
        if !Time(time).is_plausible() {
            return Some((column, implausible(Time(time))));
        }
        let column = mapping.event.as_deref().unwrap_or(NO_COLUMN);
        let event = match heads.events.is_null(row) {
            true => return Some((column, "no event".to_owned())),
            false => heads.events.value(row),
        };
        if event.len() > limits::LONGEST_NAME {
            return Some((column, too_long(limits::LONGEST_NAME)));
        }
        let id_column = mapping.message_id.as_deref().unwrap_or(NO_COLUMN);
        let id = heads.message_id(row);
        if id.as_ref().is_some_and(|id| id.len() > limits::LONGEST_ID) {
            return Some((id_column, too_long(limits::LONGEST_ID)));
        }
        let parts = [
            (mapping.customer.as_str(), customer),
            (id_column, id.as_deref().unwrap_or_default()),
            (column, event),
        ];
        let with_nul = parts.into_iter().find(|(_, text)| text.as_bytes().contains(&0));
        with_nul.map(|(column, _)| (column, nul()))
    }

    /// The rows that are bad, and what was no row, in the order of their lines.
    fn rejects(&self, rows: &Rows, faults: Vec<Option<Fault<'a>>>) -> Vec<Reject> {
        let mut rejects = rows.rejects.clone();
        for (row, fault) in faults.into_iter().enumerate() {
            let Some((column, reason)) = fault else { continue };
            let cells = rows.columns.iter().map(|array| RawValues::of(array).text(row));
            let cells: Vec<Cow<'_, str>> = cells.map(Option::unwrap_or_default).collect();
            rejects.push(Reject {
                source: self.files[rows.file].clone(),
                line: rows.lines[row],
                column: Some(column.to_owned()).filter(|column| !column.is_empty()),
                reason,
                content: kept(&cells.join(" | ")),
            });
        }
        rejects.sort_by_key(|reject| reject.line);
        rejects
    }
}

/// Who, when, what and which, by column.
pub(super) struct Heads<'b> {
    pub(super) customers: &'b StringArray,
    pub(super) events: &'b StringArray,
    written_times: Option<RawValues<'b>>,
    message_ids: Option<RawValues<'b>>,
}

impl Heads<'_> {
    /// The id that a row has of its own.
    pub(super) fn message_id(&self, row: usize) -> Option<Cow<'_, str>> {
        let id = self.message_ids.as_ref().and_then(|ids| ids.text(row));
        id.filter(|id| !is_missing_id(id))
    }
}

/// Times that cannot be read of which another format is looked for, in a batch of rows.
const MOST_UNREAD: usize = 100;

/// The times of a column, in microseconds.
fn micros(column: &ArrayRef, format: &TimeFormat) -> Vec<Option<i64>> {
    let values = RawValues::of(column);
    let micros = |row| match values.cell(row) {
        Cell::Time(time) => Some(time.0),
        Cell::Null => None,
        _ => values.text(row).and_then(|text| format.micros(&text)),
    };
    (0..column.len()).map(micros).collect()
}

fn no_time(format: &TimeFormat, text: &str) -> String {
    format!("not a time as {format}: {}", cut(text))
}

fn implausible(time: Time) -> String {
    format!("not between 1900 and 2200: {time}")
}

/// As much of a text as a reason shows.
fn cut(text: &str) -> String {
    text.chars().take(60).collect()
}

/// A column as texts.
pub(super) fn as_texts(array: &ArrayRef) -> ArrayRef {
    if array.as_any().is::<StringArray>() {
        return array.clone();
    }
    let values = RawValues::of(array);
    Arc::new(StringArray::from_iter((0..array.len()).map(|row| values.text(row))))
}

fn texts(array: &ArrayRef) -> &StringArray {
    // What is no text was made one.
    static EMPTY: std::sync::LazyLock<StringArray> =
        std::sync::LazyLock::new(|| StringArray::from_iter_values(std::iter::empty::<&str>()));
    array.as_any().downcast_ref().unwrap_or(&EMPTY)
}

fn only(array: &ArrayRef, keep: &[bool]) -> Result<ArrayRef, Stop> {
    if keep.iter().all(|keep| *keep) {
        return Ok(array.clone());
    }
    let kept = filter(array, &BooleanArray::from(keep.to_vec()));
    kept.map_err(|error| Stop::Failed(Error::Table(error.to_string())))
}
