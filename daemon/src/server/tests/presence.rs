//! Who is told who came and who went.

use super::{Client, Fleet, PATIENCE, proxy::Wire};
use fastchat_wire::{
    AccountId, EventName,
    chat::{create::ConversationKind, presence::Presence},
    limits::PRESENCE_GONE_MS,
};
use std::time::Duration;
use tokio::time::timeout;

/// The next that is told of an account.
async fn told(client: &mut Client, account: AccountId) -> bool {
    let telling = async {
        loop {
            let (presence, _) = client.event::<Presence>().await;
            if presence.account == account {
                return presence.online;
            }
        }
    };
    timeout(PATIENCE, telling).await.expect("nobody tells")
}

/// Longer than an account may be away without being told, on a busy machine too.
const GONE: Duration = Duration::from_millis(PRESENCE_GONE_MS + 1_000);

async fn hears_nothing(client: &mut Client, within: Duration) -> bool {
    client.hears_nothing(EventName::Presence, within).await
}

#[tokio::test]
async fn whoever_shares_a_direct_conversation_is_told_who_comes_and_goes_on_any_server_and_nobody_else() {
    let fleet = Fleet::of(3).await;
    let mut alice = fleet.register(0, "alice").await;
    let bob = fleet.register(1, "bob").await;
    let mut carol = fleet.register(2, "carol").await;
    let mut dave = fleet.register(2, "dave").await;
    alice.create(ConversationKind::Direct, &[&bob]).await;
    dave.create(ConversationKind::Direct, &[&bob]).await;
    alice.create(ConversationKind::Group, &[&bob, &carol]).await;
    // Dave does not ask.
    for client in [&mut alice, &mut carol] {
        client.conversations().await;
    }
    let (account, token) = (bob.account, bob.token.clone());
    assert!(told(&mut alice, account).await, "as it stands");
    drop(bob);
    assert!(!told(&mut alice, account).await);
    let mut again = fleet.client(0).await;
    again.resume_with(token).await;
    assert!(told(&mut alice, account).await, "back, on another server");
    for client in [&mut carol, &mut dave] {
        assert!(hears_nothing(client, Duration::from_millis(300)).await);
    }
    fleet.servers[0].until("presence_watched", "", |watched| watched == 1.0).await;
    drop(alice);
    fleet.servers[0].until("presence_watched", "", |watched| watched == 0.0).await;
}

#[tokio::test]
async fn a_connection_that_asks_is_told_how_each_stands_and_the_others_of_its_account_are_not() {
    let fleet = Fleet::of(2).await;
    let mut alice = fleet.register(0, "alice").await;
    let bob = fleet.register(1, "bob").await;
    let carol = fleet.register(1, "carol").await;
    for other in [&bob, &carol] {
        alice.create(ConversationKind::Direct, &[other]).await;
    }
    let gone = carol.account;
    drop(carol);
    fleet.servers[1].until("connections", "", |n| n == 1.0).await;
    // The other server hears of it a moment later; no metric says so.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let mut phone = fleet.client(0).await;
    phone.login("alice").await;
    phone.conversations().await;
    assert!(told(&mut phone, bob.account).await);
    let mut again = fleet.client(0).await;
    again.resume(&alice).await;
    again.conversations().await;
    assert!(!told(&mut again, gone).await, "who is away is named too");
    assert!(hears_nothing(&mut alice, Duration::from_millis(300)).await, "this one did not ask");
    let account = bob.account;
    drop(bob);
    for client in [&mut alice, &mut phone, &mut again] {
        while told(client, account).await {}
    }
}

#[tokio::test]
async fn a_conversation_that_begins_tells_both_of_each_other() {
    let fleet = Fleet::of(2).await;
    let mut alice = fleet.register(0, "alice").await;
    let mut bob = fleet.register(1, "bob").await;
    for client in [&mut alice, &mut bob] {
        client.conversations().await;
    }
    alice.create(ConversationKind::Direct, &[&bob]).await;
    let (a, b) = (alice.account, bob.account);
    assert!(told(&mut alice, b).await);
    assert!(told(&mut bob, a).await);
    drop(alice);
    assert!(!told(&mut bob, a).await);
}

#[tokio::test]
async fn who_changes_servers_was_never_away() {
    let fleet = Fleet::of(2).await;
    let mut alice = fleet.register(0, "alice").await;
    let mut bob = fleet.register(1, "bob").await;
    alice.create(ConversationKind::Direct, &[&bob]).await;
    alice.conversations().await;
    assert!(told(&mut alice, bob.account).await);
    for round in 0..4 {
        let token = bob.token.clone();
        drop(bob);
        bob = fleet.client(round % 2).await;
        bob.resume_with(token).await;
    }
    assert!(hears_nothing(&mut alice, GONE).await);
}

#[tokio::test]
async fn a_servers_end_takes_its_accounts_offline_at_the_others() {
    let mut fleet = Fleet::of(2).await;
    let mut alice = fleet.register(0, "alice").await;
    let bob = fleet.register(1, "bob").await;
    alice.create(ConversationKind::Direct, &[&bob]).await;
    alice.conversations().await;
    assert!(told(&mut alice, bob.account).await);
    fleet.servers[1].task.abort();
    assert!(!told(&mut alice, bob.account).await);
    fleet.restart(1).await;
    let mut again = fleet.client(1).await;
    again.resume(&bob).await;
    assert!(told(&mut alice, bob.account).await);
}

#[tokio::test]
async fn a_link_that_breaks_for_a_moment_is_nobodys_absence() {
    let fleet = Fleet::proxied(2).await;
    let mut alice = fleet.register(0, "alice").await;
    let bob = fleet.register(1, "bob").await;
    alice.create(ConversationKind::Direct, &[&bob]).await;
    alice.conversations().await;
    assert!(told(&mut alice, bob.account).await);
    fleet.link(1, 0).set(Wire::Cut);
    fleet.servers[0].links_up(0).await;
    fleet.link(1, 0).set(Wire::Whole);
    fleet.servers[0].links_up(1).await;
    assert!(hears_nothing(&mut alice, GONE).await);
    fleet.link(1, 0).set(Wire::Cut);
    assert!(!told(&mut alice, bob.account).await, "this one stays broken");
}
