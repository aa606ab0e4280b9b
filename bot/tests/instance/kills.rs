//! What was accepted or came outlives kill -9, and nothing is sent twice.

use std::time::Duration;

use serde_json::{Value, json};
use tgtrunk_test_telegram::world::{BotAction, BotMatch};
use tokio::time::{Instant, sleep};

use crate::support::{SOON, Stage, WHILE};

fn queued(stage: &Stage, text: &str) -> Value {
    json!({"dialog": stage.anna.id, "text": text, "mode": "queue", "idempotency_key": text})
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_accepted_is_sent_once_and_in_order_though_the_bot_is_killed() {
    let mut stage = Stage::open().await;
    // Telegram takes nothing while they are accepted.
    let rule = stage
        .scene
        .world()
        .add_bot_fault(BotMatch::method("sendMessage"), BotAction::RetryAfter { seconds: 1 });
    let mut jobs = Vec::new();
    for number in 1..=4 {
        let (status, told) = stage.calls("send_message", &queued(&stage, &format!("заказ {number}"))).await;
        assert_eq!(status, 200, "{told}");
        jobs.push(told["job_id"].as_str().unwrap().to_owned());
    }
    stage.kill().await;
    stage.scene.world().remove_bot_fault(rule);
    assert_eq!(stage.count("заказ 1"), 0);
    stage.run().await;
    // Between two messages the queue rests for half a second.
    stage.job(&jobs[0]).await;
    stage.kill().await;
    stage.run().await;
    for job in &jobs {
        let told = stage.job(job).await;
        assert_eq!(told["state"], "done", "{told}\n{}", stage.log());
    }
    let again = stage.calls("send_message", &queued(&stage, "заказ 2")).await.1;
    assert_eq!(again["job_id"], jobs[1].as_str(), "{again}");
    sleep(WHILE).await;
    let chat = stage.scene.world().chat(stage.anna.id, stage.info.id);
    let texts: Vec<_> =
        chat.iter().filter(|one| one.text.starts_with("заказ")).map(|one| one.text.as_str()).collect();
    assert_eq!(texts, ["заказ 1", "заказ 2", "заказ 3", "заказ 4"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_telegram_may_have_is_not_sent_a_second_time_and_its_program_is_told() {
    let mut stage = Stage::open().await;
    let world = stage.scene.world().clone();
    world.add_bot_fault(BotMatch::method("sendMessage").times(1), BotAction::LoseAnswer);
    let said = json!({"dialog": stage.anna.id, "text": "ответ потерян"});
    let error = stage.refuses("send_message", said, "internal").await;
    assert_eq!((&error["may_be_sent"], &error["retryable"]), (&json!(true), &json!(false)), "{error}");

    let rule = world.add_bot_fault(BotMatch::method("sendMessage"), BotAction::Hang);
    let before = world.count_bot(stage.info.id, "sendMessage");
    let (_, told) = stage.calls("send_message", &queued(&stage, "в пути")).await;
    let limit = Instant::now() + SOON;
    while world.count_bot(stage.info.id, "sendMessage") == before {
        assert!(Instant::now() < limit, "it is not handed over: {}", stage.log());
        sleep(Duration::from_millis(20)).await;
    }
    stage.kill().await;
    world.remove_bot_fault(rule);
    stage.run().await;
    let job = stage.job(told["job_id"].as_str().unwrap()).await;
    assert_eq!(job["error"]["may_be_sent"], true, "{job}");
    let said = json!({"dialog": stage.anna.id, "text": "дальше"});
    stage.does("send_message", said).await;
    assert_eq!((stage.count("ответ потерян"), stage.count("в пути"), stage.count("дальше")), (1, 0, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_on_its_way_when_the_bot_is_ended_in_order_is_sent_once() {
    let mut stage = Stage::open().await;
    let world = stage.scene.world().clone();
    world.add_bot_fault(BotMatch::method("sendMessage").times(1), BotAction::Delay { ms: 1_500 });
    let before = world.count_bot(stage.info.id, "sendMessage");
    let (_, told) = stage.calls("send_message", &queued(&stage, "в пути")).await;
    let (_, next) = stage.calls("send_message", &queued(&stage, "за ним")).await;
    let limit = Instant::now() + SOON;
    while world.count_bot(stage.info.id, "sendMessage") == before {
        assert!(Instant::now() < limit, "it is not handed over: {}", stage.log());
        sleep(Duration::from_millis(20)).await;
    }
    stage.end().await;
    stage.run().await;
    for job in [told, next] {
        let job = stage.job(job["job_id"].as_str().unwrap()).await;
        assert_eq!(job["state"], "done", "{job}\n{}", stage.log());
    }
    assert_eq!((stage.count("в пути"), stage.count("за ним")), (1, 1));
}

/// One answer does not keep the queue still until the next look at the bot, which is minutes away.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_telegram_did_not_know_at_one_call_is_looked_at_again_soon() {
    let stage = Stage::open().await;
    let refusal = BotAction::Error { code: 401, description: "Unauthorized".to_owned() };
    stage.scene.world().add_bot_fault(BotMatch::method("sendMessage").times(1), refusal);
    let (_, told) = stage.calls("send_message", &queued(&stage, "после отказа")).await;
    let job = stage.job(told["job_id"].as_str().unwrap()).await;
    assert_eq!((&job["state"], stage.count("после отказа")), (&json!("done"), 1), "{job}\n{}", stage.log());
}

/// The journal is asked, though Telegram cannot be reached when the bot begins.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_journal_knows_is_told_before_telegram_is_reached() {
    let mut stage = Stage::open().await;
    stage.does("send_message", json!({"dialog": stage.anna.id, "text": "до простоя"})).await;
    stage.end().await;
    let down = BotMatch::method("getMe").times(1);
    stage.scene.world().add_bot_fault(down, BotAction::Html { code: 502 });
    stage.run().await;
    let asked = Instant::now();
    let told = stage.does("get_messages", json!({"dialog": stage.anna.id})).await;
    assert_eq!((&told["messages"][0]["text"], &told["source"]), (&json!("до простоя"), &json!("journal")));
    let told = stage.does("get_dialogs", json!({})).await;
    assert_eq!(told["source"], "journal", "{told}");
    assert!(asked.elapsed() < Duration::from_secs(10), "they waited for Telegram: {:?}", asked.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_whose_person_telegram_does_not_find_any_more_is_nobodys() {
    let stage = Stage::open().await;
    let gone = BotAction::Error { code: 400, description: "Bad Request: chat not found".to_owned() };
    stage.scene.world().add_bot_fault(BotMatch::method("getChat").times(1), gone);
    let said = json!({"dialog": "@anna_a", "text": "чужое"});
    stage.refuses("send_message", said, "dialog_not_found").await;
    assert_eq!(stage.count("чужое"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_people_write_is_in_the_journal_before_telegram_forgets_it() {
    let mut stage = Stage::open().await;
    let bot = stage.info.id;
    stage.anna.can("send", json!({"chat": bot, "text": "раз"})).await;
    stage.kill().await;
    stage.anna.can("send", json!({"chat": bot, "text": "два"})).await;
    stage.run().await;
    stage.anna.can("send", json!({"chat": bot, "text": "три"})).await;
    let limit = Instant::now() + SOON;
    let texts = loop {
        let told = stage.does("get_messages", json!({"dialog": stage.anna.id, "limit": 100})).await;
        let came = told["messages"].as_array().unwrap().iter().filter(|message| message["out"] == false);
        let texts: Vec<_> = came.map(|message| message["text"].as_str().unwrap().to_owned()).collect();
        if texts.first().is_some_and(|text| text == "три") {
            break texts;
        }
        assert!(Instant::now() < limit, "{told}");
        sleep(Duration::from_millis(50)).await;
    };
    assert_eq!(texts, ["три", "два", "раз", "/start"]);
}
