//! Albums: up to ten files that are shown as one message (core.telegram.org/api/files#albums-grouped-media).

use std::path::Path;

use tgtrunk_messages::{Attachment, Content, Failure, Order, Sent};
use tgtrunk_telegram::tl;

use super::peer::Peer;
use super::sending::{answering, is_picture, weighed};
use super::{Correspondent, content, failure, film};
use crate::telegram::request;
use crate::telegram::upload::SMALL_BYTES;

/// Most files of one album.
const MOST: usize = 10;

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
        let mut peer = self.peer(&order.to).await?;
        let mut told = self.hand_over_all(order, &files, &peer, as_seen).await;
        if let Some(anew) = self.met_anew(&told, &peer).await {
            peer = anew;
            told = self.hand_over_all(order, &files, &peer, as_seen).await;
        }
        if as_seen && has_pictures && matches!(told, Err(Failure::Refused { word: "attachment_failed", .. }))
        {
            told = self.hand_over_all(order, &files, &peer, false).await;
        }
        let answer = told?;
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
            let single = tl::types::InputSingleMedia {
                media: self.upload(peer, file, path, as_seen).await?,
                random_id: numbered(order, number),
                message: if is_first { caption.clone() } else { String::new() },
                entities: entities.clone().filter(|_| is_first),
            };
            singles.push(single.into());
        }
        let request = tl::functions::messages::SendMultiMedia {
            silent: order.is_silent,
            reply_to: order.reply_to.map(answering),
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
