//! What a document comes to.

use serde::{Deserialize, Serialize};

use crate::value::{InvalidValue, is_prose, text_value};

/// How many risks one analysis names, at most.
pub const MAX_RISKS: usize = 50;

text_value!(
    /// What a document says, in short.
    DocumentSummary, "summary", max 20_000, is_prose, "text"
);

text_value!(
    /// Something to beware of.
    RiskText, "risk", max 1_000, is_prose, "text"
);

text_value!(
    /// What analysed it, name and version.
    ModelName, "model", max 100, |c| !c.is_control(), "text on one line"
);

/// How well an opportunity fits a company, 0 to 100.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FitScore(u8);

impl FitScore {
    /// A score.
    ///
    /// # Errors
    /// [`InvalidValue`] for more than 100.
    pub fn try_new(score: u32) -> Result<Self, InvalidValue> {
        match u8::try_from(score) {
            Ok(score) if score <= 100 => Ok(Self(score)),
            Ok(_) | Err(_) => Err(InvalidValue::malformed("fit score", &score.to_string(), "0 to 100")),
        }
    }

    /// The number.
    pub fn number(self) -> u8 {
        self.0
    }
}

/// What a document comes to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnalysisReport {
    /// What it says, in short.
    pub summary: DocumentSummary,
    /// How well it fits the company, if that was judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fit_score: Option<FitScore>,
    /// What to beware of.
    pub risks: Vec<RiskText>,
    /// What analysed it.
    pub model: ModelName,
}

impl AnalysisReport {
    /// Whether that many risks are taken.
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
