//! The synthetic shop: customers with habits, campaigns, seasons, and a few with a story.
//!
//! Everything follows from the seed. A customer has a rate of sessions, a taste, a purse and a hazard of
//! churning; a session is a walk through the shop's event types. `sample-data/shop/README.md` describes
//! what comes out, column by column.

use std::path::Path;
use std::time::Instant;

use kernel::domain::{EXPOSURE, MICROS_PER_DAY, Time, Type};
use kernel::experiments::bucket;
use kernel::features::{Cell, Column};
use rand::{Rng as _, SeedableRng as _};
use rand_xoshiro::Xoshiro256PlusPlus;
use serde::Serialize;
use warehouse::{ExportFormat, Relation};

use crate::{Error, Result};

/// What was generated.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Generated {
    /// Customers.
    pub customers: usize,
    /// Events.
    pub events: usize,
    /// The file with the events.
    pub events_file: String,
    /// The file with a row per customer.
    pub customers_file: String,
    /// What the experiment in it truly changes.
    pub experiment: Truth,
    /// How long it took.
    pub seconds: f64,
}

/// What the experiment in a shop truly changes: the same customers, once all with free shipping and once all
/// without.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Truth {
    /// Customers who were exposed early enough to be measured.
    pub customers: usize,
    /// The share of them that orders within three weeks without it.
    pub control: f64,
    /// How much more that is with it.
    pub true_effect: f64,
}

type Random = Xoshiro256PlusPlus;

/// 2024-01-01, when the shop opened.
const OPENING: i64 = 1_704_067_200_000_000;
/// Days that are simulated: until 2025-06-30.
const DAYS: f64 = 546.0;
const MINUTE: f64 = 60e6;
const SCALING_PASSES: usize = 3;

const CATEGORIES: [&str; 8] =
    ["books", "coffee", "garden", "kitchen", "music", "outdoor", "toys", "wine"];
/// Typical prices of the categories.
const PRICES: [f64; 8] = [14.0, 11.0, 34.0, 42.0, 18.0, 65.0, 22.0, 17.0];
const COUNTRIES: [&str; 6] = ["DE", "FR", "NL", "AT", "CH", "PL"];
const AGE_GROUPS: [&str; 5] = ["18-24", "25-34", "35-49", "50-64", "65+"];
const SOURCES: [&str; 5] = ["search", "social", "friend", "newspaper", "fair"];
const CHANNELS: [&str; 3] = ["web", "app", "tablet"];
const TOPICS: [&str; 4] = ["delivery", "damaged", "payment", "question"];
/// Campaigns: name, first day, last day, what they do to the wish to buy.
const CAMPAIGNS: [(&str, f64, f64, f64); 5] = [
    ("spring_sale", 80.0, 92.0, 1.8),
    ("summer_outdoor", 165.0, 185.0, 1.5),
    ("black_week", 325.0, 334.0, 2.6),
    ("winter_gifts", 338.0, 356.0, 2.0),
    ("come_back", 430.0, 450.0, 2.2),
];

/// The experiment: free shipping for half of those who come since this day.
const EXPERIMENT: &str = "free_shipping";
const EXPERIMENT_FROM: f64 = 425.0;
/// How long after it an order counts, in days.
const EXPERIMENT_WITHIN: f64 = 21.0;
/// How much likelier an order is with free shipping.
const FREE_SHIPPING: f64 = 1.8;
/// The experiment's variants.
const VARIANTS: [&str; 2] = ["paid", "free"];

/// A customer's habits.
struct Customer {
    id: String,
    country: &'static str,
    age_group: &'static str,
    source: &'static str,
    newsletter: bool,
    joined: f64,
    churned: f64,
    /// Sessions a day.
    rate: f64,
    /// Probability that a session with a product in the cart ends in an order.
    eager: f64,
    purse: f64,
    taste: usize,
    channel: usize,
}

/// One event: when (days since the opening), what, and its properties.
struct Row {
    customer: usize,
    day: f64,
    event: &'static str,
    product: Option<String>,
    category: Option<&'static str>,
    amount: Option<f64>,
    quantity: Option<f64>,
    channel: &'static str,
    detail: Option<String>,
    /// The variant of an exposure.
    variant: Option<&'static str>,
}

/// Generates a shop into two files: events at `out`, and customers beside it.
///
/// The number of events is met closely, not exactly.
///
/// # Errors
/// The files cannot be written.
pub fn generate(
    customers: usize,
    events: usize,
    seed: u64,
    format: ExportFormat,
    out: &Path,
) -> Result<Generated> {
    let started = Instant::now();
    if customers == 0 || events < customers {
        return Err(Error::BadInput(
            "generate at least one customer, and at least one event a customer".to_owned(),
        ));
    }
    let people = people(customers, seed);
    let scale = scale(&people, events, seed);
    let mut rows: Vec<Row> = Vec::with_capacity(events + events / 8);
    for (n, customer) in people.iter().enumerate() {
        rows.extend(simulate(n, customer, scale, seed, None));
    }
    rows.sort_by(|left, right| {
        left.day.total_cmp(&right.day).then_with(|| left.customer.cmp(&right.customer))
    });
    let stem = out.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
    let ending = out.extension().map_or_else(String::new, |e| e.to_string_lossy().into_owned());
    let customers_file = out.with_file_name(format!("{stem}-customers.{ending}"));
    let scratch = tempfile::tempdir().map_err(Error::io("make a temporary folder", out))?;
    events_relation(&rows, &people).write(out, format, scratch.path())?;
    customers_relation(&people).write(&customers_file, format, scratch.path())?;
    Ok(Generated {
        customers,
        events: rows.len(),
        events_file: out.display().to_string(),
        customers_file: customers_file.display().to_string(),
        experiment: truth_of(&people, scale, seed),
        seconds: started.elapsed().as_secs_f64(),
    })
}

fn people(customers: usize, seed: u64) -> Vec<Customer> {
    (0..customers).map(|n| customer(n, &mut random(seed, n, 0))).collect()
}

/// How often sessions must be to give the wanted number of events, found in a few passes.
fn scale(people: &[Customer], events: usize, seed: u64) -> f64 {
    let mut scale = 1.0;
    for _ in 0..SCALING_PASSES {
        let all = people.iter().enumerate();
        let n: usize = all.map(|(n, one)| simulate(n, one, scale, seed, None).len()).sum();
        #[allow(clippy::cast_precision_loss, reason = "a scale")]
        let ratio = events as f64 / n.max(1) as f64;
        scale = (scale * ratio).clamp(0.001, 1_000.0);
    }
    scale
}

/// What the experiment truly changes in the shop of these numbers.
#[must_use]
pub fn truth(customers: usize, events: usize, seed: u64) -> Truth {
    let people = people(customers, seed);
    truth_of(&people, scale(&people, events, seed), seed)
}

#[allow(clippy::cast_precision_loss, reason = "a number of customers")]
fn truth_of(people: &[Customer], scale: f64, seed: u64) -> Truth {
    // Exposed when, and whether they ordered in time.
    let ordered = |n: usize, customer: &Customer, variant: usize| {
        let rows = simulate(n, customer, scale, seed, Some(variant));
        let at = rows.iter().find(|row| row.event == EXPOSURE)?.day;
        let end = at + EXPERIMENT_WITHIN;
        let mut orders = rows.iter().filter(|row| row.event == "order_completed");
        (end <= DAYS).then(|| orders.any(|row| row.day >= at && row.day < end))
    };
    let (mut n, mut totals) = (0, [0_usize; 2]);
    for (place, customer) in people.iter().enumerate() {
        let outcomes = [0, 1].map(|variant| ordered(place, customer, variant));
        if let [Some(without), Some(with)] = outcomes {
            n += 1;
            totals[0] += usize::from(without);
            totals[1] += usize::from(with);
        }
    }
    let share = |total: usize| total as f64 / n.max(1) as f64;
    let (control, treatment) = (share(totals[0]), share(totals[1]));
    Truth { customers: n, control, true_effect: treatment - control }
}

/// A source of randomness of its own for each customer and purpose, so that one change stays local.
fn random(seed: u64, customer: usize, purpose: u64) -> Random {
    let customer = u64::try_from(customer).unwrap_or(0);
    Random::seed_from_u64(seed ^ customer.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (purpose << 56))
}

fn pick<T: Copy>(items: &[T], random: &mut Random) -> T {
    items[random.random_range(0..items.len())]
}

/// A place in a list, early ones more often.
fn skewed(n: usize, random: &mut Random) -> usize {
    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a place in a short list"
    )]
    let place = (n as f64 * random.random::<f64>().powi(2)) as usize;
    place.min(n - 1)
}

/// Exponentially distributed with a mean.
fn exponential(mean: f64, random: &mut Random) -> f64 {
    -mean * (1.0 - random.random::<f64>()).ln()
}

/// Standard normal, as the sum of twelve uniforms.
fn normal(random: &mut Random) -> f64 {
    (0..12).map(|_| random.random::<f64>()).sum::<f64>() - 6.0
}

fn customer(n: usize, random: &mut Random) -> Customer {
    // More join as the shop gets known.
    let joined = DAYS * random.random::<f64>().powf(0.8) * 0.997;
    let lively = (0.9 * normal(random)).exp();
    let source = SOURCES[skewed(SOURCES.len(), random)];
    let loyal = if source == "friend" { 1.6 } else { 1.0 };
    Customer {
        id: format!("C{:06}", n + 1),
        country: COUNTRIES[skewed(COUNTRIES.len(), random)],
        age_group: pick(&AGE_GROUPS, random),
        source,
        newsletter: random.random_bool(0.4),
        joined,
        churned: joined + exponential(240.0 * loyal, random),
        rate: 0.045 * lively,
        eager: (0.35 + 0.15 * normal(random)).clamp(0.03, 0.9),
        purse: (0.4 * normal(random)).exp(),
        taste: skewed(CATEGORIES.len(), random),
        channel: skewed(CHANNELS.len(), random),
    }
}

/// The events of a customer, in order; `forced` gives them a variant whatever the hash says.
fn simulate(
    n: usize,
    customer: &Customer,
    scale: f64,
    seed: u64,
    forced: Option<usize>,
) -> Vec<Row> {
    let mut random = random(seed, n, 1);
    let by_hash = usize::from(bucket(EXPERIMENT, &customer.id) >= 0.5);
    let variant = forced.unwrap_or(by_hash);
    let mut walk =
        Walk { rows: Vec::new(), n, customer, random: &mut random, variant, is_exposed: false };
    if let Some(story) = STORIES.get(n) {
        walk.tell(story);
        return walk.rows;
    }
    walk.push(customer.joined, "signed_up", |row| row.detail = Some(customer.source.to_owned()));
    let end = customer.churned.min(DAYS);
    let mut day = customer.joined + 0.01;
    let mut visits = 0;
    while day < end {
        walk.expose(day);
        walk.session(day, 1.0);
        visits += 1;
        // Interest fades slowly, and rises again with the seasons and campaigns.
        let fading = (-(day - customer.joined) / 400.0).exp();
        let rate =
            customer.rate * scale * fading * season(day) * campaign(day).map_or(1.0, |c| c.3);
        day += exponential(1.0 / rate.max(1e-4), walk.random);
        if visits > 20_000 {
            break;
        }
    }
    walk.rows
}

/// The campaign that runs on a day.
fn campaign(day: f64) -> Option<(&'static str, f64, f64, f64)> {
    CAMPAIGNS.into_iter().find(|(_, first, last, _)| (*first..*last).contains(&day))
}

/// People buy more before the end of the year, and less in summer.
fn season(day: f64) -> f64 {
    1.0 + 0.25 * ((day - 340.0) / 365.0 * std::f64::consts::TAU).cos()
}

/// A customer on their way through the shop.
struct Walk<'a> {
    rows: Vec<Row>,
    n: usize,
    customer: &'a Customer,
    random: &'a mut Random,
    /// What the customer gets of the experiment, once they come while it runs.
    variant: usize,
    is_exposed: bool,
}

impl Walk<'_> {
    /// Shows the customer their variant when they come for the first time while the experiment runs.
    fn expose(&mut self, day: f64) {
        if day >= EXPERIMENT_FROM && !self.is_exposed {
            self.is_exposed = true;
            let variant = VARIANTS[self.variant];
            self.push(day, EXPOSURE, |row| row.variant = Some(variant));
        }
    }

    /// How much likelier an order is by what the customer got.
    fn persuasion(&self) -> f64 {
        if self.is_exposed && self.variant == 1 { FREE_SHIPPING } else { 1.0 }
    }

    fn push(&mut self, day: f64, event: &'static str, set: impl FnOnce(&mut Row)) {
        let mut row = Row {
            customer: self.n,
            day,
            event,
            product: None,
            category: None,
            amount: None,
            quantity: None,
            channel: CHANNELS[self.customer.channel],
            detail: None,
            variant: None,
        };
        set(&mut row);
        self.rows.push(row);
    }

    /// Some minutes later on the same day.
    fn later(&mut self, day: f64, minutes: f64) -> f64 {
        day + exponential(minutes, self.random) * MINUTE / 86_400e6
    }

    /// One visit: look around, put things in the cart, perhaps order.
    fn session(&mut self, start: f64, eagerness: f64) {
        let mut day = start;
        if let Some((name, ..)) = campaign(day)
            && self.customer.newsletter
            && self.random.random_bool(0.5)
        {
            self.push(day, "campaign_clicked", |row| row.detail = Some(name.to_owned()));
        } else {
            self.push(day, "page_viewed", |row| row.detail = Some("home".to_owned()));
        }
        let mut cart: Vec<(usize, String, f64, f64)> = Vec::new();
        let looks = self.random.random_range(1..=5);
        for _ in 0..looks {
            day = self.later(day, 2.0);
            let (place, product, price) = self.product();
            if self.random.random_bool(0.2) {
                self.push(day, "searched", |row| row.detail = Some(CATEGORIES[place].to_owned()));
                day = self.later(day, 0.5);
            }
            self.push(day, "product_viewed", |row| {
                row.product = Some(product.clone());
                row.category = Some(CATEGORIES[place]);
                row.amount = Some(price);
            });
            if self.random.random_bool((0.3 * eagerness).min(0.95)) {
                day = self.later(day, 0.5);
                let quantity = f64::from(1 + u8::from(self.random.random_bool(0.15)));
                self.push(day, "product_added", |row| {
                    row.product = Some(product.clone());
                    row.category = Some(CATEGORIES[place]);
                    row.amount = Some(price);
                    row.quantity = Some(quantity);
                });
                cart.push((place, product, price, quantity));
            } else if self.random.random_bool(0.06) {
                self.push(day, "wishlist_added", |row| row.product = Some(product));
            }
        }
        if !cart.is_empty() {
            self.checkout(day, cart, eagerness);
        }
    }

    fn checkout(&mut self, start: f64, cart: Vec<(usize, String, f64, f64)>, eagerness: f64) {
        let mut day = self.later(start, 1.0);
        self.push(day, "cart_viewed", |_| ());
        let wish = self.customer.eager * 1.6 * eagerness * self.persuasion();
        if !self.random.random_bool(wish.min(0.95)) {
            return;
        }
        day = self.later(day, 1.0);
        self.push(day, "checkout_started", |_| ());
        if !self.random.random_bool(0.85) {
            return;
        }
        day = self.later(day, 2.0);
        let amount: f64 = cart.iter().map(|(_, _, price, quantity)| price * quantity).sum();
        let items: f64 = cart.iter().map(|(_, _, _, quantity)| quantity).sum();
        let (place, product, ..) = cart[0].clone();
        self.push(day, "order_completed", |row| {
            row.product = Some(product.clone());
            row.category = Some(CATEGORIES[place]);
            row.amount = Some((amount * 100.0).round() / 100.0);
            row.quantity = Some(items);
        });
        self.after_order(day, &product, amount);
    }

    /// What may follow an order: a review, a question, a refund.
    fn after_order(&mut self, ordered: f64, product: &str, amount: f64) {
        if self.random.random_bool(0.12) {
            let day = ordered + exponential(6.0, self.random);
            let rating = 1.0 + (4.999 * self.random.random::<f64>().sqrt()).floor();
            self.push_before_end(day, "review_submitted", |row| {
                row.product = Some(product.to_owned());
                row.quantity = Some(rating);
            });
        }
        if self.random.random_bool(0.05) {
            let day = ordered + exponential(4.0, self.random);
            let topic = pick(&TOPICS, self.random);
            self.push_before_end(day, "support_contacted", |row| {
                row.detail = Some(topic.to_owned())
            });
        }
        if self.random.random_bool(0.04) {
            let day = ordered + exponential(8.0, self.random);
            self.push_before_end(day, "order_refunded", |row| {
                row.product = Some(product.to_owned());
                row.amount = Some((amount * 100.0).round() / 100.0);
            });
        }
    }

    fn push_before_end(&mut self, day: f64, event: &'static str, set: impl FnOnce(&mut Row)) {
        if day < DAYS {
            self.push(day, event, set);
        }
    }

    /// A product: mostly of the customer's taste, priced around what the category costs.
    fn product(&mut self) -> (usize, String, f64) {
        let of_taste = self.random.random_bool(0.65);
        let place = if of_taste {
            self.customer.taste
        } else {
            self.random.random_range(0..CATEGORIES.len())
        };
        let number = skewed(40, self.random);
        // A product costs the same for everybody; a full purse looks at dearer ones.
        let dear = 0.6 + 0.02 * f64::from(u8::try_from(number).unwrap_or(0)) * self.customer.purse;
        let price = (PRICES[place] * dear).floor() + 0.99;
        (place, format!("{}-{:02}", CATEGORIES[place], number + 1), price)
    }

    /// The customers that one can show around.
    fn tell(&mut self, story: &Story) {
        let first = story.first().map_or(0.0, |(from, ..)| *from);
        self.push(first - 0.1, "signed_up", |row| row.detail = Some("friend".to_owned()));
        for (from, until, every, eagerness, trouble) in story.iter().copied() {
            let mut day = from;
            while day < until {
                self.session(day, eagerness);
                if trouble {
                    self.push(day + 1.2, "support_contacted", |row| {
                        row.detail = Some("delivery".to_owned());
                    });
                }
                day += every * (0.7 + 0.6 * self.random.random::<f64>());
            }
        }
    }
}

/// Phases of a story: from day, until day, a session every so many days, eagerness, trouble.
type Story = [(f64, f64, f64, f64, bool)];

/// C000001 was the best customer until deliveries failed, and is gone. C000002 had gone and was won
/// back by a campaign. C000003 looks every day and never buys. C000004 is new and buys a lot.
/// C000005 orders every month like a clock.
const STORIES: [&Story; 5] = [
    &[(20.0, 380.0, 6.0, 2.5, false), (380.0, 420.0, 9.0, 1.2, true)],
    &[(60.0, 200.0, 8.0, 1.8, false), (432.0, 540.0, 7.0, 2.4, false)],
    &[(30.0, 545.0, 2.2, 0.04, false)],
    &[(518.0, 545.0, 1.6, 2.8, false)],
    &[(15.0, 545.0, 30.0, 3.0, false)],
];

fn time(day: f64) -> Time {
    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        reason = "days of a few years, to the second"
    )]
    let seconds = (day.max(0.0) * (MICROS_PER_DAY as f64) / 1e6) as i64;
    Time(OPENING + seconds * 1_000_000)
}

fn events_relation(rows: &[Row], people: &[Customer]) -> Relation {
    let texts = |value: &dyn Fn(&Row) -> Option<String>| {
        let mut column = Column::new(Type::Text);
        for row in rows {
            column.push(value(row).as_deref().map_or(Cell::Null, Cell::Text));
        }
        column
    };
    let numbers = |value: fn(&Row) -> Option<f64>| {
        Column::Number(rows.iter().map(|row| value(row).unwrap_or(f64::NAN)).collect())
    };
    Relation::default()
        .with_texts("customer_id", rows.iter().map(|row| people[row.customer].id.as_str()))
        .with_texts("event", rows.iter().map(|row| row.event))
        .with_times("event_time", rows.iter().map(|row| time(row.day)))
        .with_texts("channel", rows.iter().map(|row| row.channel))
        .with_column("category", texts(&|row| row.category.map(str::to_owned)))
        .with_column("product", texts(&|row| row.product.clone()))
        .with_column("amount", numbers(|row| row.amount))
        .with_column("quantity", numbers(|row| row.quantity))
        .with_column("detail", texts(&|row| row.detail.clone()))
        .with_column("experiment", texts(&|row| row.variant.map(|_| EXPERIMENT.to_owned())))
        .with_column("variant", texts(&|row| row.variant.map(str::to_owned)))
        .with_column("version", numbers(|row| row.variant.map(|_| 1.0)))
        .with_column("probability", numbers(|row| row.variant.map(|_| 0.5)))
}

fn customers_relation(people: &[Customer]) -> Relation {
    let mut newsletter = Column::new(Type::Boolean);
    for customer in people {
        newsletter.push(Cell::Boolean(customer.newsletter));
    }
    Relation::default()
        .with_texts("customer_id", people.iter().map(|customer| customer.id.as_str()))
        .with_texts("country", people.iter().map(|customer| customer.country))
        .with_texts("age_group", people.iter().map(|customer| customer.age_group))
        .with_texts("source", people.iter().map(|customer| customer.source))
        .with_column("newsletter", newsletter)
}
