//! What callers are told whom a line's rules keep from the PBX: once in a while, and only where a setting says so.

use std::time::Duration;

use serde_json::json;
use tgtrunk_config::LineDraft;
use tgtrunk_tests::chat_stage::{Caller, ChatStage, LIMIT, Options};
use tgtrunk_tests::chat_users::Seen;
use tgtrunk_tests::light_user::Reason;
use tgtrunk_tests::stage::Line;
use tokio::time::sleep;

/// Long enough for a message that does not come.
const QUIET: Duration = Duration::from_secs(3);

/// One line for each kind: a list that tells, hours that tell, and a list and hours without a word.
fn rules(draft: LineDraft) -> LineDraft {
    let phone = draft.phone().map(|phone| phone.to_string()).unwrap_or_default();
    let (list, hours) = match phone.as_str() {
        "+79060000000" => (json!({"deny": ["@anna00"], "refused_message": true}), json!({})),
        "+79060000001" => (json!({}), json!({"work": [never()], "outside": "busy", "outside_message": true})),
        _ => (json!({"deny": ["@anna00"]}), json!({"work": [never()], "outside": "busy"})),
    };
    // Nothing else is said to a caller.
    let draft = draft.set("keypad", false).set("card", false).set("language", "en");
    draft.set("from_telegram", list).set("hours", hours)
}

/// A minute that is half a day away.
fn never() -> String {
    let hour = (chrono::Local::now().format("%H").to_string().parse::<u32>().unwrap_or(0) + 12) % 24;
    format!("daily {hour:02}:00-{hour:02}:01")
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_kept_out_is_told_why_once_in_a_day_where_a_setting_says_so() {
    let options = Options { lines: 3, callers: 2, bot: false, line: rules, ..Options::default() };
    let (stage, mut callers) = ChatStage::open(options).await.unwrap();
    let lines = stage.lines.clone();
    for (line, text) in [
        (&lines[0], "Unfortunately, we cannot take your call on Telegram."),
        (&lines[1], "We are closed at the moment. Please call us again during our hours."),
    ] {
        let caller = &mut callers[0];
        refused(caller, line).await;
        let wanted = |seen: &Seen| !seen.out && seen.action.is_none();
        let told = caller.chat.message("why", LIMIT, wanted).await.unwrap();
        assert_eq!((told.text.as_str(), told.chat), (text, line.account));
        refused(caller, line).await;
        nothing(caller).await;
    }
    refused(&mut callers[0], &lines[2]).await;
    nothing(&mut callers[0]).await;
    // Whoever may call is told nothing, and talks.
    let call = callers[1].device.call(lines[0].account).await.unwrap();
    callers[1].device.connected(LIMIT).await.unwrap();
    callers[1].device.hang_up(call, Reason::Hangup).await;
    nothing(&mut callers[1]).await;
    stage.close().await.unwrap();
}

async fn refused(caller: &mut Caller, line: &Line) {
    caller.device.call(line.account).await.unwrap();
    assert_eq!(caller.device.discarded(LIMIT).await.unwrap(), (Some(Reason::Busy), 0));
}

async fn nothing(caller: &mut Caller) {
    sleep(QUIET).await;
    let seen = caller.chat.messages_so_far();
    let told: Vec<_> = seen.iter().filter(|seen| !seen.out && seen.action.is_none()).collect();
    assert!(told.is_empty(), "{told:?}");
}
