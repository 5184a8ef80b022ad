//! Codes of business rules, which clients rely on.

use std::convert::Infallible;

use domain::{
    company::CompanyError, document::DocumentError, proposal::ProposalError, resource::ResourceError, task::TaskError,
    watchlist::WatchlistError,
};

/// A refusal with a code for programs. The codes are part of the API.
pub(crate) trait RefusalCode: std::error::Error + 'static {
    /// Code of the refusal.
    fn refusal_code(&self) -> &'static str;

    /// Whether the refusal is that the object does not exist, or not any more.
    fn is_missing_object(&self) -> bool;
}

impl RefusalCode for ProposalError {
    fn refusal_code(&self) -> &'static str {
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

    fn is_missing_object(&self) -> bool {
        matches!(self, Self::NotDrafted)
    }
}

impl RefusalCode for DocumentError {
    fn refusal_code(&self) -> &'static str {
        match self {
            Self::NotUploaded => "NOT_FOUND",
            Self::AlreadyUploaded => "ALREADY_UPLOADED",
            Self::AlreadyDone { .. } => "ALREADY_DONE",
            Self::OutOfOrder { .. } => "OUT_OF_ORDER",
            Self::Deleted => "DELETED",
        }
    }

    fn is_missing_object(&self) -> bool {
        matches!(self, Self::NotUploaded | Self::Deleted)
    }
}

impl RefusalCode for CompanyError {
    fn refusal_code(&self) -> &'static str {
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

    fn is_missing_object(&self) -> bool {
        matches!(self, Self::NotRegistered)
    }
}

impl RefusalCode for ResourceError {
    fn refusal_code(&self) -> &'static str {
        match self {
            Self::AlreadyCreated => "ALREADY_CREATED",
            Self::NotCreated => "NOT_FOUND",
            Self::Deleted => "DELETED",
        }
    }

    fn is_missing_object(&self) -> bool {
        matches!(self, Self::NotCreated | Self::Deleted)
    }
}

impl RefusalCode for TaskError {
    fn refusal_code(&self) -> &'static str {
        match self {
            Self::AlreadyRequested => "ALREADY_REQUESTED",
            Self::NotRequested => "NOT_FOUND",
            Self::AlreadyStarted { .. } => "ALREADY_STARTED",
            Self::NotStarted => "NOT_STARTED",
            Self::AlreadyFinished => "OVER",
        }
    }

    fn is_missing_object(&self) -> bool {
        matches!(self, Self::NotRequested)
    }
}

impl RefusalCode for WatchlistError {
    fn refusal_code(&self) -> &'static str {
        match self {
            Self::Full => "FULL",
            Self::TooManySearches => "TOO_MANY_SEARCHES",
            Self::NameTaken => "NAME_TAKEN",
        }
    }

    fn is_missing_object(&self) -> bool {
        false
    }
}

impl RefusalCode for Infallible {
    fn refusal_code(&self) -> &'static str {
        match *self {}
    }

    fn is_missing_object(&self) -> bool {
        match *self {}
    }
}
