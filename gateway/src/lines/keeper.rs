//! Keeps one line open: opens it, tries again where that fails, notices when it breaks, and closes it.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tgtrunk_config::control::Event;
use tgtrunk_config::{GatewayStatus, Lamp, Line as LineSettings, Said};
use tgtrunk_shell::said::said;
use tgtrunk_shell::status_file;
use tgtrunk_telegram::{Account, Orange, Status};
use tokio::sync::{Mutex, mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{interval, sleep, timeout};
use tracing::Instrument as _;

use crate::account;
use crate::clock;
use crate::line::{House, Line, Mode, Order, Start, is_free};

/// Orders that may wait for a line.
pub(super) const ORDERS: usize = 64;
/// Opening a port takes no time; looking up the PBX's name may take as long as this.
const OPENING: Duration = Duration::from_secs(3);
/// A line whose grace is over lets its calls say goodbye for this long.
const FAREWELL: Duration = Duration::from_secs(5);
/// How long a line that does not run is left alone, at first and at most; each time twice as long.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// How often a line that does not run says so again.
const HEARTBEAT: Duration = Duration::from_secs(5);

/// How a line is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Condition {
    /// For the first time, or because somebody asked for it.
    Opening,
    /// At work.
    Open,
    /// Not at work, and why; it is tried again by itself.
    Failed(Said),
}

/// The task behind a line.
pub(super) struct Keeper {
    pub(super) house: House,
    pub(super) settings: LineSettings,
    /// Held by the one keeper that has the number's account and port.
    pub(super) door: Arc<Mutex<()>>,
    pub(super) orders: mpsc::Receiver<Order>,
    pub(super) status: watch::Sender<GatewayStatus>,
    /// Whoever sets it to [`Condition::Opening`] has the line tried at once.
    pub(super) condition: watch::Sender<Condition>,
}

/// A line at work.
struct Running {
    account: Account,
    orders: mpsc::Sender<Order>,
    task: JoinHandle<()>,
}

impl Keeper {
    /// Works until it is told to stop. The account is closed and the last status written when it ends.
    pub(super) async fn run(mut self) {
        let _door = Arc::clone(&self.door).lock_owned().await;
        let file = tokio::spawn(status_file::keep(
            self.house.state.clone(),
            self.status.subscribe(),
            GatewayStatus::write,
        ));
        let mut pause = FIRST_PAUSE;
        loop {
            let problem = match self.open().await {
                Ok(running) => {
                    let since = clock::now();
                    self.condition.send_replace(Condition::Open);
                    tracing::info!("line opened");
                    let Some(problem) = self.attend(running).await else { break };
                    if clock::now().duration_since(since) >= LONGEST_PAUSE {
                        pause = FIRST_PAUSE;
                    }
                    problem
                }
                Err(error) => said(&error),
            };
            if self.rest(problem, pause).await {
                break;
            }
            pause = longer(pause);
        }
        self.paint(&Said::new("the line is closed", "линия закрыта"));
        drop(self);
        file.await.ok();
    }

    async fn open(&self) -> anyhow::Result<Running> {
        let House { settings, state, .. } = &self.house;
        let (account, notices) = account::open(settings, state, &self.settings.phone).await?;
        let (orders, ordered) = mpsc::channel(ORDERS);
        let start = Start {
            house: self.house.clone(),
            settings: self.settings.clone(),
            mode: Mode::Trunk,
            account: account.clone(),
            notices,
            orders: ordered,
            status: self.status.clone(),
        };
        match timeout(OPENING, Line::open(start)).await {
            Ok(Ok(line)) => Ok(Running { account, orders, task: tokio::spawn(line.run().in_current_span()) }),
            Ok(Err(error)) => {
                account.shutdown().await;
                Err(error)
            }
            Err(_) => {
                account.shutdown().await;
                let limit_s = OPENING.as_secs();
                let host = self.settings.pbx.to_string();
                Err(anyhow::Error::msg(Said::new(
                    format!(
                        "pbx = {host:?} is not resolved within {limit_s} s; want an address, or a name server that answers"
                    ),
                    format!(
                        "pbx = {host:?}: имя не удалось узнать за {limit_s} с; нужен адрес или сервер имён, который отвечает"
                    ),
                )))
            }
        }
    }

    /// Hands orders to the line until it ends: what broke it, or none when it was told to stop.
    async fn attend(&mut self, mut running: Running) -> Option<Said> {
        let mut status = running.account.status();
        let problem = loop {
            tokio::select! {
                ended = &mut running.task => break Some(match ended {
                    Ok(()) => Said::new("it ended by itself", "она завершилась сама"),
                    Err(error) => Said::new(format!("it broke: {error}"), format!("она сломалась: {error}")),
                }),
                () = broken(&mut status) => {
                    running.stop(Duration::ZERO).await;
                    break Some(Said::new("its account broke", "её аккаунт сломался"));
                }
                order = self.orders.recv() => match order {
                    Some(Order::Stop(grace)) => {
                        running.stop(grace).await;
                        break None;
                    }
                    None => {
                        running.stop(Duration::ZERO).await;
                        break None;
                    }
                    Some(order) => {
                        if running.orders.try_send(order).is_err() {
                            tracing::warn!("the line does not listen");
                        }
                    }
                },
            }
        };
        running.account.shutdown().await;
        problem
    }

    /// Waits before the line is tried again, for its port alone only until that is free; true when it is told to stop
    /// instead.
    async fn rest(&mut self, problem: Said, pause: Duration) -> bool {
        let reason = problem
            .within(|en| format!("the line does not run: {en}"), |ru| format!("линия не работает: {ru}"));
        tracing::error!(retry_s = pause.as_secs(), "{}", reason.in_language(tgtrunk_shell::language()));
        self.paint(&reason);
        let mut wanted = self.condition.subscribe();
        self.condition.send_replace(Condition::Failed(problem));
        let mut over = pin!(sleep(pause));
        let mut heartbeat = interval(HEARTBEAT);
        let local = SocketAddr::new(self.house.settings.gateway.sip_bind, self.settings.sip_port);
        let mut was_taken = false;
        loop {
            tokio::select! {
                order = self.orders.recv() => match order {
                    None | Some(Order::Stop(_)) => return true,
                    // Whoever asks a line that does not run has no answer.
                    Some(_) => {}
                },
                () = async { drop(wanted.wait_for(|condition| *condition == Condition::Opening).await) } => return false,
                () = &mut over => return false,
                _ = heartbeat.tick() => {
                    self.paint(&reason);
                    let is_free = is_free(local).await;
                    if was_taken && is_free {
                        return false;
                    }
                    was_taken = !is_free;
                }
            }
        }
    }

    /// Shows a line that is not at work.
    fn paint(&self, reason: &Said) {
        let now_ms = clock::unix_ms();
        let changed = self.status.send_if_modified(|status| {
            let telegram = status.telegram.turn(Lamp::Orange, reason.clone(), now_ms);
            let sip = status.sip.turn(Lamp::Orange, reason.clone(), now_ms);
            status.written_ms = now_ms;
            std::mem::take(&mut status.calls) != 0 || telegram || sip
        });
        if changed {
            self.house.events.send(Event::Line(self.status.borrow().clone())).ok();
        }
    }
}

impl Running {
    /// Ends the line after its calls; one that does not end is cut off.
    async fn stop(&mut self, grace: Duration) {
        let goodbye = async {
            self.orders.send(Order::Stop(grace)).await.ok();
            (&mut self.task).await.ok();
        };
        if timeout(grace + FAREWELL, goodbye).await.is_err() {
            tracing::warn!("the line did not end in time and was cut off");
            self.task.abort();
            (&mut self.task).await.ok();
        }
    }
}

/// Waits until a part of the account breaks, after which it hears and says nothing more.
async fn broken(status: &mut watch::Receiver<Status>) {
    let is_broken = |status: &Status| matches!(status, Status::Orange { reason: Orange::Broken });
    if status.wait_for(is_broken).await.is_err() {
        // Whoever ends the account, ends the line first.
        std::future::pending().await
    }
}

fn longer(pause: Duration) -> Duration {
    (pause * 2).min(LONGEST_PAUSE)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::lines::tests::{Room, phone};

    #[tokio::test]
    async fn a_line_that_broke_is_noticed_and_its_account_is_free_again() {
        let room = Room::new();
        let mut keeper = room.keeper();
        let (account, _notices) =
            account::open(&room.house.settings, &room.house.state, &phone()).await.unwrap();
        let (orders, _ordered) = mpsc::channel(1);
        let task = tokio::spawn(async { panic!("as a line may") });
        let problem = keeper.0.attend(Running { account, orders, task }).await.unwrap();
        assert!(problem.en.starts_with("it broke: ") && problem.en.contains("as a line may"), "{problem}");
        account::open(&room.house.settings, &room.house.state, &phone()).await.unwrap();
    }

    #[tokio::test]
    async fn a_line_that_does_not_end_is_cut_off_and_its_account_is_free_again() {
        let room = Room::new();
        let mut keeper = room.keeper();
        let (account, _notices) =
            account::open(&room.house.settings, &room.house.state, &phone()).await.unwrap();
        let (orders, _ordered) = mpsc::channel(1);
        let held = account.clone();
        let task = tokio::spawn(async move {
            std::future::pending::<()>().await;
            drop(held);
        });
        keeper.1.send(Order::Stop(Duration::ZERO)).await.unwrap();
        assert_eq!(keeper.0.attend(Running { account, orders, task }).await, None);
        account::open(&room.house.settings, &room.house.state, &phone()).await.unwrap();
    }

    #[tokio::test]
    async fn an_account_that_broke_is_noticed_and_one_that_only_waits_is_not() {
        let (turn, mut status) = watch::channel(Status::Orange { reason: Orange::Starting });
        assert!(timeout(Duration::from_millis(50), broken(&mut status)).await.is_err());
        turn.send_replace(Status::Orange { reason: Orange::Broken });
        timeout(Duration::from_secs(5), broken(&mut status)).await.expect("it is noticed");
        drop(turn);
        let (turn, mut status) = watch::channel(Status::Orange { reason: Orange::Stopped });
        drop(turn);
        assert!(timeout(Duration::from_millis(50), broken(&mut status)).await.is_err());
    }

    #[test]
    fn a_line_that_does_not_run_is_tried_ever_less_often_but_each_minute_at_least() {
        let pauses: Vec<u64> = std::iter::successors(Some(FIRST_PAUSE), |pause| Some(longer(*pause)))
            .take(6)
            .map(|pause| pause.as_secs())
            .collect();
        assert_eq!(pauses, [5, 10, 20, 40, 60, 60]);
    }

    #[tokio::test]
    async fn whoever_frees_the_port_of_a_line_waits_for_one_look_and_not_for_the_pause() {
        let room = Room::new();
        let taken = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let (mut keeper, _orders) = room.keeper();
        keeper.settings.sip_port = taken.local_addr().unwrap().port();
        let problem = || Said::new("the port is taken", "порт занят");
        let freed = async {
            sleep(Duration::from_millis(200)).await;
            drop(taken);
        };
        let rest = timeout(HEARTBEAT * 2, keeper.rest(problem(), LONGEST_PAUSE));
        let (rested, ()) = tokio::join!(rest, freed);
        assert_eq!(rested, Ok(false));
        // With a port that is free it fails for another reason.
        let rested = timeout(HEARTBEAT * 2, keeper.rest(problem(), LONGEST_PAUSE)).await;
        assert!(rested.is_err());
    }

    impl Room {
        fn keeper(&self) -> (Keeper, mpsc::Sender<Order>) {
            let text = format!("phone = {:?}\nsip_port = 30001\npbx = \"127.0.0.1\"\n", phone().as_str());
            let settings =
                LineSettings::parse(&text, Path::new("line.toml"), phone().as_str(), &Default::default())
                    .unwrap();
            let (orders, ordered) = mpsc::channel(1);
            let keeper = Keeper {
                house: self.house.clone(),
                settings,
                door: Arc::default(),
                orders: ordered,
                status: watch::Sender::new(GatewayStatus::waiting(phone(), 1, 1)),
                condition: watch::Sender::new(Condition::Opening),
            };
            (keeper, orders)
        }
    }
}
