//! Files: checked, sealed, uploaded, told; and the way back.
//!
//! ```text
//!  file ─> picture? stripped ─> announced ─> sealed to uploads/BLOB ─> uploaded ─> message
//!  message ─> downloaded to partial/BLOB ─> opened, compared ─> its name
//! ```
//!
//! What is on its way lies sealed in the profile's folder. A program that was killed goes on with it: sent again, the
//! same file is not uploaded again, and what was received is not fetched again. What has the final name is whole and
//! compared with what its sender announced.

mod name;
mod partial;
mod source;

use super::{Messenger, Sent};
use crate::{
    chat,
    fault::{self, Fault},
    ids::Expose,
    problem::Problem,
    profile::{
        Profile, history, off_thread,
        uploads::{self, Upload, Which},
    },
    record::{Record, What},
    transfer::{self, TransferError},
};
use fastchat_e2e::{
    BlobId, ConversationId,
    content::{Body, File as FileBody},
    file::{Plaintext, open_file, seal_file, sealed_size},
};
use partial::Partial;
use source::Source;
use std::{
    fs::{self, File},
    io::{BufReader, BufWriter, Seek, Write},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tempfile::NamedTempFile;

/// Sealed files that are on their way up, in the profile's folder.
const UPLOADS: &str = "uploads";
/// Sealed files that are on their way down.
const PARTIAL: &str = "partial";

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
        self.send_as(conversation, path, how, progress, Body::File).await
    }

    /// The same in a message of another kind.
    pub(super) async fn send_as(
        &self,
        conversation: ConversationId,
        path: &Path,
        how: &SendFile,
        progress: impl Fn(Step) + Send + Sync + 'static,
        into: impl FnOnce(FileBody) -> Body,
    ) -> Result<SentFile, Problem> {
        progress(Step::Sealing);
        let folder = self.profile().folder().join(UPLOADS);
        let (which, begun) = {
            let (path, keep_metadata, folder) = (path.to_owned(), how.keep_metadata, folder.clone());
            let found = self
                .profile()
                .run(move |profile| begun(profile, conversation, &path, keep_metadata, &folder));
            found.await?
        };
        let (upload, sealed) = match begun {
            Some(begun) => begun,
            None => self.seal_file(conversation, path, how, which, &folder).await?,
        };
        let blob = upload.body.blob;
        let moving = |done, total| progress(Step::Moving { done, total });
        let moved = transfer::upload(&self.shared.handle, conversation.wire(), blob.wire(), sealed, moving).await;
        if let Err(error) = moved {
            let problem = Problem::from(error);
            if problem.is_final() {
                let forgotten = self.profile().run(move |profile| profile.write(|tx| uploads::forget(tx, which)));
                forgotten.await?;
                remove(&folder, blob);
            }
            return Err(problem.of_file(&upload.body.name));
        }
        fault::point(Fault::Uploaded);
        let body = into(upload.body);
        let bodies = vec![body.clone()];
        // The message is kept and the upload forgotten in one step: whoever dies here sends it once.
        let queued = self
            .profile()
            .run(move |profile| profile.seal(conversation, bodies, |tx| uploads::forget(tx, which)));
        let queued = queued.await?;
        fault::point(Fault::Sealed);
        self.shared.handle.wake();
        remove(&folder, blob);
        let entry = *queued
            .first()
            .ok_or_else(|| Problem::Usage("there is nothing to send".to_owned()))?;
        let sent = self.sent(entry).await?;
        Ok(SentFile {
            sent,
            body,
            notes: upload.notes,
        })
    }

    /// Announces a file, seals it, and keeps what a restart needs to go on.
    async fn seal_file(
        &self,
        conversation: ConversationId,
        path: &Path,
        how: &SendFile,
        which: Which,
        folder: &Path,
    ) -> Result<(Upload, File), Problem> {
        let (path, keep_metadata) = (path.to_owned(), how.keep_metadata);
        let source = off_thread(move || Source::read(&path, keep_metadata)).await?;
        let size = sealed_size(source.size).ok_or(fastchat_e2e::FileError::TooLarge)?;
        // The fleet says whether it takes it before anything is sealed.
        let blob = BlobId(uuid::Uuid::new_v4().into_bytes());
        let connection = self.shared.connection().await?;
        let announced = chat::blob_create(&connection, blob.wire(), size, conversation.wire()).await;
        announced.map_err(Problem::from).map_err(|problem| problem.of_file(&source.name))?;
        let folder = folder.to_owned();
        self.profile()
            .run(move |profile| {
                let (body, sealed, notes) = seal(source, blob, size, &folder)?;
                let upload = Upload::new(body, notes);
                profile.write(|tx| uploads::save(tx, which, &upload))?;
                Ok((upload, sealed))
            })
            .await
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
        self.save_as(announced(record)?, path, progress).await
    }

    /// Fetches a file into a file of this very name, which must be free.
    pub(super) async fn save_as(
        &self,
        file: &FileBody,
        path: &Path,
        progress: impl Fn(Step) + Send + Sync + 'static,
    ) -> Result<(), Problem> {
        let path = path.to_owned();
        let folder = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty())
            .unwrap_or(Path::new("."))
            .to_owned();
        let fetched = self.fetch(file, &folder, progress).await?;
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
        let (blob, to) = (file.blob, folder.to_owned());
        let partials = self.profile().folder().join(PARTIAL);
        let mut partial = off_thread(move || {
            fs::create_dir_all(&to).map_err(|error| Problem::file(&to, error))?;
            Partial::open(&partials, blob, size)
        })
        .await?;
        let progress = Arc::new(progress);
        loop {
            let begun_at = partial.from;
            let target = partial.file.try_clone().map_err(|error| Problem::file(folder, error))?;
            let moving = |done, total| progress(Step::Moving { done, total });
            let moved = transfer::download(&self.shared.handle, blob.wire(), size, target, begun_at, moving).await;
            if let Err(error) = moved {
                let has_no_room = matches!(error, TransferError::File(_));
                let problem = Problem::from(error);
                if has_no_room || problem.is_final() {
                    partial.remove();
                }
                return Err(problem);
            }
            progress(Step::Opening);
            let (file, to) = (file.clone(), folder.to_owned());
            let (opened, back) = off_thread(move || {
                let opened = open(&partial.file, &file, &to);
                Ok((opened, partial))
            })
            .await?;
            partial = back;
            match opened {
                // Perhaps what an earlier try has left was never written whole.
                Err(Problem::Sealed(fastchat_e2e::FileError::Damaged { .. })) if begun_at > 0 => {
                    partial.begin_anew().map_err(|error| Problem::file(folder, error))?;
                }
                opened => {
                    partial.remove();
                    return opened;
                }
            }
        }
    }
}

/// Opens a sealed file into one under a name of its own.
fn open(mut sealed: &File, file: &FileBody, folder: &Path) -> Result<NamedTempFile, Problem> {
    let announced = Plaintext {
        size: file.size,
        sha256: file.sha256,
    };
    sealed.rewind().map_err(|error| Problem::file(folder, error))?;
    let opened = NamedTempFile::new_in(folder).map_err(|error| Problem::file(folder, error))?;
    let mut writer = BufWriter::new(opened.as_file());
    open_file(BufReader::new(sealed), &mut writer, &file.key, &announced)?;
    writer.flush().map_err(fastchat_e2e::FileError::Write)?;
    drop(writer);
    opened.as_file().sync_all().map_err(fastchat_e2e::FileError::Write)?;
    Ok(opened)
}

/// Which file it is, and what an earlier try has left of it.
fn begun(
    profile: &Profile,
    conversation: ConversationId,
    path: &Path,
    keep_metadata: bool,
    folder: &Path,
) -> Result<(Which, Option<(Upload, File)>), Problem> {
    let metadata = fs::metadata(path).map_err(|error| Problem::file(path, error))?;
    let which = Which::of(conversation, path, &metadata, keep_metadata);
    let (kept, found) = profile.write(|tx| Ok((uploads::tidy(tx)?, uploads::find(tx, which)?)))?;
    let is_left = |name: &str| !kept.iter().any(|blob| blob.to_string() == name);
    partial::remove_files(folder, Duration::from_millis(uploads::KEPT_MS), is_left);
    let Some(upload) = found else { return Ok((which, None)) };
    let whole = |file: File| (file.metadata().ok()?.len() == sealed_size(upload.body.size)?).then_some(file);
    let sealed = File::open(folder.join(upload.body.blob.to_string())).ok().and_then(whole);
    Ok((which, sealed.map(|sealed| (upload, sealed))))
}

/// A sealed file that nobody needs any more. What can't be removed is removed another day.
fn remove(folder: &Path, blob: BlobId) {
    if let Err(error) = fs::remove_file(folder.join(blob.to_string())) {
        tracing::debug!(%error, "a sealed file stays for now");
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

/// Seals it into the blob's file, on stable storage, and writes its message.
fn seal(source: Source, blob: BlobId, size: u64, folder: &Path) -> Result<(FileBody, File, Vec<String>), Problem> {
    let unwritable = |error| Problem::file(folder, error);
    fs::create_dir_all(folder).map_err(unwritable)?;
    let sealed = NamedTempFile::new_in(folder).map_err(unwritable)?;
    let mut writer = BufWriter::new(sealed.as_file());
    let done = seal_file(source.reader, &mut writer, &mut rand::rng())?;
    writer.flush().map_err(fastchat_e2e::FileError::Write)?;
    drop(writer);
    if sealed.as_file().metadata().map_err(unwritable)?.len() != size {
        return Err(Problem::declined(
            "file-changed",
            format!("{} changed while it was read: send it again", source.name),
        ));
    }
    sealed.as_file().sync_all().map_err(fastchat_e2e::FileError::Write)?;
    let sealed = sealed
        .persist(folder.join(blob.to_string()))
        .map_err(|error| unwritable(error.error))?;
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
    /// The fleet won't have it, or has it no longer: there is nothing to go on with.
    fn is_final(&self) -> bool {
        matches!(self, Self::Refused(_)) && !self.is_passing()
    }

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
            TransferError::AnotherSize { .. } => Self::Sealed(fastchat_e2e::FileError::NotAsAnnounced),
            TransferError::File(source) => Self::Sealed(fastchat_e2e::FileError::Write(source)),
        }
    }
}
