//! The folders of fetched artifacts and of a stack's data.
//!
//! For root they are below `/var`: Postgres then runs as an unprivileged user, who cannot enter root's home.

use std::{
    env,
    fs::{self, File, TryLockError},
    io::{Read as _, Seek as _, Write as _},
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use nix::unistd::Uid;

use crate::process::UnprivilegedUser;

/// The folder for fetched artifacts when neither a flag nor `MEDHUB_CACHE_DIR` names one.
pub fn default_cache_folder() -> PathBuf {
    if Uid::effective().is_root() {
        "/var/cache/medhub".into()
    } else {
        home_subfolder("XDG_CACHE_HOME", ".cache").join("medhub")
    }
}

/// The folder that a stack stores its data in when neither a flag nor `MEDHUB_DATA_DIR` names one.
pub fn default_data_folder() -> PathBuf {
    if Uid::effective().is_root() {
        "/var/lib/medhub".into()
    } else {
        home_subfolder("XDG_DATA_HOME", ".local/share").join("medhub")
    }
}

fn home_subfolder(variable: &str, below_home: &str) -> PathBuf {
    match env::var_os(variable).filter(|value| !value.is_empty()) {
        Some(folder) => folder.into(),
        None => env::home_dir().unwrap_or_else(env::temp_dir).join(below_home),
    }
}

/// A lock file held by this process until dropped; the kernel releases it when the process dies, `kill -9` included.
#[derive(Debug)]
pub struct ProcessLock {
    _file: File,
}

impl ProcessLock {
    /// Takes the lock file at `path`, and writes this process's pid into it.
    ///
    /// # Errors
    /// If another process holds the lock (the error names its pid), or the file cannot be opened or written.
    pub fn acquire(path: &Path) -> anyhow::Result<Self> {
        let mut file = open_lock(path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut pid = String::new();
                file.read_to_string(&mut pid).with_context(|| format!("reading {}", path.display()))?;
                bail!("held by the process with pid {}", pid.trim());
            }
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("locking {}", path.display()));
            }
        }
        file.set_len(0)?;
        file.rewind()?;
        write!(file, "{}", std::process::id())?;
        Ok(Self { _file: file })
    }

    /// Whether a living process holds the lock file at `path`.
    pub fn is_held(path: &Path) -> bool {
        File::open(path).is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
    }
}

fn open_lock(path: &Path) -> anyhow::Result<File> {
    File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .with_context(|| format!("opening the lock file {}", path.display()))
}

/// Creates a folder with its parents. Every user may enter it; its content has permissions of its own.
pub(crate) fn create_folder(path: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(path).with_context(|| format!("making the folder {}", path.display()))?;
    let mode = fs::metadata(path)?.permissions().mode();
    if mode & 0o111 != 0o111 {
        fs::set_permissions(path, fs::Permissions::from_mode(mode | 0o111))
            .with_context(|| format!("opening the folder {} to other users", path.display()))?;
    }
    Ok(())
}

/// Checks that `user` may enter every folder above `path`.
///
/// # Errors
/// If a folder is closed to the user; the error names the first one.
pub(crate) fn check_reachable(path: &Path, user: &UnprivilegedUser) -> anyhow::Result<()> {
    for folder in path.ancestors().skip(1).filter(|folder| !folder.as_os_str().is_empty()) {
        let metadata = fs::metadata(folder).with_context(|| format!("reading the metadata of {}", folder.display()))?;
        let enter = if metadata.uid() == user.uid {
            0o100
        } else if metadata.gid() == user.gid {
            0o010
        } else {
            0o001
        };
        if metadata.mode() & enter == 0 {
            bail!(
                "the folder {} cannot be entered by user {}, which Postgres runs as because it refuses to run as root: \
                 choose other folders with --data and --cache",
                folder.display(),
                user.name
            );
        }
    }
    Ok(())
}

/// Total size of the files below a folder, in bytes; files that are removed meanwhile count as 0.
pub(crate) fn bytes_below(path: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(path) else { return 0 };
    let below = |entry: fs::DirEntry| match entry.file_type() {
        Ok(kind) if kind.is_dir() => bytes_below(&entry.path()),
        Ok(kind) if kind.is_file() => entry.metadata().map_or(0, |metadata| metadata.len()),
        Ok(_) | Err(_) => 0,
    };
    entries.flatten().map(below).sum()
}
