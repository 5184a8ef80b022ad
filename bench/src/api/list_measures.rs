//! Requests for lists and statistics of opportunities: first pages, which the service caches, and pages, filters and
//! facets that reach its store.

use std::sync::Arc;

use anyhow::Context;
use serde_json::{Value, json};

use super::{
    MAX_IN_FLIGHT,
    request_load::{RequestLoad, TargetService},
};
use crate::BenchFigures;

/// Requests per second of the kind at a steady rate.
const STEADY_RATE: u32 = 500;

/// Orders of later pages.
const ORDERS: [&str; 6] =
    ["POSTED_NEWEST", "POSTED_OLDEST", "DEADLINE_SOONEST", "DEADLINE_LATEST", "AMOUNT_HIGHEST", "AMOUNT_LOWEST"];

/// One later page begins after each group of this number of entries.
const CURSOR_STEP: usize = 7;

/// Words of filters: frequent and rare ones in generated and in real notices.
const FILTER_WORDS: [&str; 4] = ["services", "wheelchair", "valve repair", "hospital beds"];

const PAGE: &str = "query($filter: OpportunityTextFilter, $order: OpportunityOrder, $after: String) {
    opportunities(first: 20, filter: $filter, orderBy: $order, after: $after) { totalCount edges { node { id title } } } }";

const FACETS: &str = "query($filter: OpportunityTextFilter) { opportunities(first: 1, filter: $filter) {
    facets(dimensions: [AGENCY, TYPE, SET_ASIDE, NAICS_SECTOR]) { dimension values { value count } } } }";

const STATISTICS: &str = "query($filter: OpportunityTextFilter) { opportunityStats(filter: $filter) {
    total { opportunities awarded } byType { type figures { opportunities } } byDay { day figures { opportunities } } } }";

/// A kind of request.
pub(super) struct ListMeasure {
    /// Its name, one of [`super::REQUEST_KINDS`].
    pub(super) kind: &'static str,
    /// How the requests are sent.
    pub(super) load: RequestLoad,
    /// Bodies, which are sent in turn.
    bodies: Arc<[Value]>,
}

/// Prepares all kinds from what the service has; `requests` is the number of requests of the cheapest kind.
///
/// # Errors
/// When the service does not answer, or has no opportunities.
pub(super) async fn prepare_measures(
    target: &TargetService,
    token: &str,
    requests: u64,
) -> anyhow::Result<Vec<ListMeasure>> {
    let filters = find_filters(target, token).await.context("looking for values to filter by")?;
    let later = find_later_pages(target, token).await.context("looking for cursors")?;
    let with_filters = |document: &str| -> Arc<[Value]> {
        filters.iter().map(|filter| json!({ "query": document, "variables": { "filter": filter } })).collect()
    };
    let filtered = with_filters(PAGE);
    let crowd = later.iter().chain(filtered.iter()).cloned().collect();
    let first: Arc<[Value]> = Arc::from([json!({ "query": PAGE })]);
    let single = RequestLoad { requests: requests / 40, in_flight: 1, rate: None };
    let steady = RequestLoad { requests: requests / 10, in_flight: 2 * MAX_IN_FLIGHT, rate: Some(STEADY_RATE) };
    let many = RequestLoad { requests: requests / 10, in_flight: MAX_IN_FLIGHT, rate: None };
    let measure = |kind, load, bodies| ListMeasure { kind, load, bodies };
    Ok(vec![
        measure("list", single, Arc::clone(&first)),
        measure("list-steady", steady, first),
        measure("list-later", single, later),
        measure("list-filtered", single, filtered),
        measure("list-crowd", many, crowd),
        measure("list-facets", single, with_filters(FACETS)),
        measure("analytics", single, Arc::from([json!({ "query": STATISTICS })])),
        measure("analytics-filtered", single, with_filters(STATISTICS)),
    ])
}

impl ListMeasure {
    /// Sends the requests. An event is an answered request: those that the service refuses because too many wait do not
    /// count.
    ///
    /// # Errors
    /// When the service does not answer, or with another error.
    pub(super) async fn run(&self, target: &TargetService, token: &Arc<str>) -> anyhow::Result<BenchFigures> {
        let (bodies, token) = (Arc::clone(&self.bodies), Arc::clone(token));
        let send_request = move |target: TargetService, number: u64| {
            let index = usize::try_from(number).unwrap_or_default() % bodies.len().max(1);
            let (body, token) = (bodies.get(index).cloned().unwrap_or_default(), Arc::clone(&token));
            async move {
                let response = target.post_json("/graphql", Some(&token), &body).await?;
                if response["errors"][0]["extensions"]["retryAfterSeconds"].is_u64() {
                    return Ok(0);
                }
                anyhow::ensure!(response["errors"].is_null(), "{}", response["errors"]);
                Ok(1)
            }
        };
        target.measure_load(self.load, send_request).await.with_context(|| format!("requesting {}", self.kind))
    }
}

/// Filters by one and by two restrictions, with values of the newest opportunities, and by words.
async fn find_filters(target: &TargetService, token: &str) -> anyhow::Result<Vec<Value>> {
    let document = "{ opportunities(first: 100) { edges { node { agency { code } type setAside naics postedAt } } } }";
    let data = target.post_graphql(Some(token), &json!({ "query": document })).await?;
    let edges = data["opportunities"]["edges"].as_array().cloned().unwrap_or_default();
    let mut filters = vec![];
    for node in edges.iter().step_by(CURSOR_STEP).map(|edge| &edge["node"]) {
        let agency = json!([node["agency"]["code"]]);
        filters.push(json!({ "agency": agency }));
        filters.push(json!({ "type": [node["type"]] }));
        filters.push(json!({ "agency": agency, "type": [node["type"]] }));
        filters.push(json!({ "postedTo": node["postedAt"] }));
        if let Some(naics) = node["naics"].as_str() {
            let sector: String = naics.chars().take(2).collect();
            filters.push(json!({ "naics": [naics] }));
            filters.push(json!({ "naics": [sector], "type": [node["type"]] }));
        }
        if node["setAside"].is_string() {
            filters.push(json!({ "setAside": [node["setAside"]] }));
        }
    }
    filters.extend(FILTER_WORDS.map(|words| json!({ "text": words })));
    Ok(filters)
}

/// Requests for later pages in every order, beginning after different entries.
async fn find_later_pages(target: &TargetService, token: &str) -> anyhow::Result<Arc<[Value]>> {
    let document =
        "query($order: OpportunityOrder) { opportunities(first: 100, orderBy: $order) { edges { cursor } } }";
    let mut bodies = vec![];
    for order in ORDERS {
        let request = json!({ "query": document, "variables": { "order": order } });
        let data = target.post_graphql(Some(token), &request).await?;
        let edges = data["opportunities"]["edges"].as_array().cloned().unwrap_or_default();
        bodies.extend(
            edges
                .iter()
                .step_by(CURSOR_STEP)
                .map(|edge| json!({ "query": PAGE, "variables": { "order": order, "after": edge["cursor"] } })),
        );
    }
    anyhow::ensure!(!bodies.is_empty(), "there are no opportunities: run `medhub import` first");
    Ok(bodies.into())
}
