//! The memory of a worker is bounded for any uploaded files.

use std::io::Write as _;

use flate2::{Compression, write::ZlibEncoder};
use tests::{ProductInstance, ProductProcess, SignedInUser, document_work_settings};

use super::{
    pdf_file::write_pdf,
    uploads::{upload_file, wait_for_end},
};

/// The bound of a worker with the default concurrency that `docs/runbooks/document-analysis.md` states.
const MEMORY_LIMIT: u64 = 384 << 20;

/// The longest text that is extracted, in bytes, and the most lines that are analysed.
const LONGEST_TEXT: usize = 16 << 20;
const MOST_LINES: usize = 250_000;

/// A PDF file with a page of 512 MiB of content, from some megabytes.
fn decompression_bomb() -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    let block = vec![b'q'; 16 << 20];
    for _ in 0..32 {
        encoder.write_all(&block).unwrap();
    }
    let content = encoder.finish().unwrap();
    let mut file = b"%PDF-1.7\n1 0 obj\n<< /Type /Catalog /Pages 2 0 R >>\nendobj\n2 0 obj\n<< /Type /Pages /Kids [3 0 R] \
        /Count 1 >>\nendobj\n3 0 obj\n<< /Type /Page /Parent 2 0 R /MediaBox [0 0 9 9] /Contents 4 0 R >>\nendobj\n4 0 obj\n"
        .to_vec();
    write!(file, "<< /Filter /FlateDecode /Length {} >>\nstream\n", content.len()).unwrap();
    file.extend(content);
    file.extend(b"\nendstream\nendobj\ntrailer\n<< /Root 1 0 R >>\nstartxref\n0\n%%EOF\n");
    file
}

/// Files that are as large as is allowed, or made to do harm, each with how it ends.
fn hostile_files() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    // The most records of blocks, and the longest text, in few sentences: the program of the tests is slow.
    let items: Vec<_> = (0..MOST_LINES - 1).map(|line| format!("- x{line}\n")).collect();
    let words = "word ".repeat(LONGEST_TEXT / 5);
    let mut padded = write_pdf(&[&["The contractor shall deliver."]]);
    padded.extend(vec![b'%'; 40 << 20]);
    vec![
        ("items.txt", "ANALYSED", items.concat().into_bytes()),
        ("words.txt", "ANALYSED", words.clone().into_bytes()),
        ("words-again.txt", "ANALYSED", words.into_bytes()),
        ("too-long.txt", "FAILED", vec![b'a'; 40 << 20]),
        ("bomb.pdf", "FAILED", decompression_bomb()),
        ("padded.pdf", "ANALYSED", padded),
        ("cut.pdf", "FAILED", b"%PDF-1.7 not much of a document".to_vec()),
    ]
}

#[tokio::test]
async fn a_worker_stays_within_its_memory_with_any_uploads() {
    let product = ProductInstance::start().await;
    let ada = SignedInUser::register_company(&product, "ada", "acme").await;
    let mut variables = product.variables().clone();
    variables.extend(document_work_settings(2));
    let mut worker =
        ProductProcess::start(&variables, product.folder(), "worker", &["serve", "--role", "work"]).unwrap();
    let first = upload_file(&ada, "first.pdf", write_pdf(&[&["The contractor shall deliver."]])).await;
    assert_eq!(wait_for_end(&ada, &first).await.0, "ANALYSED");
    let idle = worker.peak_memory().unwrap();
    let mut uploaded = vec![];
    for (name, expected, content) in hostile_files() {
        uploaded.push((name, expected, upload_file(&ada, name, content).await));
    }
    for (name, expected, id) in uploaded {
        let (status, failure) = wait_for_end(&ada, &id).await;
        println!("{name}: {status} {failure}, worker at {} MiB", worker.peak_memory().unwrap() >> 20);
        assert_eq!(status, expected, "{name}: {failure}");
    }
    let peak = worker.peak_memory().unwrap();
    println!("peak memory of the worker: {} MiB, {} MiB before the large files", peak >> 20, idle >> 20);
    assert!(peak < MEMORY_LIMIT, "{peak}");
    worker.stop().await.unwrap();
}
