//! T13: whoever guesses a line's password, brings a proof a second time, or asks for ours. Nobody gets in, ten guesses of an
//! address are answered and no more, and it cannot be told by the time whether the user or the password was wrong.

use std::net::{Ipv4Addr, SocketAddr};
use std::process;
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::chance::Chance;
use super::digest::Challenge;
use super::mouth::{Reply, stranger};
use super::rig::{AUTH_PASSWORD, AUTH_USER, DIGEST_PASSWORD, LIMIT, NOBODY, Rig, by_address, by_password};
use super::talks::Talk;
use super::{Plan, Tally};
use crate::clock::now;
use crate::light_user::Reason;
use crate::wire_pbx::Message;

/// Answered guesses of one address, and how many more are tried to see that they are not.
const ANSWERED: usize = 10;
const MORE: usize = 2;
/// Addresses that guess at the same time.
const AT_ONCE: usize = 12;
/// For so long nothing comes where nothing is to come.
const NEVER: Duration = Duration::from_millis(40);
/// How many of each kind are timed, how often, and what difference may be.
const TIMED: usize = 60;
const ROUNDS: usize = 5;
const SHARE: f64 = 0.1;
/// What no clock of a busy machine tells apart.
const BLUR: Duration = Duration::from_micros(30);
/// Guests who know the password.
const GUEST: u8 = 7;
const OVERHEARS: u8 = 8;

/// Guesses so often.
pub(super) async fn run(plan: Plan) -> anyhow::Result<Tally> {
    let mut rig = Rig::open(&[by_address, by_password]).await?;
    let line = rig.posts[1].line.sip;
    let mut tally = Tally::default();
    let mut chance = Chance::new(plan.seed);
    let began = now();
    let (mut answered, mut addresses) = (0_u64, 0_usize);
    let mut guessers = JoinSet::new();
    while tally.amount < plan.amount {
        while guessers.len() < AT_ONCE {
            addresses += 1;
            guessers.spawn(guess(line, address(addresses), Chance::new(chance.next())));
        }
        if let Some(guesser) = guessers.join_next().await {
            let Guessed { answered: more, complaints } = guesser??;
            answered += more;
            complaints.into_iter().for_each(|complaint| tally.fail(complaint));
            tally.amount += (ANSWERED + MORE) as u64;
        }
        if tally.amount * 2 >= plan.amount {
            rig.warmed()?;
        }
    }
    while let Some(guesser) = guessers.join_next().await {
        let Guessed { answered: more, complaints } = guesser??;
        answered += more;
        complaints.into_iter().for_each(|complaint| tally.fail(complaint));
        tally.amount += (ANSWERED + MORE) as u64;
    }
    let rate = tally.amount as f64 / (now() - began).as_secs_f64();
    tally.note(&format!(
        "{rate:.0} guesses a second from {addresses} addresses, {answered} answered, 0 right"
    ));
    let apart = time_tells_nothing(line, &mut tally).await?;
    tally.note(&format!("a wrong user and a wrong password {:.1} % apart in time", apart * 100.0));
    proofs_are_taken_once(line, &mut tally).await?;
    nothing_is_proven_to_others(&rig, &mut tally).await?;
    let calls = rig.gateway.control().await?.calls().await?;
    tally.hold(calls.is_empty(), || format!("calls came about: {calls:?}"));
    rig.close(&mut tally).await?;
    Ok(tally)
}

/// Many addresses of this machine, none of which another process has.
fn address(number: usize) -> Ipv4Addr {
    let process = (process::id() % 64) as u8;
    let [high, low] = ((number % 60_000 + 260) as u16).to_be_bytes();
    Ipv4Addr::new(127, 128 | process, high, low)
}

/// What came of guesses from one address.
struct Guessed {
    answered: u64,
    complaints: Vec<String>,
}

/// Guesses from one address until it is not answered any more.
async fn guess(line: SocketAddr, own: Ipv4Addr, mut chance: Chance) -> anyhow::Result<Guessed> {
    let socket = UdpSocket::bind((own, 0)).await?;
    let caller = Caller { socket, line };
    let mut guessed = Guessed { answered: 0, complaints: Vec::new() };
    let first = caller.calls(0, "", LIMIT).await;
    let Some(challenge) = first.as_ref().and_then(challenge) else {
        guessed.complaints.push(format!("{own}: a first call is not asked for a proof: {first:?}"));
        return Ok(guessed);
    };
    if challenge.algorithm != "SHA-256" {
        guessed.complaints.push(format!("{own}: asked for {} first", challenge.algorithm));
    }
    for number in 1..=ANSWERED + MORE {
        let user = if chance.one_in(2) { AUTH_USER } else { "admin" };
        let password = format!("{:x}", chance.next());
        let proof = challenge.proof(user, &password, "INVITE", &caller.uri(), number as u32);
        let patience = if number <= ANSWERED { LIMIT } else { NEVER };
        let status = caller.calls(number, &proof, patience).await.and_then(|reply| reply.status());
        guessed.answered += u64::from(status.is_some());
        if status != (number <= ANSWERED).then_some(401) {
            guessed.complaints.push(format!("{own}: guess {number} got {status:?}"));
        }
    }
    Ok(guessed)
}

/// How far apart in time a wrong user and a wrong password are, as a share.
async fn time_tells_nothing(line: SocketAddr, tally: &mut Tally) -> anyhow::Result<f64> {
    let (mut best, mut gap) = (f64::MAX, Duration::MAX);
    for round in 0..ROUNDS {
        let mut times = [Vec::new(), Vec::new()];
        for number in 0..TIMED {
            // Each address has ten guesses; these are of both kinds in turn.
            let own = address(50_000 + round * TIMED + number);
            let caller = Caller { socket: UdpSocket::bind((own, 0)).await?, line };
            let Some(challenge) = caller.calls(0, "", LIMIT).await.as_ref().and_then(challenge) else {
                continue;
            };
            for guess in 1..ANSWERED {
                let kind = (guess + number) % 2;
                let user = [AUTH_USER, "administrator"][kind];
                let proof = challenge.proof(user, "wrong", "INVITE", &caller.uri(), guess as u32);
                let began = now();
                caller.calls(guess, &proof, LIMIT).await;
                times[kind].push(now() - began);
            }
        }
        let [right, wrong] = times.map(|mut times| {
            times.sort();
            times.get(times.len() / 2).copied().unwrap_or_default()
        });
        gap = gap.min(right.abs_diff(wrong));
        best = best.min(right.abs_diff(wrong).as_secs_f64() / wrong.as_secs_f64().max(1e-9));
        if best <= SHARE {
            break;
        }
    }
    tally.hold(best <= SHARE || gap <= BLUR, || {
        format!("a wrong user and a wrong password are {:.0} % apart in time", best * 100.0)
    });
    Ok(best)
}

/// Who knows the password gets in once with a proof, and nobody else with the same.
async fn proofs_are_taken_once(line: SocketAddr, tally: &mut Tally) -> anyhow::Result<()> {
    let caller = Caller { socket: UdpSocket::bind((stranger(GUEST), 0)).await?, line };
    let thief = Caller { socket: UdpSocket::bind((stranger(OVERHEARS), 0)).await?, line };
    let first = caller.calls(0, "", LIMIT).await;
    let Some(challenge) = first.as_ref().and_then(challenge) else {
        tally.fail(format!("a first call is not asked for a proof: {first:?}"));
        return Ok(());
    };
    let proof = challenge.proof(AUTH_USER, AUTH_PASSWORD, "INVITE", &caller.uri(), 1);
    let status = |reply: Option<Reply>| reply.and_then(|reply| reply.status());
    let got = status(thief.calls(1, &proof, LIMIT).await);
    tally.hold(got == Some(401), || format!("an overheard proof from elsewhere got {got:?}"));
    let got = status(caller.calls(2, &proof, LIMIT).await);
    tally.hold(got.is_some_and(|status| status != 401 && status != 403), || {
        format!("a right proof got {got:?}")
    });
    for again in 3..23 {
        let got = status(caller.calls(again, &proof, LIMIT).await);
        tally.hold(got == Some(401), || format!("a proof that was used got {got:?}"));
    }
    Ok(())
}

/// A PBX that asks for a proof inside a call, in a realm that it never named outside one, gets none: whether it is who was called
/// or who calls, by a hash that is easy to guess at and by one that is not.
async fn nothing_is_proven_to_others(rig: &Rig, tally: &mut Tally) -> anyhow::Result<()> {
    // Odd numbers call from Telegram.
    for (person, algorithm) in [(901, "MD5"), (902, "MD5"), (903, "SHA-256"), (904, "SHA-256")] {
        nothing_is_proven_in(rig, person, algorithm, tally).await?;
    }
    Ok(())
}

async fn nothing_is_proven_in(
    rig: &Rig,
    person: usize,
    algorithm: &str,
    tally: &mut Tally,
) -> anyhow::Result<()> {
    let mut talk = Talk::begin(rig, 0, person).await?;
    talk.wire.challenge(&format!(
        "WWW-Authenticate: Digest realm=\"elsewhere{person}\", nonce=\"n\", algorithm={algorithm}, qop=\"auth\""
    ));
    sleep(Duration::from_millis(300)).await;
    talk.user.hang_up(talk.call, Reason::Hangup).await;
    talk.wire.request("BYE", LIMIT).await?;
    sleep(Duration::from_millis(500)).await;
    let seen = talk.wire.seen();
    let is_proof = |message: &&Message| {
        ["Authorization", "Proxy-Authorization"].iter().any(|name| message.header(name).is_some())
    };
    let proofs = seen.iter().filter(is_proof).count();
    tally.hold(proofs == 0, || {
        format!("call {person}: {proofs} proofs by {algorithm} in a realm that nobody knows")
    });
    let told = seen.iter().any(|message| format!("{message:?}").contains(DIGEST_PASSWORD));
    tally.hold(!told, || "the line tells its password".to_owned());
    Ok(())
}

/// The first challenge of an answer.
fn challenge(reply: &Reply) -> Option<Challenge> {
    Challenge::read(&reply.header("WWW-Authenticate")?)
}

/// Somebody who calls.
struct Caller {
    socket: UdpSocket,
    line: SocketAddr,
}

impl Caller {
    fn uri(&self) -> String {
        format!("sip:{NOBODY}@{}", self.line)
    }

    /// Calls with more headers; the first final answer to this call, or 100 where it is taken, if there is any.
    async fn calls(&self, number: usize, more: &str, patience: Duration) -> Option<Reply> {
        let (here, uri) = (self.socket.local_addr().ok()?, self.uri());
        let call_id = format!("g{number}-{here}");
        let sdp = format!(
            "v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio 9 RTP/AVP 107\r\n\
             a=rtpmap:107 opus/48000/2\r\na=ptime:20\r\na=sendrecv\r\n",
            ip = here.ip()
        );
        let invite = format!(
            "INVITE {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {here};rport;branch=z9hG4bKg{number}-{port}\r\nMax-Forwards: 70\r\n\
             From: <sip:100@{here}>;tag=g{number}\r\nTo: <{uri}>\r\nCall-ID: {call_id}\r\nCSeq: 1 INVITE\r\n\
             Contact: <sip:100@{here}>\r\n{more}Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{sdp}",
            sdp.len(),
            port = here.port()
        );
        self.socket.send_to(invite.as_bytes(), self.line).await.ok()?;
        let mut buffer = vec![0; 4096];
        let until = now() + patience;
        loop {
            let left = until.saturating_duration_since(now());
            let (length, _) = timeout(left, self.socket.recv_from(&mut buffer)).await.ok()?.ok()?;
            let reply = Reply { bytes: buffer[..length].to_vec() };
            if reply.header("Call-ID").or_else(|| reply.header("i")).as_deref() == Some(call_id.as_str()) {
                return Some(reply);
            }
        }
    }
}
