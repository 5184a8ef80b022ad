//! The plan of one run, derived from its seed alone.

use std::time::Duration;

use super::seeded_choices::SeededChoices;

/// Pause between two kills of one engine, so that its supervisor does not count them as failed starts.
const ENGINE_PAUSE: Duration = Duration::from_secs(33);

/// A fault injected into a relay or an engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RelayFault {
    /// kill -9 of the relay that leads.
    KillLeader,
    /// kill -9 of the relay that stands by.
    KillStandby,
    /// The leader is stopped gracefully.
    StopLeader,
    /// The leader is paused for this long, and continues.
    PauseLeader(Duration),
    /// The leader is paused while Postgres is killed, so that it continues when another relay already leads.
    Zombie,
    /// kill -9 of Postgres and all its processes.
    KillPostgres,
    /// kill -9 of one Postgres backend of a writer; the server closes all connections and recovers.
    KillBackend,
    /// kill -9 of the broker.
    KillBroker,
    /// The broker is paused: connections stay open and get no answers.
    PauseBroker(Duration),
    /// kill -9 of the broker, which stays unavailable for this long.
    BrokerAway(Duration),
}

impl RelayFault {
    /// Its name in reports.
    pub fn name(self) -> String {
        match self {
            Self::KillLeader => "kill -9 of the leading relay".to_owned(),
            Self::KillStandby => "kill -9 of the relay that stands by".to_owned(),
            Self::StopLeader => "stop of the leading relay".to_owned(),
            Self::PauseLeader(time) => format!("leading relay paused for {:.1} s", time.as_secs_f32()),
            Self::Zombie => "zombie: leading relay paused while Postgres is killed".to_owned(),
            Self::KillPostgres => "kill -9 of Postgres".to_owned(),
            Self::KillBackend => "kill -9 of a Postgres backend".to_owned(),
            Self::KillBroker => "kill -9 of the broker".to_owned(),
            Self::PauseBroker(time) => format!("broker paused for {:.1} s", time.as_secs_f32()),
            Self::BrokerAway(time) => format!("broker unavailable for {:.1} s", time.as_secs_f32()),
        }
    }

    fn engine(self) -> Option<&'static str> {
        match self {
            Self::KillPostgres | Self::KillBackend | Self::Zombie => Some("postgres"),
            Self::KillBroker | Self::BrokerAway(_) => Some("kafka"),
            Self::KillLeader | Self::KillStandby | Self::StopLeader | Self::PauseLeader(_) | Self::PauseBroker(_) => {
                None
            }
        }
    }
}

/// A fault and the quiet time before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FaultStep {
    /// Time since the recovery from the previous fault.
    pub delay: Duration,
    /// The fault to inject after the delay.
    pub fault: RelayFault,
}

/// One run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FaultPlan {
    /// Determines all random choices.
    pub seed: u64,
    /// Number of concurrent writers.
    pub writers: usize,
    /// Minimum time that they write; in a short plan, they write until all faults are over.
    pub duration: Duration,
    /// Faults injected meanwhile; those that do not fit into the duration are skipped, unless `all_steps`.
    pub steps: Vec<FaultStep>,
    /// Whether every step is carried out, even beyond the duration.
    pub all_steps: bool,
    /// Whether the relay of the product runs, or a naive one without the fence.
    pub fence: bool,
    /// Whether the relays reach Postgres through a pooler that shares sessions between them.
    pub uses_pooler: bool,
}

impl FaultPlan {
    /// A short run with these faults, in an order and at times that the seed decides.
    pub fn short(seed: u64, writers: usize, faults: &[RelayFault]) -> Self {
        let mut choices = SeededChoices::new(seed, 0);
        let mut faults = faults.to_vec();
        choices.shuffle(&mut faults);
        let steps =
            faults.into_iter().map(|fault| FaultStep { delay: choices.millis_between(700, 1_800), fault }).collect();
        Self {
            seed,
            writers,
            duration: Duration::from_secs(3),
            steps,
            all_steps: true,
            fence: true,
            uses_pooler: false,
        }
    }

    /// A run of this length: every kind of fault once in random order, then random ones until the time is over.
    pub fn long(seed: u64, writers: usize, duration: Duration) -> Self {
        let mut choices = SeededChoices::new(seed, 0);
        let mut faults: Vec<_> = (0..FAULT_KIND_COUNT).map(|kind| fault_of_kind(kind, &mut choices)).collect();
        choices.shuffle(&mut faults);
        let seconds = usize::try_from(duration.as_secs()).unwrap_or_default();
        let more = seconds.saturating_sub(faults.len());
        faults.extend((0..more).map(|_| random_fault(&mut choices)));
        let mut steps = Vec::new();
        let (mut now, mut last_of_engine) = (Duration::ZERO, Vec::<(&str, Duration)>::new());
        for fault in faults {
            let mut delay = choices.millis_between(1_000, 6_000);
            if let Some(engine) = fault.engine() {
                let last = last_of_engine.iter().rev().find(|(name, _)| *name == engine).map(|(_, at)| *at);
                let earliest = last.map_or(Duration::ZERO, |at| at + ENGINE_PAUSE);
                delay = delay.max(earliest.saturating_sub(now));
                last_of_engine.push((engine, now + delay));
            }
            now += delay;
            steps.push(FaultStep { delay, fault });
        }
        Self { seed, writers, duration, steps, all_steps: false, fence: true, uses_pooler: false }
    }

    /// A run without faults.
    pub fn without_faults(seed: u64, writers: usize, duration: Duration) -> Self {
        Self { seed, writers, duration, steps: Vec::new(), all_steps: false, fence: true, uses_pooler: false }
    }

    /// The same run, with a pooler in transaction mode between relays and Postgres.
    #[must_use]
    pub fn through_pooler(self) -> Self {
        Self { uses_pooler: true, ..self }
    }

    /// The same writers without faults, with a naive relay.
    #[must_use]
    pub fn without_fence(self) -> Self {
        Self { steps: Vec::new(), fence: false, ..self }
    }
}

const FAULT_KIND_COUNT: u64 = 10;

fn fault_of_kind(kind: u64, choices: &mut SeededChoices) -> RelayFault {
    match kind {
        0 => RelayFault::KillLeader,
        1 => RelayFault::KillStandby,
        2 => RelayFault::StopLeader,
        3 => RelayFault::PauseLeader(choices.millis_between(500, 4_000)),
        4 => RelayFault::KillPostgres,
        5 => RelayFault::KillBackend,
        6 => RelayFault::KillBroker,
        7 => RelayFault::PauseBroker(choices.millis_between(1_000, 8_000)),
        8 => RelayFault::Zombie,
        _ => RelayFault::BrokerAway(Duration::from_secs(30)),
    }
}

/// A random fault; those that cost little time are more frequent.
fn random_fault(choices: &mut SeededChoices) -> RelayFault {
    let kind = choices.pick_weighted(&[(0, 8), (1, 2), (2, 4), (3, 4), (4, 3), (5, 2), (6, 3), (7, 3), (8, 2), (9, 1)]);
    fault_of_kind(kind, choices)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_seed_determines_the_whole_plan() {
        let plan = |seed| FaultPlan::long(seed, 16, Duration::from_mins(5));
        assert_eq!(plan(42), plan(42));
        assert_ne!(plan(42).steps, plan(43).steps);
    }

    #[test]
    fn a_long_plan_has_every_kind_of_fault_in_its_first_steps() {
        let plan = FaultPlan::long(7, 16, Duration::from_mins(5));
        let kinds: BTreeSet<_> = plan.steps[..10].iter().map(|step| format!("{:?}", step.fault)).collect();
        assert_eq!(kinds.len(), 10);
    }

    #[test]
    fn no_engine_is_killed_so_often_that_its_supervisor_gives_up() {
        for seed in 0..50 {
            let (mut now, mut last) = (Duration::ZERO, Duration::ZERO);
            for step in FaultPlan::long(seed, 16, Duration::from_mins(10)).steps {
                now += step.delay;
                if step.fault.engine() == Some("postgres") {
                    assert!(last.is_zero() || now >= last + ENGINE_PAUSE, "seed {seed}: {last:?}, {now:?}");
                    last = now;
                }
            }
        }
    }
}
