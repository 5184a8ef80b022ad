//! Tells subscribers as it happens what has changed, over `Redis` pub/sub.
//!
//! Nothing is kept here but what keeps a repeated event from being told twice. A message says what happened to what, not
//! what it is like now: who receives it asks a read model or the log. Pub/sub forgets whoever is away, so a subscriber
//! that must miss nothing goes by the positions of the log and takes a message as the sign to look.
//!
//! | name below `medhub:live:` | what it is |
//! | --- | --- |
//! | `<tenant>:<context>` | the channel of a context's events of a tenant |
//! | `told:<aggregate type>:<aggregate id>` | sequence of the last event that was told; expires |

mod change_notification;
mod projection;
mod publisher;
mod subscription;

pub use self::{change_notification::ChangeNotification, publisher::ChangeFeed, subscription::FeedSubscription};
