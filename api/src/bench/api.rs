//! What a caller gets from a running service: a fixed number of requests of each kind, from this machine.
//!
//! The raw limit is the service's own `/health` in the same run: the same way over HTTP, with nothing done at its end. For
//! changes it is the same command given inside this process.

mod load;
mod subscribers;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::Context;
use commands::{authority::Authority, bus::Sender, caller::Caller, condition::Conditions};
use domain::{
    company::Role,
    resource::{Asset, Resource, ResourceBody, ResourceCommand, ResourceKind, ResourceName, Tags},
    value::{TenantId, UserId},
};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::time::sleep;
use uuid::Uuid;

use self::load::{Load, Target};
use crate::{bench::Figures, config::Config, store::Stores};

/// Requests that are under way together where no rate is given.
const IN_FLIGHT: usize = 64;

/// What is to be measured.
#[derive(Debug, Clone)]
pub struct Work {
    /// The service.
    pub http: String,
    /// What an operator shows.
    pub operator: String,
    /// Requests of each kind.
    pub requests: u64,
    /// Requests a second where a rate is kept.
    pub rate: u32,
    /// Subscribers.
    pub subscribers: usize,
    /// Only these kinds; all where none is named.
    pub only: Vec<String>,
}

/// What one kind of request gave.
#[derive(Debug, Clone, Serialize)]
pub struct Line {
    /// Always `api`.
    pub bench: &'static str,
    /// Which kind.
    pub kind: &'static str,
    /// What was measured; an event is a request, or what a request told.
    #[serde(flatten)]
    pub figures: Figures,
    /// `events_per_s` divided by that of the raw limit of the same run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ratio: Option<f64>,
    /// What the raw limit is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub raw_is: Option<&'static str>,
    /// Requests a second that were asked for; as many as possible where none is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<u32>,
    /// Requests under way together, or subscribers.
    pub at_once: usize,
}

/// The kinds of requests, as the command line names them.
pub const KINDS: [&str; 9] =
    ["health", "view", "list", "search", "analytics", "mutation", "ingest", "ingest-batch", "subscribers"];

/// Measures each kind, and hands each line out as it is there.
///
/// # Errors
/// When the service does not answer, or answers with an error.
pub async fn run(
    config: &Config,
    work: &Work,
    mut print: impl FnMut(&Line) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let stores = Stores::open_without_model(config)?;
    let target = Target::new(&work.http);
    let scene = Scene::prepare(&target, work).await?;
    settled(&stores).await?;
    let wanted = |kind: &str| work.only.is_empty() || work.only.iter().any(|only| only == kind);
    let full = Load { requests: work.requests, in_flight: IN_FLIGHT, rate: None };
    let steady = Load { rate: Some(work.rate), ..full };

    let health = target.measure(full, |target, _| target.get("/health", None)).await.context("asking /health")?;
    let raw = health.events_per_s;
    let line = |kind, figures: Figures, load: Load, events_per_request: u64| {
        let ratio = (raw > 0.0).then(|| figures.events_per_s / u64_to_f64(events_per_request) / raw);
        Line {
            bench: "api",
            kind,
            figures,
            ratio,
            raw_is: Some("/health of the same run"),
            rate: load.rate,
            at_once: load.in_flight,
        }
    };
    if wanted("health") {
        print(&line("health", health, full, 1))?;
    }
    for (kind, load, document) in [
        ("view", steady, "query($id: String!) { opportunity(id: $id) { id version facts { title } } }"),
        (
            "list",
            Load { requests: work.requests / 10, ..full },
            "{ opportunities(first: 20) { totalCount edges { node { id title } } } }",
        ),
        (
            "search",
            Load { requests: work.requests / 10, in_flight: 4, rate: None },
            "query($words: String!) { searchOpportunities(query: $words, first: 10) { id score } }",
        ),
        (
            "analytics",
            Load { requests: work.requests / 20, in_flight: 2, rate: None },
            "{ opportunityStats { total { opportunities awarded } byType { type figures { opportunities } } } }",
        ),
    ] {
        if wanted(kind) {
            let scene = scene.clone();
            let ask = move |target: Target, number: u64| {
                let body = scene.question(document, number);
                let token = scene.operator.clone();
                async move { target.graphql(Some(&token), &body).await.map(|_| 1) }
            };
            print(&line(
                kind,
                target.measure(load, ask).await.with_context(|| format!("asking for {kind}"))?,
                load,
                1,
            ))?;
        }
    }
    if wanted("mutation") {
        print(&mutation(&stores, &target, &scene, Load { requests: work.requests / 2, ..full }).await?)?;
    }
    for (kind, load, events) in [
        ("ingest", Load { requests: work.requests / 10, in_flight: 1, rate: None }, 1),
        ("ingest-batch", Load { requests: work.requests / 50, in_flight: 8, rate: None }, 500),
    ] {
        if wanted(kind) {
            settled(&stores).await?;
            let figures = target.measure(load, move |target, number| ingest(target, number, events)).await?;
            print(&line(kind, figures, load, events))?;
        }
    }
    if wanted("subscribers") {
        settled(&stores).await?;
        print(&subscribers::measure(&target, &scene, work.subscribers).await?)?;
    }
    Ok(())
}

/// What requests are about.
#[derive(Clone)]
struct Scene {
    operator: Arc<str>,
    member: Arc<str>,
    tenant: TenantId,
    opportunities: Arc<[String]>,
}

/// Words that people look for.
const WORDS: [&str; 5] = ["hospital beds", "wheelchair repair", "surgical gloves", "x-ray machines", "patient lifts"];

impl Scene {
    /// A company of the benchmark's own, and opportunities that are there.
    async fn prepare(target: &Target, work: &Work) -> anyhow::Result<Self> {
        let operator: Arc<str> = work.operator.as_str().into();
        let listed = target
            .graphql(Some(&operator), &json!({ "query": "{ opportunities(first: 100) { edges { node { id } } } }" }))
            .await?;
        let edges = listed["opportunities"]["edges"].as_array().cloned().unwrap_or_default();
        let opportunities: Vec<_> =
            edges.iter().filter_map(|edge| edge["node"]["id"].as_str().map(str::to_owned)).collect();
        anyhow::ensure!(
            !opportunities.is_empty(),
            "there are no opportunities: import some first, with `medhub import`"
        );
        let tenant = format!("bench-{}", Uuid::new_v4().simple());
        let login = async |tenant: Option<&str>| {
            let login = json!({ "query": "mutation($tenant: String) { developmentLogin(user: \"bench\", tenant: $tenant) { token } }", "variables": { "tenant": tenant } });
            let answer = target.graphql(None, &login).await.context("the benchmark needs the development login")?;
            Ok::<_, anyhow::Error>(answer["developmentLogin"]["token"].as_str().unwrap_or_default().to_owned())
        };
        let founder = login(None).await?;
        let register = json!({ "query": "mutation($tenant: String!) { registerCompany(tenant: $tenant, name: \"Benchmark\") { __typename } }", "variables": { "tenant": tenant } });
        target.graphql(Some(&founder), &register).await?;
        let member = login(Some(&tenant)).await?.into();
        Ok(Self { operator, member, tenant: TenantId::try_new(&tenant)?, opportunities: opportunities.into() })
    }

    fn question(&self, document: &str, number: u64) -> Value {
        let pick = |count: usize| usize::try_from(number).unwrap_or_default() % count.max(1);
        let id = self.opportunities.get(pick(self.opportunities.len()));
        let mut variables = serde_json::Map::new();
        if document.contains("$id") {
            variables.insert("id".to_owned(), json!(id));
        }
        if document.contains("$words") {
            variables.insert("words".to_owned(), json!(WORDS.get(pick(WORDS.len()))));
        }
        json!({ "query": document, "variables": variables })
    }
}

/// Changes over the API, beside the same commands inside this process on the same log.
async fn mutation(stores: &Stores, target: &Target, scene: &Scene, load: Load) -> anyhow::Result<Line> {
    let document = "mutation($body: String!) {
        createResource(input: { name: $body, kind: OTHER, body: $body }) { __typename } }";
    let member = scene.member.clone();
    let change = move |target: Target, number| {
        let member = member.clone();
        async move {
            let question = json!({ "query": document, "variables": { "body": words(number) } });
            let answer = target.graphql(Some(&member), &question).await?;
            anyhow::ensure!(answer["createResource"]["__typename"] == "Accepted", "{answer}");
            Ok(1)
        }
    };
    let figures = target.measure(load, change).await.context("changing something")?;

    settled(stores).await?;
    let caller = Caller::new(UserId::try_new("bench")?, scene.tenant.clone());
    let sender = Arc::new(Sender { caller, authority: Authority::Member(Role::Admin) });
    let own_bus = Arc::clone(&stores.bus);
    let give = move |_, number| {
        let (bus, sender) = (Arc::clone(&own_bus), Arc::clone(&sender));
        async move {
            let asset = Asset {
                name: ResourceName::try_new(&words(number))?,
                kind: ResourceKind::Other,
                body: ResourceBody::try_new(&words(number))?,
                tags: Tags::default(),
                document_id: None,
            };
            let command = ResourceCommand::Create { asset, stamp: bus.stamp(&sender) };
            let id = Uuid::new_v4().to_string();
            bus.give::<Resource>(&sender, &id, &Conditions::default(), command).await?;
            Ok(1)
        }
    };
    let inside = target.measure(load, give).await.context("giving commands inside this process")?;
    let ratio = (inside.events_per_s > 0.0).then(|| figures.events_per_s / inside.events_per_s);
    Ok(Line {
        bench: "api",
        kind: "mutation",
        figures,
        ratio,
        raw_is: Some("the same command inside the process"),
        rate: None,
        at_once: load.in_flight,
    })
}

/// Waits until the read models have taken in what was measured before: that work is not part of what comes next.
async fn settled(stores: &Stores) -> anyhow::Result<()> {
    let end = Instant::now() + SETTLING;
    loop {
        let pipeline = stores.pipeline().await?;
        let behind = pipeline.projections.iter().filter(|row| row.live && row.lag_records != Some(0));
        let behind: Vec<_> = behind.map(|row| row.projection.as_str()).collect();
        if pipeline.relay.lag_events == 0 && behind.is_empty() {
            return Ok(());
        }
        anyhow::ensure!(Instant::now() < end, "after {SETTLING:?} these are still behind: the relay or {behind:?}");
        sleep(Duration::from_millis(500)).await;
    }
}

/// A text of words that other texts hardly have: an index in which all have the same is none that anybody keeps.
fn words(number: u64) -> String {
    let word = |place: u64| format!("w{:x}", (number * 12 + place).wrapping_mul(0x9e37_79b9) % 100_003);
    (0..12).map(word).collect::<Vec<_>>().join(" ")
}

/// One request with views; answers how many.
async fn ingest(target: Target, number: u64, events: u64) -> anyhow::Result<u64> {
    static RUN: AtomicU64 = AtomicU64::new(0);
    let session = format!("bench-{number}-{}-{}", RUN.fetch_add(1, Ordering::Relaxed), Uuid::new_v4().simple());
    let event = |place: u64| json!({ "type": "view", "sessionId": format!("{session}-{}", place / 20), "pageUrl": format!("/{place}") });
    let body = if events == 1 { event(0) } else { json!({ "events": (0..events).map(event).collect::<Vec<_>>() }) };
    target.post("/ingest", None, &body).await?;
    Ok(events)
}

#[expect(clippy::cast_precision_loss, reason = "figures are for reading")]
fn u64_to_f64(number: u64) -> f64 {
    number as f64
}

/// Longest wait for the read models.
const SETTLING: Duration = Duration::from_mins(3);

/// Longest wait for one answer.
const PATIENCE: Duration = Duration::from_secs(30);
