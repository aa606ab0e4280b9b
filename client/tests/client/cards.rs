//! The business card after a call that a person did not answer.

use std::time::Duration;

use tgtrunk_config::control::{CallState, Direction};
use tgtrunk_test_telegram::world::{Action, Ending, Match, Puppet};

use crate::support::{Scene, eventually, info, line, stays};

const PLAIN: &str =
    "Unfortunately, we could not reach you. Whenever it suits you, call us right from this chat.";

#[tokio::test(flavor = "multi_thread")]
async fn a_missed_call_brings_one_card_and_a_second_one_soon_after_none() {
    let scene = Scene::new(line()).await;
    let _gateway = scene.gateway();
    scene.log_in().await;
    let client = scene.client().await;
    scene.anna_misses_a_call().await;
    eventually("a card", || texts(&scene) == [PLAIN]).await;
    scene.anna_misses_a_call().await;
    stays("one card", Duration::from_secs(1), || texts(&scene) == [PLAIN]).await;
    client.kill().await;
    let _client = scene.client().await;
    stays("one card", Duration::from_secs(1), || texts(&scene) == [PLAIN]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_was_missed_while_no_client_ran_has_its_card_when_one_does() {
    let scene = Scene::new(line()).await;
    let _gateway = scene.gateway();
    scene.log_in().await;
    scene.client().await.kill().await;
    scene.anna_misses_a_call().await;
    let _client = scene.client().await;
    eventually("a card", || texts(&scene) == [PLAIN]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_card_whose_sending_was_not_answered_is_not_sent_twice() {
    let scene = Scene::new(line()).await;
    let _gateway = scene.gateway();
    scene.log_in().await;
    let client = scene.client().await;
    let fault = Match::method("messages.sendMessage").user(scene.company).once();
    scene.world().add_fault(fault, Action::LoseAnswer);
    scene.anna_misses_a_call().await;
    eventually("a card", || texts(&scene) == [PLAIN]).await;
    client.kill().await;
    let _client = scene.client().await;
    eventually("a repetition", || scene.world().count(scene.company, "messages.sendMessage") > 1).await;
    stays("one card", Duration::from_secs(1), || texts(&scene) == [PLAIN]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_card_has_its_picture_and_its_contact() {
    let photo = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(photo.path(), picture()).unwrap();
    let contact = serde_json::json!({"phone": "+74951234567", "first_name": "Acme", "last_name": "Ltd"});
    let draft = line().set("card_photo", photo.path().to_str().unwrap()).set("card_contact", contact);
    let scene = Scene::new(draft).await;
    let _gateway = scene.gateway();
    scene.log_in().await;
    let _client = scene.client().await;
    scene.anna_misses_a_call().await;
    eventually("three messages", || scene.anna_sees().len() == 3).await;
    let seen = scene.anna_sees();
    assert_eq!(seen[0].media, Some("messageMediaPhoto"));
    assert_eq!(seen[1].contact.as_ref().unwrap().phone, "+74951234567");
    assert_eq!(seen[2].text, PLAIN);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_back_that_is_missed_brings_no_further_card() {
    let scene = Scene::new(line()).await;
    let gateway = scene.gateway();
    scene.log_in().await;
    let _client = scene.client().await;
    let company = Puppet::new(scene.world(), scene.company).unwrap();
    let call = company.dial(scene.anna, false).await.unwrap();
    let mut told = info(0xb1, scene.anna, Direction::PbxToTelegram);
    (told.extension, told.telegram_call) = (Some("2001".into()), Some(call));
    told.state = CallState::Ringing;
    gateway.tell(&told);
    tokio::time::sleep(Duration::from_millis(300)).await;
    company.discard(call, Ending::Missed, 0).await.unwrap();
    gateway.ends(&told);
    stays("no card", Duration::from_secs(1), || scene.anna_sees().is_empty()).await;
}

/// More than one part of an upload: a JPEG whose frame says 16 by 8 (ITU-T T.81, B.2.2), and padding.
fn picture() -> Vec<u8> {
    let mut bytes = vec![0xff, 0xd8, 0xff, 0xc0, 0, 11, 8, 0, 8, 0, 16, 1, 1, 0x11, 0];
    bytes.resize(700 * 1024, 0);
    bytes
}

fn texts(scene: &Scene) -> Vec<String> {
    scene.anna_sees().into_iter().map(|message| message.text).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_back_that_the_gateway_tells_of_late_and_once_earns_no_card() {
    let scene = Scene::new(line()).await;
    let gateway = scene.gateway();
    scene.log_in().await;
    let _client = scene.client().await;
    let mut call = info(0xb1, scene.anna, Direction::PbxToTelegram);
    call.extension = Some("101".into());
    gateway.tell(&call);
    let company = Puppet::new(scene.world(), scene.company).unwrap();
    let dialled = company.dial(scene.anna, false).await.unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    company.discard(dialled, Ending::Missed, 0).await.unwrap();
    call.telegram_call = Some(dialled);
    tokio::time::sleep(Duration::from_millis(300)).await;
    gateway.ends(&call);
    stays("no card", Duration::from_secs(3), || scene.anna_sees().is_empty()).await;
}
