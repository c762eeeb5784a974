// SPDX-License-Identifier: MIT OR Apache-2.0
//! TCP states, as the balancer sees them between client and real server.
//!
//! What is tracked is the state of the *real server's* end (RFC 9293 section 3.3.2), guessed from
//! the packets both ways; the names are those that IPVS prints.
//!
//! ```text
//!            in SYN             in ACK                 out FIN          in FIN
//!   NONE ----------> SYN_RECV ----------> ESTABLISHED ---------> FIN_WAIT -----> TIME_WAIT
//!                                              | in FIN
//!                                              v          out FIN            in ACK
//!                                          CLOSE_WAIT --------------> LAST_ACK -------> CLOSE
//!   any: RST -> CLOSE;   in SYN in TIME_WAIT, CLOSE, LAST_ACK: a new connection, SYN_RECV
//! ```

use super::Direction;
use crate::tables::Timeouts;
use crate::wire::TcpFlags;

/// A state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TcpState {
    /// Nothing seen.
    None,
    /// The client's SYN seen; SYN and ACK may have gone back.
    SynRecv,
    /// The handshake is complete.
    Established,
    /// The server has closed its side.
    FinWait,
    /// Both sides have closed, the server first.
    TimeWait,
    /// Reset, or both sides closed and all acknowledged.
    Close,
    /// The client has closed its side.
    CloseWait,
    /// Both sides have closed, the client first.
    LastAck,
}

impl TcpState {
    /// Returns the name that IPVS prints.
    pub fn name(self) -> &'static str {
        match self {
            TcpState::None => "NONE",
            TcpState::SynRecv => "SYN_RECV",
            TcpState::Established => "ESTABLISHED",
            TcpState::FinWait => "FIN_WAIT",
            TcpState::TimeWait => "TIME_WAIT",
            TcpState::Close => "CLOSE",
            TcpState::CloseWait => "CLOSE_WAIT",
            TcpState::LastAck => "LAST_ACK",
        }
    }

    /// Returns whether a connection in this state counts as active.
    pub fn is_active(self) -> bool {
        self == TcpState::Established
    }

    /// Returns the idle timeout in milliseconds; the defaults are those of IPVS.
    pub fn timeout_ms(self, timeouts: &Timeouts) -> u32 {
        match self {
            TcpState::None => 2_000,
            TcpState::SynRecv | TcpState::CloseWait => 60_000,
            TcpState::Established => timeouts.tcp_ms,
            TcpState::FinWait => timeouts.tcp_fin_ms,
            TcpState::TimeWait => 120_000,
            TcpState::Close => 10_000,
            TcpState::LastAck => 30_000,
        }
    }

    /// Returns the state after a packet where only the client's packets are seen. Its FIN says that
    /// the end is near, whichever side closed first: `FIN_WAIT`, as IPVS shows it in direct routing.
    #[must_use]
    pub fn next_one_way(self, flags: TcpFlags) -> TcpState {
        use TcpState::{Close, Established, FinWait, None, SynRecv};
        let is_syn = flags.has(TcpFlags::SYN);
        match self {
            _ if flags.has(TcpFlags::RST) => Close,
            _ if flags.has(TcpFlags::FIN) => FinWait,
            None | FinWait | Close if is_syn => SynRecv,
            SynRecv if flags.has(TcpFlags::ACK) && !is_syn => Established,
            state => state,
        }
    }

    /// Returns the state after a packet.
    #[must_use]
    pub fn next(self, direction: Direction, flags: TcpFlags) -> TcpState {
        use Direction::{Inbound, Outbound};
        use TcpState::{Close, CloseWait, Established, FinWait, LastAck, None, SynRecv, TimeWait};
        if flags.has(TcpFlags::RST) {
            return Close;
        }
        let is_syn = flags.has(TcpFlags::SYN);
        let is_fin = flags.has(TcpFlags::FIN);
        match (self, direction) {
            (None | Close | TimeWait | LastAck, Inbound) if is_syn => SynRecv,
            (None | SynRecv | Established, Inbound) if is_fin => CloseWait,
            (SynRecv, Inbound) if flags.has(TcpFlags::ACK) && !is_syn => Established,
            (None | SynRecv | Established, Outbound) if is_fin => FinWait,
            (FinWait, Inbound) if is_fin => TimeWait,
            (CloseWait, Outbound) if is_fin => LastAck,
            (LastAck, Inbound) if flags.has(TcpFlags::ACK) => Close,
            (state, _) => state,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Direction::{Inbound, Outbound};

    const SYN: u8 = 0x02;
    const ACK: u8 = 0x10;
    const FIN_ACK: u8 = 0x11;
    const RST: u8 = 0x04;

    fn run(packets: &[(Direction, u8)]) -> Vec<&'static str> {
        let mut state = TcpState::None;
        packets
            .iter()
            .map(|(direction, flags)| {
                state = state.next(*direction, TcpFlags(*flags));
                state.name()
            })
            .collect()
    }

    #[test]
    fn a_connection_that_the_client_closes() {
        let states = run(&[
            (Inbound, SYN),
            (Outbound, SYN | ACK),
            (Inbound, ACK),
            (Inbound, FIN_ACK),
            (Outbound, ACK),
            (Outbound, FIN_ACK),
            (Inbound, ACK),
        ]);
        assert_eq!(
            states,
            [
                "SYN_RECV",
                "SYN_RECV",
                "ESTABLISHED",
                "CLOSE_WAIT",
                "CLOSE_WAIT",
                "LAST_ACK",
                "CLOSE"
            ]
        );
    }

    #[test]
    fn a_connection_that_the_server_closes_and_the_client_opens_again() {
        let states = run(&[
            (Inbound, SYN),
            (Inbound, ACK),
            (Outbound, FIN_ACK),
            (Inbound, ACK),
            (Inbound, FIN_ACK),
            (Outbound, ACK),
            (Inbound, SYN),
        ]);
        assert_eq!(
            states,
            [
                "SYN_RECV",
                "ESTABLISHED",
                "FIN_WAIT",
                "FIN_WAIT",
                "TIME_WAIT",
                "TIME_WAIT",
                "SYN_RECV"
            ]
        );
    }

    #[test]
    fn a_reset_of_either_side_closes_and_a_refused_handshake_too() {
        assert_eq!(run(&[(Inbound, SYN), (Outbound, RST | ACK)])[1], "CLOSE");
        assert_eq!(run(&[(Inbound, SYN), (Inbound, ACK), (Inbound, RST)])[2], "CLOSE");
    }

    #[test]
    fn one_way_a_connection_opens_closes_and_opens_again() {
        let mut state = TcpState::None;
        let states = [SYN, ACK, ACK, FIN_ACK, ACK, SYN, RST].map(|flags| {
            state = state.next_one_way(TcpFlags(flags));
            state.name()
        });
        let expected =
            ["SYN_RECV", "ESTABLISHED", "ESTABLISHED", "FIN_WAIT", "FIN_WAIT", "SYN_RECV", "CLOSE"];
        assert_eq!(states, expected);
    }

    /// A retransmitted SYN must not hold a half-open connection up as established.
    #[test]
    fn a_repeated_syn_changes_nothing() {
        assert_eq!(run(&[(Inbound, SYN), (Inbound, SYN)]), ["SYN_RECV", "SYN_RECV"]);
    }
}
