//! Vocabularies for the expansion of queries: synonyms and abbreviations, codes, and the words of titles.
//!
//! Synonyms and codes are tables in the repository (`vocabulary/`); the words of titles are read from `Qdrant`.

mod code_index;
mod synonym_table;
mod title_words;

pub(super) use self::{code_index::CodeIndex, synonym_table::SynonymTable, title_words::TitleWords};
