// SPDX-License-Identifier: MIT OR Apache-2.0
//! The words of the command line: objects, commands, keyword arguments.

use crate::stop::Stop;

/// What a command is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is the word of the command line")]
pub enum Object {
    Link,
    Addr,
    Route,
    Neigh,
    Vlan,
    Tunnel,
    Qsch,
    Cls,
    Ipv6,
    Iftraf,
    EalMem,
    Ipset,
    Flow,
    Maddr,
    Lldp,
    Echo,
    Icmp,
    Config,
}

/// All objects with their words, in the order of the help.
pub const OBJECTS: &[(Object, &str)] = &[
    (Object::Link, "link"),
    (Object::Addr, "addr"),
    (Object::Route, "route"),
    (Object::Neigh, "neigh"),
    (Object::Vlan, "vlan"),
    (Object::Tunnel, "tunnel"),
    (Object::Qsch, "qsch"),
    (Object::Cls, "cls"),
    (Object::Ipv6, "ipv6"),
    (Object::Iftraf, "iftraf"),
    (Object::EalMem, "eal-mem"),
    (Object::Ipset, "ipset"),
    (Object::Flow, "flow"),
    (Object::Maddr, "maddr"),
    (Object::Lldp, "lldp"),
    (Object::Echo, "echo"),
    (Object::Icmp, "icmp"),
    (Object::Config, "config"),
];

impl Object {
    /// Finds an object by its whole word.
    pub(crate) fn find(word: &str) -> Option<Object> {
        OBJECTS.iter().find(|row| row.1 == word).map(|row| row.0)
    }

    /// Returns the object's word.
    pub fn word(self) -> &'static str {
        OBJECTS.iter().find(|row| row.0 == self).map_or("", |row| row.1)
    }

    /// Tells whether the daemon has such objects.
    pub fn is_offered(self) -> bool {
        !self.commands().is_empty()
    }

    /// Returns the words of the commands that the object has besides `help`.
    pub fn commands(self) -> &'static [&'static str] {
        match self {
            Object::Link => &["show", "set"],
            Object::Addr | Object::Route => &["show", "add", "replace", "set", "del", "flush"],
            Object::Neigh => &["show", "add", "replace", "del"],
            Object::Echo => &["show", "set", "del"],
            Object::Icmp => &["show", "servers", "decisions"],
            Object::Config => &["show", "test", "replace"],
            _ => &[],
        }
    }
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is the word of the command line")]
pub(crate) enum Command {
    Create,
    Destroy,
    Enable,
    Disable,
    Add,
    Del,
    Set,
    Show,
    Replace,
    Flush,
    Test,
    Decisions,
    Servers,
    Help,
}

impl Command {
    /// Finds a command by its whole word.
    pub(crate) fn find(word: &str) -> Option<Command> {
        Some(match word {
            "create" => Command::Create,
            "destroy" => Command::Destroy,
            "enable" => Command::Enable,
            "disable" => Command::Disable,
            "add" => Command::Add,
            "del" => Command::Del,
            "set" | "change" => Command::Set,
            "show" | "list" => Command::Show,
            "replace" => Command::Replace,
            "flush" => Command::Flush,
            "test" => Command::Test,
            "decisions" => Command::Decisions,
            "servers" => Command::Servers,
            "help" => Command::Help,
            _ => return None,
        })
    }
}

/// The words after the command, read one by one.
#[derive(Debug)]
pub(crate) struct Words<'a>(std::slice::Iter<'a, String>);

impl<'a> Words<'a> {
    /// Starts at the first word.
    pub(crate) fn new(words: &'a [String]) -> Self {
        Words(words.iter())
    }

    /// Returns the next word.
    pub(crate) fn next(&mut self) -> Option<&'a str> {
        self.0.next().map(String::as_str)
    }

    /// Returns the value that must follow `keyword`.
    pub(crate) fn value(&mut self, keyword: &str) -> Result<&'a str, Stop> {
        self.next().ok_or_else(|| Stop::parse(format!("missing argument for `{keyword}'")))
    }
}
