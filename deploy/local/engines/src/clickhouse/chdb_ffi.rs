//! The C interface of libchdb: the only unsafe code of the workspace, behind types that own the memory they point to.
#![expect(unsafe_code, reason = "libchdb is a C library, loaded at run time")]

use std::{
    ffi::{CStr, CString, NulError, c_char, c_int, c_void},
    path::Path,
    ptr::NonNull,
    slice,
};

use libloading::Library;

use crate::EngineError;

type ChdbHandle = *mut c_void;
type QueryFunction = unsafe extern "C" fn(
    ChdbHandle,
    *const u8,
    usize,
    *const u8,
    usize,
    *const *const u8,
    *const usize,
    *const *const u8,
    *const usize,
    usize,
) -> ChdbHandle;
type CounterFunction = unsafe extern "C" fn(ChdbHandle) -> u64;

/// The functions of libchdb that this crate calls. Copied out once; the library is never unloaded.
#[derive(Clone, Copy)]
pub(super) struct ChdbLibrary {
    connect: unsafe extern "C" fn(c_int, *mut *mut c_char) -> *mut ChdbHandle,
    close: unsafe extern "C" fn(*mut ChdbHandle),
    query: QueryFunction,
    stream: QueryFunction,
    fetch: unsafe extern "C" fn(ChdbHandle, ChdbHandle) -> ChdbHandle,
    cancel: unsafe extern "C" fn(ChdbHandle, ChdbHandle),
    destroy: unsafe extern "C" fn(ChdbHandle),
    buffer: unsafe extern "C" fn(ChdbHandle) -> *const u8,
    length: unsafe extern "C" fn(ChdbHandle) -> usize,
    error: unsafe extern "C" fn(ChdbHandle) -> *const c_char,
    result_rows: CounterFunction,
    result_bytes: CounterFunction,
    read_rows: CounterFunction,
    read_bytes: CounterFunction,
    written_rows: CounterFunction,
    written_bytes: CounterFunction,
}

/// Copies one function pointer out of the library; its type is the type of the field that it is assigned to.
macro_rules! function {
    ($library:expr, $name:literal) => {
        // SAFETY: the field's type repeats the declaration of this symbol in chdb.h 26.5, and the library that the
        // pointer leads into is never unloaded (see `ChdbLibrary::load`).
        *unsafe { $library.get(concat!($name, "\0").as_bytes()) }?
    };
}

impl ChdbLibrary {
    /// Loads the library and disables its signal handlers: the program handles signals itself.
    pub(super) fn load(path: &Path) -> Result<Self, EngineError> {
        if !path.exists() {
            return Err(EngineError::LibraryMissing { path: path.to_owned() });
        }
        // SAFETY: loading runs the library's initialisers; the file is the one the configuration names.
        unsafe { Library::new(path) }
            .and_then(|library| {
                let functions = Self::resolve(&library)?;
                // Its threads and exit handlers outlive any owner, so it must stay mapped until the process ends.
                std::mem::forget(library);
                Ok(functions)
            })
            .map_err(|source| EngineError::Library { path: path.to_owned(), source })
    }

    fn resolve(library: &Library) -> Result<Self, libloading::Error> {
        let signals: unsafe extern "C" fn(bool) = function!(library, "chdb_set_signal_handlers_enabled");
        // SAFETY: takes a flag, touches process-wide state of the library only, called before any connection.
        unsafe { signals(false) };
        Ok(Self {
            connect: function!(library, "chdb_connect"),
            close: function!(library, "chdb_close_conn"),
            query: function!(library, "chdb_query_with_params_n"),
            stream: function!(library, "chdb_stream_query_with_params_n"),
            fetch: function!(library, "chdb_stream_fetch_result"),
            cancel: function!(library, "chdb_stream_cancel_query"),
            destroy: function!(library, "chdb_destroy_query_result"),
            buffer: function!(library, "chdb_result_buffer"),
            length: function!(library, "chdb_result_length"),
            error: function!(library, "chdb_result_error"),
            result_rows: function!(library, "chdb_result_rows_read"),
            result_bytes: function!(library, "chdb_result_bytes_read"),
            read_rows: function!(library, "chdb_result_storage_rows_read"),
            read_bytes: function!(library, "chdb_result_storage_bytes_read"),
            written_rows: function!(library, "chdb_result_rows_written"),
            written_bytes: function!(library, "chdb_result_bytes_written"),
        })
    }
}

/// What a connection is opened with: the same for all connections.
pub(super) struct ConnectionArguments {
    pub(super) data_dir: String,
    pub(super) config_file: Option<String>,
}

/// A connection has its own session and runs one statement at a time. Closing the last connection shuts the engine
/// down.
pub(super) struct ChdbConnection {
    chdb: ChdbLibrary,
    cell: NonNull<ChdbHandle>,
    handle: NonNull<c_void>,
}

// SAFETY: chdb.h allows any thread to use a connection as long as calls do not overlap; `&mut self` ensures that.
unsafe impl Send for ChdbConnection {}

impl ChdbConnection {
    /// Opens a connection to the engine on a data folder; `None` if the engine refuses.
    pub(super) fn open(chdb: ChdbLibrary, arguments: &ConnectionArguments) -> Result<Option<Self>, NulError> {
        let ConnectionArguments { data_dir, config_file } = arguments;
        let config = config_file.as_ref().map(|file| format!("--config-file={file}"));
        let texts = ["clickhouse".to_owned(), format!("--path={data_dir}")].into_iter().chain(config);
        let owned = texts.map(CString::new).collect::<Result<Vec<_>, _>>()?;
        let mut pointers: Vec<_> = owned.iter().map(|text| text.as_ptr().cast_mut()).collect();
        let count = 2 + c_int::from(config_file.is_some());
        // SAFETY: `count` NUL-terminated strings that outlive the call, which only reads them.
        let cell = unsafe { (chdb.connect)(count, pointers.as_mut_ptr()) };
        let Some(cell) = NonNull::new(cell) else { return Ok(None) };
        // SAFETY: a cell that is not null points to the connection's handle until it is closed.
        match NonNull::new(unsafe { *cell.as_ptr() }) {
            Some(handle) => Ok(Some(Self { chdb, cell, handle })),
            None => Ok(None),
        }
    }

    /// Runs a statement and returns its whole result.
    pub(super) fn query(&mut self, statement: &[u8], format: &str, parameters: &[(String, String)]) -> QueryResult {
        self.run_statement(self.chdb.query, statement, format, parameters)
    }

    /// Starts a statement whose result is fetched in chunks.
    pub(super) fn stream(
        &mut self,
        statement: &[u8],
        format: &str,
        parameters: &[(String, String)],
    ) -> Result<ResultChunks<'_>, String> {
        let output = self.run_statement(self.chdb.stream, statement, format, parameters)?;
        Ok(ResultChunks { connection: self, output, finished: false })
    }

    fn run_statement(
        &mut self,
        run: QueryFunction,
        statement: &[u8],
        format: &str,
        parameters: &[(String, String)],
    ) -> QueryResult {
        let names: Vec<_> = parameters.iter().map(|(name, _)| name.as_ptr()).collect();
        let name_lengths: Vec<_> = parameters.iter().map(|(name, _)| name.len()).collect();
        let values: Vec<_> = parameters.iter().map(|(_, value)| value.as_ptr()).collect();
        let value_lengths: Vec<_> = parameters.iter().map(|(_, value)| value.len()).collect();
        // SAFETY: the handle is open; every pointer comes with its length and outlives the call.
        let result = unsafe {
            run(
                self.handle.as_ptr(),
                statement.as_ptr(),
                statement.len(),
                format.as_ptr(),
                format.len(),
                names.as_ptr(),
                name_lengths.as_ptr(),
                values.as_ptr(),
                value_lengths.as_ptr(),
                parameters.len(),
            )
        };
        ResultBuffer::from_handle(self.chdb, result)
    }
}

impl Drop for ChdbConnection {
    fn drop(&mut self) {
        // SAFETY: the cell came from `chdb_connect` and is closed once; no `ResultChunks` can borrow it any more.
        unsafe { (self.chdb.close)(self.cell.as_ptr()) };
    }
}

/// A statement's result, or the engine's error text.
pub(super) type QueryResult = Result<ResultBuffer, String>;

/// A result that the engine allocated: its bytes and its counters.
pub(super) struct ResultBuffer {
    chdb: ChdbLibrary,
    result: NonNull<c_void>,
}

// SAFETY: a finished result owns its memory, is only read, and depends on no connection and no thread.
unsafe impl Send for ResultBuffer {}

impl ResultBuffer {
    fn from_handle(chdb: ChdbLibrary, result: ChdbHandle) -> QueryResult {
        let result = NonNull::new(result).ok_or("the engine returned no result")?;
        let output = Self { chdb, result };
        // SAFETY: the result is alive; its error is null or a string that lives as long as the result.
        let error = unsafe { (chdb.error)(result.as_ptr()) };
        if error.is_null() {
            return Ok(output);
        }
        // SAFETY: as above, NUL-terminated.
        Err(unsafe { CStr::from_ptr(error) }.to_string_lossy().into_owned())
    }

    fn read_counter(&self, counter: CounterFunction) -> u64 {
        // SAFETY: the result is alive.
        unsafe { counter(self.result.as_ptr()) }
    }

    /// Number of rows in the result.
    pub(super) fn result_rows(&self) -> u64 {
        self.read_counter(self.chdb.result_rows)
    }

    /// Adds this result's counters to a statement's.
    pub(super) fn add_to(&self, counters: &mut StatementCounters) {
        counters.result_rows += self.read_counter(self.chdb.result_rows);
        counters.result_bytes += self.read_counter(self.chdb.result_bytes);
        // The engine counts these over the whole statement.
        counters.read_rows = counters.read_rows.max(self.read_counter(self.chdb.read_rows));
        counters.read_bytes = counters.read_bytes.max(self.read_counter(self.chdb.read_bytes));
        counters.written_rows = counters.written_rows.max(self.read_counter(self.chdb.written_rows));
        counters.written_bytes = counters.written_bytes.max(self.read_counter(self.chdb.written_bytes));
    }
}

impl AsRef<[u8]> for ResultBuffer {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: the result is alive.
        let (buffer, length) =
            unsafe { ((self.chdb.buffer)(self.result.as_ptr()), (self.chdb.length)(self.result.as_ptr())) };
        if buffer.is_null() || length == 0 {
            return &[];
        }
        // SAFETY: the buffer holds `length` bytes and neither moves nor changes while the result lives.
        unsafe { slice::from_raw_parts(buffer, length) }
    }
}

impl Drop for ResultBuffer {
    fn drop(&mut self) {
        // SAFETY: the result came from the engine and is destroyed once.
        unsafe { (self.chdb.destroy)(self.result.as_ptr()) };
    }
}

/// A running statement; dropping it before the end cancels it.
pub(super) struct ResultChunks<'a> {
    connection: &'a mut ChdbConnection,
    output: ResultBuffer,
    finished: bool,
}

impl ResultChunks<'_> {
    /// Waits for the next chunk; each is a complete document of the format, with its header. `None` at the end.
    pub(super) fn next_chunk(&mut self) -> Result<Option<ResultBuffer>, String> {
        if self.finished {
            return Ok(None);
        }
        let chdb = self.connection.chdb;
        // SAFETY: connection and result are alive and used by this thread only.
        let chunk = unsafe { (chdb.fetch)(self.connection.handle.as_ptr(), self.output.result.as_ptr()) };
        let chunk = ResultBuffer::from_handle(chdb, chunk);
        self.finished = chunk.as_ref().map_or(true, |chunk| chunk.as_ref().is_empty() && chunk.result_rows() == 0);
        match chunk {
            Ok(_) if self.finished => Ok(None),
            Ok(chunk) => Ok(Some(chunk)),
            // Version 26.5 returns this error if the stream ended with its first chunk.
            Err(text) if text == "No active streaming query" => Ok(None),
            Err(text) => Err(text),
        }
    }
}

impl Drop for ResultChunks<'_> {
    fn drop(&mut self) {
        if !self.finished {
            // SAFETY: connection and result are alive; cancelling is allowed at any time before the end.
            unsafe { (self.connection.chdb.cancel)(self.connection.handle.as_ptr(), self.output.result.as_ptr()) };
        }
    }
}

/// What a statement read, wrote and returned, as in ClickHouse's `X-ClickHouse-Summary`.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct StatementCounters {
    pub(super) read_rows: u64,
    pub(super) read_bytes: u64,
    pub(super) written_rows: u64,
    pub(super) written_bytes: u64,
    pub(super) result_rows: u64,
    pub(super) result_bytes: u64,
}
