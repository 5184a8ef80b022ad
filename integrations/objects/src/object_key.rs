//! Keys of stored files, and what their form says about their owner.

use uuid::Uuid;

/// What a stored file may belong to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum FileOwner {
    /// The document of this stream.
    Document(String),
    /// Any document of its tenant.
    AnyDocument,
    /// No document: an upload that was not completed.
    Unfinished,
}

/// Whether a key names a file that the store may have: no other path can be reached by it.
pub(crate) fn is_valid_key(key: &str) -> bool {
    let mut parts = 0;
    let is_name = |part: &str| {
        parts += 1;
        !part.is_empty() && !part.starts_with('.') && !part.contains(|c: char| c == '\\' || c.is_control())
    };
    key.split('/').all(is_name) && matches!(parts, 2 | 3)
}

/// Returns the owner of the file with this path; `None` for files that the store did not write.
pub(crate) fn parse_owner(names: &[impl AsRef<str>]) -> Option<FileOwner> {
    let (name, folders) = names.split_last()?;
    let name = name.as_ref();
    let is_hash = name.len() == 64 && name.bytes().all(|digit| digit.is_ascii_hexdigit());
    let is_unfinished = name.strip_prefix('.').is_some_and(|number| Uuid::try_parse(number).is_ok());
    match folders {
        [_] if is_unfinished => Some(FileOwner::Unfinished),
        [_] if is_hash => Some(FileOwner::AnyDocument),
        [tenant, document] if is_hash => {
            let document = Uuid::try_parse(document.as_ref()).ok()?;
            Some(FileOwner::Document(format!("{}:{document}", tenant.as_ref())))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_reaches_nothing_outside_of_the_store() {
        let invalid = ["../x", "acme/../../etc/passwd", "acme", "acme/.x", "", "/etc/passwd", "a/b/c/d", "acme/../x"];
        for key in invalid.into_iter().chain(["acme//x", "a\\b/c", "acme/x\n", "acme/x\0"]) {
            assert!(!is_valid_key(key), "{key:?}");
        }
        for key in ["acme/x", "acme/7/x"] {
            assert!(is_valid_key(key), "{key}");
        }
    }
}
