//! One fault at every message of a call, one call for each: on the PBX's side each SIP message lost, late, twice or overtaken; on
//! Telegram's side each push the same, and each piece of the stream late or cut. Whoever calls and whoever hangs up, the call comes
//! about and ends on both sides once, and so does the next one.

#![allow(clippy::unwrap_used)]

use tgtrunk_tests::faults::{Kind, Scene, run};
use tgtrunk_tests::figures::show;

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_at_any_message_between_pbx_and_gateway_ends_no_call() {
    hold(2, Kind::Sip { at_once: 4 }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_at_any_push_or_piece_of_telegram_ends_no_call_without_a_word() {
    hold(8, Kind::Telegram).await;
}

async fn hold(lines: usize, kind: Kind) {
    let scene = Scene::open(lines).await.unwrap();
    let (table, failures) = run(scene, kind).await.unwrap();
    show(&table);
    assert!(failures.is_empty(), "{} calls failed:\n{}", failures.len(), failures.join("\n"));
}
