//! A proxy in front of the S3 server that lets requests fail.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{DefaultBodyLimit, Request, State},
    http::{Method, StatusCode, header},
    response::{IntoResponse as _, Response},
    serve::ListenerExt as _,
};
use futures::{StreamExt as _, stream};
use tests::s3_server;
use tokio::{net::TcpListener, task::JoinHandle};

/// How a request fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RequestFault {
    /// It does not fail; the next one may.
    PassOn,
    /// It is answered 503 with the code `SlowDown`, and not passed on.
    SlowDown,
    /// It is not answered.
    Hang,
    /// The connection is reset after these bytes of the answer's body.
    ResetAfter(usize),
    /// The answer's body ends after these bytes, and they are announced as its length.
    EndAfter(usize),
}

/// Which requests fail next, and how.
#[derive(Debug, Default)]
struct ProxyFaultPlan {
    faults: VecDeque<(Method, RequestFault)>,
    failed: usize,
    requests: usize,
}

/// A running proxy; it ends when it is dropped.
pub(super) struct FaultProxy {
    pub(super) endpoint: String,
    plan: Arc<Mutex<ProxyFaultPlan>>,
    task: JoinHandle<()>,
}

impl FaultProxy {
    pub(super) async fn start() -> Self {
        let plan = Arc::new(Mutex::new(ProxyFaultPlan::default()));
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let state = (Arc::clone(&plan), client, s3_server().await.endpoint().to_owned());
        let router =
            Router::new().fallback(handle_request).layer(DefaultBodyLimit::disable()).with_state(Arc::new(state));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        // A connection that the proxy closes is reset.
        let listener = listener.tap_io(|connection| connection.set_zero_linger().unwrap());
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { endpoint, plan, task }
    }

    /// Lets the next `count` requests with this method fail, after those that are planned already.
    pub(super) fn fail_next(&self, method: &Method, fault: RequestFault, count: usize) {
        let faults = std::iter::repeat_n((method.clone(), fault), count);
        self.plan.lock().unwrap().faults.extend(faults);
    }

    /// Ends the plan, and returns how many requests arrived and how many of them failed since the last call.
    pub(super) fn take_counts(&self) -> (usize, usize) {
        let plan = std::mem::take(&mut *self.plan.lock().unwrap());
        (plan.requests, plan.failed)
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

type ProxyState = (Arc<Mutex<ProxyFaultPlan>>, reqwest::Client, String);

async fn handle_request(State(state): State<Arc<ProxyState>>, request: Request) -> Response {
    let (plan, client, server) = &*state;
    let fault = {
        let mut plan = plan.lock().unwrap();
        plan.requests += 1;
        let next = plan.faults.iter().position(|(method, _)| method == request.method());
        let fault = next.and_then(|index| plan.faults.remove(index)).map(|(_, fault)| fault);
        plan.failed += usize::from(fault.is_some());
        fault
    };
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap_or_default();
    match fault {
        Some(RequestFault::SlowDown) => {
            let answer = "<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>";
            (StatusCode::SERVICE_UNAVAILABLE, answer).into_response()
        }
        Some(RequestFault::Hang) => {
            tokio::time::sleep(Duration::from_mins(10)).await;
            StatusCode::OK.into_response()
        }
        Some(RequestFault::PassOn | RequestFault::ResetAfter(_) | RequestFault::EndAfter(_)) | None => {
            // The host is part of what is signed.
            let target = format!("{server}{}", parts.uri.path_and_query().map_or("/", |path| path.as_str()));
            let mut headers = parts.headers;
            headers.remove(header::CONNECTION);
            let request = client.request(parts.method, target).headers(headers).body(body);
            match request.send().await {
                Ok(answer) => pass_on(answer, fault),
                Err(error) => (StatusCode::BAD_GATEWAY, error.to_string()).into_response(),
            }
        }
    }
}

fn pass_on(answer: reqwest::Response, fault: Option<RequestFault>) -> Response {
    let (status, mut headers) = (answer.status(), answer.headers().clone());
    headers.remove(header::CONNECTION);
    headers.remove(header::TRANSFER_ENCODING);
    let body = answer.bytes_stream().map(|part| part.map_err(std::io::Error::other));
    let body = match fault {
        Some(RequestFault::ResetAfter(bytes)) => {
            let end = stream::iter([Err(std::io::Error::other("reset"))]);
            Body::from_stream(first_bytes(body, bytes).chain(end))
        }
        Some(RequestFault::EndAfter(bytes)) => {
            headers.insert(header::CONTENT_LENGTH, bytes.into());
            Body::from_stream(first_bytes(body, bytes))
        }
        Some(RequestFault::PassOn | RequestFault::SlowDown | RequestFault::Hang) | None => Body::from_stream(body),
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

fn first_bytes(
    body: impl futures::Stream<Item = std::io::Result<Bytes>>,
    mut bytes: usize,
) -> impl futures::Stream<Item = std::io::Result<Bytes>> {
    body.map(move |part| {
        let part = part?;
        let kept = part.slice(..part.len().min(bytes));
        bytes -= kept.len();
        Ok(kept)
    })
    .take_while(|part| std::future::ready(part.as_ref().map_or(true, |part| !part.is_empty())))
}
