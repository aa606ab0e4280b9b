//! Conversations with a data centre that judges numbers as Telegram does, in a time that passes at a word.

use grammers_tl_types as tl;

use super::super::packet::telegram;
use super::*;

const KEY: [u8; 256] = [9; 256];
const SESSION: i64 = 0x5eed;
const SALT: i64 = 77;
const NOON: Duration = Duration::from_secs(1_700_000_000);
const SECOND: Duration = Duration::from_secs(1);
const HOUR: i64 = 3_600;

/// A data centre whose clock is so many seconds off ours, and the conversation with it.
struct Scene {
    conversation: Conversation<u32>,
    start: Instant,
    now: Instant,
    off_s: i64,
    /// What it takes every message for.
    refusal: Option<i32>,
    contents: i32,
    /// Its last message: within a session its numbers never go back, whatever its clock does.
    last: i64,
    /// All packets that came to it, and the messages in them.
    packets: Vec<Vec<Message>>,
    answered: Vec<(u32, Result<usize, LinkError>)>,
    missing: usize,
    news: usize,
    end: Option<LinkError>,
}

impl Scene {
    fn new(off_s: i64) -> Self {
        let now = Instant::now();
        let time = Arc::new(TelegramTime::new(now, NOON));
        let conversation = Conversation::new(KEY, SESSION, Salts::first(SALT), time, now);
        Self {
            conversation,
            start: now,
            now,
            off_s,
            refusal: None,
            contents: 0,
            last: 0,
            packets: Vec::new(),
            answered: Vec::new(),
            missing: 0,
            news: 0,
            end: None,
        }
    }

    /// Passes so much time, in which everything goes its way without delay.
    fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        let mut idle = 0;
        while self.end.is_none() {
            while self.end.is_none()
                && let Some(packet) = self.conversation.poll_packet(self.now)
            {
                self.receive(packet.as_ref());
                idle = 0;
            }
            self.drain();
            let due = self.conversation.poll_timeout();
            if due >= until {
                break;
            }
            // A deadline that is no deadline would spin.
            idle += 1;
            assert!(idle < 4, "nothing is done at {:?}", due - self.start);
            self.now = self.now.max(due);
            self.end = self.end.take().or(self.conversation.handle_timeout(self.now).err());
        }
        self.now = until;
    }

    /// Another conversation goes on with what is left.
    fn begin_anew(&mut self) {
        let time = Arc::clone(&self.conversation.time);
        let next = Conversation::new(KEY, SESSION, Salts::first(SALT), time, self.now);
        let rest = std::mem::replace(&mut self.conversation, next).end();
        assert!(rest.lost.is_empty());
        self.conversation.take_over(rest.unsent);
        (self.end, self.last, self.contents) = (None, 0, 0);
    }

    fn receive(&mut self, packet: &[u8]) {
        let (salt, session_id, messages, outer) = telegram::open(&KEY, packet);
        assert_eq!(session_id, SESSION);
        let ids: Vec<i64> = messages.iter().map(|message| message.id).collect();
        assert!(ids.is_sorted() && ids.iter().all(|id| id & 3 == 0 && *id <= outer), "{ids:?}");
        self.packets.push(messages.clone());
        let ahead_s = (outer >> 32) - i64::try_from(self.clock().as_secs()).unwrap();
        let fault = match ahead_s {
            _ if self.refusal.is_some() => self.refusal,
            _ if salt != SALT => Some(48),
            ..-300 => Some(16),
            31.. => Some(17),
            _ => None,
        };
        if let Some(code) = fault {
            return self.refuse(outer, code);
        }
        for message in messages {
            match constructor(&message.body) {
                Some(
                    tl::functions::Ping::CONSTRUCTOR_ID | tl::functions::PingDelayDisconnect::CONSTRUCTOR_ID,
                ) => {
                    let pong = tl::types::Pong { msg_id: message.id, ping_id: 1 };
                    self.say(false, &tl::enums::Pong::Pong(pong).to_bytes());
                }
                Some(tl::functions::help::GetConfig::CONSTRUCTOR_ID) => {
                    let mut result = RPC_RESULT.to_bytes();
                    message.id.serialize(&mut result);
                    result.extend([1, 2, 3, 4]);
                    self.say(true, &result);
                }
                _ => {}
            }
        }
    }

    fn refuse(&mut self, bad_msg_id: i64, error_code: i32) {
        let bad_msg_seqno = 0;
        let notification: tl::enums::BadMsgNotification = match error_code {
            48 => tl::types::BadServerSalt { bad_msg_id, bad_msg_seqno, error_code, new_server_salt: SALT }
                .into(),
            _ => tl::types::BadMsgNotification { bad_msg_id, bad_msg_seqno, error_code }.into(),
        };
        self.say(false, &notification.to_bytes());
    }

    fn say(&mut self, content: bool, body: &[u8]) {
        self.last = (number_at(self.clock()) | 1).max(self.last + 4);
        let seqno = self.contents * 2 + i32::from(content);
        self.contents += i32::from(content);
        self.say_again(&Message { id: self.last, seqno, body: body.to_vec() });
    }

    fn say_again(&mut self, message: &Message) {
        let mut packet = telegram::seal(&KEY, SESSION, message);
        if let Err(error) = self.conversation.handle(&mut packet, self.now) {
            self.end = Some(error);
        }
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(event) = self.conversation.poll_event() {
            match event {
                Event::Answer { asker, answer } => {
                    self.answered.push((asker, answer.map(|answer| answer.len())))
                }
                Event::News(updates) => match *updates {
                    UpdatesLike::MalformedUpdates => self.missing += 1,
                    _ => self.news += 1,
                },
            }
        }
    }

    fn clock(&self) -> Duration {
        let wall = i64::try_from((NOON + (self.now - self.start)).as_millis()).unwrap();
        Duration::from_millis((wall + self.off_s * 1_000).try_into().unwrap())
    }

    fn ask(&mut self, asker: u32) {
        self.conversation.ask(tl::functions::help::GetConfig {}.to_bytes(), asker);
    }

    fn answers(&self) -> Vec<u32> {
        self.answered.iter().filter(|(_, answer)| answer.is_ok()).map(|(asker, _)| *asker).collect()
    }
}

#[test]
fn a_clock_that_is_off_costs_one_refusal_and_never_another_one() {
    for off_s in [0, -HOUR, HOUR, -24 * HOUR, 24 * HOUR, -400, 40] {
        let mut scene = Scene::new(off_s);
        for asker in 1..=3 {
            scene.ask(asker);
        }
        scene.pass(SECOND);
        assert_eq!(scene.answers(), [1, 2, 3], "{off_s}");
        assert!(scene.packets.len() <= 3, "{off_s}: {}", scene.packets.len());
        let before = scene.packets.len();
        scene.ask(4);
        scene.pass(SECOND);
        assert_eq!(scene.answers().last(), Some(&4), "{off_s}");
        assert!(scene.packets.len() <= before + 1, "{off_s}");
    }
}

#[test]
fn telegrams_clock_that_steps_is_followed_amid_requests() {
    let mut scene = Scene::new(0);
    scene.ask(0);
    scene.pass(SECOND);
    for (asker, off_s) in (1..).zip([HOUR, 0, -HOUR, 24 * HOUR, -24 * HOUR, 0]) {
        scene.off_s = off_s;
        let before = scene.packets.len();
        scene.ask(asker);
        scene.pass(SECOND);
        if scene.end.is_some() {
            scene.begin_anew();
            scene.pass(SECOND);
        }
        assert_eq!(scene.answers().last(), Some(&asker), "{off_s}");
        assert!(scene.packets.len() <= before + 6, "{off_s}: {}", scene.packets.len() - before);
    }
}

#[test]
fn wrong_salt_and_wrong_time_at_once_are_mended_at_once() {
    let mut scene = Scene::new(-HOUR);
    scene.conversation.salts = Salts::default();
    scene.ask(1);
    scene.pass(SECOND);
    assert_eq!(scene.answers(), [1]);
    assert!(scene.packets.len() <= 4, "{}", scene.packets.len());
}

#[test]
fn what_is_always_refused_is_no_storm_and_ends_the_conversation() {
    for code in [16, 17, 48] {
        let mut scene = Scene::new(0);
        scene.ask(1);
        scene.pass(SECOND);
        let before = scene.packets.len();
        scene.refusal = Some(code);
        scene.ask(2);
        scene.pass(SECOND * 30);
        let sent = scene.packets.len() - before;
        assert_eq!(sent, 4, "{code}");
        assert!(matches!(scene.end, Some(LinkError::Refused { .. })), "{code}");
        let rest = scene.conversation.end();
        assert!(rest.lost.is_empty(), "it was never taken");
        assert_eq!(rest.unsent.len(), 1, "another conversation may try");
    }
}

#[test]
fn one_request_that_is_always_refused_fails_alone() {
    let mut scene = Scene::new(0);
    scene.ask(1);
    for other in 2..20 {
        // Its refusal comes after the others' answers.
        while let Some(packet) = scene.conversation.poll_packet(scene.now) {
            let (_, _, messages, outer) = telegram::open(&KEY, packet.as_ref());
            scene.packets.push(messages);
            scene.ask(other);
            scene.pass(Duration::ZERO);
            scene.refuse(outer, 16);
        }
    }
    let failed: Vec<u32> =
        scene.answered.iter().filter(|(_, answer)| answer.is_err()).map(|(asker, _)| *asker).collect();
    assert_eq!(failed, [1]);
    assert!(scene.end.is_none());
}

#[test]
fn a_refusal_that_says_nothing_of_the_number_fails_the_request_and_may_end_all() {
    for (code, ends) in [(20, false), (32, true), (33, true), (64, true)] {
        let mut scene = Scene::new(0);
        scene.refusal = Some(code);
        scene.ask(1);
        scene.pass(SECOND);
        assert!(matches!(scene.answered[..], [(1, Err(LinkError::Refused { .. }))]), "{code}");
        assert_eq!(scene.end.is_some(), ends, "{code}");
        assert_eq!(scene.packets.len(), 1, "it is not sent again: it may have been taken");
    }
}

#[test]
fn numbers_rise_and_contents_are_odd_across_refusals() {
    let mut scene = Scene::new(-HOUR);
    for asker in 1..=4 {
        scene.ask(asker);
        scene.pass(Duration::from_millis(100));
    }
    // The first one was refused, and counts.
    let taken: Vec<&Message> = scene.packets[1..].iter().flatten().collect();
    assert!(taken.is_sorted_by_key(|message| message.id), "{taken:?}");
    let odd: Vec<i32> =
        taken.iter().filter(|message| message.is_content()).map(|message| message.seqno).collect();
    assert!(odd.is_sorted_by(|one, other| one < other), "{odd:?}");
}

#[test]
fn acknowledgments_go_with_the_next_request_or_alone_after_a_while() {
    let mut scene = Scene::new(0);
    scene.ask(1);
    scene.pass(SECOND);
    let before = scene.packets.len();
    scene.pass(ACKS_WAIT / 2);
    assert_eq!(scene.packets.len(), before);
    scene.ask(2);
    scene.pass(SECOND);
    assert_eq!(acks(&scene.packets[before]), 1);
    let before = scene.packets.len();
    scene.pass(ACKS_WAIT + SECOND);
    assert_eq!(acks(&scene.packets[before]), 1);
    assert_eq!(scene.packets[before].len(), 1);
    assert_eq!(scene.packets.len(), before + 1);
    for asker in 10..10 + u32::try_from(MOST_ACKS).unwrap() {
        scene.ask(asker);
    }
    scene.pass(Duration::from_millis(1));
    assert_eq!(acks(scene.packets.last().unwrap()), MOST_ACKS, "so many are told at once");
}

#[test]
fn what_comes_twice_is_told_once_and_acknowledged_twice() {
    let mut scene = Scene::new(0);
    let short = tl::types::UpdateShort { update: tl::enums::Update::Config, date: 5 };
    scene.say(true, &tl::enums::Updates::UpdateShort(short.clone()).to_bytes());
    let body = tl::enums::Updates::UpdateShort(short).to_bytes();
    let again = Message { id: scene.last, seqno: 1, body };
    scene.say_again(&again);
    assert_eq!(scene.news, 1);
    scene.pass(ACKS_WAIT + SECOND);
    assert_eq!(acks(&scene.packets[0]), 2);
    let news = scene.news;
    for _ in 0..HEARD_KEPT + 1 {
        scene.say(true, &again.body);
    }
    assert_eq!(scene.news, news + HEARD_KEPT + 1);
    scene.say_again(&again);
    assert_eq!(scene.news, news + HEARD_KEPT + 1, "what is older than all that is known is not new");
}

#[test]
fn a_session_that_telegram_lost_means_that_news_may_be_missing() {
    let mut scene = Scene::new(0);
    let created = |salt| {
        let created = tl::types::NewSessionCreated { first_msg_id: 4, unique_id: 1, server_salt: salt };
        tl::enums::NewSession::Created(created).to_bytes()
    };
    scene.say(true, &created(SALT));
    assert_eq!(scene.missing, 0);
    scene.say(true, &created(SALT));
    assert_eq!(scene.missing, 1);
}

#[test]
fn salts_are_asked_for_once_and_beside_a_request() {
    let mut scene = Scene::new(0);
    for asker in 1..=4 {
        scene.ask(asker);
        scene.pass(SECOND);
    }
    let asked = |message: &&Message| {
        constructor(&message.body) == Some(tl::functions::GetFutureSalts::CONSTRUCTOR_ID)
    };
    assert_eq!(scene.packets.iter().flatten().filter(asked).count(), 1);
    let question = scene.packets.iter().flatten().find(asked).unwrap().id;
    let now = i32::try_from(NOON.as_secs()).unwrap();
    let salt = tl::types::FutureSalt { valid_since: now + 3_600, valid_until: now + 7_200, salt: 5 };
    let salts = tl::types::FutureSalts { req_msg_id: question, now, salts: tl::RawVec(vec![salt]) };
    scene.say(false, &tl::enums::FutureSalts::Salts(salts).to_bytes());
    assert!(!scene.conversation.salts.run_out());
}

#[test]
fn an_idle_conversation_pings_once_a_minute_and_does_nothing_else() {
    let mut scene = Scene::new(0);
    scene.pass(SECOND * 601);
    assert_eq!(scene.packets.len(), 10);
    assert_eq!(scene.packets.iter().flatten().count(), 11, "salts are asked for beside one");
}

#[test]
fn what_is_under_way_when_the_salt_changes_is_refused_at_no_cost() {
    let mut scene = Scene::new(0);
    scene.conversation.salts = Salts::first(SALT + 1);
    let mut under_way = Vec::new();
    for asker in 0..8 {
        scene.ask(asker);
        under_way.push(scene.conversation.poll_packet(scene.now).unwrap());
    }
    for packet in under_way {
        scene.receive(packet.as_ref());
    }
    scene.pass(SECOND);
    assert!(scene.end.is_none());
    let mut answers = scene.answers();
    answers.sort_unstable();
    assert_eq!(answers, Vec::from_iter(0..8));
    assert!(scene.packets.len() <= 8 + 2, "{}", scene.packets.len());
}

#[test]
fn nobody_there_any_more_is_noticed_by_the_second_ping() {
    let mut scene = Scene::new(0);
    scene.pass(SECOND * 61);
    assert!(scene.end.is_none());
    for expected in [true, false] {
        scene.now = scene.conversation.poll_timeout();
        assert_eq!(scene.conversation.handle_timeout(scene.now).is_ok(), expected);
        // It goes nowhere.
        scene.conversation.poll_packet(scene.now);
    }
}

#[test]
fn what_telegram_forgot_is_over_and_what_came_after_goes_on() {
    let mut scene = Scene::new(0);
    let begun = |first_msg_id| {
        let created = tl::types::NewSessionCreated { first_msg_id, unique_id: 1, server_salt: SALT };
        tl::enums::NewSession::Created(created).to_bytes()
    };
    scene.say(true, &begun(0));
    scene.ask(1);
    let lost = scene.conversation.poll_packet(scene.now);
    scene.now += SECOND;
    scene.ask(2);
    let taken = scene.conversation.poll_packet(scene.now).unwrap();
    let (_, _, messages, _) = telegram::open(&KEY, taken.as_ref());
    scene.say(true, &begun(messages.iter().map(|message| message.id).min().unwrap()));
    assert!(lost.is_some());
    assert!(matches!(scene.answered[..], [(1, Err(LinkError::Gone(_)))]));
    scene.receive(taken.as_ref());
    assert_eq!(scene.answers(), [2]);
}

#[test]
fn what_is_not_ours_ends_the_conversation() {
    let mut scene = Scene::new(0);
    let message = |id| Message { id, seqno: 1, body: vec![1; 4] };
    let mut strange = telegram::seal(&KEY, SESSION + 1, &message(5));
    assert!(matches!(scene.conversation.handle(&mut strange, scene.now), Err(LinkError::Garbled(_))));
    let mut even = telegram::seal(&KEY, SESSION, &message(4));
    assert!(matches!(scene.conversation.handle(&mut even, scene.now), Err(LinkError::Garbled(_))));
}

#[test]
fn a_request_that_nobody_waits_for_is_left_out_and_one_too_large_refused() {
    let mut scene = Scene::new(0);
    scene.ask(1);
    scene.ask(2);
    scene.conversation.leave_out(|asker| *asker == 1);
    scene.conversation.ask(vec![0; LARGEST + 4], 3);
    scene.pass(SECOND);
    assert_eq!(scene.answers(), [2]);
    assert!(matches!(scene.answered[0], (3, Err(LinkError::Gone(_)))));
}

fn acks(messages: &[Message]) -> usize {
    messages
        .iter()
        .filter_map(|message| read::<tl::enums::MsgsAck>(&message.body))
        .map(|tl::enums::MsgsAck::Ack(acks)| acks.msg_ids.len())
        .sum()
}
