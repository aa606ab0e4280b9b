//! A group with its members.

use tgtrunk_messages::{ChatId, Failure, Group, GroupMember};
use tgtrunk_telegram::tl;

use super::groups::permitted;
use super::peer::{Peer, id_of};
use super::{Correspondent, failure};

/// Most members in one answer, and most that are asked for.
const PAGE: i32 = 200;
const MOST: usize = 10_000;

/// What the two kinds of groups tell of themselves.
struct Told {
    about: String,
    link: String,
    members: Vec<Member>,
    /// Whether the account may see who is in it.
    is_open: bool,
}

struct Member {
    id: ChatId,
    is_admin: bool,
    is_owner: bool,
}

impl Correspondent {
    pub(super) async fn whole_group(&self, chat: ChatId) -> Result<Group, Failure> {
        let peer = self.moved(self.chat_peer(chat).await?);
        let answer = match &peer {
            Peer::Group(chat_id) => {
                self.ask(&tl::functions::messages::GetFullChat { chat_id: *chat_id }).await?
            }
            Peer::Channel(channel) => {
                let channel = channel.clone().into();
                self.ask(&tl::functions::channels::GetFullChannel { channel }).await?
            }
            Peer::User(_) => return Err(failure::refused("bad_request", format!("{chat} is no group"))),
        };
        let tl::enums::messages::ChatFull::Full(answer) = answer;
        self.meet(&answer.users, &answer.chats).await;
        if matches!(peer, Peer::Group(_)) && self.moved(peer.clone()) != peer {
            return Box::pin(self.whole_group(chat)).await;
        }
        let chat = peer.id();
        let mut told = told(answer.full_chat);
        // Only its administrators see who reads a channel.
        if let Peer::Channel(channel) = &peer
            && told.is_open
        {
            // Members of a large group may be hidden.
            told.members = match self.members(channel).await {
                Err(Failure::Refused { .. }) => Vec::new(),
                members => members?,
            };
        }
        let (created_s, rights) = answer
            .chats
            .iter()
            .find_map(|found| match found {
                tl::enums::Chat::Chat(found) if ChatId::of_group(found.id) == chat => {
                    Some((found.date, permitted(found.default_banned_rights.as_ref())))
                }
                tl::enums::Chat::Channel(found) if ChatId::of_channel(found.id) == chat => {
                    Some((found.date, permitted(found.default_banned_rights.as_ref())))
                }
                _ => None,
            })
            .unwrap_or((0, permitted(None)));
        if told.link.is_empty() {
            // Only administrators have one.
            told.link = self.invite_link(&peer).await.unwrap_or_default();
        }
        let members = told.members.iter().map(|member| GroupMember {
            person: self.person_card(member.id),
            is_admin: member.is_admin,
            is_owner: member.is_owner,
        });
        Ok(Group {
            chat: self.chat_card(chat),
            about: told.about,
            owner: told.members.iter().find(|member| member.is_owner).map(|member| member.id),
            created_s: created_s.into(),
            invite_link: told.link,
            rights,
            members: members.collect(),
        })
    }

    async fn members(&self, channel: &tl::types::InputChannel) -> Result<Vec<Member>, Failure> {
        let mut found = Vec::new();
        while found.len() < MOST {
            let request = tl::functions::channels::GetParticipants {
                channel: channel.clone().into(),
                filter: tl::enums::ChannelParticipantsFilter::ChannelParticipantsRecent,
                offset: i32::try_from(found.len()).unwrap_or(i32::MAX),
                limit: PAGE,
                hash: 0,
            };
            let page = match self.ask(&request).await? {
                tl::enums::channels::ChannelParticipants::Participants(page) => page,
                tl::enums::channels::ChannelParticipants::NotModified => break,
            };
            self.meet(&page.users, &page.chats).await;
            let before = found.len();
            found.extend(page.participants.iter().filter_map(of_channel));
            if found.len() == before || found.len() >= usize::try_from(page.count).unwrap_or(0) {
                break;
            }
        }
        Ok(found)
    }
}

fn told(full: tl::enums::ChatFull) -> Told {
    let link = |invite: Option<tl::enums::ExportedChatInvite>| match invite {
        Some(tl::enums::ExportedChatInvite::ChatInviteExported(invite)) => invite.link,
        _ => String::new(),
    };
    match full {
        tl::enums::ChatFull::Full(full) => {
            let members = match full.participants {
                tl::enums::ChatParticipants::Participants(all) => {
                    all.participants.iter().map(of_group).collect()
                }
                tl::enums::ChatParticipants::Forbidden(_) => Vec::new(),
            };
            Told { about: full.about, link: link(full.exported_invite), members, is_open: true }
        }
        tl::enums::ChatFull::ChannelFull(full) => {
            let is_open = full.can_view_participants;
            Told { about: full.about, link: link(full.exported_invite), members: Vec::new(), is_open }
        }
        other => Told { about: other.about(), link: String::new(), members: Vec::new(), is_open: false },
    }
}

fn of_group(member: &tl::enums::ChatParticipant) -> Member {
    let (is_admin, is_owner) = match member {
        tl::enums::ChatParticipant::Participant(_) => (false, false),
        tl::enums::ChatParticipant::Admin(_) => (true, false),
        tl::enums::ChatParticipant::Creator(_) => (true, true),
    };
    Member { id: ChatId::of_user(member.user_id()), is_admin, is_owner }
}

fn of_channel(member: &tl::enums::ChannelParticipant) -> Option<Member> {
    use tl::enums::ChannelParticipant as Participant;
    let (id, is_admin, is_owner) = match member {
        Participant::Participant(member) => (ChatId::of_user(member.user_id), false, false),
        Participant::ParticipantSelf(member) => (ChatId::of_user(member.user_id), false, false),
        Participant::Creator(member) => (ChatId::of_user(member.user_id), true, true),
        Participant::Admin(member) => (ChatId::of_user(member.user_id), true, false),
        // Some may read and not write, and are members all the same.
        Participant::Banned(member) if !member.left => (id_of(&member.peer), false, false),
        Participant::Banned(_) | Participant::Left(_) => return None,
    };
    Some(Member { id, is_admin, is_owner })
}
