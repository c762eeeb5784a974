// SPDX-License-Identifier: MIT OR Apache-2.0
//! A daemon without DPDK: its control socket, with real workers that get their frames by hand.

use dpvs::control::{Control, ControlOptions, LinkChange, LinkControl, WorkerHandle};
use dpvs::server::{self, Server};
use dpvs_api::types::{LinkInfo, LinkStats};
use dpvs_api::{Client, ClientError, ErrorCode, RpcError};
use dpvs_core::counters::WorkerCounters;
use dpvs_core::net::Mac;
use dpvs_core::steering::{KEY_DEFAULT, Steering};
use dpvs_core::tables::{Limits, Port, Tables};
use dpvs_core::testing::HeapFrame;
use dpvs_core::{BURST, Millis, PortId, Verdict, Worker, WorkerId};
use serde_json::{Value, json};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A frame for a worker, whether another one has handed it over, and where the verdict goes.
type Fed = (Vec<u8>, bool, Sender<Verdict>);

pub(crate) struct Daemon {
    pub(crate) path: PathBuf,
    pub(crate) changes: Arc<Mutex<Vec<LinkChange>>>,
    /// While set, the workers do nothing.
    pub(crate) hangs: Arc<AtomicBool>,
    feeds: Vec<Sender<Fed>>,
    server: Option<JoinHandle<anyhow::Result<Control>>>,
    workers: Vec<JoinHandle<()>>,
    stop: Option<UnixStream>,
    _directory: TempDir,
}

struct FakeLink {
    info: LinkInfo,
    changes: Arc<Mutex<Vec<LinkChange>>>,
}

impl LinkControl for FakeLink {
    fn info(&self) -> LinkInfo {
        self.info.clone()
    }

    fn change(&mut self, change: LinkChange) -> Result<(), RpcError> {
        match change {
            LinkChange::Mtu(mtu) if mtu > 9000 => {
                return Err(RpcError::new(ErrorCode::Range, "at most 9000").at("mtu"));
            }
            LinkChange::Up(_) => {
                return Err(RpcError::new(ErrorCode::NotSupported, "always up").at("up"));
            }
            LinkChange::Mtu(mtu) => self.info.mtu = mtu,
            LinkChange::Promiscuous(on) => self.info.promisc = on,
        }
        self.changes.lock().unwrap().push(change);
        Ok(())
    }
}

fn fake_link(changes: &Arc<Mutex<Vec<LinkChange>>>) -> Box<dyn LinkControl> {
    let info = LinkInfo {
        index: 0,
        device: String::new(),
        spec: "fake:".to_owned(),
        driver: "net_fake".to_owned(),
        socket: -1,
        mtu: 1500,
        rx_queues: 1,
        tx_queues: 16,
        up: true,
        speed_mbps: 10_000,
        full_duplex: true,
        autoneg: true,
        promisc: false,
        allmulticast: false,
        kernel: false,
        lladdr: String::new(),
        offloads: Vec::new(),
        steering: "handoff".to_owned(),
        stats: LinkStats::default(),
        buffers_free: 10,
        buffers_used: 5,
    };
    Box::new(FakeLink { info, changes: Arc::clone(changes) })
}

pub(crate) fn port(id: u16) -> Port {
    Port {
        id: PortId(id),
        name: format!("dpdk{id}"),
        mac: Mac([2, 0, 0, 0, 0, 0xbb + u8::try_from(id).unwrap()]),
        mtu: 1500,
        has_kernel: false,
    }
}

pub(crate) fn options(path: PathBuf) -> ControlOptions {
    let ipvs_socket = path.with_extension("ipvs");
    ControlOptions { socket: path, ipvs_socket, admin_group: None, reader_group: None }
}

fn run_worker(mut worker: Worker, feed: &Receiver<Fed>, origin: Instant, hangs: &AtomicBool) {
    loop {
        while hangs.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(1));
        }
        let now = Millis(u64::try_from(origin.elapsed().as_millis()).unwrap());
        for (bytes, is_handed, reply) in feed.try_iter().take(BURST) {
            let mut frames = [HeapFrame::new(&bytes)];
            let mut verdicts = [Verdict::Consumed; BURST];
            if is_handed {
                worker.process_handed(now, &mut frames, &mut verdicts);
            } else {
                worker.process(now, &mut frames, &mut verdicts);
            }
            let _ = reply.send(verdicts[0]);
        }
        worker.take_made().for_each(drop);
        if !worker.poll_control(now) {
            return;
        }
        std::thread::sleep(Duration::from_micros(50));
    }
}

impl Daemon {
    pub(crate) fn start(workers: usize) -> Self {
        Daemon::start_with(workers, |_| {})
    }

    pub(crate) fn start_with(workers: usize, prepare: impl FnOnce(&mut Server)) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("run/dpvs.sock");
        let origin = Instant::now();
        let steering = Steering::new(workers, &KEY_DEFAULT);
        let tables = Arc::new(Tables::new(vec![port(0), port(1)], steering, Limits::default()));
        let hangs = Arc::new(AtomicBool::new(false));
        let (mut handles, mut feeds, mut threads) = (Vec::new(), Vec::new(), Vec::new());
        for at in 0..workers {
            let (commands, from_control) = rtrb::RingBuffer::new(8);
            let (to_control, events) = rtrb::RingBuffer::new(8);
            let counters = Arc::new(WorkerCounters::default());
            let me = WorkerId(u8::try_from(at).unwrap());
            let shared = Arc::clone(&counters);
            let tables = Arc::clone(&tables);
            let worker = Worker::new(me, tables, 4096, shared, from_control, to_control);
            let (feed, fed) = channel();
            feeds.push(feed);
            let hangs = Arc::clone(&hangs);
            threads.push(std::thread::spawn(move || run_worker(worker, &fed, origin, &hangs)));
            handles.push(WorkerHandle {
                commands,
                events,
                counters,
                cpu: u32::try_from(at).unwrap(),
                capacity: 4096,
                busy_permille: Arc::new(AtomicU32::new(7)),
            });
        }
        let changes = Arc::new(Mutex::new(Vec::new()));
        let links = vec![fake_link(&changes), fake_link(&changes)];
        let control = Control::with_links(tables, handles, links, origin);
        let mut server = server::bind(&options(path.clone())).unwrap();
        prepare(&mut server);
        let (stop, watched) = UnixStream::pair().unwrap();
        let server = std::thread::spawn(move || server.run(control, OwnedFd::from(watched)));
        Daemon {
            path,
            changes,
            hangs,
            feeds,
            server: Some(server),
            workers: threads,
            stop: Some(stop),
            _directory: directory,
        }
    }

    pub(crate) fn client(&self) -> Api {
        Api(Client::connect(&self.path).unwrap())
    }

    pub(crate) fn raw(&self) -> UnixStream {
        let stream = UnixStream::connect(&self.path).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.set_write_timeout(Some(Duration::from_secs(20))).unwrap();
        stream
    }

    /// Gives a frame to worker 0, and to its owner if that is another.
    pub(crate) fn feed(&self, bytes: &[u8]) -> Verdict {
        let verdict = self.feed_one(0, bytes, false);
        match verdict {
            Verdict::Redirect(owner) => self.feed_one(owner.index(), bytes, true),
            other => other,
        }
    }

    fn feed_one(&self, worker: usize, bytes: &[u8], is_handed: bool) -> Verdict {
        let (reply, verdict) = channel();
        self.feeds[worker].send((bytes.to_vec(), is_handed, reply)).unwrap();
        verdict.recv_timeout(Duration::from_secs(10)).unwrap()
    }

    /// Waits for the control thread to end.
    pub(crate) fn join(&mut self) {
        if let Some(server) = self.server.take() {
            let mut control = server.join().unwrap().unwrap();
            control.stop_workers();
            for worker in self.workers.drain(..) {
                worker.join().unwrap();
            }
        }
    }

    pub(crate) fn stop(&mut self) {
        drop(self.stop.take());
        self.join();
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.stop();
        }
    }
}

/// A client that calls by name.
pub(crate) struct Api(pub(crate) Client);

#[allow(clippy::needless_pass_by_value, reason = "calls read better without references")]
impl Api {
    #[track_caller]
    pub(crate) fn ok(&mut self, method: &str, params: Value) -> Value {
        self.0
            .call_raw(method, &params)
            .unwrap_or_else(|error| panic!("{method} {params}: {error}"))
    }

    /// Returns the name and the path of a refusal, `NAME path`.
    #[track_caller]
    pub(crate) fn refused(&mut self, method: &str, params: Value) -> String {
        match self.0.call_raw(method, &params) {
            Err(ClientError::Refused(error)) => {
                assert!(!error.message.is_empty());
                let name = error.data.name.unwrap_or_default();
                format!("{name} {}", error.data.path.unwrap_or_default())
            }
            Err(other) => panic!("{method} {params}: {other}"),
            Ok(reply) => panic!("{method} {params}: {:.300}", reply.to_string()),
        }
    }
}

/// The key of a TCP service at 203.0.113.80.
pub(crate) fn tcp(port: u16) -> Value {
    json!({ "protocol": "tcp", "address": "203.0.113.80", "port": port })
}

/// A full NAT server of the service [`tcp`] of a port.
pub(crate) fn dest(service_port: u16, address: &str) -> Value {
    json!({ "service": tcp(service_port), "address": address, "port": 8080, "forward": "fullnat" })
}
