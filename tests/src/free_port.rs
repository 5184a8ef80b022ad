//! Ports for servers that cannot listen on port 0.

use std::net::TcpListener;

/// A port that nobody listens on at the moment.
///
/// # Errors
/// If there is none.
pub(crate) fn find_free_port() -> std::io::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
