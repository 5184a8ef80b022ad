//! Notifications: told by a program, read by their user, and by nobody else.

use std::sync::Arc;

use commands::{
    authority::Authority,
    bus::{Bus, Sender},
    caller::Caller,
    condition::Conditions,
};
use domain::{
    clock::SystemClock,
    inbox::{Inbox, InboxCommand, Notification, NotificationBody, NotificationId, NotificationKind, NotificationTitle},
    value::{TenantId, UserId},
};
use eventstore::{postgres::PostgresConfig, store::PgStore};
use serde_json::json;
use tests::{Stack, Subscription};

use super::Person;

/// Tells a user something, as a process manager does.
async fn tell(bus: &Bus<PgStore<()>>, tenant: &str, user: &str, number: u128) {
    let caller = Caller::new(UserId::ours("system:test"), TenantId::try_new(tenant).unwrap());
    let sender = Sender { caller, authority: Authority::System };
    let notification = Notification {
        notification_id: NotificationId::new(uuid::Uuid::from_u128(number)),
        kind: NotificationKind::OpportunityMatched,
        title: NotificationTitle::try_new(&format!("Match {number}")).unwrap(),
        body: NotificationBody::try_new("It fits.").unwrap(),
        link: None,
        about: None,
    };
    let command = InboxCommand::Notify { notification, stamp: bus.stamp(&sender) };
    bus.give::<Inbox>(&sender, user, &Conditions::default(), command).await.unwrap();
}

#[tokio::test]
async fn a_user_is_told_reads_and_dismisses_and_misses_nothing() {
    let stack = Stack::start().await;
    let ann = Person::found(&stack, "ann", "acme").await;
    let vic = ann.joined_by("vic", "VIEWER", "acme").await;
    let config = PostgresConfig { url: stack.url("DATABASE_URL").into(), ..PostgresConfig::default() };
    let pool = eventstore::postgres::open(&config).unwrap();
    let bus = Bus::new(PgStore::new(pool, &config), Arc::new(SystemClock));

    tell(&bus, "acme", "vic", 1).await;
    tell(&bus, "acme", "ann", 2).await;
    tell(&bus, "acme", "vic", 3).await;
    tell(&bus, "acme", "vic", 3).await;

    let all = vic.change("markNotificationsRead(ids: [\"00000000-0000-0000-0000-000000000001\"])", json!({})).await;
    let inbox = "{ notifications { totalCount unreadCount edges { node { title readAt } } }
        unread: notifications(unread: true) { totalCount } }";
    let seen = vic.see(&all, inbox, json!({})).await;
    assert_eq!(
        (&seen["notifications"]["totalCount"], &seen["notifications"]["unreadCount"]),
        (&json!(2), &json!(1)),
        "{seen}"
    );
    let titles: Vec<_> =
        seen["notifications"]["edges"].as_array().unwrap().iter().map(|edge| &edge["node"]["title"]).collect();
    assert_eq!(titles, ["Match 3", "Match 1"]);
    assert_eq!(ann.see(&all, inbox, json!({})).await["notifications"]["totalCount"], 1);

    let subscribe = async |after: &str| {
        let payload = json!({ "authorization": format!("Bearer {}", vic.token) });
        let document =
            format!("subscription {{ notifications(after: \"{after}\") {{ cursor notification {{ title }} }} }}");
        Subscription::begin(&stack.http(), payload, &document).await.unwrap()
    };
    let mut first = subscribe(&format!("{}.0", all.token.split('.').next().unwrap())).await;
    let told = first.next().await.unwrap().unwrap()["data"]["notifications"].clone();
    assert_eq!(told["notification"]["title"], "Match 1");
    drop(first);
    tell(&bus, "acme", "vic", 4).await;
    let mut again = subscribe(told["cursor"].as_str().unwrap()).await;
    for wanted in ["Match 3", "Match 4"] {
        let told = again.next().await.unwrap().unwrap()["data"]["notifications"].clone();
        assert_eq!(told["notification"]["title"], wanted, "{told}");
    }
    let gone = vic.change("dismissNotification(id: $id)", json!({ "id": uuid::Uuid::from_u128(4) })).await;
    assert_eq!(vic.see(&gone, inbox, json!({})).await["notifications"]["totalCount"], 2);
}
