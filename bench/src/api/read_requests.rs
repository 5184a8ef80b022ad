//! Requests that change nothing.

use std::sync::Arc;

use anyhow::Context;
use serde_json::json;

use super::{
    ApiBenchReport, SEARCH_DOCUMENT, SEARCH_PHRASES, SEARCHES_AT_ONCE, list_measures,
    request_load::{RequestLoad, TargetService},
};

/// Measures lists, statistics and, with `has_search`, searches of a service, without changing anything.
///
/// # Errors
/// When the service does not answer, or has no opportunities.
pub(crate) async fn measure_reads(
    base_url: &str,
    operator_token: &str,
    requests: u64,
    has_search: bool,
    mut collect: impl FnMut(&ApiBenchReport) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let (target, token) = (TargetService::new(base_url), Arc::<str>::from(operator_token));
    let report = |kind, figures, load: RequestLoad| {
        let (rate, at_once) = (load.rate, load.in_flight);
        ApiBenchReport { bench: "api", kind, figures, ratio: None, raw_is: None, rate, at_once }
    };
    for measure in list_measures::prepare_measures(&target, &token, requests).await? {
        collect(&report(measure.kind, measure.run(&target, &token).await?, measure.load))?;
    }
    if has_search {
        let load = RequestLoad { requests: requests / 10, in_flight: SEARCHES_AT_ONCE, rate: None };
        let search = move |target: TargetService, number: u64| {
            let phrase = SEARCH_PHRASES.get(usize::try_from(number).unwrap_or_default() % SEARCH_PHRASES.len());
            let body = json!({ "query": SEARCH_DOCUMENT, "variables": { "words": phrase } });
            let token = Arc::clone(&token);
            async move { target.post_graphql(Some(&token), &body).await.map(|_| 1) }
        };
        let figures = target.measure_load(load, search).await.context("requesting searches")?;
        collect(&report("search", figures, load))?;
    }
    Ok(())
}
