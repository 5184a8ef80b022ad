//! Clients of the API processes: commands, queries that must show them, calls over gRPC, subscriptions, and uploads, each
//! sent again only where a client of any service has to: after a connection that broke, or an answer that says to try again.
//! Every second client reads what it has changed, and waits for workers whose partitions are being assigned; the others go on
//! with commands meanwhile.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    address_list::AddressList,
    long_connections::{self, CallFailure},
};
use crate::{GrpcTaskClient, WAIT_TIMEOUT, token_for_everything_until};

/// Between two attempts of a request.
pub(super) const RETRY_PAUSE: Duration = Duration::from_millis(50);

/// Between two rounds of a client, so that the load is one of requests in progress, not of as many as possible.
const ROUND_PAUSE: Duration = Duration::from_millis(50);

/// How long a client keeps a connection that it does not use: less than a process waits with its stop, because a request that meets
/// the end of an idle connection is lost on the way (RFC 9112, 9.5).
const IDLE_CONNECTION: Duration = Duration::from_millis(500);

/// Number of rounds of a client for each upload, whose analysis costs the most.
const ROUNDS_PER_UPLOAD: u64 = 12;

/// The longest time of a request: a query waits as long for its change.
const REQUEST_TIMEOUT: Duration = WAIT_TIMEOUT.saturating_mul(2);

const LOGIN: &str =
    "mutation($user: String!, $tenant: String) { developmentLogin(user: $user, tenant: $tenant) { token } }";
const REGISTER: &str = "mutation($tenant: String!, $key: String!) { outcome: registerCompany(tenant: $tenant,
    name: \"A company\", conditions: { idempotencyKey: $key }) { ... on Accepted { id version consistencyToken } } }";
const DISCOVER: &str = "mutation($input: DiscoverOpportunityInput!, $key: String!) { outcome: discoverOpportunity(
    input: $input, conditions: { idempotencyKey: $key }) { ... on OpportunityAccepted { id version consistencyToken } } }";
const ARCHIVE: &str = "mutation($id: String!, $key: String!) { outcome: archiveOpportunity(id: $id,
    conditions: { idempotencyKey: $key }) { ... on OpportunityAccepted { id version consistencyToken } } }";
const CREATE: &str = "mutation($id: UUID!, $input: ResourceInput!, $key: String!) { outcome: createResource(id: $id,
    input: $input, conditions: { idempotencyKey: $key }) { ... on Accepted { id version consistencyToken } } }";
const READ_OPPORTUNITY: &str = "query($id: String!) { read: opportunity(id: $id) { version }
    opportunities(first: 1) { totalCount } }";
const READ_RESOURCE: &str = "query($id: UUID!) { read: resource(id: $id) { version } }";

/// A command that was acknowledged: the event with this sequence is in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct AcknowledgedCommand {
    pub(super) aggregate_id: String,
    pub(super) version: u64,
}

/// A request that had to be sent again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RetriedRequest {
    /// The process that it was sent to.
    pub(super) address: String,
    pub(super) reason: RetryReason,
}

/// Why a request was sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum RetryReason {
    /// The connection broke before the answer, or was refused by a process that others were still sent to.
    BrokenConnection,
    /// The connection was refused by a process to which nobody was sent any more by then.
    Withdrawn,
    /// The server had told that it closes the connection before the call was sent, which every library sends again.
    NotSent,
    /// The answer was 503, or the error `UNAVAILABLE`.
    Unavailable,
}

/// What clients were told, and what they were refused.
#[derive(Debug, Default)]
pub(super) struct LoadLedger {
    pub(super) commands: Vec<AcknowledgedCommand>,
    /// Number of answered queries.
    pub(super) queries: u64,
    /// Number of answered calls over gRPC.
    pub(super) calls: u64,
    /// Number of subscriptions that a process has closed because it stopped.
    pub(super) closed_subscriptions: u64,
    /// Ids of uploaded documents.
    pub(super) documents: Vec<String>,
    pub(super) retries: Vec<RetriedRequest>,
    /// Requests that failed otherwise, as sentences.
    pub(super) failures: Vec<String>,
    /// The longest time of a request with its repetitions.
    pub(super) longest: Duration,
}

impl LoadLedger {
    pub(super) fn add(&mut self, other: Self) {
        self.commands.extend(other.commands);
        self.queries += other.queries;
        self.calls += other.calls;
        self.closed_subscriptions += other.closed_subscriptions;
        self.documents.extend(other.documents);
        self.retries.extend(other.retries);
        self.failures.extend(other.failures);
        self.longest = self.longest.max(other.longest);
    }
}

/// The addresses of the processes that serve clients.
#[derive(Debug, Clone, Default)]
pub(super) struct ServedAddresses {
    pub(super) http: AddressList,
    pub(super) grpc: AddressList,
}

/// Running clients.
#[derive(Debug)]
pub(super) struct ClientLoad {
    stop: CancellationToken,
    tasks: Vec<JoinHandle<LoadLedger>>,
}

impl ClientLoad {
    /// Starts clients, each for a company of its own; `uploads` says whether they upload documents.
    pub(super) fn start(
        servers: &ServedAddresses,
        operator_token: &str,
        clients: usize,
        uploads: bool,
    ) -> anyhow::Result<Self> {
        let stop = CancellationToken::new();
        let mut tasks = vec![];
        for number in 0..clients {
            let mut client = LoadClient::new(servers, operator_token, format!("company-{number}"))?;
            (client.reads, client.uploads) = (number % 2 == 0, uploads);
            tasks.push(tokio::spawn(client.run(stop.clone())));
            tasks.push(tokio::spawn(long_connections::keep_subscribed(servers.http.clone(), stop.clone())));
        }
        Ok(Self { stop, tasks })
    }

    /// Stops the clients after their current rounds.
    pub(super) async fn stop(self) -> anyhow::Result<LoadLedger> {
        self.stop.cancel();
        let mut ledger = LoadLedger::default();
        for task in self.tasks {
            ledger.add(task.await.context("a client panicked")?);
        }
        Ok(ledger)
    }
}

/// A client, for a company of its own.
pub(super) struct LoadClient {
    http: reqwest::Client,
    servers: AddressList,
    grpc_servers: AddressList,
    /// Clients over gRPC by the address of their server: each keeps its connection.
    grpc: HashMap<String, GrpcTaskClient>,
    operator_token: String,
    company: String,
    reads: bool,
    uploads: bool,
    pub(super) ledger: LoadLedger,
}

impl LoadClient {
    /// Creates a client that neither reads nor uploads.
    pub(super) fn new(servers: &ServedAddresses, operator_token: &str, company: String) -> anyhow::Result<Self> {
        Ok(Self {
            http: reqwest::Client::builder()
                .timeout(REQUEST_TIMEOUT)
                .pool_idle_timeout(IDLE_CONNECTION)
                .build()
                .context("creating a client")?,
            servers: servers.http.clone(),
            grpc_servers: servers.grpc.clone(),
            grpc: HashMap::new(),
            operator_token: operator_token.to_owned(),
            company,
            reads: false,
            uploads: false,
            ledger: LoadLedger::default(),
        })
    }

    /// Sends rounds of requests until `stop` is cancelled; one that fails is in the ledger and ends the client.
    async fn run(mut self, stop: CancellationToken) -> LoadLedger {
        if let Err(error) = self.run_rounds(&stop).await {
            self.ledger.failures.push(format!("{}: {error:#}", self.company));
        }
        self.ledger
    }

    async fn run_rounds(&mut self, stop: &CancellationToken) -> anyhow::Result<()> {
        let founder = self.login(None).await?;
        let register = json!({ "tenant": self.company, "key": format!("register-{}", self.company) });
        self.send_command(&founder, REGISTER, register).await?;
        let token = self.login(Some(&self.company.clone())).await?;
        for round in 0_u64.. {
            if stop.is_cancelled() {
                break;
            }
            let number = format!("{}-{round}", self.company);
            let id = self.discover_opportunity(&number).await?;
            self.archive_opportunity(&id).await?;
            self.count_tasks(&token).await?;
            self.create_resource(&token, round).await?;
            if self.uploads && round % ROUNDS_PER_UPLOAD == 0 {
                self.upload_document(&token, round).await?;
            }
            tokio::time::sleep(ROUND_PAUSE).await;
        }
        Ok(())
    }

    async fn login(&mut self, tenant: Option<&str>) -> anyhow::Result<String> {
        let body =
            json!({ "query": LOGIN, "variables": { "user": format!("ada-of-{}", self.company), "tenant": tenant } });
        let data = self.send_graphql(None, &body).await?;
        data["developmentLogin"]["token"].as_str().map(str::to_owned).with_context(|| format!("signing in: {data}"))
    }

    /// Discovers an opportunity, and may read it; returns its id.
    pub(super) async fn discover_opportunity(&mut self, number: &str) -> anyhow::Result<String> {
        let operator = self.operator_token.clone();
        let input = json!({ "noticeId": number, "solicitationNumber": number, "title": "Infusion pumps",
            "type": "Solicitation", "postedAt": "2026-03-03T12:00:00Z", "agency": "VETERANS AFFAIRS, DEPARTMENT OF" });
        let discover = json!({ "input": input, "key": format!("discover-{number}") });
        let (id, token) = self.send_command(&operator, DISCOVER, discover).await?;
        self.read_since(&operator, READ_OPPORTUNITY, &id, &token).await?;
        Ok(id)
    }

    /// Archives an opportunity.
    pub(super) async fn archive_opportunity(&mut self, id: &str) -> anyhow::Result<()> {
        let operator = self.operator_token.clone();
        let archive = json!({ "id": id, "key": format!("archive-{id}") });
        self.send_command(&operator, ARCHIVE, archive).await.map(drop)
    }

    /// Counts the company's tasks over gRPC.
    async fn count_tasks(&mut self, token: &str) -> anyhow::Result<()> {
        let started = Instant::now();
        while started.elapsed() < REQUEST_TIMEOUT {
            let Some(address) = self.grpc_servers.take_turn().into_iter().next() else {
                tokio::time::sleep(RETRY_PAUSE).await;
                continue;
            };
            let client = match self.grpc.get(&address) {
                Some(client) => client.clone(),
                None => self.grpc.entry(address.clone()).or_insert(GrpcTaskClient::new(&address, token)?).clone(),
            };
            let reason = match client.count_tasks().await.map_err(long_connections::classify_failure) {
                Ok(_) => {
                    self.ledger.calls += 1;
                    return Ok(());
                }
                Err(CallFailure::NotSent) => RetryReason::NotSent,
                Err(CallFailure::NotConnected) if !self.grpc_servers.contains(&address) => RetryReason::Withdrawn,
                Err(CallFailure::NotConnected | CallFailure::Broken) => RetryReason::BrokenConnection,
                Err(CallFailure::Unavailable) => RetryReason::Unavailable,
                Err(CallFailure::Refused(status)) => return Err(status).context("counting tasks over gRPC"),
            };
            self.ledger.retries.push(RetriedRequest { address, reason });
            tokio::time::sleep(RETRY_PAUSE).await;
        }
        anyhow::bail!("no server answered over gRPC for {REQUEST_TIMEOUT:?}")
    }

    /// Creates a resource of the company, and may read it.
    async fn create_resource(&mut self, token: &str, round: u64) -> anyhow::Result<()> {
        let input = json!({ "name": format!("Resource {round}"), "kind": "OTHER", "body": "Calibration of pumps." });
        let create = json!({ "id": Uuid::new_v4(), "input": input, "key": format!("create-{round}") });
        let (id, since) = self.send_command(token, CREATE, create).await?;
        self.read_since(token, READ_RESOURCE, &id, &since).await
    }

    async fn upload_document(&mut self, token: &str, round: u64) -> anyhow::Result<()> {
        let upload = |http: &reqwest::Client, server: &str| {
            http.post(format!("http://{server}/api/v1/documents?fileName=sow-{round}.txt"))
                .bearer_auth(token)
                .header("idempotency-key", format!("upload-{round}"))
                .header("content-type", "text/plain")
                .body("The contractor shall submit a monthly status report. Quotes are due by May 5, 2031.")
        };
        let answer = self.send_until_answered(upload).await?;
        let id = answer["id"].as_str().with_context(|| format!("uploading: {answer}"))?;
        self.ledger.documents.push(id.to_owned());
        Ok(())
    }

    /// Sends a command; returns the id of its aggregate, and the consistency token.
    async fn send_command(
        &mut self,
        token: &str,
        document: &str,
        variables: Value,
    ) -> anyhow::Result<(String, String)> {
        let data = self.send_graphql(Some(token), &json!({ "query": document, "variables": variables })).await?;
        let outcome = &data["outcome"];
        let text = |name: &str| outcome[name].as_str().map(str::to_owned);
        let (Some(aggregate_id), Some(version)) = (text("id"), outcome["version"].as_u64()) else {
            anyhow::bail!("{variables} was refused: {data}")
        };
        self.ledger.commands.push(AcknowledgedCommand { aggregate_id: aggregate_id.clone(), version });
        Ok((aggregate_id, text("consistencyToken").unwrap_or_default()))
    }

    /// Sends a query that must show a change, if the client reads.
    async fn read_since(&mut self, token: &str, document: &str, id: &str, since: &str) -> anyhow::Result<()> {
        if !self.reads {
            return Ok(());
        }
        let extensions = json!({ "consistencyToken": token_for_everything_until(since) });
        let body = json!({ "query": document, "variables": { "id": id }, "extensions": extensions });
        let data = self.send_graphql(Some(token), &body).await?;
        let shown = data["read"]["version"].as_u64().unwrap_or_default();
        anyhow::ensure!(shown > 0, "a query does not show {id}, which was acknowledged before: {data}");
        self.ledger.queries += 1;
        Ok(())
    }

    async fn send_graphql(&mut self, token: Option<&str>, body: &Value) -> anyhow::Result<Value> {
        let request = |http: &reqwest::Client, server: &str| {
            let request = http.request(Method::POST, format!("http://{server}/graphql")).json(body);
            token.into_iter().fold(request, RequestBuilder::bearer_auth)
        };
        let answer = self.send_until_answered(request).await?;
        anyhow::ensure!(answer["errors"].is_null(), "{body}: {answer}");
        Ok(answer["data"].clone())
    }

    /// Sends a request to one server after the other until one answers otherwise than that it is unavailable.
    async fn send_until_answered(
        &mut self,
        build: impl Fn(&reqwest::Client, &str) -> RequestBuilder,
    ) -> anyhow::Result<Value> {
        let started = Instant::now();
        while started.elapsed() < REQUEST_TIMEOUT {
            let Some(address) = self.servers.take_turn().into_iter().next() else {
                tokio::time::sleep(RETRY_PAUSE).await;
                continue;
            };
            let answer = read_answer(build(&self.http, &address)).await;
            let reason = match answer {
                Ok((status, answer)) if status == StatusCode::SERVICE_UNAVAILABLE || is_unavailable(&answer) => {
                    RetryReason::Unavailable
                }
                Ok((status, answer)) if status.is_success() => {
                    self.ledger.longest = self.ledger.longest.max(started.elapsed());
                    return Ok(answer);
                }
                Ok((status, answer)) => anyhow::bail!("{address} answered {status}: {answer}"),
                Err(error) if error.is_timeout() => return Err(error).context("a request was not answered in time"),
                Err(error) if error.is_connect() && !self.servers.contains(&address) => RetryReason::Withdrawn,
                Err(_broken) => RetryReason::BrokenConnection,
            };
            self.ledger.retries.push(RetriedRequest { address, reason });
            tokio::time::sleep(RETRY_PAUSE).await;
        }
        anyhow::bail!("no server answered for {REQUEST_TIMEOUT:?}")
    }
}

async fn read_answer(request: RequestBuilder) -> reqwest::Result<(StatusCode, Value)> {
    let response = request.send().await?;
    let status = response.status();
    let body = response.bytes().await?;
    Ok((status, serde_json::from_slice(&body).unwrap_or_default()))
}

fn is_unavailable(answer: &Value) -> bool {
    answer["errors"][0]["extensions"]["code"] == "UNAVAILABLE"
}
