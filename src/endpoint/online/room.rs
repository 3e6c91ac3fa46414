use std::sync::Arc;

use super::log::Log;
use super::maintenance::give_way;

/// Makes the next segment of a log ready on a thread of its own, if it is time to.
pub(super) fn make_room(log: &Arc<Log>) {
    if !log.wants_room() {
        return;
    }
    let log = log.clone();
    let made = std::thread::Builder::new().name("log-room".to_owned()).spawn(move || {
        give_way();
        if let Err(error) = log.prepare() {
            tracing::debug!(%error, "the next segment of the log is not ready; it grows instead");
        }
    });
    if let Err(error) = made {
        tracing::debug!(%error, "no thread makes the next segment of the log ready");
    }
}
