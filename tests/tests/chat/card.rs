//! The business card: what comes with it, and how often.

use std::time::Duration;

use serde_json::json;
use tgtrunk_tests::chat_stage::{ChatStage, LIMIT, Options};
use tgtrunk_tests::chat_users::Seen;
use tgtrunk_tests::ffmpeg;
use tgtrunk_tests::light_user::Answering;
use tokio::time::sleep;

/// Long enough for a card that should not come.
const QUIET: Duration = Duration::from_secs(2);

fn of_the_company(seen: &Seen) -> bool {
    !seen.out && seen.action.is_none()
}

#[tokio::test(flavor = "multi_thread")]
async fn photo_and_contact_come_with_the_card_and_no_second_one_within_the_hour() {
    let options = Options {
        answering: Answering::Declines,
        line: |line| {
            line.set("call_back", "200").set("card_every_s", 3600).set("card_photo", "card.png").set(
                "card_contact",
                json!({ "phone": "+74951234567", "first_name": "Acme", "last_name": "Sales" }),
            )
        },
        ..Options::default()
    };
    let (stage, mut callers) = ChatStage::open(options).await.unwrap();
    let folder = stage.stage.installation.state.join(&stage.lines[0].phone);
    ffmpeg::picture(&folder.join("card.png")).unwrap();
    let caller = &mut callers[0];
    assert_eq!(stage.dial(0, "tg%23anna00").unwrap().await.unwrap().unwrap().failed, 1);
    let card = caller.chat.message("the card", LIMIT, |seen| !seen.buttons.is_empty()).await.unwrap();
    assert_eq!((card.buttons.len(), card.buttons[0].len()), (1, 1));
    sleep(QUIET).await;
    let with_it: Vec<_> =
        caller.chat.messages_so_far().into_iter().filter(of_the_company).map(|seen| seen.media).collect();
    assert_eq!(
        with_it,
        [Some("MessageMediaPhoto".to_owned()), Some("MessageMediaContact".to_owned())],
        "beside {card:?}"
    );
    assert_eq!(stage.dial(0, "tg%23anna00").unwrap().await.unwrap().unwrap().failed, 1);
    sleep(QUIET).await;
    let more: Vec<_> = caller.chat.messages_so_far().into_iter().filter(of_the_company).skip(2).collect();
    assert!(more.is_empty(), "{more:?}");
    stage.close().await.unwrap();
}

/// Without a bot, or without somebody to call back, it is a text.
#[tokio::test(flavor = "multi_thread")]
async fn a_line_without_call_back_sends_a_plain_card_for_each_attempt_if_told_so() {
    let options = Options {
        answering: Answering::Declines,
        line: |line| line.set("card_every_s", 0).set("company", "Acme"),
        ..Options::default()
    };
    let (stage, mut callers) = ChatStage::open(options).await.unwrap();
    let caller = &mut callers[0];
    for _ in 0..2 {
        assert_eq!(stage.dial(0, "tg%23anna00").unwrap().await.unwrap().unwrap().failed, 1);
        let card = caller.chat.message("the card", LIMIT, of_the_company).await.unwrap();
        assert!(card.buttons.is_empty() && !card.text.is_empty(), "{card:?}");
    }
    sleep(QUIET).await;
    let more: Vec<_> = caller.chat.messages_so_far().into_iter().filter(of_the_company).collect();
    assert!(more.is_empty(), "{more:?}");
    stage.close().await.unwrap();
}
