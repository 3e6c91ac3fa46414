use duckdb::Connection;
use duckdb::arrow::array::ArrayRef;
use kernel::domain::{Job, Type};
use kernel::features::{Catalog, EventRun, TimelinesBuilder};

use super::cache::Kept;
use super::read::read_changes;
use crate::arrow::Values;
use crate::{Error, Result, Warehouse, catalog};

/// Timelines that grow while the first events of a warehouse are imported, so that nobody has to read
/// them out of it again.
pub(crate) struct Growing {
    catalog: Catalog,
    builder: TimelinesBuilder,
    /// Where the values of each property of the builder are in the rows that come; none if not there.
    places: Vec<Option<usize>>,
    budget: usize,
}

impl Growing {
    /// Begins with nothing, for rows whose properties have these columns, in their order. None where rows
    /// may belong to another customer than they say.
    pub(crate) fn begin<'c>(
        warehouse: &Warehouse,
        connection: &Connection,
        columns: impl Iterator<Item = (&'c str, Type)>,
    ) -> Result<Option<Self>> {
        let has_aliases: bool = connection
            .query_row("SELECT count(*) > 0 FROM aliases", [], |row| row.get(0))
            .map_err(Error::duckdb("look for aliases"))?;
        if has_aliases {
            return Ok(None);
        }
        let catalog = catalog::of(connection, &warehouse.types())?;
        let builder = TimelinesBuilder::new(&catalog);
        let budget = warehouse.cache.budget;
        let mut growing = Self { catalog, builder, places: Vec::new(), budget };
        growing.open(columns);
        Ok(Some(growing))
    }

    /// Goes on with rows whose properties have these columns, in their order; those that are new had no
    /// value before.
    pub(crate) fn open<'c>(&mut self, columns: impl Iterator<Item = (&'c str, Type)>) {
        let columns: Vec<(&str, Type)> = columns.collect();
        for (column, type_) in &columns {
            if self.catalog.properties.get(*column) != Some(type_) {
                self.catalog.properties.insert((*column).to_owned(), *type_);
                self.builder.open(column, *type_);
            }
        }
        let place = |name: &str| columns.iter().position(|(column, _)| *column == name);
        self.places = self.builder.properties().map(place).collect();
    }

    /// Adds events, with their properties in the order of the columns.
    pub(crate) fn add<'c>(&mut self, run: &EventRun<'_, 'c>, properties: &'c [ArrayRef]) {
        let values = |place: &Option<usize>| Values::unless_null(&properties[(*place)?]);
        let values: Vec<Option<Values<'_>>> = self.places.iter().map(values).collect();
        self.builder.events(run, |place| {
            let values = values[place].as_ref()?;
            Some(|row| values.cell(row))
        });
    }

    /// Whether they fit the budget of memory, while they grow.
    pub(crate) fn fits(&self) -> bool {
        self.builder.bytes() <= self.budget
    }

    /// Keeps them as the timelines of the warehouse, if it holds just what they were made of. Else they
    /// are read when they are needed.
    pub(crate) fn keep(self, warehouse: &Warehouse, job: &Job) {
        // What fails here is found and said when timelines are asked for.
        drop(self.try_keep(warehouse, job));
    }

    fn try_keep(mut self, warehouse: &Warehouse, job: &Job) -> Result<()> {
        let connection = warehouse.connect()?;
        warehouse.keep_if_same(&connection, |state| {
            if !state.has_only_events(self.builder.n_events()) {
                return Ok(None);
            }
            read_changes(&mut self.builder, &connection, &self.catalog, "true", job)?;
            let timelines = self.builder.finish().into();
            Ok(Some(Kept { catalog: self.catalog, state, timelines }))
        })
    }
}
