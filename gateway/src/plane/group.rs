//! Sockets that calls of a thread share, and which call a datagram is for.
//!
//! A source belongs to the first call whose peer was heard there, by a check or an answer that the call itself took for
//! genuine. What names another call from there is given to nobody: that call needs a socket of its own beside. So nothing
//! that one call's peer sends gets to another call, and nothing but two look-ups is done for a stranger. What servers answer is
//! for whoever asked them, wherever peers are.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use nix::sys::socket::{setsockopt, sockopt};
use slab::Slab;
use tgcall::{Addressee, Question, TransactionId};

use super::flood::{Tide, Turn};
use super::outbox::Outbox;
use super::{Hears, Listener};
use crate::clock;
use crate::net::{MediaSocket, widen};

/// Calls on one socket: what a flood or another address of a router's costs at most, and what its buffer is shared by.
const MOST: usize = 128;
/// A former callee knows the port: it closes with the last of the calls that came within this time.
const OPEN_FOR: Duration = Duration::from_secs(600);
/// Room for what leaves, of which the system may give less: each call may have an answer to send in one turn.
const SEND_BUFFER: usize = 1 << 20;
/// How often a call is told of a clash.
const CLASH_PACE: Duration = Duration::from_secs(1);
/// Questions of a call whose answers are known for its own; the oldest is forgotten first, and each after so long. An answer
/// ends none: only the call can tell a genuine one.
const QUESTIONS: usize = 64;
const ANSWER_LIMIT: Duration = Duration::from_secs(5);

/// The shared sockets of one thread.
#[derive(Default)]
pub(super) struct Groups(Slab<Group>);

/// A socket, and the calls on it.
pub(super) struct Group {
    pub(super) socket: Rc<MediaSocket>,
    dscp: u8,
    opened: Instant,
    tide: Tide,
    members: Slab<Member>,
    /// Whose peer each source is.
    sources: HashMap<SocketAddr, usize>,
    /// Whose ufrag each is.
    names: HashMap<Vec<u8>, usize>,
    /// Who asked each question, and the server that was asked, if it was one.
    questions: HashMap<TransactionId, (usize, Option<SocketAddr>)>,
    /// What waits for the end of a turn.
    outbox: Outbox,
}

#[derive(Default)]
struct Member {
    listener: Option<Listener>,
    name: Vec<u8>,
    sources: Vec<SocketAddr>,
    questions: VecDeque<(Instant, TransactionId)>,
    told_of_clash: Option<Instant>,
    turn: Turn,
}

/// Whom a datagram is for.
pub(super) enum Found {
    Call(Arc<Mutex<dyn Hears>>),
    /// Nobody, since another call's peer is where it came from; this is the call that it names, told of it once in a while.
    Clash(Arc<Mutex<dyn Hears>>),
    /// Nobody, or somebody who was given enough.
    Stray,
}

impl Groups {
    pub(super) fn get(&self, group: usize) -> Option<&Group> {
        self.0.get(group)
    }

    pub(super) fn get_mut(&mut self, group: usize) -> Option<&mut Group> {
        self.0.get_mut(group)
    }

    /// A place at an address: the group's number, whether it is a new one, and the place's number in it.
    ///
    /// # Errors
    /// When the address is not this machine's.
    pub(super) fn join(&mut self, now: Instant, ip: IpAddr, dscp: u8) -> io::Result<(usize, bool, usize)> {
        let group = self.0.iter().find(|(_, group)| group.takes(now, ip, dscp)).map(|(number, _)| number);
        let number = match group {
            Some(number) => number,
            None => self.0.insert(Group::open(now, ip, dscp)?),
        };
        let member = self.0.get_mut(number).map(|group| group.members.insert(Member::default()));
        Ok((number, group.is_none(), member.unwrap_or_default()))
    }

    /// A call is gone, and nothing is for it any more. The socket is closed after the last.
    pub(super) fn leave(&mut self, number: usize, member: usize) {
        let Some(group) = self.0.get_mut(number) else { return };
        group.leave(member);
        if group.members.is_empty() {
            // The last word of the last call.
            group.flush();
            self.0.remove(number);
        }
    }
}

impl Group {
    fn open(now: Instant, ip: IpAddr, dscp: u8) -> io::Result<Self> {
        let socket = MediaSocket::bind(SocketAddr::new(ip, 0), dscp)?;
        widen(&socket);
        if let Err(error) = setsockopt(&socket, sockopt::SndBuf, &SEND_BUFFER) {
            tracing::debug!(%error, "the socket keeps the room that it has for what leaves");
        }
        Ok(Self {
            socket: Rc::new(socket),
            dscp,
            opened: now,
            tide: Tide::default(),
            members: Slab::with_capacity(MOST),
            sources: HashMap::with_capacity(2 * MOST),
            names: HashMap::with_capacity(MOST),
            questions: HashMap::with_capacity(2 * MOST),
            outbox: Outbox::new(),
        })
    }

    /// Whether another call may come.
    fn takes(&self, now: Instant, ip: IpAddr, dscp: u8) -> bool {
        let is_alike = self.socket.local().ip() == ip && self.dscp == dscp;
        is_alike && self.members.len() < MOST && now < self.opened + OPEN_FOR && !self.tide.is_high(now)
    }

    /// Takes note of what came in a turn.
    pub(super) fn count(&mut self, now: Instant, came: usize, strays: usize) {
        self.tide.count(now, came, strays);
    }

    /// Whom a datagram of this turn is for.
    pub(super) fn find(&mut self, turn: u32, source: SocketAddr, datagram: &[u8]) -> Found {
        let owner = self.sources.get(&source).copied();
        let addressee = Addressee::of(datagram);
        let (member, is_stun, is_of_server) = match addressee {
            Some(Addressee::Peer) => (owner, false, false),
            Some(Addressee::Named(name)) => (self.names.get(name).copied(), true, false),
            Some(Addressee::Asker(question)) => match self.questions.get(&question) {
                Some((_, Some(server))) if *server != source => (None, true, true),
                Some((member, server)) => (Some(*member), true, server.is_some()),
                None => (None, true, false),
            },
            None => (None, true, false),
        };
        let Some((number, known)) = member.and_then(|member| Some((member, self.members.get_mut(member)?)))
        else {
            return Found::Stray;
        };
        let is_clash = !is_of_server && owner.is_some_and(|owner| owner != number);
        if is_clash {
            let now = clock::now();
            if known.told_of_clash.is_some_and(|told| now < told + CLASH_PACE) {
                return Found::Stray;
            }
            known.told_of_clash = Some(now);
        } else if !known.turn.takes(turn, is_stun) {
            return Found::Stray;
        }
        let Some(call) = known.listener.as_ref().and_then(Listener::upgrade) else { return Found::Stray };
        if is_clash {
            return Found::Clash(call);
        }
        Found::Call(call)
    }

    /// Has checks that name `name` go to a member; not where another one is called so.
    pub(super) fn name(&mut self, member: usize, name: &str) -> bool {
        let Some(known) = self.members.get_mut(member) else { return false };
        let owner = *self.names.entry(name.into()).or_insert(member);
        if owner == member {
            known.name = name.into();
        }
        owner == member
    }

    pub(super) fn listen(&mut self, member: usize, listener: &Listener) {
        if let Some(member) = self.members.get_mut(member) {
            member.listener.get_or_insert_with(|| listener.clone());
        }
    }

    /// A member's peer is at these sources and at no others; whether none of them is another's.
    pub(super) fn own(&mut self, member: usize, sources: &[SocketAddr]) -> bool {
        let Some(known) = self.members.get_mut(member) else { return false };
        let mut is_alone = true;
        known.sources.retain(|source| {
            let stays = sources.contains(source);
            if !stays {
                self.sources.remove(source);
            }
            stays
        });
        for source in sources {
            match self.sources.entry(*source) {
                Entry::Vacant(place) => {
                    place.insert(member);
                    known.sources.push(*source);
                }
                Entry::Occupied(owner) => is_alone &= *owner.get() == member,
            }
        }
        is_alone
    }

    /// Answers to a question that a member sends to `remote` are for it.
    pub(super) fn asks(&mut self, now: Instant, member: usize, question: Question, remote: SocketAddr) {
        let Question { id, is_check } = question;
        let Some(known) = self.members.get_mut(member) else { return };
        let mut forgotten = known.questions.len().saturating_sub(QUESTIONS - 1);
        while let Some((_, oldest)) =
            known.questions.pop_front_if(|(asked, _)| forgotten > 0 || now > *asked + ANSWER_LIMIT)
        {
            forgotten = forgotten.saturating_sub(1);
            self.questions.remove(&oldest);
        }
        if self.questions.len() < self.questions.capacity() / 8 {
            self.questions.shrink_to(2 * MOST);
        }
        // A repetition counts anew.
        let server = (!is_check).then_some(remote);
        if self.questions.insert(id, (member, server)).is_some() {
            known.questions.retain(|(_, known)| *known != id);
        }
        known.questions.push_back((now, id));
    }

    /// Has a datagram of a member wait for the end of the turn; whether it is the first that does.
    pub(super) fn put(&mut self, datagram: &[u8], remote: SocketAddr) -> bool {
        let is_first = self.outbox.is_empty();
        self.outbox.push(&self.socket, datagram, remote);
        is_first
    }

    /// Sends what waits.
    pub(super) fn flush(&mut self) {
        self.outbox.flush(&self.socket);
    }

    fn leave(&mut self, member: usize) {
        let Some(gone) = self.members.try_remove(member) else { return };
        self.names.remove(&gone.name);
        for source in &gone.sources {
            self.sources.remove(source);
        }
        for (_, question) in &gone.questions {
            self.questions.remove(question);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Desk;
    use super::*;
    use crate::clock;

    struct Nobody;

    impl Hears for Nobody {
        fn hear(&mut self, _: usize, _: usize, _: &mut Desk) {}

        fn hear_shared(&mut self, _: SocketAddr, _: SocketAddr, _: &mut [u8], _: &mut Desk) {}

        fn clash(&mut self, _: SocketAddr, _: &mut Desk) {}

        fn broke(&mut self) {}
    }

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    /// A group of members called "name0", "name1" and so on.
    struct Room {
        group: Group,
        calls: Vec<Arc<Mutex<dyn Hears>>>,
        turn: u32,
    }

    impl Room {
        fn new(members: usize) -> Self {
            let mut room =
                Self { group: Group::open(clock::now(), HERE, 0).unwrap(), calls: Vec::new(), turn: 0 };
            for _ in 0..members {
                room.join();
            }
            room
        }

        fn join(&mut self) -> usize {
            let member = self.group.members.insert(Member::default());
            let call: Arc<Mutex<dyn Hears>> = Arc::new(Mutex::new(Nobody));
            assert!(self.group.name(member, &format!("name{member}")));
            self.group.listen(member, &Arc::downgrade(&call));
            self.calls.insert(member, call);
            member
        }

        fn asks(&mut self, member: usize, id: usize, name: Option<&str>, remote: SocketAddr) {
            self.group.asks(clock::now(), member, tgcall::question(&stun(1, id, name)).unwrap(), remote);
        }

        /// Who is given a datagram, or who clashes.
        fn find(&mut self, source: SocketAddr, datagram: &[u8]) -> Result<Option<usize>, usize> {
            let calls = &self.calls;
            let number = |call: &Arc<Mutex<dyn Hears>>| {
                calls.iter().position(|known| Arc::ptr_eq(known, call)).unwrap()
            };
            self.turn += 1;
            match self.group.find(self.turn, source, datagram) {
                Found::Call(call) => Ok(Some(number(&call))),
                Found::Clash(call) => Err(number(&call)),
                Found::Stray => Ok(None),
            }
        }
    }

    fn source(number: usize) -> SocketAddr {
        SocketAddr::new([192, 0, 2, 1 + (number / 1000) as u8].into(), 5000 + (number % 1000) as u16)
    }

    fn stun(kind: u16, id: usize, name: Option<&str>) -> Vec<u8> {
        let mut bytes = [&kind.to_be_bytes()[..], &[0, 0, 0x21, 0x12, 0xa4, 0x42, 0, 0, 0, 0]].concat();
        bytes.extend_from_slice(&(id as u64).to_be_bytes());
        if let Some(name) = name {
            let name = format!("{name}:peer");
            bytes.extend_from_slice(&[0, 6, 0, name.len() as u8]);
            bytes.extend_from_slice(name.as_bytes());
        }
        bytes
    }

    const SOUND: [u8; 3] = [128, 111, 0];

    #[test]
    fn sound_goes_to_whose_peer_it_comes_from_checks_by_name_and_answers_to_who_asked() {
        let mut room = Room::new(3);
        assert!(room.group.own(0, &[source(0), source(10)]) && room.group.own(1, &[source(1)]));
        for (from, to) in [(0, Some(0)), (10, Some(0)), (1, Some(1)), (2, None)] {
            assert_eq!(room.find(source(from), &SOUND), Ok(to));
            assert_eq!(room.find(source(from), &[22, 254, 253]), Ok(to));
        }
        assert_eq!(room.find(source(2), &stun(1, 5, Some("name2"))), Ok(Some(2)));
        assert_eq!(room.find(source(1), &stun(1, 5, Some("name1"))), Ok(Some(1)));
        assert_eq!(room.find(source(2), &stun(1, 5, Some("name9"))), Ok(None));
        assert_eq!(room.find(source(1), &stun(1, 5, None)), Ok(None), "not even from a peer's address");
        room.asks(2, 5, Some("peer"), source(2));
        assert_eq!(room.find(source(2), &stun(0x101, 5, None)), Ok(Some(2)));
        assert_eq!(room.find(source(1), &stun(0x101, 6, None)), Ok(None));
        // Whoever saw a question and answers first takes nothing from the genuine answer.
        room.asks(2, 9, Some("peer"), source(2));
        assert_eq!(room.find(source(3), &stun(0x101, 9, None)), Ok(Some(2)));
        assert_eq!(room.find(source(2), &stun(0x101, 9, None)), Ok(Some(2)));
        // Where one call's peer is, no other call is heard.
        assert_eq!(room.find(source(0), &stun(1, 5, Some("name2"))), Err(2));
        assert_eq!(room.find(source(0), &stun(1, 5, Some("name2"))), Ok(None), "it was told a moment ago");
        room.asks(1, 7, Some("peer"), source(0));
        assert_eq!(room.find(source(0), &stun(0x111, 7, None)), Err(1));
        // A server answers whoever asked it, and nobody else does.
        room.asks(2, 8, None, source(0));
        assert_eq!(room.find(source(0), &stun(0x101, 8, None)), Ok(Some(2)));
        assert_eq!(room.find(source(2), &stun(0x101, 8, None)), Ok(None));
        assert!(!room.group.own(2, &[source(2), source(0)]));
        assert_eq!(room.find(source(0), &SOUND), Ok(Some(0)));
        assert_eq!(room.find(source(2), &SOUND), Ok(Some(2)));
        assert!(!room.group.name(2, "name0"));
        assert!(room.group.name(2, "name2"), "it is called so already");
    }

    #[test]
    fn whoever_is_gone_leaves_nothing_behind() {
        let mut room = Room::new(2);
        for member in 0..2 {
            room.group.own(member, &[source(member)]);
            room.asks(member, 3, None, source(9));
        }
        let ids =
            |room: &Room| [room.group.sources.len(), room.group.names.len(), room.group.questions.len()];
        assert_eq!(ids(&room), [2, 2, 1]);
        room.group.own(0, &[source(7)]);
        assert_eq!(room.find(source(0), &SOUND), Ok(None), "its peer is there no more");
        assert!(room.group.own(1, &[source(0)]));
        for _ in 0..3 * QUESTIONS {
            room.asks(1, usize::from_le_bytes(clock::random()), None, source(9));
        }
        assert!(room.group.questions.len() <= QUESTIONS + 1);
        room.group.leave(0);
        assert_eq!(room.find(source(7), &SOUND), Ok(None));
        assert_eq!(room.find(source(7), &stun(1, 5, Some("name0"))), Ok(None));
        room.group.leave(1);
        assert_eq!(ids(&room), [0, 0, 0]);
    }

    #[test]
    fn questions_are_forgotten_when_no_answer_comes_any_more_and_so_is_their_room() {
        let mut room = Room::new(MOST);
        let begin = clock::now();
        let ask = |room: &mut Room, now, member| {
            let id = usize::from_le_bytes(clock::random());
            let question = tgcall::question(&stun(1, id, Some("peer"))).unwrap();
            room.group.asks(now, member, question, source(9));
        };
        for at in 0..50 * MOST {
            ask(&mut room, begin, at % MOST);
        }
        assert_eq!(room.group.questions.len(), 50 * MOST);
        for member in 0..MOST {
            ask(&mut room, begin + ANSWER_LIMIT + Duration::from_millis(1), member);
        }
        assert_eq!(room.group.questions.len(), MOST);
        assert!(room.group.questions.capacity() < 8 * MOST, "{}", room.group.questions.capacity());
    }

    #[test]
    fn bytes_at_random_never_get_from_one_call_to_another() {
        const MEMBERS: usize = 20;
        let mut room = Room::new(MEMBERS);
        let mut owners = HashMap::new();
        let mut askers = HashMap::new();
        let below = |limit: usize| usize::from_le_bytes(clock::random()) % limit;
        for round in 0..20_000 {
            let (member, from) = (below(MEMBERS), source(below(60)));
            match round % 20 {
                0 => {
                    let is_free = owners.get(&from).is_none_or(|owner| *owner == member);
                    owners.retain(|_, owner| *owner != member);
                    if is_free {
                        owners.insert(from, member);
                    }
                    assert_eq!(room.group.own(member, &[from]), is_free);
                }
                1 => {
                    let id = below(100);
                    let server = (below(2) == 0).then_some(from);
                    room.asks(member, id, server.map_or(Some("peer"), |_| None), from);
                    askers.insert(id, (member, server));
                }
                _ => {
                    let id = below(100);
                    let datagram = match below(4) {
                        0 => stun(1, id, Some(&format!("name{}", below(MEMBERS + 2)))),
                        1 => stun(if below(2) == 0 { 0x101 } else { 0x111 }, id, None),
                        2 => clock::random::<24>().to_vec(),
                        _ => SOUND.to_vec(),
                    };
                    if let Ok(Some(to)) = room.find(from, &datagram) {
                        let owner = owners.get(&from);
                        let asked = datagram.starts_with(&[1]).then(|| askers.get(&id)).flatten();
                        let is_of_server = asked == Some(&(to, Some(from)));
                        assert!(is_of_server || owner.is_none_or(|owner| *owner == to), "{datagram:02x?}");
                        let is_named =
                            datagram.windows(8).any(|text| text.starts_with(format!("name{to}:").as_bytes()));
                        let is_asked = is_of_server || asked == Some(&(to, None));
                        assert!(owner == Some(&to) || is_named || is_asked, "{datagram:02x?}");
                    }
                }
            }
        }
        assert!(!owners.is_empty() && !askers.is_empty());
    }

    #[test]
    fn nobody_gets_more_than_their_share_of_a_turn() {
        let mut room = Room::new(2);
        room.group.own(0, &[source(0)]);
        room.group.own(1, &[source(1)]);
        let check = stun(1, 5, Some("name0"));
        let mut given = |turn, number, datagram: &[u8]| {
            let find = |_: &usize| matches!(room.group.find(turn, source(number), datagram), Found::Call(_));
            (0..1000).filter(find).count()
        };
        for turn in [1, 2, u32::MAX] {
            assert_eq!(given(turn, 0, &check), 16);
            assert_eq!(given(turn, 0, &SOUND), 64);
            assert_eq!(given(turn, 1, &SOUND), 64);
        }
    }

    #[test]
    fn a_socket_under_a_flood_is_given_to_no_further_call() {
        let mut groups = Groups::default();
        let now = clock::now();
        let join = |groups: &mut Groups, now| groups.join(now, HERE, 46).unwrap();
        join(&mut groups, now);
        groups.get_mut(0).unwrap().count(now, 10_000, 900);
        assert_eq!(join(&mut groups, now), (0, false, 1));
        groups.get_mut(0).unwrap().count(now, 2_000, 2_000);
        assert_eq!(join(&mut groups, now), (1, true, 0));
    }

    #[test]
    fn a_group_takes_so_many_calls_for_so_long() {
        let mut groups = Groups::default();
        let now = clock::now();
        let mut join = |now, ip, dscp| groups.join(now, ip, dscp).unwrap();
        for at in 0..MOST {
            assert_eq!(join(now, HERE, 46), (0, at == 0, at));
        }
        assert_eq!(join(now, HERE, 46), (1, true, 0));
        assert_eq!(join(now, HERE, 0), (2, true, 0), "packets are marked otherwise");
        assert_eq!(join(now + OPEN_FOR, HERE, 46), (3, true, 0));
        assert_eq!(join(now + OPEN_FOR, HERE, 46), (3, false, 1));
        groups.leave(3, 0);
        assert!(groups.get(3).is_some());
        groups.leave(3, 1);
        assert!(groups.get(3).is_none(), "the last one closes it");
        groups.leave(0, 5);
        assert_eq!(groups.join(now, HERE, 46).unwrap(), (0, false, 5));
    }
}
