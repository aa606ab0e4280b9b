//! Errors by their causes: the code, a sentence that names what is wrong, and nothing done.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tgtrunk_messages::green::Pace;
use tgtrunk_messages::{Failure, Standing};
use tokio::task::JoinSet;

use super::stage::{PARTNER, Stage, json as answered, keys};
use super::telegram::{ANNA, GROUP};

#[tokio::test]
async fn wrong_values_are_named_with_what_is_allowed_and_nothing_is_queued() {
    let stage = Stage::new().await;
    let long = |characters: usize| "ж".repeat(characters);
    let options = |count: usize| -> Value {
        (0..count).map(|number| json!({"optionName": number.to_string()})).collect()
    };
    let poll =
        |message: String, options: Value| json!({"chatId": ANNA, "message": message, "options": options});
    for (verb, method, body, sentence) in [
        ("POST", "sendMessage", json!({"message": "x"}), "'chatId' must be a chat's number"),
        ("POST", "sendMessage", json!({"chatId": "anna", "message": "x"}), "it is \"anna\""),
        (
            "POST",
            "sendMessage",
            json!({"chatId": ANNA}),
            "'message' must be a text of 1 to 20000 characters; it is missing",
        ),
        ("POST", "sendMessage", json!({"chatId": ANNA, "message": " "}), "'message' must be a text"),
        ("POST", "sendMessage", json!({"chatId": ANNA, "message": long(20_001)}), "it has 20001"),
        (
            "POST",
            "sendMessage",
            json!({"chatId": ANNA, "message": "x", "typingTime": 500}),
            "'typingTime' must be a whole number from 1000 to 20000; it is 500",
        ),
        (
            "POST",
            "sendMessage",
            json!({"chatId": ANNA, "message": "x", "typingType": "x"}),
            "'typingType' must be one of text, record_voice_note",
        ),
        (
            "POST",
            "sendMessage",
            json!({"chatId": ANNA, "message": "x", "quotedMessageId": "x"}),
            "'quotedMessageId' must be a message's number",
        ),
        (
            "POST",
            "sendMessage",
            json!({"chatId": ANNA, "message": "x", "quotedMessageId": "1763115112345"}),
            "1763115112345",
        ),
        (
            "POST",
            "sendFileByUrl",
            json!({"chatId": ANNA, "urlFile": "ftp://x/y.z"}),
            "'urlFile' must be a link that begins with http",
        ),
        (
            "POST",
            "sendFileByUrl",
            json!({"chatId": ANNA, "urlFile": "https://x/y"}),
            "'fileName' must be the file's name with its extension",
        ),
        (
            "POST",
            "sendFileByUrl",
            json!({"chatId": ANNA, "urlFile": "https://x/y.z", "caption": long(1025)}),
            "'caption' must be a text of 1 to 1024 characters; it has 1025",
        ),
        ("POST", "sendFileByUpload", json!({"chatId": ANNA}), "'file' must be a file"),
        (
            "POST",
            "sendLocation",
            json!({"chatId": ANNA, "latitude": 91, "longitude": 0}),
            "'latitude' must be a number of degrees from -90 to 90; it is 91",
        ),
        ("POST", "sendLocation", json!({"chatId": ANNA, "latitude": 1}), "'longitude' must be"),
        (
            "POST",
            "sendContact",
            json!({"chatId": ANNA, "contact": {"firstName": "A"}}),
            "'contact' must be an object with phoneContact",
        ),
        ("POST", "sendPoll", poll("x".to_owned(), options(1)), "'options' must be a list of 2 to 12 answers"),
        (
            "POST",
            "sendPoll",
            poll("x".to_owned(), options(13)),
            "'options' must be a list of 2 to 12 answers",
        ),
        ("POST", "sendPoll", poll("x".to_owned(), json!(["a", "a"])), "no two of them the same"),
        ("POST", "sendPoll", poll("x".to_owned(), json!(["a", long(101)])), "answers of 1 to 100 characters"),
        (
            "POST",
            "sendPoll",
            poll(long(256), options(2)),
            "'message' must be a text of 1 to 255 characters; it has 256",
        ),
        (
            "POST",
            "forwardMessages",
            json!({"chatId": ANNA, "chatIdFrom": ANNA, "messages": []}),
            "'messages' must be a list",
        ),
        (
            "POST",
            "forwardMessages",
            json!({"chatId": ANNA, "chatIdFrom": ANNA, "messages": ["1763115112345"]}),
            "1763115112345",
        ),
        (
            "GET",
            "receiveNotification",
            json!({"receiveTimeout": 4}),
            "'receiveTimeout' must be a whole number from 5 to 60; it is 4",
        ),
        ("GET", "receiveNotification", json!({"receiveTimeout": 61}), "it is 61"),
        ("DELETE", "deleteNotification", Value::Null, "'receiptId' must be a notification's receipt"),
        (
            "POST",
            "getChatHistory",
            json!({"chatId": ANNA, "count": 0}),
            "'count' must be a whole number from 1",
        ),
        ("POST", "getMessage", json!({"chatId": ANNA}), "'idMessage' must be a message's number"),
        ("POST", "getMessage", json!({"chatId": ANNA, "idMessage": "1763115112345"}), "1763115112345"),
        ("GET", "lastIncomingMessages", json!({"minutes": "x"}), "'minutes' must be a whole number"),
        (
            "POST",
            "createGroup",
            json!({"groupName": long(101)}),
            "'groupName' must be a text of 1 to 100 characters",
        ),
        (
            "POST",
            "createGroup",
            json!({"groupName": "x", "type": "club"}),
            "'type' must be \"group\" or \"supergroup\"",
        ),
        (
            "POST",
            "createGroup",
            json!({"groupName": "x", "messageAutoDeleteTime": 366}),
            "from 0 to 365; it is 366",
        ),
        ("POST", "createGroup", json!({"groupName": "x", "chatIds": ["?"]}), "'chatIds' must be"),
        (
            "POST",
            "updateGroupName",
            json!({"chatId": ANNA, "groupName": "x"}),
            "'chatId' must be a group's number",
        ),
        ("POST", "updateGroupSettings", json!({"chatId": GROUP}), "allowParticipantsSendMessages"),
        ("POST", "addGroupParticipant", json!({"chatId": GROUP}), "'participantChatId' must be"),
        ("POST", "checkAccount", json!({"phoneNumber": "12"}), "'phoneNumber' must be a phone number"),
        ("POST", "checkAccount", json!({"username": "@a"}), "'username' must be a name"),
        ("POST", "checkWhatsapp", json!({"chatId": ANNA}), "'chatId' must be a phone number"),
        ("POST", "getContactInfo", json!({"chatId": GROUP}), "'chatId' must be a person's number"),
        (
            "POST",
            "editMessage",
            json!({"chatId": ANNA, "idMessage": 1, "message": long(4097)}),
            "1 to 4096 characters; it has 4097",
        ),
        ("POST", "sendTyping", json!({"chatId": ANNA, "typingTime": 20_001}), "it is 20001"),
        ("POST", "setSettings", json!({}), "'settings' must name at least one setting"),
        (
            "POST",
            "setSettings",
            json!({"delaySendMessagesMilliseconds": 499}),
            "'delaySendMessagesMilliseconds' must be",
        ),
        ("POST", "setSettings", json!({"webhookUrl": "ftp://x"}), "'webhookUrl' must be"),
        ("POST", "startAuthorization", json!({"phoneNumber": "x"}), "'phoneNumber' must be"),
        ("POST", "sendAuthorizationCode", json!({}), "'code' must be the code that Telegram sent"),
        ("POST", "sendAuthorizationPassword", json!({}), "'password' must be"),
    ] {
        let (code, error) = stage.call(verb, method, body).await;
        let said = error["message"].as_str().unwrap_or_default();
        assert_eq!(code, 400, "{method}: {error}");
        assert!(said.contains(sentence), "{method} {sentence:?}: {said}");
        assert_eq!(keys(&error), ["message", "path", "statusCode", "timestamp"]);
        assert_eq!(error["path"], format!("/waInstance{}/{method}/***", stage.instance.id()));
        assert!(!error.to_string().contains(&stage.token));
    }
    assert_eq!(stage.instance.queue_len().await, Ok(0));
    assert!(stage.telegram.orders().is_empty());
}

#[tokio::test]
async fn a_text_that_is_longer_than_one_message_is_refused_where_the_settings_want_it() {
    let strict = Stage::with(Pace::Free, |options| options.refuses_long_texts = true).await;
    // An emoji is two UTF-16 code units.
    for (text, code) in [("ж".repeat(4096), 200), ("ж".repeat(4097), 400), ("👍".repeat(2049), 400)] {
        let (answered, told) =
            strict.call("POST", "sendMessage", json!({"chatId": ANNA, "message": text})).await;
        assert_eq!(answered, code, "{told}");
        if code == 400 {
            let sentence = told["message"].as_str().unwrap();
            let starts = "Validation failed. Details: 'message' must be a text of 1 to 4096 characters";
            assert!(sentence.starts_with(starts), "{sentence}");
        }
    }
    let usual = Stage::new().await;
    usual.done("POST", "sendMessage", json!({"chatId": ANNA, "message": "ж".repeat(4097)})).await;
}

#[tokio::test]
async fn who_may_not_and_what_is_not_there_is_told_by_its_code() {
    let stage = Stage::new().await;
    let id = stage.instance.id();
    let other = if id.get() == 4_100_000_001 { 4_100_000_002_i64 } else { 4_100_000_001 };
    let text = json!({"chatId": ANNA, "message": "x"});
    for (verb, path, code, sentence) in [
        ("GET", format!("/waInstance{id}/getSettings/wrong"), 401, "Unauthorized"),
        ("POST", format!("/waInstance{id}/sendMessage/wrong"), 401, "Unauthorized"),
        ("POST", format!("/waInstance{id}/sendMessage/{PARTNER}"), 401, "Unauthorized"),
        ("POST", format!("/waInstance{id}/sendMessage/"), 403, "Forbidden"),
        ("POST", format!("/waInstance{other}/sendMessage/{}", stage.token), 403, "Forbidden"),
        ("GET", format!("/waInstance{other}/getSettings/{}", stage.token), 403, "Forbidden"),
        ("GET", format!("/waInstance41/getSettings/{}", stage.token), 403, "Forbidden"),
        ("GET", "/elsewhere".to_owned(), 403, "Forbidden"),
        ("GET", stage.path("getNothing"), 404, "Not Found: there is no method 'getNothing'"),
        ("GET", stage.path("sendMessage"), 404, "Not Found: 'sendMessage' is called by POST"),
        ("POST", stage.path("getSettings"), 404, "is called by GET"),
        ("GET", "/partner/getInstances/wrong".to_owned(), 401, "Unauthorized"),
        ("GET", format!("/partner/getNothing/{PARTNER}"), 404, "Not Found"),
        ("POST", format!("/partner/createInstance/{PARTNER}"), 400, "Validation failed"),
        ("POST", format!("/partner/deleteInstanceAccount/{PARTNER}"), 400, "'idInstance' must be"),
    ] {
        let body = if path.contains("/sendMessage/") { text.clone() } else { Value::Null };
        let (said, error) = stage.ask(verb, &path, body).await;
        assert_eq!((said, &error["statusCode"]), (code, &json!(code)), "{path}: {error}");
        assert!(error["message"].as_str().unwrap().contains(sentence), "{path}: {error}");
        assert!(!error.to_string().contains(&stage.token) && !error.to_string().contains(PARTNER));
    }
    // An instance that was deleted, called by the token that it had.
    let delete = format!("/partner/deleteInstanceAccount/{PARTNER}");
    assert_eq!(stage.ask("POST", &delete, json!({"idInstance": id.get()})).await.0, 200);
    stage.house.leave(id);
    let (code, error) = stage.call("POST", "sendMessage", text).await;
    assert_eq!((code, &error["message"]), (400, &json!("Instance is deleted")));
    assert_eq!((stage.instance.queue_len().await, stage.telegram.orders().len()), (Ok(0), 0));
}

#[tokio::test]
async fn what_is_no_json_is_told_with_its_place() {
    let stage = Stage::new().await;
    for (body, sentence) in [
        ("hello", "Unexpected token h in JSON at position 0"),
        ("{\"chatId\":", "Unexpected end of JSON input"),
    ] {
        let headers = [("content-type", "application/json")];
        let said = answered(stage.send("POST", &stage.path("sendMessage"), &headers, body).await).await;
        assert_eq!((said.0, said.1["message"].as_str().unwrap()), (400, sentence));
    }
    for (kind, body) in [("multipart/form-data", "--b"), ("multipart/form-data; boundary=b", "--b\r\n\r\nx")]
    {
        let headers = [("content-type", kind)];
        let said = answered(stage.send("POST", &stage.path("sendFileByUpload"), &headers, body).await).await;
        assert_eq!(said.0, 400);
        assert!(said.1["message"].as_str().unwrap().starts_with("bad request data: the form"), "{}", said.1);
    }
    let large = format!("{{\"chatId\":\"1\",\"message\":\"{}\"}}", "x".repeat(1 << 20));
    let said = answered(stage.send("POST", &stage.path("sendMessage"), &[], large).await).await;
    let sentence = "Payload Too Large: want at most 1048576 bytes";
    assert_eq!((said.0, said.1["message"].as_str().unwrap()), (413, sentence));
    assert_eq!(stage.instance.queue_len().await, Ok(0));
}

#[tokio::test]
async fn the_instances_standing_decides_what_can_be_done() {
    let stage = Stage::new().await;
    let out = (400, "instance is starting or not authorized");
    for (standing, word, contacts, check) in [
        (Standing::Starting, "starting", (400, "instance in starting process try later"), 400),
        (Standing::NotAuthorized, "notAuthorized", out, 400),
        (Standing::PendingPassword, "pendingPassword", out, 400),
        (Standing::Blocked, "blocked", (403, "Your account is blocked"), 403),
        (Standing::Suspended, "suspended", (200, ""), 403),
    ] {
        stage.telegram.stands(standing);
        let (code, said) = stage.call("GET", "getContacts", Value::Null).await;
        let sentence = said.get("message").and_then(Value::as_str).unwrap_or_default();
        assert_eq!((code, sentence), contacts, "{standing:?}");
        let (code, said) =
            stage.call("POST", "checkAccount", json!({"phoneNumber": 79_000_000_001_i64})).await;
        assert_eq!(code, check, "{said}");
        let (_, state) = stage.call("GET", "getStateInstance", Value::Null).await;
        assert_eq!(state["stateInstance"], word);
    }
    assert_eq!(stage.telegram.did(), ["contacts"]);
}

#[tokio::test]
async fn telegrams_refusals_are_told_by_their_kind() {
    let stage = Stage::new().await;
    for (failure, code, sentence) in [
        (Failure::Flood { seconds: 7 }, 429, "Too Many Requests: try again in 7 s"),
        (Failure::PeerFlood, 403, "Your account is suspended"),
        (Failure::Unknown("the connection is lost".to_owned()), 502, "Bad Gateway"),
        (Failure::Unauthorized, 400, "instance is starting or not authorized"),
        (
            Failure::Refused { word: "x", sentence: "the chat is closed".to_owned() },
            400,
            "the chat is closed",
        ),
        (Failure::Unsupported("a bot has no archive"), 400, "a bot has no archive"),
    ] {
        stage.telegram.refuses(failure);
        let (said, error) = stage.call("POST", "archiveChat", json!({"chatId": ANNA})).await;
        assert_eq!(said, code, "{error}");
        assert!(error["message"].as_str().unwrap().contains(sentence), "{error}");
    }
}

#[tokio::test]
async fn who_calls_too_often_is_told_before_anything_is_done() {
    let stage = Stage::at(Pace::Vendor).await;
    let mut codes = Vec::new();
    for _ in 0..31 {
        let path = stage.path("getStateInstance");
        codes.push(stage.send("GET", &path, &[], "").await);
    }
    let last = codes.pop().unwrap();
    assert!(codes.iter().all(|response| response.status() == 200));
    assert_eq!(last.headers().get("retry-after").unwrap(), "1");
    let (code, error) = answered(last).await;
    assert_eq!((code, &error["message"]), (429, &json!("Too Many Requests: try again in 1 s")));
    assert_eq!(
        stage.call("GET", "getSettings", Value::Null).await.0,
        200,
        "other methods have their own pace"
    );
}

/// A client that is answered 429 says the same again: what was refused must not be sent as well.
#[tokio::test(flavor = "multi_thread")]
async fn who_sends_too_often_has_as_much_queued_as_was_answered_to_be() {
    let stage = Stage::at(Pace::Vendor).await;
    stage.telegram.stands(Standing::NotAuthorized);
    let (client, url) = (reqwest::Client::new(), format!("{}{}", stage.base, stage.path("sendMessage")));
    let calls = async |body: Value| {
        let mut calls = JoinSet::new();
        for _ in 0..100 {
            let request = client.post(&url).header("content-type", "application/json").body(body.to_string());
            calls.spawn(async move { answered(request.send().await.unwrap()).await });
        }
        calls.join_all().await
    };
    let refused = |all: &[(u16, Value)]| all.iter().filter(|(code, _)| *code == 429).count();
    // Wrong calls are calls as well, and half a minute's worth of them is soon spent.
    let mut spent = Vec::new();
    while refused(&spent) == 0 {
        spent.extend(calls(json!({})).await);
        assert!(spent.len() < 20_000, "nobody is refused");
    }
    assert!(spent.len() - refused(&spent) >= 1_500, "{} of {}", refused(&spent), spent.len());
    let mut sent = Vec::new();
    while refused(&sent) == 0 {
        sent.extend(calls(json!({"chatId": ANNA, "message": "x"})).await);
    }
    for (code, error) in sent.iter().filter(|(code, _)| *code != 200) {
        let sentence = error["message"].as_str().unwrap();
        assert!(*code == 429 && sentence.starts_with("Too Many Requests: try again in "), "{error}");
    }
    assert_eq!(stage.instance.queue_len().await, Ok((sent.len() - refused(&sent)) as u64));
}

#[tokio::test]
async fn who_is_refused_and_says_no_more_is_answered_and_let_go() {
    let stage = Stage::new().await;
    let request = b"POST /waInstance1/sendMessage/x HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n";
    let began = Instant::now();
    let answer = stage.raw(request).await;
    assert!(answer.starts_with("HTTP/1.1 403") && answer.contains("connection: close"), "{answer}");
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}

#[tokio::test]
async fn who_stops_in_the_middle_of_a_request_is_told_and_let_go() {
    let silence = Duration::from_millis(200);
    let stage = Stage::with(Pace::Free, |options| options.request_silence = silence).await;
    let form = "multipart/form-data; boundary=b";
    for (method, kind, begun) in [
        ("sendMessage", "application/json", "{\"chatId\":\"10000000\",\"message\":\"x"),
        (
            "sendFileByUpload",
            form,
            "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.txt\"\r\n\r\nx",
        ),
        ("uploadFile", "text/plain", "x"),
    ] {
        let head = format!("POST {} HTTP/1.1\r\nHost: x\r\nContent-Type: {kind}\r\n", stage.path(method));
        let (began, request) = (Instant::now(), format!("{head}Content-Length: 1000\r\n\r\n{begun}"));
        let answer = stage.raw(request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 408") && answer.contains("connection: close"), "{answer}");
        assert!(answer.contains("Request Timeout: the rest of the request does not come"), "{answer}");
        assert!(!answer.contains(&stage.token), "{answer}");
        assert!(began.elapsed() >= silence);
    }
    assert_eq!(stage.instance.queue_len().await, Ok(0));
}

#[tokio::test]
async fn a_failing_storage_is_told_and_nothing_of_what_it_said() {
    let stage = Stage::new().await;
    stage.close_database().await;
    let text = json!({"chatId": ANNA, "message": "x"});
    for (verb, method, body) in [
        ("POST", "sendMessage", text),
        ("GET", "receiveNotification", Value::Null),
        ("DELETE", "deleteNotification/1", Value::Null),
        ("GET", "getMessagesCount", Value::Null),
        ("GET", "lastOutgoingMessages", Value::Null),
        ("POST", "setSettings", json!({"incomingWebhook": "yes"})),
        ("GET", "updateApiToken", Value::Null),
    ] {
        let (name, tail) = method.split_once('/').map_or((method, None), |(name, tail)| (name, Some(tail)));
        let tail = tail.map(|tail| format!("/{tail}")).unwrap_or_default();
        let (code, error) = stage.ask(verb, &format!("{}{tail}", stage.path(name)), body).await;
        assert_eq!(code, 500, "{method}: {error}");
        let sentence = "Internal Server Error: the storage failed; the program's log says how";
        assert_eq!((keys(&error).len(), &error["message"]), (4, &json!(sentence)), "{method}");
    }
    assert!(stage.telegram.orders().is_empty());
}

#[tokio::test]
async fn a_full_queue_takes_no_more_and_says_when_to_try_again() {
    let stage = Stage::with(Pace::Free, |options| options.queue_limit = 1).await;
    stage.telegram.stands(Standing::NotAuthorized);
    let text = json!({"chatId": ANNA, "message": "x"});
    stage.done("POST", "sendMessage", text.clone()).await;
    let headers = [("content-type", "application/json")];
    let refused = stage.send("POST", &stage.path("sendMessage"), &headers, text.to_string()).await;
    assert_eq!(refused.headers().get("retry-after").unwrap(), "1");
    let (code, error) = answered(refused).await;
    let sentence = "Too Many Requests: the outgoing queue is full: 1 messages may wait";
    assert_eq!((code, &error["message"]), (429, &json!(sentence)), "{error}");
    assert_eq!(stage.instance.queue_len().await, Ok(1));
    // There is room again.
    stage.telegram.stands(Standing::Authorized);
    stage.sent(1).await;
    stage.done("POST", "sendMessage", text).await;
}

#[tokio::test]
async fn nobody_is_looked_up_beyond_the_days_budget_whatever_is_called() {
    let stage = Stage::new().await;
    let known = json!({"chatId": "79000000001@c.us"});
    stage.done("POST", "sendTyping", known.clone()).await;
    assert_eq!(stage.telegram.did(), ["find +79000000001", &format!("typing {ANNA} Text")]);
    for number in 0..99 {
        let said = json!({"phoneNumber": format!("790000002{number:02}")});
        assert_eq!(stage.done("POST", "checkAccount", said).await["exist"], false);
    }
    stage.telegram.did();
    let stranger = "79000000300@c.us";
    for (method, said) in [
        ("sendTyping", json!({"chatId": stranger})),
        ("getContactInfo", json!({"chatId": stranger})),
        ("getAvatar", json!({"chatId": stranger})),
        ("addContact", json!({"chatId": stranger, "firstName": "x"})),
        ("deleteContact", json!({"chatId": stranger})),
        ("createGroup", json!({"groupName": "x", "chatIds": [stranger]})),
        ("addGroupParticipant", json!({"chatId": GROUP, "participantChatId": stranger})),
        ("sendContact", json!({"chatId": ANNA, "contact": {"chatId": stranger}})),
        ("checkAccount", json!({"phoneNumber": "79000000001", "force": true})),
    ] {
        let (code, error) = stage.call("POST", method, said).await;
        let message = error["message"].as_str().unwrap();
        assert_eq!(code, 429, "{method}: {message}");
        assert!(message.contains("100 numbers and names today") && message.ends_with(" s"), "{message}");
    }
    assert_eq!(stage.telegram.did(), Vec::<String>::new());
    // Who is known costs nothing.
    stage.done("POST", "sendTyping", known).await;
}
