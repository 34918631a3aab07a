//! Names of received files: what a sender calls a file is never a path.

use crate::problem::Problem;
use std::{
    io,
    path::{Path, PathBuf},
};
use tempfile::NamedTempFile;

/// Longest name, in bytes: with a number and on any file system it still fits.
const BYTES_MAX: usize = 200;
/// Files of one name in one folder.
const SAME_NAME_MAX: u32 = 10_000;

/// A name that is one: no path, no control or direction characters, not hidden, not too long.
pub(super) fn safe(announced: &str) -> String {
    let last = announced.rsplit(['/', '\\']).next().unwrap_or_default();
    let allowed = |c: &char| !c.is_control() && !"<>:\"|?*".contains(*c) && !steers(*c);
    let plain: String = last.chars().filter(allowed).collect();
    let plain = plain.trim_matches(|c: char| c == '.' || c.is_whitespace());
    let (stem, extension) = split(plain);
    let extension = &extension[..extension.floor_char_boundary(BYTES_MAX / 4)];
    let stem = &stem[..stem.floor_char_boundary(BYTES_MAX - extension.len())];
    match stem.is_empty() {
        true => "file".to_owned(),
        false => format!("{stem}{extension}"),
    }
}

/// Characters that make a name look like another one.
fn steers(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{061c}')
}

/// `("cat", ".png")`.
fn split(name: &str) -> (&str, &str) {
    match name.rfind('.') {
        Some(dot) if dot > 0 => name.split_at(dot),
        _ => (name, ""),
    }
}

/// Gives a whole file the first free name like this one: `cat.png`, `cat (2).png`, … Never over another file.
pub(super) fn persist(mut file: NamedTempFile, folder: &Path, name: &str) -> Result<PathBuf, Problem> {
    let (stem, extension) = split(name);
    for number in 1..=SAME_NAME_MAX {
        let path = match number {
            1 => folder.join(name),
            number => folder.join(format!("{stem} ({number}){extension}")),
        };
        match file.persist_noclobber(&path) {
            Ok(_) => return Ok(path),
            Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => file = error.file,
            Err(error) => return Err(Problem::file(path, error.error)),
        }
    }
    Err(Problem::declined(
        "file-exists",
        format!("{} has {SAME_NAME_MAX} files called {name}: move some away", folder.display()),
    ))
}

/// Gives a whole file this very name.
pub(super) fn persist_as(file: NamedTempFile, path: &Path) -> Result<(), Problem> {
    match file.persist_noclobber(path) {
        Ok(_) => Ok(()),
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Err(Problem::declined(
            "file-exists",
            format!("{} exists already: choose another name", path.display()),
        )),
        Err(error) => Err(Problem::file(path, error.error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn no_announced_name_leaves_the_folder_or_hides() {
        for (announced, name) in [
            ("cat.png", "cat.png"),
            ("../../.ssh/authorized_keys", "authorized_keys"),
            ("C:\\Windows\\system.ini", "system.ini"),
            (".bashrc", "bashrc"),
            ("..", "file"),
            ("", "file"),
            ("a\u{202e}gnp.exe", "agnp.exe"),
            ("a\0b\x1b[2J.txt", "ab[2J.txt"),
            ("  tabs\t ", "tabs"),
            ("Urlaub 2026 – Größe.jpg", "Urlaub 2026 – Größe.jpg"),
        ] {
            assert_eq!(safe(announced), name, "{announced:?}");
        }
        let long = safe(&format!("{}.{}", "ä".repeat(500), "é".repeat(500)));
        assert!(long.len() <= BYTES_MAX && long.contains(".é"), "{long}");
    }

    #[test]
    fn files_of_one_name_stand_beside_each_other() {
        let folder = tempfile::tempdir().unwrap();
        let save = |text: &str| {
            let mut file = NamedTempFile::new_in(folder.path()).unwrap();
            file.write_all(text.as_bytes()).unwrap();
            persist(file, folder.path(), "cat.png").unwrap()
        };
        let paths = ["one", "two", "three"].map(save);
        assert_eq!(
            paths.each_ref().map(|path| path.file_name().unwrap().to_str().unwrap()),
            ["cat.png", "cat (2).png", "cat (3).png"]
        );
        assert_eq!(paths.map(|path| std::fs::read_to_string(path).unwrap()), ["one", "two", "three"]);
        let taken = persist_as(NamedTempFile::new_in(folder.path()).unwrap(), &folder.path().join("cat.png"));
        assert_eq!(taken.unwrap_err().code(), "file-exists");
    }
}
