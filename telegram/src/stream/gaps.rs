//! Messages that no difference brings any more, read from the chats page by page.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use grammers_tl_types as tl;
use tokio::time::Instant;
use tracing::warn;

use super::boxes::Company;
use crate::backoff::Backoff;

/// Messages or chats of one page; Telegram sends no more.
const PAGE: i32 = 100;
/// Messages of one chat that are read at most; older ones are not told.
const MOST: usize = 5_000;
/// Chats that are looked at, at most.
const DIALOGS: usize = 1_000;

/// How long a chat that cannot be read is left alone, at first and at most, and how often it is tried: a day.
const REST: Duration = Duration::from_secs(2);
const LONGEST_REST: Duration = Duration::from_secs(300);
const TRIES: u32 = 300;
/// Messages that cannot be read, one after the other, before a chat is given up.
const UNREADABLE: i32 = 20;

/// What is to be read, in turn.
#[derive(Debug, Default)]
pub(super) struct Gaps {
    waiting: VecDeque<Gap>,
}

/// What is to be read of one chat, or of all.
#[derive(Debug)]
pub(super) struct Gap {
    pub(super) what: Missed,
    /// How often it could not be read.
    tries: u32,
    pause: Backoff,
    not_before: Option<Instant>,
}

#[derive(Debug)]
pub(super) enum Missed {
    Chat(History),
    Everywhere(Dialogs),
}

/// A page that was read.
#[derive(Debug, Default)]
pub(super) struct Step {
    messages: Vec<tl::enums::Message>,
    dialogs: Vec<tl::types::Dialog>,
    /// Entries of the page, those that are no chats among them.
    entries: usize,
    /// Telegram says that there are no others.
    is_whole: bool,
    pub(super) company: Company,
}

/// The messages of one chat since a moment, from the newest on.
#[derive(Debug)]
pub(super) struct History {
    peer: tl::enums::InputPeer,
    since_s: i32,
    /// Page by page, each with those who came along.
    found: Vec<(Vec<tl::enums::Message>, Arc<Company>)>,
    /// Messages of the next page, and how many before it are left out.
    limit: i32,
    left_out: i32,
}

/// The chats that changed since a moment, from the one that did last on.
#[derive(Debug)]
pub(super) struct Dialogs {
    since_s: i32,
    /// The last message of the last page, and its chat.
    behind: Option<(i32, i32, tl::enums::InputPeer)>,
    seen: usize,
}

impl Gaps {
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Puts a chat behind all others, unless it waits already and nothing of it was read.
    pub(super) fn add_chat(&mut self, since_s: i32, peer: tl::enums::InputPeer) {
        let waits = self.waiting.iter_mut().find_map(|gap| match &mut gap.what {
            Missed::Chat(history) if history.peer == peer && history.found.is_empty() => Some(history),
            _ => None,
        });
        match waits {
            Some(history) => history.since_s = history.since_s.min(since_s),
            None => self.waiting.push_back(Gap::new(Missed::Chat(History::since(since_s, peer)))),
        }
    }

    pub(super) fn add_everywhere(&mut self, since_s: i32) {
        let waits = self.waiting.iter_mut().find_map(|gap| match &mut gap.what {
            Missed::Everywhere(dialogs) if dialogs.behind.is_none() => Some(dialogs),
            _ => None,
        });
        if let Some(dialogs) = waits {
            dialogs.since_s = dialogs.since_s.min(since_s);
            return;
        }
        self.waiting.push_back(Gap::new(Missed::Everywhere(Dialogs::since(since_s))));
    }

    /// The first whose turn it is.
    pub(super) fn due(&self, now: Instant) -> Option<&Gap> {
        self.waiting.get(self.place_due(now)?)
    }

    /// When the turn comes of the first one that was put off.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.waiting.iter().filter_map(|gap| gap.not_before).min()
    }

    /// Takes out the one that `due` showed.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<Gap> {
        self.waiting.remove(self.place_due(now)?)
    }

    /// Goes on with one that was taken out and read in part, before others.
    pub(super) fn go_on(&mut self, what: Missed) {
        self.waiting.push_front(Gap::new(what));
    }

    /// One that was taken out and could not be read now gets its turn later; given back where it was tried too
    /// often.
    pub(super) fn put_off(&mut self, mut gap: Gap, now: Instant) -> ControlFlow<Missed, Duration> {
        gap.tries += 1;
        if gap.tries >= TRIES {
            return ControlFlow::Break(gap.what);
        }
        let pause = gap.pause.pause();
        gap.not_before = Some(now + pause);
        self.waiting.push_back(gap);
        ControlFlow::Continue(pause)
    }

    fn place_due(&self, now: Instant) -> Option<usize> {
        self.waiting.iter().position(|gap| gap.not_before.is_none_or(|from| from <= now))
    }
}

impl Gap {
    fn new(what: Missed) -> Self {
        Self { what, tries: 0, pause: Backoff::new(REST, LONGEST_REST), not_before: None }
    }
}

impl Step {
    pub(super) fn of_chat(page: tl::enums::messages::Messages) -> Self {
        let (messages, users, chats) = match page {
            tl::enums::messages::Messages::Messages(page) => (page.messages, page.users, page.chats),
            tl::enums::messages::Messages::Slice(page) => (page.messages, page.users, page.chats),
            tl::enums::messages::Messages::ChannelMessages(page) => (page.messages, page.users, page.chats),
            tl::enums::messages::Messages::NotModified(_) => return Self::default(),
        };
        let company = Company { users: users.into(), chats: chats.into() };
        Self { entries: messages.len(), messages, dialogs: Vec::new(), company, is_whole: false }
    }

    pub(super) fn of_dialogs(page: tl::enums::messages::Dialogs) -> Self {
        let is_whole = matches!(page, tl::enums::messages::Dialogs::Dialogs(_));
        let (dialogs, messages, users, chats) = match page {
            tl::enums::messages::Dialogs::Dialogs(page) => {
                (page.dialogs, page.messages, page.users, page.chats)
            }
            tl::enums::messages::Dialogs::Slice(page) => {
                (page.dialogs, page.messages, page.users, page.chats)
            }
            tl::enums::messages::Dialogs::NotModified(_) => return Self::default(),
        };
        let entries = dialogs.len();
        let of_chats = dialogs.into_iter().filter_map(|dialog| match dialog {
            tl::enums::Dialog::Dialog(dialog) => Some(dialog),
            _ => None,
        });
        let company = Company { users: users.into(), chats: chats.into() };
        Self { messages, dialogs: of_chats.collect(), entries, company, is_whole }
    }
}

impl History {
    pub(super) fn since(since_s: i32, peer: tl::enums::InputPeer) -> Self {
        Self { peer, since_s, found: Vec::new(), limit: PAGE, left_out: 0 }
    }

    pub(super) fn request(&self) -> tl::functions::messages::GetHistory {
        tl::functions::messages::GetHistory {
            peer: self.peer.clone(),
            offset_id: self.found.last().and_then(|(page, _)| page.last()).map_or(0, tl::enums::Message::id),
            offset_date: 0,
            add_offset: self.left_out,
            limit: self.limit,
            max_id: 0,
            min_id: 0,
            hash: 0,
        }
    }

    /// Has a page that cannot be read come in parts, and a message of that kind left out; false when there are too many.
    pub(super) fn narrows(&mut self) -> bool {
        if self.limit > 1 {
            self.limit /= 2;
        } else {
            self.left_out += 1;
        }
        self.left_out <= UNREADABLE
    }

    /// Takes a page in; false when there is nothing more to read.
    pub(super) fn takes(&mut self, step: Step) -> bool {
        let lasts = |message: &tl::enums::Message| date_of(message).is_none_or(|date| date >= self.since_s);
        let new: Vec<_> = step.messages.into_iter().take_while(lasts).collect();
        let goes_on = new.len() == step.entries && step.entries > 0;
        if self.left_out > 0 {
            warn!(messages = self.left_out, "messages of a chat cannot be read: they are not told");
            self.left_out = 0;
        }
        self.limit = (self.limit * 2).min(PAGE);
        if !new.is_empty() {
            self.found.push((new, Arc::new(step.company)));
        }
        let told: usize = self.found.iter().map(|(page, _)| page.len()).sum();
        if goes_on && told >= MOST {
            warn!(told, "too much was missed in a chat: what is older is not told");
            return false;
        }
        goes_on
    }

    /// What was found, the oldest first.
    pub(super) fn updates(self) -> impl Iterator<Item = (tl::enums::Update, Arc<Company>)> {
        let is_channel = matches!(self.peer, tl::enums::InputPeer::Channel(_));
        let one_by_one = |(page, company): (Vec<tl::enums::Message>, Arc<Company>)| {
            page.into_iter().rev().map(move |message| (message, Arc::clone(&company)))
        };
        let told = self.found.into_iter().rev().flat_map(one_by_one);
        told.filter(|(message, _)| date_of(message).is_some()).map(move |(message, company)| {
            // They are outside of the order that is counted.
            let (pts, pts_count) = (0, 0);
            let update = if is_channel {
                tl::types::UpdateNewChannelMessage { message, pts, pts_count }.into()
            } else {
                tl::types::UpdateNewMessage { message, pts, pts_count }.into()
            };
            (update, company)
        })
    }
}

impl Dialogs {
    pub(super) fn since(since_s: i32) -> Self {
        Self { since_s, behind: None, seen: 0 }
    }

    pub(super) fn since_s(&self) -> i32 {
        self.since_s
    }

    pub(super) fn request(&self) -> tl::functions::messages::GetDialogs {
        let (offset_date, offset_id, offset_peer) =
            self.behind.clone().unwrap_or((0, 0, tl::enums::InputPeer::Empty));
        tl::functions::messages::GetDialogs {
            exclude_pinned: false,
            folder_id: None,
            offset_date,
            offset_id,
            offset_peer,
            limit: PAGE,
            hash: 0,
        }
    }

    /// Takes a page in: the chats in which something happened, and whether there may be more.
    pub(super) fn takes(&mut self, step: &Step) -> (Vec<tl::types::Dialog>, bool) {
        let mut changed = Vec::new();
        let mut last = None;
        for dialog in &step.dialogs {
            let is_top = |message: &&tl::enums::Message| {
                message.id() == dialog.top_message && peer_in(message) == Some(&dialog.peer)
            };
            let date = step.messages.iter().find(is_top).and_then(date_of);
            if date.is_none_or(|date| date >= self.since_s) {
                changed.push(dialog.clone());
            }
            // Pinned ones stand first, whenever something happened in them.
            if let Some(date) = date
                && !dialog.pinned
                && let Some(peer) = peer_of(&dialog.peer, &step.company)
            {
                last = Some((date, dialog.top_message, peer));
            }
        }
        self.seen += step.entries;
        let Some(last) = last.filter(|(date, _, _)| !step.is_whole && *date >= self.since_s) else {
            return (changed, false);
        };
        if self.seen >= DIALOGS {
            warn!(chats = self.seen, "too much was missed: what happened in other chats is not told");
            return (changed, false);
        }
        self.behind = Some(last);
        (changed, true)
    }
}

/// A chat as requests name it, by what came along with it.
pub(super) fn peer_of(peer: &tl::enums::Peer, company: &Company) -> Option<tl::enums::InputPeer> {
    Some(match peer {
        tl::enums::Peer::User(peer) => {
            let user = company.users.iter().find_map(|user| match user {
                tl::enums::User::User(user) if user.id == peer.user_id => Some(user),
                _ => None,
            })?;
            let access_hash = user.access_hash.filter(|_| !user.min)?;
            tl::types::InputPeerUser { user_id: user.id, access_hash }.into()
        }
        tl::enums::Peer::Chat(peer) => tl::types::InputPeerChat { chat_id: peer.chat_id }.into(),
        tl::enums::Peer::Channel(peer) => {
            let channel = company.chats.iter().find_map(|chat| match chat {
                tl::enums::Chat::Channel(channel) if channel.id == peer.channel_id => Some(channel),
                _ => None,
            })?;
            let access_hash = channel.access_hash.filter(|_| !channel.min)?;
            tl::types::InputPeerChannel { channel_id: channel.id, access_hash }.into()
        }
    })
}

pub(super) fn peer_in(message: &tl::enums::Message) -> Option<&tl::enums::Peer> {
    match message {
        tl::enums::Message::Message(message) => Some(&message.peer_id),
        tl::enums::Message::Service(message) => Some(&message.peer_id),
        tl::enums::Message::Empty(message) => message.peer_id.as_ref(),
    }
}

/// When a message was written, Unix time; none of one that is gone.
fn date_of(message: &tl::enums::Message) -> Option<i32> {
    match message {
        tl::enums::Message::Message(message) => Some(message.date),
        tl::enums::Message::Service(message) => Some(message.date),
        tl::enums::Message::Empty(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_that_cannot_be_read_comes_in_parts_and_goes_on_behind_what_is_unreadable() {
        let mut history = History::since(0, tl::enums::InputPeer::PeerSelf);
        let asked = |history: &History| (history.request().limit, history.request().add_offset);
        let mut limits = Vec::new();
        while asked(&history).1 == 0 {
            limits.push(asked(&history).0);
            assert!(history.narrows());
        }
        assert_eq!(limits, [100, 50, 25, 12, 6, 3, 1]);
        assert_eq!(asked(&history), (1, 1));
        assert!(!history.takes(Step::default()), "there is nothing behind it");
        assert_eq!(asked(&history), (2, 0), "and more again");
    }

    #[test]
    fn a_chat_of_which_nothing_can_be_read_is_given_up() {
        let mut history = History::since(0, tl::enums::InputPeer::PeerSelf);
        let tries = (0..100).take_while(|_| history.narrows()).count();
        assert_eq!(tries, 26);
    }

    #[test]
    fn one_that_is_put_off_lets_others_pass_and_is_given_up_in_the_end() {
        let now = Instant::now();
        let mut gaps = Gaps::default();
        gaps.add_everywhere(20);
        gaps.add_everywhere(10);
        gaps.add_chat(30, tl::enums::InputPeer::PeerSelf);
        let Some(everywhere) = gaps.take_due(now) else { panic!("nothing is due") };
        assert!(matches!(&everywhere.what, Missed::Everywhere(dialogs) if dialogs.since_s() == 10));
        assert!(matches!(gaps.put_off(everywhere, now), ControlFlow::Continue(_)));
        assert!(matches!(gaps.take_due(now).unwrap().what, Missed::Chat(_)));
        assert!(gaps.due(now).is_none() && gaps.next_due().is_some_and(|due| due > now));
        let mut now = now;
        for _ in 2..TRIES {
            now += LONGEST_REST;
            let gap = gaps.take_due(now).unwrap();
            assert!(matches!(gaps.put_off(gap, now), ControlFlow::Continue(_)));
        }
        now += LONGEST_REST;
        let gap = gaps.take_due(now).unwrap();
        assert!(matches!(gaps.put_off(gap, now), ControlFlow::Break(Missed::Everywhere(_))));
    }
}
