//! Tells what a request's SQL is, as far as the HTTP interface must know: which part of it is data, what may be
//! streamed, what an embedded engine would do that a server does not.

use std::path::Path;

use super::{
    exception::{ClickHouseException, ExceptionCode},
    login_access::LoginAccess,
    stream_framing::StreamFraming,
    tokenizer::{SqlToken, SqlTokenizer, TokenKind},
};

/// A statement, understood as far as needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ParsedStatement {
    /// `SELECT`, also behind `WITH`, `FROM` or a parenthesis.
    Select(SelectStatement),
    /// `INSERT` followed by data in a format.
    Insert(InsertStatement),
    /// `SET` or `USE`, which a session remembers.
    Session,
    /// `CREATE TEMPORARY TABLE`, which would be one of a session.
    Temporary,
    /// Anything else.
    Other,
    /// Nothing but blanks and comments.
    Empty,
}

/// What matters of a `SELECT`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SelectStatement {
    /// The format its text names.
    pub(super) format: Option<String>,
    /// `WITH TOTALS` gives a second part that the pieces of a stream would lose.
    pub(super) totals: bool,
}

impl SelectStatement {
    /// How its result can be streamed in the format it names, or else in the request's default.
    pub(super) fn framing(&self, default_format: &str) -> Option<StreamFraming> {
        if self.totals { None } else { StreamFraming::of(self.format.as_deref().unwrap_or(default_format)) }
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
    pub(super) values: bool,
    /// Just behind table and columns.
    target: usize,
    /// Just before `FORMAT` or `VALUES`.
    options: usize,
}

impl InsertStatement {
    /// Words the statement so that the engine reads the data from a file; the text is the one that was understood.
    pub(super) fn reading_file(&self, text: &[u8], file: &Path) -> Vec<u8> {
        let path = file.to_string_lossy().replace('\\', "\\\\").replace('\'', "\\'");
        let (target, options) = (&text[..self.target], &text[self.target..self.options]);
        let source = format!(" FROM INFILE '{path}' COMPRESSION 'none' ");
        [target, source.as_bytes(), options, b" FORMAT ", self.format.as_bytes()].concat()
    }
}

/// Understands a text, or refuses it where a ClickHouse server would.
pub(super) fn understand(text: &[u8], access: LoginAccess) -> Result<ParsedStatement, ClickHouseException> {
    let mut tokens = SqlTokenizer::of(text);
    let Some(first) = tokens.find(|token| !token.is_sign(b'(') && !token.is_sign(b';')) else {
        return Ok(ParsedStatement::Empty);
    };
    if first.is("INSERT") {
        return insert(text, tokens);
    }
    if first.is("KILL") && access == LoginAccess::Read {
        return Err(ExceptionCode::Readonly.because("analyst: Cannot execute query in readonly mode"));
    }
    let rest = StatementClauses::read(first, tokens, access)?;
    if first.is("SET") || first.is("USE") {
        return Ok(ParsedStatement::Session);
    }
    if rest.temporary {
        return Ok(ParsedStatement::Temporary);
    }
    if ["SELECT", "WITH", "FROM"].iter().any(|word| first.is(word)) && !rest.inserts {
        return Ok(ParsedStatement::Select(SelectStatement { format: rest.format, totals: rest.totals }));
    }
    Ok(ParsedStatement::Other)
}

fn insert<'a>(text: &'a [u8], mut tokens: SqlTokenizer<'a>) -> Result<ParsedStatement, ClickHouseException> {
    let mut depth = 0_usize;
    let mut target = None;
    let mut last = None::<SqlToken<'_>>;
    while let Some(token) = tokens.next() {
        match token.kind {
            TokenKind::Punctuation(b'(') => depth += 1,
            TokenKind::Punctuation(b')') => depth = depth.saturating_sub(1),
            TokenKind::Punctuation(_) | TokenKind::Other => {}
            TokenKind::Word(_) if depth > 0 => {}
            TokenKind::Word(_) if token.is("SELECT") || token.is("WITH") || token.is("WATCH") => {
                StatementClauses::read(token, tokens, LoginAccess::Full)?;
                return Ok(ParsedStatement::Other);
            }
            TokenKind::Word(_) if token.is("INFILE") => return Err(local_file("FROM INFILE")),
            TokenKind::Word(_) if token.is("SETTINGS") => target = target.or(Some(token.start)),
            TokenKind::Word(_) => {
                if let Some(insert) = data_after(text, token, &mut tokens, last, target)? {
                    return Ok(ParsedStatement::Insert(insert));
                }
            }
        }
        last = Some(token);
    }
    Ok(ParsedStatement::Other)
}

fn data_after(
    text: &[u8],
    token: SqlToken<'_>,
    tokens: &mut SqlTokenizer<'_>,
    last: Option<SqlToken<'_>>,
    target: Option<usize>,
) -> Result<Option<InsertStatement>, ClickHouseException> {
    let names_a_table = last.is_none_or(|last| last.is("INTO") || last.is("TABLE") || last.is_sign(b'.'));
    let target = target.unwrap_or(token.start);
    if names_a_table {
        return Ok(None);
    }
    if token.is("VALUES") {
        let format = "Values".to_owned();
        return Ok(Some(InsertStatement { format, data: token.end, values: true, target, options: token.start }));
    }
    if !token.is("FORMAT") {
        return Ok(None);
    }
    let Some(SqlToken { kind: TokenKind::Word(format), end, .. }) = tokens.next() else {
        return Err(ExceptionCode::SyntaxError.because("Syntax error: FORMAT is not followed by the name of a format"));
    };
    let data = end + blank_before_data(&text[end..]);
    Ok(Some(InsertStatement { format: format.to_owned(), data, values: false, target, options: token.start }))
}

/// ClickHouse skips blanks and then one line break between the format's name and the data.
fn blank_before_data(text: &[u8]) -> usize {
    let blanks = text.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\x0c')).count();
    match &text[blanks..] {
        [b'\r', b'\n', ..] => blanks + 2,
        [b'\n', ..] => blanks + 1,
        _ => blanks,
    }
}

fn local_file(clause: &str) -> ClickHouseException {
    ExceptionCode::NotImplemented.because(&format!("{clause} is not allowed in the HTTP interface"))
}

/// What the tokens behind the first one tell.
struct StatementClauses {
    format: Option<String>,
    totals: bool,
    inserts: bool,
    temporary: bool,
}

impl StatementClauses {
    fn read<'a>(
        first: SqlToken<'a>,
        tokens: SqlTokenizer<'a>,
        access: LoginAccess,
    ) -> Result<Self, ClickHouseException> {
        let mut rest = Self { format: None, totals: false, inserts: false, temporary: false };
        let (mut last, mut ended) = (first, false);
        for token in tokens {
            if ended && !token.is_sign(b';') {
                return Err(ExceptionCode::SyntaxError.because("Syntax error (Multi-statements are not allowed)"));
            }
            ended |= token.is_sign(b';');
            if token.is("OUTFILE") && last.is("INTO") {
                return Err(local_file("INTO OUTFILE"));
            }
            // The embedded engine would read any file of this machine with the function `file`.
            if token.is_sign(b'(') && last.is("file") && access == LoginAccess::Read {
                return Err(ExceptionCode::Readonly.because("analyst: Cannot read files in readonly mode"));
            }
            rest.totals |= token.is("TOTALS");
            rest.temporary |= token.is("TEMPORARY") && (last.is("CREATE") || last.is("REPLACE"));
            rest.inserts |= token.is("INSERT");
            if let (TokenKind::Word(word), true) = (token.kind, last.is("FORMAT")) {
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

    fn understood(text: &str) -> ParsedStatement {
        understand(text.as_bytes(), LoginAccess::Full).unwrap()
    }

    #[test]
    fn selects_tell_their_format() {
        let select = |format: Option<&str>, totals| {
            ParsedStatement::Select(SelectStatement { format: format.map(str::to_owned), totals })
        };
        assert_eq!(understood("select 1"), select(None, false));
        assert_eq!(understood("(SELECT 1) format JSON;"), select(Some("JSON"), false));
        assert_eq!(understood("WITH 1 AS x SELECT x SETTINGS a=1 FORMAT CSV"), select(Some("CSV"), false));
        assert_eq!(understood("SELECT a, count() GROUP BY a WITH TOTALS"), select(None, true));
    }

    #[test]
    fn data_of_an_insert_starts_behind_its_format() {
        let text = "INSERT INTO t(`a`, format) FORMAT RowBinary\n\n\x01";
        let ParsedStatement::Insert(insert) = understood(text) else { panic!("no insert") };
        assert_eq!((insert.format.as_str(), &text[insert.data..], insert.values), ("RowBinary", "\n\x01", false));
        let told = String::from_utf8(insert.reading_file(text.as_bytes(), Path::new("/a'b"))).unwrap();
        assert_eq!(told, "INSERT INTO t(`a`, format)  FROM INFILE '/a\\'b' COMPRESSION 'none'  FORMAT RowBinary");
    }

    #[test]
    fn settings_of_an_insert_stand_behind_the_file() {
        let text = "INSERT INTO d.t SETTINGS max_threads=1 FORMAT CSV";
        let ParsedStatement::Insert(insert) = understood(text) else { panic!("no insert") };
        let told = String::from_utf8(insert.reading_file(text.as_bytes(), Path::new("/f"))).unwrap();
        assert_eq!(told, "INSERT INTO d.t  FROM INFILE '/f' COMPRESSION 'none' SETTINGS max_threads=1  FORMAT CSV");
    }

    #[test]
    fn values_are_data_and_a_select_is_not() {
        assert!(matches!(
            understood("insert into t values (1)"),
            ParsedStatement::Insert(InsertStatement { values: true, .. })
        ));
        assert_eq!(understood("INSERT INTO t SELECT 1"), ParsedStatement::Other);
        assert_eq!(understood("INSERT INTO values (a) SELECT 1"), ParsedStatement::Other);
        assert_eq!(understood("  -- nothing\n"), ParsedStatement::Empty);
        assert_eq!(understood("CREATE TABLE t (a Int8) ENGINE = Memory"), ParsedStatement::Other);
        assert_eq!(understood("set max_threads = 1"), ParsedStatement::Session);
        assert_eq!(understood("CREATE TEMPORARY TABLE t (a Int8)"), ParsedStatement::Temporary);
    }

    #[test]
    fn files_of_the_machine_and_second_statements_are_refused() {
        let refused = |text: &str, access| understand(text.as_bytes(), access).unwrap_err().code;
        assert_eq!(refused("SELECT 1 INTO OUTFILE '/tmp/x'", LoginAccess::Full), 48);
        assert_eq!(refused("INSERT INTO t FROM INFILE '/tmp/x' FORMAT CSV", LoginAccess::Full), 48);
        assert_eq!(refused("SELECT 1; SELECT 2", LoginAccess::Full), 62);
        assert_eq!(refused("SELECT file('/etc/hostname')", LoginAccess::Read), 164);
        assert_eq!(refused("KILL QUERY WHERE 1", LoginAccess::Read), 164);
    }
}
