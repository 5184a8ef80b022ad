//! The members of all companies: a user who has left a company is not notified.

use std::collections::HashMap;

use domain::company::CompanyEvent;

use crate::SearchKey;

/// The members by tenant, with the position of the event of their joining.
#[derive(Debug, Default)]
pub(super) struct MemberRoster {
    members: HashMap<String, HashMap<String, u64>>,
}

impl MemberRoster {
    pub(super) fn apply_event(&mut self, tenant: &str, event: &CompanyEvent, position: u64) {
        match event {
            CompanyEvent::Registered { founder: user, .. } | CompanyEvent::MemberAdded { user, .. } => {
                self.members.entry(tenant.to_owned()).or_default().insert(user.as_str().to_owned(), position);
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

    /// Since which position the user who saved a search is a member of the company; `None` if the user is none.
    pub(super) fn member_since(&self, search: &SearchKey) -> Option<u64> {
        self.members.get(&*search.tenant_id)?.get(&*search.user_id).copied()
    }
}
