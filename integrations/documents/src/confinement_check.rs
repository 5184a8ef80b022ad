//! Whether this system can confine the child process that reads a file.

use std::thread;

use crate::{ToolStatus, confinement::try_confinement};

/// Tries each means of confinement in a separate thread, since it lasts as long as its thread; takes some milliseconds.
pub fn check_confinement() -> Vec<ToolStatus> {
    let tried = thread::Builder::new().name("confinement-check".to_owned()).spawn(try_confinement);
    let failed = |reason: &str| [Err(reason.to_owned()), Err(reason.to_owned())];
    let [files, calls] = match tried.map(thread::JoinHandle::join) {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(_panic)) => failed("the check of the confinement panicked"),
        Err(error) => failed(&format!("the confinement cannot be checked: {error}")),
    };
    let advice = |reason: String| {
        format!(
            "{reason}: code that a hostile file makes this program run can read all files of this user. Use a newer kernel, or set \
             MEDHUB__EXTRACTION__REQUIRE_CONFINEMENT=true to refuse files here"
        )
    };
    let no_files = |reason: String| format!("system calls cannot be filtered, so that no file can be read: {reason}");
    vec![
        ToolStatus::from_outcome("landlock", files.map(|()| "enforced".to_owned()).map_err(advice)),
        ToolStatus::from_outcome("seccomp", calls.map(|()| "enforced".to_owned()).map_err(no_files)),
    ]
}
