//! Files, which are fetched from a web server first.

use serde_json::{Value, json};

use crate::stage::{ANNA, Stage, a_while, is_message};
use crate::web::{picture, sha256};

const PDF: &[u8] = b"%PDF-1.4\n%price list\n";
const TEXT: &[u8] = "Прайс\n".as_bytes();

#[tokio::test(flavor = "multi_thread")]
async fn one_file_goes_with_its_text_and_its_title() {
    let stage = Stage::open().await;
    let anna = format!("+{ANNA}");
    let url = stage.web.gives("p1.pdf", PDF);
    let said = json!({
        "dialog": anna, "text": "Ваш <b>прайс</b>", "format": "html", "silent": true,
        "attachments": [{"title": "Прайс-лист 2026.pdf", "url": url}],
    });
    let sent = stage.does("send_message", said).await;
    is_message(&sent);
    let got = stage.anna_gets(|message| message["text"] == "Ваш прайс").await;
    let file = json!({"name": "Прайс-лист 2026.pdf", "mime": "application/pdf", "sha256": sha256(PDF)});
    assert_eq!((&got["media"], &got["file"]), (&json!("MessageMediaDocument"), &file));
    assert_eq!(
        (&got["entities"], &got["silent"], &got["album"]),
        (&json!([["MessageEntityBold", "прайс"]]), &json!(true), &Value::Null)
    );
    let shown = &sent["attachments"][0];
    assert_eq!(sent["attachments"].as_array().unwrap().len(), 1, "{sent}");
    assert_eq!(
        (&shown["kind"], &shown["file_name"], &shown["mime"], &shown["size"]),
        (&json!("document"), &json!("Прайс-лист 2026.pdf"), &json!("application/pdf"), &json!(PDF.len()))
    );
    assert_eq!(fetched(&stage, &shown["download_url"]).await, PDF);

    // A title without an end gets the link's; without a title the link says what it is called.
    let picture = picture(9);
    let url = stage.web.gives("face.png", &picture);
    for (text, title, as_file) in
        [("a", json!("Лицо"), true), ("b", Value::Null, true), ("c", Value::Null, false)]
    {
        let mut said = json!({"dialog": anna, "text": text, "attachments": [{"url": url, "title": title}]});
        if as_file {
            said["attachments_as"] = "documents".into();
        }
        let sent = stage.does("send_message", said).await;
        let kind = if as_file { "document" } else { "photo" };
        assert_eq!(sent["attachments"][0]["kind"], kind, "{sent}");
        let got = stage.anna_gets(|message| message["text"] == text).await;
        assert_eq!(got["file"]["sha256"], sha256(&picture));
        if as_file {
            let name = if title.is_null() { "face.png" } else { "Лицо.png" };
            assert_eq!((&got["media"], &got["file"]["name"]), (&json!("MessageMediaDocument"), &json!(name)));
        } else {
            assert_eq!(got["media"], "MessageMediaPhoto", "{got}");
        }
    }

    // A word that is too long for a file goes before it.
    let word = "слово ".repeat(300).trim_end().to_owned();
    let said = json!({"dialog": anna, "text": word, "attachments": [{"url": url}]});
    let sent = stage.does("send_message", said).await;
    let both = sent.as_array().unwrap_or_else(|| panic!("{sent}"));
    both.iter().for_each(is_message);
    assert_eq!((both.len(), &both[0]["text"], &both[1]["text"]), (2, &json!(word), &json!("")));
    let seen = stage.anna.can("messages", json!({"chat": stage.own.id, "limit": 2})).await;
    assert_eq!((&seen[0]["media"], &seen[1]["text"]), (&json!("MessageMediaPhoto"), &json!(word)));
}

#[tokio::test(flavor = "multi_thread")]
async fn several_files_are_albums_of_those_that_go_together() {
    let stage = Stage::open().await;
    let anna = format!("+{ANNA}");
    let pictures: Vec<Vec<u8>> = (0..3).map(|colour| picture(colour * 40)).collect();
    let links: Vec<String> =
        pictures.iter().enumerate().map(|(n, body)| stage.web.gives(&format!("p{n}.png"), body)).collect();
    let items = |links: &[String]| -> Value { links.iter().map(|url| json!({"url": url})).collect() };
    let said = json!({"dialog": anna, "text": "*Три* вида", "format": "markdown", "attachments": items(&links), "silent": true});
    let sent = stage.does("send_message", said).await;
    let all = sent.as_array().unwrap_or_else(|| panic!("{sent}"));
    assert_eq!(all.len(), 3, "{sent}");
    all.iter().for_each(is_message);
    let seen = newest(&stage, 3).await;
    let albums: Vec<&Value> = seen.iter().map(|one| &one["album"]).collect();
    assert!(albums[0].is_i64() && albums.iter().all(|album| *album == albums[0]), "{seen:#?}");
    for (number, (one, told)) in seen.iter().zip(all).enumerate() {
        assert_eq!((&one["media"], &one["silent"]), (&json!("MessageMediaPhoto"), &json!(true)));
        assert_eq!(one["file"]["sha256"], sha256(&pictures[number]), "in their order");
        assert_eq!(told["attachments"][0]["kind"], "photo", "{told}");
        assert_eq!(told["attachments"].as_array().unwrap().len(), 1);
        assert_eq!(told["text"], if number == 0 { "Три вида" } else { "" }, "{told}");
    }
    assert_eq!(
        (&seen[0]["text"], &seen[0]["entities"]),
        (&json!("Три вида"), &json!([["MessageEntityBold", "Три"]]))
    );
    let ids: Vec<i64> = all.iter().map(|one| one["message_id"].as_i64().unwrap()).collect();
    assert!(ids.is_sorted() && ids[0] != ids[2], "{ids:?}");

    // Pictures beside papers: two groups, the word at the first.
    let papers = [stage.web.gives("a.pdf", PDF), stage.web.gives("b.txt", TEXT)];
    let mixed = [papers[0].clone(), papers[1].clone(), links[0].clone(), links[1].clone()];
    let said = json!({"dialog": anna, "text": "всё", "attachments": items(&mixed)});
    let sent = stage.does("send_message", said).await;
    assert_eq!(sent.as_array().unwrap().len(), 4, "{sent}");
    let seen = newest(&stage, 4).await;
    let media: Vec<&Value> = seen.iter().map(|one| &one["media"]).collect();
    assert_eq!(
        media,
        ["MessageMediaDocument", "MessageMediaDocument", "MessageMediaPhoto", "MessageMediaPhoto"]
    );
    assert_eq!(seen[0]["album"], seen[1]["album"]);
    assert_eq!(seen[2]["album"], seen[3]["album"]);
    assert_ne!(seen[1]["album"], seen[2]["album"], "{seen:#?}");
    assert_eq!((&seen[0]["text"], &seen[2]["text"]), (&json!("всё"), &json!("")));
    assert_eq!(
        (&seen[0]["file"]["name"], &seen[1]["file"]["sha256"]),
        (&json!("a.pdf"), &json!(sha256(TEXT)))
    );

    // As files, pictures go with papers.
    let said =
        json!({"dialog": anna, "text": "", "attachments": items(&mixed), "attachments_as": "documents"});
    stage.does("send_message", said).await;
    let seen = newest(&stage, 4).await;
    assert!(seen.iter().all(|one| one["media"] == "MessageMediaDocument"), "{seen:#?}");
    assert!(seen.iter().all(|one| one["album"] == seen[0]["album"] && one["album"].is_i64()), "{seen:#?}");
}

/// Anna's last messages, the oldest first.
async fn newest(stage: &Stage, count: usize) -> Vec<Value> {
    let seen = stage.anna.can("messages", json!({"chat": stage.own.id, "limit": count})).await;
    seen.as_array().unwrap().iter().rev().cloned().collect()
}

async fn fetched(stage: &Stage, link: &Value) -> Vec<u8> {
    let answer = stage.caller.http.get(link.as_str().unwrap()).send().await.unwrap();
    assert_eq!(answer.status(), 200, "{link}");
    answer.bytes().await.unwrap().to_vec()
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_sent_where_one_file_is_missing_unless_some_may_be() {
    let stage = Stage::open().await;
    let anna = format!("+{ANNA}");
    let good = stage.web.gives("a.pdf", PDF);
    let other = stage.web.gives("b.txt", TEXT);
    let closed = {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        format!("http://127.0.0.1:{port}/c.pdf")
    };
    for (bad, named) in [(stage.web.link("nothing.pdf"), "404"), (closed.clone(), "127.0.0.1")] {
        let items = json!([{"url": good}, {"url": bad, "title": "Счёт.pdf"}, {"url": other}]);
        let said = json!({"dialog": anna, "text": "files", "attachments": items});
        let error = stage.refuses("send_message", said.clone(), "attachment_failed").await;
        assert_eq!(error["item"], 1, "{error}");
        assert!(error["message"].as_str().unwrap().contains(named), "{error}");
        let mut some = said;
        some["partial"] = true.into();
        some["text"] = named.into();
        let sent = stage.does("send_message", some).await;
        let names: Vec<&Value> =
            sent.as_array().unwrap().iter().map(|one| &one["attachments"][0]["file_name"]).collect();
        assert_eq!(names, ["a.pdf", "b.txt"], "{sent}");
        let left_out = sent[0]["left_out"].as_array().unwrap_or_else(|| panic!("{sent}"));
        assert_eq!(
            (left_out.len(), &left_out[0]["item"], &left_out[0]["file_name"]),
            (1, &json!(1), &json!("Счёт.pdf"))
        );
        assert!(left_out[0]["message"].as_str().unwrap().contains(named), "{sent}");
        let seen = newest(&stage, 2).await;
        assert_eq!((&seen[0]["text"], &seen[0]["file"]["name"]), (&json!(named), &json!("a.pdf")));
        assert_eq!(seen[1]["file"]["sha256"], sha256(TEXT));
    }
    // None of them.
    let said = json!({"dialog": anna, "text": "none", "attachments": [{"url": stage.web.link("x")}], "partial": true});
    stage.refuses("send_message", said, "attachment_failed").await;
    // Too large to be fetched at all.
    let large = stage.web.gives_zeros("large.bin", 101 * 1024 * 1024);
    let said = json!({"dialog": anna, "text": "large", "attachments": [{"url": good}, {"url": large}]});
    let error = stage.refuses("send_message", said, "attachment_too_large").await;
    assert_eq!(error["item"], 1, "{error}");
    a_while().await;
    let texts: Vec<String> = stage.at_anna().into_iter().filter(|text| !text.is_empty()).collect();
    assert_eq!((texts, stage.queued().await), (vec!["404".to_owned(), "127.0.0.1".to_owned()], json!(0)));
}
