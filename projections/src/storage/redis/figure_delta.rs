//! Changes of figures and lists that are written together with a state transition.

use std::{borrow::Cow, sync::Arc};

/// A key of figures or of a list. It has the hash tag of the states that change it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct FigureTarget {
    /// The whole key; it has the hash tag of the state that is written with it.
    pub key: String,
    /// What it is.
    pub kind: FigureKind,
    /// When it expires, in Unix seconds; 0 never.
    pub expires_at: i64,
}

/// The data type of a key of figures, and how many transitions fail when the key is damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FigureKind {
    /// A hash of counts that most transitions change: if it is damaged, nothing can be written.
    SharedCounts,
    /// A hash of counts that few transitions change: if it is damaged, only these are refused.
    OwnCounts,
    /// A sorted set by counts; damage is treated as with [`Self::SharedCounts`].
    Ranking,
    /// A sorted set of members: the delta 1 adds a member and -1 removes it; damage is treated as with
    /// [`Self::OwnCounts`].
    Members,
}

impl FigureKind {
    /// The name of this kind in `apply.lua`.
    pub(super) fn script_name(self) -> &'static str {
        match self {
            Self::SharedCounts => "shared_counts",
            Self::OwnCounts => "own_counts",
            Self::Ranking => "ranking",
            Self::Members => "members",
        }
    }
}

/// A number to add to one field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FigureDelta {
    /// The key. Deltas of one transition to the same key follow each other and share it.
    pub target: Arc<FigureTarget>,
    /// The field of a hash, or the member of a sorted set.
    pub field: Cow<'static, str>,
    /// What is added.
    pub delta: i64,
}
