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
    company::{CompanyCommand, Role, Scope, Scopes},
    document::DocumentCommand,
    inbox::InboxCommand,
    proposal::ProposalCommand,
    resource::ResourceCommand,
    task::TaskCommand,
    watchlist::WatchlistCommand,
};

/// What somebody may do for the tenant that they act for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Authority {
    /// Nobody knows who it is.
    Anonymous,
    /// Somebody who is signed in, but belongs to no company yet.
    Stranger,
    /// A member of the company.
    Member(Role),
    /// A machine with a key of the company.
    Machine(Scopes),
    /// A part of this program.
    System,
}

/// What a command needs of who gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// To be signed in.
    SignedIn,
    /// A member with this role, or more.
    AtLeast(Role),
    /// A machine with this scope.
    Holds(Scope),
    /// To be a part of this program.
    Program,
}

/// A command that says what it needs.
pub trait Guarded {
    /// What it needs.
    fn needs(&self) -> Need;
}

impl Authority {
    /// Whether they may do what needs that.
    pub fn suffices(&self, need: Need) -> bool {
        match (self, need) {
            (Self::System, _) | (Self::Stranger | Self::Member(_), Need::SignedIn) => true,
            (Self::Member(role), Need::AtLeast(least)) => role.covers(least),
            (Self::Machine(scopes), Need::Holds(scope)) => scopes.allow(scope),
            (Self::Machine(scopes), Need::AtLeast(least)) => {
                scopes.allow(Scope::Write) && Role::Contributor.covers(least)
            }
            (Self::Anonymous, _)
            | (Self::Stranger, Need::AtLeast(_) | Need::Holds(_) | Need::Program)
            | (Self::Member(_), Need::Holds(_) | Need::Program)
            | (Self::Machine(_), Need::SignedIn | Need::Program) => false,
        }
    }
}

impl Guarded for ProposalCommand {
    fn needs(&self) -> Need {
        match self {
            Self::Draft { .. }
            | Self::EditSection { .. }
            | Self::RemoveSection { .. }
            | Self::Comment { .. }
            | Self::ResolveComment { .. }
            | Self::SubmitForReview { .. } => Need::AtLeast(Role::Contributor),
            Self::EditTogether { .. } => Need::Program,
            Self::Approve { .. }
            | Self::Reject { .. }
            | Self::Submit { .. }
            | Self::RecordOutcome { .. }
            | Self::Withdraw { .. } => Need::AtLeast(Role::Manager),
        }
    }
}

impl Guarded for ResourceCommand {
    fn needs(&self) -> Need {
        match self {
            Self::Create { .. } | Self::Update { .. } => Need::AtLeast(Role::Contributor),
            Self::Delete { .. } => Need::AtLeast(Role::Manager),
        }
    }
}

impl Guarded for DocumentCommand {
    fn needs(&self) -> Need {
        match self {
            Self::Upload { .. } => Need::AtLeast(Role::Contributor),
            Self::Delete { .. } => Need::AtLeast(Role::Manager),
            Self::RecordText { .. }
            | Self::RecordRequirements { .. }
            | Self::RecordAnalysis { .. }
            | Self::RecordFailure { .. } => Need::Holds(Scope::Tasks),
        }
    }
}

impl Guarded for TaskCommand {
    fn needs(&self) -> Need {
        match self {
            Self::Request { .. } | Self::Cancel { .. } => Need::AtLeast(Role::Contributor),
            Self::Start { .. } | Self::Report { .. } | Self::Complete { .. } | Self::Fail { .. } => {
                Need::Holds(Scope::Tasks)
            }
        }
    }
}

impl Guarded for CompanyCommand {
    fn needs(&self) -> Need {
        match self {
            Self::Register { .. } => Need::SignedIn,
            Self::ChangeProfile { .. }
            | Self::AddMember { .. }
            | Self::ChangeRole { .. }
            | Self::RemoveMember { .. }
            | Self::IssueApiKey { .. }
            | Self::RevokeApiKey { .. }
            | Self::Close { .. } => Need::AtLeast(Role::Admin),
        }
    }
}

/// A watchlist is its user's own: whoever gives the command names no other.
impl Guarded for WatchlistCommand {
    fn needs(&self) -> Need {
        Need::AtLeast(Role::Viewer)
    }
}

impl Guarded for InboxCommand {
    fn needs(&self) -> Need {
        match self {
            Self::Notify { .. } => Need::Program,
            Self::MarkRead { .. } | Self::MarkAllRead { .. } | Self::Dismiss { .. } => Need::AtLeast(Role::Viewer),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(scopes: &[Scope]) -> Authority {
        Authority::Machine(Scopes::try_new(scopes.iter().copied()).unwrap())
    }

    #[test]
    fn members_do_what_their_role_covers_and_nothing_of_machines() {
        for (place, role) in [Role::Viewer, Role::Contributor, Role::Manager, Role::Admin].into_iter().enumerate() {
            let member = Authority::Member(role);
            for (least_place, least) in [Role::Contributor, Role::Manager, Role::Admin].into_iter().enumerate() {
                assert_eq!(member.suffices(Need::AtLeast(least)), place > least_place, "{role} {least}");
            }
            assert!(member.suffices(Need::SignedIn) && !member.suffices(Need::Holds(Scope::Tasks)));
        }
    }

    #[test]
    fn machines_do_what_their_scopes_allow_and_decide_nothing() {
        let writer = machine(&[Scope::Write]);
        assert!(writer.suffices(Need::AtLeast(Role::Contributor)) && !writer.suffices(Need::AtLeast(Role::Manager)));
        assert!(!writer.suffices(Need::Holds(Scope::Tasks)) && !writer.suffices(Need::SignedIn));
        let worker = machine(&[Scope::Tasks, Scope::Read]);
        assert!(worker.suffices(Need::Holds(Scope::Tasks)) && !worker.suffices(Need::AtLeast(Role::Contributor)));
    }

    #[test]
    fn who_is_not_known_may_nothing_and_who_belongs_nowhere_may_begin() {
        for need in [Need::SignedIn, Need::AtLeast(Role::Viewer), Need::Holds(Scope::Read), Need::Program] {
            assert!(!Authority::Anonymous.suffices(need) && Authority::System.suffices(need));
        }
        assert!(Authority::Stranger.suffices(Need::SignedIn));
        assert!(!Authority::Stranger.suffices(Need::AtLeast(Role::Viewer)));
    }
}
