//! What is sent at its time.

use std::time::Duration;

use chrono::{DateTime, FixedOffset, Local, TimeZone as _, Utc};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::stage::{ANNA, Stage, unix_ms};

#[tokio::test(flavor = "multi_thread")]
async fn a_message_goes_out_at_its_time_however_that_is_written() {
    let stage = Stage::open().await;
    let anna = format!("+{ANNA}");
    // Nobody is looked up when it is time.
    stage.does("get_profile", json!({"dialog": anna})).await;
    let at_ms = (unix_ms() / 1000 + 8) * 1000;
    let at: DateTime<Utc> = Utc.timestamp_millis_opt(at_ms).unwrap();
    let moscow = at.with_timezone(&FixedOffset::east_opt(3 * 3600).unwrap());
    let forms = [
        ("seconds", json!(at_ms / 1000)),
        ("milliseconds", json!(at_ms)),
        ("seconds as words", json!((at_ms / 1000).to_string())),
        ("an object of JavaScript", json!(at.format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string())),
        ("with a zone", json!(moscow.to_rfc3339())),
        ("without one", json!(at.with_timezone(&Local).format("%Y-%m-%dT%H:%M:%S").to_string())),
    ];
    let mut jobs = Vec::new();
    for (text, schedule_at) in &forms {
        let said = json!({"dialog": anna, "text": text, "schedule_at": schedule_at, "past": "error"});
        let told = stage.caller.asks("send_message", &said).await;
        let result = told.done(text);
        assert_eq!(result["scheduled"], true, "{result}");
        assert_eq!(result["job_id"], *told.job());
        assert!(result["id_message"].is_string(), "{result}");
        let told_ms = result["schedule_at"].as_str().unwrap().parse::<DateTime<Utc>>().unwrap();
        assert!((told_ms.timestamp_millis() - at_ms).abs() < 1000, "{text}: {result}, not {at}");
        jobs.push(told.job().clone());
    }
    for job in &jobs {
        let job = stage.caller.job(job).await.done("a job");
        assert_eq!((&job["state"], &job["finished"]), (&json!("waiting"), &Value::Null), "{job}");
    }
    assert_eq!(stage.queued().await, forms.len());
    // What a client of GREEN-API empties is its own: it means what is to go out now.
    assert_eq!(stage.program.get("getMessagesCount").await["count"], 0);
    assert_eq!(stage.program.get("clearMessagesQueue").await["isCleared"], true);
    assert_eq!(stage.queued().await, forms.len(), "what is due later was taken out");
    // Others do not wait behind them.
    stage.does("send_message", json!({"dialog": anna, "text": "at once"})).await;
    assert_eq!(stage.at_anna(), ["at once"]);
    assert!(unix_ms() < at_ms - 1_000, "the machine is too busy for this test");
    let left = u64::try_from(at_ms - 1_000 - unix_ms()).unwrap();
    sleep(Duration::from_millis(left)).await;
    assert_eq!(stage.at_anna(), ["at once"], "not before its time");
    for (job, (text, _)) in jobs.iter().zip(&forms) {
        let job = stage.caller.until_settled(job).await;
        assert_eq!((&job["state"], &job["result"]["text"]), (&json!("done"), &json!(text)), "{job}");
    }
    let mut wanted = vec!["at once"];
    wanted.extend(forms.iter().map(|(text, _)| *text));
    assert_eq!(stage.at_anna(), wanted);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_to_be_sent_in_the_past_is_sent_now_or_refused() {
    let stage = Stage::open().await;
    let anna = format!("+{ANNA}");
    let late = json!({"dialog": anna, "text": "late", "schedule_at": "2020-01-01T10:00:00Z"});
    let sent = stage.does("send_message", late.clone()).await;
    assert_eq!(sent["text"], "late");
    let mut refused = late;
    refused["past"] = "error".into();
    let error = stage.refuses("send_message", refused, "bad_request").await;
    let sentence = error["message"].as_str().unwrap();
    assert!(sentence.contains("'schedule_at'") && sentence.contains("2020"), "{sentence}");
    for (value, named) in
        [(json!("tomorrow"), "tomorrow"), (json!(unix_ms() + 400 * 86_400_000), "366"), (json!(true), "true")]
    {
        let said = json!({"dialog": anna, "text": "never", "schedule_at": value});
        let error = stage.refuses("send_message", said, "bad_request").await;
        assert!(error["message"].as_str().unwrap().contains(named), "{error}");
    }
    assert_eq!((stage.at_anna(), stage.queued().await), (vec!["late".to_owned()], json!(0)));
}

/// Its number is known before it is sent: by it, it is changed and taken back.
#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_its_time_outlives_the_program_and_can_be_changed_and_taken_back() {
    let mut stage = Stage::open().await;
    let anna = format!("+{ANNA}");
    stage.does("send_message", json!({"dialog": anna, "text": "Hello"})).await;
    let at_ms = unix_ms() + 9_000;
    let later = async |text: &str| {
        let said = json!({"dialog": anna, "text": text, "schedule_at": at_ms, "silent": true});
        stage.does("send_message", said).await
    };
    let (kept, gone) = (later("to be changed").await, later("to be taken back").await);
    let edit =
        json!({"dialog": anna, "message_id": kept["id_message"], "text": "*changed*", "format": "markdown"});
    stage.does("edit_message", edit).await;
    let taken = json!({"dialog": anna, "message_ids": [gone["id_message"]]});
    assert_eq!(stage.does("delete_message", taken).await, json!({"deleted": 1, "failed": []}));
    let job = stage.caller.until_settled(&gone["job_id"]).await;
    assert_eq!(job["state"], "failed", "{job}");
    stage.kill().await;
    stage.start().await;
    let job = stage.caller.until_settled(&kept["job_id"]).await;
    assert!(unix_ms() >= at_ms, "not before its time: {job}");
    assert_eq!(job["state"], "done", "{job}");
    let got = stage.anna_gets(|message| message["text"] == "changed").await;
    assert_eq!(
        (&got["entities"], &got["silent"]),
        (&json!([["MessageEntityBold", "changed"]]), &json!(true))
    );
    assert_eq!(stage.at_anna(), ["Hello", "changed"]);
}
