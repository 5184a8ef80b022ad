//! The score of real documents.

use std::fs;

use documents::{ExtractionLimits, ExtractionProcess};

use crate::{config_with, extraction_program, test_tools};

/// The draft's truth is another version of the document, which makes nearly all of the difference: its security requirements
/// are those of another agency, and it has no numbers of sections.
#[tokio::test]
async fn real_documents_are_read_nearly_completely() {
    let Some(folder) = test_tools::real_documents() else { return };
    for name in ["tdrs-draft-rfq.pdf", "tdrs-final-rfq.docx"] {
        let truth = folder.join(name.split('.').next().unwrap()).with_extension("truth.md");
        let truth = test_tools::markdown_text(&fs::read_to_string(truth).unwrap());
        let process = ExtractionProcess::new(extraction_program(), config_with(ExtractionLimits::default()));
        let text = process.extract(&folder.join(name), name).await.unwrap();
        let pages: Vec<_> = text.pages.iter().map(|page| page.text.as_str()).collect();
        let score = test_tools::token_f1(&pages.join("\n"), &truth);
        println!("{name}: {} pages, F1 {score:.4}", pages.len());
        assert!(score >= 0.971, "{name}: {score}");
    }
}

#[tokio::test]
async fn all_real_documents_are_read() {
    let Some(folder) = test_tools::real_documents() else { return };
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        let process = ExtractionProcess::new(extraction_program(), config_with(ExtractionLimits::default()));
        let text = process.extract(&path, name).await.unwrap();
        println!("{name}: {:?}, {} pages, {} characters", text.method, text.pages.len(), text.character_count());
        assert_eq!(text.language.as_deref(), Some("en"), "{name}");
    }
}
