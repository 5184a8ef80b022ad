//! What a person or a machine may do for a company.

use crate::value::vocabulary;

vocabulary!(
    /// What somebody may do for a company, in the order of how much that is; `service` stands beside that order.
    Role, "role" {
        /// Reads.
        Viewer = "viewer",
        /// Writes: proposals, resources, documents.
        Contributor = "contributor",
        /// Decides: approves and submits proposals, deletes what others made.
        Manager = "manager",
        /// Runs the company: profile, members, keys.
        Admin = "admin",
        /// A machine, by an API key: what the key's scopes allow.
        Service = "service",
    }
);

impl Role {
    /// Whether a person can have it.
    pub fn is_for_people(self) -> bool {
        match self {
            Self::Viewer | Self::Contributor | Self::Manager | Self::Admin => true,
            Self::Service => false,
        }
    }

    /// Whether this role includes `least`. The service role is outside of the order of roles: a key's scopes decide.
    pub fn covers(self, least: Self) -> bool {
        self.is_for_people() && least.is_for_people() && self >= least
    }
}
