//! Clients for plain HTTP.

use reqwest::{Client, ClientBuilder};

use crate::failure::or_fail;

/// A client for `http://` URLs.
///
/// # Panics
/// If it cannot be created.
pub fn new_http_client() -> Client {
    or_fail(http_client_builder().build(), "creating an HTTP client")
}

/// Builds a client that trusts no authority. Each other one reads all authorities of the system when it is created, which
/// takes some hundredths of a second of processor time; tests create one for most of their requests.
pub(crate) fn http_client_builder() -> ClientBuilder {
    Client::builder().tls_certs_only([])
}
