//! The client killed as a crash would, at each step of sending and receiving: nothing that was accepted or written is lost,
//! nothing is doubled, the order is kept, and queues, settings and tokens are there in the next process.
//!
//! The twelve proofs that queues and journals hold whatever happens, of which the first three rows are here:
//!
//! | what happens | test |
//! |---|---|
//! | killed before a message is handed over, while it is, and after (three points) | `a_message_is_sent_once_wherever_the_client_dies` |
//! | killed before news are written down, before they are taken in, and before they are fetched (three points), or while and after they are brought to a webhook | `what_a_person_writes_is_told_once_wherever_the_client_dies`, `what_could_not_be_written_down_is_told_once_by_the_next_client`, `partners::what_an_instance_could_not_write_down_is_told_once_by_the_next_client`, `what_is_brought_to_a_webhook_is_brought_wherever_the_client_dies` |
//! | started anew | `many_messages_both_ways_outlive_kills_at_any_time`, whose books compare queues, settings and token after each |
//! | two who fetch | messages: `guarantees::two_who_fetch_see_the_same_until_one_takes_it_away` |
//! | a day passes, or the clock is set | messages: `clock::queues_are_kept_for_a_day_whatever_the_clock_is_set_to`, `clock::a_key_is_good_for_a_day_whatever_the_clock_is_set_to` |
//! | FLOOD_WAIT | messages: `sending::a_flood_wait_rests_the_whole_queue_for_as_long_as_telegram_said`, `guarantees::a_rest_that_telegram_asked_for_outlives_the_process` |
//! | a webhook is down for an hour | messages: `webhook::a_webhook_that_is_down_for_an_hour_is_tried_each_minute_and_then_gets_everything_in_order` |
//! | copied while it works | `backup::a_copy_made_while_the_client_works_takes_its_place_and_nothing_is_doubled` |
//!
//! `TGTRUNK_KILLS` says how often it is killed amid many messages (4 without it), `TGTRUNK_SEED` with which chance.

use std::io::Write as _;
use std::time::Duration;

use axum::http::HeaderMap;
use serde_json::{Value, json};
use tgtrunk_test_telegram::world::{Action, Match};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{sleep, timeout};

use crate::ledger::{Books, Chance};
use crate::support::{SOON, eventually};

/// The state from which Telegram is asked for what was missed is saved each half minute; then it was.
pub(crate) const SAVED: Duration = Duration::from_secs(31);

/// How far a message of a program's is when the client dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Out {
    /// It is claimed, and Telegram is asked whose the number is.
    Looked,
    /// It was just accepted, and waits behind another.
    Accepted,
    /// Telegram was asked and does not answer; it does not have it.
    Asked,
    /// Telegram has it, and its answer is lost.
    Unheard,
    /// Telegram has it, and its answer is under way.
    Answering,
    /// Telegram has it, and has answered.
    Answered,
    /// It was told that it is sent.
    Told,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_sent_once_wherever_the_client_dies() {
    let mut books = Books::open().await;
    let mut chance = Chance(11);
    for step in
        [Out::Looked, Out::Accepted, Out::Asked, Out::Unheard, Out::Answering, Out::Answered, Out::Told]
    {
        let text = format!("{step:?}");
        let account = books.scene.company;
        let method = if step == Out::Looked { "contacts.resolvePhone" } else { "messages.sendMessage" };
        let send = Match::method(method).user(account).once();
        let fault = match step {
            Out::Looked | Out::Asked => Some(Action::Silence),
            Out::Unheard => Some(Action::LoseAnswer),
            Out::Answering => Some(Action::Delay { ms: 300 }),
            Out::Accepted | Out::Answered | Out::Told => None,
        };
        if let Some(fault) = fault {
            books.scene.world().add_fault(send, fault);
        }
        if step == Out::Accepted {
            // Between two messages half a second passes.
            assert!(books.send("just before").await);
            let scene = &books.scene;
            let is_sent = || scene.anna_sees().iter().any(|message| message.text == "just before");
            eventually("it is sent", is_sent).await;
        }
        assert!(books.send(&text).await);
        let scene = &books.scene;
        let has = || scene.anna_sees().iter().any(|message| message.text == text);
        match step {
            Out::Accepted => {}
            Out::Looked | Out::Asked => eventually("asked", || scene.world().faults()[0].acted == 1).await,
            Out::Unheard | Out::Answering => eventually("Telegram has it", has).await,
            Out::Answered => {
                eventually("Telegram has it", has).await;
                chance.pause(15).await;
            }
            Out::Told => {
                let (id, _) = books.accepted.last().unwrap().clone();
                books.until_status(&id, "sent").await;
            }
        }
        books.kill().await;
        if matches!(step, Out::Looked | Out::Accepted | Out::Asked) {
            let scene = &books.scene;
            assert!(scene.anna_sees().iter().all(|message| message.text != text), "killed too late: {text}");
        }
        books.scene.world().clear_faults();
        // The next one waits behind it.
        books.start().await;
        assert!(books.send(&format!("after {step:?}")).await);
    }
    books.balance().await;
}

/// What is under way when the client dies, beside plain texts.
#[tokio::test(flavor = "multi_thread")]
async fn long_texts_files_and_changes_are_done_once_wherever_the_client_dies() {
    let mut books = Books::open().await;
    let account = books.scene.company;
    let long = [("first ", 800), ("second ", 550), ("third ", 400)].map(|(word, count)| word.repeat(count));
    let long = long.join("\n").trim_end().to_owned();
    for nth in [2, 3] {
        let matches = Match { nth: Some(nth), ..Match::method("messages.sendMessage").user(account).once() };
        books.scene.world().add_fault(matches, Action::LoseAnswer);
        let before = books.scene.anna_sees().len();
        assert!(books.send(&long).await);
        let scene = &books.scene;
        let parts = before + usize::try_from(nth).unwrap();
        eventually("some parts", || scene.anna_sees().len() == parts).await;
        books.kill().await;
        books.scene.world().clear_faults();
        books.start().await;
        let (id, _) = books.accepted.last().unwrap().clone();
        books.until_status(&id, "delivered").await;
        books.scene.world().read(books.scene.anna, account);
        books.until_status(&id, "read").await;
    }
    books.balance().await;
    // All parts of it are one message.
    let (id, _) = books.accepted.pop().unwrap();
    let delete = json!({"chatId": books.scene.anna.to_string(), "idMessage": id});
    books.program.post("deleteMessage", delete).await;
    let scene = &books.scene;
    eventually("three parts less", || scene.anna_sees().len() == 3).await;
    let (id, _) = books.accepted.pop().unwrap();

    // An edit whose answer is lost is asked for again.
    let edit = json!({"chatId": books.scene.anna.to_string(), "idMessage": id, "message": "short"});
    books
        .scene
        .world()
        .add_fault(Match::method("messages.editMessage").user(account).once(), Action::LoseAnswer);
    let asked = timeout(Duration::from_millis(300), books.program.asked("editMessage", edit.clone())).await;
    assert!(asked.is_err(), "{asked:?}");
    books.kill().await;
    books.start().await;
    books.program.post("editMessage", edit).await;
    let texts = || scene_texts(&books);
    eventually("one short text", || texts() == ["short"]).await;

    // A file, while it is handed over and after that.
    let faults = [("upload.saveFilePart", Action::Silence), ("messages.sendMedia", Action::LoseAnswer)];
    for (number, (method, action)) in faults.into_iter().enumerate() {
        books.scene.world().add_fault(Match::method(method).user(account).once(), action);
        let uploaded = books.program.http.post(books.program.address("uploadFile"));
        let uploaded =
            uploaded.header("content-type", "text/csv").body(vec![b'7'; 300_000]).send().await.unwrap();
        let uploaded = crate::program::json_of(uploaded).await;
        let caption = format!("file {number}");
        let file = json!({
            "chatId": books.scene.anna.to_string(), "urlFile": uploaded["urlFile"], "fileName": "a.csv",
            "caption": caption,
        });
        let sent = books.program.post("sendFileByUrl", file).await;
        let scene = &books.scene;
        eventually("the fault", || scene.world().faults().iter().any(|fault| fault.acted == 1)).await;
        books.kill().await;
        books.scene.world().clear_faults();
        books.start().await;
        books.until_status(sent["idMessage"].as_str().unwrap(), "delivered").await;
        let found = scene_texts(&books).into_iter().filter(|text| *text == caption).count();
        assert_eq!(found, 1, "{method}");
        let forward = json!({
            "chatId": books.scene.anna.to_string(), "chatIdFrom": books.scene.anna.to_string(),
            "messages": [sent["idMessage"]],
        });
        books
            .scene
            .world()
            .add_fault(Match::method("messages.forwardMessages").user(account).once(), Action::LoseAnswer);
        let sent = books.program.post("forwardMessages", forward).await;
        let scene = &books.scene;
        eventually("it is forwarded", || {
            texts_of(scene).iter().filter(|text| **text == caption).count() == 2
        })
        .await;
        books.kill().await;
        books.scene.world().clear_faults();
        books.start().await;
        books.until_status(sent["messages"][0].as_str().unwrap(), "delivered").await;
        let found = scene_texts(&books).into_iter().filter(|text| *text == caption).count();
        assert_eq!(found, 2, "forwarded once");
    }
}

fn scene_texts(books: &Books) -> Vec<String> {
    texts_of(&books.scene)
}

fn texts_of(scene: &crate::support::Scene) -> Vec<String> {
    scene.anna_sees().into_iter().map(|message| message.text).collect()
}

/// How far a message of Anna's is when the client dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum In {
    /// She writes while no client runs, and Telegram does not say what was missed at first.
    Away,
    /// Telegram tells of it late.
    Coming,
    /// Telegram has told of it.
    Come,
    /// It is told of twice.
    Twice,
    /// The program has fetched it and not taken it away.
    Fetched,
    /// The program has taken it away.
    TakenAway,
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_person_writes_is_told_once_wherever_the_client_dies() {
    let mut books = Books::open().await;
    let mut chance = Chance(12);
    for step in [In::Away, In::Coming, In::Come, In::Come, In::Twice, In::Fetched, In::TakenAway] {
        let account = books.scene.company;
        let push = Match::method("updateNewMessage").user(account).once();
        let text = format!("{step:?} {}", books.said.len());
        match step {
            In::Away => books.kill().await,
            In::Coming => drop(books.scene.world().add_fault(push, Action::DelayPush { ms: 60_000 })),
            In::Twice => drop(books.scene.world().add_fault(push, Action::DuplicatePush)),
            In::Come | In::Fetched | In::TakenAway => {}
        }
        books.say(&text);
        match step {
            In::Away => {
                let difference = Match::method("updates.getDifference").user(account);
                books.scene.world().add_fault(difference, Action::Silence);
                books.start().await;
                let scene = &books.scene;
                eventually("asked", || scene.world().faults()[0].acted > 0).await;
            }
            In::Coming => {}
            In::Come | In::Twice => chance.pause(20).await,
            In::Fetched | In::TakenAway => loop {
                let receipt = books.fetch(5).await.unwrap();
                let is_it = books.told[&receipt].to_string().contains(&text);
                if !is_it || step == In::TakenAway {
                    assert!(books.take_away(receipt).await);
                }
                if is_it {
                    break;
                }
            },
        }
        if step == In::TakenAway {
            sleep(SAVED).await;
        }
        books.kill().await;
        books.scene.world().clear_faults();
        books.start().await;
        if step == In::Fetched {
            // `fetch` compares it with what was told under this receipt before.
            let receipt = books.fetch(5).await.unwrap();
            assert!(books.told[&receipt].to_string().contains(&text), "the head is as it was");
        }
        books.say(&format!("after {text}"));
    }
    books.balance().await;

    // Changes that were made while nobody was there.
    books.kill().await;
    let numbers: Vec<i32> = books.scene.anna_sees().iter().filter(|one| one.out).map(|one| one.id).collect();
    books.scene.world().edit_text(books.scene.anna, numbers[0], "edited").unwrap();
    books.scene.world().delete_messages(books.scene.anna, &[numbers[1]], true);
    for _ in 0..2 {
        books.start().await;
        chance.pause(300).await;
        books.kill().await;
    }
    books.start().await;
    for kind in ["editedMessage", "deletedMessage"] {
        books.until_told(kind, |body| body["messageData"]["typeMessage"] == kind).await;
        let told = books.told.values().filter(|body| body["messageData"]["typeMessage"] == kind);
        assert_eq!(told.count(), 1, "{kind}");
    }
}

/// While the journal does not take a message, Telegram is not told that it is taken.
#[tokio::test(flavor = "multi_thread")]
async fn what_could_not_be_written_down_is_told_once_by_the_next_client() {
    let mut books = Books::open().await;
    books.say("before");
    books.until_told("before", |body| body.to_string().contains("before")).await;
    books.journal_takes(false).await;
    books.say("unwritten");
    sleep(SAVED).await;
    let log = books.scene.client_log();
    assert!(log.contains("a message cannot be kept for programs yet"), "{log}");
    books.kill().await;
    books.journal_takes(true).await;
    books.start().await;
    books.until_told("unwritten", |body| body.to_string().contains("unwritten")).await;
    books.say("after");
    books.balance().await;
}

/// What a webhook is brought, and how it is told that it has it.
struct Brought {
    receipt: i64,
    body: Value,
    answer: oneshot::Sender<()>,
}

/// A webhook that answers when it is told to.
async fn webhook() -> (String, mpsc::UnboundedReceiver<Brought>) {
    let (bring, brought) = mpsc::unbounded_channel();
    let take = async move |headers: HeaderMap, body: String| {
        let (answer, answered) = oneshot::channel();
        let receipt = headers["x-notification-id"].to_str().unwrap().parse().unwrap();
        let body = serde_json::from_str(&body).unwrap();
        bring.send(Brought { receipt, body, answer }).ok();
        if answered.await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let router = axum::Router::new().route("/hook", axum::routing::post(take));
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, brought)
}

/// What a webhook has, and nobody knows that it has it, comes again as it was; what comes after it waits.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_brought_to_a_webhook_is_brought_wherever_the_client_dies() {
    let mut books = Books::open().await;
    let mut chance = Chance(13);
    let (url, mut brought) = webhook().await;
    books.set(json!({"webhookUrl": url})).await;
    let mut next = async || timeout(SOON, brought.recv()).await.expect("nothing is brought").unwrap();
    for is_answered in [false, true, true, false, true] {
        books.say(&format!("answered: {is_answered}, {}", books.said.len()));
        let head = next().await;
        books.note(head.receipt, &head.body);
        if is_answered {
            head.answer.send(()).unwrap();
            chance.pause(20).await;
        }
        books.kill().await;
        books.start().await;
        let after = format!("after it, {}", books.said.len());
        books.say(&after);
        let mut is_first = true;
        loop {
            let again = next().await;
            books.note(again.receipt, &again.body);
            if is_first && !is_answered {
                assert_eq!(again.receipt, head.receipt, "the head is as it was");
            }
            is_first = false;
            again.answer.send(()).unwrap();
            if again.body.to_string().contains(&after) {
                break;
            }
        }
    }
    // What is left is fetched.
    books.set(json!({"webhookUrl": ""})).await;
    assert!(books.send("fetched").await);
    books.balance().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_messages_both_ways_outlive_kills_at_any_time() {
    let number = |name: &str, usual: u64| std::env::var(name).map_or(usual, |value| value.parse().unwrap());
    let (kills, seed) = (number("TGTRUNK_KILLS", 4), number("TGTRUNK_SEED", 7).max(1));
    let mut chance = Chance(seed);
    let mut books = Books::open().await;
    books.kill().await;
    books.without_pauses().await;
    let (mut sent, mut said) = (0, 0);
    for kill in 0..kills {
        books.start().await;
        // Every other one dies while it is still being told what to send.
        let lasts = Duration::from_millis(if kill % 2 == 0 { chance.below(80) } else { chance.below(1_500) });
        let batch = 200 / kills.min(5);
        let work = async {
            // The program sends as fast as it is answered, Anna writes now and then, and what is told is fetched.
            for step in 0..batch {
                sent += 1;
                if !books.send(&format!("out {sent}")).await {
                    return;
                }
                if step % 4 == 0 {
                    said += 1;
                    books.say(&format!("in {said}"));
                }
                if step % 8 == 7
                    && let Some(receipt) = books.fetch(5).await
                    && chance.below(4) > 0
                {
                    books.take_away(receipt).await;
                }
            }
            sleep(SOON).await;
        };
        let is_amid = timeout(lasts, work).await.is_err();
        if is_amid && books.accepted.len() + books.unsure.len() < sent {
            // It was asked for, and the answer is not awaited.
            books.unsure.push(format!("out {sent}"));
        }
        let there = books.scene.anna_sees().len();
        books.kill().await;
        said += 1;
        books.say(&format!("in {said}"));
        writeln!(
            std::io::stderr(),
            "kill {kill} of seed {seed} after {} ms: {} accepted, {} unsure, {there} at Anna's",
            lasts.as_millis(),
            books.accepted.len(),
            books.unsure.len()
        )
        .ok();
    }
    books.start().await;
    books.balance().await;
}
