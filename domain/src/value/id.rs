//! Declares id types that wrap a UUID.

/// Declares an id type over a UUID; `commands` generates the values.
macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
        #[serde(transparent)]
        pub struct $name(uuid::Uuid);

        impl $name {
            /// The id with this UUID.
            pub const fn new(id: uuid::Uuid) -> Self {
                Self(id)
            }

            /// The UUID.
            pub const fn uuid(&self) -> uuid::Uuid {
                self.0
            }

            /// Parses a UUID in any of its usual text forms.
            ///
            /// # Errors
            /// [`InvalidValue`](crate::value::InvalidValue) when the text is not a UUID.
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
