//! What is set for a whole conversation: a group's name and picture, whether it is archived, how long messages stay.

use super::{
    Messenger,
    files::{SendFile, Step},
};
use crate::{problem::Problem, profile::compose, record};
use fastchat_e2e::{
    ConversationId,
    content::{Body, Group},
};
use std::path::Path;

impl Messenger {
    /// Has a group archived by its members' devices for their new ones, or no longer. What was archived stays so.
    ///
    /// # Errors
    /// `forbidden` where the own account is no admin; [`Problem::Usage`] for a direct chat; `not-member`; as
    /// [`Messenger::sent`].
    pub async fn set_archive(&self, conversation: ConversationId, archive: bool) -> Result<(), Problem> {
        let settings = Group {
            archive: Some(archive),
            ..Group::default()
        };
        self.set(conversation, settings).await
    }

    /// Lets messages disappear from all devices so many seconds after they were written, or stay, with 0. What was
    /// written before stays as it is. In a direct chat either side may.
    ///
    /// # Errors
    /// [`Problem::Usage`] beyond [`record::RETENTION_S_MAX`]; otherwise as [`Messenger::set_archive`].
    pub async fn set_retention(&self, conversation: ConversationId, retention_s: u64) -> Result<(), Problem> {
        let settings = Group {
            retention_s: Some(retention_s),
            ..Group::default()
        };
        self.set(conversation, settings).await
    }

    /// Gives a group another name.
    ///
    /// # Errors
    /// [`Problem::Usage`] for what is no name; otherwise as [`Messenger::set_archive`].
    pub async fn rename(&self, conversation: ConversationId, name: &str) -> Result<(), Problem> {
        let settings = Group {
            name: Some(record::group_name(name)?),
            ..Group::default()
        };
        self.set(conversation, settings).await
    }

    /// Gives a group another picture: an image, from which is taken out what a camera wrote into it.
    ///
    /// # Errors
    /// [`Problem::Usage`] for what is no image, or has more than [`record::PICTURE_BYTES_MAX`]; otherwise as
    /// [`Messenger::set_archive`] and [`Messenger::send_file`].
    pub async fn set_picture(
        &self,
        conversation: ConversationId,
        path: &Path,
        progress: impl Fn(Step) + Send + Sync + 'static,
    ) -> Result<(), Problem> {
        // Before anything is uploaded.
        let empty = Body::Group(Group::default());
        let may = self
            .profile()
            .run(move |profile| profile.look(|groups, tx| compose(groups, tx, conversation, empty)));
        may.await?;
        let size = std::fs::metadata(path).map_err(|error| Problem::file(path, error))?.len();
        if size > record::PICTURE_BYTES_MAX {
            return Err(Problem::Usage(format!("{}: a group's picture has at most 4 MiB", path.display())));
        }
        let into = |picture| {
            Body::Group(Group {
                picture: Some(picture),
                ..Group::default()
            })
        };
        let how = SendFile { keep_metadata: false };
        self.send_as(conversation, path, &how, progress, into).await.map(drop)
    }

    /// Fetches a group's picture into a file of this very name, which must be free.
    ///
    /// # Errors
    /// `not-found` where it has none; otherwise as [`Messenger::save_file_as`].
    pub async fn save_picture(
        &self,
        conversation: ConversationId,
        path: &Path,
        progress: impl Fn(Step) + Send + Sync + 'static,
    ) -> Result<(), Problem> {
        let room = self.profile().run(move |profile| profile.room(conversation)).await?;
        let picture = room.and_then(|room| room.picture);
        let picture = picture.ok_or_else(|| Problem::declined("not-found", "this group has no picture that this device knows of"))?;
        self.save_as(&picture, path, progress).await
    }

    async fn set(&self, conversation: ConversationId, settings: Group) -> Result<(), Problem> {
        self.send(conversation, Body::Group(settings)).await.map(drop)
    }
}
