//! Who may give which command: the one place where that is said.
//!
//! | command | who |
//! | --- | --- |
//! | write a proposal, comment, ask for a review | contributors |
//! | approve, reject, hand in, decide, give up a proposal | managers |
//! | make and change a resource, upload a document, request and cancel a task | contributors |
//! | delete a resource or a document | managers |
//! | say what became of a document or a task | machines with the scope `tasks` |
//! | profile, members, keys, the end of a company | admins |
//! | register a company | whoever is signed in |
//! | save opportunities and searches, see to one's own notifications | members |
//! | tell users something, take over what was written together | this program |
//!
//! Machines with the scope `write` do what contributors do. A tenant's streams are named after it, so that nobody reaches
//! those of another tenant, whatever they may do at home.

use domain::{
    company::{CompanyCommand, Role, Scope, ScopeSet},
    document::DocumentCommand,
    inbox::InboxCommand,
    proposal::ProposalCommand,
    resource::ResourceCommand,
    task::TaskCommand,
    watchlist::WatchlistCommand,
};

/// What somebody may do for the tenant that they act for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallerAuthority {
    /// Nobody knows who it is.
    Anonymous,
    /// Somebody who is signed in, but belongs to no company yet.
    WithoutCompany,
    /// A member of the company.
    Member(Role),
    /// A machine with a key of the company.
    Machine(ScopeSet),
    /// A part of this program.
    System,
}

/// What a command needs of who gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequiredAuthority {
    /// To be signed in.
    SignedIn,
    /// A member with this role, or more.
    AtLeast(Role),
    /// A machine with this scope.
    HasScope(Scope),
    /// To be a part of this program.
    Program,
}

/// A command that says what it needs.
pub trait AuthorizedCommand {
    /// What it needs.
    fn required_authority(&self) -> RequiredAuthority;
}

impl CallerAuthority {
    /// Whether they may do what needs that.
    pub fn permits(&self, need: RequiredAuthority) -> bool {
        match (self, need) {
            (Self::System, _) | (Self::WithoutCompany | Self::Member(_), RequiredAuthority::SignedIn) => true,
            (Self::Member(role), RequiredAuthority::AtLeast(least)) => role.covers(least),
            (Self::Machine(scopes), RequiredAuthority::HasScope(scope)) => scopes.contains(scope),
            (Self::Machine(scopes), RequiredAuthority::AtLeast(least)) => {
                scopes.contains(Scope::Write) && Role::Contributor.covers(least)
            }
            (Self::Anonymous, _)
            | (
                Self::WithoutCompany,
                RequiredAuthority::AtLeast(_) | RequiredAuthority::HasScope(_) | RequiredAuthority::Program,
            )
            | (Self::Member(_), RequiredAuthority::HasScope(_) | RequiredAuthority::Program)
            | (Self::Machine(_), RequiredAuthority::SignedIn | RequiredAuthority::Program) => false,
        }
    }
}

impl AuthorizedCommand for ProposalCommand {
    fn required_authority(&self) -> RequiredAuthority {
        match self {
            Self::Draft { .. }
            | Self::EditSection { .. }
            | Self::RemoveSection { .. }
            | Self::Comment { .. }
            | Self::ResolveComment { .. }
            | Self::SubmitForReview { .. } => RequiredAuthority::AtLeast(Role::Contributor),
            Self::EditSections { .. } => RequiredAuthority::Program,
            Self::Approve { .. }
            | Self::Reject { .. }
            | Self::Submit { .. }
            | Self::RecordOutcome { .. }
            | Self::Withdraw { .. } => RequiredAuthority::AtLeast(Role::Manager),
        }
    }
}

impl AuthorizedCommand for ResourceCommand {
    fn required_authority(&self) -> RequiredAuthority {
        match self {
            Self::Create { .. } | Self::Update { .. } => RequiredAuthority::AtLeast(Role::Contributor),
            Self::Delete { .. } => RequiredAuthority::AtLeast(Role::Manager),
        }
    }
}

impl AuthorizedCommand for DocumentCommand {
    fn required_authority(&self) -> RequiredAuthority {
        match self {
            Self::Upload { .. } => RequiredAuthority::AtLeast(Role::Contributor),
            Self::Delete { .. } => RequiredAuthority::AtLeast(Role::Manager),
            Self::RecordText { .. }
            | Self::RecordRequirements { .. }
            | Self::RecordAnalysis { .. }
            | Self::RecordFailure { .. } => RequiredAuthority::HasScope(Scope::Tasks),
        }
    }
}

impl AuthorizedCommand for TaskCommand {
    fn required_authority(&self) -> RequiredAuthority {
        match self {
            Self::Request { .. } | Self::Cancel { .. } => RequiredAuthority::AtLeast(Role::Contributor),
            Self::Start { .. } | Self::Report { .. } | Self::Complete { .. } | Self::Fail { .. } => {
                RequiredAuthority::HasScope(Scope::Tasks)
            }
        }
    }
}

impl AuthorizedCommand for CompanyCommand {
    fn required_authority(&self) -> RequiredAuthority {
        match self {
            Self::Register { .. } => RequiredAuthority::SignedIn,
            Self::ChangeProfile { .. }
            | Self::AddMember { .. }
            | Self::ChangeRole { .. }
            | Self::RemoveMember { .. }
            | Self::IssueApiKey { .. }
            | Self::RevokeApiKey { .. }
            | Self::Close { .. } => RequiredAuthority::AtLeast(Role::Admin),
        }
    }
}

/// A watchlist is its user's own: whoever gives the command names no other.
impl AuthorizedCommand for WatchlistCommand {
    fn required_authority(&self) -> RequiredAuthority {
        RequiredAuthority::AtLeast(Role::Viewer)
    }
}

impl AuthorizedCommand for InboxCommand {
    fn required_authority(&self) -> RequiredAuthority {
        match self {
            Self::Notify { .. } => RequiredAuthority::Program,
            Self::MarkRead { .. } | Self::MarkAllRead { .. } | Self::Dismiss { .. } => {
                RequiredAuthority::AtLeast(Role::Viewer)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(scopes: &[Scope]) -> CallerAuthority {
        CallerAuthority::Machine(ScopeSet::try_new(scopes.iter().copied()).unwrap())
    }

    #[test]
    fn members_do_what_their_role_covers_and_nothing_of_machines() {
        for (place, role) in [Role::Viewer, Role::Contributor, Role::Manager, Role::Admin].into_iter().enumerate() {
            let member = CallerAuthority::Member(role);
            for (least_place, least) in [Role::Contributor, Role::Manager, Role::Admin].into_iter().enumerate() {
                assert_eq!(member.permits(RequiredAuthority::AtLeast(least)), place > least_place, "{role} {least}");
            }
            assert!(
                member.permits(RequiredAuthority::SignedIn)
                    && !member.permits(RequiredAuthority::HasScope(Scope::Tasks))
            );
        }
    }

    #[test]
    fn machines_do_what_their_scopes_allow_and_decide_nothing() {
        let writer = machine(&[Scope::Write]);
        assert!(
            writer.permits(RequiredAuthority::AtLeast(Role::Contributor))
                && !writer.permits(RequiredAuthority::AtLeast(Role::Manager))
        );
        assert!(
            !writer.permits(RequiredAuthority::HasScope(Scope::Tasks)) && !writer.permits(RequiredAuthority::SignedIn)
        );
        let worker = machine(&[Scope::Tasks, Scope::Read]);
        assert!(
            worker.permits(RequiredAuthority::HasScope(Scope::Tasks))
                && !worker.permits(RequiredAuthority::AtLeast(Role::Contributor))
        );
    }

    #[test]
    fn who_is_not_known_may_nothing_and_who_belongs_nowhere_may_begin() {
        for need in [
            RequiredAuthority::SignedIn,
            RequiredAuthority::AtLeast(Role::Viewer),
            RequiredAuthority::HasScope(Scope::Read),
            RequiredAuthority::Program,
        ] {
            assert!(!CallerAuthority::Anonymous.permits(need) && CallerAuthority::System.permits(need));
        }
        assert!(CallerAuthority::WithoutCompany.permits(RequiredAuthority::SignedIn));
        assert!(!CallerAuthority::WithoutCompany.permits(RequiredAuthority::AtLeast(Role::Viewer)));
    }
}
