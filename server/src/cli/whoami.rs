//! Identifies the user of the command line, for the record of operator actions.

use nix::unistd::{Uid, User};

/// Returns `user@host`: the numeric id if the user has no name, and an empty host if it is not known.
pub(super) fn user_at_host() -> String {
    let user =
        User::from_uid(Uid::current()).ok().flatten().map_or_else(|| Uid::current().to_string(), |user| user.name);
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!("{user}@{}", host.trim())
}
