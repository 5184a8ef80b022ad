//! Object store: the files of documents, by tenant, document and hash of the content.
//!
//! ```text
//! <tenant>/<document>/<SHA-256>     a file, or the text that was extracted from it
//! <tenant>/<SHA-256>                a file of an older release, not bound to a document
//! ```
//!
//! The files of a document are removed when the document is deleted. Files without a document, as after a crash or a
//! refused command, are removed by [`ObjectSweeper`].
//!
//! | variable | default | meaning |
//! | --- | --- | --- |
//! | `MEDHUB__OBJECTS__DIR` | `medhub-objects` | folder of uploaded files; shared by all processes that serve them |
//! | `MEDHUB__OBJECTS__PROGRESS_BYTES` | `65536` | an upload with fewer bytes within `PROGRESS_WITHIN_MS` is ended |
//! | `MEDHUB__OBJECTS__PROGRESS_WITHIN_MS` | `15000` | duration in which they must arrive; an upload that makes progress has no other time limit |
//! | `MEDHUB__OBJECTS__SWEEP_EVERY_S` | `3600` | interval of sweeps for files without a document |
//! | `MEDHUB__OBJECTS__ORPHANED_AFTER_S` | `3600` | minimum age of files that are swept, so that uploads in progress are not removed |

mod error;
mod file_walker;
mod folder_storage;
mod object_key;
mod object_reader;
mod object_store;
mod object_sweeper;
mod objects_config;
mod unfinished_file;
mod upload_body;

pub use self::{
    error::ObjectStoreError,
    object_reader::ObjectReader,
    object_store::{ObjectOwner, ObjectStore, StoredObject},
    object_sweeper::{ObjectSweeper, SweepError},
    objects_config::ObjectsConfig,
    upload_body::{UploadBodyError, enforce_progress},
};
