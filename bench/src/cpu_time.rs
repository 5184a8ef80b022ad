//! CPU time of this process.

use std::time::Duration;

use nix::sys::{
    resource::{Usage, UsageWho, getrusage},
    time::TimeValLike,
};

/// Returns the CPU time of this process so far, in user and kernel mode; zero if it is not known.
pub fn process_cpu_time() -> Duration {
    usage_cpu_time(UsageWho::RUSAGE_SELF)
}

/// Returns the CPU time of all ended children of this process; zero if it is not known.
pub fn children_cpu_time() -> Duration {
    usage_cpu_time(UsageWho::RUSAGE_CHILDREN)
}

fn usage_cpu_time(who: UsageWho) -> Duration {
    let micros = |usage: Usage| usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    getrusage(who).map_or(Duration::ZERO, |usage| Duration::from_micros(micros(usage).unsigned_abs()))
}
