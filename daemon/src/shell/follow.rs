//! Following the spec while the role runs: long polls of the control plane, or looks at a file.
//!
//! A spec is cached before the role sees it, so that a restart never goes back
//! behind what was in force.

use super::{
    admit::{Verdict, admit},
    backoff::Backoff,
    cache::{Cache, read_spec},
    control_link::ControlLink,
    trouble::Trouble,
};
use fastchat_wire::control::{Role, Spec};
use std::{path::Path, sync::Arc, time::Duration};
use tokio::sync::watch;

/// An empty answer within this time is no long poll: wait before the next one.
const POLL_MIN: Duration = Duration::from_secs(1);
/// How often the file of `--spec` is looked at.
const FILE_INTERVAL: Duration = Duration::from_millis(500);

/// Takes specs over for one process.
pub(super) struct Follower {
    /// Its role.
    pub(super) role: Role,
    /// Its name.
    pub(super) name: String,
    /// Where specs are kept; `None` where the source is a file.
    pub(super) cache: Option<Cache>,
    /// The spec in force.
    pub(super) spec: watch::Sender<Arc<Spec>>,
    /// Why the newest spec isn't the one in force.
    pub(super) problem: watch::Sender<Option<String>>,
}

impl Follower {
    /// Follows the control plane. Never ends by itself.
    pub(super) async fn follow_control(self, link: ControlLink) {
        let (mut backoff, mut trouble) = (Backoff::default(), Trouble::new("following the control plane's spec"));
        loop {
            let generation = self.spec.borrow().generation;
            let asked_at = tokio::time::Instant::now();
            match link.spec(generation).await {
                Ok(None) if asked_at.elapsed() >= POLL_MIN => {
                    trouble.ends();
                    backoff.worked();
                    continue;
                }
                // Nothing is wrong, but don't ask in a hot loop.
                Ok(None) => trouble.ends(),
                Ok(Some(spec)) => match self.offer(spec).await {
                    Ok(()) => {
                        trouble.ends();
                        backoff.worked();
                        continue;
                    }
                    Err(why) => trouble.begins(why),
                },
                Err(error) => trouble.begins(format!("{error:#}")),
            }
            tokio::time::sleep(backoff.failed(rand::random())).await;
        }
    }

    /// Follows a file. Never ends by itself.
    pub(super) async fn follow_file(self, path: &Path) {
        let mut trouble = Trouble::new("reading the spec file");
        let mut due = tokio::time::interval(FILE_INTERVAL);
        loop {
            due.tick().await;
            let taken = match read_spec(path) {
                Ok(spec) => self.offer(spec).await,
                Err(error) => Err(error.to_string()),
            };
            match taken {
                Ok(()) => trouble.ends(),
                Err(why) => trouble.begins(why),
            }
        }
    }

    /// Takes a spec over if it is newer; otherwise says why not.
    async fn offer(&self, next: Spec) -> Result<(), String> {
        let verdict = admit(Some(self.spec.borrow().as_ref()), &next, self.role, &self.name);
        let ignored = match verdict {
            Verdict::Take => {
                self.keep(&next).await;
                tracing::info!(generation = next.generation, "new spec");
                self.spec.send_replace(Arc::new(next));
                None
            }
            Verdict::Same => None,
            Verdict::Ignore(why) => Some(why),
        };
        self.problem.send_if_modified(|problem| {
            let changed = *problem != ignored;
            problem.clone_from(&ignored);
            changed
        });
        ignored.map_or(Ok(()), Err)
    }

    /// Caches a spec. A disk that is full must not keep a drain from a server: that is logged, and the spec is in force.
    async fn keep(&self, spec: &Spec) {
        let Some(cache) = self.cache.clone() else {
            return;
        };
        let spec = spec.clone();
        let written = tokio::task::spawn_blocking(move || cache.write(&spec)).await;
        if let Err(error) = written.map_err(std::io::Error::other).flatten() {
            tracing::error!(%error, "the spec can't be cached; a restart without the control plane would use an older one");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::admit::tests::spec, *};

    fn follower(folder: &Path) -> (Follower, watch::Receiver<Arc<Spec>>, watch::Receiver<Option<String>>) {
        let (sender, receiver) = watch::channel(Arc::new(spec("a", 5, "h")));
        let (problem, problems) = watch::channel(None);
        let follower = Follower {
            role: Role::Agent,
            name: "h".into(),
            cache: Some(Cache::new(folder)),
            spec: sender,
            problem,
        };
        (follower, receiver, problems)
    }

    #[tokio::test]
    async fn a_newer_spec_is_cached_and_then_in_force() {
        let folder = tempfile::tempdir().unwrap();
        let (follower, spec_in_force, _problems) = follower(folder.path());
        follower.offer(spec("a", 6, "h")).await.unwrap();
        assert_eq!(spec_in_force.borrow().generation, 6);
        assert_eq!(Cache::new(folder.path()).read().unwrap().generation, 6);
    }

    #[tokio::test]
    async fn an_older_spec_and_one_of_another_store_change_nothing_and_are_reported() {
        let folder = tempfile::tempdir().unwrap();
        let (follower, spec_in_force, problems) = follower(folder.path());
        for ignored in [spec("a", 4, "h"), spec("b", 9, "h")] {
            let why = follower.offer(ignored).await.unwrap_err();
            assert_eq!(problems.borrow().as_deref(), Some(why.as_str()));
        }
        assert_eq!(*spec_in_force.borrow().as_ref(), spec("a", 5, "h"));
        assert_eq!(Cache::new(folder.path()).read(), None);
        follower.offer(spec("a", 6, "h")).await.unwrap();
        assert_eq!(*problems.borrow(), None, "a spec that is taken ends the problem");
    }
}
