// SPDX-License-Identifier: MIT OR Apache-2.0
//! The options whose value is all that matters: where they stand does not.

use super::{Mask, State};
use crate::address::parse_host_v4;
use crate::invocation::{AccessList, Format};
use crate::listopts::ListEntry;
use crate::numbers::{atoi, number_in};
use crate::options::Id;
use crate::popt::parse_c_integer;
use crate::{Failure, echo, listopts};
use dpvs_api::types::{Family, Forward, Protocol, TunnelType};

const INT_MAX: u32 = 2_147_483_647;
/// Longest scheduler name that the kernel takes.
const SCHEDULER_BYTES_MAX: usize = 15;

impl State<'_> {
    pub(super) fn service_option(&mut self, id: Id, value: &[u8]) -> Result<(), Failure> {
        match id {
            Id::Scheduler => {
                let name = value.get(..SCHEDULER_BYTES_MAX).unwrap_or(value);
                self.scheduler = String::from_utf8_lossy(name).into_owned();
            }
            Id::SchedFlags => self.flags = Some(value.to_vec()),
            Id::Pe => self.pe = String::from_utf8_lossy(value).into_owned(),
            Id::Netmask => self.mask = self.netmask(value)?,
            Id::Synproxy => self.synproxy = Some(listopts::parse_synproxy(value)?),
            Id::HashTarget => self.hash_target = Some(self.parse_hash_target(value)?),
            Id::Quic | Id::ExpireQuiescent | Id::Ops => {}
            Id::ConnTimeout => {
                let seconds = parse_c_integer(value).ok().and_then(|s| u32::try_from(s).ok());
                let bad = || Failure::scan(value, "invalid numeric value");
                self.conn_timeout = Some(seconds.ok_or_else(bad)?);
            }
            Id::ProxyProtocol => self.proxy_protocol = Some(listopts::parse_proxy_protocol(value)),
            Id::DestCheck => self.dest_check.get_or_insert_default().add(value)?,
            Id::IcmpEcho => self.icmp_echo = Some(echo::parse(value)?),
            _ => return self.server_option(id, value),
        }
        if matches!(id, Id::Quic | Id::ConnTimeout | Id::ProxyProtocol | Id::DestCheck) {
            self.bitless.push(id);
        }
        Ok(())
    }

    fn netmask(&self, text: &[u8]) -> Result<Mask, Failure> {
        if self.family == Some(Family::Inet6) {
            let length = u8::try_from(atoi(text)).ok().filter(|length| (1..=128).contains(length));
            let bad = || Failure::usage("illegal ipv6 netmask specified");
            return length.map(Mask::V6).ok_or_else(bad);
        }
        let mask = std::str::from_utf8(text).ok().and_then(|text| parse_host_v4(text, self.names));
        let bad = || Failure::usage("illegal virtual server persistent mask specified");
        mask.map(Mask::V4).ok_or_else(bad)
    }

    fn parse_hash_target(&self, text: &[u8]) -> Result<String, Failure> {
        if !self.scheduler.starts_with("conhash") {
            return Err(Failure::usage("hash target can only be set when schedule is conhash\n"));
        }
        if text.starts_with(b"sip") {
            return Ok("sip".to_owned());
        }
        if !text.starts_with(b"qid") {
            return Err(Failure::usage("hash target not support\n"));
        }
        if self.protocol != Some(Protocol::Udp) {
            return Err(Failure::usage("qid hash can only be set in udp service\n"));
        }
        Ok("qid".to_owned())
    }

    fn parse_entry(&self, text: &[u8], list: AccessList) -> Result<ListEntry, Failure> {
        listopts::parse_list_entry(text, list, self.names)
    }

    fn server_option(&mut self, id: Id, value: &[u8]) -> Result<(), Failure> {
        match id {
            Id::Gatewaying => self.forward = Some(Forward::Direct),
            Id::Ipip => self.forward = Some(Forward::Tunnel),
            Id::Masquerading => self.forward = Some(Forward::Nat),
            Id::Fullnat => self.forward = Some(Forward::FullNat),
            Id::Snat => self.forward = Some(Forward::Snat),
            Id::Weight => self.weight = number(value, 0, 65535, "illegal weight specified")?,
            Id::UThreshold => {
                self.upper = number(value, 0, INT_MAX, "illegal u_threshold specified")?;
            }
            Id::LThreshold => {
                self.lower = number(value, 0, INT_MAX, "illegal l_threshold specified")?;
            }
            Id::TunType => {
                self.tunnel = match value {
                    b"ipip" => TunnelType::Ipip,
                    b"gue" => TunnelType::Gue,
                    b"gre" => TunnelType::Gre,
                    _ => return Err(Failure::usage("illegal tunnel type specified")),
                };
            }
            Id::TunPort => {
                let port = number(value, 1, 65535, "illegal tunnel port specified")?;
                self.tunnel_port = u16::try_from(port).unwrap_or(0);
            }
            _ => return self.listing_option(id, value),
        }
        Ok(())
    }

    fn listing_option(&mut self, id: Id, value: &[u8]) -> Result<(), Failure> {
        match id {
            Id::Sockpair => self.sockpair = Some(listopts::parse_sockpair(value)?),
            // Bits beyond 8 are cut, as DPVS does.
            Id::Cpu => self.cpu = u8::try_from(atoi(value) & 0xff).ok(),
            Id::Syncid => {
                number(value, 0, 255, "illegal syncid specified")?;
            }
            Id::McastGroup => listopts::check_mcast_group(value)?,
            Id::McastPort => {
                number(value, 1, 65535, "illegal mcast-port specified")?;
            }
            Id::McastTtl => {
                number(value, 1, 255, "illegal mcast-ttl specified")?;
            }
            Id::SyncMaxlen => {
                number(value, 1, 65507, "illegal sync-maxlen specified")?;
            }
            Id::Blklst => self.list_entry = Some(self.parse_entry(value, AccessList::Black)?),
            Id::Whtlst => self.list_entry = Some(self.parse_entry(value, AccessList::White)?),
            Id::Ifname => self.ifname = String::from_utf8_lossy(value).into_owned(),
            Id::Json => self.format = Some(Format::Json),
            Id::Format => {
                let bad = || Failure::usage_quoting("invalid format `", value, "' specified");
                self.format = Some(Format::from_name(value).ok_or_else(bad)?);
            }
            // The rest are switches, whose column says it all.
            _ => {}
        }
        Ok(())
    }
}

fn number(text: &[u8], min: u32, max: u32, error: &str) -> Result<u32, Failure> {
    number_in(text, min, max).ok_or_else(|| Failure::usage(error))
}
