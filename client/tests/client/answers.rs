//! What happens to what a person writes: answers, and digits.

use std::time::Duration;

use crate::support::{Scene, eventually, line, stays};

const ANSWER: &str = "Hello! We answer calls here. Call us right from this chat, and we will talk.";

#[tokio::test(flavor = "multi_thread")]
async fn a_person_who_writes_is_answered_once_in_a_while() {
    let scene = Scene::new(line().set("auto_answer", true)).await;
    let _gateway = scene.gateway();
    scene.log_in().await;
    let client = scene.client().await;
    scene.world().say(scene.anna, scene.company, "Hello").unwrap();
    scene.world().say(scene.anna, scene.company, "Are you there?").unwrap();
    eventually("an answer", || answers(&scene) == 1).await;
    client.kill().await;
    let _client = scene.client().await;
    scene.world().say(scene.anna, scene.company, "And now?").unwrap();
    stays("one answer", Duration::from_secs(1), || answers(&scene) == 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_short_message_whose_writer_did_not_come_along_is_answered_too() {
    let scene = Scene::new(line().set("auto_answer", true)).await;
    let _gateway = scene.gateway();
    scene.world().configure(|settings| settings.short_messages = true);
    scene.log_in().await;
    let _client = scene.client().await;
    scene.world().say(scene.anna, scene.company, "Hello").unwrap();
    eventually("an answer", || answers(&scene) == 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn digits_typed_during_a_call_are_pressed_in_their_order_and_disappear() {
    let scene = Scene::new(line().set("auto_answer", true).set("keypad", false)).await;
    let gateway = scene.gateway();
    scene.log_in().await;
    let _client = scene.client().await;
    scene.world().say(scene.anna, scene.company, "204").unwrap();
    eventually("an answer to a message that was no call's", || answers(&scene) == 1).await;
    let (_anna, _, call) = scene.anna_calls(&gateway).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    for text in ["2", " 0 ", "4#"] {
        scene.world().say(scene.anna, scene.company, text).unwrap();
    }
    scene.world().say(scene.anna, scene.company, "thank you").unwrap();
    eventually("the keys", || gateway.digits() == ["2", "0", "4#"]).await;
    let left = || scene.company_sees().into_iter().map(|message| message.text).collect::<Vec<_>>();
    eventually("no digits", || left() == ["204", ANSWER, "thank you"]).await;
    assert_eq!(scene.anna_sees().len(), 3);
    gateway.ends(&call);
}

#[tokio::test(flavor = "multi_thread")]
async fn digits_typed_just_before_a_kill_are_pressed_by_the_next_process_if_the_call_lives() {
    let scene = Scene::new(line().set("keypad", false)).await;
    let gateway = scene.gateway();
    scene.log_in().await;
    let client = scene.client().await;
    let (_anna, _, call) = scene.anna_calls(&gateway).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    gateway.told.lock().unwrap().is_deaf = true;
    scene.world().say(scene.anna, scene.company, "204").unwrap();
    eventually("a question", || gateway.told.lock().unwrap().unheard == 1).await;
    client.kill().await;
    gateway.told.lock().unwrap().is_deaf = false;
    let client = scene.client().await;
    eventually("the keys", || gateway.digits() == ["204"]).await;
    eventually("no digits", || scene.anna_sees().is_empty()).await;
    client.kill().await;
    scene.world().say(scene.anna, scene.company, "3").unwrap();
    let client = scene.client().await;
    eventually("keys typed while no client ran", || gateway.digits() == ["204", "3"]).await;
    eventually("no digits", || scene.anna_sees().is_empty()).await;
    gateway.told.lock().unwrap().is_deaf = true;
    scene.world().say(scene.anna, scene.company, "205").unwrap();
    eventually("a question", || gateway.told.lock().unwrap().unheard == 2).await;
    client.kill().await;
    gateway.ends(&call);
    let _client = scene.client().await;
    stays("a message", Duration::from_secs(1), || scene.anna_sees().len() == 1).await;
    assert_eq!(gateway.digits(), ["204", "3"]);
}

fn answers(scene: &Scene) -> usize {
    scene.anna_sees().iter().filter(|message| message.text == ANSWER).count()
}
