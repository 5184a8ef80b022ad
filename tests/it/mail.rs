//! Mail: delivered to a real SMTP server, requested at most once, and not by a replay.

mod at_most_once;
mod daily_digest;
mod mail_fixture;
mod product;
mod smtp_delivery;
mod smtp_server;
