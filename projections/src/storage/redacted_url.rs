//! Formats connection URLs without user name and password.

use std::fmt;

/// A connection URL whose `Debug` output replaces user name and password by `***`.
pub(crate) struct RedactedUrl<'a>(pub(crate) &'a str);

impl fmt::Debug for RedactedUrl<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let authority_end = |rest: &str| rest.find(['/', '?']).unwrap_or(rest.len());
        let Some((scheme, rest)) = self.0.split_once("://") else {
            return f.write_str(self.0);
        };
        if rest.contains("://") {
            // A list of URLs; each of them may contain a password.
            return write!(f, "{scheme}://***");
        }
        match rest[..authority_end(rest)].rfind('@') {
            Some(at) => write!(f, "{scheme}://***{}", &rest[at..]),
            None => f.write_str(self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_and_password_are_redacted() {
        let redacted = |url| format!("{:?}", RedactedUrl(url));
        assert_eq!(redacted("redis://:s3cr3t@127.0.0.1:6379/2"), "redis://***@127.0.0.1:6379/2");
        assert_eq!(redacted("http://me:p@ss@host:8123"), "http://***@host:8123");
        assert_eq!(redacted("http://host:8123/?user=a@b"), "http://host:8123/?user=a@b");
        assert_eq!(redacted("redis://:s3cr3t@h:1,i:2"), "redis://***@h:1,i:2");
        assert_eq!(redacted("redis://:s3cr3t@h:1,redis://:s3cr3t@i:2"), "redis://***");
        assert_eq!(redacted("host"), "host");
    }
}
