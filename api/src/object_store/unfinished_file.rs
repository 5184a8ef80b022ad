//! A file that is on its way, and is gone again if it never arrives: also where its request is dropped in the middle.

use std::{
    io,
    path::{Path, PathBuf},
};

use tokio::fs;

/// The place of a file until it is finished. Dropping it removes what is there.
#[derive(Debug)]
pub(super) struct UnfinishedFile {
    path: Option<PathBuf>,
}

impl UnfinishedFile {
    /// Nothing is there yet.
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path: Some(path) }
    }

    pub(super) fn path(&self) -> &Path {
        self.path.as_deref().unwrap_or(Path::new(""))
    }

    /// Gives it the name under which it is found, in a folder that is made for it.
    ///
    /// # Errors
    /// [`io::Error`] when the disk does not do that; the file is gone then.
    pub(super) async fn publish_as(mut self, name: &Path) -> io::Result<()> {
        let folder = name.parent().unwrap_or(Path::new(""));
        fs::create_dir_all(folder).await?;
        if let Err(error) = fs::rename(self.path(), name).await {
            // Somebody may have removed the folder while it was empty.
            if error.kind() != io::ErrorKind::NotFound {
                return Err(error);
            }
            fs::create_dir_all(folder).await?;
            fs::rename(self.path(), name).await?;
        }
        self.path = None;
        Ok(())
    }
}

impl Drop for UnfinishedFile {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            // It may not even be there; what stays is found by the sweep. Nothing can be waited for here, and to unlink
            // takes no longer than to tell somebody else to.
            drop(std::fs::remove_file(path));
        }
    }
}
