//! The oracle beside the targets also knows how to run the `hairtrigger` command, which nobody asks it for here.

fn main() {
    println!("cargo::rustc-env=CARGO_BIN_EXE_hairtrigger=");
}
