//! What a failed test leaves behind for whoever reads its output.

use tempfile::TempDir;

/// Removes a test's folder, unless the test is failing: then its logs and data stay, and standard error says where.
pub(crate) fn keep_if_failed(folder: Option<TempDir>) {
    let Some(folder) = folder else { return };
    if std::thread::panicking() {
        let kept = folder.keep();
        eprintln!("logs and data of the failed test are in {}", kept.display());
    }
}
