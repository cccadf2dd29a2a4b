//! How long a chain of operators may be. Each makes a statement one level deeper, and what is that deep is copied and dropped by functions
//! that call themselves: a chain of a hundred thousand would run out of stack, and take the process along.

use crate::error::SqlError;
use datafusion::sql::sqlparser::dialect::Dialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};

/// Operators and keywords of one text. The worst of such chains overflows 4 MiB of stack and is answered with 8 MiB, by a release build;
/// threads of the program have 32.
pub(crate) const WORDS: usize = 1_000;

/// Refuses what has too many. Brackets are bounded by the parser.
pub(crate) fn bounded(text: &str, dialect: &dyn Dialect) -> Result<(), SqlError> {
    // What cannot be read is told by who reads it.
    let Ok(tokens) = Tokenizer::new(dialect, text).tokenize() else { return Ok(()) };
    let found = tokens.iter().filter(|t| deepens(t)).count();
    if found > WORDS {
        return Err(SqlError::Wrong(format!(
            "a statement of {found} operators and keywords; it may have {WORDS} (sql_words). Lists (`in (…)`, `values`) may be longer"
        )));
    }
    Ok(())
}

/// Whether a token may make a statement deeper: all do but names, values and what stands between them.
fn deepens(token: &Token) -> bool {
    match token {
        Token::Word(word) => word.keyword != Keyword::NoKeyword,
        Token::Whitespace(_)
        | Token::Comma
        | Token::Period
        | Token::SemiColon
        | Token::LParen
        | Token::RParen
        | Token::Number(..)
        | Token::Placeholder(_)
        | Token::SingleQuotedString(_)
        | Token::DoubleQuotedString(_)
        | Token::EscapedStringLiteral(_)
        | Token::NationalStringLiteral(_)
        | Token::HexStringLiteral(_) => false,
        _ => true,
    }
}
