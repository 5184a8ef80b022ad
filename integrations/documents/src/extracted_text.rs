//! What is extracted from a file.

use serde::{Deserialize, Serialize};

use crate::FileType;

/// The text of a file, as stored: JSON with a version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExtractedText {
    /// The version of this format.
    pub version: u32,
    /// The type of the file's content, independent of its name.
    pub file_type: FileType,
    /// How the text of all pages was obtained.
    pub method: TextMethod,
    /// The language as a tag such as `en`; `None` if the text is too short or too mixed to say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// The pages in their order. Files without pages have one.
    pub pages: Vec<PageText>,
    /// The numbers of damaged pages, which were not read, in ascending order; their texts are empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unreadable_pages: Vec<u32>,
}

/// The text of one page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PageText {
    /// The page's number, from 1.
    pub number: u32,
    /// How its text was obtained.
    pub source: PageTextSource,
    /// Its text: one line for each line or paragraph of the file, without spaces at the ends of lines.
    pub text: String,
}

/// How the text of a page was obtained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PageTextSource {
    /// The file contains the text.
    Native,
    /// By optical character recognition of an image of the page.
    Ocr,
}

/// How the text of a file was obtained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TextMethod {
    /// The file contains the text of all pages.
    Native,
    /// All pages by optical character recognition.
    Ocr,
    /// Some pages native, some by character recognition.
    Mixed,
}

impl ExtractedText {
    /// The version that this program writes.
    pub const VERSION: u32 = 1;

    /// Composes the text of a file from its pages.
    pub(crate) fn from_pages(file_type: FileType, pages: Vec<PageText>, unreadable_pages: Vec<u32>) -> Self {
        let language = crate::language::detect_language(&pages);
        let method = TextMethod::from_pages(&pages);
        Self { version: Self::VERSION, file_type, method, language, pages, unreadable_pages }
    }

    /// The length of the text in characters, without what separates pages.
    pub fn character_count(&self) -> u64 {
        self.pages.iter().map(|page| page.text.chars().count() as u64).sum()
    }
}

impl TextMethod {
    /// Pages without text say nothing about the method.
    fn from_pages(pages: &[PageText]) -> Self {
        let has = |source| pages.iter().any(|page| page.source == source && !page.text.is_empty());
        match (has(PageTextSource::Native), has(PageTextSource::Ocr)) {
            (true, true) => Self::Mixed,
            (false, true) => Self::Ocr,
            (_, false) => Self::Native,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stored_form_is_readable_by_later_versions_of_the_program() {
        let stored = r#"{"version":1,"file_type":"pdf","method":"mixed","language":"en","pages":[
            {"number":1,"source":"native","text":"Scope"},{"number":2,"source":"ocr","text":"Annex"}]}"#;
        let text: ExtractedText = serde_json::from_str(stored).unwrap();
        assert_eq!(TextMethod::from_pages(&text.pages), text.method);
        assert_eq!(serde_json::from_str::<ExtractedText>(&serde_json::to_string(&text).unwrap()).unwrap(), text);
        assert_eq!(text.character_count(), 10);
        assert_eq!(text.unreadable_pages, [0; 0]);
    }
}
