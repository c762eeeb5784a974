// SPDX-License-Identifier: MIT OR Apache-2.0
//! Long answers: a page of the API's listing at a time, so that nobody else waits for the whole.

use super::attributes::{Writer, command, top};
use super::message::Packets;
use super::{conns, dest, errno, service};
use crate::api::{self, Session};
use crate::control::Control;
use dpvs_api::types::{ConnListParams, ServiceKey, ServiceListParams};
use dpvs_api::{ErrorCode, RpcError};
use netlink_packet_core::NetlinkHeader;

/// Most services and real servers of a page.
const ROWS: u32 = 256;
/// The attribute that the text of connections is in.
const TEXT: u16 = 1;

/// What is listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum What {
    Services,
    Dests(ServiceKey),
    Connections,
}

/// A listing that goes on.
#[derive(Clone, Debug)]
pub(super) struct Listing {
    to: NetlinkHeader,
    what: What,
    /// Where it goes on.
    cursor: Option<String>,
    /// The service that was listed last; it comes again where its real servers go on.
    last: Option<ServiceKey>,
}

impl Listing {
    pub(super) fn new(to: NetlinkHeader, what: What) -> Self {
        Listing { to, what, cursor: None, last: None }
    }

    /// Adds a page, and the end after the last one; returns what is left.
    pub(super) fn step(
        mut self,
        control: &mut Control,
        session: &mut Session,
        packets: &mut Packets,
    ) -> Option<Listing> {
        let outcome = match self.what.clone() {
            What::Services => self.services(control, session, packets),
            What::Dests(service) => self.dests(control, session, packets, service),
            What::Connections => self.connections(control, packets),
        };
        match outcome {
            Ok(Some(next)) => {
                self.cursor = Some(next);
                return Some(self);
            }
            Ok(None) => packets.done(&self.to),
            // As the kernel does it: a service that is gone meanwhile has no real servers.
            Err(error) if error.kind() == ErrorCode::NoService => packets.done(&self.to),
            Err(error) => packets.end(&self.to, Err(errno::of(&error))),
        }
        None
    }

    fn services(
        &mut self,
        control: &Control,
        session: &mut Session,
        packets: &mut Packets,
    ) -> Result<Option<String>, RpcError> {
        let cursor = self.cursor.take();
        let params = ServiceListParams { service: None, cursor, limit: Some(ROWS) };
        let page = api::list_services(control, session, &params)?;
        for one in page.services {
            if self.last.as_ref() == Some(&one.service) {
                continue;
            }
            if let Some(nest) = service::write(&one) {
                let mut own = Writer::default();
                own.nest(top::SERVICE, &nest);
                packets.list(&self.to, command::NEW_SERVICE, own);
            }
            self.last = Some(one.service);
        }
        Ok(page.next)
    }

    fn dests(
        &mut self,
        control: &Control,
        session: &mut Session,
        packets: &mut Packets,
        service: ServiceKey,
    ) -> Result<Option<String>, RpcError> {
        let cursor = self.cursor.take();
        let params = ServiceListParams { service: Some(service), cursor, limit: Some(ROWS) };
        let page = api::list_services(control, session, &params)?;
        for one in page.services.iter().flat_map(|service| &service.dests) {
            let mut own = Writer::default();
            own.nest(top::DEST, &dest::write(one));
            packets.list(&self.to, command::NEW_DEST, own);
        }
        Ok(page.next)
    }

    fn connections(
        &mut self,
        control: &mut Control,
        packets: &mut Packets,
    ) -> Result<Option<String>, RpcError> {
        let mut texts = conns::Texts::default();
        if self.cursor.is_none() {
            texts.add(conns::HEADER);
        }
        let params = ConnListParams { cursor: self.cursor.take(), ..ConnListParams::default() };
        let page = api::list_conns(control, &params)?;
        for conn in &page.connections {
            texts.add(&conns::row(conn));
        }
        for text in texts.0 {
            let mut own = Writer::default();
            own.bytes(TEXT, text.as_bytes());
            packets.list(&self.to, command::GET_CONNECTIONS, own);
        }
        Ok(page.next)
    }
}
