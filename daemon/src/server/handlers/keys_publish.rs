//! `keys-publish`: MLS KeyPackages of this device, one piece each.

use super::{Call, Handled, Refusal};
use crate::server::context::{Context, Identity};
use bytes::Bytes;
use fastchat_wire::{
    Block,
    chat::keys_publish::{KeysAvailable, KeysPublish},
    limits::{KEY_PACKAGE_BYTES_MAX, KEYS_PUBLISH_MAX},
};

/// Adds one-time packages, or replaces the last-resort one.
pub(crate) async fn handle(context: &Context, identity: &Identity, call: &Call) -> Handled {
    let KeysPublish { last_resort } = call.arguments()?;
    let packages = call.frame.pieces();
    bounded(&packages, last_resort)?;
    let available = context.store.keys_publish(identity.device, &packages, last_resort).await?;
    call.answer(&KeysAvailable { available }, &Block::none())
}

fn bounded(packages: &[Bytes], last_resort: bool) -> Result<(), Refusal> {
    let count = packages.len();
    if last_resort && count != 1 {
        return Err(Refusal::bad_request(format!("there is one last-resort key package, not {count}")));
    }
    if count == 0 || count > KEYS_PUBLISH_MAX {
        return Err(Refusal::bad_request(format!(
            "keys-publish takes 1 to {KEYS_PUBLISH_MAX} key packages, not {count}"
        )));
    }
    match packages.iter().map(Bytes::len).find(|n| *n == 0 || *n > KEY_PACKAGE_BYTES_MAX) {
        Some(n) => Err(Refusal::bad_request(format!(
            "a key package has 1 to {KEY_PACKAGE_BYTES_MAX} bytes, not {n}"
        ))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packages(count: usize, bytes: usize) -> Vec<Bytes> {
        vec![Bytes::from(vec![1; bytes]); count]
    }

    #[test]
    fn key_packages_are_bounded_in_number_and_size() {
        assert!(bounded(&packages(1, 1), true).is_ok());
        assert!(bounded(&packages(KEYS_PUBLISH_MAX, KEY_PACKAGE_BYTES_MAX), false).is_ok());
        for (bad, last_resort) in [
            (packages(0, 0), false),
            (packages(1, 0), false),
            (packages(1, KEY_PACKAGE_BYTES_MAX + 1), false),
            (packages(KEYS_PUBLISH_MAX + 1, 1), false),
            (packages(2, 1), true),
            (packages(0, 0), true),
        ] {
            assert!(
                bounded(&bad, last_resort).is_err(),
                "{} of {:?}, {last_resort}",
                bad.len(),
                bad.first().map(Bytes::len)
            );
        }
    }
}
