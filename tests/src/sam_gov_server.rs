//! A stand-in for SAM.gov: its Get Opportunities API, the texts of notices and the daily extract, with faults.
//!
//! A fault applies to one request; requests take the faults in the order in which they were planned.
#![expect(clippy::unwrap_used, reason = "a harness fails a test by panicking")]

mod api_handler;
mod extract_handler;
mod generated_notice;

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard},
};

use axum::{Router, body::Body, routing::get};
use futures::stream;
use serde_json::Value;
use tokio::{net::TcpListener, task::JoinHandle};

pub use self::generated_notice::{csv_extract, csv_row, generated_notice};

/// The key that the stand-in accepts.
pub const API_KEY: &str = "SAM-0123456789-key";

/// A change of the notices that the API lists.
pub type NoticeListChange = Box<dyn FnOnce(&mut Vec<Value>) + Send>;

/// What one request to the API meets.
pub enum ApiFault {
    /// An answer with this status, these headers and this body.
    Answer(u16, Vec<(&'static str, String)>, String),
    /// The page, cut off in the middle.
    CutOff,
    /// The beginning of the page, and then nothing.
    Stall,
    /// The page, with this number of all notices.
    Total(u64),
    /// The page that begins here instead of the requested one.
    OffsetInstead(usize),
    /// The list of notices changes before the page is served.
    Change(NoticeListChange),
}

/// What one request for the extract meets.
pub enum ExtractFault {
    /// An answer with this status, these headers and this body.
    Answer(u16, Vec<(&'static str, String)>, String),
    /// The connection breaks after so many bytes of the answer.
    BreakAfter(usize),
    /// After so many bytes of the answer nothing follows.
    StallAfter(usize),
    /// The extract changes to this one before the request is answered.
    Change(Vec<u8>, &'static str),
}

/// A request that the stand-in has received.
#[derive(Debug, Clone)]
pub struct ReceivedRequest {
    /// Its path.
    pub path: String,
    /// The parameters of its query.
    pub query: BTreeMap<String, String>,
    /// Its headers.
    pub headers: BTreeMap<String, String>,
}

/// What the stand-in serves.
#[derive(Default)]
pub struct SamGovState {
    /// The notices of the API, in the order of their pages.
    pub notices: Vec<Value>,
    /// The texts of notices by their id.
    pub descriptions: BTreeMap<String, String>,
    /// Faults of the next request for the text of a notice, by its id: an answer, or a stall.
    pub description_faults: BTreeMap<String, ApiFault>,
    /// Faults of the next requests to the API.
    pub api_faults: VecDeque<ApiFault>,
    /// The extract and its `ETag`.
    pub extract: (Vec<u8>, String),
    /// Faults of the next requests for the extract.
    pub extract_faults: VecDeque<ExtractFault>,
    /// All requests so far.
    pub requests: Vec<ReceivedRequest>,
}

type SharedState = Arc<Mutex<SamGovState>>;

/// A running stand-in; dropping it stops it.
pub struct SamGovServer {
    address: String,
    state: SharedState,
    task: JoinHandle<()>,
}

impl SamGovServer {
    /// Starts a stand-in on this machine.
    ///
    /// # Panics
    /// If no port is free.
    pub async fn start() -> Self {
        let state = SharedState::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new()
            .route("/opportunities/v2/search", get(api_handler::search))
            .route("/opportunities/v1/noticedesc", get(api_handler::describe))
            .route("/extract.csv", get(extract_handler::download))
            .with_state(Arc::clone(&state));
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, state, task }
    }

    /// Address of the API.
    pub fn api_url(&self) -> String {
        format!("{}/opportunities/v2/search", self.address)
    }

    /// Address of the text of a notice.
    pub fn description_url(&self, notice_id: &str) -> String {
        format!("{}/opportunities/v1/noticedesc?noticeid={notice_id}", self.address)
    }

    /// Address of the extract.
    pub fn extract_url(&self) -> String {
        format!("{}/extract.csv", self.address)
    }

    /// What it serves, to be changed.
    ///
    /// # Panics
    /// If a handler has panicked.
    pub fn state(&self) -> MutexGuard<'_, SamGovState> {
        self.state.lock().unwrap()
    }

    /// The requests since the last call.
    ///
    /// # Panics
    /// As [`Self::state`].
    pub fn take_requests(&self) -> Vec<ReceivedRequest> {
        std::mem::take(&mut self.state().requests)
    }
}

impl Drop for SamGovServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl ReceivedRequest {
    fn record(state: &SharedState, path: &str, query: BTreeMap<String, String>, headers: &axum::http::HeaderMap) {
        let headers =
            headers.iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect();
        state.lock().unwrap().requests.push(Self { path: path.to_owned(), query, headers });
    }

    /// A parameter of the query; empty if it is absent.
    pub fn parameter(&self, name: &str) -> &str {
        self.query.get(name).map_or("", String::as_str)
    }

    /// A header; empty if it is absent.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}

/// A body of which the first bytes arrive, before the connection breaks or stalls.
fn partial_body(bytes: Vec<u8>, stalls: bool) -> Body {
    let first = stream::iter([Ok::<_, std::io::Error>(bytes)]);
    let end = stream::once(async move {
        if stalls {
            std::future::pending::<()>().await;
        } else {
            // So that the client receives the bytes before the connection is reset.
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        Err(std::io::ErrorKind::ConnectionReset.into())
    });
    Body::from_stream(futures::StreamExt::chain(first, end))
}
