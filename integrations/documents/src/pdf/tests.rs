//! Pages are rendered as a scanner would, and read back.

use std::{
    fs,
    time::{Duration, Instant},
};

use super::*;
use crate::{ExtractedText, SourceFile, TextMethod, extract_text, test_tools};

#[path = "../../tests/extraction/pdf_builder.rs"]
#[expect(dead_code, reason = "shared with the tests of the child process")]
mod pdf_builder;

/// Renders pages at 150 dpi into images.
fn scan(content: &[u8], config: &ExtractionConfig, pages: &[u32]) -> Vec<GreyImage> {
    let session = PdfiumSession::open(&config.pdfium_library().unwrap()).unwrap();
    let document = session.open_document(content).unwrap();
    let scan_page = |index: &u32| {
        let page = document.open_page(*index).unwrap();
        let (width, height) = (1275, 1650);
        GreyImage { width, height, pixels: page.render(width, height).unwrap(), dots_per_inch: 150 }
    };
    pages.iter().map(scan_page).collect()
}

fn read(content: &[u8], config: &ExtractionConfig) -> ExtractedText {
    let folder = tempfile::tempdir().unwrap();
    extract_text(SourceFile { content, file_name: "scan.pdf" }, config, folder.path()).unwrap()
}

#[test]
fn a_scanned_page_is_read_in_less_than_five_seconds() {
    let lines = [
        "SECTION C - DESCRIPTION / SPECIFICATIONS / STATEMENT OF WORK",
        "C.1 The contractor shall deliver 1,200 boxes of nitrile examination gloves",
        "to the VA Medical Center, 2501 W 22nd Street, Sioux Falls, SD 57105, no later",
        "than September 30, 2026. Partial deliveries must be approved in writing.",
    ];
    let page: Vec<&str> = lines.into_iter().cycle().take(40).collect();
    let config = test_tools::extraction_config();
    let image = &scan(&pdf_builder::text_pdf(std::slice::from_ref(&page)), &config, &[0])[0];
    let started = Instant::now();
    let text = read(&pdf_builder::image_pdf(image.width, &image.pixels), &config);
    let took = started.elapsed();
    let score = test_tools::token_f1(&text.pages[0].text, &page.join(" "));
    println!("a scanned page: F1 {score:.4}, {took:?}");
    assert_eq!(text.method, TextMethod::Ocr);
    assert!(score > 0.97, "{score}: {}", text.pages[0].text);
    assert!(took < Duration::from_secs(5), "{took:?}");
}

#[test]
fn scanned_pages_of_a_real_document_are_read() {
    let Some(folder) = test_tools::real_documents() else { return };
    let config = test_tools::extraction_config();
    let content = fs::read(folder.join("tdrs-draft-rfq.pdf")).unwrap();
    let truth = read(&content, &config);
    let count = u32::try_from(truth.pages.len()).unwrap();
    // A table, and running text. `MEDHUB_TEST_ALL_PAGES=1` reads all pages and takes two minutes.
    let pages: Vec<u32> =
        if std::env::var_os("MEDHUB_TEST_ALL_PAGES").is_some() { (0..count).collect() } else { vec![1, 4] };
    let (mut read_back, mut expected) = (String::new(), String::new());
    let started = Instant::now();
    for (image, index) in scan(&content, &config, &pages).iter().zip(&pages) {
        read_back += &read(&pdf_builder::image_pdf(image.width, &image.pixels), &config).pages[0].text;
        read_back.push('\n');
        expected += &truth.pages[*index as usize].text;
        expected.push('\n');
    }
    let score = test_tools::token_f1(&read_back, &expected);
    println!("{} scanned pages: F1 {score:.4}, {:?}", pages.len(), started.elapsed());
    if pages.len() == truth.pages.len() {
        let markdown = fs::read_to_string(folder.join("tdrs-draft-rfq.truth.md")).unwrap();
        let score = test_tools::token_f1(&read_back, &test_tools::markdown_text(&markdown));
        println!("compared with the Markdown: F1 {score:.4}");
    }
    assert!(score >= 0.9, "{score}");
}

/// A TIFF file of grey images without compression.
fn compose_tiff(images: &[GreyImage]) -> Vec<u8> {
    let number = |value: usize| u32::try_from(value).unwrap();
    let mut file = b"II\x2a\0".to_vec();
    file.extend(8_u32.to_le_bytes());
    for (index, image) in images.iter().enumerate() {
        const ENTRIES: usize = 9;
        let pixels = file.len() + 2 + 12 * ENTRIES + 4;
        // Width, height, bits, compression, black is zero, offset, samples, rows and bytes of the only strip.
        let entries = [
            (256, image.width),
            (257, image.height),
            (258, 8),
            (259, 1),
            (262, 1),
            (273, pixels),
            (277, 1),
            (278, image.height),
            (279, image.pixels.len()),
        ];
        file.extend(u16::try_from(ENTRIES).unwrap().to_le_bytes());
        for (tag, value) in entries {
            file.extend(u16::try_from(tag).unwrap().to_le_bytes());
            file.extend([4, 0, 1, 0, 0, 0]);
            file.extend(number(value).to_le_bytes());
        }
        let next = if index + 1 < images.len() { pixels + image.pixels.len() } else { 0 };
        file.extend(number(next).to_le_bytes());
        file.extend(&image.pixels);
    }
    file
}

#[test]
fn an_image_file_is_read_with_all_its_pages() {
    let config = test_tools::extraction_config();
    let file = pdf_builder::text_pdf(&[vec!["Statement of work", "Price schedule"], vec!["Second annex"]]);
    let mut images = scan(&file, &config, &[0, 1]);
    for image in &mut images {
        image.height = 300;
        image.pixels.truncate(image.width * image.height);
    }
    let text = read(&compose_tiff(&images), &config);
    let pages: Vec<&str> = text.pages.iter().map(|page| page.text.as_str()).collect();
    assert_eq!(pages, ["Statement of work\nPrice schedule", "Second annex"]);
    assert_eq!((text.file_type, text.method), (FileType::Tiff, TextMethod::Ocr));
}
