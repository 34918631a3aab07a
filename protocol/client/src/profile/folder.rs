//! Where profiles are.

use crate::problem::Problem;
use std::path::PathBuf;

/// Longest name of a profile.
const NAME_CHARS_MAX: usize = 64;

/// The folder that a person means: a path where it has a `/`, else a name under `~/.local/share/fastchat`.
///
/// # Errors
/// [`Problem::Usage`] for a name that is no safe name of a folder, or where there is no home.
pub(super) fn of(name: &str) -> Result<PathBuf, Problem> {
    if name.contains('/') {
        return Ok(PathBuf::from(name));
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if name.is_empty() || name.len() > NAME_CHARS_MAX || name.starts_with('.') || !name.chars().all(allowed) {
        return Err(Problem::Usage(format!(
            "\"{}\" is no profile: give 1 to {NAME_CHARS_MAX} of A-Z a-z 0-9 . _ - (not starting with a dot), or a folder with a slash in it",
            name.escape_debug()
        )));
    }
    match std::env::home_dir().filter(|home| home.is_absolute()) {
        Some(home) => Ok(home.join(".local/share/fastchat").join(name)),
        None => Err(Problem::Usage(
            "there is no home folder (HOME): name the profile's folder, with a slash in it".to_owned(),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_under_the_home_and_a_slash_means_a_folder() {
        assert!(of("alice").unwrap().ends_with(".local/share/fastchat/alice"));
        assert_eq!(of("./alice").unwrap(), PathBuf::from("./alice"));
        assert_eq!(of("/tmp/x").unwrap(), PathBuf::from("/tmp/x"));
        for bad in ["", ".", "..", "a b", "ä", &"x".repeat(NAME_CHARS_MAX + 1)] {
            assert_eq!(of(bad).unwrap_err().exit_code(), 2, "{bad:?}");
        }
    }
}
