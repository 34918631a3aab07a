//! Control plane, agent and balancer killed and restarted: nobody notices.

use super::{
    client::Client,
    harness::{Fleet, is_alive, signal, until},
    rest::probe,
};
use fastchat_wire::chat::{assign::Assign, create::ConversationKind, ping::Ping};
use reqwest::StatusCode;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn control_plane_and_agent_are_killed_and_come_back_without_anybody_noticing() {
    let fleet = Fleet::start();
    let rest = fleet.rest();
    let (mut alice, _) = Client::registered(fleet.server("s1"), "alice").await;
    let (mut bob, bob_id) = Client::registered(fleet.server("s2"), "bob").await;
    let group = alice.create(ConversationKind::Group, &[bob_id.account]).await.expect("a group");
    let before = rest.servers().await.expect("servers");
    let pids: Vec<_> = before.iter().map(|server| server["pid"].clone()).collect();

    for role in ["control", "agent"] {
        let process = fleet
            .line
            .processes
            .iter()
            .find(|process| process.role == role)
            .unwrap_or_else(|| panic!("no {role} in {:?}", fleet.line.processes));
        signal(process.pid, "KILL");
        until("the process is gone", 5, async || (!is_alive(process.pid)).then_some(())).await;
        // With it down people chat, sign in, and are balanced.
        alice.append(group, "still here").await.expect("alice is served");
        let mut new = Client::connect(fleet.balancer()).await.unwrap();
        let assigned = new.ask(&Assign::default()).await.expect("a server");
        Client::greeted(&assigned.address.unwrap(), Some(assigned.ticket))
            .await
            .expect("a newcomer is greeted");
        bob.ask(&Ping {}).await.expect("bob is served");
    }

    let after = until("the control plane sees the same processes again", 15, async || {
        let servers = rest.servers().await?;
        (servers.len() == 3 && servers.iter().all(|server| server["state"] == "ready")).then_some(servers)
    })
    .await;
    let pids_after: Vec<_> = after.iter().map(|server| server["pid"].clone()).collect();
    assert_eq!(pids, pids_after, "the running servers were adopted, not restarted");
    assert!(after.iter().all(|server| server["restarts"] == 0));

    // The agent that came back restarts what crashes.
    let pid = u32::try_from(pids[2].as_u64().unwrap()).unwrap();
    signal(pid, "KILL");
    until("the crashed server is brought back by the new agent", 10, async || {
        rest.server("s3")
            .await
            .filter(|server| server["state"] == "ready" && server["pid"] != pids[2])
    })
    .await;
    alice.append(group, "and on").await.expect("alice was never disconnected");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_balancer_comes_back_on_its_port_and_knows_the_servers_again() {
    let fleet = Fleet::start();
    let (mut alice, _) = Client::registered(fleet.server("s1"), "alice").await;
    let process = fleet
        .line
        .processes
        .iter()
        .find(|process| process.role == "balancer")
        .expect("a balancer");
    signal(process.pid, "KILL");
    alice.ask(&Ping {}).await.expect("clients of servers don't notice");
    let server = until("the balancer assigns again", 10, async || {
        let mut client = Client::connect(fleet.balancer()).await.ok()?;
        client.ask(&Assign::default()).await.ok()
    })
    .await;
    assert!(
        fleet
            .line
            .servers
            .iter()
            .any(|known| Some(&known.address) == server.address.as_ref())
    );
    assert_eq!(probe(&process.http, "/readyz").await.0, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_fleet_leaves_no_process_and_goes_on_where_it_was() {
    let fleet = Fleet::start();
    let (mut alice, me) = Client::registered(fleet.server("s1"), "alice").await;
    let group = alice.create(ConversationKind::Group, &[]).await.expect("a group");
    let seq = alice.append(group, "before").await.expect("appended");
    let pids: Vec<u32> = fleet.line.processes.iter().map(|process| process.pid).collect();
    assert!(pids.iter().all(|pid| is_alive(*pid)));

    let (folder, ports, took) = fleet.stop();
    assert!(took.as_secs() < 10, "everything ends within 10 s: {took:?}");
    assert!(pids.iter().all(|pid| !is_alive(*pid)), "no process is left");

    let fleet = Fleet::start_in(folder, ports, &[]);
    assert_eq!(fleet.line.servers.len(), 3);
    let mut again = Client::greeted(fleet.server("s2"), None).await.expect("the fleet is back");
    again.resume(&me.token).await.expect("the session lasts");
    let whole = again.whole(group).await.expect("the log");
    assert_eq!(
        whole.last().map(|(entry, block)| (entry.seq, block.as_ref())),
        Some((seq, &b"before"[..]))
    );
}
