// SPDX-License-Identifier: MIT OR Apache-2.0
//! Requests carried out: calls of the API, with what they return as messages.

use super::attributes::{Writer, command, top};
use super::listing::{Listing, What};
use super::message::{CONTROL_FAMILY, Generic, IPVS_FAMILY, Packets};
use super::request::{Ask, Request};
use super::{dest, errno, service};
use crate::api::{self, Session};
use crate::control::Control;
use crate::server::Peer;
use dpvs_api::types::{DestSpec, Empty, Forward, ServiceRef};
use dpvs_api::{Access, Call};
use netlink_packet_core::NetlinkHeader;
use nix::errno::Errno;

/// The version of IPVS that stock tools are shown: 1.2.1.
const VERSION: u32 = 0x0001_0201;

/// Carries out a request; returns the listing that it begins.
pub(super) fn answer(
    request: &Request,
    control: &mut Control,
    peer: Peer,
    session: &mut Session,
    packets: &mut Packets,
) -> Option<Listing> {
    let to = &request.header;
    let outcome = match &request.ask {
        Err(error) => Err(*error),
        Ok(ask) => carry_out(ask, to, control, peer, session, packets),
    };
    match outcome {
        Ok(Some(what)) => return Some(Listing::new(*to, what)),
        Ok(None) if request.wants_end() => packets.end(to, Ok(())),
        Ok(None) => {}
        Err(error) => packets.end(to, Err(error)),
    }
    None
}

fn carry_out(
    ask: &Ask,
    to: &NetlinkHeader,
    control: &mut Control,
    peer: Peer,
    session: &mut Session,
    packets: &mut Packets,
) -> Result<Option<What>, Errno> {
    let may_read = || peer.rights.check(Access::Read).map_err(|error| errno::of(&error));
    match ask {
        Ask::Nothing => return Ok(None),
        Ask::Family => packets.reply(to, family()),
        Ask::Call(call) => write(control, session, peer, Call::clone(call))?,
        Ask::EditDest(spec) => edit_dest(control, session, peer, spec.clone())?,
        Ask::Flush => flush(control, session, peer)?,
        Ask::Info => {
            may_read()?;
            packets.reply(to, info(control));
        }
        Ask::Timeouts => {
            may_read()?;
            packets.reply(to, timeouts(control));
        }
        Ask::Service(named) => {
            may_read()?;
            packets.reply(to, one_service(control, named)?);
        }
        Ask::Daemons => {
            may_read()?;
            packets.done(to);
            // A listing ends with that, and has no other end.
            return Ok(None);
        }
        Ask::Services => return may_read().map(|()| Some(What::Services)),
        Ask::Dests(service) => return may_read().map(|()| Some(What::Dests(service.clone()))),
        Ask::Connections => return may_read().map(|()| Some(What::Connections)),
    }
    Ok(None)
}

/// Carries out a write.
fn write(
    control: &mut Control,
    session: &mut Session,
    peer: Peer,
    call: Call,
) -> Result<(), Errno> {
    peer.call(control, session, call).map(drop).map_err(|error| errno::of(&error))
}

/// Edits a real server. A method that stock tools have no word for stays, where they say what they
/// were shown for it: `keepalived` would end full NAT with every new weight.
fn edit_dest(
    control: &mut Control,
    session: &mut Session,
    peer: Peer,
    mut spec: DestSpec,
) -> Result<(), Errno> {
    if let (Some(standing), Some(asked)) = (api::method_of(control.tables(), &spec), spec.forward)
        && matches!(standing, Forward::FullNat | Forward::Snat)
        && dest::means_the_same(asked, standing)
    {
        spec.forward = None;
    }
    write(control, session, peer, Call::DestSet(spec))
}

/// Removes all services that stock tools know, at once. Those that they are not shown stay: the
/// restore of what they have saved begins with this.
fn flush(control: &mut Control, session: &mut Session, peer: Peer) -> Result<(), Errno> {
    let all = api::service_keys(control.tables());
    if all.iter().all(service::is_known) {
        return write(control, session, peer, Call::ServiceFlush(Empty {}));
    }
    let call = Call::ServiceFlush(Empty {});
    let outcome = peer.change(call.name(), call.access(), || {
        let mut stage = control.stage();
        for service in all.into_iter().filter(service::is_known) {
            api::write(&mut stage, Call::ServiceDel(ServiceRef { service }))?;
        }
        stage.commit().map(drop).map_err(|(_, error)| error)
    });
    outcome.map_err(|error| errno::of(&error))
}

fn ipvs(command: u8, attributes: Writer) -> Generic {
    Generic { family: IPVS_FAMILY, command, version: 1, attributes: attributes.into_bytes() }
}

/// The family, as the kernel's own controller tells of it.
fn family() -> Generic {
    let mut own = Writer::default();
    own.u16(1, IPVS_FAMILY);
    own.text(2, "IPVS");
    own.u32(3, 1); // version
    own.u32(4, 0); // length of a header of its own
    own.u32(5, 6); // greatest attribute
    let attributes = own.into_bytes();
    Generic { family: CONTROL_FAMILY, command: 1, version: 2, attributes }
}

fn info(control: &Control) -> Generic {
    let size = api::system_info(control).conn_table_size;
    let mut own = Writer::default();
    own.u32(1, VERSION);
    own.u32(2, u32::try_from(size).unwrap_or(u32::MAX));
    ipvs(command::SET_INFO, own)
}

fn timeouts(control: &Control) -> Generic {
    let timeouts = api::get_timeouts(control.tables());
    let mut own = Writer::default();
    own.u32(top::TIMEOUT_TCP, timeouts.tcp);
    own.u32(top::TIMEOUT_TCP_FIN, timeouts.tcp_fin);
    own.u32(top::TIMEOUT_UDP, timeouts.udp);
    ipvs(command::SET_CONFIG, own)
}

fn one_service(control: &Control, named: &ServiceRef) -> Result<Generic, Errno> {
    let service = api::get_service(control, named).map_err(|error| errno::of(&error))?;
    let mut own = Writer::default();
    own.nest(top::SERVICE, &service::write(&service).ok_or(Errno::ESRCH)?);
    Ok(ipvs(command::NEW_SERVICE, own))
}
