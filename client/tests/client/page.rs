//! The operator's page as browsers and strangers meet it: a real HTTP client against the running program.

use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, COOKIE, HOST, LOCATION, ORIGIN, RETRY_AFTER, SET_COOKIE};
use reqwest::redirect::Policy;
use reqwest::{RequestBuilder, Response, StatusCode};
use serde_json::json;
use tgtrunk_config::Lamp;
use tgtrunk_test_telegram::canary::PASSWORD;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use crate::program::Program;
use crate::support::{Client, SOON, Scene, eventually, line, phone};

/// Listeners that the page bears at once.
const MANY: usize = 1_000;

#[tokio::test]
async fn nobody_sees_anything_without_the_password() {
    let room = Room::open().await;
    for path in ["/", "/lines/+79060000000", "/calls.csv", "/system", "/nothing"] {
        let answer = room.get(path).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::SEE_OTHER, "{path}");
        assert!(answer.headers()[LOCATION].to_str().unwrap().starts_with("/login"), "{path}");
    }
    assert_eq!(room.get("/events?page=/").send().await.unwrap().status(), StatusCode::UNAUTHORIZED);
    assert_eq!(room.get("/api/v1/lines").send().await.unwrap().status(), StatusCode::UNAUTHORIZED);
    let door = room.get("/login").send().await.unwrap();
    assert_eq!(door.status(), StatusCode::OK);
    let policy = door.headers()["content-security-policy"].to_str().unwrap();
    assert!(policy.starts_with("default-src 'none'; style-src 'self'; script-src 'self';"), "{policy}");
    assert_eq!(door.headers()["x-content-type-options"], "nosniff");
    let health = room.get("/health").send().await.unwrap();
    let words = health.text().await.unwrap();
    assert!(["ok\n", "not ok\n"].contains(&words.as_str()), "{words}");
}

#[tokio::test]
async fn whoever_knows_the_password_sees_the_lines_and_is_known_until_the_logout() {
    let room = Room::open().await;
    let visitor = room.log_in().await;
    assert!(!room.scene.state.page_password().exists(), "it was used");
    let page = visitor.get(&room, "/").await;
    assert_eq!(page.status(), StatusCode::OK);
    let page = page.text().await.unwrap();
    assert!(page.contains("id=\"line-79060000000\""), "{page}");
    for path in [
        "/lines/new",
        "/lines/+79060000000",
        "/lines/+79060000000/login",
        "/lines/+79060000000/login/gateway",
        "/lines/+79060000000/login/client",
        "/lines/+79060000000/login/bot",
        "/lines/+79060000000/texts",
        "/lines/+79060000000/pbx",
        "/lines/+79060000000/settings",
        "/calls",
        "/bots",
        "/system",
        "/system/log?part=client",
    ] {
        let answer = visitor.get(&room, path).await;
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
    }
    let gone = visitor.post(&room, "/logout", &[]).await;
    assert_eq!(gone.headers()[LOCATION], "/login");
    assert_eq!(visitor.get(&room, "/").await.status(), StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn forms_of_other_sites_and_without_the_mark_are_refused() {
    let room = Room::open().await;
    let visitor = room.log_in().await;
    let switch = "/lines/+79060000000/switch";
    let form = [("enabled", "false"), ("csrf", visitor.csrf.as_str())];
    let sent = |change: fn(RequestBuilder) -> RequestBuilder| {
        change(room.post(switch).header(COOKIE, &visitor.cookie).form(&form)).send()
    };
    for foreign in [
        sent(|post| post.header(ORIGIN, "http://evil.example")).await.unwrap(),
        sent(|post| post.header(ORIGIN, "null")).await.unwrap(),
        sent(|post| post.header("sec-fetch-site", "cross-site")).await.unwrap(),
    ] {
        assert_eq!(foreign.status(), StatusCode::FORBIDDEN);
    }
    for wrong in ["", "x", &visitor.csrf[1..]] {
        let form = [("enabled", "false"), ("csrf", wrong)];
        let answer = room.post(switch).header(COOKIE, &visitor.cookie).form(&form).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::FORBIDDEN);
    }
    let json = room.client.patch(room.url("/api/v1/lines/+79060000000")).header(COOKIE, &visitor.cookie);
    let json =
        json.header(CONTENT_TYPE, "application/json").body("{\"enabled\":false}").send().await.unwrap();
    assert_eq!(json.status(), StatusCode::FORBIDDEN);
    let file = room.scene.state.line_file(&phone());
    assert!(!std::fs::read_to_string(&file).unwrap().contains("enabled"));
    assert_eq!(sent(|post| post).await.unwrap().status(), StatusCode::SEE_OTHER);
    assert!(std::fs::read_to_string(&file).unwrap().contains("enabled = false"));
}

#[tokio::test]
async fn a_name_that_is_not_the_pages_is_refused() {
    let room = Room::open().await;
    for host in ["evil.example", "evil.example:8090", "localhost.evil.example"] {
        let answer = room.get("/login").header(HOST, host).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::MISDIRECTED_REQUEST, "{host}");
        let answer = room.get("/health").header(HOST, host).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::MISDIRECTED_REQUEST, "{host}");
    }
    let port = room.address.rsplit_once(':').unwrap().1;
    let local = room.get("/login").header(HOST, format!("localhost:{port}")).send().await.unwrap();
    assert_eq!(local.status(), StatusCode::OK);
}

#[tokio::test]
async fn wrong_passwords_are_slowed_down() {
    let room = Room::open().await;
    for _ in 0..5 {
        let answer = room.post("/login").form(&[("password", "guess")]).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    }
    let begun = Instant::now();
    let many: Vec<_> = (0..50)
        .map(|_| tokio::spawn(room.post("/login").form(&[("password", room.password.as_str())]).send()))
        .collect();
    let mut slowed = 0;
    for answer in many {
        let answer = answer.await.unwrap().unwrap();
        if answer.status() == StatusCode::TOO_MANY_REQUESTS {
            assert!(answer.headers().contains_key(RETRY_AFTER));
            slowed += 1;
        }
    }
    assert!(slowed >= 48 || begun.elapsed() > Duration::from_secs(1), "{slowed}");
}

#[tokio::test]
async fn paths_out_of_the_page_and_bodies_without_end_are_refused() {
    let room = Room::open().await;
    let visitor = room.log_in().await;
    for path in [
        "/assets/../../../etc/passwd",
        "/assets/..%2f..%2f..%2fetc%2fpasswd",
        "/assets/%2e%2e/%2e%2e/etc/passwd",
        "/lines/..%2f..%2fetc/pbx",
        "/lines/+79060000001/texts",
        "/lines/%00/texts",
        "/api/v1/lines/..%2f..",
    ] {
        let head = format!(
            "GET {path} HTTP/1.1\r\nHost: {}\r\nCookie: {}\r\nConnection: close\r\n\r\n",
            room.address, visitor.cookie
        );
        let answer = room.say(head.as_bytes()).await;
        assert!(
            answer.starts_with("HTTP/1.1 404 ") || answer.starts_with("HTTP/1.1 400 "),
            "{path}: {answer}"
        );
        assert!(!answer.contains("root:"), "{path}");
    }
    let long = "x".repeat(300 * 1024);
    let form = [("csrf", visitor.csrf.as_str()), ("keypad", long.as_str())];
    let answer = room.post("/lines/+79060000000/texts/ru").header(COOKIE, &visitor.cookie).form(&form);
    assert_eq!(answer.send().await.unwrap().status(), StatusCode::PAYLOAD_TOO_LARGE);
    let strange = [("csrf", visitor.csrf.as_str()), ("keypad", "\u{0}")];
    let answer = room.post("/lines/+79060000000/texts/ru").header(COOKIE, &visitor.cookie).form(&strange);
    assert_eq!(answer.send().await.unwrap().status(), StatusCode::UNPROCESSABLE_ENTITY);
    let answer =
        room.say(&[b"GET /".as_slice(), &vec![b'a'; 64 * 1024], b" HTTP/1.1\r\n\r\n"].concat()).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
}

#[tokio::test]
async fn whoever_dawdles_is_dropped_and_others_are_served_meanwhile() {
    let room = Room::open().await;
    let mut slow = Vec::new();
    for _ in 0..50 {
        let mut stream = TcpStream::connect(&room.address).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nHo").await.unwrap();
        slow.push(stream);
    }
    let mut half = TcpStream::connect(&room.address).await.unwrap();
    let head = format!(
        "POST /login HTTP/1.1\r\nHost: {}\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 100\r\n\r\npass",
        room.address
    );
    half.write_all(head.as_bytes()).await.unwrap();
    let begun = Instant::now();
    assert_eq!(room.get("/login").send().await.unwrap().status(), StatusCode::OK);
    assert!(begun.elapsed() < Duration::from_secs(3));
    let mut told = Vec::new();
    timeout(SOON, half.read_to_end(&mut told)).await.expect("it is let go").unwrap();
    assert!(String::from_utf8_lossy(&told).starts_with("HTTP/1.1 408 "));
    for mut stream in slow {
        timeout(SOON, stream.read_to_end(&mut Vec::new())).await.expect("it is let go").ok();
    }
}

#[tokio::test]
async fn a_thousand_open_pages_are_borne_and_one_too_many_is_told_so() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, hard.min(8_192).max(soft), hard).unwrap();
    let room = Room::open().await;
    let visitor = room.log_in().await;
    let memory = room.memory_kib();
    let mut pages = Vec::new();
    for _ in 0..MANY {
        let page = room.get("/events?page=/").header(COOKIE, &visitor.cookie).send().await.unwrap();
        assert_eq!(page.status(), StatusCode::OK);
        pages.push(page);
    }
    let mut refused = None;
    for _ in 0..100 {
        let page = room.get("/events?page=/").header(COOKIE, &visitor.cookie).send().await.unwrap();
        if page.status() == StatusCode::SERVICE_UNAVAILABLE {
            refused = Some(page.headers().contains_key(RETRY_AFTER));
            break;
        }
        pages.push(page);
    }
    assert_eq!(refused, Some(true));
    let grown = room.memory_kib().saturating_sub(memory);
    assert!(grown < 200 * 1024, "{grown} KiB more");
    // Everybody is told when the gateway comes, and the lines' work goes on.
    let gateway = room.scene.gateway();
    let last = pages.last_mut().unwrap();
    let mut told = String::new();
    while !told.contains("event: fragment") {
        let chunk = timeout(SOON, last.chunk()).await.expect("something is told").unwrap().unwrap();
        told.push_str(&String::from_utf8_lossy(&chunk));
    }
    assert_eq!(visitor.get(&room, "/").await.status(), StatusCode::OK);
    drop((pages, gateway));
    eventually_listens(&room, &visitor).await;
}

#[tokio::test]
async fn a_gateway_that_goes_away_turns_orange_on_an_open_page_and_is_back_without_a_reload() {
    let room = Room::open().await;
    let visitor = room.log_in().await;
    let mut page = room.get("/events?page=/").header(COOKIE, &visitor.cookie).send().await.unwrap();
    let gateway = room.scene.gateway();
    hears(&mut page, |told| !told.contains("tgtrunk-gateway")).await;
    let begun = Instant::now();
    drop(gateway);
    hears(&mut page, |told| told.contains("tgtrunk-gateway")).await;
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    let _gateway = room.scene.gateway();
    hears(&mut page, |told| told.contains("id\":\"alerts") && !told.contains("tgtrunk-gateway")).await;
}

#[tokio::test]
async fn settings_are_changed_by_their_own_checks_and_comments_stay() {
    let room = Room::open().await;
    let visitor = room.log_in().await;
    let path = "/lines/+79060000000/settings";
    let wrong = visitor.post(&room, path, &[("ring_limit_s", "4"), ("company", "Акме")]).await;
    assert_eq!(wrong.status(), StatusCode::UNPROCESSABLE_ENTITY);
    let shown = wrong.text().await.unwrap();
    assert!(shown.contains("5") && shown.contains("180"), "{shown}");
    let good =
        visitor.post(&room, path, &[("ring_limit_s", "60"), ("company", "Акме"), ("back", path)]).await;
    assert_eq!(good.status(), StatusCode::SEE_OTHER);
    assert_eq!(good.headers()[LOCATION], path);
    let file = std::fs::read_to_string(room.scene.state.line_file(&phone())).unwrap();
    assert!(file.contains("ring_limit_s = 60") && file.contains("company = \"Акме\""), "{file}");
    let script = room.post(path).header(COOKIE, &visitor.cookie).header("x-fragment", "1");
    let script = script.form(&[("csrf", visitor.csrf.as_str()), ("ring_limit_s", "4")]).send().await.unwrap();
    assert_eq!(script.status(), StatusCode::UNPROCESSABLE_ENTITY);
    let json: serde_json::Value = serde_json::from_str(&script.text().await.unwrap()).unwrap();
    assert!(json["fields"]["ring_limit_s"].is_string(), "{json}");
}

#[tokio::test]
async fn a_client_with_wrong_settings_serves_the_page_until_they_are_mended() {
    let scene = Scene::new(line()).await;
    let text = std::fs::read_to_string(scene.settings()).unwrap();
    std::fs::write(scene.settings(), text.replace("api_id = 12345", "api_id = 0")).unwrap();
    let room = Room::of(scene).await;
    let visitor = room.log_in().await;
    let page = visitor.get(&room, "/system").await.text().await.unwrap();
    assert!(page.contains("telegram.api_id = 0"), "{page}");
    let mended = visitor.post(&room, "/system/settings", &[("telegram.api_id", "12345")]).await;
    assert_eq!(mended.status(), StatusCode::SEE_OTHER);
    eventually("the client works", || room.scene.client_log().contains("client runs")).await;
    assert_eq!(room.scene.status().telegram.lamp, Lamp::Orange);
}

#[tokio::test]
async fn a_port_that_somebody_else_has_is_told_and_taken_when_it_is_free() {
    let scene = Scene::new(line()).await;
    let held = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = format!("listen = \"{}\"", held.local_addr().unwrap());
    let text = std::fs::read_to_string(scene.settings()).unwrap();
    std::fs::write(scene.settings(), text.replace("listen = \"127.0.0.1:0\"", &listen)).unwrap();
    let _client = scene.run();
    eventually("it is told", || scene.client_log().contains("the page cannot be opened on ")).await;
    eventually("the client works", || scene.client_log().contains("client runs")).await;
    let status = scene.command(&["status"]).output().await.unwrap();
    assert!(String::from_utf8_lossy(&status.stdout).contains("page.listen"), "{status:?}");
    drop(held);
    eventually("it is served", || scene.client_log().contains("page: http://")).await;
}

#[tokio::test]
async fn a_new_password_is_made_at_the_terminal_and_logs_everybody_out() {
    let room = Room::open().await;
    let visitor = room.log_in().await;
    let made = room.scene.command(&["password"]).output().await.unwrap();
    let made = String::from_utf8_lossy(&made.stdout).into_owned();
    let password = made.trim().strip_prefix("password: ").unwrap();
    assert_eq!(visitor.get(&room, "/").await.status(), StatusCode::SEE_OTHER);
    let old = room.post("/login").form(&[("password", room.password.as_str())]).send().await.unwrap();
    assert_eq!(old.status(), StatusCode::UNAUTHORIZED);
    let new = room.post("/login").form(&[("password", password)]).send().await.unwrap();
    assert_eq!(new.status(), StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn programs_speak_json_with_a_token() {
    let room = Room::open().await;
    let login = room.client.post(room.url("/api/v1/login")).header(CONTENT_TYPE, "application/json");
    let login = login.body(format!("{{\"password\":\"{}\"}}", room.password)).send().await.unwrap();
    let login: serde_json::Value = serde_json::from_str(&login.text().await.unwrap()).unwrap();
    let token = login["token"].as_str().unwrap();
    let get = |path: &str| room.client.get(room.url(path)).bearer_auth(token).send();
    let lines: serde_json::Value =
        serde_json::from_str(&get("/api/v1/lines").await.unwrap().text().await.unwrap()).unwrap();
    assert_eq!(lines["lines"][0]["phone"], "+79060000000");
    let health: serde_json::Value =
        serde_json::from_str(&get("/api/v1/health").await.unwrap().text().await.unwrap()).unwrap();
    assert!(health["layer"].as_i64().unwrap() > 200 && health["ok"] == false, "{health}");
    let changed = room.client.patch(room.url("/api/v1/lines/+79060000000")).bearer_auth(token);
    let changed =
        changed.header(CONTENT_TYPE, "application/json").body("{\"max_calls\":7}").send().await.unwrap();
    assert_eq!(changed.status(), StatusCode::OK);
    let settings = get("/api/v1/settings").await.unwrap().text().await.unwrap();
    assert!(settings.contains("12345") && !settings.contains("0123456789abcdef"), "{settings}");
    let system = room.log_in().await.get(&room, "/system").await.text().await.unwrap();
    assert!(system.contains("12345") && !system.contains("0123456789abcdef"), "{system}");
    let log = room.scene.client_log();
    assert!(log.contains("page: http://") && !log.contains("0123456789abcdef"), "{log}");
    let check = room.client.post(room.url("/api/v1/bots/check")).bearer_auth(token);
    let check = check.header(CONTENT_TYPE, "application/json").body("{\"token\":\"no token\"}").send();
    assert_eq!(check.await.unwrap().status(), StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn a_text_goes_back_to_its_default_alone_and_with_all_others() {
    let room = Room::open().await;
    let visitor = room.log_in().await;
    let texts = "/lines/+79060000000/texts/en";
    let file = || {
        std::fs::read_to_string(room.scene.state.line_file(&phone()).with_file_name("texts.toml")).unwrap()
    };
    let own = [
        ("keypad", "Dial, {name}"),
        ("card", "Call {company}"),
        ("auto_answer", "Write later"),
        ("greeting", "Welcome to {company}"),
        ("key", "Number {key}"),
        ("key_hint", "Ask for it"),
        ("unknown_command", "Pardon?"),
    ];
    assert_eq!(visitor.post(&room, texts, &own).await.status(), StatusCode::SEE_OTHER);
    assert!(own.iter().all(|(key, text)| file().contains(&format!("{key} = \"{text}\""))), "{}", file());
    let wrong = visitor.post(&room, texts, &[("keypad", "Dial, {nmae}")]).await;
    assert_eq!(wrong.status(), StatusCode::UNPROCESSABLE_ENTITY);
    assert!(file().contains("Dial, {name}"), "{}", file());
    visitor.post(&room, texts, &[("reset", "keypad")]).await;
    assert!(!file().contains("keypad") && file().contains("Call {company}"), "{}", file());
    visitor.post(&room, texts, &[("reset", "all")]).await;
    assert!(!file().contains("card") && !file().contains("auto_answer"), "{}", file());
}

/// Journals and settings of the number stay.
#[tokio::test(flavor = "multi_thread")]
async fn sessions_are_forgotten_only_when_the_number_is_typed_again() {
    let scene = Scene::new(line()).await;
    let gateway = scene.gateway();
    scene.log_in().await;
    gateway.told.lock().unwrap().refuses = true;
    let room = Room::of(scene).await;
    let lamp = |lamp| room.scene.until_lamp("session", lamp, |status| status.telegram.lamp);
    lamp(Lamp::Green).await;
    let program = Program::new(&room.scene).await;
    room.scene.world().say(room.scene.anna, room.scene.company, "Is it ready?").unwrap();
    let told = program.next().await;
    let visitor = room.log_in().await;
    let reset = "/lines/+79060000000/reset";
    for typed in ["", "+79060000001"] {
        let form = [("csrf", visitor.csrf.as_str()), ("phone", typed)];
        let refused = room.post(reset).header(COOKIE, &visitor.cookie).header("x-fragment", "1").form(&form);
        let refused = refused.send().await.unwrap();
        assert_eq!(refused.status(), StatusCode::UNPROCESSABLE_ENTITY);
        let told = refused.text().await.unwrap();
        assert!(told.contains("To go on, type +79060000000"), "{told}");
    }
    sleep(Duration::from_millis(500)).await;
    lamp(Lamp::Green).await;
    assert_eq!(gateway.told.lock().unwrap().resets, 0);
    visitor.post(&room, reset, &[("phone", "+79060000000")]).await;
    lamp(Lamp::Red).await;
    assert_eq!(gateway.told.lock().unwrap().resets, 1, "the gateway forgets its session as well");
    assert!(room.scene.state.line_file(&phone()).exists());
    let came = program.get("lastIncomingMessages").await;
    let came: Vec<_> = came.as_array().unwrap().iter().map(|one| &one["idMessage"]).collect();
    assert_eq!(came, [&told["idMessage"]], "journals stay");
    assert_eq!(program.get("getSettings").await["incomingWebhook"], "yes", "and so do settings");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_leads_a_login_through_every_question() {
    let room = Room::open().await;
    let world = room.scene.world();
    world.set_password(room.scene.company, Some(PASSWORD));
    let login = room.post("/api/v1/login").header(CONTENT_TYPE, "application/json");
    let login = login.body(format!("{{\"password\":\"{}\"}}", room.password)).send().await.unwrap();
    let login: serde_json::Value = serde_json::from_str(&login.text().await.unwrap()).unwrap();
    let token = login["token"].as_str().unwrap();
    let read = async |request: RequestBuilder| -> serde_json::Value {
        let answer = request.bearer_auth(token).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        serde_json::from_str(&answer.text().await.unwrap()).unwrap()
    };
    let auth = "/api/v1/lines/+79060000000/client/auth";
    let step = async |step: &str, body: String| {
        read(room.post(&format!("{auth}/{step}")).header(CONTENT_TYPE, "application/json").body(body)).await
    };
    room.scene.until_lamp("session", Lamp::Red, |status| status.telegram.lamp).await;
    assert_eq!(read(room.get(auth)).await["stage"], "start");
    let shown = step("start", "{\"method\":\"qr\"}".to_owned()).await;
    assert!(shown["stage"] == "qr" && shown["token"].is_string(), "{shown}");
    assert_eq!(step("cancel", "{}".to_owned()).await["stage"], "start");
    let asked = step("start", "{\"method\":\"code\"}".to_owned()).await;
    assert!(asked["stage"] == "code" && asked["via"].is_string(), "{asked}");
    let wrong = step("code", "{\"code\":\"00\"}".to_owned()).await;
    assert!(wrong["stage"] == "code" && wrong["problem"]["ru"].is_string(), "{wrong}");
    let code = world.pending_login_code(crate::support::COMPANY).unwrap();
    assert_eq!(step("code", format!("{{\"code\":\"{code}\"}}")).await["stage"], "password");
    assert_eq!(step("password", "{\"password\":\"no\"}".to_owned()).await["stage"], "password");
    let done = step("password", json!({"password": PASSWORD}).to_string()).await;
    assert!(done["stage"] == "done" && done["account"]["name"] == "Company", "{done}");
    room.scene.until_lamp("session", Lamp::Green, |status| status.telegram.lamp).await;
    // What the page shows was looked at a moment ago.
    let end = Instant::now() + SOON;
    loop {
        let line = read(room.get("/api/v1/lines/+79060000000")).await;
        if line["client"]["telegram"]["lamp"] == "green" {
            break;
        }
        assert!(Instant::now() < end, "{line}");
        sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(step("logout", "{}".to_owned()).await["stage"], "start");
}

/// A client whose page is open.
pub(crate) struct Room {
    pub(crate) scene: Scene,
    _client: Client,
    pub(crate) client: reqwest::Client,
    address: String,
    pub(crate) password: String,
    pid: u32,
}

/// A browser that is logged in.
pub(crate) struct Visitor {
    pub(crate) cookie: String,
    pub(crate) csrf: String,
}

impl Room {
    pub(crate) async fn open() -> Self {
        Self::of(Scene::new(line()).await).await
    }

    pub(crate) async fn of(scene: Scene) -> Self {
        let program = scene.run();
        eventually("the page is served", || scene.client_log().contains("page: http://")).await;
        let log = scene.client_log();
        let told = log.lines().find_map(|line| line.split_once("page: http://")).unwrap().1.to_owned();
        assert!(!told.contains("password:"), "a log is read by others: {told}");
        let address = told.split_once("/ (its first password is in ").unwrap().0;
        let password = std::fs::read_to_string(scene.state.page_password()).unwrap();
        let client = reqwest::Client::builder().redirect(Policy::none()).no_proxy().build().unwrap();
        let pid = program.0.id().unwrap();
        let (address, password) = (address.to_owned(), password.trim().to_owned());
        Self { scene, _client: program, client, address, password, pid }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn get(&self, path: &str) -> RequestBuilder {
        self.client.get(self.url(path))
    }

    pub(crate) fn post(&self, path: &str) -> RequestBuilder {
        self.client.post(self.url(path))
    }

    pub(crate) async fn log_in(&self) -> Visitor {
        let answer = self.post("/login").form(&[("password", self.password.as_str())]).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::SEE_OTHER);
        let cookie = answer.headers().get_all(SET_COOKIE).iter().find_map(|cookie| {
            let cookie = cookie.to_str().unwrap();
            assert!(cookie.contains("SameSite=Strict") && cookie.contains("HttpOnly"), "{cookie}");
            cookie.starts_with("tgtrunk=").then(|| cookie.split(';').next().unwrap().to_owned())
        });
        let cookie = cookie.unwrap();
        let page = self.get("/system").header(COOKIE, &cookie).send().await.unwrap().text().await.unwrap();
        let csrf = page.split("name=\"csrf\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
        Visitor { cookie, csrf }
    }

    /// Says something that no browser says, and gives what is answered.
    async fn say(&self, words: &[u8]) -> String {
        let mut stream = TcpStream::connect(&self.address).await.unwrap();
        stream.write_all(words).await.ok();
        let mut told = Vec::new();
        timeout(SOON, stream.read_to_end(&mut told)).await.expect("it is answered").ok();
        String::from_utf8_lossy(&told).into_owned()
    }

    /// Memory of the program that is in use (proc(5)).
    fn memory_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid)).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }
}

impl Visitor {
    pub(crate) async fn get(&self, room: &Room, path: &str) -> Response {
        room.get(path).header(COOKIE, &self.cookie).send().await.unwrap()
    }

    pub(crate) async fn post(&self, room: &Room, path: &str, fields: &[(&str, &str)]) -> Response {
        let mut form = vec![("csrf", self.csrf.as_str())];
        form.extend_from_slice(fields);
        room.post(path).header(COOKIE, &self.cookie).form(&form).send().await.unwrap()
    }
}

/// Waits until an open page is told something.
async fn hears(page: &mut Response, wanted: impl Fn(&str) -> bool) {
    let heard = async {
        let mut held = String::new();
        loop {
            let chunk = page.chunk().await.unwrap().unwrap();
            held.push_str(&String::from_utf8_lossy(&chunk));
            while let Some((event, rest)) = held.split_once("\n\n") {
                let (event, rest) = (event.to_owned(), rest.to_owned());
                held = rest;
                if event.contains("event: fragment") && event.contains("id\":\"alerts\"") && wanted(&event) {
                    return;
                }
            }
        }
    };
    timeout(SOON, heard).await.expect("the page is told");
}

/// Waits until those who went have made room.
async fn eventually_listens(room: &Room, visitor: &Visitor) {
    let end = Instant::now() + SOON;
    while visitor.get(room, "/events?page=/").await.status() != StatusCode::OK {
        assert!(Instant::now() < end, "nobody may listen any more");
        sleep(Duration::from_millis(100)).await;
    }
}
