//! What a document is made of.

mod analysis;
mod file;
mod requirement;

use crate::value::{is_prose, text_value};

pub use self::{
    analysis::{Analysis, FitScore, MAX_RISKS, ModelName, Risk, Summary},
    file::{Extraction, ExtractionMethod, FileName, Language, MAX_BYTES, MediaType, ObjectKey, Sha256, Upload},
    requirement::{MAX_REQUIREMENTS, Requirement, RequirementKind, RequirementNumber, RequirementText, Requirements},
};

text_value!(
    /// Why a stage of the reading failed.
    FailureReason, "reason", max 2_000, is_prose, "text"
);
