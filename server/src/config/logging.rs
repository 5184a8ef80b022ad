//! Filter and format of the program's log, which is written to standard error.
//!
//! | variable | default | meaning |
//! | --- | --- | --- |
//! | `MEDHUB__LOG__FORMAT` | `text` | `text` for people, `json` for programs |
//! | `MEDHUB__LOG__FILTER` | `info,...` | directives of `tracing`, e.g. `info,eventstore=debug` |

use serde::{Deserialize, Serialize};

/// Configuration of logging.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LoggingConfig {
    /// Format of a line.
    pub format: LoggingFormat,
    /// Directives of `tracing`, e.g. `info,eventstore=debug`.
    pub filter: String,
}

impl Default for LoggingConfig {
    fn default() -> Self {
        // The Kafka client logs at `error` what the relay and the workers also log, with its cause. The Avro library
        // logs whole schemas in its warnings, and any client may send one.
        Self { format: LoggingFormat::Text, filter: "info,apache_avro=error,librdkafka=off,rdkafka=off".to_owned() }
    }
}

/// Format of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LoggingFormat {
    /// Human-readable text.
    Text,
    /// One JSON object per line.
    Json,
}
