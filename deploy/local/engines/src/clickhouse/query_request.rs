//! A request to ClickHouse's HTTP interface, read from its URL and headers.

use axum::http::{HeaderMap, Method, Uri, header};
use uuid::Uuid;

use super::{
    body_compression::BodyCompression,
    exception::{ClickHouseException, ExceptionCode},
    login_access::{LoginAccess, LoginCredentials},
    session_store::SessionRequest,
};

/// A request without its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct QueryRequest {
    /// The client's query id, or a generated one.
    pub(super) query_id: String,
    /// User and password.
    pub(super) credentials: LoginCredentials,
    /// The database of unqualified names.
    pub(super) database: Option<String>,
    /// The format of the result if the statement names none.
    pub(super) format: String,
    /// The part of the statement that is in the URL.
    pub(super) query: String,
    /// Values for `{name:Type}`.
    pub(super) parameters: Vec<(String, String)>,
    /// Settings of this statement.
    pub(super) settings: Vec<(String, String)>,
    /// Whether the result must be complete before its first byte is sent.
    pub(super) is_buffered: bool,
    /// Whether it may only read, with any login: in ClickHouse a GET changes nothing.
    pub(super) is_read_only: bool,
    /// How the body is compressed; `None` if it is not.
    pub(super) compression: Option<BodyCompression>,
    /// Whether the result is to be sent in ClickHouse's blocks.
    pub(super) in_blocks: bool,
    /// The protocol revision of the format `Native` that the client reads; 0 for none.
    pub(super) revision: u64,
    /// The session of the request.
    pub(super) session: SessionRequest,
    /// The boundary of a body that is a form (`multipart/form-data`).
    pub(super) boundary: Option<String>,
}

/// Parameters of ClickHouse's HTTP interface that have no effect here.
const IGNORED_PARAMETERS: [&str; 4] = ["buffer_size", "quota_key", "stacktrace", "framing"];

/// Settings that a login with read access cannot change.
const SERVER_SETTINGS: [&str; 3] = ["readonly", "max_result_bytes", "implicit_select"];

/// Parameters that this server does not support; they are refused, not ignored.
const REFUSED_PARAMETERS: [&str; 2] = ["role", "internal"];

impl QueryRequest {
    /// Reads the URL and the headers.
    pub(super) fn from_request(method: &Method, uri: &Uri, headers: &HeaderMap) -> Result<Self, ClickHouseException> {
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let mut request = Self {
            query_id: String::new(),
            credentials: LoginCredentials::from_request(headers, None, None),
            database: header("X-ClickHouse-Database"),
            format: header("X-ClickHouse-Format").unwrap_or_else(|| "TabSeparated".to_owned()),
            query: String::new(),
            parameters: Vec::new(),
            settings: Vec::new(),
            is_buffered: false,
            is_read_only: false,
            compression: header(header::CONTENT_ENCODING.as_str())
                .map_or(Ok(None), |encoding| BodyCompression::from_content_encoding(&encoding))?,
            in_blocks: false,
            revision: 0,
            session: SessionRequest::default(),
            boundary: header("Content-Type").as_deref().and_then(parse_boundary),
        };
        let (mut user, mut password) = (None, None);
        for (name, value) in url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()) {
            match name.as_ref() {
                "user" => user = Some(value.into_owned()),
                "password" => password = Some(value.into_owned()),
                name => request.set_parameter(name, value.into_owned())?,
            }
        }
        request.credentials = LoginCredentials::from_request(headers, user, password);
        request.is_read_only = *method == Method::GET;
        if request.query_id.is_empty() {
            request.query_id = header("X-ClickHouse-Query-Id").unwrap_or_else(|| Uuid::new_v4().to_string());
        }
        Ok(request)
    }

    /// Sets one named value, from the URL or from a field of a form.
    pub(super) fn set_parameter(&mut self, name: &str, value: String) -> Result<(), ClickHouseException> {
        match name {
            "query" => self.query.push_str(&value),
            "database" => self.database = Some(value).filter(|name| !name.is_empty()),
            "default_format" => self.format = value,
            "query_id" => self.query_id = value,
            "wait_end_of_query" => self.is_buffered = value != "0",
            "compress" => self.in_blocks = value != "0",
            "decompress" if value == "0" => {}
            "decompress" => self.compression = Some(BodyCompression::Blocks),
            "client_protocol_version" => {
                let invalid = |_| {
                    ExceptionCode::BadArguments
                        .with_message(&format!("'{value}' is not a valid client_protocol_version"))
                };
                self.revision = value.parse().map_err(invalid)?;
            }
            "session_id" => self.session.id = Some(value).filter(|id| !id.is_empty()),
            "session_timeout" => self.session.timeout = Some(value),
            "session_check" => self.session.must_exist = value != "0",
            "close_session" => self.session.closes_session = value != "0",
            name if IGNORED_PARAMETERS.contains(&name) => {}
            name if REFUSED_PARAMETERS.contains(&name) => {
                return Err(ExceptionCode::NotImplemented
                    .with_message(&format!("the local engine does not support parameter '{name}'")));
            }
            name => match name.strip_prefix("param_") {
                Some(parameter) => self.parameters.push((parameter.to_owned(), value)),
                None => self.settings.push((name.to_owned(), value)),
            },
        }
        Ok(())
    }

    /// The statements that prepare a new connection for this request, the settings last. A login with read access may
    /// change settings, except the server's own; `readonly` and the server's limits are set after these statements.
    pub(super) fn preparing_statements(&self, access: LoginAccess) -> Result<Vec<String>, ClickHouseException> {
        let mut statements = Vec::new();
        if let Some(database) = &self.database {
            statements.push(format!("USE `{}`", escape_text(database, '`')));
        }
        let mut settings = Vec::new();
        for (name, value) in &self.settings {
            if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '.') {
                return Err(ExceptionCode::UnknownSetting.with_message(&format!("Unknown setting '{name}'")));
            }
            if access == LoginAccess::Read && SERVER_SETTINGS.contains(&name.as_str()) {
                if name == "readonly" && value == "0" {
                    let reason = "Cannot modify 'readonly' setting in readonly mode";
                    return Err(ExceptionCode::Readonly.with_message(reason));
                }
                continue;
            }
            settings.push(format!("{name}='{}'", escape_text(value, '\'')));
        }
        if self.is_read_only && access == LoginAccess::Full && !self.settings.iter().any(|(name, _)| name == "readonly")
        {
            settings.push("readonly='2'".to_owned());
        }
        if !settings.is_empty() {
            statements.push(format!("SET {}", settings.join(", ")));
        }
        Ok(statements)
    }
}

fn escape_text(text: &str, quote: char) -> String {
    text.replace('\\', "\\\\").replace(quote, &format!("\\{quote}"))
}

fn parse_boundary(content_type: &str) -> Option<String> {
    let (kind, rest) = content_type.split_once(';')?;
    let value = rest.split(';').find_map(|part| part.trim().strip_prefix("boundary="))?;
    kind.trim().eq_ignore_ascii_case("multipart/form-data").then(|| value.trim_matches('"').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_request(method: &Method, address: &str) -> Result<QueryRequest, ClickHouseException> {
        QueryRequest::from_request(method, &address.parse().unwrap(), &HeaderMap::new())
    }

    #[test]
    fn parameters_settings_and_the_query_are_separated() {
        let request =
            read_request(&Method::POST, "/?query=SELECT%20{a:Int8}&param_a=1&max_threads=2&database=d%60b").unwrap();
        assert_eq!(request.query, "SELECT {a:Int8}");
        assert_eq!(request.parameters, [("a".to_owned(), "1".to_owned())]);
        assert_eq!(request.preparing_statements(LoginAccess::Full).unwrap(), ["USE `d\\`b`", "SET max_threads='2'"]);
    }

    #[test]
    fn default_parameters_of_clients_are_accepted() {
        let request =
            read_request(&Method::POST, "/?session_id=a&session_timeout=9&compress=1&decompress=1&log_comment=x")
                .unwrap();
        assert_eq!((request.session.id.as_deref(), request.session.timeout.as_deref()), (Some("a"), Some("9")));
        assert!(request.in_blocks && request.compression == Some(BodyCompression::Blocks));
        assert_eq!(request.preparing_statements(LoginAccess::Read).unwrap(), ["SET log_comment='x'"]);
    }

    #[test]
    fn a_login_with_read_access_cannot_lift_the_limits() {
        let request = read_request(&Method::POST, "/?max_result_bytes=0&readonly=2&max_execution_time=30").unwrap();
        assert_eq!(request.preparing_statements(LoginAccess::Read).unwrap(), ["SET max_execution_time='30'"]);
        let request = read_request(&Method::POST, "/?readonly=0").unwrap();
        assert_eq!(request.preparing_statements(LoginAccess::Read).unwrap_err().code, 164);
    }

    #[test]
    fn a_get_cannot_write() {
        let request = read_request(&Method::GET, "/?query=SELECT%201").unwrap();
        assert_eq!(request.preparing_statements(LoginAccess::Full).unwrap(), ["SET readonly='2'"]);
        assert!(
            request.preparing_statements(LoginAccess::Read).unwrap().is_empty(),
            "readonly=1 is set for the analyst afterwards"
        );
    }

    #[test]
    fn unsupported_parameters_and_invalid_settings_are_refused() {
        for address in ["/?role=1", "/?internal=1"] {
            assert_eq!(read_request(&Method::POST, address).unwrap_err().code, 48, "{address}");
        }
        let request = read_request(&Method::POST, "/?a%27b=1").unwrap();
        assert_eq!(request.preparing_statements(LoginAccess::Full).unwrap_err().code, 115);
    }
}
