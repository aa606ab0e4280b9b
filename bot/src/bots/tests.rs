//! Bots that break.

use std::path::Path;

use tokio::time::Instant;

use super::*;

/// A bot whose Telegram is not there.
fn house(folder: &Path) -> House {
    let text = "[telegram]\napi_id = 1\napi_hash = \"0123456789abcdef0123456789abcdef\"\n\
        [bot]\napi_url = \"http://127.0.0.1:9\"\n";
    let settings = Settings::parse(text, Path::new("tgtrunk.toml")).unwrap();
    let state = StateDir::open(folder).unwrap();
    let token: BotToken = "42:abcdefghijklmnopqrstuvwxyz".parse().unwrap();
    BotFile::new(token).write(&state, &"acme_bot".parse().unwrap()).unwrap();
    House {
        settings: Arc::new(settings),
        gateway: Gateway::start(state.gateway_socket()),
        state,
        doors: Arc::default(),
        offices: Offices::new(&[]).unwrap(),
        port: watch::channel(None).1,
        events: broadcast::channel(64).0,
        health: Health::default(),
    }
}

#[tokio::test]
async fn a_bot_that_broke_is_opened_anew_after_a_pause() {
    let folder = tempfile::tempdir().unwrap();
    let mut bots = Bots::open(house(folder.path()));
    let bot: BotName = "acme_bot".parse().unwrap();
    let kept = bots.kept.get_mut(&bot).unwrap();
    let broken = kept.status.clone();
    std::mem::replace(&mut kept.stop, oneshot::channel().0).send(()).unwrap();
    std::mem::replace(&mut kept.task, tokio::spawn(async {})).await.unwrap();
    let at = Instant::now();
    bots.watch_over(bot.clone(), broken.clone(), async { panic!("as a bot may") }).await.unwrap();
    let again = async {
        while bots.kept[&bot].status.same_channel(&broken) {
            bots.tend().await;
        }
    };
    timeout(PAUSE * 2, again).await.expect("it is opened anew");
    assert!(at.elapsed() >= PAUSE);
    assert!(!bots.kept[&bot].task.is_finished());
    bots.stop().await;
}
