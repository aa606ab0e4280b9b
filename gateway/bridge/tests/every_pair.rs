//! Every state of a call with every event, as a table that a person can check.
//!
//! A cell holds the actions (R tell the caller that it rings, b let it hear that, D dial, A answer the caller, j join early, J join, T and G hang up the trunk
//! and the Telegram leg, E end) and, behind a colon, the new stage; a dot is "nothing happens".

#![allow(clippy::disallowed_methods)] // tests begin somewhere in time

use std::time::{Duration, Instant};

use tgtrunk_bridge::{Action, Call, Cause, Event, Leg, ParallelIncoming, Settings};

/// `early`, `heard`: accepted before the answer, without and with media (from Telegram alone). `both`, `trunk`, `tele`:
/// closing an unanswered call, with these legs still open; `bye`: both, after an answer.
const COLUMNS: [&str; 12] =
    ["dial", "ring", "early", "heard", "conn", "talk", "lost", "both", "trunk", "tele", "bye", "over"];

const FROM_TRUNK: &str = "
               dial         ring         early        heard        conn         talk         lost         both         trunk        tele         bye          over
proceeds T     .            .            -            -            .            .            .            .            .            .            .            .
proceeds G     .            .            -            -            .            .            .            .            .            .            .            .
rings T        .            .            -            -            .            .            .            .            .            .            .            .
rings G        R:ringing    .            -            -            .            .            .            .            .            .            .            .
plays T        .            .            -            -            .            .            .            .            .            .            .            .
answers T      .            .            -            -            .            .            .            .            .            .            .            .
answers G      :connecting  :connecting  -            -            .            .            .            G            .            G            .            .
media-up T     .            .            -            -            .            .            .            .            .            .            .            .
media-up G     AJ:talking   AJ:talking   -            -            AJ:talking   .            .            .            .            .            .            .
media-down T   .            .            -            -            .            .            .            .            .            .            .            .
media-down G   .            .            -            -            .            .            .            .            .            .            .            .
hangs-up T     G:closing    G:closing    -            -            G:closing    G:closing    G:closing    .            E:over       .            .            .
hangs-up G     T:closing    T:closing    -            -            T:closing    T:closing    T:closing    .            .            E:over       .            .
fails T        TG:closing   TG:closing   -            -            TG:closing   TG:closing   TG:closing   .            .            .            .            .
fails G        TG:closing   TG:closing   -            -            TG:closing   TG:closing   TG:closing   .            .            .            .            .
stop           TG:closing   TG:closing   -            -            TG:closing   TG:closing   TG:closing   .            .            .            .            .
released T     G:closing    G:closing    -            -            G:closing    G:closing    G:closing    .            E:over       .            .            .
released G     T:closing    T:closing    -            -            T:closing    T:closing    T:closing    .            .            E:over       .            .
timeout        TG:closing   TG:closing   -            -            TG:closing   .            TG:closing   E:over       E:over       E:over       E:over       .
";

const FROM_TELEGRAM: &str = "
               dial         ring         early        heard        conn         talk         lost         both         trunk        tele         bye          over
proceeds T     .            .            .            .            .            .            .            .            .            .            .            .
proceeds G     .            .            .            .            .            .            .            .            .            .            .            .
rings T        :ringing     .            .            .            .            .            .            .            .            .            .            .
rings G        .            .            .            .            .            .            .            .            .            .            .            .
plays T        A:early      A:early      .            .            .            .            .            .            .            .            .            .
answers T      A:connecting A:connecting :connecting  J:talking    .            .            .            T            T            .            .            .
answers G      .            .            .            .            .            .            .            .            .            .            .            .
media-up T     .            .            .            .            .            .            .            .            .            .            .            .
media-up G     .            .            j            .            J:talking    .            .            .            .            .            .            .
media-down T   .            .            .            .            .            .            .            .            .            .            .            .
media-down G   .            .            .            .            .            .            .            .            .            .            .            .
hangs-up T     G:closing    G:closing    G:closing    G:closing    G:closing    G:closing    G:closing    .            E:over       .            .            .
hangs-up G     T:closing    T:closing    T:closing    T:closing    T:closing    T:closing    T:closing    .            .            E:over       .            .
fails T        TG:closing   TG:closing   TG:closing   TG:closing   TG:closing   TG:closing   TG:closing   .            .            .            .            .
fails G        TG:closing   TG:closing   TG:closing   TG:closing   TG:closing   TG:closing   TG:closing   .            .            .            .            .
stop           TG:closing   TG:closing   TG:closing   TG:closing   TG:closing   TG:closing   TG:closing   .            .            .            .            .
released T     G:closing    G:closing    G:closing    G:closing    G:closing    G:closing    G:closing    .            E:over       .            .            .
released G     T:closing    T:closing    T:closing    T:closing    T:closing    T:closing    T:closing    .            .            E:over       .            .
timeout        TG:closing   TG:closing   TG:closing   TG:closing   TG:closing   .            TG:closing   E:over       E:over       E:over       E:over       .
";

/// `fetch`: the PBX is called first; `quit`: that was stopped. Then as above.
const TO_BOTH_COLUMNS: [&str; 11] =
    ["fetch", "quit", "dial", "ring", "conn", "talk", "lost", "both", "trunk", "tele", "over"];

const TO_BOTH: &str = "
               fetch        quit         dial         ring         conn         talk         lost         both         trunk        tele         over
proceeds T     .            .            .            .            .            .            .            .            .            .            .
proceeds G     .            .            .            .            .            .            .            .            .            .            .
rings T        .            .            .            .            .            .            .            .            .            .            .
rings G        .            .            :ringing     .            .            .            .            .            .            .            .
plays T        .            .            .            .            .            .            .            .            .            .            .
answers T      bD:dialling  T            .            .            .            .            .            .            .            .            .
answers G      .            .            :connecting  :connecting  .            .            .            G            .            G            .
media-up T     .            .            .            .            .            .            .            .            .            .            .
media-up G     .            .            J:talking    J:talking    J:talking    .            .            .            .            .            .
media-down T   .            .            .            .            .            .            .            .            .            .            .
media-down G   .            .            .            .            .            .            .            .            .            .            .
hangs-up T     E:over       E:over       G:closing    G:closing    G:closing    G:closing    G:closing    .            E:over       .            .
hangs-up G     .            .            T:closing    T:closing    T:closing    T:closing    T:closing    .            .            E:over       .
fails T        T:closing    .            TG:closing   TG:closing   TG:closing   TG:closing   TG:closing   .            .            .            .
fails G        T:closing    .            TG:closing   TG:closing   TG:closing   TG:closing   TG:closing   .            .            .            .
stop           T:closing    .            TG:closing   TG:closing   TG:closing   TG:closing   TG:closing   .            .            .            .
released T     E:over       E:over       G:closing    G:closing    G:closing    G:closing    G:closing    .            E:over       .            .
released G     .            .            T:closing    T:closing    T:closing    T:closing    T:closing    .            .            E:over       .
timeout        T:closing    E:over       TG:closing   TG:closing   TG:closing   .            TG:closing   E:over       E:over       E:over       .
";

/// Beyond every limit.
const AGES: Duration = Duration::from_secs(3600);

#[test]
fn a_call_from_the_pbx_does_what_the_table_says_in_every_state() {
    let begin = |now| Call::new(Leg::Trunk, Settings::default(), now);
    check(&COLUMNS, FROM_TRUNK, 19 * 10, |column| call_in(column, Leg::Telegram, begin));
}

#[test]
fn a_call_from_telegram_does_what_the_table_says_in_every_state() {
    for parallel_incoming in [ParallelIncoming::Auto, ParallelIncoming::Always, ParallelIncoming::Off] {
        let settings = Settings { parallel_incoming, ..Settings::default() };
        let begin = |now| Call::new(Leg::Telegram, settings, now);
        check(&COLUMNS, FROM_TELEGRAM, 19 * 12, |column| call_in(column, Leg::Trunk, begin));
    }
}

#[test]
fn a_call_to_both_does_what_the_table_says_in_every_state() {
    let fetch = |now| Call::to_both(Settings::default(), now);
    let fetched = |now| {
        let mut call = fetch(now);
        call.handle(now, Event::Answers(Leg::Trunk));
        call
    };
    check(&TO_BOTH_COLUMNS, TO_BOTH, 19 * 11, |column| match column {
        "fetch" => call_in("dial", Leg::Telegram, fetch),
        "quit" => {
            let (mut call, now) = call_in("dial", Leg::Telegram, fetch);
            call.handle(now, Event::Stop(Cause::Stopping));
            while call.poll_action().is_some() {}
            (call, now)
        }
        column => call_in(column, Leg::Telegram, fetched),
    });
}

fn check(columns: &[&str], table: &str, wanted_cells: usize, call_in: impl Fn(&str) -> (Call, Instant)) {
    let mut lines = table.trim().lines();
    assert!(lines.next().is_some_and(|head| head.split_whitespace().eq(columns.iter().copied())));
    let mut cells = 0;
    for line in lines {
        let (event, row) = line.split_at(15);
        let row: Vec<_> = row.split_whitespace().collect();
        assert_eq!(row.len(), columns.len(), "{line}");
        for (column, wanted) in columns.iter().zip(row).filter(|(_, wanted)| *wanted != "-") {
            let (mut call, now) = call_in(column);
            let stage = call.stage();
            match event_named(event.trim()) {
                Some(event) => call.handle(now, event),
                None => call.handle_timeout(now + AGES),
            }
            let done: String =
                std::iter::from_fn(|| call.poll_action()).map(|action| letter(&action)).collect();
            let moved = if call.stage() == stage { String::new() } else { format!(":{}", call.stage()) };
            let got = if done.is_empty() && moved.is_empty() { ".".to_owned() } else { done + &moved };
            assert_eq!(got, wanted, "{} in {column}, {:?} is the caller", event.trim(), call.caller());
            cells += 1;
        }
    }
    assert_eq!(cells, wanted_cells);
}

/// A call that stands in the state of a column, with nothing left to do.
fn call_in(column: &str, callee: Leg, begin: impl Fn(Instant) -> Call) -> (Call, Instant) {
    let now = Instant::now();
    let mut call = begin(now);
    let rings = [Event::Rings(callee)];
    let connects = [Event::Rings(callee), Event::Answers(callee)];
    let talks = [Event::Rings(callee), Event::Answers(callee), Event::MediaUp(Leg::Telegram)];
    let events = match column {
        "dial" => vec![],
        "ring" => rings.to_vec(),
        "early" => vec![Event::Rings(callee), Event::EarlyMedia(callee)],
        "heard" => vec![Event::Rings(callee), Event::EarlyMedia(callee), Event::MediaUp(Leg::Telegram)],
        "conn" => connects.to_vec(),
        "talk" => talks.to_vec(),
        "lost" => [&talks[..], &[Event::MediaDown(Leg::Telegram)]].concat(),
        "both" => [&rings[..], &[Event::Stop(Cause::Stopping)]].concat(),
        "trunk" => [&rings[..], &[Event::HangsUp(Leg::Telegram, Cause::Busy)]].concat(),
        "tele" => [&rings[..], &[Event::HangsUp(Leg::Trunk, Cause::Busy)]].concat(),
        "bye" => [&talks[..], &[Event::Stop(Cause::Stopping)]].concat(),
        "over" => [&talks[..], &[Event::HangsUp(Leg::Trunk, Cause::Normal), Event::Released(Leg::Telegram)]]
            .concat(),
        other => panic!("no column {other}"),
    };
    for event in events {
        call.handle(now, event);
    }
    while call.poll_action().is_some() {}
    (call, now)
}

fn event_named(name: &str) -> Option<Event> {
    let leg = if name.ends_with('T') { Leg::Trunk } else { Leg::Telegram };
    Some(match name.split(' ').next() {
        Some("proceeds") => Event::Proceeds(leg),
        Some("rings") => Event::Rings(leg),
        Some("plays") => Event::EarlyMedia(leg),
        Some("answers") => Event::Answers(leg),
        Some("media-up") => Event::MediaUp(leg),
        Some("media-down") => Event::MediaDown(leg),
        Some("hangs-up") => Event::HangsUp(leg, Cause::Normal),
        Some("fails") => Event::Fails(leg, Cause::MediaLost),
        Some("stop") => Event::Stop(Cause::Stopping),
        Some("released") => Event::Released(leg),
        Some("timeout") => return None,
        _ => panic!("no event {name}"),
    })
}

fn letter(action: &Action) -> char {
    match action {
        Action::Dial(_) => 'D',
        Action::TellRinging(_) => 'R',
        Action::RingBack(_) => 'b',
        Action::Answer(_) => 'A',
        Action::JoinEarly => 'j',
        Action::Join => 'J',
        Action::HangUp { leg: Leg::Trunk, .. } => 'T',
        Action::HangUp { leg: Leg::Telegram, .. } => 'G',
        Action::End(_) => 'E',
    }
}
