//! Lines that break.

use std::path::Path;

use super::*;

fn phone() -> tgtrunk_config::Phone {
    "+79060000000".parse().unwrap()
}

/// A line of a fresh state directory, at which nobody is logged in.
async fn line(folder: &Path) -> (Line, mpsc::Sender<Order>) {
    let text = "[telegram]\napi_id = 1\napi_hash = \"0123456789abcdef0123456789abcdef\"\n\
        [page]\nlisten = \"off\"\n[api]\nlisten = \"off\"\n";
    let settings = Arc::new(Settings::parse(text, Path::new("tgtrunk.toml")).unwrap());
    let state = StateDir::open(folder).unwrap();
    let text = format!("phone = {:?}\nsip_port = 30001\npbx = \"127.0.0.1\"\n", phone().as_str());
    let line =
        tgtrunk_config::Line::parse(&text, Path::new("line.toml"), phone().as_str(), &BTreeMap::default());
    let manner = Manner { line: line.unwrap(), texts: tgtrunk_config::Texts::default() };
    let (gateway, _) = Follower::start(state.gateway_socket());
    let (api, _ports) = Api::start(Arc::clone(&settings), &state, mpsc::channel(1).0, gateway.clone()).await;
    let calls = api.calls().clone();
    let (send, orders) = mpsc::channel(8);
    let line = Line {
        house: House { settings, state, gateway, health: Health::default(), api, calls },
        manner: Arc::new(manner),
        orders,
        status: watch::Sender::new(ClientStatus::waiting(phone(), 1, 1)),
        calls: None,
        is_gone: false,
        events: broadcast::channel(8).0,
        gone_at: None,
    };
    (line, send)
}

#[tokio::test]
async fn a_line_one_of_whose_tasks_breaks_is_opened_anew_and_one_of_a_call_harms_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let (mut line, orders) = line(folder.path()).await;
    let mut work = line.open().await.unwrap();
    spawn(&mut work.tasks, async { panic!("as a card may") });
    let serving = timeout(Duration::from_secs(1), line.serve(&mut work)).await;
    assert!(serving.is_err(), "it goes on");
    last(&mut work.tasks, async { panic!("as the reader may") });
    let broke = timeout(Duration::from_secs(5), line.serve(&mut work)).await.expect("it breaks").unwrap_err();
    assert_eq!(broke, Broke::of("as the reader may"));
    work.end().await;
    // Account and database are free again.
    let mut work = line.open().await.unwrap();
    orders.send(Order::Stop).await.unwrap();
    assert_eq!(line.serve(&mut work).await, Ok(()));
    work.end().await;
}
