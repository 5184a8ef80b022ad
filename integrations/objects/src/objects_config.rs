//! Settings of the object store.

use std::{path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};

use super::S3Config;

/// Configuration of the object store.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ObjectsConfig {
    /// Folder of the files unless they are in a bucket; shared by all processes that serve them.
    pub dir: PathBuf,
    /// Bucket of an S3-compatible service.
    pub s3: S3Config,
    /// Bytes of an upload that must arrive within `progress_within_ms`.
    pub progress_bytes: u64,
    /// Time for `progress_bytes` to arrive, in milliseconds.
    pub progress_within_ms: u64,
    /// Interval of sweeps for files without a document, in seconds.
    pub sweep_every_s: u64,
    /// Minimum age of files that are swept, in seconds: an upload that is about to be recorded is younger.
    pub orphaned_after_s: u64,
}

impl Default for ObjectsConfig {
    fn default() -> Self {
        Self {
            dir: PathBuf::from("medhub-objects"),
            s3: S3Config::default(),
            progress_bytes: 64 << 10,
            progress_within_ms: 15_000,
            sweep_every_s: 3_600,
            orphaned_after_s: 3_600,
        }
    }
}

impl ObjectsConfig {
    /// Returns where files are stored, for messages.
    pub fn describe(&self) -> String {
        if self.s3.is_enabled() { self.s3.describe() } else { format!("folder {}", self.dir.display()) }
    }

    /// Returns the bytes that must arrive within a duration for an upload to continue.
    pub(crate) fn required_progress(&self) -> (u64, Duration) {
        (self.progress_bytes, Duration::from_millis(self.progress_within_ms.max(1)))
    }

    pub(crate) fn sweep_interval(&self) -> Duration {
        Duration::from_secs(self.sweep_every_s.max(1))
    }

    pub(crate) fn orphaned_after(&self) -> Duration {
        Duration::from_secs(self.orphaned_after_s)
    }
}
