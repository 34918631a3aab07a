//! Bounds of arguments that several verbs share. Pure.

use super::Refusal;
use fastchat_wire::{
    chat::auth_params::{AuthParameters, Kdf},
    encoding::Bytes64,
    limits::{KEYRING_BYTES_MAX, LABEL_BYTES_MAX, SALT_BYTES},
};

/// A new password's salt and work factors.
///
/// # Errors
/// `bad-request`: the salt isn't 16 bytes, the algorithm isn't `argon2id`, or a factor is 0.
pub(super) fn auth_parameters(salt: Bytes64, kdf: Kdf) -> Result<AuthParameters, Refusal> {
    if salt.0.len() != SALT_BYTES {
        return Err(Refusal::bad_request(format!("a salt has {SALT_BYTES} bytes, not {}", salt.0.len())));
    }
    if kdf.alg != "argon2id" {
        return Err(Refusal::bad_request("kdf: the only alg is argon2id"));
    }
    if [kdf.m_kib, kdf.t, kdf.p].contains(&0) {
        return Err(Refusal::bad_request("kdf: m-kib, t and p are at least 1"));
    }
    Ok(AuthParameters { salt, kdf })
}

/// A sealed keyring.
///
/// # Errors
/// `bad-request`: it is empty or over 64 KiB.
pub(super) fn keyring(block: &[u8]) -> Result<(), Refusal> {
    match block.len() {
        0 => Err(Refusal::bad_request("the sealed keyring is missing: send it as the block")),
        n if n > KEYRING_BYTES_MAX => Err(Refusal::bad_request(format!(
            "a sealed keyring of {n} bytes: the limit is {KEYRING_BYTES_MAX}"
        ))),
        _ => Ok(()),
    }
}

/// A device's name, which other people's terminals will show.
///
/// # Errors
/// `bad-request`: it is empty, over 128 bytes, or has control characters.
pub(super) fn device_name(name: &str) -> Result<(), Refusal> {
    if name.is_empty() || name.len() > LABEL_BYTES_MAX {
        return Err(Refusal::bad_request(format!(
            "a device-name has 1 to {LABEL_BYTES_MAX} bytes, not {}",
            name.len()
        )));
    }
    if name.chars().any(char::is_control) {
        return Err(Refusal::bad_request("a device-name has no control characters"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use fastchat_wire::Code;

    fn code<T: std::fmt::Debug>(result: Result<T, Refusal>) -> Code {
        result.unwrap_err().error.code
    }

    #[test]
    fn a_salt_has_16_bytes() {
        for bytes in [0, 15, 17] {
            assert_eq!(
                code(auth_parameters(Bytes64(vec![1; bytes]), Kdf::registration())),
                Code::BadRequest,
                "{bytes}"
            );
        }
        assert!(auth_parameters(Bytes64(vec![1; 16]), Kdf::registration()).is_ok());
    }

    #[test]
    fn work_factors_are_of_argon2id_and_above_0() {
        let good = Kdf::registration();
        for bad in [
            Kdf {
                alg: "argon2i".into(),
                ..good.clone()
            },
            Kdf { m_kib: 0, ..good.clone() },
            Kdf { t: 0, ..good.clone() },
            Kdf { p: 0, ..good.clone() },
        ] {
            assert_eq!(code(auth_parameters(Bytes64(vec![1; 16]), bad)), Code::BadRequest);
        }
    }

    #[test]
    fn a_keyring_has_1_byte_to_64_kib() {
        assert!(keyring(&[1]).is_ok());
        assert!(keyring(&vec![1; KEYRING_BYTES_MAX]).is_ok());
        assert_eq!(code(keyring(&[])), Code::BadRequest);
        assert_eq!(code(keyring(&vec![1; KEYRING_BYTES_MAX + 1])), Code::BadRequest);
    }

    #[test]
    fn a_device_name_is_short_and_can_be_shown() {
        assert!(device_name("Alice's téléphone").is_ok());
        assert!(device_name(&"x".repeat(LABEL_BYTES_MAX)).is_ok());
        for bad in ["", "a\nb", "\u{1b}[31m", &"x".repeat(LABEL_BYTES_MAX + 1)] {
            assert_eq!(code(device_name(bad)), Code::BadRequest, "{bad:?}");
        }
    }
}
