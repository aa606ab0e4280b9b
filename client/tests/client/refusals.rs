//! Callers whom the line's rules kept from the PBX.

use std::time::Duration;

use tgtrunk_config::control::{CallInfo, CallState, Direction, RefusedBy};

use crate::support::{Scene, eventually, info, line, stays};

const REFUSED: &str = "Unfortunately, we cannot take your call on Telegram.";

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_caller_is_told_once_also_by_the_next_process() {
    let rules = serde_json::json!({"deny": ["name:*"], "refused_message": true, "message_every_h": 1});
    let scene = Scene::new(line().set("from_telegram", rules)).await;
    let gateway = scene.gateway();
    scene.log_in().await;
    let client = scene.client().await;
    let refused = |number: u64, refused_by| CallInfo {
        state: CallState::Ended,
        refused_by,
        ..info(number, scene.anna, Direction::TelegramToPbx)
    };
    // The account meets her by her call.
    let (_anna, _, call) = scene.anna_calls(&gateway).await;
    gateway.ends(&call);
    let told = || scene.anna_sees().iter().filter(|message| message.text == REFUSED).count();
    gateway.tell(&refused(1, Some(RefusedBy::Hours)));
    gateway.tell(&refused(2, None));
    stays("no word of other calls", Duration::from_millis(500), || told() == 0).await;
    gateway.tell(&refused(3, Some(RefusedBy::List)));
    gateway.tell(&refused(4, Some(RefusedBy::List)));
    eventually("the message", || told() == 1).await;
    client.kill().await;
    let _client = scene.client().await;
    gateway.tell(&refused(5, Some(RefusedBy::List)));
    stays("one message", Duration::from_secs(1), || told() == 1).await;
}
