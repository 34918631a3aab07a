//! `spec.json`: the last spec that was taken, so that a process starts without the control plane.

use crate::atomic_file;
use fastchat_wire::control::Spec;
use std::{
    io,
    path::{Path, PathBuf},
};

/// The cached spec of one process.
#[derive(Debug, Clone)]
pub(super) struct Cache {
    path: PathBuf,
}

impl Cache {
    /// The cache in the folder of a process.
    pub(super) fn new(state: &Path) -> Self {
        Self {
            path: state.join("spec.json"),
        }
    }

    /// The cached spec. One that can't be read is no reason not to start: it is
    /// logged, and the control plane has it too.
    pub(super) fn read(&self) -> Option<Spec> {
        match read_spec(&self.path) {
            Ok(spec) => Some(spec),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                tracing::error!(path = %self.path.display(), %error, "the cached spec can't be used; waiting for a new one");
                None
            }
        }
    }

    /// Keeps a spec. It holds secrets: mode 0600.
    ///
    /// # Errors
    /// The system's; the spec before it is still cached then.
    pub(super) fn write(&self, spec: &Spec) -> io::Result<()> {
        atomic_file::write(&self.path, &serde_json::to_vec_pretty(spec)?)
    }
}

/// Reads a spec from a file: the cache's or the one of `--spec`.
///
/// # Errors
/// The system's, or it isn't a spec.
pub(super) fn read_spec(path: &Path) -> io::Result<Spec> {
    serde_json::from_slice(&std::fs::read(path)?).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

#[cfg(test)]
mod tests {
    use super::{super::admit::tests::spec, *};
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_cached_spec_comes_back_and_is_for_its_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::new(folder.path());
        assert_eq!(cache.read(), None);
        cache.write(&spec("a", 1, "h")).unwrap();
        cache.write(&spec("a", 2, "h")).unwrap();
        assert_eq!(cache.read(), Some(spec("a", 2, "h")));
        let mode = std::fs::metadata(folder.path().join("spec.json")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_cached_spec_that_is_damaged_counts_as_none() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("spec.json"), b"{\"store\":").unwrap();
        assert_eq!(Cache::new(folder.path()).read(), None);
    }
}
