//! The version of the form in which tables are written.

/// Tables of a higher format are not touched: what a later version means by its columns cannot be guessed.
pub(crate) const FORMAT: u32 = 1;
/// The table property that says it.
pub(crate) const PROPERTY: &str = "e2egraph.format";
/// Rows of a batch: what is made, written and read at once.
pub(crate) const BATCH_ROWS: usize = 8_192;
/// Rows of a row group: what a reader can leave out by its statistics.
pub(crate) const GROUP_ROWS: usize = 256 * 1024;
