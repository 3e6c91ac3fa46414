use std::path::Path;

use duckdb::arrow::array::ArrayRef;
use kernel::domain::{Job, PropertyType, PropertyTypes, Type};

use super::normal;
use super::read::Stop;
use super::source::Source;
use super::time_format::TimeFormat;
use super::typed::typed;
use super::{Options, Proposal};
use crate::{Error, Result, Warehouse};

/// A file of any format as a table: columns with types, in groups of rows in the order of the file.
#[derive(Debug, Default)]
pub(crate) struct Table {
    pub(crate) columns: Vec<(String, Type)>,
    pub(crate) groups: Vec<Vec<ArrayRef>>,
    /// How its times are written.
    pub(crate) time_format: String,
}

impl Warehouse {
    /// Reads a file whole; a line that is no row is an error.
    pub(crate) fn read_table(&self, path: &Path, options: &Options, job: &Job) -> Result<Table> {
        let source = Source::find(&[path.to_owned()])?;
        // A table beside the events has types of its own.
        let types = PropertyTypes::default();
        self.with_types(&source, options, &types, job, |columns, proposal| {
            let mut table = Table::of(proposal);
            let format = TimeFormat::named(&proposal.mapping.time_format);
            self.read_rows(&source, columns, job, &mut |rows| {
                if let Some(reject) = rows.rejects.first() {
                    let message = format!("line {}: {}", reject.line, reject.reason);
                    return Err(Error::File { path: path.to_owned(), message }.into());
                }
                if !rows.later.is_empty() {
                    return Err(Stop::Misfit);
                }
                let mut arrays = Vec::with_capacity(rows.columns.len());
                let columns = table.columns.iter().zip(&proposal.columns);
                for (array, ((name, type_), proposed)) in rows.columns.iter().zip(columns) {
                    if !proposed.has_type() && array.null_count() < array.len() {
                        return Err(Stop::Misfit);
                    }
                    let is_time = Some(name) == proposal.mapping.time.as_ref();
                    let (array, _) =
                        normal::values(array, *type_, proposed.decimal, proposed.drops_missing);
                    let type_ = PropertyType::found(*type_);
                    let (array, misfits) = typed(&array, type_, is_time, is_time, &format);
                    if !misfits.is_empty() && !is_time {
                        return Err(Stop::Misfit);
                    }
                    arrays.push(array);
                }
                table.groups.push(arrays);
                Ok(())
            })?;
            Ok(table)
        })
    }
}

impl Table {
    fn of(proposal: &Proposal) -> Self {
        let mapping = &proposal.mapping;
        let columns = proposal.columns.iter().map(|column| {
            let type_ = match Some(&column.name) {
                name if name == Some(&mapping.customer) => Type::Text,
                name if name == mapping.time.as_ref() => Type::Time,
                _ => column.type_,
            };
            (column.name.clone(), type_)
        });
        Self {
            columns: columns.collect(),
            groups: Vec::new(),
            time_format: mapping.time_format.clone(),
        }
    }

    /// The place of a column.
    pub(crate) fn place_of(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|(known, _)| known == name)
    }
}
