use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use kernel::domain::Time;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{DefaultConnector, NextTimeout};

use super::webhook::seconds;
use super::webhook_address::{self, is_public};
use super::{Attempt, Delivery, Outbox, Secrets};
use crate::online::{Clock, ConfigStore};
use crate::{Error, Result};

/// The threads that send deliveries to webhooks.
#[derive(Debug)]
pub struct Sending {
    outbox: Arc<Outbox>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

/// Threads: one receiver that does not answer must not hold up the others.
const THREADS: usize = 3;
/// A receiver has so long.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The longest reason that is kept of a try, in characters.
const LONGEST_REASON: usize = 200;

impl Sending {
    /// Starts the threads.
    ///
    /// # Errors
    /// They cannot be started.
    pub fn start(
        outbox: Arc<Outbox>,
        config: Arc<dyn ConfigStore>,
        clock: Arc<Clock>,
        allows_private: bool,
    ) -> Result<Self> {
        let threads = (0..THREADS).map(|n| {
            let (outbox, config, clock) = (outbox.clone(), config.clone(), clock.clone());
            std::thread::Builder::new()
                .name(format!("webhooks-{n}"))
                .spawn(move || send_all(&outbox, &*config, &clock, allows_private))
                .map_err(Error::store("start its webhooks"))
        });
        let threads = threads.collect::<Result<_>>()?;
        Ok(Self { outbox, threads: Mutex::new(threads) })
    }

    /// Ends the threads. What waits is sent after the next start.
    pub fn stop(&self) {
        self.outbox.stop();
        let threads =
            std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            if thread.join().is_err() {
                tracing::error!("a thread of the webhooks ended with a panic");
            }
        }
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        self.stop();
    }
}

fn send_all(outbox: &Outbox, config: &dyn ConfigStore, clock: &Clock, allows_private: bool) {
    let agent = agent(allows_private);
    while let Some((number, delivery)) = outbox.due(&|| clock.as_of()) {
        let attempt = send(&agent, config, &delivery, clock.as_of());
        // The address may have a secret in it: only what came of it is said.
        tracing::debug!(rule = %delivery.rule, status = attempt.status, "sent to a webhook");
        if let Err(error) = outbox.tried(config, number, attempt) {
            tracing::warn!(%error, "what came of a webhook is not recorded");
        }
    }
}

/// Follows no redirect: it would send what was meant for one to another.
fn agent(allows_private: bool) -> ureq::Agent {
    let config = ureq::Agent::config_builder()
        .timeout_global(Some(TIMEOUT))
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .proxy(None)
        .user_agent("fullcircle")
        .build();
    let resolver = CheckedResolver { resolver: DefaultResolver::default(), allows_private };
    ureq::Agent::with_parts(config, DefaultConnector::default(), resolver)
}

/// Finds the addresses of a webhook, which are those that are connected to: a public name may lead to an address
/// of the own network.
#[derive(Debug)]
struct CheckedResolver {
    resolver: DefaultResolver,
    allows_private: bool,
}

impl Resolver for CheckedResolver {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> std::result::Result<ResolvedSocketAddrs, ureq::Error> {
        let found = self.resolver.resolve(uri, config, timeout)?;
        if self.allows_private {
            return Ok(found);
        }
        // A rule may name this machine itself, and nothing else that is not public.
        let is_here = uri.host().is_some_and(webhook_address::is_this_machine);
        let is_allowed = |ip: IpAddr| if is_here { ip.is_loopback() } else { is_public(ip) };
        let mut public = self.empty();
        found.iter().filter(|found| is_allowed(found.ip())).for_each(|found| public.push(*found));
        if public.is_empty() {
            let message = "its address is not public; start the endpoint with --allow-private-webhooks if \
                           webhooks may lead there";
            return Err(std::io::Error::other(message).into());
        }
        Ok(public)
    }
}

fn send(agent: &ureq::Agent, config: &dyn ConfigStore, delivery: &Delivery, at: Time) -> Attempt {
    let started = Instant::now();
    let answer = Secrets::open(config).map_err(|error| error.to_string()).and_then(|secrets| {
        let url = delivery.webhook.as_deref().unwrap_or_default();
        let request = agent
            .post(url)
            .header("content-type", "application/json")
            .header("webhook-id", &delivery.id)
            .header("webhook-timestamp", seconds(at).to_string())
            .header("webhook-signature", secrets.sign(&delivery.id, at, &delivery.body));
        let answered = request.send(&delivery.body).map_err(|error| error.to_string());
        answered.map(|response| response.status().as_u16())
    });
    let millis = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    let error = match &answer {
        Ok(200..300) => None,
        Ok(status) => Some(format!("answered {status}")),
        Err(error) => Some(error.chars().take(LONGEST_REASON).collect()),
    };
    Attempt { at, status: answer.ok(), error, millis }
}
