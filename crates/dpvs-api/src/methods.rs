// SPDX-License-Identifier: MIT OR Apache-2.0
//! Every method once: its name, parameters, reply and who may call it.

use crate::types as t;
use crate::{ErrorCode, RpcError};
use schemars::{JsonSchema, schema_for};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};

/// Who may call a method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Readers and writers.
    Read,
    /// Root and the admin group. May stand in a transaction.
    Write,
    /// Root and the admin group. Not a change of the configuration, so not in a transaction.
    Operate,
}

/// A method of the API, as a type, so that a call and its reply fit together.
pub trait Method {
    /// The parameters' type.
    type Params: Serialize + DeserializeOwned + JsonSchema;
    /// The reply's type.
    type Reply: Serialize + DeserializeOwned + JsonSchema;
    /// The name on the wire, `object.verb`.
    const NAME: &'static str;
    /// Who may call it.
    const ACCESS: Access;
}

macro_rules! methods {
    ($( $(#[doc = $doc:literal])+ $name:literal $access:ident $variant:ident($params:ty) -> $reply:ty; )+) => {
        /// The methods as types, for [`Client::call`](crate::Client::call).
        pub mod method {
            use super::{Access, Method};
            use crate::types as t;
            $(
                $(#[doc = $doc])+
                #[derive(Clone, Copy, Debug)]
                pub struct $variant;
                impl Method for $variant {
                    type Params = $params;
                    type Reply = $reply;
                    const NAME: &'static str = $name;
                    const ACCESS: Access = Access::$access;
                }
            )+
        }

        /// A request that has been understood: a method with its parameters.
        #[derive(Clone, Debug)]
        pub enum Call {
            $( $(#[doc = $doc])+ $variant($params), )+
        }

        impl Call {
            /// Reads a method's parameters; absent ones count as an empty object.
            ///
            /// # Errors
            /// [`ErrorCode::MethodNotFound`], or [`ErrorCode::InvalidParams`] with the field's path.
            pub fn parse(method: &str, params: Option<&RawValue>) -> Result<Call, RpcError> {
                let params = params.map_or("{}", RawValue::get);
                match method {
                    $( $name => read(params).map(Call::$variant), )+
                    _ => Err(RpcError::new(
                        ErrorCode::MethodNotFound,
                        format!("no method {method:?}; system.describe lists them"),
                    )),
                }
            }

            /// Returns the method's name on the wire.
            pub fn name(&self) -> &'static str {
                match self { $( Call::$variant(_) => $name, )+ }
            }

            /// Writes it as a transaction has it.
            ///
            /// # Errors
            /// If the parameters cannot be written as JSON.
            pub fn to_write(&self) -> serde_json::Result<t::WriteSpec> {
                let params = match self { $( Call::$variant(params) => to_raw_value(params), )+ }?;
                Ok(t::WriteSpec { method: self.name().to_owned(), params })
            }

            /// Returns who may call it.
            pub fn access(&self) -> Access {
                match self { $( Call::$variant(_) => Access::$access, )+ }
            }
        }

        /// Returns all methods with their descriptions and JSON schemas, made from the types.
        pub fn describe() -> t::Description {
            t::Description {
                methods: vec![ $( t::MethodDescription {
                    name: $name.to_owned(),
                    description: [ $($doc),+ ].concat().trim().to_owned(),
                    access: format!("{:?}", Access::$access).to_lowercase(),
                    params: schema_for!($params).to_value(),
                    reply: schema_for!($reply).to_value(),
                }, )+ ],
            }
        }
    };
}

methods! {
    /// Adds a service; refuses one that stands.
    "service.add" Write ServiceAdd(t::ServiceSpec) -> t::Written;
    /// Makes a service so, whatever stood; its real servers and local addresses stay.
    "service.replace" Write ServiceReplace(t::ServiceSpec) -> t::Written;
    /// Changes the given attributes of a service and keeps the others.
    "service.set" Write ServiceSet(t::ServiceSpec) -> t::Written;
    /// Removes a service with its real servers.
    "service.del" Write ServiceDel(t::ServiceRef) -> t::Written;
    /// Removes all services.
    "service.flush" Write ServiceFlush(t::Empty) -> t::Written;
    /// Returns one service with its real servers.
    "service.get" Read ServiceGet(t::ServiceRef) -> t::Service;
    /// Lists services with their real servers and local addresses, by pages.
    "service.list" Read ServiceList(t::ServiceListParams) -> t::ServicePage;
    /// Sets the counters of a service, or of all, to zero.
    "service.zero" Operate ServiceZero(t::ServiceSelector) -> t::Written;
    /// Adds a real server to a service; refuses one that stands.
    "dest.add" Write DestAdd(t::DestSpec) -> t::Written;
    /// Makes a real server so, whatever stood.
    "dest.replace" Write DestReplace(t::DestSpec) -> t::Written;
    /// Changes the given attributes of a real server and keeps the others.
    "dest.set" Write DestSet(t::DestSpec) -> t::Written;
    /// Removes a real server.
    "dest.del" Write DestDel(t::DestRef) -> t::Written;
    /// Adds a local address of full NAT to a service, and to the interface where it is missing.
    "laddr.add" Write LaddrAdd(t::LaddrSpec) -> t::Written;
    /// Removes a local address, and from the interface where `laddr.add` brought it.
    "laddr.del" Write LaddrDel(t::LaddrSpec) -> t::Written;
    /// Lists the local addresses of a service, or of all, by pages.
    "laddr.list" Read LaddrList(t::LaddrListParams) -> t::LaddrList;
    /// Puts a client on the black list of a service: it may not connect.
    "blacklist.add" Write BlacklistAdd(t::AccessSpec) -> t::Written;
    /// Takes a client off the black list of a service.
    "blacklist.del" Write BlacklistDel(t::AccessSpec) -> t::Written;
    /// Lists the clients on black lists, by pages.
    "blacklist.list" Read BlacklistList(t::AccessListParams) -> t::AccessPage;
    /// Puts a client on the white list of a service: if it has any, no others may connect.
    "whitelist.add" Write WhitelistAdd(t::AccessSpec) -> t::Written;
    /// Takes a client off the white list of a service.
    "whitelist.del" Write WhitelistDel(t::AccessSpec) -> t::Written;
    /// Lists the clients on white lists, by pages.
    "whitelist.list" Read WhitelistList(t::AccessListParams) -> t::AccessPage;
    /// Sets the echo policy of an address, whatever stood.
    "echo.set" Write EchoSet(t::EchoSpec) -> t::Written;
    /// Takes the echo policy of an address away.
    "echo.del" Write EchoDel(t::EchoRef) -> t::Written;
    /// Lists echo policies, with what they come to.
    "echo.list" Read EchoList(t::Empty) -> t::EchoList;
    /// Lists connections by pages, with a filter.
    "conn.list" Read ConnList(t::ConnListParams) -> t::ConnPage;
    /// Removes all connections.
    "conn.flush" Operate ConnFlush(t::Empty) -> t::Written;
    /// Returns the timeouts of idle connections.
    "timeout.get" Read TimeoutGet(t::Empty) -> t::Timeouts;
    /// Changes timeouts of idle connections.
    "timeout.set" Write TimeoutSet(t::TimeoutSpec) -> t::Written;
    /// Adds an address to a port; refuses one that stands.
    "addr.add" Write AddrAdd(t::AddrSpec) -> t::Written;
    /// Makes an address stand on a port, whether or not it stood.
    "addr.replace" Write AddrReplace(t::AddrSpec) -> t::Written;
    /// Removes an address from a port.
    "addr.del" Write AddrDel(t::AddrRef) -> t::Written;
    /// Removes all addresses of a port.
    "addr.flush" Write AddrFlush(t::DeviceRef) -> t::Written;
    /// Lists addresses.
    "addr.list" Read AddrList(t::DeviceFilter) -> t::AddrList;
    /// Adds a route; refuses one that stands.
    "route.add" Write RouteAdd(t::RouteSpec) -> t::Written;
    /// Makes a route so, whatever stood.
    "route.replace" Write RouteReplace(t::RouteSpec) -> t::Written;
    /// Removes a route.
    "route.del" Write RouteDel(t::RouteSpec) -> t::Written;
    /// Removes all static routes of a port.
    "route.flush" Write RouteFlush(t::DeviceRef) -> t::Written;
    /// Lists routes, the connected and local ones included.
    "route.list" Read RouteList(t::DeviceFilter) -> t::RouteList;
    /// Adds a static neighbour; refuses one that stands.
    "neigh.add" Write NeighAdd(t::NeighSpec) -> t::Written;
    /// Makes a static neighbour so, whatever stood.
    "neigh.replace" Write NeighReplace(t::NeighSpec) -> t::Written;
    /// Removes a static or learned neighbour.
    "neigh.del" Write NeighDel(t::NeighRef) -> t::Written;
    /// Lists static and learned neighbours.
    "neigh.list" Read NeighList(t::DeviceFilter) -> t::NeighList;
    /// Lists ports with their state and counters.
    "link.list" Read LinkList(t::DeviceFilter) -> t::LinkList;
    /// Changes the given settings of a port.
    "link.set" Write LinkSet(t::LinkSpec) -> t::Written;
    /// Lists the dropped frames by reason.
    "drop.list" Read DropList(t::Empty) -> t::DropList;
    /// Returns the counters of the ICMP code and of the workers.
    "stats.get" Read StatsGet(t::Empty) -> t::DataplaneStats;
    /// Returns the counters of ICMP, and the limits and switches in force.
    "icmp.get" Read IcmpGet(t::Empty) -> t::IcmpStatus;
    /// Lists the real servers that ICMP errors were about, those with most of them first.
    "icmp.servers" Read IcmpServers(t::IcmpServersParams) -> t::IcmpServers;
    /// Lists what became of the last ICMP errors, and why: newest last.
    "icmp.decisions" Read IcmpDecisions(t::IcmpDecisionsParams) -> t::IcmpDecisions;
    /// Returns what runs here: version, sizes, generation.
    "system.info" Read SystemInfo(t::Empty) -> t::SystemInfo;
    /// Answers, once every worker has answered.
    "system.ping" Read SystemPing(t::Empty) -> t::Empty;
    /// Returns all methods with their JSON schemas.
    "system.describe" Read SystemDescribe(t::Empty) -> t::Description;
    /// Ends the daemon as SIGTERM does.
    "system.shutdown" Operate SystemShutdown(t::Empty) -> t::Empty;
    /// Applies a list of writes whole or not at all.
    "transaction" Operate Transaction(t::TransactionSpec) -> t::Written;
    /// Makes the whole configuration so: only what differs is written, whole or not at all.
    "config.apply" Operate ConfigApply(t::ConfigApplyParams) -> t::ConfigApplied;
    /// Returns the whole configuration by pages, as `config.apply` takes it.
    "config.get" Read ConfigGet(t::ConfigGetParams) -> t::ConfigPage;
}

/// Reads parameters straight into their type. Only where that fails they are made a document, in
/// which the field at fault can be named.
fn read<T: DeserializeOwned>(params: &str) -> Result<T, RpcError> {
    let invalid = |text: String| RpcError::new(ErrorCode::InvalidParams, text);
    if !params.starts_with('{') {
        return Err(invalid("params is an object with names".to_owned()));
    }
    if let Ok(params) = serde_json::from_str(params) {
        return Ok(params);
    }
    let document: Value = serde_json::from_str(params).map_err(|e| invalid(e.to_string()))?;
    serde_path_to_error::deserialize(document).map_err(|e| {
        let path = e.path().to_string();
        let error = invalid(e.into_inner().to_string());
        if path == "." { error } else { error.at(path) }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn describe_lists_every_method_with_schemas_of_objects() {
        let all = describe().methods;
        assert!(all.len() > 30);
        for method in all {
            assert_eq!(method.params["type"], "object", "{}", method.name);
            assert!(!method.description.is_empty());
        }
    }

    #[test]
    fn an_unknown_field_is_named() {
        let params = RawValue::from_string("{\"nonsense\":1}".to_owned()).unwrap();
        let error = Call::parse("system.ping", Some(&params)).unwrap_err();
        assert_eq!(error.code, -32602);
        assert!(error.message.contains("nonsense"), "{error}");
    }
}
