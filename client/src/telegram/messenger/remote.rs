//! Where a file lies at Telegram, as text that a database keeps (core.telegram.org/api/file_reference).

use tgtrunk_messages::ChatId;
use tgtrunk_telegram::tl;

/// Where a file lies, and in which message: its right to be fetched runs out, and the message gives another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Remote {
    pub(super) kind: Kind,
    pub(super) dc: i32,
    pub(super) id: i64,
    pub(super) access_hash: i64,
    pub(super) reference: Vec<u8>,
    /// Which size of a picture.
    pub(super) size: String,
    pub(super) chat: ChatId,
    pub(super) tg_id: i32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Photo,
    Document,
}

impl Remote {
    pub(super) fn text(&self) -> String {
        let kind = match self.kind {
            Kind::Photo => "photo",
            Kind::Document => "document",
        };
        format!(
            "{kind}:{}:{}:{}:{}:{}:{}:{}",
            self.dc,
            self.id,
            self.access_hash,
            hex::encode(&self.reference),
            self.size,
            self.chat,
            self.tg_id
        )
    }

    pub(super) fn read(text: &str) -> Option<Self> {
        let fields: Vec<&str> = text.split(':').collect();
        let [kind, dc, id, access_hash, reference, size, chat, tg_id] = fields[..] else { return None };
        let kind = match kind {
            "photo" => Kind::Photo,
            "document" => Kind::Document,
            _ => return None,
        };
        Some(Self {
            kind,
            dc: dc.parse().ok()?,
            id: id.parse().ok()?,
            access_hash: access_hash.parse().ok()?,
            reference: hex::decode(reference).ok()?,
            size: size.to_owned(),
            chat: ChatId(chat.parse().ok()?),
            tg_id: tg_id.parse().ok()?,
        })
    }

    pub(super) fn location(&self) -> tl::enums::InputFileLocation {
        let (id, access_hash) = (self.id, self.access_hash);
        let (file_reference, thumb_size) = (self.reference.clone(), self.size.clone());
        match self.kind {
            Kind::Photo => {
                tl::types::InputPhotoFileLocation { id, access_hash, file_reference, thumb_size }.into()
            }
            Kind::Document => {
                tl::types::InputDocumentFileLocation { id, access_hash, file_reference, thumb_size }.into()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_read_again() {
        let remote = Remote {
            kind: Kind::Document,
            dc: 4,
            id: -5,
            access_hash: i64::MIN,
            reference: vec![0, 255],
            size: String::new(),
            chat: ChatId(-1_001_234_567_890),
            tg_id: 7,
        };
        assert_eq!(Remote::read(&remote.text()), Some(remote.clone()));
        let photo = Remote { kind: Kind::Photo, size: "y".to_owned(), reference: vec![], ..remote };
        assert_eq!(Remote::read(&photo.text()), Some(photo));
        for wrong in ["", "photo", "film:1:2:3:00::5:6", "photo:1:2:3:0g::5:6", "photo:1:2:3:00::5:6:7"] {
            assert_eq!(Remote::read(wrong), None, "{wrong}");
        }
    }
}
