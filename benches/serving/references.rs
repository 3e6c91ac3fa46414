//! The references: an empty handler, and one that only appends what it gets to a file, durably.

use std::io::Write as _;
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::{get, post};
use tokio::sync::oneshot;

type Waiting = (Bytes, oneshot::Sender<()>);

pub(crate) fn child(name: &str, folder: &Path) {
    let router = match name {
        "empty" => Router::new().route("/empty", get(|| async { "{\"live\":true}" })),
        _ => {
            let (sender, receiver) = sync_channel(4_096);
            let path = folder.join("journal");
            std::thread::spawn(move || write(&path, &receiver));
            Router::new().route("/append", post(append)).with_state(sender)
        }
    };
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.worker_threads(2).enable_all().build().unwrap().block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        println!("{{\"url\":\"http://{}\"}}", listener.local_addr().unwrap());
        axum::serve(listener, router).await.unwrap();
    });
}

async fn append(State(queue): State<SyncSender<Waiting>>, body: Bytes) -> &'static str {
    let (done, waiting) = oneshot::channel();
    queue.try_send((body, done)).unwrap();
    waiting.await.unwrap();
    "{\"success\":true}"
}

/// One group after another: what waits is written with one call, and synced once.
fn write(path: &Path, queue: &Receiver<Waiting>) {
    let mut file = std::fs::File::create(path).unwrap();
    while let Ok(first) = queue.recv() {
        let mut group = vec![first];
        group.extend(queue.try_iter());
        let bytes: Vec<u8> = group.iter().flat_map(|(body, _)| body.iter().copied()).collect();
        file.write_all(&bytes).unwrap();
        file.sync_data().unwrap();
        group.into_iter().for_each(|(_, done)| done.send(()).unwrap());
    }
}
