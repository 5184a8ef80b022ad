//! The uploaded file and its extracted text.

use serde::{Deserialize, Serialize};

use crate::{
    opportunity::OpportunityId,
    value::{InvalidValue, text_value, vocabulary},
};

/// Maximum size of a file in bytes.
pub const MAX_FILE_BYTES: u64 = 100 << 20;

text_value!(
    /// A file's name.
    FileName, "file name", max 255, |c| !c.is_control() && c != '/' && c != '\\', "a name without folders"
);

text_value!(
    /// A file's media type, e.g. `application/pdf`.
    MediaType, "media type", max 127, |c| c.is_ascii_alphanumeric() || "!#$&-^_.+/".contains(c),
    "a media type such as application/pdf"
);

text_value!(
    /// A key in the object store.
    ObjectKey, "object key", max 500, |c| c.is_ascii_graphic(), "printable ASCII without spaces"
);

text_value!(
    /// A language tag, e.g. `en`.
    LanguageTag, "language", max 20, |c| c.is_ascii_alphanumeric() || c == '-', "a language tag such as en"
);

/// The SHA-256 of a file, as 64 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FileDigest(String);

impl FileDigest {
    /// Parses 64 hexadecimal digits of either case.
    ///
    /// # Errors
    /// [`InvalidValue`] for any other text.
    pub fn try_new(digits: &str) -> Result<Self, InvalidValue> {
        let digits = digits.trim().to_ascii_lowercase();
        if digits.len() == 64 && digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            Ok(Self(digits))
        } else {
            Err(InvalidValue::malformed("SHA-256", &digits, "64 hexadecimal digits"))
        }
    }

    /// The digits, in lower case.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// An uploaded file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UploadedFile {
    /// The file's name.
    pub file_name: FileName,
    /// The file's media type.
    pub media_type: MediaType,
    /// The file's size in bytes.
    pub bytes: u64,
    /// The SHA-256 of the content.
    pub sha256: FileDigest,
    /// The key of the file in the object store.
    pub object_key: ObjectKey,
    /// The opportunity that it belongs to, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opportunity_id: Option<OpportunityId>,
}

impl UploadedFile {
    /// Returns the size if it is accepted.
    ///
    /// # Errors
    /// [`InvalidValue`] for an empty file and for one of more than [`MAX_FILE_BYTES`].
    pub fn check_length(bytes: u64) -> Result<u64, InvalidValue> {
        match bytes {
            0 => Err(InvalidValue::Empty { what: "file" }),
            1..=MAX_FILE_BYTES => Ok(bytes),
            _ => Err(InvalidValue::malformed("file", &format!("of {bytes} bytes"), "at most 100 MiB long")),
        }
    }
}

vocabulary!(
    /// How a text was extracted.
    ExtractionMethod, "method" {
        /// The file contains the text.
        Native = "native",
        /// By optical character recognition of page images.
        Ocr = "ocr",
        /// Some pages native, some by character recognition.
        Mixed = "mixed",
    }
);

/// The extracted text of a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TextExtraction {
    /// The key of the text in the object store.
    pub text_key: ObjectKey,
    /// The number of pages.
    pub pages: u32,
    /// The length of the text in characters.
    pub characters: u64,
    /// How it was extracted.
    pub method: ExtractionMethod,
    /// The language of the text, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<LanguageTag>,
}
