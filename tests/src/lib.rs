// SPDX-License-Identifier: MIT OR Apache-2.0
//! Black-box tests: the real `dpvs`, `dpip` and `ipvsadm` between real kernels.
//!
//! The tests are in `lab/` (network namespaces, root), `pcap/` (capture files, no root) and `tidy/`
//! (the sources themselves). This library is what they share: a laboratory, stations in it, and
//! packets written by hand. A step that fails panics: it is a failed test.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::missing_panics_doc, reason = "tests")]
#![allow(clippy::print_stderr, reason = "a skipped test says so")]

pub mod daemon;
pub mod flood;
pub mod flows;
pub mod lab;
pub mod namespace;
pub mod outer;
pub mod packet;
pub mod run;
pub mod station;
pub mod tunnel_end;

pub use daemon::Daemon;
pub use flows::Flows;
pub use lab::Lab;
pub use namespace::Namespace;
pub use run::Run;
pub use tunnel_end::TunnelEnd;

/// Makes a test of each function, with 1 worker and with 3: `lab_tests!(plain: a, b)`.
#[macro_export]
macro_rules! lab_tests {
    ($make:ident: $($test:ident),+ $(,)?) => {
        mod with_1_worker {
            $( #[test] fn $test() { $crate::lab::test_in($crate::Lab::$make(1), super::$test); } )+
        }
        mod with_3_workers {
            $( #[test] fn $test() { $crate::lab::test_in($crate::Lab::$make(3), super::$test); } )+
        }
    };
}
