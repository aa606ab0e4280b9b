//! Calls to both sides: who is meant by a number or a name is looked up first.

use tgtrunk_config::control::{Answer, Refusal};
use tgtrunk_config::{Callee, Phone, UserId};
use tgtrunk_telegram::Person;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::{Done, LOGIN, Lines, Reply, THOUGHT, silent, unknown};
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
        let Some(kept) = self.kept.get(line) else { return drop(reply.send(Err(unknown(line)))) };
        let orders = kept.orders.clone();
        self.work.spawn(async move {
            reply.send(join(orders, extension, callee, key).await).ok();
            Done::Told
        });
    }
}

async fn join(
    orders: mpsc::Sender<Order>,
    extension: String,
    callee: Callee,
    key: Option<String>,
) -> Result<Answer, Refusal> {
    let person = match callee {
        Callee::Id(id) => id,
        Callee::Phone(phone) => find(&orders, Person::Phone(phone.to_string())).await?,
        Callee::Username(name) => find(&orders, Person::Username(name)).await?,
    };
    let (answer, asked) = oneshot::channel();
    orders.try_send(Order::Join { extension, person, key, answer }).map_err(|_| silent())?;
    let joined = timeout(THOUGHT, asked).await.ok().and_then(Result::ok);
    joined.unwrap_or_else(|| Err(silent())).map(|call| Answer::Call { call })
}

async fn find(orders: &mpsc::Sender<Order>, person: Person) -> Result<UserId, Refusal> {
    let (answer, asked) = oneshot::channel();
    orders.try_send(Order::Find(person, answer)).map_err(|_| silent())?;
    timeout(LOGIN, asked).await.ok().and_then(Result::ok).unwrap_or_else(|| Err(silent()))
}
