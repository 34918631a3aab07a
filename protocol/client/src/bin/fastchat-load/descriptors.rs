//! The limit of open files: one for each connection.

use crate::trouble::Trouble;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Files that the program needs besides its connections.
const SPARE: u64 = 64;

/// Raises the soft limit to the hard one, and says so where that is too low.
///
/// # Errors
/// So many connections can't be held.
pub(crate) fn make_room(connections: usize) -> Result<(), Trouble> {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    // Where it can't be raised the check below tells what the limit is.
    let allowed = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    };
    match allowed {
        Some(allowed) if allowed < connections as u64 + SPARE => Err(Trouble::Usage(format!(
            "{connections} connections need {} open files, and this process may have {allowed}: raise it (`ulimit -Hn`, or LimitNOFILE= of a unit), or ask for fewer",
            connections as u64 + SPARE
        ))),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_connections_always_fit() {
        make_room(10).unwrap();
    }
}
