//! A disk that is full: a real one, of a few MiB, with all that the client keeps on it.

use std::fs::File;
use std::io::{ErrorKind, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::sleep;

use crate::program::{Program, json_of};
use crate::small_disk::SmallDisk;
use crate::support::{Client, Scene, eventually, line, phone};

/// The disk, in MiB: a client's files take a few when it works.
const SIZE: u32 = 40;
/// So long that whoever only tries for a while has given up.
const LONG: Duration = Duration::from_secs(14);
/// Messages that are tried until the disk refuses one.
const TRIES: u32 = 300;

/// A line whose client works on a small disk.
struct Room {
    disk: SmallDisk,
    scene: Scene,
    client: Client,
    program: Program,
    /// What takes the rest of the disk.
    filler: PathBuf,
    /// Texts that were accepted, and those that were not.
    accepted: Vec<String>,
    refused: Vec<String>,
    /// What Anna wrote.
    said: Vec<String>,
}

impl Room {
    async fn open() -> Self {
        let disk = SmallDisk::mount(SIZE).unwrap();
        let scene = Scene::at(line(), &disk.path().join("state")).await;
        let text = std::fs::read_to_string(scene.settings()).unwrap();
        // To the last byte.
        let text = text.replace("[api]\n", "[api]\ndisk_reserve_mb = 0\n");
        std::fs::write(scene.settings(), text).unwrap();
        let gateway = scene.gateway();
        scene.log_in().await;
        drop(gateway);
        let client = scene.run();
        eventually("a session", || scene.status().telegram.lamp == tgtrunk_config::Lamp::Green).await;
        let program = Program::new(&scene).await;
        let filler = disk.path().join("filler");
        let (accepted, refused, said) = (Vec::new(), Vec::new(), Vec::new());
        let mut room = Self { disk, scene, client, program, filler, accepted, refused, said };
        assert!(room.send("before").await);
        room.say("hello");
        room.told(1).await;
        room
    }

    /// Takes all of the disk but so much: MiB.
    fn fill(&self, but_mib: i64) {
        let mut size_mib = i64::from(SIZE);
        while self.disk.fill(size_mib).is_err() {
            size_mib -= 1;
        }
        if but_mib > 0 {
            self.disk.fill(size_mib - but_mib).unwrap();
            return;
        }
        let mut file = File::options().append(true).open(&self.filler).unwrap();
        let full = loop {
            if let Err(error) = file.write_all(&[0; 512]) {
                break error;
            }
        };
        assert_eq!(full.kind(), ErrorKind::StorageFull);
    }

    fn make_room(&self) {
        std::fs::remove_file(&self.filler).unwrap();
    }

    fn say(&mut self, text: &str) {
        self.scene.world().say(self.scene.anna, self.scene.company, text).unwrap();
        self.said.push(text.to_owned());
    }

    /// Has a text sent; false if there is no room for it.
    async fn send(&mut self, text: &str) -> bool {
        let message = json!({"chatId": "79001112233@c.us", "message": text});
        let (code, told) = self.program.asked("sendMessage", message).await;
        if code == 200 {
            self.accepted.push(text.to_owned());
            return true;
        }
        is_no_room(code, &told);
        self.refused.push(text.to_owned());
        false
    }

    /// Sends until there is no room, and some more.
    async fn send_all(&mut self) {
        let mut number = 0;
        while self.refused.len() < 5 {
            number += 1;
            assert!(number < TRIES, "the disk is not full");
            self.send(&format!("out {number}")).await;
        }
    }

    async fn upload(&self, body: Vec<u8>) -> (u16, Value) {
        let request = self.program.http.post(self.program.address("uploadFile"));
        let request = request.header("content-type", "text/csv").header("GA-Filename", "prices.csv");
        let answer = request.body(body).send().await.unwrap();
        (answer.status().as_u16(), json_of(answer).await)
    }

    fn files(&self) -> usize {
        std::fs::read_dir(self.scene.state.phone_dir(&phone()).join("files")).unwrap().count()
    }

    /// Fetches notifications until so many of Anna's messages were told, and a while longer: they are her messages since the
    /// last time, in their order, and no other.
    async fn told(&mut self, count: usize) {
        let mut told = Vec::new();
        loop {
            let address = format!("{}?receiveTimeout=5", self.program.address("receiveNotification"));
            let head = json_of(self.program.http.get(address).send().await.unwrap()).await;
            let Some(receipt) = head["receiptId"].as_i64() else {
                if told.len() >= count {
                    break;
                }
                continue;
            };
            let gone = format!("{}/{receipt}", self.program.address("deleteNotification"));
            assert_eq!(json_of(self.program.http.delete(gone).send().await.unwrap()).await["result"], true);
            if head["body"]["typeWebhook"] == "incomingMessageReceived" {
                let text = &head["body"]["messageData"]["textMessageData"]["textMessage"];
                told.push(text.as_str().unwrap().to_owned());
            }
        }
        assert_eq!(told, self.said[self.said.len() - count..]);
    }

    /// Anna has what was accepted, once and in its order, and nothing else; the journals hold all of it.
    async fn balance(&self) {
        let sees = || {
            let all = self.scene.anna_sees();
            all.into_iter().filter(|one| !one.out && one.file.is_none()).map(|one| one.text)
        };
        eventually("all that was accepted", || sees().count() >= self.accepted.len()).await;
        let queued = async || self.program.get("getMessagesCount").await["count"].clone();
        for _ in 0..100 {
            if queued().await == 0 {
                break;
            }
            sleep(Duration::from_millis(1_050)).await;
        }
        assert_eq!(sees().collect::<Vec<_>>(), self.accepted);
        for (journal, expected) in
            [("lastIncomingMessages", &self.said), ("lastOutgoingMessages", &self.accepted)]
        {
            let lines = self.program.get(journal).await;
            let texts = lines.as_array().unwrap().iter().rev().filter_map(|one| one["textMessage"].as_str());
            assert_eq!(texts.collect::<Vec<_>>(), *expected, "{journal}");
        }
    }

    async fn kill(&mut self) {
        self.client.0.kill().await.unwrap();
    }

    async fn start(&mut self) {
        self.client = self.scene.run();
        self.program = Program::with_token(&self.scene).await;
    }
}

/// The answer is that of a full disk, and says so.
fn is_no_room(code: u16, told: &Value) {
    assert_eq!(code, 507, "{told}");
    assert!(
        told["message"].as_str().unwrap().starts_with("Insufficient Storage: the disk is full"),
        "{told}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_loses_nothing_doubles_nothing_and_is_told_of() {
    let mut room = Room::open().await;
    let partner = partner(&room).await;
    let office = Office::open(&room).await;
    room.fill(0);
    room.send_all().await;
    for number in 1..=5 {
        room.say(&format!("in {number}"));
    }
    let (code, told) = room.upload(vec![b'1'; 100_000]).await;
    is_no_room(code, &told);
    let (code, told) = partner_call(&partner, "createInstance", json!({"name": "Shop"})).await;
    is_no_room(code, &told);
    office.is_full().await;
    assert_eq!(room.program.get("getStateInstance").await["stateInstance"], "authorized");
    sleep(LONG).await;
    let log = room.scene.client_log();
    assert!(!log.contains("is not answered"), "a line in the log for each request:\n{log}");

    // In the middle of a file.
    room.fill(3);
    let before = room.files();
    let (code, told) = room.upload(vec![b'2'; 6 << 20]).await;
    is_no_room(code, &told);
    eventually("nothing of it", || room.files() == before).await;

    room.make_room();
    room.told(5).await;
    room.balance().await;
    let body = vec![b'3'; 5 << 20];
    let (code, told) = room.upload(body.clone()).await;
    assert_eq!(code, 200, "{told}");
    let file =
        json!({"chatId": room.scene.anna.to_string(), "urlFile": told["urlFile"], "fileName": "prices.csv"});
    room.program.post("sendFileByUrl", file).await;
    let file = || room.scene.anna_sees().iter().find_map(|one| one.file);
    eventually("the file", || file().is_some()).await;
    assert_eq!(room.scene.world().file(file().unwrap()).unwrap(), body);
    let (code, made) = partner_call(&partner, "createInstance", json!({"name": "Shop"})).await;
    assert_eq!(code, 200, "{made}");
    let (code, told) = office.notify().await;
    assert_eq!((code, &told["result"]["state"]), (200, &json!("skipped")), "{told}");

    // What was done since is no less on the disk than what was done before.
    assert!(room.send("after").await);
    room.say("good-bye");
    room.told(1).await;
    room.balance().await;
    room.kill().await;
    room.start().await;
    room.say("hello again");
    room.told(1).await;
    room.balance().await;
    let folders = std::fs::read_dir(room.scene.state.instances_dir()).unwrap();
    let folders = folders.filter(|entry| entry.as_ref().unwrap().path().is_dir()).count();
    assert_eq!(folders, 1, "one instance was made, and nothing is left of the other");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_is_killed_on_a_full_disk_goes_on_where_it_was() {
    let mut room = Room::open().await;
    room.fill(0);
    room.send_all().await;
    for number in 1..=5 {
        room.say(&format!("in {number}"));
    }
    sleep(Duration::from_secs(2)).await;
    room.kill().await;
    room.say("in 6");
    room.make_room();
    room.start().await;
    room.told(6).await;
    room.balance().await;
}

/// A program that notifies somebody who does not want it: what is asked for is kept, and nothing is sent.
struct Office {
    http: reqwest::Client,
    url: String,
    token: String,
}

impl Office {
    async fn open(room: &Room) -> Self {
        let (url, token) = room.scene.action_token("--all", "CRM").await;
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let office = Self { http, url, token };
        let main = json!({"name": "Main", "sender": phone()});
        assert_eq!(office.post("organisations", main).await.0, 200);
        let anna = json!({"title": "Anna", "phone": "+79001112233", "notify": false});
        assert_eq!(office.post("recipients", anna).await.0, 200);
        office
    }

    async fn post(&self, path: &str, said: Value) -> (u16, Value) {
        let request = self.http.post(format!("{}/api/v1/{path}", self.url)).bearer_auth(&self.token);
        let answer = request.body(said.to_string()).send().await.unwrap();
        (answer.status().as_u16(), json_of(answer).await)
    }

    async fn notify(&self) -> (u16, Value) {
        self.post("notify", json!({"recipient": "+79001112233", "text": "ж".repeat(20_000)})).await
    }

    /// What is left in the files is used up first.
    async fn is_full(&self) {
        for _ in 0..TRIES {
            let (code, told) = self.notify().await;
            if code == 200 {
                continue;
            }
            let error = &told["error"];
            assert_eq!((code, &error["code"], &error["retryable"]), (507, &json!("internal"), &json!(true)));
            let sentence = error["message"].as_str().unwrap();
            assert!(sentence.starts_with("the disk is full: nothing was kept"), "{sentence}");
            return;
        }
        panic!("the disk is not full");
    }
}

/// Where a partner's program calls.
async fn partner(room: &Room) -> String {
    let done = room.scene.command(&["partner-token"]).output().await.unwrap();
    let told = String::from_utf8(done.stdout).unwrap();
    let token = told.split_whitespace().nth(1).unwrap();
    format!("{}/partner/{{}}/{token}", room.program.url)
}

async fn partner_call(partner: &str, method: &str, said: Value) -> (u16, Value) {
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let request = http.post(partner.replace("{}", method)).header("content-type", "application/json");
    let answer = request.body(said.to_string()).send().await.unwrap();
    (answer.status().as_u16(), json_of(answer).await)
}
