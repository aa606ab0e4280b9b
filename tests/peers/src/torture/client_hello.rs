//! T8: ClientHellos from addresses that ICE has not validated, with ciphers that nobody has and in fragments, at every port
//! while calls are set up: each call comes about all the same.

use std::time::Duration;

use super::chance::Chance;
use super::rig::{Rig, by_address};
use super::talks::{Talk, end_all};
use super::thrower::Thrower;
use super::{Plan, Tally};
use crate::clock::now;

/// At each port in a second.
const PER_SECOND: u32 = 1_000;
/// Calls that are up at once: whoever is set up hears it beside those that talk.
const AT_ONCE: usize = 5;

/// Sets up so many calls under it.
pub(super) async fn run(plan: Plan) -> anyhow::Result<Tally> {
    let mut rig = Rig::open(&[by_address]).await?;
    let mut tally = Tally::default();
    let mut chance = Chance::new(plan.seed);
    let spared = vec![rig.posts[0].line.sip];
    let missile = Box::new(move |_, number| hello(&mut chance, number));
    let thrower = Thrower::begin(rig.pid, spared, PER_SECOND, missile).await?;
    let (mut slowest, mut talks) = (Duration::ZERO, Vec::new());
    for number in 1..=usize::try_from(plan.amount)? {
        let began = now();
        match Talk::begin(&rig, 0, number).await {
            Ok(mut talk) => {
                talk.listen();
                talks.push(talk);
            }
            Err(error) => tally.fail(format!("call {number} does not come about: {error:#}")),
        }
        slowest = slowest.max(now() - began);
        tally.amount += 1;
        if talks.len() >= AT_ONCE || tally.amount == plan.amount {
            tokio::time::sleep(Duration::from_millis(500)).await;
            talks.iter().for_each(|talk| talk.judge(&mut tally, "under ClientHellos"));
            end_all(std::mem::take(&mut talks)).await?;
        }
        if tally.amount == plan.amount / 2 {
            rig.warmed()?;
        }
    }
    let (thrown, at, _) = thrower.thrown(&[]);
    let came = thrower.came();
    tally.hold(came == 0, || format!("{came} datagrams came to strangers"));
    tally.note(&format!(
        "{thrown} ClientHellos at {at} ports; the slowest call came about in {} ms",
        slowest.as_millis()
    ));
    drop(thrower);
    tally.inputs = thrown;
    rig.close(&mut tally).await?;
    Ok(tally)
}

/// A ClientHello (RFC 6347 section 4.2), whole or a fragment, right or with something that nobody has.
fn hello(chance: &mut Chance, number: u64) -> Vec<u8> {
    let choice: [&[u16]; 5] = [&[0x0000], &[0xc02b, 0xc02c], &[0x1301], &[0xffff; 64], &[]];
    let ciphers = choice[chance.below(choice.len())];
    let ciphers: Vec<u8> = ciphers.iter().flat_map(|cipher| cipher.to_be_bytes()).collect();
    // use_srtp with profiles of RFC 5764 and RFC 7714.
    let extensions = [0, 14, 0, 9, 0, 6, 0, 1, 0, 7, 0, 8, 0];
    let mut body = vec![0xfe, 0xfd];
    body.extend(chance.bytes(32));
    body.extend([0, 0]);
    body.extend((ciphers.len() as u16).to_be_bytes());
    body.extend(&ciphers);
    body.extend([1, 0]);
    body.extend((extensions.len() as u16).to_be_bytes());
    body.extend(extensions);
    let whole = body.len() as u32;
    let (from, to) = match chance.below(4) {
        0 => (0, body.len() / 2),
        1 => (body.len() / 2, body.len()),
        2 => (chance.below(body.len()), body.len()),
        _ => (0, body.len()),
    };
    let told = if chance.one_in(8) { 0xff_ffff } else { whole };
    let mut handshake = vec![1];
    handshake.extend(&told.to_be_bytes()[1..]);
    handshake.extend((number as u16 % 2).to_be_bytes());
    handshake.extend(&(from as u32).to_be_bytes()[1..]);
    handshake.extend(&((to - from) as u32).to_be_bytes()[1..]);
    handshake.extend(&body[from..to]);
    let mut record = vec![22, 0xfe, *chance.pick(&[0xfd, 0xff]), 0, 0];
    record.extend(&number.to_be_bytes()[2..]);
    record.extend((handshake.len() as u16).to_be_bytes());
    record.extend(handshake);
    record
}
