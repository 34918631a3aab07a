use fastchat_client::{Config, account, messenger::Messenger, record::*};
use fastchat_e2e::{content::Body, secret::Password};
use std::{path::PathBuf, time::{Duration, Instant}};
async fn person(config: &Config, base: &str, name: &str) -> Messenger {
    let t = Instant::now();
    let r = account::register(config, &PathBuf::from(format!("{base}/{name}")), name, Password::new("correct horse".into()), "smoke").await.unwrap();
    println!("{name} registered in {:?}", t.elapsed());
    let m = Messenger::start(r.profile, config.clone()).unwrap();
    m.caught_up(Duration::from_secs(10)).await.unwrap();
    m
}
async fn drain(m: &Messenger, who: &str, n: usize) {
    let mut after = m.profile().shown().unwrap();
    for _ in 0..n {
        match tokio::time::timeout(Duration::from_secs(10), m.next(after)).await {
            Ok(r) => { let r = r.unwrap(); after = r.arrival; println!("{who}: {} #{} {:?} {:?} {:?}", r.conversation, r.seq, r.from.as_ref().map(|p| p.username.clone()), r.what, r.alarms);
                if let What::Message(c) = &r.what { if let Body::Text(t) = &c.body { println!("      {}", t.body); } } }
            Err(_) => { println!("{who}: TIMEOUT {:?}", *m.status().borrow()); break; }
        }
    }
    m.profile().save_shown(after).unwrap();
}
#[tokio::main]
async fn main() {
    tracing_subscriber::fmt().with_env_filter(tracing_subscriber::EnvFilter::from_default_env()).init();
    let base = std::env::args().nth(2).unwrap();
    let config = Config::new(&std::env::args().nth(1).unwrap()).unwrap();
    let alice = person(&config, &base, "alice2").await;
    let bob = person(&config, &base, "bob2").await;
    let carol = person(&config, &base, "carol2").await;
    let t = Instant::now();
    let c = alice.conversation(&"@bob2".parse().unwrap()).await.unwrap();
    println!("direct made in {:?}", t.elapsed());
    let t = Instant::now();
    println!("{:?} {:?}", alice.send(c, Body::text("hello")).await.unwrap(), t.elapsed());
    drain(&bob, "bob2", 2).await;
    drain(&alice, "alice2", 2).await;
    println!("bob answers {:?}", bob.conversation(&"@alice2".parse().unwrap()).await.map(|x| x == c));
    bob.send(c, Body::text("hi yourself")).await.unwrap();
    drain(&alice, "alice2", 1).await;
    let t = Instant::now();
    let g = alice.create_group("team", &["bob2".parse().unwrap(), "carol2".parse().unwrap()]).await.unwrap();
    println!("group made in {:?}", t.elapsed());
    alice.send(g, Body::text("hi all")).await.unwrap();
    drain(&bob, "bob2", 4).await;
    drain(&carol, "carol2", 3).await;
    let t = Instant::now();
    let ids = alice.queue_all(g, (0..200).map(|i| Body::text(format!("m{i}"))).collect()).await.unwrap();
    for id in ids { alice.sent(id).await.unwrap(); }
    println!("200 sealed and acked in {:?}", t.elapsed());
    alice.remove(g, &["carol2".parse().unwrap()]).await.unwrap();
    alice.send(g, Body::text("without carol")).await.unwrap();
    println!("{:?}", bob.members(g).await.unwrap());
    drain(&carol, "carol2", 202).await;
    println!("carol sends: {:?}", carol.send(g, Body::text("no")).await);
}
