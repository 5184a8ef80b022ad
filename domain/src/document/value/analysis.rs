//! The analysis of a document.

use serde::{Deserialize, Serialize};

use crate::value::{InvalidValue, is_prose, text_value};

/// Maximum number of reasons for a fit score.
pub const MAX_FIT_REASONS: usize = 20;

/// Maximum number of risks in one analysis.
pub const MAX_RISKS: usize = 50;

text_value!(
    /// A summary of a document.
    DocumentSummary, "summary", max 20_000, is_prose, "text"
);

text_value!(
    /// A risk for a company that makes an offer.
    RiskText, "risk", max 1_000, is_prose, "text"
);

text_value!(
    /// A part of a fit score, with its points and why.
    FitReason, "fit reason", max 1_000, is_prose, "text"
);

text_value!(
    /// Name and version of the model that analysed a document.
    ModelName, "model", max 100, |c| !c.is_control(), "text on one line"
);

/// How well an opportunity fits a company, 0 to 100.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FitScore(u8);

impl FitScore {
    /// Creates a score.
    ///
    /// # Errors
    /// [`InvalidValue`] for more than 100.
    pub fn try_new(score: u32) -> Result<Self, InvalidValue> {
        match u8::try_from(score) {
            Ok(score) if score <= 100 => Ok(Self(score)),
            Ok(_) | Err(_) => Err(InvalidValue::malformed("fit score", &score.to_string(), "0 to 100")),
        }
    }

    /// The score as a number.
    pub fn number(self) -> u8 {
        self.0
    }
}

/// The analysis of a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnalysisReport {
    /// A summary of the document.
    pub summary: DocumentSummary,
    /// How well the opportunity fits the company, if the model computed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fit_score: Option<FitScore>,
    /// What the score consists of, if the model says it; without a score, why there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fit_reasons: Option<Vec<FitReason>>,
    /// The risks.
    pub risks: Vec<RiskText>,
    /// The model that made the analysis.
    pub model: ModelName,
}

impl AnalysisReport {
    /// Returns the reasons for the fit score if there are not too many.
    ///
    /// # Errors
    /// [`InvalidValue`] for more than [`MAX_FIT_REASONS`].
    pub fn check_fit_reasons(reasons: Vec<FitReason>) -> Result<Vec<FitReason>, InvalidValue> {
        if reasons.len() > MAX_FIT_REASONS {
            return Err(InvalidValue::TooMany { what: "fit reasons", max: MAX_FIT_REASONS });
        }
        Ok(reasons)
    }

    /// Returns the risks if there are not too many.
    ///
    /// # Errors
    /// [`InvalidValue`] for more than [`MAX_RISKS`].
    pub fn check_risks(risks: Vec<RiskText>) -> Result<Vec<RiskText>, InvalidValue> {
        if risks.len() > MAX_RISKS {
            return Err(InvalidValue::TooMany { what: "risks", max: MAX_RISKS });
        }
        Ok(risks)
    }
}
