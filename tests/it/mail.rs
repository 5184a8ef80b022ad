//! Mail: delivered to a real SMTP server, requested at most once, and not by a replay.

mod smtp_delivery;
mod smtp_server;
