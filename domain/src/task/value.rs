//! The values of a task.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::value::{InvalidValue, is_prose, text_value, vocabulary};

/// Maximum number of attempts; the last failure is final.
pub const MAX_ATTEMPTS: u32 = 5;

/// Maximum number of parameters of one task.
pub const MAX_PARAMETERS: usize = 20;

vocabulary!(
    /// The kind of a task.
    TaskKind, "kind of task" {
        /// Extract the text of a document.
        ExtractText = "extract_text",
        /// Extract the requirements in a document.
        ExtractRequirements = "extract_requirements",
        /// Analyse a document.
        AnalyseDocument = "analyse_document",
        /// Generate a draft of a proposal.
        GenerateProposal = "generate_proposal",
        /// Add a resource to the search index.
        IndexResource = "index_resource",
        /// Send a digest of news to a user.
        SendDigest = "send_digest",
    }
);

vocabulary!(
    /// The kind of a task's subject.
    SubjectKind, "kind of subject" {
        /// A document.
        Document = "document",
        /// A resource.
        Resource = "resource",
        /// A proposal.
        Proposal = "proposal",
        /// An opportunity.
        Opportunity = "opportunity",
    }
);

vocabulary!(
    /// Whether a failed task is tried again.
    RetryDecision, "retry" {
        /// Another attempt may succeed.
        Later = "later",
        /// No attempt can succeed.
        Never = "never",
    }
);

vocabulary!(
    /// The status of a task.
    TaskStatus, "status" {
        /// It was not requested.
        Unrequested = "unrequested",
        /// It waits for a worker.
        Requested = "requested",
        /// A worker runs it.
        Started = "started",
        /// It succeeded.
        Completed = "completed",
        /// It failed and is not tried again.
        Failed = "failed",
        /// It was cancelled.
        Cancelled = "cancelled",
    }
);

text_value!(
    /// The id of a task's subject.
    SubjectId, "subject id", max 200, |c| !c.is_control(), "text on one line"
);

text_value!(
    /// The name of a worker.
    WorkerName, "worker", max 200, |c| !c.is_control(), "text on one line"
);

text_value!(
    /// A note about a task.
    TaskNote, "note", max 2_000, is_prose, "text"
);

impl TaskNote {
    /// A note from any text: control characters become spaces, and a text that is too long is cut.
    pub fn from_any_text(text: &str) -> Self {
        let cleaned: String = text.chars().map(|c| if is_prose(c) { c } else { ' ' }).take(2_000).collect();
        let trimmed = cleaned.trim();
        Self(if trimmed.is_empty() { "no reason was given" } else { trimmed }.to_owned())
    }
}

text_value!(
    /// The result of a task.
    TaskResult, "result", max 10_000, is_prose, "text"
);

text_value!(
    /// A parameter's name.
    ParameterName, "parameter name", max 50, |c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_',
    "lower-case letters, digits and underscores"
);

text_value!(
    /// A parameter's value.
    ParameterValue, "parameter", max 500, |c| !c.is_control(), "text on one line"
);

/// The object that a task works on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskSubject {
    /// The kind of the object.
    pub kind: SubjectKind,
    /// The object's id.
    pub id: SubjectId,
}

impl TaskSubject {
    /// Creates the subject.
    ///
    /// # Errors
    /// [`InvalidValue`] when the id is invalid.
    pub fn try_new(kind: SubjectKind, id: &str) -> Result<Self, InvalidValue> {
        Ok(Self { kind, id: SubjectId::try_new(id)? })
    }
}

/// A parameter with its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedParameter {
    /// The parameter's name.
    pub name: ParameterName,
    /// The parameter's value.
    pub value: ParameterValue,
}

/// Parameters for the worker; each name once, in the order of the names.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ParameterList(Vec<NamedParameter>);

impl ParameterList {
    /// Creates the list; of several parameters with the same name the last one counts.
    ///
    /// # Errors
    /// [`InvalidValue`] for an invalid name or value, and for more than [`MAX_PARAMETERS`].
    pub fn try_new<'a>(parameters: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, InvalidValue> {
        let by_name: BTreeMap<&str, &str> = parameters.into_iter().collect();
        if by_name.len() > MAX_PARAMETERS {
            return Err(InvalidValue::TooMany { what: "parameters", max: MAX_PARAMETERS });
        }
        let parameter = |(name, value)| {
            Ok(NamedParameter { name: ParameterName::try_new(name)?, value: ParameterValue::try_new(value)? })
        };
        by_name.into_iter().map(parameter).collect::<Result<_, _>>().map(Self)
    }

    /// The parameters, in the order of their names.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &NamedParameter> {
        self.0.iter()
    }
}

/// The requested work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskSpec {
    /// The kind of work.
    pub kind: TaskKind,
    /// The object that it works on.
    pub subject: TaskSubject,
    /// Parameters for the worker.
    pub parameters: ParameterList,
}

impl TaskSpec {
    /// Work with what every task has; the rest is empty.
    pub fn new(kind: TaskKind, subject: TaskSubject) -> Self {
        Self { kind, subject, parameters: ParameterList::default() }
    }
}

/// The progress of a task in percent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ProgressPercent(u8);

impl ProgressPercent {
    /// No progress.
    pub const ZERO: Self = Self(0);

    /// Creates a percentage.
    ///
    /// # Errors
    /// [`InvalidValue`] for more than 100.
    pub fn try_new(percent: u32) -> Result<Self, InvalidValue> {
        match u8::try_from(percent) {
            Ok(percent) if percent <= 100 => Ok(Self(percent)),
            Ok(_) | Err(_) => Err(InvalidValue::malformed("percent", &percent.to_string(), "0 to 100")),
        }
    }

    /// The percentage as a number.
    pub fn number(self) -> u8 {
        self.0
    }
}
