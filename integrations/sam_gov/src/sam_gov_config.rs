//! Settings of the synchronisation with SAM.gov.
//!
//! | variable | default | meaning |
//! | --- | --- | --- |
//! | `MEDHUB__SAM_GOV__API_KEY` | none | key of the Get Opportunities API; without one the API is not asked |
//! | `MEDHUB__SAM_GOV__API_URL` | `https://api.sam.gov/opportunities/v2/search` | address of the API |
//! | `MEDHUB__SAM_GOV__EXTRACT_URL` | none | address of the daily CSV extract, plain or gzip; without one the extract is not read |
//! | `MEDHUB__SAM_GOV__API_INTERVAL_S` | `86400` | how often a running service asks the API; `0` never |
//! | `MEDHUB__SAM_GOV__EXTRACT_INTERVAL_S` | `21600` | how often a running service looks for a new extract; `0` never |
//! | `MEDHUB__SAM_GOV__DAILY_QUOTA` | `10` | requests to the API per day (UTC): what the key allows |
//! | `MEDHUB__SAM_GOV__FETCH_DESCRIPTIONS` | `false` | whether to fetch the texts of notices, one request each; a basic key does not allow it |
//! | `MEDHUB__SAM_GOV__OVERLAP_DAYS` | `3` | how many days that were read before are read again, to find late amendments |
//! | `MEDHUB__SAM_GOV__FIRST_DAYS` | `30` | how many days the first run reads |
//! | `MEDHUB__SAM_GOV__PAGE_SIZE` | `1000` | notices per request |
//! | `MEDHUB__SAM_GOV__OFFSET_UNIT` | `records` | what the API counts by `offset`: `records` or `pages`; not verified against the live service |
//! | `MEDHUB__SAM_GOV__REQUEST_TIMEOUT_MS` | `60000` | how long an answer of the API may take, and a pause within the extract |
//! | `MEDHUB__SAM_GOV__EXTRACT_TIMEOUT_S` | `7200` | how long reading the extract may take |
//! | `MEDHUB__SAM_GOV__RETRY_PAUSE_MS` | `1000` | pause before a failed request is repeated; doubles each time |
//! | `MEDHUB__SAM_GOV__ATTEMPTS` | `5` | how often a request is tried |
//! | `MEDHUB__SAM_GOV__MAX_REMOVED_PERCENT` | `20` | an extract that lacks more of its notices is not believed: nothing is archived |
//! | `MEDHUB__SAM_GOV__MAX_ARCHIVED_PERCENT` | `10` | if the opportunities of more of its notices were to be archived at once, none is |
//! | `MEDHUB__SAM_GOV__ABSENCES_BEFORE_ARCHIVE` | `2` | in how many consecutive extracts a notice is missing before its opportunity is archived |

use std::time::Duration;

use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::sync_source::SyncSource;

/// What the API counts by its parameter `offset`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OffsetUnit {
    /// Notices.
    Records,
    /// Pages of the requested size.
    Pages,
}

/// Settings of the synchronisation with SAM.gov.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SamGovConfig {
    /// Key of the API. A secret, so it is not serialized.
    #[serde(skip_serializing)]
    pub api_key: Option<SecretString>,
    /// Address of the API.
    pub api_url: String,
    /// Address of the daily CSV extract.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extract_url: Option<String>,
    /// How often a running service asks the API, in seconds; 0 for never.
    pub api_interval_s: u64,
    /// How often a running service looks for a new extract, in seconds; 0 for never.
    pub extract_interval_s: u64,
    /// Requests to the API per day (UTC).
    pub daily_quota: u32,
    /// Whether to fetch the texts of notices.
    pub fetch_descriptions: bool,
    /// Days that are read again.
    pub overlap_days: u32,
    /// Days that the first run reads.
    pub first_days: u32,
    /// Notices per request.
    pub page_size: u32,
    /// What the API counts by `offset`.
    pub offset_unit: OffsetUnit,
    /// How long an answer of the API may take, in milliseconds.
    pub request_timeout_ms: u64,
    /// How long reading the extract may take, in seconds.
    pub extract_timeout_s: u64,
    /// Pause before a failed request is repeated, in milliseconds.
    pub retry_pause_ms: u64,
    /// How often a request is tried.
    pub attempts: u32,
    /// The share of its notices, in percent, that an extract may lack.
    pub max_removed_percent: u32,
    /// The share of its notices, in percent, whose opportunities may be archived at once.
    pub max_archived_percent: u32,
    /// Consecutive extracts without a notice before its opportunity is archived.
    pub absences_before_archive: u32,
}

impl Default for SamGovConfig {
    fn default() -> Self {
        Self {
            api_key: None,
            api_url: "https://api.sam.gov/opportunities/v2/search".to_owned(),
            extract_url: None,
            api_interval_s: 86_400,
            extract_interval_s: 21_600,
            daily_quota: 10,
            fetch_descriptions: false,
            overlap_days: 3,
            first_days: 30,
            page_size: 1_000,
            offset_unit: OffsetUnit::Records,
            request_timeout_ms: 60_000,
            extract_timeout_s: 7_200,
            retry_pause_ms: 1_000,
            attempts: 5,
            max_removed_percent: 20,
            max_archived_percent: 10,
            absences_before_archive: 2,
        }
    }
}

impl SamGovConfig {
    /// Whether the settings name this source.
    pub fn has_source(&self, source: SyncSource) -> bool {
        match source {
            SyncSource::Api => self.api_key.is_some(),
            SyncSource::Extract => self.extract_url.is_some(),
        }
    }

    /// How often a running service reads this source; `None` if it does not.
    pub fn interval(&self, source: SyncSource) -> Option<Duration> {
        let seconds = match source {
            SyncSource::Api => self.api_interval_s,
            SyncSource::Extract => self.extract_interval_s,
        };
        (seconds > 0 && self.has_source(source)).then(|| Duration::from_secs(seconds))
    }

    /// How long an answer of the API may take, and a pause within the extract.
    pub fn request_timeout(&self) -> Duration {
        Duration::from_millis(self.request_timeout_ms)
    }

    /// How long reading the extract may take.
    pub fn extract_timeout(&self) -> Duration {
        Duration::from_secs(self.extract_timeout_s)
    }

    /// Pause before a failed request is repeated for the first time.
    pub fn retry_pause(&self) -> Duration {
        Duration::from_millis(self.retry_pause_ms)
    }
}
