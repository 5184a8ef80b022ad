//! Publishes changes to subscribers as they happen, over `Redis` pub/sub.
//!
//! The only stored state is the sequence of the last published event of each stream: an event that arrives again is not
//! published again. A message names the event and its aggregate, not the aggregate's state: a receiver queries a read
//! model or reads the log. Pub/sub does not deliver to disconnected subscribers: one that must see every event reads
//! the log from its last position whenever a message arrives.
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
