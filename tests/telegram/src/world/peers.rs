//! Peers by one number, as bots write them: a user is positive, a basic group negative, a supergroup or a channel
//! below minus 10^12 (core.telegram.org/api/bots/ids).

use std::collections::BTreeSet;

use grammers_tl_types as tl;

use super::error::RpcError;
use super::state::State;

/// Where the numbers of supergroups and channels begin, downwards.
const CHANNELS: i64 = -1_000_000_000_000;

/// The peer of a number.
pub(crate) fn peer(dialog: i64) -> tl::enums::Peer {
    if dialog > 0 {
        tl::types::PeerUser { user_id: dialog }.into()
    } else if is_channel(dialog) {
        tl::types::PeerChannel { channel_id: bare(dialog) }.into()
    } else {
        tl::types::PeerChat { chat_id: bare(dialog) }.into()
    }
}

/// The number of a peer.
pub(crate) fn dialog(peer: &tl::enums::Peer) -> i64 {
    match peer {
        tl::enums::Peer::User(user) => user.user_id,
        tl::enums::Peer::Chat(chat) => basic_group(chat.chat_id),
        tl::enums::Peer::Channel(channel) => channel_of(channel.channel_id),
    }
}

/// A supergroup or a channel.
pub(crate) fn is_channel(dialog: i64) -> bool {
    dialog < CHANNELS
}

/// The number of a basic group by its number in the schema.
pub(crate) fn basic_group(chat_id: i64) -> i64 {
    chat_id.saturating_neg()
}

/// The number of a channel by its number in the schema.
pub(crate) fn channel_of(channel_id: i64) -> i64 {
    CHANNELS.saturating_sub(channel_id)
}

/// The number in the schema.
pub(crate) fn bare(dialog: i64) -> i64 {
    if is_channel(dialog) { CHANNELS.saturating_sub(dialog) } else { dialog.saturating_abs() }
}

/// Users and chats as the schema lists them beside what names them.
#[derive(Debug, Default)]
pub(crate) struct Named {
    pub(crate) users: Vec<tl::enums::User>,
    pub(crate) chats: Vec<tl::enums::Chat>,
}

impl State {
    /// Each peer named, once, as the viewer sees it.
    pub(crate) fn named(&self, viewer: i64, dialogs: impl IntoIterator<Item = i64>) -> Named {
        let distinct: BTreeSet<i64> = dialogs.into_iter().collect();
        let (chats, users): (Vec<i64>, Vec<i64>) = distinct.into_iter().partition(|dialog| *dialog < 0);
        let users = self.users.many_seen_by(viewer, users);
        Named { users, chats: chats.into_iter().map(|chat| self.chat_seen_by(viewer, chat)).collect() }
    }

    /// What an `InputPeer` of this caller means.
    pub(crate) fn input_peer(&self, viewer: i64, input: &tl::enums::InputPeer) -> Result<i64, RpcError> {
        let invalid = || RpcError::bad_request("PEER_ID_INVALID");
        match input {
            tl::enums::InputPeer::PeerSelf => Ok(viewer),
            tl::enums::InputPeer::User(named) => {
                let (user_id, access_hash) = (named.user_id, named.access_hash);
                self.input_user(viewer, &tl::types::InputUser { user_id, access_hash }.into())
                    .map_err(|_| invalid())
            }
            tl::enums::InputPeer::Chat(named) => {
                let chat = basic_group(named.chat_id);
                self.groups.group(chat).filter(|_| named.chat_id > 0).map(|_| chat).ok_or_else(invalid)
            }
            tl::enums::InputPeer::Channel(named) => {
                let (channel_id, access_hash) = (named.channel_id, named.access_hash);
                self.input_channel(viewer, &tl::types::InputChannel { channel_id, access_hash }.into())
            }
            tl::enums::InputPeer::Empty
            | tl::enums::InputPeer::UserFromMessage(_)
            | tl::enums::InputPeer::ChannelFromMessage(_) => Err(invalid()),
        }
    }

    /// The user whom an `InputPeer` of this caller means.
    pub(crate) fn input_person(&self, viewer: i64, input: &tl::enums::InputPeer) -> Result<i64, RpcError> {
        let person = self.input_peer(viewer, input)?;
        Some(person).filter(|id| *id > 0).ok_or_else(|| RpcError::bad_request("PEER_ID_INVALID"))
    }

    /// Which supergroup or channel an `InputChannel` of this caller means. One that the viewer may not look into is
    /// `CHANNEL_PRIVATE`.
    pub(crate) fn input_channel(
        &self,
        viewer: i64,
        input: &tl::enums::InputChannel,
    ) -> Result<i64, RpcError> {
        let tl::enums::InputChannel::Channel(named) = input else {
            return Err(RpcError::bad_request("CHANNEL_INVALID"));
        };
        let channel = channel_of(named.channel_id);
        let group = self.groups.group(channel).filter(|_| named.channel_id > 0);
        let group = group.filter(|_| named.access_hash == self.users.access_hash(viewer, channel));
        let group = group.ok_or_else(|| RpcError::bad_request("CHANNEL_INVALID"))?;
        if group.deleted || !group.open_to(viewer) {
            return Err(RpcError::new(406, "CHANNEL_PRIVATE"));
        }
        Ok(channel)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_says_what_kind_of_peer_it_is() {
        for (dialog_id, channel) in [(5, false), (-5, false), (-1_000_000_000_005, true)] {
            assert_eq!(is_channel(dialog_id), channel);
            assert_eq!(dialog(&peer(dialog_id)), dialog_id);
            assert_eq!(bare(dialog_id), 5);
        }
        assert_eq!(channel_of(5), -1_000_000_000_005);
    }
}
