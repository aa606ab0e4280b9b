//! Where the PBX is: its names looked up by SRV, A and AAAA records, and again when these end (RFC 3263, RFC 2782).
//!
//! NAPTR records are not asked for: which transport a line takes is a setting.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, LookupIpStrategy, NameServerConfig, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::RData;
use tgtrunk_config::{Gateway, Line, Pbx, PbxAddress, Said};
use tgtrunk_sip::Transport;
use tokio::sync::{Notify, mpsc};
use tokio::time::{sleep, timeout};

use crate::{clock, rules};

/// How long one question to a name server may take.
const QUESTION_LIMIT: Duration = Duration::from_secs(2);
/// How long a lookup may take in all.
const LOOKUP_LIMIT: Duration = Duration::from_secs(8);
/// Shortest and longest time between two lookups, whatever records say.
const PAUSES: [Duration; 2] = [Duration::from_secs(30), Duration::from_secs(3_600)];
/// Shortest time between two lookups when the PBX does not answer.
const HURRY: Duration = Duration::from_secs(5);
/// What is assumed where the system's own resolver tells no time.
const UNTOLD: Duration = Duration::from_secs(300);

/// What a line knows of its PBX's place.
pub(super) struct Route {
    pbx: Pbx,
    transport: Transport,
    /// The line's own address, whose family its PBX has to share.
    local: IpAddr,
    resolver: Option<TokioResolver>,
}

/// Where a PBX is for the moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Places {
    pub(super) first: SocketAddr,
    pub(super) others: Vec<SocketAddr>,
}

/// Lookups that go on as long as somebody waits for them.
pub(super) struct Lookups {
    found: mpsc::Receiver<Places>,
    hurry: Arc<Notify>,
}

/// An SRV record (RFC 2782).
#[derive(Debug, Clone, PartialEq, Eq)]
struct Service {
    priority: u16,
    weight: u16,
    port: u16,
    target: String,
}

/// Looks a line's PBX up: its best address.
///
/// # Errors
/// Why it is not found.
pub(crate) async fn find_pbx(line: &Line, gateway: &Gateway) -> Result<SocketAddr, Said> {
    let (places, _) =
        Route::new(&line.pbx, rules::transport(line.trunk.transport), gateway.sip_bind, gateway)
            .find()
            .await?;
    Ok(places.first)
}

impl Route {
    pub(super) fn new(pbx: &Pbx, transport: Transport, local: IpAddr, gateway: &Gateway) -> Self {
        let named = pbx.addresses().any(|address| address.ip().is_none());
        let resolver = if named { resolver(&gateway.name_servers, local) } else { None };
        Self { pbx: pbx.clone(), transport, local, resolver }
    }

    /// Looks everything up: where the PBX is, and for how long that holds; for good where no name is among its addresses.
    ///
    /// # Errors
    /// When no address is found at all.
    pub(super) async fn find(&self) -> Result<(Places, Option<Duration>), Said> {
        let (mut found, mut holds, mut wrong) = (Vec::new(), None, None);
        for address in self.pbx.addresses() {
            let lookup = timeout(LOOKUP_LIMIT, self.look_up(address)).await;
            let lookup = lookup.unwrap_or_else(|_| Err("no name server answers".to_owned()));
            match lookup {
                Ok((places, good_for)) => {
                    let of_family = |place: &SocketAddr| place.is_ipv4() == self.local.is_ipv4();
                    found.extend(places.into_iter().filter(of_family));
                    holds = [holds, good_for].into_iter().flatten().min();
                }
                Err(error) => {
                    tracing::warn!(error, "an address of the PBX is not found");
                    holds = Some(Duration::ZERO);
                    wrong = Some((address.host.clone(), error));
                }
            }
        }
        if found.is_empty() {
            return Err(self.nothing(wrong));
        }
        let first = found.remove(0);
        Ok((Places { first, others: found }, holds))
    }

    fn nothing(&self, wrong: Option<(String, String)>) -> Said {
        let Some((host, error)) = wrong else {
            let (pbx, bind) = (self.pbx.to_string(), self.local);
            return Said::new(
                format!("pbx = {pbx:?} has no address of the family of gateway.sip_bind = {bind}"),
                format!("pbx = {pbx:?}: нет адреса того же семейства, что gateway.sip_bind = {bind}"),
            );
        };
        Said::new(
            format!("pbx = {host:?} cannot be resolved: {error}"),
            format!("pbx = {host:?}: адрес по этому имени не найден: {error}"),
        )
    }

    /// The places of one address, and how long they hold.
    async fn look_up(&self, address: &PbxAddress) -> Result<(Vec<SocketAddr>, Option<Duration>), String> {
        if let Some(ip) = address.ip() {
            let port = address.port.unwrap_or(self.transport.default_port());
            return Ok((vec![SocketAddr::new(ip, port)], None));
        }
        if address.port.is_none()
            && let Some((services, good_for)) = self.services(&address.host).await
        {
            return self.of_services(services, good_for).await;
        }
        let (ips, good_for) = self.ips(&address.host).await?;
        let port = address.port.unwrap_or(self.transport.default_port());
        Ok((ips.into_iter().map(|ip| SocketAddr::new(ip, port)).collect(), Some(good_for)))
    }

    /// The places that services are at, in their order; those whose names are not found are left out.
    async fn of_services(
        &self,
        services: Vec<Service>,
        good_for: Duration,
    ) -> Result<(Vec<SocketAddr>, Option<Duration>), String> {
        let (mut places, mut holds, mut wrong) = (Vec::new(), good_for, None);
        let mut seed = u64::from_be_bytes(clock::random());
        for service in in_order(services, |below| draw(&mut seed, below)) {
            match self.ips(&service.target).await {
                Ok((ips, good_for)) => {
                    holds = holds.min(good_for);
                    places.extend(ips.into_iter().map(|ip| SocketAddr::new(ip, service.port)));
                }
                Err(error) => wrong = Some(format!("{}: {error}", service.target)),
            }
        }
        match wrong {
            Some(wrong) if places.is_empty() => Err(wrong),
            Some(_) | None => Ok((places, Some(holds))),
        }
    }

    /// The SRV records of a name; none where there are none, or nobody tells.
    async fn services(&self, host: &str) -> Option<(Vec<Service>, Duration)> {
        let service = match self.transport {
            Transport::Udp => "_sip._udp",
            Transport::Tcp => "_sip._tcp",
            Transport::Tls => "_sips._tcp",
        };
        let name = format!("{service}.{}.", host.trim_end_matches('.'));
        let lookup = self.resolver.as_ref()?.srv_lookup(name).await;
        let lookup = match lookup {
            Ok(lookup) => lookup,
            Err(error) => {
                tracing::debug!(%error, "no SRV records");
                return None;
            }
        };
        let services: Vec<_> = lookup
            .answers()
            .iter()
            .filter_map(|record| match &record.data {
                RData::SRV(srv) => Some(Service {
                    priority: srv.priority,
                    weight: srv.weight,
                    port: srv.port,
                    target: srv.target.to_ascii(),
                }),
                _ => None,
            })
            .collect();
        (!services.is_empty()).then(|| (services, left(lookup.valid_until())))
    }

    /// The addresses of a host.
    async fn ips(&self, host: &str) -> Result<(Vec<IpAddr>, Duration), String> {
        if let Ok(ip) = host.trim_end_matches('.').parse() {
            return Ok((vec![ip], PAUSES[1]));
        }
        let mut told = None;
        if let Some(resolver) = &self.resolver {
            match resolver.lookup_ip(host).await {
                Ok(found) => return Ok((found.iter().collect(), left(found.valid_until()))),
                Err(error) => told = Some(error.to_string()),
            }
        }
        // What only the system knows, as names on the local network.
        match tokio::net::lookup_host((host, 0)).await {
            Ok(found) => Ok((found.map(|address| address.ip()).collect(), UNTOLD)),
            Err(error) => Err(told.unwrap_or_else(|| error.to_string())),
        }
    }
}

impl Lookups {
    /// Looks again each time that what was found has ended, from `holds` on; never where it holds for good.
    pub(super) fn keep(route: Route, found: &Places, holds: Option<Duration>) -> Self {
        let hurry = Arc::new(Notify::new());
        let (tell, receiver) = mpsc::channel(1);
        if let Some(holds) = holds {
            tokio::spawn(follow(route, found.clone(), holds, tell, Arc::clone(&hurry)));
        }
        Self { found: receiver, hurry }
    }

    /// The PBX does not answer where it was found: it may be elsewhere.
    pub(super) fn hurry(&self) {
        self.hurry.notify_one();
    }
}

/// Waits until the PBX is found elsewhere.
pub(super) async fn moved(lookups: Option<&mut Lookups>) -> Option<Places> {
    lookups?.found.recv().await
}

async fn follow(
    route: Route,
    mut known: Places,
    mut holds: Duration,
    tell: mpsc::Sender<Places>,
    hurry: Arc<Notify>,
) {
    loop {
        let pause = holds.clamp(PAUSES[0], PAUSES[1]);
        tokio::select! {
            () = sleep(pause) => {}
            () = async { sleep(HURRY).await; hurry.notified().await } => {}
            () = tell.closed() => return,
        }
        match route.find().await {
            Ok((found, good_for)) => {
                holds = good_for.unwrap_or(PAUSES[1]);
                if found != known {
                    tracing::info!("the PBX is found at other addresses");
                    tracing::debug!(?found, "where it is");
                    known = found.clone();
                    if tell.send(found).await.is_err() {
                        return;
                    }
                }
            }
            // Where it was is better than nowhere.
            Err(said) => {
                tracing::warn!("{}", said.in_language(tgtrunk_shell::language()));
                holds = Duration::ZERO;
            }
        }
    }
}

/// Asks these name servers, or those of the system.
fn resolver(servers: &[SocketAddr], local: IpAddr) -> Option<TokioResolver> {
    let builder = if servers.is_empty() {
        TokioResolver::builder_tokio()
    } else {
        let server = |address: &SocketAddr| {
            let on_port = |mut connection: ConnectionConfig| {
                connection.port = address.port();
                connection
            };
            let ways = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(on_port).into();
            NameServerConfig::new(address.ip(), true, ways)
        };
        let config = ResolverConfig::from_name_servers(servers.iter().map(server).collect());
        Ok(TokioResolver::builder_with_config(config, TokioRuntimeProvider::default()))
    };
    let built = builder.and_then(|mut builder| {
        let options = builder.options_mut();
        options.timeout = QUESTION_LIMIT;
        options.attempts = 2;
        options.ip_strategy =
            if local.is_ipv4() { LookupIpStrategy::Ipv4Only } else { LookupIpStrategy::Ipv6Only };
        builder.build()
    });
    built.inspect_err(|error| tracing::warn!(%error, "names are asked of the system alone")).ok()
}

/// How long until then.
fn left(until: Instant) -> Duration {
    until.saturating_duration_since(clock::now())
}

/// A number below a limit that is not 0, and the next seed (splitmix64).
fn draw(seed: &mut u64, below: u64) -> u64 {
    *seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *seed;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (mixed ^ (mixed >> 31)) % below.max(1)
}

/// Services in the order in which they are tried: by priority, those of one priority by chance as their weights want it
/// (RFC 2782). `draw` gives a number below its argument.
fn in_order(mut services: Vec<Service>, mut draw: impl FnMut(u64) -> u64) -> Vec<Service> {
    // A record whose target is the root says that there is no such service.
    services.retain(|service| service.target != ".");
    // Weight 0 comes first among equals, so that it is chosen where nothing else has any weight.
    services.sort_by(|a, b| (a.priority, a.weight, &a.target).cmp(&(b.priority, b.weight, &b.target)));
    let mut ordered = Vec::with_capacity(services.len());
    while let Some(priority) = services.first().map(|service| service.priority) {
        let equals = services.iter().take_while(|service| service.priority == priority);
        let weights: u64 = equals.map(|service| u64::from(service.weight)).sum();
        let chosen = draw(weights + 1);
        let mut sum = 0;
        let at = services.iter().position(|service| {
            sum += u64::from(service.weight);
            sum >= chosen
        });
        ordered.push(services.remove(at.unwrap_or(0)));
    }
    ordered
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_come_by_priority_and_those_of_one_priority_as_often_first_as_their_weight_says() {
        let service = |priority, weight, target: &str| Service {
            priority,
            weight,
            port: 5060,
            target: target.to_owned(),
        };
        let all = || {
            vec![
                service(20, 0, "spare."),
                service(10, 30, "small."),
                service(10, 60, "big."),
                service(10, 0, "none."),
                service(5, 0, "."),
            ]
        };
        let (mut big, mut seed) = (0, 7);
        for _ in 0..1000 {
            let ordered = in_order(all(), |below| draw(&mut seed, below));
            assert_eq!(ordered.len(), 4);
            assert_eq!(ordered[3].target, "spare.");
            big += usize::from(ordered[0].target == "big.");
        }
        assert!((600..720).contains(&big), "two in three: {big}");
    }

    #[tokio::test]
    async fn addresses_need_no_lookup_and_hold_for_good() {
        let pbx = |text: &str| {
            let mut addresses = text.split(',').map(|one| one.parse::<PbxAddress>().unwrap());
            Pbx { first: addresses.next().unwrap(), others: addresses.collect() }
        };
        let find = async |text: &str, transport, local: &str| {
            let route = Route { pbx: pbx(text), transport, local: local.parse().unwrap(), resolver: None };
            route.find().await
        };
        let (found, holds) = find("10.0.0.1,10.0.0.2:5070,::1", Transport::Udp, "127.0.0.1").await.unwrap();
        assert_eq!(found.first.to_string(), "10.0.0.1:5060");
        assert_eq!((found.others.len(), holds), (1, None), "only addresses of our family");
        // RFC 3261 section 19.1.2, for names too.
        let ports = [(Transport::Udp, 5060), (Transport::Tcp, 5060), (Transport::Tls, 5061)];
        for ((transport, port), host) in
            ports.into_iter().flat_map(|of| [(of, "127.0.0.1"), (of, "localhost")])
        {
            let (found, _) = find(host, transport, "127.0.0.1").await.unwrap();
            assert_eq!(found.first.to_string(), format!("127.0.0.1:{port}"), "{host} {transport:?}");
        }
        let told = find("::1", Transport::Udp, "127.0.0.1").await.unwrap_err();
        assert_eq!(told.en, "pbx = \"[::1]\" has no address of the family of gateway.sip_bind = 127.0.0.1");
        let told = find("no.such.host.invalid:5060", Transport::Udp, "127.0.0.1").await.unwrap_err();
        assert!(told.en.starts_with("pbx = \"no.such.host.invalid\" cannot be resolved: "), "{told:?}");
    }
}
