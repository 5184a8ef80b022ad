//! Requests to the product's API, signed in as one user.

use anyhow::{Context as _, bail};
use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};

const LOGIN: &str =
    "mutation($user: String!, $tenant: String) { developmentLogin(user: $user, tenant: $tenant) { token } }";

/// The product as one user reaches it.
#[derive(Debug, Clone)]
pub(super) struct ProductClient {
    http: Client,
    address: String,
    token: Option<String>,
}

/// A response: its body, and the correlation id of everything that the request leads to.
#[derive(Debug)]
pub(super) struct CorrelatedResponse {
    pub(super) body: Value,
    pub(super) correlation_id: String,
}

impl ProductClient {
    /// A client with a bearer token, or without one.
    pub(super) fn new(address: &str, token: Option<&str>) -> Self {
        Self { http: Client::new(), address: address.to_owned(), token: token.map(ToOwned::to_owned) }
    }

    /// The client of a user who signs in by the development login, for a company if one is named.
    pub(super) async fn login(address: &str, user: &str, tenant: Option<&str>) -> anyhow::Result<Self> {
        let data = Self::new(address, None).query(LOGIN, json!({ "user": user, "tenant": tenant })).await?;
        let token = data.pointer("/developmentLogin/token").and_then(Value::as_str);
        Ok(Self::new(address, Some(token.context("the development login returned no token")?)))
    }

    /// The `data` of a GraphQL document.
    pub(super) async fn query(&self, document: &str, variables: Value) -> anyhow::Result<Value> {
        Ok(self.send_document(document, variables).await?.body)
    }

    /// Sends a mutation whose field is named `outcome`, which has a version if it was accepted.
    pub(super) async fn change(&self, mutation: &str, variables: Value) -> anyhow::Result<CorrelatedResponse> {
        let mut response = self.send_document(mutation, variables).await?;
        let outcome = response.body.get_mut("outcome").map(Value::take).unwrap_or_default();
        if outcome.get("version").is_none_or(|version| !version.is_u64()) {
            bail!("the product refused `{mutation}`: {outcome}");
        }
        response.body = outcome;
        Ok(response)
    }

    /// Uploads a PDF file as a new document; the body has its `id`.
    pub(super) async fn upload_pdf(&self, file_name: &str, content: String) -> anyhow::Result<CorrelatedResponse> {
        let request = self.http.post(format!("{}/api/v1/documents?fileName={file_name}", self.address));
        self.send(request.header("content-type", "application/pdf").body(content)).await.context("uploading a file")
    }

    async fn send_document(&self, document: &str, variables: Value) -> anyhow::Result<CorrelatedResponse> {
        let body = json!({ "query": document, "variables": variables });
        let request = self.http.post(format!("{}/graphql", self.address)).json(&body);
        let mut response = self.send(request).await.context("sending a GraphQL document")?;
        if let Some(errors) = response.body.get("errors") {
            bail!("the product answered `{document}` with {errors}");
        }
        response.body = response.body.get_mut("data").map(Value::take).unwrap_or_default();
        Ok(response)
    }

    async fn send(&self, request: RequestBuilder) -> anyhow::Result<CorrelatedResponse> {
        let request = match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        };
        let response = request.send().await.context("connecting to the product")?;
        let status = response.status();
        let correlation_id = response.headers().get("x-correlation-id").and_then(|id| id.to_str().ok());
        let correlation_id = correlation_id.unwrap_or_default().to_owned();
        let body = response.text().await.context("reading the product's response")?;
        if !status.is_success() {
            bail!("the product answered with {status}: {}", body.trim());
        }
        let body = serde_json::from_str(&body).context("reading the product's response")?;
        Ok(CorrelatedResponse { body, correlation_id })
    }
}
