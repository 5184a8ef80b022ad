//! Detects the type of a file from its content.

use serde::{Deserialize, Serialize};

use crate::ExtractionError;

/// A type of file that can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileType {
    /// PDF.
    Pdf,
    /// A Word document in the Office Open XML format.
    Docx,
    /// Plain text, Markdown included.
    PlainText,
    /// A web page.
    Html,
    /// An image in the PNG format.
    Png,
    /// An image in the JPEG format.
    Jpeg,
    /// One or more images in the TIFF format.
    Tiff,
}

impl std::fmt::Display for FileType {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Pdf => "PDF file",
            Self::Docx => "Word document",
            Self::PlainText => "text file",
            Self::Html => "web page",
            Self::Png => "PNG image",
            Self::Jpeg => "JPEG image",
            Self::Tiff => "TIFF image",
        })
    }
}

/// How far from its beginning a PDF file may have its header: readers of PDF accept that much before it.
const PDF_HEADER_WINDOW: usize = 1024;

/// How much of a file is looked at in order to decide whether it is text.
const TEXT_SAMPLE: usize = 64 << 10;

impl FileType {
    /// Recognises a file by its content. A name and a declared type that contradict it do not matter, unless the
    /// content is of no type that is read: then the error names both.
    ///
    /// # Errors
    /// [`ExtractionError::EmptyFile`], [`ExtractionError::Encrypted`] for Office files with a password, and
    /// [`ExtractionError::UnsupportedType`].
    pub fn detect(content: &[u8], file_name: &str) -> Result<Self, ExtractionError> {
        if content.iter().take(TEXT_SAMPLE).all(u8::is_ascii_whitespace) && content.len() <= TEXT_SAMPLE {
            return Err(ExtractionError::EmptyFile);
        }
        let window = content.get(..PDF_HEADER_WINDOW).unwrap_or(content);
        if find(window, b"%PDF-").is_some() {
            return Ok(Self::Pdf);
        }
        match content {
            [b'P', b'K', 3, 4, ..] => detect_zip(content),
            [0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a, ..] => Ok(Self::Png),
            [0xff, 0xd8, 0xff, ..] => Ok(Self::Jpeg),
            [b'I', b'I', 42, 0, ..] | [b'M', b'M', 0, 42, ..] => Ok(Self::Tiff),
            [0xd0, 0xcf, 0x11, 0xe0, ..] => Err(describe_old_office(content)),
            [b'{', b'\\', b'r', b't', b'f', ..] => Err(unsupported("a rich text file (RTF)")),
            [b'G', b'I', b'F', b'8', ..] => Err(unsupported("a GIF image")),
            _ => detect_text(content, file_name),
        }
    }
}

fn unsupported(found: &str) -> ExtractionError {
    ExtractionError::UnsupportedType { found: found.to_owned() }
}

/// Distinguishes Office files by the names of their parts, which are uncompressed in the archive's directory.
fn detect_zip(content: &[u8]) -> Result<FileType, ExtractionError> {
    if find(content, b"word/document").is_some() || find(content, b"word/_rels").is_some() {
        Ok(FileType::Docx)
    } else if find(content, b"xl/workbook").is_some() {
        Err(unsupported("an Excel workbook"))
    } else if find(content, b"ppt/presentation").is_some() {
        Err(unsupported("a PowerPoint presentation"))
    } else if find(content, b"opendocument").is_some() {
        Err(unsupported("an OpenDocument file"))
    } else {
        Err(unsupported("a zip archive"))
    }
}

/// Office files with a password are packed into the container that the old formats used.
fn describe_old_office(content: &[u8]) -> ExtractionError {
    let utf16 = |name: &str| name.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    if find(content, &utf16("EncryptedPackage")).is_some() {
        ExtractionError::Encrypted
    } else if find(content, &utf16("WordDocument")).is_some() {
        unsupported("a Word document in the old format .doc")
    } else {
        unsupported("an Office file in an old format")
    }
}

fn detect_text(content: &[u8], file_name: &str) -> Result<FileType, ExtractionError> {
    let sample = content.get(..TEXT_SAMPLE).unwrap_or(content);
    let has_utf16_mark = matches!(sample, [0xff, 0xfe, ..] | [0xfe, 0xff, ..]);
    let control = sample.iter().filter(|byte| matches!(byte, 0..=8 | 14..=26 | 28..=31 | 127)).count();
    if !has_utf16_mark && control * 1000 > sample.len() {
        let extension = file_name.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase());
        return Err(match extension.as_deref() {
            Some(named @ ("pdf" | "docx" | "png" | "jpg" | "jpeg" | "tif" | "tiff" | "txt" | "md" | "html")) => {
                unsupported(&format!("named .{named}, but its content is none"))
            }
            _ => unsupported("of an unknown type"),
        });
    }
    let beginning = sample.get(..1024).unwrap_or(sample).to_ascii_lowercase();
    let is_html = find(&beginning, b"<!doctype html").is_some() || find(&beginning, b"<html").is_some();
    Ok(if is_html { FileType::Html } else { FileType::PlainText })
}

fn find(content: &[u8], wanted: &[u8]) -> Option<usize> {
    memchr::memmem::find(content, wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn detect(content: &[u8]) -> Result<FileType, String> {
        FileType::detect(content, "rfp.pdf").map_err(|error| error.to_string())
    }

    #[test]
    fn the_content_decides() {
        assert_eq!(detect(b"\n%PDF-1.7\n"), Ok(FileType::Pdf));
        assert_eq!(detect(b"PK\x03\x04..word/document.xml"), Ok(FileType::Docx));
        assert_eq!(detect(b"# Scope\nThe contractor shall"), Ok(FileType::PlainText));
        assert_eq!(detect("\u{feff}Alcance: guía".as_bytes()), Ok(FileType::PlainText));
        assert_eq!(detect(b"<!DOCTYPE html><p>x"), Ok(FileType::Html));
        assert_eq!(detect(b"\xff\xd8\xff\xe0"), Ok(FileType::Jpeg));
        assert_eq!(detect(b"MM\0\x2a\0\0\0\x08"), Ok(FileType::Tiff));
    }

    #[test]
    fn what_is_not_read_is_named() {
        let excel = detect(b"PK\x03\x04..xl/workbook.xml").unwrap_err();
        assert!(excel.starts_with("the file is an Excel workbook, which is not read"), "{excel}");
        let mut protected = vec![0xd0, 0xcf, 0x11, 0xe0];
        protected.extend("EncryptedPackage".encode_utf16().flat_map(u16::to_le_bytes));
        assert!(detect(&protected).unwrap_err().contains("encrypted with a password"));
        let noise: Vec<u8> = (0..=255).cycle().take(5000).collect();
        assert!(detect(&noise).unwrap_err().contains("named .pdf, but its content is none"));
        assert_eq!(detect(b"").unwrap_err(), "the file is empty");
        assert_eq!(detect(b" \n").unwrap_err(), "the file is empty");
    }
}
