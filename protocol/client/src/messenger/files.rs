//! Files: checked, sealed, uploaded, told; and the way back.
//!
//! ```text
//!  file ─> picture? stripped ─> announced ─> sealed to a file without a name ─> uploaded ─> message
//!  message ─> downloaded to a file without a name ─> opened, compared ─> its name
//! ```
//!
//! A file that is being sent or received has no name on the disk: a program that is killed leaves nothing behind, and
//! what has the final name is whole and compared with what its sender announced.

mod name;
mod source;

use super::{Messenger, Sent};
use crate::{
    chat,
    ids::Expose,
    problem::Problem,
    profile::{history, off_thread},
    record::{Record, What},
    transfer::{self, TransferError},
};
use fastchat_e2e::{
    BlobId, ConversationId,
    content::{Body, File as FileBody},
    file::{Plaintext, open_file, seal_file, sealed_size},
};
use source::Source;
use std::{
    fs::{self, File},
    io::{BufReader, BufWriter, Seek, Write},
    path::{Path, PathBuf},
    sync::Arc,
};
use tempfile::NamedTempFile;

/// How a file is sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SendFile {
    /// Leave a picture's metadata (where and when it was taken, with what) in it.
    pub keep_metadata: bool,
}

/// A file that was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentFile {
    /// Its message's place.
    pub sent: Sent,
    /// What its message says: a `file`.
    pub body: Body,
    /// What the sender should know: sentences.
    pub notes: Vec<String>,
}

/// A step of a file's way, for a progress bar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// It is checked, stripped, sealed.
    Sealing,
    /// It is on its way.
    Moving {
        /// Bytes that are there.
        done: u64,
        /// Of so many.
        total: u64,
    },
    /// It is opened and compared.
    Opening,
}

impl Messenger {
    /// Checks, strips, seals and uploads a file, then sends its message.
    ///
    /// # Errors
    /// `file-missing`, `file-unreadable`; `quota-exceeded` where the fleet takes none so large, or no more today;
    /// `not-member`. Then nothing was sent.
    pub async fn send_file(
        &self,
        conversation: ConversationId,
        path: &Path,
        how: &SendFile,
        progress: impl Fn(Step) + Send + Sync + 'static,
    ) -> Result<SentFile, Problem> {
        progress(Step::Sealing);
        let (path, keep_metadata) = (path.to_owned(), how.keep_metadata);
        let source = off_thread(move || Source::read(&path, keep_metadata)).await?;
        let size = sealed_size(source.size).ok_or(fastchat_e2e::FileError::TooLarge)?;
        // The fleet says whether it takes it before anything is sealed.
        let blob = BlobId(uuid::Uuid::new_v4().into_bytes());
        let connection = self.shared.connection().await?;
        let announced = chat::blob_create(&connection, blob.wire(), size, conversation.wire()).await;
        announced.map_err(Problem::from).map_err(|problem| problem.of_file(&source.name))?;

        let folder = self.profile().folder().to_owned();
        let (body, sealed, notes) = off_thread(move || seal(source, blob, size, &folder)).await?;
        let moving = |done, total| progress(Step::Moving { done, total });
        transfer::upload(&self.shared.handle, conversation.wire(), blob.wire(), sealed, moving).await?;
        let body = Body::File(body);
        let sent = self.send(conversation, body.clone()).await?;
        Ok(SentFile { sent, body, notes })
    }

    /// Fetches the file of a message into `folder`, under a free name like its own; gives its path. Where the record's
    /// file was saved there before and still is, gives that path at once.
    ///
    /// # Errors
    /// [`Problem::Usage`] for a record without a file; `not-found` where the fleet has it no longer; `file-damaged`;
    /// `disk-full`. Then there is no file of that name.
    pub async fn save_file(
        &self,
        record: &Record,
        folder: &Path,
        progress: impl Fn(Step) + Send + Sync + 'static,
    ) -> Result<PathBuf, Problem> {
        let file = announced(record)?.clone();
        if let Some(saved) = record
            .saved
            .as_ref()
            .filter(|saved| saved.parent() == Some(folder) && saved.is_file())
        {
            return Ok(saved.clone());
        }
        let name = name::safe(&file.name);
        let folder = folder.to_owned();
        let fetched = self.fetch(&file, &folder, progress).await?;
        let arrival = record.arrival;
        self.profile()
            .run(move |profile| {
                if folder != profile.downloads() {
                    return name::persist(fetched, &folder, &name);
                }
                profile.write(|tx| {
                    // Another process of this profile may have been faster.
                    if let Some(saved) = history::saved(tx, arrival)?.filter(|saved| saved.is_file()) {
                        return Ok(saved);
                    }
                    let path = name::persist(fetched, &folder, &name)?;
                    history::save_saved(tx, arrival, &path)?;
                    Ok(path)
                })
            })
            .await
    }

    /// Fetches the file of a message into a file of this very name, which must be free.
    ///
    /// # Errors
    /// As [`Messenger::save_file`]; `file-exists`.
    pub async fn save_file_as(&self, record: &Record, path: &Path, progress: impl Fn(Step) + Send + Sync + 'static) -> Result<(), Problem> {
        let file = announced(record)?.clone();
        let path = path.to_owned();
        let folder = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty())
            .unwrap_or(Path::new("."))
            .to_owned();
        let fetched = self.fetch(&file, &folder, progress).await?;
        off_thread(move || name::persist_as(fetched, &path)).await
    }

    /// The opened file, whole, under a name of its own that goes with it.
    async fn fetch(
        &self,
        file: &FileBody,
        folder: &Path,
        progress: impl Fn(Step) + Send + Sync + 'static,
    ) -> Result<NamedTempFile, Problem> {
        let size = sealed_size(file.size).ok_or(fastchat_e2e::FileError::NotAsAnnounced)?;
        let (sealed, folder) = off_thread({
            let folder = folder.to_owned();
            move || {
                fs::create_dir_all(&folder).map_err(|error| Problem::file(&folder, error))?;
                let sealed = tempfile::tempfile_in(&folder).map_err(|error| Problem::file(&folder, error))?;
                Ok((sealed, folder))
            }
        })
        .await?;
        let target = sealed.try_clone().map_err(|error| Problem::file(&folder, error))?;
        let progress = Arc::new(progress);
        let moving = |done, total| progress(Step::Moving { done, total });
        transfer::download(&self.shared.handle, file.blob.wire(), size, target, moving).await?;
        progress(Step::Opening);
        let (key, announced) = (
            file.key.clone(),
            Plaintext {
                size: file.size,
                sha256: file.sha256,
            },
        );
        off_thread(move || {
            let mut sealed = sealed;
            sealed.rewind().map_err(|error| Problem::file(&folder, error))?;
            let opened = NamedTempFile::new_in(&folder).map_err(|error| Problem::file(&folder, error))?;
            let mut writer = BufWriter::new(opened.as_file());
            open_file(BufReader::new(sealed), &mut writer, &key, &announced)?;
            writer.flush().map_err(fastchat_e2e::FileError::Write)?;
            drop(writer);
            opened.as_file().sync_all().map_err(fastchat_e2e::FileError::Write)?;
            Ok(opened)
        })
        .await
    }
}

fn announced(record: &Record) -> Result<&FileBody, Problem> {
    match &record.what {
        What::Message(content) => match &content.body {
            Body::File(file) => Ok(file),
            _ => Err(Problem::Usage("this message has no file".to_owned())),
        },
        _ => Err(Problem::Usage("this is no message".to_owned())),
    }
}

/// Seals it into a file without a name, and writes its message.
fn seal(source: Source, blob: BlobId, size: u64, folder: &Path) -> Result<(FileBody, File, Vec<String>), Problem> {
    let mut sealed = tempfile::tempfile_in(folder).map_err(|error| Problem::file(folder, error))?;
    let mut writer = BufWriter::new(&sealed);
    let done = seal_file(source.reader, &mut writer, &mut rand::rng())?;
    writer.flush().map_err(fastchat_e2e::FileError::Write)?;
    drop(writer);
    if sealed.metadata().map_err(|error| Problem::file(folder, error))?.len() != size {
        return Err(Problem::declined(
            "file-changed",
            format!("{} changed while it was read: send it again", source.name),
        ));
    }
    sealed.rewind().map_err(|error| Problem::file(folder, error))?;
    let body = FileBody {
        blob,
        key: done.key,
        sha256: done.plaintext.sha256,
        size: done.plaintext.size,
        name: source.name,
        mime: source.mime,
        width: source.dimensions.map(|(width, _)| width),
        height: source.dimensions.map(|(_, height)| height),
        thumbnail: source.thumbnail,
    };
    Ok((body, sealed, source.notes))
}

impl Problem {
    /// Says which file the fleet refuses.
    fn of_file(self, name: &str) -> Self {
        match self {
            Self::Refused(refused) => Self::declined(refused.code.as_str(), format!("{name}: {}", refused.message)),
            other => other,
        }
    }
}

impl From<TransferError> for Problem {
    fn from(error: TransferError) -> Self {
        match error {
            TransferError::Failure(failure) => failure.into(),
            TransferError::File(source) => Self::Sealed(fastchat_e2e::FileError::Write(source)),
        }
    }
}
