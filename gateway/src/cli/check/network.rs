//! The way to Telegram: names, data centres over TCP, UDP, and the time that they have there.

use std::net::SocketAddr;
use std::time::Duration;

use tgtrunk_config::{Gateway, Line, Proxy as ProxySettings, Said, StateDir, Trouble};
use tgtrunk_telegram::data_centres;
use tokio::net::{UdpSocket, lookup_host};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::files::line_topic;
use super::finding::Findings;
use crate::net::Proxy;
use crate::wall::ahead;

/// How long a name server may take.
const LIMIT: Duration = Duration::from_secs(5);

/// Asks the data centres, and compares the clock with theirs.
pub(super) async fn look(found: &mut Findings, state: &StateDir, proxy: Option<ProxySettings>) {
    let topic = || Said::new("Telegram", "Telegram");
    if let Some(proxy) = &proxy {
        found.warning(
            topic(),
            Said::new(
                format!(
                    "telegram.proxy = {proxy}: audio goes through it too, by Telegram's TCP relays alone; direct UDP is off"
                ),
                format!(
                    "telegram.proxy = {proxy}: звук тоже идёт через него, только TCP-ретрансляторами Telegram; прямой UDP выключен"
                ),
            ),
        );
    }
    let centres = match data_centres(&state.dc_seed()) {
        Ok(centres) => centres,
        Err(error) => return found.fault(topic(), Said::from(&error.to_string())),
    };
    let mut asked = JoinSet::new();
    for (id, address) in centres.clone() {
        let proxy = proxy.clone().map(Proxy::new);
        asked.spawn(async move { (id, address, ahead(address, proxy.as_ref()).await) });
    }
    let mut answers = asked.join_all().await;
    answers.sort_by_key(|(id, ..)| *id);
    let reached = answers.iter().filter(|(.., answer)| answer.is_ok()).count();
    for (id, address, answer) in &answers {
        match answer {
            Ok((_, took)) => {
                let ms = took.as_millis();
                found.well(
                    topic(),
                    Said::new(
                        format!("data centre {id} answers in {ms} ms"),
                        format!("центр данных {id} ответил за {ms} мс"),
                    ),
                );
            }
            Err(why) => {
                let said = Said::new(
                    format!(
                        "data centre {id} at {address} is not reached: {why}; let this machine out to it over TCP"
                    ),
                    format!(
                        "центр данных {id} ({address}) недоступен: {why}; выпустите эту машину туда по TCP"
                    ),
                );
                if reached == 0 { found.fault(topic(), said) } else { found.warning(topic(), said) }
            }
        }
    }
    let ahead_s = answers.iter().filter_map(|(.., answer)| answer.as_ref().ok().map(|(ahead_s, _)| *ahead_s));
    look_at_clock(found, ahead_s.collect());
    if let (None, Some((_, address))) = (&proxy, centres.first()) {
        look_at_udp(found, *address).await;
    }
}

fn look_at_clock(found: &mut Findings, mut ahead_s: Vec<i64>) {
    let topic = Said::new("clock", "часы");
    ahead_s.sort_unstable();
    let Some(ahead_s) = ahead_s.get(ahead_s.len() / 2) else {
        return found.warning(
            topic,
            Said::new("not compared: no data centre answers", "не сверены: ни один центр данных не ответил"),
        );
    };
    match Trouble::of_clock(*ahead_s) {
        Some(trouble) => found.fault(topic, trouble),
        None => found.well(
            topic,
            Said::new(
                format!("within {} s of Telegram's", ahead_s.unsigned_abs() + 1),
                format!("отличаются от часов Telegram не больше чем на {} с", ahead_s.unsigned_abs() + 1),
            ),
        ),
    }
}

/// A datagram that this machine lets out; whether audio comes back only a call shows.
async fn look_at_udp(found: &mut Findings, address: SocketAddr) {
    let topic = Said::new("UDP", "UDP");
    let sent = async {
        let socket = UdpSocket::bind(if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" }).await?;
        socket.connect(address).await?;
        socket.send(&[0]).await
    };
    match sent.await {
        Ok(_) => found.well(
            topic,
            Said::new("this machine lets audio out", "эта машина выпускает звук наружу"),
        ),
        Err(error) => found.warning(
            topic,
            Said::new(
                format!("audio is not let out ({error}): let UDP out, or calls go over TCP relays and sound worse"),
                format!("звук не выпускается ({error}): разрешите исходящий UDP, иначе звонки идут через TCP и звучат хуже"),
            ),
        ),
    }
}

/// Looks names up: those of PBXs, and the Bot API's.
pub(super) async fn look_up(found: &mut Findings, lines: &[Line], gateway: &Gateway, bot_api: &str) {
    let topic = || Said::new("names", "имена");
    let host = bot_api.split_once("://").map_or(bot_api, |(_, rest)| rest);
    let host = host.split(['/', '?']).next().unwrap_or_default();
    let host = host.rsplit_once(':').map_or(host, |(name, _)| name);
    if let Err(why) = resolve(host).await {
        found.warning(
            topic(),
            Said::new(
                format!("{host} is not found ({why}): bots do not work; see the name servers in /etc/resolv.conf"),
                format!("имя {host} не находится ({why}): боты не работают; проверьте серверы имён в /etc/resolv.conf"),
            ),
        );
    } else {
        found.well(topic(), Said::new(format!("{host} is found"), format!("имя {host} находится")));
    }
    for line in lines.iter().filter(|line| line.enabled) {
        if let Err(why) = crate::line::find_pbx(line, gateway).await {
            found.fault(line_topic(line), why);
        }
    }
}

async fn resolve(host: &str) -> Result<(), String> {
    match timeout(LIMIT, lookup_host((host.trim_matches(['[', ']']), 0))).await {
        Ok(Ok(mut found)) => found.next().map(drop).ok_or_else(|| "no address".to_owned()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no answer in {} s", LIMIT.as_secs())),
    }
}
