//! Jobs that run on a schedule: by one program at a time, within a limited time, with a record of each run.
//!
//! A job's row in Postgres says when it is due next. A runner claims a due job by a lease; when it dies, the lease ends
//! and another one runs the job again. Runs that were missed are caught up by one run.

mod job_runner;
mod job_schedule;
mod job_store;
mod scheduled_job;

pub use self::{
    job_runner::{JobRunner, JobRunnerConfig, RunJobError, RunReport},
    job_schedule::{JobSchedule, JobScheduleError},
    job_store::{EndedRun, JobOutcome, JobRow, JobStore, JobStoreError},
    scheduled_job::{JobError, JobRun, ScheduledJob},
};
