//! Reports of experiments: the flag from the log, the samples from `ClickHouse`.

use cqrs_es::Aggregate;
use domain::{
    envelope::EventDecodeError,
    event_store::StoreError,
    feature_flag::{
        ExperimentHistory, ExperimentRun, FeatureFlag, FeatureFlagEvent, FlagKey, KnownExperiment, VariantName,
    },
};
use projections::{
    QueryError,
    opportunity_analytics::{ExperimentReport, ExperimentSamples},
};

use super::AppContext;

/// Events per read of the log.
const PAGE_EVENTS: u32 = 1_000;

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum ExperimentReportError {
    /// The log cannot be read.
    #[error("reading the flag of the experiment")]
    Log(#[source] StoreError),
    /// An event of the flag was recorded by another release.
    #[error("reading the flag of the experiment")]
    Event(#[source] EventDecodeError),
    /// The read model cannot be queried.
    #[error("counting generations and visits by variant")]
    Query(#[source] QueryError),
}

impl AppContext {
    /// Compares the variants of an experiment in its last run, from enabling its flag to disabling it. Only companies count
    /// whose variant was assigned by the weights and stayed the same, with what happened under that variant.
    ///
    /// # Errors
    /// [`ExperimentReportError`] when a store is unavailable.
    pub async fn load_experiment_report(&self, key: &FlagKey) -> Result<ExperimentReport, ExperimentReportError> {
        let ExperimentHistory { flag, run } = self.load_experiment_history(key).await?;
        let control = flag.definition().map_or_else(VariantName::control, |known| known.variants.control());
        let Some(run) = run else {
            let samples = ExperimentSamples::default();
            return Ok(ExperimentReport::from_samples(key.as_str(), &control, &samples, |_| None));
        };
        let samples = self.load_experiment_samples(key, &run).await.map_err(ExperimentReportError::Query)?;
        let assigned_variant = |tenant: &_| run.assigned_variant(key, tenant);
        let report = ExperimentReport::from_samples(key.as_str(), &control, &samples, assigned_variant);
        Ok(ExperimentReport { started_at: Some(run.started_at), ended_at: run.ended_at, ..report })
    }

    async fn load_experiment_samples(
        &self,
        key: &FlagKey,
        run: &ExperimentRun,
    ) -> Result<ExperimentSamples, QueryError> {
        let models = self.read_models.current();
        let analytics = &models.analytics;
        let is_about_visits = key.as_str() == KnownExperiment::SearchRanking.name();
        Ok(ExperimentSamples {
            generations: analytics.load_generation_samples(key.as_str(), run).await?,
            sections: analytics.load_section_samples(key.as_str(), run).await?,
            visits: if is_about_visits { analytics.load_visit_samples(run).await? } else { vec![] },
        })
    }

    async fn load_experiment_history(&self, key: &FlagKey) -> Result<ExperimentHistory, ExperimentReportError> {
        let (log, mut history, mut version) = (self.runtime.log(), ExperimentHistory::default(), 0);
        loop {
            let page = log.load_stream(FeatureFlag::TYPE, key.as_str(), version, PAGE_EVENTS).await;
            let page = page.map_err(ExperimentReportError::Log)?;
            let Some(last) = page.last() else { return Ok(history) };
            version = last.sequence;
            for event in &page {
                let payload = event.decode::<FeatureFlagEvent>().map_err(ExperimentReportError::Event)?;
                history.apply_event(payload, event.recorded_at);
            }
        }
    }
}
