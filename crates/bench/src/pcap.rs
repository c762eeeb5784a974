// SPDX-License-Identifier: MIT OR Apache-2.0
//! Writes frames as a capture file, which `net_pcap` replays.

use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::path::Path;

/// The oldest format, that of microsecond stamps: magic number, version 2.4, time zone and accuracy,
/// the longest frame, Ethernet.
const HEADER: [u32; 6] = [0xa1b2_c3d4, 0x0004_0002, 0, 0, 65535, 1];

/// Writes the frames, all of them at time 0, and returns how many they were.
///
/// # Errors
/// Those of the file.
pub fn write(path: &Path, frames: impl IntoIterator<Item = Vec<u8>>) -> io::Result<usize> {
    let mut file = BufWriter::new(File::create(path)?);
    for word in HEADER {
        file.write_all(&word.to_le_bytes())?;
    }
    let mut count = 0;
    for frame in frames {
        let len = u32::try_from(frame.len()).map_err(io::Error::other)?;
        for word in [0, 0, len, len] {
            file.write_all(&word.to_le_bytes())?;
        }
        file.write_all(&frame)?;
        count += 1;
    }
    file.flush()?;
    Ok(count)
}
