//! Injects the faults of a plan, and measures the recovery after each.

use std::time::{Duration, Instant};

use domain::clock::{Clock as _, SystemClock};
use nix::sys::signal::Signal;
use serde::Serialize;
use tokio::time::sleep;

use super::{
    append_writer::{AppendMethod, AppendWriter},
    bounded_wait::until,
    engine_faults::EngineFaults,
    fault_environment::FaultEnvironment,
    fault_plan::{FaultPlan, RelayFault},
    fault_report::say,
    log_audit::{AuditViolation, DisturbancePeriod},
    relay_pair::{self, RelayPair},
    seeded_choices::SeededChoices,
};

/// How long the system may take to recover from a fault, once all processes run again.
const RECOVERY_TIMEOUT: Duration = Duration::from_mins(2);
/// A recovery that took longer is looked into.
const SLOW_RECOVERY: Duration = Duration::from_secs(40);
/// How long a process may stand still while another takes over.
const TAKEOVER_TIMEOUT: Duration = Duration::from_secs(30);

/// The injector's stream of random choices; writers use lower numbers.
const RANDOM_STREAM: u64 = 1 << 32;

/// An injected fault, its time, and how long it took until an event appended afterwards was on Kafka.
#[derive(Debug, Clone, Serialize)]
pub struct InjectedFault {
    /// The fault's name.
    pub fault: String,
    /// Seconds since the start of the run.
    pub at_s: f32,
    /// Seconds until a relay led and everything up to a new event was acknowledged by Kafka.
    pub recovered_s: f32,
    /// After a leader's end: milliseconds until the other relay had published an event appended after it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub takeover_ms: Option<u128>,
}

/// The course of a run.
#[derive(Debug)]
pub struct FaultInjector<'a> {
    engines: EngineFaults<'a>,
    field: &'a FaultEnvironment,
    relays: &'a mut RelayPair,
    probe: &'a mut AppendWriter,
    dice: SeededChoices,
    started_at: Instant,
    /// The faults injected so far.
    pub injected: Vec<InjectedFault>,
    /// Periods in which a process was killed or the leader changed.
    pub disturbances: Vec<DisturbancePeriod>,
    /// Faults that the system did not recover from.
    pub violations: Vec<AuditViolation>,
}

impl<'a> FaultInjector<'a> {
    /// Creates an injector; `probe` appends the events whose publication shows a recovery.
    pub fn new(
        seed: u64,
        engines: EngineFaults<'a>,
        field: &'a FaultEnvironment,
        relays: &'a mut RelayPair,
        probe: &'a mut AppendWriter,
    ) -> Self {
        let (dice, began) = (SeededChoices::new(seed, RANDOM_STREAM), Instant::now());
        Self {
            engines,
            field,
            relays,
            probe,
            dice,
            started_at: began,
            injected: vec![],
            disturbances: vec![],
            violations: vec![],
        }
    }

    /// Carries out the plan. Ends early if the system does not recover, which is a violation and not an error.
    ///
    /// # Errors
    /// If the harness itself cannot carry out the plan.
    pub async fn walk(&mut self, plan: &FaultPlan) -> anyhow::Result<()> {
        for step in &plan.steps {
            let left = plan.duration.saturating_sub(self.started_at.elapsed());
            if !plan.all_steps && step.delay > left {
                break;
            }
            sleep(step.delay).await;
            if !self.inflict(step.fault).await? {
                return Ok(());
            }
        }
        sleep(plan.duration.saturating_sub(self.started_at.elapsed())).await;
        Ok(())
    }

    /// Injects one fault and waits for the recovery; `false` if there is none.
    async fn inflict(&mut self, fault: RelayFault) -> anyhow::Result<bool> {
        let (since, from_ms) = (Instant::now(), SystemClock.now().timestamp_millis());
        let at_s = since.duration_since(self.started_at).as_secs_f32();
        say(&format!("{at_s:6.1} s  {}", fault.name()));
        let took_over = self.act(fault).await;
        let recovered = match &took_over {
            Ok(_) => self.recovered().await,
            Err(error) => Err(anyhow::anyhow!("{error:#}")),
        };
        let until_ms = SystemClock.now().timestamp_millis();
        self.disturbances.push(DisturbancePeriod { what: fault.name(), from_ms, until_ms });
        let recovered_s = since.elapsed().as_secs_f32();
        match recovered {
            Ok(()) => {
                let takeover_ms = took_over.ok().flatten().map(|time| time.as_millis());
                let takeover = takeover_ms.map(|ms| format!(", taken over in {ms} ms")).unwrap_or_default();
                say(&format!("          well again after {recovered_s:.1} s{takeover}"));
                if since.elapsed() > SLOW_RECOVERY {
                    say(&format!("          that was slow; the relays said:{}", self.relays.last_words()));
                }
                self.injected.push(InjectedFault { fault: fault.name(), at_s, recovered_s, takeover_ms });
                Ok(true)
            }
            Err(error) => {
                let reason = format!("{error:#}");
                say(&format!("          NOT well again: {reason}"));
                self.violations.push(AuditViolation::NotRecovered { after: fault.name(), reason });
                Ok(false)
            }
        }
    }

    async fn act(&mut self, fault: RelayFault) -> anyhow::Result<Option<Duration>> {
        let (leader, _) = until(RECOVERY_TIMEOUT, async || self.relays.leader().await).await?;
        // So that it hits the relay in the middle of its work: hundreds of events and a moment to begin with them.
        self.probe.append(AppendMethod::Import).await?;
        sleep(self.dice.millis(0, 40)).await;
        let since = Instant::now();
        match fault {
            RelayFault::KillLeader => {
                self.relays.0[leader].kill9()?;
                return self.succession(leader, since).await.map(Some);
            }
            RelayFault::StopLeader => {
                self.relays.0[leader].stop().await?;
                return self.succession(leader, since).await.map(Some);
            }
            RelayFault::KillStandby => {
                self.relays.0[1 - leader].kill9()?;
                self.relays.0[1 - leader].launch()?;
            }
            RelayFault::PauseLeader(time) => {
                self.relays.0[leader].send(Signal::SIGSTOP);
                sleep(time).await;
                self.relays.0[leader].send(Signal::SIGCONT);
            }
            RelayFault::Zombie => {
                self.relays.0[leader].send(Signal::SIGSTOP);
                let taken = self.zombie(leader, since).await;
                // Whatever the outcome, no process may stay paused.
                self.relays.0[leader].send(Signal::SIGCONT);
                taken?;
            }
            RelayFault::KillPostgres => drop(self.engines.kill9("postgres")?),
            RelayFault::KillBackend => self.kill_backend().await?,
            RelayFault::KillBroker => drop(self.engines.kill9("kafka")?),
            RelayFault::PauseBroker(time) => self.engines.pause("kafka", time).await?,
            RelayFault::BrokerAway(time) => self.engines.keep_away("kafka", time).await?,
        }
        Ok(None)
    }

    /// The other relay takes over; then the first one is started again and stands by.
    async fn succession(&mut self, leader: usize, since: Instant) -> anyhow::Result<Duration> {
        let position = self.probe.probe().await?;
        let took = self.relays.taken_over(leader, position, since, TAKEOVER_TIMEOUT).await?;
        self.relays.0[leader].launch()?;
        Ok(took)
    }

    /// The leader's lock ends with its connection, its successor publishes, and only then the old leader continues.
    async fn zombie(&mut self, leader: usize, since: Instant) -> anyhow::Result<()> {
        self.engines.kill9("postgres")?;
        let position = self.probe.probe().await?;
        self.relays.taken_over(leader, position, since, TAKEOVER_TIMEOUT).await.map(drop)
    }

    async fn kill_backend(&mut self) -> anyhow::Result<()> {
        let pid: Option<i32> = sqlx::query_scalar(
            "select pid from pg_stat_activity
             where datname = current_database() and application_name like 'faults-w%' and pid <> pg_backend_pid()
             order by backend_start limit 1",
        )
        .fetch_optional(&mut self.field.connection().await?)
        .await?;
        let victim = pid.and_then(|pid| medhub_local::process::ProcessIdentity::of(pid.unsigned_abs()));
        if let Some(victim) = victim {
            victim.send(Signal::SIGKILL);
        }
        Ok(())
    }

    /// Waits for the recovery: an event appended now is on Kafka, and the other relay is on standby.
    async fn recovered(&mut self) -> anyhow::Result<()> {
        let position = self.probe.probe().await?;
        let leader = self.relays.reach(position, RECOVERY_TIMEOUT).await?;
        let other = &self.relays.0[1 - leader];
        until(RECOVERY_TIMEOUT, async || {
            let status = relay_pair::status(other).await?;
            anyhow::ensure!(status.state != "retrying", "{} is {status:?}{}", other.name(), other.last_words());
            Ok(())
        })
        .await
    }
}
