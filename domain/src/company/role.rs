//! The roles of members and API keys.

use crate::value::vocabulary;

vocabulary!(
    /// What a member may do in a company. Each role includes those before it; `service` is outside of that order.
    Role, "role" {
        /// May read.
        Viewer = "viewer",
        /// May write proposals, resources and documents.
        Contributor = "contributor",
        /// May approve and submit proposals, and delete what others created.
        Manager = "manager",
        /// May change the profile, members and API keys.
        Admin = "admin",
        /// An API key; its scopes say what it may do.
        Service = "service",
    }
);

impl Role {
    /// Whether a person can have this role.
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
