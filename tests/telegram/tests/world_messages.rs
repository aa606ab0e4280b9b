//! In-process devices that write: lines about calls in both boxes, faults, and what a test sees of the chats.

#![allow(clippy::unwrap_used, reason = "a test may fail by panic")]

use std::time::Duration;

use grammers_tl_types as tl;
use tgtrunk_test_telegram::world::{Action, CallLine, Ending, Match, MessageInfo, Puppet, Stage};
use tgtrunk_test_telegram::{Device, NewUser, RpcError, World};
use tl::enums::Update;
use tl::functions::{messages, updates};
use tokio::time::timeout;

#[tokio::test]
async fn every_ending_of_a_call_leaves_its_line_in_both_boxes_and_on_all_devices() {
    let (world, mut anna, mut boris) = pair();
    let mut other = world.device(anna.user()).unwrap();
    let (caller, callee) =
        (Puppet::new(&world, anna.user()).unwrap(), Puppet::new(&world, boris.user()).unwrap());
    let missed = caller.dial(boris.user(), false).await.unwrap();
    caller.discard(missed, Ending::Missed, 0).await.unwrap();
    let busy = caller.dial(boris.user(), false).await.unwrap();
    until(|| callee.call(busy).is_some()).await;
    callee.discard(busy, Ending::Busy, 0).await.unwrap();
    let talked = active(&caller, &callee, boris.user()).await;
    callee.discard(talked, Ending::Hangup, 7).await.unwrap();
    let broken = active(&caller, &callee, boris.user()).await;
    caller.discard(broken, Ending::Disconnect, 3).await.unwrap();

    let expected = [
        (missed, Ending::Missed, None),
        (busy, Ending::Busy, None),
        (talked, Ending::Hangup, Some(7)),
        (broken, Ending::Disconnect, Some(3)),
    ]
    .map(|(id, ending, duration)| CallLine { id, ending: Some(ending), duration });
    for (owner, out) in [(&anna, true), (&boris, false)] {
        let lines = world.messages(owner.user());
        assert_eq!(lines.iter().map(|line| line.out).collect::<Vec<_>>(), [out; 4]);
        assert!(lines.iter().all(|line| (line.from, line.to) == (anna.user(), boris.user())));
        assert_eq!(lines.into_iter().map(|line| line.call.unwrap()).collect::<Vec<_>>(), expected);
    }
    for device in [&mut anna, &mut other, &mut boris] {
        for line in &expected {
            let tl::enums::Message::Service(message) = next_message(device).await else { panic!("no line") };
            let tl::enums::MessageAction::PhoneCall(call) = message.action else { panic!("no call") };
            assert_eq!((call.call_id, call.duration), (line.id, line.duration));
        }
    }
}

#[tokio::test]
async fn a_call_that_rang_too_long_leaves_its_line_too() {
    let (world, anna, boris) = pair();
    world.set_timers_scale(0.001);
    let caller = Puppet::new(&world, anna.user()).unwrap();
    let call = caller.dial(boris.user(), false).await.unwrap();
    until(|| world.call_info(call).unwrap().stage == Stage::Ended).await;
    let line = world.messages(anna.user()).pop().unwrap();
    assert_eq!(line.call, Some(CallLine { id: call, ending: Some(Ending::Missed), duration: None }));
    assert_eq!((line.out, line.chat), (true, boris.user()));
}

#[tokio::test]
async fn messages_fail_as_a_test_says_for_one_account_and_so_many_times() {
    let (world, anna, boris) = pair();
    let refusals = [
        (420, "FLOOD_WAIT_17"),
        (400, "PEER_FLOOD"),
        (420, "FROZEN_METHOD_INVALID"),
        (406, "PRIVACY_PREMIUM_REQUIRED"),
        (400, "USER_IS_BLOCKED"),
    ];
    let mut random_id = 0;
    for (code, message) in refusals {
        let matches = Match { times: Some(2), ..Match::method("messages.sendMessage").user(anna.user()) };
        let action = Action::Error { code, message: message.to_owned() };
        world.add_fault(matches, action);
        let mut told = Vec::new();
        for _ in 0..3 {
            random_id += 1;
            told.push(send(&anna, &boris, "hello", random_id).await.err());
            assert!(send(&boris, &anna, "hello", random_id).await.is_ok());
        }
        let refusal = Some(RpcError::new(code, message));
        assert_eq!(told, [refusal.clone(), refusal, None]);
    }
    for action in [Action::Silence, Action::LoseAnswer] {
        world.add_fault(Match::method("messages.sendMessage").user(anna.user()).once(), action);
        random_id += 1;
        let lost = send(&anna, &boris, "are you there?", random_id);
        assert!(timeout(Duration::from_millis(50), lost).await.is_err());
    }
    // What was served without an answer cannot be sent again.
    assert_eq!(
        send(&anna, &boris, "are you there?", random_id).await.err(),
        Some(RpcError::new(500, "RANDOM_ID_DUPLICATE"))
    );
    assert!(send(&anna, &boris, "are you there?", random_id - 1).await.is_ok());
    world.add_fault(
        Match::method("messages.deleteMessages").user(anna.user()).once(),
        Action::Delay { ms: 60_000 },
    );
    let deletion = messages::DeleteMessages { revoke: true, id: vec![1] };
    assert!(timeout(Duration::from_millis(50), anna.invoke(&deletion)).await.is_err());
    let sent = world.chat(boris.user(), anna.user());
    assert_eq!(sent.iter().filter(|message| !message.out).count(), refusals.len() + 2);
    assert_eq!(
        sent.iter().filter(|message| message.out).count(),
        3 * refusals.len() - 1,
        "the first is gone"
    );
}

#[tokio::test]
async fn what_is_said_in_a_users_name_is_told_to_all_devices_and_seen_in_both_boxes() {
    let (world, mut anna, mut boris) = pair();
    let said = world.say(anna.user(), boris.user(), "one").unwrap();
    for device in [&mut anna, &mut boris] {
        let tl::enums::Message::Message(message) = next_message(device).await else { panic!("no text") };
        assert_eq!((message.message.as_str(), message.out), ("one", device.user() == anna_of(&world)));
    }
    world.edit_text(anna.user(), said.id, "two").unwrap();
    assert!(matches!(next(&mut boris).await, Update::EditMessage(_)));
    assert_eq!(
        world.edit_text(boris.user(), said.twin.unwrap(), "three"),
        Err(RpcError::new(403, "MESSAGE_AUTHOR_REQUIRED"))
    );
    assert!(world.read(boris.user(), anna.user()));
    assert!(!world.read(boris.user(), anna.user()));
    let seen = |user| -> MessageInfo { world.messages(user).pop().unwrap() };
    let (sent, got) = (seen(anna.user()), seen(boris.user()));
    assert_eq!((sent.text.as_str(), sent.read, got.text.as_str(), got.read), ("two", true, "two", true));
    assert_eq!((sent.twin, got.twin), (Some(got.id), Some(sent.id)));
    assert_eq!(world.delete_messages(boris.user(), &[got.id], true), 1);
    assert!(seen(anna.user()).deleted && seen(boris.user()).deleted);
    assert_eq!(world.chat(anna.user(), boris.user()), []);
}

#[tokio::test]
async fn many_deletions_move_the_counter_as_far_as_there_were_messages() {
    let (world, anna, boris) = pair();
    let said: Vec<i32> = (0..3).map(|_| world.say(anna.user(), boris.user(), "x").unwrap().id).collect();
    assert_eq!(world.delete_messages(anna.user(), &said, true), 3);
    let request = updates::GetDifference {
        pts: 1,
        pts_limit: None,
        pts_total_limit: None,
        date: 1,
        qts: 0,
        qts_limit: None,
    };
    let tl::enums::updates::Difference::Difference(missed) = boris.invoke(&request).await.unwrap() else {
        panic!("a difference")
    };
    assert_eq!(missed.new_messages, []);
    let [Update::DeleteMessages(gone)] = missed.other_updates.as_slice() else {
        panic!("{:?}", missed.other_updates)
    };
    let tl::enums::updates::State::State(state) = missed.state;
    assert_eq!((gone.pts, gone.pts_count, state.pts), (7, 3, 7));
}

fn pair() -> (World, Device, Device) {
    let (world, mut pushes) = World::new(tokio::runtime::Handle::current(), 2, 1.0);
    tokio::spawn(async move { while pushes.recv().await.is_some() {} });
    let anna = world.add_user(NewUser::new("79990000001", "Anna")).unwrap();
    let boris = world.add_user(NewUser::new("79990000002", "Boris")).unwrap();
    let devices = (world.device(anna).unwrap(), world.device(boris).unwrap());
    (world, devices.0, devices.1)
}

fn anna_of(world: &World) -> i64 {
    world.users()[0].id
}

async fn active(caller: &Puppet, callee: &Puppet, user: i64) -> i64 {
    let call = caller.dial(user, false).await.unwrap();
    until(|| callee.call(call).is_some()).await;
    callee.accept(call).await.unwrap();
    until(|| callee.call(call).unwrap().stage == Stage::Active && caller.call(call).unwrap().key.is_some())
        .await;
    call
}

async fn send(
    from: &Device,
    to: &Device,
    text: &str,
    random_id: i64,
) -> Result<tl::enums::Updates, RpcError> {
    let tl::enums::InputUser::User(user) = from.handle().input_user(to.user()) else { panic!("a user") };
    let peer = tl::types::InputPeerUser { user_id: user.user_id, access_hash: user.access_hash }.into();
    let request = messages::SendMessage {
        no_webpage: true,
        silent: false,
        background: false,
        clear_draft: false,
        noforwards: false,
        update_stickersets_order: false,
        invert_media: false,
        allow_paid_floodskip: false,
        peer,
        reply_to: None,
        message: text.to_owned(),
        random_id,
        reply_markup: None,
        entities: None,
        schedule_date: None,
        schedule_repeat_period: None,
        send_as: None,
        quick_reply_shortcut: None,
        effect: None,
        allow_paid_stars: None,
        suggested_post: None,
        rich_message: None,
    };
    from.invoke(&request).await
}

async fn next_message(device: &mut Device) -> tl::enums::Message {
    loop {
        if let Update::NewMessage(update) = next(device).await {
            return update.message;
        }
    }
}

async fn next(device: &mut Device) -> Update {
    timeout(Duration::from_secs(5), device.updates.recv()).await.expect("an update within 5 s").unwrap()
}

async fn until(mut holds: impl FnMut() -> bool) {
    let wait = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(10), wait).await.expect("it comes true within 10 s");
}
