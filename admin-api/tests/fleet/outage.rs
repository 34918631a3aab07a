//! People chat while something that their fleet stands on is away: nothing is lost, nothing comes twice, and
//! everything goes on by itself.

use super::{
    harness::{Fleet, until},
    journey::{check_log, three},
};
use fastchat_wire::{LogId, chat::create::ConversationKind};
use std::{collections::HashMap, time::Duration};

const PATIENCE: Duration = Duration::from_secs(60);

/// Three people write `each` texts before, while and after `away`, which ends once what was away is back.
pub(super) async fn chat_through(fleet: &Fleet, each: u64, away: impl Future<Output = ()>) {
    let [mut alice, mut bob, mut carol] = three(fleet).await;
    let others = [bob.me.account, carol.me.account];
    let group = alice.client().create(ConversationKind::Group, &others).await.expect("a group");
    let mut away = Some(away);
    let mut last = 1;
    for round in 0..3 {
        for user in [&mut alice, &mut bob, &mut carol] {
            user.follow(group);
            for n in 0..each {
                user.write(group, format!("round {round}, text {n}"));
            }
        }
        last += 3 * each;
        let expected: HashMap<LogId, u64> = [(group, last)].into();
        let killing = async {
            if round == 1
                && let Some(away) = away.take()
            {
                away.await;
            }
        };
        tokio::join!(
            alice.run(&expected, PATIENCE),
            bob.run(&expected, PATIENCE),
            carol.run(&expected, PATIENCE),
            killing
        );
    }
    let texts = usize::try_from(3 * 3 * each).unwrap();
    let mut reader = match alice.client.take() {
        Some(client) => client,
        None => {
            alice.come_back().await.expect("alice is served");
            alice.client.take().expect("alice is online")
        }
    };
    check_log(&mut reader, group, &[&alice, &bob, &carol], texts).await;

    // The control plane too: it still writes.
    let rest = fleet.rest();
    until("all servers are ready, none was restarted", 15, async || {
        let servers = rest.servers().await?;
        let well = servers.iter().all(|server| server["state"] == "ready" && server["restarts"] == 0);
        (servers.len() == 3 && well).then_some(())
    })
    .await;
}
