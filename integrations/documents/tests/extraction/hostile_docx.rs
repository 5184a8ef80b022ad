//! Word documents that are broken, or made to do harm.

use std::time::{Duration, Instant};

use documents::{ExtractionFailureKind, FaultOrigin};

use crate::{
    docx_builder::{document_start, docx, docx_with_part, paragraph},
    extract,
};

async fn fail(content: &[u8]) -> (ExtractionFailureKind, String) {
    let started = Instant::now();
    let failure = extract(content, "rfq.docx").await.unwrap_err();
    assert!(started.elapsed() < Duration::from_secs(10), "{failure} after {:?}", started.elapsed());
    assert_eq!(failure.kind.origin(), FaultOrigin::File, "{failure}");
    (failure.kind, failure.reason)
}

#[tokio::test]
async fn external_and_nested_entities_are_refused() {
    let document = r#"<?xml version="1.0"?><!DOCTYPE d [<!ENTITY x SYSTEM "file:///etc/passwd">]>
        <w:document xmlns:w="w"><w:body><w:p><w:r><w:t>&x;</w:t></w:r></w:p></w:body></w:document>"#;
    let (kind, reason) = fail(&docx_with_part(document, &[])).await;
    assert_eq!(kind, ExtractionFailureKind::Damaged);
    assert!(reason.ends_with("word/document.xml has a document type, which is not allowed"), "{reason}");
    let (kind, reason) = fail(&docx(&paragraph("&x;"), &[])).await;
    assert_eq!(kind, ExtractionFailureKind::Damaged);
    assert!(reason.contains("it uses an entity"), "{reason}");
}

#[tokio::test]
async fn a_zip_bomb_is_refused() {
    let bomb = format!("{}{}", document_start(), " ".repeat(140 << 20));
    let (kind, reason) = fail(&docx_with_part(&bomb, &[])).await;
    assert_eq!(kind, ExtractionFailureKind::TooLarge);
    assert!(reason.starts_with("the content of the file is larger than 134217728 bytes"), "{reason}");
}

#[tokio::test]
async fn deep_nesting_broken_xml_and_broken_archives_are_refused() {
    let (kind, reason) = fail(&docx(&"<w:tbl>".repeat(100_000), &[])).await;
    assert_eq!(kind, ExtractionFailureKind::Damaged);
    assert!(reason.contains("nests more than 1000 elements"), "{reason}");
    let (_, reason) = fail(&docx_with_part(&format!("{}<w:body>", document_start()), &[])).await;
    assert!(reason.contains("it ends too early"), "{reason}");
    let file = docx(&paragraph("cut"), &[]);
    let (_, reason) = fail(&file[..file.len() - 30]).await;
    assert!(reason.contains("its archive cannot be read"), "{reason}");
}
