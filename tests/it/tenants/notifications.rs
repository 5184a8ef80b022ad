//! Notifications, which a program sends and only their user reads.

use std::sync::Arc;

use commands::{
    authorization::CallerAuthority,
    caller::Caller,
    dispatcher::{CommandDispatcher, CommandSender},
    precondition::CommandPreconditions,
};
use domain::{
    clock::SystemClock,
    inbox::{Inbox, InboxCommand, Notification, NotificationBody, NotificationId, NotificationKind, NotificationTitle},
    value::{TenantId, UserId},
};
use eventstore::{postgres::PostgresConfig, store::PgEventStore};
use serde_json::json;
use tests::{GraphqlSubscriber, SignedInUser, shared_product, unique_name};

/// Notifies a user, as a process manager does.
async fn notify_user(dispatcher: &CommandDispatcher<PgEventStore<()>>, tenant: &str, user: &str, number: u128) {
    let caller = Caller::new(UserId::from_program("system:test"), TenantId::try_new(tenant).unwrap());
    let sender = CommandSender { caller, authority: CallerAuthority::System };
    let notification = Notification::new(
        NotificationId::new(uuid::Uuid::from_u128(number)),
        NotificationKind::OpportunityMatched,
        NotificationTitle::try_new(&format!("Match {number}")).unwrap(),
        NotificationBody::try_new("It fits.").unwrap(),
    );
    let command = InboxCommand::Notify { notification, stamp: dispatcher.stamp(&sender) };
    dispatcher.dispatch::<Inbox>(&sender, user, &CommandPreconditions::default(), command).await.unwrap();
}

#[tokio::test]
async fn a_user_receives_reads_and_dismisses_notifications_without_missing_any() {
    let (product, company) = (shared_product().await, unique_name("acme"));
    let ann = SignedInUser::register_company(product, "ann", &company).await;
    let vic = ann.add_member("vic", "VIEWER", &company).await;
    let config =
        PostgresConfig { url: product.variable("DATABASE_URL").to_owned().into(), ..PostgresConfig::default() };
    let pool = eventstore::postgres::open_pool(&config).unwrap();
    let dispatcher = CommandDispatcher::new(PgEventStore::new(pool, &config), Arc::new(SystemClock));

    notify_user(&dispatcher, &company, "vic", 1).await;
    notify_user(&dispatcher, &company, "ann", 2).await;
    notify_user(&dispatcher, &company, "vic", 3).await;
    notify_user(&dispatcher, &company, "vic", 3).await;

    let all =
        vic.apply_change("markNotificationsRead(ids: [\"00000000-0000-0000-0000-000000000001\"])", json!({})).await;
    let inbox = "{ notifications { totalCount unreadCount edges { node { title readAt } } }
        unread: notifications(unread: true) { totalCount } }";
    let answer = vic.query_since(&all, inbox, json!({})).await;
    assert_eq!(
        (&answer["notifications"]["totalCount"], &answer["notifications"]["unreadCount"]),
        (&json!(2), &json!(1)),
        "{answer}"
    );
    let titles: Vec<_> =
        answer["notifications"]["edges"].as_array().unwrap().iter().map(|edge| &edge["node"]["title"]).collect();
    assert_eq!(titles, ["Match 3", "Match 1"]);
    assert_eq!(ann.query_since(&all, inbox, json!({})).await["notifications"]["totalCount"], 1);

    let subscribe = async |after: &str| {
        let payload = json!({ "authorization": format!("Bearer {}", vic.token) });
        let document =
            format!("subscription {{ notifications(after: \"{after}\") {{ cursor notification {{ title }} }} }}");
        GraphqlSubscriber::subscribe(product.http(), payload, &document).await.unwrap()
    };
    let mut first = subscribe(&format!("{}.0", all.token.split('.').next().unwrap())).await;
    let notification = first.next_answer().await.unwrap().unwrap()["data"]["notifications"].clone();
    assert_eq!(notification["notification"]["title"], "Match 1");
    drop(first);
    notify_user(&dispatcher, &company, "vic", 4).await;
    let mut second = subscribe(notification["cursor"].as_str().unwrap()).await;
    for expected in ["Match 3", "Match 4"] {
        let notification = second.next_answer().await.unwrap().unwrap()["data"]["notifications"].clone();
        assert_eq!(notification["notification"]["title"], expected, "{notification}");
    }
    let dismissed = vic.apply_change("dismissNotification(id: $id)", json!({ "id": uuid::Uuid::from_u128(4) })).await;
    assert_eq!(vic.query_since(&dismissed, inbox, json!({})).await["notifications"]["totalCount"], 2);
}
