//! teloxide, as published, leads a bot of the test Telegram.

#![allow(clippy::unwrap_used, reason = "a test may fail by panic")]

use std::time::Duration;

use grammers_tl_types as tl;
use teloxide::dispatching::ShutdownToken;
use teloxide::prelude::*;
use teloxide::types::{
    InlineKeyboardButton, InlineKeyboardMarkup, InlineQueryResultArticle, InputMessageContent,
    InputMessageContentText,
};
use teloxide::{ApiError, RequestError};
use tgtrunk_test_telegram::world::{BotAction, BotInfo, BotMatch, Button, NewBot};
use tgtrunk_test_telegram::{NewUser, Options, TestTelegram};
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// What Telegram may take for anything here.
const SOON: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread")]
async fn a_keypad_is_offered_sent_and_pressed() {
    let stage = Stage::start().await;
    let (world, bot) = (stage.telegram.world(), &stage.info);
    let caller = world.add_user(NewUser::new("+79990000001", "Caller")).unwrap();
    let person = world.add_user(NewUser::new("+79990000002", "Person").language("ru")).unwrap();
    let device = world.device(caller).unwrap();

    let query = tl::functions::messages::GetInlineBotResults {
        bot: device.handle().input_user(bot.id),
        peer: tl::enums::InputPeer::Empty,
        geo_point: None,
        query: "keypad:1".to_owned(),
        offset: String::new(),
    };
    let asked = tokio::time::timeout(SOON, device.invoke(&query)).await.unwrap().unwrap();
    let tl::enums::messages::BotResults::Results(results) = asked;
    assert_eq!(results.results[0].id(), "keypad");
    let tl::enums::InputUser::User(to) = device.handle().input_user(person) else { panic!("no user") };
    device
        .invoke(&tl::functions::messages::SendInlineBotResult {
            silent: false,
            background: false,
            clear_draft: false,
            hide_via: false,
            peer: tl::types::InputPeerUser { user_id: to.user_id, access_hash: to.access_hash }.into(),
            reply_to: None,
            random_id: 1,
            query_id: results.query_id,
            id: "keypad".to_owned(),
            schedule_date: None,
            send_as: None,
            quick_reply_shortcut: None,
            allow_paid_stars: None,
        })
        .await
        .unwrap();

    let keypad = world.chat(person, caller).pop().unwrap();
    assert_eq!((keypad.text.as_str(), keypad.via_bot), ("Press a key", Some(bot.id)));
    let key = Button::Label("5".to_owned());
    let mut slowest = Duration::ZERO;
    for _ in 0..20 {
        let begin = Instant::now();
        let answer = tokio::time::timeout(SOON, world.press(person, keypad.id, &key)).await.unwrap().unwrap();
        slowest = slowest.max(begin.elapsed());
        assert_eq!(answer.text.as_deref(), Some("ru 5"));
    }
    println!("slowest of 20 presses: {slowest:?}");
    assert!(slowest < Duration::from_secs(1), "{slowest:?}");
    for (owner, other) in [(caller, person), (person, caller)] {
        assert_eq!(world.chat(owner, other).pop().unwrap().text, "Pressed 5");
    }
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_are_the_ones_that_teloxide_knows() {
    let stage = Stage::start().await;
    let (world, bot) = (stage.telegram.world(), stage.bot.clone());
    let user = world.add_user(NewUser::new("+79990000001", "User")).unwrap();
    let chat = ChatId(user);

    let error = |result: Result<Message, RequestError>| match result {
        Err(RequestError::Api(error)) => error,
        other => panic!("wanted an error of the API, got {other:?}"),
    };
    assert_eq!(error(bot.send_message(chat, "x").await), ApiError::ChatNotFound);
    world.say(user, stage.info.id, "hi").unwrap();
    let sent = bot.send_message(chat, "x").await.unwrap();
    assert_eq!(
        error(bot.edit_message_text(chat, sent.id, "x").await),
        ApiError::MessageNotModified,
        "the same text"
    );
    let far = teloxide::types::MessageId(sent.id.0 + 100);
    assert_eq!(error(bot.edit_message_text(chat, far, "y").await), ApiError::MessageToEditNotFound);
    let keys = InlineKeyboardMarkup::new([[InlineKeyboardButton::callback("1", "x".repeat(65))]]);
    assert_eq!(
        error(bot.send_message(chat, "x").reply_markup(keys).await),
        ApiError::ButtonDataInvalid,
        "data of 65 bytes"
    );
    world.set_blocked(user, stage.info.id, true);
    assert_eq!(error(bot.send_message(chat, "x").await), ApiError::BotBlocked);
    // teloxide knows the sentence in an older spelling: what Telegram says today it takes for unknown.
    let late = bot.answer_callback_query(teloxide::types::CallbackQueryId("1".to_owned())).await;
    let Err(RequestError::Api(ApiError::Unknown(text))) = &late else { panic!("{late:?}") };
    assert!(text.starts_with("Bad Request: query is too old"), "{text}");

    world.add_bot_fault(BotMatch::method("sendMessage").times(1), BotAction::RetryAfter { seconds: 7 });
    match bot.send_message(chat, "x").await {
        Err(RequestError::RetryAfter(wait)) => assert_eq!(wait.seconds(), 7),
        other => panic!("wanted to wait, got {other:?}"),
    }
    world.add_bot_fault(BotMatch::method("sendMessage").times(1), BotAction::Drop);
    assert!(matches!(bot.send_message(chat, "x").await, Err(RequestError::Network(_))));
    stage.stop().await;
}

/// A test Telegram and a bot that offers a keypad.
struct Stage {
    telegram: TestTelegram,
    info: BotInfo,
    bot: Bot,
    token: ShutdownToken,
    task: JoinHandle<()>,
}

impl Stage {
    async fn start() -> Self {
        let telegram = TestTelegram::start(Options::default()).await.unwrap();
        let info = telegram.world().add_bot(NewBot::new("line_bot", "Line")).unwrap();
        let bot = Bot::new(&info.token).set_api_url(telegram.bot_api_url().parse().unwrap());
        let tree = dptree::entry()
            .branch(Update::filter_inline_query().endpoint(offer))
            .branch(Update::filter_callback_query().endpoint(pressed));
        let mut dispatcher = Dispatcher::builder(bot.clone(), tree).build();
        let token = dispatcher.shutdown_token();
        let task = tokio::spawn(async move { dispatcher.dispatch().await });
        let begin = Instant::now();
        while telegram.world().count_bot(info.id, "getUpdates") == 0 {
            assert!(begin.elapsed() < SOON, "the bot never asked for updates");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Self { telegram, info, bot, token, task }
    }

    async fn stop(self) {
        // Its last poll ends with the test Telegram's next word: teloxide may have begun another poll
        // before it saw that it is to end, so the word is said until it has.
        let mut stopped = std::pin::pin!(self.token.shutdown().unwrap());
        let world = self.telegram.world().clone();
        let user = world.add_user(NewUser::new("+79990009999", "Waker")).unwrap();
        let begin = Instant::now();
        loop {
            world.say(user, self.info.id, "wake up").unwrap();
            if tokio::time::timeout(Duration::from_millis(200), &mut stopped).await.is_ok() {
                break;
            }
            assert!(begin.elapsed() < SOON * 4, "the bot does not stop");
        }
        tokio::time::timeout(SOON, self.task).await.unwrap().unwrap();
        self.telegram.shutdown().await;
    }
}

async fn offer(bot: Bot, query: InlineQuery) -> ResponseResult<()> {
    let content = InputMessageContent::Text(InputMessageContentText::new("Press a key"));
    let keys =
        InlineKeyboardMarkup::new([["4", "5", "6"].map(|key| InlineKeyboardButton::callback(key, key))]);
    let article = InlineQueryResultArticle::new("keypad", "Keypad", content).reply_markup(keys);
    bot.answer_inline_query(query.id, [article.into()]).cache_time(0).is_personal(true).await?;
    Ok(())
}

async fn pressed(bot: Bot, query: CallbackQuery) -> ResponseResult<()> {
    let data = query.data.unwrap_or_default();
    let language = query.from.language_code.unwrap_or_default();
    if let Some(id) = query.inline_message_id {
        let keys =
            InlineKeyboardMarkup::new([["4", "5", "6"].map(|key| InlineKeyboardButton::callback(key, key))]);
        // The second press of a key changes nothing, which is refused.
        let _same = bot.edit_message_text_inline(id, format!("Pressed {data}")).reply_markup(keys).await;
    }
    bot.answer_callback_query(query.id).text(format!("{language} {data}")).await?;
    Ok(())
}
