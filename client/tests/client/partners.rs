//! Instances that a partner's program makes: accounts without a line, logged in, used, killed and deleted.

use serde_json::{Value, json};
use tgtrunk_test_telegram::NewUser;
use tgtrunk_test_telegram::canary::PASSWORD;
use tgtrunk_test_telegram::world::{Action, Match};

use crate::kills::SAVED;
use crate::ledger::journal_takes;
use crate::program::{Program, json_of};
use crate::support::{Client, Scene, eventually, line};

const SHOP: &str = "79070000000";

/// A program that makes and deletes instances.
struct Partner {
    program: Program,
    token: String,
}

impl Partner {
    /// A running client, and its partner's token.
    async fn new(scene: &Scene) -> Self {
        let program = Program::with_token(scene).await;
        let token = partner_token(scene, &[]).await;
        Self { program, token }
    }

    async fn asked(&self, verb: &str, method: &str, said: Value) -> (u16, Value) {
        let address = format!("{}/partner/{method}/{}", self.program.url, self.token);
        let request = self.program.http.request(verb.parse().unwrap(), address);
        let answer = request.body(said.to_string()).send().await.unwrap();
        (answer.status().as_u16(), json_of(answer).await)
    }

    async fn instances(&self) -> Vec<Value> {
        let (code, all) = self.asked("GET", "getInstances", Value::Null).await;
        assert_eq!(code, 200, "{all}");
        all.as_array().unwrap().clone()
    }

    /// A new instance, as its program knows it.
    async fn makes(&self, said: Value) -> Program {
        let (code, made) = self.asked("POST", "createInstance", said).await;
        assert_eq!((code, &made["typeInstance"]), (200, &json!("telegram")), "{made}");
        let text = |key: &str| made[key].to_string().trim_matches('"').to_owned();
        Program {
            http: self.program.http.clone(),
            url: self.program.url.clone(),
            instance: text("idInstance"),
            token: text("apiTokenInstance"),
        }
    }

    async fn deletes(&self, instance: &str) -> (u16, Value) {
        self.asked("POST", "deleteInstanceAccount", json!({"idInstance": instance})).await
    }
}

async fn partner_token(scene: &Scene, more: &[&str]) -> String {
    let arguments: Vec<&str> = ["partner-token"].iter().chain(more).copied().collect();
    let done = scene.command(&arguments).output().await.unwrap();
    let told = String::from_utf8(done.stdout).unwrap();
    assert!(done.status.success(), "{told}");
    told.split_whitespace().nth(1).unwrap().to_owned()
}

async fn log_in(scene: &Scene, shop: &Program, phone: &str) {
    let phone_number: i64 = phone.parse().unwrap();
    let started = shop.post("startAuthorization", json!({"phoneNumber": phone_number})).await;
    assert_eq!(started["status"], true, "{started}");
    let code = scene.world().pending_login_code(phone).unwrap();
    let done = shop.post("sendAuthorizationCode", json!({"code": code})).await;
    assert_eq!(done["status"], true, "{done}");
    until_standing(shop, "authorized").await;
}

/// Waits until an instance can be called and stands so.
async fn until_standing(program: &Program, wanted: &str) {
    let end = tokio::time::Instant::now() + crate::support::SOON;
    loop {
        // Once a second is as often as it may be asked.
        let (code, told) = match program.http.get(program.address("getStateInstance")).send().await {
            Ok(answer) => (answer.status().as_u16(), json_of(answer).await),
            Err(error) => (0, json!(error.to_string())),
        };
        if code == 200 && told["stateInstance"] == wanted {
            return;
        }
        assert!(tokio::time::Instant::now() < end, "never {wanted}: {code} {told}");
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    }
}

/// The same instance at the client that runs now, whose port is another one.
async fn again(scene: &Scene, shop: &Program) -> Program {
    let url = Program::with_token(scene).await.url;
    Program { http: shop.http.clone(), url, instance: shop.instance.clone(), token: shop.token.clone() }
}

async fn shop_and_client() -> (Scene, i64, Client, Partner) {
    let scene = Scene::new(line()).await;
    let user = scene.world().add_user(NewUser::new(SHOP, "Shop")).unwrap();
    let client = scene.run();
    let partner = Partner::new(&scene).await;
    (scene, user, client, partner)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partner_makes_an_instance_that_is_used_survives_a_kill_and_is_deleted() {
    let (scene, user, client, partner) = shop_and_client().await;
    let settings = json!({"name": "Shop", "incomingWebhook": "yes", "delaySendMessagesMilliseconds": 600});
    let shop = partner.makes(settings).await;
    assert_eq!(shop.get("getStateInstance").await["stateInstance"], "notAuthorized");
    let kept = shop.get("getSettings").await;
    assert_eq!(
        (&kept["incomingWebhook"], &kept["delaySendMessagesMilliseconds"]),
        (&json!("yes"), &json!(600))
    );
    log_in(&scene, &shop, SHOP).await;
    assert_eq!(shop.get("getSettings").await["wid"], format!("{SHOP}@c.us"));
    let sent = json!({"chatId": "79001112233@c.us", "message": "from the shop"});
    shop.post("sendMessage", sent).await;
    let texts = || scene.world().chat(scene.anna, user).into_iter().map(|one| one.text).collect::<Vec<_>>();
    eventually("the message", || texts() == ["from the shop"]).await;
    scene.world().say(scene.anna, user, "to the shop").unwrap();
    let told = shop.next().await;
    assert_eq!(told["messageData"]["textMessageData"]["textMessage"], "to the shop", "{told}");

    let listed = scene.command(&["instances"]).output().await.unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    let row =
        format!("{} a partner's +{SHOP} \"Shop\" authorized: 0 to send, 0 notifications\n", shop.instance);
    assert!(listed.contains(&row), "{listed}");

    let renewed = scene.command(&["token", &format!("+{SHOP}")]).output().await.unwrap();
    let renewed = String::from_utf8(renewed.stdout).unwrap();
    assert!(renewed.contains(&format!("idInstance: {}", shop.instance)), "{renewed}");
    assert_eq!(shop.asked("getMessagesCount", Value::Null).await.0, 401, "the old token opens it");
    let token = renewed.split("apiTokenInstance: ").nth(1).unwrap().split_whitespace().next().unwrap();
    let shop = Program { token: token.to_owned(), ..shop };

    client.kill().await;
    scene.world().say(scene.anna, user, "while it was away").unwrap();
    let client = scene.run();
    let shop = again(&scene, &shop).await;
    until_standing(&shop, "authorized").await;
    let told = shop.next().await;
    assert_eq!(told["messageData"]["textMessageData"]["textMessage"], "while it was away", "{told}");

    let folder = scene.state.instance_dir(shop.instance.parse().unwrap());
    assert!(folder.join("client.db").exists());
    let partner = Partner { program: again(&scene, &partner.program).await, ..partner };
    assert_eq!(partner.deletes(&shop.instance).await, (200, json!({"deleteInstanceAccount": true})));
    assert!(!folder.exists(), "its data is there");
    assert_eq!(scene.world().keys_of(user), Vec::<i64>::new(), "its session goes on");
    assert_eq!(partner.deletes(&shop.instance).await.0, 200, "whoever repeats it is told the same");
    client.kill().await;
    let _client = scene.run();
    let partner = Partner { program: again(&scene, &partner.program).await, ..partner };
    let shop = again(&scene, &shop).await;
    let (code, told) = shop.asked("sendMessage", json!({"chatId": "1", "message": "x"})).await;
    assert_eq!((code, &told["message"]), (400, &json!("Instance is deleted")));
    let all = partner.instances().await;
    let deleted: Vec<(String, bool)> =
        all.iter().map(|one| (one["idInstance"].to_string(), one["deleted"].as_bool().unwrap())).collect();
    assert_eq!(deleted, [(partner.program.instance.clone(), false), (shop.instance.clone(), true)]);
    // Both are counted in seconds.
    assert!(all[1]["timeDeleted"].as_str().unwrap() >= all[1]["timeCreated"].as_str().unwrap(), "{all:?}");
}

/// As with a line's account: what it is told is taken when the journal has it.
#[tokio::test(flavor = "multi_thread")]
async fn what_an_instance_could_not_write_down_is_told_once_by_the_next_client() {
    let (scene, user, client, partner) = shop_and_client().await;
    let shop = partner.makes(json!({"name": "Shop", "incomingWebhook": "yes"})).await;
    log_in(&scene, &shop, SHOP).await;
    let says = |text: &str| scene.world().say(scene.anna, user, text).unwrap();
    let told =
        async |shop: &Program| shop.next().await["messageData"]["textMessageData"]["textMessage"].clone();
    says("before");
    assert_eq!(told(&shop).await, "before");
    let database = scene.state.instance_db(shop.instance.parse().unwrap());
    journal_takes(&database, false).await;
    says("unwritten");
    tokio::time::sleep(SAVED).await;
    let log = scene.client_log();
    assert!(log.contains("a message cannot be kept for programs yet"), "{log}");
    client.kill().await;
    journal_takes(&database, true).await;
    let _client = scene.run();
    let shop = again(&scene, &shop).await;
    until_standing(&shop, "authorized").await;
    assert_eq!(told(&shop).await, "unwritten");
    says("after");
    assert_eq!(told(&shop).await, "after");
    let journal = shop.get("lastIncomingMessages").await;
    let texts: Vec<&Value> = journal.as_array().unwrap().iter().map(|one| &one["textMessage"]).collect();
    assert_eq!(texts, ["after", "unwritten", "before"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_cannot_be_opened_yet_is_listed_as_starting() {
    let (scene, _, client, partner) = shop_and_client().await;
    let shop = partner.makes(json!({"name": "Shop"})).await;
    client.kill().await;
    let database = scene.state.instance_db(shop.instance.parse().unwrap());
    std::fs::write(&database, "no database").unwrap();
    let _client = scene.run();
    let partner = Partner { program: again(&scene, &partner.program).await, ..partner };
    let all = partner.instances().await;
    let names: Vec<&Value> = all.iter().map(|one| &one["name"]).collect();
    assert!(names.len() == 2 && names.contains(&&json!("Shop")), "{all:?}");
    let shop = again(&scene, &shop).await;
    assert_eq!(shop.get("getStateInstance").await, json!({"stateInstance": "starting"}));
    let listed = scene.command(&["instances"]).output().await.unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    let row = format!("{} a partner's \"Shop\" starting: 0 to send, 0 notifications\n", shop.instance);
    assert!(listed.contains(&row), "{listed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_is_logged_in_by_password_and_stays_that_of_its_number() {
    let (scene, user, client, partner) = shop_and_client().await;
    scene.world().set_password(user, Some(PASSWORD));
    let shop = partner.makes(json!({"name": "Shop"})).await;
    let picture = shop.get("qr").await;
    assert_eq!(picture["type"], "qrCode", "{picture}");
    assert!(picture["message"].as_str().unwrap().starts_with("iVBORw0KGgo"), "{picture}");
    let started = shop.post("startAuthorization", json!({"phoneNumber": 79_070_000_000_i64})).await;
    assert_eq!(started["status"], true, "{started}");
    let code = scene.world().pending_login_code(SHOP).unwrap();
    shop.post("sendAuthorizationCode", json!({"code": code})).await;
    until_standing(&shop, "pendingPassword").await;
    let wrong = shop.post("sendAuthorizationPassword", json!({"password": "wrong"})).await;
    assert_eq!(wrong["data"]["reason"], "invalid_password", "{wrong}");
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    let done = shop.post("sendAuthorizationPassword", json!({"password": PASSWORD})).await;
    assert_eq!(done["status"], true, "{done}");
    until_standing(&shop, "authorized").await;

    assert_eq!(shop.get("logout").await["isLogout"], true);
    until_standing(&shop, "notAuthorized").await;
    client.kill().await;
    let _client = scene.run();
    let shop = again(&scene, &shop).await;
    until_standing(&shop, "notAuthorized").await;
    let other = shop.post("startAuthorization", json!({"phoneNumber": 79_001_112_233_i64})).await;
    assert_eq!(other["data"]["reason"], "phone_number_invalid", "{other}");
    assert!(
        other["data"]["message"].as_str().unwrap().contains("Only the account of +79070000000"),
        "{other}"
    );
    assert!(scene.world().pending_login_code("79001112233").is_none(), "Anna was sent a code");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_partner_makes_instances_and_not_more_than_the_settings_say() {
    let scene = Scene::new(line()).await;
    let text = std::fs::read_to_string(scene.settings()).unwrap();
    std::fs::write(scene.settings(), text.replace("[api]\n", "[api]\npartner_instances = 1\n")).unwrap();
    let _client = scene.run();
    let mut partner = Partner::new(&scene).await;
    let right = std::mem::replace(&mut partner.token, "gac.wrong".to_owned());
    for (verb, method) in
        [("GET", "getInstances"), ("POST", "createInstance"), ("POST", "deleteInstanceAccount")]
    {
        assert_eq!(partner.asked(verb, method, json!({"name": "x"})).await.0, 401, "{method}");
    }
    partner.token = right;
    let shop = partner.makes(json!({"name": "one"})).await;
    let (code, full) = partner.asked("POST", "createInstance", json!({"name": "two"})).await;
    assert_eq!(code, 400, "{full}");
    assert!(full["message"].as_str().unwrap().contains("partner_instances = 1 in [api]"), "{full}");
    assert_eq!(partner.instances().await.len(), 2);
    let (code, told) = partner.deletes(&partner.program.instance).await;
    assert!(code == 400 && told["message"].as_str().unwrap().contains("is a line"), "{told}");
    assert_eq!(partner.deletes("4199999999").await.0, 400);
    assert_eq!(partner.deletes(&shop.instance).await.0, 200);
    partner.makes(json!({"name": "two"})).await;

    let old = partner.token.clone();
    partner.token = partner_token(&scene, &[]).await;
    assert_eq!(partner.instances().await.len(), 3);
    partner.token = old;
    assert_eq!(partner.asked("GET", "getInstances", Value::Null).await.0, 401);
    partner_token(&scene, &["--revoke"]).await;
    partner.token = "x".to_owned();
    assert_eq!(partner.asked("GET", "getInstances", Value::Null).await.0, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_kill_left_half_made_or_half_deleted_is_gone_after_the_next_start() {
    let (scene, user, client, partner) = shop_and_client().await;
    let shop = partner.makes(json!({"name": "Shop"})).await;
    log_in(&scene, &shop, SHOP).await;
    assert_eq!(scene.world().keys_of(user).len(), 1);
    client.kill().await;
    // As after a kill between the register and the folder, both ways.
    call_deleted(&scene);
    scene.state.begin_instance(4_100_000_009).unwrap();
    std::fs::write(scene.state.instance_db(4_100_000_009), "").unwrap();
    // Somebody's copy is nobody's to remove.
    let copy = scene.state.instances_dir().join("4100000009.bak");
    std::fs::create_dir(&copy).unwrap();
    let _client = scene.run();
    let shop = again(&scene, &shop).await;
    let (code, told) = shop.asked("getStateInstance", Value::Null).await;
    assert_eq!((code, &told["message"]), (400, &json!("Instance is deleted")));
    eventually("no session", || scene.world().keys_of(user).is_empty()).await;
    eventually("no folder", || scene.state.instance_folders().unwrap() == ["4100000009.bak"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_instance_sends_nothing_more_however_long_its_logout_takes() {
    let (scene, user, client, partner) = shop_and_client().await;
    let shop = partner.makes(json!({"name": "Shop"})).await;
    log_in(&scene, &shop, SHOP).await;
    shop.post("setSettings", json!({"delaySendMessagesMilliseconds": 5000})).await;
    let sent = || scene.world().chat(scene.anna, user).len();
    for text in ["one", "two"] {
        shop.post("sendMessage", json!({"chatId": "79001112233@c.us", "message": text})).await;
    }
    eventually("the first message", || sent() == 1).await;
    client.kill().await;
    call_deleted(&scene);
    scene.world().add_fault(Match::method("auth.logOut"), Action::Silence);
    let _client = scene.run();
    eventually("the logout", || scene.world().faults()[0].acted > 0).await;
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    assert_eq!(sent(), 1, "it goes on sending");
}

/// As after a kill in the midst of a deletion: the register calls the first instance deleted.
fn call_deleted(scene: &Scene) {
    let file = scene.state.instances_file();
    let text = std::fs::read_to_string(&file).unwrap();
    let mut rows: Value = serde_json::from_str(&text).unwrap();
    rows[0]["deleted_s"] = rows[0]["created_s"].clone();
    std::fs::write(&file, rows.to_string()).unwrap();
}
