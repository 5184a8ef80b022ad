//! Measures a running service: a fixed number of requests of each kind, sent from this machine.
//!
//! The baseline is `/health` of the same service in the same run: the same path through HTTP, with a handler that does
//! nothing. For changes it is the same command dispatched inside this process.

mod generated_lists;
mod list_measures;
mod mixed_load;
mod read_requests;
mod request_load;
mod subscribers;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::Context;
use api::app_context::AppContext;
use commands::{
    authorization::CallerAuthority, caller::Caller, dispatcher::CommandSender, precondition::CommandPreconditions,
};
use domain::{
    company::Role,
    resource::{Resource, ResourceBody, ResourceCommand, ResourceContent, ResourceKind, ResourceName},
    value::{TenantId, UserId},
};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::time::sleep;
use uuid::Uuid;

use self::request_load::{RequestLoad, TargetService};
pub(crate) use self::{
    mixed_load::{MixedLoad, SentRequests},
    read_requests::measure_reads,
};
use crate::{
    BenchFigures,
    report::{BenchMeasure, MeasureRepetition, MeasureUnit},
};

/// Requests in flight at once for kinds without a rate.
const MAX_IN_FLIGHT: usize = 64;

/// Options of the benchmark.
#[derive(Debug, Clone)]
pub struct ApiBenchOptions {
    /// Base URL of the service.
    pub base_url: String,
    /// The operator's token.
    pub operator_token: String,
    /// Requests of the cheapest kind; each other kind sends a fraction of it.
    pub requests: u64,
    /// Requests per second of kinds that are measured at a rate.
    pub rate: u32,
    /// Number of subscribers.
    pub subscribers: usize,
    /// Number of changes that each subscriber receives.
    pub changes: usize,
    /// Number of opportunities that the lists have at least; generated ones are added to their read model.
    pub opportunities: u64,
    /// Kinds to measure; all if empty.
    pub kinds: Vec<String>,
}

/// Result of one kind of request.
#[derive(Debug, Clone, Serialize)]
pub struct ApiBenchReport {
    /// Always `api`.
    pub bench: &'static str,
    /// Kind of request, one of [`REQUEST_KINDS`].
    pub kind: &'static str,
    /// Figures; an event is a request, or an event in the body of a request.
    #[serde(flatten)]
    pub figures: BenchFigures,
    /// Requests per second divided by the baseline's of the same run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ratio: Option<f64>,
    /// Describes the baseline.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub raw_is: Option<&'static str>,
    /// Requested rate, in requests per second; `None` for as many as possible.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<u32>,
    /// Requests in flight at once, or number of subscribers.
    pub at_once: usize,
}

impl ApiBenchReport {
    /// Returns the common result. Where requests are sent at a rate, or one after the other, it is the latency:
    /// throughput says nothing then.
    pub fn to_measure(&self) -> BenchMeasure {
        let name = format!("{}/{}", self.bench, self.kind);
        let figures = MeasureRepetition::from_figures(&self.figures, None);
        let measure = if self.rate.is_some() || self.at_once == 1 {
            let p99_ms = self.figures.p99_ms.unwrap_or_default();
            BenchMeasure::new(name, MeasureUnit::Milliseconds, vec![MeasureRepetition { value: p99_ms, ..figures }])
        } else {
            let is_ingest = self.kind.starts_with("ingest");
            let unit = if is_ingest { MeasureUnit::EventsPerSecond } else { MeasureUnit::RequestsPerSecond };
            let raw = self.ratio.filter(|&ratio| ratio > 0.0).map(|ratio| self.figures.events_per_s / ratio);
            let measure = BenchMeasure::new(name, unit, vec![MeasureRepetition { raw, ..figures }]);
            measure.with_raw_limit(self.raw_is.unwrap_or_default())
        };
        let measure = measure.with_setting("at_once", self.at_once);
        match self.rate {
            Some(rate) => measure.with_setting("rate", rate),
            None => measure,
        }
    }
}

/// Kinds of requests, as the command line names them.
pub const REQUEST_KINDS: [&str; 15] = [
    "health",
    "view",
    "list",
    "list-steady",
    "list-later",
    "list-filtered",
    "list-crowd",
    "list-facets",
    "analytics",
    "analytics-filtered",
    "search",
    "mutation",
    "ingest",
    "ingest-batch",
    "subscribers",
];

/// Measures each kind, and passes each report to `print` as soon as it is complete.
///
/// # Errors
/// When the service does not answer or returns an error.
pub async fn run(
    app: &AppContext,
    options: &ApiBenchOptions,
    mut print: impl FnMut(&ApiBenchReport) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let target = TargetService::new(&options.base_url);
    let fixture = ApiBenchFixture::prepare(&target, &options.operator_token).await?;
    wait_for_projections(app).await?;
    if options.opportunities > 0 {
        generated_lists::fill_lists(app, options.opportunities).await?;
    }
    let is_selected = |kind: &str| options.kinds.is_empty() || options.kinds.iter().any(|only| only == kind);
    let full = RequestLoad { requests: options.requests, in_flight: MAX_IN_FLIGHT, rate: None };
    let steady = RequestLoad { rate: Some(options.rate), ..full };

    let health =
        target.measure_load(full, |target, _| target.get("/health", None)).await.context("requesting /health")?;
    let raw = health.events_per_s;
    let build_report = |kind, figures: BenchFigures, load: RequestLoad, events_per_request: u64| {
        let ratio = (raw > 0.0).then(|| figures.events_per_s / u64_to_f64(events_per_request) / raw);
        ApiBenchReport {
            bench: "api",
            kind,
            figures,
            ratio,
            raw_is: Some("/health of the same run"),
            rate: load.rate,
            at_once: load.in_flight,
        }
    };
    if is_selected("health") {
        print(&build_report("health", health, full, 1))?;
    }
    for (kind, load, document) in [
        ("view", steady, VIEW_DOCUMENT),
        (
            "search",
            RequestLoad { requests: options.requests / 10, in_flight: SEARCHES_AT_ONCE, rate: None },
            SEARCH_DOCUMENT,
        ),
    ] {
        if is_selected(kind) {
            let fixture = fixture.clone();
            let send_request = move |target: TargetService, number: u64| {
                let body = fixture.graphql_request(document, number);
                let token = fixture.operator_token.clone();
                async move { target.post_graphql(Some(&token), &body).await.map(|_| 1) }
            };
            print(&build_report(
                kind,
                target.measure_load(load, send_request).await.with_context(|| format!("requesting {kind}"))?,
                load,
                1,
            ))?;
        }
    }
    let mut list_kinds = REQUEST_KINDS.iter().filter(|kind| kind.starts_with("list") || kind.starts_with("analytics"));
    if list_kinds.any(|kind| is_selected(kind)) {
        let token = &fixture.operator_token;
        for measure in list_measures::prepare_measures(&target, token, options.requests).await? {
            if is_selected(measure.kind) {
                print(&build_report(measure.kind, measure.run(&target, token).await?, measure.load, 1))?;
            }
        }
    }
    if is_selected("mutation") {
        print(
            &measure_mutations(app, &target, &fixture, RequestLoad { requests: options.requests / 2, ..full }).await?,
        )?;
    }
    for (kind, load, events) in [
        ("ingest", RequestLoad { requests: options.requests / 10, in_flight: 1, rate: None }, 1),
        ("ingest-batch", RequestLoad { requests: options.requests / 50, in_flight: 8, rate: None }, 500),
    ] {
        if is_selected(kind) {
            wait_for_projections(app).await?;
            let figures = target.measure_load(load, move |target, number| send_views(target, number, events)).await?;
            print(&build_report(kind, figures, load, events))?;
        }
    }
    if is_selected("subscribers") {
        wait_for_projections(app).await?;
        print(&subscribers::measure_subscribers(&target, &fixture, options.subscribers, options.changes).await?)?;
    }
    Ok(())
}

/// Tokens and ids that the requests use.
#[derive(Clone)]
struct ApiBenchFixture {
    operator_token: Arc<str>,
    member_token: Arc<str>,
    tenant: TenantId,
    opportunity_ids: Arc<[String]>,
}

/// Searches in flight at once.
const SEARCHES_AT_ONCE: usize = 4;

const VIEW_DOCUMENT: &str = "query($id: String!) { opportunity(id: $id) { id version facts { title } } }";

const SEARCH_DOCUMENT: &str = "query($words: String!) { searchOpportunities(query: $words, first: 10) { id score } }";

/// Queries of search requests.
const SEARCH_PHRASES: [&str; 5] =
    ["hospital beds", "wheelchair repair", "surgical gloves", "x-ray machines", "patient lifts"];

impl ApiBenchFixture {
    /// Creates a tenant for the benchmark and loads ids of opportunities.
    async fn prepare(target: &TargetService, operator_token: &str) -> anyhow::Result<Self> {
        let operator: Arc<str> = operator_token.into();
        let data = target
            .post_graphql(
                Some(&operator),
                &json!({ "query": "{ opportunities(first: 100) { edges { node { id } } } }" }),
            )
            .await?;
        let edges = data["opportunities"]["edges"].as_array().cloned().unwrap_or_default();
        let opportunities: Vec<_> =
            edges.iter().filter_map(|edge| edge["node"]["id"].as_str().map(str::to_owned)).collect();
        anyhow::ensure!(!opportunities.is_empty(), "there are no opportunities: run `medhub import` first");
        let tenant = format!("bench-{}", Uuid::new_v4().simple());
        let login = async |tenant: Option<&str>| {
            let request = json!({ "query": "mutation($tenant: String) { developmentLogin(user: \"bench\", tenant: $tenant) { token } }", "variables": { "tenant": tenant } });
            let data =
                target.post_graphql(None, &request).await.context("the benchmark needs the development login")?;
            Ok::<_, anyhow::Error>(data["developmentLogin"]["token"].as_str().unwrap_or_default().to_owned())
        };
        let founder = login(None).await?;
        let register = json!({ "query": "mutation($tenant: String!) { registerCompany(tenant: $tenant, name: \"Benchmark\") { __typename } }", "variables": { "tenant": tenant } });
        target.post_graphql(Some(&founder), &register).await?;
        let member = login(Some(&tenant)).await?.into();
        Ok(Self {
            operator_token: operator,
            member_token: member,
            tenant: TenantId::try_new(&tenant)?,
            opportunity_ids: opportunities.into(),
        })
    }

    fn graphql_request(&self, document: &str, number: u64) -> Value {
        let pick = |count: usize| usize::try_from(number).unwrap_or_default() % count.max(1);
        let id = self.opportunity_ids.get(pick(self.opportunity_ids.len()));
        let mut variables = serde_json::Map::new();
        if document.contains("$id") {
            variables.insert("id".to_owned(), json!(id));
        }
        if document.contains("$words") {
            variables.insert("words".to_owned(), json!(SEARCH_PHRASES.get(pick(SEARCH_PHRASES.len()))));
        }
        json!({ "query": document, "variables": variables })
    }
}

/// Measures mutations over the API, beside the same commands dispatched in this process on the same log.
async fn measure_mutations(
    app: &AppContext,
    target: &TargetService,
    fixture: &ApiBenchFixture,
    load: RequestLoad,
) -> anyhow::Result<ApiBenchReport> {
    let member = fixture.member_token.clone();
    let change = move |target: TargetService, number| create_resource(target, Arc::clone(&member), number);
    let figures = target.measure_load(load, change).await.context("sending mutations")?;

    wait_for_projections(app).await?;
    let caller = Caller::new(UserId::try_new("bench")?, fixture.tenant.clone());
    let sender = Arc::new(CommandSender { caller, authority: CallerAuthority::Member(Role::Admin) });
    let app_dispatcher = Arc::clone(&app.dispatcher);
    let dispatch = move |_, number| {
        let (dispatcher, sender) = (Arc::clone(&app_dispatcher), Arc::clone(&sender));
        async move {
            let content = ResourceContent::new(
                ResourceName::try_new(&generate_words(number))?,
                ResourceKind::Other,
                ResourceBody::try_new(&generate_words(number))?,
            );
            let command = ResourceCommand::Create { content, stamp: dispatcher.stamp(&sender) };
            let id = Uuid::new_v4().to_string();
            let conditions = CommandPreconditions { is_new_aggregate: true, ..CommandPreconditions::default() };
            dispatcher.dispatch::<Resource>(&sender, &id, &conditions, command).await?;
            Ok(1)
        }
    };
    let baseline = target.measure_load(load, dispatch).await.context("dispatching commands in this process")?;
    let ratio = (baseline.events_per_s > 0.0).then(|| figures.events_per_s / baseline.events_per_s);
    Ok(ApiBenchReport {
        bench: "api",
        kind: "mutation",
        figures,
        ratio,
        raw_is: Some("the same command inside the process"),
        rate: None,
        at_once: load.in_flight,
    })
}

async fn create_resource(target: TargetService, member_token: Arc<str>, number: u64) -> anyhow::Result<u64> {
    let document = "mutation($body: String!) {
        createResource(input: { name: $body, kind: OTHER, body: $body }) { __typename } }";
    let request = json!({ "query": document, "variables": { "body": generate_words(number) } });
    let data = target.post_graphql(Some(&member_token), &request).await?;
    anyhow::ensure!(data["createResource"]["__typename"] == "Accepted", "{data}");
    Ok(1)
}

/// Waits until the read models have caught up, so that their work does not affect the next measurement.
pub(crate) async fn wait_for_projections(app: &AppContext) -> anyhow::Result<()> {
    let deadline = Instant::now() + CATCH_UP_TIMEOUT;
    loop {
        let pipeline = app.pipeline_status().await?;
        let behind = pipeline.projections.iter().filter(|row| row.is_active && row.lag_records != Some(0));
        let behind: Vec<_> = behind.map(|row| row.projection.as_str()).collect();
        if pipeline.relay.lag_events == 0 && behind.is_empty() {
            return Ok(());
        }
        anyhow::ensure!(
            Instant::now() < deadline,
            "after {CATCH_UP_TIMEOUT:?} the relay or these projections still have a lag: {behind:?}"
        );
        sleep(Duration::from_millis(500)).await;
    }
}

/// Generates a text of rare words: real indexes do not consist of identical texts.
fn generate_words(number: u64) -> String {
    let word = |index: u64| format!("w{:x}", (number * 12 + index).wrapping_mul(0x9e37_79b9) % 100_003);
    (0..12).map(word).collect::<Vec<_>>().join(" ")
}

/// Sends one request with `events` views and returns their number.
async fn send_views(target: TargetService, number: u64, events: u64) -> anyhow::Result<u64> {
    static RUN: AtomicU64 = AtomicU64::new(0);
    let session = format!("bench-{number}-{}-{}", RUN.fetch_add(1, Ordering::Relaxed), Uuid::new_v4().simple());
    let event = |index: u64| json!({ "type": "view", "sessionId": format!("{session}-{}", index / 20), "pageUrl": format!("/{index}") });
    let body = if events == 1 { event(0) } else { json!({ "events": (0..events).map(event).collect::<Vec<_>>() }) };
    target.post_json("/ingest", None, &body).await?;
    Ok(events)
}

#[expect(clippy::cast_precision_loss, reason = "figures are for reading")]
fn u64_to_f64(number: u64) -> f64 {
    number as f64
}

/// How long to wait until the read models have caught up.
const CATCH_UP_TIMEOUT: Duration = Duration::from_mins(3);

/// Timeout of a request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
