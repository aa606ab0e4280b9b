//! Statuses of the action API that are not their codes' own, each by its cause.

use serde_json::{Value, json};
use tgtrunk_messages::Standing;

use crate::actions::Stage;
use crate::support::Room;

/// An action that is refused, and nothing is done of it.
async fn refused(stage: &Stage, action: &str, said: Value, wanted: (u16, &str, bool)) -> Value {
    let (status, error) = stage.refused(action, said).await;
    let error = error["error"].clone();
    let told = (status, error["code"].as_str().unwrap(), error["retryable"] == true);
    assert_eq!(told, wanted, "{action}: {error}");
    assert!(stage.telegram().texts().is_empty());
    error
}

fn hello() -> Value {
    json!({"dialog": 5, "text": "hello"})
}

#[tokio::test]
async fn a_token_of_one_line_is_not_good_for_another() {
    let stage = Stage::new().await;
    let mut said = hello();
    said["line"] = "+79990000002".into();
    let error = refused(&stage, "send_message", said, (403, "unauthorized", false)).await;
    assert!(error["message"].as_str().unwrap().contains("'line'"), "{error}");
    assert_eq!(stage.instance.queue_len().await, Ok(0));
}

#[tokio::test]
async fn a_line_that_is_starting_is_to_be_asked_again() {
    let stage = Stage::new().await;
    let job = stage.done("get_profile", json!({})).await["job_id"].clone();
    stage.house.leave(stage.instance.id());
    let error = refused(&stage, "send_message", hello(), (503, "not_authorized", true)).await;
    assert!(error["retry_after"].as_u64().is_some_and(|seconds| seconds > 0), "{error}");
    let url = format!("{}/api/v1/jobs/{}", stage.base, job.as_str().unwrap_or("0123456789abcdef01234567"));
    let told = stage.client.get(url).bearer_auth("one").send().await.unwrap();
    assert!(told.headers().contains_key("retry-after"));
    assert_eq!(told.status(), 503);
}

#[tokio::test]
async fn a_failing_disk_and_a_full_one_are_told_and_nothing_of_what_the_database_said() {
    let stage = Stage::new().await;
    stage.telegram().stands(Standing::NotAuthorized);
    let full = sqlx::query("PRAGMA max_page_count = 1").execute(&stage.room.database()).await;
    full.unwrap();
    // Longer than what is left of the last page.
    let long = json!({"dialog": 5, "text": "x".repeat(4096), "mode": "queue"});
    let mut last = (0, Value::Null);
    for _ in 0..200 {
        last = stage.act("send_message", long.clone()).await;
        if last.0 != 200 {
            break;
        }
    }
    let error = &last.1["error"];
    assert_eq!(
        (last.0, &error["code"], &error["retryable"]),
        (507, &json!("internal"), &json!(true)),
        "{error}"
    );
    assert!(error["message"].as_str().unwrap().starts_with("the disk is full: nothing was kept"), "{error}");
    stage.room.database().close().await;
    let error = refused(&stage, "send_message", long, (500, "internal", true)).await;
    assert_eq!(error["message"], "the disk does not take it");
}

#[tokio::test]
async fn a_full_queue_and_a_spent_budget_of_lookups_want_a_pause() {
    let mut room = Room::new();
    room.options.queue_limit = 1;
    room.options.checks_per_day = 0;
    let stage = Stage::of(room).await;
    let profile = json!({"dialog": "+79990000077"});
    let error = refused(&stage, "get_profile", profile, (429, "flood_wait", true)).await;
    assert!(error["retry_after"].as_u64().is_some_and(|seconds| seconds > 0), "{error}");
    stage.telegram().stands(Standing::NotAuthorized);
    let queued = json!({"dialog": 5, "text": "hello", "mode": "queue"});
    stage.done("send_message", queued.clone()).await;
    let error = refused(&stage, "send_message", queued, (429, "flood_wait", true)).await;
    assert_eq!(error["retry_after"], 60);
    assert_eq!(stage.instance.queue_len().await, Ok(1));
}

#[tokio::test]
async fn a_body_larger_than_any_is_refused() {
    let stage = Stage::new().await;
    let said = json!({"dialog": 5, "text": "x".repeat(1 << 20)});
    refused(&stage, "send_message", said, (413, "bad_request", false)).await;
    assert_eq!(stage.instance.queue_len().await, Ok(0));
}
