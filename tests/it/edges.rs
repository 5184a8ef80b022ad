//! Everything that is not GraphQL: REST, ingest, gRPC, health; and what is wrong on purpose at every edge.

mod bad_input;
mod client;
mod files;
mod grpc;
mod ingest;
mod rest;

use std::{path::Path, process::Command};

use reqwest::{Client, RequestBuilder, StatusCode};
use serde_json::Value;
use tests::Stack;

/// What is answered: status, headers, and the body where it is JSON.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) body: Value,
}

impl Answer {
    pub(crate) async fn to(request: RequestBuilder) -> Self {
        let answer = request.send().await.unwrap();
        let (status, headers) = (answer.status(), answer.headers().clone());
        let body = answer.bytes().await.unwrap();
        Self { status, headers, body: serde_json::from_slice(&body).unwrap_or_default() }
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The code of a problem.
    pub(crate) fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }
}

/// A client of a stack's REST that shows a token.
pub(crate) fn request(stack: &Stack, method: &str, path: &str, token: Option<&str>) -> RequestBuilder {
    let request = Client::new().request(method.parse().unwrap(), format!("{}{path}", stack.http()));
    match token {
        Some(token) => request.bearer_auth(token),
        None => request,
    }
}

/// A Python with these packages, installed once into a folder of their own.
pub(crate) fn python(packages: &[&str]) -> Command {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(packages.join("_").replace(['=', '.'], "-"));
    let done = folder.join("installed");
    if !done.exists() {
        let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile", "--target"];
        run(Command::new("python3").args(install).arg(&folder).args(packages));
        std::fs::write(done, "").unwrap();
    }
    let mut python = Command::new("python3");
    // What it remembers of its runs belongs to no source.
    python.env("PYTHONPATH", folder).current_dir(env!("CARGO_TARGET_TMPDIR"));
    python
}

/// Runs a program to its end; its output if it fails.
pub(crate) fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}: {text}");
    text
}
