//! Fetching files of Telegram, part by part, onto the disk (core.telegram.org/api/files).

use std::io;
use std::path::Path;
use std::time::Duration;

use tgtrunk_messages::{Address, Content, Failure};
use tgtrunk_telegram::{InvokeError, Policy, tl};
use tokio::fs::File;
use tokio::io::AsyncWriteExt as _;
use tokio::time::sleep;

use super::peer::Peer;
use super::remote::Remote;
use super::{Correspondent, failure};
use crate::telegram::upload::{self, UploadError};

/// What is fetched at once: a divisor of 1 MB, in bytes.
const PART_BYTES: i32 = 512 * 1024;
/// How long one part may take.
const PART_LIMIT: Duration = Duration::from_secs(60);
/// Longest wait that Telegram may ask for between two parts.
const LONGEST_WAIT_S: u32 = 60;
/// How often a file may be somewhere else, or has to be waited for.
const DETOURS: u32 = 8;
/// Longest picture of a person or a chat.
const PICTURE_BYTES: u64 = 10 * 1024 * 1024;

/// Why a file was not fetched.
enum Stop {
    /// Its right to be fetched has run out.
    Expired,
    Failed(Failure),
}

impl Correspondent {
    /// Writes a file to `path`. One whose right to be fetched has run out is looked up in its message again.
    pub(super) async fn fetch(&self, remote: &str, path: &Path, limit: u64) -> Result<(), Failure> {
        let lost =
            || failure::refused("attachment_failed", "the file is not at Telegram any more".to_owned());
        let remote = Remote::read(remote).ok_or_else(lost)?;
        let stop = match self.fetch_at(remote.dc, remote.location(), path, limit).await {
            Ok(()) => return Ok(()),
            Err(stop) => stop,
        };
        tokio::fs::remove_file(path).await.ok();
        match stop {
            Stop::Failed(failure) => Err(failure),
            Stop::Expired => {
                let message = self.message_of(remote.chat, remote.tg_id).await?.ok_or_else(lost)?;
                let Content::File { file, .. } = message.content else { return Err(lost()) };
                let fresh = file.remote.as_deref().and_then(Remote::read).ok_or_else(lost)?;
                match self.fetch_at(fresh.dc, fresh.location(), path, limit).await {
                    Ok(()) => Ok(()),
                    Err(stop) => {
                        tokio::fs::remove_file(path).await.ok();
                        Err(match stop {
                            Stop::Failed(failure) => failure,
                            Stop::Expired => lost(),
                        })
                    }
                }
            }
        }
    }

    async fn fetch_at(
        &self,
        mut dc: i32,
        location: tl::enums::InputFileLocation,
        path: &Path,
        limit: u64,
    ) -> Result<(), Stop> {
        let unwritten = |error: io::Error| Stop::Failed(Failure::Unknown(error.to_string()));
        let policy = Policy::call().within(PART_LIMIT).idempotent();
        let mut file = File::create(path).await.map_err(unwritten)?;
        let (mut offset, mut detours): (i64, u32) = (0, 0);
        loop {
            let request = tl::functions::upload::GetFile {
                precise: false,
                cdn_supported: false,
                location: location.clone(),
                offset,
                limit: PART_BYTES,
            };
            let part = match self.account.invoke_at(dc, &request, policy).await {
                Ok(tl::enums::upload::File::File(part)) => part.bytes,
                Ok(tl::enums::upload::File::CdnRedirect(_)) => {
                    let cause = "the file lies with somebody else".to_owned();
                    return Err(Stop::Failed(failure::refused("attachment_failed", cause)));
                }
                Err(error) if detours < DETOURS => {
                    detours += 1;
                    match error {
                        InvokeError::Rpc { name, value: Some(at), .. } if name == "FILE_MIGRATE" => {
                            dc = i32::try_from(at).unwrap_or(dc);
                        }
                        InvokeError::Flood { seconds } if seconds <= LONGEST_WAIT_S => {
                            sleep(Duration::from_secs(seconds.into())).await;
                        }
                        InvokeError::Rpc { name, .. } if name.starts_with("FILE_REFERENCE_") => {
                            return Err(Stop::Expired);
                        }
                        error => return Err(Stop::Failed(failure::judge(error))),
                    }
                    continue;
                }
                Err(error) => return Err(Stop::Failed(failure::judge(error))),
            };
            let length = i64::try_from(part.len()).unwrap_or(i64::MAX);
            offset = offset.saturating_add(length);
            if u64::try_from(offset).is_ok_and(|offset| offset > limit) {
                let sentence = format!("the file is larger than {limit} bytes");
                return Err(Stop::Failed(failure::refused("attachment_too_large", sentence)));
            }
            file.write_all(&part).await.map_err(unwritten)?;
            if length < i64::from(PART_BYTES) {
                break;
            }
        }
        file.flush().await.map_err(unwritten)?;
        file.sync_all().await.map_err(unwritten)
    }

    /// Hands a file over for a message.
    pub(super) async fn give(&self, path: &Path, name: &str) -> Result<tl::enums::InputFile, Failure> {
        upload::file(&self.account, path, name).await.map_err(|error| match error {
            UploadError::Unread(error) => {
                failure::refused("attachment_failed", format!("the file cannot be read: {error}"))
            }
            UploadError::Telegram(error) => failure::judge(error),
        })
    }

    /// What the picture of a person or a chat is known by; none if there is none.
    pub(super) async fn key_of_picture(&self, of: &Address) -> Result<Option<String>, Failure> {
        let peer = self.peer(of).await?;
        Ok(self.picture_of(&peer).await?.map(|(photo_id, _)| format!("{}:{photo_id}", peer.id())))
    }

    /// Writes the picture of a person or a chat to `path`; false if there is none.
    pub(super) async fn fetch_picture(&self, of: &Address, path: &Path) -> Result<bool, Failure> {
        let peer = self.peer(of).await?;
        let Some((photo_id, dc)) = self.picture_of(&peer).await? else { return Ok(false) };
        let location = tl::types::InputPeerPhotoFileLocation { big: true, peer: peer.input(), photo_id };
        match self.fetch_at(dc, location.into(), path, PICTURE_BYTES).await {
            Ok(()) => Ok(true),
            Err(Stop::Expired) => Ok(false),
            Err(Stop::Failed(failure)) => Err(failure),
        }
    }

    /// A picture's number, and where it lies.
    async fn picture_of(&self, peer: &Peer) -> Result<Option<(i64, i32)>, Failure> {
        let chats = match peer {
            Peer::User(user) => {
                let request = tl::functions::users::GetUsers { id: vec![user.input_user()] };
                let users = self.ask(&request).await?;
                self.meet(&users, &[]).await;
                return Ok(users.iter().find_map(|user| match user {
                    tl::enums::User::User(user) => match user.photo.as_ref()? {
                        tl::enums::UserProfilePhoto::Photo(photo) => Some((photo.photo_id, photo.dc_id)),
                        tl::enums::UserProfilePhoto::Empty => None,
                    },
                    tl::enums::User::Empty(_) => None,
                }));
            }
            Peer::Group(id) => self.ask(&tl::functions::messages::GetChats { id: vec![*id] }).await?,
            Peer::Channel(channel) => {
                let id = vec![channel.clone().into()];
                self.ask(&tl::functions::channels::GetChannels { id }).await?
            }
        };
        let chats = match chats {
            tl::enums::messages::Chats::Chats(found) => found.chats,
            tl::enums::messages::Chats::Slice(found) => found.chats,
        };
        self.meet(&[], &chats).await;
        Ok(chats.iter().find_map(|chat| {
            let photo = match chat {
                tl::enums::Chat::Chat(chat) => &chat.photo,
                tl::enums::Chat::Channel(channel) => &channel.photo,
                _ => return None,
            };
            match photo {
                tl::enums::ChatPhoto::Photo(photo) => Some((photo.photo_id, photo.dc_id)),
                tl::enums::ChatPhoto::Empty => None,
            }
        }))
    }

    pub(super) async fn change_own_picture(&self, path: &Path) -> Result<(), Failure> {
        let file = self.give(path, "picture.jpg").await?;
        let request = tl::functions::photos::UploadProfilePhoto {
            fallback: false,
            bot: None,
            file: Some(file),
            video: None,
            video_start_ts: None,
            video_emoji_markup: None,
        };
        let tl::enums::photos::Photo::Photo(changed) = self.have(&request).await?;
        self.meet(&changed.users, &[]).await;
        Ok(())
    }
}
