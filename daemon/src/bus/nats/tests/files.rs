//! What `?ca=` and `?credentials=` name: files that are read at each dial.

use super::{super::connection::connect, *};
use crate::net::testing::Authority;
use fastchat_wire::control::BusPlace;
use fastchatd_testing::NatsOperator;
use std::{fs, path::Path};

/// A broker that speaks TLS alone, with a certificate for its address by that CA; `more` is more of its configuration.
fn tls_broker(ca: &Authority, certified: &str, more: &str) -> NatsServer {
    let identity = ca.member(certified, certified).tls.unwrap().identity;
    let (certificate, key) = (identity.certificate.display(), identity.key.display());
    NatsServer::start_with(&format!(
        "tls {{ cert_file: \"{certificate}\", key_file: \"{key}\", timeout: 10 }}\n{more}"
    ))
}

/// What a dial by that URL says; nobody may be let in.
async fn refusal(url: &str) -> String {
    let Ok(BusPlace::Nats(place)) = BusPlace::parse(url) else {
        panic!("no broker's URL: {url}")
    };
    match connect(&place, "s9", CancellationToken::new()).await {
        Ok(_) => panic!("{url} was let in"),
        Err(error) => format!("{error:#}"),
    }
}

fn ca_of(file: &Path) -> String {
    format!("ca={}", file.display())
}

#[tokio::test]
async fn a_broker_s_certificate_counts_by_the_ca_of_the_file_and_a_wrong_file_is_mended_without_a_restart() {
    let (ca, other, folder) = (Authority::new(), Authority::new(), tempfile::tempdir().unwrap());
    let broker = tls_broker(&ca, "127.0.0.1", "");
    let file = folder.path().join("ca.pem");
    fs::copy(other.ca(), &file).unwrap();
    let url = broker.url_by_tls(&ca_of(&file));
    let said = refusal(&url).await;
    assert!(
        said.contains("from nobody whom") && said.contains(&file.display().to_string()),
        "{said}"
    );
    let mut late = two(&url, &key());

    let mut members = two(&broker.url_by_tls(&ca_of(&ca.ca())), &FleetKey::new(Secret32::new([6; 32])));
    meet(&mut members).await;
    members[0].bus.broadcast(&bell(1));
    assert_eq!(members[1].next().await, BusEvent::Message("s1".into(), bell(1)));
    assert_eq!((late[0].metrics.connected.get(), late[1].metrics.connected.get()), (0, 0));

    fs::copy(ca.ca(), &file).unwrap();
    meet(&mut late).await;
}

#[tokio::test]
async fn a_broker_is_not_trusted_by_the_system_alone_nor_under_another_s_name_nor_with_a_ca_that_is_away() {
    let ca = Authority::new();
    let broker = tls_broker(&ca, "127.0.0.1", "");
    let said = refusal(&broker.url_by_tls("")).await;
    assert!(said.contains("?ca=/FILE"), "{said}");
    let said = refusal(&broker.url_by_tls("ca=/nowhere/ca.pem")).await;
    assert!(said.contains("/nowhere/ca.pem that --bus names"), "{said}");

    let elsewhere = tls_broker(&ca, "broker.example", "");
    let said = refusal(&elsewhere.url_by_tls(&ca_of(&ca.ca()))).await;
    assert!(said.contains("for another name"), "{said}");
}

#[tokio::test]
async fn a_tls_url_never_speaks_to_a_plain_broker() {
    let (ca, broker) = (Authority::new(), NatsServer::start());
    let said = refusal(&broker.url_by_tls(&ca_of(&ca.ca()))).await;
    assert!(said.contains("tls:// is what it speaks") || said.contains("broker's TLS"), "{said}");
}

#[tokio::test]
async fn credentials_let_in_and_wrong_ones_are_refused_until_the_file_is_mended() {
    let (ca, operator, stranger) = (Authority::new(), NatsOperator::new(), NatsOperator::new());
    let broker = tls_broker(&ca, "127.0.0.1", &operator.configuration());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("fastchat.creds");
    let url = broker.url_by_tls(&format!("{}&credentials={}", ca_of(&ca.ca()), file.display()));
    let name = file.display().to_string();

    let said = refusal(&url).await;
    assert!(said.contains("can't read the credentials") && said.contains(&name), "{said}");
    fs::write(&file, "no credentials").unwrap();
    let said = refusal(&url).await;
    assert!(said.contains("it must be a .creds file") && said.contains(&name), "{said}");
    fs::write(&file, stranger.credentials()).unwrap();
    let said = refusal(&url).await;
    assert!(said.contains("refuses the credentials") && said.contains(&name), "{said}");
    let said = refusal(&broker.url_by_tls(&ca_of(&ca.ca()))).await;
    assert!(said.contains("asks for a login"), "{said}");

    let mut members = two(&url, &key());
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(members[0].metrics.connected.get(), 0);
    fs::write(&file, operator.credentials()).unwrap();
    meet(&mut members).await;
    members[0].bus.send("s2", &bell(1));
    assert_eq!(members[1].next().await, BusEvent::Message("s1".into(), bell(1)));
}
