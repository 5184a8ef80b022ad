//! What a request asks of ClickHouse's HTTP interface, read from its address and headers.

use axum::http::{HeaderMap, Method, Uri, header};
use uuid::Uuid;

use super::{
    exception::{Exception, Refusal},
    login::{Access, Credentials},
};

/// A request without its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Request {
    /// Its id, the client's or a fresh one.
    pub(super) query_id: String,
    /// Who asks.
    pub(super) credentials: Credentials,
    /// The database that unqualified names mean.
    pub(super) database: Option<String>,
    /// The format of the answer where the statement names none.
    pub(super) format: String,
    /// The part of the statement that stands in the address.
    pub(super) query: String,
    /// Values for `{name:Type}`.
    pub(super) parameters: Vec<(String, String)>,
    /// Settings of this statement.
    pub(super) settings: Vec<(String, String)>,
    /// Whether the answer must be complete before its first byte goes out.
    pub(super) whole: bool,
    /// Whether it may only read, whoever asks: ClickHouse lets a GET change nothing.
    pub(super) reads: bool,
    /// The boundary of a body that is a form (`multipart/form-data`).
    pub(super) boundary: Option<String>,
}

/// Parameters of ClickHouse's HTTP interface that change nothing here.
const WITHOUT_EFFECT: [&str; 6] =
    ["buffer_size", "quota_key", "stacktrace", "close_session", "client_protocol_version", "framing"];

/// What this server does not do; asking for it is refused rather than ignored.
const NOT_IMPLEMENTED: [&str; 5] = ["session_id", "session_timeout", "session_check", "role", "internal"];

impl Request {
    /// Reads address and headers.
    pub(super) fn read(method: &Method, address: &Uri, headers: &HeaderMap) -> Result<Self, Exception> {
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let mut request = Self {
            query_id: String::new(),
            credentials: Credentials::of(headers, None, None),
            database: header("X-ClickHouse-Database"),
            format: header("X-ClickHouse-Format").unwrap_or_else(|| "TabSeparated".to_owned()),
            query: String::new(),
            parameters: Vec::new(),
            settings: Vec::new(),
            whole: false,
            reads: false,
            boundary: header("Content-Type").as_deref().and_then(boundary),
        };
        if header(header::CONTENT_ENCODING.as_str()).is_some_and(|encoding| encoding != "identity") {
            return Err(compression("Content-Encoding"));
        }
        let (mut user, mut password) = (None, None);
        for (name, value) in url::form_urlencoded::parse(address.query().unwrap_or_default().as_bytes()) {
            match name.as_ref() {
                "user" => user = Some(value.into_owned()),
                "password" => password = Some(value.into_owned()),
                name => request.take(name, value.into_owned())?,
            }
        }
        request.credentials = Credentials::of(headers, user, password);
        request.reads = *method == Method::GET;
        if request.query_id.is_empty() {
            request.query_id = header("X-ClickHouse-Query-Id").unwrap_or_else(|| Uuid::new_v4().to_string());
        }
        Ok(request)
    }

    /// Takes one named value, from the address or from a field of a form.
    pub(super) fn take(&mut self, name: &str, value: String) -> Result<(), Exception> {
        match name {
            "query" => self.query.push_str(&value),
            "database" => self.database = Some(value).filter(|name| !name.is_empty()),
            "default_format" => self.format = value,
            "query_id" => self.query_id = value,
            "wait_end_of_query" => self.whole = value != "0",
            "compress" | "decompress" if value == "0" => {}
            "compress" | "decompress" => return Err(compression(name)),
            name if WITHOUT_EFFECT.contains(&name) => {}
            name if NOT_IMPLEMENTED.contains(&name) => {
                return Err(Refusal::NotImplemented.because(&format!("the local engine has no parameter '{name}'")));
            }
            name => match name.strip_prefix("param_") {
                Some(parameter) => self.parameters.push((parameter.to_owned(), value)),
                None => self.settings.push((name.to_owned(), value)),
            },
        }
        Ok(())
    }

    /// The statements that prepare a fresh session for this request, the settings last.
    pub(super) fn preparation(&self, access: Access) -> Result<Vec<String>, Exception> {
        let mut statements = Vec::new();
        if let Some(database) = &self.database {
            statements.push(format!("USE `{}`", escaped(database, '`')));
        }
        let mut settings = Vec::new();
        for (name, value) in &self.settings {
            if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '.') {
                return Err(Refusal::UnknownSetting.because(&format!("Unknown setting '{name}'")));
            }
            settings.push(format!("{name}='{}'", escaped(value, '\'')));
        }
        if self.reads && access == Access::Full && !self.settings.iter().any(|(name, _)| name == "readonly") {
            settings.push("readonly='2'".to_owned());
        }
        if !settings.is_empty() {
            statements.push(format!("SET {}", settings.join(", ")));
        }
        Ok(statements)
    }
}

fn escaped(text: &str, quote: char) -> String {
    text.replace('\\', "\\\\").replace(quote, &format!("\\{quote}"))
}

fn boundary(content_type: &str) -> Option<String> {
    let (kind, rest) = content_type.split_once(';')?;
    let value = rest.split(';').find_map(|part| part.trim().strip_prefix("boundary="))?;
    kind.trim().eq_ignore_ascii_case("multipart/form-data").then(|| value.trim_matches('"').to_owned())
}

fn compression(asked_by: &str) -> Exception {
    Refusal::NotImplemented.because(&format!(
        "the local engine neither takes nor gives compressed data ({asked_by}); switch the client's compression off"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(method: &Method, address: &str) -> Result<Request, Exception> {
        Request::read(method, &address.parse().unwrap(), &HeaderMap::new())
    }

    #[test]
    fn parameters_settings_and_the_query_are_told_apart() {
        let request = read(&Method::POST, "/?query=SELECT%20{a:Int8}&param_a=1&max_threads=2&database=d%60b").unwrap();
        assert_eq!(request.query, "SELECT {a:Int8}");
        assert_eq!(request.parameters, [("a".to_owned(), "1".to_owned())]);
        assert_eq!(request.preparation(Access::Full).unwrap(), ["USE `d\\`b`", "SET max_threads='2'"]);
    }

    #[test]
    fn a_get_cannot_write() {
        let request = read(&Method::GET, "/?query=SELECT%201").unwrap();
        assert_eq!(request.preparation(Access::Full).unwrap(), ["SET readonly='2'"]);
        assert!(request.preparation(Access::Read).unwrap().is_empty(), "it is more than the analyst may change");
    }

    #[test]
    fn what_is_not_implemented_is_refused() {
        for address in ["/?session_id=1", "/?compress=1", "/?decompress=1"] {
            assert_eq!(read(&Method::POST, address).unwrap_err().code, 48, "{address}");
        }
        let request = read(&Method::POST, "/?a%27b=1").unwrap();
        assert_eq!(request.preparation(Access::Full).unwrap_err().code, 115);
    }
}
