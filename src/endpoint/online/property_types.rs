use std::sync::{Arc, PoisonError, RwLock};

use kernel::domain::PropertyTypes;

/// The types that a project published: every timeline is read by them.
#[derive(Debug, Default)]
pub(super) struct Published(RwLock<Arc<PropertyTypes>>);

impl Published {
    /// The types as they are now.
    pub(super) fn get(&self) -> Arc<PropertyTypes> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Replaces the types; what was read by other types is read again.
    pub(super) fn set(&self, types: PropertyTypes) {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if **known != types {
            *known = Arc::new(types);
        }
    }
}
