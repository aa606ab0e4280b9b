//! Telegram's clock and ours apart by hours and days: who steps makes no difference to the numbers of messages.
//!
//! All Telegrams of a program have one clock, so that these tests are one by one in a program of their own.

#![expect(clippy::unwrap_used, reason = "a test's way to fail")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tgtrunk_telegram::{Account, Database, Options, Policy, Status, tl};
use tgtrunk_test_telegram::seed::Seed;
use tgtrunk_test_telegram::{NewUser, TestTelegram, ahead};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep, timeout};

const PHONE: &str = "79001112233";
const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(24 * 3_600);
/// How soon the line is back after a step, and what it may send until then and for a while afterwards.
const BACK: Duration = Duration::from_secs(5);
const AFTERWARDS: Duration = Duration::from_secs(2);
const MOST_PACKETS: usize = 12;

#[tokio::test(flavor = "multi_thread")]
async fn whatever_clock_steps_the_next_answer_comes_soon_and_nothing_is_sent_again_and_again() {
    // Ours is two days behind from the first message on.
    ahead::set(2 * DAY);
    let telegram = TestTelegram::start(tgtrunk_test_telegram::Options::default()).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    telegram.write_dc_seed(folder.path(), 1).unwrap();
    telegram.world().add_user(NewUser::new(PHONE, "Anna")).unwrap();
    let seed = folder.path().join("dc-seed.json");
    let packets = count_packets(&telegram, &seed).await;

    let database = Database::open(folder.path().join("gateway.db")).await.unwrap();
    let mut options = Options::new(database, 12345, "0123456789abcdef0123456789abcdef");
    options.seed = Some(seed);
    options.ping_every = HOUR;
    let (account, _notices) = Account::open(options).await.unwrap();
    let login = account.login();
    login.send_code(PHONE).await.unwrap();
    login.enter_code(&telegram.world().pending_login_code(PHONE).unwrap()).await.unwrap();
    let mut status = account.status();
    let green = status.wait_for(|status| matches!(status, Status::Green { .. }));
    assert!(timeout(4 * BACK, green).await.is_ok(), "{:?}", *account.status().borrow());
    sleep(AFTERWARDS).await;

    let steps = [
        ("ours an hour ahead", 2 * DAY - HOUR),
        ("and back", 2 * DAY),
        ("ours an hour behind", 2 * DAY + HOUR),
        ("and back", 2 * DAY),
        ("ours a day ahead", DAY),
        ("and back", 2 * DAY),
        ("ours a day behind", 3 * DAY),
        ("ours 40 s ahead", 3 * DAY - Duration::from_secs(40)),
    ];
    for (step, is_ahead) in steps {
        let before = packets.load(Ordering::Relaxed);
        ahead::set(is_ahead);
        let began = Instant::now();
        let asked = tl::functions::users::GetUsers { id: vec![tl::enums::InputUser::UserSelf] };
        let answer = timeout(BACK, account.invoke(&asked, Policy::call())).await;
        let sent = || packets.load(Ordering::Relaxed) - before;
        assert!(matches!(answer, Ok(Ok(_))), "{step}: {answer:?} after {} packets", sent());
        let took = began.elapsed();
        sleep(AFTERWARDS).await;
        println!("{step}: answered in {} ms, {} packets", took.as_millis(), sent());
        assert!((1..=MOST_PACKETS).contains(&sent()), "{step}: {} packets", sent());
    }
    account.shutdown().await;
}

/// Stands before the account's data centre, and counts the packets that go there
/// (core.telegram.org/mtproto/mtproto-transports#full).
async fn count_packets(telegram: &TestTelegram, seed: &std::path::Path) -> Arc<AtomicUsize> {
    let packets = Arc::new(AtomicUsize::new(0));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut seeds: Seed = serde_json::from_str(&std::fs::read_to_string(seed).unwrap()).unwrap();
    let home = seeds.home_dc;
    for dc in seeds.dcs.iter_mut().filter(|dc| dc.id == home) {
        dc.address = listener.local_addr().unwrap().to_string();
    }
    std::fs::write(seed, serde_json::to_string(&seeds).unwrap()).unwrap();
    let server = telegram.address(home).unwrap();
    let counted = Arc::clone(&packets);
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(carry(client, server, Arc::clone(&counted)));
        }
    });
    packets
}

async fn carry(client: TcpStream, server: SocketAddr, packets: Arc<AtomicUsize>) -> std::io::Result<()> {
    let server = TcpStream::connect(server).await?;
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let back = tokio::spawn(async move { tokio::io::copy(&mut from_server, &mut to_client).await });
    loop {
        let mut packet = vec![0; 4];
        if from_client.read_exact(&mut packet).await.is_err() {
            break;
        }
        let length = u32::from_le_bytes(packet[..4].try_into().unwrap());
        packet.resize(length.try_into().unwrap(), 0);
        from_client.read_exact(&mut packet[4..]).await?;
        packets.fetch_add(1, Ordering::Relaxed);
        to_server.write_all(&packet).await?;
    }
    back.abort();
    Ok(())
}
