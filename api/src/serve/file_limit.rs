//! How many files a process may have open: each connection is one.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Raises what this process may have open to what the system lets it, and answers how many that is.
///
/// # Errors
/// [`nix::Error`] when the system does not tell or does not raise it.
pub(super) fn raise_file_limit() -> nix::Result<usize> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    if soft < hard {
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    }
    Ok(usize::try_from(hard).unwrap_or(usize::MAX))
}
