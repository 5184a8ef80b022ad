//! Processor time.

use std::time::Duration;

use nix::sys::{
    resource::{Usage, UsageWho, getrusage},
    time::TimeValLike,
};

/// Processor time that this process has used so far, in user and kernel mode. Zero where the system does not say.
pub fn process_cpu_time() -> Duration {
    usage_cpu_time(UsageWho::RUSAGE_SELF)
}

/// Processor time of all children of this process that have ended. Zero where the system does not say.
pub fn children_cpu_time() -> Duration {
    usage_cpu_time(UsageWho::RUSAGE_CHILDREN)
}

fn usage_cpu_time(by: UsageWho) -> Duration {
    let micros = |usage: Usage| usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    getrusage(by).map_or(Duration::ZERO, |usage| Duration::from_micros(micros(usage).unsigned_abs()))
}
