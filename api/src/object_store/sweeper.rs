//! Removes files that no document has: those of deleted documents at once, whatever else was left behind now and then.

mod file_walker;

use std::{collections::HashSet, io, time::Duration};

use sqlx::PgPool;
use tokio::{fs, sync::mpsc, time::interval};
use tokio_util::sync::CancellationToken;

use self::file_walker::{FileOwner, FileWalker, StoredFile};
use super::{ObjectOwner, ObjectStore};

const IS_DELETED: &str = include_str!("sweeper/is_deleted.sql");
const REFERENCED_BY_DOCUMENTS: &str = include_str!("sweeper/held_by_documents.sql");
const REFERENCED_BY_ANY_DOCUMENT: &str = include_str!("sweeper/held_by_anybody.sql");

/// Files about which the log is asked at once.
const FILES_PER_QUERY: usize = 500;

/// How often it is tried to remove the files of a document that was deleted, and how long apart.
const MAX_ATTEMPTS: u32 = 5;
const RETRY_DELAY: Duration = Duration::from_secs(1);

/// Why files are not removed; the next sweep tries again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SweepError {
    /// The log did not say which files documents have.
    #[error("asking the log which files documents have")]
    EventLog(#[from] sqlx::Error),
    /// The disk did not do as it was told.
    #[error("removing files that no document has")]
    Io(#[from] io::Error),
}

/// The owner of what nobody owns in the store of files. Every process that serves files has one; they do each other no
/// harm.
#[derive(Debug)]
pub(crate) struct ObjectSweeper {
    objects: ObjectStore,
    pool: PgPool,
}

impl ObjectSweeper {
    /// Over that store, by what that log says.
    pub(crate) fn new(objects: ObjectStore, pool: PgPool) -> Self {
        Self { objects, pool }
    }

    /// Removes files until told to stop.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let Some(deleted) = self.objects.take_removal_receiver() else { return };
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.remove_deleted(deleted) => {}
            () = self.run_sweeps() => {}
        }
    }

    async fn remove_deleted(&self, mut deleted: mpsc::Receiver<ObjectOwner>) {
        while let Some(owner) = deleted.recv().await {
            for attempt in 1..=MAX_ATTEMPTS {
                match self.remove_if_deleted(&owner).await {
                    Ok(()) => break,
                    Err(error) if attempt == MAX_ATTEMPTS => {
                        let error = &error as &dyn std::error::Error;
                        tracing::warn!(error, document = %owner.document, "files of a deleted document are removed later");
                    }
                    Err(_) => tokio::time::sleep(RETRY_DELAY).await,
                }
            }
        }
    }

    async fn remove_if_deleted(&self, owner: &ObjectOwner) -> Result<(), SweepError> {
        let stream = format!("{}:{}", owner.tenant, owner.document);
        let is_deleted: bool = sqlx::query_scalar(IS_DELETED).bind(stream).fetch_one(&self.pool).await?;
        if is_deleted {
            self.objects.remove_document(owner).await?;
        }
        Ok(())
    }

    async fn run_sweeps(&self) {
        let mut sweeps = interval(Duration::from_secs(self.objects.config.sweep_every_s.max(1)));
        loop {
            sweeps.tick().await;
            match self.sweep().await {
                Ok(0) => {}
                Ok(removed) => tracing::info!(removed, "files that no document has were removed"),
                Err(error) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(error, "files that no document has are removed later");
                }
            }
        }
    }

    /// Looks through all files, and tells how many were removed.
    pub(crate) async fn sweep(&self) -> Result<usize, SweepError> {
        let older = Duration::from_secs(self.objects.config.orphaned_after_s);
        let mut files = FileWalker::open(&self.objects.config.dir, older).await?;
        let mut removed = 0;
        loop {
            let page = files.next_batch(FILES_PER_QUERY).await?;
            if page.is_empty() {
                return Ok(removed);
            }
            let held = self.find_referenced(&page).await?;
            for file in page.iter().filter(|file| !held.contains(&file.key)) {
                remove_file(file).await?;
                removed += 1;
            }
        }
    }

    /// Those of the files that a document has, by their keys.
    async fn find_referenced(&self, files: &[StoredFile]) -> Result<HashSet<String>, SweepError> {
        let (mut streams, mut keys, mut old_keys) = (Vec::new(), Vec::new(), Vec::new());
        for file in files {
            match &file.owner {
                FileOwner::Document(stream) => {
                    streams.push(stream.clone());
                    keys.push(file.key.clone());
                }
                FileOwner::AnyDocument => old_keys.push(file.key.clone()),
                FileOwner::Unfinished => {}
            }
        }
        let mut held = HashSet::new();
        if !keys.is_empty() {
            let found =
                sqlx::query_scalar(REFERENCED_BY_DOCUMENTS).bind(streams).bind(keys).fetch_all(&self.pool).await?;
            held.extend(found);
        }
        if !old_keys.is_empty() {
            held.extend(sqlx::query_scalar(REFERENCED_BY_ANY_DOCUMENT).bind(old_keys).fetch_all(&self.pool).await?);
        }
        Ok(held)
    }
}

async fn remove_file(file: &StoredFile) -> io::Result<()> {
    match fs::remove_file(&file.path).await {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    // The last file takes its document's folder along; one that has files stays, which is no error here.
    if let (FileOwner::Document(_), Some(folder)) = (&file.owner, file.path.parent()) {
        drop(fs::remove_dir(folder).await);
    }
    Ok(())
}
