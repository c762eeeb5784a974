// SPDX-License-Identifier: MIT OR Apache-2.0
//! Headers as they stand on the wire. Big-endian integers exist only in here.
//!
//! A header is a `repr(C)` struct of bytes, read in place by [`view`] and changed by [`view_mut`]: both
//! check the bounds and give `None` beyond the frame. Nothing here interprets; `parse` and
//! `icmp::quote` do.

mod ethernet;
mod icmp;
mod ip;
mod ndp;
mod transport;
mod tunnel;

pub use ethernet::{ArpHeader, EtherType, EthernetHeader, VlanHeader};
pub use icmp::IcmpHeader;
pub use ip::{Ipv4Header, Ipv6FragmentHeader, Ipv6Header, next_header};
pub use ndp::NeighbourHeader;
pub use transport::{SctpHeader, TcpFlags, TcpHeader, UdpHeader};
pub use tunnel::{GreHeader, GueHeader};

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Reads the header of type `T` at `offset`; `None` if it does not fit.
#[inline]
pub fn view<T: FromBytes + KnownLayout + Immutable + zerocopy::Unaligned>(
    bytes: &[u8],
    offset: usize,
) -> Option<&T> {
    T::ref_from_prefix(bytes.get(offset..)?).ok().map(|(header, _)| header)
}

/// Reads the header of type `T` at `offset`, to be changed in place.
#[inline]
pub fn view_mut<T: FromBytes + IntoBytes + KnownLayout + zerocopy::Unaligned>(
    bytes: &mut [u8],
    offset: usize,
) -> Option<&mut T> {
    T::mut_from_prefix(bytes.get_mut(offset..)?).ok().map(|(header, _)| header)
}
