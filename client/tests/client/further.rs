//! Further things that programs do with messages: forwards, what members of groups may do, files of other data centres.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tgtrunk_test_telegram::NewUser;
use tgtrunk_test_telegram::world::{Action, Hung, Letter, Match};

use crate::program::Program;
use crate::support::{Client, Scene, eventually, line};

async fn at_work() -> (Scene, Client, Program) {
    let scene = Scene::new(line()).await;
    let gateway = scene.gateway();
    scene.log_in().await;
    drop(gateway);
    let client = scene.client().await;
    let program = Program::new(&scene).await;
    (scene, client, program)
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_are_forwarded_with_the_name_of_whoever_wrote_them() {
    let (scene, _client, program) = at_work().await;
    scene.world().say(scene.anna, scene.company, "one").unwrap();
    let one = program.until("one", |body| body.to_string().contains("one")).await;
    let anna = scene.anna.to_string();
    let sent = program.post("sendMessage", json!({"chatId": anna, "message": "two"})).await;
    program.until_status(&sent["idMessage"], "sent").await;
    let whole =
        json!({"chatId": anna, "chatIdFrom": anna, "messages": [one["idMessage"], sent["idMessage"]]});
    let forwarded = program.post("forwardMessages", whole).await;
    assert_eq!(forwarded["messages"].as_array().unwrap().len(), 2, "{forwarded}");
    let seen = || -> Vec<(String, Option<i64>)> {
        scene.anna_sees().into_iter().map(|message| (message.text, message.forwarded_from)).collect()
    };
    let (of_anna, of_company) = (Some(scene.anna), Some(scene.company));
    let text = str::to_owned;
    let expected =
        [(text("one"), None), (text("two"), None), (text("one"), of_anna), (text("two"), of_company)];
    eventually("both", || seen() == expected).await;
    let nothing = json!({"chatId": anna, "chatIdFrom": anna, "messages": ["1763115112345"]});
    assert_eq!(program.asked("forwardMessages", nothing).await.0, 400);
    assert_eq!(seen(), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_members_of_a_group_may_do_is_changed_and_seen() {
    let (scene, _client, program) = at_work().await;
    program.post("checkAccount", json!({"phoneNumber": 79_001_112_233_i64})).await;
    let new = json!({"groupName": "Orders", "chatIds": [scene.anna.to_string()], "type": "supergroup"});
    let made = program.post("createGroup", new).await;
    let group: i64 = made["chatId"].as_str().unwrap().parse().unwrap();
    scene.world().say(scene.anna, group, "may I?").unwrap();
    let rights = |may_write: bool| {
        let mut said = json!({"chatId": group.to_string()});
        for what in [
            "SendMessages",
            "SendMedia",
            "SendPolls",
            "SendOtherMessages",
            "AddWebPagePreviews",
            "EditGroupSettings",
            "AddMembers",
            "PinMessages",
        ] {
            said[format!("allowParticipants{what}")] = (may_write && what != "EditGroupSettings").into();
        }
        said
    };
    let done = program.post("updateGroupSettings", rights(false)).await;
    assert_eq!(done["updateGroupSettings"], true, "{done}");
    let shown = |card: &Value| {
        (card["allowParticipantsSendMessages"].clone(), card["allowParticipantsEditGroupSettings"].clone())
    };
    let card = program.post("getGroupData", json!({"chatId": group.to_string()})).await;
    assert_eq!(shown(&card), (json!(false), json!(false)), "{card}");
    assert!(scene.world().say(scene.anna, group, "and now?").is_err(), "Anna writes all the same");
    program.post("updateGroupSettings", rights(true)).await;
    let card = program.post("getGroupData", json!({"chatId": group.to_string()})).await;
    assert_eq!(shown(&card), (json!(true), json!(false)), "{card}");
    scene.world().say(scene.anna, group, "thank you").unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_fetched_from_whichever_data_centre_has_it() {
    let (scene, _client, program) = at_work().await;
    let boris = scene.world().add_user(NewUser::new("79003334455", "Boris").dc(4)).unwrap();
    for is_misled in [false, true] {
        let body = format!("1;{is_misled}");
        let file = Hung::Document {
            base64: STANDARD.encode(&body),
            name: "order.csv".to_owned(),
            mime: "text/csv".to_owned(),
        };
        let letter = Letter { media: vec![file], ..Letter::text(scene.company, &body) };
        scene.world().write(boris, letter).unwrap();
        let told = program.until("a file", |one| one.to_string().contains(&body)).await;
        if is_misled {
            let elsewhere = Action::Error { code: 303, message: "FILE_MIGRATE_2".to_owned() };
            scene.world().add_fault(Match::method("upload.getFile").once(), elsewhere);
        }
        let link = told["messageData"]["fileMessageData"]["downloadUrl"].as_str().unwrap();
        let fetched = program.http.get(link).send().await.unwrap();
        assert_eq!(fetched.text().await.unwrap(), body);
    }
    assert!(scene.world().faults().iter().all(|rule| rule.matched > 0), "nobody was misled");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_accounts_own_reactions_are_told_to_nobody() {
    let (scene, _client, program) = at_work().await;
    let said = scene.world().say(scene.anna, scene.company, "Is it good?").unwrap();
    program.until("the question", |body| body.to_string().contains("Is it good?")).await;
    let own = scene.company_sees().pop().unwrap();
    scene.world().react(scene.company, scene.anna, own.id, Some("👍")).unwrap();
    scene.world().react(scene.anna, scene.company, said.id, Some("🔥")).unwrap();
    let told = program.next().await.to_string();
    assert!(told.contains("🔥") && !told.contains("👍"), "{told}");
}
