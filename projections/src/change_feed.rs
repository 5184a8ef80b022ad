//! Publishes changes to subscribers as they happen, over `Redis` pub/sub.
//!
//! The only stored state deduplicates repeated events. A message says which event happened to which aggregate, not the
//! aggregate's current state: a receiver queries a read model or reads the log. Pub/sub does not deliver to
//! disconnected subscribers, so one that must not miss anything follows log positions and takes a message as the sign
//! to read.
//!
//! | name below `medhub:live:` | what it is |
//! | --- | --- |
//! | `<tenant>:<context>` | the channel of a context's events of a tenant |
//! | `{<tenant>}:last:<aggregate type>:<aggregate id>` | sequence of the last published event; expires |

mod change_notification;
mod projection;
mod publisher;
mod subscription;

pub use self::{change_notification::ChangeNotification, publisher::ChangeFeed, subscription::FeedSubscription};
