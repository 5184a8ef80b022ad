//! Media types of uploads: the sender's claim, as far as the file's first bytes are consistent with it.

/// The media type of files of unknown content.
pub(super) const UNKNOWN_MEDIA_TYPE: &str = "application/octet-stream";

/// Signatures of file formats.
const SIGNATURES: [(&[u8], &str); 14] = [
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
    (b"II*\0", "image/tiff"),
    (b"MM\0*", "image/tiff"),
    (b"PK\x03\x04", "application/zip"),
    (b"PK\x05\x06", "application/zip"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "application/x-ole-storage"),
    (b"\x1f\x8b", "application/gzip"),
    (b"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"),
    (b"Rar!\x1a\x07", "application/vnd.rar"),
    (b"{\\rtf", "application/rtf"),
    (b"MZ", "application/vnd.microsoft.portable-executable"),
    (b"\x7fELF", "application/x-executable"),
];

/// Prefixes of texts that a browser might run.
const MARKUP_PREFIXES: [(&str, &str); 8] = [
    ("<!doctype html", "text/html"),
    ("<html", "text/html"),
    ("<head", "text/html"),
    ("<body", "text/html"),
    ("<script", "text/html"),
    ("<iframe", "text/html"),
    ("<svg", "image/svg+xml"),
    ("<?xml", "application/xml"),
];

/// A PDF may have a few bytes before its header; the header is searched for in this many.
const PDF_SEARCH_BYTES: usize = 1_024;

/// The media type to record: the sender's claim where it is consistent with the first bytes, else the detected type,
/// else [`UNKNOWN_MEDIA_TYPE`].
pub(super) fn resolve_media_type(claimed: &str, head: &[u8]) -> String {
    let claimed = claimed.to_ascii_lowercase();
    let is_claim = !matches!(
        claimed.as_str(),
        "" | UNKNOWN_MEDIA_TYPE | "application/x-www-form-urlencoded" | "binary/octet-stream"
    );
    match detect_media_type(head) {
        Some(found) if is_claim && is_compatible(&claimed, found) => claimed,
        Some(found) => found.to_owned(),
        None if is_claim && !has_signature(&claimed) && (!is_textual(&claimed) || is_text(head)) => claimed,
        None if !is_claim && is_text(head) => "text/plain".to_owned(),
        None => UNKNOWN_MEDIA_TYPE.to_owned(),
    }
}

/// The media type that a file is served with: files that a browser might run are served as bytes.
pub(super) fn served_media_type(recorded: &str) -> &str {
    let is_inert = matches!(
        recorded,
        "application/pdf"
            | "image/png"
            | "image/jpeg"
            | "image/gif"
            | "image/tiff"
            | "application/zip"
            | "application/msword"
            | "application/rtf"
            | "text/plain"
            | "text/csv"
    ) || recorded.starts_with("application/vnd.openxmlformats-officedocument.")
        || recorded.starts_with("application/vnd.oasis.opendocument.")
        || recorded.starts_with("application/vnd.ms-");
    if is_inert { recorded } else { UNKNOWN_MEDIA_TYPE }
}

fn detect_media_type(head: &[u8]) -> Option<&'static str> {
    if let Some((_, kind)) = SIGNATURES.iter().find(|(begin, _)| head.starts_with(begin)) {
        return Some(kind);
    }
    let searched = head.get(..PDF_SEARCH_BYTES).unwrap_or(head);
    if searched.windows(5).any(|window| window == b"%PDF-") {
        return Some("application/pdf");
    }
    let text = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start();
    let has_prefix =
        |prefix: &str| text.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix.as_bytes()));
    MARKUP_PREFIXES.iter().find(|(prefix, _)| has_prefix(prefix)).map(|(_, kind)| *kind)
}

/// Whether a claimed type is consistent with a detected one: many formats are archives of XML.
fn is_compatible(claimed: &str, found: &str) -> bool {
    let has = |parts: &[&str]| parts.iter().any(|part| claimed.contains(part));
    claimed == found
        || match found {
            "application/zip" => has(&[
                "openxmlformats",
                "opendocument",
                "macroenabled",
                "zip",
                "epub",
                "java-archive",
                "vnd.ms-xpsdocument",
            ]),
            "application/x-ole-storage" => has(&["msword", "vnd.ms-", "vnd.visio", "x-cfb"]),
            "application/gzip" => has(&["gzip", "tgz"]),
            "application/rtf" => has(&["rtf", "msword"]),
            "application/xml" => has(&["xml", "svg"]),
            "text/html" => has(&["html"]),
            "application/vnd.rar" => has(&["rar"]),
            "application/vnd.microsoft.portable-executable" => has(&["exe", "msdownload", "dos"]),
            "image/jpeg" => claimed == "image/jpg" || claimed == "image/pjpeg",
            _ => false,
        }
}

/// Whether files of the claimed type always begin with a known signature.
fn has_signature(claimed: &str) -> bool {
    const KNOWN: [&str; 11] = [
        "pdf",
        "image/png",
        "image/jp",
        "image/gif",
        "image/tif",
        "zip",
        "openxmlformats",
        "opendocument",
        "msword",
        "rtf",
        "rar",
    ];
    KNOWN.iter().any(|part| claimed.contains(part))
}

fn is_textual(claimed: &str) -> bool {
    claimed.starts_with("text/")
        || claimed == "application/json"
        || claimed.ends_with("+json")
        || claimed.ends_with("xml")
}

/// Whether the bytes can be text, also in an older encoding: UTF-16, or no control characters but white space, escape
/// and backspace.
fn is_text(head: &[u8]) -> bool {
    let is_utf16 = head.starts_with(b"\xff\xfe") || head.starts_with(b"\xfe\xff");
    let is_control = |byte: &u8| *byte < 0x20 && !b"\t\n\r\x0c\x1b\x08".contains(byte);
    is_utf16 || !head.iter().any(is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claimed_type_is_used_if_the_content_is_consistent_with_it() {
        const WORD: &str = "application/vnd.openxmlformats-officedocument.wordprocessingml.document";
        for (claimed, head, expected) in [
            ("application/pdf", b"%PDF-1.7".as_slice(), "application/pdf"),
            ("application/PDF", b"\n%PDF-1.4", "application/pdf"),
            ("", b"%PDF-1.7", "application/pdf"),
            ("application/pdf", b"\x00\x01\x02random", UNKNOWN_MEDIA_TYPE),
            ("application/pdf", b"<!DOCTYPE html><script>", "text/html"),
            ("image/png", b"\xef\xbb\xbf  <HTML>", "text/html"),
            ("image/png", b"<svg onload=x>", "image/svg+xml"),
            ("image/svg+xml", b"<?xml version=\"1.0\"?><svg/>", "image/svg+xml"),
            ("application/pdf", b"MZ\x90\x00", "application/vnd.microsoft.portable-executable"),
            (WORD, b"PK\x03\x04", WORD),
            (WORD, b"not an archive", UNKNOWN_MEDIA_TYPE),
            ("application/msword", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "application/msword"),
            // Windows declares a CSV file so.
            ("application/vnd.ms-excel", b"a,b\n1,2\n", "application/vnd.ms-excel"),
            ("text/csv", b"a,b\n1,2\n", "text/csv"),
            ("text/csv", b"PK\x03\x04", "application/zip"),
            ("text/plain", b"\x00\x01binary", UNKNOWN_MEDIA_TYPE),
            ("text/plain", b"Gr\xfc\xdfe", "text/plain"),
            ("", b"some words", "text/plain"),
            // curl declares every body so.
            ("application/x-www-form-urlencoded", b"\x00\x01", UNKNOWN_MEDIA_TYPE),
            ("application/x-something", b"\x00\x01", "application/x-something"),
        ] {
            assert_eq!(resolve_media_type(claimed, head), expected, "{claimed} {head:?}");
        }
    }

    #[test]
    fn types_that_a_browser_might_run_are_served_as_bytes() {
        for (recorded, expected) in [
            ("application/pdf", "application/pdf"),
            ("text/html", UNKNOWN_MEDIA_TYPE),
            ("image/svg+xml", UNKNOWN_MEDIA_TYPE),
            ("application/xml", UNKNOWN_MEDIA_TYPE),
            ("application/x-something", UNKNOWN_MEDIA_TYPE),
        ] {
            assert_eq!(served_media_type(recorded), expected);
        }
    }
}
