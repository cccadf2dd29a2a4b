//! What clients ask about the server, in functions and by `SHOW`.

use super::catalog::DATABASE;
use datafusion::arrow::array::{Array as _, ArrayRef, AsArray as _, StringArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue, exec_err};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::prelude::SessionContext;
use std::sync::Arc;

/// The version of PostgreSQL whose catalog is shown.
pub(super) const VERSION: &str = "16.6";

/// Settings by name, as `SHOW` tells them.
const SETTINGS: [(&str, &str); 22] = [
    ("application_name", ""),
    ("bytea_output", "hex"),
    ("client_encoding", "UTF8"),
    ("datestyle", "ISO, MDY"),
    ("default_transaction_isolation", "read committed"),
    ("default_transaction_read_only", "on"),
    ("extra_float_digits", "1"),
    ("integer_datetimes", "on"),
    ("intervalstyle", "postgres"),
    ("lc_collate", "C"),
    ("lc_ctype", "C"),
    ("max_identifier_length", "63"),
    ("search_path", "public"),
    ("server_encoding", "UTF8"),
    ("server_version", VERSION),
    ("server_version_num", "160006"),
    ("standard_conforming_strings", "on"),
    ("statement_timeout", "0"),
    ("timezone", "UTC"),
    ("transaction_isolation", "read committed"),
    ("transaction_read_only", "on"),
    ("is_superuser", "off"),
];

/// A setting.
pub(super) fn setting(name: &str) -> Option<&'static str> {
    let name = match name.to_lowercase().as_str() {
        "time zone" => "timezone".to_owned(),
        "transaction isolation level" => "transaction_isolation".to_owned(),
        name => name.to_owned(),
    };
    SETTINGS.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
}

/// Functions that PostgreSQL has and DataFusion has not, as far as clients call them by themselves.
pub(super) fn register(context: &SessionContext) {
    for name in [
        "current_setting",
        "obj_description",
        "col_description",
        "shobj_description",
        "pg_get_indexdef",
        "pg_get_viewdef",
    ] {
        context.register_udf(ScalarUDF::from(Told { name, of: Of::Name }));
    }
    for name in ["version", "inet_server_addr"] {
        context.register_udf(ScalarUDF::from(Told { name, of: Of::Nothing }));
    }
    context.register_udf(ScalarUDF::from(No { name: "pg_is_in_recovery" }));
    context.register_udf(ScalarUDF::from(No { name: "pg_advisory_unlock_all" }));
}

/// What a text depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Of {
    Name,
    Nothing,
}

/// A function that gives a text, or nothing.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Told {
    name: &'static str,
    of: Of,
}

impl Told {
    fn text(&self, first: &str) -> Option<String> {
        match self.name {
            "current_setting" => setting(first).map(str::to_owned),
            "version" => Some(format!("PostgreSQL {VERSION} ({DATABASE} {})", env!("CARGO_PKG_VERSION"))),
            _ => None,
        }
    }
}

impl ScalarUDFImpl for Told {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        static ANY: std::sync::LazyLock<Signature> =
            std::sync::LazyLock::new(|| Signature::variadic_any(Volatility::Stable));
        static NONE: std::sync::LazyLock<Signature> =
            std::sync::LazyLock::new(|| Signature::nullary(Volatility::Stable));
        if self.of == Of::Nothing { &NONE } else { &ANY }
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let Some(first) = args.args.first() else {
            return Ok(ColumnarValue::Scalar(ScalarValue::Utf8(self.text(""))));
        };
        let names: ArrayRef = cast(&first.to_array(args.number_rows)?, &DataType::Utf8)?;
        let mut told = Vec::with_capacity(names.len());
        for name in names.as_string::<i32>() {
            let value = name.and_then(|n| self.text(n));
            // Unless it says that there may be none.
            if let (Some(name), None, "current_setting", 1) = (name, &value, self.name, args.args.len()) {
                return exec_err!("there is no setting `{name}`");
            }
            told.push(value);
        }
        Ok(ColumnarValue::Array(Arc::new(StringArray::from(told))))
    }
}

/// A question that the answer to is no.
#[derive(Debug, PartialEq, Eq, Hash)]
struct No {
    name: &'static str,
}

impl ScalarUDFImpl for No {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        static NONE: std::sync::LazyLock<Signature> =
            std::sync::LazyLock::new(|| Signature::nullary(Volatility::Stable));
        &NONE
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> Result<ColumnarValue> {
        Ok(ColumnarValue::Scalar(ScalarValue::Boolean(Some(false))))
    }
}
