//! Files by their links.

use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::response::Redirect;
use axum::routing::get;
use serde_json::{Value, json};
use tgtrunk_messages::green::Pace;
use tgtrunk_messages::{Attachment, Content, News};
use tokio::net::TcpListener;
use tokio::time::{sleep, timeout};

use super::stage::{Stage, json as answered};
use super::telegram::{ANNA, GROUP, from_anna, picture};

#[tokio::test]
async fn a_file_is_given_under_its_name_and_as_nobodys_page() {
    let stage = Stage::new().await;
    let body = "x".repeat(300_000);
    let headers = [("content-type", "text/html"), ("ga-filename", "C:\\dir\\счёт 1.html")];
    let (_, laid) =
        answered(stage.send("POST", &stage.path("UploadFile"), &headers, body.clone()).await).await;
    let link = laid["urlFile"].as_str().unwrap();
    let path = link.strip_prefix(&stage.base).unwrap();
    let file = stage.send("GET", path, &[], "").await;
    assert_eq!(file.status(), 200);
    for (name, value) in [
        ("content-type", "text/html"),
        ("content-length", "300000"),
        ("x-content-type-options", "nosniff"),
        (
            "content-disposition",
            "attachment; filename=\"____ 1.html\"; filename*=UTF-8''%D1%81%D1%87%D1%91%D1%82%201.html",
        ),
    ] {
        assert_eq!(file.headers().get(name).unwrap(), value, "{name}");
    }
    assert_eq!(file.text().await.unwrap(), body);
    let head = stage.send("HEAD", path, &[], "").await;
    assert_eq!((head.status().as_u16(), head.text().await.unwrap().len()), (200, 0));
}

#[tokio::test]
async fn a_link_that_nobody_gave_leads_nowhere() {
    let stage = Stage::new().await;
    let gone = (410, "Gone: there is no such file, or its time is over");
    for (path, (wanted, sentence)) in [
        ("/files/0123456789abcdef0123456789abcdef/a.txt", gone),
        ("/files/x", gone),
        ("/files/%2e%2e%2f%2e%2e%2fetc%2fpasswd", gone),
        // Clients make it /etc/passwd.
        ("/files/../../etc/passwd", (403, "Forbidden: want /waInstance{idInstance}/{method}/{token}")),
    ] {
        let (code, error) = stage.ask("GET", path, Value::Null).await;
        assert_eq!((code, error["message"].as_str().unwrap()), (wanted, sentence), "{path}: {error}");
        assert_ne!(error["path"], path);
    }
}

#[tokio::test]
async fn an_empty_file_is_refused_and_nothing_is_queued() {
    let stage = Stage::new().await;
    let (code, error) =
        answered(stage.send("POST", &stage.path("uploadFile"), &[("ga-filename", "a.txt")], "").await).await;
    assert_eq!(code, 400);
    assert!(
        error["message"].as_str().unwrap().contains("'file' must be a file that is not empty"),
        "{error}"
    );
}

#[tokio::test]
async fn a_file_larger_than_allowed_is_refused() {
    let stage = Stage::new().await;
    let body = vec![0_u8; (100 << 20) + 1];
    let response = stage.send("POST", &stage.path("uploadFile"), &[("ga-filename", "a.bin")], body).await;
    is_too_large(answered(response).await, 104_857_600);
}

#[tokio::test]
async fn a_form_is_bounded_as_a_whole_and_so_are_its_fields() {
    let stage = Stage::new().await;
    let part = |name: &str, length: usize| {
        let head = format!("--b\r\nContent-Disposition: form-data; {name}\r\n\r\n");
        [head.into_bytes(), vec![b'x'; length], b"\r\n".to_vec()].concat()
    };
    // Files beyond the first are read over, but not for ever.
    let file = |name: &str, length| part(&format!("name=\"{name}\"; filename=\"a\""), length);
    let files = [file("file", 1), file("other", 117 << 20), b"--b--".to_vec()].concat();
    let large = [file("file", (100 << 20) + 1), b"--b--".to_vec()].concat();
    let fields = (0..6).map(|at| part(&format!("name=\"{at}\""), 200_000)).collect::<Vec<_>>().concat();
    for (form, most) in [(files, 121_634_816), (large, 104_857_600), (fields, 1_048_576)] {
        let headers = [("content-type", "multipart/form-data; boundary=b")];
        let answer = stage.send("POST", &stage.path("sendFileByUpload"), &headers, form).await;
        is_too_large(answered(answer).await, most);
        assert_eq!(stage.instance.queue_len().await, Ok(0));
    }
    // Nothing of them is left.
    let files = || std::fs::read_dir(stage.folder.path().join("files")).unwrap().count();
    let gone = timeout(Duration::from_secs(10), async {
        while files() > 0 {
            sleep(Duration::from_millis(20)).await;
        }
    });
    assert!(gone.await.is_ok(), "{} files", files());
}

/// A body that has more bytes than so many is refused, and said so.
fn is_too_large((code, error): (u16, Value), most: u64) {
    let sentence = format!("Payload Too Large: want at most {most} bytes");
    assert_eq!((code, &error["statusCode"], &error["message"]), (413, &json!(413), &json!(sentence)));
}

#[tokio::test]
async fn a_file_is_fetched_once_for_all_who_ask_and_to_its_end_whoever_hangs_up() {
    let stage = Stage::new().await;
    let path = came(&stage).await;
    let path = path.as_str();
    // One is too impatient to hear the end.
    let hurried = timeout(Duration::from_millis(50), stage.send("GET", path, &[], "")).await;
    assert!(hurried.is_err());
    sleep(Duration::from_millis(50)).await;
    let (one, other) = tokio::join!(stage.send("GET", path, &[], ""), stage.send("GET", path, &[], ""));
    for answer in [one, other, stage.send("GET", path, &[], "").await] {
        assert_eq!(
            (answer.status().as_u16(), answer.text().await.unwrap().as_str()),
            (200, "remote-picture")
        );
    }
    assert_eq!(stage.telegram.downloads(), 1);
}

#[tokio::test]
async fn a_link_is_not_gone_while_an_instance_starts_and_an_ill_one_spoils_nobody_elses() {
    let stage = Stage::new().await;
    let path = came(&stage).await;
    let code = async |path: &str| stage.send("GET", path, &[], "").await.status().as_u16();
    let nobodys = "/files/0123456789abcdef0123456789abcdef/a.txt";
    // The database of another one was closed under it.
    let other = Stage::new().await;
    other.close_database().await;
    stage.house.enter(other.instance.clone());
    assert_eq!(code(&path).await, 200, "another one's illness spoils it");
    assert_eq!(code(nobodys).await, 503, "the ill one may have it");
    stage.house.leave(other.instance.id());
    let (code, told) = stage.ask("GET", nobodys, Value::Null).await;
    assert!(code == 410 && told["message"].as_str().unwrap().starts_with("Gone: "), "{told}");

    stage.house.rest(stage.instance.id());
    let answer = stage.send("GET", &path, &[], "").await;
    assert_eq!(answer.headers().get("retry-after").unwrap(), "5");
    let (code, told) = answered(answer).await;
    assert!(code == 503 && told["message"].as_str().unwrap().contains("is starting"), "{told}");
}

#[tokio::test]
async fn a_file_that_came_is_sent_on_by_its_link_though_nobody_has_fetched_it() {
    let stage = Stage::new().await;
    let url = format!("{}{}", stage.base, came(&stage).await);
    let said = json!({"chatId": ANNA.to_string(), "urlFile": url, "fileName": "a.jpg"});
    stage.done("POST", "sendFileByUrl", said).await;
    stage.sent(1).await;
    let path = stage.telegram.orders()[0].paths[0].clone();
    assert_eq!(std::fs::read_to_string(path).unwrap(), "remote-picture");
    assert_eq!(stage.telegram.downloads(), 1);
}

#[tokio::test]
async fn strangers_names_of_files_lead_nowhere() {
    let stage = Stage::new().await;
    stage.done("POST", "setSettings", json!({"incomingWebhook": "yes"})).await;
    let Content::File { file, caption, .. } = picture() else { panic!() };
    let file = Attachment { name: "..\\..\\x/../shell.php\r\n".to_owned(), ..file };
    let message = from_anna(1, Content::file(file, caption));
    stage.instance.take(News::New(Box::new(message))).await.unwrap();
    let told = stage.done("GET", "receiveNotification", Value::Null).await;
    let file = &told["body"]["messageData"]["fileMessageData"];
    assert_eq!(file["fileName"], "shell.php");
    assert!(file["downloadUrl"].as_str().unwrap().ends_with("/shell.php"));
}

#[tokio::test]
async fn a_file_on_the_web_is_looked_for_where_it_is_said_to_be_and_never_at_a_machines_own_link() {
    let stage = Stage::new().await;
    // Three steps, which end at a file or at what only this machine sees.
    let steps = |last: &str| {
        let last = last.to_owned();
        let on = |to: &str| Redirect::temporary(to);
        Router::new()
            .route("/1", get(async move || on("/2")))
            .route("/2", get(async move || on("3")))
            .route("/3", get(async move || on(&last)))
            .route("/ring", get(async move || on("/ring")))
            .route("/end", get(async || "the file"))
    };
    for (start, last, cause) in [
        ("/1", "/end", None),
        ("/1", "http://169.254.169.254/secret", Some("an address of this machine's own link")),
        ("/ring", "/end", Some("more than 5 times")),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}{start}", listener.local_addr().unwrap());
        let router = steps(last);
        let web = tokio::spawn(async move { axum::serve(listener, router).await });
        let before = stage.telegram.orders().len();
        let said = json!({"chatId": ANNA.to_string(), "urlFile": url, "fileName": "a.txt"});
        let id = stage.done("POST", "sendFileByUrl", said).await["idMessage"].clone();
        stage.sent(before + usize::from(cause.is_none())).await;
        let sent = stage.done("GET", "lastOutgoingMessages", Value::Null).await;
        let sent = sent.as_array().unwrap().iter().find(|message| message["idMessage"] == id).unwrap();
        let state = if cause.is_none() { "sent" } else { "failed" };
        assert_eq!(sent["statusMessage"], state, "{sent}");
        let failure = sent["description"].as_str().unwrap_or_default();
        assert!(failure.contains(cause.unwrap_or_default()), "{failure}");
        web.abort();
    }
}

#[tokio::test]
async fn a_file_by_a_link_where_nobody_is_is_refused_before_anything_is_queued() {
    let mut own = String::new();
    let stage = Stage::with(Pace::Free, |options| {
        own.clone_from(&options.base);
        options.own_ports = vec![options.base.rsplit(':').next().unwrap().parse().unwrap()];
    })
    .await;
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    for (url, sentence) in [
        (format!("http://{closed}/a.pdf"), "127.0.0.1 takes no connection: "),
        ("http://nobody.invalid/a.pdf".to_owned(), "nobody.invalid is not found: "),
        (format!("{own}{}/a.pdf", stage.path("getSettings")), "is this program itself"),
        ("http://169.254.169.254/a.pdf".to_owned(), "an address of this machine's own link"),
        // One of our own that nobody was given.
        (format!("{own}/metrics/a.pdf"), "is this program itself"),
    ] {
        let said = json!({"chatId": ANNA.to_string(), "urlFile": url, "fileName": "a.pdf"});
        let (code, error) = stage.call("POST", "sendFileByUrl", said).await;
        let told = error["message"].as_str().unwrap();
        assert_eq!(code, 400, "{url}: {error}");
        let begin = "Validation failed. Details: 'urlFile' must be a file that can be fetched: ";
        assert!(told.starts_with(begin) && told.contains(sentence), "{url}: {told}");
        assert!(!told.contains(&stage.token), "{told}");
        assert_eq!(stage.instance.queue_len().await, Ok(0), "{url}");
    }
    let journal = stage.done("GET", "lastOutgoingMessages", Value::Null).await;
    assert_eq!((journal, stage.telegram.orders().len()), (json!([]), 0));
}

#[tokio::test]
async fn a_file_that_its_host_does_not_give_fails_with_the_hosts_words() {
    let life = Duration::from_secs(4);
    let stage = Stage::with(Pace::Free, |options| options.outgoing_life = life).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let web = Router::new()
        .route("/broken.pdf", get(async || StatusCode::INTERNAL_SERVER_ERROR))
        .route("/large.pdf", get(async || vec![0_u8; (100 << 20) + 1]));
    tokio::spawn(async move { axum::serve(listener, web).await });
    let asked: Vec<_> = [
        ("gone.pdf", "the file cannot be fetched: 404 Not Found"),
        ("large.pdf", "'file' must be no larger than 104857600 bytes (100 MB)"),
        // It may be better soon: it is tried until the message is too old.
        (
            "broken.pdf",
            "expired: it could not be sent in time (the file cannot be fetched: 500 Internal Server Error)",
        ),
    ]
    .into();
    for (name, description) in asked {
        let said = json!({"chatId": ANNA.to_string(), "urlFile": format!("{base}/{name}")});
        let id = stage.done("POST", "sendFileByUrl", said).await["idMessage"].clone();
        let fails = async {
            loop {
                let sent = stage.done("GET", "lastOutgoingMessages", Value::Null).await;
                let one = sent.as_array().unwrap().iter().find(|one| one["idMessage"] == id).unwrap().clone();
                if one["statusMessage"] == "failed" {
                    return one;
                }
                sleep(Duration::from_millis(50)).await;
            }
        };
        let failed = timeout(Duration::from_secs(60), fails).await.unwrap_or_else(|_| panic!("{name}"));
        assert_eq!(failed["description"], description, "{failed}");
        assert_eq!(stage.instance.queue_len().await, Ok(0), "{name}");
        let told = stage.done("GET", "receiveNotification", Value::Null).await;
        let body = &told["body"];
        assert_eq!((&body["status"], &body["idMessage"]), (&json!("failed"), &id), "{told}");
        assert_eq!(body["description"], description);
        let receipt = json!({"receiptId": told["receiptId"]});
        stage.done("DELETE", "deleteNotification", receipt).await;
    }
    assert!(stage.telegram.orders().is_empty(), "nothing of it reaches Telegram");
}

#[tokio::test]
async fn a_chats_picture_is_kept_once_and_one_that_is_not_there_not_at_all() {
    let stage = Stage::new().await;
    let avatar = async |chat: i64| {
        let answer = stage.done("POST", "getAvatar", json!({"chatId": chat.to_string()})).await;
        answer["urlAvatar"].as_str().unwrap().to_owned()
    };
    let link = avatar(ANNA).await;
    assert_eq!(avatar(ANNA).await, link);
    assert_eq!(stage.telegram.downloads(), 1);
    let path = link.strip_prefix(&stage.base).unwrap();
    assert_eq!(stage.send("GET", path, &[], "").await.text().await.unwrap(), ANNA.to_string());
    assert_eq!(avatar(GROUP).await, "");
    assert_eq!(stage.telegram.downloads(), 1);
    // Another picture has another link.
    stage.done("POST", "sendMessage", json!({"chatId": ANNA.to_string(), "message": "x"})).await;
    stage.sent(1).await;
    assert_ne!(avatar(ANNA).await, link);
}

/// Has a picture come, and gives the path of its link.
async fn came(stage: &Stage) -> String {
    stage.done("POST", "setSettings", json!({"incomingWebhook": "yes"})).await;
    stage.instance.take(News::New(Box::new(from_anna(1, picture())))).await.unwrap();
    let told = stage.done("GET", "receiveNotification", Value::Null).await;
    let link = told["body"]["messageData"]["fileMessageData"]["downloadUrl"].as_str().unwrap();
    link.strip_prefix(&stage.base).unwrap().to_owned()
}
