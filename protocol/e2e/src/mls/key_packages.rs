//! Key packages: how others add this device while it is away.
//!
//! A one-time package is used once and its keys are deleted by the join. The last-resort
//! one is handed out again and again when the others have run out; after a use it is
//! replaced, and its keys stay until its lifetime ends, as others may hold it still.

use super::{engine::Engine, error::GroupError, group::time};
use mls_rs::{
    ExtensionList,
    extension::{MlsExtension, recommended::LastResortKeyPackageExt},
};
use mls_rs_core::key_package::KeyPackageData;
use std::time::Duration;

/// One-time packages that a device keeps published, at least.
pub const ONE_TIME_MIN: usize = 20;

/// A new key package.
pub struct NewKeyPackage {
    /// To be published.
    pub public: Vec<u8>,
    /// How a Welcome names it.
    pub reference: Vec<u8>,
    /// To be stored: its private keys.
    pub(crate) data: KeyPackageData,
}

impl std::fmt::Debug for NewKeyPackage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewKeyPackage").finish_non_exhaustive()
    }
}

/// Makes one. `now` is the time since 1970; the lifetime is 90 days from an hour before it.
///
/// # Errors
/// [`GroupError::Internal`].
pub fn generate(engine: &Engine, last_resort: bool, now: Duration) -> Result<NewKeyPackage, GroupError> {
    let mut extensions = ExtensionList::new();
    if last_resort {
        let marker = LastResortKeyPackageExt.into_extension();
        extensions.set(marker.map_err(|error| GroupError::Internal(error.into()))?);
    }
    *engine.desk().papers() = Default::default();
    let message = engine
        .mls()
        .generate_key_package_message(extensions, ExtensionList::new(), Some(time(now)))
        .map_err(GroupError::making)?;
    let public = message.to_bytes().map_err(GroupError::making)?;
    let (reference, data) = {
        let mut papers = engine.desk().papers();
        papers.key_packages.drain().next()
    }
    .ok_or(GroupError::Internal(mls_rs::error::MlsError::WelcomeKeyPackageNotFound))?;
    Ok(NewKeyPackage { public, reference, data })
}
