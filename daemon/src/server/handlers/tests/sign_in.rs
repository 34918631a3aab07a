//! Sign-in: who gets in, who doesn't, and what they can tell from the answer.

use super::{World, call, code, login, registration, response, run};
use crate::{
    server::{
        handlers::{auth_params, ping, register},
        news::News,
        token,
    },
    store::accounts::{SessionId, SignIn, TOKEN_MS},
};
use fastchat_wire::{
    Block, Code, DeviceId, Secret, Secret32,
    chat::{
        auth_params::{AuthParameters, AuthParams, Kdf},
        change_password::ChangePassword,
        login::{Login, Method},
        logout::Logout,
        ping::Ping,
        register::Register,
        remove_device::{DeviceChange, DeviceEvent},
    },
    encoding::Bytes64,
    limits::{DEVICES_PER_ACCOUNT_MAX, KEYRING_BYTES_MAX, LABEL_BYTES_MAX},
};
use uuid::Uuid;

async fn params_of(world: &World, username: &str) -> AuthParameters {
    let request = AuthParams {
        username: username.parse().unwrap(),
    };
    let answer = auth_params::handle(&world.context, &call(&request, &Block::none())).await.unwrap();
    response(&request, &answer).0
}

async fn refused(world: &World, request: &Register, keyring: &[u8]) -> Code {
    code(register::handle(&world.context, &call(request, &Block::binary(keyring.to_vec()))).await)
}

#[tokio::test]
async fn who_registered_can_log_in_and_resume() {
    let world = World::new().await;
    let alice = world.register("alice").await;
    let (again, resumed) = world.resume(&alice.token).await.unwrap();
    assert_eq!((again, resumed.token), (alice.identity, alice.token));

    let on_it = Login {
        device: Some(alice.identity.device),
        ..login("alice", 1)
    };
    let (identity, logged_in, frame) = world.login(&on_it).await.unwrap();
    assert_eq!((identity.account, identity.device), (alice.identity.account, alice.identity.device));
    assert_ne!(identity.session, alice.identity.session);
    assert_eq!((logged_in.keyring_version, frame.block.as_ref()), (1, b"keyring".as_slice()));
    let recovery = Login {
        method: Method::Recovery,
        ..login("alice", 2)
    };
    assert_eq!(world.login(&recovery).await.unwrap().1.account, alice.identity.account);
}

#[tokio::test]
async fn an_unknown_name_has_parameters_that_never_change_and_look_real() {
    let world = World::new().await;
    let nobody = params_of(&world, "nobody").await;
    assert_eq!((nobody.salt.0.len(), &nobody.kdf), (16, &Kdf::registration()));
    assert_eq!(
        nobody,
        params_of(&World::new().await, "nobody").await,
        "on another server of the fleet too"
    );
    assert_ne!(nobody, params_of(&world, "somebody").await);
    world.register("alice").await;
    assert_eq!(params_of(&world, "Alice").await.salt, Bytes64(vec![3; 16]));
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_name_get_the_same_answer_after_the_same_work() {
    let world = World::new().await;
    world.register("alice").await;
    let without_recovery = Register {
        recovery_auth: None,
        ..registration("bob")
    };
    register::handle(&world.context, &call(&without_recovery, &Block::binary("k")))
        .await
        .unwrap();
    let attempts = [
        login("alice", 9),
        login("nobody", 1),
        Login {
            method: Method::Recovery,
            ..login("alice", 1)
        },
        Login {
            method: Method::Recovery,
            ..login("bob", 2)
        },
        Login {
            device: Some(DeviceId([9; 16])),
            ..login("nobody", 1)
        },
    ];
    for attempt in &attempts {
        let before = world.context.passwords.computed();
        let refusal = world.login(attempt).await.unwrap_err();
        assert_eq!(world.context.passwords.computed(), before + 1, "{attempt:?}");
        assert_eq!(refusal, world.login(&attempts[0]).await.unwrap_err(), "{attempt:?}");
        assert_eq!(refusal.error.code, Code::BadCredentials);
    }
}

#[tokio::test]
async fn a_name_that_is_taken_can_not_be_registered() {
    let world = World::new().await;
    world.register("alice").await;
    assert_eq!(refused(&world, &registration("ALICE"), b"keyring").await, Code::NameTaken);
}

#[tokio::test]
async fn a_keyring_has_1_byte_to_64_kib() {
    let world = World::new().await;
    assert_eq!(refused(&world, &registration("alice"), &[]).await, Code::BadRequest);
    assert_eq!(
        refused(&world, &registration("alice"), &vec![1; KEYRING_BYTES_MAX + 1]).await,
        Code::BadRequest
    );
    let largest = call(&registration("alice"), &Block::binary(vec![1; KEYRING_BYTES_MAX]));
    register::handle(&world.context, &largest).await.unwrap();
}

#[tokio::test]
async fn arguments_out_of_bounds_are_refused_before_any_work() {
    let world = World::new().await;
    let good = registration("alice");
    for bad in [
        Register {
            salt: Bytes64(vec![1; 15]),
            ..good.clone()
        },
        Register {
            kdf: Kdf {
                alg: "scrypt".to_owned(),
                ..Kdf::registration()
            },
            ..good.clone()
        },
        Register {
            kdf: Kdf {
                t: 0,
                ..Kdf::registration()
            },
            ..good.clone()
        },
        Register {
            device_name: String::new(),
            ..good.clone()
        },
        Register {
            device_name: "x".repeat(LABEL_BYTES_MAX + 1),
            ..good.clone()
        },
    ] {
        assert_eq!(refused(&world, &bad, b"keyring").await, Code::BadRequest, "{bad:?}");
    }
    let nameless = Login {
        device_name: Some(String::new()),
        ..login("alice", 1)
    };
    assert_eq!(code(world.login(&nameless).await), Code::BadRequest);
    assert_eq!(world.context.passwords.computed(), 0);
}

#[tokio::test]
async fn a_login_on_somebody_elses_device_is_refused() {
    let world = World::new().await;
    world.register("alice").await;
    let bob = world.register("bob").await;
    let foreign = Login {
        device: Some(bob.identity.device),
        ..login("alice", 1)
    };
    assert_eq!(code(world.login(&foreign).await), Code::NotFound);
}

#[tokio::test]
async fn a_locked_account_says_so_to_its_owner_only() {
    let world = World::new().await;
    let alice = world.register("alice").await;
    world.lock(&alice).await;
    assert_eq!(code(world.login(&login("alice", 1)).await), Code::Locked);
    assert_eq!(code(world.login(&login("alice", 9)).await), Code::BadCredentials);
    assert_eq!(code(world.resume(&alice.token).await), Code::Locked);
}

#[tokio::test]
async fn a_ping_is_answered() {
    let world = World::new().await;
    let answer = ping::handle(&world.context, &call(&Ping {}, &Block::none())).await.unwrap();
    response(&Ping {}, &answer);
}

#[tokio::test]
async fn a_login_without_a_device_adds_one_and_tells_everybody_concerned() {
    let mut world = World::new().await;
    let alice = world.register("alice").await;
    assert_eq!(world.news(), []);
    let (identity, ..) = world.login(&login("alice", 1)).await.unwrap();
    assert_ne!(identity.device, alice.identity.device);
    let event = DeviceEvent {
        account: identity.account,
        device: identity.device,
        change: DeviceChange::Added,
    };
    assert_eq!(world.news(), [News::Device(event, vec![identity.account])]);
    let known = Login {
        device: Some(identity.device),
        ..login("alice", 1)
    };
    world.login(&known).await.unwrap();
    assert_eq!(world.news(), [], "a known device is no news");
}

#[tokio::test]
async fn a_login_of_a_new_device_that_is_sent_again_adds_no_second_one() {
    let mut world = World::new().await;
    let alice = world.register("alice").await;
    let wanted = Uuid::now_v7().into();
    let new = Login {
        new_device: Some(wanted),
        ..login("alice", 1)
    };
    for expected in [1, 0] {
        let (identity, ..) = world.login(&new).await.unwrap();
        assert_eq!(identity.device, wanted);
        assert_eq!(world.news().len(), expected, "it is news once");
    }
    let both = Login {
        device: Some(alice.identity.device),
        ..new
    };
    assert_eq!(code(world.login(&both).await), Code::BadRequest);
}

#[tokio::test]
async fn a_seventeenth_device_is_over_the_quota() {
    let world = World::new().await;
    world.register("alice").await;
    for _ in 1..DEVICES_PER_ACCOUNT_MAX {
        world.login(&login("alice", 1)).await.unwrap();
    }
    assert_eq!(code(world.login(&login("alice", 1)).await), Code::QuotaExceeded);
}

#[tokio::test]
async fn a_token_that_never_was_is_unauthenticated() {
    let mut world = World::new().await;
    for token in ["", "x", &"A".repeat(43), &"A".repeat(4_000)] {
        assert_eq!(code(world.resume(&Secret::new(token.to_owned())).await), Code::Unauthenticated);
    }
    assert_eq!(world.news(), []);
}

#[tokio::test]
async fn a_token_is_replaced_once_a_day_and_the_use_of_the_dead_one_ends_the_session() {
    let mut world = World::new().await;
    let alice = world.register("alice").await;
    // A session that began two days ago.
    let (old, digest) = token::fresh().unwrap();
    let session = SessionId(Uuid::now_v7().into_bytes());
    let sign_in = SignIn {
        account: alice.identity.account,
        device: alice.identity.device,
        new_device: None,
        session,
        token: digest,
        at: crate::server::context::now_ms() - 2 * TOKEN_MS,
    };
    world.context.store.sign_in(sign_in).await.unwrap();

    let (_, first) = world.resume(&old).await.unwrap();
    assert_ne!(first.token, old, "a new one");
    assert_eq!(
        world.resume(&old).await.unwrap().1.token,
        old,
        "the old one is good until the new one is used"
    );
    assert_eq!(world.resume(&first.token).await.unwrap().1.token, first.token);
    assert_eq!(world.news(), []);
    assert_eq!(code(world.resume(&old).await), Code::Unauthenticated);
    assert_eq!(world.news(), [News::SessionEnded(session)]);
    assert_eq!(
        code(world.resume(&first.token).await),
        Code::Unauthenticated,
        "the session has ended"
    );
    world.resume(&alice.token).await.expect("another session of the account goes on");
}

#[tokio::test]
async fn logout_ends_the_session_and_its_token() {
    let mut world = World::new().await;
    let alice = world.register("alice").await;
    run!(logout, world, alice, Logout { everywhere: false }).unwrap();
    assert_eq!(world.news(), [News::SessionEnded(alice.identity.session)]);
    assert_eq!(code(world.resume(&alice.token).await), Code::Unauthenticated);
}

#[tokio::test]
async fn logout_everywhere_ends_every_session_of_the_account() {
    let mut world = World::new().await;
    let (alice, bob) = (world.register("alice").await, world.register("bob").await);
    let (_, other, _) = world.login(&login("alice", 1)).await.unwrap();
    world.news();
    run!(logout, world, alice, Logout { everywhere: true }).unwrap();
    assert_eq!(world.news(), [News::AccountEnded(alice.identity.account)]);
    for token in [&alice.token, &other.token] {
        assert_eq!(code(world.resume(token).await), Code::Unauthenticated);
    }
    world.resume(&bob.token).await.unwrap();
}

fn new_password(auth: u8, keyring_version: u64) -> ChangePassword {
    ChangePassword {
        auth: Secret32::new([auth; 32]),
        method: Method::Password,
        new_salt: Bytes64(vec![4; 16]),
        new_kdf: Kdf::registration(),
        new_auth: Secret32::new([7; 32]),
        new_recovery_auth: None,
        keyring_version,
    }
}

#[tokio::test]
async fn a_changed_password_signs_in_and_the_old_one_does_not() {
    let world = World::new().await;
    let alice = world.register("alice").await;
    let (changed, _) = run!(change_password, world, alice, new_password(1, 1), Block::binary("anew")).unwrap();
    assert_eq!(changed.keyring_version, 2);
    assert_eq!(params_of(&world, "alice").await.salt, Bytes64(vec![4; 16]));
    assert_eq!(code(world.login(&login("alice", 1)).await), Code::BadCredentials);
    let (_, logged_in, frame) = world.login(&login("alice", 7)).await.unwrap();
    assert_eq!((logged_in.keyring_version, frame.block.as_ref()), (2, b"anew".as_slice()));
    let recovery = Login {
        method: Method::Recovery,
        ..login("alice", 2)
    };
    world.login(&recovery).await.expect("the recovery code stays");
}

#[tokio::test]
async fn a_password_change_that_does_not_fit_changes_nothing() {
    let world = World::new().await;
    let alice = world.register("alice").await;
    let keyring = Block::binary("anew");
    assert_eq!(
        code(run!(change_password, world, alice, new_password(9, 1), keyring)),
        Code::BadCredentials
    );
    assert_eq!(
        code(run!(change_password, world, alice, new_password(1, 2), keyring)),
        Code::Conflict
    );
    assert_eq!(
        code(run!(change_password, world, alice, new_password(1, 1), Block::none())),
        Code::BadRequest
    );
    let over = Block::binary(vec![1; KEYRING_BYTES_MAX + 1]);
    assert_eq!(
        code(run!(change_password, world, alice, new_password(1, 1), over)),
        Code::BadRequest
    );
    let salt = ChangePassword {
        new_salt: Bytes64(vec![4; 17]),
        ..new_password(1, 1)
    };
    assert_eq!(code(run!(change_password, world, alice, salt, keyring)), Code::BadRequest);
    assert_eq!(world.login(&login("alice", 1)).await.unwrap().1.keyring_version, 1);
}
