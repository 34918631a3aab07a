//! A row's columns in the types that both kinds of database have, so that rows
//! are decoded by one function each.

use sqlx::{Error, Row, postgres::PgRow, sqlite::SqliteRow};

/// A row of either kind of database. `None` is NULL.
pub trait Columns {
    /// A column of bytes.
    ///
    /// # Errors
    /// There is no such column, or it holds something else.
    fn bytes(&self, column: &str) -> Result<Option<&[u8]>, Error>;

    /// A column of text.
    ///
    /// # Errors
    /// There is no such column, or it holds something else.
    fn text(&self, column: &str) -> Result<Option<&str>, Error>;

    /// A column of 64-bit integers.
    ///
    /// # Errors
    /// There is no such column, or it holds something else.
    fn integer(&self, column: &str) -> Result<Option<i64>, Error>;

    /// A column of 64-bit floating point numbers.
    ///
    /// # Errors
    /// There is no such column, or it holds something else.
    fn real(&self, column: &str) -> Result<Option<f64>, Error>;

    /// A column of flags.
    ///
    /// # Errors
    /// There is no such column, or it holds something else.
    fn flag(&self, column: &str) -> Result<Option<bool>, Error>;
}

impl Columns for SqliteRow {
    fn bytes(&self, column: &str) -> Result<Option<&[u8]>, Error> {
        self.try_get(column)
    }
    fn text(&self, column: &str) -> Result<Option<&str>, Error> {
        self.try_get(column)
    }
    fn integer(&self, column: &str) -> Result<Option<i64>, Error> {
        self.try_get(column)
    }
    fn real(&self, column: &str) -> Result<Option<f64>, Error> {
        self.try_get(column)
    }
    fn flag(&self, column: &str) -> Result<Option<bool>, Error> {
        Ok(self.try_get::<Option<i64>, _>(column)?.map(|flag| flag != 0))
    }
}

impl Columns for PgRow {
    fn bytes(&self, column: &str) -> Result<Option<&[u8]>, Error> {
        self.try_get(column)
    }
    fn text(&self, column: &str) -> Result<Option<&str>, Error> {
        self.try_get(column)
    }
    fn integer(&self, column: &str) -> Result<Option<i64>, Error> {
        self.try_get(column)
    }
    fn real(&self, column: &str) -> Result<Option<f64>, Error> {
        self.try_get(column)
    }
    fn flag(&self, column: &str) -> Result<Option<bool>, Error> {
        self.try_get(column)
    }
}
