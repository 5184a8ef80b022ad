//! Folders whose entries survive a power failure: a file system may otherwise forget the name of a file whose content
//! it has written.

use std::{fs, io, path::Path};

use tokio::task::spawn_blocking;

/// Creates a folder, and those above it that do not exist.
///
/// # Errors
/// [`io::Error`] when one cannot be created, or the folder that it is in cannot be synchronized.
pub(crate) async fn create_folder(folder: &Path) -> io::Result<()> {
    let folder = folder.to_owned();
    spawn_blocking(move || create_missing(&folder)).await.map_err(io::Error::other)?
}

/// Waits until the entries of a folder are on disk.
///
/// # Errors
/// [`io::Error`] when the folder cannot be opened or synchronized.
pub(crate) async fn sync_folder(folder: &Path) -> io::Result<()> {
    let folder = folder.to_owned();
    spawn_blocking(move || sync_entries(&folder)).await.map_err(io::Error::other)?
}

fn create_missing(folder: &Path) -> io::Result<()> {
    if folder.as_os_str().is_empty() || folder.is_dir() {
        return Ok(());
    }
    let parent = folder.parent().unwrap_or(Path::new(""));
    create_missing(parent)?;
    match fs::create_dir(folder) {
        // Another upload may have created it meanwhile.
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        Ok(()) | Err(_) => sync_entries(parent),
    }
}

fn sync_entries(folder: &Path) -> io::Result<()> {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    match fs::File::open(folder)?.sync_all() {
        // Some network file systems cannot synchronize folders.
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()),
        outcome => outcome,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_folder_is_created_with_those_above_it_and_only_where_none_is() {
        let folder = tempfile::tempdir().unwrap();
        let nested = folder.path().join("store/acme/7");
        create_folder(&nested).await.unwrap();
        create_folder(&nested).await.unwrap();
        assert!(nested.is_dir());
        sync_folder(&nested).await.unwrap();
        sync_folder(Path::new("")).await.unwrap();
        fs::write(nested.join("file"), "x").unwrap();
        assert_eq!(create_folder(&nested.join("file/x")).await.unwrap_err().kind(), io::ErrorKind::NotADirectory);
        let absent = sync_folder(&nested.join("absent")).await.unwrap_err();
        assert_eq!(absent.kind(), io::ErrorKind::NotFound);
    }
}
