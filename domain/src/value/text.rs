//! Declares text values with a maximum length and a form.

/// Whether a text of several lines may contain the character.
pub(crate) fn is_prose(character: char) -> bool {
    !character.is_control() || matches!(character, '\n' | '\r' | '\t')
}

/// Declares a text value with its name in errors, its maximum length in characters and its form. The calling crate
/// depends on `serde`.
#[macro_export]
macro_rules! text_value {
    ($(#[$doc:meta])* $name:ident, $what:literal, max $max:literal, $accepts:expr, $expected:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            #[doc = concat!("Trims the text and checks that it is ", $expected, ".")]
            ///
            /// # Errors
            /// [`InvalidValue`](crate::value::InvalidValue) when the text is empty, too long or of another form.
            pub fn try_new(text: &str) -> Result<Self, $crate::value::InvalidValue> {
                let text = text.trim();
                if text.is_empty() {
                    return Err($crate::value::InvalidValue::Empty { what: $what });
                }
                // A text has no more characters than bytes.
                if text.len() > $max && text.chars().count() > $max {
                    return Err($crate::value::InvalidValue::TooLong { what: $what, max: $max });
                }
                let accepts: fn(char) -> bool = $accepts;
                if !text.chars().all(accepts) {
                    return Err($crate::value::InvalidValue::malformed($what, text, $expected));
                }
                Ok(Self(text.to_owned()))
            }

            /// The value as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

pub use text_value;
