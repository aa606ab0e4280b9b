//! Calls to both sides: who is meant by a number or a name is looked up first.

use tgtrunk_config::control::{Answer, Refusal};
use tgtrunk_config::{Callee, Phone, UserId};
use tgtrunk_telegram::Person;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::{Done, LOGIN, Lines, Reply, THOUGHT, silent, unknown};
use crate::clock;
use crate::line::Order;

impl Lines {
    /// Has a line's PBX ring an extension, and then a person called.
    pub(super) fn join(
        &mut self,
        line: &Phone,
        extension: String,
        callee: Callee,
        key: Option<String>,
        reply: Reply,
    ) {
        // A call that was begun under this key is the answer, whoever may be looked up and called now.
        let placed = key.as_ref().and_then(|key| self.house.placed.find(clock::now(), line, key));
        if let Some(call) = placed {
            tracing::info!(%call, "a call to both sides was ordered again");
            return drop(reply.send(Ok(Answer::Call { call })));
        }
        let Some(kept) = self.kept.get(line) else { return drop(reply.send(Err(unknown(line)))) };
        let orders = kept.orders.clone();
        self.work.spawn(async move {
            match whom(&orders, callee).await {
                // Nobody's phone rings for whoever is gone; under a key it is asked for again.
                Ok(_) if key.is_none() && reply.is_closed() => {}
                Ok(person) => drop(reply.send(join(&orders, extension, person, key).await)),
                Err(refusal) => drop(reply.send(Err(refusal))),
            }
            Done::Told
        });
    }
}

async fn whom(orders: &mpsc::Sender<Order>, callee: Callee) -> Result<UserId, Refusal> {
    match callee {
        Callee::Id(id) => Ok(id),
        Callee::Phone(phone) => find(orders, Person::Phone(phone.to_string())).await,
        Callee::Username(name) => find(orders, Person::Username(name)).await,
    }
}

async fn join(
    orders: &mpsc::Sender<Order>,
    extension: String,
    person: UserId,
    key: Option<String>,
) -> Result<Answer, Refusal> {
    let (answer, mut asked) = oneshot::channel();
    orders.try_send(Order::Join { extension, person, key, answer }).map_err(|_| silent())?;
    let joined = match timeout(THOUGHT, &mut asked).await {
        Ok(joined) => joined.ok(),
        // What was answered at the last moment is the answer; what was not is not wanted any more.
        Err(_) => {
            asked.close();
            asked.try_recv().ok()
        }
    };
    joined.unwrap_or_else(|| Err(silent())).map(|call| Answer::Call { call })
}

async fn find(orders: &mpsc::Sender<Order>, person: Person) -> Result<UserId, Refusal> {
    let (answer, asked) = oneshot::channel();
    orders.try_send(Order::Find(person, answer)).map_err(|_| silent())?;
    timeout(LOGIN, asked).await.ok().and_then(Result::ok).unwrap_or_else(|| Err(silent()))
}
