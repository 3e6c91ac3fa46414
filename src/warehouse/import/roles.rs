//! The names by which columns are known to have a role, without case and punctuation; earlier ones win.

/// Names of who; the last ones only where there is no other.
pub(super) const CUSTOMER: [&str; 34] = [
    "customerid",
    "customer",
    "userid",
    "user",
    "cid",
    "clientid",
    "client",
    "memberid",
    "accountid",
    "visitorid",
    "distinctid",
    "actor",
    "personid",
    "custid",
    "customerno",
    "customernumber",
    "customercode",
    "customerkey",
    "customerref",
    "shopperid",
    "buyerid",
    "subscriberid",
    "playerid",
    "contactid",
    "householdid",
    "householdkey",
    "customeremail",
    "useremail",
    "email",
    "emailaddress",
    "userpseudoid",
    "domainuserid",
    "anonymousid",
    "anonid",
];
/// Names of who, where nobody is signed in.
pub(super) const ANONYMOUS: [&str; 4] = ["anonymousid", "userpseudoid", "anonid", "domainuserid"];
/// Names of when.
pub(super) const TIME: [&str; 31] = [
    "eventtime",
    "eventtimestamp",
    "timestamp",
    "originaltimestamp",
    "time",
    "datetime",
    "occurredat",
    "clienteventtime",
    "derivedtstamp",
    "collectortstamp",
    "transactiontimestamp",
    "transactiontime",
    "ordertime",
    "ordertimestamp",
    "eventdate",
    "createdat",
    "createdutc",
    "createdatutc",
    "created",
    "invoicedate",
    "date",
    "orderdate",
    "transactiondate",
    "purchasedate",
    "purchasedat",
    "processedat",
    "visittime",
    "servertime",
    "ts",
    "at",
    "day",
];
/// Names of what.
pub(super) const EVENT: [&str; 7] =
    ["event", "eventname", "eventtype", "action", "activity", "type", "name"];
/// Names of an id for each row. Only the first one is believed where an id repeats.
pub(super) const MESSAGE_ID: [&str; 6] =
    ["messageid", "uuid", "insertid", "eventuuid", "eventid", "id"];
/// Names of an arrival.
pub(super) const RECEIVED_AT: [&str; 5] =
    ["receivedat", "arrivedat", "ingestedat", "loadedat", "knownat"];
/// Names that also count inside of `properties`.
const NESTED: [&str; 11] = [
    "distinctid",
    "userid",
    "customerid",
    "userpseudoid",
    "anonymousid",
    "time",
    "timestamp",
    "eventtime",
    "insertid",
    "messageid",
    "uuid",
];
/// The parts of a name of a customer column: a noun for a person, and a word for an identifier.
const SOMEBODY: [&str; 16] = [
    "customer",
    "cust",
    "user",
    "client",
    "member",
    "visitor",
    "person",
    "shopper",
    "buyer",
    "subscriber",
    "account",
    "player",
    "guest",
    "patient",
    "panelist",
    "household",
];
const TELLS_APART: [&str; 9] = ["id", "key", "no", "nr", "number", "code", "uuid", "guid", "hash"];
/// What a name of when is made of.
const TIMELY: [&str; 9] =
    ["time", "date", "stamp", "day", "created", "occurred", "epoch", "month", "hour"];

/// A name without case and punctuation.
pub(super) fn plain(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_lowercase()
}

/// A name inside of `properties` that may have a role there, without case and punctuation.
pub(super) fn nested(name: &str) -> Option<String> {
    let inner = plain(name.strip_prefix("properties.")?);
    NESTED.contains(&inner.as_str()).then_some(inner)
}

/// Whether a name is known to have a role.
pub(super) fn is_known(name: &str) -> bool {
    let plain = plain(name);
    let lists: [&[&str]; 6] = [&CUSTOMER, &ANONYMOUS, &TIME, &EVENT, &MESSAGE_ID, &RECEIVED_AT];
    lists.iter().any(|list| list.contains(&plain.as_str()))
        || is_like_a_customer(&plain)
        || nested(name).is_some()
}

/// Whether a plain name says somebody and what tells them apart, such as `loyaltymemberno`.
pub(super) fn is_like_a_customer(plain: &str) -> bool {
    let ending = TELLS_APART.iter().find_map(|ending| plain.strip_suffix(ending));
    ending.is_some_and(|start| SOMEBODY.iter().any(|somebody| start.ends_with(somebody)))
}

/// The words of a name, in lower case: `orderId` and `order_id` have the same.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut was_lower = false;
    for c in name.chars() {
        if !c.is_alphanumeric() || (c.is_uppercase() && was_lower) {
            words.push(String::new());
        }
        was_lower = c.is_lowercase();
        if let Some(word) = words.last_mut().filter(|_| c.is_alphanumeric()) {
            word.extend(c.to_lowercase());
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// Whether a name says when: then digits may be times.
pub(super) fn is_timely(name: &str) -> bool {
    let words = words(name);
    let is_at = words.last().is_some_and(|last| matches!(last.as_str(), "at" | "ts" | "t" | "on"));
    let is_part = |word: &String| TIMELY.iter().any(|part| word.contains(part));
    (is_at || words.iter().any(is_part)) && !is_like_an_id(name)
}

/// Whether a name is that of an id, a counter or an amount: then digits are no times.
pub(super) fn is_like_an_id(name: &str) -> bool {
    const LAST: [&str; 22] = [
        "id", "ids", "no", "nr", "number", "code", "key", "count", "counter", "index", "phone",
        "zip", "postcode", "sku", "ean", "isbn", "barcode", "uuid", "amount", "price", "quantity",
        "total",
    ];
    words(name).last().is_some_and(|last| LAST.contains(&last.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_what_columns_may_be() {
        for name in
            ["user_id", "Customer ID", "properties.distinct_id", "Loyalty Member No", "eventTime"]
        {
            assert!(is_known(name), "{name}");
        }
        for name in ["properties.email", "user_agent", "country", "k1", "2024"] {
            assert!(!is_known(name), "{name}");
        }
        for name in ["Created at", "event_timestamp", "ts", "order date"] {
            assert!(is_timely(name), "{name}");
        }
        for name in ["Id", "order_id", "orderId", "userID", "Phone", "lat", "timestamp_id"] {
            assert!(!is_timely(name), "{name}");
        }
    }
}
