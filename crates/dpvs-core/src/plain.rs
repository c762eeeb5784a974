// SPDX-License-Identifier: MIT OR Apache-2.0
//! The packets that almost all are: TCP or UDP in IPv4 without options, whole, in an untagged frame.
//!
//! [`Plain::read`] accepts nothing that [`crate::parse`] would not, and reads the same of it: what is
//! not plain is read there. Everything stands at a fixed place, so one comparison of lengths is
//! enough for all of it.

use crate::checksum::{self, Delta};
use crate::key::Tuple;
use crate::net::{Mac, Protocol};
use crate::wire::{EtherType, EthernetHeader, Ipv4Header, TcpFlags, TcpHeader, UdpHeader};
use zerocopy::big_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Version 4, five words.
const VERSION_IHL: u8 = 0x45;

const ETHERNET_LEN: u16 = 14;

/// Where the transport header starts.
const L4: usize = EthernetHeader::LEN + Ipv4Header::LEN;

/// The headers of a plain packet.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct Headers<T> {
    ethernet: EthernetHeader,
    ip: Ipv4Header,
    transport: T,
}

/// A plain packet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plain {
    /// What its connection is found by.
    pub(crate) tuple: Tuple,
    /// Where the packet ends; at most the frame's length.
    pub(crate) end: u16,
    /// Control bits of TCP.
    pub(crate) flags: TcpFlags,
    /// Whether it may pass one more router.
    pub(crate) has_ttl: bool,
}

impl Plain {
    /// Reads a frame that came in by a port with link address `mac`; `None` if it is not plain, or
    /// not good.
    #[inline]
    pub(crate) fn read(bytes: &[u8], mac: Mac) -> Option<Plain> {
        let (headers, _) = Headers::<UdpHeader>::ref_from_prefix(bytes).ok()?;
        let Headers { ethernet, ip, transport } = headers;
        let is_plain = ethernet.dst == mac.0
            && ethernet.ether_type == U16::new(EtherType::IPV4)
            && ip.version_ihl == VERSION_IHL
            && !ip.is_fragment()
            && checksum::verifies(checksum::sum(ip.as_bytes()));
        let total_len = ip.total_len.get();
        let end = EthernetHeader::LEN + usize::from(total_len);
        if !is_plain || end > bytes.len() {
            return None;
        }
        let (protocol, flags) = match Protocol::from_number(ip.protocol)? {
            Protocol::Udp => {
                let len = usize::from(transport.len.get());
                if len < UdpHeader::LEN || L4 + len > end {
                    return None;
                }
                (Protocol::Udp, TcpFlags::default())
            }
            Protocol::Tcp => {
                let (headers, _) = Headers::<TcpHeader>::ref_from_prefix(bytes).ok()?;
                let len = headers.transport.header_len();
                if len < TcpHeader::LEN || L4 + len > end {
                    return None;
                }
                (Protocol::Tcp, headers.transport.flags)
            }
            _ => return None,
        };
        Some(Plain {
            tuple: Tuple {
                addresses: [u32::from_be_bytes(ip.src), u32::from_be_bytes(ip.dst)],
                ports: [transport.sport.get(), transport.dport.get()],
                protocol,
            },
            end: u16::try_from(end).ok()?,
            flags,
            has_ttl: ip.ttl > 1,
        })
    }

    /// Returns the length from the IP header on, in bytes.
    #[inline]
    pub(crate) fn len(&self) -> u16 {
        self.end.saturating_sub(ETHERNET_LEN)
    }

    /// Gives it the addresses and ports of `to`, and takes one from its time to live, as
    /// [`crate::forward::rewrite`] does. `None` only if it is not of this frame.
    #[inline]
    pub(crate) fn translate(&self, bytes: &mut [u8], to: &Tuple) -> Option<()> {
        let addresses = self.tuple.addresses.iter().zip(&to.addresses);
        let addresses =
            addresses.fold(Delta::default(), |sum, (old, new)| sum.and(Delta::pairs(*old, *new)));
        let all = addresses.and(Delta::pairs(self.tuple.port_pair(), to.port_pair()));
        let [sport, dport] = to.ports.map(U16::new);
        let ip = if self.tuple.protocol == Protocol::Udp {
            let (headers, _) = Headers::<UdpHeader>::mut_from_prefix(bytes).ok()?;
            let Headers { ip, transport, .. } = headers;
            (transport.sport, transport.dport) = (sport, dport);
            transport.checksum.update_udp(all);
            ip
        } else {
            let (headers, _) = Headers::<TcpHeader>::mut_from_prefix(bytes).ok()?;
            let Headers { ip, transport, .. } = headers;
            (transport.sport, transport.dport) = (sport, dport);
            transport.checksum.update(all);
            ip
        };
        (ip.src, ip.dst) = to.addresses.map(u32::to_be_bytes).into();
        let ttl = ip.less_ttl();
        ip.checksum.update(addresses.and(ttl));
        Some(())
    }
}
