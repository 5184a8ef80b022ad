//! The members of all companies: whoever has left one is not notified.

use std::collections::{HashMap, HashSet};

use domain::company::CompanyEvent;

use crate::SearchKey;

/// The members by tenant.
#[derive(Debug, Default)]
pub(super) struct MemberRoster {
    members: HashMap<String, HashSet<String>>,
}

impl MemberRoster {
    pub(super) fn apply_event(&mut self, tenant: &str, event: &CompanyEvent) {
        match event {
            CompanyEvent::Registered { founder: user, .. } | CompanyEvent::MemberAdded { user, .. } => {
                self.members.entry(tenant.to_owned()).or_default().insert(user.as_str().to_owned());
            }
            CompanyEvent::MemberRemoved { user, .. } => {
                if let Some(members) = self.members.get_mut(tenant) {
                    members.remove(user.as_str());
                }
            }
            CompanyEvent::Closed { .. } => {
                self.members.remove(tenant);
            }
            CompanyEvent::ProfileChanged { .. }
            | CompanyEvent::RoleChanged { .. }
            | CompanyEvent::ApiKeyIssued { .. }
            | CompanyEvent::ApiKeyRevoked { .. } => {}
        }
    }

    /// Whether the user who saved a search is a member of the company.
    pub(super) fn is_member(&self, search: &SearchKey) -> bool {
        self.members.get(&*search.tenant_id).is_some_and(|members| members.contains(&*search.user_id))
    }
}
