// SPDX-License-Identifier: MIT OR Apache-2.0
//! Frames in a capture file, for a `net_pcap` port to replay.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

/// Writes frames to a file in the classic format of libpcap, link type Ethernet.
///
/// # Errors
/// The file's.
pub fn write(path: &Path, frames: &[Vec<u8>]) -> io::Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    for word in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 65_535, 1] {
        file.write_all(&word.to_le_bytes())?;
    }
    for frame in frames {
        let len = u32::try_from(frame.len()).map_err(io::Error::other)?;
        for word in [0, 0, len, len] {
            file.write_all(&word.to_le_bytes())?;
        }
        file.write_all(frame)?;
    }
    file.flush()
}
