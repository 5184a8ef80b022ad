//! The C interface of PDFium, behind types that own the memory they point to.
#![expect(unsafe_code, reason = "PDFium is a C library, loaded at run time")]

use std::{
    ffi::{c_char, c_double, c_float, c_int, c_uint, c_ulong, c_void},
    marker::PhantomData,
    path::Path,
    ptr::NonNull,
    sync::{Mutex, MutexGuard, PoisonError},
};

use libloading::Library;

use crate::ExtractionError;

type PdfiumHandle = *mut c_void;

/// The functions of PDFium that this crate calls. Copied out once; the library is never unloaded.
#[derive(Clone, Copy)]
struct PdfiumFunctions {
    load_document: unsafe extern "C" fn(*const c_void, usize, *const c_char) -> PdfiumHandle,
    close_document: unsafe extern "C" fn(PdfiumHandle),
    last_error: unsafe extern "C" fn() -> c_ulong,
    page_count: unsafe extern "C" fn(PdfiumHandle) -> c_int,
    load_page: unsafe extern "C" fn(PdfiumHandle, c_int) -> PdfiumHandle,
    close_page: unsafe extern "C" fn(PdfiumHandle),
    page_width: unsafe extern "C" fn(PdfiumHandle) -> c_float,
    page_height: unsafe extern "C" fn(PdfiumHandle) -> c_float,
    load_text: unsafe extern "C" fn(PdfiumHandle) -> PdfiumHandle,
    close_text: unsafe extern "C" fn(PdfiumHandle),
    count_chars: unsafe extern "C" fn(PdfiumHandle) -> c_int,
    char_code: unsafe extern "C" fn(PdfiumHandle, c_int) -> c_uint,
    char_box:
        unsafe extern "C" fn(PdfiumHandle, c_int, *mut c_double, *mut c_double, *mut c_double, *mut c_double) -> c_int,
    is_hyphen: unsafe extern "C" fn(PdfiumHandle, c_int) -> c_int,
    has_map_error: unsafe extern "C" fn(PdfiumHandle, c_int) -> c_int,
    count_objects: unsafe extern "C" fn(PdfiumHandle) -> c_int,
    get_object: unsafe extern "C" fn(PdfiumHandle, c_int) -> PdfiumHandle,
    object_type: unsafe extern "C" fn(PdfiumHandle) -> c_int,
    object_bounds: unsafe extern "C" fn(PdfiumHandle, *mut c_float, *mut c_float, *mut c_float, *mut c_float) -> c_int,
    image_size: unsafe extern "C" fn(PdfiumHandle, *mut c_uint, *mut c_uint) -> c_int,
    create_bitmap: unsafe extern "C" fn(c_int, c_int, c_int, *mut c_void, c_int) -> PdfiumHandle,
    destroy_bitmap: unsafe extern "C" fn(PdfiumHandle),
    render: unsafe extern "C" fn(PdfiumHandle, PdfiumHandle, c_int, c_int, c_int, c_int, c_int, c_int),
    count_annotations: unsafe extern "C" fn(PdfiumHandle) -> c_int,
    get_annotation: unsafe extern "C" fn(PdfiumHandle, c_int) -> PdfiumHandle,
    close_annotation: unsafe extern "C" fn(PdfiumHandle),
    annotation_type: unsafe extern "C" fn(PdfiumHandle) -> c_int,
    annotation_value: unsafe extern "C" fn(PdfiumHandle, *const c_char, *mut u16, c_ulong) -> c_ulong,
}

/// Copies one function pointer out of the library; its type is the type of the field that it is assigned to.
macro_rules! function {
    ($library:expr, $name:literal) => {
        // SAFETY: the field's type repeats the declaration of this symbol in PDFium's public headers, which have kept
        // it for years, and the library that the pointer leads into is never unloaded (see `PdfiumSession::open`).
        *unsafe { $library.get(concat!($name, "\0").as_bytes()) }?
    };
}

impl PdfiumFunctions {
    fn resolve(library: &Library) -> Result<Self, libloading::Error> {
        let initialize: unsafe extern "C" fn() = function!(library, "FPDF_InitLibrary");
        // SAFETY: called once, before any other function.
        unsafe { initialize() };
        Ok(Self {
            load_document: function!(library, "FPDF_LoadMemDocument64"),
            close_document: function!(library, "FPDF_CloseDocument"),
            last_error: function!(library, "FPDF_GetLastError"),
            page_count: function!(library, "FPDF_GetPageCount"),
            load_page: function!(library, "FPDF_LoadPage"),
            close_page: function!(library, "FPDF_ClosePage"),
            page_width: function!(library, "FPDF_GetPageWidthF"),
            page_height: function!(library, "FPDF_GetPageHeightF"),
            load_text: function!(library, "FPDFText_LoadPage"),
            close_text: function!(library, "FPDFText_ClosePage"),
            count_chars: function!(library, "FPDFText_CountChars"),
            char_code: function!(library, "FPDFText_GetUnicode"),
            char_box: function!(library, "FPDFText_GetCharBox"),
            is_hyphen: function!(library, "FPDFText_IsHyphen"),
            has_map_error: function!(library, "FPDFText_HasUnicodeMapError"),
            count_objects: function!(library, "FPDFPage_CountObjects"),
            get_object: function!(library, "FPDFPage_GetObject"),
            object_type: function!(library, "FPDFPageObj_GetType"),
            object_bounds: function!(library, "FPDFPageObj_GetBounds"),
            image_size: function!(library, "FPDFImageObj_GetImagePixelSize"),
            create_bitmap: function!(library, "FPDFBitmap_CreateEx"),
            destroy_bitmap: function!(library, "FPDFBitmap_Destroy"),
            render: function!(library, "FPDF_RenderPageBitmap"),
            count_annotations: function!(library, "FPDFPage_GetAnnotCount"),
            get_annotation: function!(library, "FPDFPage_GetAnnot"),
            close_annotation: function!(library, "FPDFPage_CloseAnnot"),
            annotation_type: function!(library, "FPDFAnnot_GetSubtype"),
            annotation_value: function!(library, "FPDFAnnot_GetStringValue"),
        })
    }
}

/// PDFium serves one thread at a time.
static PDFIUM: Mutex<Option<PdfiumFunctions>> = Mutex::new(None);

/// The right to call PDFium; other threads of this process wait for it.
pub(crate) struct PdfiumSession {
    functions: PdfiumFunctions,
    _guard: MutexGuard<'static, Option<PdfiumFunctions>>,
}

impl PdfiumSession {
    /// Waits until no other thread uses PDFium, and loads the library unless it is loaded.
    pub(crate) fn open(path: &Path) -> Result<Self, ExtractionError> {
        let mut guard = PDFIUM.lock().unwrap_or_else(PoisonError::into_inner);
        let functions = match *guard {
            Some(functions) => functions,
            None => *guard.insert(Self::load(path)?),
        };
        Ok(Self { functions, _guard: guard })
    }

    fn load(path: &Path) -> Result<PdfiumFunctions, ExtractionError> {
        // SAFETY: loading runs the library's initialisers; the file is the one the configuration names.
        unsafe { Library::new(path) }
            .and_then(|library| {
                let functions = PdfiumFunctions::resolve(&library)?;
                std::mem::forget(library);
                Ok(functions)
            })
            .map_err(|source| ExtractionError::PdfiumUnusable { path: path.to_owned(), source })
    }

    /// Opens a document without a password.
    pub(super) fn open_document<'a>(&'a self, content: &'a [u8]) -> Result<DocumentHandle<'a>, PdfiumError> {
        // SAFETY: the content outlives the document, which borrows it; a null password means none.
        let document =
            unsafe { (self.functions.load_document)(content.as_ptr().cast(), content.len(), std::ptr::null()) };
        match NonNull::new(document) {
            Some(document) => Ok(DocumentHandle { functions: self.functions, document, content: PhantomData }),
            // SAFETY: reads a number of the thread that made the last call.
            None => Err(PdfiumError::from_code(unsafe { (self.functions.last_error)() })),
        }
    }
}

/// Why a document cannot be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PdfiumError {
    Format,
    Password,
    /// An unknown method of encryption.
    Security,
    Other(c_ulong),
}

impl PdfiumError {
    fn from_code(code: c_ulong) -> Self {
        match code {
            3 => Self::Format,
            4 => Self::Password,
            5 => Self::Security,
            other => Self::Other(other),
        }
    }
}

/// An open document.
pub(super) struct DocumentHandle<'a> {
    functions: PdfiumFunctions,
    document: NonNull<c_void>,
    content: PhantomData<&'a [u8]>,
}

impl DocumentHandle<'_> {
    pub(super) fn page_count(&self) -> u32 {
        // SAFETY: the document is open.
        u32::try_from(unsafe { (self.functions.page_count)(self.document.as_ptr()) }).unwrap_or(0)
    }

    /// Opens a page by its number from 0; `None` if it cannot be read.
    pub(super) fn open_page(&self, index: u32) -> Option<PageHandle<'_>> {
        let index = c_int::try_from(index).ok()?;
        // SAFETY: the document is open; an index that it does not have returns null.
        let page = unsafe { (self.functions.load_page)(self.document.as_ptr(), index) };
        Some(PageHandle { functions: self.functions, page: NonNull::new(page)?, document: PhantomData })
    }
}

impl Drop for DocumentHandle<'_> {
    fn drop(&mut self) {
        // SAFETY: closed once; its pages, which borrow it, are closed.
        unsafe { (self.functions.close_document)(self.document.as_ptr()) };
    }
}

/// An open page.
pub(super) struct PageHandle<'a> {
    functions: PdfiumFunctions,
    page: NonNull<c_void>,
    document: PhantomData<&'a ()>,
}

/// An object on a page.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum PageObject {
    /// An image: the area that it covers in square points, and its dimensions in pixels.
    Image { area: f32, width: u64, height: u64 },
    /// A group of objects, and the area that it covers.
    Group { area: f32 },
    /// Text, lines or shadings.
    Other,
}

impl PageHandle<'_> {
    /// Width and height in points.
    pub(super) fn size(&self) -> (f32, f32) {
        // SAFETY: the page is open.
        unsafe { ((self.functions.page_width)(self.page.as_ptr()), (self.functions.page_height)(self.page.as_ptr())) }
    }

    /// The text of the page; `None` if PDFium cannot read it.
    pub(super) fn open_text(&self) -> Option<PageCharacters<'_>> {
        // SAFETY: the page is open and outlives its text.
        let text = NonNull::new(unsafe { (self.functions.load_text)(self.page.as_ptr()) })?;
        // SAFETY: the text is open.
        let count = unsafe { (self.functions.count_chars)(text.as_ptr()) }.max(0);
        Some(PageCharacters { functions: self.functions, text, count, page: PhantomData })
    }

    /// The objects of the page, without those within groups.
    pub(super) fn objects(&self) -> impl Iterator<Item = PageObject> {
        const IMAGE: c_int = 3;
        const GROUP: c_int = 5;
        // SAFETY: the page is open.
        let count = unsafe { (self.functions.count_objects)(self.page.as_ptr()) };
        (0..count).filter_map(move |index| {
            // SAFETY: the index is below the count; the object belongs to the page, which stays open.
            let object = unsafe { (self.functions.get_object)(self.page.as_ptr(), index) };
            let object = NonNull::new(object)?;
            // SAFETY: as above.
            let kind = unsafe { (self.functions.object_type)(object.as_ptr()) };
            Some(match kind {
                IMAGE => {
                    let (mut width, mut height) = (0, 0);
                    // SAFETY: the object is an image; both pointers are valid during the call. On failure both stay 0.
                    unsafe { (self.functions.image_size)(object.as_ptr(), &raw mut width, &raw mut height) };
                    let (width, height) = (u64::from(width), u64::from(height));
                    PageObject::Image { area: self.object_area(object), width, height }
                }
                GROUP => PageObject::Group { area: self.object_area(object) },
                _ => PageObject::Other,
            })
        })
    }

    fn object_area(&self, object: NonNull<c_void>) -> f32 {
        let (mut left, mut bottom, mut right, mut top) = (0.0, 0.0, 0.0, 0.0);
        // SAFETY: the object is alive; all pointers are valid during the call. On failure all stay 0.
        unsafe {
            (self.functions.object_bounds)(
                object.as_ptr(),
                &raw mut left,
                &raw mut bottom,
                &raw mut right,
                &raw mut top,
            )
        };
        let area = (right - left) * (top - bottom);
        if area.is_finite() { area.abs() } else { 0.0 }
    }

    /// Renders the page with its annotations in grey on white.
    pub(super) fn render(&self, width: usize, height: usize) -> Option<Vec<u8>> {
        const GREY: c_int = 1;
        const WITH_ANNOTATIONS: c_int = 0x01;
        const IN_GREY: c_int = 0x08;
        const SMALL_IMAGE_CACHE: c_int = 0x200;
        let mut pixels = vec![u8::MAX; width.checked_mul(height)?];
        let (columns, rows) = (c_int::try_from(width).ok()?, c_int::try_from(height).ok()?);
        // SAFETY: the buffer has `rows` rows of `columns` bytes, and outlives the bitmap.
        let bitmap =
            unsafe { (self.functions.create_bitmap)(columns, rows, GREY, pixels.as_mut_ptr().cast(), columns) };
        let bitmap = NonNull::new(bitmap)?;
        let flags = WITH_ANNOTATIONS | IN_GREY | SMALL_IMAGE_CACHE;
        // SAFETY: bitmap and page are alive; the bitmap is destroyed once, and does not own its buffer.
        unsafe {
            (self.functions.render)(bitmap.as_ptr(), self.page.as_ptr(), 0, 0, columns, rows, 0, flags);
            (self.functions.destroy_bitmap)(bitmap.as_ptr());
        }
        Some(pixels)
    }

    /// The values that were entered into the form fields of the page.
    pub(super) fn field_values(&self) -> impl Iterator<Item = String> {
        const FORM_FIELD: c_int = 20;
        const MAX_FIELDS: c_int = 5_000;
        // SAFETY: the page is open.
        let count = unsafe { (self.functions.count_annotations)(self.page.as_ptr()) };
        (0..count.min(MAX_FIELDS)).filter_map(move |index| {
            // SAFETY: the page is open and the index below the count.
            let annotation = NonNull::new(unsafe { (self.functions.get_annotation)(self.page.as_ptr(), index) })?;
            // SAFETY: the annotation is open.
            let is_field = unsafe { (self.functions.annotation_type)(annotation.as_ptr()) } == FORM_FIELD;
            let value = if is_field { self.annotation_value(annotation) } else { None };
            // SAFETY: closed once.
            unsafe { (self.functions.close_annotation)(annotation.as_ptr()) };
            value.map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
        })
    }

    /// The value of a form field; `None` if it has none, or one that is no text, or a very long one.
    fn annotation_value(&self, annotation: NonNull<c_void>) -> Option<String> {
        const MAX_VALUE_BYTES: c_ulong = 200_000;
        let read = |buffer: *mut u16, bytes: c_ulong| {
            // SAFETY: the annotation is open, the key ends with NUL, and the buffer has this number of bytes.
            unsafe { (self.functions.annotation_value)(annotation.as_ptr(), c"V".as_ptr(), buffer, bytes) }
        };
        let bytes = read(std::ptr::null_mut(), 0);
        if !(3..=MAX_VALUE_BYTES).contains(&bytes) {
            return None;
        }
        let mut buffer = vec![0_u16; usize::try_from(bytes / 2).ok()?];
        read(buffer.as_mut_ptr(), bytes / 2 * 2);
        Some(String::from_utf16_lossy(buffer.split_last().map_or(&[][..], |(_nul, text)| text)))
    }
}

impl Drop for PageHandle<'_> {
    fn drop(&mut self) {
        // SAFETY: closed once; its text, which borrows it, is closed.
        unsafe { (self.functions.close_page)(self.page.as_ptr()) };
    }
}

/// The characters of a page, in reading order.
pub(super) struct PageCharacters<'a> {
    functions: PdfiumFunctions,
    text: NonNull<c_void>,
    count: c_int,
    page: PhantomData<&'a ()>,
}

/// A character of a page.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct PageCharacter {
    /// Its Unicode code point.
    pub(super) code: u32,
    /// Its left end in points; 0 if it is none that the page shows, as a space that was inserted.
    pub(super) left: f32,
    /// Its right end in points.
    pub(super) right: f32,
    /// Whether it is a hyphen that divides a word at the end of a line.
    pub(super) is_hyphen: bool,
    /// Whether its font does not say which character it is.
    pub(super) is_unmapped: bool,
}

impl PageCharacters<'_> {
    pub(super) fn len(&self) -> usize {
        usize::try_from(self.count).unwrap_or(0)
    }

    pub(super) fn characters(&self) -> impl Iterator<Item = PageCharacter> {
        (0..self.count).map(|index| {
            let text = self.text.as_ptr();
            let (left, right) = self.char_ends(index);
            // SAFETY: the text is open and the index below the count.
            unsafe {
                PageCharacter {
                    left,
                    right,
                    code: (self.functions.char_code)(text, index),
                    is_hyphen: (self.functions.is_hyphen)(text, index) == 1,
                    is_unmapped: (self.functions.has_map_error)(text, index) == 1,
                }
            }
        })
    }
}

impl PageCharacters<'_> {
    /// The left and right end of a character.
    #[expect(clippy::cast_possible_truncation, reason = "lengths on a page, in points")]
    fn char_ends(&self, index: c_int) -> (f32, f32) {
        let (mut left, mut right, mut bottom, mut top) = (0.0, 0.0, 0.0, 0.0);
        // SAFETY: the text is open, the index below the count, and all pointers are valid during the call. On failure
        // all stay 0.
        unsafe {
            (self.functions.char_box)(
                self.text.as_ptr(),
                index,
                &raw mut left,
                &raw mut right,
                &raw mut bottom,
                &raw mut top,
            )
        };
        (left as f32, right as f32)
    }
}

impl Drop for PageCharacters<'_> {
    fn drop(&mut self) {
        // SAFETY: closed once, before its page.
        unsafe { (self.functions.close_text)(self.text.as_ptr()) };
    }
}
