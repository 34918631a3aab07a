//! `keys-claim`: one KeyPackage for each device. The request's block is [`KeysClaimLists`] as JSON; the answer's first piece is a JSON array of devices, then one package for each.

use crate::{AccountId, DeviceId, Empty, Op, Request};
use serde::{Deserialize, Serialize};

/// Block: [`KeysClaimLists`] as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct KeysClaim {}

impl Request for KeysClaim {
    const OP: Op = Op::KeysClaim;
    type Response = Empty;
}

/// Whose packages; at most [`crate::limits::KEYS_CLAIM_MAX`] of each.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct KeysClaimLists {
    /// All devices of these.
    #[serde(default)]
    pub accounts: Vec<AccountId>,
    /// And these.
    #[serde(default)]
    pub devices: Vec<DeviceId>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Block, encode_response,
        limits::{BLOCK_BYTES_MAX, INTEGER_MAX, KEYS_CLAIM_BYTES_MAX, KEYS_CLAIM_PACKAGES_MAX},
    };

    #[test]
    fn the_largest_answer_fits_a_frame() {
        let devices = Block::json(&vec![DeviceId([0xff; 16]); KEYS_CLAIM_PACKAGES_MAX]).bytes;
        let package = vec![0; KEYS_CLAIM_BYTES_MAX / KEYS_CLAIM_PACKAGES_MAX];
        let mut pieces = vec![devices.as_ref()];
        pieces.extend(std::iter::repeat_n(package.as_slice(), KEYS_CLAIM_PACKAGES_MAX));
        let block = Block::pieces(&pieces);
        assert!(block.bytes.len() <= BLOCK_BYTES_MAX);
        encode_response(INTEGER_MAX, &Empty {}, &block).unwrap();
    }
}
