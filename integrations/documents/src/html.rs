//! The visible text of a web page.

use crate::{
    ExtractionError, ExtractionLimits, FileType, PageText, PageTextSource, page_collector::PageCollector,
    plain_text::decode_text,
};

/// Elements that begin a new line.
const BLOCKS: [&str; 24] = [
    "address",
    "article",
    "blockquote",
    "br",
    "dd",
    "div",
    "dl",
    "dt",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "hr",
    "li",
    "ol",
    "p",
    "pre",
    "section",
    "table",
    "title",
    "tr",
    "ul",
];

/// Elements whose content is not shown.
const HIDDEN: [&str; 4] = ["script", "style", "noscript", "template"];

/// Reads the text of a web page.
pub(crate) fn read_html(content: &[u8], limits: &ExtractionLimits) -> Result<Vec<PageText>, ExtractionError> {
    let source = decode_text(content, FileType::Html)?;
    let mut pages = PageCollector::new(limits);
    pages.add_page(PageTextSource::Native, &visible_text(&source))?;
    pages.into_pages()
}

fn visible_text(source: &str) -> String {
    let mut text = String::new();
    let mut rest = source;
    while let Some(start) = rest.find('<') {
        append_words(&mut text, &rest[..start]);
        rest = &rest[start..];
        if let Some(comment) = rest.strip_prefix("<!--") {
            rest = comment.find("-->").map_or("", |end| &comment[end + 3..]);
            continue;
        }
        let Some(end) = rest.find('>') else { return text };
        let tag = rest[1..end].to_ascii_lowercase();
        rest = &rest[end + 1..];
        let name = tag.trim_start_matches('/').split([' ', '\t', '\n', '\r', '/']).next().unwrap_or_default();
        if BLOCKS.contains(&name) {
            text.push('\n');
        } else if matches!(name, "td" | "th") && tag.starts_with('/') {
            text.push('\t');
        }
        if HIDDEN.contains(&name) && !tag.starts_with('/') {
            rest = skip_to_end(rest, name);
        }
    }
    append_words(&mut text, rest);
    text
}

/// Returns what follows the end tag of an element.
fn skip_to_end<'a>(source: &'a str, name: &str) -> &'a str {
    let mut rest = source;
    while let Some(start) = rest.find("</") {
        rest = &rest[start + 2..];
        if rest.get(..name.len()).is_some_and(|end| end.eq_ignore_ascii_case(name)) {
            return rest.find('>').map_or("", |end| &rest[end + 1..]);
        }
    }
    ""
}

/// Appends text with its entities resolved and its white space, which has no meaning, as single spaces.
fn append_words(text: &mut String, source: &str) {
    for (index, word) in source.split_ascii_whitespace().enumerate() {
        if index > 0 || source.starts_with(|c: char| c.is_ascii_whitespace()) {
            text.push(' ');
        }
        append_unescaped(text, word);
    }
    if source.ends_with(|c: char| c.is_ascii_whitespace()) {
        text.push(' ');
    }
}

fn append_unescaped(text: &mut String, word: &str) {
    let mut rest = word;
    while let Some(start) = rest.find('&') {
        text.push_str(&rest[..start]);
        rest = &rest[start + 1..];
        let entity = rest.find(';').filter(|end| *end <= 10).and_then(|end| Some((resolve_entity(&rest[..end])?, end)));
        match entity {
            Some((resolved, end)) => {
                text.push(resolved);
                rest = &rest[end + 1..];
            }
            None => text.push('&'),
        }
    }
    text.push_str(rest);
}

fn resolve_entity(name: &str) -> Option<char> {
    Some(match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        "nbsp" => ' ',
        "ndash" => '–',
        "mdash" => '—',
        "lsquo" => '‘',
        "rsquo" => '’',
        "ldquo" => '“',
        "rdquo" => '”',
        "bull" => '•',
        "sect" => '§',
        "copy" => '©',
        "reg" => '®',
        _ => return resolve_number(name.strip_prefix('#')?),
    })
}

fn resolve_number(number: &str) -> Option<char> {
    let code = match number.strip_prefix(['x', 'X']) {
        Some(digits) => u32::from_str_radix(digits, 16),
        None => number.parse(),
    };
    char::from_u32(code.ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_visible_text_is_read() {
        let source = "<html><head><title>RFQ 12</title><style>p { color: red }</style></head><body><!-- <p>old --> \
                      <p>The offeror&rsquo;s\n price &amp; terms &#167; 5</p><script>if (a < b) {}</SCRIPT>\
                      <table><tr><td>Due</td><td>May&nbsp;1</td></tr></table>R&D <unclosed";
        let pages = read_html(source.as_bytes(), &ExtractionLimits::default()).unwrap();
        assert_eq!(pages[0].text, "RFQ 12\n\nThe offeror’s price & terms § 5\n\nDue\tMay 1\n\nR&D");
    }

    #[test]
    fn a_page_without_text_is_reported_and_open_tags_end() {
        for source in ["<html><script>x", "<html><!-- x", "<html <html <html"] {
            let read = read_html(source.as_bytes(), &ExtractionLimits::default());
            assert!(matches!(read, Err(ExtractionError::NoText)), "{source}");
        }
    }
}
