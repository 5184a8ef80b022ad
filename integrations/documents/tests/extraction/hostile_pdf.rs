//! PDF files that are broken, or made to do harm.

use std::time::{Duration, Instant};

use documents::{ExtractionFailureKind, ExtractionLimits, FaultOrigin, MAX_EXTRACTION_MEMORY_BYTES, TextMethod};
use nix::sys::resource::{UsageWho, getrusage};

use crate::{
    extract, extract_within, page_texts,
    pdf_builder::{
        IMAGE_CONTENT, compose_pdf, compressed_bytes, image_dictionary, one_page, stream, text_content, text_pdf,
    },
};

/// The failure of a file, which must come soon.
async fn fail(content: &[u8]) -> (ExtractionFailureKind, String) {
    let started = Instant::now();
    let failure = extract(content, "rfp.pdf").await.unwrap_err();
    assert!(started.elapsed() < Duration::from_secs(20), "{failure} after {:?}", started.elapsed());
    assert_eq!(failure.kind.origin(), FaultOrigin::File, "{failure}");
    (failure.kind, failure.reason)
}

#[tokio::test]
async fn an_encrypted_file_is_refused_with_advice() {
    let file = text_pdf(&[vec!["secret"]]);
    let digits = "ab".repeat(32);
    let encrypt =
        format!("/ID [<00> <00>] /Encrypt << /Filter /Standard /V 1 /R 2 /P -4 /O <{digits}> /U <{digits}> >> >>");
    let file = String::from_utf8(file).unwrap().replace("/Root 1 0 R  >>", &format!("/Root 1 0 R {encrypt}"));
    let (kind, reason) = fail(file.as_bytes()).await;
    assert_eq!(kind, ExtractionFailureKind::Encrypted);
    assert_eq!(reason, "the file is encrypted with a password; remove the password and upload it again");
}

#[tokio::test]
async fn a_truncated_file_is_damaged_or_read_as_far_as_it_goes() {
    let file = text_pdf(&[vec!["The first page has a sentence."], vec!["The second page has another."]]);
    let (kind, reason) = fail(&file[..60]).await;
    assert_eq!(kind, ExtractionFailureKind::Damaged);
    assert_eq!(reason, "the PDF file is damaged or incomplete: its end is missing");
    let without_table = file.windows(4).rposition(|window| window == b"xref").unwrap();
    let text = extract(&file[..without_table], "rfp.pdf").await.unwrap();
    assert_eq!(text.pages[1].text, "The second page has another.");
}

/// Requirements of such a page would be missing without a word.
#[tokio::test]
async fn damaged_pages_are_listed_and_half_of_them_are_a_damaged_file() {
    let pages: Vec<_> = ["first", "second", "third", "fourth"].map(|page| vec![page]).into_iter().collect();
    let file = String::from_utf8(text_pdf(&pages)).unwrap();
    let damaged = file.replace("/Kids [4 0 R 6 0 R", "/Kids [4 0 R 99 0 R");
    let text = extract(damaged.as_bytes(), "rfp.pdf").await.unwrap();
    assert_eq!(page_texts(&text), ["first", "", "third", "fourth"]);
    assert_eq!(text.unreadable_pages, [2]);
    let damaged = damaged.replace("8 0 R 10 0 R]", "99 0 R 10 0 R]");
    let (kind, reason) = fail(damaged.as_bytes()).await;
    assert_eq!(kind, ExtractionFailureKind::Damaged);
    let expected = "the PDF file is damaged or incomplete: 2 of its 4 pages cannot be read, first page 2";
    assert_eq!(reason, expected);
}

#[tokio::test]
async fn too_many_pages_are_refused_before_they_are_read() {
    let file = String::from_utf8(text_pdf(&[vec!["one"]])).unwrap().replace("/Count 1", "/Count 12000");
    let (kind, reason) = fail(file.as_bytes()).await;
    assert_eq!(
        (kind, reason.as_str()),
        (ExtractionFailureKind::TooLarge, "the file has 12000 pages, at most 2000 are read; split it")
    );
}

#[tokio::test]
async fn circles_among_pages_and_forms_end() {
    let objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        "<< /Type /Pages /Kids [3 0 R 2 0 R] /Count 40 >>",
        "<< /Type /Pages /Kids [2 0 R 3 0 R] /Count 20 >>",
    ];
    let (kind, _) = fail(&compose_pdf(&objects.map(|object| object.as_bytes().to_vec()), "")).await;
    assert_eq!(kind, ExtractionFailureKind::Damaged);

    let form =
        stream("/Type /XObject /Subtype /Form /BBox [0 0 9 9] /Resources << /XObject << /X 6 0 R >> >>", b"/X Do");
    let (kind, _) = fail(&one_page(stream("", b"/X Do"), "/XObject << /X 6 0 R >>", vec![form])).await;
    assert_eq!(kind, ExtractionFailureKind::NoText);
}

/// Each form shows the next one ten times, the last one a line: 10^12 lines from 2 kB.
#[tokio::test]
async fn a_file_that_computes_for_ever_is_stopped() {
    let forms: Vec<Vec<u8>> = (0..12)
        .map(|level| {
            let dictionary = format!(
                "/Type /XObject /Subtype /Form /BBox [0 0 612 792] /Resources << /XObject << /X {} 0 R >> >>",
                7 + level
            );
            stream(&dictionary, "/X Do\n".repeat(10).as_bytes())
        })
        .chain([stream("/Type /XObject /Subtype /Form /BBox [0 0 612 792]", b"0 0 m 9 9 l S")])
        .collect();
    let file = one_page(stream("", b"/X Do"), "/XObject << /X 6 0 R >>", forms);
    let limits = ExtractionLimits { cpu_seconds: 1, ..ExtractionLimits::default() };
    let started = Instant::now();
    let failure = extract_within(&file, "rfp.pdf", limits).await.unwrap_err();
    println!("{failure} after {:?}", started.elapsed());
    assert!(
        matches!(failure.kind, ExtractionFailureKind::CpuTimeExceeded | ExtractionFailureKind::MemoryExceeded),
        "{failure}"
    );
}

/// 2 GiB of content from 2 MB: the process stays below its memory limit, even if the file cannot be read.
#[tokio::test]
async fn a_decompression_bomb_stays_within_the_limit_of_memory() {
    let content = stream("/Filter /FlateDecode", &compressed_bytes(b'q', 128));
    let started = Instant::now();
    let outcome = extract(&one_page(content, "", vec![]), "rfp.pdf").await;
    let failure = outcome.unwrap_err();
    println!("{failure} after {:?}", started.elapsed());
    assert_eq!(failure.kind.origin(), FaultOrigin::File, "{failure}");
    let largest = getrusage(UsageWho::RUSAGE_CHILDREN).unwrap().max_rss().cast_unsigned() * 1024;
    println!("largest child process: {} MiB", largest >> 20);
    assert!(largest < MAX_EXTRACTION_MEMORY_BYTES, "{largest}");
}

#[tokio::test]
async fn huge_images_are_refused_before_they_are_decoded() {
    let image = stream(&image_dictionary(20_000, 20_000), &compressed_bytes(0, 24));
    let (kind, reason) = fail(&one_page(stream("", IMAGE_CONTENT), "/XObject << /Im1 6 0 R >>", vec![image])).await;
    assert_eq!(kind, ExtractionFailureKind::TooLarge);
    assert!(reason.starts_with("page 1 has an image of 20000 x 20000 pixels"), "{reason}");

    let mut png = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR".to_vec();
    png.extend([0, 0, 0x4e, 0x20, 0, 0, 0x4e, 0x20, 8, 0, 0, 0, 0]);
    let (kind, _) = fail(&png).await;
    assert_eq!(kind, ExtractionFailureKind::TooLarge);
}

#[tokio::test]
async fn a_damaged_image_is_the_files_fault() {
    let mut png = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR".to_vec();
    png.extend([0, 0, 1, 0, 0, 0, 1, 0, 8, 0, 0, 0, 0, 1, 2, 3, 4]);
    png.extend([7; 500]);
    let (kind, reason) = fail(&png).await;
    assert_eq!(kind, ExtractionFailureKind::Damaged, "{reason}");
    assert!(reason.starts_with("character recognition failed at the image: "), "{reason}");
}

/// Each glyph of the font draws a word, and nothing says which: only the picture of the page can be read.
#[tokio::test]
async fn a_font_without_mapping_is_read_by_character_recognition() {
    let words = ["Delivery", "of", "surgical", "gloves", "within", "thirty", "days", "after", "award"];
    let names: Vec<String> = (0..words.len()).map(|index| format!("/g{index}")).collect();
    let procedures: Vec<String> = (0..words.len()).map(|index| format!("/g{index} {} 0 R", 7 + index)).collect();
    let font = format!(
        "<< /Type /Font /Subtype /Type3 /FontBBox [0 0 5000 1000] /FontMatrix [0.001 0 0 0.001 0 0] /FirstChar 1 \
         /LastChar {} /Widths [{}] /Encoding << /Type /Encoding /Differences [1 {}] >> /CharProcs << {} >> \
         /Resources << /Font << /F1 5 0 R >> >> >>",
        words.len(),
        "4500 ".repeat(words.len()),
        names.join(" "),
        procedures.join(" ")
    );
    let glyphs = words.map(|word| stream("", format!("4500 0 d0 BT /F1 1000 Tf 0 0 Td ({word}) Tj ET").as_bytes()));
    let line = "BT /F2 24 Tf 60 600 Td 40 TL <010203> Tj T* <040506> Tj T* <070809> Tj ET";
    let further = [font.into_bytes()].into_iter().chain(glyphs).collect();
    let file = one_page(stream("", line.as_bytes()), "", further);
    let file = String::from_utf8(file).unwrap().replace("/F1 5 0 R >>  >> >>", "/F1 5 0 R /F2 6 0 R >> >> >>");
    let text = extract(file.as_bytes(), "rfp.pdf").await.unwrap();
    assert_eq!(text.method, TextMethod::Ocr, "{:?}", text.pages);
    // The wide spaces may be read as dashes.
    let is_word = |word: &&str| word.starts_with(char::is_alphabetic);
    let read: Vec<&str> = text.pages[0].text.split_whitespace().filter(is_word).collect();
    assert_eq!(read, words);
}

#[tokio::test]
async fn too_much_text_is_refused() {
    let file = text_pdf(&vec![vec!["The contractor shall deliver."; 40]; 3]);
    let limits = ExtractionLimits { max_text_bytes: 2000, ..ExtractionLimits::default() };
    let failure = extract_within(&file, "rfp.pdf", limits).await.unwrap_err();
    assert_eq!(failure.reason, "the text of the file is longer than 2000 bytes; split it");
    assert!(text_content(&["("]).contains("\\("));
}
