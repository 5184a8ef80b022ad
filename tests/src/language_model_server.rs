//! A stand-in for servers of language models: Chat Completions and Messages, both streamed, with faults.
//!
//! An answer that was planned is given to one request; requests take them in their order. All others are answered with
//! a text of three sentences, in the protocol of their path.
#![expect(clippy::unwrap_used, reason = "a harness fails a test by panicking")]

use std::{
    collections::VecDeque,
    convert::Infallible,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, Response, StatusCode, Uri},
};
use futures::{StreamExt as _, stream};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::mpsc, task::JoinHandle};

/// What one request is answered with.
#[derive(Debug, Clone)]
pub enum ModelAnswer {
    /// These parts of a stream.
    Stream(Vec<String>),
    /// The parts, and then the connection breaks.
    Broken(Vec<String>),
    /// The parts, and then nothing more.
    Hanging(Vec<String>),
    /// The parts that the test sends, each at once, until it drops its sender.
    Fed(FedAnswer),
    /// A status with a body and the header `Retry-After`.
    Status(u16, &'static str, Option<&'static str>),
}

/// The parts of an answer that a test sends while it is read.
#[derive(Debug, Clone)]
pub struct FedAnswer(Arc<Mutex<Option<mpsc::UnboundedReceiver<String>>>>);

impl ModelAnswer {
    /// An answer whose parts the test sends with the sender.
    pub fn fed() -> (mpsc::UnboundedSender<String>, Self) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (sender, Self::Fed(FedAnswer(Arc::new(Mutex::new(Some(receiver))))))
    }
}

/// A request for a text that the stand-in has received.
#[derive(Debug, Clone)]
pub struct ModelRequest {
    /// Its path.
    pub path: String,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Value,
}

impl ModelRequest {
    /// The message with the prompt and the passages, in either protocol.
    ///
    /// # Panics
    /// If there is none.
    pub fn user_message(&self) -> &str {
        let messages = self.body["messages"].as_array().unwrap();
        messages.last().unwrap()["content"].as_str().unwrap()
    }
}

#[derive(Debug, Default)]
struct ServerScript {
    answers: VecDeque<ModelAnswer>,
    requests: Vec<ModelRequest>,
}

type SharedScript = Arc<Mutex<ServerScript>>;

/// A running stand-in; dropping it stops it.
#[derive(Debug)]
pub struct LanguageModelServer {
    url: String,
    script: SharedScript,
    task: JoinHandle<()>,
}

impl LanguageModelServer {
    /// Starts a stand-in on this machine, with planned answers.
    ///
    /// # Panics
    /// If no port is free.
    pub async fn start(answers: Vec<ModelAnswer>) -> Self {
        let script = SharedScript::default();
        lock(&script).answers = answers.into();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/v1", listener.local_addr().unwrap());
        let router = Router::new().fallback(answer_request).with_state(Arc::clone(&script));
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, script, task }
    }

    /// The base URL of both protocols.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Plans further answers.
    pub fn plan(&self, answers: impl IntoIterator<Item = ModelAnswer>) {
        lock(&self.script).answers.extend(answers);
    }

    /// The requests for texts so far.
    pub fn requests(&self) -> Vec<ModelRequest> {
        lock(&self.script).requests.clone()
    }
}

impl Drop for LanguageModelServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn lock(script: &SharedScript) -> MutexGuard<'_, ServerScript> {
    script.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn answer_request(
    State(script): State<SharedScript>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    if uri.path().ends_with("/models") {
        return Response::new(Body::from(r#"{"data":[]}"#));
    }
    let body = serde_json::from_slice(&body).unwrap();
    let planned = {
        let mut script = lock(&script);
        script.requests.push(ModelRequest { path: uri.path().to_owned(), headers, body });
        script.answers.pop_front()
    };
    let parts = |parts: Vec<String>| stream::iter(parts.into_iter().map(Ok::<_, Infallible>));
    match planned.unwrap_or_else(|| ModelAnswer::Stream(usual_answer(uri.path()))) {
        ModelAnswer::Stream(texts) => Response::new(Body::from_stream(parts(texts))),
        ModelAnswer::Broken(texts) => {
            let texts = stream::iter(texts.into_iter().map(Ok));
            let broken = stream::once(async {
                // The server sends what it has before it waits.
                tokio::task::yield_now().await;
                Err(std::io::Error::other("planted"))
            });
            Response::new(Body::from_stream(texts.chain(broken)))
        }
        ModelAnswer::Hanging(texts) => Response::new(Body::from_stream(parts(texts).chain(stream::pending()))),
        ModelAnswer::Fed(FedAnswer(receiver)) => {
            let receiver = receiver.lock().unwrap_or_else(PoisonError::into_inner).take();
            let texts = stream::unfold(receiver, |receiver| async {
                let mut receiver = receiver?;
                let text = receiver.recv().await?;
                Some((Ok::<_, Infallible>(text), Some(receiver)))
            });
            Response::new(Body::from_stream(texts))
        }
        ModelAnswer::Status(status, body, retry_after) => {
            let mut response = Response::new(Body::from(body));
            *response.status_mut() = StatusCode::from_u16(status).unwrap();
            if let Some(seconds) = retry_after {
                response.headers_mut().insert("retry-after", seconds.parse().unwrap());
            }
            response
        }
    }
}

fn usual_answer(path: &str) -> Vec<String> {
    let parts =
        ["The stand-in quotes its ", "first passage [1]. Its second passage says more [2]. ", "Nothing says this."];
    if path.ends_with("/messages") {
        let texts = parts.map(anthropic_part);
        return [anthropic_start()].into_iter().chain(texts).chain([anthropic_end("end_turn")]).collect();
    }
    parts.map(openai_part).into_iter().chain([openai_end("stop", Some((400, 30)))]).collect()
}

/// One server-sent event.
pub fn stream_event(data: &Value) -> String {
    format!("event: {}\ndata: {data}\n\n", data["type"].as_str().unwrap_or("chunk"))
}

/// A part of a text over Chat Completions.
pub fn openai_part(text: &str) -> String {
    let choice = json!({ "delta": { "content": text }, "finish_reason": null });
    stream_event(&json!({ "model": "gpt-x-2026", "choices": [choice] }))
}

/// The end of a text over Chat Completions, with tokens of input and output if they are reported.
pub fn openai_end(finish: &str, usage: Option<(u64, u64)>) -> String {
    let usage = usage.map(|(input, output)| json!({ "prompt_tokens": input, "completion_tokens": output }));
    stream_event(&json!({ "choices": [{ "delta": {}, "finish_reason": finish }] }))
        + &stream_event(&json!({ "choices": null, "usage": usage }))
        + "data: [DONE]\n\n"
}

/// The beginning of a text over Messages.
pub fn anthropic_start() -> String {
    let usage = json!({ "input_tokens": 40, "cache_read_input_tokens": 10, "output_tokens": 1 });
    stream_event(&json!({ "type": "message_start", "message": { "model": "claude-x-2026", "usage": usage } }))
        + &stream_event(&json!({ "type": "ping" }))
}

/// A part of a text over Messages.
pub fn anthropic_part(text: &str) -> String {
    let delta = json!({ "type": "text_delta", "text": text });
    stream_event(&json!({ "type": "content_block_delta", "index": 0, "delta": delta }))
}

/// The end of a text over Messages, which reports six tokens.
pub fn anthropic_end(stop_reason: &str) -> String {
    let usage = json!({ "output_tokens": 6 });
    stream_event(&json!({ "type": "message_delta", "delta": { "stop_reason": stop_reason }, "usage": usage }))
        + &stream_event(&json!({ "type": "message_stop" }))
}
