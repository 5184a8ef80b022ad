//! How the id of something with a UUID is made.

/// An id that is a UUID, minted in `commands`.
macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
        #[serde(transparent)]
        pub struct $name(uuid::Uuid);

        impl $name {
            /// The id with this number.
            pub const fn new(id: uuid::Uuid) -> Self {
                Self(id)
            }

            /// Its number.
            pub const fn uuid(&self) -> uuid::Uuid {
                self.0
            }

            /// Reads the usual text of 36 characters, or what else means a UUID.
            ///
            /// # Errors
            /// [`InvalidValue`](crate::value::InvalidValue) when it is none.
            pub fn parse(text: &str) -> Result<Self, $crate::value::InvalidValue> {
                uuid::Uuid::parse_str(text.trim())
                    .map(Self)
                    .map_err(|_| $crate::value::InvalidValue::malformed($what, text, "a UUID"))
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

pub(crate) use uuid_id;
