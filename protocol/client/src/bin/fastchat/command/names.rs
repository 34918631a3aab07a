//! People: as arguments, and from a file.

use crate::stop::file;
use fastchat_client::{problem::Problem, record::Whom};
use fastchat_e2e::Username;
use std::{
    collections::HashSet,
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

/// More than the names of the largest group.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// So many are shown by name.
const SHOWN_MAX: usize = 10;

/// People, as arguments and from a file.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct Names {
    /// Who; a member of a group whose name is another one's, too, as @user/ID with the id that `group members` shows
    #[arg(value_name = "@user")]
    named: Vec<Whom>,
    /// And those named in a file, or with `-` on stdin: divided by spaces or lines
    #[arg(long, value_name = "FILE")]
    members_from: Option<PathBuf>,
}

impl Names {
    /// All of them, each once, in the order in which they were named.
    pub(crate) async fn read(self) -> Result<Vec<Whom>, Problem> {
        let mut all = self.named;
        if let Some(path) = self.members_from {
            let read = tokio::task::spawn_blocking(move || from_file(&path));
            let failed = |error| file(Path::new("names"), io::Error::other(error));
            all.extend(read.await.map_err(failed)??);
        }
        let mut seen = HashSet::with_capacity(all.len());
        all.retain(|name| seen.insert(name.clone()));
        Ok(all)
    }
}

fn from_file(path: &Path) -> Result<Vec<Whom>, Problem> {
    let (name, reader): (&Path, Box<dyn Read>) = match path.as_os_str() == "-" {
        true => (Path::new("stdin"), Box::new(io::stdin().lock())),
        false => (path, Box::new(File::open(path).map_err(|source| file(path, source))?)),
    };
    let mut text = Vec::new();
    let read = reader.take(FILE_BYTES_MAX + 1).read_to_end(&mut text);
    read.map_err(|source| file(name, source))?;
    let usage = |what: String| Problem::Usage(format!("{}: {what}", name.display()));
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(usage("longer than 1 MiB: no group has so many members".to_owned()));
    }
    let text = String::from_utf8(text).map_err(|_| usage("not UTF-8: one name a line is expected".to_owned()))?;
    let lines = text.lines().enumerate();
    let words = lines.flat_map(|(line, text)| text.split_whitespace().map(move |word| (line + 1, word)));
    words
        .map(|(line, word)| word.parse().map_err(|error: Problem| usage(format!("line {line}: {error}"))))
        .collect()
}

/// Those who are not in yet, whom nothing but their name names.
pub(crate) fn newcomers(who: &[Whom]) -> Result<Vec<Username>, Problem> {
    let named = who.iter().map(|whom| match whom {
        Whom::Name(name) => Ok(name.clone()),
        Whom::One(..) | Whom::Account(_) => Err(Problem::Usage(format!(
            "{whom} is an account's id: by it members are named, who is to be added by name alone"
        ))),
    });
    named.collect()
}

/// A list for people to read: not a thousand names.
pub(crate) fn brief(names: &[Whom]) -> String {
    let shown: Vec<String> = names.iter().take(SHOWN_MAX).map(ToString::to_string).collect();
    let shown = shown.join(", ");
    match names.len().saturating_sub(SHOWN_MAX) {
        0 => shown,
        others => format!("{shown} and {others} others"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[tokio::main(flavor = "current_thread")]
    async fn read(text: &[u8]) -> Result<Vec<String>, Problem> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("names");
        fs::write(&path, text).unwrap();
        let names = Names {
            named: ["bob", "carol", "bob"].map(|name| name.parse().unwrap()).into(),
            members_from: Some(path),
        };
        Ok(names.read().await?.iter().map(Whom::bare).collect())
    }

    #[test]
    fn who_is_named_twice_counts_once_and_the_order_stays() {
        assert_eq!(
            read(b"@dave erin\n\n  carol\nfrank").unwrap(),
            ["bob", "carol", "dave", "erin", "frank"]
        );
    }

    #[test]
    fn a_file_that_has_something_else_than_names_is_refused_with_the_line() {
        let refused = read(b"dave\nerin, frank").unwrap_err();
        assert_eq!(refused.exit_code(), 2);
        assert!(refused.to_string().contains("line 2"), "{refused}");
        assert_eq!(read(&[0xff]).unwrap_err().exit_code(), 2);
    }

    #[test]
    fn a_file_of_more_than_its_bound_is_refused() {
        let bound = usize::try_from(FILE_BYTES_MAX).unwrap();
        let mut text = b"dave".to_vec();
        text.resize(bound, b' ');
        assert_eq!(read(&text).unwrap().len(), 3);
        text.push(b' ');
        assert_eq!(read(&text).unwrap_err().exit_code(), 2);
    }

    #[test]
    fn who_is_not_in_yet_is_named_by_name_alone() {
        let who: Vec<Whom> = vec!["@bob".parse().unwrap(), "@bob/ef49edb44707".parse().unwrap()];
        assert_eq!(newcomers(&who[..1]).unwrap(), ["bob".parse().unwrap()]);
        assert_eq!(newcomers(&who).unwrap_err().exit_code(), 2);
    }

    #[test]
    fn many_are_not_all_shown() {
        let names: Vec<Whom> = (0..12).map(|n| format!("u{n}").parse().unwrap()).collect();
        assert_eq!(brief(&names[..2]), "@u0, @u1");
        assert!(brief(&names).ends_with("@u9 and 2 others"), "{}", brief(&names));
    }
}
