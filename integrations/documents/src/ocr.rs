//! Optical character recognition by the program tesseract.

use std::{
    fs,
    io::Read as _,
    os::unix::process::ExitStatusExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use nix::sys::signal::Signal;

use crate::{ExtractionConfig, ExtractionError, ExtractionLimits};

/// What a shell ends with when it cannot execute the program.
const NOT_EXECUTABLE: i32 = 126;

/// What a shell ends with when it does not find the program.
const NOT_FOUND: i32 = 127;

/// What is kept of the program's messages.
const MAX_MESSAGE_BYTES: u64 = 2000;

/// Reads images by tesseract, one at a time.
#[derive(Debug)]
pub(crate) struct TextRecognizer<'a> {
    config: &'a ExtractionConfig,
    /// Where images are written; exists, and belongs to this extraction.
    folder: &'a Path,
    program: Option<PathBuf>,
    pages: u32,
}

/// A grey image, one byte for each pixel.
#[derive(Debug)]
pub(crate) struct GreyImage {
    pub(crate) width: usize,
    pub(crate) height: usize,
    pub(crate) pixels: Vec<u8>,
    pub(crate) dots_per_inch: u32,
}

impl<'a> TextRecognizer<'a> {
    pub(crate) fn new(config: &'a ExtractionConfig, folder: &'a Path) -> Self {
        Self { config, folder, program: None, pages: 0 }
    }

    /// Reads the text of a rendered page.
    pub(crate) fn read_page(&mut self, image: &GreyImage, place: &str) -> Result<String, ExtractionError> {
        self.count_pages(1)?;
        let path = self.folder.join("page.pgm");
        let header = format!("P5 {} {} 255\n", image.width, image.height);
        let mut content = header.into_bytes();
        content.extend_from_slice(&image.pixels);
        let io = |source| ExtractionError::Io { action: "write the image of a page", source };
        fs::write(&path, content).map_err(io)?;
        let text = self.run(&path, Some(image.dots_per_inch), 1, place)?;
        fs::remove_file(&path).map_err(io)?;
        Ok(text)
    }

    /// Reads the text of an image file; form feeds end its pages.
    pub(crate) fn read_image_file(&mut self, content: &[u8], images: usize) -> Result<String, ExtractionError> {
        let pages = u32::try_from(images).unwrap_or(u32::MAX);
        self.count_pages(pages)?;
        let path = self.folder.join("image");
        let io = |source| ExtractionError::Io { action: "write the image", source };
        fs::write(&path, content).map_err(io)?;
        let text = self.run(&path, None, pages, "the image")?;
        fs::remove_file(&path).map_err(io)?;
        Ok(text)
    }

    fn count_pages(&mut self, pages: u32) -> Result<(), ExtractionError> {
        self.pages = self.pages.saturating_add(pages);
        let limit = self.config.limits.max_ocr_pages;
        if self.pages > limit { Err(ExtractionError::TooManyScannedPages { limit }) } else { Ok(()) }
    }

    fn run(
        &mut self,
        image: &Path,
        dots_per_inch: Option<u32>,
        pages: u32,
        place: &str,
    ) -> Result<String, ExtractionError> {
        let cpu_seconds = self.config.limits.recognition_cpu_seconds(pages);
        let program = match &self.program {
            Some(program) => program,
            None => self.program.insert(self.config.tesseract_program()?),
        };
        // The shell sets the limit and becomes tesseract; this process has another limit.
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", "ulimit -S -t \"$1\" && shift && exec \"$@\"", "sh", &cpu_seconds.to_string()])
            .arg(program);
        command.arg(image).arg("stdout").args(["-l", &self.config.ocr_languages]);
        if let Some(dots) = dots_per_inch {
            command.args(["--dpi", &dots.to_string()]);
        }
        // Its threads wait for each other busily; one is faster as soon as a core has anything else to do.
        command.env("OMP_THREAD_LIMIT", "1");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let io = |source| ExtractionError::Io { action: "run tesseract", source };
        let mut child = command.spawn().map_err(io)?;
        let text = read_bounded(child.stdout.take(), &self.config.limits).map_err(io);
        // If its output was too long, it ends when it writes more: this process may send no signals.
        let mut message = String::new();
        if let Some(stderr) = child.stderr.take() {
            // The messages only explain a failure, and may be cut within a character.
            let _unreadable = stderr.take(MAX_MESSAGE_BYTES).read_to_string(&mut message);
        }
        let status = child.wait().map_err(io)?;
        let limit = self.config.limits.max_text_bytes;
        let text = text?.ok_or(ExtractionError::TooMuchText { limit })?;
        if status.success() {
            return Ok(text);
        }
        if message.contains("Failed loading language") {
            return Err(ExtractionError::LanguageMissing { language: self.config.ocr_languages.clone() });
        }
        if status.signal() == Some(Signal::SIGKILL as i32) {
            // Its own limits end it by other signals.
            return Err(io(std::io::Error::other("it was killed")));
        }
        if matches!(status.code(), Some(NOT_EXECUTABLE | NOT_FOUND)) {
            return Err(io(std::io::Error::other(message.trim().to_owned())));
        }
        if let Some(signal) = status.signal() {
            let detail = if signal == Signal::SIGXCPU as i32 {
                format!("reading the image takes more than {cpu_seconds} seconds of computing")
            } else {
                "the image is damaged, or reading it takes too much memory".to_owned()
            };
            return Err(ExtractionError::RecognitionFailed { place: place.to_owned(), detail });
        }
        let detail = match message.trim().lines().next_back() {
            Some(line) if !line.is_empty() => format!("tesseract: {line}"),
            _ => format!("tesseract ended with {status}"),
        };
        Err(ExtractionError::RecognitionFailed { place: place.to_owned(), detail })
    }
}

/// Reads the whole output; `None` if it is longer than a text may be.
fn read_bounded(
    output: Option<std::process::ChildStdout>,
    limits: &ExtractionLimits,
) -> std::io::Result<Option<String>> {
    let mut text = Vec::new();
    if let Some(output) = output {
        output.take(limits.max_text_bytes as u64 + 1).read_to_end(&mut text)?;
    }
    Ok((text.len() <= limits.max_text_bytes).then(|| String::from_utf8_lossy(&text).into_owned()))
}
