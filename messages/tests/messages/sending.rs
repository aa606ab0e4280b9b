//! The outgoing queue: order, repeats, crashes, rests.

use std::time::Duration;

use tgtrunk_messages::{Address, Direction, Failure, News, Refused, SendStatus, Standing};
use tokio::time::Instant;

use crate::support::{Room, Say, draft, from_anna, ours, switch_on, until};

#[tokio::test]
async fn what_is_accepted_goes_out_in_its_order_and_is_told() {
    let room = Room::new();
    let instance = room.open().await;
    switch_on(&instance, &["outgoingWebhook", "outgoingAPIMessageWebhook"]).await;
    let first = instance.send(draft(5, "one")).await.unwrap().id;
    let second = instance.send(draft(5, "two")).await.unwrap().id;
    assert!(second > first, "numbers grow");
    until("both are sent", async || room.telegram.texts() == ["one", "two"]).await;
    until("the queue is empty", async || instance.queue_len().await.unwrap() == 0).await;
    let journal = instance.journal(Direction::Outgoing, 60 * 24).await.unwrap();
    assert_eq!(journal.iter().map(|record| record.id).collect::<Vec<_>>(), [second, first]);
    assert!(journal.iter().all(|record| record.status == SendStatus::Sent && record.tg_id.is_some()));
    let mut told = Vec::new();
    while let Some((receipt, body)) = instance.receive(Duration::ZERO).await.unwrap() {
        let status = body["status"].as_str().unwrap_or_default().to_owned();
        told.push((body["typeWebhook"].as_str().unwrap().to_owned(), status));
        assert!(instance.confirm(receipt).await.unwrap());
    }
    let one = [
        ("outgoingAPIMessageReceived", ""),
        ("outgoingMessageStatus", "sent"),
        ("outgoingMessageStatus", "delivered"),
    ];
    let expected: Vec<_> =
        one.iter().chain(&one).map(|(kind, status)| ((*kind).to_owned(), (*status).to_owned())).collect();
    assert_eq!(told, expected);
}

#[tokio::test]
async fn a_message_whose_fate_is_unknown_is_handed_over_again_and_is_there_once() {
    let room = Room::new();
    let instance = room.open().await;
    room.telegram.say([Say::SentUnheard]);
    let id = instance.send(draft(5, "once")).await.unwrap().id;
    until("it is known to be sent", async || instance.queue_len().await.unwrap() == 0).await;
    assert_eq!(room.telegram.texts(), ["once"]);
    let orders = room.telegram.orders.lock().unwrap().clone();
    assert_eq!(orders.len(), 2, "it was handed over again");
    assert_eq!(orders[0].random_id, orders[1].random_id);
    let record = instance.message(&Address::Chat(tgtrunk_messages::ChatId(5)), id).await.unwrap();
    assert_eq!((record.status, record.tg_id), (SendStatus::Sent, Some(100)), "its number was found");
}

#[tokio::test]
async fn a_crash_between_telegrams_having_it_and_our_knowing_doubles_nothing() {
    let room = Room::new();
    let instance = room.open().await;
    switch_on(&instance, &["outgoingMessageWebhook", "outgoingAPIMessageWebhook"]).await;
    room.telegram.say([Say::SentUnheard]);
    let id = instance.send(draft(5, "once")).await.unwrap().id;
    until("Telegram has it", async || room.telegram.texts() == ["once"]).await;
    drop(instance);
    // The next process hears of it from the stream of updates before it tries again.
    room.telegram.stands(Standing::Starting);
    let instance = room.open().await;
    assert_eq!(instance.queue_len().await.unwrap(), 1);
    instance.take(News::New(Box::new(ours(100, "once")))).await.unwrap();
    assert_eq!(instance.notifications_len().await.unwrap(), 0, "nobody knows yet whose it is");
    room.telegram.stands(Standing::Authorized);
    until("Telegram has said that it has it", async || instance.queue_len().await.unwrap() == 0).await;
    instance.take(News::New(Box::new(ours(100, "once")))).await.unwrap();
    let journal = instance.journal(Direction::Outgoing, 60 * 24).await.unwrap();
    assert_eq!(journal.iter().map(|record| (record.id, record.tg_id)).collect::<Vec<_>>(), [(id, Some(100))]);
    assert_eq!(instance.notifications_len().await.unwrap(), 1, "told once, as sent by a program");
    assert_eq!(room.telegram.texts(), ["once"]);
}

#[tokio::test]
async fn what_the_owner_writes_while_a_message_is_under_way_is_not_taken_for_it() {
    let room = Room::new();
    let instance = room.open().await;
    switch_on(&instance, &["outgoingMessageWebhook"]).await;
    // Nobody knows whether Telegram has it; it does not.
    let lost = Say::Fail(Failure::Unknown("the connection is lost".to_owned()));
    room.telegram.say([lost]);
    let id = instance.send(draft(5, "Yes")).await.unwrap().id;
    until("it was tried", async || room.telegram.orders.lock().unwrap().len() == 1).await;
    instance.take(News::New(Box::new(ours(7, "Yes")))).await.unwrap();
    until("it is sent", async || instance.queue_len().await.unwrap() == 0).await;
    assert_eq!(room.telegram.texts(), ["Yes"], "it was handed over again");
    let journal = instance.journal(Direction::Outgoing, 60 * 24).await.unwrap();
    let numbers: Vec<_> = journal.iter().map(|record| (record.id == id, record.tg_id)).collect();
    assert!(numbers.contains(&(true, Some(100))) && numbers.contains(&(false, Some(7))), "{numbers:?}");
    let (_, body) = instance.receive(Duration::ZERO).await.unwrap().expect("the owner's message is told");
    assert_eq!(body["typeWebhook"], "outgoingMessageReceived");
}

#[tokio::test]
async fn the_queue_outlives_a_crash_and_waits_for_the_login() {
    let room = Room::new();
    room.telegram.stands(Standing::NotAuthorized);
    let instance = room.open().await;
    for said in ["one", "two", "three"] {
        instance.send(draft(5, said)).await.unwrap();
    }
    let id = instance.id();
    drop(instance);
    let instance = room.open().await;
    assert_eq!(instance.id(), id, "it is the same instance");
    assert_eq!(instance.queue_len().await.unwrap(), 3);
    assert_eq!(instance.queue().await.unwrap()[0].request["message"], "one");
    assert!(room.telegram.orders.lock().unwrap().is_empty());
    room.telegram.stands(Standing::Authorized);
    until("all are sent", async || room.telegram.texts() == ["one", "two", "three"]).await;
}

#[tokio::test]
async fn what_telegram_refuses_fails_with_a_word_whatever_the_settings_say_and_holds_nobody_up() {
    let room = Room::new();
    let instance = room.open().await;
    let sentence = "the person takes messages from contacts only".to_owned();
    room.telegram
        .say([Say::Fail(Failure::Refused { word: "privacy_restricted", sentence: sentence.clone() })]);
    let refused = instance.send(draft(5, "no")).await.unwrap().id;
    instance.send(draft(5, "yes")).await.unwrap();
    until("the next is sent", async || room.telegram.texts() == ["yes"]).await;
    let (_, body) = instance.receive(Duration::from_secs(1)).await.unwrap().unwrap();
    assert_eq!(
        (body["status"].as_str(), body["idMessage"].as_str()),
        (Some("failed"), Some(&*refused.to_string()))
    );
    let record = instance.message(&Address::Chat(tgtrunk_messages::ChatId(5)), refused).await.unwrap();
    assert_eq!((record.status, record.failure), (SendStatus::Failed, Some(sentence)));
}

#[tokio::test]
async fn a_flood_wait_rests_the_whole_queue_for_as_long_as_telegram_said() {
    let room = Room::new();
    let instance = room.open().await;
    room.telegram.say([Say::Fail(Failure::Flood { seconds: 1 })]);
    let began = Instant::now();
    instance.send(draft(5, "one")).await.unwrap();
    instance.send(draft(6, "two")).await.unwrap();
    until("both are sent", async || room.telegram.texts() == ["one", "two"]).await;
    assert!(began.elapsed() >= Duration::from_secs(2), "{:?}", began.elapsed());
    assert_eq!(room.telegram.orders.lock().unwrap().len(), 3, "nothing was asked meanwhile");
}

#[tokio::test]
async fn messages_too_old_are_not_sent_any_more_and_a_long_text_becomes_several() {
    let mut room = Room::new();
    room.telegram.stands(Standing::NotAuthorized);
    room.options.outgoing_life = Duration::from_millis(50);
    let instance = room.open().await;
    let id = instance.send(draft(5, "late")).await.unwrap().id;
    tokio::time::sleep(Duration::from_millis(100)).await;
    drop(instance);
    let instance = room.open().await;
    until("it is too old", async || instance.queue_len().await.unwrap() == 0).await;
    let record = instance.message(&Address::Chat(tgtrunk_messages::ChatId(5)), id).await.unwrap();
    assert_eq!(record.status, SendStatus::Failed);
    drop(instance);
    room.options.outgoing_life = Duration::from_secs(60);
    let instance = room.open().await;
    room.telegram.stands(Standing::Authorized);
    let long = "word ".repeat(1_000);
    instance.send(draft(5, &long)).await.unwrap();
    until("it is sent", async || instance.queue_len().await.unwrap() == 0).await;
    let texts = room.telegram.texts();
    assert_eq!(texts.len(), 2);
    assert_eq!(texts.join(" ").trim_end(), long.trim_end());
}

#[tokio::test]
async fn slow_mode_of_one_chat_holds_no_other_up_and_keeps_the_order_there() {
    let room = Room::new();
    let instance = room.open().await;
    room.telegram.say([Say::Fail(Failure::Slow { seconds: 1 })]);
    for (to, said) in [(6, "slow"), (5, "quick"), (6, "after it")] {
        instance.send(draft(to, said)).await.unwrap();
    }
    until("the other is sent", async || room.telegram.texts() == ["quick"]).await;
    let queue = instance.queue().await.unwrap();
    let now_ms = i64::try_from(tgtrunk_shell::clock::unix_ms()).unwrap();
    assert!(queue.iter().all(|line| line.not_before_ms > now_ms), "{queue:?}");
    until("all are sent", async || room.telegram.texts() == ["quick", "slow", "after it"]).await;
    assert_eq!(room.telegram.orders.lock().unwrap().len(), 4, "nothing was asked meanwhile");
}

#[tokio::test]
async fn a_limit_on_strangers_holds_up_nobody_who_has_written() {
    let room = Room::new();
    let instance = room.open().await;
    instance.take(News::New(Box::new(from_anna(7, "hello")))).await.unwrap();
    // Telegram may say so of somebody who has written, too.
    room.telegram.say([Say::Fail(Failure::PeerFlood)]);
    let mut other = from_anna(8, "me too");
    other.chat.id = tgtrunk_messages::ChatId(6);
    instance.take(News::New(Box::new(other))).await.unwrap();
    instance.send(draft(6, "to one who has written")).await.unwrap();
    room.telegram.knows.lock().unwrap().push(tgtrunk_messages::ChatId(7));
    for (to, said) in [
        (8, "to a stranger"),
        (6, "and something else"),
        (9, "to another"),
        (5, "to Anna"),
        (7, "to one whom the account knows"),
    ] {
        instance.send(draft(to, said)).await.unwrap();
    }
    let first = ["to Anna", "to one whom the account knows"];
    until("those are sent", async || room.telegram.texts() == first).await;
    assert_eq!(instance.standing(), Standing::Suspended);
    // What was said second to somebody does not go before what was said first.
    assert_eq!(instance.queue_len().await.unwrap(), 4);
    assert_eq!(
        room.telegram.orders.lock().unwrap().len(),
        3,
        "nobody is tried again, and no stranger at all"
    );
    // A restart forgets none of it.
    drop(instance);
    let instance = room.open().await;
    instance.send(draft(5, "again")).await.unwrap();
    until("Anna's is sent", async || room.telegram.texts() == [&first[..], &["again"]].concat()).await;
    assert_eq!(instance.queue_len().await.unwrap(), 4);
}

#[tokio::test]
async fn a_limit_that_holds_for_acquaintances_too_leaves_writers_alone() {
    let room = Room::new();
    let instance = room.open().await;
    instance.take(News::New(Box::new(from_anna(7, "hello")))).await.unwrap();
    let known = [7, 10, 11].map(tgtrunk_messages::ChatId);
    room.telegram.knows.lock().unwrap().extend(known);
    // Of a stranger, and of somebody whom the account knows.
    room.telegram.say([Say::Fail(Failure::PeerFlood), Say::Fail(Failure::PeerFlood)]);
    instance.send(draft(8, "to a stranger")).await.unwrap();
    until("the stranger's rests", async || instance.standing() == Standing::Suspended).await;
    for (to, said) in [(7, "to one"), (10, "to another"), (11, "to a third"), (5, "to Anna")] {
        instance.send(draft(to, said)).await.unwrap();
    }
    until("Anna's is sent", async || room.telegram.texts() == ["to Anna"]).await;
    instance.send(draft(5, "again")).await.unwrap();
    until("and the next", async || room.telegram.texts() == ["to Anna", "again"]).await;
    assert_eq!(room.telegram.orders.lock().unwrap().len(), 4, "the stranger, one acquaintance, Anna twice");
    assert_eq!(instance.queue_len().await.unwrap(), 4);
}

#[tokio::test]
async fn what_needs_a_lookup_waits_when_no_more_may_be_asked_and_the_rest_goes() {
    let mut room = Room::new();
    room.options.checks_per_day = 2;
    let instance = room.open().await;
    let by_phone = |phone: &str, said: &str| tgtrunk_messages::Draft {
        buttons: None,
        to: Address::Phone(phone.to_owned()),
        ..draft(5, said)
    };
    let unknown = instance.send(by_phone("79990000099", "to nobody")).await.unwrap().id;
    instance.send(by_phone("79990000005", "to Anna")).await.unwrap();
    until("both are done with", async || instance.queue_len().await.unwrap() == 0).await;
    // Whom the account has found before needs no look-up.
    instance.send(by_phone("79990000098", "to whom?")).await.unwrap();
    instance.send(by_phone("79990000005", "again")).await.unwrap();
    instance.send(draft(5, "and by number")).await.unwrap();
    let known = ["to Anna", "again", "and by number"];
    until("they are sent", async || room.telegram.texts() == known).await;
    assert_eq!(instance.queue_len().await.unwrap(), 1);
    let to: Vec<_> = room.telegram.orders.lock().unwrap().iter().map(|order| order.to.clone()).collect();
    assert!(
        to.iter().all(|to| *to == Address::Chat(tgtrunk_messages::ChatId(5))),
        "nobody is looked up twice: {to:?}"
    );
    let journal = instance.journal(Direction::Outgoing, 60 * 24).await.unwrap();
    let of_nobody = journal.iter().find(|record| record.id == unknown).unwrap();
    assert_eq!(of_nobody.status, SendStatus::Failed);
    let waiting = &instance.queue().await.unwrap()[0];
    assert!(waiting.last_error.as_ref().unwrap().contains("as many numbers"), "{waiting:?}");
}

#[tokio::test]
async fn who_asks_again_amid_a_flood_asks_telegram_nothing_and_spends_nothing() {
    let room = Room::new();
    let instance = room.open().await;
    let phone = |digits: &str| Address::Phone(digits.to_owned());
    let flood = Failure::Flood { seconds: 30 };
    room.telegram.finds.lock().unwrap().extend([Failure::Undone("no network".to_owned()), flood]);
    assert!(instance.check(&phone("79990000097"), true).await.is_err());
    for _ in 0..3 {
        let told = instance.check(&phone("79990000098"), true).await;
        let Err(Refused::Telegram(Failure::Flood { seconds })) = told else { panic!("{told:?}") };
        assert!((29..=31).contains(&seconds), "{seconds}");
    }
    assert_eq!(room.telegram.found.load(std::sync::atomic::Ordering::Relaxed), 2);
    assert_eq!(instance.checks().await.unwrap().0, 0);
    let resting = instance.resting().await.unwrap();
    assert!(resting.iter().any(|rest| rest.what == tgtrunk_messages::RestKind::Lookups), "{resting:?}");
    // A message to somebody unknown waits as well, and one to a chat goes.
    let unknown = tgtrunk_messages::Draft { buttons: None, to: phone("79990000005"), ..draft(5, "later") };
    instance.send(unknown).await.unwrap();
    instance.send(draft(5, "now")).await.unwrap();
    until("the one is sent", async || room.telegram.texts() == ["now"]).await;
    assert_eq!(room.telegram.found.load(std::sync::atomic::Ordering::Relaxed), 2);
}

#[tokio::test]
async fn a_message_is_found_in_the_queue_by_what_asked_for_it() {
    let room = Room::new();
    room.telegram.stands(Standing::NotAuthorized);
    let instance = room.open().await;
    let asked = |notification: i64| tgtrunk_messages::Draft {
        method: "notify",
        request: serde_json::json!({ "notification": notification }),
        ..draft(5, "told")
    };
    instance.send(draft(5, "other")).await.unwrap();
    let first = instance.send(asked(7)).await.unwrap().id;
    let second = instance.send(asked(8)).await.unwrap().id;
    let queued = async |method, value| instance.queued(method, "notification", value).await.unwrap();
    assert_eq!((queued("notify", 7).await, queued("notify", 8).await), (Some(first), Some(second)));
    assert_eq!((queued("notify", 9).await, queued("sendMessage", 7).await), (None, None));
}

#[tokio::test]
async fn the_queue_is_cleared_at_once_with_what_was_tried_in_vain() {
    let room = Room::new();
    let instance = room.open().await;
    let lost = || Say::Fail(Failure::Unknown("the connection is lost".to_owned()));
    room.telegram.say((0..20).map(|_| lost()));
    for said in ["one", "two", "three"] {
        instance.send(draft(5, said)).await.unwrap();
    }
    until("one was tried", async || instance.queue().await.unwrap()[0].last_error.is_some()).await;
    let before = room.telegram.orders.lock().unwrap().len();
    instance.clear_queue().await.unwrap();
    assert_eq!(instance.queue_len().await.unwrap(), 0);
    let journal = instance.journal(Direction::Outgoing, 60 * 24).await.unwrap();
    let causes: Vec<_> = journal.iter().rev().map(|record| record.failure.clone().unwrap()).collect();
    assert!(causes[0].contains("Telegram may have it"), "{causes:?}");
    assert_eq!(causes[1..], ["taken out of the queue", "taken out of the queue"]);
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert_eq!(room.telegram.orders.lock().unwrap().len(), before, "nothing of it is tried any more");
}

#[tokio::test]
async fn a_message_that_waits_is_changed_and_taken_out_before_it_goes() {
    let room = Room::new();
    room.telegram.stands(Standing::NotAuthorized);
    let instance = room.open().await;
    let (first, second) =
        (instance.send(draft(5, "helo")).await.unwrap(), instance.send(draft(5, "no")).await.unwrap());
    let chat = Address::Chat(tgtrunk_messages::ChatId(5));
    instance.edit(&chat, first.id, "hello", &[], None).await.unwrap();
    assert!(
        instance.delete(&Address::Chat(tgtrunk_messages::ChatId(6)), second.id, true).await.is_err(),
        "it is not of that chat"
    );
    instance.delete(&chat, second.id, true).await.unwrap();
    room.telegram.stands(Standing::Authorized);
    until("the queue is empty", async || instance.queue_len().await.unwrap() == 0).await;
    assert_eq!(room.telegram.texts(), ["hello"]);
    assert!(room.telegram.deleted.lock().unwrap().is_empty());
}

#[tokio::test]
async fn messages_of_one_call_are_queued_all_or_none() {
    let mut room = Room::new();
    room.telegram.stands(Standing::NotAuthorized);
    room.options.queue_limit = 3;
    let instance = room.open().await;
    instance.send(draft(5, "one")).await.unwrap();
    let refused = instance.send_all(vec![draft(5, "two"), draft(5, "three"), draft(5, "four")]).await;
    assert!(matches!(refused, Err(Refused::Full(_))), "{refused:?}");
    assert_eq!(instance.queue_len().await.unwrap(), 1);
    instance.send_all(vec![draft(5, "two"), draft(5, "three")]).await.unwrap();
    assert_eq!(instance.queue_len().await.unwrap(), 3);
}

#[tokio::test]
async fn a_file_that_cannot_be_fetched_yet_waits_as_long_as_a_text() {
    let room = Room::new();
    let instance = room.open().await;
    let file = tgtrunk_messages::Attachment {
        is_plain: false,
        kind: tgtrunk_messages::FileKind::Document,
        name: "price.pdf".to_owned(),
        mime: String::new(),
        size: 0,
        stored: None,
        // Nobody listens there.
        url: Some("http://127.0.0.1:9/price.pdf".to_owned()),
        remote: None,
        thumbnail: None,
    };
    let content = tgtrunk_messages::Content::file(file, "");
    instance.send(tgtrunk_messages::Draft { content, ..draft(5, "") }).await.unwrap();
    until("it was tried often", async || instance.queue().await.unwrap()[0].attempts > 3).await;
    assert_eq!(instance.queue_len().await.unwrap(), 1);
}

#[tokio::test]
async fn whoever_waits_for_an_instance_that_ends_hears_that_it_is_starting() {
    let room = Room::new();
    let instance = room.open().await;
    let waiting = tokio::spawn({
        let instance = instance.clone();
        async move { instance.receive(Duration::from_secs(60)).await }
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    instance.close();
    let told = tokio::time::timeout(Duration::from_secs(5), waiting).await.unwrap().unwrap();
    assert_eq!(told, Err(Refused::Standing(Standing::Starting)));
    instance.send(draft(5, "later")).await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(room.telegram.texts().is_empty(), "it sends nothing any more");
}

#[tokio::test]
async fn two_who_change_settings_at_once_both_get_their_way() {
    let room = Room::new();
    let instance = room.open().await;
    let names = [
        "incomingWebhook",
        "outgoingWebhook",
        "stateWebhook",
        "editedMessageWebhook",
        "deletedMessageWebhook",
    ];
    let changes = names.map(|name| {
        let instance = instance.clone();
        tokio::spawn(async move { switch_on(&instance, &[name]).await })
    });
    for change in changes {
        change.await.unwrap();
    }
    assert!(names.iter().all(|name| instance.settings().is_on(name)));
}

#[tokio::test]
async fn whoever_has_often_failed_lets_the_others_pass_though_its_time_has_come() {
    let room = Room::new();
    room.telegram.stands(Standing::NotAuthorized);
    let instance = room.open().await;
    // It takes connections and says nothing.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/price.pdf", silent.local_addr().unwrap());
    for _ in 0..2 {
        let file = tgtrunk_messages::Attachment {
            is_plain: false,
            kind: tgtrunk_messages::FileKind::Document,
            name: "price.pdf".to_owned(),
            mime: String::new(),
            size: 0,
            stored: None,
            url: Some(url.clone()),
            remote: None,
            thumbnail: None,
        };
        let content = tgtrunk_messages::Content::file(file, "");
        instance.send(tgtrunk_messages::Draft { content, ..draft(5, "") }).await.unwrap();
    }
    let pool = room.pool().await;
    sqlx::query("UPDATE ms_outgoing SET attempts = 9").execute(&pool).await.unwrap();
    pool.close().await;
    instance.send(draft(6, "a text")).await.unwrap();
    room.telegram.stands(Standing::Authorized);
    until("the text is sent", async || room.telegram.texts() == ["a text"]).await;
}

#[tokio::test]
async fn what_telegram_may_have_is_not_forgotten_when_it_says_to_wait() {
    let room = Room::new();
    let instance = room.open().await;
    switch_on(&instance, &["outgoingMessageWebhook"]).await;
    room.telegram.say([Say::SentUnheard]);
    let before_telegram_looks = Failure::Slow { seconds: 1 };
    room.telegram.first_says.lock().unwrap().push_back(None);
    room.telegram.first_says.lock().unwrap().push_back(Some(before_telegram_looks));
    let id = instance.send(draft(5, "once")).await.unwrap().id;
    until("it waits", async || room.telegram.orders.lock().unwrap().len() == 2).await;
    instance.take(News::New(Box::new(ours(100, "once")))).await.unwrap();
    let chat = Address::Chat(tgtrunk_messages::ChatId(5));
    assert!(instance.edit(&chat, id, "twice", &[], None).await.is_err(), "Telegram may have it");
    until("it is known", async || instance.queue_len().await.unwrap() == 0).await;
    assert_eq!(instance.notifications_len().await.unwrap(), 0, "it is not of another device");
    let journal = instance.journal(Direction::Outgoing, 60 * 24).await.unwrap();
    assert_eq!(journal.iter().map(|record| (record.id, record.tg_id)).collect::<Vec<_>>(), [(id, Some(100))]);
}
