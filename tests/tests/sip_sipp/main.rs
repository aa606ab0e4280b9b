//! The SIP room against peers that others wrote: SIPp in both roles, baresip on a real call.
//!
//! Needs the Debian packages `sip-tester` and `baresip-core`.

#![allow(clippy::unwrap_used, reason = "a peer that cannot be started is a failed test")]
#![allow(clippy::disallowed_methods, reason = "real sockets live on the real clock")]

mod line;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use tgtrunk_sip::{Event, Memory};
use tgtrunk_tests::ports;

use line::Line;

#[test]
fn sipp_places_200_calls_at_20_per_second() {
    let (line, sipp) = caller("calls.xml", "+79060000000", 200, 20);
    finished(sipp);
    let (mut incoming, mut ended) = (0, 0);
    while let Ok(event) = line.events.try_recv() {
        incoming += usize::from(matches!(event, Event::Incoming { .. }));
        ended += usize::from(matches!(event, Event::HungUp { .. }));
    }
    assert_eq!((incoming, ended), (200, 200));
    assert_eq!(line.stop(), Memory::default());
}

#[test]
fn sipp_cancels_while_it_rings() {
    let (line, sipp) = caller("cancels.xml", "ringing", 20, 20);
    finished(sipp);
    let mut cancelled = 0;
    while let Ok(event) = line.events.try_recv() {
        if let Event::Cancelled { reason, .. } = event {
            assert_eq!(reason.unwrap().cause, 200);
            cancelled += 1;
        }
    }
    assert_eq!(cancelled, 20);
    assert_eq!(line.stop(), Memory::default());
}

#[test]
fn sipp_finds_the_line_busy_and_reads_the_reason() {
    let (line, sipp) = caller("finds-busy.xml", "busy", 20, 20);
    finished(sipp);
    assert_eq!(line.stop(), Memory::default());
}

#[test]
fn sipp_answers_200_calls_at_20_per_second() {
    let (line, sipp) = callee("answers.xml", 200);
    let (mut answered, mut rung) = (0, 0);
    for number in 0..200 {
        line.invite();
        std::thread::sleep(Duration::from_millis(50));
        for event in line.events.try_iter() {
            hang_up_answered(&line, event, &mut rung, &mut answered);
        }
        assert!(answered + 20 > number, "only {answered} of {number} answered so far");
    }
    while answered < 200 {
        let event = line.event();
        hang_up_answered(&line, event, &mut rung, &mut answered);
    }
    finished(sipp);
    assert_eq!(rung, 200);
    assert_eq!(line.stop(), Memory::default());
}

#[test]
fn sipp_is_busy() {
    let (line, sipp) = callee("is-busy.xml", 1);
    line.invite();
    let Event::Refused { status: 486, reason: Some(reason), .. } = line.event() else { panic!("not busy") };
    assert_eq!(reason.cause, 17);
    finished(sipp);
    assert_eq!(line.stop(), Memory::default());
}

#[test]
fn sipp_is_cancelled() {
    let (line, sipp) = callee("is-cancelled.xml", 1);
    line.invite();
    let Event::Ringing { call } = line.event() else { panic!("does not ring") };
    line.hang_up(call);
    assert!(matches!(line.event(), Event::Refused { status: 487, .. }));
    finished(sipp);
    assert_eq!(line.stop(), Memory::default());
}

#[test]
fn baresip_answers_sends_opus_and_is_hung_up() {
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let line = Line::start(port);
    let baresip = baresip(folder.path(), port, None);
    line.invite();
    loop {
        match line.event() {
            Event::Answered { call, remote } => {
                assert_eq!((remote.codec.name, remote.payload_type), ("opus", 107));
                hears_rtp(&line, 107);
                line.hang_up(call);
                break;
            }
            Event::Ringing { .. } | Event::EarlyMedia { .. } => {}
            other => panic!("{other:?}"),
        }
    }
    std::thread::sleep(Duration::from_millis(500));
    drop(baresip);
    assert_eq!(line.stop(), Memory::default());
}

#[test]
fn baresip_calls_and_sends_opus() {
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let line = Line::start(port);
    let baresip = baresip(folder.path(), port, Some(line.address));
    let Event::Incoming { dialled, remote: Some(remote), .. } = line.event() else { panic!("no call") };
    assert_eq!((dialled.as_str(), remote.codec.name), ("tg#durov", "opus"));
    hears_rtp(&line, remote.payload_type);
    drop(baresip);
    line.stop();
}

fn hang_up_answered(line: &Line, event: Event, rung: &mut usize, answered: &mut usize) {
    match event {
        Event::Answered { call, .. } => {
            *answered += 1;
            line.hang_up(call);
        }
        Event::Ringing { .. } => *rung += 1,
        Event::PeerReachable(_) => {}
        other => panic!("{other:?}"),
    }
}

/// Half a second of audio under this payload type.
fn hears_rtp(line: &Line, payload_type: u8) {
    line.rtp.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let mut packet = [0; 2048];
    for _ in 0..25 {
        let length = line.rtp.recv(&mut packet).expect("RTP within 10 s");
        assert!(length > 12 && packet[0] >> 6 == 2, "no RTP");
        assert_eq!(packet[1] & 0x7f, payload_type);
    }
}

/// A line and a SIPp that calls it.
fn caller(scenario: &str, service: &str, calls: u32, per_second: u32) -> (Line, Child) {
    let port = free_port();
    let line = Line::start(port);
    let (calls, per_second) = (calls.to_string(), per_second.to_string());
    let target = line.address.to_string();
    let sipp = sipp(scenario, port, &[&target, "-s", service, "-m", &calls, "-r", &per_second]);
    (line, sipp)
}

/// A line and a SIPp that waits for its calls.
fn callee(scenario: &str, calls: u32) -> (Line, Child) {
    let port = free_port();
    let sipp = sipp(scenario, port, &["-m", &calls.to_string()]);
    (Line::start(port), sipp)
}

fn sipp(scenario: &str, port: SocketAddr, more: &[&str]) -> Child {
    let file = scenarios().join(scenario);
    let media = free_port().port().clamp(1024, 60_000).to_string();
    Command::new("sipp")
        .args(more)
        .args(["-sf", file.to_str().unwrap(), "-i", "127.0.0.1", "-p", &port.port().to_string()])
        .args(["-mp", &media, "-nostdin", "-timeout", "60", "-timeout_error", "-trace_err"])
        .args(["-error_file", "/dev/stderr", "-aa"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("sipp, from the Debian package sip-tester")
}

/// Waits for a SIPp; every one of its calls must have succeeded.
fn finished(sipp: Child) {
    let Output { status, stdout, stderr } = sipp.wait_with_output().unwrap();
    assert!(
        status.success(),
        "sipp ended with {status}\n{}\n{}",
        String::from_utf8_lossy(&stderr),
        String::from_utf8_lossy(&stdout).lines().rev().take(60).collect::<Vec<_>>().join("\n")
    );
}

fn scenarios() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sip_sipp/scenarios")
}

/// A baresip that is stopped when the test is over.
struct Baresip(Child);

impl Drop for Baresip {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A phone that answers by itself, or that calls a line.
fn baresip(folder: &Path, port: SocketAddr, calls: Option<SocketAddr>) -> Baresip {
    let config = format!(
        "sip_listen {port}\naudio_source ausine,440\naudio_player aufile,{}\nausrc_srate 48000\nauplay_srate 48000\n\
         ausrc_channels 2\nauplay_channels 2\nopus_stereo yes\nopus_sprop_stereo yes\n\
         module_path /usr/lib/baresip/modules\nmodule opus.so\nmodule ausine.so\nmodule aufile.so\n\
         module_app account.so\nmodule_app menu.so\n",
        folder.join("heard.wav").display()
    );
    std::fs::write(folder.join("config"), config).unwrap();
    let account = "<sip:100@127.0.0.1>;regint=0;audio_codecs=opus/48000/2;ptime=20;answermode=auto\n";
    std::fs::write(folder.join("accounts"), account).unwrap();
    std::fs::write(folder.join("contacts"), "").unwrap();
    let mut command = Command::new("baresip");
    command.arg("-f").arg(folder).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    if let Some(line) = calls {
        command.args(["-e", &format!("/dial sip:tg%23durov@{line}")]);
    }
    let child = command.spawn().expect("baresip, from the Debian package baresip-core");
    std::thread::sleep(Duration::from_secs(1));
    Baresip(child)
}

/// A port that nobody else gets; foreign phones open the next one, too.
fn free_port() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], ports::free_pair().unwrap()))
}
