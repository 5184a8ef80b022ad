//! The progress of fetches: a bar for each artifact on a terminal, plain lines elsewhere.

use std::{io::IsTerminal as _, path::PathBuf, time::Duration};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::task::JoinHandle;

use super::PinnedArtifact;
use crate::folder::bytes_below;

/// Shows the progress of fetches on standard error.
#[derive(Debug)]
pub struct DownloadProgress {
    bars: MultiProgress,
    terminal: bool,
}

impl Default for DownloadProgress {
    fn default() -> Self {
        let terminal = std::io::stderr().is_terminal();
        let target = if terminal { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        Self { bars: MultiProgress::with_draw_target(target), terminal }
    }
}

impl DownloadProgress {
    /// Prints one line above the bars.
    pub fn print_line(&self, line: &str) {
        if self.terminal {
            // A closed terminal does not stop a fetch.
            let _terminal_closed = self.bars.println(line);
        } else {
            #[expect(clippy::print_stderr, reason = "progress of a command-line program")]
            {
                eprintln!("{line}");
            }
        }
    }

    /// Shows how `folder`, which the client downloads into, grows, until the returned meter is dropped.
    pub(super) fn watch_folder(&self, artifact: &PinnedArtifact, folder: PathBuf) -> DownloadMeter {
        if !self.terminal {
            let megabytes = artifact.download_bytes / 1_000_000;
            self.print_line(&format!(
                "fetching {} ({}, {}, {megabytes} MB)",
                artifact.name, artifact.description, artifact.package
            ));
        }
        let bar = self.bars.add(ProgressBar::new(artifact.download_bytes));
        if let Ok(style) =
            ProgressStyle::with_template("{prefix:>10} {bar:30} {bytes:>10} of about {total_bytes} {elapsed:>4} {msg}")
        {
            bar.set_style(style);
        }
        bar.set_prefix(artifact.name);
        let updated_bar = bar.clone();
        let expected = artifact.download_bytes;
        let task = tokio::spawn(async move {
            loop {
                tokio::time::sleep(Duration::from_millis(150)).await;
                let bytes = bytes_below(&folder);
                updated_bar.set_position(bytes.min(expected));
                updated_bar.set_message(if bytes < expected { "" } else { "unpacking" });
            }
        });
        DownloadMeter { bar, task }
    }
}

/// A visible progress bar; dropping it removes the bar.
#[derive(Debug)]
pub(super) struct DownloadMeter {
    bar: ProgressBar,
    task: JoinHandle<()>,
}

impl Drop for DownloadMeter {
    fn drop(&mut self) {
        self.task.abort();
        self.bar.finish_and_clear();
    }
}
