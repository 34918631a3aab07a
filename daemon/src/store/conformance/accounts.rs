//! What every [`AccountStore`](crate::store::AccountStore) does.

use super::people::{Person, converse, new_account, register};
use crate::store::{
    Denied, Store, StoreError,
    accounts::{NewPassword, Resumption, SESSIONS_PER_DEVICE_MAX, SessionId, SignIn, TOKEN_MS, TokenDigest},
};
use bytes::Bytes;
use fastchat_wire::{
    AccountId, DeviceId, LogId,
    chat::{
        auth_params::{AuthParameters, Kdf},
        create::ConversationKind,
    },
    encoding::Bytes64,
    limits::{DEVICES_PER_ACCOUNT_MAX, KEY_PACKAGE_BYTES_MAX, KEYS_CLAIM_BYTES_MAX, KEYS_PER_DEVICE_MAX, KEYS_PUBLISH_MAX},
};
use std::sync::Arc;
use uuid::Uuid;

const NOW: u64 = 1_800_000_000_000;

fn denied<T: std::fmt::Debug>(result: Result<T, StoreError>) -> Denied {
    match result {
        Err(StoreError::Denied(denied)) => denied,
        other => panic!("expected a refusal, got {other:?}"),
    }
}

fn token(byte: u8) -> TokenDigest {
    [byte; 32]
}

fn package(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

fn login(person: &Person, device: Option<DeviceId>, digest: TokenDigest, at: u64) -> SignIn {
    SignIn {
        account: person.account,
        device: device.unwrap_or_else(|| Uuid::now_v7().into()),
        new_device: device.is_none().then(|| "another".to_owned()),
        session: SessionId(Uuid::now_v7().into_bytes()),
        token: digest,
        at,
    }
}

pub(crate) async fn what_was_registered_is_what_sign_in_checks(store: Arc<dyn Store>) {
    let alice = register(&store, "alice").await;
    let params = store.auth_params(&alice.username).await.unwrap().unwrap();
    assert_eq!(params.kdf, Kdf::registration());
    let credentials = store.credentials(&alice.username).await.unwrap().unwrap();
    assert_eq!(
        (credentials.account, credentials.keyring_version, credentials.locked),
        (alice.account, 1, false)
    );
    assert_eq!(credentials.keyring, "keyring");
    let same = store.credentials_of(alice.account).await.unwrap().unwrap();
    assert_eq!((same.account, same.auth_hash), (alice.account, credentials.auth_hash));

    let found = store.lookup_account(alice.account).await.unwrap().unwrap();
    assert_eq!(Some(&found), store.lookup_username(&alice.username).await.unwrap().as_ref());
    assert_eq!(
        (found.account, &found.username, &found.identity),
        (alice.account, &alice.username, &None)
    );
    assert_eq!(found.devices.iter().map(|d| d.device).collect::<Vec<_>>(), [alice.device]);
    let (inbox, archive) = store.own_logs(alice.actor()).await.unwrap();
    assert_eq!(
        (inbox.log, archive.log),
        (LogId::inbox_of(alice.device), LogId::archive_of(alice.account))
    );
}

pub(crate) async fn an_unknown_name_has_nothing(store: Arc<dyn Store>) {
    let nobody = "nobody".parse().unwrap();
    assert!(store.auth_params(&nobody).await.unwrap().is_none());
    assert!(store.credentials(&nobody).await.unwrap().is_none());
    assert!(store.lookup_username(&nobody).await.unwrap().is_none());
    let nobody = AccountId([9; 16]);
    assert!(store.credentials_of(nobody).await.unwrap().is_none());
    assert!(store.lookup_account(nobody).await.unwrap().is_none());
}

pub(crate) async fn a_name_is_taken_once(store: Arc<dyn Store>) {
    let alice = register(&store, "alice").await;
    let again = new_account("alice");
    assert_eq!(denied(store.register(again.clone()).await), Denied::NameTaken);
    let found = store.lookup_username(&alice.username).await.unwrap().unwrap();
    assert_eq!(found.account, alice.account);
    assert!(store.lookup_account(again.account).await.unwrap().is_none());
}

pub(crate) async fn a_seventeenth_device_is_refused_until_one_goes(store: Arc<dyn Store>) {
    let alice = register(&store, "alice").await;
    for n in 1..DEVICES_PER_ACCOUNT_MAX {
        store.sign_in(login(&alice, None, token(n as u8), NOW)).await.unwrap();
    }
    let seventeenth = login(&alice, None, token(99), NOW);
    assert!(matches!(denied(store.sign_in(seventeenth.clone()).await), Denied::QuotaExceeded(_)));
    store.remove_device(alice.account, alice.device).await.unwrap();
    store.sign_in(seventeenth.clone()).await.unwrap();
    let devices = store.lookup_account(alice.account).await.unwrap().unwrap().devices;
    assert_eq!(devices.len(), DEVICES_PER_ACCOUNT_MAX);
    assert!(devices.iter().any(|d| d.device == seventeenth.device && d.name == "another"));
}

pub(crate) async fn a_session_begins_only_on_the_accounts_own_device(store: Arc<dyn Store>) {
    let (alice, bob) = (register(&store, "alice").await, register(&store, "bob").await);
    let foreign = login(&alice, Some(bob.device), token(1), NOW);
    assert!(matches!(denied(store.sign_in(foreign).await), Denied::NotFound(_)));
    let unknown = login(&alice, Some(DeviceId([9; 16])), token(1), NOW);
    assert!(matches!(denied(store.sign_in(unknown).await), Denied::NotFound(_)));
    assert_eq!(store.resume(token(1), token(2), NOW).await.unwrap(), Resumption::Unknown);
    let known = store.sign_in(login(&alice, Some(alice.device), token(1), NOW)).await.unwrap();
    assert_eq!((known.added, known.ended), (false, vec![]));
    assert!(matches!(store.resume(token(1), token(2), NOW).await.unwrap(), Resumption::Resumed(s) if s.device == alice.device));
}

pub(crate) async fn a_new_device_under_an_id_of_its_own_is_added_once(store: Arc<dyn Store>) {
    let (alice, bob) = (register(&store, "alice").await, register(&store, "bob").await);
    let phone = login(&alice, None, token(1), NOW);
    assert!(store.sign_in(phone.clone()).await.unwrap().added);
    // The answer was lost: the same again, with another session.
    let again = SignIn {
        new_device: phone.new_device.clone(),
        ..login(&alice, Some(phone.device), token(2), NOW)
    };
    assert!(!store.sign_in(again).await.unwrap().added);
    let devices = store.lookup_account(alice.account).await.unwrap().unwrap().devices;
    assert_eq!(devices.len(), 2);
    // Full, and still the same one.
    for n in 3..=DEVICES_PER_ACCOUNT_MAX {
        store.sign_in(login(&alice, None, token(n as u8), NOW)).await.unwrap();
    }
    let again = SignIn {
        new_device: phone.new_device.clone(),
        ..login(&alice, Some(phone.device), token(99), NOW)
    };
    assert!(!store.sign_in(again).await.unwrap().added);
    // Somebody else's device, or any other log's id.
    for taken in [alice.device, DeviceId(*alice.account.as_bytes())] {
        let foreign = SignIn {
            new_device: phone.new_device.clone(),
            ..login(&bob, Some(taken), token(98), NOW)
        };
        assert!(matches!(denied(store.sign_in(foreign).await), Denied::Conflict(_)));
    }
}

pub(crate) async fn a_device_is_named_anew_by_its_account_only(store: Arc<dyn Store>) {
    let (alice, bob) = (register(&store, "alice").await, register(&store, "bob").await);
    store.rename_device(alice.account, alice.device, "desk").await.unwrap();
    let devices = store.lookup_account(alice.account).await.unwrap().unwrap().devices;
    assert_eq!(devices[0].name, "desk");
    for (account, device) in [(bob.account, alice.device), (alice.account, DeviceId([9; 16]))] {
        let refused = store.rename_device(account, device, "mine").await;
        assert!(matches!(denied(refused), Denied::NotFound(_)));
    }
    assert_eq!(store.lookup_account(alice.account).await.unwrap().unwrap().devices[0].name, "desk");
}

pub(crate) async fn a_devices_seventeenth_session_ends_its_oldest(store: Arc<dyn Store>) {
    let alice = register(&store, "alice").await;
    let mut ended = Vec::new();
    for n in 0..SESSIONS_PER_DEVICE_MAX {
        ended.extend(
            store
                .sign_in(login(&alice, Some(alice.device), token(n as u8), alice.at + 1 + n as u64))
                .await
                .unwrap()
                .ended,
        );
    }
    assert_eq!(ended, [alice.session]);
    assert_eq!(store.resume(alice.token, token(99), alice.at).await.unwrap(), Resumption::Unknown);
}

pub(crate) async fn a_token_is_replaced_once_a_day_and_dies_with_the_first_use_of_the_new_one(store: Arc<dyn Store>) {
    let alice = register(&store, "alice").await;
    let resume = async |digest, fresh, at| match store.resume(digest, fresh, at).await.unwrap() {
        Resumption::Resumed(session) => {
            assert_eq!(
                (session.account, session.device, session.session),
                (alice.account, alice.device, alice.session)
            );
            session.rotated
        }
        other => panic!("{other:?}"),
    };
    let day = alice.at + TOKEN_MS;
    assert!(!resume(alice.token, token(1), day - 1).await, "not yet a day old");
    assert!(resume(alice.token, token(2), day).await);
    assert!(
        !resume(alice.token, token(3), day + 1).await,
        "still good, and no second one on that day"
    );
    assert!(!resume(token(2), token(4), day + 2).await, "the new one is used");
    for never in [1, 3, 4] {
        assert_eq!(
            store.resume(token(never), token(9), day).await.unwrap(),
            Resumption::Unknown,
            "{never} was not taken"
        );
    }
    assert_eq!(
        store.resume(alice.token, token(5), day + 3).await.unwrap(),
        Resumption::Ended(alice.session)
    );
    assert_eq!(
        store.resume(token(2), token(6), day + 4).await.unwrap(),
        Resumption::Unknown,
        "the session has ended"
    );
}

pub(crate) async fn a_new_token_that_got_lost_is_offered_again_a_day_later(store: Arc<dyn Store>) {
    let alice = register(&store, "alice").await;
    for day in 1..=3 {
        let resumed = store
            .resume(alice.token, token(day), alice.at + TOKEN_MS * u64::from(day))
            .await
            .unwrap();
        assert!(matches!(resumed, Resumption::Resumed(s) if s.rotated), "{day}");
    }
    let at = alice.at + TOKEN_MS * 3 + 1;
    assert!(matches!(
        store.resume(token(3), token(9), at).await.unwrap(),
        Resumption::Resumed(_)
    ));
    assert_eq!(
        store.resume(token(1), token(9), at).await.unwrap(),
        Resumption::Ended(alice.session)
    );
}

pub(crate) async fn sessions_end_one_by_one_or_all_at_once(store: Arc<dyn Store>) {
    let (alice, bob) = (register(&store, "alice").await, register(&store, "bob").await);
    store.sign_in(login(&alice, None, token(1), NOW)).await.unwrap();
    store.sign_in(login(&alice, None, token(2), NOW)).await.unwrap();
    store.end_session(alice.session).await.unwrap();
    store.end_session(alice.session).await.unwrap();
    assert_eq!(store.ended(&[alice.session, bob.session]).await.unwrap(), [alice.session]);
    assert_eq!(store.ended(&[bob.session]).await.unwrap(), []);
    let living = async |digest| matches!(store.resume(digest, token(9), NOW).await.unwrap(), Resumption::Resumed(_));
    assert!(!living(alice.token).await);
    assert!(living(token(1)).await);
    store.end_sessions(alice.account).await.unwrap();
    assert!(!living(token(1)).await && !living(token(2)).await);
    assert!(living(bob.token).await);
}

pub(crate) async fn a_password_change_starts_from_the_current_version(store: Arc<dyn Store>) {
    let alice = register(&store, "alice").await;
    let new = |keyring_version, recovery: Option<&str>| NewPassword {
        params: AuthParameters {
            salt: Bytes64(vec![2; 16]),
            kdf: Kdf {
                t: 9,
                ..Kdf::registration()
            },
        },
        auth_hash: "new hash".to_owned(),
        recovery_hash: recovery.map(str::to_owned),
        keyring: package("new keyring"),
        keyring_version,
    };
    for stale in [0, 2] {
        assert!(matches!(
            denied(store.change_password(alice.account, new(stale, None)).await),
            Denied::Conflict(_)
        ));
    }
    assert_eq!(store.change_password(alice.account, new(1, None)).await.unwrap(), 2);
    let now = store.credentials(&alice.username).await.unwrap().unwrap();
    assert_eq!(
        (now.auth_hash.as_str(), now.recovery_hash.as_deref()),
        ("new hash", Some("recovery hash"))
    );
    assert_eq!((now.keyring_version, now.keyring), (2, package("new keyring")));
    assert_eq!(store.auth_params(&alice.username).await.unwrap().unwrap().kdf.t, 9);
    assert!(matches!(
        denied(store.change_password(alice.account, new(1, None)).await),
        Denied::Conflict(_)
    ));
    assert_eq!(store.change_password(alice.account, new(2, Some("other"))).await.unwrap(), 3);
    let now = store.credentials(&alice.username).await.unwrap().unwrap();
    assert_eq!(now.recovery_hash.as_deref(), Some("other"));
}

pub(crate) async fn an_identity_is_set_once_and_credentials_again_and_again(store: Arc<dyn Store>) {
    let (alice, bob) = (register(&store, "alice").await, register(&store, "bob").await);
    store
        .set_credential(alice.account, alice.device, b"identity", b"first")
        .await
        .unwrap();
    store
        .set_credential(alice.account, alice.device, b"identity", b"second")
        .await
        .unwrap();
    let other = store.set_credential(alice.account, alice.device, b"another", b"third").await;
    assert!(matches!(denied(other), Denied::Conflict(_)));
    let found = store.lookup_account(alice.account).await.unwrap().unwrap();
    assert_eq!(found.identity, Some(Bytes64(b"identity".to_vec())));
    assert_eq!(
        found.devices[0].credential,
        Some(Bytes64(b"second".to_vec())),
        "a refusal changes nothing"
    );
    let foreign = store.set_credential(alice.account, bob.device, b"identity", b"x").await;
    assert_eq!(denied(foreign), Denied::Unauthenticated);
}

pub(crate) async fn a_removed_device_leaves_nothing_behind(store: Arc<dyn Store>) {
    let (alice, bob) = (register(&store, "alice").await, register(&store, "bob").await);
    store.keys_publish(alice.device, &[package("a")], true).await.unwrap();
    assert!(matches!(
        denied(store.remove_device(bob.account, alice.device).await),
        Denied::NotFound(_)
    ));
    store.remove_device(alice.account, alice.device).await.unwrap();
    assert!(matches!(
        denied(store.remove_device(alice.account, alice.device).await),
        Denied::NotFound(_)
    ));
    assert_eq!(store.resume(alice.token, token(1), alice.at).await.unwrap(), Resumption::Unknown);
    assert_eq!(store.keys_claim(&[alice.account], &[alice.device]).await.unwrap(), []);
    assert_eq!(
        denied(store.keys_publish(alice.device, &[package("b")], false).await),
        Denied::Unauthenticated
    );
    assert!(store.roster_versions(&[LogId::inbox_of(alice.device)]).await.unwrap().is_empty());
    let found = store.lookup_account(alice.account).await.unwrap().unwrap();
    assert!(found.devices.is_empty(), "the account itself stays");
}

pub(crate) async fn key_packages_are_handed_out_once_and_oldest_first(store: Arc<dyn Store>) {
    let alice = register(&store, "alice").await;
    assert_eq!(
        store
            .keys_publish(alice.device, &[package("1"), package("2")], false)
            .await
            .unwrap(),
        2
    );
    assert_eq!(store.keys_publish(alice.device, &[package("3")], false).await.unwrap(), 3);
    for (expected, left) in [("1", 2), ("2", 1), ("3", 0)] {
        let claimed = store.keys_claim(&[alice.account], &[]).await.unwrap();
        assert_eq!(claimed, [(alice.device, package(expected))]);
        assert_eq!(store.keys_count(alice.device).await.unwrap(), left);
    }
    assert_eq!(
        store.keys_claim(&[alice.account], &[]).await.unwrap(),
        [],
        "a device without any is left out"
    );
}

pub(crate) async fn the_last_resort_package_is_handed_out_again_and_again(store: Arc<dyn Store>) {
    let alice = register(&store, "alice").await;
    assert_eq!(store.keys_publish(alice.device, &[package("old")], true).await.unwrap(), 0);
    assert_eq!(
        store.keys_publish(alice.device, &[package("last")], true).await.unwrap(),
        0,
        "the newer one replaces it"
    );
    assert_eq!(store.keys_publish(alice.device, &[package("once")], false).await.unwrap(), 1);
    for expected in ["once", "last", "last", "last"] {
        let claimed = store.keys_claim(&[], &[alice.device]).await.unwrap();
        assert_eq!(claimed, [(alice.device, package(expected))]);
    }
    assert_eq!(store.keys_count(alice.device).await.unwrap(), 0, "it is not counted");
}

pub(crate) async fn a_claim_takes_one_package_of_each_device(store: Arc<dyn Store>) {
    let (alice, bob) = (register(&store, "alice").await, register(&store, "bob").await);
    let second = login(&alice, None, token(1), NOW);
    store.sign_in(second.clone()).await.unwrap();
    for device in [alice.device, second.device, bob.device] {
        store.keys_publish(device, &[package("x"), package("y")], false).await.unwrap();
    }
    // Named twice over, and some that don't exist.
    let accounts = [alice.account, alice.account, AccountId([9; 16])];
    let devices = [second.device, bob.device, bob.device, DeviceId([9; 16])];
    let mut claimed: Vec<_> = store
        .keys_claim(&accounts, &devices)
        .await
        .unwrap()
        .into_iter()
        .map(|(d, _)| d)
        .collect();
    claimed.sort_unstable();
    let mut expected = [alice.device, second.device, bob.device];
    expected.sort_unstable();
    assert_eq!(claimed, expected);
    assert_eq!(store.keys_claim(&[], &[]).await.unwrap(), []);
    assert_eq!(store.keys_count(bob.device).await.unwrap(), 1);
}

pub(crate) async fn no_two_claims_at_once_get_the_same_package(store: Arc<dyn Store>) {
    let alice = register(&store, "alice").await;
    let packages: Vec<Bytes> = (0..40).map(|n| package(&n.to_string())).collect();
    store.keys_publish(alice.device, &packages, false).await.unwrap();
    let mut claims = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let store = Arc::clone(&store);
        claims.spawn(async move { store.keys_claim(&[alice.account], &[]).await.unwrap() });
    }
    let mut claimed: Vec<_> = claims.join_all().await.into_iter().flatten().map(|(_, package)| package).collect();
    claimed.sort_unstable();
    let mut expected = packages;
    expected.sort_unstable();
    assert_eq!(claimed, expected, "each once, none lost");
}

pub(crate) async fn a_device_keeps_a_bounded_number_of_packages(store: Arc<dyn Store>) {
    let alice = register(&store, "alice").await;
    let many = vec![package("x"); KEYS_PUBLISH_MAX];
    let mut left = KEYS_PER_DEVICE_MAX;
    while left > 0 {
        let n = left.min(KEYS_PUBLISH_MAX);
        store.keys_publish(alice.device, &many[..n], false).await.unwrap();
        left -= n;
    }
    let over = store.keys_publish(alice.device, &many[..1], false).await;
    assert!(matches!(denied(over), Denied::QuotaExceeded(_)));
    let available = store.keys_publish(alice.device, &many[..1], true).await.unwrap();
    assert_eq!(available, KEYS_PER_DEVICE_MAX as u64, "the last-resort one is beside them");
}

pub(crate) async fn a_claim_that_would_not_fit_an_answer_takes_nothing(store: Arc<dyn Store>) {
    let large = Bytes::from(vec![1; KEY_PACKAGE_BYTES_MAX]);
    let devices_needed = KEYS_CLAIM_BYTES_MAX / KEY_PACKAGE_BYTES_MAX + 1;
    let mut accounts = Vec::new();
    let mut devices = Vec::new();
    while devices.len() < devices_needed {
        let person = register(&store, &format!("p{}", accounts.len())).await;
        accounts.push(person.account);
        devices.push(person.device);
        for n in 1..DEVICES_PER_ACCOUNT_MAX {
            let mut digest = token(n as u8);
            digest[..16].copy_from_slice(person.account.as_bytes());
            let next = login(&person, None, digest, NOW);
            devices.push(next.device);
            store.sign_in(next).await.unwrap();
        }
    }
    for device in &devices {
        store.keys_publish(*device, std::slice::from_ref(&large), false).await.unwrap();
    }
    assert!(matches!(denied(store.keys_claim(&accounts, &[]).await), Denied::QuotaExceeded(_)));
    assert_eq!(store.keys_count(devices[0]).await.unwrap(), 1);
    assert_eq!(
        store.keys_claim(&accounts[1..], &[]).await.unwrap().len(),
        devices.len() - DEVICES_PER_ACCOUNT_MAX
    );
}

pub(crate) async fn contacts_share_a_conversation_now(store: Arc<dyn Store>) {
    let (alice, bob, carol) = (
        register(&store, "alice").await,
        register(&store, "bob").await,
        register(&store, "carol").await,
    );
    assert_eq!(store.contacts(alice.account).await.unwrap(), []);
    let group = converse(&store, &alice, ConversationKind::Group, &[&bob, &carol]).await;
    converse(&store, &alice, ConversationKind::Direct, &[&bob]).await;
    let mut contacts = store.contacts(alice.account).await.unwrap();
    contacts.sort_unstable();
    let mut expected = [bob.account, carol.account];
    expected.sort_unstable();
    assert_eq!(contacts, expected, "each once");
    store.leave(group, carol.actor(), Uuid::now_v7().into(), NOW).await.unwrap();
    assert_eq!(store.contacts(alice.account).await.unwrap(), [bob.account]);
    assert_eq!(store.contacts(carol.account).await.unwrap(), []);
}
