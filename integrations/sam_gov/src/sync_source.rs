//! The sources that SAM.gov offers.

use std::str::FromStr;

use serde::Serialize;

/// A source at SAM.gov.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SyncSource {
    /// The Get Opportunities Public API, version 2.
    Api,
    /// The daily CSV extract.
    Extract,
}

impl SyncSource {
    /// All sources, in the order that a run reads them. The extract says more about each notice.
    pub const ALL: [Self; 2] = [Self::Extract, Self::Api];

    /// The source's name on the command line and in the tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Extract => "extract",
        }
    }
}

impl FromStr for SyncSource {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|source| source.name() == name).ok_or_else(|| "expected api or extract".to_owned())
    }
}
