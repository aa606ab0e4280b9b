//! The programs as they run: their lamps; and where they do not, whether they could.

use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::time::Duration;

use tgtrunk_config::control::{Answer, Ask, StatusReport};
use tgtrunk_config::{Gateway, Lamp, Light, Line, PortRange, Said, StateDir, Trouble};
use tgtrunk_shell::asking;
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

use super::files::line_topic;
use super::finding::{Findings, Verdict};
use crate::line::Probe;

/// How long a program may take to answer.
const LIMIT: Duration = Duration::from_secs(3);
/// Ports that a call takes; fewer free ones than for this many calls are told.
const PORTS_PER_CALL: usize = 2;
const FEW_CALLS: usize = 10;

/// Asks the programs; gives what the gateway says, if it runs.
pub(super) async fn look(found: &mut Findings, state: &StateDir, lines: &[Line]) -> Option<StatusReport> {
    let report = match timeout(LIMIT, asking::ask(&state.gateway_socket(), Ask::Status)).await {
        Ok(Ok(Answer::Status(report))) => Some(report),
        _ => None,
    };
    for (name, socket) in [
        ("tgtrunk-gateway", state.gateway_socket()),
        ("tgtrunk-client", state.client_socket()),
        ("tgtrunk-bot", state.bot_socket()),
    ] {
        let topic = Said::new(name, name);
        if UnixStream::connect(&socket).await.is_ok() {
            found.well(topic, Said::new("runs", "работает"));
        } else {
            found.warning(
                topic,
                Said::new(
                    format!("does not run: systemctl start {name}, or {name} run"),
                    format!("не работает: systemctl start {name} или {name} run"),
                ),
            );
        }
    }
    match &report {
        Some(report) => tell(found, report),
        None => {
            for line in lines.iter().filter(|line| line.enabled && !state.gateway_db(&line.phone).exists()) {
                found.fault(
                    line_topic(line),
                    Said::new(
                        format!("no login yet: on the page, or tgtrunk-gateway login {}", line.phone),
                        format!("входа ещё не было: на странице или tgtrunk-gateway login {}", line.phone),
                    ),
                );
            }
        }
    }
    report
}

fn tell(found: &mut Findings, report: &StatusReport) {
    for problem in &report.problems {
        found.fault(Said::new("gateway", "шлюз"), problem.clone());
    }
    for line in &report.lines {
        let phone = line.status.line.to_string();
        let topic = Said::new(phone.clone(), phone);
        for (what, what_ru, light) in
            [("Telegram session", "сессия Telegram", &line.status.telegram), ("PBX", "АТС", &line.status.sip)]
        {
            let Light { lamp, reason, .. } = light;
            let ru = if light.reason_ru.is_empty() { reason } else { &light.reason_ru };
            let (en, ru) = match lamp {
                Lamp::Green => (format!("{what} is well"), format!("{what_ru}: в порядке")),
                Lamp::Red | Lamp::Orange | Lamp::Off => {
                    (format!("{what}: {reason}"), format!("{what_ru}: {ru}"))
                }
            };
            let verdict = match lamp {
                Lamp::Green => Verdict::Ok,
                Lamp::Off => Verdict::Ok,
                Lamp::Orange => Verdict::Warning,
                Lamp::Red => Verdict::Fault,
            };
            found.note(verdict, topic.clone(), Said::new(en, ru));
        }
    }
}

/// Whether the ports could be opened, and whether PBXs answer. A gateway that runs has its lines' ports itself.
pub(super) async fn look_at_ports(
    found: &mut Findings,
    gateway: &Gateway,
    state: &StateDir,
    lines: &[Line],
    runs: bool,
) {
    for line in lines.iter().filter(|line| line.enabled && !runs) {
        match Probe::open(gateway, state, line).await {
            Ok(probe) => look_at_pbx(found, line, gateway, &probe).await,
            Err(said) => found.fault(line_topic(line), said),
        }
    }
    let PortRange { first, last } = gateway.rtp_ports;
    let free = (first..=last).filter(|port| UdpSocket::bind((gateway.sip_bind, *port)).is_ok()).count();
    let topic = Said::new("audio ports", "порты звука");
    let all = gateway.rtp_ports.count();
    if free < PORTS_PER_CALL * FEW_CALLS.min(all / PORTS_PER_CALL) {
        found.warning(
            topic,
            Said::new(
                format!("only {free} of {first}-{last} are free: choose another range in gateway.rtp_ports"),
                format!(
                    "из {first}-{last} свободны только {free}: выберите другой диапазон в gateway.rtp_ports"
                ),
            ),
        );
    } else {
        found.well(
            topic,
            Said::new(
                format!("{free} of {first}-{last} are free"),
                format!("из {first}-{last} свободны {free}"),
            ),
        );
    }
}

/// Whether the client has the page's port, or could have it.
pub(super) async fn look_at_page(found: &mut Findings, listen: Option<SocketAddr>, state: &StateDir) {
    let topic = Said::new("page", "страница");
    let Some(address) = listen else {
        return found.well(topic, Said::new("switched off", "выключена"));
    };
    let here = Said::new(format!("http://{address}"), format!("http://{address}"));
    let runs = UnixStream::connect(state.client_socket()).await.is_ok();
    let answers = TcpStream::connect(address).await.is_ok();
    match TcpListener::bind(address) {
        Ok(_) if runs => found.warning(
            topic,
            Said::new(
                format!("the client runs and does not serve {address}: see its log"),
                format!("клиент работает, но не отвечает на {address}: посмотрите его журнал"),
            ),
        ),
        Ok(_) => found.well(topic, here),
        Err(_) if runs && answers => found.well(topic, here),
        Err(error) => {
            let said = Trouble::of_port(&error, address, "[page] listen in tgtrunk.toml");
            found.fault(topic, said.map_or_else(|| Said::from(&format!("{address}: {error}")), Said::from));
        }
    }
}

/// Asks the PBX whether it is there, by the line's own transport.
async fn look_at_pbx(found: &mut Findings, line: &Line, gateway: &Gateway, probe: &Probe) {
    // That its name is not found is told with the other names.
    let Ok(pbx) = crate::line::find_pbx(line, gateway).await else { return };
    match probe.ask(pbx).await {
        Ok(()) => found.well(
            line_topic(line),
            Said::new(format!("PBX {} answers", line.pbx), format!("АТС {} отвечает", line.pbx)),
        ),
        Err(why) => {
            let local = SocketAddr::new(gateway.sip_bind, line.sip_port);
            found.warning(
                line_topic(line),
                Said::new(
                    format!(
                        "PBX {} does not answer ({}): add {local} to it as a provider by IP",
                        line.pbx, why.en
                    ),
                    format!(
                        "АТС {} не отвечает ({}): добавьте в неё {local} провайдером по IP",
                        line.pbx, why.ru
                    ),
                ),
            );
        }
    }
}
