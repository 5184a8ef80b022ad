//! Writes Word documents.

use std::io::{Cursor, Write as _};

use zip::{ZipWriter, write::SimpleFileOptions};

const RELATIONS: &str = r#"<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">
    <Relationship Id="rId1" Target="word/document.xml"
    Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument"/></Relationships>"#;

/// A document with a body and further parts.
pub(crate) fn docx(body: &str, further: &[(&str, &str)]) -> Vec<u8> {
    docx_with_part(&format!("{}<w:body>{body}</w:body></w:document>", document_start()), further)
}

pub(crate) fn document_start() -> &'static str {
    r#"<?xml version="1.0" encoding="UTF-8"?><w:document xmlns:w="w" xmlns:mc="mc">"#
}

/// A document with a given main part.
pub(crate) fn docx_with_part(document: &str, further: &[(&str, &str)]) -> Vec<u8> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    let parts = [("_rels/.rels", RELATIONS), ("word/document.xml", document)];
    for (name, content) in parts.iter().chain(further) {
        archive.start_file(*name, SimpleFileOptions::default()).unwrap();
        archive.write_all(content.as_bytes()).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

/// A paragraph.
pub(crate) fn paragraph(text: &str) -> String {
    format!("<w:p><w:r><w:t xml:space=\"preserve\">{text}</w:t></w:r></w:p>")
}
