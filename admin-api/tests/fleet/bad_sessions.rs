//! Tickets, tokens and passwords that are wrong.

use super::{
    bad_frames::assert_refused,
    client::{Client, assign, auth_of},
    harness::Fleet,
};
use fastchat_wire::{
    Block, ErrorBody, Secret, Secret32,
    chat::{
        assign::Assign,
        auth_params::AuthParams,
        login::{LoggedIn, Login, Method},
        logout::Logout,
        ping::Ping,
    },
};
use std::time::Duration;

fn login(name: &str, auth: Secret32) -> Login {
    Login {
        username: name.parse().unwrap(),
        auth,
        method: Method::Password,
        device: None,
        new_device: None,
        device_name: Some("second".to_owned()),
    }
}

async fn log_in(client: &mut Client, request: &Login) -> Result<LoggedIn, ErrorBody> {
    match client.call(request, &Block::none()).await {
        Ok((response, frame)) => {
            assert_eq!(&frame.block[..], b"a sealed keyring");
            Ok(response)
        }
        Err(super::client::Failure::Refused(error)) => Err(error),
        Err(gone) => panic!("{gone:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ticket_is_good_once_for_its_server_and_its_time() {
    let fleet = Fleet::start_with(&["--servers", "2"]);
    let assigned = assign(fleet.balancer(), &Assign::default()).await.expect("a server");
    let address = assigned.address.expect("an address");
    let other = fleet
        .line
        .servers
        .iter()
        .find(|server| server.address != address)
        .expect("another server")
        .address
        .clone();

    let mut client = Client::connect(&other).await.unwrap();
    assert_refused(client.hello(Some(assigned.ticket.clone())).await, "bad-ticket");
    client.hello(None).await.expect("after a bad ticket, hello again");

    let mut client = Client::connect(&address).await.unwrap();
    assert_refused(client.hello(Some(Secret::new("forged".to_owned()))).await, "bad-ticket");
    let mut flipped = assigned.ticket.expose().to_owned().into_bytes();
    flipped[3] = if flipped[3] == b'A' { b'B' } else { b'A' };
    assert_refused(
        client.hello(Some(Secret::new(String::from_utf8(flipped).unwrap()))).await,
        "bad-ticket",
    );
    client.hello(Some(assigned.ticket.clone())).await.expect("the genuine one is good");

    let mut client = Client::connect(&address).await.unwrap();
    assert_refused(client.hello(Some(assigned.ticket)).await, "bad-ticket");

    let late = assign(fleet.balancer(), &Assign::default()).await.expect("a server");
    tokio::time::sleep(Duration::from_millis(late.expires_in_ms + late.wait_ms + 200)).await;
    let mut client = Client::connect(&late.address.unwrap()).await.unwrap();
    assert_refused(client.hello(Some(late.ticket)).await, "bad-ticket");
    client.hello(None).await.expect("a late client is served all the same");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_password_and_an_unknown_name_look_alike() {
    let fleet = Fleet::start_with(&["--servers", "2"]);
    let (s1, s2) = (fleet.server("s1").to_owned(), fleet.server("s2").to_owned());
    let (mut alice, registered) = Client::registered(&s1, "alice").await;
    let (mut here, mut there) = (Client::greeted(&s1, None).await.unwrap(), Client::greeted(&s2, None).await.unwrap());

    let wrong = log_in(&mut here, &login("alice", auth_of("not alice")))
        .await
        .expect_err("a wrong password");
    let unknown = log_in(&mut here, &login("nobody", auth_of("not alice")))
        .await
        .expect_err("an unknown name");
    assert_eq!(wrong, unknown);
    assert_eq!(wrong.code.as_str(), "bad-credentials");

    let made_up = here
        .ask(&AuthParams {
            username: "nobody".parse().unwrap(),
        })
        .await
        .expect("a made-up salt");
    assert_eq!(
        there
            .ask(&AuthParams {
                username: "nobody".parse().unwrap()
            })
            .await
            .expect("the same elsewhere"),
        made_up
    );
    assert_refused(here.register("alice").await, "name-taken");

    let second = log_in(&mut there, &login("alice", auth_of("alice")))
        .await
        .expect("the right password");
    assert_eq!(second.account, registered.account);
    assert_ne!(second.device, registered.device);

    // Signing out everywhere ends every session, on every server.
    alice.ask(&Logout { everywhere: true }).await.expect("logout");
    assert!(
        there.is_closed_within(Duration::from_secs(3)).await,
        "the session on the other server ends"
    );
    for token in [registered.token, second.token] {
        let mut client = Client::greeted(&s2, None).await.unwrap();
        assert_refused(client.resume(&token).await, "unauthenticated");
        assert_refused(client.ask(&fastchat_wire::chat::keys_count::KeysCount {}).await, "unauthenticated");
        client.ask(&Ping {}).await.expect("the connection stays");
    }
}
