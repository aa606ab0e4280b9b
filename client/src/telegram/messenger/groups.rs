//! Groups: made and changed. A basic group and a supergroup are two things to Telegram (core.telegram.org/api/channel).

use std::path::Path;

use tgtrunk_messages::{
    Address, ChatId, Failure, GroupChange, GroupRights, NewGroup, NewlyMade, RightsChange,
};
use tgtrunk_telegram::tl;
use tracing::warn;

use super::peer::Peer;
use super::{Correspondent, failure, moved};
use crate::telegram::request;

/// How many of the last messages somebody sees who is added to a basic group.
const SEEN_BY_NEW: i32 = 50;
const DAY_S: u32 = 86_400;

impl Correspondent {
    pub(super) async fn found_group(&self, group: &NewGroup) -> Result<NewlyMade, Failure> {
        let mut members = Vec::with_capacity(group.members.len());
        for member in &group.members {
            members.push(self.user(member).await?.input_user());
        }
        let ttl_period = match group.auto_delete_days {
            0 => None,
            days => Some(i32::try_from(days.saturating_mul(DAY_S)).unwrap_or(i32::MAX)),
        };
        let mut missing = None;
        let answer = if group.is_supergroup {
            let request = tl::functions::channels::CreateChannel {
                broadcast: false,
                megagroup: true,
                for_import: false,
                forum: false,
                title: group.title.clone(),
                about: String::new(),
                geo_point: None,
                address: None,
                ttl_period,
            };
            self.have(&request).await?
        } else {
            let request = tl::functions::messages::CreateChat {
                users: members.clone(),
                title: group.title.clone(),
                ttl_period,
            };
            let tl::enums::messages::InvitedUsers::Users(made) = self.have(&request).await?;
            missing = uninvited(&made.missing_invitees);
            made.updates
        };
        self.meet_all(&answer).await;
        let chat = made(&answer)
            .ok_or_else(|| Failure::Unknown("Telegram did not say which group it became".to_owned()))?;
        // The group is there, whatever becomes of its members and its link: whoever heard of a failure would make another.
        let peer = self.chat_peer(chat).await;
        if group.is_supergroup && !members.is_empty() {
            let invited = match &peer {
                Ok(Peer::Channel(channel)) => self.invite(channel, members).await,
                Ok(Peer::Group(_) | Peer::User(_)) => Ok(()),
                Err(failure) => Err(failure.clone()),
            };
            missing = invited.err().map(|failure| failure.to_string());
        }
        let link = match &peer {
            Ok(peer) => self.invite_link(peer).await,
            Err(failure) => Err(failure.clone()),
        };
        let link = link.unwrap_or_else(|failure| {
            warn!(%failure, "a new group has no link");
            String::new()
        });
        Ok(NewlyMade { chat: self.chat_card(chat), link, missing })
    }

    pub(super) async fn invite_link(&self, peer: &Peer) -> Result<String, Failure> {
        let request = tl::functions::messages::ExportChatInvite {
            legacy_revoke_permanent: false,
            request_needed: false,
            peer: peer.input(),
            expire_date: None,
            usage_limit: None,
            title: None,
            subscription_pricing: None,
        };
        Ok(match self.have(&request).await? {
            tl::enums::ExportedChatInvite::ChatInviteExported(invite) => invite.link,
            tl::enums::ExportedChatInvite::ChatInvitePublicJoinRequests => String::new(),
        })
    }

    pub(super) async fn rearrange(&self, chat: ChatId, change: &GroupChange) -> Result<(), Failure> {
        let mut peer = self.moved(self.chat_peer(chat).await?);
        let mut told = self.rearrange_there(&peer, change).await;
        if let Some(moved) = self.moved_since(&told, &peer).await {
            peer = moved;
            told = self.rearrange_there(&peer, change).await;
        }
        moved::unreached(told, chat, &peer)
    }

    async fn rearrange_there(&self, peer: &Peer, change: &GroupChange) -> Result<(), Failure> {
        match change {
            GroupChange::Title(title) => self.rename(peer, title).await,
            GroupChange::Rights(rights) => self.permit(peer, rights).await,
            GroupChange::Picture(path) => self.picture(peer, path).await,
            GroupChange::Add(who) => self.add(peer, who).await,
            GroupChange::Remove(who) => self.remove(peer, who).await,
            GroupChange::Promote(who) => self.promote(peer, who, true).await,
            GroupChange::Demote(who) => self.promote(peer, who, false).await,
            GroupChange::Leave => self.leave(peer).await,
        }
    }

    async fn rename(&self, peer: &Peer, title: &str) -> Result<(), Failure> {
        let title = title.to_owned();
        let answer = match peer {
            Peer::Group(chat_id) => {
                self.have(&tl::functions::messages::EditChatTitle { chat_id: *chat_id, title }).await?
            }
            Peer::Channel(channel) => {
                let channel = channel.clone().into();
                self.have(&tl::functions::channels::EditTitle { channel, title }).await?
            }
            Peer::User(_) => return Err(no_group(peer)),
        };
        self.meet_all(&answer).await;
        Ok(())
    }

    async fn permit(&self, peer: &Peer, change: &RightsChange) -> Result<(), Failure> {
        let request = tl::functions::messages::EditChatDefaultBannedRights {
            peer: peer.input(),
            banned_rights: changed(self.bans(peer).await?, change).into(),
        };
        let answer = match self.have(&request).await {
            // It is so already.
            Err(Failure::Refused { word: "not_modified", .. }) => return Ok(()),
            answer => answer?,
        };
        self.meet_all(&answer).await;
        Ok(())
    }

    /// What members may not do now.
    async fn bans(&self, peer: &Peer) -> Result<tl::types::ChatBannedRights, Failure> {
        let answer = match peer {
            Peer::Group(id) => self.ask(&tl::functions::messages::GetChats { id: vec![*id] }).await?,
            Peer::Channel(channel) => {
                let id = vec![channel.clone().into()];
                self.ask(&tl::functions::channels::GetChannels { id }).await?
            }
            Peer::User(_) => return Err(no_group(peer)),
        };
        let chats = match answer {
            tl::enums::messages::Chats::Chats(found) => found.chats,
            tl::enums::messages::Chats::Slice(found) => found.chats,
        };
        let bans = chats.into_iter().find_map(|chat| match chat {
            tl::enums::Chat::Chat(chat) => chat.default_banned_rights,
            tl::enums::Chat::Channel(channel) => channel.default_banned_rights,
            _ => None,
        });
        Ok(bans.map_or_else(nothing_banned, |tl::enums::ChatBannedRights::Rights(bans)| bans))
    }

    async fn picture(&self, peer: &Peer, path: &Path) -> Result<(), Failure> {
        let photo = tl::types::InputChatUploadedPhoto {
            file: Some(self.give(path, "picture.jpg").await?),
            video: None,
            video_start_ts: None,
            video_emoji_markup: None,
        }
        .into();
        let answer = match peer {
            Peer::Group(chat_id) => {
                self.have(&tl::functions::messages::EditChatPhoto { chat_id: *chat_id, photo }).await?
            }
            Peer::Channel(channel) => {
                let channel = channel.clone().into();
                self.have(&tl::functions::channels::EditPhoto { channel, photo }).await?
            }
            Peer::User(_) => return Err(no_group(peer)),
        };
        self.meet_all(&answer).await;
        Ok(())
    }

    async fn add(&self, peer: &Peer, who: &Address) -> Result<(), Failure> {
        let user_id = self.user(who).await?.input_user();
        match peer {
            Peer::Group(chat_id) => {
                let request = tl::functions::messages::AddChatUser {
                    chat_id: *chat_id,
                    user_id,
                    fwd_limit: SEEN_BY_NEW,
                };
                let added = self.have(&request).await?;
                self.invited(added).await
            }
            Peer::Channel(channel) => self.invite(channel, vec![user_id]).await,
            Peer::User(_) => Err(no_group(peer)),
        }
    }

    async fn invite(
        &self,
        channel: &tl::types::InputChannel,
        users: Vec<tl::enums::InputUser>,
    ) -> Result<(), Failure> {
        let channel = channel.clone().into();
        let invited = self.have(&tl::functions::channels::InviteToChannel { channel, users }).await?;
        self.invited(invited).await
    }

    async fn invited(&self, invited: tl::enums::messages::InvitedUsers) -> Result<(), Failure> {
        let tl::enums::messages::InvitedUsers::Users(invited) = invited;
        self.meet_all(&invited.updates).await;
        match uninvited(&invited.missing_invitees) {
            None => Ok(()),
            Some(sentence) => Err(failure::refused("privacy_restricted", sentence)),
        }
    }

    async fn remove(&self, peer: &Peer, who: &Address) -> Result<(), Failure> {
        let user = self.user(who).await?;
        match peer {
            Peer::Group(chat_id) => {
                let request = tl::functions::messages::DeleteChatUser {
                    revoke_history: false,
                    chat_id: *chat_id,
                    user_id: user.input_user(),
                };
                let answer = self.have(&request).await?;
                self.meet_all(&answer).await;
            }
            Peer::Channel(channel) => {
                // Out, and then free to come back: as from a basic group.
                for view_messages in [true, false] {
                    let request = tl::functions::channels::EditBanned {
                        channel: channel.clone().into(),
                        participant: user.input_peer(),
                        banned_rights: tl::types::ChatBannedRights { view_messages, ..nothing_banned() }
                            .into(),
                    };
                    let answer = self.have(&request).await?;
                    self.meet_all(&answer).await;
                }
            }
            Peer::User(_) => return Err(no_group(peer)),
        }
        Ok(())
    }

    async fn promote(&self, peer: &Peer, who: &Address, is_admin: bool) -> Result<(), Failure> {
        let user_id = self.user(who).await?.input_user();
        match peer {
            Peer::Group(chat_id) => {
                let request = tl::functions::messages::EditChatAdmin { chat_id: *chat_id, user_id, is_admin };
                self.have(&request).await?;
            }
            Peer::Channel(channel) => {
                let request = tl::functions::channels::EditAdmin {
                    channel: channel.clone().into(),
                    user_id,
                    admin_rights: admin(is_admin).into(),
                    rank: None,
                };
                let answer = self.have(&request).await?;
                self.meet_all(&answer).await;
            }
            Peer::User(_) => return Err(no_group(peer)),
        }
        Ok(())
    }

    async fn leave(&self, peer: &Peer) -> Result<(), Failure> {
        let answer = match peer {
            Peer::Group(chat_id) => {
                let user_id = tl::enums::InputUser::UserSelf;
                let request = tl::functions::messages::DeleteChatUser {
                    revoke_history: false,
                    chat_id: *chat_id,
                    user_id,
                };
                self.have(&request).await?
            }
            Peer::Channel(channel) => {
                self.have(&tl::functions::channels::LeaveChannel { channel: channel.clone().into() }).await?
            }
            Peer::User(_) => return Err(no_group(peer)),
        };
        self.meet_all(&answer).await;
        Ok(())
    }
}

/// Who was not added, as a sentence.
fn uninvited(missing: &[tl::enums::MissingInvitee]) -> Option<String> {
    let ids: Vec<String> = missing
        .iter()
        .map(|tl::enums::MissingInvitee::Invitee(missing)| missing.user_id.to_string())
        .collect();
    let do_not = if ids.len() == 1 { "does" } else { "do" };
    (!ids.is_empty()).then(|| {
        format!(
            "{} {do_not} not let the account add them to groups; send them the group's link",
            ids.join(", ")
        )
    })
}

fn no_group(peer: &Peer) -> Failure {
    failure::refused("bad_request", format!("{} is no group", peer.id()))
}

/// The group that an answer tells of.
fn made(answer: &tl::enums::Updates) -> Option<ChatId> {
    let chats = match answer {
        tl::enums::Updates::Updates(full) => &full.chats,
        tl::enums::Updates::Combined(full) => &full.chats,
        _ => return None,
    };
    let of_chat = chats.iter().find_map(|chat| match chat {
        tl::enums::Chat::Chat(chat) => Some(ChatId::of_group(chat.id)),
        tl::enums::Chat::Channel(channel) => Some(ChatId::of_channel(channel.id)),
        _ => None,
    });
    of_chat.or_else(|| {
        request::updates(answer).iter().find_map(|update| match update {
            tl::enums::Update::Channel(update) => Some(ChatId::of_channel(update.channel_id)),
            _ => None,
        })
    })
}

fn nothing_banned() -> tl::types::ChatBannedRights {
    tl::types::ChatBannedRights {
        view_messages: false,
        send_messages: false,
        send_media: false,
        send_stickers: false,
        send_gifs: false,
        send_games: false,
        send_inline: false,
        embed_links: false,
        send_polls: false,
        change_info: false,
        invite_users: false,
        pin_messages: false,
        manage_topics: false,
        send_photos: false,
        send_videos: false,
        send_roundvideos: false,
        send_audios: false,
        send_voices: false,
        send_docs: false,
        send_plain: false,
        edit_rank: false,
        send_reactions: false,
        manage_linked_peers: false,
        until_date: 0,
    }
}

/// What members may not do after a change; what it does not name stays as it is.
fn changed(bans: tl::types::ChatBannedRights, change: &RightsChange) -> tl::types::ChatBannedRights {
    let mut bans = bans;
    let tl::types::ChatBannedRights {
        send_messages,
        send_media,
        send_stickers,
        send_gifs,
        send_games,
        send_inline,
        embed_links,
        send_polls,
        change_info,
        invite_users,
        pin_messages,
        send_photos,
        send_videos,
        send_roundvideos,
        send_audios,
        send_voices,
        send_docs,
        send_plain,
        ..
    } = &mut bans;
    let media = [send_media, send_photos, send_videos, send_roundvideos, send_audios, send_voices, send_docs];
    set(change.send_messages, [send_messages, send_plain]);
    set(change.send_media, media);
    set(change.send_polls, [send_polls]);
    set(change.send_other, [send_stickers, send_gifs, send_games, send_inline]);
    set(change.add_web_page_previews, [embed_links]);
    set(change.edit_settings, [change_info]);
    set(change.add_members, [invite_users]);
    set(change.pin_messages, [pin_messages]);
    bans
}

fn set<'a>(is_allowed: Option<bool>, bans: impl IntoIterator<Item = &'a mut bool>) {
    let Some(is_allowed) = is_allowed else { return };
    for ban in bans {
        *ban = !is_allowed;
    }
}

/// What members may do, of what they may not.
pub(super) fn permitted(banned: Option<&tl::enums::ChatBannedRights>) -> GroupRights {
    let nothing = nothing_banned();
    let banned = match banned {
        Some(tl::enums::ChatBannedRights::Rights(banned)) => banned,
        None => &nothing,
    };
    let may_write = !banned.send_messages;
    GroupRights {
        send_messages: may_write && !banned.send_plain,
        send_media: may_write && !banned.send_media && !banned.send_docs,
        send_polls: may_write && !banned.send_polls,
        send_other: may_write && !banned.send_stickers,
        add_web_page_previews: may_write && !banned.embed_links,
        edit_settings: !banned.change_info,
        add_members: !banned.invite_users,
        pin_messages: !banned.pin_messages,
    }
}

/// What an administrator may do, or, with nothing, a member like all others.
fn admin(is_admin: bool) -> tl::types::ChatAdminRights {
    tl::types::ChatAdminRights {
        change_info: is_admin,
        post_messages: false,
        edit_messages: false,
        delete_messages: is_admin,
        ban_users: is_admin,
        invite_users: is_admin,
        pin_messages: is_admin,
        add_admins: false,
        anonymous: false,
        manage_call: is_admin,
        other: is_admin,
        manage_topics: false,
        post_stories: false,
        edit_stories: false,
        delete_stories: false,
        manage_direct_messages: false,
        manage_ranks: false,
        manage_linked_peers: false,
        manage_welcome_messages: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_members_may_do_is_what_is_not_banned() {
        let all = GroupRights {
            send_messages: true,
            send_media: true,
            send_polls: true,
            send_other: true,
            add_web_page_previews: true,
            edit_settings: true,
            add_members: true,
            pin_messages: true,
        };
        assert_eq!(permitted(None), all);
        let off = Some(false);
        for (change, rights) in [
            (RightsChange::default(), all),
            (
                RightsChange { send_media: off, ..Default::default() },
                GroupRights { send_media: false, ..all },
            ),
            (
                RightsChange { send_polls: off, pin_messages: off, ..Default::default() },
                GroupRights { send_polls: false, pin_messages: false, ..all },
            ),
            (
                RightsChange { edit_settings: off, add_members: off, ..Default::default() },
                GroupRights { edit_settings: false, add_members: false, ..all },
            ),
        ] {
            assert_eq!(permitted(Some(&changed(nothing_banned(), &change).into())), rights);
        }
    }

    #[test]
    fn what_a_change_does_not_name_stays_as_it_is() {
        let bans = tl::types::ChatBannedRights {
            send_photos: true,
            send_gifs: true,
            send_reactions: true,
            manage_topics: true,
            ..nothing_banned()
        };
        let change = RightsChange { pin_messages: Some(false), ..Default::default() };
        let wanted = tl::types::ChatBannedRights { pin_messages: true, ..bans.clone() };
        assert_eq!(changed(bans.clone(), &change), wanted);
        let change = RightsChange { send_media: Some(true), ..Default::default() };
        let wanted = tl::types::ChatBannedRights { send_photos: false, ..bans.clone() };
        assert_eq!(changed(bans, &change), wanted);
    }
}
