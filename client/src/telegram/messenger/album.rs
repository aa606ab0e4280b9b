//! Albums: up to ten files that are shown as one message (core.telegram.org/api/files#albums-grouped-media).

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use tgtrunk_messages::{Attachment, Content, Failure, Order, Sent};
use tgtrunk_telegram::tl;

use super::peer::Peer;
use super::sending::{answering, is_picture, weighed};
use super::{Correspondent, content, failure, film, moved};
use crate::telegram::request;
use crate::telegram::upload::SMALL_BYTES;

/// Most files of one album.
const MOST: usize = 10;

/// Files that are kept so; the next one more empties the box.
const MOST_KEPT: usize = 1_000;

/// Files that lie at Telegram already, by what their messages are to be known by, and whether as what they show: an album
/// that is tried again is not handed over again.
#[derive(Debug, Default)]
pub(super) struct Uploads(Mutex<HashMap<(i64, bool), tl::enums::InputMedia>>);

impl Uploads {
    fn of(&self, random_id: i64, as_seen: bool) -> Option<tl::enums::InputMedia> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.get(&(random_id, as_seen)).cloned()
    }

    fn keep(&self, random_id: i64, as_seen: bool, media: &tl::enums::InputMedia) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= MOST_KEPT {
            kept.clear();
        }
        kept.insert((random_id, as_seen), media.clone());
    }

    fn forget(&self, random_id: i64) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.remove(&(random_id, false));
        kept.remove(&(random_id, true));
    }
}

impl Correspondent {
    /// The files go together or not at all. Where Telegram does not take one of the pictures as a picture, all go as files.
    pub(super) async fn hand_over_album(&self, order: &Order) -> Result<Vec<Sent>, Failure> {
        let files = files(order)?;
        let has_pictures = files.iter().any(|(file, _)| is_picture(file));
        let mut as_seen = true;
        for (file, path) in &files {
            let size = weighed(file, path).await?;
            as_seen &= !is_picture(file) || size <= SMALL_BYTES;
        }
        let named = self.peer(&order.to).await?;
        let mut peer = self.moved(named.clone());
        let mut told = self.hand_over_all(order, &files, &peer, as_seen).await;
        if let Some(anew) = self.met_anew(&told, &peer).await {
            peer = anew;
            told = self.hand_over_all(order, &files, &peer, as_seen).await;
        }
        if as_seen && has_pictures && matches!(told, Err(Failure::Refused { word: "attachment_failed", .. }))
        {
            told = self.hand_over_all(order, &files, &peer, false).await;
        }
        // Whatever else it is, it is not tried again with these.
        if !matches!(told, Err(Failure::Unknown(_) | Failure::Flood { .. } | Failure::Slow { .. })) {
            (0..files.len()).for_each(|number| self.uploads.forget(numbered(order, number)));
        }
        let answer = moved::unreached(told, named.id(), &peer)?;
        self.meet_all(&answer).await;
        (0..files.len()).map(|number| self.sent(&answer, numbered(order, number), &peer)).collect()
    }

    async fn hand_over_all(
        &self,
        order: &Order,
        files: &[(&Attachment, &Path)],
        peer: &Peer,
        as_seen: bool,
    ) -> Result<tl::enums::Updates, Failure> {
        let Content::File { caption, entities, .. } = &order.content else { return Err(no_album()) };
        let entities = self.entities(entities).await?;
        let mut singles = Vec::with_capacity(files.len());
        for (number, (file, path)) in files.iter().enumerate() {
            let is_first = number == 0;
            let random_id = numbered(order, number);
            let media = match self.uploads.of(random_id, as_seen) {
                Some(media) => media,
                None => self.upload(peer, file, path, as_seen).await?,
            };
            self.uploads.keep(random_id, as_seen, &media);
            let single = tl::types::InputSingleMedia {
                media,
                random_id,
                message: if is_first { caption.clone() } else { String::new() },
                entities: entities.clone().filter(|_| is_first),
            };
            singles.push(single.into());
        }
        let request = tl::functions::messages::SendMultiMedia {
            silent: order.is_silent,
            reply_to: moved::answered(order, peer).map(answering),
            ..request::send_album(peer.input(), singles)
        };
        self.have(&request).await
    }

    /// Hands a file over that is to be sent later: `messages.uploadMedia`.
    async fn upload(
        &self,
        peer: &Peer,
        file: &Attachment,
        path: &Path,
        as_seen: bool,
    ) -> Result<tl::enums::InputMedia, Failure> {
        let named = |failure| match failure {
            Failure::Refused { word, sentence } => {
                failure::refused(word, format!("{:?}: {sentence}", file.name))
            }
            failure => failure,
        };
        let file = &Attachment { is_plain: file.is_plain || !as_seen, ..file.clone() };
        let handed = self.give(path, &file.name).await.map_err(named)?;
        let media = content::file_to_send(file, handed, is_picture(file));
        let media = film::measured(media, path).await;
        let request =
            tl::functions::messages::UploadMedia { business_connection_id: None, peer: peer.input(), media };
        let made = self.ask(&request).await.map_err(named)?;
        content::uploaded_to_send(made)
            .ok_or_else(|| failure::refused("attachment_failed", format!("{:?} became no file", file.name)))
    }
}

fn no_album() -> Failure {
    failure::refused("bad_request", format!("an album has 2 to {MOST} files"))
}

/// What Telegram knows a file of an album by.
fn numbered(order: &Order, number: usize) -> i64 {
    order.random_id.wrapping_add(i64::try_from(number).unwrap_or(0))
}

/// The files of an album, and where they are.
fn files(order: &Order) -> Result<Vec<(&Attachment, &Path)>, Failure> {
    let Content::File { file, more, .. } = &order.content else { return Err(no_album()) };
    let files: Vec<&Attachment> = [file].into_iter().chain(more).collect();
    if !(2..=MOST).contains(&files.len()) {
        return Err(no_album());
    }
    if files.len() != order.paths.len() {
        return Err(failure::refused("attachment_failed", "a file of the album is not there".to_owned()));
    }
    Ok(files.into_iter().zip(order.paths.iter().map(|path| path.as_path())).collect())
}
