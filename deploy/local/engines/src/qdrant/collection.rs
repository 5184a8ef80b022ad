//! One collection: the engine's shard, the journal in front of it, and the locks between them.
//!
//! Reads share the shard. Changes go one after the other: journal first, then engine. A checkpoint makes the engine
//! write everything down and empties the journal. A write with a condition is journalled as what the condition lets
//! through. Other changes that depend on what is stored (by filter) are enclosed by checkpoints, so that reading the
//! journal again repeats at most that one change, which then finds nothing more to do.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError, RwLock},
    time::{Duration, Instant},
};

use qdrant_client::qdrant::points_update_operation::Operation;
use qdrant_edge::{EdgeConfig, EdgeShard, FieldIndexOperations, UpdateOperation};
use tonic::Status;

use super::{
    condition,
    convert::operation,
    journal::{self, Journal},
    refusal::{internal, no_collection, status},
    repair,
};

/// The journal is emptied when it is larger, in bytes, even while changes come: those wait for it, for a second or two.
/// Reading so much again after a kill takes some ten seconds.
const JOURNAL_LIMIT: u64 = 128 << 20;
/// So many times the usual number of changes makes a rebuild due although changes still come.
const OVERDUE: u64 = 50;
/// The engine keeps its own log for ever while it is open; above so many closed files it is opened anew.
const ENGINE_LOG_FILES: usize = 8;

/// One open collection.
pub(super) struct Collection {
    name: String,
    folder: PathBuf,
    /// `None` once the collection is deleted or closed.
    shard: RwLock<Option<EdgeShard>>,
    /// Held by whatever must not overlap with a rebuild of indexes; taken before `writer`.
    maintenance: Mutex<()>,
    writer: Mutex<Writer>,
}

struct Writer {
    journal: Journal,
    changes: u64,
    since_optimised: u64,
    last_change: Instant,
}

impl Collection {
    /// Makes a new collection in an empty folder.
    pub(super) fn create(name: &str, folder: &Path, config: EdgeConfig) -> Result<Self, Status> {
        let shard_folder = shard_folder(folder);
        fs::create_dir_all(&shard_folder).map_err(internal)?;
        let shard = EdgeShard::new(&shard_folder, config).map_err(|error| status(&error))?;
        shard.flush();
        let (journal, _) = Journal::open(&folder.join("journal")).map_err(internal)?;
        File::create(in_use(folder)).map_err(internal)?;
        Ok(Self::with(name, folder, shard, journal))
    }

    /// Opens a collection; after a kill, applies what its journal holds and stores every point once. The journal may be
    /// empty then all the same: a kill while indexes are rebuilt finds it written down and emptied.
    pub(super) fn open(name: &str, folder: &Path) -> Result<Self, String> {
        let broken = |error: io::Error| error.to_string();
        let shard = load(folder)?;
        let (mut journal, operations) = Journal::open(&folder.join("journal")).map_err(broken)?;
        if in_use(folder).exists() || !operations.is_empty() {
            tracing::info!(
                collection.name = name,
                changes = operations.len(),
                "mending what a killed process left, applying its journal"
            );
            for operation in operations {
                replay(&shard, operation);
            }
            repair::remove_duplicates(&shard).map_err(|error| error.to_string())?;
            shard.flush();
            journal.clear().map_err(broken)?;
        }
        File::create(in_use(folder)).map_err(broken)?;
        Ok(Self::with(name, folder, shard, journal))
    }

    fn with(name: &str, folder: &Path, shard: EdgeShard, journal: Journal) -> Self {
        Self {
            name: name.to_owned(),
            folder: folder.to_owned(),
            shard: RwLock::new(Some(shard)),
            maintenance: Mutex::new(()),
            writer: Mutex::new(Writer { journal, changes: 0, since_optimised: 0, last_change: Instant::now() }),
        }
    }

    /// Its folder.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Reads from the engine.
    pub(super) fn read<T>(&self, reading: impl FnOnce(&EdgeShard) -> Result<T, Status>) -> Result<T, Status> {
        let guard = self.shard.read().unwrap_or_else(PoisonError::into_inner);
        reading(guard.as_ref().ok_or_else(|| no_collection(&self.name))?)
    }

    /// Changes points; returns the number of the change.
    pub(super) fn change(&self, operation: Operation) -> Result<u64, Status> {
        let depends = operation::depends_on_state(&operation);
        let quiet = depends.then(|| lock(&self.maintenance));
        let mut writer = lock(&self.writer);
        self.read(|shard| {
            let Some(operation) = condition::resolved(shard, operation)? else { return Ok(()) };
            let (record, operation) = journal::encode(operation);
            let operation = operation.ok_or_else(|| internal("an operation was lost"))?;
            let change = operation::to_engine(operation, &shard.config())?;
            if depends {
                checkpoint(shard, &mut writer)?;
            }
            writer.journal.append(&record).map_err(internal)?;
            writer.note_change();
            let applied = shard.update(change).map_err(|error| status(&error));
            if depends {
                checkpoint(shard, &mut writer)?;
            }
            applied
        })?;
        drop(quiet);
        let (number, long) = (writer.changes, writer.journal.length() > JOURNAL_LIMIT);
        drop(writer);
        if long {
            self.flush()?;
        }
        Ok(number)
    }

    /// Makes or drops an index over values of the payload.
    pub(super) fn index(&self, change: FieldIndexOperations) -> Result<u64, Status> {
        let _quiet = lock(&self.maintenance);
        let mut writer = lock(&self.writer);
        self.read(|shard| {
            writer.note_change();
            shard.update(UpdateOperation::FieldIndexOperation(change)).map_err(|error| status(&error))?;
            checkpoint(shard, &mut writer)
        })?;
        Ok(writer.changes)
    }

    /// Makes the engine write everything down if no change came lately. All changes wait while it does.
    pub(super) fn flush_when_calm(&self, idle: Duration) -> Result<(), Status> {
        if lock(&self.writer).last_change.elapsed() < idle {
            return Ok(());
        }
        self.flush()
    }

    /// Makes the engine write everything down, unless it is rebuilding indexes: then the journal waits.
    pub(super) fn flush(&self) -> Result<(), Status> {
        let Ok(_quiet) = self.maintenance.try_lock() else { return Ok(()) };
        let mut writer = lock(&self.writer);
        if writer.journal.length() == 0 {
            return Ok(());
        }
        self.read(|shard| checkpoint(shard, &mut writer))
    }

    /// Rebuilds indexes when so many changes came and none came lately, or many more.
    pub(super) fn optimise_when_due(&self, after: u64, idle: Duration) -> Result<(), Status> {
        let _quiet = lock(&self.maintenance);
        let due = {
            let writer = lock(&self.writer);
            let calm = writer.last_change.elapsed() >= idle;
            writer.since_optimised >= if calm { after } else { after.saturating_mul(OVERDUE) }
        };
        if !due {
            return Ok(());
        }
        let started = Instant::now();
        let changed = self.read(|shard| shard.optimize().map_err(|error| status(&error)))?;
        let mut writer = lock(&self.writer);
        writer.since_optimised = 0;
        self.read(|shard| checkpoint(shard, &mut writer))?;
        let took_ms = started.elapsed().as_millis();
        tracing::debug!(collection.name = %self.name, took_ms, changed, "indexes optimised");
        self.shorten_engine_log()
    }

    /// Opens the shard anew where the engine's own log has grown; the caller holds both locks.
    fn shorten_engine_log(&self) -> Result<(), Status> {
        if closed_log_files(&self.folder).len() <= ENGINE_LOG_FILES {
            return Ok(());
        }
        let mut shard = self.shard.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(open) = shard.take() {
            drop(open);
            *shard = Some(load(&self.folder).map_err(internal)?);
        }
        Ok(())
    }

    /// Closes the shard; tells whether it could, which it cannot while indexes are rebuilt.
    pub(super) fn close(&self) -> bool {
        let Ok(_quiet) = self.maintenance.try_lock() else { return false };
        let mut writer = lock(&self.writer);
        let mut shard = self.shard.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(open) = shard.take() {
            // Dropping flushes.
            drop(open);
            return writer.journal.clear().and_then(|()| fs::remove_file(in_use(&self.folder))).is_ok();
        }
        true
    }

    /// Closes the shard and removes its folder.
    pub(super) fn delete(&self) -> Result<(), Status> {
        let _quiet = lock(&self.maintenance);
        let _writer = lock(&self.writer);
        let shard: Option<EdgeShard> = self.shard.write().unwrap_or_else(PoisonError::into_inner).take();
        drop(shard);
        fs::remove_dir_all(&self.folder).map_err(internal)
    }
}

impl Writer {
    fn note_change(&mut self) {
        self.changes += 1;
        self.since_optimised += 1;
        self.last_change = Instant::now();
    }
}

/// Writes everything down and empties the journal; the caller holds both locks, as the engine insists on.
fn checkpoint(shard: &EdgeShard, writer: &mut Writer) -> Result<(), Status> {
    shard.flush();
    writer.journal.clear().map_err(internal)
}

fn replay(shard: &EdgeShard, operation: Operation) {
    let applied = condition::resolved(shard, operation).and_then(|operation| {
        let Some(operation) = operation else { return Ok(()) };
        let change = operation::to_engine(operation, &shard.config())?;
        shard.update(change).map_err(|error| status(&error))
    });
    if let Err(refused) = applied {
        // It was refused the first time too, or concerns a point that a later change deleted.
        tracing::debug!(reason = refused.message(), "a change of the journal does not apply");
    }
}

fn load(folder: &Path) -> Result<EdgeShard, String> {
    let shard = shard_folder(folder);
    // What a killed process left half built; the engine starts anew.
    match fs::remove_dir_all(shard.join("temp_segments")) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.to_string()),
        Ok(()) | Err(_) => {}
    }
    // Of its own log the engine needs the number of the last entry; what it changed is flushed or in our journal.
    let mut closed = closed_log_files(folder);
    closed.pop();
    for file in closed {
        fs::remove_file(file).map_err(|error| error.to_string())?;
    }
    EdgeShard::load(&shard, None).map_err(|error| error.to_string())
}

/// The closed files of the engine's log, oldest first.
fn closed_log_files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(shard_folder(folder).join("wal")) else { return Vec::new() };
    let mut files: Vec<(u64, PathBuf)> = entries
        .flatten()
        .filter_map(|entry| {
            let start = entry.file_name().to_str()?.strip_prefix("closed-")?.parse().ok()?;
            Some((start, entry.path()))
        })
        .collect();
    files.sort();
    files.into_iter().map(|(_, path)| path).collect()
}

/// Is there while the collection is open, and after a kill.
fn in_use(folder: &Path) -> PathBuf {
    folder.join("in-use")
}

fn shard_folder(folder: &Path) -> PathBuf {
    folder.join("shard")
}

/// A panic of the engine leaves nothing of ours half done, so a poisoned lock is taken all the same.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
