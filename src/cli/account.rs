//! `hairtrigger account`: passwords, and hashes of them for the config.

use std::error::Error;
use std::io::{self, BufRead, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;
use hairtrigger::config::{Config, Login};
use hairtrigger::door::password::{Hash, Memory, Secret, equal, random};
use hairtrigger::soup::login::Credentials;

/// Of what passwords are made here: small letters and digits that nobody mistakes for another. A power of two of them.
const CHARACTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
const _: () = assert!(256 % CHARACTERS.len() == 0);
const PASSWORD_SIZE: usize = 10;

/// Arguments of `account`.
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make an account: prints what belongs into the config, and on standard error the password of each login, once
    New {
        /// The account's name, 1 to 6 of a-z and 0-9
        name: String,
        /// A login's user name, 1 to 6 characters; may be given more than once. Left out: the account's name
        #[arg(long)]
        user: Vec<String>,
        /// It sees the alerts of all accounts and may change no rules
        #[arg(long)]
        drop_copy: bool,
        /// Ask for each password, or read one a line from standard input, instead of making it
        #[arg(long)]
        ask: bool,
    },
    /// Print the hash of a password, for `password_hash` in the config; asks for it, or reads a line of standard input
    Hash,
    /// Say whether a password is that of a user in a config; asks for it, or reads a line of standard input
    Check {
        /// The config file
        #[arg(long)]
        config: PathBuf,
        /// The login's user name
        user: String,
    },
}

/// Runs it. `check` fails when the password is not right.
pub fn run(args: Args) -> Result<ExitCode, Box<dyn Error>> {
    match args.command {
        Command::New { name, user, drop_copy, ask } => new(&name, user, drop_copy, ask),
        Command::Hash => {
            let credentials = ask_twice("-")?;
            writeln!(io::stdout(), "{}", Hash::of(&credentials.password))?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Check { config, user } => check(&Config::load(&config)?, &user),
    }
}

fn new(name: &str, mut users: Vec<String>, drop_copy: bool, asks: bool) -> Result<ExitCode, Box<dyn Error>> {
    if users.is_empty() {
        users.push(name.into());
    }
    let text = |secrets: &[String]| {
        let login =
            |(user, secret): (&String, &String)| format!("    {{ user = \"{}\", {secret} }},\n", user.escape_default());
        let logins: String = users.iter().zip(secrets).map(login).collect();
        let drop_copy = if drop_copy { "drop_copy = true\n" } else { "" };
        format!("[[accounts]]\nname = \"{}\"\nlogins = [\n{logins}]\n{drop_copy}", name.escape_default())
    };
    // What the config would not take is not given out, and nobody is asked for its password.
    let feed = "feed.line_a = { address = \"127.0.0.1:0\" }\n";
    let any = vec!["password = \"any\"".to_string(); users.len()];
    Config::parse(&format!("{feed}{}", text(&any)), "the account".as_ref()).map_err(said_of)?;
    let mut secrets = vec![];
    for user in &users {
        let made = made_password();
        let credentials = if asks { ask_twice(user)? } else { credentials(user, &made)? };
        secrets.push(format!("password_hash = \"{}\"", Hash::of(&credentials.password)));
        if !asks {
            writeln!(io::stderr(), "password of {user}: {made}")?;
        }
    }
    io::stdout().write_all(text(&secrets).as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

/// What is wrong, without a place in a file that nobody has.
fn said_of(error: hairtrigger::config::ConfigError) -> String {
    use hairtrigger::config::ConfigError::{Read, Wrong};
    match error {
        Wrong { message, .. } => message,
        Read { source, .. } => source.to_string(),
    }
}

fn check(config: &Config, user: &str) -> Result<ExitCode, Box<dyn Error>> {
    let given = credentials(user, &ask(&format!("password of {user}: "))?)?;
    let mut logins =
        config.accounts.iter().flat_map(|account| account.logins.iter().map(move |login| (account, login)));
    let Some((account, login)) = logins.find(|(_, login)| login.user == given.user) else {
        return Err(format!("the config has no login {user}").into());
    };
    if !is_right(login, &given) {
        writeln!(io::stdout(), "wrong")?;
        return Ok(ExitCode::FAILURE);
    }
    let what = if account.drop_copy { ", a drop copy" } else { "" };
    writeln!(io::stdout(), "right: {} is a login of account {}{what}", login.name(), account.name)?;
    Ok(ExitCode::SUCCESS)
}

fn is_right(login: &Login, given: &Credentials) -> bool {
    match &login.secret {
        Secret::Plain(password) => equal(password, &given.password),
        Secret::Hash(hash) => hash.is_of(&given.password, &mut Memory::new()),
    }
}

fn credentials(user: &str, password: &str) -> Result<Credentials, String> {
    Credentials::new(user, password).ok_or_else(|| {
        "expected a user of 1 to 6 and a password of 1 to 10 printable ASCII characters without space".to_string()
    })
}

/// Ten characters of 32: 50 bits.
fn made_password() -> String {
    random::<PASSWORD_SIZE>().iter().map(|byte| char::from(CHARACTERS[usize::from(*byte) % CHARACTERS.len()])).collect()
}

/// A new password of this user; from a terminal twice, since nobody sees what is typed.
fn ask_twice(user: &str) -> Result<Credentials, Box<dyn Error>> {
    let of = if user == "-" { String::new() } else { format!(" of {user}") };
    let first = credentials(user, &ask(&format!("password{of}: "))?)?;
    if io::stdin().is_terminal() && credentials(user, &ask("again: ")?)? != first {
        return Err("the two are not the same".into());
    }
    Ok(first)
}

/// A line of standard input; from a terminal without showing what is typed.
fn ask(prompt: &str) -> Result<String, Box<dyn Error>> {
    let line = match io::stdin().is_terminal() {
        true => {
            write!(io::stderr(), "{prompt}")?;
            let line = hairtrigger::sys::terminal::read_hidden()?;
            writeln!(io::stderr())?;
            line
        }
        false => {
            let mut line = String::new();
            io::stdin().lock().read_line(&mut line)?;
            line
        }
    };
    let line = line.trim_end_matches(['\r', '\n']);
    if line.is_empty() { Err("no password was given".into()) } else { Ok(line.into()) }
}
