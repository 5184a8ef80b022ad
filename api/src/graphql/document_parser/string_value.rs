//! Decoding of string literals (specification, section 2.9.4).

/// Decodes the content of a quoted string, without its quotes.
///
/// # Errors
/// A description of the first invalid escape sequence.
pub(super) fn decode_quoted_string(content: &str) -> Result<String, String> {
    let mut value = String::with_capacity(content.len());
    let mut rest = content;
    while let Some(escape) = rest.find('\\') {
        value.push_str(&rest[..escape]);
        rest = &rest[escape + 1..];
        let Some(kind) = rest.chars().next() else { return Err("incomplete escape sequence".to_owned()) };
        rest = &rest[kind.len_utf8()..];
        value.push(match kind {
            '"' | '\\' | '/' => kind,
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => {
                let (character, after) = decode_unicode_escape(rest).ok_or_else(|| {
                    "a Unicode escape must be \\uXXXX, a pair of surrogates of that form, or \\u{X} up to \\u{10FFFF}"
                        .to_owned()
                })?;
                rest = after;
                character
            }
            other => return Err(format!("unknown escape sequence \\{other}")),
        });
    }
    value.push_str(rest);
    Ok(value)
}

/// Decodes the Unicode escape after `\u`; returns the character and the rest of the text.
fn decode_unicode_escape(text: &str) -> Option<(char, &str)> {
    if let Some(braced) = text.strip_prefix('{') {
        let (digits, rest) = braced.split_once('}')?;
        let digits = digits.trim_start_matches('0');
        let code = if digits.is_empty() && braced.starts_with('0') { 0 } else { parse_hexadecimal(digits)? };
        return Some((char::from_u32(code)?, rest));
    }
    let (first, rest) = text.split_at_checked(4)?;
    let first = parse_hexadecimal(first)?;
    if !(0xD800..0xDC00).contains(&first) {
        return Some((char::from_u32(first)?, rest));
    }
    let (second, rest) = rest.strip_prefix("\\u")?.split_at_checked(4)?;
    let second = parse_hexadecimal(second)?;
    if !(0xDC00..0xE000).contains(&second) {
        return None;
    }
    Some((char::from_u32(0x1_0000 + ((first - 0xD800) << 10) + (second - 0xDC00))?, rest))
}

fn parse_hexadecimal(digits: &str) -> Option<u32> {
    // `from_str_radix` also accepts a sign.
    let is_plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_plain { u32::from_str_radix(digits, 16).ok() } else { None }
}

/// Splits a text into lines, which are separated by LF, CR or CRLF.
pub(super) fn split_lines(text: &str) -> Vec<&str> {
    text.split("\r\n").flat_map(|part| part.split(['\n', '\r'])).collect()
}

/// Decodes the content of a block string, without its quotes: removes the common indentation of all lines but the
/// first, and blank lines at the start and the end.
pub(super) fn decode_block_string(content: &str) -> String {
    let lines = split_lines(content);
    let is_blank = |line: &str| line.bytes().all(|byte| byte == b' ' || byte == b'\t');
    let indent = |line: &str| line.bytes().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    let common = lines.iter().skip(1).filter(|line| !is_blank(line)).map(|line| indent(line)).min().unwrap_or(0);
    let first = lines.iter().position(|line| !is_blank(line)).unwrap_or(lines.len());
    let end = lines.iter().rposition(|line| !is_blank(line)).map_or(0, |last| last + 1);
    let content = lines.iter().enumerate().take(end).skip(first);
    let content = content.map(|(number, line)| if number == 0 { line } else { line.get(common..).unwrap_or_default() });
    content.collect::<Vec<_>>().join("\n").replace("\\\"\"\"", "\"\"\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_decoded() {
        for (content, value) in [
            (r#"a\"\\\/\b\f\n\r\t"#, "a\"\\/\u{8}\u{c}\n\r\t"),
            (r"\u00e9\u{1F600}\u{0000e9}\u{0}", "é😀é\0"),
            (r"\uD83D\uDE00!", "😀!"),
            ("plain 😀", "plain 😀"),
        ] {
            assert_eq!(decode_quoted_string(content).as_deref(), Ok(value), "{content}");
        }
        for content in
            [r"\x", r"\u12", r"\u{}", r"\u{110000}", r"\u{D800}", r"\uD83D", r"\uD83D\u0041", r"\uDE00", r"\u{+41}"]
        {
            assert!(decode_quoted_string(content).is_err(), "{content}");
        }
        assert!(decode_quoted_string(r"\u{FFFFFFFFFFFFFFFFFF}").is_err(), "the number would overflow");
    }

    #[test]
    fn the_common_indentation_of_block_strings_is_removed() {
        for (content, value) in [
            ("", ""),
            ("abc", "abc"),
            ("\r\n  a\n\n    b\r  c\n \n", "a\n\n  b\nc"),
            ("line 1\r\n   line 2\n     line 3", "line 1\nline 2\n  line 3"),
            (r#"a \""" b"#, "a \"\"\" b"),
        ] {
            assert_eq!(decode_block_string(content), value, "{content:?}");
        }
    }
}
