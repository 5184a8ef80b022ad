//! Counts views and clicks by agency and by where they come from.

use std::collections::{BTreeMap, BTreeSet};

use domain::{
    event_store::FactOutcome,
    visit::{VisitEvent, VisitUrl},
};
use metrics::counter;

use crate::command_metrics::agency_label;

/// The domains of search engines, without the part that depends on the country.
const SEARCH_ENGINES: [&str; 4] = ["google", "bing", "duckduckgo", "yahoo"];

/// What an event is counted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct EngagementLabels {
    kind: &'static str,
    agency: &'static str,
    source: &'static str,
}

impl EngagementLabels {
    /// The labels of an event; `unknown` are the opportunities that are not recorded.
    pub(super) fn new(event: &VisitEvent, unknown: &BTreeSet<String>) -> Self {
        let agency = match event.opportunity_id() {
            None => "none",
            Some(id) if unknown.contains(id.as_str()) => "unknown",
            Some(id) => agency_label(id.as_str()),
        };
        match event {
            VisitEvent::PageViewed { page_url, referrer, .. } => {
                Self { kind: "view", agency, source: classify_view_source(page_url, referrer.as_ref()) }
            }
            VisitEvent::LinkClicked { .. } => Self { kind: "click", agency, source: "internal" },
        }
    }
}

/// Counts the recorded ones of these events.
pub(super) fn count_engagement(labels: &[EngagementLabels], outcomes: &[FactOutcome]) {
    let mut counts = BTreeMap::<EngagementLabels, u64>::new();
    for (labels, _) in labels.iter().zip(outcomes).filter(|(_, outcome)| **outcome == FactOutcome::Recorded) {
        *counts.entry(*labels).or_default() += 1;
    }
    for (EngagementLabels { kind, agency, source }, count) in counts {
        counter!("medhub_engagement_events_total", "kind" => kind, "agency" => agency, "source" => source)
            .increment(count);
    }
}

fn classify_view_source(page: &VisitUrl, referrer: Option<&VisitUrl>) -> &'static str {
    let Some(referrer) = referrer.map(|url| host(url.as_str())) else { return "direct" };
    if referrer.eq_ignore_ascii_case(host(page.as_str())) {
        return "internal";
    }
    let referrer = referrer.to_ascii_lowercase();
    if referrer == "sam.gov" || referrer.ends_with(".sam.gov") {
        return "sam_gov";
    }
    let mut labels = referrer.split('.');
    if labels.any(|label| SEARCH_ENGINES.contains(&label)) { "search_engine" } else { "other" }
}

/// The host of a URL, without its port.
fn host(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split(['/', '?', '#', ':']).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_has_one_of_few_sources() {
        let url = |text: &str| VisitUrl::try_new(text).unwrap();
        let page = url("https://medhub.example:8443/opportunities/036:A");
        let source = |referrer: &str| classify_view_source(&page, Some(&url(referrer)));
        assert_eq!(classify_view_source(&page, None), "direct");
        assert_eq!(source("https://MEDHUB.example/opportunities?q=1"), "internal");
        assert_eq!(source("https://www.sam.gov/search"), "sam_gov");
        assert_eq!(source("https://www.google.co.uk/search?q=sam.gov"), "search_engine");
        assert_eq!(source("https://notsam.gov/"), "other");
        assert_eq!(source("https://anybody.example/google"), "other");
    }
}
