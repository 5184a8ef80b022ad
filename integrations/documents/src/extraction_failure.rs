//! A failed extraction, as it travels from the child process to the worker.

use serde::{Deserialize, Serialize};

/// The most bytes of a reason.
const MAX_REASON_BYTES: usize = 400;

/// A failed extraction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{reason}")]
pub struct ExtractionFailure {
    /// What kind of failure it is.
    pub kind: ExtractionFailureKind,
    /// A sentence for the user who uploaded the file; at most 400 bytes.
    pub reason: String,
}

/// What kind of failure an extraction had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExtractionFailureKind {
    /// The file has no content.
    EmptyFile,
    /// The file can be read with a password only.
    Encrypted,
    /// The content does not follow its format.
    Damaged,
    /// The content is of a type that is not read.
    UnsupportedType,
    /// The file, its pages, its text or its images are more than the limits allow.
    TooLarge,
    /// No page has any text.
    NoText,
    /// Reading the file takes more memory than the limit, or ends the process that reads it.
    MemoryExceeded,
    /// Reading the file takes more CPU time than the limit.
    CpuTimeExceeded,
    /// Reading the file took longer than the limit, which is twice the time for the largest file. The machine may have
    /// been busy; still, another attempt would keep others waiting as long.
    TimeExceeded,
    /// Reading the file takes more processes or temporary files than the limits.
    ResourcesExceeded,
    /// A program or library that reads such files is not installed.
    ToolMissing,
    /// The extraction could not be started or was ended from outside.
    Interrupted,
}

/// Where the cause of a failure is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultOrigin {
    /// In the file: another attempt ends in the same way.
    File,
    /// In this installation: another attempt may succeed.
    Service,
}

impl ExtractionFailureKind {
    /// Where the cause is.
    pub fn origin(self) -> FaultOrigin {
        match self {
            Self::EmptyFile
            | Self::Encrypted
            | Self::Damaged
            | Self::UnsupportedType
            | Self::TooLarge
            | Self::NoText
            | Self::MemoryExceeded
            | Self::CpuTimeExceeded
            | Self::TimeExceeded
            | Self::ResourcesExceeded => FaultOrigin::File,
            Self::ToolMissing | Self::Interrupted => FaultOrigin::Service,
        }
    }
}

impl ExtractionFailure {
    pub(crate) fn new(kind: ExtractionFailureKind, reason: &str) -> Self {
        let reason: String = reason.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        Self { kind, reason: reason[..reason.floor_char_boundary(MAX_REASON_BYTES)].to_owned() }
    }
}
