//! Real sockets through a real link, where this machine lets us have one. Waits have a bound, and nothing is timed: how
//! exact a link is, says `fulmar-bench link --verify`.

use std::{
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, SocketAddrV4, TcpListener, TcpStream, UdpSocket},
};

use fulmar_network_model::{LinkOptions, Rate, Share, Window};

use super::*;

/// How long anything may take before a test fails.
const WAIT: Duration = Duration::from_secs(20);
/// How long is waited for something that must not come; longer than it takes to come.
const SILENCE: Duration = Duration::from_millis(500);

/// A link, or that the test is skipped.
fn open_with(profile: &Profile, settings: &LinkSettings) -> Option<Link> {
    match Link::open(profile, 1, settings) {
        Ok(link) => Some(link),
        Err(error @ (LinkError::NotRoot | LinkError::NoIp | LinkError::NoTun | LinkError::Namespace(_))) => {
            skip(&error);
            None
        }
        Err(error) => panic!("{error}"),
    }
}

fn open(profile: &Profile) -> Option<Link> {
    open_with(profile, &LinkSettings::default())
}

/// Says that a test was skipped, where `cargo xtask` reads it too.
#[expect(clippy::print_stderr, reason = "a skip must be seen")]
fn skip(why: &LinkError) {
    let thread = std::thread::current();
    let line = format!("{}: no emulated link ({why})", thread.name().unwrap_or("a test"));
    eprintln!("SKIPPED: {line}");
    if let Some(path) = std::env::var_os("FULMAR_SKIPPED") {
        let file = std::fs::OpenOptions::new().append(true).create(true).open(path);
        writeln!(file.unwrap(), "{line}").unwrap();
    }
}

fn udp(namespace: &Namespace) -> UdpSocket {
    let made = namespace.run(|| Ok(UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?));
    let socket = made.unwrap();
    socket.set_read_timeout(Some(WAIT)).unwrap();
    socket
}

/// A socket at each end, and where the client finds the server.
fn pair(link: &Link) -> (UdpSocket, UdpSocket, SocketAddr) {
    let (client, server) = (udp(link.client()), udp(link.server()));
    let address = (link.server_address(), server.local_addr().unwrap().port()).into();
    (client, server, address)
}

/// What comes, and from where.
fn receive(socket: &UdpSocket) -> (Vec<u8>, SocketAddr) {
    let mut buffer = [0; 65_536];
    let (length, from) = socket.recv_from(&mut buffer).unwrap();
    (buffer[..length].to_vec(), from)
}

fn hears_nothing(socket: &UdpSocket) -> bool {
    socket.set_read_timeout(Some(SILENCE)).unwrap();
    let heard = socket.recv_from(&mut [0; 16]);
    socket.set_read_timeout(Some(WAIT)).unwrap();
    heard.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
}

fn tcp(link: &Link) -> (TcpStream, TcpStream) {
    let listener = link.server().run(|| Ok(TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0))?)).unwrap();
    let address = SocketAddrV4::new(link.server_address(), listener.local_addr().unwrap().port());
    let client = link.client().run(move || Ok(TcpStream::connect_timeout(&address.into(), WAIT)?)).unwrap();
    let (server, _) = listener.accept().unwrap();
    for stream in [&client, &server] {
        stream.set_read_timeout(Some(WAIT)).unwrap();
        stream.set_write_timeout(Some(WAIT)).unwrap();
    }
    (client, server)
}

#[test]
fn udp_goes_there_and_back() {
    let Some(link) = open(&Profile::CLEAN) else { return };
    let (client, server, address) = pair(&link);
    client.send_to(b"there", address).unwrap();
    let (there, from) = receive(&server);
    assert_eq!((there.as_slice(), from.ip()), (b"there".as_slice(), link.public_address().into()));
    server.send_to(b"back", from).unwrap();
    assert_eq!(receive(&client), (b"back".to_vec(), address));
}

#[test]
fn nothing_arrives_before_its_delay() {
    let Some(link) = open(&Profile::CLEAN) else { return };
    let (client, server, address) = pair(&link);
    let began = clock::now();
    client.send_to(b"there", address).unwrap();
    receive(&server);
    assert!(clock::now() - began >= Profile::CLEAN.up.delay);
}

#[test]
fn after_an_address_change_the_server_sees_another_client_and_the_old_one_is_gone() {
    let Some(link) = open(&Profile::CLEAN) else { return };
    let (client, server, address) = pair(&link);
    client.send_to(b"1", address).unwrap();
    let (_, old) = receive(&server);
    let new = link.roam();
    client.send_to(b"2", address).unwrap();
    let (_, from) = receive(&server);
    assert_eq!((from.ip(), from.port()), (new.into(), old.port()));
    server.send_to(b"3", old).unwrap();
    assert!(hears_nothing(&client));
    server.send_to(b"4", from).unwrap();
    assert_eq!(receive(&client), (b"4".to_vec(), address));
    let stats = link.stats().unwrap();
    assert_eq!((stats.address_changes, stats.down.dropped.address), (1, 1));
}

#[test]
fn tcp_carries_much_both_ways() {
    // Few packets are lost, so that both ends must send some again.
    let lossy = LinkOptions { loss: Share::of(0.01), ..LinkOptions::with_delay(Duration::from_millis(2)) };
    let Some(link) = open(&Profile { up: lossy, down: lossy, ..Profile::CLEAN }) else { return };
    let (mut client, mut server) = tcp(&link);
    let sent: Vec<u8> = (0..500_000_u32).flat_map(u32::to_be_bytes).collect();
    let mut got = vec![0; sent.len()];
    std::thread::scope(|scope| {
        let echo = scope.spawn(|| {
            let mut got = vec![0; sent.len()];
            server.read_exact(&mut got).unwrap();
            server.write_all(&got).unwrap();
        });
        client.write_all(&sent).unwrap();
        client.read_exact(&mut got).unwrap();
        echo.join().unwrap();
    });
    assert!(got == sent, "what came back is what went");
    let stats = link.stats().unwrap();
    assert!(stats.up.dropped.loss > 0 && stats.down.dropped.loss > 0, "{stats:?}");
    assert_eq!((stats.up.dropped.kernel, stats.down.dropped.kernel), (0, 0));
    // The kernel cuts its segments before they come here: one that is larger than the MTU would not be read whole.
    assert_eq!((stats.up.dropped.not_ipv4, stats.down.dropped.not_ipv4), (0, 0));
}

#[test]
fn a_tcp_connection_does_not_outlive_an_address_change() {
    let Some(link) = open(&Profile::CLEAN) else { return };
    let (mut client, _server) = tcp(&link);
    link.roam();
    client.write_all(b"who am I?").unwrap();
    let error = client.read(&mut [0; 16]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

#[test]
fn large_datagrams_go_in_fragments() {
    let Some(link) = open(&Profile::LTE) else { return };
    let (client, server, address) = pair(&link);
    let large: Vec<u8> = (0..1_000_u32).flat_map(u32::to_be_bytes).collect();
    // On this network one in two hundred is lost.
    for _ in 0..20 {
        client.send_to(&large, address).unwrap();
    }
    assert_eq!(receive(&server).0, large);
    let stats = link.stats().unwrap();
    assert_eq!((stats.up.offered_packets, stats.up.dropped.mtu), (60, 0));
}

#[test]
fn a_port_without_a_program_is_refused() {
    let Some(link) = open(&Profile::CLEAN) else { return };
    let (client, server, address) = pair(&link);
    drop(server);
    client.connect(address).unwrap();
    client.send(b"anybody?").unwrap();
    // The server's kernel says so, quoting a packet from the public address.
    assert_eq!(client.recv(&mut [0; 16]).unwrap_err().kind(), ErrorKind::ConnectionRefused);
}

#[test]
fn a_link_that_nobody_uses_is_silent() {
    let Some(link) = open(&Profile::CLEAN) else { return };
    let (_, server, _) = pair(&link);
    assert!(hears_nothing(&server));
    let stats = link.stats().unwrap();
    for way in [&stats.up, &stats.down] {
        assert_eq!((way.offered_packets, way.dropped.not_ipv4), (0, 0), "{stats:?}");
    }
}

#[test]
fn what_is_lost_dark_or_too_much_is_counted_by_its_cause() {
    let dark = Some(Window { from: Duration::ZERO, until: Duration::from_secs(3_600) });
    let mut outages = LinkOptions::CLEAN.outages;
    outages[0] = dark;
    for (options, count) in [
        (
            LinkOptions { loss: Share::ALL, ..LinkOptions::CLEAN },
            (|drops| drops.loss) as fn(&stats::Drops) -> u64,
        ),
        (LinkOptions { outages, ..LinkOptions::CLEAN }, |drops| drops.blackout),
        (LinkOptions { rate: Some(Rate::kilobits(1_000, 1)), ..LinkOptions::CLEAN }, |drops| {
            drops.queue_full
        }),
    ] {
        let Some(link) = open(&Profile { up: options, ..Profile::CLEAN }) else { return };
        let (client, server, address) = pair(&link);
        client.send_to(b"gone", address).unwrap();
        assert!(hears_nothing(&server));
        let stats = link.stats().unwrap();
        assert_eq!((count(&stats.up.dropped), stats.up.delivered_packets), (1, 0), "{stats:?}");
    }
}

#[test]
fn a_trace_takes_the_place_of_the_rate() {
    // One packet an hour.
    let settings =
        LinkSettings { trace_up: Some(Trace::parse("3600000\n").unwrap()), ..LinkSettings::default() };
    let Some(link) = open_with(&Profile::CLEAN, &settings) else { return };
    let (client, server, address) = pair(&link);
    client.send_to(b"in an hour", address).unwrap();
    assert!(hears_nothing(&server));
    server.send_to(b"now", (link.public_address(), client.local_addr().unwrap().port())).unwrap();
    assert_eq!(receive(&client).0, b"now");
}

#[test]
fn a_command_runs_in_its_namespace_under_its_own_process_id() {
    let Some(link) = open(&Profile::CLEAN) else { return };
    let output = |namespace: &Namespace| {
        let mut command = namespace.command("sh");
        let child =
            command.args(["-c", "echo $$; cat /proc/net/fib_trie"]).stdout(std::process::Stdio::piped());
        let child = child.spawn().unwrap();
        let pid = child.id();
        let text = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
        let (first, rest) = text.split_once('\n').unwrap();
        assert_eq!(first, pid.to_string());
        rest.to_owned()
    };
    let (client, server) = (output(link.client()), output(link.server()));
    assert!(client.contains("10.77.0.2") && !client.contains("10.77.1.1"));
    assert!(server.contains("10.77.1.1") && !server.contains("10.77.0.2"));
}

#[test]
fn a_program_that_is_not_there_cannot_be_started() {
    let Some(link) = open(&Profile::CLEAN) else { return };
    let error = link.server().command("no-such-program-anywhere").spawn().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[test]
fn links_do_not_see_each_other() {
    let Some(one) = open(&Profile::CLEAN) else { return };
    let Some(other) = open(&Profile::CLEAN) else { return };
    let (client, server, address) = pair(&one);
    let stranger = udp(other.client());
    stranger.send_to(b"for the other's server", address).unwrap();
    assert!(hears_nothing(&server));
    client.send_to(b"mine", address).unwrap();
    assert_eq!(receive(&server).0, b"mine");
}

#[test]
fn blackouts_take_the_place_of_tunnels_both_ways_and_leave_the_rest() {
    let ms = Duration::from_millis;
    let dark = Periodic { first: ms(5_000), period: ms(5_000), length: ms(100) };
    let settings = LinkSettings { dark: Some(dark), ..LinkSettings::default() };
    let [up, down] = models(&Profile::TRAIN, 1, &settings);
    for (link, profile) in [(up, Profile::TRAIN.up), (down, Profile::TRAIN.down)] {
        assert_eq!(*link.options(), LinkOptions { tunnels: Some(dark), ..profile });
    }
}

#[test]
fn each_direction_has_random_numbers_of_its_own() {
    let half = LinkOptions { loss: Share::of(0.5), ..LinkOptions::CLEAN };
    let fates = |seed| {
        let links =
            models(&Profile { up: half, down: half, ..Profile::CLEAN }, seed, &LinkSettings::default());
        links.map(|mut link| (0..64).map(|at| link.offer(Duration::from_millis(at), 1)).collect::<Vec<_>>())
    };
    let [[up, down], [other_up, other_down]] = [fates(1), fates(2)];
    assert!(up != down && up != other_up && down != other_up && down != other_down);
    assert_eq!(fates(1), [up, down]);
}

#[test]
fn clients_of_a_runtime_and_a_server_at_a_place_are_at_the_two_ends() {
    let Some(link) = open(&Profile::CLEAN) else { return };
    let place = crate::place::Place::behind(&link).unwrap();
    assert_eq!(place.address(), link.server_address());
    let client = link.client().clone();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .worker_threads(2)
        .on_thread_start(move || client.enter().unwrap())
        .build()
        .unwrap();
    let (_, server, address) = pair(&link);
    // In a task, so in a thread of the runtime: it starts the program and has the socket.
    let task = runtime.spawn(async move {
        let socket = tokio::net::UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).await.unwrap();
        socket.send_to(b"hello", address).await.unwrap();
        let output = place.command("sh").args(["-c", "pwd; cat /proc/net/fib_trie"]).output().await.unwrap();
        (place, String::from_utf8(output.stdout).unwrap())
    });
    let (place, said) = runtime.block_on(task).unwrap();
    assert!(said.starts_with(place.folder().to_str().unwrap()) && said.contains("10.77.1.1"), "{said}");
    let (heard, from) = receive(&server);
    assert_eq!((heard.as_slice(), from.ip()), (b"hello".as_slice(), link.public_address().into()));
}
