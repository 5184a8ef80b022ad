//! ClickHouse's HTTP interface: turns a request into a job for the engine.

use std::{path::PathBuf, sync::Arc};

use axum::{
    Router,
    body::Body,
    extract::State,
    http::{HeaderMap, HeaderValue, Method, Uri},
    response::{IntoResponse, Response},
    routing::{any, get},
};
use tokio::sync::{Semaphore, mpsc};

use super::{
    body_compression,
    chdb_engine::{self, ChdbEngine, StatementJob},
    exception::{ClickHouseException, ExceptionCode},
    login_access::{LoginAccess, LoginPasswords},
    multipart_form,
    query_request::QueryRequest,
    request_body::RequestBody,
    response::{self, ResultEncoding},
    session_store::{SessionKey, SessionStore},
    statement::{self, InsertStatement, ParsedStatement},
};

/// Number of result chunks that may wait for a slow client.
const CHUNKS_IN_FLIGHT: usize = 4;

/// What handling a request requires.
pub(super) struct HttpInterface {
    pub(super) engine: ChdbEngine,
    pub(super) logins: LoginPasswords,
    pub(super) sessions: SessionStore,
    /// Folder for the data of inserts while they run.
    pub(super) spool: PathBuf,
    pub(super) max_body_bytes: u64,
    pub(super) max_statement_bytes: usize,
    pub(super) max_result_bytes: u64,
    /// One permit for each statement that may run at once.
    pub(super) permits: Arc<Semaphore>,
}

/// The routes of the interface.
pub(super) fn build_router(interface: Arc<HttpInterface>) -> Router {
    Router::new().route("/ping", get(|| async { "Ok.\n" })).route("/", any(handle_request)).with_state(interface)
}

async fn handle_request(
    State(interface): State<Arc<HttpInterface>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let mut body = RequestBody::new(body, interface.max_body_bytes);
    let mut query_id = String::new();
    let outcome = match QueryRequest::from_request(&method, &uri, &headers) {
        Ok(request) => {
            query_id.clone_from(&request.query_id);
            serve_request(&interface, request, &method, &mut body).await
        }
        Err(exception) => Err(exception),
    };
    let mut response = match outcome {
        Ok(response) => response,
        Err(exception) => {
            body.discard_rest().await;
            exception.into_response()
        }
    };
    let engine = &interface.engine;
    for (name, value) in [
        ("X-ClickHouse-Query-Id", query_id.as_str()),
        ("X-ClickHouse-Server-Display-Name", "medhub-local"),
        ("X-ClickHouse-Timezone", engine.time_zone()),
        ("X-ClickHouse-Version", engine.version()),
    ] {
        if let Ok(value) = HeaderValue::from_str(value) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

async fn serve_request(
    interface: &Arc<HttpInterface>,
    mut request: QueryRequest,
    method: &Method,
    body: &mut RequestBody,
) -> Result<Response, ClickHouseException> {
    let access = interface.logins.check(&request.credentials)?;
    if *method == Method::GET && request.query.is_empty() {
        return Ok("Ok.\n".into_response());
    }
    let mut decompressed;
    let body = match request.compression {
        Some(compression) => {
            decompressed = body_compression::decompress(body, compression, &interface.spool).await?;
            &mut decompressed
        }
        None => body,
    };
    let session = request.session.id.clone().map(|id| (request.credentials.user().to_owned(), id));
    let (format, mut job) = interface.build_job(&mut request, access, body).await?;
    if let Some(key) = &session {
        let mut preparation = interface.sessions.open(key, &request.session)?;
        preparation.append(&mut job.preparation);
        job.preparation = preparation;
    }
    let closed = |_| ExceptionCode::CannotSchedule.with_message("the server is shutting down");
    let permit = Arc::clone(&interface.permits).acquire_owned().await.map_err(closed)?;
    let (sender, receiver) = mpsc::channel(CHUNKS_IN_FLIGHT);
    let closes_session = request.session.closes_session;
    let owner = Arc::clone(interface);
    chdb_engine::start_thread(move || {
        owner.engine.run(&job, &sender, || owner.update_session(session.as_ref(), &job, closes_session));
        drop((sender, job, permit));
    })?;
    let revision = if format.eq_ignore_ascii_case("Native") { request.revision } else { 0 };
    Ok(response::build_response(receiver, &format, ResultEncoding { in_blocks: request.in_blocks, revision }).await)
}

impl HttpInterface {
    /// Reads the body and builds the job; also returns the format of the result.
    async fn build_job(
        &self,
        request: &mut QueryRequest,
        access: LoginAccess,
        body: &mut RequestBody,
    ) -> Result<(String, StatementJob), ClickHouseException> {
        let mut text = std::mem::take(&mut request.query).into_bytes();
        let query_statement = statement::parse_statement(&text, access)?;
        let (statement, ended) = match query_statement {
            ParsedStatement::Insert(insert) if text[insert.data..].trim_ascii().is_empty() => {
                // The whole body is data, even if it looks like SQL.
                return self.build_insert_job(request, access, &text, &insert, (&[], body)).await;
            }
            ParsedStatement::Select(_)
            | ParsedStatement::Insert(_)
            | ParsedStatement::Session
            | ParsedStatement::Temporary
            | ParsedStatement::Other
            | ParsedStatement::Empty => {
                let ended = self.read_statement(request, &mut text, body).await?;
                (statement::parse_statement(&text, access)?, ended)
            }
        };
        match statement {
            ParsedStatement::Empty => Err(ExceptionCode::SyntaxError.with_message("Syntax error: Empty query")),
            ParsedStatement::Insert(insert) if !(insert.has_values && ended) => {
                let head = text.split_off(insert.data);
                self.build_insert_job(request, access, &text, &insert, (&head, body)).await
            }
            _ if !ended => {
                let limit = self.max_statement_bytes;
                Err(ExceptionCode::TooManyBytes.with_message(&format!("the statement is longer than {limit} bytes")))
            }
            ParsedStatement::Select(select) => {
                let framing = if request.is_buffered || needs_whole_result(request) {
                    None
                } else {
                    select.framing(&request.format)
                };
                let format = select.format.unwrap_or_else(|| request.format.clone());
                Ok((format, StatementJob { framing, ..self.build_plain_job(request, access, text)? }))
            }
            ParsedStatement::Temporary if request.session.id.is_some() => Err(ExceptionCode::NotImplemented
                .with_message("the local engine does not support temporary tables of a session")),
            ParsedStatement::Session => {
                let job = self.build_plain_job(request, access, text)?;
                Ok((request.format.clone(), StatementJob { changes_session: true, ..job }))
            }
            ParsedStatement::Insert(_) | ParsedStatement::Temporary | ParsedStatement::Other => {
                Ok((request.format.clone(), self.build_plain_job(request, access, text)?))
            }
        }
    }

    /// Appends the body to the text of the URL, and a form's fields to the request; returns whether the body ended.
    async fn read_statement(
        &self,
        request: &mut QueryRequest,
        text: &mut Vec<u8>,
        body: &mut RequestBody,
    ) -> Result<bool, ClickHouseException> {
        let Some(boundary) = request.boundary.take() else {
            if !text.is_empty() {
                text.push(b'\n');
            }
            return body.read_text(text, self.max_statement_bytes).await;
        };
        let mut form = Vec::new();
        let ended = body.read_text(&mut form, self.max_statement_bytes).await?;
        for (name, value) in multipart_form::parse_fields(&form, &boundary)? {
            request.set_parameter(&name, value)?;
        }
        text.extend(std::mem::take(&mut request.query).into_bytes());
        Ok(ended)
    }

    async fn build_insert_job(
        &self,
        request: &QueryRequest,
        access: LoginAccess,
        text: &[u8],
        insert: &InsertStatement,
        (head, body): (&[u8], &mut RequestBody),
    ) -> Result<(String, StatementJob), ClickHouseException> {
        let file = body.spool_to_file(head, &self.spool).await?;
        let statement = insert.with_infile(text, file.path());
        let job = StatementJob { data: Some(file), ..self.build_plain_job(request, access, statement)? };
        Ok((request.format.clone(), job))
    }

    fn build_plain_job(
        &self,
        request: &QueryRequest,
        access: LoginAccess,
        statement: Vec<u8>,
    ) -> Result<StatementJob, ClickHouseException> {
        Ok(StatementJob {
            access,
            preparation: request.preparing_statements(access)?,
            statement,
            format: request.format.clone(),
            parameters: request.parameters.clone(),
            framing: None,
            max_result_bytes: self.max_result_bytes,
            data: None,
            changes_session: false,
        })
    }

    /// Updates a session after a statement has succeeded.
    fn update_session(&self, session: Option<&SessionKey>, job: &StatementJob, closes_session: bool) {
        let Some(key) = session else { return };
        if job.changes_session {
            self.sessions.record_statement(key, String::from_utf8_lossy(&job.statement).into_owned());
        }
        if closes_session {
            self.sessions.close(key);
        }
    }
}

/// Whether a setting adds something to the result that each chunk of a stream would repeat.
fn needs_whole_result(request: &QueryRequest) -> bool {
    const ADDING_SETTINGS: [&str; 2] = ["extremes", "output_format_json_array_of_rows"];
    request.settings.iter().any(|(name, value)| ADDING_SETTINGS.contains(&name.as_str()) && value != "0")
}
