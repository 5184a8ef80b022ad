//! How clients of `Redis` connect.

use redis::{
    Client,
    aio::{ConnectionManager, ConnectionManagerConfig},
};

use super::{RedisConfig, unavailable_error};
use crate::QueryError;

/// A client, and a connection that is made when it is used and again when it breaks.
pub(crate) fn connect(config: &RedisConfig) -> Result<(Client, ConnectionManager), QueryError> {
    let timeout = Some(config.timeout());
    let manager = ConnectionManagerConfig::new()
        .set_connection_timeout(timeout)
        .set_response_timeout(timeout)
        // The workers retry for ever, and a query wants its error soon.
        .set_number_of_retries(1);
    let client = Client::open(config.url.as_str()).map_err(unavailable_error)?;
    let connection = ConnectionManager::new_lazy_with_config(client.clone(), manager).map_err(unavailable_error)?;
    Ok((client, connection))
}
