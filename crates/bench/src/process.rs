// SPDX-License-Identifier: MIT OR Apache-2.0
//! A program under test: its packet threads' time on the processor, its memory, its signals.

use anyhow::{Context as _, anyhow};
use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;
use std::process::{Child, Command, ExitStatus};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long a program may take to end.
const PATIENCE: Duration = Duration::from_secs(20);

/// The time between two ticks of the kernel is shorter.
const TICK_MAX: Duration = Duration::from_millis(15);

/// Binds a thread of any process to one processor; 0 is the calling thread.
///
/// # Errors
/// If there is no such thread or no such processor.
pub fn pin(thread: u32, cpu: u32) -> anyhow::Result<()> {
    let mut set = CpuSet::new();
    set.set(usize::try_from(cpu)?)?;
    sched_setaffinity(Pid::from_raw(i32::try_from(thread)?), &set)
        .with_context(|| format!("cannot run on processor {cpu}"))
}

/// A child that ends with this value.
#[derive(Debug)]
pub struct Process {
    child: Child,
    is_stopped: bool,
}

impl Process {
    /// Starts it.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn start(command: &mut Command) -> anyhow::Result<Self> {
        let name = command.get_program().to_string_lossy().into_owned();
        let child = command.spawn().with_context(|| format!("cannot start {name}"))?;
        Ok(Process { child, is_stopped: false })
    }

    /// The child itself.
    pub fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// Its number.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        kill(Pid::from_raw(i32::try_from(self.child.id())?), signal)?;
        Ok(())
    }

    /// Lets it rest, so that another may have the processor.
    ///
    /// # Errors
    /// If it has ended.
    pub fn pause(&mut self) -> anyhow::Result<()> {
        self.signal(Signal::SIGSTOP)?;
        self.is_stopped = true;
        Ok(())
    }

    /// Lets it go on.
    ///
    /// # Errors
    /// If it has ended.
    pub fn resume(&mut self) -> anyhow::Result<()> {
        self.signal(Signal::SIGCONT)?;
        self.is_stopped = false;
        Ok(())
    }

    /// Fails if it has ended.
    ///
    /// # Errors
    /// That it has ended.
    pub fn check(&mut self) -> anyhow::Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => Err(anyhow!("it ended: {status}")),
        }
    }

    /// The threads of a name, by number.
    ///
    /// # Errors
    /// If it has ended.
    pub fn threads(&self, name: &str) -> anyhow::Result<Vec<u32>> {
        let mut found = Vec::new();
        for task in fs::read_dir(format!("/proc/{}/task", self.id()))? {
            let path = task?.path();
            if fs::read_to_string(path.join("comm"))?.trim_end() == name {
                let id = path.file_name().context("a thread's number")?;
                found.push(id.to_string_lossy().parse()?);
            }
        }
        found.sort_unstable();
        Ok(found)
    }

    /// The same as [`Process::on_cpu`], just after the kernel has noted it, for which it waits.
    ///
    /// # Errors
    /// If there is no such thread.
    pub fn on_cpu_at_tick(&self, thread: u32) -> anyhow::Result<Duration> {
        let (first, began) = (self.on_cpu(thread)?, Instant::now());
        while began.elapsed() < TICK_MAX {
            let noted = self.on_cpu(thread)?;
            if noted != first {
                return Ok(noted);
            }
        }
        Ok(first)
    }

    /// How long a thread has run on a processor: unlike the clock it does not count what others took.
    /// Of one that runs without a break the kernel notes it some hundred times a second only.
    ///
    /// # Errors
    /// If there is no such thread.
    pub fn on_cpu(&self, thread: u32) -> anyhow::Result<Duration> {
        let path = format!("/proc/{}/task/{thread}/schedstat", self.id());
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
        let first = text.split_whitespace().next().context("schedstat is empty")?;
        Ok(Duration::from_nanos(first.parse()?))
    }

    /// Bytes of memory in use.
    ///
    /// # Errors
    /// If it has ended.
    pub fn resident_bytes(&self) -> anyhow::Result<u64> {
        let text = fs::read_to_string(format!("/proc/{}/status", self.id()))?;
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kilobytes = line.and_then(|rest| rest.trim().strip_suffix("kB"));
        let kilobytes: u64 = kilobytes.context("no VmRSS")?.trim().parse()?;
        Ok(kilobytes * 1024)
    }

    /// Ends it and waits for its end.
    ///
    /// # Errors
    /// If it does not end.
    pub fn end(&mut self) -> anyhow::Result<ExitStatus> {
        if self.is_stopped {
            self.resume()?;
        }
        self.signal(Signal::SIGTERM)?;
        self.ended_within(PATIENCE)?.context("it does not end")
    }

    /// Waits so long for its end, at most.
    ///
    /// # Errors
    /// If it cannot be waited for.
    pub fn ended_within(&mut self, patience: Duration) -> anyhow::Result<Option<ExitStatus>> {
        let began = Instant::now();
        while began.elapsed() < patience {
            if let Some(status) = self.child.try_wait()? {
                return Ok(Some(status));
            }
            sleep(Duration::from_millis(5));
        }
        Ok(None)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Whatever went wrong, nothing stays behind; it may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
