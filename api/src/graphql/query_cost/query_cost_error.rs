//! Why a document is refused before it is executed.

use async_graphql::Pos;

use super::{MAX_ARGUMENTS, MAX_DIRECTIVES};

/// Why a document exceeds the limits or cannot be measured.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(in crate::graphql) enum QueryCostError {
    #[error("the document costs more than {limit}: request fewer fields, entries, searches or changes at once")]
    TooComplex { limit: usize },
    #[error("the document nests deeper than {limit} fields")]
    TooDeep { limit: usize, at: Pos },
    #[error("the document has more than {limit} aliases")]
    TooManyAliases { limit: usize },
    #[error("the operation has more than {limit} fields, counted each time they are repeated: send several documents")]
    TooManyRootFields { limit: usize },
    #[error("a field, fragment or operation has more than {MAX_DIRECTIVES} directives")]
    TooManyDirectives { at: Pos },
    #[error("a field has more than {MAX_ARGUMENTS} arguments, or an operation more than {MAX_ARGUMENTS} variables")]
    TooManyArguments { at: Pos },
    #[error("the fragment `{name}` is spread inside itself")]
    FragmentCycle { name: String, at: Pos },
    #[error("there is no fragment `{name}`")]
    UnknownFragment { name: String, at: Pos },
    #[error("there is no operation `{name}` in the document")]
    UnknownOperation { name: String },
    #[error("a subscription has exactly one field")]
    SeveralSubscriptionFields,
    #[error("the document has several operations: name one in `operationName`")]
    AmbiguousOperation,
}

impl QueryCostError {
    /// Returns the position of the error, if it has one.
    pub(in crate::graphql) fn pos(&self) -> Option<Pos> {
        match self {
            Self::TooDeep { at, .. }
            | Self::TooManyDirectives { at }
            | Self::TooManyArguments { at }
            | Self::FragmentCycle { at, .. }
            | Self::UnknownFragment { at, .. } => Some(*at),
            Self::TooComplex { .. }
            | Self::TooManyAliases { .. }
            | Self::TooManyRootFields { .. }
            | Self::UnknownOperation { .. }
            | Self::SeveralSubscriptionFields
            | Self::AmbiguousOperation => None,
        }
    }
}
