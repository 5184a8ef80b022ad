//! Reads a `multipart/form-data` body, which clients send when a statement has parameters.

use super::exception::{ClickHouseException, ExceptionCode};

/// Splits a form into its named fields, in order.
pub(super) fn parse_fields(body: &[u8], boundary: &str) -> Result<Vec<(String, String)>, ClickHouseException> {
    let delimiter = format!("--{boundary}");
    let mut rest = text_after_mark(body, delimiter.as_bytes()).ok_or_else(invalid_form)?;
    let mut fields = Vec::new();
    // A form ends with its delimiter and two dashes.
    while !rest.starts_with(b"--") {
        let part = rest.strip_prefix(b"\r\n").ok_or_else(invalid_form)?;
        let (head, part) = split_at_mark(part, b"\r\n\r\n").ok_or_else(invalid_form)?;
        let (value, next) = split_at_mark(part, format!("\r\n{delimiter}").as_bytes()).ok_or_else(invalid_form)?;
        let name = field_name(head).ok_or_else(invalid_form)?;
        fields.push((name, String::from_utf8(value.to_vec()).map_err(|_| invalid_form())?));
        rest = next;
    }
    Ok(fields)
}

fn field_name(head: &[u8]) -> Option<String> {
    let head = std::str::from_utf8(head).ok()?;
    let disposition = head.lines().find(|line| line.to_ascii_lowercase().starts_with("content-disposition:"))?;
    if disposition.contains("filename=") {
        // A file would be an external table, which the local engine does not support.
        return None;
    }
    let (_, name) = disposition.split_once("name=")?;
    Some(name.trim().trim_matches('"').to_owned())
}

fn split_at_mark<'a>(text: &'a [u8], mark: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let at = text.windows(mark.len()).position(|window| window == mark)?;
    Some((&text[..at], &text[at + mark.len()..]))
}

fn text_after_mark<'a>(text: &'a [u8], mark: &[u8]) -> Option<&'a [u8]> {
    split_at_mark(text, mark).map(|(_, rest)| rest)
}

fn invalid_form() -> ClickHouseException {
    ExceptionCode::BadArguments
        .with_message("the body is not a form of plain fields (external tables are not supported)")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_in_order_with_their_line_breaks() {
        let body = b"--b\r\nContent-Disposition: form-data; name=\"query\"\r\n\r\nSELECT\r\n{a:String}\r\n--b\r\n\
            Content-Disposition: form-data; name=\"param_a\"\r\n\r\n\r\n--b--\r\n";
        let expected = [("query", "SELECT\r\n{a:String}"), ("param_a", "")].map(|(a, b)| (a.to_owned(), b.to_owned()));
        assert_eq!(parse_fields(body, "b").unwrap(), expected);
    }

    #[test]
    fn files_and_unfinished_forms_are_refused() {
        let file = b"--b\r\nContent-Disposition: form-data; name=\"t\"; filename=\"t\"\r\n\r\n1\r\n--b--\r\n";
        assert_eq!(parse_fields(file, "b").unwrap_err().code, 36);
        assert_eq!(parse_fields(b"--b\r\nContent-Disposition: form-data; name=\"t\"", "b").unwrap_err().code, 36);
    }
}
