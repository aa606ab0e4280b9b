//! What unmodified clients do: the official ones of Python, Go and JavaScript, and the connector of 1C.

use std::time::{Duration, Instant};

use axum::http::HeaderMap;
use serde_json::{Value, json};
use tgtrunk_messages::News;

use super::stage::{PARTNER, Stage, json as answered};
use super::telegram::{ANNA, GROUP, from_anna, text};

#[tokio::test]
async fn python_deletes_a_notification_by_a_number_in_the_body() {
    let stage = Stage::new().await;
    let receipt = told(&stage).await;
    let path = format!("{}/", stage.path("deleteNotification"));
    assert_eq!(stage.ask("DELETE", &path, receipt).await, (200, json!({"result": true})));
    assert_eq!(stage.instance.notifications_len().await, Ok(0));
}

#[tokio::test]
async fn numbers_in_paths_may_have_the_spaces_of_1c() {
    let stage = Stage::new().await;
    for number in ["1%C2%A0234%C2%A0567", "1%20234"] {
        let path = format!("{}/{number}", stage.path("deleteNotification"));
        assert_eq!(
            stage.ask("DELETE", &path, Value::Null).await,
            (200, json!({"result": false})),
            "{number}"
        );
    }
}

#[tokio::test]
async fn numbers_of_settings_may_have_the_spaces_of_1c() {
    let stage = Stage::new().await;
    for (said, delay_ms) in [("2 000", 2_000), ("3\u{a0}000", 3_000), (" 120\u{202f}000 ", 120_000)] {
        stage.done("POST", "setSettings", json!({"delaySendMessagesMilliseconds": said})).await;
        let settings = stage.done("GET", "getSettings", Value::Null).await;
        assert_eq!(settings["delaySendMessagesMilliseconds"], delay_ms, "{said:?}");
    }
}

#[tokio::test]
async fn python_writes_async_behind_names() {
    let stage = Stage::new().await;
    for method in ["getMessagesCountAsync", "getWebhooksCountAsync"] {
        assert_eq!(stage.done("GET", method, Value::Null).await, json!({"count": 0}), "{method}");
    }
}

#[tokio::test]
async fn arguments_of_get_may_stand_in_a_body() {
    let stage = Stage::new().await;
    for method in ["lastIncomingMessages", "lastOutgoingMessages"] {
        for body in [json!({"minutes": 5}), json!({})] {
            assert_eq!(stage.done("GET", method, body).await, json!([]), "{method}");
        }
        let path = format!("{}?minutes=5", stage.path(method));
        assert_eq!(stage.ask("GET", &path, json!({"minutes": 0})).await.0, 200, "the query goes first");
        assert_eq!(stage.call("GET", method, json!({"minutes": 0})).await.0, 400);
    }
}

#[tokio::test]
async fn a_poll_is_held_until_something_comes_or_its_time_is_over() {
    let stage = Stage::new().await;
    let start = Instant::now();
    assert_eq!(stage.done("GET", "receiveNotification", Value::Null).await, Value::Null);
    assert!(start.elapsed() >= Duration::from_secs(5), "{:?}", start.elapsed());
    let start = Instant::now();
    let path = format!("{}?receiveTimeout=60", stage.path("receiveNotification"));
    let (poll, receipt) = tokio::join!(stage.ask("GET", &path, Value::Null), async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        told(&stage).await
    });
    assert_eq!(poll.1["receiptId"], receipt);
    assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
}

/// A program that is stopped in the middle of a poll takes nothing along.
#[tokio::test]
async fn a_poll_that_is_broken_off_takes_no_notification_along() {
    let stage = Stage::new().await;
    let path = format!("{}?receiveTimeout=60", stage.path("receiveNotification"));
    let held = stage.ask("GET", &path, Value::Null);
    assert!(tokio::time::timeout(Duration::from_millis(200), held).await.is_err(), "nothing has come yet");
    let receipt = told(&stage).await;
    let (_, next) = stage.ask("GET", &path, Value::Null).await;
    assert_eq!(next["receiptId"], receipt);
}

#[tokio::test]
async fn an_instance_that_is_opened_anew_is_waited_for() {
    let stage = Stage::new().await;
    stage.house.rest(stage.instance.id());
    let state = stage.done("GET", "getStateInstance", Value::Null).await;
    assert_eq!(state, json!({"stateInstance": "starting"}));
    let path = format!("/waInstance{}/getStateInstance/nobody", stage.instance.id());
    assert_eq!(stage.ask("GET", &path, Value::Null).await.0, 401);
    let (settings, ()) = tokio::join!(stage.call("GET", "getSettings", Value::Null), async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        stage.house.enter(stage.instance.clone());
    });
    assert_eq!(settings.0, 200, "{}", settings.1);
    stage.house.rest(stage.instance.id());
    let start = Instant::now();
    let (code, told) = stage.call("GET", "getSettings", Value::Null).await;
    assert_eq!((code, &told["message"]), (400, &json!("instance in starting process try later")));
    assert!(start.elapsed() >= Duration::from_secs(4), "{:?}", start.elapsed());
    stage.house.give_up(stage.instance.id());
    assert_eq!(stage.call("GET", "getStateInstance", Value::Null).await.0, 403);
}

#[tokio::test]
async fn an_instance_that_is_not_open_yet_is_starting_for_its_own_token() {
    let stage = Stage::new().await;
    let (id, body) = (stage.instance.id(), json!({"chatId": "10000000", "message": "x"}));
    stage.house.leave(id);
    assert_eq!(stage.call("POST", "sendMessage", body.clone()).await.0, 403);
    assert_eq!(stage.house.expect(&stage.folder.path().join("nothing.db")).await, None);
    assert_eq!(stage.house.expect(&stage.folder.path().join("client.db")).await, Some(id));
    let state = stage.done("GET", "getStateInstance", Value::Null).await;
    assert_eq!(state, json!({"stateInstance": "starting"}));
    let (code, told) = stage.call("POST", "sendMessage", body.clone()).await;
    assert_eq!((code, &told["message"]), (400, &json!("instance in starting process try later")));
    let wrong = format!("/waInstance{id}/sendMessage/0123456789");
    assert_eq!(stage.ask("POST", &wrong, body.clone()).await.0, 401);
}

#[tokio::test]
async fn whoever_polls_is_let_go_when_the_instance_is_opened_anew() {
    let stage = Stage::new().await;
    let path = format!("{}?receiveTimeout=60", stage.path("receiveNotification"));
    let start = Instant::now();
    let (poll, ()) = tokio::join!(stage.ask("GET", &path, Value::Null), async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        stage.house.rest(stage.instance.id());
    });
    assert_eq!((poll.0, &poll.1["message"]), (400, &json!("instance in starting process try later")));
    assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
}

#[tokio::test]
async fn connections_may_be_closed_after_every_call() {
    let stage = Stage::new().await;
    let request =
        format!("GET {} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", stage.path("getStateInstance"));
    let answer = stage.raw(request.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\n{\"stateInstance\":\"authorized\"}"), "{answer}");
}

#[tokio::test]
async fn names_may_be_capitalized_and_paths_may_begin_with_v3() {
    let stage = Stage::new().await;
    for method in ["GetChats", "getchats", "GETCONTACTS"] {
        assert!(stage.done("GET", method, Value::Null).await.is_array(), "{method}");
    }
    let check = json!({"phoneNumber": 79_000_000_001_i64});
    assert_eq!(stage.done("POST", "CheckAccount", check).await["exist"], true);
    let v3 = format!("/v3{}", stage.path("getStateInstance"));
    assert_eq!(stage.ask("GET", &v3, Value::Null).await.0, 200);
}

#[tokio::test]
async fn texts_of_1c_keep_the_backslashes_that_its_json_has_lost() {
    let stage = Stage::new().await;
    for (count, (body, said)) in [
        (r#"{"chatId":"10000000","message":"C:\docs\1.txt"}"#, r"C:\docs\1.txt"),
        (r#"{"message":"D:\","chatId":"10000000"}"#, r"D:\"),
        (r#"{"chatId":"10000000","message":"\ud83d\ude00"}"#, "\u{1f600}"),
    ]
    .into_iter()
    .enumerate()
    {
        let headers = [("content-type", "application/json")];
        let sent = answered(stage.send("POST", &stage.path("sendMessage"), &headers, body).await).await;
        assert_eq!(sent.0, 200, "{}", sent.1);
        stage.sent(count + 1).await;
        assert_eq!(stage.telegram.orders()[count].content, text(said));
    }
}

#[tokio::test]
async fn nothing_is_told_that_nobody_switched_on() {
    let stage = Stage::new().await;
    stage.instance.take(News::New(Box::new(from_anna(1, text("hello"))))).await.unwrap();
    stage.done("POST", "sendMessage", json!({"chatId": ANNA, "message": "out"})).await;
    stage.sent(1).await;
    assert_eq!(stage.done("GET", "getWebhooksCount", Value::Null).await, json!({"count": 0}));
}

#[tokio::test]
async fn the_three_switches_of_1c_tell_only_what_it_knows() {
    let stage = Stage::new().await;
    // What the connector's own button sets.
    let set = json!({
        "webhookUrl": "", "webhookUrlToken": "", "incomingWebhook": "yes", "outgoingWebhook": "yes", "stateWebhook": "yes",
    });
    assert_eq!(stage.done("POST", "setSettings", set).await, json!({"saveSettings": true}));
    let message = from_anna(1, text("hello"));
    stage.instance.take(News::New(Box::new(message.clone()))).await.unwrap();
    let edited =
        tgtrunk_messages::Received { content: text("hello!"), edited_s: Some(message.date_s + 1), ..message };
    stage.instance.take(News::Edited(Box::new(edited))).await.unwrap();
    stage.instance.take(News::Deleted { chat: None, tg_ids: vec![1] }).await.unwrap();
    stage.done("POST", "sendMessage", json!({"chatId": ANNA, "message": "out"})).await;
    stage.sent(1).await;
    stage.telegram.stands(tgtrunk_messages::Standing::Starting);
    let mut kinds = Vec::new();
    while kinds.last() != Some(&json!("stateInstanceChanged")) {
        let head = stage.done("GET", "receiveNotification", Value::Null).await;
        kinds.push(head["body"]["typeWebhook"].clone());
        let path = format!("{}/{}", stage.path("deleteNotification"), head["receiptId"]);
        assert_eq!(stage.ask("DELETE", &path, Value::Null).await, (200, json!({"result": true})));
    }
    let known = ["incomingMessageReceived", "outgoingMessageStatus", "stateInstanceChanged"];
    assert!(kinds.iter().all(|kind| known.contains(&kind.as_str().unwrap())), "{kinds:?}");
    assert_eq!(kinds.iter().filter(|kind| **kind == json!("incomingMessageReceived")).count(), 1);
}

#[tokio::test]
async fn forms_of_1c_have_no_file_name_and_no_last_line_end() {
    let stage = Stage::new().await;
    let boundary = "5f3c0e1a2b4d4c6e8f90a1b2c3d4e5f6";
    let file = "Content-Disposition: form-data; name=\"file\"; filename=\"Логотип.jpg\"\r\nContent-Type: image/jpeg\r\n\r\n";
    for (method, body, did) in [
        (
            "setGroupPicture",
            format!(
                "--{boundary}\r\nContent-Disposition: form-data; name=\"chatId\"\r\n\r\n{GROUP}\r\n--{boundary}\r\n{file}\u{1}\u{2}\r\n--{boundary}--\r\n"
            ),
            format!("change {GROUP} picture \u{1}\u{2}"),
        ),
        (
            "setProfilePicture",
            format!("--{boundary}\r\n{file}\u{1}\u{2}\r\n--{boundary}--"),
            "avatar \u{1}\u{2}".to_owned(),
        ),
    ] {
        let kind = format!("multipart/form-data; boundary={boundary}");
        let headers = [("content-type", kind.as_str())];
        let done = answered(stage.send("POST", &stage.path(method), &headers, body).await).await;
        assert_eq!((done.0, &done.1[method]), (200, &json!(true)), "{}", done.1);
        assert_eq!(stage.telegram.did(), [did]);
    }
    let body = format!(
        "--{boundary}\r\nContent-Disposition: form-data; name=\"chatId\"\r\n\r\n10000000\r\n--{boundary}\r\n{file}\u{1}\r\n--{boundary}--\r\n"
    );
    let kind = format!("multipart/form-data; boundary={boundary}");
    let headers = [("content-type", kind.as_str())];
    let sent = answered(stage.send("POST", &stage.path("sendFileByUpload"), &headers, body).await).await;
    assert_eq!(sent.0, 200, "{}", sent.1);
    stage.sent(1).await;
    let orders = stage.telegram.orders();
    assert!(
        matches!(&orders[0].content, tgtrunk_messages::Content::File { file, .. } if file.name == "Логотип.jpg")
    );
}

#[tokio::test]
async fn what_1c_says_when_it_makes_an_instance_is_kept_but_for_what_stops_it() {
    let stage = Stage::new().await;
    let settings = |url: &str| {
        json!({
            "webhookUrl": url, "webhookUrlToken": "f93537eb3e8fed66847b5bd", "delaySendMessagesMilliseconds": 1000,
            "markIncomingMessagesReaded": "no", "markIncomingMessagesReadedOnReply": "no", "outgoingWebhook": "yes",
            "outgoingMessageWebhook": "yes", "incomingWebhook": "yes", "stateWebhook": "no",
            "enableMessagesHistory": "no", "keepOnlineStatus": "no",
        })
    };
    let path = format!("/partner/createInstance/{PARTNER}");
    for (url, on) in [
        ("https://mysite.com/webhook/green-api/", r#"{"incomingWebhook", "outgoingWebhook"}"#),
        // Whoever names an address of their own has chosen.
        ("https://example.org/hook", r#"{"incomingWebhook", "outgoingMessageWebhook", "outgoingWebhook"}"#),
    ] {
        assert_eq!(stage.ask("POST", &path, settings(url)).await.0, 200);
        let did = stage.office.did.lock().unwrap().pop();
        assert_eq!(did, Some(format!("create  {on} {url} f93537eb3e8fed66847b5bd")));
    }
}

#[tokio::test]
async fn nothing_is_brought_to_the_example_of_1cs_source_until_another_webhook_is_named() {
    let stage = Stage::new().await;
    let example = json!({"webhookUrl": "https://mysite.com/webhook/green-api/", "incomingWebhook": "yes"});
    stage.done("POST", "setSettings", example).await;
    stage.instance.take(News::New(Box::new(from_anna(1, text("hello"))))).await.unwrap();
    assert_eq!(stage.done("GET", "getWebhooksCount", Value::Null).await["count"], 1);
    // Whoever tried to bring it there would have failed by now.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let hook = async move |headers: HeaderMap, body: String| {
        tell.send((headers["x-attempt"].clone(), body)).unwrap();
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let own = json!({"webhookUrl": format!("http://{}/hook", listener.local_addr().unwrap())});
    let router = axum::Router::new().route("/hook", axum::routing::post(hook));
    tokio::spawn(async move { axum::serve(listener, router).await });
    stage.done("POST", "setSettings", own).await;
    let (attempt, body) = tokio::time::timeout(Duration::from_secs(10), told.recv()).await.unwrap().unwrap();
    assert!(body.contains("hello"), "{body}");
    assert_eq!(attempt, "1", "somebody else was told before");
}

#[tokio::test]
async fn javascript_says_numbers_as_texts_and_group_id() {
    let stage = Stage::new().await;
    let group = json!({"groupId": GROUP.to_string(), "groupName": "Новый"});
    assert_eq!(stage.done("POST", "updateGroupName", group).await, json!({"updateGroupName": true}));
    let check = json!({"phoneNumber": "79000000001"});
    assert_eq!(stage.done("POST", "checkAccount", check).await["exist"], true);
    let avatar = stage.done("POST", "getAvatar", json!({"phoneNumber": 79_000_000_001_i64})).await;
    assert!(avatar["urlAvatar"].as_str().unwrap().starts_with(&stage.base));
    let history = json!({"chatId": "79000000001@c.us", "count": "2"});
    assert_eq!(stage.done("POST", "getChatHistory", history).await.as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_body_is_json_whatever_its_header_says() {
    let stage = Stage::new().await;
    for kind in ["application/x-www-form-urlencoded", "text/plain"] {
        let body = r#"{"chatId":"10000000","message":"x"}"#;
        let headers = [("content-type", kind)];
        let sent = answered(stage.send("POST", &stage.path("sendMessage"), &headers, body).await).await;
        assert_eq!(sent.0, 200, "{kind}: {}", sent.1);
    }
}

/// Has something told, and gives its receipt.
async fn told(stage: &Stage) -> Value {
    stage.done("POST", "setSettings", json!({"incomingWebhook": "yes"})).await;
    stage.instance.take(News::New(Box::new(from_anna(1, text("hello"))))).await.unwrap();
    stage.done("GET", "receiveNotification", Value::Null).await["receiptId"].clone()
}
