//! The file, and its text.

use serde::{Deserialize, Serialize};

use crate::{
    opportunity::OpportunityId,
    value::{InvalidValue, text_value, vocabulary},
};

/// The largest file that is taken, in bytes.
pub const MAX_FILE_BYTES: u64 = 100 << 20;

text_value!(
    /// What a file is called.
    FileName, "file name", max 255, |c| !c.is_control() && c != '/' && c != '\\', "a name without folders"
);

text_value!(
    /// What kind of file it is, e.g. `application/pdf`.
    MediaType, "media type", max 127, |c| c.is_ascii_alphanumeric() || "!#$&-^_.+/".contains(c),
    "a media type such as application/pdf"
);

text_value!(
    /// Where the object store has something.
    ObjectKey, "object key", max 500, |c| c.is_ascii_graphic(), "printable ASCII without spaces"
);

text_value!(
    /// A language, e.g. `en`.
    LanguageTag, "language", max 20, |c| c.is_ascii_alphanumeric() || c == '-', "a language tag such as en"
);

/// The SHA-256 of a file, as 64 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FileDigest(String);

impl FileDigest {
    /// Reads 64 hexadecimal digits of either case.
    ///
    /// # Errors
    /// [`InvalidValue`] when it is none.
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

/// A file that was uploaded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UploadedFile {
    /// What it was called.
    pub file_name: FileName,
    /// What kind of file it is.
    pub media_type: MediaType,
    /// How long it is, in bytes.
    pub bytes: u64,
    /// What tells it from other files.
    pub sha256: FileDigest,
    /// Where the object store has it.
    pub object_key: ObjectKey,
    /// The opportunity that it belongs to, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opportunity_id: Option<OpportunityId>,
}

impl UploadedFile {
    /// Whether its length is one that is taken.
    ///
    /// # Errors
    /// [`InvalidValue`] for an empty file and one of more than [`MAX_FILE_BYTES`].
    pub fn check_length(bytes: u64) -> Result<u64, InvalidValue> {
        match bytes {
            0 => Err(InvalidValue::Empty { what: "file" }),
            1..=MAX_FILE_BYTES => Ok(bytes),
            _ => Err(InvalidValue::malformed("file", &format!("of {bytes} bytes"), "at most 100 MiB long")),
        }
    }
}

vocabulary!(
    /// How a text was read.
    ExtractionMethod, "method" {
        /// The file has its text in it.
        Native = "native",
        /// Its pictures were read.
        Ocr = "ocr",
        /// Some of both.
        Mixed = "mixed",
    }
);

/// The text of a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TextExtraction {
    /// Where the object store has it.
    pub text_key: ObjectKey,
    /// How many pages it is of.
    pub pages: u32,
    /// How long it is, in characters.
    pub characters: u64,
    /// How it was read.
    pub method: ExtractionMethod,
    /// The language that it is in, as far as is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<LanguageTag>,
}
