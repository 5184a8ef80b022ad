//! The bounded contexts and the Kafka topics their events travel on.

/// A bounded context: one topic, one folder in each crate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BoundedContext {
    /// Federal contract opportunities, and watchlists of them.
    Opportunities,
    /// Proposals written by teams.
    Proposals,
    /// Solicitation documents and what was read from them.
    Documents,
    /// Clicks and views.
    Analytics,
    /// Identity, tenants, operations.
    System,
    /// Reusable company assets.
    Resources,
    /// Work on resources and documents.
    Tasks,
}

impl BoundedContext {
    /// Every context, in the order of declaration.
    pub const ALL: [Self; 7] = [
        Self::Opportunities,
        Self::Proposals,
        Self::Documents,
        Self::Analytics,
        Self::System,
        Self::Resources,
        Self::Tasks,
    ];

    /// The context's name in topics and tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Opportunities => "opportunities",
            Self::Proposals => "proposals",
            Self::Documents => "documents",
            Self::Analytics => "analytics",
            Self::System => "system",
            Self::Resources => "resources",
            Self::Tasks => "tasks",
        }
    }

    /// The types of this context's aggregates.
    pub fn aggregate_types(self) -> &'static [&'static str] {
        match self {
            Self::Opportunities => &["opportunity", "watchlist"],
            Self::Analytics => &["visit"],
            Self::Resources => &["resource"],
            Self::Tasks => &["task"],
            Self::Proposals => &["proposal"],
            Self::Documents => &["document"],
            Self::System => &["company", "inbox"],
        }
    }

    /// The context that owns an aggregate type; `None` for an unknown type.
    pub fn from_aggregate_type(aggregate_type: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|context| context.aggregate_types().contains(&aggregate_type))
    }

    /// The topic of this context's events under `prefix`, e.g. `contracts.opportunities.events`.
    pub fn topic(self, prefix: &str) -> String {
        format!("{prefix}.{}.events", self.name())
    }

    /// The topic of this context's dead letters under `prefix`.
    pub fn dead_letter_topic(self, prefix: &str) -> String {
        format!("{prefix}.{}.dead-letters", self.name())
    }
}

#[cfg(test)]
mod tests {
    use cqrs_es::Aggregate;

    use super::*;
    use crate::{
        company::Company, document::Document, inbox::Inbox, opportunity::Opportunity, proposal::Proposal,
        resource::Resource, task::Task, visit::Visit, watchlist::Watchlist,
    };

    #[test]
    fn an_aggregate_type_belongs_to_its_context() {
        assert_eq!(BoundedContext::from_aggregate_type(Opportunity::TYPE), Some(BoundedContext::Opportunities));
        assert_eq!(BoundedContext::from_aggregate_type(Watchlist::TYPE), Some(BoundedContext::Opportunities));
        assert_eq!(BoundedContext::from_aggregate_type(Visit::TYPE), Some(BoundedContext::Analytics));
        assert_eq!(BoundedContext::from_aggregate_type(Company::TYPE), Some(BoundedContext::System));
        assert_eq!(BoundedContext::from_aggregate_type(Inbox::TYPE), Some(BoundedContext::System));
        assert_eq!(BoundedContext::from_aggregate_type(Document::TYPE), Some(BoundedContext::Documents));
        assert_eq!(BoundedContext::from_aggregate_type(Proposal::TYPE), Some(BoundedContext::Proposals));
        assert_eq!(BoundedContext::from_aggregate_type(Resource::TYPE), Some(BoundedContext::Resources));
        assert_eq!(BoundedContext::from_aggregate_type(Task::TYPE), Some(BoundedContext::Tasks));
        assert_eq!(BoundedContext::from_aggregate_type("nobody's"), None);
    }

    #[test]
    fn topics_are_named_as_the_mission_lists_them() {
        assert_eq!(BoundedContext::Opportunities.topic("contracts"), "contracts.opportunities.events");
        assert_eq!(BoundedContext::Tasks.dead_letter_topic("contracts"), "contracts.tasks.dead-letters");
    }
}
