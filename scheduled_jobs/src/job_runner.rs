//! Runs jobs when they are due.
//!
//! ```text
//! due ──claim──▶ running ──end──▶ waiting for the next time
//!                  │ └── the program stops: interrupted, due again
//!                  └── the program dies: its lease ends, another runner claims the job
//! ```

use std::{collections::HashSet, sync::Arc, time::Duration};

use domain::error_chain::format_error_chain;
use metrics::{counter, histogram};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{
    JobOutcome, JobRun, JobStore, JobStoreError, ScheduledJob,
    job_store::{ClaimCondition, ClaimedRun},
};

/// Renewals per lease.
const RENEWALS_PER_LEASE: u32 = 3;
/// Attempts to record how a run ended.
const RECORD_ATTEMPTS: u32 = 5;
/// Pause after a failure to reach Postgres.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// The settings of a runner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobRunnerConfig {
    /// How often it looks for jobs that are due.
    pub poll_interval: Duration,
    /// How long a run belongs to its runner unless it is renewed: how long the job of a program that died waits.
    pub lease: Duration,
    /// How long a run may go on after the program was asked to stop.
    pub stop_grace: Duration,
    /// Machine and process, for operators.
    pub host: String,
}

impl Default for JobRunnerConfig {
    fn default() -> Self {
        Self {
            poll_interval: Duration::from_secs(5),
            lease: Duration::from_secs(30),
            stop_grace: Duration::from_secs(1),
            host: String::new(),
        }
    }
}

/// Runs jobs on their schedules. Several runners may work at the same time, in any number of programs; each job runs in
/// one of them.
#[derive(Clone)]
pub struct JobRunner {
    store: JobStore,
    jobs: Vec<Arc<dyn ScheduledJob>>,
    config: JobRunnerConfig,
}

/// Why a job was not run on demand.
#[derive(Debug, thiserror::Error)]
pub enum RunJobError {
    /// There is no such job.
    #[error("there is no job {0:?}; `medhub jobs list` shows all")]
    Unknown(String),
    /// Another program runs it now.
    #[error("the job {0} is running already; `medhub jobs list` shows where")]
    Running(String),
    /// The table of jobs cannot be used.
    #[error(transparent)]
    Store(#[from] JobStoreError),
}

/// How a run on demand ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunReport {
    /// How it ended.
    pub outcome: JobOutcome,
    /// What it did, or why it failed.
    pub message: String,
}

impl JobRunner {
    /// Creates a runner; it starts in [`Self::run`].
    pub fn new(store: JobStore, jobs: Vec<Arc<dyn ScheduledJob>>, config: JobRunnerConfig) -> Self {
        Self { store, jobs, config }
    }

    /// Runs until `stop`, then ends the runs in progress.
    pub async fn run(self, stop: CancellationToken) {
        let mut registered = false;
        let mut running: JoinSet<&'static str> = JoinSet::new();
        let mut names = HashSet::new();
        while !stop.is_cancelled() {
            while let Some(ended) = running.try_join_next() {
                // A run catches the panics of its job, so it always names it.
                if let Ok(name) = ended {
                    names.remove(name);
                }
            }
            let outcome = if registered { Ok(()) } else { self.register_jobs().await };
            registered = outcome.is_ok();
            let outcome = match outcome {
                Ok(()) => self.start_due_jobs(&stop, &mut running, &mut names).await,
                Err(error) => Err(error),
            };
            let pause = match outcome {
                Ok(()) => self.config.poll_interval,
                Err(error) => {
                    tracing::warn!(reason = format_error_chain(&error), "jobs cannot be run, retrying");
                    RETRY_PAUSE.max(self.config.poll_interval)
                }
            };
            tokio::select! {
                () = stop.cancelled() => {}
                () = sleep(pause) => {}
            }
        }
        while running.join_next().await.is_some() {}
    }

    /// Runs one job now, whether or not it is due, and waits for its end.
    ///
    /// # Errors
    /// [`RunJobError`] when it is not run.
    pub async fn run_now(&self, name: &str, stop: &CancellationToken) -> Result<RunReport, RunJobError> {
        let job = self.jobs.iter().find(|job| job.name() == name);
        let job = job.ok_or_else(|| RunJobError::Unknown(name.to_owned()))?;
        self.store.register_job(job.name(), job.schedule()).await?;
        let claimed = self.claim(job.as_ref(), ClaimCondition::Now).await?;
        let claimed = claimed.ok_or_else(|| RunJobError::Running(name.to_owned()))?;
        Ok(self.execute(job, claimed, stop).await)
    }

    /// Records all jobs with their schedules.
    ///
    /// # Errors
    /// [`JobStoreError`].
    pub async fn register_jobs(&self) -> Result<(), JobStoreError> {
        for job in &self.jobs {
            self.store.register_job(job.name(), job.schedule()).await?;
        }
        Ok(())
    }

    async fn start_due_jobs(
        &self,
        stop: &CancellationToken,
        running: &mut JoinSet<&'static str>,
        names: &mut HashSet<&'static str>,
    ) -> Result<(), JobStoreError> {
        let candidates: Vec<_> = self.jobs.iter().map(|job| job.name()).filter(|name| !names.contains(name)).collect();
        let due = self.store.find_due(&candidates).await?;
        for job in self.jobs.iter().filter(|job| due.iter().any(|name| name == job.name())) {
            if let Some(claimed) = self.claim(job.as_ref(), ClaimCondition::WhenDue).await? {
                names.insert(job.name());
                let (runner, job, stop) = (self.clone(), Arc::clone(job), stop.clone());
                running.spawn(async move {
                    runner.execute(&job, claimed, &stop).await;
                    job.name()
                });
            }
        }
        Ok(())
    }

    async fn claim(
        &self,
        job: &dyn ScheduledJob,
        condition: ClaimCondition,
    ) -> Result<Option<ClaimedRun>, JobStoreError> {
        let claimed = self.store.claim_run(job.name(), condition, self.config.lease, &self.config.host).await?;
        if let Some(ClaimedRun { abandoned: Some(started_at), .. }) = &claimed {
            tracing::warn!(job = job.name(), %started_at, "the runner of an earlier run died before its end");
        }
        Ok(claimed)
    }

    /// Runs a claimed job to its end and records it.
    async fn execute(&self, job: &Arc<dyn ScheduledJob>, claimed: ClaimedRun, stop: &CancellationToken) -> RunReport {
        let begun = Instant::now();
        let name = job.name();
        let report = self.run_to_end(job, &claimed, stop).await;
        counter!("medhub_job_runs_total", "scheduled_job" => name, "outcome" => report.outcome.name()).increment(1);
        histogram!("medhub_job_seconds", "scheduled_job" => name).record(begun.elapsed().as_secs_f64());
        let elapsed_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        match report.outcome {
            JobOutcome::Succeeded => tracing::info!(job = name, elapsed_ms, result = report.message, "job done"),
            JobOutcome::Interrupted => tracing::info!(job = name, elapsed_ms, "job interrupted, it runs again"),
            JobOutcome::Failed | JobOutcome::TimedOut => {
                tracing::error!(job = name, elapsed_ms, reason = report.message, "job failed");
            }
        }
        for attempt in 1..=RECORD_ATTEMPTS {
            match self.store.end_run(name, job.schedule(), &claimed, report.outcome, &report.message).await {
                Ok(true) => break,
                Ok(false) => {
                    tracing::warn!(job = name, "another runner has taken the job over");
                    break;
                }
                Err(error) => {
                    tracing::warn!(
                        job = name,
                        attempt,
                        reason = format_error_chain(&error),
                        "end of a job not recorded"
                    );
                    sleep(RETRY_PAUSE).await;
                }
            }
        }
        report
    }

    async fn run_to_end(
        &self,
        job: &Arc<dyn ScheduledJob>,
        claimed: &ClaimedRun,
        stop: &CancellationToken,
    ) -> RunReport {
        let report = |outcome, message: String| RunReport { outcome, message };
        let run = JobRun { started_at: claimed.started_at, due_at: claimed.due_at, stop: stop.clone() };
        let work = Arc::clone(job);
        // In its own task, which catches panics. The set ends it when it is dropped.
        let mut task = JoinSet::new();
        task.spawn(async move { work.run(&run).await });
        let stopped = async {
            stop.cancelled().await;
            sleep(self.config.stop_grace).await;
        };
        tokio::select! {
            ended = task.join_next() => match ended {
                Some(Ok(Ok(message))) => report(JobOutcome::Succeeded, message),
                Some(Ok(Err(_))) if stop.is_cancelled() => report(JobOutcome::Interrupted, "the program stopped".to_owned()),
                Some(Ok(Err(error))) => report(JobOutcome::Failed, format_error_chain(&*error)),
                Some(Err(panic)) => report(JobOutcome::Failed, format!("a defect of this program: {panic}")),
                None => report(JobOutcome::Failed, "a defect of this program: the job has no task".to_owned()),
            },
            () = sleep(job.timeout()) => {
                report(JobOutcome::TimedOut, format!("it took longer than {} s and was ended", job.timeout().as_secs_f64()))
            }
            () = stopped => report(JobOutcome::Interrupted, "the program stopped".to_owned()),
            () = self.renew_until_lost(job.name(), claimed.run_number) => {
                report(JobOutcome::Interrupted, "its lease was lost".to_owned())
            }
        }
    }

    /// Renews the lease of a run; returns when another runner has it, or may have it.
    async fn renew_until_lost(&self, name: &'static str, run_number: i64) {
        let lease = self.config.lease;
        let interval = lease / RENEWALS_PER_LEASE;
        let mut held_since = Instant::now();
        loop {
            sleep(interval).await;
            let asked_at = Instant::now();
            match timeout(interval, self.store.renew_run(name, run_number, lease)).await {
                Ok(Ok(true)) => held_since = asked_at,
                Ok(Ok(false)) => return,
                Ok(Err(_)) | Err(_) if held_since.elapsed() + interval >= lease => return,
                Ok(Err(error)) => tracing::warn!(job = name, reason = format_error_chain(&error), "lease not renewed"),
                Err(_elapsed) => tracing::warn!(job = name, "lease not renewed in time"),
            }
        }
    }
}
