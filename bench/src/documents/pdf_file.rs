//! The PDF files that are analysed: pages of text, and a page whose text only its picture shows.

use std::fmt::Write as _;

/// What the pages say.
const LINES: [&str; 8] = [
    "SECTION C - DESCRIPTION / SPECIFICATIONS / STATEMENT OF WORK",
    "C.1 The contractor shall deliver 1,200 boxes of nitrile examination gloves",
    "to the VA Medical Center, 2501 W 22nd Street, Sioux Falls, SD 57105, no later",
    "than September 30, 2031. Partial deliveries must be approved in writing.",
    "C.2 The contractor shall submit a monthly status report to the contracting",
    "officer. Offers are due by May 5, 2031 at noon Eastern Time. The Government",
    "will evaluate past performance and price. Liquidated damages of $100 a day",
    "apply to each delivery that is late.",
];

/// Lines of a page.
const LINES_PER_PAGE: usize = 40;

/// A file with pages of text.
pub(super) fn write_text_pages(pages: usize) -> Vec<u8> {
    let kids: Vec<_> = (0..pages).map(|page| format!("{} 0 R", 4 + 2 * page)).collect();
    let mut objects = vec![
        "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
        format!("<< /Type /Pages /Kids [{}] /Count {pages} >>", kids.join(" ")),
        helvetica(),
    ];
    for page in 0..pages {
        let lines: Vec<_> = page_lines().map(|line| format!("({}) Tj T*", escape(line))).collect();
        objects.push(page_object(5 + 2 * page, "/F1 3 0 R"));
        objects
            .push(stream("", &format!("BT /F1 11 Tf 72 740 Td 16 TL ({}) Tj T*\n{}\nET", page + 1, lines.join("\n"))));
    }
    compose(&objects)
}

/// A file with a page in a font that draws whole lines, and does not say which characters they have: it is rendered and
/// read by character recognition, as a scanned page is.
pub(super) fn write_scanned_page() -> Vec<u8> {
    let lines: Vec<_> = page_lines().collect();
    let names: Vec<_> = (0..lines.len()).map(|line| format!("/g{line}")).collect();
    let procedures: Vec<_> = (0..lines.len()).map(|line| format!("/g{line} {} 0 R", 7 + line)).collect();
    let font = format!(
        "<< /Type /Font /Subtype /Type3 /FontBBox [0 -300 50000 1000] /FontMatrix [0.001 0 0 0.001 0 0] /FirstChar 1 \
         /LastChar {} /Widths [{}] /Encoding << /Type /Encoding /Differences [1 {}] >> /CharProcs << {} >> \
         /Resources << /Font << /F1 3 0 R >> >> >>",
        lines.len(),
        "50000 ".repeat(lines.len()),
        names.join(" "),
        procedures.join(" ")
    );
    let mut shown = String::new();
    for number in 1..=lines.len() {
        // Writing to a string cannot fail.
        let _written = writeln!(shown, "<{number:02x}> Tj T*");
    }
    let mut objects = vec![
        "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
        "<< /Type /Pages /Kids [4 0 R] /Count 1 >>".to_owned(),
        helvetica(),
        page_object(5, "/F1 3 0 R /F2 6 0 R"),
        stream("", &format!("BT /F2 11 Tf 72 740 Td 16 TL\n{shown}ET")),
        font,
    ];
    let glyph = |line: &str| stream("", &format!("50000 0 d0 BT /F1 1000 Tf 0 0 Td ({}) Tj ET", escape(line)));
    objects.extend(lines.into_iter().map(glyph));
    compose(&objects)
}

fn page_lines() -> impl Iterator<Item = &'static str> {
    LINES.into_iter().cycle().take(LINES_PER_PAGE)
}

fn escape(line: &str) -> String {
    line.replace('\\', "\\\\").replace('(', "\\(").replace(')', "\\)")
}

fn helvetica() -> String {
    "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>".to_owned()
}

fn page_object(content: usize, fonts: &str) -> String {
    format!(
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents {content} 0 R /Resources << /Font << {fonts} >> >> >>"
    )
}

fn stream(dictionary: &str, content: &str) -> String {
    format!("<< {dictionary} /Length {} >>\nstream\n{content}\nendstream", content.len())
}

/// A file of objects, numbered from 1; the first is the catalog.
fn compose(objects: &[String]) -> Vec<u8> {
    let (mut file, mut offsets) = ("%PDF-1.7\n".to_owned(), String::new());
    for (number, object) in (1..).zip(objects) {
        // Writing to a string cannot fail.
        let _written = writeln!(offsets, "{:010} 00000 n ", file.len());
        let _written = write!(file, "{number} 0 obj\n{object}\nendobj\n");
    }
    let (start, size) = (file.len(), objects.len() + 1);
    let _written = write!(
        file,
        "xref\n0 {size}\n0000000000 65535 f \n{offsets}trailer\n<< /Size {size} /Root 1 0 R >>\nstartxref\n{start}\n%%EOF\n"
    );
    file.into_bytes()
}
