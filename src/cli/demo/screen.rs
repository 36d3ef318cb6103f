//! What a demo shows while it runs: on a terminal a block of lines that is drawn anew in place, elsewhere a line a second.

use std::io::Write;
use std::time::Duration;

use hairtrigger::demo::Now;

use super::words;

/// Columns drawn at most: a line that wraps would be counted wrongly.
const COLUMNS: usize = 79;

/// Where things are shown.
pub struct Screen {
    is_terminal: bool,
    /// Lines of the block that was drawn before.
    drawn: usize,
    /// What was shown before: for rates.
    before: Now,
}

impl Screen {
    /// A screen.
    pub fn new(is_terminal: bool) -> Screen {
        Screen { is_terminal, drawn: 0, before: Now::default() }
    }

    /// How often it wants to show something.
    pub fn interval(&self) -> Duration {
        Duration::from_millis(if self.is_terminal { 250 } else { 1_000 })
    }

    /// Shows where things stand.
    pub fn show(&mut self, now: Now) {
        let text = if self.is_terminal {
            let lines = words::block(&now, &self.before);
            let block = block(&lines, self.drawn);
            self.drawn = lines.len();
            block
        } else {
            words::line(&now, &self.before) + "\n"
        };
        self.say(&text);
        self.before = now;
    }

    /// Shows a text. Where nobody reads any more the demo goes on to its end all the same.
    pub fn say(&self, text: &str) {
        let mut out = std::io::stdout().lock();
        let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    }

    /// Shows the end: a block that stays as it was at the end. A second that is not over has no line.
    pub fn show_last(&mut self, now: Now) {
        if self.is_terminal {
            self.show(now);
        }
    }
}

/// The block over the one that was drawn before.
fn block(lines: &[String], drawn: usize) -> String {
    let mut text = if drawn > 0 { format!("\x1b[{drawn}A") } else { String::new() };
    for line in lines {
        text.extend(line.chars().take(COLUMNS));
        text.push_str("\x1b[K\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_drawn_over_the_one_before_and_never_wraps() {
        let lines = ["x".repeat(100), String::new()];
        assert_eq!(block(&lines, 0), format!("{}\x1b[K\n\x1b[K\n", "x".repeat(COLUMNS)));
        assert!(block(&lines, 2).starts_with("\x1b[2A"));
    }
}
