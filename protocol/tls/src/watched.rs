//! What was read from files, and is read again when they change.
//!
//! There is no task: whoever takes the value has the files looked at, at most
//! once in [`LOOK`]. A change that can't be used (half of a pair is new, a key
//! that anybody may read) is logged, and the last good value stays.

use crate::error::TlsError;
use std::{
    fmt,
    os::unix::fs::MetadataExt,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Files are looked at this often at most.
const LOOK: Duration = Duration::from_secs(1);

type Load<T> = Box<dyn Fn() -> Result<T, TlsError> + Send + Sync>;

/// A value from files.
pub(crate) struct Watched<T> {
    what: &'static str,
    paths: Vec<PathBuf>,
    load: Load<T>,
    state: Mutex<State<T>>,
}

struct State<T> {
    looked_at: Instant,
    stamps: Vec<Option<Stamp>>,
    value: Arc<T>,
}

/// Tells two states of a file apart; a changed mode counts.
#[derive(Debug, Clone, PartialEq)]
struct Stamp {
    file: (u64, u64, u64),
    changed: (i64, i64, i64, i64),
}

impl<T> Watched<T> {
    /// Reads it for the first time.
    ///
    /// # Errors
    /// It can't be used.
    pub(crate) fn new(
        what: &'static str,
        paths: Vec<PathBuf>,
        load: impl Fn() -> Result<T, TlsError> + Send + Sync + 'static,
    ) -> Result<Self, TlsError> {
        // Before reading: what changes meanwhile is seen by the next look.
        let stamps = stamps(&paths);
        let value = Arc::new(load()?);
        Ok(Self {
            what,
            paths,
            load: Box::new(load),
            state: Mutex::new(State {
                looked_at: Instant::now(),
                stamps,
                value,
            }),
        })
    }

    /// The newest good value.
    pub(crate) fn newest(&self) -> Arc<T> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.looked_at.elapsed() >= LOOK {
            state.looked_at = Instant::now();
            let stamps = stamps(&self.paths);
            if stamps != state.stamps {
                state.stamps = stamps;
                match (self.load)() {
                    Ok(value) => {
                        state.value = Arc::new(value);
                        tracing::info!(files = ?self.paths, "new {}: used from now on", self.what);
                    }
                    Err(error) => tracing::warn!(%error, "the {} changed and can't be used: the former one stays in use", self.what),
                }
            }
        }
        Arc::clone(&state.value)
    }
}

fn stamps(paths: &[PathBuf]) -> Vec<Option<Stamp>> {
    let stamp = |path| {
        let found = std::fs::metadata(path).ok()?;
        Some(Stamp {
            file: (found.dev(), found.ino(), found.len()),
            changed: (found.mtime(), found.mtime_nsec(), found.ctime(), found.ctime_nsec()),
        })
    };
    paths.iter().map(stamp).collect()
}

impl<T> fmt::Debug for Watched<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watched")
            .field("what", &self.what)
            .field("paths", &self.paths)
            .finish_non_exhaustive()
    }
}
