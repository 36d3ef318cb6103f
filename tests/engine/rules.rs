//! Rules files, and their rows as requests to the rule port.

use std::net::SocketAddr;
use std::path::Path;

use hairtrigger::client::{Client, Event, Request as Login};
use hairtrigger::control::wire::{Answer, Ask, Body, Place, Request};
use hairtrigger::model::{NEVER, RuleKey, RuleSpec};
use hairtrigger::rules_csv::{self, Op, Row, RulesFile};

use super::{PASSWORD, midnight};

/// Requests sent before answers are read: they fit the buffers of a connection.
const BATCH: usize = 500;

/// The rows of a rules file without their `at`.
#[derive(Clone)]
pub struct Rows {
    /// The columns but `at`.
    pub header: String,
    pub rows: Vec<String>,
}

impl Rows {
    /// The file in which row `i` takes effect before the message `at[i]`. Rows of one `at` keep their order.
    pub fn csv(&self, at: &[u64]) -> String {
        let mut order: Vec<usize> = (0..self.rows.len()).collect();
        order.sort_by_key(|row| at[*row]);
        let rows = order.into_iter().map(|row| format!("{},{}\n", at[row], self.rows[row]));
        format!("at,{}\n{}", self.header, rows.collect::<String>())
    }

    /// The file in which all take effect before the first message.
    pub fn csv_before_all(&self) -> String {
        self.csv(&vec![0; self.rows.len()])
    }
}

/// Reads a file through `folder`.
pub fn read(text: &str, folder: &Path) -> RulesFile {
    let path = folder.join("rules.csv");
    std::fs::write(&path, text).expect("a folder of our own");
    rules_csv::read(&path).unwrap_or_else(|error| panic!("{error}"))
}

/// A row as a request.
pub fn ask(row: &Row) -> Ask {
    let key = RuleKey { user: row.user, symbol: row.symbol, slot: row.slot, account: 0 };
    match row.op {
        Op::Set(spec) if spec.expires_at == NEVER => Ask::Set(key, spec),
        Op::Set(spec) => Ask::Set(key, RuleSpec { expires_at: midnight() + spec.expires_at, ..spec }),
        Op::Remove { tag } => Ask::Remove(key, tag),
    }
}

/// The rule clients of all accounts of a file. Row `i` is request `i + 1`, and as the clients take turns at the borders
/// between their rows, also the command of this ordinal.
pub struct Desk<'f> {
    file: &'f RulesFile,
    clients: Vec<Client>,
    pub answers: Vec<Answer>,
    sent: usize,
}

impl<'f> Desk<'f> {
    pub fn connect(address: SocketAddr, file: &'f RulesFile) -> Desk<'f> {
        let login = |account: &String| Login::new(account, PASSWORD).expect("a login");
        let connect = |account| Client::connect(address, &login(account)).expect("the rule port");
        Desk { file, clients: file.accounts.iter().map(connect).collect(), answers: vec![], sent: 0 }
    }

    /// Sends the next rows of one account, `count` at most; reads no answer.
    pub fn send(&mut self, count: usize) {
        let rows = &self.file.rows[self.sent..];
        let Some(account) = rows.first().map(|row| row.account) else { return };
        let client = &mut self.clients[usize::from(account)];
        for row in rows.iter().take(count).take_while(|row| row.account == account) {
            self.sent += 1;
            let request = Request { id: self.sent as u64, ask: ask(row) };
            client.writer.send_unsequenced(request.encode().bytes()).expect("the rule port");
        }
        client.writer.flush().expect("the rule port");
    }

    /// Reads the answers to all that was sent. A client's answers may overtake each other from shard to shard.
    pub fn receive(&mut self) {
        while self.answers.len() < self.sent {
            let client = &mut self.clients[usize::from(self.file.rows[self.answers.len()].account)];
            if let Event::Sequenced(_, message) = client.receive().expect("the rule port") {
                self.answers.push(Answer::read(message).expect("an answer"));
            }
        }
        self.answers.sort_by_key(|answer| answer.id);
    }

    /// Sends what is left, waiting for the answers where another account follows.
    pub fn load(&mut self) {
        while self.sent < self.file.rows.len() {
            self.send(BATCH);
            self.receive();
        }
    }

    /// The answers by row. The clients go: an engine that stops would give them time to.
    pub fn close(self) -> Vec<Answer> {
        assert!((1..).zip(&self.answers).all(|(id, answer)| answer.id == id), "an answer a request");
        self.answers
    }
}

/// Where an answer to a set or remove holds from.
pub fn place(answer: &Answer) -> Place {
    match answer.body {
        Body::SetDone { place, .. } | Body::RemoveDone { place, .. } | Body::Refused { place, .. } => place,
        Body::UserRemoved { .. } | Body::Rule(_) | Body::ListDone { .. } => panic!("nobody asked for {answer:?}"),
    }
}
