//! The rules of a line: for each a call that is refused, with what both sides get, and one that is let through.
//!
//! FLOOD_WAIT, PEER_FLOOD, strangers of a day, ring times and calls at once to Telegram are rules, too: `causes` has them.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use chrono::{TimeDelta, Utc};
use serde_json::json;
use tgtrunk_config::LineDraft;
use tgtrunk_test_telegram::NewUser;
use tgtrunk_test_telegram::world::{Audience, PrivacyKind};
use tgtrunk_tests::light_user::{self, Answering, Event, LightUser, Reason};
use tgtrunk_tests::player::circle;
use tgtrunk_tests::stories::Stories;
use tgtrunk_tests::wire_pbx::Message;
use tgtrunk_tests::wire_stage::{Post, USER_HZ, WireStage};
use tokio::time::{Instant, sleep};

/// How long anything may take that should take no time.
const LIMIT: Duration = Duration::from_secs(20);
/// For so long nothing happens to what is refused.
const NEVER: Duration = Duration::from_millis(1_500);

#[tokio::test(flavor = "multi_thread")]
async fn lists_say_whose_calls_reach_the_pbx_and_what_the_others_get() {
    let scene = open("+79060001001").await;
    let from = |rules| move |draft: LineDraft| draft.set("from_telegram", rules);
    let busy = scene.post("+79060001002", from(json!({"deny": ["name:*spam*"]}))).await.unwrap();
    let decline = json!({"deny": ["@bad_*", "id:777001"], "refused": "decline"});
    let decline = scene.post("+79060001003", from(decline)).await.unwrap();
    let ignore = json!({"allow": ["contacts"], "refused": "ignore"});
    let ignore = scene.post("+79060001004", from(ignore)).await.unwrap();
    let divert = json!({"deny": ["anonymous", "+7495*"], "refused": "extension", "refused_extension": "100"});
    let divert = scene.post("+79060001005", from(divert)).await.unwrap();
    let minute = scene.post("+79060001006", from(json!({"calls_per_minute": 1}))).await.unwrap();
    let one = |draft: LineDraft| draft.set("max_calls_from_telegram", 1);
    let one = scene.post("+79060001007", one).await.unwrap();
    let known = scene.post("+79060001008", from(json!({"deny": ["strangers"]}))).await.unwrap();
    scene.reload(&[&busy, &decline, &ignore, &divert, &minute, &one, &known]).await.unwrap();

    let (scene, mut stories) = (Arc::new(scene), Stories::default());
    let it = || Arc::clone(&scene);
    stories.begin("a name that is denied hears busy", denied_name(it(), busy));
    stories.begin("a username and an id that are denied are declined", denied_people(it(), decline));
    stories.begin("whoever is no contact rings on", only_contacts(it(), ignore));
    stories.begin("whoever shows no number reaches another extension", diverted(it(), divert));
    stories.begin("a second call in a minute hears busy", once_a_minute(it(), minute));
    stories.begin("a second call at once hears busy", one_at_once(it(), one));
    stories.begin("a stranger hears busy and a contact does not", no_strangers(it(), known));
    stories.end().await.unwrap();
    close(scene).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_rates_and_rewriting_say_what_the_pbx_may_dial_and_telegram_is_not_asked_about_the_rest() {
    let scene = open("+79060001011").await;
    let to = |rules| move |draft: LineDraft| draft.set("to_telegram", rules);
    let deny = scene.post("+79060001012", to(json!({"deny": ["+7495*", "@spam_*", "id:777*"]}))).await;
    ensure_wrong(deny.map(drop)).unwrap();
    let deny = json!({"deny": ["+7495*", "@spam_*", "id:777011"], "calls_per_minute": 0});
    let deny = scene.post("+79060001013", to(deny)).await.unwrap();
    let friend = person(&scene, NewUser::new("+79163000021", "Friend"), Answering::Rings);
    let allow = scene.post("+79060001014", to(json!({"allow": ["contacts"]}))).await.unwrap();
    scene.world().set_contact(allow.line.account, friend.id, true);
    let minute = scene.post("+79060001015", to(json!({"calls_per_minute": 2}))).await.unwrap();
    let rewrite = json!({"rewrite": ["9(.*) -> $1", "reception -> tg#front_desk"]});
    let rewrite = move |draft: LineDraft| draft.set("dial", rewrite);
    let rewrite = scene.post("+79060001016", rewrite).await.unwrap();
    scene.reload(&[&deny, &allow, &minute, &rewrite]).await.unwrap();

    let (scene, mut stories) = (Arc::new(scene), Stories::default());
    let it = || Arc::clone(&scene);
    stories.begin("numbers, names and ids that are denied", denied_callees(it(), deny));
    stories.begin("contacts alone", contacts_alone(it(), allow));
    stories.begin("a third call in a minute", twice_a_minute(it(), minute));
    stories.begin("what is dialled is rewritten", rewritten(it(), rewrite));
    stories.end().await.unwrap();
    drop(friend);
    close(scene).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hours_say_when_the_pbx_takes_calls_and_when_nobody_is_called() {
    let scene = open("+79060001021").await;
    let hours = |rules: serde_json::Value| move |draft: LineDraft| draft.set("hours", rules);
    let (now, later) = (around_now(), in_two_hours());
    let open_now = scene.post(
        "+79060001022",
        hours(json!({"time_zone": "Etc/UTC", "work": [now], "outside": "busy", "quiet": [later]})),
    );
    let open_now = open_now.await.unwrap();
    let closed = json!({"time_zone": "Etc/UTC", "work": [later], "outside": "decline"});
    let closed = scene.post("+79060001023", hours(closed)).await.unwrap();
    let silent = json!({"time_zone": "Etc/UTC", "work": [later], "outside": "ignore"});
    let silent = scene.post("+79060001029", hours(silent)).await.unwrap();
    let night =
        json!({"time_zone": "Etc/UTC", "work": [later], "outside": "extension", "outside_extension": "900"});
    let night = scene.post("+79060001024", hours(night)).await.unwrap();
    // The same hours by a clock that is 14 hours ahead are over, or to come.
    let far = json!({"time_zone": "Pacific/Kiritimati", "work": [now], "outside": "busy", "quiet": [now]});
    let far = scene.post("+79060001025", hours(far)).await.unwrap();
    let there = span(14 * 60 - 60, 14 * 60 + 60);
    let there =
        json!({"time_zone": "Pacific/Kiritimati", "work": [there], "outside": "busy", "quiet": [there]});
    let there = scene.post("+79060001028", hours(there)).await.unwrap();
    let quiet = json!({"time_zone": "Etc/UTC", "quiet": [now]});
    let quiet = scene.post("+79060001026", hours(quiet)).await.unwrap();
    let feast = json!({"time_zone": "Etc/UTC", "work": ["daily 00:00-24:00"], "holidays": days_around_now(), "outside": "busy"});
    let feast = scene.post("+79060001027", hours(feast)).await.unwrap();
    scene.reload(&[&open_now, &closed, &silent, &night, &far, &there, &quiet, &feast]).await.unwrap();

    let mut user = person(&scene, NewUser::new("+79163000031", "Caller"), Answering::Rings);
    reaches(&mut user, &open_now, None).await.unwrap();
    let mut call = open_now.pbx.call("+79163000031").await.unwrap();
    call.rings(LIMIT).await.context("quiet hours are later").unwrap();
    call.cancel(&[]);
    call.final_answer(LIMIT).await.unwrap();
    user.discarded(LIMIT).await.unwrap();
    refused(&scene, &mut user, &closed, Some(Reason::Hangup)).await.unwrap();
    refused(&scene, &mut user, &silent, None).await.unwrap();
    reaches(&mut user, &night, Some("900")).await.unwrap();
    refused(&scene, &mut user, &far, Some(Reason::Busy)).await.unwrap();
    rings(&far, "+79163000031").await.context("quiet hours are over there, or to come").unwrap();
    user.discarded(LIMIT).await.unwrap();
    reaches(&mut user, &there, None).await.unwrap();
    refused(&scene, &mut user, &feast, Some(Reason::Busy)).await.unwrap();
    reaches(&mut user, &quiet, None).await.unwrap();

    for post in [&quiet, &there] {
        let last = last_request(&scene);
        let answer = post.pbx.call("+79163000031").await.unwrap().final_answer(LIMIT).await.unwrap();
        check(&answer, "480 Temporarily Unavailable", 21, "Quiet hours of the line").unwrap();
        let wait_s: u32 = answer.header("Retry-After").unwrap().parse().unwrap();
        assert!((3_400..=3_660).contains(&wait_s), "the quiet hour ends in about one: {wait_s}");
        unasked(&scene, post, last).unwrap();
    }
    let told = records(&scene, &closed).await.unwrap();
    assert!(told.contains("Outside the line's hours"), "{told}");
    scene.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_owner_of_a_shared_account_answers_first_or_alone_and_the_pbx_hears_of_it() {
    let scene = open("+79060001031").await;
    let owner = |rules| move |draft: LineDraft| draft.set("owner", rules);
    let first = scene.post("+79060001032", owner(json!({"takes": "first", "seconds": 2}))).await.unwrap();
    let alone = scene.post("+79060001033", owner(json!({"takes": "contacts"}))).await.unwrap();
    let line_only = scene.post("+79060001034", owner(json!({"takes": "everything"}))).await.unwrap();
    let friends = owner(json!({"takes": "contacts_first", "seconds": 2}));
    let friends = scene.post("+79060001035", friends).await.unwrap();
    scene.reload(&[&first, &alone, &line_only, &friends]).await.unwrap();
    let (scene, mut stories) = (Arc::new(scene), Stories::default());
    let it = || Arc::clone(&scene);
    stories.begin("the owner first", owner_first(it(), first));
    stories.begin("contacts are the owner's", contacts_are_the_owners(it(), alone));
    stories.begin("contacts are the owner's first", friends_are_the_owners_first(it(), friends));
    stories.begin("the line only calls", owner_alone(it(), line_only));
    stories.begin("another device is quicker than the PBX", answered_elsewhere(it(), scene.post.clone()));
    stories.end().await.unwrap();
    close(scene).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_command_shows_how_the_account_is_set_and_sets_it() {
    let scene = open("+79060001041").await;
    let (world, line) = (scene.world(), &scene.post.line);
    for kind in [PrivacyKind::PhoneCall, PrivacyKind::PhoneP2p, PrivacyKind::PhoneNumber] {
        world.set_privacy(line.account, kind, Audience::Contacts);
    }
    let mut user = person(&scene, NewUser::new("+79163000051", "Stranger"), Answering::Rings);
    assert!(user.call(line.account).await.is_err(), "contacts alone may call");
    let ask = |words: &'static [&'static str]| {
        let phone = line.phone.clone();
        let installation = &scene.stage.installation;
        async move {
            let words = [&["recommend", phone.as_str()][..], words].concat();
            installation.ask(&words, LIMIT).await.unwrap()
        }
    };
    let (status, told, _) = ask(&[]).await;
    assert!(!status.success() && told.contains("--apply"), "{told}");
    assert!(user.call(line.account).await.is_err(), "nothing was changed yet");
    let (status, told, said) = ask(&["--apply"]).await;
    assert!(status.success() && !told.contains("--apply"), "{told}{said}");
    reaches(&mut user, &scene.post, None).await.unwrap();
    scene.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_that_hides_its_number_is_checked_for_that_and_one_command_hides_it() {
    let scene = open("+79060001051").await;
    let hidden = scene.post("+79060001052", |draft| draft.set("phone_visible", false)).await.unwrap();
    scene.reload(&[&hidden]).await.unwrap();
    let checks = async |post: &Post, words: &[&str]| {
        let words = [&["checks", post.line.phone.as_str()][..], words].concat();
        scene.stage.installation.ask(&words, LIMIT).await.unwrap().1
    };
    // Each line says which of the two it wants.
    let told = checks(&scene.post, &["--fix"]).await;
    assert!(told.contains("good     Everybody sees the account's phone number"), "{told}");
    for audience in [Audience::Everybody, Audience::Contacts] {
        scene.world().set_privacy(hidden.line.account, PrivacyKind::PhoneNumber, audience);
        let told = checks(&hidden, &[]).await;
        assert!(told.contains("which the line's settings want hidden"), "{told}");
        let told = checks(&hidden, &["--fix"]).await;
        assert!(told.contains("Nobody sees the account's phone number"), "{told}");
    }
    let mut user = person(&scene, NewUser::new("+79163000052", "Stranger"), Answering::Rings);
    reaches(&mut user, &hidden, None).await.unwrap();
    scene.close().await.unwrap();
}

async fn denied_name(scene: Arc<WireStage>, post: Post) -> anyhow::Result<()> {
    let spam = NewUser::new("+79163000001", "Big").last_name("Spammers");
    let mut spam = person(&scene, spam, Answering::Rings);
    refused(&scene, &mut spam, &post, Some(Reason::Busy)).await?;
    let mut anna = person(&scene, NewUser::new("+79163000002", "Anna"), Answering::Rings);
    reaches(&mut anna, &post, None).await?;
    let told = records(&scene, &post).await?;
    ensure!(told.contains("Spammers") && told.contains("Not allowed by the line's lists"), "{told}");
    Ok(())
}

async fn denied_people(scene: Arc<WireStage>, post: Post) -> anyhow::Result<()> {
    let named = NewUser::new("+79163000003", "Bob").username("Bad_Bob");
    let mut named = person(&scene, named, Answering::Rings);
    refused(&scene, &mut named, &post, Some(Reason::Hangup)).await?;
    let numbered = NewUser::new("+79163000004", "Rob").id(777_001);
    let mut numbered = person(&scene, numbered, Answering::Rings);
    refused(&scene, &mut numbered, &post, Some(Reason::Hangup)).await?;
    let other = NewUser::new("+79163000005", "Good").username("not_bad_bob");
    let mut other = person(&scene, other, Answering::Rings);
    reaches(&mut other, &post, None).await
}

async fn only_contacts(scene: Arc<WireStage>, post: Post) -> anyhow::Result<()> {
    let mut stranger = person(&scene, NewUser::new("+79163000006", "Stranger"), Answering::Rings);
    refused(&scene, &mut stranger, &post, None).await?;
    let mut friend = person(&scene, NewUser::new("+79163000007", "Friend"), Answering::Rings);
    scene.world().set_contact(post.line.account, friend.id, true);
    reaches(&mut friend, &post, None).await
}

async fn no_strangers(scene: Arc<WireStage>, post: Post) -> anyhow::Result<()> {
    let mut stranger = person(&scene, NewUser::new("+79163000018", "Stranger"), Answering::Rings);
    refused(&scene, &mut stranger, &post, Some(Reason::Busy)).await?;
    let mut friend = person(&scene, NewUser::new("+79163000019", "Friend"), Answering::Rings);
    scene.world().set_contact(post.line.account, friend.id, true);
    reaches(&mut friend, &post, None).await
}

async fn diverted(scene: Arc<WireStage>, post: Post) -> anyhow::Result<()> {
    let mut hidden = person(&scene, NewUser::new("+79163000008", "Hidden"), Answering::Rings);
    reaches(&mut hidden, &post, Some("100")).await?;
    for (phone, user) in [("+74953000009", Some("100")), ("+79163000009", None)] {
        let mut shown = person(&scene, NewUser::new(phone, "Shown"), Answering::Rings);
        scene.world().set_privacy(shown.id, PrivacyKind::PhoneNumber, Audience::Everybody);
        reaches(&mut shown, &post, user).await.with_context(|| phone)?;
    }
    Ok(())
}

async fn once_a_minute(scene: Arc<WireStage>, post: Post) -> anyhow::Result<()> {
    let mut user = person(&scene, NewUser::new("+79163000010", "Often"), Answering::Rings);
    reaches(&mut user, &post, None).await?;
    refused(&scene, &mut user, &post, Some(Reason::Busy)).await
}

async fn one_at_once(scene: Arc<WireStage>, post: Post) -> anyhow::Result<()> {
    let mut first = person(&scene, NewUser::new("+79163000011", "First"), Answering::Rings);
    let mut second = person(&scene, NewUser::new("+79163000012", "Second"), Answering::Rings);
    first.call(post.line.account).await?;
    let call = post.pbx.incoming(LIMIT).await?;
    refused(&scene, &mut second, &post, Some(Reason::Busy)).await?;
    call.respond(486, "Busy Here", &[]);
    first.discarded(LIMIT).await?;
    scene.no_calls_of(&post.line).await?;
    reaches(&mut second, &post, None).await
}

async fn denied_callees(scene: Arc<WireStage>, post: Post) -> anyhow::Result<()> {
    for user in [
        NewUser::new("+74953000011", "Moscow"),
        NewUser::new("+79163000013", "Spam").username("spam_bob"),
        NewUser::new("+79163000014", "Id").id(777_011),
    ] {
        scene.stage.user(user)?;
    }
    let last = last_request(&scene);
    for dialled in ["+74953000011", "84953000011", "tg%23Spam_Bob", "777011", "id%23777011"] {
        let answer = post.pbx.call(dialled).await?.final_answer(LIMIT).await?;
        check(&answer, "403 Forbidden", 21, "Not allowed by the line's lists").context(dialled)?;
    }
    unasked(&scene, &post, last)?;
    let _other = person(&scene, NewUser::new("+79163000015", "Other"), Answering::Rings);
    rings(&post, "+79163000015").await
}

async fn contacts_alone(scene: Arc<WireStage>, post: Post) -> anyhow::Result<()> {
    scene.stage.user(NewUser::new("+79163000022", "Stranger"))?;
    // The list of contacts is asked for when the line connects, which it has just done.
    let until = Instant::now() + LIMIT;
    while scene.world().count(post.line.account, "contacts.getContacts") == 0 {
        ensure!(Instant::now() < until, "nobody asked for the contacts");
        sleep(Duration::from_millis(20)).await;
    }
    sleep(Duration::from_millis(200)).await;
    let last = last_request(&scene);
    let answer = post.pbx.call("+79163000022").await?.final_answer(LIMIT).await?;
    check(&answer, "403 Forbidden", 21, "Not allowed by the line's lists")?;
    unasked(&scene, &post, last)?;
    rings(&post, "+79163000021").await
}

async fn twice_a_minute(scene: Arc<WireStage>, post: Post) -> anyhow::Result<()> {
    let mut user = person(&scene, NewUser::new("+79163000016", "Wanted"), Answering::Rings);
    for _ in 0..2 {
        rings(&post, "+79163000016").await?;
        // Who is called while a call that was cancelled still rings is busy.
        user.discarded(LIMIT).await?;
    }
    let last = last_request(&scene);
    let answer = post.pbx.call("+79163000016").await?.final_answer(LIMIT).await?;
    check(&answer, "503 Service Unavailable", 42, "Too many calls in a minute")?;
    let wait_s: u32 = answer.header("Retry-After").context("Retry-After")?.parse()?;
    ensure!((30..=60).contains(&wait_s), "there is room in {wait_s} s");
    unasked(&scene, &post, last)
}

async fn rewritten(scene: Arc<WireStage>, post: Post) -> anyhow::Result<()> {
    let desk = NewUser::new("+79163000017", "Desk").username("front_desk");
    let mut desk = person(&scene, desk, Answering::Rings);
    for dialled in ["989163000017", "9tg%23front_desk", "reception"] {
        rings(&post, dialled).await.context(dialled)?;
        desk.discarded(LIMIT).await?;
    }
    let answer = post.pbx.call("receptionist").await?.final_answer(LIMIT).await?;
    ensure!(answer.status() == Some(484), "no rule fits all of it: {}", answer.start);
    let words = ["dial-test", &post.line.phone, "989163000017"];
    let (status, told, _) = scene.stage.installation.ask(&words, LIMIT).await?;
    ensure!(status.success() && told.contains("89163000017") && told.contains("+79163000017"), "{told}");
    let words = ["dial-test", &post.line.phone, "receptionist"];
    let (status, told, _) = scene.stage.installation.ask(&words, LIMIT).await?;
    ensure!(!status.success() && told.contains("484"), "{told}");
    Ok(())
}

async fn owner_first(scene: Arc<WireStage>, post: Post) -> anyhow::Result<()> {
    let mut owner = owner_of(&scene, &post)?;
    let mut user = person(&scene, NewUser::new("+79163000041", "Caller"), Answering::Rings);
    let began = Instant::now();
    let call = user.call(post.line.account).await?;
    rings_at(&mut owner).await?;
    let invite = post.pbx.incoming(LIMIT).await?;
    let waited = began.elapsed();
    ensure!((1_900..4_000).contains(&waited.as_millis()), "the PBX was called after {waited:?}, want 2 s");
    invite.respond(486, "Busy Here", &[]);
    user.discarded(LIMIT).await?;
    owner.wait_for("end", LIMIT, |event| matches!(event, Event::Discarded { .. }).then_some(())).await?;

    let second = user.call(post.line.account).await?;
    ensure!(second != call, "another call");
    rings_at(&mut owner).await?;
    owner.answer(second).await;
    user.connected(LIMIT).await?;
    ensure!(post.pbx.incoming(Duration::from_secs(3)).await.is_err(), "the owner has the call");
    owner.hang_up(second, Reason::Hangup).await;
    ensure!(user.discarded(LIMIT).await?.0 == Some(Reason::Hangup), "they talked on until then");
    Ok(())
}

async fn friends_are_the_owners_first(scene: Arc<WireStage>, post: Post) -> anyhow::Result<()> {
    let mut owner = owner_of(&scene, &post)?;
    let mut stranger = person(&scene, NewUser::new("+79163000046", "Stranger"), Answering::Rings);
    let began = Instant::now();
    reaches(&mut stranger, &post, None).await?;
    let waited = began.elapsed();
    ensure!(waited.as_millis() < 1_900, "a stranger is the PBX's at once, not after {waited:?}");
    let mut friend = person(&scene, NewUser::new("+79163000047", "Friend"), Answering::Rings);
    scene.world().set_contact(post.line.account, friend.id, true);
    let began = Instant::now();
    friend.call(post.line.account).await?;
    rings_at(&mut owner).await?;
    let invite = post.pbx.incoming(LIMIT).await?;
    let waited = began.elapsed();
    ensure!((1_900..4_000).contains(&waited.as_millis()), "the PBX was called after {waited:?}, want 2 s");
    invite.respond(486, "Busy Here", &[]);
    friend.discarded(LIMIT).await.map(drop)
}

async fn contacts_are_the_owners(scene: Arc<WireStage>, post: Post) -> anyhow::Result<()> {
    let mut owner = owner_of(&scene, &post)?;
    let mut friend = person(&scene, NewUser::new("+79163000042", "Friend"), Answering::Rings);
    scene.world().set_contact(post.line.account, friend.id, true);
    let call = friend.call(post.line.account).await?;
    rings_at(&mut owner).await?;
    ensure!(post.pbx.incoming(NEVER).await.is_err(), "a contact is the owner's");
    owner.answer(call).await;
    friend.connected(LIMIT).await?;
    friend.hang_up(call, Reason::Hangup).await;
    let mut stranger = person(&scene, NewUser::new("+79163000043", "Stranger"), Answering::Rings);
    reaches(&mut stranger, &post, None).await
}

async fn owner_alone(scene: Arc<WireStage>, post: Post) -> anyhow::Result<()> {
    let mut user = person(&scene, NewUser::new("+79163000044", "Caller"), Answering::Rings);
    refused(&scene, &mut user, &post, None).await?;
    rings(&post, "+79163000044").await
}

/// RFC 3326 section 2: a phone that stops ringing shows no missed call.
async fn answered_elsewhere(scene: Arc<WireStage>, post: Post) -> anyhow::Result<()> {
    let mut owner = owner_of(&scene, &post)?;
    let mut user = person(&scene, NewUser::new("+79163000045", "Caller"), Answering::Rings);
    let call = user.call(post.line.account).await?;
    let mut invite = post.pbx.incoming(LIMIT).await?;
    invite.respond(180, "Ringing", &[]);
    rings_at(&mut owner).await?;
    owner.answer(call).await;
    user.connected(LIMIT).await?;
    let cancel = invite.request("CANCEL", LIMIT).await?;
    let told: Vec<&str> = cancel.all("Reason").collect();
    ensure!(told == [r#"SIP;cause=200;text="Call completed elsewhere""#], "{told:?}");
    invite.request("ACK", LIMIT).await?;
    owner.hang_up(call, Reason::Hangup).await;
    user.discarded(LIMIT).await?;
    scene.no_calls_of(&post.line).await?;
    let told = records(&scene, &post).await?;
    ensure!(told.contains("elsewhere") && !told.contains("missed"), "{told}");
    Ok(())
}

/// A caller who does not reach the PBX, and sees this; nothing, if it rings on until they give up.
async fn refused(
    scene: &WireStage,
    user: &mut LightUser,
    post: &Post,
    sees: Option<Reason>,
) -> anyhow::Result<()> {
    let call = user.call(post.line.account).await?;
    match sees {
        Some(_) => {
            let told = user.discarded(LIMIT).await?;
            ensure!(told == (sees, 0), "the caller saw {told:?}");
            ensure!(post.pbx.incoming(Duration::from_millis(300)).await.is_err(), "the PBX was called");
        }
        None => {
            ensure!(post.pbx.incoming(NEVER).await.is_err(), "the PBX was called");
            let seen = scene.world().call_info(call).and_then(|call| call.ending);
            ensure!(seen.is_none(), "the call ended: {seen:?}");
            user.hang_up(call, Reason::Missed).await;
        }
    }
    Ok(())
}

/// A caller who reaches the PBX, at this user part if not the line's.
async fn reaches(user: &mut LightUser, post: &Post, user_part: Option<&str>) -> anyhow::Result<()> {
    user.call(post.line.account).await?;
    let mut call = post.pbx.incoming(LIMIT).await.context("the PBX is called")?;
    let start = call.invite().context("an INVITE")?.start;
    let wanted = user_part.unwrap_or(&post.line.phone);
    ensure!(start.starts_with(&format!("INVITE sip:{wanted}@")), "{start}, want {wanted}");
    call.respond(486, "Busy Here", &[]);
    call.request("ACK", LIMIT).await?;
    user.discarded(LIMIT).await?;
    Ok(())
}

/// A call of the PBX that rings.
async fn rings(post: &Post, dialled: &str) -> anyhow::Result<()> {
    let mut call = post.pbx.call(dialled).await?;
    call.rings(LIMIT).await?;
    call.cancel(&[]);
    ensure!(call.final_answer(LIMIT).await?.status() == Some(487), "the call was cancelled");
    Ok(())
}

async fn rings_at(owner: &mut LightUser) -> anyhow::Result<()> {
    owner.wait_for("call", LIMIT, |event| matches!(event, Event::Incoming { .. }).then_some(())).await
}

/// Another device of the line's own account, which does nothing by itself.
fn owner_of(scene: &WireStage, post: &Post) -> anyhow::Result<LightUser> {
    let app = light_user::Options::playing(circle(USER_HZ, 60)?).answering(Answering::Silent);
    LightUser::switch_on(scene.world(), post.line.account, app)
}

fn person(scene: &WireStage, user: NewUser, answering: Answering) -> LightUser {
    let app = light_user::Options::playing(circle(USER_HZ, 60).unwrap()).answering(answering);
    scene.stage.person(user, app).unwrap()
}

fn last_request(scene: &WireStage) -> u64 {
    scene.world().journal(0).last().map_or(0, |entry| entry.number)
}

/// The line's account has asked Telegram nothing about people or calls since.
fn unasked(scene: &WireStage, post: &Post, since: u64) -> anyhow::Result<()> {
    let asked = scene.world().journal(since);
    let asked = asked.iter().filter(|entry| entry.user == Some(post.line.account)).map(|entry| entry.method);
    let asked: Vec<&str> =
        asked.filter(|name| name.starts_with("phone.") || name.starts_with("contacts.")).collect();
    // A call that was cancelled a moment ago is still being ended.
    let asked: Vec<&str> = asked.into_iter().filter(|name| *name != "phone.discardCall").collect();
    ensure!(asked.is_empty(), "Telegram was asked: {asked:?}");
    Ok(())
}

/// The line's records, as a person reads them.
async fn records(scene: &WireStage, post: &Post) -> anyhow::Result<String> {
    let until = Instant::now() + Duration::from_secs(5);
    loop {
        let words = ["records", "--line", &post.line.phone];
        let (_, told, _) = scene.stage.installation.ask(&words, LIMIT).await?;
        if !told.contains("no calls") && !told.contains("running") || Instant::now() > until {
            return Ok(told);
        }
        sleep(Duration::from_millis(100)).await;
    }
}

fn check(answer: &Message, status: &str, q850: u16, text: &str) -> anyhow::Result<()> {
    ensure!(answer.start == format!("SIP/2.0 {status}"), "{:?}, want {status}", answer.start);
    let reason: Vec<&str> = answer.all("Reason").collect();
    ensure!(reason == [format!("Q.850;cause={q850};text=\"{text}\"")], "{reason:?}");
    Ok(())
}

/// A list that cannot be is refused before anything runs by it.
fn ensure_wrong(told: anyhow::Result<()>) -> anyhow::Result<()> {
    let told = told.err().context("a wrong list was taken")?.to_string();
    ensure!(told.contains("to_telegram.deny") && told.contains("id:12345"), "{told}");
    Ok(())
}

/// From an hour ago to in an hour, by UTC's clock, on any day.
fn around_now() -> String {
    span(-60, 60)
}

fn in_two_hours() -> String {
    span(120, 240)
}

fn span(from_min: i64, to_min: i64) -> String {
    let clock = |minutes: i64| (Utc::now() + TimeDelta::minutes(minutes)).format("%H:%M").to_string();
    let to = clock(to_min);
    format!("daily {}-{}", clock(from_min), if to == "00:00" { "24:00" } else { &to })
}

/// Yesterday, today and tomorrow by UTC's clock.
fn days_around_now() -> Vec<String> {
    let day = |days: i64| (Utc::now() + TimeDelta::days(days)).format("%Y-%m-%d").to_string();
    (-1..=1).map(day).collect()
}

async fn open(phone: &str) -> WireStage {
    WireStage::open(phone, Default::default()).await.unwrap()
}

async fn close(scene: Arc<WireStage>) {
    Arc::into_inner(scene).unwrap().close().await.unwrap();
}
