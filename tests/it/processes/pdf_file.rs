//! Small PDF files.

use std::fmt::Write as _;

/// A PDF file with a page for each list of lines.
pub(crate) fn write_pdf(pages: &[&[&str]]) -> Vec<u8> {
    let kids = (0..pages.len()).map(|page| format!("{} 0 R", 4 + 2 * page)).collect::<Vec<_>>().join(" ");
    let mut objects = vec![
        "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
        format!("<< /Type /Pages /Kids [{kids}] /Count {} >>", pages.len()),
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>".to_owned(),
    ];
    for (index, lines) in pages.iter().enumerate() {
        let content = lines.iter().map(|line| format!("({line}) Tj T*")).collect::<Vec<_>>().join("\n");
        let content = format!("BT /F1 12 Tf 72 720 Td 16 TL\n{content}\nET");
        objects.push(format!(
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents {} 0 R \
             /Resources << /Font << /F1 3 0 R >> >> >>",
            5 + 2 * index
        ));
        objects.push(format!("<< /Length {} >>\nstream\n{content}\nendstream", content.len()));
    }
    compose(&objects)
}

/// A PDF file of one page in a font that draws whole lines, and does not say which characters they have: it is rendered
/// and read by character recognition, as a scanned page is.
pub(crate) fn write_scanned_pdf(lines: &[&str]) -> Vec<u8> {
    let join = |part: &dyn Fn(usize) -> String| (0..lines.len()).map(part).collect::<Vec<_>>().join(" ");
    let font = format!(
        "<< /Type /Font /Subtype /Type3 /FontBBox [0 -300 50000 1000] /FontMatrix [0.001 0 0 0.001 0 0] /FirstChar 1 \
         /LastChar {} /Widths [{}] /Encoding << /Type /Encoding /Differences [1 {}] >> /CharProcs << {} >> \
         /Resources << /Font << /F1 3 0 R >> >> >>",
        lines.len(),
        join(&|_| "50000".to_owned()),
        join(&|line| format!("/g{line}")),
        join(&|line| format!("/g{line} {} 0 R", 7 + line))
    );
    let stream = |content: String| format!("<< /Length {} >>\nstream\n{content}\nendstream", content.len());
    let shown = join(&|line| format!("<{:02x}> Tj T*", line + 1));
    let mut objects = vec![
        "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
        "<< /Type /Pages /Kids [4 0 R] /Count 1 >>".to_owned(),
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>".to_owned(),
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 5 0 R \
         /Resources << /Font << /F1 3 0 R /F2 6 0 R >> >> >>"
            .to_owned(),
        stream(format!("BT /F2 11 Tf 72 740 Td 16 TL\n{shown}\nET")),
        font,
    ];
    objects.extend(lines.iter().map(|line| stream(format!("50000 0 d0 BT /F1 1000 Tf 0 0 Td ({line}) Tj ET"))));
    compose(&objects)
}

/// A file of objects, numbered from 1; the first is the catalog.
fn compose(objects: &[String]) -> Vec<u8> {
    let (mut file, mut offsets) = ("%PDF-1.7\n".to_owned(), String::new());
    for (object, number) in objects.iter().zip(1..) {
        writeln!(offsets, "{:010} 00000 n ", file.len()).unwrap();
        writeln!(file, "{number} 0 obj\n{object}\nendobj").unwrap();
    }
    let (start, size) = (file.len(), objects.len() + 1);
    write!(
        file,
        "xref\n0 {size}\n0000000000 65535 f \n{offsets}trailer\n<< /Size {size} /Root 1 0 R >>\nstartxref\n{start}\n%%EOF\n"
    )
    .unwrap();
    file.into_bytes()
}
