//! Timelines as bytes, so that they need not be built again from the warehouse at every start.
//!
//! A header in JSON (names, dictionaries, lengths), then every column as it lies in memory, little-endian.
//! What is read is checked: offsets that go backwards, or codes beyond a dictionary, are no timelines.

use std::io::{self, Read, Seek, SeekFrom, Write};
use std::sync::{Arc, OnceLock};

use serde::{Deserialize, Serialize};

use super::codes::{Code, with_codes};
use super::{Codes, Column, Texts, Timelines, TraitTimeline};
use crate::domain::{Time, Type};

/// What the columns are, in the order in which their bytes follow.
#[derive(Serialize, Deserialize)]
struct Header {
    n_customers: usize,
    n_events: usize,
    has_received: bool,
    observed_until: i64,
    names: Vec<Arc<str>>,
    properties: Vec<(String, Kind)>,
    traits: Vec<(String, usize, Kind)>,
}

/// What a column is.
#[derive(Serialize, Deserialize)]
struct Kind {
    type_: Type,
    /// Of texts: by their codes, which have so many bytes.
    dictionary: Vec<Arc<str>>,
    width: usize,
}

impl Kind {
    fn of(column: &Column) -> Self {
        let (dictionary, width) = match column {
            Column::Text(texts) => (texts.dictionary().to_vec(), texts.codes().width()),
            _ => (Vec::new(), 0),
        };
        Self { type_: column.type_of(), dictionary, width }
    }
}

/// The longest header that is read.
const LONGEST_HEADER: u64 = 1 << 30;

impl Timelines {
    /// Writes them as bytes.
    ///
    /// # Errors
    /// The writer fails.
    pub fn write_to(&self, out: &mut impl Write) -> io::Result<()> {
        let header = Header {
            n_customers: self.customers.len(),
            n_events: self.times.len(),
            has_received: self.received.is_some(),
            observed_until: self.observed_until.0,
            names: self.names.clone(),
            properties: self
                .properties
                .iter()
                .map(|(name, column)| (name.clone(), Kind::of(column)))
                .collect(),
            traits: self
                .traits
                .iter()
                .map(|(name, changes)| {
                    (name.clone(), changes.values.len(), Kind::of(&changes.values))
                })
                .collect(),
        };
        let header = serde_json::to_vec(&header)?;
        out.write_all(&(header.len() as u64).to_le_bytes())?;
        out.write_all(&header)?;
        let mut ids = String::new();
        let mut ends: Vec<u64> = Vec::with_capacity(self.customers.len());
        for id in &self.customers {
            ids.push_str(id);
            ends.push(ids.len() as u64);
        }
        out.write_all(bytemuck::cast_slice(&ends))?;
        out.write_all(ids.as_bytes())?;
        write_offsets(out, &self.offsets)?;
        out.write_all(bytemuck::cast_slice(&self.first_seen))?;
        out.write_all(bytemuck::cast_slice(&self.times))?;
        if let Some(received) = &self.received {
            out.write_all(bytemuck::cast_slice(received))?;
        }
        out.write_all(bytemuck::cast_slice(&self.events))?;
        for (_, column) in &self.properties {
            write_column(out, column)?;
        }
        for (_, changes) in &self.traits {
            write_offsets(out, &changes.offsets)?;
            out.write_all(bytemuck::cast_slice(&changes.times))?;
            out.write_all(bytemuck::cast_slice(&changes.received))?;
            write_column(out, &changes.values)?;
        }
        Ok(())
    }

    /// Reads them from bytes, of the properties only those that are wanted.
    ///
    /// # Errors
    /// The bytes are no timelines.
    pub fn read_from(
        from: &mut (impl Read + Seek),
        is_wanted: impl Fn(&str) -> bool,
    ) -> io::Result<Self> {
        let mut length = [0; 8];
        from.read_exact(&mut length)?;
        let length = u64::from_le_bytes(length);
        if length > LONGEST_HEADER {
            return Err(bad("its header is too long"));
        }
        let mut header = Vec::new();
        from.take(length).read_to_end(&mut header)?;
        let header: Header = serde_json::from_slice(&header)?;
        let ends: Vec<u64> = read_vec(from, header.n_customers)?;
        let n_bytes = ends.last().copied().unwrap_or(0);
        let mut ids = Vec::new();
        from.take(n_bytes).read_to_end(&mut ids)?;
        let ids = String::from_utf8(ids).map_err(|_no_text| bad("an id is no text"))?;
        let mut start = 0;
        let mut customers: Vec<Arc<str>> = Vec::with_capacity(ends.len());
        for end in ends {
            let end = usize::try_from(end).unwrap_or(usize::MAX);
            customers.push(ids.get(start..end).ok_or_else(|| bad("an id has no end"))?.into());
            start = end;
        }
        if !customers.is_sorted() {
            return Err(bad("its customers are not in order"));
        }
        let offsets = read_offsets(from, header.n_customers, header.n_events)?;
        let first_seen = read_vec(from, header.n_customers)?;
        let times = read_vec(from, header.n_events)?;
        let received = match header.has_received {
            true => Some(read_vec(from, header.n_events)?),
            false => None,
        };
        let events: Vec<u32> = read_vec(from, header.n_events)?;
        if !events.iter().all(|code| (*code as usize) < header.names.len()) {
            return Err(bad("an event has no name"));
        }
        let mut properties = Vec::new();
        for (name, kind) in header.properties {
            if is_wanted(&name) {
                properties.push((name, read_column(from, header.n_events, &kind)?));
            } else {
                skip_column(from, header.n_events, &kind)?;
            }
        }
        let mut traits = Vec::new();
        for (name, n, kind) in header.traits {
            let offsets = read_offsets(from, header.n_customers, n)?;
            let (times, received) = (read_vec(from, n)?, read_vec(from, n)?);
            let values = read_column(from, n, &kind)?;
            traits.push((name, TraitTimeline { offsets, times, received, values }));
        }
        Ok(Self {
            customers,
            offsets,
            times,
            received,
            events,
            names: header.names,
            properties,
            traits,
            first_seen,
            observed_until: Time(header.observed_until),
            places: OnceLock::new(),
        })
    }
}

fn bad(message: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message)
}

fn write_offsets(out: &mut impl Write, offsets: &[usize]) -> io::Result<()> {
    let offsets: Vec<u64> = offsets.iter().map(|offset| *offset as u64).collect();
    out.write_all(bytemuck::cast_slice(&offsets))
}

fn write_column(out: &mut impl Write, column: &Column) -> io::Result<()> {
    match column {
        Column::Boolean(values) => out.write_all(values),
        Column::Number(values) => out.write_all(bytemuck::cast_slice(values)),
        Column::Text(texts) => {
            with_codes!(texts.codes(), codes => out.write_all(bytemuck::cast_slice(codes)))
        }
        Column::Time(values) => out.write_all(bytemuck::cast_slice(values)),
        Column::List(..) | Column::Counts(..) => Err(bad("events have no lists")),
    }
}

/// Values of a fixed size. Memory grows with what is there, not with what a header claims.
fn read_vec<T: bytemuck::Pod>(from: &mut impl Read, n: usize) -> io::Result<Vec<T>> {
    const STEP: usize = 1 << 20;
    let mut values: Vec<T> = Vec::new();
    while values.len() < n {
        let start = values.len();
        let step = (n - start).min(STEP);
        if values.capacity() < start + step {
            values.reserve_exact(if start == 0 { step } else { (n - start).min(start * 7) });
        }
        values.resize(start + step, T::zeroed());
        from.read_exact(bytemuck::cast_slice_mut(&mut values[start..]))?;
    }
    Ok(values)
}

fn read_offsets(from: &mut impl Read, n: usize, end: usize) -> io::Result<Vec<usize>> {
    let offsets: Vec<u64> = read_vec(from, n.saturating_add(1))?;
    let offsets: Vec<usize> =
        offsets.into_iter().map(|offset| usize::try_from(offset).unwrap_or(usize::MAX)).collect();
    let ends = offsets.first() == Some(&0) && offsets.last() == Some(&end);
    if ends && offsets.is_sorted() { Ok(offsets) } else { Err(bad("its offsets are not in order")) }
}

fn read_codes(from: &mut impl Read, n: usize, kind: &Kind) -> io::Result<Codes> {
    fn checked<C: Code + bytemuck::Pod>(
        from: &mut impl Read,
        n: usize,
        most: usize,
    ) -> io::Result<Vec<C>> {
        let codes: Vec<C> = read_vec(from, n)?;
        let known = |code: &C| code.is_null() || (code.wide() as usize) < most;
        let all_are = codes.iter().all(known);
        if all_are { Ok(codes) } else { Err(bad("a code is beyond its dictionary")) }
    }
    let most = kind.dictionary.len();
    Ok(match kind.width {
        1 => Codes::One(checked(from, n, most)?),
        2 => Codes::Two(checked(from, n, most)?),
        4 => Codes::Four(checked(from, n, most)?),
        _ => return Err(bad("its codes have no width")),
    })
}

fn read_column(from: &mut impl Read, n: usize, kind: &Kind) -> io::Result<Column> {
    Ok(match kind.type_ {
        Type::Boolean => Column::Boolean(read_vec(from, n)?),
        Type::Number => Column::Number(read_vec(from, n)?),
        Type::Text => Column::Text(Texts::of_codes(read_codes(from, n, kind)?, &kind.dictionary)),
        Type::Time => Column::Time(read_vec(from, n)?),
        Type::List(_) | Type::Counts(_) => return Err(bad("events have no lists")),
    })
}

fn skip_column(from: &mut impl Seek, n: usize, kind: &Kind) -> io::Result<()> {
    let width = match kind.type_ {
        Type::Boolean => 1,
        Type::Text => kind.width,
        Type::Number | Type::Time => 8,
        Type::List(_) | Type::Counts(_) => return Err(bad("events have no lists")),
    };
    let bytes = n.checked_mul(width).and_then(|bytes| i64::try_from(bytes).ok());
    from.seek(SeekFrom::Current(bytes.ok_or_else(|| bad("it has too many events"))?))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::super::{Catalog, Timelines};
    use crate::domain::{Event, Time, Type, Value};

    fn timelines() -> Timelines {
        let event = |n: u64, name: &str, property: (&str, Value)| Event {
            message_id: n.to_string(),
            customer_id: format!("c{}", n % 3),
            anonymous_id: None,
            event: name.to_owned(),
            event_time: Time(100 - 7 * n.cast_signed()),
            received_at: Time(100 + n.cast_signed()),
            seq: n,
            properties: [(property.0.to_owned(), property.1)].into(),
        };
        let events = [
            event(1, "order", ("amount", Value::Number(2.5))),
            event(2, "view", ("channel", Value::text("東京"))),
            event(3, "view", ("flag", Value::Boolean(true))),
            event(4, "$identify", ("country", Value::text("DE"))),
            event(5, "order", ("at", Value::Time(Time(3)))),
        ];
        let types = [
            ("amount", Type::Number),
            ("channel", Type::Text),
            ("flag", Type::Boolean),
            ("at", Type::Time),
        ];
        let catalog = Catalog {
            properties: types.map(|(name, type_)| (name.to_owned(), type_)).into(),
            traits: [("country".to_owned(), Type::Text)].into(),
            ..Catalog::default()
        };
        Timelines::of_events(&catalog, &events)
    }

    #[test]
    fn timelines_come_back_as_they_were() {
        let mut bytes = Vec::new();
        timelines().write_to(&mut bytes).unwrap();
        let back = Timelines::read_from(&mut Cursor::new(&bytes), |_| true).unwrap();
        let mut again = Vec::new();
        back.write_to(&mut again).unwrap();
        assert_eq!(bytes, again);
        assert_eq!(back.customers(), timelines().customers());
        assert_eq!(
            back.property("channel").unwrap().value(1),
            timelines().property("channel").unwrap().value(1)
        );
        // Of some properties, with what comes after the others.
        let some =
            Timelines::read_from(&mut Cursor::new(&bytes), |name| name == "channel").unwrap();
        assert!(some.property("amount").is_none() && some.property("flag").is_none());
        assert_eq!(
            some.property("channel").unwrap().value(1),
            back.property("channel").unwrap().value(1)
        );
        assert_eq!(some.trait_timeline("country").unwrap().values.len(), 1);
    }

    #[test]
    fn bytes_that_are_no_timelines_are_refused() {
        let mut bytes = Vec::new();
        timelines().write_to(&mut bytes).unwrap();
        for end in 0..bytes.len() {
            let cut = Timelines::read_from(&mut Cursor::new(&bytes[..end]), |_| true);
            assert!(cut.is_err(), "cut at {end}");
        }
        // Whatever byte is changed: an error or other timelines, never a panic or a code without a text.
        for place in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[place] ^= 0x55;
            if let Ok(read) =
                Timelines::read_from(&mut Cursor::new(&changed), |name| name != "flag")
            {
                for row in 0..read.n_events() {
                    assert!((read.events()[row] as usize) < read.names().len());
                }
            }
        }
    }
}
