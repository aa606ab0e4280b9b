//! The tests' bad network itself, and the TURN server behind it: what it is told to do to packets, and nothing else.

#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tgtrunk_test_telegram::bad_path::Treatment;
use tgtrunk_tests::bad_network::{BadNetwork, Way, touches};
use tgtrunk_tests::checksum;
use tgtrunk_tests::coturn::Coturn;
use tgtrunk_tests::netns::{End, Namespace};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, UdpSocket};
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

/// Sends back what it gets, on UDP and, from the other end on, over TCP.
const ECHO: &str = r#"
import socket, sys, threading
address = (sys.argv[1], 7)
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); udp.bind(address)
def stream():
    peer = socket.create_connection((sys.argv[2], int(sys.argv[3])))
    while data := peer.recv(65536): peer.sendall(data)
threading.Thread(target=stream, daemon=True).start()
while True:
    data, source = udp.recvfrom(2048)
    udp.sendto(data, source)
"#;
const LIMIT: Duration = Duration::from_secs(20);

struct Echo {
    _child: Child,
    socket: UdpSocket,
    listener: TcpListener,
}

async fn echo(namespace: &Namespace) -> Echo {
    let listener = TcpListener::bind((namespace.host_address(), 0)).await.unwrap();
    let ours = listener.local_addr().unwrap();
    let mut command = namespace.command("python3");
    command.args(["-c", ECHO, &namespace.inside_address().to_string()]);
    command.args([ours.ip().to_string(), ours.port().to_string()]);
    let child = Command::from(command).kill_on_drop(true).spawn().unwrap();
    let socket = UdpSocket::bind((namespace.host_address(), 0)).await.unwrap();
    socket.connect((namespace.inside_address(), 7)).await.unwrap();
    let echo = Echo { _child: child, socket, listener };
    let began = Instant::now();
    while echo.back(1, Duration::from_millis(100)).await.is_empty() {
        assert!(began.elapsed() < LIMIT, "the echo does not start");
    }
    echo
}

impl Echo {
    /// Sends numbered packets 5 ms apart and gathers the numbers that come back.
    async fn back(&self, count: u32, patience: Duration) -> Vec<u32> {
        let mut came = Vec::new();
        let mut buffer = [0; 2048];
        for number in 0..count {
            // Refused as long as nobody listens.
            self.socket.send(&[&number.to_be_bytes()[..], &[7; 200]].concat()).await.ok();
            let next = Instant::now() + Duration::from_millis(5);
            let wait = if number + 1 == count { patience } else { next - Instant::now() };
            while let Ok(Ok(length)) = timeout(wait, self.socket.recv(&mut buffer)).await {
                assert_eq!(length, 204);
                came.push(u32::from_be_bytes(*buffer.first_chunk().unwrap()));
            }
        }
        came
    }
}

#[tokio::test]
async fn packets_are_lost_repeated_and_reordered_as_told_and_streams_come_through_whole() {
    let network = BadNetwork::new(5).unwrap();
    let echo = echo(network.namespace()).await;
    let patience = Duration::from_millis(400);
    assert_eq!(echo.back(200, patience).await, (0..200).collect::<Vec<_>>());

    network.concern(|flow| flow.protocol == checksum::UDP);
    let before = network.passage(Way::ToInside);
    network.treat(Way::ToInside, Treatment { loss: 0.1, ..Treatment::default() });
    let came = echo.back(500, patience).await;
    let after = network.passage(Way::ToInside);
    assert_eq!(after.taken - before.taken, 500);
    assert_eq!(came.len() as u64, 500 - (after.lost - before.lost), "what was lost and nothing more");
    assert!((30..=75).contains(&(after.lost - before.lost)), "{after:?}");

    network.mend();
    network.treat(Way::ToHost, Treatment { duplicates: 0.1, reorder: 0.1, ..Treatment::default() });
    let came = echo.back(300, patience).await;
    let passage = network.passage(Way::ToHost);
    assert!(passage.repeated > 10 && passage.held_back > 10, "{passage:?}");
    assert_eq!(came.len() as u64, 300 + passage.repeated);
    assert!(came.windows(2).filter(|pair| pair[1] < pair[0]).count() > 10);

    // TCP is whole, and more of it than fits into one frame at once; lost frames come again.
    network.concern(|_| true);
    network.treat_both(Treatment { loss: 0.05, ..Treatment::default() });
    let (mut stream, _) = timeout(LIMIT, echo.listener.accept()).await.unwrap().unwrap();
    let sent: Vec<u8> = (0..300_000_u32).map(|at| (at * 7 % 251) as u8).collect();
    let mut got = vec![0; sent.len()];
    let (mut reader, mut writer) = stream.split();
    let carried = async { tokio::join!(writer.write_all(&sent), reader.read_exact(&mut got)) };
    timeout(LIMIT, carried).await.unwrap().1.unwrap();
    assert!(got == sent);
    assert_eq!(network.refused(), 0);
}

#[tokio::test]
async fn delay_and_jitter_are_as_told_and_a_cut_lasts_until_it_is_mended() {
    let network = BadNetwork::new(6).unwrap();
    let echo = echo(network.namespace()).await;
    network.treat_both(Treatment { delay_ms: 40, jitter_ms: 20, ..Treatment::default() });
    let mut late = Vec::new();
    for _ in 0..20 {
        let began = Instant::now();
        assert_eq!(echo.back(1, Duration::from_millis(121)).await, [0]);
        late.push(began.elapsed());
    }
    assert!(late.iter().all(|late| *late >= Duration::from_millis(80)), "{late:?}");

    network.cut();
    assert_eq!(echo.back(10, Duration::from_millis(200)).await, [0_u32; 0]);
    network.mend();
    assert_eq!(echo.back(10, Duration::from_millis(200)).await.len(), 10);

    let other = network.namespace().further_addresses()[0];
    network.concern(move |flow| touches(flow, other));
    network.cut();
    assert_eq!(echo.back(10, Duration::from_millis(200)).await.len(), 10, "the cut is for another address");
}

#[tokio::test]
async fn an_address_may_go_while_another_stays() {
    let namespace = Namespace::new().unwrap();
    let [first, ..] = namespace.further_addresses();
    let echo = echo(&namespace).await;
    namespace.add_address(End::Host, first).unwrap();
    let second = UdpSocket::bind((first, 0)).await.unwrap();
    second.connect((namespace.inside_address(), 7)).await.unwrap();
    namespace.remove_address(End::Host, namespace.host_address()).unwrap();
    assert_eq!(echo.back(5, Duration::from_millis(200)).await, [0_u32; 0]);
    second.send(b"still here").await.unwrap();
    let mut buffer = [0; 64];
    let length = timeout(LIMIT, second.recv(&mut buffer)).await.unwrap().unwrap();
    assert_eq!(&buffer[..length], b"still here");
}

#[tokio::test]
async fn a_turn_server_behind_the_cable_answers_on_udp_and_listens_on_tcp() {
    let network = BadNetwork::new(7).unwrap();
    let address = SocketAddr::from((network.namespace().inside_address(), 3478));
    let server = Coturn::start(Some(network.namespace()), address).await.unwrap();
    let socket = UdpSocket::bind((network.namespace().host_address(), 0)).await.unwrap();
    socket.connect(address).await.unwrap();
    // An Allocate request without credentials (RFC 8656 section 7.1).
    let request = [
        0, 3, 0, 8, 0x21, 0x12, 0xa4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 0, 0x19, 0, 4, 17, 0, 0, 0,
    ];
    socket.send(&request).await.unwrap();
    let mut answer = [0; 512];
    let length = timeout(LIMIT, socket.recv(&mut answer)).await.unwrap().unwrap();
    assert_eq!((answer[..2].to_vec(), length > 20), (vec![1, 0x13], true), "401, with a realm");
    let stream = tokio::net::TcpStream::connect(address).await.unwrap();
    while server.seen().streams == 0 {
        sleep(Duration::from_millis(20)).await;
    }
    drop(stream);
    assert_eq!(server.seen().allocations, 0);
    assert!(server.relays_on((address.ip(), 40_000).into()) && !server.relays_on(address));
}
