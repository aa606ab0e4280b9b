//! What is done when Telegram or the program takes long, says the same twice, or dies.

use std::time::Duration;

use serde_json::{Value, json};
use tgtrunk_test_telegram::world::{Action, Match};
use tokio::time::{Instant, sleep};

use crate::program::json_of;
use crate::stage::{ANNA, Stage, a_while, is_message, keys};
use crate::support::{COMPANY, eventually, stays};

#[tokio::test(flavor = "multi_thread")]
async fn what_is_queued_is_followed_until_it_is_done() {
    let stage = Stage::open().await;
    let mut jobs = Vec::new();
    for number in 0..3 {
        let said = json!({"dialog": format!("+{ANNA}"), "text": format!("q{number}"), "mode": "queue"});
        let told = stage.caller.asks("send_message", &said).await;
        let result = told.done("a queued message");
        assert_eq!(
            (keys(&result), &result["queued"]),
            (vec!["id_message".to_owned(), "queued".to_owned()], &json!(true))
        );
        jobs.push((told.job().clone(), result["id_message"].clone()));
    }
    for (number, (job, id)) in jobs.iter().enumerate() {
        let job = stage.caller.until_settled(job).await;
        assert_eq!(
            (&job["state"], &job["action"], &job["id_message"]),
            (&json!("done"), &json!("send_message"), id)
        );
        is_message(&job["result"]);
        assert_eq!(
            (&job["result"]["text"], &job["result"]["id_message"]),
            (&json!(format!("q{number}")), id)
        );
    }
    assert_eq!(stage.at_anna(), ["q0", "q1", "q2"]);
    // What is changed and asked can be queued too, and what is refused is told by its job.
    let of = |job: &Value| job["result"]["message_id"].clone();
    let sent = stage.caller.until_settled(&jobs[1].0).await;
    for (action, said, state) in [
        (
            "edit_message",
            json!({"dialog": stage.anna.id, "message_id": of(&sent), "text": "changed"}),
            "done",
        ),
        ("get_messages", json!({"dialog": stage.anna.id, "limit": 1}), "done"),
        ("edit_message", json!({"dialog": stage.anna.id, "message_id": 99_999, "text": "no"}), "failed"),
        ("send_message", json!({"dialog": "+79009999999", "text": "no"}), "failed"),
    ] {
        let mut said = said;
        said["mode"] = "queue".into();
        let told = stage.caller.asks(action, &said).await;
        told.done(action);
        let job = stage.caller.until_settled(told.job()).await;
        assert_eq!((&job["state"], &job["action"]), (&json!(state), &json!(action)), "{job}");
        assert_eq!(job["error"]["code"].is_string(), state == "failed", "{job}");
    }
    assert_eq!(stage.at_anna(), ["q0", "changed", "q2"]);
    for strange in ["0123456789abcdef01234567", "x", "%20", "a/b"] {
        let told = stage.caller.job(&json!(strange)).await;
        told.refused("bad_request", strange);
        assert_eq!(told.status, 404, "{strange}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_does_not_wait_so_long_hears_which_job_goes_on() {
    let stage = Stage::open().await;
    stage.does("get_profile", json!({"dialog": format!("+{ANNA}")})).await;
    let slow = Match::method("messages.sendMessage").user(stage.own.id).once();
    stage.scene.world().add_fault(slow, Action::Delay { ms: 4_000 });
    let began = Instant::now();
    let said = json!({"dialog": stage.anna.id, "text": "slow", "timeout_ms": 1_000});
    let told = stage.caller.asks("send_message", &said).await;
    let error = told.refused("timeout", "a slow answer");
    assert_eq!(told.status, 504);
    assert!(began.elapsed() < Duration::from_millis(3_500), "{:?}", began.elapsed());
    assert_eq!(error["retryable"], false, "without a key it would be sent twice: {error}");
    let job = told.job().clone();
    assert!(error["message"].as_str().unwrap().contains(job.as_str().unwrap()), "{error}");
    assert_eq!(stage.caller.job(&job).await.done("a job")["state"], "waiting");
    let done = stage.caller.until_settled(&job).await;
    assert_eq!(done["state"], "done", "{done}");
    let got = stage.anna_gets(|message| message["text"] == "slow").await;
    assert_eq!(got["date"], done["result"]["date_unix"]);

    // Nothing is begun where it is only asked.
    let slow = Match::method("messages.getHistory").user(stage.own.id).once();
    stage.scene.world().add_fault(slow, Action::Delay { ms: 3_000 });
    let said = json!({"dialog": stage.anna.id, "timeout_ms": 500});
    let told = stage.caller.asks("get_messages", &said).await;
    told.refused("timeout", "a slow answer");
    assert_eq!((told.status, &told.body["job_id"]), (504, &Value::Null));
    a_while().await;
    assert_eq!(stage.at_anna(), ["slow"], "it was sent once");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_key_is_one_message() {
    let stage = Stage::open().await;
    let said = json!({"dialog": format!("+{ANNA}"), "text": "Once", "idempotency_key": "order-7"});
    let calls: Vec<_> = (0..10)
        .map(|number| {
            let (caller, mut said) = (stage.caller.clone(), said.clone());
            // How it is answered, and in what order it is said, makes no other request of it.
            said["timeout_ms"] = (20_000 + number).into();
            if number % 2 == 0 {
                said["silent"] = Value::Null;
            }
            tokio::spawn(async move { caller.asks("send_message", &said).await })
        })
        .collect();
    let mut all = Vec::new();
    for call in calls {
        all.push(call.await.unwrap());
    }
    let first = (all[0].job().clone(), all[0].done("the first"));
    for told in &all {
        assert_eq!((told.job(), &told.done("the same")), (&first.0, &first.1));
    }
    a_while().await;
    assert_eq!(stage.at_anna(), ["Once"]);
    // By the header as well, in whatever mode.
    let address = format!("{}/api/v1/actions/send_message", stage.caller.url);
    let body = json!({"dialog": format!("+{ANNA}"), "text": "Once"}).to_string();
    let request = stage.caller.http.post(address).bearer_auth(&stage.caller.token).body(body);
    let request = request.header("idempotency-key", "order-7").header("content-type", "application/json");
    let told = crate::stage::Told::of(request.send().await.unwrap()).await;
    assert_eq!((told.job(), &told.done("by the header")), (&first.0, &first.1));

    for (action, change) in [
        ("send_message", json!({"text": "Twice"})),
        ("send_message", json!({"silent": true})),
        ("send_location", json!({"latitude": 1, "longitude": 1})),
        ("edit_message", json!({"message_id": 1})),
    ] {
        let mut other = said.clone();
        if action == "send_location" {
            other.as_object_mut().unwrap().remove("text");
        }
        other.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let told = stage.caller.asks(action, &other).await;
        let error = told.refused("bad_request", "another request");
        assert_eq!(told.status, 409);
        assert!(error["message"].as_str().unwrap().contains("'idempotency_key'"), "{error}");
    }
    // A refusal that stays one is told again; nothing is tried anew.
    let said = json!({"dialog": "+79009999999", "text": "no", "idempotency_key": "order-8"});
    let (one, two) =
        (stage.caller.asks("send_message", &said).await, stage.caller.asks("send_message", &said).await);
    one.refused("no_telegram_account", "the first time");
    assert_eq!((one.job(), &one.body), (two.job(), &two.body));
    assert_eq!((stage.at_anna(), stage.queued().await), (vec!["Once".to_owned()], json!(0)));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_key_is_one_message_wherever_the_program_dies() {
    let mut stage = Stage::open().await;
    stage.does("get_profile", json!({"dialog": format!("+{ANNA}")})).await;
    let mut wanted = Vec::new();
    for (number, fault) in
        [Action::Silence, Action::LoseAnswer, Action::Delay { ms: 200 }].into_iter().enumerate()
    {
        let text = format!("kill {number}");
        let account = stage.own.id;
        stage
            .scene
            .world()
            .add_fault(Match::method("messages.sendMessage").user(account).once(), fault.clone());
        let said = json!({"dialog": stage.anna.id, "text": text, "idempotency_key": text});
        let (caller, asked) = (stage.caller.clone(), said.clone());
        let under_way = tokio::spawn(async move { caller.called("send_message", &asked).await });
        eventually("Telegram is asked", || stage.scene.world().faults()[0].acted == 1).await;
        if fault != Action::Silence {
            eventually("it is there", || stage.at_anna().contains(&text)).await;
        }
        stage.kill().await;
        under_way.abort();
        stage.scene.world().clear_faults();
        stage.start().await;
        let told = stage.caller.asks("send_message", &said).await;
        let sent = told.done("the same again");
        assert_eq!(sent["text"], text);
        wanted.push(text);
        assert_eq!(stage.at_anna(), wanted);
        let seen = stage.own.message(stage.anna.id, |message| message["text"] == sent["text"]).await;
        assert_eq!(seen["id"], sent["message_id"], "{sent}");
        let job = stage.caller.job(told.job()).await.done("its job");
        assert_eq!((&job["state"], &job["result"]), (&json!("done"), &sent));
    }
    a_while().await;
    assert_eq!(stage.at_anna(), wanted);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_telegram_asks_to_wait_longer_nothing_goes_out_later() {
    let stage = Stage::open().await;
    stage.does("get_profile", json!({"dialog": format!("+{ANNA}")})).await;
    let flood = |seconds: u32| {
        let fault = Action::Error { code: 420, message: format!("FLOOD_WAIT_{seconds}") };
        stage.scene.world().add_fault(Match::method("messages.sendMessage").user(stage.own.id).once(), fault);
    };
    // Short enough to be waited for.
    flood(1);
    let began = Instant::now();
    stage.does("send_message", json!({"dialog": stage.anna.id, "text": "after a second"})).await;
    assert!(began.elapsed() >= Duration::from_secs(1));

    flood(6);
    let said =
        json!({"dialog": stage.anna.id, "text": "too late", "timeout_ms": 2_000, "idempotency_key": "f"});
    let told = stage.caller.asks("send_message", &said).await;
    let error = told.refused("flood_wait", "a long wait");
    assert_eq!((told.status, &error["retryable"]), (429, &json!(true)));
    let seconds = error["retry_after"].as_u64().unwrap();
    assert!((5..=7).contains(&seconds), "{error}");
    assert!(error["message"].as_str().unwrap().contains(&seconds.to_string()), "{error}");
    assert_eq!(stage.queued().await, 0, "nothing is queued");
    // The whole account rests: Telegram is not asked again.
    let before = stage.scene.world().count(stage.own.id, "messages.sendMessage");
    let other = json!({"dialog": stage.boris.id, "text": "neither", "timeout_ms": 500});
    stage.refuses("send_message", other, "flood_wait").await;
    assert_eq!(stage.scene.world().count(stage.own.id, "messages.sendMessage"), before);
    // A queued one waits for it.
    let queued = json!({"dialog": stage.anna.id, "text": "queued", "mode": "queue"});
    let job = stage.caller.asks("send_message", &queued).await;
    stays("nothing is sent", Duration::from_secs(2), || stage.at_anna() == ["after a second"]).await;
    assert_eq!(stage.caller.until_settled(job.job()).await["state"], "done");
    a_while().await;
    assert_eq!(stage.at_anna(), ["after a second", "queued"]);
    // It was refused for now: under its key it is sent now.
    stage.does("send_message", said).await;
    assert_eq!(stage.at_anna(), ["after a second", "queued", "too late"]);
}

/// What was promised by `queued` is not taken back because somebody asks again and does not wait so long.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_queued_stays_so_when_it_is_asked_for_again() {
    let stage = Stage::open().await;
    stage.does("get_profile", json!({"dialog": format!("+{ANNA}")})).await;
    let fault = Action::Error { code: 420, message: "FLOOD_WAIT_5".to_owned() };
    stage.scene.world().add_fault(Match::method("messages.sendMessage").user(stage.own.id).once(), fault);
    let mut said = json!({"dialog": stage.anna.id, "text": "kept", "mode": "queue", "idempotency_key": "k"});
    let told = stage.caller.asks("send_message", &said).await;
    eventually("Telegram is asked", || stage.scene.world().faults()[0].acted == 1).await;
    sleep(Duration::from_millis(300)).await;
    said["mode"] = "wait".into();
    said["timeout_ms"] = 500.into();
    let again = stage.caller.asks("send_message", &said).await;
    assert_eq!((again.job(), &again.body["ok"]), (told.job(), &json!(false)), "{again:?}");
    let job = stage.caller.until_settled(told.job()).await;
    assert_eq!(job["state"], "done", "{job}");
    assert_eq!(stage.at_anna(), ["kept"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_queued_before_the_login_goes_out_after_it() {
    let stage = Stage::without_session().await;
    let said = json!({"dialog": format!("+{ANNA}"), "text": "waits"});
    let told = stage.caller.asks("send_message", &said).await;
    let error = told.refused("not_authorized", "no session");
    assert_eq!((told.status, stage.queued().await), (409, json!(0)));
    assert!(error["message"].as_str().unwrap().contains("\"mode\":\"queue\""), "{error}");
    for (action, said) in [
        ("get_dialogs", json!({})),
        ("get_messages", json!({"dialog": stage.anna.id})),
        ("delete_message", json!({"dialog": stage.anna.id, "message_ids": [1]})),
        ("edit_message", json!({"dialog": stage.anna.id, "message_id": 1, "text": "x"})),
        ("get_profile", json!({"dialog": format!("+{ANNA}")})),
        (
            "forward_message",
            json!({"dialog": "+79001112244", "from_dialog": format!("+{ANNA}"), "message_ids": [1]}),
        ),
    ] {
        let mut said = said;
        said["timeout_ms"] = 15_000.into();
        stage.refuses(action, said, "not_authorized").await;
    }
    let card = stage.does("get_profile", json!({})).await;
    assert_eq!((&card["state"], &card["id"]), (&json!("notAuthorized"), &Value::Null), "{card}");
    let mut queued = said;
    queued["mode"] = "queue".into();
    let told = stage.caller.asks("send_message", &queued).await;
    told.done("it waits");
    assert_eq!(stage.queued().await, 1);
    assert_eq!(stage.caller.job(told.job()).await.done("a job")["state"], "waiting");
    let notice = json!({"recipient": format!("+{ANNA}"), "text": "a notice"});
    let address = format!("{}/api/v1/notify", stage.caller.url);
    let notified = stage.caller.http.post(address).bearer_auth(&stage.caller.token).body(notice.to_string());
    let notified = json_of(notified.send().await.unwrap()).await;
    assert_eq!(
        (&notified["ok"], &notified["result"]["state"]),
        (&json!(true), &json!("queued")),
        "{notified}"
    );

    let number: i64 = COMPANY.parse().unwrap();
    stage.program.post("startAuthorization", json!({"phoneNumber": number})).await;
    let code = stage.scene.world().pending_login_code(COMPANY).unwrap();
    let done = stage.program.post("sendAuthorizationCode", json!({"code": code})).await;
    assert_eq!(done["status"], true, "{done}");
    let job = stage.caller.until_settled(told.job()).await;
    assert_eq!(job["state"], "done", "{job}");
    eventually("the notification goes out", || stage.at_anna() == ["waits", "a notice"]).await;
}
