//! Why a document is refused before it is run.

use async_graphql::Pos;

use super::{MAX_ARGUMENTS, MAX_DIRECTIVES};

/// Why a document asks for too much.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(in crate::graphql) enum CostError {
    #[error("the document costs more than {limit}: ask for fewer fields, entries, searches or changes at once")]
    TooComplex { limit: usize },
    #[error("the document nests deeper than {limit} fields")]
    TooDeep { limit: usize, at: Pos },
    #[error("the document has more than {limit} aliases")]
    TooManyAliases { limit: usize },
    #[error("the operation has more than {limit} fields, counted each time they are repeated: send several documents")]
    TooManyRootFields { limit: usize },
    #[error("more than {MAX_DIRECTIVES} directives stand in one place")]
    TooManyDirectives { at: Pos },
    #[error("more than {MAX_ARGUMENTS} arguments or variables stand in one place")]
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

impl CostError {
    /// Where it is, if it is in one place.
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
