//! What the bot tells the operator's own account: that a line is in trouble, once, and that it is over, once.

use std::time::Duration;

use tgtrunk_test_telegram::world::{Action, Match};
use tgtrunk_tests::chat_stage::{BOT, ChatStage, LIMIT, Options};
use tgtrunk_tests::chat_users::{ChatUser, Seen};
use tgtrunk_tests::program::Kind;
use tgtrunk_tests::sipp_exchange::Exchange;
use tokio::time::sleep;

/// Long enough for a second notice, were there one.
const QUIET: Duration = Duration::from_secs(4);
/// A letter is seen here before Telegram's answer reaches the bot, which strikes it off only then: killed in between, it
/// would rightly send the letter again.
const STRUCK_OFF: Duration = Duration::from_millis(500);

fn options() -> Options {
    Options { owners: true, notice_after_s: 1, ..Options::default() }
}

/// The next thing the bot tells, which names the line.
async fn notice(operator: &mut ChatUser, line: &str, what: &str) -> Seen {
    let wanted = |seen: &Seen| !seen.out && seen.text.contains(line);
    operator.message(what, LIMIT, wanted).await.unwrap()
}

async fn nothing_more(operator: &mut ChatUser, bot: i64) {
    sleep(QUIET).await;
    let more: Vec<_> =
        operator.messages_so_far().into_iter().filter(|seen| seen.chat == bot && !seen.out).collect();
    assert!(more.is_empty(), "{more:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pbx_that_goes_and_comes_back_is_told_of_once_each() {
    let (mut stage, _callers) = ChatStage::open(options()).await.unwrap();
    let (mut operator, line) = (stage.owner(0).unwrap(), stage.lines[0].phone.clone());
    let bot = stage.info.as_ref().unwrap().id;
    let port = stage.exchange.sip.port();
    stage.exchange.kill().unwrap();
    // OPTIONS are asked for every 5 s.
    let gone = notice(&mut operator, &line, "that the PBX is gone").await;
    sleep(STRUCK_OFF).await;
    // Told is told, whatever becomes of the bot.
    stage.kill(Kind::Bot).await.unwrap();
    stage.restart(Kind::Bot).await.unwrap();
    nothing_more(&mut operator, bot).await;
    stage.exchange = Exchange::start(Some(port), Duration::ZERO, false).unwrap();
    let over = notice(&mut operator, &line, "that it is back").await;
    nothing_more(&mut operator, bot).await;
    println!("{:?} and {:?}", gone.text, over.text);
    stage.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_is_told_of_with_its_end() {
    let (mut stage, _callers) = ChatStage::open(options()).await.unwrap();
    let (mut operator, line) = (stage.owner(0).unwrap(), stage.lines[0].clone());
    let flood = Action::Error { code: 420, message: "FLOOD_WAIT_6".to_owned() };
    stage.stage.world().add_fault(Match::method("phone.requestCall").user(line.account).once(), flood);
    let dialled = stage.dial(0, "tg%23anna00").unwrap();
    let began = notice(&mut operator, &line.phone, "that Telegram wants a pause").await;
    assert_eq!(dialled.await.unwrap().unwrap().failed, 1);
    let over = notice(&mut operator, &line.phone, "that the pause is over").await;
    nothing_more(&mut operator, stage.info.as_ref().unwrap().id).await;
    println!("{:?} and {:?}", began.text, over.text);
    stage.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_that_telegram_logged_out_is_told_of_with_its_number() {
    let (mut stage, _callers) = ChatStage::open(options()).await.unwrap();
    let (mut operator, line) = (stage.owner(0).unwrap(), stage.lines[0].clone());
    let gateway = stage.stage.world().keys_of(line.account)[0];
    assert!(stage.stage.world().revoke(gateway, "SESSION_REVOKED"));
    let red = notice(&mut operator, &line.phone, "that the line is red").await;
    nothing_more(&mut operator, stage.info.as_ref().unwrap().id).await;
    println!("{:?}", red.text);
    stage.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_is_gone_is_told_of() {
    let (mut stage, _callers) = ChatStage::open(options()).await.unwrap();
    let (mut operator, line) = (stage.owner(0).unwrap(), stage.lines[0].clone());
    let bot = stage.info.as_ref().unwrap().id;
    stage.gateway.take().unwrap().kill().await.unwrap();
    let wanted = |seen: &Seen| !seen.out && seen.chat == bot;
    let gone = operator.message("that the gateway is gone", LIMIT, wanted).await.unwrap();
    stage.gateway = Some(stage.stage.run(&[&line]).await.unwrap());
    let over = operator.message("that it is back", LIMIT, wanted).await.unwrap();
    nothing_more(&mut operator, bot).await;
    println!("{:?} and {:?} from {BOT}", gone.text, over.text);
    stage.close().await.unwrap();
}
