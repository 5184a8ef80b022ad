//! What a request to an S3-compatible service failed with, without anything of it that is secret.

use std::{error::Error, fmt};

/// Maximum length of a description, in characters.
const MAX_CHARS: usize = 500;

/// Description of a failed request.
///
/// Services repeat parts of the request in their answers, for expired temporary keys even the session token. Of an
/// answer only its code and message are kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{description}")]
pub struct S3Failure {
    description: String,
    kind: S3FailureKind,
}

/// What an operator has to look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum S3FailureKind {
    /// The access key, or what it may do.
    AccessDenied,
    /// The bucket.
    MissingBucket,
    /// An object that was there.
    MissingObject,
    /// The service, or the way to it.
    Unavailable,
}

impl S3Failure {
    pub(crate) fn new(error: &object_store::Error) -> Self {
        // The innermost errors say most; the outer ones repeat them.
        let mut texts = vec![error.to_string()];
        let mut source = error.source();
        while let Some(inner) = source {
            texts.push(inner.to_string());
            source = inner.source();
        }
        let answer = texts.iter().find(|text| text.contains("<Error")).map(|answer| ErrorAnswer::parse(answer));
        let status = texts.iter().find_map(|text| parse_status(text));
        let code = answer.as_ref().and_then(|answer| answer.code.as_deref());
        let kind = match (code, status) {
            (Some("ExpiredToken" | "InvalidToken"), _) | (_, Some(401 | 403)) => S3FailureKind::AccessDenied,
            (Some("NoSuchBucket"), _) => S3FailureKind::MissingBucket,
            (Some("NoSuchKey"), _) => S3FailureKind::MissingObject,
            _ if matches!(error, object_store::Error::Precondition { .. }) => S3FailureKind::MissingObject,
            _ => S3FailureKind::Unavailable,
        };
        let description = match &answer {
            Some(answer) => answer.to_string(),
            None => texts.pop().unwrap_or_default(),
        };
        Self { kind, ..Self::from_text(&description) }
    }

    pub(crate) fn from_text(text: &str) -> Self {
        Self { description: text.chars().take(MAX_CHARS).collect(), kind: S3FailureKind::Unavailable }
    }

    pub(crate) fn kind(&self) -> S3FailureKind {
        self.kind
    }
}

/// Reads the status of an answer from the client's message, which is the only place where it is for lists.
fn parse_status(text: &str) -> Option<u16> {
    let (_, rest) = text.split_once("status code: ")?;
    rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// What a service says about an error.
struct ErrorAnswer {
    code: Option<String>,
    message: Option<String>,
}

impl ErrorAnswer {
    fn parse(text: &str) -> Self {
        let element = |name: &str| {
            let (_, rest) = text.split_once(&format!("<{name}>"))?;
            let (content, _) = rest.split_once(&format!("</{name}>"))?;
            (!content.contains('<')).then(|| content.chars().filter(|c| !c.is_control()).take(200).collect::<String>())
        };
        Self { code: element("Code"), message: element("Message") }
    }
}

impl fmt::Display for ErrorAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.code, &self.message) {
            (Some(code), Some(message)) => write!(f, "the service answered {code}: {message}"),
            (Some(code), None) => write!(f, "the service answered {code}"),
            (None, _) => f.write_str("the service answered with an error that cannot be read"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_code_and_message_of_an_answer_are_kept() {
        let failure = |text: &str| {
            let failure = S3Failure::new(&object_store::Error::Generic { store: "S3", source: text.to_owned().into() });
            (failure.to_string(), failure.kind())
        };
        let answer = "400 Bad Request: <?xml version=\"1.0\"?><Error><Code>ExpiredToken</Code><Message>The token has \
                      expired.</Message><Token-0>TOKEN</Token-0><AWSAccessKeyId>AKID</AWSAccessKeyId></Error>";
        let expected = "the service answered ExpiredToken: The token has expired.".to_owned();
        assert_eq!(failure(answer), (expected, S3FailureKind::AccessDenied));
        let unreadable = "the service answered with an error that cannot be read".to_owned();
        assert_eq!(failure("status code: 403 Forbidden: <Error>half"), (unreadable, S3FailureKind::AccessDenied));
        assert_eq!(failure("connection refused"), ("connection refused".to_owned(), S3FailureKind::Unavailable));
        assert_eq!(failure("<Error><Code>NoSuchBucket</Code></Error>").1, S3FailureKind::MissingBucket);
        assert_eq!(failure("<Error><Code>NoSuchUpload</Code></Error>").1, S3FailureKind::Unavailable);
        assert_eq!(failure(&"x".repeat(10_000)).0.len(), MAX_CHARS);
    }
}
