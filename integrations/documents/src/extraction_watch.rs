//! Watches what an extraction uses that the system limits for a user only, or not at all: its processes and its files.

use std::{
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use nix::unistd::Pid;
use tokio::time::sleep;

use crate::{ExtractionFailure, ExtractionFailureKind, ExtractionLimits};

/// How often the processes and files are counted. Counting takes some milliseconds.
const INTERVAL: Duration = Duration::from_millis(250);

/// Size of the blocks that a file system counts in.
const BLOCK_BYTES: u64 = 512;

/// Watches one extraction.
#[derive(Debug, Clone)]
pub(crate) struct ExtractionWatch {
    /// The process group of the extraction, which its processes cannot leave.
    pub(crate) group: Pid,
    /// The folder of the extraction, where no further folders can be created.
    pub(crate) folder: PathBuf,
    pub(crate) limits: ExtractionLimits,
}

impl ExtractionWatch {
    /// Ends only when the extraction uses more than its limits allow.
    pub(crate) async fn wait_for_excess(self) -> ExtractionFailure {
        loop {
            sleep(INTERVAL).await;
            let watch = self.clone();
            // An extraction that cannot be counted has its other limits.
            let excess = tokio::task::spawn_blocking(move || watch.find_excess()).await.ok().flatten();
            if let Some(excess) = excess {
                let reason = format!("reading the file takes {excess}; the file is damaged or made to do harm");
                return ExtractionFailure::new(ExtractionFailureKind::ResourcesExceeded, &reason);
            }
        }
    }

    /// The limit that the extraction exceeds, in words.
    fn find_excess(&self) -> Option<String> {
        let tasks = count_tasks(self.group).unwrap_or(0);
        if tasks > self.limits.max_tasks {
            return Some(format!("more than {} processes", self.limits.max_tasks));
        }
        let (files, bytes) = measure_folder(&self.folder).unwrap_or((0, 0));
        if files > self.limits.max_folder_files {
            return Some(format!("more than {} temporary files", self.limits.max_folder_files));
        }
        let limit = self.limits.largest_temporary_file().saturating_mul(2);
        (bytes > limit).then(|| format!("more than {limit} bytes of temporary files"))
    }
}

/// The number of processes and threads of a process group.
fn count_tasks(group: Pid) -> io::Result<u64> {
    let mut tasks = 0;
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        if !name.as_encoded_bytes().iter().all(u8::is_ascii_digit) {
            continue;
        }
        // It may have ended meanwhile.
        let Ok(status) = fs::read(Path::new("/proc").join(&name).join("stat")) else { continue };
        tasks += threads_in_group(&String::from_utf8_lossy(&status), group).unwrap_or(0);
    }
    Ok(tasks)
}

/// The number of threads of a process, if it is in the group, from its line in `/proc`.
fn threads_in_group(status: &str, group: Pid) -> Option<u64> {
    // The name of the program, in parentheses, may contain anything.
    let (_, fields) = status.rsplit_once(')')?;
    let mut fields = fields.split_ascii_whitespace();
    // State, parent, group; then fourteen others.
    if fields.nth(2)?.parse() != Ok(group.as_raw()) {
        return None;
    }
    fields.nth(14)?.parse().ok()
}

/// The number of files in a folder, and the bytes that they take on disk.
fn measure_folder(folder: &Path) -> io::Result<(usize, u64)> {
    let (mut files, mut bytes) = (0, 0_u64);
    for entry in fs::read_dir(folder)? {
        files += 1;
        bytes = bytes.saturating_add(entry?.metadata().map_or(0, |file| file.blocks().saturating_mul(BLOCK_BYTES)));
    }
    Ok((files, bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_threads_of_a_process_are_counted_in_its_group_only() {
        let status = "77 (a ) name) S 1 42 42 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 9 0 12345 0 0";
        assert_eq!(threads_in_group(status, Pid::from_raw(42)), Some(9));
        assert_eq!(threads_in_group(status, Pid::from_raw(1)), None);
        assert_eq!(threads_in_group("", Pid::from_raw(42)), None);
    }

    #[test]
    fn this_process_is_counted() {
        assert!(count_tasks(nix::unistd::getpgrp()).unwrap() >= 1);
    }
}
