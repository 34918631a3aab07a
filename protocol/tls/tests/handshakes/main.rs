//! Both sides on real sockets: who gets a connection, who does not, and what each is told.

#![expect(clippy::unwrap_used, reason = "tests")]

mod authority;

use authority::Authority;
use fastchat_tls::{Acceptor, ConnectError, Connector, HandshakeFailure, Identity, Protocol, Roots, Stream, TlsError, server_name};
use std::{fs, net::SocketAddr, os::unix::fs::PermissionsExt, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::Instant,
};

const LONG: Duration = Duration::from_secs(20);
const NAME: &str = "chat.example.org";

/// What became of one connection, seen from both sides.
type Both = (Result<Stream, ConnectError>, Result<Stream, HandshakeFailure>);

async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

async fn accept(listener: &TcpListener, acceptor: &Acceptor, within: Duration) -> Result<Stream, HandshakeFailure> {
    let (socket, _) = listener.accept().await.unwrap();
    acceptor.accept(socket, within).await
}

fn connector(authority: &Authority) -> Connector {
    Connector::new(&Roots::File(authority.file()), Protocol::FastChat).unwrap()
}

async fn meet(acceptor: &Acceptor, connector: &Connector, name: &str) -> Both {
    let (listener, address) = listener().await;
    let dial = async {
        let socket = TcpStream::connect(address).await.unwrap();
        connector.connect(&server_name(name).unwrap(), socket).await
    };
    tokio::join!(dial, accept(&listener, acceptor, LONG))
}

fn acceptor(identity: Identity) -> Acceptor {
    Acceptor::tls(identity, Protocol::FastChat).unwrap()
}

#[tokio::test]
async fn what_one_side_writes_the_other_reads_and_the_end_is_an_end() {
    let authority = Authority::new();
    let (client, server) = meet(&acceptor(authority.issue(NAME)), &connector(&authority), NAME).await;
    let (mut client, server) = (client.unwrap(), server.unwrap());
    let (mut reading, mut writing) = server.into_split();
    // More than a socket's buffers hold.
    let sent = vec![7; 8 << 20];
    let write = async {
        writing.write_all(&sent).await.unwrap();
        writing.flush().await.unwrap();
        writing.shutdown().await.unwrap();
    };
    let read = async {
        let mut got = Vec::new();
        client.read_to_end(&mut got).await.unwrap();
        got
    };
    let (got, ()) = tokio::join!(read, write);
    assert_eq!(got.len(), sent.len());
    drop(client);
    let mut rest = Vec::new();
    assert_eq!(
        reading.read_to_end(&mut rest).await.unwrap(),
        0,
        "a peer that is gone is at its end, no error"
    );
}

#[tokio::test]
async fn who_does_not_trust_the_certificate_says_why_and_the_other_side_counts_it() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let good = acceptor(authority.issue(NAME));
    let expired = acceptor(authority.issue_expired(NAME));

    let (client, server) = meet(&good, &connector(&stranger), NAME).await;
    assert!(matches!(client, Err(ConnectError::Untrusted)), "{client:?}");
    assert_eq!(server.unwrap_err().label(), "refuses");

    let (client, server) = meet(&good, &connector(&authority), "other.example.org").await;
    assert!(
        matches!(&client, Err(ConnectError::OtherName(name)) if name == "other.example.org"),
        "{client:?}"
    );
    assert_eq!(server.unwrap_err().label(), "refuses");

    let (client, server) = meet(&expired, &connector(&authority), NAME).await;
    assert!(matches!(client, Err(ConnectError::Expired)), "{client:?}");
    assert_eq!(server.unwrap_err().label(), "refuses");
}

#[tokio::test]
async fn an_address_is_a_name_too_where_the_certificate_has_it() {
    let authority = Authority::new();
    let (client, _) = meet(&acceptor(authority.issue("127.0.0.1")), &connector(&authority), "127.0.0.1").await;
    client.unwrap();
    let (client, _) = meet(&acceptor(authority.issue(NAME)), &connector(&authority), "127.0.0.1").await;
    let said = client.unwrap_err().to_string();
    assert!(said.contains("not for the name 127.0.0.1"), "{said}");
}

#[tokio::test]
async fn another_protocol_inside_is_refused() {
    let authority = Authority::new();
    let http = Connector::new(&Roots::File(authority.file()), Protocol::Http).unwrap();
    let (client, server) = meet(&acceptor(authority.issue(NAME)), &http, NAME).await;
    assert!(matches!(client, Err(ConnectError::Unfit(_))), "{client:?}");
    assert_eq!(server.unwrap_err().label(), "unfit");
}

#[tokio::test]
async fn a_plain_peer_keeps_its_socket_to_be_told_so() {
    let authority = Authority::new();
    let acceptor = acceptor(authority.issue(NAME));
    let (listener, address) = listener().await;
    let mut client = TcpStream::connect(address).await.unwrap();
    client.write_all(b"\x00\x2d{\"op\":\"hello\"").await.unwrap();
    let Err(HandshakeFailure::Plain(mut socket)) = accept(&listener, &acceptor, LONG).await else {
        panic!("it is plain");
    };
    socket.write_all(b"no").await.unwrap();
    let mut told = [0; 2];
    client.read_exact(&mut told).await.unwrap();
    assert_eq!(&told, b"no");
}

#[tokio::test]
async fn who_dials_a_plain_port_with_tls_is_told_so() {
    let authority = Authority::new();
    let (listener, address) = listener().await;
    let answer = async {
        let (mut socket, _) = listener.accept().await.unwrap();
        socket.write_all(b"\x00\x40{\"re\":null}").await.unwrap();
        socket
    };
    let dial = async {
        let socket = TcpStream::connect(address).await.unwrap();
        connector(&authority).connect(&server_name(NAME).unwrap(), socket).await
    };
    let (_socket, client) = tokio::join!(answer, dial);
    assert!(matches!(client, Err(ConnectError::Plain)), "{client:?}");
}

#[tokio::test]
async fn tls_1_2_is_refused() {
    let authority = Authority::new();
    let acceptor = acceptor(authority.issue(NAME));
    let (listener, address) = listener().await;
    // A ClientHello without extensions is one of TLS 1.2 at most.
    let mut hello = vec![3, 3];
    hello.extend([9; 32]);
    hello.extend([0, 0, 2, 0xc0, 0x2f, 1, 0]);
    let mut record = vec![0x16, 3, 1, 0, hello.len() as u8 + 4, 1, 0, 0, hello.len() as u8];
    record.extend(hello);
    let dial = async {
        let mut socket = TcpStream::connect(address).await.unwrap();
        socket.write_all(&record).await.unwrap();
        let mut alert = Vec::new();
        // The alert may be followed by a reset.
        let _ = socket.read_to_end(&mut alert).await;
        alert
    };
    let (alert, server) = tokio::join!(dial, accept(&listener, &acceptor, LONG));
    assert_eq!(server.unwrap_err().label(), "unfit");
    assert_eq!(alert.first(), Some(&0x15), "an alert: {alert:?}");
}

#[tokio::test]
async fn a_handshake_that_never_ends_is_cut_off() {
    let authority = Authority::new();
    let acceptor = acceptor(authority.issue(NAME));
    for begun in [&b""[..], &[0x16, 3, 1, 0][..]] {
        let (listener, address) = listener().await;
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(begun).await.unwrap();
        let began = Instant::now();
        let server = accept(&listener, &acceptor, Duration::from_millis(300)).await;
        assert_eq!(server.unwrap_err().label(), "slow");
        assert!(began.elapsed() < LONG);
        let mut rest = Vec::new();
        // At its end, or reset: either way over.
        let _ = client.read_to_end(&mut rest).await;
    }
}

#[tokio::test]
async fn a_new_certificate_is_used_without_a_restart_and_a_bad_one_is_not() {
    let authority = Authority::new();
    let connector = connector(&authority);
    let identity = authority.issue("old.example.org");
    let acceptor = acceptor(identity.clone());
    meet(&acceptor, &connector, "old.example.org").await.0.unwrap();

    // Half of a pair: the former one stays in use.
    let next = authority.issue(NAME);
    fs::copy(&next.certificate, &identity.certificate).unwrap();
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    meet(&acceptor, &connector, "old.example.org").await.0.unwrap();

    fs::copy(&next.key, &identity.key).unwrap();
    let deadline = Instant::now() + LONG;
    while meet(&acceptor, &connector, NAME).await.0.is_err() {
        assert!(Instant::now() < deadline, "the new certificate is not used");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(meet(&acceptor, &connector, "old.example.org").await.0.is_err());
}

#[test]
fn files_that_do_not_fit_are_refused_with_what_to_do() {
    let authority = Authority::new();
    let good = authority.issue(NAME);
    let said = |identity: Identity| Acceptor::tls(identity, Protocol::FastChat).unwrap_err().to_string();

    let missing = good.certificate.with_file_name("nothing.pem");
    let with_certificate = |certificate| Identity {
        certificate,
        key: good.key.clone(),
    };
    assert!(
        said(with_certificate(missing.clone())).contains("can't read certificate in"),
        "{}",
        said(with_certificate(missing))
    );
    assert!(said(with_certificate(good.key.clone())).contains("no certificate in"));
    assert!(said(with_certificate(authority.issue(NAME).certificate)).contains("give the two that belong together"));

    let no_key = Identity {
        key: good.certificate.clone(),
        ..good.clone()
    };
    fs::set_permissions(&no_key.key, fs::Permissions::from_mode(0o600)).unwrap();
    assert!(said(no_key).contains("no private key in"));
    for (mode, open) in [
        (0o600, false),
        (0o640, false),
        (0o400, false),
        (0o644, true),
        (0o660, true),
        (0o601, true),
    ] {
        fs::set_permissions(&good.key, fs::Permissions::from_mode(mode)).unwrap();
        let loaded = Acceptor::tls(good.clone(), Protocol::FastChat);
        match loaded {
            Ok(_) => assert!(!open, "{mode:o}"),
            Err(error) => assert!(open && error.to_string().contains("chmod 600"), "{mode:o}: {error}"),
        }
    }
    let roots = Roots::File(good.key.clone());
    assert!(matches!(Connector::new(&roots, Protocol::FastChat), Err(TlsError::NotThere { .. })));
}

#[test]
fn the_end_of_the_certificate_is_known() {
    let authority = Authority::new();
    let acceptor = acceptor(authority.issue_expired(NAME));
    assert_eq!(acceptor.expires_at_s(), Some(1_577_836_800), "2020-01-01");
    assert_eq!(Acceptor::plain().expires_at_s(), None);
}
