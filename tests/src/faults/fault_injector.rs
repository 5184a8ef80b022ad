//! Injects the faults of a plan, and measures the recovery after each.

use std::time::{Duration, Instant};

use domain::clock::{Clock as _, SystemClock};
use nix::sys::signal::Signal;
use serde::Serialize;
use tokio::time::sleep;

use super::{
    append_writer::{AppendMethod, AppendWriter},
    bounded_wait::wait_until,
    engine_faults::EngineFaults,
    fault_environment::FaultEnvironment,
    fault_plan::{FaultPlan, RelayFault},
    fault_report::print_progress,
    log_audit::{AuditViolation, DisturbancePeriod},
    relay_pair::{self, RelayPair},
    seeded_choices::SeededChoices,
};

/// How long the system may take to recover from a fault, once all processes run again.
const RECOVERY_TIMEOUT: Duration = Duration::from_mins(2);
/// After a longer recovery the logs of the relays are printed.
const SLOW_RECOVERY: Duration = Duration::from_secs(40);
/// How long another relay may take to take over.
const TAKEOVER_TIMEOUT: Duration = Duration::from_secs(30);

/// The injector's stream of random choices; writers use lower numbers.
const RANDOM_STREAM: u64 = 1 << 32;

/// An injected fault, its time, and the time until an event appended afterwards was on Kafka.
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

/// Injects faults and collects what happens.
#[derive(Debug)]
pub struct FaultInjector<'a> {
    engines: EngineFaults<'a>,
    environment: &'a FaultEnvironment,
    relays: &'a mut RelayPair,
    probe: &'a mut AppendWriter,
    choices: SeededChoices,
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
        environment: &'a FaultEnvironment,
        relays: &'a mut RelayPair,
        probe: &'a mut AppendWriter,
    ) -> Self {
        let (choices, started_at) = (SeededChoices::new(seed, RANDOM_STREAM), Instant::now());
        Self {
            engines,
            environment,
            relays,
            probe,
            choices,
            started_at,
            injected: vec![],
            disturbances: vec![],
            violations: vec![],
        }
    }

    /// Carries out the plan. Ends early if the system does not recover, which is a violation and not an error.
    ///
    /// # Errors
    /// If the harness itself cannot carry out the plan.
    pub async fn execute_plan(&mut self, plan: &FaultPlan) -> anyhow::Result<()> {
        for step in &plan.steps {
            let left = plan.duration.saturating_sub(self.started_at.elapsed());
            if !plan.all_steps && step.delay > left {
                break;
            }
            sleep(step.delay).await;
            if !self.inject_and_recover(step.fault).await? {
                return Ok(());
            }
        }
        sleep(plan.duration.saturating_sub(self.started_at.elapsed())).await;
        Ok(())
    }

    /// Injects one fault and waits for the recovery; `false` if there is none.
    async fn inject_and_recover(&mut self, fault: RelayFault) -> anyhow::Result<bool> {
        let (since, from_ms) = (Instant::now(), SystemClock.now().timestamp_millis());
        let at_s = since.duration_since(self.started_at).as_secs_f32();
        print_progress(&format!("{at_s:6.1} s  {}", fault.name()));
        let injected = self.inject(fault).await;
        let recovered = match &injected {
            Ok(_) => self.wait_for_recovery().await,
            Err(error) => Err(anyhow::anyhow!("{error:#}")),
        };
        let until_ms = SystemClock.now().timestamp_millis();
        self.disturbances.push(DisturbancePeriod { fault: fault.name(), from_ms, until_ms });
        let recovered_s = since.elapsed().as_secs_f32();
        match recovered {
            Ok(()) => {
                let takeover_ms = injected.ok().flatten().map(|time| time.as_millis());
                let takeover = takeover_ms.map(|ms| format!(", taken over in {ms} ms")).unwrap_or_default();
                print_progress(&format!("          recovered after {recovered_s:.1} s{takeover}"));
                if since.elapsed() > SLOW_RECOVERY {
                    print_progress(&format!("          slow recovery; logs of the relays:{}", self.relays.log_tails()));
                }
                self.injected.push(InjectedFault { fault: fault.name(), at_s, recovered_s, takeover_ms });
                Ok(true)
            }
            Err(error) => {
                let reason = format!("{error:#}");
                print_progress(&format!("          NOT recovered: {reason}"));
                self.violations.push(AuditViolation::NotRecovered { after: fault.name(), reason });
                Ok(false)
            }
        }
    }

    async fn inject(&mut self, fault: RelayFault) -> anyhow::Result<Option<Duration>> {
        let (leader, _) = wait_until(RECOVERY_TIMEOUT, async || self.relays.find_leader().await).await?;
        // Hundreds of events and a short delay, so that the fault hits the relay in the middle of its work.
        self.probe.append(AppendMethod::Import).await?;
        sleep(self.choices.millis_between(0, 40)).await;
        let since = Instant::now();
        match fault {
            RelayFault::KillLeader => {
                self.relays.0[leader].kill9()?;
                return self.measure_takeover(leader, since).await.map(Some);
            }
            RelayFault::StopLeader => {
                self.relays.0[leader].stop().await?;
                return self.measure_takeover(leader, since).await.map(Some);
            }
            RelayFault::KillStandby => {
                self.relays.0[1 - leader].kill9()?;
                self.relays.0[1 - leader].launch()?;
            }
            RelayFault::PauseLeader(time) => {
                self.relays.0[leader].send_signal(Signal::SIGSTOP);
                sleep(time).await;
                self.relays.0[leader].send_signal(Signal::SIGCONT);
            }
            RelayFault::Zombie => {
                self.relays.0[leader].send_signal(Signal::SIGSTOP);
                let taken_over = self.wait_for_takeover_while_paused(leader, since).await;
                // No process may stay paused, also after an error.
                self.relays.0[leader].send_signal(Signal::SIGCONT);
                taken_over?;
            }
            RelayFault::KillPostgres => drop(self.engines.kill9("postgres")?),
            RelayFault::KillBackend => self.kill_backend().await?,
            RelayFault::KillBroker => drop(self.engines.kill9("kafka")?),
            RelayFault::PauseBroker(time) => self.engines.pause_for("kafka", time).await?,
            RelayFault::BrokerAway(time) => self.engines.make_unavailable("kafka", time).await?,
        }
        Ok(None)
    }

    /// Waits until the other relay has taken over, and starts the first one again, as standby.
    async fn measure_takeover(&mut self, leader: usize, since: Instant) -> anyhow::Result<Duration> {
        let position = self.probe.append_probe().await?;
        let takeover = self.relays.wait_for_takeover(leader, position, since, TAKEOVER_TIMEOUT).await?;
        self.relays.0[leader].launch()?;
        Ok(takeover)
    }

    /// Kills Postgres, so that the paused leader loses its connection, and waits until the other relay has published.
    async fn wait_for_takeover_while_paused(&mut self, leader: usize, since: Instant) -> anyhow::Result<()> {
        self.engines.kill9("postgres")?;
        let position = self.probe.append_probe().await?;
        self.relays.wait_for_takeover(leader, position, since, TAKEOVER_TIMEOUT).await.map(drop)
    }

    async fn kill_backend(&mut self) -> anyhow::Result<()> {
        let pid: Option<i32> = sqlx::query_scalar(
            "select pid from pg_stat_activity
             where datname = current_database() and application_name like 'faults-w%' and pid <> pg_backend_pid()
             order by backend_start limit 1",
        )
        .fetch_optional(&mut self.environment.connect().await?)
        .await?;
        let backend = pid.and_then(|pid| medhub_local::process::ProcessIdentity::from_pid(pid.unsigned_abs()));
        if let Some(backend) = backend {
            backend.send_signal(Signal::SIGKILL);
        }
        Ok(())
    }

    /// Waits for the recovery: an event appended now is on Kafka, and the other relay is on standby.
    async fn wait_for_recovery(&mut self) -> anyhow::Result<()> {
        let position = self.probe.append_probe().await?;
        let leader = self.relays.wait_until_published(position, RECOVERY_TIMEOUT).await?;
        let other = &self.relays.0[1 - leader];
        wait_until(RECOVERY_TIMEOUT, async || {
            let status = relay_pair::read_status(other).await?;
            anyhow::ensure!(status.state != "retrying", "{} is {status:?}{}", other.name(), other.log_tail());
            Ok(())
        })
        .await
    }
}
