//! The list of chats, and the archive (core.telegram.org/api/folders#peer-folders).

use tgtrunk_messages::{Chat, ChatId, Dialog, Failure};
use tgtrunk_telegram::{Status, tl};
use tracing::debug;

use super::Correspondent;
use super::peer::id_of;

/// Most chats in one answer.
const PAGE: usize = 100;
/// The list itself, and the archive.
const FOLDERS: [(i32, bool); 2] = [(0, false), (1, true)];

/// One answer, whatever its kind.
struct Page {
    dialogs: Vec<tl::enums::Dialog>,
    messages: Vec<tl::enums::Message>,
    users: Vec<tl::enums::User>,
    chats: Vec<tl::enums::Chat>,
    is_last: bool,
}

impl Correspondent {
    /// Chats, those with the newest messages first, and those of the archive last.
    pub(super) async fn chat_list(&self, count: usize) -> Result<Vec<Dialog>, Failure> {
        let mut found: Vec<Dialog> = Vec::new();
        for (folder, is_archived) in FOLDERS {
            let (mut offset_date, mut offset_id) = (0, 0);
            let mut offset_peer = tl::enums::InputPeer::Empty;
            while found.len() < count {
                let limit = (count - found.len()).min(PAGE);
                let request = tl::functions::messages::GetDialogs {
                    exclude_pinned: false,
                    folder_id: Some(folder),
                    offset_date,
                    offset_id,
                    offset_peer: offset_peer.clone(),
                    limit: i32::try_from(limit).unwrap_or(0),
                    hash: 0,
                };
                let page = Page::from(self.ask(&request).await?);
                self.meet(&page.users, &page.chats).await;
                let before = found.len();
                let mut last = None;
                for dialog in &page.dialogs {
                    let tl::enums::Dialog::Dialog(dialog) = dialog else { continue };
                    let id = id_of(&dialog.peer);
                    last = Some((id, dialog.top_message));
                    // A pinned one comes twice.
                    if !found.iter().any(|other| other.chat.id == id) {
                        let is_top =
                            |message: &&tl::enums::Message| dated(message, id, dialog.top_message).is_some();
                        found.push(Dialog {
                            chat: Chat { is_archived, ..self.chat_card(id) },
                            unread: u32::try_from(dialog.unread_count).unwrap_or(0),
                            last: page.messages.iter().find(is_top).and_then(|top| self.received(top)),
                        });
                    }
                }
                let Some((id, top_message)) = last else { break };
                if page.is_last || found.len() == before {
                    break;
                }
                let date = page.messages.iter().find_map(|message| dated(message, id, top_message));
                let Ok(peer) = self.chat_peer(id).await else { break };
                (offset_date, offset_id, offset_peer) = (date.unwrap_or(0), top_message, peer.input());
            }
        }
        found.truncate(count);
        Ok(found)
    }

    /// Learns, once the account works, whom and what it knows: its contacts, and the chats of late.
    pub(crate) async fn get_acquainted(self) {
        let mut status = self.account.status();
        if status.wait_for(|status| matches!(status, Status::Green { .. })).await.is_err() {
            return;
        }
        if let Err(failure) = self.all_contacts().await {
            debug!(%failure, "the account's contacts are not known");
        }
        if let Err(failure) = self.chat_list(PAGE).await {
            debug!(%failure, "the account's chats are not known");
        }
    }

    pub(super) async fn put_away(&self, chat: ChatId, is_archived: bool) -> Result<(), Failure> {
        let peer = self.chat_peer(chat).await?.input();
        let folder_peers =
            vec![tl::types::InputFolderPeer { peer, folder_id: i32::from(is_archived) }.into()];
        let answer = self.ask(&tl::functions::folders::EditPeerFolders { folder_peers }).await?;
        self.meet_all(&answer).await;
        Ok(())
    }
}

/// The date of a chat's newest message.
fn dated(message: &tl::enums::Message, chat: ChatId, id: i32) -> Option<i32> {
    let (peer, found, date) = match message {
        tl::enums::Message::Message(message) => (&message.peer_id, message.id, message.date),
        tl::enums::Message::Service(message) => (&message.peer_id, message.id, message.date),
        tl::enums::Message::Empty(_) => return None,
    };
    (id_of(peer) == chat && found == id).then_some(date)
}

impl From<tl::enums::messages::Dialogs> for Page {
    fn from(answer: tl::enums::messages::Dialogs) -> Self {
        use tl::enums::messages::Dialogs as Answer;
        let (dialogs, messages, users, chats, is_last) = match answer {
            Answer::Dialogs(all) => (all.dialogs, all.messages, all.users, all.chats, true),
            Answer::Slice(some) => (some.dialogs, some.messages, some.users, some.chats, false),
            Answer::NotModified(_) => (Vec::new(), Vec::new(), Vec::new(), Vec::new(), true),
        };
        Self { dialogs, messages, users, chats, is_last }
    }
}
