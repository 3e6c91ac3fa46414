//! What was acknowledged survives a kill at any moment: each client's journal is the judge.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};

use serde_json::json;

use crate::endpoint::Serve;
use crate::support::{agent, read};

const CLIENTS: usize = 8;
/// Kills; `FULLCIRCLE_CRASH_CYCLES` asks for more.
const CYCLES: usize = 200;

/// What one client knows: how many of its events were acknowledged. It sends the next one until it is.
#[derive(Clone, Copy, Default)]
struct Journal {
    acknowledged: u64,
    refused: u64,
}

/// Sends events until the endpoint is gone.
fn send(
    (url, key): (&str, &str),
    client: usize,
    journal: &mut Journal,
    done: &SyncSender<()>,
    is_killed: &AtomicBool,
) {
    let agent = agent();
    loop {
        let id = format!("{client}-{}", journal.acknowledged);
        let customer = format!("c{client}");
        let body = json!({ "userId": customer, "event": "order", "messageId": id }).to_string();
        let request = agent.post(format!("{url}/v1/track"));
        let request = request.header("authorization", format!("Bearer {key}"));
        match request.send(body) {
            Ok(answer) if answer.status() == 200 => journal.acknowledged += 1,
            // Once it is gone, an endpoint of another test may be at its port.
            Ok(_) if is_killed.load(Ordering::Acquire) => return,
            Ok(_) => journal.refused += 1,
            Err(_) => return,
        }
        if done.send(()).is_err() {
            return;
        }
    }
}

/// All events of the log, in its order: whose they are and their number.
fn logged(serve: &Serve, key: &str) -> Vec<(usize, u64)> {
    let (mut events, mut from) = (Vec::new(), 0);
    loop {
        let path = format!("{}/v1/events?from={from}&limit=50000", serve.url());
        let request = agent().get(path).header("authorization", format!("Bearer {key}"));
        let run = read(request.call().unwrap()).body;
        for event in run["events"].as_array().unwrap() {
            let (client, n) = event["message_id"].as_str().unwrap().split_once('-').unwrap();
            events.push((client.parse().unwrap(), n.parse().unwrap()));
        }
        if run["end"] == true {
            return events;
        }
        from = run["next"].as_u64().unwrap();
    }
}

#[test]
fn nothing_acknowledged_is_lost_doubled_or_out_of_order_over_hundreds_of_kills() {
    let cycles = std::env::var("FULLCIRCLE_CRASH_CYCLES").ok().and_then(|n| n.parse().ok());
    let folder = tempfile::tempdir().unwrap();
    let mut journals = [Journal::default(); CLIENTS];
    let mut keys: Option<(String, String)> = None;
    let mut random = 7_u64;
    for _ in 0..cycles.unwrap_or(CYCLES) {
        let serve = Serve::start(folder.path());
        let key = |name: &str| serve.ready[name].as_str().map(str::to_owned);
        let (write, _) = keys
            .get_or_insert_with(|| (key("write_key").unwrap(), key("admin_key").unwrap()))
            .clone();
        // Knuth's multiplier: where in the stream of answers it is killed differs each time.
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let until = 1 + (random >> 33) % 60;
        let url = serve.url().to_owned();
        let (sender, answers) = sync_channel(CLIENTS);
        let is_killed = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for (client, journal) in journals.iter_mut().enumerate() {
                let (to, sender, is_killed) = ((&*url, &*write), sender.clone(), &is_killed);
                scope.spawn(move || send(to, client, journal, &sender, is_killed));
            }
            drop(sender);
            let n = answers.iter().take(usize::try_from(until).unwrap()).count();
            assert_eq!(n as u64, until, "the endpoint ended by itself");
            is_killed.store(true, Ordering::Release);
            drop(serve);
            drop(answers);
        });
    }
    let serve = Serve::start(folder.path());
    let events = logged(&serve, &keys.unwrap().1);
    let mut next: BTreeMap<usize, u64> = BTreeMap::new();
    for (client, n) in events {
        // An event that was written but not acknowledged was sent again, and counts once.
        let expected = next.entry(client).or_default();
        assert_eq!(n, *expected, "client {client}: doubled, lost or out of order");
        *expected += 1;
    }
    for (client, journal) in journals.iter().enumerate() {
        let written = next.get(&client).copied().unwrap_or(0);
        // At most the one event whose answer was lost is beyond the journal.
        assert!((journal.acknowledged..=journal.acknowledged + 1).contains(&written), "{client}");
        assert_eq!(journal.refused, 0);
    }
    let total: u64 = journals.iter().map(|journal| journal.acknowledged).sum();
    assert!(total > 1_000, "{total} acknowledged");
}
