//! What can be asked of a document.

use super::{
    reading::Stage,
    value::{Analysis, Extraction, FailureReason, Requirements, Upload},
};
use crate::value::Stamp;

/// A wish about one document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DocumentCommand {
    /// Take it in.
    Upload {
        /// The file.
        upload: Upload,
        /// Who wishes it, and when.
        stamp: Stamp,
    },
    /// Its text was read.
    RecordText {
        /// The text.
        text: Extraction,
        /// Who says so, and when.
        stamp: Stamp,
    },
    /// What it asks for was found.
    RecordRequirements {
        /// What it asks for.
        requirements: Requirements,
        /// Who says so, and when.
        stamp: Stamp,
    },
    /// It was summed up.
    RecordAnalysis {
        /// What it comes to.
        analysis: Analysis,
        /// Who says so, and when.
        stamp: Stamp,
    },
    /// The next stage of the reading failed.
    RecordFailure {
        /// Which stage.
        stage: Stage,
        /// Why.
        reason: FailureReason,
        /// Who says so, and when.
        stamp: Stamp,
    },
    /// Do away with it for good.
    Delete {
        /// Who wishes it, and when.
        stamp: Stamp,
    },
}
