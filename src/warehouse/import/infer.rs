use kernel::domain::{PropertyType, PropertyTypes, Type, did_you_mean};

use super::calls::Part;
use super::facts::Facts;
use super::finder::{Choice, Finder};
use super::look::{Look, PREVIEW_ROWS};
use super::read::Columns;
use super::source::{Format, Source};
use super::{Mapping, Options, Proposal, ProposedColumn, RowKind};
use crate::{Error, Result, schema};

/// Columns that are no properties: who, who where nobody is signed in, when, what, which call, which and since
/// when.
pub(super) const ROLES: usize = 7;

/// Refuses files with more columns than there can be properties.
pub(super) fn check_width(source: &Source, columns: &Columns, options: &Options) -> Result<()> {
    const MOST_COLUMNS: usize = schema::MOST_PROPERTIES + ROLES;
    let n_columns = columns.names.len().saturating_sub(options.left_out.len());
    if n_columns > MOST_COLUMNS {
        return Err(Error::Mapping(format!(
            "{} has {n_columns} columns; an import takes at most {MOST_COLUMNS}, of which {} become properties: \
             leave columns out (--leave-out)",
            source.title(),
            schema::MOST_PROPERTIES
        )));
    }
    Ok(())
}

/// Proposes a mapping and types for files, following what the person said.
pub(super) fn propose(
    source: &Source,
    columns: &Columns,
    look: &Look,
    options: &Options,
    counter: Option<&str>,
    types: &PropertyTypes,
) -> Result<Proposal> {
    let names: Vec<&str> = columns.names.iter().map(String::as_str).collect();
    let has_header = !matches!(&source.format, Format::Text(dialect) if !dialect.has_header);
    let finder = Finder { names: &names, look, options, counter, has_header };
    check_said(source, &names, options)?;
    let kind = if options.traits { RowKind::Traits } else { RowKind::Events };
    let call = (kind == RowKind::Events).then(|| finder.call()).flatten();
    let customer = finder.customer(&source.title())?;
    let anonymous = finder.anonymous(customer.place);
    let taken: Vec<usize> =
        [Some(&customer), anonymous.as_ref()].into_iter().flatten().map(|it| it.place).collect();
    let time = finder.time(&taken, kind);
    if time.is_none() && kind == RowKind::Events {
        return Err(Error::Mapping(format!(
            "no column of {} holds times; name it (--time COLUMN, and --time-format if needed), or import it as \
             traits (--traits); its columns are {}",
            source.title(),
            listed(&names)
        )));
    }
    let event = match (kind, &options.event_name) {
        (RowKind::Events, None) => {
            let taken: Vec<usize> =
                taken.iter().copied().chain(time.as_ref().map(|it| it.place)).collect();
            finder.event(&taken)
        }
        _ => None,
    };
    let is_named_by_file = kind == RowKind::Events
        && event.is_none()
        && call.is_none()
        && options.event_name.is_none();
    let event_name = match (kind, &event) {
        (RowKind::Events, None) => {
            Some(options.event_name.clone().unwrap_or_else(|| name_from(&source.title())))
        }
        _ => None,
    };
    let message_id = finder.message_id();
    let received_at = finder.received_at(time.as_ref().map(|it| it.place));
    let format_of = |choice: &Option<Choice>| {
        choice.as_ref().and_then(|it| look.time_format(it.place)).map(|format| format.to_string())
    };
    let time_format = options.time_format.clone().or_else(|| format_of(&time));
    let time_format = time_format.unwrap_or_else(|| "iso".to_owned());
    let received_format = format_of(&received_at).unwrap_or_else(|| time_format.clone());
    let name_of = |choice: &Option<Choice>| choice.as_ref().map(|it| names[it.place].to_owned());
    let ids = [Some(&customer), anonymous.as_ref()].into_iter().flatten();
    let ids: Vec<&Facts> = ids.map(|it| &look.facts[it.place]).collect();
    let has_no_fractions = ids.iter().all(|facts| facts.has_no_fractions());
    let mapping = Mapping {
        kind,
        has_whole_ids: !has_no_fractions
            && ids.iter().all(|facts| facts.has_whole_ids() || facts.has_no_fractions()),
        customer: names[customer.place].to_owned(),
        anonymous: name_of(&anonymous),
        call: call.map(|place| names[place].to_owned()),
        time: name_of(&time),
        time_format,
        event: name_of(&event),
        event_name,
        message_id: name_of(&message_id),
        received_at: name_of(&received_at),
        received_format,
    };
    check_roles(&mapping, options)?;
    if kind == RowKind::Traits && ["message_id", "trait", "value"].iter().all(|c| names.contains(c))
    {
        return Err(Error::Mapping(format!(
            "{} has one trait a row, as the table traits does; import a column a trait",
            source.title()
        )));
    }
    let chosen = [Some(customer), anonymous, time, event, message_id, received_at];
    let chosen: Vec<Choice> = chosen.into_iter().flatten().collect();
    let decisions = decisions(source, &names, look, &mapping, options, (&chosen, is_named_by_file));
    let mut columns = proposed_columns(&names, look, &mapping, options, types);
    for choice in chosen {
        columns[choice.place].reason = Some(choice.reason);
        columns[choice.place].alternatives = choice.alternatives;
        columns[choice.place].is_doubtful = choice.is_doubtful;
    }
    Ok(Proposal {
        files: source.files.clone(),
        format: describe(source),
        preview: look.sample.iter().take(PREVIEW_ROWS).cloned().collect(),
        mapping,
        columns,
        decisions,
        has_own_events: options.own_events,
        part: Part::All,
        is_of_all_rows: look.is_of_all_rows,
        has_no_fractions,
        is_named_by_file,
    })
}

/// Refuses columns that are named and are not there.
fn check_said(source: &Source, names: &[&str], options: &Options) -> Result<()> {
    let roles = [
        ("customer", &options.customer),
        ("anonymous", &options.anonymous),
        ("time", &options.time),
        ("event", &options.event),
        ("message id", &options.message_id),
        ("arrival", &options.received_at),
    ];
    let roles = roles.into_iter().filter_map(|(what, column)| Some((what, column.as_ref()?)));
    let others = options.types.keys().chain(&options.left_out).chain(&options.missing);
    for (what, column) in roles.chain(others.map(|column| ("property", column))) {
        if !names.contains(&column.as_str()) {
            return Err(Error::Mapping(format!(
                "there is no {what} column '{column}' in {}{}; its columns are {}",
                source.title(),
                did_you_mean(column, names.iter().copied()),
                listed(names)
            )));
        }
    }
    Ok(())
}

/// Names one after the other; not all of very many.
fn listed(names: &[&str]) -> String {
    const MOST: usize = 100;
    let listed = names.iter().take(MOST).copied().collect::<Vec<_>>().join(", ");
    match names.len().checked_sub(MOST) {
        Some(more @ 1..) => format!("{listed} and {more} more"),
        _ => listed,
    }
}

/// Refuses what is said of a column in two ways.
fn check_roles(mapping: &Mapping, options: &Options) -> Result<()> {
    for (column, role) in mapping.roles() {
        if options.left_out.contains(column) {
            let message = format!("'{column}' is {role}; it cannot be left out too");
            return Err(Error::Mapping(message));
        }
        if options.types.contains_key(column) {
            let message = format!("'{column}' is {role}, which has no type of its own");
            return Err(Error::Mapping(message));
        }
    }
    if mapping.anonymous.as_ref() == Some(&mapping.customer) {
        let message = format!("'{}' cannot be the customer and the anonymous id", mapping.customer);
        return Err(Error::Mapping(message));
    }
    match options.types.keys().find(|column| options.left_out.contains(column)) {
        Some(both) => Err(Error::Mapping(format!("'{both}' is left out, and needs no type"))),
        None => Ok(()),
    }
}

/// What was decided where the files leave a doubt.
fn decisions(
    source: &Source,
    names: &[&str],
    look: &Look,
    mapping: &Mapping,
    options: &Options,
    (chosen, is_named_by_file): (&[Choice], bool),
) -> Vec<String> {
    let mut decisions = Vec::new();
    if let Format::Text(dialect) = &source.format {
        match (source.n_skipped(), dialect.has_header) {
            (0, _) => {}
            (n, _) => decisions.push(format!(
                "the first {n} lines are skipped: the columns begin in line {}",
                n + 1
            )),
        }
        if !dialect.has_header {
            decisions.push(format!(
                "line {} looks like data and not like a header, so the columns are named column_1 to column_{}",
                source.n_skipped() + 1,
                names.len()
            ));
        }
    }
    let role_of =
        |column: &str| mapping.roles().find(|(name, _)| *name == column).map(|(_, role)| role);
    for choice in chosen {
        let column = names[choice.place];
        if let (false, Some(role)) = (choice.alternatives.is_empty(), role_of(column)) {
            decisions.push(format!(
                "{role} is '{column}' ({}); it could be {} too",
                choice.reason,
                choice
                    .alternatives
                    .iter()
                    .map(|name| format!("'{name}'"))
                    .collect::<Vec<_>>()
                    .join(" or ")
            ));
        }
    }
    if let Some(anonymous) = &mapping.anonymous {
        let place = names.iter().position(|name| *name == mapping.customer);
        let facts = place.and_then(|place| look.facts.get(place));
        let missing = facts.map_or(0, |facts| facts.n - facts.not_null + facts.missing);
        decisions.push(format!(
            "rows without '{}' ({missing} of {} that were looked at) belong to their '{anonymous}'; a row with both \
             joins them",
            mapping.customer,
            facts.map_or(0, |facts| facts.n)
        ));
    }
    if mapping.has_whole_ids {
        decisions.push(format!("ids like '1001.0' in '{}' are read as '1001'", mapping.customer));
    }
    if let Some(call) = &mapping.call {
        decisions.push(format!(
            "rows are calls of the Segment API, by '{call}': page, screen and group are events of that name, identify \
             sets traits, and the context is left out, as over HTTP"
        ));
    }
    if let (true, Some(name)) = (is_named_by_file, &mapping.event_name) {
        decisions.push(format!(
            "no column says what happened: each row is the event '{name}', after the file's name (--event-name, --event)"
        ));
    }
    let time = names.iter().position(|name| Some(*name) == mapping.time.as_deref());
    if let Some(clock) = time.and_then(|place| look.clock_beside(place)) {
        decisions.push(format!(
            "'{}' has days alone, and the times of day in '{}' are not read; join the two into one column to order the \
             events of a day",
            mapping.time.as_deref().unwrap_or_default(),
            names[clock]
        ));
    }
    if let Some((read, other)) =
        time.filter(|_| options.time_format.is_none()).and_then(|place| look.other_reading(place))
    {
        decisions.push(format!(
            "the times of '{}' can be read as {} and as {}; they are read as {read}, unless a time format is given \
             (--time-format)",
            mapping.time.as_deref().unwrap_or_default(),
            read.described(),
            other.described()
        ));
    }
    decisions
}

/// What numbers rows in the warehouse, among what else a row of it has.
const OWN: [&str; 5] = ["message_id", "customer_id", "event_time", "received_at", SEQ];
const SEQ: &str = "seq";

fn proposed_columns(
    names: &[&str],
    look: &Look,
    mapping: &Mapping,
    options: &Options,
    types: &PropertyTypes,
) -> Vec<ProposedColumn> {
    // Rows that were exported are numbered anew.
    let is_own = OWN.iter().all(|column| names.contains(column));
    let of_file = options.decimal.or_else(|| look.decimal());
    let mut taken: Vec<String> = Vec::new();
    names
        .iter()
        .zip(&look.facts)
        .enumerate()
        .map(|(place, (column, facts))| {
            let forced = options.types.get(*column);
            let used = mapping.roles().any(|(name, _)| name == column);
            let left_out = options.left_out.iter().any(|name| name == column)
                || (is_own && *column == SEQ)
                || (mapping.call.is_some() && !is_kept_of_call(column));
            let null_share = match facts.n {
                0 => 1.0,
                n => share(n - facts.not_null, n),
            };
            let decimal = match options.decimal {
                Some(decimal) => facts.is_written_with(decimal).then_some(decimal),
                None => facts.decimal(of_file),
            };
            let property =
                (!used && !left_out).then(|| free_name(property_of(column, mapping), &mut taken));
            let known = property.as_deref().and_then(|name| match mapping.kind {
                RowKind::Events => types.property(name).map(|(_, type_)| type_),
                RowKind::Traits => types.trait_type(name),
            });
            let settled = forced.copied().or(known.map(PropertyType::type_of));
            let type_ = match (settled, decimal) {
                (Some(settled), _) => settled,
                (None, Some(_)) => Type::Number,
                (None, None) => facts.type_of(),
            };
            let drops_missing = options.missing.iter().any(|name| name == column);
            let remark = match (used, left_out || settled.is_some()) {
                (false, false) if decimal.is_none() => facts.remark(column),
                _ => None,
            };
            let doubt = decimal.filter(|_| !used && !left_out && options.decimal.is_none());
            let doubt = doubt.and_then(|decimal| facts.doubt(column, decimal));
            ProposedColumn {
                summary: look.summary(place, type_, decimal),
                name: (*column).to_owned(),
                property,
                type_,
                forced: forced.is_some(),
                settled: settled.is_some(),
                decimal: decimal.filter(|_| type_ == Type::Number),
                drops_missing,
                missing: facts.missing,
                remark: remark.or(doubt).or_else(|| {
                    facts.missing_text(column, type_, used || left_out || drops_missing)
                }),
                null_share,
                reason: None,
                is_doubtful: false,
                alternatives: Vec::new(),
            }
        })
        .collect()
}

#[allow(clippy::cast_precision_loss, reason = "a share for people")]
fn share(part: u64, of: u64) -> f64 {
    part as f64 / of as f64
}

/// Whether a column of calls of the Segment API is kept, as it is over HTTP.
fn is_kept_of_call(column: &str) -> bool {
    column.starts_with("properties.")
        || column.starts_with("traits.")
        || ["name", "category", "groupId"].contains(&column)
}

fn property_of(column: &str, mapping: &Mapping) -> String {
    match (column, &mapping.call) {
        ("groupId", Some(_)) => "group_id".to_owned(),
        _ => property_name(column),
    }
}

/// Segment's files nest what we keep flat.
pub(super) fn property_name(column: &str) -> String {
    let bare = column.strip_prefix("properties.").or_else(|| column.strip_prefix("traits."));
    let name = bare.filter(|name| !name.is_empty()).unwrap_or(column);
    kernel::domain::property_name(name)
}

/// The name, or with a number after it if another column has it (case does not count).
pub(super) fn free_name(name: String, taken: &mut Vec<String>) -> String {
    let is_taken = |candidate: &str| taken.contains(&candidate.to_lowercase());
    let numbered = (2..).map(|n| format!("{name}_{n}"));
    let free = std::iter::once(name.clone()).chain(numbered).find(|free| !is_taken(free));
    let free = free.unwrap_or(name);
    taken.push(free.to_lowercase());
    free
}

fn describe(source: &Source) -> String {
    let format = match &source.format {
        Format::Text(dialect) => {
            let header = if dialect.has_header { "with a header" } else { "without a header" };
            format!("text separated by {}, {header}", dialect.delimiter)
        }
        Format::Ndjson => "NDJSON".to_owned(),
        Format::Parquet => "Parquet".to_owned(),
    };
    if source.gzip { format + ", gzipped" } else { format }
}

/// An event name from a file name: `Orders 2024.csv.gz` gives `orders_2024`.
fn name_from(title: &str) -> String {
    let stem = title.split('.').next().unwrap_or_default();
    let name: String = stem
        .chars()
        .map(|c| if c.is_alphanumeric() { c.to_ascii_lowercase() } else { '_' })
        .collect();
    let name = name.trim_matches('_').to_owned();
    if name.is_empty() { "event".to_owned() } else { name }
}
