//! `given-up.json`: the document on trial that this balancer has given up, and why.
//!
//! It stands beside the cached spec, which still has the trial where the control
//! plane is away: a balancer that starts again by that spec must neither try the
//! strategy again nor forget to tell why it went back. The file goes when
//! another document is in force.

use crate::atomic_file;
use fastchat_wire::control::Reverted;
use serde::{Deserialize, Serialize};
use std::{
    io,
    path::{Path, PathBuf},
};

/// See the module.
#[derive(Debug)]
pub(super) struct GivenUp {
    path: PathBuf,
    /// The store whose generations they are.
    store: String,
    /// What the file says; `None` where there is none.
    kept: Option<Reverted>,
    /// The last attempt to write it failed.
    failing: bool,
}

#[derive(Debug, Serialize, Deserialize)]
struct Document {
    store: String,
    #[serde(flatten)]
    reverted: Reverted,
}

impl GivenUp {
    /// The file in the folder of a process. One of another store says nothing
    /// here; one that can't be read is logged, and counts as none.
    pub(super) fn open(state: &Path, store: &str) -> Self {
        let path = state.join("given-up.json");
        let kept = match read(&path) {
            Ok(document) => (document.store == store).then_some(document.reverted),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                tracing::error!(path = %path.display(), %error, "can't read which strategy on trial was given up: if it is still on trial, it is tried again");
                None
            }
        };
        Self {
            path,
            store: store.to_owned(),
            kept,
            failing: false,
        }
    }

    /// What was given up before this process started, or is since.
    pub(super) fn kept(&self) -> Option<&Reverted> {
        self.kept.as_ref()
    }

    /// Keeps what is given up now. Where that can't be written it is logged
    /// once, and tried again with the next call.
    pub(super) fn keep(&mut self, reverted: Option<&Reverted>) {
        if self.kept.as_ref() == reverted {
            return;
        }
        match self.write(reverted) {
            Ok(()) => {
                self.kept = reverted.cloned();
                self.failing = false;
            }
            Err(error) if !self.failing => {
                tracing::error!(path = %self.path.display(), %error, "can't keep which strategy on trial was given up: a restart without the control plane would try it again; see to the folder");
                self.failing = true;
            }
            Err(_) => {}
        }
    }

    fn write(&self, reverted: Option<&Reverted>) -> io::Result<()> {
        let Some(reverted) = reverted.cloned() else {
            return match std::fs::remove_file(&self.path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            };
        };
        let document = Document {
            store: self.store.clone(),
            reverted,
        };
        atomic_file::write(&self.path, &serde_json::to_vec_pretty(&document)?)
    }
}

fn read(path: &Path) -> io::Result<Document> {
    serde_json::from_slice(&std::fs::read(path)?).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reverted(generation: u64) -> Reverted {
        Reverted {
            generation,
            reason: "it was uneven".into(),
        }
    }

    #[test]
    fn what_is_given_up_is_kept_until_another_document_is_in_force() {
        let folder = tempfile::tempdir().unwrap();
        let open = |store| GivenUp::open(folder.path(), store);
        let mut given_up = open("a");
        assert_eq!(given_up.kept(), None);
        given_up.keep(None);
        given_up.keep(Some(&reverted(7)));
        assert_eq!(open("a").kept(), Some(&reverted(7)));
        assert_eq!(open("b").kept(), None, "another store counts its own generations");
        given_up.keep(Some(&reverted(8)));
        assert_eq!(open("a").kept(), Some(&reverted(8)));
        given_up.keep(None);
        assert_eq!(open("a").kept(), None);
        assert!(std::fs::read_dir(folder.path()).unwrap().next().is_none());
    }

    #[test]
    fn a_damaged_file_counts_as_none_and_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("given-up.json"), b"{\"store\":").unwrap();
        let mut given_up = GivenUp::open(folder.path(), "a");
        assert_eq!(given_up.kept(), None);
        given_up.keep(Some(&reverted(7)));
        assert_eq!(GivenUp::open(folder.path(), "a").kept(), Some(&reverted(7)));
    }

    #[test]
    fn what_could_not_be_written_is_written_as_soon_as_it_can_be() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("gone");
        let mut given_up = GivenUp::open(&state, "a");
        given_up.keep(Some(&reverted(7)));
        assert_eq!(given_up.kept(), None);
        std::fs::create_dir(&state).unwrap();
        given_up.keep(Some(&reverted(7)));
        assert_eq!(GivenUp::open(&state, "a").kept(), Some(&reverted(7)));
    }
}
