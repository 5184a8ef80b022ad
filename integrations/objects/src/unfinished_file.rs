//! A file that is being written; it is removed unless it is completed, also when its request is cancelled.

use std::{
    io,
    path::{Path, PathBuf},
};

use tokio::fs;

use super::durable_folder::{create_folder, sync_folder};

/// Path of a file until it is completed. Dropping it removes the file.
#[derive(Debug)]
pub(crate) struct UnfinishedFile {
    path: Option<PathBuf>,
}

impl UnfinishedFile {
    /// Creates a guard for `path`, where nothing exists yet.
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path: Some(path) }
    }

    pub(crate) fn path(&self) -> &Path {
        self.path.as_deref().unwrap_or(Path::new(""))
    }

    /// Moves the file to its final name, creating the folder. The name then survives a power failure.
    ///
    /// # Errors
    /// [`io::Error`] when the file cannot be moved; it is removed then. When its folder cannot be synchronized, the
    /// file stays under its final name.
    pub(crate) async fn publish_as(mut self, name: &Path) -> io::Result<()> {
        let folder = name.parent().unwrap_or(Path::new(""));
        create_folder(folder).await?;
        if let Err(error) = fs::rename(self.path(), name).await {
            // The sweeper may have removed the folder while it was empty.
            if error.kind() != io::ErrorKind::NotFound {
                return Err(error);
            }
            create_folder(folder).await?;
            fs::rename(self.path(), name).await?;
        }
        self.path = None;
        sync_folder(folder).await?;
        // Another upload may have created the folder, and not yet synchronized the one that it is in.
        match folder.parent() {
            Some(parent) => sync_folder(parent).await,
            None => Ok(()),
        }
    }
}

impl Drop for UnfinishedFile {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            // The file may not exist; if it stays, the sweeper removes it. `drop` cannot await, and unlinking takes no
            // longer than handing it to another task.
            drop(std::fs::remove_file(path));
        }
    }
}
