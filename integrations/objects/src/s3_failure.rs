//! What a request to an S3-compatible service failed with, without anything of it that is secret.

use std::error::Error;

/// Maximum length of a description, in characters.
const MAX_CHARS: usize = 500;

/// Description of a failed request.
///
/// Services repeat parts of the request in their answers, for expired temporary keys even the session token. Of an
/// answer only its code and message are kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct S3Failure(String);

impl S3Failure {
    pub(crate) fn new(error: &object_store::Error) -> Self {
        // The innermost errors say most; the outer ones repeat them.
        let mut texts = vec![error.to_string()];
        let mut source = error.source();
        while let Some(inner) = source {
            texts.push(inner.to_string());
            source = inner.source();
        }
        let description = match texts.iter().find(|text| text.contains("<Error")) {
            Some(answer) => describe_answer(answer),
            None => texts.pop().unwrap_or_default(),
        };
        Self(description.chars().take(MAX_CHARS).collect())
    }

    pub(crate) fn from_text(text: &str) -> Self {
        Self(text.chars().take(MAX_CHARS).collect())
    }
}

fn describe_answer(text: &str) -> String {
    let element = |name: &str| {
        let (_, rest) = text.split_once(&format!("<{name}>"))?;
        let (content, _) = rest.split_once(&format!("</{name}>"))?;
        (!content.contains('<')).then(|| content.chars().filter(|c| !c.is_control()).take(200).collect::<String>())
    };
    match (element("Code"), element("Message")) {
        (Some(code), Some(message)) => format!("the service answered {code}: {message}"),
        (Some(code), None) => format!("the service answered {code}"),
        (None, _) => "the service answered with an error that cannot be read".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_code_and_message_of_an_answer_are_kept() {
        let failure = |text: &str| {
            S3Failure::new(&object_store::Error::Generic { store: "S3", source: text.to_owned().into() }).to_string()
        };
        let answer = "400 Bad Request: <?xml version=\"1.0\"?><Error><Code>ExpiredToken</Code><Message>The token has \
                      expired.</Message><Token-0>TOKEN</Token-0><AWSAccessKeyId>AKID</AWSAccessKeyId></Error>";
        assert_eq!(failure(answer), "the service answered ExpiredToken: The token has expired.");
        assert_eq!(failure("<Error>half"), "the service answered with an error that cannot be read");
        assert_eq!(failure("connection refused"), "connection refused");
        assert_eq!(failure(&"x".repeat(10_000)).len(), MAX_CHARS);
    }
}
