//! What a task is made of.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::value::{InvalidValue, is_prose, text_value, vocabulary};

/// How often a worker may try.
pub const MAX_ATTEMPTS: u32 = 5;

/// How many parameters one task has, at most.
pub const MAX_PARAMETERS: usize = 20;

vocabulary!(
    /// What kind of work it is.
    TaskKind, "kind of task" {
        /// Read the text of a document.
        ExtractText = "extract_text",
        /// Find what a document asks for.
        ExtractRequirements = "extract_requirements",
        /// Sum a document up.
        AnalyseDocument = "analyse_document",
        /// Draft a proposal.
        GenerateProposal = "generate_proposal",
        /// Make a resource findable.
        IndexResource = "index_resource",
        /// Tell a user what is new.
        SendDigest = "send_digest",
    }
);

vocabulary!(
    /// What kind of thing is worked on.
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
    /// Whether something that failed is tried again.
    RetryDecision, "retry" {
        /// Trying again may help.
        Later = "later",
        /// It cannot be done.
        Never = "never",
    }
);

vocabulary!(
    /// How far a task is.
    TaskStatus, "status" {
        /// Nobody wants it.
        Unrequested = "unrequested",
        /// It waits for a worker.
        Requested = "requested",
        /// A worker is at it.
        Started = "started",
        /// It is done.
        Completed = "completed",
        /// It cannot be done.
        Failed = "failed",
        /// Nobody wants it any more.
        Cancelled = "cancelled",
    }
);

text_value!(
    /// The id of what is worked on.
    SubjectId, "subject id", max 200, |c| !c.is_control(), "text on one line"
);

text_value!(
    /// A worker, by the name that it goes by.
    WorkerName, "worker", max 200, |c| !c.is_control(), "text on one line"
);

text_value!(
    /// A remark about a task.
    TaskNote, "note", max 2_000, is_prose, "text"
);

text_value!(
    /// What came of a task.
    TaskResult, "result", max 10_000, is_prose, "text"
);

text_value!(
    /// What a parameter is called.
    ParameterName, "parameter name", max 50, |c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_',
    "lower-case letters, digits and underscores"
);

text_value!(
    /// What a parameter says.
    ParameterValue, "parameter", max 500, |c| !c.is_control(), "text on one line"
);

/// What is worked on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskSubject {
    /// What kind of thing it is.
    pub kind: SubjectKind,
    /// Its id.
    pub id: SubjectId,
}

impl TaskSubject {
    /// The thing of that kind with that id.
    ///
    /// # Errors
    /// [`InvalidValue`] when the id is none.
    pub fn try_new(kind: SubjectKind, id: &str) -> Result<Self, InvalidValue> {
        Ok(Self { kind, id: SubjectId::try_new(id)? })
    }
}

/// One parameter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedParameter {
    /// What it is called.
    pub name: ParameterName,
    /// What it says.
    pub value: ParameterValue,
}

/// What the worker is told besides, by name; each name once, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ParameterList(Vec<NamedParameter>);

impl ParameterList {
    /// These parameters; the last one of a name counts.
    ///
    /// # Errors
    /// [`InvalidValue`] for a name or value that is none, and for more than [`MAX_PARAMETERS`].
    pub fn try_new<'a>(given: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, InvalidValue> {
        let by_name: BTreeMap<&str, &str> = given.into_iter().collect();
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

/// What is wanted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskSpec {
    /// What kind of work it is.
    pub kind: TaskKind,
    /// What is worked on.
    pub subject: TaskSubject,
    /// What the worker is told besides.
    pub parameters: ParameterList,
}

/// How much of a task is done, in hundredths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ProgressPercent(u8);

impl ProgressPercent {
    /// Nothing is done yet.
    pub const ZERO: Self = Self(0);

    /// So many hundredths.
    ///
    /// # Errors
    /// [`InvalidValue`] for more than all of it.
    pub fn try_new(percent: u32) -> Result<Self, InvalidValue> {
        match u8::try_from(percent) {
            Ok(percent) if percent <= 100 => Ok(Self(percent)),
            Ok(_) | Err(_) => Err(InvalidValue::malformed("percent", &percent.to_string(), "0 to 100")),
        }
    }

    /// The number.
    pub fn number(self) -> u8 {
        self.0
    }
}
