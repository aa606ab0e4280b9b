//! The machine's clock, set under a running program: each story runs in a process of its own, whose clock libfaketime moves.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::json;
use tgtrunk_messages::{Instance, News, Standing};
use tokio::time::sleep;

use crate::actions::Stage;
use crate::support::{Room, draft, from_anna, switch_on, until};

/// Where libfaketime reads what it adds to the clock.
const FILE: &str = "FAKETIME_TIMESTAMP_FILE";

struct Clock(PathBuf);

#[tokio::test]
async fn a_key_is_good_for_a_day_whatever_the_clock_is_set_to() {
    let name = "clock::a_key_is_good_for_a_day_whatever_the_clock_is_set_to";
    let Some(clock) = Clock::of_this_process(name).await else { return };
    let mut stage = Stage::new().await;
    let pay = async |stage: &Stage, key: &str| {
        let said = json!({"dialog": 5, "text": format!("invoice {key}"), "idempotency_key": key});
        stage.done("send_message", said).await["result"]["id_message"].clone()
    };
    let first = pay(&stage, "7").await;
    // The network tells the time only now, as after a start without a clock of its own.
    clock.is_ahead_by_hours(72);
    assert_eq!(pay(&stage, "7").await, first, "paid for twice");
    let second = pay(&stage, "8").await;
    // Hours that pass while it is off.
    clock.is_ahead_by_hours(72 + 23);
    stage = stage.again().await;
    assert_eq!(pay(&stage, "8").await, second);
    clock.is_ahead_by_hours(72 + 25);
    stage = stage.again().await;
    let anew = pay(&stage, "8").await;
    assert_ne!(anew, second, "the key is kept for longer than a day");

    // Set back by four days: what was done lies in the future.
    clock.is_ahead_by_hours(0);
    assert_eq!(pay(&stage, "8").await, anew, "paid for twice");
    stage = stage.again().await;
    assert_eq!(pay(&stage, "8").await, anew, "paid for twice");
    clock.is_ahead_by_hours(25);
    stage = stage.again().await;
    assert_ne!(pay(&stage, "8").await, anew, "the key is kept until the clock gets there");
    let texts = stage.telegram().texts();
    assert_eq!(texts, ["invoice 7", "invoice 8", "invoice 8", "invoice 8"]);
}

#[tokio::test]
async fn queues_are_kept_for_a_day_whatever_the_clock_is_set_to() {
    let name = "clock::queues_are_kept_for_a_day_whatever_the_clock_is_set_to";
    let Some(clock) = Clock::of_this_process(name).await else { return };
    let room = Room::new();
    let mut instance = room.open().await;
    switch_on(&instance, &["incomingWebhook"]).await;
    let mut number = 0;
    let mut both = async |instance: &Instance, text: &str| {
        number += 1;
        instance.take(News::New(Box::new(from_anna(number, text)))).await.unwrap();
        instance.send(draft(5, text)).await.unwrap();
    };
    let waiting = async |instance: &Instance| {
        (instance.notifications_len().await.unwrap(), instance.queue_len().await.unwrap())
    };
    room.telegram.stands(Standing::NotAuthorized);
    both(&instance, "early").await;
    clock.is_ahead_by_hours(72);
    // What is too old is looked for once a second at most, and whenever something comes.
    sleep(Duration::from_millis(1_100)).await;
    both(&instance, "later").await;
    sleep(Duration::from_millis(500)).await;
    assert_eq!(waiting(&instance).await, (2, 2), "they are minutes old");
    // A day passes while it is off.
    clock.is_ahead_by_hours(72 + 23);
    instance = again(&room, instance).await;
    let head = instance.receive(Duration::ZERO).await.unwrap().unwrap();
    assert_eq!(head.1["messageData"]["textMessageData"]["textMessage"], "later");
    clock.is_ahead_by_hours(72 + 25);
    instance = again(&room, instance).await;
    until("the message is too old", async || waiting(&instance).await.1 == 0).await;
    let (_, told) = instance.receive(Duration::ZERO).await.unwrap().unwrap();
    assert_eq!((&told["typeWebhook"], &told["status"]), (&json!("outgoingMessageStatus"), &json!("failed")));
    while let Some((receipt, _)) = instance.receive(Duration::ZERO).await.unwrap() {
        assert!(instance.confirm(receipt).await.unwrap());
    }

    both(&instance, "of the future").await;
    clock.is_ahead_by_hours(0);
    instance = again(&room, instance).await;
    sleep(Duration::from_millis(500)).await;
    assert_eq!(waiting(&instance).await, (1, 1));
    clock.is_ahead_by_hours(25);
    instance = again(&room, instance).await;
    until("nothing waits until the clock gets there", async || waiting(&instance).await.1 == 0).await;
    let (_, told) = instance.receive(Duration::ZERO).await.unwrap().unwrap();
    assert_eq!(told["status"], "failed", "the notification is gone: {told}");
    assert!(room.telegram.texts().is_empty());
}

/// The same as after a crash.
async fn again(room: &Room, instance: Instance) -> Instance {
    instance.close();
    drop(instance);
    room.open().await
}

impl Clock {
    /// The clock of this process, if it is one whose clock can be set; else the test is run in one.
    async fn of_this_process(name: &str) -> Option<Self> {
        if let Ok(file) = std::env::var(FILE) {
            return Some(Self(file.into()));
        }
        let folder = tempfile::tempdir().unwrap();
        let clock = Self(folder.path().join("clock"));
        clock.is_ahead_by_hours(0);
        let mut child = tokio::process::Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", name]).env(FILE, &clock.0).env("LD_PRELOAD", library());
        for switch in ["FAKETIME_NO_CACHE", "FAKETIME_DONT_FAKE_MONOTONIC", "NO_FAKE_STAT"] {
            child.env(switch, "1");
        }
        let done = child.output().await.unwrap();
        let told = [done.stdout, done.stderr].map(|told| String::from_utf8_lossy(&told).into_owned());
        assert!(done.status.success() && told[0].contains("1 passed"), "{}", told.concat());
        None
    }

    /// Sets the clock so far ahead of the machine's.
    fn is_ahead_by_hours(&self, hours: u32) {
        let aside = self.0.with_extension("next");
        std::fs::write(&aside, format!("+{}s\n", hours * 3600)).unwrap();
        std::fs::rename(&aside, &self.0).unwrap();
    }
}

/// The library of Debian's package faketime.
fn library() -> PathBuf {
    let folders = std::fs::read_dir("/usr/lib").unwrap();
    let mut found = folders.map(|folder| folder.unwrap().path().join("faketime/libfaketime.so.1"));
    found.find(|library| library.exists()).expect("the package faketime is not installed")
}
