use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

use kernel::domain::without_lone_surrogates;
use serde::Deserializer as _;
use serde::de::{MapAccess, Visitor};
use serde_json::value::RawValue;

use super::lines::{End, Lines};
use super::text::{Builder, bare};
use super::{Columns, Rows, Stop, Take};
use crate::import::infer::ROLES;
use crate::import::source::Source;
use crate::{Result, schema};

/// Objects inside of objects are flattened this deep; what is deeper stays JSON text.
const DEEPEST: usize = 16;
/// The most columns that files can have; names beyond are read as one does that has too many.
const MOST_COLUMNS: usize = 20_000;
/// The most values of one line; a line with more is rejected, and the names in it are not columns.
const MOST_VALUES: usize = schema::MOST_PROPERTIES + ROLES;

/// The columns of the first rows: a name `outer.inner` for every value in them.
pub(super) fn columns(source: &Source, rows: usize) -> Result<Columns> {
    let mut places = Places::default();
    let mut n = 0;
    for (place, path) in source.files.iter().enumerate() {
        let mut lines = Lines::open(source, place)?;
        while n < rows {
            let end = match lines.end_of_line(0, path)? {
                None => break,
                Some(End::TooFar) => {
                    lines.skip_line(path)?;
                    continue;
                }
                Some(End::At(end)) => end,
            };
            if let Ok(text) = std::str::from_utf8(bare(lines.bytes(end))) {
                let known = places.names.len();
                let mut n_values = 0;
                let text = without_lone_surrogates(text);
                let _is_object = leaves(&text, "", 0, &mut |name, value| {
                    n_values += usize::from(value.is_some());
                    places.add(name);
                });
                if n_values > MOST_VALUES {
                    places.forget(known);
                }
            }
            lines.take(end, 1);
            n += 1;
        }
    }
    Ok(Columns { names: places.names.clone(), paths: places.names })
}

#[derive(Default)]
struct Places {
    names: Vec<String>,
    by_name: HashMap<String, usize>,
}

impl Places {
    /// The place of a name, which may be new; none if there are too many.
    fn add(&mut self, name: &str) -> Option<usize> {
        let known = self.by_name.get(name).copied();
        if known.is_none() && self.names.len() < MOST_COLUMNS {
            self.by_name.insert(name.to_owned(), self.names.len());
            self.names.push(name.to_owned());
            return Some(self.names.len() - 1);
        }
        known
    }

    /// Takes back the names that came after so many.
    fn forget(&mut self, known: usize) {
        for name in self.names.drain(known..) {
            self.by_name.remove(&name);
        }
    }
}

/// Reads a JSON object a line. Names that were not promised become columns where they come.
pub(super) fn read(
    source: &Source,
    columns: &Columns,
    take: &mut Take<'_>,
) -> std::result::Result<(), Stop> {
    let mut places = Places::default();
    for name in &columns.paths {
        places.add(name);
    }
    let promised = places.names.len();
    let later = |places: &Places| places.names[promised..].to_vec();
    let mut values: Vec<Option<String>> = Vec::new();
    for (place, path) in source.files.iter().enumerate() {
        let mut lines = Lines::open(source, place)?;
        let mut rows = Builder::new(place, places.names.len());
        while let Some(end) = lines.end_of_line(0, path)? {
            let line = lines.number;
            let End::At(end) = end else {
                rows.reject(path, line, "line too long", "");
                lines.skip_line(path)?;
                continue;
            };
            let bytes = bare(lines.bytes(end));
            match std::str::from_utf8(bytes) {
                Ok(text) if text.trim().is_empty() => {}
                Ok(text) => {
                    values.clear();
                    let known = places.names.len();
                    values.resize(known, None);
                    let mut n_values = 0;
                    let whole = without_lone_surrogates(text);
                    let is_object = leaves(&whole, "", 0, &mut |name, value| {
                        n_values += usize::from(value.is_some());
                        if value.is_some()
                            && let Some(place) = places.add(name)
                        {
                            values.resize(values.len().max(place + 1), None);
                            values[place] = value;
                        }
                    });
                    if n_values > MOST_VALUES {
                        places.forget(known);
                        let most = schema::MOST_PROPERTIES;
                        let reason = format!("{n_values} values; there can be {most} properties");
                        rows.reject(path, line, &reason, text);
                    } else if is_object {
                        rows.widen(places.names.len());
                        rows.push_values(line, &values, text.len());
                    } else {
                        rows.reject(path, line, "this line is not a JSON object", text);
                    }
                }
                Err(_) => {
                    rows.reject(path, line, "not UTF-8 text", &String::from_utf8_lossy(bytes));
                }
            }
            lines.take(end, 1);
            if rows.is_full() {
                let full = rows.finish(source.share(place, lines.share()));
                take(Rows { later: later(&places), ..full })?;
            }
        }
        rows.widen(places.names.len());
        let last = rows.finish(source.share(place + 1, 0.0));
        take(Rows { later: later(&places), ..last })?;
    }
    Ok(())
}

/// Gives each value of an object with its name, as the text that it is written as; none for null. False
/// if the text is not one object.
fn leaves(
    text: &str,
    outer: &str,
    depth: usize,
    give: &mut dyn FnMut(&str, Option<String>),
) -> bool {
    let mut reader = serde_json::Deserializer::from_str(text);
    let visitor = Leaves { outer, depth, give };
    reader.deserialize_map(visitor).is_ok() && reader.end().is_ok()
}

struct Leaves<'a> {
    outer: &'a str,
    depth: usize,
    give: &'a mut dyn FnMut(&str, Option<String>),
}

impl<'de> Visitor<'de> for Leaves<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> std::result::Result<(), M::Error> {
        while let Some((key, value)) = map.next_entry::<Cow<'de, str>, &'de RawValue>()? {
            let name = match self.outer {
                "" => key,
                outer => Cow::Owned(format!("{outer}.{key}")),
            };
            let value = value.get();
            match value.as_bytes().first() {
                Some(b'{') if self.depth < DEEPEST => {
                    leaves(value, &name, self.depth + 1, self.give);
                }
                Some(b'n') => (self.give)(&name, None),
                Some(b'"') => (self.give)(&name, serde_json::from_str(value).ok()),
                _ => (self.give)(&name, Some(value.to_owned())),
            }
        }
        Ok(())
    }
}
