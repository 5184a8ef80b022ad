//! Declares closed lists of words.

/// Declares an enum whose variants have the same word in events, at the edges and in tables.
macro_rules! vocabulary {
    ($(#[$doc:meta])* $name:ident, $what:literal { $($(#[$about:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
        pub enum $name {
            $($(#[$about])* #[serde(rename = $word)] $variant,)+
        }

        impl $name {
            /// All variants, in the order of declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The variant's word.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }

            /// The variant with that word.
            ///
            /// # Errors
            /// [`InvalidValue`](crate::value::InvalidValue), listing the known words, when the word is unknown.
            pub fn parse(word: &str) -> Result<Self, $crate::value::InvalidValue> {
                let known = Self::ALL.iter().find(|known| known.name() == word.trim());
                known.copied().ok_or_else(|| {
                    $crate::value::InvalidValue::malformed($what, word, concat!("one of:", $(" ", $word),+))
                })
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.name())
            }
        }
    };
}

pub(crate) use vocabulary;
