//! Writes PDF files.

use std::io::Write as _;

use flate2::{Compression, FlushCompress, write::ZlibEncoder};

/// Composes a file from its objects, numbered from 1; the first is the catalog. `trailer` goes into the trailer.
pub(crate) fn compose_pdf(objects: &[Vec<u8>], trailer: &str) -> Vec<u8> {
    let mut file = b"%PDF-1.7\n".to_vec();
    let mut offsets = Vec::new();
    for (index, object) in objects.iter().enumerate() {
        offsets.push(file.len());
        writeln!(file, "{} 0 obj", index + 1).unwrap();
        file.extend_from_slice(object);
        file.extend_from_slice(b"\nendobj\n");
    }
    let start = file.len();
    writeln!(file, "xref\n0 {}\n0000000000 65535 f ", objects.len() + 1).unwrap();
    for offset in offsets {
        writeln!(file, "{offset:010} 00000 n ").unwrap();
    }
    writeln!(file, "trailer\n<< /Size {} /Root 1 0 R {trailer} >>", objects.len() + 1).unwrap();
    writeln!(file, "startxref\n{start}\n%%EOF").unwrap();
    file
}

/// A stream object.
pub(crate) fn stream(dictionary: &str, content: &[u8]) -> Vec<u8> {
    let mut object = format!("<< {dictionary} /Length {} >>\nstream\n", content.len()).into_bytes();
    object.extend_from_slice(content);
    object.extend_from_slice(b"\nendstream");
    object
}

/// The content of a page with lines of text in 12 points.
pub(crate) fn text_content(lines: &[&str]) -> String {
    let mut content = "BT /F1 12 Tf 72 720 Td 16 TL\n".to_owned();
    for line in lines {
        let line = line.replace('\\', "\\\\").replace('(', "\\(").replace(')', "\\)");
        content += "(";
        content += &line;
        content += ") Tj T*\n";
    }
    content + "ET"
}

/// A file with one page of letter size: `resources` are the entries of its resources beside the font F1, and further
/// objects follow from number 6 on.
pub(crate) fn one_page(content: Vec<u8>, resources: &str, further: Vec<Vec<u8>>) -> Vec<u8> {
    let page = format!(
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> \
         {resources} >> >>"
    );
    let mut objects = vec![
        b"<< /Type /Catalog /Pages 2 0 R >>".to_vec(),
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>".to_vec(),
        page.into_bytes(),
        content,
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>".to_vec(),
    ];
    objects.extend(further);
    compose_pdf(&objects, "")
}

/// A file with pages of text.
pub(crate) fn text_pdf(pages: &[Vec<&str>]) -> Vec<u8> {
    let kids: Vec<String> = (0..pages.len()).map(|index| format!("{} 0 R", 4 + 2 * index)).collect();
    let mut objects = vec![
        b"<< /Type /Catalog /Pages 2 0 R >>".to_vec(),
        format!("<< /Type /Pages /Kids [{}] /Count {} >>", kids.join(" "), pages.len()).into_bytes(),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>".to_vec(),
    ];
    for (index, lines) in pages.iter().enumerate() {
        let page = format!(
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents {} 0 R /Resources << /Font << /F1 3 0 R >> \
             >> >>",
            5 + 2 * index
        );
        objects.push(page.into_bytes());
        objects.push(stream("", text_content(lines).as_bytes()));
    }
    compose_pdf(&objects, "")
}

/// The content of a page that shows the image `Im1` on all of it.
pub(crate) const IMAGE_CONTENT: &[u8] = b"q 612 0 0 792 0 0 cm /Im1 Do Q";

/// A file of one page that is a grey image of `width` pixels in a row.
pub(crate) fn image_pdf(width: usize, pixels: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(pixels).unwrap();
    let dictionary = image_dictionary(width, pixels.len() / width);
    let image = stream(&dictionary, &encoder.finish().unwrap());
    one_page(stream("", IMAGE_CONTENT), "/XObject << /Im1 6 0 R >>", vec![image])
}

pub(crate) fn image_dictionary(width: usize, height: usize) -> String {
    format!(
        "/Type /XObject /Subtype /Image /Width {width} /Height {height} /ColorSpace /DeviceGray /BitsPerComponent 8 \
         /Filter /FlateDecode"
    )
}

/// A zlib stream of `chunks` times 16 MiB of one byte, without a valid end.
pub(crate) fn compressed_bytes(byte: u8, chunks: usize) -> Vec<u8> {
    const CHUNK: usize = 16 << 20;
    let mut deflate = flate2::Compress::new(Compression::default(), false);
    let mut block = Vec::with_capacity(1 << 20);
    deflate.compress_vec(&vec![byte; CHUNK], &mut block, FlushCompress::Full).unwrap();
    assert_eq!(deflate.total_in(), CHUNK as u64);
    let mut stream = vec![0x78, 0x9c];
    for _ in 0..chunks {
        stream.extend_from_slice(&block);
    }
    stream
}
