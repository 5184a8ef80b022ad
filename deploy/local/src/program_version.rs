//! Versions as programs print them.

/// The first `number.number...` in a text, as programs print for `--version`.
pub(crate) fn parse_version(text: &str) -> Option<String> {
    let trim_prefix = |word: &str| word.trim_start_matches(['v', '=', '"', '(']).to_owned();
    let is_version = |word: &String| word.starts_with(|first: char| first.is_ascii_digit()) && word.contains('.');
    let word = text.split_whitespace().map(trim_prefix).find(is_version)?;
    Some(word.trim_end_matches(|last: char| !last.is_ascii_alphanumeric()).to_owned())
}

/// The number before the first dot.
pub(crate) fn major_version(version: &str) -> Option<u32> {
    version.split(['.', '_', '-']).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_the_output_of_programs() {
        let read = |text| parse_version(text).unwrap();
        assert_eq!(read("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)"), "15.18");
        assert_eq!(read("Redis server v=6.2.5 sha=00000000:0 malloc=jemalloc-5.1.0 bits=64"), "6.2.5");
        assert_eq!(read("openjdk version \"17.0.15\" 2025-04-15"), "17.0.15");
        assert_eq!(parse_version("no number here"), None);
        assert_eq!(major_version("17.0.15"), Some(17));
    }
}
