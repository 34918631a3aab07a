//! What is to be sent: a picture without its metadata, or a file as it is.

use crate::{
    picture::{self, Picture},
    problem::Problem,
};
use fastchat_wire::limits::BLOB_BYTES_MAX;
use std::{
    fs::File,
    io::{BufReader, Cursor, Read, Seek},
    path::Path,
};

/// How much of a file tells what it is.
const MAGIC_BYTES: usize = 16;

/// A file on its way to being sealed.
pub(super) struct Source {
    pub(super) reader: Box<dyn Read + Send>,
    pub(super) size: u64,
    pub(super) name: String,
    pub(super) mime: String,
    /// Of a picture.
    pub(super) dimensions: Option<(u32, u32)>,
    pub(super) thumbnail: Option<Vec<u8>>,
    /// What its sender should know.
    pub(super) notes: Vec<String>,
}

impl Source {
    /// Opens a file, and a picture in it where there is one.
    pub(super) fn read(path: &Path, keep_metadata: bool) -> Result<Self, Problem> {
        let unreadable = |error| Problem::file(path, error);
        let mut file = File::open(path).map_err(unreadable)?;
        let metadata = file.metadata().map_err(unreadable)?;
        if !metadata.is_file() {
            return Err(Problem::declined(
                "file-unreadable",
                format!("{} is not a file: pack a folder into an archive first", path.display()),
            ));
        }
        let name = path.file_name().map_or("file".into(), |name| name.to_string_lossy()).into_owned();
        let mut source = Self {
            size: metadata.len(),
            mime: mime_guess::from_path(path).first_or_octet_stream().to_string(),
            name,
            dimensions: None,
            thumbnail: None,
            notes: Vec::new(),
            reader: Box::new(std::io::empty()),
        };
        let mut magic = Vec::with_capacity(MAGIC_BYTES);
        file.by_ref().take(MAGIC_BYTES as u64).read_to_end(&mut magic).map_err(unreadable)?;
        file.rewind().map_err(unreadable)?;
        if picture::examine(&magic).is_none() || source.size > BLOB_BYTES_MAX {
            if source.mime.starts_with("image/") {
                source.notes.push(format!(
                    "{} is no PNG, JPEG, WebP or GIF: it is sent as it is, with whatever else is in it",
                    source.name
                ));
            }
            source.reader = Box::new(BufReader::new(file));
            return Ok(source);
        }
        let mut bytes = Vec::new();
        file.take(BLOB_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(unreadable)?;
        source.take_picture(bytes, keep_metadata);
        Ok(source)
    }

    fn take_picture(&mut self, bytes: Vec<u8>, keep_metadata: bool) {
        let bytes = match picture::prepare(bytes.clone(), !keep_metadata) {
            Ok(picture) => {
                let Picture {
                    bytes,
                    mime,
                    width,
                    height,
                    thumbnail,
                    ..
                } = picture;
                self.mime = mime.to_owned();
                self.dimensions = Some((width, height));
                self.thumbnail = thumbnail;
                bytes
            }
            Err(cause) => {
                // Not announced as what it isn't.
                self.mime = mime_guess::mime::APPLICATION_OCTET_STREAM.to_string();
                self.notes.push(format!(
                    "{} can't be shown as a picture ({cause}): it is sent as it is, with whatever else is in it",
                    self.name
                ));
                bytes
            }
        };
        self.size = bytes.len() as u64;
        self.reader = Box::new(Cursor::new(bytes));
    }
}
