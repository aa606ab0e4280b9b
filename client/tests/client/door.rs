//! Who gets in at the page and who does not, and that right ones are not taken for wrong ones.

use reqwest::StatusCode;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, COOKIE, HOST, ORIGIN};
use serde_json::{Value, json};
use tgtrunk_test_telegram::world::CodeWay;

use crate::page::Room;
use crate::support::{COMPANY, Scene, eventually, line};

/// What the package makes its settings from.
const EXAMPLE: &str = include_str!("../../../config/example.toml");

#[tokio::test]
async fn a_lost_password_is_renewed_on_the_packages_fresh_settings() {
    let scene = Scene::new(line()).await;
    let fresh = EXAMPLE
        .replace("\napi_id", "\n#api_id")
        .replace("\napi_hash", "\n#api_hash")
        .replace("/var/lib/tgtrunk", scene.state.root().to_str().unwrap())
        .replace("127.0.0.1:8090", "127.0.0.1:0");
    for settings in [fresh.clone(), format!("nothing = 1\n{fresh}"), "[gateway\n".to_owned()] {
        std::fs::write(scene.settings(), settings).unwrap();
        let state = scene.state.root().to_str().unwrap();
        let made = scene.command(&["--state", state, "password"]).output().await.unwrap();
        assert!(made.status.success() && made.stdout.starts_with(b"password: "), "{made:?}");
    }
    std::fs::write(scene.settings(), fresh).unwrap();
    let made = scene.command(&["password"]).output().await.unwrap();
    assert!(made.status.success(), "{made:?}");
    // Whoever asks a program that does not run is told what may keep it from running.
    let asked = scene.command(&["reload"]).output().await.unwrap();
    let told = String::from_utf8_lossy(&asked.stderr);
    assert!(!asked.status.success() && told.contains("api_id and api_hash are missing"), "{told}");
}

#[tokio::test]
async fn right_passwords_are_never_counted_as_wrong_ones() {
    let room = Room::open().await;
    let body = json!({"password": room.password}).to_string();
    for n in 0..30 {
        let login = room.post("/api/v1/login").header(CONTENT_TYPE, "application/json").body(body.clone());
        assert_eq!(login.send().await.unwrap().status(), StatusCode::OK, "login {n}");
    }
}

#[tokio::test]
async fn whether_all_is_well_is_looked_at_once_for_all_who_ask() {
    let room = Room::open().await;
    let visitor = room.log_in().await;
    let changed = || std::fs::metadata(room.scene.state.root()).unwrap().modified().unwrap();
    let ask = || room.get("/api/v1/health").header(COOKIE, &visitor.cookie).send();
    let many: Vec<_> = (0..40).map(|_| tokio::spawn(ask())).collect();
    for answer in many {
        let told = answer.await.unwrap().unwrap().text().await.unwrap();
        let told: Value = serde_json::from_str(&told).unwrap();
        let disk = told["health"].as_array().unwrap().iter();
        let disk = disk.filter(|health| health["name"]["en"] == "State directory");
        let found: Vec<_> = disk.map(|health| health["found"].clone()).collect();
        assert_eq!(found, ["good"], "{told}");
    }
    // A look every few seconds may fall into some rounds, not into all.
    let mut quiet = 0;
    for _ in 0..10 {
        let before = changed();
        for _ in 0..5 {
            room.get("/health").send().await.unwrap();
        }
        quiet += u32::from(changed() == before);
    }
    assert!(quiet > 0, "whoever asks has the disk written");
}

#[tokio::test]
async fn a_header_that_lets_nobody_in_does_not_stand_for_the_mark() {
    let room = Room::open().await;
    let visitor = room.log_in().await;
    let change = |authorization: &str, mark: &str| {
        let patch = room.client.patch(room.url("/api/v1/lines/+79060000000")).header(COOKIE, &visitor.cookie);
        let patch = patch.header(AUTHORIZATION, authorization).header("x-csrf-token", mark);
        patch.header(CONTENT_TYPE, "application/json").body(r#"{"max_calls":7}"#).send()
    };
    assert_eq!(change("Basic YTpi", "").await.unwrap().status(), StatusCode::FORBIDDEN);
    assert_eq!(change("Bearer", "").await.unwrap().status(), StatusCode::FORBIDDEN);
    assert_eq!(change("Bearer x", "").await.unwrap().status(), StatusCode::UNAUTHORIZED);
    assert_eq!(change("Basic YTpi", &visitor.csrf).await.unwrap().status(), StatusCode::OK);
    let token = visitor.cookie.split_once('=').unwrap().1;
    assert_eq!(change(&format!("bearer {token}"), "").await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn programs_are_refused_in_json_whatever_they_send() {
    let room = Room::open().await;
    let visitor = room.log_in().await;
    let cases = [
        ("application/json", "{", StatusCode::BAD_REQUEST),
        ("application/json", "[]", StatusCode::UNPROCESSABLE_ENTITY),
        ("text/plain", "{}", StatusCode::UNSUPPORTED_MEDIA_TYPE),
    ];
    for (kind, body, status) in cases {
        let login = room.post("/api/v1/login").header(CONTENT_TYPE, kind).body(body);
        let put = room.client.put(room.url("/api/v1/settings")).header(COOKIE, &visitor.cookie);
        let put = put.header("x-csrf-token", &visitor.csrf).header(CONTENT_TYPE, kind).body(body);
        for asked in [login, put] {
            let answer = asked.send().await.unwrap();
            assert_eq!(answer.status(), status, "{kind} {body}");
            let told: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
            assert!(told["error"].as_str().unwrap().starts_with("The request cannot be read: "), "{told}");
        }
    }
}

#[tokio::test]
async fn a_proxy_that_changes_the_name_is_told_to_pass_it_on() {
    let scene = Scene::new(line()).await;
    let text = std::fs::read_to_string(scene.settings()).unwrap();
    let front = "[page]\nbehind_proxy = true\nhosts = [\"trunk.example.com\"]";
    std::fs::write(scene.settings(), text.replace("[page]", front)).unwrap();
    let room = Room::of(scene).await;
    let sent = |host: Option<&str>| {
        let post = room.post("/login").form(&[("password", room.password.as_str())]);
        let post = post.header(ORIGIN, "https://trunk.example.com").header("sec-fetch-site", "same-origin");
        host.map_or(post.try_clone().unwrap(), |host| post.header(HOST, host)).send()
    };
    let refused = sent(None).await.unwrap();
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
    let told = refused.text().await.unwrap();
    assert!(told.contains("proxy_set_header Host $host;"), "{told}");
    assert_eq!(sent(Some("trunk.example.com")).await.unwrap().status(), StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn a_proxy_of_telegram_is_shown_without_its_password_and_can_be_taken_away() {
    let scene = Scene::new(line()).await;
    let text = std::fs::read_to_string(scene.settings()).unwrap();
    let proxy = "[telegram]\nproxy = \"socks5://anna:s3cret@127.0.0.1:9\"";
    std::fs::write(scene.settings(), text.replace("[telegram]", proxy)).unwrap();
    let room = Room::of(scene).await;
    let visitor = room.log_in().await;
    let page = visitor.get(&room, "/system").await.text().await.unwrap();
    assert!(page.contains("value=\"socks5://anna:••••@127.0.0.1:9\"") && !page.contains("s3cret"), "{page}");
    let api = visitor.get(&room, "/api/v1/settings").await.text().await.unwrap();
    assert!(!api.contains("s3cret"), "{api}");
    let kept = [("telegram.proxy", "socks5://anna:••••@127.0.0.1:9"), ("telegram.device_model", "Trunk")];
    assert_eq!(visitor.post(&room, "/system/settings", &kept).await.status(), StatusCode::SEE_OTHER);
    let file = || std::fs::read_to_string(room.scene.settings()).unwrap();
    assert!(file().contains("s3cret") && file().contains("device_model = \"Trunk\""), "{}", file());
    let half = [("telegram.proxy", "socks5://anna:••••@127.0.0.1:10")];
    let half = visitor.post(&room, "/system/settings", &half).await;
    assert_eq!(half.status(), StatusCode::UNPROCESSABLE_ENTITY);
    let none = visitor.post(&room, "/system/settings", &[("telegram.proxy", "")]).await;
    assert_eq!(none.status(), StatusCode::SEE_OTHER);
    assert!(!file().contains("proxy = "), "{}", file());
}

#[tokio::test]
async fn a_code_of_several_words_is_typed_with_its_spaces() {
    let room = Room::open().await;
    let visitor = room.log_in().await;
    room.scene.world().configure(|settings| settings.code_ways = vec![CodeWay::Phrase]);
    let path = "/lines/+79060000000/login/client";
    let start = visitor.post(&room, &format!("{path}/start"), &[("method", "code")]).await;
    assert_eq!(start.status(), StatusCode::SEE_OTHER);
    eventually("a code is sent", || room.scene.world().pending_login_code(COMPANY).is_some()).await;
    let page = visitor.get(&room, path).await.text().await.unwrap();
    assert!(
        page.contains("enter all of it, with its spaces") && !page.contains("inputmode=\"numeric\""),
        "{page}"
    );
    let code = room.scene.world().pending_login_code(COMPANY).unwrap();
    let typed = format!(" {} ", code.replace(' ', "  "));
    visitor.post(&room, &format!("{path}/code"), &[("code", &typed)]).await;
    let page = visitor.get(&room, path).await.text().await.unwrap();
    assert!(page.contains(": logged in"), "{page}");
}
