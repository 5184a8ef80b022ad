//! The limit of open files of this process: each connection and each temporary file is one.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Raises the soft limit of open files to the hard limit, and returns the hard limit.
///
/// # Errors
/// [`nix::Error`] when the limit cannot be read or raised.
pub(crate) fn raise_file_limit() -> nix::Result<usize> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    if soft < hard {
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    }
    Ok(usize::try_from(hard).unwrap_or(usize::MAX))
}
