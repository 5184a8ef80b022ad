//! The bounded contexts and the Kafka topics their events travel on.

/// A bounded context: aggregates whose events travel on one topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BoundedContext {
    /// Federal contract opportunities, and watchlists of them.
    Opportunities,
    /// Proposals written by teams.
    Proposals,
    /// Solicitation documents, their texts, requirements and analyses.
    Documents,
    /// Clicks and views.
    Analytics,
    /// Identity, tenants, operations.
    System,
    /// Reusable company assets.
    Resources,
    /// Background work on resources and documents.
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

    /// The context that owns an aggregate type; `None` for an unknown type.
    pub fn from_aggregate_type(aggregate_type: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|context| context.aggregate_types().contains(&aggregate_type))
    }

    /// The topic of this context's events under `prefix`, e.g. `contracts.opportunities.events`.
    pub fn topic(self, prefix: &str) -> String {
        // For each event of a rebuild.
        [prefix, ".", self.name(), ".events"].concat()
    }

    /// The topic that is reserved for this context's dead letters under `prefix`; dead letters are kept in Postgres.
    pub fn dead_letter_topic(self, prefix: &str) -> String {
        format!("{prefix}.{}.dead-letters", self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_are_named_by_prefix_and_context() {
        assert_eq!(BoundedContext::Opportunities.topic("contracts"), "contracts.opportunities.events");
        assert_eq!(BoundedContext::Tasks.dead_letter_topic("contracts"), "contracts.tasks.dead-letters");
    }
}
