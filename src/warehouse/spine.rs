use std::path::Path;

use kernel::domain::{Time, Type};
use kernel::expression::quote_identifier;
use kernel::features::{Cell, Column, Occasions};

use crate::arrow::{Texts, Values, micros};
use crate::import::{Options, infer, raw, source};
use crate::{Error, Result, Warehouse, instance};

/// A spine as a file has it: who and when, and what else is known of each row.
#[derive(Clone, Debug)]
pub struct SpineFile {
    /// Who; never null.
    pub customers: Column,
    /// When.
    pub times: Vec<Time>,
    /// The other columns: context, and perhaps `label`.
    pub occasions: Occasions,
}

impl Warehouse {
    /// Reads a spine from a file of any format that imports: `customer_id` and `as_of`, then what is
    /// known of each row.
    ///
    /// # Errors
    /// The file cannot be read, lacks one of the two columns, or has a row without one of them.
    pub fn read_spine(&self, path: &Path) -> Result<SpineFile> {
        let bad = |message: String| Error::File { path: path.to_owned(), message };
        let source = source::Source::find(&[path.to_owned()])?;
        let connection = instance::open_for_files(self.staging())?;
        let raw = raw::read(&connection, &source, &self.staged("spine"), None)?;
        let options = Options {
            customer: Some("customer_id".to_owned()),
            time: Some("as_of".to_owned()),
            event_name: Some("spine".to_owned()),
            ..Options::default()
        };
        let proposal = infer::propose(&connection, &source, &raw, &options)?;
        if let Some(reject) = raw.rejects.first() {
            return Err(bad(format!("line {}: {}", reject.line, reject.reason)));
        }
        let format = &proposal.mapping.time_format;
        let mut selected = Vec::new();
        let mut names: Vec<(String, Type)> = Vec::new();
        for (place, (column, proposed)) in raw.columns.iter().zip(&proposal.columns).enumerate() {
            let type_ = match column.name.as_str() {
                "customer_id" => Type::Text,
                "as_of" => Type::Time,
                _ => proposed.type_,
            };
            let sql = infer::as_type(column, place, type_, format);
            let sql = format!("{sql} AS {}", quote_identifier(&column.name));
            if !["customer_id", "as_of"].contains(&column.name.as_str()) {
                names.push((column.name.clone(), type_));
            }
            selected.push(sql);
        }
        let sql = format!("SELECT {} FROM raw ORDER BY line", selected.join(", "));
        let failed = || Error::duckdb("read the spine");
        let mut statement = connection.prepare(&sql).map_err(failed())?;
        let mut file = SpineFile {
            customers: Column::new(Type::Text),
            times: Vec::new(),
            occasions: Occasions {
                columns: names
                    .into_iter()
                    .map(|(name, type_)| (name, Column::new(type_)))
                    .collect(),
            },
        };
        for batch in statement.stream_arrow([]).map_err(failed())? {
            let batch = batch.map_err(failed())?;
            let column = |name: &str| batch.column_by_name(name).unwrap_or(batch.column(0));
            let (customers, times) = (column("customer_id"), column("as_of"));
            for row in 0..batch.num_rows() {
                let line = file.times.len() + 1;
                if customers.is_null(row) {
                    return Err(bad(format!("row {line} has no customer_id")));
                }
                if times.is_null(row) {
                    return Err(bad(format!("row {line}: as_of is not a time as {format}")));
                }
                file.customers.push(Cell::Text(Texts::of(customers).text(row)));
                file.times.push(Time(micros(times)[row]));
            }
            for (name, values) in &mut file.occasions.columns {
                let array = Values::of(column(name));
                (0..batch.num_rows()).for_each(|row| values.push(array.cell(row)));
            }
        }
        Ok(file)
    }
}
