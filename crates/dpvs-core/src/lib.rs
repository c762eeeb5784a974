//! Service, connection and ICMP logic.
