//! A keyring opens for who may, as it was last sealed, and for nobody else.

use super::*;
use crate::{password::expand, recovery::RecoveryCode};

struct Account {
    binding: Binding,
    wrap: WrapKey,
    code: RecoveryCode,
    identity: [u8; 32],
    sealed: Vec<u8>,
}

fn account() -> Account {
    let rng = &mut rand::rng();
    let binding = Binding {
        username: "alice".parse().unwrap(),
        version: Binding::FIRST_VERSION,
        kdf: Kdf::REGISTRATION,
    };
    let keyring = Keyring::random(rng);
    let wrap = WrapKey::new(*expand(&[7; 32], "fastchat wrap v1"));
    let code = RecoveryCode::random(rng);
    let sealed = seal_keyring(&keyring, &MasterKey::random(rng), &binding, &wrap, &code.wrap(), rng);
    let identity = keyring.identity().public().0;
    Account {
        binding,
        wrap,
        code,
        identity,
        sealed,
    }
}

#[test]
fn password_and_recovery_code_open_the_same_keyring() {
    let it = account();
    let (by_password, keyring) = open_with_password(&it.sealed, &it.binding, &it.wrap).unwrap();
    let (by_code, again) = open_with_recovery_code(&it.sealed, &it.binding, &it.code.wrap()).unwrap();
    assert_eq!(by_password, by_code);
    assert_eq!(keyring.identity().public().0, it.identity);
    assert_eq!(again.identity().public().0, it.identity);
}

#[test]
fn a_keyring_of_another_version_name_or_weaker_work_factors_does_not_open() {
    let it = account();
    let others = [
        Binding {
            version: 2,
            ..it.binding.clone()
        },
        Binding {
            username: "alic".parse().unwrap(),
            ..it.binding.clone()
        },
        Binding {
            kdf: Kdf::new("argon2id", 128 << 10, 3, 1).unwrap(),
            ..it.binding.clone()
        },
    ];
    for other in others {
        assert_eq!(
            open_with_password(&it.sealed, &other, &it.wrap).unwrap_err(),
            KeyringError::Unopened
        );
        assert_eq!(
            open_with_recovery_code(&it.sealed, &other, &it.code.wrap()).unwrap_err(),
            KeyringError::Unopened
        );
    }
}

#[test]
fn another_password_or_code_does_not_open() {
    let it = account();
    let wrong = WrapKey::new([0; 32]);
    assert_eq!(
        open_with_password(&it.sealed, &it.binding, &wrong).unwrap_err(),
        KeyringError::Unopened
    );
    let wrong = RecoveryCode::random(&mut rand::rng()).wrap();
    assert_eq!(
        open_with_recovery_code(&it.sealed, &it.binding, &wrong).unwrap_err(),
        KeyringError::Unopened
    );
}

#[test]
fn any_changed_or_missing_byte_is_noticed() {
    let it = account();
    for i in 0..it.sealed.len() {
        let mut changed = it.sealed.clone();
        changed[i] ^= 1;
        let by_password = open_with_password(&changed, &it.binding, &it.wrap);
        let by_code = open_with_recovery_code(&changed, &it.binding, &it.code.wrap());
        assert!(by_password.is_err() || by_code.is_err(), "byte {i}");
        assert!(open_with_password(&it.sealed[..i], &it.binding, &it.wrap).is_err());
    }
}

#[test]
fn a_new_password_changes_neither_what_is_sealed_nor_what_the_recovery_code_opens() {
    let it = account();
    let (master, keyring) = open_with_password(&it.sealed, &it.binding, &it.wrap).unwrap();
    let binding = Binding {
        version: 2,
        kdf: Kdf::new("argon2id", 128 << 10, 4, 1).unwrap(),
        ..it.binding.clone()
    };
    let wrap = WrapKey::new([9; 32]);
    let sealed = reseal_for_password(&it.sealed, &keyring, &master, &binding, &wrap, &mut rand::rng()).unwrap();

    const RECOVERY_PART: usize = 1 + 8 + 12 + SEALED_MASTER_BYTES;
    assert_eq!(sealed[..RECOVERY_PART], it.sealed[..RECOVERY_PART]);
    assert_eq!(sealed.len(), it.sealed.len());
    let (by_password, read) = open_with_password(&sealed, &binding, &wrap).unwrap();
    let (by_code, again) = open_with_recovery_code(&sealed, &binding, &it.code.wrap()).unwrap();
    for (opened, opened_master) in [(read, by_password), (again, by_code)] {
        assert_eq!(opened_master, master);
        assert_eq!(*opened.encode(), *keyring.encode(), "identity and backup seeds");
    }
    // The old password opens nothing of it, and the new one not what was there before.
    assert_eq!(open_with_password(&sealed, &binding, &it.wrap).unwrap_err(), KeyringError::Unopened);
    assert_eq!(open_with_password(&it.sealed, &binding, &wrap).unwrap_err(), KeyringError::Unopened);
}
