//! `bench growth`: what an event, a page or a search costs with many events, beside the same with a tenth of them.

mod generated_log;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use api::config::EngineConfig;
use projections::runtime::AnyProjection;
use serde::Serialize;

use crate::{
    api::{self as api_bench, ApiBenchReport},
    bench_environment::{self, BenchEnvironment},
    project, replay,
    suite::{self, MeasuredService, ServiceProgram},
};

/// The smaller of the two sizes is the larger one divided by this.
const SIZE_STEP: u64 = 10;

/// Notices that are imported to measure appends.
const IMPORTED_NOTICES: u64 = 5_000;

/// How long the engine of the search may take to build its index.
const MAX_INDEXING_TIME: Duration = Duration::from_hours(1);
const INDEXING_POLL_INTERVAL: Duration = Duration::from_secs(1);

/// Names of all parts, in the order of a run.
pub const GROWTH_PARTS: [&str; 5] = ["append", "replay", "relay", "rebuild", "requests"];

/// Options of the benchmark.
#[derive(Debug, Clone)]
pub struct GrowthBenchOptions {
    /// Number of events in the larger log.
    pub events: u64,
    /// Number of opportunities in it.
    pub opportunities: u64,
    /// Parts, of [`GROWTH_PARTS`]; all if empty.
    pub parts: Vec<String>,
    /// Read models that are rebuilt; all if empty. Requests need the read model of lists.
    pub projections: Vec<String>,
    /// Number of requests; each kind sends a fraction of it.
    pub requests: u64,
    /// The service for measurements of requests.
    pub service: ServiceProgram,
}

/// A cost at both sizes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GrowthMeasure {
    /// Always `growth`.
    pub bench: &'static str,
    /// What was measured.
    pub measure: String,
    /// Unit of the costs.
    pub unit: &'static str,
    /// Events of the larger log.
    pub events: u64,
    /// Cost with a tenth of them.
    pub at_a_tenth: f64,
    /// Cost with all of them.
    pub at_all: f64,
    /// `at_all` divided by `at_a_tenth`: 1 if the cost does not grow.
    pub growth: f64,
}

/// A cost at one size.
#[derive(Debug, Clone, PartialEq)]
struct MeasuredCost {
    measure: String,
    unit: &'static str,
    cost: f64,
}

impl MeasuredCost {
    /// The cost of one of `count`, in microseconds.
    fn per_event(measure: impl Into<String>, elapsed: Duration, count: u64) -> Self {
        let cost = elapsed.as_secs_f64() * 1e6 / to_f64(count.max(1));
        Self { measure: measure.into(), unit: "us/event", cost }
    }

    /// The 99th percentile where requests are sent one by one or at a rate, otherwise the time of one request.
    fn from_api_report(report: &ApiBenchReport) -> Self {
        let measure = format!("requests/{}", report.kind);
        if report.rate.is_some() || report.at_once == 1 {
            return Self { measure, unit: "p99 ms", cost: report.figures.p99_ms.unwrap_or_default() };
        }
        let cost = if report.figures.events_per_s > 0.0 { 1e6 / report.figures.events_per_s } else { 0.0 };
        Self { measure, unit: "us/request", cost }
    }
}

/// Measures both sizes, the smaller one first. Each has its own databases, topics and keys, which are removed.
///
/// # Errors
/// When an engine or the service fails.
pub async fn run(
    config: &EngineConfig,
    options: &GrowthBenchOptions,
    progress: &(dyn Fn(String) + Sync),
) -> anyhow::Result<Vec<GrowthMeasure>> {
    let mut costs = vec![];
    for divisor in [SIZE_STEP, 1] {
        let size = GrowthBenchOptions {
            events: (options.events / divisor).max(1),
            opportunities: (options.opportunities / divisor).max(1),
            ..options.clone()
        };
        progress(format!("{} events, {} opportunities", size.events, size.opportunities));
        let measured = bench_environment::with_bench_environment(config, async |environment| {
            let mut run = GrowthRun { environment, options: &size, progress, costs: vec![] };
            Box::pin(run.measure_parts()).await?;
            Ok(run.costs)
        });
        costs.push(Box::pin(measured).await?);
    }
    let whole = costs.pop().unwrap_or_default();
    let tenth = costs.pop().unwrap_or_default();
    Ok(whole.into_iter().filter_map(|cost| compare_costs(&tenth, cost, options.events)).collect())
}

fn compare_costs(tenth: &[MeasuredCost], whole: MeasuredCost, events: u64) -> Option<GrowthMeasure> {
    let smaller = tenth.iter().find(|smaller| smaller.measure == whole.measure)?;
    let growth = if smaller.cost > 0.0 { whole.cost / smaller.cost } else { 0.0 };
    let MeasuredCost { measure, unit, cost } = whole;
    Some(GrowthMeasure { bench: "growth", measure, unit, events, at_a_tenth: smaller.cost, at_all: cost, growth })
}

/// The measurements at one size.
struct GrowthRun<'a> {
    environment: &'a BenchEnvironment,
    options: &'a GrowthBenchOptions,
    progress: &'a (dyn Fn(String) + Sync),
    costs: Vec<MeasuredCost>,
}

impl GrowthRun<'_> {
    async fn measure_parts(&mut self) -> anyhow::Result<()> {
        let GrowthBenchOptions { events, opportunities, .. } = *self.options;
        let pool = &self.environment.pool;
        let started = Instant::now();
        generated_log::copy_events(pool, events, opportunities).await.context("filling the log")?;
        self.push(MeasuredCost::per_event("fill", started.elapsed(), events));
        if self.is_selected("replay") {
            let figures = replay::measure_reader(pool, events).await.context("reading the log")?;
            self.push(MeasuredCost::per_event("replay", Duration::from_secs_f64(figures.seconds), events));
        }
        if self.is_selected("relay") {
            let started = Instant::now();
            project::publish_log(self.environment).await.context("publishing the log")?;
            self.push(MeasuredCost::per_event("relay", started.elapsed(), events));
        }
        if self.is_selected("rebuild") {
            for projection in self.select_projections() {
                self.measure_rebuild(&projection).await?;
            }
        }
        if self.is_selected("requests") {
            self.measure_requests().await.context("requesting lists")?;
        }
        if self.is_selected("append") {
            let started = Instant::now();
            suite::import_notices(self.environment, IMPORTED_NOTICES).await?;
            self.push(MeasuredCost::per_event("append", started.elapsed(), IMPORTED_NOTICES));
        }
        Ok(())
    }

    fn select_projections(&self) -> Vec<Arc<dyn AnyProjection>> {
        let names = &self.options.projections;
        let mut all = self.environment.read_models.read_model_projections();
        all.retain(|projection| names.is_empty() || names.iter().any(|name| name == projection.name()));
        all
    }

    async fn measure_rebuild(&mut self, projection: &Arc<dyn AnyProjection>) -> anyhow::Result<()> {
        let rebuild = project::time_rebuild(self.environment, projection).await;
        let rebuild = rebuild.with_context(|| format!("rebuilding {}", projection.name()))?;
        let events = rebuild.report.events;
        // A read model that consumes only tenants' events has nothing to read here.
        if events > 0 {
            let (name, filled) = (projection.name(), Duration::from_secs_f64(rebuild.figures.seconds));
            self.push(MeasuredCost::per_event(format!("rebuild/{name}"), filled, events));
            self.push(MeasuredCost::per_event(format!("rebuild-with-verify/{name}"), rebuild.elapsed, events));
        }
        Ok(())
    }

    async fn measure_requests(&mut self) -> anyhow::Result<()> {
        let lists = self.select_projections().into_iter().find(|projection| projection.name() == "lists");
        let lists = lists.context("requests need the read model of lists")?;
        let active = self.environment.active_generation(lists.as_ref()).await?;
        ensure!(active.number() > 1, "requests need the part rebuild");
        if self.is_projection_selected("search") {
            self.wait_until_indexed().await.context("waiting for the index of the search")?;
        }
        // Only the API: workers would begin to consume the log.
        let service =
            MeasuredService::start_as(self.environment, &self.options.service, &["serve", "--role", "api"]).await?;
        let collected = self.collect_requests(&service).await;
        let stopped = service.stop().await;
        collected.and(stopped)
    }

    /// Waits until the engine has built the index of the search, which takes minutes for a million opportunities.
    async fn wait_until_indexed(&self) -> anyhow::Result<()> {
        let search = &self.environment.read_models.search;
        let search = search.with_generation(self.environment.active_generation(search).await?);
        let started = Instant::now();
        while !search.is_indexed().await? {
            ensure!(started.elapsed() < MAX_INDEXING_TIME, "not built after {} s", MAX_INDEXING_TIME.as_secs());
            tokio::time::sleep(INDEXING_POLL_INTERVAL).await;
        }
        (self.progress)(format!("  the index of the search was ready after {} s", started.elapsed().as_secs()));
        Ok(())
    }

    async fn collect_requests(&mut self, service: &MeasuredService) -> anyhow::Result<()> {
        let mut costs = vec![];
        let (url, token) = (service.base_url.as_str(), service.operator_token.as_str());
        let has_search = self.is_projection_selected("search");
        api_bench::measure_reads(url, token, self.options.requests, has_search, |report| {
            costs.push(MeasuredCost::from_api_report(report));
            Ok(())
        })
        .await?;
        for cost in costs {
            self.push(cost);
        }
        Ok(())
    }

    fn is_projection_selected(&self, name: &str) -> bool {
        self.select_projections().iter().any(|projection| projection.name() == name)
    }

    fn is_selected(&self, part: &str) -> bool {
        self.options.parts.is_empty() || self.options.parts.iter().any(|selected| selected == part)
    }

    fn push(&mut self, cost: MeasuredCost) {
        (self.progress)(format!("  {}: {:.2} {}", cost.measure, cost.cost, cost.unit));
        self.costs.push(cost);
    }
}

#[expect(clippy::cast_precision_loss, reason = "figures are for reading")]
fn to_f64(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_is_the_cost_with_all_events_divided_by_that_with_a_tenth() {
        let cost = |measure: &str, cost| MeasuredCost { measure: measure.to_owned(), unit: "us/event", cost };
        let tenth = [cost("replay", 4.0)];
        let compared = compare_costs(&tenth, cost("replay", 6.0), 1_000);
        assert_eq!(compared.map(|measure| (measure.at_a_tenth, measure.at_all, measure.growth)), Some((4.0, 6.0, 1.5)));
        assert_eq!(compare_costs(&tenth, cost("relay", 6.0), 1_000), None);
    }
}
