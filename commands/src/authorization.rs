//! Authorization: the only place that defines which authority a command requires.
//!
//! | command | who |
//! | --- | --- |
//! | write a proposal, comment, submit for review | contributors |
//! | approve, reject, submit, record the outcome of, withdraw a proposal | managers |
//! | create and update a resource, upload a document, request and cancel a task | contributors |
//! | request and cancel the generation of a proposal | contributors |
//! | delete a resource or a document | managers |
//! | report the outcome of a document's processing or of a task | machines with the scope `tasks` |
//! | change profile, members and keys of a company, close it | admins |
//! | register a company | any authenticated user |
//! | save opportunities and searches, read and dismiss one's own notifications, choose one's mail | members |
//! | rate the generation of a proposal | members |
//! | record, amend, award and close opportunities | operators, this program |
//! | define, switch, change and archive feature flags | operators, this program |
//! | notify users, send and stop mail, record the edits of a shared text | this program |
//! | record the sections and the end of a generation | this program |
//!
//! Machines with the scope `write` may do what contributors may. A tenant's streams are named after the tenant, so that
//! no caller reaches another tenant's streams, even with the highest authority in their own.

use domain::{
    company::{CompanyCommand, Role, Scope, ScopeSet},
    document::DocumentCommand,
    feature_flag::FeatureFlagCommand,
    inbox::InboxCommand,
    opportunity::OpportunityCommand,
    proposal::ProposalCommand,
    proposal_generation::ProposalGenerationCommand,
    resource::ResourceCommand,
    task::TaskCommand,
    watchlist::WatchlistCommand,
};

/// What a caller may do in the tenant that they act for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallerAuthority {
    /// Not authenticated.
    Anonymous,
    /// Authenticated, but not a member of a company yet.
    WithoutCompany,
    /// A member of the company.
    Member(Role),
    /// A machine with an API key of the company.
    Machine(ScopeSet),
    /// A part of this program.
    System,
}

/// The authority that a command requires of its sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequiredAuthority {
    /// An authenticated caller.
    SignedIn,
    /// A member with at least this role.
    AtLeast(Role),
    /// A machine with this scope.
    HasScope(Scope),
    /// A part of this program.
    Program,
}

/// A command that declares the authority it requires.
pub trait AuthorizedCommand {
    /// The authority that this command requires.
    fn required_authority(&self) -> RequiredAuthority;
}

impl CallerAuthority {
    /// Whether this authority satisfies the required one.
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

/// Public data, which operators change.
impl AuthorizedCommand for OpportunityCommand {
    fn required_authority(&self) -> RequiredAuthority {
        RequiredAuthority::Program
    }
}

/// Flags belong to the program, and operators change them.
impl AuthorizedCommand for FeatureFlagCommand {
    fn required_authority(&self) -> RequiredAuthority {
        RequiredAuthority::Program
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

impl AuthorizedCommand for ProposalGenerationCommand {
    fn required_authority(&self) -> RequiredAuthority {
        match self {
            Self::Request { .. } | Self::Cancel { .. } => RequiredAuthority::AtLeast(Role::Contributor),
            Self::Rate { .. } => RequiredAuthority::AtLeast(Role::Viewer),
            Self::RecordSection { .. }
            | Self::RecordSectionFailure { .. }
            | Self::Complete { .. }
            | Self::Fail { .. } => RequiredAuthority::Program,
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

/// The sender's own watchlist: the command cannot name another user's.
impl AuthorizedCommand for WatchlistCommand {
    fn required_authority(&self) -> RequiredAuthority {
        RequiredAuthority::AtLeast(Role::Viewer)
    }
}

impl AuthorizedCommand for InboxCommand {
    fn required_authority(&self) -> RequiredAuthority {
        match self {
            Self::Notify { .. }
            | Self::UnsubscribeMail { .. }
            | Self::RequestDigest { .. }
            | Self::StartMailAttempt { .. }
            | Self::RecordMailOutcome { .. } => RequiredAuthority::Program,
            Self::MarkRead { .. }
            | Self::MarkAllRead { .. }
            | Self::Dismiss { .. }
            | Self::ChangeMailPreferences { .. } => RequiredAuthority::AtLeast(Role::Viewer),
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
