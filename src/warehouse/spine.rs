use std::path::Path;

use duckdb::arrow::array::Array;
use kernel::domain::{Job, Time, Type};
use kernel::features::{Cell, Column, Occasions};

use crate::arrow::Values;
use crate::import::Options;
use crate::{Error, Result, Warehouse};

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
        let options = Options {
            customer: Some("customer_id".to_owned()),
            time: Some("as_of".to_owned()),
            event_name: Some("spine".to_owned()),
            ..Options::default()
        };
        let table = self.read_table(path, &options, &Job::unwatched())?;
        let (Some(who), Some(when)) = (table.place_of("customer_id"), table.place_of("as_of"))
        else {
            return Err(bad("it has no columns customer_id and as_of".to_owned()));
        };
        let places = (0..table.columns.len()).filter(|place| ![who, when].contains(place));
        let places: Vec<usize> = places.collect();
        let column = |place: &usize| {
            let (name, type_) = &table.columns[*place];
            (name.clone(), Column::new(*type_))
        };
        let mut file = SpineFile {
            customers: Column::new(Type::Text),
            times: Vec::new(),
            occasions: Occasions { columns: places.iter().map(column).collect() },
        };
        for group in &table.groups {
            let (customers, times) = (Values::of(&group[who]), Values::of(&group[when]));
            for row in 0..group[who].len() {
                let line = file.times.len() + 1;
                let Cell::Text(customer) = customers.cell(row) else {
                    return Err(bad(format!("row {line} has no customer_id")));
                };
                let Cell::Time(time) = times.cell(row) else {
                    let format = &table.time_format;
                    return Err(bad(format!("row {line}: as_of is not a time as {format}")));
                };
                file.customers.push(Cell::Text(customer));
                file.times.push(time);
            }
            for ((_, values), place) in file.occasions.columns.iter_mut().zip(&places) {
                let array = Values::of(&group[*place]);
                (0..group[*place].len()).for_each(|row| values.push(array.cell(row)));
            }
        }
        Ok(file)
    }
}
