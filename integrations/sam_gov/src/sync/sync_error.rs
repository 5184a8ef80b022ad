//! Why a run of the synchronisation ended early.

use chrono::NaiveDate;
use commands::error::BatchAppendError;

use super::{ApiError, DownloadError, SyncStoreError};
use crate::SourceError;

/// Why a run ended early. What was recorded before stays, and the next run continues.
#[derive(Debug, thiserror::Error)]
pub enum SyncError {
    /// The settings have no key.
    #[error("no key for the API of SAM.gov is set; set MEDHUB__SAM_GOV__API_KEY")]
    NoApiKey,
    /// The settings have no address of the extract.
    #[error("no address of the extract is set; set MEDHUB__SAM_GOV__EXTRACT_URL")]
    NoExtractUrl,
    /// A setting is not an address.
    #[error("{variable} is not a URL")]
    Address {
        /// The variable of the setting.
        variable: &'static str,
        /// What is wrong with it.
        #[source]
        source: <reqwest::Url as std::str::FromStr>::Err,
    },
    /// A setting is an address of another machine without TLS.
    #[error("{variable} must begin with https://")]
    InsecureAddress {
        /// The variable of the setting.
        variable: &'static str,
    },
    /// The HTTP client cannot be built.
    #[error("preparing the HTTP client")]
    Client(#[source] reqwest::Error),
    /// The API cannot be read.
    #[error("reading the notices of {from} to {to} from number {row}, in {attempts} attempts")]
    Api {
        /// The first day of the window.
        from: NaiveDate,
        /// The last day of the window.
        to: NaiveDate,
        /// Number of the first notice of the page, from 1.
        row: u64,
        /// How often the page was requested.
        attempts: u32,
        /// The last failure.
        #[source]
        source: ApiError,
    },
    /// A window has fewer notices than the API announces, however often it is read.
    #[error(
        "SAM.gov announces {total} notices for {from} to {to} and lists {listed}; the days are read again by the next run. \
         If this repeats, set MEDHUB__SAM_GOV__OFFSET_UNIT to the other unit, or read shorter ranges with --from and --to"
    )]
    Incomplete {
        /// The first day of the window.
        from: NaiveDate,
        /// The last day of the window.
        to: NaiveDate,
        /// The announced number.
        total: u64,
        /// The number of different notices that were listed.
        listed: u64,
    },
    /// The extract cannot be downloaded.
    #[error("downloading the extract")]
    Download(#[source] DownloadError),
    /// The extract cannot be read any further.
    #[error("reading the extract")]
    Extract(#[source] SourceError),
    /// The source lists more notices than can be.
    #[error("SAM.gov lists more than {limit} notices; nothing was archived")]
    TooManyNotices {
        /// The limit.
        limit: usize,
    },
    /// The extract lacks so many notices that it is probably incomplete.
    #[error(
        "the extract lacks {absent} of the {listed} notices that the ones before had, more than {percent} %: nothing was \
         archived, new and changed notices were recorded. If the extract is right, run \
         `medhub sync extract --max-removed-percent 100`"
    )]
    TooManyAbsent {
        /// Number of absent notices.
        absent: u64,
        /// Number of notices of the extracts before.
        listed: u64,
        /// The allowed share.
        percent: u32,
    },
    /// So many notices have left the extracts that they are probably not whole.
    #[error(
        "{due} of {listed} notices have left the extracts, more than the {percent} % that are archived at once: nothing \
         was archived, new and changed notices were recorded. If the extracts are right, run \
         `medhub sync extract --max-removed-percent 100`"
    )]
    TooManyDue {
        /// Number of notices that were absent often enough.
        due: u64,
        /// Number of notices of the extracts before.
        listed: u64,
        /// The allowed share.
        percent: u32,
    },
    /// A batch could not be recorded.
    #[error("storing a batch of notices")]
    Batch(#[from] BatchAppendError),
    /// The state of the synchronisation cannot be read or written.
    #[error("reading or saving the state of the synchronisation")]
    Store(#[from] SyncStoreError),
    /// The observer could not record a rejected row or an omitted value.
    #[error("writing the report of rejected rows")]
    Report(#[source] std::io::Error),
}
