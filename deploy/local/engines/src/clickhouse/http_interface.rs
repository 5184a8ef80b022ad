//! ClickHouse's HTTP interface: from a request to a job for the engine.

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

/// Pieces of a result that may wait for a slow client.
const CHUNKS_IN_FLIGHT: usize = 4;

/// Everything a request needs.
pub(super) struct HttpInterface {
    pub(super) engine: ChdbEngine,
    pub(super) logins: LoginPasswords,
    pub(super) sessions: SessionStore,
    /// Where the data of inserts is kept while they run.
    pub(super) spool: PathBuf,
    pub(super) max_body_bytes: u64,
    pub(super) max_statement_bytes: usize,
    pub(super) max_result_bytes: u64,
    /// Statements that run at once.
    pub(super) permits: Arc<Semaphore>,
}

/// The routes of the interface.
pub(super) fn routes(interface: Arc<HttpInterface>) -> Router {
    Router::new().route("/ping", get(|| async { "Ok.\n" })).route("/", any(handle)).with_state(interface)
}

async fn handle(
    State(interface): State<Arc<HttpInterface>>,
    method: Method,
    address: Uri,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let mut body = RequestBody::new(body, interface.max_body_bytes);
    let mut query_id = String::new();
    let served = match QueryRequest::read(&method, &address, &headers) {
        Ok(request) => {
            query_id.clone_from(&request.query_id);
            serve(&interface, request, &method, &mut body).await
        }
        Err(exception) => Err(exception),
    };
    let mut response = match served {
        Ok(response) => response,
        Err(exception) => {
            body.discard().await;
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

async fn serve(
    interface: &Arc<HttpInterface>,
    mut request: QueryRequest,
    method: &Method,
    body: &mut RequestBody,
) -> Result<Response, ClickHouseException> {
    let access = interface.logins.check(&request.credentials)?;
    if *method == Method::GET && request.query.is_empty() {
        return Ok("Ok.\n".into_response());
    }
    let mut unpacked;
    let body = match request.compression {
        Some(packing) => {
            unpacked = body_compression::unpack(body, packing, &interface.spool).await?;
            &mut unpacked
        }
        None => body,
    };
    let session = request.session.id.clone().map(|id| (request.credentials.user().to_owned(), id));
    let (format, mut job) = interface.job(&mut request, access, body).await?;
    if let Some(key) = &session {
        let mut preparation = interface.sessions.enter(key, &request.session)?;
        preparation.append(&mut job.preparation);
        job.preparation = preparation;
    }
    let closed = |_| ExceptionCode::CannotSchedule.because("the server is shutting down");
    let permit = Arc::clone(&interface.permits).acquire_owned().await.map_err(closed)?;
    let (sender, receiver) = mpsc::channel(CHUNKS_IN_FLIGHT);
    let ends = request.session.ends;
    let owner = Arc::clone(interface);
    chdb_engine::start(move || {
        owner.engine.run(&job, &sender, || owner.sessions_after(session.as_ref(), &job, ends));
        drop((sender, job, permit));
    })?;
    let revision = if format.eq_ignore_ascii_case("Native") { request.revision } else { 0 };
    Ok(response::respond(receiver, &format, ResultEncoding { in_blocks: request.in_blocks, revision }).await)
}

impl HttpInterface {
    /// Reads the body and makes the job; also tells the format of the answer.
    async fn job(
        &self,
        request: &mut QueryRequest,
        access: LoginAccess,
        body: &mut RequestBody,
    ) -> Result<(String, StatementJob), ClickHouseException> {
        let mut text = std::mem::take(&mut request.query).into_bytes();
        let in_address = statement::understand(&text, access)?;
        let (statement, ended) = match in_address {
            ParsedStatement::Insert(insert) if text[insert.data..].trim_ascii().is_empty() => {
                // The whole body is data, however it begins.
                return self.insertion(request, access, &text, &insert, (&[], body)).await;
            }
            ParsedStatement::Select(_)
            | ParsedStatement::Insert(_)
            | ParsedStatement::Session
            | ParsedStatement::Temporary
            | ParsedStatement::Other
            | ParsedStatement::Empty => {
                let ended = self.complete_text(request, &mut text, body).await?;
                (statement::understand(&text, access)?, ended)
            }
        };
        match statement {
            ParsedStatement::Empty => Err(ExceptionCode::SyntaxError.because("Syntax error: Empty query")),
            ParsedStatement::Insert(insert) if !(insert.values && ended) => {
                let head = text.split_off(insert.data);
                self.insertion(request, access, &text, &insert, (&head, body)).await
            }
            _ if !ended => {
                let limit = self.max_statement_bytes;
                Err(ExceptionCode::TooManyBytes.because(&format!("the statement is longer than {limit} bytes")))
            }
            ParsedStatement::Select(select) => {
                let framing =
                    if request.is_buffered || asks_for_more(request) { None } else { select.framing(&request.format) };
                let format = select.format.unwrap_or_else(|| request.format.clone());
                Ok((format, StatementJob { framing, ..self.plain_job(request, access, text)? }))
            }
            ParsedStatement::Temporary if request.session.id.is_some() => {
                Err(ExceptionCode::NotImplemented.because("the local engine has no temporary tables of a session"))
            }
            ParsedStatement::Session => {
                let job = self.plain_job(request, access, text)?;
                Ok((request.format.clone(), StatementJob { is_remembered: true, ..job }))
            }
            ParsedStatement::Insert(_) | ParsedStatement::Temporary | ParsedStatement::Other => {
                Ok((request.format.clone(), self.plain_job(request, access, text)?))
            }
        }
    }

    /// Appends the body to the text of the address, a form's fields to the request; tells whether the body ended.
    async fn complete_text(
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
        for (name, value) in multipart_form::fields(&form, &boundary)? {
            request.take(&name, value)?;
        }
        text.extend(std::mem::take(&mut request.query).into_bytes());
        Ok(ended)
    }

    async fn insertion(
        &self,
        request: &QueryRequest,
        access: LoginAccess,
        text: &[u8],
        insert: &InsertStatement,
        (head, body): (&[u8], &mut RequestBody),
    ) -> Result<(String, StatementJob), ClickHouseException> {
        let file = body.spool(head, &self.spool).await?;
        let statement = insert.reading_file(text, file.path());
        let job = StatementJob { data: Some(file), ..self.plain_job(request, access, statement)? };
        Ok((request.format.clone(), job))
    }

    fn plain_job(
        &self,
        request: &QueryRequest,
        access: LoginAccess,
        statement: Vec<u8>,
    ) -> Result<StatementJob, ClickHouseException> {
        Ok(StatementJob {
            access,
            preparation: request.preparation(access)?,
            statement,
            format: request.format.clone(),
            parameters: request.parameters.clone(),
            framing: None,
            max_result_bytes: self.max_result_bytes,
            data: None,
            is_remembered: false,
        })
    }

    /// Keeps a session as a statement that succeeded leaves it.
    fn sessions_after(&self, session: Option<&SessionKey>, job: &StatementJob, ends: bool) {
        let Some(key) = session else { return };
        if job.is_remembered {
            self.sessions.remember(key, String::from_utf8_lossy(&job.statement).into_owned());
        }
        if ends {
            self.sessions.leave(key);
        }
    }
}

/// Settings that add to a result what the pieces of a stream would each repeat.
fn asks_for_more(request: &QueryRequest) -> bool {
    const MORE: [&str; 2] = ["extremes", "output_format_json_array_of_rows"];
    request.settings.iter().any(|(name, value)| MORE.contains(&name.as_str()) && value != "0")
}
