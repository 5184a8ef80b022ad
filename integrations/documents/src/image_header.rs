//! The dimensions of images, from their headers: an image is refused before anything decodes it.

use crate::{ExtractionError, ExtractionLimits, FileType};

/// The most images of a TIFF file that are looked at.
const MAX_TIFF_IMAGES: usize = 10_000;

/// Checks that an image is within the limits, and returns how many images the file has.
pub(crate) fn check_image(
    file_type: FileType,
    content: &[u8],
    limits: &ExtractionLimits,
) -> Result<usize, ExtractionError> {
    let damaged = || ExtractionError::Damaged { file_type, detail: "its dimensions cannot be read".to_owned() };
    let sizes = match file_type {
        FileType::Png => vec![png_size(content).ok_or_else(damaged)?],
        FileType::Jpeg => vec![jpeg_size(content).ok_or_else(damaged)?],
        FileType::Tiff => tiff_sizes(content).ok_or_else(damaged)?,
        FileType::Pdf | FileType::Docx | FileType::PlainText | FileType::Html => return Ok(0),
    };
    for (index, (width, height)) in sizes.iter().enumerate() {
        if width.saturating_mul(*height) > limits.max_image_pixels {
            return Err(ExtractionError::ImageTooLarge {
                place: format!("page {}", index + 1),
                width: *width,
                height: *height,
                limit: limits.max_image_pixels,
            });
        }
    }
    Ok(sizes.len())
}

/// Width and height in pixels.
type ImageSize = (u64, u64);

fn png_size(content: &[u8]) -> Option<ImageSize> {
    if content.get(12..16)? != b"IHDR" {
        return None;
    }
    let number = |offset: usize| Some(u64::from(u32::from_be_bytes(*content.get(offset..)?.first_chunk()?)));
    Some((number(16)?, number(20)?))
}

fn jpeg_size(content: &[u8]) -> Option<ImageSize> {
    let mut rest = content.get(2..)?;
    loop {
        let [0xff, marker, ..] = *rest else { return None };
        if marker == 0xff {
            rest = rest.get(1..)?;
            continue;
        }
        let length = usize::from(u16::from_be_bytes(*rest.get(2..)?.first_chunk()?));
        // The frame headers SOF0 to SOF15, without the markers for tables among them.
        if matches!(marker, 0xc0..=0xcf) && !matches!(marker, 0xc4 | 0xc8 | 0xcc) {
            let number = |offset: usize| Some(u64::from(u16::from_be_bytes(*rest.get(offset..)?.first_chunk()?)));
            return Some((number(7)?, number(5)?));
        }
        rest = rest.get(length.max(2) + 2..)?;
    }
}

fn tiff_sizes(content: &[u8]) -> Option<Vec<ImageSize>> {
    const WIDTH: u32 = 256;
    const HEIGHT: u32 = 257;
    const SHORT: u32 = 3;

    let big_endian = content.first()? == &b'M';
    let number = |offset: usize, bytes: usize| {
        let digits = content.get(offset..offset.checked_add(bytes)?)?;
        let append = |number: u32, digit: &u8| number << 8 | u32::from(*digit);
        Some(if big_endian { digits.iter().fold(0, append) } else { digits.iter().rev().fold(0, append) })
    };
    let mut sizes = Vec::new();
    let mut directory = number(4, 4)? as usize;
    while directory != 0 {
        if sizes.len() == MAX_TIFF_IMAGES {
            return None;
        }
        let entries = number(directory, 2)? as usize;
        let (mut width, mut height) = (None, None);
        for entry in 0..entries {
            let entry = directory + 2 + 12 * entry;
            let value = if number(entry + 2, 2)? == SHORT { number(entry + 8, 2)? } else { number(entry + 8, 4)? };
            match number(entry, 2)? {
                WIDTH => width = Some(u64::from(value)),
                HEIGHT => height = Some(u64::from(value)),
                _ => {}
            }
        }
        sizes.push((width?, height?));
        directory = number(directory + 2 + 12 * entries, 4)? as usize;
    }
    (!sizes.is_empty()).then_some(sizes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn png(width: u32, height: u32) -> Vec<u8> {
        let mut png = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR".to_vec();
        png.extend(width.to_be_bytes());
        png.extend(height.to_be_bytes());
        png
    }

    /// A TIFF file with one directory, which names `next` as the following one.
    fn tiff(width: u16, height: u32, next: u32) -> Vec<u8> {
        let mut tiff = b"II\x2a\0\x08\0\0\0\x02\0".to_vec();
        tiff.extend(b"\0\x01\x03\0\x01\0\0\0");
        tiff.extend(u32::from(width).to_le_bytes());
        tiff.extend(b"\x01\x01\x04\0\x01\0\0\0");
        tiff.extend(height.to_le_bytes());
        tiff.extend(next.to_le_bytes());
        tiff
    }

    #[test]
    fn dimensions_are_read() {
        assert_eq!(png_size(&png(640, 480)), Some((640, 480)));
        let jpeg = b"\xff\xd8\xff\xe0\0\x04ab\xff\xff\xc2\0\x0b\x08\x01\x02\x03\x04";
        assert_eq!(jpeg_size(jpeg), Some((0x0304, 0x0102)));
        assert_eq!(tiff_sizes(&tiff(640, 70_000, 0)), Some(vec![(640, 70_000)]));
    }

    #[test]
    fn large_and_endless_images_are_refused() {
        let limits = ExtractionLimits::default();
        let error = check_image(FileType::Png, &png(20_000, 20_000), &limits).unwrap_err();
        assert!(error.to_string().contains("20000 x 20000 pixels"), "{error}");
        let loops = check_image(FileType::Tiff, &tiff(640, 480, 8), &limits);
        assert!(matches!(loops, Err(ExtractionError::Damaged { .. })));
        for length in 0..24 {
            assert!(check_image(FileType::Png, &png(1, 1)[..length], &limits).is_err());
            assert!(check_image(FileType::Tiff, &tiff(1, 1, 0)[..length.max(1)], &limits).is_err());
            assert!(
                jpeg_size(&b"\xff\xd8\xff\xe0\0\x04ab\xff\xc2\0\x0b\x08\x01\x02\x03\x04"[..length.min(16)]).is_none()
            );
        }
    }
}
