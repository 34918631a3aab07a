//! Who gets into the mesh, and who does not.

use super::{
    handshake::{Control, Greeting, Side, nonce},
    *,
};
use crate::bus::{
    Refused, VERSION,
    conformance::{Kind, Member, OnMesh, key, until},
};
use fastchat_wire::{Deframer, Frame, FrameLimits, Secret32};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// Somebody who dials a member.
struct Dialler {
    stream: TcpStream,
    deframer: Deframer,
}

impl Dialler {
    async fn to(kind: &OnMesh, member: &Member) -> Self {
        Self {
            stream: TcpStream::connect(kind.address(&member.name)).await.unwrap(),
            deframer: Deframer::new(FrameLimits::DEFAULT),
        }
    }

    async fn say(&mut self, control: &Control) {
        self.stream.write_all(&control.encode().unwrap()).await.unwrap();
    }

    /// The next frame; `None` at the end.
    async fn next(&mut self) -> Option<Frame> {
        loop {
            if let Some(frame) = self.deframer.next().unwrap() {
                return Some(frame);
            }
            if self.stream.read_buf(self.deframer.buffer_mut()).await.unwrap_or(0) == 0 {
                return None;
            }
        }
    }

    /// Says hello, and proves it with that key; answers what comes then.
    async fn greets(&mut self, hello: (u8, &str, &str), key: &FleetKey) -> Option<Control> {
        let (version, from, to) = hello;
        let dialler = nonce();
        self.say(&Control::Hello {
            version,
            from: from.into(),
            to: to.into(),
            nonce: dialler.clone(),
        })
        .await;
        let frame = self.next().await?;
        let Some(Control::Welcome { nonce: listener, proof }) = Control::decode(&frame) else {
            return Control::decode(&frame);
        };
        let greeting = Greeting {
            from: from.into(),
            to: to.into(),
            dialler,
            listener,
        };
        assert!(greeting.check(Side::Listener, &proof, &self::key()).is_ok());
        let proof = greeting.proof(Side::Dialler, key);
        self.say(&Control::Proof { proof }).await;
        Control::decode(&self.next().await?)
    }
}

fn reason(answer: Option<Control>) -> String {
    match answer {
        Some(Control::Refused { reason }) => reason,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_key_a_release_and_a_name_that_do_not_fit_are_refused_and_counted() {
    let mut kind = OnMesh::new();
    let mut member = kind.member("s1").await;
    let other_key = FleetKey::new(Secret32::new([6; 32]));
    for (hello, key, expected) in [
        ((VERSION, "s2", "s1"), &other_key, Refused::Key),
        ((VERSION + 1, "s2", "s1"), &key(), Refused::Version),
        ((VERSION, "s2", "s3"), &key(), Refused::Malformed),
    ] {
        let mut dialler = Dialler::to(&kind, &member).await;
        assert_eq!(reason(dialler.greets(hello, key).await), expected.as_str());
        assert!(dialler.next().await.is_none(), "and closed");
        assert_eq!(member.metrics.refused(expected), 1);
    }
    assert!(member.events.try_recv().is_err(), "nobody is heard");
    let mut dialler = Dialler::to(&kind, &member).await;
    assert!(matches!(dialler.greets((VERSION, "s2", "s1"), &key()).await, Some(Control::Heard)));
    assert_eq!(member.next().await, BusEvent::Hears("s2".into()));
}

#[tokio::test]
async fn a_proof_is_good_for_one_link_only() {
    let mut kind = OnMesh::new();
    let member = kind.member("s1").await;
    // Recorded from another link: the same dialler's nonce, the same proof.
    let (dialler, listener) = (nonce(), nonce());
    let recorded = Greeting {
        from: "s2".into(),
        to: "s1".into(),
        dialler: dialler.clone(),
        listener,
    };
    let mut link = Dialler::to(&kind, &member).await;
    link.say(&Control::Hello {
        version: VERSION,
        from: "s2".into(),
        to: "s1".into(),
        nonce: dialler,
    })
    .await;
    link.next().await.expect("a welcome");
    let proof = recorded.proof(Side::Dialler, &key());
    link.say(&Control::Proof { proof }).await;
    let answer = link.next().await.and_then(|frame| Control::decode(&frame));
    assert_eq!(reason(answer), "key");
}

#[tokio::test]
async fn a_listener_without_the_key_is_told_nothing_more() {
    let mut kind = OnMesh::new();
    let mut member = kind.member("s1").await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let peer = Peer {
        name: "s2".into(),
        address: listener.local_addr().unwrap().to_string(),
    };
    Arc::clone(&member.bus).set_peers(&[peer]);
    let (stream, _) = listener.accept().await.unwrap();
    let mut link = Dialler {
        stream,
        deframer: Deframer::new(FrameLimits::DEFAULT),
    };
    let hello = link.next().await.expect("a hello");
    assert!(matches!(Control::decode(&hello), Some(Control::Hello { version: VERSION, .. })));
    let (nonce, proof) = (nonce(), nonce());
    link.say(&Control::Welcome { nonce, proof }).await;
    assert!(link.next().await.is_none(), "no proof, no message");
    until(async || (member.metrics.refused(Refused::Key) >= 1).then_some(())).await;
    assert!(member.events.try_recv().is_err());
}

#[tokio::test]
async fn strangers_who_say_nothing_or_too_much_are_sent_away() {
    let mut kind = OnMesh::new();
    let member = kind.member("s1").await;
    let mut long = Dialler::to(&kind, &member).await;
    let header = format!("{{\"event\":\"{}\"}}", "x".repeat(2_000));
    let frame = [&(header.len() as u32).to_be_bytes()[..], header.as_bytes()].concat();
    // It may be closed before all is written.
    let _ = long.stream.write_all(&frame).await;
    while long.next().await.is_some() {}

    let mut quiet = Vec::new();
    for _ in 0..GREETINGS_MAX {
        quiet.push(Dialler::to(&kind, &member).await);
    }
    let mut one_more = Dialler::to(&kind, &member).await;
    assert!(one_more.next().await.is_none(), "one past the bound");
    assert!(member.metrics.refused(Refused::TooMany) >= 1);
    for link in &mut quiet {
        assert!(link.next().await.is_none(), "who says nothing for a second");
    }
    let mut later = Dialler::to(&kind, &member).await;
    assert!(matches!(later.greets((VERSION, "s2", "s1"), &key()).await, Some(Control::Heard)));
}

#[tokio::test]
async fn a_link_on_which_nothing_is_heard_is_given_up_by_both_sides() {
    let mut kind = OnMesh::new();
    let mut member = kind.member("s1").await;
    // A dialler that falls silent.
    let mut dialler = Dialler::to(&kind, &member).await;
    dialler.greets((VERSION, "s2", "s1"), &key()).await;
    assert_eq!(member.next().await, BusEvent::Hears("s2".into()));
    assert_eq!(member.next().await, BusEvent::Silent("s2".into()));

    // A listener that reads everything and falls silent.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    Arc::clone(&member.bus).set_peers(&[Peer {
        name: "s3".into(),
        address,
    }]);
    let (stream, _) = listener.accept().await.unwrap();
    let mut link = Dialler {
        stream,
        deframer: Deframer::new(FrameLimits::DEFAULT),
    };
    let hello = link.next().await.expect("a hello");
    let Some(Control::Hello {
        from, to, nonce: dialler, ..
    }) = Control::decode(&hello)
    else {
        panic!("no hello")
    };
    let listener_nonce = nonce();
    let greeting = Greeting {
        from,
        to,
        dialler,
        listener: listener_nonce.clone(),
    };
    let proof = greeting.proof(Side::Listener, &key());
    link.say(&Control::Welcome {
        nonce: listener_nonce,
        proof,
    })
    .await;
    let BusEvent::Listening(peer, number) = member.next().await else {
        panic!("no link")
    };
    assert_eq!(peer, "s3");
    while link.next().await.is_some() {}
    assert_eq!(member.next().await, BusEvent::Deaf("s3".into(), number));
}
