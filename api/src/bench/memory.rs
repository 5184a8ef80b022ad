//! Memory.

use nix::sys::resource::{UsageWho, getrusage};

/// The most memory that this process ever held at once, in bytes. Zero where the system does not say.
pub fn peak_memory_bytes() -> u64 {
    // macOS counts bytes, all others kilobytes.
    let unit = if cfg!(target_os = "macos") { 1 } else { 1024 };
    getrusage(UsageWho::RUSAGE_SELF).map_or(0, |usage| usage.max_rss().unsigned_abs() * unit)
}
