//! `keys-claim`: one KeyPackage for each device of some accounts and each of some devices.

use super::{Call, Handled, Refusal};
use crate::server::context::{Context, Identity};
use bytes::Bytes;
use fastchat_wire::{
    Block, DeviceId, Empty,
    chat::keys_claim::{KeysClaim, KeysClaimLists},
    limits::KEYS_CLAIM_MAX,
};

/// Hands out each package once, the last-resort one again and again.
pub(crate) async fn handle(context: &Context, _identity: &Identity, call: &Call) -> Handled {
    let KeysClaim {} = call.arguments()?;
    let lists = lists(&call.frame.block)?;
    let claimed = context.store.keys_claim(&lists.accounts, &lists.devices).await?;
    let (devices, packages): (Vec<DeviceId>, Vec<Bytes>) = claimed.into_iter().unzip();
    let mut pieces = vec![Block::json(&devices).bytes];
    pieces.extend(packages);
    call.answer(&Empty {}, &Block::pieces(&pieces))
}

fn lists(block: &[u8]) -> Result<KeysClaimLists, Refusal> {
    let lists: KeysClaimLists = serde_json::from_slice(block)
        .map_err(|e| Refusal::bad_request(format!("the block is not the JSON of accounts and devices: {e}")))?;
    if lists.accounts.len() > KEYS_CLAIM_MAX || lists.devices.len() > KEYS_CLAIM_MAX {
        return Err(Refusal::bad_request(format!(
            "keys-claim takes at most {KEYS_CLAIM_MAX} accounts and {KEYS_CLAIM_MAX} devices at once"
        )));
    }
    Ok(lists)
}

#[cfg(test)]
mod tests {
    use super::*;
    use fastchat_wire::AccountId;

    fn block(accounts: usize, devices: usize) -> Bytes {
        Block::json(&KeysClaimLists {
            accounts: vec![AccountId([1; 16]); accounts],
            devices: vec![DeviceId([2; 16]); devices],
        })
        .bytes
    }

    #[test]
    fn at_most_256_of_each_are_asked_for_at_once() {
        assert!(lists(&block(KEYS_CLAIM_MAX, KEYS_CLAIM_MAX)).is_ok());
        assert!(lists(&block(KEYS_CLAIM_MAX + 1, 0)).is_err());
        assert!(lists(&block(0, KEYS_CLAIM_MAX + 1)).is_err());
    }

    #[test]
    fn what_is_not_the_lists_is_refused() {
        for bad in ["", "[]x", "{\"accounts\":[\"me\"]}", "{\"accounts\":7}"] {
            assert!(lists(bad.as_bytes()).is_err(), "{bad}");
        }
        assert_eq!(lists(b"{}").unwrap(), KeysClaimLists::default());
    }
}
