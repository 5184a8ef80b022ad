//! Files as people upload them.

use std::{
    fmt::Write as _,
    time::{Duration, Instant},
};

use documents::{ExtractionFailureKind, FaultOrigin, FileType, PageTextSource, TextMethod};

use crate::{
    docx_builder::{docx, paragraph},
    extract, page_texts,
    pdf_builder::{one_page, stream, text_content, text_pdf},
};

const LINES: [&str; 4] = [
    "3.1 Delivery of surgical gloves",
    "The contractor shall deliver all items within thirty days after the award of",
    "the contract (FOB destination), and must notify the contracting officer of a",
    "delay at once.",
];

#[tokio::test]
async fn a_pdf_with_text_is_read_page_by_page() {
    let text = extract(&text_pdf(&[LINES.to_vec(), vec!["Annex A", "Price: 12,500.00 USD"]]), "rfp.pdf").await.unwrap();
    assert_eq!(page_texts(&text), [LINES.join("\n"), "Annex A\nPrice: 12,500.00 USD".to_owned()]);
    assert_eq!((text.file_type, text.method), (FileType::Pdf, TextMethod::Native));
    assert_eq!(text.language.as_deref(), Some("en"));
    assert_eq!(text.pages[1].number, 2);
}

#[tokio::test]
async fn thirty_pages_take_less_than_three_seconds() {
    let page: Vec<&str> = LINES.into_iter().cycle().take(44).collect();
    let file = text_pdf(&vec![page; 30]);
    let started = Instant::now();
    let text = extract(&file, "rfp.pdf").await.unwrap();
    let took = started.elapsed();
    println!("30 pages with {} characters: {took:?}", text.character_count());
    assert_eq!(text.pages.len(), 30);
    assert!(took < Duration::from_secs(3), "{took:?}");
}

#[tokio::test]
async fn the_values_of_form_fields_are_part_of_the_text() {
    let field =
        b"<< /Type /Annot /Subtype /Widget /FT /Tx /T (solicitation) /V (36C24526R0042) /Rect [72 600 300 620] >>";
    let file = one_page(stream("", text_content(&LINES).as_bytes()), "", vec![field.to_vec()]);
    let file = String::from_utf8(file).unwrap().replace("/Contents 4 0 R", "/Contents 4 0 R /Annots [6 0 R]");
    // The offsets behind the page have moved: readers repair that.
    let text = extract(file.as_bytes(), "sf1449.pdf").await.unwrap();
    assert_eq!(text.pages[0].text, format!("{}\n36C24526R0042", LINES.join("\n")));
}

#[tokio::test]
async fn a_word_document_is_read_with_numbers_tables_and_pages() {
    let numbering = r#"<w:numbering xmlns:w="w"><w:abstractNum w:abstractNumId="0"><w:lvl w:ilvl="0"><w:start w:val="1"/>
        <w:numFmt w:val="decimal"/><w:lvlText w:val="%1."/></w:lvl></w:abstractNum>
        <w:num w:numId="5"><w:abstractNumId w:val="0"/></w:num></w:numbering>"#;
    let item = |text: &str| {
        format!(
            "<w:p><w:pPr><w:numPr><w:ilvl w:val=\"0\"/><w:numId w:val=\"5\"/></w:numPr></w:pPr><w:r><w:t>{text}</w:t></w:r></w:p>"
        )
    };
    let cell = |text: &str| format!("<w:tc>{}</w:tc>", paragraph(text));
    let body = [
        paragraph("Scope &amp; terms &#167; 5"),
        item("Gloves"),
        item("Masks"),
        format!("<w:tbl><w:tr>{}{}</w:tr></w:tbl>", cell("Quotes due"), cell("May 15, 2026")),
        "<w:p><w:r><w:t>before</w:t><w:br w:type=\"page\"/></w:r><w:r><w:lastRenderedPageBreak/><w:t>after</w:t></w:r></w:p>"
            .to_owned(),
        "<w:p><w:del><w:r><w:delText>never</w:delText></w:r></w:del><w:ins><w:r><w:t>always</w:t></w:r></w:ins></w:p>"
            .to_owned(),
        "<mc:AlternateContent><mc:Choice><w:p><w:r><w:t>box</w:t></w:r></w:p></mc:Choice><mc:Fallback><w:p><w:r><w:t>box</w:t>\
         </w:r></w:p></mc:Fallback></mc:AlternateContent>"
            .to_owned(),
    ];
    let header = format!("<w:hdr xmlns:w=\"w\">{}</w:hdr>", paragraph("RFQ 12"));
    let further = [("word/numbering.xml", numbering), ("word/header1.xml", &header), ("word/header2.xml", &header)];
    let text = extract(&docx(&body.concat(), &further), "rfq.docx").await.unwrap();
    assert_eq!(
        page_texts(&text),
        ["RFQ 12\nScope & terms § 5\n1. Gloves\n2. Masks\nQuotes due | May 15, 2026\nbefore", "after\nalways\nbox"]
    );
    assert_eq!(text.file_type, FileType::Docx);
}

#[tokio::test]
async fn the_content_decides_and_not_the_name() {
    let text = extract(&text_pdf(&[LINES.to_vec()]), "rfq.docx").await.unwrap();
    assert_eq!(text.file_type, FileType::Pdf);
    let text = extract(
        "Plazo de entrega: el contratista deberá entregar todos los guantes dentro de treinta días después de la \
                   adjudicación del contrato."
            .as_bytes(),
        "a.pdf",
    )
    .await;
    assert_eq!(text.unwrap().language.as_deref(), Some("es"));
    let noise: Vec<u8> = (0..=255).cycle().take(5000).collect();
    let failure = extract(&noise, "rfp.pdf").await.unwrap_err();
    assert_eq!((failure.kind, failure.kind.origin()), (ExtractionFailureKind::UnsupportedType, FaultOrigin::File));
    let failure = extract(b"", "rfp.pdf").await.unwrap_err();
    assert_eq!(failure.reason, "the file is empty");
}

#[tokio::test]
async fn a_page_without_anything_stays_empty_and_a_file_of_such_pages_is_reported() {
    let text = extract(&text_pdf(&[vec![], LINES.to_vec()]), "rfp.pdf").await.unwrap();
    assert_eq!((text.pages[0].text.as_str(), text.pages[0].source), ("", PageTextSource::Native));
    let failure = extract(&text_pdf(&[vec![]]), "rfp.pdf").await.unwrap_err();
    assert_eq!(
        (failure.kind, failure.reason.as_str()),
        (ExtractionFailureKind::NoText, "the file contains no readable text")
    );
}

/// Two columns of running text, whose lines the file contains in turn.
#[tokio::test]
async fn columns_are_read_one_after_the_other() {
    let left = [
        "The contractor shall clean the",
        "pumps of all wards each week,",
        "and shall report what it has",
        "found to the nurse who is",
        "responsible.",
    ];
    let right = [
        "Invoices are sent to the office",
        "at the end of each month, and",
        "are paid within thirty days of",
        "receipt, unless the office has",
        "objections.",
    ];
    let mut content = "BT /F1 10 Tf\n".to_owned();
    for (index, (left, right)) in left.iter().zip(right).enumerate() {
        let y = 700 - 14 * index;
        writeln!(content, "1 0 0 1 72 {y} Tm ({left}) Tj 1 0 0 1 320 {y} Tm ({right}) Tj").unwrap();
    }
    content += "ET";
    let text = extract(&one_page(stream("", content.as_bytes()), "", vec![]), "rfp.pdf").await.unwrap();
    assert_eq!(text.pages[0].text, [left, right].concat().join("\n"));
}
