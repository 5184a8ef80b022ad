//! Memory of this process.

use nix::sys::resource::{UsageWho, getrusage};

/// Returns the peak resident memory of this process, in bytes; zero if it is not known.
pub fn peak_memory_bytes() -> u64 {
    // macOS reports bytes, others kilobytes.
    let unit = if cfg!(target_os = "macos") { 1 } else { 1024 };
    getrusage(UsageWho::RUSAGE_SELF).map_or(0, |usage| usage.max_rss().unsigned_abs() * unit)
}
