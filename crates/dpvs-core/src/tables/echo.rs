// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whether echo requests to an address are answered: by its policy, and by how its services are.
//!
//! A policy stands for addresses where no ICMP service stands. What it comes to is worked out when a
//! draft is published, one [`EchoAnswer`] for each address, so that a packet costs one lookup, and
//! none where no policy is set.
//!
//! | rule | no service | no server | all servers down | some up |
//! | --- | --- | --- | --- | --- |
//! | never | drop | drop | drop | drop |
//! | always | reply | reply | reply | reply |
//! | any-up | drop | drop | down | reply |
//! | all-up | drop | down | down | reply if each service has one up, else down |
//! | quorum n | drop | drop | down | reply if each service has n up, else down |
//! | backend | drop | drop | down | to a server that is up |
//!
//! *Down* is what [`EchoDown`] says. A server is up if its weight is not 0.

use super::draft::check_unicast;
use super::{
    DestId, Draft, Forward, MapHash, Refusal, RefusalKind, Service, ServiceId, ServiceKey, Tables,
};
use crate::key::{Address, Endpoint, Key};
use crate::scheduler::hash;
use hashbrown::{HashMap, HashSet};
use std::sync::Arc;

/// Shares that the clients of an address are dealt to its servers in.
const SHARES: u16 = 256;

/// When echo requests are answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EchoRule {
    /// Never.
    Never,
    /// Whatever the services are like.
    #[default]
    Always,
    /// If any server of any service is up.
    AnyUp,
    /// If every service has a server that is up.
    AllUp,
    /// If every service has as many servers that are up; at least 1.
    Quorum(u32),
    /// By a server that is up: they are forwarded as an ICMP service would.
    Backend,
}

/// What becomes of echo requests to an address whose services are down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EchoDown {
    /// They are dropped.
    #[default]
    Drop,
    /// Their sender is told that the host cannot be reached.
    Host,
    /// Their sender is told that this is forbidden.
    Admin,
}

/// The echo policy of an address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EchoPolicy {
    /// When.
    pub rule: EchoRule,
    /// What else.
    pub down: EchoDown,
    /// Most bytes of data in a request; 0 is what fits the link.
    pub data_max: u16,
}

/// What a policy comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EchoAnswer {
    /// A reply.
    Reply,
    /// Nothing.
    Drop,
    /// That the host cannot be reached.
    Host,
    /// That it is forbidden.
    Admin,
    /// A server's.
    Backend,
}

/// An address with its echo policy.
#[derive(Clone, Debug)]
pub struct Echo {
    /// The address.
    pub address: Address,
    /// The policy.
    pub policy: EchoPolicy,
    /// Whether it came with a service, and goes when all services are removed.
    pub came_with_service: bool,
    /// What it comes to.
    pub answer: EchoAnswer,
    /// What it would come to if the answer were not held.
    wanted: EchoAnswer,
    /// By the share of clients: the server, one of those that are up.
    shares: Arc<[(ServiceId, DestId)]>,
    /// Servers whose replies come by way of us and tell nothing of the address.
    nat_servers: Arc<[Address]>,
}

impl Echo {
    /// Returns what is said while the services are down.
    pub(crate) fn down_answer(&self) -> EchoAnswer {
        match self.policy.down {
            EchoDown::Drop => EchoAnswer::Drop,
            EchoDown::Host => EchoAnswer::Host,
            EchoDown::Admin => EchoAnswer::Admin,
        }
    }

    /// Returns the server of a client that is up, with the service that it is a server of: always
    /// the same one, and when servers come and go, for most clients.
    pub(crate) fn server(&self, client: Address) -> Option<(ServiceId, DestId)> {
        let share = hash::reduce(hash::of_pair(client, self.address), self.shares.len());
        self.shares.get(share).copied()
    }
}

/// Echo policies by address.
#[derive(Clone, Debug, Default)]
pub(super) struct Echoes {
    by_address: HashMap<Address, Echo, MapHash>,
    /// Addresses by the NAT servers that pings to them may go to.
    by_nat_server: HashMap<Address, Vec<Address>, MapHash>,
}

impl Tables {
    /// Returns the echo policy of an address, if it has one of its own.
    #[inline]
    pub fn echo(&self, address: Address) -> Option<&Echo> {
        let by_address = &self.echoes.by_address;
        if by_address.is_empty() { None } else { by_address.get(&address) }
    }

    /// Returns all echo policies, in no order.
    pub fn echoes(&self) -> impl Iterator<Item = &Echo> {
        self.echoes.by_address.values()
    }

    /// Returns the addresses whose answer was held and is to change.
    pub fn held_echoes(&self) -> impl Iterator<Item = Address> {
        self.echoes().filter(|echo| echo.answer != echo.wanted).map(|echo| echo.address)
    }

    /// Returns what clients would have sent for `key` to be a NAT server's answer to a ping that an
    /// echo policy sent there.
    pub(crate) fn echo_requests(&self, key: &Key) -> impl Iterator<Item = Key> {
        let request = if key.protocol.is_icmp() { key.reversed() } else { None };
        let addresses = request.and_then(|_| self.echoes.by_nat_server.get(&key.src));
        addresses
            .into_iter()
            .flatten()
            .filter_map(move |address| request.map(|request| Key { dst: *address, ..request }))
    }
}

/// What of a draft concerns echo policies.
#[derive(Clone, Debug, Default)]
pub(super) struct EchoChanges {
    /// Addresses whose policy or services have changed.
    touched: HashSet<Address, MapHash>,
    held: HashSet<Address, MapHash>,
}

impl EchoChanges {
    /// Notes that a service has changed.
    pub(super) fn touch(&mut self, key: &ServiceKey) {
        if let ServiceKey::Virtual(key) = key {
            self.touched.insert(key.address);
        }
    }
}

impl Draft {
    /// Sets the echo policy of an address, which need not be ours yet.
    ///
    /// # Errors
    /// `Invalid` for an address that no host may have, `Range` for a quorum of 0.
    pub fn set_echo(&mut self, address: Address, policy: EchoPolicy) -> Result<(), Refusal> {
        self.echo_mut(address, policy)?.came_with_service = false;
        Ok(())
    }

    /// Sets the echo policy that came with a service of the address. It goes with
    /// [`Draft::flush_services`], unless the address had one of its own.
    ///
    /// # Errors
    /// As [`Draft::set_echo`].
    pub fn set_echo_with_service(
        &mut self,
        address: Address,
        policy: EchoPolicy,
    ) -> Result<(), Refusal> {
        self.echo_mut(address, policy).map(|_| ())
    }

    fn echo_mut(&mut self, address: Address, policy: EchoPolicy) -> Result<&mut Echo, Refusal> {
        check_unicast(address, "address")?;
        if policy.rule == EchoRule::Quorum(0) {
            return Err(Refusal::new(RefusalKind::Range, "a quorum is at least 1").at("quorum"));
        }
        let new = || Echo {
            address,
            policy,
            came_with_service: true,
            answer: EchoAnswer::Drop,
            wanted: EchoAnswer::Drop,
            shares: Arc::default(),
            nat_servers: Arc::default(),
        };
        self.echoes.touched.insert(address);
        let echoes = Arc::make_mut(&mut self.tables.echoes);
        let echo = echoes.by_address.entry(address).or_insert_with(new);
        echo.policy = policy;
        Ok(echo)
    }

    /// Takes the policies away that came with services.
    pub(super) fn flush_echoes(&mut self) {
        if self.tables.echoes().any(|echo| echo.came_with_service) {
            let echoes = Arc::make_mut(&mut self.tables.echoes);
            echoes.by_address.retain(|_, echo| !echo.came_with_service);
            echoes.index_nat_servers();
        }
    }

    /// Takes the echo policy of an address away: it is answered as any.
    ///
    /// # Errors
    /// `NoDest` if it has none.
    pub fn del_echo(&mut self, address: Address) -> Result<(), Refusal> {
        if self.tables.echo(address).is_none() {
            let text = "the address has no echo policy";
            return Err(Refusal::new(RefusalKind::NoDest, text).at("address"));
        }
        let echoes = Arc::make_mut(&mut self.tables.echoes);
        echoes.by_address.remove(&address);
        echoes.index_nat_servers();
        Ok(())
    }

    /// Keeps the answer of an address as it is, whatever its services are like, until a later draft.
    pub fn hold_echo(&mut self, address: Address) {
        self.echoes.held.insert(address);
    }

    /// Works out the answers, as far as something has changed and they are not held.
    pub(super) fn settle_echoes(&mut self) {
        let EchoChanges { touched, held } = std::mem::take(&mut self.echoes);
        let mut views: HashMap<Address, View, MapHash> = touched
            .iter()
            .filter(|address| self.tables.echo(**address).is_some())
            .map(|address| (*address, View::default()))
            .collect();
        if !views.is_empty() {
            for service in self.tables.services() {
                if let Some(key) = service.key.virtual_()
                    && let Some(view) = views.get_mut(&key.address)
                {
                    view.add(service);
                }
            }
            let echoes = Arc::make_mut(&mut self.tables.echoes);
            for (address, view) in views {
                if let Some(echo) = echoes.by_address.get_mut(&address) {
                    view.apply(echo);
                }
            }
            echoes.index_nat_servers();
        }
        let is_due = |echo: &&Echo| echo.answer != echo.wanted && !held.contains(&echo.address);
        let due: Vec<Address> = self.tables.echoes().filter(is_due).map(|e| e.address).collect();
        for address in due {
            let echoes = Arc::make_mut(&mut self.tables.echoes);
            if let Some(echo) = echoes.by_address.get_mut(&address) {
                echo.answer = echo.wanted;
            }
        }
    }
}

impl Echoes {
    fn index_nat_servers(&mut self) {
        self.by_nat_server.clear();
        for echo in self.by_address.values() {
            for server in echo.nat_servers.iter() {
                self.by_nat_server.entry(*server).or_default().push(echo.address);
            }
        }
    }
}

/// How the services of an address are.
#[derive(Debug, Default)]
struct View {
    services: usize,
    servers: usize,
    /// Servers that are up in the service that has fewest of them.
    up_min: usize,
    /// Servers that are up, each once, with a service that it is a server of.
    up: Vec<(Address, ServiceId, DestId)>,
    nat_servers: Vec<Address>,
}

impl View {
    fn add(&mut self, service: &Service) {
        let up = service.dests.iter().filter(|dest| dest.settings.weight > 0);
        let up_count = up.clone().count();
        self.up_min = if self.services == 0 { up_count } else { self.up_min.min(up_count) };
        self.services += 1;
        self.servers += service.dests.len();
        self.up.extend(up.map(|dest| (dest.endpoint.address, service.id, dest.id)));
        // What a removed server still sends gets through.
        let known = service.dests.iter().chain(&service.removed);
        let nat = known.filter(|dest| dest.settings.forward == Forward::Nat);
        self.nat_servers.extend(nat.map(|dest| dest.endpoint.address));
    }

    fn apply(mut self, echo: &mut Echo) {
        echo.wanted = self.answer(echo);
        (echo.shares, echo.nat_servers) = (Arc::default(), Arc::default());
        if echo.policy.rule == EchoRule::Backend {
            self.up.sort_by_key(|(server, service, _)| (*server, service.slot));
            self.up.dedup_by_key(|(server, ..)| *server);
            echo.shares = deal(&self.up);
            self.nat_servers.sort_unstable();
            self.nat_servers.dedup();
            echo.nat_servers = self.nat_servers.into();
        }
    }

    fn answer(&self, echo: &Echo) -> EchoAnswer {
        let reply_if = |is_up| if is_up { EchoAnswer::Reply } else { echo.down_answer() };
        match echo.policy.rule {
            EchoRule::Never => EchoAnswer::Drop,
            EchoRule::Always => EchoAnswer::Reply,
            _ if self.services == 0 => EchoAnswer::Drop,
            EchoRule::AllUp => reply_if(self.up_min > 0),
            _ if self.servers == 0 => EchoAnswer::Drop,
            EchoRule::AnyUp => reply_if(!self.up.is_empty()),
            EchoRule::Quorum(least) => {
                reply_if(self.up_min >= usize::try_from(least).unwrap_or(usize::MAX))
            }
            EchoRule::Backend if self.up.is_empty() => echo.down_answer(),
            EchoRule::Backend => EchoAnswer::Backend,
        }
    }
}

/// Gives each share to the server whose hash with it is the greatest: when a server goes, no share
/// of the others moves.
fn deal(servers: &[(Address, ServiceId, DestId)]) -> Arc<[(ServiceId, DestId)]> {
    let rank = |address: Address, share| hash::of_server(Endpoint { address, port: 0 }, share);
    (0..SHARES)
        .filter_map(|share| servers.iter().max_by_key(|(server, ..)| rank(*server, share)))
        .map(|(_, service, dest)| (*service, *dest))
        .collect()
}
