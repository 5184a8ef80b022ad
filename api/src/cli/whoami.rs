//! Who is at the command line, for what is kept on record.

use nix::unistd::{Uid, User};

/// `user@host`, as far as the system tells.
pub(super) fn user_at_host() -> String {
    let user =
        User::from_uid(Uid::current()).ok().flatten().map_or_else(|| Uid::current().to_string(), |user| user.name);
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!("{user}@{}", host.trim())
}
