//! The partner's methods of `telegram-api-client-python`: an instance is made, logged in, used and deleted by it alone.

use serde_json::{Value, json};

use crate::keys;
use crate::room::Room;
use crate::vendor::{Vendor, python};

#[tokio::test(flavor = "multi_thread")]
async fn a_partner_makes_and_deletes_instances() {
    let room = Room::open(true).await;
    let done = room.scene.command(&["partner-token"]).output().await.unwrap();
    let told = String::from_utf8(done.stdout).unwrap();
    let token = told.split_whitespace().nth(1).unwrap_or_else(|| panic!("no token: {told}")).to_owned();
    let mut options = room.options();
    options["package"] = "telegram_api_client_python".into();
    options["partner"] = token.into();
    let mut partner = Vendor::start(python("green_sdk.py").await, &options).await;
    for is_async in [false, true] {
        partner.is_async = is_async;
        makes_uses_and_deletes(&room, &mut partner, options.clone()).await;
    }
    let untried = partner.untried();
    assert!(untried.iter().all(|method| !method.starts_with("partner.")), "{untried:?}");
    assert_eq!(partner.tried(), 3);
}

async fn makes_uses_and_deletes(room: &Room, partner: &mut Vendor, mut options: Value) {
    let instances = partner.calls("partner.getInstances", json!([]), &keys::INSTANCE).await;
    let is_there = |all: &Value, id: &Value| {
        let mut all = all.as_array().unwrap().iter();
        all.find(|one| one["idInstance"] == *id).map(|one| one["deleted"].clone())
    };
    let own: Value = room.program.instance.parse::<u64>().unwrap().into();
    assert_eq!(is_there(&instances, &own), Some(json!(false)), "{instances}");
    let name = if partner.is_async { "Shop two" } else { "Shop one" };
    let wish = json!([{"name": name, "incomingWebhook": "yes", "delaySendMessagesMilliseconds": 500}]);
    let made = partner
        .calls("partner.createInstance", wish, &["idInstance", "apiTokenInstance", "typeInstance"])
        .await;
    let instances = partner.calls("partner.getInstances", json!([]), &keys::INSTANCE).await;
    assert_eq!(is_there(&instances, &made["idInstance"]), Some(json!(false)), "{instances}");
    assert!(instances.to_string().contains(name), "{instances}");

    // Boris is the account of it.
    (options["instance"], options["token"]) = (made["idInstance"].clone(), made["apiTokenInstance"].clone());
    let mut shop = Vendor::start(python("green_sdk.py").await, &options).await;
    let settings = shop.calls("account.getSettings", json!([]), &keys::SETTINGS).await;
    assert_eq!((&settings["incomingWebhook"], &settings["wid"]), (&json!("yes"), &json!("")));
    let shown = shop.calls("account.qr", json!([]), &["type", "message"]).await;
    assert_eq!(room.boris.can("sessions", json!({})).await, 1);
    room.boris.can("scan", json!({"png": shown["message"]})).await;
    let mut state = Value::Null;
    for _ in 0..100 {
        state = shop.calls("account.getStateInstance", json!([]), &["stateInstance"]).await["stateInstance"]
            .clone();
        if state == "authorized" {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    }
    assert_eq!(state, "authorized");
    assert_eq!(room.boris.can("sessions", json!({})).await, 2);
    shop.calls("sending.sendMessage", json!([format!("{}@c.us", crate::room::ANNA), name]), &["idMessage"])
        .await;
    room.anna.message(room.boris.id, |message| message["text"] == name).await;

    let with = json!([made["idInstance"]]);
    let gone = partner.calls("partner.deleteInstanceAccount", with, &["deleteInstanceAccount"]).await;
    assert_eq!(gone["deleteInstanceAccount"], true);
    room.boris.sees("sessions", json!({}), |count| *count == 1).await;
    let (code, why) = shop.asks("account.getStateInstance", json!([])).await;
    assert_eq!(code, Some(400), "{why}");
    assert!(why.to_string().contains("Instance is deleted"), "{why}");
    let instances = partner.calls("partner.getInstances", json!([]), &keys::INSTANCE).await;
    assert_eq!(is_there(&instances, &made["idInstance"]), Some(json!(true)), "{instances}");
}
