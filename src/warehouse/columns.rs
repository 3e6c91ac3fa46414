use duckdb::Connection;
use kernel::expression::quote_identifier;

use crate::ExportFormat;
use crate::statement::statement_of;

/// A column of a query, as DuckDB describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Described {
    pub(crate) name: String,
    /// The type as SQL, such as `DECIMAL(10,2)[]`.
    pub(crate) type_: String,
}

/// How cells of a column are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    /// As the client library gives them.
    Native,
    /// As text of a number, which may have more digits than a float keeps.
    Number,
    /// As the text that DuckDB prints.
    Text,
    /// As text of JSON.
    Json,
}

/// Types that the client library gives as values of ours.
const NATIVE: [&str; 17] = [
    "BOOLEAN",
    "TINYINT",
    "SMALLINT",
    "INTEGER",
    "BIGINT",
    "UTINYINT",
    "USMALLINT",
    "UINTEGER",
    "UBIGINT",
    "FLOAT",
    "DOUBLE",
    "VARCHAR",
    "DATE",
    "TIMESTAMP",
    "TIMESTAMP_S",
    "TIMESTAMP_MS",
    "TIMESTAMP WITH TIME ZONE",
];
/// Types whose lists and counts are values of ours.
const ELEMENTS: [&str; 6] = ["BOOLEAN", "INTEGER", "BIGINT", "DOUBLE", "VARCHAR", "TIMESTAMP"];
/// Words in types that a Parquet file has not, or has with less than DuckDB.
const NOT_IN_PARQUET: [&str; 9] = [
    "INTERVAL",
    "UNION(",
    "HUGEINT",
    "TIME WITH TIME ZONE",
    "BIGNUM",
    "BIT",
    "VARIANT",
    "\"NULL\"",
    "TIME_NS",
];

/// The columns of a query that gives rows; none of a statement that cannot be described.
pub(crate) fn describe(connection: &Connection, sql: &str) -> Option<Vec<Described>> {
    let mut statement = connection.prepare(&format!("DESCRIBE {}", statement_of(sql))).ok()?;
    let columns = statement
        .query_map([], |row| Ok(Described { name: row.get(0)?, type_: row.get(1)? }))
        .ok()?;
    columns.collect::<duckdb::Result<_>>().ok()
}

impl Described {
    /// How its cells are read; lists and the like as JSON if that is wanted.
    pub(crate) fn reading(&self, nested_as_json: bool) -> Reading {
        let type_ = self.type_.as_str();
        if self.is_native() {
            return Reading::Native;
        }
        if is_wide_number(type_) {
            return Reading::Number;
        }
        let is_nested = type_.ends_with(']')
            || type_ == "VARIANT"
            || ["STRUCT(", "MAP(", "UNION("].iter().any(|start| type_.starts_with(start));
        if nested_as_json && is_nested { Reading::Json } else { Reading::Text }
    }

    fn is_native(&self) -> bool {
        let type_ = self.type_.as_str();
        let is_element = |type_: &str| ELEMENTS.contains(&type_);
        let counted = type_.strip_prefix("MAP(").and_then(|rest| {
            rest.strip_suffix(", BIGINT)").or_else(|| rest.strip_suffix(", UBIGINT)"))
        });
        NATIVE.contains(&type_)
            || type_.strip_suffix("[]").is_some_and(is_element)
            || counted.is_some_and(is_element)
    }

    /// Whether only a text of it goes through a Parquet file unchanged.
    pub(crate) fn is_lossy_in_parquet(&self) -> bool {
        NOT_IN_PARQUET.iter().any(|word| self.type_.contains(word))
    }

    /// SQL that gives its cells, from a column of a name.
    pub(crate) fn read(&self, column: &str, reading: Reading) -> String {
        match reading {
            Reading::Native => column.to_owned(),
            Reading::Number | Reading::Text => format!("CAST({column} AS VARCHAR)"),
            Reading::Json => format!("CAST(to_json({column}) AS VARCHAR)"),
        }
    }

    /// SQL that gives its cells as a file can have them, from a column of a name; none if it has them as they
    /// are.
    pub(crate) fn written(
        &self,
        column: &str,
        format: ExportFormat,
        wide_as_text: bool,
    ) -> Option<String> {
        let is_float = matches!(self.type_.as_str(), "DOUBLE" | "FLOAT");
        match format {
            ExportFormat::Csv => None,
            // JSON has no number that is not finite.
            ExportFormat::Ndjson => {
                is_float.then(|| format!("CASE WHEN isfinite({column}) THEN {column} END"))
            }
            // Wide whole numbers would be rounded to floats.
            ExportFormat::Parquet if self.type_ == "HUGEINT" && !wide_as_text => {
                Some(format!("CAST({column} AS DECIMAL(38, 0))"))
            }
            ExportFormat::Parquet => {
                self.is_lossy_in_parquet().then(|| format!("CAST({column} AS VARCHAR)"))
            }
        }
    }
}

/// Whether a type is of numbers that a float may not hold.
fn is_wide_number(type_: &str) -> bool {
    matches!(type_, "HUGEINT" | "UHUGEINT" | "BIGNUM")
        || (type_.starts_with("DECIMAL(") && type_.ends_with(')'))
}

/// A query of expressions over the columns of another, which have the names `c0`, `c1` and so on there.
pub(crate) fn over(sql: &str, columns: usize, expressions: &[String]) -> String {
    let names: Vec<String> = (0..columns).map(name).collect();
    format!(
        "SELECT {} FROM (\n{}\n) AS result({})",
        expressions.join(", "),
        statement_of(sql),
        names.join(", ")
    )
}

/// The name of a column by its position: a query may give two the same.
pub(crate) fn name(position: usize) -> String {
    format!("c{position}")
}

/// A query whose columns a file can have, with the names that they have; none if it is that already. Numbers
/// of more than 38 digits fit a file as text only.
pub(crate) fn writable(
    connection: &Connection,
    sql: &str,
    format: ExportFormat,
    wide_as_text: bool,
) -> Option<String> {
    let columns = describe(connection, sql)?;
    let written: Vec<Option<String>> = (0..)
        .zip(&columns)
        .map(|(position, column)| column.written(&name(position), format, wide_as_text))
        .collect();
    written.iter().any(Option::is_some).then(|| {
        let each = (0..).zip(&columns).zip(written).map(|((position, column), written)| {
            let sql = written.unwrap_or_else(|| name(position));
            format!("{sql} AS {}", quote_identifier(&column.name))
        });
        over(sql, columns.len(), &each.collect::<Vec<_>>())
    })
}
