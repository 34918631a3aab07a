//! How long people wait, with no server that answers.

use super::*;
use crate::profile::identity;
use fastchat_e2e::{Credential, DeviceId, DeviceKey, IdentityKey};

const PATIENCE: Duration = Duration::from_millis(200);

/// A messenger whose tasks do nothing, and what must live as long.
struct Idle {
    messenger: Messenger,
    folder: tempfile::TempDir,
    _session: Session,
}

impl Idle {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let profile = Profile::create(folder.path()).unwrap();
        let key = DeviceKey::random(&mut rand::rng());
        let identity_key = IdentityKey::random(&mut rand::rng());
        let (account, device) = (AccountId([1; 16]), DeviceId([2; 16]));
        let credential = Credential::issue(&identity_key, account, "alice".parse().unwrap(), device, key.public(), 1);
        profile.write(|tx| identity::save(tx, &credential, &key, None)).unwrap();
        let profile = Arc::new(profile);
        let config = Config::new("127.0.0.1:1").unwrap();
        let session = Session::start(config, Arc::clone(&profile) as _, Arc::clone(&profile) as _);
        let me = profile.me().unwrap().unwrap();
        let idle = || AbortOnDropHandle::new(tokio::spawn(std::future::pending()));
        Self {
            messenger: Messenger {
                shared: Arc::new(Shared::new(profile, session.handle())),
                me,
                waits: Waits::default(),
                _tasks: [idle(), idle(), idle(), idle(), idle()],
            },
            folder,
            _session: session,
        }
    }

    fn server(&self, server: Option<&str>) {
        self.messenger.shared.tell(|status| status.server = server.map(str::to_owned));
    }

    async fn shown(&self) -> Option<u64> {
        let look = |profile: &Profile| Ok(Some(profile.shown()?).filter(|shown| *shown > 0));
        self.messenger.until(Some(PATIENCE), look).await.unwrap()
    }
}

#[tokio::test]
async fn what_does_not_come_with_a_server_is_waited_for_no_longer_than_patience() {
    let idle = Idle::new();
    idle.server(Some("s1"));
    let found = timeout(Duration::from_secs(10), idle.shown()).await.unwrap();
    assert_eq!(found, None);
}

#[tokio::test]
async fn time_without_a_server_does_not_count_and_another_process_is_noticed() {
    let idle = Idle::new();
    assert!(timeout(4 * PATIENCE, idle.shown()).await.is_err(), "it still waits");
    let other = Profile::open(idle.folder.path()).unwrap();
    let (found, ()) = tokio::join!(timeout(Duration::from_secs(10), idle.shown()), async {
        sleep(PATIENCE).await;
        other.save_shown(7).unwrap();
    });
    assert_eq!(found.unwrap(), Some(7));
}

#[tokio::test]
async fn who_waits_is_told_when_the_session_is_over() {
    let idle = Idle::new();
    let over = idle.messenger.shared.clone();
    let (waited, ()) = tokio::join!(idle.messenger.next(0), async {
        sleep(PATIENCE).await;
        over.tell(|status| status.ended = Some(Ended::Closed));
    });
    assert_eq!(waited.unwrap_err().code(), "closed");
}

#[tokio::test]
async fn whoever_is_told_to_wait_waits_so_long_and_has_all_patience_after_it() {
    let idle = Idle::new();
    let until = idle.messenger.waits.asked(2 * PATIENCE);
    let late = idle.messenger.caught_up(PATIENCE).await.unwrap_err();
    assert_eq!(late.exit_code(), 3);
    assert!(Instant::now() >= until + PATIENCE);
}
