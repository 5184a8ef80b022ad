//! `Content-Disposition`: the name of a file, in requests and responses (RFC 6266, RFC 8187).

use axum::http::HeaderValue;

/// The header value that makes a browser save a file under its name: `filename*` in full, and `filename` in ASCII for
/// clients that do not support it.
pub(super) fn attachment_header(file_name: &str) -> HeaderValue {
    let plain: String = file_name
        .chars()
        .map(
            |letter| {
                if letter.is_ascii_graphic() && !"\"\\%;".contains(letter) || letter == ' ' { letter } else { '_' }
            },
        )
        .collect();
    let mut encoded = String::new();
    for byte in file_name.bytes() {
        // `attr-char` of RFC 8187.
        if byte.is_ascii_alphanumeric() || b"!#$&+-.^_`|~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.extend(['%', to_hex_digit(byte >> 4), to_hex_digit(byte & 0xf)]);
        }
    }
    let value = format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{encoded}");
    HeaderValue::from_str(&value).unwrap_or(HeaderValue::from_static("attachment"))
}

fn to_hex_digit(digit: u8) -> char {
    char::from_digit(u32::from(digit), 16).map_or('0', |digit| digit.to_ascii_uppercase())
}

/// The file name in a header value; `filename*` takes precedence over `filename`.
pub(super) fn parse_file_name(value: &HeaderValue) -> Option<String> {
    // Browsers write names in forms as raw UTF-8.
    let value = String::from_utf8_lossy(value.as_bytes());
    let (mut plain, mut extended) = (None, None);
    for (name, value) in parse_parameters(&value) {
        match name.as_str() {
            "filename" => plain = Some(unescape_form(&value)),
            "filename*" => extended = decode_extended(&value).or(extended),
            _ => {}
        }
    }
    extended.or(plain).filter(|name| !name.is_empty())
}

/// The parameters after the disposition type: names in lower case, values without quotes.
fn parse_parameters(value: &str) -> Vec<(String, String)> {
    let (mut parameters, mut name, mut value_of) = (Vec::new(), String::new(), None::<String>);
    let (mut is_quoted, mut is_escaped) = (false, false);
    for letter in value.chars().chain([';']) {
        match (&mut value_of, letter) {
            (Some(value), _) if is_escaped => {
                value.push(letter);
                is_escaped = false;
            }
            (Some(_), '\\') if is_quoted => is_escaped = true,
            (Some(_), '"') => is_quoted = !is_quoted,
            (Some(value), _) if is_quoted => value.push(letter),
            (_, ';') => {
                if let Some(value) = value_of.take() {
                    parameters.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
                }
                name.clear();
            }
            (None, '=') => value_of = Some(String::new()),
            (None, _) => name.push(letter),
            (Some(value), _) => value.push(letter),
        }
    }
    parameters
}

/// Decodes the three characters that browsers escape in file names of forms (HTML, "multipart form data").
fn unescape_form(name: &str) -> String {
    name.replace("%22", "\"").replace("%0D", "\r").replace("%0A", "\n")
}

/// Decodes a value of the form `UTF-8'language'percent-encoded`.
fn decode_extended(value: &str) -> Option<String> {
    let mut parts = value.splitn(3, '\'');
    let (charset, _language, encoded) = (parts.next()?, parts.next()?, parts.next()?);
    let mut bytes = Vec::new();
    let mut rest = encoded.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digit = |byte: Option<u8>| char::from(byte?).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
            bytes.push(digit(rest.next())? * 16 + digit(rest.next())?);
        } else {
            bytes.push(byte);
        }
    }
    if charset.eq_ignore_ascii_case("utf-8") {
        String::from_utf8(bytes).ok()
    } else if charset.eq_ignore_ascii_case("iso-8859-1") {
        Some(bytes.into_iter().map(char::from).collect())
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_header(value: &str) -> Option<String> {
        parse_file_name(&HeaderValue::from_bytes(value.as_bytes()).unwrap())
    }

    #[test]
    fn a_written_name_is_parsed_again() {
        for name in ["sow.pdf", "Angebot über Betten.pdf", "a\"b;c%22'd.txt", "предложение 😀.docx"] {
            let value = attachment_header(name);
            assert!(value.to_str().is_ok(), "{value:?} is ASCII");
            assert_eq!(parse_file_name(&value).as_deref(), Some(name), "{value:?}");
        }
        let value = attachment_header("Angebot über Betten.pdf");
        assert_eq!(
            value,
            "attachment; filename=\"Angebot _ber Betten.pdf\"; filename*=UTF-8''Angebot%20%C3%BCber%20Betten.pdf"
        );
    }

    #[test]
    fn names_are_parsed_as_clients_write_them() {
        for (value, expected) in [
            ("form-data; name=\"file\"; filename=\"a b.pdf\"", Some("a b.pdf")),
            ("form-data; name=file; filename=plain.txt", Some("plain.txt")),
            ("form-data; name=\"file\"; filename=\"Größe.pdf\"", Some("Größe.pdf")),
            ("form-data; filename=\"a%22b.pdf\"", Some("a\"b.pdf")),
            ("form-data; filename=\"a;b\\\"c.pdf\"", Some("a;b\"c.pdf")),
            ("attachment; filename=\"x.pdf\"; filename*=UTF-8''%E2%82%AC.pdf", Some("€.pdf")),
            ("attachment; filename*=iso-8859-1'en'%A3.txt", Some("£.txt")),
            ("attachment; FILENAME*=utf-8''%zz; filename=x.txt", Some("x.txt")),
            ("attachment; filename*=utf-8''%E2%82; filename=x.txt", Some("x.txt")),
            ("form-data; name=\"opportunityId\"", None),
            ("attachment; filename=\"\"", None),
            ("", None),
            ("attachment; filename=\"never closed", None),
        ] {
            assert_eq!(parse_header(value).as_deref(), expected, "{value}");
        }
    }
}
