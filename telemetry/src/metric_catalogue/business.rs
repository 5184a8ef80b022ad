//! What the service does for its users, and what it costs.

use super::{MetricGroup, counter, histogram};

pub(super) const BUSINESS: MetricGroup = MetricGroup {
    title: "Business",
    metrics: &[
        counter(
            "medhub_opportunity_events_total",
            &["agency", "event_type", "source"],
            "Events of opportunities. `agency`: its CGAC code, `other` for one without a listed code, `none` for notices without a \
             solicitation number. `source`: `import` or `command`",
        ),
        counter(
            "medhub_engagement_events_total",
            &["kind", "agency", "source"],
            "Views and clicks, each counted once. `kind`: `view` or `click`. `agency`: as above, `unknown` for an opportunity that is not \
             recorded. `source` of a view, by its referrer: `internal`, `sam_gov`, `search_engine`, `other` or `direct`",
        ),
    ],
};

pub(super) const GENERATION: MetricGroup = MetricGroup {
    title: "Generated proposals and their cost",
    metrics: &[
        counter("medhub_generation_attempts_total", &["outcome"], "Attempts to generate a proposal"),
        counter("medhub_generated_sections_total", &["provider"], "Sections that were generated"),
        counter(
            "medhub_generation_tokens_total",
            &["provider", "direction"],
            "Tokens that were sent to providers and received from them",
        ),
        counter(
            "medhub_generation_cost_micros_total",
            &["provider"],
            "What providers charge, in millionths of a dollar",
        ),
        counter(
            "medhub_generation_budget_exceeded_total",
            &[],
            "Sections that were not generated because a company has spent its budget",
        ),
        histogram("medhub_text_generation_seconds", &["provider"], "Time until a provider has generated a text"),
        counter("medhub_text_generation_failures_total", &["provider", "reason"], "Failed requests to a provider"),
    ],
};
