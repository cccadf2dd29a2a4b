//! What goes wrong, as PostgreSQL's clients are told it: our texts, and the code (SQLSTATE) that fits.

use crate::error::{HistoryError, SqlError, first_line, root};
use crate::sql::{Bounds, told};

use datafusion::common::SchemaError;
use datafusion::error::DataFusionError;
use pgwire::error::{ErrorInfo, PgWireError};

/// A refusal or a failure of one statement; the connection goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Trouble {
    pub(super) state: &'static str,
    pub(super) why: String,
}

impl Trouble {
    pub(super) fn new(state: &'static str, why: impl Into<String>) -> Trouble {
        Trouble { state, why: why.into() }
    }

    /// What would write.
    pub(super) fn read_only(what: &str) -> Trouble {
        Trouble::new("25006", format!("{what} is refused: this server is asked and not written to"))
    }

    pub(super) fn unsupported(why: impl Into<String>) -> Trouble {
        Trouble::new("0A000", why)
    }

    pub(super) fn canceled() -> Trouble {
        Trouble::new("57014", "the query was canceled by its client")
    }

    pub(super) fn of(error: &DataFusionError, bounds: &Bounds) -> Trouble {
        let why = told(error, bounds);
        let state = match root(error) {
            DataFusionError::SchemaError(why, _) => match why.as_ref() {
                SchemaError::FieldNotFound { .. } => "42703",
                SchemaError::AmbiguousReference { .. } => "42702",
                _ => "42701",
            },
            DataFusionError::SQL(..) => "42601",
            DataFusionError::NotImplemented(_) => "0A000",
            DataFusionError::Plan(text) if text.starts_with("Invalid function") => "42883",
            // What SQLOptions says.
            DataFusionError::Plan(text) if text.contains(" not supported: ") => {
                return Trouble::read_only("a statement that writes");
            }
            DataFusionError::Plan(_) => "42000",
            DataFusionError::ArrowError(why, _) => match why.as_ref() {
                datafusion::arrow::error::ArrowError::DivideByZero => "22012",
                datafusion::arrow::error::ArrowError::CastError(_)
                | datafusion::arrow::error::ArrowError::ParseError(_) => "22P02",
                datafusion::arrow::error::ArrowError::ArithmeticOverflow(_) => "22003",
                _ => "22000",
            },
            DataFusionError::Execution(_) => "22000",
            _ => return Trouble::from(why),
        };
        Trouble::new(state, why.to_string())
    }
}

impl From<SqlError> for Trouble {
    fn from(error: SqlError) -> Trouble {
        let state = match &error {
            SqlError::Wrong(_) => "42000",
            // A table: columns are told by DataFusion.
            SqlError::Unknown(_) => "42P01",
            SqlError::Time(_) | SqlError::Late(_) => "57014",
            SqlError::Memory(..) => "53200",
            SqlError::History(_) => "58000",
            SqlError::Failed(_) => "XX000",
        };
        Trouble::new(state, error.to_string())
    }
}

impl From<HistoryError> for Trouble {
    fn from(error: HistoryError) -> Trouble {
        SqlError::from(error).into()
    }
}

impl From<Trouble> for ErrorInfo {
    fn from(trouble: Trouble) -> ErrorInfo {
        ErrorInfo::new("ERROR".to_owned(), trouble.state.to_owned(), trouble.why)
    }
}

impl From<Trouble> for PgWireError {
    fn from(trouble: Trouble) -> PgWireError {
        PgWireError::UserError(Box::new(trouble.into()))
    }
}

/// What pgwire itself says, in fewer words.
pub(super) fn plain(error: PgWireError) -> Trouble {
    let info = ErrorInfo::from(error);
    let state = match info.code.as_str() {
        "22023" => "22023",
        "22P02" => "22P02",
        "22003" => "22003",
        "08P01" => "08P01",
        _ => "XX000",
    };
    Trouble::new(state, first_line(info.message))
}
