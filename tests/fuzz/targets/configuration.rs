//! Definitions as a project has them: views, models, rules and experiments.

#![no_main]

use kernel::domain::Type;
use kernel::experiments::ExperimentDefinition;
use kernel::features::{AsOf, Bound, Catalog, Timelines, View, ViewDefinition};
use kernel::monitoring::RuleDefinition;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let _rule = RuleDefinition::from_toml(text);
    let _experiment = ExperimentDefinition::from_toml(text);
    if let Ok(spec) = models::ModelSpec::from_toml(text) {
        let again = models::ModelSpec::from_toml(&spec.to_toml().expect("a spec is written"));
        assert_eq!(again.expect("what is written is read"), spec);
    }
    let Ok(definition) = toml::from_str::<ViewDefinition>(text) else { return };
    let mut catalog = Catalog::default();
    for name in ["order", "view", "cart"] {
        catalog.events.insert(name.to_owned());
    }
    for (name, type_) in [
        ("amount", Type::Number),
        ("item", Type::Text),
        ("paid", Type::Boolean),
        ("due", Type::Time),
    ] {
        catalog.properties.insert(name.to_owned(), type_);
        catalog.traits.insert(name.to_owned(), type_);
    }
    let Ok(view) = View::check(&definition, &catalog) else { return };
    let none: [kernel::domain::Event; 0] = [];
    let timelines = Timelines::of_events(view.reads(), &none);
    let _row = Bound::new(&view, &timelines).row(0, AsOf::at(kernel::domain::Time(9)), &[]);
});
