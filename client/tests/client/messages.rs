//! Messages of a line's account, sent and read by programs, and Anna at the other end.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sqlx::Connection as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use tgtrunk_telegram::tl;
use tgtrunk_test_telegram::world::{Action, GroupKind, Hung, Letter, Match, NewGroup};
use tokio::time::sleep;

use crate::program::{Program, json_of};
use crate::support::{Client, Scene, eventually, line, phone};

/// A line at work with a program, and nobody's gateway.
async fn at_work() -> (Scene, Client, Program) {
    let scene = Scene::new(line()).await;
    let gateway = scene.gateway();
    scene.log_in().await;
    drop(gateway);
    let client = scene.client().await;
    let program = Program::new(&scene).await;
    (scene, client, program)
}

/// Anna's number, once the account has met her.
async fn met(scene: &Scene, program: &Program) -> String {
    let found = program.post("checkAccount", json!({"phoneNumber": 79_001_112_233_i64})).await;
    assert_eq!(found["chatId"], scene.anna.to_string(), "{found}");
    scene.anna.to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_is_sent_read_changed_and_taken_back() {
    let (scene, _client, program) = at_work().await;
    let anna = "79001112233@c.us";
    let sent = program.post("sendMessage", json!({"chatId": anna, "message": "Hello, Anna"})).await;
    eventually("the message", || texts(&scene) == ["Hello, Anna"]).await;
    program.until_status(&sent["idMessage"], "sent").await;
    scene.world().read(scene.anna, scene.company);
    let told = program.until_status(&sent["idMessage"], "read").await;
    assert_eq!(told["chatId"], scene.anna.to_string());
    let edit = json!({"chatId": anna, "idMessage": sent["idMessage"], "message": "Hello, dear Anna"});
    program.post("editMessage", edit).await;
    eventually("the change", || texts(&scene) == ["Hello, dear Anna"]).await;
    program.post("deleteMessage", json!({"chatId": anna, "idMessage": sent["idMessage"]})).await;
    eventually("nothing", || texts(&scene).is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_person_writes_changes_and_takes_back_is_told() {
    let (scene, _client, program) = at_work().await;
    let said = scene.world().say(scene.anna, scene.company, "Good morning").unwrap();
    let told = program.next().await;
    assert_eq!(told["typeWebhook"], "incomingMessageReceived");
    assert_eq!(told["senderData"]["chatId"], scene.anna.to_string());
    assert_eq!(told["senderData"]["senderName"], "Anna");
    assert_eq!(told["messageData"]["textMessageData"]["textMessage"], "Good morning");
    scene.world().edit_text(scene.anna, said.id, "Good evening").unwrap();
    let edited = program.next().await;
    assert!(edited.to_string().contains("Good evening"), "{edited}");
    assert!(edited.to_string().contains(told["idMessage"].as_str().unwrap()), "{edited}");
    scene.world().delete_messages(scene.anna, &[said.id], true);
    let deleted = program.next().await;
    assert!(deleted.to_string().contains("deletedMessage"), "{deleted}");
    assert!(deleted.to_string().contains(told["idMessage"].as_str().unwrap()), "{deleted}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_post_in_a_channel_is_told() {
    let (scene, _client, program) = at_work().await;
    let new = NewGroup {
        creator: scene.anna,
        title: "Prices".to_owned(),
        members: vec![scene.company],
        kind: GroupKind::Channel,
        username: None,
    };
    let channel = scene.world().add_group(new).unwrap();
    scene.world().say(scene.anna, channel, "Oak is 7 % cheaper").unwrap();
    let is_post = |body: &Value| body["typeWebhook"] == "incomingMessageReceived";
    let told = program.until("the post", is_post).await;
    let (sender, message) = (&told["senderData"], &told["messageData"]["textMessageData"]["textMessage"]);
    assert_eq!(message, "Oak is 7 % cheaper", "{told}");
    assert_eq!((&sender["chatId"], &sender["chatName"]), (&json!(channel.to_string()), &json!("Prices")));
    // It writes in its own name: who of its people did is nobody's business.
    assert_eq!((&sender["sender"], &sender["senderName"]), (&sender["chatId"], &json!("Prices")), "{told}");
    let list = Hung::Document {
        base64: STANDARD.encode("oak;7"),
        name: "prices.csv".to_owned(),
        mime: "text/csv".to_owned(),
    };
    scene
        .world()
        .write(scene.anna, Letter { media: vec![list], ..Letter::text(channel, "the list") })
        .unwrap();
    let told = program.until("the file", is_post).await;
    assert_eq!(told["senderData"]["chatId"], channel.to_string());
    assert_eq!(told["messageData"]["fileMessageData"]["fileName"], "prices.csv", "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_whose_answer_was_lost_is_found_behind_many_others() {
    let (scene, _client, program) = at_work().await;
    let anna = met(&scene, &program).await;
    let fault = Match::method("messages.sendMessage").user(scene.company).once();
    scene.world().add_fault(fault, Action::LoseAnswer);
    let sent = program.post("sendMessage", json!({"chatId": anna, "message": "Is it ready?"})).await;
    eventually("the message", || scene.anna_sees().iter().any(|seen| seen.text == "Is it ready?")).await;
    for number in 0..120 {
        scene.world().say(scene.anna, scene.company, &format!("No. {number}")).unwrap();
    }
    // Whoever knows its number can change it.
    let edit = json!({"chatId": anna, "idMessage": sent["idMessage"], "message": "Is it ready now?"});
    let mut told = (0, Value::Null);
    for _ in 0..60 {
        told = program.asked("editMessage", edit.clone()).await;
        if told.0 == 200 {
            break;
        }
        sleep(Duration::from_millis(500)).await;
    }
    assert_eq!(told.0, 200, "{}", told.1);
    eventually("the change", || scene.anna_sees().iter().any(|seen| seen.text == "Is it ready now?")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_are_told_though_the_disk_does_not_take_typed_digits() {
    let (scene, _client, program) = at_work().await;
    let file = SqliteConnectOptions::new().filename(scene.state.client_db(&phone()));
    let mut database = SqliteConnection::connect_with(&file).await.unwrap();
    let rename = "ALTER TABLE cl_press RENAME TO cl_away";
    sqlx::query(rename).execute(&mut database).await.unwrap();
    for said in ["1", "2", "Good morning"] {
        scene.world().say(scene.anna, scene.company, said).unwrap();
        let told = program.next().await;
        assert_eq!(told["messageData"]["textMessageData"]["textMessage"], said);
    }
    let rename = "ALTER TABLE cl_away RENAME TO cl_press";
    sqlx::query(rename).execute(&mut database).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn places_contacts_polls_and_files_go_both_ways() {
    let (scene, _client, program) = at_work().await;
    let anna = met(&scene, &program).await;
    let place = json!({"chatId": anna, "latitude": 55.75, "longitude": 37.61, "nameLocation": "Office"});
    program.post("sendLocation", place).await;
    let contact =
        json!({"chatId": anna, "contact": {"phoneContact": 79_990_000_000_i64, "firstName": "Boris"}});
    program.post("sendContact", contact).await;
    let poll = json!({"chatId": anna, "message": "When?", "options": [{"optionName": "now"}, {"optionName": "later"}]});
    program.post("sendPoll", poll).await;
    let body: Vec<u8> = (0..700_000_u32).map(|n| n.to_le_bytes()[1]).collect();
    let part = reqwest::header::HeaderValue::from_static("text/csv");
    let uploaded = program.http.post(program.address("uploadFile")).header("content-type", part);
    let uploaded = uploaded.header("GA-Filename", "prices.csv").body(body.clone()).send().await.unwrap();
    let uploaded = json_of(uploaded).await;
    let file = json!({"chatId": anna, "urlFile": uploaded["urlFile"], "fileName": "prices.csv", "caption": "for you"});
    program.post("sendFileByUrl", file).await;
    let media = || scene.anna_sees().iter().filter_map(|message| message.media).collect::<Vec<_>>();
    eventually("all four", || {
        media() == ["messageMediaVenue", "messageMediaContact", "messageMediaPoll", "messageMediaDocument"]
    })
    .await;
    let seen = scene.anna_sees().pop().unwrap();
    assert_eq!(seen.text, "for you");
    assert_eq!(scene.world().file(seen.file.unwrap()).unwrap(), body);

    let document = Hung::Document {
        base64: STANDARD.encode(&body),
        name: "order.pdf".to_owned(),
        mime: "application/pdf".to_owned(),
    };
    let letter = Letter { media: vec![document], ..Letter::text(scene.company, "my order") };
    scene.world().write(scene.anna, letter).unwrap();
    let told = program.until("a file", |body| body["typeWebhook"] == "incomingMessageReceived").await;
    let file = &told["messageData"]["fileMessageData"];
    assert_eq!((&file["fileName"], &file["caption"]), (&json!("order.pdf"), &json!("my order")), "{told}");
    let link = file["downloadUrl"].as_str().unwrap();
    let fetched = program.http.get(link).send().await.unwrap();
    assert_eq!(fetched.bytes().await.unwrap(), body);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_whose_reference_ran_out_is_fetched_all_the_same() {
    let (scene, _client, program) = at_work().await;
    let document = Hung::Document {
        base64: STANDARD.encode("1,2"),
        name: "a.csv".to_owned(),
        mime: "text/csv".to_owned(),
    };
    let letter = Letter { media: vec![document], ..Letter::text(scene.company, "") };
    scene.world().write(scene.anna, letter).unwrap();
    let told = program.next().await;
    let file = scene.company_sees().pop().unwrap().file.unwrap();
    assert!(scene.world().expire_file(file));
    let link = told["messageData"]["fileMessageData"]["downloadUrl"].as_str().unwrap();
    let fetched = program.http.get(link).send().await.unwrap();
    assert_eq!(fetched.bytes().await.unwrap(), "1,2");
}

#[tokio::test(flavor = "multi_thread")]
async fn chats_history_and_people_are_looked_up() {
    let (scene, _client, program) = at_work().await;
    let anna = scene.anna.to_string();
    scene.world().say(scene.anna, scene.company, "one").unwrap();
    scene.world().say(scene.company, scene.anna, "two").unwrap();
    program.until("both", |body| body.to_string().contains("two")).await;
    let history = program.post("getChatHistory", json!({"chatId": anna, "count": 10})).await;
    let texts: Vec<&str> =
        history.as_array().unwrap().iter().map(|item| item["textMessage"].as_str().unwrap()).collect();
    assert_eq!(texts, ["two", "one"], "{history}");
    met(&scene, &program).await;
    let nobody = program.post("checkAccount", json!({"phoneNumber": 79_009_999_999_i64})).await;
    assert_eq!(nobody["exist"], false);
    let chats = program.get("getChats").await;
    assert!(chats.as_array().unwrap().iter().any(|chat| chat["chatId"] == anna), "{chats}");
    program.post("readChat", json!({"chatId": anna})).await;
    eventually("read", || scene.world().chat(scene.anna, scene.company).iter().all(|m| !m.out || m.read))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_whose_members_cannot_be_invited_is_made_once_and_told_of() {
    let (scene, _client, program) = at_work().await;
    met(&scene, &program).await;
    for (code, message) in [(403, "USER_PRIVACY_RESTRICTED"), (420, "FLOOD_WAIT_30")] {
        let invite = Match::method("channels.inviteToChannel").user(scene.company);
        let fault = scene.world().add_fault(invite, Action::Error { code, message: message.into() });
        let new = json!({"groupName": "Orders", "chatIds": [scene.anna.to_string()], "type": "supergroup"});
        let made = program.post("createGroup", new).await;
        assert_eq!(made["created"], true, "{made}");
        assert!(made["reason"].as_str().is_some_and(|reason| !reason.is_empty()), "{made}");
        let id: i64 = made["chatId"].as_str().unwrap().parse().unwrap();
        assert_eq!(scene.world().group(id).unwrap().members.len(), 1);
        scene.world().remove_fault(fault);
    }
}

/// Clients repeat what is answered 429: once the group is there nothing may be.
#[tokio::test(flavor = "multi_thread")]
async fn a_flood_in_the_middle_of_making_a_group_leaves_one_group() {
    let (scene, _client, program) = at_work().await;
    met(&scene, &program).await;
    let flood = || Action::Error { code: 420, message: "FLOOD_WAIT_30".into() };
    for (kind, makes) in [("group", "messages.createChat"), ("supergroup", "channels.createChannel")] {
        let before = scene.world().groups().len();
        let new = json!({"groupName": "Orders", "chatIds": [scene.anna.to_string()], "type": kind});
        // Before it is there, it is the program's to say it again.
        let fault = scene.world().add_fault(Match::method(makes).user(scene.company), flood());
        let (code, told) = program.asked("createGroup", new.clone()).await;
        assert_eq!(code, 429, "{told}");
        scene.world().remove_fault(fault);
        assert_eq!(scene.world().groups().len(), before);
        let after = [
            "messages.exportChatInvite",
            "messages.addChatUser",
            "messages.getFullChat",
            "channels.getFullChannel",
        ];
        let faults =
            after.map(|method| scene.world().add_fault(Match::method(method).user(scene.company), flood()));
        let made = program.post("createGroup", new).await;
        for fault in faults {
            scene.world().remove_fault(fault);
        }
        assert_eq!((&made["created"], &made["groupInviteLink"]), (&json!(true), &json!("")), "{made}");
        let groups = scene.world().groups();
        assert_eq!(groups.len(), before + 1, "{groups:?}");
        let id: i64 = made["chatId"].as_str().unwrap().parse().unwrap();
        let group = groups.iter().find(|group| group.id == id).unwrap();
        assert!(group.members.iter().any(|member| member.user == scene.anna), "{group:?}");
        // The program can have the link, and the group, when the flood is over.
        let card = program.post("getGroupData", json!({"chatId": made["chatId"]})).await;
        assert!(card["groupInviteLink"].as_str().unwrap().starts_with("https://t.me/+"), "{card}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_of_both_kinds_are_made_and_changed() {
    let (scene, _client, program) = at_work().await;
    met(&scene, &program).await;
    for (kind, expected) in [("group", GroupKind::Basic), ("supergroup", GroupKind::Supergroup)] {
        let mut new = json!({"groupName": "Orders", "chatIds": [scene.anna.to_string()], "type": kind});
        new["messageAutoDeleteTime"] = 7.into();
        let made = program.post("createGroup", new).await;
        assert_eq!(made["created"], true, "{made}");
        let journal = scene.world().journal(0);
        let ttl = journal.iter().find_map(|entry| match expected {
            GroupKind::Basic => {
                entry.request::<tl::functions::messages::CreateChat>().map(|new| new.ttl_period)
            }
            _ => entry.request::<tl::functions::channels::CreateChannel>().map(|new| new.ttl_period),
        });
        assert_eq!(ttl, Some(Some(7 * 86_400)), "seven days, in seconds");
        let chat = made["chatId"].clone();
        assert!(made["groupInviteLink"].as_str().unwrap().starts_with("https://t.me/+"), "{made}");
        let id: i64 = chat.as_str().unwrap().parse().unwrap();
        let group = || scene.world().group(id).unwrap();
        assert_eq!(group().kind, expected);
        let anna = json!({"chatId": chat, "participantChatId": scene.anna.to_string()});
        program.post("setGroupAdmin", anna.clone()).await;
        let card = program.post("getGroupData", json!({"chatId": chat})).await;
        let admins = |card: &Value| {
            card["participants"].as_array().unwrap().iter().filter(|one| one["isAdmin"] == true).count()
        };
        assert_eq!(card["participants"].as_array().unwrap().len(), 2, "{card}");
        assert_eq!(admins(&card), 2, "{card}");
        assert_eq!(card["owner"], scene.company.to_string(), "{card}");
        program.post("removeAdmin", anna.clone()).await;
        assert_eq!(admins(&program.post("getGroupData", json!({"chatId": chat})).await), 1);
        program.post("updateGroupName", json!({"chatId": chat, "groupName": "Returns"})).await;
        assert_eq!(group().title, "Returns");
        program.post("sendMessage", json!({"chatId": chat, "message": "to all"})).await;
        eventually("the message", || {
            scene.world().chat(scene.anna, id).iter().any(|message| message.text == "to all")
        })
        .await;
        if expected == GroupKind::Supergroup {
            let sent = program.get("lastOutgoingMessages").await[0]["idMessage"].clone();
            let mut gone = json!({"chatId": chat, "idMessage": sent, "onlySenderDelete": true});
            let (code, told) = program.asked("deleteMessage", gone.clone()).await;
            assert_eq!(code, 400, "{told}");
            assert!(told.to_string().contains("only be deleted for everybody"), "{told}");
            let is_there =
                || scene.world().chat(scene.anna, id).iter().any(|message| message.text == "to all");
            assert!(is_there(), "for nobody, where the account alone cannot be meant");
            gone["onlySenderDelete"] = false.into();
            program.post("deleteMessage", gone).await;
            eventually("nothing", || !is_there()).await;
        }
        scene.world().say(scene.anna, id, "to you").unwrap();
        let told = program.until("Anna", |body| body.to_string().contains("to you")).await;
        assert_eq!(told["senderData"]["chatId"], chat);
        assert_eq!(told["senderData"]["sender"], scene.anna.to_string());
        program.post("removeGroupParticipant", anna.clone()).await;
        assert_eq!(group().members.len(), 1);
        program.post("addGroupParticipant", anna).await;
        assert_eq!(group().members.len(), 2);
        program.post("leaveGroup", json!({"chatId": chat})).await;
        eventually("gone", || group().members.iter().all(|member| member.user != scene.company)).await;
    }
}

/// Lets the journal take nothing, while all else is written, until what is returned is executed.
async fn without_room(scene: &Scene) -> (SqliteConnection, &'static str) {
    let file = SqliteConnectOptions::new().filename(scene.state.client_db(&phone()));
    let mut disk = SqliteConnection::connect_with(&file).await.unwrap();
    let full = "CREATE TRIGGER full BEFORE INSERT ON ms_message
        BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END";
    sqlx::query(full).execute(&mut disk).await.unwrap();
    (disk, "DROP TRIGGER full")
}

fn said(told: &Value) -> Value {
    told["messageData"]["textMessageData"]["textMessage"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_full_disk_refused_is_told_once_it_takes_writes_again_and_not_once_more_later() {
    let (scene, client, program) = at_work().await;
    let (mut disk, room) = without_room(&scene).await;
    for said in ["one", "two"] {
        scene.world().say(scene.anna, scene.company, said).unwrap();
    }
    // So long that whoever only tries for a while has given up.
    sleep(Duration::from_secs(14)).await;
    sqlx::query(room).execute(&mut disk).await.unwrap();
    disk.close().await.unwrap();
    assert_eq!((said(&program.next().await), said(&program.next().await)), (json!("one"), json!("two")));
    scene.world().say(scene.anna, scene.company, "three").unwrap();
    assert_eq!(said(&program.next().await), "three");
    client.kill().await;
    let _client = scene.client().await;
    let program = Program::with_token(&scene).await;
    scene.world().say(scene.anna, scene.company, "four").unwrap();
    assert_eq!(said(&program.next().await), "four");
}

/// The state from which Telegram is asked for what was missed is saved each half minute: never past what no journal has.
#[tokio::test(flavor = "multi_thread")]
async fn what_no_journal_has_is_told_by_the_next_process_though_the_state_was_saved_meanwhile() {
    let (scene, client, program) = at_work().await;
    scene.world().say(scene.anna, scene.company, "before").unwrap();
    assert_eq!(said(&program.next().await), "before");
    let (mut disk, room) = without_room(&scene).await;
    for said in ["one", "two"] {
        scene.world().say(scene.anna, scene.company, said).unwrap();
    }
    sleep(Duration::from_secs(32)).await;
    client.kill().await;
    sqlx::query(room).execute(&mut disk).await.unwrap();
    disk.close().await.unwrap();
    let _client = scene.client().await;
    let program = Program::with_token(&scene).await;
    assert_eq!((said(&program.next().await), said(&program.next().await)), (json!("one"), json!("two")));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_or_doubled_when_the_client_is_killed() {
    let (scene, client, program) = at_work().await;
    let anna = met(&scene, &program).await;
    let mut ids = Vec::new();
    for number in 0..6 {
        let message = json!({"chatId": anna, "message": format!("out {number}")});
        ids.push(program.post("sendMessage", message).await["idMessage"].clone());
    }
    scene.world().say(scene.anna, scene.company, "in 0").unwrap();
    eventually("some of them", || texts(&scene).contains(&"out 1".to_owned())).await;
    client.kill().await;
    scene.world().say(scene.anna, scene.company, "in 1").unwrap();
    let _client = scene.client().await;
    let program = Program::with_token(&scene).await;
    scene.world().say(scene.anna, scene.company, "in 2").unwrap();
    let sent =
        || -> Vec<String> { texts(&scene).into_iter().filter(|text| text.starts_with("out")).collect() };
    let expected: Vec<String> = (0..6).map(|number| format!("out {number}")).collect();
    eventually("all of them, once", || sent() == expected).await;
    let mut came = Vec::new();
    while came.len() < 3 {
        let told = program.next().await;
        if told["typeWebhook"] == "incomingMessageReceived" {
            came.push(told["messageData"]["textMessageData"]["textMessage"].as_str().unwrap().to_owned());
        }
    }
    assert_eq!(came, ["in 0", "in 1", "in 2"]);
    assert_eq!(sent(), expected);
    let outgoing = program.get("lastOutgoingMessages").await;
    assert_eq!(outgoing.as_array().unwrap().len(), ids.len(), "{outgoing}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_opens_one_instance_until_there_is_another() {
    let (scene, _client, old) = at_work().await;
    let state = old.get("getStateInstance").await;
    assert_eq!(state["stateInstance"], "authorized");
    let new = Program::with_token(&scene).await;
    assert_eq!((&new.instance, new.token == old.token), (&old.instance, false));
    assert_eq!(old.asked("getStateInstance", Value::Null).await.0, 401);
    let listed = scene.command(&["instances"]).output().await.unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    assert_eq!(listed, format!("{} {} authorized: 0 to send, 0 notifications\n", new.instance, phone()));
    let told = scene.command(&["token", "+79069999999"]).output().await.unwrap();
    assert!(!told.status.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_nobody_logged_in_is_logged_in_by_its_program() {
    let scene = Scene::new(line()).await;
    let _client = scene.run();
    let program = Program::with_token(&scene).await;
    assert_eq!(program.get("getStateInstance").await["stateInstance"], "notAuthorized");
    let started = json!({"phoneNumber": 79_060_000_000_i64});
    let started = program.post("startAuthorization", started).await;
    assert_eq!(started["status"], true, "{started}");
    let wrong = program.post("sendAuthorizationCode", json!({"code": "00000"})).await;
    assert_eq!(wrong["status"], false, "{wrong}");
    let code = scene.world().pending_login_code(crate::support::COMPANY).unwrap();
    let done = program.post("sendAuthorizationCode", json!({"code": code})).await;
    assert_eq!(done["status"], true, "{done}");
    eventually("a session", || scene.status().telegram.lamp == tgtrunk_config::Lamp::Green).await;
    assert_eq!(program.get("getStateInstance").await["stateInstance"], "authorized");
    let account = program.get("getAccountSettings").await;
    assert_eq!(account["phone"], crate::support::COMPANY, "{account}");
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_are_served_with_tls_by_a_certificate_made_once() {
    let scene = Scene::new(line()).await;
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let text = std::fs::read_to_string(scene.settings()).unwrap();
    let text = text.replace("[api]\n", &format!("[api]\ntls_listen = \"127.0.0.1:{port}\"\n"));
    std::fs::write(scene.settings(), text).unwrap();
    let _client = scene.run();
    let program = Program::with_token(&scene).await;
    assert_eq!(program.url, format!("https://127.0.0.1:{port}"));
    let file = scene.state.api_certificate();
    eventually("a certificate", || file.exists()).await;
    let certificate = reqwest::Certificate::from_pem(&std::fs::read(&file).unwrap()).unwrap();
    let http = reqwest::Client::builder().no_proxy().add_root_certificate(certificate).build().unwrap();
    let address =
        program.address("getStateInstance").replace(&program.url, &format!("https://localhost:{port}"));
    let mut answer = http.get(&address).send().await;
    for _ in 0..100 {
        if answer.is_ok() {
            break;
        }
        sleep(Duration::from_millis(50)).await;
        answer = http.get(&address).send().await;
    }
    let told = json_of(answer.unwrap()).await;
    assert_eq!(told["stateInstance"], "notAuthorized");
}

fn texts(scene: &Scene) -> Vec<String> {
    scene.anna_sees().into_iter().map(|message| message.text).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn reactions_contacts_pictures_and_the_archive() {
    let (scene, _client, program) = at_work().await;
    let anna = met(&scene, &program).await;
    let sent = program.post("sendMessage", json!({"chatId": anna, "message": "Is it good?"})).await;
    program.until_status(&sent["idMessage"], "sent").await;
    let seen = scene.anna_sees().pop().unwrap();
    scene.world().react(scene.anna, scene.company, seen.id, Some("👍")).unwrap();
    let told = program.until("a reaction", |body| body.to_string().contains("👍")).await;
    assert!(told.to_string().contains(sent["idMessage"].as_str().unwrap()), "{told}");
    let contact = json!({"chatId": anna, "firstName": "Anna", "lastName": "of the shop"});
    program.post("addContact", contact).await;
    let contacts = program.get("getContacts").await;
    let of_anna = contacts.as_array().unwrap().iter().find(|one| one["chatId"] == anna).unwrap();
    assert_eq!(of_anna["contactName"], "Anna of the shop", "{contacts}");
    let card = program.post("getContactInfo", json!({"chatId": anna})).await;
    assert_eq!((&card["chatId"], &card["contactName"]), (&json!(anna), &json!("Anna of the shop")), "{card}");
    assert_eq!(program.post("getAvatar", json!({"chatId": anna})).await["urlAvatar"], "");
    let picture = STANDARD.decode(PIXEL).unwrap();
    scene.world().set_portrait(scene.anna, picture.clone()).unwrap();
    let avatar = program.post("getAvatar", json!({"chatId": anna})).await;
    let fetched = program.http.get(avatar["urlAvatar"].as_str().unwrap()).send().await.unwrap();
    assert_eq!(fetched.bytes().await.unwrap(), picture);
    program.post("archiveChat", json!({"chatId": anna})).await;
    let chats = program.get("getChats").await;
    let is_archived = |chats: &Value| {
        let all = chats.as_array().unwrap();
        all.iter().find(|chat| chat["chatId"] == anna).unwrap()["archive"].clone()
    };
    assert_eq!(is_archived(&chats), true, "{chats}");
    program.post("unarchiveChat", json!({"chatId": anna})).await;
    let chats = program.get("getChats").await;
    assert_eq!(is_archived(&chats), false, "{chats}");
}

/// A picture of one pixel: PNG.
const PIXEL: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNkYAAAAAYAAjCB0C8AAAAASUVORK5CYII=";
