//! What one extraction may cost.

use serde::{Deserialize, Serialize};

/// The address space that the child process may use, and so the most memory; `tesseract`, which it starts for one page
/// at a time, is another process with the same limit.
pub const MAX_EXTRACTION_MEMORY_BYTES: u64 = 1 << 30;

/// Size of a temporary file for an image, without its header.
const IMAGE_HEADER_BYTES: u64 = 4096;

/// The limits of one extraction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ExtractionLimits {
    /// Size of the file in bytes.
    pub max_file_bytes: u64,
    /// Number of pages.
    pub max_pages: u32,
    /// Number of pages without text; each is rendered and read by character recognition. A page takes up to 5 seconds,
    /// so that all of them take some half of `wall_clock_seconds`.
    pub max_ocr_pages: u32,
    /// Length of the text in bytes.
    pub max_text_bytes: usize,
    /// Size in bytes of the parts of a Word document that are read, when inflated.
    pub max_inflated_bytes: u64,
    /// Number of pixels of an image, and of all images of a page that is rendered.
    pub max_image_pixels: u64,
    /// Number of pixels of a rendered page; a larger page is rendered at a lower resolution.
    pub max_render_pixels: u64,
    /// Address space of each process in bytes.
    pub memory_bytes: u64,
    /// CPU time of the child process in seconds.
    pub cpu_seconds: u64,
    /// CPU time of character recognition for each page in seconds.
    pub ocr_page_cpu_seconds: u64,
    /// Time from start to result in seconds.
    pub wall_clock_seconds: u64,
    /// Processes and threads at the same time: the child process and one tesseract have four.
    pub max_tasks: u64,
    /// Files in the folder of the extraction at the same time; it has one image.
    pub max_folder_files: usize,
}

impl Default for ExtractionLimits {
    fn default() -> Self {
        Self {
            max_file_bytes: 100 << 20,
            max_pages: 2_000,
            max_ocr_pages: 100,
            max_text_bytes: 16 << 20,
            max_inflated_bytes: 128 << 20,
            max_image_pixels: 64_000_000,
            max_render_pixels: 12_000_000,
            memory_bytes: MAX_EXTRACTION_MEMORY_BYTES,
            cpu_seconds: 300,
            ocr_page_cpu_seconds: 30,
            wall_clock_seconds: 900,
            max_tasks: 32,
            max_folder_files: 16,
        }
    }
}

impl ExtractionLimits {
    /// The CPU time in seconds of one run of tesseract, which reads this number of pages.
    pub(crate) fn recognition_cpu_seconds(&self, pages: u32) -> u64 {
        self.ocr_page_cpu_seconds.saturating_mul(u64::from(pages)).clamp(1, self.wall_clock_seconds.max(1))
    }

    /// The size in bytes of the largest temporary file: an image of a page, or the file itself.
    pub(crate) fn largest_temporary_file(&self) -> u64 {
        self.max_file_bytes.max(self.max_render_pixels * 2) + IMAGE_HEADER_BYTES
    }

    /// The most bytes that the child process may print: JSON writes a control character with six bytes, and there are
    /// none in the text but line ends and tabs with two.
    pub(crate) fn max_output_bytes(&self) -> u64 {
        let pages = u64::from(self.max_pages) * 64;
        (self.max_text_bytes as u64).saturating_mul(2).saturating_add(pages).saturating_add(4096)
    }
}
