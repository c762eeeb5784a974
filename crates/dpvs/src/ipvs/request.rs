// SPDX-License-Identifier: MIT OR Apache-2.0
//! Packets of a client, read: what is asked for, as calls of the API where there is one.

use super::attributes::{Attributes, command, top};
use super::message::{CONTROL_FAMILY, Generic, HEADER_LEN, IPVS_FAMILY};
use super::{dest, service};
use dpvs_api::Call;
use dpvs_api::types::{
    DestSpec, ServiceKey, ServiceRef, ServiceSelector, ServiceSpec, TimeoutSpec,
};
use netlink_packet_core::{
    Emitable as _, NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST, NetlinkBuffer, NetlinkDeserializable as _,
    NetlinkHeader, Parseable as _,
};
use nix::errno::Errno;

/// The numbers of messages that are about messages.
const CONTROL_TYPES_END: u16 = 0x10;
/// The command that asks for a family, and the attribute that names it.
const GET_FAMILY: u8 = 3;
const FAMILY_NAME: u16 = 2;
/// The family that is served.
const FAMILY: &str = "IPVS";

/// What a message asks for.
#[derive(Clone, Debug)]
pub enum Ask {
    /// Nothing, but to be answered.
    Nothing,
    /// The number of the family.
    Family,
    /// Version and size of the connection table.
    Info,
    /// The timeouts.
    Timeouts,
    /// All services.
    Services,
    /// One service.
    Service(ServiceRef),
    /// The real servers of a service.
    Dests(ServiceKey),
    /// The synchronisation daemons, of which there are none.
    Daemons,
    /// The text of all connections.
    Connections,
    /// That no service be there that stock tools know.
    Flush,
    /// A real server to be edited.
    EditDest(DestSpec),
    /// Anything else that the API does.
    Call(Box<Call>),
}

/// A message of a client.
#[derive(Clone, Debug)]
pub struct Request {
    /// Its header, which answers refer to.
    pub header: NetlinkHeader,
    /// What it asks for, or why that is not to be had.
    pub ask: Result<Ask, Errno>,
}

impl Request {
    /// Returns whether its success is to be told.
    pub(super) fn wants_end(&self) -> bool {
        self.header.flags & NLM_F_ACK != 0
    }

    /// Makes the request of a packet that is too long to be read, if its header came.
    pub(super) fn too_long(packet: &[u8]) -> Option<Request> {
        let header = header(packet)?;
        Some(Request { header, ask: Err(Errno::EMSGSIZE) })
    }
}

/// Reads the messages of a packet. What has no header is nothing, as for the kernel.
pub fn decode(packet: &[u8]) -> Vec<Request> {
    let (mut rest, mut requests) = (packet, Vec::new());
    while let Some(header) = header(rest) {
        let len = usize::try_from(header.length).unwrap_or(usize::MAX);
        let message = rest.get(..len).filter(|_| len >= HEADER_LEN);
        let Some(payload) = message.and_then(|message| message.get(HEADER_LEN..)) else {
            // Nobody knows where the next one begins.
            requests.push(Request { header, ask: Err(Errno::EINVAL) });
            break;
        };
        // What is no request has no answer.
        if header.flags & NLM_F_REQUEST != 0 {
            requests.push(Request { header, ask: ask(&header, payload) });
        }
        rest = rest.get(len.next_multiple_of(4)..).unwrap_or_default();
    }
    requests
}

fn header(bytes: &[u8]) -> Option<NetlinkHeader> {
    let bytes = bytes.get(..HEADER_LEN)?;
    let header = NetlinkHeader::parse(&NetlinkBuffer::new(bytes)).ok()?;
    debug_assert_eq!(header.buffer_len(), HEADER_LEN, "the length of all headers");
    Some(header)
}

fn ask(header: &NetlinkHeader, payload: &[u8]) -> Result<Ask, Errno> {
    if header.message_type < CONTROL_TYPES_END {
        return Ok(Ask::Nothing);
    }
    let message = Generic::deserialize(header, payload).map_err(|_| Errno::EINVAL)?;
    let attributes = Attributes::parse(&message.attributes)?;
    let is_dump = header.flags & NLM_F_DUMP == NLM_F_DUMP;
    match message.family {
        CONTROL_FAMILY => ask_control(message.command, &attributes),
        IPVS_FAMILY if is_dump => ask_dump(message.command, &attributes),
        IPVS_FAMILY => ask_ipvs(message.command, &attributes),
        _ => Err(Errno::ENOENT),
    }
}

fn ask_control(command: u8, attributes: &Attributes<'_>) -> Result<Ask, Errno> {
    if command != GET_FAMILY {
        return Err(Errno::EOPNOTSUPP);
    }
    match attributes.text(FAMILY_NAME)?.as_deref() {
        Some(FAMILY) => Ok(Ask::Family),
        Some(_) => Err(Errno::ENOENT),
        None => Err(Errno::EINVAL),
    }
}

fn ask_dump(command: u8, attributes: &Attributes<'_>) -> Result<Ask, Errno> {
    match command {
        command::GET_SERVICE => Ok(Ask::Services),
        command::GET_DEST => Ok(Ask::Dests(service::key(&service_of(attributes)?)?)),
        command::GET_DAEMON => Ok(Ask::Daemons),
        command::GET_CONNECTIONS => Ok(Ask::Connections),
        _ => Err(Errno::EOPNOTSUPP),
    }
}

fn ask_ipvs(command: u8, attributes: &Attributes<'_>) -> Result<Ask, Errno> {
    match command {
        command::NEW_SERVICE => whole(attributes).map(Call::ServiceAdd).map(call),
        command::SET_SERVICE => whole(attributes).map(Call::ServiceSet).map(call),
        command::DEL_SERVICE => named(attributes).map(Call::ServiceDel).map(call),
        command::GET_SERVICE => named(attributes).map(Ask::Service),
        command::NEW_DEST => whole_dest(attributes).map(Call::DestAdd).map(call),
        command::SET_DEST => whole_dest(attributes).map(Ask::EditDest),
        command::DEL_DEST => {
            let key = service::key(&service_of(attributes)?)?;
            let family = service::family(&key);
            dest::named(key, family, &dest_of(attributes)?).map(Call::DestDel).map(call)
        }
        command::SET_CONFIG => Ok(call(Call::TimeoutSet(TimeoutSpec {
            tcp: attributes.u32(top::TIMEOUT_TCP)?,
            tcp_fin: attributes.u32(top::TIMEOUT_TCP_FIN)?,
            udp: attributes.u32(top::TIMEOUT_UDP)?,
            icmp: None,
        }))),
        command::GET_CONFIG => Ok(Ask::Timeouts),
        command::GET_INFO => Ok(Ask::Info),
        command::ZERO => {
            let named = attributes.nest(top::SERVICE)?.as_ref().map(service::key).transpose()?;
            Ok(call(Call::ServiceZero(ServiceSelector { service: named })))
        }
        command::FLUSH => Ok(Ask::Flush),
        // There is no synchronisation of connections.
        command::NEW_DAEMON | command::DEL_DAEMON => Err(Errno::ENOSYS),
        _ => Err(Errno::EOPNOTSUPP),
    }
}

fn call(call: Call) -> Ask {
    Ask::Call(Box::new(call))
}

fn service_of<'a>(attributes: &Attributes<'a>) -> Result<Attributes<'a>, Errno> {
    attributes.nest(top::SERVICE)?.ok_or(Errno::EINVAL)
}

fn dest_of<'a>(attributes: &Attributes<'a>) -> Result<Attributes<'a>, Errno> {
    attributes.nest(top::DEST)?.ok_or(Errno::EINVAL)
}

fn named(attributes: &Attributes<'_>) -> Result<ServiceRef, Errno> {
    Ok(ServiceRef { service: service::key(&service_of(attributes)?)? })
}

fn whole(attributes: &Attributes<'_>) -> Result<ServiceSpec, Errno> {
    service::spec(&service_of(attributes)?)
}

fn whole_dest(attributes: &Attributes<'_>) -> Result<DestSpec, Errno> {
    let key = service::key(&service_of(attributes)?)?;
    let family = service::family(&key);
    dest::spec(key, family, &dest_of(attributes)?)
}
