//! The link with Telegram: requests go out on one connection to each data centre that is asked, and updates come in.
//!
//! Messages are numbered by Telegram's time, which goes on by a clock that nobody sets: the machine's may step by hours
//! and no message is refused for it. What is refused goes out again, a few times at most. A connection is made when
//! somebody asks and there is none; all that waits on one fails when it is lost, and whoever asked decides about asking again.
//! The framing, the steps to a new key and the ciphers are the library's.

mod connection;
mod conversation;
mod dial;
mod error;
mod exchange;
mod gzip;
mod lane;
mod news;
mod packet;
mod salts;
mod time;
mod wire;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::panic;
use std::sync::Arc;

use grammers_session::updates::UpdatesLike;
use grammers_tl_types::{Deserializable as _, RemoteCall};
use tgtrunk_config::Proxy;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

pub use self::dial::through;
pub(crate) use self::error::{LinkError, RpcError};
use self::lane::Lane;
pub(crate) use self::time::TelegramTime;
use crate::session::StoredSession;

/// Orders that are not looked at yet.
const ORDERS: usize = 256;

/// Who waits for an answer.
type Asker = oneshot::Sender<Result<Vec<u8>, LinkError>>;

/// What we tell Telegram about ourselves, and how we reach it.
pub(crate) struct Hello {
    pub(crate) api_id: i32,
    pub(crate) device_model: String,
    pub(crate) system_version: String,
    pub(crate) app_version: String,
    pub(crate) lang_code: String,
    pub(crate) proxy: Option<Proxy>,
}

struct Request {
    body: Vec<u8>,
    answer: Asker,
}

enum Order {
    Ask { dc: i32, request: Request },
    GiveUp { dc: i32 },
}

/// A way to ask.
#[derive(Clone)]
pub(crate) struct Link(mpsc::Sender<Order>);

/// What carries out what is asked, while it runs.
pub(crate) struct Runner {
    means: Arc<Means>,
    orders: mpsc::Receiver<Order>,
    tee: mpsc::Sender<UpdatesLike>,
}

/// What connections take to come about.
struct Means {
    session: Arc<StoredSession>,
    time: Arc<TelegramTime>,
    hello: Hello,
}

/// A link that works while the runner runs, and the updates that come on it.
pub(crate) fn open(
    session: Arc<StoredSession>,
    time: Arc<TelegramTime>,
    hello: Hello,
    updates: usize,
) -> (Link, Runner, mpsc::Receiver<UpdatesLike>) {
    let (order, orders) = mpsc::channel(ORDERS);
    let (tee, news) = mpsc::channel(updates);
    let means = Arc::new(Means { session, time, hello });
    (Link(order), Runner { means, orders, tee }, news)
}

impl Link {
    /// Asks a data centre.
    pub(crate) async fn ask<R: RemoteCall>(&self, dc: i32, request: &R) -> Result<R::Return, LinkError> {
        let answer = self.ask_raw(dc, request.to_bytes()).await?;
        Ok(R::Return::from_bytes(&answer)?)
    }

    /// The same, in bytes.
    pub(crate) async fn ask_raw(&self, dc: i32, body: Vec<u8>) -> Result<Vec<u8>, LinkError> {
        let (answer, told) = oneshot::channel();
        let gone = || LinkError::Gone("the connection was given up");
        let order = Order::Ask { dc, request: Request { body, answer } };
        self.0.send(order).await.map_err(|_| gone())?;
        told.await.map_err(|_| gone())?
    }

    /// Gives up the connection to a data centre, or the attempt at one; what waits for it fails.
    pub(crate) fn give_up(&self, dc: i32) {
        // Orders are looked at at once: it is full when nothing looks at them any more.
        let _ = self.0.try_send(Order::GiveUp { dc });
    }
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Link")
    }
}

impl Runner {
    /// Runs until nobody can ask any more.
    pub(crate) async fn run(mut self) {
        let mut lanes = BTreeMap::<i32, Lane>::new();
        let mut running = JoinSet::new();
        loop {
            tokio::select! {
                biased;
                Some(ended) = running.join_next() => {
                    if let Err(error) = ended
                        && let Ok(reason) = error.try_into_panic()
                    {
                        panic::resume_unwind(reason);
                    }
                }
                order = self.orders.recv() => match order {
                    None => return,
                    Some(Order::GiveUp { dc }) => {
                        if let Some(lane) = lanes.get(&dc) {
                            lane.give_up();
                        }
                    }
                    Some(Order::Ask { dc, request }) => {
                        let lane = match lanes.entry(dc) {
                            Entry::Occupied(lane) => lane.into_mut(),
                            Entry::Vacant(place) => {
                                let (lane, run) = Lane::to(dc, Arc::clone(&self.means), self.tee.clone());
                                running.spawn(run);
                                place.insert(lane)
                            }
                        };
                        lane.ask(request);
                    }
                },
            }
        }
    }
}
