//! SQL scalar expressions with DuckDB's meaning: the one expression language of the product.
//!
//! In: a text and a [`Scope`] that knows the columns. Out: a checked [`Expression`] that evaluates a
//! row and prints itself as DuckDB SQL. An expression is total: it never panics, never loops, and
//! where DuckDB would stop the query with an error (a cast of a text that is no number) it gives null.
//! Numbers follow IEEE 754, as DuckDB's doubles do: the logarithm of zero is negative infinity.
//! Never: aggregates, subqueries, or anything that is not a function of the row.

mod calendar;
mod call;
mod check;
mod check_function;
mod error;
mod evaluate;
mod function;
mod growth;
mod node;
mod number;
mod parse;
mod sql;
mod text;

pub use check::Scope;
pub use error::ExpressionError;
pub use function::Function;
pub use sql::{quote_identifier, quote_text};

use crate::domain::{Cell, Type, Value};
use node::Node;

/// The longest source text, in bytes.
pub const LONGEST_SOURCE: usize = 8 * 1024;
/// The deepest nesting.
pub const DEEPEST: usize = 128;
/// Maximum number of tokens of the source, but for commas, parentheses and blanks.
pub const MOST_TOKENS: usize = 2_000;
/// The most nodes of a checked expression, which bounds the cost of one evaluation.
pub const MOST_NODES: usize = 1_000;

/// A checked expression: typed, bounded, ready to evaluate.
#[derive(Clone, Debug)]
pub struct Expression {
    root: Node,
    result: Option<Type>,
    columns: Vec<(String, Type)>,
}

impl Expression {
    /// Parses and checks `source` against the columns of `scope`.
    ///
    /// # Errors
    /// The text is no expression, names an unknown column or function, mixes types, or is too large;
    /// the error has the place in the text.
    pub fn compile(source: &str, scope: &dyn Scope) -> Result<Self, ExpressionError> {
        let parsed = parse::parse(source)?;
        let mut checker = check::Checker::new(scope);
        let (root, result) = checker.check(&parsed)?;
        Ok(Self { root, result, columns: checker.into_columns() })
    }

    /// The columns that it reads, in the order of their indexes.
    #[must_use]
    pub fn columns(&self) -> &[(String, Type)] {
        &self.columns
    }

    /// Its type; none if it is always null.
    #[must_use]
    pub const fn result(&self) -> Option<Type> {
        self.result
    }

    /// How many times the texts of its columns can be in its result, at most; `column` gives the same for a column
    /// by its index in [`Self::columns`].
    #[must_use]
    pub fn text_copies(&self, column: &dyn Fn(usize) -> usize) -> usize {
        growth::text_copies(&self.root, column)
    }

    /// Its value for one row; `column` gives the value of a column by its index in [`Self::columns`].
    #[must_use]
    pub fn evaluate<'a>(&'a self, column: &dyn Fn(usize) -> Cell<'a>) -> Value {
        evaluate::evaluate(&self.root, column).into()
    }

    /// Whether its value for one row is true, neither false nor null.
    #[must_use]
    pub fn is_true<'a>(&'a self, column: &dyn Fn(usize) -> Cell<'a>) -> bool {
        evaluate::evaluate(&self.root, column) == evaluate::Operand::Boolean(true)
    }

    /// The same as DuckDB SQL; `column` gives the SQL of a column by its index in [`Self::columns`].
    #[must_use]
    pub fn to_sql(&self, column: &dyn Fn(usize) -> String) -> String {
        sql::print(&self.root, column)
    }
}
