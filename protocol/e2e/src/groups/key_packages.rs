//! This device's key packages, in the store and out of it.

use super::{Groups, error::Error};
use crate::{
    mls::{GroupError, key_packages::generate},
    store::{Reader, Scan, Table, Writer},
};
use mls_rs::mls_rs_codec::{MlsDecode, MlsEncode};
use mls_rs_core::key_package::KeyPackageData;
use std::time::Duration;
use zeroize::Zeroizing;

/// reference → mls-rs' key package data.
const KEY_PACKAGES: Table = Table::new("key-package");

impl Groups {
    /// Makes key packages to be published, valid for 90 days. `now` is the time since 1970.
    ///
    /// # Errors
    /// [`Error::Store`], [`GroupError::Internal`].
    pub fn make_key_packages(&mut self, tx: &Writer<'_>, count: usize, last_resort: bool, now: Duration) -> Result<Vec<Vec<u8>>, Error> {
        (0..count)
            .map(|_| {
                let package = generate(&self.engine, last_resort, now)?;
                let row = package
                    .data
                    .mls_encode_to_vec()
                    .map_err(|error| GroupError::Internal(error.into()))?;
                tx.put(KEY_PACKAGES, &package.reference, &Zeroizing::new(row))?;
                Ok(package.public)
            })
            .collect()
    }

    /// Deletes the keys of packages whose lifetime is over; gives their number.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn expire_key_packages(&mut self, tx: &Writer<'_>, now: Duration) -> Result<usize, Error> {
        let mut expired = 0;
        for (reference, row) in tx.list(KEY_PACKAGES, Scan::prefix(&[]))? {
            if decode(row.expose())?.expiration < now.as_secs() {
                tx.delete(KEY_PACKAGES, &reference)?;
                expired += 1;
            }
        }
        Ok(expired)
    }
}

pub(super) fn find(tx: &Reader<'_>, reference: &[u8]) -> Result<Option<KeyPackageData>, Error> {
    let row = tx.get(KEY_PACKAGES, reference)?;
    row.map(|row| decode(row.expose())).transpose()
}

pub(super) fn delete(tx: &Writer<'_>, reference: &[u8]) -> Result<(), Error> {
    tx.delete(KEY_PACKAGES, reference)?;
    Ok(())
}

fn decode(row: &[u8]) -> Result<KeyPackageData, Error> {
    let data = KeyPackageData::mls_decode(&mut &*row);
    Ok(data.map_err(|error| GroupError::Damaged(error.into()))?)
}
