//! Errors in ClickHouse's form: code, text and the matching HTTP status.

use std::borrow::Cow;

use axum::{
    body::Body,
    http::{HeaderValue, StatusCode},
    response::{IntoResponse, Response},
};

/// An error in ClickHouse's wording, for example `Code: 60. DB::Exception: ... (UNKNOWN_TABLE)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ClickHouseException {
    /// ClickHouse's error code.
    pub(super) code: i32,
    /// The whole text, including the version.
    pub(super) text: String,
}

/// The errors that this server raises itself; the numbers are ClickHouse's.
#[derive(Clone, Copy, Debug)]
pub(super) enum ExceptionCode {
    NotImplemented,
    SyntaxError,
    BadArguments,
    UnknownSetting,
    Readonly,
    TooManyBytes,
    AuthenticationFailed,
    CannotWrite,
    CannotSchedule,
    SessionNotFound,
}

impl ExceptionCode {
    const fn code_and_name(self) -> (i32, &'static str) {
        match self {
            Self::NotImplemented => (48, "NOT_IMPLEMENTED"),
            Self::SyntaxError => (62, "SYNTAX_ERROR"),
            Self::BadArguments => (36, "BAD_ARGUMENTS"),
            Self::UnknownSetting => (115, "UNKNOWN_SETTING"),
            Self::Readonly => (164, "READONLY"),
            Self::TooManyBytes => (307, "TOO_MANY_BYTES"),
            Self::AuthenticationFailed => (516, "AUTHENTICATION_FAILED"),
            Self::CannotSchedule => (439, "CANNOT_SCHEDULE_TASK"),
            Self::SessionNotFound => (372, "SESSION_NOT_FOUND"),
            Self::CannotWrite => (75, "CANNOT_WRITE_TO_FILE_DESCRIPTOR"),
        }
    }

    /// An exception with this code, worded as ClickHouse does.
    pub(super) fn with_message(self, message: &str) -> ClickHouseException {
        let (code, name) = self.code_and_name();
        ClickHouseException { code, text: format!("Code: {code}. DB::Exception: {message}. ({name})") }
    }
}

impl ClickHouseException {
    /// Parses an engine's error text.
    pub(super) fn from_engine(text: &str, version: &str) -> Self {
        let mut text = Cow::Borrowed(text);
        let mut code = parse_code(&text);
        if code.is_none() {
            // Clients expect a code in every error.
            text = Cow::Owned(format!("Code: 1001. DB::Exception: {text}. (STD_EXCEPTION)"));
            code = Some(1001);
        }
        let text = innermost_error(&text);
        let suffix = if text.contains("(version ") { String::new() } else { format!(" (version {version})") };
        Self { code: code.unwrap_or_default(), text: format!("{text}{suffix}") }
    }

    /// The HTTP status that ClickHouse uses for the error (its `exceptionCodeToHTTPStatus`).
    pub(super) fn status(&self) -> StatusCode {
        match self.name() {
            "REQUIRED_PASSWORD" => StatusCode::UNAUTHORIZED,
            "UNKNOWN_USER" | "WRONG_PASSWORD" | "AUTHENTICATION_FAILED" | "SET_NON_GRANTED_ROLE" => {
                StatusCode::FORBIDDEN
            }
            "BAD_ARGUMENTS"
            | "SYNTAX_ERROR"
            | "INCORRECT_DATA"
            | "TYPE_MISMATCH"
            | "VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE" => StatusCode::BAD_REQUEST,
            "UNKNOWN_TABLE"
            | "UNKNOWN_FUNCTION"
            | "UNKNOWN_IDENTIFIER"
            | "UNKNOWN_TYPE"
            | "UNKNOWN_STORAGE"
            | "UNKNOWN_DATABASE"
            | "UNKNOWN_SETTING"
            | "UNKNOWN_AGGREGATE_FUNCTION"
            | "UNKNOWN_FORMAT"
            | "UNKNOWN_DATABASE_ENGINE"
            | "UNKNOWN_TYPE_OF_QUERY"
            | "UNKNOWN_ROLE"
            | "SESSION_NOT_FOUND" => StatusCode::NOT_FOUND,
            "TOO_MANY_BYTES" | "QUERY_IS_TOO_LARGE" => StatusCode::PAYLOAD_TOO_LARGE,
            "NOT_IMPLEMENTED" => StatusCode::NOT_IMPLEMENTED,
            "TIMEOUT_EXCEEDED" => StatusCode::REQUEST_TIMEOUT,
            "SOCKET_TIMEOUT" | "CANNOT_OPEN_FILE" | "CANNOT_SCHEDULE_TASK" => StatusCode::SERVICE_UNAVAILABLE,
            name if name.starts_with("CANNOT_PARSE_") => StatusCode::BAD_REQUEST,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The error's name, such as `UNKNOWN_TABLE`.
    fn name(&self) -> &str {
        let text = self.text.rfind(" (version ").map_or(self.text.as_str(), |at| &self.text[..at]);
        text.strip_suffix(')').and_then(|text| text.rsplit_once('(')).map_or("", |(_, name)| name)
    }
}

impl IntoResponse for ClickHouseException {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::from(format!("{}\n", self.text)));
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.insert("X-ClickHouse-Exception-Code", HeaderValue::from(self.code));
        headers.insert("Content-Type", HeaderValue::from_static("text/plain; charset=UTF-8"));
        response
    }
}

fn parse_code(text: &str) -> Option<i32> {
    text.strip_prefix("Code: ")?.split_once('.')?.0.parse().ok()
}

/// Returns the innermost error. The embedded engine nests some errors in themselves:
/// `Code: 33. DB::Exception: Code: 33. DB::Exception: ...`.
fn innermost_error(text: &str) -> &str {
    const EXCEPTION_MARK: &str = "DB::Exception: ";
    let inner = text.split_once(EXCEPTION_MARK).map(|(_, inner)| inner).filter(|inner| inner.starts_with("Code: "));
    inner.map_or(text, |inner| inner.rfind(". (").map_or(inner, |at| &inner[..at]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_error_has_its_code_and_the_version_once() {
        let plain = ClickHouseException::from_engine("Code: 60. DB::Exception: no table (a). (UNKNOWN_TABLE)", "26.5");
        assert_eq!(plain.text, "Code: 60. DB::Exception: no table (a). (UNKNOWN_TABLE) (version 26.5)");
        assert_eq!((plain.code, plain.status()), (60, StatusCode::NOT_FOUND));
        let inner = "Code: 33. DB::Exception: cut off: (at row 4). (CANNOT_READ_ALL_DATA) (version 26.5)";
        let nested = ClickHouseException::from_engine(
            &format!("Code: 33. DB::Exception: {inner}. (CANNOT_READ_ALL_DATA)"),
            "26.5",
        );
        assert_eq!((nested.text.as_str(), nested.code), (inner, 33));
    }

    #[test]
    fn a_text_without_a_code_gets_one() {
        let exception = ClickHouseException::from_engine("std::bad_alloc", "26.5");
        assert_eq!((exception.code, exception.status()), (1001, StatusCode::INTERNAL_SERVER_ERROR));
    }

    #[test]
    fn an_exception_has_the_status_of_its_name() {
        for (code, status) in [
            (ExceptionCode::NotImplemented, StatusCode::NOT_IMPLEMENTED),
            (ExceptionCode::TooManyBytes, StatusCode::PAYLOAD_TOO_LARGE),
            (ExceptionCode::AuthenticationFailed, StatusCode::FORBIDDEN),
            (ExceptionCode::CannotSchedule, StatusCode::SERVICE_UNAVAILABLE),
            (ExceptionCode::Readonly, StatusCode::INTERNAL_SERVER_ERROR),
        ] {
            assert_eq!(code.with_message("x").status(), status, "{code:?}");
        }
    }
}
