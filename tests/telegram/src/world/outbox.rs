//! The way out: each update becomes the container that the settings ask for, or what a fault makes of it.

use std::collections::BTreeMap;
use std::time::Duration;

use grammers_tl_types as tl;
use tl::Serializable;
use tokio::sync::mpsc;

use super::clock::{Due, unix_now};
use super::faults::PushFate;
use super::peers::Named;
use super::settings::Wrap;
use super::state::State;
use crate::link::Push;

/// How long a push waits for a later one to overtake it.
const OVERTAKEN_WITHIN: Duration = Duration::from_secs(1);

/// An update on its way to one key.
#[derive(Debug, Clone)]
pub(crate) struct Parcel {
    pub(crate) key: i64,
    pub(crate) update: tl::enums::Update,
    /// Whom and which chats the update names.
    pub(crate) users: Vec<i64>,
    pub(crate) wrap: Wrap,
}

/// Where pushes go: to the wire, or straight to an in-process device.
#[derive(Debug)]
pub(crate) struct Outbox {
    wire: mpsc::Sender<Push>,
    devices: BTreeMap<i64, mpsc::Sender<tl::enums::Update>>,
}

impl Outbox {
    pub(crate) fn new(wire: mpsc::Sender<Push>) -> Self {
        Self { wire, devices: BTreeMap::new() }
    }

    pub(crate) fn plug_in(&mut self, key: i64, device: mpsc::Sender<tl::enums::Update>) {
        self.devices.insert(key, device);
    }

    pub(crate) fn unplug(&mut self, key: i64) -> bool {
        self.devices.remove(&key).is_some()
    }

    /// Hands the wire an order; a wire that reads no more loses it.
    pub(crate) fn order(&self, push: Push) {
        if let Err(error) = self.wire.try_send(push) {
            tracing::warn!(%error, "a push is lost: the wire does not keep up");
        }
    }
}

impl State {
    /// Sends an update to one key, through the faults.
    pub(crate) fn push(&mut self, parcel: Parcel) {
        let key = parcel.key;
        let user = self.keys.key(key).and_then(|key| key.user);
        match self.faults.fate_of_push(user, key, &parcel.update) {
            PushFate::Send => self.send(parcel),
            PushFate::Drop => self.lose(&parcel),
            PushFate::Twice => {
                self.send(parcel.clone());
                self.send(parcel);
            }
            PushFate::Late(by) => {
                self.clock.after(by, Due::Push(Box::new(parcel)));
                return;
            }
            PushFate::Overtaken => {
                self.release(key);
                if let Some(key) = self.keys.key_mut(key) {
                    key.held = Some(parcel);
                }
                self.clock.after(OVERTAKEN_WITHIN, Due::Release(key));
                return;
            }
        }
        self.release(key);
    }

    /// Sends what waited to be overtaken.
    pub(crate) fn release(&mut self, key: i64) {
        if let Some(parcel) = self.keys.key_mut(key).and_then(|key| key.held.take()) {
            self.send(parcel);
        }
    }

    /// Sends an update to every device of a user but one.
    pub(crate) fn push_to_others(&mut self, user: i64, but: i64, update: tl::enums::Update, users: &[i64]) {
        for key in self.keys.main_of(user) {
            if key != but {
                self.push(Parcel { key, update: update.clone(), users: users.to_vec(), wrap: Wrap::Updates });
            }
        }
    }

    /// Sends past the faults.
    pub(crate) fn send(&mut self, parcel: Parcel) {
        let Parcel { key, update, users, wrap } = parcel;
        if let Some(device) = self.outbox.devices.get(&key) {
            if device.try_send(update).is_err() {
                tracing::warn!(key, "a device that does not read its updates is cut off");
                self.outbox.unplug(key);
            }
            return;
        }
        let viewer = match (self.keys.key(key).and_then(|key| key.user), &update) {
            (Some(viewer), _) => viewer,
            // The one update that a key gets before it is logged in.
            (None, tl::enums::Update::LoginToken) => 0,
            (None, _) => return,
        };
        let date = unix_now();
        let body: tl::enums::Updates = match (wrap, short_message(&update)) {
            (Wrap::Updates, Some(short)) if self.settings.short_messages => short,
            (Wrap::Short, _) => tl::types::UpdateShort { update, date }.into(),
            (Wrap::Updates | Wrap::Sequenced, _) => {
                let seq = if wrap == Wrap::Sequenced { self.next_seq(key) } else { 0 };
                let Named { users, chats } = self.named(viewer, users);
                tl::types::Updates { updates: vec![update], users, chats, date, seq }.into()
            }
        };
        self.outbox.order(Push::Updates { auth_key_id: key, body: body.to_bytes() });
    }

    /// A lost container has used its number up.
    fn lose(&mut self, parcel: &Parcel) {
        if parcel.wrap == Wrap::Sequenced {
            self.next_seq(parcel.key);
        }
    }

    pub(crate) fn next_seq(&mut self, key: i64) -> i32 {
        self.keys.key_mut(key).map_or(0, |key| {
            key.seq += 1;
            key.seq
        })
    }
}

/// A plain text of a chat of two or of a basic group, told without its users.
fn short_message(update: &tl::enums::Update) -> Option<tl::enums::Updates> {
    let tl::enums::Update::NewMessage(new) = update else { return None };
    let tl::enums::Message::Message(message) = &new.message else { return None };
    let more = message.media.is_some()
        || message.reply_markup.is_some()
        || message.via_bot_id.is_some()
        || message.fwd_from.is_some()
        || message.from_scheduled
        || message.grouped_id.is_some();
    if more {
        return None;
    }
    let (out, silent, id, date) = (message.out, message.silent, message.id, message.date);
    let (pts, pts_count, text) = (new.pts, new.pts_count, message.message.clone());
    let (reply_to, entities) = (message.reply_to.clone(), message.entities.clone());
    match (&message.peer_id, &message.from_id) {
        (tl::enums::Peer::User(chat), _) => Some(
            tl::types::UpdateShortMessage {
                out,
                mentioned: false,
                media_unread: false,
                silent,
                id,
                user_id: chat.user_id,
                message: text,
                pts,
                pts_count,
                date,
                fwd_from: None,
                via_bot_id: None,
                reply_to,
                entities,
                ttl_period: None,
            }
            .into(),
        ),
        (tl::enums::Peer::Chat(chat), Some(tl::enums::Peer::User(from))) => Some(
            tl::types::UpdateShortChatMessage {
                out,
                mentioned: false,
                media_unread: false,
                silent,
                id,
                from_id: from.user_id,
                chat_id: chat.chat_id,
                message: text,
                pts,
                pts_count,
                date,
                fwd_from: None,
                via_bot_id: None,
                reply_to,
                entities,
                ttl_period: None,
            }
            .into(),
        ),
        _ => None,
    }
}
