//! What happened in each company, for reports of experiments.

use clickhouse::Row;
use domain::{feature_flag::ExperimentRun, proposal_generation::GENERATOR_USER_ID, value::PUBLIC_TENANT};
use serde::Deserialize;

use super::OpportunityAnalytics;
use crate::QueryError;

/// The generations of one company under one variant of an experiment.
#[derive(Debug, Clone, PartialEq, Eq, Row, Deserialize)]
pub struct GenerationSample {
    /// The company.
    pub tenant_id: String,
    /// The variant that it had when it requested the generations.
    pub variant: String,
    /// Number of requested generations.
    pub generations: u64,
    /// Number of completed ones.
    pub completed: u64,
    /// Number of failed ones.
    pub failed: u64,
    /// Number of sections of the completed and failed ones, generated or failed.
    pub sections: u64,
    /// Number of those sections that no provider could write.
    pub failed_sections: u64,
    /// Number of completed ones with a rating.
    pub rated: u64,
    /// Number of completed ones whose last rating is that they helped.
    pub helpful: u64,
    /// Cost of the completed and failed ones in millionths of a US dollar.
    pub cost_micros: u64,
    /// Time that providers took for the completed ones, in milliseconds.
    pub latency_ms: u64,
}

/// The generated sections of one company whose proposal was approved or submitted afterwards.
#[derive(Debug, Clone, PartialEq, Eq, Row, Deserialize)]
pub struct SectionSample {
    /// The company.
    pub tenant_id: String,
    /// The variant that it had when it requested the generation.
    pub variant: String,
    /// Number of sections that a generation wrote into a proposal that was approved or submitted later.
    pub decided: u64,
    /// Number of generated sections that nobody edited or removed afterwards.
    pub unchanged: u64,
}

/// The visits of one company that have seen hits of a search under one ranking.
#[derive(Debug, Clone, PartialEq, Eq, Row, Deserialize)]
pub struct VisitSample {
    /// The company.
    pub tenant_id: String,
    /// The ranking, by the parameter `ranking` of the pages' URLs.
    pub variant: String,
    /// Number of visits with a view of a page that has the parameter and is not an opportunity's.
    pub visits: u64,
    /// Number of those with a click on an opportunity whose URL has the parameter.
    pub clicked: u64,
}

impl OpportunityAnalytics {
    /// Counts the generations of all companies that were requested during the run of the experiment.
    ///
    /// # Errors
    /// [`QueryError`] when the server is unavailable or rejects the query.
    pub async fn load_generation_samples(
        &self,
        experiment: &str,
        run: &ExperimentRun,
    ) -> Result<Vec<GenerationSample>, QueryError> {
        let (start, end) = to_micros(run);
        let query = self.reader().query(include_str!("sql/generation_samples.sql")).bind(experiment);
        let query = query.bind(start).bind(end);
        self.store().run_statement(query.fetch_all()).await
    }

    /// Counts the generated sections of all companies that were requested during the run of the experiment, and those that
    /// were left as they were. Sections that a member wrote while the generation ran do not count. Proposals whose edits are older than the retention of `events` are not counted.
    ///
    /// # Errors
    /// [`QueryError`] when the server is unavailable or rejects the query.
    pub async fn load_section_samples(
        &self,
        experiment: &str,
        run: &ExperimentRun,
    ) -> Result<Vec<SectionSample>, QueryError> {
        let (start, end) = to_micros(run);
        let query = self.reader().query(include_str!("sql/section_samples.sql")).bind(experiment);
        let query = query.bind(start).bind(end).bind(GENERATOR_USER_ID);
        self.store().run_statement(query.fetch_all()).await
    }

    /// Counts the visits of all companies during the run of `search.ranking` that have seen hits of a search. Anonymous
    /// visitors belong to no company, so their visits do not count.
    ///
    /// # Errors
    /// [`QueryError`] when the server is unavailable or rejects the query.
    pub async fn load_visit_samples(&self, run: &ExperimentRun) -> Result<Vec<VisitSample>, QueryError> {
        let (start, end) = to_micros(run);
        let query = self.reader().query(include_str!("sql/visit_samples.sql"));
        self.store().run_statement(query.bind(PUBLIC_TENANT).bind(start).bind(end).fetch_all()).await
    }
}

/// Start and end of a run in microseconds.
fn to_micros(run: &ExperimentRun) -> (i64, i64) {
    (run.started_at.timestamp_micros(), run.ended_at.map_or(i64::MAX, |at| at.timestamp_micros()))
}
