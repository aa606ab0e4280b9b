//! All lines on this machine's loopback: accounts that nobody logged in, and no PBX.

use std::net::{TcpListener, UdpSocket};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use tgtrunk_config::control::{LoginInfo, LoginStage};
use tgtrunk_config::{Lamp, LoginCode, Settings};
use tokio::sync::broadcast;

use super::*;
use crate::net::RtpPorts;

#[tokio::test]
async fn a_line_whose_port_is_busy_is_reported_by_problem_and_lamp_until_it_opens() {
    let room = Room::new();
    let taken = taken();
    let port = taken.local_addr().unwrap().port();
    room.write_line(port.into(), "");
    let mut lines = Lines::open(room.house.clone());

    let report = room.ask(&mut lines, Ask::Status).await;
    let (problem, status) = (&report.problems[0], &report.lines[0].status);
    for told in [&problem.en, &problem.ru] {
        assert!(told.contains("+79060000000") && told.contains(&port.to_string()), "{told}");
    }
    assert_eq!((report.problems.len(), status.sip.lamp), (1, Lamp::Orange));
    assert!(status.sip.reason.starts_with("the line does not run: "), "{}", status.sip.reason);
    assert!(status.sip.reason_ru.starts_with("линия не работает: "), "{}", status.sip.reason_ru);

    drop(taken);
    let report = room.ask(&mut lines, Ask::Reload).await;
    assert_eq!(report.problems, []);
    assert!(UdpSocket::bind(("127.0.0.1", port)).is_err(), "the line has its port");

    lines.stop(Duration::ZERO).await;
    UdpSocket::bind(("127.0.0.1", port)).unwrap();
}

#[tokio::test]
async fn a_line_that_did_not_open_is_tried_again_by_itself() {
    let room = Room::new();
    let taken = taken();
    room.write_line(taken.local_addr().unwrap().port().into(), "");
    let mut lines = Lines::open(room.house.clone());
    assert_eq!(room.ask(&mut lines, Ask::Status).await.problems.len(), 1);
    drop(taken);
    let mut condition = lines.kept[&phone()].shown.condition.clone();
    let opened = condition.wait_for(|condition| *condition == Condition::Open);
    timeout(Duration::from_secs(8), opened).await.unwrap().unwrap();
    assert_eq!(room.ask(&mut lines, Ask::Status).await.problems, []);
    lines.stop(Duration::ZERO).await;
}

#[tokio::test]
async fn a_line_that_cannot_be_opened_is_not_added_and_leaves_nothing_behind() {
    let room = Room::new();
    let taken = taken();
    let port = taken.local_addr().unwrap().port();
    let mut lines = Lines::open(room.house.clone());
    let draft = LineDraft::new(&phone()).set("pbx", "127.0.0.1").set("sip_port", port);
    let add = Ask::AddLine { line: draft };
    let refusal = room.try_ask(&mut lines, add.clone()).await.unwrap_err();
    assert_eq!(refusal.code, RefusalCode::BadLine);
    assert!(refusal.message.contains(&port.to_string()), "{}", refusal.message);
    assert!(!room.house.state.phone_dir(&phone()).exists());
    assert_eq!(room.ask(&mut lines, Ask::Status).await, StatusReport::default());

    drop(taken);
    assert!(matches!(room.try_ask(&mut lines, add.clone()).await, Ok(Answer::Line(_))));
    assert_eq!(room.try_ask(&mut lines, add).await.unwrap_err().code, RefusalCode::LineExists);
    let remove = Ask::RemoveLine { phone: phone(), keep_state: false };
    assert_eq!(room.try_ask(&mut lines, remove.clone()).await, Ok(Answer::Done));
    assert!(!room.house.state.phone_dir(&phone()).exists());
    assert_eq!(room.try_ask(&mut lines, remove).await.unwrap_err().code, RefusalCode::UnknownLine);
}

#[tokio::test]
async fn a_line_whose_account_nobody_logged_in_is_added_runs_and_waits_for_its_login() {
    let room = Room::new();
    let mut lines = Lines::open(room.house.clone());
    let port = taken().local_addr().unwrap().port();
    let draft = LineDraft::new(&phone()).set("pbx", "127.0.0.1").set("sip_port", port);
    let added = room.try_ask(&mut lines, Ask::AddLine { line: draft }).await.unwrap();
    let Answer::Line(line) = added else { panic!("{added:?}") };
    assert_eq!(line.status.line, phone());
    let login = room.try_ask(&mut lines, Ask::Login { line: phone() }).await.unwrap();
    let start = LoginInfo { line: phone(), stage: LoginStage::Start, problem: None };
    assert_eq!(login, Answer::Login(start));
    let early = Ask::EnterCode { line: phone(), code: LoginCode::new("12345") };
    let Ok(Answer::Login(early)) = room.try_ask(&mut lines, early).await else { panic!("no login") };
    assert_eq!(early.problem.unwrap().en, "No code was sent yet. Begin the login first.");
    let report = room.ask(&mut lines, Ask::Status).await;
    assert_eq!(report.lines[0].status.telegram.lamp, Lamp::Red);
    lines.stop(Duration::ZERO).await;
}

#[tokio::test]
async fn a_mistake_in_a_file_is_forgotten_with_its_line_and_a_switched_off_line_shows_it() {
    let room = Room::new();
    room.write_line(99_999, "");
    let mut lines = Lines::open(room.house.clone());
    assert_eq!(room.ask(&mut lines, Ask::Status).await.problems.len(), 1);
    let remove = Ask::RemoveLine { phone: phone(), keep_state: true };
    assert_eq!(room.try_ask(&mut lines, remove).await, Ok(Answer::Done));
    assert_eq!(room.ask(&mut lines, Ask::Status).await, StatusReport::default());

    room.write_line(30_001, "enabled = false\n");
    let report = room.ask(&mut lines, Ask::Reload).await;
    assert_eq!((report.problems.len(), report.lines[0].status.lamp()), (0, Lamp::Off));
    lines.stop(Duration::ZERO).await;
    let kept = GatewayStatus::read(&room.house.state, &phone(), clock::unix_ms(), Duration::from_secs(30));
    assert_eq!(kept.lamp(), Lamp::Off);
}

#[tokio::test]
async fn a_line_is_not_opened_anew_for_its_menu_nor_closed_for_a_mistake() {
    let room = Room::new();
    let port = taken().local_addr().unwrap().port();
    room.write_line(port.into(), "");
    let mut lines = Lines::open(room.house.clone());
    room.ask(&mut lines, Ask::Status).await;
    let first = lines.kept[&phone()].orders.clone();
    let runs_on = |lines: &Lines| lines.kept[&phone()].orders.same_channel(&first);

    let menu = "company = \"Acme\"\n[[menu]]\nname = \"Sales\"\nextension = \"101\"\n";
    room.write_line(port.into(), menu);
    assert_eq!(room.ask(&mut lines, Ask::Reload).await.problems, []);
    assert!(runs_on(&lines) && !first.is_closed());
    assert_eq!(lines.kept[&phone()].shown.settings.chat.menu[0].name, "Sales");

    room.write_line(port.into(), &menu.replace("extension", "extensoin"));
    let report = room.ask(&mut lines, Ask::Reload).await;
    assert!(report.problems[0].en.contains("extensoin"), "{:?}", report.problems);
    assert_eq!((report.problems.len(), report.lines.len()), (1, 1));
    assert!(runs_on(&lines) && !first.is_closed());
    assert_eq!(lines.kept[&phone()].shown.settings.chat.menu.len(), 1);

    room.write_line(port.into(), "");
    assert_eq!(room.ask(&mut lines, Ask::Reload).await.problems, []);
    assert!(runs_on(&lines));
    room.write_line(port.into(), "ring_limit_s = 20\n");
    room.ask(&mut lines, Ask::Reload).await;
    assert!(!runs_on(&lines), "what calls depend on is another line");
    std::fs::remove_file(room.house.state.line_file(&phone())).unwrap();
    assert_eq!(room.ask(&mut lines, Ask::Reload).await, StatusReport::default());
    lines.stop(Duration::ZERO).await;
}

#[tokio::test]
async fn a_press_does_not_wait_for_lines_that_have_not_the_call() {
    let ((busy, _unread), (line, mut orders)) = (mpsc::channel(1), mpsc::channel(1));
    let keys = Keys { digits: "5".parse().unwrap(), tone: None, pause: None, key: None };
    let pressed = tokio::spawn(dial(vec![busy.clone(), line.clone(), busy.clone()], CallId(7), keys));
    let Some(Order::Dial(CallId(7), _, answer)) = orders.recv().await else { panic!("no press") };
    answer.send(Ok(())).unwrap();
    let limit = THOUGHT / 2;
    assert_eq!(timeout(limit, pressed).await.unwrap().unwrap(), Ok(Answer::Done));

    let ended = tokio::spawn(of_call(vec![busy, line], CallId(7), Order::HangUp));
    let Some(Order::HangUp(CallId(7), answer)) = orders.recv().await else { panic!("no end") };
    answer.send(false).unwrap();
    let refusal = timeout(THOUGHT * 2, ended).await.unwrap().unwrap().unwrap_err();
    assert_eq!(refusal.code, RefusalCode::UnknownCall);
}

#[tokio::test]
async fn what_one_line_is_to_do_is_refused_where_it_is_not_there_or_nobody_is_logged_in() {
    let room = Room::new();
    let free = taken().local_addr().unwrap().port();
    room.write_line(free.into(), "");
    let mut lines = Lines::open(room.house.clone());
    room.ask(&mut lines, Ask::Status).await;
    let token = tgtrunk_config::LoginToken::new(b"token").unwrap();
    let person = tgtrunk_config::UserId::new(5).unwrap();
    let other: Phone = "+79060000009".parse().unwrap();
    let export = Ask::ExportLogin { line: phone(), password: None };
    let refusal = room.try_ask(&mut lines, export).await.unwrap_err();
    assert_eq!(refusal.message, "tgtrunk-gateway has no export_login");
    for (line, code) in [(other, RefusalCode::UnknownLine), (phone(), RefusalCode::NotAuthorized)] {
        let accept = Ask::AcceptLogin { line: line.clone(), token: token.clone() };
        assert_eq!(room.try_ask(&mut lines, accept).await.unwrap_err().code, code);
        let join = Ask::JoinCall { line, extension: "2001".into(), person: person.into(), key: None };
        assert_eq!(room.try_ask(&mut lines, join).await.unwrap_err().code, code);
    }
    lines.stop(Duration::ZERO).await;
}

/// A port of this machine's that nobody but the test has, and that no program gets which asks for any: those run beside it,
/// and a line wants it for connections too.
fn taken() -> UdpSocket {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = u16::try_from(std::process::id() % 9_000).unwrap();
    (0..9_000)
        .find_map(|_| {
            let port = 20_000 + (first + NEXT.fetch_add(1, Ordering::Relaxed)) % 9_000;
            TcpListener::bind(("127.0.0.1", port)).ok()?;
            UdpSocket::bind(("127.0.0.1", port)).ok()
        })
        .unwrap()
}

/// A state directory, and what lines share.
pub(super) struct Room {
    pub(super) house: House,
    _folder: tempfile::TempDir,
}

pub(super) fn phone() -> Phone {
    "+79060000000".parse().unwrap()
}

impl Room {
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let text = "[telegram]\napi_id = 1\napi_hash = \"0123456789abcdef0123456789abcdef\"\n";
        let settings = Settings::parse(text, Path::new("t.toml")).unwrap();
        let compute = crate::compute::Compute::start().unwrap();
        let house = House {
            rtp_ports: Arc::new(RtpPorts::new(settings.gateway.sip_bind, 20_100, 20_200, 0)),
            addresses: crate::net::follow(vec![settings.gateway.sip_bind]),
            proxy: None,
            health: tgtrunk_shell::Health::default(),
            placed: crate::line::Placed::default(),
            rush: crate::rush::Rush::new(1_000, 100, crate::strain::Strain::none()),
            settings: Arc::new(settings),
            state: StateDir::open(folder.path()).unwrap(),
            events: broadcast::channel(64).0,
            plane: crate::plane::Plane::start(tgtrunk_config::MediaTick::Auto).unwrap(),
            certificates: crate::certificates::Certificates::start(compute.clone()),
            compute,
            recorder: crate::recording::Recorder::start(tgtrunk_shell::Health::default()).unwrap(),
        };
        Self { house, _folder: folder }
    }

    fn write_line(&self, port: u32, more: &str) {
        let text = format!("phone = \"+79060000000\"\nsip_port = {port}\npbx = \"127.0.0.1\"\n{more}");
        self.house.state.make_phone_dir(&phone()).unwrap();
        self.house.state.replace(&self.house.state.line_file(&phone()), text.as_bytes()).unwrap();
    }

    async fn try_ask(&self, lines: &mut Lines, ask: Ask) -> Result<Answer, Refusal> {
        let (answer, mut answered) = oneshot::channel();
        lines.answer(Question { ask, answer });
        let answer = async {
            loop {
                tokio::select! {
                    answer = &mut answered => return answer.unwrap(),
                    () = lines.tend() => {}
                }
            }
        };
        timeout(Duration::from_secs(10), answer).await.unwrap()
    }

    async fn ask(&self, lines: &mut Lines, ask: Ask) -> StatusReport {
        let Ok(Answer::Status(report)) = self.try_ask(lines, ask).await else { panic!("no report") };
        report
    }
}
