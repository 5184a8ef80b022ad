//! Jobs on a real database: one runner at a time, missed runs caught up once, runs that hang or fail ended and recorded.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use chrono::{DateTime, Utc};
use futures::future::BoxFuture;
use scheduled_jobs::{
    EndedRun, JobError, JobOutcome, JobRow, JobRun, JobRunner, JobRunnerConfig, JobSchedule, JobStore, RunJobError,
    ScheduledJob,
};
use sqlx::PgPool;
use tests::{database, eventually};
use tokio::{sync::Notify, task::JoinHandle};
use tokio_util::sync::CancellationToken;

const NAME: &str = "test-job";

/// What a run of the job does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum JobBehaviour {
    Succeed,
    Fail,
    Panic,
    /// Waits for ever.
    Hang,
    /// Waits until the program stops, and then ends with an error.
    FailOnStop,
}

struct TestJob {
    schedule: JobSchedule,
    behaviour: JobBehaviour,
    timeout: Duration,
    runs: AtomicU32,
    started: Notify,
}

impl TestJob {
    fn create(behaviour: JobBehaviour) -> Arc<Self> {
        Arc::new(Self {
            schedule: JobSchedule::parse("0 3 * * *", "UTC").unwrap(),
            behaviour,
            timeout: Duration::from_mins(1),
            runs: AtomicU32::new(0),
            started: Notify::new(),
        })
    }

    fn runs(&self) -> u32 {
        self.runs.load(Ordering::SeqCst)
    }
}

impl ScheduledJob for TestJob {
    fn name(&self) -> &'static str {
        NAME
    }

    fn schedule(&self) -> &JobSchedule {
        &self.schedule
    }

    fn timeout(&self) -> Duration {
        self.timeout
    }

    fn run<'a>(&'a self, run: &'a JobRun) -> BoxFuture<'a, Result<String, JobError>> {
        Box::pin(async move {
            let number = self.runs.fetch_add(1, Ordering::SeqCst) + 1;
            self.started.notify_one();
            match self.behaviour {
                JobBehaviour::Succeed => Ok(format!("run {number}")),
                JobBehaviour::Fail => Err("the disk is full".into()),
                JobBehaviour::Panic => panic!("planted"),
                JobBehaviour::Hang => std::future::pending().await,
                JobBehaviour::FailOnStop => {
                    run.stop.cancelled().await;
                    Err("stopped half-way".into())
                }
            }
        })
    }
}

struct JobFixture {
    pool: PgPool,
    store: JobStore,
    job: Arc<TestJob>,
}

impl JobFixture {
    async fn create(job: Arc<TestJob>) -> Self {
        let pool = database().await;
        let store = JobStore::new(pool.clone());
        store.register_job(NAME, &job.schedule).await.unwrap();
        Self { pool, store, job }
    }

    /// Makes the job due since that many days: runs of several days were missed.
    async fn make_due(&self, days: i32) {
        sqlx::query("update scheduled_jobs set next_run_at = now() - make_interval(days => $1)")
            .bind(days)
            .execute(&self.pool)
            .await
            .unwrap();
    }

    fn runner(&self) -> JobRunner {
        let config = JobRunnerConfig {
            poll_interval: Duration::from_millis(20),
            lease: Duration::from_millis(600),
            stop_grace: Duration::from_millis(200),
            host: "test 1".to_owned(),
        };
        JobRunner::new(self.store.clone(), vec![self.job.clone()], config)
    }

    fn start_runner(&self) -> (JoinHandle<()>, CancellationToken) {
        let stop = CancellationToken::new();
        (tokio::spawn(self.runner().run(stop.clone())), stop)
    }

    async fn row(&self) -> JobRow {
        self.store.list_jobs().await.unwrap().remove(0)
    }

    async fn wait_for_end(&self) -> (JobRow, EndedRun) {
        eventually(async || {
            let row = self.row().await;
            row.last_run.clone().map(|ended| (row, ended)).ok_or("no run has ended")
        })
        .await
    }
}

fn now() -> DateTime<Utc> {
    std::time::SystemTime::now().into()
}

#[tokio::test]
async fn missed_runs_are_caught_up_by_one_run_of_one_runner() {
    let fixture = JobFixture::create(TestJob::create(JobBehaviour::Succeed)).await;
    fixture.make_due(5).await;
    let runners: Vec<_> = (0..3).map(|_| fixture.start_runner()).collect();
    let (row, ended) = fixture.wait_for_end().await;
    // Each runner looks again several times.
    tokio::time::sleep(Duration::from_millis(150)).await;
    for (runner, stop) in runners {
        stop.cancel();
        runner.await.unwrap();
    }
    assert_eq!(fixture.job.runs(), 1);
    assert_eq!((ended.outcome, ended.message.as_str()), (JobOutcome::Succeeded, "run 1"));
    assert!(ended.started_at <= ended.ended_at && row.next_run_at > now(), "{row:?}");
    assert_eq!(row.next_run_at, fixture.job.schedule.next_after(ended.started_at).unwrap());
    assert_eq!(row.running, None);
}

#[tokio::test]
async fn a_job_that_hangs_fails_or_panics_is_ended_and_due_at_its_next_time() {
    for (behaviour, outcome, message) in [
        (JobBehaviour::Hang, JobOutcome::TimedOut, "it took longer than 0.1 s and was ended"),
        (JobBehaviour::Fail, JobOutcome::Failed, "the disk is full"),
        (JobBehaviour::Panic, JobOutcome::Failed, "a defect of this program"),
    ] {
        let mut job = TestJob::create(behaviour);
        Arc::get_mut(&mut job).unwrap().timeout = Duration::from_millis(100);
        let fixture = JobFixture::create(job).await;
        fixture.make_due(1).await;
        let (runner, stop) = fixture.start_runner();
        let (row, ended) = fixture.wait_for_end().await;
        stop.cancel();
        runner.await.unwrap();
        assert_eq!(ended.outcome, outcome, "{behaviour:?}");
        assert!(ended.message.starts_with(message), "{behaviour:?}: {}", ended.message);
        assert!(row.next_run_at > now() && row.running.is_none(), "{row:?}");
    }
}

#[tokio::test]
async fn the_job_of_a_runner_that_died_runs_again_when_its_lease_ends() {
    let fixture = JobFixture::create(TestJob::create(JobBehaviour::Hang)).await;
    fixture.make_due(1).await;
    let (first, _stop) = fixture.start_runner();
    fixture.job.started.notified().await;
    let running = fixture.row().await.running.unwrap();
    assert_eq!(running.1, "test 1");
    first.abort();
    let (second, stop) = fixture.start_runner();
    fixture.job.started.notified().await;
    assert_eq!(fixture.job.runs(), 2);
    stop.cancel();
    second.await.unwrap();
}

#[tokio::test]
async fn a_run_longer_than_its_lease_keeps_the_job_and_ends_when_another_runner_has_it() {
    let fixture = JobFixture::create(TestJob::create(JobBehaviour::Hang)).await;
    fixture.make_due(1).await;
    let runners = [fixture.start_runner(), fixture.start_runner()];
    fixture.job.started.notified().await;
    // Two leases long.
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    assert_eq!(fixture.job.runs(), 1, "the lease is renewed");
    // As a third runner would after this one has been silent for too long.
    let steal = "update scheduled_jobs set run_number = run_number + 1, leased_until = now() + interval '1 hour'";
    sqlx::query(steal).execute(&fixture.pool).await.unwrap();
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert_eq!(fixture.row().await.last_run, None, "the run that lost its lease records nothing");
    for (runner, stop) in runners {
        stop.cancel();
        runner.await.unwrap();
    }
    assert_eq!(fixture.job.runs(), 1);
}

#[tokio::test]
async fn a_run_that_the_stop_of_the_program_interrupts_stays_due() {
    for behaviour in [JobBehaviour::Hang, JobBehaviour::FailOnStop] {
        let fixture = JobFixture::create(TestJob::create(behaviour)).await;
        fixture.make_due(1).await;
        let (runner, stop) = fixture.start_runner();
        fixture.job.started.notified().await;
        stop.cancel();
        runner.await.unwrap();
        let row = fixture.row().await;
        assert_eq!(row.last_run.unwrap().outcome, JobOutcome::Interrupted, "{behaviour:?}");
        assert!(row.next_run_at < now(), "{behaviour:?}");
    }
}

#[tokio::test]
async fn a_job_can_be_run_at_once_but_not_beside_itself() {
    let fixture = JobFixture::create(TestJob::create(JobBehaviour::Succeed)).await;
    let stop = CancellationToken::new();
    let report = fixture.runner().run_now(NAME, &stop).await.unwrap();
    assert_eq!((report.outcome, report.message.as_str()), (JobOutcome::Succeeded, "run 1"));
    assert!(matches!(fixture.runner().run_now("other", &stop).await, Err(RunJobError::Unknown(_))));

    let fixture = JobFixture::create(TestJob::create(JobBehaviour::Hang)).await;
    fixture.make_due(1).await;
    let (runner, stop) = fixture.start_runner();
    fixture.job.started.notified().await;
    assert!(matches!(fixture.runner().run_now(NAME, &stop).await, Err(RunJobError::Running(_))));
    stop.cancel();
    runner.await.unwrap();
}

#[tokio::test]
async fn a_changed_schedule_moves_the_next_run_and_a_restart_does_not() {
    let fixture = JobFixture::create(TestJob::create(JobBehaviour::Succeed)).await;
    fixture.make_due(1).await;
    let due = fixture.row().await.next_run_at;
    fixture.store.register_job(NAME, &fixture.job.schedule).await.unwrap();
    assert_eq!(fixture.row().await.next_run_at, due);
    let other = JobSchedule::parse("0 4 * * *", "UTC").unwrap();
    fixture.store.register_job(NAME, &other).await.unwrap();
    let row = fixture.row().await;
    assert_eq!(row.schedule, "0 4 * * * UTC");
    assert!(row.next_run_at > now());
}
