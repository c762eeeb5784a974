// SPDX-License-Identifier: MIT OR Apache-2.0
//! The services of a configuration, against those that stand.

use super::difference::{Difference, place, twice};
use super::under;
use crate::api::attributes::settings;
use crate::api::convert::{address, device, device_name, error};
use crate::api::keys::{service_key, wire_key};
use crate::api::{dests, echo};
use dpvs_api::types::{
    self as wire, AccessSpec, DestRef, DestSpec, LaddrSpec, ServiceConfig, ServiceRef, ServiceSpec,
};
use dpvs_api::{Call, ErrorCode, RpcError};
use dpvs_core::PortId;
use dpvs_core::key::{Address, Endpoint};
use dpvs_core::tables::{
    AccessList, Dest, DestSettings, Service, ServiceKey, ServiceSettings, Tables,
};
use std::collections::{HashMap, HashSet};

/// Makes a write of a client on a list.
type AccessCall = fn(AccessSpec) -> Call;

/// A service as it is to be.
struct Wanted {
    place: String,
    key: ServiceKey,
    spec: ServiceSpec,
    settings: ServiceSettings,
    dests: Vec<(Endpoint, DestSettings, DestSpec)>,
    endpoints: HashSet<Endpoint>,
    laddrs: HashMap<Address, PortId>,
    laddr_specs: Vec<LaddrSpec>,
    denied: HashSet<Address>,
    allowed: HashSet<Address>,
}

/// All services as they are to be.
pub(super) struct Services {
    rows: Vec<Wanted>,
    index: HashMap<ServiceKey, usize>,
}

impl Services {
    /// Reads them. Nothing is compared yet, but what no configuration could have is refused.
    pub(super) fn read(tables: &Tables, configs: Vec<ServiceConfig>) -> Result<Self, RpcError> {
        let mut services = Services { rows: Vec::new(), index: HashMap::new() };
        for (at, config) in configs.into_iter().enumerate() {
            services.read_one(tables, config, &place("services", at))?;
        }
        Ok(services)
    }

    fn read_one(
        &mut self,
        tables: &Tables,
        config: ServiceConfig,
        place: &str,
    ) -> Result<(), RpcError> {
        let ServiceConfig { spec, dests, laddrs, blacklist, whitelist } = config;
        let key = service_key(tables, &spec.service).map_err(under(place))?;
        let rows = &mut self.rows;
        let at = *self.index.entry(key).or_insert(rows.len());
        if at == rows.len() {
            let settings = settings(&spec, &key, None).map_err(under(place))?;
            rows.push(Wanted::new(place.to_owned(), key, spec.clone(), settings));
        }
        let Some(wanted) = rows.get_mut(at) else { return Ok(()) };
        if wanted.spec != spec {
            let text = "this service is listed before with other attributes";
            return Err(error(ErrorCode::Invalid, text, place));
        }
        wanted.dests(dests, place)?;
        wanted.laddrs(tables, laddrs, place)?;
        for (list, clients, name) in [
            (&mut wanted.denied, blacklist, "blacklist"),
            (&mut wanted.allowed, whitelist, "whitelist"),
        ] {
            for (at, client) in clients.into_iter().enumerate() {
                let place = format!("{place}.{name}[{at}]");
                let client = address(client, "address").map_err(under(&place))?;
                if !list.insert(client) {
                    return Err(twice(&place));
                }
            }
        }
        Ok(())
    }

    /// Returns the addresses whose echo policy a service names.
    pub(super) fn echo_addresses(&self) -> HashSet<Address> {
        let named = self.rows.iter().filter(|row| row.spec.icmp_echo.is_some());
        named.filter_map(|row| row.key.virtual_()).map(|key| key.address).collect()
    }

    /// Takes away what is not among them.
    pub(super) fn remove_others(
        &self,
        difference: &mut Difference<'_, '_>,
    ) -> Result<(), RpcError> {
        let mut calls = Vec::new();
        let tables = difference.stage.tables();
        for service in tables.services() {
            let name = wire_key(tables, &service.key);
            match self.index.get(&service.key).and_then(|at| self.rows.get(*at)) {
                None => calls.push(Call::ServiceDel(ServiceRef { service: name })),
                Some(wanted) => wanted.remove_others(tables, service, &name, &mut calls),
            }
        }
        for call in calls {
            difference.write(call, "config.services")?;
        }
        Ok(())
    }

    /// Makes what is missing or otherwise.
    pub(super) fn make(self, difference: &mut Difference<'_, '_>) -> Result<(), RpcError> {
        for wanted in self.rows {
            wanted.make(difference)?;
        }
        Ok(())
    }
}

impl Wanted {
    fn new(place: String, key: ServiceKey, spec: ServiceSpec, settings: ServiceSettings) -> Self {
        Wanted {
            place,
            key,
            spec,
            settings,
            dests: Vec::new(),
            endpoints: HashSet::new(),
            laddrs: HashMap::new(),
            laddr_specs: Vec::new(),
            denied: HashSet::new(),
            allowed: HashSet::new(),
        }
    }

    fn dests(&mut self, configs: Vec<wire::DestConfig>, place: &str) -> Result<(), RpcError> {
        for (at, config) in configs.into_iter().enumerate() {
            let place = format!("{place}.dests[{at}]");
            let endpoint = dests::endpoint(config.address, config.port).map_err(under(&place))?;
            let spec = config.of(self.spec.service.clone());
            let settings = dests::settings(&spec, dests::DEFAULT).map_err(under(&place))?;
            if !self.endpoints.insert(endpoint) {
                return Err(twice(&place));
            }
            self.dests.push((endpoint, settings, spec));
        }
        Ok(())
    }

    fn laddrs(
        &mut self,
        tables: &Tables,
        configs: Vec<wire::LaddrConfig>,
        place: &str,
    ) -> Result<(), RpcError> {
        for (at, config) in configs.into_iter().enumerate() {
            let place = format!("{place}.laddrs[{at}]");
            let local = address(config.address, "address").map_err(under(&place))?;
            let port = device(tables, &config.device).map_err(under(&place))?.id;
            if self.laddrs.insert(local, port).is_some() {
                return Err(twice(&place));
            }
            let service = self.spec.service.clone();
            let wire::LaddrConfig { address, device } = config;
            self.laddr_specs.push(LaddrSpec { service, address, device });
        }
        Ok(())
    }

    fn remove_others(
        &self,
        tables: &Tables,
        standing: &Service,
        name: &wire::ServiceKey,
        calls: &mut Vec<Call>,
    ) {
        let is_over = |dest: &&Dest| !self.endpoints.contains(&dest.endpoint);
        calls.extend(standing.dests.iter().filter(is_over).map(|dest| {
            let Endpoint { address, port } = dest.endpoint;
            Call::DestDel(DestRef { service: name.clone(), address: address.ip(), port })
        }));
        for laddr in &standing.laddrs {
            if self.laddrs.get(&laddr.address) != Some(&laddr.port) {
                calls.push(Call::LaddrDel(LaddrSpec {
                    service: name.clone(),
                    address: laddr.address.ip(),
                    device: device_name(tables, laddr.port),
                }));
            }
        }
        let lists: [(_, _, AccessCall); 2] = [
            (AccessList::Black, &self.denied, Call::BlacklistDel),
            (AccessList::White, &self.allowed, Call::WhitelistDel),
        ];
        for (list, wanted, call) in lists {
            let clients = standing.access.clients(list);
            let over = clients.into_iter().filter(|client| !wanted.contains(client));
            calls.extend(over.map(|client| access(name, client, call)));
        }
    }

    fn make(self, difference: &mut Difference<'_, '_>) -> Result<(), RpcError> {
        let mut calls = Vec::new();
        let tables = difference.stage.tables();
        let standing = tables.service(&self.key);
        let name = &self.spec.service;
        match standing {
            None => calls.push(Call::ServiceAdd(self.spec.clone())),
            Some(standing) => {
                let echo = self.spec.icmp_echo;
                let has_echo = echo.is_none() || echo == echo::of_service(tables, &self.key);
                if standing.settings != self.settings || !has_echo {
                    calls.push(Call::ServiceReplace(self.spec.clone()));
                }
            }
        }
        let dests: HashMap<Endpoint, DestSettings> = standing
            .map(|s| s.dests.iter().map(|dest| (dest.endpoint, dest.settings)).collect())
            .unwrap_or_default();
        for (endpoint, settings, spec) in self.dests {
            match dests.get(&endpoint) {
                Some(standing) if *standing == settings => {}
                Some(_) => calls.push(Call::DestReplace(spec)),
                None => calls.push(Call::DestAdd(spec)),
            }
        }
        let has_laddr = |spec: &LaddrSpec| {
            let local = Address::from(spec.address);
            standing.is_some_and(|s| s.laddrs.iter().any(|laddr| laddr.address == local))
        };
        calls.extend(self.laddr_specs.into_iter().filter(|s| !has_laddr(s)).map(Call::LaddrAdd));
        let lists: [(_, _, AccessCall); 2] = [
            (AccessList::Black, self.denied, Call::BlacklistAdd),
            (AccessList::White, self.allowed, Call::WhitelistAdd),
        ];
        for (list, mut wanted, call) in lists {
            for client in standing.map(|s| s.access.clients(list)).unwrap_or_default() {
                wanted.remove(&client);
            }
            let mut missing: Vec<Address> = wanted.into_iter().collect();
            missing.sort_unstable();
            calls.extend(missing.into_iter().map(|client| access(name, client, call)));
        }
        for call in calls {
            difference.write(call, &self.place)?;
        }
        Ok(())
    }
}

fn access(service: &wire::ServiceKey, client: Address, call: AccessCall) -> Call {
    call(AccessSpec { service: service.clone(), address: client.ip() })
}
