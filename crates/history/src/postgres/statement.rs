//! What a statement is: a question, or one of those that clients send around questions. Everything else is refused by name.

use super::trouble::Trouble;
use datafusion::sql::sqlparser::ast::{CloseCursor, Expr, Set, Statement, TransactionMode, Value};
use std::time::Duration;

/// A statement, as far as it matters who answers it.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Asked {
    /// A question: planned and run.
    Question,
    /// The beginning of a transaction.
    Begin,
    /// Its end, well.
    Commit,
    /// Its end, badly.
    Rollback,
    /// A place in a transaction to come back to: there is nothing to keep. The tag to answer with.
    Savepoint(&'static str),
    /// Back to there: a transaction that failed goes on.
    RollbackTo,
    /// A setting.
    Set(Setting),
    /// What a setting is.
    Show(String),
    /// A prepared statement is let go of; all of them.
    Deallocate(Option<String>),
    /// Nothing has to be done; the tag to answer with.
    Nothing(&'static str),
}

/// A setting that is taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Setting {
    /// How long a statement may take; none for as long as any may.
    Timeout(Option<Duration>),
    /// It changes nothing here.
    Other,
}

/// Settings that clients make and that change nothing in what is answered.
const IGNORED: [&str; 12] = [
    "application_name",
    "bytea_output",
    "client_min_messages",
    "datestyle",
    "default_transaction_isolation",
    "default_transaction_read_only",
    "extra_float_digits",
    "idle_in_transaction_session_timeout",
    "intervalstyle",
    "lock_timeout",
    "search_path",
    "standard_conforming_strings",
];

/// Looks at a statement.
///
/// # Errors
/// When it writes, or asks for what is not there.
pub(super) fn read(statement: &Statement) -> Result<Asked, Trouble> {
    Ok(match statement {
        Statement::Query(_)
        | Statement::ShowTables { .. }
        | Statement::ShowColumns { .. }
        | Statement::ExplainTable { .. } => Asked::Question,
        Statement::Explain { statement, .. } => match read(statement)? {
            Asked::Question => Asked::Question,
            _ => return Err(Trouble::unsupported("only a SELECT can be explained")),
        },
        Statement::StartTransaction { .. } => Asked::Begin,
        Statement::Commit { .. } => Asked::Commit,
        Statement::Rollback { savepoint: None, .. } => Asked::Rollback,
        Statement::Set(set) => Asked::Set(setting(set)?),
        Statement::ShowVariable { variable } => {
            let words: Vec<String> = variable.iter().map(|w| w.value.to_lowercase()).collect();
            Asked::Show(words.join(" "))
        }
        Statement::Deallocate { name, .. } if name.value.eq_ignore_ascii_case("all") => {
            Asked::Deallocate(None)
        }
        Statement::Deallocate { name, .. } => Asked::Deallocate(Some(name.value.clone())),
        Statement::Discard { .. } => Asked::Nothing("DISCARD ALL"),
        Statement::Reset(_) => Asked::Nothing("RESET"),
        Statement::UNLISTEN { .. } => Asked::Nothing("UNLISTEN"),
        Statement::Close { cursor: CloseCursor::All } => Asked::Nothing("CLOSE CURSOR ALL"),
        Statement::Declare { .. } | Statement::Fetch { .. } | Statement::Close { .. } => {
            return Err(Trouble::unsupported(
                "there are no cursors; rows come as they are found, and a driver can fetch them in parts (fetch size)",
            ));
        }
        Statement::Prepare { .. } | Statement::Execute { .. } => {
            return Err(Trouble::unsupported(
                "PREPARE and EXECUTE are not taken as SQL; prepare the statement with your driver",
            ));
        }
        Statement::Savepoint { .. } => Asked::Savepoint("SAVEPOINT"),
        Statement::ReleaseSavepoint { .. } => Asked::Savepoint("RELEASE"),
        Statement::Rollback { .. } => Asked::RollbackTo,
        Statement::Copy { .. } => {
            return Err(Trouble::read_only("COPY"));
        }
        other => return Err(Trouble::read_only(&first_words(&other.to_string()))),
    })
}

/// A text that is no SQL; what it begins with may say that it was meant to write.
pub(super) fn unread(text: &str, why: &str) -> Trouble {
    const WRITES: [&str; 17] = [
        "alter", "analyze", "call", "cluster", "copy", "create", "delete", "do", "drop", "grant", "insert",
        "merge", "reindex", "revoke", "truncate", "update", "vacuum",
    ];
    let first = text.split_whitespace().next().unwrap_or_default().to_lowercase();
    if WRITES.contains(&first.as_str()) {
        return Trouble::read_only(&first_words(text));
    }
    Trouble::new("42601", crate::error::first_line(why))
}

/// The name of a statement: the words in capitals that it begins with.
fn first_words(text: &str) -> String {
    let word = |w: &&str| w.len() > 1 && w.bytes().all(|b| b.is_ascii_alphabetic());
    let words: Vec<String> =
        text.split_whitespace().take(2).take_while(word).map(str::to_uppercase).collect();
    let both = words.first().is_some_and(|w| ["CREATE", "DROP", "ALTER"].contains(&w.as_str()));
    words.into_iter().take(if both { 2 } else { 1 }).collect::<Vec<_>>().join(" ")
}

fn setting(set: &Set) -> Result<Setting, Trouble> {
    let cannot = |name: &str| {
        let known = ["client_encoding", "statement_timeout", "timezone"].iter().chain(&IGNORED);
        let mut known: Vec<&str> = known.copied().collect();
        known.sort_unstable();
        Trouble::new("42704", format!("`{name}` cannot be set here; what can be: {}", known.join(", ")))
    };
    match set {
        Set::SingleAssignment { variable, values, .. } => {
            let name = variable.to_string().to_lowercase();
            let value = values.first().map(plain).unwrap_or_default();
            match name.as_str() {
                "statement_timeout" => Ok(Setting::Timeout(timeout(&value)?)),
                "timezone" => time_zone(&value),
                "client_encoding" => encoding(&value),
                name if IGNORED.contains(&name) => Ok(Setting::Other),
                _ => Err(cannot(&name)),
            }
        }
        Set::SetTimeZone { value, .. } => time_zone(&plain(value)),
        Set::SetNames { charset_name, .. } => encoding(&charset_name.value),
        Set::SetTransaction { modes, .. } => {
            let writes = modes.iter().any(|m| {
                m.to_string().eq_ignore_ascii_case("read write")
                    && matches!(m, TransactionMode::AccessMode(_))
            });
            if writes { Err(Trouble::read_only("READ WRITE")) } else { Ok(Setting::Other) }
        }
        other => Err(cannot(other.to_string().trim_start_matches("SET "))),
    }
}

/// A value without its quotes.
fn plain(value: &Expr) -> String {
    match value {
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text) | Value::DoubleQuotedString(text) => text.clone(),
            other => other.to_string(),
        },
        other => other.to_string().trim_matches('"').to_owned(),
    }
}

/// A length of time: milliseconds, or a number with a unit; none for 0.
pub(super) fn timeout(value: &str) -> Result<Option<Duration>, Trouble> {
    let lower = value.trim().to_lowercase();
    if ["default", ""].contains(&lower.as_str()) {
        return Ok(None);
    }
    let digits = lower.find(|c: char| !c.is_ascii_digit()).unwrap_or(lower.len());
    let (number, unit) = lower.split_at(digits);
    let unit = match unit.trim() {
        "" | "ms" => 1,
        "s" => 1_000,
        "min" => 60_000,
        "h" => 3_600_000,
        _ => 0,
    };
    let millis = number.parse::<u64>().ok().filter(|_| unit > 0).and_then(|n| n.checked_mul(unit));
    match millis {
        Some(0) => Ok(None),
        Some(millis) => Ok(Some(Duration::from_millis(millis))),
        None => {
            Err(Trouble::new("22023", format!("`{value}` is no time: milliseconds, or as in '5s', '1min'")))
        }
    }
}

fn time_zone(value: &str) -> Result<Setting, Trouble> {
    const UTC: [&str; 10] =
        ["default", "local", "utc", "etc/utc", "gmt", "etc/gmt", "zulu", "uct", "0", "+00"];
    if UTC.contains(&value.to_lowercase().as_str()) || value == "+00:00" {
        return Ok(Setting::Other);
    }
    Err(Trouble::new(
        "22023",
        format!("times are in UTC here, `{value}` cannot be the time zone; convert what you read"),
    ))
}

fn encoding(value: &str) -> Result<Setting, Trouble> {
    if ["utf8", "utf-8", "unicode", "default"].contains(&value.to_lowercase().as_str()) {
        return Ok(Setting::Other);
    }
    Err(Trouble::new("22023", format!("texts are in UTF8 here, not in `{value}`")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
    use datafusion::sql::sqlparser::parser::Parser;

    fn asked(text: &str) -> Result<Asked, Trouble> {
        match Parser::parse_sql(&PostgreSqlDialect {}, text) {
            Ok(all) => read(&all[0]),
            Err(e) => Err(unread(text, &e.to_string())),
        }
    }

    #[test]
    fn questions_and_what_is_around_them_are_taken() {
        for (text, wanted) in [
            ("select 1", Asked::Question),
            ("values (1)", Asked::Question),
            ("explain select 1", Asked::Question),
            ("with a as (select 1) select * from a", Asked::Question),
            ("begin", Asked::Begin),
            ("start transaction read only", Asked::Begin),
            ("commit", Asked::Commit),
            ("end", Asked::Commit),
            ("rollback", Asked::Rollback),
            ("savepoint a", Asked::Savepoint("SAVEPOINT")),
            ("rollback to savepoint a", Asked::RollbackTo),
            ("set statement_timeout = 250", Asked::Set(Setting::Timeout(Some(Duration::from_millis(250))))),
            ("set statement_timeout to '2s'", Asked::Set(Setting::Timeout(Some(Duration::from_secs(2))))),
            ("set statement_timeout = 0", Asked::Set(Setting::Timeout(None))),
            ("set session application_name = 'x'", Asked::Set(Setting::Other)),
            ("set time zone 'UTC'", Asked::Set(Setting::Other)),
            ("set timezone to 'Etc/UTC'", Asked::Set(Setting::Other)),
            ("set client_encoding to 'UTF8'", Asked::Set(Setting::Other)),
            ("set transaction isolation level serializable", Asked::Set(Setting::Other)),
            ("show server_version", Asked::Show("server_version".to_owned())),
            ("deallocate all", Asked::Deallocate(None)),
            ("deallocate _pg3_0", Asked::Deallocate(Some("_pg3_0".to_owned()))),
            ("discard all", Asked::Nothing("DISCARD ALL")),
        ] {
            assert_eq!(asked(text), Ok(wanted), "{text}");
        }
    }

    #[test]
    fn what_writes_or_reads_files_is_refused_by_name() {
        for (text, state, word) in [
            ("insert into flows values (1)", "25006", "INSERT"),
            ("update flows set count = 1", "25006", "UPDATE"),
            ("delete from flows", "25006", "DELETE"),
            ("truncate flows", "25006", "TRUNCATE"),
            ("drop table flows", "25006", "DROP TABLE"),
            ("create table x as select 1", "25006", "CREATE TABLE"),
            ("create view x as select 1", "25006", "CREATE VIEW"),
            ("create external table x stored as csv location '/etc/passwd'", "25006", "CREATE EXTERNAL"),
            ("copy flows to '/tmp/x'", "25006", "COPY"),
            ("copy (select 1) to stdout", "25006", "COPY"),
            ("explain insert into flows values (1)", "25006", "INSERT"),
            ("vacuum", "25006", "VACUUM"),
            ("do $$ begin end $$", "25006", "DO"),
            ("grant select on flows to x", "25006", "GRANT"),
            ("set datafusion.runtime.memory_limit = '100G'", "42704", "datafusion.runtime.memory_limit"),
            ("set role x", "42704", "ROLE"),
            ("set time zone 'Europe/Berlin'", "22023", "UTC"),
            ("set client_encoding to 'LATIN1'", "22023", "UTF8"),
            ("set statement_timeout = 'soon'", "22023", "soon"),
            ("set transaction read write", "25006", "READ WRITE"),
            ("declare c cursor for select 1", "0A000", "cursors"),
            ("prepare x as select 1", "0A000", "driver"),
            ("listen x", "25006", "LISTEN"),
            ("selec 1", "42601", "selec"),
        ] {
            let trouble = asked(text).expect_err(text);
            assert_eq!(trouble.state, state, "{text}: {trouble:?}");
            assert!(trouble.why.contains(word), "{text}: {trouble:?}");
        }
    }
}
