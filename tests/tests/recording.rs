//! Recordings: each side of a call in a file of its own that any player opens, through a kill too.

#![allow(clippy::unwrap_used)]

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;
use tgtrunk_config::CallId;
use tgtrunk_config::control::{Answer, Ask, CallRecord, CallState, RecordFilter, Recording, RefusalCode};
use tgtrunk_test_telegram::{NewUser, surroundings};
use tgtrunk_tests::clock::now;
use tgtrunk_tests::codec::Codec;
use tgtrunk_tests::control::Control;
use tgtrunk_tests::database;
use tgtrunk_tests::ffmpeg;
use tgtrunk_tests::light_user::{self, LightUser, Reason};
use tgtrunk_tests::pbx::{self, Phone};
use tgtrunk_tests::pcm::{Pcm, samples};
use tgtrunk_tests::player::circle;
use tgtrunk_tests::small_disk::SmallDisk;
use tgtrunk_tests::stage::{self, Line, Stage};
use tgtrunk_tests::tone;
use tgtrunk_tests::wire_pbx::{self, WireCall, WirePbx};
use tokio::time::sleep;

const LIMIT: Duration = Duration::from_secs(10);
const TALK: Duration = Duration::from_secs(4);
const COMPANY: &str = "+79060000000";
const ANNA: &str = "+79161111111";
const PBX_HZ: u32 = 700;
const ANNA_HZ: u32 = 1_100;
/// What tells both that they are recorded.
const CONSENT_HZ: u32 = 1_400;
/// How much of a file must be its side's tone.
const SHARE: f64 = 0.9;
const RATE_HZ: u32 = 48_000;

#[tokio::test(flavor = "multi_thread")]
async fn each_side_is_in_a_file_of_its_own_and_both_hear_that_they_are_recorded() {
    let (stage, line, mut phone, mut anna) = scene(json!({"enabled": true, "consent_tone": "start"})).await;
    let gateway = stage.run(&[&line]).await.unwrap();
    let mut control = gateway.control().await.unwrap();
    control.subscribe().await.unwrap();
    anna.call(line.account).await.unwrap();
    let call = control.call_state(CallState::Answered, LIMIT).await.unwrap().call;
    let at_phone = phone.answered(LIMIT).await.unwrap();
    let at_anna = anna.connected(LIMIT).await.unwrap();
    sleep(TALK).await;
    anna.hang_up(at_anna, Reason::Hangup).await;
    control.call_state(CallState::Ended, LIMIT).await.unwrap();
    for heard in [anna.heard(at_anna), phone.heard(at_phone)] {
        let sound = ffmpeg::decoded(Codec::Opus, &heard.payloads).unwrap();
        assert!(sounds_ms(&sound, CONSENT_HZ) >= 300, "{} ms", sounds_ms(&sound, CONSENT_HZ));
        assert!(sounds_ms(&sound, CONSENT_HZ) <= 700, "{} ms", sounds_ms(&sound, CONSENT_HZ));
    }
    let recording = recorded(&mut control, call).await;
    let folder = stage.installation.state.join(COMPANY).join("recordings");
    assert_eq!(mode(&folder), 0o700);
    let (telegram, pbx) = files(&folder, &recording);
    assert_eq!((mode(&telegram), mode(&pbx)), (0o600, 0o600));
    let (one, other) = (whole(&telegram), whole(&pbx));
    let talked = u64::try_from(TALK.as_millis()).unwrap();
    for (sound, hz) in [(&one, ANNA_HZ), (&other, PBX_HZ)] {
        let length = sound.length_ms();
        assert!((talked - 500..talked + 2_500).contains(&length), "{length} ms");
        // The consent tone takes half a second of what Telegram's side is sent.
        let share = tone::share(&sound.part(samples(1_000, RATE_HZ), samples(3_500, RATE_HZ)).samples, hz);
        assert!(share >= SHARE, "{share} of {hz} Hz");
    }
    assert!(one.length_ms().abs_diff(other.length_ms()) <= 300, "{} {}", one.length_ms(), other.length_ms());

    gateway.stop().await.unwrap();
    // No gateway is needed to export.
    let room = tempfile::tempdir().unwrap();
    let export = async |name: &str, more: &[&str]| {
        let out = room.path().join(name);
        let (id, file) = (call.to_string(), out.to_string_lossy().into_owned());
        let words = [&["export", &id, "--out", &file], more].concat();
        let (status, said, complaint) = stage.installation.ask(&words, LIMIT).await.unwrap();
        (status.success(), out, format!("{said}{complaint}"))
    };
    let (done, mixed, said) = export("both.ogg", &[]).await;
    assert!(done, "{said}");
    let mixed = whole(&mixed);
    let middle = mixed.part(samples(1_500, RATE_HZ), samples(3_500, RATE_HZ));
    let share = tone::share_of(&middle.samples, RATE_HZ, &[ANNA_HZ, PBX_HZ]);
    assert!(share >= SHARE, "{share} of both");
    assert!(tone::share(&middle.samples, PBX_HZ) >= 0.2 && tone::share(&middle.samples, ANNA_HZ) >= 0.2);
    let (done, stereo, said) = export("sides.wav", &["--stereo"]).await;
    assert!(done, "{said}");
    let bytes = std::fs::read(&stereo).unwrap();
    let left = |frame: &[u8]| i16::from_le_bytes([frame[0], frame[1]]);
    let left = Pcm { samples: bytes[44..].chunks_exact(4).map(left).collect(), rate_hz: RATE_HZ };
    let middle = left.part(samples(1_500, RATE_HZ), samples(3_500, RATE_HZ));
    assert!(tone::share(&middle.samples, ANNA_HZ) >= SHARE, "Telegram is on the left");
    let (done, _, said) = export("both.ogg", &[]).await;
    assert!(!done && said.contains("cannot be made"), "{said}");
    let (done, _, said) = export("both.mp3", &[]).await;
    assert!(!done && said.contains("want a name that ends in .ogg or .wav"), "{said}");
    stage.done();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_older_than_the_settings_say_is_gone_after_a_start_and_the_rest_is_exported_as_json() {
    let (stage, line, _phone, mut anna) = scene(json!({"enabled": true, "keep_days": 7})).await;
    let gateway = stage.run(&[&line]).await.unwrap();
    let mut control = gateway.control().await.unwrap();
    control.subscribe().await.unwrap();
    let mut calls = Vec::new();
    for _ in 0..3 {
        anna.call(line.account).await.unwrap();
        let call = control.call_state(CallState::Answered, LIMIT).await.unwrap().call;
        let at_anna = anna.connected(LIMIT).await.unwrap();
        sleep(Duration::from_secs(1)).await;
        anna.hang_up(at_anna, Reason::Hangup).await;
        control.call_state(CallState::Ended, LIMIT).await.unwrap();
        calls.push((call, recorded(&mut control, call).await));
    }
    drop(control);
    gateway.stop().await.unwrap();
    let folder = stage.installation.state.join(COMPANY);
    let [(older, of_older), (old, of_old), (new, of_new)] = calls.try_into().unwrap();
    // The first is from before `records_days` (90), the second from before `keep_days`.
    for (call, recording, days) in [(older, &of_older, 91), (old, &of_old, 8)] {
        let age = Duration::from_secs(days * 86_400);
        let (telegram, pbx) = files(&folder.join("recordings"), recording);
        for file in [telegram, pbx] {
            let file = std::fs::File::options().append(true).open(file).unwrap();
            file.set_modified(file.metadata().unwrap().modified().unwrap() - age).unwrap();
        }
        let ms = i64::try_from(age.as_millis()).unwrap();
        let statement =
            "UPDATE call_record SET started_ms = started_ms - ?, ended_ms = ended_ms - ? WHERE call_id = ?";
        let id = i64::try_from(call.0).unwrap();
        assert_eq!(database::change(&folder.join("gateway.db"), statement, &[ms, ms, id]).unwrap(), 1);
    }
    let gateway = stage.run(&[&line]).await.unwrap();
    stage::logged_in(&gateway, &line, LIMIT).await.unwrap();
    let until = now() + LIMIT;
    while std::fs::read_dir(folder.join("recordings")).unwrap().count() > 2 {
        assert!(now() < until, "recordings that are too old are still there");
        sleep(Duration::from_millis(50)).await;
    }
    let (telegram, pbx) = files(&folder.join("recordings"), &of_new);
    assert!(telegram.exists() && pbx.exists());
    gateway.stop().await.unwrap();
    let json = async |words: &[&str]| {
        let words = [&["calls", "--json"], words].concat();
        let (status, told, said) = stage.installation.ask(&words, LIMIT).await.unwrap();
        assert!(status.success(), "{said}");
        let ids = told.lines().map(|row| serde_json::from_str::<CallRecord>(row).unwrap().call);
        ids.collect::<Vec<_>>()
    };
    assert_eq!(json(&[]).await, [new, old], "the newest first, and nothing from before 90 days");
    assert_eq!(json(&["--today", "--direction", "telegram-to-pbx"]).await, [new]);
    assert_eq!(json(&["--direction", "pbx-to-telegram"]).await, []);
    assert_eq!(json(&["--peer", "anna", "--answered", "--limit", "1"]).await, [new]);
    assert_eq!(json(&["--cause", "16", "--until", "2020-01-01"]).await, []);
    stage.done();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_recorded_when_somebody_asks_and_a_kill_takes_little_of_it() {
    let (stage, line, phone, mut anna) = scene(json!({"enabled": false})).await;
    let gateway = stage.run(&[&line]).await.unwrap();
    let mut control = gateway.control().await.unwrap();
    control.subscribe().await.unwrap();
    phone.call(ANNA).await.unwrap();
    let call = control.call_state(CallState::Answered, LIMIT).await.unwrap().call;
    anna.connected(LIMIT).await.unwrap();
    sleep(Duration::from_secs(1)).await;
    let folder = stage.installation.state.join(COMPANY).join("recordings");
    assert!(!folder.exists(), "nothing is recorded unasked");
    let refused = control.refusal(Ask::Record { call: CallId(1), on: true }).await.unwrap();
    assert_eq!(refused.code, RefusalCode::UnknownCall);
    let record = async |word: &str| {
        let id = call.to_string();
        let (status, _, said) = stage.installation.ask(&["record", &id, word], LIMIT).await.unwrap();
        assert!(status.success(), "{said}");
    };
    record("on").await;
    sleep(TALK).await;
    record("off").await;
    sleep(Duration::from_secs(2)).await;
    record("on").await;
    sleep(Duration::from_secs(2)).await;
    let recording = recorded(&mut control, call).await;
    drop(control);
    gateway.kill().await.unwrap();
    let (telegram, pbx) = files(&folder, &recording);
    for (file, hz) in [(telegram, ANNA_HZ), (pbx, PBX_HZ)] {
        let sound = whole(&file);
        let length = sound.length_ms();
        assert!(length >= 6_500, "{length} ms of at least 8000 outlived the kill");
        let part = |from_ms, to_ms| sound.part(samples(from_ms, RATE_HZ), samples(to_ms, RATE_HZ));
        assert!(tone::share(&part(500, 3_500).samples, hz) >= SHARE);
        let paused = part(4_600, 5_400).samples;
        let loudest = paused.iter().map(|sample| sample.unsigned_abs()).max().unwrap();
        assert!(loudest <= 300, "{loudest} while nobody recorded");
    }
    let gateway = stage.run(&[&line]).await.unwrap();
    let mut control = gateway.control().await.unwrap();
    assert_eq!(recorded(&mut control, call).await, recording, "the record knows it still");
    gateway.stop().await.unwrap();
    stage.done();
}

#[tokio::test(flavor = "multi_thread")]
async fn recordings_give_way_on_a_disk_that_fills_calls_go_on_and_there_is_room_for_the_next() {
    let disk = SmallDisk::mount(300).unwrap();
    let shared = disk.path().join("recordings");
    // Each line has a folder of its own there.
    let folder = shared.join(COMPANY);
    let (mut stage, line, mut phone, mut anna) =
        scene(json!({"enabled": true, "directory": shared.to_str().unwrap()})).await;
    let writes = disk.path().to_str().unwrap().to_owned();
    stage.installation.environment.push((surroundings::WRITES.to_owned(), writes));
    let gateway = stage.run(&[&line]).await.unwrap();
    let mut control = gateway.control().await.unwrap();
    control.subscribe().await.unwrap();
    anna.call(line.account).await.unwrap();
    let call = control.call_state(CallState::Answered, LIMIT).await.unwrap().call;
    let at_phone = phone.answered(LIMIT).await.unwrap();
    let at_anna = anna.connected(LIMIT).await.unwrap();
    sleep(TALK).await;
    let recording = recorded(&mut control, call).await;
    assert!(!problems(&mut control).await.contains("256 MiB"), "there is room");

    // 250 MiB are free, of which sessions and records have more need.
    let filler = disk.fill(50).unwrap();
    let told = problem(&mut control, true).await;
    let place = folder.display();
    assert!(
        told.contains(&format!("{place}: less than 256 MiB are free, so calls are not recorded")),
        "{told}"
    );
    assert!(told.contains(&format!("{place}: свободно меньше 256 МиБ")), "{told}");
    let (telegram, pbx) = files(&folder, &recording);
    let written = [&telegram, &pbx].map(|file| std::fs::metadata(file).unwrap().len());
    let before = [phone.heard(at_phone).received_ms, anna.heard(at_anna).received_ms];
    sleep(Duration::from_secs(2)).await;
    let after = [phone.heard(at_phone).received_ms, anna.heard(at_anna).received_ms];
    for (before, after) in before.into_iter().zip(after) {
        assert!(after - before >= 1_900, "{} ms of sound in 2 s", after - before);
    }
    assert_eq!([&telegram, &pbx].map(|file| std::fs::metadata(file).unwrap().len()), written);
    for (file, hz) in [(&telegram, ANNA_HZ), (&pbx, PBX_HZ)] {
        let sound = whole(file);
        assert!(sound.length_ms() >= 3_500, "{} ms", sound.length_ms());
        assert!(
            tone::share(&sound.part(samples(500, RATE_HZ), samples(3_000, RATE_HZ)).samples, hz) >= SHARE
        );
    }
    anna.hang_up(at_anna, Reason::Hangup).await;
    control.call_state(CallState::Ended, LIMIT).await.unwrap();

    // The next call is not recorded, and the one after there is room again is.
    for (room, filler) in [(false, Some(filler)), (true, None)] {
        if room {
            problem(&mut control, false).await;
        }
        phone.forget();
        anna.call(line.account).await.unwrap();
        let call = control.call_state(CallState::Answered, LIMIT).await.unwrap().call;
        let at_anna = anna.connected(LIMIT).await.unwrap();
        sleep(Duration::from_secs(2)).await;
        anna.hang_up(at_anna, Reason::Hangup).await;
        control.call_state(CallState::Ended, LIMIT).await.unwrap();
        let told = records(&mut control).await;
        let told = told.into_iter().find(|record| record.call == call).unwrap();
        assert_eq!(told.recording.is_some(), room, "{told:?}");
        if let Some(recording) = &told.recording {
            assert!(whole(&files(&folder, recording).0).length_ms() >= 1_500);
        }
        if let Some(filler) = filler {
            std::fs::remove_file(filler).unwrap();
        }
    }
    gateway.stop().await.unwrap();
    stage.done();
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_takes_over_a_recorded_call_hears_that_it_is_and_nobody_does_on_a_line_that_stops() {
    let stage = Stage::on_loopback().await.unwrap();
    let line = stage.line(COMPANY).unwrap();
    let pbx = WirePbx::switch_on(line.sip, wire_pbx::Options::playing(PBX_HZ).unwrap()).await.unwrap();
    let recording = json!({"enabled": true, "consent_tone": "start"});
    let draft = stage::draft(&line).unwrap().set("recording", recording);
    stage.open(&line, pbx.sip, draft).await.unwrap();
    let app = light_user::Options::playing(circle(ANNA_HZ, 60).unwrap());
    let _anna = stage.person(NewUser::new(ANNA, "Anna"), app).unwrap();
    let gateway = stage.run(&[&line]).await.unwrap();
    let mut first = pbx.call(ANNA).await.unwrap();
    first.answered(LIMIT).await.unwrap();
    sleep(Duration::from_secs(2)).await;
    let takes = |call: &WireCall| [format!("Replaces: {}", call.replaces().unwrap())];
    let mut second = pbx.call_with("anybody", &takes(&first)).await.unwrap();
    second.answered(LIMIT).await.unwrap();
    first.request("BYE", LIMIT).await.unwrap();
    sleep(Duration::from_secs(2)).await;
    for (who, call) in [("who was there", &first), ("who takes over", &second)] {
        let sound = ffmpeg::decoded(Codec::Opus, &call.heard().payloads).unwrap();
        let consent_ms = sounds_ms(&sound, CONSENT_HZ);
        assert!((300..=700).contains(&consent_ms), "{who}: {consent_ms} ms");
    }
    let pid = Pid::from_raw(gateway.pid().unwrap().try_into().unwrap());
    kill(pid, Signal::SIGTERM).unwrap();
    pbx.line_answers(503, LIMIT).await.unwrap();
    let answer = pbx.call_with("anybody", &takes(&second)).await.unwrap().final_answer(LIMIT).await.unwrap();
    assert_eq!(answer.status(), Some(503), "{}", answer.start);
    second.bye(&[]);
    gateway.stop().await.unwrap();
    stage.done();
}

async fn scene(recording: serde_json::Value) -> (Stage, Line, Phone, LightUser) {
    let stage = Stage::on_loopback().await.unwrap();
    let line = stage.line(COMPANY).unwrap();
    let phone = pbx::Options::playing(circle(PBX_HZ, 20).unwrap());
    let phone = Phone::switch_on(line.sip, phone).await.unwrap();
    let draft = stage::draft(&line).unwrap().set("recording", recording);
    stage.open(&line, phone.sip, draft).await.unwrap();
    let app = light_user::Options::playing(circle(ANNA_HZ, 60).unwrap());
    let anna = stage.person(NewUser::new(ANNA, "Anna").username("anna"), app).unwrap();
    (stage, line, phone, anna)
}

/// What is wrong with the gateway, in both languages.
async fn problems(control: &mut Control) -> String {
    let told = control.status().await.unwrap().problems;
    told.iter().map(|said| format!("{}\n{}\n", said.en, said.ru)).collect()
}

/// Waits until it is told that there is no room for recordings, or is told no more.
async fn problem(control: &mut Control, is_told: bool) -> String {
    let until = now() + LIMIT;
    loop {
        let told = problems(control).await;
        if told.contains("calls are not recorded") == is_told {
            return told;
        }
        assert!(now() < until, "want {is_told}: {told}");
        sleep(Duration::from_millis(50)).await;
    }
}

async fn records(control: &mut Control) -> Vec<CallRecord> {
    match control.ask(Ask::Records { filter: RecordFilter::default() }).await.unwrap() {
        Answer::Records { records, .. } => records,
        other => panic!("{other:?}"),
    }
}

/// The files of a call's recording, as soon as its record names them.
async fn recorded(control: &mut Control, call: CallId) -> Recording {
    let until = now() + LIMIT;
    loop {
        let told = records(control).await;
        let named = |record: CallRecord| record.recording.filter(|_| record.call == call);
        if let Some(recording) = told.into_iter().find_map(named) {
            sleep(Duration::from_millis(300)).await;
            return recording;
        }
        assert!(now() < until, "the record names no recording");
        sleep(Duration::from_millis(20)).await;
    }
}

fn files(folder: &Path, recording: &Recording) -> (PathBuf, PathBuf) {
    (folder.join(&recording.telegram), folder.join(&recording.pbx))
}

/// A file as another program hears it.
fn whole(file: &Path) -> Pcm {
    ffmpeg::read(file).unwrap()
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// For how long a tone sounds and nothing else, in steps of 20 ms.
fn sounds_ms(sound: &Pcm, hz: u32) -> usize {
    let step = samples(20, sound.rate_hz);
    let turn = std::f64::consts::TAU * f64::from(hz) / f64::from(sound.rate_hz);
    let sounds = |part: &&[i16]| {
        let wave = part.iter().enumerate().map(|(at, sample)| (turn * at as f64, f64::from(*sample)));
        let (mut real, mut imaginary, mut all) = (0.0, 0.0, 0.0);
        for (phase, sample) in wave {
            real += sample * phase.cos();
            imaginary += sample * phase.sin();
            all += sample * sample;
        }
        let share = 2.0 * (real * real + imaginary * imaginary) / (all.max(1.0) * part.len() as f64);
        all / part.len() as f64 > 10_000.0 && share > 0.8
    };
    sound.samples.chunks_exact(step).filter(sounds).count() * 20
}
