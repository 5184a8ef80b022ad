//! What all aggregates have in common beyond `cqrs-es`: a decision that is pure.

use cqrs_es::Aggregate;

use crate::{
    company::Company, document::Document, inbox::Inbox, opportunity::Opportunity, proposal::Proposal,
    resource::Resource, task::Task, watchlist::Watchlist,
};

/// An aggregate that decides by itself, without services and without waiting, so that one bus serves all of them.
pub trait Decide: Aggregate {
    /// What a command changes; nothing where its wish is already met.
    ///
    /// # Errors
    /// The aggregate's own, when its state forbids the command.
    fn decide(&self, command: Self::Command) -> Result<Vec<Self::Event>, Self::Error>;
}

/// Each has a `decide` of its own; this makes it the common one.
macro_rules! decides {
    ($($aggregate:ty,)+) => {
        $(impl Decide for $aggregate {
            fn decide(&self, command: Self::Command) -> Result<Vec<Self::Event>, Self::Error> {
                <$aggregate>::decide(self, command)
            }
        })+
    };
}

decides!(Company, Document, Inbox, Opportunity, Proposal, Resource, Task, Watchlist,);
