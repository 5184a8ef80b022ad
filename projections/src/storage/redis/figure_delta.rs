//! What a state transition adds to figures and lists, which are written together with it.

/// A key of figures or of a list, in the slot of the states that change it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct FigureTarget {
    /// The whole key; it has the hash tag of the state that is written with it.
    pub key: String,
    /// What it is.
    pub kind: FigureKind,
    /// When it expires, in Unix seconds; 0 never.
    pub expires_at: i64,
}

/// What a key of figures is, and what a key that is damaged means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FigureKind {
    /// A hash of counts that most transitions change: if it is damaged, nothing can be written.
    SharedCounts,
    /// A hash of counts that few transitions change: if it is damaged, only these are refused.
    OwnCounts,
    /// A sorted set by counts; as [`Self::SharedCounts`].
    Ranking,
    /// A sorted set of members, of which 1 adds one and -1 removes one; as [`Self::OwnCounts`].
    Members,
}

impl FigureKind {
    /// Its name in the script.
    pub(super) fn code(self) -> &'static str {
        match self {
            Self::SharedCounts => "c",
            Self::OwnCounts => "e",
            Self::Ranking => "z",
            Self::Members => "m",
        }
    }
}

/// A number that is added to one field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FigureDelta {
    /// The key.
    pub target: FigureTarget,
    /// The field of a hash, or the member of a sorted set.
    pub field: String,
    /// What is added.
    pub delta: i64,
}
