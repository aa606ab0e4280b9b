//! In-process devices on the world: whole calls, faults, sessions that end, and many calls at once.

#![allow(clippy::unwrap_used, reason = "a test may fail by panic")]

use std::time::Duration;

use grammers_tl_types as tl;
use sha2::{Digest, Sha256};
use tgtrunk_test_telegram::world::{Action, Ending, Match, Puppet, Stage, Wrap};
use tgtrunk_test_telegram::{Device, NewUser, RpcError, World};
use tl::enums::{PhoneCall, Update};
use tl::functions::{contacts, phone, updates};
use tokio::time::timeout;

#[tokio::test]
async fn a_call_between_devices_goes_through_every_stage() {
    let (world, mut anna, mut boris) = pair();
    let call = dial(&anna, &boris, 1).await.unwrap();
    assert_eq!(stage(&world, call.id), Stage::Requested);
    let requested = offered(&mut boris).await;
    boris.invoke(&phone::ReceivedCall { peer: requested.clone() }).await.unwrap();
    assert_eq!(stage(&world, call.id), Stage::Ringing);
    let PhoneCall::Waiting(waiting) = next_call(&mut anna).await else { panic!("it rings") };
    assert!(waiting.receive_date.is_some());
    accept(&boris, &requested).await.unwrap();
    assert_eq!(stage(&world, call.id), Stage::Accepted);
    let PhoneCall::Accepted(accepted) = next_call(&mut anna).await else { panic!("it is accepted") };
    assert_eq!(accepted.g_b, half(2));
    confirm(&anna, &call).await.unwrap();
    assert_eq!(stage(&world, call.id), Stage::Active);
    let PhoneCall::Call(active) = next_call(&mut boris).await else { panic!("it is confirmed") };
    assert_eq!((active.g_a_or_b, active.key_fingerprint), (half(1), 77));
    hang_up(&boris, &requested, 5).await;
    let PhoneCall::Discarded(over) = next_call(&mut anna).await else { panic!("it is over") };
    assert_eq!(over.duration, Some(5));
    let info = world.call_info(call.id).unwrap();
    assert_eq!((info.stage, info.ending, info.duration), (Stage::Ended, Some(Ending::Hangup), Some(5)));
    let methods: Vec<_> = world.journal(0).iter().map(|entry| entry.method).collect();
    let expected = [
        "phone.requestCall",
        "phone.receivedCall",
        "phone.acceptCall",
        "phone.confirmCall",
        "phone.discardCall",
    ];
    assert_eq!(methods, expected);
    assert_eq!(world.journal(0)[0].request::<phone::RequestCall>().unwrap().random_id, 1);
}

#[tokio::test]
async fn puppets_agree_on_a_key_and_exchange_signaling() {
    let (world, anna, boris) = pair();
    let (caller, callee) =
        (Puppet::new(&world, anna.user()).unwrap(), Puppet::new(&world, boris.user()).unwrap());
    let call = caller.dial(boris.user(), false).await.unwrap();
    until(|| callee.call(call).is_some()).await;
    callee.receive(call).await.unwrap();
    until(|| caller.call(call).unwrap().stage == Stage::Ringing).await;
    callee.accept(call).await.unwrap();
    until(|| callee.call(call).unwrap().stage == Stage::Active && caller.call(call).unwrap().key.is_some())
        .await;
    assert_eq!(caller.call(call).unwrap().key, callee.call(call).unwrap().key);
    assert_eq!(caller.call(call).unwrap().versions, ["13.0.0"]);
    callee.signal(call, vec![1, 2, 3]).await.unwrap();
    until(|| caller.call(call).unwrap().signaling.front().is_some_and(|data| data == "010203")).await;
    caller.discard(call, Ending::Hangup, 9).await.unwrap();
    until(|| callee.call(call).unwrap().stage == Stage::Ended).await;
    assert_eq!(callee.call(call).unwrap().duration, Some(9));
}

#[tokio::test]
async fn faults_on_requests_do_what_they_say() {
    let (world, anna, _boris) = pair();
    let ask = contacts::ResolvePhone { phone: "79990000002".to_owned() };
    let fault =
        |action| world.add_fault(Match::method("contacts.resolvePhone").user(anna.user()).once(), action);
    let patience = Duration::from_millis(100);

    fault(Action::Error { code: 420, message: "FLOOD_WAIT_31".to_owned() });
    assert_eq!(anna.invoke(&ask).await, Err(RpcError::new(420, "FLOOD_WAIT_31")));
    fault(Action::Close);
    assert_eq!(anna.invoke(&ask).await, Err(RpcError::new(0, "CONNECTION_CLOSED")));
    for swallowed in [Action::Silence, Action::LoseAnswer, Action::BlackHole] {
        fault(swallowed);
        assert!(timeout(patience, anna.invoke(&ask)).await.is_err());
    }
    fault(Action::Delay { ms: 200 });
    assert!(timeout(patience, anna.invoke(&ask)).await.is_err());
    fault(Action::Delay { ms: 20 });
    assert!(timeout(patience * 20, anna.invoke(&ask)).await.unwrap().is_ok());
    assert!(anna.invoke(&ask).await.is_ok());

    let outcomes: Vec<_> = world.journal(0).into_iter().map(|entry| entry.outcome).collect();
    let expected = [
        "fault: 420 FLOOD_WAIT_31",
        "fault: close",
        "fault: silence",
        "ok, unanswered",
        "fault: black hole",
        "ok, late",
        "ok, late",
        "ok",
    ];
    assert_eq!(outcomes, expected);
    assert!(world.faults().iter().all(|rule| rule.acted == 1));
}

#[tokio::test]
async fn faults_on_pushes_lose_repeat_swap_and_delay_them() {
    let (world, mut anna, mut boris) = pair();
    let (call, peer) = active(&mut anna, &mut boris, 1).await;
    let fault = |action| world.add_fault(Match::method("updatePhoneCallSignalingData").once(), action);

    fault(Action::DropPush);
    signal(&boris, &peer, 1).await;
    fault(Action::DuplicatePush);
    signal(&boris, &peer, 2).await;
    assert_eq!([next_signal(&mut anna).await, next_signal(&mut anna).await], [2, 2]);
    fault(Action::ReorderPush);
    signal(&boris, &peer, 3).await;
    signal(&boris, &peer, 4).await;
    assert_eq!([next_signal(&mut anna).await, next_signal(&mut anna).await], [4, 3]);
    fault(Action::DelayPush { ms: 50 });
    signal(&boris, &peer, 5).await;
    signal(&boris, &peer, 6).await;
    assert_eq!([next_signal(&mut anna).await, next_signal(&mut anna).await], [6, 5]);
    fault(Action::ReorderPush);
    signal(&boris, &peer, 7).await;
    assert_eq!(next_signal(&mut anna).await, 7, "nothing overtook it, so it came by itself");
    assert_eq!(world.call_info(call.id).unwrap().signaling, 7);
}

#[tokio::test]
async fn a_revoked_session_is_refused_and_its_updates_end() {
    let (world, mut anna, _boris) = pair();
    world.revoke(anna.auth_key_id(), "SESSION_REVOKED");
    assert_eq!(anna.invoke(&updates::GetState {}).await, Err(RpcError::new(401, "SESSION_REVOKED")));
    assert_eq!(anna.updates.recv().await, None);
    world.device(anna.user()).unwrap().invoke(&updates::GetState {}).await.unwrap();
}

#[tokio::test]
async fn a_device_that_reads_nothing_is_cut_off_and_harms_nobody() {
    let (_world, mut anna, mut boris) = pair();
    let (call, peer) = active(&mut anna, &mut boris, 1).await;
    for n in 0..1100_u32 {
        signal(&boris, &peer, n.to_le_bytes()[0]).await;
    }
    signal(&anna, &input(&call), 9).await;
    assert_eq!(next_signal(&mut boris).await, 9);
    let mut read = 0;
    while anna.updates.recv().await.is_some() {
        read += 1;
    }
    assert_eq!(read, 1024);
}

#[tokio::test]
async fn call_timers_follow_the_scale() {
    let (world, anna, mut boris) = pair();
    world.set_timers_scale(0.001);
    let call = dial(&anna, &boris, 1).await.unwrap();
    until(|| stage(&world, call.id) == Stage::Ended).await;
    assert_eq!(world.call_info(call.id).unwrap().ending, Some(Ending::Missed));
    offered(&mut boris).await;
    let call = dial(&anna, &boris, 2).await.unwrap();
    let peer = loop {
        if let PhoneCall::Requested(call) = next_call(&mut boris).await {
            break input_of(call.id, call.access_hash);
        }
    };
    accept(&boris, &peer).await.unwrap();
    until(|| stage(&world, call.id) == Stage::Ended).await;
    assert_eq!(world.call_info(call.id).unwrap().ending, Some(Ending::Disconnect), "never confirmed");
}

#[tokio::test]
async fn two_hundred_calls_cost_little_and_none_fails() {
    let (world, _anna, mut boris) = pair();
    world.configure(|settings| settings.call_updates = Wrap::Short);
    let mut callers = Vec::new();
    for n in 0..200_i64 {
        let id = world.add_user(NewUser::new(format!("7888{n:07}"), "Caller")).unwrap();
        callers.push(world.device(id).unwrap());
    }
    let all = async {
        for caller in &mut callers {
            let (call, peer) = active(caller, &mut boris, 1).await;
            for byte in 0..10 {
                signal(caller, &input(&call), byte).await;
                assert_eq!(next_signal(&mut boris).await, byte);
            }
            hang_up(&boris, &peer, 1).await;
        }
    };
    timeout(Duration::from_secs(5), all).await.expect("200 calls in 5 s");
    let calls = world.calls();
    assert_eq!(calls.len(), 200);
    assert!(calls.iter().all(|call| call.ending == Some(Ending::Hangup) && call.signaling == 10));
    let state = boris.invoke(&updates::GetState {}).await.unwrap();
    let tl::enums::updates::State::State(state) = state;
    assert_eq!(state.pts, 201, "one line in the chat for each call");
}

fn pair() -> (World, Device, Device) {
    let (world, mut pushes) = World::new(tokio::runtime::Handle::current(), 2, 1.0);
    tokio::spawn(async move { while pushes.recv().await.is_some() {} });
    let anna = world.add_user(NewUser::new("79990000001", "Anna")).unwrap();
    let boris = world.add_user(NewUser::new("79990000002", "Boris")).unwrap();
    let devices = (world.device(anna).unwrap(), world.device(boris).unwrap());
    (world, devices.0, devices.1)
}

/// A public value that is as good as any: the world forwards it unread.
fn half(byte: u8) -> Vec<u8> {
    vec![byte; 256]
}

fn protocol() -> tl::enums::PhoneCallProtocol {
    let library_versions = vec!["13.0.0".to_owned(), "9.0.0".to_owned()];
    tl::types::PhoneCallProtocol {
        udp_p2p: true,
        udp_reflector: true,
        min_layer: 65,
        max_layer: 92,
        library_versions,
    }
    .into()
}

async fn dial(
    caller: &Device,
    callee: &Device,
    random_id: i32,
) -> Result<tl::types::PhoneCallWaiting, RpcError> {
    let user_id = caller.handle().input_user(callee.user());
    let g_a_hash = Sha256::digest(half(1)).to_vec();
    let request = phone::RequestCall { video: false, user_id, random_id, g_a_hash, protocol: protocol() };
    let tl::enums::phone::PhoneCall::Call(answer) = caller.invoke(&request).await?;
    let PhoneCall::Waiting(waiting) = answer.phone_call else { panic!("{answer:?}") };
    Ok(waiting)
}

async fn accept(callee: &Device, peer: &tl::enums::InputPhoneCall) -> Result<(), RpcError> {
    let request = phone::AcceptCall { peer: peer.clone(), g_b: half(2), protocol: protocol() };
    callee.invoke(&request).await.map(|_| ())
}

async fn confirm(caller: &Device, call: &tl::types::PhoneCallWaiting) -> Result<(), RpcError> {
    let request =
        phone::ConfirmCall { peer: input(call), g_a: half(1), key_fingerprint: 77, protocol: protocol() };
    caller.invoke(&request).await.map(|_| ())
}

async fn hang_up(device: &Device, peer: &tl::enums::InputPhoneCall, duration: i32) {
    let reason = Ending::Hangup.to_tl();
    let request = phone::DiscardCall { video: false, peer: peer.clone(), duration, reason, connection_id: 0 };
    device.invoke(&request).await.unwrap();
}

/// A call that both sides take part in; the callee's handle of it comes second.
async fn active(
    caller: &mut Device,
    callee: &mut Device,
    random_id: i32,
) -> (tl::types::PhoneCallWaiting, tl::enums::InputPhoneCall) {
    let call = dial(caller, callee, random_id).await.unwrap();
    let peer = offered(callee).await;
    accept(callee, &peer).await.unwrap();
    assert!(matches!(next_call(caller).await, PhoneCall::Accepted(_)));
    confirm(caller, &call).await.unwrap();
    assert!(matches!(next_call(callee).await, PhoneCall::Call(_)));
    (call, peer)
}

async fn signal(device: &Device, peer: &tl::enums::InputPhoneCall, byte: u8) {
    let request = phone::SendSignalingData { peer: peer.clone(), data: vec![byte] };
    assert!(device.invoke(&request).await.unwrap());
}

async fn next_signal(device: &mut Device) -> u8 {
    loop {
        if let Update::PhoneCallSignalingData(update) = next(device).await {
            return update.data[0];
        }
    }
}

async fn offered(device: &mut Device) -> tl::enums::InputPhoneCall {
    let PhoneCall::Requested(call) = next_call(device).await else { panic!("a call is offered") };
    input_of(call.id, call.access_hash)
}

async fn next_call(device: &mut Device) -> PhoneCall {
    loop {
        if let Update::PhoneCall(update) = next(device).await {
            return update.phone_call;
        }
    }
}

async fn next(device: &mut Device) -> Update {
    timeout(Duration::from_secs(5), device.updates.recv()).await.expect("an update within 5 s").unwrap()
}

fn input(call: &tl::types::PhoneCallWaiting) -> tl::enums::InputPhoneCall {
    input_of(call.id, call.access_hash)
}

fn input_of(id: i64, access_hash: i64) -> tl::enums::InputPhoneCall {
    tl::types::InputPhoneCall { id, access_hash }.into()
}

fn stage(world: &World, call: i64) -> Stage {
    world.call_info(call).unwrap().stage
}

async fn until(mut holds: impl FnMut() -> bool) {
    let wait = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(10), wait).await.expect("it comes true within 10 s");
}
