//! A small PDF file with text, for the analysis of a document.

use std::fmt;

/// Name of the uploaded file.
pub(super) const FILE_NAME: &str = "rfq-ceiling-lifts.pdf";

/// The lines of each page of a request for quotations.
const PAGES: [&[&str]; 2] = [
    &[
        "1.1 Purpose",
        "The purpose of this request is to buy ceiling lifts for patients,",
        "with installation and maintenance, for twelve hospitals of the agency.",
    ],
    &[
        "2.1 Instructions",
        "Quotes are due by May 5, 2031 at noon Eastern Time.",
        "2.2 Work",
        "The contractor shall install all lifts within 90 days after award.",
        "The contractor shall submit a monthly status report.",
        "2.3 Evaluation",
        "The Government will evaluate past performance.",
        "Liquidated damages apply.",
    ],
];

/// The content of the file.
pub(super) fn write_solicitation() -> String {
    write_pdf(&PAGES)
}

/// A PDF file with a page for each list of lines. Lines are ASCII, without parentheses and backslashes.
fn write_pdf(pages: &[&[&str]]) -> String {
    let kids: Vec<_> = (0..pages.len()).map(|page| format!("{} 0 R", 4 + 2 * page)).collect();
    let mut objects = vec![
        "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
        format!("<< /Type /Pages /Kids [{}] /Count {} >>", kids.join(" "), pages.len()),
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>".to_owned(),
    ];
    for (page, lines) in pages.iter().enumerate() {
        // Each `Tj` shows a line, each `T*` begins the next one.
        let content = format!("BT /F1 12 Tf 72 720 Td 16 TL\n({}) Tj\nET", lines.join(") Tj T*\n("));
        objects.push(format!(
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents {} 0 R \
             /Resources << /Font << /F1 3 0 R >> >> >>",
            5 + 2 * page
        ));
        objects.push(format!("<< /Length {} >>\nstream\n{content}\nendstream", content.len()));
    }
    let mut file = "%PDF-1.7\n".to_owned();
    let mut offsets = String::new();
    for (object, number) in objects.iter().zip(1..) {
        append(&mut offsets, format_args!("{:010} 00000 n \n", file.len()));
        append(&mut file, format_args!("{number} 0 obj\n{object}\nendobj\n"));
    }
    let (start, size) = (file.len(), objects.len() + 1);
    append(&mut file, format_args!("xref\n0 {size}\n0000000000 65535 f \n{offsets}"));
    append(&mut file, format_args!("trailer\n<< /Size {size} /Root 1 0 R >>\nstartxref\n{start}\n%%EOF\n"));
    file
}

fn append(text: &mut String, more: fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _written = fmt::Write::write_fmt(text, more);
}

#[cfg(test)]
mod tests {
    use super::write_solicitation;

    #[test]
    fn the_table_of_a_pdf_file_names_where_each_object_begins() {
        let file = write_solicitation();
        let (start, end) = file.rsplit_once("startxref\n").unwrap();
        assert!(start.ends_with("/Root 1 0 R >>\n"), "{start}");
        let table: usize = end.lines().next().unwrap().parse().unwrap();
        let rows = file[table..].lines().skip(3).take_while(|row| row.ends_with(" n "));
        let offsets: Vec<usize> = rows.map(|row| row[..10].parse().unwrap()).collect();
        assert_eq!(offsets.len(), 7);
        for (offset, number) in offsets.iter().zip(1..) {
            assert!(file[*offset..].starts_with(&format!("{number} 0 obj\n")), "object {number} at {offset}");
        }
    }
}
