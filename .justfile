# One word an intent; `just check` is what CI calls.

# Format, lints, tests and the window.
check:
    .ci/run

# Format the sources.
format:
    cargo fmt

# All tests.
test:
    cargo test --release

# The kernel beside the best SQL, on 10 million events that are made in a folder once.
bench folder:
    cargo bench --profile release --bench kernel -- {{folder}}

# The workbench on the bundled sample.
run:
    cargo run --release

# Screenshots of every page, dark and light.
screenshots folder="screenshots":
    cargo build --release
    for theme in dark light; do for size in 1280x800 1920x1080; do .ci/window $size $theme {{folder}}; done; done

# The documentation of all rooms.
doc:
    cargo doc --release --no-deps --document-private-items --open
