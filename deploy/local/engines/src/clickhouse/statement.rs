//! Parses a request's SQL as far as the HTTP interface requires: which part of it is data, what can be streamed, and
//! what an embedded engine would do that a server does not.

use std::path::Path;

use super::{
    exception::{ClickHouseException, ExceptionCode},
    login_access::LoginAccess,
    stream_framing::StreamFraming,
    tokenizer::{SqlToken, SqlTokenizer, TokenKind},
};

/// A statement, parsed as far as needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ParsedStatement {
    /// `SELECT`, also behind `WITH`, `FROM` or a parenthesis.
    Select(SelectStatement),
    /// `INSERT` followed by data in a format.
    Insert(InsertStatement),
    /// `SET` or `USE`, which change a session.
    Session,
    /// `CREATE TEMPORARY TABLE`, whose table would belong to a session.
    Temporary,
    /// Anything else.
    Other,
    /// Only blanks and comments.
    Empty,
}

/// The relevant parts of a `SELECT`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SelectStatement {
    /// The format that its text names.
    pub(super) format: Option<String>,
    /// Whether it is `WITH TOTALS`, whose second part the chunks of a stream would lose.
    pub(super) has_totals: bool,
}

impl SelectStatement {
    /// How its result can be streamed in the format that it names, else in the request's default format.
    pub(super) fn framing(&self, default_format: &str) -> Option<StreamFraming> {
        if self.has_totals {
            None
        } else {
            StreamFraming::from_format(self.format.as_deref().unwrap_or(default_format))
        }
    }
}

/// An `INSERT` with data: `INSERT INTO t (a, b) [SETTINGS ..] {FORMAT f | VALUES} data`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct InsertStatement {
    /// Format of the data.
    pub(super) format: String,
    /// Where the data starts in the text.
    pub(super) data: usize,
    /// Whether the keyword was `VALUES`.
    pub(super) has_values: bool,
    /// End of the table and columns.
    target: usize,
    /// Start of `FORMAT` or `VALUES`.
    options: usize,
}

impl InsertStatement {
    /// The statement, changed so that the engine reads the data from a file; `text` is the parsed text.
    pub(super) fn with_infile(&self, text: &[u8], file: &Path) -> Vec<u8> {
        let path = file.to_string_lossy().replace('\\', "\\\\").replace('\'', "\\'");
        let (target, options) = (&text[..self.target], &text[self.target..self.options]);
        let source = format!(" FROM INFILE '{path}' COMPRESSION 'none' ");
        [target, source.as_bytes(), options, b" FORMAT ", self.format.as_bytes()].concat()
    }
}

/// Parses a text, or refuses it if a ClickHouse server would.
pub(super) fn parse_statement(text: &[u8], access: LoginAccess) -> Result<ParsedStatement, ClickHouseException> {
    let mut tokens = SqlTokenizer::new(text);
    let Some(first) = tokens.find(|token| !token.is_sign(b'(') && !token.is_sign(b';')) else {
        return Ok(ParsedStatement::Empty);
    };
    if first.is_keyword("INSERT") {
        return parse_insert(text, tokens);
    }
    if first.is_keyword("KILL") && access == LoginAccess::Read {
        return Err(ExceptionCode::Readonly.with_message("analyst: Cannot execute query in readonly mode"));
    }
    let rest = StatementClauses::from_tokens(first, tokens, access)?;
    if first.is_keyword("SET") || first.is_keyword("USE") {
        return Ok(ParsedStatement::Session);
    }
    if rest.is_temporary {
        return Ok(ParsedStatement::Temporary);
    }
    if ["SELECT", "WITH", "FROM"].iter().any(|word| first.is_keyword(word)) && !rest.has_insert {
        return Ok(ParsedStatement::Select(SelectStatement { format: rest.format, has_totals: rest.has_totals }));
    }
    Ok(ParsedStatement::Other)
}

fn parse_insert<'a>(text: &'a [u8], mut tokens: SqlTokenizer<'a>) -> Result<ParsedStatement, ClickHouseException> {
    let mut depth = 0_usize;
    let mut target = None;
    let mut last = None::<SqlToken<'_>>;
    while let Some(token) = tokens.next() {
        match token.kind {
            TokenKind::Punctuation(b'(') => depth += 1,
            TokenKind::Punctuation(b')') => depth = depth.saturating_sub(1),
            TokenKind::Punctuation(_) | TokenKind::Other => {}
            TokenKind::Word(_) if depth > 0 => {}
            TokenKind::Word(_)
                if token.is_keyword("SELECT") || token.is_keyword("WITH") || token.is_keyword("WATCH") =>
            {
                StatementClauses::from_tokens(token, tokens, LoginAccess::Full)?;
                return Ok(ParsedStatement::Other);
            }
            TokenKind::Word(_) if token.is_keyword("INFILE") => return Err(refuse_local_file("FROM INFILE")),
            TokenKind::Word(_) if token.is_keyword("SETTINGS") => target = target.or(Some(token.start)),
            TokenKind::Word(_) => {
                if let Some(insert) = insert_with_data(text, token, &mut tokens, last, target)? {
                    return Ok(ParsedStatement::Insert(insert));
                }
            }
        }
        last = Some(token);
    }
    Ok(ParsedStatement::Other)
}

fn insert_with_data(
    text: &[u8],
    token: SqlToken<'_>,
    tokens: &mut SqlTokenizer<'_>,
    last: Option<SqlToken<'_>>,
    target: Option<usize>,
) -> Result<Option<InsertStatement>, ClickHouseException> {
    let is_table_name =
        last.is_none_or(|last| last.is_keyword("INTO") || last.is_keyword("TABLE") || last.is_sign(b'.'));
    let target = target.unwrap_or(token.start);
    if is_table_name {
        return Ok(None);
    }
    if token.is_keyword("VALUES") {
        let format = "Values".to_owned();
        return Ok(Some(InsertStatement { format, data: token.end, has_values: true, target, options: token.start }));
    }
    if !token.is_keyword("FORMAT") {
        return Ok(None);
    }
    let Some(SqlToken { kind: TokenKind::Word(format), end, .. }) = tokens.next() else {
        return Err(
            ExceptionCode::SyntaxError.with_message("Syntax error: FORMAT is not followed by the name of a format")
        );
    };
    let data = end + blank_length(&text[end..]);
    Ok(Some(InsertStatement { format: format.to_owned(), data, has_values: false, target, options: token.start }))
}

/// ClickHouse skips blanks and then one line break between the format's name and the data.
fn blank_length(text: &[u8]) -> usize {
    let blanks = text.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\x0c')).count();
    match &text[blanks..] {
        [b'\r', b'\n', ..] => blanks + 2,
        [b'\n', ..] => blanks + 1,
        _ => blanks,
    }
}

fn refuse_local_file(clause: &str) -> ClickHouseException {
    ExceptionCode::NotImplemented.with_message(&format!("{clause} is not allowed in the HTTP interface"))
}

/// The clauses after the first token.
struct StatementClauses {
    format: Option<String>,
    has_totals: bool,
    has_insert: bool,
    is_temporary: bool,
}

impl StatementClauses {
    fn from_tokens<'a>(
        first: SqlToken<'a>,
        tokens: SqlTokenizer<'a>,
        access: LoginAccess,
    ) -> Result<Self, ClickHouseException> {
        let mut rest = Self { format: None, has_totals: false, has_insert: false, is_temporary: false };
        let (mut last, mut ended) = (first, false);
        for token in tokens {
            if ended && !token.is_sign(b';') {
                return Err(ExceptionCode::SyntaxError.with_message("Syntax error (Multi-statements are not allowed)"));
            }
            ended |= token.is_sign(b';');
            if token.is_keyword("OUTFILE") && last.is_keyword("INTO") {
                return Err(refuse_local_file("INTO OUTFILE"));
            }
            // With the function `file` the embedded engine would read any file of this machine.
            if token.is_sign(b'(') && last.is_keyword("file") && access == LoginAccess::Read {
                return Err(ExceptionCode::Readonly.with_message("analyst: Cannot read files in readonly mode"));
            }
            rest.has_totals |= token.is_keyword("TOTALS");
            rest.is_temporary |=
                token.is_keyword("TEMPORARY") && (last.is_keyword("CREATE") || last.is_keyword("REPLACE"));
            rest.has_insert |= token.is_keyword("INSERT");
            if let (TokenKind::Word(word), true) = (token.kind, last.is_keyword("FORMAT")) {
                rest.format = Some(word.to_owned());
            }
            last = token;
        }
        Ok(rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> ParsedStatement {
        parse_statement(text.as_bytes(), LoginAccess::Full).unwrap()
    }

    #[test]
    fn the_format_of_a_select_is_parsed() {
        let select = |format: Option<&str>, has_totals| {
            ParsedStatement::Select(SelectStatement { format: format.map(str::to_owned), has_totals })
        };
        assert_eq!(parsed("select 1"), select(None, false));
        assert_eq!(parsed("(SELECT 1) format JSON;"), select(Some("JSON"), false));
        assert_eq!(parsed("WITH 1 AS x SELECT x SETTINGS a=1 FORMAT CSV"), select(Some("CSV"), false));
        assert_eq!(parsed("SELECT a, count() GROUP BY a WITH TOTALS"), select(None, true));
    }

    #[test]
    fn data_of_an_insert_starts_after_its_format() {
        let text = "INSERT INTO t(`a`, format) FORMAT RowBinary\n\n\x01";
        let ParsedStatement::Insert(insert) = parsed(text) else { panic!("no insert") };
        assert_eq!((insert.format.as_str(), &text[insert.data..], insert.has_values), ("RowBinary", "\n\x01", false));
        let statement = String::from_utf8(insert.with_infile(text.as_bytes(), Path::new("/a'b"))).unwrap();
        assert_eq!(statement, "INSERT INTO t(`a`, format)  FROM INFILE '/a\\'b' COMPRESSION 'none'  FORMAT RowBinary");
    }

    #[test]
    fn settings_of_an_insert_follow_the_file() {
        let text = "INSERT INTO d.t SETTINGS max_threads=1 FORMAT CSV";
        let ParsedStatement::Insert(insert) = parsed(text) else { panic!("no insert") };
        let statement = String::from_utf8(insert.with_infile(text.as_bytes(), Path::new("/f"))).unwrap();
        assert_eq!(
            statement,
            "INSERT INTO d.t  FROM INFILE '/f' COMPRESSION 'none' SETTINGS max_threads=1  FORMAT CSV"
        );
    }

    #[test]
    fn values_are_data_and_a_select_is_not() {
        assert!(matches!(
            parsed("insert into t values (1)"),
            ParsedStatement::Insert(InsertStatement { has_values: true, .. })
        ));
        assert_eq!(parsed("INSERT INTO t SELECT 1"), ParsedStatement::Other);
        assert_eq!(parsed("INSERT INTO values (a) SELECT 1"), ParsedStatement::Other);
        assert_eq!(parsed("  -- nothing\n"), ParsedStatement::Empty);
        assert_eq!(parsed("CREATE TABLE t (a Int8) ENGINE = Memory"), ParsedStatement::Other);
        assert_eq!(parsed("set max_threads = 1"), ParsedStatement::Session);
        assert_eq!(parsed("CREATE TEMPORARY TABLE t (a Int8)"), ParsedStatement::Temporary);
    }

    #[test]
    fn local_files_and_second_statements_are_refused() {
        let refused = |text: &str, access| parse_statement(text.as_bytes(), access).unwrap_err().code;
        assert_eq!(refused("SELECT 1 INTO OUTFILE '/tmp/x'", LoginAccess::Full), 48);
        assert_eq!(refused("INSERT INTO t FROM INFILE '/tmp/x' FORMAT CSV", LoginAccess::Full), 48);
        assert_eq!(refused("SELECT 1; SELECT 2", LoginAccess::Full), 62);
        assert_eq!(refused("SELECT file('/etc/hostname')", LoginAccess::Read), 164);
        assert_eq!(refused("KILL QUERY WHERE 1", LoginAccess::Read), 164);
    }
}
