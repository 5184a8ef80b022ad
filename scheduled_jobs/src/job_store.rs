//! The record of jobs and their runs in Postgres, and the leases of their runners.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::{PgPool, Row, postgres::PgRow};

use crate::JobSchedule;

/// Longest message of a run that is kept, in characters.
const MAX_MESSAGE: usize = 2_000;

/// Access to the table of jobs.
#[derive(Debug, Clone)]
pub struct JobStore {
    pool: PgPool,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobOutcome {
    /// The work was done.
    Succeeded,
    /// The job returned an error, or panicked.
    Failed,
    /// It took longer than its timeout.
    TimedOut,
    /// The program stopped before its end. It runs again as soon as a runner is there.
    Interrupted,
}

/// A job and its runs, as operators see them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobRow {
    /// Name of the job.
    pub name: String,
    /// Its cron pattern and time zone.
    pub schedule: String,
    /// When it is due next.
    pub next_run_at: DateTime<Utc>,
    /// The run in progress: since when, and the machine and process of its runner.
    pub running: Option<(DateTime<Utc>, String)>,
    /// The last run that ended.
    pub last_run: Option<EndedRun>,
}

/// A run that ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndedRun {
    /// When it started.
    pub started_at: DateTime<Utc>,
    /// When it ended.
    pub ended_at: DateTime<Utc>,
    /// How it ended.
    pub outcome: JobOutcome,
    /// What it did, or why it failed.
    pub message: String,
}

/// A run that a runner holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ClaimedRun {
    pub(crate) run_number: i64,
    pub(crate) started_at: DateTime<Utc>,
    pub(crate) due_at: DateTime<Utc>,
    /// When an earlier run started whose runner died or lost Postgres.
    pub(crate) abandoned: Option<DateTime<Utc>>,
}

/// Which claims succeed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ClaimCondition {
    /// Only if the job is due.
    WhenDue,
    /// Also before it is due.
    Now,
}

/// Why the table of jobs cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JobStoreError {
    /// A statement failed, or a row cannot be decoded.
    #[error("{doing}: the table of jobs in Postgres cannot be used")]
    Postgres {
        /// The operation, as a gerund.
        doing: &'static str,
        /// The cause.
        #[source]
        source: sqlx::Error,
    },
    /// The schedule has no time after now.
    #[error("the schedule {schedule} of the job {name} is never due")]
    NeverDue {
        /// The job.
        name: String,
        /// The schedule.
        schedule: String,
    },
}

impl JobOutcome {
    const ALL: [Self; 4] = [Self::Succeeded, Self::Failed, Self::TimedOut, Self::Interrupted];

    /// Its name in the table, in metrics and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::TimedOut => "timed_out",
            Self::Interrupted => "interrupted",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| outcome.name() == name)
    }
}

impl JobStore {
    /// Uses the table behind this pool, which `medhub migrate` creates.
    pub fn new(pool: PgPool) -> Self {
        Self { pool }
    }

    /// Records a job with its schedule. A job that is new, or whose schedule has changed, is due next by this schedule;
    /// any other one when it was due before.
    ///
    /// # Errors
    /// [`JobStoreError`].
    pub async fn register_job(&self, name: &str, schedule: &JobSchedule) -> Result<(), JobStoreError> {
        let doing = || postgres_error("recording a job");
        let now: DateTime<Utc> =
            sqlx::query_scalar("select clock_timestamp()").fetch_one(&self.pool).await.map_err(doing())?;
        let next_run_at = next_run(name, schedule, now)?;
        sqlx::query(
            "insert into scheduled_jobs as job (name, schedule, next_run_at) values ($1, $2, $3)
             on conflict (name) do update set schedule = $2, next_run_at = $3 where job.schedule <> $2",
        )
        .bind(name)
        .bind(schedule.to_string())
        .bind(next_run_at)
        .execute(&self.pool)
        .await
        .map(drop)
        .map_err(doing())
    }

    /// Lists all jobs that were ever recorded, by name.
    ///
    /// # Errors
    /// [`JobStoreError::Postgres`] when Postgres does not answer.
    pub async fn list_jobs(&self) -> Result<Vec<JobRow>, JobStoreError> {
        let doing = || postgres_error("listing jobs");
        let rows = sqlx::query(include_str!("job_store/list.sql")).fetch_all(&self.pool).await.map_err(doing())?;
        rows.iter().map(row_from_postgres).collect::<Result<_, _>>().map_err(doing())
    }

    /// Which of these jobs are due and not running.
    pub(crate) async fn find_due(&self, names: &[&str]) -> Result<Vec<String>, JobStoreError> {
        sqlx::query_scalar(
            "select name from scheduled_jobs
             where name = any($1) and next_run_at <= clock_timestamp()
               and (leased_until is null or leased_until <= clock_timestamp())",
        )
        .bind(names)
        .fetch_all(&self.pool)
        .await
        .map_err(postgres_error("looking for jobs that are due"))
    }

    /// Claims a run; `None` if the job is not due, or another runner holds it.
    pub(crate) async fn claim_run(
        &self,
        name: &str,
        condition: ClaimCondition,
        lease: Duration,
        host: &str,
    ) -> Result<Option<ClaimedRun>, JobStoreError> {
        let doing = || postgres_error("claiming the run of a job");
        let row = sqlx::query(include_str!("job_store/claim.sql"))
            .bind(name)
            .bind(condition == ClaimCondition::Now)
            .bind(lease.as_secs_f64())
            .bind(host)
            .fetch_optional(&self.pool)
            .await
            .map_err(doing())?;
        row.as_ref().map(claim_from_row).transpose().map_err(doing())
    }

    /// Renews the lease of a run; false if another runner has claimed the job since.
    pub(crate) async fn renew_run(&self, name: &str, run_number: i64, lease: Duration) -> Result<bool, JobStoreError> {
        let renewed = sqlx::query(
            "update scheduled_jobs set leased_until = clock_timestamp() + make_interval(secs => $3)
             where name = $1 and run_number = $2 and leased_until is not null",
        )
        .bind(name)
        .bind(run_number)
        .bind(lease.as_secs_f64())
        .execute(&self.pool)
        .await
        .map_err(postgres_error("renewing the lease of a job"))?;
        Ok(renewed.rows_affected() > 0)
    }

    /// Records how a run ended, unless its lease was lost. After an interruption the job stays due.
    pub(crate) async fn end_run(
        &self,
        name: &str,
        schedule: &JobSchedule,
        claimed: &ClaimedRun,
        outcome: JobOutcome,
        message: &str,
    ) -> Result<bool, JobStoreError> {
        let next_run_at = match outcome {
            JobOutcome::Interrupted => None,
            JobOutcome::Succeeded | JobOutcome::Failed | JobOutcome::TimedOut => {
                Some(next_run(name, schedule, claimed.started_at)?)
            }
        };
        let message: String = message.chars().take(MAX_MESSAGE).collect();
        let ended = sqlx::query(include_str!("job_store/end.sql"))
            .bind(name)
            .bind(claimed.run_number)
            .bind(outcome.name())
            .bind(message)
            .bind(next_run_at)
            .execute(&self.pool)
            .await
            .map_err(postgres_error("recording the end of a job's run"))?;
        Ok(ended.rows_affected() > 0)
    }
}

fn next_run(name: &str, schedule: &JobSchedule, time: DateTime<Utc>) -> Result<DateTime<Utc>, JobStoreError> {
    schedule
        .next_after(time)
        .ok_or_else(|| JobStoreError::NeverDue { name: name.to_owned(), schedule: schedule.to_string() })
}

fn postgres_error(doing: &'static str) -> impl FnOnce(sqlx::Error) -> JobStoreError {
    move |source| JobStoreError::Postgres { doing, source }
}

fn claim_from_row(row: &PgRow) -> Result<ClaimedRun, sqlx::Error> {
    Ok(ClaimedRun {
        run_number: row.try_get("run_number")?,
        started_at: row.try_get("running_since")?,
        due_at: row.try_get("next_run_at")?,
        abandoned: row.try_get("abandoned")?,
    })
}

fn row_from_postgres(row: &PgRow) -> Result<JobRow, sqlx::Error> {
    let running: Option<DateTime<Utc>> = row.try_get("running_since")?;
    let last_started_at: Option<DateTime<Utc>> = row.try_get("last_started_at")?;
    let last_ended_at: Option<DateTime<Utc>> = row.try_get("last_ended_at")?;
    let outcome: Option<&str> = row.try_get("last_outcome")?;
    let host: String = row.try_get("host")?;
    let last_run = match (last_started_at, last_ended_at, outcome.and_then(JobOutcome::from_name)) {
        (Some(started_at), Some(ended_at), Some(outcome)) => {
            Some(EndedRun { started_at, ended_at, outcome, message: row.try_get("last_message")? })
        }
        _ => None,
    };
    Ok(JobRow {
        name: row.try_get("name")?,
        schedule: row.try_get("schedule")?,
        next_run_at: row.try_get("next_run_at")?,
        running: running.map(|since| (since, host)),
        last_run,
    })
}
