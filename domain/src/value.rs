//! Values shared by several aggregates. Each is validated when constructed, not when read back from an event.

mod date;
mod id;
mod stamp;
mod tenant;
mod text;
mod vocabulary;

pub use self::{
    date::{STORABLE_YEARS, ensure_storable_day, ensure_storable_time},
    stamp::AuditStamp,
    tenant::{PUBLIC_TENANT, TenantId},
    text::text_value,
};
pub(crate) use self::{id::uuid_id, text::is_prose, vocabulary::vocabulary};

text_value!(
    /// A user of the platform, by the id that the identity provider assigns.
    UserId, "user id", max 200, |c| !c.is_control(), "printable text"
);

impl UserId {
    /// The user id of a part of this program that issues commands, by a name that is fixed in the code.
    pub fn from_program(name: &'static str) -> Self {
        Self(name.to_owned())
    }
}

uuid_id!(
    /// The id of a proposal.
    ProposalId, "proposal id"
);

uuid_id!(
    /// The id of a document.
    DocumentId, "document id"
);

uuid_id!(
    /// The id of a resource.
    ResourceId, "resource id"
);

uuid_id!(
    /// The id of a task.
    TaskId, "task id"
);

/// Why a value is invalid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidValue {
    /// The value is empty.
    #[error("{what} is empty")]
    Empty {
        /// Which value it is.
        what: &'static str,
    },
    /// The text is too long.
    #[error("{what} is longer than {max} characters")]
    TooLong {
        /// Which value it is.
        what: &'static str,
        /// The limit in characters.
        max: usize,
    },
    /// The list has too many items.
    #[error("more than {max} {what}")]
    TooMany {
        /// What the items are.
        what: &'static str,
        /// The maximum number of items.
        max: usize,
    },
    /// The value does not have the expected form.
    #[error("{what} {value:?} is not {expected}")]
    Malformed {
        /// Which value it is.
        what: &'static str,
        /// The first 60 characters of the value.
        value: String,
        /// The expected form.
        expected: &'static str,
    },
}

impl InvalidValue {
    /// A value of the wrong form; quotes at most 60 characters of it.
    pub fn malformed(what: &'static str, value: &str, expected: &'static str) -> Self {
        Self::Malformed { what, value: value.chars().take(60).collect(), expected }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_a_uuid() {
        let id = TaskId::parse(" 01890A5D-AC96-774B-BCCE-B302099A8057 ").unwrap();
        assert_eq!(id.to_string(), "01890a5d-ac96-774b-bcce-b302099a8057");
        assert_eq!(TaskId::parse("7"), Err(InvalidValue::malformed("task id", "7", "a UUID")));
    }

    #[test]
    fn a_user_id_is_bounded_in_length_and_printable() {
        assert_eq!(UserId::try_new(" ann@example.org ").unwrap().as_str(), "ann@example.org");
        assert_eq!(UserId::try_new(" "), Err(InvalidValue::Empty { what: "user id" }));
        assert!(UserId::try_new(&"é".repeat(200)).is_ok());
        assert_eq!(UserId::try_new(&"é".repeat(201)), Err(InvalidValue::TooLong { what: "user id", max: 200 }));
        assert_eq!(UserId::try_new("a\nb"), Err(InvalidValue::malformed("user id", "a\nb", "printable text")));
    }
}
