//! The odd corners of the wire, by a client that can misbehave. Its cryptography is grammers', not the server's.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use grammers_tl_types::{Identifiable, Serializable, functions, types};
use tgtrunk_test_telegram::link::{Answer, Push};
use tgtrunk_test_telegram::wire::{Config, KeyRing};

use crate::raw::{Closed, Framing, Message, Raw};
use crate::tiny::{Tiny, nearest, notification};

mod raw;
mod tiny;

const SHORT: Duration = Duration::from_millis(300);

#[tokio::test]
async fn a_first_packet_with_salt_0_is_told_the_salt_and_not_executed() {
    let (tiny, mut raw) = start().await;
    let first = raw.send(nearest_dc()).await;
    let refusal = raw.expect(types::BadServerSalt::CONSTRUCTOR_ID).await;
    assert_eq!((refusal.long(0), refusal.int(12)), (first, 48));
    assert_eq!(tiny.world.count(functions::help::GetNearestDc::CONSTRUCTOR_ID), 0);

    raw.salt = refusal.long(16);
    let again = raw.send(nearest_dc()).await;
    let created = raw.expect(types::NewSessionCreated::CONSTRUCTOR_ID).await;
    assert_eq!((created.long(0), created.long(16)), (again, raw.salt));
    assert_eq!(created.msg_id & 3, 3);
    let answer = raw.result(again).await;
    assert_eq!(answer, nearest(2));
}

#[tokio::test]
async fn a_container_is_executed_in_order_and_answered() {
    let (tiny, mut raw) = greeted().await;
    let ping = functions::Ping { ping_id: 77 }.to_bytes();
    let ids = raw.send_all(vec![(true, nearest_dc()), (false, ping), (true, get_config())]).await;
    assert_eq!(raw.result(ids[0]).await, nearest(2));
    let pong = raw.expect(types::Pong::CONSTRUCTOR_ID).await;
    assert_eq!((pong.long(0), pong.long(8)), (ids[1], 77));
    assert_eq!(pong.msg_id & 3, 1);
    let packed = raw.packed_result(ids[2]).await;
    assert!(packed, "a large result is packed");
    assert_eq!(tiny.world.count(functions::help::GetConfig::CONSTRUCTOR_ID), 1);
}

#[tokio::test]
async fn packed_requests_of_both_kinds_are_read() {
    use std::io::Write;
    let (_tiny, mut raw) = greeted().await;
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(&nearest_dc()).unwrap();
    let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
    zlib.write_all(&nearest_dc()).unwrap();
    for packed in [gzip.finish().unwrap(), zlib.finish().unwrap()] {
        let mut body = 0x3072_cfa1_u32.to_bytes();
        packed.serialize(&mut body);
        let id = raw.send(body).await;
        assert_eq!(raw.result(id).await, nearest(2));
    }
}

#[tokio::test]
async fn a_repeated_identifier_is_answered_again_but_not_executed_again() {
    let (tiny, mut raw) = greeted().await;
    let request = raw.message(true, nearest_dc());
    raw.write(&request).await;
    let first = raw.expect(RPC_RESULT).await;
    raw.write(&request).await;
    let second = raw.expect(RPC_RESULT).await;
    assert_eq!(first, second);
    assert!(raw.is_quiet(SHORT).await, "the answer is acknowledgment enough");
    assert_eq!(tiny.world.count(functions::help::GetNearestDc::CONSTRUCTOR_ID), 1);
}

#[tokio::test]
async fn a_repetition_after_the_acknowledgment_is_only_acknowledged() {
    let (tiny, mut raw) = greeted().await;
    let request = raw.message(true, nearest_dc());
    raw.write(&request).await;
    let answer = raw.expect(RPC_RESULT).await;
    raw.send_service(types::MsgsAck::CONSTRUCTOR_ID.to_bytes(), &[answer.msg_id]).await;
    raw.write(&request).await;
    let ack = raw.expect(types::MsgsAck::CONSTRUCTOR_ID).await;
    assert_eq!(ack.long(8), request.msg_id);
    assert_eq!(tiny.world.count(functions::help::GetNearestDc::CONSTRUCTOR_ID), 1);
}

#[tokio::test]
async fn wrong_numbers_get_their_codes_and_nothing_is_executed() {
    let (tiny, mut raw) = greeted().await;
    let good = raw.message(true, nearest_dc());
    let executed = tiny.world.calls.lock().unwrap().len();
    let cases = [
        (16, Message { msg_id: good.msg_id - (400 << 32), ..good.clone() }),
        (17, Message { msg_id: good.msg_id + (60 << 32), ..good.clone() }),
        (18, Message { msg_id: good.msg_id + 1, ..good.clone() }),
        (32, Message { seqno: 1, ..good.clone() }),
        (33, Message { msg_id: raw.first_msg_id - 4, ..good.clone() }),
        (35, Message { seqno: good.seqno + 1, ..good.clone() }),
        (34, Message { body: ack_of(&[1]), ..good.clone() }),
        (64, Message { body: broken_container(), seqno: good.seqno + 1, ..good.clone() }),
        (64, Message { body: container_of(&good), seqno: good.seqno + 1, msg_id: good.msg_id - 8 }),
        (19, Message { body: container_of(&good), seqno: good.seqno + 1, msg_id: raw.first_msg_id }),
    ];
    for (code, message) in cases {
        raw.write(&message).await;
        let refusal = raw.expect(types::BadMsgNotification::CONSTRUCTOR_ID).await;
        assert_eq!((refusal.long(0), refusal.int(8), refusal.int(12)), (message.msg_id, message.seqno, code));
    }
    assert_eq!(tiny.world.calls.lock().unwrap().len(), executed);
    raw.write(&good).await;
    assert_eq!(raw.result(good.msg_id).await, nearest(2));
}

#[tokio::test]
async fn the_session_goes_on_where_a_lost_connection_left_it() {
    let (tiny, mut raw) = greeted().await;
    let id = raw.send(nearest_dc()).await;
    let answer = raw.expect(RPC_RESULT).await;
    tiny.pushes.send(updates(&raw, "one")).await.unwrap();
    let push = raw.expect(types::UpdateShort::CONSTRUCTOR_ID).await;
    assert_eq!((push.msg_id & 3, push.seqno & 1), (3, 1));

    raw.reconnect(tiny.address(2)).await;
    let ping = functions::Ping { ping_id: 1 }.to_bytes();
    raw.send(ping).await;
    let again = raw.expect(RPC_RESULT).await;
    assert_eq!((again.long(0), &again), (id, &answer));
    assert_eq!(raw.expect(types::UpdateShort::CONSTRUCTOR_ID).await, push);
    raw.expect(types::Pong::CONSTRUCTOR_ID).await;

    let known = [answer.msg_id, push.msg_id];
    raw.send_service(types::MsgsAck::CONSTRUCTOR_ID.to_bytes(), &known).await;
    raw.send(functions::Ping { ping_id: 2 }.to_bytes()).await;
    raw.expect(types::Pong::CONSTRUCTOR_ID).await;
    raw.reconnect(tiny.address(2)).await;
    raw.send(functions::Ping { ping_id: 3 }.to_bytes()).await;
    raw.expect(types::Pong::CONSTRUCTOR_ID).await;
    assert!(raw.others.iter().all(|message| !known.contains(&message.msg_id)));
}

#[tokio::test]
async fn an_answer_that_comes_after_the_connection_went_is_delivered_on_the_next() {
    let (tiny, mut raw) = greeted().await;
    let (answer, later) = tokio::sync::oneshot::channel();
    *tiny.world.next.lock().unwrap() = Some(Answer::Later(later));
    let id = raw.send(nearest_dc()).await;
    let ack = raw.expect(types::MsgsAck::CONSTRUCTOR_ID).await;
    assert_eq!(ack.long(8), id);
    raw.close().await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    answer.send(Answer::Result(nearest(9))).unwrap();
    raw.reconnect(tiny.address(2)).await;
    raw.send(functions::Ping { ping_id: 1 }.to_bytes()).await;
    assert_eq!(raw.result(id).await, nearest(9));
}

#[tokio::test]
async fn pushes_reach_every_session_of_the_key_but_those_that_want_none() {
    let (tiny, mut raw) = greeted().await;
    let mut second = raw.another(tiny.address(2)).await;
    greet(&mut second).await;
    let mut silent = raw.another(tiny.address(2)).await;
    greet(&mut silent).await;
    let id = silent
        .send(functions::InvokeWithoutUpdates { query: functions::help::GetNearestDc {} }.to_bytes())
        .await;
    silent.result(id).await;
    assert!(tiny.world.calls.lock().unwrap().last().unwrap().0.no_updates);

    let (stranger, mut other) = (KeyRing::id_of(tiny.keys.mint(2)), Raw::new(tiny.keys.mint(2)));
    other.reconnect(tiny.address(2)).await;
    greet(&mut other).await;
    tiny.pushes.send(Push::Updates { auth_key_id: stranger, body: notification("nobody") }).await.unwrap();
    tiny.pushes.send(updates(&raw, "both")).await.unwrap();
    for raw in [&mut raw, &mut second] {
        let push = raw.expect(types::UpdateShort::CONSTRUCTOR_ID).await;
        assert_eq!(
            [&types::UpdateShort::CONSTRUCTOR_ID.to_bytes(), &push.body[..]].concat(),
            notification("both")
        );
    }
    assert!(silent.is_quiet(SHORT).await && other.is_quiet(SHORT).await);
}

#[tokio::test]
async fn an_unknown_key_gets_404_in_every_framing() {
    let (tiny, _) = start().await;
    for framing in Framing::ALL {
        let mut raw = Raw::new([9; 256]);
        raw.framing = framing;
        raw.reconnect(tiny.address(2)).await;
        raw.send(nearest_dc()).await;
        assert_eq!(raw.closed().await, Closed::Error(-404), "{framing:?}");
    }
}

#[tokio::test]
async fn a_key_is_good_on_its_own_data_centre_only() {
    let (tiny, raw) = greeted().await;
    let mut elsewhere = raw.another(tiny.address(1)).await;
    elsewhere.send(nearest_dc()).await;
    assert_eq!(elsewhere.closed().await, Closed::Error(-404));
}

#[tokio::test]
async fn every_framing_carries_a_request_and_quick_acknowledgments_where_there_are_any() {
    let (tiny, _) = start().await;
    for framing in Framing::ALL {
        let mut raw = Raw::new(tiny.keys.mint(2));
        raw.framing = framing;
        raw.reconnect(tiny.address(2)).await;
        greet(&mut raw).await;
        let id = raw.send(get_config()).await;
        assert!(raw.packed_result(id).await);
        if framing != Framing::Full {
            raw.quick_ack = true;
            let id = raw.send(nearest_dc()).await;
            assert_eq!(raw.read_quick_ack().await, raw.last_token, "{framing:?}");
            raw.quick_ack = false;
            raw.result(id).await;
        }
    }
}

#[tokio::test]
async fn faults_of_the_transport_do_what_they_say() {
    let cases = [
        (Answer::CloseConnection, Closed::Fin),
        (Answer::ResetConnection, Closed::Reset),
        (Answer::TransportError(-429), Closed::Error(-429)),
        (Answer::BlackHole, Closed::Not),
        (Answer::Silence, Closed::Not),
    ];
    for (fault, expected) in cases {
        let (tiny, mut raw) = greeted().await;
        let silence = matches!(fault, Answer::Silence);
        *tiny.world.next.lock().unwrap() = Some(fault);
        let request = raw.message(true, nearest_dc());
        raw.write(&request).await;
        assert_eq!(raw.closed().await, expected);
        if !silence {
            if expected == Closed::Not {
                raw.send(functions::Ping { ping_id: 5 }.to_bytes()).await;
                assert_eq!(raw.closed().await, Closed::Not);
                assert!(raw.others.is_empty(), "nothing comes out of a black hole");
            }
            // The fault swallowed the request: repeated on a new connection, it is executed.
            raw.reconnect(tiny.address(2)).await;
            raw.write(&request).await;
            assert_eq!(raw.result(request.msg_id).await, nearest(2));
        } else {
            raw.send(functions::Ping { ping_id: 5 }.to_bytes()).await;
            raw.expect(types::Pong::CONSTRUCTOR_ID).await;
            raw.write(&request).await;
            assert!(raw.is_without_result(SHORT).await, "executed once, never answered");
            assert_eq!(tiny.world.count(functions::help::GetNearestDc::CONSTRUCTOR_ID), 1);
        }
    }
}

#[tokio::test]
async fn nothing_leaves_a_connection_after_its_fault() {
    for fault in [Answer::BlackHole, Answer::CloseConnection] {
        let (tiny, mut raw) = greeted().await;
        *tiny.world.next.lock().unwrap() = Some(fault);
        let ping = functions::Ping { ping_id: 1 }.to_bytes();
        raw.send_all(vec![(true, nearest_dc()), (false, ping)]).await;
        raw.closed().await;
        assert_eq!(raw.others, []);
    }
}

#[tokio::test]
async fn injected_notifications_name_the_message_and_it_may_be_repeated() {
    let (tiny, mut raw) = greeted().await;
    *tiny.world.next.lock().unwrap() = Some(Answer::BadMsg(17));
    let request = raw.message(true, nearest_dc());
    raw.write(&request).await;
    let refusal = raw.expect(types::BadMsgNotification::CONSTRUCTOR_ID).await;
    assert_eq!((refusal.long(0), refusal.int(8), refusal.int(12)), (request.msg_id, request.seqno, 17));

    let before = raw.salt;
    *tiny.world.next.lock().unwrap() = Some(Answer::BadServerSalt);
    raw.write(&request).await;
    let refusal = raw.expect(types::BadServerSalt::CONSTRUCTOR_ID).await;
    assert_eq!((refusal.long(0), refusal.int(12)), (request.msg_id, 48));
    assert_ne!(refusal.long(16), before);
    raw.write(&request).await;
    assert_eq!(
        raw.expect(types::BadServerSalt::CONSTRUCTOR_ID).await.long(16),
        refusal.long(16),
        "the old salt is wrong"
    );
    raw.salt = refusal.long(16);
    raw.write(&request).await;
    assert_eq!(raw.result(request.msg_id).await, nearest(2));
}

#[tokio::test]
async fn orders_for_a_key_are_carried_out() {
    let (tiny, mut raw) = greeted().await;
    let auth_key_id = raw.key_id();
    tiny.pushes.send(updates(&raw, "last words")).await.unwrap();
    tiny.pushes.send(Push::CloseConnections { auth_key_id }).await.unwrap();
    raw.expect(types::UpdateShort::CONSTRUCTOR_ID).await;
    assert_eq!(raw.closed().await, Closed::Fin);

    raw.reconnect(tiny.address(2)).await;
    raw.send(functions::Ping { ping_id: 1 }.to_bytes()).await;
    raw.expect(types::Pong::CONSTRUCTOR_ID).await;
    raw.others.clear();
    tiny.pushes.send(Push::NewSessionCreated { auth_key_id }).await.unwrap();
    let created = raw.expect(types::NewSessionCreated::CONSTRUCTOR_ID).await;
    assert_eq!((created.long(0), created.long(16)), (raw.last_msg_id, raw.salt));

    tiny.pushes.send(Push::BlackHole { auth_key_id }).await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    raw.send(functions::Ping { ping_id: 2 }.to_bytes()).await;
    assert_eq!(raw.closed().await, Closed::Not);

    raw.reconnect(tiny.address(2)).await;
    raw.send(functions::Ping { ping_id: 3 }.to_bytes()).await;
    raw.expect(types::Pong::CONSTRUCTOR_ID).await;
    tiny.pushes.send(Push::ForgetKey { auth_key_id }).await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!tiny.keys.known(auth_key_id));
    raw.send(nearest_dc()).await;
    assert_eq!(raw.closed().await, Closed::Error(-404));
}

#[tokio::test]
async fn a_delayed_disconnect_happens_unless_it_is_put_off() {
    let (_tiny, mut raw) = greeted().await;
    let begun = tokio::time::Instant::now();
    raw.send(functions::PingDelayDisconnect { ping_id: 1, disconnect_delay: 1 }.to_bytes()).await;
    raw.expect(types::Pong::CONSTRUCTOR_ID).await;
    tokio::time::sleep(Duration::from_millis(600)).await;
    raw.send(functions::PingDelayDisconnect { ping_id: 2, disconnect_delay: 1 }.to_bytes()).await;
    raw.expect(types::Pong::CONSTRUCTOR_ID).await;
    raw.patience = Duration::from_secs(3);
    assert_eq!(raw.closed().await, Closed::Fin);
    let lasted = begun.elapsed();
    assert!((Duration::from_millis(1600)..Duration::from_millis(2300)).contains(&lasted), "{lasted:?}");
}

#[tokio::test]
async fn garbage_closes_its_own_connection_only() {
    let (tiny, mut raw) = greeted().await;
    for garbage in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        &[0x41; 80],
        b"\xee\xee\xee\xee\xff\xff\xff\x7f",
        b"\xef\x01abcd",
        b"\xef\x05\0\0\0\0\0\0\0\0morebytesmor",
    ] {
        let mut peer = Raw::new([1; 256]);
        peer.framing = Framing::Intermediate;
        peer.reconnect(tiny.address(2)).await;
        peer.write_bytes(garbage).await;
        assert!(
            matches!(peer.closed().await, Closed::Fin | Closed::Reset | Closed::Error(_)),
            "{garbage:x?}"
        );
    }
    let id = raw.send(nearest_dc()).await;
    assert_eq!(raw.result(id).await, nearest(2));

    let mut broken = raw.message(true, nearest_dc());
    broken.body = vec![7; 12];
    let mut frame = raw.seal(&broken);
    frame[30] ^= 1;
    raw.write_frame(&frame).await;
    assert_eq!(raw.closed().await, Closed::Error(-404));
}

#[tokio::test]
async fn a_request_after_another_waits_for_its_answer() {
    let (tiny, mut raw) = greeted().await;
    let (answer, later) = tokio::sync::oneshot::channel();
    *tiny.world.next.lock().unwrap() = Some(Answer::Later(later));
    let first = raw.send(get_config()).await;
    let second = raw
        .send(functions::InvokeAfterMsg { msg_id: first, query: functions::help::GetNearestDc {} }.to_bytes())
        .await;
    let third =
        functions::InvokeAfterMsgs { msg_ids: vec![first, second], query: functions::help::GetNearestDc {} };
    let third = raw.send(third.to_bytes()).await;
    assert!(raw.is_without_result(SHORT).await);
    answer.send(Answer::Result(nearest(8))).unwrap();
    assert_eq!(raw.result(first).await, nearest(8));
    assert_eq!(raw.result(second).await, nearest(2));
    assert_eq!(raw.result(third).await, nearest(2));

    *tiny.world.next.lock().unwrap() = Some(Answer::Error { code: 420, message: "FLOOD_WAIT_3".into() });
    let failed = raw.send(get_config()).await;
    let after = raw
        .send(
            functions::InvokeAfterMsg { msg_id: failed, query: functions::help::GetNearestDc {} }.to_bytes(),
        )
        .await;
    assert_eq!(raw.error(failed).await, (420, "FLOOD_WAIT_3".into()));
    assert_eq!(raw.error(after).await, (400, "MSG_WAIT_FAILED".into()));
}

#[tokio::test]
async fn service_requests_are_answered() {
    let (tiny, mut raw) = greeted().await;
    raw.send(functions::GetFutureSalts { num: 32 }.to_bytes()).await;
    let salts = raw.expect(types::FutureSalts::CONSTRUCTOR_ID).await;
    assert_eq!((salts.long(0), salts.int(12)), (raw.last_msg_id, 32));
    assert_eq!(salts.body.len(), 16 + 32 * 16);
    assert_eq!(salts.long(16 + 8), raw.salt);

    let (_answer, later) = tokio::sync::oneshot::channel::<Answer>();
    *tiny.world.next.lock().unwrap() = Some(Answer::Later(later));
    let running = raw.send(nearest_dc()).await;
    let answered = raw.send(nearest_dc()).await;
    let answer = raw.expect(RPC_RESULT).await;
    let asked = [running, answered, running - 4, running + (5 << 32)];
    raw.send_service(types::MsgsStateReq::CONSTRUCTOR_ID.to_bytes(), &asked).await;
    let states = raw.expect(types::MsgsStateInfo::CONSTRUCTOR_ID).await;
    assert_eq!(states.long(0), raw.last_msg_id);
    assert_eq!(states.body[8..13], [4, 44, 108, 2, 3]);

    let dropped = raw.send(functions::RpcDropAnswer { req_msg_id: running }.to_bytes()).await;
    let dropped_running = 0xcd78_e586_u32.to_bytes();
    assert_eq!(
        [raw.result(running).await, raw.result(dropped).await],
        [dropped_running.clone(), dropped_running]
    );
    let dropped = raw.send(functions::RpcDropAnswer { req_msg_id: answered }.to_bytes()).await;
    let dropped = raw.result(dropped).await;
    assert_eq!(
        dropped[..12],
        [types::RpcAnswerDropped::CONSTRUCTOR_ID.to_bytes(), answer.msg_id.to_bytes()].concat()
    );
    let unknown = raw.send(functions::RpcDropAnswer { req_msg_id: 4 }.to_bytes()).await;
    assert_eq!(raw.result(unknown).await, 0x5e2a_d36e_u32.to_bytes());

    let mut other = raw.another(tiny.address(2)).await;
    greet(&mut other).await;
    for (session, expected) in [
        (other.session_id, types::DestroySessionOk::CONSTRUCTOR_ID),
        (other.session_id, types::DestroySessionNone::CONSTRUCTOR_ID),
        (raw.session_id, types::DestroySessionNone::CONSTRUCTOR_ID),
    ] {
        raw.send(functions::DestroySession { session_id: session }.to_bytes()).await;
        assert_eq!(raw.expect(expected).await.long(0), session);
    }
    raw.send_service(types::HttpWait::CONSTRUCTOR_ID.to_bytes(), &[]).await;
    raw.send(functions::DestroyAuthKey {}.to_bytes()).await;
    raw.expect(0xf660_e1d4).await;
    raw.send(nearest_dc()).await;
    assert_eq!(raw.closed().await, Closed::Error(-404));
}

#[tokio::test]
async fn messages_are_sent_again_on_request_and_their_state_told_when_they_are_gone() {
    let (_tiny, mut raw) = greeted().await;
    let id = raw.send(nearest_dc()).await;
    let answer = raw.expect(RPC_RESULT).await;
    for (constructor, msg_id) in [(0x7d86_1a08_u32, answer.msg_id), (0x8610_baeb, id)] {
        raw.send_service(constructor.to_bytes(), &[msg_id]).await;
        assert_eq!(raw.expect(RPC_RESULT).await, answer);
    }
    raw.send_service(types::MsgsAck::CONSTRUCTOR_ID.to_bytes(), &[answer.msg_id]).await;
    raw.send_service(0x8610_baeb_u32.to_bytes(), &[id]).await;
    let states = raw.expect(types::MsgsStateInfo::CONSTRUCTOR_ID).await;
    assert_eq!(states.body[8..10], [1, 108]);
}

#[tokio::test]
async fn temporary_keys_cannot_be_bound() {
    let (tiny, mut raw) = greeted().await;
    let request = functions::auth::BindTempAuthKey {
        perm_auth_key_id: 1,
        nonce: 2,
        expires_at: 3,
        encrypted_message: vec![4; 40],
    };
    let id = raw.send(request.to_bytes()).await;
    assert_eq!(raw.error(id).await, (400, "ENCRYPTED_MESSAGE_INVALID".into()));
    assert_eq!(tiny.world.calls.lock().unwrap().len(), 1, "only the greeting reached the world");
}

#[tokio::test]
async fn the_world_hears_of_comings_and_goings_and_of_the_layer() {
    let (tiny, mut raw) = greeted().await;
    let wrapped = functions::InvokeWithLayer { layer: 201, query: functions::help::GetNearestDc {} };
    let id = raw.send(wrapped.to_bytes()).await;
    raw.result(id).await;
    let mut next = raw.another(tiny.address(2)).await;
    greet(&mut next).await;
    let layers: Vec<_> = tiny.world.calls.lock().unwrap().iter().map(|(caller, _)| caller.layer).collect();
    assert_eq!(layers, [0, 201, 201], "a new session of the key need not say it again");
    raw.close().await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    let presence = tiny.world.presence.lock().unwrap().clone();
    assert_eq!(presence, [(raw.session_id, true), (next.session_id, true), (raw.session_id, false)]);
}

#[tokio::test]
async fn old_sessions_make_room_for_new_ones() {
    let tiny = Tiny::start(Config { sessions_per_key: 3, ..Config::default() }).await;
    let mut first = Raw::new(tiny.keys.mint(2));
    first.reconnect(tiny.address(2)).await;
    greet(&mut first).await;
    let mut rest = Vec::new();
    for _ in 0..3 {
        let mut raw = first.another(tiny.address(2)).await;
        greet(&mut raw).await;
        rest.push(raw);
    }
    assert_eq!(first.closed().await, Closed::Fin);
    for raw in &mut rest {
        let id = raw.send(nearest_dc()).await;
        assert_eq!(raw.result(id).await, nearest(2));
    }
}

#[tokio::test]
async fn shutdown_closes_what_is_open() {
    let (tiny, mut raw) = greeted().await;
    let address = tiny.address(2);
    tiny.server.shutdown().await;
    assert!(matches!(raw.closed().await, Closed::Fin | Closed::Reset));
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}

const RPC_RESULT: u32 = 0xf35c_6d01;

async fn start() -> (Tiny, Raw) {
    let tiny = Tiny::start(Config::default()).await;
    let mut raw = Raw::new(tiny.keys.mint(2));
    raw.reconnect(tiny.address(2)).await;
    (tiny, raw)
}

/// A client that knows the salt and has had a first answer.
async fn greeted() -> (Tiny, Raw) {
    let (tiny, mut raw) = start().await;
    greet(&mut raw).await;
    (tiny, raw)
}

async fn greet(raw: &mut Raw) {
    raw.send(functions::help::GetInviteText {}.to_bytes()).await;
    raw.salt = raw.expect(types::BadServerSalt::CONSTRUCTOR_ID).await.long(16);
    let id = raw.send(functions::help::GetInviteText {}.to_bytes()).await;
    let created = raw.expect(types::NewSessionCreated::CONSTRUCTOR_ID).await;
    let answer = raw.expect(RPC_RESULT).await;
    assert_eq!(answer.long(0), id);
    raw.send_service(types::MsgsAck::CONSTRUCTOR_ID.to_bytes(), &[created.msg_id, answer.msg_id]).await;
    raw.first_msg_id = id;
}

fn nearest_dc() -> Vec<u8> {
    functions::help::GetNearestDc {}.to_bytes()
}

fn get_config() -> Vec<u8> {
    functions::help::GetConfig {}.to_bytes()
}

fn updates(raw: &Raw, message: &str) -> Push {
    Push::Updates { auth_key_id: raw.key_id(), body: notification(message) }
}

fn ack_of(msg_ids: &[i64]) -> Vec<u8> {
    let mut body = types::MsgsAck::CONSTRUCTOR_ID.to_bytes();
    msg_ids.to_vec().serialize(&mut body);
    body
}

fn broken_container() -> Vec<u8> {
    [0x73f1_f8dc_u32.to_bytes(), 2u32.to_bytes(), vec![0; 12]].concat()
}

fn container_of(message: &Message) -> Vec<u8> {
    [0x73f1_f8dc_u32.to_bytes(), 1u32.to_bytes(), message.to_bytes()].concat()
}
