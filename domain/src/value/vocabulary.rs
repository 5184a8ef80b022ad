//! How a closed list of words is made.

/// An enum whose variants are words: in events, at the edges and in tables the same.
macro_rules! vocabulary {
    ($(#[$doc:meta])* $name:ident, $what:literal { $($(#[$about:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
        pub enum $name {
            $($(#[$about])* #[serde(rename = $word)] $variant,)+
        }

        impl $name {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The word.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }

            /// What the word stands for.
            ///
            /// # Errors
            /// [`InvalidValue`](crate::value::InvalidValue) naming the words there are.
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
