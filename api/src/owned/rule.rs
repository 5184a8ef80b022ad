//! Business rules by the names that programs know them by.

use std::convert::Infallible;

use domain::{
    company::CompanyError, document::DocumentError, proposal::ProposalError, resource::ResourceError, task::TaskError,
    watchlist::WatchlistError,
};

/// A refusal that has a name for programs. The names are part of the API.
pub(crate) trait Rule: std::error::Error + 'static {
    /// The name.
    fn rule(&self) -> &'static str;
}

impl Rule for ProposalError {
    fn rule(&self) -> &'static str {
        match self {
            Self::AlreadyDrafted => "ALREADY_DRAFTED",
            Self::NotDrafted => "NOT_FOUND",
            Self::WrongPhase { .. } => "WRONG_PHASE",
            Self::StaleSection { .. } => "STALE_SECTION",
            Self::TooManySections => "TOO_MANY_SECTIONS",
            Self::TooManyComments => "TOO_MANY_COMMENTS",
            Self::NoSuchSection => "NO_SUCH_SECTION",
            Self::NoSuchComment => "NO_SUCH_COMMENT",
            Self::CommentIdTaken => "COMMENT_ID_TAKEN",
            Self::NothingToReview => "NOTHING_TO_REVIEW",
            Self::OwnReview => "OWN_REVIEW",
            Self::AlreadyDecided => "ALREADY_DECIDED",
        }
    }
}

impl Rule for DocumentError {
    fn rule(&self) -> &'static str {
        match self {
            Self::NotUploaded => "NOT_FOUND",
            Self::AlreadyUploaded => "ALREADY_UPLOADED",
            Self::AlreadyDone { .. } => "ALREADY_DONE",
            Self::OutOfOrder { .. } => "OUT_OF_ORDER",
            Self::Deleted => "DELETED",
        }
    }
}

impl Rule for CompanyError {
    fn rule(&self) -> &'static str {
        match self {
            Self::AlreadyRegistered => "ALREADY_REGISTERED",
            Self::NotRegistered => "NOT_FOUND",
            Self::NotForPeople => "NOT_FOR_PEOPLE",
            Self::AlreadyMember { .. } => "ALREADY_MEMBER",
            Self::NoSuchMember => "NO_SUCH_MEMBER",
            Self::LastAdmin => "LAST_ADMIN",
            Self::TooManyMembers => "TOO_MANY_MEMBERS",
            Self::KeyIdTaken => "KEY_ID_TAKEN",
            Self::KeyNameTaken => "KEY_NAME_TAKEN",
            Self::TooManyKeys => "TOO_MANY_KEYS",
            Self::NoSuchKey => "NO_SUCH_KEY",
            Self::Closed => "CLOSED",
        }
    }
}

impl Rule for ResourceError {
    fn rule(&self) -> &'static str {
        match self {
            Self::AlreadyCreated => "ALREADY_CREATED",
            Self::NotCreated => "NOT_FOUND",
            Self::Deleted => "DELETED",
        }
    }
}

impl Rule for TaskError {
    fn rule(&self) -> &'static str {
        match self {
            Self::AlreadyRequested => "ALREADY_REQUESTED",
            Self::NotRequested => "NOT_FOUND",
            Self::AlreadyStarted { .. } => "ALREADY_STARTED",
            Self::NotStarted => "NOT_STARTED",
            Self::Over => "OVER",
        }
    }
}

impl Rule for WatchlistError {
    fn rule(&self) -> &'static str {
        match self {
            Self::Full => "FULL",
            Self::TooManySearches => "TOO_MANY_SEARCHES",
            Self::NameTaken => "NAME_TAKEN",
        }
    }
}

impl Rule for Infallible {
    fn rule(&self) -> &'static str {
        match *self {}
    }
}
