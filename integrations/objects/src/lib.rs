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
//! | `MEDHUB__OBJECTS__S3__BUCKET` | | bucket of an S3-compatible service, in which files are stored instead of a folder; it must exist |
//! | `MEDHUB__OBJECTS__S3__ENDPOINT` | | URL of the service; empty for AWS in `REGION` |
//! | `MEDHUB__OBJECTS__S3__REGION` | `us-east-1` | region that requests are signed for |
//! | `MEDHUB__OBJECTS__S3__PREFIX` | | beginning of all keys in the bucket |
//! | `MEDHUB__OBJECTS__S3__PATH_STYLE` | `true` | the bucket is in the path of URLs; `false`: in the host name |
//! | `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` | | the access key |
//! | `AWS_SESSION_TOKEN` | | token of a temporary access key |
//! | `MEDHUB__OBJECTS__S3__CONNECT_TIMEOUT_MS` | `3000` | time to connect |
//! | `MEDHUB__OBJECTS__S3__ANSWER_TIMEOUT_MS` | `15000` | time without a byte of an answer after which a request has failed |
//! | `MEDHUB__OBJECTS__S3__MAX_RETRIES` | `4` | repetitions of a request that failed; none begins later than twice `ANSWER_TIMEOUT_MS` |
//! | `MEDHUB__OBJECTS__PROGRESS_BYTES` | `65536` | an upload with fewer bytes within `PROGRESS_WITHIN_MS` is ended |
//! | `MEDHUB__OBJECTS__PROGRESS_WITHIN_MS` | `15000` | duration in which they must arrive; an upload that makes progress has no other time limit |
//! | `MEDHUB__OBJECTS__SWEEP_EVERY_S` | `3600` | interval of sweeps for files without a document; the first one begins at most five minutes after the start |
//! | `MEDHUB__OBJECTS__ORPHANED_AFTER_S` | `3600` | minimum age of files that are swept, so that uploads in progress are not removed |

mod durable_folder;
mod error;
mod file_walker;
mod folder_storage;
mod metered_content;
mod multipart_upload;
mod object_key;
mod object_reader;
mod object_storage;
mod object_store;
mod object_sweeper;
mod objects_config;
mod s3_config;
mod s3_failure;
mod s3_storage;
mod unfinished_file;
mod upload_body;

pub use self::{
    error::ObjectStoreError,
    object_reader::ObjectReader,
    object_store::{ObjectOwner, ObjectStore, StoredObject},
    object_sweeper::{ObjectSweeper, SweepError},
    objects_config::ObjectsConfig,
    s3_config::{ObjectsConfigError, S3Config},
    s3_failure::S3Failure,
    upload_body::{UploadBodyError, enforce_progress},
};
