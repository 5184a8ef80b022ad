//! Kinds of engagement.

/// A kind of engagement with an opportunity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum EngagementKind {
    /// Views of pages about the opportunity.
    Viewed,
    /// Clicks on links about the opportunity.
    Clicked,
    /// Saves that have not been undone.
    Saved,
}

impl EngagementKind {
    /// All kinds.
    pub const ALL: [Self; 3] = [Self::Viewed, Self::Clicked, Self::Saved];

    /// The name of the kind in keys.
    pub fn name(self) -> &'static str {
        match self {
            Self::Viewed => "viewed",
            Self::Clicked => "clicked",
            Self::Saved => "saved",
        }
    }
}
