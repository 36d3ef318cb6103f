//! A small engine's config: short segments and early snapshots, so that a run has many of them.

use std::path::{Path, PathBuf};

use crate::Fault;

/// Writes it; all files lie in `folder`.
pub fn write_config(folder: &Path, shards: usize) -> Result<PathBuf, Fault> {
    let (path, alerts, stats) = (folder.join("engine.toml"), folder.join("alerts"), folder.join("stats"));
    let text = format!(
        "[feed]\nline_a = {{ address = \"127.0.0.1:0\" }}\ndate = \"2020-01-30\"\ngap_deadline = \"10ms\"\nother_line_wait = \"1ms\"\n\
         [control]\nlisten = \"127.0.0.1:0\"\n\
         [gateway]\nlisten = \"127.0.0.1:0\"\ndirectory = {alerts:?}\nsegment_size = \"1MiB\"\nretention_size = \"1GiB\"\n\
         [journal]\nsegment_size = \"256KiB\"\nsnapshot_size = \"2MiB\"\nhistory_size = \"1MiB\"\n\
         [limits]\nrules_max = 65536\naccount_rules_max = 65536\nsymbols_max = 1024\norders_max = 1024\nlevels_max = 1024\npolicies_max = 16\n\
         [topology]\nshards = {shards}\nidle = \"park\"\n\
         [stats]\nfile = {stats:?}\n\
         [[accounts]]\nname = \"demo\"\nlogins = [{{ user = \"demo\", password = \"secret\" }}, {{ user = \"guest\", password = \"secret\" }}]\n"
    );
    std::fs::write(&path, text)?;
    Ok(path)
}
