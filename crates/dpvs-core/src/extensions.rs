// SPDX-License-Identifier: MIT OR Apache-2.0
//! Chains of IPv6 extension headers (RFC 8200 section 4).

use crate::wire::{Ipv6FragmentHeader, next_header, view};

/// Most IPv6 extension headers that are followed.
pub(crate) const EXTENSION_HEADERS_MAX: usize = 8;

/// Where a chain of IPv6 extension headers ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Chain {
    /// Where the upper layer starts.
    pub(crate) offset: usize,
    /// The upper layer's protocol.
    pub(crate) protocol: u8,
    /// Where the fragment header stands, if there is one.
    pub(crate) fragment_at: Option<usize>,
    /// It says that this is a part other than the first.
    pub(crate) is_later_fragment: bool,
}

/// A chain of extension headers that cannot be followed to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BrokenChain;

/// Follows the extension headers from `offset` on (RFC 8200 section 4).
///
/// # Errors
/// [`BrokenChain`] if a header does not fit or there are more than [`EXTENSION_HEADERS_MAX`].
pub(crate) fn walk_extensions(
    bytes: &[u8],
    offset: usize,
    first: u8,
) -> Result<Chain, BrokenChain> {
    let mut chain = Chain { offset, protocol: first, fragment_at: None, is_later_fragment: false };
    for _ in 0..=EXTENSION_HEADERS_MAX {
        let len = match chain.protocol {
            next_header::HOP_BY_HOP
            | next_header::ROUTING
            | next_header::DESTINATION
            | next_header::MOBILITY => {
                let [_, len]: &[u8; 2] = view(bytes, chain.offset).ok_or(BrokenChain)?;
                8 + 8 * usize::from(*len)
            }
            next_header::AUTHENTICATION => {
                let [_, len]: &[u8; 2] = view(bytes, chain.offset).ok_or(BrokenChain)?;
                8 + 4 * usize::from(*len)
            }
            next_header::FRAGMENT => {
                let header: &Ipv6FragmentHeader = view(bytes, chain.offset).ok_or(BrokenChain)?;
                chain.fragment_at = Some(chain.offset);
                chain.is_later_fragment |= header.offset_more.get() & 0xfff8 != 0;
                8
            }
            _ => return Ok(chain),
        };
        let [next]: &[u8; 1] = view(bytes, chain.offset).ok_or(BrokenChain)?;
        chain.protocol = *next;
        chain.offset += len;
        if chain.offset > bytes.len() {
            return Err(BrokenChain);
        }
        // What follows in a later fragment is data, not headers.
        if chain.is_later_fragment {
            return Ok(chain);
        }
    }
    Err(BrokenChain)
}
